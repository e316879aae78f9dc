//! Secrets in what the project writes: warnings, and what no diagnostic may quote.

use crate::diagnostic::{Code, Diagnostic, Reported};
use crate::packer::{Braced, build_secret, parse_braces, users};
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
                Some(function @ (Function::Env | Function::File)) => {
                    let is_name = |text: &str| function == Function::File || is_env_name(text);
                    for (at, arg) in args.iter().enumerate() {
                        match &arg.kind {
                            ast::ExprKind::Str(text) if at == 0 && is_name(text) => {}
                            _ => self.hide_literals(arg),
                        }
                    }
                }
                Some(_) => args.iter().for_each(|arg| self.hide_literals(arg)),
                None => self.sources.hide(value.span),
            },
            ast::ExprKind::List(parts) => parts.iter().for_each(|part| self.hide_literals(part)),
            ast::ExprKind::If(parts) => {
                let [condition, values @ ..] = parts.as_ref();
                if !self.names_known(condition) {
                    self.sources.hide(condition.span);
                }
                values.iter().for_each(|part| self.hide_literals(part));
            }
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

    /// Refuses a Packer expression that makes something else of a secret: nothing would know that the result is one.
    pub(crate) fn check_packer_secrets(
        &mut self,
        text: &str,
        ids: &[VarId],
        span: Span,
        is_secret: bool,
    ) -> Result<(), Reported> {
        if !self.sources.is_users(span.file) {
            return Ok(());
        }
        let secret = ids.iter().find(|id| self.variables[**id].is_secret);
        let found = match (secret, build_secret(text)) {
            (Some(id), _) => {
                let name = self.variables[*id].name.clone();
                let message = format!("a Packer expression computes with the secret `{name}`");
                Diagnostic::new(Code::OpaqueValue, span, message)
                    .label("nothing would keep the result secret")
                    .help(format!(
                        "refer to the secret alone: `${{{name}}}` in a spec, `{{{{user `{name}`}}}}` in JSON"
                    ))
            }
            (None, Some(_)) if is_secret => return Ok(()),
            (None, Some(field)) => {
                let message = format!("`{field}` of the machine is a secret of the build");
                Diagnostic::new(Code::OpaqueValue, span, message)
                    .label("nothing would keep this string secret")
                    .help("remove the expression, or set a secret variable to it")
            }
            (None, None) => return Ok(()),
        };
        Err(self.report(found))
    }

    /// Refuses functions of secrets in the text of a project's template.
    pub(crate) fn check_template_secrets(&mut self, text: &str, span: Span) {
        // In JSON, the other quotes of a Packer expression are escaped.
        let text = text.replace("\\\"", "\"");
        for (_, piece) in parse_braces(&text) {
            let (whole, names) = match piece {
                Braced::Other(whole, names) => (whole, names),
                Braced::Bad(whole, _) => (whole, users(whole)),
                _ => continue,
            };
            let ids: Vec<VarId> = names
                .iter()
                .filter_map(|name| self.find_variable(name))
                .collect();
            // A template may well use what only the build knows.
            let _ = self.check_packer_secrets(whole, &ids, span, true);
        }
    }

    /// Refuses a secret that would be an argument of Packer. Returns whether it is one.
    pub(crate) fn check_secret_argument(&mut self, id: VarId, value: &Expr) -> bool {
        let variable = &self.variables[id];
        let is_literal = match &value.kind {
            ExprKind::Const(value) => value.has_literals(),
            ExprKind::Missing(_) => false,
            _ => true,
        };
        if !variable.is_secret || !is_literal || !self.sources.is_users(value.span.file) {
            return false;
        }
        let name = variable.name.clone();
        self.report(
            Diagnostic::new(
                Code::SecretInText,
                value.span,
                format!("`vars` would expose the secret `{name}` as an argument of Packer"),
            )
            .label("every user of the machine can read the arguments of a process")
            .help(format!(
                "read the secret from the environment: `{name} = env(\"{}\")`",
                name.to_uppercase()
            )),
        );
        true
    }

    /// True if an expression names a variable anywhere.
    fn names_known(&self, expr: &ast::Expr) -> bool {
        match &expr.kind {
            ast::ExprKind::Name(name) => self.find_variable(name).is_some(),
            ast::ExprKind::Not(inner) => self.names_known(inner),
            ast::ExprKind::Call { args, .. } => args.iter().any(|arg| self.names_known(arg)),
            ast::ExprKind::Binary(_, sides) => sides.iter().any(|side| self.names_known(side)),
            ast::ExprKind::List(parts) => parts.iter().any(|part| self.names_known(part)),
            _ => false,
        }
    }

    /// Hides what stands beside a secret in an operator or a call: somebody compares the secret with it.
    pub(crate) fn hide_beside_secret(&mut self, operands: &[ast::Expr]) {
        let is_secret = |name: &str| {
            let id = self.find_variable(name);
            id.is_some_and(|id| self.variables[id].is_secret)
        };
        let has_secret = |operand: &ast::Expr| match &operand.kind {
            ast::ExprKind::Name(name) => is_secret(name),
            ast::ExprKind::List(parts) | ast::ExprKind::Call { args: parts, .. } => parts
                .iter()
                .any(|part| matches!(&part.kind, ast::ExprKind::Name(name) if is_secret(name))),
            ast::ExprKind::Interpolated(parts) => parts.iter().any(|part| {
                matches!(part, ast::Part::Interpolation(inner)
                    if matches!(&inner.kind, ast::ExprKind::Name(name) if is_secret(name)))
            }),
            _ => false,
        };
        if operands.iter().any(has_secret) {
            operands
                .iter()
                .for_each(|operand| self.hide_literals(operand));
        }
    }

    /// Hides extra-vars arguments in YAML or JSON that set a secret. In `name=value` only the value is hidden
    /// (`load/redact.rs`).
    pub(crate) fn hide_arguments(&mut self, text: &str, span: Span) {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut rest = text;
        while let Some(start) = rest.find(is_word) {
            let (_, from) = rest.split_at_checked(start).unwrap_or_default();
            let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
            let (word, behind) = from.split_at_checked(end).unwrap_or_default();
            let is_set = behind
                .trim_start_matches(['"', '\'', '\\', ' ', '\t'])
                .starts_with(':');
            if is_set
                && let Some(id) = self.find_variable(word)
                && self.variables[id].is_secret
            {
                self.sources.hide(span);
                return;
            }
            rest = behind;
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

/// True for the name of an environment variable.
pub(crate) fn is_env_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A secret that the project wrote out.
pub(crate) fn secret_literal(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code::SecretLiteral,
        span,
        format!("the secret `{name}` is written in plain text"),
    )
}
