//! The types, values, encodings and receivers of variables.

mod encoding;
mod print;
mod types;
mod value;
mod version;

pub use encoding::{Decoded, Encoding, decode, decode_words, encode, find_unencodable, from_json};
pub use print::{print_start, print_value, print_wrapped};
use serde::{Deserialize, Serialize};
pub use types::{Base, Mismatch, Pattern, Refinement, Type, check_value, compile, whole};
pub use value::{Piece, Text, TextBuilder, Value};
pub use version::{compare_versions, is_semver, is_version, numbers};

/// A set of receivers: the programs that read a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receivers(u8);

impl Receivers {
    /// No receiver.
    pub const NONE: Receivers = Receivers(0);
    /// Packer.
    pub const PACKER: Receivers = Receivers(1);
    /// Ansible's playbooks for Linux nodes.
    pub const LINUX: Receivers = Receivers(2);
    /// Ansible's playbooks for Windows nodes.
    pub const WINDOWS: Receivers = Receivers(4);

    /// Returns the receiver with this name in a `to` list.
    pub fn parse(name: &str) -> Option<Receivers> {
        match name {
            "packer" => Some(Receivers::PACKER),
            "linux" => Some(Receivers::LINUX),
            "windows" => Some(Receivers::WINDOWS),
            _ => None,
        }
    }

    /// Returns the union of both sets.
    pub fn with(self, other: Receivers) -> Receivers {
        Receivers(self.0 | other.0)
    }

    /// Returns whether the sets have a common receiver.
    pub fn has(self, other: Receivers) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the names, in the order of a `to` list.
    pub fn names(self) -> Vec<&'static str> {
        ["packer", "linux", "windows"]
            .into_iter()
            .filter(|name| Receivers::parse(name).is_some_and(|r| self.has(r)))
            .collect()
    }
}

/// The kind of playbook that a provider runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Playbook {
    /// The playbook for Linux nodes.
    Linux,
    /// The playbook for Windows nodes.
    Windows,
}

impl Playbook {
    /// Returns the receiver that the playbook is.
    pub fn receiver(self) -> Receivers {
        match self {
            Playbook::Linux => Receivers::LINUX,
            Playbook::Windows => Receivers::WINDOWS,
        }
    }

    /// Returns the name, as in a `provider` item.
    pub fn as_str(self) -> &'static str {
        match self {
            Playbook::Linux => "linux",
            Playbook::Windows => "windows",
        }
    }
}

/// The origin of the Ansible roles that a provider runs. It decides the form of the values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Roles {
    /// The roles inside the program: they get typed values from the extra-vars file.
    #[default]
    Native,
    /// Image Builder's roles: they get strings from the slots of the template.
    Upstream,
}

impl Roles {
    /// The names of all.
    pub const NAMES: [&str; 2] = ["native", "upstream"];

    /// Returns the one with a name.
    pub fn find(name: &str) -> Option<Roles> {
        match name {
            "native" => Some(Roles::Native),
            "upstream" => Some(Roles::Upstream),
            _ => None,
        }
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Roles::Native => "native",
            Roles::Upstream => "upstream",
        }
    }
}
