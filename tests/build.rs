//! Real builds: `imgspec build` makes an image, and the image has what the spec says.
//!
//! `tests/build/node.imgspec` asks for all that the rootfs provider can do. The image is read offline: its files are
//! copied out of the disk, and nothing in it is started but `containerd config dump`. Needs root, and the programs of
//! `imgspec deps rootfs`; without them the tests say `skipped: …` and pass, or fail where `IMGSPEC_REQUIRE_TOOLS=1`.
//! A first run makes the root filesystem, `target/cache` keeps it.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;

/// Builds share the machine and the cache.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn an_image_has_what_its_spec_says() {
    let Some(place) = Place::new() else { return };
    let mirror = place.mirror(&["containerd", "jq"]);
    fs::write(mirror.folder().join("hello"), "#!/bin/sh\necho hello\n").unwrap();
    place.copy_spec(&mirror);

    let output = place.build("node.imgspec", &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("node: built in"), "{}", said(&output));
    place.assert_nothing_left("node");

    let disk = place.path("build/node/output/debian-12/debian-12.qcow2");
    let record: Value =
        serde_json::from_slice(&fs::read(place.path("build/node/build.json")).unwrap()).unwrap();
    assert_eq!(record["artifacts"][0]["size"], fs::metadata(&disk).unwrap().len());
    assert_eq!(record["manifest"]["target"]["image"], "rootfs-debian-12");

    let image = place.extract(&disk);
    let read = |path: &str| {
        fs::read_to_string(image.join(path)).unwrap_or_else(|e| panic!("{path} in the image: {e}"))
    };
    let names = |folder: &str| -> Vec<String> {
        let paths = common::entries(&image.join(folder));
        paths.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };

    let status = read("var/lib/dpkg/status");
    for package in ["containerd", "jq", "runc"] {
        let entry = status.split("\n\n").find(|e| e.starts_with(&format!("Package: {package}\n")));
        assert!(entry.is_some_and(|e| e.contains("install ok installed")), "{package} is not installed");
    }

    // The public list is as it was, the mirror's is gone.
    assert!(read("etc/apt/sources.list").contains("bookworm"));
    assert!(!names("etc/apt/sources.list.d").iter().any(|n| n.contains("mirror") || n.contains("disabled")));
    assert!(!names("etc/apt").iter().any(|n| n.contains("disabled")));
    let packages = mirror.log();
    assert!(
        packages.contains("containerd_") && packages.contains("jq_"),
        "they did not come from the mirror"
    );

    let dump = Command::new("chroot").arg(&image).args(["containerd", "config", "dump"]).output().unwrap();
    let config = String::from_utf8(dump.stdout).unwrap();
    for setting in ["address = \"127.0.0.1:1338\"", "level = \"warn\"", "/etc/containerd/conf.d/50-hook.toml"]
    {
        assert!(config.contains(setting), "containerd has not {setting}:\n{config}");
    }
    // The proxy is the build's, not the node's: containerd knew of it, and does no more.
    let log = fs::read_to_string(place.path("build/node/packer.log")).unwrap();
    let proxy = log.split("TASK [containerd : Tell containerd of the proxy]").nth(1).unwrap();
    assert!(
        proxy.lines().nth(1).unwrap().contains("changed: "),
        "{:?}",
        proxy.lines().take(3).collect::<Vec<_>>()
    );
    let grep = Command::new("grep").args(["-rl", "proxy.invalid"]).arg(image.join("etc")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "");

    assert_eq!(read("usr/local/bin/hello"), "#!/bin/sh\necho hello\n");
    let mode = fs::metadata(image.join("usr/local/bin/hello")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);

    assert_eq!(read("var/lib/hooks"), "firstboot_pre\nfirstboot_post\nnode_pre\nnode_post before sysprep\n");
    let arrived: Value = serde_json::from_str(&read("var/lib/arrived.json")).unwrap();
    let expected: Value =
        serde_json::from_slice(&fs::read(common::root().join("tests/build/expected.json")).unwrap()).unwrap();
    assert_eq!(arrived, expected);

    assert_eq!(read("etc/machine-id"), "");
    assert!(!names("etc/ssh").iter().any(|n| n.starts_with("ssh_host_")), "{:?}", names("etc/ssh"));
    // What the build itself has put in.
    assert!(!read("etc/passwd").contains("builder:"));
    assert!(!names("etc/sudoers.d").iter().any(|n| n.contains("imgspec")));

    let again = place.build("node.imgspec", &[]);
    assert!(said(&again).contains("node: up to date"), "{}", said(&again));
}

#[test]
fn failures_are_told_and_leave_nothing() {
    let Some(place) = Place::new() else { return };
    let mirror = place.mirror(&["jq"]);

    let cases: [(&str, &str, &str); 4] = [
        ("wrong-ssh", "ssh_username = \"root\", ssh_timeout = \"5s\"", "Timeout waiting for SSH"),
        (
            "mirror-down",
            "extra_debs = [\"jq\"], disable_public_repos = true, extra_repos = [\"down.list\"]",
            "127.0.0.1:9",
        ),
        ("no-package", "extra_debs = [\"no-such-package\"]", "no-such-package"),
        ("failing-role", "node_custom_roles_pre = [\"./roles/failing\"]", "this role fails on purpose"),
    ];
    fs::write(place.path("down.list"), "deb [trusted=yes] http://127.0.0.1:9 ./\n").unwrap();
    fs::create_dir_all(place.path("roles/failing/tasks")).unwrap();
    let tasks = "---\n- name: Fail\n  ansible.builtin.fail:\n    msg: this role fails on purpose\n";
    fs::write(place.path("roles/failing/tasks/main.yml"), tasks).unwrap();
    for (name, settings, wanted) in cases {
        let spec = format!("image {name} extends rootfs-debian-12 {{ {settings} }}\n");
        fs::write(place.path("failing.imgspec"), spec).unwrap();
        let output = place.build("failing.imgspec", &[]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", said(&output));
        let last = said(&output);
        let last = last.rsplit("imgspec: ").next().unwrap();
        assert!(last.contains(wanted) && last.contains("packer.log"), "{name}: {}", said(&output));
        place.assert_nothing_left(name);
        assert!(!place.path("build").join(name).join("output").exists());
    }
    drop(mirror);
}

#[test]
fn a_full_disk_is_told() {
    let Some(place) = Place::new() else { return };
    fs::write(place.path("full.imgspec"), "image full extends rootfs-debian-12 { extra_debs = [\"jq\"] }\n")
        .unwrap();
    let build = place.path("build");
    fs::create_dir(&build).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&build).status();
    assert!(mount.unwrap().success());
    let output = place.build("full.imgspec", &[]);
    let record = build.join("full/build.json").exists();
    let unmount = Command::new("umount").arg(&build).status();
    assert!(unmount.unwrap().success(), "something still uses the disk");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("No space left on device"), "{}", said(&output));
    assert!(!record);
    place.assert_nothing_left("full");
}

#[test]
fn interrupted_builds_leave_nothing() {
    let Some(place) = Place::new() else { return };
    fs::create_dir_all(place.path("roles/slow/tasks")).unwrap();
    let tasks = "---\n- name: Take long\n  ansible.builtin.command: sleep 120\n  changed_when: false\n";
    fs::write(place.path("roles/slow/tasks/main.yml"), tasks).unwrap();
    let spec = "image slow extends rootfs-debian-12 { node_custom_roles_pre = [\"./roles/slow\"] }\n";
    fs::write(place.path("slow.imgspec"), spec).unwrap();
    let child =
        place.command("slow.imgspec", &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = place.path("build/slow/packer.log");
    for _ in 0..600 {
        if fs::read_to_string(&log).is_ok_and(|text| text.contains("Take long")) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(fs::read_to_string(&log).unwrap().contains("Take long"), "the build did not come that far");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(said(&output).contains("slow: stopped"), "{}", said(&output));
    place.assert_nothing_left("slow");
}

#[test]
fn missing_and_old_tools_are_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.imgspec"), "image a extends rootfs-debian-12 { }\n").unwrap();
    let old = folder.path().join("old");
    fs::write(&old, "#!/bin/sh\necho 'ansible-playbook [core 2.9.1]'\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let build = |name: &str, value: &Path| {
        let mut command = common::imgspec(folder.path());
        let output = command.args(["build", "a.imgspec"]).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        said(&output)
    };
    assert!(build("PACKER_BIN", &folder.path().join("nothing")).contains("packer is missing"));
    if tools().is_some() {
        assert!(build("ANSIBLE_PLAYBOOK_BIN", &old).contains("ansible 2.9.1 is too old"));
    }
}

// ---- the place where a test builds -----------------------------------------------------------------

struct Place {
    folder: TempDir,
    path: std::ffi::OsString,
    _turn: std::sync::MutexGuard<'static, ()>,
}

/// A server of files on the loopback device.
struct Mirror {
    folder: TempDir,
    server: Child,
    port: u16,
}

impl Mirror {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What was asked of it.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The search path with what `tests/run` has installed; none where something is missing.
fn tools() -> Option<std::ffi::OsString> {
    let path = common::search_path();
    let output =
        common::imgspec(common::root()).args(["deps", "rootfs"]).env("PATH", &path).output().unwrap();
    let is_root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let has_archive = Command::new("apt-ftparchive").arg("--version").output().is_ok();
    if output.status.success() && is_root && has_archive {
        return Some(path);
    }
    let why = match (is_root, has_archive) {
        (false, _) => "they need root".to_owned(),
        (_, false) => "apt-ftparchive is missing".to_owned(),
        _ => format!("a program is missing:\n{}", String::from_utf8_lossy(&output.stdout)),
    };
    common::skip_without_tools(&format!("real builds: {why}"));
    None
}

impl Place {
    fn new() -> Option<Place> {
        let path = tools()?;
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Some(Place { folder: tempfile::tempdir().unwrap(), path, _turn: turn })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn cache() -> PathBuf {
        common::root().join("target/cache")
    }

    fn command(&self, spec: &str, args: &[&str]) -> Command {
        let mut command = common::imgspec(self.folder.path());
        command.args(["build", spec]).args(args);
        command.env("PATH", &self.path).env("IMGSPEC_CACHE", Self::cache());
        command
    }

    fn build(&self, spec: &str, args: &[&str]) -> Output {
        self.command(spec, args).output().unwrap()
    }

    /// A repository of packages, with `mirror.list` for it beside the specs.
    fn mirror(&self, packages: &[&str]) -> Mirror {
        let root = common::root();
        let base = self.path("base");
        fs::create_dir_all(&base).unwrap();
        let made = Command::new("bash")
            .arg(root.join("config/rootfs/base.sh"))
            .current_dir(&base)
            .env("ROOTFS_CACHE", Self::cache())
            .envs([("ROOTFS_SUITE", "bookworm"), ("ROOTFS_SOURCE", ""), ("ROOTFS_PACKAGES", "")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", said(&made));
        let base = fs::read_to_string(base.join("root/base")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let filled = Command::new("bash")
            .arg(root.join("tests/build/mirror.sh"))
            .args([Path::new(base.trim()), folder.path()])
            .args(packages)
            .output()
            .unwrap();
        assert!(filled.status.success(), "{}", said(&filled));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let server = Command::new("python3")
            .args(["-u", "-m", "http.server", &port.to_string(), "--bind", "127.0.0.1", "-d"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let list = format!("deb [trusted=yes] http://127.0.0.1:{port} ./\n");
        fs::write(self.path("mirror.list"), list).unwrap();
        Mirror { folder, server, port }
    }

    /// The spec of `tests/build` with its roles, and the mirror's port in it.
    fn copy_spec(&self, mirror: &Mirror) {
        let from = common::root().join("tests/build");
        let spec = fs::read_to_string(from.join("node.imgspec")).unwrap();
        let spec = spec.replace("127.0.0.1:PORT", &format!("127.0.0.1:{}", mirror.port));
        fs::write(self.path("node.imgspec"), spec).unwrap();
        let copied = Command::new("cp").arg("-r").arg(from.join("roles")).arg(self.folder.path()).status();
        assert!(copied.unwrap().success());
    }

    /// The files of a disk image, in a folder.
    fn extract(&self, disk: &Path) -> PathBuf {
        let (raw, out) = (self.path("disk.raw"), self.path("image"));
        fs::create_dir(&out).unwrap();
        let converted = Command::new("qemu-img").args(["convert", "-O", "raw"]).arg(disk).arg(&raw).status();
        assert!(converted.unwrap().success());
        let copied = Command::new("/usr/sbin/debugfs")
            .arg("-R")
            .arg(format!("rdump / {}", out.display()))
            .arg(format!("{}?offset=1048576", raw.display()))
            .output()
            .unwrap();
        assert!(out.join("etc").is_dir(), "{}", said(&copied));
        out
    }

    /// No process, no mount, no folder of a build that is over.
    fn assert_nothing_left(&self, image: &str) {
        let folder = self.folder.path().canonicalize().unwrap();
        let folder = folder.to_str().unwrap();
        assert!(!self.path("build").join(image).join("work").exists());
        assert!(!fs::read_to_string("/proc/mounts").unwrap().contains(folder));
        for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let path = process.path();
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            let out = format!("IMGSPEC_OUT={folder}/build");
            let is_of_build = environment.split(|b| *b == 0).any(|entry| entry == out.as_bytes());
            assert!(
                !is_of_build,
                "{} is left: {:?}",
                path.display(),
                fs::read_to_string(path.join("cmdline"))
            );
        }
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
