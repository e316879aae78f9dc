//! A file on its way into the program.

use crate::diagnostic::Reported;
use crate::project::hir::*;
use crate::schema::Type;
use crate::source::{FileId, Span};
use crate::syntax::ast;
use smol_str::SmolStr;
use std::path::PathBuf;

/// The place of a unit among those of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnitId(pub u32);

/// One file on its way into the program.
pub(crate) struct Unit {
    pub file: FileId,
    pub ast: ast::File,
    /// The units that it includes, directly.
    pub includes: Vec<UnitId>,
    /// JSON files that it includes as layers: the layer's name, and the file.
    pub json: Vec<(ast::Ident, FileId)>,
    /// What this file alone declares.
    pub declared: Declared,
    /// The folders that it may read.
    pub roots: Vec<PathBuf>,
    /// Something that it includes, itself or through another, could not be read.
    pub incomplete: Option<Reported>,
}

/// The ids of a file's items, in the order of the items.
#[derive(Default)]
pub(crate) struct Declared {
    pub variables: Vec<(SmolStr, VarId, Span)>,
    pub sections: Vec<(SmolStr, SectionId, Span)>,
    pub providers: Vec<(SmolStr, ProviderId, Span)>,
    pub rules: Vec<(SmolStr, RuleId, Span)>,
    pub types: Vec<(SmolStr, Type, Span)>,
}

impl Id for UnitId {
    fn new(at: usize) -> UnitId {
        UnitId(at as u32)
    }

    fn at(self) -> usize {
        self.0 as usize
    }
}
