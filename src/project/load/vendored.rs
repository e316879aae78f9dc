//! Reading the vendored copies of files that specs include by their address.

use crate::diagnostic::{Code, Diagnostic, Reported};
use crate::project::config::find_root;
use crate::project::load::reader::Reader;
use crate::project::lock::{Address, LOCK_FILE, Locked, find_copy};
use crate::source::{Origin, Span, normalize, sha256};
use std::path::{Path, PathBuf};

/// Returns the file that an `include` in the file at `path` names: for an address, the place of its copy.
pub fn find_include(path: &Path, text: &str, exists: impl Fn(&Path) -> bool) -> PathBuf {
    match Address::parse(text) {
        Ok(address) => find_root(path, exists).join(address.copy()),
        Err(_) => normalize(&path.parent().unwrap_or(path).join(text)),
    }
}

impl Reader<'_> {
    /// Returns the place of the copy of an address that the file at `path` includes.
    pub(super) fn find_remote(
        &mut self,
        path: &Path,
        text: &str,
        span: Span,
    ) -> Result<PathBuf, Reported> {
        let address = Address::parse(text).map_err(|why| {
            self.report(
                Diagnostic::new(
                    Code::RemoteInclude,
                    span,
                    format!("`{text}` cannot be included: {why}"),
                )
                .help("write an address such as `https://example.com/v1/corp.imgspec`, or the path of a file of the project"),
            )
        })?;
        let root = match self.copy_at(path) {
            Some((root, _)) => root,
            None => find_root(path, |p| self.loader.exists(p)),
        };
        let copy = root.join(address.copy());
        // An `imgspec.toml` among the copies does not make them another project.
        self.vendor_roots.insert(root);
        Ok(copy)
    }

    /// Returns the root of the project and the address, if a path is the place of a vendored copy.
    pub(super) fn copy_at(&self, path: &Path) -> Option<(PathBuf, Address)> {
        find_copy(path, |root| {
            self.vendor_roots.contains(root) || root == find_root(path, |p| self.loader.exists(p))
        })
    }

    /// Checks a vendored copy against the lock file. `text` is none if there is no copy.
    pub(super) fn expect_locked(
        &mut self,
        (root, address): &(PathBuf, Address),
        text: Option<&str>,
        span: Span,
    ) -> Result<(), Reported> {
        let locked = self.read_lock(root)?;
        let url = address.as_str();
        let wanted = locked.sums.get(address);
        let found = match (wanted, text) {
            (None, _) => Diagnostic::new(
                Code::RemoteInclude,
                span,
                format!("`{url}` is not in {LOCK_FILE}"),
            )
            .help("run `imgspec vendor`, which downloads the file and writes its SHA-256 to imgspec.lock"),
            (Some(_), None) => Diagnostic::new(
                Code::RemoteInclude,
                span,
                format!("`{url}` has no vendored copy"),
            )
            .label(format!("expected at {}", address.copy().display()))
            .help("run `imgspec vendor`, which downloads the file"),
            (Some(wanted), Some(text)) => {
                let sum = sha256(text);
                if *wanted == sum {
                    return Ok(());
                }
                Diagnostic::new(
                    Code::RemoteInclude,
                    span,
                    format!("the vendored copy of `{url}` is not the file that {LOCK_FILE} names"),
                )
                .label(format!("its SHA-256 is {sum}, and not {wanted}"))
                .help(format!(
                    "run `imgspec vendor`, which downloads the file again, or `imgspec vendor --update {url}` if its author has changed it"
                ))
            }
        };
        Err(self.report(found))
    }

    /// Reads the lock file of a project, once. Without one, nothing is locked.
    fn read_lock(&mut self, root: &Path) -> Result<Locked, Reported> {
        if let Some(known) = self.locks.get(root) {
            return known.clone();
        }
        let path = root.join(LOCK_FILE);
        let real = self.loader.canonical(&path);
        let read = if self.loader.exists(&path) {
            self.loader.read_real(&path, &real)
        } else {
            Ok(String::new())
        };
        let text = read.as_deref().unwrap_or_default();
        let file = self.sources.add(path, Origin::Project, text.into());
        let locked = match (Locked::parse(text), &read) {
            (_, Err(error)) => {
                let message = format!("cannot read {LOCK_FILE}: {error}");
                let at = Span::new(file, 0, 0);
                Err(self.report(Diagnostic::new(Code::CannotRead, at, message)))
            }
            (Ok(locked), _) => Ok(locked),
            (Err(line), _) => {
                let at = Span::new(file, line.start as u32, line.end as u32);
                let message = format!("this line of {LOCK_FILE} is not a SHA-256 and an address");
                Err(self.report(
                    Diagnostic::new(Code::RemoteInclude, at, message)
                        .label(
                            "expected 64 digits, two spaces and an address that no other line has",
                        )
                        .help("remove the line, and run `imgspec vendor`"),
                ))
            }
        };
        self.locks.insert(root.to_owned(), locked.clone());
        locked
    }
}
