//! The variables that a Packer template reads and passes to Ansible.
//!
//! Templates are Packer's legacy JSON (`template/parse.go` in packer-plugin-sdk). Builders, provisioners and
//! post-processors read variables. The options `-only` and `-except` of a run decide which of them take part.

use crate::packer::{Braced, parse_braces, users};
use crate::source::embedded;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use smol_str::SmolStr;
use std::ops::Deref;
use std::sync::OnceLock;

/// The part of a template that concerns variables.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Template {
    /// The `variables` with their defaults. A required variable has no default.
    variables: IndexMap<SmolStr, Option<SmolStr>, FxBuildHasher>,
    /// The builders, in order.
    builders: Vec<TemplatePart>,
    /// The provisioners and post-processors.
    others: Vec<TemplatePart>,
    /// Whether the template could not be read. This has been reported, and the readers of variables are unknown.
    pub is_missing: bool,
}

/// A template that is read when it is first used.
///
/// Its stored form is what was read.
#[derive(Debug, Default)]
pub struct LazyTemplate {
    /// The name of the embedded file that it is in, if the program carries it.
    name: SmolStr,
    template: OnceLock<Template>,
    stated: Option<Template>,
}

impl Serialize for LazyTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LazyTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LazyTemplate, D::Error> {
        Template::deserialize(deserializer).map(LazyTemplate::from)
    }
}

impl LazyTemplate {
    /// Creates it from the name of an embedded file, as [`embedded::file`] takes it, whose syntax the tests check.
    pub fn carried(name: SmolStr) -> LazyTemplate {
        LazyTemplate {
            name,
            ..LazyTemplate::default()
        }
    }
}

impl From<Template> for LazyTemplate {
    fn from(template: Template) -> LazyTemplate {
        LazyTemplate {
            stated: Some(template),
            ..LazyTemplate::default()
        }
    }
}

impl Deref for LazyTemplate {
    type Target = Template;

    fn deref(&self) -> &Template {
        let read = || {
            let text = embedded::file(&self.name)?;
            Template::parse(text).ok()
        };
        match &self.stated {
            Some(template) => template,
            None => self
                .template
                .get_or_init(|| read().unwrap_or_else(Template::missing)),
        }
    }
}

/// A builder, provisioner or post-processor.
#[derive(Debug, Default, Serialize, Deserialize)]
struct TemplatePart {
    /// The name of a builder. Empty for others.
    name: SmolStr,
    /// The builders that this takes part with. Empty for all.
    only: Vec<SmolStr>,
    /// The builders that this does not take part with.
    except: Vec<SmolStr>,
    /// The variables in its strings.
    reads: Vec<SmolStr>,
    /// The `--extra-vars` arguments of an Ansible provisioner, in order. `None` for others.
    extra_vars: Option<Vec<SmolStr>>,
    /// The path of the playbook, as written.
    playbook: Option<SmolStr>,
}

/// The builders that a run of Packer selects.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The names in `-only`. Empty for all builders.
    pub only: Vec<SmolStr>,
    /// The names in `-except`.
    pub except: Vec<SmolStr>,
}

/// What the runs of a target read.
#[derive(Debug, Default)]
pub struct Readers<'t> {
    /// The variables that Packer reads.
    pub reads: Vec<&'t SmolStr>,
    /// The `--extra-vars` arguments of each Ansible provisioner.
    pub extra_vars: Vec<&'t [SmolStr]>,
    /// The paths of the playbooks, as written.
    pub playbooks: Vec<&'t SmolStr>,
    /// The indices of the runs that select no builder.
    pub idle: Vec<usize>,
    /// The names of the builders. `None` if a name is only known during the build.
    pub builders: Vec<Option<String>>,
}

impl Template {
    /// Parses the JSON of a template.
    ///
    /// # Errors
    /// The error of the JSON parser, or that the text is not a JSON object.
    pub fn parse(text: &str) -> Result<Template, String> {
        let json: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let Value::Object(json) = json else {
            return Err("a template must be a JSON object".to_owned());
        };
        let list = |key: &str| {
            json.get(key)
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice)
        };
        let variables = json
            .get("variables")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let mut template = Template {
            variables: variables
                .map(|(name, default)| {
                    let default = match default {
                        Value::Null => None,
                        // Packer gives no value to a variable that refers to itself, and builders read it as empty
                        // (`core.go`).
                        Value::String(text) if named(text).iter().any(|n| n == name) => {
                            Some(SmolStr::default())
                        }
                        Value::String(text) => Some(SmolStr::new(text)),
                        other => Some(SmolStr::from(other.to_string())),
                    };
                    (SmolStr::new(name), default)
                })
                .collect(),
            ..Template::default()
        };
        for builder in list("builders").iter().filter_map(Value::as_object) {
            let mut part = TemplatePart::new(builder);
            let name = builder
                .get("name")
                .or(builder.get("type"))
                .and_then(Value::as_str);
            part.name = SmolStr::new(name.unwrap_or_default());
            template.builders.push(part);
        }
        let cleanup = json.get("error-cleanup-provisioner");
        for provisioner in list("provisioners")
            .iter()
            .chain(cleanup)
            .filter_map(Value::as_object)
        {
            template
                .others
                .push(match provisioner.get("type").and_then(Value::as_str) {
                    Some("ansible") => TemplatePart::ansible(provisioner),
                    _ => TemplatePart::new(provisioner),
                });
        }
        for processor in list("post-processors") {
            // Packer accepts a post-processor, the name of its type, or a list of them.
            let sequence = processor
                .as_array()
                .map_or(std::slice::from_ref(processor), Vec::as_slice);
            template.others.extend(
                sequence
                    .iter()
                    .filter_map(Value::as_object)
                    .map(TemplatePart::new),
            );
        }
        Ok(template)
    }

    /// Returns the template for a file that could not be read.
    pub fn missing() -> Template {
        Template {
            is_missing: true,
            ..Template::default()
        }
    }

    /// Returns a template with only these variables and arguments.
    pub fn stated(reads: Vec<SmolStr>, extra_vars: Vec<SmolStr>) -> Template {
        let part = TemplatePart {
            reads,
            extra_vars: Some(extra_vars),
            ..TemplatePart::default()
        };
        Template {
            others: vec![part],
            ..Template::default()
        }
    }

    /// Returns what these runs read.
    ///
    /// `fill` returns a builder's name with each `{{user}}` replaced, or `None` if the name is only known during the
    /// build; `-only` then selects the builder. `-only` and `-except` compare the replaced name. `only` and `except`
    /// of provisioners and post-processors compare the name as written (`rawName` in Packer's `core.go`).
    pub fn readers(
        &self,
        runs: &[&Selection],
        fill: &dyn Fn(&str) -> Option<String>,
    ) -> Readers<'_> {
        let names: Vec<Option<String>> = self
            .builders
            .iter()
            .map(|builder| fill(&builder.name))
            .collect();
        let selects = |run: &Selection, name: &Option<String>| {
            let is_in = |list: &[SmolStr]| {
                name.as_ref()
                    .is_some_and(|name| list.iter().any(|n| n == name))
            };
            (run.only.is_empty() || name.is_none() || is_in(&run.only)) && !is_in(&run.except)
        };
        let is_selected =
            |name: &Option<String>| runs.is_empty() || runs.iter().any(|run| selects(run, name));
        let builders: Vec<&TemplatePart> = self
            .builders
            .iter()
            .zip(&names)
            .filter(|(_, name)| is_selected(name))
            .map(|(b, _)| b)
            .collect();
        let takes_part = |part: &&TemplatePart| {
            self.builders.is_empty()
                || builders.iter().any(|b| {
                    (part.only.is_empty() || part.only.contains(&b.name))
                        && !part.except.contains(&b.name)
                })
        };
        let mut readers = Readers::default();
        for part in builders
            .iter()
            .copied()
            .chain(self.others.iter().filter(takes_part))
        {
            readers.reads.extend(&part.reads);
            readers.extra_vars.extend(part.extra_vars.as_deref());
            readers.playbooks.extend(&part.playbook);
        }
        if !self.builders.is_empty() {
            let is_idle = |run: &&Selection| !names.iter().any(|name| selects(run, name));
            readers.idle = runs
                .iter()
                .enumerate()
                .filter(|(_, run)| is_idle(run))
                .map(|(at, _)| at)
                .collect();
        }
        readers.builders = names;
        readers
    }

    /// Returns the names of the builders, as written.
    pub fn builder_names(&self) -> impl Iterator<Item = &str> {
        self.builders.iter().map(|builder| builder.name.as_str())
    }

    /// Returns the `--extra-vars` arguments of all runs.
    pub fn extra_vars(&self) -> impl Iterator<Item = &SmolStr> {
        self.others
            .iter()
            .filter_map(|part| part.extra_vars.as_ref())
            .flatten()
    }

    /// Returns whether an `--extra-vars` argument consists of this variable alone.
    pub fn is_whole_argument(&self, name: &str) -> bool {
        self.extra_vars()
            .any(|arg| whole_argument(arg) == Some(name))
    }

    /// Returns whether the template requires a value for this variable, regardless of the runs.
    pub fn demands(&self, name: &str) -> bool {
        matches!(self.variables.get(name), Some(None))
    }

    /// Returns the template's default of a variable.
    pub fn default_of(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.as_deref()
    }

    /// Returns the variables with their defaults, in order. A required variable has no default.
    pub fn variables(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.variables
            .iter()
            .map(|(name, default)| (name.as_str(), default.as_deref()))
    }
}

impl TemplatePart {
    fn new(json: &Map<String, Value>) -> TemplatePart {
        let names = |key: &str| {
            let list = json
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            list.filter_map(Value::as_str).map(SmolStr::new).collect()
        };
        let mut reads = Vec::new();
        json.values()
            .for_each(|value| collect_reads(value, &mut reads));
        reads.sort_unstable();
        reads.dedup();
        TemplatePart {
            only: names("only"),
            except: names("except"),
            reads,
            ..TemplatePart::default()
        }
    }

    /// Reads an Ansible provisioner. It does not read the variables in its `--extra-vars` arguments; it passes them
    /// on.
    fn ansible(json: &Map<String, Value>) -> TemplatePart {
        let mut json = json.clone();
        let playbook = json
            .get("playbook_file")
            .and_then(Value::as_str)
            .map(SmolStr::new);
        let mut extra_vars = Vec::new();
        if let Some(Value::Array(arguments)) = json.get_mut("extra_arguments") {
            let mut is_value = false;
            arguments.retain(|argument| {
                let text = argument.as_str().unwrap_or_default();
                let value = if is_value {
                    Some(text)
                } else {
                    text.strip_prefix("--extra-vars=")
                };
                extra_vars.extend(value.map(SmolStr::new));
                is_value = !is_value && (text == "--extra-vars" || text == "-e");
                value.is_none()
            });
        }
        TemplatePart {
            extra_vars: Some(extra_vars),
            playbook,
            ..TemplatePart::new(&json)
        }
    }
}

/// Returns the variable that an `--extra-vars` argument consists of.
pub(crate) fn whole_argument(arg: &str) -> Option<&str> {
    match &parse_braces(arg.trim())[..] {
        [(_, Braced::User(name))] => Some(name),
        _ => None,
    }
}

fn collect_reads(value: &Value, out: &mut Vec<SmolStr>) {
    match value {
        Value::String(text) => out.extend(named(text)),
        Value::Array(elements) => elements.iter().for_each(|e| collect_reads(e, out)),
        Value::Object(map) => {
            for (key, element) in map {
                out.extend(named(key));
                collect_reads(element, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the variables that a string names.
pub(crate) fn named(text: &str) -> Vec<SmolStr> {
    let mut out = Vec::new();
    for (_, piece) in parse_braces(text) {
        match piece {
            Braced::User(name) => out.push(SmolStr::new(name)),
            Braced::Other(_, names) => out.extend(names.into_iter().map(SmolStr::new)),
            // A template can contain expressions that a variable's value cannot, such as `` {{if user `x`}} ``.
            Braced::Bad(text, _) => out.extend(users(text).into_iter().map(SmolStr::new)),
            Braced::Text(_) | Braced::Env(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "variables": { "a": null, "b": "1", "c": "{{user `a`}}" },
        "builders": [
            { "type": "qemu", "disk": "{{ user `b` }}" },
            { "type": "null", "name": "other", "host": "{{user `c`}}" },
            { "type": "null", "name": "x-{{user `b`}}", "host": "{{user `h`}}" },
            { "type": "null", "name": "y-{{env `B`}}" }
        ],
        "provisioners": [
            { "type": "shell", "only": ["other"], "inline": ["echo {{user `d`}}"] },
            { "type": "shell", "only": ["x-{{user `b`}}"], "inline": ["echo {{user `i`}}"] },
            { "type": "ansible", "except": ["other"], "extra_arguments": ["-v", "--extra-vars", "x={{user `e`}}", "--extra-vars={{user `f`}}"] }
        ],
        "post-processors": [[{ "type": "manifest", "output": "{{user `g`}}" }], "vagrant"]
    }"#;

    #[test]
    fn reads_what_the_selected_builders_need() {
        let template = Template::parse(TEXT).unwrap();
        let fill = |name: &str| (!name.contains("env")).then(|| name.replace("{{user `b`}}", "1"));
        let names = |list: &[&str]| list.iter().map(SmolStr::new).collect::<Vec<_>>();
        let only = |list: &[&str]| Selection {
            only: names(list),
            ..Selection::default()
        };
        let except = |list: &[&str]| Selection {
            except: names(list),
            ..Selection::default()
        };
        let reads = |runs: &[&Selection]| {
            let found = template.readers(runs, &fill).reads;
            found
                .into_iter()
                .cloned()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(reads(&[]), ["b", "c", "d", "g", "h", "i"]);
        assert_eq!(reads(&[&only(&["other"])]), ["c", "d", "g"]);
        assert_eq!(reads(&[&only(&["x-1"])]), ["b", "g", "h", "i"]);
        assert_eq!(reads(&[&except(&["x-1", "other"])]), ["b", "g"]);
        let idle = |runs: &[&Selection]| template.readers(runs, &fill).idle;
        assert_eq!(idle(&[&only(&["x-1"])]), [] as [usize; 0]);
        assert_eq!(template.default_of("b"), Some("1"));
        assert_eq!(template.default_of("a"), None);
    }

    #[test]
    fn tells_the_runs_that_select_nothing() {
        let text = r#"{ "builders": [{ "type": "null" }, { "type": "null", "name": "a" }], "provisioners": [
            { "type": "ansible", "except": ["a"], "extra_arguments": ["-v", "--extra-vars", "x={{user `e`}}", "--extra-vars={{user `f`}}"] }] }"#;
        let template = Template::parse(text).unwrap();
        let only = |name: &str| Selection {
            only: vec![SmolStr::new(name)],
            ..Selection::default()
        };
        let fill = |name: &str| Some(name.to_owned());
        assert_eq!(template.readers(&[&only("a"), &only("b")], &fill).idle, [1]);
        assert_eq!(template.readers(&[&only("a")], &fill).extra_vars.len(), 0);
        assert_eq!(
            template.readers(&[], &fill).extra_vars,
            [["x={{user `e`}}", "{{user `f`}}"]]
        );
    }
}
