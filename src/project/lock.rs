//! Files that a spec includes by their address in the network: their vendored copies, and the lock file with their digests.
//!
//! Nothing here or in another room that checks specs touches the network: `imgspec vendor` downloads the copies.

use crate::source::{normalize, sha256};
use memchr::memmem;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

/// The name of the lock file at a project's root.
pub const LOCK_FILE: &str = "imgspec.lock";

/// The folder with the copies, from a project's root.
pub const VENDOR: &str = "vendor/imgspec";

const SCHEME: &str = "https://";

/// The comment at the top of a lock file.
const HEAD: &str =
    "# Written by `imgspec vendor`: the SHA-256 and the address of each file in vendor/imgspec.\n";

/// The address of a file that a spec includes: `https://HOST/PATH`. Each address has one spelling and one place in the folder of
/// the copies, which no address leaves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(String);

impl Address {
    /// Whether the path of an `include` is meant as an address.
    pub fn is_meant(path: &str) -> bool {
        path.contains("://")
    }

    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong, as a sentence about the address.
    pub fn parse(text: &str) -> Result<Address, &'static str> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or("it does not begin with `https://`")?;
        let (host, path) = rest.split_once('/').ok_or("it has no path")?;
        let is_plain = |c: char, more: &str| c.is_ascii_alphanumeric() || more.contains(c);
        if host.contains('@') {
            return Err("it contains a user name");
        }
        if path.contains(['?', '#']) {
            return Err("it contains a query or a fragment");
        }
        let (name, port) = host.split_once(':').unwrap_or((host, "443"));
        let is_name = |name: &str| {
            let mut labels = name.split('.');
            let is_label = |label: &str| {
                let is_known = |c: char| is_plain(c, "-") && !c.is_ascii_uppercase();
                !label.is_empty() && !label.starts_with('-') && label.chars().all(is_known)
            };
            labels.all(is_label)
        };
        let is_port = port.parse::<u16>().is_ok() && !port.starts_with(['0', '+']);
        if !is_name(name) || !is_port || host.ends_with(":443") {
            return Err("its host is not a name in lower case, with a port only if it is not 443");
        }
        let is_part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && !part.ends_with('.')
                && part.chars().all(|c| is_plain(c, "-._~+@="))
        };
        if !path.split('/').all(is_part) {
            return Err(
                "a part of its path is empty, begins or ends with a dot, or has other characters than letters, digits and `-._~+@=`",
            );
        }
        if !path.ends_with(".imgspec") && !path.ends_with(".json") {
            return Err("it does not end with `.imgspec` or `.json`");
        }
        Ok(Address(text.to_owned()))
    }

    /// The address itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `https://HOST`, with the port if it has one.
    pub fn origin(&self) -> &str {
        let rest = self.0.strip_prefix(SCHEME).unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        self.0.get(..SCHEME.len() + host.len()).unwrap_or_default()
    }

    /// The path of the copy from the project's root. A host has no `_`, which stands for the `:` before a port.
    pub fn copy(&self) -> PathBuf {
        let rest = self.0.strip_prefix(SCHEME).unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.replacen(':', "_", 1);
        Path::new(VENDOR).join(host).join(path)
    }

    /// The address of a copy, by its path from the project's root; none if it is the place of no copy.
    pub fn of_copy(path: &Path) -> Option<Address> {
        let path = path.strip_prefix(VENDOR).ok()?;
        let mut parts = Vec::new();
        for part in path.components() {
            let Component::Normal(part) = part else {
                return None;
            };
            parts.push(part.to_str()?);
        }
        let (host, parts) = parts.split_first()?;
        let host = host.replacen('_', ":", 1);
        Address::parse(&format!("{SCHEME}{host}/{}", parts.join("/"))).ok()
    }

    /// The address that a path in the file of this address names. None if it is not in the folder of the file.
    pub fn join(&self, path: &str) -> Option<Address> {
        let copy = self.copy();
        let folder = copy.parent()?;
        let path = normalize(&folder.join(path));
        path.starts_with(folder)
            .then(|| Address::of_copy(&path))
            .flatten()
    }
}

/// The content of a lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locked {
    /// The SHA-256 of each copy, in hexadecimal digits.
    pub sums: BTreeMap<Address, String>,
}

impl Locked {
    /// Reads the text of a lock file: lines `SHA256  ADDRESS`, as `sha256sum` prints them, and comments.
    ///
    /// # Errors
    /// The place of the first line that is neither.
    pub fn parse(text: &str) -> Result<Locked, std::ops::Range<usize>> {
        let mut sums = BTreeMap::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = line.split_once("  ").and_then(|(sum, address)| {
                let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                let is_sum = sum.len() == 64 && sum.chars().all(is_digit);
                let address = Address::parse(address).ok()?;
                is_sum.then(|| (address, sum.to_owned()))
            });
            let is_new = entry.is_some_and(|(address, sum)| sums.insert(address, sum).is_none());
            if !is_new {
                return Err(start..start + line.len());
            }
        }
        Ok(Locked { sums })
    }

    /// The text of the lock file.
    pub fn text(&self) -> String {
        let mut out = HEAD.to_owned();
        for (address, sum) in &self.sums {
            let _ = writeln!(out, "{sum}  {}", address.as_str());
        }
        out
    }

    /// Whether a text is what the lock file names; none if it names no such address.
    pub fn is_same(&self, address: &Address, text: &str) -> Option<bool> {
        Some(*self.sums.get(address)? == sha256(text))
    }
}

/// Returns the root of the project and the address, if a path is the place of a copy. `is_root` tells whether a folder is the
/// root of the project around the path.
pub(super) fn find_copy(
    path: &Path,
    is_root: impl Fn(&Path) -> bool,
) -> Option<(PathBuf, Address)> {
    // Almost no path is below such a folder, and this is the quickest way to see it.
    let has_name = |name| memmem::find(path.as_os_str().as_encoded_bytes(), name).is_some();
    if !VENDOR.split('/').all(|part| has_name(part.as_bytes())) {
        return None;
    }
    let above = path.ancestors().skip(1);
    let mut folders = above.filter(|folder| folder.ends_with(VENDOR));
    folders.find_map(|folder| {
        let root = folder.ancestors().nth(Path::new(VENDOR).iter().count())?;
        let address = Address::of_copy(path.strip_prefix(root).ok()?)?;
        is_root(root).then(|| (root.to_owned(), address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_copy_name_each_other() {
        for (address, copy) in [
            (
                "https://example.com/corp.imgspec",
                "vendor/imgspec/example.com/corp.imgspec",
            ),
            (
                "https://example.com:8443/a/-/raw/v1.2/corp.json",
                "vendor/imgspec/example.com_8443/a/-/raw/v1.2/corp.json",
            ),
        ] {
            let parsed = Address::parse(address).unwrap();
            assert_eq!(parsed.copy(), Path::new(copy));
            assert_eq!(Address::of_copy(Path::new(copy)), Some(parsed));
        }
    }

    #[test]
    fn what_could_leave_the_folder_is_no_address() {
        for address in [
            "http://example.com/a.imgspec",
            "file:///etc/a.imgspec",
            "https://example.com",
            "https://example.com/",
            "https://user@example.com/a.imgspec",
            "https://example.com/../a.imgspec",
            "https://example.com/a/%2e%2e/b.imgspec",
            "https://example.com//a.imgspec",
            "https://example.com/.git/a.imgspec",
            "https://example.com/a.imgspec?x=1",
            "https://example.com/a.imgspec#x",
            "https://example.com/a\\b.imgspec",
            "https://example.com/imgspec.toml",
            "https://../a.imgspec",
            "https:///a.imgspec",
            "https://Example.com/a.imgspec",
            "https://example.com:443/a.imgspec",
            "https://example.com:x/a.imgspec",
            "https://ex_ample.com/a.imgspec",
            "https://example.com/a b.imgspec",
        ] {
            assert!(Address::parse(address).is_err(), "{address}");
        }
    }

    #[test]
    fn a_copy_names_only_files_of_its_folder() {
        let base = Address::parse("https://example.com/team/corp.imgspec").unwrap();
        let joined = |path| base.join(path).map(|address| address.as_str().to_owned());
        let wanted = "https://example.com/team/sub/a.imgspec";
        assert_eq!(joined("sub/a.imgspec").as_deref(), Some(wanted));
        assert_eq!(joined("./sub/../sub/a.imgspec").as_deref(), Some(wanted));
        for path in [
            "../a.imgspec",
            "/a.imgspec",
            "../../../../a.imgspec",
            "sub/.a.imgspec",
        ] {
            assert_eq!(joined(path), None, "{path}");
        }
    }

    #[test]
    fn a_lock_file_is_read_as_it_is_written() {
        let sum = sha256("layer corp { }\n");
        let line = format!("{sum}  https://example.com/corp.imgspec\n");
        let text = format!("{HEAD}{line}");
        let locked = Locked::parse(&text).unwrap();
        assert_eq!(locked.text(), text);
        for wrong in [
            format!("{line}{line}"),
            line.replace("  ", " "),
            line.to_uppercase(),
            line.replacen('0', "", 1).replacen('1', "", 1),
            "x\n".to_owned(),
        ] {
            assert!(Locked::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
