//! What the real Packer and the real Ansible read from compiled files.
//!
//! Every image runs once through `tests/real/packer.json`: its `file` builder writes what Packer made of the
//! variables, its Ansible provisioner what Ansible got, with JSON types. Nothing is built and nobody connects
//! anywhere; a run takes about a second. To add a case, add
//! - a file to `examples/` or `tests/real/cases/`: what arrives must be what `imgspec show` says; beside it, a
//!   `NAME.expected.json` may state what must arrive, and the environment of the run, or
//! - a row to `tests/real/hostile.json`: the text must arrive by every way a text can go.
//!
//! The tools are looked for in `$IMGSPEC_TOOLS/bin` and on the PATH. Without them the tests say `skipped: …` and pass,
//! or fail where `IMGSPEC_REQUIRE_TOOLS=1`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use check::{check, compare};
use common::root;
use hostile::hostile_texts;
use run::{Image, compile, compiler, read_json, run};

mod common;

#[path = "real/check.rs"]
mod check;
#[path = "real/hostile.rs"]
mod hostile;
#[path = "real/run.rs"]
mod run;

#[test]
fn examples_arrive() {
    specs_arrive(&root().join("examples"));
}

#[test]
fn cases_arrive() {
    specs_arrive(&root().join("tests/real/cases"));
}

/// Every text of the table by every way that a text can go: an extra var, an element, a key, a value of a map, a
/// variable of the playbook alone, and one that Packer gets as well.
#[test]
fn hostile_texts_arrive() {
    let (mut variables, mut settings, mut extra_vars) =
        (String::new(), String::new(), String::new());
    let (mut list, mut map, mut keys) = (String::new(), String::new(), String::new());
    let (mut ansible, mut packer) = (Map::new(), Map::new());
    for (i, text) in hostile_texts().into_iter().enumerate() {
        let (name, literal, value) = (
            format!("{i:03}_{}", text.slug()),
            text.literal(),
            Value::from(&*text.value),
        );
        extra_vars += &format!("        h{name} = {literal}\n");
        list += &format!("            {literal},\n");
        map += &format!("            k{name} = {literal},\n");
        keys += &format!("            {literal} = {i},\n");
        variables += &format!("variable own_{name} : string {{ to = [linux] }}\n");
        settings += &format!("    own_{name} = {literal}\n");
        if !text.has_packer_braces() {
            variables += &format!("variable my_{name} : string {{ to = [packer, linux] }}\n");
            settings += &format!("    my_{name} = {literal}\n");
            ansible.insert(format!("my_{name}"), value.clone());
            packer.insert(format!("my_{name}"), value.clone());
        }
        ansible.insert(format!("h{name}"), value.clone());
        ansible.insert(format!("own_{name}"), value.clone());
        let in_list = ansible.entry("in_list").or_insert(json!([]));
        in_list.as_array_mut().unwrap().push(value.clone());
        ansible.entry("in_map").or_insert(json!({}))[format!("k{name}")] = value;
        ansible.entry("in_keys").or_insert(json!({}))[text.value] = i.into();
    }
    let spec = format!(
        "{variables}image hostile extends node-ova-local-photon-3 {{\n{settings}    ansible {{\n{extra_vars}\
        in_list = [\n{list}]\nin_map = {{\n{map}}}\nin_keys = {{\n{keys}}}\n    }}\n}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hostile.imgspec"), spec).unwrap();
    let stated = json!({ "images": { "hostile": { "ansible": ansible, "packer": packer } } });
    fs::write(
        folder.path().join("hostile.expected.json"),
        stated.to_string(),
    )
    .unwrap();
    specs_arrive(folder.path());
}

/// Packer renders the value of a variable again and again: no escape brings a literal `{{` through it.
#[test]
fn braces_that_packer_cannot_carry_are_refused() {
    for text in hostile_texts()
        .iter()
        .filter(|t| t.has_packer_braces() && !t.packer_template)
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("braces.imgspec");
        let out = folder.path().join("out");
        let spec = format!(
            "variable my_text : string {{ to = [packer, linux] }}\n\
             image braces extends node-ova-local-photon-3 {{ my_text = {} }}\n",
            text.literal()
        );
        fs::write(&file, spec).unwrap();
        let output = compiler()
            .args(["compile", "--format", "json"])
            .arg(&file)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap();
        let printed =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{}: {printed}", text.name);
        assert!(
            printed.contains("\"literal-braces\""),
            "{}: {printed}",
            text.name
        );
        assert!(
            !out.join("braces").exists(),
            "{}: written in spite of the error",
            text.name
        );
    }
}

/// Compiles every spec of a folder, runs its images, and compares what arrived with what `show` says and with what
/// `NAME.expected.json` states: `{"env": {…}, "overridden": [NAME], "images": {NAME: {"ansible": {…}, "packer": {…}}}}`.
fn specs_arrive(folder: &Path) {
    let what = folder
        .strip_prefix(common::root())
        .unwrap_or(Path::new("hostile texts"));
    let what = format!("{} with the real tools", what.display());
    let Some(path) = common::packer_and_ansible(&what) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let (mut wrong, mut jobs) = (Vec::new(), Vec::new());
    for spec in specs(folder) {
        let stated = read_json(&spec.with_extension("expected.json")).unwrap_or_default();
        match compile(&spec, &out.path().join(spec.file_stem().unwrap())) {
            Ok(images) => {
                let has = |name: &str| images.iter().any(|image| image.name == name);
                let lost = members(&stated["images"]).filter(|(name, _)| !has(name));
                wrong.extend(lost.map(|(name, _)| format!("{}: no image {name}", spec.display())));
                // What an argument for Ansible overrides is not what `show` says of the variable.
                let overridden = stated["overridden"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str);
                let overridden: Vec<&str> = overridden.collect();
                jobs.extend(images.into_iter().map(|mut image| {
                    image
                        .shown
                        .retain(|name, _| !overridden.contains(&name.as_str()));
                    (image, stated.clone())
                }));
            }
            Err(error) => wrong.push(error),
        }
    }
    wrong.extend(common::in_parallel(jobs, |(image, stated)| {
        let found = differences(&path, &image, &stated).unwrap_or_else(|error| vec![error]);
        found
            .into_iter()
            .map(|text| format!("{}: {text}", image.name))
            .collect()
    }));
    wrong.sort();
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} differences in {}:\n{}",
        wrong.len(),
        folder.display(),
        wrong.join("\n")
    );
}

fn differences(path: &OsStr, image: &Image, stated: &Value) -> Result<Vec<String>, String> {
    let mut environment = image.environment();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    environment.extend(members(&stated["env"]).map(|(name, value)| (name.clone(), text(value))));
    let arrived = run(path, image, &environment)?;
    let mut wrong = Vec::new();
    let stated = &stated["images"][&image.name];
    for (name, want) in members(&stated["ansible"]) {
        compare(&mut wrong, "Ansible", name, want, arrived.ansible.get(name));
    }
    for (name, want) in members(&stated["packer"]) {
        compare(&mut wrong, "Packer", name, want, arrived.packer.get(name));
    }
    check(&mut wrong, image, &arrived, &environment);
    Ok(wrong)
}

fn specs(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "imgspec"));
    files.sort();
    files
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
