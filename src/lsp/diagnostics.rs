//! The compiler's diagnostics as the protocol's.

use crate::diagnostic::{self, Code, Severity};
use crate::lsp::edits::edit;
use crate::lsp::position::{PositionEncoding, uri};
use crate::source::{Origin, SourceMap, Span};
use lsp_types::{
    DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location, NumberOrString,
    Range, TextEdit,
};
use std::path::PathBuf;

/// An edit that a diagnostic offers.
#[derive(Debug, Clone)]
pub(super) struct Fix {
    pub title: String,
    /// The range of the diagnostic.
    pub range: Range,
    pub edits: Vec<(PathBuf, TextEdit)>,
    /// It changes no meaning, or is the only way out.
    pub is_safe: bool,
}

/// A diagnostic as the client gets it, with its fixes.
#[derive(Debug, Clone)]
pub(super) struct Diagnostic {
    pub published: lsp_types::Diagnostic,
    pub fixes: Vec<Fix>,
}

impl Diagnostic {
    /// A diagnostic with its file. `None` for the standard library, which a client cannot edit.
    pub(super) fn new(
        sources: &SourceMap,
        found: &diagnostic::Diagnostic,
        encoding: PositionEncoding,
    ) -> Option<(PathBuf, Diagnostic)> {
        let file = sources.get(found.primary.span.file);
        let found = &found.visible();
        if file.origin != Origin::Project && file.path.is_relative() {
            return None;
        }
        let range = encoding.range_of(sources, found.primary.span);
        let fixes = found.fixes.iter().map(|fix| Fix {
            title: fix.title.clone(),
            range,
            is_safe: found.fixes.len() == 1 && found.code.has_safe_fix(),
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
        let published = lsp_types::Diagnostic {
            range,
            severity: Some(severity(found.severity)),
            code: Some(NumberOrString::String(found.code.as_str().to_owned())),
            source: Some("imgspec".to_owned()),
            message: message(found),
            related_information: (!related.is_empty()).then_some(related),
            tags: tags(found.code),
            ..lsp_types::Diagnostic::default()
        };
        Some((
            file.path.clone(),
            Diagnostic {
                published,
                fixes: fixes.collect(),
            },
        ))
    }
}

/// The message, the label and the help, a line each.
fn message(found: &diagnostic::Diagnostic) -> String {
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

/// A location in a file of the project.
fn location(sources: &SourceMap, span: Span, encoding: PositionEncoding) -> Option<Location> {
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
