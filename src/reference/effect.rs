//! On which targets variables have an effect, in few words.

use crate::project::hir::VarId;
use crate::reference::model::{Cell, Effect, EffectRow};
use std::collections::BTreeSet;

/// What is known about a target for this.
#[derive(Debug)]
pub(super) struct TargetFacts {
    pub name: String,
    pub provider: String,
    /// The builders that its runs select, or empty.
    pub builders: String,
    /// The values of the facts, as text, in the order of [`Describer::facts`].
    pub facts: Vec<Option<String>>,
}

/// Describes sets of targets. A target is its place in the list.
#[derive(Debug)]
pub(super) struct Describer {
    pub targets: Vec<TargetFacts>,
    /// The facts, the most telling first: id and name.
    pub facts: Vec<(VarId, String)>,
    /// The values of the first fact, in order.
    pub columns: Vec<String>,
}

type Set = BTreeSet<usize>;

/// The longest list of targets that are named one by one.
const FEW: usize = 4;

impl Describer {
    fn provider(&self, at: usize) -> &str {
        self.targets.get(at).map_or("", |t| t.provider.as_str())
    }

    fn fact(&self, at: usize, fact: usize) -> Option<&str> {
        let target = self.targets.get(at)?;
        target.facts.get(fact)?.as_deref()
    }

    /// The effect of variables that `seen` of all targets know.
    pub(super) fn effect(&self, seen: &Set, with: &Set) -> Effect {
        let providers: BTreeSet<&str> = seen.iter().map(|at| self.provider(*at)).collect();
        let inside: BTreeSet<&str> = with.iter().map(|at| self.provider(*at)).collect();
        let row = |provider: &&str| self.row(provider, seen, with);
        Effect {
            summary: self.summary(seen, with),
            rows: inside.iter().map(row).collect(),
            without: providers
                .difference(&inside)
                .map(|p| (*p).to_owned())
                .collect(),
            count: with.len(),
        }
    }

    fn row(&self, provider: &str, seen: &Set, with: &Set) -> EffectRow {
        let mut cells = vec![Cell::default(); self.columns.len()];
        let (mut some, mut others) = (Vec::new(), Vec::new());
        for at in seen.iter().filter(|at| self.provider(**at) == provider) {
            let value = self.fact(*at, 0).unwrap_or(UNSET);
            let column = self.columns.iter().position(|c| c == value);
            let has_effect = with.contains(at);
            if let Some(cell) = column.and_then(|column| cells.get_mut(column)) {
                cell.of += 1;
                cell.with += usize::from(has_effect);
            }
            let names = if has_effect { &mut some } else { &mut others };
            names.extend(self.targets.get(*at).map(|target| target.name.clone()));
        }
        // Whole cells need no names.
        if !cells
            .iter()
            .any(|cell| cell.with > 0 && cell.with < cell.of)
        {
            some.clear();
            others.clear();
        }
        let is_exception = others.len() < some.len();
        EffectRow {
            provider: provider.to_owned(),
            cells,
            names: if is_exception { others } else { some },
            is_exception,
        }
    }

    /// Where it is, in a line: as a whole, by providers, by a fact, by both, or for each provider.
    fn summary(&self, seen: &Set, with: &Set) -> String {
        if seen.is_empty() {
            return "no image sees it".to_owned();
        }
        if with.is_empty() {
            return "no target".to_owned();
        }
        if with == seen {
            return "all targets".to_owned();
        }
        let chosen = Choice::new(seen, with, |at| Some(self.provider(at)));
        if chosen.is_exact {
            return chosen.of_providers();
        }
        if let Some(by_fact) = self.by_fact(seen, with) {
            return by_fact;
        }
        let inside: Set = seen
            .iter()
            .copied()
            .filter(|at| chosen.with.contains(&self.provider(*at)))
            .collect();
        if let Some(by_fact) = self.by_fact(&inside, with) {
            return format!("{}, {by_fact}", chosen.of_providers());
        }
        self.each_provider(&chosen.with, seen, with)
    }

    /// The value of a key on a target: of a fact, or after the facts its builders.
    fn key(&self, at: usize, key: usize) -> Option<&str> {
        if key < self.facts.len() {
            return self.fact(at, key);
        }
        let target = self.targets.get(at)?;
        (!target.builders.is_empty()).then_some(target.builders.as_str())
    }

    /// "`os_family` is `debian`"
    fn in_words(&self, key: usize, chosen: &Choice<'_>) -> String {
        match self.facts.get(key) {
            Some((_, name)) => chosen.in_words(&format!("`{name}` is"), "not "),
            None => chosen.in_words("Packer runs", "anything but "),
        }
    }

    /// "if `os_family` is `debian`", if one fact or the builders decide, or both together.
    fn by_fact(&self, seen: &Set, with: &Set) -> Option<String> {
        let builders = self.facts.len();
        let choose = |key: usize| Choice::new(seen, with, move |at| self.key(at, key));
        let single = (0..=builders).find_map(|key| {
            let chosen = choose(key);
            let is_named = key < builders || !chosen.has_unset();
            (chosen.is_exact && chosen.is_short() && is_named).then(|| self.in_words(key, &chosen))
        });
        let pair = || {
            let runs = choose(builders);
            (0..builders).find_map(|fact| {
                let chosen = choose(fact);
                let is_in = |at: &&usize| {
                    let has = |choice: &Choice<'_>, key: usize| {
                        choice.with.contains(&self.key(**at, key).unwrap_or(UNSET))
                    };
                    has(&chosen, fact) && has(&runs, builders)
                };
                let is_exact = seen.iter().filter(is_in).count() == with.len();
                let is_short = chosen.is_short() && runs.is_short() && !runs.has_unset();
                (is_exact && is_short && !runs.without.is_empty() && !chosen.without.is_empty())
                    .then(|| {
                        let fact = self.in_words(fact, &chosen);
                        format!("{fact} and {}", self.in_words(builders, &runs))
                    })
            })
        };
        single.or_else(pair).map(|how| format!("if {how}"))
    }

    fn each_provider(&self, providers: &[&str], seen: &Set, with: &Set) -> String {
        let mut texts: Vec<(String, Vec<String>)> = Vec::new();
        for provider in providers {
            let of = |set: &Set| -> Set {
                let all = set.iter().copied();
                all.filter(|at| self.provider(*at) == *provider).collect()
            };
            let (seen, with) = (of(seen), of(with));
            let how = if seen == with {
                String::new()
            } else if let Some(by_fact) = self.by_fact(&seen, &with) {
                format!(" {by_fact}")
            } else if with.len() <= FEW {
                let names = with.iter().filter_map(|at| self.targets.get(*at));
                let names: Vec<&str> = names.map(|t| t.name.as_str()).collect();
                format!(" (only {})", list(&names, "and"))
            } else {
                format!(" ({} of {} targets)", with.len(), seen.len())
            };
            match texts.iter_mut().find(|(known, _)| *known == how) {
                Some((_, names)) => names.push((*provider).to_owned()),
                None => texts.push((how, vec![(*provider).to_owned()])),
            }
        }
        let parts: Vec<String> = texts
            .iter()
            .map(|(how, names)| {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                list(&names, "and") + how
            })
            .collect();
        parts.join("; ")
    }
}

/// How a fact without a value is shown.
pub(super) const UNSET: &str = "unset";

/// The values of something on the targets of a set, and those that only other targets have.
struct Choice<'t> {
    with: Vec<&'t str>,
    without: Vec<&'t str>,
    /// The values alone decide.
    is_exact: bool,
}

impl<'t> Choice<'t> {
    fn new(seen: &Set, with: &Set, key: impl Fn(usize) -> Option<&'t str>) -> Choice<'t> {
        let value = |at: &usize| key(*at).unwrap_or(UNSET);
        let inside: BTreeSet<&str> = with.iter().map(value).collect();
        let outside: BTreeSet<&str> = seen.difference(with).map(value).collect();
        Choice {
            is_exact: inside.is_disjoint(&outside),
            without: outside.difference(&inside).copied().collect(),
            with: inside.into_iter().collect(),
        }
    }

    /// True where the exceptions are the shorter list.
    fn is_negative(&self) -> bool {
        !self.without.is_empty() && self.without.len() * 2 < self.with.len()
    }

    /// The values that its text names.
    fn named(&self) -> &[&'t str] {
        if self.is_negative() {
            &self.without
        } else {
            &self.with
        }
    }

    fn is_short(&self) -> bool {
        self.named().len() <= FEW
    }

    fn has_unset(&self) -> bool {
        self.named().contains(&UNSET)
    }

    fn of_providers(&self) -> String {
        if self.is_negative() {
            format!("all providers but {}", list(&self.without, "and"))
        } else {
            list(&self.with, "and")
        }
    }

    /// A verb, and the values or the exceptions.
    fn in_words(&self, verb: &str, not: &str) -> String {
        if self.is_negative() {
            format!("{verb} {not}{}", list(&self.without, "or"))
        } else {
            format!("{verb} {}", list(&self.with, "or"))
        }
    }
}

/// Names in backquotes, as in a sentence.
fn list(names: &[&str], word: &str) -> String {
    let quote = |name: &&str| match *name {
        UNSET => UNSET.to_owned(),
        name => format!("`{name}`"),
    };
    let quoted: Vec<String> = names.iter().map(quote).collect();
    match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} {word} {last}", first.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describer() -> Describer {
        let target = |name: &str, provider: &str, family: &str| TargetFacts {
            name: name.to_owned(),
            provider: provider.to_owned(),
            builders: if name == "o-u2" { "other" } else { "usual" }.to_owned(),
            facts: vec![Some(family.to_owned())],
        };
        Describer {
            targets: vec![
                target("q-u", "qemu", "debian"),
                target("q-r", "qemu", "redhat"),
                target("o-u", "ova", "debian"),
                target("o-r", "ova", "redhat"),
                target("o-p", "ova", "photon"),
                target("w", "win", "windows"),
                target("o-u2", "ova", "debian"),
            ],
            facts: vec![(VarId(0), "family".to_owned())],
            columns: ["debian", "redhat", "photon", "windows"]
                .map(str::to_owned)
                .into(),
        }
    }

    fn summary(with: &[usize]) -> String {
        describer().summary(&(0..7).collect(), &with.iter().copied().collect())
    }

    #[test]
    fn a_set_of_targets_has_its_shortest_description() {
        assert_eq!(summary(&[0, 1, 2, 3, 4, 5, 6]), "all targets");
        assert_eq!(summary(&[]), "no target");
        assert_eq!(summary(&[0, 1]), "`qemu`");
        assert_eq!(summary(&[0, 2, 6]), "if `family` is `debian`");
        assert_eq!(summary(&[0, 1, 2, 3, 4, 6]), "`ova` and `qemu`");
        assert_eq!(
            summary(&[2, 4, 6]),
            "`ova`, if `family` is `debian` or `photon`"
        );
        assert_eq!(
            summary(&[2, 5]),
            "`ova` and `win`, if `family` is `debian` or `windows` and Packer runs `usual`"
        );
    }

    #[test]
    fn a_cell_counts_its_targets() {
        let effect = describer().effect(&(0..7).collect(), &[2, 4].into());
        let ova = effect
            .rows
            .iter()
            .find(|row| row.provider == "ova")
            .unwrap();
        assert_eq!(ova.cells[0], Cell { with: 1, of: 2 });
        assert_eq!(ova.cells[2], Cell { with: 1, of: 1 });
        assert_eq!(ova.names, ["o-u", "o-p"]);
    }
}
