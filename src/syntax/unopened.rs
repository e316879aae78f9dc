//! A heredoc without its first line: its text is read as statements, so that each line of it may be an error. Its last line
//! shows what happened, and is reported alone.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Span, part};
use crate::syntax::tree::{Kind, Tree};
use std::ops::Range;

/// Replaces the syntax errors of each item with the last line of an unopened heredoc by one about that line. Returns where
/// the replaced ones begin.
pub(crate) fn merge(
    file: FileId,
    text: &str,
    tree: &Tree,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<u32> {
    if diagnostics.len() < 2 {
        return Vec::new();
    }
    let starts = find_starts(tree);
    let mut replaced = Vec::new();
    let mut at = 0;
    while let Some(first) = diagnostics.get(at) {
        let item = item_around(text, &starts, first.primary.span.start as usize);
        let is_in_item = |found: &Diagnostic| item.contains(&(found.primary.span.start as usize));
        let rest = diagnostics.get(at..).unwrap_or_default();
        let count = rest.iter().take_while(|found| is_in_item(found)).count();
        // One error is told better by itself.
        let closing = (count > 1).then(|| find_closing_line(text, &item));
        if let Some((start, word)) = closing.flatten() {
            let span = Span::new(file, start as u32, (start + word.len()) as u32);
            let found = Diagnostic::new(Code::Syntax, span, format!("`{word}` ends no heredoc"));
            let found = found.help(format!(
                "begin the heredoc with `<<{word}` in the setting that it belongs to, as in `name = <<{word}`"
            ));
            let told = diagnostics.splice(at..at + count, [found]);
            replaced.extend(told.map(|found| found.primary.span.start));
            at += 1;
        } else {
            at += count.max(1);
        }
    }
    replaced
}

/// The first line of an item that is a word in capitals alone and ends no heredoc of the item, with its place.
fn find_closing_line<'t>(text: &'t str, item: &Range<usize>) -> Option<(usize, &'t str)> {
    let whole = part(text, item.start..item.end.min(text.len()));
    let mut start = item.start;
    for line in whole.split_inclusive('\n') {
        let word = line.trim();
        let is_tag = word.len() > 1
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let begins = |before: &str| {
            let before = before.trim_end_matches(['\'', '"']);
            before.ends_with(word) && before.trim_end_matches(word).ends_with(['<', '\'', '"'])
        };
        let before = part(text, item.start..start);
        if is_tag && !before.lines().any(|line| begins(line.trim_end())) {
            return Some((start + (line.len() - line.trim_start().len()), word));
        }
        start += line.len();
    }
    None
}

/// Returns where the items begin.
fn find_starts(tree: &Tree) -> Vec<usize> {
    let nodes = tree.children(0).map(|at| tree.node(at));
    let items =
        nodes.filter(|node| !matches!(node.kind, Kind::comment | Kind::junk_item | Kind::EOI));
    items.map(|node| node.start as usize).collect()
}

/// The item around a place: to where the next one begins.
fn item_around(text: &str, starts: &[usize], at: usize) -> Range<usize> {
    let (before, behind) = starts.split_at(starts.partition_point(|start| *start <= at));
    let start = before.last().copied().unwrap_or(0);
    start..behind.first().copied().unwrap_or(text.len() + 1)
}
