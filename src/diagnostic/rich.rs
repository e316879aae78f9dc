//! Output for a terminal. Only this file uses miette.

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::{FileId, SourceMap, part};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};
use std::fmt;

/// Renders excerpts with labels and frames, in colour on request. `width` is in columns.
pub fn render_rich(
    diagnostics: &[Diagnostic],
    sources: &SourceMap,
    width: usize,
    color: bool,
) -> String {
    let theme = if color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width);
    let mut out = String::new();
    for diagnostic in diagnostics {
        if handler
            .render_report(&mut out, &report(&diagnostic.visible(), sources))
            .is_err()
        {
            out.push_str(&crate::diagnostic::render_short(
                std::slice::from_ref(diagnostic),
                sources,
            ));
        }
        out.push('\n');
    }
    out
}

/// A diagnostic in miette's form: a report shows one file, so labels in other files become related reports.
#[derive(Debug)]
struct Report<'s> {
    code: Option<String>,
    severity: miette::Severity,
    message: String,
    help: Option<String>,
    source: Excerpts<'s>,
    labels: Vec<LabeledSpan>,
    related: Vec<Report<'s>>,
}

fn report<'s>(diagnostic: &Diagnostic, sources: &'s SourceMap) -> Report<'s> {
    let file = diagnostic.primary.span.file;
    let primary = &diagnostic.primary;
    let mut labels = vec![LabeledSpan::new_primary_with_span(
        Some(primary.text.clone()).filter(|t| !t.is_empty()),
        range(primary, sources),
    )];
    let mut related: Vec<Report<'s>> = Vec::new();
    for label in &diagnostic.related {
        if label.span.file == file {
            labels.push(LabeledSpan::new_with_span(
                Some(label.text.clone()),
                range(label, sources),
            ))
        } else {
            related.push(other_file(label, sources))
        }
    }
    let fixes = diagnostic
        .fixes
        .iter()
        .map(|fix| format!("fix: {}", fix.title));
    let help: Vec<String> = diagnostic
        .help
        .iter()
        .cloned()
        .chain(fixes)
        .chain(diagnostic.rule.iter().map(|rule| format!("rule: {rule}")))
        .chain(diagnostic.images_in_words())
        .collect();
    Report {
        code: Some(diagnostic.code.to_string()),
        severity: severity(diagnostic.severity),
        message: diagnostic.message.clone(),
        help: (!help.is_empty()).then(|| help.join("\n")),
        source: Excerpts { sources, file },
        labels,
        related,
    }
}

fn other_file<'s>(label: &Label, sources: &'s SourceMap) -> Report<'s> {
    Report {
        code: None,
        severity: miette::Severity::Advice,
        message: label.text.clone(),
        help: None,
        source: Excerpts {
            sources,
            file: label.span.file,
        },
        labels: vec![LabeledSpan::new_primary_with_span(
            None,
            range(label, sources),
        )],
        related: Vec::new(),
    }
}

fn severity(severity: Severity) -> miette::Severity {
    match severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
        Severity::Note => miette::Severity::Advice,
    }
}

fn range(label: &Label, sources: &SourceMap) -> (usize, usize) {
    let range = sources.get(label.span.file).shown_range(label.span);
    (range.start, range.len())
}

/// The text of a file for excerpts, with the columns of the source.
#[derive(Debug)]
struct Excerpts<'s> {
    sources: &'s SourceMap,
    file: FileId,
}

/// The start of the line that is `before` lines above that of an offset.
fn start_of_lines(text: &str, offset: usize, before: usize) -> usize {
    let start_of = |at: usize| part(text, 0..at).rfind('\n').map_or(0, |end| end + 1);
    (0..before).fold(start_of(offset), |start, _| {
        start.checked_sub(1).map_or(0, start_of)
    })
}

impl SourceCode for Excerpts<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let shown = self.sources.get(self.file).shown();
        // Miette counts lines from the start, for each of a thousand diagnostics.
        let from = start_of_lines(&shown.text, span.offset(), before);
        let inner = SourceSpan::new((span.offset() - from).into(), span.len());
        let behind = part(&shown.text, from..shown.text.len());
        let found = behind.read_span(&inner, before, after)?;
        let start = found.span().offset() + from;
        let at = shown.source_offset(start as u32);
        let at = self.sources.position(self.file, at);
        Ok(Box::new(MietteSpanContents::new_named(
            self.sources.name(self.file),
            found.data(),
            SourceSpan::new(start.into(), found.span().len()),
            (at.line as usize).saturating_sub(1),
            (at.column as usize).saturating_sub(1),
            found.line_count(),
        )))
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code.as_ref()?))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.help.as_ref()?))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        if self.related.is_empty() {
            None
        } else {
            Some(Box::new(
                self.related.iter().map(|r| r as &dyn miette::Diagnostic),
            ))
        }
    }
}
