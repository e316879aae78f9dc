//! The command line: one file a subcommand.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod adopt;
mod build;
mod check;
mod clean;
mod compile;
mod defaults;
mod deps;
mod explain;
mod fmt;
mod import;
mod list;
mod lsp;
mod place;
mod report;
mod select;
mod show;
mod targets;

use crate::source::visible;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// What went wrong outside the specs: the command itself, or the environment. Exit code 2.
#[derive(Debug)]
pub struct Failure(pub String);

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With lines and colours, for a terminal
    Rich,
    /// Plain text with excerpts
    Plain,
    /// One line a finding
    Short,
    /// For programs (docs/json.md)
    Json,
}

/// A typed language for Kubernetes Image Builder: compiles .imgspec files to Packer var files and
/// Ansible extra vars.
#[derive(Debug, Parser)]
#[command(
    name = "imgspec",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How findings are printed [default: rich on a terminal, else plain]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// A folder outside the project that specs may include from
    #[arg(long = "include-root", global = true, value_name = "FOLDER")]
    include_roots: Vec<PathBuf>,
    /// Work against an Image Builder checkout, with its targets in the place of the library's
    #[arg(long = "in", global = true, value_name = "CHECKOUT")]
    checkout: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check specs and all their images, and write nothing
    Check(Selection),
    /// Write each image's Packer var file, Ansible extra vars and manifest
    Compile(compile::Compile),
    /// Show the effective values of images, or where one variable's value comes from
    Show(show::Show),
    /// Write specs in the one style
    Fmt(fmt::Fmt),
    /// List the project's images and the library's targets
    List(list::List),
    /// Explain a code, a variable or a rule
    Explain(explain::Explain),
    /// Build images: check, compile, and run Packer
    Build(build::Build),
    /// Check, compile, and ask Packer whether it would take it
    Validate(build::Validate),
    /// Show the programs that builds need, and install them
    Deps(deps::Deps),
    /// List what there is to build, grouped
    Targets(targets::Targets),
    /// Print the library's defaults as Packer var files
    Defaults(defaults::Defaults),
    /// Serve an editor: the Language Server Protocol on standard input and output
    Lsp,
    /// Turn JSON var files into a spec
    Import(import::Import),
    /// Turn an Image Builder checkout into a library of specs
    Adopt(adopt::Adopt),
    /// Remove what compiles and builds have written
    Clean(clean::Clean),
}

/// What a command works on.
#[derive(Debug, Args)]
struct Selection {
    /// Images by name, spec files and folders by path; none: the project around this folder
    #[arg(value_name = "IMAGE|PATH")]
    inputs: Vec<String>,
    /// Set a variable, above all layers; NAME+=VALUE and NAME-=VALUE change a list, 'unset NAME' takes a value back
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Build with another provider than the target's own
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
}

/// Runs the program: arguments in, exit code out. 0 is fine, 1 means the spec is wrong, 2 that the
/// command is, or the environment; a build that fails gives Packer's code.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Check(selection) => check::run(&cli, selection).map(fine),
        Command::Compile(compile) => compile::run(&cli, compile).map(fine),
        Command::Show(show) => show::run(&cli, show).map(fine),
        Command::Fmt(fmt) => fmt::run(&cli, fmt).map(fine),
        Command::List(list) => list::run(&cli, list).map(fine),
        Command::Explain(explain) => explain::run(&cli, explain).map(fine),
        Command::Build(build) => build::run(&cli, build),
        Command::Validate(validate) => build::validate(&cli, validate),
        Command::Deps(deps) => deps::run(&cli, deps).map(fine),
        Command::Targets(targets) => targets::run(&cli, targets).map(fine),
        Command::Defaults(defaults) => defaults::run(defaults).map(fine),
        Command::Lsp => lsp::run().map(fine),
        Command::Import(import) => import::run(&cli, import).map(fine),
        Command::Adopt(adopt) => adopt::run(adopt).map(fine),
        Command::Clean(clean) => clean::run(clean).map(fine),
    };
    match result {
        Ok(code) => code,
        Err(Failure(message)) => {
            print_aside(&format!("imgspec: {message}\n"));
            ExitCode::from(2)
        }
    }
}

fn fine(is_fine: bool) -> ExitCode {
    if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// Prints to standard error, as far as somebody reads it.
fn print_aside(text: &str) {
    print_rendered(&visible(text));
}

/// The same for what is fit for a terminal already, and has colours.
fn print_rendered(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Prints to standard output.
fn print(text: &str) -> Result<(), Failure> {
    print_bytes(&visible(text))
}

/// Prints a file's text: as it is for another program, as a terminal may have it for a terminal.
fn print_file(text: &str) -> Result<(), Failure> {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() {
        print(text)
    } else {
        print_bytes(text)
    }
}

/// A reader that has gone away is no failure.
fn print_bytes(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
