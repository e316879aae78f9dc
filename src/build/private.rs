//! Where a build keeps what nobody else may read: the keys that Packer and Ansible make, and other temporary files.
//!
//! Each build has a folder of its own in the system's folder for temporary files, which only its owner can enter, and
//! which is removed at the end. The folder is locked while its build runs. One that is not locked is left over from a build
//! that was killed: the next run removes it, and stops what that build has started.

use crate::build::process::stop_marked;
use crate::workspace::Lock;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What the folders' names begin with.
const PREFIX: &str = "imgspec-";
/// The file in each of them that says whose it is: the mark of the build's processes, and the folder that Packer runs in.
const OWNER: &str = "imgspec-build";

/// The private folder of a build that runs. It goes when this is dropped.
#[derive(Debug)]
pub struct Private {
    folder: PathBuf,
    _lock: File,
}

impl Private {
    /// Makes one for the build whose processes carry a mark, and that runs in a folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(mark: &str, work: &Path) -> io::Result<Private> {
        let new = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let lock = File::open(new.path())?;
        lock.try_lock()?;
        // Only from here on another run takes it for a build's folder.
        fs::write(
            new.path().join(OWNER),
            format!("{mark}\n{}", work.display()),
        )?;
        Ok(Private {
            folder: new.keep(),
            _lock: lock,
        })
    }

    /// What tells programs to keep there keys, and what Ansible sends to the machine, secrets in it.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("TMPDIR", self.folder.clone()),
            ("ANSIBLE_LOCAL_TEMP", self.folder.join("ansible")),
        ]
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes what builds that were killed have left. What cannot be removed stays for the next run.
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
    // Anybody may write into the folder for temporary files: what is not surely ours is left alone.
    let is_ours = |path: &Path, is_kind: fn(&fs::Metadata) -> bool| {
        fs::symlink_metadata(path)
            .is_ok_and(|m| is_kind(&m) && m.uid() == rustix::process::geteuid().as_raw())
    };
    let owner = folder.join(OWNER);
    if !is_ours(folder, fs::Metadata::is_dir) || !is_ours(&owner, fs::Metadata::is_file) {
        return Ok(());
    }
    let lock = File::open(folder)?;
    if lock.try_lock().is_err() {
        return Ok(());
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
        fs::remove_dir_all(work)?;
    }
    fs::remove_dir_all(folder)
}
