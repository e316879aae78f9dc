//! The configuration of an Image Builder checkout: its make targets, the Packer commands that they run, and the files that
//! these name.

use crate::import::is_variable_name;
use crate::packer::Selection;
use crate::packer::{Filling, fill};
use crate::packer::{PackerCommand, parse_recipe};
use crate::packer::{Template, named};
use crate::schema::Playbook;
use crate::source::{Loader, normalize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A make target with its commands.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// The target's name.
    pub name: String,
    /// Its description in `make help`.
    pub doc: Option<String>,
    /// The commands that it would run.
    pub text: String,
    /// The targets that make builds before it.
    pub prerequisites: Vec<String>,
    /// Why its commands cannot be known, if so.
    pub refusal: Option<String>,
}

/// A checkout's targets and files.
#[derive(Debug, Default)]
pub struct Checkout {
    /// The targets that a spec can extend.
    pub targets: Vec<Target>,
    /// The targets that build images, but that no spec can extend.
    pub refused: Vec<Refused>,
    /// The text of each template, by its path relative to the checkout.
    pub templates: BTreeMap<String, String>,
    /// The variables of each template with their defaults, in order. `None` for a variable that needs a value.
    pub defaults: BTreeMap<String, Vec<(String, Option<String>)>>,
    /// The texts of all files that were read, by their paths relative to the checkout.
    pub texts: BTreeMap<String, String>,
    /// The entries of each var file, by its path relative to the checkout.
    pub var_files: BTreeMap<String, Vec<Entry>>,
}

/// A make target that no spec can extend.
#[derive(Debug)]
pub struct Refused {
    /// The make target.
    pub make: String,
    /// Its description in `make help`.
    pub doc: Option<String>,
    /// The reason, as text that follows a colon.
    pub reason: String,
    /// Whether imgspec cannot read it, rather than that it cannot be extended by design.
    pub is_unread: bool,
}

/// A name and its string in a var file. `null` counts as empty (Packer: `command/flag-kv/flag_json.go`).
pub(crate) type Entry = (String, String);

/// A make target that runs Packer.
#[derive(Debug)]
pub struct Target {
    /// The make target.
    pub make: String,
    /// Its description in `make help`.
    pub doc: Option<String>,
    /// Its Packer commands.
    pub runs: Vec<PackerCommand>,
    /// The kind of its playbooks: Windows if any of them is for Windows.
    pub playbook: Playbook,
}

impl Target {
    fn new(recipe: &Recipe, runs: Vec<PackerCommand>) -> Target {
        Target {
            make: recipe.name.clone(),
            doc: recipe.doc.clone(),
            runs,
            playbook: Playbook::Linux,
        }
    }
}

/// Lists at most three names, and the number of others.
fn in_words(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [a, b, c, rest @ ..] if !rest.is_empty() => {
            format!("{a}, {b}, {c} and {} more", rest.len())
        }
        names => names.join(", "),
    }
}

/// Fills the `{{user}}` expressions of a text. Returns `None` if it depends on values that only the build knows.
fn resolve(text: &str, values: &BTreeMap<&str, &str>) -> Option<String> {
    fill(text, &|name| {
        Some(Filling::Template(
            values.get(name).copied().unwrap_or_default().to_owned(),
        ))
    })
}

impl Checkout {
    /// Returns the entries of a var file, or none for an unknown file.
    pub fn strings_of(&self, file: &str) -> &[Entry] {
        self.var_files.get(file).map_or(&[], Vec::as_slice)
    }

    /// Reads the files that recipes name, relative to `root`, the Makefile's folder. `user_file` is the name of the var file
    /// that marks the user's place: later var files are stronger than the user's, as `-var` is.
    ///
    /// Refuses a target that cannot be read, with a reason. `others` are files that no target uses but a user may: they are
    /// read if they look like var files.
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
            match checkout.read_runs(loader, &root, recipe, user_file) {
                Ok(runs) if runs.is_empty() => {}
                Ok(runs) => checkout.targets.push(Target::new(recipe, runs)),
                Err((reason, is_unread)) => checkout.refuse(recipe, reason, is_unread),
            }
        }
        checkout.add_aliases(recipes);
        checkout.settle_targets();
        // Only what the targets use.
        let runs = || checkout.targets.iter().flat_map(|target| &target.runs);
        let templates: BTreeSet<String> = runs().map(|run| run.template.clone()).collect();
        let files: BTreeSet<String> = runs().flat_map(|run| run.files().cloned()).collect();
        checkout
            .templates
            .retain(|path, _| templates.contains(path));
        checkout.defaults.retain(|path, _| templates.contains(path));
        checkout.var_files.retain(|path, _| files.contains(path));
        for path in others
            .iter()
            .filter(|path| !files.contains(*path) && !templates.contains(*path))
        {
            let text = checkout.read_rendered(loader, &root, path);
            if let Some(entries) = text.ok().and_then(|text| strings(&text)) {
                checkout.var_files.insert(path.clone(), entries);
            }
        }
        checkout
    }

    fn refuse(&mut self, recipe: &Recipe, reason: String, is_unread: bool) {
        let (make, doc) = (recipe.name.clone(), recipe.doc.clone());
        self.refused.push(Refused {
            make,
            doc,
            reason,
            is_unread,
        });
    }

    /// Returns the `packer build` commands of a recipe.
    ///
    /// # Errors
    /// The reason why the target is refused, and whether that is because imgspec cannot read it.
    fn read_runs(
        &mut self,
        loader: &dyn Loader,
        root: &Path,
        recipe: &Recipe,
        user_file: &str,
    ) -> Result<Vec<PackerCommand>, (String, bool)> {
        if let Some(refusal) = &recipe.refusal {
            return Err((refusal.clone(), true));
        }
        let commands = parse_recipe(&recipe.text);
        if commands.iter().any(|run| run.template.is_empty()) {
            return Err((
                "one of its Packer commands names no template".to_owned(),
                true,
            ));
        }
        let runs: Vec<PackerCommand> = commands
            .into_iter()
            .map(|run| self.read_run(loader, root, run, user_file))
            .collect::<Result<_, _>>()
            .map_err(|reason| (reason, true))?;
        // Without PACKER_VAR_FILES in its commands, a recipe gives Packer no values of a spec.
        if !runs.is_empty() && !recipe.text.contains(user_file) {
            return Err((
                "it does not pass PACKER_VAR_FILES to Packer, so Packer would get no value of a spec"
                    .to_owned(),
                false,
            ));
        }
        Ok(runs)
    }

    /// Adds the targets without a Packer command: those that are another name of one target. Refuses those that build several
    /// images or none.
    fn add_aliases(&mut self, recipes: &[Recipe]) {
        let by_name: BTreeMap<&str, &Recipe> =
            recipes.iter().map(|r| (r.name.as_str(), r)).collect();
        let is_served =
            |checkout: &Checkout, name: &str| checkout.targets.iter().any(|t| t.make == name);
        let is_refused =
            |checkout: &Checkout, name: &str| checkout.refused.iter().any(|r| r.make == name);
        for recipe in recipes
            .iter()
            .filter(|recipe| recipe.name.starts_with("build"))
        {
            if is_served(self, &recipe.name) || is_refused(self, &recipe.name) {
                continue;
            }
            let mut built: Vec<&str> = Vec::new();
            let mut lost: Vec<&str> = Vec::new();
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            let mut open: Vec<&str> = recipe
                .prerequisites
                .iter()
                .rev()
                .map(String::as_str)
                .collect();
            while let Some(name) = open.pop() {
                if !seen.insert(name) {
                    continue;
                }
                if is_served(self, name) {
                    built.push(name);
                } else if is_refused(self, name) {
                    lost.push(name);
                } else if let Some(next) = by_name.get(name) {
                    open.extend(next.prerequisites.iter().rev().map(String::as_str));
                }
            }
            match (&built[..], &lost[..]) {
                ([one], []) => {
                    let runs = self
                        .targets
                        .iter()
                        .find(|t| t.make == *one)
                        .map(|t| t.runs.clone());
                    self.targets
                        .push(Target::new(recipe, runs.unwrap_or_default()));
                }
                ([], []) => self.refuse(
                    recipe,
                    "it does not run `packer build` in a form that imgspec can read".to_owned(),
                    true,
                ),
                ([], [one]) => self.refuse(
                    recipe,
                    format!("it builds {one}, which is refused too"),
                    false,
                ),
                _ => {
                    let all: Vec<&str> = built.iter().chain(&lost).copied().collect();
                    self.refuse(
                        recipe,
                        format!(
                            "it builds several images: {}; name one of them",
                            in_words(&all)
                        ),
                        false,
                    );
                }
            }
        }
        let place = |make: &String| recipes.iter().position(|recipe| recipe.name == *make);
        self.targets.sort_by_key(|target| place(&target.make));
    }

    /// Finds the kind of each target's playbooks, and refuses targets that select builders which their template does not
    /// contain: Packer would build nothing.
    fn settle_targets(&mut self) {
        let mut wrong: Vec<(usize, String)> = Vec::new();
        let mut windows: Vec<usize> = Vec::new();
        for (at, target) in self.targets.iter().enumerate() {
            for run in &target.runs {
                let values = self.values(run);
                let template = self
                    .templates
                    .get(&run.template)
                    .and_then(|text| Template::parse(text).ok());
                let Some(template) = template else { continue };
                let words = |list: &[String]| list.iter().map(SmolStr::from).collect();
                let selection = Selection {
                    only: words(&run.only),
                    except: words(&run.except),
                };
                let readers = template.readers(&[&selection], &|name| resolve(name, &values));
                let path = |written: &SmolStr| {
                    resolve(written, &values).unwrap_or_else(|| written.to_string())
                };
                if readers
                    .playbooks
                    .iter()
                    .any(|written| path(written).to_lowercase().contains("windows"))
                {
                    windows.push(at);
                }
                if !readers.idle.is_empty() {
                    let names: Vec<&str> = readers
                        .builders
                        .iter()
                        .flatten()
                        .map(String::as_str)
                        .collect();
                    let wanted: Vec<&str> = run
                        .only
                        .iter()
                        .chain(&run.except)
                        .map(String::as_str)
                        .collect();
                    let reason = format!(
                        "it selects the builders {}, but the template {} contains {}",
                        in_words(&wanted),
                        run.template,
                        in_words(&names)
                    );
                    wrong.push((at, reason));
                    break;
                }
            }
        }
        for at in windows {
            if let Some(target) = self.targets.get_mut(at) {
                target.playbook = Playbook::Windows;
            }
        }
        for (at, reason) in wrong.into_iter().rev() {
            let Target { make, doc, .. } = self.targets.remove(at);
            self.refused.push(Refused {
                make,
                doc,
                reason,
                is_unread: true,
            });
        }
    }

    /// Returns the values of a command without the user's files: the template's defaults, its var files, `-var`.
    fn values<'a>(&'a self, run: &'a PackerCommand) -> BTreeMap<&'a str, &'a str> {
        let defaults = self.template_variables(&run.template).iter();
        let defaults = defaults.filter_map(|(name, text)| Some((name.as_str(), text.as_deref()?)));
        let files = run
            .files()
            .filter_map(|file| self.var_files.get(file))
            .flatten();
        let pairs = files
            .chain(&run.vars)
            .map(|(name, text)| (name.as_str(), text.as_str()));
        defaults.chain(pairs).collect()
    }

    /// Reads the files that a command names, and makes its paths relative to the checkout.
    ///
    /// # Errors
    /// A message, if a file is missing, HCL, or not what its place requires.
    fn read_run(
        &mut self,
        loader: &dyn Loader,
        root: &Path,
        mut run: PackerCommand,
        user_file: &str,
    ) -> Result<PackerCommand, String> {
        run.template = below(loader, root, &run.template);
        let folder = root.join(&run.template);
        let is_hcl = |name: &String| name.ends_with(".pkr.hcl");
        if run.template.ends_with(".hcl")
            || loader.is_dir(&folder) && loader.entries(&folder).iter().any(is_hcl)
        {
            return Err(format!(
                "its template {} is HCL, and imgspec reads only JSON templates",
                run.template
            ));
        }
        for file in &mut run.var_files {
            *file = below(loader, root, file);
        }
        if !self.templates.contains_key(&run.template) {
            let text = self.read_rendered(loader, root, &run.template)?;
            let template = Template::parse(&text).map_err(|e| format!("{}: {e}", run.template))?;
            let defaults = template
                .variables()
                .map(|(name, text)| (name.to_owned(), text.map(str::to_owned)));
            self.defaults
                .insert(run.template.clone(), defaults.collect());
            self.templates.insert(run.template.clone(), text);
        }
        for file in run.var_files.iter().filter(|file| *file != user_file) {
            if !self.var_files.contains_key(file) {
                let text = self.read_rendered(loader, root, file)?;
                let entries = parse_var_file(&text).map_err(|e| format!("{file}: {e}"))?;
                self.var_files.insert(file.clone(), entries);
            }
        }
        let mut files = std::mem::take(&mut run.var_files);
        if let Some(at) = files.iter().position(|file| file == user_file) {
            run.above = last_places(
                files
                    .drain(at..)
                    .skip(1)
                    .filter(|file| file != user_file)
                    .collect(),
            );
            files.retain(|file| !run.above.contains(file));
        }
        run.var_files = last_places(files);
        Ok(run)
    }

    /// Returns the variables of a template with their defaults, in order. `None` for a variable that needs a value.
    pub fn template_variables(&self, template: &str) -> &[(String, Option<String>)] {
        self.defaults.get(template).map_or(&[], Vec::as_slice)
    }

    /// Reads a file, or the file's `FILE.tmpl` if there is one: a script makes the file from it before a build
    /// (`hack/set-ssh-password.sh`).
    ///
    /// # Errors
    /// A message, if it cannot be read.
    fn read_rendered(
        &mut self,
        loader: &dyn Loader,
        root: &Path,
        path: &str,
    ) -> Result<String, String> {
        let source = format!("{path}.tmpl");
        let name = if loader.is_file(&root.join(&source)) {
            source
        } else {
            path.to_owned()
        };
        let file = root.join(&name);
        if loader.exists(&file) && !loader.is_file(&file) {
            return Err(format!("{path} is not a regular file"));
        }
        let text = loader.read(&file).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => format!("{path} does not exist"),
            _ => format!("cannot read {path}: {e}"),
        })?;
        self.texts.insert(name, text.clone());
        Ok(text)
    }

    /// Returns all names that occur in the checkout and that a variable can have.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for (template, text) in &self.templates {
            names.extend(
                self.template_variables(template)
                    .iter()
                    .map(|(name, _)| name.clone()),
            );
            names.extend(named(text).into_iter().map(|n| n.to_string()));
        }
        let vars = self
            .targets
            .iter()
            .flat_map(|t| &t.runs)
            .flat_map(|run| &run.vars);
        for (name, text) in self.var_files.values().flatten().chain(vars) {
            names.insert(name.clone());
            names.extend(named(text).into_iter().map(|n| n.to_string()));
        }
        names.retain(|name| is_variable_name(name));
        names
    }
}

/// Returns a path of a command, relative to the checkout if it is inside it.
fn below(loader: &dyn Loader, root: &Path, path: &str) -> String {
    let path = normalize(&root.join(path));
    let real = loader.canonical(&path);
    let path = path
        .strip_prefix(root)
        .or(real.strip_prefix(root))
        .unwrap_or(&path);
    path.to_string_lossy().into_owned()
}

/// Removes duplicates: only the last occurrence of a file counts.
fn last_places(files: Vec<String>) -> Vec<String> {
    let is_last = |at: usize, file: &String| !files.iter().skip(at + 1).any(|later| later == file);
    files
        .iter()
        .enumerate()
        .filter(|(at, file)| is_last(*at, file))
        .map(|(_, file)| file.clone())
        .collect()
}

fn object(text: &str) -> Result<Map<String, Json>, String> {
    if text.trim().is_empty() {
        return Err("the file is empty".to_owned());
    }
    match serde_json::from_str(text) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn parse_var_file(text: &str) -> Result<Vec<Entry>, String> {
    Ok(object(text)?
        .into_iter()
        .map(|(name, value)| (name, string(value)))
        .collect())
}

/// Returns the entries of a file that can only be a var file: an object of strings and nulls with names of variables.
fn strings(text: &str) -> Option<Vec<Entry>> {
    let map = object(text).ok()?;
    let is_all = !map.is_empty()
        && map
            .iter()
            .all(|(name, value)| is_variable_name(name) && (value.is_string() || value.is_null()));
    is_all.then(|| {
        map.into_iter()
            .map(|(name, value)| (name, string(value)))
            .collect()
    })
}

fn string(value: Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text,
        other => other.to_string(),
    }
}
