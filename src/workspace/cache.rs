//! The cache folder, and folders that git ignores.

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
        if !folder.exists() {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(TAG), TAG_TEXT)?;
        }
    }
    Ok(())
}

/// Makes an output folder that git ignores. An existing folder stays unchanged: its owner may have committed files.
///
/// # Errors
/// If the folder or its `.gitignore` cannot be written.
pub fn make_ignored(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join(IGNORE), IGNORE_ALL)
}
