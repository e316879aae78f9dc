//! Output on disk: each file replaced whole or not at all.

use crate::emit::{Artifacts, Output};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes the files of an image below the output folder; files that are right already stay.
///
/// # Errors
/// What the system says; files that are already there stay whole.
pub fn write(artifacts: &Artifacts, output: &Output) -> io::Result<PathBuf> {
    let dir = output.dir.join(&artifacts.image);
    fs::create_dir_all(&dir)?;
    let mode = if artifacts.is_secret { 0o600 } else { 0o644 };
    for (name, content) in artifacts.files() {
        replace(&dir.join(name), content.as_bytes(), mode)?;
    }
    Ok(dir)
}

/// The files of an image that are missing or differ from what a compile would write.
pub fn stale(artifacts: &Artifacts, output: &Output) -> Vec<PathBuf> {
    let dir = output.dir.join(&artifacts.image);
    artifacts
        .files()
        .into_iter()
        .filter(|(name, content)| fs::read(dir.join(name)).ok().as_deref() != Some(content.as_bytes()))
        .map(|(name, _)| dir.join(name))
        .collect()
}

/// Writes beside the file and renames: readers see the old content or the new, never a part.
fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) && has_mode(path, mode) {
        return Ok(());
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(content)?;
    set_mode(file.as_file(), mode)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(unix)]
fn set_mode(file: &fs::File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(unix)]
fn has_mode(path: &Path, mode: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o777 == mode)
}

#[cfg(not(unix))]
fn set_mode(_: &fs::File, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn has_mode(_: &Path, _: u32) -> bool {
    true
}
