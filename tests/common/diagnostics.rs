//! The cases of `tests/diagnostics`.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Returns the cases, a file or a folder each. The folder `limits` is not a case.
pub fn cases() -> Vec<PathBuf> {
    let mut cases = super::entries(&super::root().join("tests/diagnostics"));
    cases.retain(|path| path.extension().is_none_or(|ending| ending != "txt"));
    cases.retain(|path| !path.ends_with("limits"));
    cases
}

/// Returns the arguments of the `check` of a case.
pub fn arguments(case: &Path) -> Vec<String> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let arguments: &[&str] = match case.extension() {
        None => &["check", "."],
        Some(ending) if ending == "json" => &["check", name, "qemu-ubuntu-2004"],
        Some(_) => &["check", name],
    };
    arguments.iter().map(|&word| word.to_owned()).collect()
}

/// Writes the files of a case to the folder `case` in a new folder.
pub fn write(case: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("case");
    if case.is_dir() {
        super::copy_folder(case, &inner);
    } else {
        std::fs::create_dir(&inner).unwrap();
        std::fs::copy(case, inner.join(case.file_name().unwrap())).unwrap();
    }
    folder
}
