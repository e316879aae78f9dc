//! `imgspec check --fix` and `--diff`: the fixes of diagnostics, applied.

use crate::cli::change::{print_diff, secrets_in};
use crate::cli::check::check;
use crate::cli::place::shown;
use crate::cli::select::{Selected, load_selected};
use crate::cli::{Cli, Failure, print_aside};
use crate::diagnostic::{Diagnostic, Findings, Fix};
use crate::project::{Program, is_inside};
use crate::source::{Disk, Loader, Origin, visible_line};
use crate::workspace;
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Which fixes are applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Fixes {
    /// Those that change no meaning, or are the only way out
    #[default]
    Safe,
    /// The first one of each diagnostic
    All,
}

/// How often the text is checked and fixed again: a fix can make others possible.
const MAX_ROUNDS: usize = 10;

/// What is left when fixes are applied.
pub(super) struct Mended {
    /// What is found in the fixed texts.
    pub findings: Findings,
    /// The texts of the changed files, before and after.
    changes: BTreeMap<PathBuf, (String, String)>,
    /// The secrets in these files.
    secrets: Vec<String>,
    /// A line for each fix.
    lines: Vec<String>,
}

/// Applies fixes of diagnostics to the files in the folders `roots`, in memory, until none is left. The program becomes that of
/// the fixed texts.
///
/// # Errors
/// If the arguments name nothing in the fixed texts, such as an image.
pub(super) fn mend(
    cli: &Cli,
    selected: &mut Selected,
    mut findings: Findings,
    fixes: Fixes,
    roots: &[PathBuf],
) -> Result<Mended, Failure> {
    let mut changes: BTreeMap<PathBuf, (String, String)> = BTreeMap::new();
    let (mut secrets, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..MAX_ROUNDS {
        let program = &selected.program;
        let chosen = choose(program, &findings.shown, fixes, roots);
        if chosen.is_empty() {
            break;
        }
        for (diagnostic, fix) in &chosen {
            let span = diagnostic.primary.span;
            let at = program.sources.position(span.file, span.start).line;
            let name = program.sources.name(span.file);
            lines.push(format!("{name}:{at}: {}", visible_line(&fix.title)));
        }
        apply(program, &chosen, &mut changes, &mut secrets);
        let overlay = Overlay(&changes);
        let mut next = load_selected(cli, selected.wish.clone(), &overlay)?;
        findings = check(cli, &mut next);
        *selected = next;
    }
    Ok(Mended {
        findings,
        changes,
        secrets,
        lines,
    })
}

/// Returns the fixes to apply at once: each changes files of the projects alone, and no two change the same place.
fn choose<'d>(
    program: &Program,
    diagnostics: &'d [Diagnostic],
    fixes: Fixes,
    roots: &[PathBuf],
) -> Vec<(&'d Diagnostic, &'d Fix)> {
    let mut taken = Vec::new();
    let mut chosen = Vec::new();
    for diagnostic in diagnostics {
        let fix = match (&diagnostic.fixes[..], fixes) {
            ([fix], _) if diagnostic.code.has_safe_fix() => fix,
            ([fix, ..], Fixes::All) => fix,
            _ => continue,
        };
        let is_own = fix.edits.iter().all(|(span, _)| {
            program.sources.origin(span.file) == Origin::Project
                && is_inside(&Disk, &program.sources.get(span.file).path, roots)
        });
        let is_free = fix.edits.iter().all(|(span, _)| {
            let meets = |other: &crate::source::Span| {
                other.file == span.file && other.start <= span.end && span.start <= other.end
            };
            !taken.iter().any(meets)
        });
        if is_own && is_free {
            taken.extend(fix.edits.iter().map(|(span, _)| *span));
            chosen.push((diagnostic, fix));
        }
    }
    chosen
}

/// Applies fixes to the texts of their files.
fn apply(
    program: &Program,
    fixes: &[(&Diagnostic, &Fix)],
    changes: &mut BTreeMap<PathBuf, (String, String)>,
    secrets: &mut Vec<String>,
) {
    let mut edits: Vec<_> = fixes.iter().flat_map(|(_, fix)| &fix.edits).collect();
    // The last first, so that the places of the others stay right.
    edits.sort_by_key(|(span, _)| std::cmp::Reverse((span.file, span.start)));
    for (span, new) in edits {
        let source = program.sources.get(span.file);
        let (_, text) = changes.entry(source.path.clone()).or_insert_with(|| {
            let text = source.text.to_string();
            (text.clone(), text)
        });
        let range = span.start as usize..span.end as usize;
        if text.get(range.clone()).is_some() {
            text.replace_range(range, new);
        }
        secrets.extend(secrets_in(program, span.file));
    }
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
}

impl Mended {
    /// Returns whether nothing has been fixed.
    pub(super) fn is_same(&self) -> bool {
        self.changes.is_empty()
    }

    /// Prints the changes as a diff.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(super) fn print(&self, cli: &Cli) -> Result<(), Failure> {
        for (path, (old, new)) in &self.changes {
            print_diff(&shown(path, &cli.here), old, new, &self.secrets)?;
        }
        Ok(())
    }

    /// Writes the changed files, each as a whole, and tells what was fixed.
    ///
    /// # Errors
    /// If a file has changed since it was read, or cannot be written.
    pub(super) fn write(&self, cli: &Cli) -> Result<(), Failure> {
        for (path, (old, new)) in &self.changes {
            let name = shown(path, &cli.here);
            workspace::rewrite(path, old, new).map_err(|e| Failure(e.describe_at(&name)))?;
        }
        for line in &self.lines {
            print_aside(&format!("fixed: {line}\n"));
        }
        Ok(())
    }
}

/// The disk with changed files.
struct Overlay<'c>(&'c BTreeMap<PathBuf, (String, String)>);

impl Loader for Overlay<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        match self.0.get(path) {
            Some((_, new)) => Ok(new.clone()),
            None => Disk.read(path),
        }
    }

    fn read_real(&self, path: &Path, real: &Path) -> io::Result<String> {
        match self.0.get(path) {
            Some((_, new)) => Ok(new.clone()),
            None => Disk.read_real(path, real),
        }
    }

    fn look(&self, path: &Path) -> io::Result<()> {
        Disk.look(path)
    }

    fn exists(&self, path: &Path) -> bool {
        Disk.exists(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        Disk.is_dir(path)
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        Disk.entries(folder)
    }

    fn is_no_link(&self, path: &Path) -> bool {
        Disk.is_no_link(path)
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        Disk.canonical(path)
    }
}
