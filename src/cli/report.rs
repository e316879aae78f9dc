//! Printing of diagnostics.

use crate::cli::place::shown;
use crate::cli::{Cli, Failure, Format, print_aside, print_rendered};
use crate::diagnostic::{
    Diagnostic, Severity, render_json, render_plain, render_rich, render_short,
};
use crate::driver::{self, Job};
#[cfg(unix)]
use crate::emit::Account;
use crate::emit::{Artifacts, Files, Output};
use crate::project::Program;
use crate::source::{Disk, Loader, Origin};
use std::io::IsTerminal;
use std::path::Path;

use crate::cli::select::Selected;

/// What a command asks of the images that it selects.
fn job<'j>(selected: &'j Selected, output: &'j Output) -> Job<'j> {
    Job {
        loader: &Disk,
        program: &selected.program,
        images: &selected.images,
        provider: selected.provider,
        output,
    }
}

/// Returns all diagnostics of a command, with those of its images, in order.
fn finish(selected: &Selected, of_images: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let found = selected.diagnostics.iter().cloned();
    driver::finish(&selected.program, found.chain(of_images).collect())
}

/// Checks the selected images, and returns all diagnostics in order.
pub(super) fn check_all(selected: &Selected, output: &Output) -> Vec<Diagnostic> {
    finish(selected, job(selected, output).check())
}

/// Compiles the selected images. Returns what `take` makes of the files of each, and all diagnostics, in order. Several
/// threads call `take`.
pub(super) fn compile_all<T: Send>(
    selected: &Selected,
    output: &Output,
    take: impl Fn(Artifacts) -> T + Sync,
) -> (Vec<T>, Vec<Diagnostic>) {
    let (made, found) = job(selected, output).compile_each(take);
    (made, finish(selected, found))
}

/// Compiles the selected images, and collects what a build tells about each. Returns both, and all diagnostics, in order.
#[cfg(unix)]
pub(super) fn compile_to_build(
    selected: &Selected,
    output: &Output,
) -> (Vec<(Artifacts, Account)>, Vec<Diagnostic>) {
    let (made, found) = job(selected, output).compile_to_build();
    (made, finish(selected, found))
}

/// Renders the files of the selected images. Returns what `take` makes of those of each, and all diagnostics, in order.
/// Several threads call `take`.
pub(super) fn render_all<T: Send>(
    selected: &Selected,
    output: &Output,
    take: impl Fn(Files) -> T + Sync,
) -> (Vec<T>, Vec<Diagnostic>) {
    let (made, found) = job(selected, output).render_each(take);
    (made, finish(selected, found))
}

/// Checks that the files of the project still have the content that was read, so that the output is that of one state.
///
/// # Errors
/// For the first file that has changed or is gone.
pub(super) fn expect_unchanged(program: &Program, here: &Path) -> Result<(), Failure> {
    let sources = program.sources.iter_read().map(|(_, source)| source);
    let sources = sources.filter(|source| source.origin == Origin::Project);
    let sources = sources.map(|source| (&source.path, &*source.text));
    let data = program.data.iter().map(|data| (&data.path, &*data.text));
    for (path, text) in sources.chain(data) {
        if !Disk.read(path).is_ok_and(|now| now == *text) {
            return Err(Failure(format!(
                "{} has changed since it was read: run the command again (nothing has changed in the output)",
                shown(path, here)
            )));
        }
    }
    Ok(())
}

/// True if no diagnostic is an error.
pub(super) fn is_fine(diagnostics: &[Diagnostic]) -> bool {
    !diagnostics.iter().any(Diagnostic::is_error)
}

/// Returns the format of `--format`, or the one that suits standard error.
pub(super) fn format(cli: &Cli) -> Format {
    match cli.format {
        Some(format @ (Format::Rich | Format::Plain | Format::Short | Format::Json)) => format,
        _ if std::io::stderr().is_terminal() => Format::Rich,
        _ => Format::Plain,
    }
}

/// Prints diagnostics on standard error. All formats but JSON end with a line that counts them.
pub(super) fn report(cli: &Cli, program: &Program, diagnostics: &[Diagnostic]) {
    let sources = &program.sources;
    let text = match format(cli) {
        Format::Json => return print_aside(&render_json(diagnostics, sources)),
        Format::Short => render_short(diagnostics, sources),
        Format::Rich => {
            let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let width = terminal_width();
            render_rich(diagnostics, sources, width, color)
        }
        _ => render_plain(diagnostics, sources),
    };
    print_rendered(&text);
    if let Some(line) = count(diagnostics) {
        print_aside(&format!("{line}\n"));
    }
}

fn count(diagnostics: &[Diagnostic]) -> Option<String> {
    let words: Vec<String> = [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Note, "note"),
    ]
    .into_iter()
    .filter_map(|(severity, word)| {
        let count = diagnostics
            .iter()
            .filter(|d| d.severity == severity)
            .count();
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {word}{plural}"))
    })
    .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Returns the value of `COLUMNS`, else the width of the terminal on standard error, else 100. Most shells do not export
/// `COLUMNS`. The minimum is 40, because nobody can read narrower excerpts.
fn terminal_width() -> usize {
    let stated = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .filter(|c| *c > 0);
    let found = || {
        terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0))
    };
    stated
        .or_else(found)
        .filter(|width| *width > 0)
        .unwrap_or(100)
        .max(40)
}
