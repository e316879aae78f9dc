//! The language server: `imgspec lsp`, which speaks the Language Server Protocol on standard input and output.
//!
//! It answers from the functions that the command line uses; there is no second checker. `wire.rs` reads and writes,
//! `server.rs` is the loop, `workspace.rs` what is known and found, `answers.rs` what requests get; `cursor.rs` says
//! what stands at a place.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod actions;
mod capabilities;
mod checks;
mod completion;
mod diagnostics;
mod documents;
mod edits;
mod folding;
mod goto;
mod handlers;
mod hints;
mod hover;
mod marked;
mod navigation;
mod position;
mod publisher;
mod rename;
mod scheduler;
mod server;
mod signature;
mod symbols;
mod tokens;
mod transport;
mod workspace;

pub use server::serve;
