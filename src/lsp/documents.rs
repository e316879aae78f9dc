//! Open documents, in front of the files on disk.

use crate::lsp::position::PositionEncoding;
use crate::source::{Disk, Loader};
use lsp_types::{TextDocumentContentChangeEvent, TextDocumentItem};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A text that the client has open.
#[derive(Debug)]
pub(super) struct Document {
    pub text: String,
    /// Its text when the client opened it.
    pub first: String,
    /// The client's count of its changes.
    pub version: i32,
    /// The client's name of its language.
    pub language: String,
}

impl Document {
    /// True if the text is not that which the client opened.
    pub(super) fn is_edited(&self) -> bool {
        self.text != self.first
    }
}

#[derive(Debug, Default)]
pub(super) struct Documents {
    open: FxHashMap<PathBuf, Document>,
}

impl Documents {
    pub(super) fn open(&mut self, path: PathBuf, item: TextDocumentItem) {
        let TextDocumentItem {
            language_id,
            version,
            text,
            ..
        } = item;
        self.open.insert(
            path,
            Document {
                first: text.clone(),
                text,
                version,
                language: language_id,
            },
        );
    }

    pub(super) fn close(&mut self, path: &Path) {
        self.open.remove(path);
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Document> {
        self.open.get(path)
    }

    pub(super) fn text(&self, path: &Path) -> Option<&str> {
        self.get(path).map(|document| document.text.as_str())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.open.keys()
    }

    /// Applies changes in order. A change without a range replaces the whole text.
    pub(super) fn change(
        &mut self,
        path: &Path,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
        encoding: PositionEncoding,
    ) {
        let Some(document) = self.open.get_mut(path) else {
            return;
        };
        document.version = version;
        let text = &mut document.text;
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
        self.text(path)
            .map_or_else(|| Disk.read(path), |text| Ok(text.to_owned()))
    }

    fn read_real(&self, path: &Path, real: &Path) -> io::Result<String> {
        self.text(path)
            .map_or_else(|| Disk.read_real(path, real), |text| Ok(text.to_owned()))
    }

    fn look(&self, path: &Path) -> io::Result<()> {
        if self.open.contains_key(path) {
            Ok(())
        } else {
            Disk.look(path)
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.open.contains_key(path) || Disk.exists(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        Disk.is_dir(path)
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        Disk.entries(folder)
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        Disk.canonical(path)
    }
}

/// Texts in front of those of the client.
#[derive(Debug)]
pub(super) struct Overlay<'d> {
    below: &'d Documents,
    texts: BTreeMap<PathBuf, String>,
}

impl<'d> Overlay<'d> {
    pub(super) fn new(below: &'d Documents, texts: BTreeMap<PathBuf, String>) -> Overlay<'d> {
        Overlay { below, texts }
    }
}

impl Loader for Overlay<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.texts
            .get(path)
            .map_or_else(|| self.below.read(path), |text| Ok(text.clone()))
    }

    fn read_real(&self, path: &Path, real: &Path) -> io::Result<String> {
        self.texts
            .get(path)
            .map_or_else(|| self.below.read_real(path, real), |text| Ok(text.clone()))
    }

    fn look(&self, path: &Path) -> io::Result<()> {
        self.below.look(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.below.exists(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.below.is_dir(path)
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        self.below.entries(folder)
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.below.canonical(path)
    }
}
