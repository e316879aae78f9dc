//! Parts of a text with errors, which the formatter does not change.

use crate::syntax::Parse;
use crate::syntax::tree::{Kind, Tree};

/// Byte ranges with errors, in order. Each extends to the end of its line.
pub(super) struct Damage(Vec<(u32, u32)>);

impl Damage {
    /// Finds the errors. The parser reports one error for each line, so the rest of the line can contain more. The
    /// tree shows errors that were not reported because of this.
    pub(crate) fn of(text: &str, parse: &Parse) -> Damage {
        let tree = &parse.tree;
        let mut starts: Vec<u32> = parse
            .diagnostics
            .iter()
            .map(|d| d.primary.span.start)
            .chain(parse.replaced.iter().copied())
            .collect();
        for item in tree.children(0) {
            for at in item..tree.node(item).next as usize {
                let node = tree.node(at);
                if is_unclosed(node.kind) {
                    // Without a closing bracket, the line breaks and the indentation of the whole item can show its
                    // intended end.
                    starts.push(tree.node(item).start);
                } else if is_wrong(node.kind) {
                    starts.push(node.start);
                }
            }
        }
        starts.sort_unstable();
        starts.dedup();
        if let Some(cut) = parse.cut {
            starts.retain(|start| *start < cut);
            starts.push(cut);
        }
        let line_end = |at: u32| {
            let rest = text.as_bytes().get(at as usize..).unwrap_or(&[]);
            at + memchr::memchr(b'\n', rest).unwrap_or(rest.len()) as u32
        };
        let end = |start: u32| match parse.cut {
            Some(cut) if cut == start => text.len() as u32,
            _ => line_end(start),
        };
        Damage(
            starts
                .into_iter()
                .map(|start| (start, end(start)))
                .collect(),
        )
    }

    fn touches(&self, start: u32, end: u32) -> bool {
        let next = self
            .0
            .partition_point(|(_, damage_end)| *damage_end < start);
        self.0
            .get(next)
            .is_some_and(|(damage_start, _)| *damage_start <= end)
    }

    /// Returns whether a statement stays unchanged: it has an error outside the lines of its block.
    pub(crate) fn keeps(&self, tree: &Tree, at: usize) -> bool {
        let node = tree.node(at);
        if !self.touches(node.start, node.end) {
            return false;
        }
        let block = tree
            .children(at)
            .map(|child| tree.node(child))
            .find(|child| child.kind == Kind::block);
        block.is_none_or(|block| {
            self.touches(node.start, block.start) || self.touches(block.end - 1, node.end)
        })
    }
}

fn is_unclosed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::missing_close | Kind::missing_quote | Kind::missing_block | Kind::broken_heredoc
    )
}

fn is_wrong(kind: Kind) -> bool {
    use Kind::*;
    matches!(
        kind,
        junk_item
            | junk_header
            | junk_entry
            | junk_element
            | junk_word
            | junk_block
            | wrong_colon
            | wrong_equal
            | wrong_section
            | wrong_when
            | quoted_name
            | triple
            | bare_expression
            | loose_heredoc
            | broken_raw
            | missing_name
            | missing_type
            | missing_value
            | missing_then
            | missing_else
    )
}
