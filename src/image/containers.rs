//! The container images that containerd has: read from its metadata, a database of bbolt
//! (go.etcd.io/bbolt: `page.go`, `db.go`; containerd: `core/metadata/buckets.go`).

use crate::image::{le32, le64};
use std::collections::BTreeSet;

/// A container image in containerd's store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerImage {
    /// The name, such as `registry.k8s.io/pause:3.10`.
    pub name: String,
    /// The digest of its manifest or index, `sha256:…`.
    pub digest: String,
}

/// The most steps through the database, which bounds what a damaged one costs.
const MAX_STEPS: usize = 200_000;

/// The deepest tree that is read.
const MAX_DEPTH: usize = 30;

const PAGE_HEADER: usize = 16;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;

/// Returns the container images that a database names, for all namespaces, in order.
///
/// # Errors
/// If it is not such a database, or is damaged.
pub(super) fn read_images(bytes: &[u8]) -> Result<Vec<ContainerImage>, String> {
    let damaged = || "containerd's metadata are damaged".to_owned();
    let mut database = Database::new(bytes).ok_or_else(damaged)?;
    let root = Bucket::Page(database.root);
    let mut out = BTreeSet::new();
    let version = database.child(root, b"v1").ok_or_else(damaged)?;
    let Some(version) = version else {
        return Ok(Vec::new());
    };
    for (namespace, value) in database.entries(version, 0).ok_or_else(damaged)? {
        let Some(namespace) = Bucket::of(value).filter(|_| !namespace.is_empty()) else {
            continue;
        };
        let Some(images) = database.child(namespace, b"images").ok_or_else(damaged)? else {
            continue;
        };
        for (name, value) in database.entries(images, 0).ok_or_else(damaged)? {
            let name = String::from_utf8_lossy(name).into_owned();
            // The kubelet's service also names an image by its ID.
            let Some(image) = Bucket::of(value).filter(|_| !name.starts_with("sha256:")) else {
                continue;
            };
            let target = database.child(image, b"target").ok_or_else(damaged)?;
            let Some(target) = target else { continue };
            let entries = database.entries(target, 0).ok_or_else(damaged)?;
            let digest = entries.iter().find(|(key, _)| *key == b"digest");
            let digest = digest.map(|(_, value)| String::from_utf8_lossy(value.bytes).into_owned());
            out.insert(ContainerImage {
                name,
                digest: digest.unwrap_or_default(),
            });
        }
    }
    let named: BTreeSet<(String, String)> = out.iter().filter_map(tagged).collect();
    let is_own = |image: &ContainerImage| {
        let repository = image.name.split_once('@').map(|(repository, _)| repository);
        let key = repository.map(|repository| (repository.to_owned(), image.digest.clone()));
        key.is_none_or(|key| !named.contains(&key))
    };
    // The kubelet's service names an image by its digest, too.
    Ok(out.into_iter().filter(is_own).collect())
}

/// The repository and the digest of an image that has a tag.
fn tagged(image: &ContainerImage) -> Option<(String, String)> {
    let (repository, _) = image.name.rsplit_once(':')?;
    (!image.name.contains('@')).then(|| (repository.to_owned(), image.digest.clone()))
}

#[derive(Debug, Clone, Copy)]
struct Value<'b> {
    bytes: &'b [u8],
    is_bucket: bool,
}

/// A tree of keys and values.
#[derive(Debug, Clone, Copy)]
enum Bucket<'b> {
    /// Its root is a page.
    Page(u64),
    /// It is so small that it is inside a value: the page.
    Inline(&'b [u8]),
}

impl<'b> Bucket<'b> {
    fn of(value: Value<'b>) -> Option<Bucket<'b>> {
        if !value.is_bucket {
            return None;
        }
        match le64(value.bytes, 0)? {
            0 => Some(Bucket::Inline(value.bytes.get(16..)?)),
            page => Some(Bucket::Page(page)),
        }
    }
}

struct Database<'b> {
    bytes: &'b [u8],
    page_size: usize,
    root: u64,
    steps: usize,
}

impl<'b> Database<'b> {
    /// Reads the newer of the two meta pages.
    fn new(bytes: &'b [u8]) -> Option<Database<'b>> {
        let meta = |at: usize| {
            let meta = bytes.get(at.checked_add(PAGE_HEADER)?..)?;
            let is_meta = le32(meta, 0)? == 0xED0C_DAED && le32(meta, 4)? == 2;
            let page_size = le32(meta, 8)? as usize;
            let is_whole = is_meta && (512..=1 << 20).contains(&page_size);
            is_whole.then_some((le64(meta, 48)?, page_size, le64(meta, 16)?))
        };
        let first = meta(0);
        let size = first.map_or(4096, |(_, size, _)| size);
        let (_, page_size, root) = first.into_iter().chain(meta(size)).max()?;
        Some(Database {
            bytes,
            page_size,
            root,
            steps: 0,
        })
    }

    /// The bucket inside another one with this name.
    fn child(&mut self, bucket: Bucket<'b>, name: &[u8]) -> Option<Option<Bucket<'b>>> {
        let entries = self.entries(bucket, 0)?;
        let found = entries.into_iter().find(|(key, _)| *key == name);
        Some(found.and_then(|(_, value)| Bucket::of(value)))
    }

    /// All keys and values of a bucket; none if it is damaged.
    fn entries(&mut self, bucket: Bucket<'b>, depth: usize) -> Option<Vec<(&'b [u8], Value<'b>)>> {
        let page = match bucket {
            Bucket::Inline(page) => page,
            Bucket::Page(id) => {
                let at = usize::try_from(id).ok()?.checked_mul(self.page_size)?;
                self.bytes.get(at..)?
            }
        };
        let short = |at: usize| Some(u16::from_le_bytes(page.get(at..at + 2)?.try_into().ok()?));
        let (flags, count) = (short(8)?, usize::from(short(10)?));
        let mut out = Vec::new();
        for at in 0..count {
            self.steps += 1;
            if self.steps > MAX_STEPS || depth > MAX_DEPTH {
                return None;
            }
            let at = PAGE_HEADER + at * 16;
            let number = |step: usize| Some(le32(page, at + step)? as usize);
            if flags & LEAF != 0 {
                let (flags, start) = (number(0)?, at.checked_add(number(4)?)?);
                let middle = start.checked_add(number(8)?)?;
                let end = middle.checked_add(number(12)?)?;
                let value = Value {
                    bytes: page.get(middle..end)?,
                    is_bucket: flags & 1 != 0,
                };
                out.push((page.get(start..middle)?, value));
            } else if flags & BRANCH != 0 {
                let below = self.entries(Bucket::Page(le64(page, at + 8)?), depth + 1)?;
                out.extend(below);
            } else {
                return None;
            }
        }
        Some(out)
    }
}
