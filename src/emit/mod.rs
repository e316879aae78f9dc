//! Values to files: Packer's var file, Ansible's extra vars, the manifest.
//!
//! [`emit()`] decides, and then writes. A [`Delivery`] is what is known about an image on its target: who reads what, and
//! by which ways values reach Ansible. [`plan::plan`] decides for each variable in which form each receiver gets it, or
//! why it cannot. `packer`, `ansible` and `manifest` only render that plan. Nothing here writes a file: [`Artifacts`] are
//! bytes with names.

mod ansible;
mod build_plan;
mod cells;
mod defaults;
mod history;
mod lints;
mod manifest;
mod moved;
mod packer;
mod page;
mod plan;
mod provenance;
mod readers;
mod roles;
mod route;
mod sheet;
mod sight;

pub use ansible::show_value;
pub use build_plan::{BuildPlan, PackerRun, Role, TemplatePath};
pub use defaults::default_files;
pub use history::{Act, HistoryEntry, Shown, belongs, hides, history, without_secrets};
pub use plan::{Routes, Ways};
pub use provenance::{Account, Ground, Provenance, Step, Trace, Traced, from_root, position};
pub use readers::{Effect, Reach};
pub use roles::check_roles;
pub(crate) use roles::relative;
pub use sheet::{Files, Sheet, files};
pub use sight::Sight;

use crate::diagnostic::Diagnostic;
use crate::eval::Image;
use crate::project::hir::*;
use crate::project::{Program, secret_literal};
use crate::schema::{Piece, Receivers, Roles, Text, Value};
use crate::source::Span;
use indexmap::IndexMap;
use route::{Route, Slot};
use rustc_hash::FxBuildHasher;
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the output will be, as far as its content depends on that.
#[derive(Debug, Clone)]
pub struct Output {
    /// The folder that holds a folder for each image; absolute.
    pub dir: PathBuf,
    /// Write paths through the environment name `IMGSPEC_OUT`, which names that folder.
    pub portable: bool,
}

impl Output {
    /// A path relative to the output folder, for portable output.
    fn relative(&self, path: &str) -> String {
        let mut base = self.dir.as_path();
        let path = Path::new(path);
        let mut up = String::new();
        loop {
            if let Ok(rest) = path.strip_prefix(base) {
                return format!("{up}{}", rest.display());
            }
            match base.parent() {
                Some(parent) => {
                    base = parent;
                    up.push_str("../");
                }
                None => return path.display().to_string(),
            }
        }
    }
}

/// The environment name of the output folder in portable output.
pub const OUT_ENV: &str = "IMGSPEC_OUT";

/// Packer's variables: name to string, in the order of the names.
pub type Strings = IndexMap<SmolStr, SmolStr, FxBuildHasher>;

/// The files of one image.
#[derive(Debug)]
pub struct Artifacts {
    /// The image's name.
    pub image: String,
    /// `packer.vars.json`: name to string.
    pub packer: Strings,
    /// `ansible.vars.json`: name to value, in the order of the names.
    pub ansible: IndexMap<SmolStr, serde_json::Value, FxBuildHasher>,
    /// `manifest.json`: what the two were made from.
    pub manifest: String,
    /// Names that are not written, because a checkout's own files set them: its secrets.
    pub withheld: BTreeSet<SmolStr>,
    /// The names in `packer.vars.json` whose values are secrets in plain text. If there are any, only the owner may read the
    /// files.
    pub secrets: BTreeSet<SmolStr>,
    /// The ways by which each variable is read.
    pub routes: Routes,
    /// The variable that carries the extra-vars file, if one can.
    pub file_route: Option<SmolStr>,
    /// What a build needs to know besides the files.
    pub build: BuildPlan,
    /// What is wrong with the output. What is wrong with the values is in the image.
    pub diagnostics: Vec<Diagnostic>,
}

impl Artifacts {
    /// True if a file contains a secret in plain text, so that only its owner may read it.
    pub fn is_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The secrets that the var file contains in plain text.
    pub fn secret_values(&self) -> impl Iterator<Item = &str> {
        let values = self.secrets.iter().filter_map(|name| self.packer.get(name));
        values.map(SmolStr::as_str)
    }

    /// The files as they can be printed: with a mask for each secret.
    pub fn shown_files(&self) -> [(&'static str, String); 3] {
        self.rendered(|name| self.secrets.contains(name))
    }

    /// The files as text, with what a build sees.
    pub fn to_files(&self, sight: &Sight) -> Files {
        Files {
            image: self.image.clone(),
            is_secret: self.is_secret(),
            files: self.files(),
            sight: sight.clone(),
        }
    }

    /// The files with their names, relative to the image's folder, in a stable order.
    pub fn files(&self) -> [(&'static str, String); 3] {
        self.rendered(|_| false)
    }

    fn rendered(&self, is_masked: impl Fn(&str) -> bool) -> [(&'static str, String); 3] {
        let is_written = |(name, _): &(&SmolStr, &SmolStr)| !self.withheld.contains(name.as_str());
        let shown = |(name, value)| {
            let name: &str = SmolStr::as_str(name);
            let shown = if is_masked(name) {
                MASK
            } else {
                SmolStr::as_str(value)
            };
            (name, shown)
        };
        let packer = self.packer.iter().filter(is_written).map(shown);
        [
            ("packer.vars.json", render(&Entries(packer))),
            ("ansible.vars.json", render(&self.ansible)),
            ("manifest.json", self.manifest.clone()),
        ]
    }
}

fn render(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Serializes names and values as an object.
struct Entries<I>(I);

impl<'e, I: Iterator<Item = (&'e str, &'e str)> + Clone> serde::Serialize for Entries<I> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// Names of environment variables that the output reads.
type Environment = BTreeSet<SmolStr>;

/// How the values of an image reach Packer and Ansible on its target.
struct Delivery<'i, 'p> {
    image: &'i Image<'p>,
    route: Arc<Route>,
    reach: Arc<Reach>,
}

/// Finds out who reads what on an image's target.
pub fn find_reach(image: &Image<'_>) -> Reach {
    Reach::new(image, &Route::find(image))
}

/// Returns the variables that an image's target needs, and that nothing sets.
pub fn find_missing(image: &Image<'_>) -> Vec<VarId> {
    let delivery = Delivery::new(image);
    let is_current = |id: &VarId| {
        let variable = image.program.variable(*id);
        variable.is_declared() && variable.alias_of().is_none()
    };
    let ids = delivery.ids().filter(is_current);
    ids.filter(|id| delivery.lacks(*id)).collect()
}

/// What is wrong with the output of an image, and the roles that it names, which may be missing.
#[derive(Debug)]
pub struct Checked {
    /// What is wrong with the output. What is wrong with the values is in the image.
    pub diagnostics: Vec<Diagnostic>,
    /// The roles that values name.
    pub roles: Vec<Role>,
    /// The folders in which Ansible looks for a role that is named without a path; none where there are no roles.
    pub role_folders: Vec<PathBuf>,
    /// A checkout's Makefile builds the image.
    pub is_made: bool,
}

/// Decides what the files of an image contain, without rendering them.
pub fn check(image: &Image<'_>, output: &Output) -> Checked {
    let delivery = Delivery::new(image);
    let (_, diagnostics) = delivery.decide(image.ids(), false, output);
    delivery.checked(diagnostics, delivery.roles_named())
}

/// Renders the files of an image.
pub fn emit(image: &Image<'_>, output: &Output) -> Artifacts {
    let delivery = Delivery::new(image);
    let (plan, diagnostics) = delivery.decide(image.ids(), false, output);
    let mut environment = Environment::new();
    let ansible = ansible::render(&delivery, &plan, output, &mut environment);
    let packer = packer::render(&delivery, &plan, output, &mut environment);
    Artifacts {
        image: image.name().to_owned(),
        packer,
        ansible,
        manifest: delivery.manifest(plan.file, &environment),
        withheld: delivery.withheld(),
        secrets: delivery.literal_secrets(),
        file_route: plan.file.map(|id| image.program.variable(id).name.clone()),
        routes: plan.into_routes(image.program),
        build: delivery.build_plan(),
        diagnostics,
    }
}

impl<'i, 'p> Delivery<'i, 'p> {
    fn new(image: &'i Image<'p>) -> Delivery<'i, 'p> {
        let route = Route::find(image);
        Delivery {
            image,
            reach: Arc::new(Reach::new(image, &route)),
            route: Arc::new(route),
        }
    }

    /// Decides in which form the values of some variables reach their readers, and reports what is wrong.
    /// `are_others_in_file`: the extra-vars file has entries of other variables.
    fn decide(
        &self,
        ids: &[VarId],
        are_others_in_file: bool,
        output: &Output,
    ) -> (plan::Plan<'p>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let undeclared = self.check_readers(ids, &mut diagnostics);
        self.check_underived(&mut diagnostics);
        self.check_secrets(ids, &mut diagnostics);
        self.check_route(&mut diagnostics);
        self.check_builders(&mut diagnostics);
        let plan = plan::plan(
            self,
            ids,
            are_others_in_file,
            undeclared,
            output,
            &mut diagnostics,
        );
        for diagnostic in &mut diagnostics {
            diagnostic.images.push(self.image.name().to_owned());
        }
        (plan, diagnostics)
    }

    fn checked(&self, diagnostics: Vec<Diagnostic>, roles: Vec<Role>) -> Checked {
        Checked {
            diagnostics,
            role_folders: self.folders_of(&roles),
            roles,
            is_made: self.serves_upstream(),
        }
    }

    fn ids(&self) -> impl Iterator<Item = VarId> + use<'i, 'p> {
        self.image.ids().iter().copied()
    }

    /// The slots that carry a variable to Ansible.
    fn slots_of(&self, id: VarId) -> &[Slot] {
        self.route.slots_of(id)
    }

    /// True where the library describes Image Builder's own templates, and the value is the library's: the project neither
    /// declares the variable nor sets anything that it depends on. Its strings are made for its slots already.
    fn is_of_library(&self, id: VarId) -> bool {
        let program = self.image.program;
        self.serves_upstream()
            && !program.sources.is_users(program.variable(id).span.file)
            && !self.image.depends_on_users(id)
    }

    /// Whether Image Builder's own template and roles serve the image.
    fn serves_upstream(&self) -> bool {
        self.image.program.serves_upstream(self.image.provider)
    }

    fn provider(&self) -> &'p Provider {
        self.image.program.provider(self.image.provider)
    }

    fn roles(&self) -> Roles {
        self.provider().roles
    }

    /// Where a variable's value was written: its strongest setting, or its default.
    fn place(&self, id: VarId) -> Span {
        let variable = self.image.program.variable(id);
        match self.image.winner(id) {
            Some(active) => active.setting.value.span,
            None => variable.default.as_ref().map_or(variable.span, |d| d.span),
        }
    }

    /// A checkout's own secrets, which its files hold, or a script puts there before each build
    /// (`hack/set-ssh-password.sh`).
    fn withheld(&self) -> BTreeSet<SmolStr> {
        let own = self.ids().filter(|id| self.is_withheld(*id));
        own.map(|id| self.image.program.variable(id).name.clone())
            .collect()
    }

    fn is_withheld(&self, id: VarId) -> bool {
        self.image.program.variable(id).is_secret && self.is_of_library(id)
    }

    /// Warns of secrets that come from what the project writes out elsewhere.
    fn check_secrets(&self, ids: &[VarId], out: &mut Vec<Diagnostic>) {
        for id in ids.iter().copied() {
            if !is_literal_secret(self.image, id) {
                continue;
            }
            let Some(active) = self.image.winner(id) else {
                continue;
            };
            let value = &active.setting.value;
            if !self.image.program.sources.is_users(value.span.file) {
                continue;
            }
            let is_known = self
                .image
                .value(id)
                .is_some_and(|value| !value.has_placeholders());
            // A literal secret has been reported already, whether an image uses it or not.
            if is_known && !matches!(value.kind, ExprKind::Const(_)) {
                let name = &self.image.program.variable(id).name;
                let found = secret_literal(name, value.span)
                    .label("everyone who can read the project can compute this secret")
                    .help(format!(
                        "read it from the environment: `env(\"{}\")`",
                        name.to_uppercase()
                    ));
                out.push(found);
            }
        }
    }

    /// The names of the secrets that the project's text, and so the output, contains.
    fn literal_secrets(&self) -> BTreeSet<SmolStr> {
        let names = self.ids().filter(|id| is_literal_secret(self.image, *id));
        names
            .map(|id| self.image.program.variable(id).name.clone())
            .collect()
    }

    /// Ansible's receiver for this image's playbook.
    fn receiver(&self) -> Receivers {
        self.provider().playbook.receiver()
    }
}

/// True for a secret whose value the project wrote out, or the checkout that it uses. Those of the standard library
/// (`builder`) are public.
pub fn is_literal_secret(image: &Image<'_>, id: VarId) -> bool {
    if !image.program.variable(id).is_secret {
        return false;
    }
    let span = image
        .winner(id)
        .map_or(image.program.variable(id).span, |a| a.setting.span);
    image
        .value(id)
        .is_some_and(|value| shows_secret(image.program, id, value, span))
}

/// True where a value that is written at this place would show a secret of the project or its checkout, or a part of it.
pub fn shows_secret(program: &Program, id: VarId, value: &Value, span: Span) -> bool {
    let is_private = program.is_adopted || program.sources.is_users(span.file);
    program.variable(id).is_secret && is_private && value.has_literals()
}

/// Returns the names of the environment variables that hold an image's secrets.
pub fn find_secret_names(image: &Image<'_>) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for id in image.ids() {
        let is_secret = image.program.variable(*id).is_secret;
        if let Some(value) = image.value(*id).filter(|_| is_secret) {
            build_plan::for_each_piece(value, &mut |piece| {
                if let Piece::Env(name) = piece {
                    out.insert(name.to_string());
                }
            });
        }
    }
    out
}

/// How a secret is shown.
pub const MASK: &str = "********";

/// A text as Packer reads it, for showing.
pub fn packer_string(text: &Text) -> String {
    packer::render_text(text, &mut |_| {}, &|path| path.to_owned())
}
