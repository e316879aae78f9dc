//! `imgspec vendor`

use crate::cli::place::{cannot_write, shown};
use crate::cli::{Cli, Failure, print, print_aside};
use crate::project::{Address, LOCK_FILE};
use crate::workspace::{self, Copies, Copy, find_copies};
use clap::Args;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Vendor {
    /// Change nothing, and fail if a copy is missing, is another file, or is not included any more. Needs no network
    #[arg(long, conflicts_with = "update")]
    check: bool,
    /// Download this file again, and take it even if its author has changed it
    #[arg(long, value_name = "URL", value_parser = find_address)]
    update: Vec<Address>,
}

/// Reads the argument of `--update`.
fn find_address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(str::to_owned)
}

pub(super) fn run(cli: &Cli, args: &Vendor) -> Result<bool, Failure> {
    let root = workspace::project_root(&cli.here);
    let copies = find_copies(&root, !args.check, &args.update).map_err(Failure)?;
    if args.check {
        return Ok(check(&copies));
    }
    copies.write().map_err(|e| cannot_write(&e, &cli.here))?;
    let mut text = String::new();
    for (address, state) in &copies.states {
        let word = match state {
            Copy::Same => continue,
            Copy::New => "added",
            Copy::Missing | Copy::Different => "restored",
            Copy::Updated => "updated",
            Copy::Unused => "removed",
        };
        let sum = match copies.sums(address) {
            (Some(old), Some(new)) if old != new => format!("{old} -> {new}"),
            (old, new) => new.or(old).unwrap_or_default().to_owned(),
        };
        let _ = writeln!(text, "{word:9}{}  {sum}", address.as_str());
    }
    print(&text)?;
    let count = copies.states.len();
    let unused = copies.states.values().filter(|s| **s == Copy::Unused);
    print_aside(&format!(
        "imgspec: {}: {} files that specs include by their address\n",
        shown(&root.join(LOCK_FILE), &cli.here),
        count - unused.count()
    ));
    Ok(true)
}

/// Prints which copies are not as the lock file and the specs want them. Returns whether all are.
fn check(copies: &Copies) -> bool {
    let mut is_fine = true;
    for (address, state) in &copies.states {
        let what = match state {
            Copy::Same => continue,
            Copy::New => "is not in imgspec.lock",
            Copy::Missing => "has no copy",
            Copy::Different | Copy::Updated => "has a copy that is another file",
            Copy::Unused => "is in imgspec.lock, and nothing includes it",
        };
        is_fine = false;
        print_aside(&format!(
            "imgspec: {} {what}: run `imgspec vendor`\n",
            address.as_str()
        ));
    }
    is_fine
}
