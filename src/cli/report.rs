//! Printing of diagnostics.

use crate::cli::place::{cannot_write, shown};
use crate::cli::{Cli, Failure, Format, print_aside, print_rendered};
use crate::diagnostic::{
    Diagnostic, Findings, Repository, Severity, render_github, render_gitlab, render_json,
    render_junit, render_plain, render_rich, render_sarif, render_short, render_summary,
};
use crate::driver::{self, Job};
use crate::emit::{Account, Artifacts, Files, Output};
use crate::eval::Image;
use crate::project::Program;
use crate::source::{Disk, Loader, Origin, has_text};
use crate::workspace::{self, WriteError};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

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
fn finish(selected: &Selected, of_images: Vec<Diagnostic>) -> Findings {
    let found = selected.diagnostics.iter().cloned();
    let found = found.chain(of_images).collect();
    let program = &selected.program;
    // Only for comments that allow a diagnostic it matters whether all images are there.
    let is_whole = !program.allows.is_empty() && selected.is_whole();
    driver::conclude(program, found, is_whole)
}

/// Checks the selected images, and returns all diagnostics in order.
pub(super) fn check_all(selected: &Selected, output: &Output) -> Findings {
    finish(selected, job(selected, output).check())
}

/// Compiles the selected images, and collects what a build tells about each. Returns what `take` makes of both, and all
/// diagnostics, in order. Several threads call `take`.
pub(super) fn compile_to_build<T: Send>(
    selected: &Selected,
    output: &Output,
    take: impl Fn((Artifacts, Account)) -> T + Sync,
) -> (Vec<T>, Findings) {
    let (made, found) = job(selected, output).compile_to_build(take);
    (made, finish(selected, found))
}

/// Evaluates the selected images. Returns what `take` makes of what `view` sees of each, and all diagnostics, in order.
/// Several threads call both, and `view` may be called again for an image.
pub(super) fn view_all<T: Send, U: Send>(
    selected: &Selected,
    output: &Output,
    view: impl Fn(&Image<'_>) -> T + Sync,
    take: impl Fn(T) -> U + Sync,
) -> (Vec<U>, Findings) {
    let (made, found) = job(selected, output).view_each(view, take);
    (made, finish(selected, found))
}

/// Renders the files of the selected images. Returns what `take` makes of those of each, and all diagnostics, in order.
/// Several threads call `take`.
pub(super) fn render_all<T: Send>(
    selected: &Selected,
    output: &Output,
    take: impl Fn(Files) -> T + Sync,
) -> (Vec<T>, Findings) {
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
        if !has_text(path, text) {
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
    match cli.bare_format() {
        Some(format) if format.is_of_diagnostics() => format,
        _ if std::io::stderr().is_terminal() => Format::Rich,
        _ => Format::Plain,
    }
}

/// Writes diagnostics to the files of `--format FORMAT=FILE`, and to the summary of a step of GitHub Actions.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn write_reports(
    cli: &Cli,
    program: &Program,
    findings: &Findings,
) -> Result<(), Failure> {
    let diagnostics = &findings.shown;
    for (format, path) in cli.files_of_formats() {
        let mut text = render(cli, format, program, findings, false);
        if let Some(line) = count(diagnostics).filter(|_| format.is_counted()) {
            text.push_str(&format!("{line}\n"));
        }
        workspace::replace(&path, text.as_bytes()).map_err(|e| cannot_write(&e, &cli.here))?;
    }
    let Some(summary) = cli.step_summary() else {
        return Ok(());
    };
    let repository = Repository {
        sources: &program.sources,
        root: &repository_root(&cli.here),
    };
    let failed = |e: WriteError| cannot_write(&e, &cli.here);
    let room = workspace::room_in(&summary, MAX_SUMMARY).map_err(failed)?;
    let text = render_summary(diagnostics, repository, room);
    workspace::append(&summary, text.as_bytes()).map_err(failed)
}

/// What GitHub takes of the summary of a step.
const MAX_SUMMARY: usize = 1 << 20;

/// Returns the folder that the paths of reports start from: the nearest one around the project with `.git`, or else the
/// project's root.
pub(super) fn repository_root(here: &Path) -> PathBuf {
    let root = workspace::project_root(here);
    let mut above = root.ancestors();
    let repository = above.find(|folder| Disk.exists(&folder.join(".git")));
    repository.map_or(root.clone(), Path::to_owned)
}

/// Renders diagnostics. `is_shown` is true for what a person reads at once, and false for a file.
fn render(
    cli: &Cli,
    format: Format,
    program: &Program,
    findings: &Findings,
    is_shown: bool,
) -> String {
    let diagnostics = &findings.shown;
    let sources = &program.sources;
    let repository = Repository {
        sources,
        root: &repository_root(&cli.here),
    };
    match format {
        Format::Json => render_json(diagnostics, sources),
        Format::Sarif => render_sarif(findings, repository),
        Format::Gitlab => render_gitlab(diagnostics, repository),
        Format::Junit => render_junit(diagnostics, repository),
        Format::Github => render_github(diagnostics, repository, cli.step_summary().is_some()),
        Format::Short => render_short(diagnostics, sources),
        Format::Rich => {
            let color = is_shown
                && std::io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none();
            let width = if is_shown { terminal_width() } else { WIDTH };
            render_rich(diagnostics, sources, width, color)
        }
        _ => render_plain(diagnostics, sources),
    }
}

/// Prints diagnostics on standard error. Formats for people end with a line that counts them.
pub(super) fn report(cli: &Cli, program: &Program, findings: &Findings) {
    let format = format(cli);
    let text = render_shown(cli, format, program, findings);
    if !format.is_counted() {
        return print_aside(&text);
    }
    print_rendered(&text);
    if let Some(line) = count(&findings.shown) {
        print_aside(&format!("{line}\n"));
    }
}

/// Renders diagnostics as plain text.
pub(super) fn rendered(cli: &Cli, program: &Program, findings: &Findings) -> String {
    render(cli, Format::Plain, program, findings, false)
}

/// Renders diagnostics to be printed.
pub(super) fn render_shown(
    cli: &Cli,
    format: Format,
    program: &Program,
    findings: &Findings,
) -> String {
    render(cli, format, program, findings, true)
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

/// The width of excerpts where no terminal has one.
const WIDTH: usize = 100;

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
        .unwrap_or(WIDTH)
        .max(40)
}
