//! Constants of the wrong type, with the repair where one can be guessed.

use super::expr::Place;
use super::hir::ExprKind;
use super::lower::Lowering;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::schema::{Base, Type, Value, check_value, decode_words};
use crate::source::Span;
use crate::syntax::print_text;
use smol_str::SmolStr;

impl Lowering<'_> {
    /// What begins like a number and is none; it is offered quotes where a text fits.
    pub(super) fn report_no_int(&mut self, text: &str, span: Span, place: Place<'_>) -> ExprKind {
        let shown = if place.is_secret { "this".to_owned() } else { format!("`{text}`") };
        let found = Diagnostic::new(Code::Syntax, span, format!("{shown} is not a whole number"));
        let value = Value::text(text);
        let fits =
            |ty: &Type| matches!(ty.base, Base::Any) || ty.is_text() && check_value(ty, &value).is_ok();
        let in_quotes = found.clone().label("versions and other texts stand in quotes");
        self.report(match place.ty {
            Some(Type { base: Base::Int, .. }) => found,
            _ if place.is_secret => in_quotes,
            Some(ty) if !fits(ty) && !ty.is_text() => self.repair(found, span, ty, &value),
            Some(ty) if !fits(ty) => self.repair(in_quotes, span, ty, &value),
            _ => in_quotes.fix("put it in quotes", span, print_text(text)),
        });
        ExprKind::Missing
    }

    /// Adds the repair of a wrong constant, where one can be guessed.
    pub(super) fn repair(&self, found: Diagnostic, span: Span, wanted: &Type, value: &Value) -> Diagnostic {
        let text = match value {
            Value::Text(text) => text.known().map(|t| t.into_owned()),
            _ => None,
        };
        match (&wanted.base, value, text.as_deref()) {
            (Base::Bool, _, Some("true" | "True" | "yes" | "on" | "1")) => {
                found.fix("write `true`", span, "true")
            }
            (Base::Bool, _, Some("false" | "False" | "no" | "off" | "0")) => {
                found.fix("write `false`", span, "false")
            }
            (Base::Int, _, Some(text)) if text.parse().is_ok_and(|n: i64| n.to_string() == text) => {
                found.fix("remove the quotes", span, text)
            }
            (Base::List(_), _, Some(text)) => {
                let words: Vec<String> = decode_words(text).into_iter().map(print_text).collect();
                let list = format!("[{}]", words.join(", "));
                found.help("lists are written as lists").fix(format!("write `{list}`"), span, list)
            }
            (Base::List(_), Value::Bool(_) | Value::Int(_), None) => found,
            (Base::Semver, _, Some(text))
                if check_value(wanted, &Value::text(format!("v{text}"))).is_ok() =>
            {
                found.fix("add the leading v", span, print_text(&format!("v{text}")))
            }
            (Base::Version, _, Some(text)) if text.starts_with('v') => {
                found.fix("remove the leading v", span, print_text(text.strip_prefix('v').unwrap_or(text)))
            }
            (Base::OneOf(choices), _, Some(text)) => {
                match nearest(text, choices.iter().map(SmolStr::as_str)) {
                    Some(near) => found.fix(format!("write \"{near}\""), span, print_text(near)),
                    None => found,
                }
            }
            (_, Value::Bool(_) | Value::Int(_), _)
                if wanted.is_text()
                    && check_value(wanted, &Value::text(self.sources.slice(span))).is_ok() =>
            {
                found.fix("put it in quotes", span, print_text(self.sources.slice(span)))
            }
            (Base::Refined(refinement), _, _) => {
                found.help(format!("a {} matches {}", refinement.name, refinement.pattern))
            }
            _ => found,
        }
    }
}

/// A type with its article.
pub(super) fn article(ty: &Type) -> String {
    match &ty.base {
        Base::OneOf(_) => format!("one of {}", Type::of(ty.base.clone())),
        Base::Int => "an int".to_owned(),
        _ => format!("a {}", Type::of(ty.base.clone())),
    }
}
