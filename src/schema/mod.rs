//! What a variable is: its type, how its value is written for Packer, and who receives it.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod encoding;
mod print;
mod types;
mod value;
mod version;

pub use encoding::{Decoded, Encoding, decode, decode_words, encode, find_unencodable, from_json};
pub use print::{print_value, print_wrapped};
pub use types::{Base, Mismatch, Refinement, Type, check_value, whole};
pub use value::{Piece, Text, TextBuilder, Value};
pub use version::{compare_versions, is_semver, is_version, numbers};

/// Who reads a variable: a set of receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receivers(u8);

impl Receivers {
    pub const NONE: Receivers = Receivers(0);
    pub const PACKER: Receivers = Receivers(1);
    /// The playbooks for Linux nodes.
    pub const LINUX: Receivers = Receivers(2);
    /// The playbooks for Windows nodes.
    pub const WINDOWS: Receivers = Receivers(4);

    /// The receiver of that name in a `to` list.
    pub fn parse(name: &str) -> Option<Receivers> {
        match name {
            "packer" => Some(Receivers::PACKER),
            "linux" => Some(Receivers::LINUX),
            "windows" => Some(Receivers::WINDOWS),
            _ => None,
        }
    }

    pub fn with(self, other: Receivers) -> Receivers {
        Receivers(self.0 | other.0)
    }

    pub fn has(self, other: Receivers) -> bool {
        self.0 & other.0 != 0
    }

    /// The names, in the order of a `to` list.
    pub fn names(self) -> Vec<&'static str> {
        ["packer", "linux", "windows"]
            .into_iter()
            .filter(|name| Receivers::parse(name).is_some_and(|r| self.has(r)))
            .collect()
    }
}

/// Which playbook a provider runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Playbook {
    Linux,
    Windows,
}

impl Playbook {
    pub fn receiver(self) -> Receivers {
        match self {
            Playbook::Linux => Receivers::LINUX,
            Playbook::Windows => Receivers::WINDOWS,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Playbook::Linux => "linux",
            Playbook::Windows => "windows",
        }
    }
}

/// Whose Ansible roles a provider runs, which decides the shapes that they want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Ours: real types, from the extra-vars file.
    Native,
    /// Image Builder's: strings, from the template's slots.
    Upstream,
}
