//! JUnit XML, which CI systems show as tests.

use crate::diagnostic::{Diagnostic, Repository, Severity};
use crate::source::{FileId, Origin, visible_line};
use std::fmt::Write;

/// Renders a suite for each file of the project, and for each other file with a diagnostic. A diagnostic is a test; an
/// error or a warning is one that fails. A file without diagnostics has one test that passes.
pub fn render_junit(diagnostics: &[Diagnostic], repository: Repository<'_>) -> String {
    let project = repository.sources.iter_read();
    let project = project.filter(|(_, file)| file.origin == Origin::Project);
    let mut files: Vec<FileId> = project.map(|(id, _)| id).collect();
    files.extend(diagnostics.iter().map(|d| d.primary.span.file));
    files.sort();
    files.dedup();
    let mut suites = String::new();
    let (mut tests, mut failures) = (0, 0);
    for file in files {
        let of_file = diagnostics.iter().filter(|d| d.primary.span.file == file);
        let found: Vec<&Diagnostic> = of_file.collect();
        tests += found.len().max(1);
        failures += found.iter().filter(|d| is_failure(d)).count();
        push_suite(file, &found, repository, &mut suites);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"imgspec\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n\
         {suites}</testsuites>\n"
    )
}

fn is_failure(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity != Severity::Note
}

fn push_suite(file: FileId, found: &[&Diagnostic], repository: Repository<'_>, out: &mut String) {
    let path = repository.path(file);
    let path = path.unwrap_or_else(|| repository.sources.name(file));
    let name = escaped_xml(&path);
    let failures = found.iter().filter(|d| is_failure(d)).count();
    let tests = found.len().max(1);
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
    );
    if found.is_empty() {
        let _ = writeln!(out, "    <testcase name=\"check\" classname=\"{name}\"/>");
    }
    for diagnostic in found {
        push_test(&diagnostic.visible(), &name, repository, out);
    }
    out.push_str("  </testsuite>\n");
}

fn push_test(diagnostic: &Diagnostic, file: &str, repository: Repository<'_>, out: &mut String) {
    let span = diagnostic.primary.span;
    let line = repository.sources.position(span.file, span.start).line;
    let code = diagnostic.code;
    let message = escaped_xml(&diagnostic.message);
    let words = repository.words(diagnostic).join("\n");
    let text = words
        .split('\n')
        .map(escaped_xml)
        .collect::<Vec<_>>()
        .join("\n");
    let _ = writeln!(
        out,
        "    <testcase name=\"{code} in line {line}\" classname=\"{file}\">"
    );
    let _ = if is_failure(diagnostic) {
        let severity = diagnostic.severity;
        writeln!(
            out,
            "      <failure type=\"{severity}\" message=\"{message}\">{text}</failure>"
        )
    } else {
        writeln!(out, "      <system-out>{text}</system-out>")
    };
    out.push_str("    </testcase>\n");
}

/// Escapes a text for XML, on one line. XML cannot contain control characters in any form.
pub fn escaped_xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible_line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}
