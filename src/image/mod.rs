//! Built images: reading one without starting or mounting it, what is in it, and where its values come from; and starting one
//! without changing it, to run probes in it.
//!
//! An image can come from anywhere, so nothing in it is trusted: memory is bounded, and every read can fail.

mod archive;
#[expect(
    clippy::disallowed_methods,
    reason = "an image is started with files and programs"
)]
#[cfg(unix)]
mod boot;
mod containers;
mod disk;
mod go;
#[cfg(unix)]
mod junit;
#[expect(
    clippy::disallowed_methods,
    reason = "an image is started with files and programs"
)]
#[cfg(unix)]
mod machine;
mod packages;
mod partitions;
#[expect(
    clippy::disallowed_methods,
    reason = "an image is started with files and programs"
)]
#[cfg(unix)]
mod probe;
mod qcow2;
mod rpm;
mod sbom;
mod sqlite;
mod whence;

#[cfg(unix)]
pub use boot::{Disk, Guest, Ran, Start, StartFailure};
pub use containers::ContainerImage;
pub use disk::{Entry, EntryKind, Medium, Tree};
pub use go::{GoBuild, GoModule};
#[cfg(unix)]
pub use junit::{Suite, junit};
pub use packages::{
    Inventory, Os, Package, PackageSystem, Program, Release, read_provenance, read_release,
};
#[cfg(unix)]
pub use probe::{Answer, Checked, Limits, Started, System, Verdict, check};
pub use sbom::{Format, Made, render};
pub use whence::{Change, changes, describe};

/// The release file of an image.
pub const RELEASE_FILE: &str = "/etc/imgspec-release";

/// Where the provenance can be in an image. Flatcar has it below `/opt`.
pub const PROVENANCE_FILES: [&str; 2] = [
    "/usr/share/imgspec/provenance.json",
    "/opt/share/imgspec/provenance.json",
];

/// The number at this place, little-endian.
fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(part.try_into().ok()?))
}

/// The number at this place, little-endian.
fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(part.try_into().ok()?))
}

/// The number at this place, big-endian.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(part.try_into().ok()?))
}

/// The number at this place, big-endian.
fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_be_bytes(part.try_into().ok()?))
}
