//! The embedded templates, playbooks and roles, unpacked to disk for Packer and Ansible.

use crate::source::{embedded, hex, read_bytes};
use crate::workspace::Stage;
use include_dir::{Dir, DirEntry};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// The name of the folder for unpacked files in the cache.
const ASSETS: &str = "assets";

/// Returns the folder that contains the files unpacked by this and other versions of the program.
pub fn assets(cache: &Path) -> PathBuf {
    cache.join(ASSETS)
}

/// Unpacks `config`, `ansible` and `stdlib` to a folder of the cache, and returns it. Its name is the digest of their
/// content. Files that are missing or differ are written again: nothing waits until the disk has them, and people remove
/// old files from caches.
///
/// # Errors
/// If a folder or file cannot be written.
pub fn unpack(cache: &Path) -> io::Result<PathBuf> {
    crate::workspace::make_cache(cache)?;
    let digest = digest();
    let folder = assets(cache).join(&digest);
    let mut files = Vec::new();
    for (name, dir) in [
        ("config", &embedded::CONFIG),
        ("ansible", &embedded::ANSIBLE),
        ("stdlib", &embedded::STDLIB),
    ] {
        list(dir, Path::new(name), &mut files);
    }
    let is_whole = |(path, content): &(PathBuf, &[u8])| {
        read_bytes(&folder.join(path)).is_ok_and(|found| found == *content)
    };
    if files.iter().all(is_whole) && !Stage::is_begun(&assets(cache)) {
        return Ok(folder);
    }
    let stage = Stage::of_output(&assets(cache), true).map_err(io::Error::other)?;
    for (path, content) in files {
        let path = Path::new(&digest).join(path);
        stage.add(&path, content, 0o644).map_err(io::Error::other)?;
    }
    stage.commit().map_err(io::Error::other)?;
    Ok(folder)
}

fn list<'d>(dir: &'d Dir<'d>, root: &Path, out: &mut Vec<(PathBuf, &'d [u8])>) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => list(dir, root, out),
            DirEntry::File(file) => out.push((root.join(file.path()), file.contents())),
        }
    }
}

/// Returns a digest of the embedded files, 16 hexadecimal digits.
fn digest() -> String {
    let mut hash = Sha256::new();
    for dir in [&embedded::CONFIG, &embedded::ANSIBLE, &embedded::STDLIB] {
        add(dir, &mut hash);
    }
    let mut digest = hex(&hash.finalize());
    digest.truncate(16);
    digest
}

/// The embedded templates, playbooks and roles with the SHA-256 of each: a line `SHA256  NAME` for each, in the order of the names,
/// which begin with `ansible/` and `config/`.
pub(crate) const ASSET_SUMS: &str = include_str!(concat!(env!("OUT_DIR"), "/asset-sums"));

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_the_embedded_files() {
        let mut files = Vec::new();
        list(&embedded::CONFIG, Path::new("config"), &mut files);
        list(&embedded::ANSIBLE, Path::new("ansible"), &mut files);
        let line = |(path, content): (PathBuf, &[u8])| {
            let name = path.to_string_lossy().into_owned();
            (name, hex(&Sha256::digest(content)))
        };
        let mut sums: Vec<_> = files.into_iter().map(line).collect();
        sums.sort();
        let lines = sums.iter().map(|(name, sum)| format!("{sum}  {name}\n"));
        assert_eq!(lines.collect::<String>(), ASSET_SUMS);
    }
}
