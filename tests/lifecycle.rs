//! What `imgspec build` and its neighbours leave behind, and what they leave alone. The programs that a build calls are
//! stand-ins here, so that the edge of the product is tested without a real build.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::place::said;
use serde_json::Value;
use tempfile::TempDir;

/// Packer, Ansible and all others: says a version, leaves a key where keys are kept, and makes a disk.
const PROGRAM: &str = r#"#!/bin/sh
case "$1" in
build)
    echo key >"$TMPDIR/ansible-key"
    echo "$TMPDIR" >"$FAKE_LOG"
    cp "$IMGSPEC_RELEASE_FILE" "$IMGSPEC_PROVENANCE_FILE" "${FAKE_LOG%/*}"
    while [ -e "$FAKE_LOG.wait" ]; do sleep 0.1; done
    mkdir -p output/debian-12 && echo disk >output/debian-12/debian-12.qcow2 && echo '{}' >output/manifest.json
    ;;
validate) ;;
*) echo "version 9.9.9" ;;
esac
"#;

const PROGRAMS: [&str; 7] = [
    "PACKER",
    "ANSIBLE_PLAYBOOK",
    "MMDEBSTRAP",
    "SYSTEMD_NSPAWN",
    "MKE2FS",
    "SFDISK",
    "QEMU_IMG",
];

struct Site {
    folder: TempDir,
}

impl Site {
    fn new(spec: &str) -> Site {
        let site = Site {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(site.path("tmp")).unwrap();
        site.program("program", PROGRAM);
        site.write("project/imgspec.toml", "");
        site.write("project/spec.imgspec", spec);
        site
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = common::imgspec(&self.path("project"));
        command.args(args).stdin(Stdio::null());
        command
            .env("IMGSPEC_CACHE", self.path("cache"))
            .env("TMPDIR", self.path("tmp"));
        command.env("FAKE_LOG", self.path("log"));
        for name in PROGRAMS {
            command.env(format!("{name}_BIN"), self.path("program"));
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a build that goes on until [`Site::go_on`], and waits until it is there.
    fn start(&self) -> Child {
        self.write("log.wait", "");
        let mut command = self.command(&["build", "node", "--force"]);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until("the build's key", || self.keys().len() == 1);
        wait_until("the build's log", || self.path("log").is_file());
        child
    }

    fn go_on(&self) {
        fs::remove_file(self.path("log.wait")).unwrap();
    }

    /// The keys in the folder for temporary files.
    fn keys(&self) -> Vec<PathBuf> {
        let folders = common::entries(&self.path("tmp")).into_iter();
        folders
            .map(|folder| folder.join("ansible-key"))
            .filter(|key| key.is_file())
            .collect()
    }

    /// Processes of a build below this site.
    fn has_processes(&self) -> bool {
        let log = format!("FAKE_LOG={}", self.path("log").display());
        let of_build = |process: &Path| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            environment
                .split(|b| *b == 0)
                .any(|entry| entry == log.as_bytes())
        };
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(Result::ok)
            .any(|process| of_build(&process.path()))
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{what} does not come"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

const SPEC: &str = "image node extends rootfs-debian-12 { node_custom_roles_post = [\"audit\"] }\n";

fn with_role() -> Site {
    let site = Site::new(SPEC);
    site.write("project/roles/audit/tasks/main.yml", "- name: Nothing\n");
    site
}

#[test]
fn a_change_of_what_a_role_is_made_of_is_built() {
    let site = with_role();
    let build = |wanted: &str| {
        let output = site.run(&["build", "node"]);
        assert!(
            output.status.success() && said(&output).contains(wanted),
            "{wanted}: {}",
            said(&output)
        );
    };
    build("node: built in");
    build("node: up to date");
    for (file, text) in [
        ("roles/audit/tasks/main.yml", "- name: Something\n"),
        ("roles/audit/files/new", "x"),
        ("roles/helper/tasks/main.yml", "- name: For audit\n"),
        ("ansible/roles/other/tasks/main.yml", "- name: For audit\n"),
    ] {
        site.write(&format!("project/{file}"), text);
        build("node: built in");
        build("node: up to date");
    }
    // What a link in a role leads to.
    site.write("elsewhere", "one");
    std::os::unix::fs::symlink(
        site.path("elsewhere"),
        site.path("project/roles/audit/files/link"),
    )
    .unwrap();
    build("node: built in");
    site.write("elsewhere", "another");
    build("node: built in");
    fs::remove_file(site.path("elsewhere")).unwrap();
    build("node: built in");
    // A role and a file that are named from the root of the file system.
    site.write("far/tasks/main.yml", "- name: Far\n");
    site.write("far.list", "deb http://one ./\n");
    let (role, list) = (site.path("far"), site.path("far.list"));
    let spec = format!(
        "image node extends rootfs-debian-12 {{\n    node_custom_roles_post = [\"{}\"]\n    extra_repos = [\"{}\"]\n}}\n",
        role.display(),
        list.display()
    );
    site.write("project/spec.imgspec", &spec);
    build("node: built in");
    build("node: up to date");
    site.write("far/tasks/main.yml", "- name: Further\n");
    build("node: built in");
    site.write("far.list", "deb http://two ./\n");
    build("node: built in");
    build("node: up to date");
}

/// What decides about an image's ID, and what does not. `Same` images are up to date, but for one with another secret.
#[test]
fn an_id_follows_what_a_build_sees() {
    let spec = "image node extends rootfs-debian-12 {\n    extra_repos = [\"mirror.list\"]\n    node_custom_roles_post = [\"audit\"]\n    rootfs_packages = env(\"PACKAGES\")\n    ssh_password = env(\"PASSWORD\")\n}\n";
    let site = Site::new(spec);
    site.write("project/roles/audit/tasks/main.yml", "- name: Nothing\n");
    site.write("project/mirror.list", "deb http://one ./\n");
    let record = |folder: &str| -> Value {
        let path = site.path(folder).join("node/build.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let build = |out: &str, password: &str, wanted: &str| {
        let mut command = site.command(&["build", "node", "--out", out]);
        command.env("PASSWORD", password).env("PACKAGES", "jq");
        let output = command.output().unwrap();
        assert!(
            said(&output).contains(wanted),
            "{wanted}: {}",
            said(&output)
        );
    };
    build("build", "first secret", "node: built in");
    let first = record("project/build");
    let id = first["id"].as_str().unwrap();

    // As docs/building.md says it is computed.
    let seen = first["seen"].as_object().unwrap();
    let line = |(name, sum): (&String, &Value)| format!("{}  {name}\n", sum.as_str().unwrap());
    let lines: String = seen.iter().map(line).collect();
    assert_eq!(imgspec::source::sha256(&lines), id);
    for name in [
        "ansible/roles/sysprep/tasks/about.yml",
        "config/rootfs/packer.json",
        "output/ansible.vars.json",
        "output/packer.vars.json",
        "project/mirror.list",
        "project/roles/audit/tasks/main.yml",
        "recipe.json",
    ] {
        assert!(
            seen.contains_key(name),
            "{name} is not in {:?}",
            seen.keys()
        );
    }
    let portable = site.run(&["compile", "--portable", "--stdout"]);
    let portable: Value = serde_json::from_slice(&portable.stdout).unwrap();
    for name in ["packer.vars.json", "ansible.vars.json"] {
        let text = serde_json::to_string_pretty(&portable["node"][name]).unwrap() + "\n";
        assert_eq!(
            seen[&format!("output/{name}")],
            imgspec::source::sha256(&text),
            "{name}:\n{text}"
        );
    }

    // A compile knows the ID, too, and judges by it.
    let compile = |check: &[&str]| {
        let arguments = [&["compile", "--portable", "--out", "compiled"], check].concat();
        let output = site.run(&arguments);
        (output.status.success(), said(&output))
    };
    let expect_stale = |wanted: bool| {
        let (is_current, said) = compile(&["--check"]);
        assert_eq!(is_current, !wanted, "{said}");
        let is_named = said.contains("stale: compiled/node/manifest.json");
        assert_eq!(is_named, wanted, "{said}");
    };
    assert!(compile(&[]).0);
    let manifest = fs::read(site.path("project/compiled/node/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["id"], id);

    // The files that the role gets.
    let release = format!(
        "NAME=\"imgspec\"\nIMAGE=\"node\"\nID=\"{id}\"\nRELEASE=\"v0.1.13\"\nTARGET=\"rootfs-debian-12\"\nPROVIDER=\"rootfs\"\nIMGSPEC_VERSION=\"{}\"\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        fs::read_to_string(site.path("imgspec-release")).unwrap(),
        release
    );
    let told: Value =
        serde_json::from_slice(&fs::read(site.path("provenance.json")).unwrap()).unwrap();
    assert_eq!(told, first["provenance"]);

    // Neither a comment nor a line number, nor the folders, nor a secret.
    site.write("project/spec.imgspec", &format!("# why\n\n{spec}"));
    expect_stale(false);
    build("build", "first secret", "node: up to date");
    build("build", "second secret", "node: built in");
    assert_eq!(record("project/build")["id"], id);
    build("../elsewhere/out", "first secret", "node: built in");
    assert_eq!(record("elsewhere/out")["id"], id);
    fs::create_dir_all(site.path("deep/er")).unwrap();
    fs::rename(site.path("project"), site.path("deep/er/moved")).unwrap();
    std::os::unix::fs::symlink(site.path("deep/er/moved"), site.path("project")).unwrap();
    build("build", "second secret", "node: up to date");

    for (file, text) in [
        ("mirror.list", "deb http://two ./\n"),
        ("roles/audit/tasks/main.yml", "- name: Something\n"),
        (
            "spec.imgspec",
            &spec.replace("extends", "extends more,").replace(
                "image node",
                "layer more { extra_debs = [\"jq\"] }\nimage node",
            ),
        ),
    ] {
        let before = record("project/build")["id"].clone();
        site.write(&format!("project/{file}"), text);
        expect_stale(true);
        assert!(compile(&[]).0);
        expect_stale(false);
        build("build", "second secret", "node: built in");
        assert_ne!(record("project/build")["id"], before, "{file}");
    }
}

#[test]
fn clean_leaves_what_others_have_written() {
    let site = with_role();
    assert!(site.run(&["build", "node"]).status.success());
    assert_eq!(
        fs::read_to_string(site.path("project/build/.gitignore"))
            .unwrap()
            .lines()
            .last(),
        Some("*")
    );
    site.write("project/build/node/notes.txt", "mine");
    site.write("project/build/node/output/debian-12/mine.qcow2", "mine");
    site.write("project/build/other/manifest.json", "{}");
    site.write("project/build/other/packer.vars.json", "{}");

    // A build carries over what is not its own.
    assert!(site.run(&["build", "node", "--force"]).status.success());
    assert!(
        site.path("project/build/node/output/debian-12/mine.qcow2")
            .is_file()
    );

    let output = site.run(&["clean"]);
    assert!(output.status.success(), "{}", said(&output));
    for kept in [
        "build/node/notes.txt",
        "build/node/output/debian-12/mine.qcow2",
    ] {
        assert!(
            said(&output).contains(&format!("kept {kept}, which imgspec has not written")),
            "{}",
            said(&output)
        );
        assert_eq!(
            fs::read_to_string(site.path("project").join(kept)).unwrap(),
            "mine"
        );
    }
    assert_eq!(common::entries(&site.path("project/build/node")).len(), 2);
    assert_eq!(
        common::entries(&site.path("project/build/node/output/debian-12")).len(),
        1
    );
    assert_eq!(
        common::entries(&site.path("project/build/other")).len(),
        2,
        "it is not ours"
    );

    fs::remove_dir_all(site.path("project/build/node")).unwrap();
    fs::remove_dir_all(site.path("project/build/other")).unwrap();
    assert!(site.run(&["build", "node"]).status.success());
    assert!(site.run(&["clean", "node"]).status.success());
    assert!(
        !site.path("project/build").exists(),
        "nothing of ours is left"
    );
}

#[test]
fn a_running_build_is_left_alone() {
    let site = with_role();
    let child = site.start();
    for (args, wanted) in [
        (&["clean"][..], "build/node is in use by a build"),
        (&["clean", "--cache"], "cache is in use by a build"),
        (&["build", "node"], ") is building this image: wait for it"),
        (
            &["compile", "node", "--set", "extra_debs=jq"],
            "is being built",
        ),
    ] {
        let output = site.run(args);
        assert!(!output.status.success(), "{args:?}: {}", said(&output));
        assert!(
            said(&output).contains(wanted),
            "{args:?}: {}",
            said(&output)
        );
    }
    assert_eq!(site.keys().len(), 1);
    site.go_on();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        site.path("project/build/node/output/debian-12/debian-12.qcow2")
            .is_file()
    );
    assert!(site.keys().is_empty());
    assert!(site.run(&["clean"]).status.success());
    assert!(site.run(&["clean", "--cache"]).status.success());
    assert!(!site.path("cache/assets").exists());
}

#[test]
fn a_cache_that_somebody_else_has_made_stays() {
    let site = with_role();
    site.write("cache/rootfs/mine", "mine");
    assert!(site.run(&["build", "node"]).status.success());
    let output = site.run(&["clean", "--cache"]);
    assert!(
        said(&output).contains("cache/rootfs, which imgspec has not written"),
        "{}",
        said(&output)
    );
    assert!(site.path("cache/rootfs/mine").is_file() && !site.path("cache/assets").exists());
}

#[test]
fn no_key_outlives_its_build() {
    let site = with_role();
    // Interrupted.
    let child = site.start();
    let folder = site.keys()[0].parent().unwrap().to_owned();
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert!(!folder.exists() && !site.has_processes());

    // Killed: the next run removes the key, the folder of the build, and what it has started.
    for next in [&["build", "node"][..], &["validate", "node"], &["clean"]] {
        let mut child = site.start();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(site.keys().len(), 1);
        // What others keep there under such a name is not ours.
        site.write("tmp/imgspec-mine/notes", "mine");
        site.write("tmp/imgspec-file", "mine");
        let other = tempfile::Builder::new()
            .prefix("imgspec-")
            .tempdir_in(site.path("tmp"))
            .unwrap();
        if next[0] == "build" {
            site.go_on();
        }
        let output = site.run(next);
        assert!(output.status.success(), "{next:?}: {}", said(&output));
        assert!(site.keys().is_empty(), "{next:?}");
        assert!(!site.has_processes(), "{next:?}");
        assert!(!site.path("project/build/node/work").exists(), "{next:?}");
        assert!(
            site.path("tmp/imgspec-mine/notes").is_file()
                && site.path("tmp/imgspec-file").is_file()
        );
        assert!(other.path().is_dir());
    }
}

#[test]
fn only_output_folders_that_are_new_are_kept_out_of_git() {
    let site = with_role();
    let has_ignore = |out: &str| site.path("project").join(out).join(".gitignore").is_file();
    fs::create_dir(site.path("project/there")).unwrap();
    for out in ["there", "new"] {
        assert!(
            site.run(&["compile", "node", "--out", out])
                .status
                .success()
        );
    }
    assert!(
        site.run(&["compile", "node", "--out", "portable", "--portable"])
            .status
            .success()
    );
    assert_eq!(
        [
            has_ignore("there"),
            has_ignore("new"),
            has_ignore("portable")
        ],
        [false, true, false]
    );
}

/// A stand-in for apt-get, which writes down what it is asked for.
const APT: &str = r#"#!/bin/sh
echo "apt-get $*" >>"$FAKE_LOG"
case "$*" in
*--simulate*) [ -z "$FAKE_CONFLICT" ] || { echo "E: Packages need to be removed but remove is disabled." >&2; exit 100; }
    echo "Inst mmdebstrap (1.0)"; echo "Inst libsomething (2.0)" ;;
*download*) exit 100 ;;
*) echo "Unpacking"; [ -z "$FAKE_CONFLICT" ] || exit 100 ;;
esac
"#;

#[test]
fn programs_are_installed_in_the_open() {
    let site = Site::new("");
    site.program("bin/apt-get", APT);
    if !fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
        return common::skip("the installation of packages: it needs root");
    }
    let install = |conflict: &str| {
        let _ = fs::remove_file(site.path("log"));
        let mut command = site.command(&["deps", "rootfs", "--install"]);
        for name in PROGRAMS {
            command.env_remove(format!("{name}_BIN"));
        }
        command
            .env("PATH", format!("{}:/bin", site.path("bin").display()))
            .env("FAKE_CONFLICT", conflict);
        // Nothing of this machine's is found but the shell.
        command
            .env("PACKER_BIN", site.path("program"))
            .env("ANSIBLE_PLAYBOOK_BIN", site.path("program"));
        command.env("MMDEBSTRAP_BIN", site.path("nothing"));
        let output = command.output().unwrap();
        (
            said(&output),
            fs::read_to_string(site.path("log")).unwrap_or_default(),
        )
    };
    let (said, log) = install("");
    assert!(
        said.contains("imgspec installs:") && said.contains("mmdebstrap"),
        "{said}"
    );
    assert!(
        said.contains("which installs mmdebstrap libsomething"),
        "{said}"
    );
    assert!(said.contains("Unpacking"), "progress is shown: {said}");
    let installs: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("install"))
        .collect();
    assert!(
        !installs.is_empty() && installs.iter().all(|line| line.contains("--no-remove")),
        "{log}"
    );
    let (said, _) = install("1");
    assert!(said.contains("imgspec never does"), "{said}");
}

#[test]
fn validating_with_a_checkout_installs_nothing() {
    let site = Site::new("image a extends qemu-debian-12 { }\n");
    let checkout = site.path("checkout");
    let source = common::root().join("tests/cases/roles-of-checkout/checkout");
    common::copy_folder(&source, &checkout);
    let makefile = fs::read_to_string(checkout.join("Makefile")).unwrap();
    let makefile = makefile
        .replace(
            "\thack/ensure-ansible.sh\n\thack/ensure-packer.sh\n",
            "\ttouch installed\n",
        )
        .replace(
            "\tpacker validate packer/qemu/packer.json\n",
            "\t+echo \"$$TMPDIR\" >>validated\n",
        );
    assert!(makefile.contains("touch installed") && makefile.contains("validated"));
    fs::write(checkout.join("Makefile"), makefile).unwrap();
    let validate = |more: &[&str]| {
        let output = site.run(&[&["validate", "a", "--in", "../checkout"], more].concat());
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let told = validate(&[]);
    assert!(
        told.contains("no program is installed") && told.contains("make deps-qemu"),
        "{told}"
    );
    assert!(checkout.join("validated").is_file() && !checkout.join("installed").exists());
    let private = fs::read_to_string(checkout.join("validated")).unwrap();
    assert_eq!(
        private.lines().count(),
        1,
        "looking at the Makefile has run a recipe"
    );
    assert!(
        private.starts_with(site.path("tmp").to_str().unwrap()),
        "{private}"
    );
    assert!(!Path::new(private.trim()).exists(), "it goes with the run");

    let told = validate(&["--install"]);
    assert!(
        told.contains("deps-qemu first, which may install programs"),
        "{told}"
    );
    assert!(checkout.join("installed").is_file());
}

/// Runs git in the project, and returns what it prints.
fn git(site: &Site, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(site.path("project"));
    for (name, value) in [("NAME", "me"), ("EMAIL", "me@example.com")] {
        command.env(format!("GIT_AUTHOR_{name}"), value);
        command.env(format!("GIT_COMMITTER_{name}"), value);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_statement_tells_what_a_build_was_made_from() {
    let spec = "image node extends rootfs-debian-12 {\n    extra_repos = [\"mirror.list\"]\n    ssh_password = env(\"PASSWORD\")\n}\n";
    let site = Site::new(spec);
    site.write("project/mirror.list", "deb http://one ./\n");
    site.write("project/.gitignore", "build\n");
    git(&site, &["init", "-q", "."]);
    git(
        &site,
        &[
            "remote",
            "add",
            "origin",
            "https://me:t0ken@example.com/images.git",
        ],
    );
    git(&site, &["add", "."]);
    git(&site, &["commit", "-qm", "Images"]);
    let commit = git(&site, &["rev-parse", "HEAD"]);
    let path = site.path("project/build/node/provenance.intoto.json");
    let build = |arguments: &[&str], wanted: &str| {
        let mut command = site.command(&[&["build", "node"], arguments].concat());
        let output = command.env("PASSWORD", "hunter22").output().unwrap();
        assert!(
            said(&output).contains(wanted),
            "{wanted}: {}",
            said(&output)
        );
    };
    build(&[], "node: built in");
    assert!(!path.exists());
    // What is known about an earlier build is no observation of it.
    build(&["--provenance"], "node: built in");
    build(&["--provenance"], "node: up to date");
    let text = fs::read_to_string(&path).unwrap();
    for secret in ["t0ken", "hunter22", site.path("").to_str().unwrap()] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let statement = read_json(&path);
    let record = read_json(&site.path("project/build/node/build.json"));
    let artifact = &record["artifacts"][0];
    assert_eq!(statement["subject"][0]["name"], artifact["path"]);
    assert_eq!(
        statement["subject"][0]["digest"]["sha256"],
        artifact["sha256"]
    );
    assert_eq!(statement["subject"].as_array().unwrap().len(), 1);
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["id"], record["id"]);
    assert_eq!(
        definition["externalParameters"]["target"],
        "rootfs-debian-12"
    );
    let named = definition["internalParameters"]["environment"].to_string();
    assert!(named.contains("PASSWORD"), "{named}");
    let dependencies = definition["resolvedDependencies"].as_array().unwrap();
    assert_eq!(
        dependencies[0],
        serde_json::json!({
            "uri": format!("git+https://example.com/images.git@{commit}"),
            "digest": { "gitCommit": commit },
        })
    );
    let seen = record["seen"].as_object().unwrap();
    assert_eq!(dependencies.len(), seen.len() + 1);
    for dependency in &dependencies[1..] {
        let name = dependency["name"].as_str().unwrap();
        assert_eq!(dependency["digest"]["sha256"], seen[name], "{name}");
    }
    let builder = &statement["predicate"]["runDetails"]["builder"];
    assert_eq!(builder["version"]["packer"], "9.9.9");
    // Both addresses are headings of the page.
    let page = fs::read_to_string(common::root().join("docs/supply-chain.md")).unwrap();
    for address in [&definition["buildType"], &builder["id"]] {
        let (page_of, heading) = address.as_str().unwrap().split_once('#').unwrap();
        assert!(page_of.ends_with("/docs/supply-chain.md"), "{address}");
        let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
        let mut anchors = headings.map(|text| text.to_lowercase().replace(' ', "-"));
        assert!(anchors.any(|anchor| anchor == heading), "{address}");
    }
    expect_valid(&path, dependencies.len());

    // Work that is not committed, another builder, and no repository that others can reach.
    site.write("project/mirror.list", "deb http://two ./\n");
    git(&site, &["remote", "set-url", "origin", "/srv/images.git"]);
    build(
        &["--provenance", "--builder-id", "https://ci.example.com/1"],
        "node: built in",
    );
    let statement = read_json(&path);
    let builder = &statement["predicate"]["runDetails"]["builder"];
    assert_eq!(builder["id"], "https://ci.example.com/1");
    let dependencies = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
    assert_eq!(
        dependencies[0],
        serde_json::json!({
            "name": "project",
            "digest": { "gitCommit": commit },
            "annotations": { "modified": true },
        })
    );
    expect_valid(&path, dependencies.as_array().unwrap().len());

    // A statement is about the output beside it, or is not there.
    build(&["--force"], "node: built in");
    assert!(!path.exists());
    let refused = site.run(&["build", "node", "--provenance", "--builder-id", "me"]);
    assert!(said(&refused).contains("write a URI"), "{}", said(&refused));
    build(&["--provenance"], "node: built in");
    assert!(site.run(&["clean"]).status.success());
    assert!(!site.path("project/build").exists());
}

/// Reads a statement with the reference library of in-toto.
fn expect_valid(path: &Path, dependencies: usize) {
    let tools = std::env::var_os("IMGSPEC_TOOLS").unwrap_or("target/tools".into());
    let tools = common::root().join(tools);
    let libraries = tools.join("intoto");
    if !libraries.join("in_toto_attestation").is_dir() {
        common::skip_without_tools("statements: in-toto-attestation is missing");
        return;
    }
    let python = tools.join("bin/python");
    let python = if python.is_file() {
        python
    } else {
        "python3".into()
    };
    let output = Command::new(python)
        .arg(common::root().join("tests/lifecycle/statement.py"))
        .arg(path)
        .env("PYTHONPATH", &libraries)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let wanted = format!("valid: {dependencies} dependencies");
    assert!(said(&output).contains(&wanted), "{}", said(&output));
}

#[test]
fn verify_finds_what_differs_from_a_build() {
    let spec = "image node extends rootfs-debian-12 { extra_repos = [\"mirror.list\"] }\n";
    let site = Site::new(spec);
    site.write("project/mirror.list", "deb http://one ./\n");
    let verify = |arguments: &[&str], code: i32, wanted: &[&str]| {
        let output = site.run(&[&["verify"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        for wanted in wanted {
            assert!(
                said(&output).contains(wanted),
                "{wanted}: {}",
                said(&output)
            );
        }
    };
    verify(&["node"], 2, &["no built image `node`"]);
    assert!(site.run(&["compile"]).status.success());
    verify(&["node"], 2, &["there is no build/node/build.json"]);
    assert!(site.run(&["build", "node"]).status.success());
    verify(
        &["node"],
        0,
        &["skipped  provenance.intoto.json: there is none"],
    );
    assert!(
        site.run(&["build", "node", "--provenance"])
            .status
            .success()
    );
    let all = [
        "passed   output/debian-12/debian-12.qcow2: sha256:",
        "passed   build.json: the ID is that of what the build has seen",
        "passed   provenance.intoto.json: it is about these artifacts and this ID",
    ];
    verify(
        &["node"],
        0,
        &[&all[..], &["passed   node: the specs give the same ID"]].concat(),
    );
    let disk = "build/node/output/debian-12/debian-12.qcow2";
    for named in ["build/node", disk, "build/node/build.json"] {
        verify(&[named], 0, &all);
    }
    let json = common::run_json(&site.path("project"), &["verify", "node", "--json"]);
    let results: Vec<&Value> = json["checks"].as_array().unwrap().iter().collect();
    assert_eq!(results.len(), 4);
    assert!(
        results.iter().all(|check| check["result"] == "passed"),
        "{json:#}"
    );

    // The folder at another place, without the specs.
    common::copy_folder(&site.path("project/build/node"), &site.path("copy"));
    verify(&["../copy"], 0, &["passed   node: the specs give"]);
    verify(
        &["../copy", "--no-sources", "--sandbox", "require"],
        0,
        &all,
    );
    let mut command = common::imgspec(&site.path("tmp"));
    let output = command.args(["verify", "../copy"]).output().unwrap();
    assert!(
        said(&output).contains("skipped  node: the specs"),
        "{}",
        said(&output)
    );
    assert!(output.status.success());

    // Each file that can be damaged, with what is found.
    let damage = |file: &str, from: &str, to: &str, wanted: &str| {
        let path = site.path("project/build/node").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        verify(&["node", "--no-sources"], 1, &["FAILED", wanted]);
        fs::write(&path, text).unwrap();
    };
    let record = read_json(&site.path("project/build/node/build.json"));
    let sum = record["artifacts"][0]["sha256"].as_str().unwrap();
    let id = record["id"].as_str().unwrap();
    let seen = record["seen"]["project/mirror.list"].as_str().unwrap();
    let zeros = "0".repeat(64);
    let (image, statement) = ("output/debian-12/debian-12.qcow2", "provenance.intoto.json");
    damage(image, "disk", "dosk", "its SHA-256 is ");
    damage(
        "build.json",
        "\"size\": 5",
        "\"size\": 6",
        "it has 5 bytes, and 6 in build.json",
    );
    damage(
        "build.json",
        sum,
        &zeros,
        "it has another SHA-256 of the artifact",
    );
    damage(
        "build.json",
        id,
        &zeros,
        "and what the build has seen gives",
    );
    damage(
        "build.json",
        seen,
        &zeros,
        "and what the build has seen gives",
    );
    damage(
        "build.json",
        image,
        "output/../../other",
        "it is not in the folder of the image",
    );
    damage(
        statement,
        sum,
        &zeros,
        "it has another SHA-256 of the artifact",
    );
    damage(statement, id, &zeros, "its ID is");
    damage(
        statement,
        seen,
        &zeros,
        "another SHA-256 of the file that the build has seen project/mirror.list",
    );
    damage(
        statement,
        "in-toto.io",
        "example.com",
        "it is no in-toto statement",
    );
    let path = site.path("project").join(disk);
    fs::remove_file(&path).unwrap();
    verify(&["build/node"], 1, &["FAILED", "it cannot be read"]);
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    verify(
        &["build/node"],
        1,
        &["FAILED", "it is not in the folder of the image"],
    );
    fs::remove_file(&path).unwrap();
    fs::write(&path, "disk\n").unwrap();

    // The sources: a comment changes nothing.
    site.write("project/spec.imgspec", &format!("# why\n{spec}"));
    verify(&["node"], 0, &["passed   node"]);
    site.write("project/spec.imgspec", &spec.replace("node", "other"));
    verify(&["node"], 1, &["have no image of this name"]);
    site.write("project/spec.imgspec", &spec.replace(" }", "; }"));
    verify(&["node"], 1, &["have errors"]);
    site.write(
        "project/spec.imgspec",
        &spec.replace(" }", ", extra_debs = [\"jq\"] }"),
    );
    verify(
        &["node"],
        1,
        &["the specs give another ID", "changed since: spec.imgspec"],
    );
    site.write("project/spec.imgspec", spec);
    site.write("project/mirror.list", "deb http://two ./\n");
    verify(
        &["node"],
        1,
        &["the specs give another ID", "a file that a value names"],
    );
    verify(&["node", "--no-sources"], 0, &all);
}
