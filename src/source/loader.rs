//! The file system as the compiler sees it: a trait, so that an editor or a test can replace the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// The size limit for files that are read into memory, in bytes. Image Builder's largest files have some hundred KiB.
pub const MAX_FILE: u64 = 16 << 20;

/// Read access to a file system.
pub trait Loader {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// The same as of [`Loader::look`]; `InvalidData` if the file is not UTF-8; `FileTooLarge` above [`MAX_FILE`].
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Checks that a regular file exists. Follows links.
    ///
    /// # Errors
    /// `NotFound` only if nothing exists at the path. Another kind if it is a folder, a pipe, a device or a broken link, or
    /// cannot be accessed.
    fn look(&self, path: &Path) -> io::Result<()>;

    /// True if a regular file exists.
    fn is_file(&self, path: &Path) -> bool {
        self.look(path).is_ok()
    }

    /// True if anything exists at the path, including a broken link.
    fn exists(&self, path: &Path) -> bool;

    /// True if a folder exists.
    fn is_dir(&self, path: &Path) -> bool;

    /// Returns the names in a folder, sorted, or none if it cannot be read.
    fn entries(&self, folder: &Path) -> Vec<String>;

    /// Returns the path with symbolic links resolved, to decide whether it is inside a folder.
    fn canonical(&self, path: &Path) -> PathBuf;
}

/// The file system of this machine.
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
///
/// # Errors
/// See [`Loader::look`].
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

/// Opens a regular file. Refuses anything else before opening it, because opening a pipe would block.
///
/// # Errors
/// If the file does not exist, cannot be opened, or is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    look(path)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        // The file may have been replaced by a pipe since the check.
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path)?;
    expect_regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads the bytes of a regular file.
///
/// # Errors
/// The same as of [`open_regular`], and `FileTooLarge` above [`MAX_FILE`].
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= MAX_FILE {
        // The limit also holds for files that grow while they are read or report a wrong size.
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    }
    if length.max(bytes.len() as u64) > MAX_FILE {
        return Err(too_large());
    }
    Ok(bytes)
}

fn too_large() -> io::Error {
    let message = format!("the file is larger than {} MiB", MAX_FILE >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// Reads the text of a regular file.
///
/// # Errors
/// The same as of [`read_bytes`], and `InvalidData` if the file is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    to_text(read_bytes(path)?)
}

/// Reads the text of another input, such as standard input.
///
/// # Errors
/// If it cannot be read; `FileTooLarge` above [`MAX_FILE`]; `InvalidData` if it is not UTF-8.
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

/// A file system in memory: the texts of files by their paths.
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

/// Removes `.` and `..` from a path without looking at the disk.
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
