//! The roles take what the schema sends: names, types, choices.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// Read by the playbooks themselves, before and behind all roles; and a deprecated name, which arrives under the real one.
const PLAYBOOKS: [&str; 6] = [
    "firstboot_custom_roles_pre",
    "firstboot_custom_roles_post",
    "node_custom_roles_pre",
    "node_custom_roles_post",
    "flatcar_python_url",
    "custom_role_names",
];

#[test]
fn argument_specs_agree_with_the_schema() {
    let shown = common::run_json(common::root(), &["show", "--json", "rootfs-debian-12"]);
    let variables = shown[0]["variables"].as_object().unwrap();
    let mut read: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for role in common::entries(&common::root().join("ansible/roles")) {
        let name = role.file_name().unwrap().to_string_lossy().into_owned();
        let path = role.join("meta/argument_specs.yml");
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let yaml = YamlLoader::load_from_str(&text).unwrap().remove(0);
        let options = yaml["argument_specs"]["main"]["options"]
            .as_hash()
            .cloned()
            .unwrap_or_default();
        // Each playbook's roles are its own, but for the one that both have.
        let receivers: &[&str] = match name.as_str() {
            "load_additional_components" => &["linux", "windows"],
            "cloudbase_init" => &["windows"],
            other if other.starts_with("windows_") => &["windows"],
            _ => &["linux"],
        };
        for (option, spec) in options {
            let option = option.into_string().unwrap();
            let Some(variable) = variables.get(&option) else {
                problems.push(format!("{name}: the schema has no variable {option}"));
                continue;
            };
            let (found, wanted) = (shape(&spec), shape_of(variable["type"].as_str().unwrap()));
            if found != wanted {
                problems.push(format!(
                    "{name}: {option} is {wanted:?} in the schema, {found:?} in the role"
                ));
            }
            if spec["description"]
                .as_str()
                .is_none_or(|d| d.trim().is_empty())
            {
                problems.push(format!("{name}: {option} is not described"));
            }
            for receiver in receivers {
                read.entry(receiver).or_default().insert(option.clone());
            }
        }
    }
    for (variable, shown) in variables {
        for receiver in shown["to"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
        {
            let is_read = PLAYBOOKS.contains(&variable.as_str())
                || receiver == "packer"
                || read
                    .get(receiver)
                    .is_some_and(|names| names.contains(variable));
            if !is_read {
                problems.push(format!(
                    "{variable} goes to {receiver}, and no role there reads it"
                ));
            }
        }
    }
    assert!(
        read["linux"].len() > 50 && read["windows"].len() > 30,
        "{read:?}"
    );
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Type, type of the elements, choices.
type Shape = (String, Option<String>, Vec<String>);

fn shape(spec: &Yaml) -> Shape {
    let text = |yaml: &Yaml| yaml.as_str().map(str::to_owned);
    let choices = spec["choices"].as_vec().into_iter().flatten();
    let choices = choices
        .map(|c| text(c).unwrap_or_else(|| format!("{c:?}")))
        .collect();
    (
        text(&spec["type"]).unwrap_or_default(),
        text(&spec["elements"]),
        choices,
    )
}

/// What Ansible calls a type of the language.
fn shape_of(ty: &str) -> Shape {
    let ty = ty.strip_suffix('?').unwrap_or(ty);
    let plain = |name: &str| (name.to_owned(), None, Vec::new());
    match ty {
        "bool" => plain("bool"),
        "int" => plain("int"),
        _ if ty.starts_with('[') => {
            let element = shape_of(ty.trim_start_matches('[').trim_end_matches(']'));
            ("list".to_owned(), Some(element.0), Vec::new())
        }
        _ if ty.starts_with('{') => plain("dict"),
        _ if ty.starts_with('"') => {
            let choices = ty
                .split(" | ")
                .map(|c| c.trim_matches('"').to_owned())
                .collect();
            ("str".to_owned(), None, choices)
        }
        _ => plain("str"),
    }
}
