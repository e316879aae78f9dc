//! Encodings: how a value is written into the single string that Packer has for a variable, and read back.
//!
//! `encode` and `decode` are inverse for every value that [`find_unencodable`] accepts.

use crate::schema::types::{Base, Mismatch, Type};
use crate::schema::value::{Text, TextBuilder, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// The form of a value in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// The string itself, or an integer in decimal.
    Plain,
    /// `true` or `false`
    Flag,
    /// `True` or `False`, which `kubernetes_rpm_gpg_check` requires.
    TitleFlag,
    /// Base64 of the string.
    Base64,
    /// Elements with spaces between them: `a b`
    Words,
    /// Elements with commas between them: `a,b`
    Commas,
    /// JSON of a list or map: `["a","b"]`
    Json,
}

impl Encoding {
    /// Returns the encoding with this name.
    pub fn parse(name: &str) -> Option<Encoding> {
        Some(match name {
            "plain" => Encoding::Plain,
            "flag" => Encoding::Flag,
            "Flag" => Encoding::TitleFlag,
            "base64" => Encoding::Base64,
            "words" => Encoding::Words,
            "commas" => Encoding::Commas,
            "json" => Encoding::Json,
            _ => return None,
        })
    }

    /// Returns the name of the encoding, as in a declaration.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Plain => "plain",
            Encoding::Flag => "flag",
            Encoding::TitleFlag => "Flag",
            Encoding::Base64 => "base64",
            Encoding::Words => "words",
            Encoding::Commas => "commas",
            Encoding::Json => "json",
        }
    }

    /// Returns whether a list's elements are joined with a separator, which some elements contain.
    pub fn joins_elements(self) -> bool {
        matches!(self, Encoding::Words | Encoding::Commas)
    }

    /// Returns the encodings that a type can have. The first one is the default.
    pub fn for_type(ty: &Type) -> &'static [Encoding] {
        match &ty.base {
            Base::Bool => &[Encoding::Flag, Encoding::TitleFlag],
            Base::Int | Base::Args => &[Encoding::Plain],
            Base::Toml => &[Encoding::Base64, Encoding::Plain],
            Base::List(_) => &[Encoding::Words, Encoding::Commas, Encoding::Json],
            Base::Map(_) => &[Encoding::Json],
            _ => &[Encoding::Plain, Encoding::Base64],
        }
    }

    /// Returns the encoding of a type whose declaration does not name one.
    pub fn default_for(ty: &Type) -> Encoding {
        Encoding::for_type(ty)
            .first()
            .copied()
            .unwrap_or(Encoding::Plain)
    }
}

/// Returns the index of the first element that the encoding cannot carry, and the reason.
pub fn find_unencodable(value: &Value, encoding: Encoding) -> Option<(usize, String)> {
    let Value::List(elements) = value else {
        return None;
    };
    let (forbidden, separator): (fn(char) -> bool, &str) = match encoding {
        Encoding::Words => (char::is_whitespace, "spaces"),
        Encoding::Commas => (|c| c == ',', "commas"),
        _ => return None,
    };
    elements.iter().enumerate().find_map(|(i, element)| {
        let Value::String(text) = element else {
            return None;
        };
        let text = text.known()?;
        if text.is_empty() {
            return Some((
                i,
                format!("an empty element is lost, because {separator} separate the elements"),
            ));
        }
        if encoding == Encoding::Commas && text.trim() != text {
            return Some((i, "spaces around an element are lost".to_owned()));
        }
        text.contains(forbidden).then(|| {
            let what = separator.trim_end_matches('s');
            (
                i,
                format!(
                    "an element cannot contain a {what}, because {separator} separate the elements"
                ),
            )
        })
    })
}

/// Returns the string that Packer gets for a value. The caller first refuses values that the encoding cannot carry,
/// with [`find_unencodable`].
pub fn encode(value: &Value, encoding: Encoding) -> Text {
    match value {
        Value::Bool(flag) => Text::Plain(SmolStr::new_static(match (encoding, flag) {
            (Encoding::TitleFlag, true) => "True",
            (Encoding::TitleFlag, false) => "False",
            (_, true) => "true",
            (_, false) => "false",
        })),
        Value::Int(number) => Text::Plain(SmolStr::from(number.to_string())),
        Value::String(text) => match (encoding, text.known()) {
            (Encoding::Base64, Some(known)) if !known.is_empty() => {
                Text::Plain(SmolStr::from(STANDARD.encode(known.as_bytes())))
            }
            _ => text.clone(),
        },
        Value::List(elements) if encoding == Encoding::Json => encode_json_list(elements),
        Value::List(elements) => {
            let separator = if encoding == Encoding::Commas {
                ","
            } else {
                " "
            };
            let mut out = TextBuilder::default();
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push_str(separator);
                }
                out.push(&encode(element, Encoding::Plain));
            }
            out.finish()
        }
        Value::Map(map) if map.is_empty() => Text::Plain(SmolStr::default()),
        Value::Map(_) => {
            let mut out = TextBuilder::default();
            push_json(value, &mut out);
            out.finish()
        }
    }
}

fn encode_json_list(elements: &[Value]) -> Text {
    if elements.is_empty() {
        return Text::Plain(SmolStr::default());
    }
    let mut out = TextBuilder::default();
    push_json(&Value::List(elements.into()), &mut out);
    out.finish()
}

/// Appends a value as JSON. Placeholders stay unchanged.
fn push_json(value: &Value, out: &mut TextBuilder) {
    match value {
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::String(text) => match text.known() {
            Some(known) => out.push_str(&serde_json::Value::from(known.as_ref()).to_string()),
            None => {
                out.push_str("\"");
                out.push(text);
                out.push_str("\"");
            }
        },
        Value::List(elements) => {
            out.push_str("[");
            for (i, element) in elements.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                push_json(element, out);
            }
            out.push_str("]");
        }
        Value::Map(map) => {
            out.push_str("{");
            for (i, (key, element)) in map.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                out.push_str(":");
                push_json(element, out);
            }
            out.push_str("}");
        }
    }
}

/// A value that was read from a string.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The value.
    pub value: Value,
    /// Whether the string contained an extra pair of quotes, `"\"a b\""`, which Image Builder's documentation used to
    /// recommend.
    pub had_quotes: bool,
}

/// Reads the string of a variable from a JSON var file or `--set`. A string with placeholders stays unchanged.
///
/// # Errors
/// A mismatch if the string does not have the form that `ty` and `encoding` require.
pub fn decode(ty: &Type, encoding: Encoding, text: &Text) -> Result<Decoded, Mismatch> {
    let plainly = |value| {
        Ok(Decoded {
            value,
            had_quotes: false,
        })
    };
    let Some(known) = text.known() else {
        return plainly(Value::String(text.clone()));
    };
    if known.is_empty() && ty.optional && matches!(ty.base, Base::Bool | Base::Int) {
        return plainly(Value::String(text.clone()));
    }
    match &ty.base {
        Base::Bool => match known.as_ref() {
            "true" | "True" => plainly(Value::Bool(true)),
            "false" | "False" => plainly(Value::Bool(false)),
            other => Err(Mismatch::of(other, "is neither `true` nor `false`")),
        },
        Base::Int => match known.parse() {
            Ok(number) => plainly(Value::Int(number)),
            Err(_) => Err(Mismatch::of(&known, "is not an integer")),
        },
        Base::List(element) => {
            let (inner, had_quotes) = without_quotes(&known);
            let words: Vec<&str> = match encoding {
                Encoding::Json if inner.trim().is_empty() => Vec::new(),
                Encoding::Json => {
                    return Ok(Decoded {
                        value: decode_json(inner)?,
                        had_quotes,
                    });
                }
                Encoding::Commas if inner.trim().is_empty() => Vec::new(),
                Encoding::Commas => inner.split(',').map(str::trim).collect(),
                _ => inner.split_whitespace().collect(),
            };
            let elements = words
                .into_iter()
                .map(|word| {
                    decode(element, Encoding::Plain, &Text::Plain(SmolStr::new(word)))
                        .map(|d| d.value)
                })
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Decoded {
                value: Value::list(elements),
                had_quotes,
            })
        }
        Base::Map(_) if known.trim().is_empty() => plainly(Value::Map(Default::default())),
        Base::Map(_) => plainly(decode_json(&known)?),
        _ if encoding == Encoding::Base64 && !known.is_empty() => {
            let bytes = STANDARD
                .decode(known.trim())
                .map_err(|_| Mismatch::because("expected Base64"))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Mismatch::because("the Base64 data is not UTF-8 text"))?;
            plainly(Value::text(text))
        }
        Base::Args => plainly(Value::String(text.clone())),
        _ => {
            let (inner, had_quotes) = without_quotes(&known);
            if had_quotes && inner.contains(' ') {
                Ok(Decoded {
                    value: Value::text(inner),
                    had_quotes,
                })
            } else {
                plainly(Value::String(text.clone()))
            }
        }
    }
}

/// Splits a string at spaces and commas into the list that the user probably meant.
pub fn decode_words(text: &str) -> Vec<&str> {
    without_quotes(text)
        .0
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect()
}

fn without_quotes(text: &str) -> (&str, bool) {
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) if !inner.contains('"') => (inner, true),
        _ => (text, false),
    }
}

fn decode_json(text: &str) -> Result<Value, Mismatch> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|e| Mismatch::because(format!("invalid JSON: {e}")))?;
    from_json(&json)
}

/// Converts JSON to a value.
///
/// # Errors
/// A mismatch if the JSON contains what the language does not have: `null`, fractions or integers beyond 64 bits.
pub fn from_json(json: &serde_json::Value) -> Result<Value, Mismatch> {
    use serde_json::Value as Json;
    Ok(match json {
        Json::Null => return Err(Mismatch::because("`null` is not allowed in a list or map")),
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => return Err(Mismatch::of(&number.to_string(), "is not an integer")),
        },
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(elements) => {
            Value::list(elements.iter().map(from_json).collect::<Result<_, _>>()?)
        }
        Json::Object(map) => {
            let mut out = IndexMap::new();
            for (key, value) in map {
                out.insert(SmolStr::new(key), from_json(value)?);
            }
            Value::Map(out.into())
        }
    })
}
