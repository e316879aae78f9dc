//! The commands that build images, on systems where imgspec cannot build: each fails with a message.

use crate::cli::{Cli, Failure};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Refused {
    /// Arguments of the command on other systems
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<String>,
}

pub(super) type Build = Refused;
pub(super) type Validate = Refused;
pub(super) type Deps = Refused;
pub(super) type Probe = Refused;
pub(super) type Clean = Refused;
pub(super) type Diff = Refused;
pub(super) type PlanArgs = Refused;

pub(super) fn run<T>(_: &Cli, _: &Refused) -> Result<T, Failure> {
    let message = "build, validate, diff, plan, probe, deps and clean need a Unix system, such as Linux or macOS; \
                   here imgspec can check and compile specs, and serve editors";
    Err(Failure(message.to_owned()))
}

pub(super) use run as validate;
