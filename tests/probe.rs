//! What `imgspec probe` finds in an image: a folder each in `tests/probe`.
//!
//! The image of a case is the cached Debian root filesystem after the shell scripts that `steps` names, which run in it; without
//! `steps` it is `image.sh`. `cmd` has the commands, as those of `tests/cases`, with `IMAGE` in the place of the image's
//! path. `expected.txt` has what they print, and their exit codes.
//!
//! Needs root, and the programs of `imgspec deps rootfs`; without them the tests say `skipped: …` and pass, or fail where
//! `IMGSPEC_REQUIRE_TOOLS=1`. `cargo test --test probe NAME` runs the cases with `NAME` in their names, and with
//! `IMGSPEC_BLESS=1` it rewrites their `expected.txt`.

mod common;

use common::place::{Place, said};
use common::snapshot::{self, functions};
use libtest_mimic::Failed;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

/// Makes an image above the root filesystem `$0` in the folder `$1` with the scripts `$3…`, and runs a command on it. All
/// mounts are in a namespace that ends with it.
const IN_IMAGE: &str = r#"
base=$0 folder=$1 count=$2
shift 2
mount -t tmpfs test "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/image"
mount -t overlay test -o "lowerdir=$base,upperdir=$folder/upper,workdir=$folder/work" "$folder/image"
while [ "$count" -gt 0 ]; do
    chroot "$folder/image" sh -eu <"$1"
    shift
    count=$((count - 1))
done
exec "$@"
"#;

fn main() -> ExitCode {
    let mut trials = snapshot::trials(cases(), check_case);
    trials.extend(functions![
        every_probe_of_the_library_passes_and_fails,
        results_are_written_for_other_programs,
        a_disk_and_an_archive_are_read,
        nothing_is_left_however_it_ends,
        a_machine_is_booted_with_its_own_kernel,
    ]);
    snapshot::run(trials)
}

fn folder() -> PathBuf {
    common::root().join("tests/probe")
}

fn cases() -> Vec<PathBuf> {
    common::entries(&folder())
}

/// A place with the specs of a case.
struct Site {
    place: Place,
    base: PathBuf,
    scripts: Vec<PathBuf>,
}

impl Site {
    /// None where programs are missing.
    fn of(case: &Path) -> Option<Site> {
        let place = Place::new("rootfs", &["unshare", "nsenter", "partx"])?;
        common::copy_folder(case, &place.path("case"));
        fs::create_dir(place.path("image")).unwrap();
        let own = case.file_name().unwrap().to_str().unwrap();
        let steps = fs::read_to_string(case.join("steps"));
        let steps = steps.unwrap_or_else(|_| format!("{own}/image.sh\n"));
        Some(Site {
            base: place.base(),
            scripts: steps.lines().map(|step| folder().join(step)).collect(),
            place,
        })
    }

    /// The path of the image, for commands that run in it.
    fn image(&self) -> PathBuf {
        self.place
            .path("image")
            .canonicalize()
            .unwrap()
            .join("image")
    }

    /// A command that sees the image.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "bash",
                "-euc",
                IN_IMAGE,
            ])
            .arg(&self.base)
            .arg(self.image().parent().unwrap())
            .arg(self.scripts.len().to_string())
            .args(&self.scripts)
            .arg(program);
        let mut command = common::in_folder(command, &self.place.path("case"));
        command
            .env("PATH", &self.place.path)
            .env("IMGSPEC_CACHE", Place::cache());
        command
    }

    fn imgspec(&self) -> Command {
        let program = common::imgspec(&self.place.path("case"));
        self.command(Path::new(program.get_program()))
    }

    fn probe(&self, args: &[&str]) -> Output {
        let image = self.image();
        let mut command = self.imgspec();
        command.args(["probe", "spec.imgspec", "--disk"]).arg(image);
        command.args(args).output().unwrap()
    }
}

fn check_case(case: &Path) -> Result<(), Failed> {
    let Some(site) = Site::of(case) else {
        return Ok(());
    };
    let lines = fs::read_to_string(case.join("cmd"))?;
    let mut out = String::new();
    for (line, command) in lines.lines().zip(common::commands::of_case(case)) {
        let image = site.image().display().to_string();
        let arguments = command.arguments.iter();
        let arguments = arguments.map(|argument| argument.replace("IMAGE", &image));
        let output = site.imgspec().args(arguments).output()?;
        let _ = writeln!(out, "$ imgspec {line}");
        let printed = String::from_utf8(output.stdout.clone())?;
        let lines = printed.split_inclusive('\n');
        out.extend(lines.filter(|line| command.keeps(line)));
        let printed = String::from_utf8(output.stderr.clone())?;
        let lines = printed.split_inclusive('\n');
        out.extend(lines.filter(|line| command.keeps(line)));
        let _ = writeln!(out, "exit code {}\n", common::exit_code(&output));
    }
    let out = out.replace(&site.image().display().to_string(), "IMAGE");
    snapshot::compare(&case.join("expected.txt"), &out)
}

/// A script that cannot fail would check nothing, and one that cannot pass would make good images look bad.
fn every_probe_of_the_library_passes_and_fails() {
    let library = walkdir::WalkDir::new(common::root().join("stdlib")).into_iter();
    let specs = library.map(|entry| entry.unwrap().into_path());
    let specs = specs.filter(|path| path.extension().is_some_and(|e| e == "imgspec"));
    let mut names = BTreeSet::new();
    let mut titles: Vec<(String, String)> = Vec::new();
    for path in specs {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if let Some(name) = line.strip_prefix("probe ") {
                let name = name.trim_end_matches(" {").to_owned();
                let title = lines[at - 1].strip_prefix("## ").unwrap();
                let title = title.split(". ").next().unwrap().trim_end_matches('.');
                titles.push((name.clone(), title.to_owned()));
                names.insert(name);
            }
        }
    }
    assert!(names.len() > 30);
    let outputs: Vec<String> = cases()
        .iter()
        .map(|case| fs::read_to_string(case.join("expected.txt")).unwrap())
        .collect();
    let mut missing = Vec::new();
    for (name, title) in titles {
        for word in ["passed", "failed"] {
            let is_it = |line: &str| {
                let rest = line.trim_start().strip_prefix(word);
                let rest = rest
                    .map(str::trim_start)
                    .and_then(|rest| rest.strip_prefix(&title));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("  "))
            };
            if !outputs.iter().any(|output| output.lines().any(is_it)) {
                missing.push(format!("{name} has not {word} in any case"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn results_are_written_for_other_programs() {
    let Some(site) = Site::of(&folder().join("own")) else {
        return;
    };
    let output = site.probe(&[
        "--command-timeout",
        "2",
        "--json",
        "--junit",
        "out/results.xml",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let probes = found[0]["probes"].as_array().unwrap();
    let of = |name: &str| probes.iter().find(|probe| probe["name"] == name).unwrap();
    assert_eq!(of("motd-is-ours")["result"], "failed");
    assert_eq!(of("motd-is-ours")["place"], "spec.imgspec:111");
    assert_eq!(of("motd-is-ours")["started"], "files");
    assert_eq!(of("words")["command"][3], "$HOME");
    assert_eq!(of("booted")["started"], "container");
    assert_eq!(of("nothing-to-check")["result"], "skipped");
    assert_eq!(of("banner-is-ours")["result"], "not concerned");
    assert!(of("banner-is-ours")["command"].is_null());

    let xml = fs::read_to_string(site.place.path("case/out/results.xml")).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!(suite.name.as_str(), "node");
    assert_eq!(suite.tests, probes.len());
    let failures = probes.iter().filter(|p| p["result"] == "failed").count();
    assert_eq!(suite.failures, failures);
    // XML has no escape for what controls a terminal.
    assert!(!xml.contains('\u{1b}') && xml.contains("red"));
}

/// The same probes on the forms that a build makes.
fn a_disk_and_an_archive_are_read() {
    let Some(site) = Site::of(&folder().join("own")) else {
        return;
    };
    let pack = r#"
        cd "$1"
        tar --numeric-owner -C image -cf image.tar .
        truncate -s 2G disk.raw
        printf 'label: dos\n2048,65536,c\n,,L\n' | sfdisk -q disk.raw
        mke2fs -q -t ext4 -E offset=34603008 -d image disk.raw 2063360k
        qemu-img convert -O qcow2 disk.raw image.qcow2
        mv disk.raw image.img
        truncate -s 1M empty.img
        cd "$3"
        for form in tar qcow2 img; do
            before=$(sha256sum <"$1/image.$form")
            "$2" probe spec.imgspec --disk "$1/image.$form" --command-timeout 2 >"$1/out" 2>/dev/null || true
            grep -c '^  passed' "$1/out" || true
            [ "$before" = "$(sha256sum <"$1/image.$form")" ] || echo "$form has changed"
        done
        "$2" probe spec.imgspec --disk "$1/empty.img" || echo "exit code $?"
    "#;
    let program = common::imgspec(&site.place.path("case"));
    let mut command = site.command(Path::new("bash"));
    command
        .args(["-euc", pack, "pack"])
        .arg(site.image().parent().unwrap())
        .arg(program.get_program())
        .arg(site.place.path("case"));
    let output = command.output().unwrap();
    let printed = said(&output);
    assert!(printed.starts_with("11\n11\n11\n"), "{printed}");
    assert!(
        printed.contains("no partition of the disk has a Linux system"),
        "{printed}"
    );
    assert!(printed.contains("exit code 2"), "{printed}");
}

/// No process, no mount and no folder: after a run, Ctrl-C, and a kill.
fn nothing_is_left_however_it_ends() {
    let Some(site) = Site::of(&folder().join("own")) else {
        return;
    };
    let temporary = site.place.path("tmp");
    fs::create_dir(&temporary).unwrap();
    for signal in ["INT", "TERM", "KILL"] {
        let image = site.image();
        let mut command = site.imgspec();
        command.args(["probe", "spec.imgspec", "--disk"]).arg(image);
        command.env("TMPDIR", &temporary).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // `endless` runs for a minute.
        wait_until("the probe runs", || has_process(&temporary, "sleep 1000"));
        let pid = child.id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        assert!(status.unwrap().success());
        child.wait().unwrap();
        wait_until("all processes are gone", || !has_process(&temporary, ""));
        if signal == "KILL" {
            // The next run removes it.
            let output = site
                .imgspec()
                .env("TMPDIR", &temporary)
                .arg("clean")
                .output();
            assert!(output.unwrap().status.success());
        }
        let left: Vec<PathBuf> = common::entries(&temporary);
        assert!(left.is_empty(), "{signal}: {left:?}");
    }
}

/// The disk of the medium that `tests/qemu.rs` installs, with its boot loader. QEMU may emulate, so this takes a minute and runs
/// only where `IMGSPEC_SLOW` is set.
fn a_machine_is_booted_with_its_own_kernel() {
    if std::env::var("IMGSPEC_SLOW").as_deref() != Ok("1") {
        common::skip("it takes a minute; IMGSPEC_SLOW=1 runs it");
        return;
    }
    let needs = ["xorriso", "qemu-system-x86_64", "qemu-img"];
    let Some(place) = Place::new("rootfs", &needs) else {
        return;
    };
    common::copy_folder(&folder().join("own"), &place.path("case"));
    let script = common::root().join("tests/build/qemu/iso.sh");
    let make = r#"
        medium=$("$0" "$1")
        cd "$2"
        xorriso -osirrox on -indev "$medium/medium.iso" -extract / medium 2>/dev/null
        chmod -R u+w medium
        mv medium/disk disk.img
        truncate -s 4G disk.img
        mkdir root
        mount -o loop,offset=1048576 disk.img root
        version=$(basename root/lib/modules/*)
        cp medium/isolinux/linux "root/boot/vmlinuz-$version"
        cp medium/isolinux/initrd "root/boot/initrd.img-$version"
        mount --bind /dev root/dev
        mount -t proc proc root/proc
        chroot root extlinux --install /boot/extlinux 2>/dev/null
        umount root/dev root/proc root
        qemu-img convert -O qcow2 disk.img disk.qcow2
        echo "$version"
    "#;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "bash", "-euc", make])
        .args([script, Place::cache(), place.path("case")])
        .env("PATH", &place.path);
    let made = common::place::run(&mut command);
    let version = String::from_utf8(made.stdout).unwrap();
    let spec = fs::read_to_string(place.path("case/spec.imgspec")).unwrap();
    let kernel = format!(
        "probe own-kernel {{\n    run = [\"uname\", \"-r\"]\n    output = \"{}\"\n    boots = true\n}}\n",
        version.trim()
    );
    fs::write(place.path("case/spec.imgspec"), spec + &kernel).unwrap();
    for form in ["img", "qcow2"] {
        let disk = format!("disk.{form}");
        let before = fs::metadata(place.path("case").join(&disk)).unwrap();
        let output = common::imgspec(&place.path("case"))
            .args(["probe", "spec.imgspec", "--machine", "--json"])
            .args(["--command-timeout", "3", "--disk", &disk])
            .env("PATH", &place.path)
            .output()
            .unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let probes = found[0]["probes"].as_array().unwrap();
        let of = |name: &str| probes.iter().find(|probe| probe["name"] == name).unwrap();
        for name in ["own-kernel", "booted", "file-when-booted"] {
            assert_eq!(of(name)["result"], "passed", "{form}: {:#}", of(name));
            assert_eq!(of(name)["started"], "machine");
        }
        assert_eq!(of("written-booted")["result"], "failed");
        assert_eq!(
            of("containerd-is-running")["found"],
            "expected `active`, found `inactive`"
        );
        let after = fs::metadata(place.path("case").join(&disk)).unwrap();
        assert_eq!(
            before.modified().unwrap(),
            after.modified().unwrap(),
            "{form} has changed"
        );
    }
}

/// True if a process with the temporary folder of this test in its environment has a command line with a text.
fn has_process(temporary: &Path, text: &str) -> bool {
    let mark = temporary.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let read = |path: &Path, name: &str| {
        let bytes = fs::read(path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    let mut processes = processes.map(|entry| entry.path());
    processes.any(|path| {
        let (line, own) = (read(&path, "cmdline"), read(&path, "environ"));
        // What runs in the image has an environment of its own, and its root in the folder.
        let root = fs::read_link(path.join("root")).unwrap_or_default();
        let is_ours = own.contains(&mark) || root.starts_with(temporary);
        is_ours && line.contains(text)
    })
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "waited for: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
