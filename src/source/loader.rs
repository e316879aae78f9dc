//! How the compiler reads: through a trait, so that an editor or a test can stand in for the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// How large a file may be that is read into memory, in bytes. The largest that Image Builder has are some hundred KiB.
pub const MAX_FILE: u64 = 16 << 20;

/// All that the compiler knows of a file system.
pub trait Loader {
    /// The text of a file.
    ///
    /// # Errors
    /// What the system says, or [`Loader::look`]; `InvalidData` where the file is not UTF-8, `FileTooLarge` above
    /// [`MAX_FILE`].
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether a file that can be read is there, links followed.
    ///
    /// # Errors
    /// `NotFound` only where nothing is there; else why what is there is not read: it is a folder, a pipe, a device, a
    /// link that leads to nothing.
    fn look(&self, path: &Path) -> io::Result<()>;

    /// Whether a file is there, and not something else.
    fn is_file(&self, path: &Path) -> bool {
        self.look(path).is_ok()
    }

    /// Whether anything is there, a link that leads to nothing too.
    fn exists(&self, path: &Path) -> bool;

    /// Whether a folder is there.
    fn is_dir(&self, path: &Path) -> bool;

    /// The names of what is in a folder, in order; none where it cannot be read.
    fn entries(&self, folder: &Path) -> Vec<String>;

    /// The path with symbolic links resolved, for deciding whether it lies inside a folder.
    fn canonical(&self, path: &Path) -> PathBuf;
}

/// The real file system.
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

/// What stands at a path, links followed, if it is a regular file.
fn look(path: &Path) -> io::Result<fs::Metadata> {
    match path.metadata() {
        Ok(found) => expect_regular(&found).map(|()| found),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_ok() =>
        {
            Err(io::Error::other("the link leads to nothing"))
        }
        Err(error) => Err(error),
    }
}

fn expect_regular(found: &fs::Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let (kind, what) = match found.is_dir() {
        true => (io::ErrorKind::IsADirectory, "it is a folder"),
        false => (
            io::ErrorKind::InvalidInput,
            "it is a pipe, a socket or a device, not a regular file",
        ),
    };
    Err(io::Error::new(kind, what))
}

/// Opens a regular file. What else stands there is refused at once: to open a pipe would wait for a writer.
///
/// # Errors
/// What the system says, and where it is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    look(path)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        // It may have become a pipe since.
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path)?;
    expect_regular(&file.metadata()?)?;
    Ok(file)
}

/// The bytes of a regular file of at most [`MAX_FILE`] bytes.
///
/// # Errors
/// What the system says, and where it is no regular file, or a larger one.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= MAX_FILE {
        // What grows while it is read, or lies about its size, ends here too.
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    }
    match length.max(bytes.len() as u64) > MAX_FILE {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

fn too_large() -> io::Error {
    let message = format!("the file is larger than {} MiB", MAX_FILE >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// The text of a regular file, as [`read_bytes`] reads it.
///
/// # Errors
/// The same, and `InvalidData` where it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    to_text(read_bytes(path)?)
}

/// The text of an input that is no file, up to the size of one.
///
/// # Errors
/// The same as of [`read_text`].
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

/// A disk that holds these files and nothing else.
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
