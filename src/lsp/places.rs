//! Places and names as the protocol has them: lines from 0 with columns in the negotiated unit, and URIs.

use crate::source::{SourceMap, Span, part};
use lsp_types::{Position, Range, Uri};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16,
}

impl Encoding {
    /// How many columns a text takes.
    pub fn width(self, text: &str) -> usize {
        match self {
            Encoding::Utf8 => text.len(),
            Encoding::Utf16 => text.encode_utf16().count(),
        }
    }

    /// The place of a byte offset.
    pub fn position(self, text: &str, offset: usize) -> Position {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = part(text, ..offset);
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Position::new(line as u32, self.width(part(before, start..)) as u32)
    }

    /// The byte offset of a place; one behind a line's end is that end.
    pub fn offset(self, text: &str, position: Position) -> usize {
        let mut start = 0;
        for _ in 0..position.line {
            match part(text, start..).find('\n') {
                Some(at) => start += at + 1,
                None => return text.len(),
            }
        }
        let line = part(text, start..);
        let line = part(line, ..line.find('\n').unwrap_or(line.len()));
        let mut width = 0;
        for (at, c) in line.char_indices() {
            if width >= position.character as usize {
                return start + at;
            }
            width += match self {
                Encoding::Utf8 => c.len_utf8(),
                Encoding::Utf16 => c.len_utf16(),
            };
        }
        start + line.len()
    }

    pub fn range(self, text: &str, start: usize, end: usize) -> Range {
        Range::new(self.position(text, start), self.position(text, end))
    }

    pub fn range_of(self, sources: &SourceMap, span: Span) -> Range {
        self.range(
            &sources.get(span.file).text,
            span.start as usize,
            span.end as usize,
        )
    }
}

/// The path of a `file:` URI.
pub fn path(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let rest = part(rest, rest.find('/')?..);
    let mut bytes = Vec::with_capacity(rest.len());
    let mut left = rest.bytes();
    while let Some(byte) = left.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [left.next()?, left.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    Some(PathBuf::from(String::from_utf8(bytes).ok()?))
}

/// The `file:` URI of an absolute path.
pub fn uri(path: &Path) -> Option<Uri> {
    let mut out = String::from("file://");
    for byte in path.to_str()?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte.into())
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Uri::from_str(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_both_units() {
        let text = "a\nü😀b";
        for (encoding, column) in [(Encoding::Utf8, 6), (Encoding::Utf16, 3)] {
            let position = encoding.position(text, 8);
            assert_eq!((position.line, position.character), (1, column));
            assert_eq!(encoding.offset(text, position), 8);
        }
        assert_eq!(Encoding::Utf16.offset(text, Position::new(0, 9)), 1);
        assert_eq!(
            Encoding::Utf16.offset(text, Position::new(9, 0)),
            text.len()
        );
    }

    #[test]
    fn uris_and_paths_are_each_others_inverse() {
        let place = Path::new("/a b/ü%/x.imgspec");
        let uri = uri(place).unwrap();
        assert_eq!(uri.as_str(), "file:///a%20b/%C3%BC%25/x.imgspec");
        assert_eq!(path(&uri).unwrap(), place);
    }
}
