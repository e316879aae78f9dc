//! Warnings for what the project, not the library, writes: deprecated names, and secrets in the text.

use crate::diagnostic::{Code, Diagnostic};
use crate::packer::named;
use crate::packer::{Braced, parse_braces};
use crate::project::check::Lowering;
use crate::project::hir::*;
use crate::schema::Value;
use crate::source::Span;
use crate::syntax::ast;

/// The form of a text, and so of what an editor may put into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    Spec,
    /// Strings in Packer's spelling: JSON var files, and arguments.
    Json,
}

impl Lowering<'_, '_> {
    /// Warns of a deprecated name. Where the same text sets the real one too, they have to be joined
    /// by hand.
    pub(crate) fn check_deprecated(
        &mut self,
        id: VarId,
        span: Span,
        spelling: Spelling,
        sets: impl Fn(&str) -> bool,
    ) {
        let variable = &self.variables[id];
        let Some(real) = variable
            .alias_of()
            .filter(|_| self.sources.is_users(span.file))
        else {
            return;
        };
        if self.is_the_only_name(&variable.name, &self.variables[real].name) {
            return;
        }
        let real = self.variables[real].name.clone();
        let message = format!("`{}` is a deprecated name for `{real}`", variable.name);
        let found = Diagnostic::new(Code::DeprecatedName, span, message);
        let text = match spelling {
            Spelling::Spec => real.to_string(),
            Spelling::Json => format!("\"{real}\""),
        };
        self.warn(match sets(&real) {
            true => found.help(format!(
                "combine both values in `{real}`, which is also set here"
            )),
            false => found.fix(format!("replace it with `{real}`"), span, text),
        });
    }

    /// True where a template of the library hands the old name to Ansible and not the new one: on its targets the old
    /// one is right.
    fn is_the_only_name(&self, old: &str, new: &str) -> bool {
        let names = |text: &str| {
            let named = named(text);
            named.iter().any(|name| name == old) && !named.iter().any(|name| name == new)
        };
        let settings = self.sections.iter().flat_map(|section| &section.settings);
        let defaults = self
            .providers
            .iter()
            .flat_map(|provider| &provider.defaults);
        let is_one = |setting: &Setting| match &setting.value.kind {
            ExprKind::Const(Value::Text(text)) => text.known().is_some_and(|text| names(&text)),
            _ => false,
        };
        settings.chain(defaults).any(is_one)
            || self
                .providers
                .iter()
                .flat_map(|p| p.readers.extra_vars())
                .any(|text| names(text))
    }

    /// The variable that a name in an expression stands for: what a deprecated name was set to is part
    /// of the real one's value.
    pub(crate) fn stands_for(&mut self, id: VarId, span: Span) -> VarId {
        self.check_deprecated(id, span, Spelling::Spec, |_| false);
        self.variables[id].alias_of().unwrap_or(id)
    }

    /// Warns of a secret that stands in the text. One that comes from elsewhere is found when the
    /// image is evaluated.
    pub(crate) fn check_secret(&mut self, id: VarId, value: &Expr, spelling: Spelling) {
        let variable = &self.variables[id];
        let ExprKind::Const(constant) = &value.kind else {
            return;
        };
        if variable.is_secret
            && self.sources.is_users(value.span.file)
            && !constant.has_holes()
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
            ast::ExprKind::Template(parts)
                if parts.iter().all(|p| matches!(p, ast::Part::Hole(_))) =>
            {
                for part in parts {
                    if let ast::Part::Hole(hole) = part {
                        self.hide_literals(hole);
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
