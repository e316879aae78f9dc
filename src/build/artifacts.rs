//! The artifacts of a build, and their record.

use crate::source::{hex, open_regular, read_text};
use globset::{Glob, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// A file that a build made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The path, relative to the image's folder.
    pub path: PathBuf,
    /// The size in bytes.
    pub size: u64,
    /// The sha256 of the content, in hexadecimal.
    pub sha256: String,
}

/// The content of `build.json` (docs/json.md).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The version of the form, 1.
    pub build: u32,
    /// The image's name.
    pub image: String,
    /// A fingerprint of all inputs. The same inputs need no second build.
    pub inputs: String,
    /// The files that the provider's `artifact` pattern names.
    pub artifacts: Vec<Artifact>,
    /// All files in `output`, relative to the image's folder.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The manifest of the compiled files.
    pub manifest: serde_json::Value,
}

impl Record {
    /// Reads the record of the last successful build.
    pub fn read(folder: &Path) -> Option<Record> {
        let text = read_text(&folder.join("build.json")).ok()?;
        serde_json::from_str(&text)
            .ok()
            .filter(|record: &Record| record.build == 1)
    }

    /// The paths of all files that the build left in `output`.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files
            .iter()
            .chain(self.artifacts.iter().map(|artifact| &artifact.path))
            .map(PathBuf::as_path)
    }

    /// True if all artifacts exist with the recorded sizes.
    pub fn is_whole(&self, folder: &Path) -> bool {
        self.artifacts
            .iter()
            .all(|a| fs::metadata(folder.join(&a.path)).is_ok_and(|m| m.len() == a.size))
    }
}

/// Moves `output` from Packer's working folder to the image's folder, with the artifacts: the files that match `pattern`.
/// Returns the artifacts and the paths of all files. Files that a user has added to the last output stay.
///
/// # Errors
/// If no file matches the pattern, or a file cannot be moved. The last output then stays.
pub(crate) fn keep(
    work: &Path,
    folder: &Path,
    pattern: Option<&str>,
) -> io::Result<(Vec<Artifact>, Vec<PathBuf>)> {
    let mut artifacts = pattern.map_or(Ok(Vec::new()), |pattern| collect(work, pattern))?;
    if let (Some(pattern), true) = (pattern, artifacts.is_empty()) {
        let message = format!(
            "Packer succeeded, but no file matches `{pattern}` in {}",
            work.display()
        );
        return Err(io::Error::other(message));
    }
    for artifact in artifacts
        .iter_mut()
        .filter(|a| !a.path.starts_with("output"))
    {
        // Artifacts outside `output` are moved into it.
        let path = Path::new("output").join(&artifact.path);
        fs::create_dir_all(work.join(&path).parent().unwrap_or(work))?;
        fs::rename(work.join(&artifact.path), work.join(&path))?;
        artifact.path = path;
    }
    let (new, place, old) = (
        work.join("output"),
        folder.join("output"),
        work.join("output.old"),
    );
    if !new.exists() {
        return Ok((artifacts, Vec::new()));
    }
    let files = list_files(&new)?;
    if let Some(record) = Record::read(folder).filter(|record| !record.files.is_empty()) {
        carry_over(&place, &new, &record)?;
    }
    if place.exists() {
        fs::rename(&place, &old)?;
    }
    if let Err(error) = fs::rename(&new, &place) {
        let _ = fs::rename(&old, &place);
        return Err(error);
    }
    Ok((
        artifacts,
        files
            .iter()
            .map(|file| Path::new("output").join(file))
            .collect(),
    ))
}

/// Returns the files below a folder, relative to it, sorted.
fn list_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(io::Error::other)?;
        if !entry.file_type().is_dir() {
            out.push(
                entry
                    .path()
                    .strip_prefix(folder)
                    .unwrap_or(entry.path())
                    .to_owned(),
            );
        }
    }
    Ok(out)
}

/// Links the files that no build has made from the old output to the new one. If the new output contains a file of the same
/// name, the link gets the suffix `.old`.
fn carry_over(old: &Path, new: &Path, record: &Record) -> io::Result<()> {
    if !old.is_dir() {
        return Ok(());
    }
    let is_ours = |file: &PathBuf| {
        record
            .paths()
            .any(|path| path == Path::new("output").join(file))
    };
    for file in list_files(old)?.into_iter().filter(|file| !is_ours(file)) {
        let mut target = new.join(&file);
        while target.symlink_metadata().is_ok() {
            target.as_mut_os_string().push(".old");
        }
        fs::create_dir_all(target.parent().unwrap_or(new))?;
        fs::hard_link(old.join(&file), target)?;
    }
    Ok(())
}

/// Returns the files below a folder that match a pattern, with their sha256.
///
/// # Errors
/// If the pattern is invalid, or a file cannot be read.
fn collect(folder: &Path, pattern: &str) -> io::Result<Vec<Artifact>> {
    let glob = Glob::new(pattern).map_err(io::Error::other)?;
    let set = GlobSetBuilder::new()
        .add(glob)
        .build()
        .map_err(io::Error::other)?;
    let mut out = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(io::Error::other)?;
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if entry.file_type().is_file() && set.is_match(path) {
            out.push(Artifact {
                path: path.to_owned(),
                size: entry.metadata().map_err(io::Error::other)?.len(),
                sha256: sha256_file(entry.path())?,
            });
        }
    }
    Ok(out)
}

/// Returns the sha256 of a file's content, in hexadecimal.
pub(crate) fn sha256_file(path: &Path) -> io::Result<String> {
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
