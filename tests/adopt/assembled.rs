//! A tree like a checkout's, put together from the facts of a release: its JSON files, a Makefile with its targets, and
//! templates with the builders, provisioners and variables that `templates.json` states.

use crate::common::copy_folder;
use crate::layering::{Run, Target, USER, read_object};
use serde::Deserialize;
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

/// Puts the tree together, and gives back the targets that are in it. Var files that are not in the data are left out.
pub fn assemble(
    release: &Path,
    root: &Path,
    targets: BTreeMap<String, Target>,
) -> BTreeMap<String, Target> {
    copy_folder(&release.join("packer"), &root.join("packer"));
    let facts: Facts =
        serde_json::from_slice(&fs::read(release.join("templates.json")).unwrap()).unwrap();
    for (path, template) in &facts.templates {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, template.json().to_string()).unwrap();
    }
    // Some var files are only in the facts about variables.
    if release.join("variables.json").is_file() {
        let runs = targets.values().flat_map(|target| &target.packer);
        let files: BTreeSet<&String> = runs.flat_map(|run| &run.var_files).collect();
        for file in files.into_iter().filter(|file| *file != USER) {
            let is_there = ["", ".tmpl"]
                .iter()
                .any(|e| root.join(format!("{file}{e}")).is_file());
            if !is_there {
                let settings = Value::Object(read_object(release, file));
                fs::write(root.join(file), settings.to_string()).unwrap();
            }
        }
    }
    let has = |file: &String| {
        file == USER
            || ["", ".tmpl"]
                .iter()
                .any(|e| root.join(format!("{file}{e}")).is_file())
    };
    let mut kept = targets;
    kept.retain(|_, target| !target.packer.is_empty());
    kept.values_mut()
        .flat_map(|target| &mut target.packer)
        .for_each(|run| run.var_files.retain(has));
    let mut makefile = HEAD.to_owned();
    for (name, target) in &kept {
        let commands: Vec<String> = target.packer.iter().map(command).collect();
        let doc = target.doc.as_deref().unwrap_or_default();
        let _ = write!(
            makefile,
            "\n{name}: deps ## {doc}\n\t{}\n",
            commands.join(" && ")
        );
    }
    fs::write(root.join("Makefile"), makefile).unwrap();
    kept
}

/// What `templates.json` states of a release.
#[derive(Deserialize)]
struct Facts {
    templates: BTreeMap<String, Template>,
}

#[derive(Deserialize)]
struct Template {
    builders: Vec<Builder>,
    #[serde(default)]
    provisioners: Vec<Provisioner>,
    #[serde(default)]
    post_processors: Vec<Provisioner>,
    variables: Map<String, Value>,
}

#[derive(Deserialize)]
struct Builder {
    r#type: String,
    name: Option<String>,
    /// For each of its keys the variables that the key's text names.
    keys: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Provisioner {
    r#type: String,
    only: Option<Value>,
    except: Option<Value>,
    playbook_file: Option<String>,
    /// The variables that `extra_arguments` names, sorted.
    #[serde(default)]
    extra_arguments_read: Vec<String>,
    /// The flags among `extra_arguments`, in order.
    #[serde(default)]
    extra_arguments_flags: Vec<String>,
    #[serde(default)]
    reads: Vec<String>,
}

fn user(name: &String) -> String {
    format!("{{{{user `{name}`}}}}")
}

fn users(names: &[String]) -> String {
    names.iter().map(user).collect::<Vec<_>>().join(" ")
}

impl Template {
    fn json(&self) -> Value {
        json!({
            "variables": self.variables,
            "builders": self.builders.iter().map(Builder::json).collect::<Vec<_>>(),
            "provisioners": self.provisioners.iter().map(Provisioner::json).collect::<Vec<_>>(),
            "post-processors": self.post_processors.iter().map(Provisioner::json).collect::<Vec<_>>(),
        })
    }
}

impl Builder {
    fn json(&self) -> Value {
        let mut out: Map<String, Value> = self
            .keys
            .iter()
            .map(|(key, names)| (key.clone(), users(names).into()))
            .collect();
        out.insert("type".into(), self.r#type.clone().into());
        out.extend(
            self.name
                .clone()
                .map(|name| ("name".to_owned(), name.into())),
        );
        out.into()
    }
}

impl Provisioner {
    fn json(&self) -> Value {
        let mut out = json!({ "type": self.r#type, "reads": users(&self.reads) });
        let list = |value: &Value| {
            if value.is_array() {
                value.clone()
            } else {
                json!([value])
            }
        };
        for (key, names) in [("only", &self.only), ("except", &self.except)] {
            if let Some(names) = names {
                out[key] = list(names);
            }
        }
        if let Some(playbook) = &self.playbook_file {
            out["playbook_file"] = playbook.as_str().into();
            out["extra_arguments"] = self.arguments().into();
        }
        out
    }

    /// The facts have the flags in order and the names sorted. A variable whose value is arguments is one as a whole;
    /// any other stands in `name=value`.
    fn arguments(&self) -> Vec<String> {
        let (scp, rest): (Vec<&String>, Vec<&String>) = self
            .extra_arguments_read
            .iter()
            .partition(|name| name.contains("scp"));
        let (mut scp, mut rest) = (scp.into_iter(), rest.into_iter());
        let mut out = Vec::new();
        for flag in &self.extra_arguments_flags {
            let name = if flag == "--extra-vars" {
                rest.next()
            } else {
                scp.next()
            };
            let Some(name) = name else { continue };
            let is_whole = name.ends_with("_vars") || name.ends_with("_args");
            out.push(flag.clone());
            out.push(if is_whole {
                user(name)
            } else {
                format!("{name}={}", user(name))
            });
        }
        out
    }
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
