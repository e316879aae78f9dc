//! Locks between runs of the program: of an image's folder, and of the cache that builds share.
//!
//! The system lets go of a lock when its process ends, however it ends, so that none is ever left over.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The file in an image's folder, or in the cache, that is locked.
pub(crate) const LOCK: &str = ".lock";

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of an image's folder, which is made where it is missing; none where another run has it.
    ///
    /// # Errors
    /// What the system says.
    pub fn of_image(folder: &Path) -> io::Result<Option<Lock>> {
        fs::create_dir_all(folder)?;
        let file = open(folder)?;
        let taken = file.try_lock();
        hold(file, taken)
    }

    /// True where another run holds the lock of an image's folder. Makes no file.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_held(folder: &Path) -> io::Result<bool> {
        match File::open(folder.join(LOCK)) {
            Ok(file) => {
                let taken = file.try_lock();
                Ok(hold(file, taken)?.is_none())
            }
            // What no build could have made, none can hold.
            Err(_) => Ok(false),
        }
    }

    /// Says that a build uses the cache; many may at once. None where it is being removed.
    ///
    /// # Errors
    /// What the system says.
    pub fn to_use(cache: &Path) -> io::Result<Option<Lock>> {
        let file = open(cache)?;
        let taken = file.try_lock_shared();
        hold(file, taken)
    }

    /// Takes the cache for oneself, to remove it; none where a build uses it.
    ///
    /// # Errors
    /// What the system says.
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
