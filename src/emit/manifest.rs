//! The manifest: what the output was made from. It depends on no clock and no machine, so the same sources give the
//! same bytes.

use crate::emit::{Delivery, Environment};
use crate::project::hir::*;
use crate::project::{Region, StackLayer};
use crate::source::{FileId, Origin, sha256};
use serde::Serialize;
use serde_json::Value as Json;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The file, in the order of its entries.
#[derive(Serialize)]
struct Manifest<'m> {
    manifest: u32,
    imgspec: &'m str,
    image: &'m str,
    /// Whoever can read files writes it: `workspace::put_id`.
    id: Option<&'m str>,
    library: &'m str,
    release: &'m str,
    target: ManifestTarget<'m>,
    var_files: [&'m str; 1],
    layers: Vec<String>,
    file_route: Option<&'m str>,
    sources: BTreeMap<Cow<'m, str>, Cow<'m, str>>,
    environment: &'m Environment,
}

#[derive(Serialize)]
struct ManifestTarget<'m> {
    image: &'m str,
    make: String,
    provider: &'m str,
    template: &'m str,
    vars: BTreeMap<&'m str, Json>,
    runs: Vec<ManifestRun<'m>>,
}

#[derive(Serialize)]
struct ManifestRun<'m> {
    only: &'m [SmolStr],
    except: &'m [SmolStr],
    vars: BTreeMap<&'m str, Json>,
}

impl<'p> Delivery<'_, 'p> {
    /// The text of the manifest. `file` is the variable that carries the path of the extra-vars file.
    pub(super) fn manifest(&self, file: Option<VarId>, environment: &Environment) -> String {
        let program = self.image.program;
        let target = program.section(self.image.stack.target);
        let provider = self.provider();
        // Another provider than the target's own has no use for its builders.
        let own = target
            .target
            .as_ref()
            .filter(|t| t.provider == self.image.provider);
        let of_run = |run: &'p Run| ManifestRun {
            only: &run.selection.only,
            except: &run.selection.except,
            vars: self.vars(&run.vars),
        };
        let places = self.image.stack.places();
        super::render(&Manifest {
            manifest: 1,
            imgspec: env!("CARGO_PKG_VERSION"),
            image: self.image.name(),
            id: None,
            library: if program.is_adopted {
                "adopted"
            } else {
                "built-in"
            },
            release: program.edition.release.name(),
            target: ManifestTarget {
                image: &target.name,
                make: self.make_target(),
                provider: &provider.name,
                template: &provider.template,
                vars: own.map(|t| self.vars(&t.vars)).unwrap_or_default(),
                runs: self.image.runs().iter().map(of_run).collect(),
            },
            var_files: ["packer.vars.json"],
            layers: places.map(|at| self.image.layer_name(at)).collect(),
            file_route: file.map(|id| program.variable(id).name.as_str()),
            sources: self.sources(),
            environment,
        })
    }

    fn vars(&self, settings: &'p [Setting]) -> BTreeMap<&'p str, Json> {
        let program = self.image.program;
        settings
            .iter()
            .map(|s| {
                let name = program.variable(s.variable).name.as_str();
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
    pub(super) fn sources(&self) -> BTreeMap<Cow<'p, str>, Cow<'p, str>> {
        let program = self.image.program;
        let mut out = BTreeMap::new();
        let file = program.section(self.image.section).span.file;
        let Some(view) = program.views.get(&file) else {
            return out;
        };
        let mut add = |path: &'p Path, digest: Cow<'p, str>| {
            out.insert(below(path, &view.root).to_string_lossy(), digest);
        };
        // From the digest of a file that contains a secret, a short secret could be guessed.
        let digest = |id: FileId| match program.sources.get(id) {
            source if source.has_hidden() => super::MASK,
            source => source.sha256(),
        };
        for id in &view.files {
            add(&program.sources.get(*id).path, digest(*id).into());
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
                    add(&source.path, digest(file).into());
                }
            }
        }
        for data in program
            .data
            .iter()
            .filter(|d| view.files.contains(&d.reader))
        {
            if data.is_secret {
                add(&data.path, super::MASK.into());
            } else {
                add(&data.path, sha256(&data.text).into());
            }
        }
        out
    }
}

/// Returns a path relative to a folder around it, and any other path as it is.
fn below<'p>(path: &'p Path, folder: &Path) -> &'p Path {
    // To take both apart, as `strip_prefix` does, takes longer than all else that is done for a source.
    let rest = || {
        path.to_str()?
            .strip_prefix(folder.to_str()?)?
            .strip_prefix('/')
    };
    let rest = rest().map(Path::new);
    rest.unwrap_or_else(|| path.strip_prefix(folder).unwrap_or(path))
}
