//! Commands to GitHub Actions, which shows them beside the lines of a change, and the table in a step's summary.

use crate::diagnostic::{Diagnostic, Repository, Severity};
use std::fmt::Write;

/// How many annotations of each severity GitHub shows for a step.
const MOST: usize = 10;

/// Renders a workflow command for each diagnostic. GitHub shows ten of each severity, so a notice counts the others.
/// `has_summary` says whether the step's summary lists all.
pub fn render_github(
    diagnostics: &[Diagnostic],
    repository: Repository<'_>,
    has_summary: bool,
) -> String {
    let of = |severity| diagnostics.iter().filter(move |d| d.severity == severity);
    let rest = |severity, most| of(severity).count().saturating_sub(most);
    let (errors, warnings) = (rest(Severity::Error, MOST), rest(Severity::Warning, MOST));
    let notes = of(Severity::Note).count();
    // The notice that counts is one of the ten.
    let most = if errors + warnings > 0 || notes > MOST {
        MOST - 1
    } else {
        MOST
    };
    let mut out = String::new();
    for (severity, most) in [
        (Severity::Error, MOST),
        (Severity::Warning, MOST),
        (Severity::Note, most),
    ] {
        for diagnostic in of(severity).take(most) {
            push_command(diagnostic, repository, &mut out);
        }
    }
    let left: Vec<String> = [
        (errors, "error"),
        (warnings, "warning"),
        (notes.saturating_sub(most), "note"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
    .collect();
    if !left.is_empty() {
        let place = if has_summary {
            "the summary of this step lists all"
        } else {
            "`--format plain` prints all"
        };
        let _ = writeln!(
            out,
            "::notice title=imgspec::{} more; {place}",
            left.join(", ")
        );
    }
    out
}

fn push_command(diagnostic: &Diagnostic, repository: Repository<'_>, out: &mut String) {
    let diagnostic = &diagnostic.visible();
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let span = diagnostic.primary.span;
    let mut properties = Vec::new();
    if let Some(path) = repository.path(span.file) {
        let start = repository.sources.position(span.file, span.start);
        let end = repository.sources.position(span.file, span.end);
        properties.push(format!("file={}", property(&path)));
        properties.push(format!("line={}", start.line));
        // GitHub takes columns for places on one line alone.
        if start.line == end.line {
            properties.push(format!("col={},endColumn={}", start.column, end.column));
        } else {
            properties.push(format!("endLine={}", end.line));
        }
    }
    properties.push(format!("title={}", property(diagnostic.code.as_str())));
    let text = repository.words(diagnostic).join("\n");
    let _ = writeln!(out, "::{command} {}::{}", properties.join(","), data(&text));
}

/// Escapes the text of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes the value of a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Renders a Markdown table of all diagnostics with at most `limit` bytes. Empty if there are none, or it has no room.
pub fn render_summary(
    diagnostics: &[Diagnostic],
    repository: Repository<'_>,
    limit: usize,
) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "### imgspec\n\n| severity | place | code | message |\n| --- | --- | --- | --- |\n",
    );
    let end = |left: usize| format!("\n{left} more: `imgspec check` prints all.\n");
    let longest = end(diagnostics.len()).len();
    let mut left = diagnostics.len();
    for diagnostic in diagnostics {
        let row = row(&diagnostic.visible(), repository);
        if out.len() + row.len() + longest > limit {
            break;
        }
        out.push_str(&row);
        left -= 1;
    }
    if left > 0 {
        out.push_str(&end(left));
    } else {
        out.push('\n');
    }
    if out.len() > limit {
        String::new()
    } else {
        out
    }
}

fn row(diagnostic: &Diagnostic, repository: Repository<'_>) -> String {
    let span = diagnostic.primary.span;
    let cell = |text: &str| markdown(text);
    let mut message = cell(&diagnostic.message);
    for line in repository.advice(diagnostic) {
        message.push_str("<br>");
        message.push_str(&cell(&line));
    }
    format!(
        "| {} | {} | {} | {message} |\n",
        diagnostic.severity,
        cell(&repository.told(span, "")),
        cell(diagnostic.code.as_str()),
    )
}

/// Escapes a text for a cell of a Markdown table: it is neither a link nor HTML, and has no line end.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("<br>"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}
