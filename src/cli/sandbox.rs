//! Confining a command before it reads the first spec (docs/security.md).

use crate::cli::{Cli, Command, Failure};
use crate::project::{CONFIG_FILE, Request, readable};
use crate::source::Disk;
use crate::workspace::{self, Limits, confine_calls, confine_files};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// Whether the kernel confines the command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Sandbox {
    /// As far as the kernel can
    #[default]
    Auto,
    /// Fail if it cannot
    Require,
    /// Not at all
    Off,
}

impl Command {
    /// Whether the command starts no program after it has read its library.
    fn is_confined(&self) -> bool {
        match self {
            Command::Check(_)
            | Command::Compile(_)
            | Command::Show(_)
            | Command::Fmt(_)
            | Command::List(_)
            | Command::Doc(_)
            | Command::Explain(_)
            | Command::Releases(_)
            | Command::Targets(_)
            | Command::Defaults(_)
            | Command::Lsp
            | Command::Init(_)
            | Command::Import(_)
            | Command::Graph(_)
            | Command::Report(_)
            | Command::Whence(_)
            | Command::Verify(_)
            | Command::Sbom(_)
            | Command::Schema(_)
            | Command::Test(_) => true,
            // They run Packer, Ansible, make, apt, curl or an image, or remove what these have written.
            Command::Build(_)
            | Command::Diff(_)
            | Command::Plan(_)
            | Command::Validate(_)
            | Command::Probe(_)
            | Command::Deps(_)
            | Command::Adopt(_)
            | Command::Compare(_)
            | Command::Vendor(_)
            | Command::Clean(_) => false,
        }
    }

    /// The folders that the command writes to.
    fn writes(&self, here: &Path) -> Vec<PathBuf> {
        match self {
            Command::Check(check) => check.writes(here),
            Command::Compile(compile) => compile.writes(here),
            Command::Doc(doc) => doc.writes(here),
            Command::Defaults(defaults) => defaults.writes(here),
            Command::Import(import) => import.writes(here),
            Command::Init(init) => init.writes(here),
            Command::Report(report) => report.writes(here),
            Command::Sbom(sbom) => sbom.writes(here),
            Command::Test(test) => test.writes(here),
            _ => Vec::new(),
        }
    }
}

/// Checks that `--sandbox require` suits the command.
///
/// # Errors
/// If the command cannot be confined.
pub(super) fn expect_confined(cli: &Cli) -> Result<(), Failure> {
    if cli.sandbox == Sandbox::Require && !cli.command.is_confined() {
        return Err(Failure(
            "this command cannot be confined: remove `--sandbox require`".to_owned(),
        ));
    }
    Ok(())
}

/// Confines a command to what loading a request may read and what the command writes.
///
/// # Errors
/// With `--sandbox require`, if the kernel cannot.
pub(super) fn confine_to_request(cli: &Cli, request: &Request) -> Result<(), Failure> {
    if !is_wanted(cli) {
        return Ok(());
    }
    let mut read = readable(&Disk, request);
    // The command also belongs to the project around the current folder.
    read.push(workspace::project_root(&cli.here).join(CONFIG_FILE));
    confine(cli, read, Vec::new())
}

/// Confines a command to these files and folders and what the command writes.
///
/// # Errors
/// With `--sandbox require`, if the kernel cannot.
pub(super) fn confine(
    cli: &Cli,
    read: Vec<PathBuf>,
    mut write: Vec<PathBuf>,
) -> Result<(), Failure> {
    if !is_wanted(cli) {
        return Ok(());
    }
    write.extend(cli.command.writes(&cli.here));
    write.extend(cli.writes_of_formats());
    let limits = Limits {
        read: Some(read),
        write,
    };
    settle(cli, [confine_files(&limits), confine_calls()])
}

/// Confines further writing to a folder, which now exists.
///
/// # Errors
/// With `--sandbox require`, if the kernel cannot.
pub(super) fn confine_writing(cli: &Cli, folder: &Path) -> Result<(), Failure> {
    if !is_wanted(cli) {
        return Ok(());
    }
    let mut write = cli.writes_of_formats();
    write.push(folder.to_owned());
    let limits = Limits { read: None, write };
    settle(cli, [confine_files(&limits)])
}

fn is_wanted(cli: &Cli) -> bool {
    cli.sandbox != Sandbox::Off && cli.command.is_confined()
}

fn settle<const N: usize>(cli: &Cli, results: [Result<(), String>; N]) -> Result<(), Failure> {
    let missing: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    if cli.sandbox == Sandbox::Require && !missing.is_empty() {
        let why = missing.join("; ");
        return Err(Failure(format!("the command cannot be confined: {why}")));
    }
    Ok(())
}
