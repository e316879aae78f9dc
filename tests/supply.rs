//! Includes by address: `imgspec vendor` downloads them from a server with TLS, and no other command needs one.

mod common;

use common::place::said;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A project, and a server of the files that it includes.
struct Site {
    folder: TempDir,
    server: Child,
    /// `https://HOST:PORT`
    origin: String,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Site {
    /// Starts the server with a new certificate; none where a program is missing.
    fn new() -> Option<Site> {
        let missing: Vec<&str> = ["curl", "openssl", "python3"]
            .into_iter()
            .filter(|program| which::which(program).is_err())
            .collect();
        if !missing.is_empty() {
            common::skip_without_tools(&format!("no {} found", missing.join(" and no ")));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().canonicalize().unwrap().join(name);
        for name in ["served", "project"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("project/imgspec.toml"), "").unwrap();
        fs::write(path("log"), "").unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-keyout", "key", "-out", "certificate"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", said(&made));
        let key = fs::read_to_string(path("key")).unwrap();
        let certificate = fs::read_to_string(path("certificate")).unwrap();
        fs::write(path("both"), key + &certificate).unwrap();
        let mut server = Command::new("python3")
            .arg(common::root().join("tests/supply/server.py"))
            .args([path("served"), path("both"), path("log")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let out = server.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut port).unwrap();
        let origin = format!("https://localhost:{}", port.trim());
        Some(Site {
            folder,
            server,
            origin,
        })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the spec of the project, which includes a file of the server.
    fn include(&self, path: &str) {
        let spec = format!(
            "include \"{}/{path}\"\n\nimage node extends rootfs-debian-12, corp {{ }}\n",
            self.origin
        );
        self.write("project/spec.imgspec", spec);
    }

    /// The place of a file's copy.
    fn copy(&self, path: &str) -> PathBuf {
        let host = self.origin.strip_prefix("https://").unwrap();
        let host = host.replace(':', "_");
        self.path(&format!("project/vendor/imgspec/{host}/{path}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = common::imgspec(&self.path("project"));
        command.args(arguments);
        command.env("CURL_CA_BUNDLE", self.path("certificate"));
        command.env("IMGSPEC_CACHE", self.path("cache"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command, expects its exit code and a text in what it prints, and returns how many requests it made.
    #[track_caller]
    fn expect(&self, arguments: &[&str], code: i32, wanted: &str) -> usize {
        let before = self.requests();
        let output = self.run(arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {wanted}: {said}");
        self.requests() - before
    }

    fn requests(&self) -> usize {
        fs::read_to_string(self.path("log"))
            .unwrap()
            .lines()
            .count()
    }

    /// All files of the project with their content.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = walkdir::WalkDir::new(self.path("project")).sort_by_file_name();
        let files = entries.into_iter().map(|entry| entry.unwrap().into_path());
        let files = files.filter(|path| path.is_file());
        files
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[test]
fn copies_are_what_the_lock_file_names() {
    let Some(site) = Site::new() else { return };
    let first = "include \"sub/more.imgspec\"\n\nlayer corp extends more { http_proxy = \"http://proxy.example.com\" }\n";
    site.write("served/team/corp.imgspec", first);
    site.write(
        "served/team/sub/more.imgspec",
        "layer more { extra_debs = [\"jq\"] }\n",
    );
    site.include("team/corp.imgspec");

    // Only `vendor` uses the network.
    for arguments in [&["check"][..], &["vendor", "--check"]] {
        assert_eq!(site.expect(arguments, 1, "is not in imgspec.lock"), 0);
    }
    assert_eq!(site.expect(&["vendor"], 0, "added"), 2);
    assert_eq!(
        fs::read_to_string(site.copy("team/corp.imgspec")).unwrap(),
        first
    );
    let lock = fs::read_to_string(site.path("project/imgspec.lock")).unwrap();
    let line = format!(
        "{}  {}/team/corp.imgspec\n",
        imgspec::source::sha256(first),
        site.origin
    );
    assert!(lock.contains(&line), "{lock}");
    for arguments in [&["check"][..], &["vendor", "--check"], &["vendor"]] {
        assert_eq!(site.expect(arguments, 0, ""), 0, "{arguments:?}");
    }
    let shown = site.run(&["show", "node", "extra_debs"]);
    assert!(
        said(&shown).contains("sub/more.imgspec:1"),
        "{}",
        said(&shown)
    );
    // A copy does not belong to the project by itself.
    let listed = said(&site.run(&["check", "--format", "json"]));
    assert!(listed.contains("\"diagnostics\": []"), "{listed}");

    // A copy that is another file, or is gone.
    let copy = site.copy("team/sub/more.imgspec");
    let kept = site.files();
    fs::write(&copy, "layer more { extra_debs = [\"evil\"] }\n").unwrap();
    site.expect(&["check"], 1, "is not the file that imgspec.lock names");
    site.expect(&["compile"], 1, "is not the file that imgspec.lock names");
    site.expect(&["vendor", "--check"], 1, "is another file");
    assert_eq!(site.expect(&["vendor"], 0, "restored"), 1);
    fs::remove_file(&copy).unwrap();
    site.expect(&["check"], 1, "has no vendored copy");
    site.expect(&["vendor", "--check"], 1, "has no copy");
    assert_eq!(site.expect(&["vendor"], 0, "restored"), 1);
    assert_eq!(site.files(), kept);

    // The author changes the file: nobody notices, until somebody asks for it.
    let url = format!("{}/team/corp.imgspec", site.origin);
    site.write("served/team/corp.imgspec", "layer corp { }\n");
    assert_eq!(site.expect(&["vendor"], 0, ""), 0);
    fs::remove_file(site.copy("team/corp.imgspec")).unwrap();
    let without = site.files();
    site.expect(&["vendor"], 2, "is not the file that imgspec.lock names");
    assert_eq!(site.files(), without);
    site.expect(&["vendor", "--update", &url], 0, "updated");
    site.expect(&["check"], 0, "");
    assert!(!is_there(&copy), "nothing includes it any more");
    site.expect(
        &["vendor", "--update", "https://example.com/a.imgspec"],
        2,
        "no spec includes",
    );

    // Nothing is included any more.
    site.write(
        "project/spec.imgspec",
        "image node extends rootfs-debian-12 { }\n",
    );
    site.expect(&["vendor", "--check"], 1, "nothing includes it");
    site.expect(&["vendor"], 0, "removed");
    assert!(!is_there(&site.path("project/imgspec.lock")));
    assert!(!is_there(&site.path("project/vendor/imgspec")));
}

#[test]
fn what_a_server_may_not_do_is_refused() {
    let Some(site) = Site::new() else { return };
    site.write("served/corp.imgspec", "layer corp { }\n");
    site.write(
        "served/team/up.imgspec",
        "include \"../corp.imgspec\"\nlayer corp { }\n",
    );
    site.write(
        "served/team/plain.imgspec",
        "include \"http://example.com/a.imgspec\"\nlayer corp { }\n",
    );
    site.write("served/bytes.imgspec", b"layer corp { } # \xff\n");
    for (path, wanted) in [
        (
            "away/corp.imgspec",
            "leads to another host, https://127.0.0.1:9/corp.imgspec",
        ),
        (
            "plain/corp.imgspec",
            "leads to another host, http://localhost",
        ),
        (
            "around/corp.imgspec",
            "leads to more than 5 other addresses",
        ),
        ("large.imgspec", "larger than 16 MiB"),
        ("none.imgspec", "404"),
        ("bytes.imgspec", "is not UTF-8"),
        ("team/up.imgspec", "which is not a file of its folder"),
        ("team/plain.imgspec", "does not begin with `https://`"),
    ] {
        site.include(path);
        let before = site.files();
        site.expect(&["vendor"], 2, wanted);
        assert_eq!(site.files(), before, "{path}: something was written");
    }
    site.include("moved/corp.imgspec");
    assert_eq!(site.expect(&["vendor"], 0, "added"), 2);
    site.expect(&["check"], 0, "");

    // A host that nobody vouches for.
    fs::remove_file(site.copy("moved/corp.imgspec")).unwrap();
    let mut command = site.command(&["vendor"]);
    let output = command.env("CURL_CA_BUNDLE", "/dev/null").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("curl: "), "{}", said(&output));
}

/// Anyone who writes to the project could have made a link.
#[test]
fn a_link_leads_no_copy_out_of_the_project() {
    let Some(site) = Site::new() else { return };
    site.write("served/corp.imgspec", "layer corp { }\n");
    site.include("corp.imgspec");
    fs::create_dir(site.path("elsewhere")).unwrap();
    fs::create_dir(site.path("project/vendor")).unwrap();
    std::os::unix::fs::symlink(site.path("elsewhere"), site.path("project/vendor/imgspec"))
        .unwrap();
    site.expect(&["vendor"], 2, "outside the project");
    assert_eq!(common::entries(&site.path("elsewhere")).len(), 0);
    assert!(!is_there(&site.path("project/imgspec.lock")));
}
