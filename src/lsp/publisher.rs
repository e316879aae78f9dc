//! The diagnostics that the client shows. They are kept by the file whose check found them, so that each check replaces
//! its own.

use crate::lsp::capabilities::Client;
use crate::lsp::diagnostics::Diagnostic;
use lsp_types::Range;
use rustc_hash::{FxHashMap, FxHashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Diagnostics by the file that contains them.
pub(super) type ByFile = FxHashMap<PathBuf, Vec<Diagnostic>>;

/// The diagnostics of a file, for the client.
pub(super) struct Publication {
    pub path: PathBuf,
    /// The version of the open document that was checked.
    pub version: Option<i32>,
    pub diagnostics: Vec<lsp_types::Diagnostic>,
    /// They differ from those before.
    pub is_new: bool,
}

#[derive(Debug)]
pub(super) struct Publisher {
    client: Rc<Client>,
    /// The diagnostics of each check, by the file that was checked.
    found: FxHashMap<PathBuf, ByFile>,
    /// What the client shows.
    published: FxHashMap<PathBuf, Vec<lsp_types::Diagnostic>>,
}

impl Publisher {
    pub(super) fn new(client: Rc<Client>) -> Publisher {
        Publisher {
            client,
            found: FxHashMap::default(),
            published: FxHashMap::default(),
        }
    }

    /// The diagnostics in a file, from all checks.
    pub(super) fn diagnostics(&self, path: &Path) -> impl Iterator<Item = &Diagnostic> {
        self.found
            .values()
            .filter_map(|files| files.get(path))
            .flatten()
    }

    /// The diagnostics of a file, as they were published.
    pub(super) fn shown(&self, path: &Path) -> Vec<lsp_types::Diagnostic> {
        self.published.get(path).cloned().unwrap_or_default()
    }

    /// The files with diagnostics.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let with_some = self.published.iter().filter(|(_, found)| !found.is_empty());
        with_some.map(|(path, _)| path.clone()).collect()
    }

    /// True for a file that was checked.
    pub(super) fn was_checked(&self, path: &Path) -> bool {
        self.found.contains_key(path)
    }

    /// Forgets what the checks of other files found in a file: its text is a different one now.
    pub(super) fn forget_others(&mut self, path: &Path) {
        let with_some = self.found.iter_mut().filter(|(_, found)| !found.is_empty());
        for (_, by_file) in with_some.filter(|(from, _)| *from != path) {
            by_file.remove(path);
        }
    }

    /// Takes what the check of a file found, and adds the files with other diagnostics than before.
    pub(super) fn replace(
        &mut self,
        path: PathBuf,
        by_file: ByFile,
        touched: &mut FxHashSet<PathBuf>,
    ) {
        touched.extend(by_file.keys().cloned());
        let old = self.found.insert(path.clone(), by_file).unwrap_or_default();
        touched.extend(old.into_keys());
        touched.insert(path);
    }

    /// The diagnostics of a file, unless the client shows them already. Each version of an open document is answered.
    pub(super) fn publish(&mut self, path: PathBuf, version: Option<i32>) -> Option<Publication> {
        let mut diagnostics: Vec<lsp_types::Diagnostic> = Vec::new();
        let mut seen: FxHashSet<(Range, &str)> = FxHashSet::default();
        for diagnostic in self.diagnostics(&path) {
            let new = &diagnostic.published;
            if seen.insert((new.range, new.message.as_str())) {
                let related_information = new
                    .related_information
                    .clone()
                    .filter(|_| self.client.has_related());
                let tags = new.tags.clone().filter(|_| self.client.has_tags());
                diagnostics.push(lsp_types::Diagnostic {
                    related_information,
                    tags,
                    ..new.clone()
                });
            }
        }
        diagnostics.sort_by(|a, b| {
            (a.range.start, a.range.end, &a.message).cmp(&(b.range.start, b.range.end, &b.message))
        });
        let is_known = match self.published.get(&path) {
            Some(known) => *known == diagnostics,
            None => diagnostics.is_empty(),
        };
        if version.is_none() && is_known {
            return None;
        }
        self.published.insert(path.clone(), diagnostics.clone());
        Some(Publication {
            path,
            version,
            diagnostics,
            is_new: !is_known,
        })
    }
}
