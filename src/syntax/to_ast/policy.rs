//! Tests and waivers.

use crate::diagnostic::{Code, Diagnostic};
use crate::syntax::ast::*;
use crate::syntax::to_ast::ToAst;
use crate::syntax::tree::Kind;

impl ToAst<'_> {
    pub(super) fn lower_test(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        let (mut name, mut patterns, mut body) = (None, None, None);
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::for_ => patterns = Some(self.lower_patterns(child)),
                Kind::name => {
                    let bare = self.ident(child);
                    self.report(
                        Diagnostic::new(
                            Code::Syntax,
                            bare.span,
                            "expected the name of the test in quotes",
                        )
                        .fix(
                            "put it in quotes",
                            bare.span,
                            format!("\"{}\"", bare.text),
                        ),
                    );
                    name = Some(bare);
                }
                Kind::junk_header => self.report_junk_header(child, "`for` and the images"),
                Kind::missing_block => self.report_missing(
                    child,
                    "`{`",
                    "put the body in braces, as in `test \"NAME\" for IMAGE { … }`",
                ),
                Kind::block => body = Some(self.lower_block(child)),
                Kind::comment => {}
                _ => name = Some(self.lower_constant_text(child)),
            }
        }
        let name = name?;
        if patterns.is_none() {
            self.report_missing_at(
                name.span.end,
                "`for` and the images of the test",
                "write `test \"NAME\" for IMAGE { … }`; `*` means all images",
            );
        }
        Some(Item::Test(Test {
            name,
            patterns: patterns.unwrap_or_default(),
            body: body?,
            doc,
            span: self.span(at),
        }))
    }

    pub(super) fn lower_waiver(&mut self, at: usize) -> Option<Item> {
        let (mut rule, mut patterns, mut reason, mut until) = (None, None, None, None);
        let mut is_sound = true;
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name => rule = Some(self.ident(child)),
                Kind::quoted_name => {
                    self.report_quoted_names(&[child]);
                    rule = Some(self.unquoted(child));
                }
                Kind::for_ => patterns = Some(self.lower_patterns(child)),
                Kind::because => {
                    reason = self.lower_word_and_text(child, "the reason in quotes");
                    is_sound &= reason.is_some();
                }
                Kind::until => {
                    until = self.lower_word_and_text(child, "a date in quotes");
                    is_sound &= until.is_some();
                }
                Kind::junk_header => {
                    self.report_junk_header(
                        child,
                        "`for IMAGE`, `because \"REASON\"` and `until \"DATE\"`, in this order",
                    );
                    is_sound = false;
                }
                _ => {}
            }
        }
        let (rule, end) = (rule?, self.tree.node(at).end);
        let form = "write `waive RULE for IMAGE because \"REASON\" until \"2030-12-31\"`";
        if !is_sound {
            return None;
        }
        if patterns.is_none() {
            self.report_missing_at(rule.span.end, "`for` and the images of the waiver", form);
        } else if reason.is_none() {
            self.report_missing_at(end, "`because` and the reason in quotes", form);
        }
        Some(Item::Waiver(Waiver {
            rule,
            patterns: patterns?,
            reason: reason?,
            until,
            span: self.span(at),
        }))
    }

    /// Lowers the names and globs after `for`.
    fn lower_patterns(&mut self, at: usize) -> Vec<Ident> {
        let mut patterns = Vec::new();
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name | Kind::glob => patterns.push(self.ident(child)),
                Kind::missing_name => self.report_missing(
                    child,
                    "the name of an image or layer, or a glob",
                    "write `for IMAGE`, or `for GLOB-*`",
                ),
                Kind::comment => {}
                _ => patterns.push(self.lower_constant_text(child)),
            }
        }
        patterns
    }

    fn lower_word_and_text(&mut self, at: usize, wanted: &str) -> Option<Ident> {
        let child = self.tree.children(at).next()?;
        if self.kind(child) == Kind::missing_value {
            let help = "a string is in quotes: `\"…\"`";
            self.report_missing(child, wanted, help);
            return None;
        }
        Some(self.lower_constant_text(child))
    }

    pub(super) fn lower_assert(&mut self, at: usize) -> Stmt {
        let mut cursor = self.cursor(at);
        let outer = std::mem::replace(&mut self.in_condition, true);
        let condition = self.lower_expr(&mut cursor);
        self.in_condition = outer;
        let because = cursor.find(|child| self.kind(*child) == Kind::because);
        let reason = because.map(|because| {
            let mut cursor = self.cursor(because);
            self.lower_expr(&mut cursor)
        });
        Stmt::Assert {
            condition,
            reason,
            span: self.span(at),
        }
    }

    pub(super) fn lower_expect(&mut self, at: usize) -> Option<Stmt> {
        let mut names = self.tree.children(at);
        Some(Stmt::Expect {
            code: self.ident(names.next()?),
            at: names.next().map(|name| self.ident(name)),
            span: self.span(at),
        })
    }

    pub(super) fn lower_snapshot(&mut self, at: usize) -> Option<Stmt> {
        let name = self.tree.children(at).next()?;
        let name = match self.kind(name) {
            Kind::quoted_name => {
                self.report_quoted_names(&[name]);
                self.unquoted(name)
            }
            _ => self.ident(name),
        };
        Some(Stmt::Snapshot {
            name,
            span: self.span(at),
        })
    }
}
