//! Where names are defined and used, and where the paths of includes lead.

use crate::lsp::navigation::{Named, for_each_name};
use crate::lsp::position::{Positions, uri};
use crate::project::Program;
use crate::source::{FileId, Span, normalize};
use crate::syntax::ast::{File, Item};
use lsp_types::DocumentLink;
use std::path::Path;

/// The definition of a name that a file uses.
pub(super) fn definition(program: &Program, file: FileId, named: Named<'_>) -> Option<Span> {
    match named {
        Named::Section(name) => program
            .find_section(file, name)
            .map(|id| program.section(id).span),
        Named::Variable(name) => program
            .find_variable(Some(file), name)
            .map(|id| program.variable(id).span),
        Named::Provider(name) => program
            .find_provider(file, name)
            .map(|id| program.provider(id).span),
        Named::Type(name) => program.find_type(file, name).map(|(_, span)| *span),
        Named::Include(_) | Named::Function(_) => None,
    }
}

/// The places of a file that name the item with a definition.
pub(super) fn references(program: &Program, file: FileId, ast: &File, defined: Span) -> Vec<Span> {
    let mut out = Vec::new();
    for_each_name(ast, &mut |named, span| {
        if definition(program, file, named) == Some(defined) {
            out.push(span);
        }
    });
    out
}

/// The paths of includes, as links.
pub(super) fn links(ast: &File, folder: &Path, positions: Positions<'_>) -> Vec<DocumentLink> {
    let includes = ast.items.iter().filter_map(|item| match item {
        Item::Include(include) if !include.path.text.is_empty() => Some(&include.path),
        _ => None,
    });
    includes
        .map(|path| DocumentLink {
            range: positions.range_of(path.span),
            target: uri(&normalize(&folder.join(path.text.as_str()))),
            tooltip: None,
            data: None,
        })
        .collect()
}
