//! Specs to try things on, and chance that can be repeated.

use super::{entries, files, root};
use fastrand::Rng;
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
        "stdlib/v0.1.13/os",
        "stdlib/v0.1.13/providers",
        "stdlib/v0.1.13/targets",
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

/// Returns a generator whose seed is printed. `IMGSPEC_SEED` sets another seed for all generators of a test.
pub fn seeded(seed: u64) -> Rng {
    let seed = match std::env::var("IMGSPEC_SEED") {
        Ok(text) => text.parse().expect("IMGSPEC_SEED is a number"),
        Err(_) => seed,
    };
    println!("IMGSPEC_SEED={seed}");
    Rng::with_seed(seed)
}

/// Returns one of some texts.
pub fn pick<'a>(random: &mut Rng, choices: &[&'a str]) -> &'a str {
    choices[random.usize(..choices.len())]
}

/// Inserts, removes or copies a piece of a text somewhere.
pub fn edit(text: &mut String, random: &mut Rng) {
    const PIECES: [&str; 24] = [
        "{", "}", "[", "]", "(", ")", "\"", "'", "${", "<<T\n", "\\", "=", "+=", ",", "\n", "#",
        "when ", "image x ", "if ", " then ", "not ", "é", "\u{0}", "{{",
    ];
    let at = floor_boundary(text, random.usize(..text.len() + 1));
    match random.usize(..3) {
        0 => text.insert_str(at, pick(random, &PIECES)),
        1 => {
            let end = floor_boundary(text, (at + random.usize(..12)).min(text.len())).max(at);
            text.replace_range(at..end, "");
        }
        _ => {
            let from = floor_boundary(text, random.usize(..text.len() + 1));
            let to = floor_boundary(text, (from + random.usize(..60)).min(text.len())).max(from);
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
pub fn mangle(text: &str, random: &mut Rng, breaks: bool) -> String {
    let tree = parse(FileId(0), text).tree;
    let mut out = String::new();
    let mut open: Vec<char> = Vec::new();
    let mut end = 0;
    let mut at = 1;
    while at < tree.len() {
        let node = tree.node(at);
        let is_whole = node.kind == Kind::interpolated || node.next as usize == at + 1;
        if is_whole {
            let gap = &text[end..node.start as usize];
            mangle_gap(gap, end, &tree, &mut open, random, breaks, &mut out);
            let slice = &text[node.start as usize..node.end as usize];
            match node.kind {
                Kind::heredoc => out.push_str(&slice.replace('\n', "\n  ")),
                _ => out.push_str(slice),
            }
            end = node.end as usize;
            if breaks && node.kind == Kind::infix && random.usize(..4) == 0 {
                out.push_str(pick(random, &["\n ", " # of a run\n ", "\n\n\t"]));
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
    random: &mut Rng,
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
            ' ' => out.push_str(pick(random, &BLANKS)),
            '\n' => {
                out.push_str(pick(random, &["\n", "  \n"]));
                if breaks {
                    out.push_str(pick(
                        random,
                        &["", "\n", "\n\n\n", "  # on its own\n", "\t\n"],
                    ));
                }
                out.push_str(pick(random, &BLANKS));
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
                if breaks && kind != 't' && random.usize(..6) == 0 {
                    out.push_str(pick(random, &["\n ", " # behind a bracket\n ", "\n\n "]));
                }
            }
            ']' | ')' | '}' => {
                let kind = open.pop();
                if breaks && kind != Some('t') && random.usize(..6) == 0 {
                    out.push_str(pick(random, &["\n ", " # before a bracket\n ", "\n\n "]));
                }
                out.push(c);
            }
            ',' if breaks => match (open.last(), random.usize(..5)) {
                (Some('b' | 'l'), 0) => out.push_str("\n "),
                (Some('b' | 'l'), 1) => out.push_str(" # for a comma\n "),
                (_, 2) => out.push_str(", # behind a comma\n "),
                _ => out.push_str(" , "),
            },
            _ => out.push(c),
        }
    }
}

/// The literals of the grammar, and what no literal is.
pub fn tokens() -> Vec<String> {
    let grammar = std::fs::read_to_string(root().join("grammar/imgspec.pest")).unwrap();
    let rules = grammar.lines().filter(|line| !line.starts_with("//"));
    // In each rule every other part between quotes is a literal; the grammar writes a quote as `\"`.
    let literals = rules.flat_map(|rule| {
        let rule = rule.replace("\\\\", "\u{1}").replace("\\\"", "\u{2}");
        let literals = rule.split('"').skip(1).step_by(2);
        let literals = literals.map(|literal| {
            literal
                .replace("\\n", "\n")
                .replace('\u{1}', "\\")
                .replace('\u{2}', "\"")
        });
        literals.collect::<Vec<_>>()
    });
    let others = [
        "a",
        "b-c",
        "d.e",
        "1",
        "-1",
        "1.5",
        "\"s\"",
        "\"${a}\"",
        "'r'",
        "a = 1",
        "b = [1, 2]\n",
        "x = {",
        "<<T\nx\nT\n",
        "# c\n",
        "## d\n",
        "\n",
        " ",
        "\t",
        "\r\n",
        "\u{feff}",
        "é",
        "%",
        "@",
        "^",
        "$",
        "`",
        "ansible {",
        "file(\"a\")",
    ];
    let mut all: Vec<String> = literals.chain(others.map(str::to_owned)).collect();
    all.sort();
    all.dedup();
    all
}
