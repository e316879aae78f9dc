//! Items to a program: first all names, then all bodies, so that order and files do not matter.

use super::expr::Place;
use super::hir::*;
use super::names::{Names, PROVIDERS, RULES, SECTIONS, TYPES, VARIABLES, View};
use super::{DataFile, json};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::schema::{
    Base, Encoding, Playbook, Receivers, Refinement, Roles, Type, Value, check_value, whole,
};
use crate::source::{FileId, Loader, Origin, SourceMap, Span, normalize};
use crate::syntax::ast;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file on its way into the program.
pub(super) struct Unit {
    pub file: FileId,
    pub content: Content,
    /// The units that it includes, directly.
    pub includes: Vec<usize>,
    /// JSON files that it includes as layers: the layer's name, and the file.
    pub json: Vec<(ast::Ident, FileId)>,
    /// What this file alone declares.
    pub declared: Declared,
    /// The folders that it may read.
    pub roots: Vec<PathBuf>,
}

pub(super) enum Content {
    Spec(ast::File),
    /// A file of the library: it sees the whole library.
    Library(ast::File),
}

impl Unit {
    pub fn ast(&self) -> &ast::File {
        match &self.content {
            Content::Spec(ast) | Content::Library(ast) => ast,
        }
    }
}

/// The ids of a file's items, in the order of the items.
#[derive(Default)]
pub(super) struct Declared {
    pub variables: Vec<(SmolStr, VarId, Span)>,
    pub sections: Vec<(SmolStr, SectionId, Span)>,
    pub providers: Vec<(SmolStr, ProviderId, Span)>,
    pub rules: Vec<(SmolStr, RuleId, Span)>,
    pub types: Vec<(SmolStr, Type, Span)>,
}

/// The program as it grows, and the file whose bodies are being lowered.
pub(super) struct Lowering<'l> {
    pub loader: &'l dyn Loader,
    pub sources: &'l mut SourceMap,
    pub diagnostics: Vec<Diagnostic>,
    pub variables: Vec<Variable>,
    pub sections: Vec<Section>,
    pub providers: Vec<Provider>,
    pub rules: Vec<Rule>,
    /// Entries of `ansible` and `packer` blocks.
    pub extras: FxHashMap<(Owner, SmolStr), VarId>,
    pub library: Arc<Names>,
    /// The names of the current file's view, without the library's.
    pub own: Arc<Names>,
    /// The folders that the current file may read.
    pub roots: Vec<PathBuf>,
    /// What `file("…")` read.
    pub data: Vec<DataFile>,
}

impl<'l> Lowering<'l> {
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub fn view(&self) -> View<'_> {
        View {
            own: &self.own,
            library: &self.library,
        }
    }

    // ---- names ------------------------------------------------------------------------------

    /// Gives ids to a file's items. Types and attributes follow when all names are known.
    pub fn declare(&mut self, unit: &mut Unit) {
        let mut declared = Declared::default();
        for item in &unit.ast().items {
            match item {
                ast::Item::Variable(variable) => {
                    let id = VarId(self.variables.len() as u32);
                    self.variables.push(new_variable(
                        &variable.name,
                        Owner::Declared,
                        variable.doc.clone(),
                    ));
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
                        let id = ProviderId(self.providers.len() as u32);
                        self.providers
                            .push(new_provider(&section.name, section.doc.clone()));
                        declared
                            .providers
                            .push((section.name.text.clone(), id, section.name.span));
                    }
                    ast::SectionKind::Rule => {
                        let id = RuleId(self.rules.len() as u32);
                        self.rules.push(new_rule(&section.name));
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
        let id = SectionId(self.sections.len() as u32);
        self.sections.push(Section {
            kind,
            name: name.text.clone(),
            span: name.span,
            extends: Vec::new(),
            settings: Vec::new(),
            conditions: Vec::new(),
            target: None,
            doc,
        });
        id
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
        for item in &unit.ast().items {
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

    fn resolve_type(&mut self, expr: &ast::TypeExpr, local: &[(SmolStr, Type, Span)]) -> Type {
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
        let mut found = Diagnostic::new(
            Code::UnknownName,
            span,
            format!("there is no type `{name}`"),
        );
        found = match nearest(name, names) {
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

    // ---- variables --------------------------------------------------------------------------

    /// Types, encodings and receivers: all that expressions elsewhere depend on.
    pub fn lower_variable_types(&mut self, unit: &Unit) {
        let mut declared = unit.declared.variables.iter();
        for item in &unit.ast().items {
            let ast::Item::Variable(decl) = item else {
                continue;
            };
            let Some((_, id, _)) = declared.next() else {
                continue;
            };
            let ty = decl
                .ty
                .as_ref()
                .map(|ty| self.resolve_type(ty, &unit.declared.types));
            let mut variable = new_variable(&decl.name, Owner::Declared, decl.doc.clone());
            variable.encoding = ty
                .as_ref()
                .map_or(Encoding::Plain, |ty| Encoding::for_type(ty)[0]);
            variable.ty = ty.unwrap_or(Type::ANY);
            self.lower_attributes(decl, &mut variable);
            self.variables[id.0 as usize] = variable;
        }
    }

    /// An alias has the type of what it stands for.
    pub fn settle_aliases(&mut self) {
        for i in 0..self.variables.len() {
            let Some(real) = self.variables[i].alias_of else {
                continue;
            };
            let real = &self.variables[real.0 as usize];
            let (ty, encoding, to) = (real.ty.clone(), real.encoding, real.to);
            let alias = &mut self.variables[i];
            (alias.ty, alias.encoding, alias.to) = (ty, encoding, to);
        }
    }

    fn lower_attributes(&mut self, decl: &ast::Variable, variable: &mut Variable) {
        const NAMES: [&str; 8] = [
            "encoding", "to", "applies", "fact", "secret", "typed", "alias_of", "removed",
        ];
        for stmt in &decl.attributes {
            let Some(set) = self.attribute(stmt, "a variable's attributes") else {
                continue;
            };
            match set.name.text.as_str() {
                "encoding" => self.lower_encoding(set, variable),
                "to" => variable.to = self.lower_receivers(&set.value),
                "fact" => variable.is_fact = self.flag(set),
                "secret" => variable.is_secret = self.flag(set),
                "typed" => variable.is_typed = self.flag(set),
                "alias_of" => {
                    if let Some(name) = self.word(set) {
                        match self.find_variable(&name.text) {
                            Some(id) => variable.alias_of = Some(id),
                            None => self.report_unknown_variable(&name, false),
                        }
                    }
                }
                "removed" => variable.removed = self.constant_text(set),
                "applies" => {}
                _ => self.report_unknown_attribute(&set.name, "attribute of a variable", &NAMES),
            }
        }
        if decl.ty.is_none() && variable.alias_of.is_none() && variable.removed.is_none() {
            self.report(
                Diagnostic::new(
                    Code::Syntax,
                    decl.name.span,
                    format!("the variable `{}` needs a type", decl.name.text),
                )
                .help("write `variable name : string`; only `alias_of` and `removed` go without"),
            );
        }
        let to_ansible = variable.to.has(Receivers::LINUX.with(Receivers::WINDOWS));
        let is_identifier = decl
            .name
            .text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_');
        if to_ansible && !is_identifier {
            self.report(
                Diagnostic::new(
                    Code::TypeMismatch,
                    decl.name.span,
                    format!("Ansible takes no variable named `{}`", decl.name.text),
                )
                .help("its variables hold letters, digits and `_`"),
            );
        }
    }

    fn lower_encoding(&mut self, set: &ast::Set, variable: &mut Variable) {
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
                        format!("a {} has no encoding `{}`", variable.ty, word.text),
                    )
                    .help(format!("it can have {}", names.join(", "))),
                );
            }
        }
    }

    fn lower_receivers(&mut self, value: &ast::Expr) -> Receivers {
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
    pub fn lower_variable_values(&mut self, unit: &Unit) {
        let mut declared = unit.declared.variables.iter();
        for item in &unit.ast().items {
            let ast::Item::Variable(decl) = item else {
                continue;
            };
            let Some((_, id, _)) = declared.next() else {
                continue;
            };
            if let Some(default) = &decl.default {
                let variable = &self.variables[id.0 as usize];
                let (ty, encoding, is_fact) =
                    (variable.ty.clone(), variable.encoding, variable.is_fact);
                let place = Place {
                    ty: Some(&ty),
                    encoding,
                    packer_braces: variable.has_packer_braces(),
                    facts_only: is_fact.then_some("a fact"),
                };
                let value = self.lower_expr(default, place);
                self.variables[id.0 as usize].default = Some(value);
            }
            let applies = decl.attributes.iter().find_map(|stmt| match stmt {
                ast::Stmt::Set(set) if set.name.text == "applies" => Some(&set.value),
                _ => None,
            });
            if let Some(applies) = applies {
                let condition = self.lower_condition(applies, Place::FACTS);
                self.variables[id.0 as usize].applies = Some(condition);
            }
        }
    }

    // ---- bodies -----------------------------------------------------------------------------

    /// Layers, images, providers and rules.
    pub fn lower_bodies(&mut self, unit: &Unit) {
        let mut sections = unit.declared.sections.iter();
        let mut providers = unit.declared.providers.iter();
        let mut rules = unit.declared.rules.iter();
        for item in &unit.ast().items {
            let ast::Item::Section(section) = item else {
                continue;
            };
            match section.kind {
                ast::SectionKind::Image | ast::SectionKind::Layer => {
                    if let Some((_, id, _)) = sections.next() {
                        self.lower_section(section, *id);
                    }
                }
                ast::SectionKind::Provider => {
                    if let Some((_, id, _)) = providers.next() {
                        self.lower_provider(section, *id);
                    }
                }
                ast::SectionKind::Rule => {
                    if let Some((_, id, _)) = rules.next() {
                        self.lower_rule(section, *id);
                    }
                }
            }
        }
        for ((_, file), (_, id, _)) in unit.json.iter().zip(sections) {
            json::lower_layer(self, *file, *id);
        }
    }

    fn lower_section(&mut self, section: &ast::Section, id: SectionId) {
        let mut extends = Vec::with_capacity(section.extends.len());
        for name in &section.extends {
            match self.view().find(SECTIONS, &name.text) {
                Some((parent, _)) => extends.push((*parent, name.span)),
                None => self.report_unknown_section(name),
            }
        }
        let mut body = Body::default();
        self.lower_statements(&section.body, None, Block::Section, &mut body);
        if section.kind == ast::SectionKind::Layer
            && let Some(target) = body.target.take()
        {
            self.report(
                Diagnostic::new(Code::WrongPlace, target.span, "a layer has no target")
                    .help("only an image is built; write `image` instead of `layer`"),
            );
        }
        let out = &mut self.sections[id.0 as usize];
        out.extends = extends;
        out.settings = body.settings;
        out.conditions = body.conditions;
        out.target = body.target;
    }

    fn report_unknown_section(&mut self, name: &ast::Ident) {
        let near = nearest(&name.text, self.view().all(SECTIONS)).map(SmolStr::new);
        let mut found = Diagnostic::new(
            Code::UnknownName,
            name.span,
            format!("there is no layer or image `{}`", name.text),
        );
        found = match near {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), name.span, near),
            None => found.help("`imgspec list` shows the targets; a layer of another file needs `include \"file.imgspec\"`"),
        };
        self.report(found);
    }

    fn lower_statements(
        &mut self,
        stmts: &[ast::Stmt],
        condition: Option<u32>,
        block: Block,
        body: &mut Body,
    ) {
        let mut set_here: FxHashMap<VarId, Span> = FxHashMap::default();
        for stmt in stmts {
            match stmt {
                ast::Stmt::Set(set) => {
                    let Some(id) = self.find_set(&set.name, block) else {
                        continue;
                    };
                    if condition.is_none()
                        && set.op == ast::SetOp::Replace
                        && let Some(first) = set_here.insert(id, set.name.span)
                    {
                        self.report(
                            Diagnostic::new(
                                Code::DuplicateSetting,
                                set.name.span,
                                format!("`{}` is set twice in this body", set.name.text),
                            )
                            .label("set again here")
                            .related(first, "first set here")
                            .help("remove one; what depends on a fact stands in a `when`"),
                        );
                    }
                    if let Some(setting) = self.lower_setting(set, id, condition) {
                        body.settings.push(setting);
                    }
                }
                ast::Stmt::Unset { name, span } => {
                    let Some(id) = self.find_set(name, block) else {
                        continue;
                    };
                    self.check_fact_setting(id, name.span, condition);
                    body.settings.push(Setting {
                        variable: id,
                        change: Change::Unset,
                        value: Expr {
                            kind: ExprKind::Missing,
                            span: *span,
                        },
                        is_final: false,
                        condition,
                        span: *span,
                        name_span: name.span,
                        had_quotes: false,
                    });
                }
                ast::Stmt::When {
                    condition: expr,
                    body: inner,
                    span,
                } => {
                    if block != Block::Section {
                        self.report_wrong_place(*span, "`when`", "put the `when` around the block");
                        continue;
                    }
                    let expr = self.lower_condition(expr, Place::FACTS);
                    let index = body.conditions.len() as u32;
                    body.conditions.push(Condition {
                        expr,
                        outer: condition,
                    });
                    self.lower_statements(inner, Some(index), block, body);
                }
                ast::Stmt::Block {
                    name,
                    body: inner,
                    span,
                } => {
                    let kind = match name.text.as_str() {
                        "ansible" => Block::Extra(Owner::Ansible),
                        "packer" => Block::Extra(Owner::Packer),
                        "target" if block == Block::Section && condition.is_none() => {
                            self.lower_target(inner, *span, name, body);
                            continue;
                        }
                        "target" => {
                            self.report_wrong_place(
                                name.span,
                                "`target`",
                                "it stands in an image's own body",
                            );
                            continue;
                        }
                        "when" => continue,
                        _ => {
                            self.report_unknown_attribute(
                                name,
                                "block",
                                &["ansible", "packer", "target"],
                            );
                            continue;
                        }
                    };
                    if block != Block::Section {
                        self.report_wrong_place(
                            name.span,
                            &format!("`{}`", name.text),
                            "blocks of this kind are not nested",
                        );
                        continue;
                    }
                    self.lower_statements(inner, condition, kind, body);
                }
            }
        }
    }

    fn report_wrong_place(&mut self, span: Span, what: &str, help: &str) {
        self.report(
            Diagnostic::new(Code::WrongPlace, span, format!("{what} cannot stand here")).help(help),
        );
    }

    /// The variable that a statement sets: a declared one, or an entry of the block it stands in.
    fn find_set(&mut self, name: &ast::Ident, block: Block) -> Option<VarId> {
        let declared = self.view().find(VARIABLES, &name.text).map(|(id, _)| *id);
        let Block::Extra(owner) = block else {
            match declared {
                None => self.report_unknown_variable(name, true),
                Some(id) => {
                    let variable = &self.variables[id.0 as usize];
                    if let Some(removed) = variable.removed.clone() {
                        self.report(
                            Diagnostic::new(
                                Code::RemovedVariable,
                                name.span,
                                format!("`{}` is gone", name.text),
                            )
                            .help(removed.to_string()),
                        );
                        return None;
                    }
                }
            }
            return declared;
        };
        if declared.is_some() {
            let word = if owner == Owner::Ansible {
                "ansible"
            } else {
                "packer"
            };
            self.report(
                Diagnostic::new(Code::DeclaredVariable, name.span, format!("`{}` is a declared variable and cannot stand in `{word} {{ }}`", name.text))
                    .help(format!("set it in the body itself: its declaration says who receives it (`imgspec explain {}`)", name.text)),
            );
            return None;
        }
        if owner == Owner::Ansible
            && !name
                .text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            self.report(
                Diagnostic::new(
                    Code::TypeMismatch,
                    name.span,
                    format!("Ansible takes no variable named `{}`", name.text),
                )
                .help("its variables hold letters, digits and `_`"),
            );
            return None;
        }
        Some(self.extra(owner, name))
    }

    /// The variable of an entry of an `ansible` or `packer` block.
    pub fn extra(&mut self, owner: Owner, name: &ast::Ident) -> VarId {
        let key = (owner, name.text.clone());
        if let Some(id) = self.extras.get(&key) {
            return *id;
        }
        let id = VarId(self.variables.len() as u32);
        self.variables.push(new_variable(name, owner, None));
        self.extras.insert(key, id);
        id
    }

    pub fn report_unknown_variable(&mut self, name: &ast::Ident, is_setting: bool) {
        let mut found = Diagnostic::new(
            Code::UnknownVariable,
            name.span,
            format!("there is no variable `{}`", name.text),
        );
        found = match self.nearest_variable(&name.text) {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), name.span, near),
            None if is_setting => found.help(
                "for your own roles put it in `ansible { }`, for your own template in `packer { }`, or declare it: `variable name : type`",
            ),
            None => found,
        };
        self.report(found);
    }

    fn check_fact_setting(&mut self, id: VarId, span: Span, condition: Option<u32>) {
        let variable = &self.variables[id.0 as usize];
        if variable.is_fact && condition.is_some() {
            let message = format!(
                "`{}` is a fact and cannot be set in a `when`",
                variable.name
            );
            self.report(
                Diagnostic::new(Code::WrongPlace, span, message).help(
                    "facts are settled before conditions are asked; set it in the body itself",
                ),
            );
        }
    }

    fn lower_setting(
        &mut self,
        set: &ast::Set,
        id: VarId,
        condition: Option<u32>,
    ) -> Option<Setting> {
        self.check_fact_setting(id, set.name.span, condition);
        let variable = &self.variables[id.0 as usize];
        let (ty, encoding, is_fact) = (variable.ty.clone(), variable.encoding, variable.is_fact);
        let place = Place {
            ty: Some(&ty),
            encoding,
            packer_braces: variable.has_packer_braces(),
            facts_only: is_fact.then_some("a fact"),
        };
        let change = match set.op {
            ast::SetOp::Replace => Change::Replace,
            ast::SetOp::Append => Change::Append,
            ast::SetOp::Remove => Change::Remove,
        };
        if change != Change::Replace && !matches!(ty.base, Base::List(_) | Base::Any) {
            let op = if change == Change::Append { "+=" } else { "-=" };
            self.report(
                Diagnostic::new(
                    Code::TypeMismatch,
                    set.name.span,
                    format!("`{op}` changes lists, and `{}` is a {ty}", set.name.text),
                )
                .help("set it with `=`"),
            );
            return None;
        }
        if change == Change::Replace
            && let Some(repair) = self.self_append(set, id)
        {
            self.report(repair);
            return None;
        }
        // What `-=` removes need not be a file that is there.
        let value = self.lower_expr(&set.value, place);
        self.check_user_setting(id, set, &value);
        self.read_args_file(id, &value);
        Some(Setting {
            variable: id,
            change,
            value,
            is_final: set.is_final,
            condition,
            span: set.span,
            name_span: set.name.span,
            had_quotes: false,
        })
    }

    /// `x = x + […]` is a cycle; what is meant is `x += […]`.
    fn self_append(&self, set: &ast::Set, id: VarId) -> Option<Diagnostic> {
        let ast::ExprKind::Binary(ast::BinaryOp::Add, sides) = &set.value.kind else {
            return None;
        };
        let ast::ExprKind::Name(name) = &sides[0].kind else {
            return None;
        };
        (self.find_variable(name) == Some(id)).then(|| {
            let span = set.name.span.to(sides[1].span);
            let rest = self.sources.slice(sides[1].span);
            Diagnostic::new(
                Code::ReferenceCycle,
                set.span,
                format!("`{name}` is defined by itself"),
            )
            .label("a name stands for the final value, so this has no end")
            .fix(
                format!("write `{name} += …`"),
                span,
                format!("{name} += {rest}"),
            )
        })
    }

    /// Ansible reads an argument `@path` as a file: what the project names there is read now, because
    /// the extra-vars file may have to take its place.
    pub fn read_args_file(&mut self, id: VarId, value: &Expr) {
        let is_args = matches!(self.variables[id.0 as usize].ty.base, Base::Args);
        let ExprKind::Const(Value::Text(text)) = &value.kind else {
            return;
        };
        let known = text.known().unwrap_or_default();
        if let Some(path) = known.strip_prefix('@').filter(|_| is_args) {
            let source = self.sources.get(value.span.file);
            if source.origin == Origin::Project {
                let path = normalize(&source.folder().join(path));
                self.read_data(&path, value.span);
            }
        }
    }

    /// Warnings for what the project, not the library, sets.
    fn check_user_setting(&mut self, id: VarId, set: &ast::Set, value: &Expr) {
        if !self.sources.is_users(set.span.file) {
            return;
        }
        self.check_deprecated(id, set.name.span);
        self.check_secret(id, value);
    }

    pub fn check_deprecated(&mut self, id: VarId, span: Span) {
        let variable = &self.variables[id.0 as usize];
        if let Some(real) = variable.alias_of {
            let real = self.variables[real.0 as usize].name.clone();
            let message = format!("`{}` is a deprecated name of `{real}`", variable.name);
            self.report(Diagnostic::new(Code::DeprecatedName, span, message).fix(
                format!("write `{real}`"),
                span,
                real,
            ));
        }
    }

    pub fn check_secret(&mut self, id: VarId, value: &Expr) {
        let variable = &self.variables[id.0 as usize];
        let ExprKind::Const(Value::Text(text)) = &value.kind else {
            return;
        };
        if variable.is_secret && !text.is_opaque() && !text.is_empty() {
            let name = variable.name.to_uppercase();
            let message = format!("the secret `{}` stands here in plain text", variable.name);
            self.report(
                Diagnostic::new(Code::SecretLiteral, value.span, message)
                    .label("anyone who reads this file reads the secret")
                    .fix(
                        format!("read it from the environment: env(\"{name}\")"),
                        value.span,
                        format!("env(\"{name}\")"),
                    ),
            );
        }
    }

    // ---- targets, providers, rules ----------------------------------------------------------

    fn lower_target(
        &mut self,
        stmts: &[ast::Stmt],
        span: Span,
        name: &ast::Ident,
        body: &mut Body,
    ) {
        if let Some(first) = &body.target {
            self.report(
                Diagnostic::new(Code::TwoTargets, name.span, "an image has one target")
                    .related(first.span, "the first stands here"),
            );
            return;
        }
        let mut provider = None;
        let mut target = Target {
            span: name.span,
            provider: ProviderId(0),
            runs: Vec::new(),
            vars: Vec::new(),
            make: None,
        };
        let mut single = Run::default();
        for stmt in stmts {
            if let ast::Stmt::Block { name, body, .. } = stmt
                && name.text == "run"
            {
                let mut run = Run::default();
                for stmt in body {
                    if let Some(set) = self.attribute(stmt, "a run")
                        && !self.lower_run(set, &mut run)
                    {
                        self.report_unknown_attribute(
                            &set.name,
                            "attribute of a run",
                            &["only", "except", "vars"],
                        );
                    }
                }
                target.runs.push(run);
                continue;
            }
            let Some(set) = self.attribute(stmt, "a target") else {
                continue;
            };
            match set.name.text.as_str() {
                "provider" => {
                    if let Some(word) = self.word(set) {
                        provider = self.find_provider(&word);
                    }
                }
                "make" => target.make = self.constant_text(set),
                _ if self.lower_run(set, &mut single) => {}
                _ => self.report_unknown_attribute(
                    &set.name,
                    "attribute of a target",
                    &["provider", "only", "except", "vars", "make", "run"],
                ),
            }
        }
        let Some(provider) = provider else {
            let named = stmts
                .iter()
                .any(|s| matches!(s, ast::Stmt::Set(set) if set.name.text == "provider"));
            if !named {
                self.report(
                    Diagnostic::new(Code::Required, span, "the target names no provider")
                        .help("write `target { provider = NAME }`"),
                );
            }
            return;
        };
        target.provider = provider;
        target.vars = std::mem::take(&mut single.vars);
        if target.runs.is_empty() {
            target.runs.push(single);
        }
        body.target = Some(target);
    }

    pub fn find_provider(&mut self, word: &ast::Ident) -> Option<ProviderId> {
        if let Some((id, _)) = self.view().find(PROVIDERS, &word.text) {
            return Some(*id);
        }
        let names: Vec<SmolStr> = self.view().all(PROVIDERS).map(SmolStr::new).collect();
        let mut found = Diagnostic::new(
            Code::UnknownName,
            word.span,
            format!("there is no provider `{}`", word.text),
        );
        found = match nearest(&word.text, names.iter().map(SmolStr::as_str)) {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("write `{near}`"),
                word.span,
                near,
            ),
            None => {
                let mut names = names;
                names.sort();
                found.help(format!("the providers are {}", names.join(", ")))
            }
        };
        self.report(found);
        None
    }

    fn lower_run(&mut self, set: &ast::Set, run: &mut Run) -> bool {
        match set.name.text.as_str() {
            "only" => run.only = self.constant_texts(&set.value),
            "except" => run.except = self.constant_texts(&set.value),
            "vars" => run.vars = self.lower_vars(&set.value),
            _ => return false,
        }
        true
    }

    /// `vars = { name = value }`: what the target passes to Packer as `-var`.
    fn lower_vars(&mut self, value: &ast::Expr) -> Vec<Setting> {
        let ast::ExprKind::Map(pairs) = &value.kind else {
            self.report(
                Diagnostic::new(Code::TypeMismatch, value.span, "`vars` is a map")
                    .help("write `vars = { name = value }`"),
            );
            return Vec::new();
        };
        let mut settings = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let Some(id) = self.find_set(name, Block::Section) else {
                continue;
            };
            let variable = &self.variables[id.0 as usize];
            let (ty, encoding) = (variable.ty.clone(), variable.encoding);
            let place = Place {
                ty: Some(&ty),
                encoding,
                packer_braces: variable.has_packer_braces(),
                facts_only: None,
            };
            let value = self.lower_expr(value, place);
            settings.push(Setting {
                variable: id,
                change: Change::Replace,
                span: name.span.to(value.span),
                value,
                is_final: false,
                condition: None,
                name_span: name.span,
                had_quotes: false,
            });
        }
        settings
    }

    fn lower_provider(&mut self, section: &ast::Section, id: ProviderId) {
        const NAMES: [&str; 8] = [
            "template",
            "roles",
            "playbook",
            "tools",
            "artifact",
            "extra_vars",
            "reads",
            "defaults",
        ];
        let mut provider = new_provider(&section.name, section.doc.clone());
        for stmt in &section.body {
            if let ast::Stmt::Block { name, body, .. } = stmt
                && name.text == "defaults"
            {
                let mut defaults = Body::default();
                self.lower_statements(body, None, Block::Section, &mut defaults);
                if let Some(condition) = defaults.conditions.first() {
                    self.report_wrong_place(
                        condition.expr.span,
                        "`when`",
                        "a template's defaults hold for all its images",
                    );
                }
                provider.defaults = defaults.settings;
                continue;
            }
            let Some(set) = self.attribute(stmt, "a provider") else {
                continue;
            };
            match set.name.text.as_str() {
                "template" => provider.template = self.constant_text(set).unwrap_or_default(),
                "artifact" => provider.artifact = self.constant_text(set),
                "tools" => provider.tools = self.constant_texts(&set.value),
                "extra_vars" => provider.extra_vars = self.constant_texts(&set.value),
                "roles" => {
                    if let Some(word) = self.word(set) {
                        match word.text.as_str() {
                            "native" => provider.roles = Roles::Native,
                            "upstream" => provider.roles = Roles::Upstream,
                            _ => self.report_unknown_attribute(
                                &word,
                                "kind of roles",
                                &["native", "upstream"],
                            ),
                        }
                    }
                }
                "playbook" => {
                    if let Some(word) = self.word(set) {
                        match word.text.as_str() {
                            "linux" => provider.playbook = Playbook::Linux,
                            "windows" => provider.playbook = Playbook::Windows,
                            _ => self.report_unknown_attribute(
                                &word,
                                "playbook",
                                &["linux", "windows"],
                            ),
                        }
                    }
                }
                "reads" => {
                    for name in self.words(&set.value) {
                        match self.find_variable(&name.text) {
                            Some(id) => provider.reads.push(id),
                            None => self.report_unknown_variable(&name, false),
                        }
                    }
                }
                _ => self.report_unknown_attribute(&set.name, "attribute of a provider", &NAMES),
            }
        }
        if provider.template.is_empty() {
            self.report(
                Diagnostic::new(
                    Code::Required,
                    section.name.span,
                    format!("the provider `{}` names no template", section.name.text),
                )
                .help("write `template = \"path/to/packer.json\"`"),
            );
        }
        self.providers[id.0 as usize] = provider;
    }

    fn lower_rule(&mut self, section: &ast::Section, id: RuleId) {
        let mut rule = new_rule(&section.name);
        let mut is_complete = false;
        for stmt in &section.body {
            let Some(set) = self.attribute(stmt, "a rule") else {
                continue;
            };
            match set.name.text.as_str() {
                "deny" | "warn" => {
                    rule.condition = self.lower_condition(&set.value, Place::PLAIN);
                    rule.is_deny = set.name.text == "deny";
                    is_complete = true;
                }
                "message" => rule.message = self.lower_message(&set.value),
                "help" => rule.help = Some(self.lower_message(&set.value)),
                _ => self.report_unknown_attribute(
                    &set.name,
                    "attribute of a rule",
                    &["deny", "warn", "message", "help"],
                ),
            }
        }
        let has_message = !matches!(rule.message.kind, ExprKind::Missing);
        if !is_complete || !has_message {
            self.report(
                Diagnostic::new(
                    Code::Required,
                    section.name.span,
                    format!(
                        "the rule `{}` needs `deny` or `warn`, and a `message`",
                        section.name.text
                    ),
                )
                .help("write `rule name { deny = condition, message = \"what is wrong\" }`"),
            );
        }
        self.rules[id.0 as usize] = rule;
    }

    fn lower_message(&mut self, value: &ast::Expr) -> Expr {
        let ty = Type::of(Base::String);
        self.lower_expr(
            value,
            Place {
                ty: Some(&ty),
                ..Place::PLAIN
            },
        )
    }

    // ---- attributes -------------------------------------------------------------------------

    /// A statement of a block that holds nothing but `name = value`.
    fn attribute<'s>(&mut self, stmt: &'s ast::Stmt, whose: &str) -> Option<&'s ast::Set> {
        let span = match stmt {
            ast::Stmt::Set(set) if set.op == ast::SetOp::Replace && !set.is_final => {
                return Some(set);
            }
            ast::Stmt::Set(set) => set.span,
            ast::Stmt::Unset { span, .. } | ast::Stmt::When { span, .. } => *span,
            ast::Stmt::Block { name, .. } => name.span,
        };
        self.report(Diagnostic::new(
            Code::WrongPlace,
            span,
            format!("{whose} has only `name = value`"),
        ));
        None
    }

    pub fn report_unknown_attribute(&mut self, name: &ast::Ident, what: &str, known: &[&str]) {
        let found = Diagnostic::new(
            Code::UnknownAttribute,
            name.span,
            format!("there is no {what} `{}`", name.text),
        );
        self.report(match nearest(&name.text, known.iter().copied()) {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("write `{near}`"),
                name.span,
                near,
            ),
            None => found.help(format!("it is one of {}", known.join(", "))),
        });
    }

    fn flag(&mut self, set: &ast::Set) -> bool {
        match set.value.kind {
            ast::ExprKind::Bool(flag) => flag,
            ast::ExprKind::Missing => false,
            _ => {
                self.report(Diagnostic::new(
                    Code::TypeMismatch,
                    set.value.span,
                    format!("`{}` is true or false", set.name.text),
                ));
                false
            }
        }
    }

    fn word(&mut self, set: &ast::Set) -> Option<ast::Ident> {
        match &set.value.kind {
            ast::ExprKind::Name(name) => Some(ast::Ident {
                text: name.clone(),
                span: set.value.span,
            }),
            ast::ExprKind::Missing => None,
            _ => {
                self.report(
                    Diagnostic::new(
                        Code::TypeMismatch,
                        set.value.span,
                        format!("`{}` takes a name", set.name.text),
                    )
                    .help("without quotes"),
                );
                None
            }
        }
    }

    fn words(&mut self, value: &ast::Expr) -> Vec<ast::Ident> {
        let ast::ExprKind::List(elements) = &value.kind else {
            self.report(
                Diagnostic::new(Code::TypeMismatch, value.span, "expected a list of names")
                    .help("write `[a, b]`"),
            );
            return Vec::new();
        };
        let mut words = Vec::with_capacity(elements.len());
        for element in elements {
            match &element.kind {
                ast::ExprKind::Name(name) => words.push(ast::Ident {
                    text: name.clone(),
                    span: element.span,
                }),
                _ => self.report(
                    Diagnostic::new(Code::TypeMismatch, element.span, "expected a name")
                        .help("without quotes"),
                ),
            }
        }
        words
    }

    fn constant_text(&mut self, set: &ast::Set) -> Option<SmolStr> {
        match &set.value.kind {
            ast::ExprKind::Str(text) => Some(text.clone()),
            ast::ExprKind::Missing => None,
            _ => {
                self.report(Diagnostic::new(
                    Code::TypeMismatch,
                    set.value.span,
                    format!("`{}` takes a text without `${{…}}`", set.name.text),
                ));
                None
            }
        }
    }

    fn constant_texts(&mut self, value: &ast::Expr) -> Vec<SmolStr> {
        let ast::ExprKind::List(elements) = &value.kind else {
            self.report(
                Diagnostic::new(Code::TypeMismatch, value.span, "expected a list of texts")
                    .help("write `[\"a\", \"b\"]`"),
            );
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(elements.len());
        for element in elements {
            match &element.kind {
                ast::ExprKind::Str(text) => texts.push(text.clone()),
                _ => self.report(Diagnostic::new(
                    Code::TypeMismatch,
                    element.span,
                    "expected a text in quotes",
                )),
            }
        }
        texts
    }

    /// Reads a file whose content a spec uses; it must lie inside the project's roots.
    pub fn read_data(&mut self, path: &Path, span: Span) -> Option<String> {
        if !super::is_inside(self.loader, path, &self.roots) {
            self.report(super::outside_root(span, path, &self.roots));
            return None;
        }
        match self.loader.read(path) {
            Ok(text) => {
                self.data.push(DataFile {
                    reader: span.file,
                    path: path.to_owned(),
                    text: text.clone(),
                });
                Some(text)
            }
            Err(error) => {
                self.report(Diagnostic::new(
                    Code::CannotRead,
                    span,
                    format!("cannot read {}: {error}", path.display()),
                ));
                None
            }
        }
    }

    /// Checks a value that no expression produced against a variable's type.
    pub fn check_decoded(&mut self, id: VarId, value: &Value, span: Span) -> bool {
        let variable = &self.variables[id.0 as usize];
        let encoding = variable.encoding;
        match check_value(&variable.ty, value) {
            Ok(()) => {
                self.check_encodable(value, span, encoding);
                true
            }
            Err(mismatch) => {
                let message = format!("`{}`: {}", variable.name, mismatch.message);
                self.report(Diagnostic::new(Code::TypeMismatch, span, message));
                false
            }
        }
    }
}

/// What kind of statements a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Section,
    Extra(Owner),
}

#[derive(Default)]
struct Body {
    settings: Vec<Setting>,
    conditions: Vec<Condition>,
    target: Option<Target>,
}

fn new_variable(name: &ast::Ident, owner: Owner, doc: Option<String>) -> Variable {
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
        doc,
    }
}

fn new_provider(name: &ast::Ident, doc: Option<String>) -> Provider {
    Provider {
        name: name.text.clone(),
        span: name.span,
        template: SmolStr::default(),
        roles: Roles::Native,
        playbook: Playbook::Linux,
        tools: Vec::new(),
        artifact: None,
        extra_vars: Vec::new(),
        reads: Vec::new(),
        defaults: Vec::new(),
        doc,
    }
}

fn new_rule(name: &ast::Ident) -> Rule {
    let nothing = || Expr {
        kind: ExprKind::Missing,
        span: name.span,
    };
    Rule {
        name: name.text.clone(),
        span: name.span,
        condition: nothing(),
        is_deny: true,
        message: nothing(),
        help: None,
        file: name.span.file,
    }
}
