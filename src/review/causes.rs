//! From values that differ to the settings that are the cause.

use crate::emit::{Act, MASK, Provenance, Step};
use crate::review::lines::{Key, Lines, key};
use crate::review::{Change, Derived, Place, State, Values, What};
use rustc_hash::FxHashMap;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The var files, which the values stand for.
const VAR_FILES: [&str; 2] = ["output/packer.vars.json", "output/ansible.vars.json"];

/// Stands for a variable where the target of an image differs.
const EXTENDS: &str = "extends";

/// Files other than the var files that differ.
pub(super) fn changed_files(before: &State, now: &State) -> Vec<(String, &'static str)> {
    if before.seen.is_empty() || now.seen.is_empty() {
        return Vec::new();
    }
    let names: BTreeSet<&String> = before.seen.keys().chain(now.seen.keys()).collect();
    let names = names
        .into_iter()
        .filter(|name| !VAR_FILES.contains(&name.as_str()));
    let changed = names.filter_map(|name| match (before.seen.get(name), now.seen.get(name)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(_), Some(_)) => Some((name.clone(), "changed")),
        (None, _) => Some((name.clone(), "new")),
        (_, None) => Some((name.clone(), "gone")),
    });
    changed.collect()
}

/// An image that both states have.
pub(super) struct Image<'s> {
    pub name: &'s str,
    pub before: &'s State,
    pub now: &'s State,
    pub lines_before: &'s Lines,
}

impl<'s> Image<'s> {
    /// Whether a build sees a difference. Without IDs, each different value counts.
    pub(super) fn is_seen_to_differ(&self) -> bool {
        match (&self.before.id, &self.now.id) {
            (Some(before), Some(now)) => before != now,
            _ => !self.differing().is_empty(),
        }
    }

    /// What reads a variable in the new state, or in the old one if it is gone.
    fn readers(&self, variable: &str) -> Vec<String> {
        let own = |state: &State| state.readers.get(variable).cloned();
        own(self.now)
            .or_else(|| own(self.before))
            .unwrap_or_default()
    }

    /// The variables whose values differ.
    fn differing(&self) -> BTreeSet<&'s str> {
        let (before, now) = (values(self.before), values(self.now));
        let names: BTreeSet<&str> = before.keys().chain(now.keys()).copied().collect();
        names
            .into_iter()
            .filter(|name| before.get(name) != now.get(name))
            .collect()
    }

    /// The settings of a variable that have a part in its value in one state and not in the other.
    fn own_causes(&self, variable: &str) -> Vec<Place> {
        let (before, now) = (parts(self.before, variable), parts(self.now, variable));
        let is_in = |others: &[(Key, &Step)], key: &Key| others.iter().any(|(o, _)| o == key);
        let new = now.iter().filter(|(key, _)| !is_in(&before, key));
        let mut out: Vec<Place> = new
            .map(|(key, step)| {
                let was_there = self.lines_before.has(*key);
                let what = if was_there {
                    What::Applies
                } else {
                    What::Written
                };
                Place::of(step, variable, what)
            })
            .collect();
        // What stands beside it as before is not the cause; what is gone is, where nothing has come instead.
        if out.is_empty()
            || out
                .iter()
                .all(|p| p.layer == "default" && p.what == What::Applies)
        {
            let gone = before.iter().filter(|(key, _)| !is_in(&now, key));
            let gone: Vec<Place> = gone
                .map(|(_, step)| Place::of(step, variable, What::Ended))
                .collect();
            if !gone.is_empty() {
                out = gone;
            }
        }
        out
    }

    /// The targets, if they differ.
    fn targets(&self) -> Option<Values> {
        let target = |state: &State| state.provenance.as_ref().map(|p| p.target.clone());
        let (old, new) = (target(self.before)?, target(self.now)?);
        (old != new).then(|| Values {
            old: old.into(),
            new: new.into(),
            images: 1,
        })
    }

    /// The place of the image's declaration.
    fn declaration(&self) -> Vec<Place> {
        let declared = self.now.declared.iter();
        declared
            .map(|(file, line, column)| Place {
                file: file.clone(),
                line: *line,
                column: *column,
                layer: self.name.to_owned(),
                variable: EXTENDS.to_owned(),
                what: What::Written,
            })
            .collect()
    }

    /// The setting that a variable's value comes from now, or came from.
    fn any_place(&self, variable: &str) -> Vec<Place> {
        let all = parts(self.now, variable);
        let all = if all.is_empty() {
            parts(self.before, variable)
        } else {
            all
        };
        let first = all.first();
        let first = first.map(|(_, step)| Place::of(step, variable, What::Same));
        first.into_iter().collect()
    }

    /// The variables among `roots` that a value is computed from, over any number of steps, the nearest first.
    fn roots_of(&self, variable: &'s str, roots: &BTreeMap<&str, Vec<Place>>) -> Vec<&'s str> {
        let (mut queue, mut known) = (vec![variable], BTreeSet::from([variable]));
        while !queue.is_empty() {
            let mut next = Vec::new();
            for name in queue {
                for state in [self.now, self.before] {
                    let reads = state
                        .grounds
                        .get(name)
                        .map_or(&[][..], |ground| &ground.reads);
                    next.extend(
                        reads
                            .iter()
                            .map(String::as_str)
                            .filter(|read| known.insert(read)),
                    );
                }
            }
            let found: Vec<&str> = next
                .iter()
                .copied()
                .filter(|name| roots.contains_key(name))
                .collect();
            if !found.is_empty() {
                return found;
            }
            queue = next;
        }
        Vec::new()
    }
}

fn values(state: &State) -> BTreeMap<&str, &Json> {
    let variables = state
        .provenance
        .iter()
        .flat_map(|p: &Provenance| &p.variables);
    variables
        .map(|(name, trace)| (name.as_str(), &trace.value))
        .collect()
}

/// The settings that make the value of a variable, the strongest first.
fn parts<'s>(state: &'s State, variable: &str) -> Vec<(Key, &'s Step)> {
    let Some((name, trace)) = state
        .provenance
        .as_ref()
        .and_then(|p| p.variables.get_key_value(variable))
    else {
        return Vec::new();
    };
    let ground = state.grounds.get(name);
    let steps = trace.set_by.iter().enumerate();
    steps
        .filter(|(_, step)| !matches!(step.does, Act::Over | Act::Dropped))
        .map(|(at, step)| (key(name, step, ground, at), step))
        .collect()
}

/// The differences of all images, by their causes.
#[derive(Default)]
pub(super) struct Found(BTreeMap<(Vec<Place>, String), Group>);

#[derive(Default)]
struct Group {
    values: Pairs,
    images: Vec<String>,
    is_seen: bool,
    readers: BTreeSet<String>,
    derived: BTreeMap<String, Pairs>,
}

impl Found {
    pub(super) fn add(&mut self, image: &Image<'_>, is_seen: bool) {
        let differing = image.differing();
        let mut roots: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
        for name in &differing {
            let causes = image.own_causes(name);
            if !causes.is_empty() {
                roots.insert(name, causes);
            }
        }
        let mut derived = Vec::new();
        let targets = image.targets();
        let is_of_library =
            |places: &[Place]| places.iter().all(|place| place.file.starts_with("stdlib/"));
        if targets.is_some() {
            // What another target brings follows from the `extends` of the image.
            let followers = roots.iter().filter(|(_, places)| is_of_library(places));
            derived.extend(followers.map(|(name, _)| (EXTENDS, *name)));
            roots.retain(|_, places| !is_of_library(places));
        }
        for name in &differing {
            if derived.iter().any(|(_, known)| known == name) {
                continue;
            }
            if roots.contains_key(name) {
                continue;
            }
            let root = image.roots_of(name, &roots);
            let root = root.first().copied().or(targets.as_ref().map(|_| EXTENDS));
            match root {
                Some(root) => derived.push((root, *name)),
                None => {
                    derived.push((*name, *name));
                }
            }
        }
        // What follows from nothing that has changed stands for itself: the library or the environment is the cause.
        for (root, name) in &derived {
            if root == name {
                roots.insert(name, image.any_place(name));
            }
        }
        let (before, now) = (values(image.before), values(image.now));
        let pair = |name: &str| {
            let value =
                |of: &BTreeMap<&str, &Json>| of.get(name).map_or(Json::Null, |v| (*v).clone());
            let (mut old, mut new) = (value(&before), value(&now));
            // Another library may not know that a value is a secret, or that it contains one.
            if has_mask(&old) || has_mask(&new) {
                for value in [&mut old, &mut new] {
                    if !value.is_null() {
                        *value = Json::from(MASK);
                    }
                }
            }
            Values {
                old,
                new,
                images: 1,
            }
        };
        if let Some(values) = targets {
            roots.insert(EXTENDS, image.declaration());
            let group = self
                .0
                .entry((image.declaration(), EXTENDS.to_owned()))
                .or_default();
            group.values.count(values);
        }
        for (name, places) in &roots {
            let group = self
                .0
                .entry((places.clone(), (*name).to_owned()))
                .or_default();
            if *name != EXTENDS {
                group.values.count(pair(name));
            }
            group.images.push(image.name.to_owned());
            group.is_seen |= is_seen;
            group.readers.extend(image.readers(name));
            for (_, follower) in derived
                .iter()
                .filter(|(root, follower)| root == name && follower != name)
            {
                group.readers.extend(image.readers(follower));
                let pairs = group.derived.entry((*follower).to_owned()).or_default();
                pairs.count(pair(follower));
            }
        }
    }

    /// All changes, those in most images first.
    pub(super) fn finish(self) -> Vec<Change> {
        let mut out: Vec<Change> = self
            .0
            .into_iter()
            .map(|((places, variable), group)| Change {
                variable,
                values: group.values.sorted(),
                places,
                images: group.images,
                is_seen: group.is_seen,
                read_by: group.readers.into_iter().collect(),
                derived: group
                    .derived
                    .into_iter()
                    .map(|(variable, values)| Derived {
                        variable,
                        values: values.sorted(),
                    })
                    .collect(),
            })
            .collect();
        out.sort_by(|a, b| {
            let key = |c: &Change| (!c.is_seen, std::cmp::Reverse(c.images.len()));
            key(a).cmp(&key(b))
        });
        out
    }
}

/// Different pairs of values.
#[derive(Default)]
struct Pairs {
    all: Vec<Values>,
    /// The places of the pairs, by their texts.
    known: FxHashMap<(String, String), usize>,
}

impl Pairs {
    fn count(&mut self, one: Values) {
        let texts = (one.old.to_string(), one.new.to_string());
        let at = *self.known.entry(texts).or_insert(self.all.len());
        match self.all.get_mut(at) {
            Some(known) => known.images += one.images,
            None => self.all.push(one),
        }
    }

    /// The most frequent first.
    fn sorted(mut self) -> Vec<Values> {
        self.all.sort_by_key(|pair| std::cmp::Reverse(pair.images));
        self.all
    }
}

/// Whether a value shows that it is a secret, or contains one.
fn has_mask(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains(MASK),
        Json::Array(elements) => elements.iter().any(has_mask),
        Json::Object(entries) => entries.values().any(has_mask),
        _ => false,
    }
}
