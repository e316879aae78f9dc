//! Texts that are not parsed, because they exceed a limit. The place of what exceeds it is guessed from the text.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, MAX_DEPTH, MAX_STEPS, Span, part};
use rustc_hash::FxHashMap;

/// Returns whether a gap of a text costs too much: each open `if` looks for its `then` behind the gap.
pub(super) fn has_costly_gap(text: &str) -> bool {
    let least_ifs = (4 * MAX_STEPS).div_ceil(text.len().max(1));
    find_ifs(text).nth(least_ifs - 1).is_some() && find_costly_gap(text).is_some()
}

/// Returns the start and the length of a gap that costs too much.
fn find_costly_gap(text: &str) -> Option<(usize, usize)> {
    let (start, length) = longest_gap(text);
    let is_costly =
        length >= 4096 && length.saturating_mul(find_ifs(text).count()) >= 4 * MAX_STEPS;
    is_costly.then_some((start, length))
}

/// Returns why the parser has given a text up.
pub(super) fn explain(file: FileId, text: &str) -> Diagnostic {
    let place = |start: usize, end: usize| Span::new(file, start as u32, end as u32);
    if let Some((start, length)) = find_costly_gap(text) {
        let message = format!("{length} bytes of whitespace and comments follow each other");
        return Diagnostic::new(Code::Syntax, place(start, start), message)
            .label(NOT_READ)
            .help("remove a part of them");
    }
    if let Some((start, tag)) = find_unclosed_heredocs(text) {
        let message = format!("this heredoc has no closing line `{tag}`");
        return Diagnostic::new(Code::Unclosed, place(start, start + 2 + tag.len()), message)
            .label(NOT_READ)
            .help(format!("end it with a line that contains only `{tag}`"));
    }
    if let Some(at) = find_deepest(text) {
        let message = format!("nested more than {MAX_DEPTH} levels deep");
        return Diagnostic::new(Code::Syntax, place(at, at + 1), message)
            .label(NOT_READ)
            .help("move a part into another variable");
    }
    let message = format!("the parser needs more than {MAX_STEPS} steps for this file");
    Diagnostic::new(Code::Syntax, place(0, 0), message)
        .label(NOT_READ)
        .help("split it into several files")
}

const NOT_READ: &str = "imgspec does not read this file";

/// Returns the start and the length of the longest run of lines that contain only whitespace or a comment.
fn longest_gap(text: &str) -> (usize, usize) {
    let (mut longest, mut start, mut at) = ((0, 0), 0, 0);
    for line in text.split_inclusive('\n') {
        let rest = line.trim_start();
        let before = line.len() - rest.len();
        at += line.len();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        let end = at - line.len() + before;
        if end - start > longest.1 {
            longest = (start, end - start);
        }
        // A run can begin behind the text of a line.
        let inner = line.trim_end();
        let behind = longest_spaces(inner);
        if behind.1 > longest.1 {
            longest = (at - line.len() + behind.0, behind.1);
        }
        start = at - (line.len() - inner.len());
    }
    if at - start > longest.1 {
        longest = (start, at - start);
    }
    longest
}

/// Returns the start and the length of the longest run of spaces in a line.
fn longest_spaces(line: &str) -> (usize, usize) {
    let (mut longest, mut start) = ((0, 0), 0);
    for (at, byte) in line.bytes().enumerate() {
        if !matches!(byte, b' ' | b'\t' | b'\r') {
            if at - start > longest.1 {
                longest = (start, at - start);
            }
            start = at + 1;
        }
    }
    longest
}

/// Returns the places of what may be an `if`.
pub(super) fn find_ifs(text: &str) -> impl Iterator<Item = usize> {
    memchr::memmem::find_iter(text.as_bytes(), b"if")
}

/// Finds heredocs without a closing line, if the parser looks through more than [`MAX_STEPS`] bytes for their ends.
fn find_unclosed_heredocs(text: &str) -> Option<(usize, &str)> {
    let opened: Vec<(usize, &str)> = memchr::memmem::find_iter(text.as_bytes(), b"<<")
        .filter_map(|at| Some((at, tag_of(part(text, at + 2..))?)))
        .collect();
    let mut closed: FxHashMap<&str, usize> = opened.iter().map(|(_, tag)| (*tag, 0)).collect();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let word = line.trim_start();
        let word = part(word, ..word.find(|c| !is_word(c)).unwrap_or(word.len()));
        if let Some(last) = closed.get_mut(word) {
            *last = at;
        }
        at += line.len();
    }
    let mut unclosed = opened
        .iter()
        .filter(|(at, tag)| closed.get(tag).is_none_or(|last| last < at));
    let first = *unclosed.next()?;
    (unclosed.count().saturating_mul(text.len()) >= MAX_STEPS).then_some(first)
}

/// Returns the word of a heredoc, if one begins with this text.
fn tag_of(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    let word = line.trim_start_matches(['-', '~', ' ', '\'', '"']);
    let tag = part(word, ..word.find(|c| !is_word(c)).unwrap_or(word.len()));
    (!tag.is_empty()).then_some(tag)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns the offset of the first bracket, `if` or `not` inside more than [`MAX_DEPTH`] others.
fn find_deepest(text: &str) -> Option<usize> {
    let (mut depth, mut words) = (0_usize, 0_usize);
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth = depth.saturating_sub(1),
            b'\n' => words = 0,
            b'!' => words += 1,
            b'i' if part(text, at..).starts_with("if") => words += 1,
            b'n' if part(text, at..).starts_with("not") => words += 1,
            _ => {}
        }
        if depth + words > MAX_DEPTH {
            return Some(at);
        }
        at += 1;
    }
    None
}
