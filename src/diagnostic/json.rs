//! JSON for programs. `docs/json.md` describes the format, which has a version.

use crate::diagnostic::{Diagnostic, Fix, Label};
use crate::source::{SourceMap, Span, visible_json};
use serde::Serialize;
use serde_json::{Value, json};

/// The version of the JSON format. It increases if a field is removed or changes its meaning.
const VERSION: u32 = 1;

/// Renders `{"version": 1, "diagnostics": [ … ]}`.
pub fn render_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let value =
        json!({ "version": VERSION, "diagnostics": json_diagnostics(diagnostics, sources) });
    json_text(&value)
}

/// Serializes a value as indented JSON that is safe to print on a terminal.
pub fn json_text(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    format!("{}\n", visible_json(&text))
}

/// Returns the diagnostics as a JSON array, for commands with further output.
pub fn json_diagnostics(diagnostics: &[Diagnostic], sources: &SourceMap) -> Value {
    diagnostics.iter().map(|d| diagnostic(d, sources)).collect()
}

fn diagnostic(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let fix = |fix: &Fix| {
        let edits = fix
            .edits
            .iter()
            .map(|(span, text)| with(place(*span, sources), [("text", json!(text))]));
        json!({ "title": fix.title, "edits": edits.collect::<Vec<_>>() })
    };
    let fields = [
        ("code", json!(diagnostic.code.as_str())),
        ("severity", json!(diagnostic.severity.to_string())),
        ("message", json!(diagnostic.message)),
        ("label", json!(diagnostic.primary.text)),
        ("help", json!(diagnostic.help)),
        ("rule", json!(diagnostic.rule)),
        ("images", json!(diagnostic.images)),
        (
            "related",
            diagnostic
                .related
                .iter()
                .map(|l| related(l, sources))
                .collect(),
        ),
        ("fixes", diagnostic.fixes.iter().map(fix).collect()),
    ];
    with(place(diagnostic.primary.span, sources), fields)
}

fn related(label: &Label, sources: &SourceMap) -> Value {
    with(place(label.span, sources), [("message", json!(label.text))])
}

/// Returns the object with additional fields.
fn with<const N: usize>(mut object: Value, fields: [(&str, Value); N]) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
    object
}

fn place(span: Span, sources: &SourceMap) -> Value {
    let start = sources.position(span.file, span.start);
    let end = sources.position(span.file, span.end);
    json!({
        "file": sources.get(span.file).path.to_string_lossy(),
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
    })
}
