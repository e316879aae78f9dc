//! The lossless tree: a flat list of nodes in source order.
//!
//! A node stores its range and the end of its subtree, so the tree needs no pointers and a single allocation. The
//! gaps between nodes are whitespace and punctuation. Nodes and gaps together are the file, byte for byte.

use crate::source::part;
use crate::syntax::grammar::parse_heredoc;

/// The kind of a node: a named rule of `grammar/imgspec.pest`.
pub use crate::syntax::grammar::Rule as Kind;

/// A node of the tree. Its size is 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The byte offset of its start.
    pub start: u32,
    /// The byte offset of its end.
    pub end: u32,
    /// The index of the first node after its subtree.
    pub next: u32,
    /// The rule that it matches.
    pub kind: Kind,
}

/// The nodes of a text. Node 0 is the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    /// Returns the node at an index.
    ///
    /// # Panics
    /// If no node has this index. The tree itself supplies the indices, and it does not shrink.
    #[allow(clippy::indexing_slicing, reason = "the one access by index")]
    pub fn node(&self, at: usize) -> Node {
        self.nodes[at]
    }

    /// Returns the number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether the tree has no nodes. A parsed tree has at least one.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the indices of a node's children, in order.
    pub fn children(&self, at: usize) -> Children<'_> {
        Children {
            tree: self,
            at: at + 1,
            end: self.node(at).next as usize,
        }
    }

    /// Adds the interpolations of a heredoc below its node. In the grammar a heredoc is one token, so a parsed tree
    /// does not contain them. Does nothing for a raw heredoc, which has no interpolations.
    pub fn open_heredoc(&mut self, at: usize, text: &str) {
        let inside = self.heredoc(at, text);
        let added = inside.len() as u32;
        if added == 0 {
            return;
        }
        for node in self.nodes.iter_mut().filter(|node| node.next > at as u32) {
            node.next += added;
        }
        self.nodes.splice(at + 1..at + 1, inside);
    }

    /// Returns the nodes that [`Tree::open_heredoc`] adds: the interpolations of a heredoc and the text between them. None
    /// for a raw heredoc.
    pub fn heredoc(&self, at: usize, text: &str) -> Vec<Node> {
        let Node { start, end, .. } = self.node(at);
        let slice = part(text, start as usize..end as usize);
        let Some(first) = slice.find('\n').filter(|_| !slice.starts_with("<<'")) else {
            return Vec::new();
        };
        let Some(inside) = parse_heredoc(part(slice, first + 1..)) else {
            return Vec::new();
        };
        let offset = start + first as u32 + 1;
        // The first node is the whole body; the node of the heredoc replaces it.
        let inside = inside.nodes.into_iter().skip(1);
        let moved = inside.map(|node| Node {
            start: node.start + offset,
            end: node.end + offset,
            next: node.next + at as u32,
            kind: node.kind,
        });
        moved.collect()
    }

    /// Returns the leaves and the gaps between them, in order, as byte ranges that cover the whole text. A gap has no
    /// kind.
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

/// An iterator over the indices of a node's children.
#[derive(Clone)]
pub struct Children<'t> {
    tree: &'t Tree,
    pub(super) at: usize,
    pub(super) end: usize,
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
