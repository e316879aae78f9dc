//! What a build of an image needs to know besides the files that it reads.

use crate::emit::packer::render_text;
use crate::emit::roles::find_name;
use crate::emit::{Delivery, find_secret_names};
use crate::project::hir::*;
use crate::schema::{Base, Piece, Roles, Text, Type, Value, encode};
use crate::source::{Origin, Span, is_absolute};
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How an image is built.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// The Packer template.
    pub template: TemplatePath,
    /// The target's name for make, where a checkout's own Makefile builds it.
    pub make: Option<String>,
    /// The runs of Packer, in order.
    pub runs: Vec<PackerRun>,
    /// Where the results are, as a pattern relative to the folder that Packer runs in.
    pub artifact: Option<String>,
    /// The `-var` arguments that make the machine's screen visible.
    pub foreground: Vec<String>,
    /// The programs that the provider needs.
    pub tools: Vec<String>,
    /// Files and folders of this machine that values name.
    pub paths: BTreeSet<PathBuf>,
    /// The environment names that the project, not the library, reads.
    pub environment: BTreeSet<String>,
    /// Those of them, and of the library's, that hold secrets.
    pub secret_environment: BTreeSet<String>,
    /// The roles that values name.
    pub roles: Vec<Role>,
    /// The folders in which Ansible looks for a role that is named without a path.
    pub role_folders: Vec<PathBuf>,
}

/// A role that a value names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// A name, or a path: absolute where a spec names it, as it was written where a var file does.
    pub name: String,
    /// Where the name is written, or the value that contains it.
    pub span: Span,
    /// The place is that of the name alone, not of the value around it.
    pub is_exact: bool,
}

impl Role {
    /// True for a path, false for a name that Ansible looks for in role folders.
    pub fn is_path(&self) -> bool {
        self.name.contains('/')
    }
}

/// Where a template is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePath {
    /// Among those that the program carries, `packer/…`.
    BuiltIn(String),
    /// Among those of Image Builder, which the program does not carry, `packer/…`.
    Upstream(String),
    /// On disk; absolute.
    Disk(PathBuf),
}

/// One run of Packer.
#[derive(Debug, Clone, Default)]
pub struct PackerRun {
    /// `-only` arguments.
    pub only: Vec<String>,
    /// `-except` arguments.
    pub except: Vec<String>,
    /// `-var` arguments, `name=value`.
    pub vars: Vec<String>,
}

impl Delivery<'_, '_> {
    pub(super) fn build_plan(&self) -> BuildPlan {
        let provider = self.provider();
        let words = |all: &[SmolStr]| all.iter().map(ToString::to_string).collect();
        let mut plan = BuildPlan {
            template: self.template(),
            make: self.serves_upstream().then(|| self.make_target()),
            runs: self.packer_runs(),
            artifact: provider.artifact.as_ref().map(ToString::to_string),
            foreground: words(&provider.foreground),
            tools: words(&provider.tools),
            paths: self.ids().flat_map(|id| self.paths_of(id)).collect(),
            environment: BTreeSet::new(),
            secret_environment: find_secret_names(self.image),
            roles: self.roles_named(),
            role_folders: self.role_folders(),
        };
        for id in self.ids().filter(|id| self.image.is_set_by_users(*id)) {
            if let Some(value) = self.image.value(id) {
                for_each_piece(value, &mut |piece| {
                    if let Piece::Env(name) = piece {
                        plan.environment.insert(name.to_string());
                    }
                });
            }
        }
        plan
    }

    /// Where the Packer template is.
    pub(super) fn template(&self) -> TemplatePath {
        let provider = self.provider();
        let source = self.image.program.sources.get(provider.span.file);
        match source.origin {
            Origin::Library if provider.roles == Roles::Upstream => {
                TemplatePath::Upstream(provider.template.to_string())
            }
            Origin::Library => TemplatePath::BuiltIn(provider.template.to_string()),
            _ => TemplatePath::Disk(crate::source::normalize(
                &source.folder().join(&provider.template),
            )),
        }
    }

    /// The files and folders of this machine that a variable's value names.
    pub(super) fn paths_of(&self, id: VarId) -> Vec<PathBuf> {
        let Some(value) = self.image.value(id) else {
            return Vec::new();
        };
        let mut paths = Vec::new();
        if self.image.is_set_by_users(id) {
            paths = self.absolute_paths(id, value);
        }
        for_each_piece(value, &mut |piece| {
            if let Piece::Path(path) = piece {
                paths.push(PathBuf::from(path.as_str()));
            }
        });
        paths
    }

    /// The roles that values name.
    pub(super) fn roles_named(&self) -> Vec<Role> {
        self.ids().flat_map(|id| self.roles_of(id)).collect()
    }

    /// The roles that a variable's value names.
    pub(super) fn roles_of(&self, id: VarId) -> Vec<Role> {
        let value = self.image.value(id);
        value.map_or(Vec::new(), |value| self.roles_in(id, value))
    }

    /// What make calls the target.
    pub(super) fn make_target(&self) -> String {
        let section = self.image.program.section(self.image.stack.target);
        let own = section
            .target
            .as_ref()
            .and_then(|target| target.make.clone());
        own.map_or_else(
            || format!("build-{}", section.name),
            |name| name.to_string(),
        )
    }

    /// The roles in a variable's value, if that is what it is for.
    fn roles_in(&self, id: VarId, value: &Value) -> Vec<Role> {
        let program = self.image.program;
        if !is_of(&program.variable(id).ty, |base| matches!(base, Base::Role)) {
            return Vec::new();
        }
        // The standard library's playbooks read only what they receive; `no-effect` reports the rest.
        if !self.serves_upstream() && !program.variable(id).to.has(self.receiver()) {
            return Vec::new();
        }
        let names = self.texts_of(id, value, |base| matches!(base, Base::Role));
        names.into_iter().map(|name| self.role(id, name)).collect()
    }

    /// The files and folders that a variable's value names from the root of the file system. Relative ones are known as
    /// paths already.
    fn absolute_paths(&self, id: VarId, value: &Value) -> Vec<PathBuf> {
        let texts = self.texts_of(id, value, |base| matches!(base, Base::Path | Base::File));
        texts
            .into_iter()
            .map(PathBuf::from)
            .filter(|path| is_absolute(path))
            .collect()
    }

    /// The texts of a variable's value, where it is of such a type or a list of that.
    fn texts_of(&self, id: VarId, value: &Value, is_it: impl Fn(&Base) -> bool) -> Vec<String> {
        if !is_of(&self.image.program.variable(id).ty, is_it) {
            return Vec::new();
        }
        let elements = match value {
            Value::List(elements) => elements,
            one => std::slice::from_ref(one),
        };
        let texts = elements.iter().filter_map(|element| match element {
            Value::String(text) => text
                .known()
                .filter(|t| !t.is_empty())
                .map(|t| t.into_owned()),
            _ => None,
        });
        texts.collect()
    }

    /// A role with the place of its name: in the strongest setting that contains it, otherwise the whole value.
    fn role(&self, id: VarId, name: String) -> Role {
        let sources = &self.image.program.sources;
        let settings = self.image.all_settings(id);
        let mut spans = settings
            .iter()
            .rev()
            .filter(|a| a.setting.change != Change::Remove)
            .map(|a| a.setting.value.span);
        let found = spans.find_map(|span| {
            let (from, to) =
                find_name(sources.slice(span), &name, sources.get(span.file).folder())?;
            Some(Span::new(
                span.file,
                span.start + from as u32,
                span.start + to as u32,
            ))
        });
        Role {
            name,
            span: found.unwrap_or_else(|| self.place(id)),
            is_exact: found.is_some(),
        }
    }

    /// Beside the spec, and at the project's root; for a target of the library at the root of the project that the
    /// command runs in.
    pub(super) fn role_folders(&self) -> Vec<PathBuf> {
        let program = self.image.program;
        let file = program.section(self.image.section).span.file;
        let source = program.sources.get(file);
        let places: Vec<PathBuf> = match source.origin {
            Origin::Library => program.root.iter().cloned().collect(),
            _ => {
                let root = program.views.get(&file).map(|view| view.root.clone());
                std::iter::once(source.folder().to_owned())
                    .chain(root)
                    .collect()
            }
        };
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in places {
            for folder in [folder.join("roles"), folder.join("ansible/roles")] {
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
        }
        folders
    }

    pub(super) fn packer_runs(&self) -> Vec<PackerRun> {
        let target = self
            .image
            .program
            .section(self.image.stack.target)
            .target
            .as_ref();
        let runs = self.image.runs();
        let shared: Vec<String> = match (runs, target) {
            ([], _) | (_, None) => Vec::new(),
            (_, Some(target)) => self.var_arguments(&target.vars),
        };
        let words = |list: &[smol_str::SmolStr]| list.iter().map(ToString::to_string).collect();
        let mut out: Vec<PackerRun> = runs
            .iter()
            .map(|run| PackerRun {
                only: words(&run.selection.only),
                except: words(&run.selection.except),
                vars: shared
                    .iter()
                    .cloned()
                    .chain(self.var_arguments(&run.vars))
                    .collect(),
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
                let ExprKind::Const(value) = &setting.value.kind else {
                    return None;
                };
                let text = render_text(&encode(value, variable.encoding), &mut |_| {}, &|p| {
                    p.to_owned()
                });
                Some(format!("{}={text}", variable.name))
            })
            .collect()
    }
}

/// True for such a type, and for lists and maps of it.
fn is_of(ty: &Type, is_it: impl Fn(&Base) -> bool) -> bool {
    is_it(&ty.base) || ty.element().is_some_and(|element| is_it(&element.base))
}

pub(super) fn for_each_piece(value: &Value, visit: &mut impl FnMut(&Piece)) {
    match value {
        // A text that is known completely has no piece that anybody asks for.
        Value::String(Text::Plain(_)) => {}
        Value::String(text) => text.pieces().iter().for_each(visit),
        Value::List(elements) => elements.iter().for_each(|e| for_each_piece(e, visit)),
        Value::Map(map) => map.values().for_each(|e| for_each_piece(e, visit)),
        Value::Bool(_) | Value::Int(_) => {}
    }
}
