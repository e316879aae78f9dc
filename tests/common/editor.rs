//! An editor's side of the language server: the wire, and the documents that lie open.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

/// How long a test waits for a message: a wait for one that never comes fails.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// A client of the real program.
pub struct Client {
    pub server: Child,
    pub input: ChildStdin,
    output: Receiver<(Instant, Value)>,
    sent: u64,
    /// What the server has said by itself since it was last asked.
    pub published: Vec<Value>,
    /// When the last byte of the last message was read.
    pub arrival: Instant,
}

impl Client {
    pub fn start(folder: &Path) -> Client {
        let mut command = super::imgspec(folder);
        command.env("IMGSPEC_CACHE", folder.join(".cache"));
        Client::start_with(command, folder)
    }

    /// Starts a program that has the subcommand `lsp`, with the environment of its command.
    pub fn start_with(command: Command, folder: &Path) -> Client {
        Client::start_able(command, folder, &Value::Null)
    }

    /// The same for a client with further capabilities, each below its JSON pointer, and `options`.
    pub fn start_able(mut command: Command, folder: &Path, further: &Value) -> Client {
        command
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let input = server.stdin.take().unwrap();
        let mut pipe = BufReader::new(server.stdout.take().unwrap());
        let (sender, output) = channel();
        spawn(move || {
            while let Some(message) = read_message(&mut pipe) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut client = Client {
            server,
            input,
            output,
            sent: 0,
            published: Vec::new(),
            arrival: Instant::now(),
        };
        let root = format!("file://{}", folder.display());
        let mut capabilities = json!({
            "workspace": {
                "didChangeWatchedFiles": { "dynamicRegistration": true },
                "workspaceEdit": { "resourceOperations": ["create"] },
            },
            "textDocument": {
                "hover": { "contentFormat": ["markdown"] },
                "completion": { "completionItem": { "snippetSupport": true, "documentationFormat": ["markdown"] } },
                "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": ["quickfix", "refactor"] } } },
                "documentSymbol": { "hierarchicalDocumentSymbolSupport": true },
                "signatureHelp": { "signatureInformation": { "parameterInformation": { "labelOffsetSupport": true } } },
                "publishDiagnostics": { "relatedInformation": true, "tagSupport": { "valueSet": [1, 2] } },
            },
        });
        for (pointer, able) in further.as_object().into_iter().flatten() {
            let Some((parent, name)) = pointer.rsplit_once('/') else {
                continue;
            };
            capabilities.pointer_mut(parent).unwrap()[name] = able.clone();
        }
        client.ask(
            "initialize",
            json!({ "processId": null, "rootUri": root, "capabilities": capabilities,
                "initializationOptions": further["options"] }),
        );
        client.tell("initialized", json!({}));
        let mut messages = std::iter::repeat_with(|| client.receive());
        let watch = messages
            .find(|message| message["method"] == "client/registerCapability")
            .unwrap();
        client.send(&json!({ "jsonrpc": "2.0", "id": watch["id"], "result": null }).to_string());
        client
    }

    pub fn send(&mut self, message: &str) {
        write!(
            self.input,
            "Content-Length: {}\r\n\r\n{message}",
            message.len()
        )
        .unwrap();
        self.input.flush().unwrap();
    }

    pub fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    /// Asks, and gives the result or the error.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        self.send(
            &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string(),
        );
        loop {
            let message = self.receive();
            if message["id"] == id {
                return message
                    .get("result")
                    .or(message.get("error"))
                    .cloned()
                    .unwrap_or_default();
            }
            self.published.push(message);
        }
    }

    /// Waits for what is said of a document, at a version if one is given.
    pub fn wait_for(&mut self, uri: &str, version: Option<i64>) -> Value {
        self.wait_until(uri, &|found| {
            version.is_none_or(|version| found["version"] == version)
        })
    }

    /// Waits until what is said of a document is as one wants it.
    pub fn wait_until(&mut self, uri: &str, is_right: &dyn Fn(&Value) -> bool) -> Value {
        let is_it = |m: &Value| m["params"]["uri"] == uri && is_right(&m["params"]);
        loop {
            if let Some(found) = self.published.iter().find(|m| is_it(m)) {
                return found["params"].clone();
            }
            let message = self.receive();
            assert!(message.get("id").is_none(), "nothing was asked: {message}");
            self.published.push(message);
        }
    }

    /// The next message. A server that is silent for long fails the test.
    pub fn receive(&mut self) -> Value {
        let message = self.output.recv_timeout(LONGEST_SILENCE);
        let (arrival, message) = message.expect("the server sends a message");
        self.arrival = arrival;
        message
    }

    /// Ends the session as the protocol asks, and gives the exit code.
    pub fn end(mut self) -> Option<i32> {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.tell("exit", Value::Null);
        self.server.wait().unwrap().code()
    }
}

/// The next message of a server; `None` at the end.
fn read_message(pipe: &mut BufReader<ChildStdout>) -> Option<(Instant, Value)> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if pipe.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some(("Content-Length", n)) => length = n.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut bytes = vec![0; length];
    pipe.read_exact(&mut bytes).ok()?;
    let arrival = Instant::now();
    Some((arrival, serde_json::from_slice(&bytes).unwrap()))
}

/// The open documents of a client, and the one at hand.
pub struct Desk<'f> {
    pub client: Client,
    folder: &'f Path,
    /// Text and version by name.
    pub open: BTreeMap<String, (String, i64)>,
    pub name: String,
}

impl<'f> Desk<'f> {
    pub fn new(client: Client, folder: &'f Path) -> Desk<'f> {
        Desk {
            client,
            folder,
            open: BTreeMap::new(),
            name: String::new(),
        }
    }

    pub fn uri(&self, name: &str) -> String {
        format!("file://{}", self.folder.join(name).display())
    }

    pub fn open(&mut self, name: &str) -> Value {
        self.name = name.to_owned();
        if self.open.contains_key(name) {
            return Value::Null;
        }
        let text = std::fs::read_to_string(self.folder.join(name)).unwrap();
        let language = if name.ends_with(".json") {
            "json"
        } else {
            "imgspec"
        };
        let document =
            json!({ "uri": self.uri(name), "languageId": language, "version": 1, "text": text });
        self.open.insert(name.to_owned(), (text, 1));
        self.client.published.clear();
        self.client
            .tell("textDocument/didOpen", json!({ "textDocument": document }));
        match language {
            "imgspec" => self.client.wait_for(&self.uri(name), Some(1)),
            _ => Value::Null,
        }
    }

    /// Replaces a range of bytes.
    pub fn edit(&mut self, range: Range<usize>, new: &str) {
        let uri = self.uri(&self.name);
        let (text, version) = self.open.get_mut(&self.name).unwrap();
        *version += 1;
        let place =
            json!({ "start": position(text, range.start), "end": position(text, range.end) });
        text.replace_range(range, new);
        let document = json!({ "uri": uri, "version": *version });
        let changes = json!([{ "range": place, "text": new }]);
        self.client.published.clear();
        self.client.tell(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": changes }),
        );
    }

    /// What is found in the document at hand.
    pub fn found(&mut self) -> Value {
        let (uri, version) = (self.uri(&self.name), self.open[&self.name].1);
        self.client.wait_for(&uri, Some(version))
    }

    pub fn ask(&mut self, method: &str, offset: usize, more: &Value) -> Value {
        let at = position(&self.open[&self.name].0, offset);
        let mut params = json!({
            "textDocument": { "uri": self.uri(&self.name) },
            "position": at,
            "positions": [at],
            "range": { "start": at, "end": at },
            "context": { "diagnostics": [], "includeDeclaration": true, "triggerKind": 1 },
            "options": { "tabSize": 4, "insertSpaces": true },
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        self.client.ask(method, params)
    }
}

/// The place of an offset, as the protocol has it; columns count UTF-16.
pub fn position(text: &str, offset: usize) -> Value {
    let before = &text[..offset];
    let line = before.matches('\n').count();
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or("")
        .encode_utf16()
        .count();
    json!({ "line": line, "character": column })
}
