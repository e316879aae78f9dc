//! What a change does: the images of two states of a project, compared.
//!
//! A [`Side`] is what a state comes to. [`compare`] finds the values that differ, and the settings that are the cause: a value
//! that follows from another one is told with it, and what changes in many images is told once.

mod causes;
mod jobs;
mod pipelines;
mod text;

pub use causes::compare;
pub use jobs::{Plan, PlannedImage};
pub use pipelines::{Options, Pipeline};
pub use text::{markdown, plain};

use crate::emit::{Ground, Provenance};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// What one state of a project comes to.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// The images, by their names.
    pub images: BTreeMap<String, State>,
    /// The settings of layers that no image has.
    pub unused: Vec<Unused>,
}

/// A setting of a layer that no image has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unused {
    /// The variable that is set.
    pub variable: String,
    /// The layer.
    pub layer: String,
    /// All of its text, with a mask for each secret.
    pub text: String,
    /// The file from the project's root, the line and the column.
    pub place: (String, u32, u32),
}

impl Deref for Side {
    type Target = BTreeMap<String, State>;

    fn deref(&self) -> &BTreeMap<String, State> {
        &self.images
    }
}

impl DerefMut for Side {
    fn deref_mut(&mut self) -> &mut BTreeMap<String, State> {
        &mut self.images
    }
}

impl FromIterator<(String, State)> for Side {
    fn from_iter<I: IntoIterator<Item = (String, State)>>(images: I) -> Side {
        Side {
            images: images.into_iter().collect(),
            unused: Vec::new(),
        }
    }
}

/// An image in one state of the project.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// The image's ID, if it is known.
    pub id: Option<String>,
    /// The names of all that a build sees, with the SHA-256 of each.
    pub seen: BTreeMap<String, String>,
    /// The file, line and column of the image's declaration.
    pub declared: Option<(String, u32, u32)>,
    /// The values, and where they come from.
    pub provenance: Option<Provenance>,
    /// How the values are written, by the names of the variables.
    pub grounds: BTreeMap<String, Ground>,
    /// What reads the variables: Packer, an argument for Ansible, or the extra-vars file.
    #[serde(default)]
    pub readers: BTreeMap<String, Vec<String>>,
    /// The environment variables that a build reads.
    #[serde(default)]
    pub environment: Vec<String>,
}

/// What is different between two states of a project.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Review {
    /// The number of images in the new state.
    pub images: usize,
    /// The images that a build would make anew.
    pub rebuilt: Vec<String>,
    /// The images that only the new state has.
    pub added: Vec<String>,
    /// The images that only the old state has.
    pub removed: Vec<String>,
    /// The images that have another name, with the old one first.
    pub renamed: Vec<(String, String)>,
    /// The values that differ, by their causes.
    pub changes: Vec<Change>,
    /// The files that builds read and that differ.
    pub files: Vec<FileChange>,
    /// New or changed settings that change no value of any image.
    pub idle: Vec<Place>,
}

impl Review {
    /// Whether nothing that an image consists of is different.
    pub fn is_empty(&self) -> bool {
        self.rebuilt.is_empty()
            && self.added.is_empty()
            && self.removed.is_empty()
            && self.renamed.is_empty()
            && self.changes.is_empty()
            && self.files.is_empty()
    }
}

/// A variable whose value differs, for one cause, in one or more images.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Change {
    /// The variable, or `extends` for the image's target.
    pub variable: String,
    /// The different pairs of values, the most frequent first.
    pub values: Vec<Values>,
    /// The settings that are the cause, the strongest first.
    pub places: Vec<Place>,
    /// The images, sorted.
    pub images: Vec<String>,
    /// Whether a build of one of these images sees a difference.
    pub is_seen: bool,
    /// What reads the variable, or one that follows from it: `packer`, `file` (the extra-vars file), `slot NAME`.
    pub read_by: Vec<String>,
    /// Variables whose values follow from this one.
    pub derived: Vec<Derived>,
}

/// A value in the old and in the new state; null where the variable has none. Secrets are masked.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Values {
    /// In the old state.
    pub old: Json,
    /// In the new state.
    pub new: Json,
    /// The number of images with this pair.
    pub images: usize,
}

/// A value that follows from another one.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Derived {
    /// The variable.
    pub variable: String,
    /// The different pairs of values, the most frequent first.
    pub values: Vec<Values>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Place {
    /// The path from the project's root, or `stdlib/…`.
    pub file: String,
    /// From 1. In the old state, if the setting no longer applies.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The layer, or `default`.
    pub layer: String,
    /// The variable that is set.
    pub variable: String,
    /// What has happened to the setting.
    pub what: What,
}

/// What has happened to a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It is new, or its text has changed.
    Written,
    /// It was there, and now applies to these images.
    Applies,
    /// It is gone, or no longer applies to these images.
    Ended,
    /// The setting is the same, and what it is computed from differs.
    Same,
}

/// A file that builds read, and that differs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FileChange {
    /// The name among what a build sees (docs/building.md).
    pub file: String,
    /// `changed`, `new` or `gone`.
    pub what: &'static str,
    /// The images, sorted.
    pub images: Vec<String>,
}
