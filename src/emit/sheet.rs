//! The files of images that share most of their layers: see [`crate::eval::Model`].
//!
//! A [`Sheet`] keeps what was decided and written for the model. For another image only the affected variables are decided
//! and written again. What is decided for a variable must not depend on others than those that [`Model::affected`]
//! returns, on its partners, or on what a sheet compares: the readers of the target, its slots, and the way of the
//! extra-vars file.

use crate::emit::page::Page;
use crate::emit::plan::{PackerForm, Plan, Row};
use crate::emit::readers::Reach;
use crate::emit::route::Route;
use crate::emit::{
    Checked, Delivery, Environment, MASK, Output, Role, Sight, ansible, is_literal_secret, packer,
    render,
};
use crate::eval::{Image, Kin, Model};
use crate::project::Program;
use crate::project::hir::*;
use crate::schema::{Base, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of an image as text.
#[derive(Debug, PartialEq, Eq)]
pub struct Files {
    /// The image's name.
    pub image: String,
    /// A file contains a secret in plain text, so that only its owner may read it.
    pub is_secret: bool,
    /// The names, relative to the image's folder, with the texts, in a stable order.
    pub files: [(&'static str, String); 3],
    /// What a build sees.
    pub sight: Sight,
}

/// What was decided and written for a model.
#[derive(Debug)]
pub struct Sheet<'p> {
    /// The model.
    pub model: Model<'p>,
    route: Arc<Route>,
    reach: Arc<Reach>,
    pages: Option<Both>,
    /// The root of the model's project, and its recipe.
    recipe: Option<(PathBuf, String)>,
    paths: Vec<(VarId, PathBuf)>,
    /// The variables that are in the extra-vars file.
    in_file: Vec<VarId>,
    secrets: Vec<VarId>,
    roles: Vec<(VarId, Role)>,
    /// The variables whose slots have the name of another variable, and these other ones.
    partners: Vec<VarId>,
}

/// The entries of the two files of variables, with the names of environment variables that each reads.
#[derive(Debug, Default)]
pub(super) struct Pages {
    packer: Page<u32>,
    ansible: Page<u32>,
    environment: Vec<(VarId, Environment)>,
    /// Two variables have the same name in a file.
    has_twins: bool,
}

/// The entries of the two files.
#[derive(Debug, Default)]
struct Both {
    /// As they are written.
    own: Pages,
    /// As the ID covers them.
    covered: Pages,
}

impl Both {
    /// Writes the entries of the variables of a plan that are not withheld. Those that the ID covers have a mask for each
    /// secret.
    fn new(delivery: &Delivery<'_, '_>, plan: &Plan<'_>, output: &Output, root: &Path) -> Both {
        let image = delivery.image;
        let program = image.program;
        let portable = Delivery::portable_output(root);
        let mut rows: Vec<_> = plan
            .rows
            .iter()
            .map(|row| (program.rank(row.variable), row))
            .collect();
        rows.sort_by_key(|(rank, _)| *rank);
        let Both {
            mut own,
            mut covered,
        } = Both::default();
        own.packer = Page::with_capacity(rows.len(), 48 * rows.len());
        covered.packer = Page::with_capacity(rows.len(), 48 * rows.len());
        let mut names = ["", ""];
        for (rank, row) in rows {
            let mut environment = Environment::new();
            let mut unused = Environment::new();
            let name = program.variable(row.variable).name.as_str();
            let has_paths = |id: &VarId| image.value(*id).is_some_and(Value::has_paths);
            let text = packer::text(delivery, row, output, &mut environment);
            if let Some(text) = text.filter(|_| !delivery.is_withheld(row.variable)) {
                own.has_twins |= std::mem::replace(&mut names[0], name) == name;
                own.packer.push_string(rank, name, &text);
                let differs = match &row.packer {
                    Some(PackerForm::String(id)) => has_paths(id),
                    Some(PackerForm::FileArgument | PackerForm::Wrapped(_)) => true,
                    Some(PackerForm::Empty) | None => false,
                };
                if is_literal_secret(image, row.variable) {
                    covered.packer.push_string(rank, name, MASK);
                } else if differs {
                    let text = packer::text(delivery, row, &portable, &mut unused);
                    let text = text.unwrap_or_default();
                    covered.packer.push_string(rank, name, &text);
                } else {
                    covered.packer.push_last_of(&own.packer);
                }
            }
            if let Some(json) = ansible::json(delivery, row, output, &mut environment) {
                own.has_twins |= std::mem::replace(&mut names[1], name) == name;
                own.ansible.push_json(rank, name, &json);
                if has_paths(&row.variable)
                    && let Some(json) = ansible::json(delivery, row, &portable, &mut unused)
                {
                    covered.ansible.push_json(rank, name, &json);
                } else {
                    covered.ansible.push_last_of(&own.ansible);
                }
            }
            if !environment.is_empty() {
                own.environment.push((row.variable, environment));
            }
        }
        Both { own, covered }
    }
}

impl Pages {
    /// Frees the room that is left in pages that are kept.
    fn shrink(&mut self) {
        self.packer.shrink();
        self.ansible.shrink();
    }

    /// Whether these are the texts of the two files.
    fn make(&self, packer: &str, ansible: &str) -> bool {
        let nothing = Page::default();
        !self.has_twins
            && self.packer.with(&[], &nothing) == packer
            && self.ansible.with(&[], &nothing) == ansible
    }

    /// Whether these are the SHA-256 of the texts of the two files.
    fn have(&self, packer: &str, ansible: &str) -> bool {
        let nothing = Page::default();
        self.packer.sha256_with(&[], &nothing) == packer
            && self.ansible.sha256_with(&[], &nothing) == ansible
    }
}

/// Renders the files of an image as text.
pub fn files(image: &Image<'_>, output: &Output) -> (Files, Checked) {
    let delivery = Delivery::new(image);
    let (plan, diagnostics) = delivery.decide(image.ids(), false, output);
    let mut environment = Environment::new();
    let ansible = ansible::render(&delivery, &plan, output, &mut environment);
    let packer = packer::render(&delivery, &plan, output, &mut environment);
    let withheld = delivery.withheld();
    let mut page = Page::with_capacity(packer.len(), 48 * packer.len());
    let written = packer.iter().filter(|(name, _)| !withheld.contains(*name));
    for (name, text) in written {
        page.push_string(0, name, text);
    }
    let ansible = render(&ansible);
    let files = Files {
        image: image.name().to_owned(),
        is_secret: image.ids().iter().any(|id| is_literal_secret(image, *id)),
        sight: delivery.sight_beside(&plan, packer, &ansible),
        files: [
            ("packer.vars.json", page.finish()),
            ("ansible.vars.json", ansible),
            ("manifest.json", delivery.manifest(plan.file, &environment)),
        ],
    };
    let roles = delivery.roles_named();
    (files, delivery.checked(diagnostics, roles))
}

impl<'p> Sheet<'p> {
    /// Makes a sheet of an image about which nothing was reported; none where other images cannot be like it. With
    /// `files`, which are those of the image, it can render others.
    pub fn new(image: &Image<'p>, output: &Output, files: Option<&Files>) -> Option<Sheet<'p>> {
        let delivery = Delivery::new(image);
        let route = &delivery.route;
        // What moves into the file depends on several variables at once.
        if !route.moved.is_empty() {
            return None;
        }
        let (plan, diagnostics) = delivery.decide(image.ids(), false, output);
        if !diagnostics.is_empty() || !plan.undeclared.is_empty() {
            return None;
        }
        let (mut pages, mut recipe) = (None, None);
        if let Some(files) = files {
            let sight = &files.sight;
            let mut both = Both::new(&delivery, &plan, output, &sight.root);
            both.own.shrink();
            both.covered.shrink();
            let [(_, packer), (_, ansible), _] = &files.files;
            let [(_, covered_packer), (_, covered_ansible)] = &sight.portable;
            if !both.own.make(packer, ansible)
                || !both.covered.have(covered_packer, covered_ansible)
            {
                return None;
            }
            pages = Some(both);
            recipe = Some((sight.root.clone(), sight.recipe.clone()));
        }
        let ids = image.ids().iter().copied();
        let rows = plan.rows.iter().filter(|row| row.file.is_some());
        let roles = roles_of(&delivery, ids.clone());
        Some(Sheet {
            model: Model::new(image)?,
            pages,
            recipe,
            paths: ids
                .clone()
                .flat_map(|id| {
                    delivery
                        .paths_of(id)
                        .into_iter()
                        .map(move |path| (id, path))
                })
                .collect(),
            in_file: rows.map(|row| row.variable).collect(),
            secrets: ids.filter(|id| is_literal_secret(image, *id)).collect(),
            roles: roles.collect(),
            partners: find_partners(image.program, route),
            route: delivery.route.clone(),
            reach: delivery.reach.clone(),
        })
    }

    /// Decides what the files of another image contain; none where anything may have to be reported.
    pub fn check(&self, kin: &Kin<'p>, output: &Output) -> Option<Checked> {
        let (delivery, ids) = self.deliver(kin)?;
        self.decide(kin, &delivery, &ids, output)?;
        Some(self.checked(&delivery, &ids))
    }

    /// Decides about the affected variables.
    fn decide(
        &self,
        kin: &Kin<'p>,
        delivery: &Delivery<'_, 'p>,
        ids: &[VarId],
        output: &Output,
    ) -> Option<Plan<'p>> {
        let are_others_in_file = self.in_file.iter().any(|id| ids.binary_search(id).is_err());
        let (plan, diagnostics) = delivery.decide(&seen(kin, ids), are_others_in_file, output);
        // A page has an entry under one name.
        let has_one_name = |row: &Row| {
            let own = &delivery.image.program.variable(row.variable).name;
            row.file.is_none() || delivery.names_in_file(row.variable).all(|name| name == own)
        };
        let is_fine = diagnostics.is_empty()
            && plan.undeclared.is_empty()
            && plan.rows.iter().all(has_one_name);
        is_fine.then_some(plan)
    }

    /// Renders the files of another image; none where anything may have to be reported.
    pub fn render(&self, kin: &Kin<'p>, output: &Output) -> Option<(Files, Checked)> {
        let Both { own, covered } = self.pages.as_ref()?;
        let (delivery, ids) = self.deliver(kin)?;
        let plan = self.decide(kin, &delivery, &ids, output)?;
        let image = &kin.image;
        let program = image.program;
        let root = delivery.root();
        let new = Both::new(&delivery, &plan, output, &root);
        let mut ranks: Vec<u32> = ids.iter().map(|id| program.rank(*id)).collect();
        ranks.sort_unstable();
        let is_old = |id: &VarId| ids.binary_search(id).is_err();
        let environment: Environment = own
            .environment
            .iter()
            .filter(|(id, _)| is_old(id))
            .chain(&new.own.environment)
            .flat_map(|(_, names)| names.iter().cloned())
            .collect();
        let checked = self.checked(&delivery, &ids);
        let old_paths = self.paths.iter().filter(|(id, _)| is_old(id));
        let old_paths = old_paths.map(|(_, path)| path.clone());
        let new_paths = ids.iter().flat_map(|id| delivery.paths_of(*id));
        let portable = [
            (
                "packer.vars.json",
                covered.packer.sha256_with(&ranks, &new.covered.packer),
            ),
            (
                "ansible.vars.json",
                covered.ansible.sha256_with(&ranks, &new.covered.ansible),
            ),
        ];
        let sight = Sight {
            portable,
            recipe: match &self.recipe {
                Some((known, recipe)) if *known == root => recipe.clone(),
                _ => delivery.recipe(&root),
            },
            paths: old_paths
                .chain(new_paths)
                .chain(delivery.own_template())
                .collect(),
            roles: checked.roles.clone(),
            role_folders: checked.role_folders.clone(),
            root,
        };
        let files = Files {
            sight,
            image: image.name().to_owned(),
            is_secret: self.secrets.iter().any(is_old)
                || seen(kin, &ids)
                    .iter()
                    .any(|id| is_literal_secret(image, *id)),
            files: [
                ("packer.vars.json", own.packer.with(&ranks, &new.own.packer)),
                (
                    "ansible.vars.json",
                    own.ansible.with(&ranks, &new.own.ansible),
                ),
                ("manifest.json", delivery.manifest(plan.file, &environment)),
            ],
        };
        Some((files, checked))
    }

    /// Finds out who reads what, and which variables must be decided again.
    fn deliver<'i>(&self, kin: &'i Kin<'p>) -> Option<(Delivery<'i, 'p>, Vec<VarId>)> {
        let image = &kin.image;
        let program = image.program;
        let file = Some(program.section(image.section).span.file);
        let is_changed = |id: &VarId| kin.changed.binary_search(id).is_ok();
        let is_moved = self.route.asked.iter().any(is_changed);
        if is_moved && !Route::find(image).is_like(&self.route) {
            return None;
        }
        let route = self.route.clone();
        let mut ids = self.model.affected(kin);
        // Its value is the path of the image's own file.
        ids.extend(route.file);
        // A string of arguments names variables on which its value does not depend.
        if program.serves_upstream(image.provider) {
            let is_args = |id: &VarId| matches!(program.variable(*id).ty.base, Base::Args);
            ids.extend(image.ids().iter().copied().filter(is_args));
        }
        let is_given = |id: &VarId| image.value(*id).is_some();
        let is_entry = |id: &VarId| program.variable(*id).extra().is_some();
        let reads_alike = kin.depends_alike
            && kin
                .changed
                .iter()
                .all(|id| !is_entry(id) || is_given(id) == self.model.value(*id).is_some());
        let reach = if reads_alike {
            self.reach.clone()
        } else {
            let reach = Reach::new(image, &route);
            ids.extend(self.reach.differing(&reach));
            Arc::new(reach)
        };
        // Whether the file has the name of a slot decides what the slot carries.
        if self.partners.iter().any(|id| ids.contains(id)) {
            ids.extend(&self.partners);
        }
        ids.sort_unstable();
        ids.dedup();
        // An entry that has the name of a variable takes its place.
        let is_twin = |id: &VarId| {
            is_entry(id)
                && program
                    .find_variable(file, &program.variable(*id).name)
                    .is_some()
        };
        if ids.iter().any(is_twin) {
            return None;
        }
        Some((
            Delivery {
                image,
                route,
                reach,
            },
            ids,
        ))
    }

    fn checked(&self, delivery: &Delivery<'_, '_>, ids: &[VarId]) -> Checked {
        let old = self
            .roles
            .iter()
            .filter(|(id, _)| ids.binary_search(id).is_err());
        let new = roles_of(delivery, ids.iter().copied());
        let mut all: Vec<(VarId, Role)> = old.cloned().chain(new).collect();
        all.sort_by_key(|(id, _)| *id);
        let roles = all.into_iter().map(|(_, role)| role);
        delivery.checked(Vec::new(), roles.collect())
    }
}

/// The roles that the values of some variables name.
fn roles_of(
    delivery: &Delivery<'_, '_>,
    ids: impl Iterator<Item = VarId>,
) -> impl Iterator<Item = (VarId, Role)> {
    ids.flat_map(|id| {
        let roles = delivery.roles_of(id).into_iter();
        roles.map(move |role| (id, role))
    })
}

/// The variables whose slots have the name of another variable, and these other ones.
fn find_partners(program: &Program, route: &Route) -> Vec<VarId> {
    let mut out = Vec::new();
    for slot in &route.slots {
        let all = program.variables.pairs();
        let others = all.filter(|(id, other)| *id != slot.variable && other.name == slot.name);
        for (id, _) in others {
            out.extend([slot.variable, id]);
        }
    }
    out
}

/// Those of some variables that an image sees.
fn seen(kin: &Kin<'_>, ids: &[VarId]) -> Vec<VarId> {
    let is_seen = |id: &VarId| kin.image.ids().binary_search(id).is_ok();
    ids.iter().copied().filter(is_seen).collect()
}
