//! File access through the [`Loader`] trait, so that an editor or a test can replace the disk.

use crate::source::MAX_FILE;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// The file operations that the compiler needs, from several threads.
pub trait Loader: Sync {
    /// Returns the text of a file.
    ///
    /// # Errors
    /// The error of the system or of [`Loader::look`]; `InvalidData` if the file is not UTF-8; `FileTooLarge` if it
    /// is larger than [`MAX_FILE`].
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Checks that the path is a regular file. Follows links.
    ///
    /// # Errors
    /// `NotFound` only if the path does not exist. Otherwise the error names the reason: the path is a folder, a
    /// pipe, a device or a broken link, or the system refuses access.
    fn look(&self, path: &Path) -> io::Result<()>;

    /// Returns whether the path is a regular file.
    fn is_file(&self, path: &Path) -> bool {
        self.look(path).is_ok()
    }

    /// Returns whether the path exists. A broken link exists.
    fn exists(&self, path: &Path) -> bool;

    /// Returns whether the path is a folder.
    fn is_dir(&self, path: &Path) -> bool;

    /// Returns the sorted names of a folder's entries. Returns an empty list if the folder cannot be read.
    fn entries(&self, folder: &Path) -> Vec<String>;

    /// Returns the path with symbolic links resolved, to decide whether it is inside a folder.
    fn canonical(&self, path: &Path) -> PathBuf;
}

/// The file system of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct Disk;

impl Loader for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        read_text(path)
    }

    fn look(&self, path: &Path) -> io::Result<()> {
        look(path).map(drop)
    }

    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| normalize(path))
    }
}

/// Returns the metadata of a regular file. Follows links.
fn look(path: &Path) -> io::Result<fs::Metadata> {
    match path.metadata() {
        Ok(found) => expect_regular(&found).map(|()| found),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_ok() =>
        {
            Err(io::Error::other("it is a broken link"))
        }
        Err(error) => Err(error),
    }
}

fn expect_regular(found: &fs::Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let (kind, what) = if found.is_dir() {
        (io::ErrorKind::IsADirectory, "it is a folder")
    } else {
        (
            io::ErrorKind::InvalidInput,
            "it is a pipe, a socket or a device, not a regular file",
        )
    };
    Err(io::Error::new(kind, what))
}

/// Opens a regular file. Refuses any other kind of file immediately: opening a pipe would wait for a writer.
///
/// # Errors
/// The error of the system; `IsADirectory` or `InvalidInput` if the path is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    look(path)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        // A pipe may have replaced the file since `look`.
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path)?;
    expect_regular(&file.metadata()?)?;
    Ok(file)
}

/// Returns the bytes of a regular file of at most [`MAX_FILE`] bytes.
///
/// # Errors
/// The errors of [`open_regular`]; `FileTooLarge` if the file is larger.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= MAX_FILE {
        // The limit also applies to a file that grows during the read or reports a wrong size.
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    }
    if length.max(bytes.len() as u64) > MAX_FILE {
        Err(too_large())
    } else {
        Ok(bytes)
    }
}

fn too_large() -> io::Error {
    let message = format!("the file is larger than {} MiB", MAX_FILE >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// Returns the text of a regular file.
///
/// # Errors
/// The errors of [`read_bytes`]; `InvalidData` if the file is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    to_text(read_bytes(path)?)
}

/// Returns the text of an input that is not a file, of at most [`MAX_FILE`] bytes.
///
/// # Errors
/// The error of the input; `FileTooLarge` if the input is larger; `InvalidData` if it is not UTF-8.
pub fn read_input(input: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    input.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(too_large());
    }
    to_text(bytes)
}

fn to_text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the file is not UTF-8 (byte {at})"),
        )
    })
}

/// A file system in memory that contains only these files.
#[derive(Debug, Default, Clone)]
pub struct Memory(pub BTreeMap<PathBuf, String>);

impl Loader for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn look(&self, path: &Path) -> io::Result<()> {
        self.0
            .get(path)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.starts_with(path))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0
            .keys()
            .any(|file| file != path && file.starts_with(path))
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        let below = self
            .0
            .keys()
            .filter_map(|file| file.strip_prefix(folder).ok());
        let names = below
            .filter_map(|path| Some(path.components().next()?.as_os_str().to_str()?.to_owned()));
        names.collect::<BTreeSet<String>>().into_iter().collect()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        normalize(path)
    }
}

/// Returns the path without `.` and `..`, without access to the disk.
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
    fn normalize_removes_dots() {
        assert_eq!(normalize(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(normalize(Path::new("/../a")), Path::new("/a"));
    }
}
