//! What has to be built: the images whose IDs are new, each with the line that is the cause.

use crate::review::text::{number, values_in_words};
use crate::review::{Change, Place, Review, Side};
use crate::source::visible_line;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// The most characters of a job's title, after the names of its images.
const MAX_CAUSE: usize = 120;

/// The images to build.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Plan {
    /// The version of the form, 1.
    version: u32,
    /// The number of images in the project.
    total: usize,
    /// The images to build, sorted by name.
    pub images: Vec<PlannedImage>,
    /// The images that only the old state has.
    removed: Vec<String>,
    /// The images that have another name and the same ID, with the old one first.
    renamed: Vec<(String, String)>,
}

/// An image to build.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlannedImage {
    /// Its name.
    pub image: String,
    /// The name and the first cause, for people: at most 255 characters.
    pub title: String,
    /// Its ID.
    pub id: Option<String>,
    /// The image that contains the target.
    pub target: Option<String>,
    /// The provider that builds it.
    pub provider: Option<String>,
    /// The environment variables that its build reads, those of secrets among them.
    pub environment: Vec<String>,
    /// What differs from the old state, the first cause first; empty without an old state.
    pub causes: Vec<Cause>,
}

/// Why an image has to be built.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Cause {
    /// What differs, in words.
    what: String,
    /// The setting, the declaration of a new image, or null for a file.
    file: Option<String>,
    /// From 1.
    line: Option<u32>,
}

impl Plan {
    /// Plans the builds of all images.
    pub fn of_all(new: &Side) -> Plan {
        let names = new.images.keys().cloned().collect();
        Plan::new(names, new, &mut BTreeMap::new())
    }

    /// Plans the builds of the images that a review names.
    pub fn of(review: &Review, new: &Side) -> Plan {
        let mut names = [review.rebuilt.as_slice(), &review.added].concat();
        names.sort();
        let mut causes: BTreeMap<&String, Vec<Cause>> = BTreeMap::new();
        for image in &review.added {
            let declared = new.images.get(image);
            let declared = declared.and_then(|image| image.declared.as_ref());
            causes.entry(image).or_default().push(Cause {
                what: "new".to_owned(),
                file: declared.map(|(file, ..)| file.clone()),
                line: declared.map(|(_, line, _)| *line),
            });
        }
        for change in review.changes.iter().filter(|change| change.is_seen) {
            let cause = Cause::of(change);
            for image in &change.images {
                causes.entry(image).or_default().push(cause.clone());
            }
        }
        for file in &review.files {
            for image in &file.images {
                causes.entry(image).or_default().push(Cause {
                    what: format!("{} {}", visible_line(&file.file), file.what),
                    file: None,
                    line: None,
                });
            }
        }
        Plan {
            removed: review.removed.clone(),
            renamed: review.renamed.clone(),
            ..Plan::new(names, new, &mut causes)
        }
    }

    fn new(names: Vec<String>, new: &Side, causes: &mut BTreeMap<&String, Vec<Cause>>) -> Plan {
        let images = names.into_iter().filter_map(|image| {
            let outline = new.images.get(&image)?;
            let causes = causes.remove(&image).unwrap_or_default();
            let target = outline.target.clone();
            let why = match causes.as_slice() {
                [] => target.clone().unwrap_or_default(),
                [one] => one.in_words(),
                [first, others @ ..] => format!("{} and {} more", first.in_words(), others.len()),
            };
            Some(PlannedImage {
                title: format!("{image}: {}", visible_line(&why)),
                id: outline.id.clone(),
                target,
                provider: outline.provider.clone(),
                environment: outline.environment.clone(),
                causes,
                image,
            })
        });
        Plan {
            version: 1,
            total: new.images.len(),
            images: images.collect(),
            removed: Vec::new(),
            renamed: Vec::new(),
        }
    }

    /// Returns how many images are to be built, in a sentence.
    pub fn summary(&self) -> String {
        match self.images.len() {
            0 => format!(
                "no image needs a new build ({})",
                number(self.total, "image")
            ),
            1 => format!("1 of {} needs a new build", number(self.total, "image")),
            count => format!(
                "{count} of {} need a new build",
                number(self.total, "image")
            ),
        }
    }
}

impl Cause {
    fn of(change: &Change) -> Cause {
        let place: Option<&Place> = change.places.first();
        let name = &change.variable;
        Cause {
            what: visible_line(&format!("{name} {}", values_in_words(&change.values))).into_owned(),
            file: place.map(|place| place.file.clone()),
            line: place.map(|place| place.line),
        }
    }

    /// What differs, shortened, and the place.
    fn in_words(&self) -> String {
        let mut what: String = self.what.chars().take(MAX_CAUSE).collect();
        if what.len() < self.what.len() {
            what.push('…');
        }
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{what} ({file}:{line})"),
            _ => what,
        }
    }
}
