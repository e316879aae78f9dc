//! What several test programs need: running the binary, reading its JSON.
#![allow(dead_code)]

pub mod editor;
pub mod place;
pub mod specs;

use serde_json::Value;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Data of Image Builder releases, which does not lie in the repository. None where it is absent.
pub fn shared() -> Option<PathBuf> {
    let dir = std::env::var_os("IMGSPEC_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    skip(&format!("what reads IMGSPEC_SHARED: {} is not there", dir.display()));
    None
}

/// Says that a test does nothing. Not by `println!`, which stays unseen where a test passes.
pub fn skip(what: &str) {
    std::io::stderr().write_all(format!("skipped: {what}\n").as_bytes()).unwrap();
}

/// Says that a test does nothing for want of programs, which is a failure where `IMGSPEC_REQUIRE_TOOLS=1`.
pub fn skip_without_tools(what: &str) {
    assert!(std::env::var_os("IMGSPEC_REQUIRE_TOOLS").is_none_or(|value| value != "1"), "{what}");
    skip(what);
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
    let is_missing = |tool: &&str| !std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    let missing: Vec<&str> = ["packer", "ansible-playbook"].into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Some(path);
    }
    skip_without_tools(&format!("{what}: no {} found", missing.join(" and no ")));
    None
}

/// The binary, in a folder, with nothing inherited that changes what it does.
pub fn imgspec(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgspec"));
    command.current_dir(folder).env_remove("PACKER_VAR_FILES").env("NO_COLOR", "1").env("COLUMNS", "100");
    command
}

/// Runs the binary.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    imgspec(folder).args(args).output().expect("the binary runs")
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

/// The files of a folder with an ending, sorted.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|p| p.extension().is_some_and(|e| e == ending)).collect()
}
