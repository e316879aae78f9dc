//! What goes into a build, as one name: an image whose inputs are the same needs no second build.

use super::{assets, output::sha256_file};
use crate::emit::{Artifacts, TemplatePath};
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;
use walkdir::WalkDir;

/// Names all inputs of an image: the compiled files, the templates and roles, the files and folders that
/// values name, and what the environment holds under the names that the output reads.
///
/// # Errors
/// What the system says of a file that a value names.
pub(super) fn inputs(artifacts: &Artifacts, variables: &[(String, String)]) -> io::Result<String> {
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
    add("assets", &assets::digest());
    if let TemplatePath::Disk(path) = &artifacts.recipe.template {
        add("template", &sha256_file(path)?);
    }
    for (name, value) in variables {
        add(name, value);
    }
    for path in &artifacts.recipe.paths {
        for file in files(path) {
            add(&file.display().to_string(), &sha256_file(&file)?);
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file itself, or all files of a folder, in order.
fn files(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = WalkDir::new(path).sort_by_file_name().into_iter().filter_map(Result::ok);
    entries.filter(|e| e.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}
