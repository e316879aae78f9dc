//! Plain text with excerpts, for logs and pipes. Only this file uses codespan-reporting.

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{FileId, SourceMap, Span};
use codespan_reporting::diagnostic as codespan;
use codespan_reporting::files::{Error, Files};
use codespan_reporting::term;
use std::ops::Range;

/// Renders excerpts with labels, in ASCII, without colours.
pub fn render_plain(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let config = term::Config {
        chars: term::Chars::ascii(),
        ..term::Config::default()
    };
    let mut out = String::new();
    for diagnostic in diagnostics {
        let shown = convert(&diagnostic.visible(), sources);
        match term::emit_into_string(&config, &Shown(sources), &shown) {
            Ok(text) => out.push_str(&text),
            // Without an excerpt, the message is still printed.
            Err(_) => out.push_str(&crate::diagnostic::render_short(
                std::slice::from_ref(diagnostic),
                sources,
            )),
        }
        out.push('\n');
    }
    out
}

/// The source texts for excerpts, with the columns of the source.
struct Shown<'s>(&'s SourceMap);

impl<'s> Files<'s> for Shown<'s> {
    type FileId = FileId;
    type Name = String;
    type Source = &'s str;

    fn name(&'s self, id: FileId) -> Result<String, Error> {
        Ok(self.0.name(id))
    }

    fn source(&'s self, id: FileId) -> Result<&'s str, Error> {
        Ok(&self.0.get(id).shown().text)
    }

    fn line_index(&'s self, id: FileId, at: usize) -> Result<usize, Error> {
        Ok(self.0.get(id).shown().lines().line_at(at as u32))
    }

    fn column_number(&'s self, id: FileId, _: usize, at: usize) -> Result<usize, Error> {
        let source = self.0.get(id).shown().source_offset(at as u32);
        Ok(self.0.position(id, source).column as usize)
    }

    fn line_range(&'s self, id: FileId, line: usize) -> Result<Range<usize>, Error> {
        let shown = self.0.get(id).shown();
        let missing = Error::LineTooLarge {
            given: line,
            max: shown.lines().line_at(u32::MAX),
        };
        shown.lines().range(line, shown.text.len()).ok_or(missing)
    }
}

fn convert(diagnostic: &Diagnostic, sources: &SourceMap) -> codespan::Diagnostic<FileId> {
    let severity = match diagnostic.severity {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
        Severity::Note => codespan::Severity::Note,
    };
    let range = |span: Span| sources.get(span.file).shown_range(span);
    let span = diagnostic.primary.span;
    let primary =
        codespan::Label::primary(span.file, range(span)).with_message(&diagnostic.primary.text);
    let related = diagnostic.related.iter().map(|label| {
        codespan::Label::secondary(label.span.file, range(label.span)).with_message(&label.text)
    });
    let notes = diagnostic
        .help
        .iter()
        .map(|help| format!("help: {help}"))
        .chain(
            diagnostic
                .fixes
                .iter()
                .map(|fix| format!("fix: {}", fix.title)),
        )
        .chain(diagnostic.rule.iter().map(|rule| format!("rule: {rule}")))
        .chain(diagnostic.images_in_words());
    codespan::Diagnostic::new(severity)
        .with_code(diagnostic.code.as_str())
        .with_message(&diagnostic.message)
        .with_labels(std::iter::once(primary).chain(related).collect())
        .with_notes(notes.collect())
}
