//! The folders that a project may read.

use crate::diagnostic::{Code, Diagnostic};
use crate::project::lock::find_copy;
use crate::source::{Loader, Span};
use std::io;
use std::path::{Path, PathBuf};

/// Why a file is not read.
#[derive(Debug)]
pub enum Unread {
    /// It is, or is a link to, this place, which is outside the project.
    Outside(PathBuf),
    /// The error of the system.
    Failed(io::Error),
}

/// Whether a path lies in one of the folders, links followed.
pub(crate) fn is_inside(loader: &dyn Loader, path: &Path, roots: &[PathBuf]) -> bool {
    resolve_inside(loader, path, roots).is_ok()
}

/// Returns where a path leads, links followed. If that is in none of the folders, it is the error.
pub(crate) fn resolve_inside(
    loader: &dyn Loader,
    path: &Path,
    roots: &[PathBuf],
) -> Result<PathBuf, PathBuf> {
    let real = loader.canonical(path);
    let mut roots = roots.iter();
    if roots.any(|root| real.starts_with(loader.canonical(root))) {
        Ok(real)
    } else {
        Err(real)
    }
}

/// Reads the text of a file that must lie in one of the folders, links followed.
///
/// # Errors
/// If it does not, or cannot be read.
pub(crate) fn read_inside(
    loader: &dyn Loader,
    path: &Path,
    roots: &[PathBuf],
) -> Result<String, Unread> {
    let real = resolve_inside(loader, path, roots).map_err(Unread::Outside)?;
    loader.read_real(path, &real).map_err(Unread::Failed)
}

pub(crate) fn outside_root(span: Span, path: &Path, roots: &[PathBuf]) -> Diagnostic {
    let root = roots
        .first()
        .map(|r| r.display().to_string())
        .unwrap_or_default();
    let is_vendored = |root: &PathBuf| find_copy(&root.join("x.imgspec"), |_| true).is_some();
    if roots.first().is_some_and(is_vendored) {
        let message = format!(
            "{} is outside the folder of this vendored file",
            path.display()
        );
        return Diagnostic::new(Code::OutsideRoot, span, message)
            .label("a file from elsewhere reads only its own folder")
            .help("include the other file by its address, or copy both into the project");
    }
    Diagnostic::new(Code::OutsideRoot, span, format!("{} is outside the project", path.display()))
        .label(format!("the project's root is {root}"))
        .help("allow its folder with `--include-root FOLDER` or `include-roots` in imgspec.toml, or put imgspec.toml into a folder that contains both")
}
