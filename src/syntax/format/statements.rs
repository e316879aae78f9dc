//! Items, statements and blocks.

use crate::syntax::format::Printer;
use crate::syntax::plain::SPACE;
use crate::syntax::tree::Kind;

impl Printer<'_> {
    /// Prints a part with its own line. `level` is the indentation of that line.
    pub(super) fn print_statement(&mut self, at: usize, level: usize) {
        if self.damage.keeps(self.tree, at) {
            return self.push(self.slice(at));
        }
        match self.kind(at) {
            Kind::include => self.print_header("include", at, level),
            Kind::type_decl => self.print_header("type", at, level),
            Kind::variable => self.print_variable(at, level),
            Kind::section => self.print_header("", at, level),
            Kind::unset => self.print_header("unset", at, level),
            Kind::test => self.print_header("test", at, level),
            Kind::waive => self.print_header("waive", at, level),
            Kind::expect => self.print_header("expect", at, level),
            Kind::snapshot => self.print_header("snapshot", at, level),
            Kind::assert_ => self.print_assert(at, level),
            Kind::nested => self.print_header("", at, level),
            Kind::when => self.print_when(at, level),
            Kind::set | Kind::pair => self.print_set(at, level),
            Kind::final_ => {
                self.push("final ");
                for set in self.tree.children(at) {
                    self.print_set(set, level);
                }
            }
            _ => self.print_run(&[at], level + 1),
        }
    }

    /// Prints a header: a keyword and what follows it, up to the block or the end of the line. Words such as `as`
    /// have no nodes; the kind of the next node determines them.
    fn print_header(&mut self, keyword: &str, at: usize, level: usize) {
        self.push(keyword);
        let mut is_first = true;
        for child in self.tree.children(at) {
            self.push(match (self.kind(at), self.kind(child)) {
                (Kind::section, Kind::section_kind) | (Kind::nested, Kind::name) => "",
                (Kind::include, Kind::name) => " as ",
                (Kind::type_decl, Kind::type_) => " = ",
                (Kind::type_decl, Kind::string | Kind::interpolated | Kind::raw) => " matching ",
                (Kind::expect, Kind::name) if !is_first => " at ",
                _ => " ",
            });
            is_first = false;
            match self.kind(child) {
                Kind::type_ => self.print_type(child),
                Kind::extends => self.print_names("extends", child, level),
                Kind::for_ => self.print_names("for", child, level),
                Kind::because => self.print_header("because", child, level),
                Kind::until => self.print_header("until", child, level),
                Kind::block => self.print_block(child, level),
                _ => self.push(self.slice(child)),
            }
        }
    }

    /// Prints `variable name : type = default { … }`.
    fn print_variable(&mut self, at: usize, level: usize) {
        self.push("variable ");
        let mut default = Vec::new();
        let mut block = None;
        for (i, child) in self.tree.children(at).enumerate() {
            match self.kind(child) {
                Kind::type_ => {
                    self.push(" : ");
                    self.print_type(child);
                }
                Kind::block => block = Some(child),
                _ if i == 0 => self.push(self.slice(child)),
                _ => default.push(child),
            }
        }
        if !default.is_empty() {
            self.push(" = ");
            self.print_run(&default, level + 1);
        }
        if let Some(block) = block {
            self.push(" ");
            self.print_block(block, level);
        }
    }

    /// Prints a keyword and names, such as `extends a, b`, with the author's line breaks.
    fn print_names(&mut self, keyword: &str, at: usize, level: usize) {
        let children: Vec<usize> = self.tree.children(at).collect();
        self.push(keyword);
        let mut before: Option<usize> = None;
        for (i, child) in children.iter().enumerate() {
            let is_broken = before.is_some_and(|before| {
                self.kind(before) == Kind::comment
                    || self.has_newline(self.tree.node(before).end, self.tree.node(*child).start)
            });
            if is_broken {
                self.newline(level + 1)
            } else {
                self.push(" ")
            }
            self.push(self.slice(*child).trim_end_matches(SPACE));
            if self.kind(*child) != Kind::comment && i + 1 < children.len() {
                self.push(",");
            }
            before = Some(*child);
        }
    }

    fn print_when(&mut self, at: usize, level: usize) {
        self.push("when ");
        let children: Vec<usize> = self.tree.children(at).collect();
        let Some((block, condition)) = children.split_last() else {
            return;
        };
        self.print_run(condition, level + 1);
        self.push(" ");
        self.print_block(*block, level);
    }

    fn print_assert(&mut self, at: usize, level: usize) {
        self.push("assert ");
        let is_reason = |at: &usize| self.kind(*at) == Kind::because;
        let (reason, condition): (Vec<usize>, Vec<usize>) =
            self.tree.children(at).partition(is_reason);
        self.print_run(&condition, level + 1);
        for because in reason {
            self.push(" ");
            self.print_header("because", because, level);
        }
    }

    fn print_set(&mut self, at: usize, level: usize) {
        let children: Vec<usize> = self.tree.children(at).collect();
        let Some((name, value)) = children.split_first() else {
            return;
        };
        self.push(self.slice(*name));
        let is_change = |at: usize| matches!(self.kind(at), Kind::append | Kind::remove);
        let value = match value.split_first() {
            Some((at, value)) if is_change(*at) => {
                self.push(" ");
                self.push(self.slice(*at));
                self.push(" ");
                value
            }
            _ => {
                self.push(" = ");
                value
            }
        };
        self.print_run(value, level + 1);
    }

    /// Prints a block. A block on one line stays on one line if it fits.
    pub(super) fn print_block(&mut self, at: usize, level: usize) {
        let node = self.tree.node(at);
        let parts = self.parts(at);
        let Some(last) = parts.last() else {
            return self.push("{ }");
        };
        let is_flat = !self.has_newline(node.start, node.end)
            && self.attempt(|printer| {
                printer.push("{ ");
                for (i, part) in parts.iter().enumerate() {
                    printer.push(if i == 0 { "" } else { ", " });
                    printer.print_part(part, level);
                }
                printer.push(" }");
            });
        if is_flat {
            return;
        }
        self.push("{");
        self.print_lines(&parts, level + 1, node.start + 1, "");
        let gap = self.between(last.end, node.end - 1);
        let is_kept = self.is_kept(last);
        if is_kept {
            self.push(gap.split('\n').next().unwrap_or(""));
        }
        if !is_kept || gap.contains('\n') {
            self.newline(level);
        }
        self.push("}");
    }
}
