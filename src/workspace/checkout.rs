//! An Image Builder checkout as a library in memory.
//!
//! Reading a checkout runs make and reads some hundred files. The result is kept in the cache, and used until one of its
//! inputs changes.

use crate::import::{Checkout, Refused, adopt};
use crate::project::{Adopted, CONFIG_FILE, Config};
use crate::source::{Disk, FileId, Release, hex, open_regular, read_bytes};
use crate::workspace::cache;
use crate::workspace::make::{MakeFacts, USER_FILE, find_checkout, read_targets};
use crate::workspace::stage::Stage;
use crate::workspace::write::{replace_private, tidy};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// The path of an adopted library in memory, which has no folder.
pub(crate) const ADOPTED_ROOT: &str = "adopted";

/// Reads a checkout without using the cache.
///
/// # Errors
/// A message, if the folder is not a checkout, make cannot read its Makefile, no target can be read, or the checkout
/// changes in the meantime.
pub fn read_checkout(folder: &Path) -> Result<Checkout, String> {
    let root = find_checkout(folder)?;
    let before = Inputs::read(&root).digest;
    let (checkout, _) = read_with_makefiles(&root, &[])?;
    if Inputs::read(&root).digest != before {
        return Err(format!(
            "{} has changed while it was read: run the command again",
            root.display()
        ));
    }
    Ok(checkout)
}

fn read_with_makefiles(
    root: &Path,
    environment: &[(String, OsString)],
) -> Result<(Checkout, Vec<PathBuf>), String> {
    let MakeFacts { recipes, makefiles } = read_targets(root, environment)?;
    let checkout = Checkout::read(&Disk, root, &recipes, USER_FILE, &json_files(root));
    if checkout.targets.is_empty() {
        let lines = refusals(&checkout).join("\n  ");
        return Err(format!(
            "cannot read any target of {}:\n  {lines}",
            root.display()
        ));
    }
    Ok((checkout, makefiles))
}

/// Describes the targets of a checkout that cannot be read, with a line for each reason.
pub fn refusals(checkout: &Checkout) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for Refused { make, reason, .. } in checkout.refused.iter().filter(|refused| refused.is_unread)
    {
        match by_reason.iter_mut().find(|(known, _)| known == reason) {
            Some((_, names)) => names.push(make),
            None => by_reason.push((reason, vec![make])),
        }
    }
    let line = |(reason, names): (&str, Vec<&str>)| match &names[..] {
        [a, b, c, rest @ ..] if !rest.is_empty() => {
            format!("{a}, {b}, {c} and {} more: {reason}", rest.len())
        }
        names => format!("{}: {reason}", names.join(", ")),
    };
    by_reason.into_iter().map(line).collect()
}

/// Returns a checkout as a library: from the cache if no input has changed, otherwise read again. The environment
/// variables that the Makefile reads (`SSH_USERNAME`, `FOREGROUND`) are inputs too, as they are when make builds.
///
/// # Errors
/// The same as of [`read_checkout`].
pub fn adopt_checkout(folder: &Path) -> Result<Adopted, String> {
    let root = find_checkout(folder)?;
    let root = root.canonicalize().unwrap_or(root);
    let place = place_of(&root, "checkout");
    let mut inputs = Inputs::read(&root);
    if place.parent().is_some_and(Stage::is_begun) {
        tidy(&place);
    }
    if let Some(entry) = CacheEntry::read(&place).filter(|entry| entry.is_of(&inputs)) {
        return Ok(entry.library(&root, &mut inputs));
    }
    let (checkout, makefiles) = read_with_makefiles(&root, &inputs.environment)?;
    let is_seen = |path: &PathBuf| {
        inputs
            .files
            .contains_key(path.strip_prefix(&root).unwrap_or(path))
    };
    let others = makefiles
        .into_iter()
        .map(|path| root.join(path))
        .filter(|path| !is_seen(path));
    let entry = CacheEntry {
        digest: inputs.digest.clone(),
        others: others.map(|path| (digest_of(&path), path)).collect(),
        origins: checkout
            .texts
            .keys()
            .map(PathBuf::from)
            .chain([PathBuf::from("Makefile")])
            .collect(),
        files: adopt(&checkout, None),
    };
    // Only the owner may read the cache: a checkout may contain secrets. A cache that cannot be written costs only time. A
    // checkout that has changed since its digest was computed is not kept under that digest.
    if Inputs::read(&root).digest == inputs.digest
        && let Ok(bytes) = postcard::to_allocvec(&entry)
    {
        let _ = replace_private(&place, &bytes);
        remove_old(&place);
    }
    Ok(entry.library(&root, &mut inputs))
}

/// Returns the release whose types and rules hold in an adopted library, which its `imgspec.toml` names.
fn release_of(files: &BTreeMap<PathBuf, String>) -> Release {
    let text = files.get(Path::new(CONFIG_FILE)).map_or("", String::as_str);
    Config::parse(FileId(0), text, &mut Vec::new())
        .release
        .unwrap_or_default()
}

/// How many files of adopted libraries the cache keeps: up to two for each.
const MOST: usize = 32;

/// Removes the oldest entries of the cache if there are more than [`MOST`]. `new` is the path of the newest one, whatever its
/// time is: clocks go back.
pub(super) fn remove_old(new: &Path) {
    let entries = new
        .parent()
        .map(fs::read_dir)
        .into_iter()
        .flatten()
        .flatten()
        .flatten();
    let mut dated: Vec<_> = entries
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    dated.retain(|(_, path)| path != new);
    dated.sort();
    for (_, path) in dated.iter().rev().skip(MOST - 1) {
        let _ = fs::remove_file(path);
    }
}

/// True if this checkout has been read on this machine before.
pub fn is_known(folder: &Path) -> bool {
    let root = find_checkout(folder)
        .ok()
        .and_then(|root| root.canonicalize().ok());
    root.is_some_and(|root| place_of(&root, "checkout").is_file())
}

/// Returns the file in the cache for something that was read from a folder. `what` is its ending.
pub(super) fn place_of(root: &Path, what: &str) -> PathBuf {
    let name = hex(&Sha256::digest(root.as_os_str().as_encoded_bytes()));
    cache().join("adopted").join(format!("{name}.{what}"))
}

/// A checkout in the cache.
#[derive(Debug, Serialize, Deserialize)]
struct CacheEntry {
    /// The digest of the files in the checkout that may have been read, and of the other inputs.
    digest: String,
    /// Makefiles outside the checkout, each with the digest of its text.
    others: Vec<(String, PathBuf)>,
    /// The files that the library was made from, relative to the checkout.
    origins: Vec<PathBuf>,
    files: BTreeMap<PathBuf, String>,
}

impl CacheEntry {
    fn read(place: &Path) -> Option<CacheEntry> {
        postcard::from_bytes(&fs::read(place).ok()?).ok()
    }

    fn is_of(&self, inputs: &Inputs) -> bool {
        self.digest == inputs.digest
            && self
                .others
                .iter()
                .all(|(digest, path)| *digest == digest_of(path))
    }

    /// Makes the library. Takes the texts of its origins out of the inputs.
    fn library(self, root: &Path, inputs: &mut Inputs) -> Adopted {
        let origin = |path: &PathBuf| {
            let text = String::from_utf8(inputs.files.remove(path)?).ok()?;
            Some((root.join(path), text))
        };
        let origins = self.origins.iter().filter_map(origin).collect();
        let others = self.others.iter().map(|(digest, _)| digest.as_str());
        let digest = std::iter::once(self.digest.as_str()).chain(others);
        Adopted {
            root: PathBuf::from(ADOPTED_ROOT),
            checkout: Some(root.to_owned()),
            release: release_of(&self.files),
            origins,
            digest: Some(digest.collect()),
            files: self.files,
        }
    }
}

/// The inputs of reading a checkout.
#[derive(Debug)]
struct Inputs {
    /// The files of the checkout with their bytes. Large files have their size and modification time instead.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// The environment variables that makefiles read.
    environment: Vec<(String, OsString)>,
    digest: String,
}

/// The size limit, in bytes, for files that are read. No Makefile, script, template or var file is larger.
const LARGEST: u64 = 1 << 20;

/// The environment variables that make always gets.
const ENVIRONMENT: [&str; 2] = ["PATH", "HOME"];

impl Inputs {
    fn read(root: &Path) -> Inputs {
        let mut files = BTreeMap::new();
        let walk = WalkDir::new(root)
            .into_iter()
            .filter_entry(may_be_read)
            .filter_map(Result::ok);
        for entry in walk.filter(|entry| !entry.file_type().is_dir()) {
            let path = entry
                .path()
                .strip_prefix(root)
                .unwrap_or(entry.path())
                .to_owned();
            files.insert(path, read_input(&entry));
        }
        let mut digest = Sha256::new();
        let mut add = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        add(&program());
        for name in ENVIRONMENT {
            add(std::env::var_os(name)
                .unwrap_or_default()
                .as_encoded_bytes());
        }
        add(&revision(root));
        let environment = asked_for(&files);
        for (name, value) in &environment {
            add(name.as_bytes());
            add(value.as_encoded_bytes());
        }
        for (path, bytes) in &files {
            add(path.as_os_str().as_encoded_bytes());
            add(bytes);
        }
        Inputs {
            files,
            environment,
            digest: hex(&digest.finalize()),
        }
    }
}

/// Returns the environment variables that makefiles read as `$(NAME)`, without those that are inputs by themselves or
/// that make sets.
fn asked_for(files: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<(String, OsString)> {
    const OTHERS: [&str; 7] = [
        "PACKER_VAR_FILES",
        "PACKER_FLAGS",
        "PATH",
        "HOME",
        "SHELL",
        "PWD",
        "CURDIR",
    ];
    let is_makefile = |path: &&PathBuf| {
        let is_at_root = path.components().count() == 1;
        is_at_root || path.extension().is_some_and(|e| e == "mk") || path.ends_with("Makefile")
    };
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (_, bytes) in files.iter().filter(|(path, _)| is_makefile(path)) {
        let text = String::from_utf8_lossy(bytes);
        for rest in text.split(['(', '{']) {
            let end =
                rest.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
            let name = end
                .and_then(|end| rest.split_at_checked(end))
                .map_or(rest, |(name, _)| name);
            if name.len() > 1 && !name.starts_with("MAKE") && !OTHERS.contains(&name) {
                names.insert(name.to_owned());
            }
        }
    }
    names
        .into_iter()
        .filter_map(|name| Some((std::env::var_os(&name)?, name)))
        .map(|(v, n)| (n, v))
        .collect()
}

/// False for folders of which nothing is read: roles, the output of builds, hidden folders.
fn may_be_read(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_other = entry.depth() == 1 && matches!(&*name, "ansible" | "output" | "node_modules");
    entry.depth() == 0 || !entry.file_type().is_dir() || !(name.starts_with('.') || is_other)
}

fn read_input(entry: &DirEntry) -> Vec<u8> {
    if entry.file_type().is_symlink() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let mut bytes = target.as_os_str().as_encoded_bytes().to_vec();
        bytes.extend(digest_of(entry.path()).into_bytes());
        return bytes;
    }
    let Ok(metadata) = entry.metadata() else {
        return Vec::new();
    };
    if metadata.is_file() && metadata.len() <= LARGEST {
        return read_bytes(entry.path()).unwrap_or_default();
    }
    format!("{:?} {:?}", metadata.len(), metadata.modified().ok()).into_bytes()
}

/// Returns the digest of a file's bytes, or an empty string if it is not a file or larger than [`LARGEST`].
fn digest_of(path: &Path) -> String {
    // A pipe must not be waited for, and a device has no end.
    let bytes = open_regular(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match bytes {
        Ok(bytes) if bytes.len() as u64 <= LARGEST => hex(&Sha256::digest(&bytes)),
        _ => String::new(),
    }
}

/// Identifies this program: another version may read a checkout differently.
pub(super) fn program() -> Vec<u8> {
    let metadata = std::env::current_exe().and_then(fs::metadata);
    let known = metadata
        .map(|m| format!("{} {:?}", m.len(), m.modified().ok()))
        .unwrap_or_default();
    format!("{} {known}", env!("CARGO_PKG_VERSION")).into_bytes()
}

/// Returns the checkout's commit, because Makefiles read it.
fn revision(root: &Path) -> Vec<u8> {
    let Some(git) = root
        .ancestors()
        .map(|folder| folder.join(".git"))
        .find(|git| git.is_dir())
    else {
        return Vec::new();
    };
    let mut head = read_bytes(&git.join("HEAD")).unwrap_or_default();
    let branch = std::str::from_utf8(&head)
        .ok()
        .and_then(|text| text.strip_prefix("ref: "));
    let commit = branch.and_then(|branch| read_bytes(&git.join(branch.trim())).ok());
    head.extend(commit.unwrap_or_default());
    head
}

/// Returns the JSON files below `packer`, which may be var files. `FILE.json.tmpl`, the source for a script, counts as
/// `FILE.json`.
fn json_files(root: &Path) -> Vec<String> {
    let files = WalkDir::new(root.join("packer"))
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok);
    let mut out: Vec<String> = files
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| {
            let path = entry
                .path()
                .strip_prefix(root)
                .ok()?
                .to_string_lossy()
                .into_owned();
            let path = path.strip_suffix(".tmpl").unwrap_or(&path);
            path.ends_with(".json").then(|| path.to_owned())
        })
        .collect();
    out.dedup();
    out
}
