//! A project's configuration, specs and library.

use crate::project::Adopted;
use crate::project::{Config, find_root, is_inside, read_config_text};
use crate::source::{Disk, FileId, Loader, normalize, read_text};
use crate::workspace::checkout::{adopt_checkout, is_known};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Returns the root of the project around a folder, and its `imgspec.toml`. Mistakes in that file are ignored here:
/// loading the project reports them.
pub fn read_config(folder: &Path) -> (PathBuf, Config) {
    let root = find_root(&folder.join("spec"), |p| Disk.exists(p));
    let text = read_config_text(&Disk, std::slice::from_ref(&root))
        .and_then(Result::ok)
        .unwrap_or_default();
    let config = Config::parse(FileId(0), &text, &mut Vec::new());
    (root, config)
}

/// Returns all specs below a folder, sorted, without those in excluded and hidden folders and in other tools' output.
///
/// # Errors
/// If a folder cannot be read.
pub fn spec_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (root, config) = read_config(folder);
    let excluded: Vec<PathBuf> = config
        .exclude
        .iter()
        .map(|e| normalize(&root.join(e)))
        .collect();
    let mut out = Vec::new();
    collect_specs(folder, &excluded, &mut out)?;
    Ok(out)
}

fn collect_specs(folder: &Path, excluded: &[PathBuf], out: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        entries.push(entry?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        let is_link = path.is_symlink();
        if path.is_dir() && !is_link {
            // A folder with its own configuration is another project.
            if !excluded.contains(&path) && !path.join("imgspec.toml").exists() {
                collect_specs(&path, excluded, out)?;
            }
        } else if name.ends_with(".imgspec") && !path.is_dir() {
            // A pipe or a broken link is reported when it is read.
            out.push(path);
        }
    }
    Ok(())
}

/// Returns the library that the project around a folder uses instead of the standard library, with the folder of its
/// specs if it has one. `allowed` are folders outside the project that may be read.
///
/// Reading a checkout runs commands of its Makefile. A checkout inside the project is as trustworthy as the project, so
/// it is read only if the user has named it with `--in` before.
///
/// # Errors
/// A message, if the library cannot be read, or the checkout is not trusted.
pub fn project_library(
    folder: &Path,
    allowed: &[PathBuf],
) -> Result<Option<(Option<PathBuf>, Adopted)>, String> {
    let (root, config) = read_config(folder);
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
        return Ok(Some((Some(folder), library)));
    }
    let Some(checkout) = config.checkout else {
        return Ok(None);
    };
    if checkout.as_os_str().is_empty() {
        return Err(
            "`checkout` in imgspec.toml is empty: write the checkout's folder, or remove the line"
                .to_owned(),
        );
    }
    let folder = normalize(&root.join(&checkout));
    if folder.starts_with(&root) && !is_known(&folder) {
        return Err(format!(
            "imgspec.toml names the checkout {0} inside the project, and reading it runs commands of its Makefile: use `--in {0}` once if you trust it",
            checkout.display()
        ));
    }
    Ok(Some((None, adopt_checkout(&folder)?)))
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
        ..Adopted::default()
    };
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry?;
        let has_extension = |path: &Path| {
            path.extension()
                .is_some_and(|e| e == "imgspec" || e == "json")
        };
        if entry.file_type().is_file() && has_extension(entry.path()) {
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            library
                .files
                .insert(path.to_owned(), read_text(entry.path())?);
        }
    }
    Ok(library)
}
