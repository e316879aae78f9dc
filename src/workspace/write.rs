//! Writing files: each is replaced as a whole, or stays unchanged.

use crate::emit::{Artifacts, Output};
use crate::source::read_bytes;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes the files of images to the output folder, and returns the images' folders. Files that are up to date stay
/// untouched. No file is replaced before all new ones are on the disk. Git ignores an output folder that is made here,
/// unless the output is portable.
///
/// # Errors
/// If a folder or file cannot be written. Existing files are then complete: old or new.
pub fn write(images: &[Artifacts], output: &Output) -> io::Result<Vec<PathBuf>> {
    make_output(output)?;
    let real = output.dir.canonicalize()?;
    let mut dirs = Vec::with_capacity(images.len());
    let mut staged = Vec::new();
    for artifacts in images {
        let dir = output.dir.join(&artifacts.image);
        fs::create_dir_all(&dir)?;
        if dir.canonicalize()?.parent() != Some(&real) {
            let message = format!("{} is a link: remove it", dir.display());
            return Err(io::Error::other(message));
        }
        let mode = if artifacts.is_secret() { 0o600 } else { 0o644 };
        for (name, content) in artifacts.files() {
            let path = dir.join(name);
            if let Some(file) = stage(&path, content.as_bytes(), mode)? {
                staged.push((file, path));
            }
        }
        dirs.push(dir);
    }
    for (file, path) in staged {
        file.persist(path).map_err(|e| e.error)?;
    }
    Ok(dirs)
}

/// Makes the output folder if it is missing. Git ignores it unless the output is portable.
///
/// # Errors
/// If it cannot be made.
pub fn make_output(output: &Output) -> io::Result<()> {
    if output.portable {
        fs::create_dir_all(&output.dir)
    } else {
        // Portable output may be committed; other output contains paths of this machine.
        crate::workspace::make_ignored(&output.dir)
    }
}

/// Writes a file as a whole, and makes its folder if it is missing.
///
/// # Errors
/// If the folder or the file cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with_mode(path, content, 0o644)
}

/// Writes a file as a whole that only its owner can read, and makes its folder if it is missing.
///
/// # Errors
/// If the folder or the file cannot be written.
#[cfg(unix)]
pub(crate) fn replace_private(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with_mode(path, content, 0o600)
}

fn replace_with_mode(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    match stage(path, content, mode)? {
        Some(file) => file.persist(path).map_err(|e| e.error),
        None => Ok(()),
    }
}

/// Writes new files below a folder, and makes the folders that are missing: either all of them or none. Never replaces a
/// file.
///
/// # Errors
/// The path that cannot be written, and the reason; `AlreadyExists` if it is there. Then nothing has changed.
pub fn create(folder: &Path, files: &[(PathBuf, String)]) -> Result<(), (PathBuf, io::Error)> {
    let (mut folders, mut done) = (Vec::new(), Vec::new());
    let result = create_all(folder, files, &mut folders, &mut done);
    if result.is_err() {
        for path in &done {
            let _ = fs::remove_file(path);
        }
        for folder in folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
    result
}

/// Does the work of [`create`], and notes which folders and files it has made.
fn create_all(
    folder: &Path,
    files: &[(PathBuf, String)],
    folders: &mut Vec<PathBuf>,
    done: &mut Vec<PathBuf>,
) -> Result<(), (PathBuf, io::Error)> {
    let mut staged = Vec::new();
    for (name, content) in files {
        let path = folder.join(name);
        let parents: Vec<&Path> = path.ancestors().skip(1).collect();
        for parent in parents.into_iter().rev().filter(|p| !p.is_dir()) {
            fs::create_dir(parent).map_err(|e| (path.clone(), e))?;
            folders.push(parent.to_owned());
        }
        match stage(&path, content.as_bytes(), 0o644) {
            Ok(Some(file)) => staged.push((file, path)),
            Ok(None) => return Err((path, io::ErrorKind::AlreadyExists.into())),
            Err(error) => return Err((path, error)),
        }
    }
    for (file, path) in staged {
        let persisted = file.persist_noclobber(&path);
        persisted.map_err(|e| (path.clone(), e.error))?;
        done.push(path);
    }
    Ok(())
}

/// Replaces the content of a user's file as a whole. Follows a link, and keeps the file's mode.
///
/// # Errors
/// If the file does not exist or cannot be written.
pub fn rewrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let mode = mode_of(&path)?;
    match stage(&path, content, mode)? {
        Some(file) => file.persist(path).map_err(|e| e.error),
        None => Ok(()),
    }
}

/// Returns the files of an image that a compile would write or change.
pub fn stale(artifacts: &Artifacts, output: &Output) -> Vec<PathBuf> {
    let dir = output.dir.join(&artifacts.image);
    artifacts
        .files()
        .into_iter()
        .filter(|(name, content)| {
            read_bytes(&dir.join(name)).ok().as_deref() != Some(content.as_bytes())
        })
        .map(|(name, _)| dir.join(name))
        .collect()
}

/// Writes a temporary file beside `path`, so that readers see the old content or the new, never a part. Returns `None` if
/// the file is up to date.
fn stage(path: &Path, content: &[u8], mode: u32) -> io::Result<Option<tempfile::TempPath>> {
    if read_bytes(path).is_ok_and(|old| old == content)
        && mode_of(path).is_ok_and(|old| old == mode)
    {
        return Ok(None);
    }
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    set_mode(file.as_file(), mode)?;
    Ok(Some(file.into_temp_path()))
}

#[cfg(unix)]
fn set_mode(file: &fs::File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(unix)]
fn mode_of(path: &Path) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn set_mode(_: &fs::File, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn mode_of(_: &Path) -> io::Result<u32> {
    Ok(0)
}
