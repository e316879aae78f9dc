//! Where a text is wrong, and what is left alone for that.

use crate::syntax::Parse;
use crate::syntax::tree::{Kind, Tree};

/// Ranges of bytes that are wrong, each up to the end of its line, in order.
pub(super) struct Damage(Vec<(u32, u32)>);

impl Damage {
    /// Everything that the parser complains about. It reports one fault a line, so all that follows
    /// on that line is suspect; and what it does not report for that, the tree shows.
    pub fn of(text: &str, parse: &Parse) -> Damage {
        let tree = &parse.tree;
        let mut starts: Vec<u32> = parse
            .diagnostics
            .iter()
            .map(|d| d.primary.span.start)
            .collect();
        for item in tree.children(0) {
            for at in item..tree.node(item).next as usize {
                let node = tree.node(at);
                if is_unclosed(node.kind) {
                    // Where a bracket is missing, the line breaks and the indentation of all the
                    // rest may be what ends the damage.
                    starts.push(tree.node(item).start);
                } else if is_wrong(node.kind) {
                    starts.push(node.start);
                }
            }
        }
        starts.sort_unstable();
        starts.dedup();
        let line_end = |at: u32| {
            let rest = text.as_bytes().get(at as usize..).unwrap_or(&[]);
            at + memchr::memchr(b'\n', rest).unwrap_or(rest.len()) as u32
        };
        Damage(
            starts
                .into_iter()
                .map(|start| (start, line_end(start)))
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

    /// Whether a statement stays as it stands: it is damaged, and not only in the lines of its block.
    pub fn keeps(&self, tree: &Tree, at: usize) -> bool {
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
            | bare_template
            | loose_heredoc
            | broken_raw
            | missing_name
            | missing_type
            | missing_value
            | missing_then
            | missing_else
    )
}
