//! From syntax to the program: each body is resolved and type-checked once.
//!
//! [`Lowering`] is the program as it grows. Each file here adds what it knows how to lower.

mod arguments;
pub mod attributes;
mod calls;
mod expr;
mod fixes;
mod guesses;
pub(super) mod items;
mod never;
mod notices;
mod sections;
mod strings;
mod targets;
mod unfilled;
mod unit;
pub(crate) mod var_file;
mod variables;

pub(super) use items::Lowering;
pub(super) use never::find_never_true;
pub(crate) use notices::secret_literal;
pub(crate) use strings::locate_text;
pub(super) use unit::{Declared, Unit, UnitId};

use crate::project::hir::*;
use crate::source::{FileId, Origin, Span};
use crate::syntax::ast;
use smol_str::SmolStr;

impl Lowering<'_> {
    /// The names of several files, without complaint about doubles.
    pub(super) fn union(
        &self,
        units: &Table<UnitId, Unit>,
        which: &[UnitId],
        library: &Names,
    ) -> Names {
        let mut names = Names::default();
        let mut quiet = Vec::new();
        for at in which {
            let Declared {
                variables,
                sections,
                providers,
                rules,
                types,
            } = &units[*at].declared;
            for (name, id, span) in variables {
                names.define(Some(library), VARIABLES, name, *id, *span, &mut quiet);
            }
            for (name, id, span) in sections {
                names.define(Some(library), SECTIONS, name, *id, *span, &mut quiet);
            }
            for (name, id, span) in providers {
                names.define(Some(library), PROVIDERS, name, *id, *span, &mut quiet);
            }
            for (name, id, span) in rules {
                names.define(Some(library), RULES, name, *id, *span, &mut quiet);
            }
            for (name, ty, span) in types {
                names.define(Some(library), TYPES, name, ty.clone(), *span, &mut quiet);
            }
        }
        names
    }

    /// Entries of `packer` blocks and of JSON layers are known before expressions may name them.
    pub(super) fn declare_packer_entries(&mut self, unit: &Unit) {
        fn visit(lowering: &mut Lowering<'_>, stmts: &[ast::Stmt], inside: bool) {
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
        for item in &unit.ast.items {
            if let ast::Item::Section(section) = item {
                visit(self, &section.body, false);
            }
        }
        for (_, file) in &unit.json {
            var_file::declare_extras(self, *file);
        }
    }

    pub(super) fn lower_overlay(&mut self, file: FileId, name: &str) -> SectionId {
        let is_argument = self.sources.get(file).origin == Origin::Argument;
        let kind = if is_argument {
            SectionKind::Argument
        } else {
            SectionKind::Json
        };
        let name = ast::Ident {
            text: SmolStr::new(name),
            span: Span::new(file, 0, 0),
        };
        let id = self.new_section(kind, &name, None);
        match is_argument {
            true => var_file::lower_argument(self, file, id),
            false => var_file::lower_layer(self, file, id),
        }
        id
    }

    /// A `-var` of `PACKER_FLAGS`.
    pub(super) fn lower_flag(&mut self, file: FileId) -> SectionId {
        let name = ast::Ident {
            text: "PACKER_FLAGS".into(),
            span: Span::new(file, 0, 0),
        };
        let id = self.new_section(SectionKind::Argument, &name, None);
        var_file::lower_flag(self, file, id);
        id
    }
}
