//! Blocks that hold nothing but `name = value`, and the forms that values have there.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::project::check::Lowering;
use crate::source::Span;
use crate::syntax::ast;
use smol_str::SmolStr;

/// The attributes of a variable.
pub const OF_VARIABLES: [&str; 9] = [
    "encoding", "to", "applies", "fact", "secret", "typed", "alias_of", "removed", "adopt",
];
/// The attributes of a provider; `defaults` is a block.
pub const OF_PROVIDERS: [&str; 10] = [
    "template",
    "roles",
    "playbook",
    "tools",
    "artifact",
    "foreground",
    "extra_vars",
    "reads",
    "upstream",
    "defaults",
];
/// The attributes of a target; `run` is a block.
pub const OF_TARGETS: [&str; 8] = [
    "provider", "only", "except", "vars", "above", "make", "refused", "run",
];
/// The attributes of one run of a target.
pub const OF_RUNS: [&str; 3] = ["only", "except", "vars"];
/// The attributes of a rule.
pub const OF_RULES: [&str; 4] = ["deny", "warn", "message", "help"];

/// The attributes of a probe.
pub const OF_PROBES: [&str; 8] = [
    "applies",
    "run",
    "script",
    "arguments",
    "files",
    "tools",
    "output",
    "boots",
];

impl Lowering<'_, '_> {
    /// The attributes that a block states, each once; `blocks` are what it may hold besides them.
    pub(crate) fn attributes<'s>(
        &mut self,
        stmts: &'s [ast::Stmt],
        whose: &str,
        blocks: &[&str],
    ) -> Vec<&'s ast::Set> {
        let mut out: Vec<&ast::Set> = Vec::with_capacity(stmts.len());
        for stmt in stmts {
            if matches!(stmt, ast::Stmt::Block { name, .. } if blocks.contains(&name.text.as_str()))
            {
                continue;
            }
            let Some(set) = self.attribute(stmt, whose) else {
                continue;
            };
            match out.iter().find(|first| first.name.text == set.name.text) {
                Some(first) => self.report_twice(&set.name, first.name.span),
                None => out.push(set),
            }
        }
        out
    }

    pub(crate) fn report_twice(&mut self, name: &ast::Ident, first: Span) {
        let message = format!("`{}` is set twice", name.text);
        self.report(
            Diagnostic::new(Code::DuplicateSetting, name.span, message)
                .label("set again here")
                .related(first, "first set here")
                .help("remove one of them"),
        );
    }

    /// A statement of a block that holds nothing but `name = value`.
    fn attribute<'s>(&mut self, stmt: &'s ast::Stmt, whose: &str) -> Option<&'s ast::Set> {
        let span = match stmt {
            ast::Stmt::Set(set) if set.op == ast::SetOp::Replace && !set.is_final => {
                return Some(set);
            }
            ast::Stmt::Set(set) => set.span,
            ast::Stmt::Unset { span, .. }
            | ast::Stmt::When { span, .. }
            | ast::Stmt::Assert { span, .. }
            | ast::Stmt::Expect { span, .. }
            | ast::Stmt::Snapshot { span, .. } => *span,
            ast::Stmt::Axis(axis) => axis.span,
            ast::Stmt::Block { name, .. } => name.span,
        };
        self.report(Diagnostic::new(
            Code::WrongPlace,
            span,
            format!("expected `name = value` in {whose}"),
        ));
        None
    }

    pub(crate) fn report_unknown_attribute(
        &mut self,
        name: &ast::Ident,
        what: &str,
        known: &[&str],
    ) {
        let message = match what.strip_prefix("attribute of ") {
            Some(whose) => format!("{whose} has no attribute `{}`", name.text),
            None => format!("unknown {what} `{}`", name.text),
        };
        let found = Diagnostic::new(Code::UnknownAttribute, name.span, message);
        self.report(match nearest(&name.text, known.iter().copied()) {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("replace it with `{near}`"),
                name.span,
                near,
            ),
            None => found.help(format!("choose from {}", known.join(", "))),
        });
    }

    pub(crate) fn flag(&mut self, set: &ast::Set) -> bool {
        match set.value.kind {
            ast::ExprKind::Bool(flag) => flag,
            ast::ExprKind::Missing => false,
            _ => {
                self.report(Diagnostic::new(
                    Code::TypeMismatch,
                    set.value.span,
                    format!("`{}` must be `true` or `false`", set.name.text),
                ));
                false
            }
        }
    }

    pub(crate) fn word(&mut self, set: &ast::Set) -> Option<ast::Ident> {
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
                        format!("`{}` expects a name", set.name.text),
                    )
                    .help("write the name without quotes"),
                );
                None
            }
        }
    }

    pub(crate) fn words(&mut self, value: &ast::Expr) -> Vec<ast::Ident> {
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
                _ => {
                    self.report(
                        Diagnostic::new(Code::TypeMismatch, element.span, "expected a name")
                            .help("write the name without quotes"),
                    );
                }
            }
        }
        words
    }

    pub(crate) fn constant_text(&mut self, set: &ast::Set) -> Option<SmolStr> {
        match &set.value.kind {
            ast::ExprKind::Str(text) => Some(text.clone()),
            ast::ExprKind::Missing => None,
            _ => {
                self.report(Diagnostic::new(
                    Code::TypeMismatch,
                    set.value.span,
                    format!("`{}` expects a string without interpolation", set.name.text),
                ));
                None
            }
        }
    }

    /// A map of texts.
    pub(crate) fn constant_pairs(&mut self, set: &ast::Set) -> Vec<(SmolStr, SmolStr)> {
        let pairs = match &set.value.kind {
            ast::ExprKind::Map(pairs) => pairs.as_slice(),
            _ => &[],
        };
        let text = |(key, value): &(ast::Ident, ast::Expr)| match &value.kind {
            ast::ExprKind::Str(text) => Some((key.text.clone(), text.clone())),
            _ => None,
        };
        let texts: Option<Vec<_>> = pairs.iter().map(text).collect();
        texts.filter(|texts| !texts.is_empty()).unwrap_or_else(|| {
            let message = format!("`{}` must be a map of strings", set.name.text);
            self.report(
                Diagnostic::new(Code::TypeMismatch, set.value.span, message)
                    .help("write `{ 'pattern' = \"value\" }`"),
            );
            Vec::new()
        })
    }

    pub(crate) fn constant_texts(&mut self, value: &ast::Expr) -> Vec<SmolStr> {
        let ast::ExprKind::List(elements) = &value.kind else {
            self.report(
                Diagnostic::new(Code::TypeMismatch, value.span, "expected a list of strings")
                    .help("write `[\"a\", \"b\"]`"),
            );
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(elements.len());
        for element in elements {
            match &element.kind {
                ast::ExprKind::Str(text) => texts.push(text.clone()),
                _ => {
                    self.report(Diagnostic::new(
                        Code::TypeMismatch,
                        element.span,
                        "expected a string in quotes",
                    ));
                }
            }
        }
        texts
    }
}
