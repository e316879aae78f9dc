//! An Image Builder checkout, as far as configuration goes: its targets with what they run, and the files that
//! those name.

use super::command_line::{PackerCommand, parse_recipe};
use super::is_variable_name;
use crate::project::template::{Template, named};
use crate::source::{Loader, normalize};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A target of make, with the text of what it would run.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub name: String,
    /// What `make help` says of it.
    pub doc: Option<String>,
    pub text: String,
}

/// A checkout's targets and files.
#[derive(Debug, Default)]
pub struct Checkout {
    pub targets: Vec<Target>,
    /// The text of each template, by its path below the checkout.
    pub templates: BTreeMap<String, String>,
    /// The variables of each template with their defaults, in order; none where it wants a value.
    pub defaults: BTreeMap<String, Vec<(String, Option<String>)>>,
    /// The entries of each var file in its order, by its path below the checkout.
    pub var_files: BTreeMap<String, Vec<Entry>>,
    /// The targets that do not hand the user's var files on.
    deaf: Vec<String>,
    /// What was left out, and why, a sentence each.
    pub notes: Vec<String>,
}

/// A name of a var file with its string; `null` is empty there (`command/flag-kv/flag_json.go`).
pub type Entry = (String, String);

/// A target of make that runs Packer.
#[derive(Debug)]
pub struct Target {
    /// Its name for make.
    pub make: String,
    pub doc: Option<String>,
    pub runs: Vec<PackerCommand>,
}

impl Checkout {
    /// Reads what recipes name, below the folder of the Makefile. `user_file` is the name of the var file that
    /// stands for the user's: what is given after it beats it, as `-var` does, and becomes such.
    ///
    /// A target that cannot be read is left out, with a note. `others` are further files that may be var files,
    /// by their paths below the checkout: those that no target uses, but a person may.
    pub fn read(
        loader: &dyn Loader,
        root: &Path,
        recipes: &[Recipe],
        user_file: &str,
        others: &[String],
    ) -> Checkout {
        let mut checkout = Checkout::default();
        let root = loader.canonical(root);
        for recipe in recipes {
            let runs: Result<Vec<PackerCommand>, String> = parse_recipe(&recipe.text)
                .into_iter()
                .filter(|run| !run.template.is_empty())
                .map(|run| checkout.read_run(loader, &root, run, user_file))
                .collect();
            match runs {
                Ok(runs) if runs.is_empty() => {}
                Ok(runs) => {
                    if !recipe.text.contains(user_file) {
                        checkout.deaf.push(recipe.name.clone());
                    }
                    checkout.targets.push(Target {
                        make: recipe.name.clone(),
                        doc: recipe.doc.clone(),
                        runs,
                    });
                }
                Err(reason) => checkout.notes.push(format!("{} is left out: {reason}", recipe.name)),
            }
        }
        if !checkout.deaf.is_empty() {
            let names: Vec<&str> = checkout.deaf.iter().map(String::as_str).collect();
            checkout
                .notes
                .push(format!("these targets pass no PACKER_VAR_FILES to Packer: {}", names.join(", ")));
        }
        // Only what the targets use.
        let runs = || checkout.targets.iter().flat_map(|target| &target.runs);
        let templates: BTreeSet<String> = runs().map(|run| run.template.clone()).collect();
        let files: BTreeSet<String> = runs().flat_map(|run| run.files().cloned()).collect();
        checkout.templates.retain(|path, _| templates.contains(path));
        checkout.defaults.retain(|path, _| templates.contains(path));
        checkout.var_files.retain(|path, _| files.contains(path));
        for path in others.iter().filter(|path| !files.contains(*path) && !templates.contains(*path)) {
            if let Some(entries) = read_rendered(loader, &root, path).ok().and_then(|text| strings(&text)) {
                checkout.var_files.insert(path.clone(), entries);
            }
        }
        checkout
    }

    /// Reads what a run names, and says it in paths below the checkout.
    fn read_run(
        &mut self,
        loader: &dyn Loader,
        root: &Path,
        mut run: PackerCommand,
        user_file: &str,
    ) -> Result<PackerCommand, String> {
        run.template = below(loader, root, &run.template);
        if run.template.ends_with(".hcl") || loader.is_file(&root.join(&run.template).join("main.pkr.hcl")) {
            return Err(format!("its template {} is HCL, not JSON", run.template));
        }
        for file in &mut run.var_files {
            *file = below(loader, root, file);
        }
        if !self.templates.contains_key(&run.template) {
            let text = read_rendered(loader, root, &run.template)?;
            let template = Template::parse(&text).map_err(|e| format!("{}: {e}", run.template))?;
            let defaults =
                template.variables().map(|(name, text)| (name.to_owned(), text.map(str::to_owned)));
            self.defaults.insert(run.template.clone(), defaults.collect());
            self.templates.insert(run.template.clone(), text);
        }
        for file in run.var_files.iter().filter(|file| *file != user_file) {
            if !self.var_files.contains_key(file) {
                let text = read_rendered(loader, root, file)?;
                let entries = parse_var_file(&text).map_err(|e| format!("{file}: {e}"))?;
                self.var_files.insert(file.clone(), entries);
            }
        }
        let mut files = std::mem::take(&mut run.var_files);
        if let Some(at) = files.iter().position(|file| file == user_file) {
            run.above = last_places(files.drain(at..).skip(1).filter(|file| file != user_file).collect());
            files.retain(|file| !run.above.contains(file));
        }
        run.var_files = last_places(files);
        Ok(run)
    }

    /// The variables of a template with their defaults, in order; none where it wants a value.
    pub fn template_variables(&self, template: &str) -> &[(String, Option<String>)] {
        self.defaults.get(template).map_or(&[], Vec::as_slice)
    }

    /// All names that the checkout gives a value or a reference, and that a variable can have.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for (template, text) in &self.templates {
            names.extend(self.template_variables(template).iter().map(|(name, _)| name.clone()));
            names.extend(named(text).into_iter().map(|n| n.to_string()));
        }
        let vars = self.targets.iter().flat_map(|t| &t.runs).flat_map(|run| &run.vars);
        for (name, text) in self.var_files.values().flatten().chain(vars) {
            names.insert(name.clone());
            names.extend(named(text).into_iter().map(|n| n.to_string()));
        }
        names.retain(|name| is_variable_name(name));
        names
    }
}

/// A path of a command line, relative to the checkout where it lies below it.
fn below(loader: &dyn Loader, root: &Path, path: &str) -> String {
    let path = normalize(&root.join(path));
    let real = loader.canonical(&path);
    let path = path.strip_prefix(root).or(real.strip_prefix(root)).unwrap_or(&path);
    path.to_string_lossy().into_owned()
}

/// The text of a file. One that a script makes of `FILE.tmpl` before a build (`hack/set-ssh-password.sh`) is read
/// there: its placeholders are filled by nobody who only looks.
fn read_rendered(loader: &dyn Loader, root: &Path, path: &str) -> Result<String, String> {
    let source = root.join(format!("{path}.tmpl"));
    let path = if loader.is_file(&source) { source } else { root.join(path) };
    loader.read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

/// A file that is named twice counts at its last place.
fn last_places(files: Vec<String>) -> Vec<String> {
    let is_last = |at: usize| !files[at + 1..].contains(&files[at]);
    (0..files.len()).filter(|at| is_last(*at)).map(|at| files[at].clone()).collect()
}

fn object(text: &str) -> Result<Map<String, Json>, String> {
    match serde_json::from_str(text) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(_) => Err("it is no JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn parse_var_file(text: &str) -> Result<Vec<Entry>, String> {
    Ok(object(text)?.into_iter().map(|(name, value)| (name, string(value))).collect())
}

/// The entries of what can only be a var file: nothing in it but strings and nulls under the names of variables.
fn strings(text: &str) -> Option<Vec<Entry>> {
    let map = object(text).ok()?;
    let is_all = !map.is_empty()
        && map.iter().all(|(name, value)| is_variable_name(name) && (value.is_string() || value.is_null()));
    is_all.then(|| map.into_iter().map(|(name, value)| (name, string(value))).collect())
}

fn string(value: Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text,
        other => other.to_string(),
    }
}
