//! `imgspec adopt`

use crate::cli::place::cannot_write;
use crate::cli::{Cli, Failure, print, print_aside};
use crate::import::{ADOPTED_MARK, Checkout, adopt};
use crate::source::{normalize, read_text};
use crate::workspace::{self, Stage, WriteError};
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Adopt {
    /// The folder of an Image Builder checkout, or its images/capi
    #[arg(value_name = "CHECKOUT")]
    folder: PathBuf,
    /// The folder to write the library to
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Write nothing; list the files that differ from what the checkout gives now, and fail if there are any
    #[arg(long)]
    check: bool,
}

pub(super) fn run(cli: &Cli, args: &Adopt) -> Result<bool, Failure> {
    let checkout = workspace::read_checkout(&cli.here.join(&args.folder)).map_err(Failure)?;
    let files = adopt(&checkout, cli.release);
    let out = normalize(&cli.here.join(&args.out));
    let failed = |e: WriteError| cannot_write(&e, &cli.here);
    // The folder is locked before it is read: a killed run may have left files that are not in their places yet.
    let stage = if args.check {
        None
    } else {
        Some(Stage::of_output(&out, true).map_err(failed)?)
    };
    let old = old_files(&out)?;
    let gone: Vec<&PathBuf> = old
        .keys()
        .filter(|path| !files.contains_key(*path))
        .collect();
    let Some(stage) = stage else {
        let changed = files
            .iter()
            .filter(|(path, text)| old.get(*path) != Some(text));
        let mut lines: Vec<String> = changed
            .map(|(path, _)| {
                (
                    path,
                    if old.contains_key(path) {
                        "differs"
                    } else {
                        "missing"
                    },
                )
            })
            .chain(gone.iter().map(|path| (*path, "not in the checkout")))
            .map(|(path, what)| format!("{}: {what}\n", args.out.join(path).display()))
            .collect();
        lines.sort();
        lines.iter().for_each(|line| print_aside(line));
        return Ok(lines.is_empty());
    };
    for (path, text) in &files {
        stage.add(path, text.as_bytes(), 0o644).map_err(failed)?;
    }
    for path in gone {
        stage.add_removal(path).map_err(failed)?;
    }
    stage.commit().map_err(failed)?;
    print(&format!("{}\n", args.out.display()))?;
    Ok(report_unread(&checkout))
}

/// Prints a warning for each target that cannot be read. Returns true if there are none.
fn report_unread(checkout: &Checkout) -> bool {
    let unread = checkout
        .refused
        .iter()
        .filter(|refused| refused.is_unread)
        .count();
    if unread == 0 {
        return true;
    }
    workspace::refusals(checkout)
        .iter()
        .for_each(|line| print_aside(&format!("warning: {line}\n")));
    let all = checkout.targets.len() + unread;
    print_aside(&format!(
        "{unread} of {all} targets cannot be read, so no spec can extend them\n"
    ));
    false
}

/// Returns the files that an earlier `adopt` has written, by their paths below the folder.
///
/// # Errors
/// If the folder cannot be read, or contains files but no library that `adopt` has written.
fn old_files(out: &Path) -> Result<BTreeMap<PathBuf, String>, Failure> {
    let mut old = BTreeMap::new();
    if !out.exists() {
        return Ok(old);
    }
    let failed = |e: &dyn std::fmt::Display| Failure(format!("cannot read {}: {e}", out.display()));
    let is_ours =
        read_text(&out.join("imgspec.toml")).is_ok_and(|text| text.starts_with(ADOPTED_MARK));
    let walk = walkdir::WalkDir::new(out).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| !Stage::is_own(entry.file_name())) {
        let entry = entry.map_err(|e| failed(&e))?;
        if !entry.file_type().is_file() {
            continue;
        }
        if !is_ours {
            return Err(Failure(format!(
                "{} contains files that `imgspec adopt` has not written: name an empty or a new folder",
                out.display()
            )));
        }
        let text = read_text(entry.path()).map_err(|e| failed(&e))?;
        // Files that `adopt` has not written stay.
        let path = entry.path().strip_prefix(out).unwrap_or(entry.path());
        let is_template =
            path.starts_with("packer") && path.extension().is_some_and(|e| e == "json");
        if !is_template && !text.starts_with(ADOPTED_MARK) {
            continue;
        }
        old.insert(path.to_owned(), text);
    }
    Ok(old)
}
