//! `imgspec plan`

use crate::cli::format::Asked;
use crate::cli::states::{self, Compared};
use crate::cli::{Cli, Failure, Format, print, print_aside};
use crate::diagnostic::json_text;
use crate::review::{Options, Pipeline, Plan};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    compared: Compared,
    /// Plan only images that differ from this revision of git
    #[arg(long, value_name = "REVISION", conflicts_with = "against")]
    changed_since: Option<String>,
    /// The form of the plan: github, gitlab, json, lines, kubernetes or make [default: lines]
    // The id of the option that all commands have: this command has it with other values.
    #[arg(id = "formats", long = "format", value_name = "FORMAT", value_parser = parse_form)]
    _form: Option<Asked>,
    /// Put the images into at most this number of jobs [default: 256 for GitHub, 200 for GitLab]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    max_jobs: Option<u16>,
    /// GitLab: a file of the repository with a job `.imgspec`, which all jobs extend
    #[arg(long, value_name = "FILE")]
    include: Option<String>,
    /// Kubernetes: the container image with imgspec and the specs
    #[arg(long, value_name = "IMAGE")]
    container: Option<String>,
}

fn parse_form(text: &str) -> Result<Asked, String> {
    let form = match text {
        "github" => Format::Github,
        "gitlab" => Format::Gitlab,
        "json" => Format::Json,
        "lines" => Format::Lines,
        "kubernetes" => Format::Kubernetes,
        "make" => Format::Make,
        _ => {
            return Err(
                "the forms are github, gitlab, json, lines, kubernetes and make".to_owned(),
            );
        }
    };
    Ok(Asked::of(form))
}

pub(super) fn run(cli: &Cli, args: &PlanArgs) -> Result<bool, Failure> {
    let pipeline = match cli.bare_format() {
        Some(Format::Github) => Some(Pipeline::Github),
        Some(Format::Gitlab) => Some(Pipeline::Gitlab),
        Some(Format::Kubernetes) => Some(Pipeline::Kubernetes),
        Some(Format::Make) => Some(Pipeline::Make),
        Some(Format::Json) => None,
        _ => Some(Pipeline::Lines),
    };
    let options = Options {
        max_jobs: args.max_jobs.map(usize::from),
        include: args.include.clone(),
        container: args.container.clone(),
    };
    expect_options(pipeline, args)?;
    let compared = args.compared.since(args.changed_since.as_deref());
    let plan = if compared.is_stated() {
        let (review, new) = states::review(cli, &compared)?;
        Plan::of(&review, &new)
    } else {
        Plan::of_all(&states::find_new(cli, &compared)?)
    };
    match pipeline {
        Some(pipeline) => print(&pipeline.write(&plan, &options))?,
        None => print(&json_text(&plan))?,
    }
    print_aside(&format!("imgspec: {}\n", plan.summary()));
    Ok(true)
}

/// Checks that the options belong to the form.
///
/// # Errors
/// If one belongs to another form, or one is missing.
fn expect_options(pipeline: Option<Pipeline>, args: &PlanArgs) -> Result<(), Failure> {
    let refuse =
        |option: &str, form: &str| Err(Failure(format!("`{option}` needs `--format {form}`")));
    if args.include.is_some() && pipeline != Some(Pipeline::Gitlab) {
        return refuse("--include", "gitlab");
    }
    if args.container.is_some() && pipeline != Some(Pipeline::Kubernetes) {
        return refuse("--container", "kubernetes");
    }
    if args.container.is_none() && pipeline == Some(Pipeline::Kubernetes) {
        return Err(Failure(
            "name the container image that has imgspec and the specs: `--container IMAGE`"
                .to_owned(),
        ));
    }
    Ok(())
}
