//! Removing the files that compiles and builds have written.

use crate::build::artifacts;
use crate::build::artifacts::Record;
use crate::emit::Provenance;
use crate::workspace::{CACHES, IGNORE, IGNORE_ALL, LOCK, Lock, Stage, TAG};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The files that compiles and builds write to an image's folder, in addition to `output` and `work`.
const FILES: [&str; 8] = [
    "packer.vars.json",
    "ansible.vars.json",
    "manifest.json",
    Provenance::FILE,
    "packer.log",
    "build.json",
    Provenance::STATEMENT,
    LOCK,
];

/// Returns the images' folders in an output folder. A missing folder contains none.
///
/// # Errors
/// If the output folder cannot be read.
pub fn image_folders(out: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    let entries = match fs::read_dir(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folders),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if is_image_folder(&path) {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The result of removing a folder.
#[derive(Debug, PartialEq, Eq)]
pub enum Cleaned {
    /// The folder is removed.
    Removed,
    /// The files that imgspec wrote are removed. These others stay.
    Kept(Vec<PathBuf>),
    /// A build is running there, so nothing is removed.
    Running,
}

/// Removes from an image's folder the files that compiles and builds wrote: compiled files, log, artifacts.
///
/// # Errors
/// If the folder is not an image's, or a file cannot be removed.
pub fn clean_image(folder: &Path) -> io::Result<Cleaned> {
    if !is_image_folder(folder) {
        return Err(io::Error::other("the folder contains no compiled image"));
    }
    if folder.is_symlink() {
        // Whoever made it may not decide which files of another place are removed.
        return Err(io::Error::other("the folder is a link: remove it"));
    }
    let Some(_lock) = Lock::of_image(folder)? else {
        return Ok(Cleaned::Running);
    };
    artifacts::recover(folder)?;
    let mut kept = clean_output(folder)?;
    remove_folder(&folder.join("work"))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = FILES.iter().any(|file| name == *file) || Stage::is_own(&name);
        if is_ours && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        } else if is_ours {
            remove_folder(&entry.path())?;
        } else if name != "output" {
            kept.push(entry.path());
        }
    }
    kept.sort();
    if kept.is_empty() {
        fs::remove_dir(folder)?;
        Ok(Cleaned::Removed)
    } else {
        Ok(Cleaned::Kept(kept))
    }
}

/// Removes an output folder that imgspec made, if it is empty. Returns whether it was removed.
///
/// # Errors
/// If it cannot be read or removed.
pub fn clean_out(out: &Path) -> io::Result<bool> {
    let is_ours = fs::read_to_string(out.join(IGNORE)).is_ok_and(|text| text == IGNORE_ALL);
    if !is_ours {
        return Ok(false);
    }
    // No other process may write to it meanwhile.
    let _stage = Stage::of(out).map_err(io::Error::other)?;
    let is_own = |name: &OsStr| name == IGNORE || Stage::is_own(name);
    let names: Vec<_> = fs::read_dir(out)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<_>>()?;
    if !names.iter().all(|name| is_own(name)) {
        return Ok(false);
    }
    for name in names {
        fs::remove_file(out.join(name))?;
    }
    fs::remove_dir(out).map(|()| true)
}

/// Removes the folders of the cache that carry its tag. `IMGSPEC_CACHE` may name any folder, so folders without the tag
/// stay.
///
/// # Errors
/// If a folder cannot be removed or the cache cannot be locked.
pub fn clean_cache(cache: &Path) -> io::Result<(Vec<PathBuf>, Cleaned)> {
    if !cache.is_dir() {
        return Ok((Vec::new(), Cleaned::Removed));
    }
    let Some(_lock) = Lock::to_clean(cache)? else {
        return Ok((Vec::new(), Cleaned::Running));
    };
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    for folder in CACHES
        .map(|name| cache.join(name))
        .into_iter()
        .filter(|folder| folder.exists())
    {
        if folder.join(TAG).is_file() {
            fs::remove_dir_all(&folder)?;
            removed.push(folder);
        } else {
            kept.push(folder);
        }
    }
    Ok((
        removed,
        if kept.is_empty() {
            Cleaned::Removed
        } else {
            Cleaned::Kept(kept)
        },
    ))
}

/// Removes the files of the last build from `output`, and returns the files that remain.
fn clean_output(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let output = folder.join("output");
    if output.is_symlink() {
        return Ok(vec![output]);
    }
    let record = Record::read(folder);
    let ours: BTreeSet<PathBuf> = record
        .iter()
        .flat_map(Record::paths)
        .map(|path| folder.join(path))
        .collect();
    let mut kept = Vec::new();
    for entry in WalkDir::new(&output).contents_first(true) {
        let entry = match entry {
            Err(error)
                if error
                    .io_error()
                    .is_some_and(|e| e.kind() == io::ErrorKind::NotFound) =>
            {
                continue;
            }
            entry => entry?,
        };
        if entry.file_type().is_dir() {
            // Fails if the folder is not empty, and it then stays.
            let _ = fs::remove_dir(entry.path());
        } else if ours.contains(entry.path()) {
            fs::remove_file(entry.path())?;
        } else {
            kept.push(entry.into_path());
        }
    }
    Ok(kept)
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// True if a folder contains a manifest of imgspec and a var file.
fn is_image_folder(folder: &Path) -> bool {
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap_or_default();
    manifest.get("imgspec").is_some()
        && manifest.get("manifest").is_some()
        && folder.join("packer.vars.json").is_file()
}
