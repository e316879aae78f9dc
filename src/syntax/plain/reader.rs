//! A place in a text, the nodes of the text before it, and how both go on.

use crate::source::part;
use crate::syntax::tree::{Kind, Node, Tree};
use memchr::memchr;

/// The keywords of `item_start`.
const ITEMS: [&str; 11] = [
    "variable", "image", "layer", "provider", "rule", "probe", "matrix", "include", "type", "test",
    "waive",
];

/// The grammar's `item_start`.
pub(super) fn is_item_start(text: &str) -> bool {
    // Most lines begin with a space.
    let is_word = text.starts_with(|c: char| c.is_ascii_lowercase());
    let words = ITEMS.iter().filter(|_| is_word);
    let rest = words.filter_map(|word| text.strip_prefix(word)).next();
    rest.is_some_and(|rest| {
        let name = rest.trim_start_matches(SPACE);
        name.len() < rest.len()
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '"'))
    })
}

/// The grammar's `space`.
pub(in crate::syntax) const SPACE: [char; 4] = [' ', '\t', '\r', '\u{feff}'];

/// Removes what the formatter removes from the end of a comment, and other blanks.
pub(in crate::syntax) fn trim_comment(text: &str) -> &str {
    text.trim_end_matches(SPACE).trim_end()
}

pub(super) fn is_name_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A place in a text, and the nodes of the text before it.
pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    pub(super) depth: usize,
    pub(super) nodes: Vec<Node>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Reader<'t> {
        Reader {
            text,
            at: 0,
            depth: 0,
            // Most specs have fewer nodes than this. Unused capacity costs only address space.
            nodes: Vec::with_capacity(text.len() / 8 + 4),
        }
    }

    // ---- nodes --------------------------------------------------------------------------------

    /// Begins a node, whose children follow. Returns its index.
    pub(super) fn open(&mut self, kind: Kind) -> usize {
        let start = self.at as u32;
        self.nodes.push(Node {
            start,
            end: start,
            next: 0,
            kind,
        });
        self.nodes.len() - 1
    }

    /// Ends a node at the current place.
    pub(super) fn close(&mut self, node: usize) {
        let next = self.nodes.len() as u32;
        if let Some(node) = self.nodes.get_mut(node) {
            node.end = self.at as u32;
            node.next = next;
        }
    }

    /// Adds a node without children for the next bytes.
    pub(super) fn leaf(&mut self, kind: Kind, len: usize) {
        let node = self.open(kind);
        self.at += len;
        self.close(node);
    }

    /// Adds what pest has found in a piece of the text, without the nodes of the file and its end.
    pub(super) fn add(&mut self, piece: &Tree, start: usize) {
        let (start, first) = (start as u32, self.nodes.len() as u32 - 1);
        let last = piece.nodes.len() - 1;
        let inner = piece.nodes.iter().take(last).skip(1);
        self.nodes.extend(inner.map(|node| Node {
            start: node.start + start,
            end: node.end + start,
            next: node.next + first,
            kind: node.kind,
        }));
    }

    // ---- characters ---------------------------------------------------------------------------

    pub(super) fn rest(&self) -> &'t str {
        part(self.text, self.at..)
    }

    /// Returns the byte at a distance. Behind the end there are zeros, which no rule expects.
    pub(super) fn byte(&self, distance: usize) -> u8 {
        let bytes = self.text.as_bytes();
        bytes.get(self.at + distance).copied().unwrap_or_default()
    }

    /// Returns where the characters of a name end, and the single `joints` between them.
    pub(super) fn word_end(&self, start: usize, joints: &[u8]) -> usize {
        let mut end = start;
        loop {
            let bytes = self.text.as_bytes().get(self.at + end..);
            let mut bytes = bytes.unwrap_or_default().iter();
            end += bytes
                .by_ref()
                .take_while(|byte| is_name_char(**byte))
                .count();
            if !joints.contains(&self.byte(end)) || !is_name_char(self.byte(end + 1)) {
                return end;
            }
            end += 1;
        }
    }

    /// Returns the word at this place: a name without `-` and `.`, or nothing.
    pub(super) fn word(&self) -> &'t str {
        part(self.rest(), ..self.word_end(0, b""))
    }

    /// Skips `space*`.
    pub(super) fn spaces(&mut self) {
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\r' => self.at += 1,
                0xEF if self.rest().starts_with(SPACE) => self.at += '\u{feff}'.len_utf8(),
                _ => return,
            }
        }
    }

    /// Skips `space+`.
    pub(super) fn some_spaces(&mut self) -> Option<()> {
        let start = self.at;
        self.spaces();
        (self.at > start).then_some(())
    }

    pub(super) fn edge(&self) -> Option<()> {
        matches!(
            self.byte(0),
            b' ' | b'(' | b'[' | b'{' | b'"' | b'!' | b'\t' | b'\r'
        )
        .then_some(())
    }

    pub(super) fn comment(&mut self) {
        let rest = self.rest();
        let len = memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        self.leaf(Kind::comment, len);
    }

    /// Skips `trivia*`.
    pub(super) fn trivia(&mut self) {
        loop {
            self.gaps();
            if self.byte(0) != b'\n' {
                return;
            }
            self.at += 1;
        }
    }

    /// Skips `gap*`.
    pub(super) fn gaps(&mut self) {
        loop {
            self.spaces();
            match self.byte(0) {
                b'\n' if !is_item_start(part(self.text, self.at + 1..)) => self.at += 1,
                b'#' => self.comment(),
                _ => return,
            }
        }
    }
}

pub(super) fn starts_name(text: &str) -> bool {
    text.bytes().next().is_some_and(is_name_char)
}
