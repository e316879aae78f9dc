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

    /// Returns the process that holds the lock of an image's folder, as far as the system tells it; `None` if none does.
    /// Makes no file.
    ///
    /// # Errors
    /// If the lock file exists and cannot be locked for another reason.
    pub fn find_holder(folder: &Path) -> io::Result<Option<Holder>> {
        // Without a lock file no build can hold the lock.
        let Ok(file) = File::open(folder.join(LOCK)) else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(find_holder(&file))),
            Err(TryLockError::Error(error)) => Err(error),
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

/// The number of the process that holds a lock, if the system tells it.
pub type Holder = Option<u32>;

/// Names the process that holds a lock.
pub fn name_holder(holder: Holder) -> String {
    holder.map_or("another process".to_owned(), |id| {
        format!("another process ({id})")
    })
}

/// Finds the process that holds the lock of a file. Linux lists all locks.
#[cfg(unix)]
pub(super) fn find_holder(file: &File) -> Holder {
    use std::os::unix::fs::MetadataExt;
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:123 0 EOF`. A process that waits has `->` after the number.
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, id, place, ..] = words[..] else {
            return None;
        };
        let is_it = place.rsplit(':').next() == Some(&inode);
        id.parse().ok().filter(|id| is_it && *id > 0)
    };
    locks.lines().find_map(holder)
}

#[cfg(not(unix))]
pub(super) fn find_holder(_: &File) -> Holder {
    None
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
