//! Items, statements and types. `expr.rs` handles expressions, and `string.rs` handles strings.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, MAX_DEPTH, MAX_SYNTAX_ERRORS, Span, part};
use crate::syntax::Parse;
use crate::syntax::ast::*;
use crate::syntax::blocks::{Meant, meant_by};
use crate::syntax::mistakes::names_of;
use crate::syntax::plain::trim_comment;
use crate::syntax::recover;
use crate::syntax::tree::{Kind, Tree};
use crate::syntax::unopened;
use smol_str::SmolStr;

/// Returns a parsed file with its typed view and its errors.
pub(crate) fn lower_file(file: FileId, text: &str, tree: Tree) -> Parse {
    let mut lowering = ToAst::new(file, text, &tree);
    let items = lowering.lower_items();
    let cut = lowering.cut_from();
    let mut diagnostics = lowering.diagnostics;
    let replaced = unopened::merge(file, text, &tree, &mut diagnostics);
    Parse {
        tree,
        file: File { items },
        diagnostics,
        replaced,
        cut,
    }
}

/// Lowers a single setting.
pub(crate) fn lower_setting(
    file: FileId,
    text: &str,
    tree: &Tree,
) -> Option<(Set, Vec<Diagnostic>)> {
    let mut lowering = ToAst::new(file, text, tree);
    let set = lowering.lower_set(0, false)?;
    if let Some(colon) = lowering.colon_of(0) {
        lowering.report_wrong_colon(colon);
    }
    Some((set, lowering.diagnostics))
}

/// Converts the nodes of a tree, with the diagnostics found on the way.
pub(crate) struct ToAst<'t> {
    pub file: FileId,
    pub text: &'t str,
    pub tree: &'t Tree,
    pub diagnostics: Vec<Diagnostic>,
    pub depth: usize,
    /// The end of the last line with a syntax error. `report` drops further errors before it.
    pub quiet_until: u32,
    /// Whether the parser is inside a condition.
    pub in_condition: bool,
    /// Whether the current section is a matrix.
    pub in_matrix: bool,
    /// Misplaced `extends` in the body of the current section: the place and the names.
    pub stray_parents: Vec<(Span, Vec<Ident>)>,
}

impl<'t> ToAst<'t> {
    pub(crate) fn new(file: FileId, text: &'t str, tree: &'t Tree) -> ToAst<'t> {
        ToAst {
            file,
            text,
            tree,
            diagnostics: Vec::new(),
            depth: 0,
            quiet_until: 0,
            in_condition: false,
            in_matrix: false,
            stray_parents: Vec::new(),
        }
    }

    pub(crate) fn span(&self, at: usize) -> Span {
        let node = self.tree.node(at);
        Span::new(self.file, node.start, node.end)
    }

    pub(crate) fn kind(&self, at: usize) -> Kind {
        self.tree.node(at).kind
    }

    pub(crate) fn slice(&self, at: usize) -> &'t str {
        let node = self.tree.node(at);
        part(self.text, node.start as usize..node.end as usize)
    }

    /// Reports a syntax error, unless an earlier one is on the same line.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        let at = diagnostic.primary.span.start;
        if at < self.quiet_until {
            return;
        }
        let rest = part(self.text, at as usize..);
        let line = rest.find('\n').unwrap_or(rest.len());
        self.quiet_until = at + line as u32;
        self.diagnostics.push(diagnostic);
        self.cut();
    }

    /// Reports only the first errors of a file that has very many.
    pub(crate) fn cut(&mut self) {
        if self.diagnostics.len() <= MAX_SYNTAX_ERRORS {
            return;
        }
        self.diagnostics.truncate(MAX_SYNTAX_ERRORS + 1);
        self.quiet_until = u32::MAX;
        if let Some(last) = self.diagnostics.last_mut() {
            let message = format!("this file has more than {MAX_SYNTAX_ERRORS} syntax errors");
            *last = Diagnostic::new(Code::Syntax, last.primary.span, message)
                .label("the following ones are not reported")
                .help("correct the first ones, or remove the file if it is not a spec");
        }
    }

    /// Returns the place of the first error that is not reported.
    fn cut_from(&self) -> Option<u32> {
        let last = self.diagnostics.get(MAX_SYNTAX_ERRORS)?;
        Some(last.primary.span.start)
    }

    pub(super) fn ident(&self, at: usize) -> Ident {
        Ident {
            text: SmolStr::new(self.slice(at)),
            span: self.span(at),
        }
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
                    let line = trim_comment(line);
                    doc.push_str(line.strip_prefix(' ').unwrap_or(line));
                    doc.push('\n');
                }
                is_first = true;
                continue;
            }
            if kind == Kind::junk_item
                || kind == Kind::wrong_section && self.kind_of_wrong(at).is_none()
            {
                if !in_junk {
                    self.report_wrong_item(at);
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
                Kind::test => items.extend(self.lower_test(at, doc)),
                Kind::waive => items.extend(self.lower_waiver(at)),
                Kind::wrong_section => items.extend(self.lower_wrong_section(at, doc)),
                _ => {}
            }
        }
        items
    }

    fn lower_include(&mut self, at: usize) -> Option<Item> {
        let (mut path, mut name) = (None, None);
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name => name = Some(self.ident(child)),
                Kind::junk_header if path.is_none() => path = self.lower_bare_path(child),
                Kind::junk_header => {
                    self.report_junk_header(child, "a path in quotes, with an optional `as NAME`")
                }
                Kind::missing_value => {}
                _ => path = Some(self.lower_constant_text(child)),
            }
        }
        if path.is_none() {
            self.report_missing_at(
                self.tree.node(at).end,
                "a path in quotes",
                "write `include \"path.imgspec\"`",
            );
        }
        Some(Item::Include(Include { path: path?, name }))
    }

    fn lower_type_decl(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        let (mut name, mut ty, mut matching) = (None, None, None);
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name => name = Some(self.ident(child)),
                Kind::quoted_name => {
                    name = Some(self.unquoted(child));
                    self.report_quoted_names(&[child]);
                }
                Kind::type_ | Kind::missing_type => ty = Some(self.lower_type(child)),
                Kind::junk_header => self
                    .report_junk_header(child, "`matching` and a pattern, or the end of the line"),
                _ => matching = Some(self.lower_constant_text(child)),
            }
        }
        Some(Item::Type(TypeDecl {
            name: name?,
            ty: ty?,
            matching,
            doc,
        }))
    }

    fn lower_variable(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        let (mut name, mut ty, mut default, mut attributes) = (None, None, None, Vec::new());
        let mut quoted = None;
        let mut block = None;
        let mut cursor = self.cursor(at);
        while let Some(child) = cursor.peek() {
            match self.kind(child) {
                Kind::name if name.is_none() => name = Some(self.ident(child)),
                Kind::quoted_name => {
                    name = Some(self.unquoted(child));
                    quoted = Some(child);
                }
                Kind::missing_name => {
                    self.report_missing(child, "a name", "write `variable name : type = default`")
                }
                Kind::type_ | Kind::missing_type => ty = Some(self.lower_type(child)),
                Kind::block => block = Some(child),
                Kind::junk_header => self.lower_junk_of_variable(child, &mut ty),
                _ => {
                    default = Some(self.lower_expr(&mut cursor));
                    continue;
                }
            }
            cursor.next();
        }
        if let Some(block) = block {
            // The header comes before the block, so its errors are reported first.
            let said = self.diagnostics.len();
            attributes = self.lower_block(block);
            let sound = self.diagnostics.len() == said;
            let name = name.as_ref().map(|name: &Ident| name.text.clone());
            if let Some(name) = name.filter(|_| sound && ty.is_none() && default.is_none()) {
                let is_said = self.move_type(at, &name, block, &mut attributes, &mut ty);
                quoted = quoted.filter(|_| !is_said);
            }
        }
        if let Some(quoted) = quoted {
            self.report_quoted_names(&[quoted]);
        }
        Some(Item::Variable(Variable {
            name: name?,
            ty,
            default,
            attributes,
            doc,
        }))
    }

    pub(crate) fn lower_section(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        let (mut kind, mut name, mut extends, mut body) =
            (SectionKind::Layer, None, Vec::new(), Vec::new());
        let mut word = "";
        let mut quoted = Vec::new();
        // The end of the header, where a fix inserts parents.
        let mut header_end = self.tree.node(at).start;
        self.stray_parents.clear();
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::section_kind | Kind::wrong_kind => {
                    word = self.slice(child);
                    kind = match recover::nearest_item(word).unwrap_or(word) {
                        "image" => SectionKind::Image,
                        "provider" => SectionKind::Provider,
                        "rule" => SectionKind::Rule,
                        "probe" => SectionKind::Probe,
                        "matrix" => SectionKind::Matrix,
                        _ => SectionKind::Layer,
                    };
                }
                Kind::name => {
                    name = Some(self.ident(child));
                    header_end = self.tree.node(child).end;
                }
                Kind::quoted_name => {
                    name = Some(self.unquoted(child));
                    quoted.push(child);
                    header_end = self.tree.node(child).end;
                }
                Kind::missing_name => self.report_missing(
                    child,
                    &format!("the {word}'s name"),
                    &format!(
                        "write `{word} NAME {{`; a name contains letters, digits, `-`, `_` and `.`"
                    ),
                ),
                Kind::extends => {
                    extends = self.lower_extends(child, &mut quoted);
                    header_end = extends.last().map_or(header_end, |last| last.span.end);
                }
                Kind::junk_header => self.lower_junk_of_section(child, header_end, &mut extends),
                Kind::missing_block => self.report_missing(
                    child,
                    "`{`",
                    "put the body in braces, or write `{ }` for an empty body",
                ),
                Kind::block => {
                    self.report_quoted_names(&std::mem::take(&mut quoted));
                    self.in_matrix = kind == SectionKind::Matrix;
                    body = self.lower_block(child);
                    self.in_matrix = false;
                }
                _ => {}
            }
        }
        self.report_quoted_names(&quoted);
        self.take_stray_parents(&mut body, header_end, &mut extends);
        Some(Item::Section(Section {
            kind,
            name: name?,
            extends,
            body,
            doc,
            span: self.span(at),
        }))
    }

    fn lower_extends(&mut self, at: usize, quoted: &mut Vec<usize>) -> Vec<Ident> {
        let mut names = Vec::new();
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::name => names.push(self.ident(child)),
                Kind::quoted_name => {
                    names.push(self.unquoted(child));
                    quoted.push(child);
                }
                Kind::missing_name => self.report_missing(
                    child,
                    "the name of a layer or image",
                    "add the name, or remove the comma",
                ),
                _ => {}
            }
        }
        names
    }

    pub(crate) fn lower_type(&mut self, at: usize) -> TypeExpr {
        let span = self.span(at);
        let mut ty = TypeExpr {
            kind: TypeKind::Missing,
            optional: false,
            span,
        };
        if self.kind(at) == Kind::missing_type {
            self.report_missing(
                at,
                "a type",
                "write a type, such as `string`, `bool`, `[string]` or `\"a\" | \"b\"`",
            );
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
                Kind::list_type => {
                    ty.kind = TypeKind::List(Box::new(self.lower_element_type(child, "]")))
                }
                Kind::map_type => {
                    ty.kind = TypeKind::Map(Box::new(self.lower_element_type(child, "}")))
                }
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
        let mut element = TypeExpr {
            kind: TypeKind::Missing,
            optional: false,
            span: self.span(at),
        };
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::missing_close => self.report_unclosed(at, child, closing),
                _ => element = self.lower_type(child),
            }
        }
        element
    }

    pub(crate) fn lower_block(&mut self, at: usize) -> Vec<Stmt> {
        if self.is_too_deep(at) {
            return Vec::new();
        }
        let mut body = Vec::with_capacity(self.tree.children(at).count());
        self.depth += 1;
        let mut is_first = true;
        let mut in_junk = false;
        let tree = self.tree;
        let mut children = tree.children(at).peekable();
        // The previous statement, unless it has an error.
        let mut before = None;
        while let Some(child) = children.next() {
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
                        self.lower_junk_entry(child, before);
                    }
                    in_junk = true;
                    continue;
                }
                _ => {}
            }
            let is_else = self.is_else(child);
            if !is_else {
                self.check_separator(&mut is_first, child);
            }
            in_junk = false;
            match self.kind(child) {
                Kind::set | Kind::final_ => {
                    let tail = children
                        .peek()
                        .copied()
                        .filter(|next| self.is_tail(child, *next));
                    let colon = self.colon_of(child);
                    let set = self.lower_set_with_tail(child, tail);
                    if let Some(set) = set
                        .as_ref()
                        .filter(|set| self.depth == 1 && names_image(set))
                    {
                        self.stray_parents.push((set.span, names_of(&set.value)));
                        before = Some(child);
                        continue;
                    }
                    let meant = set
                        .as_ref()
                        .filter(|_| colon.is_some())
                        .and_then(|set| meant_by(set, self.text));
                    if let Some(Meant { found, statements }) = meant {
                        self.report(found);
                        body.extend(statements);
                        before = Some(child);
                        continue;
                    }
                    if let Some(colon) = colon {
                        self.report_wrong_colon(colon);
                    }
                    // If the value is missing, the rest of the line is probably the value.
                    in_junk = tail.is_some()
                        || set.as_ref().is_some_and(|set| {
                            matches!(set.value.kind, ExprKind::Missing)
                                && set.value.span.start == set.value.span.end
                        });
                    body.extend(set.map(Stmt::Set));
                }
                Kind::unset => {
                    if let Some(name) = tree.children(child).next() {
                        let ident = match self.kind(name) {
                            Kind::quoted_name => {
                                self.report_quoted_names(&[name]);
                                self.unquoted(name)
                            }
                            _ => self.ident(name),
                        };
                        body.push(Stmt::Unset {
                            name: ident,
                            span: self.span(child),
                        });
                    }
                }
                Kind::when => body.push(self.lower_when(child)),
                Kind::wrong_when => {
                    self.report_wrong_when(child, before);
                    body.push(self.lower_when(child));
                }
                Kind::nested if is_else => {
                    self.report_else(child, before);
                    body.extend(self.lower_under_nothing(child));
                }
                Kind::nested => body.extend(self.lower_nested(child)),
                Kind::junk_block => body.extend(self.lower_junk_block(child)),
                Kind::axis => body.extend(self.lower_axis(child)),
                Kind::assert_ => body.push(self.lower_assert(child)),
                Kind::expect => body.extend(self.lower_expect(child)),
                Kind::snapshot => body.extend(self.lower_snapshot(child)),
                _ => {}
            }
            before = Some(child);
        }
        self.depth -= 1;
        body
    }

    fn lower_axis(&mut self, at: usize) -> Option<Stmt> {
        let mut cursor = self.cursor(at);
        let name = cursor.next().map(|name| self.ident(name))?;
        let span = self.span(at);
        if !self.is_in_matrix() {
            self.report_outside_matrix(Span::new(self.file, span.start, name.span.start), "axis");
            return None;
        }
        let values = self.lower_expr(&mut cursor);
        Some(Stmt::Axis(Axis { name, values, span }))
    }

    /// True directly in the braces of a matrix.
    fn is_in_matrix(&self) -> bool {
        self.in_matrix && self.depth == 1
    }

    fn report_outside_matrix(&mut self, span: Span, word: &str) {
        let end = span.start + word.len() as u32;
        self.report(
            Diagnostic::new(
                Code::WrongPlace,
                Span::new(span.file, span.start, end),
                format!("`{word}` is not allowed here"),
            )
            .help("put it directly into the body of a `matrix`"),
        );
    }

    pub(crate) fn lower_set(&mut self, at: usize, is_final: bool) -> Option<Set> {
        let mut cursor = self.cursor(at);
        let first = cursor.next()?;
        let name = match self.kind(first) {
            Kind::name => self.ident(first),
            _ => self.lower_constant_text(first),
        };
        let mut op = SetOp::Replace;
        if let Some(operator) = cursor.peek() {
            match self.kind(operator) {
                Kind::append => op = SetOp::Append,
                Kind::remove => op = SetOp::Remove,
                _ => {}
            }
            if matches!(
                self.kind(operator),
                Kind::append | Kind::remove | Kind::wrong_colon
            ) {
                cursor.next();
            }
        }
        let outer = self.in_condition;
        self.in_condition = matches!(name.text.as_str(), "applies" | "deny" | "warn");
        let value = self.lower_expr(&mut cursor);
        self.in_condition = outer;
        Some(Set {
            name,
            op,
            value,
            is_final,
            span: self.span(at),
        })
    }

    fn lower_when(&mut self, at: usize) -> Stmt {
        let mut cursor = self.cursor(at);
        if cursor
            .peek()
            .is_some_and(|first| self.kind(first) == Kind::wrong_if)
        {
            cursor.next();
        }
        let outer = std::mem::replace(&mut self.in_condition, true);
        let condition = self.lower_expr(&mut cursor);
        self.in_condition = outer;
        let mut body = Vec::new();
        for child in cursor {
            match self.kind(child) {
                Kind::junk_header => self.report_junk_header(child, "`{` after the condition"),
                Kind::missing_block => {
                    self.report_missing(child, "`{`", "write `when condition { … }`")
                }
                Kind::block => body = self.lower_block(child),
                _ => {}
            }
        }
        Stmt::When {
            condition,
            body,
            span: self.span(at),
        }
    }

    fn lower_nested(&mut self, at: usize) -> Option<Stmt> {
        let mut children = self.tree.children(at);
        let name = self.ident(children.next()?);
        let block = children.next()?;
        if name.text == "exclude" && !self.is_in_matrix() {
            self.report_outside_matrix(name.span, "exclude");
            return None;
        }
        Some(Stmt::Block {
            name,
            body: self.lower_block(block),
            span: self.span(at),
        })
    }

    // ---- shared reports ---------------------------------------------------------------------

    pub(crate) fn is_too_deep(&mut self, at: usize) -> bool {
        let deep = self.depth >= MAX_DEPTH;
        if deep {
            self.report(
                Diagnostic::new(
                    Code::Syntax,
                    self.span(at),
                    format!("nested more than {MAX_DEPTH} levels deep"),
                )
                .help("move a part into another variable"),
            );
        }
        deep
    }

    pub(crate) fn report_missing(&mut self, at: usize, wanted: &str, help: &str) {
        self.report_missing_at(self.tree.node(at).start, wanted, help);
    }

    pub(super) fn report_missing_at(&mut self, place: u32, wanted: &str, help: &str) {
        // A place at the end of a line is displayed at the last character before it.
        let end = part(self.text, ..place as usize).trim_end().len() as u32;
        let start = part(self.text, ..end as usize)
            .char_indices()
            .next_back()
            .map_or(0, |(i, _)| i as u32);
        self.report(
            Diagnostic::new(
                Code::Syntax,
                Span::new(self.file, start, end),
                format!("expected {wanted}"),
            )
            .label("missing after this")
            .help(help),
        );
    }

    pub(crate) fn report_unclosed(&mut self, opener: usize, at: usize, closing: &str) {
        let open = self.tree.node(opener).start;
        let width = if part(self.text, open as usize..).starts_with("${") {
            2
        } else {
            1
        };
        let end = self.tree.node(at).start;
        let opening = part(self.text, open as usize..(open + width) as usize);
        self.report(
            Diagnostic::new(
                Code::Unclosed,
                Span::new(self.file, open, open + width),
                format!("this `{opening}` has no closing `{closing}`"),
            )
            .label("opened here")
            .related(
                Span::new(self.file, end, end),
                format!("expected `{closing}` before this place"),
            )
            .help(format!("add `{closing}`")),
        );
    }
}

fn take_doc(doc: &mut String) -> Option<String> {
    let taken = std::mem::take(doc);
    let taken = taken.trim();
    (!taken.is_empty()).then(|| taken.to_owned())
}

/// Returns whether a setting of `target` probably means an image: a name with a digit, or with more than two words.
fn names_image(set: &Set) -> bool {
    let is_image = |name: &Ident| {
        name.text.contains('-') && name.text.contains(|c: char| c.is_ascii_digit())
            || name.text.matches('-').count() > 1
    };
    set.name.text == "target" && !set.is_final && names_of(&set.value).iter().any(is_image)
}

/// Returns the type of a literal.
pub(crate) fn type_of_literal(text: &str) -> Option<&'static str> {
    Some(match text.chars().next()? {
        '"' | '\'' | '<' => "string",
        '[' => "[string]",
        '{' => "{string}",
        '0'..='9' | '-' => "int",
        _ if matches!(text, "true" | "false") => "bool",
        _ => return None,
    })
}
