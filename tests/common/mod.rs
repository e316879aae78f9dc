//! What several test programs need: running the binary, reading its JSON.
#![allow(dead_code)]

use serde_json::Value;
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
    println!("skipped: {} is not there (set IMGSPEC_SHARED)", dir.display());
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
