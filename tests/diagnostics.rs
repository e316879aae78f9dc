//! The text of each diagnostic, with the source that causes it.
//!
//! A case is a file of `tests/diagnostics`, or a folder if it needs several files. A spec or folder is checked alone, a
//! JSON var file on an image. `NAME.txt` has the case's source and what `imgspec check` prints for it.
//!
//! `cargo test --test diagnostics NAME` runs the cases with `NAME` in their names, and with `IMGSPEC_BLESS=1` it rewrites
//! their `NAME.txt`. To add a case, write the source and bless it. `cargo test --test messages` lists the texts in `src/`
//! that no expected output of any test contains.

mod common;

use common::snapshot::{self, functions};
use common::{diagnostics, root};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut trials = snapshot::trials(diagnostics::cases(), |case| {
        snapshot::compare(&case.with_extension("txt"), &render(case))
    });
    trials.extend(functions![every_expected_output_has_a_case]);
    snapshot::run(trials)
}

/// Returns the files of a case, and what `imgspec check` prints for them.
fn render(case: &Path) -> String {
    let temporary = diagnostics::write(case);
    let folder = temporary.path().canonicalize().unwrap().join("case");
    let mut out = String::new();
    for path in files(&folder) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let name = path.strip_prefix(&folder).unwrap().display();
        let _ = writeln!(out, "==== {name}\n{}\n", text.trim_end_matches('\n'));
    }
    let arguments = [
        diagnostics::arguments(case),
        vec!["--format".to_owned(), "plain".to_owned()],
    ]
    .concat();
    let output = common::imgspec(&folder).args(&arguments).output().unwrap();
    let _ = writeln!(out, "==== imgspec {}", arguments.join(" "));
    for stream in [output.stdout, output.stderr] {
        out.push_str(&String::from_utf8(stream).unwrap());
    }
    // The project's folder, and one that a path leads to.
    out.replace(folder.to_str().unwrap(), "CASE")
        .replace(folder.parent().unwrap().to_str().unwrap(), "OUTSIDE")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for path in common::entries(folder) {
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            out.push(path);
        }
    }
    out
}

fn every_expected_output_has_a_case() {
    let cases = diagnostics::cases();
    for path in common::files(&root().join("tests/diagnostics"), "txt") {
        let has_case = cases
            .iter()
            .any(|case| case.file_stem() == path.file_stem());
        assert!(has_case, "{} has no case", path.display());
    }
}
