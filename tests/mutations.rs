//! Damaged and spliced projects, through all that the commands do with them: none may panic.
//!
//! A run takes a spec of the repository, splices in pieces of others, deletes, copies and nests some, and does the same
//! to a file that it includes, to a JSON layer and to `imgspec.toml`. Each run has a number that decides all of it:
//! `IMGSPEC_MUTATIONS` says how many there are, `IMGSPEC_MUTATION` with which it begins.

mod common;

use common::editor::{Client, position};
use common::specs::{edit, pick, specs, specs_below, tokens};
use fastrand::Rng;
use imgspec::diagnostic::{self, Diagnostic};
use imgspec::driver::Job;
use imgspec::emit::{Output, emit, show_value};
use imgspec::eval::evaluate;
use imgspec::project::hir::ProviderId;
use imgspec::project::{Program, Request, load};
use imgspec::source::{FileId, Memory};
use imgspec::syntax::{Kind, format, format_range, parse, parse_by_grammar, parse_tree};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// How many runs there are where nobody asks for more: some seconds.
const RUNS: u64 = 90;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

fn runs() -> std::ops::Range<u64> {
    let first = number("IMGSPEC_MUTATION").unwrap_or(0);
    first..first + number("IMGSPEC_MUTATIONS").unwrap_or(RUNS)
}

/// The texts that are mutated, and the pieces of all: each node of their trees.
struct Material {
    texts: Vec<String>,
    json: Vec<String>,
    pieces: Vec<(Kind, String)>,
}

impl Material {
    fn read() -> Material {
        let mut all: Vec<String> = specs().into_iter().map(|(_, text)| text).collect();
        all.extend(
            specs_below(&common::root().join("tests"))
                .into_iter()
                .map(|(_, text)| text),
        );
        let mut pieces = Vec::new();
        for text in &all {
            let tree = parse(FileId(0), text).tree;
            let nodes = (1..tree.len())
                .map(|at| tree.node(at))
                .filter(|n| (2..300).contains(&(n.end - n.start)));
            pieces
                .extend(nodes.map(|n| (n.kind, text[n.start as usize..n.end as usize].to_owned())));
        }
        pieces.sort();
        pieces.dedup();
        let texts = all
            .into_iter()
            .filter(|text| (20..4_000).contains(&text.len()))
            .collect();
        let json = json_below(&common::root().join("tests/cases"));
        Material {
            texts,
            json,
            pieces,
        }
    }

    /// A spec of the repository after some mutations.
    fn spec(&self, random: &mut Rng) -> String {
        let mut text = self.texts[random.usize(..self.texts.len())].clone();
        for _ in 0..random.usize(..6) {
            self.mutate(&mut text, random);
        }
        text
    }

    fn mutate(&self, text: &mut String, random: &mut Rng) {
        let tree = parse(FileId(0), text).tree;
        let node = tree.node(random.usize(..tree.len()));
        let range = node.start as usize..node.end as usize;
        let piece = |random: &mut Rng| self.pieces[random.usize(..self.pieces.len())].1.clone();
        match random.usize(..9) {
            // In the place of a node stands another of its kind, or any.
            0 | 1 => {
                let of_kind: Vec<&String> = self
                    .pieces
                    .iter()
                    .filter(|(kind, _)| *kind == node.kind)
                    .map(|(_, text)| text)
                    .collect();
                if !of_kind.is_empty() {
                    text.replace_range(range, of_kind[random.usize(..of_kind.len())]);
                }
            }
            2 => text.replace_range(range, &piece(random)),
            3 => text.insert_str(range.end, &format!("\n{}\n", piece(random))),
            4 => text.replace_range(range, ""),
            5 => {
                let copy = text[range.clone()].to_owned();
                text.insert_str(
                    range.end,
                    &format!("{}{copy}", pick(random, &["\n", " ", "", ", "])),
                );
            }
            6 => {
                let (open, close) = WRAPS[random.usize(..WRAPS.len())];
                let inner = text[range.clone()].to_owned();
                text.replace_range(range, &format!("{open}{inner}{close}"));
            }
            7 => text.truncate(range.end),
            _ => edit(text, random),
        }
    }

    fn json(&self, random: &mut Rng) -> String {
        let mut text = self.json[random.usize(..self.json.len())].clone();
        for _ in 0..random.usize(..4) {
            edit(&mut text, random);
        }
        text
    }
}

const WRAPS: [(&str, &str); 20] = [
    ("when os_family == \"debian\" { ", " }"),
    ("when provider in [\"qemu\"] {\n", "\n}"),
    ("defaults {\n", "\n}"),
    ("target {\n", "\n}"),
    ("ansible {\n", "\n}"),
    ("packer {\n", "\n}"),
    ("image wrapped extends qemu-ubuntu-2004 {\n", "\n}\n"),
    ("provider wrapped {\n", "\n}\n"),
    ("rule wrapped { deny = ", ", message = \"no\" }"),
    ("probe wrapped { run = [", "] }"),
    ("test \"wrapped\" for * {\n", "\n}\n"),
    ("with { ", " }"),
    ("assert ", " because \"wrapped\""),
    ("variable wrapped : string = ", " { secret = true }\n"),
    ("[", "]"),
    ("{ a = ", " }"),
    ("if os_family == \"debian\" then ", " else 1"),
    ("join(", ", \"\")"),
    ("\"${", "}\""),
    ("unset ", ""),
];

fn json_below(folder: &Path) -> Vec<String> {
    let mut out = Vec::new();
    for path in common::entries(folder) {
        if path.is_dir() {
            out.extend(json_below(&path));
        } else if path.extension().is_some_and(|e| e == "json") {
            out.extend(
                std::fs::read_to_string(&path)
                    .ok()
                    .filter(|text| text.len() < 4_000),
            );
        }
    }
    out
}

/// A project in memory: a spec, what it includes, a JSON layer, a var file, an `imgspec.toml`.
fn project(material: &Material, random: &mut Rng) -> Vec<(&'static str, String)> {
    let main = material.spec(random);
    let include = [
        "",
        "include \"b.imgspec\"\n",
        "include \"b.imgspec\"\ninclude \"v.json\" as given\n",
    ];
    // One text as two layers.
    let again = ["", "include \"v.json\" as given-again\n"];
    let mut config = "allow = [\"no-effect\"]\ndeny = [\"deprecated-name\"]\n".to_owned();
    for _ in 0..random.usize(..3) {
        edit(&mut config, random);
    }
    vec![
        ("a.imgspec", format!("{}{main}", pick(random, &include))),
        (
            "b.imgspec",
            format!("{}{}", pick(random, &again), material.spec(random)),
        ),
        ("v.json", material.json(random)),
        ("w.json", material.json(random)),
        ("imgspec.toml", config),
    ]
}

/// All that the commands compute, without their arguments and their printing.
fn use_all(files: &[(&'static str, String)], random: &mut Rng) {
    let folder = Path::new("/project");
    let disk = Memory(
        files
            .iter()
            .map(|(name, text)| (folder.join(name), text.clone()))
            .collect(),
    );
    let mut request = Request {
        specs: vec![folder.join("a.imgspec")],
        ..Request::default()
    };
    if random.usize(..2) == 0 {
        request.specs.push(folder.join("b.imgspec"));
    }
    if random.usize(..3) == 0 {
        request.var_files.push(folder.join("w.json"));
        request.set.push(
            pick(
                random,
                &[
                    "memory=1",
                    "extra_rpms=a b",
                    "x",
                    "=",
                    "os_family=",
                    "memory={{",
                ],
            )
            .to_owned(),
        );
    }
    let program = load(&disk, &request);
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: random.usize(..2) == 0,
    };
    let images: Vec<_> = program
        .specs
        .iter()
        .flatten()
        .flat_map(|file| program.images_of(*file))
        .collect();
    let images = &images[..images.len().min(6)];
    let other = random.usize(..program.providers.len().max(1)) as u32;
    let provider = (random.usize(..5) == 0).then_some(ProviderId(other));
    let job = Job {
        loader: &disk,
        program: &program,
        images,
        provider,
        output: &output,
    };
    let (artifacts, found) = job.compile();
    assert_eq!(job.check(), found, "checking finds what compiling finds");
    for image in &artifacts {
        assert_eq!(image.files().len(), 3);
    }
    let found = program.diagnostics.iter().cloned().chain(found).collect();
    render(
        &program,
        &program
            .configs
            .apply(&program.sources, diagnostic::merge(found)),
    );
    for id in images.iter().take(2) {
        let Ok(image) = evaluate(&program, *id, provider) else {
            continue;
        };
        drop(emit(&image, &output));
        for id in image.ids().to_vec() {
            let settings = image.all_settings(id);
            for active in settings {
                assert!(!image.layer_name(active.layer).is_empty());
                drop(image.setting_value(active.setting).as_ref().map(show_value));
                image.is_redundant(active.setting);
            }
            drop((
                image.default_value(id),
                image.dependencies(id),
                image.winner(id),
                image.applies(id),
            ));
        }
    }
    for (_, text) in files.iter().filter(|(name, _)| name.ends_with(".imgspec")) {
        let formatted = format(text);
        assert_eq!(format(&formatted), formatted, "what is formatted stays");
        let tree = parse(FileId(0), text).tree;
        let node = tree.node(random.usize(..tree.len()));
        format_range(text, node.start as usize..node.end as usize);
    }
}

fn render(program: &Program, found: &[Diagnostic]) {
    let sources = &program.sources;
    diagnostic::render_rich(found, sources, 80, true);
    diagnostic::render_plain(found, sources);
    diagnostic::render_short(found, sources);
    diagnostic::render_json(found, sources);
}

fn show(files: &[(&'static str, String)]) -> String {
    files
        .iter()
        .map(|(name, text)| format!("==== {name}\n{text}\n"))
        .collect()
}

/// `src/syntax/plain.rs` reads ordinary text without the grammar.
#[test]
fn the_shortcut_reads_what_the_grammar_reads() {
    let material = Material::read();
    let compare = |text: &str| {
        if let Some(expected) = parse_by_grammar(text) {
            assert!(parse_tree(text) == expected, "the trees differ:\n{text}");
        }
    };
    material.texts.iter().for_each(|text| compare(text));
    let runs = runs();
    for run in runs.start..runs.start + 30 * (runs.end - runs.start) {
        let mut random = Rng::with_seed(run);
        let pair = [material.spec(&mut random), material.spec(&mut random)];
        compare(&pair.concat());
    }
}

/// Texts in which any tokens follow each other, also those that the grammar knows only as mistakes.
#[test]
fn the_shortcut_reads_what_the_grammar_reads_of_any_tokens() {
    let tokens = tokens();
    let heads = [
        "",
        "image a extends b {",
        "layer a { when b {",
        "layer a { ansible {",
        "layer a { x = ",
        "layer a { x = [",
        "layer a { x = {",
        "layer a { x = \"${",
        "rule a {",
        "provider a {",
        "variable a : int = ",
        "variable a : int {",
        "type a = ",
    ];
    let runs = runs();
    for run in runs.start..runs.start + 300 * (runs.end - runs.start) {
        let mut random = Rng::with_seed(run);
        let mut text = pick(&mut random, &heads).to_owned();
        for _ in 0..random.usize(1..10) {
            text.push_str(&tokens[random.usize(..tokens.len())]);
            text.push_str(pick(&mut random, &["", "", " "]));
        }
        for _ in 0..random.usize(..3) {
            text.push_str(pick(&mut random, &[" }", "\n}\n", "]", ")", "\""]));
        }
        if let Some(expected) = parse_by_grammar(&text) {
            let is_same = parse_tree(&text) == expected;
            assert!(is_same, "run {run}: the trees differ:\n{text:?}");
        }
    }
}

#[test]
fn the_compiler_survives_mutations() {
    // As much stack as a program's first thread has.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
        let material = Material::read();
        let mut broken = Vec::new();
        for run in runs() {
            let mut random = Rng::with_seed(run);
            let files = project(&material, &mut random);
            if catch_unwind(AssertUnwindSafe(|| use_all(&files, &mut random))).is_err() {
                broken.push(run);
                eprintln!("run {run}:\n{}", show(&files));
            }
        }
        assert!(
            broken.is_empty(),
            "runs {broken:?}; IMGSPEC_MUTATION=RUN IMGSPEC_MUTATIONS=1 repeats one"
        );
    });
    thread.unwrap().join().unwrap();
}

/// The program itself, for what its commands add: arguments, printing, writing.
#[test]
fn the_commands_survive_mutations() {
    let material = Material::read();
    for run in runs().step_by(15) {
        let mut random = Rng::with_seed(run);
        let files = project(&material, &mut random);
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in &files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let commands: [&[&str]; 9] = [
            &["check", "a.imgspec", "--format", "rich"],
            &["check", "w.json"],
            &["show", "a.imgspec"],
            &["show", "b.imgspec", "os_family"],
            &["list"],
            &["graph", "--format", "svg"],
            &["report", "a.imgspec"],
            &["compile", "a.imgspec", "--out", "out"],
            &["fmt", "a.imgspec", "b.imgspec"],
        ];
        for command in commands {
            let output = common::run(folder.path(), command);
            let code = output.status.code();
            assert!(
                matches!(code, Some(0..=2)),
                "run {run}: {command:?} ended with {code:?}\n{}{}",
                String::from_utf8_lossy(&output.stderr),
                show(&files)
            );
        }
    }
}

/// The language server, asked everything at any place of texts that are damaged.
#[test]
fn the_language_server_survives_mutations() {
    const METHODS: [&str; 17] = [
        "textDocument/completion",
        "textDocument/hover",
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
    let material = Material::read();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join("imgspec.toml"), "").unwrap();
    std::fs::write(root.join("b.imgspec"), "").unwrap();
    std::fs::write(root.join("v.json"), "{ }").unwrap();
    let mut client = Client::start(&root);
    let uri = |name: &str| format!("file://{}", root.join(name).display());
    for name in ["a.imgspec", "b.imgspec", "v.json"] {
        let language = if name.ends_with("json") {
            "json"
        } else {
            "imgspec"
        };
        let document =
            json!({ "uri": uri(name), "languageId": language, "version": 1, "text": "" });
        client.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }
    for (version, run) in runs().step_by(5).enumerate() {
        let mut random = Rng::with_seed(run);
        let files = project(&material, &mut random);
        client.published.clear();
        for (name, text) in files.iter().take(3) {
            let document = json!({ "uri": uri(name), "version": version + 2 });
            let change = json!({ "textDocument": document, "contentChanges": [{ "text": text }] });
            client.tell("textDocument/didChange", change);
        }
        for method in METHODS {
            let (name, text) = &files[random.usize(..3)];
            let place = |random: &mut Rng| {
                let at = common::specs::floor_boundary(text, random.usize(..text.len() + 1));
                match random.usize(..20) {
                    0 => json!({ "line": u32::MAX, "character": u32::MAX }),
                    1 => json!({ "line": 0, "character": u32::MAX }),
                    _ => position(text, at),
                }
            };
            let params = json!({
                "textDocument": { "uri": uri(name) },
                "position": place(&mut random),
                "range": { "start": place(&mut random), "end": place(&mut random) },
                "context": { "diagnostics": [], "includeDeclaration": true, "triggerKind": 1, "isRetrigger": false },
                "options": { "tabSize": 4, "insertSpaces": true },
                "newName": "other", "query": "a",
            });
            let sent = json!({ "run": run, "method": method, "params": params });
            let answer = catch_unwind(AssertUnwindSafe(|| client.ask(method, params)));
            let answer = answer.unwrap_or_else(|_| panic!("{sent}\n{}", show(&files)));
            let code = answer.get("code").and_then(Value::as_i64);
            assert!(code.is_none_or(|code| code == -32803), "{sent}: {answer}");
        }
    }
    assert_eq!(client.end(), Some(0));
}
