//! What the program carries with it, so that it works alone: the standard library, and what Packer
//! and Ansible read.

use include_dir::{Dir, include_dir};

/// The standard library, in the language.
pub static STDLIB: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/stdlib");

/// Packer's templates, with what they need.
pub static CONFIG: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config");

/// What Ansible runs.
pub static ANSIBLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/ansible");

/// The text of a built-in template under the path that a provider names. Packer runs in a folder in
/// which `packer` stands for [`CONFIG`].
pub fn template(path: &str) -> Option<&'static str> {
    CONFIG.get_file(path.strip_prefix("packer/")?)?.contents_utf8()
}
