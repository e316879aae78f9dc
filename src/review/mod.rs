//! What a change does: the images of two states of a project, compared.
//!
//! A [`Side`] is what a state comes to, and a [`State`] what an image comes to. A [`Comparison`] finds the images that differ by
//! their digests, takes the states of these one after the other, and finds the values that differ, and the settings that are the
//! cause: a value that follows from another one is told with it, and what changes in many images is told once.

mod causes;
mod comparison;
mod jobs;
mod lines;
mod pipelines;
mod text;

pub use comparison::Comparison;
pub use jobs::{Plan, PlannedImage};
pub use lines::{Keys, Lines};
pub use pipelines::{Options, Pipeline};
pub use text::{markdown, plain};

use crate::emit::{Ground, Provenance, Step};
use crate::source::sha256;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// What one state of a project comes to, without the values of its images.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// The images, by their names.
    pub images: BTreeMap<String, Outline>,
    /// The settings of the images.
    pub lines: Lines,
    /// The settings of layers that no image has.
    pub unused: Vec<Unused>,
}

/// What is kept of each image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// The image's ID, if it is known.
    pub id: Option<String>,
    /// The SHA-256 of the target, the values, and the files that a build sees. If it and the ID are the same, nothing that an
    /// image consists of is different.
    pub digest: String,
    /// The file, line and column of the image's declaration.
    pub declared: Option<(String, u32, u32)>,
    /// The image that contains the target.
    pub target: Option<String>,
    /// The provider that builds the image.
    pub provider: Option<String>,
    /// The environment variables that a build reads.
    pub environment: Vec<String>,
}

impl Side {
    /// Adds an image.
    pub fn add(&mut self, name: String, state: &State) {
        self.lines.add(state);
        self.images.insert(name, state.outline());
    }
}

impl FromIterator<(String, State)> for Side {
    fn from_iter<I: IntoIterator<Item = (String, State)>>(images: I) -> Side {
        let mut side = Side::default();
        for (name, state) in images {
            side.add(name, &state);
        }
        side
    }
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

impl State {
    /// What is kept of the image.
    pub fn outline(&self) -> Outline {
        let provenance = self.provenance.as_ref();
        let variables = provenance.iter().flat_map(|p| &p.variables);
        let values: BTreeMap<&String, &Json> = variables
            .map(|(name, trace)| (name, &trace.value))
            .collect();
        let target = provenance.map(|p| p.target.clone());
        let all = json!([target, values, self.seen]);
        Outline {
            id: self.id.clone(),
            digest: sha256(&all.to_string()),
            declared: self.declared.clone(),
            target,
            provider: provenance.map(|p| p.provider.clone()),
            environment: self.environment.clone(),
        }
    }
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

impl Place {
    fn of(step: &Step, variable: &str, what: What) -> Place {
        Place {
            file: step.file.clone(),
            line: step.line,
            column: step.column,
            layer: step.layer.clone(),
            variable: variable.to_owned(),
            what,
        }
    }
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
