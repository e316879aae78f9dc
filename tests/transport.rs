//! No value changes on its way through a template that is not ours.
//!
//! Each route of `tests/transport/routes.json` is a template's way of handing a variable to Ansible: a slot with these
//! quotes or none, another name, the extra-vars file, no way at all. By each of them go the texts of
//! `tests/real/hostile.json` and random ones. The compiler refuses a text with an error at the very place where it
//! stands, or the real Packer and the real Ansible deliver it as it is.
//!
//! Values travel together, as many as the compiler accepts; where a run fails it is cut in halves until the value is
//! found that broke it.

use common::root;
use hostile::hostile_texts;
use run::{Arrived, compiler, read_json, run_template};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::Path;

mod common;

#[allow(dead_code)]
#[path = "real/check.rs"]
mod check;
#[allow(dead_code)]
#[path = "real/hostile.rs"]
mod hostile;
#[allow(dead_code)]
#[path = "real/run.rs"]
mod run;

/// A way from a variable to Ansible.
#[derive(Debug, Deserialize)]
struct Route {
    name: String,
    /// The pair that the template has for each variable, in which NAME stands for its name; empty where it has none.
    slot: String,
    /// What Ansible calls the variable.
    arrives_as: String,
    /// The variables that are whole arguments.
    arguments: Vec<String>,
    /// What the target fixes, as the language writes it.
    fixes: String,
    /// A builder reads the variable as well: it must be the same text there.
    is_read: bool,
    /// The texts that arrive by it, at least, of those that are tried.
    arrive: usize,
}

/// A text on its way.
#[derive(Debug, Clone)]
struct Text {
    name: String,
    literal: String,
    value: String,
}

#[test]
fn what_is_not_refused_arrives() {
    let Some(path) = common::packer_and_ansible("values through other templates") else {
        return;
    };
    let routes: Vec<Route> =
        serde_json::from_value(read_json(&root().join("tests/transport/routes.json")).unwrap())
            .unwrap();
    let texts = texts();
    let mut problems = common::in_parallel(routes, |route| route.try_all(&path, &texts));
    problems.sort();
    assert!(
        problems.is_empty(),
        "{} texts did not arrive:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// The hostile texts and random ones. What Packer takes for a template is no text.
fn texts() -> Vec<Text> {
    let known = hostile_texts()
        .into_iter()
        .filter(|text| !text.packer_template);
    let random = random_values(160)
        .into_iter()
        .map(|value| hostile::Hostile {
            name: String::new(),
            value,
            packer_template: false,
        });
    known
        .chain(random)
        .enumerate()
        .map(|(i, text)| Text {
            name: format!("v{i:03}"),
            literal: text.literal(),
            value: text.value,
        })
        .collect()
}

/// Short texts of what quoting trips over; the same ones on every run.
fn random_values(count: usize) -> Vec<String> {
    const ALPHABET: [char; 17] = [
        ' ', '"', '\'', '\\', '=', ',', '#', '{', '}', '%', '$', '\n', 'a', 'n', 'x', '4', 'ü',
    ];
    let mut random = fastrand::Rng::with_seed(1);
    (0..count)
        .map(|_| {
            (0..=random.usize(..8))
                .map(|_| ALPHABET[random.usize(..ALPHABET.len())])
                .collect()
        })
        .collect()
}

impl Route {
    /// What is wrong with the texts that the compiler lets pass.
    fn try_all(&self, path: &OsStr, texts: &[Text]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let refused = self.compile(folder.path(), texts).err().unwrap_or_default();
        let passed = (1..)
            .zip(texts)
            .filter(|(line, _)| !refused.contains(line))
            .map(|(_, text)| text.clone());
        let (long, kept): (Vec<Text>, Vec<Text>) =
            passed.partition(|text| text.value.len() > 10_000);
        println!(
            "{}: {} of {} texts arrive",
            self.name,
            kept.len() + long.len(),
            texts.len()
        );
        let mut problems = Vec::new();
        if kept.len() + long.len() < self.arrive {
            problems.push(format!(
                "{}: only {} texts are let pass",
                self.name,
                kept.len() + long.len()
            ));
        }
        problems.extend(self.deliver(path, &kept));
        // An argument of a program has room for one of them at a time; the others are like it.
        problems.extend(self.deliver(path, &long[long.len().saturating_sub(1)..]));
        problems
    }

    /// Sends texts together, or cuts them in halves where they do not get through.
    fn deliver(&self, path: &OsStr, texts: &[Text]) -> Vec<String> {
        if texts.is_empty() {
            return Vec::new();
        }
        let folder = tempfile::tempdir().unwrap();
        if let Err(lines) = self.compile(folder.path(), texts) {
            return vec![format!(
                "{}: refused only among fewer: {lines:?}",
                self.name
            )];
        }
        let var_file = folder.path().join("out/sent/packer.vars.json");
        let names: Vec<&str> = texts.iter().map(|text| text.name.as_str()).collect();
        // A name that Packer gets no text for is empty.
        let mut template = self.template(texts);
        for name in &names {
            template["variables"][*name] = "".into();
        }
        match run_template(path, template, &var_file, &names, &run::Strings::new()) {
            Ok(arrived) => self.compare(texts, &arrived),
            Err(_) if texts.len() > 1 => {
                let (left, right) = texts.split_at(texts.len() / 2);
                [self.deliver(path, left), self.deliver(path, right)].concat()
            }
            Err(said) => vec![format!(
                "{}: {}: {}",
                self.name,
                texts[0].shown(),
                check::cut(&said, 600)
            )],
        }
    }

    fn compare(&self, texts: &[Text], arrived: &Arrived) -> Vec<String> {
        let mut problems = Vec::new();
        let mut names: BTreeSet<String> = BTreeSet::new();
        for text in texts {
            let name = self.arrives_as.replace("NAME", &text.name);
            let got = arrived.ansible.get(&name);
            if got != Some(&json!(text.value)) {
                let got = got.map_or("nothing".to_owned(), |got| check::cut(&got.to_string(), 80));
                problems.push(format!(
                    "{}: {}: Ansible got {got}",
                    self.name,
                    text.shown()
                ));
            }
            let got = &arrived.packer[&text.name];
            if self.is_read && *got != json!(text.value) {
                problems.push(format!(
                    "{}: {}: Packer got {}",
                    self.name,
                    text.shown(),
                    check::cut(&got.to_string(), 80)
                ));
            }
            names.extend([name, text.name.clone()]);
        }
        // A text that breaks out of its slot brings names that nobody wrote.
        let is_known = |name: &&String| {
            names.contains(*name)
                || name.starts_with("packer_")
                || name.starts_with("ansible_")
                || *name == "fixed"
        };
        problems.extend(
            arrived
                .ansible
                .keys()
                .filter(|name| !is_known(name))
                .map(|name| format!("{}: Ansible got {name}, which nobody wrote", self.name)),
        );
        problems
    }

    /// Compiles an image that sets a variable to each of the texts, in the line of its number.
    ///
    /// # Errors
    /// The lines of the errors, counted from the first text as 1.
    fn compile(&self, folder: &Path, texts: &[Text]) -> Result<(), BTreeSet<usize>> {
        // A library as of a checkout, with nothing in it but what is tried.
        let library = folder.join("library");
        fs::create_dir_all(&library).unwrap();
        fs::write(folder.join("imgspec.toml"), "library = \"library\"\n").unwrap();
        fs::write(
            library.join("template.json"),
            self.template(texts).to_string(),
        )
        .unwrap();
        let mut items = format!(
            "provider other {{ template = \"template.json\", roles = upstream, playbook = linux }}\n\
             image other {{ target {{ provider = other, vars = {{ {} }} }} }}\n",
            self.fixes
        );
        for name in &self.arguments {
            let _ = writeln!(items, "variable {name} : args?");
        }
        let mut spec = String::from("image sent extends other {\n");
        for text in texts {
            let _ = writeln!(
                items,
                "variable {} : string? {{ to = [packer, linux] }}",
                text.name
            );
            let _ = writeln!(spec, "{} = {}", text.name, text.literal);
        }
        spec.push_str("}\n");
        fs::write(library.join("library.imgspec"), items).unwrap();
        let file = folder.join("spec.imgspec");
        fs::write(&file, spec).unwrap();
        let output = compiler()
            .args(["compile", "--format", "json", "--out"])
            .arg(folder.join("out"))
            .arg(&file)
            .arg("sent")
            .output()
            .unwrap();
        if output.status.success() {
            return Ok(());
        }
        let found: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        let all = found["diagnostics"].as_array().unwrap().iter();
        let errors = all.filter(|d| d["severity"] == "error");
        Err(errors
            .map(|d| {
                let line = d["line"].as_u64().unwrap() as usize - 1;
                assert!(
                    (1..=texts.len()).contains(&line),
                    "{}: {} stands at no value: {}",
                    self.name,
                    d["code"],
                    d["message"]
                );
                line
            })
            .collect())
    }

    /// A template of the form of `tests/real/packer.json`.
    fn template(&self, texts: &[Text]) -> Value {
        let slots: Vec<String> = texts
            .iter()
            .map(|text| self.slot.replace("NAME", &text.name))
            .collect();
        let whole = self
            .arguments
            .iter()
            .map(|name| format!("{{{{user `{name}`}}}}"));
        let texts_and_whole = [slots.join(" ")]
            .into_iter()
            .filter(|slots| !slots.trim().is_empty())
            .chain(whole);
        let arguments: Vec<String> = texts_and_whole
            .flat_map(|text| ["--extra-vars".to_owned(), text])
            .collect();
        let reads: String = texts
            .iter()
            .filter(|_| self.is_read)
            .map(|text| format!("{{{{user `{}`}}}}", text.name))
            .collect();
        let mut template = read_json(&root().join("tests/real/packer.json")).unwrap();
        template["builders"][1]["content"] = reads.into();
        template["provisioners"][0]["extra_arguments"] = arguments.into();
        template
    }
}

impl Text {
    fn shown(&self) -> String {
        check::cut(&format!("{:?}", self.value), 80)
    }
}
