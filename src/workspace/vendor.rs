//! The vendored copies of files that the specs of a project include by their address.

use crate::project::{Address, LOCK_FILE, Locked, VENDOR, find_include, find_root};
use crate::source::{Disk, FileId, Loader, normalize, read_text, sha256};
use crate::syntax;
use crate::workspace::download::download;
use crate::workspace::write::replace;
use crate::workspace::{WriteError, read_config, spec_files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The most files that a project may include by their address: a vendored file may include others.
const MAX_COPIES: usize = 1000;

/// What is so about a copy, or has been done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// It is the file that the lock file names.
    Same,
    /// The lock file does not name it.
    New,
    /// The lock file names it, and it is not there.
    Missing,
    /// It is not the file that the lock file names.
    Different,
    /// The lock file named another file. Only an update finds that out.
    Updated,
    /// Nothing includes it.
    Unused,
}

/// The copies of a project, and the texts that were downloaded.
#[derive(Debug)]
pub struct Copies {
    root: PathBuf,
    old: Locked,
    new: Locked,
    /// What is so about each copy, in the order of the addresses.
    pub states: BTreeMap<Address, Copy>,
    texts: Vec<(Address, String)>,
}

/// Finds what the specs of a project include by address, and what those files include. With `get`, downloads copies that are
/// not what the lock file names, and those in `update`.
///
/// # Errors
/// A message, if a spec or the lock file cannot be read, an address is not allowed, or a download fails or is not what the lock
/// file names.
pub fn find_copies(root: &Path, get: bool, update: &[Address]) -> Result<Copies, String> {
    let old = read_lock(root)?;
    let mut copies = Copies {
        root: root.to_owned(),
        new: Locked::default(),
        states: BTreeMap::new(),
        texts: Vec::new(),
        old,
    };
    let mut open: Vec<Address> = included_by_specs(root)?.into_iter().collect();
    while let Some(address) = open.pop() {
        if copies.states.contains_key(&address) {
            continue;
        }
        if copies.states.len() >= MAX_COPIES {
            return Err(format!(
                "the specs include more than {MAX_COPIES} files by their address: {} is one of them",
                address.as_str()
            ));
        }
        let text = copies.look(&address, get, update.contains(&address))?;
        if let Some(text) = text {
            open.extend(included_by_copy(&address, &text)?);
        }
    }
    if let Some(unknown) = update.iter().find(|a| !copies.states.contains_key(a)) {
        return Err(format!(
            "no spec includes {}: write the address as the `include` does",
            unknown.as_str()
        ));
    }
    // What a missing copy includes is not known.
    let is_known = |state: &Copy| get || *state == Copy::Same;
    if copies.states.values().all(is_known) {
        for address in copies.old.sums.keys() {
            copies.states.entry(address.clone()).or_insert(Copy::Unused);
        }
    }
    Ok(copies)
}

impl Copies {
    /// Notes what is so about a copy, and returns its text if it is known.
    fn look(
        &mut self,
        address: &Address,
        get: bool,
        update: bool,
    ) -> Result<Option<String>, String> {
        let path = self.root.join(address.copy());
        let there = if Disk.exists(&path) {
            self.expect_own(&path)?;
            Some(read_text(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?)
        } else {
            None
        };
        let wanted = self.old.sums.get(address).cloned();
        let is_same = there
            .as_ref()
            .is_some_and(|text| self.old.is_same(address, text) == Some(true));
        let mut state = match (&wanted, &there) {
            (None, _) => Copy::New,
            (Some(_), _) if is_same => Copy::Same,
            (Some(_), None) => Copy::Missing,
            (Some(_), Some(_)) => Copy::Different,
        };
        let mut text = there;
        if get && (update || state != Copy::Same) {
            let new = download(address)?;
            let sum = sha256(&new);
            match &wanted {
                Some(wanted) if *wanted != sum && !update => {
                    return Err(format!(
                        "{} is not the file that {LOCK_FILE} names: its SHA-256 is {sum}, and not {wanted}; `imgspec vendor --update {0}` takes the new file (nothing has changed)",
                        address.as_str()
                    ));
                }
                Some(wanted) if *wanted != sum => state = Copy::Updated,
                _ => {}
            }
            self.new.sums.insert(address.clone(), sum);
            self.texts.push((address.clone(), new.clone()));
            text = Some(new);
        } else if let Some(wanted) = wanted {
            self.new.sums.insert(address.clone(), wanted);
        }
        self.states.insert(address.clone(), state);
        // Another file than the lock file names says nothing about what is needed.
        Ok(text.filter(|_| get || state == Copy::Same))
    }

    /// Checks that the place of a copy is in the project: anyone who writes to it could have made a link.
    fn expect_own(&self, path: &Path) -> Result<(), String> {
        let real = Disk.canonical(path);
        if real.starts_with(Disk.canonical(&self.root)) {
            return Ok(());
        }
        Err(format!(
            "{} leads to {}, which is outside the project: remove the link",
            path.display(),
            real.display()
        ))
    }

    /// Returns the SHA-256 of a copy in the lock file, before and after.
    pub fn sums(&self, address: &Address) -> (Option<&str>, Option<&str>) {
        (
            self.old.sums.get(address).map(String::as_str),
            self.new.sums.get(address).map(String::as_str),
        )
    }

    /// Writes the copies and the lock file, and removes the copies that nothing includes.
    ///
    /// # Errors
    /// If a file cannot be written or removed.
    pub fn write(&self) -> Result<(), WriteError> {
        let outside = |path: &Path, why: String| WriteError::new(path, io::Error::other(why));
        for (address, text) in &self.texts {
            let path = self.root.join(address.copy());
            self.expect_own(&path).map_err(|why| outside(&path, why))?;
            replace(&path, text.as_bytes())?;
        }
        let lock = self.root.join(LOCK_FILE);
        if !self.new.sums.is_empty() {
            replace(&lock, self.new.text().as_bytes())?;
        } else if Disk.exists(&lock) {
            fs::remove_file(&lock).map_err(|e| WriteError::new(&lock, e))?;
        }
        let unused = self
            .states
            .iter()
            .filter(|(_, state)| **state == Copy::Unused);
        for (address, _) in unused {
            let path = self.root.join(address.copy());
            if !Disk.exists(&path) {
                continue;
            }
            self.expect_own(&path).map_err(|why| outside(&path, why))?;
            fs::remove_file(&path).map_err(|e| WriteError::new(&path, e))?;
            let copies = self.root.join(VENDOR);
            let folders = path.ancestors().skip(1);
            for folder in folders.take_while(|folder| folder.starts_with(&copies)) {
                // One that is not empty stays.
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Reads the lock file of a project. Without one, nothing is locked.
fn read_lock(root: &Path) -> Result<Locked, String> {
    let path = root.join(LOCK_FILE);
    if !Disk.exists(&path) {
        return Ok(Locked::default());
    }
    let text = read_text(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Locked::parse(&text).map_err(|at| {
        let before = text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        format!("line {line} of {LOCK_FILE} is not a SHA-256 and an address: remove it")
    })
}

/// Returns the addresses that the specs of a project and its policies include.
fn included_by_specs(root: &Path) -> Result<BTreeSet<Address>, String> {
    let mut open = spec_files(root).map_err(|e| e.to_string())?;
    let policies = read_config(root).1.policies;
    open.extend(policies.iter().map(|path| normalize(&root.join(path))));
    let mut known: BTreeSet<PathBuf> = open.iter().cloned().collect();
    let mut out = BTreeSet::new();
    while let Some(path) = open.pop() {
        let text = read_text(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        for include in includes(&text) {
            if Address::is_meant(&include) {
                out.insert(parse(&include, &path.display().to_string())?);
                continue;
            }
            let target = find_include(&path, &include, |path| Disk.exists(path));
            let is_spec = target.extension().is_some_and(|ending| ending == "imgspec");
            let is_of_project = || find_root(&target, |path| Disk.exists(path)) == root;
            let is_copy = target
                .strip_prefix(root)
                .is_ok_and(|path| Address::of_copy(path).is_some());
            if is_copy {
                let path = target.strip_prefix(root).unwrap_or(&target);
                out.extend(Address::of_copy(path));
            } else if is_spec
                && is_of_project()
                && Disk.is_file(&target)
                && known.insert(target.clone())
            {
                open.push(target);
            }
        }
    }
    Ok(out)
}

/// Returns the addresses that a vendored file includes.
fn included_by_copy(address: &Address, text: &str) -> Result<Vec<Address>, String> {
    if !address.as_str().ends_with(".imgspec") {
        return Ok(Vec::new());
    }
    let resolve = |include: String| {
        if Address::is_meant(&include) {
            return parse(&include, address.as_str());
        }
        address.join(&include).ok_or_else(|| {
            format!(
                "{} includes `{include}`, which is not a file of its folder",
                address.as_str()
            )
        })
    };
    includes(text).into_iter().map(resolve).collect()
}

/// Returns the paths of the includes in a spec.
fn includes(text: &str) -> Vec<String> {
    let file = syntax::parse(FileId(0), text).file;
    let paths = file.includes().map(|include| include.path.text.to_string());
    paths.filter(|path| !path.is_empty()).collect()
}

fn parse(include: &str, place: &str) -> Result<Address, String> {
    Address::parse(include)
        .map_err(|why| format!("{place} includes `{include}`, which is not allowed: {why}"))
}
