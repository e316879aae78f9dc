//! What a build of an image needs to know beyond the files that it reads.

use super::Emission;
use super::packer::render_text;
use crate::project::hir::*;
use crate::schema::{Base, Piece, Type, Value, encode};
use crate::source::{Origin, Span};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How an image is built.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub template: TemplatePath,
    /// The target's name for make, where a checkout's own Makefile builds it.
    pub make: Option<String>,
    /// The runs of Packer, in order.
    pub runs: Vec<PackerRun>,
    /// Where the results are, as a pattern relative to the folder that Packer runs in.
    pub artifact: Option<String>,
    /// The programs that the provider needs.
    pub tools: Vec<String>,
    /// Files and folders of this machine that values name.
    pub paths: BTreeSet<PathBuf>,
    /// The environment names that the project, not the library, reads.
    pub environment: BTreeSet<String>,
    /// The roles that values name, each with its place.
    pub roles: Vec<(String, Span)>,
    /// The folders in which a role may stand that is named without a path.
    pub role_folders: Vec<PathBuf>,
}

/// Where a template is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePath {
    /// Among those that the program carries, `packer/…`.
    BuiltIn(String),
    /// On disk; absolute.
    Disk(PathBuf),
}

/// One run of Packer.
#[derive(Debug, Clone, Default)]
pub struct PackerRun {
    pub only: Vec<String>,
    pub except: Vec<String>,
    /// `-var` arguments, `name=value`.
    pub vars: Vec<String>,
}

impl Emission<'_, '_> {
    pub(super) fn recipe(&self) -> Recipe {
        let provider = self.provider();
        let source = self.image.program.sources.get(provider.span.file);
        let template = match source.origin {
            Origin::Library => TemplatePath::BuiltIn(provider.template.to_string()),
            _ => TemplatePath::Disk(crate::source::normalize(&source.folder().join(&provider.template))),
        };
        let mut recipe = Recipe {
            template,
            make: self.image.program.is_adopted.then(|| self.make_target()),
            runs: self.packer_runs(),
            artifact: provider.artifact.as_ref().map(ToString::to_string),
            tools: provider.tools.iter().map(ToString::to_string).collect(),
            paths: BTreeSet::new(),
            environment: BTreeSet::new(),
            roles: Vec::new(),
            role_folders: self.role_folders(),
        };
        for id in self.ids() {
            let is_users = self.image.is_set_by_users(id);
            if let Some(value) = self.image.value(id) {
                recipe.roles.extend(self.roles(id, value));
                for_each_piece(value, &mut |piece| match piece {
                    Piece::Path(path) => {
                        recipe.paths.insert(PathBuf::from(path.as_str()));
                    }
                    Piece::Env(name) if is_users => {
                        recipe.environment.insert(name.to_string());
                    }
                    _ => {}
                });
            }
        }
        recipe
    }

    /// What make calls the target.
    pub(super) fn make_target(&self) -> String {
        let section = self.image.program.section(self.image.stack.target);
        let own = section.target.as_ref().and_then(|target| target.make.clone());
        own.map_or_else(|| format!("build-{}", section.name), |name| name.to_string())
    }

    /// The roles in a variable's value, if that is what it is for.
    fn roles(&self, id: VarId, value: &Value) -> Vec<(String, Span)> {
        let ty = &self.image.program.variable(id).ty;
        let is_role = |ty: &Type| matches!(ty.base, Base::Role);
        if !is_role(ty) && !ty.element().is_some_and(is_role) {
            return Vec::new();
        }
        let elements = match value {
            Value::List(elements) => elements,
            one => std::slice::from_ref(one),
        };
        let names = elements.iter().filter_map(|element| match element {
            Value::Text(text) => text.known().filter(|t| !t.is_empty()).map(|t| t.into_owned()),
            _ => None,
        });
        names.map(|name| (name, self.place(id))).collect()
    }

    /// Beside the spec, and at the project's root.
    fn role_folders(&self) -> Vec<PathBuf> {
        let program = self.image.program;
        let file = program.section(self.image.section).span.file;
        let source = program.sources.get(file);
        if source.origin == Origin::Library {
            return Vec::new();
        }
        let root = program.views.get(&file).map(|view| view.root.clone());
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in std::iter::once(source.folder().to_owned()).chain(root) {
            for folder in [folder.join("roles"), folder.join("ansible/roles")] {
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
        }
        folders
    }

    fn packer_runs(&self) -> Vec<PackerRun> {
        let target = self.image.program.section(self.image.stack.target).target.as_ref();
        let runs = self.image.runs();
        let shared: Vec<String> = match (runs, target) {
            ([], _) | (_, None) => Vec::new(),
            (_, Some(target)) => self.var_arguments(&target.vars),
        };
        let words = |list: &[smol_str::SmolStr]| list.iter().map(ToString::to_string).collect();
        let mut out: Vec<PackerRun> = runs
            .iter()
            .map(|run| PackerRun {
                only: words(&run.only),
                except: words(&run.except),
                vars: shared.iter().cloned().chain(self.var_arguments(&run.vars)).collect(),
            })
            .collect();
        if out.is_empty() {
            out.push(PackerRun::default());
        }
        out
    }

    fn var_arguments(&self, vars: &[Setting]) -> Vec<String> {
        vars.iter()
            .filter_map(|setting| {
                let variable = self.image.program.variable(setting.variable);
                let ExprKind::Const(value) = &setting.value.kind else { return None };
                let text = render_text(&encode(value, variable.encoding), &mut |_| {}, &|p| p.to_owned());
                Some(format!("{}={text}", variable.name))
            })
            .collect()
    }
}

fn for_each_piece(value: &Value, visit: &mut impl FnMut(&Piece)) {
    match value {
        Value::Text(text) => text.pieces().iter().for_each(visit),
        Value::List(elements) => elements.iter().for_each(|e| for_each_piece(e, visit)),
        Value::Map(map) => map.values().for_each(|e| for_each_piece(e, visit)),
        Value::Bool(_) | Value::Int(_) => {}
    }
}
