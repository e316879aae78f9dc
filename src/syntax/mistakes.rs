//! Statements and items that are not valid, and their probable intention. The typed view keeps as much of them as
//! possible, so that one mistake does not cause further diagnostics.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, part};
use crate::syntax::ast::*;
use crate::syntax::recover;
use crate::syntax::tail::{Explained, Tail, fix_all};
use crate::syntax::to_ast::{ToAst, type_of_literal};
use crate::syntax::tree::Kind;
use smol_str::SmolStr;

impl<'t> ToAst<'t> {
    /// Reports two statements on a line without a comma between them.
    pub(super) fn check_separator(&mut self, is_first: &mut bool, at: usize) {
        let node = self.tree.node(at);
        if !std::mem::replace(is_first, false) {
            let before = part(self.text, ..node.start as usize).bytes().rev();
            let mut before = before.skip_while(|c| matches!(c, b' ' | b'\t' | b'\r'));
            if !matches!(before.next(), Some(b'\n' | b',')) {
                let span = Span::new(self.file, node.start, node.start);
                self.report(
                    Diagnostic::new(
                        Code::Syntax,
                        self.span(at),
                        "expected a comma or a new line between two statements",
                    )
                    .label("the second statement starts here")
                    .help("insert a comma, or put the second statement on its own line")
                    .fix("insert a comma", span, ", "),
                );
                // The second statement can have an error of its own.
                self.quiet_until = self.quiet_until.min(node.start);
            }
        }
    }

    /// Reports a path without quotes.
    pub(super) fn lower_bare_path(&mut self, at: usize) -> Option<Ident> {
        let text = self.slice(at).trim_end();
        if text.is_empty() || text.contains(['"', '\'', ' ', '\\']) {
            return None;
        }
        let start = self.tree.node(at).start;
        let span = Span::new(self.file, start, start + text.len() as u32);
        self.report(
            Diagnostic::new(Code::Syntax, span, "expected a path in quotes").fix(
                "put it in quotes",
                span,
                format!("\"{text}\""),
            ),
        );
        Some(Ident {
            text: SmolStr::new(text),
            span,
        })
    }

    /// Reports text after a variable's type, such as the end of a type in another language's syntax.
    pub(super) fn lower_junk_of_variable(&mut self, at: usize, ty: &mut Option<TypeExpr>) {
        let Some(written) = ty.as_mut() else {
            return self.report_junk_header(at, "`: type`, `= default` or `{`");
        };
        let junk = self.slice(at).trim_end();
        let start = self.tree.node(at).start;
        let whole = Span::new(self.file, written.span.start, start + junk.len() as u32);
        let base = part(
            self.text,
            written.span.start as usize..written.span.end as usize,
        );
        let end = junk.find([')', '>', ']']).map_or(junk.len(), |at| at + 1);
        let whole = Span {
            end: start + end as u32,
            ..whole
        };
        let junk = part(junk, ..end);
        let element = junk.trim_matches(['(', ')', '<', '>', '[', ']']);
        let meant = match base {
            "list" | "List" | "array" | "Array" | "set" | "Vec" if recover::is_word(element) => {
                Some(format!("[{element}]"))
            }
            "map" | "Map" | "dict" | "object" if recover::is_word(element) => {
                Some(format!("{{{element}}}"))
            }
            "optional" if recover::is_word(element) => Some(format!("{element}?")),
            _ if junk == "[]" => Some(format!("[{base}]")),
            _ => None,
        };
        written.kind = TypeKind::Missing;
        match meant {
            Some(meant) => self.report(
                Diagnostic::new(
                    Code::Syntax,
                    whole,
                    "expected a type such as `[string]`, `{string}` or `string?`",
                )
                .fix(format!("replace it with `{meant}`"), whole, meant),
            ),
            None => self.report_junk_header(at, "`= default` or `{`"),
        }
    }

    /// Reports the attributes `type` and `default`, which other languages have. Returns whether it reported any.
    pub(super) fn move_type(
        &mut self,
        at: usize,
        name: &str,
        block: usize,
        attributes: &mut Vec<Stmt>,
        ty: &mut Option<TypeExpr>,
    ) -> bool {
        let value_of = |attributes: &[Stmt], wanted: &str| {
            attributes.iter().find_map(|stmt| match stmt {
                Stmt::Set(set) if set.name.text == wanted => Some((set.span, set.value.span)),
                _ => None,
            })
        };
        let (written, default) = (
            value_of(attributes, "type"),
            value_of(attributes, "default"),
        );
        let Some((place, _)) = written.or(default) else {
            return false;
        };
        let slice = |span: Span| part(self.text, span.start as usize..span.end as usize);
        let word = match (written, default) {
            (Some((_, span)), _) => match slice(span) {
                "number" => "int",
                other => other,
            },
            (None, Some((_, span))) => type_of_literal(slice(span)).unwrap_or("string"),
            (None, None) => "string",
        };
        let moved = ["type", "default", "description"];
        let rest: Vec<&str> = attributes
            .iter()
            .filter_map(|stmt| match stmt {
                Stmt::Set(set) if moved.contains(&set.name.text.as_str()) => None,
                Stmt::Set(set) => Some(slice(set.span)),
                _ => None,
            })
            .collect();
        let default = default.map_or(String::new(), |(_, span)| format!(" = {}", slice(span)));
        let rest = if rest.is_empty() {
            String::new()
        } else {
            format!(" {{ {} }}", rest.join(", "))
        };
        let header = format!("variable {name} : {word}{default}");
        let found = Diagnostic::new(
            Code::Syntax,
            place,
            "the type and the default of a variable follow its name",
        );
        let span = Span::new(
            self.file,
            self.tree.node(at).start,
            self.tree.node(block).end,
        );
        let has_more =
            part(self.text, span.start as usize..span.end as usize).contains(['#', '\\']);
        self.report(if recover::is_word(word) && !has_more {
            found.fix(format!("write `{header}`"), span, format!("{header}{rest}"))
        } else {
            found.help(format!("write `{header}`"))
        });
        attributes.retain(
            |stmt| !matches!(stmt, Stmt::Set(set) if moved.contains(&set.name.text.as_str())),
        );
        *ty = Some(TypeExpr {
            kind: TypeKind::Missing,
            optional: false,
            span: place,
        });
        true
    }

    /// Returns the name inside misplaced quotes.
    pub(super) fn unquoted(&self, at: usize) -> Ident {
        let span = self.span(at);
        let slice = self.slice(at);
        let inner = Span::new(self.file, span.start + 1, span.end - 1);
        Ident {
            text: SmolStr::new(part(slice, 1..slice.len().saturating_sub(1))),
            span: inner,
        }
    }

    pub(super) fn report_quoted_names(&mut self, nodes: &[usize]) {
        let Some(first) = nodes.first() else { return };
        let edits: Vec<(Span, String)> = nodes
            .iter()
            .map(|at| (self.span(*at), self.unquoted(*at).text.to_string()))
            .collect();
        let found = Diagnostic::new(
            Code::Syntax,
            self.span(*first),
            "unexpected quotes around a name",
        );
        self.report(fix_all(found, "remove the quotes".to_owned(), edits));
    }

    /// Lowers an item with an unknown keyword.
    pub(super) fn lower_wrong_section(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        self.report_wrong_item(at);
        self.lower_section(at, doc)
    }

    pub(super) fn report_wrong_item(&mut self, at: usize) {
        let line = self.slice(at).lines().next().unwrap_or("");
        let start = self.tree.node(at).start;
        let span = Span::new(self.file, start, start + line.len() as u32);
        self.report(recover::explain_item(span, line));
    }

    /// Returns the keyword that an unknown keyword was probably meant to be.
    pub(super) fn kind_of_wrong(&self, at: usize) -> Option<&'static str> {
        let word = self
            .tree
            .children(at)
            .next()
            .map_or("", |child| self.slice(child));
        recover::nearest_item(word)
            .filter(|kind| matches!(*kind, "image" | "layer" | "provider" | "rule" | "probe"))
    }

    /// Reports parents without `extends`, or without a comma between them.
    pub(super) fn lower_junk_of_section(
        &mut self,
        at: usize,
        header_end: u32,
        extends: &mut Vec<Ident>,
    ) {
        let text = self.slice(at).trim_end();
        let start = self.tree.node(at).start;
        let end = start + text.len() as u32;
        let Some(names) = recover::parents_in(text, !extends.is_empty()) else {
            return self.report_junk_header(at, "`extends` and names, or `{`");
        };
        let span = Span::new(self.file, start, end);
        let place = Span::new(self.file, header_end, end);
        let list = names
            .iter()
            .map(|(_, name)| *name)
            .collect::<Vec<_>>()
            .join(", ");
        self.report(if extends.is_empty() {
            Diagnostic::new(
                Code::Syntax,
                span,
                "expected `extends` before the names of the parents",
            )
            .fix(
                format!("write `extends {list}`"),
                place,
                format!(" extends {list}"),
            )
        } else {
            Diagnostic::new(Code::Syntax, span, "expected a comma between two names").fix(
                "insert a comma",
                place,
                format!(", {list}"),
            )
        });
        extends.extend(names.into_iter().map(|(offset, name)| {
            let from = start + offset as u32;
            Ident {
                text: SmolStr::new(name),
                span: Span::new(self.file, from, from + name.len() as u32),
            }
        }));
    }

    /// Reports `extends` inside a body, and moves its parents to the header.
    pub(super) fn take_stray_parents(
        &mut self,
        body: &mut Vec<Stmt>,
        header_end: u32,
        extends: &mut Vec<Ident>,
    ) {
        let mut stray = std::mem::take(&mut self.stray_parents);
        body.retain(|stmt| match stmt {
            Stmt::Set(set) if set.name.text == "extends" => {
                stray.push((set.span, names_of(&set.value)));
                false
            }
            _ => true,
        });
        for (span, names) in stray {
            let found = Diagnostic::new(
                Code::Syntax,
                span,
                "`extends` must follow the name of the image or layer",
            );
            let list = names
                .iter()
                .map(|name| name.text.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            let text = if extends.is_empty() {
                format!(" extends {list}")
            } else {
                format!(", {list}")
            };
            let edits = vec![
                (Span::new(self.file, header_end, header_end), text),
                (self.whole_line(span), String::new()),
            ];
            let found = if names.is_empty() {
                found.help("write `image NAME extends A, B { … }`")
            } else {
                fix_all(found, format!("move it there: `extends {list}`"), edits)
            };
            // Its line can be before lines that have been reported, so it does not go through `report`.
            self.diagnostics.push(found);
            extends.extend(names);
        }
    }

    /// Extends a statement to its whole line if the line contains nothing else, or to the comma after it.
    fn whole_line(&self, span: Span) -> Span {
        let (start, end) = (span.start as usize, span.end as usize);
        let line = part(self.text, ..start).rfind('\n').map_or(0, |at| at + 1);
        let behind = part(self.text, end..)
            .find('\n')
            .map_or(self.text.len(), |at| end + at + 1);
        if part(self.text, line..start).trim().is_empty()
            && part(self.text, end..behind).trim().is_empty()
        {
            return Span::new(self.file, line as u32, behind as u32);
        }
        let rest = part(self.text, end..behind);
        let comma = rest
            .trim_start()
            .strip_prefix(',')
            .map_or(0, |after| rest.len() - after.trim_start().len());
        Span::new(self.file, span.start, (end + comma) as u32)
    }

    /// Returns the wrong operator that a statement has instead of `=`.
    pub(super) fn colon_of(&self, at: usize) -> Option<usize> {
        let node = if self.kind(at) == Kind::final_ {
            self.tree.children(at).next()?
        } else {
            at
        };
        self.tree
            .children(node)
            .find(|child| self.kind(*child) == Kind::wrong_colon)
    }

    pub(super) fn is_else(&self, at: usize) -> bool {
        match self.kind(at) {
            Kind::nested => self
                .tree
                .children(at)
                .next()
                .is_some_and(|name| self.slice(name) == "else"),
            Kind::wrong_when => self.slice(at).starts_with("el"),
            _ => false,
        }
    }

    /// Returns whether `next` is junk on the line of a statement.
    pub(super) fn is_tail(&self, statement: usize, next: usize) -> bool {
        if self.kind(next) != Kind::junk_entry {
            return false;
        }
        let between = part(
            self.text,
            self.tree.node(statement).end as usize..self.tree.node(next).start as usize,
        );
        between.trim_matches([' ', '\t']).is_empty()
    }

    pub(super) fn lower_set_with_tail(&mut self, at: usize, tail: Option<usize>) -> Option<Set> {
        let (node, is_final) = match self.kind(at) {
            Kind::final_ => (self.tree.children(at).next()?, true),
            _ => (at, false),
        };
        let explained = tail.and_then(|tail| self.explain_tail(at, node, tail));
        let (found, keeps_value) =
            explained.map_or((None, true), |e| (Some(e.found), e.keeps_value));
        if let Some(found) = found {
            self.report(found);
        }
        let mut set = self.lower_set(node, is_final)?;
        if !keeps_value {
            set.value.kind = ExprKind::Missing;
        }
        Some(set)
    }

    fn explain_tail(&self, statement: usize, set: usize, tail: usize) -> Option<Explained> {
        let mut children = self.cursor(set);
        let name = children.next()?;
        let operator = [Kind::append, Kind::remove, Kind::wrong_colon];
        let first = children.find(|child| !operator.contains(&self.kind(*child)))?;
        let text = self.slice(tail);
        let text = text
            .find(" #")
            .map_or(text, |at| part(text, ..at))
            .trim_end();
        let junk = self.tree.node(tail).start;
        let is_missing = self.kind(first) == Kind::missing_value;
        let start = if is_missing {
            junk
        } else {
            self.tree.node(first).start
        };
        let end = self.tree.node(set).end.max(start);
        let tail = Tail {
            set: self.span(statement),
            name: self.slice(name),
            value_start: start,
            value: if is_missing {
                ""
            } else {
                part(self.text, start as usize..end as usize).trim_end()
            },
            junk: Span::new(self.file, junk, junk + text.len() as u32),
            text,
        };
        Some(tail.explain())
    }

    /// Reports junk at the beginning of a line, or after a comma.
    pub(super) fn lower_junk_entry(&mut self, at: usize, before: Option<usize>) {
        let (span, text) = (self.span(at), self.slice(at).trim_end());
        if self.depth == 1
            && recover::first_word(text) == "extends"
            && let Some(names) = recover::parents_in(text, false)
        {
            let span = Span::new(self.file, span.start, span.start + text.len() as u32);
            let names = names.into_iter().map(|(offset, name)| {
                let from = span.start + offset as u32;
                Ident {
                    text: SmolStr::new(name),
                    span: Span::new(self.file, from, from + name.len() as u32),
                }
            });
            self.stray_parents.push((span, names.collect()));
            return;
        }
        let unset = before.filter(|before| self.kind(*before) == Kind::unset);
        let unset = unset.filter(|unset| !self.has_newline(*unset, at));
        let code = text
            .find(" #")
            .map_or(text, |comment| part(text, ..comment).trim_end());
        let found = match unset.and_then(|unset| Some((unset, recover::names_in(code)?))) {
            Some((unset, names)) => {
                let names_span = Span::new(self.file, span.start, span.start + code.len() as u32);
                let place = Span {
                    start: self.tree.node(unset).end,
                    ..names_span
                };
                let more = recover::unset_all(&names);
                Diagnostic::new(Code::Syntax, names_span, "`unset` expects one name").fix(
                    format!("write `{more}`"),
                    place,
                    format!(", {more}"),
                )
            }
            None => recover::explain_entry(span, text),
        };
        self.report(found);
    }

    pub(super) fn has_newline(&self, from: usize, to: usize) -> bool {
        part(
            self.text,
            self.tree.node(from).end as usize..self.tree.node(to).start as usize,
        )
        .contains('\n')
    }

    /// Reports `if condition { … }` or a similar word instead of `when`.
    pub(super) fn report_wrong_when(&mut self, at: usize, before: Option<usize>) {
        let Some(word) = self.tree.children(at).next() else {
            return;
        };
        if self.is_else(at) {
            return self.report_else(at, before);
        }
        let span = self.span(word);
        let found = Diagnostic::new(
            Code::Syntax,
            span,
            "expected `when condition { … }` around conditional settings",
        );
        self.report(match (self.slice(word), self.condition_of(at)) {
            ("unless", Some(condition)) => {
                let text = format!("when not ({})", self.text_of(condition));
                found.fix(format!("write `{text}`"), span.to(condition), text)
            }
            _ => found.fix("write `when`", span, "when"),
        });
    }

    /// Reports `else`, which `when` does not have.
    pub(super) fn report_else(&mut self, at: usize, before: Option<usize>) {
        let Some(word) = self.tree.children(at).next() else {
            return;
        };
        let span = self.span(word);
        let found = Diagnostic::new(Code::Syntax, span, "a `when` block cannot have an `else`");
        let asked = before.filter(|b| {
            matches!(self.kind(*b), Kind::when | Kind::wrong_when) && !self.is_else(*b)
        });
        let Some((first, condition)) = asked.and_then(|b| Some((b, self.condition_of(b)?))) else {
            return self.report(found.help("write another `when` with the opposite condition"));
        };
        let mut text = format!("when not ({})", self.text_of(condition));
        let mut end = span.end;
        if let Some(own) = self
            .condition_of(at)
            .filter(|_| self.kind(at) == Kind::wrong_when)
        {
            text = format!("{text} and ({})", self.text_of(own));
            end = own.end;
        }
        let (start, first) = (
            self.tree.node(first).end,
            self.tree.node(first).start as usize,
        );
        let line = part(self.text, ..first).rfind('\n').map_or(0, |i| i + 1);
        let indent: String = part(self.text, line..first)
            .chars()
            .take_while(|c| c.is_whitespace())
            .collect();
        self.report(found.fix(
            format!("write `{text}`"),
            Span::new(self.file, start, end),
            format!("\n{indent}{text}"),
        ));
    }

    /// Returns the place of a `when`'s condition.
    fn condition_of(&self, at: usize) -> Option<Span> {
        let mut span: Option<Span> = None;
        for child in self
            .cursor(at)
            .filter(|child| self.kind(*child) != Kind::wrong_if)
        {
            if matches!(
                self.kind(child),
                Kind::block | Kind::missing_block | Kind::junk_header
            ) {
                break;
            }
            span = Some(span.map_or(self.span(child), |span| span.to(self.span(child))));
        }
        span.filter(|span| span.start < span.end)
    }

    fn text_of(&self, span: Span) -> &'t str {
        part(self.text, span.start as usize..span.end as usize)
    }

    /// Lowers a block with an invalid header. Its statements are checked, but never take effect.
    pub(super) fn lower_under_nothing(&mut self, at: usize) -> Option<Stmt> {
        let block = self
            .tree
            .children(at)
            .find(|child| self.kind(*child) == Kind::block)?;
        let span = self.span(at);
        Some(Stmt::When {
            condition: Expr {
                kind: ExprKind::Missing,
                span,
            },
            body: self.lower_block(block),
            span,
        })
    }

    pub(super) fn lower_junk_block(&mut self, at: usize) -> Option<Stmt> {
        let head = self
            .tree
            .children(at)
            .find(|child| self.kind(*child) == Kind::junk_head)?;
        let (span, text) = (self.span(head), self.slice(head));
        self.report(recover::explain_block(span, text));
        let is_when = crate::diagnostic::nearest(recover::first_word(text), ["when"]).is_some();
        is_when.then(|| self.lower_under_nothing(at)).flatten()
    }

    pub(crate) fn report_wrong_colon(&mut self, at: usize) {
        let span = self.span(at);
        let written = self.slice(at);
        let before = if part(self.text, ..span.start as usize).ends_with([' ', '\t']) {
            ""
        } else {
            " "
        };
        let after = if part(self.text, span.end as usize..).starts_with([' ', '\t', '\n']) {
            ""
        } else {
            " "
        };
        self.report(
            Diagnostic::new(
                Code::Syntax,
                span,
                format!("expected `=`, found `{written}`"),
            )
            .label("a setting uses `=`")
            .fix(
                format!("replace `{written}` with `=`"),
                span,
                format!("{before}={after}"),
            ),
        );
    }

    pub(super) fn report_junk_header(&mut self, at: usize, wanted: &str) {
        let text = self.slice(at).trim_end();
        let start = self.tree.node(at).start;
        let span = Span::new(self.file, start, start + text.len() as u32);
        if text.is_empty() {
            return;
        }
        self.report(
            Diagnostic::new(
                Code::Syntax,
                span,
                format!("expected {wanted}, found `{}`", recover::shorten(text)),
            )
            .label("this is not allowed here"),
        );
    }
}

/// Returns the names in a value: a name, a string or a list of these.
pub(super) fn names_of(value: &Expr) -> Vec<Ident> {
    match &value.kind {
        ExprKind::Name(text) => vec![Ident {
            text: text.clone(),
            span: value.span,
        }],
        ExprKind::Str(text) if recover::is_name(text) => {
            let inner = Span::new(
                value.span.file,
                value.span.start + 1,
                value.span.end.saturating_sub(1),
            );
            vec![Ident {
                text: text.clone(),
                span: inner,
            }]
        }
        ExprKind::List(elements) => elements.iter().flat_map(names_of).collect(),
        _ => Vec::new(),
    }
}
