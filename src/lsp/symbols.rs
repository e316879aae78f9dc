//! Symbols: the items of a file, and those of a workspace that a query finds.

use crate::lsp::position::{PositionEncoding, Positions};
use crate::source::{FileId, LineIndex, Span};
use crate::syntax;
use crate::syntax::ast::{File, Item, SectionKind};
use lsp_types::{
    DocumentSymbol, Location, OneOf, SymbolInformation, SymbolKind, Uri, WorkspaceSymbol,
};

/// The items of a file.
#[allow(deprecated)] // a field of the protocol's type, which has no constructor
pub(super) fn outline(ast: &File, positions: Positions<'_>) -> Vec<DocumentSymbol> {
    let symbol =
        |name: &str, kind, whole: Span, own: Span, detail: Option<String>| DocumentSymbol {
            name: name.to_owned(),
            detail,
            kind,
            tags: None,
            deprecated: None,
            range: positions.range_of(whole.to(own)),
            selection_range: positions.range_of(own),
            children: None,
        };
    ast.items
        .iter()
        .filter_map(|item| match item {
            Item::Section(section) if !section.name.text.is_empty() => {
                let (kind, word) = match section.kind {
                    SectionKind::Image => (SymbolKind::CLASS, "image"),
                    SectionKind::Layer | SectionKind::Axis => (SymbolKind::MODULE, "layer"),
                    SectionKind::Matrix => (SymbolKind::CLASS, "matrix"),
                    SectionKind::Provider => (SymbolKind::INTERFACE, "provider"),
                    SectionKind::Rule => (SymbolKind::EVENT, "rule"),
                    SectionKind::Probe => (SymbolKind::EVENT, "probe"),
                };
                Some(symbol(
                    &section.name.text,
                    kind,
                    section.span,
                    section.name.span,
                    Some(word.to_owned()),
                ))
            }
            Item::Variable(variable) if !variable.name.text.is_empty() => {
                let span = variable.name.span;
                Some(symbol(
                    &variable.name.text,
                    SymbolKind::VARIABLE,
                    span,
                    span,
                    Some("variable".to_owned()),
                ))
            }
            Item::Type(ty) if !ty.name.text.is_empty() => Some(symbol(
                &ty.name.text,
                SymbolKind::TYPE_PARAMETER,
                ty.name.span,
                ty.name.span,
                Some("type".to_owned()),
            )),
            Item::Test(test) if !test.name.text.is_empty() => Some(symbol(
                &test.name.text,
                SymbolKind::METHOD,
                test.span,
                test.name.span,
                Some("test".to_owned()),
            )),
            Item::Waiver(waiver) => Some(symbol(
                &waiver.rule.text,
                SymbolKind::EVENT,
                waiver.span,
                waiver.rule.span,
                Some("waiver".to_owned()),
            )),
            _ => None,
        })
        .collect()
}

/// Symbols for clients that do not support nesting.
#[allow(deprecated)] // a field of the protocol's type, which has no constructor
pub(super) fn flatten(symbols: Vec<DocumentSymbol>, uri: &Uri) -> Vec<SymbolInformation> {
    symbols
        .into_iter()
        .map(|symbol| SymbolInformation {
            name: symbol.name,
            kind: symbol.kind,
            tags: None,
            deprecated: None,
            location: Location::new(uri.clone(), symbol.range),
            container_name: None,
        })
        .collect()
}

/// The most symbols that a search returns.
const MOST_SYMBOLS: usize = 500;

/// The most bytes of specs that a search reads.
const MOST_SEARCHED: usize = 16 << 20;

/// The items whose names contain the letters of a query in order. Names that begin with the query come first.
pub(super) fn search(
    files: impl Iterator<Item = (Uri, String)>,
    query: &str,
    encoding: PositionEncoding,
) -> Vec<WorkspaceSymbol> {
    let query = query.to_lowercase();
    let keep_best = |found: &mut Vec<WorkspaceSymbol>| {
        found.sort_by_cached_key(|symbol| {
            let name = symbol.name.to_lowercase();
            (!name.starts_with(&query), !name.contains(&query), name)
        });
        found.truncate(MOST_SYMBOLS);
    };
    let mut out = Vec::new();
    let mut left = MOST_SEARCHED;
    for (uri, text) in files {
        let Some(rest) = left.checked_sub(text.len()) else {
            break;
        };
        left = rest;
        let lines = LineIndex::new(&text);
        let positions = Positions::new(&text, &lines, encoding);
        for symbol in outline(&syntax::parse(FileId(0), &text).file, positions) {
            if has_letters(&symbol.name.to_lowercase(), &query) {
                out.push(WorkspaceSymbol {
                    name: symbol.name,
                    kind: symbol.kind,
                    tags: None,
                    container_name: None,
                    location: OneOf::Left(Location::new(uri.clone(), symbol.selection_range)),
                    data: None,
                });
            }
            if out.len() > 20 * MOST_SYMBOLS {
                keep_best(&mut out);
            }
        }
    }
    keep_best(&mut out);
    out
}

fn has_letters(name: &str, query: &str) -> bool {
    let mut letters = name.chars();
    query
        .chars()
        .all(|wanted| letters.any(|letter| letter == wanted))
}
