//! The extension for Visual Studio Code.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages a copy of the extension below a folder. `modules` has the packages that it names. Returns the folder of the copy,
/// which has `imgspec.vsix`.
pub fn package(folder: &Path, npm: &Path, modules: &Path) -> PathBuf {
    let root = super::root();
    let extension = folder.join("editors/vscode");
    super::copy_folder(&root.join("editors/vscode"), &extension);
    for file in ["grammar/imgspec.tmLanguage.json", "LICENSE"] {
        let copy = folder.join(file);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(root.join(file), copy).unwrap();
    }
    let link = Command::new("ln")
        .arg("-sfn")
        .arg(modules)
        .arg(extension.join("node_modules"))
        .output();
    let packaged = Command::new(npm)
        .args(["run", "package"])
        .current_dir(&extension)
        .output();
    for output in [link.unwrap(), packaged.unwrap()] {
        assert!(output.status.success(), "{output:?}");
    }
    extension
}
