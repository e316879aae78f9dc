//! Where names are defined, and what a file defines.

use super::cursor::{Named, for_each_name};
use super::hover::find_section;
use super::places::Encoding;
use crate::project::Program;
use crate::source::{FileId, Span};
use crate::syntax::ast::{File, Item, SectionKind};
use lsp_types::{DocumentSymbol, FoldingRange, FoldingRangeKind, SymbolKind};

/// The definition of a name that a file uses.
pub fn definition(program: &Program, file: FileId, named: Named<'_>) -> Option<Span> {
    match named {
        Named::Section(name) => find_section(program, file, name).map(|id| program.section(id).span),
        Named::Variable(name) => program.find_variable(Some(file), name).map(|id| program.variable(id).span),
        Named::Provider(name) => program.providers.iter().find(|p| p.name == name).map(|p| p.span),
        Named::Type(name) => {
            let own = program.views.get(&file).and_then(|view| view.names.types.get(name));
            own.or_else(|| program.library.types.get(name)).map(|(_, span)| *span)
        }
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
    let symbol = |name: &str, kind, whole: Span, own: Span, detail: Option<String>| DocumentSymbol {
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
                Some(symbol(&section.name.text, kind, section.span, section.name.span, Some(word.to_owned())))
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

/// Items of several lines.
pub fn folds(text: &str, ast: &File, encoding: Encoding) -> Vec<FoldingRange> {
    ast.items
        .iter()
        .filter_map(|item| {
            let Item::Section(section) = item else { return None };
            let range = encoding.range(text, section.span.start as usize, section.span.end as usize);
            (range.start.line < range.end.line).then(|| FoldingRange {
                start_line: range.start.line,
                end_line: range.end.line,
                kind: Some(FoldingRangeKind::Region),
                ..FoldingRange::default()
            })
        })
        .collect()
}
