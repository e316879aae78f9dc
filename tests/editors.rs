//! The grammars for editors say the same as `grammar/imgspec.pest`: on every spec of the repository, as
//! it stands and with other blanks and line breaks. The extensions for editors can be packaged.
//!
//! `tests/run` installs what this takes: tree-sitter's command, and the packages that `grammar/` and
//! `editors/vscode/` name.

mod common;

use common::extension::package;
use common::specs::{mangle, seeded, specs};
use imgspec::source::FileId;
use imgspec::syntax::{Kind, Node, Tree, parse};
use regex::Regex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of `tests/run`'s; none where it is missing.
fn program(name: &str, what: &str) -> Option<PathBuf> {
    let found = which::which_in(name, Some(common::search_path()), ".").ok();
    if found.is_none() {
        common::skip_without_tools(&format!("{what}: {name} is missing"));
    }
    found
}

/// Node, and the folder of modules of which one is at a path below `target/tools`.
fn node(module: &str, what: &str) -> Option<(PathBuf, PathBuf)> {
    let node = program("node", what)?;
    let tools =
        std::env::var_os("IMGSPEC_TOOLS").map_or_else(|| "target/tools".into(), PathBuf::from);
    let module = common::root().join(tools).join(module);
    if !module.is_dir() {
        common::skip_without_tools(&format!("{what}: {} is missing", module.display()));
        return None;
    }
    Some((node, module.parent().unwrap().to_owned()))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        text(&output.stdout)
            .lines()
            .rev()
            .take(60)
            .collect::<Vec<_>>()
            .join("\n"),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Specs in files: those of the repository and mangled ones.
fn samples(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut random = seeded(1);
    let mut samples = Vec::new();
    for (i, (_, text)) in specs().into_iter().enumerate() {
        for (j, text) in [mangle(&text, &mut random, true), text]
            .into_iter()
            .enumerate()
        {
            let path = folder.join(format!("{i}-{j}.imgspec"));
            std::fs::write(&path, &text).unwrap();
            samples.push((path, text));
        }
    }
    assert!(samples.len() > 80);
    samples
}

fn nodes(tree: &Tree) -> impl Iterator<Item = Node> {
    (0..tree.len()).map(|at| tree.node(at))
}

#[test]
fn tree_sitter_sees_the_same_tree() {
    let Some(tree_sitter) = program("tree-sitter", "the tree-sitter grammar") else {
        return;
    };
    if program("node", "the tree-sitter grammar").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let grammar = folder.path().join("grammar");
    common::copy_folder(&common::root().join("grammar/tree-sitter"), &grammar);
    let tree_sitter = |args: &[&str]| {
        let mut command = Command::new(&tree_sitter);
        command
            .args(args)
            .current_dir(&grammar)
            .env("TREE_SITTER_LIBDIR", folder.path());
        command
    };
    run(&mut tree_sitter(&["generate"]));
    run(&mut tree_sitter(&["test"]));
    let samples = samples(folder.path());
    let mut command = tree_sitter(&["parse"]);
    let printed = run(command.args(samples.iter().map(|(path, _)| path)));
    let trees: Vec<&str> = printed.split("(file ").skip(1).collect();
    assert_eq!(trees.len(), samples.len());
    for ((path, text), tree) in samples.iter().zip(trees) {
        let expected = pest_nodes(text);
        let found = tree_sitter_nodes(text, tree);
        assert!(expected.len() > 5, "{path:?}");
        let differ = expected.iter().zip(&found).find(|(a, b)| a != b);
        assert!(
            differ.is_none() && expected.len() == found.len(),
            "{path:?}: {differ:?}\n{text}"
        );
    }
    for query in ["highlights", "folds", "injections"] {
        run(tree_sitter(&["query", &format!("queries/{query}.scm")]).arg(&samples[0].0));
    }
}

/// Kind, start and end of the nodes that both grammars have, without what stands in heredocs.
fn pest_nodes(text: &str) -> Vec<(usize, usize, String)> {
    let tree = parse(FileId(0), text).tree;
    let others = [
        Kind::file,
        Kind::EOI,
        Kind::append,
        Kind::remove,
        Kind::then_,
        Kind::else_,
        Kind::chunk,
    ];
    let found = nodes(&tree).filter(|node| !others.contains(&node.kind));
    // A node may end with blanks that a rule behind it might have wanted.
    let end = |node: &Node| text[..node.end as usize].trim_end().len();
    let is_comment = |node: &Node| node.kind == Kind::comment;
    let mut all: Vec<_> = found
        .map(|node| {
            let end = if is_comment(&node) {
                node.end as usize
            } else {
                end(&node)
            };
            (node.start as usize, end, format!("{:?}", node.kind))
        })
        .collect();
    all.sort();
    all
}

fn tree_sitter_nodes(text: &str, tree: &str) -> Vec<(usize, usize, String)> {
    let lines: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(i, _)| i + 1))
        .collect();
    let node = Regex::new(r"\((\w+) \[(\d+), (\d+)\] - \[(\d+), (\d+)\]").unwrap();
    let mut all = Vec::new();
    let mut heredoc_end = 0;
    for found in node.captures_iter(tree) {
        let number = |i: usize| found[i].parse::<usize>().unwrap();
        let (start, end) = (lines[number(2)] + number(3), lines[number(4)] + number(5));
        assert_ne!(&found[1], "ERROR", "{}\n{text}", &text[start..end]);
        if start < heredoc_end || &found[1] == "chunk" {
            continue;
        }
        if &found[1] == "heredoc" {
            heredoc_end = end;
        }
        all.push((start, end, found[1].to_owned()));
    }
    all.sort();
    all
}

#[test]
fn textmate_sees_the_same_texts() {
    let Some((node, modules)) = node("node/node_modules/vscode-textmate", "the TextMate grammar")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let samples = samples(folder.path());
    let mut command = Command::new(&node);
    command
        .arg(common::root().join("grammar/textmate/classes.cjs"))
        .env("NODE_PATH", &modules);
    let printed = run(command.args(samples.iter().map(|(path, _)| path)));
    assert_eq!(printed.lines().count(), samples.len());
    for ((path, text), line) in samples.iter().zip(printed.lines()) {
        let found: Vec<(usize, usize, String)> = serde_json::from_str(line).unwrap();
        let mut classes = vec![""; text.len()];
        for (start, end, class) in &found {
            classes[*start..*end].fill(class);
        }
        for (at, expected) in pest_classes(text).into_iter().enumerate() {
            let is_blank = text.as_bytes()[at].is_ascii_whitespace();
            let found = expected.is_none_or(|expected| expected == classes[at]);
            assert!(
                found || is_blank,
                "{path:?}, byte {at}: {:?}, not {expected:?}\n{text}",
                classes[at]
            );
        }
    }
}

/// What each byte is; none in heredocs with holes, whose inside another parse reads.
fn pest_classes(text: &str) -> Vec<Option<&'static str>> {
    let tree = parse(FileId(0), text).tree;
    let mut classes = vec![Some(""); text.len()];
    for node in nodes(&tree) {
        let range = node.start as usize..node.end as usize;
        let class = match node.kind {
            Kind::comment => Some("comment"),
            Kind::string | Kind::interpolated | Kind::raw => Some("text"),
            Kind::heredoc if text[range.clone()].contains("${") => None,
            Kind::heredoc => Some("text"),
            Kind::number => Some("number"),
            Kind::interpolation => Some(""),
            _ => continue,
        };
        classes[range].fill(class);
    }
    classes
}

#[test]
fn textmate_scopes_are_as_annotated() {
    let Some((node, modules)) = node("node/node_modules/vscode-textmate", "the TextMate grammar")
    else {
        return;
    };
    let grammar = common::root().join("grammar");
    let mut command = Command::new(node);
    command
        .arg(modules.join(".bin/vscode-tmgrammar-test"))
        .arg("-g")
        .arg(grammar.join("imgspec.tmLanguage.json"));
    let printed = run(command.args(common::files(&grammar.join("textmate"), "imgspec")));
    assert!(
        printed
            .lines()
            .filter(|line| line.contains("run success"))
            .count()
            >= 3,
        "{printed}"
    );
}

#[test]
fn the_extension_for_visual_studio_code_is_packaged() {
    let what = "the extension for Visual Studio Code";
    let Some((node, modules)) = node("vscode/node_modules/vscode-languageclient", what) else {
        return;
    };
    let Some(npm) = program("npm", what) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = common::root();
    let extension = package(folder.path(), &npm, &modules);
    let packed = run(Command::new("python3")
        .args(["-m", "zipfile", "-l", "imgspec.vsix"])
        .current_dir(&extension));
    for file in [
        "dist/extension.js",
        "language-configuration.json",
        "package.json",
        "readme.md",
        "syntaxes/imgspec.tmLanguage.json",
        "walkthrough/program.md",
    ] {
        assert!(
            packed.contains(&format!("extension/{file} ")),
            "{file}: {packed}"
        );
    }
    assert!(
        !packed.contains("node_modules") && !packed.contains("/src/"),
        "{packed}"
    );
    let logged = |program: &str| {
        let mut command = Command::new(&node);
        command.arg(root.join("editors/vscode/test/activate.cjs"));
        run(command
            .arg(extension.join("dist/extension.js"))
            .arg(program))
    };
    let missing = logged("no-such-program");
    assert!(missing.contains("There is no program no-such-program"));
    assert!(missing.contains("status: imgspec: There is no program"));
    assert!(logged("false").contains("has no language server"));

    // What the manifest announces exists, and the other way round.
    let registered: BTreeSet<&str> = missing
        .lines()
        .filter_map(|line| line.strip_prefix("command: "))
        .collect();
    let manifest = manifest();
    let commands = manifest["contributes"]["commands"].as_array().unwrap();
    let names = commands.iter().map(|it| it["command"].as_str().unwrap());
    assert_eq!(registered, names.collect());
    let walkthroughs = manifest["contributes"]["walkthroughs"].as_array().unwrap();
    let steps = walkthroughs
        .iter()
        .flat_map(|it| it["steps"].as_array().unwrap());
    let link = Regex::new(r"command:(imgspec\.\w+)").unwrap();
    for step in steps {
        let page = step["media"]["markdown"].as_str().unwrap();
        assert!(packed.contains(&format!("extension/{page} ")), "{page}");
        for found in link.captures_iter(step["description"].as_str().unwrap()) {
            assert!(registered.contains(&found[1]), "{}", &found[1]);
        }
    }

    // An error in a spec of the project does not keep a new image from its list of targets.
    let project = folder.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("imgspec.toml"), "").unwrap();
    std::fs::write(project.join("a.imgspec"), "image a { memroy = 1 }\n").unwrap();
    let wrapper = folder.path().join("without-lsp");
    let real = env!("CARGO_BIN_EXE_imgspec");
    let script = format!("#!/bin/sh\n[ \"$1\" = lsp ] && exit 1\nexec {real} \"$@\"\n");
    std::fs::write(&wrapper, script).unwrap();
    run(Command::new("chmod").arg("+x").arg(&wrapper));
    let done = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(&node);
        command.arg(root.join("editors/vscode/test/activate.cjs"));
        command.arg(extension.join("dist/extension.js"));
        command.args([&wrapper, &project]).arg(name).args(arguments);
        run(&mut command)
    };
    let made = done("imgspec.newImage", &[]);
    let first = Regex::new(r"(?m)^picks: ([^,]+), ").unwrap();
    let target = &first.captures(&made).unwrap_or_else(|| panic!("{made}"))[1];
    let image = format!("writes: image ${{1:node}} extends {target} {{\n    $0\n\\}}\n");
    assert!(made.contains(&image), "{made}");
    let images =
        r#"[{"name":"a","uri":"file:///x/a.imgspec","range":{"start":{"line":1,"character":2}}}]"#;
    let opened = done("imgspec.showImages", &[images]);
    assert!(
        opened.contains("picks: a, a.imgspec\nopens: \"file:///x/a.imgspec\"\n"),
        "{opened}"
    );
}

fn manifest() -> serde_json::Value {
    let path = common::root().join("editors/vscode/package.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The problem matcher finds the parts of each diagnostic that `check` prints for tasks, whatever its severity.
#[test]
fn the_problem_matcher_reads_diagnostics() {
    let matcher = &manifest()["contributes"]["problemMatchers"][0];
    let pattern = &matcher["pattern"];
    let line = Regex::new(pattern["regexp"].as_str().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("imgspec.toml"), "").unwrap();
    let text =
        "layer unused {}\nimage a extends rootfs-debian-12 {\n    memroy = 1\n    cpus = 2\n}\n";
    std::fs::write(folder.path().join("a b.imgspec"), text).unwrap();
    let output = common::imgspec(folder.path())
        .args(["check", "--format=short"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    let part = |found: &regex::Captures<'_>, name: &str| {
        found[pattern[name].as_u64().unwrap() as usize].to_owned()
    };
    let mut found: Vec<String> = Vec::new();
    for captures in printed.lines().filter_map(|printed| line.captures(printed)) {
        let parts = ["file", "line", "column", "severity", "code", "message"];
        found.push(parts.map(|name| part(&captures, name)).join("|"));
    }
    assert!(
        found.contains(
            &"a b.imgspec|3|5|error|unknown-variable|unknown variable `memroy`".to_owned()
        ),
        "{found:?} in {printed}"
    );
    assert!(found.iter().any(|it| it.contains("|warning|")), "{printed}");
    let counted = printed.lines().filter(|line| line.contains("]: ")).count();
    assert_eq!(found.len(), counted, "{printed}");
}
