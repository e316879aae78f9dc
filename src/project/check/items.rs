//! Items to a program: first all names, then all bodies, so that order and files do not matter.

use crate::diagnostic::{Code, Diagnostic, Reported, nearest};
use crate::packer::Template;
use crate::project::Adopted;
use crate::project::check::{Declared, Unit};
use crate::project::hir::Table;
use crate::project::hir::*;
use crate::project::hir::{Names, PROVIDERS, RULES, SECTIONS, TYPES, VARIABLES, View};
use crate::project::roots::{is_inside, outside_root};
use crate::schema::{
    Base, Encoding, Playbook, Receivers, Refinement, Roles, Type, Value, check_value, whole,
};
use crate::source::{Loader, Origin, SourceMap, Span};
use crate::syntax::ast;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The program as it grows, and the file whose bodies are being lowered.
pub(crate) struct Lowering<'l> {
    pub loader: &'l dyn Loader,
    /// The library's text, if it is not the built-in one.
    pub adopted: Option<&'l Adopted>,
    pub sources: &'l mut SourceMap,
    pub diagnostics: Vec<Diagnostic>,
    pub variables: Table<VarId, Variable>,
    pub sections: Table<SectionId, Section>,
    pub providers: Table<ProviderId, Provider>,
    pub rules: Table<RuleId, Rule>,
    /// Entries of `ansible` and `packer` blocks.
    pub extras: FxHashMap<(Owner, SmolStr), VarId>,
    pub library: Arc<Names>,
    /// The names of the current file's view, without the library's.
    pub own: Arc<Names>,
    /// The folders that the current file may read.
    pub roots: Vec<PathBuf>,
    /// What `file("…")` and arguments `@path` read.
    pub data: Vec<DataFile>,
    /// Where make runs Packer: relative paths in JSON var files start there, for Packer hands them on as they are.
    pub packer_folder: Option<PathBuf>,
    /// A file that the current one includes could not be read: what nobody declares may be declared there.
    pub incomplete: Option<Reported>,
    /// The variable whose value is being lowered.
    pub setting: Option<VarId>,
}

impl<'l> Lowering<'l> {
    /// A program that has a library and nothing else yet.
    pub fn new(
        loader: &'l dyn Loader,
        adopted: Option<&'l Adopted>,
        sources: &'l mut SourceMap,
        library: &Items,
    ) -> Lowering<'l> {
        Lowering {
            loader,
            adopted,
            sources,
            diagnostics: Vec::new(),
            variables: Table::of_library(&library.variables),
            sections: Table::of_library(&library.sections),
            providers: Table::of_library(&library.providers),
            rules: Table::of_library(&library.rules),
            extras: library.extras.clone(),
            library: library.names.clone(),
            own: Arc::default(),
            roots: Vec::new(),
            data: Vec::new(),
            packer_folder: None,
            incomplete: None,
            setting: None,
        }
    }

    /// Reports an error.
    pub fn report(&mut self, error: Diagnostic) -> Reported {
        Reported::push(&mut self.diagnostics, error)
    }

    /// Reports a warning.
    pub fn warn(&mut self, warning: Diagnostic) {
        self.diagnostics.push(warning);
    }

    /// True for a place in the library, the built-in one or another.
    pub fn is_library(&self, span: Span) -> bool {
        self.sources.get(span.file).origin == Origin::Library
    }

    pub fn view(&self) -> View<'_> {
        View {
            own: &self.own,
            library: &self.library,
        }
    }

    /// Gives ids to a file's items. Types and attributes follow when all names are known.
    pub fn declare(&mut self, unit: &mut Unit) {
        let mut declared = Declared::default();
        for item in &unit.ast.items {
            match item {
                ast::Item::Variable(variable) => {
                    let new = new_variable(&variable.name, Owner::Declared, variable.doc.clone());
                    let id = self.variables.push(new);
                    declared
                        .variables
                        .push((variable.name.text.clone(), id, variable.name.span));
                }
                ast::Item::Section(section) => match section.kind {
                    ast::SectionKind::Image | ast::SectionKind::Layer => {
                        let kind = match section.kind {
                            ast::SectionKind::Image => SectionKind::Image,
                            _ => SectionKind::Layer,
                        };
                        let id = self.new_section(kind, &section.name, section.doc.clone());
                        declared
                            .sections
                            .push((section.name.text.clone(), id, section.name.span));
                    }
                    ast::SectionKind::Provider => {
                        let id = self
                            .providers
                            .push(new_provider(&section.name, section.doc.clone()));
                        declared
                            .providers
                            .push((section.name.text.clone(), id, section.name.span));
                    }
                    ast::SectionKind::Rule => {
                        let id = self.rules.push(new_rule(&section.name));
                        declared
                            .rules
                            .push((section.name.text.clone(), id, section.name.span));
                    }
                },
                ast::Item::Include(_) | ast::Item::Type(_) => {}
            }
        }
        for (name, _) in &unit.json {
            let id = self.new_section(SectionKind::Json, name, None);
            declared.sections.push((name.text.clone(), id, name.span));
        }
        unit.declared = declared;
    }

    pub fn new_section(
        &mut self,
        kind: SectionKind,
        name: &ast::Ident,
        doc: Option<String>,
    ) -> SectionId {
        self.sections.push(Section {
            kind,
            name: name.text.clone(),
            span: name.span,
            extends: Vec::new(),
            whole: name.span,
            lacks_parent: false,
            settings: Vec::new(),
            conditions: Vec::new(),
            target: None,
            doc,
        })
    }

    /// Adds what a file declares to the names of a view that contains it.
    pub fn define_all(&mut self, names: &mut Names, library: Option<&Names>, declared: &Declared) {
        let out = &mut self.diagnostics;
        for (name, id, span) in &declared.variables {
            names.define(library, VARIABLES, name, *id, *span, out);
        }
        for (name, id, span) in &declared.sections {
            names.define(library, SECTIONS, name, *id, *span, out);
        }
        for (name, id, span) in &declared.providers {
            names.define(library, PROVIDERS, name, *id, *span, out);
        }
        for (name, id, span) in &declared.rules {
            names.define(library, RULES, name, *id, *span, out);
        }
        for (name, ty, span) in &declared.types {
            names.define(library, TYPES, name, ty.clone(), *span, out);
        }
    }

    /// Resolves a file's `type` items; a type may use the ones above it.
    pub fn declare_types(&mut self, unit: &mut Unit) {
        let mut types: Vec<(SmolStr, Type, Span)> = Vec::new();
        for item in &unit.ast.items {
            let ast::Item::Type(decl) = item else {
                continue;
            };
            let mut ty = self.resolve_type(&decl.ty, &types);
            if let Some(pattern) = &decl.matching {
                if !ty.is_text() {
                    self.report(
                        Diagnostic::new(
                            Code::TypeMismatch,
                            pattern.span,
                            "`matching` is for texts",
                        )
                        .help("write `type name = string matching '…'`"),
                    );
                }
                if self.sources.is_users(pattern.span.file)
                    && let Err(error) = whole(&pattern.text)
                {
                    self.report(
                        Diagnostic::new(
                            Code::TypeMismatch,
                            pattern.span,
                            "this is no regular expression",
                        )
                        .help(error.to_string()),
                    );
                }
                let refinement = Refinement::new(decl.name.text.clone(), pattern.text.clone());
                ty.base = Base::Refined(Arc::new(refinement));
            }
            if Type::builtin(&decl.name.text).is_some() {
                self.report(Diagnostic::new(
                    Code::DuplicateName,
                    decl.name.span,
                    format!("`{}` is a built-in type", decl.name.text),
                ));
            }
            types.push((decl.name.text.clone(), ty, decl.name.span));
        }
        unit.declared.types = types;
    }

    pub fn resolve_type(&mut self, expr: &ast::TypeExpr, local: &[(SmolStr, Type, Span)]) -> Type {
        let base = match &expr.kind {
            ast::TypeKind::Missing => Base::Any,
            ast::TypeKind::OneOf(choices) => Base::OneOf(choices.clone().into()),
            ast::TypeKind::List(element) => Base::List(Box::new(self.resolve_type(element, local))),
            ast::TypeKind::Map(element) => Base::Map(Box::new(self.resolve_type(element, local))),
            ast::TypeKind::Named(name) => {
                let known = Type::builtin(name)
                    .or_else(|| {
                        local
                            .iter()
                            .find(|(n, ..)| n == name)
                            .map(|(_, ty, _)| ty.clone())
                    })
                    .or_else(|| self.view().find(TYPES, name).map(|(ty, _)| ty.clone()));
                match known {
                    Some(ty) => {
                        return Type {
                            optional: ty.optional || expr.optional,
                            ..ty
                        };
                    }
                    None => {
                        self.report_unknown_type(name, expr.span);
                        Base::Any
                    }
                }
            }
        };
        Type {
            base,
            optional: expr.optional,
        }
    }

    fn report_unknown_type(&mut self, name: &str, span: Span) {
        let names: Vec<&str> = Type::BUILTIN
            .into_iter()
            .chain(self.view().all(TYPES))
            .collect();
        let near = match name.to_ascii_lowercase().as_str() {
            "str" | "text" => Some("string"),
            "integer" | "number" | "long" | "uint" => Some("int"),
            "boolean" => Some("bool"),
            _ => nearest(name, names),
        };
        if self.incomplete.is_some() && near.is_none() {
            return;
        }
        let mut found = Diagnostic::new(
            Code::UnknownName,
            span,
            format!("there is no type `{name}`"),
        );
        found = match near {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("write `{near}`"),
                Span::new(span.file, span.start, span.start + name.len() as u32),
                near,
            ),
            None => found.help(format!(
                "the built-in types are {}",
                Type::BUILTIN.join(", ")
            )),
        };
        self.report(found);
    }

    /// True for a path in one of the folders that the current file may read.
    pub fn may_read(&self, path: &Path) -> bool {
        is_inside(self.loader, path, &self.roots)
    }

    pub fn add_data(&mut self, path: &Path, text: String, at: Span) {
        self.data.push(DataFile {
            reader: at.file,
            at,
            path: path.to_owned(),
            text,
        });
    }

    /// Reads a file whose content a spec uses; it must lie inside the project's roots.
    pub fn read_data(&mut self, path: &Path, span: Span) -> Result<String, Reported> {
        if !self.may_read(path) {
            let found = outside_root(span, path, &self.roots);
            return Err(self.report(found));
        }
        match self.loader.read(path) {
            Ok(text) => {
                self.add_data(path, text.clone(), span);
                Ok(text)
            }
            Err(error) => Err(self.report(Diagnostic::new(
                Code::CannotRead,
                span,
                format!("cannot read {}: {error}", path.display()),
            ))),
        }
    }

    /// Checks a value that no expression produced against a variable's type.
    pub fn check_decoded(&mut self, id: VarId, value: &Value, span: Span) -> Result<(), Reported> {
        let variable = &self.variables[id];
        let encoding = variable.encoding;
        match check_value(&variable.ty, value) {
            Ok(()) => self.check_encodable(value, span, encoding),
            Err(mismatch) => {
                let message = format!(
                    "`{}`: {}",
                    variable.name,
                    mismatch.message(variable.is_secret)
                );
                let found = Diagnostic::new(Code::TypeMismatch, span, message);
                let is_secret = variable.is_secret;
                let repaired = repair_version(&variable.ty, value).filter(|_| !is_secret);
                Err(self.report(
                    match repaired.map(|text| serde_json::Value::from(text).to_string()) {
                        Some(text) => found.fix(format!("write {text}"), span, text),
                        None => found,
                    },
                ))
            }
        }
    }
}

/// A version with the `v` that its type wants, or without the one that it refuses.
fn repair_version(ty: &Type, value: &Value) -> Option<String> {
    let Value::Text(text) = value else {
        return None;
    };
    let text = text.known()?;
    let repaired = match &ty.base {
        Base::Semver => format!("v{text}"),
        Base::Version => text.strip_prefix('v')?.to_owned(),
        _ => return None,
    };
    check_value(ty, &Value::text(repaired.as_str()))
        .is_ok()
        .then_some(repaired)
}

pub(crate) fn new_variable(name: &ast::Ident, owner: Owner, doc: Option<String>) -> Variable {
    let to = match owner {
        Owner::Ansible => Receivers::LINUX.with(Receivers::WINDOWS),
        _ => Receivers::PACKER,
    };
    let ty = match owner {
        Owner::Packer => Type::of(Base::String),
        _ => Type::ANY,
    };
    Variable {
        name: name.text.clone(),
        owner,
        span: name.span,
        ty,
        default: None,
        encoding: Encoding::Plain,
        to,
        applies: None,
        is_fact: false,
        is_secret: false,
        is_typed: false,
        alias_of: None,
        removed: None,
        adopt: Vec::new(),
        doc,
    }
}

pub(crate) fn new_provider(name: &ast::Ident, doc: Option<String>) -> Provider {
    Provider {
        name: name.text.clone(),
        span: name.span,
        template: SmolStr::default(),
        roles: Roles::Native,
        playbook: Playbook::Linux,
        tools: Vec::new(),
        artifact: None,
        readers: Template::default(),
        defaults: Vec::new(),
        doc,
    }
}

pub(crate) fn new_rule(name: &ast::Ident) -> Rule {
    Rule {
        name: name.text.clone(),
        span: name.span,
        // It forbids nothing until its body is lowered.
        condition: Expr::constant(Value::Bool(false), name.span),
        is_deny: true,
        message: Expr::constant(Value::text(""), name.span),
        help: None,
        file: name.span.file,
    }
}
