//! What `imgspec diff` says about a change: a folder each in `tests/diff`.
//!
//! `tests/diff/project` is committed to a repository of git. In it, `tests/diff/NAME/change` is run: a script. Then each line
//! of `cmd` is run, arguments of `imgspec`; without `cmd` these are `diff` and `plan`. `expected.txt` has what they print.

mod common;

use common::{commands, place, snapshot};
use regex::Regex;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What is run where a case says nothing.
const DEFAULT: &str = "diff\nplan --changed-since HEAD --format github\n";

fn main() -> ExitCode {
    let mut cases = common::entries(&common::root().join("tests/diff"));
    cases.retain(|case| case.file_name().is_some_and(|name| name != "project"));
    snapshot::run(snapshot::trials(cases, |case| {
        snapshot::compare(&case.join("expected.txt"), &run_case(case))
    }))
}

fn run_case(case: &Path) -> String {
    let copy = tempfile::tempdir().unwrap();
    let folder = copy.path().canonicalize().unwrap().join("project");
    common::copy_folder(&common::root().join("tests/diff/project"), &folder);
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&folder);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "A");
            command.env(format!("GIT_{role}_EMAIL"), "a@example.com");
        }
        place::run(&mut command);
    };
    run("git", &["init", "--quiet", "--initial-branch=main", "."]);
    run("git", &["add", "--all"]);
    run("git", &["commit", "--quiet", "--message=one"]);
    run(
        "bash",
        &["-euo", "pipefail", case.join("change").to_str().unwrap()],
    );
    let lines = fs::read_to_string(case.join("cmd")).unwrap_or_else(|_| DEFAULT.to_owned());
    let mut out = String::new();
    for line in lines.lines() {
        let command = commands::parse(line);
        let output = command
            .binary(&folder)
            .args(&command.arguments)
            .env("IMGSPEC_CACHE", copy.path().join("cache"))
            .output()
            .unwrap();
        let said = place::said(&output);
        let _ = writeln!(
            out,
            "$ imgspec {line}\n{said}exit code {}\n",
            common::exit_code(&output)
        );
    }
    without_digests(&out.replace(&folder.display().to_string(), "PROJECT"))
}

/// IDs change with each change of imgspec's own roles.
fn without_digests(text: &str) -> String {
    let id = Regex::new("\\b[0-9a-f]{64}\\b").unwrap();
    let name = Regex::new("(\"image-[a-z0-9-]+)-[0-9a-f]{10}\"").unwrap();
    name.replace_all(&id.replace_all(text, "ID"), "$1-DIGEST\"")
        .into_owned()
}
