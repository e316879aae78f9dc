//! `imgspec adopt`: a checkout becomes a library whose images hold what Packer would hold.
//!
//! `tests/checkouts/NAME/` is a checkout of our own writing, with the turns that Image Builder's take:
//! - `images/capi/`: the checkout itself,
//! - `expected/`: the library that comes of it, and `said.txt`: what `imgspec adopt` says of it; both are written anew by
//!   `IMGSPEC_BLESS=1 cargo test --test adopt`,
//! - `targets.json`: what each target runs, written by hand, in the form of the releases'.
//!
//! A release is a folder of `tests/releases`, or of `upstream` in `IMGSPEC_SHARED`: see [`assembled`].

mod common;

#[path = "adopt/assembled.rs"]
mod assembled;
#[path = "adopt/generated.rs"]
mod generated;
#[path = "adopt/layering.rs"]
mod layering;
#[path = "adopt/packer.rs"]
mod packer;

use assembled::assemble;
use common::snapshot::{self, functions};
use common::{copy_folder, entries, root};
use imgspec::emit::MASK;
use layering::{Run, Strings, Target, is_open, read_targets, resolve};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use tempfile::TempDir;

/// The arguments that Ansible reads: their slots are for its eyes.
const ARGUMENTS: [&str; 3] = [
    "ansible_common_vars",
    "ansible_extra_vars",
    "ansible_user_vars",
];

fn main() -> ExitCode {
    let mut trials = functions![
        adopting_runs_nothing,
        a_library_that_is_not_the_checkouts_any_more_is_told,
        what_somebody_else_has_written_stays,
        a_checkout_that_has_changed_is_read_anew,
        the_environment_is_read_as_make_reads_it,
        a_project_names_its_checkout,
        the_real_packer_agrees,
    ];
    type Check = fn(&Path) -> Result<(), Failed>;
    let mut add = |test: &str, paths: &[PathBuf], check: Check| {
        assert!(!paths.is_empty(), "there are no data for {test}");
        for path in paths {
            let name = format!("{test}::{}", path.file_name().unwrap().display());
            let path = path.clone();
            trials.push(Trial::test(name, move || check(&path)));
        }
    };
    let (checkouts, releases) = (checkouts(), common::releases());
    add(
        "becomes_the_expected_library",
        &checkouts,
        becomes_the_expected_library,
    );
    add("has_packers_values", &checkouts, has_packers_values);
    add(
        "release_has_packers_values",
        &releases,
        release_has_packers_values,
    );
    add("one_version_is_enough", &releases, one_version_is_enough);
    add("release_lacks_nothing", &releases, release_lacks_nothing);
    for seed in 0..generated_checkouts() {
        let name = format!("generated_checkout_is_read_rightly::{seed}");
        trials.push(Trial::test(name, move || {
            generated_checkout_is_read_rightly(seed)
        }));
    }
    snapshot::run(trials)
}

/// The number of generated checkouts.
fn generated_checkouts() -> u64 {
    let count = std::env::var("IMGSPEC_CHECKOUTS").ok();
    let count = count.map_or(12, |n| n.parse().expect("IMGSPEC_CHECKOUTS is a number"));
    assert!(count > 0, "IMGSPEC_CHECKOUTS=0 tests nothing");
    count
}

/// What Image Builder's data have, and a library says in another form: the variable, and why.
const OTHER_FORMS: [(&str, &str); 4] = [
    (
        "cloudbase_init_url",
        "its expression is a function of templates, which adopting does not compute",
    ),
    ("disk_size", "20G is 20, in the same unit"),
    (
        "enable_containerd_audit",
        "empty in Image Builder, which its roles take for false",
    ),
    (
        "kubernetes_enable_automatic_resource_sizing",
        "empty in Image Builder, which its roles take for false",
    ),
];

/// Compares a checkout of a release that the program contains with its library: targets, variables, values, readers.
fn release_lacks_nothing(release: &Path) -> Result<(), Failed> {
    let (place, _) = Place::assembled(release);
    let name = release.file_name().unwrap().to_str().unwrap();
    let output = place.imgspec(&["compare", "checkout", "--release", name, "--json"]);
    let said = String::from_utf8(output.stderr)?;
    if said.contains("only imgspec's own templates") {
        return Ok(());
    }
    let found: Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("{e}: {said}"))?;
    let none = Value::Array(Vec::new());
    for list in ["missing_targets", "missing_variables", "readers"] {
        assert_eq!(found[list], none, "{list}");
    }
    let values = found["values"].as_array().unwrap();
    let is_known = |value: &&Value| {
        OTHER_FORMS
            .iter()
            .any(|(name, _)| value["variable"] == **name)
    };
    let unknown: Vec<&Value> = values.iter().filter(|value| !is_known(value)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    let compared = found["compared"].as_u64().unwrap();
    assert!(compared > 300, "only {compared} values");
    common::say_compared(release, usize::try_from(compared).unwrap());
    Ok(())
}

/// Compares the library, file by file, and what `imgspec adopt` prints.
fn becomes_the_expected_library(case: &Path) -> Result<(), Failed> {
    let place = Place::of(case);
    let (printed, expected) = (place.adopt(), case.join("expected"));
    let found = files(&place.library());
    if snapshot::is_blessing() {
        let _ = fs::remove_dir_all(&expected);
        copy_folder(&place.library(), &expected);
    }
    let names: Vec<PathBuf> = files(&expected).into_keys().collect();
    let found_names: Vec<PathBuf> = found.keys().cloned().collect();
    assert_eq!(names, found_names, "the files of the library");
    for (name, text) in &found {
        snapshot::compare(&expected.join(name), text)?;
    }
    snapshot::compare(&case.join("said.txt"), &printed)
}

/// The recipes of the small checkout leave a file `ran-…` wherever they run.
fn adopting_runs_nothing() {
    let place = Place::of(&small());
    let before = files(&place.checkout());
    place.adopt();
    assert_eq!(files(&place.checkout()), before);
    // The marks are no idle threat.
    let make = Command::new("make")
        .arg("deps-qemu")
        .current_dir(place.checkout())
        .output()
        .unwrap();
    assert!(
        place.checkout().join("ran-ensure-common").is_file(),
        "{make:?}"
    );
}

fn a_library_that_is_not_the_checkouts_any_more_is_told() {
    let place = Place::of(&small());
    place.adopt();
    let first = files(&place.library());
    assert_eq!(place.check(), "");
    place.adopt();
    assert_eq!(files(&place.library()), first);

    place.replace("packer/qemu/qemu-rocky-9.json", "\"tcg\"", "\"kvm\"");
    place.replace(
        "Makefile",
        "addprefix build-ami-,debian-12 rocky-9 windows-2022",
        "addprefix build-ami-,debian-12 rocky-9",
    );
    fs::remove_file(place.library().join("layers/maas.imgspec")).unwrap();
    fs::write(place.library().join("packer/odd.json"), "{}").unwrap();
    let before = files(&place.library());
    let gone = "packer/ami/packer-windows.json: not in the checkout\nlibrary/packer/odd.json: not in the checkout";
    assert_eq!(
        place.check(),
        format!(
            "library/layers/config.imgspec: differs\n\
             library/layers/maas.imgspec: missing\nlibrary/layers/qemu.imgspec: differs\nlibrary/{gone}\n\
             library/providers.imgspec: differs\nlibrary/targets/ami.imgspec: differs\n\
             library/targets/ova.imgspec: differs\nlibrary/targets/refused.imgspec: differs\n"
        )
    );
    assert_eq!(files(&place.library()), before, "--check has written");
    place.adopt();
    assert_eq!(place.check(), "");
}

fn what_somebody_else_has_written_stays() {
    let place = Place::of(&small());
    let notes = place.library().join("notes.txt");
    fs::create_dir(place.library()).unwrap();
    fs::write(&notes, "mine").unwrap();
    let output = place.imgspec(&["adopt", "checkout", "--out", "library"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("has not written"),
        "{said}"
    );
    assert_eq!(files(&place.library()).len(), 1);
    // Beside an adopted library it may stand.
    fs::remove_file(&notes).unwrap();
    place.adopt();
    fs::write(&notes, "mine").unwrap();
    place.adopt();
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");
    let json = place.library().join("notes.json");
    fs::write(&json, "{}").unwrap();
    place.adopt();
    assert!(json.is_file());
}

fn has_packers_values(case: &Path) -> Result<(), Failed> {
    let place = Place::of(case);
    let targets = read_targets(&case.join("targets.json"));
    compare(case, &place, &targets)?;
    // Read on the fly it is the same, without a folder for the library.
    let of = |place: &Place, args: &[&str]| -> BTreeMap<String, Strings> {
        place
            .show(args)
            .into_iter()
            .map(|(name, image)| (name, strings(&image["variables"])))
            .collect()
    };
    let adopted = of(&place, &["library"]);
    fs::remove_dir_all(place.library())?;
    assert_eq!(of(&place, &["--in", "checkout"]), adopted);
    let images: BTreeSet<&str> = adopted.keys().map(String::as_str).collect();
    assert_eq!(images, targets.keys().map(|make| image_of(make)).collect());
    Ok(())
}

fn release_has_packers_values(release: &Path) -> Result<(), Failed> {
    let (place, targets) = Place::assembled(release);
    compare(release, &place, &targets)
}

/// A generated checkout: values, readers, slots, versions that follow, and which targets there are.
fn generated_checkout_is_read_rightly(seed: u64) -> Result<(), Failed> {
    let world = generated::generate(seed);
    let place = Place::new();
    fs::create_dir(place.checkout()).unwrap();
    world.write(&place.checkout());
    let said = place.adopt();
    let mut problems = Vec::new();
    for make in &world.refused {
        if !said.contains(make.as_str()) && *make != "build-all" {
            problems.push(format!("{make} is not said to be unread"));
        }
        let output = place.imgspec(&["check", image_of(make), "--in", "checkout"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(2) || !said.contains("cannot build `") {
            problems.push(format!("{make} is served: {said}"));
        }
    }
    let images = place.show(&["library"]);
    let newer = place.show(&["library", "--set", "kubernetes_semver=v1.99.7"]);
    assert_eq!(images.len(), world.targets.len(), "{:?}", images.keys());
    for (make, target) in &world.targets {
        let run = &target.packer[0];
        let raw = run.raw(&place.checkout());
        let image = &images[image_of(make)];
        problems.extend(differences(make, &strings(&image["variables"]), &raw));
        let raw_newer = world.with_version(raw.clone(), "1.99.7");
        problems.extend(differences(
            make,
            &strings(&newer[image_of(make)]["variables"]),
            &raw_newer,
        ));
        let playbook = place.playbook_of(image_of(make));
        if playbook != world.playbooks[make] {
            problems.push(format!("{make} runs the {playbook} playbook"));
        }
        let read = layering::reach(&world.read[make], &raw);
        for name in raw.keys() {
            let mut wanted: BTreeSet<String> = BTreeSet::new();
            wanted.extend(read.contains(name).then(|| "packer".to_owned()));
            for (slot, variable, is_quoted) in &world.slots[&run.template] {
                let quoted = if *is_quoted { ", quoted" } else { "" };
                wanted.extend((variable == name).then(|| format!("slot {slot}{quoted}")));
            }
            let routes = &image["variables"][name]["routes"];
            let found: BTreeSet<String> =
                serde_json::from_value(routes.clone()).unwrap_or_default();
            // A builder's name is read by nobody else; arguments go where they go.
            let is_name = ["build_name", "distribution", "playbook"].contains(&name.as_str());
            if found != wanted && !is_name && !ARGUMENTS.contains(&name.as_str()) {
                problems.push(format!(
                    "{make}: {name} goes to {found:?}, not to {wanted:?}"
                ));
            }
        }
    }
    snapshot::fail_on(&problems)
}

/// Where the strings of an image differ from those of its layers.
fn differences(make: &str, ours: &Strings, raw: &Strings) -> Vec<String> {
    let mut out = Vec::new();
    for (name, theirs) in raw {
        let is_argument = ARGUMENTS.contains(&name.as_str());
        let theirs = if is_argument {
            theirs.clone()
        } else {
            resolve(theirs, raw)
        };
        let ours = ours.get(name).map(|text| {
            if is_argument {
                text.clone()
            } else {
                resolve(text, ours)
            }
        });
        // Over what nothing declares a value is unset; the checkout's own text stays in force then.
        let is_unset = ours.is_none() && is_open(&raw[name], raw);
        let is_same = ours.as_ref().is_some_and(|ours| is_shown(ours, &theirs));
        if !is_same && !is_unset {
            out.push(format!("{make}: {name}: {ours:?}, theirs {theirs:?}"));
        }
    }
    out
}

/// True if the text is shown so: a mask stands for a secret in it.
fn is_shown(shown: &str, text: &str) -> bool {
    match shown.split_once(MASK) {
        Some((before, behind)) => {
            let rest = text.strip_prefix(before);
            let secret = rest.and_then(|rest| rest.strip_suffix(behind));
            secret.is_some_and(|secret| !secret.is_empty())
        }
        None => shown == text,
    }
}

/// A newer Kubernetes on each target of a release: every string that contains its version follows, and nothing else.
fn one_version_is_enough(release: &Path) -> Result<(), Failed> {
    let (place, targets) = Place::assembled(release);
    place.adopt();
    let images = place.show(&["library", "--set", "kubernetes_semver=v1.99.7"]);
    let (mut problems, mut followed, mut compared) = (Vec::new(), 0, 0);
    for (make, target) in &targets {
        let mut raw = target.packer.last().unwrap().raw(&place.checkout());
        let old = raw["kubernetes_semver"].trim_start_matches('v').to_owned();
        let series = old.rsplit_once('.').unwrap().0.to_owned();
        for (name, text) in raw
            .iter_mut()
            .filter(|(name, _)| name.starts_with("kubernetes_"))
        {
            let newer = match name.as_str() {
                "kubernetes_series" => text.replace(&series, "1.99"),
                _ => text.replace(&old, "1.99.7"),
            };
            followed += usize::from(newer != *text && name != "kubernetes_semver");
            *text = newer;
        }
        compared += raw.len();
        problems.extend(differences(
            make,
            &strings(&images[image_of(make)]["variables"]),
            &raw,
        ));
    }
    common::say_compared(release, compared);
    assert!(
        followed >= 3 * targets.len(),
        "only {followed} texts follow"
    );
    snapshot::fail_on(&problems)
}

/// What is kept of a checkout is used while nothing has changed, and never after.
fn a_checkout_that_has_changed_is_read_anew() {
    let place = Place::of(&small());
    let log = place.path("make.log");
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    let real = which("make");
    let script = format!(
        "#!/bin/sh\necho run >>{}\nexec {} \"$@\"\n",
        log.display(),
        real.display()
    );
    write_program(&bin.join("make"), &script);
    let path = std::env::join_paths(
        [bin]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    let show = |cache: &str| {
        let args = ["show", "--all", "--json", "--in", "checkout"];
        let output = place
            .command(&args, cache)
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let runs = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    place.replace(
        "Makefile",
        "##@ Builds",
        "VERSION := $(shell cat hack/version)\ninclude ../shared.mk\n##@ Builds",
    );
    place.replace(
        "Makefile",
        "-only=nobody",
        "-var=label=$(VERSION)$(SUFFIX)$(shell git rev-parse HEAD)",
    );
    fs::write(place.checkout().join("hack/version"), "one").unwrap();
    fs::write(place.path("shared.mk"), "SUFFIX := a\n").unwrap();
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"];
        let output = Command::new("git")
            .args(identity)
            .args(args)
            .current_dir(place.checkout())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-m", "one"]);
    let checkout = place.checkout();
    let write = |path: &str, text: &str| fs::write(checkout.join(path), text).unwrap();
    let template = "packer/raw/packer.json";
    type Change<'c> = (&'c str, Box<dyn Fn() + 'c>);
    let changes: Vec<Change<'_>> = vec![
        (
            "a var file",
            Box::new(|| place.replace("packer/qemu/qemu-rocky-9.json", "\"tcg\"", "\"kvm\"")),
        ),
        (
            "a template",
            Box::new(|| {
                place.replace(
                    template,
                    "\"variables\": {",
                    "\"variables\": { \"one_more\": \"1\",",
                )
            }),
        ),
        (
            "the Makefile",
            Box::new(|| {
                place.replace(
                    "Makefile",
                    "build-raw-alias: build-raw-debian-12",
                    "build-raw-other: build-raw-debian-12",
                )
            }),
        ),
        (
            "a makefile elsewhere",
            Box::new(|| fs::write(place.path("shared.mk"), "SUFFIX := b\n").unwrap()),
        ),
        (
            "what the Makefile asks a program for",
            Box::new(|| write("hack/version", "two")),
        ),
        (
            "a template's source",
            Box::new(|| {
                let text = fs::read_to_string(checkout.join(template)).unwrap();
                write(
                    "packer/raw/packer.json.tmpl",
                    &text.replace("one_more", "one_other"),
                );
            }),
        ),
        (
            "a new var file",
            Box::new(|| write("packer/raw/new.json", "{ \"brand_new\": \"1\" }")),
        ),
        (
            "a removed var file",
            Box::new(|| fs::remove_file(checkout.join("packer/raw/new.json")).unwrap()),
        ),
        (
            "the commit",
            Box::new(|| git(&["commit", "-q", "--allow-empty", "-m", "two"])),
        ),
    ];
    let mut last = show("cache");
    for (at, (what, change)) in changes.iter().enumerate() {
        let before = runs();
        assert_eq!(show("cache"), last, "before {what}");
        assert_eq!(runs(), before, "make is asked again before {what}");
        change();
        let now = show("cache");
        assert!(runs() > before, "make is not asked after {what}");
        assert_eq!(now, show(&format!("fresh-{at}")), "after {what}");
        // A var file that no target uses shows in no image.
        assert!(
            now != last || what.contains("var file"),
            "{what} changes nothing"
        );
        last = now;
    }
}

fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap()
}

fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What the environment makes of the Makefile's flags is seen as make would see it; what is written out stays the same.
fn the_environment_is_read_as_make_reads_it() {
    let place = Place::of(&small());
    let show = |value: Option<&str>| {
        let args = [
            "show",
            "--json",
            "--in",
            "checkout",
            "qemu-rocky-9",
            "ssh_username",
        ];
        let mut command = place.command(&args, "cache");
        command
            .env_remove("SSH_USER")
            .envs(value.map(|value| ("SSH_USER", value)));
        let shown: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        shown[0]["variables"]["ssh_username"]["value"].clone()
    };
    let usual = show(None);
    assert_ne!(usual, "me");
    assert_eq!(show(Some("me")), "me");
    assert_eq!(show(Some("you")), "you");
    assert_eq!(show(None), usual);
    place.adopt();
    let before = files(&place.library());
    let again = place
        .command(&["adopt", "checkout", "--out", "library"], "cache")
        .env("SSH_USER", "me")
        .output();
    assert_eq!(
        (again.unwrap().status.code(), files(&place.library())),
        (Some(1), before)
    );
}

/// A project may name its checkout; one inside the project is read only where somebody has named it before.
fn a_project_names_its_checkout() {
    let place = Place::of(&small());
    let project = place.path("project");
    fs::create_dir_all(project.join("shared")).unwrap();
    fs::write(
        project.join("a.imgspec"),
        "include \"../more/b.imgspec\"\nimage a extends qemu-rocky-9, b { }\n",
    )
    .unwrap();
    fs::create_dir(place.path("more")).unwrap();
    fs::write(
        place.path("more/b.imgspec"),
        "layer b { extra_rpms += [\"htop\"] }\n",
    )
    .unwrap();
    let config = |checkout: &str| {
        let text = format!("checkout = {checkout:?}\ninclude-roots = [\"../more\"]\n");
        fs::write(project.join("imgspec.toml"), text).unwrap();
    };
    let check = |args: &[&str]| {
        let mut command = common::imgspec(&project.join("shared"));
        let output = command
            .arg("check")
            .args(args)
            .env("IMGSPEC_CACHE", place.path("cache"))
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    config("../checkout");
    assert_eq!(
        check(&[]),
        (0, "1 image in 1 file: no problems found\n".to_owned())
    );
    fs::rename(place.checkout(), project.join("inside")).unwrap();
    config("inside");
    let (code, said) = check(&[]);
    assert!(
        code == 2 && said.contains("use `--in inside` once if you trust it"),
        "{code} {said}"
    );
    assert_eq!(check(&["--in", "../inside"]).0, 0);
    assert_eq!(check(&[]).0, 0);
}

/// The real Packer, with a target's var files and with our file after them, holds the same strings: on all targets of
/// our own checkouts, and on a sample of the releases'.
fn the_real_packer_agrees() {
    let Some(path) = common::packer_and_ansible("adopted values with the real Packer") else {
        return;
    };
    let own = checkouts().into_iter().map(|case| {
        let (place, targets) = (Place::of(&case), read_targets(&case.join("targets.json")));
        (case, place, targets, 1)
    });
    let releases = common::releases().into_iter().map(|release| {
        let (place, targets) = Place::assembled(&release);
        let step = if common::is_own(&release) { 1 } else { 9 };
        (release, place, targets, step)
    });
    let mut problems = Vec::new();
    for (what, place, targets, step) in own.chain(releases) {
        // What Packer wants of the user no sample can have.
        let is_complete = |run: &Run| {
            let raw = run.raw(&place.checkout());
            let declared =
                layering::read_object(&place.checkout(), &run.template)["variables"].clone();
            declared
                .as_object()
                .unwrap()
                .keys()
                .all(|name| raw.contains_key(name))
        };
        let complete: Vec<_> = targets
            .iter()
            .filter(|(_, target)| target.packer.iter().all(is_complete))
            .collect();
        let sample: Vec<_> = complete.into_iter().step_by(step).collect();
        let mut args = vec!["compile", "--in", "checkout", "--out", "out"];
        args.extend(sample.iter().map(|(make, _)| image_of(make)));
        let output = place.imgspec(&args);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let outcomes = common::in_parallel(sample, |(make, target)| {
            let outcome = with_packer(&path, &place, make, target.packer.last().unwrap());
            vec![outcome.unwrap_or_else(|said| (0, vec![format!("{make}: {said}")]))]
        });
        common::say_compared(&what, outcomes.iter().map(|(compared, _)| compared).sum());
        problems.extend(outcomes.into_iter().flat_map(|(_, problems)| problems));
    }
    assert!(
        problems.is_empty(),
        "{} differ:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// Compares what Packer holds in a run without our file and with it: the number of values, and those that differ.
fn with_packer(
    path: &OsStr,
    place: &Place,
    make: &str,
    run: &Run,
) -> Result<(usize, Vec<String>), String> {
    let raw = run.raw(&place.checkout());
    // What is another text at another time, or in another run.
    let is_steady = |name: &&String| {
        let text = resolve(&raw[*name], &raw);
        !["timestamp", "uuid", "isotime", "template_dir"]
            .iter()
            .any(|f| text.contains(f))
    };
    let names: Vec<String> = raw.keys().filter(is_steady).cloned().collect();
    let read =
        |user: Option<&Path>| packer::read_strings(path, &place.checkout(), run, user, &names);
    let file = place.path(&format!("out/{}/packer.vars.json", image_of(make)));
    let (theirs, ours) = (read(None)?, read(Some(&file))?);
    let mut problems = Vec::new();
    for name in &names {
        let theirs = match is_open(&raw[name], &raw) {
            true => packer::fill(&resolve(&raw[name], &raw)),
            false => theirs[name].clone(),
        };
        if is_in_file(&ours[name], &theirs) {
            continue;
        }
        if ours[name] != theirs {
            problems.push(format!(
                "{make}: {name}: {:?}, theirs {theirs:?}",
                ours[name]
            ));
        }
    }
    Ok((names.len(), problems))
}

/// Whether an argument passes the extra-vars file, and that file has all pairs of the argument that it replaces.
fn is_in_file(ours: &str, theirs: &str) -> bool {
    let Some(file) = ours
        .strip_prefix('@')
        .filter(|file| file.ends_with("/ansible.vars.json"))
    else {
        return false;
    };
    let values: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut pairs = theirs
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='));
    pairs.all(|(name, value)| values[name] == *value)
}

/// Compares what `imgspec show` prints of each target with its layers.
fn compare(what: &Path, place: &Place, targets: &BTreeMap<String, Target>) -> Result<(), Failed> {
    place.adopt();
    let images = place.show(&["library"]);
    let (mut problems, mut compared) = (Vec::new(), 0);
    for (make, target) in targets {
        let Some(image) = images.get(image_of(make)) else {
            problems.push(format!("{make}: is not there"));
            continue;
        };
        let ours = strings(&image["variables"]);
        for run in &target.packer {
            let raw = run.raw(&place.checkout());
            compared += raw.len();
            problems.extend(differences(make, &ours, &raw));
        }
    }
    snapshot::fail_on(&problems)?;
    let least = 10 * targets.len();
    assert!(
        compared > least,
        "{}: only {compared} values of {} targets",
        what.display(),
        targets.len()
    );
    common::say_compared(what, compared);
    Ok(())
}

/// The Packer strings of an image. An argument that passes the extra-vars file, which a variable with `typed` needs, has
/// its contents in that file.
fn strings(variables: &Value) -> Strings {
    let all = variables.as_object().unwrap().iter();
    all.filter_map(|(name, shown)| {
        let text = shown["packer"].as_str()?;
        let is_file = text.starts_with('@') && text.ends_with("/ansible.vars.json");
        let text = if is_file {
            shown["value"].as_str()?
        } else {
            text
        };
        Some((name.clone(), text.to_owned()))
    })
    .collect()
}

fn image_of(make: &str) -> &str {
    make.strip_prefix("build-").unwrap()
}

fn checkouts() -> Vec<PathBuf> {
    entries(&root().join("tests/checkouts"))
}

fn small() -> PathBuf {
    root().join("tests/checkouts/small")
}

/// A folder with a checkout, which a test may change, and with a library beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn of(case: &Path) -> Place {
        let place = Place::new();
        copy_folder(&case.join("images/capi"), &place.checkout());
        place
    }

    fn assembled(release: &Path) -> (Place, BTreeMap<String, Target>) {
        let place = Place::new();
        let targets = assemble(
            release,
            &place.checkout(),
            read_targets(&release.join("targets.json")),
        );
        (place, targets)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn checkout(&self) -> PathBuf {
        self.path("checkout")
    }

    fn library(&self) -> PathBuf {
        self.path("library")
    }

    fn imgspec(&self, args: &[&str]) -> Output {
        self.command(args, "cache").output().unwrap()
    }

    /// A run with a cache of its own.
    fn command(&self, args: &[&str], cache: &str) -> Command {
        let mut command = common::imgspec(self.0.path());
        command.args(args).env("IMGSPEC_CACHE", self.path(cache));
        command
    }

    /// Adopts the checkout, and gives back what is said of it.
    fn adopt(&self) -> String {
        let output = self.imgspec(&["adopt", "checkout", "--out", "library"]);
        let said = String::from_utf8(output.stderr).unwrap();
        // A target that cannot be read is no reason not to write the others, and no success.
        let is_whole = !said.contains("targets cannot be read");
        assert_eq!(
            output.status.code(),
            Some(if is_whole { 0 } else { 1 }),
            "{said}"
        );
        let folder = self.0.path().canonicalize().unwrap();
        said.replace(folder.to_str().unwrap(), "PLACE")
    }

    /// What `--check` finds; nothing where it succeeds.
    fn check(&self) -> String {
        let output = self.imgspec(&["adopt", "checkout", "--out", "library", "--check"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), said.is_empty(), "{said}");
        said
    }

    /// The playbook of an image's provider, as the library's files say.
    fn playbook_of(&self, image: &str) -> String {
        let text: String = files(&self.library()).into_values().collect();
        let after = |text: &str, mark: &str| {
            text.split_once(mark)
                .unwrap_or_else(|| panic!("no {mark}"))
                .1
                .to_owned()
        };
        let word = |text: &str| {
            text.trim_start()
                .split([' ', ',', '\n'])
                .next()
                .unwrap()
                .to_owned()
        };
        let provider = word(&after(
            &after(&text, &format!("image {image} extends")),
            "provider =",
        ));
        word(&after(
            &after(&text, &format!("\nprovider {provider} {{")),
            "playbook =",
        ))
    }

    /// All images by their names.
    fn show(&self, args: &[&str]) -> BTreeMap<String, Value> {
        let shown = common::run_json(
            self.0.path(),
            &[&["show", "--all", "--json"], args].concat(),
        );
        let images = shown.as_array().unwrap().iter();
        images
            .map(|image| (image["image"].as_str().unwrap().to_owned(), image.clone()))
            .collect()
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.checkout().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }
}

/// The texts of all files below a folder, by their paths.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut out = BTreeMap::new();
    for path in entries(folder) {
        let name = PathBuf::from(path.file_name().unwrap());
        match path.is_dir() {
            true => out.extend(
                files(&path)
                    .into_iter()
                    .map(|(below, text)| (name.join(below), text)),
            ),
            false => drop(out.insert(name, fs::read_to_string(&path).unwrap())),
        }
    }
    out
}
