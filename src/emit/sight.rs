//! What a build of an image sees, so far as its values say. Its digest is the image's ID.

use crate::emit::plan::Plan;
use crate::emit::{
    Delivery, Environment, MASK, Output, PackerRun, Role, Strings, TemplatePath, ansible,
    from_root, packer, render,
};
use crate::source::sha256;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a build of an image sees. Nothing in it depends on the machine or the output folder, but for `paths` and folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// The project's root.
    pub root: PathBuf,
    /// The SHA-256 of the var files as a compile with `--portable` writes them to `build` at the project's root, with masked
    /// secrets.
    pub portable: [(&'static str, String); 2],
    /// The SHA-256 of the template and the runs of Packer, which are a line of JSON.
    pub recipe: String,
    /// Files and folders of this machine that values name, and the project's own template.
    pub paths: BTreeSet<PathBuf>,
    /// The roles that values name.
    pub roles: Vec<Role>,
    /// The folders in which Ansible looks for a role that is named without a path.
    pub role_folders: Vec<PathBuf>,
}

/// The template and the runs of Packer, as the ID covers them.
#[derive(Serialize)]
struct Recipe<'r> {
    template: &'r str,
    runs: Vec<RecipeRun<'r>>,
}

#[derive(Serialize)]
struct RecipeRun<'r> {
    only: &'r [String],
    except: &'r [String],
    vars: Vec<String>,
}

fn in_recipe<'r>(run: &'r PackerRun, root: &Path) -> RecipeRun<'r> {
    let root = format!("{}/", root.display());
    RecipeRun {
        only: &run.only,
        except: &run.except,
        vars: run.vars.iter().map(|var| var.replace(&root, "")).collect(),
    }
}

impl Delivery<'_, '_> {
    /// The root of the image's project; for a target of the library that of the project that the command runs in.
    pub(super) fn root(&self) -> PathBuf {
        let program = self.image.program;
        let file = program.section(self.image.section).span.file;
        let view = program.views.get(&file).map(|view| &view.root);
        let root = view.or(program.root.as_ref());
        root.map_or_else(|| PathBuf::from("/"), Clone::clone)
    }

    /// The output that an image's ID covers.
    pub(super) fn portable_output(root: &Path) -> Output {
        Output {
            dir: root.join("build"),
            portable: true,
        }
    }

    /// What a build of the image sees.
    pub(super) fn sight(&self) -> Sight {
        let output = Self::portable_output(&self.root());
        let (plan, _) = self.decide(self.image.ids(), false, &output);
        let mut environment = Environment::new();
        let packer = packer::render(self, &plan, &output, &mut environment);
        let ansible = ansible::render(self, &plan, &output, &mut environment);
        self.sight_of(packer, &render(&ansible))
    }

    /// The same, if `packer` and `ansible` are the content of the files in another output.
    pub(super) fn sight_beside(
        &self,
        plan: &Plan<'_>,
        mut packer: Strings,
        ansible: &str,
    ) -> Sight {
        if plan.has_paths(self.image) {
            return self.sight();
        }
        if let Some(id) = plan.file
            && let Some(argument) = packer.get_mut(&self.image.program.variable(id).name)
        {
            let output = Self::portable_output(&self.root());
            let mut environment = Environment::new();
            *argument = packer::file_argument(self.image.name(), &output, &mut environment).into();
        }
        self.sight_of(packer, ansible)
    }

    fn sight_of(&self, mut packer: Strings, ansible: &str) -> Sight {
        let withheld = self.withheld();
        packer.retain(|name, _| !withheld.contains(name));
        for secret in self.literal_secrets() {
            if let Some(text) = packer.get_mut(&secret) {
                *text = MASK.into();
            }
        }
        let root = self.root();
        let mut paths: BTreeSet<PathBuf> = self.ids().flat_map(|id| self.paths_of(id)).collect();
        paths.extend(self.own_template());
        let roles = self.roles_named();
        Sight {
            portable: [
                ("packer.vars.json", sha256(&render(&packer))),
                ("ansible.vars.json", sha256(ansible)),
            ],
            recipe: self.recipe(&root),
            role_folders: self.folders_of(&roles),
            paths,
            roles,
            root,
        }
    }

    /// The folders in which Ansible looks for these roles; none where there are no roles.
    pub(super) fn folders_of(&self, roles: &[Role]) -> Vec<PathBuf> {
        if roles.is_empty() {
            return Vec::new();
        }
        self.role_folders()
    }

    /// The project's own template.
    pub(super) fn own_template(&self) -> Option<PathBuf> {
        match self.template() {
            TemplatePath::Disk(path) => Some(path),
            TemplatePath::BuiltIn(_) | TemplatePath::Upstream(_) => None,
        }
    }

    /// The SHA-256 of the template and the runs of Packer, which are the same for all images of a target and a project.
    pub(super) fn recipe(&self, root: &Path) -> String {
        let template = match self.template() {
            TemplatePath::BuiltIn(path) | TemplatePath::Upstream(path) => path,
            TemplatePath::Disk(path) => from_root(root, &path.to_string_lossy()),
        };
        let runs = self.packer_runs();
        let recipe = Recipe {
            template: &template,
            runs: runs.iter().map(|run| in_recipe(run, root)).collect(),
        };
        sha256(&(serde_json::to_string(&recipe).unwrap_or_default() + "\n"))
    }
}
