//! The files inside the program: the standard library, and what Packer and Ansible read.

use include_dir::{Dir, include_dir};
use std::path::Path;

/// The standard library, as specs.
pub static STDLIB: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/stdlib");

/// Packer templates, and the files that they use.
pub static CONFIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config");

/// Playbooks and roles for Ansible.
pub static ANSIBLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/ansible");

/// Returns the text of an embedded template. `path` is as a provider names it: Packer runs in a folder in which
/// `packer` is a copy of [`CONFIG`].
pub fn template(path: &str) -> Option<&'static str> {
    CONFIG
        .get_file(path.strip_prefix("packer/")?)?
        .contents_utf8()
}

/// Returns the text of a file of the standard library, by its path that begins with `stdlib`.
pub fn library_file(path: &Path) -> Option<&'static str> {
    STDLIB
        .get_file(path.strip_prefix("stdlib").ok()?)?
        .contents_utf8()
}
