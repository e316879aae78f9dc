//! Edits of files.

use crate::lsp::position::{PositionEncoding, uri};
use crate::source::{SourceMap, Span};
use lsp_types::{TextEdit, Uri, WorkspaceEdit};
use std::collections::HashMap;
use std::path::PathBuf;

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
