//! Expressions. The tree has operands and operators in a flat list; this file applies precedence.
//!
//! Lowest precedence first: `or`, `and`, `not`, comparisons and `in`, `+`.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{MAX_OPERATORS, Span, part};
use crate::syntax::ast::*;
use crate::syntax::to_ast::ToAst;
use crate::syntax::tree::{Children, Kind, Tree};
use smol_str::SmolStr;

/// The spelling of an operator in this language, and whether `text` is that of other languages. `=` is reported apart: it
/// also sets a variable.
fn spelling(text: &str) -> (&str, bool) {
    let own = match text {
        "=" => return ("==", false),
        "&&" => "and",
        "||" => "or",
        "===" | "eq" | "is" => "==",
        "!==" | "<>" | "ne" => "!=",
        "=>" => ">=",
        "=<" => "<=",
        _ if text.starts_with("is") => "!=", // `is not`, with any space
        _ if text.starts_with("not") => return ("not in", false),
        _ => return (text, false),
    };
    (own, true)
}

/// An iterator over the children of a node, without comments, that can look ahead by one.
pub(crate) struct Cursor<'t> {
    tree: &'t Tree,
    children: Children<'t>,
    peeked: Option<usize>,
}

impl Cursor<'_> {
    pub(crate) fn peek(&self) -> Option<usize> {
        self.peeked
    }

    /// Returns whether the next node is an operand without operators: literals alone, most values are.
    fn is_alone(&self) -> bool {
        let kind = |at: usize| self.tree.node(at).kind;
        let is_literal = |at| {
            matches!(
                kind(at),
                Kind::string | Kind::number | Kind::list | Kind::name
            )
        };
        let next = self.children.at;
        self.peeked.is_some_and(is_literal)
            && (next == self.children.end || matches!(kind(next), Kind::string | Kind::number))
    }
}

impl Iterator for Cursor<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let tree = self.tree;
        let next = self.children.find(|c| tree.node(*c).kind != Kind::comment);
        std::mem::replace(&mut self.peeked, next)
    }
}

impl<'t> ToAst<'t> {
    pub(crate) fn cursor(&self, at: usize) -> Cursor<'t> {
        let mut cursor = Cursor {
            tree: self.tree,
            children: self.tree.children(at),
            peeked: None,
        };
        cursor.next();
        cursor
    }

    /// Lowers an expression. Stops at the first node that does not belong to it.
    pub(crate) fn lower_expr(&mut self, cursor: &mut Cursor<'t>) -> Expr {
        if cursor.is_alone() {
            return self.lower_operand(cursor);
        }
        self.lower_binary(cursor, &[("or", BinaryOp::Or)], |l, c| {
            l.lower_binary(c, &[("and", BinaryOp::And)], Self::lower_not)
        })
    }

    fn lower_binary(
        &mut self,
        cursor: &mut Cursor<'t>,
        operators: &[(&str, BinaryOp)],
        operand: fn(&mut Self, &mut Cursor<'t>) -> Expr,
    ) -> Expr {
        let mut left = operand(self, cursor);
        // Each operator adds a level to the typed view, and recursion must be bounded.
        let mut count = 0;
        while let Some((op, at)) = self.operator(cursor, operators) {
            count += 1;
            if count > MAX_OPERATORS {
                self.report(
                    Diagnostic::new(
                        Code::Syntax,
                        self.span(at),
                        format!("more than {MAX_OPERATORS} operators in a row"),
                    )
                    .help("write one list, or move a part into another variable"),
                );
                operand(self, cursor);
                continue;
            }
            let right = operand(self, cursor);
            let span = left.span.to(right.span);
            left = Expr {
                kind: ExprKind::Binary(op, Box::new([left, right])),
                span,
            };
        }
        left
    }

    fn operator(
        &mut self,
        cursor: &mut Cursor<'t>,
        operators: &[(&str, BinaryOp)],
    ) -> Option<(BinaryOp, usize)> {
        let at = cursor
            .peek()
            .filter(|at| matches!(self.kind(*at), Kind::infix | Kind::wrong_equal))?;
        let (own, is_foreign) = spelling(self.slice(at));
        let op = operators.iter().find(|(word, _)| *word == own)?.1;
        cursor.next();
        if is_foreign {
            let span = self.span(at);
            self.report(
                Diagnostic::new(Code::Syntax, span, format!("expected the operator `{own}`")).fix(
                    format!("write `{own}`"),
                    span,
                    own,
                ),
            );
        }
        Some((op, at))
    }

    fn lower_not(&mut self, cursor: &mut Cursor<'t>) -> Expr {
        let Some(at) = cursor.peek().filter(|at| self.kind(*at) == Kind::not_) else {
            return self.lower_comparison(cursor);
        };
        if self.slice(at) == "!" {
            let span = self.span(at);
            self.report(
                Diagnostic::new(Code::Syntax, span, "expected the operator `not`").fix(
                    "write `not`",
                    span,
                    "not ",
                ),
            );
        }
        if self.is_too_deep(at) {
            while cursor.next().is_some() {}
            return self.missing(self.span(at));
        }
        cursor.next();
        self.depth += 1;
        let inner = self.lower_not(cursor);
        self.depth -= 1;
        let span = self.span(at).to(inner.span);
        Expr {
            kind: ExprKind::Not(Box::new(inner)),
            span,
        }
    }

    fn lower_comparison(&mut self, cursor: &mut Cursor<'t>) -> Expr {
        const OPERATORS: [(&str, BinaryOp); 9] = [
            ("==", BinaryOp::Equal),
            ("!=", BinaryOp::NotEqual),
            ("<", BinaryOp::Less),
            ("<=", BinaryOp::LessEqual),
            (">", BinaryOp::Greater),
            (">=", BinaryOp::GreaterEqual),
            ("in", BinaryOp::In),
            ("not in", BinaryOp::NotIn),
            // Of other languages, for a regular expression.
            ("=~", BinaryOp::Equal),
        ];
        let left = self.lower_sum(cursor);
        let Some((op, at)) = self.operator(cursor, &OPERATORS) else {
            return left;
        };
        let is_match = self.slice(at) == "=~";
        let is_wrong = self.kind(at) == Kind::wrong_equal;
        if is_wrong {
            self.report_wrong_equal(at);
        }
        if is_match {
            let span = self.span(at);
            self.report(
                Diagnostic::new(Code::Syntax, span, "unexpected operator `=~`").help(
                    "write `matches(value, 'PATTERN')`; the pattern describes the whole text",
                ),
            );
        }
        let right = self.lower_sum(cursor);
        let span = left.span.to(right.span);
        while let Some((_, at)) = self.operator(cursor, &OPERATORS) {
            self.report(
                Diagnostic::new(Code::Syntax, self.span(at), "comparisons cannot be chained")
                    .help("join the comparisons with `and`, or use parentheses"),
            );
            self.lower_sum(cursor);
        }
        if is_match || is_wrong && !self.in_condition {
            return self.missing(span);
        }
        Expr {
            kind: ExprKind::Binary(op, Box::new([left, right])),
            span,
        }
    }

    /// Reports `=` between two values.
    fn report_wrong_equal(&mut self, at: usize) {
        let span = self.span(at);
        self.report(if self.in_condition {
            Diagnostic::new(Code::Syntax, span, "expected `==` between two values").fix(
                "write `==`",
                span,
                "==",
            )
        } else {
            Diagnostic::new(
                Code::Syntax,
                span,
                "unexpected `=`: a statement sets only one variable",
            )
            .help("write `==` to compare two values")
        });
    }

    fn lower_sum(&mut self, cursor: &mut Cursor<'t>) -> Expr {
        self.lower_binary(cursor, &[("+", BinaryOp::Add)], Self::lower_operand)
    }

    fn lower_operand(&mut self, cursor: &mut Cursor<'t>) -> Expr {
        let Some(at) = cursor.peek() else {
            return self.missing(Span::new(self.file, 0, 0));
        };
        let span = self.span(at);
        if !matches!(
            self.kind(at),
            Kind::infix | Kind::then_ | Kind::else_ | Kind::block | Kind::junk_header
        ) {
            cursor.next();
        }
        let kind = match self.kind(at) {
            Kind::string => self.lower_plain(at),
            Kind::interpolated => self.lower_interpolated(at),
            Kind::raw => ExprKind::Str(SmolStr::new(self.slice(at).trim_matches('\''))),
            Kind::broken_raw => {
                self.report_unclosed_text(at, "'");
                ExprKind::Missing
            }
            Kind::heredoc => self.lower_heredoc(at),
            Kind::loose_heredoc => {
                self.report_loose_heredoc(at);
                ExprKind::Missing
            }
            Kind::triple => {
                self.report_triple(at);
                ExprKind::Missing
            }
            Kind::bare_expression => {
                let slice = self.slice(at);
                self.report(crate::syntax::tail::without_quotes(span, slice));
                ExprKind::Missing
            }
            Kind::broken_heredoc => {
                self.report_broken_heredoc(at);
                ExprKind::Missing
            }
            Kind::number => self.lower_number(at),
            Kind::name => return self.lower_reference(at, cursor),
            Kind::list if self.report_bare_elements(at) => ExprKind::Missing,
            Kind::list => ExprKind::List(self.lower_elements(at, "]")),
            Kind::paren => return self.lower_paren(at),
            Kind::map => self.lower_map(at),
            Kind::if_ => self.lower_if(at),
            Kind::missing_value => {
                self.report_missing(
                    at,
                    "a value",
                    "write a value, such as `\"text\"`, `true`, `42` or `[\"a\", \"b\"]`",
                );
                ExprKind::Missing
            }
            _ => {
                let shown = crate::syntax::recover::shorten(self.slice(at));
                self.report(Diagnostic::new(
                    Code::Syntax,
                    span,
                    format!("expected a value, found `{shown}`"),
                ));
                ExprKind::Missing
            }
        };
        Expr { kind, span }
    }

    fn missing(&self, span: Span) -> Expr {
        Expr {
            kind: ExprKind::Missing,
            span,
        }
    }

    fn lower_number(&self, at: usize) -> ExprKind {
        let text = self.slice(at);
        match text.parse() {
            Ok(number) if text == "0" || !text.trim_start_matches('-').starts_with('0') => {
                ExprKind::Int(number)
            }
            _ => ExprKind::NoInt(SmolStr::new(text)),
        }
    }

    fn lower_reference(&mut self, at: usize, cursor: &mut Cursor<'t>) -> Expr {
        let (text, span) = (self.slice(at), self.span(at));
        if let Some(args) = cursor.peek().filter(|c| self.kind(*c) == Kind::args) {
            cursor.next();
            let name = Box::new(Ident {
                text: SmolStr::new(text),
                span,
            });
            let end = self.span(args);
            let args = self.lower_elements(args, ")");
            return Expr {
                kind: ExprKind::Call { name, args },
                span: span.to(end),
            };
        }
        let kind = match text {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            _ => ExprKind::Name(SmolStr::new(text)),
        };
        Expr { kind, span }
    }

    /// Lowers the elements of a list or the arguments of a call.
    fn lower_elements(&mut self, at: usize, closing: &str) -> Vec<Expr> {
        let mut elements: Vec<Expr> = Vec::new();
        if self.is_too_deep(at) {
            return elements;
        }
        self.depth += 1;
        let mut cursor = self.cursor(at);
        let mut end = self.tree.node(at).start + 1;
        let mut in_junk = false;
        while let Some(child) = cursor.peek() {
            let start = self.tree.node(child).start;
            match self.kind(child) {
                Kind::missing_close => {
                    self.report_unclosed(at, child, closing);
                    cursor.next();
                    continue;
                }
                Kind::infix | Kind::wrong_equal => {
                    self.report_stray(child, "an element");
                    cursor.next();
                    continue;
                }
                Kind::junk_element => {
                    if !std::mem::replace(&mut in_junk, true) {
                        self.report_stray(child, "an element");
                    }
                    cursor.next();
                    end = self.tree.node(child).end;
                    continue;
                }
                _ => {}
            }
            // Parentheses contain one expression: a comma would not help.
            if self.tree.node(at).kind != Kind::paren {
                self.check_comma(end, start, elements.is_empty());
            }
            in_junk = false;
            let element = self.lower_expr(&mut cursor);
            end = element.span.end;
            if !matches!(element.kind, ExprKind::Missing) {
                elements.push(element);
            }
        }
        self.depth -= 1;
        elements
    }

    /// Reports strings without quotes in a list, as one diagnostic. Returns whether there are any.
    fn report_bare_elements(&mut self, at: usize) -> bool {
        let mut kinds = self
            .tree
            .children(at)
            .map(|child| self.kind(child))
            .peekable();
        let (mut has_junk, mut is_flat) = (false, true);
        kinds.by_ref().for_each(|kind| {
            has_junk |= kind == Kind::junk_element;
            is_flat &= matches!(
                kind,
                Kind::junk_element | Kind::name | Kind::number | Kind::string
            );
        });
        if !has_junk || !is_flat {
            return false;
        }
        let start = self.tree.node(at).start + 1;
        let inner = part(
            self.text,
            start as usize..(self.tree.node(at).end as usize).saturating_sub(1),
        );
        let mut edits = Vec::new();
        let mut offset = 0;
        for piece in inner.split_inclusive([',', '\n']) {
            let text = piece.trim_end_matches([',', '\n']).trim();
            let from = start + (offset + piece.find(text).unwrap_or(0)) as u32;
            offset += piece.len();
            let is_whole = text.len() > 1
                && text.starts_with('"')
                && text.matches('"').count() == 2
                && text.ends_with('"');
            if text.is_empty() || is_whole {
                continue;
            }
            if text.contains(['"', '\'', '\\', '#', ' ', '\t', '=', '$']) {
                return false;
            }
            let span = Span::new(self.file, from, from + text.len() as u32);
            edits.push((span, format!("\"{text}\"")));
        }
        let Some((first, _)) = edits.first() else {
            return false;
        };
        let found = Diagnostic::new(
            Code::Syntax,
            *first,
            "expected quotes around the elements of this list",
        );
        self.report(crate::syntax::tail::fix_all(
            found,
            "put each element in quotes".to_owned(),
            edits,
        ));
        true
    }

    /// Checks that two elements have one comma or a newline between them, and that no comma precedes the first.
    fn check_comma(&mut self, end: u32, start: u32, is_first: bool) {
        let between = self.text.get(end as usize..start as usize).unwrap_or("");
        if between == if is_first { "" } else { ", " } {
            return;
        }
        let commas = between
            .lines()
            .map(|l| l.split('#').next().unwrap_or("").matches(',').count())
            .sum::<usize>();
        let span = Span::new(self.file, start.saturating_sub(1).max(end), start);
        if commas > usize::from(!is_first) {
            self.report(
                Diagnostic::new(Code::Syntax, span, "unexpected comma")
                    .label("there is no element before this comma"),
            );
        } else if commas == 0 && !is_first && !between.contains('\n') {
            let at = Span::new(self.file, end, end);
            self.report(
                Diagnostic::new(
                    Code::Syntax,
                    Span::new(self.file, start, start + 1),
                    "expected a comma before this element",
                )
                .fix("insert a comma", at, ","),
            );
        }
    }

    fn report_stray(&mut self, at: usize, wanted: &str) {
        let shown = crate::syntax::recover::shorten(self.slice(at));
        self.report(Diagnostic::new(
            Code::Syntax,
            self.span(at),
            format!("expected {wanted}, found `{shown}`"),
        ));
    }

    fn lower_paren(&mut self, at: usize) -> Expr {
        let span = self.span(at);
        let mut elements = self.lower_elements(at, ")");
        if elements.len() != 1 {
            self.report(
                Diagnostic::new(
                    Code::Syntax,
                    span,
                    "parentheses must contain one expression",
                )
                .help("write a list in brackets: `[a, b]`"),
            );
            return self.missing(span);
        }
        let inner = elements.remove(0);
        Expr {
            kind: inner.kind,
            span,
        }
    }

    fn lower_map(&mut self, at: usize) -> ExprKind {
        let mut pairs = Vec::new();
        if self.is_too_deep(at) {
            return ExprKind::Missing;
        }
        self.depth += 1;
        let tree = self.tree;
        let mut in_junk = false;
        let mut end: Option<u32> = None;
        for child in tree.children(at) {
            let node = tree.node(child);
            match node.kind {
                Kind::pair => {
                    in_junk = false;
                    if let Some(end) = end {
                        self.check_comma(end, node.start, false);
                    }
                    end = Some(node.end);
                    pairs.extend(self.lower_pair(child));
                }
                Kind::missing_close => self.report_unclosed(at, child, "}"),
                Kind::junk_word | Kind::junk_element => {
                    if !std::mem::replace(&mut in_junk, true) {
                        self.report_stray(child, "`key = value`");
                    }
                    continue;
                }
                _ => {}
            }
        }
        self.depth -= 1;
        ExprKind::Map(pairs)
    }

    fn lower_pair(&mut self, at: usize) -> Option<(Ident, Expr)> {
        let mut cursor = self.cursor(at);
        let first = cursor.next()?;
        let key = match self.kind(first) {
            Kind::name => Ident {
                text: SmolStr::new(self.slice(first)),
                span: self.span(first),
            },
            _ => self.lower_constant_text(first),
        };
        if let Some(colon) = cursor.peek().filter(|c| self.kind(*c) == Kind::wrong_colon) {
            self.report_wrong_colon(colon);
            cursor.next();
        }
        let value = self.lower_expr(&mut cursor);
        Some((key, value))
    }

    fn lower_if(&mut self, at: usize) -> ExprKind {
        if self.is_too_deep(at) {
            return ExprKind::Missing;
        }
        self.depth += 1;
        let mut cursor = self.cursor(at);
        let mut values = Vec::with_capacity(3);
        while let Some(child) = cursor.peek() {
            match self.kind(child) {
                Kind::then_ | Kind::else_ => {
                    cursor.next();
                }
                Kind::missing_then | Kind::missing_else => {
                    self.report_missing(
                        child,
                        "`then` and `else`",
                        "write `if condition then value else value`",
                    );
                    cursor.next();
                }
                Kind::infix | Kind::wrong_equal => {
                    self.report_stray(child, "a value");
                    cursor.next();
                }
                _ => {
                    let outer = self.in_condition;
                    self.in_condition = values.is_empty();
                    values.push(self.lower_expr(&mut cursor));
                    self.in_condition = outer;
                }
            }
        }
        self.depth -= 1;
        match <[Expr; 3]>::try_from(values) {
            Ok(values) => ExprKind::If(Box::new(values)),
            Err(_) => ExprKind::Missing,
        }
    }
}
