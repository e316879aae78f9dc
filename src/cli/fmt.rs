//! `imgspec fmt`

use super::select::{find_specs, include_roots};
use super::{Cli, Failure, print, print_aside, print_file};
use crate::build::rewrite;
use crate::project::{find_root, is_inside};
use crate::source::{Disk, FileId, Loader, read_input};
use crate::syntax::{format, parse};
use clap::Args;
use similar::TextDiff;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct Fmt {
    /// Spec files and folders; `-` is standard input; none: the project around this folder
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Write nothing, and fail where a file would change
    #[arg(long)]
    check: bool,
    /// Write nothing, and show what would change; fails where that is something
    #[arg(long)]
    diff: bool,
}

pub(super) fn run(cli: &Cli, fmt: &Fmt) -> Result<bool, Failure> {
    if fmt.paths.iter().any(|path| path == "-") {
        return format_input(fmt);
    }
    let here = std::env::current_dir().map_err(|e| Failure(format!("no current folder: {e}")))?;
    let mut texts = Vec::new();
    for path in find_specs(&here, &fmt.paths)? {
        let name = path.strip_prefix(&here).unwrap_or(&path).display().to_string();
        let mut roots = vec![find_root(&path, |p| Disk.exists(p))];
        roots.extend(include_roots(cli, &here));
        if !is_inside(&Disk, &path, &roots) {
            let target = Disk.canonical(&path).display().to_string();
            return Err(Failure(format!("{name} is a link to {target}, which is outside the project")));
        }
        let text = Disk.read(&path).map_err(|e| Failure(format!("cannot read {name}: {e}")))?;
        texts.push((path, name, text));
    }
    let mut is_fine = true;
    for (path, name, text) in texts {
        is_fine &= format_file(fmt, &path, &name, &text)?;
    }
    Ok(is_fine)
}

/// Formats a file; false where it should have been formatted already.
fn format_file(fmt: &Fmt, path: &Path, name: &str, text: &str) -> Result<bool, Failure> {
    if !parse(FileId(0), text).diagnostics.is_empty() {
        print_aside(&format!("{name}: what does not parse stays as it is; see imgspec check\n"));
    }
    let formatted = format(text);
    if formatted == text {
        return Ok(true);
    }
    if fmt.check || fmt.diff {
        print_change(fmt, name, text, &formatted)?;
        return Ok(false);
    }
    rewrite(path, formatted.as_bytes()).map_err(|e| Failure(format!("cannot write {name}: {e}")))?;
    print(&format!("{name}\n"))?;
    Ok(true)
}

/// Standard input, formatted, to standard output.
fn format_input(fmt: &Fmt) -> Result<bool, Failure> {
    if fmt.paths.len() > 1 {
        return Err(Failure("`-` is standard input and stands alone".to_owned()));
    }
    let failed = |e: std::io::Error| Failure(format!("cannot read standard input: {e}"));
    let text = read_input(std::io::stdin()).map_err(failed)?;
    let formatted = format(&text);
    if !fmt.check && !fmt.diff {
        print_file(&formatted)?;
    } else if formatted != text {
        print_change(fmt, "-", &text, &formatted)?;
        return Ok(false);
    }
    Ok(true)
}

fn print_change(fmt: &Fmt, name: &str, old: &str, new: &str) -> Result<(), Failure> {
    if !fmt.diff {
        return print(&format!("{name}\n"));
    }
    print_file(&TextDiff::from_lines(old, new).unified_diff().header(name, name).to_string())
}
