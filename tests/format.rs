//! `imgspec fmt`: the one style, and that it changes nothing but the style.
//!
//! `tests/format/NAME/` has `input.imgspec` and its formatted text, `output.imgspec`.
//! `IMGSPEC_BLESS=1 cargo test --test format NAME` rewrites the latter. Other tests change the specs of the repository:
//! with other whitespace and line breaks, which must not change their meaning, and with damage.

mod common;

use common::snapshot::{self, functions};
use common::specs::{edit, mangle, seeded, specs, specs_below};
use imgspec::source::FileId;
use imgspec::syntax::{Kind, format, format_range, parse};
use regex::Regex;
use std::io::Write;
use std::process::{ExitCode, Stdio};
use std::sync::LazyLock;

/// Formats a text and checks what must hold for every text; returns the result.
fn check(name: &str, text: &str) -> String {
    let formatted = format(text);
    assert_eq!(
        format(&formatted),
        formatted,
        "{name}: formatting again changes it once more\n{text}"
    );
    let ink = |text: &str| text.replace([' ', '\t', '\r', '\n', ',', '\u{feff}'], "");
    assert_eq!(
        ink(text),
        ink(&formatted),
        "{name}: more than blanks and commas changes\n{text}"
    );
    let (before, after) = (said(text), said(&formatted));
    assert_eq!(
        before, after,
        "{name}: it says something else\n{text}\n----\n{formatted}"
    );
    formatted
}

/// What a text says, without its places, and what is wrong with it.
fn said(text: &str) -> (String, Vec<String>) {
    static PLACES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Span \{[^}]*\}").unwrap());
    let parse = parse(FileId(0), text);
    let items = PLACES
        .replace_all(&format!("{:?}", parse.file.items), "")
        .into_owned();
    (
        items,
        parse
            .diagnostics
            .iter()
            .map(|d| d.message.clone())
            .collect(),
    )
}

/// A text's comments, in order.
fn comments(text: &str) -> Vec<&str> {
    let tree = parse(FileId(0), text).tree;
    let nodes = (0..tree.len()).map(|at| tree.node(at));
    nodes
        .filter(|node| node.kind == Kind::comment)
        .map(|node| text[node.start as usize..node.end as usize].trim_end())
        .collect()
}

fn main() -> ExitCode {
    let cases = common::entries(&common::root().join("tests/format"));
    let mut trials = snapshot::trials(cases, |case| {
        let input = std::fs::read_to_string(case.join("input.imgspec"))?;
        let formatted = check(&case.display().to_string(), &input);
        snapshot::compare(&case.join("output.imgspec"), &formatted)
    });
    trials.extend(functions![
        the_repository_is_formatted,
        the_documents_show_the_style,
        other_blanks_are_no_other_spec,
        other_line_breaks_say_the_same,
        mangled_examples_compile_to_the_same,
        damage_stays,
        a_range_is_what_the_whole_gives,
        nesting_is_bounded,
        standard_input_and_output,
    ]);
    #[cfg(unix)]
    trials.extend(functions![a_link_stays_a_link_and_a_mode_a_mode]);
    snapshot::run(trials)
}

fn the_repository_is_formatted() {
    let root = common::root();
    let mut all = [
        specs_below(&root.join("examples")),
        specs_below(&root.join("stdlib")),
    ]
    .concat();
    for folder in common::entries(&root.join("tests")) {
        if folder.is_dir() && !folder.ends_with("format") && !folder.ends_with("diagnostics") {
            all.extend(specs_below(&folder));
        }
    }
    // The input of the tests of `fmt` is not formatted, nor is a text with a syntax error.
    all.retain(|(name, _)| !name.contains("tests/cases/fmt/") && !name.contains("tests/clients/"));
    assert!(all.len() > 100);
    for (name, text) in all {
        assert_eq!(
            check(&name, &text),
            text,
            "{name} is not formatted: imgspec fmt {name}"
        );
    }
}

fn the_documents_show_the_style() {
    let root = common::root();
    let block = Regex::new(r"(?s)```imgspec[^\n]*\n(.*?)```").unwrap();
    for name in ["README.md", "docs/formatting.md", "docs/language.md"] {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        assert!(block.is_match(&text), "{name}");
        for shown in block.captures_iter(&text) {
            assert_eq!(check(name, &shown[1]), shown[1], "{name}");
            assert!(said(&shown[1]).1.is_empty(), "{name}: {}", &shown[1]);
        }
    }
}

fn other_blanks_are_no_other_spec() {
    let mut random = seeded(1);
    for (name, text) in specs() {
        let mangled = mangle(&text, &mut random, false);
        assert_eq!(check(&name, &mangled), text, "{name}");
        assert_eq!(
            check(&name, &text.replace('\n', "\r\n")),
            text,
            "{name} with Windows line ends"
        );
        assert_eq!(
            check(&name, &format!("\u{feff}{}", text.trim_end())),
            text,
            "{name}"
        );
    }
}

fn other_line_breaks_say_the_same() {
    let mut random = seeded(1);
    for (name, text) in specs() {
        for _ in 0..4 {
            let mangled = mangle(&text, &mut random, true);
            let (items, wrong) = said(&mangled);
            assert!(
                wrong.is_empty(),
                "{name}: the test damages it: {wrong:?}\n{mangled}"
            );
            assert_eq!(
                items,
                said(&text).0,
                "{name}: the test changes it\n{mangled}"
            );
            let formatted = check(&name, &mangled);
            assert_eq!(
                comments(&mangled),
                comments(&formatted),
                "{name}\n{mangled}"
            );
        }
    }
}

fn mangled_examples_compile_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    common::copy_folder(&common::root().join("examples"), folder.path());
    let compile = || {
        let output = common::run(folder.path(), &["compile", "."]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        // Beside the images stands a .gitignore.
        let images = common::entries(&folder.path().join("build"))
            .into_iter()
            .filter(|path| path.is_dir());
        let files = images
            .flat_map(|image| ["packer.vars.json", "ansible.vars.json"].map(|f| image.join(f)));
        files
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect::<Vec<_>>()
    };
    let expected = compile();
    let mut random = seeded(1);
    for round in 0..3 {
        for (path, text) in specs_below(folder.path()) {
            std::fs::write(path, mangle(&text, &mut random, true)).unwrap();
        }
        assert_eq!(
            common::run(folder.path(), &["fmt", "--check"])
                .status
                .code(),
            Some(1)
        );
        assert_eq!(compile(), expected, "mangled, round {round}");
        assert!(common::run(folder.path(), &["fmt"]).status.success());
        assert_eq!(
            common::run(folder.path(), &["fmt", "--check"])
                .status
                .code(),
            Some(0)
        );
        assert_eq!(compile(), expected, "formatted, round {round}");
    }
}

fn damage_stays() {
    let specs: Vec<_> = specs()
        .into_iter()
        .filter(|(_, text)| text.len() < 20_000)
        .collect();
    let seeds = vec![1, 2, 3, 4];
    common::in_parallel(seeds, |seed| {
        let mut random = seeded(seed);
        for round in 0..1000 {
            let (name, text) = &specs[random.usize(..specs.len())];
            let mut damaged = match random.usize(..2) {
                0 => text.clone(),
                _ => mangle(text, &mut random, true),
            };
            for _ in 0..=random.usize(..4) {
                edit(&mut damaged, &mut random);
            }
            check(&format!("seed {seed}, round {round}, {name}"), &damaged);
        }
        Vec::<()>::new()
    });
}

fn a_range_is_what_the_whole_gives() {
    let mut random = seeded(1);
    for (name, text) in specs() {
        let mangled = mangle(&text, &mut random, false);
        let (range, new) = format_range(&mangled, 0..mangled.len()).unwrap();
        assert_eq!(new.trim_end(), text.trim_end(), "{name}");
        assert!(mangled[..range.start].trim().is_empty() && mangled[range.end..].trim().is_empty());
        // Item by item, from the last one, the result is the same.
        let mut piecewise = mangled.clone();
        let mut at = mangled.len();
        while let Some((range, new)) = format_range(&piecewise[..at], at..at) {
            piecewise.replace_range(range.clone(), &new);
            at = piecewise[..range.start].trim_end().len();
            if at == 0 {
                break;
            }
        }
        assert_eq!(format(&piecewise), text, "{name}");
    }
}

fn nesting_is_bounded() {
    for open in ["[", "(", "{ a = ", "if ", "not ", "f("] {
        for depth in [100, 200, 50_000] {
            check(
                open,
                &format!("layer a {{\n x   = {}\n}}\n", open.repeat(depth)),
            );
        }
    }
    let (open, close) = ("[".repeat(120), "]".repeat(120));
    check(
        "lists",
        &format!(
            "layer a {{\n x   = {open}{}{close}\n}}\n",
            "1, ".repeat(100)
        ),
    );
    check(
        "broken lists",
        &format!("layer a {{\n x   = {}1{close}\n}}\n", "[\n1,".repeat(120)),
    );
    check(
        "hugged calls",
        &format!(
            "layer a {{\n x   = {}1{}\n}}\n",
            "f([\n".repeat(60),
            "])".repeat(60)
        ),
    );
    check(
        "blocks",
        &format!(
            "layer a {{ {} x = 1 {}\n}}\n",
            "when a {".repeat(300),
            "}".repeat(300)
        ),
    );
}

fn standard_input_and_output() {
    let run = |args: &[&str]| {
        let mut command = common::imgspec(common::root());
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Where the arguments are wrong, nobody reads.
        let _ = child.stdin.take().unwrap().write_all(b"layer   a{x=1}");
        let output = child.wait_with_output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            output.status.code(),
        )
    };
    assert_eq!(
        run(&["fmt", "-"]),
        ("layer a { x = 1 }\n".to_owned(), Some(0))
    );
    assert_eq!(run(&["fmt", "-", "--check"]), ("-\n".to_owned(), Some(1)));
    let (diff, code) = run(&["fmt", "-", "--diff"]);
    assert!(
        diff.contains("-layer   a{x=1}") && diff.contains("+layer a { x = 1 }"),
        "{diff}"
    );
    assert_eq!(code, Some(1));
    assert_eq!(run(&["fmt", "-", "examples"]).1, Some(2));
}

#[cfg(unix)]
fn a_link_stays_a_link_and_a_mode_a_mode() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (
        folder.path().join("real.imgspec"),
        folder.path().join("link.imgspec"),
    );
    std::fs::write(&real, "layer   a { }\n").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).unwrap();
    symlink("real.imgspec", &link).unwrap();
    assert!(
        common::run(folder.path(), &["fmt", "link.imgspec"])
            .status
            .success()
    );
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "layer a { }\n");
    assert_eq!(
        std::fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o600
    );
}
