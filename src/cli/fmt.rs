//! `imgspec fmt`

use crate::cli::change::{print_diff, secrets_in};
use crate::cli::place::shown;
use crate::cli::report::report;
use crate::cli::sandbox::confine;
use crate::cli::select::{find_specs, include_roots, no_specs};
use crate::cli::{Cli, Failure, print, print_aside, print_file};
use crate::diagnostic::{Diagnostic, Findings};
use crate::project::{Program, Request, Unread, find_root, is_inside, load, read_inside, readable};
use crate::source::{Disk, FileId, Loader, Memory, read_input};
use crate::syntax::{format, parse};
use crate::workspace::{Wanted, project_library, rewrite, tidy};
use clap::Args;
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
    let specs = find_specs(&cli.here, &fmt.paths)?;
    confine_to_specs(cli, fmt, &specs)?;
    let mut texts = Vec::new();
    for path in specs {
        let name = shown(&path, &cli.here);
        let mut roots = vec![find_root(&path, |p| Disk.exists(p))];
        roots.extend(include_roots(cli));
        let text = read_inside(&Disk, &path, &roots).map_err(|unread| {
            Failure(match unread {
                Unread::Outside(target) => format!(
                    "{name} is a link to {}, which is outside the project",
                    target.display()
                ),
                Unread::Failed(error) => format!("cannot read {name}: {error}"),
            })
        })?;
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
            format_file(cli, fmt, &path, &name, &text)?
        };
    }
    Ok(is_fine)
}

/// Confines the command to the projects of the specs. It writes only beside the specs, or nothing.
///
/// # Errors
/// With `--sandbox require`, if the kernel cannot.
fn confine_to_specs(cli: &Cli, fmt: &Fmt, specs: &[PathBuf]) -> Result<(), Failure> {
    let request = Request {
        specs: specs.to_vec(),
        include_roots: include_roots(cli),
        ..Request::default()
    };
    let mut write: Vec<PathBuf> = Vec::new();
    if !fmt.check && !fmt.diff {
        let folders = specs.iter().filter_map(|spec| {
            let real = Disk.canonical(spec);
            Some(real.parent()?.to_owned())
        });
        write.extend(folders);
        write.sort();
        write.dedup();
    }
    // A link out of the project must not make its target writable.
    let read = readable(&Disk, &request);
    write.retain(|folder| is_inside(&Disk, folder, &read));
    confine(cli, read, write)
}

/// Formats a file that parses. Returns false if `--check` or `--diff` found a change.
fn format_file(cli: &Cli, fmt: &Fmt, path: &Path, name: &str, text: &str) -> Result<bool, Failure> {
    let formatted = format(text);
    let is_read_only = fmt.check || fmt.diff;
    if formatted == text {
        if !is_read_only {
            tidy(path);
        }
        return Ok(true);
    }
    if is_read_only {
        let secrets = if fmt.diff {
            find_secrets(cli, &Disk, path)
        } else {
            Vec::new()
        };
        print_change(fmt, name, text, &formatted, &secrets)?;
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
    confine(cli, Vec::new(), Vec::new())?;
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
        let path = PathBuf::from("/-");
        let secrets = find_secrets(cli, &Memory([(path.clone(), text.clone())].into()), &path);
        print_change(fmt, "-", &text, &formatted, &secrets)?;
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
    let mut program = load_spec(cli, loader, path);
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
    let found = program.diagnostics.iter().filter(is_syntax).cloned();
    report(cli, &program, &Findings::from(found.collect::<Vec<_>>()));
}

/// Reads a spec with the library of its project, whose variables say what is a secret.
fn load_spec(cli: &Cli, loader: &dyn Loader, path: &Path) -> Program {
    let place = path.parent().filter(|folder| folder.is_dir());
    let place = place.filter(|folder| folder.parent().is_some());
    let wanted = Wanted {
        release: cli.release,
        roles: cli.roles,
    };
    // A library that cannot be read is not the formatter's concern.
    let choice = project_library(place.unwrap_or(&cli.here), &include_roots(cli), wanted);
    load(
        loader,
        &Request {
            specs: vec![path.to_owned()],
            library: choice.ok().map(crate::workspace::library),
            ..Request::default()
        },
    )
}

/// Returns the parts of a spec's lines that are hidden because they belong to secrets.
fn find_secrets(cli: &Cli, loader: &dyn Loader, path: &Path) -> Vec<String> {
    let program = load_spec(cli, loader, path);
    let file = program.specs.first().copied().flatten();
    file.map_or(Vec::new(), |file| secrets_in(&program, file))
}

/// Prints what formatting changes, with `*` for the characters of secrets.
fn print_change(
    fmt: &Fmt,
    name: &str,
    old: &str,
    new: &str,
    secrets: &[String],
) -> Result<(), Failure> {
    if fmt.diff {
        print_diff(name, old, new, secrets)
    } else {
        print(&format!("{name}\n"))
    }
}
