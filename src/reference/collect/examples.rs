//! Which examples the reference wants, and with which other settings.

use super::*;

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
            let related = self.related(id);
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

    /// The other variables of the rules that read a variable, and of those that read what its value determines; both
    /// without facts.
    pub(super) fn related(&self, id: VarId) -> (Vec<VarId>, Vec<VarId>) {
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

    pub(super) fn read_with(&self, id: VarId, affected: &BTreeSet<VarId>) -> Vec<VarId> {
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
