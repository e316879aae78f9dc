//! What must hold for every input: a function for each fuzz target, which panics if it does not hold.
//!
//! `tests/fuzzed.rs` runs them on the inputs in `tests/fuzzed/`, each of which once broke one of them.

mod adopt;
mod check;
mod evaluate;
mod format;
mod import;
mod lsp;
mod parse;
mod project;
mod template;

use std::borrow::Cow;

pub use adopt::adopt;
pub use check::check;
pub use evaluate::evaluate;
pub use format::format;
pub use import::import;
pub use lsp::lsp;
pub use parse::parse;
pub use template::template;

/// The input as a text. A `Loader` refuses files that are not UTF-8, so bytes that are not become U+FFFD.
fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}
