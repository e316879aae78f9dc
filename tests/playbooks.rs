//! Ansible evaluates the playbooks for every system, with the values of compiled images and without a node.
//!
//! `tests/playbooks/RELEASE.imgspec` has the images. `nodes.json` says for each of them which system its node has, what
//! tasks find on it, and what files must contain afterwards: strings, or the values of a TOML file at JSON pointers; `null` for a
//! file that no task writes.
//! `strategy/evaluate.py` stands in for the node. A name that nothing defines fails, and so does a task that no node runs.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

/// Tasks that no node here can run, and why.
const NEVER: &[(&str, &str)] = &[
    ("Ask apt what is wrong", "apt does not fail"),
    ("Say why there is no index", "apt does not fail"),
    ("Say that there are no packages here", "it only fails"),
    ("Refuse a Flatcar without Python", "it only fails"),
];

#[test]
fn playbooks_are_evaluated_for_every_system() {
    let Some(ansible) = ansible() else { return };
    let data = common::root().join("tests/playbooks");
    let text = fs::read_to_string(data.join("nodes.json")).unwrap();
    let known: Value = serde_json::from_str(&text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();

    let mut groups = json!({ "linux": { "hosts": {} }, "windows": { "hosts": {} } });
    let mut compiled = BTreeSet::new();
    for spec in common::files(&data, "imgspec") {
        for (image, values) in compile(&spec, folder) {
            let node = &known["nodes"][&image];
            let system = node["system"].as_str();
            let system = system.unwrap_or_else(|| panic!("nodes.json does not know {image}"));
            let facts = &known["systems"][system];
            assert!(facts.is_object(), "nodes.json does not know {system}");
            let is_windows = facts["os_family"] == "Windows";
            let group = if is_windows { "windows" } else { "linux" };
            groups[group]["hosts"][&image] = host(values, facts, node, &known["finds"]);
            compiled.insert(image);
        }
    }
    let nodes: BTreeSet<String> = known["nodes"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(compiled, nodes, "images, and what nodes.json knows");
    let inventory = folder.join("inventory.json");
    fs::write(&inventory, groups.to_string()).unwrap();
    write_collection(folder);
    fs::write(folder.join("ansible.cfg"), "").unwrap();

    let evaluated = folder.join("evaluated");
    fs::create_dir(&evaluated).unwrap();
    let told = [
        ("IMGSPEC_RELEASE_FILE", "NAME=\"imgspec\"\n"),
        ("IMGSPEC_PROVENANCE_FILE", "{}\n"),
    ];
    for (name, text) in told {
        fs::write(folder.join(name), text).unwrap();
    }
    for (group, playbooks) in [
        ("linux", &["firstboot.yml", "node.yml"][..]),
        ("windows", &["node_windows.yml"]),
    ] {
        let output = Command::new(&ansible)
            .current_dir(common::root().join("ansible"))
            .args(["--limit", group, "--inventory"])
            .arg(&inventory)
            .args(playbooks)
            .env("IMGSPEC_EVALUATED", &evaluated)
            .envs(told.map(|(name, _)| (name, folder.join(name))))
            .env("ANSIBLE_CONFIG", folder.join("ansible.cfg"))
            .env("ANSIBLE_HOME", folder.join("home"))
            .env("ANSIBLE_COLLECTIONS_PATH", folder)
            .env("ANSIBLE_STRATEGY_PLUGINS", data.join("strategy"))
            .env("ANSIBLE_STRATEGY", "evaluate")
            .env("ANSIBLE_NOCOLOR", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        let problems = failures(&evaluated);
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert!(
            output.status.success(),
            "{group}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    let mut problems = tasks_that_never_ran(&evaluated);
    for (image, node) in known["nodes"].as_object().unwrap() {
        for (path, wanted) in node["files"].as_object().into_iter().flatten() {
            let file = evaluated.join("files").join(image).join(path);
            match fs::read_to_string(&file) {
                // No task may write it.
                result if wanted.is_null() => {
                    problems.extend(result.ok().map(|_| format!("{image}: {path} is there")));
                }
                Ok(text) => problems.extend(
                    differences(path, &text, wanted)
                        .into_iter()
                        .map(|problem| format!("{image}: {path}: {problem}")),
                ),
                Err(e) => problems.push(format!("{image}: {path}: {e}")),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The example of "Authenticating Requests: Using Query Parameters" in the reference of Amazon's S3.
#[test]
fn addresses_of_s3_are_signed_as_amazon_documents() {
    let Some(ansible) = ansible() else { return };
    let folder = tempfile::tempdir().unwrap();
    let playbook = folder.path().join("playbook.yml");
    let text = r#"
- hosts: localhost
  gather_facts: false
  vars:
    address: >-
      {{ 'https://examplebucket.s3.amazonaws.com' | s3_url(bucket='', object='test.txt', expires=86400,
         access='AKIAIOSFODNN7EXAMPLE', secret='wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
         now='2013-05-24' | to_datetime('%Y-%m-%d')) }}
  tasks:
    - assert:
        that: address.endswith('=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404')
        fail_msg: "{{ address }}"
"#;
    fs::write(&playbook, text).unwrap();
    let output = Command::new(&ansible)
        .current_dir(folder.path())
        .args(["--inventory", "localhost,", "--connection", "local"])
        .arg(&playbook)
        .env("ANSIBLE_HOME", folder.path().join("home"))
        .env(
            "ANSIBLE_FILTER_PLUGINS",
            common::root().join("ansible/filter_plugins"),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
}

fn ansible() -> Option<PathBuf> {
    let found = std::env::split_paths(&common::search_path())
        .map(|folder| folder.join("ansible-playbook"))
        .find(|program| program.is_file());
    if found.is_none() {
        common::skip_without_tools("no ansible-playbook found");
    }
    found
}

/// The images of a spec, which is named after its release, with what Ansible gets of them.
fn compile(spec: &Path, folder: &Path) -> Vec<(String, Map<String, Value>)> {
    let data = spec.parent().unwrap();
    let release = spec.file_stem().unwrap().to_str().unwrap();
    // A copy, since the path of a file on the build machine is absolute.
    let project = folder.join(release);
    fs::create_dir(&project).unwrap();
    for part in ["files", "roles"] {
        copy(&data.join(part), &project.join(part));
    }
    let files = project.join("files");
    let text = fs::read_to_string(spec)
        .unwrap()
        .replace("file:///files", &format!("file://{}", files.display()));
    fs::write(project.join("nodes.imgspec"), text).unwrap();
    fs::write(
        project.join("imgspec.toml"),
        format!("release = {release:?}\n"),
    )
    .unwrap();
    let output = common::imgspec(&project)
        .args(["compile", "nodes.imgspec", "--out", "out"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    common::entries(&project.join("out"))
        .into_iter()
        .filter(|path| path.is_dir())
        .map(|image| {
            let text = fs::read_to_string(image.join("ansible.vars.json")).unwrap();
            let name = image.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in common::entries(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The variables of a host: the image's, and what the strategy wants to know.
fn host(values: Map<String, Value>, facts: &Value, node: &Value, finds: &Value) -> Value {
    let version = node["containerd"].as_str().unwrap();
    let containerd = format!("containerd github.com/containerd/containerd v{version} 0123456");
    let kubelet = format!(
        "Kubernetes {}",
        values["kubernetes_semver"].as_str().unwrap()
    );
    let mut results = json!({
        "containerd_release": { "stdout": containerd },
        "windows_runtime_release": { "stdout": containerd },
        "windows_kubernetes_version": { "stdout": kubelet },
    });
    let found = node["finds"].as_array().into_iter().flatten();
    let found = found.map(|name| &finds[name.as_str().unwrap()]);
    for result in found.chain([&node["results"]]) {
        for (name, value) in result.as_object().into_iter().flatten() {
            results[name] = value.clone();
        }
    }
    let mut host = Value::Object(values);
    // What Packer itself adds to what the file has.
    for (name, value) in node["arguments"].as_object().into_iter().flatten() {
        host[name] = value.clone();
    }
    host["facts"] = facts.clone();
    host["results"] = results;
    host["ansible_connection"] = "local".into();
    host["ansible_become"] = false.into();
    host
}

/// The modules for Windows as empty files: Ansible wants to find them, and nothing runs them.
fn write_collection(folder: &Path) {
    let modules = folder.join("ansible_collections/ansible/windows/plugins/modules");
    fs::create_dir_all(&modules).unwrap();
    let name = regex::Regex::new(r"\bansible\.windows\.(win_\w+)").unwrap();
    for entry in walkdir::WalkDir::new(common::root().join("ansible")) {
        let entry = entry.unwrap();
        if entry.path().extension().is_some_and(|e| e == "yml") {
            let text = fs::read_to_string(entry.path()).unwrap();
            for found in name.captures_iter(&text) {
                fs::write(modules.join(format!("{}.py", &found[1])), "").unwrap();
            }
        }
    }
}

fn tasks(evaluated: &Path) -> Vec<Value> {
    fs::read_to_string(evaluated.join("tasks.jsonl"))
        .unwrap_or_default()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Failed tasks, each message once, with the nodes on which it failed.
fn failures(evaluated: &Path) -> Vec<String> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for task in tasks(evaluated) {
        let Some(message) = task["failed"].as_str() else {
            continue;
        };
        let text = |key: &str| task[key].as_str().unwrap().to_owned();
        let (place, name, host) = (text("place"), text("task"), text("host"));
        let text = format!("{place}: {name}: {message}");
        match found.iter_mut().find(|(known, _)| *known == text) {
            Some((_, hosts)) => hosts.push(host),
            None => found.push((text, vec![host])),
        }
    }
    found
        .into_iter()
        .map(|(text, hosts)| format!("{text} [{}]", hosts.join(", ")))
        .collect()
}

fn tasks_that_never_ran(evaluated: &Path) -> Vec<String> {
    let text = fs::read_to_string(evaluated.join("all.json")).unwrap();
    let all: Vec<(String, String)> = serde_json::from_str(&text).unwrap();
    assert!(all.len() > 200, "only {} tasks", all.len());
    let ran: BTreeSet<String> = tasks(evaluated)
        .iter()
        .filter(|task| task["ran"] == true)
        .map(|task| task["place"].as_str().unwrap().to_owned())
        .collect();
    let is_known = |name: &str| NEVER.iter().any(|(known, _)| name.starts_with(known));
    let mut problems = Vec::new();
    for (place, name) in &all {
        if !ran.contains(place) && !is_known(name) {
            problems.push(format!("{place}: no node runs `{name}`"));
        }
    }
    for (name, why) in NEVER {
        let known = all.iter().find(|(_, task)| task.starts_with(name));
        match known {
            None => problems.push(format!(
                "no task is called `{name}`, which never runs: {why}"
            )),
            Some((place, _)) if ran.contains(place) => {
                problems.push(format!("{place}: `{name}` runs, but should not: {why}"));
            }
            Some(_) => {}
        }
    }
    problems
}

/// What a file lacks.
fn differences(path: &str, text: &str, wanted: &Value) -> Vec<String> {
    if let Some(parts) = wanted.as_array() {
        let parts = parts.iter().map(|part| part.as_str().unwrap());
        return parts
            .filter(|part| !text.contains(part))
            .map(|part| format!("`{part}` is not in\n{text}"))
            .collect();
    }
    assert!(path.ends_with(".toml"), "{path}");
    let found: Value = match toml::from_str(text) {
        Ok(found) => found,
        Err(e) => return vec![format!("{e}\n{text}")],
    };
    let wanted = wanted.as_object().unwrap();
    wanted
        .iter()
        .filter(|(pointer, value)| found.pointer(pointer) != Some(value))
        .map(|(pointer, value)| {
            let other = found.pointer(pointer);
            format!("{pointer} is {other:?} and not {value} in\n{text}")
        })
        .collect()
}
