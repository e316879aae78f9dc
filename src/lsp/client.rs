//! What the client has said that it can do.

use lsp_types::*;

#[derive(Debug, Clone, Copy, Default)]
pub struct Client {
    pub has_snippets: bool,
    /// It takes edits that make files.
    pub can_create: bool,
    /// It tells of files that change on disk, when asked.
    pub can_watch: bool,
    /// Code actions may be edits, not only commands.
    pub has_actions: bool,
    pub has_nested_symbols: bool,
    /// Parameters of signatures may be ranges of the label.
    pub has_label_offsets: bool,
    /// Findings may have related places.
    pub has_related: bool,
    /// Findings may have tags.
    pub has_tags: bool,
    reads_markdown_hovers: bool,
    reads_markdown_docs: bool,
}

impl Client {
    pub fn new(capabilities: &ClientCapabilities) -> Client {
        let text_document = capabilities.text_document.clone().unwrap_or_default();
        let workspace = capabilities.workspace.clone().unwrap_or_default();
        let item = text_document
            .completion
            .and_then(|c| c.completion_item)
            .unwrap_or_default();
        let operations = workspace
            .workspace_edit
            .and_then(|edit| edit.resource_operations)
            .unwrap_or_default();
        let signature = text_document
            .signature_help
            .and_then(|s| s.signature_information);
        let parameter = signature.and_then(|s| s.parameter_information);
        let publish = text_document.publish_diagnostics.unwrap_or_default();
        let is_set = |flag: Option<bool>| flag.unwrap_or(false);
        let has_markdown = |kinds: Option<Vec<MarkupKind>>| {
            kinds.is_some_and(|kinds| kinds.contains(&MarkupKind::Markdown))
        };
        Client {
            has_snippets: is_set(item.snippet_support),
            can_create: operations.contains(&ResourceOperationKind::Create),
            can_watch: workspace
                .did_change_watched_files
                .is_some_and(|w| is_set(w.dynamic_registration)),
            has_actions: text_document
                .code_action
                .is_some_and(|a| a.code_action_literal_support.is_some()),
            has_nested_symbols: text_document
                .document_symbol
                .is_some_and(|s| is_set(s.hierarchical_document_symbol_support)),
            has_label_offsets: parameter.is_some_and(|p| is_set(p.label_offset_support)),
            has_related: is_set(publish.related_information),
            has_tags: publish.tag_support.is_some(),
            reads_markdown_hovers: has_markdown(text_document.hover.and_then(|h| h.content_format)),
            reads_markdown_docs: has_markdown(item.documentation_format),
        }
    }

    pub fn hover_markup(self, markdown: String) -> MarkupContent {
        match self.reads_markdown_hovers {
            true => MarkupContent {
                kind: MarkupKind::Markdown,
                value: markdown,
            },
            false => MarkupContent {
                kind: MarkupKind::PlainText,
                value: plain(&markdown),
            },
        }
    }

    /// The documentation of a completion.
    pub fn doc_markup(self, markdown: String) -> Documentation {
        match self.reads_markdown_docs {
            true => Documentation::MarkupContent(MarkupContent {
                kind: MarkupKind::Markdown,
                value: markdown,
            }),
            false => Documentation::String(plain(&markdown)),
        }
    }
}

/// Markdown without the fences around code.
fn plain(markdown: &str) -> String {
    let lines: Vec<&str> = markdown
        .lines()
        .filter(|line| !line.starts_with("```"))
        .collect();
    lines.join("\n")
}
