//! The proof of an image: what `imgspec build` makes becomes nodes of a Kubernetes cluster.
//!
//! `tests/node/mirror.sh` builds Kubernetes from Go modules and lays it out as its publishers do, in `target/node`. The
//! images of `tests/node/nodes.imgspec` take all from there. `tests/node/cluster.sh` boots two nodes from one image,
//! joins them, and asks a pod on one node from the other. What was seen is in `target/node.seen`.
//!
//! It takes minutes, and runs only where `IMGSPEC_SLOW` is set, as `tests/run node` does. Needs root, Go, and the
//! programs of `imgspec deps rootfs`.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use common::place::{Place, free_port, run, said};

const PROGRAMS: [&str; 7] = [
    "go",
    "cc",
    "gpg",
    "apt-ftparchive",
    "dpkg-deb",
    "ip",
    "systemd-nspawn",
];

#[test]
fn images_become_nodes() {
    let Some((place, _mirror)) = place_with_mirror(&[]) else {
        return;
    };
    for image in ["http", "pkg"] {
        build(&place, image);
        assert_is_as_stated(&place, image);
        assert_is_cluster(&disk(&place, image), image);
    }
}

/// With its own kernel, no limit of a container applies: control groups of the second version, modules, capabilities.
#[test]
#[ignore = "QEMU emulates a machine for a quarter of an hour: tests/run node --ignored"]
fn an_image_boots_as_a_machine_and_becomes_a_node() {
    let Some((place, _mirror)) = place_with_mirror(&["qemu-system-x86_64"]) else {
        return;
    };
    build(&place, "vm");
    let seen = seen("vm");
    let start = Instant::now();
    let script = common::root().join("tests/node/machine.sh");
    let status = Command::new("bash")
        .arg(script)
        .arg(disk(&place, "vm"))
        .arg(&seen)
        .status();
    let read = |name: &str| fs::read_to_string(seen.join(name)).unwrap_or_default();
    assert!(status.unwrap().success(), "{}", read("console"));
    println!(
        "vm: a node in {} s\n{}",
        start.elapsed().as_secs(),
        read("nodes")
    );

    assert!(read("nodes").contains(" Ready "), "{}", read("nodes"));
    assert_eq!(read("answer"), "this is server\n");
    assert_eq!(read("failed"), "", "units");
    let modules = read("modules");
    for module in ["overlay", "br_netfilter"] {
        assert!(
            modules.contains(module),
            "{module} is not loaded:\n{modules}"
        );
    }
    assert_eq!(
        read("sysctl"),
        "net.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.ip_forward = 1\n"
    );
}

/// A file that is not what its publisher says does not get into an image.
#[test]
fn a_wrong_checksum_ends_the_build() {
    let Some((place, mirror)) = place_with_mirror(&[]) else {
        return;
    };
    let cases = [
        ("kubernetes_http_source", "release", "kubelet"),
        (
            "kubernetes_cni_http_source",
            "cni",
            "cni-plugins-linux-amd64-v1.7.1.tgz",
        ),
    ];
    for (variable, folder, file) in cases {
        // The same tree, where the checksum of one file is another's.
        let wrong = mirror.folder.join("wrong");
        let _ = fs::remove_dir_all(&wrong);
        run(Command::new("cp")
            .arg("-al")
            .arg(mirror.folder.join(folder))
            .arg(&wrong));
        let found = run(Command::new("find")
            .arg(&wrong)
            .args(["-name", &format!("{file}.sha256")]));
        let sum = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
        fs::remove_file(&sum).unwrap();
        fs::write(&sum, format!("{}\n", "0".repeat(64))).unwrap();
        let spec = format!(
            "include \"nodes.imgspec\"\nimage wrong extends http {{ {variable} = \"http://{}/wrong\" }}\n",
            mirror.address
        );
        fs::write(place.path("wrong.imgspec"), spec).unwrap();
        let output = place.build("wrong", &[]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let last = text.rsplit("imgspec: ").next().unwrap();
        assert!(last.contains(file) && last.contains("checksum"), "{text}");
        place.assert_nothing_left("wrong");
        fs::remove_dir_all(&wrong).unwrap();
    }
}

/// The place of the builds, and the mirror that they use. None where it is not asked for, or programs are missing.
fn place_with_mirror(programs: &[&str]) -> Option<(Place, Mirror)> {
    if std::env::var("IMGSPEC_SLOW").as_deref() != Ok("1") {
        common::skip("it takes minutes; `tests/run node` runs it");
        return None;
    }
    let place = Place::new("rootfs", &[&PROGRAMS, programs].concat())?;
    let mirror = Mirror::start(&place.base(), &place.path);
    mirror.copy_specs(&place);
    Some((place, mirror))
}

fn build(place: &Place, image: &str) {
    let start = Instant::now();
    let output = place.build(image, &[]);
    assert!(output.status.success(), "{}", said(&output));
    place.assert_nothing_left(image);
    let size = fs::metadata(disk(place, image)).unwrap().len();
    let seconds = start.elapsed().as_secs();
    println!("{image}: built in {seconds} s, {} MB", size / 1_000_000);
}

/// `imgspec probe` finds in the image what its spec states, and no probe fails.
fn assert_is_as_stated(place: &Place, image: &str) {
    let mut command = common::imgspec(place.path("").as_path());
    command.args(["probe", image]).env("PATH", &place.path);
    let output = command
        .env("IMGSPEC_CACHE", Place::cache())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    println!("{}", said(&output));
}

fn disk(place: &Place, image: &str) -> PathBuf {
    place.path(&format!("build/{image}/output/debian-12/debian-12.qcow2"))
}

/// An empty folder for what is seen of an image's nodes.
fn seen(image: &str) -> PathBuf {
    let seen = common::root().join("target/node.seen").join(image);
    let _ = fs::remove_dir_all(&seen);
    seen
}

/// Two nodes of one disk are a cluster that works.
fn assert_is_cluster(disk: &Path, image: &str) {
    let start = Instant::now();
    let seen = seen(image);
    let mut cluster = Command::new("bash");
    cluster
        .arg(common::root().join("tests/node/cluster.sh"))
        .arg(disk)
        .arg(&seen);
    let status = cluster.status().unwrap();
    let read = |name: &str| fs::read_to_string(seen.join(name)).unwrap_or_default();
    assert!(status.success(), "{}{}", read("init"), read("join"));
    println!(
        "{image}: a cluster in {} s\n{}{}",
        start.elapsed().as_secs(),
        read("nodes"),
        read("images")
    );

    let nodes = read("nodes");
    let ready = |node: &str| {
        nodes.lines().any(|line| {
            line.starts_with(node) && line.contains(" Ready ") && line.contains("v1.34.2")
        })
    };
    assert!(ready("one") && ready("two"), "{nodes}");
    assert_eq!(read("answer"), "this is server\n");
    assert!(
        read("readyz").contains("readyz check passed"),
        "{}",
        read("readyz")
    );
    let pods = read("pods");
    assert!(
        pods.lines().skip(1).all(|line| line.contains(" Running ")),
        "{pods}"
    );
    for node in ["one", "two"] {
        assert_eq!(read(&format!("{node}.failed")), "", "units of {node}");
    }
}

/// A server of files and container images on the loopback device.
struct Mirror {
    folder: PathBuf,
    server: Child,
    address: String,
}

impl Mirror {
    /// Makes what the mirror lacks, for nodes that begin with a root filesystem, and serves it.
    fn start(base: &Path, path: &std::ffi::OsStr) -> Mirror {
        let folder = common::root().join("target/node");
        let script = common::root().join("tests/node/mirror.sh");
        let mut make = Command::new("bash");
        make.arg(script)
            .arg(&folder)
            .arg(base.join("var/lib/dpkg/status"));
        let status = make.env("PATH", path).status().unwrap();
        assert!(status.success(), "the mirror could not be made");

        let address = format!("127.0.0.1:{}", free_port());
        let mut server = Command::new(common::root().join("target/node.work/bin/mirror"));
        server
            .arg("serve")
            .arg(&folder)
            .arg(address.rsplit(':').next().unwrap());
        let log = fs::File::create(common::root().join("target/node.log")).unwrap();
        let mut server = server.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(
            line.starts_with("ready on"),
            "the mirror did not start; target/node.log says why"
        );
        Mirror {
            folder,
            server,
            address,
        }
    }

    /// The specs, with the mirror's address and the list of its packages of Debian.
    fn copy_specs(&self, place: &Place) {
        for name in ["imgspec.toml", "nodes.imgspec", "config.toml.j2"] {
            fs::copy(
                common::root().join("tests/node").join(name),
                place.path(name),
            )
            .unwrap();
        }
        place.replace("nodes.imgspec", "HOST:PORT", &self.address);
        let list = format!("deb [trusted=yes] http://{}/debian ./\n", self.address);
        fs::write(place.path("debian.list"), list).unwrap();
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
