//! The documents show what is so.
//!
//! A code block in `docs/codes/CODE.md`, `docs/language.md` or `docs/policy.md` names its file after its language (`spec.imgspec` if it
//! names none) and its verdict, `wrong` or `right`. A block without a verdict belongs to both. A wrong spec gives the
//! page's code, and a right one gives no diagnostic.
//!
//! The tutorial and the guides are run: `tests/common/console.rs` says how.
//!
//! `tests/pages/CODE.txt` contains the wrong specs of a page and their diagnostics.
//! `IMGSPEC_BLESS=1 cargo test --test pages` rewrites these files, and what commands print in the tutorial and the guides.
//! `cargo test --test pages CODE` checks one page.

mod common;

use common::console;
use common::pages::{blocks, projects};
use common::snapshot;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use walkdir::WalkDir;

/// Pages without a wrong spec: the diagnostic depends on the output folder, and `tests/cases/checkout` has it; on a built
/// image, and `tests/probe` has it; or on a date or the command `test`, and `tests/cases/waivers` and `tests/cases/tests` have
/// it.
const WITHOUT_WRONG: [&str; 4] = [
    "native-output",
    "probe-failed",
    "test-failed",
    "waiver-expired",
];

fn main() -> ExitCode {
    let mut trials = snapshot::trials(pages(), check_page);
    trials.extend(snapshot::trials(walks(), |page| {
        let text = std::fs::read_to_string(page)?;
        snapshot::compare(page, &console::run_page(&text)?)
    }));
    let others: [(&str, fn()); 5] = [
        (
            "every_command_in_a_shell_block_exists",
            every_command_in_a_shell_block_exists,
        ),
        ("every_snapshot_has_a_page", every_snapshot_has_a_page),
        ("the_language_is_as_described", the_language_is_as_described),
        (
            "the_readme_shows_a_sound_spec",
            the_readme_shows_a_sound_spec,
        ),
        (
            "json_has_the_documented_forms",
            json_has_the_documented_forms,
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

fn pages() -> Vec<PathBuf> {
    common::files(&common::root().join("docs/codes"), "md")
}

/// The pages whose commands are run.
fn walks() -> Vec<PathBuf> {
    let docs = common::root().join("docs");
    let mut pages = common::files(&docs.join("guides"), "md");
    pages.push(docs.join("tutorial.md"));
    pages
}

fn snapshots() -> PathBuf {
    common::root().join("tests/pages")
}

/// Checks the specs of a page, and compares the diagnostics of the wrong ones with their snapshot.
fn check_page(page: &Path) -> Result<(), Failed> {
    let code = page.file_stem().unwrap().to_str().unwrap();
    let text = std::fs::read_to_string(page)?;
    let blocks = blocks(&text);
    let (wrong, right) = (projects(&blocks, "wrong"), projects(&blocks, "right"));
    assert_eq!(
        wrong.is_empty(),
        WITHOUT_WRONG.contains(&code),
        "the page has a wrong spec"
    );
    assert_eq!(
        right.is_empty(),
        WITHOUT_WRONG.contains(&code),
        "the page has a right spec"
    );
    if wrong.is_empty() {
        return Ok(());
    }
    for files in &wrong {
        let found = check(files);
        let has_code = found.iter().any(|d| d["code"] == code);
        assert!(
            has_code,
            "a wrong spec gives no `{code}`: {files:?}: {}",
            shown(&found)
        );
    }
    for files in &right {
        let found = check(files);
        assert!(
            found.is_empty(),
            "a right spec gives diagnostics: {files:?}: {}",
            shown(&found)
        );
    }
    let rendered: Vec<String> = wrong.iter().map(render).collect();
    snapshot::compare(
        &snapshots().join(format!("{code}.txt")),
        &rendered.join("\n"),
    )
}

fn every_snapshot_has_a_page() {
    for snapshot in common::entries(&snapshots()) {
        let page = Path::new("docs/codes")
            .join(snapshot.file_name().unwrap())
            .with_extension("md");
        let is_there = common::root().join(&page).is_file();
        assert!(is_there, "{} has no {}", snapshot.display(), page.display());
    }
}

fn the_language_is_as_described() {
    for (page, least) in [("language.md", 3), ("policy.md", 2)] {
        let text = std::fs::read_to_string(common::root().join("docs").join(page)).unwrap();
        let blocks = blocks(&text);
        let projects = projects(&blocks, "right");
        assert!(projects.len() >= least);
        for files in projects {
            let found = check(&files);
            assert!(found.is_empty(), "{files:?}: {}", shown(&found));
        }
    }
}

fn the_readme_shows_a_sound_spec() {
    let text = std::fs::read_to_string(common::root().join("README.md")).unwrap();
    let blocks = blocks(&text);
    let spec = &blocks
        .iter()
        .find(|b| b.text.contains("image "))
        .unwrap()
        .text;
    let config = &blocks
        .iter()
        .find(|b| b.text.contains("release = "))
        .unwrap()
        .text;
    let files = [
        ("imgspec.toml", config.as_str()),
        ("spec.imgspec", spec.as_str()),
        ("corp.imgspec", "layer corp { }"),
    ];
    let found = check(&files.into());
    assert!(found.is_empty(), "{}", shown(&found));
}

/// The examples of `docs/json.md`, against what the commands print for the specs that they speak of.
fn json_has_the_documented_forms() {
    let text = std::fs::read_to_string(common::root().join("docs/json.md")).unwrap();
    let blocks = blocks(&text);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("photon.imgspec");
    let run = |variable: &str, args: &[&str]| {
        let spec = format!(
            "image photon extends node-ova-local-photon-3 {{\n    {variable} = [\"nfs-utils\", \"net-tools\"]\n}}\n"
        );
        std::fs::write(&path, spec).unwrap();
        common::run_json(folder.path(), args)
    };
    let found = [
        run(
            "extra_rpm",
            &["check", "--format", "json", "photon.imgspec"],
        ),
        run("extra_rpms", &["compile", "--stdout", "photon.imgspec"]),
        run(
            "extra_rpms",
            &["show", "--json", "photon.imgspec", "extra_rpms"],
        ),
    ];
    assert_eq!(blocks.len(), found.len());
    for (block, found) in blocks.iter().zip(found) {
        let documented = block
            .text
            .replace("/home/me/images/photon.imgspec", path.to_str().unwrap());
        let documented: Value = serde_json::from_str(&documented).unwrap();
        assert!(
            holds(&found, &documented),
            "documented:\n{documented:#}\nfound:\n{found:#}"
        );
    }
}

/// A block `sh` has commands that a test cannot run, such as builds. Their subcommands and options exist.
fn every_command_in_a_shell_block_exists() {
    let root = common::root();
    let pages = WalkDir::new(root.join("docs"))
        .into_iter()
        .map(Result::unwrap);
    let mut pages: Vec<PathBuf> = pages.map(|entry| entry.into_path()).collect();
    pages.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    pages.push(root.join("README.md"));
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let mut commands = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for (words, line) in text.split("\n```sh\n").skip(1).flat_map(imgspec_commands) {
            let help = helps.entry(words[0].clone()).or_insert_with(|| {
                let output = common::run(root, &[&words[0], "--help"]);
                String::from_utf8(output.stdout).unwrap()
            });
            commands += 1;
            let is_known = |word: &&String| {
                let option = word.split('=').next().unwrap();
                help.split([' ', ',', '\n']).any(|known| known == option)
            };
            let options = words.iter().filter(|word| word.starts_with("--"));
            assert!(!help.is_empty(), "{}: {line}", page.display());
            for option in options {
                assert!(is_known(&option), "{}: {line}: {option}", page.display());
            }
        }
    }
    assert!(commands > 15, "only {commands} commands");
}

/// The words behind `imgspec` in the lines of a block, up to the next program, each with its line.
fn imgspec_commands(text: &str) -> Vec<(Vec<String>, String)> {
    let block = text.split("\n```").next().unwrap();
    let block = block.replace("\\\n", " ");
    let mut out = Vec::new();
    for line in block.lines() {
        let Some(words) = shlex::split(line) else {
            panic!("an open quote: {line}");
        };
        for (at, word) in words.iter().enumerate() {
            let words = words[at + 1..].iter();
            let words = words.take_while(|word| !["&&", "|", ";", "#"].contains(&word.as_str()));
            let words: Vec<String> = words.cloned().collect();
            if word == "imgspec" && words.first().is_some_and(|word| !word.starts_with('-')) {
                out.push((words, line.to_owned()));
            }
        }
    }
    out
}

/// Whether a value has everything that another has.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|w| holds(w, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| holds(w, p))
        }
        _ => whole == part,
    }
}

/// Returns the diagnostics of `imgspec check .` in a folder that contains these files.
fn check(files: &BTreeMap<&str, &str>) -> Vec<Value> {
    let outer = tempfile::tempdir().unwrap();
    let project = write_project(outer.path(), files);
    let found = common::run_json(&project, &["check", ".", "--format", "json"]);
    found["diagnostics"].as_array().unwrap().clone()
}

/// Returns the files, and what `imgspec check .` prints for them.
fn render(files: &BTreeMap<&str, &str>) -> String {
    let temporary = tempfile::tempdir().unwrap();
    let outer = temporary.path().canonicalize().unwrap();
    let project = write_project(&outer, files);
    let args = ["check", ".", "--format", "plain"];
    let output = common::run(&project, &args);
    let mut out = String::new();
    for (path, text) in files {
        writeln!(out, "==== {path}\n{text}").unwrap();
    }
    writeln!(out, "==== imgspec {}", args.join(" ")).unwrap();
    common::exit_code(&output);
    for stream in [output.stdout, output.stderr] {
        out.push_str(&String::from_utf8(stream).unwrap());
    }
    out.replace(outer.to_str().unwrap(), "FOLDER")
}

/// Writes the files to a project in a folder, and returns the project's folder. A path may lead out of the project.
fn write_project(outer: &Path, files: &BTreeMap<&str, &str>) -> PathBuf {
    let project = outer.join("project");
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    common::pages::write(&project, &files);
    project
}

fn shown(found: &[Value]) -> String {
    found
        .iter()
        .map(|d| {
            format!(
                "\n    {}:{}: {}: {}",
                d["file"], d["line"], d["code"], d["message"]
            )
        })
        .collect()
}
