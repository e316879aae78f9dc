//! Requests and their handlers.

use crate::lsp::actions;
use crate::lsp::completion::{complete, describe_choice, resolve};
use crate::lsp::edits::workspace_edit;
use crate::lsp::folding::folds;
use crate::lsp::goto::{definition, key_at, links, outer_references, references};
use crate::lsp::hints::hints;
use crate::lsp::hover::{describe, describe_variable, describe_word};
use crate::lsp::navigation::{Named, name_or_comment_at, section_at};
use crate::lsp::output::{SCHEME, TextDocumentContent};
use crate::lsp::position::{Positions, path, uri};
use crate::lsp::refactor;
use crate::lsp::rename::{self, Subject};
use crate::lsp::server::Server;
use crate::lsp::signature::signature;
use crate::lsp::structure::{highlights, linked, selection};
use crate::lsp::symbols::{flatten, outline, search};
use crate::lsp::tokens::{delta, tokens};
use crate::lsp::transport::written;
use crate::lsp::workspace::{Spec, find_source, is_spec};
use crate::project::hir::VarId;
use crate::project::{Program, Request as Wanted, find_include};
use crate::source::{Disk, FileId, Loader, Origin, Span, visible_line};
use crate::syntax::{self, format, format_range};
use crate::workspace;
use lsp_server::{ErrorCode, Request, Response};
use lsp_types::request::{
    self, CallHierarchyIncomingCalls, CallHierarchyOutgoingCalls, CallHierarchyPrepare,
    CodeActionRequest, CodeLensRequest, CodeLensResolve, Completion, DocumentDiagnosticRequest,
    DocumentHighlightRequest, DocumentLinkRequest, DocumentSymbolRequest, FoldingRangeRequest,
    Formatting, GotoDefinition, HoverRequest, InlayHintRequest, LinkedEditingRange,
    PrepareRenameRequest, RangeFormatting, References, Rename, ResolveCompletionItem,
    SelectionRangeRequest, SemanticTokensFullDeltaRequest, SemanticTokensFullRequest,
    SemanticTokensRangeRequest, SignatureHelpRequest, TypeHierarchyPrepare, TypeHierarchySubtypes,
    TypeHierarchySupertypes, WillRenameFiles, WorkspaceDiagnosticRequest, WorkspaceSymbolRequest,
};
use lsp_types::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The most actions for a range. Nobody reads more.
const MOST_ACTIONS: usize = 500;

impl Server {
    /// The response to a request.
    pub(super) fn handle(&self, request: Request) -> Response {
        self.workspace.begin_request();
        Dispatcher::new(self, request)
            .on::<HoverRequest>(Server::hover)
            .on::<Completion>(Server::completion)
            .on::<ResolveCompletionItem>(Server::resolve)
            .on::<SignatureHelpRequest>(Server::signature)
            .on::<GotoDefinition>(Server::definition)
            .on::<References>(Server::references)
            .on_fallible::<PrepareRenameRequest>(Server::prepare_rename)
            .on_fallible::<Rename>(Server::rename)
            .on::<DocumentSymbolRequest>(Server::symbols)
            .on::<WorkspaceSymbolRequest>(Server::workspace_symbols)
            .on::<DocumentLinkRequest>(Server::links)
            .on::<FoldingRangeRequest>(Server::folds)
            .on::<InlayHintRequest>(Server::hints)
            .on::<SemanticTokensFullRequest>(Server::tokens)
            .on::<SemanticTokensRangeRequest>(Server::tokens_in)
            .on::<Formatting>(Server::formatting)
            .on::<RangeFormatting>(Server::range_formatting)
            .on::<SemanticTokensFullDeltaRequest>(Server::tokens_since)
            .on::<CodeActionRequest>(Server::actions)
            .on::<CodeLensRequest>(|server, params| server.lenses(&params.text_document.uri))
            .on::<CodeLensResolve>(Server::resolve_lens)
            .on::<DocumentHighlightRequest>(Server::highlights)
            .on::<SelectionRangeRequest>(Server::selections)
            .on::<LinkedEditingRange>(Server::linked)
            .on::<TypeHierarchyPrepare>(|server, params| {
                server.prepare_hierarchy(&params.text_document_position_params)
            })
            .on::<TypeHierarchySupertypes>(|server, params| server.supertypes(&params.item))
            .on::<TypeHierarchySubtypes>(|server, params| server.subtypes(&params.item))
            .on::<CallHierarchyPrepare>(|server, params| {
                server.prepare_calls(&params.text_document_position_params)
            })
            .on::<CallHierarchyIncomingCalls>(|server, params| server.incoming(&params.item))
            .on::<CallHierarchyOutgoingCalls>(|server, params| server.outgoing(&params.item))
            .on::<TextDocumentContent>(Server::content)
            .on::<DocumentDiagnosticRequest>(Server::pull)
            .on::<WorkspaceDiagnosticRequest>(Server::pull_all)
            .on::<WillRenameFiles>(|server, params| server.follow(&params))
            .finish()
    }

    /// An open spec, with the program around it.
    pub(super) fn spec(&self, uri: &Uri) -> Option<Rc<Spec>> {
        self.workspace.spec(&path(uri)?)
    }

    /// The same, with the offset of a position.
    pub(super) fn spec_at(&self, at: &TextDocumentPositionParams) -> Option<(Rc<Spec>, u32)> {
        let spec = self.spec(&at.text_document.uri)?;
        let offset = self.workspace.encoding.offset(&spec.text, at.position);
        Some((spec, offset as u32))
    }

    fn hover(&self, params: HoverParams) -> Option<Hover> {
        let at = &params.text_document_position_params;
        let hover = |value, range| {
            Some(Hover {
                contents: HoverContents::Markup(self.client.hover_markup(value)),
                range: Some(range),
            })
        };
        if at.text_document.uri.as_str().starts_with(SCHEME) {
            return self.describe_output(&at.text_document.uri, at.position);
        }
        if let Some((program, id, span)) = self.key_at(at, Vec::new()) {
            let range = self.workspace.encoding.range_of(&program.sources, span);
            return hover(describe_variable(&program, id, None), range);
        }
        let (spec, offset) = self.spec_at(at)?;
        let ast = &spec.syntax().file;
        if let Some((named, span)) = name_or_comment_at(&spec.program, ast, spec.file, offset) {
            let section = section_at(ast, offset).map(|s| s.name.text.as_str());
            if let Some(value) = describe(&spec.program, spec.file, named, section) {
                return hover(value, self.range_in(&spec.text, span));
            }
        }
        let (value, start, end) = describe_word(&spec.parsed(), offset as usize)
            .or_else(|| describe_choice(&spec, offset as usize))?;
        hover(
            value,
            self.positions(&spec).range(start as usize, end as usize),
        )
    }

    /// The variable whose key in a var file is at a position, with the place of the key, in the program of that file and of
    /// some specs.
    fn key_at(
        &self,
        at: &TextDocumentPositionParams,
        specs: Vec<PathBuf>,
    ) -> Option<(Program, VarId, Span)> {
        let path = path(&at.text_document.uri).filter(|path| !is_spec(path))?;
        let request = Wanted {
            specs,
            var_files: vec![path.clone()],
            ..Wanted::default()
        };
        self.workspace.documents.get(&path)?;
        let program = self
            .workspace
            .load_request(request, &self.workspace.documents);
        let file = find_source(&program, &path)?;
        let text = &program.sources.get(file).text;
        let offset = self.workspace.encoding.offset(text, at.position) as u32;
        let (id, span) = key_at(&program, file, offset)?;
        Some((program, id, span))
    }

    fn completion(&self, params: CompletionParams) -> Option<CompletionResponse> {
        let (spec, offset) = self.spec_at(&params.text_document_position)?;
        let snippets = self.client.has_snippets();
        let positions = self.positions(&spec);
        Some(complete(
            &self.workspace,
            &spec,
            positions,
            offset as usize,
            snippets,
        ))
    }

    fn resolve(&self, item: CompletionItem) -> CompletionItem {
        resolve(&self.workspace.load(Vec::new()), item, &self.client)
    }

    fn signature(&self, params: SignatureHelpParams) -> Option<SignatureHelp> {
        let (spec, offset) = self.spec_at(&params.text_document_position_params)?;
        let has_label_offsets = self.client.has_label_offsets();
        signature(&spec.parsed(), offset as usize, has_label_offsets)
    }

    fn definition(&self, params: GotoDefinitionParams) -> Option<GotoDefinitionResponse> {
        let at = &params.text_document_position_params;
        if at.text_document.uri.as_str().starts_with(SCHEME) {
            let found = self.source_of(&at.text_document.uri, at.position);
            return found.map(Into::into);
        }
        if let Some((program, id, _)) = self.key_at(at, self.workspace.specs()) {
            let span = program.variable(id).span;
            return Some(self.location(&program, span)?.into());
        }
        let (spec, offset) = self.spec_at(&params.text_document_position_params)?;
        let (named, span) =
            name_or_comment_at(&spec.program, &spec.syntax().file, spec.file, offset)?;
        if let Named::Include(target) = named {
            let own = &spec.program.sources.get(span.file).path;
            let uri = uri(&find_include(own, target, |path| Disk.exists(path)))?;
            return Some(Location::new(uri, Range::default()).into());
        }
        let span = definition(&spec.program, spec.file, named)?;
        Some(self.location(&spec.program, span)?.into())
    }

    fn references(&self, params: ReferenceParams) -> Option<Vec<Location>> {
        let at = params.text_document_position;
        let (program, defined) = match self.key_at(&at, self.workspace.specs()) {
            Some((program, id, _)) => {
                let defined = program.variable(id).span;
                (program, defined)
            }
            None => {
                let (program, file, offset) = self.everything_at(&at)?;
                let ast = syntax::parse(file, &program.sources.get(file).text).file;
                let (named, _) = name_or_comment_at(&program, &ast, file, offset)?;
                let defined = definition(&program, file, named)?;
                (program, defined)
            }
        };
        let mut out = Vec::new();
        for (file, source) in program
            .sources
            .iter()
            .filter(|(file, _)| program.views.contains_key(file))
        {
            let ast = syntax::parse(file, &source.text).file;
            let spans = references(&program, file, &ast, defined);
            out.extend(
                spans
                    .into_iter()
                    .filter_map(|span| self.location(&program, span)),
            );
        }
        let outer = outer_references(&program, defined).into_iter();
        out.extend(outer.filter_map(|(span, _)| self.location(&program, span)));
        let own = self.location(&program, defined);
        out.retain(|location| Some(location) != own.as_ref());
        if params.context.include_declaration {
            // A declaration of the library is in none of the project's files.
            out.extend(own);
        }
        // A var file can be a layer and the file at hand.
        out.sort_by(|a, b| {
            let key = |at: &Location| (at.range.start, at.range.end);
            (a.uri.as_str(), key(a)).cmp(&(b.uri.as_str(), key(b)))
        });
        out.dedup();
        Some(out)
    }

    /// All specs of the workspace as one program, with the file and the offset of a position.
    fn everything_at(&self, at: &TextDocumentPositionParams) -> Option<(Program, FileId, u32)> {
        let path = path(&at.text_document.uri)?;
        let program = self.workspace.load(self.workspace.specs());
        let file = find_source(&program, &path)?;
        let offset = self
            .workspace
            .encoding
            .offset(&program.sources.get(file).text, at.position) as u32;
        Some((program, file, offset))
    }

    fn prepare_rename(
        &self,
        at: TextDocumentPositionParams,
    ) -> Result<Option<PrepareRenameResponse>, String> {
        let Some((spec, offset)) = self.spec_at(&at) else {
            return Ok(None);
        };
        let Some(subject) = Subject::at(&spec.program, spec.file, &spec.syntax().file, offset)?
        else {
            return Ok(None);
        };
        let range = self.range_in(&spec.text, subject.place);
        Ok(Some(PrepareRenameResponse::RangeWithPlaceholder {
            range,
            placeholder: subject.name,
        }))
    }

    fn rename(&self, params: RenameParams) -> Result<Option<WorkspaceEdit>, String> {
        let Some((program, file, offset)) = self.everything_at(&params.text_document_position)
        else {
            return Ok(None);
        };
        let ast = syntax::parse(file, &program.sources.get(file).text).file;
        let Some(subject) = Subject::at(&program, file, &ast, offset)? else {
            return Ok(None);
        };
        let edits = rename::edits(&self.workspace, &program, &subject, &params.new_name)?;
        Ok(workspace_edit(edits))
    }

    fn symbols(&self, params: DocumentSymbolParams) -> Option<DocumentSymbolResponse> {
        let uri = params.text_document.uri;
        let spec = self.spec(&uri)?;
        let symbols = outline(&spec.syntax().file, &spec.text, self.positions(&spec));
        Some(if self.client.has_nested_symbols() {
            DocumentSymbolResponse::Nested(symbols)
        } else {
            DocumentSymbolResponse::Flat(flatten(symbols, &uri))
        })
    }

    fn workspace_symbols(&self, params: WorkspaceSymbolParams) -> Option<WorkspaceSymbolResponse> {
        let found = search(&self.workspace.declared(), &params.query);
        Some(WorkspaceSymbolResponse::Nested(found))
    }

    fn links(&self, params: DocumentLinkParams) -> Option<Vec<DocumentLink>> {
        let path = path(&params.text_document.uri)?;
        let spec = self.spec(&params.text_document.uri)?;
        Some(links(&spec.syntax().file, &path, self.positions(&spec)))
    }

    fn folds(&self, params: FoldingRangeParams) -> Option<Vec<FoldingRange>> {
        let spec = self.spec(&params.text_document.uri)?;
        Some(folds(
            &spec.text,
            &spec.syntax().tree,
            self.positions(&spec),
        ))
    }

    fn hints(&self, params: InlayHintParams) -> Option<Vec<InlayHint>> {
        let spec = self.spec(&params.text_document.uri)?;
        let positions = self.positions(&spec);
        let wanted = positions.offset(params.range.start)..positions.offset(params.range.end);
        let hints = hints(&spec, wanted.start as u32..wanted.end as u32);
        Some(
            hints
                .into_iter()
                .map(|hint| InlayHint {
                    position: positions.position(hint.offset as usize),
                    label: InlayHintLabel::String(hint.label),
                    kind: None,
                    text_edits: None,
                    tooltip: Some(InlayHintTooltip::String(hint.tooltip)),
                    padding_left: Some(true),
                    padding_right: None,
                    data: None,
                })
                .collect(),
        )
    }

    fn tokens(&self, params: SemanticTokensParams) -> Option<SemanticTokensResult> {
        self.all_tokens(&params.text_document.uri).map(Into::into)
    }

    /// The tokens of a file, which the next request can refer to.
    fn all_tokens(&self, uri: &Uri) -> Option<SemanticTokens> {
        let spec = self.spec(uri)?;
        let data = tokens(&spec, 0..spec.text.len() as u32, self.positions(&spec));
        let number = self.next_answer();
        let known = (number, data.clone());
        self.tokens.borrow_mut().insert(path(uri)?, known);
        Some(SemanticTokens {
            result_id: Some(number.to_string()),
            data,
        })
    }

    fn tokens_since(
        &self,
        params: SemanticTokensDeltaParams,
    ) -> Option<SemanticTokensFullDeltaResult> {
        let uri = &params.text_document.uri;
        let known = self.tokens.borrow().get(&path(uri)?).cloned();
        let new = self.all_tokens(uri)?;
        Some(match known {
            Some((number, old)) if number.to_string() == params.previous_result_id => {
                SemanticTokensDelta {
                    result_id: new.result_id,
                    edits: delta(&old, &new.data),
                }
                .into()
            }
            _ => new.into(),
        })
    }

    fn highlights(&self, params: DocumentHighlightParams) -> Option<Vec<DocumentHighlight>> {
        let (spec, offset) = self.spec_at(&params.text_document_position_params)?;
        highlights(&spec, offset, self.positions(&spec))
    }

    fn selections(&self, params: SelectionRangeParams) -> Option<Vec<SelectionRange>> {
        let spec = self.spec(&params.text_document.uri)?;
        let positions = self.positions(&spec);
        let select = |position: &Position| {
            let offset = positions.offset(*position);
            selection(&spec.text, &spec.syntax().tree, offset, positions)
        };
        Some(params.positions.iter().map(select).collect())
    }

    fn linked(&self, params: LinkedEditingRangeParams) -> Option<LinkedEditingRanges> {
        let (spec, offset) = self.spec_at(&params.text_document_position_params)?;
        let tree = &spec.syntax().tree;
        linked(&spec.text, tree, offset as usize, self.positions(&spec))
    }

    fn tokens_in(&self, params: SemanticTokensRangeParams) -> Option<SemanticTokensRangeResult> {
        let spec = self.spec(&params.text_document.uri)?;
        let data = tokens(
            &spec,
            self.offsets(&spec.text, params.range),
            self.positions(&spec),
        );
        let result_id = None;
        Some(SemanticTokens { result_id, data }.into())
    }

    fn formatting(&self, params: DocumentFormattingParams) -> Option<Vec<TextEdit>> {
        let text = self.spec_text(&params.text_document.uri)?;
        let formatted = format(text);
        let whole = self.workspace.encoding.range(text, 0, text.len());
        Some(if formatted == text {
            Vec::new()
        } else {
            vec![TextEdit::new(whole, formatted)]
        })
    }

    fn range_formatting(&self, params: DocumentRangeFormattingParams) -> Option<Vec<TextEdit>> {
        let text = self.spec_text(&params.text_document.uri)?;
        let encoding = self.workspace.encoding;
        let wanted =
            encoding.offset(text, params.range.start)..encoding.offset(text, params.range.end);
        let Some((range, formatted)) = format_range(text, wanted) else {
            return Some(Vec::new());
        };
        Some(vec![TextEdit::new(
            encoding.range(text, range.start, range.end),
            formatted,
        )])
    }

    fn actions(&self, params: CodeActionParams) -> Option<Vec<CodeActionOrCommand>> {
        let path = path(&params.text_document.uri).filter(|_| self.client.has_actions())?;
        let wanted = |kind: &CodeActionKind| {
            let only = params.context.only.as_deref();
            only.is_none_or(|only| only.iter().any(|o| kind.as_str().starts_with(o.as_str())))
        };
        let fixes = self
            .workspace
            .publisher
            .diagnostics(&path)
            .flat_map(|diagnostic| &diagnostic.fixes);
        let meets =
            |range: Range| range.start <= params.range.end && params.range.start <= range.end;
        let mut out: Vec<CodeAction> = Vec::new();
        for fix in fixes.filter(|fix| meets(fix.range)) {
            out.push(CodeAction {
                title: fix.title.clone(),
                kind: Some(CodeActionKind::QUICKFIX),
                edit: workspace_edit(fix.edits.clone()),
                is_preferred: Some(true),
                ..CodeAction::default()
            });
        }
        out.extend(actions::actions(self, &path, params.range));
        // Editors ask for it by its kind.
        let is_asked = |kind: &CodeActionKind| params.context.only.is_some() && wanted(kind);
        if is_asked(&CodeActionKind::SOURCE_FIX_ALL) {
            out.extend(refactor::fix_all(self, &path));
        }
        out.retain(|action| action.kind.as_ref().is_none_or(wanted));
        out.truncate(MOST_ACTIONS);
        let mut seen: Vec<(String, Option<WorkspaceEdit>)> = Vec::new();
        out.retain(|action| {
            let key = (action.title.clone(), action.edit.clone());
            let is_new = !seen.contains(&key);
            seen.extend(is_new.then_some(key));
            is_new
        });
        Some(
            out.into_iter()
                .map(CodeActionOrCommand::CodeAction)
                .collect(),
        )
    }

    // ---- positions ------------------------------------------------------------------------------

    /// The positions in a spec's text.
    pub(super) fn positions<'s>(&self, spec: &'s Spec) -> Positions<'s> {
        let source = spec.program.sources.get(spec.file);
        Positions::new(&source.text, source.lines(), self.workspace.encoding)
    }

    /// The text of an open spec; `None` for another file.
    fn spec_text(&self, uri: &Uri) -> Option<&str> {
        let path = path(uri)?;
        self.workspace
            .documents
            .text(&path)
            .filter(|_| path.extension().is_some_and(|e| e == "imgspec"))
    }

    fn range_in(&self, text: &str, span: Span) -> Range {
        self.workspace
            .encoding
            .range(text, span.start as usize, span.end as usize)
    }

    fn offsets(&self, text: &str, range: Range) -> std::ops::Range<u32> {
        let encoding = self.workspace.encoding;
        encoding.offset(text, range.start) as u32..encoding.offset(text, range.end) as u32
    }

    /// A location that an editor can open. The files of the standard library are unpacked to the cache.
    pub(super) fn location(&self, program: &Program, span: Span) -> Option<Location> {
        let source = program.sources.get(span.file);
        let path = if source.origin == Origin::Library && source.path.is_relative() {
            workspace::unpack(&workspace::cache())
                .ok()?
                .join(&source.path)
        } else {
            source.path.clone()
        };
        let is_there = self.workspace.documents.is_file(Path::new(&path));
        let range = self.workspace.encoding.range_of(&program.sources, span);
        uri(&path)
            .filter(|_| is_there)
            .map(|uri| Location::new(uri, range))
    }
}

/// Finds the handler of a request: the request's type ties its method to its parameters and its result.
struct Dispatcher<'s> {
    server: &'s Server,
    request: Request,
    /// The result or the error of the handler, once it is found.
    outcome: Option<Result<Value, (ErrorCode, String)>>,
}

impl<'s> Dispatcher<'s> {
    fn new(server: &'s Server, request: Request) -> Dispatcher<'s> {
        Dispatcher {
            server,
            request,
            outcome: None,
        }
    }

    /// Adds the handler of a type of requests.
    fn on<R: request::Request>(self, handler: fn(&Server, R::Params) -> R::Result) -> Self {
        self.dispatch::<R>(|server, params| Ok(handler(server, params)))
    }

    /// Adds the handler of a type of requests that it can refuse, with a reason for the user.
    fn on_fallible<R: request::Request>(
        self,
        handler: fn(&Server, R::Params) -> Result<R::Result, String>,
    ) -> Self {
        self.dispatch::<R>(handler)
    }

    fn dispatch<R: request::Request>(
        mut self,
        handler: impl FnOnce(&Server, R::Params) -> Result<R::Result, String>,
    ) -> Self {
        if self.request.method == R::METHOD {
            let params = std::mem::take(&mut self.request.params);
            let outcome = serde_json::from_value(params)
                .map_err(|error| (ErrorCode::InvalidParams, error.to_string()))
                .and_then(|params| {
                    handler(self.server, params).map_err(|why| (ErrorCode::RequestFailed, why))
                })
                .and_then(|result| {
                    let value = if self.server.writes_text {
                        written(&result)
                    } else {
                        serde_json::to_value(result)
                    };
                    value.map_err(|error| (ErrorCode::InternalError, error.to_string()))
                });
            self.outcome = Some(outcome);
        }
        self
    }

    fn finish(self) -> Response {
        let Request { id, method, .. } = self.request;
        let unknown = || {
            Err((
                ErrorCode::MethodNotFound,
                format!("unknown method {method}"),
            ))
        };
        match self.outcome.unwrap_or_else(unknown) {
            Ok(result) => Response {
                id,
                response_result: Ok(result),
            },
            Err((code, message)) => {
                Response::new_err(id, code as i32, visible_line(&message).into_owned())
            }
        }
    }
}
