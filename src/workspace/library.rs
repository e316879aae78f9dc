//! The library of a project. What a library comes to is kept in the cache, so that it is read and checked once.

use crate::project::{Adopted, Library, LibraryChoice};
use crate::source::{hex, sha256};
use crate::workspace::checkout::{place_of, program, remove_old};
use crate::workspace::write::replace_private;
use rustc_hash::FxHasher;
use sha2::{Digest, Sha256};
use std::fs;
use std::hash::Hasher;
use std::path::Path;
use std::sync::Arc;

/// The size in bytes from which a library's texts are worth a file in the cache.
const WORTH: usize = 8 << 10;

/// Returns the library of a choice. One that was adopted comes from the cache, if this program has read the same texts
/// before.
pub fn library(choice: LibraryChoice) -> Arc<Library> {
    let adopted = match choice {
        LibraryChoice::Adopted(adopted) => adopted,
        built_in @ LibraryChoice::BuiltIn(_) => return Library::of(built_in),
    };
    let size: usize = adopted.files.values().map(String::len).sum();
    if size < WORTH {
        return Library::adopted(adopted);
    }
    let digest = digest_of(&adopted);
    let root = adopted.checkout.as_deref().unwrap_or(&adopted.root);
    let place = place_of(root, "library");
    let kept = fs::read(&place).unwrap_or_default();
    let adopted = match whole(&kept, &digest) {
        Some(stored) => match Library::stored(adopted, stored.into()) {
            Ok(library) => return library,
            Err(adopted) => *adopted,
        },
        None => adopted,
    };
    let library = Library::adopted(adopted);
    if let Some(stored) = library.encode() {
        let sum = sum(&stored).to_le_bytes();
        // A cache that cannot be written costs only time.
        let _ = replace_private(&place, &[digest.as_bytes(), &sum, &stored].concat());
        remove_old(&place);
    }
    library
}

/// Returns the stored library in a file of the cache, if it is the one of a digest, and as it was written.
fn whole<'k>(kept: &'k [u8], digest: &str) -> Option<&'k [u8]> {
    let rest = kept.strip_prefix(digest.as_bytes())?;
    let (kept_sum, stored) = rest.split_first_chunk()?;
    (u64::from_le_bytes(*kept_sum) == sum(stored)).then_some(stored)
}

/// A sum of bytes that differs where a disk has damaged them.
fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Identifies the texts of a library, its place, and this program, which reads them.
fn digest_of(adopted: &Adopted) -> String {
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    let path = |path: &Path| path.as_os_str().as_encoded_bytes().to_owned();
    add(&program());
    add(adopted.release.name().as_bytes());
    add(&path(&adopted.root));
    match &adopted.digest {
        Some(known) => add(known.as_bytes()),
        None => {
            for (name, text) in &adopted.files {
                add(&path(name));
                add(text.as_bytes());
            }
            for (name, text) in &adopted.origins {
                add(&path(name));
                add(sha256(text).as_bytes());
            }
        }
    }
    hex(&digest.finalize())
}
