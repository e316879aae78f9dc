//! Values as one writes them in a spec.

use crate::schema::Value;
use crate::schema::braces::{Braced, parse_braces};
use crate::source::is_unseen;
use std::fmt::Write;

/// A value that is all known.
pub fn spell_value(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => spell_text(&text.known().unwrap_or_default()),
        Value::List(elements) => {
            let elements: Vec<String> = elements.iter().map(spell_value).collect();
            spell_elements(&elements, '[', ']')
        }
        Value::Map(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{} = {}", spell_key(key), spell_value(value)))
                .collect();
            match pairs.is_empty() {
                true => "{}".to_owned(),
                false => spell_elements(&pairs, '{', '}'),
            }
        }
    }
}

/// Elements on one line where they are few, else one a line.
fn spell_elements(elements: &[String], open: char, close: char) -> String {
    let pad = if open == '{' { " " } else { "" };
    let line = format!("{open}{pad}{}{pad}{close}", elements.join(", "));
    if line.len() <= 90 {
        return line;
    }
    let mut out = format!("{open}\n");
    for element in elements {
        let _ = writeln!(out, "    {element},");
    }
    out.push(close);
    out
}

/// A name where any text may be one: in quotes unless it is a word.
pub fn spell_key(key: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && key.chars().all(is_word);
    if is_plain { key.to_owned() } else { spell_text(key) }
}

/// A text as a string: raw where that spares escapes.
pub fn spell_text(text: &str) -> String {
    let has_escapes = text.contains(['"', '\\']) || text.contains("${");
    match has_escapes && !text.contains('\'') && !text.contains(|c| c == '\n' || c == '\t' || is_unseen(c)) {
        true => format!("'{text}'"),
        false => format!("\"{}\"", escape(text)),
    }
}

/// The inside of a `"…"` string.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '$' if chars.peek() == Some(&'{') => out.push_str("\\$"),
            c if is_unseen(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// A text with Packer's templates in it. `{{user `x`}}` becomes `${x}` where `is_plain` says that both are the
/// same text, and a lone `{{env `X`}}` becomes `env("X")`.
pub fn spell_template(text: &str, is_plain: impl Fn(&str) -> bool) -> String {
    let pieces: Vec<Braced<'_>> = parse_braces(text).into_iter().map(|(_, piece)| piece).collect();
    match &pieces[..] {
        [Braced::Env(name)] => return format!("env({})", spell_text(name)),
        [Braced::User(name)] if is_plain(name) => return (*name).to_owned(),
        pieces if !pieces.iter().any(|p| matches!(p, Braced::User(name) if is_plain(name))) => {
            return spell_text(text);
        }
        _ => {}
    }
    format!("\"{}\"", spell_braces(text, is_plain))
}

/// The inside of a `"…"` string for a text with Packer's templates in it; see [`spell_template`].
pub fn spell_braces(text: &str, is_plain: impl Fn(&str) -> bool) -> String {
    let mut out = String::new();
    for (_, piece) in parse_braces(text) {
        match piece {
            Braced::User(name) if is_plain(name) => {
                let _ = write!(out, "${{{name}}}");
            }
            Braced::User(name) => {
                let _ = write!(out, "{{{{user `{name}`}}}}");
            }
            Braced::Env(name) => {
                let _ = write!(out, "{{{{env `{name}`}}}}");
            }
            Braced::Text(text) | Braced::Other(text, _) | Braced::Bad(text, _) => out.push_str(&escape(text)),
        }
    }
    out
}

/// A text of several lines as a raw heredoc, indented for the body of an item.
pub fn spell_heredoc(word: &str, text: &str) -> Option<String> {
    let fits = text.ends_with('\n')
        && !text.contains('\r')
        && !text.starts_with([' ', '\t'])
        && text.lines().all(|line| line.trim() != word && (line.is_empty() || !line.trim().is_empty()));
    if !fits {
        return None;
    }
    let mut out = format!("<<'{word}'\n");
    for line in text.lines() {
        out.push_str(&if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") });
    }
    let _ = write!(out, "    {word}");
    Some(out)
}
