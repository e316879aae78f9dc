//! The files of a revision of git, from the objects of the repository: the files on the disk are not touched.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Unpacks a revision of the repository around a folder. Returns that folder as it was, and the temporary folder that it is
/// in, which is removed with the value.
///
/// # Errors
/// If git is missing, knows no such revision, or had no such folder then.
pub fn unpack_revision(here: &Path, name: &str) -> Result<(PathBuf, TempDir), String> {
    let git = |arguments: &[&str]| git(here, arguments);
    if git(&["rev-parse", "--git-dir"])?.is_none() {
        return Err(format!(
            "`{name}` is no path, and there is no repository of git here"
        ));
    }
    let commit = format!("{name}^{{commit}}");
    let revision = git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ])?;
    let revision = revision.ok_or_else(|| format!("`{name}` is no path and no revision of git"))?;
    let top = git(&["rev-parse", "--show-toplevel"])?.unwrap_or_default();
    let prefix = git(&["rev-parse", "--show-prefix"])?.unwrap_or_default();
    let failed = |e: io::Error| format!("cannot unpack `{name}`: {e}");
    let folder = tempfile::Builder::new()
        .prefix("imgspec-diff-")
        .tempdir()
        .map_err(failed)?;
    let mut archive = Command::new("git")
        .args(["archive", &revision])
        .current_dir(top)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(stream) = archive.stdout.take() {
        tar::Archive::new(stream)
            .unpack(folder.path())
            .map_err(failed)?;
    }
    if !archive.wait().map_err(failed)?.success() {
        return Err(format!("git cannot archive `{name}`"));
    }
    let place = folder.path().canonicalize().map_err(failed)?.join(&prefix);
    if !place.is_dir() {
        return Err(format!("`{name}` has no folder {prefix}"));
    }
    Ok((place, folder))
}

/// What git prints; none if it fails.
fn git(here: &Path, arguments: &[&str]) -> Result<Option<String>, String> {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(here)
        .stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|e| format!("cannot run git: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success().then_some(text))
}
