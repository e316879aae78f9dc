//! Requests and their answers.

use crate::lsp::actions;
use crate::lsp::completion::{complete, resolve};
use crate::lsp::cursor::{Named, name_at, section_at};
use crate::lsp::hints::hints;
use crate::lsp::hover::describe;
use crate::lsp::places::{path, uri};
use crate::lsp::rename::{self, Subject};
use crate::lsp::server::Server;
use crate::lsp::signature::signature;
use crate::lsp::symbols::{definition, flatten, folds, links, outline, references, search};
use crate::lsp::tokens::tokens;
use crate::lsp::workspace::{Spec, find_source};
use crate::project::Program;
use crate::source::{FileId, Loader, Origin, Span, normalize};
use crate::syntax::{self, format, format_range};
use crate::workspace;
use lsp_server::{ErrorCode, Request, Response};
use lsp_types::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Why a request has no answer: a code of the protocol, and words for people.
type Refusal = (ErrorCode, String);

impl Server {
    pub(super) fn answer(&self, request: Request) -> Response {
        let Request { id, method, params } = request;
        let answer = match method.as_str() {
            "textDocument/hover" => with(params, |p| self.hover(p)),
            "textDocument/completion" => with(params, |p| self.completion(p)),
            "completionItem/resolve" => with(params, |item| {
                Some(resolve(
                    &self.workspace.load(Vec::new()),
                    item,
                    &self.client,
                ))
            }),
            "textDocument/signatureHelp" => with(params, |p| self.signature(p)),
            "textDocument/definition" => with(params, |p| self.definition(p)),
            "textDocument/references" => with(params, |p| self.references(p)),
            "textDocument/prepareRename" => with_reason(params, |p| self.prepare_rename(p)),
            "textDocument/rename" => with_reason(params, |p| self.rename(p)),
            "textDocument/documentSymbol" => with(params, |p| self.symbols(p)),
            "workspace/symbol" => with(params, |p| self.all_symbols(p)),
            "textDocument/documentLink" => with(params, |p| self.links(p)),
            "textDocument/foldingRange" => with(params, |p| self.folds(p)),
            "textDocument/inlayHint" => with(params, |p| self.hints(p)),
            "textDocument/semanticTokens/full" => with(params, |p| self.tokens(p)),
            "textDocument/semanticTokens/range" => with(params, |p| self.tokens_in(p)),
            "textDocument/formatting" => with(params, |p| self.formatting(p)),
            "textDocument/rangeFormatting" => with(params, |p| self.range_formatting(p)),
            "textDocument/codeAction" => with(params, |p| self.actions(p)),
            _ => Err((
                ErrorCode::MethodNotFound,
                format!("there is no method {method}"),
            )),
        };
        match answer {
            Ok(value) => Response::new_ok(id, value),
            Err((code, message)) => Response::new_err(id, code as i32, message),
        }
    }

    /// An open spec, with the program around it.
    fn spec(&self, uri: &Uri) -> Option<Rc<Spec>> {
        self.workspace.spec(&path(uri)?)
    }

    /// The same, with the offset of a place.
    fn spec_at(&self, at: &TextDocumentPositionParams) -> Option<(Rc<Spec>, u32)> {
        let spec = self.spec(&at.text_document.uri)?;
        let offset = self.workspace.encoding.offset(&spec.text, at.position);
        Some((spec, offset as u32))
    }

    fn hover(&self, params: HoverParams) -> Option<Hover> {
        let (spec, offset) = self.spec_at(&params.text_document_position_params)?;
        let ast = &spec.parse.file;
        let (named, span) = name_at(ast, offset)?;
        let section = section_at(ast, offset).map(|s| s.name.text.as_str());
        let value = describe(&spec.program, spec.file, named, section)?;
        Some(Hover {
            contents: HoverContents::Markup(self.client.hover_markup(value)),
            range: Some(self.range_in(&spec.text, span)),
        })
    }

    fn completion(&self, params: CompletionParams) -> Option<Vec<CompletionItem>> {
        let (spec, offset) = self.spec_at(&params.text_document_position)?;
        let documents = &self.workspace.documents;
        Some(complete(
            &spec,
            documents,
            offset as usize,
            self.client.has_snippets,
        ))
    }

    fn signature(&self, params: SignatureHelpParams) -> Option<SignatureHelp> {
        let at = params.text_document_position_params;
        let text = self
            .workspace
            .documents
            .text(&path(&at.text_document.uri)?)?;
        let offset = self.workspace.encoding.offset(text, at.position);
        signature(text, offset, self.client.has_label_offsets)
    }

    fn definition(&self, params: GotoDefinitionParams) -> Option<Location> {
        let (spec, offset) = self.spec_at(&params.text_document_position_params)?;
        let (named, span) = name_at(&spec.parse.file, offset)?;
        if let Named::Include(target) = named {
            let folder = spec.program.sources.get(span.file).folder();
            return Some(Location::new(
                uri(&normalize(&folder.join(target)))?,
                Range::default(),
            ));
        }
        self.location(&spec.program, definition(&spec.program, spec.file, named)?)
    }

    fn references(&self, params: ReferenceParams) -> Option<Vec<Location>> {
        let at = params.text_document_position;
        let (program, file, offset) = self.everything_at(&at)?;
        let ast = syntax::parse(file, &program.sources.get(file).text).file;
        let defined = definition(&program, file, name_at(&ast, offset)?.0)?;
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
        if !params.context.include_declaration {
            let own = self.location(&program, defined);
            out.retain(|location| Some(location) != own.as_ref());
        }
        Some(out)
    }

    /// All specs of the workspace as one program, with a place in it.
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
        let Some(subject) = Subject::at(&spec.program, spec.file, &spec.parse.file, offset)? else {
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
        let (text, parse) = self.parsed(&uri)?;
        let symbols = outline(text, &parse.file, self.workspace.encoding);
        Some(match self.client.has_nested_symbols {
            true => DocumentSymbolResponse::Nested(symbols),
            false => DocumentSymbolResponse::Flat(flatten(symbols, &uri)),
        })
    }

    fn all_symbols(&self, params: WorkspaceSymbolParams) -> Option<Vec<WorkspaceSymbol>> {
        let files = self.workspace.specs().into_iter().filter_map(|path| {
            let text = self.workspace.documents.read(&path).ok()?;
            Some((uri(&path)?, text))
        });
        Some(search(files, &params.query, self.workspace.encoding))
    }

    fn links(&self, params: DocumentLinkParams) -> Option<Vec<DocumentLink>> {
        let path = path(&params.text_document.uri)?;
        let text = self.workspace.documents.text(&path)?;
        let file = syntax::parse(FileId(0), text).file;
        Some(links(text, &file, path.parent()?, self.workspace.encoding))
    }

    fn folds(&self, params: FoldingRangeParams) -> Option<Vec<FoldingRange>> {
        let (text, parse) = self.parsed(&params.text_document.uri)?;
        Some(folds(text, &parse, self.workspace.encoding))
    }

    fn hints(&self, params: InlayHintParams) -> Option<Vec<InlayHint>> {
        let spec = self.spec(&params.text_document.uri)?;
        let wanted = self.offsets(&spec.text, params.range);
        let hints = hints(&spec, wanted);
        Some(
            hints
                .into_iter()
                .map(|hint| InlayHint {
                    position: self
                        .workspace
                        .encoding
                        .position(&spec.text, hint.offset as usize),
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

    fn tokens(&self, params: SemanticTokensParams) -> Option<SemanticTokens> {
        let spec = self.spec(&params.text_document.uri)?;
        let data = tokens(&spec, 0..spec.text.len() as u32, self.workspace.encoding);
        Some(SemanticTokens {
            result_id: None,
            data,
        })
    }

    fn tokens_in(&self, params: SemanticTokensRangeParams) -> Option<SemanticTokens> {
        let spec = self.spec(&params.text_document.uri)?;
        let data = tokens(
            &spec,
            self.offsets(&spec.text, params.range),
            self.workspace.encoding,
        );
        Some(SemanticTokens {
            result_id: None,
            data,
        })
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
        let path = path(&params.text_document.uri).filter(|_| self.client.has_actions)?;
        let wanted = |kind: &CodeActionKind| {
            let only = params.context.only.as_deref();
            only.is_none_or(|only| only.iter().any(|o| kind.as_str().starts_with(o.as_str())))
        };
        let repairs = self
            .workspace
            .findings(&path)
            .flat_map(|finding| &finding.repairs);
        let meets =
            |range: Range| range.start <= params.range.end && params.range.start <= range.end;
        let mut out: Vec<CodeAction> = Vec::new();
        for repair in repairs.filter(|repair| meets(repair.range)) {
            out.push(CodeAction {
                title: repair.title.clone(),
                kind: Some(CodeActionKind::QUICKFIX),
                edit: workspace_edit(repair.edits.clone()),
                is_preferred: Some(true),
                ..CodeAction::default()
            });
        }
        out.extend(actions::actions(self, &path, params.range));
        out.retain(|action| action.kind.as_ref().is_none_or(wanted));
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

    // ---- places ---------------------------------------------------------------------------------

    /// The text of an open spec. Other files are not ours to parse.
    fn spec_text(&self, uri: &Uri) -> Option<&str> {
        let path = path(uri)?;
        self.workspace
            .documents
            .text(&path)
            .filter(|_| path.extension().is_some_and(|e| e == "imgspec"))
    }

    fn parsed(&self, uri: &Uri) -> Option<(&str, syntax::Parse)> {
        let text = self.spec_text(uri)?;
        Some((text, syntax::parse(FileId(0), text)))
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

    /// A place that an editor can open: the built-in library's files are unpacked for that.
    fn location(&self, program: &Program, span: Span) -> Option<Location> {
        let source = program.sources.get(span.file);
        let path = match source.origin == Origin::Library && source.path.is_relative() {
            true => workspace::unpack(&workspace::cache())
                .ok()?
                .join(&source.path),
            false => source.path.clone(),
        };
        let is_there = self.workspace.documents.is_file(Path::new(&path));
        let range = self.workspace.encoding.range_of(&program.sources, span);
        uri(&path)
            .filter(|_| is_there)
            .map(|uri| Location::new(uri, range))
    }
}

/// Edits of files, as the protocol has them.
#[allow(clippy::mutable_key_type)] // the protocol's map has URIs as keys
pub fn workspace_edit(edits: Vec<(PathBuf, TextEdit)>) -> Option<WorkspaceEdit> {
    let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
    for (path, edit) in edits {
        changes.entry(uri(&path)?).or_default().push(edit);
    }
    Some(WorkspaceEdit {
        changes: Some(changes),
        ..WorkspaceEdit::default()
    })
}

/// Answers with what a function makes of the parameters; `null` where that is nothing.
fn with<P: DeserializeOwned, A: Serialize>(
    params: Value,
    answer: impl FnOnce(P) -> Option<A>,
) -> Result<Value, Refusal> {
    with_reason(params, |params| Ok(answer(params)))
}

/// The same for what can be refused in words.
fn with_reason<P: DeserializeOwned, A: Serialize>(
    params: Value,
    answer: impl FnOnce(P) -> Result<Option<A>, String>,
) -> Result<Value, Refusal> {
    let params =
        serde_json::from_value(params).map_err(|e| (ErrorCode::InvalidParams, e.to_string()))?;
    let answer = answer(params).map_err(|words| (ErrorCode::RequestFailed, words))?;
    serde_json::to_value(answer).map_err(|e| (ErrorCode::InternalError, e.to_string()))
}
