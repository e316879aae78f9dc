//! Items to a program: first all names, then all bodies, so that order and files do not matter.

use crate::diagnostic::{Code, Diagnostic, Reported, nearest};
use crate::packer::LazyTemplate;
use crate::project::check::{Declared, Lowering};
use crate::project::hir::*;
use crate::project::hir::{TYPES, View};
use crate::project::roots::{Unread, outside_root, read_inside};
use crate::schema::{
    Base, Encoding, Playbook, Receivers, Refinement, Roles, Type, Value, check_value,
};
use crate::source::Span;
use crate::syntax::ast;
use smol_str::SmolStr;
use std::path::Path;
use std::sync::Arc;

impl Lowering<'_, '_> {
    pub(crate) fn view(&self) -> View<'_> {
        self.file.view
    }

    /// Resolves a file's `type` items; a type may use the ones above it.
    pub(crate) fn declare_types<'u>(&mut self, file: &'u ast::File) -> Vec<Declared<'u>> {
        let mut types: Vec<(Type, &ast::TypeDecl)> = Vec::new();
        for item in &file.items {
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
                            "`matching` requires a string type",
                        )
                        .help("write `type name = string matching '…'`"),
                    );
                }
                // What is wrong with it is reported; the type is one all the same.
                let _ = self.check_regex(&pattern.text, pattern.span, false);
                let refinement = Refinement::new(decl.name.text.clone(), pattern.text.clone());
                ty.base = Base::Refined(Arc::new(refinement));
            }
            if Type::builtin(&decl.name.text).is_some() {
                self.report(Diagnostic::new(
                    Code::DuplicateName,
                    decl.name.span,
                    format!("`{}` is the name of a built-in type", decl.name.text),
                ));
            }
            types.push((ty, decl));
        }
        let types = types.into_iter();
        types.map(|(ty, decl)| Declared::Type(ty, decl)).collect()
    }

    /// Resolves a type, with those that the same file has above it.
    pub(crate) fn resolve_type(
        &mut self,
        expr: &ast::TypeExpr,
        above: &[(Type, &ast::TypeDecl)],
    ) -> Type {
        let base = match &expr.kind {
            ast::TypeKind::Missing => Base::Any,
            ast::TypeKind::OneOf(choices) => Base::OneOf(choices.clone().into()),
            ast::TypeKind::List(element) => Base::List(Box::new(self.resolve_type(element, above))),
            ast::TypeKind::Map(element) => Base::Map(Box::new(self.resolve_type(element, above))),
            ast::TypeKind::Named(name) => {
                let known = Type::builtin(name)
                    .or_else(|| {
                        above
                            .iter()
                            .find(|(_, decl)| decl.name.text == *name)
                            .map(|(ty, _)| ty.clone())
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
        if self.file.incomplete.is_some() && near.is_none() {
            return;
        }
        let mut found = Diagnostic::new(Code::UnknownName, span, format!("unknown type `{name}`"));
        found = match near {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("replace it with `{near}`"),
                Span::new(span.file, span.start, span.start + name.len() as u32),
                near,
            ),
            None => found.help(format!(
                "declare it with `type`, or choose a built-in type: {}",
                Type::BUILTIN.join(", ")
            )),
        };
        self.report(found);
    }

    /// Reads a file whose content a spec uses; it must lie inside the project's roots.
    pub(crate) fn read_data(&mut self, path: &Path, span: Span) -> Result<String, Reported> {
        match read_inside(self.loader, path, self.file.roots) {
            Ok(text) => {
                self.add_data(path, text.clone(), span);
                Ok(text)
            }
            Err(Unread::Outside(_)) => {
                let found = outside_root(span, path, self.file.roots);
                Err(self.report(found))
            }
            Err(Unread::Failed(error)) => Err(self.report(Diagnostic::new(
                Code::CannotRead,
                span,
                format!("cannot read {}: {error}", path.display()),
            ))),
        }
    }

    /// Checks a value that no expression produced against a variable's type.
    pub(crate) fn check_decoded(
        &mut self,
        id: VarId,
        value: &Value,
        span: Span,
    ) -> Result<(), Reported> {
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
    let Value::String(text) = value else {
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

pub(crate) fn new_variable(name: &ast::Ident, kind: VariableKind, doc: Option<String>) -> Variable {
    let to = match kind {
        VariableKind::Extra(Owner::Ansible) => Receivers::LINUX.with(Receivers::WINDOWS),
        _ => Receivers::PACKER,
    };
    let ty = match kind {
        VariableKind::Extra(Owner::Packer) => Type::of(Base::String),
        _ => Type::ANY,
    };
    Variable {
        name: name.text.clone(),
        kind,
        span: name.span,
        ty,
        default: None,
        encoding: Encoding::Plain,
        to,
        applies: None,
        is_fact: false,
        is_secret: false,
        is_typed: false,
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
        foreground: Vec::new(),
        readers: LazyTemplate::default(),
        defaults: Vec::new(),
        doc,
    }
}

pub(crate) fn new_probe(name: &ast::Ident, doc: Option<String>) -> Probe {
    Probe {
        name: name.text.clone(),
        span: name.span,
        applies: None,
        // It runs nothing until its body is lowered.
        script: None,
        words: Expr::constant(Value::list(Vec::new()), name.span),
        files: None,
        tools: Vec::new(),
        output: None,
        boots: false,
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
