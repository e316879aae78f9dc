//! What the commands print: a folder each in `tests/cases`.
//!
//! `tests/cases/NAME/cmd` has a command in each line: the arguments of `imgspec`, quoted as in a shell. Before them,
//! `NAME=value` sets a variable of the environment, and `CD=FOLDER` names the folder below the case in which the command
//! runs. After ` | ` there are words: of standard output only the lines with one of them are kept. Instead of arguments,
//! `cat FILE …` prints files, and `files FOLDER` lists the files below a folder.
//! The other files of the folder are the command's data. `expected.txt` has what the commands print, and their exit codes.
//!
//! `cargo test --test cases NAME` runs the cases with `NAME` in their names, and with `IMGSPEC_BLESS=1` it rewrites
//! their `expected.txt`.

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
    common::copy_folder(case, &folder);
    let lines = std::fs::read_to_string(case.join("cmd")).unwrap();
    let mut out = String::new();
    for (line, command) in lines.lines().zip(common::commands::of_case(case)) {
        if let Some(shown) = command.show_files(&folder) {
            let _ = writeln!(out, "$ {line}\n{shown}");
            continue;
        }
        let output = command
            .binary(&folder)
            .args(&command.arguments)
            .env("IMGSPEC_CACHE", copy.path().join("cache"))
            .output()
            .unwrap();
        let exit_code = common::exit_code(&output);
        let _ = writeln!(out, "$ imgspec {line}");
        let printed = String::from_utf8(output.stdout).unwrap();
        out.extend(
            printed
                .split_inclusive('\n')
                .filter(|line| command.keeps(line)),
        );
        out.push_str(&String::from_utf8(output.stderr).unwrap());
        let _ = writeln!(out, "exit code {exit_code}\n");
    }
    out.replace(&folder.display().to_string(), "CASE")
}
