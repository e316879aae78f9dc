//! Where names are defined, and what a file defines.

use crate::lsp::cursor::{Named, for_each_name};
use crate::lsp::places::Encoding;
use crate::lsp::places::uri;
use crate::project::Program;
use crate::source::normalize;
use crate::source::{FileId, Span, part};
use crate::syntax::ast::{File, Item, SectionKind};

use crate::syntax::{self, Kind, Parse};
use lsp_types::{
    DocumentLink, DocumentSymbol, FoldingRange, FoldingRangeKind, Location, OneOf,
    SymbolInformation, SymbolKind, Uri, WorkspaceSymbol,
};
use std::path::Path;

/// The definition of a name that a file uses.
pub fn definition(program: &Program, file: FileId, named: Named<'_>) -> Option<Span> {
    match named {
        Named::Section(name) => program
            .find_section(file, name)
            .map(|id| program.section(id).span),
        Named::Variable(name) => program
            .find_variable(Some(file), name)
            .map(|id| program.variable(id).span),
        Named::Provider(name) => program
            .providers
            .iter()
            .find(|p| p.name == name)
            .map(|p| p.span),
        Named::Type(name) => program.find_type(file, name).map(|(_, span)| *span),
        Named::Include(_) | Named::Function(_) => None,
    }
}

/// The places of a file that use what is defined at a place.
pub fn references(program: &Program, file: FileId, ast: &File, defined: Span) -> Vec<Span> {
    let mut out = Vec::new();
    for_each_name(ast, &mut |named, span| {
        if definition(program, file, named) == Some(defined) {
            out.push(span);
        }
    });
    out
}

/// A file's items as an outline.
#[allow(deprecated)] // a field of the protocol's type, which has no constructor
pub fn outline(text: &str, ast: &File, encoding: Encoding) -> Vec<DocumentSymbol> {
    let range = |span: Span| encoding.range(text, span.start as usize, span.end as usize);
    let symbol =
        |name: &str, kind, whole: Span, own: Span, detail: Option<String>| DocumentSymbol {
            name: name.to_owned(),
            detail,
            kind,
            tags: None,
            deprecated: None,
            range: range(whole.to(own)),
            selection_range: range(own),
            children: None,
        };
    ast.items
        .iter()
        .filter_map(|item| match item {
            Item::Section(section) if !section.name.text.is_empty() => {
                let (kind, word) = match section.kind {
                    SectionKind::Image => (SymbolKind::CLASS, "image"),
                    SectionKind::Layer => (SymbolKind::MODULE, "layer"),
                    SectionKind::Provider => (SymbolKind::INTERFACE, "provider"),
                    SectionKind::Rule => (SymbolKind::EVENT, "rule"),
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
            _ => None,
        })
        .collect()
}

/// An outline for clients that know no nesting.
#[allow(deprecated)] // a field of the protocol's type, which has no constructor
pub fn flatten(symbols: Vec<DocumentSymbol>, uri: &Uri) -> Vec<SymbolInformation> {
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

/// How many symbols a search gives.
const MOST_SYMBOLS: usize = 500;

/// The items of some files whose names have the letters of a query in this order, those that begin so first.
pub fn search(
    files: impl Iterator<Item = (Uri, String)>,
    query: &str,
    encoding: Encoding,
) -> Vec<WorkspaceSymbol> {
    let query = query.to_lowercase();
    let mut out = Vec::new();
    for (uri, text) in files {
        for symbol in outline(&text, &syntax::parse(FileId(0), &text).file, encoding) {
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
        }
    }
    out.sort_by_cached_key(|symbol| {
        let name = symbol.name.to_lowercase();
        (!name.starts_with(&query), !name.contains(&query), name)
    });
    out.truncate(MOST_SYMBOLS);
    out
}

fn has_letters(name: &str, query: &str) -> bool {
    let mut letters = name.chars();
    query
        .chars()
        .all(|wanted| letters.any(|letter| letter == wanted))
}

/// The paths of includes.
pub fn links(text: &str, ast: &File, folder: &Path, encoding: Encoding) -> Vec<DocumentLink> {
    let includes = ast.items.iter().filter_map(|item| match item {
        Item::Include(include) if !include.path.text.is_empty() => Some(&include.path),
        _ => None,
    });
    includes
        .map(|path| DocumentLink {
            range: encoding.range(text, path.span.start as usize, path.span.end as usize),
            target: uri(&normalize(&folder.join(path.text.as_str()))),
            tooltip: None,
            data: None,
        })
        .collect()
}

/// Blocks, lists and texts of several lines, and comments that stand below each other.
pub fn folds(text: &str, parse: &Parse, encoding: Encoding) -> Vec<FoldingRange> {
    let mut out: Vec<FoldingRange> = Vec::new();
    let mut push = |start: u32, end: u32, kind: FoldingRangeKind| {
        let range = encoding.range(text, start as usize, end as usize);
        if range.start.line < range.end.line
            && out.last().is_none_or(|l| l.start_line != range.start.line)
        {
            out.push(FoldingRange {
                start_line: range.start.line,
                end_line: range.end.line,
                kind: Some(kind),
                ..FoldingRange::default()
            });
        }
    };
    let mut comments: Option<(u32, u32)> = None;
    for at in 0..parse.tree.len() {
        let node = parse.tree.node(at);
        match node.kind {
            Kind::comment => {
                let between = |end: u32| part(text, end as usize..node.start as usize);
                comments = match comments {
                    Some((start, end))
                        if between(end).trim().is_empty()
                            && between(end).matches('\n').count() == 1 =>
                    {
                        Some((start, node.end))
                    }
                    other => {
                        other
                            .into_iter()
                            .for_each(|(start, end)| push(start, end, FoldingRangeKind::Comment));
                        Some((node.start, node.end))
                    }
                };
            }
            Kind::block | Kind::list | Kind::map | Kind::args | Kind::heredoc => {
                push(node.start, node.end, FoldingRangeKind::Region);
            }
            _ => {}
        }
    }
    comments
        .into_iter()
        .for_each(|(start, end)| push(start, end, FoldingRangeKind::Comment));
    out.sort_by_key(|fold| fold.start_line);
    out
}
