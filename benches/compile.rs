//! Parse, check and compile: one image, a fleet of 1,000 over 20 bases, one file of 10 MB.
//!
//! `cargo bench` prints the time of each with MB/s or images/s; `cargo bench -- parse` only those.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use imgspec::emit::{Output, emit};
use imgspec::eval::evaluate;
use imgspec::project::{Program, Request, load};
use imgspec::source::{Disk, FileId};
use imgspec::syntax::parse;
use imgspec::workspace;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

fn main() {
    divan::main();
}

const IMAGES: usize = 1000;
const BASES: usize = 20;

/// The work, written once to a temporary folder.
struct Work {
    folder: tempfile::TempDir,
}

impl Work {
    fn get() -> &'static Work {
        static WORK: OnceLock<Work> = OnceLock::new();
        WORK.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let write = |name: &str, text: &str| {
                std::fs::write(folder.path().join(name), text).expect("written")
            };
            write("imgspec.toml", "");
            write("one.imgspec", ONE);
            write("fleet.imgspec", &fleet());
            write("large.imgspec", &large(10_000_000));
            Work { folder }
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("read")
    }
}

const ONE: &str = include_str!("../examples/quickstart.imgspec");

/// 20 bases with 30 settings each, 1,000 images with 12 of their own.
fn fleet() -> String {
    let mut text = String::new();
    for base in 0..BASES {
        let _ = writeln!(text, "## Base {base}.\nlayer base-{base} {{");
        let _ = writeln!(
            text,
            "    http_proxy = \"http://proxy-{base}.example.com:3128\"\n    https_proxy = http_proxy"
        );
        let _ = writeln!(
            text,
            "    no_proxy = [\".example.com\", \"10.{base}.0.0/16\"]\n    memory = {}",
            4096 + base
        );
        let _ = writeln!(
            text,
            "    when os_family == \"photon\" {{ extra_rpms = [\"nfs-utils\", \"net-tools\"] }}\n    ansible {{"
        );
        for i in 0..25 {
            let _ = writeln!(text, "        site_{i} = \"value {i} of base {base}\"");
        }
        let _ = writeln!(text, "    }}\n}}\n");
    }
    const TARGETS: [&str; 4] = [
        "node-ova-local-photon-3",
        "node-ova-vsphere-ubuntu-2004",
        "qemu-rockylinux-8",
        "ami-ubuntu-2004",
    ];
    for image in 0..IMAGES {
        let (target, base) = (TARGETS[image % TARGETS.len()], image % BASES);
        let _ = writeln!(text, "image image-{image} extends {target}, base-{base} {{");
        let _ = writeln!(
            text,
            "    kubernetes_semver = \"v1.23.{}\"\n    node_custom_roles_post = [\"role-{image}\"]",
            image % 17
        );
        let _ = writeln!(
            text,
            "    kubernetes_container_registry = \"registry-{image}.example.com\"\n    ansible {{"
        );
        for i in 0..9 {
            let _ = writeln!(
                text,
                "        own_{i} = \"${{kubernetes_series}} for image {image}, {i}\""
            );
        }
        let _ = writeln!(text, "    }}\n}}\n");
    }
    text
}

/// Layers of 250 assignments each, up to a size, and one image that extends them all.
fn large(size: usize) -> String {
    let mut text = String::with_capacity(size + 200_000);
    let mut layers = 0;
    while text.len() < size {
        let _ = writeln!(text, "layer part-{layers} {{\n    ansible {{");
        for i in 0..250 {
            match i % 5 {
                0 => writeln!(text, "        part_{layers}_flag_{i} = true"),
                1 => writeln!(text, "        part_{layers}_count_{i} = {i}"),
                2 => writeln!(text, "        part_{layers}_list_{i} = [\"element one\", \"element two\", \"element three of the list\"]"),
                3 => writeln!(text, "        part_{layers}_text_{i} = \"a text with ${{kubernetes_semver}} in its middle, and some more behind it\""),
                _ => writeln!(text, "        part_{layers}_name_{i} = \"a plain text of the length that texts in such files usually have\""),
            }
            .expect("a string takes text");
        }
        let _ = writeln!(text, "    }}\n}}\n");
        layers += 1;
    }
    let names: Vec<String> = (0..layers).map(|i| format!("part-{i}")).collect();
    let _ = writeln!(
        text,
        "image large extends node-ova-local-photon-3, {} {{ }}",
        names.join(", ")
    );
    text
}

fn load_one(path: &Path) -> Program {
    load(
        &Disk,
        &Request {
            specs: vec![path.to_owned()],
            ..Request::default()
        },
    )
}

/// Evaluates and emits every image of a file; returns how many.
fn check_all(program: &Program, output: &Output, write: bool) -> usize {
    let images = program.images_of(program.specs[0].expect("loaded"));
    let mut all = Vec::with_capacity(images.len());
    for id in &images {
        let image = evaluate(program, *id, None).expect("a target");
        let artifacts = emit(&image, output);
        assert!(
            artifacts.diagnostics.iter().all(|d| !d.is_error()),
            "{:#?}",
            artifacts.diagnostics
        );
        all.push(artifacts);
    }
    if write {
        workspace::write(&all, output).expect("written");
    }
    all.len()
}

const FILES: [&str; 3] = ["one.imgspec", "fleet.imgspec", "large.imgspec"];

#[divan::bench(args = FILES, max_time = 5)]
fn parse_text(bencher: Bencher, name: &str) {
    let text = Work::get().text(name);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| parse(FileId(0), black_box(&text)));
}

#[divan::bench(args = FILES, max_time = 8)]
fn check(bencher: Bencher, name: &str) {
    let work = Work::get();
    let output = Output {
        dir: work.path("build"),
        portable: false,
    };
    let images = if name == "fleet.imgspec" { IMAGES } else { 1 };
    let size = work.text(name).len();
    bencher
        .counter(ItemsCount::new(images))
        .counter(BytesCount::new(size))
        .bench(|| check_all(&load_one(&work.path(name)), &output, false));
}

#[divan::bench(args = FILES, max_time = 8)]
fn compile(bencher: Bencher, name: &str) {
    let work = Work::get();
    let output = Output {
        dir: work.path("build"),
        portable: false,
    };
    let images = if name == "fleet.imgspec" { IMAGES } else { 1 };
    let size = work.text(name).len();
    // Every round writes anew: what is right already would not be written.
    bencher
        .counter(ItemsCount::new(images))
        .counter(BytesCount::new(size))
        .with_inputs(|| drop(std::fs::remove_dir_all(&output.dir)))
        .bench_values(|()| check_all(&load_one(&work.path(name)), &output, true));
}

/// The same work, four times as much: the time must grow in step.
#[divan::bench(args = [1_000_000, 4_000_000, 16_000_000], max_time = 5)]
fn parse_grows_linearly(bencher: Bencher, size: usize) {
    let text = large(size);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| parse(FileId(0), black_box(&text)));
}
