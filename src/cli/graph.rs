//! `imgspec graph`

use crate::cli::report::{is_fine, report};
use crate::cli::select::select;
use crate::cli::{Asked, Cli, Failure, Format, Selection, print, print_file};
use crate::driver;
use crate::project::Program;
use crate::project::hir::SectionId;
use crate::report::{self as pictures, Graph, Look};
use crate::source::MAX_DRAWN;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    /// Names of images; paths of specs and folders [default: the project around the current folder]
    #[arg(value_name = "IMAGE|PATH")]
    inputs: Vec<String>,
    /// The files and what they include, instead of the layers and images
    #[arg(long)]
    files: bool,
    /// The form of the picture: mermaid, dot or svg [default: mermaid]
    // The id of the option that all commands have: this command has it with other values.
    #[arg(id = "formats", long = "format", value_name = "FORMAT", value_parser = parse_form)]
    _form: Option<Asked>,
}

fn parse_form(text: &str) -> Result<Asked, String> {
    let form = match text {
        "mermaid" => Format::Mermaid,
        "dot" => Format::Dot,
        "svg" => Format::Svg,
        _ => return Err("the forms are mermaid, dot and svg".to_owned()),
    };
    Ok(Asked::of(form))
}

pub(super) fn run(cli: &Cli, args: &GraphArgs) -> Result<bool, Failure> {
    let selection = Selection {
        inputs: args.inputs.clone(),
        ..Selection::default()
    };
    let selected = select(cli, &selection)?;
    selected.expect_known()?;
    let program = &selected.program;
    let findings = driver::conclude(program, selected.diagnostics.clone(), false);
    if !is_fine(&findings.shown) {
        report(cli, program, &findings);
        return Ok(false);
    }
    expect_images(&selected.images)?;
    let graph = draw(program, &selected.images, args.files)?;
    match cli.bare_format() {
        Some(Format::Svg) => print_file(&pictures::svg(&graph, Look::Alone))?,
        Some(Format::Dot) => print(&pictures::dot(&graph))?,
        _ => print(&pictures::mermaid(&graph))?,
    }
    Ok(true)
}

/// Checks that there is something to show.
///
/// # Errors
/// If there is no image.
pub(super) fn expect_images(images: &[SectionId]) -> Result<(), Failure> {
    if images.is_empty() {
        return Err(Failure(
            "these specs have no image to show: write one, as in `image NAME extends TARGET { }`"
                .to_owned(),
        ));
    }
    Ok(())
}

fn draw(program: &Program, images: &[SectionId], files: bool) -> Result<Graph, Failure> {
    let graph = if files {
        Graph::of_files(program, images)
    } else {
        Graph::of_layers(program, images)
    };
    graph.filter(|graph| graph.nodes.len() <= MAX_DRAWN).ok_or_else(|| {
        Failure(format!(
            "this picture has more than {MAX_DRAWN} nodes: name some of the images, files or folders"
        ))
    })
}
