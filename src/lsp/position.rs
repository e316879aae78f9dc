//! Positions and URIs of the protocol: lines from 0 with columns in the negotiated unit, and files by URI.

use crate::source::{LineIndex, SourceMap, Span, part};
use lsp_types::{Position, Range, Uri};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use url::Url;

/// What a column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PositionEncoding {
    Utf8,
    Utf16,
}

impl PositionEncoding {
    /// The byte offset of a position. [`Positions`] finds several in one text.
    pub(super) fn offset(self, text: &str, position: Position) -> usize {
        Positions::new(text, &LineIndex::new(text), self).offset(position)
    }

    pub(super) fn range(self, text: &str, start: usize, end: usize) -> Range {
        Positions::new(text, &LineIndex::new(text), self).range(start, end)
    }

    /// The range of a place in a source text.
    pub(super) fn range_of(self, sources: &SourceMap, span: Span) -> Range {
        let source = sources.get(span.file);
        Positions::new(&source.text, source.lines(), self).range_of(span)
    }
}

/// The positions in one text, whose lines are counted once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Positions<'t> {
    text: &'t str,
    lines: &'t LineIndex,
    encoding: PositionEncoding,
}

impl<'t> Positions<'t> {
    pub(super) fn new(
        text: &'t str,
        lines: &'t LineIndex,
        encoding: PositionEncoding,
    ) -> Positions<'t> {
        Positions {
            text,
            lines,
            encoding,
        }
    }

    /// The position of a byte offset. An offset inside a character gives the character's own.
    pub(super) fn position(self, offset: usize) -> Position {
        let (line, units) = self.lines.units(self.text, offset as u32);
        let column = match self.encoding {
            PositionEncoding::Utf16 => units,
            PositionEncoding::Utf8 => {
                let start = self.lines.range(line, self.text.len());
                let mut offset = offset.min(self.text.len());
                while !self.text.is_char_boundary(offset) {
                    offset -= 1;
                }
                offset - start.map_or(0, |range| range.start)
            }
        };
        Position::new(line as u32, column as u32)
    }

    /// The number of columns of a text on one line.
    pub(super) fn width(self, text: &str) -> usize {
        match self.encoding {
            PositionEncoding::Utf8 => text.len(),
            PositionEncoding::Utf16 => text.encode_utf16().count(),
        }
    }

    /// The byte offset of a position. A column behind the end of a line gives that end, and a line behind the last one
    /// the end of the text.
    pub(super) fn offset(self, position: Position) -> usize {
        let Some(range) = self.lines.range(position.line as usize, self.text.len()) else {
            return self.text.len();
        };
        let line = part(self.text, range.clone()).trim_end_matches('\n');
        let mut width = 0;
        for (at, c) in line.char_indices() {
            if width >= position.character as usize {
                return range.start + at;
            }
            width += match self.encoding {
                PositionEncoding::Utf8 => c.len_utf8(),
                PositionEncoding::Utf16 => c.len_utf16(),
            };
        }
        range.start + line.len()
    }

    pub(super) fn range(self, start: usize, end: usize) -> Range {
        Range::new(self.position(start), self.position(end))
    }

    pub(super) fn range_of(self, span: Span) -> Range {
        self.range(span.start as usize, span.end as usize)
    }
}

/// The folder of documents that have no file yet. It does not exist.
const UNTITLED: &str = "/untitled:";

/// The path of a `file:` URI of this machine. A document without a file, `untitled:NAME`, gets a path that no file has: a
/// spec in a folder of its own.
pub(super) fn path(uri: &Uri) -> Option<PathBuf> {
    let url = Url::parse(uri.as_str()).ok()?;
    match url.scheme() {
        "file" => return url.to_file_path().ok(),
        "untitled" => {}
        _ => return None,
    }
    let name = uri.as_str().get("untitled:".len()..)?;
    // The name is one part of the path, whatever it contains.
    let name = name.replace('%', "%25").replace('/', "%2F");
    Some(Path::new(UNTITLED).join(format!("{name}.imgspec")))
}

/// The `file:` URI of an absolute path, in the spelling of editors: everything is escaped that RFC 3986 does not call
/// unreserved. [`Url`] leaves more characters as they are, some of which a URI may not contain.
pub(super) fn uri(path: &Path) -> Option<Uri> {
    if let Ok(name) = path.strip_prefix(UNTITLED) {
        let name = name.to_str()?.strip_suffix(".imgspec")?;
        let name = name.replace("%2F", "/").replace("%25", "%");
        return Uri::from_str(&format!("untitled:{name}")).ok();
    }
    let url = Url::from_file_path(path).ok()?;
    let mut out = String::from("file://");
    for c in url.path().chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '/' | '-' | '_' | '.' | '~' | '%' => out.push(c),
            _ => out.push_str(&format!("%{:02X}", u32::from(c))),
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
        for (encoding, column) in [(PositionEncoding::Utf8, 6), (PositionEncoding::Utf16, 3)] {
            let lines = LineIndex::new(text);
            let position = Positions::new(text, &lines, encoding).position(8);
            assert_eq!((position.line, position.character), (1, column));
            assert_eq!(encoding.offset(text, position), 8);
        }
        assert_eq!(PositionEncoding::Utf16.offset(text, Position::new(0, 9)), 1);
        assert_eq!(
            PositionEncoding::Utf16.offset(text, Position::new(9, 0)),
            text.len()
        );
    }

    #[test]
    fn uris_and_paths_are_each_others_inverse() {
        let written = [
            ("/a b/ü%/x.imgspec", "file:///a%20b/%C3%BC%25/x.imgspec"),
            (
                "/a[1]|^{}(+&)@:;/x",
                "file:///a%5B1%5D%7C%5E%7B%7D%28%2B%26%29%40%3A%3B/x",
            ),
        ];
        for (name, expected) in written {
            let uri = uri(Path::new(name)).unwrap();
            assert_eq!(uri.as_str(), expected);
            assert_eq!(path(&uri).unwrap(), Path::new(name));
        }
    }

    #[test]
    fn only_files_of_this_machine_have_a_path() {
        let path = |uri| path(&Uri::from_str(uri).unwrap());
        assert_eq!(path("file://localhost/a").unwrap(), Path::new("/a"));
        assert_eq!(path("file:///a/../b").unwrap(), Path::new("/b"));
        assert_eq!(path("file://elsewhere/a"), None);
        assert_eq!(path("vscode-notebook:/a"), None);
    }

    #[test]
    fn documents_without_a_file_have_a_path() {
        for text in [
            "untitled:Untitled-1",
            "untitled:/p/a%20b.imgspec",
            "untitled:a/b%2F%25",
        ] {
            let address = Uri::from_str(text).unwrap();
            let path = path(&address).unwrap();
            assert_eq!(path.parent(), Some(Path::new("/untitled:")), "{text}");
            assert_eq!(uri(&path).unwrap().as_str(), text);
        }
    }
}
