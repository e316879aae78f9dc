//! What the client announces that it can do, and what the server can do.

use crate::lsp::output::SCHEME;
use crate::lsp::position::PositionEncoding;
use crate::lsp::tokens;
use lsp_types::*;
use serde_json::{Value, json};

/// A client, by its capabilities. It can do nothing that it does not mention.
#[derive(Debug, Default)]
pub(super) struct Client {
    known: ClientCapabilities,
    pulls: bool,
    shows_content: bool,
    /// Its commands that lenses can run.
    commands: Vec<String>,
}

impl Client {
    /// A client with the capabilities that it sent, as they were sent.
    pub(super) fn new(capabilities: ClientCapabilities, sent: &Value, options: &Value) -> Client {
        let commands = options.get("commands").and_then(Value::as_array);
        let commands = commands.into_iter().flatten().filter_map(Value::as_str);
        let has = |pointer: &str| sent.pointer(pointer).is_some_and(|value| !value.is_null());
        let refreshes = sent.pointer("/workspace/diagnostics/refreshSupport");
        let pulls = has("/textDocument/diagnostic") && refreshes == Some(&Value::Bool(true));
        Client {
            known: capabilities,
            pulls,
            shows_content: has("/workspace/textDocumentContent"),
            commands: commands.map(str::to_owned).collect(),
        }
    }

    /// The client asks for diagnostics, and asks again when it is told to. Then it is sent none.
    pub(super) fn pulls(&self) -> bool {
        self.pulls
    }

    /// The client has a command, and says so in its options: `{ "commands": ["imgspec.showOutput"] }`.
    pub(super) fn has_command(&self, name: &str) -> bool {
        self.commands.iter().any(|command| command == name)
    }

    /// The client shows documents whose text the server makes.
    pub(super) fn shows_content(&self) -> bool {
        self.shows_content
    }

    /// The unit of columns: UTF-8 if the client offers it.
    pub(super) fn encoding(&self) -> PositionEncoding {
        let general = self.known.general.as_ref();
        let offered = general.and_then(|general| general.position_encodings.as_deref());
        if offered.is_some_and(|all| all.contains(&PositionEncodingKind::UTF8)) {
            PositionEncoding::Utf8
        } else {
            PositionEncoding::Utf16
        }
    }

    fn text_document(&self) -> Option<&TextDocumentClientCapabilities> {
        self.known.text_document.as_ref()
    }

    fn completion_item(&self) -> Option<&CompletionItemCapability> {
        self.text_document()?
            .completion
            .as_ref()?
            .completion_item
            .as_ref()
    }

    fn publishes(&self) -> Option<&PublishDiagnosticsClientCapabilities> {
        self.text_document()?.publish_diagnostics.as_ref()
    }

    /// Completion items can be snippets.
    pub(super) fn has_snippets(&self) -> bool {
        self.completion_item().and_then(|item| item.snippet_support) == Some(true)
    }

    /// Edits can create files.
    pub(super) fn can_create(&self) -> bool {
        let operations = || {
            let edit = self.known.workspace.as_ref()?.workspace_edit.as_ref()?;
            edit.resource_operations.as_deref()
        };
        operations().is_some_and(|all| all.contains(&ResourceOperationKind::Create))
    }

    /// The client reports changes of files on disk when it is asked to.
    pub(super) fn can_watch(&self) -> bool {
        let watch = || {
            let workspace = self.known.workspace.as_ref()?;
            workspace.did_change_watched_files?.dynamic_registration
        };
        watch() == Some(true)
    }

    /// Code actions can be edits, not only commands.
    pub(super) fn has_actions(&self) -> bool {
        let literal = || {
            let action = self.text_document()?.code_action.as_ref()?;
            action.code_action_literal_support.as_ref()
        };
        literal().is_some()
    }

    /// Symbols of a document can contain others.
    pub(super) fn has_nested_symbols(&self) -> bool {
        let nested = || {
            let symbol = self.text_document()?.document_symbol.as_ref()?;
            symbol.hierarchical_document_symbol_support
        };
        nested() == Some(true)
    }

    /// Parameters of signatures can be ranges of the label.
    pub(super) fn has_label_offsets(&self) -> bool {
        let offsets = || {
            let help = self.text_document()?.signature_help.as_ref()?;
            let signature = help.signature_information.as_ref()?;
            signature
                .parameter_information
                .as_ref()?
                .label_offset_support
        };
        offsets() == Some(true)
    }

    /// Diagnostics can have related locations.
    pub(super) fn has_related(&self) -> bool {
        self.publishes()
            .and_then(|publish| publish.related_information)
            == Some(true)
    }

    /// Diagnostics can have tags.
    pub(super) fn has_tags(&self) -> bool {
        self.publishes()
            .is_some_and(|publish| publish.tag_support.is_some())
    }

    /// A hover, in Markdown if the client reads it.
    pub(super) fn hover_markup(&self, markdown: String) -> MarkupContent {
        let formats = || {
            self.text_document()?
                .hover
                .as_ref()?
                .content_format
                .as_deref()
        };
        if has_markdown(formats()) {
            MarkupContent {
                kind: MarkupKind::Markdown,
                value: markdown,
            }
        } else {
            MarkupContent {
                kind: MarkupKind::PlainText,
                value: plain(&markdown),
            }
        }
    }

    /// The documentation of a completion item, in Markdown if the client reads it.
    pub(super) fn doc_markup(&self, markdown: String) -> Documentation {
        let formats = || self.completion_item()?.documentation_format.as_deref();
        if has_markdown(formats()) {
            Documentation::MarkupContent(MarkupContent {
                kind: MarkupKind::Markdown,
                value: markdown,
            })
        } else {
            Documentation::String(plain(&markdown))
        }
    }
}

fn has_markdown(formats: Option<&[MarkupKind]>) -> bool {
    formats.is_some_and(|formats| formats.contains(&MarkupKind::Markdown))
}

/// Markdown without the fences around code.
fn plain(markdown: &str) -> String {
    let lines: Vec<&str> = markdown
        .lines()
        .filter(|line| !line.starts_with("```"))
        .collect();
    lines.join("\n")
}

/// What the server can do for a client.
pub(super) fn server_capabilities(client: &Client) -> Value {
    let known = known_capabilities(client);
    let mut all = serde_json::to_value(known).unwrap_or_default();
    if let Some(all) = all.as_object_mut() {
        // The protocol's types lack these.
        all.insert("typeHierarchyProvider".to_owned(), json!(true));
        if let Some(workspace) = all.get_mut("workspace").and_then(Value::as_object_mut)
            && client.shows_content
        {
            let content = json!({ "schemes": [SCHEME] });
            workspace.insert("textDocumentContent".to_owned(), content);
        }
    }
    all
}

fn known_capabilities(client: &Client) -> ServerCapabilities {
    let of_files = |pattern: &str, matches| FileOperationFilter {
        scheme: Some("file".to_owned()),
        pattern: FileOperationPattern {
            glob: pattern.to_owned(),
            matches: Some(matches),
            options: None,
        },
    };
    ServerCapabilities {
        position_encoding: Some(match client.encoding() {
            PositionEncoding::Utf8 => PositionEncodingKind::UTF8,
            PositionEncoding::Utf16 => PositionEncodingKind::UTF16,
        }),
        text_document_sync: Some(TextDocumentSyncCapability::Options(
            TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::INCREMENTAL),
                ..TextDocumentSyncOptions::default()
            },
        )),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        completion_provider: Some(CompletionOptions {
            resolve_provider: Some(true),
            trigger_characters: Some([" ", "=", "[", "\"", "/"].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        signature_help_provider: Some(SignatureHelpOptions {
            trigger_characters: Some(vec!["(".to_owned(), ",".to_owned()]),
            ..SignatureHelpOptions::default()
        }),
        definition_provider: Some(OneOf::Left(true)),
        references_provider: Some(OneOf::Left(true)),
        rename_provider: Some(OneOf::Right(RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        })),
        document_symbol_provider: Some(OneOf::Left(true)),
        workspace_symbol_provider: Some(OneOf::Left(true)),
        document_link_provider: Some(DocumentLinkOptions {
            resolve_provider: Some(false),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        }),
        document_highlight_provider: Some(OneOf::Left(true)),
        selection_range_provider: Some(SelectionRangeProviderCapability::Simple(true)),
        linked_editing_range_provider: Some(LinkedEditingRangeServerCapabilities::Simple(true)),
        code_lens_provider: Some(CodeLensOptions {
            resolve_provider: Some(true),
        }),
        diagnostic_provider: client.pulls().then(|| {
            DiagnosticServerCapabilities::Options(DiagnosticOptions {
                identifier: Some("imgspec".to_owned()),
                inter_file_dependencies: true,
                workspace_diagnostics: true,
                ..DiagnosticOptions::default()
            })
        }),
        call_hierarchy_provider: Some(CallHierarchyServerCapability::Simple(true)),
        folding_range_provider: Some(FoldingRangeProviderCapability::Simple(true)),
        inlay_hint_provider: Some(OneOf::Left(true)),
        semantic_tokens_provider: Some(
            SemanticTokensOptions {
                legend: tokens::legend(),
                range: Some(true),
                full: Some(SemanticTokensFullOptions::Delta { delta: Some(true) }),
                ..SemanticTokensOptions::default()
            }
            .into(),
        ),
        document_formatting_provider: Some(OneOf::Left(true)),
        document_range_formatting_provider: Some(OneOf::Left(true)),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![
                CodeActionKind::QUICKFIX,
                CodeActionKind::REFACTOR_EXTRACT,
                CodeActionKind::REFACTOR_INLINE,
                CodeActionKind::REFACTOR_REWRITE,
                CodeActionKind::SOURCE_FIX_ALL,
            ]),
            ..CodeActionOptions::default()
        })),
        workspace: Some(WorkspaceServerCapabilities {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(OneOf::Left(true)),
            }),
            file_operations: Some(WorkspaceFileOperationsServerCapabilities {
                will_rename: Some(FileOperationRegistrationOptions {
                    filters: vec![
                        of_files("**/*.{imgspec,json}", FileOperationPatternKind::File),
                        of_files("**", FileOperationPatternKind::Folder),
                    ],
                }),
                ..WorkspaceFileOperationsServerCapabilities::default()
            }),
        }),
        ..ServerCapabilities::default()
    }
}
