//! Tests with a name for each case, and expected outputs that a run can rewrite.
//!
//! A test file that uses this has `harness = false` in `Cargo.toml` and a `main` that returns [`run`].
//!
//! `trycmd` cannot express what the cases need: a filter for lines of a long output, a folder below the case, a cache of
//! its own for each case, and a name that selects one case. `snapbox` treats `...`, `[..]` and backslashes in an expected
//! output as its own syntax, and they are common in ours. So the comparison is an exact one, and `similar` shows the
//! difference.

use libtest_mimic::{Arguments, Failed, Trial};
use similar::TextDiff;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the tests that the command line selects.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Returns a test for each function, with its name.
macro_rules! functions {
    ($($function:ident),* $(,)?) => {
        vec![$(libtest_mimic::Trial::test(stringify!($function), || {
            $function();
            Ok(())
        })),*]
    };
}
pub(crate) use functions;

/// Returns a test for each file or folder, with its name without ending. A test fails by a panic or an `Err`.
///
/// # Panics
///
/// If there is no file or folder, because a test without data shows nothing.
pub fn trials(
    paths: Vec<PathBuf>,
    test: impl Fn(&Path) -> Result<(), Failed> + Clone + Send + 'static,
) -> Vec<Trial> {
    assert!(!paths.is_empty(), "there are no data to test");
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let test = test.clone();
            Trial::test(name, move || test(&path))
        })
        .collect()
}

/// Whether expected outputs are rewritten: `IMGSPEC_BLESS=1`.
pub fn is_blessing() -> bool {
    std::env::var_os("IMGSPEC_BLESS").is_some()
}

/// Returns a failure that lists problems, if there are any.
pub fn fail_on(problems: &[String]) -> Result<(), Failed> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(format!("{} problems:\n{}", problems.len(), problems.join("\n")).into())
    }
}

/// Compares a text with the file that contains the expected one. Rewrites the file when blessing.
///
/// # Errors
///
/// The difference, as a unified diff. A file that does not exist counts as empty.
pub fn compare(expected: &Path, found: &str) -> Result<(), Failed> {
    if is_blessing() {
        std::fs::write(expected, found)?;
        return Ok(());
    }
    let old = std::fs::read_to_string(expected).unwrap_or_default();
    if old == found {
        return Ok(());
    }
    let name = expected.strip_prefix(super::root()).unwrap_or(expected);
    let diff = TextDiff::from_lines(old.as_str(), found);
    // `CASE/expected.txt` or `CASE.txt`: the name of the case selects its test.
    let case = if name.file_stem().is_some_and(|stem| stem == "expected") {
        name.parent().and_then(Path::file_name)
    } else {
        name.file_stem()
    };
    Err(format!(
        "the output differs from {}; accept it with: IMGSPEC_BLESS=1 cargo test --test {} {}\n{}",
        name.display(),
        env!("CARGO_CRATE_NAME"),
        case.unwrap_or_default().display(),
        diff.unified_diff().header("expected", "found")
    )
    .into())
}
