//! The loop: messages in, answers out. A request that cannot be answered gets an error, and the server goes on.

use super::completion::{complete, resolve};
use super::cursor::{Named, name_at, section_at};
use super::hover::describe;
use super::places::{Encoding, path, uri};
use super::symbols::{definition, folds, outline, references};
use super::workspace::{Repair, Workspace};
use crate::build;
use crate::project::{Library, Program};
use crate::source::{FileId, Loader, Origin, Span, normalize};
use crate::syntax::{self, format, format_range};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidChangeWatchedFiles, DidCloseTextDocument, DidOpenTextDocument,
    DidSaveTextDocument, Notification as _, PublishDiagnostics,
};
use lsp_types::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Serves one client until it says goodbye. True where it has asked for the end before.
///
/// # Errors
/// Where the connection breaks.
pub fn serve() -> Result<bool, Box<dyn Error + Sync + Send>> {
    let (connection, threads) = Connection::stdio();
    let (id, params) = connection.initialize_start()?;
    let params: InitializeParams = serde_json::from_value(params).unwrap_or_default();
    let server = Server::new(&params);
    let reply = json!({
        "capabilities": server.capabilities(),
        "serverInfo": { "name": "imgspec", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.initialize_finish(id, reply)?;
    let is_asked = server.run(&connection)?;
    drop(connection);
    threads.join()?;
    Ok(is_asked)
}

struct Server {
    workspace: Workspace,
    has_snippets: bool,
}

/// A spec as a request finds it: its text, and the program that it belongs to.
struct Spec<'s> {
    text: &'s str,
    ast: syntax::ast::File,
    program: Program,
    file: FileId,
}

impl Server {
    #[allow(deprecated)] // `root_uri` is what older clients send
    fn new(params: &InitializeParams) -> Server {
        let general = params.capabilities.general.as_ref();
        let encodings = general.and_then(|g| g.position_encodings.as_deref()).unwrap_or_default();
        let encoding = match encodings.contains(&PositionEncodingKind::UTF8) {
            true => Encoding::Utf8,
            false => Encoding::Utf16,
        };
        let completion = params.capabilities.text_document.as_ref().and_then(|t| t.completion.as_ref());
        let completion_item = completion.and_then(|c| c.completion_item.as_ref());
        let has_snippets = completion_item.and_then(|i| i.snippet_support).unwrap_or(false);
        let folders = params.workspace_folders.iter().flatten().map(|folder| &folder.uri);
        let roots: Vec<PathBuf> = folders.chain(&params.root_uri).filter_map(path).collect();
        let specs = roots.iter().flat_map(|root| build::spec_files(root).unwrap_or_default()).collect();
        let library = roots.first().and_then(|root| {
            let (root, config) = build::read_config(root);
            build::read_library(&normalize(&root.join(config.library?))).ok().map(Library::adopted)
        });
        Server { workspace: Workspace::new(encoding, library, specs), has_snippets }
    }

    fn capabilities(&self) -> ServerCapabilities {
        ServerCapabilities {
            position_encoding: Some(match self.workspace.encoding {
                Encoding::Utf8 => PositionEncodingKind::UTF8,
                Encoding::Utf16 => PositionEncodingKind::UTF16,
            }),
            text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::INCREMENTAL)),
            hover_provider: Some(HoverProviderCapability::Simple(true)),
            completion_provider: Some(CompletionOptions {
                resolve_provider: Some(true),
                trigger_characters: Some(vec![" ".to_owned(), "=".to_owned(), "[".to_owned()]),
                ..CompletionOptions::default()
            }),
            definition_provider: Some(OneOf::Left(true)),
            references_provider: Some(OneOf::Left(true)),
            document_symbol_provider: Some(OneOf::Left(true)),
            folding_range_provider: Some(FoldingRangeProviderCapability::Simple(true)),
            document_formatting_provider: Some(OneOf::Left(true)),
            document_range_formatting_provider: Some(OneOf::Left(true)),
            code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
                code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
                ..CodeActionOptions::default()
            })),
            ..ServerCapabilities::default()
        }
    }

    fn run(mut self, connection: &Connection) -> Result<bool, Box<dyn Error + Sync + Send>> {
        let specs = self.workspace.specs();
        let found = self.workspace.check(specs);
        publish(connection, found)?;
        let mut is_asked = false;
        for message in &connection.receiver {
            match message {
                Message::Request(request) if is_asked => {
                    let error = "the server is shutting down".to_owned();
                    let reply = Response::new_err(request.id, ErrorCode::InvalidRequest as i32, error);
                    connection.sender.send(reply.into())?;
                }
                Message::Request(request) if request.method == "shutdown" => {
                    is_asked = true;
                    connection.sender.send(Response::new_ok(request.id, ()).into())?;
                }
                Message::Request(request) => connection.sender.send(self.answer(request).into())?,
                Message::Notification(notification) if notification.method == "exit" => return Ok(is_asked),
                Message::Notification(notification) => {
                    let found = self.take(notification);
                    publish(connection, found)?;
                }
                Message::Response(_) => {}
            }
        }
        Ok(is_asked)
    }

    // ---- notifications --------------------------------------------------------------------------

    /// Takes a change in, and returns what is to be published.
    fn take(&mut self, notification: Notification) -> Vec<(PathBuf, Vec<Diagnostic>)> {
        self.try_take(notification).unwrap_or_default()
    }

    fn try_take(&mut self, notification: Notification) -> Option<Vec<(PathBuf, Vec<Diagnostic>)>> {
        let Notification { method, params } = notification;
        match method.as_str() {
            DidOpenTextDocument::METHOD => {
                let params: DidOpenTextDocumentParams = serde_json::from_value(params).ok()?;
                let path = path(&params.text_document.uri)?;
                self.workspace.documents.open(path.clone(), params.text_document.text);
                Some(self.workspace.check_after(&path))
            }
            DidChangeTextDocument::METHOD => {
                let params: DidChangeTextDocumentParams = serde_json::from_value(params).ok()?;
                let path = path(&params.text_document.uri)?;
                let encoding = self.workspace.encoding;
                self.workspace.documents.change(&path, params.content_changes, encoding);
                Some(self.workspace.check_after(&path))
            }
            DidCloseTextDocument::METHOD => {
                let params: DidCloseTextDocumentParams = serde_json::from_value(params).ok()?;
                let path = path(&params.text_document.uri)?;
                self.workspace.documents.close(&path);
                Some(self.workspace.check_after(&path))
            }
            DidSaveTextDocument::METHOD => {
                let params: DidSaveTextDocumentParams = serde_json::from_value(params).ok()?;
                Some(self.workspace.check_after(&path(&params.text_document.uri)?))
            }
            DidChangeWatchedFiles::METHOD => {
                let params: DidChangeWatchedFilesParams = serde_json::from_value(params).ok()?;
                let paths = params.changes.iter().filter_map(|change| path(&change.uri));
                Some(paths.flat_map(|path| self.workspace.check_after(&path)).collect())
            }
            _ => None,
        }
    }

    // ---- requests -------------------------------------------------------------------------------

    fn answer(&self, request: Request) -> Response {
        let Request { id, method, params } = request;
        let answer = match method.as_str() {
            "textDocument/hover" => with(params, |p| self.hover(p)),
            "textDocument/completion" => with(params, |p| self.completion(p)),
            "completionItem/resolve" => with(params, |item| {
                let program = self.workspace.load(Vec::new());
                Some(resolve(&program, item))
            }),
            "textDocument/definition" => with(params, |p| self.definition(p)),
            "textDocument/references" => with(params, |p| self.references(p)),
            "textDocument/documentSymbol" => with(params, |p| self.symbols(p)),
            "textDocument/foldingRange" => with(params, |p| self.folds(p)),
            "textDocument/formatting" => with(params, |p| self.formatting(p)),
            "textDocument/rangeFormatting" => with(params, |p| self.range_formatting(p)),
            "textDocument/codeAction" => with(params, |p| self.actions(p)),
            _ => {
                let error = format!("there is no method {method}");
                return Response::new_err(id, ErrorCode::MethodNotFound as i32, error);
            }
        };
        match answer {
            Ok(value) => Response::new_ok(id, value),
            Err(error) => Response::new_err(id, ErrorCode::InvalidParams as i32, error),
        }
    }

    /// An open spec, with the program around it.
    fn spec(&self, uri: &Uri) -> Option<Spec<'_>> {
        let path = path(uri)?;
        let text = self.workspace.documents.get(&path)?;
        let program = self.workspace.load(vec![path]);
        let file = (*program.specs.first()?)?;
        let ast = syntax::parse(file, text).file;
        Some(Spec { text, ast, program, file })
    }

    fn hover(&self, params: HoverParams) -> Option<Hover> {
        let at = params.text_document_position_params;
        let spec = self.spec(&at.text_document.uri)?;
        let offset = self.workspace.encoding.offset(spec.text, at.position) as u32;
        let (named, span) = name_at(&spec.ast, offset)?;
        let section = section_at(&spec.ast, offset).map(|s| s.name.text.as_str());
        let value = describe(&spec.program, spec.file, named, section)?;
        Some(Hover {
            contents: HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value }),
            range: Some(self.range_in(spec.text, span)),
        })
    }

    fn completion(&self, params: CompletionParams) -> Option<Vec<CompletionItem>> {
        let at = params.text_document_position;
        let spec = self.spec(&at.text_document.uri)?;
        let offset = self.workspace.encoding.offset(spec.text, at.position);
        Some(complete(&spec.program, spec.file, spec.text, &spec.ast, offset, self.has_snippets))
    }

    fn definition(&self, params: GotoDefinitionParams) -> Option<Location> {
        let at = params.text_document_position_params;
        let spec = self.spec(&at.text_document.uri)?;
        let offset = self.workspace.encoding.offset(spec.text, at.position) as u32;
        let (named, span) = name_at(&spec.ast, offset)?;
        if let Named::Include(target) = named {
            let folder = spec.program.sources.get(span.file).folder();
            return Some(Location::new(uri(&normalize(&folder.join(target)))?, Range::default()));
        }
        self.location(&spec.program, definition(&spec.program, spec.file, named)?)
    }

    fn references(&self, params: ReferenceParams) -> Option<Vec<Location>> {
        let at = params.text_document_position;
        let path = path(&at.text_document.uri)?;
        let program = self.workspace.load(self.workspace.specs());
        let (file, source) = program.sources.iter().find(|(_, source)| source.path == path)?;
        let offset = self.workspace.encoding.offset(&source.text, at.position) as u32;
        let ast = syntax::parse(file, &source.text).file;
        let defined = definition(&program, file, name_at(&ast, offset)?.0)?;
        let mut out = Vec::new();
        for (file, source) in program.sources.iter().filter(|(_, s)| s.origin == Origin::Project) {
            if program.views.contains_key(&file) {
                let ast = syntax::parse(file, &source.text).file;
                let spans = references(&program, file, &ast, defined);
                out.extend(spans.into_iter().filter_map(|span| self.location(&program, span)));
            }
        }
        if !params.context.include_declaration {
            let own = self.location(&program, defined);
            out.retain(|location| Some(location) != own.as_ref());
        }
        Some(out)
    }

    fn symbols(&self, params: DocumentSymbolParams) -> Option<Vec<DocumentSymbol>> {
        let (text, ast) = self.parsed(&params.text_document.uri)?;
        Some(outline(text, &ast, self.workspace.encoding))
    }

    fn folds(&self, params: FoldingRangeParams) -> Option<Vec<FoldingRange>> {
        let (text, ast) = self.parsed(&params.text_document.uri)?;
        Some(folds(text, &ast, self.workspace.encoding))
    }

    fn formatting(&self, params: DocumentFormattingParams) -> Option<Vec<TextEdit>> {
        let text = self.workspace.documents.get(&path(&params.text_document.uri)?)?;
        let formatted = format(text);
        let whole = self.workspace.encoding.range(text, 0, text.len());
        Some(if formatted == text { Vec::new() } else { vec![TextEdit::new(whole, formatted)] })
    }

    fn range_formatting(&self, params: DocumentRangeFormattingParams) -> Option<Vec<TextEdit>> {
        let text = self.workspace.documents.get(&path(&params.text_document.uri)?)?;
        let encoding = self.workspace.encoding;
        let wanted = encoding.offset(text, params.range.start)..encoding.offset(text, params.range.end);
        let Some((range, formatted)) = format_range(text, wanted) else { return Some(Vec::new()) };
        Some(vec![TextEdit::new(encoding.range(text, range.start, range.end), formatted)])
    }

    #[allow(clippy::mutable_key_type)] // the protocol's map has URIs as keys
    fn actions(&self, params: CodeActionParams) -> Option<Vec<CodeActionOrCommand>> {
        let path = path(&params.text_document.uri)?;
        let repairs = self.workspace.repairs(&path, params.range);
        let action = |repair: Repair| {
            let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
            for (path, edit) in repair.edits {
                changes.entry(uri(&path)?).or_default().push(edit);
            }
            Some(CodeActionOrCommand::CodeAction(CodeAction {
                title: repair.title,
                kind: Some(CodeActionKind::QUICKFIX),
                edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
                is_preferred: Some(true),
                ..CodeAction::default()
            }))
        };
        Some(repairs.into_iter().filter_map(action).collect())
    }

    // ---- places ---------------------------------------------------------------------------------

    fn parsed(&self, uri: &Uri) -> Option<(&str, syntax::ast::File)> {
        let text = self.workspace.documents.get(&path(uri)?)?;
        Some((text, syntax::parse(FileId(0), text).file))
    }

    fn range_in(&self, text: &str, span: Span) -> Range {
        self.workspace.encoding.range(text, span.start as usize, span.end as usize)
    }

    /// A place that an editor can open: the built-in library's files are unpacked for that.
    fn location(&self, program: &Program, span: Span) -> Option<Location> {
        let source = program.sources.get(span.file);
        let path = match source.origin == Origin::Library && source.path.is_relative() {
            true => build::unpack(&build::cache()).ok()?.join(&source.path),
            false => source.path.clone(),
        };
        let is_there = self.workspace.documents.is_file(Path::new(&path));
        let range = self.workspace.encoding.range_of(&program.sources, span);
        uri(&path).filter(|_| is_there).map(|uri| Location::new(uri, range))
    }
}

/// Answers with what a function makes of the parameters; `null` where that is nothing.
fn with<P: DeserializeOwned, A: serde::Serialize>(
    params: Value,
    answer: impl FnOnce(P) -> Option<A>,
) -> Result<Value, String> {
    let params = serde_json::from_value(params).map_err(|e| e.to_string())?;
    serde_json::to_value(answer(params)).map_err(|e| e.to_string())
}

fn publish(
    connection: &Connection,
    found: Vec<(PathBuf, Vec<Diagnostic>)>,
) -> Result<(), Box<dyn Error + Sync + Send>> {
    for (path, diagnostics) in found {
        let Some(uri) = uri(&path) else { continue };
        let params = PublishDiagnosticsParams { uri, diagnostics, version: None };
        let notification = Notification::new(PublishDiagnostics::METHOD.to_owned(), params);
        connection.sender.send(notification.into())?;
    }
    Ok(())
}
