//! Work that only imgspec does: specs on the libraries of releases, on an adopted checkout, and very many images.

use crate::languages::write;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

pub const RELEASES: [&str; 2] = ["v0.1.13", "v0.1.55"];
pub const MANY: [usize; 2] = [100, 10_000];

/// Runs imgspec, and returns what it prints.
///
/// # Panics
///
/// If it fails: then there is nothing to measure.
fn run(imgspec: &Path, folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(imgspec)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("imgspec runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "imgspec {}: {said}",
        arguments.join(" ")
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// An empty layer on the library of each release.
pub fn write_trivial(folder: &Path) {
    for release in RELEASES {
        write(
            folder,
            &format!("{release}/imgspec.toml"),
            format!("release = \"{release}\"\n"),
        );
        write(folder, &format!("{release}/main.imgspec"), "layer a { }\n");
    }
}

const SETTINGS: &str = "    http_proxy = \"http://proxy.example.com:3128\"\n    https_proxy = http_proxy\n    \
    no_proxy = [\".example.com\", \"10.0.0.0/16\"]\n    ansible { site = \"main\" }\n";

/// One image on the library of each release.
pub fn write_releases(folder: &Path) {
    for release in RELEASES {
        write(
            folder,
            &format!("{release}/imgspec.toml"),
            format!("release = \"{release}\"\n"),
        );
        write(
            folder,
            &format!("{release}/main.imgspec"),
            format!("image mine extends qemu-flatcar {{\n{SETTINGS}}}\n"),
        );
    }
}

/// The providers whose targets build without settings of an account.
const PROVIDERS: [&str; 4] = ["ami-", "node-ova-", "qemu-", "raw-"];

/// Images on targets of each release: 100 a file, each with a few settings of its own, over 20 layers.
pub fn write_many(folder: &Path, imgspec: &Path) {
    for release in RELEASES {
        let listed = run(
            imgspec,
            folder,
            &["list", "--targets", "--json", "--release", release],
        );
        let listed: Vec<Value> = serde_json::from_str(&listed).expect("a list of targets");
        let mut targets: Vec<&str> = listed
            .iter()
            .filter_map(|target| target["image"].as_str())
            .collect();
        targets.retain(|target| {
            PROVIDERS
                .iter()
                .any(|provider| target.starts_with(provider))
        });
        for images in MANY {
            let folder = folder.join(format!("{release}-{images}"));
            write(
                &folder,
                "imgspec.toml",
                format!("release = \"{release}\"\n"),
            );
            for layer in 0..20 {
                let text = format!(
                    "layer site-{layer} {{\n{SETTINGS}    when os_family == \"debian\" {{ extra_debs += [\"tools-{layer}\"] }}\n}}\n"
                );
                write(&folder, &format!("sites/{layer}.imgspec"), text);
            }
            for file in 0..images / 100 {
                let mut text = format!("include \"../sites/{}.imgspec\"\n", file % 20);
                for n in file * 100..file * 100 + 100 {
                    let _ = write!(
                        text,
                        "image img-{n} extends {}, site-{} {{\n    ansible {{\n        number = {n}\n        label = \"${{kubernetes_semver}} of {n}\"\n    }}\n}}\n",
                        targets[n % targets.len()],
                        file % 20
                    );
                }
                write(&folder, &format!("images/{file}.imgspec"), text);
            }
        }
    }
}

const GROUPS: [&str; 8] = [
    "kubernetes",
    "cni",
    "containerd",
    "common",
    "network",
    "disk",
    "users",
    "site",
];
const OF_GROUP: usize = 60;

/// A checkout of 480 variables in eight var files, with ten targets of one template that passes them all to Ansible.
fn write_checkout(folder: &Path) {
    let mut arguments = Vec::new();
    let mut declared = Map::new();
    for group in GROUPS {
        let mut values = Map::new();
        for n in 0..OF_GROUP {
            let name = format!("{group}_option_{n}");
            let value = match n % 4 {
                0 => "true".to_owned(),
                1 => (n * 10).to_string(),
                2 => format!("/srv/{group}/{n}"),
                _ => format!("https://example.com/{{{{user `{group}_option_2`}}}}/{n}"),
            };
            arguments.push(format!("{name}=\"{{{{user `{name}`}}}}\""));
            declared.insert(name.clone(), "".into());
            values.insert(name, value.into());
        }
        write(
            folder,
            &format!("packer/config/{group}.json"),
            json!(values).to_string(),
        );
    }
    for name in ["build_name", "distro_name", "ansible_user_vars"] {
        declared.insert(name.to_owned(), "".into());
    }
    let template = json!({
        "variables": declared,
        "builders": [{ "type": "qemu", "vm_name": "{{user `build_name`}}" }],
        "provisioners": [{
            "type": "ansible",
            "playbook_file": "./ansible/node.yml",
            "extra_arguments": ["--extra-vars", arguments.join(" "), "--extra-vars", "{{user `ansible_user_vars`}}"],
        }],
    });
    write(folder, "packer/qemu/packer.json", template.to_string());
    let mut makefile = "deps:\n\ttrue\n".to_owned();
    for n in 0..10 {
        let system = json!({ "build_name": format!("system-{n}"), "distro_name": "debian", "disk_option_1": n.to_string() });
        write(
            folder,
            &format!("packer/qemu/system-{n}.json"),
            system.to_string(),
        );
        let mut files: Vec<String> = GROUPS
            .map(|group| format!("packer/config/{group}.json"))
            .into();
        files.push(format!("packer/qemu/system-{n}.json"));
        let files: Vec<String> = files
            .iter()
            .map(|file| format!("-var-file=\"$(abspath {file})\""))
            .collect();
        let _ = writeln!(
            makefile,
            "\nbuild-qemu-system-{n}: deps ## Builds system {n}\n\tpacker build {} $(foreach f,$(abspath $(PACKER_VAR_FILES)),-var-file=\"$(f)\" ) packer/qemu/packer.json",
            files.join(" ")
        );
    }
    write(folder, "Makefile", makefile);
}

/// A project on a library that `imgspec adopt` makes of a checkout, or of a generated one.
pub fn write_adopted(folder: &Path, imgspec: &Path, checkout: Option<&Path>) {
    let generated = folder.join("checkout");
    if checkout.is_none() {
        write_checkout(&generated);
    }
    let checkout = checkout.unwrap_or(&generated);
    write(folder, "project/imgspec.toml", "library = \"library\"\n");
    let project = folder.join("project");
    run(
        imgspec,
        &project,
        &["adopt", &checkout.to_string_lossy(), "--out", "library"],
    );
    let listed = run(imgspec, &project, &["list", "--targets", "--json"]);
    let listed: Vec<Value> = serde_json::from_str(&listed).expect("a list of targets");
    let qemu = listed
        .iter()
        .filter_map(|target| target["image"].as_str())
        .find(|name| name.starts_with("qemu-"));
    let target = qemu.expect("the checkout has a target of QEMU");
    write(
        &project,
        "main.imgspec",
        format!("image mine extends {target} {{\n    ansible {{ site = \"main\" }}\n}}\n"),
    );
}
