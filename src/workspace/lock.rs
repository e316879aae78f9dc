//! Locks between processes: of an image's folder, and of the cache.
//!
//! The system releases a lock when its process ends, also after a crash.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The file to lock in an image's folder or in the cache.
pub(crate) const LOCK: &str = ".lock";

/// A lock, released on drop.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks an image's folder, which is made if it is missing. Returns `None` if another process holds the lock.
    ///
    /// # Errors
    /// If the folder or the lock file cannot be made or locked.
    pub fn of_image(folder: &Path) -> io::Result<Option<Lock>> {
        fs::create_dir_all(folder)?;
        let file = open(folder)?;
        let taken = file.try_lock();
        hold(file, taken)
    }

    /// True if another process holds the lock of an image's folder. Makes no file.
    ///
    /// # Errors
    /// If the lock file exists and cannot be locked for another reason.
    pub fn is_held(folder: &Path) -> io::Result<bool> {
        match File::open(folder.join(LOCK)) {
            Ok(file) => {
                let taken = file.try_lock();
                Ok(hold(file, taken)?.is_none())
            }
            // Without a lock file no build can hold the lock.
            Err(_) => Ok(false),
        }
    }

    /// Locks the cache for use by a build, together with other builds. Returns `None` if a process is removing it.
    ///
    /// # Errors
    /// If the lock file cannot be made or locked.
    pub fn to_use(cache: &Path) -> io::Result<Option<Lock>> {
        let file = open(cache)?;
        let taken = file.try_lock_shared();
        hold(file, taken)
    }

    /// Locks the cache to remove it. Returns `None` if a build uses it.
    ///
    /// # Errors
    /// If the lock file cannot be made or locked.
    pub fn to_clean(cache: &Path) -> io::Result<Option<Lock>> {
        let file = open(cache)?;
        let taken = file.try_lock();
        hold(file, taken)
    }
}

fn open(folder: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(folder.join(LOCK))
}

fn hold(file: File, taken: Result<(), TryLockError>) -> io::Result<Option<Lock>> {
    match taken {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
