//! The folders of the project around the current folder.

use crate::cli::Failure;
use crate::source::{Disk, Loader, normalize};
use crate::workspace::{self, WriteError};
use std::path::{Path, PathBuf};

/// The output folder in a project's root, unless `--out` names another.
pub(super) const OUT: &str = "build";

/// Returns the output folder: the one that the user names, relative to the current folder, or `build` in the project's
/// root, so that a command gives the same result in every folder of a project.
pub(super) fn out(here: &Path, named: Option<&Path>) -> PathBuf {
    match named {
        Some(folder) => normalize(&here.join(folder)),
        None => workspace::project_root(here).join(OUT),
    }
}

/// Checks that the output folder in a project's root is not a link out of the project, which anyone who writes to the
/// project could have made.
///
/// # Errors
/// If it is one.
pub(super) fn expect_own(here: &Path) -> Result<(), Failure> {
    let root = workspace::project_root(here);
    let out = root.join(OUT);
    let real = Disk.canonical(&out);
    if real.starts_with(Disk.canonical(&root)) {
        return Ok(());
    }
    Err(Failure(format!(
        "the output folder {0} is a link to {1}, which is outside the project: use `--out {1}`",
        shown(&out, here),
        real.display()
    )))
}

/// Returns the folder of a file that a command writes.
pub(super) fn folder_of(here: &Path, file: Option<&Path>) -> Vec<PathBuf> {
    let path = file.map(|file| normalize(&here.join(file)));
    let folder = path.as_deref().and_then(Path::parent);
    folder.into_iter().map(Path::to_owned).collect()
}

/// Returns the message about a file or folder that cannot be written.
pub(super) fn cannot_write(error: &WriteError, here: &Path) -> Failure {
    Failure(error.describe_at(&shown(&error.path, here)))
}

/// Returns a path to print: relative to the current folder if it is inside it.
pub(super) fn shown(path: &Path, here: &Path) -> String {
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}
