//! What Go's linker notes in a program: the modules that it consists of (Go: `debug/buildinfo`).

use crate::image::disk::OpenFile;
use crate::image::{le32, le64};
use std::io::{Read, Seek, SeekFrom};

/// A module, and the sum that Go knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoModule {
    /// The path, such as `k8s.io/api`.
    pub path: String,
    /// The version, such as `v0.34.2`; `(devel)` where the module is what was being built.
    pub version: String,
    /// Go's sum, `h1:…`; empty where Go notes none.
    pub sum: String,
}

/// How a Go program was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoBuild {
    /// The version of Go, such as `go1.24.2`.
    pub go: String,
    /// The module of the program.
    pub module: Option<GoModule>,
    /// The modules that the program consists of, in Go's order.
    pub modules: Vec<GoModule>,
    /// The version of the program, if the module has one or the linker was given one.
    pub version: Option<String>,
}

/// The most sections of a program that are looked at. Go's have about 30.
const MAX_SECTIONS: u16 = 500;

/// The most bytes of the notes. Those of Kubernetes' programs have 20 KiB.
const MAX_NOTES: u64 = 4 << 20;

/// The most modules of a program that are listed.
const MAX_MODULES: usize = 5000;

/// The start of the notes.
const MAGIC: &[u8] = b"\xff Go buildinf:";

/// True for the first bytes of a program for Linux.
pub(super) fn is_elf(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF")
}

/// Reads the notes of a program for a 64-bit processor; none if it has none, as programs of Go before 1.18.
pub(super) fn read_build(file: &mut OpenFile<'_>) -> Option<GoBuild> {
    let (start, length) = find_section(file)?;
    let notes = read_at(file, start, length.min(MAX_NOTES))?;
    // Bit 1: the texts follow, rather than pointers to them.
    if !notes.starts_with(MAGIC) || notes.get(15)? & 2 == 0 {
        return None;
    }
    let (go, rest) = take_text(notes.get(32..)?)?;
    let (modules, _) = take_text(rest)?;
    // The text is between two marks of 16 bytes.
    let modules = modules.get(16..modules.len().checked_sub(16)?)?;
    Some(parse(
        String::from_utf8_lossy(go).trim(),
        &String::from_utf8_lossy(modules),
    ))
}

/// Finds the section with the notes: its place in the file, and its length.
fn find_section(file: &mut OpenFile<'_>) -> Option<(u64, u64)> {
    let header = read_at(file, 0, 64)?;
    let is_64_bit_little = header.get(4..6) == Some(&[2, 1]);
    if !is_elf(&header) || !is_64_bit_little {
        return None;
    }
    let short = |at: usize| Some(u16::from_le_bytes(header.get(at..at + 2)?.try_into().ok()?));
    let (table, size, count, names) = (le64(&header, 40)?, short(58)?, short(60)?, short(62)?);
    if size != 64 || count > MAX_SECTIONS || names >= count {
        return None;
    }
    let table = read_at(file, table, u64::from(count) * 64)?;
    let place = |section: &[u8]| Some((le64(section, 24)?, le64(section, 32)?));
    let (names, length) = place(table.chunks_exact(64).nth(usize::from(names))?)?;
    let names = read_at(file, names, length.min(MAX_NOTES))?;
    let is_it = |section: &&[u8]| {
        let name = le32(section, 0).and_then(|at| names.get(at as usize..));
        name.is_some_and(|name| name.starts_with(b".go.buildinfo\0"))
    };
    place(table.chunks_exact(64).find(is_it)?)
}

fn read_at(file: &mut OpenFile<'_>, at: u64, length: u64) -> Option<Vec<u8>> {
    if at.checked_add(length)? > file.length {
        return None;
    }
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut out = vec![0; usize::try_from(length).ok()?];
    file.read_exact(&mut out).ok()?;
    Some(out)
}

/// A text behind its length, which is a varint.
fn take_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let rest = bytes.get(at + 1..)?;
            return rest.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

/// Reads the lines of the notes: words, separated by tabs.
fn parse(go: &str, text: &str) -> GoBuild {
    let mut build = GoBuild {
        go: go.to_owned(),
        module: None,
        modules: Vec::new(),
        version: None,
    };
    let module = |words: &[&str]| {
        let word = |at: usize| words.get(at).copied().unwrap_or_default().to_owned();
        GoModule {
            path: word(1),
            version: word(2),
            sum: word(3),
        }
    };
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        match words.first().copied() {
            Some("mod") => build.module = Some(module(&words)),
            Some("dep") if build.modules.len() < MAX_MODULES => build.modules.push(module(&words)),
            // What stands in for the module of the line before.
            Some("=>") => {
                if let Some(last) = build.modules.last_mut() {
                    *last = module(&words);
                }
            }
            Some("build") => {
                let setting = words.get(1).and_then(|word| word.strip_prefix("-ldflags="));
                build.version = build.version.take().or_else(|| linked_version(setting?));
            }
            _ => {}
        }
    }
    let own = build.module.as_ref().map(|module| &module.version);
    if let Some(version) = own.filter(|version| *version != "(devel)" && !version.is_empty()) {
        build.version = Some(version.clone());
    }
    build
}

/// The version that `-X …ersion=v1.2.3` gives to the linker.
fn linked_version(flags: &str) -> Option<String> {
    let mut words = flags.split([' ', '"', '\'']);
    words.find_map(|word| {
        let (name, value) = word.split_once('=')?;
        let value = value.trim_matches(['"', '\'', '\\']);
        let is_version = name.to_ascii_lowercase().ends_with("version")
            && value
                .trim_start_matches('v')
                .starts_with(|c: char| c.is_ascii_digit());
        is_version.then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_versions_are_read() {
        let text = "path\tk8s.io/kubernetes/cmd/kubelet\nmod\tk8s.io/kubernetes\t(devel)\t\ndep\tgithub.com/a/b\tv1.0.0\th1:x\n=>\tgithub.com/c/b\tv1.0.1\th1:y\nbuild\t-ldflags=\"-s -X 'k8s.io/component-base/version.gitVersion=v1.34.2'\"\n";
        let build = parse("go1.24.2", text);
        assert_eq!(build.version.as_deref(), Some("v1.34.2"));
        assert_eq!(build.modules.len(), 1);
        assert_eq!(build.modules[0].path, "github.com/c/b");
        let build = parse(
            "go1.24.2",
            "mod\tgithub.com/containerd/containerd\tv1.7.0\th1:z\n",
        );
        assert_eq!(build.version.as_deref(), Some("v1.7.0"));
    }
}
