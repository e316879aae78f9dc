//! The checks of the fuzz targets, without a fuzzer: over the inputs that once broke one, each a file in
//! `tests/fuzzed/TARGET/` that is named after the mistake; and for `IMGSPEC_FUZZ_SECONDS` (2) each over the inputs of
//! `fuzz/corpus/TARGET/`, as they are and with random changes. `IMGSPEC_FUZZ_SEED` (0) makes others.
//!
//! `fuzz/README.md` describes the targets. A slow input is a mistake, too.

mod common;

#[path = "../fuzz/src/checks/mod.rs"]
mod checks;

use common::specs::tokens;
use common::{entries, root, snapshot};
use fastrand::Rng;
use libtest_mimic::Trial;
use std::path::Path;
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
    for (target, check) in TARGETS {
        trials.push(Trial::test(format!("{target}::corpus"), move || {
            check_corpus(target, check);
            Ok(())
        }));
    }
    snapshot::run(trials)
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect(name))
}

/// Checks the inputs of a corpus, in random order, and then random changes of them, until the time is over. An input that
/// breaks the check is kept in `target/tmp`.
fn check_corpus(target: &str, check: Check) {
    let end = Instant::now() + Duration::from_secs(number("IMGSPEC_FUZZ_SECONDS", 2));
    let seed = number("IMGSPEC_FUZZ_SEED", 0);
    let mut random = Rng::with_seed(seed);
    let paths = entries(&root().join("fuzz/corpus").join(target));
    let mut kept: Vec<Vec<u8>> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    assert!(!kept.is_empty(), "{target} has no corpus");
    random.shuffle(&mut kept);
    let tokens = tokens();
    let mut count = 0;
    while Instant::now() < end {
        let mut input = kept[count % kept.len()].clone();
        if count >= kept.len() {
            let other = &kept[random.usize(..kept.len())];
            change(&mut input, other, &tokens, &mut random);
        }
        let found = std::panic::catch_unwind(|| check(&input));
        if let Err(found) = found {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzzed-{target}"));
            std::fs::write(&path, &input).unwrap();
            eprintln!("{} breaks the check; the seed was {seed}", path.display());
            std::panic::resume_unwind(found);
        }
        count += 1;
    }
}

/// Removes, repeats or changes some bytes, or puts in a piece of another input or tokens of the grammar.
fn change(input: &mut Vec<u8>, other: &[u8], tokens: &[String], random: &mut Rng) {
    let piece = |bytes: &[u8], random: &mut Rng| {
        let start = random.usize(..=bytes.len());
        start..bytes.len().min(start + random.usize(..=32))
    };
    for _ in 0..random.usize(1..=4) {
        let place = piece(input, random);
        let new = match random.u8(..5) {
            0 => Vec::new(),
            4 => {
                let tokens =
                    (0..random.usize(1..4)).map(|_| &*tokens[random.usize(..tokens.len())]);
                tokens.collect::<String>().into_bytes()
            }
            1 => input[place.clone()].repeat(2),
            2 => other[piece(other, random)].to_vec(),
            _ => {
                let bytes = input[place.clone()].iter();
                bytes.map(|byte| byte ^ (1 << random.u8(..8))).collect()
            }
        };
        input.splice(place, new);
    }
}
