//! What the documents show is so.
//!
//! A code block in `docs/codes/CODE.md` or `docs/language.md` says after its language where it stands
//! (`spec.imgspec` unless it says otherwise) and whether it is `wrong` or `right`; a block that is neither
//! belongs to both. What is wrong gives the page's code, what is right gives no finding at all.

mod common;

use common::pages::{blocks, projects};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn pages_are_right_about_wrong_and_right() {
    let mut problems = Vec::new();
    let mut unchecked = Vec::new();
    for page in common::files(&common::root().join("docs/codes"), "md") {
        let code = page.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&page).unwrap();
        let blocks = blocks(&text);
        let projects = |verdict: &str| projects(&blocks, verdict);
        if projects("wrong").is_empty() {
            unchecked.push(code);
            continue;
        }
        for files in projects("wrong") {
            let found = check(&files);
            if !codes(&found).contains(&code.as_str()) {
                problems.push(format!(
                    "{code}: what is wrong does not give it: {files:?}: {}",
                    shown(&found)
                ));
            }
        }
        assert!(
            !projects("right").is_empty(),
            "{code} shows nothing that is right"
        );
        for files in projects("right") {
            let found = check(&files);
            if !found.is_empty() {
                problems.push(format!(
                    "{code}: what is right is not: {files:?}: {}",
                    shown(&found)
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // It depends on where the output goes; `tests/cases/checkout` has it.
    assert_eq!(unchecked, ["native-output"], "pages without a wrong spec");
}

#[test]
fn the_language_is_as_described() {
    let text = std::fs::read_to_string(common::root().join("docs/language.md")).unwrap();
    let blocks = blocks(&text);
    let projects = projects(&blocks, "right");
    assert!(projects.len() >= 3);
    for files in projects {
        let found = check(&files);
        assert!(found.is_empty(), "{files:?}: {}", shown(&found));
    }
}

#[test]
fn the_readme_shows_a_sound_spec() {
    let text = std::fs::read_to_string(common::root().join("README.md")).unwrap();
    let blocks = blocks(&text);
    let spec = &blocks
        .iter()
        .find(|b| b.text.contains("image "))
        .unwrap()
        .text;
    let files = [
        ("spec.imgspec", spec.as_str()),
        ("corp.imgspec", "layer corp { }"),
        ("mirror.repo", "[m]"),
    ];
    let found = check(&files.into());
    assert!(found.is_empty(), "{}", shown(&found));
}

/// The examples of `docs/json.md`, against what the commands print for the specs that they speak of.
#[test]
fn json_has_the_documented_forms() {
    let text = std::fs::read_to_string(common::root().join("docs/json.md")).unwrap();
    let blocks = blocks(&text);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("photon.imgspec");
    let run = |variable: &str, args: &[&str]| {
        let spec = format!(
            "image photon extends node-ova-local-photon-3 {{\n    {variable} = [\"nfs-utils\", \"net-tools\"]\n}}\n"
        );
        std::fs::write(&path, spec).unwrap();
        common::run_json(folder.path(), args)
    };
    let found = [
        run(
            "extra_rpm",
            &["check", "--format", "json", "photon.imgspec"],
        ),
        run("extra_rpms", &["compile", "--stdout", "photon.imgspec"]),
        run(
            "extra_rpms",
            &["show", "--json", "photon.imgspec", "extra_rpms"],
        ),
    ];
    assert_eq!(blocks.len(), found.len());
    for (block, found) in blocks.iter().zip(found) {
        let documented = block
            .text
            .replace("/home/me/images/photon.imgspec", path.to_str().unwrap());
        let documented: Value = serde_json::from_str(&documented).unwrap();
        assert!(
            holds(&found, &documented),
            "documented:\n{documented:#}\nfound:\n{found:#}"
        );
    }
}

/// Whether a value has everything that another has.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|w| holds(w, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| holds(w, p))
        }
        _ => whole == part,
    }
}

/// What `imgspec check .` finds in a folder of these files.
fn check(files: &BTreeMap<&str, &str>) -> Vec<Value> {
    let outer = tempfile::tempdir().unwrap();
    let project = outer.path().join("project");
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    common::pages::write(&project, &files);
    let found = common::run_json(&project, &["check", ".", "--format", "json"]);
    found["diagnostics"].as_array().unwrap().clone()
}

fn shown(found: &[Value]) -> String {
    found
        .iter()
        .map(|d| {
            format!(
                "\n    {}:{}: {}: {}",
                d["file"], d["line"], d["code"], d["message"]
            )
        })
        .collect()
}

fn codes(found: &[Value]) -> Vec<&str> {
    found.iter().map(|d| d["code"].as_str().unwrap()).collect()
}
