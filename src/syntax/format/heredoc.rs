//! Heredocs. The formatter moves their lines together, one level deeper than the line that begins the heredoc.

use crate::source::part;
use crate::syntax::format::{INDENT, Printer};
use crate::syntax::plain::SPACE;
use crate::syntax::to_ast::{common_indent, dedented};

impl Printer<'_> {
    /// Prints a heredoc. It stays unchanged if the new indentation would change its value.
    pub(super) fn print_heredoc(&mut self, at: usize) {
        let text = self.slice(at);
        let (first, last) = (text.find('\n').unwrap_or(0), text.rfind('\n').unwrap_or(0));
        let body = text.get(first + 1..last + 1).unwrap_or("");
        let indent = INDENT.repeat(self.level + 1);
        let moved = reindented(body, &indent);
        if dedented(&moved) != dedented(body) {
            return self.push(text);
        }
        self.push(part(text, ..first).trim_end_matches(SPACE));
        self.push("\n");
        self.push(&moved);
        self.push(&indent);
        self.push(part(text, last + 1..).trim_start_matches(SPACE));
    }
}

fn reindented(body: &str, indent: &str) -> String {
    let common = common_indent(body);
    let mut out = String::with_capacity(body.len());
    for line in body.split_inclusive('\n') {
        let line = line.trim_end_matches('\n');
        let line = line.strip_suffix('\r').unwrap_or(line);
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        let line = part(line, blanks.min(common)..);
        if !line.is_empty() {
            out.push_str(indent);
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}
