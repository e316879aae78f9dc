//! The command line: one file a subcommand.

mod adopt;
mod baseline;
#[cfg(unix)]
mod build;
mod built;
mod change;
mod check;
#[cfg(unix)]
mod clean;
mod compare;
mod compile;
mod defaults;
#[cfg(unix)]
mod deps;
#[cfg(unix)]
mod diff;
mod doc;
#[cfg(not(unix))]
mod elsewhere;
mod explain;
mod fix;
mod fmt;
mod format;
mod graph;
mod import;
mod init;
mod list;
mod lsp;
mod place;
#[cfg(unix)]
mod plan;
#[cfg(unix)]
mod probe;
mod releases;
mod report;
mod report_page;
mod sandbox;
mod sbom;
mod schema;
mod select;
mod show;
#[cfg(unix)]
mod sides;
#[cfg(unix)]
mod states;
mod targets;
mod test;
mod vendor;
mod verify;
mod watch;
mod whence;

use self::format::{Asked, Format};
use self::sandbox::Sandbox;
#[cfg(not(unix))]
use self::{
    elsewhere as build, elsewhere as clean, elsewhere as deps, elsewhere as diff,
    elsewhere as plan, elsewhere as probe,
};
use crate::diagnostic::nearest;
use crate::project::hir::Date;
use crate::schema::Roles;
use crate::source::{Release, is_unseen, visible};
use clap::{Args, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::ExitCode;

/// An error outside the specs: in the command itself or in its environment. Exit code 2.
#[derive(Debug)]
pub struct Failure(pub String);

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
    #[command(flatten)]
    options: Options,
    /// The current folder. Relative paths among the arguments start there.
    #[arg(skip)]
    here: PathBuf,
}

/// The options of all commands.
#[derive(Debug, Args)]
struct Options {
    /// How to print diagnostics: rich, plain, short, json, sarif, github, gitlab or junit; with =FILE, to a file. Repeat it
    /// for several [default: rich on a terminal, plain elsewhere]
    #[arg(long = "format", global = true, value_name = "FORMAT[=FILE]", value_parser = format::parse)]
    formats: Vec<Asked>,
    /// A folder outside the project that specs may include files from
    #[arg(long = "include-root", global = true, value_name = "FOLDER")]
    include_roots: Vec<PathBuf>,
    /// A spec with rules, tests and waivers that hold for every image, whatever the project includes (docs/policy.md)
    #[arg(long = "policy", global = true, value_name = "SPEC")]
    policies: Vec<PathBuf>,
    /// The day on which waivers are judged; without it all of them are in force
    #[arg(long, global = true, value_name = "DATE", value_parser = find_date)]
    as_of: Option<Date>,
    /// Use an Image Builder checkout as the library instead of the standard library
    #[arg(long = "in", global = true, value_name = "CHECKOUT")]
    checkout: Option<PathBuf>,
    /// Use the library of this release of Image Builder (`imgspec releases` lists them)
    #[arg(long, global = true, value_name = "RELEASE", conflicts_with = "checkout", value_parser = find_release)]
    release: Option<Release>,
    /// Whose Ansible roles the output is for: imgspec's own, or those of Image Builder [default: native]
    #[arg(long, global = true, value_name = "native|upstream", conflicts_with = "checkout", value_parser = find_roles)]
    roles: Option<Roles>,
    /// Whether the kernel confines commands that start no programs (docs/security.md)
    #[arg(long, global = true, value_enum, default_value_t, value_name = "MODE")]
    sandbox: Sandbox,
}

impl Deref for Cli {
    type Target = Options;

    fn deref(&self) -> &Options {
        &self.options
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check specs and all their images without writing files
    Check(check::Check),
    /// Write each image's Packer var file, Ansible extra vars and manifest
    Compile(compile::Compile),
    /// Show the effective values of images, or where one variable's value comes from
    Show(show::Show),
    /// Format specs
    Fmt(fmt::Fmt),
    /// List the project's images and the library's targets
    List(list::List),
    /// Write the reference of all variables, targets, rules, probes and types as an HTML page
    Doc(doc::Doc),
    /// Explain a code, a variable, a rule, a probe or a target, or search for words
    Explain(explain::Explain),
    /// Build images: check, compile, and run Packer
    Build(build::Build),
    /// Check, compile, and run `packer validate`
    Validate(build::Validate),
    /// Run the tests of the project and of its policies: what must be true of images
    Test(test::Test),
    /// Compare two states of the project: which images change, and which lines are the cause
    Diff(diff::Diff),
    /// List the images to build: all, or those that a change concerns, as jobs for a CI system
    Plan(plan::PlanArgs),
    /// Draw what extends what, or which file includes which: for Mermaid, Graphviz or as SVG
    Graph(graph::GraphArgs),
    /// Write all values of all images, and where they come from, as one HTML page
    Report(report_page::ReportArgs),
    /// Show from which files and lines the values of a built image come
    Whence(whence::Whence),
    /// Check that a built image is what its build has made, and that the specs are still those of the image
    Verify(verify::Verify),
    /// Download the files that specs include by their address; no other command uses the network for them
    Vendor(vendor::Vendor),
    /// List the packages, programs and container images of a built image: CycloneDX, SPDX or text
    Sbom(sbom::Sbom),
    /// Check built images: start each without changing it, and run its probes in it
    Probe(probe::Probe),
    /// Show which programs builds need, and install them
    Deps(deps::Deps),
    /// List the releases of Image Builder whose targets and variables the program contains
    Releases(releases::Releases),
    /// List the targets of each provider
    Targets(targets::Targets),
    /// Print the library's defaults as Packer var files
    Defaults(defaults::Defaults),
    /// Run the language server on standard input and output
    Lsp,
    /// Start a project: a spec and its configuration, in the current folder
    Init(init::Init),
    /// Convert JSON var files to a spec
    Import(import::Import),
    /// Convert an Image Builder checkout to a library of specs
    Adopt(adopt::Adopt),
    /// Compare an Image Builder checkout with the library of a release
    Compare(compare::Compare),
    /// Print the JSON Schema of a command's JSON output
    Schema(schema::Schema),
    /// Remove the files that compiles and builds have written
    Clean(clean::Clean),
}

/// What a command works on.
#[derive(Debug, Default, Args)]
struct Selection {
    /// Names of images; paths of specs, JSON var files and folders [default: the project around the current folder]
    #[arg(value_name = "IMAGE|PATH")]
    inputs: Vec<String>,
    /// Set a variable above all layers; NAME+=VALUE and NAME-=VALUE change a list, 'unset NAME' drops a value
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Use this provider instead of the target's own
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
}

/// Runs the program and returns its exit code: 0 for success, 1 for errors in a spec, 2 for errors in the command or
/// its environment. A build that fails returns Packer's exit code.
pub fn run() -> ExitCode {
    let cli = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error),
    };
    match run_command(cli) {
        Ok(code) => code,
        Err(Failure(message)) => {
            print_aside(&format!("imgspec: {message}\n"));
            ExitCode::from(2)
        }
    }
}

/// Reads the arguments of the program.
///
/// # Errors
/// What is wrong with them, or the help.
fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let name = arguments.get(1).and_then(|name| name.to_str());
    if let Some(command) = name.and_then(frequent) {
        // What is wrong is said with all commands at hand.
        let only = Options::augment_args(clap::Command::new("imgspec")).subcommand(command);
        let found = only.try_get_matches_from(&arguments);
        if let Ok(cli) = found.and_then(|found| Cli::from_arg_matches(&found)) {
            return Ok(cli);
        }
    }
    Cli::try_parse_from(arguments)
}

/// Returns a command that hooks and editors run often. To describe all commands, each with the options of all, takes a third
/// of the time of a small check.
fn frequent(name: &str) -> Option<clap::Command> {
    let (name, add): (&'static str, fn(clap::Command) -> clap::Command) = match name {
        "check" => ("check", check::Check::augment_args),
        "compile" => ("compile", compile::Compile::augment_args),
        "fmt" => ("fmt", fmt::Fmt::augment_args),
        "list" => ("list", list::List::augment_args),
        "show" => ("show", show::Show::augment_args),
        "test" => ("test", test::Test::augment_args),
        _ => return None,
    };
    Some(add(clap::Command::new(name)))
}

/// Prints what is wrong with the arguments, or the help. clap prints an argument as it is, with what a terminal obeys.
fn report_usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if text.contains(is_unseen) {
        print_aside(&text);
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run_command(mut cli: Cli) -> Result<ExitCode, Failure> {
    cli.here = std::env::current_dir()
        .map_err(|e| Failure(format!("cannot find the current folder: {e}")))?;
    sandbox::expect_confined(&cli)?;
    format::expect_suitable(&cli)?;
    match &cli.command {
        Command::Check(check) => check::run(&cli, check).map(fine),
        Command::Compile(compile) => compile::run(&cli, compile).map(fine),
        Command::Show(show) => show::run(&cli, show).map(fine),
        Command::Fmt(fmt) => fmt::run(&cli, fmt).map(fine),
        Command::List(list) => list::run(&cli, list).map(fine),
        Command::Doc(doc) => doc::run(&cli, doc).map(fine),
        Command::Explain(explain) => explain::run(&cli, explain).map(fine),
        Command::Build(build) => build::run(&cli, build),
        Command::Validate(validate) => build::validate(&cli, validate),
        Command::Test(args) => test::run(&cli, args).map(fine),
        Command::Diff(args) => diff::run(&cli, args).map(fine),
        Command::Plan(args) => plan::run(&cli, args).map(fine),
        Command::Graph(args) => graph::run(&cli, args).map(fine),
        Command::Report(args) => report_page::run(&cli, args).map(fine),
        Command::Whence(whence) => whence::run(&cli, whence).map(fine),
        Command::Verify(args) => verify::run(&cli, args).map(fine),
        Command::Vendor(args) => vendor::run(&cli, args).map(fine),
        Command::Sbom(sbom) => sbom::run(&cli, sbom).map(fine),
        Command::Probe(probe) => probe::run(&cli, probe),
        Command::Deps(deps) => deps::run(&cli, deps).map(fine),
        Command::Releases(releases) => releases::run(&cli, releases).map(fine),
        Command::Targets(targets) => targets::run(&cli, targets).map(fine),
        Command::Defaults(defaults) => defaults::run(&cli, defaults).map(fine),
        Command::Lsp => lsp::run(&cli).map(fine),
        Command::Init(init) => init::run(&cli, init).map(fine),
        Command::Import(import) => import::run(&cli, import).map(fine),
        Command::Adopt(adopt) => adopt::run(&cli, adopt).map(fine),
        Command::Compare(args) => compare::run(&cli, args).map(fine),
        Command::Schema(schema) => schema::run(&cli, schema).map(fine),
        Command::Clean(clean) => clean::run(&cli, clean).map(fine),
    }
}

/// Reads the argument of `--release`.
fn find_release(name: &str) -> Result<Release, String> {
    let known = || Release::all().into_iter().map(Release::name);
    Release::find(name).ok_or_else(|| match nearest(name, known()) {
        Some(near) => format!("unknown release; did you mean `{near}`?"),
        None => format!(
            "unknown release; the releases are {}",
            known().collect::<Vec<_>>().join(", ")
        ),
    })
}

/// Reads the argument of `--as-of`.
fn find_date(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "write a date, as in `2027-01-31`".to_owned())
}

/// Reads the argument of `--roles`.
fn find_roles(name: &str) -> Result<Roles, String> {
    Roles::find(name).ok_or_else(|| format!("choose from {}", Roles::NAMES.join(", ")))
}

fn fine(is_fine: bool) -> ExitCode {
    if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// Keeps a value until the process ends. To free a large program takes a tenth of the time of a check.
fn keep<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// Prints to standard error and ignores a reader that is gone.
fn print_aside(text: &str) {
    print_rendered(&visible(text));
}

/// Prints a rendered report, which may contain colors, to standard error.
fn print_rendered(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Prints to standard output.
fn print(text: &str) -> Result<(), Failure> {
    print_bytes(&visible(text))
}

/// Prints a file's text: unchanged to another program, with escaped control characters to a terminal.
fn print_file(text: &str) -> Result<(), Failure> {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() {
        print(text)
    } else {
        print_bytes(text)
    }
}

/// Prints to standard output. A reader that is gone is not an error.
fn print_bytes(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
