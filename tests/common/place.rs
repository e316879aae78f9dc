//! The place where a test builds images, with a mirror of packages.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

/// Builds share the machine and the cache.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A folder with specs, and what building takes.
pub struct Place {
    folder: TempDir,
    pub path: OsString,
    _turn: std::sync::MutexGuard<'static, ()>,
}

/// A server of files on the loopback device.
pub struct Mirror {
    folder: TempDir,
    server: Child,
    address: String,
}

impl Mirror {
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Host and port, as the machine that is built sees them.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What was asked of it.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The search path with what `tests/run` has installed; none where a provider's programs or others are missing.
pub fn tools(provider: &str, others: &[&str]) -> Option<OsString> {
    let path = super::search_path();
    let output = super::imgspec(super::root())
        .args(["deps", provider])
        .env("PATH", &path)
        .output()
        .unwrap();
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let places =
        std::env::join_paths(std::env::split_paths(&path).chain(["/usr/sbin".into()])).unwrap();
    let missing = others
        .iter()
        .find(|program| which::which_in(program, Some(&places), ".").is_err());
    let why = match missing {
        _ if !is_root => "they need root".to_owned(),
        Some(program) => format!("{program} is missing"),
        None if !output.status.success() => {
            format!(
                "a program is missing:\n{}",
                String::from_utf8_lossy(&output.stdout)
            )
        }
        None => return Some(path),
    };
    super::skip_without_tools(&format!("real builds with {provider}: {why}"));
    None
}

impl Place {
    /// None where programs are missing.
    pub fn new(provider: &str, others: &[&str]) -> Option<Place> {
        let path = tools(provider, others)?;
        let turn = ONE_AT_A_TIME
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Some(Place {
            folder: tempfile::tempdir().unwrap(),
            path,
            _turn: turn,
        })
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn cache() -> PathBuf {
        super::root().join("target/cache")
    }

    pub fn command(&self, spec: &str, args: &[&str]) -> Command {
        let mut command = super::imgspec(self.folder.path());
        command.args(["build", spec]).args(args);
        command
            .env("PATH", &self.path)
            .env("IMGSPEC_CACHE", Self::cache());
        command
    }

    pub fn build(&self, spec: &str, args: &[&str]) -> Output {
        self.command(spec, args).output().unwrap()
    }

    /// The cached root filesystem that the rootfs provider begins with.
    pub fn base(&self) -> PathBuf {
        let folder = self.path("base");
        fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("bash");
        command
            .arg(super::root().join("config/rootfs/base.sh"))
            .current_dir(&folder);
        command.env("ROOTFS_CACHE", Self::cache());
        command.envs([
            ("ROOTFS_SUITE", "bookworm"),
            ("ROOTFS_SOURCE", ""),
            ("ROOTFS_PACKAGES", ""),
        ]);
        run(&mut command);
        PathBuf::from(fs::read_to_string(folder.join("root/base")).unwrap().trim())
    }

    /// A repository of packages and of what a root filesystem lacks of what they need, with `mirror.list` for it beside
    /// the specs. `host` is this machine to the one that is built.
    pub fn mirror(&self, base: &Path, packages: &[&str], host: &str) -> Mirror {
        let folder = tempfile::tempdir().unwrap();
        let script = super::root().join("tests/build/mirror.sh");
        run(Command::new("bash")
            .arg(script)
            .args([base, folder.path()])
            .args(packages));
        let port = free_port();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let server = Command::new("python3")
            .args([
                "-u",
                "-m",
                "http.server",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "-d",
            ])
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
        let address = format!("{host}:{port}");
        fs::write(
            self.path("mirror.list"),
            format!("deb [trusted=yes] http://{address} ./\n"),
        )
        .unwrap();
        Mirror {
            folder,
            server,
            address,
        }
    }

    /// The specs and roles of `tests/build`, with the mirror's address in what they share.
    pub fn copy_specs(&self, mirror: &Mirror) {
        super::copy_folder(&super::root().join("tests/build"), self.folder.path());
        self.replace("settings.imgspec", "HOST:PORT", &mirror.address);
        self.replace(
            "settings.imgspec",
            "HOST",
            mirror.address.split(':').next().unwrap(),
        );
    }

    /// Puts a text for another in a file.
    pub fn replace(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(self.path(file), text.replace(from, to)).unwrap();
    }

    /// The files of a disk image, in a folder.
    pub fn extract(&self, disk: &Path) -> PathBuf {
        let (raw, out) = (self.path("disk.raw"), self.path("image"));
        fs::create_dir(&out).unwrap();
        let converted = Command::new("qemu-img")
            .args(["convert", "-O", "raw"])
            .arg(disk)
            .arg(&raw)
            .status();
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
    pub fn assert_nothing_left(&self, image: &str) {
        let folder = self.folder.path().canonicalize().unwrap();
        let folder = folder.to_str().unwrap();
        assert!(!self.path("build").join(image).join("work").exists());
        assert!(!fs::read_to_string("/proc/mounts").unwrap().contains(folder));
        for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let path = process.path();
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            let out = format!("IMGSPEC_OUT={folder}/build");
            let is_of_build = environment
                .split(|b| *b == 0)
                .any(|entry| entry == out.as_bytes());
            assert!(
                !is_of_build,
                "{} is left: {:?}",
                path.display(),
                fs::read_to_string(path.join("cmdline"))
            );
        }
    }
}

/// All that a program has printed.
pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A program that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
