//! Bodies of layers and images: settings, `when`, and the blocks in them.

use crate::diagnostic::{Code, Diagnostic};
use crate::project::check::expr::Expected;
use crate::project::check::fixes::Spelling;
use crate::project::check::var_file;
use crate::project::check::{Declared, Lowering};
use crate::project::hir::*;
use crate::project::hir::{SECTIONS, VARIABLES};
use crate::schema::{Base, Receivers, Type};
use crate::source::Span;
use crate::syntax::{Meant, ast, is_null, meant_by};
use rustc_hash::FxHashMap;

impl Lowering<'_, '_> {
    /// Layers, images, providers, rules and probes.
    pub(crate) fn lower_bodies(&mut self, declared: &[Declared<'_>]) {
        for item in declared {
            match item {
                Declared::Section(id, section) => self.lower_section(section, *id),
                Declared::Json(id, _, file) => var_file::lower_layer(self, file, *id),
                Declared::Provider(id, section) => self.lower_provider(section, *id),
                Declared::Rule(id, section) => self.lower_rule(section, *id),
                Declared::Probe(id, section) => self.lower_probe(section, *id),
                Declared::Test(test) => self.lower_test(test),
                Declared::Waiver(waiver) => self.lower_waiver(waiver),
                Declared::Variable(..) | Declared::Type(..) => {}
            }
        }
    }

    pub(crate) fn lower_section(&mut self, section: &ast::Section, id: SectionId) {
        let mut extends = Vec::with_capacity(section.extends.len());
        let mut lacks_parent = false;
        for name in &section.extends {
            match self.view().find(SECTIONS, &name.text) {
                Some((parent, _)) => extends.push((*parent, name.span)),
                None => {
                    // The images of a matrix have the same names in their `extends`.
                    if self.unknown_parents.insert(name.span) {
                        self.report_unknown_section(name);
                    }
                    lacks_parent = true;
                }
            }
        }
        let mut body = Body::default();
        if section.kind != ast::SectionKind::Axis || self.knows_axis(section) {
            self.lower_statements(&section.body, Within::BODY, &mut body);
        }
        let refused = match section.kind {
            ast::SectionKind::Layer => Some((
                "a layer cannot have a target",
                "write `image` instead of `layer`, or remove the target",
            )),
            ast::SectionKind::Matrix => Some((
                "a matrix cannot have a target",
                "put it into an image, and extend that image",
            )),
            _ => None,
        };
        if let Some((message, help)) = refused
            && let Some(target) = body.target.take()
        {
            self.report(Diagnostic::new(Code::WrongPlace, target.span, message).help(help));
        }
        // The provider of a wrong target is unknown, too.
        let is_target = |stmt: &ast::Stmt| matches!(stmt, ast::Stmt::Block { name, .. } if name.text == "target");
        let lacks_target = body.target.is_none() && section.body.iter().any(is_target);
        let is_incomplete = self.file.incomplete.is_some();
        let out = &mut self.sections[id];
        out.whole = section.span;
        out.extends = extends;
        out.lacks_parent = lacks_parent || lacks_target || is_incomplete;
        out.settings = body.settings;
        out.conditions = body.conditions;
        out.target = body.target;
    }

    /// True if the axis that a value is of is a variable. Otherwise that is reported, once for the axis.
    fn knows_axis(&mut self, section: &ast::Section) -> bool {
        let Some(ast::Stmt::Set(set)) = section.body.first() else {
            return false;
        };
        let name = &set.name;
        if self.find_variable(&name.text).is_some() {
            return true;
        }
        let names_layer = |name: &str| self.view().find(SECTIONS, name).is_some();
        let is_layer = matches!(&set.value.kind, ast::ExprKind::Name(value) if names_layer(value));
        if !self.unknown_parents.insert(name.span) {
            return false;
        }
        if is_layer {
            let message = format!(
                "`{}` is neither a variable nor a name in `extends`",
                name.text
            );
            self.report(
                Diagnostic::new(Code::UnknownVariable, name.span, message).help(format!(
                    "to extend each of its values, name the axis there: `extends {}`",
                    name.text
                )),
            );
        } else {
            self.report_unknown(name, Some(&set.value), true);
        }
        false
    }

    pub(crate) fn lower_statements(
        &mut self,
        stmts: &[ast::Stmt],
        within: Within,
        body: &mut Body,
    ) {
        let Within { block, condition } = within;
        let mut set_here: FxHashMap<VarId, Span> = FxHashMap::default();
        set_here.reserve(stmts.len());
        body.settings.reserve(stmts.len());
        let sets = |name: &str| {
            let mut stmts = stmts.iter();
            stmts.any(|stmt| matches!(stmt, ast::Stmt::Set(set) if set.name.text == name))
        };
        for stmt in stmts {
            match stmt {
                ast::Stmt::Set(set) => {
                    if self.lower_misplaced(set, within, body) {
                        continue;
                    }
                    let Some(id) = self.find_set(&set.name, Some(&set.value), block) else {
                        self.hide_misspelt(set);
                        continue;
                    };
                    if self.report_null(set, block) {
                        continue;
                    }
                    if condition.is_none()
                        && set.op == ast::SetOp::Replace
                        && let Some(first) = set_here.insert(id, set.name.span)
                    {
                        self.report_set_twice(&set.name, first);
                    }
                    if !set.is_final {
                        // A final one is refused, with the same fix.
                        self.check_deprecated(id, set.name.span, Spelling::Spec, sets);
                    }
                    let setting = self.lower_setting(set, id, condition);
                    body.settings.extend(setting);
                }
                ast::Stmt::Unset { name, span } => self.lower_unset(name, *span, within, body),
                ast::Stmt::When {
                    condition,
                    body: inner,
                    span,
                } => self.lower_when(condition, inner, *span, within, body),
                ast::Stmt::Block {
                    name,
                    body: inner,
                    span,
                } => self.lower_block(name, inner, *span, within, body),
                // The matrix has been expanded.
                ast::Stmt::Axis(_) => {}
                ast::Stmt::Assert { span, .. } => self.report_step(*span, "`assert`"),
                ast::Stmt::Expect { span, .. } => self.report_step(*span, "`expect`"),
                ast::Stmt::Snapshot { span, .. } => self.report_step(*span, "`snapshot`"),
            }
        }
    }

    fn report_step(&mut self, span: Span, what: &str) {
        let help = "put it into `test \"NAME\" for IMAGE { … }`";
        self.report_wrong_place(span, what, help);
    }

    fn report_set_twice(&mut self, name: &ast::Ident, first: Span) {
        self.report(
            Diagnostic::new(
                Code::DuplicateSetting,
                name.span,
                format!("`{}` is set twice", name.text),
            )
            .label("set again here")
            .related(first, "first set here")
            .help("remove one of them, or put it into a `when` block if it depends on a fact"),
        );
    }

    fn lower_unset(&mut self, name: &ast::Ident, span: Span, within: Within, body: &mut Body) {
        let Some(id) = self.find_set(name, None, within.block) else {
            return;
        };
        self.check_deprecated(id, name.span, Spelling::Spec, |_| false);
        self.check_fact_setting(id, name.span, within.condition);
        body.settings.push(Setting {
            variable: id,
            change: Change::Unset,
            value: Expr {
                kind: ExprKind::Nothing,
                span,
            },
            is_final: false,
            condition: within.condition,
            span,
            name_span: name.span,
            had_quotes: false,
        });
    }

    fn lower_when(
        &mut self,
        condition: &ast::Expr,
        inner: &[ast::Stmt],
        span: Span,
        within: Within,
        body: &mut Body,
    ) {
        if within.block != Block::Section {
            self.report_wrong_place(span, "`when`", "put the `when` around the block");
            return;
        }
        let expr = self.lower_condition(condition, Expected::FACTS);
        let index = body.conditions.len() as u32;
        body.conditions.push(Condition {
            expr,
            outer: within.condition,
        });
        let within = Within {
            condition: Some(index),
            ..within
        };
        self.lower_statements(inner, within, body);
    }

    /// Lowers an `ansible`, `packer` or `target` block.
    fn lower_block(
        &mut self,
        name: &ast::Ident,
        inner: &[ast::Stmt],
        span: Span,
        within: Within,
        body: &mut Body,
    ) {
        let kind = match name.text.as_str() {
            "ansible" => Block::Extra(Owner::Ansible),
            "packer" => Block::Extra(Owner::Packer),
            "target" if within.block == Block::Section && within.condition.is_none() => {
                self.lower_target(inner, span, name, body);
                return;
            }
            "target" => {
                self.report_wrong_place(
                    name.span,
                    "`target`",
                    "put it directly into the body of an image",
                );
                return;
            }
            "when" => return,
            _ => {
                self.report_unknown_attribute(name, "block", &["ansible", "packer", "target"]);
                return;
            }
        };
        if within.block != Block::Section {
            self.report_wrong_place(
                name.span,
                &format!("`{}`", name.text),
                "put it directly into the body of a layer or image",
            );
            return;
        }
        let within = Within {
            block: kind,
            ..within
        };
        self.lower_statements(inner, within, body);
    }

    pub(crate) fn report_wrong_place(&mut self, span: Span, what: &str, help: &str) {
        self.report(
            Diagnostic::new(
                Code::WrongPlace,
                span,
                format!("{what} is not allowed here"),
            )
            .help(help),
        );
    }

    /// A statement in the form of a setting that is another one. True where it was one.
    fn lower_misplaced(&mut self, set: &ast::Set, within: Within, body: &mut Body) -> bool {
        if within.block != Block::Section || self.find_variable(&set.name.text).is_some() {
            return false;
        }
        let Some(Meant { found, statements }) =
            meant_by(set, &self.sources.get(set.span.file).text)
        else {
            return false;
        };
        self.report(found);
        self.lower_statements(&statements, within, body);
        true
    }

    /// `x = null`: what other languages have for `unset x`. True where it was that.
    fn report_null(&mut self, set: &ast::Set, block: Block) -> bool {
        let ast::ExprKind::Name(word) = &set.value.kind else {
            return false;
        };
        let is_null = is_null(word) || word == "unset";
        if !is_null || block != Block::Section || set.is_final || self.find_variable(word).is_some()
        {
            return false;
        }
        let text = format!("unset {}", set.name.text);
        let message = format!("unknown value `{word}`");
        self.report(
            Diagnostic::new(Code::UnknownVariable, set.value.span, message)
                .label("`unset` removes a value; an empty value is `\"\"` or `[]`")
                .fix(format!("write `{text}`"), set.span, text),
        );
        true
    }

    /// The variable that a statement sets: a declared one, or an entry of its block.
    pub(crate) fn find_set(
        &mut self,
        name: &ast::Ident,
        value: Option<&ast::Expr>,
        block: Block,
    ) -> Option<VarId> {
        let declared = self.view().find(VARIABLES, &name.text).map(|(id, _)| *id);
        let Block::Extra(owner) = block else {
            match declared {
                None => {
                    self.report_unknown(name, value, true);
                }
                Some(id) => {
                    if self.report_removed(id, name) {
                        return None;
                    }
                }
            }
            return declared;
        };
        // What no playbook receives is free for roles of one's own.
        let to = declared.map(|id| self.variables[id].to);
        let is_free = owner == Owner::Ansible
            && to.is_some_and(|to| !to.has(Receivers::LINUX) && !to.has(Receivers::WINDOWS));
        if declared.is_some() && !is_free {
            let word = if owner == Owner::Ansible {
                "ansible"
            } else {
                "packer"
            };
            self.report(
                Diagnostic::new(
                    Code::DeclaredVariable,
                    name.span,
                    format!("the declared variable `{}` cannot be set in `{word} {{ }}`", name.text),
                )
                .help(format!(
                    "set it outside the block: its declaration names its receivers (`imgspec explain {}`)",
                    name.text
                )),
            );
            return None;
        }
        if owner == Owner::Ansible
            && !name
                .text
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'_')
        {
            self.report(
                Diagnostic::new(
                    Code::TypeMismatch,
                    name.span,
                    format!("`{}` is not a valid Ansible variable name", name.text),
                )
                .help("use only letters, digits and `_`"),
            );
            return None;
        }
        Some(self.extra(owner, name))
    }

    pub(crate) fn check_fact_setting(&mut self, id: VarId, span: Span, condition: Option<u32>) {
        let variable = &self.variables[id];
        if variable.is_fact && condition.is_some() {
            let message = format!(
                "the fact `{}` cannot be set in a `when` block",
                variable.name
            );
            self.report(
                Diagnostic::new(Code::WrongPlace, span, message).help(
                    "set it outside the `when` block: conditions read facts, so facts are computed first",
                ),
            );
        }
    }

    pub(crate) fn lower_setting(
        &mut self,
        set: &ast::Set,
        id: VarId,
        condition: Option<u32>,
    ) -> Option<Setting> {
        if self.variables[id].is_secret {
            self.hide_literals(&set.value);
        }
        if matches!(self.variables[id].ty.base, Base::Args) {
            match &set.value.kind {
                ast::ExprKind::Str(text) => self.hide_arguments(text, set.value.span),
                ast::ExprKind::Interpolated(parts) => {
                    for part in parts {
                        if let ast::Part::Text(text) = part {
                            self.hide_arguments(text, set.value.span);
                        }
                    }
                }
                _ => {}
            }
        }
        self.check_fact_setting(id, set.name.span, condition);
        let ty = self.variables[id].ty.clone();
        let change = match set.op {
            ast::SetOp::Replace => Change::Replace,
            ast::SetOp::Append => Change::Append,
            ast::SetOp::Remove => Change::Remove,
        };
        if change != Change::Replace && !matches!(ty.base, Base::List(_) | Base::Any) {
            self.report_not_a_list(&set.name, change, &ty);
            return None;
        }
        if change == Change::Replace
            && let Some(found) = self.self_append(set, id)
        {
            self.report(found);
            return None;
        }
        // What `-=` removes need not be a file that is there.
        let value = self.lower_value(&set.value, id);
        if set.is_final && self.variables[id].alias_of().is_some() {
            self.report_final_alias(id, set);
            return None;
        }
        self.check_user_setting(id, set, &value);
        let value = self.read_args_file(id, value);
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

    pub(crate) fn report_not_a_list(&mut self, name: &ast::Ident, change: Change, ty: &Type) {
        let op = if change == Change::Append { "+=" } else { "-=" };
        let message = format!(
            "`{op}` requires a list, but `{}` is {}",
            name.text,
            ty.in_words()
        );
        let found = Diagnostic::new(Code::TypeMismatch, name.span, message).help("set it with `=`");
        self.report(found);
    }

    /// A setting of the real name would still change a value that is final under its deprecated name.
    fn report_final_alias(&mut self, id: VarId, set: &ast::Set) {
        let Some(real) = self.variables[id].alias_of() else {
            return;
        };
        let real = self.variables[real].name.clone();
        let message = format!("the deprecated name `{}` cannot be `final`", set.name.text);
        self.report(
            Diagnostic::new(Code::WrongPlace, set.name.span, message).fix(
                format!("replace it with `{real}`"),
                set.name.span,
                real,
            ),
        );
    }

    /// `x = x + […]` is a cycle; what is meant is `x += […]`.
    pub(crate) fn self_append(&self, set: &ast::Set, id: VarId) -> Option<Diagnostic> {
        let ast::ExprKind::Binary(ast::BinaryOp::Add, sides) = &set.value.kind else {
            return None;
        };
        let [left, right] = sides.as_ref();
        let ast::ExprKind::Name(name) = &left.kind else {
            return None;
        };
        (self.find_variable(name) == Some(id)).then(|| {
            let span = set.name.span.to(set.value.span);
            let rest = self.sources.slice(right.span);
            let found = Diagnostic::new(
                Code::ReferenceCycle,
                set.span,
                format!("the value of `{name}` depends on itself"),
            )
            .label("the name is the final value, which includes this one");
            match self.variables[id].ty.base {
                Base::List(_) | Base::Any => found.fix(
                    format!("write `{name} += …`"),
                    span,
                    format!("{name} += {rest}"),
                ),
                _ => found.help("write the complete value: only a list can be extended"),
            }
        })
    }

    /// Warnings for what the project, not the library, sets.
    pub(crate) fn check_user_setting(&mut self, id: VarId, set: &ast::Set, value: &Expr) {
        if !self.sources.is_users(set.span.file) {
            return;
        }
        self.check_secret(id, value, Spelling::Spec);
        self.check_args(id, value);
    }
}

/// What kind of statements a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    Section,
    Extra(Owner),
}

/// What is around a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within {
    block: Block,
    /// The innermost `when`.
    condition: Option<u32>,
}

impl Within {
    /// A section's own body.
    pub(crate) const BODY: Within = Within {
        block: Block::Section,
        condition: None,
    };
}

/// What the statements of a body are lowered to.
#[derive(Default)]
pub(crate) struct Body {
    pub settings: Vec<Setting>,
    pub conditions: Vec<Condition>,
    pub target: Option<Target>,
}
