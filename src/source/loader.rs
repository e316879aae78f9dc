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

    /// Returns the text of a file that `real` names without links: what [`Loader::canonical`] returned for `path`. A link
    /// that has replaced a part of `real` since then is an error, so that nobody can redirect the read after a check.
    ///
    /// # Errors
    /// Those of [`Loader::read`], and one for the link.
    fn read_real(&self, path: &Path, real: &Path) -> io::Result<String>;

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

    /// Returns whether something is at the path that is not a link, as far as that is known.
    fn is_no_link(&self, _: &Path) -> bool {
        false
    }

    /// Returns the path with symbolic links resolved, to decide whether it is inside a folder. If the path does not exist,
    /// resolves the folders above it that do.
    fn canonical(&self, path: &Path) -> PathBuf;
}

/// The file system of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct Disk;

impl Loader for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        read_text(path)
    }

    fn read_real(&self, path: &Path, real: &Path) -> io::Result<String> {
        read_text_real(real).or_else(|error| {
            // Names the reason if the path is not a regular file.
            look(path)?;
            Err(error)
        })
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

    /// Where a file system ignores the case of letters, only the system knows how a name is written.
    #[cfg(target_os = "linux")]
    fn is_no_link(&self, path: &Path) -> bool {
        path.symlink_metadata()
            .is_ok_and(|found| !found.is_symlink())
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        if let Some(real) = without_links(path) {
            return real;
        }
        path.canonicalize().unwrap_or_else(|_| {
            let path = normalize(path);
            let resolve = |folder: &Path| {
                let rest = path.strip_prefix(folder).ok()?;
                Some(folder.canonicalize().ok()?.join(rest))
            };
            let real = path.ancestors().skip(1).find_map(resolve);
            real.unwrap_or(path)
        })
    }
}

/// Returns the path, without `.`, if something is there and no part of it is a link. The system is asked once, and not for
/// each part.
#[cfg(target_os = "linux")]
fn without_links(path: &Path) -> Option<PathBuf> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    let is_plain = is_absolute(path) && path.components().all(|part| part != Component::ParentDir);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let open = || openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
    (is_plain && open().is_ok()).then(|| path.components().collect())
}

#[cfg(not(target_os = "linux"))]
fn without_links(_: &Path) -> Option<PathBuf> {
    None
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
    let file = options().open(path)?;
    expect_regular(&file.metadata()?)?;
    Ok(file)
}

/// Options to read a file. A pipe that has replaced the file does not wait for a writer.
fn options() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    options
}

/// Opens a file without following a link in any part of its path.
///
/// # Errors
/// The error of the system; `InvalidInput` if a part of the path is a link.
fn open_real(real: &Path) -> io::Result<File> {
    match open_without_links(real) {
        Some(opened) => opened,
        None => open_and_compare(real),
    }
}

/// Lets the kernel refuse links. Returns `None` if the system cannot.
#[cfg(target_os = "linux")]
fn open_without_links(real: &Path) -> Option<io::Result<File>> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat2(CWD, real, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(file) => Some(Ok(file.into())),
        Err(Errno::LOOP) => Some(Err(replaced())),
        // Linux before 5.6, or a container that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// No other system has such a call.
#[cfg(not(target_os = "linux"))]
fn open_without_links(_: &Path) -> Option<io::Result<File>> {
    None
}

/// Opens a file, and then compares its path with what it resolves to.
fn open_and_compare(real: &Path) -> io::Result<File> {
    let file = options().open(real)?;
    let is_same = real.canonicalize()? == real && is_at(&file, real)?;
    if is_same { Ok(file) } else { Err(replaced()) }
}

#[cfg(unix)]
fn is_at(file: &File, real: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, there) = (file.metadata()?, real.symlink_metadata()?);
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

fn replaced() -> io::Error {
    let message = "a part of its path became a link while it was read";
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Returns the bytes of a regular file of at most [`MAX_FILE`] bytes.
///
/// # Errors
/// The errors of [`open_regular`]; `FileTooLarge` if the file is larger.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    look(path)?;
    take_bytes(options().open(path)?)
}

/// Returns whether a regular file has this content and, on Unix, these permissions. Reads it only if its length is right.
///
/// # Errors
/// Those of [`read_bytes`].
pub fn has_content(path: &Path, content: &[u8], mode: u32) -> io::Result<bool> {
    let found = look(path)?;
    if found.len() != content.len() as u64 || !has_mode(&found, mode) {
        return Ok(false);
    }
    Ok(take_bytes(options().open(path)?)? == content)
}

/// Returns whether a regular file still has the text that was read from it.
pub fn has_text(path: &Path, text: &str) -> bool {
    let compare = || -> io::Result<bool> {
        let file = options().open(path)?;
        // With room for one byte more, a read notices that the file has grown.
        let mut bytes = vec![0; text.len() + 1];
        match read_up_to(&file, &mut bytes)? {
            // Some file systems return less than all.
            count if count < text.len() => Ok(read_bytes(path)? == text.as_bytes()),
            count => Ok(bytes.get(..count) == Some(text.as_bytes())),
        }
    };
    compare().unwrap_or(false)
}

/// True if a file has these permissions. Other systems than Unix have none.
#[cfg(unix)]
pub(crate) fn has_mode(found: &fs::Metadata, mode: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o777 == mode
}

#[cfg(not(unix))]
pub(crate) fn has_mode(_: &fs::Metadata, _: u32) -> bool {
    true
}

/// Returns the bytes of an open file, which must be a regular one of at most [`MAX_FILE`] bytes.
fn take_bytes(file: File) -> io::Result<Vec<u8>> {
    let found = file.metadata()?;
    expect_regular(&found)?;
    let length = found.len();
    let mut bytes = Vec::new();
    if length <= MAX_FILE {
        // With room for one byte more, a read that fills less than all has met the end.
        bytes = vec![0; length as usize + 1];
        let count = read_up_to(&file, &mut bytes)?;
        let is_whole = count as u64 == length && length > 0;
        bytes.truncate(count);
        if !is_whole {
            // The limit also applies to a file that grows during the read or reports a wrong size.
            let rest = (MAX_FILE + 1).saturating_sub(count as u64);
            file.take(rest).read_to_end(&mut bytes)?;
        }
    }
    if length.max(bytes.len() as u64) > MAX_FILE {
        Err(too_large())
    } else {
        Ok(bytes)
    }
}

/// Reads once, also if a signal interrupts it.
fn read_up_to(mut file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn too_large() -> io::Error {
    let message = format!("the file is larger than {} MiB", MAX_FILE >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// Returns the text of a regular file at a path that contains no link.
///
/// # Errors
/// The errors of [`read_text`]; `InvalidInput` if a part of the path is a link.
pub fn read_text_real(real: &Path) -> io::Result<String> {
    to_text(take_bytes(open_real(real)?)?)
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

    fn read_real(&self, path: &Path, _: &Path) -> io::Result<String> {
        self.read(path)
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

/// Returns whether a path is absolute. For WebAssembly, where [`Path::is_absolute`] knows no such path, it is one that begins
/// with `/`.
pub fn is_absolute(path: &Path) -> bool {
    path.is_absolute() || cfg!(target_family = "wasm") && path.has_root()
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

    /// What [`open_real`] opens with each way that a system may have.
    #[cfg(unix)]
    #[test]
    fn a_link_that_replaces_a_part_of_a_path_is_not_followed() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        fs::create_dir_all(place.join("project/folder")).unwrap();
        fs::create_dir_all(place.join("outside")).unwrap();
        for file in ["project/folder/x", "outside/x"] {
            fs::write(place.join(file), file).unwrap();
        }
        let path = place.join("project/folder/x");
        let real = Disk.canonical(&path);
        assert_eq!(Disk.read_real(&path, &real).unwrap(), "project/folder/x");
        assert!(open_and_compare(&real).is_ok());
        for replaced in ["project/folder/x", "project/folder", "project"] {
            let (old, kept) = (place.join(replaced), place.join("kept"));
            fs::rename(&old, &kept).unwrap();
            let target = match replaced {
                "project/folder/x" => "outside/x",
                "project/folder" => "outside",
                _ => "kept",
            };
            symlink(place.join(target), &old).unwrap();
            for opened in [open_real(&real), open_and_compare(&real)] {
                let error = opened.expect_err(replaced);
                assert!(error.to_string().contains("became a link"), "{error}");
            }
            fs::remove_file(&old).unwrap();
            fs::rename(&kept, &old).unwrap();
        }
    }

    /// A path below a link leads out of a project, whether its end exists or not.
    #[cfg(unix)]
    #[test]
    fn a_path_that_does_not_exist_is_resolved_as_far_as_it_does() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("/usr", place.join("link")).unwrap();
        for (path, real) in [
            ("link/no/such", "/usr/no/such".into()),
            ("link/../no-such", place.join("no-such")),
            ("no/../link/no-such", "/usr/no-such".into()),
            ("no-such", place.join("no-such")),
        ] {
            assert_eq!(Disk.canonical(&place.join(path)), real, "{path}");
        }
    }
}
