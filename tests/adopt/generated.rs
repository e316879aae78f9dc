//! Checkouts that nobody has written: random names, layers, builders, slots and versions, with what must come of them
//! worked out while they are made, and not by reading them.

use crate::layering::{Run, Strings, Target, USER};
use fastrand::Rng;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A generated checkout.
pub struct World {
    files: BTreeMap<String, Value>,
    makefile: String,
    pub targets: BTreeMap<String, Target>,
    /// The targets that no spec can be built with.
    pub refused: BTreeSet<String>,
    /// The slots of each template's arguments: the name for Ansible, the variable, whether it is quoted.
    pub slots: BTreeMap<String, Vec<(String, String, bool)>>,
    /// Which playbook each target runs, `linux` or `windows`.
    pub playbooks: BTreeMap<String, &'static str>,
    /// The variables that a target's selected builder names, by target.
    pub read: BTreeMap<String, BTreeSet<String>>,
    /// The texts that follow `kubernetes_semver`, with `N` for its number and `S` for its first two.
    pub followers: BTreeMap<&'static str, &'static str>,
}

const HEAD: &str = "SHELL := /bin/bash\n.DEFAULT_GOAL := help\n.PHONY: help deps\nhelp:\n\t@echo no help\ndeps:\n\texit 1\n\
    U := $(foreach f,$(abspath $(PACKER_VAR_FILES)),-var-file=\"$(f)\" )\n";
const PROVIDERS: [&str; 6] = ["ami", "qemu", "azure", "openstack", "cloudy", "zeta"];
const SYSTEMS: [&str; 5] = [
    "ubuntu-2404",
    "rocky-9",
    "photon-5",
    "windows-2022",
    "debian-12",
];

pub fn generate(seed: u64) -> World {
    let mut dice = Rng::with_seed(seed);
    let mut world = World {
        files: BTreeMap::new(),
        makefile: HEAD.to_owned(),
        targets: BTreeMap::new(),
        refused: BTreeSet::new(),
        slots: BTreeMap::new(),
        playbooks: BTreeMap::new(),
        read: BTreeMap::new(),
        followers: BTreeMap::new(),
    };
    let words: Vec<String> = (0..12)
        .map(|n| format!("{}_{n}", word(&mut dice)))
        .collect();
    let config = world.configuration(&mut dice, &words);
    let mut providers = PROVIDERS;
    dice.shuffle(&mut providers);
    for provider in &providers[..dice.usize(2..4)] {
        world.provider(&mut dice, provider, &words, &config);
    }
    world.more_names(&mut dice);
    world
}

fn word(dice: &mut Rng) -> String {
    (0..dice.usize(3..9))
        .map(|_| dice.char('a'..='z'))
        .collect()
}

fn pick<'a, T: ?Sized>(dice: &mut Rng, all: &[&'a T]) -> &'a T {
    all[dice.usize(..all.len())]
}

fn user(name: &str) -> String {
    format!("{{{{user `{name}`}}}}")
}

impl World {
    /// The files that all targets begin with, in order.
    fn configuration(&mut self, dice: &mut Rng, words: &[String]) -> Vec<String> {
        let number = format!("1.{}.{}", dice.u32(20..40), dice.u32(0..12));
        let series = number.rsplit_once('.').unwrap().0.to_owned();
        self.followers = BTreeMap::from([
            ("kubernetes_series", "vS"),
            (
                "kubernetes_deb_version",
                pick(dice, &["N-1.1", "N-00", "N-2.1", "N", "0:N-0"]),
            ),
            (
                "kubernetes_rpm_version",
                pick(dice, &["N", "N-0", "N-150500.1.1"]),
            ),
            (
                "kubernetes_label",
                pick(dice, &["node-vN", "vN", "k8s_N_build", "of N"]),
            ),
        ]);
        let mut kubernetes =
            Map::from_iter([("kubernetes_semver".to_owned(), json!(format!("v{number}")))]);
        for (name, form) in &self.followers {
            kubernetes.insert(
                (*name).to_owned(),
                json!(form.replace('N', &number).replace('S', &series)),
            );
        }
        // Another program's version that is the same by chance follows nothing.
        kubernetes.insert("crictl_version".to_owned(), json!(number));
        let mut common: Map<String, Value> = Map::new();
        for (at, name) in words.iter().enumerate() {
            // Later ones may name earlier ones.
            let text = match dice.u8(0..5) {
                0 => String::new(),
                1 if at > 0 => format!("x-{}", user(&words[dice.usize(..at)])),
                2 => format!("{{{{env `{}`}}}}", word(dice).to_uppercase()),
                3 => pick(dice, &["true", "false"]).to_owned(),
                _ => word(dice),
            };
            common.insert(name.clone(), json!(text));
        }
        let mut out = Vec::new();
        for (name, content) in [("kubernetes", kubernetes), ("common", common)] {
            let path = format!("packer/config/{name}.json");
            self.files.insert(path.clone(), content.into());
            out.push(path);
        }
        out
    }

    fn provider(&mut self, dice: &mut Rng, provider: &str, words: &[String], config: &[String]) {
        let template = format!("packer/{provider}/packer.json");
        let prefix = word(dice);
        // A builder's name is its type, a name, or one made of a variable's value.
        let style = dice.u8(0..3);
        let names: Vec<String> = (0..dice.usize(1..3))
            .map(|at| match style {
                0 => format!("{prefix}{at}"),
                1 => format!("{prefix}{at}-{}", user("build_name")),
                _ => format!(
                    "{prefix}{at}-{}-{}",
                    user("distribution"),
                    user("build_name")
                ),
            })
            .collect();
        let reads: Vec<BTreeSet<&String>> = names
            .iter()
            .map(|_| (0..3).map(|_| &words[dice.usize(..words.len())]).collect())
            .collect();
        let builders: Vec<Value> = names
            .iter()
            .zip(&reads)
            .map(|(name, reads)| {
                let text: Vec<String> = reads.iter().map(|name| user(name)).collect();
                json!({ "type": "null", "name": name, "communicator": "none", "about": text.join("/") })
            })
            .collect();
        let slots: Vec<(String, String, bool)> = (0..dice.usize(1..5))
            .map(|_| {
                let variable = words[dice.usize(..words.len())].clone();
                let name = if dice.bool() {
                    variable.clone()
                } else {
                    format!("other_{variable}")
                };
                (name, variable, dice.bool())
            })
            .collect();
        let pairs: Vec<String> = slots
            .iter()
            .map(|(name, variable, is_quoted)| {
                let quote = if *is_quoted { "\"" } else { "" };
                format!("{name}={quote}{}{quote}", user(variable))
            })
            .collect();
        let args = format!("packer/{provider}/args.json");
        self.files.insert(
            args.clone(),
            json!({ "ansible_common_vars": pairs.join(" ") }),
        );
        self.slots.insert(template.clone(), slots);
        // The playbook may be a variable's value.
        let playbook = if dice.bool() {
            "ansible/{{user `playbook`}}.yml"
        } else {
            "ansible/node.yml"
        };
        let arguments = ["ansible_common_vars", "ansible_user_vars"];
        let arguments: Vec<String> = arguments
            .iter()
            .flat_map(|name| ["--extra-vars".to_owned(), user(name)])
            .collect();
        self.files.insert(
            template.clone(),
            json!({
                "variables": { "ansible_common_vars": "", "ansible_user_vars": "", "build_name": null, "volume_type": "" },
                "builders": builders,
                "provisioners": [{ "type": "ansible", "playbook_file": playbook, "extra_arguments": arguments }]
            }),
        );
        let mut systems = SYSTEMS;
        dice.shuffle(&mut systems);
        for system in &systems[..dice.usize(1..4)] {
            let file = format!("packer/{provider}/{system}.json");
            let mut layer = Map::from_iter([
                ("build_name".to_owned(), json!(system)),
                ("distribution".to_owned(), json!(word(dice))),
            ]);
            let is_windows = playbook.contains("user") && system.starts_with("windows");
            layer.insert(
                "playbook".to_owned(),
                json!(if is_windows {
                    "windows/node_windows"
                } else {
                    "node"
                }),
            );
            for _ in 0..dice.usize(0..4) {
                layer.insert(words[dice.usize(..words.len())].clone(), json!(word(dice)));
            }
            let selected = dice.usize(..names.len());
            let fill = |name: &str| {
                let distribution = layer["distribution"].as_str().unwrap();
                name.replace(&user("build_name"), system)
                    .replace(&user("distribution"), distribution)
            };
            let only = if dice.bool() {
                vec![fill(&names[selected])]
            } else {
                Vec::new()
            };
            let but: Vec<String> = names
                .iter()
                .map(|n| fill(n))
                .filter(|n| *n != fill(&names[selected]))
                .collect();
            let except = if only.is_empty() { but } else { Vec::new() };
            self.files.insert(file.clone(), layer.into());
            let var_files: Vec<String> = config
                .iter()
                .cloned()
                .chain([args.clone(), file, USER.to_owned()])
                .collect();
            let vars = if dice.u8(0..4) == 0 {
                vec![format!("{}=fixed", words[0])]
            } else {
                Vec::new()
            };
            let run = Run {
                template: template.clone(),
                var_files,
                vars,
                only,
                except,
            };
            let make = format!("build-{provider}-{system}");
            let _ = write!(self.makefile, "{make}: deps\n\t{}\n", command(&run));
            self.read.insert(
                make.clone(),
                reads[selected].iter().map(|name| (*name).clone()).collect(),
            );
            self.playbooks
                .insert(make.clone(), if is_windows { "windows" } else { "linux" });
            self.targets.insert(
                make,
                Target {
                    doc: None,
                    packer: vec![run],
                },
            );
        }
    }

    /// Second names, names for several, and targets that cannot be served.
    fn more_names(&mut self, dice: &mut Rng) {
        let makes: Vec<String> = self.targets.keys().cloned().collect();
        let first = makes[dice.usize(..makes.len())].clone();
        let text = &mut self.makefile;
        let _ = writeln!(
            text,
            "build-alias: deps {first}\nbuild-called:\n\t@$(MAKE) {first}\nbuild-chain: build-alias"
        );
        for alias in ["build-alias", "build-called", "build-chain"] {
            let runs = self.targets[&first].packer.clone();
            self.targets.insert(
                alias.to_owned(),
                Target {
                    doc: None,
                    packer: runs,
                },
            );
            self.read
                .insert(alias.to_owned(), self.read[&first].clone());
            self.playbooks
                .insert(alias.to_owned(), self.playbooks[&first]);
        }
        let _ = writeln!(text, "build-script:\n\t./script.sh");
        let _ = writeln!(text, "build-marked:\n\t+packer build $(U) x.json");
        let _ = writeln!(
            text,
            "build-nobody:\n\tpacker build -only=nobody $(U) packer/{}/packer.json",
            {
                let template = self.slots.keys().next().unwrap();
                template.split('/').nth(1).unwrap()
            }
        );
        self.refused
            .extend(["build-script", "build-marked", "build-nobody"].map(str::to_owned));
        if makes.len() > 1 {
            let _ = writeln!(text, "build-all: {}", makes.join(" "));
            self.refused.insert("build-all".to_owned());
        }
    }

    pub fn write(&self, root: &Path) {
        for (path, content) in &self.files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.to_string()).unwrap();
        }
        fs::write(root.join("Makefile"), &self.makefile).unwrap();
    }

    /// The strings of a target's layers after `kubernetes_semver` has been set.
    pub fn with_version(&self, mut raw: Strings, number: &str) -> Strings {
        let series = number.rsplit_once('.').unwrap().0;
        raw.insert("kubernetes_semver".to_owned(), format!("v{number}"));
        for (name, form) in &self.followers {
            raw.insert(
                (*name).to_owned(),
                form.replace('N', number).replace('S', series),
            );
        }
        raw
    }
}

fn command(run: &Run) -> String {
    let mut out = String::from("packer build");
    for file in &run.var_files {
        let _ = if file == USER {
            write!(out, " $(U)")
        } else {
            write!(out, " -var-file=\"$(abspath {file})\"")
        };
    }
    for pair in &run.vars {
        let _ = write!(out, " -var {pair}");
    }
    for (flag, names) in [("only", &run.only), ("except", &run.except)] {
        if !names.is_empty() {
            let _ = write!(out, " -{flag}={}", names.join(","));
        }
    }
    format!("{out} {}", run.template)
}
