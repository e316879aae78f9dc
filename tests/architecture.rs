//! The invariants of ARCHITECTURE.md that text can show.

mod common;

use std::path::{Path, PathBuf};

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for path in common::entries(folder) {
        match path.is_dir() {
            true => sources(&path, out),
            false => out.push(path),
        }
    }
}

/// The source files that mention a word outside comments.
fn mentions(word: &str) -> Vec<String> {
    let root = common::root().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines()
                .any(|line| line.split("//").next().unwrap_or("").contains(word))
        })
        .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
        .collect()
}

fn assert_only(word: &str, rooms: &[&str]) {
    for file in mentions(word) {
        assert!(
            rooms.iter().any(|room| file.starts_with(room)),
            "{word} is named in src/{file}; it belongs to {rooms:?}"
        );
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    assert_only("pest::", &["syntax/grammar.rs"]);
    assert_only("miette::", &["diagnostic/rich.rs"]);
    assert_only("codespan_reporting::", &["diagnostic/plain.rs"]);
    assert_only("clap::", &["cli/"]);
    assert_only("jsonc_parser::", &["project/json_syntax.rs"]);
    assert_only("lsp_types::", &["lsp/"]);
    assert_only("lsp_server::", &["lsp/"]);
}

#[test]
fn only_the_edge_touches_the_world() {
    assert_only("std::fs", &["build/", "cli/", "source/loader.rs"]);
    assert_only("std::env::", &["build/", "cli/"]);
    assert_only("SystemTime", &[]);
    assert_only("Instant", &["build/", "cli/"]);
    assert_only("println!", &[]);
}

#[test]
fn the_compiler_knows_no_variable_by_name() {
    let mut declared = Vec::new();
    for path in common::files(&common::root().join("stdlib/schema"), "imgspec") {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            if let Some(rest) = line.strip_prefix("variable ") {
                declared.push(rest.split([' ', ':']).next().unwrap().to_owned());
            }
        }
    }
    assert!(declared.len() > 200);
    // Names that are also ordinary words of the code, or functions of Packer.
    let words = [
        "build_name",
        "provider",
        "template",
        "format",
        "host",
        "runtime",
        "arch",
        "memory",
        "network",
        "folder",
        "password",
        "username",
        "headless",
        "encrypted",
        "cpu",
        "cluster",
    ];
    for name in declared
        .iter()
        .filter(|name| !words.contains(&name.as_str()))
    {
        let quoted = mentions(&format!("\"{name}\""));
        assert!(
            quoted.is_empty(),
            "src/{} knows the variable {name}",
            quoted[0]
        );
    }
}

#[test]
fn nothing_panics_on_purpose() {
    for word in [
        ".unwrap()",
        "panic!(",
        "todo!(",
        "unimplemented!(",
        "unreachable!(",
    ] {
        let root = common::root().join("src");
        let mut files = Vec::new();
        sources(&root, &mut files);
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}
