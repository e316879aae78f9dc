//! Where names are defined and used, and where the paths of includes lead.

use crate::lsp::hover::find_entry;
use crate::lsp::navigation::{Named, for_each_name};
use crate::lsp::position::{Positions, uri};
use crate::project::hir::{LayerKind, PROBES, RULES, VarId};
use crate::project::{Program, find_include};
use crate::source::{Disk, FileId, Loader, Span};
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
        Named::Rule(name) => program
            .visible(file)
            .find(RULES, name)
            .map(|(_, span)| *span),
        Named::Probe(name) => program
            .visible(file)
            .find(PROBES, name)
            .map(|(_, span)| *span),
        Named::Entry(owner, name) => {
            find_entry(program, file, owner, name).map(|id| program.variable(id).span)
        }
        Named::Include(_) | Named::Function(_) | Named::Code(_) => None,
    }
}

/// The places of a file that name the item with a definition.
pub(super) fn references(program: &Program, file: FileId, ast: &File, defined: Span) -> Vec<Span> {
    let entry = find_defined(program, defined)
        .map(|id| program.variable(id))
        .and_then(|variable| Some((variable.extra()?, variable.name.as_str())));
    let mut out = Vec::new();
    for_each_name(ast, &mut |named, span| {
        let is_it = match named {
            // The search for the variable of each entry would take long.
            Named::Entry(owner, name) if entry.is_some() => entry == Some((owner, name)),
            Named::Entry(_, name) => {
                definition(program, file, Named::Variable(name)) == Some(defined)
            }
            named => definition(program, file, named) == Some(defined),
        };
        if is_it {
            out.push(span);
        }
    });
    out
}

/// The variable with a definition.
pub(super) fn find_defined(program: &Program, defined: Span) -> Option<VarId> {
    let mut variables = program.variables.pairs();
    variables
        .find(|(_, variable)| variable.span == defined)
        .map(|(id, _)| id)
}

/// The places outside the code of specs that name the item with a definition: keys of var files and names in
/// `imgspec.toml`, which have quotes, and names in comments, which have none.
pub(super) fn outer_references(program: &Program, defined: Span) -> Vec<(Span, bool)> {
    let variable = find_defined(program, defined);
    let json = program
        .sections
        .iter()
        .filter(|section| section.kind == LayerKind::Json)
        .flat_map(|section| &section.settings)
        .filter(|setting| Some(setting.variable) == variable)
        .map(|setting| (setting.name_span, true));
    let rule = program.rules.iter().find(|rule| rule.span == defined);
    let configs = program
        .configs
        .0
        .iter()
        .flat_map(|config| config.names())
        .map(|name| (name, true));
    let comments = program.allows.iter().flat_map(|allow| &allow.names);
    let names = configs.chain(comments.map(|name| (name, false)));
    let of_rule = names.filter(|(name, _)| rule.is_some_and(|rule| rule.name == name.text));
    json.chain(of_rule.map(|(name, is_quoted)| (name.span, is_quoted)))
        .collect()
}

/// The variable whose key in a var file is at an offset, with the place of the key.
pub(super) fn key_at(program: &Program, file: FileId, offset: u32) -> Option<(VarId, Span)> {
    let json = program
        .sections
        .iter()
        .filter(|section| section.kind == LayerKind::Json);
    let keys = json
        .flat_map(|section| &section.settings)
        .map(|setting| (setting.variable, setting.name_span));
    let mut keys = keys.filter(|(_, span)| span.file == file);
    keys.find(|(_, span)| span.start <= offset && offset <= span.end)
}

/// The paths of includes, as links.
pub(super) fn links(ast: &File, own: &Path, positions: Positions<'_>) -> Vec<DocumentLink> {
    let includes = ast.items.iter().filter_map(|item| match item {
        Item::Include(include) if !include.path.text.is_empty() => Some(&include.path),
        _ => None,
    });
    includes
        .map(|path| DocumentLink {
            range: positions.range_of(path.span),
            target: uri(&find_include(own, &path.text, |path| Disk.exists(path))),
            tooltip: None,
            data: None,
        })
        .collect()
}
