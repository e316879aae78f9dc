//! The language server as one types: `cargo bench --bench lsp`.
//!
//! A real client drives the real program over its pipes, in workspaces of 1,000 and of 10,000 images: 20 base layers, each
//! included by specs of five images, and one file that all of them include. What is measured is the client's time, from the
//! keystroke that is written to the last byte of the answer. The same for one file of 2.3 MB. `IMGSPEC_PROGRAM` is the path of
//! another program to measure.

#[path = "../tests/common/mod.rs"]
mod common;
mod work;

use common::editor::{Client, Desk};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use work::{BASES, IMAGES, write_workspace};

/// How often each thing is measured.
const ROUNDS: usize = 500;

/// Prints a line of the table: the middle, the 99th of a hundred, and the worst.
fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |at: usize| times[at.min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!(
        "{what:<66} {:>5}  {:>8.2} {:>8.2} {:>8.2}",
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
        times.push(desk.client.arrival - begin);
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
        let reply = desk.ask(method, start, &json!({ "query": "image" }));
        times.push(desk.client.arrival - begin);
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

fn start(folder: &Path) -> Client {
    Client::start_with(work::command(&work::program(), folder), folder)
}

/// Measures a workspace that has so many specs for each base.
fn measure(specs: usize) {
    let images = BASES * specs * IMAGES;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().canonicalize().expect("it is there");
    write_workspace(&folder, BASES, specs);
    println!(
        "{:<66} {:>5}  {:>8} {:>8} {:>8}",
        format!("{images} images, times in ms"),
        "n",
        "p50",
        "p99",
        "max"
    );

    let mut starts = Vec::new();
    for _ in 0..10 {
        let begin = Instant::now();
        let mut desk = Desk::new(start(&folder), &folder);
        desk.open("spec-0-0.imgspec");
        starts.push(desk.client.arrival - begin);
        desk.client.end();
    }
    report("start to the first findings of the opened file", starts);

    let mut desk = Desk::new(start(&folder), &folder);
    desk.open("spec-0-0.imgspec");
    let spec = [
        (
            "symbols of the workspace, after a keystroke",
            "workspace/symbol",
            "base-0 {\n    ",
        ),
        (
            "lenses, after a keystroke",
            "textDocument/codeLens",
            "base-0 {\n    ",
        ),
        (
            "completion of a statement, after a keystroke",
            "textDocument/completion",
            "base-0 {\n    ",
        ),
        (
            "completion of a value, after a keystroke",
            "textDocument/completion",
            "kubernetes_semver = ",
        ),
        (
            "hover over a variable, after a keystroke",
            "textDocument/hover",
            "    kubernetes_semver",
        ),
    ];
    let version = "kubernetes_semver = \"v1.23.0";
    let times = keystrokes(&mut desk, version, &[], ROUNDS);
    report("keystroke in a spec of 5 images to its findings", times);
    for (what, method, behind) in spec {
        let times = requests(&mut desk, method, behind, ROUNDS);
        report(what, times);
    }

    desk.open("base-0.imgspec");
    let times = keystrokes(&mut desk, "10.0.0.0/1", &["spec-0-0.imgspec"], ROUNDS);
    report(
        &format!(
            "keystroke in a base of {} images to its findings and a spec's",
            specs * IMAGES
        ),
        times,
    );

    desk.open("org.imgspec");
    let awaited = ["base-0.imgspec", "spec-0-0.imgspec"];
    let times = keystrokes(&mut desk, "proxy.example.co", &awaited, ROUNDS);
    report("keystroke in what all images include, the same", times);

    // A name that is wrong shows in every file that uses it.
    let all: Vec<String> = (0..BASES)
        .map(|base| format!("base-{base}.imgspec"))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let times = keystrokes(&mut desk, "layer org", &all, 20);
    report(
        "keystroke that makes 20 closed files wrong, to the last of them",
        times,
    );
    report(
        "the images that the edit of org.imgspec rebuilds",
        rebuilt(&mut desk),
    );
    report(
        "keystroke in it while the server works on that",
        keystrokes_while_asked(&mut desk),
    );
    println!("memory: {}\n", memory(desk.client.server.id()));
    desk.client.end();
}

/// Asks after keystrokes which images the edit rebuilds.
fn rebuilt(desk: &mut Desk<'_>) -> Vec<Duration> {
    let begin = desk.open[&desk.name]
        .0
        .find("proxy.example.co")
        .expect("it is there");
    let mut times = Vec::new();
    for round in 0..10 {
        match round % 2 {
            0 => desk.edit(begin..begin, "x"),
            _ => desk.edit(begin..begin + 1, ""),
        }
        desk.found();
        let lenses = desk.ask("textDocument/codeLens", 0, &Value::Null);
        let lenses = lenses.as_array().into_iter().flatten();
        let mut lenses = lenses.filter(|lens| lens["data"]["rebuilds"] == json!(true));
        // Back at the text that was opened, no edit rebuilds anything.
        if let Some(lens) = lenses.next() {
            let begin = Instant::now();
            let resolved = desk.client.ask("codeLens/resolve", lens.clone());
            times.push(desk.client.arrival - begin);
            assert!(resolved["command"]["title"].is_string(), "{resolved}");
        }
    }
    times
}

/// Types while the server evaluates the images that an edit rebuilds.
fn keystrokes_while_asked(desk: &mut Desk<'_>) -> Vec<Duration> {
    let start = desk.open[&desk.name]
        .0
        .find("proxy.example.co")
        .expect("it is there");
    desk.edit(start..start, "x");
    desk.found();
    let lenses = desk.ask("textDocument/codeLens", 0, &Value::Null);
    let mut lenses = lenses.as_array().into_iter().flatten();
    let lens = lenses.find(|lens| lens["data"]["rebuilds"] == json!(true));
    let lens = lens.expect("the file was edited").clone();
    let uri = desk.uri(&desk.name);
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let ask = json!({ "jsonrpc": "2.0", "id": format!("lens-{round}"), "method": "codeLens/resolve", "params": lens });
        desk.client.send(&ask.to_string());
        std::thread::sleep(Duration::from_millis(2));
        let begin = Instant::now();
        match round % 2 {
            0 => desk.edit(start..start, "y"),
            _ => desk.edit(start..start + 1, ""),
        }
        let version = desk.open[&desk.name].1;
        loop {
            let message = desk.client.receive();
            let of = &message["params"];
            if of["uri"] == uri && of["version"] == version {
                break;
            }
        }
        times.push(desk.client.arrival - begin);
    }
    times
}

/// How often each thing is measured in a large file.
const ROUNDS_IN_LARGE: usize = 20;

/// Measures one file with many layers, without images: what depends on the length of a text.
fn measure_large() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().canonicalize().expect("it is there");
    let mut text = String::from("image first extends rootfs-debian-12, layer-1 {\n    \n}\n");
    let mut layer = 0;
    while text.len() < 2_300_000 {
        layer += 1;
        text.push_str(&format!(
            "\n## Layer {layer}.\nlayer layer-{layer} {{\n    extra_debs = [\n        \"jq\",\n        \"htop\",\n    ]\n    \
             when os_family == \"debian\" {{\n        http_proxy = \"http://proxy-{layer}.example.com\"\n    }}\n    \
             ansible {{ motd = \"layer {layer}\" }}\n}}\n"
        ));
    }
    work::write(&folder, "imgspec.toml", "");
    work::write(&folder, "large.imgspec", &text);
    println!(
        "{:<66} {:>5}  {:>8} {:>8} {:>8}",
        format!("a file of {} bytes, times in ms", text.len()),
        "n",
        "p50",
        "p99",
        "max"
    );
    let mut desk = Desk::new(start(&folder), &folder);
    desk.open("large.imgspec");
    let inside = "layer-1 {\n    ";
    let times = keystrokes(&mut desk, inside, &[], ROUNDS_IN_LARGE);
    report("keystroke to its findings", times);
    for (what, method) in [
        ("outline, after a keystroke", "textDocument/documentSymbol"),
        ("folding, after a keystroke", "textDocument/foldingRange"),
        (
            "a growing selection, after a keystroke",
            "textDocument/selectionRange",
        ),
        (
            "semantic tokens, after a keystroke",
            "textDocument/semanticTokens/full",
        ),
        ("lenses, after a keystroke", "textDocument/codeLens"),
        (
            "completion of a statement, after a keystroke",
            "textDocument/completion",
        ),
    ] {
        let times = requests(&mut desk, method, inside, ROUNDS_IN_LARGE);
        report(what, times);
    }
    for (what, method, behind) in [
        (
            "highlights, after a keystroke",
            "textDocument/documentHighlight",
            "http_pro",
        ),
        (
            "hover over a variable, after a keystroke",
            "textDocument/hover",
            "http_pro",
        ),
    ] {
        let mut times = Vec::new();
        let at = desk.open[&desk.name].0.find(behind).expect("it is there") + behind.len();
        let start = desk.open[&desk.name].0.find(inside).expect("it is there") + inside.len();
        for round in 0..ROUNDS_IN_LARGE {
            match round % 2 {
                0 => desk.edit(start..start, " "),
                _ => desk.edit(start..start + 1, ""),
            }
            desk.found();
            let begin = Instant::now();
            let reply = desk.ask(method, at + 1 - round % 2, &Value::Null);
            times.push(desk.client.arrival - begin);
            assert!(!reply.is_null(), "{method}");
        }
        report(what, times);
    }
    println!("memory: {}\n", memory(desk.client.server.id()));
    desk.client.end();
}

fn main() {
    measure_large();
    for specs in [10, 100] {
        measure(specs);
    }
}
