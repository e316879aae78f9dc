//! The manifest: what the output was made from. It depends on no clock and no machine, so the same sources give the
//! same bytes.

use crate::emit::{Delivery, Environment};
use crate::project::hir::*;
use crate::project::{Region, StackLayer};
use crate::source::{FileId, Origin, sha256};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

impl Delivery<'_, '_> {
    /// What the image was made from. `file` is the variable that carries the path of the extra-vars file.
    pub(super) fn manifest(&self, file: Option<VarId>, environment: &Environment) -> Json {
        let program = self.image.program;
        let target = program.section(self.image.stack.target);
        let provider = self.provider();
        // Another provider than the target's own has no use for its builders.
        let own = target
            .target
            .as_ref()
            .filter(|t| t.provider == self.image.provider);
        let runs: Vec<Json> = self
            .image
            .runs()
            .iter()
            .map(|run| json!({ "only": run.selection.only, "except": run.selection.except, "vars": self.vars(&run.vars) }))
            .collect();
        let vars = own.map(|t| self.vars(&t.vars)).unwrap_or_default();
        let layers: Vec<String> = self
            .image
            .stack
            .places()
            .map(|l| self.image.layer_name(l))
            .collect();
        json!({
            "manifest": 1,
            "imgspec": env!("CARGO_PKG_VERSION"),
            "image": self.image.name(),
            "library": if program.is_adopted { "adopted" } else { "built-in" },
            "release": program.edition.release.name(),
            "target": { "image": target.name, "make": self.make_target(), "provider": provider.name, "template": provider.template, "vars": vars, "runs": runs },
            "var_files": ["packer.vars.json"],
            "layers": layers,
            "file_route": file.map(|id| program.variable(id).name.to_string()),
            "sources": self.sources(),
            "environment": environment,
        })
    }

    fn vars(&self, settings: &[Setting]) -> BTreeMap<String, Json> {
        let program = self.image.program;
        settings
            .iter()
            .map(|s| {
                let name = program.variable(s.variable).name.to_string();
                let value = match &s.value.kind {
                    ExprKind::Const(value)
                        if crate::emit::shows_secret(program, s.variable, value, s.span) =>
                    {
                        Json::from(super::MASK)
                    }
                    ExprKind::Const(value) => crate::emit::ansible::show_value(value),
                    _ => Json::Null,
                };
                (name, value)
            })
            .collect()
    }

    /// The SHA-256 of every file that the image depends on, by its path relative to the project's root.
    fn sources(&self) -> BTreeMap<String, String> {
        let program = self.image.program;
        let mut out = BTreeMap::new();
        let file = program.section(self.image.section).span.file;
        let Some(view) = program.views.get(&file) else {
            return out;
        };
        let mut add = |path: &Path, digest: &str| {
            let path = path.strip_prefix(&view.root).unwrap_or(path);
            out.insert(path.display().to_string(), digest.to_owned());
        };
        // From the digest of a file that contains a secret, a short secret could be guessed.
        let digest = |id: FileId| match program.sources.get(id) {
            source if source.has_hidden() => super::MASK,
            source => source.sha256(),
        };
        for id in &view.files {
            add(&program.sources.get(*id).path, digest(*id));
        }
        let above = self
            .image
            .stack
            .layers_in(|region| region >= Region::Command);
        let flag_files = program.flag_files.iter().copied().map(StackLayer::Section);
        for layer in above.chain(flag_files) {
            if let StackLayer::Section(id) = layer {
                let file = program.section(id).span.file;
                let source = program.sources.get(file);
                if source.origin == Origin::Project {
                    add(&source.path, digest(file));
                }
            }
        }
        for data in program
            .data
            .iter()
            .filter(|d| view.files.contains(&d.reader))
        {
            if data.is_secret {
                add(&data.path, super::MASK);
            } else {
                add(&data.path, &sha256(&data.text));
            }
        }
        out
    }
}
