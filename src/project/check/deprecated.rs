//! Deprecated names in what the project writes.

use crate::diagnostic::{Code, Diagnostic};
use crate::packer::named;
use crate::project::check::Lowering;
use crate::project::check::fixes::Spelling;
use crate::project::hir::*;
use crate::schema::Value;
use crate::source::Span;

impl Lowering<'_, '_> {
    /// Reports a variable that was removed. Returns whether it was.
    pub(crate) fn report_removed(&mut self, id: VarId, name: &crate::syntax::ast::Ident) -> bool {
        let Some(removed) = self.variables[id].removed().cloned() else {
            return false;
        };
        let message = format!("the variable `{}` was removed", name.text);
        self.report(
            Diagnostic::new(Code::RemovedVariable, name.span, message).help(removed.to_string()),
        );
        true
    }

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
        self.warn(if sets(&real) {
            found.help(format!(
                "combine both values in `{real}`, which is also set here"
            ))
        } else {
            found.fix(format!("replace it with `{real}`"), span, text)
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
        let names_old = |setting: &Setting| match &setting.value.kind {
            ExprKind::Const(Value::String(text)) => text.known().is_some_and(|text| names(&text)),
            _ => false,
        };
        settings.chain(defaults).any(names_old)
            || self
                .providers
                .iter()
                .flat_map(|p| p.readers.extra_vars())
                .any(|text| names(text))
    }

    /// The variable that a name in an expression refers to: the value of a deprecated name is part
    /// of the real one's value.
    pub(crate) fn stands_for(&mut self, id: VarId, span: Span) -> VarId {
        self.check_deprecated(id, span, Spelling::Spec, |_| false);
        self.variables[id].alias_of().unwrap_or(id)
    }
}
