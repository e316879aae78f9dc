//! The folders of the project around the current folder.

use crate::cli::Failure;
use crate::source::normalize;
use crate::workspace::{self, WriteError};
use std::path::{Path, PathBuf};

/// The output folder in a project's root, unless `--out` names another.
pub(super) const OUT: &str = "build";

/// Returns the output folder: the one that the user names, relative to the current folder, or `build` in the project's
/// root, so that a command gives the same result in every folder of a project.
pub(super) fn out(here: &Path, named: Option<&Path>) -> PathBuf {
    match named {
        Some(folder) => normalize(&here.join(folder)),
        None => workspace::read_config(here).0.join(OUT),
    }
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
