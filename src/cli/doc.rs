//! `imgspec doc`

use crate::cli::place::{cannot_write, folder_of, shown};
use crate::cli::report::{expect_unchanged, is_fine, report};
use crate::cli::sandbox::confine_to_request;
use crate::cli::select::{find_specs, include_roots, library};
use crate::cli::{Asked, Cli, Failure, Format, print, print_file};
use crate::driver;
use crate::project::{LibraryChoice, Program, Request, load};
use crate::reference::{Trial, collect, render_html, render_markdown};
use crate::source::{Disk, MAX_DESCRIBED, normalize, visible};
use crate::workspace;
use clap::Args;
use std::cell::Cell;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Doc {
    /// Specs and folders whose items belong to the reference [default: the project around the current folder]
    #[arg(value_name = "PATH")]
    inputs: Vec<String>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The form of the reference [default: html]
    // It has the name of the option for diagnostics, which it replaces here.
    #[arg(id = "formats", long = "format", value_name = "FORMAT", value_parser = parse_form)]
    _form: Option<Asked>,
}

fn parse_form(text: &str) -> Result<Asked, String> {
    let form = match text {
        "html" => Format::Html,
        "markdown" => Format::Markdown,
        _ => return Err("the forms are html and markdown".to_owned()),
    };
    Ok(Asked::of(form))
}

impl Doc {
    /// The folder that the command writes to.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        folder_of(here, self.out.as_deref())
    }
}

pub(super) fn run(cli: &Cli, args: &Doc) -> Result<bool, Failure> {
    let mut specs = find_specs(&cli.here, &args.inputs)?;
    let first = specs.first().filter(|_| !args.inputs.is_empty());
    let choice = library(cli, first.map(PathBuf::as_path))?;
    // The library's own files do not belong to the project.
    if let LibraryChoice::Adopted(adopted) = &choice {
        specs.retain(|spec| !spec.starts_with(&adopted.root));
    }
    let library = Some(workspace::library(choice));
    let request = Request {
        specs,
        library: library.clone(),
        include_roots: include_roots(cli),
        here: Some(cli.here.clone()),
        ..Request::default()
    };
    confine_to_request(cli, &request)?;
    let mut program = load(&Disk, &request);
    program.sources.set_base(cli.here.clone());
    let findings = driver::conclude(&program, Vec::new(), false);
    if !is_fine(&findings.shown) {
        report(cli, &program, &findings);
        return Ok(false);
    }
    let specs = program.specs.iter().flatten();
    let count: usize = specs.map(|file| program.images_of(*file).len()).sum();
    if count > MAX_DESCRIBED {
        return Err(Failure(format!(
            "these specs have {count} images, and `doc` describes {MAX_DESCRIBED} at most: name some of the files or folders"
        )));
    }
    let trial = Trial {
        loader: &Disk,
        folder: workspace::project_root(&cli.here),
        library,
        include_roots: request.include_roots,
        spent: Cell::default(),
    };
    let reference = collect(&program, &subject(cli, &program), Some(&trial));
    let text = match cli.bare_format() {
        Some(Format::Markdown) => visible(&render_markdown(&reference)).into_owned(),
        _ => render_html(&reference),
    };
    let Some(out) = &args.out else {
        print_file(&text)?;
        return Ok(true);
    };
    let path = normalize(&cli.here.join(out));
    expect_unchanged(&program, &cli.here)?;
    workspace::replace(&path, text.as_bytes()).map_err(|e| cannot_write(&e, &cli.here))?;
    print(&format!("{}\n", shown(&path, &cli.here)))?;
    Ok(true)
}

/// What the reference is about: the library.
fn subject(cli: &Cli, program: &Program) -> String {
    if let Some(checkout) = &program.checkout {
        return format!("Image Builder in {}", shown(checkout, &cli.here));
    }
    if program.is_adopted {
        format!("The library in {}", shown(&program.adopted_root, &cli.here))
    } else {
        format!("Image Builder {}", program.edition.release)
    }
}
