//! What a person sees: a folder a case.
//!
//! `tests/cases/NAME/` holds specs and `cmd`, the arguments of one or more runs, a line each, with
//! `VAR=value` words before them for the environment, and `CD=folder` for the folder below that it runs in. What they print, with exit codes, is in
//! `expected.txt`; behind a `|` stand the words of which a printed line must have one to be kept.
//! `IMGSPEC_BLESS=1 cargo test --test cases` rewrites it, and `cargo test --test cases NAME` runs the cases with `NAME` in
//! their names.

mod common;

use common::snapshot;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = common::entries(&common::root().join("tests/cases"));
    snapshot::run(snapshot::trials(cases, |case| {
        snapshot::compare(&case.join("expected.txt"), &run_case(case))
    }))
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
