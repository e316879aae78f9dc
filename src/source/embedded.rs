//! The files inside the program: the standard library, and what Packer and Ansible read.

use include_dir::{Dir, include_dir};

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
