//! `imgspec schema`

#[cfg(unix)]
use crate::cli::deps::JsonTool;
#[cfg(unix)]
use crate::cli::probe::JsonProbed;
use crate::cli::sandbox::confine;
use crate::cli::{Cli, Failure, compile, list, print, releases, show, test, verify, whence};
use crate::diagnostic::{Report, json_text};
use crate::import::Comparison;
use crate::review::{Plan, Review};
use clap::{Args, ValueEnum};
use schemars::schema_for;

#[derive(Debug, Args)]
pub(super) struct Schema {
    /// The command whose JSON the schema describes
    #[arg(value_enum, value_name = "COMMAND")]
    form: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// `check --format json`
    Check,
    /// `compile --format json`
    Compile,
    /// `show --json`
    Show,
    /// `list --json`
    List,
    /// `releases --json`
    Releases,
    /// `compare --json`
    Compare,
    /// `diff --json`
    Diff,
    /// `plan --format json`
    Plan,
    /// `whence --json`
    Whence,
    /// `verify --json`
    Verify,
    /// `test --json`
    Test,
    /// `deps --json`
    #[cfg(unix)]
    Deps,
    /// `probe --json`
    #[cfg(unix)]
    Probe,
}

pub(super) fn run(cli: &Cli, args: &Schema) -> Result<bool, Failure> {
    confine(cli, Vec::new(), Vec::new())?;
    let schema = match args.form {
        Form::Check => schema_for!(Report<'static>),
        Form::Compile => schema_for!(compile::Compiled<'static>),
        Form::Show => schema_for!(Vec<show::JsonImage>),
        Form::List => schema_for!(Vec<list::Listed<'static>>),
        Form::Releases => schema_for!(Vec<releases::JsonRelease>),
        Form::Compare => schema_for!(Comparison),
        Form::Diff => schema_for!(Review),
        Form::Plan => schema_for!(Plan),
        Form::Whence => schema_for!(whence::Whences),
        Form::Verify => schema_for!(verify::Verified),
        Form::Test => schema_for!(test::JsonTests<'static>),
        #[cfg(unix)]
        Form::Deps => schema_for!(Vec<JsonTool<'static>>),
        #[cfg(unix)]
        Form::Probe => schema_for!(Vec<JsonProbed>),
    };
    print(&json_text(&schema))?;
    Ok(true)
}
