//! A real build of a virtual machine: `imgspec build` on the `qemu` provider, from a medium that is installed by what the
//! spec has typed at its boot prompt, to a disk that boots again.
//!
//! The settings are those of `tests/build.rs`. QEMU emulates, so this takes minutes and runs only where `IMGSPEC_SLOW`
//! is set, as `tests/run qemu` does. Needs root, `imgspec deps qemu`, mmdebstrap and xorriso. `target/cache` keeps the
//! medium that `tests/build/qemu/iso.sh` makes.

mod common;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::place::{Place, free_port, run, said};
use serde_json::Value;

/// The slowest machine that is waited for: until it answers on ssh, and from there to the end.
const INSTALLED: Duration = Duration::from_secs(12 * 60);
const BUILT: Duration = Duration::from_secs(18 * 60);
const BOOT: Duration = Duration::from_secs(5 * 60);

const PROGRAMS: [&str; 9] = [
    "apt-ftparchive",
    "mmdebstrap",
    "xorriso",
    "mke2fs",
    "sfdisk",
    "qemu-img",
    "qemu-system-x86_64",
    "ssh",
    "ssh-keygen",
];

#[test]
fn a_machine_is_installed_built_and_boots_again() {
    if std::env::var("IMGSPEC_SLOW").as_deref() != Ok("1") {
        common::skip("it takes minutes; `tests/run qemu` runs it");
        return;
    }
    let Some(place) = Place::new("qemu", &PROGRAMS) else {
        return;
    };
    let root = common::root();

    let start = Instant::now();
    let script = root.join("tests/build/qemu/iso.sh");
    let medium = run(Command::new("bash")
        .arg(script)
        .arg(Place::cache())
        .env("PATH", &place.path));
    let medium = String::from_utf8(medium.stdout).unwrap();
    let medium = std::path::Path::new(medium.trim());
    println!("the medium was there after {} s", start.elapsed().as_secs());

    // The machine sees this one's loopback device as 10.0.2.2.
    let mirror = place.mirror(
        medium,
        &["containerd", "jq", "qemu-guest-agent"],
        "10.0.2.2",
    );
    fs::write(mirror.folder().join("hello"), "#!/bin/sh\necho hello\n").unwrap();
    fs::write(
        mirror.folder().join("goss"),
        "#!/bin/sh\necho \"goss is asked: $*\"\n",
    )
    .unwrap();
    place.copy_specs(&mirror);
    place.replace("qemu/vm.imgspec", "MEDIUM", medium.to_str().unwrap());
    let checksum = fs::read_to_string(medium.join("sha256")).unwrap();
    place.replace("qemu/vm.imgspec", "CHECKSUM", checksum.trim());
    place.replace("qemu/vm.imgspec", "HOST:PORT", mirror.address());
    let key = place.path("key");
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key));
    fs::create_dir(place.path("qemu/roles/login/files")).unwrap();
    fs::copy(
        place.path("key.pub"),
        place.path("qemu/roles/login/files/key.pub"),
    )
    .unwrap();

    let start = Instant::now();
    let (output, log) = build(&place);
    assert!(output.status.success(), "{}\n{log}", said(&output));
    println!("built in {} s", start.elapsed().as_secs());
    place.assert_nothing_left("vm");
    assert!(
        log.contains("goss is asked: --gossfile goss/goss.yaml"),
        "{log}"
    );
    let packages = mirror.log();
    assert!(
        packages.contains("containerd_") && packages.contains("jq_"),
        "they did not come from the mirror"
    );

    let artifacts = common::entries(&place.path("build/vm/output"));
    let record: Value =
        serde_json::from_slice(&fs::read(place.path("build/vm/build.json")).unwrap()).unwrap();
    let disk = place
        .path("build/vm")
        .join(record["artifacts"][0]["path"].as_str().unwrap());
    assert_eq!(
        record["artifacts"][0]["size"],
        fs::metadata(&disk).unwrap().len(),
        "{artifacts:?}"
    );

    let start = Instant::now();
    let machine = Machine::boot(&place, &disk);
    println!("booted in {} s", start.elapsed().as_secs());
    let said_to = |command: &str| {
        machine
            .ssh(command)
            .unwrap_or_else(|e| panic!("{command}: {e}"))
    };

    assert_eq!(
        said_to("cat /var/lib/hooks"),
        "firstboot_pre\nfirstboot_post\nnode_pre\nnode_post before sysprep\n"
    );
    let arrived: Value = serde_json::from_str(&said_to("cat /var/lib/arrived.json")).unwrap();
    let expected = fs::read(root.join("tests/build/expected.json")).unwrap();
    assert_eq!(arrived, serde_json::from_slice::<Value>(&expected).unwrap());

    for package in ["containerd", "jq", "qemu-guest-agent"] {
        assert!(said_to(&format!("dpkg -s {package}")).contains("Status: install ok installed"));
    }
    assert_eq!(said_to("systemctl is-active containerd"), "active\n");
    let config = said_to("containerd config dump");
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
    assert_eq!(said_to("hello"), "hello\n");
    assert_eq!(
        said_to("grep -rl proxy.invalid /etc 2>/dev/null || true"),
        ""
    );
    assert_eq!(
        said_to("ls /etc/apt/sources.list /etc/apt/sources.list.d"),
        "/etc/apt/sources.list\n\n/etc/apt/sources.list.d:\n"
    );
    assert_eq!(
        said_to("getent passwd builder; ls -d /home/builder 2>/dev/null || true"),
        ""
    );

    // Who it was during the build, and who it is now: not the same.
    let was = said_to("cat /var/lib/built-as");
    let is = said_to("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub");
    let (was, is): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    assert_eq!((was.len(), is.len()), (2, 2));
    assert_eq!(is[0].len(), 32, "no machine-id: {}", is[0]);
    assert_ne!(was[0], is[0], "the machine-id is the build's");
    assert_ne!(was[1], is[1], "the host key is the build's");
}

/// Builds, and gives what was printed and the log. A key press that an emulated machine has lost at its boot prompt
/// leaves it waiting there: then it is tried once more.
fn build(place: &Place) -> (std::process::Output, String) {
    let read_log = || fs::read_to_string(place.path("build/vm/packer.log")).unwrap_or_default();
    for is_last in [false, true] {
        let mut command = place.command("qemu/vm.imgspec", &["--include-root", "."]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let mut is_stopped = false;
        while child.try_wait().unwrap().is_none() {
            let is_installed = read_log().contains("Connected to SSH");
            if !is_stopped && start.elapsed() > if is_installed { BUILT } else { INSTALLED } {
                is_stopped = true;
                run(Command::new("kill").args(["-INT", &child.id().to_string()]));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        let (output, log) = (child.wait_with_output().unwrap(), read_log());
        if is_last || output.status.success() || log.contains("Connected to SSH") {
            return (output, log);
        }
        println!(
            "the machine did not answer within {} s",
            start.elapsed().as_secs()
        );
    }
    unreachable!()
}

/// A machine that has booted from an overlay on a disk.
struct Machine<'p> {
    place: &'p Place,
    qemu: Child,
    port: String,
}

impl<'p> Machine<'p> {
    fn boot(place: &'p Place, disk: &std::path::Path) -> Machine<'p> {
        let overlay = place.path("overlay.qcow2");
        run(Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
            .arg(disk)
            .arg(&overlay));
        let port = free_port().to_string();
        let console = place.path("console");
        let qemu = Command::new("qemu-system-x86_64")
            .args([
                "-accel",
                "tcg",
                "-smp",
                "2",
                "-m",
                "1024",
                "-display",
                "none",
                "-device",
                "virtio-scsi-pci",
            ])
            .args([
                "-drive",
                &format!("if=none,id=disk,file={}", overlay.display()),
                "-device",
                "scsi-hd,drive=disk",
            ])
            .args([
                "-netdev",
                &format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"),
            ])
            .args([
                "-device",
                "virtio-net-pci,netdev=net",
                "-serial",
                &format!("file:{}", console.display()),
            ])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let machine = Machine { place, qemu, port };
        let start = Instant::now();
        loop {
            match machine.ssh("true") {
                Ok(_) => return machine,
                Err(e) => assert!(
                    start.elapsed() < BOOT,
                    "{e}\n{}",
                    fs::read_to_string(&console).unwrap_or_default()
                ),
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// What a command prints in it.
    fn ssh(&self, command: &str) -> Result<String, String> {
        let output = Command::new("ssh")
            .args([
                "-q",
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "ConnectTimeout=20",
            ])
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-p",
                &self.port,
                "-i",
            ])
            .arg(self.place.path("key"))
            .args(["tester@127.0.0.1", command])
            .output()
            .unwrap();
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap());
        }
        Err(format!("{}: {}", output.status, said(&output)))
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
