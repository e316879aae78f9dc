//! `imgspec targets`: all targets by provider, like Image Builder's `make help`.

use crate::cli::select::select;
use crate::cli::{Cli, Failure, Selection, print};
use crate::project::hir::*;
use clap::Args;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Targets {
    /// Show only the targets of this provider
    #[arg(value_name = "PROVIDER")]
    provider: Option<String>,
}

pub(super) fn run(cli: &Cli, args: &Targets) -> Result<bool, Failure> {
    let selected = select(cli, &Selection::default())?;
    let program = &selected.program;
    let is_wanted = |p: &&Provider| args.provider.as_deref().is_none_or(|name| p.name == name);
    let providers: Vec<&Provider> = program.providers.iter().filter(is_wanted).collect();
    if providers.is_empty() {
        let known: Vec<&str> = program.providers.iter().map(|p| p.name.as_str()).collect();
        return Err(Failure(format!(
            "unknown provider `{}`; the providers are {}",
            args.provider.as_deref().unwrap_or_default(),
            known.join(", ")
        )));
    }
    let mut out = String::from("Dependencies\n");
    for provider in &providers {
        let _ = writeln!(
            out,
            "  imgspec deps {:13} {}",
            provider.name,
            provider.tools.join(", ")
        );
    }
    let width = program
        .sections
        .iter()
        .filter(|s| s.target.is_some())
        .map(|s| s.name.len())
        .max()
        .unwrap_or(0);
    for provider in &providers {
        let is_built_so = |s: &&Section| {
            s.target
                .as_ref()
                .is_some_and(|t| std::ptr::eq(program.provider(t.provider), *provider))
        };
        let images: Vec<&Section> = program.sections.iter().filter(is_built_so).collect();
        if images.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{}: {}", provider.name, first_line(&provider.doc));
        for image in images {
            let line = format!(
                "  imgspec build {:width$}  {}",
                image.name,
                first_line(&image.doc)
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    out.push_str("\nCleaning\n");
    out.push_str("  imgspec clean           remove the files that compiles and builds have written to build/\n");
    out.push_str("  imgspec clean IMAGE     remove the files of one image\n");
    out.push_str(
        "  imgspec clean --cache   remove what builds share: root filesystems, downloads\n",
    );
    print(&out)?;
    Ok(true)
}

fn first_line(doc: &Option<String>) -> &str {
    doc.as_deref().and_then(|d| d.lines().next()).unwrap_or("")
}
