//! Real builds: `imgspec build` makes an image, and the image has what the spec says.
//!
//! `tests/build/settings.imgspec` asks for all that a node can have. The image is read offline: its files are
//! copied out of the disk, and nothing in it is started but `containerd config dump`. Needs root, and the programs of
//! `imgspec deps rootfs`; without them the tests say `skipped: …` and pass, or fail where `IMGSPEC_REQUIRE_TOOLS=1`.
//! A first run makes the root filesystem, `target/cache` keeps it.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::place::{Place, said, tools};
use serde_json::Value;

fn rootfs() -> Option<Place> {
    Place::new("rootfs", &["apt-ftparchive"])
}

#[test]
fn an_image_has_what_its_spec_says() {
    let Some(place) = rootfs() else { return };
    let mirror = place.mirror(&place.base(), &["containerd", "jq"], "127.0.0.1");
    fs::write(mirror.folder().join("hello"), "#!/bin/sh\necho hello\n").unwrap();
    place.copy_specs(&mirror);

    let output = place.build("node.imgspec", &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("node: built in"),
        "{}",
        said(&output)
    );
    place.assert_nothing_left("node");

    let disk = place.path("build/node/output/debian-12/debian-12.qcow2");
    let record: Value =
        serde_json::from_slice(&fs::read(place.path("build/node/build.json")).unwrap()).unwrap();
    assert_eq!(
        record["artifacts"][0]["size"],
        fs::metadata(&disk).unwrap().len()
    );
    assert_eq!(record["manifest"]["target"]["image"], "rootfs-debian-12");

    let image = place.extract(&disk);
    let read = |path: &str| {
        fs::read_to_string(image.join(path)).unwrap_or_else(|e| panic!("{path} in the image: {e}"))
    };
    let names = |folder: &str| -> Vec<String> {
        let paths = common::entries(&image.join(folder));
        paths
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    };

    let status = read("var/lib/dpkg/status");
    for package in ["containerd", "jq", "runc"] {
        let entry = status
            .split("\n\n")
            .find(|e| e.starts_with(&format!("Package: {package}\n")));
        assert!(
            entry.is_some_and(|e| e.contains("install ok installed")),
            "{package} is not installed"
        );
    }

    // The public list is as it was, the mirror's is gone.
    assert!(read("etc/apt/sources.list").contains("bookworm"));
    assert!(
        !names("etc/apt/sources.list.d")
            .iter()
            .any(|n| n.contains("mirror") || n.contains("disabled"))
    );
    assert!(!names("etc/apt").iter().any(|n| n.contains("disabled")));
    let packages = mirror.log();
    assert!(
        packages.contains("containerd_") && packages.contains("jq_"),
        "they did not come from the mirror"
    );

    let dump = Command::new("chroot")
        .arg(&image)
        .args(["containerd", "config", "dump"])
        .output()
        .unwrap();
    let config = String::from_utf8(dump.stdout).unwrap();
    for setting in [
        "address = \"127.0.0.1:0\"",
        "level = \"warn\"",
        "/etc/containerd/conf.d/50-hook.toml",
    ] {
        assert!(
            config.contains(setting),
            "containerd has not {setting}:\n{config}"
        );
    }
    // The proxy is the build's, not the node's: containerd knew of it, and does no more.
    let log = fs::read_to_string(place.path("build/node/packer.log")).unwrap();
    let proxy = log
        .split("TASK [containerd : Tell containerd of the proxy]")
        .nth(1)
        .unwrap();
    assert!(
        proxy.lines().nth(1).unwrap().contains("changed: "),
        "{:?}",
        proxy.lines().take(3).collect::<Vec<_>>()
    );
    let grep = Command::new("grep")
        .args(["-rl", "proxy.invalid"])
        .arg(image.join("etc"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "");

    assert_eq!(read("usr/local/bin/hello"), "#!/bin/sh\necho hello\n");
    let mode = fs::metadata(image.join("usr/local/bin/hello"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);

    assert_eq!(
        read("var/lib/hooks"),
        "firstboot_pre\nfirstboot_post\nnode_pre\nnode_post before sysprep\n"
    );
    let arrived: Value = serde_json::from_str(&read("var/lib/arrived.json")).unwrap();
    let expected: Value = serde_json::from_slice(
        &fs::read(common::root().join("tests/build/expected.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(arrived, expected);

    assert_eq!(read("etc/machine-id"), "");
    assert!(
        !names("etc/ssh").iter().any(|n| n.starts_with("ssh_host_")),
        "{:?}",
        names("etc/ssh")
    );
    // What the build itself has put in.
    assert!(!read("etc/passwd").contains("builder:"));
    assert_eq!(read("etc/resolv.conf"), "");
    assert!(!read("etc/hosts").contains("node"));
    assert!(!names("etc/sudoers.d").iter().any(|n| n.contains("imgspec")));

    // What the image tells about itself: on the disk, and read from it.
    let id = record["id"].as_str().unwrap();
    assert_eq!(id.len(), 64);
    let release = read("etc/imgspec-release");
    assert_eq!(
        release,
        format!(
            "NAME=\"imgspec\"\nIMAGE=\"node\"\nID=\"{id}\"\nRELEASE=\"v0.1.13\"\nTARGET=\"rootfs-debian-12\"\n\
             PROVIDER=\"rootfs\"\nIMGSPEC_VERSION=\"{}\"\n",
            env!("CARGO_PKG_VERSION")
        )
    );
    for path in ["etc/imgspec-release", "usr/share/imgspec/provenance.json"] {
        let mode = fs::metadata(image.join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{path}");
    }
    assert_eq!(
        serde_json::from_str::<Value>(&read("usr/share/imgspec/provenance.json")).unwrap(),
        record["provenance"]
    );
    let specs = fs::read_to_string(place.path("settings.imgspec")).unwrap();
    let line = specs
        .lines()
        .position(|line| line.contains("extra_debs ="))
        .unwrap()
        + 1;
    // The disk alone, and elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(&disk, elsewhere.path().join("disk")).unwrap();
    let whence = common::run(elsewhere.path(), &["whence", "disk", "extra_debs"]);
    let place_of_it = format!("  sets  [\"jq\"]    settings  (settings.imgspec:{line}:5)\n");
    assert!(said(&whence).contains(&place_of_it), "{}", said(&whence));
    let whence = common::run(&place.path(""), &["whence", "node", "--json"]);
    let whence: Value = serde_json::from_slice(&whence.stdout).unwrap();
    assert_eq!(whence["id"], id);
    assert_eq!(whence["changed"], serde_json::json!([]));
    assert_eq!(whence["variables"], record["provenance"]["variables"]);

    // The bill has what dpkg says, and the program that no package contains.
    let list = common::run(elsewhere.path(), &["sbom", "disk", "--format", "list"]);
    let list = String::from_utf8(list.stdout).unwrap();
    let query = Command::new("dpkg-query")
        .arg(format!(
            "--admindir={}",
            image.join("var/lib/dpkg").display()
        ))
        .args([
            "-W",
            "-f",
            "${db:Status-Status} package    ${Package} ${Version}\\n",
        ])
        .output()
        .unwrap();
    let query = String::from_utf8(query.stdout).unwrap();
    let installed: Vec<&str> = query
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .collect();
    let packages: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("package "))
        .collect();
    assert!(installed.len() > 50, "{query}");
    assert_eq!(packages, installed);
    let programs: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("program "))
        .collect();
    let hello = imgspec::source::sha256("#!/bin/sh\necho hello\n");
    let hello = format!("program    /usr/local/bin/hello  sha256:{hello}");
    assert_eq!(programs, [&hello]);

    let again = place.build("node.imgspec", &[]);
    assert!(
        said(&again).contains("node: up to date"),
        "{}",
        said(&again)
    );
}

#[test]
fn failures_are_told_and_leave_nothing() {
    let Some(place) = rootfs() else { return };
    let mirror = place.mirror(&place.base(), &["jq"], "127.0.0.1");

    let cases: [(&str, &str, &str); 4] = [
        (
            "wrong-ssh",
            "ssh_username = \"root\", ssh_timeout = \"5s\"",
            "Timeout waiting for SSH",
        ),
        (
            "mirror-down",
            "extra_debs = [\"jq\"], disable_public_repos = true, extra_repos = [\"down.list\"]",
            "127.0.0.1:9",
        ),
        (
            "no-package",
            "extra_debs = [\"no-such-package\"]",
            "no-such-package",
        ),
        (
            "failing-role",
            "node_custom_roles_pre = [\"./roles/failing\"]",
            "this role fails on purpose",
        ),
    ];
    fs::write(
        place.path("down.list"),
        "deb [trusted=yes] http://127.0.0.1:9 ./\n",
    )
    .unwrap();
    fs::create_dir_all(place.path("roles/failing/tasks")).unwrap();
    let tasks = "---\n- name: Fail\n  ansible.builtin.fail:\n    msg: this role fails on purpose\n";
    fs::write(place.path("roles/failing/tasks/main.yml"), tasks).unwrap();
    // Several at a time: their containers must not disturb each other.
    common::in_parallel(cases.to_vec(), |(name, settings, wanted)| {
        let file = format!("{name}.imgspec");
        let spec = format!("image {name} extends rootfs-debian-12 {{ {settings} }}\n");
        fs::write(place.path(&file), spec).unwrap();
        let output = place.build(&file, &[]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", said(&output));
        let last = said(&output);
        let last = last.rsplit("imgspec: ").next().unwrap();
        assert!(
            last.contains(wanted) && last.contains("packer.log"),
            "{name}: {}",
            said(&output)
        );
        assert!(!place.path("build").join(name).join("output").exists());
        Vec::<()>::new()
    });
    place.assert_nothing_left("a failed build");
    drop(mirror);
}

#[test]
fn a_full_disk_is_told() {
    let Some(place) = rootfs() else { return };
    fs::write(
        place.path("full.imgspec"),
        "image full extends rootfs-debian-12 { extra_debs = [\"jq\"] }\n",
    )
    .unwrap();
    let build = place.path("build");
    fs::create_dir(&build).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
        .arg(&build)
        .status();
    assert!(mount.unwrap().success());
    let output = place.build("full.imgspec", &[]);
    let record = build.join("full/build.json").exists();
    let unmount = Command::new("umount").arg(&build).status();
    assert!(unmount.unwrap().success(), "something still uses the disk");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("No space left on device"),
        "{}",
        said(&output)
    );
    assert!(!record);
    place.assert_nothing_left("full");
}

#[test]
fn interrupted_builds_leave_nothing() {
    let Some(place) = rootfs() else { return };
    fs::create_dir_all(place.path("roles/slow/tasks")).unwrap();
    let tasks =
        "---\n- name: Take long\n  ansible.builtin.command: sleep 120\n  changed_when: false\n";
    fs::write(place.path("roles/slow/tasks/main.yml"), tasks).unwrap();
    let spec =
        "image slow extends rootfs-debian-12 { node_custom_roles_pre = [\"./roles/slow\"] }\n";
    fs::write(place.path("slow.imgspec"), spec).unwrap();
    let child = place
        .command("slow.imgspec", &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = place.path("build/slow/packer.log");
    for _ in 0..600 {
        if fs::read_to_string(&log).is_ok_and(|text| text.contains("Take long")) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(
        fs::read_to_string(&log).unwrap().contains("Take long"),
        "the build did not come that far"
    );
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(said(&output).contains("slow: stopped"), "{}", said(&output));
    place.assert_nothing_left("slow");
}

#[test]
fn missing_and_old_tools_are_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("a.imgspec"),
        "image a extends rootfs-debian-12 { }\n",
    )
    .unwrap();
    let old = folder.path().join("old");
    fs::write(&old, "#!/bin/sh\necho 'ansible-playbook [core 2.9.1]'\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let build = |name: &str, value: &Path| {
        let mut command = common::imgspec(folder.path());
        let output = command
            .args(["build", "a.imgspec"])
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        said(&output)
    };
    assert!(build("PACKER_BIN", &folder.path().join("nothing")).contains("packer is missing"));
    if tools("rootfs", &[]).is_some() {
        assert!(build("ANSIBLE_PLAYBOOK_BIN", &old).contains("ansible 2.9.1 is too old"));
    }
}
