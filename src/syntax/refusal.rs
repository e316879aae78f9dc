//! Texts that are not parsed, because they exceed a limit. The place of what exceeds it is guessed from the text.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, MAX_DEPTH, MAX_FILE, MAX_STEPS, Span, part};
use rustc_hash::FxHashMap;

/// The reason why a text is not parsed.
pub(super) struct Refusal {
    code: Code,
    start: usize,
    end: usize,
    message: String,
    help: String,
}

impl Refusal {
    fn new(start: usize, end: usize, message: String, help: &str) -> Refusal {
        Refusal {
            code: Code::Syntax,
            start,
            end,
            message,
            help: help.to_owned(),
        }
    }

    /// Returns the diagnostic for a file.
    pub(super) fn diagnostic(self, file: FileId) -> Diagnostic {
        let span = Span::new(file, self.start as u32, self.end as u32);
        Diagnostic::new(self.code, span, self.message)
            .label("imgspec does not read this file")
            .help(self.help)
    }
}

/// Returns why a text is not given to the parser.
pub(super) fn before(text: &str) -> Option<Refusal> {
    if text.len() as u64 > MAX_FILE {
        let message = format!("this spec is larger than {} MiB", MAX_FILE >> 20);
        return Some(Refusal::new(0, 0, message, "split it into several files"));
    }
    let (start, length) = longest_gap(text);
    // Each open `if` looks for its `then` behind the gap.
    if length > 4096 && length.saturating_mul(count_ifs(text)) > MAX_STEPS {
        let message = format!("{length} bytes of whitespace and comments follow each other");
        return Some(Refusal::new(start, start, message, "remove a part of them"));
    }
    None
}

/// Returns why the parser has given a text up.
pub(super) fn after(text: &str) -> Refusal {
    if let Some(refusal) = find_unclosed_heredocs(text) {
        return refusal;
    }
    match find_deepest(text) {
        Some(at) => Refusal::new(
            at,
            at + 1,
            format!("nested more than {MAX_DEPTH} levels deep"),
            "move a part into another variable",
        ),
        None => Refusal::new(
            0,
            0,
            format!("the parser needs more than {MAX_STEPS} steps for this file"),
            "split it into several files",
        ),
    }
}

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

fn count_ifs(text: &str) -> usize {
    memchr::memmem::find_iter(text.as_bytes(), b"if").count()
}

/// Finds heredocs without a closing line, if the parser looks through more than [`MAX_STEPS`] bytes for their ends.
fn find_unclosed_heredocs(text: &str) -> Option<Refusal> {
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
    let (start, tag) = *unclosed.next()?;
    if unclosed.count().saturating_mul(text.len()) < MAX_STEPS {
        return None;
    }
    Some(Refusal {
        code: Code::Unclosed,
        start,
        end: start + 2 + tag.len(),
        message: format!("this heredoc has no closing line `{tag}`"),
        help: format!("end it with a line that contains only `{tag}`"),
    })
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
