//! The cache folder, and folders that git ignores.

use crate::workspace::stage::{NEW, lock_folder};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that makes git ignore a folder.
pub(crate) const IGNORE: &str = ".gitignore";
pub(crate) const IGNORE_ALL: &str = "# imgspec makes what is in this folder.\n*\n";

/// The file that marks a folder as a cache (<https://bford.info/cachedir/>). `clean --cache` removes only such folders.
pub(crate) const TAG: &str = "CACHEDIR.TAG";
const TAG_TEXT: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# imgspec keeps here what builds share.\n";

/// How often a folder is made that other processes make and remove.
const ATTEMPTS: usize = 16;

/// The folders in the cache that builds use.
pub(crate) const CACHES: [&str; 3] = ["assets", "packer", "rootfs"];

/// Returns the cache folder: `IMGSPEC_CACHE`, or `imgspec` in the user's cache folder.
pub fn cache() -> PathBuf {
    match std::env::var_os("IMGSPEC_CACHE") {
        Some(folder) if !folder.is_empty() => {
            std::path::absolute(&folder).unwrap_or_else(|_| folder.into())
        }
        _ => dirs::cache_dir()
            .unwrap_or_else(std::env::temp_dir)
            .join("imgspec"),
    }
}

/// Makes the cache and the missing folders in it.
///
/// # Errors
/// If a folder or its tag cannot be written.
pub fn make_cache(cache: &Path) -> io::Result<()> {
    make_ignored(cache)?;
    for folder in CACHES.map(|name| cache.join(name)) {
        make_with(&folder, TAG, TAG_TEXT)?;
    }
    Ok(())
}

/// Makes an output folder that git ignores. An existing folder stays unchanged: its owner may have committed files.
/// Returns whether it was missing.
///
/// # Errors
/// If the folder or its `.gitignore` cannot be written.
pub fn make_ignored(folder: &Path) -> io::Result<bool> {
    make_with(folder, IGNORE, IGNORE_ALL)
}

/// Makes a folder with a file in it, unless it exists: both, or after a failure none. The folder has another name until
/// the file is written. That name is always the same, so that the next call finishes what a killed process has begun.
/// Returns whether the folder was missing.
fn make_with(folder: &Path, file: &str, text: &str) -> io::Result<bool> {
    if folder.exists() {
        return Ok(false);
    }
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return fs::create_dir_all(folder).map(|()| true);
    };
    fs::create_dir_all(parent)?;
    let mut new = OsString::from(".");
    new.push(name);
    new.push(NEW);
    let new = parent.join(new);
    for _ in 0..ATTEMPTS {
        match fs::create_dir(&new) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Other systems do not rename a folder in which a file is open.
        let lock = cfg!(unix).then(|| lock_folder(&new));
        if folder.exists() {
            // Another process has made it. Its work is done, and so no file is in the way.
            let _ = fs::remove_dir(&new);
            return Ok(false);
        }
        if let Err(error) = fs::write(new.join(file), text).and_then(|()| fs::rename(&new, folder))
        {
            // Another process has finished while this one waited.
            if error.kind() == io::ErrorKind::NotFound {
                continue;
            }
            let _ = fs::remove_dir_all(&new);
            return Err(error);
        }
        drop(lock);
        return Ok(true);
    }
    Err(io::ErrorKind::ResourceBusy.into())
}
