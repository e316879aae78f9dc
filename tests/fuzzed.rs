//! Inputs that once broke a check of a fuzz target: a file each in `tests/fuzzed/TARGET/`, named after the mistake.
//!
//! `fuzz/README.md` describes the targets. A slow input is a mistake, too.

mod common;

#[path = "../fuzz/src/checks/mod.rs"]
mod checks;

use common::{entries, root, snapshot};
use libtest_mimic::Trial;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What must hold for an input.
type Check = fn(&[u8]);

/// The checks by their names.
const TARGETS: [(&str, Check); 8] = [
    ("adopt", checks::adopt),
    ("check", checks::check),
    ("evaluate", checks::evaluate),
    ("format", checks::format),
    ("import", checks::import),
    ("lsp", checks::lsp),
    ("parse", checks::parse),
    ("template", checks::template),
];

/// How long an input may take here, without optimization and beside other tests.
const LONGEST: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for folder in entries(&root().join("tests/fuzzed")) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let (target, check) = TARGETS
            .iter()
            .find(|(target, _)| *target == name)
            .unwrap_or_else(|| panic!("there is no target {name}"));
        for path in entries(&folder) {
            let name = format!("{target}::{}", path.file_name().unwrap().display());
            trials.push(Trial::test(name, move || {
                let start = Instant::now();
                check(&std::fs::read(&path)?);
                let time = start.elapsed();
                assert!(time < LONGEST, "it takes {time:?}");
                Ok(())
            }));
        }
    }
    assert!(!trials.is_empty(), "there are no data to test");
    snapshot::run(trials)
}
