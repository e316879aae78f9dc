//! From values that differ to the settings that are the cause.

use crate::emit::{Act, Ground, MASK, Provenance, Step};
use crate::review::{
    Change, Derived, FileChange, Place, Review, Side, State, Unused, Values, What,
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The var files, which the values stand for.
const VAR_FILES: [&str; 2] = ["output/packer.vars.json", "output/ansible.vars.json"];

/// Stands for a variable where the target of an image differs.
const EXTENDS: &str = "extends";

/// Compares two states of a project.
pub fn compare(old: &Side, new: &Side) -> Review {
    let both = || {
        new.iter()
            .filter_map(|(name, state)| Some((name, old.get(name)?, state)))
    };
    let only = |one: &Side, other: &Side| {
        let names = one.keys().filter(|name| !other.contains_key(*name));
        names.cloned().collect::<Vec<String>>()
    };
    let (lines_before, lines_now) = (lines(old.values()), lines(new.values()));
    let mut found = Found::default();
    let mut rebuilt = Vec::new();
    let mut files: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
    for (name, before, now) in both() {
        let image = Image {
            name,
            before,
            now,
            lines_before: &lines_before,
        };
        let is_seen = image.is_seen_to_differ();
        if is_seen {
            rebuilt.push(name.clone());
        }
        found.add(&image, is_seen);
        for (file, what) in changed_files(before, now) {
            files.entry((file, what)).or_default().push(name.clone());
        }
    }
    let (mut added, mut removed) = (only(new, old), only(old, new));
    let mut renamed = Vec::new();
    removed.retain(|before| {
        let id = old.get(before).and_then(|state| state.id.as_ref());
        let is_same =
            |now: &&String| id.is_some() && new.get(*now).and_then(|state| state.id.as_ref()) == id;
        let Some(now) = added.iter().find(is_same).cloned() else {
            return true;
        };
        added.retain(|name| *name != now);
        renamed.push((before.clone(), now));
        false
    });
    let changes = found.finish();
    let mut idle = idle(&changes, &lines_before, &lines_now, new, &added);
    idle.extend(idle_in_unused(old, new, &lines_before));
    idle.sort();
    idle.dedup();
    Review {
        images: new.len(),
        rebuilt,
        removed,
        renamed,
        added,
        changes,
        files: files
            .into_iter()
            .map(|((file, what), images)| FileChange { file, what, images })
            .collect(),
        idle,
    }
}

/// A setting as it is written, wherever it stands in its file: variable, layer, file, condition, text, kind.
type Line<'s> = (&'s str, &'s str, &'s str, &'s str, String, bool);

/// All settings of a state, with the first place of each.
fn lines<'s>(states: impl Iterator<Item = &'s State>) -> BTreeMap<Line<'s>, &'s Step> {
    let mut out = BTreeMap::new();
    for state in states {
        let variables = state.provenance.iter().flat_map(|p| &p.variables);
        for (variable, trace) in variables {
            let ground = state.grounds.get(variable);
            for (at, step) in trace.set_by.iter().enumerate() {
                out.entry(line(variable, step, ground, at)).or_insert(step);
            }
        }
    }
    out
}

fn line<'s>(variable: &'s str, step: &'s Step, ground: Option<&Ground>, at: usize) -> Line<'s> {
    let text = ground.and_then(|ground| ground.texts.get(at));
    // Neither spaces nor a last comma make another setting of it, as long as the value is the same.
    let text = text.map(|text| {
        text.split_whitespace()
            .collect::<String>()
            .replace(",]", "]")
    });
    let is_constant = ground.is_none_or(|ground| ground.reads.is_empty());
    let value = is_constant.then(|| step.value.to_string());
    let text = [text, value].into_iter().flatten().collect();
    let when = step.when.as_deref().unwrap_or_default();
    let is_unset = step.does == Act::Unsets;
    // A library of another release has other paths.
    let is_library = step.file.starts_with("stdlib/");
    let file = if is_library { "stdlib" } else { &step.file };
    (variable, &step.layer, file, when, text, is_unset)
}

/// Files other than the var files that differ.
fn changed_files(before: &State, now: &State) -> Vec<(String, &'static str)> {
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
struct Image<'s> {
    name: &'s str,
    before: &'s State,
    now: &'s State,
    lines_before: &'s BTreeMap<Line<'s>, &'s Step>,
}

impl<'s> Image<'s> {
    /// Whether a build sees a difference. Without IDs, each different value counts.
    fn is_seen_to_differ(&self) -> bool {
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
        let place = |line: &Line<'_>, step: &Step, what| Place {
            file: step.file.clone(),
            line: step.line,
            column: step.column,
            layer: step.layer.clone(),
            variable: line.0.to_owned(),
            what,
        };
        let is_in =
            |others: &[(Line<'_>, &Step)], line: &Line<'_>| others.iter().any(|(o, _)| o == line);
        let new = now.iter().filter(|(line, _)| !is_in(&before, line));
        let mut out: Vec<Place> = new
            .map(|(line, step)| {
                let was_there = self.lines_before.contains_key(line);
                place(
                    line,
                    step,
                    if was_there {
                        What::Applies
                    } else {
                        What::Written
                    },
                )
            })
            .collect();
        // What stands beside it as before is not the cause; what is gone is, where nothing has come instead.
        if out.is_empty()
            || out
                .iter()
                .all(|p| p.layer == "default" && p.what == What::Applies)
        {
            let gone = before.iter().filter(|(line, _)| !is_in(&now, line));
            let gone: Vec<Place> = gone
                .map(|(line, step)| place(line, step, What::Ended))
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
        let first = all.first().map(|(_, step)| Place {
            file: step.file.clone(),
            line: step.line,
            column: step.column,
            layer: step.layer.clone(),
            variable: variable.to_owned(),
            what: What::Same,
        });
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
fn parts<'s>(state: &'s State, variable: &str) -> Vec<(Line<'s>, &'s Step)> {
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
        .map(|(at, step)| (line(name, step, ground, at), step))
        .collect()
}

/// The differences of all images, by their causes.
#[derive(Default)]
struct Found(BTreeMap<(Vec<Place>, String), Group>);

#[derive(Default)]
struct Group {
    values: Vec<Values>,
    images: Vec<String>,
    is_seen: bool,
    readers: BTreeSet<String>,
    derived: BTreeMap<String, Vec<Values>>,
}

impl Found {
    fn add(&mut self, image: &Image<'_>, is_seen: bool) {
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
            count(&mut group.values, values);
        }
        for (name, places) in &roots {
            let group = self
                .0
                .entry((places.clone(), (*name).to_owned()))
                .or_default();
            if *name != EXTENDS {
                count(&mut group.values, pair(name));
            }
            group.images.push(image.name.to_owned());
            group.is_seen |= is_seen;
            group.readers.extend(image.readers(name));
            for (_, follower) in derived
                .iter()
                .filter(|(root, follower)| root == name && follower != name)
            {
                group.readers.extend(image.readers(follower));
                count(
                    group.derived.entry((*follower).to_owned()).or_default(),
                    pair(follower),
                );
            }
        }
    }

    /// All changes, those in most images first.
    fn finish(self) -> Vec<Change> {
        let mut out: Vec<Change> = self
            .0
            .into_iter()
            .map(|((places, variable), group)| Change {
                variable,
                values: sorted(group.values),
                places,
                images: group.images,
                is_seen: group.is_seen,
                read_by: group.readers.into_iter().collect(),
                derived: group
                    .derived
                    .into_iter()
                    .map(|(variable, values)| Derived {
                        variable,
                        values: sorted(values),
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

fn count(all: &mut Vec<Values>, one: Values) {
    match all
        .iter_mut()
        .find(|known| known.old == one.old && known.new == one.new)
    {
        Some(known) => known.images += 1,
        None => all.push(one),
    }
}

fn sorted(mut values: Vec<Values>) -> Vec<Values> {
    values.sort_by_key(|pair| std::cmp::Reverse(pair.images));
    values
}

/// Settings of the project that are new or written otherwise, and are the cause of nothing.
fn idle(
    changes: &[Change],
    before: &BTreeMap<Line<'_>, &Step>,
    now: &BTreeMap<Line<'_>, &Step>,
    new: &Side,
    added: &[String],
) -> Vec<Place> {
    let in_new_images = lines(added.iter().filter_map(|name| new.get(name)));
    // A setting with the same value in the same layer is not new, however it is written and whatever its file is called.
    let same: BTreeSet<_> = before
        .iter()
        .map(|(line, step)| (line.0, line.1, line.3, step.value.to_string()))
        .collect();
    let is_cause = |variable: &str, step: &Step| {
        let places = changes.iter().flat_map(|change| &change.places);
        let mut own = places.filter(|place| place.what != What::Ended);
        own.any(|p| p.variable == variable && p.file == step.file && p.line == step.line)
    };
    now.iter()
        .filter(|(line, step)| {
            !before.contains_key(line)
                && !in_new_images.contains_key(line)
                && !same.contains(&(line.0, line.1, line.3, step.value.to_string()))
                && !step.file.starts_with("stdlib/")
                && step.layer != "default"
                && !is_cause(line.0, step)
        })
        .map(|(line, step)| Place {
            file: step.file.clone(),
            line: step.line,
            column: step.column,
            layer: step.layer.clone(),
            variable: line.0.to_owned(),
            what: What::Written,
        })
        .collect()
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

/// New settings in layers that no image has.
fn idle_in_unused(old: &Side, new: &Side, before: &BTreeMap<Line<'_>, &Step>) -> Vec<Place> {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let unused = old.unused.iter();
    let known: BTreeSet<_> = unused
        .map(|one| {
            (
                one.variable.as_str(),
                one.layer.as_str(),
                squeezed(&one.text),
            )
        })
        .collect();
    // A layer that an image had before has the same settings, though no image has it now.
    let used: BTreeSet<(&str, &str)> = before.keys().map(|line| (line.0, line.1)).collect();
    let is_new = |one: &&Unused| {
        !known.contains(&(
            one.variable.as_str(),
            one.layer.as_str(),
            squeezed(&one.text),
        )) && !used.contains(&(one.variable.as_str(), one.layer.as_str()))
    };
    let new = new.unused.iter().filter(is_new);
    new.map(|one| {
        let (file, line, column) = one.place.clone();
        Place {
            file,
            line,
            column,
            layer: one.layer.clone(),
            variable: one.variable.clone(),
            what: What::Written,
        }
    })
    .collect()
}
