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

/// How many bytes of a line are counted at most to find a column.
const STRIDE: usize = 512;

/// The byte offsets at which the lines of a text begin.
#[derive(Debug)]
pub struct LineIndex {
    starts: Vec<u32>,
    /// Places in long lines, in order, one in each [`STRIDE`] bytes. A column of a line with megabytes would take a
    /// millisecond to count, and such a line has many names.
    marks: Vec<Mark>,
}

/// A byte offset in a line, and what the line has before it.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    offset: u32,
    characters: u32,
    /// Of UTF-16.
    units: u32,
}

impl Mark {
    /// Returns the mark behind a part of the line that begins here.
    fn after(self, part: &[u8]) -> Mark {
        // Neither counts UTF-8 continuation bytes. A character of four bytes takes two units.
        let characters = part.iter().filter(|b| (**b & 0xC0) != 0x80).count() as u32;
        let pairs = part.iter().filter(|b| **b >= 0xF0).count() as u32;
        Mark {
            offset: self.offset + part.len() as u32,
            characters: self.characters + characters,
            units: self.units + characters + pairs,
        }
    }
}

impl LineIndex {
    /// Finds the lines of a text.
    pub fn new(text: &str) -> LineIndex {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i as u32 + 1));
        let mut marks = Vec::new();
        let ends = starts.iter().skip(1).map(|end| *end as usize);
        let ends = ends.chain([text.len()]);
        for (start, end) in starts.iter().zip(ends) {
            let line = text.as_bytes().get(*start as usize..end).unwrap_or(&[]);
            if line.len() > STRIDE {
                let mut mark = Mark {
                    offset: *start,
                    ..Mark::default()
                };
                marks.extend(line.chunks_exact(STRIDE).map(|part| {
                    mark = mark.after(part);
                    mark
                }));
            }
        }
        LineIndex { starts, marks }
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
        let (line, mark) = self.count(text, offset);
        LineColumn {
            line: line as u32 + 1,
            column: mark.characters + 1,
        }
    }

    /// Returns the line of a byte offset, from 0, and the UTF-16 units between the start of that line and the offset.
    pub fn units(&self, text: &str, offset: u32) -> (usize, usize) {
        let (line, mark) = self.count(text, offset);
        (line, mark.units as usize)
    }

    fn count(&self, text: &str, offset: u32) -> (usize, Mark) {
        let mut offset = offset.min(text.len() as u32) as usize;
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_at(offset as u32);
        let start = Mark {
            offset: self.starts.get(line).copied().unwrap_or_default(),
            ..Mark::default()
        };
        let behind = self
            .marks
            .partition_point(|mark| mark.offset as usize <= offset);
        let last = behind.checked_sub(1).and_then(|at| self.marks.get(at));
        let mark = last.filter(|mark| mark.offset > start.offset);
        let mark = mark.copied().unwrap_or(start);
        let rest = text.as_bytes().get(mark.offset as usize..offset);
        (line, mark.after(rest.unwrap_or(&[])))
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

    #[test]
    fn counts_the_same_in_long_lines() {
        let long: String = "aé€😀".repeat(1000);
        let text = format!("{long}\nb{long}\n{long}");
        let index = LineIndex::new(&text);
        let (mut line, mut column, mut units) = (1, 1, 0);
        for (at, c) in text.char_indices() {
            let found = index.position(&text, at as u32);
            assert_eq!((found.line, found.column), (line, column), "at {at}");
            let found = index.units(&text, at as u32);
            assert_eq!(found, (line as usize - 1, units), "at {at}");
            (line, column, units) = match c {
                '\n' => (line + 1, 1, 0),
                _ => (line, column + 1, units + c.len_utf16()),
            };
        }
    }
}
