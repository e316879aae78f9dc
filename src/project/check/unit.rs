//! A file on its way into the program.

use crate::diagnostic::{Diagnostic, Reported};
use crate::project::check::var_file::VarFile;
use crate::project::hir::*;
use crate::project::hir::{Names, PROBES, PROVIDERS, RULES, SECTIONS, TYPES, VARIABLES};
use crate::schema::Type;
use crate::source::FileId;
use crate::syntax::{Tree, ast};
use std::path::PathBuf;
use std::sync::Arc;

/// The place of a unit among those of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnitId(pub u32);

/// One file on its way into the program.
pub(crate) struct Unit {
    pub file: FileId,
    pub ast: ast::File,
    /// The tree of `ast`, if it is kept.
    pub tree: Option<Tree>,
    /// The units that it includes, directly.
    pub includes: Vec<UnitId>,
    /// JSON files that it includes as layers: the layer's name, and the file.
    pub json: Vec<(ast::Ident, Arc<VarFile>)>,
    /// The folders that it may read.
    pub roots: Vec<PathBuf>,
    /// Why something that it includes, itself or through another, could not be read.
    pub incomplete: Option<Reported>,
}

/// An item of a file: what it is in the program, and its syntax.
pub(crate) enum Declared<'u> {
    Variable(VarId, &'u ast::Variable),
    /// A layer or an image.
    Section(SectionId, &'u ast::Section),
    /// A JSON var file that is included as a layer.
    Json(SectionId, &'u ast::Ident, &'u VarFile),
    Provider(ProviderId, &'u ast::Section),
    Rule(RuleId, &'u ast::Section),
    Probe(ProbeId, &'u ast::Section),
    Type(Type, &'u ast::TypeDecl),
    Test(&'u ast::Test),
    Waiver(&'u ast::Waiver),
}

impl Declared<'_> {
    /// Adds its name to those of a view, and returns what is wrong if the name is taken.
    pub(crate) fn define(&self, names: &mut Names, library: Option<&Names>) -> Option<Diagnostic> {
        match self {
            Declared::Variable(id, ast) => names.define(library, VARIABLES, &ast.name, *id),
            Declared::Section(id, ast) => names.define(library, SECTIONS, &ast.name, *id),
            Declared::Json(id, name, _) => names.define(library, SECTIONS, name, *id),
            Declared::Provider(id, ast) => names.define(library, PROVIDERS, &ast.name, *id),
            Declared::Rule(id, ast) => names.define(library, RULES, &ast.name, *id),
            Declared::Probe(id, ast) => names.define(library, PROBES, &ast.name, *id),
            Declared::Type(ty, ast) => names.define(library, TYPES, &ast.name, ty.clone()),
            // They have no names that anything refers to.
            Declared::Test(_) | Declared::Waiver(_) => None,
        }
    }
}

impl Id for UnitId {
    fn new(at: usize) -> UnitId {
        UnitId(at as u32)
    }

    fn at(self) -> usize {
        self.0 as usize
    }
}
