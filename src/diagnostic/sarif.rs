//! SARIF 2.1.0, the form of findings that code scanning reads.

use crate::diagnostic::catalogue::{section, summary};
use crate::diagnostic::{Code, Diagnostic, Findings, Fix, Repository, Severity, json_text, page};
use crate::source::{FileId, Span, is_absolute};
use serde_json::{Value, json};
use std::path::Path;

/// The name of the repository's root in the form.
const ROOT: &str = "%SRCROOT%";

/// Renders a log with one run: its rules, and a result for each diagnostic. What comments allow and what a baseline contains
/// are results, too, which are suppressed.
pub fn render_sarif(findings: &Findings, repository: Repository<'_>) -> String {
    let suppression = |kind: &str, reason: &str| json!({ "kind": kind, "justification": reason });
    let shown = findings.shown.iter().map(|d| (d, None));
    let known = findings.known.iter();
    let known = known.map(|d| (d, Some(suppression("external", "in the baseline"))));
    let allowed = findings.allowed.iter();
    let allowed = allowed.map(|(d, reason)| (d, Some(suppression("inSource", reason))));
    let all: Vec<(&Diagnostic, Option<Value>)> = shown.chain(known).chain(allowed).collect();
    let has_suppressions = all.len() > findings.shown.len();
    let mut codes: Vec<Code> = all.iter().map(|(d, _)| d.code).collect();
    codes.sort();
    codes.dedup();
    let fingerprints = repository.fingerprints(all.iter().map(|(d, _)| *d));
    let results = all.iter().zip(fingerprints);
    let results = results.map(|((d, suppression), print)| {
        let mut result = result(d, &print, &codes, repository);
        // The form has this property in all results of a run, or in none.
        if let Value::Object(result) = &mut result
            && has_suppressions
        {
            let list: Vec<&Value> = suppression.iter().collect();
            result.insert("suppressions".to_owned(), json!(list));
        }
        result
    });
    let home = env!("CARGO_PKG_REPOSITORY");
    json_text(&json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "imgspec",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": home,
                "rules": codes.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            } },
            "columnKind": "utf16CodeUnits",
            "originalUriBaseIds": { ROOT: { "description": { "text": "The root of the repository." } } },
            "results": results.collect::<Vec<_>>(),
        }],
    }))
}

fn rule(code: Code) -> Value {
    let home = env!("CARGO_PKG_REPOSITORY");
    let fix = section(code, "How to fix it");
    let mut out = json!({ "id": code.as_str() });
    let name = pascal_case(code.as_str());
    if let Value::Object(out) = &mut out
        && !name.eq_ignore_ascii_case(code.as_str())
    {
        // A name must not be the same as the id.
        out.insert("name".to_owned(), json!(name));
    }
    let more = json!({
        "shortDescription": { "text": summary(code) },
        "fullDescription": { "text": section(code, "Why it matters") },
        "help": { "text": fix, "markdown": page(code) },
        "helpUri": format!("{home}/blob/main/docs/codes/{code}.md"),
        "defaultConfiguration": { "level": level(code.severity()) },
    });
    if let (Value::Object(out), Value::Object(more)) = (&mut out, more) {
        out.extend(more);
    }
    out
}

/// Returns a code as a name: `NeverTrue` for `never-true`.
fn pascal_case(code: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    code.split('-').map(word).collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn result(
    diagnostic: &Diagnostic,
    fingerprint: &str,
    codes: &[Code],
    repository: Repository<'_>,
) -> Value {
    let mut out = json!({
        "ruleId": diagnostic.code.as_str(),
        "ruleIndex": codes.binary_search(&diagnostic.code).unwrap_or(0),
        "level": level(diagnostic.severity),
        "message": { "text": message(diagnostic, repository) },
        "locations": location(diagnostic, repository),
        "partialFingerprints": { "imgspecDiagnostic/v1": fingerprint },
    });
    let related = related(diagnostic, repository);
    let fixes: Vec<Value> = diagnostic
        .fixes
        .iter()
        .filter_map(|found| fix(found, repository))
        .collect();
    let mut properties = serde_json::Map::new();
    if let Some(rule) = &diagnostic.rule {
        properties.insert("rule".into(), json!(rule));
    }
    if !diagnostic.images.is_empty() {
        properties.insert("images".into(), json!(diagnostic.first_images()));
        properties.insert("imageCount".into(), json!(diagnostic.images.len()));
    }
    for (key, value, is_empty) in [
        ("relatedLocations", json!(related), related.is_empty()),
        ("fixes", json!(fixes), fixes.is_empty()),
        ("properties", json!(properties), properties.is_empty()),
    ] {
        if let Value::Object(out) = &mut out
            && !is_empty
        {
            out.insert(key.to_owned(), value);
        }
    }
    out
}

/// Returns the message, and after it all that no other field can contain: the first sentence is all that some readers show.
fn message(diagnostic: &Diagnostic, repository: Repository<'_>) -> String {
    let mut lines = vec![diagnostic.message.clone()];
    let span = diagnostic.primary.span;
    let label = &diagnostic.primary.text;
    if repository.file(span.file).is_none() {
        lines.push(repository.told(span, label));
    } else if !label.is_empty() {
        lines.push(label.clone());
    }
    let elsewhere = diagnostic.related.iter();
    let elsewhere = elsewhere.filter(|label| repository.file(label.span.file).is_none());
    lines.extend(elsewhere.map(|label| repository.told(label.span, &label.text)));
    lines.extend(repository.advice(diagnostic));
    let mut out = String::new();
    for line in lines {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&line);
        if !line.ends_with(['.', '?', '!', ':']) {
            out.push('.');
        }
    }
    out
}

/// Returns the place of a diagnostic. Readers require one, so a place in no file becomes the first file of the project.
fn location(diagnostic: &Diagnostic, repository: Repository<'_>) -> Vec<Value> {
    let span = diagnostic.primary.span;
    if let Some(path) = repository.file(span.file) {
        return vec![json!({ "physicalLocation": physical(path, span, repository) })];
    }
    let Some(first) = repository.first_file() else {
        return Vec::new();
    };
    let whole = Span::new(first, 0, repository.sources.get(first).text.len() as u32);
    let path = repository.file(first);
    path.map(|path| json!({ "physicalLocation": physical(path, whole, repository) }))
        .into_iter()
        .collect()
}

fn related(diagnostic: &Diagnostic, repository: Repository<'_>) -> Vec<Value> {
    let places = diagnostic.related.iter().filter_map(|label| {
        let path = repository.file(label.span.file)?;
        Some((physical(path, label.span, repository), &label.text))
    });
    places
        .zip(1..)
        .map(|((place, text), id)| json!({ "id": id, "physicalLocation": place, "message": { "text": text } }))
        .collect()
}

/// Returns a fix; `None` if it changes what is in no file.
fn fix(fix: &Fix, repository: Repository<'_>) -> Option<Value> {
    let mut changes: Vec<(FileId, &Path, Vec<Value>)> = Vec::new();
    for (span, text) in &fix.edits {
        let path = repository.file(span.file)?;
        let replacement = json!({
            "deletedRegion": region(*span, repository),
            "insertedContent": { "text": text },
        });
        match changes.iter_mut().find(|(file, ..)| *file == span.file) {
            Some((.., replacements)) => replacements.push(replacement),
            None => changes.push((span.file, path, vec![replacement])),
        }
    }
    let changes = changes.into_iter().map(|(_, path, replacements)| {
        json!({ "artifactLocation": artifact(path), "replacements": replacements })
    });
    Some(json!({
        "description": { "text": &fix.title },
        "artifactChanges": changes.collect::<Vec<_>>(),
    }))
}

fn physical(path: &Path, span: Span, repository: Repository<'_>) -> Value {
    json!({ "artifactLocation": artifact(path), "region": region(span, repository) })
}

fn artifact(path: &Path) -> Value {
    if is_absolute(path) {
        json!({ "uri": format!("file://{}", encoded(path)) })
    } else {
        json!({ "uri": encoded(path), "uriBaseId": ROOT })
    }
}

/// Encodes a path for a URI.
fn encoded(path: &Path) -> String {
    let mut out = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\\' if cfg!(windows) => out.push('/'),
            b'/' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn region(span: Span, repository: Repository<'_>) -> Value {
    let (line, column) = position(span.file, span.start, repository);
    let (end_line, end_column) = position(span.file, span.end, repository);
    json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column })
}

/// Returns the line and the column of an offset, both from 1. A column is a unit of UTF-16. A byte order mark is none.
fn position(file: FileId, offset: u32, repository: Repository<'_>) -> (usize, usize) {
    let file = repository.sources.get(file);
    let line = file.lines().line_at(offset);
    let range = file.lines().range(line, file.text.len());
    let start = range.map_or(0, |range| range.start);
    let before = file.text.get(start..offset as usize).unwrap_or("");
    let before = if line == 0 {
        before.trim_start_matches('\u{feff}')
    } else {
        before
    };
    (line + 1, before.encode_utf16().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Origin, SourceMap};

    #[test]
    fn columns_are_units_of_utf_16() {
        let mut sources = SourceMap::default();
        let text = "\u{feff}a\n\u{1f980}é b\n";
        let file = sources.add("/p/a.imgspec".into(), Origin::Project, text.into());
        let repository = Repository {
            sources: &sources,
            root: Path::new("/p"),
        };
        let at = |needle: &str| position(file, text.find(needle).unwrap() as u32, repository);
        assert_eq!(at("a"), (1, 1));
        assert_eq!(at("é"), (2, 3));
        assert_eq!(at("b"), (2, 5));
        assert_eq!(position(file, text.len() as u32, repository), (3, 1));
    }

    #[test]
    fn a_path_is_encoded_byte_for_byte() {
        assert_eq!(
            encoded(Path::new("a b/ü%.imgspec")),
            "a%20b/%C3%BC%25.imgspec"
        );
    }
}
