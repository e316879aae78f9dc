//! The files of a tar archive. Only the names are in memory.

use crate::image::disk::{Bytes, Entry, EntryKind, MAX_LINKS};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;
use tar::EntryType;

/// An archive with a root file system.
pub(super) struct Archive {
    bytes: Rc<RefCell<Box<dyn Bytes>>>,
    /// By the path without a leading `/`; the root is empty.
    nodes: BTreeMap<String, Node>,
}

enum Node {
    File {
        start: u64,
        length: u64,
    },
    Folder,
    /// To this path, as it is written.
    Link(String),
    Other,
}

/// The most files of an archive.
const MAX_NODES: usize = 2_000_000;

/// The most bytes of the paths in an archive.
const MAX_NAMES: usize = 256 << 20;

/// Reads bytes in order.
struct Cursor {
    bytes: Rc<RefCell<Box<dyn Bytes>>>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes.borrow().len().saturating_sub(self.at);
        let count = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let part = buffer.get_mut(..count).unwrap_or_default();
        let read = self.bytes.borrow_mut().read_at(self.at, part);
        read.map_err(io::Error::other)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(step) => self.bytes.borrow().len().checked_add_signed(step),
            SeekFrom::Current(step) => self.at.checked_add_signed(step),
        };
        self.at = at.ok_or_else(|| io::Error::other("a place outside of the archive"))?;
        Ok(self.at)
    }
}

impl Archive {
    /// Reads the headers of an archive.
    ///
    /// # Errors
    /// If the archive is damaged or too large, or has no root file system.
    pub(super) fn new(bytes: Box<dyn Bytes>) -> Result<Archive, String> {
        let length = bytes.len();
        let bytes = Rc::new(RefCell::new(bytes));
        let mut archive = Archive {
            bytes: bytes.clone(),
            nodes: BTreeMap::new(),
        };
        archive.nodes.insert(String::new(), Node::Folder);
        let damaged = |e: io::Error| format!("the archive is damaged: {e}");
        let mut reader = tar::Archive::new(Cursor { bytes, at: 0 });
        let mut names = 0;
        for entry in reader.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let path = normal(&String::from_utf8_lossy(&entry.path_bytes()));
            let target = |entry: &tar::Entry<'_, _>| {
                let name = entry.link_name_bytes().unwrap_or_default();
                String::from_utf8_lossy(&name).into_owned()
            };
            let node = match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    let (start, size) = (entry.raw_file_position(), entry.size());
                    if start.checked_add(size).is_none_or(|end| end > length) {
                        return Err("the archive ends too early: it is cut off".to_owned());
                    }
                    Node::File {
                        start,
                        length: size,
                    }
                }
                EntryType::Directory => Node::Folder,
                EntryType::Symlink => Node::Link(target(&entry)),
                // It names the other file from the root of the archive.
                EntryType::Link => Node::Link(format!("/{}", normal(&target(&entry)))),
                _ => Node::Other,
            };
            names += path.len();
            for (at, _) in path.match_indices('/') {
                let parent = path.get(..at).unwrap_or_default();
                if !archive.nodes.contains_key(parent) {
                    archive.nodes.insert(parent.to_owned(), Node::Folder);
                    names += parent.len();
                }
            }
            archive.nodes.insert(path, node);
            if archive.nodes.len() > MAX_NODES || names > MAX_NAMES {
                return Err(format!("the archive has more than {MAX_NODES} files"));
            }
        }
        if archive.list("etc").is_none() {
            return Err("it is an archive without a root file system".to_owned());
        }
        Ok(archive)
    }

    /// Reads bytes of the archive.
    pub(super) fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<(), String> {
        self.bytes.borrow_mut().read_at(at, buffer)
    }

    /// Returns where a regular file begins, and its length.
    pub(super) fn find_file(&self, path: &str) -> Option<(u64, u64)> {
        match self.nodes.get(&self.resolve(path)?)? {
            Node::File { start, length } => Some((*start, *length)),
            _ => None,
        }
    }

    /// Returns what is in a folder, in the order of the names.
    pub(super) fn list(&self, path: &str) -> Option<Vec<Entry>> {
        let path = self.resolve(path)?;
        let Node::Folder = self.nodes.get(&path)? else {
            return None;
        };
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let below = self.nodes.range(prefix.clone()..);
        let below = below.take_while(|(path, _)| path.starts_with(&prefix));
        let own = below.filter_map(|(path, node)| {
            let name = path.strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains('/')).then_some((name, node))
        });
        let entries = own.map(|(name, node)| Entry {
            name: name.to_owned(),
            kind: match node {
                Node::File { .. } => EntryKind::File,
                Node::Folder => EntryKind::Folder,
                Node::Link(_) | Node::Other => EntryKind::Other,
            },
        });
        Some(entries.collect())
    }

    /// Follows the links in a path. Returns the path of what is there, which may be nothing.
    fn resolve(&self, path: &str) -> Option<String> {
        let mut links = 0;
        let mut todo: Vec<String> = parts(path);
        let mut done: Vec<String> = Vec::new();
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(part);
            if let Some(Node::Link(target)) = self.nodes.get(&done.join("/")) {
                links += 1;
                if links > MAX_LINKS {
                    return None;
                }
                if target.starts_with('/') {
                    done.clear();
                } else {
                    done.pop();
                }
                todo.extend(parts(target));
            }
        }
        Some(done.join("/"))
    }
}

/// The parts of a path, the last one first.
fn parts(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.rev().map(str::to_owned).collect()
}

/// A path from the root of the archive.
fn normal(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(out.pop()),
            part => out.push(part),
        }
    }
    out.join("/")
}
