//! From syntax to the program: each body is resolved and type-checked once.
//!
//! [`Draft`] is the program as it grows, and [`Lowering`] a file on the way into it. Each file here adds what it knows how
//! to lower.

mod arguments;
pub mod attributes;
mod calls;
mod deprecated;
mod draft;
mod expr;
mod fixes;
mod guesses;
pub(super) mod items;
mod never;
mod policy;
mod secrets;
mod sections;
mod strings;
mod targets;
mod unfilled;
mod unit;
pub(crate) mod var_file;
mod variables;

pub(super) use draft::{Draft, FileContext, Lowering};
pub(crate) use expr::{RED_ZONE, STACK};
pub(super) use never::find_never_true;
pub(crate) use secrets::secret_literal;
pub(crate) use strings::locate_text;
pub(super) use unit::{Declared, Unit, UnitId};

use crate::project::hir::*;
use crate::source::{FileId, Span};
use crate::syntax::ast;
use smol_str::SmolStr;
use std::sync::Arc;
use var_file::VarFile;

impl Lowering<'_, '_> {
    /// Entries of `packer` blocks and of JSON layers are known before expressions may name them.
    pub(super) fn declare_packer_entries(&mut self, declared: &[Declared<'_>]) {
        fn visit(lowering: &mut Lowering<'_, '_>, stmts: &[ast::Stmt], inside: bool) {
            for stmt in stmts {
                match stmt {
                    ast::Stmt::Set(set) if inside => {
                        let view = lowering.view();
                        let is_declared = view.find(VARIABLES, &set.name.text).is_some();
                        if !is_declared {
                            lowering.extra(Owner::Packer, &set.name);
                        }
                    }
                    ast::Stmt::When { body, .. } => visit(lowering, body, inside),
                    ast::Stmt::Block { name, body, .. } => {
                        visit(lowering, body, name.text == "packer")
                    }
                    _ => {}
                }
            }
        }
        for item in declared {
            match item {
                Declared::Section(_, section)
                | Declared::Provider(_, section)
                | Declared::Rule(_, section)
                | Declared::Probe(_, section) => visit(self, &section.body, false),
                Declared::Json(_, _, file) => var_file::declare_extras(self, file),
                Declared::Test(test) => visit(self, &test.body, false),
                Declared::Variable(..) | Declared::Type(..) | Declared::Waiver(_) => {}
            }
        }
    }

    /// A layer that the command line names.
    pub(super) fn lower_overlay(&mut self, overlay: &Overlay) -> SectionId {
        let (kind, file, name) = match overlay {
            Overlay::Set(file) => (LayerKind::Argument, *file, "--set"),
            Overlay::Flag(file) => (LayerKind::Argument, *file, "PACKER_FLAGS"),
            Overlay::VarFile(file, name) => (LayerKind::Json, file.file, name.as_str()),
        };
        let name = ast::Ident {
            text: SmolStr::new(name),
            span: Span::new(file, 0, 0),
        };
        let id = self.new_section(kind, &name, None);
        match overlay {
            Overlay::Set(file) => var_file::lower_argument(self, *file, id),
            Overlay::Flag(file) => var_file::lower_flag(self, *file, id),
            Overlay::VarFile(file, _) => var_file::lower_layer(self, file, id),
        }
        id
    }
}

/// A layer that the command line names.
pub(super) enum Overlay {
    /// A `--set`.
    Set(FileId),
    /// A `-var` of `PACKER_FLAGS`.
    Flag(FileId),
    /// A JSON var file, with its name.
    VarFile(Arc<VarFile>, String),
}
