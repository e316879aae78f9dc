//! Where builds keep things.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder for what builds share: `IMGSPEC_CACHE`, or `imgspec` in the user's cache.
pub fn cache() -> PathBuf {
    match std::env::var_os("IMGSPEC_CACHE") {
        Some(folder) if !folder.is_empty() => std::path::absolute(&folder).unwrap_or_else(|_| folder.into()),
        _ => dirs::cache_dir().unwrap_or_else(std::env::temp_dir).join("imgspec"),
    }
}

/// The folders below an output folder that hold images.
///
/// # Errors
/// What the system says; a folder that is not there holds none.
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

/// Removes an image's folder: compiled files, log, artifacts. Only a folder that a compile has written
/// is removed.
///
/// # Errors
/// What the system says.
pub fn clean_image(folder: &Path) -> io::Result<()> {
    match is_image_folder(folder) {
        true => fs::remove_dir_all(folder),
        false => Err(io::Error::other("no compile has written this folder")),
    }
}

fn is_image_folder(folder: &Path) -> bool {
    folder.join("manifest.json").is_file() && folder.join("packer.vars.json").is_file()
}
