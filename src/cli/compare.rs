//! `imgspec compare`

use crate::cli::{Cli, Failure, print};
use crate::diagnostic::json_text;
use crate::import::{Comparison, Difference, compare};
use crate::project::{Edition, Library, LibraryChoice, Request, load};
use crate::schema::Roles;
use crate::source::Memory;
use crate::workspace;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The folder of an Image Builder checkout, or its images/capi
    #[arg(value_name = "CHECKOUT")]
    folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(cli: &Cli, args: &Compare) -> Result<bool, Failure> {
    let adopted = workspace::adopt_checkout(&cli.here.join(&args.folder)).map_err(Failure)?;
    let release = cli.release.unwrap_or(adopted.release);
    let built_in = Library::built_in(Edition {
        release,
        roles: Roles::Upstream,
    });
    let program = |library: Arc<Library>| {
        load(
            &Memory::default(),
            &Request {
                library: Some(library),
                ..Request::default()
            },
        )
    };
    let library = program(built_in);
    if library.library_images().is_empty() {
        return Err(Failure(format!(
            "the library of {release} describes only imgspec's own templates, so no checkout can be compared with it; choose \
             another one with `--release`"
        )));
    }
    let comparison = compare(
        &program(workspace::library(LibraryChoice::Adopted(adopted))),
        &library,
    );
    if args.json {
        print(&json_text(&comparison))?;
    } else {
        print(&render(&comparison, release.name()))?;
    }
    Ok(comparison.is_complete())
}

fn render(comparison: &Comparison, release: &str) -> String {
    let mut out = String::new();
    let mut list = |title: &str, names: &[String]| {
        if !names.is_empty() {
            let _ = writeln!(out, "{title}:\n  {}\n", names.join("\n  "));
        }
    };
    list(
        &format!("targets that {release} lacks"),
        &comparison.missing_targets,
    );
    list("targets that the checkout lacks", &comparison.other_targets);
    list(
        &format!("variables that {release} lacks"),
        &comparison.missing_variables,
    );
    list(
        "variables that the checkout lacks",
        &comparison.other_variables,
    );
    for (title, differences) in [
        ("values that differ", &comparison.values),
        ("readers that differ", &comparison.readers),
    ] {
        if !differences.is_empty() {
            let _ = writeln!(out, "{title}:");
            differences
                .iter()
                .for_each(|difference| write_difference(&mut out, difference, release));
            out.push('\n');
        }
    }
    let _ = writeln!(
        out,
        "{} values compared with {release}: {} differ, and {} readers",
        comparison.compared,
        comparison.values.len(),
        comparison.readers.len()
    );
    out
}

fn write_difference(out: &mut String, difference: &Difference, release: &str) {
    let side = |text: &Option<String>| {
        text.as_ref()
            .map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"))
    };
    let Difference {
        variable,
        checkout,
        library,
        targets,
    } = difference;
    let _ = writeln!(
        out,
        "  {variable}\n    checkout  {}\n    {release:8}  {}\n    in        {}",
        side(checkout),
        side(library),
        in_short(targets)
    );
}

/// Names at most three targets, and the number of others.
fn in_short(targets: &[String]) -> String {
    let shown: Vec<&str> = targets.iter().take(3).map(String::as_str).collect();
    match targets.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
