//! The comparison of two states: which images differ, and then one of these after the other.

use crate::review::causes::{Found, Image, changed_files};
use crate::review::lines::Lines;
use crate::review::{Change, FileChange, Place, Review, Side, State, Unused, What};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Two states of a project, compared as far as states of images have been added.
pub struct Comparison<'s> {
    old: &'s Side,
    new: &'s Side,
    added: Vec<String>,
    removed: Vec<String>,
    renamed: Vec<(String, String)>,
    /// The settings of added images.
    lines_of_added: Lines,
    found: Found,
    rebuilt: Vec<String>,
    files: BTreeMap<(String, &'static str), Vec<String>>,
}

impl<'s> Comparison<'s> {
    /// Begins to compare two states.
    pub fn new(old: &'s Side, new: &'s Side) -> Comparison<'s> {
        let only = |one: &Side, other: &Side| {
            let names = one.images.keys();
            let names = names.filter(|name| !other.images.contains_key(*name));
            names.cloned().collect::<Vec<String>>()
        };
        let (mut added, mut removed) = (only(new, old), only(old, new));
        let mut by_id: BTreeMap<&str, VecDeque<&String>> = BTreeMap::new();
        for name in &added {
            if let Some(id) = new.images.get(name).and_then(|image| image.id.as_ref()) {
                by_id.entry(id).or_default().push_back(name);
            }
        }
        let mut renamed = Vec::new();
        removed.retain(|before| {
            let id = old.images.get(before).and_then(|image| image.id.as_ref());
            let same = id.and_then(|id| by_id.get_mut(id.as_str()));
            let Some(now) = same.and_then(VecDeque::pop_front) else {
                return true;
            };
            renamed.push((before.clone(), now.clone()));
            false
        });
        let now: BTreeSet<String> = renamed.iter().map(|(_, now)| now.clone()).collect();
        added.retain(|name| !now.contains(name));
        Comparison {
            old,
            new,
            added,
            removed,
            renamed,
            lines_of_added: Lines::default(),
            found: Found::default(),
            rebuilt: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// The images of both states that differ, sorted.
    pub fn differing(&self) -> Vec<String> {
        let differs = |name: &&String| {
            let image = |side: &'s Side| side.images.get(*name).map(|i| (&i.id, &i.digest));
            image(self.old).is_some_and(|before| Some(before) != image(self.new))
        };
        self.new.images.keys().filter(differs).cloned().collect()
    }

    /// The images that only the new state has, under any name, sorted.
    pub fn added(&self) -> &[String] {
        &self.added
    }

    /// Adds an image of both states that differs. They must be added in the order of their names.
    pub fn add(&mut self, name: &str, before: &State, now: &State) {
        let image = Image {
            name,
            before,
            now,
            lines_before: &self.old.lines,
        };
        let is_seen = image.is_seen_to_differ();
        if is_seen {
            self.rebuilt.push(name.to_owned());
        }
        self.found.add(&image, is_seen);
        for (file, what) in changed_files(before, now) {
            let images = self.files.entry((file, what)).or_default();
            images.push(name.to_owned());
        }
    }

    /// Adds an image that only the new state has.
    pub fn add_new(&mut self, now: &State) {
        self.lines_of_added.add(now);
    }

    /// What is different.
    pub fn finish(self) -> Review {
        let changes = self.found.finish();
        let (old, new) = (self.old, self.new);
        let new_lines = new.lines.new_beside(&old.lines, &self.lines_of_added);
        let mut idle = idle(&changes, new_lines);
        idle.extend(idle_in_unused(old, new));
        idle.sort();
        idle.dedup();
        Review {
            images: new.images.len(),
            rebuilt: self.rebuilt,
            removed: self.removed,
            renamed: self.renamed,
            added: self.added,
            changes,
            files: self
                .files
                .into_iter()
                .map(|((file, what), images)| FileChange { file, what, images })
                .collect(),
            idle,
        }
    }
}

/// Of new settings, those that are the cause of nothing.
fn idle<'p>(changes: &[Change], new: impl Iterator<Item = &'p Place>) -> Vec<Place> {
    let places = changes.iter().flat_map(|change| &change.places);
    let causes: BTreeSet<(&str, &str, u32)> = places
        .filter(|place| place.what != What::Ended)
        .map(setting)
        .collect();
    new.filter(|place| !causes.contains(&setting(place)))
        .cloned()
        .collect()
}

fn setting(place: &Place) -> (&str, &str, u32) {
    (&place.variable, &place.file, place.line)
}

/// New settings in layers that no image has.
fn idle_in_unused(old: &Side, new: &Side) -> Vec<Place> {
    let written = |one: &Unused| {
        let text = one.text.split_whitespace().collect::<String>();
        (one.variable.clone(), one.layer.clone(), text)
    };
    let known: BTreeSet<_> = old.unused.iter().map(written).collect();
    // A layer that an image had before has the same settings, though no image has it now.
    let is_new = |one: &&Unused| {
        !known.contains(&written(one)) && !old.lines.has_layer(&one.variable, &one.layer)
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
