//! What belongs together in a file: selections that grow, other uses of a name, and the two words of a heredoc.

use crate::lsp::goto::definition;
use crate::lsp::marked::path_to;
use crate::lsp::navigation::{allowed, for_each_name, name_or_comment_at};
use crate::lsp::position::Positions;
use crate::lsp::workspace::Spec;
use crate::source::{Span, part};
use crate::syntax::{Kind, Tree};
use lsp_types::{
    DocumentHighlight, DocumentHighlightKind, LinkedEditingRanges, Range, SelectionRange,
};

/// The ranges around an offset: the word, then each node of the tree, the whole text last.
pub(super) fn selection(
    text: &str,
    tree: &Tree,
    offset: usize,
    positions: Positions<'_>,
) -> SelectionRange {
    let mut ranges: Vec<(usize, usize)> = vec![(0, text.len())];
    let path = path_to(tree, offset, offset);
    ranges.extend(path.iter().map(|at| {
        let node = tree.node(*at);
        (node.start as usize, node.end as usize)
    }));
    let inner = path
        .last()
        .filter(|at| tree.node(**at).kind == Kind::heredoc);
    if let Some(at) = inner {
        let nodes = tree.heredoc(*at, text);
        let around = nodes
            .iter()
            .map(|node| (node.start as usize, node.end as usize))
            .filter(|(start, end)| *start <= offset && offset <= *end);
        ranges.extend(around);
    }
    // Without the quotes or brackets.
    if let Some((start, end)) = ranges.last().copied() {
        let (first, last) = (
            part(text, start..start + 1),
            part(text, end.saturating_sub(1)..end),
        );
        let is_pair = matches!(
            (first, last),
            ("\"", "\"") | ("'", "'") | ("[", "]") | ("{", "}") | ("(", ")")
        );
        if is_pair && start < offset && offset < end {
            ranges.push((start + 1, end - 1));
        }
    }
    ranges.push(word_around(text, offset));
    let mut found: Option<SelectionRange> = None;
    let mut last = (usize::MAX, usize::MAX);
    for range in ranges {
        let is_inside = last.0 == usize::MAX || last.0 <= range.0 && range.1 <= last.1;
        if range == last || !is_inside || range.0 == range.1 && range.0 != offset {
            continue;
        }
        last = range;
        found = Some(SelectionRange {
            range: positions.range(range.0, range.1),
            parent: found.map(Box::new),
        });
    }
    let nowhere = SelectionRange {
        range: Range::default(),
        parent: None,
    };
    found.unwrap_or(nowhere)
}

/// The word around an offset; nothing but the offset where there is none.
fn word_around(text: &str, offset: usize) -> (usize, usize) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let before = part(text, ..offset);
    let start = before.trim_end_matches(is_word).len();
    let behind = part(text, offset..);
    let end = offset + behind.find(|c| !is_word(c)).unwrap_or(behind.len());
    (start, end)
}

/// The places in a file that name what the name at an offset names.
pub(super) fn highlights(
    spec: &Spec,
    offset: u32,
    positions: Positions<'_>,
) -> Option<Vec<DocumentHighlight>> {
    let ast = &spec.syntax().file;
    let (subject, _) = name_or_comment_at(&spec.program, ast, spec.file, offset)?;
    let defined = definition(&spec.program, spec.file, subject);
    let mut out = Vec::new();
    let mut see = |named, span| {
        let is_it = named == subject
            || std::mem::discriminant(&named) == std::mem::discriminant(&subject)
                && defined.is_some()
                && definition(&spec.program, spec.file, named) == defined;
        if is_it {
            let kind = if is_written(&spec.text, span) || defined == Some(span) {
                DocumentHighlightKind::WRITE
            } else {
                DocumentHighlightKind::READ
            };
            out.push(DocumentHighlight {
                range: positions.range_of(span),
                kind: Some(kind),
            });
        }
    };
    for_each_name(ast, &mut see);
    allowed(&spec.program, spec.file).for_each(|(named, span)| see(named, span));
    Some(out)
}

/// True for the name in a setting.
fn is_written(text: &str, name: Span) -> bool {
    let behind = part(text, name.end as usize..).trim_start_matches([' ', '\t']);
    let is_set = behind.starts_with('=') && !behind.starts_with("==");
    is_set || behind.starts_with("+=") || behind.starts_with("-=")
}

/// The two words of the heredoc that has one of them at an offset.
pub(super) fn linked(
    text: &str,
    tree: &Tree,
    offset: usize,
    positions: Positions<'_>,
) -> Option<LinkedEditingRanges> {
    let path = path_to(tree, offset, offset);
    let node = tree.node(*path.last()?);
    if node.kind != Kind::heredoc {
        return None;
    }
    let slice = part(text, node.start as usize..node.end as usize);
    let head = slice.strip_prefix("<<")?;
    let quote = usize::from(head.starts_with('\''));
    let word = part(head, quote..);
    let len = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let start = node.start as usize + 2 + quote;
    let end = node.end as usize;
    let ranges = [(start, start + len), (end - len, end)];
    let is_in = |(from, to): &(usize, usize)| *from <= offset && offset <= *to;
    ranges.iter().any(is_in).then(|| LinkedEditingRanges {
        ranges: ranges.map(|(from, to)| positions.range(from, to)).to_vec(),
        word_pattern: Some("[A-Z][A-Z0-9_]*".to_owned()),
    })
}
