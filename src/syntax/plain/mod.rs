//! A shortcut for ordinary items. pest calls several functions for each character, and most of a large spec is
//! `name = "string"`: this reader needs a tenth of the instructions.
//!
//! `grammar/imgspec.pest` alone defines the language. A [`Reader`] adds the same nodes as pest. It gives the item up at
//! the first character that it does not expect, and pest reads the item from its start. It knows no errors. The tests
//! below, `tests/mutations.rs` and `fuzz/` compare the two trees. A function here has the name of the rule that it
//! follows; those that return an `Option` give up with `None`.

mod items;
mod reader;
mod values;

use crate::source::{MAX_STEPS, part};
use crate::syntax::tree::{Kind, Tree};
use crate::syntax::{grammar, refusal};
use memchr::{memchr_iter, memmem};
use reader::{Reader, is_item_start};
pub(super) use reader::{SPACE, trim_comment};

/// Parses a file. Returns `None` if the grammar refuses a piece of it.
pub(super) fn parse_file(text: &str) -> Option<Tree> {
    let mut reader = Reader::new(text);
    // pest counts the steps of each piece anew.
    let mut steps = MAX_STEPS;
    let file = reader.open(Kind::file);
    loop {
        reader.trivia();
        let (start, known) = (reader.at, reader.nodes.len());
        if start == text.len() {
            break;
        }
        if reader.item().is_none() {
            reader.nodes.truncate(known);
            reader.depth = 0;
            reader.at = end_of_piece(text, start, &mut steps);
            let piece = grammar::parse_file(part(text, start..reader.at))?;
            reader.add(&piece, start);
        }
    }
    reader.leaf(Kind::EOI, 0);
    reader.close(file);
    Some(Tree {
        nodes: reader.nodes,
    })
}

/// Returns where the text from `start` on can be cut: before a newline at which the grammar closes everything that is
/// open. Only heredocs and strings of several lines go on behind it: with one of them the rest of the file is a piece. So
/// it is when the pieces have needed these `steps`.
fn end_of_piece(text: &str, start: usize, steps: &mut usize) -> usize {
    let rest = part(text, start..);
    let newlines = memchr_iter(b'\n', rest.as_bytes());
    let mut cuts = newlines.filter(|at| is_item_start(part(rest, at + 1..)));
    let piece = part(rest, ..cuts.next().unwrap_or(rest.len()));
    let has = |mark: &str| memmem::find(piece.as_bytes(), mark.as_bytes()).is_some();
    // Some for each byte, and each `if` looks for its `then` behind a gap.
    let needed = piece.len() * (16 + refusal::find_ifs(piece).count());
    *steps = steps.saturating_sub(needed);
    if *steps == 0 || has("<<") || has("\"\"\"") || has("'''") {
        return text.len();
    }
    start + piece.len()
}

impl Reader<'_> {
    fn block(&mut self) -> Option<()> {
        match self.byte(0) {
            b'{' => self.brackets(Kind::block, b'}', true, Self::statement),
            _ => None,
        }
    }

    fn statement(&mut self) -> Option<()> {
        let (start, known, depth) = (self.at, self.nodes.len(), self.depth);
        if self.set().is_some() {
            return Some(());
        }
        self.nodes.truncate(known);
        (self.at, self.depth) = (start, depth);
        let name = part(self.rest(), ..self.word_end(0, b"-."));
        let node = self.open(match name {
            "final" => Kind::final_,
            "unset" => Kind::unset,
            "when" => Kind::when,
            // The grammar expects something else behind them, or explains them.
            "axis" | "assert" | "expect" | "snapshot" | "if" | "elif" | "elsif" | "elseif"
            | "else" | "unless" | "When" | "If" => return None,
            _ => Kind::nested,
        });
        match name {
            "final" => {
                self.at += name.len();
                self.some_spaces()?;
                self.set()?;
            }
            "unset" => {
                self.at += name.len();
                self.some_spaces()?;
                self.name()?;
            }
            "when" => {
                self.at += name.len();
                self.edge()?;
                self.spaces();
                self.value()?;
                self.spaces();
                self.block()?;
            }
            _ => {
                self.name()?;
                self.spaces();
                self.block()?;
            }
        }
        self.close(node);
        Some(())
    }

    fn set(&mut self) -> Option<()> {
        let set = self.open(Kind::set);
        self.key()?;
        match (self.byte(0), self.byte(1)) {
            (b'+', b'=') => self.leaf(Kind::append, 2),
            (b'-', b'=') => self.leaf(Kind::remove, 2),
            _ => self.equals()?,
        }
        self.spaces();
        self.value()?;
        self.close(set);
        Some(())
    }

    /// The name or string before `=`, and the spaces behind it.
    fn key(&mut self) -> Option<()> {
        match self.byte(0) {
            b'"' => self.string()?,
            _ => self.name()?,
        }
        self.spaces();
        Some(())
    }

    fn equals(&mut self) -> Option<()> {
        let is_equals = self.byte(0) == b'=' && !matches!(self.byte(1), b'=' | b'>');
        self.at += 1;
        is_equals.then_some(())
    }

    fn text(&mut self) -> Option<()> {
        match self.byte(0) {
            b'"' => self.string(),
            b'\'' => self.raw(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statements that are read here.
    const ORDINARY: [&str; 22] = [
        "a = \"b\"",
        "a-b.c = true, \"d e\" = -1.5+x",
        "a += [\"b\", 'c',\n# d\n  \"\"]",
        "a -= [ [1], ]",
        "final a = b # c",
        "unset a-b",
        "a = { b = 1, \"c\" = { } }",
        "a = \"\\\"${b}\\u{e9}\\${$ é${c([\"d\"], \"${e}\")}\"",
        "a = <<TEXT\n  ${b}\nimage c extends d {\n  TEXT",
        "a = <<'T'\r\n\u{feff}T and b",
        "a = (b or not c) and d not  in e",
        "a = !b and\n\n# c\nd",
        "a = if b == \"c\" then 1\n else if d != e then 2 else 3",
        "when a<=b {c = d}",
        "when(a) {\n\tansible { b = 1 }\n}",
        "matching.x { }",
        "a\u{feff}=\u{feff}b",
        "final = 1, unset = 2, when = 3, if = 4",
        "a = in_b + not_c + if_d",
        "a = f(b,\n)",
        "a = b c = d",
        "a = 1 }\nlayer b { c = 2",
    ];

    /// Statements that are left to pest, or end in another way than they seem to.
    const ODD: [&str; 24] = [
        "a = \"b\nimage c {}\n\"",
        "a = \"\"\"\nimage b {}\n\"\"\"",
        "a = '''b'''",
        "a = [\"\"\"b\"\"\"]",
        "a = <<T\nimage b {}",
        "a = <<-b\nimage c {}\nb",
        "a = b\n== c",
        "a = b == = c",
        "a == b",
        "a => b",
        "a = b and c = d",
        "a = b += c",
        "a = not-b",
        "a = if-b",
        "a = in-b",
        "a = {{b}}",
        "a = [b\nimage c { }",
        "a = \"${b\n}\"",
        "a = \"${b # c}\"",
        "a = \"\\\n\"",
        "axis a in [b]",
        "assert { }",
        "if a { b = 1 } else { b = 2 }",
        "a = 1\u{0}",
    ];

    /// Items that are read here.
    const ITEMS: [&str; 12] = [
        "include \"a\"",
        "include\t'a.json' as b-c \r",
        "include \"${a}\" # b",
        "type a = int",
        "type a-b = \"c\" | 'd'|\"e\" ",
        "type a = string matching '[a-z]+'",
        "variable a : [ { b } ]? = [1,\n 2]",
        "variable a:\"b\"? ",
        "variable a = 1 # b",
        "variable a { to = [b] }",
        "variable a : b = { c = 1 } { to = [d], removed = \"e\" }",
        "variable a :\u{feff}b = if c then d else e",
    ];

    /// Items that are left to pest.
    const ODD_ITEMS: [&str; 18] = [
        "include",
        "include a",
        "include \"a\" as",
        "include \"a\" asb",
        "include \"a\"as b",
        "type a = \"b\"matching \"c\"",
        "include \"a\" { }",
        "include \"a\nb\"",
        "type a == b",
        "type a = ",
        "type a = \"b\" | c",
        "type a = [b",
        "type a = b matching c",
        "variable \"a\" : b",
        "variable a := b",
        "variable a : b c",
        "variable a : b == c",
        "variable a : b = c }",
    ];

    #[test]
    fn ordinary_items_are_read_without_pest() {
        let image = |statement| format!("image a-1 extends b, c {{\n    {statement}\n}}");
        let items = ITEMS.into_iter().map(str::to_owned);
        for text in ORDINARY.into_iter().map(image).chain(items) {
            let mut reader = Reader::new(&text);
            assert!(reader.item().is_some(), "{text}");
        }
    }

    #[test]
    fn items_have_the_tree_of_the_grammar() {
        for item in ITEMS.into_iter().chain(ODD_ITEMS) {
            for text in [
                item.to_owned(),
                format!("{item}\nlayer f {{ }}\n{item}\n# g"),
            ] {
                assert_eq!(parse_file(&text), grammar::parse_file(&text), "{text}");
            }
        }
    }

    #[test]
    fn the_shortcut_gives_the_tree_of_the_grammar() {
        for statement in ORDINARY.into_iter().chain(ODD) {
            let text = format!(
                "# a\nlayer a {{ {statement}\n}} b\n\nrule c {{}}image d{{}}\nlayer e {{{statement}}}\ntype f = int"
            );
            assert_eq!(parse_file(&text), grammar::parse_file(&text), "{text}");
        }
    }
}
