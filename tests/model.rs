//! The compiler and the model of the language agree about random projects.
//!
//! A project comes from bytes, and the bytes from a seed. `IMGSPEC_MODEL` says how many projects there are,
//! `IMGSPEC_MODEL_SEED` with which seed they begin. A project that fails is made smaller and printed.

#[path = "model/mod.rs"]
mod model;

use imgspec::driver::{Job, finish};
use imgspec::emit::{Output, show_value};
use imgspec::eval::evaluate;
use imgspec::project::hir::LayerKind;
use imgspec::project::{Program, Request, load};
use imgspec::source::Memory;
use imgspec::syntax::format;
use model::{Project, project};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// How many projects there are where nobody asks for more: some seconds.
const PROJECTS: u64 = 200;

/// After so many projects that fail, the test ends.
const FAILURES: usize = 8;

/// The folder of the project in memory.
const ROOT: &str = "/project";

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

fn bytes(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let length = random.usize(..800);
    (0..length).map(|_| random.u8(..)).collect()
}

/// What the compiler finds in a project.
#[derive(Debug, PartialEq)]
struct Found {
    codes: BTreeSet<String>,
    images: BTreeMap<String, BTreeMap<String, Value>>,
    /// The three files of each image.
    output: BTreeMap<String, [(&'static str, String); 3]>,
    /// Each diagnostic on a line.
    report: Vec<String>,
}

fn of_project(project: &Project) -> Request {
    let path = |name: String| Path::new(ROOT).join(name);
    Request {
        specs: project.specs().into_iter().map(path).collect(),
        set: project.set(),
        var_files: project.var_files().into_iter().map(path).collect(),
        here: Some(PathBuf::from(ROOT)),
        ..Request::default()
    }
}

fn memory(files: &BTreeMap<String, String>) -> Memory {
    let files = files.iter();
    Memory(
        files
            .map(|(path, text)| (Path::new(ROOT).join(path), text.clone()))
            .collect(),
    )
}

fn run(disk: &Memory, request: &Request) -> Found {
    let program = load(disk, request);
    let files = program.specs.iter().flatten();
    let images: Vec<_> = files.flat_map(|file| program.images_of(*file)).collect();
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: false,
    };
    let job = Job {
        loader: disk,
        program: &program,
        images: &images,
        provider: None,
        output: &output,
    };
    let (artifacts, diagnostics) = job.compile();
    let diagnostics = finish(&program, diagnostics);
    let line = |d: &imgspec::diagnostic::Diagnostic| {
        let at = program
            .sources
            .position(d.primary.span.file, d.primary.span.start);
        let path = program.sources.get(d.primary.span.file).path.display();
        format!(
            "{path}:{}:{}: {}: {} {:?}",
            at.line,
            at.column,
            d.code.as_str(),
            d.message,
            d.images
        )
    };
    Found {
        codes: diagnostics
            .iter()
            .map(|d| d.code.as_str().to_owned())
            .collect(),
        report: diagnostics.iter().map(line).collect(),
        output: artifacts
            .iter()
            .map(|a| (a.image.clone(), a.files()))
            .collect(),
        images: values(&program),
    }
}

/// Returns the values of the project's own variables in each image.
fn values(program: &Program) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut images = BTreeMap::new();
    for id in program
        .specs
        .iter()
        .flatten()
        .flat_map(|file| program.images_of(*file))
    {
        assert_eq!(program.section(id).kind, LayerKind::Image);
        let Ok(image) = evaluate(program, id, None) else {
            continue;
        };
        let mut values = BTreeMap::new();
        for variable in image.ids() {
            let name = program.variable(*variable).name.to_string();
            if let (true, Some(value)) = (name.starts_with("m_"), image.value(*variable)) {
                values.insert(name, show_value(value));
            }
        }
        images.insert(image.name().to_owned(), values);
    }
    images
}

/// Returns how the compiler and the model differ about a project.
fn difference(bytes: &[u8]) -> Option<String> {
    let compared = catch_unwind(AssertUnwindSafe(|| compare(&project(bytes))));
    match compared {
        Ok(difference) => difference,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied());
            Some(format!("panic: {}", text.unwrap_or("?")))
        }
    }
}

fn compare(project: &Project) -> Option<String> {
    let files = project.files();
    let (disk, request) = (memory(&files), of_project(project));
    let found = run(&disk, &request);
    let expected = project.expected();
    let codes: BTreeSet<String> = expected
        .codes
        .iter()
        .map(|code| (*code).to_owned())
        .collect();
    let is_possible = |code: &String| codes.contains(code) || expected.possible.contains(&**code);
    if !codes.is_subset(&found.codes) || !found.codes.iter().all(is_possible) {
        let report = found.report.join("\n");
        return Some(format!(
            "codes: expected {codes:?}, found {:?}\n{report}",
            found.codes
        ));
    }
    let mut different = String::new();
    for (image, expected) in &expected.images {
        let found = found.images.get(image).cloned().unwrap_or_default();
        for name in project
            .variables()
            .into_iter()
            .filter(|name| !expected.broken.contains(*name))
        {
            let (expected, found) = (expected.values.get(name), found.get(name));
            if expected != found {
                let show =
                    |value: Option<&Value>| value.map_or("unset".to_owned(), Value::to_string);
                let (expected, found) = (show(expected), show(found));
                let _ = writeln!(
                    different,
                    "{image}: {name}: expected {expected}, found {found}"
                );
            }
        }
    }
    if !different.is_empty() {
        return Some(format!("values: {different}{}", found.report.join("\n")));
    }
    // The order of the files changes nothing.
    let mut reversed = of_project(project);
    reversed.specs.reverse();
    let other = run(&disk, &reversed);
    if (&other.images, &other.output, &other.codes) != (&found.images, &found.output, &found.codes)
    {
        return Some(format!(
            "the order of files matters\n{:#?}\n{:#?}",
            found.output, other.output
        ));
    }
    // Neither does the formatter.
    let formatted: BTreeMap<String, String> = files
        .iter()
        .map(|(path, text)| {
            let is_spec = path.ends_with(".imgspec");
            let text = if is_spec { format(text) } else { text.clone() };
            (path.clone(), text)
        })
        .collect();
    let other = run(&memory(&formatted), &request);
    if (&other.images, &other.codes) != (&found.images, &found.codes) {
        return Some(format!(
            "the formatter changes values\n{:#?}\n{formatted:#?}",
            other.report
        ));
    }
    None
}

/// Makes bytes shorter and simpler as long as the project fails, with so many attempts at most.
fn shrink(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut attempts = 160;
    let mut fails = |bytes: &[u8]| {
        attempts -= 1;
        attempts >= 0 && difference(bytes).is_some()
    };
    loop {
        let before = bytes.clone();
        let mut size = bytes.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < bytes.len() {
                let end = (at + size).min(bytes.len());
                let mut shorter = bytes.clone();
                shorter.drain(at..end);
                let mut simpler = bytes.clone();
                simpler[at..end].fill(0);
                if fails(&shorter) {
                    bytes = shorter;
                } else {
                    if simpler != bytes && fails(&simpler) {
                        bytes = simpler;
                    }
                    at += size;
                }
            }
            size /= 2;
        }
        if bytes == before {
            return bytes;
        }
    }
}

/// Returns a project as text, to read it.
fn show(project: &Project) -> String {
    let mut out = String::new();
    for (path, text) in project.files() {
        let _ = writeln!(out, "==== {path}\n{text}");
    }
    let _ = writeln!(
        out,
        "==== --set {:?} PACKER_VAR_FILES {:?}",
        project.set(),
        project.var_files()
    );
    out
}

#[test]
fn the_compiler_agrees_with_the_model() {
    compare_all();
}

/// Compares as many projects as the environment asks for.
pub fn compare_all() {
    let first = number("IMGSPEC_MODEL_SEED");
    let count = number("IMGSPEC_MODEL").unwrap_or(if first.is_some() { 1 } else { PROJECTS });
    let first = first.unwrap_or(0);
    if count == 1 {
        println!(
            "{}\n{:#?}",
            show(&project(&bytes(first))),
            project(&bytes(first)).expected()
        );
    }
    let (mut with_errors, mut values, mut failed) = (0, 0, Vec::new());
    let mut kinds = BTreeSet::new();
    for seed in first..first + count {
        if let Some(why) = difference(&bytes(seed)) {
            // One project for each kind of difference.
            let kind = why.lines().next().unwrap_or_default().to_owned();
            if !kinds.insert(kind) {
                continue;
            }
            let small = shrink(bytes(seed));
            let why = difference(&small).unwrap_or_default();
            println!("######## seed {seed}: {why}\n{}", show(&project(&small)));
            failed.push(seed);
            if failed.len() == FAILURES {
                break;
            }
        }
        let expected = project(&bytes(seed)).expected();
        with_errors += u64::from(!expected.codes.is_empty());
        values += expected
            .images
            .values()
            .map(|image| image.values.len())
            .sum::<usize>();
    }
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
    println!("compared: {count} projects, {with_errors} with diagnostics, {values} values");
}
