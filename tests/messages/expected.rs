//! The diagnostics in the expected outputs of all tests.

use crate::calls::Text;
use crate::common::{entries, root};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Returns the code and the message of each diagnostic.
pub fn messages() -> BTreeSet<(String, String)> {
    let line = Regex::new(r"(?m)(?:error|warning|note)\[([a-z-]+)\]: (.*)$").unwrap();
    let mut out = BTreeSet::new();
    read(&root().join("tests"), &line, &mut out);
    assert!(
        out.len() > 100,
        "only {} diagnostics are expected",
        out.len()
    );
    out
}

fn read(folder: &Path, line: &Regex, out: &mut BTreeSet<(String, String)>) {
    for path in entries(folder) {
        if path.is_dir() {
            read(&path, line, out);
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("txt" | "expected")) {
            let text = std::fs::read_to_string(&path).unwrap();
            for found in line.captures_iter(&text) {
                out.insert((found[1].to_owned(), found[2].trim_end().to_owned()));
            }
        } else if path.file_name().is_some_and(|name| name == "expected.json") {
            let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            read_json(&json, out);
        }
    }
}

/// Reads the diagnostics of the language server.
fn read_json(json: &Value, out: &mut BTreeSet<(String, String)>) {
    match json {
        Value::Array(elements) => elements.iter().for_each(|element| read_json(element, out)),
        Value::Object(map) => {
            if let (Some(code), Some(message)) = (map.get("code"), map.get("message"))
                && let (Some(code), Some(message)) = (code.as_str(), message.as_str())
            {
                let first = message.lines().next().unwrap_or_default();
                out.insert((code.to_owned(), first.to_owned()));
            }
            map.values().for_each(|value| read_json(value, out));
        }
        _ => {}
    }
}

/// Whether an expected diagnostic has the text as its message, or contains it if the text is a part of a message.
pub fn covers(expected: &BTreeSet<(String, String)>, text: &Text) -> bool {
    let pattern = pattern(text);
    expected.iter().any(|(code, message)| {
        text.code.as_ref().is_none_or(|wanted| wanted == code) && pattern.is_match(message)
    })
}

/// Returns the pattern of a `format!` string: each hole matches anything.
fn pattern(text: &Text) -> Regex {
    let mut out = String::new();
    let mut rest = text.format.as_str();
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        out.push_str(&regex::escape(before));
        if !text.is_format || from.starts_with("{{") || from.starts_with("}}") {
            out.push_str(&regex::escape(&from[..1]));
            rest = &from[if text.is_format { 2 } else { 1 }..];
        } else {
            out.push_str(".*");
            rest = &from[from.find('}').unwrap() + 1..];
        }
    }
    out.push_str(&regex::escape(rest));
    if text.is_part {
        Regex::new(&out).unwrap()
    } else {
        Regex::new(&format!("^{out}$")).unwrap()
    }
}
