//! Expressions: names resolved, types checked, constants computed. Each is checked once, used or not.

use crate::diagnostic::{Code, Diagnostic, Reported, nearest};
use crate::project::check::Lowering;
use crate::project::hir::VARIABLES;
use crate::project::hir::*;
use crate::schema::{Base, Encoding, Piece, Text, Type, Value, check_value, find_unencodable};
use crate::source::Span;
use crate::syntax::ast::{self, BinaryOp};
use rustc_hash::FxHashSet;
use smol_str::SmolStr;

/// What is expected of an expression where it is written: its type, and how its braces and paths are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// The type of the variable or element that is set; none in conditions and rules.
    pub ty: Option<&'a Type>,
    /// The encoding of the list that is expected here.
    pub encoding: Encoding,
    /// Whether `{{` is Packer's.
    pub packer_braces: bool,
    /// Only facts may be read; the word for what reads them.
    pub facts_only: Option<&'static str>,
    /// Messages do not repeat the value.
    pub is_secret: bool,
    /// The variable whose value this is or belongs to.
    pub setting: Option<VarId>,
}

impl Expected<'_> {
    /// A condition or message: no type, braces are text.
    pub(crate) const PLAIN: Expected<'static> = Expected {
        ty: None,
        encoding: Encoding::Plain,
        packer_braces: false,
        facts_only: None,
        is_secret: false,
        setting: None,
    };
    pub(crate) const FACTS: Expected<'static> = Expected {
        facts_only: Some("a condition"),
        ..Expected::PLAIN
    };

    fn inner<'b>(self, ty: Option<&'b Type>) -> Expected<'b> {
        Expected {
            ty,
            encoding: Encoding::Plain,
            packer_braces: self.packer_braces,
            facts_only: self.facts_only,
            is_secret: self.is_secret,
            setting: self.setting,
        }
    }

    /// For the arguments of functions and operators: any type, the same braces.
    pub(crate) fn argument(self) -> Expected<'static> {
        self.inner(None)
    }
}

/// What is known of an expression's type without computing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ty {
    Any,
    Bool,
    Int,
    Text,
    /// A text that compares as a version.
    Version,
    List(Box<Ty>),
    Map(Box<Ty>),
}

impl Ty {
    pub(crate) fn of(ty: &Type) -> Ty {
        match &ty.base {
            Base::Any => Ty::Any,
            Base::Bool => Ty::Bool,
            Base::Int => Ty::Int,
            Base::Semver | Base::Version => Ty::Version,
            Base::List(element) => Ty::List(Box::new(Ty::of(element))),
            Base::Map(element) => Ty::Map(Box::new(Ty::of(element))),
            _ => Ty::Text,
        }
    }

    pub(crate) fn word(&self) -> &'static str {
        match self {
            Ty::Any => "a value",
            Ty::Bool => "a bool",
            Ty::Int => "an integer",
            Ty::Text | Ty::Version => "a string",
            Ty::List(_) => "a list",
            Ty::Map(_) => "a map",
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Ty::Text | Ty::Version | Ty::Any)
    }

    pub(crate) fn fits(&self, wanted: &Ty) -> bool {
        match (self, wanted) {
            (Ty::Any, _) | (_, Ty::Any) => true,
            (Ty::List(a), Ty::List(b)) | (Ty::Map(a), Ty::Map(b)) => a.fits(b),
            (a, b) => a == b || (a.is_text() && b.is_text()),
        }
    }
}

/// What an expression is lowered to, with its type; nothing where it is wrong.
pub(crate) type Typed = Result<(ExprKind, Ty), Reported>;

/// The room that one level of an expression needs on the stack, and the size of another stack where less is left, in
/// bytes.
pub(crate) const RED_ZONE: usize = 128 << 10;
pub(crate) const STACK: usize = 4 << 20;

impl Lowering<'_, '_> {
    /// An expression that a variable gets as its value.
    pub(crate) fn lower_value(&mut self, value: &ast::Expr, id: VarId) -> Expr {
        let variable = &self.variables[id];
        let (ty, encoding) = (variable.ty.clone(), variable.encoding);
        let (is_fact, is_secret) = (variable.is_fact, variable.is_secret);
        let place = Expected {
            ty: Some(&ty),
            encoding,
            packer_braces: variable.has_packer_braces(),
            facts_only: is_fact.then_some("a fact"),
            is_secret,
            setting: Some(id),
        };
        if is_secret {
            self.hide_literals(value);
        }
        self.lower_expr(value, place)
    }

    /// Lowers an expression and checks it against what its place wants.
    pub(crate) fn lower_expr(&mut self, expr: &ast::Expr, place: Expected<'_>) -> Expr {
        self.lower_typed(expr, place).0
    }

    /// A condition: must be a bool.
    pub(crate) fn lower_condition(&mut self, expr: &ast::Expr, place: Expected<'_>) -> Expr {
        let (lowered, ty) = self.lower_typed(expr, place);
        match self.expect(
            &ty,
            &Ty::Bool,
            expr.span,
            "write a condition, which is true or false",
        ) {
            Ok(()) => lowered,
            Err(reported) => Expr::missing(reported, expr.span),
        }
    }

    pub(crate) fn expect(
        &mut self,
        ty: &Ty,
        wanted: &Ty,
        span: Span,
        help: &str,
    ) -> Result<(), Reported> {
        if ty.fits(wanted) {
            return Ok(());
        }
        Err(self.report(
            Diagnostic::new(
                Code::TypeMismatch,
                span,
                format!("expected {}, found {}", wanted.word(), ty.word()),
            )
            .help(help),
        ))
    }

    pub(crate) fn lower_typed(&mut self, expr: &ast::Expr, place: Expected<'_>) -> (Expr, Ty) {
        let span = expr.span;
        let lowered = match &expr.kind {
            ast::ExprKind::Missing => Err(Reported::by_parser()),
            ast::ExprKind::Bool(flag) => Ok((ExprKind::Const(Value::Bool(*flag)), Ty::Bool)),
            ast::ExprKind::Int(number) => Ok((ExprKind::Const(Value::Int(*number)), Ty::Int)),
            ast::ExprKind::NoInt(text) => Err(self.report_no_int(text, span, place)),
            ast::ExprKind::Str(text) => {
                let text = self.lower_text(text, span, place);
                text.map(|kind| (kind, Ty::Text))
            }
            ast::ExprKind::Interpolated(parts) => {
                let text = self.lower_template(parts, span, place);
                text.map(|kind| (kind, Ty::Text))
            }
            ast::ExprKind::Name(name) => self.lower_name(name, span, place),
            ast::ExprKind::Call { name, args } => self.lower_call(name, args, span, place),
            // An element or a branch that is wrong leaves the others as they are.
            ast::ExprKind::List(elements) => return self.lower_list(elements, span, place),
            ast::ExprKind::Map(pairs) => return self.lower_map(pairs, span, place),
            ast::ExprKind::If(parts) => {
                let [condition, then, other] = parts.as_ref();
                let condition = self.lower_condition(condition, place.argument());
                let (then, a) = self.lower_typed(then, place);
                let (other, b) = self.lower_typed(other, place);
                let ty = if a == Ty::Any { b } else { a };
                return (
                    Expr {
                        kind: ExprKind::If(Box::new([condition, then, other])),
                        span,
                    },
                    ty,
                );
            }
            ast::ExprKind::Not(inner) => {
                let inner = self.lower_condition(inner, place.argument()).sound();
                inner.map(|inner| (ExprKind::Not(Box::new(inner)), Ty::Bool))
            }
            // A long chain of operators is as deep as it is long.
            ast::ExprKind::Binary(op, sides) => {
                stacker::maybe_grow(RED_ZONE, STACK, || self.lower_binary(*op, sides, place))
            }
        };
        match lowered {
            Ok((kind, ty)) => {
                let mut lowered = Expr { kind, span };
                self.check_place(&mut lowered, &ty, place);
                (lowered, ty)
            }
            // What is wrong is put out of the way, so that nothing else is said because of it.
            Err(reported) => (Expr::missing(reported, span), Ty::Any),
        }
    }

    /// Checks an expression where a type is expected: always its kind, and the whole value of a constant.
    fn check_place(&mut self, expr: &mut Expr, ty: &Ty, place: Expected<'_>) {
        let Some(wanted) = place.ty else { return };
        match &expr.kind {
            ExprKind::Const(value) => {
                if let Err(mismatch) = check_value(wanted, value) {
                    let message = mismatch.message(place.is_secret);
                    let found = Diagnostic::new(Code::TypeMismatch, expr.span, message)
                        .label(format!("expected {}", wanted.in_words()));
                    let found = if place.is_secret {
                        found
                    } else {
                        self.add_fix(found, expr.span, wanted, value)
                    };
                    expr.kind = ExprKind::Missing(self.report(found));
                }
            }
            _ if !ty.fits(&Ty::of(wanted)) => {
                let message = format!("expected {}, found {}", wanted.in_words(), ty.word());
                let found = Diagnostic::new(Code::TypeMismatch, expr.span, message);
                expr.kind = ExprKind::Missing(self.report(found));
            }
            _ => {}
        }
    }

    // ---- names ------------------------------------------------------------------------------

    /// A variable that expressions can read: a declared one, or an entry of a `packer` block.
    pub(crate) fn find_variable(&self, name: &str) -> Option<VarId> {
        match self.view().find(VARIABLES, name) {
            Some((id, _)) => Some(*id),
            None => self
                .extras
                .get(&(Owner::Packer, SmolStr::new(name)))
                .copied(),
        }
    }

    /// Reports a variable that the place may not read.
    pub(crate) fn check_fact(
        &mut self,
        id: VarId,
        span: Span,
        place: Expected<'_>,
    ) -> Result<(), Reported> {
        let Some(reader) = place.facts_only else {
            return Ok(());
        };
        let variable = &self.variables[id];
        if !variable.is_fact {
            let found = Diagnostic::new(Code::NotAFact, span, format!("{reader} can read only facts, and `{}` is not a fact", variable.name))
                .label("not a fact")
                .help(format!("use a fact{}; if a value depends on another variable, set it with `if … then … else …`", self.some_facts()));
            return Err(self.report(found));
        }
        Ok(())
    }

    /// Examples of facts, to follow "use a fact".
    fn some_facts(&self) -> String {
        let facts = self.variables.iter().filter(|variable| variable.is_fact);
        let names: Vec<String> = facts.take(3).map(|v| format!("`{}`", v.name)).collect();
        if names.is_empty() {
            String::new()
        } else {
            format!(", such as {}", names.join(", "))
        }
    }

    fn lower_name(&mut self, name: &SmolStr, span: Span, place: Expected<'_>) -> Typed {
        let Some(id) = self.find_variable(name) else {
            return Err(self.report_unknown_name(name, span, place));
        };
        self.check_fact(id, span, place)?;
        let id = self.stands_for(id, span);
        let ty = Ty::of(&self.variables[id].ty);
        Ok((ExprKind::Variable(id), ty))
    }

    // ---- lists and maps ---------------------------------------------------------------------

    fn lower_list(
        &mut self,
        elements: &[ast::Expr],
        span: Span,
        place: Expected<'_>,
    ) -> (Expr, Ty) {
        let wanted = match place.ty.map(|ty| &ty.base) {
            Some(Base::List(element)) => Some(element.as_ref()),
            Some(Base::Any) | None => None,
            Some(_) => {
                let ty = place.ty.map(Type::in_words).unwrap_or_default();
                let reported = self.report(Diagnostic::new(
                    Code::TypeMismatch,
                    span,
                    format!("expected {ty}, found a list"),
                ));
                return (Expr::missing(reported, span), Ty::Any);
            }
        };
        let any = place.ty.filter(|ty| matches!(ty.base, Base::Any));
        let inner = place.inner(wanted.or(any));
        let mut lowered = Vec::with_capacity(elements.len());
        let mut ty = Ty::Any;
        for element in elements {
            let (mut expr, element_ty) = self.lower_typed(element, inner);
            if ty == Ty::Any {
                ty = element_ty;
            } else if place.ty.is_none() && !element_ty.fits(&ty) {
                let reported = self.report(Diagnostic::new(
                    Code::TypeMismatch,
                    element.span,
                    format!(
                        "expected {} like the other elements, found {}",
                        ty.word(),
                        element_ty.word()
                    ),
                ));
                expr = Expr::missing(reported, element.span);
            }
            if let ExprKind::Const(value) = &expr.kind
                && place.encoding.joins_elements()
            {
                let value = Value::list(vec![value.clone()]);
                if let Err(reported) = self.check_encodable(&value, element.span, place.encoding) {
                    expr = Expr::missing(reported, element.span);
                }
            }
            lowered.push(expr);
        }
        let is_constant = |e: &Expr| matches!(e.kind, ExprKind::Const(_));
        let kind = if lowered.iter().all(is_constant) {
            let values = lowered.into_iter().filter_map(|e| match e.kind {
                ExprKind::Const(value) => Some(value),
                _ => None,
            });
            ExprKind::Const(Value::list(values.collect()))
        } else {
            ExprKind::List(lowered)
        };
        (Expr { kind, span }, Ty::List(Box::new(ty)))
    }

    /// Reports what the encoding of the list cannot carry.
    pub(crate) fn check_encodable(
        &mut self,
        value: &Value,
        span: Span,
        encoding: Encoding,
    ) -> Result<(), Reported> {
        let Some((at, reason)) = find_unencodable(value, encoding) else {
            return Ok(());
        };
        let element = match value {
            Value::List(elements) => elements.get(at),
            _ => None,
        };
        let path = element.and_then(|element| match element {
            Value::String(Text::Pieces(pieces)) => match pieces.as_ref() {
                [Piece::Path(path)] => Some(path.clone()),
                _ => None,
            },
            _ => None,
        });
        let found = Diagnostic::new(Code::NotEncodable, span, reason);
        // The string itself may be right: the character can be in a folder above it.
        Err(self.report(match (path, encoding) {
            (Some(path), _) => found
                .label(format!("the absolute path is {path}"))
                .help("rename or move the folder, so that the absolute path has no such character"),
            (None, Encoding::Words) => {
                found.help("write one element for each word: `[\"a\", \"b\"]`")
            }
            (None, _) => found.help("remove it from the list"),
        }))
    }

    fn lower_map(
        &mut self,
        pairs: &[(ast::Ident, ast::Expr)],
        span: Span,
        place: Expected<'_>,
    ) -> (Expr, Ty) {
        let wanted = match place.ty.map(|ty| &ty.base) {
            Some(Base::Map(element)) => Some(element.as_ref()),
            Some(Base::Any) => place.ty,
            None => None,
            Some(_) => {
                let ty = place.ty.map(Type::in_words).unwrap_or_default();
                let reported = self.report(Diagnostic::new(
                    Code::TypeMismatch,
                    span,
                    format!("expected {ty}, found a map"),
                ));
                return (Expr::missing(reported, span), Ty::Any);
            }
        };
        let inner = place.inner(wanted);
        let mut lowered: Vec<(SmolStr, Expr)> = Vec::with_capacity(pairs.len());
        let mut keys = FxHashSet::default();
        for (key, value) in pairs {
            if !keys.insert(&key.text) {
                self.report(Diagnostic::new(
                    Code::DuplicateSetting,
                    key.span,
                    format!("duplicate key `{}` in this map", key.text),
                ));
            }
            if matches!(key.text.as_str(), "__ansible_unsafe" | "__ansible_vault") {
                self.report(
                    Diagnostic::new(
                        Code::TypeMismatch,
                        key.span,
                        format!("Ansible reserves the map key `{}`", key.text),
                    )
                    .help("choose another key; to let Ansible evaluate a string, write `jinja(\"…\")`"),
                );
            }
            let value = self.lower_expr(value, inner);
            lowered.push((key.text.clone(), value));
        }
        let constant: Option<indexmap::IndexMap<SmolStr, Value>> = lowered
            .iter()
            .map(|(key, e)| match &e.kind {
                ExprKind::Const(value) => Some((key.clone(), value.clone())),
                _ => None,
            })
            .collect();
        let kind = match constant {
            Some(map) => ExprKind::Const(Value::Map(map.into())),
            None => ExprKind::Map(lowered),
        };
        (Expr { kind, span }, Ty::Map(Box::new(Ty::Any)))
    }

    // ---- operators --------------------------------------------------------------------------

    fn lower_binary(&mut self, op: BinaryOp, sides: &[ast::Expr; 2], place: Expected<'_>) -> Typed {
        let [left, right] = sides;
        self.hide_beside_secret(sides);
        let build = |a, b, versions| ExprKind::Binary {
            op,
            versions,
            sides: Box::new([a, b]),
        };
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let a = self.lower_condition(left, place.argument());
                let b = self.lower_condition(right, place.argument());
                Ok((build(a.sound()?, b.sound()?, false), Ty::Bool))
            }
            BinaryOp::Add => {
                // Both sides are lists of what the place wants.
                let is_list = place.ty.is_some_and(|ty| matches!(ty.base, Base::List(_)));
                let inner = if is_list { place } else { place.argument() };
                let (a, a_ty) = self.lower_typed(left, inner);
                let (b, b_ty) = self.lower_typed(right, inner);
                let list = Ty::List(Box::new(Ty::Any));
                if let Some((ty, side)) = [(&a_ty, left), (&b_ty, right)]
                    .into_iter()
                    .find(|(ty, _)| !ty.fits(&list))
                {
                    let help = "use `+` only for lists; to join strings, write `\"${a}${b}\"`";
                    self.expect(ty, &list, side.span, help)?;
                }
                let ty = if a_ty == Ty::Any { b_ty } else { a_ty };
                Ok((build(a.sound()?, b.sound()?, false), ty))
            }
            BinaryOp::In | BinaryOp::NotIn => {
                if let ast::ExprKind::List(elements) = &right.kind
                    && let Some(reported) = elements
                        .iter()
                        .find_map(|element| self.report_bare_word(element, left))
                {
                    return Err(reported);
                }
                let (a, a_ty) = self.lower_typed(left, place.argument());
                let (b, b_ty) = self.lower_typed(right, place.argument());
                self.expect(
                    &b_ty,
                    &Ty::List(Box::new(Ty::Any)),
                    right.span,
                    "write a list after `in`: `x in [\"a\", \"b\"]`",
                )?;
                if let Ty::List(element) = &b_ty {
                    self.expect(
                        &a_ty,
                        element,
                        left.span,
                        "compare with elements of the same type: `in` compares the value with each element of the list",
                    )?;
                }
                self.check_choice(&a, &b)?;
                let versions = a_ty == Ty::Version;
                Ok((build(a.sound()?, b.sound()?, versions), Ty::Bool))
            }
            _ => {
                let bare = self.report_bare_word(right, left);
                if let Some(reported) = bare.or_else(|| self.report_bare_word(left, right)) {
                    return Err(reported);
                }
                let (a, a_ty) = self.lower_typed(left, place.argument());
                let (b, b_ty) = self.lower_typed(right, place.argument());
                self.expect(
                    &b_ty,
                    &a_ty,
                    right.span,
                    "write two values of the same type",
                )?;
                let versions = a_ty == Ty::Version || b_ty == Ty::Version;
                let is_ordered = matches!(a_ty, Ty::Int | Ty::Any) || versions;
                if !is_ordered && !matches!(op, BinaryOp::Equal | BinaryOp::NotEqual) {
                    return Err(self.report(
                        Diagnostic::new(
                            Code::TypeMismatch,
                            left.span.to(right.span),
                            "only integers and versions have an order",
                        )
                        .help("compare with `==`, or declare the variable as `version`"),
                    ));
                }
                self.check_choice(&a, &b)?;
                self.check_choice(&b, &a)?;
                Ok((build(a.sound()?, b.sound()?, versions), Ty::Bool))
            }
        }
    }

    /// A comparison of a variable of few values with one that it never has.
    fn check_choice(&mut self, variable: &Expr, value: &Expr) -> Result<(), Reported> {
        let (ExprKind::Variable(id), ExprKind::Const(value_const)) = (&variable.kind, &value.kind)
        else {
            return Ok(());
        };
        let variable = &self.variables[*id];
        let Base::OneOf(choices) = &variable.ty.base else {
            return Ok(());
        };
        let texts: &[Value] = match value_const {
            Value::List(elements) => elements,
            single => std::slice::from_ref(single),
        };
        for text in texts {
            let Value::String(text) = text else { continue };
            let Some(known) = text.known().filter(|t| !t.is_empty()) else {
                continue;
            };
            if !choices.iter().any(|c| c.as_str() == known) {
                let mut found = Diagnostic::new(
                    Code::TypeMismatch,
                    value.span,
                    format!("`{}` is never \"{known}\"", variable.name),
                )
                .help(format!("compare it with {}", variable.ty.in_words()));
                if let Some(near) = nearest(&known, choices.iter().map(SmolStr::as_str)) {
                    found = found.label(format!("did you mean \"{near}\"?"));
                    if matches!(value_const, Value::String(_)) {
                        found = found.fix(
                            format!("write \"{near}\""),
                            value.span,
                            format!("\"{near}\""),
                        );
                    }
                }
                return Err(self.report(found));
            }
        }
        Ok(())
    }
}
