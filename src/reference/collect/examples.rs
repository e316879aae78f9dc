//! Which examples the reference wants, and with which other settings.

use super::*;
use rustc_hash::FxHashSet;

impl Collector<'_> {
    pub(super) fn add_examples(&self, out: &mut Reference, trial: &Trial<'_>) {
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
        let relations = Relations::new(self);
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
                .filter(|with| with.iter().any(is_library));
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
            let related = relations.related_to(program, id);
            let mut values = trials::values(program, id, image, &type_docs);
            if let (Base::List(_), Some(image)) = (&variable.ty.base, image) {
                values.extend(self.keys_of(image, &related.0));
            }
            // What a target needs besides, with a value of its type.
            let needed = |at: &usize| {
                let others = self.found.missing.get(*at).into_iter().flatten();
                let others = others.filter(|other| **other != id).filter_map(|other| {
                    let values = trials::values(program, *other, self.targets.get(*at), &type_docs);
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

    /// Lists of one key of the maps that rules compare with a list.
    pub(super) fn keys_of(&self, image: &Image<'_>, related: &[VarId]) -> Vec<String> {
        let maps = related.iter().filter_map(|id| match image.value(*id) {
            Some(Value::Map(map)) => map.keys().next(),
            _ => None,
        });
        maps.map(|key| print_value(&Value::list(vec![Value::text(key.clone())])))
            .collect()
    }

    // ---- targets and layers -------------------------------------------------------------------
}

/// Which variables depend on which, and which rules read them.
struct Relations {
    /// For each variable those that are derived from it.
    derived: FxHashMap<VarId, Vec<VarId>>,
    /// The variables that each rule reads.
    reads: Vec<BTreeSet<VarId>>,
    /// For each variable the rules that read it.
    readers: FxHashMap<VarId, Vec<usize>>,
}

impl Relations {
    fn new(collector: &Collector<'_>) -> Relations {
        let mut derived: FxHashMap<VarId, Vec<VarId>> = FxHashMap::default();
        for (id, others) in &collector.found.derived_from {
            for other in others {
                derived.entry(*other).or_default().push(*id);
            }
        }
        let mut reads = Vec::new();
        let mut readers: FxHashMap<VarId, Vec<usize>> = FxHashMap::default();
        for (at, rule) in collector.sound_rules().enumerate() {
            let mut of_rule = BTreeSet::new();
            rule.condition.for_each_variable(&mut |id| {
                of_rule.insert(id);
            });
            for id in &of_rule {
                readers.entry(*id).or_default().push(at);
            }
            reads.push(of_rule);
        }
        Relations {
            derived,
            reads,
            readers,
        }
    }

    /// The other variables of the rules that read a variable, and of those that read what its value determines; both
    /// without facts.
    fn related_to(&self, program: &Program, id: VarId) -> (Vec<VarId>, Vec<VarId>) {
        let mut affected = vec![id];
        let mut seen = FxHashSet::from_iter([id]);
        let mut at = 0;
        while let Some(next) = affected.get(at) {
            at += 1;
            let more = self.derived.get(next).into_iter().flatten().copied();
            let new: Vec<VarId> = more.filter(|other| seen.insert(*other)).collect();
            affected.extend(new);
        }
        (
            self.read_with(program, id, &[id]),
            self.read_with(program, id, &affected),
        )
    }

    fn read_with(&self, program: &Program, id: VarId, affected: &[VarId]) -> Vec<VarId> {
        let rules = affected.iter().filter_map(|id| self.readers.get(id));
        let rules: BTreeSet<usize> = rules.flatten().copied().collect();
        let read = rules.iter().filter_map(|at| self.reads.get(*at)).flatten();
        let read: BTreeSet<VarId> = read.copied().collect();
        let is_other = |other: &VarId| *other != id && !program.variable(*other).is_fact;
        read.into_iter().filter(is_other).collect()
    }
}
