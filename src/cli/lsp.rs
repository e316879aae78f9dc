//! `imgspec lsp`

use crate::cli::Failure;
use crate::lsp::serve;

pub(super) fn run() -> Result<bool, Failure> {
    serve().map_err(|error| Failure(format!("the connection to the editor failed: {error}")))
}
