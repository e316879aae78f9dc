//! What `imgspec diff` says about a change: a folder each in `tests/diff`.
//!
//! `tests/diff/project` is committed to a repository of git. In it, `tests/diff/NAME/change` is run: a script. Then each line
//! of `cmd` is run, arguments of `imgspec`; without `cmd` these are `diff` and `plan`. `expected.txt` has what they print.

mod common;

use common::snapshot::{self, functions};
use common::{commands, place};
use regex::Regex;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What is run where a case says nothing.
const DEFAULT: &str = "diff\nplan --changed-since HEAD --format github\n";

fn main() -> ExitCode {
    let mut cases = common::entries(&common::root().join("tests/diff"));
    cases.retain(|case| case.file_name().is_some_and(|name| name != "project"));
    let mut trials = snapshot::trials(cases, |case| {
        snapshot::compare(&case.join("expected.txt"), &run_case(case))
    });
    trials.extend(functions![an_update_of_the_program_does_not_end_it]);
    snapshot::run(trials)
}

/// The file of the program is removed while it runs git, as by an update.
#[cfg(target_os = "linux")]
fn an_update_of_the_program_does_not_end_it() {
    use std::os::unix::fs::PermissionsExt;
    let copy = tempfile::tempdir().unwrap();
    let folder = committed_project(copy.path());
    let program = copy.path().join("imgspec");
    fs::copy(common::imgspec(&folder).get_program(), &program).unwrap();
    let programs = copy.path().join("bin");
    fs::create_dir(&programs).unwrap();
    let git = format!(
        "#!/bin/sh\nrm -f '{}'\nPATH=${{PATH#*:}} exec git \"$@\"\n",
        program.display()
    );
    fs::write(programs.join("git"), git).unwrap();
    fs::set_permissions(programs.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = common::in_folder(Command::new(&program), &folder)
        .arg("diff")
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("IMGSPEC_CACHE", copy.path().join("cache"))
        .output()
        .unwrap();
    assert!(!program.exists());
    assert!(output.status.success(), "{}", place::said(&output));
}

#[cfg(not(target_os = "linux"))]
fn an_update_of_the_program_does_not_end_it() {}

/// The project in a repository of git, with one commit.
fn committed_project(parent: &Path) -> PathBuf {
    let folder = parent.canonicalize().unwrap().join("project");
    common::copy_folder(&common::root().join("tests/diff/project"), &folder);
    for arguments in [
        &["init", "--quiet", "--initial-branch=main", "."][..],
        &["add", "--all"],
        &["commit", "--quiet", "--message=one"],
    ] {
        place::run(&mut as_author("git", arguments, &folder));
    }
    folder
}

fn as_author(program: &str, arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "A");
        command.env(format!("GIT_{role}_EMAIL"), "a@example.com");
    }
    command
}

fn run_case(case: &Path) -> String {
    let copy = tempfile::tempdir().unwrap();
    let folder = committed_project(copy.path());
    let change = case.join("change");
    let arguments = ["-euo", "pipefail", change.to_str().unwrap()];
    place::run(&mut as_author("bash", &arguments, &folder));
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
