//! Findings for people at a terminal. The only user of miette.

use super::{Diagnostic, Label, Severity};
use crate::source::{FileId, SourceMap};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt;
use std::sync::Arc;

/// Excerpts with labels, drawn with lines and, if wanted, colours; `width` in columns.
pub fn render_rich(diagnostics: &[Diagnostic], sources: &SourceMap, width: usize, color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width);
    let mut out = String::new();
    for diagnostic in diagnostics {
        if handler.render_report(&mut out, &report(diagnostic, sources)).is_err() {
            out.push_str(&super::render_short(std::slice::from_ref(diagnostic), sources));
        }
        out.push('\n');
    }
    out
}

/// A finding as miette wants it: one file a report, places in other files as reports of their own.
#[derive(Debug)]
struct Report {
    code: Option<String>,
    severity: miette::Severity,
    message: String,
    help: Option<String>,
    source: NamedSource<Arc<str>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Report>,
}

fn report(diagnostic: &Diagnostic, sources: &SourceMap) -> Report {
    let file = diagnostic.primary.span.file;
    let primary = &diagnostic.primary;
    let mut labels = vec![LabeledSpan::new_primary_with_span(
        Some(primary.text.clone()).filter(|t| !t.is_empty()),
        range(primary),
    )];
    let mut related: Vec<Report> = Vec::new();
    for label in &diagnostic.related {
        match label.span.file == file {
            true => labels.push(LabeledSpan::new_with_span(Some(label.text.clone()), range(label))),
            false => related.push(other_file(label, sources)),
        }
    }
    let fixes = diagnostic.fixes.iter().map(|fix| format!("fix: {}", fix.title));
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
        source: source(file, sources),
        labels,
        related,
    }
}

fn other_file(label: &Label, sources: &SourceMap) -> Report {
    Report {
        code: None,
        severity: miette::Severity::Advice,
        message: label.text.clone(),
        help: None,
        source: source(label.span.file, sources),
        labels: vec![LabeledSpan::new_primary_with_span(None, range(label))],
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

fn range(label: &Label) -> (usize, usize) {
    (label.span.start as usize, (label.span.end - label.span.start) as usize)
}

fn source(file: FileId, sources: &SourceMap) -> NamedSource<Arc<str>> {
    NamedSource::new(sources.name(file), sources.get(file).shown())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
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
        match self.related.is_empty() {
            true => None,
            false => Some(Box::new(self.related.iter().map(|r| r as &dyn miette::Diagnostic))),
        }
    }
}
