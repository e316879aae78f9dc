//! Tree to typed view: items, statements and types. Expressions are in `expr.rs`, strings in `text.rs`.

use super::ast::*;
use super::explain;
use super::tree::{Kind, Tree};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Span};
use smol_str::SmolStr;

/// How deep blocks, brackets and conditionals may nest. Bounds recursion, here and everywhere behind.
pub(super) const MAX_DEPTH: usize = 128;

pub(super) fn lower_file(file: FileId, text: &str, tree: &Tree) -> (File, Vec<Diagnostic>) {
    let mut lowering = Lowering { file, text, tree, diagnostics: Vec::new(), depth: 0, quiet_until: 0 };
    let items = lowering.lower_items();
    (File { items }, lowering.diagnostics)
}

/// A setting that stands alone.
pub(super) fn lower_setting(file: FileId, text: &str, tree: &Tree) -> Option<(Set, Vec<Diagnostic>)> {
    let mut lowering = Lowering { file, text, tree, diagnostics: Vec::new(), depth: 0, quiet_until: 0 };
    let set = lowering.lower_set(0, false)?;
    Some((set, lowering.diagnostics))
}

pub(super) struct Lowering<'t> {
    pub file: FileId,
    pub text: &'t str,
    pub tree: &'t Tree,
    pub diagnostics: Vec<Diagnostic>,
    pub depth: usize,
    /// Up to here a syntax error has been reported; more junk on that line adds nothing.
    pub quiet_until: u32,
}

impl<'t> Lowering<'t> {
    pub fn span(&self, at: usize) -> Span {
        let node = self.tree.node(at);
        Span::new(self.file, node.start, node.end)
    }

    pub fn kind(&self, at: usize) -> Kind {
        self.tree.node(at).kind
    }

    pub fn slice(&self, at: usize) -> &'t str {
        let node = self.tree.node(at);
        &self.text[node.start as usize..node.end as usize]
    }

    /// Reports a syntax error, unless one has been reported on that line before it.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        let at = diagnostic.primary.span.start;
        if at < self.quiet_until {
            return;
        }
        let rest = &self.text.as_bytes()[(at as usize).min(self.text.len())..];
        let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.quiet_until = at + line as u32;
        self.diagnostics.push(diagnostic);
    }

    fn ident(&self, at: usize) -> Ident {
        Ident { text: SmolStr::new(self.slice(at)), span: self.span(at) }
    }

    fn lower_items(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        let mut doc = String::new();
        let mut is_first = true;
        let mut in_junk = false;
        let tree = self.tree;
        for at in tree.children(0) {
            let kind = self.kind(at);
            if kind == Kind::comment {
                if let Some(line) = self.slice(at).strip_prefix("##") {
                    let line = line.trim_end();
                    doc.push_str(line.strip_prefix(' ').unwrap_or(line));
                    doc.push('\n');
                }
                is_first = true;
                continue;
            }
            if kind == Kind::junk_item {
                if !in_junk {
                    let found = explain::explain_item(self.span(at), self.slice(at));
                    self.report(found);
                }
                in_junk = true;
                continue;
            }
            if kind == Kind::EOI {
                break;
            }
            self.check_separator(&mut is_first, at);
            in_junk = false;
            let doc = take_doc(&mut doc);
            match kind {
                Kind::include => items.extend(self.lower_include(at)),
                Kind::type_decl => items.extend(self.lower_type_decl(at, doc)),
                Kind::variable => items.extend(self.lower_variable(at, doc)),
                Kind::section => items.extend(self.lower_section(at, doc)),
                Kind::test => self.report_reserved(at),
                _ => {}
            }
        }
        items
    }

    /// Two statements on one line need a comma between them.
    fn check_separator(&mut self, is_first: &mut bool, at: usize) {
        let node = self.tree.node(at);
        if !std::mem::replace(is_first, false) {
            let before = self.text[..node.start as usize].trim_end_matches([' ', '\t', '\r']);
            if !before.ends_with(['\n', ',']) {
                let span = Span::new(self.file, node.start, node.start);
                self.report(
                    Diagnostic::new(
                        Code::Syntax,
                        self.span(at),
                        "two statements stand on one line without a comma",
                    )
                    .label("the second begins here")
                    .help("put it on a line of its own, or a comma between the two")
                    .fix("insert a comma", span, ", "),
                );
            }
        }
    }

    fn report_reserved(&mut self, at: usize) {
        if let Some(found) = explain::explain_reserved(self.span(at), self.slice(at)) {
            self.report(found);
        }
    }

    fn lower_include(&mut self, at: usize) -> Option<Item> {
        let (mut path, mut name) = (None, None);
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name => name = Some(self.ident(child)),
                Kind::junk_header => {
                    self.report_junk_header(child, "a path in quotes, and perhaps `as NAME`")
                }
                Kind::missing_value => {
                    self.report_missing(child, "a path in quotes", "write `include \"path.imgspec\"`")
                }
                _ => path = Some(self.lower_constant_text(child)),
            }
        }
        Some(Item::Include(Include { path: path?, name }))
    }

    fn lower_type_decl(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        let (mut name, mut ty, mut matching) = (None, None, None);
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name => name = Some(self.ident(child)),
                Kind::type_ | Kind::missing_type => ty = Some(self.lower_type(child)),
                Kind::junk_header => {
                    self.report_junk_header(child, "`matching` and a pattern, or the end of the line")
                }
                _ => matching = Some(self.lower_constant_text(child)),
            }
        }
        Some(Item::Type(TypeDecl { name: name?, ty: ty?, matching, doc }))
    }

    fn lower_variable(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        let (mut name, mut ty, mut default, mut attributes) = (None, None, None, Vec::new());
        let mut cursor = self.cursor(at);
        while let Some(child) = cursor.peek() {
            match self.kind(child) {
                Kind::name if name.is_none() => name = Some(self.ident(child)),
                Kind::missing_name => {
                    self.report_missing(child, "a name", "write `variable name : type = default`")
                }
                Kind::type_ | Kind::missing_type => ty = Some(self.lower_type(child)),
                Kind::block => attributes = self.lower_block(child),
                Kind::junk_header => self.report_junk_header(child, "`: type`, `= default` or `{`"),
                _ => {
                    default = Some(self.lower_expr(&mut cursor));
                    continue;
                }
            }
            cursor.next();
        }
        Some(Item::Variable(Variable { name: name?, ty, default, attributes, doc }))
    }

    fn lower_section(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        let (mut kind, mut name, mut extends, mut body) = (SectionKind::Layer, None, Vec::new(), Vec::new());
        let mut word = "";
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::section_kind => {
                    word = self.slice(child);
                    kind = match word {
                        "image" => SectionKind::Image,
                        "provider" => SectionKind::Provider,
                        "rule" => SectionKind::Rule,
                        _ => SectionKind::Layer,
                    };
                }
                Kind::name => name = Some(self.ident(child)),
                Kind::missing_name => self.report_missing(
                    child,
                    &format!("the {word}'s name"),
                    &format!("write `{word} name {{`"),
                ),
                Kind::extends => extends = self.lower_extends(child),
                Kind::junk_header => self.report_junk_header(child, "`extends` and names, or `{`"),
                Kind::missing_block => {
                    self.report_missing(child, "`{`", "the body stands in braces; `{ }` is an empty one")
                }
                Kind::block if word != "matrix" => body = self.lower_block(child),
                _ => {}
            }
        }
        if word == "matrix" {
            self.report_reserved(at);
            return None;
        }
        Some(Item::Section(Section { kind, name: name?, extends, body, doc, span: self.span(at) }))
    }

    fn lower_extends(&mut self, at: usize) -> Vec<Ident> {
        let mut names = Vec::new();
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name => names.push(self.ident(child)),
                Kind::missing_name => {
                    self.report_missing(child, "the name of a layer or image", "name it, or remove the comma")
                }
                _ => {}
            }
        }
        names
    }

    pub fn lower_type(&mut self, at: usize) -> TypeExpr {
        let span = self.span(at);
        let mut ty = TypeExpr { kind: TypeKind::Missing, optional: false, span };
        if self.kind(at) == Kind::missing_type {
            self.report_missing(at, "a type", "such as `string`, `bool`, `[string]` or `\"a\" | \"b\"`");
            return ty;
        }
        if self.is_too_deep(at) {
            return ty;
        }
        self.depth += 1;
        let mut choices = Vec::new();
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name => ty.kind = TypeKind::Named(SmolStr::new(self.slice(child))),
                Kind::optional => ty.optional = true,
                Kind::list_type => ty.kind = TypeKind::List(Box::new(self.lower_element_type(child, "]"))),
                Kind::map_type => ty.kind = TypeKind::Map(Box::new(self.lower_element_type(child, "}"))),
                _ => choices.push(self.lower_constant_text(child).text),
            }
        }
        self.depth -= 1;
        if !choices.is_empty() {
            ty.kind = TypeKind::OneOf(choices);
        }
        ty
    }

    fn lower_element_type(&mut self, at: usize, closing: &str) -> TypeExpr {
        let mut element = TypeExpr { kind: TypeKind::Missing, optional: false, span: self.span(at) };
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::missing_close => self.report_unclosed(at, child, closing),
                _ => element = self.lower_type(child),
            }
        }
        element
    }

    pub fn lower_block(&mut self, at: usize) -> Vec<Stmt> {
        let mut body = Vec::new();
        if self.is_too_deep(at) {
            return body;
        }
        self.depth += 1;
        let mut is_first = true;
        let mut in_junk = false;
        let tree = self.tree;
        for child in tree.children(at) {
            match self.kind(child) {
                Kind::comment => {
                    is_first = true;
                    continue;
                }
                Kind::missing_close => {
                    self.report_unclosed(at, child, "}");
                    continue;
                }
                Kind::junk_entry => {
                    if !in_junk {
                        let found = explain::explain_entry(self.span(child), self.slice(child));
                        self.report(found);
                    }
                    in_junk = true;
                    continue;
                }
                _ => {}
            }
            self.check_separator(&mut is_first, child);
            in_junk = false;
            match self.kind(child) {
                Kind::set => body.extend(self.lower_set(child, false).map(Stmt::Set)),
                Kind::final_ => {
                    for inner in tree.children(child) {
                        body.extend(self.lower_set(inner, true).map(Stmt::Set));
                    }
                }
                Kind::unset => {
                    if let Some(name) = tree.children(child).next() {
                        body.push(Stmt::Unset { name: self.ident(name), span: self.span(child) });
                    }
                }
                Kind::when => body.push(self.lower_when(child)),
                Kind::nested => body.extend(self.lower_nested(child)),
                Kind::axis => self.report_reserved(child),
                Kind::assert_ => self.report_reserved(child),
                _ => {}
            }
        }
        self.depth -= 1;
        body
    }

    fn lower_set(&mut self, at: usize, is_final: bool) -> Option<Set> {
        let mut cursor = self.cursor(at);
        let first = cursor.next()?;
        let name = match self.kind(first) {
            Kind::name => self.ident(first),
            _ => self.lower_constant_text(first),
        };
        let mut op = SetOp::Replace;
        match cursor.peek().map(|c| self.kind(c)) {
            Some(Kind::append) => op = SetOp::Append,
            Some(Kind::remove) => op = SetOp::Remove,
            Some(Kind::wrong_colon) => {
                if let Some(colon) = cursor.peek() {
                    self.report_wrong_colon(colon);
                }
            }
            _ => {}
        }
        if cursor
            .peek()
            .is_some_and(|c| matches!(self.kind(c), Kind::append | Kind::remove | Kind::wrong_colon))
        {
            cursor.next();
        }
        let value = self.lower_expr(&mut cursor);
        Some(Set { name, op, value, is_final, span: self.span(at) })
    }

    fn lower_when(&mut self, at: usize) -> Stmt {
        let mut cursor = self.cursor(at);
        let condition = self.lower_expr(&mut cursor);
        let mut body = Vec::new();
        for child in cursor {
            match self.kind(child) {
                Kind::junk_header => {
                    self.report_junk_header(child, "`{` after the condition (equality is `==`)")
                }
                Kind::missing_block => self.report_missing(child, "`{`", "write `when condition { … }`"),
                Kind::block => body = self.lower_block(child),
                _ => {}
            }
        }
        Stmt::When { condition, body, span: self.span(at) }
    }

    fn lower_nested(&mut self, at: usize) -> Option<Stmt> {
        let mut children = self.tree.children(at);
        let name = self.ident(children.next()?);
        let block = children.next()?;
        if let Some(found) = explain::explain_reserved(name.span, &name.text) {
            self.report(found);
            return None;
        }
        Some(Stmt::Block { name, body: self.lower_block(block), span: self.span(at) })
    }

    // ---- reports that several places need ---------------------------------------------------

    pub fn is_too_deep(&mut self, at: usize) -> bool {
        let deep = self.depth >= MAX_DEPTH;
        if deep {
            self.report(
                Diagnostic::new(
                    Code::Syntax,
                    self.span(at),
                    format!("nested more than {MAX_DEPTH} levels deep"),
                )
                .help("name a part of it in a variable of its own"),
            );
        }
        deep
    }

    pub fn report_missing(&mut self, at: usize, wanted: &str, help: &str) {
        // A place at the end of a line is shown at the last character before it.
        let end = self.text[..self.tree.node(at).start as usize].trim_end().len() as u32;
        let start = self.text[..end as usize].char_indices().next_back().map_or(0, |(i, _)| i as u32);
        self.report(
            Diagnostic::new(Code::Syntax, Span::new(self.file, start, end), format!("expected {wanted}"))
                .label("missing after this")
                .help(help),
        );
    }

    pub fn report_unclosed(&mut self, opener: usize, at: usize, closing: &str) {
        let open = self.tree.node(opener).start;
        let width = if self.text[open as usize..].starts_with("${") { 2 } else { 1 };
        let end = self.tree.node(at).start;
        let opening = &self.text[open as usize..(open + width) as usize];
        self.report(
            Diagnostic::new(
                Code::Unclosed,
                Span::new(self.file, open, open + width),
                format!("this `{opening}` is never closed"),
            )
            .label("opened here")
            .related(Span::new(self.file, end, end), format!("`{closing}` is missing here at the latest"))
            .help(format!("add `{closing}`")),
        );
    }

    pub fn report_wrong_colon(&mut self, at: usize) {
        let span = self.span(at);
        self.report(
            Diagnostic::new(Code::Syntax, span, "a value is set with `=`, not with `:`")
                .label("write ` =`")
                .fix("replace `:` by ` =`", span, " ="),
        );
    }

    fn report_junk_header(&mut self, at: usize, wanted: &str) {
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
                format!("expected {wanted}, found `{}`", explain::shorten(text)),
            )
            .label("this does not belong here"),
        );
    }
}

fn take_doc(doc: &mut String) -> Option<String> {
    let taken = std::mem::take(doc);
    let taken = taken.trim();
    (!taken.is_empty()).then(|| taken.to_owned())
}
