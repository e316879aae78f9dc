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
mod lints;
mod manifest;
mod moved;
mod packer;
mod plan;
mod readers;
mod roles;
mod route;

pub use ansible::show_value;
pub use build_plan::{BuildPlan, PackerRun, Role, TemplatePath};
pub use defaults::default_files;
pub use readers::{Effect, Reach};
pub use roles::check_roles;

use crate::diagnostic::Diagnostic;
use crate::eval::Image;
use crate::project::hir::*;
use crate::project::{Program, secret_literal};
use crate::schema::{Piece, Receivers, Roles, Text, Value};
use crate::source::Span;
use route::{Route, Slot};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

/// The files of one image.
#[derive(Debug)]
pub struct Artifacts {
    /// The image's name.
    pub image: String,
    /// `packer.vars.json`: name to string.
    pub packer: BTreeMap<String, String>,
    /// `ansible.vars.json`: name to value.
    pub ansible: BTreeMap<String, serde_json::Value>,
    /// `manifest.json`: what the two were made from.
    pub manifest: serde_json::Value,
    /// Names that are not written, because a checkout's own files set them: its secrets.
    pub withheld: BTreeSet<String>,
    /// The names in `packer.vars.json` whose values are secrets in plain text. If there are any, only the owner may read the
    /// files.
    pub secrets: BTreeSet<String>,
    /// The ways by which each variable is read: `packer`, `slot NAME`, `slot NAME, quoted`, `file`.
    pub routes: BTreeMap<String, Vec<String>>,
    /// The variable that carries the extra-vars file, if one can.
    pub file_route: Option<String>,
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
        values.map(String::as_str)
    }

    /// The files as they can be printed: with a mask for each secret.
    pub fn shown_files(&self) -> [(&'static str, String); 3] {
        self.rendered(|name| self.secrets.contains(name))
    }

    /// The files with their names, relative to the image's folder, in a stable order.
    pub fn files(&self) -> [(&'static str, String); 3] {
        self.rendered(|_| false)
    }

    fn rendered(&self, is_masked: impl Fn(&str) -> bool) -> [(&'static str, String); 3] {
        let written = self
            .packer
            .iter()
            .filter(|(name, _)| !self.withheld.contains(*name));
        let packer: BTreeMap<&str, &str> = written
            .map(|(name, value)| {
                let shown = if is_masked(name) { MASK } else { value };
                (name.as_str(), shown)
            })
            .collect();
        [
            ("packer.vars.json", render(&packer)),
            ("ansible.vars.json", render(&self.ansible)),
            ("manifest.json", render(&self.manifest)),
        ]
    }
}

fn render(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Names of environment variables that the output reads.
type Environment = BTreeSet<SmolStr>;

/// How the values of an image reach Packer and Ansible on its target.
struct Delivery<'i, 'p> {
    image: &'i Image<'p>,
    route: Route,
    reach: Reach,
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

/// Renders the files of an image.
pub fn emit(image: &Image<'_>, output: &Output) -> Artifacts {
    let delivery = Delivery::new(image);
    let mut diagnostics = Vec::new();
    let undeclared = delivery.check_readers(&mut diagnostics);
    delivery.check_underived(&mut diagnostics);
    delivery.check_secrets(&mut diagnostics);
    delivery.check_route(&mut diagnostics);
    delivery.check_builders(&mut diagnostics);
    let plan = plan::plan(&delivery, undeclared, output, &mut diagnostics);
    for diagnostic in &mut diagnostics {
        diagnostic.images.push(image.name().to_owned());
    }
    let mut environment = Environment::new();
    let ansible = ansible::render(&delivery, &plan, output, &mut environment);
    let packer = packer::render(&delivery, &plan, output, &mut environment);
    Artifacts {
        image: image.name().to_owned(),
        packer,
        ansible,
        manifest: delivery.manifest(&plan, &environment),
        withheld: delivery.withheld(),
        secrets: delivery.literal_secrets(),
        routes: plan.routes(image.program),
        file_route: plan
            .file
            .map(|id| image.program.variable(id).name.to_string()),
        build: delivery.build_plan(),
        diagnostics,
    }
}

impl<'i, 'p> Delivery<'i, 'p> {
    fn new(image: &'i Image<'p>) -> Delivery<'i, 'p> {
        let route = Route::find(image);
        Delivery {
            image,
            reach: Reach::new(image, &route),
            route,
        }
    }

    fn ids(&self) -> impl Iterator<Item = VarId> + use<'i, 'p> {
        self.image.ids().iter().copied()
    }

    /// The slots that carry a variable to Ansible.
    fn slots_of(&self, id: VarId) -> Vec<&Slot> {
        self.route
            .slots
            .iter()
            .filter(|slot| slot.variable == id)
            .collect()
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
    fn withheld(&self) -> BTreeSet<String> {
        let variables = self
            .image
            .ids()
            .iter()
            .map(|id| (*id, self.image.program.variable(*id)));
        let own = variables.filter(|(id, variable)| variable.is_secret && self.is_of_library(*id));
        own.map(|(_, variable)| variable.name.to_string()).collect()
    }

    /// Warns of secrets that come from what the project writes out elsewhere.
    fn check_secrets(&self, out: &mut Vec<Diagnostic>) {
        for id in self.ids() {
            let Some(active) = self
                .image
                .winner(id)
                .filter(|_| is_literal_secret(self.image, id))
            else {
                continue;
            };
            let value = &active.setting.value;
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
    fn literal_secrets(&self) -> BTreeSet<String> {
        let names = self.ids().filter(|id| is_literal_secret(self.image, *id));
        names
            .map(|id| self.image.program.variable(id).name.to_string())
            .collect()
    }

    /// Ansible's receiver for this image's playbook.
    fn receiver(&self) -> Receivers {
        self.provider().playbook.receiver()
    }
}

/// True for a secret whose value the project wrote out. The library's own (`builder`) are public.
pub fn is_literal_secret(image: &Image<'_>, id: VarId) -> bool {
    let span = image
        .winner(id)
        .map_or(image.program.variable(id).span, |a| a.setting.span);
    image
        .value(id)
        .is_some_and(|value| shows_secret(image.program, id, value, span))
}

/// True where a value that is written at this place would show a secret of the project, or a part of it.
pub fn shows_secret(program: &Program, id: VarId, value: &Value, span: Span) -> bool {
    program.variable(id).is_secret && program.sources.is_users(span.file) && value.has_literals()
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
