//! The files of images that share most of their layers: see [`crate::eval::Model`].
//!
//! A [`Sheet`] keeps what was decided and written for the model. For another image only the affected variables are decided
//! and written again. What is decided for a variable must not depend on others than those that [`Model::affected`]
//! returns, or on what a sheet compares: the readers of the target and the way of the extra-vars file.

use crate::emit::page::Page;
use crate::emit::plan::Plan;
use crate::emit::readers::Reach;
use crate::emit::route::Route;
use crate::emit::{
    Checked, Delivery, Environment, MASK, Output, Role, Sight, ansible, is_literal_secret, packer,
    render,
};
use crate::eval::{Image, Kin, Model};
use crate::project::hir::*;
use crate::schema::Base;
use std::path::PathBuf;
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
    pages: Option<Pages>,
    /// The files that the ID covers.
    portable: Option<Pages>,
    paths: Vec<(VarId, PathBuf)>,
    /// The variables that are in the extra-vars file.
    in_file: Vec<VarId>,
    secrets: Vec<VarId>,
    roles: Vec<(VarId, Role)>,
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

impl Pages {
    /// Writes the entries of the variables of a plan that are not withheld; with a mask for each secret if `is_masked`.
    fn new(
        delivery: &Delivery<'_, '_>,
        plan: &Plan<'_>,
        output: &Output,
        is_masked: bool,
    ) -> Pages {
        let program = delivery.image.program;
        let mut rows: Vec<_> = plan
            .rows
            .iter()
            .map(|row| (program.rank(row.variable), row))
            .collect();
        rows.sort_by_key(|(rank, _)| *rank);
        let mut pages = Pages {
            packer: Page::with_capacity(rows.len(), 48 * rows.len()),
            ..Pages::default()
        };
        let mut names = ["", ""];
        for (rank, row) in rows {
            let mut environment = Environment::new();
            let name = program.variable(row.variable).name.as_str();
            let text = packer::text(delivery, row, output, &mut environment);
            if let Some(text) = text.filter(|_| !delivery.is_withheld(row.variable)) {
                pages.has_twins |= std::mem::replace(&mut names[0], name) == name;
                let is_secret = is_masked && is_literal_secret(delivery.image, row.variable);
                let text = if is_secret { MASK } else { &text };
                pages.packer.push_string(rank, name, text);
            }
            if let Some(json) = ansible::json(delivery, row, output, &mut environment) {
                pages.has_twins |= std::mem::replace(&mut names[1], name) == name;
                pages.ansible.push_json(rank, name, &json);
            }
            if !environment.is_empty() {
                pages.environment.push((row.variable, environment));
            }
        }
        pages
    }

    /// Whether these are the texts of the two files.
    fn make(&self, packer: &str, ansible: &str) -> bool {
        let nothing = Page::default();
        !self.has_twins
            && self.packer.with(&[], &nothing) == packer
            && self.ansible.with(&[], &nothing) == ansible
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
    let files = Files {
        image: image.name().to_owned(),
        is_secret: image.ids().iter().any(|id| is_literal_secret(image, *id)),
        files: [
            ("packer.vars.json", page.finish()),
            ("ansible.vars.json", render(&ansible)),
            ("manifest.json", delivery.manifest(plan.file, &environment)),
        ],
        sight: delivery.sight(),
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
        // What slots carry, and what moves into the file, depends on several variables at once.
        if !route.slots.is_empty() || !route.moved.is_empty() {
            return None;
        }
        let (plan, diagnostics) = delivery.decide(image.ids(), false, output);
        if !diagnostics.is_empty() || !plan.undeclared.is_empty() {
            return None;
        }
        let (mut pages, mut portable) = (None, None);
        if let Some(files) = files {
            let own = Pages::new(&delivery, &plan, output, false);
            let seen = Pages::new(
                &delivery,
                &plan,
                &Delivery::portable_output(&files.sight.root),
                true,
            );
            let [(_, packer), (_, ansible), _] = &files.files;
            let [(_, seen_packer), (_, seen_ansible)] = &files.sight.portable;
            if !own.make(packer, ansible) || !seen.make(seen_packer, seen_ansible) {
                return None;
            }
            (pages, portable) = (Some(own), Some(seen));
        }
        let ids = image.ids().iter().copied();
        let rows = plan.rows.iter().filter(|row| row.file.is_some());
        let roles = ids.clone().flat_map(|id| {
            delivery
                .roles_of(id)
                .into_iter()
                .map(move |role| (id, role))
        });
        Some(Sheet {
            model: Model::new(image)?,
            pages,
            portable,
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
        (diagnostics.is_empty() && plan.undeclared.is_empty()).then_some(plan)
    }

    /// Renders the files of another image; none where anything may have to be reported.
    pub fn render(&self, kin: &Kin<'p>, output: &Output) -> Option<(Files, Checked)> {
        let (pages, portable) = (self.pages.as_ref()?, self.portable.as_ref()?);
        let (delivery, ids) = self.deliver(kin)?;
        let plan = self.decide(kin, &delivery, &ids, output)?;
        let image = &kin.image;
        let program = image.program;
        let new = Pages::new(&delivery, &plan, output, false);
        let root = delivery.root();
        let seen_new = Pages::new(&delivery, &plan, &Delivery::portable_output(&root), true);
        let mut ranks: Vec<u32> = ids.iter().map(|id| program.rank(*id)).collect();
        ranks.sort_unstable();
        let is_old = |id: &VarId| ids.binary_search(id).is_err();
        let environment: Environment = pages
            .environment
            .iter()
            .filter(|(id, _)| is_old(id))
            .chain(&new.environment)
            .flat_map(|(_, names)| names.iter().cloned())
            .collect();
        let checked = self.checked(&delivery, &ids);
        let covered = [
            (
                "packer.vars.json",
                portable.packer.with(&ranks, &seen_new.packer),
            ),
            (
                "ansible.vars.json",
                portable.ansible.with(&ranks, &seen_new.ansible),
            ),
        ];
        let old_paths = self.paths.iter().filter(|(id, _)| is_old(id));
        let old_paths = old_paths.map(|(_, path)| path.clone());
        let new_paths = ids.iter().flat_map(|id| delivery.paths_of(*id));
        let paths = old_paths.chain(new_paths).collect();
        let files = Files {
            sight: Sight::new(&delivery, root, covered, paths, checked.roles.clone()),
            image: image.name().to_owned(),
            is_secret: self.secrets.iter().any(is_old)
                || seen(kin, &ids)
                    .iter()
                    .any(|id| is_literal_secret(image, *id)),
            files: [
                ("packer.vars.json", pages.packer.with(&ranks, &new.packer)),
                (
                    "ansible.vars.json",
                    pages.ansible.with(&ranks, &new.ansible),
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
        let new = ids.iter().flat_map(|id| delivery.roles_of(*id));
        delivery.checked(
            Vec::new(),
            old.map(|(_, role)| role.clone()).chain(new).collect(),
        )
    }
}

/// Those of some variables that an image sees.
fn seen(kin: &Kin<'_>, ids: &[VarId]) -> Vec<VarId> {
    let is_seen = |id: &VarId| kin.image.ids().binary_search(id).is_ok();
    ids.iter().copied().filter(is_seen).collect()
}
