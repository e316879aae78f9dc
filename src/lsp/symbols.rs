//! Symbols: the items of a file with what they contain, and the items of a workspace that a query finds.

use crate::lsp::family::symbol_kind;
use crate::lsp::index::{Entry, Sort};
use crate::lsp::position::{Positions, uri};
use crate::source::{Span, part, visible_line};
use crate::syntax::ast::{File, Item, Stmt};
use lsp_types::{
    DocumentSymbol, Location, OneOf, SymbolInformation, SymbolKind, Uri, WorkspaceSymbol,
};
use std::path::PathBuf;
use std::rc::Rc;

/// The most characters of a condition in the outline.
const WIDTH: usize = 60;

/// The most statements in an outline. A longer one takes editors seconds, and nobody reads it.
const MOST_STATEMENTS: usize = 10_000;

/// The items of a file, with their statements unless these are too many.
pub(super) fn outline(ast: &File, text: &str, positions: Positions<'_>) -> Vec<DocumentSymbol> {
    let bodies = ast.items.iter().map(|item| match item {
        Item::Section(section) => &section.body[..],
        Item::Test(test) => &test.body,
        Item::Variable(variable) => &variable.attributes,
        Item::Include(_) | Item::Type(_) | Item::Waiver(_) => &[],
    });
    let outliner = Outliner {
        text,
        positions,
        has_statements: bodies.map(count).sum::<usize>() <= MOST_STATEMENTS,
    };
    let items = ast.items.iter().filter_map(|item| outliner.item(item));
    items.collect()
}

/// The number of statements in a body, at any depth.
fn count(body: &[Stmt]) -> usize {
    let inner = body.iter().map(|stmt| match stmt {
        Stmt::When { body, .. } | Stmt::Block { body, .. } => count(body),
        _ => 0,
    });
    body.len() + inner.sum::<usize>()
}

struct Outliner<'t> {
    text: &'t str,
    positions: Positions<'t>,
    has_statements: bool,
}

impl Outliner<'_> {
    #[allow(deprecated)] // a field of the protocol's type, which has no constructor
    fn symbol(
        &self,
        name: String,
        kind: SymbolKind,
        whole: Span,
        own: Span,
        children: Vec<DocumentSymbol>,
    ) -> DocumentSymbol {
        DocumentSymbol {
            // An editor shows it as it is.
            name: visible_line(&name).into_owned(),
            detail: None,
            kind,
            tags: None,
            deprecated: None,
            range: self.positions.range_of(whole.to(own)),
            selection_range: self.positions.range_of(own),
            children: (!children.is_empty()).then_some(children),
        }
    }

    fn item(&self, item: &Item) -> Option<DocumentSymbol> {
        let (name, kind, word, whole, children) = match item {
            Item::Test(test) => {
                let children = self.body(&test.body);
                (&test.name, SymbolKind::METHOD, "test", test.span, children)
            }
            Item::Waiver(waiver) => {
                let rule = &waiver.rule;
                (rule, SymbolKind::EVENT, "waiver", waiver.span, Vec::new())
            }
            _ => return self.declaration(item),
        };
        if name.text.is_empty() {
            return None;
        }
        let mut symbol = self.symbol(name.text.to_string(), kind, whole, name.span, children);
        symbol.detail = Some(word.to_owned());
        Some(symbol)
    }

    fn declaration(&self, item: &Item) -> Option<DocumentSymbol> {
        let sort = Sort::of(item)?;
        let (name, whole, children) = match item {
            Item::Include(include) => {
                let name = include.name.as_ref()?;
                (name, include.path.span.to(name.span), Vec::new())
            }
            Item::Section(section) => (&section.name, section.span, self.body(&section.body)),
            Item::Variable(variable) => {
                let own = variable.name.span;
                let ends = [
                    variable.ty.as_ref().map(|ty| ty.span),
                    variable.default.as_ref().map(|default| default.span),
                    variable.attributes.last().map(Stmt::span),
                ];
                let whole = ends.into_iter().flatten().fold(own, Span::to);
                (&variable.name, whole, self.body(&variable.attributes))
            }
            Item::Type(ty) => (&ty.name, ty.name.span.to(ty.ty.span), Vec::new()),
            Item::Test(_) | Item::Waiver(_) => return None,
        };
        if name.text.is_empty() {
            return None;
        }
        let name_text = name.text.to_string();
        let mut symbol = self.symbol(name_text, symbol_kind(sort), whole, name.span, children);
        symbol.detail = Some(sort.word().to_owned());
        Some(symbol)
    }

    /// The start of a text, on one line.
    fn shown(&self, span: Span) -> String {
        let written = part(self.text, span.start as usize..span.end as usize);
        let words: Vec<&str> = written.split_whitespace().collect();
        words.join(" ").chars().take(WIDTH).collect()
    }

    fn body(&self, body: &[Stmt]) -> Vec<DocumentSymbol> {
        if !self.has_statements {
            return Vec::new();
        }
        let symbols = body.iter().map(|stmt| match stmt {
            Stmt::Set(set) => {
                let name = set.name.text.to_string();
                self.symbol(
                    name,
                    SymbolKind::PROPERTY,
                    set.span,
                    set.name.span,
                    Vec::new(),
                )
            }
            Stmt::Unset { name, span } => {
                let text = format!("unset {}", name.text);
                self.symbol(text, SymbolKind::PROPERTY, *span, name.span, Vec::new())
            }
            Stmt::When {
                condition,
                body,
                span,
            } => {
                let own = condition.span;
                let shown = self.shown(own);
                let own = if own.start < own.end { own } else { *span };
                let name = format!("when {shown}");
                self.symbol(name, SymbolKind::NAMESPACE, *span, own, self.body(body))
            }
            Stmt::Axis(axis) => {
                let name = format!("axis {}", axis.name.text);
                let own = axis.name.span;
                self.symbol(name, SymbolKind::ENUM, axis.span, own, Vec::new())
            }
            Stmt::Assert {
                condition, span, ..
            } => {
                let own = condition.span;
                let name = format!("assert {}", self.shown(own));
                self.symbol(name, SymbolKind::BOOLEAN, *span, own, Vec::new())
            }
            Stmt::Expect { code, span, .. } => {
                let name = format!("expect {}", code.text);
                self.symbol(name, SymbolKind::EVENT, *span, code.span, Vec::new())
            }
            Stmt::Snapshot { name, span } => {
                let text = format!("snapshot {}", name.text);
                self.symbol(text, SymbolKind::FILE, *span, name.span, Vec::new())
            }
            Stmt::Block { name, body, span } => {
                let text = name.text.to_string();
                self.symbol(
                    text,
                    SymbolKind::NAMESPACE,
                    *span,
                    name.span,
                    self.body(body),
                )
            }
        });
        // A name that is not written yet.
        symbols.filter(|symbol| !symbol.name.is_empty()).collect()
    }
}

/// Symbols for clients that do not support nesting.
pub(super) fn flatten(symbols: Vec<DocumentSymbol>, uri: &Uri) -> Vec<SymbolInformation> {
    let mut out = Vec::new();
    flatten_into(symbols, uri, None, &mut out);
    out
}

#[allow(deprecated)] // a field of the protocol's type, which has no constructor
fn flatten_into(
    symbols: Vec<DocumentSymbol>,
    uri: &Uri,
    container: Option<&str>,
    out: &mut Vec<SymbolInformation>,
) {
    for symbol in symbols {
        out.push(SymbolInformation {
            name: symbol.name.clone(),
            kind: symbol.kind,
            tags: None,
            deprecated: None,
            location: Location::new(uri.clone(), symbol.range),
            container_name: container.map(str::to_owned),
        });
        let children = symbol.children.unwrap_or_default();
        flatten_into(children, uri, Some(&symbol.name), out);
    }
}

/// The most symbols that a search returns.
const MOST_SYMBOLS: usize = 500;

/// The items whose names contain the letters of a query in order. Names that begin with the query come first.
pub(super) fn search(declared: &[(PathBuf, Rc<Entry>)], query: &str) -> Vec<WorkspaceSymbol> {
    let query = query.to_lowercase();
    let items = declared
        .iter()
        .flat_map(|(path, entry)| entry.items.iter().map(move |item| (path, item)));
    let mut found: Vec<_> = items
        .filter_map(|(path, item)| {
            let name = item.name.to_lowercase();
            let order = (!name.starts_with(&query), !name.contains(&query));
            has_letters(&name, &query).then_some((order, name, path, item))
        })
        .collect();
    found.sort_by(|a, b| (a.0, &a.1, a.2, a.3.own.start).cmp(&(b.0, &b.1, b.2, b.3.own.start)));
    found.truncate(MOST_SYMBOLS);
    let symbols = found.into_iter().filter_map(|(_, _, path, item)| {
        Some(WorkspaceSymbol {
            name: item.name.to_string(),
            kind: symbol_kind(item.sort),
            tags: None,
            container_name: None,
            location: OneOf::Left(Location::new(uri(path)?, item.own)),
            data: None,
        })
    });
    symbols.collect()
}

fn has_letters(name: &str, query: &str) -> bool {
    let mut letters = name.chars();
    query
        .chars()
        .all(|wanted| letters.any(|letter| letter == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::position::PositionEncoding;
    use crate::source::{FileId, LineIndex};
    use crate::syntax;

    #[test]
    fn an_outline_with_too_many_statements_has_only_items() {
        for (statements, has_statements) in [(MOST_STATEMENTS, true), (MOST_STATEMENTS + 1, false)]
        {
            let body = "memory = 1\n".repeat(statements - 1);
            let text = format!("layer a {{ when memory == 1 {{\n{body}}} }}\nlayer b {{}}\n");
            let lines = LineIndex::new(&text);
            let positions = Positions::new(&text, &lines, PositionEncoding::Utf8);
            let found = outline(&syntax::parse(FileId(0), &text).file, &text, positions);
            let names: Vec<&str> = found.iter().map(|symbol| symbol.name.as_str()).collect();
            assert_eq!(names, ["a", "b"]);
            let first = found.first().unwrap();
            assert_eq!(first.children.is_some(), has_statements, "{statements}");
        }
    }
}
