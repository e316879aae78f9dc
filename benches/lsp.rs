//! The language server as one types: `cargo bench --bench lsp`.
//!
//! A real client drives the real program over its pipes, in a workspace of 1,000 images: 20 base layers, each included by
//! ten specs of five images, and one file that all of them include. What is measured is the client's time, from the
//! keystroke that is written to the answer that is read.

#[path = "../tests/common/mod.rs"]
mod common;

use common::editor::{Client, Desk};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const BASES: usize = 20;
const SPECS: usize = 10;
const IMAGES: usize = 5;
const TARGETS: [&str; 4] = [
    "node-ova-local-photon-3",
    "node-ova-vsphere-ubuntu-2004",
    "qemu-rockylinux-8",
    "ami-ubuntu-2004",
];

/// How often each thing is measured.
const ROUNDS: usize = 500;

fn write_workspace(folder: &Path) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    write("imgspec.toml", "");
    write(
        "org.imgspec",
        "## What all images have.\nlayer org {\n    http_proxy = \"http://proxy.example.com:3128\"\n    https_proxy = http_proxy\n}\n",
    );
    for base in 0..BASES {
        let mut text = format!(
            "include \"org.imgspec\"\n\n## Base {base}.\nlayer base-{base} extends org {{\n"
        );
        let _ = writeln!(
            text,
            "    no_proxy = [\".example.com\", \"10.{base}.0.0/16\"]\n    ansible {{"
        );
        for i in 0..25 {
            let _ = writeln!(text, "        site_{i} = \"value {i} of base {base}\"");
        }
        text.push_str("    }\n}\n");
        write(&format!("base-{base}.imgspec"), &text);
        for spec in 0..SPECS {
            let mut text = format!("include \"base-{base}.imgspec\"\n");
            for image in 0..IMAGES {
                let (target, id) = (
                    TARGETS[(spec + image) % TARGETS.len()],
                    spec * IMAGES + image,
                );
                let _ = writeln!(
                    text,
                    "\nimage image-{base}-{id} extends {target}, base-{base} {{"
                );
                let _ = writeln!(text, "    kubernetes_semver = \"v1.23.{}\"", id % 17);
                let _ = writeln!(
                    text,
                    "    node_custom_roles_post = [\"role-{id}\"]\n    ansible {{"
                );
                for i in 0..9 {
                    let _ = writeln!(
                        text,
                        "        own_{i} = \"${{kubernetes_series}} for image {id}, {i}\""
                    );
                }
                text.push_str("    }\n}\n");
            }
            write(&format!("spec-{base}-{spec}.imgspec"), &text);
        }
    }
}

/// Prints a line of the table: the middle, the 99th of a hundred, and the worst.
fn report(what: &str, mut times: Vec<Duration>, goal: Option<f64>) {
    times.sort();
    let ms = |at: usize| times[at.min(times.len() - 1)].as_secs_f64() * 1000.0;
    let goal = goal.map_or(String::new(), |goal| format!("p99 < {goal} ms"));
    println!(
        "{what:<66} {:>5}  {:>8.2} {:>8.2} {:>8.2}  {goal}",
        times.len(),
        ms(times.len() / 2),
        ms(times.len() * 99 / 100),
        ms(times.len() - 1),
    );
}

/// Types one letter in a comment-free place of a document and waits for the findings of files.
fn keystrokes(desk: &mut Desk<'_>, at: &str, awaited: &[&str], rounds: usize) -> Vec<Duration> {
    let start = desk.open[&desk.name].0.find(at).expect("it is there") + at.len();
    let mut times = Vec::new();
    for round in 0..rounds {
        let begin = Instant::now();
        // Letters come and go.
        match round % 2 {
            0 => desk.edit(start..start, "x"),
            _ => desk.edit(start..start + 1, ""),
        }
        desk.found();
        for name in awaited {
            let uri = desk.uri(name);
            desk.client.wait_for(&uri, None);
        }
        times.push(begin.elapsed());
    }
    times
}

fn requests(desk: &mut Desk<'_>, method: &str, behind: &str, rounds: usize) -> Vec<Duration> {
    let start = desk.open[&desk.name].0.find(behind).expect("it is there") + behind.len();
    let mut times = Vec::new();
    for round in 0..rounds {
        // After a keystroke, so that nothing is known from the last time.
        match round % 2 {
            0 => desk.edit(start..start, " "),
            _ => desk.edit(start..start + 1, ""),
        }
        desk.found();
        let begin = Instant::now();
        let reply = desk.ask(method, start, &Value::Null);
        times.push(begin.elapsed());
        assert!(
            !reply.is_null() && reply.get("code").is_none(),
            "{method}: {reply}"
        );
    }
    times
}

fn memory(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kilobytes = line
            .and_then(|line| line.split_whitespace().nth(1))
            .and_then(|n| n.parse::<u64>().ok());
        kilobytes.map_or("unknown".to_owned(), |n| format!("{} MB", n / 1024))
    };
    format!("{} now, {} at most", line("VmRSS"), line("VmHWM"))
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().canonicalize().expect("it is there");
    write_workspace(&folder);
    println!(
        "{:<66} {:>5}  {:>8} {:>8} {:>8}",
        "times in ms", "n", "p50", "p99", "max"
    );

    let mut starts = Vec::new();
    for _ in 0..30 {
        let begin = Instant::now();
        let client = Client::start(&folder);
        let mut desk = Desk::new(client, &folder);
        desk.open("spec-0-0.imgspec");
        starts.push(begin.elapsed());
        desk.client.end();
    }
    report(
        "start to the first findings of the opened file",
        starts,
        Some(150.0),
    );

    let mut desk = Desk::new(Client::start(&folder), &folder);
    desk.open("spec-0-0.imgspec");
    let image =
        "image-0-0 extends node-ova-local-photon-3, base-0 {\n    kubernetes_semver = \"v1.23.0";
    let times = keystrokes(&mut desk, image, &[], ROUNDS);
    report(
        "keystroke in a spec of 5 images to its findings",
        times,
        Some(16.0),
    );
    let times = requests(
        &mut desk,
        "textDocument/completion",
        "base-0 {\n    ",
        ROUNDS,
    );
    report(
        "completion of a statement, after a keystroke",
        times,
        Some(5.0),
    );
    let times = requests(
        &mut desk,
        "textDocument/completion",
        "kubernetes_semver = ",
        ROUNDS,
    );
    report("completion of a value, after a keystroke", times, Some(5.0));
    let times = requests(
        &mut desk,
        "textDocument/hover",
        "    kubernetes_semver",
        ROUNDS,
    );
    report("hover over a variable, after a keystroke", times, Some(5.0));

    desk.open("base-0.imgspec");
    let times = keystrokes(&mut desk, "10.0.0.0/1", &["spec-0-0.imgspec"], ROUNDS);
    report(
        "keystroke in a base of 50 images to its findings and an open spec's",
        times,
        Some(16.0),
    );

    desk.open("org.imgspec");
    let times = keystrokes(
        &mut desk,
        "proxy.example.co",
        &["base-0.imgspec", "spec-0-0.imgspec"],
        ROUNDS,
    );
    report(
        "keystroke in what 1,000 images include, the same",
        times,
        Some(16.0),
    );

    // A name that is wrong shows in every file that uses it.
    let all: Vec<String> = (0..BASES)
        .map(|base| format!("base-{base}.imgspec"))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let times = keystrokes(&mut desk, "layer org", &all, 20);
    report(
        "keystroke that makes 20 closed files wrong, to the last of them",
        times,
        None,
    );
    println!(
        "memory with 1,000 images: {}",
        memory(desk.client.server.id())
    );
    desk.client.end();
}
