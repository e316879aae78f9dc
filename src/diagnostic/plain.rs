//! Findings as plain text with excerpts, for logs and pipes. The only user of codespan-reporting.

use super::{Diagnostic, Severity};
use crate::source::SourceMap;
use codespan_reporting::diagnostic as codespan;
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term;

/// Excerpts with labels, in ASCII, without colour.
pub fn render_plain(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut files = SimpleFiles::new();
    for (id, source) in sources.iter() {
        files.add(sources.name(id), source.shown());
    }
    let config = term::Config { chars: term::Chars::ascii(), ..term::Config::default() };
    let mut out = String::new();
    for diagnostic in diagnostics {
        let shown = convert(diagnostic);
        match term::emit_into_string(&config, &files, &shown) {
            Ok(text) => out.push_str(&text),
            // A place that the excerpt cannot show still has its message.
            Err(_) => out.push_str(&super::render_short(std::slice::from_ref(diagnostic), sources)),
        }
        out.push('\n');
    }
    out
}

fn convert(diagnostic: &Diagnostic) -> codespan::Diagnostic<usize> {
    let severity = match diagnostic.severity {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
        Severity::Note => codespan::Severity::Note,
    };
    let span = diagnostic.primary.span;
    let primary = codespan::Label::primary(span.file.0 as usize, span.start as usize..span.end as usize)
        .with_message(&diagnostic.primary.text);
    let related = diagnostic.related.iter().map(|label| {
        codespan::Label::secondary(
            label.span.file.0 as usize,
            label.span.start as usize..label.span.end as usize,
        )
        .with_message(&label.text)
    });
    let notes = diagnostic
        .help
        .iter()
        .map(|help| format!("help: {help}"))
        .chain(diagnostic.fixes.iter().map(|fix| format!("fix: {}", fix.title)))
        .chain(diagnostic.rule.iter().map(|rule| format!("rule: {rule}")))
        .chain(diagnostic.images_in_words());
    codespan::Diagnostic::new(severity)
        .with_code(diagnostic.code.as_str())
        .with_message(&diagnostic.message)
        .with_labels(std::iter::once(primary).chain(related).collect())
        .with_notes(notes.collect())
}
