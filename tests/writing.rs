//! What is on the disk when a command that writes is killed, fails, or meets another one: the old files or the new ones,
//! whole, and nothing else for ever.
//!
//! `IMGSPEC_KILLS` sets how many commands are killed, and `IMGSPEC_SEED` when.

mod common;

use common::place::said;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// Packer, Ansible and all others: says a version, and makes a disk with the content of `$FAKE_LOG.disk`.
const PROGRAM: &str = r#"#!/bin/sh
case "$1" in
build) echo key >"$TMPDIR/ansible-key"
    mkdir -p output/debian-12 && cat "$FAKE_LOG.disk" >output/debian-12/debian-12.qcow2 && echo '{}' >output/manifest.json ;;
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

/// A command that writes, and where.
struct Case {
    name: &'static str,
    args: &'static [&'static str],
    /// The commands that have made what is there before, from the old sources.
    before: &'static [&'static [&'static str]],
    /// The files that it writes, below the site: sets that are old or new together, unless a marker is there.
    sets: &'static [Set],
    /// Why a second run is refused, if the first has written everything.
    refusal: Option<&'static str>,
    /// Whether its own files are written by threads or by programs that it starts.
    has_threads: bool,
}

struct Set {
    paths: &'static [&'static str],
    /// While one of these is there, some files can be old and others new.
    markers: &'static [&'static str],
}

const BUILD: &[&str] = &["project/build/.imgspec-ready"];
const LIB: &[&str] = &["project/lib/.imgspec-ready"];
const COMPILED: &[&str] = &["project/build/a", "project/build/b"];

const CASES: [Case; 13] = [
    Case {
        name: "compile, new",
        args: &["compile"],
        before: &[],
        sets: &[Set {
            paths: COMPILED,
            markers: BUILD,
        }],
        refusal: None,
        has_threads: true,
    },
    Case {
        name: "compile, changed",
        args: &["compile"],
        before: &[&["compile"]],
        sets: &[Set {
            paths: COMPILED,
            markers: BUILD,
        }],
        refusal: None,
        has_threads: true,
    },
    Case {
        name: "compile --portable",
        args: &["compile", "--portable", "--out", "build"],
        before: &[&["compile", "--portable", "--out", "build"]],
        sets: &[Set {
            paths: COMPILED,
            markers: BUILD,
        }],
        refusal: None,
        has_threads: true,
    },
    Case {
        name: "adopt, new",
        args: &["adopt", "../checkout", "--out", "lib"],
        before: &[],
        sets: &[Set {
            paths: &["project/lib"],
            markers: LIB,
        }],
        refusal: None,
        has_threads: false,
    },
    Case {
        name: "adopt, changed",
        args: &["adopt", "../checkout", "--out", "lib"],
        before: &[&["adopt", "../checkout", "--out", "lib"]],
        sets: &[Set {
            paths: &["project/lib"],
            markers: LIB,
        }],
        refusal: None,
        has_threads: false,
    },
    Case {
        name: "fmt",
        args: &["fmt"],
        before: &[],
        sets: &[
            Set {
                paths: &["project/one.imgspec"],
                markers: &[],
            },
            Set {
                paths: &["project/more/two.imgspec"],
                markers: &[],
            },
        ],
        refusal: None,
        has_threads: true,
    },
    Case {
        name: "import",
        args: &["import", "../vars.json", "--out", "new/imported.imgspec"],
        before: &[],
        sets: &[Set {
            paths: &["project/new"],
            markers: &[],
        }],
        refusal: Some("exists already"),
        has_threads: true,
    },
    Case {
        name: "init",
        args: &["init", "--out", "new", "--ci", "github"],
        before: &[],
        sets: &[
            Set {
                paths: &["project/new/imgspec.toml"],
                markers: &[],
            },
            Set {
                paths: &["project/new/images.imgspec"],
                markers: &[],
            },
            Set {
                paths: &["project/new/.gitignore"],
                markers: &[],
            },
            Set {
                paths: &["project/new/.github"],
                markers: &[],
            },
        ],
        refusal: Some("nothing was written"),
        has_threads: true,
    },
    Case {
        name: "doc",
        args: &[
            "doc",
            "small.imgspec",
            "--format",
            "markdown",
            "--out",
            "doc.md",
        ],
        before: &[],
        sets: &[Set {
            paths: &["project/doc.md"],
            markers: &[],
        }],
        refusal: None,
        has_threads: true,
    },
    Case {
        name: "the cache of a checkout",
        args: &["list", "small.imgspec", "--in", "../checkout"],
        before: &[&["list", "small.imgspec", "--in", "../checkout"]],
        sets: &[Set {
            paths: &["cache/adopted"],
            markers: &[],
        }],
        refusal: None,
        has_threads: false,
    },
    Case {
        name: "build, with a new cache",
        args: &["build", "a", "--force"],
        before: &[],
        sets: &[Set {
            paths: &["cache/assets"],
            markers: &["cache/assets/.imgspec-ready"],
        }],
        refusal: None,
        has_threads: true,
    },
    Case {
        name: "build, new",
        args: &["build", "a", "--force"],
        before: &[],
        sets: BUILT,
        refusal: None,
        has_threads: true,
    },
    Case {
        name: "build, again",
        args: &["build", "a", "--force"],
        before: &[&["build", "a"]],
        sets: BUILT,
        refusal: None,
        has_threads: true,
    },
];

const BUILT: &[Set] = &[
    Set {
        paths: &[
            "project/build/a/packer.vars.json",
            "project/build/a/ansible.vars.json",
            "project/build/a/manifest.json",
        ],
        markers: BUILD,
    },
    Set {
        paths: &["project/build/a/output", "project/build/a/build.json"],
        markers: &[
            "project/build/a/work/built.json",
            "project/build/a/work/output.old",
        ],
    },
];

/// The sources, before and after a change.
fn write_sources(root: &Path, is_new: bool) {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let package = if is_new { "vim" } else { "jq" };
    write("project/imgspec.toml", "exclude = [\"lib\", \"new\"]\n");
    write(
        "project/spec.imgspec",
        &format!(
            "image a extends rootfs-debian-12 {{\n    extra_debs = [\"{package}\"]\n}}\n\nimage b extends a {{ }}\n"
        ),
    );
    write("project/small.imgspec", "");
    write("project/one.imgspec", "layer one {extra_debs=[\"x\"]}\n");
    write(
        "project/more/two.imgspec",
        "layer two {extra_debs=[\"x\"]}\n",
    );
    write("vars.json", "{\"extra_debs\": \"jq\"}\n");
    write("log.disk", &format!("disk of {package:<4}\n"));
    let checkout = root.join("checkout");
    let from = common::root().join("tests/cases/roles-of-checkout/checkout");
    common::copy_folder(&from, &checkout);
    let common_file = "checkout/packer/config/common.json";
    if is_new {
        // A value is another, and a target is gone.
        write(common_file, "{\"extra_debs\": \"vim\"}\n");
        let _ = fs::remove_dir_all(checkout.join("packer/raw"));
    } else {
        let makefile = fs::read_to_string(checkout.join("Makefile")).unwrap();
        let target = "build-raw-debian-12:\n\tpacker build packer/raw/packer.json\n\n";
        write("checkout/Makefile", &(target.to_owned() + &makefile));
        let template = fs::read_to_string(checkout.join("packer/qemu/packer.json")).unwrap();
        write("checkout/packer/raw/packer.json", &template);
    }
}

/// What is below some paths: mode and content of each file.
type State = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// A folder in which a case is run again and again, always at the same path, which the output contains.
struct Site {
    folder: TempDir,
    /// The unpacked templates and roles are the same for all runs.
    has_own_cache: bool,
}

impl Site {
    fn empty() -> Site {
        let site = Site {
            folder: tempfile::tempdir().unwrap(),
            has_own_cache: false,
        };
        fs::write(site.base().join("program"), PROGRAM).unwrap();
        fs::set_permissions(
            site.base().join("program"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        site
    }

    /// The site with the sources, and nothing else.
    fn with_sources() -> Site {
        let site = Site::empty();
        write_sources(&site.root(), true);
        fs::create_dir(site.root().join("tmp")).unwrap();
        site
    }

    /// The site before a case's command runs.
    fn before(case: &Case) -> Site {
        let mut site = Site::empty();
        site.has_own_cache = case.name.contains("cache");
        write_sources(&site.root(), false);
        fs::create_dir(site.root().join("tmp")).unwrap();
        for args in case.before {
            let output = site.run(args);
            assert!(output.status.success(), "{args:?}: {}", said(&output));
        }
        write_sources(&site.root(), true);
        common::copy_folder(&site.root(), &site.base().join("before"));
        site
    }

    fn base(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn root(&self) -> PathBuf {
        self.base().join("site")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Puts everything back to what was there before.
    fn reset(&self) {
        fs::remove_dir_all(self.root()).unwrap();
        common::copy_folder(&self.base().join("before"), &self.root());
    }

    /// Sets folder and environment of a command.
    fn dress(&self, command: &mut Command) {
        command
            .current_dir(self.path("project"))
            .stdin(Stdio::null());
        let cache = if self.has_own_cache {
            self.path("cache")
        } else {
            self.base().join("cache")
        };
        command
            .env("IMGSPEC_CACHE", cache)
            .env("TMPDIR", self.path("tmp"))
            .env("FAKE_LOG", self.path("log"))
            .env("NO_COLOR", "1")
            .env_remove("PACKER_VAR_FILES")
            .env_remove("PACKER_FLAGS");
        for name in PROGRAMS {
            command.env(format!("{name}_BIN"), self.base().join("program"));
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgspec"));
        command.args(args);
        self.dress(&mut command);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A command under strace, with its options.
    fn traced(&self, case: &Case, options: &[String]) -> Output {
        let mut command = Command::new("strace");
        command.args(["-qq", "-s", "0"]);
        if case.has_threads {
            command.arg("-f");
        }
        command
            .args(options)
            .arg(env!("CARGO_BIN_EXE_imgspec"))
            .args(case.args);
        self.dress(&mut command);
        command.output().unwrap()
    }

    fn state(&self, paths: &[&str]) -> State {
        let mut state = State::new();
        for path in paths {
            for file in walkdir::WalkDir::new(self.path(path)).into_iter().flatten() {
                let name = file.file_name().to_string_lossy();
                let path = file.path();
                // A stage holds files that are in no place yet.
                let is_staged = path
                    .iter()
                    .any(|part| part.to_string_lossy().starts_with(".imgspec-"));
                if file.file_type().is_dir()
                    || is_staged
                    || [".lock", "CACHEDIR.TAG"].contains(&&*name)
                {
                    continue;
                }
                // A broken link has no content.
                let Ok(found) = fs::metadata(path) else {
                    continue;
                };
                let mode = found.mode() & 0o777;
                state.insert(path.to_owned(), (mode, fs::read(path).unwrap()));
            }
        }
        state
    }

    fn states(&self, case: &Case) -> Vec<State> {
        case.sets.iter().map(|set| self.state(set.paths)).collect()
    }

    /// Everything in the site that a command should have removed.
    fn strays(&self) -> Vec<PathBuf> {
        let tmp = self.path("tmp");
        let is_stray = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains("imgspec-new")
                || name.contains(".imgspec-")
                || name.starts_with(".tmp")
                || path.parent() == Some(tmp.as_path())
        };
        let all = walkdir::WalkDir::new(self.root())
            .into_iter()
            .chain(walkdir::WalkDir::new(self.base().join("cache")));
        all.flatten()
            .map(walkdir::DirEntry::into_path)
            .filter(|path| is_stray(path))
            .collect()
    }

    /// Checks what a killed or failed run has left. Returns whether it is all new.
    fn expect_old_or_new(&self, case: &Case, old: &[State], new: &[State], what: &str) -> bool {
        let mut is_new = true;
        for ((set, old), new) in case.sets.iter().zip(old).zip(new) {
            let now = self.state(set.paths);
            is_new &= now == *new;
            for path in old.keys().chain(new.keys()).chain(now.keys()) {
                let found = now.get(path);
                assert!(
                    found == old.get(path) || found == new.get(path),
                    "{what}: {} is neither old nor new: {:?}",
                    path.display(),
                    found.map(|(mode, content)| (mode, String::from_utf8_lossy(content)))
                );
            }
            let is_marked = set.markers.iter().any(|marker| self.path(marker).exists());
            assert!(
                now == *old || now == *new || is_marked,
                "{what}: some of {:?} are old and some new",
                set.paths
            );
        }
        is_new
    }

    /// Runs the command again, which must give all that is new and nothing else.
    fn expect_healed(&self, case: &Case, new: &[State], was_new: bool, what: &str) {
        let output = self.run(case.args);
        let is_refused = was_new
            && case
                .refusal
                .is_some_and(|text| said(&output).contains(text));
        assert!(
            output.status.success() || is_refused,
            "{what}: the next run fails: {}",
            said(&output)
        );
        for (set, new) in case.sets.iter().zip(new) {
            let now = self.state(set.paths);
            let differing: Vec<_> = now
                .keys()
                .chain(new.keys())
                .filter(|path| now.get(*path) != new.get(*path))
                .collect();
            assert!(
                differing.is_empty(),
                "{what}: the next run leaves {differing:?}"
            );
        }
        let strays = self.strays();
        assert!(strays.is_empty(), "{what}: the next run leaves {strays:?}");
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text}"))
    })
}

/// Runs a case to its end; returns what was there before, what is there after, and how long it took.
fn learn(site: &Site, case: &Case) -> (Vec<State>, Vec<State>, Duration) {
    site.reset();
    let old = site.states(case);
    let since = Instant::now();
    let output = site.run(case.args);
    let time = since.elapsed();
    assert!(output.status.success(), "{}: {}", case.name, said(&output));
    let new = site.states(case);
    assert!(
        old.iter().zip(&new).all(|(old, new)| old != new),
        "{}: it changes nothing",
        case.name
    );
    assert_eq!(site.strays(), Vec::<PathBuf>::new(), "{}", case.name);
    (old, new, time)
}

/// Waits for a child, and kills it at a moment, unless it ends before.
fn kill_at(child: &mut Child, moment: impl Fn() -> bool) {
    while child.try_wait().unwrap().is_none() {
        if moment() {
            child.kill().unwrap();
            child.wait().unwrap();
            return;
        }
    }
}

/// Half of the kills are at any moment, and half while files are written.
#[test]
fn a_killed_command_leaves_the_old_files_or_the_new_ones() {
    let kills = number("IMGSPEC_KILLS", 48).div_ceil(CASES.len() as u64);
    let seed = number("IMGSPEC_SEED", 13);
    println!("IMGSPEC_SEED={seed}");
    for case in &CASES {
        // A run of `doc` takes seconds.
        let kills = if case.name == "doc" {
            kills.div_ceil(8)
        } else {
            kills
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let site = Site::before(case);
        let (old, new, time) = learn(&site, case);
        let folders: Vec<PathBuf> = [
            "project",
            "project/build",
            "project/lib",
            "project/new",
            "project/more",
            "cache/adopted",
        ]
        .iter()
        .map(|path| site.path(path))
        .collect();
        let mut counts = [0; 3];
        for at in 0..kills {
            site.reset();
            let what = format!("{}, kill {at}", case.name);
            let mut child = site
                .command(case.args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let (spins, turn) = (random.u32(0..400), Cell::new(0));
            let is_staged = || {
                folders.iter().any(|folder| {
                    folder.join(".imgspec-new").exists() || folder.join(".imgspec-ready").exists()
                }) || site.path("project/build/a/work").exists()
            };
            // A number of looks after the first file.
            let is_writing = || {
                turn.set(turn.get() + u32::from(turn.get() > 0 || is_staged()));
                turn.get() > spins
            };
            if at % 2 == 1 {
                kill_at(&mut child, is_writing);
            } else {
                let (since, delay) = (Instant::now(), time.mul_f64(random.f64()));
                kill_at(&mut child, || since.elapsed() >= delay);
            }
            let is_new = site.expect_old_or_new(case, &old, &new, &what);
            let is_old = site.states(case) == old;
            counts[if is_new {
                2
            } else if is_old {
                0
            } else {
                1
            }] += 1;
            site.expect_healed(case, &new, is_new, &what);
        }
        println!(
            "{}: {kills} killed; then old {}, between {}, new {}",
            case.name, counts[0], counts[1], counts[2]
        );
    }
}

/// The calls that change what is on the disk. Not every system has each of them.
const CALLS: [&str; 20] = [
    "mkdir",
    "mkdirat",
    "openat",
    "write",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "symlink",
    "symlinkat",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "ftruncate",
];

/// A call of a run: its name, which of this name it is, and its arguments.
type Call = (String, usize, String);

/// Returns the changing calls of a run, or none where strace cannot be used.
fn calls(site: &Site, case: &Case) -> Option<Vec<Call>> {
    let is_there = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        common::skip_without_tools(
            "commands that are killed or fail at each call: strace is missing, or may not trace",
        );
        return None;
    }
    site.reset();
    let log = site.base().join("calls");
    let names: Vec<String> = CALLS.iter().map(|name| format!("?{name}")).collect();
    let options = [
        "-s".into(),
        "300".into(),
        "-o".into(),
        log.display().to_string(),
        format!("--trace={}", names.join(",")),
    ];
    let output = site.traced(case, &options);
    assert!(output.status.success(), "{}: {}", case.name, said(&output));
    let text = fs::read_to_string(log).unwrap();
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut out = Vec::new();
    for line in text.lines() {
        let (process, line) = if case.has_threads {
            line.split_once(' ').unwrap()
        } else {
            ("", line)
        };
        let Some((name, rest)) = line.trim_start().split_once('(') else {
            continue;
        };
        let count = counts
            .entry((process.to_owned(), name.to_owned()))
            .or_default();
        *count += 1;
        let is_read = name == "openat" && !rest.contains("O_CREAT");
        let is_printed = name == "write" && (rest.starts_with("1,") || rest.starts_with("2,"));
        if !is_read && !is_printed && CALLS.contains(&name) {
            out.push((name.to_owned(), *count, rest.to_owned()));
        }
    }
    assert!(!out.is_empty(), "{}: it calls nothing", case.name);
    Some(out)
}

/// Returns every call, or with a small number some of them.
fn some<T>(all: Vec<T>, most: u64) -> Vec<T> {
    let step = all.len().div_ceil(most.max(1) as usize).max(1);
    all.into_iter().step_by(step).collect()
}

#[test]
fn a_command_killed_at_any_call_leaves_the_old_files_or_the_new_ones() {
    let most = number("IMGSPEC_KILLS", 36) / CASES.len() as u64;
    let mut all = 0;
    for case in CASES.iter().filter(|case| case.name != "doc") {
        let site = Site::before(case);
        let (old, new, _) = learn(&site, case);
        let Some(calls) = calls(&site, case) else {
            return;
        };
        for (name, at, arguments) in some(calls, most) {
            site.reset();
            let what = format!("{}, killed at {name} {at} ({arguments})", case.name);
            let inject = format!("--inject={name}:signal=KILL:when={at}");
            site.traced(case, &["-o".into(), "/dev/null".into(), inject]);
            let is_new = site.expect_old_or_new(case, &old, &new, &what);
            site.expect_healed(case, &new, is_new, &what);
            all += 1;
        }
    }
    println!("{all} killed at a call");
}

/// What the system can say to each call.
const ERRORS: [(&str, &[&str]); 8] = [
    (
        "openat",
        &["ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO", "EMFILE"],
    ),
    ("write", &["ENOSPC", "EDQUOT", "EIO", "EINTR"]),
    ("mkdir", &["ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO"]),
    (
        "rename",
        &["ENOSPC", "EACCES", "EPERM", "EROFS", "EIO", "EINTR"],
    ),
    ("renameat2", &["ENOSPC", "EPERM", "EIO"]),
    ("linkat", &["EPERM", "EXDEV", "EMLINK"]),
    ("fchmod", &["EPERM", "EROFS"]),
    ("unlink", &["EPERM", "EIO"]),
];

/// Each call of a command fails once, with each error.
#[test]
fn a_command_that_cannot_write_changes_nothing_and_says_why() {
    let most = number("IMGSPEC_KILLS", 36) / 8;
    let mut all = 0;
    // A build and the cache have other ways out of an error.
    let is_plain = |case: &&Case| {
        !case.name.contains("build") && !case.name.contains("cache") && case.name != "doc"
    };
    for case in CASES.iter().filter(is_plain) {
        let site = Site::before(case);
        let (old, new, _) = learn(&site, case);
        let Some(calls) = calls(&site, case) else {
            return;
        };
        let faults = |(name, at, arguments): Call| {
            let errors = ERRORS
                .iter()
                .find(|(call, _)| *call == name)
                .map_or(&[][..], |(_, errors)| errors);
            errors
                .iter()
                .map(move |error| (name.clone(), at, arguments.clone(), *error))
        };
        for (name, at, arguments, error) in some(calls.into_iter().flat_map(faults).collect(), most)
        {
            site.reset();
            let what = format!("{}, {error} from {name} {at} ({arguments})", case.name);
            let inject = format!("--inject={name}:error={error}:when={at}");
            let output = site.traced(case, &["-o".into(), "/dev/null".into(), inject]);
            all += 1;
            let is_new = site.expect_old_or_new(case, &old, &new, &what);
            if output.status.success() {
                assert!(
                    is_new,
                    "{what}: it succeeds, and has not written everything"
                );
            } else {
                assert_eq!(output.status.code(), Some(2), "{what}: {}", said(&output));
                let said = said(&output);
                assert!(
                    said.contains("imgspec: cannot ") && said.contains("os error"),
                    "{what}: {said}"
                );
                let is_partly = !site
                    .states(case)
                    .iter()
                    .zip(&old)
                    .all(|(now, old)| now == old);
                // Each file that `fmt` formats is for itself.
                assert!(
                    !is_partly || case.name == "fmt" || is_new,
                    "{what}: a failure has changed something: {said}"
                );
                let strays = site.strays();
                assert!(
                    strays.is_empty() || name.starts_with("unlink"),
                    "{what}: {strays:?} stays"
                );
            }
            site.expect_healed(case, &new, is_new, &what);
        }
    }
    println!("{all} failures of a call");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// What is wrong with a place, as a shell script that runs in a mount namespace of its own, and what a command then says.
/// `$1` is the site, and `$2` the output folder. An empty message is for a place with which nothing is wrong.
const PLACES: [(&str, &str, &[&str]); 14] = [
    (
        "a full disk",
        "mkdir -p $2 && mount -t tmpfs -o size=16k none $2 && head -c 1m /dev/zero >$2/full 2>/dev/null; rm -f $2/nothing",
        &[
            "cannot write build/",
            "No space left on device",
            "free some space",
        ],
    ),
    (
        "no inodes",
        "mkdir -p $2 && mount -t tmpfs -o nr_inodes=6 none $2",
        &[
            "cannot write build/",
            "No space left on device",
            "free some space",
        ],
    ),
    (
        "a read-only file system",
        "mkdir -p $2 && mount -t tmpfs -o ro none $2",
        &[
            "cannot write build/",
            "Read-only file system",
            "choose another folder",
        ],
    ),
    (
        "a read-only folder",
        "mkdir -p $2 && chmod 555 $2 && chmod 755 $1 && run=nobody",
        &[
            "cannot write build/",
            "Permission denied",
            "change the permissions",
        ],
    ),
    (
        "a read-only project",
        "chmod 555 $1/project && run=nobody",
        &[
            "cannot write build",
            "Permission denied",
            "change the permissions",
        ],
    ),
    (
        "another user's file",
        "mkdir -p $2/a && echo x >$2/a/manifest.json && chmod 600 $2/a/manifest.json && chmod 755 $2/a && chmod 777 $2 && run=nobody",
        &[
            "cannot write build/a/ansible.vars.json",
            "Permission denied",
            "(nothing has changed)",
        ],
    ),
    (
        "an immutable file",
        "mkdir -p $2/b && echo x >$2/b/packer.vars.json && chattr +i $2/b/packer.vars.json && trap 'chattr -i $2/b/packer.vars.json' EXIT",
        &[
            "cannot write build/b/packer.vars.json",
            "Operation not permitted",
            "(nothing has changed)",
        ],
    ),
    (
        "a file in the place of the output folder",
        "echo x >$2",
        &["cannot write build:", "a file is in the place of a folder"],
    ),
    (
        "a file in the place of an image's folder",
        "mkdir $2 && echo x >$2/b",
        &[
            "cannot write build/b/packer.vars.json",
            "a file is in the place of a folder",
        ],
    ),
    (
        "a folder in the place of a file",
        "mkdir -p $2/b/manifest.json",
        &[
            "cannot write build/b/manifest.json",
            "a folder is in the place of the file",
        ],
    ),
    (
        "a broken link in the place of the output folder",
        "ln -s nowhere $2",
        &["cannot write build:", "move it away"],
    ),
    (
        "a link to a folder",
        "mkdir $1/there && ln -s $1/there $2",
        &["is a link to", "use `--out"],
    ),
    (
        "a link to another device",
        "mkdir -p $2 $1/there && mount -t tmpfs none $1/there && ln -s $1/there $2/a",
        &["a link out of the output folder"],
    ),
    (
        "another device",
        "mkdir -p $2/b && mount -t tmpfs none $2/b && echo x >$2/b/manifest.json",
        &[],
    ),
];

/// The places are real. The mounts are seen by the command alone, and end with it.
#[test]
fn a_place_that_cannot_be_written_is_named_with_a_way_out() {
    let can_mount = Command::new("unshare")
        .args(["-m", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !is_root() || !can_mount {
        return common::skip(
            "places that cannot be written: they need root, and mounts of their own",
        );
    }
    for (name, prepare, wanted) in PLACES {
        let site = Site::with_sources();
        for folder in [site.base(), site.root(), site.path("project")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        // The binary is where all users can run it.
        let program = site.base().join("imgspec");
        fs::copy(env!("CARGO_BIN_EXE_imgspec"), &program).unwrap();
        let script = format!(
            "run=; {prepare} || exit 99
            list() {{ (cd $2 2>/dev/null && find . ! -name . | sort | xargs -d '\\n' ls -ld --time-style=+; find . -type f | sort | xargs -d '\\n' md5sum) 2>/dev/null; }}
            list $1 $2 >$1/tmp/before
            if [ -n \"$run\" ]; then setpriv --reuid=65534 --regid=65534 --clear-groups $3 compile; else $3 compile; fi
            code=$?
            list $1 $2 >$1/tmp/after
            find $1 -name '.imgspec-*' -o -name '.*.imgspec-new' -o -name '.build*'
            cat $2/a/manifest.json $2/b/manifest.json >$1/tmp/made 2>/dev/null
            exit $code"
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", &script, "sh"]);
        command
            .arg(site.root())
            .arg(site.path("project/build"))
            .arg(program);
        site.dress(&mut command);
        let output = command.output().unwrap();
        let said = said(&output);
        if output.status.code() == Some(99) {
            common::skip(&format!("{name}: {said}"));
            continue;
        }
        assert!(
            !said.contains("/.imgspec-") && !said.contains("/.build"),
            "{name}: a temporary file stays: {said}"
        );
        if wanted.is_empty() {
            assert!(output.status.success(), "{name}: {said}");
            let made = fs::read_to_string(site.path("tmp/made")).unwrap();
            assert_eq!(made.matches("\"manifest\": 1").count(), 2, "{name}: {made}");
            continue;
        }
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        for text in wanted {
            assert!(said.contains(text), "{name}: {text:?} is missing: {said}");
        }
        let [before, after] = ["before", "after"]
            .map(|file| fs::read_to_string(site.path("tmp").join(file)).unwrap());
        assert_eq!(before, after, "{name}: something has changed");
    }
}

#[test]
fn a_name_that_is_too_long_is_named() {
    let site = Site::with_sources();
    let name = "a".repeat(300);
    fs::write(
        site.path("project/spec.imgspec"),
        format!("image {name} extends rootfs-debian-12 {{ }}\n"),
    )
    .unwrap();
    for args in [
        &["compile"][..],
        &["import", "../vars.json", "--out", &name],
        &["defaults", "--out", &name],
    ] {
        let output = site.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        let said = said(&output);
        assert!(
            said.contains(&name) && said.contains("choose a shorter name"),
            "{args:?}: {said}"
        );
        assert_eq!(site.strays(), Vec::<PathBuf>::new());
        assert!(!site.path("project/build").exists());
    }
}

/// Starts a command many times at once, and returns all outputs.
fn at_once(site: &Site, all: &[&[&str]]) -> Vec<Output> {
    let pipe = || Stdio::piped();
    let start = |args: &&[&str]| {
        site.command(args)
            .stdout(pipe())
            .stderr(pipe())
            .spawn()
            .unwrap()
    };
    let children: Vec<Child> = all.iter().map(start).collect();
    children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect()
}

#[test]
fn a_command_can_run_many_times_at_once() {
    for case in CASES
        .iter()
        .filter(|case| !case.name.contains("build") && case.name != "doc")
    {
        let site = Site::before(case);
        let (_, new, _) = learn(&site, case);
        site.reset();
        let count = if case.name == "compile, new" { 50 } else { 8 };
        let outputs = at_once(&site, &vec![case.args; count]);
        let done = outputs
            .iter()
            .filter(|output| output.status.success())
            .count();
        for output in outputs.iter().filter(|output| !output.status.success()) {
            let said = said(output);
            let is_late =
                case.refusal.is_some_and(|text| said.contains(text)) || said.contains("exist");
            assert!(is_late && case.refusal.is_some(), "{}: {said}", case.name);
        }
        assert!(
            if case.name == "import" {
                done == 1
            } else {
                done >= 1
            },
            "{}: {done} of {count} have written",
            case.name
        );
        site.expect_old_or_new(case, &new, &new, case.name);
        assert_eq!(site.strays(), Vec::<PathBuf>::new(), "{}", case.name);
    }
}

#[test]
fn different_commands_at_once_leave_the_output_of_one_of_them() {
    let site = Site::with_sources();
    let states: Vec<State> = ["one", "two", "three"]
        .iter()
        .map(|value| {
            let output = site.run(&["compile", "--set", &format!("extra_debs={value}")]);
            assert!(output.status.success(), "{}", said(&output));
            site.state(COMPILED)
        })
        .collect();
    let one: &[&str] = &["compile", "--set", "extra_debs=one"];
    let two: &[&str] = &["compile", "--set", "extra_debs=two"];
    let three: &[&str] = &["compile", "--set", "extra_debs=three"];
    for output in at_once(&site, &[one, two, three].repeat(5)) {
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(
        states.contains(&site.state(COMPILED)),
        "the output is of several commands"
    );
    // A build, and a compile of another value: one of the two is first, and then both succeed, or the build holds the image.
    let build: &[&str] = &["build", "a", "b", "--set", "extra_debs=one"];
    let outputs = at_once(&site, &[build, two, build, three, two]);
    for output in &outputs {
        let said = said(output);
        let is_busy = said.contains("is being built by another process")
            || said.contains("is building this image");
        assert!(output.status.success() || is_busy, "{said}");
    }
    assert!(
        states.contains(&site.state(&[
            "project/build/a/packer.vars.json",
            "project/build/a/ansible.vars.json",
            "project/build/a/manifest.json",
            "project/build/b/packer.vars.json",
            "project/build/b/ansible.vars.json",
            "project/build/b/manifest.json",
        ])),
        "the compiled files are of several commands"
    );
    assert_eq!(site.strays(), Vec::<PathBuf>::new());
}

/// Starts a command, and waits until it says that it waits for the lock of a folder, which this process holds: it has read
/// its sources, and has written nothing.
fn start_behind_lock(site: &Site, args: &[&str], folder: &str) -> (Child, File) {
    use std::io::BufRead;
    let lock = File::open(site.path(folder)).unwrap();
    lock.lock().unwrap();
    let mut child = site
        .command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stderr.as_mut().unwrap());
    let mut line = String::new();
    while !line.contains("waiting for another process") {
        line.clear();
        assert!(
            lines.read_line(&mut line).unwrap() > 0,
            "{args:?} does not wait"
        );
    }
    // Not every system lists its locks.
    let own = std::process::id();
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    // A confined command cannot read it.
    let is_confined = line.contains("waiting for another process, ");
    if !is_confined && locks.split_whitespace().any(|word| word == own.to_string()) {
        assert!(
            line.contains(&format!("({own}), which is writing to ")),
            "{line}"
        );
    }
    (child, lock)
}

/// A command waits for a lock that a living process holds, and not for one of a dead process.
#[test]
fn a_lock_is_waited_for_while_its_process_lives() {
    let site = Site::with_sources();
    fs::create_dir(site.path("project/build")).unwrap();
    let (child, lock) = start_behind_lock(&site, &["compile"], "project/build");
    assert_eq!(
        common::entries(&site.path("project/build")),
        Vec::<PathBuf>::new()
    );
    drop(lock);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // A build that was killed has left its lock file.
    fs::write(site.path("project/build/a/.lock"), "").unwrap();
    let output = site.run(&["compile", "--set", "extra_debs=new"]);
    assert!(output.status.success(), "{}", said(&output));
    let lock = File::open(site.path("project/build/a/.lock")).unwrap();
    lock.lock().unwrap();
    let output = site.run(&["compile"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("`a` is being built by another process")
            && said(&output).contains("wait for it, or stop it"),
        "{}",
        said(&output)
    );
}

type Change = fn(&Path);

/// Sources that change after they were read: nothing is written, and the command says what has changed.
#[test]
fn sources_that_change_while_they_are_read_are_noticed() {
    let changes: [(&str, Change); 4] = [
        ("changed", |path| {
            fs::write(
                path,
                "image a extends rootfs-debian-12 { extra_debs = [\"other\"] }\n",
            )
            .unwrap()
        }),
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("replaced by a folder", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("replaced by a link", |path| {
            fs::remove_file(path).unwrap();
            symlink("small.imgspec", path).unwrap();
        }),
    ];
    let commands: [(&[&str], &str, &str); 4] = [
        (&["compile"], "project/build", "project/spec.imgspec"),
        (
            &["compile", "a", "../vars.json"],
            "project/build",
            "vars.json",
        ),
        (&["build", "a"], "project/build", "project/spec.imgspec"),
        (&["fmt", "more"], "project/more", "project/more/two.imgspec"),
    ];
    for (args, folder, source) in commands {
        for (name, change) in changes {
            let site = Site::with_sources();
            let _ = fs::create_dir(site.path("project/build"));
            let (child, lock) = start_behind_lock(&site, args, folder);
            change(&site.path(source));
            let old = site.state(&["project/build", "project/more"]);
            drop(lock);
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?}, {name}");
            assert_eq!(
                site.state(&["project/build", "project/more"]),
                old,
                "{args:?}, {name}"
            );
            assert_eq!(site.strays(), Vec::<PathBuf>::new(), "{args:?}, {name}");
        }
    }
    // What is said.
    let site = Site::with_sources();
    fs::create_dir(site.path("project/build")).unwrap();
    let (child, lock) = start_behind_lock(&site, &["compile"], "project/build");
    fs::write(site.path("project/spec.imgspec"), "").unwrap();
    let mut stderr = child.stderr;
    drop(lock);
    let mut text = String::new();
    std::io::Read::read_to_string(stderr.as_mut().unwrap(), &mut text).unwrap();
    assert!(
        text.contains("spec.imgspec has changed since it was read: run the command again"),
        "{text}"
    );
}

/// No command believes a time: not that of a source, and not that of an output.
#[test]
fn times_decide_nothing() {
    let site = Site::with_sources();
    let times = [
        SystemTime::UNIX_EPOCH,
        SystemTime::now() + Duration::from_secs(1 << 32),
    ];
    let set_times = |time: SystemTime| {
        for entry in walkdir::WalkDir::new(site.root()).into_iter().flatten() {
            File::open(entry.path())
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
    };
    for args in [
        &["compile"][..],
        &["build", "a"],
        &["adopt", "../checkout", "--out", "lib"],
        &["check", "small.imgspec", "--in", "../checkout"],
    ] {
        let output = site.run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        for time in times {
            set_times(time);
            write_sources(&site.root(), false);
            set_times(time);
            let output = site.run(args);
            assert!(output.status.success(), "{args:?}: {}", said(&output));
            let old = site.state(&["project/build", "project/lib"]);
            write_sources(&site.root(), true);
            set_times(time);
            let output = site.run(args);
            assert!(output.status.success(), "{args:?}: {}", said(&output));
            let is_changed = site.state(&["project/build", "project/lib"]) != old;
            assert!(
                is_changed || args[0] == "check",
                "{args:?}: the change is not seen"
            );
        }
    }
}

/// What a killed command has left is finished or removed by the next one, whatever it writes to that folder.
#[test]
fn leftovers_are_healed_and_other_files_stay() {
    let site = Site::with_sources();
    assert!(site.run(&["compile"]).status.success());
    let build = site.path("project/build");
    let whole = site.state(COMPILED);
    let mine = [
        "project/build/.imgspec-mine",
        "project/build/a/.tmpABCDEF",
        "project/.imgspec-newer",
    ];
    for file in mine {
        fs::write(site.path(file), "mine").unwrap();
    }
    // Killed while it wrote.
    fs::create_dir_all(build.join(".imgspec-new/new/a")).unwrap();
    fs::write(
        build.join(".imgspec-new/new/a/packer.vars.json"),
        "{ \"half",
    )
    .unwrap();
    // Killed while it moved: one file of `a` is in its place.
    fs::create_dir_all(build.join(".imgspec-ready/new/a")).unwrap();
    for file in ["ansible.vars.json", "manifest.json"] {
        fs::rename(
            build.join("a").join(file),
            build.join(".imgspec-ready/new/a").join(file),
        )
        .unwrap();
        fs::write(build.join("a").join(file), "old").unwrap();
    }
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(build.join(".imgspec-ready"), private).unwrap();
    // A compile of the other image heals this one, too.
    let output = site.run(&["compile", "b"]);
    assert!(output.status.success(), "{}", said(&output));
    let now: State = site
        .state(COMPILED)
        .into_iter()
        .filter(|(path, _)| !path.ends_with(".tmpABCDEF"))
        .collect();
    assert!(now == whole, "{now:?}");
    assert!(!build.join(".imgspec-new").exists() && !build.join(".imgspec-ready").exists());
    for file in mine {
        assert_eq!(fs::read_to_string(site.path(file)).unwrap(), "mine");
    }
    // `clean` removes them, too.
    fs::create_dir_all(build.join(".imgspec-new/new/a")).unwrap();
    for file in mine {
        fs::remove_file(site.path(file)).unwrap();
    }
    let output = site.run(&["clean"]);
    assert!(
        output.status.success() && !build.exists(),
        "{}",
        said(&output)
    );
}

/// A file keeps its mode, and a link stays one.
#[test]
fn fmt_keeps_what_is_not_text() {
    let site = Site::with_sources();
    let (file, link) = (
        site.path("project/one.imgspec"),
        site.path("project/link.imgspec"),
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("one.imgspec", &link).unwrap();
    if is_root() {
        std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
    }
    let owner = fs::metadata(&file).unwrap().uid();
    let output = site.run(&["fmt", "link.imgspec"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(fs::read_to_string(&file).unwrap().contains("extra_debs = "));
    let found = fs::metadata(&file).unwrap();
    assert_eq!((found.mode() & 0o777, found.uid()), (0o640, owner));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

/// A build that is killed between the steps in which its result replaces the last one.
#[test]
fn a_build_that_was_killed_at_its_end_is_finished() {
    let site = Site::with_sources();
    let image = site.path("project/build/a");
    let build = |args: &[&str]| {
        let output = site.run(&[&["build", "a"], args].concat());
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let paths = ["project/build/a/output", "project/build/a/build.json"];
    build(&[]);
    let old = site.state(&paths);
    fs::write(site.path("log.disk"), "another disk\n").unwrap();
    build(&["--force"]);
    let new = site.state(&paths);
    assert!(new != old);
    // The new result is in its place, and its record is not.
    let record = fs::read_to_string(image.join("build.json")).unwrap();
    fs::create_dir(image.join("work")).unwrap();
    let folder = fs::metadata(image.join("output")).unwrap().ino();
    let mode = fs::metadata(image.join("build.json"))
        .unwrap()
        .permissions()
        .mode();
    let is_secret = mode & 0o044 == 0;
    let built = |folder: u64| {
        format!("{{ \"folder\": {folder}, \"is_secret\": {is_secret}, \"record\": {record} }}")
    };
    fs::write(image.join("work/built.json"), built(folder)).unwrap();
    let (_, before) = &old[&image.join("build.json")];
    fs::write(image.join("build.json"), before).unwrap();
    assert!(build(&[]).contains("up to date"));
    assert!(site.state(&paths) == new);
    // The new result is not in its place yet.
    let (_, before) = &old[&image.join("build.json")];
    fs::write(image.join("work/built.json"), built(folder + 1)).unwrap();
    fs::write(image.join("build.json"), before).unwrap();
    assert!(build(&[]).contains("up to date"));
    assert_eq!(&fs::read(image.join("build.json")).unwrap(), before);
    // The last result is on its way, as on a file system that cannot exchange folders.
    fs::rename(image.join("output"), image.join("work/output.old")).unwrap();
    assert!(build(&[]).contains("up to date"));
    assert!(image.join("output/debian-12/debian-12.qcow2").is_file());
}

/// A project from elsewhere can contain what looks like a killed command's files.
#[test]
fn a_planted_leftover_reaches_nothing_outside() {
    let plant = |prepare: &dyn Fn(&Site, &Path)| {
        let site = Site::with_sources();
        assert!(site.run(&["compile"]).status.success());
        let ready = site.path("project/build/.imgspec-ready");
        fs::create_dir_all(site.path("outside")).unwrap();
        fs::write(site.path("outside/key"), "mine").unwrap();
        fs::create_dir_all(ready.join("new")).unwrap();
        fs::set_permissions(&ready, fs::Permissions::from_mode(0o700)).unwrap();
        prepare(&site, &ready);
        let _ = site.run(&["compile"]);
        let _ = site.run(&["clean"]);
        assert_eq!(
            fs::read_to_string(site.path("outside/key")).unwrap(),
            "mine"
        );
        assert_eq!(common::entries(&site.path("outside")).len(), 1);
    };
    // A folder of new files is a link to somebody's files.
    plant(&|site, ready| symlink(site.path("outside"), ready.join("new/a")).unwrap());
    plant(&|site, ready| {
        fs::remove_dir(ready.join("new")).unwrap();
        symlink(site.path("outside"), ready.join("new")).unwrap();
    });
    // An image's folder is a link, and a new file has the name of somebody's file.
    for kind in ["new", "removed"] {
        plant(&|site, ready| {
            fs::create_dir_all(ready.join(kind).join("link")).unwrap();
            fs::write(ready.join(kind).join("link/key"), "planted").unwrap();
            symlink(site.path("outside"), site.path("project/build/link")).unwrap();
        });
    }
    // The folder is not private, as git makes it.
    let site = Site::with_sources();
    assert!(site.run(&["compile"]).status.success());
    let whole = site.state(COMPILED);
    let new = site.path("project/build/.imgspec-ready/new/b");
    fs::create_dir_all(&new).unwrap();
    fs::write(new.join("manifest.json"), "planted").unwrap();
    assert!(site.run(&["compile", "a"]).status.success());
    assert!(site.state(COMPILED) == whole);
}
