//! What `imgspec sbom` and `imgspec whence` read from a built image: a folder each in `tests/image`.
//!
//! `tests/image/NAME/tree` has the files of an image. In their names, `%3A` is a `:`, which no other system allows in a file's
//! name; `links` has a link in each line, and where it leads to. The test makes all media of them that a build can make: an
//! archive, and disks with and without partitions, raw and qcow2. Each must give the same, which is in `expected.txt`,
//! `cyclonedx.json` and `spdx.json`. The database of containerd was written by bbolt 1.4.3 with the buckets of containerd, and that
//! of rpm by rpm 4.18. Both have pages of 512 bytes, so that little content makes a tree.
//!
//! Other tests here damage the media. `IMGSPEC_DAMAGES` sets how many damaged disks are read (100).

mod common;

use common::snapshot::{self, fail_on};
use imgspec::image::{Inventory, Tree, read_provenance};
use libtest_mimic::Failed;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn main() -> ExitCode {
    let folder = common::root().join("tests/image");
    let cases = common::entries(&folder).into_iter();
    let mut trials = snapshot::trials(cases.filter(|case| case.is_dir()).collect(), compare);
    trials.extend(snapshot::functions![
        damaged_media_are_refused,
        damage_causes_no_panic_and_takes_no_time,
        foreign_programs_accept_the_bills,
        go_notes_are_those_of_a_program_of_go,
    ]);
    snapshot::run(trials)
}

/// The media of an image, each with its name.
struct Media {
    folder: TempDir,
    files: Vec<PathBuf>,
}

/// Makes all media of a case; none where programs are missing.
fn make_media(case: &Path) -> Option<Media> {
    let missing = ["mke2fs", "sfdisk", "qemu-img", "tar"]
        .into_iter()
        .find(|program| which::which_in(program, Some(path()), ".").is_err());
    if let Some(program) = missing {
        common::skip_without_tools(&format!("disks of images: {program} is missing"));
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    copy(&case.join("tree"), &tree);
    let links = fs::read_to_string(case.join("links")).unwrap_or_default();
    for line in links.lines() {
        let (link, target) = line.split_once(' ').unwrap();
        std::os::unix::fs::symlink(target, tree.join(link)).unwrap();
    }
    let script = r#"
        export LC_ALL=C
        disk() { # FILE TABLE PARTITION OFFSET
            truncate -s 24M "$1"
            [ -z "$2" ] || printf "$2" | sfdisk -q "$1"
            mke2fs -q -t ext4 -E "offset=$4,root_owner=0:0" -d "$3" "$1" "$(((24 << 10) - $4 / 1024 - 1024))k"
        }
        tar --numeric-owner --sort=name -C tree -cf image.tar .
        disk plain.raw "" tree 0
        disk mbr.raw 'label: dos\n2048,,L,*\n' tree 1048576
        mkdir boot && echo boot > boot/kernel
        # The first partition has no /etc.
        truncate -s 2M boot.img && mke2fs -q -t ext4 -d boot boot.img 2048k
        disk gpt.raw 'label: gpt\n2048,4096,L\n8192,40000,L\n' tree 4194304
        dd if=boot.img of=gpt.raw bs=1M seek=1 conv=notrunc status=none
        qemu-img convert -O qcow2 mbr.raw image.qcow2
        qemu-img convert -c -O qcow2 gpt.raw packed.qcow2
        qemu-img convert -O qcow2 -o compat=0.10,cluster_size=512 mbr.raw old.qcow2
    "#;
    let made = Command::new("bash")
        .args(["-euc", script])
        .env("PATH", path())
        .current_dir(folder.path())
        .output();
    let made = made.unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let names = [
        "image.tar",
        "plain.raw",
        "mbr.raw",
        "gpt.raw",
        "image.qcow2",
        "packed.qcow2",
        "old.qcow2",
    ];
    let files = names.map(|name| folder.path().join(name)).to_vec();
    Some(Media { folder, files })
}

fn path() -> std::ffi::OsString {
    let path = common::search_path();
    std::env::join_paths(std::env::split_paths(&path).chain(["/usr/sbin".into()])).unwrap()
}

/// Copies a folder, with the names that the files have in the image.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in common::entries(from) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = name
            .replace("%3A", ":")
            .replace("%0A", "\n")
            .replace("%1B", "\u{1b}");
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Runs commands on a medium, and returns what they print, with its name as DISK.
fn printed(media: &Media, medium: &Path) -> String {
    let mut out = String::new();
    let name = medium.file_name().unwrap().to_str().unwrap();
    for args in [
        &["sbom", "--format", "list"][..],
        &["whence"],
        &["whence", "extra_debs"],
    ] {
        let mut args = args.to_vec();
        args.insert(1, name);
        let output = common::run(media.folder.path(), &args);
        args[1] = "DISK";
        let _ = writeln!(out, "$ imgspec {}", args.join(" "));
        out.push_str(&String::from_utf8(output.stdout.clone()).unwrap());
        let aside = String::from_utf8(output.stderr.clone()).unwrap();
        out.push_str(&aside.replace(name, "DISK"));
        let _ = writeln!(out, "exit code {}\n", common::exit_code(&output));
    }
    out
}

fn bill(media: &Media, medium: &Path, format: &str) -> String {
    let medium = medium.to_str().unwrap();
    let output = common::run(media.folder.path(), &["sbom", medium, "--format", format]);
    let text = String::from_utf8(output.stdout).unwrap();
    let name = Path::new(medium).file_name().unwrap().to_str().unwrap();
    text.replace(name, "DISK")
}

fn compare(case: &Path) -> Result<(), Failed> {
    let Some(media) = make_media(case) else {
        return Ok(());
    };
    let first = &media.files[0];
    let wanted = printed(&media, first);
    snapshot::compare(&case.join("expected.txt"), &wanted)?;
    let mut problems = Vec::new();
    for medium in &media.files[1..] {
        let found = printed(&media, medium);
        if found != wanted {
            problems.push(format!("{} gives\n{found}", medium.display()));
        }
    }
    fail_on(&problems)?;
    if wanted.starts_with("$ imgspec sbom DISK --format list\nimgspec: cannot read") {
        return Ok(());
    }
    for format in ["cyclonedx", "spdx"] {
        let text = bill(&media, first, format);
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        snapshot::compare(&case.join(format!("{format}.json")), &text)?;
    }
    Ok(())
}

/// The media of the case with most in it.
fn whole_media() -> Option<Media> {
    make_media(&common::root().join("tests/image/debian"))
}

/// Each kind of damage has its message, word for word in `tests/image/refused.txt`.
fn damaged_media_are_refused() {
    let Some(media) = whole_media() else { return };
    let read = |name: &str| fs::read(media.folder.path().join(name)).unwrap();
    let with = |name: &str, at: usize, bytes: &[u8]| {
        let mut content = read(name);
        content[at..at + bytes.len()].copy_from_slice(bytes);
        content
    };
    let cut = |name: &str, length: usize| read(name)[..length].to_vec();
    let mut backed = with("image.qcow2", 8, &600u64.to_be_bytes());
    backed[600..611].copy_from_slice(b"/etc/shadow");
    let damages: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("text", b"hello\n".to_vec()),
        ("zeros", vec![0; 1 << 20]),
        ("gzip", vec![0x1f, 0x8b, 8, 0]),
        ("zstd", vec![0x28, 0xb5, 0x2f, 0xfd]),
        ("zip", b"PK\x03\x04".to_vec()),
        ("vmdk", b"KDMV\x01\0\0\0".to_vec()),
        ("vhd", b"conectix".to_vec()),
        ("archive that is cut off", cut("image.tar", 20_000)),
        ("archive without /etc", {
            let script =
                "mkdir x; tar -C x -cf without.tar . boot 2>/dev/null; tar -cf without.tar boot";
            let made = Command::new("bash")
                .args(["-c", script])
                .current_dir(media.folder.path())
                .status();
            assert!(made.unwrap().success());
            read("without.tar")
        }),
        ("disk that is cut off", cut("mbr.raw", 3 << 20)),
        ("disk of one sector", cut("mbr.raw", 512)),
        ("GPT that is cut off", cut("gpt.raw", 600)),
        (
            "GPT of too many partitions",
            with("gpt.raw", 512 + 80, &[0xff; 4]),
        ),
        ("GPT without its header", with("gpt.raw", 512, &[0; 8])),
        ("xfs", with("mbr.raw", 1 << 20, b"XFSB")),
        ("btrfs", with("mbr.raw", (1 << 20) + 0x10040, b"_BHRfS_M")),
        ("LVM", with("mbr.raw", (1 << 20) + 512, b"LABELONE")),
        (
            "ext4 of an unknown feature",
            with("plain.raw", 1024 + 0x60, &[0xff; 4]),
        ),
        (
            "ext4 without its first folder",
            with("plain.raw", 1024 + 0x28, &[0; 4]),
        ),
        ("qcow2 that is cut off", cut("image.qcow2", 300_000)),
        ("qcow2 of a header", cut("image.qcow2", 80)),
        (
            "qcow2 of version 9",
            with("image.qcow2", 4, &9u32.to_be_bytes()),
        ),
        ("qcow2 with a backing file", backed),
        (
            "qcow2 with encryption",
            with("image.qcow2", 32, &1u32.to_be_bytes()),
        ),
        (
            "qcow2 with data elsewhere",
            with("image.qcow2", 72, &4u64.to_be_bytes()),
        ),
        ("qcow2 with zstd", {
            let mut content = with("image.qcow2", 72, &8u64.to_be_bytes());
            content[104] = 1;
            content
        }),
        (
            "qcow2 with subclusters",
            with("image.qcow2", 72, &16u64.to_be_bytes()),
        ),
        (
            "qcow2 that is marked",
            with("image.qcow2", 72, &2u64.to_be_bytes()),
        ),
        (
            "qcow2 of huge clusters",
            with("image.qcow2", 20, &40u32.to_be_bytes()),
        ),
        ("qcow2 of a huge size", with("image.qcow2", 24, &[0x7f; 8])),
        ("qcow2 of a huge table", with("image.qcow2", 36, &[0xff; 4])),
        (
            "qcow2 with its table elsewhere",
            with("image.qcow2", 40, &[0x7f; 8]),
        ),
    ];
    let mut out = String::new();
    for (name, content) in damages {
        fs::write(media.folder.path().join("disk"), content).unwrap();
        let _ = writeln!(out, "# {name}");
        let mut said = BTreeSet::new();
        for command in ["sbom", "whence"] {
            let output = common::run(media.folder.path(), &[command, "disk"]);
            assert_eq!(common::exit_code(&output), 2, "{name}");
            assert!(output.stdout.is_empty(), "{name}");
            said.insert(String::from_utf8(output.stderr).unwrap());
        }
        assert_eq!(said.len(), 1, "{name}: {said:?}");
        out.push_str(&said.pop_first().unwrap());
        out.push('\n');
    }
    for time in ["tomorrow", "-1", "253402300800"] {
        let mut command = common::imgspec(media.folder.path());
        command
            .args(["sbom", "image.tar"])
            .env("SOURCE_DATE_EPOCH", time);
        let output = command.output().unwrap();
        let _ = writeln!(out, "# SOURCE_DATE_EPOCH={time}");
        out.push_str(&String::from_utf8(output.stderr).unwrap());
        let _ = writeln!(out, "exit code {:?}\n", output.status.code());
    }
    let expected = common::root().join("tests/image/refused.txt");
    if let Err(failed) = snapshot::compare(&expected, &out) {
        panic!("{}", failed.message().unwrap_or_default());
    }
}

/// Reads all that the commands read. A damaged disk may give anything, but it must end soon.
fn read_all(content: Vec<u8>) {
    let since = Instant::now();
    if let Ok(tree) = Tree::open(Box::new(Cursor::new(content))) {
        let _ = Inventory::read(&tree);
        let _ = read_provenance(&tree);
    }
    assert!(
        since.elapsed() < Duration::from_secs(20),
        "{:?}",
        since.elapsed()
    );
}

fn damage_causes_no_panic_and_takes_no_time() {
    let folder = common::root().join("tests/image");
    let made = ["debian", "photon"].map(|case| make_media(&folder.join(case)));
    let media: Vec<Media> = made.into_iter().flatten().collect();
    if media.is_empty() {
        return;
    }
    let number = |name: &str, default: u64| {
        let value = std::env::var(name).ok();
        value.map_or(default, |value| value.parse().unwrap())
    };
    let seed = number("IMGSPEC_SEED", fastrand::u64(..));
    println!("IMGSPEC_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let contents: Vec<Vec<u8>> = media
        .iter()
        .flat_map(|media| &media.files)
        .map(|file| fs::read(file).unwrap())
        .collect();
    for content in &contents {
        read_all(content.clone());
    }
    for _ in 0..number("IMGSPEC_DAMAGES", 100) {
        let mut content = random.choice(&contents).unwrap().clone();
        // Nearly all of a disk is empty. What is not is where damage matters.
        let used: Vec<usize> = content
            .chunks(512)
            .enumerate()
            .filter(|(_, sector)| sector.iter().any(|byte| *byte != 0))
            .map(|(at, _)| at * 512)
            .collect();
        for _ in 0..random.usize(1..40) {
            let at = random.choice(&used).unwrap() + random.usize(..512);
            let count = random.choice([1, 1, 2, 4, 8]).unwrap();
            let any = random.u8(..);
            let value = random.choice([0, 1, 0x7f, 0xff, any]).unwrap();
            for byte in content.iter_mut().skip(at).take(count) {
                *byte = value;
            }
        }
        if random.u8(..8) == 0 {
            content.truncate(random.usize(..content.len()));
        }
        read_all(content);
    }
}

/// Reads the bills with the reference libraries of both forms, and the addresses of packages with that of theirs. Each must
/// also refuse a bill that is wrong.
fn foreign_programs_accept_the_bills() {
    let tools =
        common::root().join(std::env::var_os("IMGSPEC_TOOLS").unwrap_or("target/tools".into()));
    let libraries = tools.join("sbom");
    if !libraries.join("cyclonedx").is_dir() || !libraries.join("spdx_tools").is_dir() {
        common::skip_without_tools(
            "bills of materials: cyclonedx-python-lib or spdx-tools is missing",
        );
        return;
    }
    let bills = tempfile::tempdir().unwrap();
    let mut count = 0;
    for case in common::entries(&common::root().join("tests/image")) {
        // An image that cannot be read has no bill.
        if !case.join("cyclonedx.json").is_file() {
            continue;
        }
        let Some(media) = make_media(&case) else {
            return;
        };
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        for format in ["cyclonedx", "spdx"] {
            for (time, ending) in [(None, ""), (Some("1709251199"), "-dated")] {
                let mut command = common::imgspec(media.folder.path());
                command.args(["sbom", "image.tar", "--format", format, "--out"]);
                let path = bills.path().join(format!("{name}{ending}.{format}.json"));
                command.arg(&path).env_remove("SOURCE_DATE_EPOCH");
                command.envs(time.map(|time| ("SOURCE_DATE_EPOCH", time)));
                let output = command.output().unwrap();
                assert!(
                    output.status.success(),
                    "{name}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                let text = fs::read_to_string(&path).unwrap();
                assert_eq!(
                    text.contains("2024-02-29T23:59:59Z"),
                    time.is_some(),
                    "{text}"
                );
                count += 1;
            }
        }
    }
    let python = tools.join("bin/python");
    let python = if python.is_file() {
        python
    } else {
        "python3".into()
    };
    let output = Command::new(python)
        .arg(common::root().join("tests/image/validate.py"))
        .arg(bills.path())
        .env("PYTHONPATH", &libraries)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("{count} bills are valid")), "{said}");
}

/// A program that Go has built: its notes are in the bill, with Go's own words (`go version -m`).
fn go_notes_are_those_of_a_program_of_go() {
    if which::which("go").is_err() {
        common::skip_without_tools("Go's notes: go is missing");
        return;
    }
    let case = tempfile::tempdir().unwrap();
    let source = case.path().join("source");
    fs::create_dir_all(source.join("lib")).unwrap();
    fs::create_dir_all(case.path().join("tree/etc")).unwrap();
    fs::create_dir_all(case.path().join("tree/usr/local/bin")).unwrap();
    fs::write(case.path().join("tree/etc/hostname"), "a\n").unwrap();
    for (name, text) in [
        (
            "go.mod",
            "module example.com/tool\n\ngo 1.18\n\nrequire example.com/lib v1.2.3\n\nreplace example.com/lib => ./lib\n",
        ),
        (
            "main.go",
            "package main\n\nimport \"example.com/lib\"\n\nvar gitVersion string\n\nfunc main() { println(lib.Name, gitVersion) }\n",
        ),
        ("lib/go.mod", "module example.com/lib\n\ngo 1.18\n"),
        ("lib/lib.go", "package lib\n\nconst Name = \"lib\"\n"),
    ] {
        fs::write(source.join(name), text).unwrap();
    }
    let program = case.path().join("tree/usr/local/bin/tool");
    let go = |args: &[&str]| {
        let output = Command::new("go")
            .args(args)
            .arg(&program)
            .arg(".")
            .current_dir(&source)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-mod=mod")
            .env("GOOS", "linux")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    go(&[
        "build",
        "-buildvcs=false",
        "-ldflags=-s -X main.gitVersion=v7.8.9",
        "-o",
    ]);
    let Some(media) = make_media(case.path()) else {
        return;
    };
    for medium in &media.files {
        let bill: Value = serde_json::from_str(&bill(&media, medium, "cyclonedx")).unwrap();
        let components = bill["components"].as_array().unwrap();
        let tool = components
            .iter()
            .find(|part| part["name"] == "tool")
            .unwrap();
        assert_eq!(tool["version"], "v7.8.9", "{tool}");
        assert_eq!(tool["purl"], "pkg:golang/example.com/tool@v7.8.9");
        let modules: Vec<&str> = tool["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|module| module["name"].as_str().unwrap())
            .collect();
        assert_eq!(modules, ["stdlib", "./lib"], "{tool}");
    }
}
