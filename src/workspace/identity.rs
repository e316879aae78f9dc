//! The ID of an image: a digest of what its build sees. docs/building.md, "The ID of an image".

use crate::emit::{Files, Role, Sight, from_root};
use crate::source::{MAX_SEEN, hex, open_regular};
use crate::workspace::ASSET_SUMS;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use walkdir::WalkDir;

/// The names of all that a build sees, with the SHA-256 of each. The names are the same on every machine.
pub type Seen = BTreeMap<String, String>;

/// The folder that the names of the var files begin with. It is behind those of imgspec's own files.
const VAR_FILES: &str = "output";

/// What a build sees besides imgspec's own templates and roles. All names are greater than those of imgspec's own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own(Seen);

/// Returns the SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
/// If it is no regular file, or cannot be read.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = open_regular(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Reads the files that images name. Images often name the same ones: each is read once.
#[derive(Debug, Default)]
pub struct Eyes {
    known: Mutex<HashMap<BTreeSet<PathBuf>, Arc<Seen>>>,
    /// A command that builds nothing reads little, and nothing outside of a project.
    is_bounded: bool,
}

impl Eyes {
    /// Reads only files of a project, and not more than [`MAX_SEEN`] bytes.
    pub fn bounded() -> Eyes {
        Eyes {
            is_bounded: true,
            ..Eyes::default()
        }
    }

    /// Lists what the build of an image sees: the var files, the template, the runs of Packer, and the files and folders that
    /// values name (including the project's roles). Secrets, environment variables, sources and imgspec's version are not in
    /// the list.
    ///
    /// # Errors
    /// If a file that a value names cannot be read.
    pub fn look(&self, sight: &Sight) -> io::Result<Own> {
        let mut own = Seen::new();
        for (name, sum) in &sight.portable {
            own.insert(format!("{VAR_FILES}/{name}"), sum.clone());
        }
        own.insert("recipe.json".to_owned(), sight.recipe.clone());
        let paths = paths(sight);
        if !paths.is_empty() {
            let files = self.read(paths, &sight.root)?;
            own.extend(files.iter().map(|(name, sum)| (name.clone(), sum.clone())));
        }
        Ok(Own(own))
    }

    /// Returns the names and digests of files, which are read only once.
    fn read(&self, paths: BTreeSet<PathBuf>, root: &Path) -> io::Result<Arc<Seen>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = known.get(&paths) {
            return Ok(files.clone());
        }
        if self.is_bounded && paths.iter().any(|path| !path.starts_with(root)) {
            return Err(io::Error::other("a file is outside of the project"));
        }
        let most = if self.is_bounded { MAX_SEEN } else { u64::MAX };
        let files = Arc::new(sums(&paths, root, most)?);
        known.insert(paths, files.clone());
        Ok(files)
    }

    /// Writes the ID of an image into its manifest, unless a file that a value names cannot be read.
    pub fn identify(&self, files: &mut Files) {
        if let Ok(own) = self.look(&files.sight) {
            let [_, _, (_, manifest)] = &mut files.files;
            put_id(manifest, &own.id());
        }
    }
}

/// Writes an ID into the text of a manifest that has none.
pub fn put_id(manifest: &mut String, id: &str) {
    *manifest = manifest.replacen("\n  \"id\": null,", &format!("\n  \"id\": \"{id}\","), 1);
}

impl Own {
    /// Returns the ID: the SHA-256 of a line `SHA256  NAME` for everything that a build sees, in the order of the names.
    /// `sha256sum` prints such lines.
    pub fn id(&self) -> String {
        // All images begin with the same lines.
        static ASSETS: OnceLock<Sha256> = OnceLock::new();
        let assets = || Sha256::new_with_prefix(ASSET_SUMS);
        let mut hash = ASSETS.get_or_init(assets).clone();
        for (name, sum) in &self.0 {
            hash.update(format!("{sum}  {name}\n"));
        }
        hex(&hash.finalize())
    }

    /// Returns the list without imgspec's own templates and roles.
    pub fn without_assets(self) -> Seen {
        self.0
    }

    /// Adds imgspec's own templates and roles.
    pub fn all(self) -> Seen {
        let mut all = self.0;
        let lines = ASSET_SUMS.lines().filter_map(|line| line.split_once("  "));
        all.extend(lines.map(|(sum, name)| (name.to_owned(), sum.to_owned())));
        all
    }
}

/// Returns the files and folders of this machine that are inputs of an image. A role can use other roles through
/// `dependencies` or `include_role`, with names that only Ansible can compute. So if an image uses a role of the project,
/// all role folders of the project are inputs.
fn paths(sight: &Sight) -> BTreeSet<PathBuf> {
    let mut paths = sight.paths.clone();
    if sight.roles.is_empty() {
        return paths;
    }
    let is_absolute = |role: &&Role| Path::new(&role.name).is_absolute();
    let named = sight.roles.iter().filter(is_absolute);
    paths.extend(named.map(|role| PathBuf::from(&role.name)));
    let is_own = |folder: &PathBuf| {
        let mut roles = sight.roles.iter();
        roles.any(|role| role.is_path() || folder.join(&role.name).is_dir())
    };
    if sight.role_folders.iter().any(is_own) {
        let folders = sight.role_folders.iter().filter(|folder| folder.is_dir());
        paths.extend(folders.cloned());
    }
    paths
}

/// Returns the names and digests of files, and of those in folders.
///
/// # Errors
/// If one cannot be read, or they have more bytes than `most`.
fn sums(paths: &BTreeSet<PathBuf>, root: &Path, most: u64) -> io::Result<Seen> {
    let mut out = Seen::new();
    let mut size = 0;
    for path in paths {
        for file in files(path)? {
            size += fs::metadata(&file)?.len();
            if size > most {
                return Err(io::Error::other("the files are too large"));
            }
            let name = from_root(root, &file.to_string_lossy());
            out.insert(format!("project/{name}"), sha256_file(&file)?);
        }
    }
    Ok(out)
}

/// Returns a file itself, or all files of a folder without `.git`, sorted, with links followed.
///
/// # Errors
/// If a folder cannot be read.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let entries = WalkDir::new(path)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter();
    for entry in entries.filter_entry(|entry| entry.file_name() != ".git") {
        match entry {
            Ok(entry) if entry.file_type().is_file() => out.push(entry.into_path()),
            Ok(_) => {}
            // A broken link, or a link to a parent folder, adds no content.
            Err(error) if error.loop_ancestor().is_some() || is_gone(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(out)
}

fn is_gone(error: &walkdir::Error) -> bool {
    error
        .io_error()
        .is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}
