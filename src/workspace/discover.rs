//! A project's configuration, specs and library.

use crate::project::{Adopted, Edition, LibraryChoice};
use crate::project::{Config, VENDOR, find_root, is_inside, read_config_text};
use crate::schema::Roles;
use crate::source::{Disk, FileId, Loader, MAX_EXCLUDED, Release, normalize, read_text_real};
use crate::workspace::checkout::{adopt_checkout, is_known};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::io;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Returns the root of the project around a folder.
pub fn project_root(folder: &Path) -> PathBuf {
    find_root(&folder.join("spec"), |p| Disk.exists(p))
}

/// Returns the root of the project around a folder, and its `imgspec.toml`. Mistakes in that file are ignored here:
/// loading the project reports them.
pub fn read_config(folder: &Path) -> (PathBuf, Config) {
    let root = project_root(folder);
    let text = read_config_text(&Disk, std::slice::from_ref(&root))
        .and_then(Result::ok)
        .unwrap_or_default();
    let config = Config::parse(FileId(0), &text, &mut Vec::new());
    (root, config)
}

/// Returns all specs below a folder, sorted, without those that the project excludes and those in hidden folders, in other
/// projects and in other tools' output. Whether git ignores a spec makes no difference.
///
/// # Errors
/// If a folder cannot be read, or a glob in `exclude` is invalid.
pub fn spec_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in walk(folder)? {
        let entry = entry?;
        let is_file = entry.file_type().is_file();
        let path = entry.into_path();
        // A pipe or a broken link is reported when it is read.
        if path.extension().is_some_and(|e| e == "imgspec") && (is_file || !path.is_dir()) {
            out.push(path);
        }
    }
    Ok(out)
}

/// Returns the folders in which [`spec_files`] looks for specs: those that can be read, and at most `most`.
pub fn spec_folders(folder: &Path, most: usize) -> Vec<PathBuf> {
    let entries = walk(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &DirEntry| entry.file_type().is_dir();
    let folders = entries.filter(is_folder).map(DirEntry::into_path);
    folders.take(most).collect()
}

/// Walks over the files and folders of a project in which specs can be.
///
/// # Errors
/// If a glob in `exclude` is invalid.
fn walk(folder: &Path) -> io::Result<impl Iterator<Item = walkdir::Result<DirEntry>> + use<>> {
    let (root, config) = read_config(folder);
    let exclude = Exclude::new(&root, &config.exclude)?;
    // Copies belong to the files that include them.
    let copies = root.join(VENDOR);
    let is_wanted = move |entry: &DirEntry| {
        let name = entry.file_name();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        let is_other = is_hidden || name == "target" || name == "node_modules";
        let is_folder = entry.file_type().is_dir();
        // A folder with its own configuration is another project.
        let is_project = || is_folder && entry.path().join("imgspec.toml").exists();
        let is_out = || {
            is_other
                || entry.path() == copies
                || is_project()
                || exclude.contains(entry.path(), is_folder)
        };
        entry.depth() == 0 || !is_out()
    };
    let walk = WalkDir::new(folder).sort_by_file_name().into_iter();
    Ok(walk.filter_entry(is_wanted))
}

/// The folders and globs of `exclude`.
struct Exclude {
    /// Entries that exist. Their names may contain the characters of globs.
    folders: Vec<PathBuf>,
    globs: Gitignore,
}

impl Exclude {
    fn new(root: &Path, entries: &[PathBuf]) -> io::Result<Exclude> {
        if entries.len() > MAX_EXCLUDED {
            let message = format!("`exclude` in imgspec.toml has more than {MAX_EXCLUDED} entries");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut folders = Vec::new();
        let mut globs = GitignoreBuilder::new(root);
        for entry in entries {
            let folder = normalize(&root.join(entry));
            if folder.exists() {
                folders.push(folder);
                continue;
            }
            // Like a folder, a glob starts at the project's root.
            let glob = folder.strip_prefix(root).unwrap_or(entry).display();
            globs.add_line(None, &format!("/{glob}")).map_err(|error| {
                let message = format!("`exclude` in imgspec.toml: {error}");
                io::Error::new(io::ErrorKind::InvalidInput, message)
            })?;
        }
        let globs = globs.build().map_err(io::Error::other)?;
        Ok(Exclude { folders, globs })
    }

    fn contains(&self, path: &Path, is_folder: bool) -> bool {
        self.folders.iter().any(|folder| folder == path)
            || self.globs.matched(path, is_folder).is_ignore()
    }
}

/// What the command line says about the built-in library.
#[derive(Debug, Default, Clone, Copy)]
pub struct Wanted {
    /// The release, whatever the project uses.
    pub release: Option<Release>,
    /// Whose roles the output is for.
    pub roles: Option<Roles>,
}

/// Returns the library of the project around a folder. `allowed` are folders outside the project that may be read.
///
/// Reading a checkout runs commands of its Makefile. A checkout inside the project is as trustworthy as the project, so
/// it is read only if the user has named it with `--in` before.
///
/// # Errors
/// A message, if the library cannot be read, or the checkout is not trusted.
pub fn project_library(
    folder: &Path,
    allowed: &[PathBuf],
    wanted: Wanted,
) -> Result<LibraryChoice, String> {
    let (root, config) = read_config(folder);
    let built_in = LibraryChoice::BuiltIn(Edition {
        release: wanted.release.or(config.release).unwrap_or_default(),
        roles: wanted.roles.or(config.roles).unwrap_or_default(),
    });
    if wanted.release.is_some() {
        return Ok(built_in);
    }
    if let Some(library) = config.library {
        let folder = normalize(&root.join(library));
        let mut roots = vec![root.clone()];
        roots.extend(
            config
                .include_roots
                .iter()
                .map(|folder| normalize(&root.join(folder))),
        );
        roots.extend(allowed.iter().cloned());
        let library = read_library(&folder, &roots);
        let library =
            library.map_err(|e| format!("cannot read the library {}: {e}", folder.display()))?;
        return Ok(LibraryChoice::Adopted(library));
    }
    let Some(checkout) = config.checkout else {
        return Ok(built_in);
    };
    if checkout.as_os_str().is_empty() {
        return Err(
            "`checkout` in imgspec.toml is empty: write the checkout's folder, or remove the line"
                .to_owned(),
        );
    }
    let folder = normalize(&root.join(&checkout));
    if has_same_origin(&folder, &root) && !is_known(&folder) {
        return Err(format!(
            "imgspec.toml names the checkout {0} inside the project, and reading it runs commands of its Makefile: use `--in {0}` once if you trust it",
            checkout.display()
        ));
    }
    Ok(LibraryChoice::Adopted(adopt_checkout(&folder)?))
}

/// Whether a checkout comes from where the project comes from: it is inside the project or inside the repository around
/// it, or contains the project. No link and no way around, such as `/proc/self/cwd`, hides that.
fn has_same_origin(checkout: &Path, root: &Path) -> bool {
    let (checkout, root) = (Disk.canonical(checkout), Disk.canonical(root));
    let repository = root
        .ancestors()
        .find(|folder| Disk.exists(&folder.join(".git")));
    checkout.starts_with(repository.unwrap_or(&root)) || root.starts_with(&checkout)
}

/// Reads the library in a folder, which must be inside one of `roots`.
///
/// # Errors
/// `PermissionDenied` if it is outside; otherwise if the folder or one of its files cannot be read.
fn read_library(root: &Path, roots: &[PathBuf]) -> io::Result<Adopted> {
    if !is_inside(&Disk, root, roots) {
        let why = "it is outside the project; `--include-root FOLDER` allows a folder";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut library = Adopted {
        root: root.to_owned(),
        release: read_config(root).1.release.unwrap_or_default(),
        ..Adopted::default()
    };
    let real = Disk.canonical(root);
    for entry in WalkDir::new(&real).sort_by_file_name() {
        let entry = entry?;
        let has_extension = |path: &Path| {
            path.extension()
                .is_some_and(|e| e == "imgspec" || e == "json")
        };
        if entry.file_type().is_file() && has_extension(entry.path()) {
            let path = entry.path().strip_prefix(&real).unwrap_or(entry.path());
            library
                .files
                .insert(path.to_owned(), read_text_real(entry.path())?);
        }
    }
    Ok(library)
}
