//! The settings of all images of a state, as far as a comparison needs them: what images share is kept once.

use crate::emit::{Act, Ground, Step};
use crate::review::{Place, State, What};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::hash::DefaultHasher;
use std::hash::{Hash, Hasher};

/// A setting as it is written, wherever it stands in its file: a number of its variable, layer, file, condition, text and
/// kind. It is the same in each process.
pub(super) type Key = u64;

/// The settings of a state.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    all: FxHashMap<Key, Option<Box<Written>>>,
    /// The variables, layers, conditions and values.
    values: FxHashSet<u64>,
    /// The variables with the layers that set them.
    layers: FxHashSet<u64>,
}

/// The place of a setting of the project.
#[derive(Debug, Clone)]
struct Written {
    place: Place,
    values: FxHashSet<u64>,
}

/// [`Lines`] of another process, without places.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Keys {
    all: Vec<u64>,
    values: Vec<u64>,
    layers: Vec<u64>,
}

impl Lines {
    /// Adds the settings of an image.
    pub fn add(&mut self, state: &State) {
        let variables = state.provenance.iter().flat_map(|p| &p.variables);
        for (variable, trace) in variables {
            let ground = state.grounds.get(variable);
            for (at, step) in trace.set_by.iter().enumerate() {
                self.add_one(key(variable, step, ground, at), variable, step);
            }
        }
    }

    fn add_one(&mut self, key: Key, variable: &str, step: &Step) {
        let value = value_key(variable, step);
        self.values.insert(value);
        self.layers.insert(layer_key(variable, &step.layer));
        let is_own = !step.file.starts_with("stdlib/") && step.layer != "default";
        if !is_own {
            self.all.entry(key).or_default();
            return;
        }
        let place = Place::of(step, variable, What::Written);
        match self.all.entry(key).or_default() {
            Some(known) => {
                known.values.insert(value);
                // Of several in one layer the last one is the strongest.
                if known.place < place {
                    known.place = place;
                }
            }
            none => {
                let values = FxHashSet::from_iter([value]);
                *none = Some(Box::new(Written { place, values }));
            }
        }
    }

    /// True if an image has the setting.
    pub(super) fn has(&self, key: Key) -> bool {
        self.all.contains_key(&key)
    }

    /// True if a layer sets the variable in an image.
    pub(super) fn has_layer(&self, variable: &str, layer: &str) -> bool {
        self.layers.contains(&layer_key(variable, layer))
    }

    /// The project's settings that neither `before` nor some images have. A setting with the same value in the same layer is
    /// not new, however it is written and whatever its file is called.
    pub(super) fn new_beside<'l>(
        &'l self,
        before: &'l Lines,
        others: &'l Lines,
    ) -> impl Iterator<Item = &'l Place> {
        let all = self.all.iter();
        let own = all.filter_map(|(key, written)| Some((key, written.as_deref()?)));
        let new = own.filter(|(key, written)| {
            !before.has(**key) && !others.has(**key) && written.values.is_disjoint(&before.values)
        });
        new.map(|(_, written)| &written.place)
    }

    /// What another process needs of an old state.
    pub fn keys(&self) -> Keys {
        Keys {
            all: self.all.keys().copied().collect(),
            values: self.values.iter().copied().collect(),
            layers: self.layers.iter().copied().collect(),
        }
    }
}

impl From<Keys> for Lines {
    fn from(keys: Keys) -> Lines {
        Lines {
            all: keys.all.into_iter().map(|key| (key, None)).collect(),
            values: keys.values.into_iter().collect(),
            layers: keys.layers.into_iter().collect(),
        }
    }
}

/// The key of a setting of a variable, the one at `at` among all of the variable.
pub(super) fn key(variable: &str, step: &Step, ground: Option<&Ground>, at: usize) -> Key {
    let text = ground.and_then(|ground| ground.texts.get(at));
    // Neither spaces nor a last comma make another setting of it, as long as the value is the same.
    let text = text.map(|text| {
        text.split_whitespace()
            .collect::<String>()
            .replace(",]", "]")
    });
    let is_constant = ground.is_none_or(|ground| ground.reads.is_empty());
    let value = is_constant.then(|| step.value.to_string());
    // A library of another release has other paths.
    let is_library = step.file.starts_with("stdlib/");
    let file = if is_library { "stdlib" } else { &step.file };
    let is_unset = step.does == Act::Unsets;
    hash(&(
        variable,
        &step.layer,
        file,
        &step.when,
        (text, value),
        is_unset,
    ))
}

fn value_key(variable: &str, step: &Step) -> u64 {
    hash(&(variable, &step.layer, &step.when, step.value.to_string()))
}

fn layer_key(variable: &str, layer: &str) -> u64 {
    hash(&(variable, layer))
}

/// A hash that is the same in each process of this program.
fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
