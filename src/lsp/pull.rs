//! Diagnostics for clients that ask for them, of a file or of the whole workspace.

use crate::lsp::position::{path, uri};
use crate::lsp::server::Server;
use lsp_types::*;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;
use std::path::Path;

impl Server {
    /// The diagnostics of a file, or that they are those which the client has.
    pub(super) fn pull(&self, params: DocumentDiagnosticParams) -> DocumentDiagnosticReportResult {
        let path = path(&params.text_document.uri);
        let items = path.map_or_else(Vec::new, |path| self.workspace.publisher.shown(&path));
        let id = id_of(&items);
        let report = if params.previous_result_id.as_ref() == Some(&id) {
            DocumentDiagnosticReport::Unchanged(RelatedUnchangedDocumentDiagnosticReport {
                related_documents: None,
                unchanged_document_diagnostic_report: UnchangedDocumentDiagnosticReport {
                    result_id: id,
                },
            })
        } else {
            DocumentDiagnosticReport::Full(RelatedFullDocumentDiagnosticReport {
                related_documents: None,
                full_document_diagnostic_report: FullDocumentDiagnosticReport {
                    result_id: Some(id),
                    items,
                },
            })
        };
        DocumentDiagnosticReportResult::Report(report)
    }

    /// The diagnostics of all files that have some, or that the client believes to have some.
    pub(super) fn pull_all(
        &self,
        params: WorkspaceDiagnosticParams,
    ) -> WorkspaceDiagnosticReportResult {
        let known: FxHashMap<&str, &str> = params
            .previous_result_ids
            .iter()
            .map(|known| (known.uri.as_str(), known.value.as_str()))
            .collect();
        let mut paths = self.workspace.publisher.files();
        paths.extend(
            params
                .previous_result_ids
                .iter()
                .filter_map(|known| path(&known.uri)),
        );
        paths.sort();
        paths.dedup();
        let reports = paths.iter().filter_map(|path| self.report(path, &known));
        WorkspaceDiagnosticReport {
            items: reports.collect(),
        }
        .into()
    }

    fn report(
        &self,
        path: &Path,
        known: &FxHashMap<&str, &str>,
    ) -> Option<WorkspaceDocumentDiagnosticReport> {
        let uri = uri(path)?;
        let document = self.workspace.documents.get(path);
        let version = document.map(|document| i64::from(document.version));
        let items = self.workspace.publisher.shown(path);
        let id = id_of(&items);
        Some(if known.get(uri.as_str()) == Some(&id.as_str()) {
            WorkspaceDocumentDiagnosticReport::Unchanged(
                WorkspaceUnchangedDocumentDiagnosticReport {
                    uri,
                    version,
                    unchanged_document_diagnostic_report: UnchangedDocumentDiagnosticReport {
                        result_id: id,
                    },
                },
            )
        } else {
            WorkspaceDocumentDiagnosticReport::Full(WorkspaceFullDocumentDiagnosticReport {
                uri,
                version,
                full_document_diagnostic_report: FullDocumentDiagnosticReport {
                    result_id: Some(id),
                    items,
                },
            })
        })
    }
}

/// The name of a list of diagnostics: the same for the same list.
fn id_of(items: &[Diagnostic]) -> String {
    let mut hasher = FxHasher::default();
    let text = serde_json::to_string(items).unwrap_or_default();
    hasher.write(text.as_bytes());
    format!("{:016x}", hasher.finish())
}
