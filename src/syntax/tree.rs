//! The lossless tree: a flat list of nodes in source order.
//!
//! A node knows its range and where its subtree ends, so the tree needs no pointers and no second
//! allocation. What lies between nodes is blanks and punctuation; nodes and gaps together spell the
//! file again, byte for byte.

use crate::source::part;
use crate::syntax::grammar::parse_heredoc;

/// What a node is: the rules of `grammar/imgspec.pest` that have names.
pub use crate::syntax::grammar::Rule as Kind;

/// One node: 16 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    pub start: u32,
    pub end: u32,
    /// Index of the first node behind this one's subtree.
    pub next: u32,
    pub kind: Kind,
}

/// A parsed text. Node 0 is the file.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    /// One of its nodes: indices come from the tree itself, which is never empty and is not changed after parsing.
    #[allow(clippy::indexing_slicing, reason = "the one access by index")]
    pub fn node(&self, at: usize) -> Node {
        self.nodes[at]
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The indices of a node's children, in order.
    pub fn children(&self, at: usize) -> Children<'_> {
        Children {
            tree: self,
            at: at + 1,
            end: self.node(at).next as usize,
        }
    }

    /// Puts the interpolations of a heredoc below its node. The grammar takes a heredoc as one token, so the tree of a
    /// file has none of them. A raw heredoc has none at all.
    pub fn open_heredoc(&mut self, at: usize, text: &str) {
        let Node { start, end, .. } = self.node(at);
        let slice = part(text, start as usize..end as usize);
        let Some(first) = slice.find('\n').filter(|_| !slice.starts_with("<<'")) else {
            return;
        };
        let Some(inside) = parse_heredoc(part(slice, first + 1..)) else {
            return;
        };
        let offset = start + first as u32 + 1;
        // Its first node is the body itself, whose place this node has.
        let inside: Vec<Node> = inside.nodes.into_iter().skip(1).collect();
        let added = inside.len() as u32;
        for node in self.nodes.iter_mut().filter(|node| node.next > at as u32) {
            node.next += added;
        }
        let moved = inside.into_iter().map(|node| Node {
            start: node.start + offset,
            end: node.end + offset,
            next: node.next + at as u32,
            kind: node.kind,
        });
        self.nodes.splice(at + 1..at + 1, moved);
    }

    /// The leaves and the gaps between them, as byte ranges in order, without overlap. Together they
    /// are the whole text.
    pub fn leaves(&self, text_len: u32) -> Vec<(Option<Kind>, u32, u32)> {
        let mut out = Vec::with_capacity(self.nodes.len());
        let mut at = 0;
        for (i, node) in self.nodes.iter().enumerate() {
            let is_leaf = node.next as usize == i + 1;
            if !is_leaf || node.start == node.end {
                continue;
            }
            if at < node.start {
                out.push((None, at, node.start));
            }
            out.push((Some(node.kind), node.start, node.end));
            at = node.end;
        }
        if at < text_len {
            out.push((None, at, text_len));
        }
        out
    }
}

/// Iterator over a node's children.
#[derive(Clone)]
pub struct Children<'t> {
    tree: &'t Tree,
    at: usize,
    end: usize,
}

impl Iterator for Children<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        (self.at < self.end).then(|| {
            let at = self.at;
            self.at = self.tree.node(at).next as usize;
            at
        })
    }
}
