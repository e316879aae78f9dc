//! A loader that reads a limited amount.

use crate::source::{Loader, MAX_FILES, MAX_SOURCES, is_absolute};
use rustc_hash::FxHashMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A loader that refuses to read more than [`MAX_SOURCES`] bytes and [`MAX_FILES`] files.
pub struct Metered<'l> {
    loader: &'l dyn Loader,
    bytes: AtomicUsize,
    files: AtomicUsize,
    /// What [`Loader::canonical`] has returned for folders, and for files that are no links.
    real: Mutex<FxHashMap<PathBuf, PathBuf>>,
}

impl<'l> Metered<'l> {
    /// Begins to count what is read through a loader.
    pub fn new(loader: &'l dyn Loader) -> Metered<'l> {
        Metered {
            loader,
            bytes: AtomicUsize::new(0),
            files: AtomicUsize::new(0),
            real: Mutex::default(),
        }
    }

    fn expect_room(&self) -> io::Result<()> {
        if self.files.load(Relaxed) >= MAX_FILES {
            return Err(too_large(format!(
                "this command reads more than {MAX_FILES} files"
            )));
        }
        if self.bytes.load(Relaxed) > MAX_SOURCES {
            return Err(too_large(format!(
                "the files that this command reads have more than {} MiB together",
                MAX_SOURCES >> 20
            )));
        }
        Ok(())
    }

    /// Returns what is known of a path with links resolved.
    fn known(&self, path: &Path) -> Option<PathBuf> {
        let known = self.real.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(path).cloned()
    }

    fn remember(&self, path: &Path, real: &Path) {
        let mut known = self.real.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.to_owned(), real.to_owned());
    }

    /// Returns a folder with links resolved.
    fn real(&self, folder: &Path) -> PathBuf {
        self.known(folder).unwrap_or_else(|| {
            let real = self.loader.canonical(folder);
            self.remember(folder, &real);
            real
        })
    }

    fn count(&self, text: String) -> io::Result<String> {
        self.files.fetch_add(1, Relaxed);
        self.bytes.fetch_add(text.len(), Relaxed);
        Ok(text)
    }
}

fn too_large(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

impl Loader for Metered<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.expect_room()?;
        self.count(self.loader.read(path)?)
    }

    fn read_real(&self, path: &Path, real: &Path) -> io::Result<String> {
        self.expect_room()?;
        self.count(self.loader.read_real(path, real)?)
    }

    fn look(&self, path: &Path) -> io::Result<()> {
        self.loader.look(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.loader.exists(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.loader.is_dir(path)
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        self.loader.entries(folder)
    }

    fn is_no_link(&self, path: &Path) -> bool {
        self.loader.is_no_link(path)
    }

    /// A folder is resolved once for all its files, and a file once for all that include it. A link that replaces a part of
    /// it later is noticed by [`Loader::read_real`].
    fn canonical(&self, path: &Path) -> PathBuf {
        if let Some(known) = self.known(path) {
            return known;
        }
        if is_absolute(path)
            && let Some(folder) = path.parent()
            && let Some(Component::Normal(name)) = path.components().next_back()
        {
            let place = self.real(folder).join(name);
            if self.loader.is_no_link(&place) {
                self.remember(path, &place);
                return place;
            }
        }
        self.loader.canonical(path)
    }
}
