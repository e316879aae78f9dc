//! `imgspec lsp`

use crate::cli::sandbox::Sandbox;
use crate::cli::{Cli, Failure};
use crate::lsp::{Confinement, serve};

pub(super) fn run(cli: &Cli) -> Result<bool, Failure> {
    let confinement = match cli.sandbox {
        Sandbox::Auto => Confinement::Possible,
        Sandbox::Require => Confinement::Required,
        Sandbox::Off => Confinement::Off,
    };
    serve(confinement)
        .map_err(|error| Failure(format!("the connection to the editor failed: {error}")))
}
