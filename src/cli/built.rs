//! Finding a built image: an argument names its file, its folder, or the image itself.

use crate::cli::place::{out, shown};
use crate::cli::{Cli, Failure};
use crate::image::Tree;
use crate::source::{Disk, Loader, normalize, open_regular, read_text};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// What an argument names.
pub(super) enum Built {
    /// A folder of an image: of a build, or of a compile.
    Folder(PathBuf),
    /// A JSON file that a compile or a build has written.
    Json(PathBuf),
    /// A disk or an archive.
    Disk(PathBuf),
}

/// Finds what an argument names: an existing path, or else an image with a folder in the output folder.
///
/// # Errors
/// If there is neither.
pub(super) fn find(cli: &Cli, name: &str, folder: Option<&Path>) -> Result<Built, Failure> {
    let path = normalize(&cli.here.join(name));
    let is_path = name.contains('/') || name.contains('\\') || Disk.is_file(&path);
    if is_path && path.is_dir() {
        return Ok(Built::Folder(path));
    }
    if Disk.is_file(&path) {
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        return Ok(if is_json {
            Built::Json(path)
        } else {
            Built::Disk(path)
        });
    }
    if is_path || name.contains('.') && path.symlink_metadata().is_ok() {
        // The reason is the system's: it may be a device.
        open_regular(&path).map_err(|e| Failure(format!("cannot read {name}: {e}")))?;
    }
    let out = out(&cli.here, folder);
    // A name is one part of a path, and so it leads nowhere else.
    let own = out.join(name);
    let is_part = Path::new(name).file_name() == Some(name.as_ref());
    if is_part && own.is_dir() {
        return Ok(Built::Folder(own));
    }
    if path.is_dir() {
        return Ok(Built::Folder(path));
    }
    Err(Failure(format!(
        "no built image `{name}`: {} has no folder of this name, and it is no file; `imgspec build {name}` makes it",
        shown(&out, &cli.here)
    )))
}

/// Opens a disk or an archive.
///
/// # Errors
/// If it cannot be read.
pub(super) fn open(path: &Path, here: &Path) -> Result<Tree, Failure> {
    let failed = |reason: String| Failure(format!("cannot read {}: {reason}", shown(path, here)));
    let file = open_regular(path).map_err(|e| failed(e.to_string()))?;
    Tree::open(Box::new(file)).map_err(failed)
}

/// Reads a JSON file of a build; none if there is none.
///
/// # Errors
/// If it cannot be read, or is no JSON.
pub(super) fn read_json(path: &Path, here: &Path) -> Result<Option<Json>, Failure> {
    if !Disk.is_file(path) {
        return Ok(None);
    }
    let failed = |reason: String| Failure(format!("cannot read {}: {reason}", shown(path, here)));
    let text = read_text(path).map_err(|e| failed(e.to_string()))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| failed(e.to_string()))
}

/// Returns the record of the build that has made a disk: `build.json` in a folder above it that names it.
pub(super) fn find_record(disk: &Path) -> Option<PathBuf> {
    // `X/output/NAME/NAME.qcow2` is the deepest that a template makes.
    let folders = disk.ancestors().skip(1).take(4);
    let mut records = folders.map(|folder| folder.join("build.json"));
    records.find(|record| Disk.is_file(record))
}

/// Returns the disks and archives of a record, in its order.
pub(super) fn artifacts(record: &Json, folder: &Path) -> Vec<PathBuf> {
    let artifacts = record.get("artifacts").and_then(Json::as_array);
    let paths = artifacts.into_iter().flatten();
    let paths = paths.filter_map(|artifact| artifact.get("path")?.as_str());
    // A record can claim anything.
    let is_inside = |path: &&str| {
        let mut parts = Path::new(path).components();
        parts.all(|part| matches!(part, std::path::Component::Normal(_)))
    };
    paths
        .filter(is_inside)
        .map(|path| folder.join(path))
        .collect()
}
