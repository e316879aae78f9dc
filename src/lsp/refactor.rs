//! Code actions that concern several items or files: includes, new layers, and settings that all children of a layer share.

use crate::lsp::edits::{edit, include_edit, workspace_edit};
use crate::lsp::index::{Declared, Key, Sort};
use crate::lsp::marked::path_to;
use crate::lsp::navigation::section_at;
use crate::lsp::position::Positions;
use crate::lsp::server::Server;
use crate::lsp::workspace::Spec;
use crate::project::Program;
use crate::project::hir::{LayerKind, SectionId, linearize};
use crate::schema::Base;
use crate::source::{FileId, Loader, Origin, Span, part};
use crate::syntax::ast::{self, Item, Section, SectionKind, Set, SetOp, Stmt};
use crate::syntax::{self, Kind, is_name};
use lsp_types::*;
use smol_str::SmolStr;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The most files whose includes are offered for a name.
const MOST_INCLUDES: usize = 5;

/// The most children that a setting is taken out of.
const MOST_CHILDREN: usize = 200;

fn action(title: String, kind: CodeActionKind, edit: Option<WorkspaceEdit>) -> CodeAction {
    CodeAction {
        title,
        kind: Some(kind),
        edit,
        ..CodeAction::default()
    }
}

// ---- includes -------------------------------------------------------------------------------------------------------

/// For unknown names in a range: includes of the files of the workspace that declare them.
pub(super) fn includes(
    server: &Server,
    spec: &Spec,
    path: &Path,
    positions: Positions<'_>,
    range: lsp_types::Range,
) -> Vec<CodeAction> {
    let Some(view) = spec.program.views.get(&spec.file) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for found in server.workspace.publisher.shown(path) {
        let Some(NumberOrString::String(code)) = &found.code else {
            continue;
        };
        let meets = found.range.start <= range.end && range.start <= found.range.end;
        let is_wanted: fn(&Declared) -> bool = match code.as_str() {
            "unknown-variable" => |item| item.sort == Sort::Variable,
            "unknown-name" => |item| item.sort != Sort::Variable,
            _ => continue,
        };
        let place = positions.offset(found.range.start)..positions.offset(found.range.end);
        let name = part(&spec.text, place).trim_end_matches('?');
        if !meets || !is_name(name) {
            continue;
        }
        let includers = server.workspace.dependents(path);
        let declaring = server
            .workspace
            .declared()
            .into_iter()
            .filter(|(other, entry)| {
                other.starts_with(&view.root)
                    && !includers.contains(other)
                    && entry
                        .items
                        .iter()
                        .any(|item| item.name == name && is_wanted(item))
            });
        for (other, _) in declaring.take(MOST_INCLUDES) {
            let edit = include_edit(spec, positions, &other);
            let title = format!("Add `{}`, which declares `{name}`", edit.new_text.trim());
            out.push(action(
                title,
                CodeActionKind::QUICKFIX,
                workspace_edit(vec![(path.to_owned(), edit)]),
            ));
        }
    }
    out
}

// ---- comments that allow --------------------------------------------------------------------------------------------

/// For warnings and notes in a range: comments that allow them. The user completes the reason.
pub(super) fn allows(
    server: &Server,
    spec: &Spec,
    path: &Path,
    positions: Positions<'_>,
    range: lsp_types::Range,
) -> Vec<CodeAction> {
    let found = server.workspace.publisher.shown(path);
    let meets = |found: &&Diagnostic| {
        found.range.start <= range.end
            && range.start <= found.range.end
            && found.severity != Some(DiagnosticSeverity::ERROR)
    };
    let actions = found.iter().filter(meets).filter_map(|found| {
        let Some(NumberOrString::String(code)) = &found.code else {
            return None;
        };
        let start = line_start(&spec.text, positions.offset(found.range.start));
        // Between the lines of a string it would be text.
        let tree = &spec.syntax().tree;
        let around = path_to(tree, start, start);
        let is_text = |at: &usize| {
            let node = tree.node(*at);
            let kinds = [
                Kind::heredoc,
                Kind::loose_heredoc,
                Kind::broken_heredoc,
                Kind::triple,
            ];
            kinds.contains(&node.kind) && (node.start as usize) < start
        };
        if around.iter().any(is_text) {
            return None;
        }
        let line = part(&spec.text, start..);
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let comment = format!(
            "{}# imgspec: allow({code}): say why it is right here\n",
            part(line, ..indent)
        );
        let edit = TextEdit::new(positions.range(start, start), comment);
        Some(action(
            format!("Allow `{code}` here, with a reason"),
            CodeActionKind::QUICKFIX,
            workspace_edit(vec![(path.to_owned(), edit)]),
        ))
    });
    actions.collect()
}

// ---- new layers -----------------------------------------------------------------------------------------------------

/// Makes a layer of the selected statements of a layer or image.
pub(super) fn extract(
    server: &Server,
    spec: &Spec,
    path: &Path,
    selected: Range<u32>,
) -> Option<CodeAction> {
    if selected.is_empty() {
        return None;
    }
    let section = section_at(&spec.syntax().file, selected.start)?;
    let is_for_settings = matches!(section.kind, SectionKind::Image | SectionKind::Layer);
    let is_selected = |stmt: &&Stmt| {
        let span = stmt.span();
        selected.start <= span.end && span.start <= selected.end
    };
    let stmts: Vec<&Stmt> = section.body.iter().filter(is_selected).collect();
    let is_target =
        |stmt: &&Stmt| matches!(stmt, Stmt::Block { name, .. } if name.text == "target");
    let (first, last) = (stmts.first()?, stmts.last()?);
    if !is_for_settings || stmts.iter().any(is_target) {
        return None;
    }
    let own = &section.name.text;
    let is_free = |name: &String| spec.program.find_section(spec.file, name).is_none();
    let mut names =
        std::iter::once(format!("{own}-base")).chain((2..100).map(|n| format!("{own}-base-{n}")));
    let name = names.find(is_free)?;
    // Whole lines, with the comments between the statements.
    let start = above(&spec.text, first.span().start as usize);
    let end = line_end(&spec.text, last.span().end as usize);
    let body_start = section.span.start as usize;
    // A secret is in no answer.
    let is_hidden = spec.program.sources.get(spec.file).hides(start..end);
    if start <= body_start || end > section.span.end as usize || is_hidden {
        return None;
    }
    let text = part(&spec.text, start..end);
    let before = above(&spec.text, body_start);
    let layer = format!("layer {name} {{\n{text}}}\n\n");
    let header = match section.extends.last() {
        Some(parent) => (parent.span.end, format!(", {name}")),
        None => (section.name.span.end, format!(" extends {name}")),
    };
    let at = |start: usize, end: usize| Span::new(spec.file, start as u32, end as u32);
    let places = [
        (at(before, before), layer),
        (at(header.0 as usize, header.0 as usize), header.1),
        (at(start, end), String::new()),
    ];
    let encoding = server.workspace.encoding;
    let edits = places.into_iter().map(|(span, text)| {
        (
            path.to_owned(),
            edit(&spec.program.sources, span, &text, encoding).1,
        )
    });
    Some(action(
        format!("Extract the layer `{name}`"),
        CodeActionKind::REFACTOR_EXTRACT,
        workspace_edit(edits.collect()),
    ))
}

fn line_start(text: &str, at: usize) -> usize {
    part(text, ..at).rfind('\n').map_or(0, |end| end + 1)
}

/// The start of the line after an offset.
fn line_end(text: &str, at: usize) -> usize {
    part(text, at..)
        .find('\n')
        .map_or(text.len(), |end| at + end + 1)
}

/// The start of an item with the comment lines directly above it.
fn above(text: &str, item: usize) -> usize {
    let mut start = line_start(text, item);
    while start > 0 {
        let previous = line_start(text, start - 1);
        if !part(text, previous..start).trim_start().starts_with('#') {
            break;
        }
        start = previous;
    }
    start
}

// ---- settings of all children ---------------------------------------------------------------------------------------

/// A child of a layer that contains the same setting.
struct Sharer {
    path: PathBuf,
    section: SmolStr,
    text: String,
    set: Range<usize>,
}

/// Moves a setting that all children of a layer share to that layer.
pub(super) fn move_up(server: &Server, spec: &Spec, path: &Path, at: u32) -> Vec<CodeAction> {
    let Some(section) = section_at(&spec.syntax().file, at) else {
        return Vec::new();
    };
    let Some(set) = section.body.iter().find_map(|stmt| match stmt {
        Stmt::Set(set) if set.span.start <= at && at <= set.span.end => Some(set),
        _ => None,
    }) else {
        return Vec::new();
    };
    let names_a_path = spec
        .program
        .find_variable(Some(spec.file), &set.name.text)
        .is_some_and(|id| is_path(&spec.program.variable(id).ty.base));
    let text = set.span.start as usize..set.span.end as usize;
    let is_hidden = spec.program.sources.get(spec.file).hides(text);
    // A path starts at its file, and a secret is in no answer.
    if is_hidden || set.op != SetOp::Replace || set.is_final || names_a_path {
        return Vec::new();
    }
    let parents = section.extends.iter();
    let actions = parents.filter_map(|parent| move_to(server, spec, path, set, &parent.text));
    actions.collect()
}

/// True if a setting in a section means the same in a layer that it extends: the file of the layer sees its names, and
/// nothing between the two sets the variable.
fn means_the_same(
    program: &Program,
    file: FileId,
    section: &str,
    parent: &str,
    name: &str,
) -> bool {
    let (Some(own), Some(layer), Some(variable)) = (
        program.find_section(file, section),
        program.find_section(file, parent),
        program.find_variable(Some(file), name),
    ) else {
        return false;
    };
    let home = program.section(layer).span.file;
    let mut is_seen = program.find_variable(Some(home), name) == Some(variable);
    let settings = program.section(own).settings.iter();
    for setting in settings.filter(|setting| setting.variable == variable) {
        setting.value.for_each_variable(&mut |id| {
            let name = &program.variable(id).name;
            is_seen &= program.find_variable(Some(home), name) == Some(id);
        });
    }
    let order = linearize(&program.sections, own);
    let mut between = order
        .iter()
        .skip_while(|id| **id != layer)
        .filter(|id| **id != layer && **id != own);
    let sets_it = |id: &SectionId| {
        let mut settings = program.section(*id).settings.iter();
        settings.any(|setting| setting.variable == variable)
    };
    is_seen && !between.any(sets_it)
}

pub(super) fn is_path(base: &Base) -> bool {
    match base {
        Base::Path | Base::File | Base::Role => true,
        Base::List(inner) | Base::Map(inner) => is_path(&inner.base),
        _ => false,
    }
}

fn move_to(
    server: &Server,
    spec: &Spec,
    path: &Path,
    set: &Set,
    parent: &SmolStr,
) -> Option<CodeAction> {
    let id = spec.program.find_section(spec.file, parent)?;
    let layer = spec.program.section(id);
    let source = spec.program.sources.get(layer.span.file);
    if layer.kind != LayerKind::Layer || source.origin != Origin::Project {
        return None;
    }
    let key: Key = (Some(source.path.clone()), parent.clone());
    let family = server.workspace.family();
    let children = family.children(&key);
    if children.len() > MOST_CHILDREN {
        return None;
    }
    let written = part(&spec.text, set.span.start as usize..set.span.end as usize);
    let value = part(
        &spec.text,
        set.value.span.start as usize..set.value.span.end as usize,
    );
    let mut sharers = Vec::new();
    for (child, at) in children {
        let entry = server.workspace.declared_in(child);
        let name = &entry.items.get(*at)?.name;
        sharers.push(find_sharer(server, child, name, &set.name.text, value)?);
    }
    let parent_text = &source.text;
    let parent_ast = syntax::parse(layer.span.file, parent_text).file;
    let parent_section = find_section(&parent_ast, parent)?;
    let sets_it =
        |stmt: &Stmt| matches!(stmt, Stmt::Set(other) if other.name.text == set.name.text);
    if parent_section.body.iter().any(sets_it) {
        return None;
    }
    let paths: Vec<PathBuf> = sharers.iter().map(|sharer| sharer.path.clone()).collect();
    let program = server.workspace.load(paths);
    let is_same = |(sharer, file): (&Sharer, &Option<FileId>)| {
        file.is_some_and(|file| {
            means_the_same(&program, file, &sharer.section, parent, &set.name.text)
        })
    };
    if !sharers.iter().zip(&program.specs).all(is_same) {
        return None;
    }
    let encoding = server.workspace.encoding;
    let mut edits: Vec<(PathBuf, TextEdit)> = Vec::new();
    for sharer in &sharers {
        let (start, end) = with_line(&sharer.text, sharer.set.clone());
        let range = encoding.range(&sharer.text, start, end);
        edits.push((sharer.path.clone(), TextEdit::new(range, String::new())));
    }
    edits.push((
        source.path.clone(),
        add_setting(server, parent_text, parent_section, written)?,
    ));
    edits.sort_by(|a, b| (a.0 != path, &a.0).cmp(&(b.0 != path, &b.0)));
    let what = match sharers.len() {
        1 => String::new(),
        count => format!(": its {count} children set the same value"),
    };
    Some(action(
        format!("Move `{}` to the layer `{parent}`{what}", set.name.text),
        CodeActionKind::REFACTOR_REWRITE,
        workspace_edit(edits),
    ))
}

/// The setting of a child with a value; `None` if the child has none, or another value.
fn find_sharer(
    server: &Server,
    path: &Path,
    section: &str,
    name: &str,
    value: &str,
) -> Option<Sharer> {
    let text = server.workspace.documents.read(path).ok()?;
    let ast = syntax::parse(FileId(0), &text).file;
    let found = find_section(&ast, section)?
        .body
        .iter()
        .find_map(|stmt| match stmt {
            Stmt::Set(set) if set.name.text == name => Some(set),
            _ => None,
        })?;
    let own = found.value.span;
    let is_same = found.op == SetOp::Replace
        && !found.is_final
        && part(&text, own.start as usize..own.end as usize) == value;
    let set = found.span.start as usize..found.span.end as usize;
    is_same.then(|| Sharer {
        path: path.to_owned(),
        section: SmolStr::new(section),
        text,
        set,
    })
}

fn find_section<'f>(file: &'f ast::File, name: &str) -> Option<&'f Section> {
    let mut sections = file.items.iter().filter_map(Item::section);
    sections.find(|section| {
        let kinds = [SectionKind::Image, SectionKind::Layer, SectionKind::Matrix];
        let is_layer = kinds.contains(&section.kind);
        is_layer && section.name.text == name
    })
}

/// The edit that adds a setting at the end of a section.
fn add_setting(server: &Server, text: &str, section: &Section, written: &str) -> Option<TextEdit> {
    let close = section.span.end as usize - 1;
    if part(text, close..close + 1) != "}" {
        return None;
    }
    let start = line_start(text, close);
    let is_alone = part(text, start..close).trim().is_empty();
    let (at, new) = if is_alone {
        (start, format!("    {written}\n"))
    } else {
        let body = part(text, ..close);
        let is_empty = body.trim_end().ends_with('{');
        let end = body.trim_end().len();
        (
            end,
            format!("{}{written} ", if is_empty { " " } else { ", " }),
        )
    };
    let end = if is_alone { at } else { close };
    let range = server.workspace.encoding.range(text, at, end);
    Some(TextEdit::new(range, new))
}

/// A range, or its whole line if the line contains nothing else, or the comma behind it.
fn with_line(text: &str, range: Range<usize>) -> (usize, usize) {
    let (start, end) = (line_start(text, range.start), line_end(text, range.end));
    let before = part(text, start..range.start);
    let behind = part(text, range.end..end);
    if before.trim().is_empty() && behind.trim().is_empty() {
        return (start, end);
    }
    let spaces = behind.len() - behind.trim_start_matches([' ', '\t', ',']).len();
    (range.start, range.end + spaces)
}

// ---- all fixes ------------------------------------------------------------------------------------------------------

/// Applies the safe fixes of a file, as `imgspec check --fix` does.
pub(super) fn fix_all(server: &Server, path: &Path) -> Option<CodeAction> {
    let diagnostics = server.workspace.publisher.diagnostics(path);
    let fixes = diagnostics.flat_map(|found| &found.fixes);
    let mut edits: Vec<(PathBuf, TextEdit)> = Vec::new();
    for fix in fixes.filter(|fix| fix.is_safe) {
        let is_own = fix.edits.iter().all(|(of, _)| of == path);
        let meets = |a: &TextEdit, b: &TextEdit| {
            a.range.start <= b.range.end && b.range.start <= a.range.end
        };
        let is_free = fix
            .edits
            .iter()
            .all(|(_, new)| !edits.iter().any(|(_, taken)| meets(new, taken)));
        if is_own && is_free {
            edits.extend(fix.edits.iter().cloned());
        }
    }
    (!edits.is_empty()).then(|| {
        action(
            "Apply all safe fixes".to_owned(),
            CodeActionKind::SOURCE_FIX_ALL,
            workspace_edit(edits),
        )
    })
}
