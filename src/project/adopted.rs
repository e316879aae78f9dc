//! A library in the place of the standard library, as files in memory.

use crate::project::Edition;
use crate::schema::Roles;
use crate::source::Release;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A library in the place of the built-in one: what `imgspec adopt` makes of an Image Builder checkout.
#[derive(Debug, Clone, Default)]
pub struct Adopted {
    /// Its folder, or a name for it if it is only in memory.
    pub root: PathBuf,
    /// The checkout's folder with the Makefile, where it is at hand.
    pub checkout: Option<PathBuf>,
    /// The release of Image Builder whose types and rules hold in it.
    pub release: Release,
    /// Specs, and the templates that their providers name, by their paths below the root.
    pub files: BTreeMap<PathBuf, String>,
    /// If it is only in memory: the files of the checkout that it was adopted from, with absolute paths.
    pub origins: Vec<(PathBuf, String)>,
    /// Identifies all of this, if that is known.
    pub digest: Option<String>,
}

impl Adopted {
    /// The form of the built-in library whose types and rules hold in it.
    pub fn edition(&self) -> Edition {
        Edition {
            release: self.release,
            roles: Roles::Upstream,
        }
    }

    /// Its specs, in the order of their paths.
    pub fn specs(&self) -> impl Iterator<Item = (&Path, &str)> {
        let is_spec = |path: &Path| path.extension().is_some_and(|e| e == "imgspec");
        self.files
            .iter()
            .filter(move |(path, _)| is_spec(path))
            .map(|(p, text)| (p.as_path(), text.as_str()))
    }

    /// The text of a template under the path that a provider names.
    pub fn template(&self, path: &str) -> Option<&str> {
        self.files.get(Path::new(path)).map(String::as_str)
    }
}
