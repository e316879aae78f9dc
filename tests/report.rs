//! `imgspec report` and `imgspec graph`: the page has what `show` prints, Chromium shows it without a request or an error, and
//! Mermaid, Graphviz and XML's own parser read the pictures.
//!
//! `tests/report/project` is the project of the page. `tests/report/browser.cjs` is what a reader does with it.
//! `IMGSPEC_PICTURES=FOLDER` keeps the pictures that the browser makes.

mod common;

use common::page::check_page;
use common::{run, run_json};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    common::copy_folder(&common::root().join("tests/report/project"), folder.path());
    folder
}

fn report(folder: &Path) -> String {
    let output = run(folder, &["report", "--html", "--out", "report.html"]);
    assert!(output.status.success(), "{output:?}");
    std::fs::read_to_string(folder.join("report.html")).unwrap()
}

/// The data of a page.
fn data(page: &str) -> Value {
    let (_, rest) = page
        .split_once("<script id=\"report-data\" type=\"application/json\">")
        .unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// A table of the data, by a number.
fn at<'d>(data: &'d Value, table: &str, number: &Value) -> &'d Value {
    &data[table][usize::try_from(number.as_u64().unwrap()).unwrap()]
}

/// For each image and variable of a page: the value, and the layer, line and value of each setting.
type Values = BTreeMap<String, BTreeMap<String, (String, Vec<(String, u64, String)>)>>;

fn values_of_page(data: &Value) -> Values {
    let mut out = Values::new();
    for image in data["images"].as_array().unwrap() {
        let base = at(data, "bases", &image["base"]).as_array().unwrap();
        let own = image["own"].as_array().unwrap();
        let mut variables = BTreeMap::new();
        for number in base.iter().chain(own) {
            let trace = at(data, "traces", number);
            let text = |value: &Value| at(data, "values", value).as_str().unwrap().to_owned();
            let steps = trace[2].as_array().unwrap().iter();
            let steps = steps.map(|step| at(data, "steps", step));
            // The JSON of `show` has neither an `unset` nor what it drops.
            let steps = steps.filter(|step| step[0] != "unsets" && step[0] != "dropped");
            let steps = steps.map(|step| {
                let layer = at(data, "names", &step[1]).as_str().unwrap().to_owned();
                (layer, step[3].as_u64().unwrap(), text(&step[5]))
            });
            let name = at(data, "variables", &trace[0])[0].as_str().unwrap();
            let value = (text(&trace[1]), steps.collect());
            assert!(variables.insert(name.to_owned(), value).is_none(), "{name}");
        }
        out.insert(image["name"].as_str().unwrap().to_owned(), variables);
    }
    out
}

/// A value as the page writes it, for the values that need no escape.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.chars().any(|c| "\\\"'<{\n".contains(c) || c < ' ') => None,
        Value::String(text) => Some(format!("{text:?}")),
        Value::Array(elements) => {
            let elements: Option<Vec<String>> = elements.iter().map(written).collect();
            Some(format!("[{}]", elements?.join(", ")))
        }
        Value::Object(_) => None,
        Value::Null => Some("unset".to_owned()),
        other => Some(other.to_string()),
    }
}

#[test]
fn the_page_has_the_values_and_settings_of_show() {
    let folder = project();
    let page = values_of_page(&data(&report(folder.path())));
    let shown = run_json(folder.path(), &["show", "--all", "--json"]);
    let (mut compared, mut overridden) = (0, 0);
    for image in shown.as_array().unwrap() {
        let of_page = &page[image["image"].as_str().unwrap()];
        for (name, variable) in image["variables"].as_object().unwrap() {
            let Some((value, steps)) = of_page.get(name) else {
                assert!(variable["value"].is_null(), "{name}");
                continue;
            };
            let texts = steps.iter().map(|(.., text)| text).chain([value]);
            let texts: Vec<&String> = texts.collect();
            let settings = variable["set_by"].as_array().unwrap();
            let values = settings.iter().map(|s| &s["value"]);
            for (text, value) in texts.into_iter().zip(values.chain([&variable["value"]])) {
                if let Some(value) = written(value) {
                    assert_eq!(*text, value, "{name}");
                    compared += 1;
                }
            }
            let places = |(layer, line, _): &(String, u64, String)| (layer.clone(), *line);
            let expected = settings.iter().map(|setting| {
                let layer = setting["layer"].as_str().unwrap().to_owned();
                (layer, setting["line"].as_u64().unwrap())
            });
            let places: Vec<_> = steps.iter().map(places).collect();
            assert_eq!(places, expected.collect::<Vec<_>>(), "{name}");
            overridden += usize::from(steps.len() > 1);
        }
    }
    assert!(
        compared > 1000 && overridden > 30,
        "{compared} {overridden}"
    );
}

#[test]
fn the_page_is_sound_and_has_no_secret() {
    let folder = project();
    let page = report(folder.path());
    check_page(&page);
    assert!(!page.contains("hunter2"), "a secret is on the page");
    assert!(!page.contains('\u{1b}') && page.contains("{1b}[31m"));
    assert!(!page.contains("<script>alert") && !page.contains("<img"));
    // Another run, with other threads, gives the same bytes.
    assert_eq!(page, report(folder.path()));
}

/// 1,000 images on four targets, over 20 layers of 30 settings.
fn write_fleet(folder: &Path) {
    let targets = [
        "node-ova-local-photon-3",
        "node-ova-vsphere-ubuntu-2004",
        "qemu-rockylinux-8",
        "ami-ubuntu-2004",
    ];
    let mut spec = String::new();
    for base in 0..20 {
        let _ = writeln!(
            spec,
            "layer base-{base} {{\n    no_proxy = [\"10.{base}.0.0/16\"]"
        );
        let _ = writeln!(
            spec,
            "    when os_family == \"photon\" {{ extra_rpms = [\"nfs-utils\"] }}\n    ansible {{"
        );
        for number in 0..25 {
            let _ = writeln!(
                spec,
                "        site_{number} = \"value {number} of base {base}\""
            );
        }
        spec.push_str("    }\n}\n");
    }
    for image in 0..1000 {
        let (target, base) = (targets[image % 4], image % 20);
        let _ = writeln!(
            spec,
            "image image-{image} extends {target}, base-{base} {{\n    kubernetes_semver = \"v1.23.{}\"\n    ansible {{ serial = \"{image}\" }}\n}}",
            image % 17
        );
    }
    std::fs::write(folder.join("imgspec.toml"), "").unwrap();
    std::fs::write(folder.join("fleet.imgspec"), spec).unwrap();
}

/// The size always, and the time of a program with optimizations, which `IMGSPEC_PROGRAM` names.
#[test]
fn a_thousand_images_are_a_small_page_in_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    write_fleet(folder.path());
    let start = std::time::Instant::now();
    let page = report(folder.path());
    let time = start.elapsed();
    println!(
        "1,000 images: {} ms, {} KiB",
        time.as_millis(),
        page.len() >> 10
    );
    let values = values_of_page(&data(&page));
    assert_eq!(values.len(), 1000);
    for (image, number) in [("image-7", "7"), ("image-999", "999")] {
        assert_eq!(values[image]["serial"].0, format!("{number:?}"));
    }
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    if std::env::var_os("IMGSPEC_PROGRAM").is_some() {
        assert!(time.as_secs() < 2, "{time:?}");
    }
}

/// Chromium and the packages for node that `tests/setup report` installs.
fn browser(arguments: &[&str]) -> Option<Command> {
    let modules = std::env::var_os("IMGSPEC_TOOLS")
        .map_or_else(|| "target/tools".into(), PathBuf::from)
        .join("report/node_modules");
    let modules = common::root().join(modules);
    let (Ok(chromium), Ok(node), true) = (
        which::which("chromium"),
        which::which("node"),
        modules.join("puppeteer-core").is_dir(),
    ) else {
        common::skip_without_tools("there is no chromium, no node or no puppeteer");
        return None;
    };
    let mut command = Command::new(node);
    command
        .arg(common::root().join("tests/report/browser.cjs"))
        .args(arguments)
        .env("NODE_PATH", modules)
        .env("CHROMIUM", chromium);
    Some(command)
}

#[test]
fn a_reader_finds_and_compares_by_the_keyboard_in_both_themes() {
    let folder = project();
    let page = folder.path().join("report.html");
    report(folder.path());
    let values = |image: &str| {
        let shown = run_json(folder.path(), &["show", image, "--json"]);
        let variables = shown[0]["variables"].as_object().unwrap();
        let values = variables
            .iter()
            .map(|(name, v)| (name.clone(), v["value"].clone()));
        values.collect::<BTreeMap<String, Value>>()
    };
    let (a, b) = (values("storage-node"), values("plain-node"));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let missing = Value::Null;
    let value =
        |of: &BTreeMap<String, Value>, name: &String| of.get(name).unwrap_or(&missing).clone();
    let different = names
        .into_iter()
        .filter(|name| value(&a, name) != value(&b, name));
    let different = different.cloned().collect::<Vec<_>>().join(" ");
    let kept = std::env::var_os("IMGSPEC_PICTURES").map(PathBuf::from);
    let pictures = kept.unwrap_or_else(|| folder.path().join("pictures"));
    std::fs::create_dir_all(&pictures).unwrap();
    let arguments = [page.to_str().unwrap(), pictures.to_str().unwrap()];
    let Some(mut command) = browser(&arguments) else {
        return;
    };
    let output = command.env("DIFFERENT", different).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The projects whose pictures foreign programs read.
fn pictured() -> Vec<PathBuf> {
    let root = common::root();
    vec![
        root.join("tests/cases/graph"),
        root.join("tests/report/project"),
        root.join("examples"),
    ]
}

fn graph(project: &Path, arguments: &[&str]) -> String {
    let output = common::imgspec(project)
        .arg("graph")
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What an arrow joins, by the names of both ends, as Mermaid's text has it.
fn mermaid_counts(text: &str) -> (usize, usize) {
    let edges = text.lines().filter(|line| line.contains(" --> ")).count();
    (text.lines().count() - 1 - edges, edges)
}

#[test]
fn graphviz_and_an_xml_parser_read_the_pictures() {
    let (Ok(dot), Ok(xmllint)) = (which::which("dot"), which::which("xmllint")) else {
        return common::skip_without_tools("there is no dot or no xmllint");
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    for project in pictured() {
        for files in [&[][..], &["--files"]] {
            let with = |format| [files, &["--format", format]].concat();
            let (nodes, edges) = mermaid_counts(&graph(&project, &with("mermaid")));
            assert!(nodes > 1, "{}", project.display());
            std::fs::write(&path, graph(&project, &with("dot"))).unwrap();
            let output = Command::new(&dot)
                .args(["-Tplain"])
                .arg(&path)
                .output()
                .unwrap();
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "{output:?}"
            );
            let plain = String::from_utf8(output.stdout).unwrap();
            let count = |word: &str| plain.lines().filter(|line| line.starts_with(word)).count();
            assert_eq!((count("node "), count("edge ")), (nodes, edges));
            let svg = graph(&project, &with("svg"));
            std::fs::write(&path, &svg).unwrap();
            let output = Command::new(&xmllint)
                .args(["--noout", "--nonet"])
                .arg(&path)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            assert_eq!(svg.matches("<title>").count(), nodes);
            assert_eq!(svg.matches("<path").count(), edges);
        }
    }
}

#[test]
fn mermaid_draws_the_names() {
    let folder = tempfile::tempdir().unwrap();
    let library = std::env::var_os("IMGSPEC_TOOLS")
        .map_or_else(|| "target/tools".into(), PathBuf::from)
        .join("report/mermaid.min.js");
    let library = common::root().join(library);
    let (mut files, mut expected) = (Vec::new(), Vec::new());
    for (at, project) in pictured().iter().enumerate() {
        for flags in [&[][..], &["--files"]] {
            let file = folder.path().join(format!("{at}{}.mmd", flags.len()));
            std::fs::write(&file, graph(project, flags)).unwrap();
            files.push(file.to_str().unwrap().to_owned());
            // Graphviz's text has the same names with other escapes.
            let dot = graph(project, &[flags, &["--format", "dot"]].concat());
            let names = dot.lines().filter_map(|line| {
                let (_, label) = line.split_once(" [label = \"")?;
                let name = label
                    .split("\"]")
                    .next()?
                    .split("\", ")
                    .next()?
                    .split("\\n")
                    .next()?;
                let name = name.replace("\\\"", "\"").replace("\\\\", "\\");
                Some(name.replace('<', "&lt;").replace('>', "&gt;"))
            });
            expected.push(names.collect::<Vec<String>>());
        }
    }
    let mut arguments = vec!["--mermaid", library.to_str().unwrap()];
    arguments.extend(files.iter().map(String::as_str));
    let Some(mut command) = browser(&arguments) else {
        return;
    };
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let drawn = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    assert_eq!(drawn.collect::<Vec<Vec<String>>>(), expected);
}
