//! The language server: `imgspec lsp`, which speaks the Language Server Protocol on standard input and output.
//!
//! It answers from the functions that the command line uses; there is no second checker. `server.rs` is the loop,
//! `workspace.rs` what is known and found; `cursor.rs` says what stands at a place.

mod completion;
mod cursor;
mod documents;
mod hover;
mod places;
mod server;
mod symbols;
mod workspace;

pub use server::serve;
