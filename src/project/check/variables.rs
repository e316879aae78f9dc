//! `variable` items: types and attributes, then defaults and conditions of use.

use crate::diagnostic::{Code, Diagnostic};
use crate::project::check::attributes::OF_VARIABLES;
use crate::project::check::expr::Expected;
use crate::project::check::fixes::Spelling;
use crate::project::check::items::new_variable;
use crate::project::check::{Declared, Draft, Lowering};
use crate::project::hir::*;
use crate::schema::{Encoding, Receivers, Type};
use crate::source::Span;
use crate::syntax::{ast, type_of_literal};
use rustc_hash::FxHashMap;

impl Draft<'_> {
    /// A declared alias has the type of its variable, and is a secret or a fact if that one is.
    /// An alias never refers to another alias, so one step always gives the variable.
    pub(crate) fn settle_aliases(&mut self) {
        let own = self.variables.own_pairs();
        let own: Vec<(VarId, VarId)> = own
            .filter_map(|(id, variable)| Some((id, variable.alias_of()?)))
            .collect();
        let targets: FxHashMap<VarId, VarId> = own.iter().copied().collect();
        for (id, real) in own {
            let is_alias =
                |id| targets.contains_key(&id) || self.variables[id].alias_of().is_some();
            if is_alias(real) {
                self.report_alias_of_alias(id, real, &targets);
                self.variables[id].kind = VariableKind::Declared;
                continue;
            }
            if let Some(removed) = self.variables[real].removed() {
                let message = format!(
                    "`{}` is an alias of `{}`, which was removed",
                    self.variables[id].name, self.variables[real].name
                );
                let found =
                    Diagnostic::new(Code::RemovedVariable, self.variables[id].span, message)
                        .help(removed.to_string());
                self.report(found);
            }
            let real = &self.variables[real];
            let (ty, encoding, to) = (real.ty.clone(), real.encoding, real.to);
            let (is_fact, is_secret, is_typed) = (real.is_fact, real.is_secret, real.is_typed);
            let alias = &mut self.variables[id];
            alias.is_fact = is_fact;
            (alias.ty, alias.encoding, alias.to) = (ty, encoding, to);
            (alias.is_secret, alias.is_typed) = (is_secret, is_typed);
        }
    }

    fn report_alias_of_alias(
        &mut self,
        alias: VarId,
        named: VarId,
        targets: &FxHashMap<VarId, VarId>,
    ) {
        let (alias, other) = (&self.variables[alias], &self.variables[named]);
        let mut real = named;
        // In a circle no name is the real one.
        for _ in 0..targets.len() {
            real = targets.get(&real).copied().unwrap_or(real);
        }
        let found = Diagnostic::new(
            Code::WrongPlace,
            alias.span,
            format!(
                "`{}` is an alias of `{}`, which is itself an alias",
                alias.name, other.name
            ),
        )
        .related(other.span, "declared here")
        .help(if targets.contains_key(&real) {
            "give one of them a type instead of `alias_of`: they are aliases of each other"
                .to_owned()
        } else {
            format!("write `alias_of = {}`", self.variables[real].name)
        });
        self.report(found);
    }
}

impl Lowering<'_, '_> {
    /// Types, encodings and receivers: all that expressions elsewhere depend on.
    pub(crate) fn lower_variable_types(&mut self, declared: &[Declared<'_>]) {
        for item in declared {
            let Declared::Variable(id, decl) = item else {
                continue;
            };
            let ty = decl.ty.as_ref().map(|ty| self.resolve_type(ty, &[]));
            let mut variable = new_variable(&decl.name, VariableKind::Declared, decl.doc.clone());
            variable.encoding = ty.as_ref().map_or(Encoding::Plain, Encoding::default_for);
            variable.ty = ty.unwrap_or(Type::ANY);
            self.lower_attributes(decl, &mut variable);
            self.variables[*id] = variable;
        }
    }

    pub(crate) fn lower_attributes(&mut self, decl: &ast::Variable, variable: &mut Variable) {
        let attributes = self.attributes(&decl.attributes, "a variable", &[]);
        if let Some(alias) = attributes.iter().find(|set| set.name.text == "alias_of") {
            self.check_alias(decl, alias, &attributes);
        }
        for set in attributes {
            match set.name.text.as_str() {
                "encoding" => self.lower_encoding(set, variable),
                "to" => variable.to = self.lower_receivers(&set.value),
                "fact" => variable.is_fact = self.flag(set),
                "secret" => variable.is_secret = self.flag(set),
                "typed" => variable.is_typed = self.flag(set),
                "alias_of" => {
                    if let Some(name) = self.word(set) {
                        match self.find_variable(&name.text) {
                            Some(id) => variable.kind = VariableKind::Alias(id),
                            None => {
                                self.report_unknown_variable(&name, false);
                            }
                        }
                    }
                }
                "removed" => {
                    if let Some(instead) = self.constant_text(set) {
                        variable.kind = VariableKind::Removed(instead);
                    }
                }
                "adopt" => variable.adopt = self.constant_pairs(set),
                "applies" => {}
                _ => self.report_unknown_attribute(
                    &set.name,
                    "attribute of a variable",
                    &OF_VARIABLES,
                ),
            }
        }
        if variable.is_fact && variable.is_secret {
            variable.is_fact = false;
            self.report(
                Diagnostic::new(
                    Code::WrongPlace,
                    decl.name.span,
                    format!("the secret `{}` cannot be a fact", decl.name.text),
                )
                .label("conditions would tell its value")
                .help("remove `fact = true` or `secret = true`"),
            );
        }
        if decl.ty.is_none() && variable.kind == VariableKind::Declared {
            let found = Diagnostic::new(
                Code::Syntax,
                decl.name.span,
                format!("the variable `{}` has no type", decl.name.text),
            );
            let default = decl
                .default
                .as_ref()
                .map(|default| self.sources.slice(default.span));
            let end = Span::new(decl.name.span.file, decl.name.span.end, decl.name.span.end);
            self.report(match default.and_then(type_of_literal) {
                Some(ty) => found.fix(
                    format!("write `{} : {ty}`", decl.name.text),
                    end,
                    format!(" : {ty}"),
                ),
                None => found.help(format!(
                    "write `variable {} : string`; only a variable with `alias_of` or `removed` needs no type",
                    decl.name.text
                )),
            });
        }
        if !decl
            .name
            .text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            self.report(
                Diagnostic::new(
                    Code::Syntax,
                    decl.name.span,
                    format!("`{}` is not a valid variable name", decl.name.text),
                )
                .help("use only lowercase letters, digits and `_`"),
            );
        }
    }

    /// An alias has only its target, and no other attributes.
    fn check_alias(&mut self, decl: &ast::Variable, alias: &ast::Set, attributes: &[&ast::Set]) {
        let other = attributes.iter().find(|set| set.name.text != "alias_of");
        let span = match (&decl.ty, &decl.default, other) {
            (Some(ty), ..) => ty.span,
            (None, Some(default), _) => default.span,
            (None, None, Some(other)) => other.name.span,
            (None, None, None) => return,
        };
        let message = format!(
            "the alias `{}` cannot have a type, a default or other attributes",
            decl.name.text
        );
        self.report(
            Diagnostic::new(Code::WrongPlace, span, message)
                .related(alias.span, "they come from this variable")
                .help("remove this, or remove `alias_of`"),
        );
    }

    pub(crate) fn lower_encoding(&mut self, set: &ast::Set, variable: &mut Variable) {
        let Some(word) = self.word(set) else { return };
        let allowed = Encoding::for_type(&variable.ty);
        match Encoding::parse(&word.text).filter(|e| allowed.contains(e)) {
            Some(encoding) => variable.encoding = encoding,
            None => {
                let names: Vec<_> = allowed.iter().map(|e| e.as_str()).collect();
                self.report(
                    Diagnostic::new(
                        Code::UnknownAttribute,
                        word.span,
                        format!("{} has no encoding `{}`", variable.ty.in_words(), word.text),
                    )
                    .help(format!("choose from {}", names.join(", "))),
                );
            }
        }
    }

    pub(crate) fn lower_receivers(&mut self, value: &ast::Expr) -> Receivers {
        let mut to = Receivers::NONE;
        for name in self.words(value) {
            match Receivers::parse(&name.text) {
                Some(receiver) => to = to.with(receiver),
                None => self.report_unknown_attribute(
                    &name,
                    "receiver",
                    &["packer", "linux", "windows"],
                ),
            }
        }
        to
    }

    /// Defaults and conditions of use, when all types are known.
    pub(crate) fn lower_variable_values(&mut self, declared: &[Declared<'_>]) {
        for item in declared {
            let Declared::Variable(id, decl) = item else {
                continue;
            };
            if let Some(default) = &decl.default {
                let value = self.lower_value(default, *id);
                self.check_secret(*id, &value, Spelling::Spec);
                self.variables[*id].default = Some(value);
            }
            let applies = decl.attributes.iter().find_map(|stmt| match stmt {
                ast::Stmt::Set(set) if set.name.text == "applies" => Some(&set.value),
                _ => None,
            });
            if let Some(applies) = applies {
                let condition = self.lower_condition(applies, Expected::FACTS);
                self.variables[*id].applies = Some(condition);
            }
        }
    }
}
