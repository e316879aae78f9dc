//! Types, and the check of values against them.

use crate::schema::value::{Text, Value};
use crate::schema::version;
use crate::source::{MAX_PATTERN, MAX_PATTERN_TEXT, part};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A type of the language.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Type {
    /// The type without `?`.
    pub base: Base,
    /// Whether the type has a `?`: the value may be unset and, for strings, empty.
    pub optional: bool,
}

/// A type without its `?`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Base {
    /// A type that is unknown or already reported. Every value fits it.
    Any,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `string`
    String,
    /// `semver`: a version in Kubernetes' form, such as `v1.2.3`.
    Semver,
    /// `version`: the version of a package or program, such as `1.2.3-00`.
    Version,
    /// `path`: a path, relative to the file that contains it.
    Path,
    /// `file`: a path to an existing file.
    File,
    /// `role`: the name of an Ansible role, or a path to one.
    Role,
    /// `toml`: a string that is valid TOML.
    Toml,
    /// `args`: arguments for Ansible, such as `k=v k="{{user `x`}}"`, which stay as written.
    Args,
    /// `"a" | "b"`
    OneOf(Arc<[SmolStr]>),
    /// A declared type with a pattern.
    Refined(Arc<Refinement>),
    /// `[string]`
    List(Box<Type>),
    /// `{string}`
    Map(Box<Type>),
}

/// A type declared as `type name = string matching "pattern"`. The pattern must match the whole string.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refinement {
    /// The name of the type.
    pub name: SmolStr,
    /// The regular expression, as written.
    pub pattern: SmolStr,
    #[serde(skip)]
    compiled: OnceLock<Pattern>,
}

impl Refinement {
    /// Creates the type. The pattern is compiled on first use.
    pub fn new(name: SmolStr, pattern: SmolStr) -> Refinement {
        Refinement {
            name,
            pattern,
            compiled: OnceLock::new(),
        }
    }

    /// Returns whether the pattern matches the whole of a string, or `None` if it is not a valid regular expression.
    pub fn matches(&self, text: &str) -> Option<bool> {
        let compiled = self.compiled.get_or_init(|| Pattern::new(&self.pattern));
        compiled.matches(text).ok()
    }
}

/// A regular expression that must match a whole string.
///
/// To compile it for Unicode takes many times as long as for ASCII. For a string of ASCII characters both give the same
/// answer, and nearly all strings are such.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    ascii: OnceLock<Option<regex::bytes::Regex>>,
    unicode: OnceLock<Result<Regex, regex::Error>>,
}

impl Pattern {
    /// Creates it from a pattern, which is compiled on first use.
    pub fn new(pattern: &str) -> Pattern {
        Pattern {
            text: pattern.to_owned(),
            ascii: OnceLock::new(),
            unicode: OnceLock::new(),
        }
    }

    /// Returns whether it matches the whole of a string.
    ///
    /// # Errors
    /// The syntax error of the pattern.
    pub fn matches(&self, text: &str) -> Result<bool, &regex::Error> {
        if text.is_ascii()
            && let Some(ascii) = self.ascii.get_or_init(|| for_ascii(&self.text))
        {
            return Ok(ascii.is_match(text.as_bytes()));
        }
        let unicode = self.unicode.get_or_init(|| whole(&self.text));
        unicode.as_ref().map(|regex| regex.is_match(text))
    }
}

/// Compiles a pattern for strings of ASCII characters, if it names no class of Unicode characters.
fn for_ascii(pattern: &str) -> Option<regex::bytes::Regex> {
    // Its own flags can switch back to Unicode, and with `i` a character that is not ASCII can be equal to one that is.
    let switches = |group: &str| {
        let flags = group
            .split(|c: char| !(c.is_ascii_alphabetic() || c == '-'))
            .next();
        flags.is_some_and(|flags| flags.contains('u'))
    };
    let is_ascii = |digits: &str| digits.starts_with(|c: char| ('0'..='7').contains(&c));
    let names_character = pattern.contains("\\u")
        || pattern.contains("\\U")
        || !pattern.split("\\x").skip(1).all(is_ascii);
    if !pattern.is_ascii() || names_character || pattern.split("(?").skip(1).any(switches) {
        return None;
    }
    regex::bytes::RegexBuilder::new(&format!("\\A(?:{pattern})\\z"))
        .unicode(false)
        .build()
        .ok()
}

/// Compiles a regular expression that must match a whole string.
///
/// # Errors
/// The syntax error of the pattern.
pub fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    // The second compilation makes the error show the pattern as the user wrote it.
    compile(&format!("\\A(?:{pattern})\\z")).or_else(|e| match e {
        regex::Error::Syntax(_) => compile(pattern).and(Err(e)),
        e => Err(e),
    })
}

/// Compiles a regular expression.
///
/// # Errors
/// The syntax error of the pattern, or the limit that it exceeds.
pub fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    if pattern.len() > MAX_PATTERN_TEXT {
        return Err(regex::Error::Syntax(format!(
            "the regular expression has more than {MAX_PATTERN_TEXT} bytes"
        )));
    }
    RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN)
        .build()
}

/// The reason why a value does not have a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The wrong string, if the message shows it.
    found: Option<String>,
    /// The reason. After `found` it completes a sentence.
    reason: String,
}

impl Mismatch {
    /// Creates a mismatch whose message is only the reason.
    pub fn because(reason: impl Into<String>) -> Mismatch {
        Mismatch {
            found: None,
            reason: reason.into(),
        }
    }

    /// Creates a mismatch whose message shows a string before the reason.
    pub fn of(text: &str, reason: impl Into<String>) -> Mismatch {
        Mismatch {
            found: Some(shorten(text)),
            reason: reason.into(),
        }
    }

    /// Returns the message. It does not show a secret.
    pub fn message(&self, is_secret: bool) -> String {
        match &self.found {
            Some(_) if is_secret => format!("this {}", self.reason),
            Some(found) if found.is_empty() => format!("an empty string {}", self.reason),
            Some(found) => format!("`{found}` {}", self.reason),
            None => self.reason.clone(),
        }
    }
}

impl Type {
    /// The type that every value fits.
    pub const ANY: Type = Type {
        base: Base::Any,
        optional: true,
    };

    /// Creates a type without `?`.
    pub fn of(base: Base) -> Type {
        Type {
            base,
            optional: false,
        }
    }

    /// Returns the built-in type with this name.
    pub fn builtin(name: &str) -> Option<Type> {
        let base = match name {
            "bool" => Base::Bool,
            "int" => Base::Int,
            "string" => Base::String,
            "semver" => Base::Semver,
            "version" => Base::Version,
            "path" => Base::Path,
            "file" => Base::File,
            "role" => Base::Role,
            "toml" => Base::Toml,
            "args" => Base::Args,
            _ => return None,
        };
        Some(Type::of(base))
    }

    /// The names of the built-in types.
    pub const BUILTIN: [&str; 10] = [
        "bool", "int", "string", "semver", "version", "path", "file", "role", "toml", "args",
    ];

    /// Returns whether the values of this type are strings.
    pub fn is_text(&self) -> bool {
        !matches!(
            self.base,
            Base::Any | Base::Bool | Base::Int | Base::List(_) | Base::Map(_)
        )
    }

    /// Returns the type with an article for use in sentences, without `?`: "a list `[string]`".
    pub fn in_words(&self) -> String {
        match &self.base {
            Base::Any => "a value".to_owned(),
            Base::Int => "an integer".to_owned(),
            Base::Bool | Base::String => format!("a {}", Type::of(self.base.clone())),
            Base::OneOf(choices) => {
                let quoted: Vec<String> = choices
                    .iter()
                    .map(|choice| format!("\"{choice}\""))
                    .collect();
                match quoted.as_slice() {
                    [rest @ .., last] if !rest.is_empty() => {
                        format!("{} or {last}", rest.join(", "))
                    }
                    _ => quoted.concat(),
                }
            }
            Base::List(element) => format!(
                "a list `[{}]`",
                Type {
                    optional: false,
                    ..(**element).clone()
                }
            ),
            Base::Map(element) => format!(
                "a map `{{{}}}`",
                Type {
                    optional: false,
                    ..(**element).clone()
                }
            ),
            base => {
                let name = Type::of(base.clone()).to_string();
                let article = if name.starts_with(['a', 'e', 'i', 'o']) {
                    "an"
                } else {
                    "a"
                };
                format!("{article} `{name}`")
            }
        }
    }

    /// Returns whether `<` and `==` compare values of this type as versions.
    pub fn is_version(&self) -> bool {
        matches!(self.base, Base::Semver | Base::Version)
    }

    /// Returns the type of the elements of a list or map.
    pub fn element(&self) -> Option<&Type> {
        match &self.base {
            Base::List(element) | Base::Map(element) => Some(element),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::Any => f.write_str("any")?,
            Base::Bool => f.write_str("bool")?,
            Base::Int => f.write_str("int")?,
            Base::String => f.write_str("string")?,
            Base::Semver => f.write_str("semver")?,
            Base::Version => f.write_str("version")?,
            Base::Path => f.write_str("path")?,
            Base::File => f.write_str("file")?,
            Base::Role => f.write_str("role")?,
            Base::Toml => f.write_str("toml")?,
            Base::Args => f.write_str("args")?,
            Base::Refined(refinement) => f.write_str(&refinement.name)?,
            Base::OneOf(choices) => {
                for (i, choice) in choices.iter().enumerate() {
                    let bar = if i == 0 { "" } else { " | " };
                    write!(f, "{bar}\"{choice}\"")?;
                }
            }
            Base::List(element) => write!(f, "[{element}]")?,
            Base::Map(element) => write!(f, "{{{element}}}")?,
        }
        if self.optional && !matches!(self.base, Base::Any) {
            f.write_str("?")?;
        }
        Ok(())
    }
}

/// Checks a value against a type. A string with placeholders fits every type. The caller checks whether a `file`
/// exists.
///
/// # Errors
/// The first mismatch in the value.
pub fn check_value(ty: &Type, value: &Value) -> Result<(), Mismatch> {
    match (&ty.base, value) {
        (Base::Any, _) | (Base::Bool, Value::Bool(_)) | (Base::Int, Value::Int(_)) => Ok(()),
        (_, Value::String(text)) if text.is_opaque() => Ok(()),
        // For Packer, an empty string is the only way to leave an option unused.
        (_, Value::String(text)) if text.is_empty() && ty.optional => Ok(()),
        (Base::List(element), Value::List(values)) => {
            values.iter().try_for_each(|v| check_value(element, v))
        }
        (Base::Map(element), Value::Map(values)) => {
            values.values().try_for_each(|v| check_value(element, v))
        }
        (_, Value::String(text)) if ty.is_text() => check_text(ty, text).map_or(Ok(()), Err),
        _ => Err(Mismatch::because(format!(
            "expected {}, found {}",
            ty.in_words(),
            value.kind()
        ))),
    }
}

fn check_text(ty: &Type, text: &Text) -> Option<Mismatch> {
    let text = text.known()?;
    if text.is_empty() && (ty.optional || matches!(ty.base, Base::String | Base::Args)) {
        return None;
    }
    match &ty.base {
        Base::Semver if !version::is_semver(&text) => {
            Some(Mismatch::of(&text, "is not a version such as `v1.23.10`"))
        }
        Base::Version if !version::is_version(&text) => Some(Mismatch::of(
            &text,
            "is not a version such as `1.6.2`, without a leading `v`",
        )),
        Base::OneOf(choices) if !choices.iter().any(|c| c.as_str() == text) => {
            let words = ty.in_words();
            Some(Mismatch::of(
                &text,
                match choices.len() {
                    1 => format!("is not {words}"),
                    2 => format!("is neither {}", words.replace(" or ", " nor ")),
                    _ => format!("is not one of {words}"),
                },
            ))
        }
        Base::Refined(refinement) if !refinement.matches(&text)? => Some(Mismatch::of(
            &text,
            format!("is not a valid `{}`", refinement.name),
        )),
        Base::Toml => text
            .parse::<toml::Table>()
            .err()
            .map(|e| Mismatch::because(format!("invalid TOML: {}", e.message()))),
        Base::Path | Base::File | Base::Role if text.is_empty() => Some(Mismatch::because(
            format!("{} cannot be empty", ty.in_words()),
        )),
        _ => None,
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", part(text, ..at)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_one_meaning_for_all_strings() {
        let patterns = [
            ".*",
            r"\w+",
            r"[^\s]+",
            r"(?i:k|s)",
            r"(?i)\x{212A}",
            r"(?u:.)",
            r"(?-u:\w)+",
            r"\p{L}+",
            r"[a-z]+|é",
            r"(?:ubuntu)-?[0-9]*",
            "a{0,3}",
            "",
        ];
        let texts = [
            "",
            "k",
            "K",
            "\u{212A}",
            "ubuntu-24",
            "é",
            "a b",
            "aaa",
            "\n",
            "ſ",
        ];
        for pattern in patterns {
            let compiled = whole(pattern).unwrap();
            let quick = Pattern::new(pattern);
            for text in texts {
                let answer = quick.matches(text).unwrap();
                assert_eq!(answer, compiled.is_match(text), "`{pattern}` on {text:?}");
            }
        }
        assert!(Pattern::new("(").matches("a").is_err());
        assert!(Pattern::new("[").matches("é").is_err());
    }
}
