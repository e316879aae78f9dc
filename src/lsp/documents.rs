//! Open documents, laid over the disk.

use super::places::Encoding;
use crate::source::{Disk, Loader};
use lsp_types::TextDocumentContentChangeEvent;
use rustc_hash::FxHashMap;
use std::io;
use std::path::{Path, PathBuf};

/// The texts that the client holds.
#[derive(Debug, Default)]
pub struct Documents {
    texts: FxHashMap<PathBuf, String>,
}

impl Documents {
    pub fn open(&mut self, path: PathBuf, text: String) {
        self.texts.insert(path, text);
    }

    pub fn close(&mut self, path: &Path) {
        self.texts.remove(path);
    }

    pub fn get(&self, path: &Path) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.texts.keys()
    }

    /// Applies changes, one after the other; a change without a range replaces all.
    pub fn change(&mut self, path: &Path, changes: Vec<TextDocumentContentChangeEvent>, encoding: Encoding) {
        let Some(text) = self.texts.get_mut(path) else { return };
        for change in changes {
            match change.range {
                None => *text = change.text,
                Some(range) => {
                    let start = encoding.offset(text, range.start);
                    let end = encoding.offset(text, range.end).max(start);
                    text.replace_range(start..end, &change.text);
                }
            }
        }
    }
}

impl Loader for Documents {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.get(path).map_or_else(|| Disk.read(path), |text| Ok(text.to_owned()))
    }

    fn is_file(&self, path: &Path) -> bool {
        self.texts.contains_key(path) || Disk.is_file(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.texts.contains_key(path) || Disk.exists(path)
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        Disk.canonical(path)
    }
}
