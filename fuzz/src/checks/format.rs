//! `format`: formatting changes only whitespace and commas, and formatting again changes nothing.

use imgspec::source::FileId;
use imgspec::syntax::{self, parse};

/// Formats a text, and the range of one of its nodes.
pub fn format(data: &[u8]) {
    // The first two bytes choose the node.
    let [a, b, rest @ ..] = data else { return };
    let text = &*super::text(rest);
    let formatted = syntax::format(text);
    assert_eq!(
        syntax::format(&formatted),
        formatted,
        "formatting again changes it\n----\n{text}"
    );
    check_same(text, &formatted);
    let tree = syntax::parse_tree(text);
    let node = tree.node(usize::from(u16::from_le_bytes([*a, *b])) % tree.len());
    let wanted = node.start as usize..node.end as usize;
    if let Some((range, new)) = syntax::format_range(text, wanted) {
        let mut changed = text.to_owned();
        changed.replace_range(range, &new);
        check_same(text, &changed);
    }
}

fn check_same(before: &str, after: &str) {
    assert!(
        ink(before).eq(ink(after)),
        "more than whitespace and commas changes\n{before}\n----\n{after}"
    );
    let (old, new) = (meaning(before), meaning(after));
    let length = old.len().max(new.len());
    if let Some(at) = (0..length).find(|at| old.get(*at) != new.get(*at)) {
        let (old, new) = (old.get(at), new.get(at));
        panic!("the meaning changes\n{before}\n----\n{after}\n----\n{old:?}\n{new:?}");
    }
}

fn ink(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|c| ![' ', '\t', '\r', '\n', ',', '\u{feff}'].contains(c))
}

/// The typed view of a text and its diagnostics, without their places: a part of it on each line.
fn meaning(text: &str) -> Vec<String> {
    let parse = parse(FileId(0), text);
    let debug = format!("{:?}", parse.file.items);
    let mut lines: Vec<String> = debug
        .split("Span {")
        .enumerate()
        .map(|(at, part)| match part.split_once('}') {
            Some((_, rest)) if at > 0 => rest.to_owned(),
            _ => part.to_owned(),
        })
        .collect();
    lines.extend(parse.diagnostics.into_iter().map(|found| found.message));
    lines
}
