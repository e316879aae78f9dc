//! The extension in Visual Studio Code: what a user sees and does. `tests/vscode/editor.cjs` is the user, and
//! `tests/vscode/project` the project.
//!
//! The editor is code-server's, in Chromium. This takes minutes and runs only where `IMGSPEC_SLOW` is set, as
//! `tests/run vscode` does. `IMGSPEC_BLESS=1` writes the pictures of docs/editors.md. `target/vscode` keeps the
//! pictures and logs.

mod common;

use common::extension::package;
use common::snapshot::is_blessing;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that `tests/setup vscode` installs.
fn program(name: &str) -> Option<PathBuf> {
    let found = which::which_in(name, Some(common::search_path()), ".").ok();
    if found.is_none() {
        common::skip_without_tools(&format!("{name} is missing"));
    }
    found
}

/// What `tests/setup vscode` puts at a path.
fn tool(path: &str) -> Option<PathBuf> {
    let tools =
        std::env::var_os("IMGSPEC_TOOLS").map_or_else(|| "target/tools".into(), PathBuf::from);
    let path = common::root().join(tools).join(path);
    if !path.exists() {
        common::skip_without_tools(&format!("{} is missing", path.display()));
        return None;
    }
    Some(path)
}

/// Runs the editor. Returns none where a program is missing.
fn use_editor(folder: &Path) -> Option<()> {
    let (node, npm, chromium) = (program("node")?, program("npm")?, program("chromium")?);
    let server = tool("code-server/node_modules/code-server/out/node/entry.js")?;
    let driver = tool("report/node_modules/puppeteer-core")?;
    let client = tool("vscode/node_modules/vscode-languageclient")?;
    let project = common::root().join("tests/vscode/project");
    common::copy_folder(&project, &folder.join("demo"));
    let extension = package(&folder.join("package"), &npm, client.parent().unwrap());
    let status = Command::new(node)
        .arg(common::root().join("tests/vscode/editor.cjs"))
        .arg(server)
        .arg(extension.join("imgspec.vsix"))
        .arg(folder)
        .env("NODE_PATH", driver.parent().unwrap())
        .env("CHROMIUM", chromium)
        .env("IMGSPEC", env!("CARGO_BIN_EXE_imgspec"))
        .status()
        .unwrap();
    assert!(status.success(), "{} has pictures", folder.display());
    Some(())
}

#[test]
fn a_user_sees_and_does_what_the_documents_show() {
    if std::env::var("IMGSPEC_SLOW").as_deref() != Ok("1") {
        common::skip("it takes minutes; `tests/run vscode` runs it");
        return;
    }
    let root = common::root();
    let folder = root.join("target/vscode");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    if use_editor(&folder).is_none() {
        return;
    }
    let text = std::fs::read_to_string(root.join("docs/editors.md")).unwrap();
    for picture in common::files(&folder, "png") {
        let name = picture.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(&format!("(editors/{name})")), "{name}");
        if is_blessing() {
            let Some(pngquant) = program("pngquant") else {
                return;
            };
            let status = Command::new(pngquant)
                .args(["--force", "--strip", "--nofs", "--output"])
                .arg(root.join("docs/editors").join(name))
                .arg(&picture)
                .status();
            assert!(status.unwrap().success(), "{name}");
        }
    }
}
