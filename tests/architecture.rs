//! The invariants of ARCHITECTURE.md that text can show.

mod common;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use regex::Regex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for path in common::entries(folder) {
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
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

/// The rooms of `src/` from the ground to the roof, and those inside `project/`: each may name only rooms below it.
/// `lsp` is a neighbour of `build` and `image`, and knows neither.
const ROOMS: [&str; 20] = [
    "source",
    "diagnostic",
    "syntax",
    "schema",
    "packer",
    "ansible",
    "project",
    "eval",
    "emit",
    "driver",
    "review",
    "verify",
    "reference",
    "report",
    "import",
    "workspace",
    "build",
    "image",
    "lsp",
    "cli",
];
const PROJECT: [&str; 9] = [
    "lock", "roots", "edition", "adopted", "config", "hir", "allowed", "check", "load",
];

#[test]
fn rooms_only_use_rooms_below_them() {
    let root = common::root().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for path in files {
        let name = path.strip_prefix(&root).unwrap().with_extension("");
        let parts: Vec<&str> = name.iter().map(|part| part.to_str().unwrap()).collect();
        if !matches!(parts[0], "lib" | "main") {
            check_arrows(&path, parts[0], "crate::", &ROOMS);
        }
        if parts[0] == "project" && parts[1] != "mod" {
            check_arrows(&path, parts[1], "crate::project::", &PROJECT);
        }
    }
}

fn check_arrows(path: &Path, room: &str, prefix: &str, rooms: &[&str]) {
    let order = |room: &str| rooms.iter().position(|other| *other == room);
    let own = order(room).unwrap_or_else(|| panic!("{room} is in no list of rooms"));
    let text = std::fs::read_to_string(path).unwrap();
    for (at, _) in text.match_indices(prefix) {
        let rest = &text[at + prefix.len()..];
        let other = rest
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap();
        let is_up = order(other).is_some_and(|other| other > own);
        let is_neighbour = room == "lsp" && ["build", "image"].contains(&other);
        assert!(
            !is_up && !is_neighbour,
            "{} uses {prefix}{other}",
            path.display()
        );
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    assert_only("quick_junit::", &["image/junit.rs"]);
    assert_only("chrono::", &["project/hir/policy.rs", "build/statement.rs"]);
    assert_only("pest::", &["syntax/grammar.rs"]);
    assert_only("miette::", &["diagnostic/rich.rs"]);
    assert_only("codespan_reporting::", &["diagnostic/plain.rs"]);
    assert_only("clap::", &["cli/"]);
    assert_only("jsonc_parser::", &["packer/json.rs"]);
    assert_only("ext4_view::", &["image/disk.rs"]);
    assert_only("lsp_types::", &["lsp/"]);
    assert_only("lsp_server::", &["lsp/"]);
    assert_only("landlock::", &["workspace/confine.rs"]);
    assert_only("libc::", &["workspace/confine.rs"]);
    assert_only("notify::", &["cli/watch.rs"]);
    assert_only("miniz_oxide::", &["image/qcow2.rs"]);
    assert_only("maud::", &["reference/html.rs", "report/html.rs"]);
    assert_only("regex_syntax::", &["reference/examples.rs"]);
    assert_only("seccompiler::", &["workspace/confine.rs"]);
    assert_only("tar::", &["image/archive.rs", "workspace/revision.rs"]);
}

/// Everything but building compiles on every system, so that editors on Windows get the language server.
#[test]
fn only_builds_need_unix() {
    assert_only(
        "crate::build",
        &[
            "build/",
            "image/boot.rs",
            "image/machine.rs",
            "image/probe.rs",
            "cli/build",
            "cli/clean",
            "cli/deps",
            "cli/probe",
            "cli/states",
        ],
    );
    let root = common::root().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for path in files.iter().filter(|path| {
        !["build", "image/boot.rs", "image/machine.rs"]
            .iter()
            .any(|room| path.starts_with(root.join(room)))
    }) {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let is_marked = || {
                let before = &lines[at.saturating_sub(5)..at];
                let marks = ["#[cfg(unix)]", "#[cfg(target_os = \"linux\")]"];
                before.iter().any(|line| marks.contains(&line.trim()))
            };
            let needs_unix = ["os::unix", "rustix::", "ctrlc::"];
            assert!(
                !needs_unix.iter().any(|word| line.contains(word)) || is_marked(),
                "{}:{} needs #[cfg(unix)]",
                path.display(),
                at + 1
            );
        }
    }
}

#[test]
fn only_the_edge_touches_the_world() {
    // `use std::{fs, …}` would hide what this test looks for.
    assert_only("std::{", &[]);
    assert_only("use std as", &[]);
    assert_only(
        "std::fs",
        &[
            "build/",
            "image/boot.rs",
            "image/machine.rs",
            "workspace/",
            "cli/",
            "source/loader.rs",
        ],
    );
    assert_only(
        "std::env::",
        &[
            "build/",
            "image/boot.rs",
            "image/machine.rs",
            "workspace/",
            "cli/",
        ],
    );
    // Times that are printed or written, and nothing follows from.
    assert_only("SystemTime", &["build/statement.rs", "cli/watch.rs"]);
    assert_only(
        "Instant",
        &[
            "build/",
            "image/boot.rs",
            "image/machine.rs",
            "image/probe.rs",
            // When a file is checked, and not what is found.
            "lsp/pause.rs",
            "cli/",
        ],
    );
    assert_only("println!", &[]);
    // What a web page lacks, it lacks as whole rooms.
    assert_only("target_family", &["lib.rs", "source/loader.rs"]);
}

/// Names of variables that are also other words: the file (all files if it is empty), the word, and what it is there.
const WORDS: [(&str, &str, &str); 16] = [
    (
        "",
        "provider",
        "an item of the language, and an attribute of `target`",
    ),
    (
        "",
        "template",
        "an attribute of a provider, and a kind of file",
    ),
    (
        "packer/expression.rs",
        "build_name",
        "a function of Packer's expressions",
    ),
    ("", "image", "an item of the language"),
    (
        "",
        "version",
        "a type of the language, and an argument of programs",
    ),
    (
        "project/check/calls.rs",
        "size",
        "what other languages call a function of this one",
    ),
    (
        "diagnostic/gitlab.rs",
        "fingerprint",
        "a field of GitLab's report",
    ),
    ("diagnostic/sarif.rs", "region", "a field of SARIF"),
    ("report/html.rs", "region", "a role of HTML"),
    ("report/drawn.rs", "shape", "an attribute of Graphviz"),
    ("image/sbom.rs", "arch", "a qualifier of a package's URL"),
    (
        "import/names.rs",
        "node",
        "the first word of Image Builder's names of files",
    ),
    (
        "import/infer.rs",
        "token",
        "the last word of a secret's name, as `password`",
    ),
    (
        "import/infer.rs",
        "secret_key",
        "the end of a secret's name",
    ),
    (
        "import/infer.rs",
        "access_key",
        "the end of a secret's name",
    ),
    (
        "import/infer.rs",
        "password",
        "the last word of a secret's name, if a checkout has variables that the library does not know",
    ),
];

/// Files of `src/` that are compiled for tests only.
const TESTS: [&str; 1] = ["emit/cells.rs"];

/// A name with an underscore is not a word of English, so it may be in no string literal. Another name may be in prose.
/// It is a variable's name if it is the whole literal, or in backquotes, or before a `=`. No literal, not even one of
/// [`WORDS`], may be what a variable is looked up by, or what a variable's name is compared with.
#[test]
fn the_compiler_knows_no_variable_by_name() {
    let mut declared = Vec::new();
    let library = walkdir::WalkDir::new(common::root().join("stdlib")).into_iter();
    for path in library
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
    {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            if let Some(rest) = line.strip_prefix("variable ") {
                declared.push(rest.split([' ', ':']).next().unwrap().to_owned());
            }
        }
    }
    assert!(declared.len() > 200);
    let names = declared.join("|");
    let (long, any) = (r"[a-z]+(?:_[a-z0-9]+)+", r"\w+");
    let pattern = format!(r"\b{long}\b|^{any}$|`{any}`|\b{any} ?=");
    let pattern = Regex::new(&pattern).unwrap();
    let is_name = Regex::new(&format!("^(?:{names})$")).unwrap();
    let root = common::root().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let (mut problems, mut used) = (Vec::new(), BTreeSet::new());
    let lookup = r#"variable\w*\((?:[\w.&]+,\s*)?&?"|variable[\w().]*\.name[\w().]*\s*[!=]=\s*""#;
    let lookup = Regex::new(lookup).unwrap();
    for path in files {
        let file = path.strip_prefix(&root).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        if TESTS.contains(&file.as_str()) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lookups = lookup.find_iter(code).map(|found| found.as_str());
        problems.extend(lookups.map(|found| format!("src/{file}: a variable by name: {found}")));
        for (line, literal) in literals(&text) {
            for found in pattern.find_iter(&literal) {
                let name = found.as_str().trim_matches(['`', '=', ' ']);
                if !is_name.is_match(name) {
                    continue;
                }
                match WORDS
                    .iter()
                    .find(|(f, n, _)| (f.is_empty() || *f == file) && *n == name)
                {
                    Some(word) => drop(used.insert(word)),
                    None => problems.push(format!("src/{file}:{line}: {name}, in {literal:?}")),
                }
            }
        }
    }
    assert!(
        problems.is_empty(),
        "{} places:\n{}",
        problems.len(),
        problems.join("\n")
    );
    assert_eq!(
        used.len(),
        WORDS.len(),
        "of the exceptions only {used:?} are needed"
    );
}

/// Returns the string literals of a source file, without its tests, with their lines.
fn literals(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    collect_literals(text.parse().unwrap(), &mut out);
    out
}

fn collect_literals(tokens: TokenStream, out: &mut Vec<(usize, String)>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            // An attribute; documentation is one, too.
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if tokens.next_if(|next| next.to_string() == "!").is_some() {
                    tokens.next();
                    continue;
                }
                let is_test = tokens.next().unwrap().to_string().contains("cfg (test)");
                let is_block = |next: &TokenTree| matches!(next, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
                if is_test {
                    tokens.find(is_block);
                }
            }
            TokenTree::Group(group) => collect_literals(group.stream(), out),
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                let parsed = syn::parse_str::<syn::Lit>(&literal.to_string());
                if let Ok(syn::Lit::Str(text)) = parsed {
                    out.push((line, text.value()));
                }
            }
            _ => {}
        }
    }
}

#[test]
fn nothing_panics_on_purpose() {
    for word in [
        ".unwrap()",
        ".expect(\"",
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
            let code = text.split("[cfg(test)]").next().unwrap();
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}

/// Each dependency is worth its code: a comment above it gives the reason, and something uses it.
#[test]
fn each_dependency_has_its_reason_and_its_use() {
    let text = std::fs::read_to_string(common::root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&text).unwrap();
    let names = |table: &toml::Table, key: &str| -> BTreeSet<String> {
        let dependencies = table.get(key).and_then(toml::Value::as_table);
        dependencies
            .into_iter()
            .flat_map(|d| d.keys().cloned())
            .collect()
    };
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let of_systems = targets.into_iter().flat_map(|all| all.values());
    let mut normal = names(&manifest, "dependencies");
    for system in of_systems.filter_map(toml::Value::as_table) {
        normal.extend(names(system, "dependencies"));
    }
    let for_tests = names(&manifest, "dev-dependencies");
    let twice: Vec<_> = normal.intersection(&for_tests).collect();
    assert!(twice.is_empty(), "tests have {twice:?} without naming it");

    let lines: Vec<&str> = text.lines().collect();
    let uses = [
        (normal, &["src"][..]),
        (for_tests, &["tests", "benches"]),
        (names(&manifest, "build-dependencies"), &["build.rs", "src"]),
    ];
    let mut count = 0;
    for (names, places) in uses {
        let mut code = String::new();
        for place in places {
            let place = common::root().join(place);
            let mut files = vec![place.clone()];
            if place.is_dir() {
                files.clear();
                sources(&place, &mut files);
            }
            for file in files {
                let source = std::fs::read_to_string(file).unwrap();
                let lines = source.lines().map(|line| line.split("//").next().unwrap());
                code.extend(lines.flat_map(|line| [line, "\n"]));
            }
        }
        for name in names {
            let is_it = |line: &&str| line.split(" =").next() == Some(name.as_str());
            let at = lines.iter().position(is_it).unwrap();
            let reason = lines[at - 1].strip_prefix("# ").unwrap_or_default();
            assert!(
                reason.len() > 15 && reason.ends_with('.') && !reason.starts_with('-'),
                "{name} has no reason in the line above it"
            );
            let path = format!(r"\b{}::|\buse {0};", name.replace('-', "_"));
            assert!(
                Regex::new(&path).unwrap().is_match(&code),
                "{name}: nothing in {places:?} uses it"
            );
            count += 1;
        }
    }
    assert!(count > 20, "{count} dependencies");
}
