//! `imgspec list`

use crate::cli::report::{format, is_fine, report};
use crate::cli::select::select;
use crate::cli::{Cli, Failure, Format, Selection, print};
use crate::diagnostic::{json_text, nearest};
use crate::driver;
use crate::project::hir::SectionId;
use crate::project::{Program, place_in_checkout};
use crate::source::MAX_SHOWN;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct List {
    /// Specs and folders [default: the project around the current folder]
    #[arg(value_name = "PATH")]
    inputs: Vec<String>,
    /// List the library's targets instead
    #[arg(long)]
    targets: bool,
    /// List only images that extend this layer or image, at any depth
    #[arg(long, value_name = "LAYER")]
    using: Option<String>,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// An image, as `list --json` prints it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed<'a> {
    /// The image's name.
    image: &'a str,
    /// The file that declares it: an absolute path, or `stdlib/…` for the standard library.
    file: Cow<'a, str>,
    /// Its documentation.
    doc: Option<&'a str>,
}

/// The error for a layer that does not exist, with the nearest one.
fn unknown_layer(program: &Program, name: &str) -> Failure {
    let near = nearest(name, program.sections.iter().map(|s| s.name.as_str()));
    let hint = near.map(|near| format!("; did you mean `{near}`?"));
    Failure(format!(
        "unknown layer or image `{name}`{}",
        hint.unwrap_or_default()
    ))
}

pub(super) fn run(cli: &Cli, args: &List) -> Result<bool, Failure> {
    let selection = Selection {
        inputs: args.inputs.clone(),
        ..Selection::default()
    };
    let mut selected = select(cli, &selection)?;
    selected.expect_known()?;
    let program = &selected.program;
    if args.targets {
        selected.images = program.library_images();
    }
    if let Some(layer) = &args.using {
        let users = selected.program.users_of(layer, &selected.images);
        selected.images = users.ok_or_else(|| unknown_layer(&selected.program, layer))?;
    }
    let program = &selected.program;
    let mut out = String::new();
    if args.json || format(cli) == Format::Json {
        let listed = |id: &SectionId| {
            let section = program.section(*id);
            let file = place_in_checkout(program, section.span).file;
            Listed {
                image: &section.name,
                file: program.sources.get(file).path.to_string_lossy(),
                doc: section.doc.as_deref(),
            }
        };
        let images: Vec<Listed<'_>> = selected.images.iter().map(listed).collect();
        out = json_text(&images);
    } else {
        let width = selected
            .images
            .iter()
            .map(|id| program.section(*id).name.len())
            .max()
            .unwrap_or(0)
            .min(MAX_SHOWN);
        let mut file = None;
        for id in &selected.images {
            let section = program.section(*id);
            let from = place_in_checkout(program, section.span).file;
            if file.replace(from) != Some(from) {
                let gap = if out.is_empty() { "" } else { "\n" };
                let _ = writeln!(out, "{gap}{}", program.sources.name(from));
            }
            let doc = section
                .doc
                .as_deref()
                .and_then(|d| d.lines().next())
                .unwrap_or("");
            let _ = writeln!(
                out,
                "{}",
                format!("  {:width$}  {doc}", section.name).trim_end()
            );
        }
        if !args.targets && args.using.is_none() {
            let count = program.library_images().len();
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(
                out,
                "{gap}The library has {count} targets: `imgspec list --targets` lists them"
            );
        }
    }
    let findings = driver::conclude(program, Vec::new(), false);
    if !is_fine(&findings.shown) {
        report(cli, program, &findings);
    }
    print(&out)?;
    Ok(is_fine(&findings.shown))
}
