//! Types, and whether a value is of one.

use crate::schema::value::{Text, Value};
use crate::schema::version;
use crate::source::part;
use regex::Regex;
use smol_str::SmolStr;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A type of the language.
#[derive(Debug, Clone)]
pub struct Type {
    pub base: Base,
    /// Written with `?`: may be unset and, for strings, empty.
    pub optional: bool,
}

#[derive(Debug, Clone)]
pub enum Base {
    /// Not known, or wrong already: fits everything.
    Any,
    Bool,
    Int,
    String,
    /// A Kubernetes-style version, `v1.2.3`.
    Semver,
    /// A package or program version, `1.2.3-00`.
    Version,
    /// A path, relative to the file that it stands in.
    Path,
    /// A path to a file that must be there.
    File,
    /// The name of an Ansible role, or a path to one.
    Role,
    /// Text that parses as TOML.
    Toml,
    /// Arguments for Ansible, `k=v k="{{user `x`}}"`, kept as written.
    Args,
    OneOf(Arc<[SmolStr]>),
    /// A named type with a pattern.
    Refined(Arc<Refinement>),
    List(Box<Type>),
    Map(Box<Type>),
}

/// `type name = string matching "pattern"`: the pattern is for the whole text.
#[derive(Debug)]
pub struct Refinement {
    pub name: SmolStr,
    pub pattern: SmolStr,
    regex: OnceLock<Option<Regex>>,
}

impl Refinement {
    pub fn new(name: SmolStr, pattern: SmolStr) -> Refinement {
        Refinement {
            name,
            pattern,
            regex: OnceLock::new(),
        }
    }

    /// The compiled pattern; none where it is no regular expression.
    pub fn regex(&self) -> Option<&Regex> {
        self.regex
            .get_or_init(|| whole(&self.pattern).ok())
            .as_ref()
    }
}

/// A regular expression for a whole text.
///
/// # Errors
/// What the pattern gets wrong.
pub fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    // Compiled twice so that the error speaks of the pattern as it was written.
    Regex::new(&format!("\\A(?:{pattern})\\z")).or_else(|e| Regex::new(pattern).and(Err(e)))
}

/// Why a value is not of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The text that is wrong, where there is one to show.
    found: Option<String>,
    /// What is wrong; after `found` it makes a sentence.
    reason: String,
}

impl Mismatch {
    /// What is wrong with a whole, of which no part need be shown.
    pub fn because(reason: impl Into<String>) -> Mismatch {
        Mismatch {
            found: None,
            reason: reason.into(),
        }
    }

    /// What is wrong with a text.
    pub fn of(text: &str, reason: impl Into<String>) -> Mismatch {
        Mismatch {
            found: Some(shorten(text)),
            reason: reason.into(),
        }
    }

    /// The sentence; a secret is not repeated in it.
    pub fn message(&self, is_secret: bool) -> String {
        match &self.found {
            Some(_) if is_secret => format!("this {}", self.reason),
            Some(found) if found.is_empty() => format!("an empty text {}", self.reason),
            Some(found) => format!("`{found}` {}", self.reason),
            None => self.reason.clone(),
        }
    }
}

impl Type {
    pub const ANY: Type = Type {
        base: Base::Any,
        optional: true,
    };

    pub fn of(base: Base) -> Type {
        Type {
            base,
            optional: false,
        }
    }

    /// The built-in type of that name.
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

    /// True for all types whose values are texts.
    pub fn is_text(&self) -> bool {
        !matches!(
            self.base,
            Base::Any | Base::Bool | Base::Int | Base::List(_) | Base::Map(_)
        )
    }

    /// The type with its article, for sentences. That a value may be unset is nothing that a value needs.
    pub fn in_words(&self) -> String {
        match &self.base {
            Base::Any => "a value".to_owned(),
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
                format!("{article} {name}")
            }
        }
    }

    /// True where `<` and `==` compare versions.
    pub fn is_version(&self) -> bool {
        matches!(self.base, Base::Semver | Base::Version)
    }

    /// The type of its elements, for lists and maps.
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

/// Checks a value against a type. An opaque text fits every type, unchecked; whether a `file` is
/// there is for the caller, who can look.
///
/// # Errors
/// What is wrong.
pub fn check_value(ty: &Type, value: &Value) -> Result<(), Mismatch> {
    match (&ty.base, value) {
        (Base::Any, _) | (Base::Bool, Value::Bool(_)) | (Base::Int, Value::Int(_)) => Ok(()),
        (_, Value::Text(text)) if text.is_opaque() => Ok(()),
        // Packer has no other way to say that an option is not used.
        (_, Value::Text(text)) if text.is_empty() && ty.optional => Ok(()),
        (Base::List(element), Value::List(values)) => {
            values.iter().try_for_each(|v| check_value(element, v))
        }
        (Base::Map(element), Value::Map(values)) => {
            values.values().try_for_each(|v| check_value(element, v))
        }
        (_, Value::Text(text)) if ty.is_text() => check_text(ty, text).map_or(Ok(()), Err),
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
            "is not a version such as `1.6.2`, without a leading v",
        )),
        Base::OneOf(choices) if !choices.iter().any(|c| c.as_str() == text) => {
            let words = ty.in_words();
            Some(Mismatch::of(
                &text,
                match choices.len() {
                    1 => format!("is not {words}"),
                    2 => format!("is neither {}", words.replace(" or ", " nor ")),
                    _ => format!("is none of {words}"),
                },
            ))
        }
        Base::Refined(refinement) if !refinement.regex()?.is_match(&text) => Some(Mismatch::of(
            &text,
            format!("is not a valid {}", refinement.name),
        )),
        Base::Toml => text
            .parse::<toml::Table>()
            .err()
            .map(|e| Mismatch::because(format!("the text is not TOML: {}", e.message()))),
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
