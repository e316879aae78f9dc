//! The programs that builds need: their packages, locations and versions.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// A program that builds run.
#[derive(Debug)]
pub struct Tool {
    /// The name in a provider's `tools`.
    pub name: &'static str,
    /// The name of the executable.
    pub program: &'static str,
    /// The arguments that print its version.
    pub version: &'static [&'static str],
    /// The oldest supported version.
    pub oldest: Option<&'static str>,
    /// The Debian package, or empty.
    pub package: &'static str,
    /// Where users can get it, if there is no package.
    pub hint: &'static str,
}

/// All programs that the library's providers name. Packer's version is the oldest with the JSON template features and the
/// Ansible provisioner that the templates use; Ansible's is the oldest with argument specs and `__ansible_unsafe`.
pub(crate) const TOOLS: [Tool; 13] = [
    tool(
        "packer",
        "packer",
        &["version"],
        Some("1.6.0"),
        "packer",
        "https://developer.hashicorp.com/packer/install",
    ),
    tool(
        "ansible",
        "ansible-playbook",
        &["--version"],
        Some("2.14"),
        "ansible-core",
        "pip install ansible-core",
    ),
    tool(
        "mmdebstrap",
        "mmdebstrap",
        &["--version"],
        None,
        "mmdebstrap",
        "",
    ),
    tool(
        "systemd-nspawn",
        "systemd-nspawn",
        &["--version"],
        None,
        "systemd-container",
        "",
    ),
    tool("mke2fs", "mke2fs", &["-V"], None, "e2fsprogs", ""),
    tool("sfdisk", "sfdisk", &["--version"], None, "fdisk", ""),
    tool(
        "qemu-img",
        "qemu-img",
        &["--version"],
        None,
        "qemu-utils",
        "",
    ),
    tool(
        "qemu-system-x86_64",
        "qemu-system-x86_64",
        &["--version"],
        None,
        "qemu-system-x86",
        "",
    ),
    // Packer also takes mkisofs or hdiutil for its CDs; with another name, XORRISO_BIN says where it is.
    tool(
        "xorriso",
        "xorriso",
        &["--version"],
        None,
        "xorriso",
        "brew install xorriso",
    ),
    tool(
        "ovftool",
        "ovftool",
        &["--version"],
        None,
        "",
        "https://developer.broadcom.com/tools/open-virtualization-format-ovf-tool/latest",
    ),
    tool(
        "vmware",
        "vmware",
        &["-v"],
        None,
        "",
        "VMware Workstation or Fusion",
    ),
    tool(
        "VBoxManage",
        "VBoxManage",
        &["--version"],
        None,
        "",
        "https://www.virtualbox.org/wiki/Downloads",
    ),
    tool("aws", "aws", &["--version"], None, "awscli", ""),
];

const fn tool(
    name: &'static str,
    program: &'static str,
    version: &'static [&'static str],
    oldest: Option<&'static str>,
    package: &'static str,
    hint: &'static str,
) -> Tool {
    Tool {
        name,
        program,
        version,
        oldest,
        package,
        hint,
    }
}

impl Tool {
    /// Returns the tool with a name in a provider's `tools`.
    pub fn named(name: &str) -> Option<&'static Tool> {
        TOOLS.iter().find(|tool| tool.name == name)
    }

    /// The environment variable with the program's path: `PACKER_BIN`, `ANSIBLE_PLAYBOOK_BIN`.
    pub fn variable(&self) -> String {
        format!("{}_BIN", self.program.to_uppercase().replace('-', "_"))
    }
}

/// An installed program.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where the program is.
    pub path: PathBuf,
    /// The version that it prints, or empty.
    pub version: String,
    /// Whether it is older than [`Tool::oldest`].
    pub is_too_old: bool,
}

/// The programs of this machine: of `NAME_BIN` in the environment, then of `.bin` in the project's root, then of `PATH`.
#[derive(Debug)]
pub struct Toolbox {
    /// The folder in which `imgspec deps --install` installs programs.
    pub bin: PathBuf,
    /// Environment variables that contain secrets of the project, which no program gets that only prints its version or
    /// installs another one.
    withheld: BTreeSet<String>,
    /// The results so far: each tool is searched once for all images.
    known: Mutex<BTreeMap<String, Option<Found>>>,
}

impl Toolbox {
    /// The programs for a project, given its root.
    pub fn new(folder: &Path) -> Toolbox {
        Toolbox {
            bin: folder.join(".bin"),
            withheld: BTreeSet::new(),
            known: Mutex::default(),
        }
    }

    /// Keeps environment variables from the programs that are run for their versions or to install others.
    pub fn withhold(mut self, names: impl IntoIterator<Item = String>) -> Toolbox {
        self.withheld.extend(names);
        self
    }

    /// A program that needs no secrets.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for name in &self.withheld {
            command.env_remove(name);
        }
        command
    }

    /// Searches a tool and asks for its version.
    pub fn find(&self, tool: &Tool) -> Option<Found> {
        let path = self.locate(tool)?;
        let output = self
            .command(&path)
            .args(tool.version)
            .env("CHECKPOINT_DISABLE", "1")
            .output();
        let text = output
            .map(|o| [o.stdout, o.stderr].concat())
            .unwrap_or_default();
        let version = find_version(&String::from_utf8_lossy(&text));
        let is_too_old = tool.oldest.is_some_and(|oldest| {
            !version.is_empty() && crate::schema::compare_versions(&version, oldest).is_lt()
        });
        Some(Found {
            path,
            version,
            is_too_old,
        })
    }

    fn locate(&self, tool: &Tool) -> Option<PathBuf> {
        if let Some(path) = std::env::var_os(tool.variable()).filter(|p| !p.is_empty()) {
            let path = std::path::absolute(path).ok()?;
            return path.is_file().then_some(path);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Folders for administrators' programs, which are not in every user's PATH.
        let admin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        let folders = std::iter::once(self.bin.clone())
            .chain(std::env::split_paths(&path))
            .chain(admin);
        let folders = std::env::join_paths(folders).ok()?;
        which::which_in(tool.program, Some(folders), "/").ok()
    }

    /// Searches the named tools, each only once.
    pub fn find_all<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> BTreeMap<String, Option<Found>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .map(|name| {
                let look = || Tool::named(name).and_then(|tool| self.find(tool));
                (
                    name.to_owned(),
                    known.entry(name.to_owned()).or_insert_with(look).clone(),
                )
            })
            .collect()
    }
}

/// Returns the first word that looks like a version: `Packer v1.6.6`, `ansible-playbook [core 2.18.18]`.
fn find_version(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || "[](),".contains(c))
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_the_output_of_programs() {
        assert_eq!(find_version("Packer v1.6.6\n\nYour version"), "1.6.6");
        assert_eq!(
            find_version("ansible-playbook [core 2.18.18]\n  config file = None"),
            "2.18.18"
        );
        assert_eq!(find_version("mke2fs 1.47.0 (5-Feb-2023)"), "1.47.0");
        assert_eq!(find_version("no version"), "");
    }
}
