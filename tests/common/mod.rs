//! What several test programs need: running the binary, reading its JSON.
#![allow(dead_code, unused_imports, unused_macros)]

pub mod commands;
pub mod console;
pub mod diagnostics;
pub mod editor;
pub mod extension;
pub mod fixes;
pub mod page;
pub mod pages;
pub mod place;
pub mod snapshot;
pub mod specs;

use serde_json::Value;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Image Builder releases whose data can be read, a folder each: those of `tests/releases`, which has facts of a few
/// targets in files of our own, and those of `IMGSPEC_SHARED`.
pub fn releases() -> Vec<PathBuf> {
    let mut releases = entries(&root().join("tests/releases"));
    releases.extend(shared_releases());
    releases
}

/// Whether data are the repository's, and so there in every clone.
pub fn is_own(path: &Path) -> bool {
    path.starts_with(root().join("tests"))
}

/// The releases in the folder `upstream` of `IMGSPEC_SHARED`, which must be there where that variable is set. Where it is
/// not, `../shared` has them or nothing has; where it is set to nothing, not even that is asked.
fn shared_releases() -> Vec<PathBuf> {
    let named = std::env::var_os("IMGSPEC_SHARED");
    if named.as_ref().is_some_and(|name| name.is_empty()) {
        skip("only tests/releases is read: IMGSPEC_SHARED is empty");
        return Vec::new();
    }
    let folder = root()
        .join(named.as_deref().unwrap_or("../shared".as_ref()))
        .join("upstream");
    let folder = folder.canonicalize().unwrap_or(folder);
    let mut found = if folder.is_dir() {
        entries(&folder)
    } else {
        Vec::new()
    };
    found.retain(|release| release.join("targets.json").is_file());
    if found.is_empty() {
        let why = format!("no release has a targets.json in {}", folder.display());
        assert!(named.is_none(), "IMGSPEC_SHARED is set, and {why}");
        skip(&format!("only tests/releases is read: {why}"));
    }
    found
}

/// Says how many values of a release have been compared, which may not be few. `tests/run` looks for these lines where
/// `IMGSPEC_SHARED` is set.
pub fn say_compared(release: &Path, values: usize) {
    assert!(values >= 30, "{}: only {values} values", release.display());
    say(&format!(
        "compared: {}: {values} values of {}",
        test_name(),
        release.display()
    ));
}

/// Says that the running test does nothing, or less.
pub fn skip(why: &str) {
    say(&format!("skipped: {}: {why}", test_name()));
}

/// Prints a line. Not by `println!`, which stays unseen where a test passes.
fn say(line: &str) {
    std::io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

/// The file and the name of the running test; the thread that runs it has the latter.
fn test_name() -> String {
    let thread = thread::current();
    let name = thread.name().filter(|name| *name != "main");
    [Some(env!("CARGO_CRATE_NAME")), name]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("::")
}

/// Says that the running test does nothing for want of programs, which is a failure where `IMGSPEC_REQUIRE_TOOLS=1`.
pub fn skip_without_tools(why: &str) {
    assert!(
        std::env::var_os("IMGSPEC_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "{why}"
    );
    skip(why);
}

/// The search path, with what `tests/run` has installed in front.
pub fn search_path() -> OsString {
    let own = std::env::var_os("IMGSPEC_TOOLS").map(|tools| root().join(tools).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))).unwrap()
}

/// The search path, if Packer and Ansible are in it.
pub fn packer_and_ansible(what: &str) -> Option<OsString> {
    let path = search_path();
    let is_missing =
        |tool: &&str| !std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    let missing: Vec<&str> = ["packer", "ansible-playbook"]
        .into_iter()
        .filter(is_missing)
        .collect();
    if missing.is_empty() {
        return Some(path);
    }
    skip_without_tools(&format!("{what}: no {} found", missing.join(" and no ")));
    None
}

/// The binary, or the program that `IMGSPEC_PROGRAM` names, in a folder, with nothing inherited that changes what it does.
pub fn imgspec(folder: &Path) -> Command {
    let program = std::env::var_os("IMGSPEC_PROGRAM").map(|program| root().join(program));
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_imgspec").into());
    in_folder(Command::new(program), folder)
}

/// A command in a folder, with nothing inherited that changes what the binary does.
pub fn in_folder(mut command: Command, folder: &Path) -> Command {
    command
        .current_dir(folder)
        .env_remove("PACKER_VAR_FILES")
        .env_remove("PACKER_FLAGS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100");
    command
}

/// Returns the exit code of a run of the binary.
///
/// # Panics
///
/// If a signal or a panic ended it, so that no expected output can have that.
pub fn exit_code(output: &Output) -> i32 {
    let printed = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(code) if code != 101 => code,
        _ => panic!("the program crashed ({}):\n{printed}", output.status),
    }
}

/// Runs the binary.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    imgspec(folder)
        .args(args)
        .output()
        .expect("the binary runs")
}

/// Runs the binary and reads its standard output as JSON.
pub fn run_json(folder: &Path, args: &[&str]) -> Value {
    let output = run(folder, args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!(
            "{args:?}: {e}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// The entries of a folder, sorted.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// Copies a folder with all that it contains. The other folder may exist.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for path in entries(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// The files of a folder with an ending, sorted.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == ending))
        .collect()
}

/// Runs the jobs on all cores and gathers what they return.
pub fn in_parallel<T: Send, R: Send>(jobs: Vec<T>, work: impl Fn(T) -> Vec<R> + Sync) -> Vec<R> {
    let (jobs, results) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(job) = { jobs.lock().unwrap().pop() } {
                    let done = work(job);
                    results.lock().unwrap().extend(done);
                }
            });
        }
    });
    results.into_inner().unwrap()
}
