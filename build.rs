//! Compiles the package anew when a file comes into an embedded folder or leaves it (`include_dir!` sees neither), and
//! stores the standard library in the form in which the program reads it, and the digests of the embedded templates and roles.
//!
//! The rooms of the compiler that read a library are compiled into this script: the form is made by the code that reads it.

#![allow(
    dead_code,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    unused_variables,
    reason = "the script uses a part of these rooms"
)]

#[path = "src/ansible/mod.rs"]
mod ansible;
#[path = "src/diagnostic/mod.rs"]
mod diagnostic;
#[path = "src/packer/mod.rs"]
mod packer;
#[path = "src/project/mod.rs"]
mod project;
#[path = "src/schema/mod.rs"]
mod schema;
#[path = "src/source/mod.rs"]
mod source;
#[path = "src/syntax/mod.rs"]
mod syntax;

use project::{Edition, Library};
use schema::Roles;
use sha2::{Digest, Sha256};
use source::Release;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    for folder in ["stdlib", "config", "ansible", "docs/codes"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let folder = Path::new(&out).join("prebuilt");
    fs::create_dir_all(&folder)?;
    for release in Release::all() {
        if let Some(bytes) = Library::encode_kept(release) {
            fs::write(folder.join(format!("{release}.kept")), bytes)?;
        }
        for roles in [Roles::Native, Roles::Upstream] {
            let library = Library::read(Edition { release, roles }, None);
            if let Some(bytes) = library.encode() {
                fs::write(folder.join(format!("{release}.{}", roles.name())), bytes)?;
            }
        }
    }
    fs::write(Path::new(&out).join("asset-sums"), asset_sums()?)?;
    println!("cargo:rustc-check-cfg=cfg(imgspec_prebuilt)");
    println!("cargo:rustc-cfg=imgspec_prebuilt");
    Ok(())
}

/// The SHA-256 of each embedded template, playbook and role: lines as `sha256sum` prints them, in the order of the names.
fn asset_sums() -> io::Result<String> {
    let mut open = vec![
        Path::new("config").to_owned(),
        Path::new("ansible").to_owned(),
    ];
    let mut lines = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.to_string_lossy().replace('\\', "/");
            let sum = source::hex(&Sha256::digest(fs::read(&path)?));
            lines.push((name, sum));
        }
    }
    lines.sort();
    let lines = lines.iter().map(|(name, sum)| format!("{sum}  {name}\n"));
    Ok(lines.collect())
}
