//! The artifacts of a build, and their record.

use crate::source::read_text;
use crate::workspace::{replace, replace_private, sha256_file};
use globset::{Glob, GlobSetBuilder};
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
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
    /// The image's ID: a digest of what the build has seen, without secrets (docs/building.md).
    #[serde(default)]
    pub id: String,
    /// A digest of the ID, the secrets and the environment. The same inputs need no second build.
    pub inputs: String,
    /// The files that the provider's `artifact` pattern names.
    pub artifacts: Vec<Artifact>,
    /// All files in `output`, relative to the image's folder.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The manifest of the compiled files.
    pub manifest: serde_json::Value,
    /// What the build has seen, with the SHA-256 of each; the ID follows from it.
    #[serde(default)]
    pub seen: BTreeMap<String, String>,
    /// Where the values come from.
    #[serde(default)]
    pub provenance: serde_json::Value,
}

impl Record {
    /// Reads the record of the last successful build.
    pub fn read(folder: &Path) -> Option<Record> {
        let text = read_text(&folder.join("build.json")).ok()?;
        serde_json::from_str(&text)
            .ok()
            .filter(|record: &Record| record.build == 1)
    }

    /// Writes the record to the image's folder. With `is_secret` only its owner can read it.
    fn write(&self, folder: &Path, is_secret: bool) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let write = if is_secret { replace_private } else { replace };
        write(&folder.join("build.json"), text.as_bytes()).map_err(io::Error::other)
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
/// Writes and returns the record that `record` makes of the artifacts and the paths of all files. Files that a user has added
/// to the last output stay.
///
/// # Errors
/// If no file matches the pattern, or a file cannot be moved. The last output then stays.
pub(crate) fn keep(
    work: &Path,
    folder: &Path,
    pattern: Option<&str>,
    is_secret: bool,
    record: impl FnOnce(Vec<Artifact>, Vec<PathBuf>) -> Record,
) -> io::Result<Record> {
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
    let (new, place) = (work.join("output"), folder.join("output"));
    if !new.exists() {
        let record = record(artifacts, Vec::new());
        record.write(folder, is_secret)?;
        return Ok(record);
    }
    let files = list_files(&new)?;
    if let Some(record) = Record::read(folder).filter(|record| !record.files.is_empty()) {
        carry_over(&place, &new, &record)?;
    }
    let files = files.iter().map(|file| Path::new("output").join(file));
    let record = record(artifacts, files.collect());
    let built = Built {
        folder: fs::metadata(&new)?.ino(),
        is_secret,
        record,
    };
    let text = serde_json::to_string(&built)?;
    replace_private(&work.join(BUILT), text.as_bytes()).map_err(io::Error::other)?;
    swap(&new, &place, &work.join(OLD))?;
    built.record.write(folder, is_secret)?;
    Ok(built.record)
}

/// In the working folder: what `build.json` will be when the new output is in its place.
const BUILT: &str = "built.json";
/// In the working folder: the last output, where the file system cannot exchange two folders.
const OLD: &str = "output.old";

/// The content of [`BUILT`].
#[derive(Debug, Serialize, Deserialize)]
struct Built {
    /// The inode of the new output folder, which shows where the folder is.
    folder: u64,
    /// Only the owner can read the record.
    #[serde(default)]
    is_secret: bool,
    record: Record,
}

/// Puts the new output in the place of the old one, in one step if the file system can.
fn swap(new: &Path, place: &Path, old: &Path) -> io::Result<()> {
    if !place.exists() {
        return fs::rename(new, place);
    }
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    if renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    fs::rename(place, old)?;
    if let Err(error) = fs::rename(new, place) {
        let _ = fs::rename(old, place);
        return Err(error);
    }
    Ok(())
}

/// Finishes what a build was doing when it was killed: brings the last output back if none is in its place, and writes the
/// record of an output that is. The caller holds the image's lock.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn recover(folder: &Path) -> io::Result<()> {
    let (work, place) = (folder.join("work"), folder.join("output"));
    if !place.exists() && work.join(OLD).exists() {
        fs::rename(work.join(OLD), &place)?;
    }
    let built = read_text(&work.join(BUILT)).unwrap_or_default();
    match serde_json::from_str::<Built>(&built) {
        Ok(built) if fs::metadata(&place).is_ok_and(|m| m.ino() == built.folder) => {
            built.record.write(folder, built.is_secret)
        }
        _ => Ok(()),
    }
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
