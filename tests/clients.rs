//! The language server with clients of other projects.
//!
//! `tests/run clients` installs them: Neovim, with the configuration of docs/editors.md, and pytest-lsp.

mod common;

use regex::Regex;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that `tests/run` installs; `None` if it is missing.
fn program(name: &str, what: &str) -> Option<PathBuf> {
    let found = which::which_in(name, Some(common::search_path()), ".").ok();
    if found.is_none() {
        common::skip_without_tools(&format!("{what}: {name} is missing"));
    }
    found
}

/// The folder of the program under test.
fn bin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_imgspec")).parent().unwrap()
}

/// A search path with the program under test in front.
fn path_with_imgspec() -> std::ffi::OsString {
    let path = common::search_path();
    std::env::join_paths(std::iter::once(bin().to_owned()).chain(std::env::split_paths(&path)))
        .unwrap()
}

/// The first block of a language in a chapter of docs/editors.md.
fn documented(chapter: &str, language: &str) -> String {
    let text = std::fs::read_to_string(common::root().join("docs/editors.md")).unwrap();
    let chapter = &text[text.find(&format!("## {chapter}\n")).unwrap()..];
    let block = Regex::new(&format!(r"(?s)```{language}\n(.*?)```")).unwrap();
    block.captures(chapter).unwrap()[1].to_owned()
}

/// Neovim shows a diagnostic and applies its fix, hovers, completes, renames a layer in two files, formats, and jumps into the
/// library.
#[test]
fn neovim_works_as_documented() {
    let Some(neovim) = program("nvim", "the language server in Neovim") else {
        return;
    };
    let data = common::root().join("tests/clients/neovim");
    let copy = tempfile::tempdir().unwrap();
    let folder = copy.path().canonicalize().unwrap();
    std::fs::write(folder.join("imgspec.toml"), "").unwrap();
    std::fs::write(folder.join("init.lua"), documented("Neovim", "lua")).unwrap();
    for file in common::entries(&data.join("before")) {
        std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    let output = Command::new(neovim)
        .current_dir(&folder)
        .args(["--headless", "--clean", "-u", "init.lua", "-c"])
        .arg(format!(
            "luafile {}",
            common::root().join("tests/clients/neovim.lua").display()
        ))
        .env("PATH", path_with_imgspec())
        .env("HOME", &folder)
        .env("IMGSPEC_CACHE", folder.join("cache"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let after = data.join("after");
    let names: Vec<PathBuf> = ["base.imgspec", "mine.imgspec", "seen.txt"]
        .map(PathBuf::from)
        .to_vec();
    for name in names {
        let found = std::fs::read_to_string(folder.join(&name))
            .unwrap_or_else(|e| panic!("{name:?}: {e}; {said}"));
        if std::env::var_os("IMGSPEC_BLESS").is_some() {
            std::fs::write(after.join(&name), found).unwrap();
        } else {
            let expected = std::fs::read_to_string(after.join(&name)).unwrap();
            assert_eq!(found, expected, "{}: {said}", name.display());
        }
    }
}

/// The configuration of docs/editors.md for Helix starts a server, and names a grammar of this repository.
#[test]
fn helix_would_start_the_server() {
    let config: toml::Table = documented("Helix", "toml").parse().unwrap();
    let language = &config["language"][0];
    assert_eq!(
        language["file-types"].as_array().unwrap(),
        &[toml::Value::from("imgspec")]
    );
    let server = &config["language-server"][language["language-servers"][0].as_str().unwrap()];
    let args = server["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap());
    let output = Command::new(bin().join(server["command"].as_str().unwrap()))
        .args(args)
        .arg("--help")
        .output();
    assert!(output.unwrap().status.success());
    let source = config["grammar"][0]["source"]["path"].as_str().unwrap();
    assert!(
        common::root()
            .join(source.strip_prefix("/path/to/imgspec/").unwrap())
            .join("grammar.js")
            .is_file()
    );
}

/// pytest-lsp uses every capability that the server announces, as several editors, and the whole life cycle.
#[test]
fn pytest_lsp_finds_what_the_server_announces() {
    let what = "the language server with pytest-lsp";
    let tools =
        std::env::var_os("IMGSPEC_TOOLS").map_or_else(|| "target/tools".into(), PathBuf::from);
    let tools = common::root().join(tools);
    let own = tools.join("bin/python");
    let python = || {
        let mut command = Command::new(if own.exists() {
            own.as_path()
        } else {
            Path::new("python3")
        });
        command.env("PYTHONPATH", tools.join("pytest-lsp"));
        command
    };
    let is_there = python().args(["-c", "import pytest_lsp"]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        common::skip_without_tools(&format!("{what}: pytest-lsp is missing"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = python()
        .args([
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            "pytest.ini",
            ".",
        ])
        .current_dir(common::root().join("tests/clients"))
        .env("IMGSPEC", env!("CARGO_BIN_EXE_imgspec"))
        .env("IMGSPEC_CACHE", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    println!("{}", said.lines().last().unwrap_or_default());
}
