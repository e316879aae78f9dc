//! Folding: what an editor can hide below its first line.

use crate::lsp::position::Positions;
use crate::source::part;
use crate::syntax::{Kind, Tree};
use lsp_types::{FoldingRange, FoldingRangeKind};

/// Blocks, lists and strings of several lines, and comments on successive lines.
pub(super) fn folds(text: &str, tree: &Tree, positions: Positions<'_>) -> Vec<FoldingRange> {
    let mut out: Vec<FoldingRange> = Vec::new();
    let mut push = |start: u32, end: u32, kind: FoldingRangeKind| {
        let range = positions.range(start as usize, end as usize);
        if range.start.line < range.end.line
            && out.last().is_none_or(|l| l.start_line != range.start.line)
        {
            out.push(FoldingRange {
                start_line: range.start.line,
                end_line: range.end.line,
                kind: Some(kind),
                ..FoldingRange::default()
            });
        }
    };
    let mut comments: Option<(u32, u32)> = None;
    for at in 0..tree.len() {
        let node = tree.node(at);
        match node.kind {
            Kind::comment => {
                let between = |end: u32| part(text, end as usize..node.start as usize);
                comments = match comments {
                    Some((start, end))
                        if between(end).trim().is_empty()
                            && between(end).matches('\n').count() == 1 =>
                    {
                        Some((start, node.end))
                    }
                    other => {
                        other
                            .into_iter()
                            .for_each(|(start, end)| push(start, end, FoldingRangeKind::Comment));
                        Some((node.start, node.end))
                    }
                };
            }
            Kind::block | Kind::list | Kind::map | Kind::args | Kind::heredoc => {
                push(node.start, node.end, FoldingRangeKind::Region);
            }
            _ => {}
        }
    }
    comments
        .into_iter()
        .for_each(|(start, end)| push(start, end, FoldingRangeKind::Comment));
    out.sort_by_key(|fold| fold.start_line);
    out
}
