//! A folder for unfinished files, below the folder that they will be in.
//!
//! A command that writes to a folder locks it, and writes its files to `.imgspec-new` there. When all are written, it
//! renames that folder to `.imgspec-ready`, and moves the files to their places. So a command that is killed leaves one of
//! two things, and the next command that writes to the same folder knows what to do:
//!
//! - `.imgspec-new`: the places have not changed. It is removed.
//! - `.imgspec-ready`: some files may be in their places. The rest is moved, too.
//!
//! Only the owner of the lock has such a folder, so no running command loses its files. The system releases the lock when
//! the process ends.

use crate::source::{has_content, has_mode, visible};
use crate::workspace::cache::IGNORE;
use crate::workspace::lock::{find_holder, name_holder};
use crate::workspace::make_ignored;
use crate::workspace::write::WriteError;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder of files that are being written.
pub(crate) const NEW: &str = ".imgspec-new";
/// The folder of files that are being moved to their places.
pub(crate) const READY: &str = ".imgspec-ready";
/// The file to lock in a folder if the system cannot lock the folder itself. It stays there.
pub(crate) const LOCK_FILE: &str = ".imgspec-lock";

/// In [`NEW`] and [`READY`]: the new files, at their paths relative to the folder.
const FILES: &str = "new";
/// In [`NEW`] and [`READY`]: links to the files that they replace.
const BACKUPS: &str = "old";

/// In [`NEW`] and [`READY`]: an empty file for each file that will be removed.
const REMOVED: &str = "removed";

/// The mode of an ordinary file.
pub(super) const OPEN: u32 = 0o644;
/// The mode of a file with secrets. [`OPEN`] has all its bits.
pub(super) const CLOSED: u32 = 0o600;

/// How often a call is repeated that a signal has interrupted.
const ATTEMPTS: usize = 16;

/// New files for a folder, none of which is in its place yet. Other commands cannot write to the folder. Without
/// [`commit`](Stage::commit) the files are removed on drop.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    /// The folder was made for this stage, and is removed with it.
    is_made: bool,
    /// The system gives new files the mode that [`write`](Stage::write) asks for.
    keeps_mode: OnceLock<bool>,
    _lock: Option<File>,
}

impl Stage {
    /// Locks a folder, which must exist, and removes what a killed command has left in it. Waits while another process has
    /// the lock, and prints that it does.
    ///
    /// # Errors
    /// If what is left cannot be removed.
    pub fn of(folder: &Path) -> Result<Stage, WriteError> {
        Stage::lock(folder, false)
    }

    /// Locks an output folder, and also finishes what a killed command was moving to its place. The folder is made if it is
    /// missing, and git then ignores it unless it is `portable`.
    ///
    /// # Errors
    /// If the folder cannot be made, or what is left in it cannot be moved or removed.
    pub fn of_output(folder: &Path, portable: bool) -> Result<Stage, WriteError> {
        loop {
            let is_made = if portable {
                let is_missing = !folder.exists();
                fs::create_dir_all(folder).map_err(|e| WriteError::new(folder, e))?;
                is_missing
            } else {
                // Portable output may be committed; other output contains paths of this machine.
                make_ignored(folder).map_err(|e| WriteError::new(folder, e))?
            };
            if !folder.is_dir() {
                let error = io::ErrorKind::NotADirectory.into();
                return Err(WriteError::new(folder, error));
            }
            let stage = Stage::lock(folder, is_made)?;
            stage.finish()?;
            // `clean` may have removed it before it was locked.
            if folder.is_dir() {
                return Ok(stage);
            }
        }
    }

    fn lock(folder: &Path, is_made: bool) -> Result<Stage, WriteError> {
        let stage = Stage {
            folder: folder.to_owned(),
            is_made,
            keeps_mode: OnceLock::new(),
            _lock: lock_folder(folder),
        };
        remove(&folder.join(NEW))?;
        Ok(stage)
    }

    /// Moves what a killed command has not moved. A project from elsewhere can contain such a folder, too, so only one that
    /// looks like ours is moved, and no link is followed.
    fn finish(&self) -> Result<(), WriteError> {
        let ready = self.folder.join(READY);
        if !is_private(&ready) {
            return Ok(());
        }
        move_files(&ready, &self.folder, false, &mut Vec::new())?;
        remove(&ready)
    }

    /// True if a killed command has left something in a folder, or a running one is writing to it.
    pub fn is_begun(folder: &Path) -> bool {
        [NEW, READY]
            .iter()
            .any(|name| is_folder(&folder.join(name)))
    }

    /// True for the name of a file or folder of the mechanism.
    pub fn is_own(name: &OsStr) -> bool {
        [NEW, READY, LOCK_FILE].iter().any(|own| name == *own)
    }

    /// Returns an empty folder in the stage for other programs' files.
    ///
    /// # Errors
    /// If it cannot be made.
    #[cfg(unix)]
    pub fn scratch(&self) -> io::Result<PathBuf> {
        let folder = self.folder.join(NEW).join(FILES);
        self.make_folder_of(&folder.join("file"))?;
        Ok(folder)
    }

    /// The folder that the files will be in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a file at a path relative to the folder, unless the file is up to date. Threads can add files at the same time.
    ///
    /// # Errors
    /// If the file cannot be written, or a folder has its name.
    pub fn add(&self, name: &Path, content: &[u8], mode: u32) -> Result<(), WriteError> {
        let place = self.folder.join(name);
        let failed = |e| WriteError::new(&place, e);
        match has_content(&place, content, mode) {
            Ok(true) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if is_in_the_way(&error) => return Err(failed(error)),
            _ => self.back_up(name, &place),
        }
        self.write(name, content, mode).map_err(failed)?;
        Ok(())
    }

    /// Adds files to a folder that is not there yet, so that no file is up to date.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn add_folder(
        &self,
        name: &Path,
        files: &[(&str, String)],
        mode: u32,
    ) -> Result<(), WriteError> {
        let new = self.folder.join(NEW).join(FILES).join(name);
        // What is wrong with the folder is wrong with the files.
        let _ = self.make_folder(&new);
        for (file, content) in files {
            let file = name.join(file);
            let written = self.write(&file, content.as_bytes(), mode);
            written.map_err(|e| WriteError::new(&self.folder.join(file), e))?;
        }
        Ok(())
    }

    /// Adds the removal of a file.
    ///
    /// # Errors
    /// If the stage cannot be written.
    pub fn add_removal(&self, name: &Path) -> Result<(), WriteError> {
        let place = self.folder.join(name);
        self.back_up(name, &place);
        let mark = self.folder.join(NEW).join(REMOVED).join(name);
        let marked = self
            .make_folder_of(&mark)
            .and_then(|()| fs::write(&mark, ""));
        marked.map_err(|e| WriteError::new(&place, e))
    }

    /// Writes a file to the stage, and returns its path there.
    pub(super) fn write(&self, name: &Path, content: &[u8], mode: u32) -> io::Result<PathBuf> {
        let path = self.folder.join(NEW).join(FILES).join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(mode);
        }
        let mut file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder_of(&path)?;
                options.open(&path)?
            }
            file => file?,
        };
        file.write_all(content)?;
        if !self.keeps(&file, mode) {
            set_mode(&file, mode)?;
        }
        Ok(path)
    }

    /// Returns true if a new file has the mode that was asked for; false also where that is not known. A umask, or a default
    /// access list of the folder, takes the same bits from every file, so it is enough to look at the first.
    fn keeps(&self, file: &File, mode: u32) -> bool {
        let keeps = || file.metadata().is_ok_and(|found| has_mode(&found, OPEN));
        match mode {
            OPEN => *self.keeps_mode.get_or_init(keeps),
            CLOSED => self.keeps_mode.get() == Some(&true),
            _ => false,
        }
    }

    /// Makes the folder of a file in the stage.
    fn make_folder_of(&self, path: &Path) -> io::Result<()> {
        path.parent()
            .map_or(Ok(()), |parent| self.make_folder(parent))
    }

    /// Makes a folder in the stage. Only the stage's owner can enter it.
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        // Of many folders only the last part is missing.
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => return Ok(()),
        }
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        match builder.create(self.folder.join(NEW)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::create_dir_all(path),
        }
    }

    /// Links a file that will be replaced, so that a failure can bring it back. A file system without links has no backup.
    fn back_up(&self, name: &Path, place: &Path) {
        let backup = self.folder.join(NEW).join(BACKUPS).join(name);
        if let Err(error) = fs::hard_link(place, &backup)
            && error.kind() == io::ErrorKind::NotFound
            && self.make_folder_of(&backup).is_ok()
        {
            let _ = fs::hard_link(place, &backup);
        }
    }

    /// Moves the files to their places: all of them, or after an error none.
    ///
    /// # Errors
    /// If a file cannot be moved.
    pub fn commit(mut self) -> Result<(), WriteError> {
        let (new, ready) = (self.folder.join(NEW), self.folder.join(READY));
        match again(|| fs::rename(&new, &ready)) {
            // Everything is up to date.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(|e| WriteError::new(&ready, e))?,
        }
        let mut moved = Vec::new();
        if let Err(error) = move_files(&ready, &self.folder, true, &mut moved) {
            let is_undone = undo(&ready, &self.folder, &moved);
            // Under this name it is never moved again.
            let _ = again(|| fs::rename(&ready, &new));
            return Err(error.partly(!is_undone));
        }
        self.is_made = false;
        // Everything is in its place. What cannot be removed now is removed by the next command.
        let _ = remove(&ready);
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.folder.join(NEW));
        let is_empty = || {
            let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
            let mut names = entries.map(|entry| entry.file_name());
            names.all(|name| name == IGNORE || name == LOCK_FILE)
        };
        if self.is_made && is_empty() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A path that has been moved to its place, relative to the folder.
struct Moved {
    name: PathBuf,
    /// It has replaced a file, or is one that has been removed.
    is_replaced: bool,
}

/// Moves the files of a stage to their places. A folder that is not there yet is moved as a whole. `moved` gets what has
/// been moved. With `follows` the folders in which the places are can be links.
fn move_files(
    ready: &Path,
    folder: &Path,
    follows: bool,
    moved: &mut Vec<Moved>,
) -> Result<(), WriteError> {
    let files = ready.join(FILES);
    if is_folder(&files) {
        move_folder(&files, folder, Path::new(""), follows, moved)?;
    }
    let removed = ready.join(REMOVED);
    for entry in walkdir::WalkDir::new(&removed).into_iter().flatten() {
        let name = entry.path().strip_prefix(&removed).unwrap_or(entry.path());
        let place = folder.join(name);
        let mut parents = name.ancestors().skip(1);
        let is_inside = follows || parents.all(|parent| is_folder(&folder.join(parent)));
        if entry.file_type().is_file() && is_inside && place.symlink_metadata().is_ok() {
            again(|| fs::remove_file(&place)).map_err(|e| WriteError::new(&place, e))?;
            moved.push(Moved {
                name: name.to_owned(),
                is_replaced: true,
            });
        }
    }
    Ok(())
}

fn move_folder(
    files: &Path,
    folder: &Path,
    name: &Path,
    follows: bool,
    moved: &mut Vec<Moved>,
) -> Result<(), WriteError> {
    let from = files.join(name);
    let failed = |e| WriteError::new(&folder.join(name), e);
    let mut entries: Vec<_> = fs::read_dir(&from)
        .map_err(failed)?
        .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))))
        .collect::<io::Result<_>>()
        .map_err(failed)?;
    // A manifest comes after the files that it describes.
    entries.sort_by_key(|(name, _)| (name == "manifest.json", name.clone()));
    for (entry, kind) in entries {
        let name = name.join(entry);
        let (source, place) = (files.join(&name), folder.join(&name));
        if move_to_free(&source, &place) {
            let is_replaced = false;
            moved.push(Moved { name, is_replaced });
            continue;
        }
        let there = place.symlink_metadata();
        let is_replaced = there.is_ok();
        if kind.is_dir() && is_replaced && place.is_dir() {
            if follows || there.is_ok_and(|there| there.is_dir()) {
                move_folder(files, folder, &name, follows, moved)?;
            }
            continue;
        }
        match again(|| fs::rename(&source, &place)) {
            // The image's folder is a link to another device.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let content = fs::read(&source).map_err(|e| WriteError::new(&place, e))?;
                let mode = mode_of(&source).unwrap_or(0o600);
                crate::workspace::write::put(&place, &content, mode)?;
            }
            result => result.map_err(|e| WriteError::new(&place, e))?,
        }
        moved.push(Moved { name, is_replaced });
    }
    Ok(())
}

/// Moves a file or folder, unless something is in its place, or the system cannot tell.
#[cfg(target_os = "linux")]
fn move_to_free(source: &Path, place: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, source, CWD, place, RenameFlags::NOREPLACE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn move_to_free(_: &Path, _: &Path) -> bool {
    false
}

/// True for a folder that is not a link.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// True for a folder that only this user can have made, as [`Stage`] makes it.
#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid().as_raw();
    path.symlink_metadata()
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(path: &Path) -> bool {
    is_folder(path)
}

/// Brings back what was in the places before. Returns whether everything is as it was.
fn undo(ready: &Path, folder: &Path, moved: &[Moved]) -> bool {
    let mut is_undone = true;
    for Moved { name, is_replaced } in moved.iter().rev() {
        let place = folder.join(name);
        let (from, to) = if *is_replaced {
            (ready.join(BACKUPS).join(name), place)
        } else {
            (place, ready.join(FILES).join(name))
        };
        is_undone &= again(|| fs::rename(&from, &to)).is_ok();
    }
    is_undone
}

/// Locks a folder, and waits while another process has the lock. Returns `None` if the file system has no locks, or the
/// folder is read-only and cannot be locked itself.
pub(super) fn lock_folder(folder: &Path) -> Option<File> {
    loop {
        let file = File::open(folder).and_then(|file| wait(file, folder));
        let file = file.or_else(|_| {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).read(true).write(true);
            wait(options.open(folder.join(LOCK_FILE))?, folder)
        });
        let file = file.ok()?;
        // The owner of the lock may have replaced the folder.
        if is_at(&file, folder) {
            return Some(file);
        }
    }
}

fn wait(file: File, folder: &Path) -> io::Result<File> {
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => {}
    }
    let line = format!(
        "imgspec: waiting for {}, which is writing to {}\n",
        name_holder(find_holder(&file)),
        folder.display()
    );
    let _ = io::stderr().lock().write_all(visible(&line).as_bytes());
    again(|| file.lock())?;
    Ok(file)
}

/// True if the file is the folder, or a file in it, and not what was there before.
#[cfg(unix)]
fn is_at(file: &File, folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |found: io::Result<fs::Metadata>| found.ok().map(|m| (m.dev(), m.ino()));
    let held = of(file.metadata());
    held.is_none()
        || !folder.exists()
        || held == of(fs::metadata(folder))
        || held == of(fs::metadata(folder.join(LOCK_FILE)))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Repeats a call that a signal interrupts.
pub(super) fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..ATTEMPTS {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
    call()
}

/// Removes a folder with all that it contains, or a file or link in its place. It may be missing.
fn remove(path: &Path) -> Result<(), WriteError> {
    let removed = again(|| match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    });
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(WriteError::new(path, error)),
        _ => Ok(()),
    }
}

/// True if a file cannot be replaced because of what is in its place.
fn is_in_the_way(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory};
    matches!(error.kind(), IsADirectory | NotADirectory | InvalidFilename)
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(unix)]
pub(super) fn mode_of(path: &Path) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn mode_of(_: &Path) -> io::Result<u32> {
    Ok(0)
}
