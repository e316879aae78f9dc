//! What is in an image: packages, programs outside of packages, and container images.

use crate::image::containers::{ContainerImage, read_images};
use crate::image::disk::{EntryKind, OpenFile, Tree};
use crate::image::go::{GoBuild, is_elf, read_build};
use crate::image::rpm::read_packages;
use crate::image::{PROVENANCE_FILES, RELEASE_FILE};
use crate::source::{MAX_FILE, hex};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, SeekFrom};

/// The names and values of a file like `/etc/os-release`.
pub type Release = BTreeMap<String, String>;

/// The operating system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// The name in lower case, such as `debian`.
    pub id: String,
    /// The release, such as `12`.
    pub version: String,
    /// The name for people.
    pub name: String,
}

/// What has installed a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PackageSystem {
    /// dpkg, of Debian and what comes from it.
    Dpkg,
    /// rpm, of Red Hat and Photon.
    Rpm,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// What has installed it.
    pub system: PackageSystem,
    /// The name.
    pub name: String,
    /// The version with the revision; with the epoch only of dpkg.
    pub version: String,
    /// The epoch of a package of rpm.
    pub epoch: Option<u32>,
    /// The architecture, `all` or `noarch`.
    pub architecture: String,
    /// The source package, if it has another name; of rpm its file.
    pub source: Option<String>,
    /// The source's version, if it is another one.
    pub source_version: Option<String>,
    /// The SHA-256 of what the package says about its files: of dpkg the list of MD5 sums, of rpm the header. Equal packages
    /// have equal sums.
    pub sum: Option<String>,
}

/// A program that no package contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The absolute path in the image.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the content.
    pub sha256: String,
    /// What Go's linker has noted.
    pub go: Option<GoBuild>,
}

/// What is in an image.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The operating system.
    pub os: Os,
    /// The image's own release file; empty if it has none.
    pub release: Release,
    /// The packages, in the order of their names.
    pub packages: Vec<Package>,
    /// The programs outside of packages, in the order of their paths.
    pub programs: Vec<Program>,
    /// The container images, in the order of their names.
    pub containers: Vec<ContainerImage>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// The largest list of packages: Debian's largest systems have 10 MiB.
const MAX_STATUS: u64 = 64 << 20;

/// The most packages.
pub(super) const MAX_PACKAGES: usize = 100_000;

/// The largest metadata of containerd.
const MAX_METADATA: u64 = 256 << 20;

/// The largest program.
const MAX_PROGRAM: u64 = 4 << 30;

/// The most bytes of all programs outside of packages. A disk can promise more than it has.
const MAX_HASHED: u64 = 16 << 30;

/// The most programs outside of packages.
const MAX_PROGRAMS: usize = 5000;

/// The folders with programs. Below `/opt` each folder can have one, too.
const FOLDERS: [&str; 6] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/opt/bin",
    "/usr/libexec",
];

/// Databases of packages that are not read.
const OTHER_DATABASES: [(&str, &str); 3] = [
    ("/var/lib/rpm/Packages", "rpm before 4.16"),
    ("/usr/lib/sysimage/rpm/Packages.db", "rpm in the form ndb"),
    ("/lib/apk/db/installed", "apk"),
];

/// The databases of packages of rpm.
const RPM_DATABASES: [&str; 2] = [
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite",
];

/// The largest database of packages of rpm.
const MAX_RPM: u64 = 512 << 20;

impl Inventory {
    /// Reads what is in an image.
    ///
    /// # Errors
    /// If the image is damaged where its packages or programs are, or has too many of them.
    pub fn read(tree: &Tree) -> Result<Inventory, String> {
        let mut out = Inventory {
            os: read_os(tree)?,
            release: read_release(tree)?,
            ..Inventory::default()
        };
        let mut owned = BTreeSet::new();
        if let Some(status) = tree.read_text("/var/lib/dpkg/status", MAX_STATUS)? {
            out.packages = read_dpkg(tree, &status, &mut owned)?;
        }
        let mut has_database = !out.packages.is_empty();
        for path in RPM_DATABASES.iter().filter(|_| !has_database) {
            if let Some(bytes) = tree.read(path, MAX_RPM)? {
                out.packages = read_packages(&bytes, &mut owned)?;
                has_database = true;
                // What the last transaction wrote is there until rpm closes the database.
                let log = format!("{path}-wal");
                if tree.open_file(&log)?.is_some_and(|log| log.length > 0) {
                    out.unread.push(format!("what rpm has only in {log}"));
                }
                break;
            }
        }
        if !has_database {
            let mut others = OTHER_DATABASES.iter();
            let is_there = |path: &str| tree.open_file(path).is_ok_and(|file| file.is_some());
            out.unread
                .push(match others.find(|(path, _)| is_there(path)) {
                    Some((path, system)) => {
                        format!("the packages of {system} in {path}, which imgspec does not read")
                    }
                    None => "packages: the image has no database of dpkg or rpm".to_owned(),
                });
        }
        // Without the packages' lists, nobody knows which programs are outside of them.
        let has_lists = !out.packages.is_empty();
        for folder in folders(tree)? {
            let is_systems = ["/usr/bin", "/usr/sbin", "/usr/libexec"].contains(&folder.as_str());
            if has_lists || !is_systems {
                read_programs(tree, &folder, &owned, &mut out)?;
            }
        }
        out.programs.sort_by(|a, b| a.path.cmp(&b.path));
        let database = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db";
        match tree.read(database, MAX_METADATA) {
            Ok(Some(bytes)) => match read_images(&bytes) {
                Ok(images) => out.containers = images,
                Err(error) => out.unread.push(error),
            },
            Ok(None) => {}
            Err(error) => out.unread.push(error),
        }
        Ok(out)
    }

    /// The image's name and ID, as its release file has them.
    pub fn name_and_id(&self) -> (Option<&str>, Option<&str>) {
        let of = |name: &str| self.release.get(name).map(String::as_str);
        (of("IMAGE"), of("ID"))
    }
}

/// Reads the provenance in an image; none if it has none.
///
/// # Errors
/// If the image is damaged there, or the file has another form.
pub fn read_provenance(tree: &Tree) -> Result<Option<Json>, String> {
    for path in PROVENANCE_FILES {
        if let Some(bytes) = tree.read(path, MAX_FILE)? {
            let json = serde_json::from_slice(&bytes);
            return json.map(Some).map_err(|e| format!("{path}: {e}"));
        }
    }
    Ok(None)
}

/// Reads the release file of an image; empty if it has none.
///
/// # Errors
/// If the image is damaged there.
pub fn read_release(tree: &Tree) -> Result<Release, String> {
    let text = tree.read_text(RELEASE_FILE, MAX_FILE)?;
    Ok(parse_release(&text.unwrap_or_default()))
}

fn read_os(tree: &Tree) -> Result<Os, String> {
    let mut text = None;
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        text = text.or(tree.read_text(path, MAX_FILE)?);
    }
    let mut release = parse_release(&text.unwrap_or_default());
    let mut take = |name: &str| release.remove(name).unwrap_or_default();
    Ok(Os {
        id: take("ID"),
        version: take("VERSION_ID"),
        name: take("PRETTY_NAME"),
    })
}

/// Reads `NAME=value` lines, with the quotes of a shell.
fn parse_release(text: &str) -> Release {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let entries = lines.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = shlex::split(value)?.into_iter().next().unwrap_or_default();
        Some((name.trim().to_owned(), value))
    });
    entries.collect()
}

/// Reads the packages that dpkg has installed, and notes which programs they contain.
fn read_dpkg(
    tree: &Tree,
    status: &str,
    owned: &mut BTreeSet<String>,
) -> Result<Vec<Package>, String> {
    let mut out = Vec::new();
    for paragraph in status.split("\n\n") {
        let fields: BTreeMap<&str, &str> = paragraph
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
            .collect();
        let of = |name: &str| fields.get(name).copied().unwrap_or_default();
        let (name, version) = (of("Package"), of("Version"));
        if !of("Status").ends_with(" installed") || !is_name(name) || version.is_empty() {
            continue;
        }
        let architecture = of("Architecture");
        let stems = [name.to_owned(), format!("{name}:{architecture}")];
        let mut sum = None;
        for stem in stems {
            let info = |ending: &str| format!("/var/lib/dpkg/info/{stem}.{ending}");
            if let Some(sums) = tree.read(&info("md5sums"), MAX_FILE)? {
                sum = Some(hex(&Sha256::digest(&sums)));
            }
            let list = tree.read_text(&info("list"), MAX_FILE)?.unwrap_or_default();
            owned.extend(list.lines().filter(|path| is_of_program(path)).map(merged));
        }
        let (source, source_version) = match of("Source").split_once(" (") {
            Some((source, version)) => (source, version.trim_end_matches(')')),
            None => (of("Source"), ""),
        };
        let other = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        out.push(Package {
            system: PackageSystem::Dpkg,
            epoch: None,
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: architecture.to_owned(),
            source: other(source),
            source_version: other(source_version),
            sum,
        });
        if out.len() > MAX_PACKAGES {
            return Err(format!("the image has more than {MAX_PACKAGES} packages"));
        }
    }
    out.sort();
    Ok(out)
}

/// True for a name of a package, which cannot lead to another folder.
fn is_name(name: &str) -> bool {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    !name.is_empty() && name.chars().all(is_known)
}

pub(super) fn is_of_program(path: &str) -> bool {
    let parts = ["/bin/", "/sbin/", "/libexec/", "/opt/"];
    parts.iter().any(|part| path.contains(part))
}

/// A path as it is where `/bin` is a link to `/usr/bin`. A package may contain either.
pub(super) fn merged(path: &str) -> String {
    if path.starts_with("/bin/") || path.starts_with("/sbin/") {
        format!("/usr{path}")
    } else {
        path.to_owned()
    }
}

/// The folders with programs that there are.
fn folders(tree: &Tree) -> Result<Vec<String>, String> {
    let mut out: Vec<String> = FOLDERS.map(str::to_owned).to_vec();
    for entry in tree.list("/opt")?.unwrap_or_default() {
        if entry.kind == EntryKind::Folder && entry.name != "bin" {
            out.push(format!("/opt/{}/bin", entry.name));
        }
    }
    Ok(out)
}

/// Reads the programs of a folder that are in no package.
fn read_programs(
    tree: &Tree,
    folder: &str,
    owned: &BTreeSet<String>,
    out: &mut Inventory,
) -> Result<(), String> {
    for entry in tree.list(folder)?.unwrap_or_default() {
        let path = format!("{folder}/{}", entry.name);
        if entry.kind != EntryKind::File || owned.contains(&path) {
            continue;
        }
        let Some(mut file) = tree.open_file(&path)? else {
            continue;
        };
        let size = file.length;
        let others: u64 = out.programs.iter().map(|program| program.size).sum();
        if size > MAX_PROGRAM || others.saturating_add(size) > MAX_HASHED {
            let message = format!(
                "{path}: a program has more than {} GiB, or all of them more than {} GiB",
                MAX_PROGRAM >> 30,
                MAX_HASHED >> 30
            );
            return Err(message);
        }
        let go = start_of(&mut file)?
            .then(|| read_build(&mut file))
            .flatten();
        file.seek(SeekFrom::Start(0))
            .map_err(|e| format!("{path}: {e}"))?;
        let sha256 = file
            .sha256(MAX_PROGRAM)
            .map_err(|e| format!("{path}: {e}"))?;
        out.programs.push(Program {
            path,
            size,
            sha256,
            go,
        });
        if out.programs.len() > MAX_PROGRAMS {
            return Err(format!(
                "the image has more than {MAX_PROGRAMS} programs outside of packages"
            ));
        }
    }
    Ok(())
}

/// True where a file begins as a program for Linux does.
fn start_of(file: &mut OpenFile<'_>) -> Result<bool, String> {
    let mut start = [0; 4];
    let count = file.read_some(&mut start)?;
    Ok(is_elf(start.get(..count).unwrap_or_default()))
}
