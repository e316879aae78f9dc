//! The parser: text → lossless [`Tree`] → typed view in [`ast`], with syntax errors.
//!
//! Parsing never fails. An error costs at most its line; the rest of the file is still parsed. The `lower_` functions
//! convert nodes to the typed view and report errors. [`format()`] prints a tree in the standard style.

mod allow;
pub mod ast;
mod blocks;
mod format;
mod grammar;
mod mistakes;
mod plain;
mod print;
mod recover;
mod refusal;
mod tail;
mod to_ast;
mod tree;
mod unopened;

pub use allow::Allow;
pub(crate) use blocks::{Meant, meant_by};
pub use format::{format, format_range};
pub use print::{escape, print_key, print_text};
pub(crate) use recover::{is_keyword, is_name, is_null, is_word};
pub(crate) use to_ast::type_of_literal;
pub use tree::{Kind, Node, Tree};

use crate::diagnostic::Diagnostic;
use crate::source::{FileId, part};

/// A text as a tree and as its typed view.
#[derive(Debug)]
pub struct Syntax {
    /// The lossless tree, which covers every byte of the text.
    pub tree: Tree,
    /// The typed view. Parts with errors are missing.
    pub file: ast::File,
}

/// The result of parsing a text: its [`Syntax`], and what is wrong with it.
#[derive(Debug)]
pub struct Parse {
    /// The lossless tree, which covers every byte of the text.
    pub tree: Tree,
    /// The typed view. Parts with errors are missing.
    pub file: ast::File,
    /// The syntax errors.
    pub diagnostics: Vec<Diagnostic>,
    /// Where further errors begin, which one of the diagnostics explains together.
    pub(crate) replaced: Vec<u32>,
    /// The offset after which errors are not reported, because there are more than [`MAX_SYNTAX_ERRORS`]; or 0 if the
    /// text exceeds another limit and is not parsed.
    ///
    /// [`MAX_SYNTAX_ERRORS`]: crate::source::MAX_SYNTAX_ERRORS
    pub cut: Option<u32>,
}

/// Parses the argument of `--set`: `name = value`. Returns `None` if the text is not exactly one setting.
pub fn parse_setting(file: FileId, text: &str) -> Option<(ast::Set, Vec<Diagnostic>)> {
    let tree = grammar::parse_setting(text)?;
    let is_all = part(text, tree.node(0).end as usize..).trim().is_empty();
    to_ast::lower_setting(file, text, &tree).filter(|_| is_all)
}

/// Finds the comments of a file that allow diagnostics, and what is wrong with them.
pub fn find_allows(file: FileId, text: &str, tree: &Tree) -> (Vec<Allow>, Vec<Diagnostic>) {
    allow::find_allows(file, text, tree)
}

/// Parses a file without the typed view.
pub fn parse_tree(text: &str) -> Tree {
    plain::parse_file(text).unwrap_or_else(|| grammar::junk(text))
}

/// Parses a file by the grammar alone. Tests compare [`parse_tree`] with it. Returns `None` if the grammar needs more
/// steps or stack than it may use.
pub fn parse_by_grammar(text: &str) -> Option<Tree> {
    grammar::parse_file(text)
}

/// Parses a file. Every text has a result; what does not follow the grammar is reported.
pub fn parse(file: FileId, text: &str) -> Parse {
    match plain::parse_file(text) {
        Some(tree) => to_ast::lower_file(file, text, tree),
        None => Parse {
            tree: grammar::junk(text),
            file: ast::File { items: Vec::new() },
            diagnostics: vec![refusal::explain(file, text)],
            replaced: Vec::new(),
            cut: Some(0),
        },
    }
}
