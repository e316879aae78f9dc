//! What the reference says, without its form.

use serde::Serialize;
use std::collections::BTreeSet;

/// A reference.
#[derive(Debug, Default, Serialize)]
pub struct Reference {
    /// What it is about, such as `Image Builder v0.1.13`.
    pub subject: String,
    /// The variables by the file that declares them, in the order of the files' names.
    pub groups: Vec<Group>,
    /// Images that can be built, by provider.
    pub targets: Vec<Targets>,
    /// Layers that more than one image extends, or none.
    pub layers: Vec<Layer>,
    /// Packer templates.
    pub providers: Vec<Provider>,
    /// Conditions that every image is checked for.
    pub rules: Vec<Rule>,
    /// Commands that check a built image.
    pub probes: Vec<Probe>,
    /// The types that a library or project names.
    pub types: Vec<NamedType>,
    /// Where variables have an effect: [`Variable::effect`] is an index.
    pub effects: Vec<Effect>,
    /// The fact whose values are the columns of [`Effect::rows`].
    pub fact: Option<String>,
    /// The values of that fact that a target has, in the order of its type.
    pub columns: Vec<String>,
}

impl Reference {
    /// Returns the fragments of all its items, a target's own layers among them.
    pub fn fragments(&self) -> BTreeSet<String> {
        let variables = self.groups.iter().flat_map(|group| &group.variables);
        let targets = || self.targets.iter().flat_map(|group| &group.targets);
        let names = variables.map(|v| (Kind::Variable, &v.name));
        let own = targets().flat_map(|target| {
            let settings = target.settings.iter().filter(|s| s.of != target.name);
            settings.map(|settings| (Kind::Layer, &settings.of))
        });
        let all = names
            .chain(targets().map(|t| (Kind::Target, &t.name)))
            .chain(own)
            .chain(self.layers.iter().map(|l| (Kind::Layer, &l.name)))
            .chain(self.providers.iter().map(|p| (Kind::Provider, &p.name)))
            .chain(self.rules.iter().map(|r| (Kind::Rule, &r.name)))
            .chain(self.probes.iter().map(|p| (Kind::Probe, &p.name)))
            .chain(self.types.iter().map(|t| (Kind::Type, &t.name)));
        let link = |(kind, name): (Kind, &String)| Link {
            kind,
            name: name.clone(),
        };
        all.map(|item| link(item).fragment()).collect()
    }
}

/// Variables that are declared in one file.
#[derive(Debug, Serialize)]
pub struct Group {
    /// The file's name without its ending.
    pub name: String,
    /// The comment at the file's top.
    pub about: Option<String>,
    /// The project declares them, not the library.
    pub is_own: bool,
    /// In the order of the file.
    pub variables: Vec<Variable>,
}

/// A variable.
#[derive(Debug, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type, as a spec writes it.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its documentation.
    pub doc: Option<String>,
    /// Its default, as a spec writes it.
    pub default: Option<String>,
    /// It may be unset.
    pub is_optional: bool,
    /// The unit of its value, if the documentation names one.
    pub unit: Option<String>,
    /// The encoding of its string for Packer; only if Packer is a receiver.
    pub encoding: Option<String>,
    /// Its receivers: `packer`, `linux`, `windows`.
    pub receivers: Vec<String>,
    /// The condition under which it applies.
    pub applies: Option<String>,
    /// Conditions can refer to it.
    pub is_fact: bool,
    /// No output shows its value.
    pub is_secret: bool,
    /// It is a deprecated name of this variable.
    pub alias_of: Option<String>,
    /// Its own deprecated names.
    pub aliases: Vec<String>,
    /// A release dropped it: what to use instead.
    pub removed: Option<String>,
    /// An index into [`Reference::effects`].
    pub effect: Option<usize>,
    /// The values that layers and providers give it.
    pub set_by: Vec<SetBy>,
    /// The number of values that `set_by` leaves out.
    pub more_values: usize,
    /// The variables that its value depends on.
    pub derived_from: Vec<String>,
    /// The variables whose values depend on it.
    pub gives: Vec<String>,
    /// The rules whose conditions read it.
    pub rules: Vec<String>,
    /// The probes that read it.
    pub probes: Vec<String>,
    /// A spec that sets it.
    pub example: Option<String>,
    /// Its declaration: `path:line`.
    pub place: String,
}

/// A value, and what sets it.
#[derive(Debug, Serialize)]
pub struct SetBy {
    /// The value, as a spec writes it.
    pub value: String,
    /// Providers, layers and images that set it.
    pub by: Vec<Link>,
    /// The number of others that `by` leaves out.
    pub more: usize,
}

/// The kind of an item that has a place on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A variable.
    Variable,
    /// An image that can be built.
    Target,
    /// A layer.
    Layer,
    /// A provider.
    Provider,
    /// A rule.
    Rule,
    /// A probe.
    Probe,
    /// A named type.
    Type,
    /// A diagnostic code; the page has none.
    Code,
}

impl Kind {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Variable => "variable",
            Kind::Target => "target",
            Kind::Layer => "layer",
            Kind::Provider => "provider",
            Kind::Rule => "rule",
            Kind::Probe => "probe",
            Kind::Type => "type",
            Kind::Code => "code",
        }
    }
}

/// An item that another one names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl Link {
    /// Returns the item's fragment on the page. No two items have the same: a variable's name has no `-`, and a target's
    /// name without one gets a prefix.
    pub fn fragment(&self) -> String {
        const TAKEN: [&str; 10] = [
            "target-",
            "layer-",
            "provider-",
            "rule-",
            "probe-",
            "type-",
            "effect-",
            "group-",
            "all-",
            "page-",
        ];
        match self.kind {
            Kind::Variable => self.name.clone(),
            Kind::Target
                if self.name.contains('-') && !TAKEN.iter().any(|t| self.name.starts_with(t)) =>
            {
                self.name.clone()
            }
            kind => format!("{}-{}", kind.as_str(), self.name),
        }
    }
}

/// The targets of a provider.
#[derive(Debug, Serialize)]
pub struct Targets {
    /// The provider.
    pub provider: String,
    /// In the order of the library.
    pub targets: Vec<Target>,
}

/// An image that can be built.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: Option<String>,
    /// The project declares it, not the library.
    pub is_own: bool,
    /// Its target in Image Builder's Makefile.
    pub make: Option<String>,
    /// The programs that a build needs.
    pub tools: Vec<String>,
    /// Its facts with their values.
    pub facts: Vec<(String, String)>,
    /// Its layers, weakest first, without itself.
    pub stack: Vec<Link>,
    /// The variables that an image of it must set.
    pub needs: Vec<String>,
    /// What it sets: the settings of layers that only it has, of itself, and what it passes to Packer.
    pub settings: Vec<Settings>,
    /// Its declaration: `path:line`.
    pub place: String,
}

/// The settings of one layer.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// The layer, or what else holds them.
    pub of: String,
    /// The settings, in order.
    pub settings: Vec<Setting>,
}

/// A setting.
#[derive(Debug, Serialize)]
pub struct Setting {
    /// The variable.
    pub name: String,
    /// `=`, `+=`, `-=` or `unset`.
    pub change: &'static str,
    /// The value, as a spec writes it.
    pub value: String,
    /// The condition of the `when` around it.
    pub when: Option<String>,
}

/// A layer.
#[derive(Debug, Serialize)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: Option<String>,
    /// The layers that it extends.
    pub extends: Vec<Link>,
    /// What it sets.
    pub settings: Vec<Setting>,
    /// The targets that have it in their stacks.
    pub used_by: Vec<String>,
    /// Its declaration: `path:line`.
    pub place: String,
}

/// A provider.
#[derive(Debug, Serialize)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: Option<String>,
    /// The path of its template.
    pub template: String,
    /// `linux` or `windows`.
    pub playbook: &'static str,
    /// Whose Ansible roles the playbook runs: `native` or `upstream`.
    pub roles: &'static str,
    /// The programs that a build needs.
    pub tools: Vec<String>,
    /// The files that a build makes.
    pub artifact: Option<String>,
    /// What its template sets.
    pub defaults: Vec<Setting>,
    /// The number of its targets.
    pub targets: usize,
    /// Its declaration: `path:line`.
    pub place: String,
}

/// A rule.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: Option<String>,
    /// It is an error, not a warning.
    pub is_deny: bool,
    /// What is wrong, as a spec writes it.
    pub condition: String,
    /// The message, as a spec writes it.
    pub message: String,
    /// The help, as a spec writes it.
    pub help: Option<String>,
    /// The variables that the condition reads.
    pub reads: Vec<String>,
    /// Its declaration: `path:line`.
    pub place: String,
}

/// A probe.
#[derive(Debug, Serialize)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: Option<String>,
    /// Where it concerns an image, as a spec writes it.
    pub applies: Option<String>,
    /// The program and its arguments, or the script's arguments, as a spec writes them.
    pub words: Option<String>,
    /// The script, as a spec writes it.
    pub script: Option<String>,
    /// Files and folders of this machine that the command reads, as a spec writes them.
    pub files: Option<String>,
    /// Programs of this machine that the command can start.
    pub tools: Vec<String>,
    /// What the command must print, as a spec writes it.
    pub output: Option<String>,
    /// The command needs the booted system.
    pub boots: bool,
    /// The variables that it reads.
    pub reads: Vec<String>,
    /// Its declaration: `path:line`.
    pub place: String,
}

/// A type that a library or a project names.
#[derive(Debug, Serialize)]
pub struct NamedType {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: Option<String>,
    /// The pattern that its strings match.
    pub pattern: Option<String>,
    /// The strings that it allows.
    pub choices: Vec<String>,
    /// The variables that have it.
    pub used_by: Vec<String>,
    /// Its declaration: `path:line`.
    pub place: String,
}

/// Where variables have an effect.
#[derive(Debug, Serialize)]
pub struct Effect {
    /// In a line, with names in backquotes.
    pub summary: String,
    /// A row for each provider that has targets with an effect.
    pub rows: Vec<EffectRow>,
    /// The providers on whose targets they have none.
    pub without: Vec<String>,
    /// The number of targets on which they have one.
    pub count: usize,
}

/// Where variables have an effect on the targets of a provider.
#[derive(Debug, Serialize)]
pub struct EffectRow {
    /// The provider.
    pub provider: String,
    /// For each of [`Reference::columns`].
    pub cells: Vec<Cell>,
    /// The targets with an effect, or those without, if the cells do not show them.
    pub names: Vec<String>,
    /// The names are those of the targets without an effect.
    pub is_exception: bool,
}

/// Targets of one provider and one value of the fact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The number of targets with an effect.
    pub with: usize,
    /// The number of targets.
    pub of: usize,
}

impl Cell {
    /// Returns the cell as words: `all 4`, `3 of 4`, `none`, or nothing where there are no targets.
    pub fn in_words(&self) -> String {
        match self {
            Cell { of: 0, .. } => String::new(),
            Cell { with: 0, .. } => "none".to_owned(),
            Cell { with, of } if with == of => format!("all {of}"),
            Cell { with, of } => format!("{with} of {of}"),
        }
    }
}
