//! JSON as Packer reads it (Go's `encoding/json`, which is strict), and explanations of common mistakes.

use crate::source::{MAX_ENTRIES, part};
use jsonc_parser::ParseStringErrorKind;
use jsonc_parser::ast::{ObjectProp, ObjectPropName, Value as Node};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::{ParseError, ParseErrorKind as Kind};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use smol_str::SmolStr;
use std::ops::Range;

/// The reason why a text is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The byte range of the mistake.
    pub range: Range<usize>,
    /// The message of the diagnostic.
    pub message: String,
    /// The help of the diagnostic.
    pub help: Option<&'static str>,
    /// The title of the fix, the byte range to replace, and its new text.
    pub fix: Option<(&'static str, Range<usize>, String)>,
}

impl JsonError {
    fn new(range: Range<usize>, message: impl Into<String>) -> JsonError {
        JsonError {
            range,
            message: message.into(),
            help: None,
            fix: None,
        }
    }

    fn help(self, help: &'static str) -> JsonError {
        JsonError {
            help: Some(help),
            ..self
        }
    }

    fn fix(self, title: &'static str, range: Range<usize>, text: impl Into<String>) -> JsonError {
        JsonError {
            fix: Some((title, range, text.into())),
            ..self
        }
    }
}

/// The content of a JSON text.
#[derive(Debug)]
pub enum Parsed {
    /// An empty text.
    Nothing,
    /// An object, with its entries in order.
    Object(Vec<Property>),
    /// Any other JSON value.
    Other,
}

/// An entry of an object. The ranges are in bytes.
#[derive(Debug)]
pub struct Property {
    /// The name, without escapes.
    pub name: String,
    /// The range of the name, with its quotes.
    pub name_range: Range<usize>,
    /// The value.
    pub value: PropertyValue,
    /// The range of the value.
    pub range: Range<usize>,
}

/// The value of an entry.
#[derive(Debug)]
pub enum PropertyValue {
    /// A string. `null` is an empty string.
    Text(String),
    /// Any other value: its kind with an article, such as "a list".
    Other(&'static str),
}

/// Parses a JSON text.
///
/// # Errors
/// The first mistake in the text.
pub fn parse_json(text: &str) -> Result<Parsed, JsonError> {
    Ok(match parse_strict(text)? {
        None => Parsed::Nothing,
        Some(Node::Object(object)) => {
            Parsed::Object(object.properties.into_iter().map(property).collect())
        }
        Some(_) => Parsed::Other,
    })
}

fn property(property: ObjectProp<'_>) -> Property {
    let place = |range: jsonc_parser::common::Range| range.start..range.end;
    let (name, name_range) = match property.name {
        ObjectPropName::String(name) => (name.value.into_owned(), place(name.range)),
        ObjectPropName::Word(name) => (name.value.to_owned(), place(name.range)),
    };
    let range = place(property.value.range());
    let value = match property.value {
        Node::StringLit(text) => PropertyValue::Text(text.value.into_owned()),
        Node::NullKeyword(_) => PropertyValue::Text(String::new()),
        Node::BooleanLit(_) => PropertyValue::Other("a bool"),
        Node::NumberLit(_) => PropertyValue::Other("a number"),
        Node::Array(_) => PropertyValue::Other("a list"),
        Node::Object(_) => PropertyValue::Other("an object"),
    };
    Property {
        name,
        name_range,
        value,
        range,
    }
}

fn parse_strict(text: &str) -> Result<Option<Node<'_>>, JsonError> {
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    if text.starts_with('\u{feff}') {
        let mark = 0..'\u{feff}'.len_utf8();
        return Err(JsonError::new(
            mark.clone(),
            "unexpected byte order mark, which Packer does not accept",
        )
        .help("save the file as UTF-8 without a byte order mark")
        .fix("remove the byte order mark", mark, ""));
    }
    if memchr::memchr_iter(b',', text.as_bytes())
        .nth(MAX_ENTRIES)
        .is_some()
    {
        let message = format!("this file has more than {MAX_ENTRIES} entries");
        return Err(JsonError::new(0..0, message).help("split it into several files"));
    }
    match parse_to_ast(text, &CollectOptions::default(), &strict) {
        Ok(parsed) => match find_unaccepted(text) {
            Some((at, c, is_string)) => Err(unaccepted(at, c, is_string)),
            None => match parsed.value.as_ref().and_then(find_too_large) {
                Some(range) => Err(JsonError::new(range, "this number is too large for Packer")
                    .help("a variable's value is a string: put it in quotes")),
                None => Ok(parsed.value),
            },
        },
        Err(error) => Err(explain(text, &error)),
    }
}

/// Returns the place of a number that a 64-bit float, which Go makes of it, cannot hold.
fn find_too_large(value: &Node<'_>) -> Option<Range<usize>> {
    let mut nodes = vec![value];
    while let Some(node) = nodes.pop() {
        match node {
            Node::NumberLit(number) if !number.value.parse().is_ok_and(f64::is_finite) => {
                return Some(number.range.start..number.range.end);
            }
            Node::Array(list) => nodes.extend(&list.elements),
            Node::Object(object) => {
                nodes.extend(object.properties.iter().map(|property| &property.value));
            }
            _ => {}
        }
    }
    None
}

/// Returns a character that the parser accepts and Packer does not, with its offset and whether it is in a string: a control
/// character in a string, or whitespace other than JSON's between the tokens. `text` is valid JSON otherwise.
fn find_unaccepted(text: &str) -> Option<(usize, char, bool)> {
    let (mut is_string, mut is_escaped) = (false, false);
    text.char_indices().find_map(|(at, c)| {
        let was_escaped = is_escaped;
        is_escaped = is_string && c == '\\' && !was_escaped;
        if c == '"' && !was_escaped {
            is_string = !is_string;
        }
        let is_accepted = match c {
            ' ' => true,
            '\n' | '\r' | '\t' => !is_string,
            c if is_string => c >= ' ',
            c => !c.is_whitespace(),
        };
        (!is_accepted).then_some((at, c, is_string))
    })
}

fn unaccepted(at: usize, c: char, is_string: bool) -> JsonError {
    let range = at..at + c.len_utf8();
    if is_string {
        return JsonError::new(range, "a JSON string cannot contain a line break or tab")
            .help("write `\\n` or `\\t`");
    }
    let message = format!("U+{:04X} is not whitespace in JSON", u32::from(c));
    JsonError::new(range.clone(), message).fix("replace it with a space", range, " ")
}

/// Explains the parser's error by the text at its place.
fn explain(text: &str, error: &ParseError) -> JsonError {
    let (start, end) = (
        error.range().start.min(text.len()),
        error.range().end.min(text.len()),
    );
    let rest = text.get(start..).unwrap_or_default();
    let range = start..end.max(start + rest.chars().next().map_or(0, char::len_utf8));
    let first_line = rest.lines().next().unwrap_or_default();
    if rest.starts_with(['#', '/']) {
        return comment(text, start, rest);
    }
    let is_end = rest.trim().is_empty() && text.trim_start().starts_with('{');
    if is_end
        && !matches!(
            error.kind(),
            Kind::UnterminatedObject | Kind::UnterminatedArray | Kind::String(_)
        )
    {
        let written = text.trim_end();
        let range = written.char_indices().next_back().map_or(0, |(at, _)| at)..written.len();
        return JsonError::new(range, "the file ends inside an object");
    }
    let first = text.trim_start();
    if !first.starts_with(['{', '[', '"', '\'']) {
        let at = text.len() - first.len();
        let length = first.chars().next().map_or(0, char::len_utf8);
        return JsonError::new(
            at..at + length,
            "expected `{` at the start of a var file",
        )
        .help("write `{ \"name\": \"value\" }`, or convert YAML or HCL to JSON, for example with `yq -o json`");
    }
    match error.kind() {
        Kind::TrailingCommasNotAllowed | Kind::ExpectedObjectValue if rest.starts_with(',') => {
            JsonError::new(start..start + 1, "unexpected comma after the last entry").fix(
                "remove the comma",
                start..start + 1,
                "",
            )
        }
        Kind::TrailingCommasNotAllowed => {
            JsonError::new(range, "unexpected comma after the last entry").help("remove the comma")
        }
        Kind::SingleQuotedStringsNotAllowed => single_quoted(start, rest, range),
        Kind::ExpectedComma if first_line.is_empty() => {
            JsonError::new(range, "expected a comma").fix("insert a comma", start..start, ",")
        }
        Kind::ExpectedComma => JsonError::new(range, "expected a comma between two entries"),
        Kind::UnexpectedTokenInObject if rest.starts_with(',') => JsonError::new(
            start..start + 1,
            "unexpected comma",
        )
        .fix("remove the comma", start..start + 1, ""),
        _ if rest.starts_with('=') => JsonError::new(
            start..start + 1,
            "expected a colon between the name and the value",
        )
        .fix("replace it with a colon", start..start + 1, ":"),
        _ if rest.starts_with(';') => JsonError::new(
            start..start + 1,
            "expected a comma between two entries",
        )
        .fix("replace it with a comma", start..start + 1, ","),
        _ if rest.starts_with(['“', '”', '„', '‘', '’']) => {
            JsonError::new(range, "unexpected typographic quote: JSON uses `\"`")
        }
        Kind::ExpectedStringObjectProperty | Kind::UnexpectedWord => word(start, rest, range),
        Kind::UnterminatedObject => {
            JsonError::new(range, "this `{` has no closing `}`").help("add `}` at the end")
        }
        Kind::UnterminatedArray => JsonError::new(range, "this `[` has no closing `]`"),
        Kind::String(ParseStringErrorKind::UnterminatedStringLiteral) => JsonError::new(
            start..start + first_line.len(),
            "this string has no closing `\"`",
        ),
        Kind::String(_) => JsonError::new(range, "unknown escape in a JSON string")
            .help("write `\\\\` for a backslash"),
        Kind::MultipleRootJsonValues => JsonError::new(
            range,
            "a var file must be one JSON object, but another one starts here",
        )
        .help("join the two objects"),
        Kind::UnexpectedCloseBrace => JsonError::new(range, "expected a value before this `}`"),
        kind => {
            let mut message = kind.to_string();
            message
                .get_mut(..1)
                .into_iter()
                .for_each(|first| first.make_ascii_lowercase());
            JsonError::new(range, format!("invalid JSON: {message}"))
        }
    }
}

fn comment(text: &str, start: usize, rest: &str) -> JsonError {
    let length = match rest.strip_prefix("/*").and_then(|inner| inner.find("*/")) {
        Some(at) => at + 4,
        None => rest.find(['\n', '\r']).unwrap_or(rest.len()),
    };
    let before = part(text, ..start).trim_end_matches([' ', '\t']).len();
    JsonError::new(start..start + length, "comments are not allowed in JSON")
        .help("remove it, or convert the file to a spec with `imgspec import`: a spec can contain comments")
        .fix("remove the comment", before..start + length, "")
}

fn single_quoted(start: usize, rest: &str, range: Range<usize>) -> JsonError {
    let message = "expected double quotes around a JSON string";
    let inner = rest
        .strip_prefix('\'')
        .and_then(|inner| inner.split_once('\''));
    match inner.filter(|(inner, _)| !inner.contains(['\\', '\n'])) {
        Some((inner, _)) => {
            let whole = start..start + inner.len() + 2;
            let text = serde_json::Value::from(inner).to_string();
            JsonError::new(whole.clone(), message).fix("use double quotes", whole, text)
        }
        None => JsonError::new(range, message).help("write `\"…\"`"),
    }
}

/// Explains a word without quotes.
fn word(start: usize, rest: &str, range: Range<usize>) -> JsonError {
    let is_word = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let word = part(rest, ..rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
    if word.is_empty() {
        return JsonError::new(range, "expected a name or a value in double quotes");
    }
    let text = match word {
        "True" | "TRUE" => "\"true\"".to_owned(),
        "False" | "FALSE" => "\"false\"".to_owned(),
        "None" | "nil" | "Null" | "NULL" => "\"\"".to_owned(),
        word => serde_json::Value::from(word).to_string(),
    };
    JsonError::new(
        start..start + word.len(),
        format!("expected quotes around `{word}`"),
    )
    .fix("replace it with a string", start..start + word.len(), text)
}

/// Returns the names and byte ranges of an object's entries, or of the entries under the key `below`.
pub fn entries_of(text: &str, below: Option<&str>) -> Vec<(SmolStr, Range<usize>)> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let mut value = parsed.ok().and_then(|parsed| parsed.value);
    if let Some(key) = below {
        value = match value {
            Some(Node::Object(object)) => {
                let mut properties = object.properties.into_iter();
                properties
                    .rfind(|property| property.name.as_str() == key)
                    .map(|property| property.value)
            }
            _ => None,
        };
    }
    let Some(Node::Object(object)) = value else {
        return Vec::new();
    };
    let entry = |property: &ObjectProp<'_>| {
        (
            SmolStr::new(property.name.as_str()),
            property.range.start..property.range.end,
        )
    };
    object.properties.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_people_write_instead_of_json() {
        for (text, at, message) in [
            (
                "{ \"a\": \"4096\" # MiB\n}",
                "# MiB",
                "comments are not allowed in JSON",
            ),
            (
                "{ \"a\": \"1\", // x\n \"b\": \"2\" }",
                "// x",
                "comments are not allowed in JSON",
            ),
            ("/* x */ { }", "/* x */", "comments are not allowed in JSON"),
            (
                "{ \"a\": \"1\", }",
                ",",
                "unexpected comma after the last entry",
            ),
            ("{ 'a': \"1\" }", "'a'", "double quotes"),
            ("{ a: \"1\" }", "a", "expected quotes around `a`"),
            ("{ \"a\": True }", "True", "expected quotes around `True`"),
            ("{ \"a\" = \"1\" }", "=", "a colon"),
            ("{ \"a\": \"1\"; \"b\": \"2\" }", ";", "a comma"),
            ("{ \"a\": \"1\",, \"b\": \"2\" }", ",", "unexpected comma"),
            ("{ \"a\": \"1\"\n \"b\": \"2\" }", "\n", "expected a comma"),
            ("{ \"a\": \"1\"", "{", "has no closing `}`"),
            ("{ \"a\": \"1 }", "\"1 }", "no closing"),
            ("{ \"a\": \"\\q\" }", "\\", "unknown escape"),
            ("{ \"a\": \"\t\" }", "\t", "a line break or tab"),
            (
                "{ \"a\":\u{b}\"\u{a0}\" }",
                "\u{b}",
                "U+000B is not whitespace",
            ),
            ("{\u{a0}}", "\u{a0}", "U+00A0 is not whitespace"),
            ("{ } { }", "{", "one JSON object"),
            ("a: 1", "a", "expected `{` at the start"),
            ("a = \"1\"", "a", "expected `{` at the start"),
            ("---\na: 1", "-", "expected `{` at the start"),
            ("\u{feff}{ }", "\u{feff}", "byte order mark"),
            ("{ \"a\": “1” }", "“", "typographic"),
            ("{ \"a\": }", "}", "expected a value"),
        ] {
            let error = parse_json(text).expect_err(text);
            assert!(error.message.contains(message), "{text}: {}", error.message);
            assert!(
                part(text, error.range.clone()).starts_with(at),
                "{text}: {:?}",
                error.range
            );
        }
        assert!(parse_json("{ \"a\": \"\\\" # \\t\" }").is_ok());
    }
}
