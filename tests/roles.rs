//! The roles take what the schema sends: names, types, choices.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// Read by the playbooks themselves, before and behind all roles; and a deprecated name, which arrives under the real one.
const PLAYBOOKS: [&str; 9] = [
    "firstboot_custom_roles_pre",
    "firstboot_custom_roles_post",
    "node_custom_roles_pre",
    "node_custom_roles_post",
    "node_custom_roles_post_sysprep",
    "node_ansible_tmpdir",
    "ecr_credential_provider",
    "flatcar_python_url",
    "custom_role_names",
];

/// What a role says about a variable.
struct Read {
    role: String,
    variable: String,
    receivers: &'static [&'static str],
    shape: Shape,
}

/// The releases share the roles: each variable of each release is read, or `tests/roles/unread.json` says why not; and
/// what a role reads is a variable of a release, with a type that the role takes.
#[test]
fn argument_specs_agree_with_the_schema_of_every_release() {
    let text = std::fs::read_to_string(common::root().join("tests/roles/unread.json")).unwrap();
    let unread: Value = serde_json::from_str(&text).unwrap();
    let mut problems = Vec::new();
    let read = read_by_roles(&mut problems);
    let mut stale: BTreeSet<(String, String)> = ["linux", "windows"]
        .iter()
        .flat_map(|receiver| {
            let names = unread[receiver].as_object().unwrap().keys();
            names.map(|name| ((*receiver).to_owned(), name.clone()))
        })
        .collect();
    let mut found: BTreeMap<usize, Vec<Shape>> = BTreeMap::new();
    for release in common::files(&common::root().join("stdlib"), "imgspec") {
        let release = release.file_stem().unwrap().to_str().unwrap().to_owned();
        let shown = common::run_json(
            common::root(),
            &["show", "--json", "--release", &release, "rootfs-debian-12"],
        );
        let variables = shown[0]["variables"].as_object().unwrap();
        for (i, read) in read.iter().enumerate() {
            if let Some(variable) = variables.get(&read.variable) {
                let shape = shape_of(variable["type"].as_str().unwrap());
                found.entry(i).or_default().push(shape);
            }
        }
        for (variable, shown) in variables {
            let receivers = shown["to"].as_array().unwrap().iter();
            for receiver in receivers.filter_map(Value::as_str) {
                let is_read = PLAYBOOKS.contains(&variable.as_str())
                    || receiver == "packer"
                    || read.iter().any(|read| {
                        read.variable == *variable && read.receivers.contains(&receiver)
                    });
                let is_unread = unread[receiver].get(variable).is_some();
                if is_unread && !is_read {
                    stale.remove(&(receiver.to_owned(), variable.clone()));
                } else if !is_read {
                    problems.push(format!(
                        "{release}: {variable} goes to {receiver}, and no role there reads it"
                    ));
                }
            }
        }
    }
    for (i, read) in read.iter().enumerate() {
        let name = format!("{}: {}", read.role, read.variable);
        match found.get(&i) {
            Some(shapes) => problems.extend(
                disagreement(&read.shape, shapes).map(|problem| format!("{name} {problem}")),
            ),
            None if unread["custom_roles"].get(&read.role).is_some() => {}
            None => problems.push(format!("{name}: no release has this variable")),
        }
    }
    for (receiver, variable) in stale {
        problems.push(format!(
            "tests/roles/unread.json: {variable} is read on {receiver}, or goes nowhere"
        ));
    }
    for receiver in ["linux", "windows"] {
        let of = read
            .iter()
            .filter(|read| read.receivers.contains(&receiver));
        assert!(of.count() > 30, "{receiver}");
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn read_by_roles(problems: &mut Vec<String>) -> Vec<Read> {
    let mut read = Vec::new();
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
            let variable = option.into_string().unwrap();
            let description = spec["description"].as_str();
            if description.is_none_or(|text| text.trim().is_empty()) {
                problems.push(format!("{name}: {variable} is not described"));
            }
            read.push(Read {
                role: name.clone(),
                variable,
                receivers,
                shape: shape(&spec),
            });
        }
    }
    read
}

/// How what a role takes differs from what the releases send. A list takes a single string, too. The choices are those of
/// all releases together.
fn disagreement(role: &Shape, releases: &[Shape]) -> Option<String> {
    let is_taken = |sent: &Shape| {
        let is_single = role.0 == "list" && role.1.as_deref() == Some("str") && sent.0 == "str";
        is_single || (&role.0, &role.1) == (&sent.0, &sent.1)
    };
    let taken = releases.iter().filter(|sent| is_taken(sent)).count();
    let is_exact = releases.iter().any(|sent| role.0 == sent.0);
    let sent: BTreeSet<&String> = releases.iter().flat_map(|sent| &sent.2).collect();
    let is_same = taken == releases.len() && is_exact && sent == role.2.iter().collect();
    (!is_same).then(|| format!("is {releases:?} in the releases, {role:?} in the role"))
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
