//! The protocol's base layer on standard input and output.
//!
//! A message that is not valid gets an error, and the next one is read as usual: one mistake of an editor does not end
//! the server.

use lsp_server::{Connection, ErrorCode, Message, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, BufRead, Read, Write};
use std::thread::{JoinHandle, spawn};

/// The thread that writes. It ends when the server's side of the connection is dropped.
pub(super) struct Writer(JoinHandle<io::Result<()>>);

impl Writer {
    /// Waits until everything is written.
    ///
    /// # Errors
    ///
    /// The client does not read any more.
    pub(super) fn finish(self) -> io::Result<()> {
        self.0
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that writes ended early")))
    }
}

/// Starts a thread that reads and one that writes. The connection ends with the input, or with `exit`.
pub(super) fn stdio() -> (Connection, Writer) {
    let (server, wire) = Connection::memory();
    let Connection { sender, receiver } = wire;
    spawn(move || {
        let mut input = io::stdin().lock();
        while let Ok(Some(body)) = read_frame(&mut input) {
            match parse(&body) {
                Ok(message) => {
                    let is_exit =
                        matches!(&message, Message::Notification(n) if n.method == "exit");
                    if sender.send(message).is_err() || is_exit {
                        break;
                    }
                }
                Err(reply) => drop(write_frame(&mut io::stdout().lock(), &reply)),
            }
        }
    });
    let writer = spawn(move || {
        receiver
            .iter()
            .try_for_each(|message| write_message(message, &mut io::stdout().lock()))
    });
    (server, Writer(writer))
}

/// The bytes of the next message; `None` at the end of the input. Headers without a length are skipped.
fn read_frame(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut length: Option<u64> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        match (text.trim(), length) {
            ("", Some(length)) => {
                // Reading allocates what arrives, so a wrong length takes no memory.
                let mut body = Vec::new();
                input.take(length).read_to_end(&mut body)?;
                return Ok(Some(body));
            }
            (header, _) => {
                let pair = header
                    .split_once(':')
                    .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                length = pair
                    .and_then(|(_, number)| number.trim().parse().ok())
                    .or(length);
            }
        }
    }
}

/// The key of a result that is text already. No result of the protocol has it.
const WRITTEN: &str = "\0written";

/// A result as JSON text, in a message to the writer of [`stdio`]. As a [`Value`], an outline of some megabytes takes seconds.
///
/// # Errors
///
/// The result is not JSON.
pub(super) fn written(result: &impl Serialize) -> serde_json::Result<Value> {
    Ok(json!({ WRITTEN: serde_json::to_string(result)? }))
}

fn write_message(message: Message, output: &mut impl Write) -> io::Result<()> {
    if let Message::Response(Response {
        id,
        response_result: Ok(Value::Object(result)),
    }) = &message
        && let Some(Value::String(text)) = result.get(WRITTEN)
    {
        let id = serde_json::to_string(id)?;
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{text}}}"#);
        return write_body(output, &body);
    }
    message.write(output)
}

fn write_frame(output: &mut impl Write, body: &Value) -> io::Result<()> {
    write_body(output, &body.to_string())
}

fn write_body(output: &mut impl Write, body: &str) -> io::Result<()> {
    write!(output, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    output.flush()
}

/// A message, or the reply to bytes that are not one.
fn parse(body: &[u8]) -> Result<Message, Value> {
    let refusal = |id: &Value, code: ErrorCode, message: String| json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code as i32, "message": message } });
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        refusal(
            &Value::Null,
            ErrorCode::ParseError,
            format!("expected JSON: {e}"),
        )
    })?;
    let id = value.get("id").cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|_| {
        refusal(
            &id,
            ErrorCode::InvalidRequest,
            "expected a request, a notification or a response".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_between_junk_are_read() {
        let mut input =
            "junk\r\n\r\nContent-Type: x\r\ncontent-length: 2\r\n\r\n{}Content-Length: 9\r\n\r\n[1]"
                .as_bytes();
        assert_eq!(read_frame(&mut input).unwrap().unwrap(), b"{}");
        assert_eq!(read_frame(&mut input).unwrap().unwrap(), b"[1]");
        assert!(read_frame(&mut input).unwrap().is_none());
    }

    #[test]
    fn written_results_are_results() {
        let result = json!({ "a": ["\u{0}", 1] });
        let reply = Response::new_ok(7.into(), written(&result).unwrap());
        let mut output = Vec::new();
        write_message(reply.into(), &mut output).unwrap();
        let body = read_frame(&mut &*output).unwrap().unwrap();
        let found: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({ "jsonrpc": "2.0", "id": 7, "result": result });
        assert_eq!(found, expected);
    }

    #[test]
    fn invalid_messages_get_an_error() {
        assert_eq!(parse(b"{").unwrap_err()["error"]["code"], -32700);
        let reply = parse(br#"{ "id": 7, "method": 8 }"#).unwrap_err();
        assert_eq!(
            (&reply["id"], &reply["error"]["code"]),
            (&json!(7), &json!(-32600))
        );
        assert!(parse(br#"{ "jsonrpc": "2.0", "method": "exit" }"#).is_ok());
    }
}
