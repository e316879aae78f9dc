//! What several benchmarks measure: generated specs, and which program works on them.
#![allow(dead_code)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program: `IMGSPEC_PROGRAM`, such as that of another commit, or the one that was built for the benchmark.
pub fn program() -> PathBuf {
    let named = std::env::var_os("IMGSPEC_PROGRAM").map(PathBuf::from);
    named.map_or_else(
        || env!("CARGO_BIN_EXE_imgspec").into(),
        |path| std::path::absolute(&path).expect("a path"),
    )
}

/// A command in a folder, with nothing inherited that changes what the program does.
pub fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_remove("PACKER_VAR_FILES")
        .env_remove("PACKER_FLAGS")
        .env("IMGSPEC_CACHE", folder.join("cache"));
    command
}

pub fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

pub const BASES: usize = 20;
const TARGETS: [&str; 4] = [
    "node-ova-local-photon-3",
    "node-ova-vsphere-ubuntu-2004",
    "qemu-rockylinux-8",
    "ami-ubuntu-2004",
];

fn base(text: &mut String, base: usize, extends: &str) {
    let _ = writeln!(text, "\n## Base {base}.\nlayer base-{base}{extends} {{");
    let _ = writeln!(
        text,
        "    no_proxy = [\".example.com\", \"10.{base}.0.0/16\"]"
    );
    text.push_str("    when os_family == \"photon\" {\n        extra_rpms = [\"nfs-utils\", \"net-tools\"]\n    }\n");
    text.push_str("    ansible {\n");
    for i in 0..25 {
        let _ = writeln!(text, "        site_{i} = \"value {i} of base {base}\"");
    }
    text.push_str("    }\n}\n");
}

fn image(text: &mut String, base: usize, id: usize) {
    let target = TARGETS[id % TARGETS.len()];
    let _ = writeln!(
        text,
        "\nimage image-{base}-{id} extends {target}, base-{base} {{"
    );
    let _ = writeln!(text, "    kubernetes_semver = \"v1.23.{}\"", id % 17);
    let _ = writeln!(text, "    node_custom_roles_post = [\"role-{id}\"]");
    text.push_str("    ansible {\n");
    for i in 0..9 {
        let _ = writeln!(
            text,
            "        own_{i} = \"${{kubernetes_series}} for image {id}, {i}\""
        );
    }
    text.push_str("    }\n}\n");
}

/// One file: 20 bases with 30 settings each, and images with 11 of their own.
pub fn fleet(images: usize) -> String {
    let mut text = String::new();
    for n in 0..BASES {
        base(&mut text, n, "");
    }
    for id in 0..images {
        image(&mut text, id % BASES, id);
    }
    text
}

/// How many images are in a spec of a workspace.
pub const IMAGES: usize = 5;

/// A project: a file that all others include, bases, and for each base so many specs of five images.
pub fn write_workspace(folder: &Path, bases: usize, specs: usize) {
    write(folder, "imgspec.toml", "");
    write(
        folder,
        "org.imgspec",
        "## What all images have.\nlayer org {\n    http_proxy = \"http://proxy.example.com:3128\"\n    https_proxy = http_proxy\n}\n",
    );
    for n in 0..bases {
        let mut text = "include \"org.imgspec\"\n".to_owned();
        base(&mut text, n, " extends org");
        write(folder, &format!("base-{n}.imgspec"), &text);
        for spec in 0..specs {
            let mut text = format!("include \"base-{n}.imgspec\"\n");
            for id in spec * IMAGES..(spec + 1) * IMAGES {
                image(&mut text, n, id);
            }
            write(folder, &format!("spec-{n}-{spec}.imgspec"), &text);
        }
    }
}

/// Layers of 250 settings each, up to a size, and one image that extends them all.
pub fn large(size: usize) -> String {
    let mut text = String::with_capacity(size + 200_000);
    let mut layers = 0;
    while text.len() < size {
        let _ = writeln!(text, "layer part-{layers} {{\n    ansible {{");
        for i in 0..250 {
            match i % 5 {
                0 => writeln!(text, "        part_{layers}_flag_{i} = true"),
                1 => writeln!(text, "        part_{layers}_count_{i} = {i}"),
                2 => writeln!(text, "        part_{layers}_list_{i} = [\"element one\", \"element two\", \"element three of the list\"]"),
                3 => writeln!(text, "        part_{layers}_joined_{i} = \"a string with ${{kubernetes_semver}} in its middle, and some more behind it\""),
                _ => writeln!(text, "        part_{layers}_plain_{i} = \"a string of the length that strings in such files usually have\""),
            }
            .expect("a string takes text");
        }
        text.push_str("    }\n}\n\n");
        layers += 1;
    }
    let names: Vec<String> = (0..layers).map(|i| format!("part-{i}")).collect();
    let names = names.join(", ");
    let _ = writeln!(
        text,
        "image large extends node-ova-local-photon-3, {names} {{}}"
    );
    text
}
