//! `lsp`: a session of edits and requests; at each pause the server shows what a new server would show.

use super::project::parts;
use imgspec::lsp::{Confinement, serve_on};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

/// The folder of the session. It does not exist: all files are documents of the client.
const FOLDER: &str = "/nowhere/imgspec-session";

/// The most steps of a session, so that a run stays short.
const MOST_STEPS: usize = 16;

/// What is asked of the server, at a place of a document.
const METHODS: [&str; 17] = [
    "textDocument/completion",
    "textDocument/hover",
    "textDocument/signatureHelp",
    "textDocument/definition",
    "textDocument/references",
    "textDocument/prepareRename",
    "textDocument/rename",
    "textDocument/documentSymbol",
    "workspace/symbol",
    "textDocument/documentLink",
    "textDocument/foldingRange",
    "textDocument/inlayHint",
    "textDocument/semanticTokens/full",
    "textDocument/semanticTokens/range",
    "textDocument/formatting",
    "textDocument/rangeFormatting",
    "textDocument/codeAction",
];

/// Runs a session. The parts of the input are documents; the part `steps` has a step on each line:
/// `open NAME`, `close NAME`, `edit NAME START END TEXT`, `ask METHOD NAME AT`, or a message of the protocol in JSON. The
/// server waits after each step for the next, but after one that begins with `+`.
pub fn lsp(data: &[u8]) {
    let text = &*super::text(data);
    let mut documents = BTreeMap::new();
    let mut steps = Vec::new();
    for (name, text) in parts(text) {
        if name == "steps" {
            steps.extend(text.lines());
        } else if is_name(name) {
            documents.insert(name.to_owned(), text.to_owned());
        }
    }
    steps.truncate(MOST_STEPS);
    let mut session = Session {
        texts: documents,
        ..Session::default()
    };
    session.run(&steps);
}

/// Names that are one and the same in every URI.
fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (name.ends_with(".imgspec") || name.ends_with(".json"))
        && !name.starts_with('.')
        && name.chars().all(is_letter)
}

#[derive(Default)]
struct Session {
    /// The texts of all documents, as the client has them.
    texts: BTreeMap<String, String>,
    /// The versions of the open documents.
    open: BTreeMap<String, i64>,
    /// What the server shows, by URI.
    shown: BTreeMap<String, Value>,
    /// The requests that have no answer yet.
    waiting: usize,
    sent: i32,
    /// Whether a document has changed since the last comparison.
    is_changed: bool,
    /// Whether the input contains messages of its own: what the server then shows is not compared.
    is_free: bool,
}

impl Session {
    fn run(&mut self, steps: &[&str]) {
        let (server, client) = Connection::memory();
        let state = RefCell::new((self, Some(client), VecDeque::from_iter(steps)));
        {
            let state = state.borrow();
            start(state.1.as_ref().expect("a client"));
        }
        let mut when_idle = || {
            let mut state = state.borrow_mut();
            let (session, client, steps) = &mut *state;
            let Some(connected) = client else { return };
            session.receive(connected);
            if std::mem::take(&mut session.is_changed) {
                session.compare();
            }
            let (mut sent, mut is_together) = (0, false);
            while sent == 0 || is_together {
                let Some(step) = steps.pop_front() else { break };
                let rest = step.strip_prefix("+ ");
                is_together = rest.is_some();
                sent += session.step(rest.unwrap_or(step), connected);
            }
            if sent == 0 {
                assert_eq!(session.waiting, 0, "requests without an answer");
                *client = None;
            }
        };
        let served = serve_on(&server, Confinement::Off, &mut when_idle);
        assert!(served.is_ok(), "{served:?}");
    }

    /// Does a step, and returns how many messages it sends.
    fn step(&mut self, step: &str, client: &Connection) -> usize {
        let mut words = step.splitn(5, ' ');
        let message = match (words.next(), words.next()) {
            (Some("open"), Some(name)) => self.open(name),
            (Some("close"), Some(name)) => self.close(name),
            (Some("edit"), Some(name)) => self.edit(name, words),
            (Some("ask"), Some(number)) => self.ask(number, words),
            _ if step.starts_with('{') => self.message(step),
            _ => None,
        };
        let Some(message) = message else { return 0 };
        match message {
            Message::Request(_) => self.waiting += 1,
            _ => self.is_changed = true,
        }
        client.sender.send(message).expect("the server listens");
        1
    }

    fn open(&mut self, name: &str) -> Option<Message> {
        let text = self.texts.get(name)?;
        if self.open.contains_key(name) {
            return None;
        }
        self.open.insert(name.to_owned(), 1);
        let language = name.rsplit('.').next();
        let document =
            json!({ "uri": uri(name), "languageId": language, "version": 1, "text": text });
        tell("textDocument/didOpen", json!({ "textDocument": document }))
    }

    fn close(&mut self, name: &str) -> Option<Message> {
        self.open.remove(name)?;
        tell(
            "textDocument/didClose",
            json!({ "textDocument": { "uri": uri(name) } }),
        )
    }

    fn edit<'w>(
        &mut self,
        name: &str,
        mut words: impl Iterator<Item = &'w str>,
    ) -> Option<Message> {
        let version = self.open.get_mut(name)?;
        let text = self.texts.get_mut(name)?;
        *version += 1;
        let mut place = || -> Option<usize> {
            let at: usize = words.next()?.parse().ok()?;
            Some(floor_boundary(text, at % (text.len() + 1)))
        };
        let (start, end) = (place()?, place()?);
        let (start, end) = (start.min(end), start.max(end));
        let new = words.collect::<Vec<_>>().join(" ").replace("\\n", "\n");
        let range = json!({ "start": position(text, start), "end": position(text, end) });
        text.replace_range(start..end, &new);
        let document = json!({ "uri": uri(name), "version": *version });
        tell(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": [{ "range": range, "text": new }] }),
        )
    }

    fn ask<'w>(
        &mut self,
        number: &str,
        mut words: impl Iterator<Item = &'w str>,
    ) -> Option<Message> {
        let method = METHODS[number.parse::<usize>().ok()? % METHODS.len()];
        let name = words.next()?;
        let text = self.texts.get(name)?;
        let at: usize = words.next()?.parse().ok()?;
        let at = position(text, floor_boundary(text, at % (text.len() + 1)));
        let params = json!({
            "textDocument": { "uri": uri(name) },
            "position": at,
            "range": { "start": { "line": 0, "character": 0 }, "end": at },
            "context": { "diagnostics": [], "includeDeclaration": true, "triggerKind": 1, "isRetrigger": false },
            "options": { "tabSize": 4, "insertSpaces": true },
            "newName": "other", "query": "a",
        });
        self.sent += 1;
        Some(Request::new(self.sent.into(), method.to_owned(), params).into())
    }

    fn message(&mut self, step: &str) -> Option<Message> {
        let message: Message = serde_json::from_str(step).ok()?;
        self.is_free = true;
        match &message {
            // Their answers are counted, so each needs an id of its own; `initialize` is over.
            Message::Request(request) => {
                self.sent += 1;
                let (method, params) = (request.method.clone(), request.params.clone());
                Some(Request::new(self.sent.into(), method, params).into())
            }
            // `exit` ends the session before its last answers.
            Message::Notification(told) if told.method == "exit" => None,
            _ => Some(message),
        }
    }

    fn receive(&mut self, client: &Connection) {
        while let Ok(message) = client.receiver.try_recv() {
            match message {
                Message::Response(Response {
                    id,
                    response_result,
                }) => {
                    if id != 0.into() {
                        self.waiting -= 1;
                    }
                    if let Err(error) = response_result {
                        assert_ne!(error.code, ErrorCode::InternalError as i32, "{error:?}");
                    }
                }
                Message::Notification(told) if told.method == "textDocument/publishDiagnostics" => {
                    let uri = told.params["uri"].as_str().unwrap_or_default().to_owned();
                    self.shown.insert(uri, told.params["diagnostics"].clone());
                }
                _ => {}
            }
        }
    }

    /// Compares what the server shows with what a new server shows of the same documents.
    fn compare(&self) {
        if self.is_free || self.open.is_empty() {
            return;
        }
        let mut fresh = Session {
            texts: self.texts.clone(),
            is_free: true,
            ..Session::default()
        };
        let steps: Vec<String> = self
            .open
            .keys()
            .map(|name| format!("open {name}"))
            .collect();
        fresh.run(&steps.iter().map(String::as_str).collect::<Vec<_>>());
        for name in self.open.keys() {
            // A server that has shown nothing yet need not say that there is nothing.
            let shown = |session: &Session| {
                let found = session.shown.get(&uri(name)).cloned();
                found.filter(|found| found.as_array().is_none_or(|all| !all.is_empty()))
            };
            assert_eq!(shown(self), shown(&fresh), "{name}: {:?}", self.texts);
        }
    }
}

fn start(client: &Connection) {
    let capabilities = json!({
        "textDocument": {
            "completion": { "completionItem": { "snippetSupport": true } },
            "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": ["quickfix", "refactor"] } } },
            "documentSymbol": { "hierarchicalDocumentSymbolSupport": true },
            "publishDiagnostics": { "relatedInformation": true, "tagSupport": { "valueSet": [1, 2] } },
        },
    });
    let params = json!({ "processId": null, "rootUri": format!("file://{FOLDER}"), "capabilities": capabilities });
    let messages: [Message; 2] = [
        Request::new(0.into(), "initialize".to_owned(), params).into(),
        Notification::new("initialized".to_owned(), json!({})).into(),
    ];
    for message in messages {
        client.sender.send(message).expect("the server listens");
    }
}

fn tell(method: &str, params: Value) -> Option<Message> {
    Some(Notification::new(method.to_owned(), params).into())
}

fn uri(name: &str) -> String {
    format!("file://{FOLDER}/{name}")
}

/// The place of an offset, as the protocol has it; columns count UTF-16.
fn position(text: &str, offset: usize) -> Value {
    let before = &text[..offset];
    let line = before.matches('\n').count();
    let last = before.rsplit('\n').next().unwrap_or_default();
    json!({ "line": line, "character": last.encode_utf16().count() })
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
