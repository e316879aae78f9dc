//! The language server on its wire.
//!
//! `tests/lsp/sessions/NAME/` contains a workspace and `requests.json`, whose steps are lists:
//!
//! - `["open", FILE]` opens a file, or returns to it.
//! - `["change", OLD, NEW]` replaces a text in it and prints its diagnostics.
//! - `["wait", FILE, TEXT]` waits until the diagnostics of a file contain this text; with null, until it has none.
//! - `["write", FILE, TEXT]` writes a file that the client has not opened, and tells the server; null removes it.
//! - `[METHOD, BEHIND, COUNT or {PARAMETERS}]` asks with the cursor at the end of a text. COUNT cuts a list.
//! - `["actions", BEHIND, TO]` prints the titles of the code actions at a cursor, or of a selection that ends behind TO.
//! - `["apply", BEHIND, TITLE, TO]` applies the action whose title begins so, and prints the changed files and what is then
//!   found in the open one, which has its old text in the next step.
//! - `["lenses", ""]` prints the lines of a file with lenses, and what each says.
//! - `["supertypes" or "subtypes", BEHIND]` prints the names above or below the layer or image at a cursor.
//! - `["outgoingCalls" or "incomingCalls", BEHIND]` prints the same names, each with the file and the lines of its places.
//!
//! `CASE` is the address of the folder.
//!
//! `expected.json` contains the replies.
//!
//! `tests/lsp/positions/TOPIC.txt` contains texts, each below a line `=== TITLE`, with a cursor `<|>`. The line `>>>`
//! below a text says what completion offers there: the first labels of each kind, in the order of the reply.
//!
//! `IMGSPEC_BLESS=1 cargo test --test lsp` rewrites what is expected; `cargo test --test lsp NAME` runs one test.

mod common;

use common::editor::{Client, Desk, position};
use common::snapshot;
use libtest_mimic::{Failed, Trial};
use regex::Regex;
use serde_json::{Value, json};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The fewest sessions and positions: the test must not pass without data.
const FEWEST_SESSIONS: usize = 8;
const FEWEST_POSITIONS: usize = 150;

fn main() -> ExitCode {
    let sessions = common::entries(&common::root().join("tests/lsp/sessions"));
    let topics = common::files(&common::root().join("tests/lsp/positions"), "txt");
    let examples = common::files(&common::root().join("examples"), "imgspec");
    assert!(sessions.len() >= FEWEST_SESSIONS && !examples.is_empty());
    let mut trials = group("sessions", sessions, check_session);
    trials.extend(group("positions", topics.clone(), check_positions));
    trials.extend(group("examples", examples, type_example));
    let positions = move || {
        let texts = topics
            .iter()
            .map(|topic| std::fs::read_to_string(topic).unwrap());
        let positions: usize = texts.map(|text| text.matches(CURSOR).count()).sum();
        assert!(positions >= FEWEST_POSITIONS, "{positions} positions");
        Ok(())
    };
    trials.push(Trial::test("there_are_enough_positions", positions));
    let others: [(&str, fn()); 6] = [
        (
            "outputs_follow_each_keystroke",
            outputs_follow_each_keystroke,
        ),
        (
            "clients_that_ask_for_diagnostics_get_them",
            clients_that_ask_for_diagnostics_get_them,
        ),
        (
            "documents_without_a_file_are_checked",
            documents_without_a_file_are_checked,
        ),
        (
            "the_life_cycle_follows_the_protocol",
            the_life_cycle_follows_the_protocol,
        ),
        (
            "an_edit_ends_the_requests_about_what_it_rebuilds",
            an_edit_ends_the_requests_about_what_it_rebuilds,
        ),
        (
            "waiting_requests_can_be_cancelled",
            waiting_requests_can_be_cancelled,
        ),
    ];
    trials.extend(others.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    }));
    snapshot::run(trials)
}

/// A test for each path, with the group and the path's name without ending.
fn group(name: &str, paths: Vec<PathBuf>, test: fn(&Path) -> Result<(), Failed>) -> Vec<Trial> {
    let named = paths.into_iter().map(|path| {
        let stem = path.file_stem().unwrap().to_string_lossy();
        Trial::test(format!("{name}::{stem}"), move || test(&path))
    });
    named.collect()
}

/// A copy of a folder, at a path without links.
fn copy(folder: &Path) -> (tempfile::TempDir, PathBuf) {
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().canonicalize().unwrap();
    common::fixes::copy_folder(folder, &path);
    let config = path.join("imgspec.toml");
    if !config.exists() {
        std::fs::write(config, "").unwrap();
    }
    (copy, path)
}

fn check_session(case: &Path) -> Result<(), Failed> {
    let (_copy, folder) = copy(case);
    let found = serde_json::to_string_pretty(&run_session(case, &folder))?;
    let found = found.replace(folder.to_str().unwrap(), "CASE") + "\n";
    // The library's files lie in a folder with the name of their digest.
    let digest = Regex::new("assets/[0-9a-f]{16}/").unwrap();
    let found = digest.replace_all(&found, "assets/DIGEST/").into_owned();
    snapshot::compare(&case.join("expected.json"), &found)
}

// ---- positions ------------------------------------------------------------------------------------------------------

const CURSOR: &str = "<|>";
const TITLE: &str = "=== ";
const OFFERED: &str = ">>>";

/// Types each text of a topic, and compares what completion offers at its cursor.
fn check_positions(topic: &Path) -> Result<(), Failed> {
    let (_copy, folder) = copy(&topic.with_file_name("workspace"));
    std::fs::write(folder.join("typed.imgspec"), "")?;
    let mut desk = Desk::new(Client::start(&folder), &folder);
    desk.open("typed.imgspec");
    let table = std::fs::read_to_string(topic)?;
    let mut found = String::new();
    for case in table.split(TITLE).skip(1) {
        let text: String = case
            .split_inclusive('\n')
            .skip(1)
            .filter(|line| !line.starts_with(OFFERED))
            .collect();
        let text = text.trim_end();
        let title = case.lines().next().unwrap_or_default();
        let (before, behind) = text
            .split_once(CURSOR)
            .ok_or(format!("{title}: no cursor"))?;
        let old = desk.open[&desk.name].0.len();
        desk.edit(0..old, &format!("{before}{behind}\n"));
        desk.found();
        let offered = desk.ask("textDocument/completion", before.len(), &Value::Null);
        let offered = summary(&offered);
        found += &format!("{TITLE}{title}\n{text}\n{OFFERED} {offered}\n\n");
    }
    assert_eq!(desk.client.end(), Some(0));
    snapshot::compare(topic, &(found.trim_end().to_owned() + "\n"))
}

/// The kinds of items in their order, each with its first labels.
fn summary(offered: &Value) -> String {
    const SHOWN: usize = 3;
    // Numbers of the protocol's `CompletionItemKind`.
    let word = |kind: &Value| match kind.as_u64() {
        Some(3) => "functions",
        Some(6) => "variables",
        Some(7) => "layers and images",
        Some(9) => "providers",
        Some(10) => "settings",
        Some(12) => "values",
        Some(14) => "keywords",
        Some(17) => "files",
        Some(19) => "folders",
        Some(20) => "words",
        Some(23) => "rules",
        Some(25) => "types",
        _ => panic!("a kind without a name: {kind}"),
    };
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for item in offered.as_array().into_iter().flatten() {
        let (kind, label) = (word(&item["kind"]), item["label"].as_str().unwrap());
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, labels)) => labels.push(label),
            None => kinds.push((kind, vec![label])),
        }
    }
    let shown = kinds.iter().map(|(kind, labels)| {
        let more = if labels.len() > SHOWN { ", …" } else { "" };
        let labels = &labels[..labels.len().min(SHOWN)];
        format!("{kind}: {}{more}", labels.join(", "))
    });
    match kinds.is_empty() {
        true => "nothing".to_owned(),
        false => shown.collect::<Vec<_>>().join("; "),
    }
}

// ---- sessions -------------------------------------------------------------------------------------------------------

fn run_session(case: &Path, folder: &Path) -> Value {
    let client = Client::start(folder);
    let mut desk = Desk::new(client, folder);
    let requests = std::fs::read_to_string(case.join("requests.json")).unwrap();
    let requests = requests.replace("CASE", folder.to_str().unwrap());
    let requests: Value = serde_json::from_str(&requests).unwrap();
    let mut out = Vec::new();
    for step in requests.as_array().unwrap() {
        let (what, which) = (step[0].as_str().unwrap(), step[1].as_str().unwrap());
        let mut reply = match what {
            "open" => desk.open(which),
            "change" => {
                let start = desk.open[&desk.name]
                    .0
                    .find(which)
                    .unwrap_or_else(|| panic!("no {which:?}"));
                desk.edit(start..start + which.len(), step[2].as_str().unwrap());
                desk.found()
            }
            "wait" => {
                let uri = desk.uri(which);
                desk.client
                    .wait_until(&uri, &|found| match step[2].as_str() {
                        Some(text) => found["diagnostics"].to_string().contains(text),
                        None => found["diagnostics"] == json!([]),
                    })
            }
            "write" => {
                let path = folder.join(which);
                let kind = match (path.exists(), step[2].as_str()) {
                    (true, Some(_)) => 2,
                    (false, Some(_)) => 1,
                    (_, None) => 3,
                };
                match step[2].as_str() {
                    Some(text) => std::fs::write(&path, text).unwrap(),
                    None => std::fs::remove_file(&path).unwrap(),
                }
                desk.client.published.clear();
                let changes = json!([{ "uri": desk.uri(which), "type": kind }]);
                desk.client.tell(
                    "workspace/didChangeWatchedFiles",
                    json!({ "changes": changes }),
                );
                Value::Null
            }
            "actions" => {
                let (actions, _) = actions(&mut desk, which, step[2].as_str());
                actions
                    .iter()
                    .map(|action| action["title"].clone())
                    .collect()
            }
            "apply" => {
                let (actions, _) = actions(&mut desk, which, step[3].as_str());
                let title = step[2].as_str().unwrap();
                let is_it = |action: &&Value| action["title"].as_str().unwrap().starts_with(title);
                let action = actions.iter().find(is_it);
                let action = action.unwrap_or_else(|| panic!("no {title:?} in {actions:#?}"));
                apply(&mut desk, folder, &action["edit"])
            }
            "lenses" => lenses(&mut desk),
            "supertypes" | "subtypes" => {
                let at = behind(&desk, which);
                let prepared = desk.ask("textDocument/prepareTypeHierarchy", at, &Value::Null);
                let item = json!({ "item": prepared[0] });
                let found = desk.client.ask(&format!("typeHierarchy/{what}"), item);
                let items = found.as_array().unwrap_or_else(|| panic!("{found}"));
                items.iter().map(|item| item["name"].clone()).collect()
            }
            "outgoingCalls" | "incomingCalls" => calls(&mut desk, folder, what, which),
            method => {
                let at = behind(&desk, which);
                desk.ask(method, at, &step[2])
            }
        };
        if let (Some(count), Some(items)) = (step[2].as_u64(), reply.as_array_mut()) {
            items.truncate(count as usize);
        }
        sort_changes(&mut reply);
        out.push(json!({ "step": [what, which], "reply": reply }));
    }
    assert_eq!(desk.client.end(), Some(0));
    Value::Array(out)
}

/// What the layer or image behind a text extends, or what extends it, each with the places of the names: the file, and the
/// lines with `<` and `>` around the name.
fn calls(desk: &mut Desk<'_>, folder: &Path, direction: &str, which: &str) -> Value {
    let at = behind(desk, which);
    let prepared = desk.ask("textDocument/prepareCallHierarchy", at, &Value::Null);
    let item = json!({ "item": prepared[0] });
    let found = desk.client.ask(&format!("callHierarchy/{direction}"), item);
    let root = format!("file://{}/", folder.display());
    let other = if direction == "outgoingCalls" {
        "to"
    } else {
        "from"
    };
    let shown = found.as_array().unwrap().iter().map(|call| {
        let caller = if other == "to" {
            &prepared[0]
        } else {
            &call["from"]
        };
        let uri = caller["uri"].as_str().unwrap();
        let text = match uri.strip_prefix(&root).and_then(|name| desk.open.get(name)) {
            Some((text, _)) => text.clone(),
            None => std::fs::read_to_string(uri.strip_prefix("file://").unwrap()).unwrap(),
        };
        let marked = call["fromRanges"].as_array().unwrap().iter().map(|range| {
            let (start, end) = (offset(&text, &range["start"]), offset(&text, &range["end"]));
            let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
            let rest = text[end..].lines().next().unwrap_or_default();
            let marked = format!("{}<{}>{rest}", &text[line..start], &text[start..end]);
            marked.trim().to_owned()
        });
        let file = Path::new(uri).file_name().unwrap().to_str().unwrap();
        json!([call[other]["name"], file, marked.collect::<Vec<_>>()])
    });
    shown.collect()
}

/// The offset at the end of a text in the document at hand.
fn behind(desk: &Desk<'_>, text: &str) -> usize {
    let all = &desk.open[&desk.name].0;
    all.find(text).unwrap_or_else(|| panic!("no {text:?}")) + text.len()
}

/// The code actions behind a text, or of the selection from there to the end of another.
fn actions(desk: &mut Desk<'_>, from: &str, to: Option<&str>) -> (Vec<Value>, usize) {
    let start = behind(desk, from);
    let text = desk.open[&desk.name].0.clone();
    let mut more = json!({});
    if let Some(to) = to {
        let end = start
            + text[start..]
                .find(to)
                .unwrap_or_else(|| panic!("no {to:?}"))
            + to.len();
        let range = json!({ "start": position(&text, start), "end": position(&text, end) });
        more = json!({ "range": range });
    }
    if to == Some("") {
        more = json!({ "context": { "diagnostics": [], "only": ["source.fixAll"] } });
    }
    let found = desk.ask("textDocument/codeAction", start, &more);
    (found.as_array().cloned().unwrap_or_default(), start)
}

/// Applies an edit to the texts of files: what each then contains, and what is found in the document at hand. Afterwards it has
/// its old text.
fn apply(desk: &mut Desk<'_>, folder: &Path, edit: &Value) -> Value {
    let mut changes: Vec<(String, Vec<Value>)> = Vec::new();
    for (uri, edits) in edit["changes"].as_object().into_iter().flatten() {
        changes.push((uri.clone(), edits.as_array().unwrap().clone()));
    }
    for change in edit["documentChanges"].as_array().into_iter().flatten() {
        if let Some(edits) = change["edits"].as_array() {
            let uri = change["textDocument"]["uri"].as_str().unwrap();
            changes.push((uri.to_owned(), edits.clone()));
        }
    }
    changes.sort_by(|a, b| a.0.cmp(&b.0));
    let mut out = json!({});
    let root = format!("file://{}/", folder.display());
    let mut own = None;
    for (uri, edits) in changes {
        let name = uri.strip_prefix(&root).unwrap().to_owned();
        let old = match desk.open.get(&name) {
            Some((text, _)) => text.clone(),
            None => std::fs::read_to_string(folder.join(&name)).unwrap_or_default(),
        };
        let mut edits: Vec<(usize, usize, String)> = edits
            .iter()
            .map(|edit| {
                let at = |end: &str| offset(&old, &edit["range"][end]);
                (
                    at("start"),
                    at("end"),
                    edit["newText"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        // The first is the last to apply, and of several at one place the first in the list comes first.
        edits.sort_by_key(|(start, ..)| *start);
        let mut new = old.clone();
        for (start, end, text) in edits.iter().rev() {
            new.replace_range(*start..*end, text);
        }
        out[&name] = new.lines().collect();
        if name == desk.name {
            own = Some((old, new));
        } else {
            std::fs::write(folder.join(&name), &new).unwrap();
            let changes = json!([{ "uri": uri, "type": 1 }]);
            desk.client.tell(
                "workspace/didChangeWatchedFiles",
                json!({ "changes": changes }),
            );
        }
    }
    if let Some((old, new)) = own {
        desk.edit(0..old.len(), &new);
        let found = desk.found();
        let found = found["diagnostics"].as_array().unwrap().clone();
        out["found"] = found.iter().map(|one| one["message"].clone()).collect();
        desk.edit(0..new.len(), &old);
        desk.found();
    }
    out
}

/// The offset of a position; columns count UTF-16, which in these texts are bytes.
fn offset(text: &str, position: &Value) -> usize {
    let line = position["line"].as_u64().unwrap() as usize;
    let lines: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    lines + position["character"].as_u64().unwrap() as usize
}

/// The lenses of the document at hand, each with the line that it is above.
fn lenses(desk: &mut Desk<'_>) -> Value {
    let lenses = desk.ask("textDocument/codeLens", 0, &Value::Null);
    let text = desk.open[&desk.name].0.clone();
    let shown = lenses.as_array().unwrap().iter().map(|lens| {
        let resolved = desk.client.ask("codeLens/resolve", lens.clone());
        let line = lens["range"]["start"]["line"].as_u64().unwrap() as usize;
        let title = resolved["command"]["title"].as_str().unwrap();
        json!([text.lines().nth(line).unwrap(), title])
    });
    shown.collect()
}

/// Sorts edits by file: their order is not defined.
fn sort_changes(reply: &mut Value) {
    match reply {
        Value::Array(elements) => elements.iter_mut().for_each(sort_changes),
        Value::Object(map) => {
            map.values_mut().for_each(sort_changes);
            if let Some(Value::Object(changes)) = map.get_mut("changes") {
                changes.sort_keys();
            }
        }
        _ => {}
    }
}

/// Random numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Requests besides completion and hover.
const OTHERS: [&str; 23] = [
    "textDocument/documentHighlight",
    "textDocument/selectionRange",
    "textDocument/linkedEditingRange",
    "textDocument/prepareTypeHierarchy",
    "textDocument/prepareCallHierarchy",
    "textDocument/codeLens",
    "textDocument/diagnostic",
    "textDocument/semanticTokens/full/delta",
    "textDocument/signatureHelp",
    "textDocument/definition",
    "textDocument/references",
    "textDocument/prepareRename",
    "textDocument/rename",
    "textDocument/documentSymbol",
    "workspace/symbol",
    "textDocument/documentLink",
    "textDocument/foldingRange",
    "textDocument/inlayHint",
    "textDocument/semanticTokens/full",
    "textDocument/semanticTokens/range",
    "textDocument/formatting",
    "textDocument/rangeFormatting",
    "textDocument/codeAction",
];

/// An example typed letter by letter, with letters taken back and pieces pasted in the middle. After each stroke the
/// diagnostics come, and replies to a completion, a hover and one other request at the cursor. At the end the
/// diagnostics are those of `imgspec check`.
fn type_example(example: &Path) -> Result<(), Failed> {
    let copy = tempfile::tempdir().unwrap();
    let folder = copy.path().canonicalize().unwrap();
    for entry in common::entries(example.parent().unwrap()) {
        if entry.is_file() {
            std::fs::copy(&entry, folder.join(entry.file_name().unwrap())).unwrap();
        }
    }
    let name = example.file_name().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(example).unwrap();
    std::fs::write(folder.join(&name), "").unwrap();
    let client = Client::start(&folder);
    let mut desk = Desk::new(client, &folder);
    desk.open(&name);
    let seed = name.bytes().fold(0x9e37_79b9_u64, |sum, byte| {
        u64::from(byte).wrapping_add(sum.wrapping_mul(31))
    });
    let mut dice = Dice(seed);
    let letters: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let (mut typed, mut strokes) = (0, 0);
    while typed + 1 < letters.len() {
        let mut stroke = |desk: &mut Desk<'_>, range: Range<usize>, new: &str| {
            let cursor = range.start + new.len();
            desk.edit(range, new);
            desk.found();
            strokes += 1;
            for method in [
                "textDocument/completion",
                "textDocument/hover",
                OTHERS[strokes % OTHERS.len()],
            ] {
                let more = json!({
                    "newName": "other", "query": "a", "previousResultId": "1",
                    "context": { "diagnostics": [], "includeDeclaration": true, "triggerKind": 1, "isRetrigger": false },
                });
                let reply = desk.ask(method, cursor, &more);
                // A refusal with a reason is a valid response.
                let code = reply.get("code").and_then(Value::as_i64);
                assert!(
                    code.is_none_or(|code| code == -32803),
                    "{name}: {method} at {cursor}: {reply}"
                );
            }
        };
        let here = letters[typed];
        match dice.below(20) {
            0 if typed > 0 => {
                let back = 1 + dice.below(typed.min(5));
                typed -= back;
                stroke(&mut desk, letters[typed]..here, "");
            }
            1 => {
                // A piece of the text is pasted somewhere, and removed again.
                let (from, at) = (
                    dice.below(letters.len() - 1),
                    letters[dice.below(typed + 1)],
                );
                let to = (from + 1 + dice.below(40)).min(letters.len() - 1);
                let piece = &text[letters[from]..letters[to]];
                stroke(&mut desk, at..at, piece);
                stroke(&mut desk, at..at + piece.len(), "");
            }
            2 => {
                let to = (typed + 1 + dice.below(60)).min(letters.len() - 1);
                stroke(&mut desk, here..here, &text[here..letters[to]]);
                typed = to;
            }
            _ => {
                stroke(&mut desk, here..here, &text[here..letters[typed + 1]]);
                typed += 1;
            }
        }
    }
    assert_eq!(desk.open[&name].0, text, "the test types the whole text");
    let codes = |diagnostics: &Value, is_wanted: &dyn Fn(&Value) -> bool| {
        let wanted = diagnostics
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| is_wanted(d));
        let mut codes: Vec<String> = wanted
            .map(|d| d["code"].as_str().unwrap().to_owned())
            .collect();
        codes.sort();
        codes
    };
    let said = codes(&desk.found()["diagnostics"], &|_| true);
    std::fs::write(folder.join(&name), &text).unwrap();
    let check = common::run_json(&folder, &["check", &name, "--format", "json"]);
    let path = folder.join(&name);
    let expected = codes(&check["diagnostics"], &|d| {
        d["file"] == path.to_str().unwrap()
    });
    assert_eq!(said, expected, "{name}");
    assert_eq!(desk.client.end(), Some(0));
    Ok(())
}

/// A message that is not valid gets an error. `exit` without `shutdown` gives another exit code.
fn the_life_cycle_follows_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::start(folder.path());
    assert_eq!(client.ask("no/such", json!({}))["code"], -32601);
    assert_eq!(
        client.ask("textDocument/hover", json!({ "wrong": true }))["code"],
        -32602
    );
    client.tell("$/cancelRequest", json!({ "id": 99 }));
    client.tell("textDocument/didChange", json!({ "wrong": true }));
    client.send("{ this is no JSON");
    assert_eq!(client.receive()["error"]["code"], -32700);
    client.send("[]");
    assert_eq!(client.receive()["error"]["code"], -32600);
    assert_eq!(client.ask("shutdown", Value::Null), Value::Null);
    assert_eq!(client.ask("textDocument/hover", json!({}))["code"], -32600);
    client.tell("exit", Value::Null);
    assert_eq!(client.server.wait().unwrap().code(), Some(0));

    let mut client = Client::start(folder.path());
    client.tell("exit", Value::Null);
    assert_eq!(
        client.server.wait().unwrap().code(),
        Some(1),
        "there was no shutdown"
    );
}

/// A client that pulls diagnostics is sent none, hears of new ones in other files, and gets each list once.
fn clients_that_ask_for_diagnostics_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("imgspec.toml", "");
    write("base.imgspec", "layer base { memory = 1 }\n");
    write(
        "mine.imgspec",
        "include \"base.imgspec\"\nlayer mine extends base { wrong = 1 }\n",
    );
    let mut command = common::imgspec(&folder);
    command.env("IMGSPEC_CACHE", folder.join(".cache"));
    let able = json!({
        "/textDocument/diagnostic": {},
        "/workspace/diagnostics": { "refreshSupport": true },
    });
    let mut client = Client::start_able(command, &folder, &able);
    let uri = |name: &str| format!("file://{}/{name}", folder.display());
    let refreshed = |client: &mut Client| {
        let mut messages = std::iter::repeat_with(|| client.receive());
        let refresh = messages
            .find(|message| message["method"] == "workspace/diagnostic/refresh")
            .unwrap();
        json!({ "jsonrpc": "2.0", "id": refresh["id"], "result": null }).to_string()
    };
    let mut all = || client.ask("workspace/diagnostic", json!({ "previousResultIds": [] }));
    // The server answers before it has checked everything.
    let mine = std::iter::repeat_with(|| all()["items"].take())
        .take(10_000)
        .find_map(|items| {
            let mut items = items.as_array().unwrap().iter();
            items
                .find(|report| report["uri"] == uri("mine.imgspec"))
                .cloned()
        })
        .unwrap();
    assert_eq!(mine["kind"], "full");
    assert_eq!(mine["items"][0]["code"], "unknown-variable");
    let known = json!([{ "uri": mine["uri"], "value": mine["resultId"] }]);
    let again = client.ask(
        "workspace/diagnostic",
        json!({ "previousResultIds": known }),
    );
    assert_eq!(again["items"][0]["kind"], "unchanged");

    let document = json!({ "uri": uri("base.imgspec"), "languageId": "imgspec", "version": 1,
        "text": "layer base { wrong_too = 1 }\n" });
    client.tell("textDocument/didOpen", json!({ "textDocument": document }));
    let of = |name: &str| json!({ "textDocument": { "uri": uri(name) } });
    let base = client.ask("textDocument/diagnostic", of("base.imgspec"));
    assert_eq!(base["items"][0]["code"], "unknown-variable");
    let mut params = of("base.imgspec");
    params["previousResultId"] = base["resultId"].clone();
    let again = client.ask("textDocument/diagnostic", params);
    assert_eq!(again["kind"], "unchanged");
    let is_sent = |message: &Value| message["method"] == "textDocument/publishDiagnostics";
    assert!(!client.published.iter().any(is_sent), "they are sent, too");
    // What the change means for other files comes later.
    let document = json!({ "uri": uri("base.imgspec"), "version": 2 });
    let changes = json!([{ "text": "layer other { memory = 1 }\n" }]);
    client.tell(
        "textDocument/didChange",
        json!({ "textDocument": document, "contentChanges": changes }),
    );
    let reply = refreshed(&mut client);
    client.send(&reply);
    let mine = client.ask("textDocument/diagnostic", of("mine.imgspec"));
    assert!(mine["items"].to_string().contains("unknown-name"), "{mine}");
    assert_eq!(client.end(), Some(0));
}

/// The files of an image are documents: they have the text of the last keystroke, lead back to the settings, and mask secrets.
fn outputs_follow_each_keystroke() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("imgspec.toml", "");
    write(
        "mine.imgspec",
        "variable token : string { to = [packer, linux], secret = true }\n\
         layer base { http_proxy = \"http://a\" }\n\
         image node extends rootfs-debian-12, base {\n    token = \"hunter2\"\n    ansible {\n        sites = [\"x\", \"y\"]\n    }\n}\n\
         test \"a proxy\" for node { assert is_set(http_proxy) }\n",
    );
    let mut command = common::imgspec(&folder);
    command.env("IMGSPEC_CACHE", folder.join(".cache"));
    let commands = ["imgspec.showOutput", "imgspec.compare", "imgspec.runTest"];
    let options = json!({ "commands": commands });
    let able = json!({ "/workspace/textDocumentContent": {}, "options": options });
    let mut desk = Desk::new(Client::start_able(command, &folder, &able), &folder);
    desk.open("mine.imgspec");
    let base = format!("imgspec-out:{}/mine.imgspec", folder.display());
    let lenses = desk.ask("textDocument/codeLens", 0, &Value::Null);
    let lenses = lenses.as_array().unwrap().iter();
    let found: Vec<&Value> = lenses.map(|lens| &lens["command"]["arguments"]).collect();
    let output = json!([format!("{base}?node/packer.vars.json")]);
    let spec = desk.uri("mine.imgspec");
    let image = json!([spec, "node"]);
    let test = json!([spec, "a proxy"]);
    assert_eq!(found, [&Value::Null, &Value::Null, &output, &image, &test]);
    let uri = format!("{base}?node/ansible.vars.json");
    let content = |desk: &mut Desk<'_>, uri: &str| {
        let found = desk
            .client
            .ask("workspace/textDocumentContent", json!({ "uri": uri }));
        found["text"].as_str().map(str::to_owned)
    };
    let text = content(&mut desk, &uri).unwrap();
    assert!(text.contains("\"http_proxy\": \"http://a\""), "{text}");
    let packer = content(&mut desk, &format!("{base}?node/packer.vars.json")).unwrap();
    assert!(
        packer.contains("\"token\": \"********\"") && !packer.contains("hunter2"),
        "{packer}"
    );
    for wrong in ["?node/other.json", "?base2/manifest.json", "?node", ""] {
        assert_eq!(
            content(&mut desk, &format!("{base}{wrong}")),
            None,
            "{wrong}"
        );
    }
    let elsewhere = uri.replace("mine.imgspec", "../../etc/passwd");
    assert_eq!(content(&mut desk, &elsewhere), None);

    let line = |text: &str, part: &str| text.lines().position(|line| line.contains(part)).unwrap();
    for (part, expected) in [("http_proxy", 1), ("\"y\"", 5)] {
        let at = json!({ "line": line(&text, part), "character": 3 });
        let at = json!({ "textDocument": { "uri": uri }, "position": at });
        let found = desk.client.ask("textDocument/definition", at.clone());
        assert_eq!(found["range"]["start"]["line"], expected, "{part}: {found}");
        let hover = desk.client.ask("textDocument/hover", at);
        assert!(
            hover["contents"]["value"].to_string().contains("In `node`"),
            "{hover}"
        );
    }

    // Visual Studio Code closes a document and opens it again to give it another language.
    let opened = json!({ "uri": uri, "languageId": "plaintext", "version": 1, "text": text });
    let reopened = json!({ "uri": uri, "languageId": "json", "version": 2, "text": text });
    let closed = json!({ "uri": uri });
    for (method, document) in [
        ("didOpen", opened),
        ("didClose", closed),
        ("didOpen", reopened),
    ] {
        let params = json!({ "textDocument": document });
        desk.client.tell(&format!("textDocument/{method}"), params);
        desk.ask("textDocument/hover", 0, &Value::Null);
    }
    let is_request = |message: &&Value| message.get("id").is_some();
    let asked = desk.client.published.iter().find(is_request);
    assert_eq!(asked, None, "an opened output is as old as its spec");

    let start = desk.open["mine.imgspec"].0.find("http://a").unwrap();
    desk.edit(start..start + 8, "http://b");
    desk.found();
    let mut messages = std::iter::repeat_with(|| desk.client.receive());
    let refresh = messages
        .find(|message| {
            message["method"] == "workspace/textDocumentContent/refresh"
                && message["params"]["uri"] == uri
        })
        .unwrap();
    let reply = json!({ "jsonrpc": "2.0", "id": refresh["id"], "result": null });
    desk.client.send(&reply.to_string());
    let text = content(&mut desk, &uri).unwrap();
    assert!(text.contains("\"http_proxy\": \"http://b\""), "{text}");
    assert_eq!(desk.client.end(), Some(0));
}

/// A document that has no file yet has diagnostics, completion and fixes under its own address.
fn documents_without_a_file_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::fs::write(folder.join("imgspec.toml"), "").unwrap();
    let mut client = Client::start(&folder);
    let uri = "untitled:Untitled-1";
    let text = "image x extends rootfs-debian-12 {\n    kubernetes_semvr = \"v1.24.1\"\n}\n";
    let document = json!({ "uri": uri, "languageId": "imgspec", "version": 1, "text": text });
    client.tell("textDocument/didOpen", json!({ "textDocument": document }));
    let found = client.wait_for(uri, Some(1));
    assert_eq!(
        found["diagnostics"][0]["code"], "unknown-variable",
        "{found}"
    );
    let at = json!({ "line": 1, "character": 8 });
    let document = json!({ "uri": uri });
    let offered = client.ask(
        "textDocument/completion",
        json!({ "textDocument": document, "position": at }),
    );
    assert!(offered.to_string().contains("\"kubernetes_semver\""));
    let actions = client.ask(
        "textDocument/codeAction",
        json!({ "textDocument": document, "range": { "start": at, "end": at }, "context": { "diagnostics": [] } }),
    );
    let changes = &actions[0]["edit"]["changes"];
    assert_eq!(changes[uri][0]["newText"], "kubernetes_semver", "{actions}");
    assert_eq!(client.end(), Some(0));
}

/// The images that an edit would rebuild are known to a client that can list them. Its request ends with the next edit, and
/// when it is cancelled.
fn an_edit_ends_the_requests_about_what_it_rebuilds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("imgspec.toml", "");
    write("base.imgspec", "layer base { extra_debs = [\"jq\"] }\n");
    write(
        "mine.imgspec",
        "include \"base.imgspec\"\nimage mine extends rootfs-debian-12, base {}\nimage other extends rootfs-debian-12 {}\n",
    );
    let mut command = common::imgspec(&folder);
    command.env("IMGSPEC_CACHE", folder.join(".cache"));
    let able = json!({ "options": { "commands": ["imgspec.showImages"] } });
    let mut desk = Desk::new(Client::start_able(command, &folder, &able), &folder);
    desk.open("base.imgspec");
    let start = desk.open["base.imgspec"].0.find("jq").unwrap();
    desk.edit(start..start + 2, "htop");
    desk.found();
    let lens = desk.ask("textDocument/codeLens", 0, &Value::Null)[0].clone();
    let resolved = desk.client.ask("codeLens/resolve", lens.clone());
    assert_eq!(resolved["command"]["title"], "rebuilds 1 of 2 images");
    let range =
        json!({ "start": { "line": 1, "character": 6 }, "end": { "line": 1, "character": 10 } });
    let image = json!({ "name": "mine", "uri": desk.uri("mine.imgspec"), "range": range });
    assert_eq!(resolved["command"]["arguments"], json!([[image]]));

    // The server works on a long text while the other messages arrive.
    let long: String = (0..2000)
        .map(|i| format!("layer l{i} {{ extra_rpms = [\"p{i}\"] }}\n"))
        .collect();
    let document = json!({ "uri": desk.uri("long.imgspec"), "languageId": "imgspec", "version": 1, "text": long });
    let changed = json!({ "uri": desk.uri("base.imgspec"), "version": 9 });
    let changes = json!([{ "text": "layer base {}\n" }]);
    let resolve = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "codeLens/resolve", "params": lens });
    let tell = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
    let messages = [
        tell("textDocument/didOpen", json!({ "textDocument": document })),
        resolve(1000),
        tell(
            "textDocument/didChange",
            json!({ "textDocument": changed, "contentChanges": changes }),
        ),
        resolve(1001),
        tell("$/cancelRequest", json!({ "id": 1001 })),
        resolve(1002),
    ];
    let all: String = messages
        .map(|message| {
            let message = message.to_string();
            format!("Content-Length: {}\r\n\r\n{message}", message.len())
        })
        .concat();
    desk.client.input.write_all(all.as_bytes()).unwrap();
    desk.client.input.flush().unwrap();
    let replies =
        std::iter::repeat_with(|| desk.client.receive()).filter(|m| m.get("id").is_some());
    let mut found: Vec<(u64, Value)> = replies
        .take(3)
        .map(|reply| {
            let outcome = match reply.get("error") {
                Some(error) => error["code"].clone(),
                None => reply["result"]["command"]["title"].clone(),
            };
            (reply["id"].as_u64().unwrap(), outcome)
        })
        .collect();
    found.sort_by_key(|(id, _)| *id);
    let expected = [
        (1000, json!(-32801)),
        (1001, json!(-32800)),
        (1002, json!("rebuilds 1 of 2 images")),
    ];
    assert_eq!(found, expected);
    assert_eq!(desk.client.end(), Some(0));
}

/// A request that is cancelled while it waits gets an error, and the others get their responses in order.
fn waiting_requests_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::start(folder.path());
    let frame = |message: Value| {
        let message = message.to_string();
        format!("Content-Length: {}\r\n\r\n{message}", message.len())
    };
    // The server works on a long text while the other messages arrive.
    let long: String = (0..2000)
        .map(|i| format!("layer l{i} {{ extra_rpms = [\"p{i}\"] }}\n"))
        .collect();
    let uri = format!("file://{}/long.imgspec", folder.path().display());
    let document = json!({ "uri": uri, "languageId": "imgspec", "version": 1, "text": long });
    let open = frame(
        json!({ "jsonrpc": "2.0", "method": "textDocument/didOpen", "params": { "textDocument": document } }),
    );
    let ask = |id: u64| {
        frame(
            json!({ "jsonrpc": "2.0", "id": id, "method": "workspace/symbol", "params": { "query": "" } }),
        )
    };
    let cancel =
        frame(json!({ "jsonrpc": "2.0", "method": "$/cancelRequest", "params": { "id": 1002 } }));
    let all: String = [open]
        .into_iter()
        .chain((1000..1003).map(ask))
        .chain([cancel])
        .collect();
    client.input.write_all(all.as_bytes()).unwrap();
    client.input.flush().unwrap();
    let replies: Vec<Value> = std::iter::repeat_with(|| client.receive())
        .filter(|m| m.get("id").is_some())
        .take(3)
        .collect();
    let cancelled: Vec<&Value> = replies
        .iter()
        .filter(|r| r["error"]["code"] == -32800)
        .collect();
    assert_eq!(
        cancelled.iter().map(|r| &r["id"]).collect::<Vec<_>>(),
        [1002]
    );
    let others: Vec<u64> = replies
        .iter()
        .filter(|r| r.get("result").is_some())
        .map(|r| r["id"].as_u64().unwrap())
        .collect();
    assert_eq!(others, (1000..1002).collect::<Vec<_>>());
    assert_eq!(client.end(), Some(0));
}
