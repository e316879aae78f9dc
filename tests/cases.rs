//! What a person sees: a folder a case.
//!
//! `tests/cases/NAME/` holds specs and `cmd`, the arguments of one or more runs, a line each, with
//! `VAR=value` words before them for the environment, and `CD=folder` for the folder below that it runs in. What they print, with exit codes, is in
//! `expected.txt`; behind a `|` stand the words of which a printed line must have one to be kept.
//! `IMGSPEC_BLESS=1 cargo test --test cases` writes it anew.

mod common;

use std::fmt::Write;
use std::path::Path;

#[test]
fn cases_print_what_they_should() {
    let bless = std::env::var_os("IMGSPEC_BLESS").is_some();
    let mut problems = Vec::new();
    let cases = common::entries(&common::root().join("tests/cases"));
    for case in &cases {
        let found = run_case(case);
        let expected = case.join("expected.txt");
        if bless {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            problems.push(format!("==== {}\n{found}", case.display()));
        }
    }
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    assert!(
        problems.is_empty(),
        "{} cases print something else:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// Runs a case in a copy of its folder, so that what it writes stays out of the repository.
fn run_case(case: &Path) -> String {
    let copy = tempfile::tempdir().unwrap();
    let folder = copy.path().canonicalize().unwrap().join("case");
    common::fixes::copy_folder(case, &folder);
    let commands = std::fs::read_to_string(case.join("cmd")).unwrap();
    let mut out = String::new();
    for line in commands.lines() {
        let mut command = common::imgspec(&folder);
        command.env("IMGSPEC_CACHE", copy.path().join("cache"));
        let (arguments, filter) = line.split_once(" | ").unwrap_or((line, ""));
        for word in shlex::Shlex::new(arguments) {
            match word.split_once('=') {
                Some(("CD", below)) => {
                    command.current_dir(folder.join(below));
                }
                Some((name, value)) if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                    command.env(name, value.replace('+', " "));
                }
                _ => {
                    command.arg(word);
                }
            }
        }
        let output = command.output().unwrap();
        let _ = writeln!(out, "$ imgspec {line}");
        let printed = String::from_utf8(output.stdout).unwrap();
        for line in printed.split_inclusive('\n') {
            if filter.is_empty() || filter.split_whitespace().any(|word| line.contains(word)) {
                out.push_str(line);
            }
        }
        out.push_str(&String::from_utf8(output.stderr).unwrap());
        let _ = writeln!(out, "exit code {}\n", output.status.code().unwrap_or(-1));
    }
    out.replace(&folder.display().to_string(), "CASE")
}
