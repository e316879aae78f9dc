//! Specs to try things on, and chance that can be repeated.

use super::{entries, files, root};
use std::path::Path;

/// The examples and the library: path and text.
pub fn specs() -> Vec<(String, String)> {
    let mut specs = Vec::new();
    for folder in
        ["examples", "examples/layers", "stdlib/schema", "stdlib/os", "stdlib/providers", "stdlib/targets"]
    {
        for path in files(&root().join(folder), "imgspec") {
            specs.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
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
            specs.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
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
        "{", "}", "[", "]", "(", ")", "\"", "'", "${", "<<T\n", "\\", "=", "+=", ",", "\n", "#", "when ",
        "image x ", "if ", " then ", "not ", "é", "\u{0}", "{{",
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
