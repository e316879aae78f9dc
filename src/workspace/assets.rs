//! The embedded templates, playbooks and roles, unpacked to disk for Packer and Ansible.

use crate::source::{embedded, hex};
use include_dir::{Dir, DirEntry};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the folder for unpacked files in the cache.
const ASSETS: &str = "assets";

/// Returns the folder that contains the files unpacked by this and other versions of the program.
pub fn assets(cache: &Path) -> PathBuf {
    cache.join(ASSETS)
}

/// Unpacks `config`, `ansible` and `stdlib` to a folder of the cache, and returns it. Its name is the digest of their
/// content, so that an existing folder is up to date.
///
/// # Errors
/// If a folder or file cannot be written.
pub fn unpack(cache: &Path) -> io::Result<PathBuf> {
    let folder = cache.join(ASSETS).join(digest());
    if folder.is_dir() {
        return Ok(folder);
    }
    crate::workspace::make_cache(cache)?;
    let new = tempfile::tempdir_in(cache.join(ASSETS))?;
    for (name, dir) in [
        ("config", &embedded::CONFIG),
        ("ansible", &embedded::ANSIBLE),
        ("stdlib", &embedded::STDLIB),
    ] {
        let root = new.path().join(name);
        fs::create_dir(&root)?;
        dir.extract(&root)?;
    }
    match fs::rename(new.path(), &folder) {
        // Another process unpacked them first.
        Err(_) if folder.is_dir() => Ok(folder),
        result => result.map(|()| folder),
    }
}

/// Returns a digest of the embedded files, 16 hexadecimal digits.
pub(crate) fn digest() -> String {
    let mut hash = Sha256::new();
    for dir in [&embedded::CONFIG, &embedded::ANSIBLE, &embedded::STDLIB] {
        add(dir, &mut hash);
    }
    let mut digest = hex(&hash.finalize());
    digest.truncate(16);
    digest
}

fn add(dir: &Dir<'_>, hash: &mut Sha256) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => add(dir, hash),
            DirEntry::File(file) => {
                hash.update(file.path().as_os_str().as_encoded_bytes());
                hash.update([0]);
                hash.update((file.contents().len() as u64).to_le_bytes());
                hash.update(file.contents());
            }
        }
    }
}
