//! Findings for programs. The form is versioned and described in `docs/json.md`.

use super::{Diagnostic, Label};
use crate::source::{SourceMap, Span, visible_json};
use serde::Serialize;
use serde_json::{Value, json};

/// The version of the JSON form; it grows where a field changes its meaning or goes away.
const VERSION: u32 = 1;

/// `{"version": 1, "diagnostics": [ … ]}`
pub fn render_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let value = json!({ "version": VERSION, "diagnostics": json_diagnostics(diagnostics, sources) });
    json_text(&value)
}

/// JSON for people's terminals as well as for programs.
pub fn json_text(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    format!("{}\n", visible_json(&text))
}

/// The findings as a JSON array, for commands that print more than that.
pub fn json_diagnostics(diagnostics: &[Diagnostic], sources: &SourceMap) -> Value {
    diagnostics.iter().map(|d| diagnostic(d, sources)).collect()
}

fn diagnostic(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let mut out = place(diagnostic.primary.span, sources);
    let fixes: Vec<Value> = diagnostic
        .fixes
        .iter()
        .map(|fix| {
            let edits: Vec<Value> = fix
                .edits
                .iter()
                .map(|(span, text)| {
                    let mut edit = place(*span, sources);
                    edit["text"] = json!(text);
                    edit
                })
                .collect();
            json!({ "title": fix.title, "edits": edits })
        })
        .collect();
    out["code"] = json!(diagnostic.code.as_str());
    out["severity"] = json!(diagnostic.severity.to_string());
    out["message"] = json!(diagnostic.message);
    out["label"] = json!(diagnostic.primary.text);
    out["help"] = json!(diagnostic.help);
    out["rule"] = json!(diagnostic.rule);
    out["images"] = json!(diagnostic.images);
    out["related"] = diagnostic.related.iter().map(|l| related(l, sources)).collect();
    out["fixes"] = json!(fixes);
    out
}

fn related(label: &Label, sources: &SourceMap) -> Value {
    let mut out = place(label.span, sources);
    out["message"] = json!(label.text);
    out
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
