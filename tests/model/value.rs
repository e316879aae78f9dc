//! Values, and the strings in JSON and in arguments that they are decoded from.

use super::language::{Encoding, Type};
use std::cmp::Ordering;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true`
    Bool(bool),
    /// `42`
    Int(i64),
    /// A string.
    Text(Vec<Piece>),
    /// A list.
    List(Vec<Value>),
    /// A map, in the order of the spec.
    Map(Vec<(String, Value)>),
}

/// A piece of a string.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Characters.
    Text(String),
    /// An environment variable of the build.
    Env(String),
    /// A variable that is a secret.
    Secret(String),
}

impl Value {
    /// Returns a string that is known.
    pub fn text(text: String) -> Value {
        Value::joined(vec![Piece::Text(text)])
    }

    /// Returns a string of pieces: neighbors that are characters are one piece, and an empty one is none.
    pub fn joined(pieces: Vec<Piece>) -> Value {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, Piece::Text(text)) if text.is_empty() => {}
                (_, piece) => joined.push(piece),
            }
        }
        Value::Text(joined)
    }

    /// Returns whether this is a string that only the build knows.
    pub fn is_opaque(&self) -> bool {
        match self {
            Value::Text(pieces) => !pieces.iter().all(|piece| matches!(piece, Piece::Text(_))),
            _ => false,
        }
    }

    /// Returns whether this is a string that is known and not empty.
    pub fn is_plain_text(&self) -> bool {
        self.as_text().is_some_and(|text| !text.is_empty())
    }

    /// Returns the names of the secrets in strings.
    pub fn secrets(&self) -> Vec<String> {
        match self {
            Value::Text(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Secret(name) => Some(name.clone()),
                    _ => None,
                })
                .collect(),
            Value::List(elements) => elements.iter().flat_map(Value::secrets).collect(),
            Value::Map(entries) => entries
                .iter()
                .flat_map(|(_, value)| value.secrets())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Returns a string that is known.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Value::Text(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }

    /// Returns the elements of a list.
    pub fn elements(&self) -> &[Value] {
        match self {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// Compares integers, and versions by their parts. Other values are equal or not.
    pub fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            _ if self == other => Ordering::Equal,
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (a, b) => match (a.as_text(), b.as_text()) {
                (Some(a), Some(b)) => version(&a).cmp(&version(&b)).then(a.cmp(&b)),
                _ => Ordering::Less,
            },
        }
    }

    /// Returns the value as `imgspec show --json` prints it.
    pub fn shown(&self) -> serde_json::Value {
        match self {
            Value::Bool(flag) => (*flag).into(),
            Value::Int(number) => (*number).into(),
            Value::Text(pieces) => pieces.iter().map(Piece::shown).collect::<String>().into(),
            Value::List(elements) => elements.iter().map(Value::shown).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.shown()))
                .collect(),
        }
    }
}

impl Piece {
    /// Returns the piece in Packer's own syntax.
    pub fn shown(&self) -> String {
        match self {
            Piece::Text(text) => text.clone(),
            Piece::Env(name) => format!("{{{{env `{name}`}}}}"),
            Piece::Secret(name) => format!("{{{{user `{name}`}}}}"),
        }
    }
}

/// The numbers of a version.
fn version(text: &str) -> Vec<u64> {
    let text = text.trim_start_matches('v');
    text.split(['.', '-', '+'])
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Returns whether a value has a type. What only the build knows has every type.
pub fn fits(ty: &Type, value: &Value) -> bool {
    let text = value.as_text();
    let satisfies = |test: fn(&str) -> bool| text.as_deref().is_some_and(test);
    match (ty, value) {
        _ if value.is_opaque() => true,
        (Type::Optional(inner), _) => text.as_deref() == Some("") || fits(inner, value),
        (Type::Bool, _) => matches!(value, Value::Bool(_)),
        (Type::Int, _) => matches!(value, Value::Int(_)),
        (Type::String, _) => text.is_some(),
        (Type::Choice(names), _) => text.is_some_and(|text| names.contains(&text.as_str())),
        (Type::Ticket, _) => satisfies(is_ticket),
        (Type::Semver, _) => {
            satisfies(|text| text.starts_with('v') && has_three_numbers(&text[1..]))
        }
        (Type::Version, _) => satisfies(is_version),
        (Type::List(inner), Value::List(elements)) => elements.iter().all(|e| fits(inner, e)),
        (Type::Map(inner), Value::Map(entries)) => entries.iter().all(|(_, v)| fits(inner, v)),
        (Type::List(_) | Type::Map(_), _) => false,
    }
}

/// Returns whether a string matches `[A-Z]+-[0-9]+`.
pub fn is_ticket(text: &str) -> bool {
    text.split_once('-').is_some_and(|(word, number)| {
        let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase());
        is_word && !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
    })
}

/// Returns whether a string begins with a digit and contains only what versions of packages do.
fn is_version(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-+~:_".contains(c);
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(is_part)
}

fn has_three_numbers(text: &str) -> bool {
    let core = text.split('-').next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
}

/// Decodes a string from JSON or from an argument. `None` if it is no value of the type.
pub fn decode(ty: &Type, encoding: Encoding, text: &str) -> Option<Value> {
    let texts = |parts: Vec<&str>| {
        Value::List(
            parts
                .into_iter()
                .map(|p| Value::text(p.to_owned()))
                .collect(),
        )
    };
    let value = match (ty.inner(), encoding) {
        (Type::List(_), _) if text.is_empty() => Value::List(Vec::new()),
        (Type::Map(_), _) if text.is_empty() => Value::Map(Vec::new()),
        (Type::Bool | Type::Int, _) if text.is_empty() => Value::text(String::new()),
        (Type::Bool, _) => Value::Bool(match text {
            "true" | "True" => true,
            "false" | "False" => false,
            _ => return None,
        }),
        (Type::Int, _) => Value::Int(text.parse().ok()?),
        (Type::List(_), Encoding::Commas) => texts(text.split(',').collect()),
        (Type::List(_), Encoding::Words) => texts(text.split_whitespace().collect()),
        (Type::List(_) | Type::Map(_), _) => from_json(&serde_json::from_str(text).ok()?)?,
        _ => Value::text(text.to_owned()),
    };
    fits(ty, &value).then_some(value)
}

fn from_json(json: &serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        serde_json::Value::Number(number) => Value::Int(number.as_i64()?),
        serde_json::Value::String(text) => Value::text(text.clone()),
        serde_json::Value::Array(elements) => {
            Value::List(elements.iter().map(from_json).collect::<Option<_>>()?)
        }
        serde_json::Value::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| Some((key.clone(), from_json(value)?)))
                .collect::<Option<_>>()?,
        ),
        serde_json::Value::Null => return None,
    })
}

/// Returns a string in base64.
pub fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bytes = three
            .iter()
            .fold(0u32, |all, byte| all << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for digit in 0..4 {
            let is_used = digit <= three.len();
            let at = (bytes >> (18 - 6 * digit)) as usize & 63;
            out.push(if is_used { DIGITS[at] as char } else { '=' });
        }
    }
    out
}
