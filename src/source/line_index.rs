//! Conversion of byte offsets to lines and columns.

use std::ops::Range;

/// A position in a text, as editors display it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
}

/// The byte offsets at which the lines of a text begin.
#[derive(Debug)]
pub struct LineIndex {
    starts: Vec<u32>,
}

impl LineIndex {
    /// Finds the lines of a text.
    pub fn new(text: &str) -> LineIndex {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i as u32 + 1));
        LineIndex { starts }
    }

    /// Returns the index of the line that contains a byte offset, from 0.
    pub fn line_at(&self, offset: u32) -> usize {
        self.starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// Returns the byte range of a line, including its line end. Returns `None` if the text has no such line.
    pub fn range(&self, line: usize, text_len: usize) -> Option<Range<usize>> {
        let start = *self.starts.get(line)? as usize;
        Some(
            start
                ..self
                    .starts
                    .get(line + 1)
                    .map_or(text_len, |end| *end as usize),
        )
    }

    /// Returns the position of a byte offset. An offset inside a character counts as the start of that character.
    pub fn position(&self, text: &str, offset: u32) -> LineColumn {
        let offset = offset.min(text.len() as u32);
        let line = self.line_at(offset);
        let start = self.starts.get(line).map_or(0, |start| *start as usize);
        let before = text.as_bytes().get(start..offset as usize).unwrap_or(&[]);
        // Skips UTF-8 continuation bytes.
        let column = before.iter().filter(|b| (**b & 0xC0) != 0x80).count();
        LineColumn {
            line: line as u32 + 1,
            column: column as u32 + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_from_one() {
        let text = "aé\nb\n";
        let index = LineIndex::new(text);
        let at = |o| {
            let p = index.position(text, o);
            (p.line, p.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 3));
        assert_eq!(at(4), (2, 1));
        assert_eq!(at(6), (3, 1));
        assert_eq!(at(99), (3, 1));
    }
}
