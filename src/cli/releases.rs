//! `imgspec releases`

use crate::cli::sandbox::confine;
use crate::cli::select::library;
use crate::cli::{Cli, Failure, print};
use crate::diagnostic::json_text;
use crate::project::LibraryChoice;
use crate::source::Release;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Releases {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A release in the JSON output.
#[derive(Serialize, JsonSchema)]
pub(super) struct JsonRelease {
    /// Its name, for `release` in imgspec.toml.
    name: &'static str,
    /// What it is.
    about: String,
    /// Whether the project around the current folder uses it.
    is_used: bool,
}

pub(super) fn run(cli: &Cli, args: &Releases) -> Result<bool, Failure> {
    let used = match library(cli, None)? {
        LibraryChoice::BuiltIn(edition) => Some(edition.release),
        LibraryChoice::Adopted(_) => None,
    };
    confine(cli, Vec::new(), Vec::new())?;
    let releases = Release::all().into_iter().map(|release| JsonRelease {
        name: release.name(),
        about: release.about(),
        is_used: used == Some(release),
    });
    let releases: Vec<JsonRelease> = releases.collect();
    if args.json {
        print(&json_text(&releases))?;
        return Ok(true);
    }
    let mut out = String::new();
    for JsonRelease {
        name,
        about,
        is_used,
    } in releases
    {
        let mark = if is_used { "*" } else { " " };
        let _ = writeln!(out, "{mark} {name:10} {about}");
    }
    print(&out)?;
    Ok(true)
}
