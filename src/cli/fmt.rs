//! `imgspec fmt`

use crate::cli::place::shown;
use crate::cli::report::report;
use crate::cli::select::{find_specs, include_roots, no_specs};
use crate::cli::{Cli, Failure, print, print_aside, print_file};
use crate::diagnostic::Diagnostic;
use crate::project::{Request, find_root, is_inside, load};
use crate::source::{Disk, FileId, Loader, Memory, read_input};
use crate::syntax::{format, parse};
use crate::workspace::{rewrite, tidy};
use clap::Args;
use similar::TextDiff;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Fmt {
    /// Specs and folders; `-` for standard input [default: the project around the current folder]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Write nothing; list the files that would change, and fail if there are any or one does not parse
    #[arg(long)]
    check: bool,
    /// Write nothing; print the changes as a diff, and fail if there are any or a file does not parse
    #[arg(long)]
    diff: bool,
}

pub(super) fn run(cli: &Cli, fmt: &Fmt) -> Result<bool, Failure> {
    if fmt.paths.iter().any(|path| path == "-") {
        return format_input(cli, fmt);
    }
    let mut texts = Vec::new();
    for path in find_specs(&cli.here, &fmt.paths)? {
        let name = shown(&path, &cli.here);
        let mut roots = vec![find_root(&path, |p| Disk.exists(p))];
        roots.extend(include_roots(cli));
        if !is_inside(&Disk, &path, &roots) {
            let target = Disk.canonical(&path).display().to_string();
            return Err(Failure(format!(
                "{name} is a link to {target}, which is outside the project"
            )));
        }
        let text = Disk
            .read(&path)
            .map_err(|e| Failure(format!("cannot read {name}: {e}")))?;
        texts.push((path, name, text));
    }
    if texts.is_empty() {
        return Err(no_specs(&cli.here));
    }
    let mut is_fine = true;
    for (path, name, text) in texts {
        is_fine &= if has_errors(&text) {
            report_errors(cli, &Disk, &path, &cli.here);
            print_aside(&format!(
                "{name}: not formatted, because it does not parse\n"
            ));
            false
        } else {
            format_file(fmt, &path, &name, &text)?
        };
    }
    Ok(is_fine)
}

/// Formats a file that parses. Returns false if `--check` or `--diff` found a change.
fn format_file(fmt: &Fmt, path: &Path, name: &str, text: &str) -> Result<bool, Failure> {
    let formatted = format(text);
    let is_read_only = fmt.check || fmt.diff;
    if formatted == text {
        if !is_read_only {
            tidy(path);
        }
        return Ok(true);
    }
    if is_read_only {
        print_change(fmt, name, text, &formatted)?;
        return Ok(false);
    }
    rewrite(path, text, &formatted).map_err(|e| Failure(e.describe_at(name)))?;
    print(&format!("{name}\n"))?;
    Ok(true)
}

/// Formats standard input to standard output. Text that does not parse is printed unchanged.
fn format_input(cli: &Cli, fmt: &Fmt) -> Result<bool, Failure> {
    if fmt.paths.len() > 1 {
        return Err(Failure(
            "`-` (standard input) cannot be combined with other paths".to_owned(),
        ));
    }
    let failed = |e: std::io::Error| Failure(format!("cannot read standard input: {e}"));
    let text = read_input(std::io::stdin()).map_err(failed)?;
    let is_damaged = has_errors(&text);
    let formatted = if is_damaged {
        text.clone()
    } else {
        format(&text)
    };
    if is_damaged {
        let path = PathBuf::from("/-");
        report_errors(
            cli,
            &Memory([(path.clone(), text.clone())].into()),
            &path,
            Path::new("/"),
        );
        print_aside("standard input: not formatted, because it does not parse\n");
    }
    if !fmt.check && !fmt.diff {
        print_file(&formatted)?;
    } else if formatted != text {
        print_change(fmt, "-", &text, &formatted)?;
        return Ok(false);
    }
    Ok(!is_damaged)
}

fn has_errors(text: &str) -> bool {
    parse(FileId(0), text)
        .diagnostics
        .iter()
        .any(Diagnostic::is_error)
}

/// Reports the syntax errors of a file. Loads the program, because only it knows which values are secret and must not be
/// printed.
fn report_errors(cli: &Cli, loader: &dyn Loader, path: &Path, here: &Path) {
    let mut program = load(
        loader,
        &Request {
            specs: vec![path.to_owned()],
            ..Request::default()
        },
    );
    program.sources.set_base(here.to_owned());
    let Some(file) = program.specs.first().copied().flatten() else {
        return;
    };
    let spans: Vec<_> = parse(file, &program.sources.get(file).text)
        .diagnostics
        .iter()
        .map(|d| (d.code, d.primary.span))
        .collect();
    let is_syntax = |d: &&Diagnostic| spans.contains(&(d.code, d.primary.span));
    let found: Vec<Diagnostic> = program
        .diagnostics
        .iter()
        .filter(is_syntax)
        .cloned()
        .collect();
    report(cli, &program, &found);
}

fn print_change(fmt: &Fmt, name: &str, old: &str, new: &str) -> Result<(), Failure> {
    if !fmt.diff {
        return print(&format!("{name}\n"));
    }
    print_file(
        &TextDiff::from_lines(old, new)
            .unified_diff()
            .header(name, name)
            .to_string(),
    )
}
