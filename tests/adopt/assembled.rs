//! A tree like a checkout's, put together from the data of a release: its JSON files, a Makefile with its targets,
//! and builders and provisioners for its templates, of which the data has the variables only.

use crate::layering::{Run, Target, USER};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

const HEAD: &str = r#"SHELL := /usr/bin/env bash
.DEFAULT_GOAL := help
.PHONY: help deps
help: ## Says what there is
	@awk 'BEGIN {FS = ":.*##"} /^[0-9A-Za-z_-]+:.*?##/ { printf "  \033[36m%-50s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
deps:
	exit 1
USER_FILES := $(foreach f,$(abspath $(PACKER_VAR_FILES)),-var-file="$(f)" )
"#;

/// Puts the tree together, and gives back the targets that are in it. A target whose template is not in the data is
/// left out, and so are var files that are not.
pub fn assemble(release: &Path, root: &Path, targets: BTreeMap<String, Target>) -> BTreeMap<String, Target> {
    copy(&release.join("packer"), &root.join("packer"));
    let has = |file: &String| file == USER || root.join(file).is_file();
    let mut kept = targets;
    kept.retain(|_, target| !target.packer.is_empty() && target.packer.iter().all(|run| has(&run.template)));
    kept.values_mut().flat_map(|target| &mut target.packer).for_each(|run| run.var_files.retain(has));
    let mut makefile = HEAD.to_owned();
    for (name, target) in &kept {
        let commands: Vec<String> = target.packer.iter().map(command).collect();
        let doc = target.doc.as_deref().unwrap_or_default();
        let _ = write!(makefile, "\n{name}: deps ## {doc}\n\t{}\n", commands.join(" && "));
    }
    fs::write(root.join("Makefile"), makefile).unwrap();
    let runs: Vec<&Run> = kept.values().flat_map(|target| &target.packer).collect();
    for template in runs.iter().map(|run| &run.template).collect::<BTreeSet<_>>() {
        let file = root.join(template);
        let mut json: Map<String, Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let builders: BTreeSet<&String> = runs
            .iter()
            .filter(|run| run.template == *template)
            .flat_map(|run| run.only.iter().chain(&run.except))
            .collect();
        complete(&mut json, template, &builders);
        fs::write(&file, Value::Object(json).to_string()).unwrap();
    }
    kept
}

fn command(run: &Run) -> String {
    let mut out = String::from("packer build");
    for file in &run.var_files {
        let _ = match file == USER {
            true => write!(out, " $(USER_FILES)"),
            false => write!(out, " -var-file=\"$(abspath {file})\""),
        };
    }
    for pair in &run.vars {
        let _ = write!(out, " --var=\"{pair}\"");
    }
    for (flag, names) in [("only", &run.only), ("except", &run.except)] {
        if !names.is_empty() {
            let _ = write!(out, " -{flag}={}", names.join(","));
        }
    }
    format!("{out} {}", run.template)
}

/// Builders under the names that targets ask for, and the provisioner that all of Image Builder's templates have.
fn complete(json: &mut Map<String, Value>, template: &str, builders: &BTreeSet<&String>) {
    let builder = |name: &str| json!({ "type": "null", "communicator": "none", "name": name });
    let all: Vec<Value> = match builders.is_empty() {
        true => vec![builder("null")],
        false => builders.iter().map(|name| builder(name)).collect(),
    };
    let playbook = if template.contains("windows") { "windows/node_windows.yml" } else { "node.yml" };
    let arguments: Vec<String> = ["ansible_common_vars", "ansible_extra_vars", "ansible_user_vars"]
        .iter()
        .flat_map(|name| ["--extra-vars".to_owned(), format!("{{{{user `{name}`}}}}")])
        .collect();
    json.insert("builders".into(), all.into());
    json.insert(
        "provisioners".into(),
        json!([{ "type": "ansible", "playbook_file": format!("./ansible/{playbook}"), "extra_arguments": arguments }]),
    );
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in crate::common::entries(from) {
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}
