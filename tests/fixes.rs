//! What a finding offers as a repair repairs it.
//!
//! `tests/mistakes/KIND.txt` holds small specs with one mistake each, between lines `---`. Its first line,
//! `#: CODE: WORDS`, says what must be found: one finding and no other, with these words somewhere in it. Its fix
//! leaves a text without any finding; after a line `#: no fix` it has none.
//!
//! Every fix of every finding that the other tests' data give is tried as well: those of `tests/mistakes`,
//! `tests/cases`, `tests/rules` and of what `docs/codes` shows as wrong.

mod common;

use common::fixes::{apply, copy_folder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

struct Mistake {
    name: String,
    code: String,
    words: String,
    has_fix: bool,
    text: String,
}

fn mistakes() -> Vec<Mistake> {
    let mut out = Vec::new();
    for path in common::files(&common::root().join("tests/mistakes"), "txt") {
        let text = fs::read_to_string(&path).unwrap();
        let mut line = 1;
        for part in text.split_inclusive("---\n") {
            let name = format!("{}:{line}", path.file_name().unwrap().to_string_lossy());
            line += part.lines().count();
            let text = part.strip_suffix("---\n").unwrap_or(part);
            let (first, _) = text.split_once('\n').unwrap();
            let (code, words) = first.strip_prefix("#: ").unwrap().split_once(": ").unwrap();
            out.push(Mistake {
                name,
                code: code.to_owned(),
                words: words.to_owned(),
                has_fix: !text.contains("\n#: no fix\n"),
                text: text.to_owned(),
            });
        }
    }
    out
}

fn check(folder: &Path, args: &[String]) -> Vec<Value> {
    let mut command = common::imgspec(folder);
    for arg in args {
        match arg
            .split_once('=')
            .filter(|(name, _)| *name == "PACKER_VAR_FILES")
        {
            Some((name, value)) => drop(command.env(name, value.replace('+', " "))),
            None => drop(command.arg(arg)),
        }
    }
    let output = command.args(["--format", "json"]).output().unwrap();
    // A command that failed for another reason than findings prints none.
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    found["diagnostics"].as_array().cloned().unwrap_or_default()
}

fn shown(found: &[Value]) -> String {
    let one = |d: &Value| {
        let titles: Vec<_> = d["fixes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["title"].to_string())
            .collect();
        format!(
            "\n    {}:{}: {} [{}] ({}) {titles:?}",
            d["line"], d["column"], d["message"], d["label"], d["help"]
        )
    };
    found.iter().map(one).collect()
}

#[test]
fn a_mistake_is_one_finding_and_its_fix_makes_the_text_right() {
    let mut problems = Vec::new();
    let mistakes = mistakes();
    assert!(mistakes.len() > 60, "only {}", mistakes.len());
    for mistake in &mistakes {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().canonicalize().unwrap();
        let path = folder.join("spec.imgspec");
        fs::write(&path, &mistake.text).unwrap();
        let args = ["check".to_owned(), "spec.imgspec".to_owned()];
        let found = check(&folder, &args);
        let [one] = &found[..] else {
            problems.push(format!(
                "{}: {} findings: {}",
                mistake.name,
                found.len(),
                shown(&found)
            ));
            continue;
        };
        let says =
            ["message", "label", "help"].map(|field| one[field].as_str().unwrap_or("").to_owned());
        let fixes = one["fixes"].as_array().unwrap();
        let titles = fixes
            .iter()
            .map(|fix| fix["title"].as_str().unwrap().to_owned());
        let all = says
            .into_iter()
            .chain(titles)
            .collect::<Vec<_>>()
            .join("\n");
        if one["code"] != mistake.code.as_str() || !all.contains(&mistake.words) {
            problems.push(format!(
                "{}: says something else: {}",
                mistake.name,
                shown(&found)
            ));
        }
        if fixes.is_empty() == mistake.has_fix {
            problems.push(format!(
                "{}: {} fixes: {}",
                mistake.name,
                fixes.len(),
                shown(&found)
            ));
        }
        for fix in fixes {
            fs::write(&path, &mistake.text).unwrap();
            apply(fix);
            let left = check(&folder, &args);
            if !left.is_empty() {
                let text = fs::read_to_string(&path).unwrap();
                problems.push(format!(
                    "{}: {} leaves {}\n{text}",
                    mistake.name,
                    fix["title"],
                    shown(&left)
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Folders of files with the arguments of the commands that check them.
fn projects() -> Vec<(String, tempfile::TempDir, Vec<Vec<String>>)> {
    let mut out = Vec::new();
    let all = || vec![vec!["check".to_owned(), ".".to_owned()]];
    for case in common::entries(&common::root().join("tests/cases")) {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&case, &folder.path().join("case"));
        let commands = fs::read_to_string(case.join("cmd")).unwrap();
        let checks = commands.lines().filter_map(check_of).collect();
        out.push((case.display().to_string(), folder, checks));
    }
    for path in common::files(&common::root().join("tests/rules"), "imgspec") {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(path.parent().unwrap(), &folder.path().join("case"));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        out.push((
            path.display().to_string(),
            folder,
            vec![vec!["check".to_owned(), name]],
        ));
    }
    for (page, files) in common::pages::wrong() {
        let folder = tempfile::tempdir().unwrap();
        common::pages::write(&folder.path().join("case"), &files);
        out.push((page, folder, all()));
    }
    out
}

/// The words of a command as those of a `check`; none for a command that reads no specs.
fn check_of(line: &str) -> Option<Vec<String>> {
    let line = line.split(" | ").next()?;
    let mut words: Vec<String> = Vec::new();
    let mut given = line.split_whitespace();
    while let Some(word) = given.next() {
        match word {
            "--format" | "--out" => drop(given.next()),
            "--stdout" | "--portable" | "--check" | "--json" => {}
            "compile" => words.push("check".to_owned()),
            _ => words.push(word.to_owned()),
        }
    }
    words.iter().any(|word| word == "check").then_some(words)
}

/// How often each error was found.
fn errors(found: &[Value]) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for d in found.iter().filter(|d| d["severity"] == "error") {
        *out.entry(format!(
            "{}: {}",
            d["code"].as_str().unwrap(),
            d["message"].as_str().unwrap()
        ))
        .or_default() += 1;
    }
    out
}

#[test]
fn every_fix_removes_its_finding_and_adds_no_error() {
    let mut problems = Vec::new();
    let mut tried = 0;
    for (name, folder, commands) in projects() {
        let case = folder.path().canonicalize().unwrap().join("case");
        let kept = folder.path().join("kept");
        copy_folder(&case, &kept);
        for args in commands {
            let found = check(&case, &args);
            for finding in &found {
                for fix in finding["fixes"].as_array().unwrap() {
                    tried += 1;
                    apply(fix);
                    let left = check(&case, &args);
                    fs::remove_dir_all(&case).unwrap();
                    copy_folder(&kept, &case);
                    if let Some(problem) = worse(finding, &found, &left) {
                        problems.push(format!("{name} {args:?}: {}: {problem}", fix["title"]));
                    }
                }
            }
        }
    }
    assert!(
        problems.is_empty(),
        "{} of {tried}:\n{}",
        problems.len(),
        problems.join("\n")
    );
    assert!(tried > 100, "only {tried} fixes");
}

/// What is wrong with what is left behind a fix.
fn worse(finding: &Value, before: &[Value], after: &[Value]) -> Option<String> {
    let same = |found: &[Value]| {
        let is_it = |d: &&Value| d["code"] == finding["code"] && d["message"] == finding["message"];
        found.iter().filter(is_it).count()
    };
    if same(after) >= same(before) {
        return Some(format!("{} is still there", finding["message"]));
    }
    let message = finding["message"].as_str().unwrap();
    let is_same_slip = |e: &str| {
        e.starts_with("unknown-variable: ") && message.contains(e.split('`').nth(1).unwrap())
    };
    let (before, after) = (errors(before), errors(after));
    let new: Vec<_> = after
        .iter()
        .filter(|(e, n)| before.get(*e).is_none_or(|b| *n > b))
        // Rules and conditions are silent over what could not be read; and the same name may be wrong elsewhere.
        .filter(|(e, _)| {
            !e.starts_with("rule-violated: ") && !e.starts_with("unset-fact: ") && !is_same_slip(e)
        })
        .collect();
    (!new.is_empty()).then(|| format!("{new:?} came"))
}
