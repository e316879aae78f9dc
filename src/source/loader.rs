//! How the compiler reads: through a trait, so that an editor or a test can stand in for the disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// All that the compiler knows of a file system.
pub trait Loader {
    /// The text of a file.
    ///
    /// # Errors
    /// What the system says; `InvalidData` where the file is not UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether a file (not a folder) is there.
    fn is_file(&self, path: &Path) -> bool;

    /// Whether anything is there.
    fn exists(&self, path: &Path) -> bool;

    /// The path with symbolic links resolved, for deciding whether it lies inside a folder.
    fn canonical(&self, path: &Path) -> PathBuf;
}

/// The real file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct Disk;

impl Loader for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        let bytes = std::fs::read(path)?;
        String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            io::Error::new(io::ErrorKind::InvalidData, format!("the file is not UTF-8 (byte {at})"))
        })
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| normalize(path))
    }
}

/// A disk that holds these files and nothing else.
#[derive(Debug, Default, Clone)]
pub struct Memory(pub BTreeMap<PathBuf, String>);

impl Loader for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.starts_with(path))
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        normalize(path)
    }
}

/// The path without `.` and `..`, decided from its text alone.
pub fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() && !out.has_root() {
                    out.push("..");
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizes_without_looking() {
        assert_eq!(normalize(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(normalize(Path::new("/../a")), Path::new("/a"));
    }
}
