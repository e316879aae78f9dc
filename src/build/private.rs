//! Private folders for the temporary files of builds, such as the keys that Packer and Ansible make.
//!
//! Each build has a folder in the system's folder for temporary files. Only its owner can enter it, and it is removed after
//! the build. The folder is locked while the build runs. An unlocked folder is left over from a build that was killed: the
//! next run removes it, and stops the processes of that build.

use crate::build::artifacts;
use crate::build::process::stop_marked;
use crate::workspace::Lock;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The prefix of the folders' names.
const PREFIX: &str = "imgspec-build-";
/// How often a folder is made that other runs remove.
const ATTEMPTS: usize = 16;
/// The file in each folder that names its build: the mark of its processes, and Packer's working folder.
const OWNER: &str = "imgspec-build";

/// The private folder of a running build, removed on drop.
#[derive(Debug)]
pub struct Private {
    folder: PathBuf,
    _lock: File,
}

impl Private {
    /// Makes the folder for a build whose processes carry `mark` and whose working folder is `work`.
    ///
    /// # Errors
    /// If the folder cannot be made or locked.
    pub fn new(mark: &str, work: &Path) -> io::Result<Private> {
        let (new, lock) = make_locked()?;
        // Other runs find the processes of the build by this file.
        fs::write(
            new.path().join(OWNER),
            format!("{mark}\n{}", work.display()),
        )?;
        Ok(Private {
            folder: new.keep(),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The environment variables with which programs put their keys and Ansible's modules, which contain secrets, into the
    /// folder.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("TMPDIR", self.folder.clone()),
            ("ANSIBLE_LOCAL_TEMP", self.folder.join("ansible")),
        ]
    }
}

/// Makes and locks a folder. Until it is locked, another run takes it for one that a killed build has left, and removes it.
fn make_locked() -> io::Result<(TempDir, File)> {
    let make = || {
        let new = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let lock = File::open(new.path())?;
        lock.try_lock()?;
        // Fails if the folder was removed before it was locked.
        fs::metadata(new.path())?;
        Ok((new, lock))
    };
    for _ in 1..ATTEMPTS {
        if let Ok(made) = make() {
            return Ok(made);
        }
    }
    make()
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = remove(&self.folder);
    }
}

/// Removes a folder, and its owner file last: a run that is killed meanwhile leaves a folder that the next run knows.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != OWNER {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(folder.join(OWNER))?;
    fs::remove_dir(folder)
}

/// Removes the folders of builds that were killed. The next run tries again to remove what remains.
pub fn remove_leftovers() {
    let entries = fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let _ = remove_leftover(&entry.path());
    }
}

fn remove_leftover(folder: &Path) -> io::Result<()> {
    // Every user can write to the folder for temporary files, so check that this folder is ours.
    let is_ours = |path: &Path, is_kind: fn(&fs::Metadata) -> bool| {
        fs::symlink_metadata(path)
            .is_ok_and(|m| is_kind(&m) && m.uid() == rustix::process::geteuid().as_raw())
    };
    let owner = folder.join(OWNER);
    if !is_ours(folder, fs::Metadata::is_dir) {
        return Ok(());
    }
    let lock = File::open(folder)?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    if !is_ours(&owner, fs::Metadata::is_file) {
        // The build was killed before it wrote anything. A folder with other files stays.
        return fs::remove_dir(folder);
    }
    let text = fs::read_to_string(owner)?;
    let (mark, work) = text.split_once('\n').unwrap_or((&text, ""));
    if !mark.is_empty() {
        stop_marked(mark);
    }
    let work = Path::new(work);
    if work.is_absolute()
        && work.file_name().is_some_and(|name| name == "work")
        && let Some(image) = work.parent().filter(|image| image.is_dir())
        && work.is_dir()
        && let Some(_lock) = Lock::of_image(image)?
    {
        artifacts::recover(image)?;
        fs::remove_dir_all(work)?;
    }
    remove(folder)
}
