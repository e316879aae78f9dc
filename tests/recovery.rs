//! Damage: any text gives a tree that spells it, never a panic, and few diagnostics for few faults.

mod common;

use common::snapshot::{self, functions};
use common::specs::{edit, floor_boundary, seeded, specs};
use imgspec::source::FileId;
use imgspec::syntax::{Kind, parse};
use libtest_mimic::Trial;
use std::path::Path;
use std::process::ExitCode;

/// Parses a text and checks what must hold for every text; returns the number of diagnostics.
fn check(text: &str) -> usize {
    let parse = parse(FileId(0), text);
    let leaves = parse.tree.leaves(text.len() as u32);
    let mut at = 0;
    for (kind, start, end) in leaves {
        assert_eq!(start, at, "leaves overlap or leave a gap");
        if kind.is_none() {
            let gap = &text[start as usize..end as usize];
            assert!(is_punctuation(gap), "{gap:?} is text that no leaf holds");
        }
        at = end;
    }
    assert_eq!(at as usize, text.len());
    for diagnostic in &parse.diagnostics {
        let span = diagnostic.primary.span;
        assert!(span.start <= span.end && span.end as usize <= text.len());
        assert!(
            text.is_char_boundary(span.start as usize) && text.is_char_boundary(span.end as usize)
        );
    }
    parse.diagnostics.len()
}

/// Between leaves lie only blanks, punctuation and the words of the grammar.
fn is_punctuation(gap: &str) -> bool {
    const WORDS: [&str; 21] = [
        "include", "as", "type", "matching", "variable", "extends", "final", "unset", "when",
        "axis", "in", "assert", "if", "test", "waive", "for", "because", "until", "expect", "at",
        "snapshot",
    ];
    gap.split(|c: char| !c.is_ascii_alphabetic())
        .all(|w| w.is_empty() || WORDS.contains(&w))
        && gap
            .chars()
            .all(|c| c.is_ascii_alphabetic() || " \t\r\n\u{feff}{}[]()=,:|$\"".contains(c))
}

fn main() -> ExitCode {
    let root = common::root();
    let mut trials = Vec::new();
    let mut add = |name: &str, below: &Path, text: &str, test: fn(&str)| {
        let text = text.to_owned();
        let name = format!("{name}::{}", below.with_extension("").display());
        trials.push(Trial::test(name, move || {
            test(&text);
            Ok(())
        }));
    };
    for (path, text) in specs() {
        let below = Path::new(&path).strip_prefix(root).unwrap();
        let mut add = |name: &str, test: fn(&str)| add(name, below, &text, test);
        add(
            "sound_file_has_no_diagnostics",
            sound_file_has_no_diagnostics,
        );
        add(
            "deleted_line_costs_few_diagnostics",
            deleted_line_costs_few_diagnostics,
        );
        if below.starts_with("examples") {
            add(
                "cut_short_costs_few_diagnostics",
                cut_short_costs_few_diagnostics,
            );
            add(
                "deleted_character_costs_few_diagnostics",
                deleted_character_costs_few_diagnostics,
            );
        }
    }
    assert!(trials.len() > 60, "only {} tests", trials.len());
    trials.extend(functions![
        random_edits_never_panic,
        deep_nesting_is_refused_not_fatal,
        ten_mistakes_are_ten_reports,
    ]);
    snapshot::run(trials)
}

fn sound_file_has_no_diagnostics(text: &str) {
    assert_eq!(check(text), 0);
    assert_eq!(check(text.trim_end()), 0, "without a newline at its end");
    let windows = text.replace('\n', "\r\n");
    assert_eq!(check(&windows), 0, "with Windows line ends");
    let marked = format!("\u{feff}{text}");
    assert_eq!(check(&marked), 0, "with a byte order mark");
}

fn cut_short_costs_few_diagnostics(text: &str) {
    for (end, _) in text.char_indices() {
        let found = check(&text[..end]);
        let kept = &text[..end];
        assert!(found <= 4, "up to byte {end}: {found} diagnostics\n{kept}");
    }
}

fn deleted_line_costs_few_diagnostics(text: &str) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for skipped in 0..lines.len() {
        let damaged = [&lines[..skipped], &lines[skipped + 1..]].concat().concat();
        let found = check(&damaged);
        let line = skipped + 1;
        assert!(found <= 3, "without line {line}: {found} diagnostics");
    }
}

fn deleted_character_costs_few_diagnostics(text: &str) {
    let tree = parse(FileId(0), text).tree;
    for (_, start, end) in tree.leaves(text.len() as u32) {
        for at in [start as usize, (end - 1) as usize] {
            let at = floor_boundary(text, at);
            let width = text[at..].chars().next().map_or(1, char::len_utf8);
            let damaged = format!("{}{}", &text[..at], &text[at + width..]);
            let found = check(&damaged);
            assert!(
                found <= 4,
                "without byte {at}: {found} diagnostics\n{damaged}"
            );
        }
    }
}

fn random_edits_never_panic() {
    let specs: Vec<_> = specs()
        .into_iter()
        .filter(|(_, text)| text.len() < 20_000)
        .collect();
    let mut random = seeded(1);
    for round in 0..6000 {
        let (name, text) = &specs[random.usize(..specs.len())];
        let mut damaged = text.clone();
        let edits = 1 + random.usize(..4);
        for _ in 0..edits {
            edit(&mut damaged, &mut random);
        }
        let found = check(&damaged);
        assert!(
            found <= 6 * edits + 4,
            "round {round}, {name}: {edits} edits, {found} diagnostics\n{damaged}"
        );
    }
}

fn deep_nesting_is_refused_not_fatal() {
    for open in ["[", "(", "{ a = ", "\"${", "if ", "not ", "f("] {
        for depth in [200, 100_000] {
            let text = format!("layer a {{\n x = {}\n}}\n", open.repeat(depth));
            let parse = parse(FileId(0), &text);
            assert!(!parse.diagnostics.is_empty(), "{open}");
        }
    }
    for operator in ["+ [1] ", "or x ", "and x "] {
        let text = format!("layer a {{\n x = x {}\n}}\n", operator.repeat(20_000));
        assert!(
            !parse(FileId(0), &text).diagnostics.is_empty(),
            "{operator}"
        );
    }
    let holes = format!(
        "layer a {{\n x = {}y{}\n}}\n",
        "\"${".repeat(5_000),
        "}\"".repeat(5_000)
    );
    assert!(!parse(FileId(0), &holes).diagnostics.is_empty());
    let blocks = "when a {".repeat(50_000);
    assert!(
        !parse(FileId(0), &format!("layer a {{\n{blocks}"))
            .diagnostics
            .is_empty()
    );
}

fn ten_mistakes_are_ten_reports() {
    let text = "image a extends b {\n    one: 1\n    two = \n    three = [1, 2\n    four = \"open\n    five = [1 2]\n    six = a && b\n    seven eight\n    nine = (1\n    ten = {a : 1}\n    eleven = \"\\q\"\n    good = true\n}\n";
    let parse = parse(FileId(0), text);
    let lines: Vec<usize> = parse
        .diagnostics
        .iter()
        .map(|d| text[..d.primary.span.start as usize].matches('\n').count())
        .collect();
    assert_eq!(
        lines,
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        "{:#?}",
        parse.diagnostics
    );
    assert!(parse.tree.len() > 20 && parse.tree.node(0).kind == Kind::file);
}
