//! The folders that a project may read.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Loader, Span};
use std::path::{Path, PathBuf};

/// Whether a path lies in one of the folders, links followed.
pub(crate) fn is_inside(loader: &dyn Loader, path: &Path, roots: &[PathBuf]) -> bool {
    let path = loader.canonical(path);
    roots
        .iter()
        .any(|root| path.starts_with(loader.canonical(root)))
}

pub(crate) fn outside_root(span: Span, path: &Path, roots: &[PathBuf]) -> Diagnostic {
    let root = roots
        .first()
        .map(|r| r.display().to_string())
        .unwrap_or_default();
    Diagnostic::new(Code::OutsideRoot, span, format!("{} is outside the project", path.display()))
        .label(format!("the project's root is {root}"))
        .help("allow its folder with `--include-root FOLDER` or `include-roots` in imgspec.toml, or put imgspec.toml into a folder that contains both")
}
