//! What Packer makes of a target's layers, worked out here once more and without the compiler: the template's
//! defaults, its var files in order, `-var` last, `{{user}}` resolved.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

pub type Strings = BTreeMap<String, String>;

/// What stands in a list of var files for the user's own.
pub const USER: &str = "<user>";

/// A target of make; its name begins with `build-`.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    pub doc: Option<String>,
    /// Its runs of Packer; none where it does something else.
    #[serde(default)]
    pub packer: Vec<Run>,
}

/// A run of Packer with its arguments.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    pub template: String,
    pub var_files: Vec<String>,
    /// `NAME=VALUE`
    pub vars: Vec<String>,
    pub only: Vec<String>,
    pub except: Vec<String>,
}

/// The targets that a `targets.json` lists.
pub fn read_targets(file: &Path) -> BTreeMap<String, Target> {
    let text = fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A JSON file of a checkout, or what stands for it until a script has filled its placeholders.
pub fn read_object(root: &Path, path: &str) -> Map<String, Value> {
    let text = fs::read_to_string(root.join(format!("{path}.tmpl")))
        .or_else(|_| fs::read_to_string(root.join(path)));
    match text {
        Ok(text) => serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}")),
        Err(_) => read_settings(root, path),
    }
}

/// The strings of a var file that the data of a release have only in `variables.json`, variable by variable.
fn read_settings(root: &Path, path: &str) -> Map<String, Value> {
    let text =
        fs::read_to_string(root.join("variables.json")).unwrap_or_else(|e| panic!("{path}: {e}"));
    let variables: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let names = [path.to_owned(), format!("{path}.tmpl")];
    let setting = |variable: &Value| {
        names
            .iter()
            .find_map(|name| variable["set_in_var_files"].get(name).cloned())
    };
    let found: Map<String, Value> = variables
        .into_iter()
        .filter_map(|(name, variable)| Some((name, setting(&variable)?)))
        .collect();
    assert!(
        !found.is_empty(),
        "{path} is neither a file nor in variables.json"
    );
    found
}

/// The `variables` of a template. Of some templates, the data of a release have only these, in `templates.json`.
fn read_template_variables(root: &Path, path: &str) -> Map<String, Value> {
    let is_there = root.join(path).exists() || root.join(format!("{path}.tmpl")).exists();
    let template = match is_there {
        true => Value::Object(read_object(root, path)),
        false => {
            let templates = read_object(root, "templates.json")["templates"].clone();
            let names = [path.to_owned(), format!("{path}.tmpl")];
            names
                .iter()
                .find_map(|name| templates.get(name).cloned())
                .unwrap_or_default()
        }
    };
    match &template["variables"] {
        Value::Object(variables) => variables.clone(),
        other => panic!("{path}: {other} is not a map"),
    }
}

impl Run {
    /// The strings of all layers, as they are written.
    pub fn raw(&self, root: &Path) -> Strings {
        let mut out = Strings::new();
        for (name, value) in read_template_variables(root, &self.template) {
            // Null in a template means that a value is wanted.
            out.extend(value.as_str().map(|text| (name, text.to_owned())));
        }
        for file in self.var_files.iter().filter(|file| *file != USER) {
            // Null in a var file is empty.
            out.extend(
                read_object(root, file)
                    .into_iter()
                    .map(|(n, v)| (n, v.as_str().unwrap_or_default().to_owned())),
            );
        }
        out.extend(
            self.vars
                .iter()
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(n, v)| (n.to_owned(), v.to_owned())),
        );
        out
    }
}

/// Whether a text names, directly or not, what nothing declares. What Packer makes of that is chance: it resolves all
/// of the text, or none of it, or takes a default for empty.
pub fn is_open(text: &str, values: &Strings) -> bool {
    let mut names = vec![text];
    let mut seen: Vec<&str> = Vec::new();
    while let Some(text) = names.pop() {
        for template in text
            .split("{{")
            .skip(1)
            .filter_map(|rest| rest.split_once("}}"))
        {
            let mut words = template.0.split_whitespace();
            let name = words
                .next()
                .filter(|word| *word == "user")
                .and_then(|_| words.next());
            let Some(name) = name
                .map(|name| name.trim_matches('`'))
                .filter(|name| !seen.contains(name))
            else {
                continue;
            };
            seen.push(name);
            match values.get(name) {
                Some(value) => names.push(value),
                None => return true,
            }
        }
    }
    false
}

/// What is read where these names are: they and all that their texts name, however indirectly.
pub fn reach(names: &BTreeSet<String>, values: &Strings) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> = names.iter().cloned().collect();
    while let Some(name) = open.pop() {
        let text = values.get(&name).cloned().unwrap_or_default();
        if out.insert(name) {
            let templates = text
                .split("{{")
                .skip(1)
                .filter_map(|rest| rest.split_once("}}"));
            open.extend(templates.filter_map(|(template, _)| {
                let name = template
                    .trim()
                    .strip_prefix("user")?
                    .trim()
                    .trim_matches('`');
                Some(name.to_owned())
            }));
        }
    }
    out
}

/// A text with every `{{user}}` resolved. What names itself or nothing at all is empty; other templates stay.
pub fn resolve(text: &str, values: &Strings) -> String {
    resolve_below(text, values, &mut Vec::new())
}

fn resolve_below(text: &str, values: &Strings, open: &mut Vec<String>) -> String {
    let Some((before, rest)) = text.split_once("{{") else {
        return text.to_owned();
    };
    let (template, after) = rest.split_once("}}").unwrap();
    let words: Vec<&str> = template.split_whitespace().collect();
    let mut follow = |name: &str| {
        let name = name.trim_matches('`').to_owned();
        let value = values
            .get(&name)
            .filter(|_| !open.contains(&name))
            .map_or("", String::as_str);
        open.push(name);
        let value = resolve_below(value, values, open);
        open.pop();
        value
    };
    let replaced = match words[..] {
        ["user", name] => follow(name),
        ["user", name, "|", "replace_all", from, to] => {
            follow(name).replace(from.trim_matches('`'), to.trim_matches('`'))
        }
        _ => format!("{{{{{}}}}}", words.join(" ")),
    };
    format!("{before}{replaced}{}", resolve_below(after, values, open))
}
