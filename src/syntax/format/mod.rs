//! The formatter. It changes only whitespace, line ends and commas.
//!
//! Parts with errors stay unchanged (`damage.rs`). All others are printed from the tree: statements in
//! `statements.rs`, values in `values.rs`, heredocs in `heredoc.rs`. The formatter keeps the author's line breaks,
//! and adds some only where a line is longer than [`MAX_WIDTH`]. `docs/formatting.md` shows the style.

mod damage;
mod heredoc;
mod statements;
mod values;

use crate::source::{FileId, part};
use crate::syntax::plain::SPACE;
use crate::syntax::tree::{Kind, Tree};
use damage::Damage;
use std::ops::Range;

/// The maximum number of columns of a list, call or block on one line. A longer one gets a line for each element.
const MAX_WIDTH: usize = 120;

/// One level of indentation.
const INDENT: &str = "    ";

/// Formats a text. Accepts every text, keeps its meaning and its comments, and is idempotent.
pub fn format(text: &str) -> String {
    let (parse, damage) = read(text);
    let mut printer = Printer::new(text, &parse.tree, &damage);
    let parts = printer.file_parts();
    printer.print_lines(&parts, 0, 0, "");
    let mut out = printer.out;
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Formats the items and comments that a byte range touches. Returns the range to replace and its new text, or `None`
/// if the range touches nothing.
pub fn format_range(text: &str, range: Range<usize>) -> Option<(Range<usize>, String)> {
    let (parse, damage) = read(text);
    let mut printer = Printer::new(text, &parse.tree, &damage);
    let mut parts = printer.file_parts();
    parts.retain(|part| part.start as usize <= range.end && part.end as usize >= range.start);
    let (first, last) = (parts.first()?, parts.last()?);
    let (mut start, end) = (first.start as usize, last.end as usize);
    let before = part(text, ..start).trim_end_matches([' ', '\t']);
    if !printer.is_kept(first) && (before.is_empty() || before.ends_with('\n')) {
        start = before.len();
    }
    printer.print_lines(&parts, 0, first.start, "");
    Some((start..end, printer.out))
}

fn read(text: &str) -> (super::Parse, Damage) {
    let parse = crate::syntax::parse(FileId(0), text);
    let damage = Damage::of(text, &parse);
    (parse, damage)
}

/// A part with its own line: an item, a statement, an element of a list, or a comment.
struct Part {
    start: u32,
    end: u32,
    /// The nodes of the part: one, or those of an expression.
    nodes: Vec<usize>,
}

/// The output of the formatter.
struct Printer<'t> {
    text: &'t str,
    tree: &'t Tree,
    damage: &'t Damage,
    out: String,
    /// The indentation level of the current line.
    level: usize,
    /// Whether the current output only measures a length.
    is_trial: bool,
}

impl<'t> Printer<'t> {
    fn new(text: &'t str, tree: &'t Tree, damage: &'t Damage) -> Printer<'t> {
        Printer {
            text,
            tree,
            damage,
            out: String::with_capacity(text.len()),
            level: 0,
            is_trial: false,
        }
    }

    fn kind(&self, at: usize) -> Kind {
        self.tree.node(at).kind
    }

    fn slice(&self, at: usize) -> &'t str {
        let node = self.tree.node(at);
        self.between(node.start, node.end)
    }

    fn between(&self, start: u32, end: u32) -> &'t str {
        self.text.get(start as usize..end as usize).unwrap_or("")
    }

    fn has_newline(&self, start: u32, end: u32) -> bool {
        memchr::memchr(b'\n', self.between(start, end).as_bytes()).is_some()
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn newline(&mut self, level: usize) {
        self.out.push('\n');
        self.indent(level);
    }

    fn indent(&mut self, level: usize) {
        self.level = level;
        for _ in 0..level {
            self.out.push_str(INDENT);
        }
    }

    /// Returns the children of a node as parts.
    fn parts(&self, at: usize) -> Vec<Part> {
        self.tree
            .children(at)
            .map(|child| self.part(vec![child]))
            .collect()
    }

    fn part(&self, nodes: Vec<usize>) -> Part {
        let start = nodes.first().map_or(0, |at| self.tree.node(*at).start);
        let end = nodes.last().map_or(0, |at| self.tree.node(*at).end);
        Part { start, end, nodes }
    }

    fn file_parts(&self) -> Vec<Part> {
        let mut parts = self.parts(0);
        parts.retain(|part| !self.is(part, Kind::EOI));
        parts
    }

    fn is(&self, part: &Part, kind: Kind) -> bool {
        matches!(part.nodes[..], [at] if self.kind(at) == kind)
    }

    /// Returns whether a part stays unchanged.
    fn is_kept(&self, part: &Part) -> bool {
        matches!(part.nodes[..], [at] if self.damage.keeps(self.tree, at))
    }

    /// Prints each part on a line, followed by `comma`. `from` is the end of the text before the first part. A
    /// comment stays on the line of the part before it. One empty line between parts is kept.
    fn print_lines(&mut self, parts: &[Part], level: usize, from: u32, comma: &str) {
        let mut end = from;
        let mut was_kept = false;
        let mut is_first = true;
        for part in parts {
            let is_kept = self.is_kept(part);
            let gap = self.between(end, part.start);
            let is_behind = !gap.contains('\n') && !self.out.is_empty();
            if is_behind && (is_kept || was_kept) {
                self.push(gap);
            } else if is_behind && self.is(part, Kind::comment) {
                self.push(" ");
            } else {
                if !self.out.is_empty() {
                    // A comma after an error can be its intended end.
                    let rest_of_line = if was_kept {
                        gap.split('\n').next().unwrap_or("")
                    } else {
                        ""
                    };
                    self.push(rest_of_line);
                    self.push(if has_blank_line(gap) && !is_first {
                        "\n\n"
                    } else {
                        "\n"
                    });
                }
                if is_kept {
                    self.push(gap.rsplit('\n').next().unwrap_or(""))
                } else {
                    self.indent(level)
                }
                is_first = false;
            }
            self.level = level;
            self.print_part(part, level);
            if !self.is(part, Kind::comment) {
                self.push(comma);
            }
            end = part.end;
            was_kept = is_kept;
        }
    }

    fn print_part(&mut self, part: &Part, level: usize) {
        match part.nodes[..] {
            [at] => self.print_statement(at, level),
            _ => self.print_run(&part.nodes, level + 1),
        }
    }
}

fn has_blank_line(gap: &str) -> bool {
    let mut lines = gap.split('\n').skip(1).peekable();
    std::iter::from_fn(|| lines.next().filter(|_| lines.peek().is_some()))
        .any(|line| line.trim_matches(SPACE).is_empty())
}
