//! A text with a word inserted at the cursor, so that the tree has a node for a half typed one.

use crate::source::part;
use crate::syntax::{Kind, Node, Tree, parse_tree};
use std::ops::Range;

/// The inserted word. Together with a keyword before or after it, it is a name.
const WORD: &str = "cursor_is_here";

/// A text with its tree.
pub(super) struct Parsed<'t> {
    pub text: &'t str,
    pub tree: &'t Tree,
}

/// The tree of an item with the word in it, and the nodes around the word.
pub(super) struct Marked {
    text: String,
    tree: Tree,
    /// The nodes around the word, from the whole text to the smallest one.
    path: Vec<usize>,
    offset: usize,
}

impl Marked {
    /// Parses the item around an offset again, with the word in it.
    pub(super) fn new(spec: &Parsed<'_>, offset: usize) -> Marked {
        Marked::with(spec, offset, WORD)
    }

    /// The same with `=` and a value after the word: a complete setting, if a statement can begin at the cursor.
    pub(super) fn with_value(spec: &Parsed<'_>, offset: usize) -> Marked {
        Marked::with(spec, offset, &format!("{WORD} = {WORD} "))
    }

    fn with(spec: &Parsed<'_>, offset: usize, inserted: &str) -> Marked {
        let range = item_around(spec, offset);
        let before = part(spec.text, range.start..offset);
        let text = [before, inserted, part(spec.text, offset..range.end)].concat();
        let offset = before.len();
        let mut tree = parse_tree(&text);
        let mut path = path_to(&tree, offset, offset + WORD.len());
        if let Some(at) = path.last().copied()
            && matches!(tree.node(at).kind, Kind::heredoc | Kind::broken_heredoc)
        {
            tree.open_heredoc(at, &text);
            path = path_to(&tree, offset, offset + WORD.len());
        }
        Marked {
            text,
            tree,
            path,
            offset,
        }
    }

    /// The number of nodes around the word.
    pub(super) fn depth(&self) -> usize {
        self.path.len()
    }

    /// The node at a level. Level 0 is the whole text.
    pub(super) fn node(&self, level: usize) -> Option<Node> {
        self.path.get(level).map(|at| self.tree.node(*at))
    }

    pub(super) fn kind(&self, level: usize) -> Option<Kind> {
        self.node(level).map(|node| node.kind)
    }

    /// The children of the node at a level without comments, and the index of the one around the word.
    pub(super) fn children(&self, level: usize) -> (Vec<Child>, usize) {
        let mut out: Vec<Child> = Vec::new();
        let mut place = 0;
        let Some(parent) = self.path.get(level) else {
            return (out, place);
        };
        let (mut end, mut has_comma, mut has_line) = (self.tree.node(*parent).start, false, false);
        for at in self.tree.children(*parent) {
            let node = self.tree.node(at);
            let gap = part(&self.text, end as usize..node.start as usize);
            has_comma |= gap.contains(',');
            has_line |= gap.contains('\n');
            end = node.end;
            let is_inner = self.path.get(level + 1) == Some(&at);
            if is_inner {
                place = out.len();
            } else if node.kind == Kind::comment {
                continue;
            }
            out.push(Child {
                node,
                has_comma: std::mem::take(&mut has_comma),
                has_line: std::mem::take(&mut has_line),
            });
        }
        (out, place)
    }

    pub(super) fn slice(&self, node: Node) -> &str {
        part(&self.text, node.start as usize..node.end as usize)
    }

    /// The part of a node before the cursor.
    pub(super) fn typed(&self, node: Node) -> &str {
        part(&self.text, node.start as usize..self.offset)
    }
}

/// A child of a node, and what is between it and the child before it, or the beginning of the parent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub node: Node,
    pub has_comma: bool,
    pub has_line: bool,
}

impl Child {
    pub(super) fn kind(&self) -> Kind {
        self.node.kind
    }
}

/// The part of a text to parse again: from the last item before an offset to the next item. Nothing in front of an item
/// can change how it is parsed, and everything that is open ends where the next item begins.
fn item_around(spec: &Parsed<'_>, offset: usize) -> Range<usize> {
    let mut range = 0..spec.text.len();
    for at in spec.tree.children(0) {
        let node = spec.tree.node(at);
        let start = node.start as usize;
        let line = part(spec.text, ..start).trim_end_matches([' ', '\t']);
        let begins_line = line.is_empty() || line.ends_with('\n');
        let is_item = matches!(
            node.kind,
            Kind::include | Kind::type_decl | Kind::variable | Kind::section | Kind::test
        );
        let keyword = part(spec.text, start..)
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or_default();
        // With the word in its keyword, it is no item, and what is open before it goes on.
        let is_split = is_item && offset <= start + keyword;
        if start <= offset && begins_line && node.kind != Kind::EOI && !is_split {
            range.start = start;
        } else if start > offset && is_item && line.len() == start && begins_line {
            range.end = start;
            break;
        }
    }
    range
}

/// The indices of the nodes around a range, outermost first.
pub(super) fn path_to(tree: &Tree, start: usize, end: usize) -> Vec<usize> {
    let mut path = vec![0];
    let mut next = Some(0);
    while let Some(at) = next {
        next = tree.children(at).find(|child| {
            let node = tree.node(*child);
            node.start as usize <= start && end <= node.end as usize
        });
        path.extend(next);
    }
    path
}
