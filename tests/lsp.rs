//! The language server on its wire: a folder a case.
//!
//! `tests/lsp/NAME/` holds a workspace, of which `mine.imgspec` is opened, and `requests.json`: a method and the text
//! at whose end the cursor stands (for completion also how many items are kept); `change` replaces a text by another. What
//! comes back stands in `expected.json`. `IMGSPEC_BLESS=1 cargo test --test lsp` writes it anew.

mod common;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// A client of the real program.
struct Client {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    sent: u64,
    /// What the server has said by itself since it was last asked.
    published: Vec<Value>,
}

impl Client {
    fn start(folder: &Path) -> Client {
        let mut command = common::imgspec(folder);
        command.arg("lsp").stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("IMGSPEC_CACHE", folder.join("cache"));
        let mut server = command.spawn().unwrap();
        let (input, output) = (server.stdin.take().unwrap(), BufReader::new(server.stdout.take().unwrap()));
        let mut client = Client { server, input, output, sent: 0, published: Vec::new() };
        let root = format!("file://{}", folder.display());
        client.ask("initialize", json!({ "processId": null, "rootUri": root, "capabilities": {} }));
        client.tell("initialized", json!({}));
        client
    }

    fn send(&mut self, message: &str) {
        write!(self.input, "Content-Length: {}\r\n\r\n{message}", message.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    /// Asks, and gives the result or the error.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        loop {
            let message = self.receive();
            if message["id"] == id {
                return message.get("result").or(message.get("error")).cloned().unwrap_or_default();
            }
            self.published.push(message);
        }
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server is gone");
            match line.trim().split_once(": ") {
                Some(("Content-Length", n)) => length = n.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut bytes = vec![0; length];
        self.output.read_exact(&mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Ends the session as the protocol asks, and gives the exit code.
    fn end(mut self) -> Option<i32> {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.tell("exit", Value::Null);
        self.server.wait().unwrap().code()
    }
}

/// The place behind a text, as the protocol has it; columns count UTF-16.
fn position(text: &str, behind: &str) -> Value {
    let offset = text.find(behind).map_or(0, |at| at + behind.len());
    let before = &text[..offset];
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").encode_utf16().count();
    json!({ "line": line, "character": column })
}

#[test]
fn requests_are_answered_as_they_should() {
    let bless = std::env::var_os("IMGSPEC_BLESS").is_some();
    for case in common::entries(&common::root().join("tests/lsp")) {
        let copy = tempfile::tempdir().unwrap();
        let folder = copy.path().canonicalize().unwrap();
        for file in common::files(&case, "imgspec") {
            std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
        }
        std::fs::write(folder.join("imgspec.toml"), "").unwrap();
        let found = run_case(&case, &folder);
        let found =
            serde_json::to_string_pretty(&found).unwrap().replace(folder.to_str().unwrap(), "CASE") + "\n";
        let expected = case.join("expected.json");
        if bless {
            std::fs::write(&expected, found).unwrap();
        } else {
            assert_eq!(found, std::fs::read_to_string(&expected).unwrap_or_default(), "{}", case.display());
        }
    }
}

fn run_case(case: &Path, folder: &Path) -> Value {
    let mut client = Client::start(folder);
    let path = folder.join("mine.imgspec");
    let uri = format!("file://{}", path.display());
    let mut text = std::fs::read_to_string(&path).unwrap();
    let open = json!({ "uri": uri, "languageId": "imgspec", "version": 1, "text": text });
    client.tell("textDocument/didOpen", json!({ "textDocument": open }));
    let requests: Value =
        serde_json::from_slice(&std::fs::read(case.join("requests.json")).unwrap()).unwrap();
    let mut out = Vec::new();
    for request in requests.as_array().unwrap() {
        let (method, behind) = (request[0].as_str().unwrap(), request[1].as_str().unwrap());
        let document = json!({ "uri": uri });
        if method == "change" {
            let new = request[2].as_str().unwrap();
            let start = text.find(behind).unwrap();
            let range = json!({ "start": position(&text, &text[..start]), "end": position(&text, &text[..start + behind.len()]) });
            let document = json!({ "uri": uri, "version": 2 });
            client.tell(
                "textDocument/didChange",
                json!({ "textDocument": document, "contentChanges": [{ "range": range, "text": new }] }),
            );
            text.replace_range(start..start + behind.len(), new);
            // A request that has no answer of its own brings in what was published.
            client.published.clear();
            client.ask("textDocument/foldingRange", json!({ "textDocument": document }));
            let published: Vec<Value> =
                client.published.drain(..).map(|message| message["params"].clone()).collect();
            out.push(json!({ "change": new, "published": published }));
            continue;
        }
        let at = position(&text, behind);
        let params = json!({
            "textDocument": document,
            "position": at,
            "range": { "start": at, "end": at },
            "context": { "diagnostics": [], "includeDeclaration": true, "triggerKind": 1 },
            "options": { "tabSize": 4, "insertSpaces": true },
        });
        let mut reply = client.ask(method, params);
        if let (Some(count), Some(items)) = (request[2].as_u64(), reply.as_array_mut()) {
            items.truncate(count as usize);
        }
        out.push(json!({ "method": method, "behind": behind, "reply": reply }));
    }
    assert_eq!(client.end(), Some(0));
    Value::Array(out)
}

/// Every keystroke of an example: the server goes on, and says at the end what `imgspec check` says.
#[test]
fn typing_an_example_ends_in_what_check_says() {
    for example in common::files(&common::root().join("examples"), "imgspec") {
        let copy = tempfile::tempdir().unwrap();
        let folder = copy.path().canonicalize().unwrap();
        for entry in common::entries(&common::root().join("examples")) {
            if entry.is_file() {
                std::fs::copy(&entry, folder.join(entry.file_name().unwrap())).unwrap();
            }
        }
        let name = example.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&example).unwrap();
        let path = folder.join(&name);
        let uri = format!("file://{}", path.display());
        let mut client = Client::start(&folder);
        let open = json!({ "uri": uri, "languageId": "imgspec", "version": 1, "text": "" });
        client.tell("textDocument/didOpen", json!({ "textDocument": open }));
        let mut typed = String::new();
        for (at, c) in text.chars().enumerate() {
            let end = position(&typed, &typed);
            let range = json!({ "start": end, "end": end });
            let change = json!({ "range": range, "text": c.to_string() });
            let document = json!({ "uri": uri, "version": at + 2 });
            client.tell(
                "textDocument/didChange",
                json!({ "textDocument": document, "contentChanges": [change] }),
            );
            typed.push(c);
            let params = json!({ "textDocument": { "uri": uri }, "position": position(&typed, &typed) });
            for method in ["textDocument/completion", "textDocument/hover"] {
                // A sample: not every keystroke asks for everything.
                if at % 7 == 0 {
                    let reply = client.ask(method, params.clone());
                    assert!(reply.get("code").is_none(), "{name}: {method} after {typed:?}: {reply}");
                }
            }
        }
        client.ask("textDocument/foldingRange", json!({ "textDocument": { "uri": uri } }));
        let last = client.published.iter().rev().find(|m| m["params"]["uri"] == uri).unwrap();
        let mut said: Vec<String> = last["params"]["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["code"].as_str().unwrap().to_owned())
            .collect();
        let check = common::run_json(&folder, &["check", &name, "--format", "json"]);
        let mut expected: Vec<String> = check["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["file"] == path.to_str().unwrap())
            .map(|d| d["code"].as_str().unwrap().to_owned())
            .collect();
        said.sort();
        expected.sort();
        assert_eq!(said, expected, "{name}");
        assert_eq!(client.end(), Some(0));
    }
}

/// What is no message of the protocol ends nothing, or ends the server with an exit code of its own.
#[test]
fn the_life_cycle_is_the_protocols() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Client::start(folder.path());
    assert_eq!(client.ask("no/such", json!({}))["code"], -32601);
    assert_eq!(client.ask("textDocument/hover", json!({ "wrong": true }))["code"], -32602);
    client.tell("$/cancelRequest", json!({ "id": 99 }));
    client.tell("textDocument/didChange", json!({ "wrong": true }));
    assert_eq!(client.ask("shutdown", Value::Null), Value::Null);
    assert_eq!(client.ask("textDocument/hover", json!({}))["code"], -32600);
    client.tell("exit", Value::Null);
    assert_eq!(client.server.wait().unwrap().code(), Some(0));

    let mut client = Client::start(folder.path());
    client.tell("exit", Value::Null);
    assert_eq!(client.server.wait().unwrap().code(), Some(1), "nobody had asked for the end");
}
