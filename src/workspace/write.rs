//! Writing files: each is replaced as a whole, or stays unchanged. [`Stage`] has the mechanism.
//!
//! Nothing here waits for the disk (`fsync`), which would take longer than everything else. So the promise holds if the
//! program is killed or fails, but not if the machine loses power.

use crate::emit::{Files, Output};
use crate::source::{has_content, read_bytes, read_text};
use crate::workspace::Eyes;
use crate::workspace::lock::{Lock, name_holder};
use crate::workspace::stage::{CLOSED, OPEN, Stage, again, mode_of};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that cannot be written, and why.
#[derive(Debug)]
pub struct WriteError {
    /// The file or folder.
    pub path: PathBuf,
    /// The reason.
    pub error: io::Error,
    /// Some files are new, and could not be changed back.
    is_partly: bool,
}

impl WriteError {
    /// Nothing has changed: this path cannot be written.
    pub fn new(path: &Path, error: io::Error) -> WriteError {
        WriteError {
            path: path.to_owned(),
            error,
            is_partly: false,
        }
    }

    pub(super) fn partly(self, is_partly: bool) -> WriteError {
        WriteError { is_partly, ..self }
    }

    /// Describes the error in one line, with a way out. `path` is the path as the user wrote it.
    pub fn describe_at(&self, path: &str) -> String {
        use io::ErrorKind::*;
        let help = match self.error.kind() {
            StorageFull => "free some space, and run the command again",
            QuotaExceeded => "free some of your quota, and run the command again",
            ReadOnlyFilesystem => "the file system is read-only: choose another folder",
            PermissionDenied => "change the permissions, or choose another folder",
            NotADirectory => {
                "a file is in the place of a folder: move it away, or choose another folder"
            }
            IsADirectory => {
                "a folder is in the place of the file: move it away, or choose another folder"
            }
            AlreadyExists => "move it away, or choose another folder",
            InvalidFilename => "choose a shorter name",
            NotFound => "somebody has removed it or its folder: run the command again",
            _ => "remove the cause, and run the command again",
        };
        let state = if self.is_partly {
            "some files are new, and the others are as they were"
        } else {
            "nothing has changed"
        };
        format!("cannot write {path}: {}; {help} ({state})", self.error)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.describe_at(&self.path.display().to_string()))
    }
}

impl std::error::Error for WriteError {}

/// Locks the output folder for new files of images, which [`add_image`] and [`Stage::commit`] write.
///
/// # Errors
/// If the folder cannot be made, or an interrupted command's files in it can be neither moved nor removed.
pub fn begin(output: &Output) -> Result<Stage, WriteError> {
    Stage::of_output(&output.dir, output.portable)
}

/// The folder of an image in an output folder, as it was found.
#[derive(Debug)]
pub struct ImageFolder {
    folder: PathBuf,
    /// Whether it is a link; `None` if nothing is there.
    is_link: Option<bool>,
}

impl ImageFolder {
    /// Looks at the folder of an image.
    pub fn of(stage: &Stage, image: &str) -> ImageFolder {
        let folder = stage.folder().join(image);
        let found = folder.symlink_metadata().ok();
        ImageFolder {
            folder,
            is_link: found.map(|found| found.is_symlink()),
        }
    }

    /// Returns an error if a build of the image is running, which reads the image's files.
    ///
    /// # Errors
    /// If it is, or the lock cannot be read.
    pub fn expect_free(&self, image: &str) -> Result<(), String> {
        if self.is_link.is_none() {
            return Ok(());
        }
        let holder = Lock::find_holder(&self.folder)
            .map_err(|e| format!("cannot read the lock of {}: {e}", self.folder.display()))?;
        holder.map_or(Ok(()), |holder| {
            Err(format!(
                "`{image}` is being built by {}, and its files cannot change before the build ends: wait for it, or stop it",
                name_holder(holder)
            ))
        })
    }
}

/// Adds the files of an image to a stage of the output folder, and returns the image's folder. Files that are up to date
/// stay untouched. Threads can add images at the same time.
///
/// # Errors
/// If a file cannot be written.
pub fn add_image(stage: &Stage, image: &Files, found: ImageFolder) -> Result<PathBuf, WriteError> {
    let name = Path::new(&image.image);
    let ImageFolder { folder, is_link } = found;
    let mode = if image.is_secret { CLOSED } else { OPEN };
    let Some(is_link) = is_link else {
        stage.add_folder(name, &image.files, mode)?;
        return Ok(folder);
    };
    let is_name = name.file_name() == Some(name.as_os_str());
    if (is_link || !is_name) && !is_in(&folder, stage.folder()) {
        let error = io::Error::other("it is a link out of the output folder");
        return Err(WriteError::new(&folder, error));
    }
    for (file, content) in &image.files {
        stage.add(&name.join(file), content.as_bytes(), mode)?;
    }
    Ok(folder)
}

/// Writes the files of images to the output folder, with the images' IDs, and returns the images' folders. No file is
/// replaced before all new ones are written.
///
/// # Errors
/// If a folder or file cannot be written. Then nothing has changed.
pub fn write(images: Vec<Files>, output: &Output) -> Result<Vec<PathBuf>, WriteError> {
    let stage = begin(output)?;
    let eyes = Eyes::bounded();
    let folders = images.into_iter().map(|mut image| {
        eyes.identify(&mut image);
        add_image(&stage, &image, ImageFolder::of(&stage, &image.image))
    });
    let folders = folders.collect::<Result<_, _>>()?;
    stage.commit()?;
    Ok(folders)
}

/// True if a folder is directly in another one, with links followed.
fn is_in(folder: &Path, parent: &Path) -> bool {
    let real = folder.canonicalize().ok();
    let parent = parent.canonicalize().ok();
    real.as_deref().and_then(Path::parent) == parent.as_deref()
}

/// Writes a file as a whole, and makes its folder if it is missing.
///
/// # Errors
/// If the folder or the file cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(|e| WriteError::new(folder, e))?;
    put(path, content, OPEN)
}

/// Writes a file as a whole that only its owner can read, and makes its folder if it is missing.
///
/// # Errors
/// If the folder or the file cannot be written.
pub(crate) fn replace_private(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(|e| WriteError::new(folder, e))?;
    put(path, content, CLOSED)
}

/// Writes a file as a whole to a folder that exists.
pub(super) fn put(path: &Path, content: &[u8], mode: u32) -> Result<(), WriteError> {
    let failed = |e| WriteError::new(path, e);
    let stage = Stage::of(folder_of(path))?;
    match has_content(path, content, mode) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err(failed(error)),
        _ => {
            let new = stage.write(name_of(path), content, mode).map_err(failed)?;
            again(|| fs::rename(&new, path)).map_err(failed)
        }
    }
}

/// Returns how many bytes a file can grow before it has `most`.
///
/// # Errors
/// If it is no file, or the system does not tell its size.
pub fn room_in(path: &Path, most: usize) -> Result<usize, WriteError> {
    let failed = |e| WriteError::new(path, e);
    let found = fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let size = usize::try_from(found.len()).unwrap_or(usize::MAX);
    Ok(most.saturating_sub(size))
}

/// Appends to a file that another program has made to collect texts.
///
/// # Errors
/// If the file does not exist or cannot be written.
pub fn append(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    use io::Write;
    let failed = |e| WriteError::new(path, e);
    if content.is_empty() {
        return Ok(());
    }
    let file = fs::OpenOptions::new().append(true).open(path);
    let mut file = file.map_err(failed)?;
    file.write_all(content).map_err(failed)
}

/// Writes new files below a folder, and makes the folders that are missing: either all of them or none. Never replaces a
/// file.
///
/// # Errors
/// If a file cannot be written, or is there (`AlreadyExists`). Then nothing has changed.
pub fn create(folder: &Path, files: &[(PathBuf, String)]) -> Result<(), WriteError> {
    let (mut folders, mut done) = (Vec::new(), Vec::new());
    let result = create_all(folder, files, &mut folders, &mut done);
    if result.is_err() {
        for path in &done {
            let _ = fs::remove_file(path);
        }
        for folder in folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
    result
}

/// Does the work of [`create`], and notes which folders and files it has made.
fn create_all(
    folder: &Path,
    files: &[(PathBuf, String)],
    folders: &mut Vec<PathBuf>,
    done: &mut Vec<PathBuf>,
) -> Result<(), WriteError> {
    for (name, _) in files {
        let path = folder.join(name);
        let parents: Vec<&Path> = path.ancestors().skip(1).collect();
        for parent in parents.into_iter().rev().filter(|p| !p.is_dir()) {
            match fs::create_dir(parent) {
                // Another process has made it.
                Err(_) if parent.is_dir() => {}
                // A file is in its place.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let error = io::ErrorKind::NotADirectory.into();
                    return Err(WriteError::new(parent, error));
                }
                made => {
                    made.map_err(|e| WriteError::new(parent, e))?;
                    folders.push(parent.to_owned());
                }
            }
        }
    }
    let stage = Stage::of(folder)?;
    let mut staged = Vec::new();
    for (name, content) in files {
        let path = folder.join(name);
        let file = stage.write(name, content.as_bytes(), OPEN);
        let file = file.map_err(|e| WriteError::new(&path, e))?;
        let file =
            tempfile::TempPath::try_from_path(file).map_err(|e| WriteError::new(&path, e))?;
        staged.push((file, path));
    }
    for (file, path) in staged {
        let persisted = file.persist_noclobber(&path);
        persisted.map_err(|e| WriteError::new(&path, e.error))?;
        done.push(path);
    }
    Ok(())
}

/// Replaces the content of a user's file as a whole, unless it is not `old` any more. Follows a link, and keeps the file's
/// mode and, if the system allows it, its owner.
///
/// # Errors
/// If the file does not exist, has changed, or cannot be written.
pub fn rewrite(path: &Path, old: &str, new: &str) -> Result<(), WriteError> {
    let failed = |e| WriteError::new(path, e);
    let place = fs::canonicalize(path).map_err(failed)?;
    let mode = mode_of(&place).map_err(failed)?;
    let stage = Stage::of(folder_of(&place))?;
    let staged = stage.write(name_of(&place), new.as_bytes(), mode);
    let staged = staged.map_err(failed)?;
    keep_owner(&place, &staged);
    let now = read_text(&place).map_err(failed)?;
    if now == new {
        // Another process has done the same.
        return Ok(());
    }
    if now != old {
        let message = "the file has changed since it was read";
        return Err(failed(io::Error::other(message)));
    }
    again(|| fs::rename(&staged, &place)).map_err(failed)
}

/// Removes what a killed command has left in the folder of a file. Both may be missing.
pub fn tidy(path: &Path) {
    let path = fs::canonicalize(path).unwrap_or(path.to_owned());
    if folder_of(&path).is_dir() {
        // What cannot be removed is reported where it matters: by the next command that writes there.
        let _ = Stage::of(folder_of(&path));
    }
}

#[cfg(unix)]
fn keep_owner(from: &Path, to: &Path) {
    use std::os::unix::fs::{MetadataExt, fchown};
    if let (Ok(old), Ok(new)) = (fs::metadata(from), fs::metadata(to))
        && (old.uid(), old.gid()) != (new.uid(), new.gid())
        && let Ok(file) = fs::File::open(to)
        && fchown(&file, Some(old.uid()), Some(old.gid())).is_ok()
    {
        // A change of the owner can remove bits of the mode.
        let _ = file.set_permissions(old.permissions());
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &Path) {}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn name_of(path: &Path) -> &Path {
    path.file_name().map_or(path, Path::new)
}

/// Returns the files of an image that a compile would write or change. What only the manifest tells about the sources does not
/// count: the ID decides.
pub fn stale(image: &Files, output: &Output) -> Vec<PathBuf> {
    let dir = output.dir.join(&image.image);
    let is_same = |name: &str, content: &str| {
        let old = read_bytes(&dir.join(name)).ok();
        let old = old.as_deref();
        old == Some(content.as_bytes())
            || name == "manifest.json"
                && id_of(content.as_bytes()).is_some_and(|id| old.and_then(id_of) == Some(id))
    };
    let files = image.files.iter();
    let stale = files.filter(|(name, content)| !is_same(name, content));
    stale.map(|(name, _)| dir.join(name)).collect()
}

/// The ID in the text of a manifest.
fn id_of(manifest: &[u8]) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    manifest.get("id")?.as_str().map(str::to_owned)
}
