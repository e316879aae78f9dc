//! Every rule of the library: a spec that breaks it, and one that keeps it.
//!
//! A file in `tests/rules` is named after a rule, or says `# code: …` of the diagnostic that stands
//! for it. Each image `break…` in it must be found fault with for that, each image `keep…` must not.

mod common;

use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn each_rule_is_broken_and_kept() {
    let folder = common::root().join("tests/rules");
    let mut covered = BTreeSet::new();
    let mut problems = Vec::new();
    for path in common::files(&folder, "imgspec") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().next().and_then(|l| l.strip_prefix("# code: "));
        let found = common::run_json(
            &folder,
            &["check", &path.to_string_lossy(), "--format", "json"],
        );
        let wanted = |d: &Value| match code {
            Some(code) => d["code"] == code,
            None => d["rule"] == stem.as_str(),
        };
        let lines: Vec<u64> = found["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| wanted(d))
            .map(|d| d["line"].as_u64().unwrap())
            .collect();
        let (mut breaks, mut keeps) = (0, 0);
        for (name, from, to) in images(&text) {
            let is_found = lines.iter().any(|l| (from..to).contains(l));
            breaks += u32::from(name.starts_with("break"));
            keeps += u32::from(name.starts_with("keep"));
            if is_found != name.starts_with("break") {
                problems.push(format!(
                    "{stem}: image {name}: found = {is_found}, all: {found:#}"
                ));
            }
        }
        assert!(
            breaks > 0 && keeps > 0,
            "{stem} needs an image that breaks the rule and one that keeps it"
        );
        covered.insert(stem);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let rules =
        std::fs::read_to_string(common::root().join("stdlib/schema/rules.imgspec")).unwrap();
    for rule in rules
        .lines()
        .filter_map(|l| l.strip_prefix("rule ")?.split(' ').next())
    {
        assert!(
            covered.contains(rule),
            "the rule {rule} has no file in tests/rules"
        );
    }
}

/// The images of a spec with the lines from their header to the next item.
fn images(text: &str) -> Vec<(&str, u64, u64)> {
    let mut out: Vec<(&str, u64, u64)> = Vec::new();
    let mut last = 0;
    for (i, line) in text.lines().enumerate() {
        let number = i as u64 + 1;
        last = number;
        if let Some(rest) = line.strip_prefix("image ") {
            if let Some(previous) = out.last_mut() {
                previous.2 = number;
            }
            out.push((rest.split(' ').next().unwrap(), number, number + 1));
        }
    }
    if let Some(previous) = out.last_mut() {
        previous.2 = last + 1;
    }
    out
}
