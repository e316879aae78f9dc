//! The queue of files to check: a file that changes is next, and what the change can concern follows when no message is
//! waiting.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;
use std::path::{Path, PathBuf};

/// How many files are checked before the next look for messages: a keystroke waits for them.
const BATCH: usize = 1;

#[derive(Debug, Default)]
pub(super) struct Scheduler {
    urgent: Vec<PathBuf>,
    waiting: IndexSet<PathBuf, FxBuildHasher>,
}

impl Scheduler {
    /// True if no file is left to check.
    pub(super) fn is_settled(&self) -> bool {
        self.urgent.is_empty() && self.waiting.is_empty()
    }

    /// True if a file is left that is urgent or open.
    pub(super) fn has_urgent(&self, is_open: impl Fn(&Path) -> bool) -> bool {
        !self.urgent.is_empty() || self.waiting.iter().any(|path| is_open(path))
    }

    /// Adds a file to check before the next response.
    pub(super) fn add_urgent(&mut self, path: &Path) {
        self.urgent.retain(|other| other != path);
        self.urgent.push(path.to_owned());
    }

    /// Adds files that can wait.
    pub(super) fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.waiting.extend(paths);
    }

    /// Takes the urgent files.
    pub(super) fn take_urgent(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.urgent)
    }

    /// Takes a few files, the open ones first.
    pub(super) fn take_batch(&mut self, is_open: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
        if !self.urgent.is_empty() {
            return self.take_urgent();
        }
        let open = self.waiting.iter().filter(|path| is_open(path));
        let next: Vec<PathBuf> = open.take(BATCH).cloned().collect();
        if next.is_empty() {
            let rest = self.waiting.len().saturating_sub(BATCH);
            return self.waiting.split_off(rest).into_iter().collect();
        }
        self.waiting.retain(|path| !next.contains(path));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_files_come_first_and_open_ones_next() {
        let mut scheduler = Scheduler::default();
        scheduler.add(["a", "b", "c", "d"].map(PathBuf::from));
        scheduler.add_urgent(Path::new("u"));
        let is_open = |path: &Path| path == Path::new("b");
        let mut order = Vec::new();
        while !scheduler.is_settled() {
            order.push(scheduler.take_batch(is_open));
        }
        let expected: [&[&str]; 5] = [&["u"], &["b"], &["d"], &["c"], &["a"]];
        let expected = expected.map(|batch| batch.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(order, expected);
    }
}
