//! Values to files: Packer's var file, Ansible's extra vars, the manifest.
//!
//! [`emit`] works out who reads what on an image's target, and writes each value in the form that
//! each reader wants. It writes no file itself: [`Artifacts`] are bytes with names.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod ansible;
mod defaults;
mod manifest;
mod packer;
mod reach;
mod recipe;
mod roles;
mod slots;

pub use ansible::show_value;
pub use defaults::default_files;
pub use reach::Reach;
pub use recipe::{PackerRun, Recipe, Role, TemplatePath};

use crate::diagnostic::{Code, Diagnostic};
use crate::eval::{Image, evaluate};
use crate::project::hir::*;
use crate::project::{Program, secret_literal};
use crate::schema::{Receivers, Roles, Text, Value};
use crate::source::{Loader, Origin, Span};
use rustc_hash::FxHashMap;
use slots::Route;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where the output will stand, as far as the output itself must know.
#[derive(Debug, Clone)]
pub struct Output {
    /// The folder that holds a folder for each image; absolute.
    pub dir: PathBuf,
    /// Write paths through the environment name `IMGSPEC_OUT`, which names that folder.
    pub portable: bool,
}

/// The environment name of the output folder in portable output.
pub const OUT_ENV: &str = "IMGSPEC_OUT";

/// The files of one image.
#[derive(Debug)]
pub struct Artifacts {
    pub image: String,
    /// `packer.vars.json`: name to string.
    pub packer: BTreeMap<String, String>,
    /// `ansible.vars.json`: name to value.
    pub ansible: BTreeMap<String, serde_json::Value>,
    pub manifest: serde_json::Value,
    /// What a checkout has already and shall not be written again: its secrets.
    pub withheld: BTreeSet<String>,
    /// The files hold a secret in plain text: nobody else may read them.
    pub is_secret: bool,
    /// Who reads each variable, in words: `packer`, `slot NAME`, `slot NAME, quoted`, `file`.
    pub routes: BTreeMap<String, Vec<String>>,
    /// The variable that carries the extra-vars file, if one can.
    pub file_route: Option<String>,
    pub recipe: Recipe,
    pub diagnostics: Vec<Diagnostic>,
}

impl Artifacts {
    /// The files with their names, relative to the image's folder, in a stable order.
    pub fn files(&self) -> [(&'static str, String); 3] {
        let is_written = |(name, _): &(&String, &String)| !self.withheld.contains(*name);
        let packer: BTreeMap<&String, &String> = self.packer.iter().filter(is_written).collect();
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

/// One image on its way out.
pub(crate) struct Emission<'i, 'p> {
    image: &'i mut Image<'p>,
    output: &'i Output,
    reach: Reach,
    route: Route,
    environment: BTreeSet<SmolStr>,
    /// What a checkout's texts name and nothing declares.
    undeclared: BTreeSet<SmolStr>,
    diagnostics: Vec<Diagnostic>,
}

/// Who reads what on an image's target.
pub fn find_reach(image: &Image<'_>) -> Reach {
    Reach::new(image, &Route::find(image))
}

/// Evaluates and writes images; returns their output and what was found for them. The roles that they name are looked
/// for through the loader.
pub fn emit_all(
    loader: &dyn Loader,
    program: &Program,
    images: &[SectionId],
    provider: Option<ProviderId>,
    output: &Output,
) -> (Vec<Artifacts>, Vec<Diagnostic>) {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut removals: FxHashMap<Span, bool> = FxHashMap::default();
    let mut all = Vec::with_capacity(images.len());
    for id in images {
        match evaluate(program, *id, provider) {
            Ok(mut image) => {
                for (span, removed) in &image.removals {
                    *removals.entry(*span).or_default() |= removed;
                }
                let mut artifacts = emit(&mut image, output);
                program.drop_consequences(*id, &mut artifacts.diagnostics);
                found.append(&mut artifacts.diagnostics);
                found.extend(roles::check_roles(
                    loader,
                    program,
                    &artifacts.recipe,
                    &artifacts.image,
                ));
                all.push(artifacts);
            }
            Err(diagnostic) => {
                let mut alone = vec![*diagnostic];
                program.drop_consequences(*id, &mut alone);
                found.append(&mut alone);
            }
        }
    }
    let idle = removals
        .into_iter()
        .filter(|(span, removed)| !removed && program.sources.is_users(span.file));
    found.extend(idle.map(|(span, _)| {
        Diagnostic::new(
            Code::NothingRemoved,
            span,
            "this removes nothing from any image",
        )
        .help("no weaker layer has such an element; look for a spelling mistake")
    }));
    (all, found)
}

/// What is wrong with var files on their own: of what was found for a number of images, which may be anybody's, what
/// stands in the files and holds for all of them.
pub fn of_var_files(
    program: &Program,
    files: &[PathBuf],
    images: usize,
    found: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    // What `--set` says is as much on its own as they are.
    let is_in_one = |d: &Diagnostic| {
        let source = program.sources.get(d.primary.span.file);
        source.origin == Origin::Argument || files.contains(&source.path)
    };
    // Quotes that one template has already are wrong wherever that template is used.
    let holds = |d: &Diagnostic| {
        d.images.is_empty() || d.images.len() == images || d.code == Code::LegacyQuotes
    };
    let mut found: Vec<Diagnostic> = found
        .into_iter()
        .filter(|d| is_in_one(d) && holds(d))
        .collect();
    found.iter_mut().for_each(|d| d.images.clear());
    found
}

/// Writes an image in the form that its readers want. Diagnostics are the image's own among them.
pub fn emit(image: &mut Image<'_>, output: &Output) -> Artifacts {
    let route = Route::find(image);
    let reach = Reach::new(image, &route);
    let mut emission = Emission {
        image,
        output,
        reach,
        route,
        environment: BTreeSet::new(),
        undeclared: BTreeSet::new(),
        diagnostics: Vec::new(),
    };
    emission.check_reach();
    emission.check_underived();
    emission.check_secrets();
    let ansible = emission.ansible_vars();
    emission.check_route();
    emission.check_builders();
    let packer = emission.packer_vars(&ansible);
    let withheld = emission.withheld();
    let is_secret = emission.holds_secret();
    let routes = emission.routes(&ansible);
    let file_route = emission
        .route
        .file
        .map(|id| emission.image.program.variable(id).name.to_string());
    let manifest = emission.manifest();
    let recipe = emission.recipe();
    let Emission {
        mut diagnostics,
        image,
        ..
    } = emission;
    for diagnostic in &mut diagnostics {
        diagnostic.images.push(image.name().to_owned());
    }
    let mut all = std::mem::take(&mut image.diagnostics);
    all.extend(diagnostics);
    Artifacts {
        image: image.name().to_owned(),
        packer,
        ansible,
        manifest,
        withheld,
        is_secret,
        routes,
        file_route,
        recipe,
        diagnostics: all,
    }
}

impl<'p> Emission<'_, 'p> {
    fn ids(&self) -> Vec<VarId> {
        self.image.ids().to_vec()
    }

    fn provider(&self) -> &'p Provider {
        self.image.program.provider(self.image.provider)
    }

    fn is_native(&self) -> bool {
        self.provider().roles == Roles::Native
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
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
        let own = variables.filter(|(id, variable)| variable.is_secret && self.is_of_checkout(*id));
        own.map(|(_, variable)| variable.name.to_string()).collect()
    }

    /// Warns of secrets that come from what the project writes out elsewhere.
    fn check_secrets(&mut self) {
        for id in self.ids() {
            let Some(active) = self
                .image
                .winner(id)
                .filter(|_| is_literal_secret(self.image, id))
            else {
                continue;
            };
            let value = &active.setting.value;
            // A secret that stands here itself has been reported whether an image uses it or not.
            if !matches!(value.kind, ExprKind::Const(_)) {
                let name = &self.image.program.variable(id).name;
                let found = secret_literal(name, value.span)
                    .label("what this comes to is known to everyone who reads the project")
                    .help(format!(
                        "read it from the environment: env(\"{}\")",
                        name.to_uppercase()
                    ));
                self.report(found);
            }
        }
    }

    /// True where a secret stands in the project's text, and so in the output.
    fn holds_secret(&self) -> bool {
        self.image
            .ids()
            .iter()
            .copied()
            .any(|id| is_literal_secret(self.image, id))
    }

    /// The path of the extra-vars file, as Packer reads it.
    fn file_argument(&mut self) -> String {
        let name = self.image.name();
        match self.output.portable {
            true => {
                self.environment.insert(SmolStr::new_static(OUT_ENV));
                format!("@{{{{env `{OUT_ENV}`}}}}/{name}/ansible.vars.json")
            }
            false => format!(
                "@{}",
                self.output
                    .dir
                    .join(name)
                    .join("ansible.vars.json")
                    .display()
            ),
        }
    }

    /// A path relative to the output folder, for portable output.
    fn relative(&self, path: &str) -> String {
        let mut base = self.output.dir.as_path();
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

    fn report_braces(&mut self, id: VarId) {
        let name = &self.image.program.variable(id).name;
        let found = Diagnostic::new(
            Code::LiteralBraces,
            self.place(id),
            format!("`{name}` holds `{{{{`, which Packer reads as a template"),
        )
        .label("Packer has no escape for it")
        .help("what only your roles need goes into `ansible { }`, where braces are text");
        self.report(found);
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

/// True where a value that is written at this place would show a secret of the project.
pub fn shows_secret(program: &Program, id: VarId, value: &Value, span: Span) -> bool {
    program.variable(id).is_secret
        && program.sources.is_users(span.file)
        && !value.has_holes()
        && !value.is_empty()
}

/// How a secret is shown.
pub const MASK: &str = "********";

/// A text as Packer reads it, for showing.
pub fn packer_text(text: &Text) -> String {
    packer::render_text(text, &mut |_| {}, &|path| path.to_owned())
}
