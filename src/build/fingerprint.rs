//! A fingerprint of a build's inputs: an image with the same inputs needs no second build.

use crate::build::artifacts::sha256_file;
use crate::emit::{Artifacts, BuildPlan, TemplatePath};
use crate::source::hex;
use crate::workspace::digest;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Returns a digest of all inputs of an image: the compiled files, the templates and roles, the files and folders that
/// values name (including the project's roles), and the environment variables that the output reads.
///
/// # Errors
/// If a file that a value names cannot be read.
pub(crate) fn inputs(artifacts: &Artifacts, variables: &[(String, String)]) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut add = |name: &str, content: &str| {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    };
    add("imgspec", env!("CARGO_PKG_VERSION"));
    for (name, content) in artifacts.files() {
        add(name, &content);
    }
    add("assets", &digest());
    if let TemplatePath::Disk(path) = &artifacts.build.template {
        add("template", &sha256_file(path)?);
    }
    for (name, value) in variables {
        add(name, value);
    }
    for folder in paths(&artifacts.build) {
        for file in files(&folder)? {
            add(&file.display().to_string(), &sha256_file(&file)?);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Returns the files and folders of this machine that are inputs of an image. A role can use other roles through
/// `dependencies` or `include_role`, with names that only Ansible can compute. So if an image uses a role of the project,
/// all role folders of the project are inputs.
fn paths(recipe: &BuildPlan) -> BTreeSet<PathBuf> {
    let mut paths = recipe.paths.clone();
    let named = recipe
        .roles
        .iter()
        .filter(|role| Path::new(&role.name).is_absolute());
    paths.extend(named.map(|role| PathBuf::from(&role.name)));
    let is_own = |folder: &PathBuf| {
        recipe
            .roles
            .iter()
            .any(|role| role.is_path() || folder.join(&role.name).is_dir())
    };
    if recipe.role_folders.iter().any(is_own) {
        paths.extend(
            recipe
                .role_folders
                .iter()
                .filter(|folder| folder.is_dir())
                .cloned(),
        );
    }
    paths
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
