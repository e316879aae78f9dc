//! docs/playground: the page answers what the program prints and writes for the same spec, and a user reads, writes and shares
//! specs on it.
//!
//! The specs are those of `tests/playground`, and of other tests that have one file each. `tests/playground/browser.cjs` is
//! the user, in Chromium. The first build takes minutes, so this runs only where `IMGSPEC_SLOW` is set, as
//! `tests/run playground` does. `IMGSPEC_WASM_RUSTC` names another compiler than rustup's for the page.
//! `target/playground/pictures` keeps the pictures.

mod common;

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folders of specs that are complete alone, with the releases of Image Builder that they are compiled for.
const FOLDERS: [(&str, &str); 5] = [
    ("examples", "v0.1.13"),
    ("examples", "v0.1.55"),
    ("tests/diagnostics", "v0.1.13"),
    ("tests/playground", "v0.1.55"),
    ("tests/rules", "v0.1.13"),
];

struct Case {
    path: PathBuf,
    release: &'static str,
    spec: String,
}

/// Returns the cases of a folder whose specs are UTF-8, as the text of a page is.
fn cases((folder, release): (&str, &'static str)) -> impl Iterator<Item = Case> {
    let paths = common::files(&common::root().join(folder), "imgspec").into_iter();
    paths.filter_map(move |path| {
        let spec = std::fs::read_to_string(&path).ok()?;
        Some(Case {
            path,
            release,
            spec,
        })
    })
}

/// Builds the page. Returns its folder, or none where the compiler has no standard library for it.
fn build() -> Option<PathBuf> {
    let rustc = std::env::var_os("IMGSPEC_WASM_RUSTC");
    let libraries = Command::new(rustc.unwrap_or_else(|| "rustc".into()))
        .args(["--print=target-libdir", "--target=wasm32-unknown-unknown"])
        .output()
        .unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    if !Path::new(libraries.trim()).is_dir() {
        common::skip_without_tools("rustc has no standard library for wasm32-unknown-unknown");
        return None;
    }
    let status = Command::new(common::root().join("docs/playground/build")).status();
    assert!(status.unwrap().success());
    Some(common::root().join("target/playground/page"))
}

/// Opens the page in the browser, and answers questions with it. Returns none where a program is missing.
fn use_browser(page: &Path, questions: &[Value]) -> Option<Vec<Value>> {
    let tools =
        std::env::var_os("IMGSPEC_TOOLS").map_or_else(|| "target/tools".into(), PathBuf::from);
    let modules = common::root().join(tools).join("report/node_modules");
    let find = |name| which::which_in(name, Some(common::search_path()), ".").ok();
    let (Some(node), Some(chromium), true) = (
        find("node"),
        find("chromium"),
        modules.join("puppeteer-core").is_dir(),
    ) else {
        common::skip_without_tools("node, chromium or puppeteer is missing");
        return None;
    };
    let pictures = common::root().join("target/playground/pictures");
    std::fs::create_dir_all(&pictures).unwrap();
    let asked = pictures.join("questions.json");
    let answered = pictures.join("answers.json");
    std::fs::write(&asked, json!(questions).to_string()).unwrap();
    let status = Command::new(node)
        .arg(common::root().join("tests/playground/browser.cjs"))
        .args([page, &pictures, &asked, &answered])
        .env("NODE_PATH", modules)
        .env("CHROMIUM", chromium)
        .env("VERSION", env!("CARGO_PKG_VERSION"))
        .status()
        .unwrap();
    assert!(status.success(), "{} has pictures", pictures.display());
    Some(serde_json::from_slice(&std::fs::read(answered).unwrap()).unwrap())
}

/// Makes the project that the page has, with a spec.
fn project(case: &Case) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let examples = common::root().join("examples");
    common::copy_folder(&examples, folder.path());
    for example in common::files(folder.path(), "imgspec") {
        std::fs::remove_file(example).unwrap();
    }
    let config = format!("release = \"{}\"\n", case.release);
    std::fs::write(folder.path().join("imgspec.toml"), config).unwrap();
    std::fs::write(folder.path().join("playground.imgspec"), &case.spec).unwrap();
    folder
}

/// Returns what `imgspec fmt -` prints, if the spec can be parsed.
fn format(folder: &Path, spec: &str) -> Option<String> {
    let mut child = common::imgspec(folder)
        .args(["fmt", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let written = child.stdin.take().unwrap().write_all(spec.as_bytes());
    written.unwrap();
    let output = child.wait_with_output().unwrap();
    let formatted = String::from_utf8(output.stdout).unwrap();
    output.status.success().then_some(formatted)
}

/// Returns how the page's answer differs from what the program prints and writes.
fn differences(case: &Case, answer: &Value) -> String {
    let name = case.path.strip_prefix(common::root()).unwrap().display();
    let mut out = String::new();
    let mut compare = |what: &str, page: &Value, program: &Value| {
        if page != program {
            let _ = writeln!(
                out,
                "{name} ({}): {what}\n--- page\n{page}\n--- program\n{program}",
                case.release
            );
        }
    };
    let folder = project(case);
    let folder = folder.path();
    let checked = common::run(folder, &["check", "--format", "plain"]);
    let printed = String::from_utf8(checked.stderr).unwrap();
    let printed = printed.replace(folder.to_str().unwrap(), "/playground");
    let found = answer["diagnostics"].as_array().into_iter().flatten();
    let texts: String = found.filter_map(|found| found["text"].as_str()).collect();
    // The last line has their number.
    let (shown, _) = printed
        .trim_end_matches('\n')
        .rsplit_once('\n')
        .map_or(("", ""), |(shown, last)| (shown, last));
    compare(
        "diagnostics",
        &json!(texts.trim_end()),
        &json!(shown.trim_end()),
    );
    let formatted = format(folder, &case.spec);
    compare("formatted", &answer["formatted"], &json!(formatted));

    let output = folder.join("build");
    common::run(folder, &["compile", "--portable"]);
    let mut images = Vec::new();
    if output.is_dir() {
        let folders = common::entries(&output).into_iter();
        let folders = folders.filter(|path| path.is_dir());
        images.extend(folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()));
    }
    let names = answer["images"].as_array().into_iter().flatten();
    let mut names: Vec<&str> = names.filter_map(Value::as_str).collect();
    names.sort_unstable();
    compare("images", &json!(names), &json!(images));
    for file in answer["files"].as_array().into_iter().flatten() {
        let image = answer["image"].as_str().unwrap();
        let path = output.join(image).join(file[0].as_str().unwrap());
        let written = std::fs::read_to_string(path).unwrap_or_default();
        compare("file", &file[1], &json!(written));
    }
    out
}

#[test]
fn the_page_answers_what_the_program_prints_and_a_user_reads_it() {
    if std::env::var("IMGSPEC_SLOW").as_deref() != Ok("1") {
        common::skip("it takes minutes; `tests/run playground` runs it");
        return;
    }
    let Some(page) = build() else {
        return;
    };
    let cases: Vec<Case> = FOLDERS.into_iter().flat_map(cases).collect();
    let question =
        |case: &Case| json!({ "ask": "compile", "spec": case.spec, "release": case.release });
    let questions: Vec<Value> = cases.iter().map(question).collect();
    let Some(answers) = use_browser(&page, &questions) else {
        return;
    };
    assert_eq!(answers.len(), cases.len());
    let is_compiled = |answer: &&Value| answer["files"][0].is_array();
    let compiled = answers.iter().filter(is_compiled).count();
    assert!(compiled > 20 && compiled < cases.len() / 2, "{compiled}");
    let jobs: Vec<_> = cases.iter().zip(&answers).collect();
    let found = common::in_parallel(jobs, |(case, answer)| vec![differences(case, answer)]);
    assert_eq!(found.concat(), "");
}
