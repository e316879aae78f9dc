//! The library's images hold what Image Builder's own layering gives.
//!
//! For each target of a release: the template's defaults, then its var files in order, with `{{user}}` resolved, against
//! `imgspec show`. Some targets of each release are in `tests/releases`, all in `IMGSPEC_SHARED`.

mod common;
#[allow(dead_code)]
#[path = "adopt/layering.rs"]
mod layering;

use layering::{Strings, read_targets, resolve};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ARGUMENTS: [&str; 2] = ["ansible_common_vars", "ansible_extra_vars"];

/// Where the library says the same in another form, and why.
fn is_other_form(name: &str, ours: Option<&str>, theirs: &str) -> bool {
    // A value that is not set and an empty one mean the same, where nothing reads another default.
    if ours.is_none() && theirs.is_empty() {
        return true;
    }
    match name {
        // Slots for Image Builder's roles; the library's roles take their values from the file.
        "ansible_common_vars" => ours == Some(""),
        // Carries that file.
        "ansible_user_vars" | "ansible_extra_vars" => {
            ours.is_some_and(|v| v.starts_with('@') && v.ends_with("/ansible.vars.json"))
        }
        // Quotes for an unquoted slot, which the library has no need of.
        "kubernetes_deb_repo" | "kubernetes_rpm_gpg_key" => {
            ours.is_some_and(|v| theirs == format!("\"{v}\""))
        }
        // A script of the checkout fills it in; the library has what its installers set.
        "ssh_password" => theirs == "$SSH_PASSWORD" && ours == Some("builder"),
        // The same size in the same unit.
        "disk_size" => ours.is_some_and(|v| theirs == format!("{v}G")),
        // The resolver of this test knows no functions of templates.
        "instance_name" => ours == Some("") && theirs.contains("-kube-"),
        // Nothing reads them any more: setting one is an error that says so.
        "crictl_arch" | "crictl_source_type" | "runc_url" | "wins_url" => ours.is_none(),
        // A list: the blanks after the commas mean nothing.
        "cloudbase_plugins" => ours.is_some_and(|v| v == theirs.replace(' ', "")),
        _ => false,
    }
}

/// A difference between the library and a release.
#[derive(Debug, PartialEq)]
struct Difference {
    target: String,
    variable: String,
    ours: Option<String>,
    theirs: String,
}

/// The layers of each target that Image Builder's Makefile has a recipe for, a map for each run of Packer.
type Layers = BTreeMap<String, Vec<Strings>>;

/// The data of releases that the program has a library of; of one there may be data in several places.
fn releases() -> Vec<PathBuf> {
    let known = common::run_json(
        Path::new(env!("CARGO_TARGET_TMPDIR")),
        &["releases", "--json"],
    );
    let known: Vec<&str> = known
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    let is_known = |release: &PathBuf| known.contains(&name_of(release));
    let found: Vec<PathBuf> = common::releases().into_iter().filter(is_known).collect();
    for name in known {
        assert!(
            found.iter().any(|release| name_of(release) == name),
            "there are no data of {name}"
        );
    }
    found
}

fn name_of(release: &Path) -> &str {
    release.file_name().unwrap().to_str().unwrap()
}

/// Whose roles the library's values are for: the first release is in the form of our own.
fn roles_of(release: &Path) -> &str {
    if release.ends_with("v0.1.13") {
        "native"
    } else {
        "upstream"
    }
}

fn read_layers(release: &Path) -> Layers {
    let targets = read_targets(&release.join("targets.json")).into_iter();
    let mut layers: Layers = targets
        .filter_map(|(name, target)| Some((name.strip_prefix("build-")?.to_owned(), target.packer)))
        .filter(|(_, runs)| !runs.is_empty())
        .map(|(name, runs)| (name, runs.iter().map(|run| run.raw(release)).collect()))
        .collect();
    layers.values_mut().flatten().for_each(resolve_all);
    layers
}

/// What the library says of the targets.
fn show(release: &Path, layers: &Layers) -> BTreeMap<String, Value> {
    let mut args = vec![
        "show",
        "--json",
        "--release",
        name_of(release),
        "--roles",
        roles_of(release),
    ];
    args.extend(layers.keys().map(String::as_str));
    let shown = common::run_json(Path::new(env!("CARGO_TARGET_TMPDIR")), &args);
    let images = shown.as_array().unwrap().iter();
    images
        .map(|image| {
            (
                image["image"].as_str().unwrap().to_owned(),
                image["variables"].clone(),
            )
        })
        .collect()
}

fn differences(layers: &Layers, shown: &BTreeMap<String, Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    for (target, runs) in layers {
        for (variable, theirs) in runs.iter().flatten() {
            let ours = &shown[target][variable];
            // What nothing on the target reads is not written; its value is there all the same.
            let spelled = spell(&ours["value"], theirs);
            let ours = ours["packer"].as_str().or(spelled.as_deref());
            let ours = match ARGUMENTS.contains(&variable.as_str()) {
                true => ours.map(str::to_owned),
                false => ours.map(|text| resolve_to_secrets(text, &Strings::new())),
            };
            let ours = ours.as_deref();
            if ours != Some(theirs) && !is_other_form(variable, ours, theirs) {
                let (target, variable) = (target.clone(), variable.clone());
                found.push(Difference {
                    target,
                    variable,
                    ours: ours.map(str::to_owned),
                    theirs: theirs.clone(),
                });
            }
        }
    }
    found
}

#[test]
fn every_target_has_upstreams_values() {
    let releases = releases();
    assert!(!releases.is_empty());
    for release in releases {
        let layers = read_layers(&release);
        let least = if common::is_own(&release) { 4 } else { 95 };
        assert!(
            layers.len() >= least,
            "{}: only {} targets",
            release.display(),
            layers.len()
        );
        let found = differences(&layers, &show(&release, &layers));
        assert!(
            found.is_empty(),
            "{}: {} differ:\n{found:#?}",
            release.display(),
            found.len()
        );
        common::say_compared(&release, layers.values().flatten().map(BTreeMap::len).sum());
    }
}

/// Each value of our own data, changed, is a difference, and the only one.
#[test]
fn another_value_is_found() {
    let release = common::root().join("tests/releases/v0.1.13");
    let mut layers = read_layers(&release);
    let shown = show(&release, &layers);
    let places: Vec<(String, String)> = layers
        .iter()
        .flat_map(|(t, runs)| runs[0].keys().map(|v| (t.clone(), v.clone())))
        .collect();
    assert!(places.len() > 100);
    for (target, variable) in places {
        let value = &mut layers.get_mut(&target).unwrap()[0];
        let before = value
            .insert(variable.clone(), "another".to_owned())
            .unwrap();
        let found = differences(&layers, &shown);
        let places: Vec<(&str, &str)> = found.iter().map(|d| (&*d.target, &*d.variable)).collect();
        let is_carrier = ["ansible_common_vars", "ansible_user_vars"].contains(&variable.as_str());
        let expected = if is_carrier {
            Vec::new()
        } else {
            vec![(&*target, &*variable)]
        };
        assert_eq!(places, expected);
        layers.get_mut(&target).unwrap()[0].insert(variable, before);
    }
}

/// A value as its variable's encoding writes it.
fn spell(value: &Value, theirs: &str) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) if theirs == "True" => "True".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Object(_) => value.to_string(),
        Value::Array(words) => words
            .iter()
            .map(|w| w.as_str().unwrap())
            .collect::<Vec<_>>()
            .join(" "),
        _ => return None,
    })
}

/// Resolves the references, but those of arguments, whose slots are for Ansible's eyes.
fn resolve_all(values: &mut Strings) {
    let raw = values.clone();
    for (name, value) in values {
        if !ARGUMENTS.contains(&name.as_str()) {
            *value = resolve_to_secrets(value, &raw);
        }
    }
}

/// The library keeps references to secrets, so that a secret stands in one place.
fn resolve_to_secrets(text: &str, values: &Strings) -> String {
    const SECRET: &str = "{{user `ssh_password`}}";
    resolve(&text.replace(SECRET, "\0"), values).replace('\0', SECRET)
}
