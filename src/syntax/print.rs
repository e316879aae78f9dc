//! Strings and names in the syntax of a spec: the inverse of [`crate::syntax::parse`].

use crate::source::is_unseen;
use std::fmt::Write;

/// Prints a string: in single quotes if this avoids escapes, otherwise in double quotes.
pub fn print_text(text: &str) -> String {
    let has_escapes = text.contains(['"', '\\']) || text.contains("${");
    if has_escapes
        && !text.contains('\'')
        && !text.contains(|c| matches!(c, '\n' | '\t') || is_unseen(c))
    {
        format!("'{text}'")
    } else {
        format!("\"{}\"", escape(text))
    }
}

/// Prints the key of a map: in quotes unless it is a word.
pub fn print_key(key: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_plain =
        key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && key.chars().all(is_word);
    if is_plain {
        key.to_owned()
    } else {
        print_text(key)
    }
}

/// Escapes a text for use between double quotes.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_texts_are_escaped_and_plain_ones_are_not() {
        assert_eq!(print_text("a b"), "\"a b\"");
        assert_eq!(print_text("${x}"), "'${x}'");
        assert_eq!(print_text("it's \"${x}\""), "\"it's \\\"\\${x}\\\"\"");
        assert_eq!(print_text("\"\u{1b}[1m"), "\"\\\"\\u{1b}[1m\"");
        assert_eq!(print_text("\u{1}\n\u{202e}"), "\"\\u{1}\\n\\u{202e}\"");
        assert_eq!(print_key("a_1"), "a_1");
        assert_eq!(print_key("a-1"), "\"a-1\"");
        assert_eq!(print_key(""), "\"\"");
    }
}
