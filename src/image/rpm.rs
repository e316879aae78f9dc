//! The packages that rpm has installed: headers (rpm: `docs/manual/hregions.md`, `format_header.md`) in an SQLite database.

use crate::image::be32;
use crate::image::packages::{MAX_PACKAGES, Package, PackageSystem, is_of_program, merged};
use crate::image::sqlite::{Database, Value};
use std::collections::BTreeSet;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCHITECTURE: u32 = 1022;
const SOURCE: u32 = 1044;
const HEADER_SHA256: u32 = 273;
const FOLDER_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const FOLDERS: u32 = 1118;

/// The most entries of a header: rpm itself refuses more.
const MAX_ENTRIES: usize = 0x10000;

/// The most files of a package.
const MAX_FILES: usize = 1_000_000;

/// Reads the packages of a database, and notes which programs they contain.
///
/// # Errors
/// If it is not a database of rpm, is damaged, or has too many packages.
pub(super) fn read_packages(
    bytes: &[u8],
    owned: &mut BTreeSet<String>,
) -> Result<Vec<Package>, String> {
    let damaged = || "the database of rpm is damaged".to_owned();
    let mut database = Database::new(bytes).ok_or_else(damaged)?;
    let (mut out, mut is_damaged) = (Vec::new(), false);
    let walked = database.rows("Packages", |row| {
        let Some(Value::Bytes(header)) = row.get(1) else {
            is_damaged = true;
            return;
        };
        match Header::new(header).and_then(|header| header.package(owned)) {
            // The keys that packages are signed with are packages, too.
            Some(package) if package.name == "gpg-pubkey" => {}
            Some(package) if out.len() <= MAX_PACKAGES => out.push(package),
            _ => is_damaged = true,
        }
    });
    if walked.is_none() || is_damaged {
        return Err(damaged());
    }
    out.sort();
    Ok(out)
}

/// A header: an index of typed entries, and their content.
struct Header<'b> {
    index: &'b [u8],
    content: &'b [u8],
}

impl<'b> Header<'b> {
    fn new(bytes: &'b [u8]) -> Option<Header<'b>> {
        let (entries, length) = (be32(bytes, 0)? as usize, be32(bytes, 4)? as usize);
        if entries > MAX_ENTRIES {
            return None;
        }
        let (index, rest) = bytes.get(8..)?.split_at_checked(entries * 16)?;
        Some(Header {
            index,
            content: rest.get(..length)?,
        })
    }

    /// The content of an entry from its place on, and the number of its values.
    fn find(&self, tag: u32) -> Option<(&'b [u8], usize)> {
        let mut entries = self.index.chunks_exact(16);
        let entry = entries.find(|entry| be32(entry, 0) == Some(tag))?;
        let content = self.content.get(be32(entry, 8)? as usize..)?;
        Some((content, be32(entry, 12)? as usize))
    }

    fn text(&self, tag: u32) -> Option<String> {
        let (content, _) = self.find(tag)?;
        let text = content.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn texts(&self, tag: u32) -> Vec<&'b [u8]> {
        let Some((content, count)) = self.find(tag) else {
            return Vec::new();
        };
        let texts = content.split(|byte| *byte == 0);
        texts.take(count.min(MAX_FILES)).collect()
    }

    fn package(&self, owned: &mut BTreeSet<String>) -> Option<Package> {
        let folders = self.texts(FOLDERS);
        let indexes = self
            .find(FOLDER_INDEXES)
            .map_or(&[][..], |(indexes, _)| indexes);
        let names = self.texts(BASE_NAMES);
        for (name, index) in names.iter().zip(indexes.chunks_exact(4)) {
            let folder = be32(index, 0).and_then(|index| folders.get(index as usize));
            let path = [folder?, *name].map(String::from_utf8_lossy).concat();
            if is_of_program(&path) {
                owned.insert(merged(&path));
            }
        }
        let epoch = self.find(EPOCH).and_then(|(content, _)| be32(content, 0));
        Some(Package {
            system: PackageSystem::Rpm,
            name: self.text(NAME)?,
            version: format!("{}-{}", self.text(VERSION)?, self.text(RELEASE)?),
            epoch,
            architecture: self.text(ARCHITECTURE).unwrap_or_default(),
            source: self.text(SOURCE),
            source_version: None,
            sum: self.text(HEADER_SHA256),
        })
    }
}
