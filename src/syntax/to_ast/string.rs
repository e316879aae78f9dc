//! Strings: plain, interpolated, raw, and heredocs.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, part};
use crate::syntax::ast::*;
use crate::syntax::grammar;
use crate::syntax::tail::fix_all;
use crate::syntax::to_ast::ToAst;
use crate::syntax::tree::{Kind, Tree};
use smol_str::{SmolStr, SmolStrBuilder};

impl<'t> ToAst<'t> {
    pub(crate) fn lower_plain(&self, at: usize) -> ExprKind {
        let text = self.slice(at);
        ExprKind::Str(SmolStr::new(part(text, 1..text.len().saturating_sub(1))))
    }

    /// Lowers a string that cannot contain interpolations: a path, a pattern or a key.
    pub(crate) fn lower_constant_text(&mut self, at: usize) -> Ident {
        let span = self.span(at);
        let kind = match self.kind(at) {
            Kind::interpolated => self.lower_interpolated(at),
            Kind::raw => ExprKind::Str(SmolStr::new(self.slice(at).trim_matches('\''))),
            Kind::string => self.lower_plain(at),
            _ => {
                self.report_unclosed_text(at, "'");
                ExprKind::Missing
            }
        };
        let text = match kind {
            ExprKind::Str(text) => text,
            ExprKind::Interpolated(_) => {
                self
                    .report(Diagnostic::new(Code::WrongPlace, span, "`${…}` is not allowed in this string").help(
                    "write the path, pattern or key without interpolation; for a literal `${`, write `\\${` or use '…'",
                ));
                SmolStr::default()
            }
            _ => SmolStr::default(),
        };
        Ident { text, span }
    }

    pub(crate) fn lower_interpolated(&mut self, at: usize) -> ExprKind {
        let mut parts = Parts::default();
        let tree = self.tree;
        for child in tree.children(at) {
            match self.kind(child) {
                Kind::chunk => parts.push(self.slice(child)),
                Kind::escape => self.lower_escape(child, &mut parts),
                Kind::interpolation => {
                    if let Some(interpolation) = self.lower_interpolation(child) {
                        parts.interpolation(interpolation);
                    }
                }
                Kind::missing_quote => {
                    self.report_unclosed_text(at, "\"");
                    return ExprKind::Missing;
                }
                _ => {}
            }
        }
        parts.finish()
    }

    fn lower_escape(&mut self, at: usize, parts: &mut Parts) {
        let escape = self.slice(at);
        let decoded = match part(escape, 1..) {
            "\"" => Some('"'),
            "\\" => Some('\\'),
            "n" => Some('\n'),
            "t" => Some('\t'),
            "r" => Some('\r'),
            "${" => {
                parts.push("${");
                return;
            }
            hex => hex
                .strip_prefix("u{")
                .and_then(|h| h.strip_suffix('}'))
                .and_then(|h| u32::from_str_radix(h, 16).ok())
                .and_then(char::from_u32),
        };
        match decoded {
            Some(c) => parts.push(c.encode_utf8(&mut [0; 4])),
            None => {
                let start = self.tree.node(at).start;
                let backslash = Span::new(self.file, start, start + 1);
                self.report(
                    Diagnostic::new(Code::Syntax, self.span(at), format!("unknown escape `{escape}`"))
                        .help("choose from \\\" \\\\ \\n \\t \\r \\u{…} \\${, or use '…', where a backslash is plain text")
                        .fix("escape the backslash", backslash, "\\\\"),
                );
            }
        }
    }

    fn lower_interpolation(&mut self, at: usize) -> Option<Expr> {
        if self.is_too_deep(at) {
            return None;
        }
        self.depth += 1;
        let expr = self.lower_interpolation_content(at);
        self.depth -= 1;
        expr
    }

    fn lower_interpolation_content(&mut self, at: usize) -> Option<Expr> {
        let mut cursor = self.cursor(at);
        let mut expr = None;
        while let Some(child) = cursor.peek() {
            match self.kind(child) {
                Kind::missing_close => {
                    self.report_unclosed(at, child, "}");
                    return expr;
                }
                Kind::infix | Kind::junk_element => {
                    let shown = crate::syntax::recover::shorten(self.slice(child));
                    self.report(
                        Diagnostic::new(
                            Code::Syntax,
                            self.span(child),
                            format!("expected `}}`, found `{shown}`"),
                        )
                        .help("write `\\${` for a literal `${`"),
                    );
                    cursor.next();
                }
                _ if expr.is_none() => expr = Some(self.lower_expr(&mut cursor)),
                // The quote was meant to end the string that contains the interpolation.
                _ if self.slice(child).starts_with('"') => {
                    self.report_unclosed(at, child, "}");
                    return expr;
                }
                _ => {
                    self.report(
                        Diagnostic::new(
                            Code::Syntax,
                            self.span(child),
                            "an interpolation must contain one expression",
                        )
                        .label("expected `}`"),
                    );
                    return expr;
                }
            }
        }
        if expr.is_none() {
            self.report(
                Diagnostic::new(Code::Syntax, self.span(at), "this interpolation is empty")
                    .help("name a variable in it, or write `\\${` for a literal `${`"),
            );
        }
        expr
    }

    /// Lowers a heredoc, and removes the indentation that all its lines share.
    pub(crate) fn lower_heredoc(&mut self, at: usize) -> ExprKind {
        let text = self.slice(at);
        let is_raw = text.starts_with("<<'");
        let Some(first) = text.find('\n') else {
            return ExprKind::Missing;
        };
        let last = text.rfind('\n').unwrap_or(first);
        let body = part(text, first + 1..(last + 1).max(first + 1));
        let indent = common_indent(body);
        if is_raw || memchr::memmem::find(body.as_bytes(), b"${").is_none() {
            let mut parts = Parts {
                indent,
                at_line_start: true,
                ..Parts::default()
            };
            parts.push_dedented(body);
            return parts.finish();
        }
        let offset = self.tree.node(at).start + first as u32 + 1;
        let Some(tree) = grammar::parse_heredoc(body) else {
            self.report(Diagnostic::new(
                Code::Syntax,
                self.span(at),
                "this heredoc is nested too deeply",
            ));
            return ExprKind::Missing;
        };
        self.lower_heredoc_body(&shifted(tree, offset), indent)
    }

    fn lower_heredoc_body(&mut self, tree: &Tree, indent: usize) -> ExprKind {
        let mut inner = ToAst {
            file: self.file,
            text: self.text,
            tree,
            diagnostics: Vec::new(),
            depth: self.depth + 1,
            stray_parents: Vec::new(),
            ..*self
        };
        let mut parts = Parts {
            indent,
            at_line_start: true,
            ..Parts::default()
        };
        for child in tree.children(0) {
            match inner.kind(child) {
                Kind::heredoc_chunk => parts.push_dedented(inner.slice(child)),
                Kind::heredoc_escape => parts.push_dedented("${"),
                Kind::interpolation => {
                    if let Some(interpolation) = inner.lower_interpolation(child) {
                        parts.interpolation(interpolation);
                    }
                }
                _ => {}
            }
        }
        let found = inner.diagnostics;
        self.diagnostics.extend(found);
        self.cut();
        parts.finish()
    }

    pub(crate) fn report_unclosed_text(&mut self, at: usize, quote: &str) {
        let span = self.span(at);
        let line_end = part(self.text, span.start as usize..)
            .find('\n')
            .map_or(self.text.len() as u32, |i| span.start + i as u32);
        let shown = Span::new(
            self.file,
            span.start,
            line_end.min(span.end).max(span.start + 1),
        );
        self.report(
            Diagnostic::new(Code::Unclosed, shown, format!("this string has no closing `{quote}`")).help(
                "close the string on the same line; for several lines, write a heredoc: `<<TEXT`, the lines, `TEXT`",
            ),
        );
    }

    /// Reports a heredoc in another language's syntax.
    pub(crate) fn report_loose_heredoc(&mut self, at: usize) {
        let text = self.slice(at);
        let start = self.tree.node(at).start;
        let first = text.lines().next().unwrap_or("");
        let last = text.rfind('\n').map_or(text.len(), |i| i + 1);
        let word = part(text, last..).trim();
        let mut upper: String = word.to_ascii_uppercase();
        if upper.starts_with(|c: char| !c.is_ascii_uppercase()) {
            upper.insert(0, 'T');
        }
        let opening = if first.contains('\'') || first.contains('"') {
            format!("<<'{upper}'")
        } else {
            format!("<<{upper}")
        };
        let place = Span::new(self.file, start, start + first.trim_end().len() as u32);
        let word_start = start + last as u32 + (text.len() - last - word.len()) as u32;
        let end = Span::new(self.file, word_start, word_start + word.len() as u32);
        let message = format!("expected `{opening}` at the start of a heredoc");
        let found = Diagnostic::new(Code::Syntax, place, message)
            .help("write the word in capital letters; imgspec always removes the indentation that all lines share");
        let edits = vec![(place, opening.clone()), (end, upper)];
        self.report(fix_all(found, format!("write `{opening}`"), edits));
    }

    /// Reports a `"""` string, which other languages have.
    pub(crate) fn report_triple(&mut self, at: usize) {
        let (text, span) = (self.slice(at), self.span(at));
        let open = Span::new(self.file, span.start, span.start + 3);
        let inner = part(text, 3..text.len().saturating_sub(3));
        let body = inner.strip_prefix('\n').unwrap_or(inner);
        let body = body.trim_end_matches([' ', '\t']);
        let body = body.strip_suffix('\n').unwrap_or(body);
        let is_free = !inner.contains('\\')
            && !body
                .lines()
                .any(|line| line.trim_start().starts_with("TEXT"));
        let opening = if text.starts_with('\'') {
            "<<'TEXT'"
        } else {
            "<<TEXT"
        };
        let found = Diagnostic::new(
            Code::Syntax,
            open,
            "expected a heredoc for a string of several lines",
        )
        .help("write `<<TEXT`, the lines, and `TEXT` on its own line");
        self.report(if is_free {
            found.fix("write a heredoc", span, format!("{opening}\n{body}\nTEXT"))
        } else {
            found
        });
    }

    pub(crate) fn report_broken_heredoc(&mut self, at: usize) {
        let text = self.slice(at);
        let line = text.lines().next().unwrap_or("");
        let word = line
            .trim_start_matches(['<', '\''])
            .trim_end_matches([' ', '\t', '\r', '\'']);
        let start = self.tree.node(at).start;
        self.report(
            Diagnostic::new(
                Code::Unclosed,
                Span::new(self.file, start, start + line.trim_end().len() as u32),
                format!("this heredoc has no closing line `{word}`"),
            )
            .help(format!("end it with a line that contains only `{word}`")),
        );
    }
}

/// A builder that collects the parts of a string and joins adjacent text.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    text: SmolStrBuilder,
    has_text: bool,
    indent: usize,
    at_line_start: bool,
}

impl Parts {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.has_text |= !text.is_empty();
    }

    /// Adds text of a heredoc, without the common indentation and with `\n` line ends.
    fn push_dedented(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            let skip = if self.at_line_start {
                line.len() - line.trim_start_matches([' ', '\t']).len()
            } else {
                0
            };
            let line = part(line, skip.min(self.indent)..);
            self.at_line_start = line.ends_with('\n');
            match line.strip_suffix("\r\n") {
                Some(line) => {
                    self.push(line);
                    self.push("\n");
                }
                None => self.push(line),
            }
        }
    }

    fn interpolation(&mut self, interpolation: Expr) {
        self.flush();
        self.at_line_start = false;
        self.parts.push(Part::Interpolation(interpolation));
    }

    fn flush(&mut self) {
        if std::mem::take(&mut self.has_text) {
            let text = std::mem::replace(&mut self.text, SmolStrBuilder::new());
            self.parts.push(Part::Text(text.finish()));
        }
    }

    fn finish(mut self) -> ExprKind {
        if self.parts.is_empty() {
            return ExprKind::Str(self.text.finish());
        }
        self.flush();
        ExprKind::Interpolated(self.parts)
    }
}

/// Removes the common indentation from the lines of a heredoc. Does not change interpolations and escapes.
pub(crate) fn dedented(body: &str) -> String {
    let mut parts = Parts {
        indent: common_indent(body),
        at_line_start: true,
        ..Parts::default()
    };
    parts.push_dedented(body);
    parts.text.finish().into()
}

/// Returns the common indentation in bytes. Ignores empty lines.
pub(crate) fn common_indent(body: &str) -> usize {
    body.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches([' ', '\t']).len())
        .min()
        .unwrap_or(0)
}

fn shifted(mut tree: Tree, offset: u32) -> Tree {
    for node in &mut tree.nodes {
        node.start += offset;
        node.end += offset;
    }
    tree
}
