//! Edits of files.

use crate::emit::relative;
use crate::lsp::position::{PositionEncoding, Positions, uri};
use crate::lsp::workspace::Spec;
use crate::source::{SourceMap, Span, part};
use crate::syntax::print_text;
use lsp_types::{TextEdit, Uri, WorkspaceEdit};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// An edit, with its file.
pub(super) fn edit(
    sources: &SourceMap,
    span: Span,
    text: &str,
    encoding: PositionEncoding,
) -> (PathBuf, TextEdit) {
    let edit = TextEdit::new(encoding.range_of(sources, span), text.to_owned());
    (sources.get(span.file).path.clone(), edit)
}

/// Edits of files, as the protocol has them.
#[allow(clippy::mutable_key_type)] // the protocol's map has URIs as keys
pub(super) fn workspace_edit(edits: Vec<(PathBuf, TextEdit)>) -> Option<WorkspaceEdit> {
    let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
    for (path, edit) in edits {
        changes.entry(uri(&path)?).or_default().push(edit);
    }
    Some(WorkspaceEdit {
        changes: Some(changes),
        ..WorkspaceEdit::default()
    })
}

/// The edit that makes a spec include another file: a line below its other includes, or the first one.
pub(super) fn include_edit(spec: &Spec, positions: Positions<'_>, target: &Path) -> TextEdit {
    let folder = spec.program.sources.get(spec.file).folder().to_owned();
    let path = relative(&folder, target);
    let line = format!(
        "include {}\n",
        print_text(path.strip_prefix("./").unwrap_or(&path))
    );
    let last = spec.syntax().file.includes().last().map(|include| {
        let name = include.name.as_ref().map(|name| name.span);
        name.unwrap_or(include.path.span).end as usize
    });
    let (at, text) = match last {
        Some(end) => match part(&spec.text, end..).find('\n') {
            Some(line_end) => (end + line_end + 1, line),
            None => (spec.text.len(), format!("\n{line}")),
        },
        None if spec.text.is_empty() => (0, line),
        None => (0, format!("{line}\n")),
    };
    TextEdit::new(positions.range(at, at), text)
}
