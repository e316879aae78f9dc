//! The code quality report of GitLab, which it shows in merge requests.

use crate::diagnostic::{Diagnostic, Repository, Severity, json_text};
use serde_json::{Value, json};

/// Renders an array with an object for each diagnostic.
pub fn render_gitlab(diagnostics: &[Diagnostic], repository: Repository<'_>) -> String {
    let fingerprints = repository.fingerprints(diagnostics);
    let found = diagnostics.iter().zip(fingerprints);
    let issues = found.map(|(diagnostic, fingerprint)| issue(diagnostic, &fingerprint, repository));
    json_text(&issues.collect::<Vec<_>>())
}

fn issue(diagnostic: &Diagnostic, fingerprint: &str, repository: Repository<'_>) -> Value {
    let span = diagnostic.primary.span;
    let line = |offset| repository.sources.position(span.file, offset).line;
    // GitLab requires a place, so a place in no file becomes the first file of the project.
    let (path, begin, end) = match repository.path(span.file) {
        Some(path) => (path, line(span.start), line(span.end)),
        None => {
            let first = repository.first_file();
            let path = first.and_then(|file| repository.path(file));
            (path.unwrap_or_default(), 1, 1)
        }
    };
    json!({
        "description": repository.words(diagnostic).join("\n"),
        "check_name": diagnostic.code.as_str(),
        "fingerprint": fingerprint,
        "severity": match diagnostic.severity {
            Severity::Error => "major",
            Severity::Warning => "minor",
            Severity::Note => "info",
        },
        "location": { "path": path, "lines": { "begin": begin, "end": end } },
    })
}
