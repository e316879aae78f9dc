//! Text to tree: the lossless [`Tree`], the typed view in [`ast`], and what is wrong with the text.
//!
//! Parsing never fails. A damaged line costs that line; everything else is still there. The
//! `lower_` functions turn tree nodes into the typed view and report as they go. [`format()`] writes the
//! tree anew in the one style.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

pub mod ast;
mod blocks;
mod format;
mod grammar;
mod mistakes;
mod print;
mod recover;
mod tail;
mod to_ast;
mod tree;

pub(crate) use blocks::{Meant, meant_by};
pub use format::{format, format_range};
pub use print::{escape, print_key, print_text};
pub(crate) use recover::is_name;
pub(crate) use to_ast::type_of_literal;
pub use tree::{Kind, Node, Tree};

use crate::diagnostic::Diagnostic;
use crate::source::{FileId, part};

/// A parsed text.
#[derive(Debug)]
pub struct Parse {
    /// Every byte of the text.
    pub tree: Tree,
    /// What the text says, as far as it can be understood.
    pub file: ast::File,
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses one setting, `name = value`, as `--set` has it. None where the text is no setting, or more than one.
pub fn parse_setting(file: FileId, text: &str) -> Option<(ast::Set, Vec<Diagnostic>)> {
    let tree = grammar::parse_setting(text)?;
    let is_all = part(text, tree.node(0).end as usize..).trim().is_empty();
    to_ast::lower_setting(file, text, &tree).filter(|_| is_all)
}

/// Parses a text of the language to its tree alone.
pub fn parse_tree(text: &str) -> Tree {
    grammar::parse_file(text)
}

/// Parses a text of the language. Total: any text gives a tree, and what does not belong is reported.
pub fn parse(file: FileId, text: &str) -> Parse {
    let tree = grammar::parse_file(text);
    let (ast, diagnostics) = to_ast::lower_file(file, text, &tree);
    Parse {
        tree,
        file: ast,
        diagnostics,
    }
}
