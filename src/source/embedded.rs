//! The files inside the program: the standard library, and what Packer and Ansible read.

use include_dir::{Dir, include_dir};

/// The standard library, as specs.
pub static STDLIB: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/stdlib");

/// Packer templates, and the files that they use.
pub static CONFIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config");

/// Playbooks and roles for Ansible.
pub static ANSIBLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/ansible");

/// The libraries as the build script stores them.
#[cfg(imgspec_prebuilt)]
static PREBUILT: Dir<'_> = include_dir!("$OUT_DIR/prebuilt");

/// Returns a file that the build script has made: the stored form of a library. The build script itself has none.
pub fn prebuilt(name: &str) -> Option<&'static [u8]> {
    #[cfg(imgspec_prebuilt)]
    return Some(PREBUILT.get_file(name)?.contents());
    #[cfg(not(imgspec_prebuilt))]
    return None;
}

/// Returns the text of an embedded file. A name that begins with `packer/` is the path of a template as a provider writes
/// it: Packer runs in a folder in which `packer` is a copy of [`CONFIG`]. One that begins with `stdlib/` is the path of a
/// file of the standard library.
pub fn file(name: &str) -> Option<&'static str> {
    let (folder, path) = name.split_once('/')?;
    let folder = match folder {
        "packer" => &CONFIG,
        "stdlib" => &STDLIB,
        _ => return None,
    };
    find(folder, path)
}

/// Returns the text of a file in an embedded folder.
pub fn find(folder: &Dir<'static>, path: &str) -> Option<&'static str> {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let mut files = find_folder(folder, above)?.files();
    let file = files.find(|file| file.path().as_os_str() == path)?;
    file.contents_utf8()
}

/// Returns a folder in an embedded folder, which itself has the path "". `Dir::get_dir` compares every path with every other.
pub fn find_folder<'d>(folder: &'d Dir<'static>, path: &str) -> Option<&'d Dir<'static>> {
    let ends = path.match_indices('/').map(|(end, _)| end);
    let ends = ends.chain((!path.is_empty()).then_some(path.len()));
    ends.map(|end| path.get(..end))
        .try_fold(folder, |at, path| {
            let path = path?;
            at.dirs().find(|dir| dir.path().as_os_str() == path)
        })
}
