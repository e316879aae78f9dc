//! Var files come in and go out again: what `imgspec import` makes of one has the values that the file itself has
//! as a layer: for our own var files and templates, those of `tests/import`, which hold the forms that people write, and
//! those of the releases (`tests/releases`, `IMGSPEC_SHARED`).

mod common;

use common::snapshot;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// An image on which nothing is read, so that nothing but the file's own values shows.
const PLAIN: &str = "
provider none { template = \"none\", roles = upstream, extra_vars = [], reads = [] }
image original { target { provider = none } }
";

fn main() -> ExitCode {
    let root = common::root();
    let mut trials = Vec::new();
    let config = common::files(&root.join("config"), "json");
    trials.extend(snapshot::trials(config, check_file));
    for folder in [root.join("tests/import")]
        .into_iter()
        .chain(common::releases())
    {
        let folder = folder.canonicalize().unwrap();
        let mut files = Vec::new();
        collect(&folder, &mut files);
        files.retain(|file| is_known(&folder, file));
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if common::is_own(&folder) {
            assert!(
                files.len() >= 4,
                "{name} has only {} var files",
                files.len()
            );
            trials.extend(files.into_iter().map(|file| {
                let below = file.strip_prefix(&folder).unwrap().with_extension("");
                let name = format!("{name}/{}", below.display());
                Trial::test(name, move || check_file(&file))
            }));
        } else {
            trials.push(Trial::test(name, move || check_release(&folder, files)));
        }
    }
    snapshot::run(trials)
}

fn check_file(path: &Path) -> Result<(), Failed> {
    let (compared, problems) = compare(path);
    assert!(compared > 0, "the file has no values");
    snapshot::fail_on(&problems)
}

/// Checks the var files of a whole release.
fn check_release(folder: &Path, files: Vec<PathBuf>) -> Result<(), Failed> {
    assert!(files.len() >= 40, "only {} var files", files.len());
    let outcomes = common::in_parallel(files, |path| vec![compare(&path)]);
    common::say_compared(folder, outcomes.iter().map(|(compared, _)| compared).sum());
    let problems: Vec<String> = outcomes
        .into_iter()
        .flat_map(|(_, problems)| problems)
        .collect();
    snapshot::fail_on(&problems)
}

/// Compares the values of a var file with those of what it is imported as: how many there are, and what differs.
fn compare(path: &Path) -> (usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut problems = Vec::new();
    // A template's variables come in too; as a layer only those with a default.
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let is_template = json["variables"].is_object();
    let entries = if is_template {
        &json["variables"]
    } else {
        &json
    };
    let mut entries = entries.as_object().unwrap().clone();
    entries.retain(|_, value| !is_template || !value.is_null());
    let file = folder.path().join("vars.json");
    std::fs::write(&file, serde_json::to_string_pretty(&entries).unwrap()).unwrap();
    let imported = common::run(
        folder.path(),
        &["import", path.to_str().unwrap(), "--out", "layer.imgspec"],
    );
    assert!(
        imported.status.success(),
        "{}: {imported:?}",
        path.display()
    );
    let text = std::fs::read_to_string(folder.path().join("layer.imgspec")).unwrap();
    let layer = text
        .lines()
        .find_map(|l| l.strip_prefix("layer ")?.split(' ').next())
        .unwrap();
    let spec = format!(
        "include \"layer.imgspec\"\n{PLAIN}\nimage imported extends original, {layer} {{ }}\n"
    );
    std::fs::write(folder.path().join("spec.imgspec"), spec).unwrap();
    let theirs = show(folder.path(), "original", Some(&file));
    let ours = show(folder.path(), "imported", None);
    for name in entries.keys() {
        let (ours, theirs) = (&ours["variables"][name], &theirs["variables"][name]);
        if text.contains(&format!("# {name} = ")) {
            problems.push(format!("{}: {name} is left out", path.display()));
        }
        let raw = entries[name].as_str().unwrap_or_default();
        // Words that Ansible drops are left out, and that is said.
        if name.ends_with("_vars") && drops(&imported, name) {
            let is_pair = |word: &&str| word.find('=').is_some_and(|at| at > 0);
            let kept: Vec<&str> = raw.split(' ').filter(is_pair).collect();
            if ours["value"] != kept.join(" ") {
                problems.push(format!(
                    "{}: {name}: {} for {raw}",
                    path.display(),
                    ours["value"]
                ));
            }
            continue;
        }
        // A name of another release stops the value, which stands in the spec all the same.
        if ours["value"].is_null() && raw.contains("{{") && text.contains(raw) {
            continue;
        }
        // A secret that is written out is to be given in the environment from now on.
        let env = format!("{{{{env `{}`}}}}", name.to_uppercase());
        let is_secret = theirs["value"] == "********" && ours["value"] == env;
        if !is_secret && (ours["value"] != theirs["value"] || ours["packer"] != theirs["packer"]) {
            problems.push(format!(
                "{}: {name}: {} {}, original {} {}",
                path.display(),
                ours["value"],
                ours["packer"],
                theirs["value"],
                theirs["packer"]
            ));
        }
        // Without the compiler's own reading: the very string, but for quotes and blanks that mean nothing.
        // Where Packer gets none, the value says it.
        let written = ours["packer"].as_str().or(ours["value"].as_str());
        if !is_secret && !raw.contains("{{") && !is_same_string(written, raw) {
            problems.push(format!("{}: {name}: {written:?} for {raw}", path.display()));
        }
    }
    (entries.len(), problems)
}

fn drops(imported: &std::process::Output, name: &str) -> bool {
    String::from_utf8_lossy(&imported.stderr).contains(&format!("`{name}`: left out `"))
}

fn is_same_string(ours: Option<&str>, raw: &str) -> bool {
    let bare = raw
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .unwrap_or(raw);
    let is_args = ours.is_some_and(|o| o.starts_with('@'));
    is_args
        || ours.is_some_and(|o| {
            o == raw
                || o == bare
                || o == bare
                    .split(", ")
                    .map(str::trim)
                    .collect::<Vec<_>>()
                    .join(",")
        })
}

fn show(folder: &Path, image: &str, var_file: Option<&Path>) -> Value {
    let mut command = common::imgspec(folder);
    command.args(["show", image, "--json"]);
    command.envs(var_file.map(|file| ("PACKER_VAR_FILES", file)));
    let output = command.output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{image}: {e}\n{}", String::from_utf8_lossy(&output.stderr)));
    json[0].clone()
}

/// Whether a file is of a provider that the library has. Of the others it does not know the types.
fn is_known(release: &Path, file: &Path) -> bool {
    let Ok(inside) = file.strip_prefix(release.join("packer")) else {
        return true;
    };
    let provider = inside.iter().next().unwrap();
    provider == "config" || common::root().join("config").join(provider).is_dir()
}

/// The var files and templates below a folder.
fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for path in common::entries(folder) {
        match path.is_dir() {
            true => collect(&path, out),
            false if path.extension().is_some_and(|e| e == "json") && is_of_variables(&path) => {
                out.push(path)
            }
            false => {}
        }
    }
}

/// A var file has texts only, or nulls; a template has such variables.
fn is_of_variables(path: &Path) -> bool {
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let variables = if json["variables"].is_object() {
        &json["variables"]
    } else {
        &json
    };
    variables
        .as_object()
        .is_some_and(|object| object.values().all(|v| v.is_string() || v.is_null()))
}
