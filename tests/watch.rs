//! `imgspec check --watch` checks again after each change that matters, prints nothing after others, and ends by Ctrl-C with 0.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long a check may take until it is printed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long nothing is printed after a change that does not matter.
const SILENCE: Duration = Duration::from_secs(2);

struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    /// Starts the command in a folder.
    fn start(folder: &Path, arguments: &[&str]) -> Watch {
        let mut command = common::imgspec(folder);
        command
            .args(["check", "--watch", "--format", "short"])
            .args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let printed = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in printed.lines() {
                let _ = send.send(line.unwrap());
            }
        });
        Watch { child, lines }
    }

    /// Returns the lines of the next check, without the time.
    fn next(&self) -> Vec<String> {
        let is_time = regex::Regex::new(r"^\d+ ms at \d\d:\d\d:\d\d UTC$").unwrap();
        let mut out = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{error} after {out:#?}"));
            if let Some((images, time)) = line
                .split_once(" in ")
                .filter(|_| line.starts_with("checked "))
            {
                assert!(is_time.is_match(time), "{line}");
                out.push(images.to_owned());
                return out;
            }
            out.push(line.clone());
            if line.starts_with("imgspec: ") {
                return out;
            }
        }
    }

    fn expect_silence(&self) {
        let next = self.lines.recv_timeout(SILENCE);
        assert_eq!(next, Err(RecvTimeoutError::Timeout));
    }

    /// Sends the signal of Ctrl-C.
    fn stop(mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn image(name: &str, setting: &str) -> String {
    format!("image {name} extends qemu-ubuntu-2004 {{\n    {setting}\n}}\n")
}

#[test]
fn each_change_that_matters_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // As a whole, so that no check sees a part of it.
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    };
    write("imgspec.toml", "");
    write("a.imgspec", &image("a", "memory = 4096"));
    // What is refused to a confined command is not needed here.
    let sandbox = ["check", "--sandbox", "require"];
    let is_possible = common::exit_code(&common::run(folder.path(), &sandbox)) == 0;
    let mode = if is_possible { "require" } else { "auto" };
    let watch = Watch::start(folder.path(), &["--sandbox", mode]);
    let fine = |count: &str, files: &str| {
        vec![
            format!("{count} in {files}: no problems found"),
            format!("checked {count}"),
        ]
    };
    assert_eq!(watch.next(), fine("1 image", "1 file"));

    write("a.imgspec", &image("a", "memory = \"large\""));
    let found = watch.next();
    assert!(found[0].contains("error[type-mismatch]"), "{found:#?}");
    assert_eq!(found[1..], ["1 error", "checked 1 image"]);

    // A file that is written again, and one that no spec reads, change nothing.
    let same = image("a", "memory = \"large\"");
    fs::write(folder.path().join("a.imgspec"), same).unwrap();
    write("notes.txt", "for later");
    watch.expect_silence();

    write("a.imgspec", &image("a", "motd_file = \"\""));
    let found = watch.next();
    assert!(found[0].contains("unknown-variable"), "{found:#?}");

    // A spec in a new folder, and its removal.
    write("a.imgspec", &image("a", "memory = 4096"));
    assert_eq!(watch.next(), fine("1 image", "1 file"));
    write("teams/web/b.imgspec", &image("b", "cpus = 2"));
    assert_eq!(watch.next(), fine("2 images", "2 files"));
    write("teams/web/b.imgspec", &image("b", "extra_rpms = [\"jq\"]"));
    let found = watch.next();
    assert_eq!(found[1..], ["1 warning", "checked 2 images"], "{found:#?}");

    // The configuration, and a file that a spec names but does not have yet.
    write("imgspec.toml", "allow = [\"no-effect\"]\n");
    assert_eq!(watch.next(), fine("2 images", "2 files"));
    write(
        "a.imgspec",
        &format!("include \"v.json\" as v\n{}", image("a", "memory = 4096")),
    );
    let found = watch.next();
    assert!(found[0].contains("cannot-read"), "{found:#?}");
    write("v.json", "{ \"memory\": \"2048\" }");
    assert_eq!(watch.next(), fine("2 images", "2 files"));

    fs::remove_dir_all(folder.path().join("teams")).unwrap();
    assert_eq!(watch.next(), fine("1 image", "1 file"));
    fs::remove_file(folder.path().join("a.imgspec")).unwrap();
    let found = watch.next();
    assert!(
        found[0].starts_with("imgspec: no .imgspec files in "),
        "{found:#?}"
    );
    write("a.imgspec", &image("a", "memory = 4096"));
    assert_eq!(watch.next(), fine("1 image", "1 file"));
    watch.stop();
}

#[test]
fn a_report_and_a_baseline_wake_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("a.imgspec");
    fs::write(&spec, image("a", "extra_rpms = [\"jq\"]")).unwrap();
    let baseline = ["check", "--baseline", "known.json", "--write-baseline"];
    assert_eq!(common::exit_code(&common::run(folder.path(), &baseline)), 0);
    let arguments = ["--format", "sarif=report.sarif", "--baseline", "known.json"];
    let watch = Watch::start(folder.path(), &arguments);
    let first = watch.next();
    assert_eq!(
        first[1..],
        ["1 known diagnostic in known.json", "checked 1 image"]
    );
    watch.expect_silence();
    fs::write(
        &spec,
        image("a", "extra_rpms = [\"tree\"]\n    yum_repos = 1"),
    )
    .unwrap();
    assert_eq!(watch.next().last().unwrap(), "checked 1 image");
    watch.expect_silence();
    let report = fs::read_to_string(folder.path().join("report.sarif")).unwrap();
    assert!(report.contains("unknown-variable"), "{report}");
    watch.stop();
}

#[test]
fn another_library_needs_another_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("imgspec.toml"), "").unwrap();
    fs::write(folder.path().join("a.imgspec"), image("a", "memory = 4096")).unwrap();
    let mut watch = Watch::start(folder.path(), &[]);
    watch.next();
    fs::write(
        folder.path().join("imgspec.toml"),
        "release = \"v0.1.55\"\n",
    )
    .unwrap();
    let found = watch.next();
    assert!(found[0].contains("names another library"), "{found:#?}");
    assert_eq!(watch.child.wait().unwrap().code(), Some(2));
}
