//! From a program to its reference.

mod examples;
mod items;

use crate::emit::{Effect as Reached, MASK, find_missing, find_reach, shows_secret};
use crate::eval::{Image, evaluate};
use crate::project::hir::*;
use crate::project::{Program, StackLayer, place_in_checkout};
use crate::reference::effect::{Describer, TargetFacts, UNSET};
use crate::reference::examples::{self as trials, Trial, Wanted};
use crate::reference::model as page;
use crate::reference::model::{Kind, Link, Reference, SetBy};
use crate::reference::words::{abridge, dedent, file_comment, find_unit};
use crate::schema::{Base, Receivers, Roles, Type, Value, print_value};
use crate::source::{FileId, Span};
use crate::syntax::{self, ast};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};

/// Makes the reference of a program. With a trial, variables have examples.
pub fn collect(program: &Program, subject: &str, trial: Option<&Trial<'_>>) -> Reference {
    let targets = evaluated(program);
    let collector = Collector {
        program,
        docs: item_docs(program),
        describer: describer(program, &targets),
        found: Found::new(program, &targets),
        targets,
    };
    let mut out = collector.reference(subject);
    if let Some(trial) = trial {
        collector.add_examples(&mut out, trial);
    }
    out
}

struct Collector<'p> {
    program: &'p Program,
    /// The documentation of types and rules, by the place of their names.
    docs: FxHashMap<Span, String>,
    targets: Vec<Image<'p>>,
    describer: Describer,
    found: Found,
}

/// What the targets show about variables.
struct Found {
    /// The targets that see a variable, and those on which it has an effect.
    seen: FxHashMap<VarId, BTreeSet<usize>>,
    with: FxHashMap<VarId, BTreeSet<usize>>,
    /// What the values of a variable depend on, on some target.
    derived_from: FxHashMap<VarId, BTreeSet<VarId>>,
    /// What each target needs and does not have.
    missing: Vec<Vec<VarId>>,
    /// The targets that have a layer.
    users: FxHashMap<SectionId, Vec<usize>>,
}

/// The images that can be built: the library's and the project's. One that has no target is not among them.
fn evaluated(program: &Program) -> Vec<Image<'_>> {
    let own = program.sections.ids().filter(|id| {
        let section = program.section(*id);
        section.kind == LayerKind::Image && program.sources.is_users(section.span.file)
    });
    let all = program.library_images().into_iter().chain(own);
    all.filter_map(|id| evaluate(program, id, None).ok())
        .collect()
}

impl Found {
    fn new(program: &Program, targets: &[Image<'_>]) -> Found {
        let mut found = Found {
            seen: FxHashMap::default(),
            with: FxHashMap::default(),
            derived_from: FxHashMap::default(),
            missing: targets.iter().map(find_missing).collect(),
            users: FxHashMap::default(),
        };
        for (at, image) in targets.iter().enumerate() {
            let reach = find_reach(image);
            for id in image.ids().iter().copied() {
                let variable = program.variable(id);
                if !variable.is_declared() || variable.removed().is_some() {
                    continue;
                }
                // A deprecated name does what the real one does.
                let real = variable.alias_of().unwrap_or(id);
                found.seen.entry(id).or_default().insert(at);
                if reach.effect(image, real) == Reached::Some {
                    found.with.entry(id).or_default().insert(at);
                }
                let others = image.dependencies(id).into_iter().filter(|other| {
                    let named = program.variable(*other);
                    *other != id && named.is_declared() && named.alias_of() != Some(id)
                });
                found.derived_from.entry(id).or_default().extend(others);
            }
            for place in image.stack.places() {
                if let Some(StackLayer::Section(id)) = image.stack.layer(place) {
                    found.users.entry(id).or_default().push(at);
                }
            }
        }
        found
    }
}

/// Returns the documentation of types and rules by the places of their names. A program does not keep it.
pub fn item_docs(program: &Program) -> FxHashMap<Span, String> {
    let mut out = FxHashMap::default();
    for (file, source) in program.sources.iter() {
        if source.path.extension().is_none_or(|e| e != "imgspec") {
            continue;
        }
        for item in syntax::parse(file, &source.text).file.items {
            let (name, doc) = match item {
                ast::Item::Type(item) => (item.name, item.doc),
                ast::Item::Section(item) => (item.name, item.doc),
                ast::Item::Variable(_)
                | ast::Item::Include(_)
                | ast::Item::Test(_)
                | ast::Item::Waiver(_) => continue,
            };
            out.extend(doc.map(|doc| (name.span, doc)));
        }
    }
    out
}

/// Facts, those first that most `applies` name: they tell most about where a variable has an effect.
fn facts(program: &Program) -> Vec<(VarId, String)> {
    let mut uses: BTreeMap<VarId, usize> = BTreeMap::new();
    for applies in program.variables.iter().filter_map(|v| v.applies.as_ref()) {
        applies.for_each_variable(&mut |id| *uses.entry(id).or_default() += 1);
    }
    let mut facts: Vec<(VarId, String)> = program
        .variables
        .pairs()
        .filter(|(_, variable)| variable.is_fact && variable.is_declared())
        .map(|(id, variable)| (id, variable.name.to_string()))
        .collect();
    facts.sort_by_key(|(id, _)| std::cmp::Reverse(uses.get(id).copied().unwrap_or(0)));
    facts
}

fn fact_text(value: &Value) -> String {
    match value {
        Value::String(text) => text
            .known()
            .map_or_else(|| print_value(value), |t| t.into_owned()),
        other => print_value(other),
    }
}

/// The names of builders that an image's runs select, with `+` between them.
fn builders(image: &Image<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in image.selections().into_iter().flat_map(|s| &s.only) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.join("+")
}

fn describer(program: &Program, targets: &[Image<'_>]) -> Describer {
    let mut facts = facts(program);
    // A fact that the provider decides says no more than the provider.
    let is_decided = |id: VarId| {
        let mut values: BTreeMap<ProviderId, Option<&Value>> = BTreeMap::new();
        targets.iter().all(|image| {
            let value = image.value(id);
            *values.entry(image.provider).or_insert(value) == value
        })
    };
    let mut at = 0;
    facts.retain(|(id, _)| {
        at += 1;
        at == 1 || !is_decided(*id)
    });
    let targets: Vec<TargetFacts> = targets
        .iter()
        .map(|image| TargetFacts {
            name: image.name().to_owned(),
            provider: program.provider(image.provider).name.to_string(),
            builders: builders(image),
            facts: facts
                .iter()
                .map(|(id, _)| image.value(*id).filter(|v| !v.is_empty()).map(fact_text))
                .collect(),
        })
        .collect();
    let mut columns: Vec<String> = Vec::new();
    if let Some((id, _)) = facts.first()
        && let Base::OneOf(choices) = &program.variable(*id).ty.base
    {
        columns.extend(choices.iter().map(SmolStr::to_string));
    }
    let values = targets.iter().map(|target| match target.facts.first() {
        Some(Some(value)) => value.clone(),
        _ => UNSET.to_owned(),
    });
    let values: BTreeSet<String> = values.collect();
    columns.retain(|column| values.contains(column));
    columns.extend(
        values
            .iter()
            .filter(|v| !columns.contains(v))
            .cloned()
            .collect::<Vec<_>>(),
    );
    Describer {
        targets,
        facts,
        columns,
    }
}

impl<'p> Collector<'p> {
    fn reference(&self, subject: &str) -> Reference {
        let mut effects = Vec::new();
        Reference {
            subject: subject.to_owned(),
            groups: self.groups(&mut effects),
            targets: self.target_groups(),
            layers: self.layers(),
            providers: self
                .program
                .providers
                .pairs()
                .map(|(id, p)| self.provider(id, p))
                .collect(),
            rules: self.sound_rules().map(|rule| self.rule(rule)).collect(),
            probes: self.sound_probes().map(|p| self.probe(p)).collect(),
            types: self.types(),
            effects,
            fact: self.describer.facts.first().map(|(_, name)| name.clone()),
            columns: self.describer.columns.clone(),
        }
    }

    fn is_own(&self, file: FileId) -> bool {
        self.program.sources.is_users(file)
    }

    fn place(&self, span: Span) -> String {
        let place = place_in_checkout(self.program, span);
        let at = self.program.sources.position(place.file, place.start);
        format!("{}:{}", self.program.sources.name(place.file), at.line)
    }

    /// The text of an expression, without secrets.
    fn text(&self, span: Span) -> String {
        abridge(dedent(self.program.sources.shown_slice(span).trim()))
    }

    fn names(&self, ids: impl IntoIterator<Item = VarId>) -> Vec<String> {
        let mut names: Vec<String> = ids
            .into_iter()
            .map(|id| self.program.variable(id).name.to_string())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    // ---- variables ----------------------------------------------------------------------------

    fn groups(&self, effects: &mut Vec<page::Effect>) -> Vec<page::Group> {
        let program = self.program;
        let set_by = self.set_by();
        let mut gives: FxHashMap<VarId, BTreeSet<VarId>> = FxHashMap::default();
        for (id, others) in &self.found.derived_from {
            for other in others {
                gives.entry(*other).or_default().insert(*id);
            }
        }
        let mut rules: FxHashMap<VarId, BTreeSet<String>> = FxHashMap::default();
        for rule in self.sound_rules() {
            let mut visit = |id| {
                rules.entry(id).or_default().insert(rule.name.to_string());
            };
            rule.condition.for_each_variable(&mut visit);
        }
        let mut probes: FxHashMap<VarId, BTreeSet<String>> = FxHashMap::default();
        for probe in self.sound_probes() {
            probe.for_each_variable(&mut |id| {
                probes.entry(id).or_default().insert(probe.name.to_string());
            });
        }
        let mut known: Vec<(BTreeSet<usize>, BTreeSet<usize>)> = Vec::new();
        let mut groups: BTreeMap<(bool, String), page::Group> = BTreeMap::new();
        for (id, variable) in program.variables.pairs().filter(|(_, v)| v.is_declared()) {
            let file = program.sources.get(variable.span.file);
            let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
            let is_own = self.is_own(variable.span.file);
            let mut shown = self.variable(id, variable);
            if let Some(seen) = self.found.seen.get(&id) {
                let with = self.found.with.get(&id).cloned().unwrap_or_default();
                let sets = (seen.clone(), with);
                let at = known.iter().position(|k| *k == sets).unwrap_or_else(|| {
                    effects.push(self.describer.effect(&sets.0, &sets.1));
                    known.push(sets);
                    known.len() - 1
                });
                shown.effect = Some(at);
            }
            shown.gives = self.names(gives.get(&id).into_iter().flatten().copied());
            shown.rules = rules.get(&id).into_iter().flatten().cloned().collect();
            shown.probes = probes.get(&id).into_iter().flatten().cloned().collect();
            (shown.set_by, shown.more_values) = set_by
                .get(&id)
                .map_or_else(Default::default, |by| summarize(by));
            let group = groups
                .entry((is_own, stem.to_string()))
                .or_insert_with(|| page::Group {
                    name: stem.to_string(),
                    about: file_comment(&file.text),
                    is_own,
                    variables: Vec::new(),
                });
            group.variables.push(shown);
        }
        groups.into_values().collect()
    }

    fn variable(&self, id: VarId, variable: &Variable) -> page::Variable {
        let program = self.program;
        let aliases = program
            .traits
            .aliases
            .iter()
            .filter(|(_, real)| *real == id);
        let derived_from = self.found.derived_from.get(&id);
        let is_for_packer = variable.to.has(Receivers::PACKER);
        page::Variable {
            name: variable.name.to_string(),
            ty: variable.ty.to_string(),
            doc: variable.doc.clone(),
            default: variable
                .default
                .as_ref()
                .map(|default| self.value(id, default)),
            is_optional: variable.ty.optional,
            unit: variable.doc.as_deref().and_then(find_unit),
            encoding: is_for_packer.then(|| variable.encoding.as_str().to_owned()),
            receivers: variable.to.names().into_iter().map(str::to_owned).collect(),
            applies: variable
                .applies
                .as_ref()
                .map(|applies| self.text(applies.span)),
            is_fact: variable.is_fact,
            is_secret: variable.is_secret,
            alias_of: variable
                .alias_of()
                .map(|real| program.variable(real).name.to_string()),
            aliases: self.names(aliases.map(|(alias, _)| *alias)),
            removed: variable.removed().map(SmolStr::to_string),
            effect: None,
            set_by: Vec::new(),
            more_values: 0,
            derived_from: self.names(derived_from.into_iter().flatten().copied()),
            gives: Vec::new(),
            rules: Vec::new(),
            probes: Vec::new(),
            example: None,
            place: self.place(variable.span),
        }
    }

    /// The text of a value, unless it shows a secret of the project.
    fn value(&self, id: VarId, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Const(value) if shows_secret(self.program, id, value, expr.span) => {
                MASK.to_owned()
            }
            ExprKind::Nothing => String::new(),
            _ => self.text(expr.span),
        }
    }

    /// What sets each variable, in the order of the library.
    fn set_by(&self) -> FxHashMap<VarId, Vec<(String, Link)>> {
        let mut out: FxHashMap<VarId, Vec<(String, Link)>> = FxHashMap::default();
        let mut add = |settings: &[Setting], kind: Kind, name: &str| {
            for setting in settings {
                let value = self.value(setting.variable, &setting.value);
                let value = match setting.change {
                    Change::Replace => value,
                    Change::Append => format!("+= {value}"),
                    Change::Remove => format!("-= {value}"),
                    Change::Unset => "unset".to_owned(),
                };
                let link = Link {
                    kind,
                    name: name.to_owned(),
                };
                out.entry(setting.variable).or_default().push((value, link));
            }
        };
        for provider in self.program.providers.iter() {
            add(&provider.defaults, Kind::Provider, &provider.name);
        }
        for section in self.program.sections.iter() {
            let kind = match section.kind {
                LayerKind::Image => Kind::Target,
                LayerKind::Layer | LayerKind::Json | LayerKind::Matrix => Kind::Layer,
                LayerKind::Argument | LayerKind::Axis => continue,
            };
            add(&section.settings, kind, &section.name);
            let target = section.target.as_ref();
            add(
                target.map_or(&[], |target| target.vars.as_slice()),
                kind,
                &section.name,
            );
        }
        out
    }

    fn settings(&self, section: Option<&Section>, settings: &[Setting]) -> Vec<page::Setting> {
        let when = |setting: &Setting| {
            let section = section?;
            let mut at = setting.condition;
            let mut parts = Vec::new();
            while let Some(condition) = at.and_then(|at| section.conditions.get(at as usize)) {
                parts.push(self.text(condition.expr.span));
                at = condition.outer;
            }
            parts.reverse();
            (!parts.is_empty()).then(|| parts.join(" and "))
        };
        let shown = settings.iter().map(|setting| page::Setting {
            name: self.program.variable(setting.variable).name.to_string(),
            change: match setting.change {
                Change::Replace => "=",
                Change::Append => "+=",
                Change::Remove => "-=",
                Change::Unset => "unset",
            },
            value: self.value(setting.variable, &setting.value),
            when: when(setting),
        });
        shown.collect()
    }

    fn link(&self, id: SectionId) -> Link {
        let section = self.program.section(id);
        Link {
            kind: if section.kind == LayerKind::Image {
                Kind::Target
            } else {
                Kind::Layer
            },
            name: section.name.to_string(),
        }
    }

    /// True for a layer that is shown at its only target.
    fn is_private(&self, id: SectionId) -> bool {
        self.program.section(id).kind == LayerKind::Layer
            && self
                .found
                .users
                .get(&id)
                .is_some_and(|users| users.len() == 1)
    }
}

/// True for a named type itself, and for lists and maps of it.
fn is_of(ty: &Type, named: &Type) -> bool {
    match (&ty.base, &named.base) {
        (Base::Refined(a), Base::Refined(b)) => a.name == b.name && a.pattern == b.pattern,
        (Base::OneOf(a), Base::OneOf(b)) => a == b,
        _ => ty.element().is_some_and(|element| is_of(element, named)),
    }
}

/// The number of values, and of places of each, that a variable shows.
const MOST: usize = 8;

/// Merges equal values, and keeps the most common.
fn summarize(all: &[(String, Link)]) -> (Vec<SetBy>, usize) {
    let mut out: Vec<SetBy> = Vec::new();
    for (value, link) in all {
        let at = out
            .iter()
            .position(|by| by.value == *value)
            .unwrap_or_else(|| {
                out.push(SetBy {
                    value: value.clone(),
                    by: Vec::new(),
                    more: 0,
                });
                out.len() - 1
            });
        if let Some(by) = out.get_mut(at) {
            if by.by.len() < MOST {
                by.by.push(link.clone());
            } else {
                by.more += 1;
            }
        }
    }
    out.sort_by_key(|by| std::cmp::Reverse(by.by.len() + by.more));
    let more = out.len().saturating_sub(MOST);
    out.truncate(MOST);
    (out, more)
}
