//! Secrets in what the project writes: warnings, and what no diagnostic may quote.

use crate::diagnostic::{Code, Diagnostic};
use crate::packer::{Braced, parse_braces};
use crate::project::check::Lowering;
use crate::project::check::fixes::Spelling;
use crate::project::hir::*;
use crate::source::Span;
use crate::syntax::ast;

impl Lowering<'_, '_> {
    /// Warns of a secret that is written in the spec. One that comes from elsewhere is found when the
    /// image is evaluated.
    pub(crate) fn check_secret(&mut self, id: VarId, value: &Expr, spelling: Spelling) {
        let variable = &self.variables[id];
        let ExprKind::Const(constant) = &value.kind else {
            return;
        };
        if variable.is_secret
            && self.sources.is_users(value.span.file)
            && !constant.has_placeholders()
            && !constant.is_empty()
        {
            let found = secret_literal(&variable.name, value.span);
            let name = variable.name.to_uppercase();
            let text = match spelling {
                Spelling::Spec => format!("env(\"{name}\")"),
                Spelling::Json => format!("\"{{{{env `{name}`}}}}\""),
            };
            self.warn(
                found
                    .label("anyone who can read this file can read the secret")
                    .fix(
                        format!("read it from the environment with {text}"),
                        value.span,
                        text,
                    ),
            );
        }
    }

    /// What is set under a name that is nearly a secret's is probably one.
    pub(crate) fn hide_misspelt(&mut self, set: &ast::Set) {
        if self.is_nearly_secret(&set.name.text) {
            self.hide_literals(&set.value);
        }
    }

    /// True for a name that is a secret's but for a spelling mistake.
    pub(crate) fn is_nearly_secret(&self, name: &str) -> bool {
        if self.is_tired() {
            // It may be one.
            return true;
        }
        let near = self
            .guess_variable(name, None)
            .and_then(|near| self.find_variable(&near.name));
        near.is_some_and(|id| self.variables[id].is_secret)
    }

    /// Keeps what is written out in a secret's value out of all excerpts.
    pub(crate) fn hide_literals(&mut self, value: &ast::Expr) {
        if !self.sources.is_users(value.span.file) {
            // The library's own are public.
            return;
        }
        match &value.kind {
            ast::ExprKind::Name(name) => {
                // What names no variable is the secret itself, without its quotes.
                if self.find_variable(name).is_none() {
                    self.sources.hide(value.span);
                }
            }
            ast::ExprKind::Str(text) => self.hide_text(text, value.span),
            ast::ExprKind::Call { name, args } => match Function::parse(&name.text) {
                Some(function) if function.is_pointer() => {
                    let others = args
                        .iter()
                        .filter(|arg| !matches!(arg.kind, ast::ExprKind::Str(_)));
                    others.for_each(|arg| self.hide_literals(arg));
                }
                Some(_) => args.iter().for_each(|arg| self.hide_literals(arg)),
                None => self.sources.hide(value.span),
            },
            ast::ExprKind::List(parts) => parts.iter().for_each(|part| self.hide_literals(part)),
            ast::ExprKind::If(parts) => parts
                .iter()
                .skip(1)
                .for_each(|part| self.hide_literals(part)),
            ast::ExprKind::Binary(_, sides) => {
                sides.iter().for_each(|side| self.hide_literals(side))
            }
            ast::ExprKind::Interpolated(parts)
                if parts
                    .iter()
                    .all(|p| matches!(p, ast::Part::Interpolation(_))) =>
            {
                for part in parts {
                    if let ast::Part::Interpolation(interpolation) = part {
                        self.hide_literals(interpolation);
                    }
                }
            }
            _ => self.sources.hide(value.span),
        }
    }

    /// Keeps a secret's text out of all excerpts, unless it is only a template.
    pub(crate) fn hide_text(&mut self, text: &str, span: Span) {
        let is_text = |piece: &Braced<'_>| matches!(piece, Braced::Text(_) | Braced::Bad(..));
        if parse_braces(text).iter().any(|(_, piece)| is_text(piece)) {
            self.sources.hide(span);
        }
    }
}

/// A secret that the project wrote out.
pub(crate) fn secret_literal(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code::SecretLiteral,
        span,
        format!("the secret `{name}` is written in plain text"),
    )
}
