//! Changes of specs that bytes alone seldom make: a node in the place of another of its kind.

use fastrand::Rng;
use imgspec::source::Release;
use imgspec::syntax::{Kind, parse_tree};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// What a node can be put into.
const WRAPS: [(&str, &str); 18] = [
    ("when os_family == \"debian\" { ", " }"),
    ("when provider in [\"qemu\"] {\n", "\n}"),
    ("packer {\n", "\n}"),
    ("image wrapped extends qemu-ubuntu-2004 {\n", "\n}\n"),
    ("layer wrapped {\n", "\n}\n"),
    ("rule wrapped { deny = ", ", message = \"no\" }"),
    ("probe wrapped { run = [", "] }"),
    ("test \"wrapped\" for * {\n", "\n}\n"),
    ("with { ", " }"),
    ("assert ", " because \"wrapped\""),
    ("variable wrapped : string = ", " { secret = true }\n"),
    ("[", "]"),
    ("{ a = ", " }"),
    ("if os_family == \"debian\" then ", " else 1"),
    ("join(", ", \"\")"),
    ("\"${", "}\""),
    ("not ", ""),
    ("unset ", ""),
];

/// Nodes of the library, by their kind.
static PIECES: LazyLock<HashMap<Kind, Vec<&'static str>>> = LazyLock::new(|| {
    let mut pieces: HashMap<Kind, Vec<&'static str>> = HashMap::new();
    for (_, text) in Release::all().into_iter().flat_map(Release::files) {
        for (kind, range) in nodes(text) {
            if (1..400).contains(&range.len()) {
                pieces.entry(kind).or_default().push(&text[range]);
            }
        }
    }
    for known in pieces.values_mut() {
        known.sort_unstable();
        known.dedup();
    }
    pieces
});

fn nodes(text: &str) -> Vec<(Kind, Range<usize>)> {
    let tree = parse_tree(text);
    let nodes = (1..tree.len()).map(|at| tree.node(at));
    nodes
        .map(|node| (node.kind, node.start as usize..node.end as usize))
        .collect()
}

/// Changes an input in place, and returns its new size: by libFuzzer's own means, or node by node.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut random = Rng::with_seed(u64::from(seed));
    if random.u8(..) < 144 {
        return libfuzzer_sys::fuzzer_mutate(data, size, most);
    }
    let Ok(text) = std::str::from_utf8(&data[..size]) else {
        return libfuzzer_sys::fuzzer_mutate(data, size, most);
    };
    let mut text = text.to_owned();
    for _ in 0..=random.usize(..3) {
        change(&mut text, &mut random);
    }
    store(&text, data, most)
}

/// Writes one input with a node of another, and returns the size.
pub fn cross(a: &[u8], b: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut random = Rng::with_seed(u64::from(seed));
    let (text, other) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    let mut text = text.into_owned();
    let (ours, theirs) = (nodes(&text), nodes(&other));
    if let Some((kind, range)) = random.choice(&ours) {
        let of_kind: Vec<_> = theirs.iter().filter(|(other, _)| other == kind).collect();
        if let Some((_, new)) = random
            .choice(&of_kind)
            .or(random.choice(&theirs.iter().collect::<Vec<_>>()))
        {
            text.replace_range(range.clone(), &other[new.clone()]);
        }
    }
    let most = out.len();
    store(&text, out, most)
}

fn store(text: &str, data: &mut [u8], most: usize) -> usize {
    let size = text.len().min(most);
    data[..size].copy_from_slice(&text.as_bytes()[..size]);
    size
}

fn change(text: &mut String, random: &mut Rng) {
    let nodes = nodes(text);
    let Some((kind, range)) = random.choice(&nodes).cloned() else {
        return;
    };
    let own = text[range.clone()].to_owned();
    match random.usize(..8) {
        0 | 1 => {
            let of_kind: Vec<&(Kind, Range<usize>)> =
                nodes.iter().filter(|(other, _)| *other == kind).collect();
            let (_, other) = of_kind[random.usize(..of_kind.len())];
            let new = text[other.clone()].to_owned();
            text.replace_range(range, &new);
        }
        2 | 3 => {
            if let Some(new) = PIECES.get(&kind).and_then(|known| random.choice(known)) {
                text.replace_range(range, new);
            }
        }
        4 => text.replace_range(range, ""),
        5 => {
            let gap = ["\n", " ", "", ", "][random.usize(..4)];
            text.insert_str(range.end, &format!("{gap}{own}"));
        }
        6 => {
            let (open, close) = WRAPS[random.usize(..WRAPS.len())];
            text.replace_range(range, &format!("{open}{own}{close}"));
        }
        _ => {
            let other = nodes[random.usize(..nodes.len())].1.clone();
            let new = text[other].to_owned();
            text.insert_str(range.end, &new);
        }
    }
}
