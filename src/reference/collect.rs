//! From a program to its reference.

use crate::emit::{Effect as Reached, MASK, find_missing, find_reach, shows_secret};
use crate::eval::{Image, evaluate};
use crate::project::hir::*;
use crate::project::{Program, StackLayer, place_in_checkout};
use crate::reference::effect::{Describer, TargetFacts, UNSET};
use crate::reference::examples::{self, Trial, Wanted};
use crate::reference::model as page;
use crate::reference::model::{Kind, Link, Reference, SetBy};
use crate::reference::words::{dedent, file_comment, find_unit, shorten};
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
                ast::Item::Variable(_) | ast::Item::Include(_) => continue,
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
        shorten(dedent(self.program.sources.shown_slice(span).trim()))
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
        let aliases = program.aliases.iter().filter(|(_, real)| *real == id);
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
                LayerKind::Layer | LayerKind::Json => Kind::Layer,
                LayerKind::Argument => continue,
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

    fn add_examples(&self, out: &mut Reference, trial: &Trial<'_>) {
        let program = self.program;
        let type_docs: FxHashMap<SmolStr, String> = self
            .named_types()
            .into_iter()
            .filter_map(|(name, _, span)| Some((name, self.docs.get(&span)?.clone())))
            .collect();
        // The library's targets, those first that need no value of the project.
        let is_library = |at: &usize| {
            let image = self.targets.get(*at);
            image.is_some_and(|image| !self.is_own(program.section(image.section).span.file))
        };
        let mut usable: Vec<usize> = (0..self.targets.len()).filter(is_library).collect();
        usable.sort_by_key(|at| self.found.missing.get(*at).map_or(0, Vec::len));
        let mut wanted = Vec::new();
        for (id, variable) in program.variables.pairs() {
            let is_old = variable.removed().is_some() || variable.alias_of().is_some();
            if !variable.is_declared() || is_old {
                continue;
            }
            let is_own = self.is_own(variable.span.file);
            let with = self
                .found
                .with
                .get(&id)
                .filter(|with| with.iter().any(|at| is_library(at)));
            let targets: Vec<usize> = match with {
                Some(with) => {
                    let with: Vec<usize> = usable
                        .iter()
                        .copied()
                        .filter(|at| with.contains(at))
                        .collect();
                    let few = [with.first(), with.get(with.len() / 2), with.last()];
                    few.into_iter().flatten().copied().collect()
                }
                // The library's targets do not know the project's variables: one of each provider is tried.
                None => {
                    let mut providers = BTreeSet::new();
                    let provider = |at: &usize| Some(self.targets.get(*at)?.provider);
                    let all = usable.iter().copied();
                    all.filter(|at| providers.insert(provider(at))).collect()
                }
            };
            let path = &program.sources.get(variable.span.file).path;
            let include = match (is_own, path.strip_prefix(&trial.folder)) {
                (true, Ok(path)) => Some(path.display().to_string()),
                (true, Err(_)) => continue,
                (false, _) => None,
            };
            let image = targets.first().and_then(|at| self.targets.get(*at));
            let related = self.related(id);
            let mut values = examples::values(program, id, image, &type_docs);
            if let (Base::List(_), Some(image)) = (&variable.ty.base, image) {
                values.extend(self.keys_of(image, &related.0));
            }
            // What a target needs besides, with a value of its type.
            let needed = |at: &usize| {
                let others = self.found.missing.get(*at).into_iter().flatten();
                let others = others.filter(|other| **other != id).filter_map(|other| {
                    let values =
                        examples::values(program, *other, self.targets.get(*at), &type_docs);
                    let name = program.variable(*other).name.to_string();
                    Some((name, values.into_iter().next()?))
                });
                others.collect()
            };
            wanted.push(Wanted {
                id,
                name: variable.name.clone(),
                include,
                values,
                targets: targets
                    .iter()
                    .filter_map(|at| Some((self.targets.get(*at)?.name().to_owned(), needed(at))))
                    .collect(),
                has_effect: with.is_some() || is_own,
                related,
            });
        }
        let found = trial.examples(&wanted);
        let by_name: FxHashMap<(bool, &str), &String> = found
            .iter()
            .map(|(id, example)| {
                let variable = program.variable(*id);
                (
                    (self.is_own(variable.span.file), variable.name.as_str()),
                    example,
                )
            })
            .collect();
        for group in &mut out.groups {
            for variable in &mut group.variables {
                let key = (group.is_own, variable.name.as_str());
                variable.example = by_name.get(&key).map(|example| (*example).clone());
            }
        }
    }

    /// The other variables of the rules that read a variable, and of those that read what its value determines; both
    /// without facts.
    fn related(&self, id: VarId) -> (Vec<VarId>, Vec<VarId>) {
        let mut affected = BTreeSet::from([id]);
        let near = self.read_with(id, &affected);
        loop {
            let depends = |(_, others): &(&VarId, &BTreeSet<VarId>)| !others.is_disjoint(&affected);
            let all = self.found.derived_from.iter().filter(depends);
            let more: BTreeSet<VarId> = all.map(|(id, _)| *id).collect();
            if more.is_subset(&affected) {
                return (near, self.read_with(id, &affected));
            }
            affected.extend(more);
        }
    }

    fn read_with(&self, id: VarId, affected: &BTreeSet<VarId>) -> Vec<VarId> {
        let mut out = BTreeSet::new();
        for rule in self.sound_rules() {
            let mut reads = BTreeSet::new();
            rule.condition.for_each_variable(&mut |id| {
                reads.insert(id);
            });
            if !reads.is_disjoint(affected) {
                out.extend(reads);
            }
        }
        let is_other = |other: &VarId| *other != id && !self.program.variable(*other).is_fact;
        out.into_iter().filter(is_other).collect()
    }

    /// Lists of one key of the maps that rules compare with a list.
    fn keys_of(&self, image: &Image<'_>, related: &[VarId]) -> Vec<String> {
        let maps = related.iter().filter_map(|id| match image.value(*id) {
            Some(Value::Map(map)) => map.keys().next(),
            _ => None,
        });
        maps.map(|key| print_value(&Value::list(vec![Value::text(key.clone())])))
            .collect()
    }

    // ---- targets and layers -------------------------------------------------------------------

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

    fn target_groups(&self) -> Vec<page::Targets> {
        let mut groups: Vec<page::Targets> = Vec::new();
        for (at, image) in self.targets.iter().enumerate() {
            let provider = &self.program.provider(image.provider).name;
            let target = self.target(at, image);
            match groups.iter_mut().find(|group| group.provider == *provider) {
                Some(group) => group.targets.push(target),
                None => groups.push(page::Targets {
                    provider: provider.to_string(),
                    targets: vec![target],
                }),
            }
        }
        groups.sort_by(|a, b| a.provider.cmp(&b.provider));
        groups
    }

    fn target(&self, at: usize, image: &Image<'_>) -> page::Target {
        let program = self.program;
        let section = program.section(image.section);
        let mut stack = Vec::new();
        let mut settings = Vec::new();
        let mut add = |of: String, found: Vec<page::Setting>| {
            if !found.is_empty() {
                settings.push(page::Settings {
                    of,
                    settings: found,
                });
            }
        };
        for place in image.stack.places() {
            match image.stack.layer(place) {
                Some(StackLayer::Provider(id)) => stack.push(Link {
                    kind: Kind::Provider,
                    name: program.provider(id).name.to_string(),
                }),
                Some(StackLayer::Section(id)) => {
                    let layer = program.section(id);
                    if id != image.section {
                        stack.push(self.link(id));
                    }
                    if id == image.section || self.is_private(id) {
                        add(
                            layer.name.to_string(),
                            self.settings(Some(layer), &layer.settings),
                        );
                    }
                }
                Some(StackLayer::TargetVars(id)) => {
                    let target = program.section(id).target.as_ref();
                    let vars = target.map_or(&[][..], |target| &target.vars);
                    add(
                        "the target's own arguments".to_owned(),
                        self.settings(None, vars),
                    );
                }
                None => {}
            }
        }
        let own = section.target.as_ref();
        let facts = self
            .describer
            .targets
            .get(at)
            .map_or(&[][..], |target| &target.facts);
        let names = self.describer.facts.iter().map(|(_, name)| name);
        page::Target {
            name: section.name.to_string(),
            doc: section.doc.clone(),
            is_own: self.is_own(section.span.file),
            make: own
                .and_then(|target| target.make.as_ref())
                .map(SmolStr::to_string),
            tools: self.tools(image.provider),
            facts: names
                .zip(facts)
                .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                .collect(),
            stack,
            needs: self.names(self.found.missing.get(at).into_iter().flatten().copied()),
            settings,
            place: self.place(section.span),
        }
    }

    fn tools(&self, provider: ProviderId) -> Vec<String> {
        self.program
            .provider(provider)
            .tools
            .iter()
            .map(SmolStr::to_string)
            .collect()
    }

    fn layers(&self) -> Vec<page::Layer> {
        let program = self.program;
        let is_layer = |id: &SectionId| {
            let kind = program.section(*id).kind;
            matches!(kind, LayerKind::Layer | LayerKind::Json) && !self.is_private(*id)
        };
        let mut out: Vec<page::Layer> = program
            .sections
            .ids()
            .filter(is_layer)
            .map(|id| {
                let section = program.section(id);
                let users = self.found.users.get(&id);
                let names = users
                    .into_iter()
                    .flatten()
                    .filter_map(|at| self.targets.get(*at));
                page::Layer {
                    name: section.name.to_string(),
                    doc: section.doc.clone(),
                    extends: section
                        .extends
                        .iter()
                        .map(|(id, _)| self.link(*id))
                        .collect(),
                    settings: self.settings(Some(section), &section.settings),
                    used_by: names.map(|image| image.name().to_owned()).collect(),
                    place: self.place(section.span),
                }
            })
            .collect();
        out.sort_by(|a, b| a.name.cmp(&b.name));
        out
    }

    // ---- providers, rules, types --------------------------------------------------------------

    fn provider(&self, id: ProviderId, provider: &Provider) -> page::Provider {
        page::Provider {
            name: provider.name.to_string(),
            doc: provider.doc.clone(),
            template: provider.template.to_string(),
            playbook: provider.playbook.as_str(),
            roles: match provider.roles {
                Roles::Native => "native",
                Roles::Upstream => "upstream",
            },
            tools: self.tools(id),
            artifact: provider.artifact.as_ref().map(SmolStr::to_string),
            defaults: self.settings(None, &provider.defaults),
            targets: self
                .targets
                .iter()
                .filter(|image| image.provider == id)
                .count(),
            place: self.place(provider.span),
        }
    }

    /// The rules that can be checked: a standard rule about variables that another library lacks cannot.
    fn sound_rules(&self) -> impl Iterator<Item = &'p Rule> {
        let all = self.program.rules.iter();
        all.filter(|rule| rule.is_checked())
    }

    fn rule(&self, rule: &Rule) -> page::Rule {
        let mut reads = Vec::new();
        rule.condition.for_each_variable(&mut |id| reads.push(id));
        page::Rule {
            name: rule.name.to_string(),
            doc: self.docs.get(&rule.span).cloned(),
            is_deny: rule.is_deny,
            condition: self.text(rule.condition.span),
            message: self.text(rule.message.span),
            help: rule.help.as_ref().map(|help| self.text(help.span)),
            reads: self.names(reads),
            place: self.place(rule.span),
        }
    }

    fn named_types(&self) -> Vec<(SmolStr, Type, Span)> {
        let own = self.program.views.values().map(|view| &view.names);
        let all = std::iter::once(&self.program.library).chain(own);
        let all = all.flat_map(|names| &names.types);
        let mut out: Vec<_> = all
            .map(|(name, (ty, span))| (name.clone(), ty.clone(), *span))
            .collect();
        out.sort_by(|a, b| (&a.0, a.2).cmp(&(&b.0, b.2)));
        out.dedup_by_key(|(_, _, span)| *span);
        out
    }

    fn types(&self) -> Vec<page::NamedType> {
        let types = self.named_types().into_iter();
        let shown = types.map(|(name, ty, span)| {
            let uses = |variable: &&Variable| variable.is_declared() && is_of(&variable.ty, &ty);
            let used_by = self.program.variables.iter().filter(uses);
            page::NamedType {
                doc: self.docs.get(&span).cloned(),
                pattern: match &ty.base {
                    Base::Refined(refinement) => Some(refinement.pattern.to_string()),
                    _ => None,
                },
                choices: match &ty.base {
                    Base::OneOf(choices) => choices.iter().map(SmolStr::to_string).collect(),
                    _ => Vec::new(),
                },
                used_by: used_by.map(|variable| variable.name.to_string()).collect(),
                place: self.place(span),
                name: name.to_string(),
            }
        });
        shown.collect()
    }
}

/// True for a named type itself, and for lists and maps of it.
fn is_of(ty: &Type, named: &Type) -> bool {
    match (&ty.base, &named.base) {
        (Base::Refined(a), Base::Refined(b)) => std::sync::Arc::ptr_eq(a, b),
        (Base::OneOf(a), Base::OneOf(b)) => std::sync::Arc::ptr_eq(a, b),
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
