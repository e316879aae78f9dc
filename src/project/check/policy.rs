//! Tests and waivers.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::project::check::Lowering;
use crate::project::check::expr::Expected;
use crate::project::check::sections::{Body, Within};
use crate::project::hir::*;
use crate::source::Span;
use crate::syntax::ast;
use smol_str::SmolStr;

impl Lowering<'_, '_> {
    pub(crate) fn lower_test(&mut self, test: &ast::Test) {
        let images = self.lower_images(&test.patterns);
        let mut own = Group::default();
        let mut groups = Vec::new();
        for stmt in &test.body {
            match stmt {
                ast::Stmt::Block { name, body, .. } if name.text == "with" => {
                    groups.push(self.lower_with(name, body));
                }
                _ => self.lower_step(stmt, &mut own),
            }
        }
        if !own.steps.is_empty() || groups.is_empty() {
            groups.insert(0, own);
        }
        if test.body.is_empty() {
            let message = format!("the test `{}` checks nothing", test.name.text);
            self.report(
                Diagnostic::new(Code::Required, test.name.span, message)
                    .help("write `assert CONDITION` in its braces"),
            );
        }
        self.tests.push(Test {
            name: test.name.text.clone(),
            span: test.name.span,
            images,
            groups,
            doc: test.doc.clone(),
        });
    }

    fn lower_images(&mut self, patterns: &[ast::Ident]) -> Images {
        let mut images = Images::default();
        for pattern in patterns {
            if !images.add(pattern.text.clone(), pattern.span) {
                let message = format!("`{}` is not the name of an image", pattern.text);
                self.report(
                    Diagnostic::new(Code::UnknownName, pattern.span, message).help(
                        "write a name, or a glob such as `photon-*`: `*` is any text, and `?` any character",
                    ),
                );
            }
        }
        images
    }

    /// Lowers the settings of a `with`, and what it checks. An error in the settings that it expects is not reported.
    fn lower_with(&mut self, word: &ast::Ident, body: &[ast::Stmt]) -> Group {
        let mut group = Group::default();
        let is_step = |stmt: &&ast::Stmt| {
            matches!(
                stmt,
                ast::Stmt::Assert { .. } | ast::Stmt::Expect { .. } | ast::Stmt::Snapshot { .. }
            )
        };
        let (steps, settings): (Vec<&ast::Stmt>, Vec<&ast::Stmt>) = body.iter().partition(is_step);
        for step in &steps {
            self.lower_step(step, &mut group);
        }
        if steps.is_empty() {
            let found = Diagnostic::new(Code::Required, word.span, "this `with` checks nothing");
            self.report(found.help("write `assert CONDITION` or `expect CODE` in its braces"));
        }
        let settings: Vec<ast::Stmt> = settings.into_iter().cloned().collect();
        let before = std::mem::take(&mut self.diagnostics);
        let mut lowered = Body::default();
        self.lower_statements(&settings, Within::BODY, &mut lowered);
        if let Some(target) = &lowered.target {
            let help = "put it into an image: a test cannot change how it is built";
            self.report_wrong_place(target.span, "`target`", help);
        }
        let found = std::mem::replace(&mut self.diagnostics, before);
        let mut expected = Vec::new();
        for diagnostic in found {
            let expects = |step: &&Step| match step {
                Step::Expect { code, at, .. } => {
                    let place = diagnostic.primary.span;
                    diagnostic.names().any(|name| name == code)
                        && at.as_ref().is_none_or(|at| sets(&settings, at, place))
                }
                _ => false,
            };
            match group.steps.iter().find(expects) {
                Some(step) => expected.push((step.span(), diagnostic)),
                None => self.diagnostics.push(diagnostic),
            }
        }
        let name = ast::Ident {
            text: SmolStr::new_static("with"),
            span: word.span,
        };
        let layer = self.new_section(LayerKind::Argument, &name, None);
        let section = &mut self.sections[layer];
        section.settings = lowered.settings;
        section.conditions = lowered.conditions;
        group.with = Some(With {
            span: word.span,
            layer,
            found: expected,
        });
        group
    }

    fn lower_step(&mut self, stmt: &ast::Stmt, group: &mut Group) {
        group.steps.push(match stmt {
            ast::Stmt::Assert {
                condition,
                reason,
                span,
            } => Step::Assert {
                condition: self.lower_condition(condition, Expected::PLAIN),
                reason: reason.as_ref().map(|reason| self.lower_message(reason)),
                span: *span,
            },
            ast::Stmt::Expect { code, at, span } => {
                self.check_code(code);
                Step::Expect {
                    code: code.text.clone(),
                    at: at.as_ref().map(|at| at.text.clone()),
                    span: *span,
                }
            }
            ast::Stmt::Snapshot { name, span } => Step::Snapshot {
                name: name.text.clone(),
                span: *span,
            },
            ast::Stmt::Set(ast::Set { span, .. })
            | ast::Stmt::Unset { span, .. }
            | ast::Stmt::When { span, .. } => {
                let help = "put it into `with { … }`, with what must be true then";
                return self.report_wrong_place(*span, "a setting", help);
            }
            ast::Stmt::Axis(axis) => {
                let help = "put it into a matrix; write a `with { … }` for each value";
                return self.report_wrong_place(axis.span, "`axis`", help);
            }
            ast::Stmt::Block { name, .. } => {
                let message = format!("a test has no block `{}`", name.text);
                let found = Diagnostic::new(Code::UnknownAttribute, name.span, message);
                self.report(found.help("write `with { … }` around settings"));
                return;
            }
        });
    }

    /// Checks that a code, or a rule of that name, exists.
    fn check_code(&mut self, name: &ast::Ident) {
        let rules = self.rules.iter().map(|rule| rule.name.as_str());
        let codes = Code::ALL.iter().map(|code| code.as_str());
        let known: Vec<&str> = codes.chain(rules).collect();
        if known.iter().any(|known| *known == name.text) {
            return;
        }
        let message = format!("unknown code or rule `{}`", name.text);
        let found = Diagnostic::new(Code::UnknownName, name.span, message);
        let found = match nearest(&name.text, known) {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("replace it with `{near}`"),
                name.span,
                near,
            ),
            None => found.help(
                "write the code of a diagnostic, such as `rule-violated`, or the name of a rule",
            ),
        };
        self.report(found);
    }

    pub(crate) fn lower_waiver(&mut self, waiver: &ast::Waiver) {
        let images = self.lower_images(&waiver.patterns);
        let rule = self.view().find(RULES, &waiver.rule.text);
        let rule = rule.map(|(id, _)| *id);
        let until = waiver.until.as_ref().and_then(|until| {
            let date = Date::parse(&until.text);
            if date.is_none() {
                let message = format!("`{}` is not a date", until.text);
                self.report(
                    Diagnostic::new(Code::TypeMismatch, until.span, message)
                        .help("write the year, month and day, as in `\"2027-01-31\"`"),
                );
            }
            date
        });
        if waiver.reason.text.trim().is_empty() {
            self.report(
                Diagnostic::new(
                    Code::Required,
                    waiver.reason.span,
                    "a waiver requires a reason",
                )
                .help("write why these images may break the rule"),
            );
        }
        self.waivers.push(Waiver {
            rule,
            name: waiver.rule.text.clone(),
            span: waiver.rule.span,
            images,
            reason: waiver.reason.text.clone(),
            until,
            is_expired: false,
            whole: waiver.span,
        });
    }
}

/// True if one of these statements sets a variable, and contains a place.
fn sets(stmts: &[ast::Stmt], name: &str, place: Span) -> bool {
    let contains =
        |span: &Span| span.file == place.file && span.start <= place.start && place.end <= span.end;
    stmts.iter().any(|stmt| match stmt {
        ast::Stmt::Set(set) => set.name.text == name && contains(&set.span),
        ast::Stmt::Unset { name: unset, span } => unset.text == name && contains(span),
        ast::Stmt::When { body, .. } | ast::Stmt::Block { body, .. } => sets(body, name, place),
        _ => false,
    })
}
