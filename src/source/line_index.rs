//! Byte offsets to lines and columns.

use std::ops::Range;

/// A place in a text as people count it: line and column from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    pub line: u32,
    pub column: u32,
}

/// The offsets at which the lines of a text begin.
#[derive(Debug)]
pub struct LineIndex {
    starts: Vec<u32>,
}

impl LineIndex {
    pub fn new(text: &str) -> LineIndex {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i as u32 + 1));
        LineIndex { starts }
    }

    /// The index of the line that holds a byte offset.
    pub fn line_at(&self, offset: u32) -> usize {
        self.starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// A line's range of bytes with its line end, in a text of this length; none where there is no such line.
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

    /// The place of a byte offset; an offset inside a character counts as that character's start.
    pub fn position(&self, text: &str, offset: u32) -> LineColumn {
        let offset = offset.min(text.len() as u32);
        let line = self.line_at(offset);
        let start = self.starts.get(line).map_or(0, |start| *start as usize);
        let before = text.as_bytes().get(start..offset as usize).unwrap_or(&[]);
        // Bytes that continue a character do not count.
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
