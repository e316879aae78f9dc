//! Code actions besides the fixes of diagnostics.

use crate::emit::is_literal_secret;
use crate::eval::{Image, evaluate};
use crate::import::{VarFile, import, spell_value};
use crate::lsp::edits::{edit, workspace_edit};
use crate::lsp::navigation::section_at;
use crate::lsp::pin::{derive, pin};
use crate::lsp::position::uri;
use crate::lsp::refactor;
use crate::lsp::server::Server;
use crate::lsp::workspace::Spec;
use crate::project::Address;
use crate::project::hir::*;
use crate::schema::{Text, Value};
use crate::source::{Loader, Span, normalize, part};
use crate::syntax::ast::{Include, Item};
use crate::syntax::print_text;
use lsp_types::*;
use std::path::{Path, PathBuf};

/// The most bytes of a value that an action writes out.
pub(super) const LARGEST_VALUE: usize = 64 << 10;

/// The most settings in a selection that get actions of their own.
const MOST_SETTINGS: usize = 20;

/// The actions for a range of a file.
pub(super) fn actions(server: &Server, path: &Path, range: Range) -> Vec<CodeAction> {
    if path.extension().is_some_and(|e| e == "json") {
        return convert_file(server, path).into_iter().collect();
    }
    let Some(spec) = server.workspace.spec(path) else {
        return Vec::new();
    };
    let encoding = server.workspace.encoding;
    let (start, end) = (
        encoding.offset(&spec.text, range.start),
        encoding.offset(&spec.text, range.end),
    );
    let (start, end) = (start as u32, end as u32);
    let positions = server.positions(&spec);
    let mut out = refactor::includes(server, &spec, path, positions, range);
    out.extend(refactor::allows(server, &spec, path, positions, range));
    out.extend(refactor::extract(server, &spec, path, start..end));
    out.extend(refactor::move_up(server, &spec, path, start));
    for item in &spec.syntax().file.items {
        if let Item::Include(include) = item
            && include.path.span.start <= end
            && start <= include.path.span.end
        {
            out.extend(convert_layer(server, &spec, path, include));
        }
    }
    let mut derived = derive(server, &spec, path, start);
    let section = section_at(&spec.syntax().file, start).map(|s| s.name.text.as_str());
    let Some(id) = section.and_then(|name| spec.program.find_section(spec.file, name)) else {
        out.extend(derived);
        return out;
    };
    let section = spec.program.section(id);
    if section.kind == LayerKind::Image
        && section.span.file == spec.file
        && let Ok(image) = evaluate(&spec.program, id, None)
    {
        for setting in section
            .settings
            .iter()
            .filter(|s| s.span.start <= end && start <= s.span.end)
            .take(MOST_SETTINGS)
        {
            out.extend(inline(server, &spec, &image, setting));
            let removal = remove(server, &spec, &image, setting);
            // What follows without a setting needs no expression.
            if removal.is_some() {
                derived.clear();
            }
            out.extend(removal);
        }
        out.extend(pin(server, &spec, path, &image, start));
    }
    out.extend(derived);
    out
}

/// Replaces the expression of a setting by its value.
fn inline(
    server: &Server,
    spec: &Spec,
    image: &Image<'_>,
    setting: &Setting,
) -> Option<CodeAction> {
    let id = setting.variable;
    let wins = image
        .winner(id)
        .is_some_and(|active| std::ptr::eq(active.setting, setting));
    let is_written_out =
        setting.change == Change::Replace && matches!(setting.value.kind, ExprKind::Const(_));
    if !wins || is_written_out || image.is_broken(id) || is_literal_secret(image, id) {
        return None;
    }
    let is_written = |value: &&Value| value.size(LARGEST_VALUE) <= LARGEST_VALUE && is_plain(value);
    let value = image.value(id).filter(is_written)?;
    let word = if setting.is_final { "final " } else { "" };
    let name = part(
        &spec.text,
        setting.name_span.start as usize..setting.name_span.end as usize,
    );
    let text = format!(
        "{word}{name} = {}",
        indented(&spell_value(value), &spec.text, setting.span.start)
    );
    let edits = vec![edit(
        &spec.program.sources,
        setting.span,
        &text,
        server.workspace.encoding,
    )];
    Some(CodeAction {
        title: match setting.change {
            Change::Replace => format!("Write out the value of `{name}`"),
            _ => format!("Inline the inherited value of `{name}`"),
        },
        kind: Some(CodeActionKind::REFACTOR_INLINE),
        edit: workspace_edit(edits),
        ..CodeAction::default()
    })
}

/// True if all of a value is known, and means the same in any file.
pub(super) fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(text) => matches!(text, Text::Plain(_)),
        Value::List(elements) => elements.iter().all(is_plain),
        Value::Map(map) => map.values().all(is_plain),
        Value::Bool(_) | Value::Int(_) => true,
    }
}

/// A value of several lines, with the indentation of the line that it begins on.
pub(super) fn indented(value: &str, text: &str, at: u32) -> String {
    let line = part(text, ..at as usize)
        .rfind('\n')
        .map_or(0, |end| end + 1);
    let indent: String = part(text, line..)
        .chars()
        .take_while(|c| *c == ' ' || *c == '\t')
        .collect();
    value.replace('\n', &format!("\n{indent}"))
}

/// Removes a setting with the value that the image inherits.
fn remove(
    server: &Server,
    spec: &Spec,
    image: &Image<'_>,
    setting: &Setting,
) -> Option<CodeAction> {
    if !image.is_redundant(setting) {
        return None;
    }
    let name = &spec.program.variable(setting.variable).name;
    let title = match &followed(image, setting)[..] {
        [] => format!("Remove the redundant setting of `{name}`"),
        names => format!("Remove `{name}`: it follows from {}", names.join(" and ")),
    };
    let span = with_line(
        &spec.text,
        setting.span.start as usize,
        setting.span.end as usize,
    );
    let span = Span::new(spec.file, span.0 as u32, span.1 as u32);
    Some(CodeAction {
        title,
        kind: Some(CodeActionKind::REFACTOR_REWRITE),
        edit: workspace_edit(vec![edit(
            &spec.program.sources,
            span,
            "",
            server.workspace.encoding,
        )]),
        ..CodeAction::default()
    })
}

/// The variables that the value without a setting is computed from.
fn followed(image: &Image<'_>, setting: &Setting) -> Vec<String> {
    let program = image.program;
    let weaker = image.settings(setting.variable).iter().rev();
    let mut weaker = weaker.filter(|active| !std::ptr::eq(active.setting, setting));
    let value = weaker.next().map(|active| &active.setting.value);
    let default = program.variable(setting.variable).default.as_ref();
    let mut names: Vec<String> = Vec::new();
    if let Some(value) = value.or(default) {
        value.for_each_variable(&mut |id| {
            let name = format!("`{}`", program.variable(id).name);
            if !names.contains(&name) {
                names.push(name);
            }
        });
    }
    names
}

/// The range, or its whole line if the line contains nothing else.
fn with_line(text: &str, start: usize, end: usize) -> (usize, usize) {
    let line = part(text, ..start).rfind('\n').map_or(0, |at| at + 1);
    let behind = part(text, end..)
        .find('\n')
        .map_or(text.len(), |at| end + at + 1);
    let is_alone =
        part(text, line..start).trim().is_empty() && part(text, end..behind).trim().is_empty();
    if is_alone {
        (line, behind)
    } else {
        (start, end)
    }
}

/// Converts an included JSON var file to an included spec.
fn convert_layer(
    server: &Server,
    spec: &Spec,
    path: &Path,
    include: &Include,
) -> Option<CodeAction> {
    let name = include.name.as_ref()?;
    if Address::is_meant(&include.path.text) {
        return None;
    }
    let json = normalize(&path.parent()?.join(include.path.text.as_str()));
    if json.extension()? != "json" {
        return None;
    }
    let new_path = include.path.text.strip_suffix(".json")?;
    let place = Span::new(spec.file, include.path.span.start, name.span.end);
    let text = print_text(&format!("{new_path}.imgspec"));
    let edit = edit(
        &spec.program.sources,
        place,
        &text,
        server.workspace.encoding,
    )
    .1;
    convert(server, &json, Some(&name.text), Some((path, edit)))
}

/// Converts an open var file to a spec in the same folder.
fn convert_file(server: &Server, path: &Path) -> Option<CodeAction> {
    server
        .workspace
        .is_known_var_file(path)
        .then(|| convert(server, path, None, None))
        .flatten()
}

fn convert(
    server: &Server,
    json: &Path,
    layer: Option<&str>,
    include: Option<(&Path, TextEdit)>,
) -> Option<CodeAction> {
    let new: PathBuf = json.with_extension("imgspec");
    if !server.client.can_create() || server.workspace.documents.exists(&new) {
        return None;
    }
    let name = json.file_name()?.to_str()?;
    let text = server.workspace.documents.read(json).ok()?;
    let program = server.workspace.load(Vec::new());
    let imported = import(
        &program,
        &[VarFile {
            name: name.to_owned(),
            text,
            folder: std::path::PathBuf::new(),
        }],
    )
    .ok()?;
    let mut text = imported.text;
    if let (Some(layer), [own]) = (layer, &imported.layers[..]) {
        text = text.replacen(
            &format!("\nlayer {own} {{"),
            &format!("\nlayer {layer} {{"),
            1,
        );
    }
    for note in &imported.notes {
        text.insert_str(0, &format!("# {note}\n"));
    }
    let versioned = |path: &Path, edits: Vec<TextEdit>| {
        let version = server
            .workspace
            .documents
            .get(path)
            .map(|document| document.version);
        let text_document = OptionalVersionedTextDocumentIdentifier {
            uri: uri(path)?,
            version,
        };
        let edits = edits.into_iter().map(OneOf::Left).collect();
        Some(DocumentChangeOperation::Edit(TextDocumentEdit {
            text_document,
            edits,
        }))
    };
    let create = CreateFile {
        uri: uri(&new)?,
        options: None,
        annotation_id: None,
    };
    let mut operations = vec![
        DocumentChangeOperation::Op(ResourceOp::Create(create)),
        versioned(&new, vec![TextEdit::new(Range::default(), text)])?,
    ];
    if let Some((path, edit)) = include {
        operations.push(versioned(path, vec![edit])?);
    }
    Some(CodeAction {
        title: format!("Convert {name} to a spec"),
        kind: Some(CodeActionKind::REFACTOR_REWRITE),
        edit: Some(WorkspaceEdit {
            document_changes: Some(DocumentChanges::Operations(operations)),
            ..WorkspaceEdit::default()
        }),
        ..CodeAction::default()
    })
}
