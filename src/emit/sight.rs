//! What a build of an image sees, so far as its values say. Its digest is the image's ID.

use crate::emit::{Delivery, Environment, MASK, Output, PackerRun, Role, TemplatePath};
use crate::emit::{ansible, from_root, packer, render};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a build of an image sees. Nothing in it depends on the machine or the output folder, but for `paths` and folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// The project's root.
    pub root: PathBuf,
    /// The var files as a compile with `--portable` writes them to `build` at the project's root, with masked secrets.
    pub portable: [(&'static str, String); 2],
    /// The template and the runs of Packer, as a line of JSON.
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

impl Sight {
    /// Puts together what a build sees.
    pub(super) fn new(
        delivery: &Delivery<'_, '_>,
        root: PathBuf,
        portable: [(&'static str, String); 2],
        mut paths: BTreeSet<PathBuf>,
        roles: Vec<Role>,
    ) -> Sight {
        let template = match delivery.template() {
            TemplatePath::BuiltIn(path) | TemplatePath::Upstream(path) => path,
            TemplatePath::Disk(path) => {
                let name = from_root(&root, &path.to_string_lossy());
                paths.insert(path);
                name
            }
        };
        let runs = delivery.packer_runs();
        let recipe = Recipe {
            template: &template,
            runs: runs.iter().map(|run| in_recipe(run, &root)).collect(),
        };
        let role_folders = if roles.is_empty() {
            Vec::new()
        } else {
            delivery.role_folders()
        };
        Sight {
            recipe: serde_json::to_string(&recipe).unwrap_or_default() + "\n",
            portable,
            paths,
            roles,
            role_folders,
            root,
        }
    }
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
        let root = self.root();
        let output = Self::portable_output(&root);
        let (plan, _) = self.decide(self.image.ids(), false, &output);
        let mut environment = Environment::new();
        let mut packer = packer::render(self, &plan, &output, &mut environment);
        let withheld = self.withheld();
        packer.retain(|name, _| !withheld.contains(name));
        for secret in self.literal_secrets() {
            if let Some(text) = packer.get_mut(&secret) {
                *text = MASK.into();
            }
        }
        let ansible = ansible::render(self, &plan, &output, &mut environment);
        let portable = [
            ("packer.vars.json", render(&packer)),
            ("ansible.vars.json", render(&ansible)),
        ];
        let paths = self.ids().flat_map(|id| self.paths_of(id)).collect();
        Sight::new(self, root, portable, paths, self.roles_named())
    }
}
