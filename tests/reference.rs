//! `imgspec doc`: its examples compile, and its page is sound, of the standard library and of a project that would break it.

mod common;

use common::page::check_page;
use common::{imgspec, root, run, run_json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const RELEASES: [&str; 2] = ["v0.1.13", "v0.1.55"];

/// A variable of the Markdown: its name and its text.
fn variables(markdown: &str) -> Vec<(&str, &str)> {
    let start = markdown.find("\n## Variables\n").unwrap();
    let end = markdown.find("\n## Targets\n").unwrap();
    let parts = markdown[start..end].split("\n#### ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap()).collect()
}

fn doc(folder: &Path, args: &[&str]) -> String {
    let args: Vec<&str> = ["doc"].iter().chain(args).copied().collect();
    let output = run(folder, &args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes the files and roles that an example names.
fn make_named(folder: &Path, example: &str) {
    for text in example.split('"').skip(1).step_by(2) {
        let path = folder.join(text);
        if text.starts_with("files/") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        } else if text.starts_with("roles/") {
            std::fs::create_dir_all(path.join("tasks")).unwrap();
            std::fs::write(path.join("tasks/main.yml"), "[]\n").unwrap();
        }
    }
}

#[test]
fn each_variable_has_an_example_that_compiles() {
    for release in RELEASES {
        let folder = tempfile::tempdir().unwrap();
        let markdown = doc(
            folder.path(),
            &["--format", "markdown", "--release", release],
        );
        let (mut spec, mut without_effect) = (String::new(), BTreeSet::new());
        let mut count = 0;
        for (name, text) in variables(&markdown) {
            if text.contains("\n- Removed: ") || text.contains("\n- Deprecated name of: ") {
                continue;
            }
            let example = text.split("```imgspec\n").nth(1);
            let example = example.unwrap_or_else(|| panic!("{release}: {name} has no example"));
            let example = example.split("\n```").next().unwrap();
            assert!(example.contains(&format!("    {name} = ")), "{example}");
            make_named(folder.path(), example);
            let image = format!("image x-{name} ");
            let _ = writeln!(spec, "{}\n", example.replace("image example ", &image));
            if text.contains("\n- Effect: no target\n") {
                without_effect.insert(format!("x-{name}"));
            }
            count += 1;
        }
        assert!(count > 200, "{release}: {count}");
        std::fs::write(folder.path().join("all.imgspec"), spec).unwrap();
        let found = run_json(
            folder.path(),
            &["check", "--format", "json", "--release", release],
        );
        let is_excused = |d: &serde_json::Value| {
            let images = d["images"].as_array().unwrap();
            d["code"] == "no-effect"
                && images
                    .iter()
                    .all(|i| without_effect.contains(i.as_str().unwrap()))
        };
        let diagnostics = found["diagnostics"].as_array().unwrap();
        let is_note = |d: &serde_json::Value| d["severity"] == "note";
        let bad: Vec<_> = diagnostics
            .iter()
            .filter(|d| !is_note(d) && !is_excused(d))
            .collect();
        assert!(bad.is_empty(), "{release}: {bad:#?}");
    }
}

#[test]
fn the_page_of_a_release_is_sound_and_small() {
    for release in RELEASES {
        let folder = tempfile::tempdir().unwrap();
        let output = run(
            folder.path(),
            &["doc", "--out", "page.html", "--release", release],
        );
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "page.html\n");
        let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
        let ids = check_page(&page);
        for id in [
            "kubernetes_semver",
            "provider-qemu",
            "rule-repositories-reachable",
            "type-url",
        ] {
            assert!(ids.contains(id), "{release}: {id}");
        }
        assert!(page.len() < 2_000_000, "{release}: {} bytes", page.len());
    }
}

/// Names that could break the page, text that is HTML, and a secret.
const HOSTILE: &str = r##"
# <script>alert(1)</script> "a" & 'b'

## Documentation with <img src="https://example.com/x" onerror="alert(1)"> and `<b>`.
variable breakout : string = "</code></pre><script>alert(2)</script>" { to = [linux] }

## The page's search has this name, too.
variable page : string? = "\"onmouseover=alert(3) x=\"" { to = [linux] }

variable team_token : string? = "" { to = [linux], secret = true }

rule quotes {
    warn = breakout == "<"
    message = "</dd><style>* { display: none }</style>"
}

## \u{200b} is not seen, and ]]> --> close something.
image page-search extends rootfs-debian-12 {
    breakout = "'\"><a href=//example.com>"
    team_token = "hunter2-hunter2"
}

image target extends rootfs-debian-12 {
    breakout = "${page}"
}
"##;

#[test]
fn text_of_a_project_stays_text() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::create_dir(folder.path().join("b")).unwrap();
    let spec = HOSTILE.trim_start().replace("\\u{200b}", "\u{200b}");
    std::fs::write(folder.path().join("imgspec.toml"), "").unwrap();
    std::fs::write(folder.path().join("a/<i>.imgspec"), &spec).unwrap();
    // Files that do not include each other may declare the same names.
    std::fs::write(folder.path().join("b/<i>.imgspec"), &spec).unwrap();
    let page = doc(folder.path(), &[]);
    let ids = check_page(&page);
    for id in [
        "breakout",
        "breakout--2",
        "target-page-search",
        "target-target",
    ] {
        assert!(ids.contains(id), "{id}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains("hunter2"), "a secret is on the page");
    assert!(!page.contains('\u{200b}') && page.contains("\\u{200b}"));
    let markdown = doc(folder.path(), &["--format", "markdown"]);
    assert!(!markdown.contains("hunter2") && !markdown.contains('\u{200b}'));
    assert!(!markdown.contains("<img") || markdown.contains(r"\<img"));
}

#[test]
fn a_project_with_errors_has_no_page() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("imgspec.toml"), "").unwrap();
    std::fs::write(folder.path().join("x.imgspec"), "variable a : nothing\n").unwrap();
    let output = run(folder.path(), &["doc", "--out", "page.html"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("unknown-name")
    );
    assert!(!folder.path().join("page.html").exists());
}

/// The page's policy allows its own script by its hash: in a real browser the script runs.
#[test]
fn a_browser_runs_the_script_of_the_page() {
    let Ok(chromium) = which::which("chromium") else {
        return common::skip("there is no chromium");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut command = imgspec(&root().join("tests/cases/doc"));
    let page = folder.path().join("page.html");
    let output = command.args(["doc", "--out"]).arg(&page).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = std::process::Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("<html lang=\"en\" class=\"js\">"),
        "{shown:.500}"
    );
    assert!(shown.contains(">Theme: system<"));
}
