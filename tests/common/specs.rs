//! Specs to try things on, and chance that can be repeated.

use super::{entries, files, root};
use imgspec::source::FileId;
use imgspec::syntax::{Kind, Tree, parse};
use std::path::Path;

/// The examples and the library: path and text.
pub fn specs() -> Vec<(String, String)> {
    let mut specs = Vec::new();
    for folder in [
        "examples",
        "examples/layers",
        "stdlib/schema",
        "stdlib/os",
        "stdlib/providers",
        "stdlib/targets",
    ] {
        for path in files(&root().join(folder), "imgspec") {
            specs.push((
                path.display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            ));
        }
    }
    specs
}

/// All specs below a folder.
pub fn specs_below(folder: &Path) -> Vec<(String, String)> {
    let mut specs = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            specs.extend(specs_below(&path));
        } else if path.extension().is_some_and(|e| e == "imgspec") {
            specs.push((
                path.display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            ));
        }
    }
    specs
}

/// A small generator, so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// One of some.
    pub fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Inserts, removes or copies a piece of a text somewhere.
pub fn edit(text: &mut String, random: &mut Random) {
    const PIECES: [&str; 24] = [
        "{", "}", "[", "]", "(", ")", "\"", "'", "${", "<<T\n", "\\", "=", "+=", ",", "\n", "#",
        "when ", "image x ", "if ", " then ", "not ", "é", "\u{0}", "{{",
    ];
    let at = floor_boundary(text, random.below(text.len() + 1));
    match random.below(3) {
        0 => text.insert_str(at, random.of(&PIECES)),
        1 => {
            let end = floor_boundary(text, (at + random.below(12)).min(text.len())).max(at);
            text.replace_range(at..end, "");
        }
        _ => {
            let from = floor_boundary(text, random.below(text.len() + 1));
            let to = floor_boundary(text, (from + random.below(60)).min(text.len())).max(from);
            let piece = text[from..to].to_owned();
            text.insert_str(at, &piece);
        }
    }
}

pub fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A sound text with other blanks, and with other line breaks, commas and comments where the language
/// allows them.
pub fn mangle(text: &str, random: &mut Random, breaks: bool) -> String {
    let tree = parse(FileId(0), text).tree;
    let mut out = String::new();
    let mut open: Vec<char> = Vec::new();
    let mut end = 0;
    let mut at = 1;
    while at < tree.len() {
        let node = tree.node(at);
        let is_whole = node.kind == Kind::template || node.next as usize == at + 1;
        if is_whole {
            let gap = &text[end..node.start as usize];
            mangle_gap(gap, end, &tree, &mut open, random, breaks, &mut out);
            let slice = &text[node.start as usize..node.end as usize];
            match node.kind {
                Kind::heredoc => out.push_str(&slice.replace('\n', "\n  ")),
                _ => out.push_str(slice),
            }
            end = node.end as usize;
            if breaks && node.kind == Kind::infix && random.below(4) == 0 {
                out.push_str(random.of(&["\n ", " # of a run\n ", "\n\n\t"]));
            }
            at = node.next as usize;
        } else {
            at += 1;
        }
    }
    mangle_gap(
        &text[end..],
        end,
        &tree,
        &mut open,
        random,
        breaks,
        &mut out,
    );
    out
}

fn mangle_gap(
    gap: &str,
    start: usize,
    tree: &Tree,
    open: &mut Vec<char>,
    random: &mut Random,
    breaks: bool,
    out: &mut String,
) {
    const BLANKS: [&str; 4] = [" ", "  ", "\t", "    "];
    for (i, c) in gap.char_indices() {
        let place = (start + i) as u32;
        let of = |kind: Kind| {
            (0..tree.len()).any(|n| tree.node(n).kind == kind && tree.node(n).start == place)
        };
        match c {
            ' ' => out.push_str(random.of(&BLANKS)),
            '\n' => {
                out.push_str(random.of(&["\n", "  \n"]));
                if breaks {
                    out.push_str(random.of(&["", "\n", "\n\n\n", "  # on its own\n", "\t\n"]));
                }
                out.push_str(random.of(&BLANKS));
            }
            '[' | '(' | '{' => {
                let kind = match c {
                    '{' if of(Kind::block) => 'b',
                    '{' if of(Kind::map) => 'l',
                    '[' if of(Kind::list) => 'l',
                    '(' if of(Kind::args) => 'l',
                    '(' if of(Kind::paren) => 'p',
                    _ => 't',
                };
                open.push(kind);
                out.push(c);
                if breaks && kind != 't' && random.below(6) == 0 {
                    out.push_str(random.of(&["\n ", " # behind a bracket\n ", "\n\n "]));
                }
            }
            ']' | ')' | '}' => {
                let kind = open.pop();
                if breaks && kind != Some('t') && random.below(6) == 0 {
                    out.push_str(random.of(&["\n ", " # before a bracket\n ", "\n\n "]));
                }
                out.push(c);
            }
            ',' if breaks => match (open.last(), random.below(5)) {
                (Some('b' | 'l'), 0) => out.push_str("\n "),
                (Some('b' | 'l'), 1) => out.push_str(" # for a comma\n "),
                (_, 2) => out.push_str(", # behind a comma\n "),
                _ => out.push_str(" , "),
            },
            _ => out.push(c),
        }
    }
}
