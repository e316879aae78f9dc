//! Escapes for text from users. Invisible characters, and those that control a terminal, become visible.
//!
//! The reader of a diagnostic is often not the author of the spec. A control character in a name, a string or a path
//! could move the cursor, hide a line or set the title of the window. A direction override displays the text in a
//! misleading order ("Trojan Source", CVE-2021-42574). These characters are printed like `\u{1b}`, the language's own
//! escape.

use crate::source::{LineIndex, MAX_SHOWN};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

/// Returns whether a character is invisible or controls a terminal: controls, line separators, and Unicode's
/// `Default_Ignorable_Code_Point`, such as direction overrides, joiners, selectors and tags.
pub fn is_unseen(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        ' '..='~' => false,
        _ if c.is_control() => true,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Returns whether a character changes the direction of the text after it: Unicode's embeddings, overrides and isolates.
pub fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes invisible characters in a text of several lines.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

/// Escapes invisible characters and line ends in a name or a sentence, so that it stays on one line.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n' || is_unseen(c))
}

fn escaped(text: &str, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !has(text, &is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            push_escape(&mut out, c)
        } else {
            out.push(c)
        }
    }
    Cow::Owned(out)
}

/// Whether a text has such a character. Texts of many megabytes are printed, most of them in ASCII.
fn has(text: &str, is_hidden: impl Fn(char) -> bool) -> bool {
    let is_plain = |line: &str| line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_hidden('\n') && text.contains('\n'))
        || text
            .split('\n')
            .any(|line| !is_plain(line) && line.contains(&is_hidden))
}

fn push_escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        c => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
}

/// Escapes invisible characters in a JSON text as `\u009b`, which keeps its value. JSON requires this only for the
/// first 32 characters.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    if !has(json, is_unseen) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c)
        }
    }
    Cow::Owned(out)
}

/// A source text for excerpts, with invisible characters escaped. Maps offsets between the source and this text.
#[derive(Debug)]
pub struct Shown {
    /// The text with escapes.
    pub text: Arc<str>,
    /// The offsets after each change: in the source, and in `text`.
    steps: Vec<(u32, u32)>,
    lines: OnceLock<LineIndex>,
}

impl Shown {
    /// Escapes a text. Removes a byte order mark, the carriage returns of line ends, and what is behind [`MAX_SHOWN`]
    /// characters of a line.
    pub(super) fn new(text: Arc<str>) -> Shown {
        if !text.contains(is_unseen) && !text.split('\n').any(|line| line.len() > MAX_SHOWN) {
            return Shown {
                text,
                steps: Vec::new(),
                lines: OnceLock::new(),
            };
        }
        let mut out = String::with_capacity(text.len() + 64);
        let mut steps = Vec::new();
        let mut column = 0;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            column = if c == '\n' { 0 } else { column + 1 };
            if column > MAX_SHOWN {
                if column == MAX_SHOWN + 1 {
                    out.push('…');
                    steps.push((at as u32, out.len() as u32));
                }
                if chars.peek().is_none_or(|(_, next)| *next == '\n') {
                    steps.push(((at + c.len_utf8()) as u32, out.len() as u32));
                }
                continue;
            }
            if !is_unseen(c) {
                out.push(c);
                continue;
            }
            let is_line_end = c == '\r' && chars.peek().is_some_and(|(_, next)| *next == '\n');
            let is_mark = c == '\u{feff}' && at == 0;
            if !is_line_end && !is_mark {
                push_escape(&mut out, c);
            }
            steps.push(((at + c.len_utf8()) as u32, out.len() as u32));
        }
        Shown {
            text: out.into(),
            steps,
            lines: OnceLock::new(),
        }
    }

    /// Returns the offset in `text` of an offset in the source.
    pub fn offset(&self, source: u32) -> u32 {
        let behind = self.steps.partition_point(|(from, _)| *from <= source);
        let here = match self.steps.get(..behind) {
            Some([.., (from, here)]) => here + (source - from),
            _ => source,
        };
        // An offset in the part of a line that is left out means its end.
        self.steps.get(behind).map_or(here, |(_, to)| here.min(*to))
    }

    /// Returns the offset in the source of an offset in `text`.
    pub fn source_offset(&self, here: u32) -> u32 {
        let behind = self.steps.partition_point(|(_, to)| *to <= here);
        let source = match self.steps.get(..behind) {
            Some([.., (source, to)]) => source + (here - to),
            _ => here,
        };
        // An offset inside an escape means the character before the end of the escape.
        self.steps
            .get(behind)
            .map_or(source, |(next, _)| source.min(next.saturating_sub(1)))
    }

    /// Returns the line index of `text`. Computes it on the first call.
    pub fn lines(&self) -> &LineIndex {
        self.lines.get_or_init(|| LineIndex::new(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_escapes_invisible_characters() {
        assert_eq!(
            visible("a\u{1b}[31m\tb\nc\r\u{9b}"),
            "a\\u{1b}[31m\tb\nc\\u{d}\\u{9b}"
        );
        assert_eq!(
            visible("\u{202e}\u{200b}\u{e0041}é漢"),
            "\\u{202e}\\u{200b}\\u{e0041}é漢"
        );
        assert_eq!(visible_line("a\nb"), "a\\nb");
        assert!(matches!(visible("plain é\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn visible_json_keeps_the_value() {
        let text = "\u{1b}\u{9b}\u{7f}\u{202e}\u{e0041}é\n";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let shown = visible_json(&json);
        assert!(!shown.contains(is_unseen));
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
    }

    #[test]
    fn the_rest_of_a_long_line_is_left_out() {
        let long = "é".repeat(MAX_SHOWN + 9);
        let source = format!("{long}\nb\n{long}");
        let shown = Shown::new(source.as_str().into());
        let cut = format!("{}…", "é".repeat(MAX_SHOWN));
        assert_eq!(*shown.text, format!("{cut}\nb\n{cut}"));
        for (at, c) in source.char_indices() {
            let here = shown.offset(at as u32) as usize;
            assert!(shown.text.is_char_boundary(here) || here == shown.text.len());
            if !matches!(c, 'é') {
                assert!(shown.text.get(here..).unwrap().starts_with(c), "{at}");
            }
        }
    }

    #[test]
    fn offsets_convert_in_both_directions() {
        let source = "\u{feff}ab\u{1b}c\r\n\u{202e}d\r";
        let shown = Shown::new(source.into());
        assert_eq!(&*shown.text, "ab\\u{1b}c\n\\u{202e}d\\u{d}");
        for (at, c) in source.char_indices() {
            let here = shown.offset(at as u32);
            let left_out = matches!((at, c), (0, _) | (7, '\r'));
            if !left_out {
                assert_eq!(shown.source_offset(here), at as u32, "{c:?}");
            }
            if !is_unseen(c) {
                assert!(
                    shown.text.get(here as usize..).unwrap().starts_with(c),
                    "{c:?}"
                );
            }
        }
        assert_eq!(shown.offset(source.len() as u32), shown.text.len() as u32);
        // An offset inside an escape.
        assert_eq!(shown.source_offset(4), 5);
    }
}
