//! `imgspec adopt`

use crate::cli::place::here;
use crate::cli::{Failure, print, print_aside};
use crate::import::{ADOPTED, Checkout, adopt};
use crate::source::{normalize, read_text};
use crate::workspace;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Adopt {
    /// A checkout of Image Builder, or its images/capi
    #[arg(value_name = "CHECKOUT")]
    checkout: PathBuf,
    /// The folder that gets the library
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Write nothing; fail where the library is not what the checkout gives now, and say where
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &Adopt) -> Result<bool, Failure> {
    let here = here()?;
    let checkout = workspace::read_checkout(&here.join(&args.checkout)).map_err(Failure)?;
    let files = adopt(&checkout);
    let out = normalize(&here.join(&args.out));
    let old = old_files(&out)?;
    let gone: Vec<&PathBuf> = old
        .keys()
        .filter(|path| !files.contains_key(*path))
        .collect();
    if args.check {
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
    }
    let failed =
        |path: &Path, e: std::io::Error| Failure(format!("cannot write {}: {e}", path.display()));
    for (path, text) in &files {
        let path = out.join(path);
        workspace::replace(&path, text.as_bytes()).map_err(|e| failed(&path, e))?;
    }
    for path in gone {
        let path = out.join(path);
        std::fs::remove_file(&path).map_err(|e| failed(&path, e))?;
    }
    print(&format!("{}\n", args.out.display()))?;
    Ok(report_unread(&checkout))
}

/// Says which targets could not be read; true if there are none.
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
        "{unread} of {all} targets could not be read, and no spec can be built with them\n"
    ));
    false
}

/// What an earlier adoption has written. A folder with something else in it is refused.
fn old_files(out: &Path) -> Result<BTreeMap<PathBuf, String>, Failure> {
    let mut old = BTreeMap::new();
    if !out.exists() {
        return Ok(old);
    }
    let failed = |e: &dyn std::fmt::Display| Failure(format!("cannot read {}: {e}", out.display()));
    let is_ours = read_text(&out.join("imgspec.toml")).is_ok_and(|text| text.starts_with(ADOPTED));
    for entry in walkdir::WalkDir::new(out).sort_by_file_name() {
        let entry = entry.map_err(|e| failed(&e))?;
        if !entry.file_type().is_file() {
            continue;
        }
        if !is_ours {
            return Err(Failure(format!(
                "{} holds what `imgspec adopt` has not written: name a folder that is empty or not there",
                out.display()
            )));
        }
        let text = read_text(entry.path()).map_err(|e| failed(&e))?;
        // Somebody else's file stays.
        let path = entry.path().strip_prefix(out).unwrap_or(entry.path());
        let is_template =
            path.starts_with("packer") && path.extension().is_some_and(|e| e == "json");
        if !is_template && !text.starts_with(ADOPTED) {
            continue;
        }
        old.insert(path.to_owned(), text);
    }
    Ok(old)
}
