//! Values: what an expression comes to.

use indexmap::IndexMap;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::sync::Arc;

/// A value of the language. Unset is the absence of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Text(Text),
    List(Arc<[Value]>),
    Map(Arc<IndexMap<SmolStr, Value>>),
}

/// A text, perhaps with holes that only the build can fill.
#[derive(Debug, Clone)]
pub enum Text {
    Plain(SmolStr),
    Pieces(Arc<[Piece]>),
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Plain(SmolStr),
    /// An absolute path that was written relative to a file of the project.
    Path(SmolStr),
    /// The value of an environment variable at build time; Packer and Ansible can both read it.
    Env(SmolStr),
    /// Any other Packer template, braces included; only Packer can fill it.
    Packer(SmolStr),
    /// The value of a secret variable, and the environment name that it is read from, if it is.
    Secret {
        variable: SmolStr,
        env: Option<SmolStr>,
    },
    /// A Jinja template that Ansible shall evaluate.
    Jinja(SmolStr),
}

impl Piece {
    fn is_hole(&self) -> bool {
        !matches!(self, Piece::Plain(_) | Piece::Path(_))
    }

    /// Its own text: the content, the name, the template.
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
    pub fn text(text: impl Into<SmolStr>) -> Value {
        Value::Text(Text::Plain(text.into()))
    }

    pub fn piece(piece: Piece) -> Value {
        Value::Text(Text::Pieces(Arc::from([piece])))
    }

    pub fn list(elements: Vec<Value>) -> Value {
        Value::List(Arc::from(elements))
    }

    /// True for a text whose content is only known at build time.
    pub fn is_opaque(&self) -> bool {
        matches!(self, Value::Text(text) if text.is_opaque())
    }

    /// True if it, or anything in it, is only known at build time.
    pub fn has_holes(&self) -> bool {
        match self {
            Value::Text(text) => text.is_opaque(),
            Value::List(elements) => elements.iter().any(Value::has_holes),
            Value::Map(map) => map.values().any(Value::has_holes),
            _ => false,
        }
    }

    /// How much memory it would take if nothing in it were shared; counting stops beyond `limit`.
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
                Value::Text(text) => text.size(),
                Value::List(elements) => of_elements(&mut elements.iter()),
                Value::Map(map) => of_elements(&mut map.values()),
            }
    }

    /// `""`, `[]` or `{}`.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Text(text) => text.is_empty(),
            Value::List(elements) => elements.is_empty(),
            Value::Map(map) => map.is_empty(),
            _ => false,
        }
    }

    /// The word for what kind of value it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an int",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

impl Text {
    /// True if it holds a hole.
    pub fn is_opaque(&self) -> bool {
        matches!(self, Text::Pieces(pieces) if pieces.iter().any(Piece::is_hole))
    }

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

    /// The content, if all of it is known.
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

    /// Its pieces; a plain text is one piece.
    pub fn pieces(&self) -> Cow<'_, [Piece]> {
        match self {
            Text::Plain(text) => Cow::Owned(vec![Piece::Plain(text.clone())]),
            Text::Pieces(pieces) => Cow::Borrowed(pieces),
        }
    }
}

impl PartialEq for Text {
    /// Equal content; where a path came from makes no difference.
    fn eq(&self, other: &Text) -> bool {
        match (self.known(), other.known()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.pieces() == other.pieces(),
            _ => false,
        }
    }
}

/// Joins texts into one.
#[derive(Debug, Default)]
pub struct TextBuilder {
    pieces: Vec<Piece>,
    plain: String,
}

impl TextBuilder {
    pub fn push_str(&mut self, text: &str) {
        self.plain.push_str(text);
    }

    pub fn push_piece(&mut self, piece: Piece) {
        if let Piece::Plain(text) = &piece {
            self.plain.push_str(text);
            return;
        }
        self.flush();
        self.pieces.push(piece);
    }

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

    pub fn finish(mut self) -> Text {
        if self.pieces.is_empty() {
            return Text::Plain(SmolStr::from(self.plain));
        }
        self.flush();
        Text::Pieces(Arc::from(self.pieces))
    }
}
