//! Tree to typed view: items, statements and types. Expressions are in `expr.rs`, strings in `text.rs`.

use super::ast::*;
use super::blocks::{Meant, meant_by};
use super::explain;
use super::tail::{Explained, Tail, fix_all};
use super::tree::{Kind, Tree};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Span, part};
use smol_str::SmolStr;

/// How deep blocks, brackets and conditionals may nest. Bounds recursion, here and everywhere behind.
pub(super) const MAX_DEPTH: usize = 128;

pub(super) fn lower_file(file: FileId, text: &str, tree: &Tree) -> (File, Vec<Diagnostic>) {
    let mut lowering = Lowering::new(file, text, tree);
    let items = lowering.lower_items();
    (File { items }, lowering.diagnostics)
}

/// A setting that stands alone.
pub(super) fn lower_setting(file: FileId, text: &str, tree: &Tree) -> Option<(Set, Vec<Diagnostic>)> {
    let mut lowering = Lowering::new(file, text, tree);
    let set = lowering.lower_set(0, false)?;
    if let Some(colon) = lowering.colon_of(0) {
        lowering.report_wrong_colon(colon);
    }
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
    /// What is being lowered is asked whether it is true.
    pub in_condition: bool,
    /// Statements of the section's own body that name parents, with the names.
    pub stray_parents: Vec<(Span, Vec<Ident>)>,
}

impl<'t> Lowering<'t> {
    fn new(file: FileId, text: &'t str, tree: &'t Tree) -> Lowering<'t> {
        Lowering {
            file,
            text,
            tree,
            diagnostics: Vec::new(),
            depth: 0,
            quiet_until: 0,
            in_condition: false,
            stray_parents: Vec::new(),
        }
    }

    pub fn span(&self, at: usize) -> Span {
        let node = self.tree.node(at);
        Span::new(self.file, node.start, node.end)
    }

    pub fn kind(&self, at: usize) -> Kind {
        self.tree.node(at).kind
    }

    pub fn slice(&self, at: usize) -> &'t str {
        let node = self.tree.node(at);
        part(self.text, node.start as usize..node.end as usize)
    }

    /// Reports a syntax error, unless one has been reported on that line before it.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        let at = diagnostic.primary.span.start;
        if at < self.quiet_until {
            return;
        }
        let rest = part(self.text, at as usize..);
        let line = rest.find('\n').unwrap_or(rest.len());
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
            if kind == Kind::junk_item || kind == Kind::wrong_section && self.kind_of_wrong(at).is_none() {
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
                Kind::test => self.report_reserved(at),
                Kind::wrong_section => items.extend(self.lower_wrong_section(at, doc)),
                _ => {}
            }
        }
        items
    }

    /// Two statements on one line need a comma between them.
    fn check_separator(&mut self, is_first: &mut bool, at: usize) {
        let node = self.tree.node(at);
        if !std::mem::replace(is_first, false) {
            let before = part(self.text, ..node.start as usize).trim_end_matches([' ', '\t', '\r']);
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
                // The second statement is sound or not for itself.
                self.quiet_until = self.quiet_until.min(node.start);
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
                Kind::junk_header if path.is_none() => path = self.lower_bare_path(child),
                Kind::junk_header => {
                    self.report_junk_header(child, "a path in quotes, and perhaps `as NAME`")
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

    /// A path without quotes.
    fn lower_bare_path(&mut self, at: usize) -> Option<Ident> {
        let text = self.slice(at).trim_end();
        if text.is_empty() || text.contains(['"', '\'', ' ', '\\']) {
            return None;
        }
        let start = self.tree.node(at).start;
        let span = Span::new(self.file, start, start + text.len() as u32);
        self.report(Diagnostic::new(Code::Syntax, span, "a path stands in quotes").fix(
            "put it in quotes",
            span,
            format!("\"{text}\""),
        ));
        Some(Ident { text: SmolStr::new(text), span })
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
            // What stands in the block is reported behind what stands before it.
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
        Some(Item::Variable(Variable { name: name?, ty, default, attributes, doc }))
    }

    /// What stands behind a variable's type: perhaps the rest of a type in the spelling of another language.
    fn lower_junk_of_variable(&mut self, at: usize, ty: &mut Option<TypeExpr>) {
        let Some(written) = ty.as_mut() else {
            return self.report_junk_header(at, "`: type`, `= default` or `{`");
        };
        let junk = self.slice(at).trim_end();
        let start = self.tree.node(at).start;
        let whole = Span::new(self.file, written.span.start, start + junk.len() as u32);
        let base = part(self.text, written.span.start as usize..written.span.end as usize);
        let end = junk.find([')', '>', ']']).map_or(junk.len(), |at| at + 1);
        let whole = Span { end: start + end as u32, ..whole };
        let junk = part(junk, ..end);
        let element = junk.trim_matches(['(', ')', '<', '>', '[', ']']);
        let meant = match base {
            "list" | "List" | "array" | "Array" | "set" | "Vec" if explain::is_word(element) => {
                Some(format!("[{element}]"))
            }
            "map" | "Map" | "dict" | "object" if explain::is_word(element) => Some(format!("{{{element}}}")),
            "optional" if explain::is_word(element) => Some(format!("{element}?")),
            _ if junk == "[]" => Some(format!("[{base}]")),
            _ => None,
        };
        written.kind = TypeKind::Missing;
        match meant {
            Some(meant) => self.report(
                Diagnostic::new(
                    Code::Syntax,
                    whole,
                    "a list is of type `[T]`, a map `{T}`, what may be unset `T?`",
                )
                .fix(format!("write `{meant}`"), whole, meant),
            ),
            None => self.report_junk_header(at, "`= default` or `{`"),
        }
    }

    /// `type` and `default` as attributes, where other languages have them. True where that was reported.
    fn move_type(
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
        let (written, default) = (value_of(attributes, "type"), value_of(attributes, "default"));
        let Some((place, _)) = written.or(default) else { return false };
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
        let rest = if rest.is_empty() { String::new() } else { format!(" {{ {} }}", rest.join(", ")) };
        let header = format!("variable {name} : {word}{default}");
        let found = Diagnostic::new(
            Code::Syntax,
            place,
            "the type and the default of a variable stand behind its name",
        );
        let span = Span::new(self.file, self.tree.node(at).start, self.tree.node(block).end);
        let has_more = part(self.text, span.start as usize..span.end as usize).contains(['#', '\\']);
        self.report(match explain::is_word(word) && !has_more {
            true => found.fix(format!("write `{header}`"), span, format!("{header}{rest}")),
            false => found.help(format!("write `{header}`")),
        });
        attributes.retain(|stmt| !matches!(stmt, Stmt::Set(set) if moved.contains(&set.name.text.as_str())));
        *ty = Some(TypeExpr { kind: TypeKind::Missing, optional: false, span: place });
        true
    }

    /// The name in a pair of quotes that does not belong there.
    fn unquoted(&self, at: usize) -> Ident {
        let span = self.span(at);
        let slice = self.slice(at);
        let inner = Span::new(self.file, span.start + 1, span.end - 1);
        Ident { text: SmolStr::new(part(slice, 1..slice.len().saturating_sub(1))), span: inner }
    }

    fn report_quoted_names(&mut self, nodes: &[usize]) {
        let Some(first) = nodes.first() else { return };
        let edits: Vec<(Span, String)> =
            nodes.iter().map(|at| (self.span(*at), self.unquoted(*at).text.to_string())).collect();
        let found = Diagnostic::new(Code::Syntax, self.span(*first), "a name has no quotes");
        self.report(fix_all(found, "remove the quotes".to_owned(), edits));
    }

    /// An item whose first word is none of the grammar's.
    fn lower_wrong_section(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        self.report_wrong_item(at);
        self.lower_section(at, doc)
    }

    fn report_wrong_item(&mut self, at: usize) {
        let line = self.slice(at).lines().next().unwrap_or("");
        let start = self.tree.node(at).start;
        let span = Span::new(self.file, start, start + line.len() as u32);
        self.report(explain::explain_item(span, line));
    }

    /// What an item with a wrong keyword was meant to be.
    fn kind_of_wrong(&self, at: usize) -> Option<&'static str> {
        let word = self.tree.children(at).next().map_or("", |child| self.slice(child));
        explain::nearest_item(word).filter(|kind| matches!(*kind, "image" | "layer" | "provider" | "rule"))
    }

    fn lower_section(&mut self, at: usize, doc: Option<String>) -> Option<Item> {
        let (mut kind, mut name, mut extends, mut body) = (SectionKind::Layer, None, Vec::new(), Vec::new());
        let mut word = "";
        let mut quoted = Vec::new();
        // Where further parents belong.
        let mut header_end = self.tree.node(at).start;
        self.stray_parents.clear();
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::section_kind | Kind::wrong_kind => {
                    word = self.slice(child);
                    kind = match explain::nearest_item(word).unwrap_or(word) {
                        "image" => SectionKind::Image,
                        "provider" => SectionKind::Provider,
                        "rule" => SectionKind::Rule,
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
                    &format!("write `{word} name {{`; a name holds letters, digits, `-`, `_` and `.`"),
                ),
                Kind::extends => {
                    extends = self.lower_extends(child, &mut quoted);
                    header_end = extends.last().map_or(header_end, |last| last.span.end);
                }
                Kind::junk_header => self.lower_junk_of_section(child, header_end, &mut extends),
                Kind::missing_block => {
                    self.report_missing(child, "`{`", "the body stands in braces; `{ }` is an empty one")
                }
                Kind::block if word != "matrix" => {
                    self.report_quoted_names(&std::mem::take(&mut quoted));
                    body = self.lower_block(child);
                }
                _ => {}
            }
        }
        if word == "matrix" {
            self.report_reserved(at);
            return None;
        }
        self.report_quoted_names(&quoted);
        self.take_stray_parents(&mut body, header_end, &mut extends);
        Some(Item::Section(Section { kind, name: name?, extends, body, doc, span: self.span(at) }))
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
                Kind::missing_name => {
                    self.report_missing(child, "the name of a layer or image", "name it, or remove the comma")
                }
                _ => {}
            }
        }
        names
    }

    /// Parents behind a word other than `extends`, or without a comma between them.
    fn lower_junk_of_section(&mut self, at: usize, header_end: u32, extends: &mut Vec<Ident>) {
        let text = self.slice(at).trim_end();
        let start = self.tree.node(at).start;
        let end = start + text.len() as u32;
        let Some(names) = explain::parents_in(text, !extends.is_empty()) else {
            return self.report_junk_header(at, "`extends` and names, or `{`");
        };
        let span = Span::new(self.file, start, end);
        let place = Span::new(self.file, header_end, end);
        let list = names.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
        self.report(match extends.is_empty() {
            true => Diagnostic::new(Code::Syntax, span, "parents are named after `extends`").fix(
                format!("write `extends {list}`"),
                place,
                format!(" extends {list}"),
            ),
            false => Diagnostic::new(Code::Syntax, span, "a comma stands between two parents").fix(
                "insert a comma",
                place,
                format!(", {list}"),
            ),
        });
        extends.extend(names.into_iter().map(|(offset, name)| {
            let from = start + offset as u32;
            Ident { text: SmolStr::new(name), span: Span::new(self.file, from, from + name.len() as u32) }
        }));
    }

    /// Moves parents that a body names to where they belong.
    fn take_stray_parents(&mut self, body: &mut Vec<Stmt>, header_end: u32, extends: &mut Vec<Ident>) {
        let mut stray = std::mem::take(&mut self.stray_parents);
        body.retain(|stmt| match stmt {
            Stmt::Set(set) if set.name.text == "extends" => {
                stray.push((set.span, names_of(&set.value)));
                false
            }
            _ => true,
        });
        for (span, names) in stray {
            let found =
                Diagnostic::new(Code::Syntax, span, "`extends` stands behind the name of the image or layer");
            let list = names.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(", ");
            let text = match extends.is_empty() {
                true => format!(" extends {list}"),
                false => format!(", {list}"),
            };
            let edits = vec![
                (Span::new(self.file, header_end, header_end), text),
                (self.whole_line(span), String::new()),
            ];
            let found = match names.is_empty() {
                true => found.help("write `image name extends a, b { … }`"),
                false => fix_all(found, format!("write `extends {list}` there"), edits),
            };
            // It stands before what has been reported of the rest of the body.
            self.diagnostics.push(found);
            extends.extend(names);
        }
    }

    /// A statement with its line, where nothing else stands on it, or with the comma behind it.
    fn whole_line(&self, span: Span) -> Span {
        let (start, end) = (span.start as usize, span.end as usize);
        let line = part(self.text, ..start).rfind('\n').map_or(0, |at| at + 1);
        let behind = part(self.text, end..).find('\n').map_or(self.text.len(), |at| end + at + 1);
        if part(self.text, line..start).trim().is_empty() && part(self.text, end..behind).trim().is_empty() {
            return Span::new(self.file, line as u32, behind as u32);
        }
        let rest = part(self.text, end..behind);
        let comma =
            rest.trim_start().strip_prefix(',').map_or(0, |after| rest.len() - after.trim_start().len());
        Span::new(self.file, span.start, (end + comma) as u32)
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
        let mut children = tree.children(at).peekable();
        // The statement before, if it is one.
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
                    let tail = children.peek().copied().filter(|next| self.is_tail(child, *next));
                    let colon = self.colon_of(child);
                    let set = self.lower_set_with_tail(child, tail);
                    if let Some(set) = set.as_ref().filter(|set| self.depth == 1 && names_image(set)) {
                        self.stray_parents.push((set.span, names_of(&set.value)));
                        before = Some(child);
                        continue;
                    }
                    let meant =
                        set.as_ref().filter(|_| colon.is_some()).and_then(|set| meant_by(set, self.text));
                    if let Some(Meant { found, statements }) = meant {
                        self.report(found);
                        body.extend(statements);
                        before = Some(child);
                        continue;
                    }
                    if let Some(colon) = colon {
                        self.report_wrong_colon(colon);
                    }
                    // What follows a value that is missing is what is left of it.
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
                        body.push(Stmt::Unset { name: ident, span: self.span(child) });
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
                Kind::axis => self.report_reserved(child),
                Kind::assert_ => self.report_reserved(child),
                _ => {}
            }
            before = Some(child);
        }
        self.depth -= 1;
        body
    }

    /// The sign that a statement has in the place of `=`.
    fn colon_of(&self, at: usize) -> Option<usize> {
        let node = if self.kind(at) == Kind::final_ { self.tree.children(at).next()? } else { at };
        self.tree.children(node).find(|child| self.kind(*child) == Kind::wrong_colon)
    }

    fn is_else(&self, at: usize) -> bool {
        match self.kind(at) {
            Kind::nested => self.tree.children(at).next().is_some_and(|name| self.slice(name) == "else"),
            Kind::wrong_when => self.slice(at).starts_with("el"),
            _ => false,
        }
    }

    /// Whether junk follows a statement on its line.
    fn is_tail(&self, statement: usize, next: usize) -> bool {
        let between =
            part(self.text, self.tree.node(statement).end as usize..self.tree.node(next).start as usize);
        self.kind(next) == Kind::junk_entry && between.trim_matches([' ', '\t']).is_empty()
    }

    fn lower_set_with_tail(&mut self, at: usize, tail: Option<usize>) -> Option<Set> {
        let (node, is_final) = match self.kind(at) {
            Kind::final_ => (self.tree.children(at).next()?, true),
            _ => (at, false),
        };
        let explained = tail.and_then(|tail| self.explain_tail(at, node, tail));
        let (found, keeps_value) = explained.map_or((None, true), |e| (Some(e.found), e.keeps_value));
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
        let text = text.find(" #").map_or(text, |at| part(text, ..at)).trim_end();
        let junk = self.tree.node(tail).start;
        let is_missing = self.kind(first) == Kind::missing_value;
        let start = if is_missing { junk } else { self.tree.node(first).start };
        let end = self.tree.node(set).end.max(start);
        let tail = Tail {
            set: self.span(statement),
            name: self.slice(name),
            value_start: start,
            value: if is_missing { "" } else { part(self.text, start as usize..end as usize).trim_end() },
            junk: Span::new(self.file, junk, junk + text.len() as u32),
            text,
        };
        Some(tail.explain())
    }

    /// Junk that begins a line, or that a comma parts from the statement before it.
    fn lower_junk_entry(&mut self, at: usize, before: Option<usize>) {
        let (span, text) = (self.span(at), self.slice(at).trim_end());
        if self.depth == 1
            && explain::first_word(text) == "extends"
            && let Some(names) = explain::parents_in(text, false)
        {
            let span = Span::new(self.file, span.start, span.start + text.len() as u32);
            let names = names.into_iter().map(|(offset, name)| {
                let from = span.start + offset as u32;
                Ident { text: SmolStr::new(name), span: Span::new(self.file, from, from + name.len() as u32) }
            });
            self.stray_parents.push((span, names.collect()));
            return;
        }
        let unset = before.filter(|before| self.kind(*before) == Kind::unset);
        let unset = unset.filter(|unset| !self.has_newline(*unset, at));
        let code = text.find(" #").map_or(text, |comment| part(text, ..comment).trim_end());
        let found = match unset.and_then(|unset| Some((unset, explain::names_in(code)?))) {
            Some((unset, names)) => {
                let names_span = Span::new(self.file, span.start, span.start + code.len() as u32);
                let place = Span { start: self.tree.node(unset).end, ..names_span };
                let more = explain::unset_all(&names);
                Diagnostic::new(Code::Syntax, names_span, "`unset` takes one name").fix(
                    format!("write `{more}`"),
                    place,
                    format!(", {more}"),
                )
            }
            None => explain::explain_entry(span, text),
        };
        self.report(found);
    }

    fn has_newline(&self, from: usize, to: usize) -> bool {
        part(self.text, self.tree.node(from).end as usize..self.tree.node(to).start as usize).contains('\n')
    }

    fn lower_set(&mut self, at: usize, is_final: bool) -> Option<Set> {
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
            if matches!(self.kind(operator), Kind::append | Kind::remove | Kind::wrong_colon) {
                cursor.next();
            }
        }
        let outer = self.in_condition;
        self.in_condition = matches!(name.text.as_str(), "applies" | "deny" | "warn");
        let value = self.lower_expr(&mut cursor);
        self.in_condition = outer;
        Some(Set { name, op, value, is_final, span: self.span(at) })
    }

    fn lower_when(&mut self, at: usize) -> Stmt {
        let mut cursor = self.cursor(at);
        if cursor.peek().is_some_and(|first| self.kind(first) == Kind::wrong_if) {
            cursor.next();
        }
        let outer = std::mem::replace(&mut self.in_condition, true);
        let condition = self.lower_expr(&mut cursor);
        self.in_condition = outer;
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

    /// `if condition { … }` and its like in the place of `when`.
    fn report_wrong_when(&mut self, at: usize, before: Option<usize>) {
        let Some(word) = self.tree.children(at).next() else { return };
        if self.is_else(at) {
            return self.report_else(at, before);
        }
        let span = self.span(word);
        let found =
            Diagnostic::new(Code::Syntax, span, "settings under a condition stand in `when condition { … }`");
        self.report(match (self.slice(word), self.condition_of(at)) {
            ("unless", Some(condition)) => {
                let text = format!("when not ({})", self.text_of(condition));
                found.fix(format!("write `{text}`"), span.to(condition), text)
            }
            _ => found.fix("write `when`", span, "when"),
        });
    }

    /// `else`, which `when` does not have.
    fn report_else(&mut self, at: usize, before: Option<usize>) {
        let Some(word) = self.tree.children(at).next() else { return };
        let span = self.span(word);
        let found = Diagnostic::new(Code::Syntax, span, "a `when` has no `else`");
        let asked =
            before.filter(|b| matches!(self.kind(*b), Kind::when | Kind::wrong_when) && !self.is_else(*b));
        let Some((first, condition)) = asked.and_then(|b| Some((b, self.condition_of(b)?))) else {
            return self.report(found.help("write another `when` with the opposite condition"));
        };
        let mut text = format!("when not ({})", self.text_of(condition));
        let mut end = span.end;
        if let Some(own) = self.condition_of(at).filter(|_| self.kind(at) == Kind::wrong_when) {
            text = format!("{text} and ({})", self.text_of(own));
            end = own.end;
        }
        let (start, first) = (self.tree.node(first).end, self.tree.node(first).start as usize);
        let line = part(self.text, ..first).rfind('\n').map_or(0, |i| i + 1);
        let indent: String = part(self.text, line..first).chars().take_while(|c| c.is_whitespace()).collect();
        self.report(found.fix(
            format!("write `{text}`"),
            Span::new(self.file, start, end),
            format!("\n{indent}{text}"),
        ));
    }

    /// Where the condition of a `when` stands.
    fn condition_of(&self, at: usize) -> Option<Span> {
        let mut span: Option<Span> = None;
        for child in self.cursor(at).filter(|child| self.kind(*child) != Kind::wrong_if) {
            if matches!(self.kind(child), Kind::block | Kind::missing_block | Kind::junk_header) {
                break;
            }
            span = Some(span.map_or(self.span(child), |span| span.to(self.span(child))));
        }
        span.filter(|span| span.start < span.end)
    }

    fn text_of(&self, span: Span) -> &'t str {
        part(self.text, span.start as usize..span.end as usize)
    }

    /// The statements of a block whose head is wrong: checked, and in force under no condition.
    fn lower_under_nothing(&mut self, at: usize) -> Option<Stmt> {
        let block = self.tree.children(at).find(|child| self.kind(*child) == Kind::block)?;
        let span = self.span(at);
        Some(Stmt::When {
            condition: Expr { kind: ExprKind::Missing, span },
            body: self.lower_block(block),
            span,
        })
    }

    fn lower_junk_block(&mut self, at: usize) -> Option<Stmt> {
        let head = self.tree.children(at).find(|child| self.kind(*child) == Kind::junk_head)?;
        let (span, text) = (self.span(head), self.slice(head));
        self.report(explain::explain_block(span, text));
        let is_when = crate::diagnostic::nearest(explain::first_word(text), ["when"]).is_some();
        is_when.then(|| self.lower_under_nothing(at)).flatten()
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
        self.report_missing_at(self.tree.node(at).start, wanted, help);
    }

    fn report_missing_at(&mut self, place: u32, wanted: &str, help: &str) {
        // A place at the end of a line is shown at the last character before it.
        let end = part(self.text, ..place as usize).trim_end().len() as u32;
        let start = part(self.text, ..end as usize).char_indices().next_back().map_or(0, |(i, _)| i as u32);
        self.report(
            Diagnostic::new(Code::Syntax, Span::new(self.file, start, end), format!("expected {wanted}"))
                .label("missing after this")
                .help(help),
        );
    }

    pub fn report_unclosed(&mut self, opener: usize, at: usize, closing: &str) {
        let open = self.tree.node(opener).start;
        let width = if part(self.text, open as usize..).starts_with("${") { 2 } else { 1 };
        let end = self.tree.node(at).start;
        let opening = part(self.text, open as usize..(open + width) as usize);
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
        let written = self.slice(at);
        let before = if part(self.text, ..span.start as usize).ends_with([' ', '\t']) { "" } else { " " };
        let after =
            if part(self.text, span.end as usize..).starts_with([' ', '\t', '\n']) { "" } else { " " };
        self.report(
            Diagnostic::new(Code::Syntax, span, format!("a value is set with `=`, not with `{written}`"))
                .label("write `=`")
                .fix(format!("replace `{written}` by `=`"), span, format!("{before}={after}")),
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

/// Whether a setting of `target` names an image, by the number of a release or more than two words.
fn names_image(set: &Set) -> bool {
    let is_image = |name: &Ident| {
        name.text.contains('-') && name.text.contains(|c: char| c.is_ascii_digit())
            || name.text.matches('-').count() > 1
    };
    set.name.text == "target" && !set.is_final && names_of(&set.value).iter().any(is_image)
}

/// The names of an expression that is a name, a text or a list of such.
fn names_of(value: &Expr) -> Vec<Ident> {
    match &value.kind {
        ExprKind::Name(text) => vec![Ident { text: text.clone(), span: value.span }],
        ExprKind::Str(text) if explain::is_name(text) => {
            let inner = Span::new(value.span.file, value.span.start + 1, value.span.end.saturating_sub(1));
            vec![Ident { text: text.clone(), span: inner }]
        }
        ExprKind::List(elements) => elements.iter().flat_map(names_of).collect(),
        _ => Vec::new(),
    }
}

/// The type of a literal, by its form.
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
