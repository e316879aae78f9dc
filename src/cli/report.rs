//! Findings on their way out, and what a whole command found.

use crate::cli::{Cli, Format, print_aside, print_rendered};
use crate::diagnostic::{
    Diagnostic, Fix, Severity, merge, render_json, render_plain, render_rich, render_short,
};
use crate::emit::{Artifacts, Output, emit_all};
use crate::project::{Program, in_checkout};
use crate::source::{Disk, Origin, Span};
use std::io::IsTerminal;

use crate::cli::select::Selected;

/// Evaluates and emits the selected images; returns their output and everything that was found.
pub(super) fn compile_all(
    selected: &Selected,
    output: &Output,
) -> (Vec<Artifacts>, Vec<Diagnostic>) {
    let program = &selected.program;
    let (all, found) = emit_all(&Disk, program, &selected.images, selected.provider, output);
    let found = selected.diagnostics.iter().cloned().chain(found).collect();
    (all, finish(program, found))
}

/// Everything that was found, with the program's own, merged and ordered, after `imgspec.toml`.
pub(super) fn finish(program: &Program, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let all = program.diagnostics.iter().cloned().chain(found);
    let all = all.map(|d| in_checkout(program, without_edits_of_arguments(program, d)));
    program
        .configs
        .apply(&program.sources, merge(all.collect()))
}

/// An argument of the command line is no file that an editor could edit: its repair is said in words.
fn without_edits_of_arguments(program: &Program, mut diagnostic: Diagnostic) -> Diagnostic {
    let is_argument = |span: &Span| program.sources.get(span.file).origin == Origin::Argument;
    let (said, fixes): (Vec<Fix>, Vec<Fix>) = std::mem::take(&mut diagnostic.fixes)
        .into_iter()
        .partition(|fix| fix.edits.iter().any(|(span, _)| is_argument(span)));
    diagnostic.fixes = fixes;
    diagnostic.help = diagnostic
        .help
        .or(said.into_iter().next().map(|fix| fix.title));
    diagnostic
}

/// True if nothing is an error.
pub(super) fn is_fine(diagnostics: &[Diagnostic]) -> bool {
    !diagnostics.iter().any(Diagnostic::is_error)
}

/// The format that was asked for, or the one that suits the terminal.
pub(super) fn format(cli: &Cli) -> Format {
    match cli.format {
        Some(format) => format,
        None if std::io::stderr().is_terminal() => Format::Rich,
        None => Format::Plain,
    }
}

/// Prints findings on standard error, those for people with a last line that counts.
pub(super) fn report(cli: &Cli, program: &Program, diagnostics: &[Diagnostic]) {
    let sources = &program.sources;
    let text = match format(cli) {
        Format::Json => return print_aside(&render_json(diagnostics, sources)),
        Format::Short => render_short(diagnostics, sources),
        Format::Plain => render_plain(diagnostics, sources),
        Format::Rich => {
            let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let width = terminal_width();
            render_rich(diagnostics, sources, width, color)
        }
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

/// What `COLUMNS` says, else the width of the terminal on standard error, else 100. Shells keep `COLUMNS` to
/// themselves unless somebody exports it. Below 40 columns excerpts cannot be read, so no less is used.
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
