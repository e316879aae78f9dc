//! The language server: `imgspec lsp`, which speaks the Language Server Protocol on standard input and output.
//!
//! It uses the functions that the command line uses; there is no second checker. `transport.rs` reads and writes
//! messages, `server.rs` is the loop, `workspace.rs` has the files and their programs, `checks.rs` the diagnostics, and
//! `handlers.rs` responds to requests.

mod actions;
mod capabilities;
mod checks;
mod completion;
mod diagnostics;
mod documents;
mod edits;
mod family;
mod folding;
mod goto;
mod handlers;
mod hints;
mod hover;
mod index;
mod lenses;
mod manual;
mod marked;
mod moves;
mod navigation;
mod output;
#[expect(
    clippy::disallowed_methods,
    reason = "the clock decides when a file is checked, and not what is found"
)]
mod pause;
mod pin;
mod position;
mod publisher;
mod pull;
mod rebuilds;
mod refactor;
mod rename;
mod scheduler;
mod server;
mod signature;
mod structure;
mod symbols;
mod tokens;
mod transport;
mod workspace;

pub use server::{serve, serve_on};
pub use workspace::Confinement;
