//! Changes of files as a unified diff.

use crate::cli::{Failure, print_file};
use crate::project::Program;
use crate::source::{FileId, Span};
use similar::TextDiff;

/// Returns the parts of a file's lines that are hidden because they belong to secrets, the longest first.
pub(super) fn secrets_in(program: &Program, file: FileId) -> Vec<String> {
    let text = &program.sources.get(file).text;
    let whole = Span::new(file, 0, text.len() as u32);
    let hidden = program.sources.hidden_near(whole);
    let mut secrets: Vec<String> = hidden
        .into_iter()
        .filter_map(|(_, range)| text.get(range))
        .flat_map(|part| part.lines().map(|line| line.trim().to_owned()))
        .filter(|line| !line.is_empty())
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

/// Prints a unified diff, with `*` for the characters of secrets.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn print_diff(
    name: &str,
    old: &str,
    new: &str,
    secrets: &[String],
) -> Result<(), Failure> {
    let diff = TextDiff::from_lines(old, new)
        .unified_diff()
        .header(name, name)
        .to_string();
    let shown = secrets.iter().fold(diff, |diff, secret| {
        diff.replace(secret, &"*".repeat(secret.chars().count()))
    });
    print_file(&shown)
}
