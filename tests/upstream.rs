//! The library's images hold what Image Builder's own layering gives.
//!
//! For every target of v0.1.13's ova, qemu, raw and ami families: the template's defaults, then its
//! var files in order, with `{{user}}` resolved, against `imgspec show`.

mod common;

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the library says the same in another form, and why.
fn is_other_form(name: &str, ours: Option<&str>, theirs: &str) -> bool {
    match name {
        // Slots for Image Builder's roles; the library's roles take their values from the file.
        "ansible_common_vars" => ours == Some(""),
        // Carries that file.
        "ansible_user_vars" => ours.is_some_and(|v| v.starts_with('@') && v.ends_with("/ansible.vars.json")),
        // Quotes for an unquoted slot, which the library has no need of.
        "kubernetes_deb_repo" | "kubernetes_rpm_gpg_key" => {
            ours.is_some_and(|v| theirs == format!("\"{v}\""))
        }
        // A list: the blanks after the commas mean nothing.
        "cloudbase_plugins" => ours.is_some_and(|v| v == theirs.replace(' ', "")),
        _ => false,
    }
}

#[test]
fn every_target_has_upstreams_values() {
    let Some(shared) = common::shared() else {
        return;
    };
    let release = shared.join("upstream/v0.1.13");
    let targets: BTreeMap<String, Value> = read(&release.join("targets.json"));
    let wanted: Vec<(&str, &Value)> = targets
        .iter()
        .filter_map(|(name, target)| Some((name.strip_prefix("build-")?, target.get("packer")?)))
        .filter(|(name, _)| {
            ["node-ova-", "qemu-", "raw-", "ami-"].iter().any(|family| name.starts_with(family))
        })
        .collect();
    assert!(wanted.len() >= 69, "only {} targets", wanted.len());
    let mut args = vec!["show", "--json"];
    args.extend(wanted.iter().map(|(name, _)| *name));
    let shown = common::run_json(Path::new(env!("CARGO_TARGET_TMPDIR")), &args);
    let mut problems = Vec::new();
    let mut compared = 0;
    for ((name, runs), image) in wanted.iter().zip(shown.as_array().unwrap()) {
        assert_eq!(image["image"], *name);
        for run in runs.as_array().unwrap() {
            for (variable, theirs) in upstream_values(&release, run) {
                let ours = &image["variables"][&variable];
                // What nothing on the target reads is not written; its value is there all the same.
                let spelled = spell(&ours["value"], &theirs);
                let ours = ours["packer"].as_str().or(spelled.as_deref());
                compared += 1;
                if ours != Some(theirs.as_str()) && !is_other_form(&variable, ours, &theirs) {
                    problems.push(format!("{name}: {variable}: {ours:?}, upstream {theirs:?}"));
                }
            }
        }
    }
    println!("{} targets, {compared} values", wanted.len());
    assert!(problems.is_empty(), "{} differ:\n{}", problems.len(), problems.join("\n"));
}

/// A value as its variable's encoding writes it.
fn spell(value: &Value, theirs: &str) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) if theirs == "True" => "True".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(words) => words.iter().map(|w| w.as_str().unwrap()).collect::<Vec<_>>().join(" "),
        _ => return None,
    })
}

/// What Packer holds for one run: the layers in order, the references resolved.
fn upstream_values(release: &Path, run: &Value) -> BTreeMap<String, String> {
    let template: Value = read(&release.join(run["template"].as_str().unwrap()));
    let mut layers = vec![template["variables"].clone()];
    for file in run["var_files"].as_array().unwrap() {
        let file = file.as_str().unwrap();
        if file != "<user>" {
            layers.push(read(&release.join(file)));
        }
    }
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for (at, layer) in layers.iter().enumerate() {
        for (name, value) in layer.as_object().unwrap() {
            // In a template `null` means required, in a var file empty.
            if at > 0 || !value.is_null() {
                values.insert(name.clone(), value.as_str().unwrap_or("").to_owned());
            }
        }
    }
    let raw = values.clone();
    values
        .into_iter()
        .map(|(name, value)| {
            if name == "ansible_extra_vars" || name == "ansible_common_vars" {
                (name, value)
            } else {
                (name, resolve(&value, &raw))
            }
        })
        .collect()
}

fn resolve(text: &str, values: &BTreeMap<String, String>) -> String {
    let Some((before, rest)) = text.split_once("{{") else {
        return text.to_owned();
    };
    let (template, after) = rest.split_once("}}").unwrap();
    let words: Vec<&str> = template.split_whitespace().collect();
    let name = |word: &str| word.trim_matches('`').to_owned();
    let replaced = match words[..] {
        // The library keeps secrets as references, so that they stand in one place.
        ["user", "`ssh_password`"] => "{{user `ssh_password`}}".to_owned(),
        ["user", variable] => resolve(values.get(&name(variable)).map_or("", |v| v), values),
        ["user", variable, "|", "replace_all", from, to] => {
            resolve(values.get(&name(variable)).map_or("", |v| v), values).replace(&name(from), &name(to))
        }
        ["env", variable] => format!("{{{{env {variable}}}}}"),
        _ => format!("{{{{{template}}}}}"),
    };
    format!("{before}{replaced}{}", resolve(after, values))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
