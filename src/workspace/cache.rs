//! The folder for what commands share, and folders that git leaves out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that keeps a folder out of version control.
pub(crate) const IGNORE: &str = ".gitignore";
pub(crate) const IGNORE_ALL: &str = "# imgspec makes what is in this folder.\n*\n";

/// The file that marks a folder as a cache (<https://bford.info/cachedir/>). One with it is ours to remove.
pub(crate) const TAG: &str = "CACHEDIR.TAG";
const TAG_TEXT: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# imgspec keeps here what builds share.\n";

/// The folders in the cache.
pub(crate) const CACHES: [&str; 3] = ["assets", "packer", "rootfs"];

/// The folder for what builds share: `IMGSPEC_CACHE`, or `imgspec` in the user's cache.
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

/// Makes the cache with its folders, where they are missing.
///
/// # Errors
/// What the system says.
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

/// Makes a folder for output that git leaves out. One that is there stays as it is: its owner knows what is committed.
///
/// # Errors
/// What the system says.
pub fn make_ignored(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join(IGNORE), IGNORE_ALL)
}
