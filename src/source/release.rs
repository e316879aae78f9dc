//! The releases of Image Builder that the standard library describes.

use crate::source::embedded::{self, STDLIB};
use std::fmt;
use std::path::PathBuf;

/// A release of Image Builder, such as `v0.1.13`. Its library consists of the files that `stdlib/RELEASE.imgspec` includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Release(&'static str);

impl Default for Release {
    /// The release of a project that names none.
    fn default() -> Release {
        Release("v0.1.13")
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Release {
    /// Returns all releases, the oldest first.
    pub fn all() -> Vec<Release> {
        let names = STDLIB
            .files()
            .filter_map(|file| file.path().to_str()?.strip_suffix(".imgspec"));
        let mut all: Vec<Release> = names.map(Release).collect();
        all.sort_by_key(|release| release.numbers());
        all
    }

    /// Returns the newest release.
    pub fn newest() -> Release {
        Release::all().pop().unwrap_or_default()
    }

    /// Returns the release with a name.
    pub fn find(name: &str) -> Option<Release> {
        Release::all().into_iter().find(|release| release.0 == name)
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// Returns the numbers of its name, by which releases are ordered.
    fn numbers(self) -> Vec<u32> {
        let numbers = self.0.split(|c: char| !c.is_ascii_digit());
        numbers.filter_map(|number| number.parse().ok()).collect()
    }

    /// Returns what its root file says about it: the text of its doc comment.
    pub fn about(self) -> String {
        let lines = self
            .root()
            .lines()
            .filter_map(|line| line.strip_prefix("## "));
        lines.collect::<Vec<_>>().join(" ")
    }

    fn root(self) -> &'static str {
        embedded::find(&STDLIB, &format!("{}.imgspec", self.0)).unwrap_or_default()
    }

    /// Returns the files of its library with their paths below `stdlib`, in the order of its root file.
    pub fn files(self) -> impl Iterator<Item = (PathBuf, &'static str)> {
        let includes = self
            .root()
            .lines()
            .filter_map(|line| line.strip_prefix("include \"")?.strip_suffix('"'));
        includes.filter_map(|path| Some((PathBuf::from(path), embedded::find(&STDLIB, path)?)))
    }

    /// True if its library has an item of this kind (`variable`, `image`, …) and name.
    pub fn declares(self, kind: &str, name: &str) -> bool {
        let is_item = |line: &str| {
            let rest = line
                .strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix(' '));
            rest.and_then(|rest| rest.strip_prefix(name))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ':']))
        };
        self.files().any(|(_, text)| text.lines().any(is_item))
    }

    /// Returns the newest of the other releases whose libraries have an item of this kind and name.
    pub fn other_with(self, kind: &str, name: &str) -> Option<Release> {
        let mut others = Release::all()
            .into_iter()
            .rev()
            .filter(|other| *other != self);
        others.find(|other| other.declares(kind, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_belongs_to_a_release_and_exists() {
        let included: Vec<PathBuf> = Release::all()
            .into_iter()
            .flat_map(Release::files)
            .map(|(path, _)| path)
            .collect();
        for release in Release::all() {
            let lines = release
                .root()
                .lines()
                .filter(|line| line.starts_with("include"));
            assert_eq!(
                lines.count(),
                release.files().count(),
                "{release}: a file does not exist"
            );
            assert!(!release.about().is_empty(), "{release}");
        }
        let mut open = vec![&STDLIB];
        while let Some(dir) = open.pop() {
            open.extend(dir.dirs());
            let is_spec = |path: &std::path::Path| path.extension().is_some_and(|e| e == "imgspec");
            let files = dir
                .files()
                .filter(|file| file.path().components().count() > 1 && is_spec(file.path()));
            for file in files {
                assert!(
                    included.iter().any(|path| path == file.path()),
                    "no release includes {}",
                    file.path().display()
                );
            }
        }
    }

    #[test]
    fn releases_are_ordered_by_their_numbers() {
        let mut releases = [Release("v0.1.100"), Release("v0.1.13"), Release("v0.1.9")];
        releases.sort_by_key(|release| release.numbers());
        assert_eq!(
            releases.map(|release| release.0),
            ["v0.1.9", "v0.1.13", "v0.1.100"]
        );
    }
}
