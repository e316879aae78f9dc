//! `parse`: every text has a tree that spells it, and the shortcut for ordinary text gives the tree of the grammar.

use imgspec::source::{FileId, Span};
use imgspec::syntax;

/// Parses a text: the tree is nested and spells the text, it is the one that the grammar alone gives, and each diagnostic
/// is at a place of the text.
pub fn parse(data: &[u8]) {
    let text = &*super::text(data);
    let parse = syntax::parse(FileId(0), text);
    check_tree(text, &parse.tree);
    check_shortcut(text);
    for diagnostic in &parse.diagnostics {
        for label in diagnostic.related.iter().chain([&diagnostic.primary]) {
            check_span(text, label.span);
        }
        for (span, _) in diagnostic.fixes.iter().flat_map(|fix| &fix.edits) {
            check_span(text, *span);
        }
        assert!(!diagnostic.message.is_empty());
    }
    // A line costs at most a few diagnostics, so that a damaged file does not flood a terminal.
    assert!(
        parse.diagnostics.len() <= 4 + 4 * text.lines().count(),
        "{} diagnostics",
        parse.diagnostics.len()
    );
    // `--set` reads the same text as one setting.
    if let Some((_, diagnostics)) = syntax::parse_setting(FileId(0), text) {
        for diagnostic in diagnostics {
            check_span(text, diagnostic.primary.span);
        }
    }
}

/// Compares the tree of a text with the one that the grammar alone gives.
fn check_shortcut(text: &str) {
    let Some(expected) = syntax::parse_by_grammar(text) else {
        return;
    };
    let tree = syntax::parse_tree(text);
    let len = tree.len().max(expected.len());
    let node = |tree: &syntax::Tree, at| (at < tree.len()).then(|| tree.node(at));
    for at in 0..len {
        let (found, expected) = (node(&tree, at), node(&expected, at));
        assert_eq!(found, expected, "node {at} of {text:?}");
    }
}

fn check_tree(text: &str, tree: &syntax::Tree) {
    let mut at = 0;
    for (kind, start, end) in tree.leaves(text.len() as u32) {
        assert_eq!(start, at, "leaves overlap or leave a gap");
        let slice = &text[start as usize..end as usize];
        assert!(
            kind.is_some() || is_punctuation(slice),
            "{slice:?} is text that no leaf has"
        );
        at = end;
    }
    assert_eq!(at as usize, text.len());
    // A child is inside its parent.
    let mut open: Vec<(usize, u32)> = Vec::new();
    for index in 0..tree.len() {
        let node = tree.node(index);
        while open.pop_if(|(next, _)| *next <= index).is_some() {}
        let end = open.last().map_or(text.len() as u32, |(_, end)| *end);
        assert!(
            node.start <= node.end && node.end <= end,
            "{node:?} ends after its parent"
        );
        assert!(index < node.next as usize && node.next as usize <= tree.len());
        open.push((node.next as usize, node.end));
    }
}

pub(super) fn check_span(text: &str, span: Span) {
    assert!(
        span.start <= span.end && span.end as usize <= text.len(),
        "{span:?}"
    );
    let is_boundary = |at: u32| text.is_char_boundary(at as usize);
    assert!(is_boundary(span.start) && is_boundary(span.end), "{span:?}");
}

/// Between leaves are only whitespace, punctuation and the words of the grammar.
fn is_punctuation(gap: &str) -> bool {
    const WORDS: [&str; 21] = [
        "include", "as", "type", "matching", "variable", "extends", "final", "unset", "when",
        "axis", "in", "assert", "if", "test", "waive", "for", "because", "until", "expect", "at",
        "snapshot",
    ];
    let is_word = |word: &str| word.is_empty() || WORDS.contains(&word);
    let is_mark = |c: char| " \t\r\n\u{feff}{}[]()=,:|$\"".contains(c);
    gap.split(|c: char| !c.is_ascii_alphabetic()).all(is_word)
        && gap.chars().all(|c| c.is_ascii_alphabetic() || is_mark(c))
}
