//! The grammar: text → [`Tree`]. Only this file uses pest.

#![allow(missing_docs, reason = "pest generates public items without comments")]

use crate::source::MAX_STEPS;
use crate::syntax::refusal;
use crate::syntax::tree::{Node, Tree};
use pest::{Parser, Token};
use std::num::NonZeroUsize;
use std::sync::Once;

/// The parser that pest generates from `grammar/imgspec.pest`.
#[derive(pest_derive::Parser)]
#[grammar = "../grammar/imgspec.pest"]
struct Grammar;

/// Parses a file, or some whole items. The grammar accepts every text, so only a limit makes pest fail: the depth of the
/// stack, or [`MAX_STEPS`]. Returns `None` then, and for a text that would take longer than its steps.
pub(super) fn parse_file(text: &str) -> Option<Tree> {
    static STEPS: Once = Once::new();
    STEPS.call_once(|| pest::set_call_limit(NonZeroUsize::new(MAX_STEPS)));
    if refusal::has_costly_gap(text) {
        return None;
    }
    parse_rule(Rule::file, text)
}

/// Returns the tree of a file that is not parsed: a single junk item.
pub(super) fn junk(text: &str) -> Tree {
    let end = text.len() as u32;
    let node = |kind| Node {
        start: 0,
        end,
        next: 2,
        kind,
    };
    Tree {
        nodes: vec![node(Rule::file), node(Rule::junk_item)],
    }
}

/// Parses the body of a heredoc: text, interpolations and escapes.
pub(super) fn parse_heredoc(text: &str) -> Option<Tree> {
    parse_rule(Rule::heredoc_text, text)
}

/// Parses `name = value`.
pub(super) fn parse_setting(text: &str) -> Option<Tree> {
    parse_rule(Rule::set, text)
}

fn parse_rule(rule: Rule, text: &str) -> Option<Tree> {
    let pairs = Grammar::parse(rule, text).ok()?;
    // Most specs have fewer nodes than this. Unused capacity costs only address space.
    let mut nodes: Vec<Node> = Vec::with_capacity(text.len() / 8 + 4);
    let mut open: Vec<usize> = Vec::with_capacity(64);
    for token in pairs.tokens() {
        match token {
            Token::Start { rule, pos } => {
                open.push(nodes.len());
                let start = pos.pos() as u32;
                nodes.push(Node {
                    start,
                    end: start,
                    next: 0,
                    kind: rule,
                });
            }
            Token::End { pos, .. } => {
                let next = nodes.len() as u32;
                if let Some(node) = open.pop().and_then(|at| nodes.get_mut(at)) {
                    node.end = pos.pos() as u32;
                    node.next = next;
                }
            }
        }
    }
    (!nodes.is_empty()).then_some(Tree { nodes })
}
