//! Texts that hold a variable's name as another language would fill it in: `"$x"`, `"{x}"`, `'${x}'`.

use crate::diagnostic::{Code, Diagnostic, Fix};
use crate::project::check::Lowering;
use crate::project::check::expr::Expected;
use crate::project::check::fixes::environment;
use crate::project::hir::VARIABLES;
use crate::schema::Base;
use crate::source::{Span, part};

impl Lowering<'_, '_> {
    /// Warns of a name in a text that was meant to be filled in. What goes to a shell, to Ansible or into a file has
    /// dollars and braces of its own: only the texts of declared variables are looked at, without heredocs.
    pub(crate) fn check_unfilled(&mut self, text: &str, span: Span, place: Expected<'_>) {
        let Some(ty) = place
            .ty
            .filter(|ty| ty.is_text() && !matches!(ty.base, Base::Args | Base::Toml))
        else {
            return;
        };
        if !text.contains(['$', '{']) || place.is_secret || !self.sources.is_users(span.file) {
            return;
        }
        let written = self.sources.slice(span);
        let (is_raw, is_heredoc) = (written.starts_with('\''), written.starts_with("<<"));
        if is_heredoc || text.contains("{{") {
            return;
        }
        let whole = environment(text).filter(|_| is_raw || !text.contains('{'));
        if let Some(call) = whole.filter(|_| matches!(ty.base, Base::String)) {
            let message = format!("`{text}` is not an interpolation: the string keeps it as it is");
            self.warn(
                Diagnostic::new(Code::UnfilledName, span, message)
                    .label("an environment variable is read with `env`")
                    .fix(format!("write `{call}`"), span, call),
            );
            return;
        }
        let Some((at, length, name)) = self.find_name(text, is_raw) else {
            return;
        };
        let shown = part(text, at..at + length);
        let interpolation = format!("${{{name}}}");
        let found = Diagnostic::new(
            Code::UnfilledName,
            span,
            format!("`{shown}` is not an interpolation: the string keeps it as it is"),
        )
        .label(format!(
            "`\"{interpolation}\"` inserts the variable's value"
        ));
        let inner = part(written, 1..written.len().saturating_sub(1));
        let is_plain = inner == text && !text.contains(['"', '\\']);
        let id = self.find_variable(&name);
        self.warn(if is_plain && id != place.setting {
            let new = format!("\"{}\"", text.replace(shown, &interpolation));
            let mut found = found;
            found.fixes.push(Fix {
                title: format!("write `{interpolation}`"),
                edits: vec![(span, new)],
            });
            found
        } else {
            found
        });
    }

    /// The first variable that a text names in the manner of another language: where, how long, and its name.
    fn find_name(&self, text: &str, is_raw: bool) -> Option<(usize, usize, String)> {
        for (at, sign) in text.match_indices(['$', '{']) {
            let rest = part(text, at + 1..);
            let (open, close) = match (sign, rest.strip_prefix('{')) {
                ("$", Some(_)) if is_raw => (2, 1),
                ("$", Some(_)) => continue,
                ("$", None) => (1, 0),
                _ if part(text, ..at).ends_with('$') => continue,
                _ => (1, 1),
            };
            let rest = part(text, at + open..);
            let end =
                rest.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
            let name = part(rest, ..end.unwrap_or(rest.len()));
            if close == 1 && !part(rest, name.len()..).starts_with('}') {
                continue;
            }
            let Some((id, _)) = self.view().find(VARIABLES, name) else {
                continue;
            };
            let ty = &self.variables[*id].ty;
            if ty.is_text() || matches!(ty.base, Base::Int | Base::Bool) {
                return Some((at, open + name.len() + close, name.to_owned()));
            }
        }
        None
    }
}
