//! Values: the results of expressions.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A value of the language. An unset variable has no `Value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// `true`
    Bool(bool),
    /// `42`
    Int(i64),
    /// `"a string"`
    String(Text),
    /// `["a", "b"]`
    List(Arc<[Value]>),
    /// `{ a = "b" }`, in the order of the spec.
    Map(Arc<IndexMap<SmolStr, Value>>),
}

/// A string. It can contain placeholders that only the build can replace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Text {
    /// A string that is known completely.
    Plain(SmolStr),
    /// A string with at least one special piece.
    Pieces(Arc<[Piece]>),
}

/// A piece of a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// Literal text.
    Plain(SmolStr),
    /// An absolute path that the spec writes relative to its own file.
    Path(SmolStr),
    /// The name of an environment variable. Packer and Ansible can both read it during the build.
    Env(SmolStr),
    /// Any other Packer expression, with its braces. Only Packer can evaluate it.
    Packer(SmolStr),
    /// The value of a secret variable.
    Secret {
        /// The name of the variable.
        variable: SmolStr,
        /// The environment variable that holds the secret, if it comes from one.
        env: Option<SmolStr>,
    },
    /// A Jinja expression that Ansible evaluates.
    Jinja(SmolStr),
}

impl Piece {
    fn is_hole(&self) -> bool {
        !matches!(self, Piece::Plain(_) | Piece::Path(_))
    }

    /// Returns the text of the piece: its content, name or expression.
    fn text(&self) -> &str {
        match self {
            Piece::Plain(text) | Piece::Path(text) | Piece::Packer(text) | Piece::Jinja(text) => {
                text
            }
            Piece::Env(name) | Piece::Secret { variable: name, .. } => name,
        }
    }
}

impl Value {
    /// Creates a string that is known completely.
    pub fn text(text: impl Into<SmolStr>) -> Value {
        Value::String(Text::Plain(text.into()))
    }

    /// Creates a string of one piece.
    pub fn piece(piece: Piece) -> Value {
        Value::String(Text::Pieces(Arc::from([piece])))
    }

    /// Creates a list.
    pub fn list(elements: Vec<Value>) -> Value {
        Value::List(Arc::from(elements))
    }

    /// Returns whether this is a string that is only known during the build.
    pub fn is_opaque(&self) -> bool {
        matches!(self, Value::String(text) if text.is_opaque())
    }

    /// Returns whether any string in this value is only known during the build.
    pub fn has_placeholders(&self) -> bool {
        match self {
            Value::String(text) => text.is_opaque(),
            Value::List(elements) => elements.iter().any(Value::has_placeholders),
            Value::Map(map) => map.values().any(Value::has_placeholders),
            _ => false,
        }
    }

    /// Returns whether any string in this value contains a path that the spec writes relative to its own file.
    pub fn has_paths(&self) -> bool {
        match self {
            Value::String(Text::Pieces(pieces)) => {
                pieces.iter().any(|piece| matches!(piece, Piece::Path(_)))
            }
            Value::List(elements) => elements.iter().any(Value::has_paths),
            Value::Map(map) => map.values().any(Value::has_paths),
            Value::String(Text::Plain(_)) | Value::Bool(_) | Value::Int(_) => false,
        }
    }

    /// Returns whether any part of the value is known, and so is not only a placeholder or empty.
    pub fn has_literals(&self) -> bool {
        match self {
            Value::Bool(_) | Value::Int(_) => true,
            Value::String(Text::Plain(text)) => !text.is_empty(),
            Value::String(Text::Pieces(pieces)) => pieces
                .iter()
                .any(|piece| !piece.is_hole() && !piece.text().is_empty()),
            Value::List(elements) => elements.iter().any(Value::has_literals),
            Value::Map(map) => !map.is_empty(),
        }
    }

    /// Returns the memory in bytes that the value would need without shared parts. Stops counting above `limit`.
    pub fn size(&self, limit: usize) -> usize {
        let of_elements = |elements: &mut dyn Iterator<Item = &Value>| {
            let mut size = 0;
            for element in elements {
                size += element.size(limit.saturating_sub(size));
                if size > limit {
                    break;
                }
            }
            size
        };
        size_of::<Value>()
            + match self {
                Value::Bool(_) | Value::Int(_) => 0,
                Value::String(text) => text.size(),
                Value::List(elements) => of_elements(&mut elements.iter()),
                Value::Map(map) => {
                    let keys: usize = map.keys().map(|key| size_of::<SmolStr>() + key.len()).sum();
                    keys + of_elements(&mut map.values())
                }
            }
    }

    /// Returns whether this is `""`, `[]` or `{}`.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::String(text) => text.is_empty(),
            Value::List(elements) => elements.is_empty(),
            Value::Map(map) => map.is_empty(),
            _ => false,
        }
    }

    /// Returns the kind of the value with its article, such as "a list".
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an integer",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

impl Text {
    /// Returns whether the string contains a placeholder.
    pub fn is_opaque(&self) -> bool {
        matches!(self, Text::Pieces(pieces) if pieces.iter().any(Piece::is_hole))
    }

    /// Returns whether this is `""`.
    pub fn is_empty(&self) -> bool {
        matches!(self, Text::Plain(text) if text.is_empty())
    }

    fn size(&self) -> usize {
        match self {
            Text::Plain(text) => text.len(),
            Text::Pieces(pieces) => pieces
                .iter()
                .map(|p| size_of::<Piece>() + p.text().len())
                .sum(),
        }
    }

    /// Returns the content, or `None` if a part of it is only known during the build.
    pub fn known(&self) -> Option<Cow<'_, str>> {
        match self {
            Text::Plain(text) => Some(Cow::Borrowed(text)),
            Text::Pieces(pieces) => match &pieces[..] {
                [Piece::Plain(text) | Piece::Path(text)] => Some(Cow::Borrowed(text)),
                pieces => pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Plain(text) | Piece::Path(text) => Some(text.as_str()),
                        _ => None,
                    })
                    .collect::<Option<String>>()
                    .map(Cow::Owned),
            },
        }
    }

    /// Returns the pieces. A plain string is one piece.
    pub fn pieces(&self) -> Cow<'_, [Piece]> {
        match self {
            Text::Plain(text) => Cow::Owned(vec![Piece::Plain(text.clone())]),
            Text::Pieces(pieces) => Cow::Borrowed(pieces),
        }
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Bool(flag) => flag.hash(state),
            Value::Int(number) => number.hash(state),
            Value::String(text) => match text.known() {
                Some(known) => known.hash(state),
                None => text.pieces().iter().for_each(|p| p.text().hash(state)),
            },
            Value::List(elements) => elements.iter().for_each(|element| element.hash(state)),
            // The order of entries makes no difference.
            Value::Map(map) => map.len().hash(state),
        }
    }
}

impl Eq for Text {}

impl PartialEq for Text {
    /// Compares the contents. Whether a part was written as a path makes no difference.
    fn eq(&self, other: &Text) -> bool {
        match (self.known(), other.known()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.pieces() == other.pieces(),
            _ => false,
        }
    }
}

/// A builder that concatenates strings.
#[derive(Debug, Default)]
pub struct TextBuilder {
    pieces: Vec<Piece>,
    plain: String,
}

impl TextBuilder {
    /// Appends literal text.
    pub fn push_str(&mut self, text: &str) {
        self.plain.push_str(text);
    }

    /// Appends a piece.
    pub fn push_piece(&mut self, piece: Piece) {
        if let Piece::Plain(text) = &piece {
            self.plain.push_str(text);
            return;
        }
        self.flush();
        self.pieces.push(piece);
    }

    /// Appends a string.
    pub fn push(&mut self, text: &Text) {
        match text {
            Text::Plain(text) => self.plain.push_str(text),
            Text::Pieces(pieces) => {
                for piece in pieces.iter() {
                    self.push_piece(piece.clone());
                }
            }
        }
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            self.pieces.push(Piece::Plain(SmolStr::new(&self.plain)));
            self.plain.clear();
        }
    }

    /// Returns the string.
    pub fn finish(mut self) -> Text {
        if self.pieces.is_empty() {
            return Text::Plain(SmolStr::from(self.plain));
        }
        self.flush();
        Text::Pieces(Arc::from(self.pieces))
    }
}
