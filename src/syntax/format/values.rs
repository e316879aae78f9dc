//! Expressions, lists, maps and types.

use crate::source::part;
use crate::syntax::format::{MAX_WIDTH, Part, Printer};
use crate::syntax::plain::SPACE;
use crate::syntax::tree::Kind;

impl Printer<'_> {
    /// Prints the operands and operators of an expression. A line break of the author continues at `level`.
    pub(super) fn print_run(&mut self, nodes: &[usize], level: usize) {
        let mut before: Option<usize> = None;
        for at in nodes {
            if let Some(before) = before {
                self.print_gap(before, self.tree.node(before).end, *at, level);
            }
            self.print_node(*at, level);
            before = Some(*at);
        }
    }

    /// Prints the whitespace between two nodes of an expression. The first node ends at `end`.
    fn print_gap(&mut self, before: usize, end: u32, at: usize, level: usize) {
        let node = self.tree.node(at);
        if self.kind(before) == Kind::comment || self.has_newline(end, node.start) {
            self.newline(level);
        } else if node.kind != Kind::args {
            self.push(" ");
        }
    }

    fn print_node(&mut self, at: usize, level: usize) {
        match self.kind(at) {
            Kind::list => self.print_list(at, "[", "]"),
            Kind::args => self.print_list(at, "(", ")"),
            Kind::map => self.print_list(at, "{", "}"),
            Kind::paren => self.print_paren(at, level),
            Kind::if_ => self.print_if(at, level),
            Kind::heredoc => self.print_heredoc(at),
            Kind::infix if self.slice(at).starts_with("not") => self.push("not in"),
            Kind::comment => self.push(self.slice(at).trim_end_matches(SPACE)),
            _ => self.push(self.slice(at)),
        }
    }

    fn print_if(&mut self, at: usize, level: usize) {
        let children: Vec<usize> = self.tree.children(at).collect();
        self.push("if");
        if let Some(first) = children.first() {
            self.print_gap(at, self.tree.node(at).start + 2, *first, level);
        }
        self.print_run(&children, level);
    }

    fn print_paren(&mut self, at: usize, level: usize) {
        let node = self.tree.node(at);
        let children: Vec<usize> = self.tree.children(at).collect();
        let outer = self.level;
        let (Some(first), Some(last)) = (children.first(), children.last()) else {
            return self.push(self.slice(at));
        };
        let is_broken = self.kind(*first) == Kind::comment
            || self.has_newline(node.start, self.tree.node(*first).start)
            || self.has_newline(self.tree.node(*last).end, node.end);
        self.push("(");
        if is_broken {
            self.newline(outer + 1);
            self.print_run(&children, outer + 1);
            self.newline(outer);
        } else {
            self.print_run(&children, level);
        }
        self.push(")");
    }

    /// Prints a list, a map or the arguments of a call. If it contains a line break, each element gets a line. In a
    /// call, only a line break between arguments counts.
    fn print_list(&mut self, at: usize, open: &str, close: &str) {
        let node = self.tree.node(at);
        let parts = self.elements(at);
        let outer = self.level;
        if parts.is_empty() {
            self.push(open);
            return self.push(close);
        }
        let is_broken = match node.kind {
            Kind::args => self.is_broken_between(node.start, &parts, node.end),
            _ => self.has_newline(node.start, node.end),
        };
        let blank = if open == "{" { " " } else { "" };
        let is_flat = !is_broken
            && self.attempt(|printer| {
                printer.push(open);
                for (i, part) in parts.iter().enumerate() {
                    printer.push(if i == 0 { blank } else { ", " });
                    printer.print_part(part, outer);
                }
                printer.push(blank);
                printer.push(close);
            });
        if is_flat {
            return;
        }
        self.push(open);
        self.print_lines(&parts, outer + 1, node.start + 1, ",");
        self.newline(outer);
        self.push(close);
    }

    fn is_broken_between(&self, start: u32, parts: &[Part], end: u32) -> bool {
        let starts = parts.iter().map(|part| part.start).chain([end]);
        let mut ends = std::iter::once(start).chain(parts.iter().map(|part| part.end));
        starts
            .zip(&mut ends)
            .any(|(start, end)| self.has_newline(end, start))
    }

    /// Returns the elements in brackets, and the comments between them.
    fn elements(&self, at: usize) -> Vec<Part> {
        let children: Vec<usize> = self.tree.children(at).collect();
        let mut parts: Vec<Part> = Vec::new();
        let mut run: Vec<usize> = Vec::new();
        for (i, child) in children.iter().enumerate() {
            let before = run
                .iter()
                .rev()
                .map(|at| self.kind(*at))
                .find(|kind| *kind != Kind::comment);
            let goes_on = matches!(before, Some(Kind::infix | Kind::not_))
                || match self.kind(*child) {
                    Kind::infix | Kind::args => before.is_some(),
                    Kind::comment => {
                        let mut behind = children.iter().skip(i).map(|at| self.kind(*at));
                        before.is_some()
                            && behind.find(|kind| *kind != Kind::comment) == Some(Kind::infix)
                    }
                    _ => false,
                };
            if !goes_on && !run.is_empty() {
                parts.push(self.part(std::mem::take(&mut run)));
            }
            run.push(*child);
        }
        if !run.is_empty() {
            parts.push(self.part(run));
        }
        parts
    }

    pub(super) fn print_type(&mut self, at: usize) {
        let mut has_text = false;
        for child in self.tree.children(at) {
            match self.kind(child) {
                Kind::list_type => self.print_element_type(child, "[", "]"),
                Kind::map_type => self.print_element_type(child, "{", "}"),
                Kind::string | Kind::interpolated | Kind::raw => {
                    if std::mem::replace(&mut has_text, true) {
                        self.push(" | ");
                    }
                    self.push(self.slice(child));
                }
                _ => self.push(self.slice(child)),
            }
        }
    }

    fn print_element_type(&mut self, at: usize, open: &str, close: &str) {
        self.push(open);
        for child in self.tree.children(at) {
            self.print_type(child);
        }
        self.push(close);
    }

    /// Prints, and reverts the output if its first line is too long. Returns whether the output was kept.
    pub(super) fn attempt(&mut self, print: impl Fn(&mut Self)) -> bool {
        let (mark, level) = (self.out.len(), self.level);
        if self.is_trial {
            print(self);
            return true;
        }
        self.is_trial = true;
        print(self);
        self.is_trial = false;
        let tried = part(&self.out, mark..);
        let first = tried.lines().next().unwrap_or("");
        let begun = part(&self.out, ..mark).rsplit('\n').next().unwrap_or("");
        let fits = begun.chars().count() + first.chars().count() <= MAX_WIDTH;
        let is_one_line = !tried.contains('\n');
        if fits && is_one_line {
            return true;
        }
        self.out.truncate(mark);
        self.level = level;
        if fits {
            print(self);
        }
        fits
    }
}
