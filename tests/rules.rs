//! Every rule of the library: a spec that breaks it, and one that keeps it.
//!
//! A file in `tests/rules` is named after a rule. Its first lines may be `# code: CODE`, the code of the diagnostic that
//! takes the rule's place, and `# release: RELEASE`, whose library it is checked with. Each image `break…` in it has a
//! diagnostic of that rule or code, and no image `keep…` has one.

mod common;

use common::snapshot::{self, functions};
use libtest_mimic::Failed;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut trials = snapshot::trials(specs(), check_rule);
    trials.extend(functions![every_rule_has_a_spec]);
    snapshot::run(trials)
}

fn specs() -> Vec<PathBuf> {
    common::files(&common::root().join("tests/rules"), "imgspec")
}

fn check_rule(path: &Path) -> Result<(), Failed> {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let text = std::fs::read_to_string(path)?;
    let header = |key: &str| {
        let mut comments = text.lines().take_while(|line| line.starts_with("# "));
        comments.find_map(|line| {
            line.strip_prefix("# ")?
                .strip_prefix(key)?
                .strip_prefix(": ")
        })
    };
    let code = header("code");
    let mut args = vec!["check", path.to_str().unwrap(), "--format", "json"];
    args.extend(
        header("release")
            .iter()
            .flat_map(|name| ["--release", name]),
    );
    let found = common::run_json(path.parent().unwrap(), &args);
    let is_wanted = |d: &&Value| match code {
        Some(code) => d["code"] == code,
        None => d["rule"] == stem,
    };
    let diagnostics = found["diagnostics"].as_array().unwrap().iter();
    let wanted: Vec<&Value> = diagnostics.filter(is_wanted).collect();
    // What concerns no single image is in the text of one.
    let concerns = |d: &Value, name: &str, from: u64, to: u64| match d["images"].as_array() {
        Some(images) if !images.is_empty() => images.iter().any(|image| image == name),
        _ => (from..to).contains(&d["line"].as_u64().unwrap()),
    };
    let images = images(&text);
    for kind in ["break", "keep"] {
        let has_kind = images.iter().any(|(name, ..)| name.starts_with(kind));
        assert!(has_kind, "no image is named {kind}…");
    }
    let mut problems = Vec::new();
    for (name, from, to) in images {
        let is_found = wanted.iter().any(|d| concerns(d, name, from, to));
        if is_found != name.starts_with("break") {
            problems.push(format!("image {name}: found = {is_found}, all: {found:#}"));
        }
    }
    snapshot::fail_on(&problems)
}

fn every_rule_has_a_spec() {
    let covered: Vec<_> = specs();
    let folders = common::entries(&common::root().join("stdlib")).into_iter();
    let files = folders.flat_map(|f| [f.join("rules.imgspec"), f.join("schema/rules.imgspec")]);
    let rules: Vec<String> = files.flat_map(std::fs::read_to_string).collect();
    assert!(
        rules.len() > 2,
        "the shared rules, and those of each release"
    );
    let mut names = rules
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("rule ")?.split(' ').next())
        .peekable();
    assert!(names.peek().is_some());
    for name in names {
        let has_spec = covered.iter().any(|path| path.file_stem().unwrap() == name);
        assert!(has_spec, "the rule {name} has no file in tests/rules");
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
