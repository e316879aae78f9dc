//! Provenance: where each value of an image comes from, in a form that does not depend on the machine. A build keeps it,
//! and the image contains it (docs/json.md).

use crate::emit::history::{Act, HistoryEntry, Shown, belongs, history};
use crate::emit::{Delivery, Output, Sight, render};
use crate::eval::Image;
use crate::project::Program;
use crate::project::hir::*;
use crate::source::{Origin, Span, is_absolute};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;

/// The content of `provenance.json` (docs/json.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of the form, 1.
    pub provenance: u32,
    /// The image's name.
    pub image: String,
    /// The image that contains the target.
    pub target: String,
    /// The provider that builds the image.
    pub provider: String,
    /// The release of Image Builder that the library describes.
    pub release: String,
    /// The SHA-256 of every file that was read, by its path from the project's root.
    pub sources: BTreeMap<String, String>,
    /// The variables that have a value, by their names.
    pub variables: BTreeMap<String, Trace>,
}

/// A value and the settings that it comes from. Secrets are masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// The effective value.
    pub value: Json,
    /// The settings of the variable, the strongest first and the default last.
    pub set_by: Vec<Step>,
}

/// A setting of a variable, or its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What the setting does to the value.
    pub does: Act,
    /// The layer, or `default`.
    pub layer: String,
    /// The path from the project's root, `stdlib/…` for the standard library, or `--set`.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The value of this setting alone; null for an `unset`.
    pub value: Json,
    /// The condition of the surrounding `when`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

impl Provenance {
    /// The name of the file in an image's folder, and in the image below `/usr/share/imgspec`.
    pub const FILE: &str = "provenance.json";

    /// The name of the statement about a build in an image's folder (docs/supply-chain.md).
    pub const STATEMENT: &str = "provenance.intoto.json";

    /// The text of the file.
    pub fn text(&self) -> String {
        render(self)
    }
}

/// How the value of a variable is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ground {
    /// The text of each setting's value, in the order of [`Trace::set_by`]. Secrets are masked.
    pub texts: Vec<String>,
    /// The variables that the value is computed from.
    pub reads: Vec<String>,
}

/// What a build tells about an image, besides its files. Nothing in it depends on the machine or the output folder.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where the values come from.
    pub provenance: Provenance,
    /// What the build sees.
    pub sight: Sight,
    /// The file, line and column of the image's declaration, as in a [`Step`].
    pub declared: (String, u32, u32),
    /// How the values are written, by the names of the variables.
    pub grounds: BTreeMap<String, Ground>,
}

/// A path as it is from the project's root. One that has not even its first folder in common with the root stays absolute:
/// it does not move with the project.
pub fn from_root(root: &Path, path: &str) -> String {
    let first = |path: &Path| path.components().nth(1).map(|c| c.as_os_str().to_owned());
    if first(root) != first(Path::new(path)) {
        return path.to_owned();
    }
    let base = Output {
        dir: root.to_owned(),
        portable: true,
    };
    base.relative(path)
}

impl Account {
    /// Collects what a build tells about an image.
    pub fn new(image: &Image<'_>) -> Account {
        let delivery = Delivery::new(image);
        let root = delivery.root();
        Account {
            provenance: delivery.provenance(&root),
            sight: delivery.sight(),
            declared: delivery.position(delivery.section_span(), &root),
            grounds: delivery.grounds(),
        }
    }
}

/// An image with the settings of each value, for a report on many images. Secrets are masked.
#[derive(Debug, Clone)]
pub struct Traced {
    /// The image.
    pub section: SectionId,
    /// The name of the image that contains the target.
    pub target: String,
    /// The provider that builds the image.
    pub provider: String,
    /// The file, line and column of the image's declaration, as in a [`Step`].
    pub declared: (String, u32, u32),
    /// The names of the layers, the weakest first.
    pub layers: Vec<String>,
    /// The variables that have a value, in the order of their ids.
    pub traces: Vec<(VarId, Trace)>,
}

impl Traced {
    /// Collects the settings of an image's values.
    pub fn new(image: &Image<'_>) -> Traced {
        let delivery = Delivery::new(image);
        let root = delivery.root();
        let layers = image.stack.places();
        Traced {
            section: image.section,
            target: image.program.section(image.stack.target).name.to_string(),
            provider: delivery.provider().name.to_string(),
            declared: delivery.position(delivery.section_span(), &root),
            layers: layers.map(|layer| image.layer_name(layer)).collect(),
            traces: delivery.traces(&root).collect(),
        }
    }
}

impl Delivery<'_, '_> {
    fn provenance(&self, root: &Path) -> Provenance {
        let program = self.image.program;
        let traces = self.traces(root);
        let traces = traces.map(|(id, trace)| (program.variable(id).name.to_string(), trace));
        let sources = self.sources().into_iter();
        Provenance {
            provenance: 1,
            image: self.image.name().to_owned(),
            target: program.section(self.image.stack.target).name.to_string(),
            provider: self.provider().name.to_string(),
            release: program.edition.release.name().to_owned(),
            sources: sources
                .map(|(path, digest)| (from_root(root, &path), digest.into_owned()))
                .collect(),
            variables: traces.collect(),
        }
    }

    /// The variables that have a value, under their present names, with their settings.
    fn traces(&self, root: &Path) -> impl Iterator<Item = (VarId, Trace)> {
        let ids = self.ids().filter(|id| belongs(self.image, *id));
        let known = ids.filter(|id| self.image.program.variable(*id).alias_of().is_none());
        known.filter_map(|id| Some((id, self.trace(id, root)?)))
    }

    fn grounds(&self) -> BTreeMap<String, Ground> {
        let program = self.image.program;
        let ids = self
            .ids()
            .filter(|id| belongs(self.image, *id) && self.image.value(*id).is_some());
        ids.map(|id| {
            let variable = program.variable(id);
            let settings = self.image.settings_and_dropped(id).into_iter().rev();
            let settings = settings.map(|(active, _)| active.setting.value.span);
            let spans = settings.chain(variable.default.iter().map(|default| default.span));
            let reads = self.image.dependencies(id).into_iter();
            let ground = Ground {
                texts: spans
                    .map(|span| program.sources.shown_slice(span).to_owned())
                    .collect(),
                reads: reads
                    .map(|id| program.variable(id).name.to_string())
                    .collect(),
            };
            (variable.name.to_string(), ground)
        })
        .collect()
    }

    /// The value of a variable with its settings; none if it has no value.
    fn trace(&self, id: VarId, root: &Path) -> Option<Trace> {
        self.image.value(id)?;
        let path = |path: &str| from_root(root, path);
        Some(Trace {
            value: Shown::of(self.image, id).json_with(&path),
            set_by: history(self.image, id)
                .into_iter()
                .map(|entry| self.step(entry, root))
                .collect(),
        })
    }

    fn step(&self, entry: HistoryEntry, root: &Path) -> Step {
        let sources = &self.image.program.sources;
        let (file, line, column) = self.position(entry.span, root);
        let condition = entry.condition.map(|span| sources.shown_slice(span));
        Step {
            does: entry.act,
            layer: entry.layer,
            file,
            line,
            column,
            value: match entry.act {
                Act::Unsets => Json::Null,
                _ => entry.value.json_with(&|path| from_root(root, path)),
            },
            when: condition.map(|text| text.trim().to_owned()),
        }
    }

    fn section_span(&self) -> Span {
        self.image.program.section(self.image.section).span
    }

    fn position(&self, span: Span, root: &Path) -> (String, u32, u32) {
        position(self.image.program, span, root)
    }
}

/// Returns the file of a place from the project's root, its line and its column.
pub fn position(program: &Program, span: Span, root: &Path) -> (String, u32, u32) {
    let sources = &program.sources;
    let source = sources.get(span.file);
    let at = sources.position(span.file, span.start);
    let path = source.path.to_string_lossy();
    let file = match source.origin {
        // `--set` is not a file of the folder in which the command ran.
        Origin::Argument => {
            let name = source.path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        }
        _ if is_absolute(&source.path) => from_root(root, &path),
        _ => path.into_owned(),
    };
    (file, at.line, at.column)
}
