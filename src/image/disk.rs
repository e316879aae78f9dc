//! The files of a built image: of a disk in the format raw or qcow2 with ext4, or of an archive.

use crate::image::archive::Archive;
use crate::image::partitions::find_partitions;
use crate::image::qcow2::Qcow2;
use crate::source::hex;
use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fmt;
use std::io::{Read, Seek, SeekFrom};

/// A file with an image.
pub trait Medium: Read + Seek {}

impl<T: Read + Seek> Medium for T {}

/// Bytes that can be read from any place.
pub(super) trait Bytes {
    /// The number of bytes.
    fn len(&self) -> u64;

    /// Fills the buffer from a place.
    ///
    /// # Errors
    /// If the bytes are not there, or cannot be read.
    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), String>;
}

/// The bytes of a file.
pub(super) struct Raw {
    file: Box<dyn Medium>,
    length: u64,
}

impl Raw {
    pub(super) fn new(mut file: Box<dyn Medium>) -> Result<Raw, String> {
        let length = file.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
        Ok(Raw { file, length })
    }
}

impl Bytes for Raw {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), String> {
        let end = at.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err("the file ends too early: it is cut off".to_owned());
        }
        let read = self
            .file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.read_exact(buffer));
        read.map_err(|e| e.to_string())
    }
}

/// A partition of a disk.
struct Part {
    disk: std::rc::Rc<std::cell::RefCell<Box<dyn Bytes>>>,
    start: u64,
    length: u64,
}

impl Ext4Read for Part {
    fn read(
        &mut self,
        start: u64,
        buffer: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        let end = start.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err("a block outside of the partition".into());
        }
        let read = self
            .disk
            .borrow_mut()
            .read_at(self.start.saturating_add(start), buffer);
        read.map_err(Into::into)
    }
}

/// The files of an image.
pub struct Tree(Kind);

enum Kind {
    Ext4(Ext4),
    Archive(Box<Archive>),
}

impl fmt::Debug for Tree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            Kind::Ext4(_) => "Tree(ext4)",
            Kind::Archive(_) => "Tree(tar)",
        })
    }
}

/// A file or folder in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name in its folder.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a device, a pipe or a socket.
    Other,
}

/// Formats that are not read, with the bytes that they begin with at a place, and what to do.
const FOREIGN: [(u64, &[u8], &str, &str); 8] = [
    (0, b"KDMV", "a VMDK disk", CONVERT),
    (0, b"# Disk Desc", "a VMDK disk", CONVERT),
    (0, b"conectix", "a VHD disk", CONVERT),
    (0, b"vhdxfile", "a VHDX disk", CONVERT),
    (
        0,
        &[0x1f, 0x8b],
        "compressed with gzip",
        "unpack it with `gunzip`",
    ),
    (
        0,
        &[0x28, 0xb5, 0x2f, 0xfd],
        "compressed with zstd",
        "unpack it with `unzstd`",
    ),
    (
        0,
        &[0xfd, b'7', b'z', b'X', b'Z'],
        "compressed with xz",
        "unpack it with `unxz`",
    ),
    (0, b"PK\x03\x04", "a zip archive", "unpack it"),
];

const CONVERT: &str = "convert it with `qemu-img convert -O raw`";

/// File systems that are not read, with the bytes that show them at a place.
const OTHER_SYSTEMS: [(u64, &[u8], &str); 5] = [
    (0, b"XFSB", "xfs"),
    (0x10040, b"_BHRfS_M", "btrfs"),
    (512, b"LABELONE", "a volume group of LVM"),
    (0, b"LUKS\xba\xbe", "an encrypted volume"),
    (0, b"hsqs", "squashfs"),
];

/// How many links are followed to find a file.
pub(super) const MAX_LINKS: usize = 40;

/// The most entries of a folder that are listed.
const MAX_LISTED: usize = 100_000;

impl Tree {
    /// Finds the root file system of an image: in a raw disk, a qcow2 disk, or a tar archive.
    ///
    /// # Errors
    /// If the file is of another format, is damaged, or contains no file system that can be read. The message names a way out
    /// where there is one.
    pub fn open(file: Box<dyn Medium>) -> Result<Tree, String> {
        let mut disk: Box<dyn Bytes> = Box::new(Raw::new(file)?);
        let starts = |disk: &mut Box<dyn Bytes>, at: u64, wanted: &[u8]| {
            let mut found = vec![0; wanted.len()];
            disk.read_at(at, &mut found).is_ok() && found == wanted
        };
        if disk.len() == 0 {
            return Err("the file is empty".to_owned());
        }
        let mut foreign = FOREIGN.iter();
        if let Some((_, _, what, help)) =
            foreign.find(|(at, bytes, ..)| starts(&mut disk, *at, bytes))
        {
            return Err(format!("it is {what}, which imgspec does not read: {help}"));
        }
        if starts(&mut disk, 257, b"ustar") {
            return Archive::new(disk).map(|archive| Tree(Kind::Archive(Box::new(archive))));
        }
        if starts(&mut disk, 0, b"QFI\xfb") {
            disk = Box::new(Qcow2::new(disk)?);
        }
        let partitions = find_partitions(&mut *disk)?;
        let mut reasons = Vec::new();
        let disk = std::rc::Rc::new(std::cell::RefCell::new(disk));
        // A smaller one has no room for a file system.
        for (start, length) in partitions.into_iter().filter(|(_, length)| *length >= 2048) {
            let part = Part {
                disk: disk.clone(),
                start,
                length,
            };
            let mut others = OTHER_SYSTEMS.iter();
            let is_there = |at: &u64, wanted: &[u8]| {
                let at = start.saturating_add(*at);
                starts(&mut disk.borrow_mut(), at, wanted)
            };
            if let Some((_, _, name)) = others.find(|(at, bytes, _)| is_there(at, bytes)) {
                reasons.push(format!("{name}, which imgspec does not read"));
                continue;
            }
            match Ext4::load(Box::new(part)) {
                Ok(system) => {
                    let tree = Tree(Kind::Ext4(system));
                    // A boot partition has none.
                    if tree.list("/etc").is_ok_and(|list| list.is_some()) {
                        return Ok(tree);
                    }
                }
                // What is no ext4 at all says nothing.
                Err(Ext4Error::Corrupt(error)) if error.to_string().contains("magic") => {}
                Err(error) => reasons.push(format!("ext4: {error}")),
            }
        }
        reasons.dedup();
        Err(match &reasons[..] {
            [] => "it contains no root file system that imgspec can read: a disk with ext4, or a tar archive".to_owned(),
            reasons => format!("it contains no root file system that imgspec can read: {}", reasons.join("; ")),
        })
    }

    /// Returns the content of a regular file; none if there is no such file. Follows links inside the image.
    ///
    /// # Errors
    /// If the file is larger than `limit`, or cannot be read.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
        let Some(mut file) = self.open_file(path)? else {
            return Ok(None);
        };
        if file.length > limit {
            return Err(format!("{path} is larger than {} MiB", limit >> 20));
        }
        let mut out = Vec::new();
        // A disk can promise more than it has.
        let mut rest = vec![0; 1 << 16];
        loop {
            match file.read_some(&mut rest)? {
                0 => break,
                count => out.extend_from_slice(rest.get(..count).unwrap_or_default()),
            }
        }
        Ok(Some(out))
    }

    /// Returns the text of a regular file, with `�` for what is not UTF-8; none if there is no such file.
    ///
    /// # Errors
    /// Those of [`Tree::read`].
    pub fn read_text(&self, path: &str, limit: u64) -> Result<Option<String>, String> {
        let bytes = self.read(path, limit)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Opens a regular file; none if there is no such file.
    ///
    /// # Errors
    /// If the disk is damaged there.
    pub(super) fn open_file(&self, path: &str) -> Result<Option<OpenFile<'_>>, String> {
        let at = |error: Ext4Error| format!("{path}: {error}");
        match &self.0 {
            Kind::Ext4(system) => match system.open(path) {
                Ok(file) => Ok(Some(OpenFile {
                    length: file.metadata().len(),
                    position: 0,
                    kind: OpenKind::Ext4(Box::new(file)),
                })),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(at(error)),
            },
            Kind::Archive(archive) => Ok(archive.find_file(path).map(|(start, length)| OpenFile {
                length,
                position: 0,
                kind: OpenKind::Archive(archive, start),
            })),
        }
    }

    /// Returns what is in a folder, in the order of the names; none if there is no such folder. Follows links inside the image.
    ///
    /// # Errors
    /// If the folder cannot be read, or has too many entries.
    pub fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, String> {
        let at = |error: Ext4Error| format!("{path}: {error}");
        let system = match &self.0 {
            Kind::Archive(archive) => return Ok(archive.list(path)),
            Kind::Ext4(system) => system,
        };
        let entries = match system.read_dir(path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(at(error)),
        };
        let mut out = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at)?;
            let name = entry.file_name().display().to_string();
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type().map_err(at)? {
                FileType::Regular => EntryKind::File,
                FileType::Directory => EntryKind::Folder,
                _ => EntryKind::Other,
            };
            out.push(Entry { name, kind });
            if out.len() > MAX_LISTED {
                return Err(format!("{path} has more than {MAX_LISTED} entries"));
            }
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(out))
    }
}

/// True where the path leads to no regular file or folder.
fn is_absent(error: &Ext4Error) -> bool {
    matches!(
        error,
        Ext4Error::NotFound
            | Ext4Error::NotADirectory
            | Ext4Error::IsADirectory
            | Ext4Error::IsASpecialFile
            | Ext4Error::TooManySymlinks
            | Ext4Error::MalformedPath
            | Ext4Error::PathTooLong
    )
}

/// An open file of an image.
pub(super) struct OpenFile<'t> {
    pub(super) length: u64,
    position: u64,
    kind: OpenKind<'t>,
}

enum OpenKind<'t> {
    Ext4(Box<ext4_view::File>),
    Archive(&'t Archive, u64),
}

impl OpenFile<'_> {
    /// Reads the next bytes. Returns how many; 0 at the end.
    ///
    /// # Errors
    /// If the disk is damaged there.
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let count = match &mut self.kind {
            OpenKind::Ext4(file) => file.read_bytes(buffer).map_err(|e| e.to_string())?,
            OpenKind::Archive(archive, start) => {
                let rest = self.length.saturating_sub(self.position);
                let count = usize::try_from(rest)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                let part = buffer.get_mut(..count).unwrap_or_default();
                archive.read_at(start.saturating_add(self.position), part)?;
                count
            }
        };
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }

    /// Returns the SHA-256 of the rest of the file, in hexadecimal.
    ///
    /// # Errors
    /// Those of [`OpenFile::read_some`], or if the file is larger than `limit`.
    pub(super) fn sha256(&mut self, limit: u64) -> Result<String, String> {
        if self.length > limit {
            return Err(format!("a file is larger than {} GiB", limit >> 30));
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 17];
        loop {
            match self.read_some(&mut buffer)? {
                0 => break,
                count => hash.update(buffer.get(..count).unwrap_or_default()),
            }
        }
        Ok(hex(&hash.finalize()))
    }
}

impl Read for OpenFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.read_some(buffer).map_err(std::io::Error::other)
    }
}

impl Seek for OpenFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let (base, step) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(step) => (self.length, step),
            SeekFrom::Current(step) => (self.position, step),
        };
        let at = base.checked_add_signed(step).ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::InvalidInput, "a place before the file")
        })?;
        if let OpenKind::Ext4(file) = &mut self.kind {
            file.seek_to(at).map_err(std::io::Error::other)?;
        }
        self.position = at;
        Ok(at)
    }
}
