//! The compiler's findings as the protocol's.

use crate::diagnostic::{Code, Diagnostic as Found, Severity};
use crate::lsp::places::{Encoding, uri};
use crate::source::{Origin, SourceMap, Span};
use lsp_types::{
    Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location,
    NumberOrString, Range, TextEdit,
};
use std::path::PathBuf;

/// A repair: what it does, where the finding is, and the edits by file.
#[derive(Debug, Clone)]
pub struct Repair {
    pub title: String,
    pub range: Range,
    pub edits: Vec<(PathBuf, TextEdit)>,
}

/// What was found at one place.
#[derive(Debug, Clone)]
pub struct Finding {
    pub diagnostic: Diagnostic,
    pub repairs: Vec<Repair>,
}

impl Finding {
    /// A finding with the file that it stands in; none for what is not the project's own.
    pub fn new(
        sources: &SourceMap,
        found: &Found,
        encoding: Encoding,
    ) -> Option<(PathBuf, Finding)> {
        let file = sources.get(found.primary.span.file);
        let found = &found.visible();
        // An adopted library can be mended, the built-in one not.
        if file.origin != Origin::Project && file.path.is_relative() {
            return None;
        }
        let range = encoding.range_of(sources, found.primary.span);
        let repairs = found.fixes.iter().map(|fix| Repair {
            title: fix.title.clone(),
            range,
            edits: fix
                .edits
                .iter()
                .map(|(span, text)| edit(sources, *span, text, encoding))
                .collect(),
        });
        let related: Vec<DiagnosticRelatedInformation> = found
            .related
            .iter()
            .filter_map(|label| {
                let location = location(sources, label.span, encoding)?;
                Some(DiagnosticRelatedInformation {
                    location,
                    message: label.text.clone(),
                })
            })
            .collect();
        let diagnostic = Diagnostic {
            range,
            severity: Some(severity(found.severity)),
            code: Some(NumberOrString::String(found.code.as_str().to_owned())),
            source: Some("imgspec".to_owned()),
            message: message(found),
            related_information: (!related.is_empty()).then_some(related),
            tags: tags(found.code),
            ..Diagnostic::default()
        };
        Some((
            file.path.clone(),
            Finding {
                diagnostic,
                repairs: repairs.collect(),
            },
        ))
    }
}

/// What was found, why there, and what to do, a line each.
fn message(found: &Found) -> String {
    let more = [Some(&found.primary.text), found.help.as_ref()]
        .into_iter()
        .flatten();
    let lines = std::iter::once(&found.message).chain(more.filter(|text| !text.is_empty()));
    lines.map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn severity(severity: Severity) -> DiagnosticSeverity {
    match severity {
        Severity::Error => DiagnosticSeverity::ERROR,
        Severity::Warning => DiagnosticSeverity::WARNING,
        Severity::Note => DiagnosticSeverity::INFORMATION,
    }
}

fn tags(code: Code) -> Option<Vec<DiagnosticTag>> {
    match code {
        Code::DeprecatedName => Some(vec![DiagnosticTag::DEPRECATED]),
        Code::NoEffect | Code::NothingRemoved => Some(vec![DiagnosticTag::UNNECESSARY]),
        _ => None,
    }
}

/// A place in a file of the project.
fn location(sources: &SourceMap, span: Span, encoding: Encoding) -> Option<Location> {
    let source = sources.get(span.file);
    let is_there = source.origin == Origin::Project;
    is_there
        .then(|| {
            Some(Location::new(
                uri(&source.path)?,
                encoding.range_of(sources, span),
            ))
        })
        .flatten()
}

/// An edit, with its file.
pub fn edit(
    sources: &SourceMap,
    span: Span,
    text: &str,
    encoding: Encoding,
) -> (PathBuf, TextEdit) {
    let edit = TextEdit::new(encoding.range_of(sources, span), text.to_owned());
    (sources.get(span.file).path.clone(), edit)
}
