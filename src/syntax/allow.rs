//! Comments that allow a diagnostic: `# imgspec: allow(CODE): REASON`.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, MAX_ALLOWS, Span, part};
use crate::syntax::ast::Ident;
use crate::syntax::plain::trim_comment;
use crate::syntax::tree::{Kind, Tree};
use smol_str::SmolStr;

/// A comment that allows diagnostics.
#[derive(Debug)]
pub struct Allow {
    /// The comment.
    pub span: Span,
    /// The codes, and names of rules.
    pub names: Vec<Ident>,
    /// Why they are allowed.
    pub reason: String,
    /// What goes with the comment when it is removed: its line, or the spaces before it.
    pub whole: Span,
    /// A diagnostic that begins in one of these ranges is allowed.
    scopes: Vec<Span>,
}

impl Allow {
    /// Returns whether the comment speaks of what begins at a place.
    pub fn covers(&self, place: Span) -> bool {
        let is_in = |scope: &Span| {
            scope.file == place.file && scope.start <= place.start && place.start <= scope.end
        };
        self.scopes.iter().any(is_in)
    }
}

/// The node around a comment.
struct Around {
    /// The index of the first node behind it.
    end: usize,
    /// Its last child so far that is not a comment.
    last: Option<(u32, u32)>,
    /// The comments that speak of its next child.
    waiting: Vec<Allow>,
    /// The end of the last comment.
    comment: u32,
}

/// Finds the comments of a file that allow diagnostics, and what is wrong with others that begin with `imgspec:`.
pub(super) fn find_allows(file: FileId, text: &str, tree: &Tree) -> (Vec<Allow>, Vec<Diagnostic>) {
    let mut finder = Finder {
        file,
        text,
        allows: Vec::new(),
        diagnostics: Vec::new(),
    };
    let has = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    if has("imgspec:") || has("imgspec allow") {
        finder.walk(tree);
    }
    (finder.allows, finder.diagnostics)
}

struct Finder<'t> {
    file: FileId,
    text: &'t str,
    allows: Vec<Allow>,
    diagnostics: Vec<Diagnostic>,
}

impl Finder<'_> {
    fn walk(&mut self, tree: &Tree) {
        let mut open: Vec<Around> = Vec::new();
        for at in 0..tree.len() {
            let node = tree.node(at);
            while let Some(around) = open.pop_if(|around| around.end <= at) {
                self.close(around, open.is_empty());
            }
            let is_file = open.len() == 1;
            if let Some(around) = open.last_mut()
                && node.start < node.end
            {
                if node.kind == Kind::comment {
                    self.end_paragraph(around, node.start, is_file);
                    if let Some(allow) = self.read(node.start, node.end, around.last) {
                        if allow.scopes.is_empty() {
                            around.waiting.push(allow);
                        } else {
                            self.add(allow);
                        }
                    }
                    around.comment = node.end;
                } else {
                    self.end_paragraph(around, node.start, is_file);
                    for mut allow in std::mem::take(&mut around.waiting) {
                        allow
                            .scopes
                            .push(Span::new(self.file, node.start, node.end));
                        self.add(allow);
                    }
                    around.last = Some((node.start, node.end));
                }
            }
            if node.next as usize > at + 1 {
                open.push(Around {
                    end: node.next as usize,
                    last: None,
                    waiting: Vec::new(),
                    comment: node.start,
                });
            }
        }
        while let Some(around) = open.pop() {
            self.close(around, open.is_empty());
        }
        self.allows.sort_by_key(|allow| allow.span.start);
        if let Some(allow) = self.allows.get(MAX_ALLOWS) {
            let message =
                format!("this file has more than {MAX_ALLOWS} comments that allow a diagnostic");
            self.diagnostics.push(
                Diagnostic::new(Code::TooLarge, allow.span, message)
                    .label("imgspec does not read this one and those after it")
                    .help("write one comment above the first item, which is for the whole file"),
            );
            self.allows.truncate(MAX_ALLOWS);
        }
    }

    /// Before the first item, an empty line after a comment makes it one for the whole file.
    fn end_paragraph(&mut self, around: &mut Around, start: u32, is_file: bool) {
        let gap = part(self.text, around.comment as usize..start as usize);
        if is_file && around.last.is_none() && gap.matches('\n').count() > 1 {
            self.allow_in_file(around);
        }
    }

    fn allow_in_file(&mut self, around: &mut Around) {
        for mut allow in std::mem::take(&mut around.waiting) {
            allow
                .scopes
                .push(Span::new(self.file, 0, self.text.len() as u32));
            self.add(allow);
        }
    }

    /// Reports the comments at the end of a block, which speak of nothing.
    fn close(&mut self, mut around: Around, is_file: bool) {
        if is_file && around.last.is_none() {
            self.allow_in_file(&mut around);
        }
        for allow in around.waiting {
            self.diagnostics.push(
                Diagnostic::new(Code::BadAllow, allow.span, "nothing follows this comment")
                    .label("it allows a diagnostic of the statement below it")
                    .help("put it above a statement or an item, or at the end of a line")
                    .fix("remove the comment", allow.whole, ""),
            );
        }
    }

    fn add(&mut self, allow: Allow) {
        self.allows.push(allow);
    }

    /// Reads a comment. `before` is the node before it. A comment at the end of a line gets its scopes.
    fn read(&mut self, start: u32, end: u32, before: Option<(u32, u32)>) -> Option<Allow> {
        let span = Span::new(self.file, start, end);
        let comment = trim_comment(part(self.text, start as usize..end as usize));
        let bare = comment.trim_start_matches('#');
        let is_doc = comment.len() - bare.len() > 1;
        let rest = bare.trim_start().strip_prefix("imgspec")?.trim_start();
        let (has_colon, rest) = match rest.strip_prefix(':') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, rest),
        };
        let inside = rest.strip_prefix("allow").map(str::trim_start);
        let inside = inside.and_then(|rest| rest.strip_prefix('('));
        // Prose may begin with the name of the program, and a doc comment may explain this.
        if !has_colon && inside.is_none() || is_doc && inside.is_none() {
            return None;
        }
        let split = inside.and_then(|inside| inside.split_once(')'));
        let first = split.map_or(0, |(names, _)| {
            comment.len() - inside.map_or(0, str::len) + names.len()
        });
        let names = split.map_or_else(Vec::new, |(names, _)| {
            self.names(names, start + (first - names.len()) as u32)
        });
        let reason = split.map_or("", |(_, behind)| behind.trim_start());
        let reason = reason.strip_prefix(':').unwrap_or_default().trim();
        if !has_colon || names.is_empty() {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::BadAllow,
                    span,
                    "this comment is for imgspec, which cannot read it",
                )
                .label("expected `# imgspec: allow(CODE): REASON`")
                .help("write the code of a warning or the name of a rule, and the reason; in another comment, do not begin with `imgspec:`"),
            );
            return None;
        }
        // What the comment means is clear, so the diagnostic that it allows is not reported as well.
        if is_doc {
            let signs = (comment.len() - bare.len()) as u32;
            self.diagnostics.push(
                Diagnostic::new(
                    Code::BadAllow,
                    span,
                    "a doc comment cannot allow a diagnostic",
                )
                .help("begin the comment with one `#`")
                .fix(
                    "begin it with one `#`",
                    Span::new(self.file, start, start + signs),
                    "#",
                ),
            );
        } else if reason.is_empty() {
            let list: Vec<&str> = names.iter().map(|name| name.text.as_str()).collect();
            self.diagnostics.push(
                Diagnostic::new(
                    Code::BadAllow,
                    span,
                    "this comment does not say why it allows a diagnostic",
                )
                .help(format!(
                    "write the reason behind it: `# imgspec: allow({}): REASON`",
                    list.join(", ")
                )),
            );
        }
        let (whole, scopes) = self.place(start, end, before);
        Some(Allow {
            span,
            names,
            reason: reason.to_owned(),
            whole,
            scopes,
        })
    }

    /// Splits the names at commas. `start` is the place of the first one.
    fn names(&self, list: &str, start: u32) -> Vec<Ident> {
        let mut at = start;
        let mut out = Vec::new();
        for piece in list.split(',') {
            let name = piece.trim();
            let indent = (piece.len() - piece.trim_start().len()) as u32;
            if !name.is_empty() {
                out.push(Ident {
                    text: SmolStr::from(name),
                    span: Span::new(self.file, at + indent, at + indent + name.len() as u32),
                });
            }
            at += piece.len() as u32 + 1;
        }
        out
    }

    /// Returns what goes with a comment, and, at the end of a line, of what it speaks: the line, and the statement that ends
    /// on it.
    fn place(&self, start: u32, end: u32, before: Option<(u32, u32)>) -> (Span, Vec<Span>) {
        let above = part(self.text, ..start as usize);
        let line = above.rfind('\n').map_or(0, |at| at + 1);
        let own = part(self.text, line..start as usize);
        if own.trim_matches([' ', '\t', '\r', '\u{feff}']).is_empty() {
            let behind = part(self.text, end as usize..);
            let whole = end + u32::from(behind.starts_with('\n'));
            return (Span::new(self.file, line as u32, whole), Vec::new());
        }
        let code = line + own.trim_end().len();
        let mut scopes = vec![Span::new(self.file, line as u32, start)];
        if let Some((first, last)) = before
            && last as usize > line
        {
            scopes.push(Span::new(self.file, first, last));
        }
        (Span::new(self.file, code as u32, end), scopes)
    }
}
