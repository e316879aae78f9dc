//! The loop: messages in, responses and diagnostics out. A request that fails gets an error, and the server
//! continues.

use crate::lsp::capabilities::{Client, server_capabilities};
use crate::lsp::output::{ContentParams, SCHEME, TextDocumentContent};
use crate::lsp::pause::Pause;
use crate::lsp::position::{path, uri};
use crate::lsp::publisher::Publication;
use crate::lsp::transport;
use crate::lsp::workspace::{Confinement, Workspace};
use crate::source::Loader;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{
    Cancel, DidChangeTextDocument, DidChangeWatchedFiles, DidChangeWorkspaceFolders,
    DidCloseTextDocument, DidOpenTextDocument, Exit, Initialized, Notification as _,
    PublishDiagnostics,
};
use lsp_types::request::{
    CodeLensResolve, RegisterCapability, Request as _, Shutdown, WorkspaceDiagnosticRefresh,
};
use lsp_types::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::rc::Rc;

type Outcome<T> = Result<T, Box<dyn Error + Sync + Send>>;

/// Serves one client until it exits. Returns true if the client sent `shutdown` before.
///
/// # Errors
///
/// The connection breaks.
pub fn serve(confinement: Confinement) -> Outcome<bool> {
    let (connection, writer) = transport::stdio();
    let is_shut_down = serve_as(&connection, confinement, &mut || (), true)?;
    drop(connection);
    writer.finish()?;
    Ok(is_shut_down)
}

/// Serves one client on a connection. Calls `when_idle` each time that nothing is left to do before it waits for the next
/// message. Returns true if the client sent `shutdown` before it exited or disconnected.
///
/// # Errors
///
/// The connection breaks.
pub fn serve_on(
    connection: &Connection,
    confinement: Confinement,
    when_idle: &mut dyn FnMut(),
) -> Outcome<bool> {
    serve_as(connection, confinement, when_idle, false)
}

/// The same; with `writes_text` for the connection of [`transport::stdio`], which takes results as text.
fn serve_as(
    connection: &Connection,
    confinement: Confinement,
    when_idle: &mut dyn FnMut(),
    writes_text: bool,
) -> Outcome<bool> {
    // A client that exits before its first request did not break the connection.
    let Ok((id, params)) = connection.initialize_start() else {
        return Ok(false);
    };
    let sent = params.get("capabilities").cloned().unwrap_or_default();
    let params: InitializeParams = match serde_json::from_value(params) {
        Ok(params) => params,
        Err(error) => {
            let reply = Response::new_err(id, ErrorCode::InvalidParams as i32, error.to_string());
            connection.sender.send(reply.into())?;
            return Ok(false);
        }
    };
    let mut server = Server::new(&params, &sent);
    server.writes_text = writes_text;
    server.workspace.confine(confinement)?;
    let reply = json!({
        "capabilities": server_capabilities(&server.client),
        "serverInfo": { "name": "imgspec", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.sender.send(Response::new_ok(id, reply).into())?;
    server.run(connection, when_idle)
}

pub(super) struct Server {
    pub(super) workspace: Workspace,
    pub(super) client: Rc<Client>,
    /// Results go to the client as text.
    pub(super) writes_text: bool,
    /// The tokens that the client has of each file, with the number of the answer.
    pub(super) tokens: RefCell<FxHashMap<PathBuf, (u64, Vec<SemanticToken>)>>,
    answers: Cell<u64>,
    /// The outputs that the client shows.
    pub(super) outputs: RefCell<FxHashSet<String>>,
    /// Whether a file has changed since the client was last told that outputs can have other texts.
    are_outputs_old: bool,
    pause: Pause,
}

impl Server {
    #[allow(deprecated)] // `root_uri` is what older clients send
    fn new(params: &InitializeParams, sent: &Value) -> Server {
        let folders = params
            .workspace_folders
            .iter()
            .flatten()
            .map(|folder| &folder.uri);
        let mut roots: Vec<PathBuf> = folders.filter_map(path).collect();
        if roots.is_empty() {
            roots.extend(params.root_uri.as_ref().and_then(path));
        }
        let options = params.initialization_options.clone().unwrap_or_default();
        let client = Rc::new(Client::new(params.capabilities.clone(), sent, &options));
        Server {
            workspace: Workspace::new(client.clone(), roots),
            client,
            writes_text: false,
            tokens: RefCell::default(),
            answers: Cell::default(),
            outputs: RefCell::default(),
            are_outputs_old: false,
            pause: Pause::default(),
        }
    }

    /// A number that no answer had before.
    pub(super) fn next_answer(&self) -> u64 {
        self.answers.set(self.answers.get() + 1);
        self.answers.get()
    }

    fn run(mut self, connection: &Connection, when_idle: &mut dyn FnMut()) -> Outcome<bool> {
        let mut inbox: VecDeque<Message> = VecDeque::new();
        let mut is_shut_down = false;
        loop {
            for message in connection.receiver.try_iter() {
                receive(message, &mut inbox, connection)?;
            }
            let Some(message) = inbox.pop_front() else {
                if !self.workspace.scheduler.is_settled() && !is_shut_down {
                    if let Some(rest) = self.pause.rest()
                        && !self.workspace.owes_open()
                        && let Ok(message) = connection.receiver.recv_timeout(rest)
                    {
                        receive(message, &mut inbox, connection)?;
                        continue;
                    }
                    let found = self.workspace.check_some();
                    self.publish(connection, found, true)?;
                    continue;
                }
                if self.work_on_waiting(connection)? {
                    continue;
                }
                when_idle();
                let Ok(message) = connection.receiver.recv() else {
                    return Ok(is_shut_down);
                };
                receive(message, &mut inbox, connection)?;
                continue;
            };
            match message {
                Message::Request(request) if is_shut_down => {
                    let error = "the server is shutting down".to_owned();
                    let reply =
                        Response::new_err(request.id, ErrorCode::InvalidRequest as i32, error);
                    connection.sender.send(reply.into())?;
                }
                Message::Request(request) if request.method == Shutdown::METHOD => {
                    is_shut_down = true;
                    self.end_waiting(connection, None, ErrorCode::RequestCanceled)?;
                    connection
                        .sender
                        .send(Response::new_ok(request.id, ()).into())?;
                }
                Message::Request(request)
                    if request.method == CodeLensResolve::METHOD
                        && self.keeps(&request.id, &request.params) => {}
                Message::Request(request) => connection.sender.send(self.handle(request).into())?,
                Message::Notification(notification) if notification.method == Exit::METHOD => {
                    return Ok(is_shut_down);
                }
                Message::Notification(notification)
                    if notification.method == Initialized::METHOD =>
                {
                    self.watch_files(connection)?;
                }
                Message::Notification(notification) if notification.method == Cancel::METHOD => {
                    let id = cancelled(&notification);
                    self.end_waiting(connection, id.as_ref(), ErrorCode::RequestCanceled)?;
                }
                Message::Notification(notification) => {
                    // All but those of the protocol itself are about texts.
                    if !notification.method.starts_with("$/") {
                        self.end_waiting(connection, None, ErrorCode::ContentModified)?;
                    }
                    self.take(notification);
                    // Changes that arrive together are checked once.
                    let is_last = !matches!(inbox.front(), Some(Message::Notification(next)) if next.method != Cancel::METHOD);
                    if is_last {
                        let found = self.workspace.check_changed();
                        self.publish(connection, found, false)?;
                        self.refresh_outputs(connection)?;
                    }
                }
                Message::Response(_) => {}
            }
        }
    }

    /// Sends diagnostics, or tells a client that asks for them that there are others.
    fn publish(
        &self,
        connection: &Connection,
        publications: Vec<Publication>,
        is_later: bool,
    ) -> Outcome<()> {
        if self.client.pulls() {
            // The client asks for those of the document that it changed.
            let concerns = |one: &Publication| one.is_new && (is_later || one.version.is_none());
            if publications.iter().any(concerns) {
                let id = RequestId::from(format!("refresh-{}", self.next_answer()));
                let request = Request::new(id, WorkspaceDiagnosticRefresh::METHOD.to_owned(), ());
                connection.sender.send(request.into())?;
            }
            return Ok(());
        }
        for one in publications {
            let Some(uri) = uri(&one.path) else { continue };
            let params = PublishDiagnosticsParams {
                uri,
                diagnostics: one.diagnostics,
                version: one.version,
            };
            let notification = Notification::new(PublishDiagnostics::METHOD.to_owned(), params);
            connection.sender.send(notification.into())?;
        }
        Ok(())
    }

    /// Tells the client that the outputs that it shows can have other texts now.
    fn refresh_outputs(&mut self, connection: &Connection) -> Outcome<()> {
        // A client opens a document again when it refreshes it. That must not end in another refresh.
        if !std::mem::take(&mut self.are_outputs_old) || !self.client.shows_content() {
            return Ok(());
        }
        let mut outputs: Vec<String> = self.outputs.borrow().iter().cloned().collect();
        outputs.sort();
        for uri in outputs {
            let id = RequestId::from(format!("refresh-{}", self.next_answer()));
            let method = format!("{}/refresh", TextDocumentContent::METHOD);
            let request = Request::new(id, method, ContentParams { uri });
            connection.sender.send(request.into())?;
        }
        Ok(())
    }

    /// Asks the client to report changes of files that are not open.
    fn watch_files(&self, connection: &Connection) -> Outcome<()> {
        if !self.client.can_watch() {
            return Ok(());
        }
        let globs = [
            "**/*.imgspec",
            "**/*.json",
            "**/imgspec.toml",
            "**/imgspec.lock",
        ];
        let watchers: Vec<Value> = globs
            .iter()
            .map(|glob| json!({ "globPattern": glob }))
            .collect();
        let registration = json!({
            "id": "files",
            "method": DidChangeWatchedFiles::METHOD,
            "registerOptions": { "watchers": watchers },
        });
        let request = Request::new(
            RequestId::from("files".to_owned()),
            RegisterCapability::METHOD.to_owned(),
            json!({ "registrations": [registration] }),
        );
        Ok(connection.sender.send(request.into())?)
    }

    /// Applies a notification. One with wrong parameters changes nothing.
    fn take(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        let _ = match method.as_str() {
            DidOpenTextDocument::METHOD => serde_json::from_value(params).map(|p| self.open(p)),
            DidChangeTextDocument::METHOD => serde_json::from_value(params).map(|p| self.change(p)),
            DidCloseTextDocument::METHOD => serde_json::from_value(params).map(|p| self.close(p)),
            DidChangeWatchedFiles::METHOD => {
                serde_json::from_value(params).map(|p| self.notice_files(p))
            }
            DidChangeWorkspaceFolders::METHOD => {
                serde_json::from_value(params).map(|p| self.change_folders(p))
            }
            _ => Ok(()),
        };
    }

    fn open(&mut self, params: DidOpenTextDocumentParams) {
        // Visual Studio Code closes a document and opens it again to give it another language.
        let address = params.text_document.uri.as_str();
        if address.starts_with(SCHEME) {
            self.outputs.borrow_mut().insert(address.to_owned());
        }
        let Some(path) = path(&params.text_document.uri) else {
            return;
        };
        let is_new = !self.workspace.documents.exists(&path);
        self.workspace
            .documents
            .open(path.clone(), params.text_document);
        self.note(&path, is_new);
    }

    fn change(&mut self, params: DidChangeTextDocumentParams) {
        let VersionedTextDocumentIdentifier { uri, version } = params.text_document;
        let Some(path) = path(&uri) else { return };
        let encoding = self.workspace.encoding;
        self.workspace
            .documents
            .change(&path, version, params.content_changes, encoding);
        self.workspace.note_edit(&path);
        self.are_outputs_old = true;
        // A client on standard input is an editor, in which somebody types.
        if self.writes_text {
            self.pause.begin();
        }
    }

    fn close(&mut self, params: DidCloseTextDocumentParams) {
        let address = params.text_document.uri.as_str();
        if address.starts_with(SCHEME) {
            self.outputs.borrow_mut().remove(address);
        }
        let Some(path) = path(&params.text_document.uri) else {
            return;
        };
        self.workspace.documents.close(&path);
        self.tokens.borrow_mut().remove(&path);
        let is_gone = !self.workspace.documents.exists(&path);
        self.note(&path, is_gone);
    }

    /// Notes a change. A document that is not on the disk begins and ends to exist for the files that include it.
    fn note(&mut self, path: &Path, is_creation_or_deletion: bool) {
        self.are_outputs_old = true;
        if is_creation_or_deletion {
            self.workspace.note_creation_or_deletion(path);
        } else {
            self.workspace.note_change(path);
        }
    }

    fn notice_files(&mut self, params: DidChangeWatchedFilesParams) {
        for event in params.changes {
            if let Some(path) = path(&event.uri) {
                self.note(&path, event.typ != FileChangeType::CHANGED);
            }
        }
    }

    fn change_folders(&mut self, params: DidChangeWorkspaceFoldersParams) {
        let paths =
            |folders: &[WorkspaceFolder]| folders.iter().filter_map(|f| path(&f.uri)).collect();
        let removed: Vec<PathBuf> = paths(&params.event.removed);
        self.workspace
            .change_folders(paths(&params.event.added), &removed);
        self.are_outputs_old = true;
    }
}

/// The request that a client cancels.
fn cancelled(notification: &Notification) -> Option<RequestId> {
    let id = notification.params.get("id").cloned()?;
    serde_json::from_value(id).ok()
}

/// Adds a message to those that wait. Removes a waiting request that the client cancels.
fn receive(
    message: Message,
    inbox: &mut VecDeque<Message>,
    connection: &Connection,
) -> Outcome<()> {
    let id = match &message {
        Message::Notification(notification) if notification.method == Cancel::METHOD => {
            cancelled(notification)
        }
        _ => {
            inbox.push_back(message);
            return Ok(());
        }
    };
    let Some(id) = id else {
        return Ok(());
    };
    let waits =
        |message: &Message| matches!(message, Message::Request(request) if request.id == id);
    if let Some(at) = inbox.iter().position(waits) {
        inbox.remove(at);
        let reply = Response::new_err(
            id,
            ErrorCode::RequestCanceled as i32,
            "the request was cancelled".to_owned(),
        );
        connection.sender.send(reply.into())?;
    } else {
        // The server may have begun to work on it.
        inbox.push_back(message);
    }
    Ok(())
}
