//! The jobs of `imgspec plan` in CI systems: the runners of GitHub Actions (act) and GitLab (gitlab-ci-local) run the pipelines of
//! `tests/pipelines` on a project of 300 images, and foreign programs check the files.

mod common;

use common::place;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A repository with 300 images, of which the last commit changes some.
struct Fleet {
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Makes the repository, with the files of a folder of `tests/pipelines`.
    fn new(system: &str, changed: &[usize]) -> Fleet {
        let fleet = Fleet {
            folder: tempfile::tempdir().unwrap(),
        };
        let root = common::root();
        let project = fleet.project();
        common::copy_folder(&root.join("tests/pipelines").join(system), &project);
        common::copy_folder(
            &root.join(".github/actions"),
            &project.join(".github/actions"),
        );
        common::copy_folder(&root.join("templates"), &project.join("templates"));
        fs::create_dir(fleet.out()).unwrap();
        let out = fleet.out();
        fleet.replace("ci/images.yml", "OUT", out.to_str().unwrap());
        fs::write(project.join("imgspec.toml"), "").unwrap();
        fleet.run("git", &["init", "--quiet", "--initial-branch=main"]);
        fleet.run(
            "git",
            &[
                "remote",
                "add",
                "origin",
                "git@gitlab.corp.com:images/fleet.git",
            ],
        );
        fleet.commit(&[]);
        fleet.commit(changed);
        fleet
    }

    /// Replaces a text in a file that some projects have.
    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.project().join(file);
        if let Ok(text) = fs::read_to_string(&path) {
            assert!(text.contains(from));
            fs::write(&path, text.replace(from, to)).unwrap();
        }
    }

    fn project(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("project")
    }

    /// The folder that jobs write to.
    fn out(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("out")
    }

    /// Commits the images, some with another value.
    fn commit(&self, changed: &[usize]) {
        let mut spec = String::new();
        for at in 0..300 {
            let memory = if changed.contains(&at) {
                8192
            } else {
                1000 + at
            };
            let image =
                format!("image node-{at:03} extends qemu-ubuntu-2004 {{ memory = {memory} }}");
            let _ = writeln!(spec, "{image}");
        }
        fs::write(self.project().join("fleet.imgspec"), spec).unwrap();
        self.run("git", &["add", "--all"]);
        self.run(
            "git",
            &["commit", "--quiet", "--allow-empty", "--message=fleet"],
        );
    }

    fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Output {
        place::run(self.command(program).args(arguments))
    }

    /// A command in the project that finds this imgspec, and no configuration of the user.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.project())
            .env("PATH", search_path())
            .env("HOME", self.folder.path())
            .env("IMGSPEC_CACHE", self.folder.path().join("cache"));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "A");
            command.env(format!("GIT_{role}_EMAIL"), "a@example.com");
        }
        command
    }

    /// Asserts that jobs for exactly these images have run, and that they have written what a compile by hand writes.
    fn expect_jobs(&self, images: &[&str]) {
        let jobs = fs::read_to_string(self.out().join("jobs")).unwrap_or_default();
        let mut jobs: Vec<&str> = jobs.lines().collect();
        jobs.sort_unstable();
        assert_eq!(jobs, images);
        let by_hand = self.folder.path().join("by-hand");
        let out = by_hand.to_str().unwrap();
        let arguments = [&["compile", "--portable", "--out", out], images].concat();
        self.run(env!("CARGO_BIN_EXE_imgspec"), &arguments);
        assert_eq!(
            contents(&self.out().join("compiled")),
            contents(&by_hand),
            "a job wrote other files"
        );
    }
}

/// The path with this imgspec first.
fn search_path() -> OsString {
    let own = Path::new(env!("CARGO_BIN_EXE_imgspec")).parent().unwrap();
    let others = common::search_path();
    std::env::join_paths(std::iter::once(own.to_owned()).chain(std::env::split_paths(&others)))
        .unwrap()
}

/// The files below a folder, with their contents.
fn contents(folder: &Path) -> BTreeSet<(PathBuf, String)> {
    let mut out = BTreeSet::new();
    for entry in common::entries(folder) {
        for file in common::entries(&entry) {
            let name = file.strip_prefix(folder).unwrap().to_owned();
            out.insert((name, fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(!out.is_empty());
    out
}

fn tools() -> PathBuf {
    let named = std::env::var_os("IMGSPEC_TOOLS").map(PathBuf::from);
    let named = named.unwrap_or_else(|| common::root().join("target/tools"));
    named.join("pipelines")
}

/// Finds a program that `tests/setup pipelines` installs.
fn tool(name: &str) -> Option<PathBuf> {
    let found = [
        tools().join("bin").join(name),
        tools().join("node_modules/.bin").join(name),
    ];
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        common::skip_without_tools(&format!("{name} is missing"));
    }
    found
}

#[test]
fn github_runs_the_jobs_of_three_images() {
    let Some(act) = tool("act") else { return };
    for (changed, images) in [
        (
            &[50, 150, 299][..],
            &["node-050", "node-150", "node-299"][..],
        ),
        (&[], &[]),
    ] {
        let fleet = Fleet::new("github", changed);
        let action =
            "imgspec/imgspec/.github/actions/plan@0000000000000000000000000000000000000000";
        fleet.replace(
            ".github/workflows/images.yml",
            action,
            "./.github/actions/plan",
        );
        let out = format!("OUT={}", fleet.out().display());
        let path = format!("PATH={}", search_path().to_str().unwrap());
        let arguments = [
            "push",
            "-P",
            "ubuntu-latest=-self-hosted",
            "--env",
            &out,
            "--env",
            &path,
        ];
        let output = fleet.run(&act, &arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if changed.is_empty() {
            assert!(!fleet.out().join("jobs").exists(), "{said}");
            assert!(said.contains("nothing to build"), "{said}");
        } else {
            fleet.expect_jobs(images);
            let title = "node-150: memory 1150 → 8192 (fleet.imgspec:151)";
            assert!(said.contains(title), "{said}");
            assert!(said.contains("3 of 300 images need a new build"), "{said}");
        }
    }
}

#[test]
fn gitlab_runs_the_jobs_of_three_images() {
    let Some(runner) = tool("gitlab-ci-local") else {
        return;
    };
    if which::which("rsync").is_err() {
        return common::skip_without_tools("rsync is missing");
    }
    for (changed, images) in [
        (
            &[50, 150, 299][..],
            &["node-050", "node-150", "node-299"][..],
        ),
        (&[], &[]),
    ] {
        let fleet = Fleet::new("gitlab", changed);
        let output = fleet.run(&runner, &["--force-shell-executor"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if changed.is_empty() {
            assert!(!fleet.out().join("jobs").exists(), "{said}");
            assert!(said.contains("nothing to build"), "{said}");
        } else {
            fleet.expect_jobs(images);
            let title = "node-150: memory 1150 → 8192 (fleet.imgspec:151)";
            assert!(said.contains(title), "{said}");
        }
    }
}

/// GitHub takes 256 jobs and GitLab 200: together they build each image once.
#[test]
fn jobs_stay_below_the_limits() {
    let fleet = Fleet::new("github", &[]);
    let plan = |format: &str| -> Value {
        let output = fleet.run(env!("CARGO_BIN_EXE_imgspec"), &["plan", "--format", format]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let github = plan("github");
    let entries = github["include"].as_array().unwrap().iter();
    let github: Vec<(&str, &str)> = entries
        .map(|entry| {
            (
                entry["title"].as_str().unwrap(),
                entry["images"].as_str().unwrap(),
            )
        })
        .collect();
    let gitlab = plan("gitlab");
    let jobs = gitlab.as_object().unwrap().iter();
    let gitlab: Vec<(&str, &str)> = jobs
        .filter(|(name, _)| !name.starts_with('.'))
        .map(|(name, job)| {
            (
                name.as_str(),
                job["variables"]["IMGSPEC_IMAGES"].as_str().unwrap(),
            )
        })
        .collect();
    for (jobs, most) in [(github, 256), (gitlab, 200)] {
        assert_eq!(jobs.len(), most);
        let titles: BTreeSet<&str> = jobs.iter().map(|(title, _)| *title).collect();
        assert_eq!(titles.len(), most, "titles are distinct");
        assert!(titles.iter().all(|title| title.chars().count() <= 255));
        let images: Vec<&str> = jobs
            .iter()
            .flat_map(|(_, images)| images.split(' '))
            .collect();
        let distinct: BTreeSet<&str> = images.iter().copied().collect();
        assert_eq!((images.len(), distinct.len()), (300, 300));
    }
}

#[test]
fn make_builds_the_images_of_a_plan() {
    if which::which("make").is_err() {
        return common::skip_without_tools("make is missing");
    }
    let fleet = Fleet::new("github", &[7]);
    let make = |arguments: &[&str]| {
        let output = fleet.run(env!("CARGO_BIN_EXE_imgspec"), arguments);
        fs::write(fleet.project().join("images.mk"), output.stdout).unwrap();
        let said = fleet
            .run("make", &["--dry-run", "--file", "images.mk", "images"])
            .stdout;
        String::from_utf8(said).unwrap()
    };
    let said = make(&["plan", "--changed-since", "HEAD~1", "--format", "make"]);
    assert_eq!(said, "imgspec build node-007\n");
}

/// Jobs for Kubernetes have the form of its API, and a misspelt field is found.
#[test]
fn kubernetes_accepts_the_jobs() {
    let Some(validate) = tool("kubernetes-validate") else {
        return;
    };
    let fleet = Fleet::new("github", &[1, 2]);
    fs::write(
        fleet.project().join("secret.imgspec"),
        "image token extends qemu-ubuntu-2004 { ssh_password = env(\"TOKEN\") }\n",
    )
    .unwrap();
    let arguments = [
        "plan",
        "--changed-since",
        "HEAD~1",
        "--format",
        "kubernetes",
        "--container",
        "r/i:1",
    ];
    let output = fleet.run(env!("CARGO_BIN_EXE_imgspec"), &arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("---\n").count(), 3);
    assert!(text.contains("secretKeyRef"), "{text}");
    let check = |text: &str| {
        let file = fleet.project().join("jobs.yml");
        fs::write(&file, text).unwrap();
        fleet
            .command(&validate)
            .arg("--strict")
            .arg(&file)
            .output()
            .unwrap()
    };
    let output = check(&text);
    assert!(output.status.success(), "{}", place::said(&output));
    let wrong = check(&text.replace("backoffLimit", "backofLimit"));
    assert!(!wrong.status.success(), "{}", place::said(&wrong));
}

/// No finding of zizmor and actionlint in the action and in the workflows, and the manifest of the hooks is valid.
#[test]
fn foreign_programs_accept_the_files() {
    let (Some(zizmor), Some(hooks)) = (tool("zizmor"), tool("pre-commit")) else {
        return;
    };
    let fleet = Fleet::new("github", &[]);
    common::copy_folder(
        &common::root().join(".github/workflows"),
        &fleet.project().join(".github/workflows"),
    );
    let output = fleet
        .command(&zizmor)
        .args(["--offline", ".github"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", place::said(&output));
    let manifest = common::root().join(".pre-commit-hooks.yaml");
    fleet.run(&hooks, &["validate-manifest", manifest.to_str().unwrap()]);
}

/// The hooks of pre-commit do what their entries say, with this program.
#[test]
fn hooks_find_and_mend() {
    let Some(pre_commit) = tool("pre-commit") else {
        return;
    };
    let fleet = Fleet::new("github", &[]);
    let manifest = fs::read_to_string(common::root().join(".pre-commit-hooks.yaml")).unwrap();
    let hooks: String = manifest
        .replace("language: rust", "language: system")
        .lines()
        .fold(String::new(), |text, line| text + "      " + line + "\n");
    let config = format!("repos:\n  - repo: local\n    hooks:\n{hooks}");
    fs::write(fleet.project().join(".pre-commit-config.yaml"), config).unwrap();
    let bad = fleet.project().join("bad.imgspec");
    fs::write(&bad, "image bad extends qemu-ubuntu-2004 {memory=\"x\"}\n").unwrap();
    fleet.run("git", &["add", "--all"]);
    let output = fleet.command(&pre_commit).arg("run").output().unwrap();
    let said = place::said(&output);
    assert!(!output.status.success());
    assert!(said.contains("type-mismatch"), "{said}");
    let formatted = fs::read_to_string(&bad).unwrap();
    assert_eq!(
        formatted,
        "image bad extends qemu-ubuntu-2004 { memory = \"x\" }\n"
    );
    fs::remove_file(&bad).unwrap();
    fleet.run("git", &["add", "--all"]);
    fleet.run(&pre_commit, &["run", "--all-files"]);
}
