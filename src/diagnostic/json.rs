//! Diagnostics as JSON. The form is versioned and described in `docs/json.md`.

use crate::diagnostic::{Diagnostic, Fix, Label};
use crate::source::{SourceMap, Span, visible_json};
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;

/// The version of the form. It grows if a field changes its meaning or is removed.
pub(crate) const VERSION: u32 = 1;

/// What `check --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report<'a> {
    /// The version of the form, 1.
    version: u32,
    diagnostics: Vec<JsonDiagnostic<'a>>,
}

impl<'a> Report<'a> {
    /// Creates the report of these diagnostics.
    pub fn new(diagnostics: &'a [Diagnostic], sources: &'a SourceMap) -> Report<'a> {
        Report {
            version: VERSION,
            diagnostics: json_diagnostics(diagnostics, sources),
        }
    }
}

/// An error, warning or note.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Diagnostic")]
pub struct JsonDiagnostic<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    /// A code that `imgspec explain` knows.
    code: &'static str,
    /// `error`, `warning` or `note`, after `imgspec.toml`.
    severity: String,
    /// What is wrong.
    message: &'a str,
    /// What this place has to do with it.
    label: &'a str,
    /// What to do.
    help: Option<&'a str>,
    /// The violated rule, for `rule-violated`.
    rule: Option<&'a str>,
    /// The images that have the diagnostic, at most 100. Empty if it is about the text alone.
    images: &'a [String],
    /// The number of images that have it.
    image_count: usize,
    /// Other places that matter.
    related: Vec<Related<'a>>,
    /// Alternative fixes.
    fixes: Vec<JsonFix<'a>>,
}

/// Another place that matters for a diagnostic.
#[derive(Debug, Serialize, JsonSchema)]
struct Related<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    /// What this place has to do with the diagnostic.
    message: &'a str,
}

/// Edits that fix a diagnostic, to be applied together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Fix")]
struct JsonFix<'a> {
    /// What the fix does, in the imperative.
    title: &'a str,
    edits: Vec<Edit<'a>>,
}

/// A replacement of the text at a place.
#[derive(Debug, Serialize, JsonSchema)]
struct Edit<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    /// The new text.
    text: &'a str,
}

/// A range of text in a file. Lines and columns start at 1; columns count characters.
#[derive(Debug, Serialize, JsonSchema)]
struct Place<'a> {
    /// An absolute path, or `stdlib/…` for the standard library.
    file: Cow<'a, str>,
    line: u32,
    column: u32,
    end_line: u32,
    /// The column behind the last character.
    end_column: u32,
}

/// Renders diagnostics as `{"version": 1, "diagnostics": [ … ]}`.
pub fn render_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    json_text(&Report::new(diagnostics, sources))
}

/// Renders a value as JSON with escaped invisible characters. A value that JSON cannot contain, which no format has,
/// becomes an object with the reason as `error`.
pub fn json_text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string());
    if let Cow::Owned(escaped) = visible_json(&text) {
        text = escaped;
    }
    text.push('\n');
    text
}

/// Renders an element of an array like [`json_text`], without the line end. It has its place in the array.
pub fn json_element(value: &impl Serialize) -> String {
    let text = json_text(value);
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    // No string of JSON contains a line end.
    for line in text.lines() {
        out.push_str(if out.is_empty() { "  " } else { "\n  " });
        out.push_str(line);
    }
    out
}

/// Converts diagnostics, for commands that print more than these.
pub fn json_diagnostics<'a>(
    diagnostics: &'a [Diagnostic],
    sources: &'a SourceMap,
) -> Vec<JsonDiagnostic<'a>> {
    diagnostics.iter().map(|d| diagnostic(d, sources)).collect()
}

fn diagnostic<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> JsonDiagnostic<'a> {
    let fix = |fix: &'a Fix| JsonFix {
        title: &fix.title,
        edits: fix
            .edits
            .iter()
            .map(|(span, text)| Edit {
                place: place(*span, sources),
                text,
            })
            .collect(),
    };
    let related = |label: &'a Label| Related {
        place: place(label.span, sources),
        message: &label.text,
    };
    JsonDiagnostic {
        place: place(diagnostic.primary.span, sources),
        code: diagnostic.code.as_str(),
        severity: diagnostic.severity.to_string(),
        message: &diagnostic.message,
        label: &diagnostic.primary.text,
        help: diagnostic.help.as_deref(),
        rule: diagnostic.rule.as_deref(),
        images: diagnostic.first_images(),
        image_count: diagnostic.images.len(),
        related: diagnostic.related.iter().map(related).collect(),
        fixes: diagnostic.fixes.iter().map(fix).collect(),
    }
}

fn place(span: Span, sources: &SourceMap) -> Place<'_> {
    let start = sources.position(span.file, span.start);
    let end = sources.position(span.file, span.end);
    Place {
        file: sources.get(span.file).path.to_string_lossy(),
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn elements_are_those_of_the_array() {
        let values = [
            json!({ "a": [1, {}], "b": "\u{202e}\n" }),
            json!([]),
            json!(1),
        ];
        let elements: Vec<String> = values.iter().map(json_element).collect();
        let text = format!("[\n{}\n]\n", elements.join(",\n"));
        assert_eq!(text, json_text(&values));
    }
}
