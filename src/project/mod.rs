//! Files to a program: includes, names, inheritance.
//!
//! [`load`] reads the specs of a command, all that they include, and the library, and gives a
//! [`Program`] in which every name is resolved and every body has been checked once.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod arguments;
pub mod attributes;
mod bodies;
mod calls;
mod config;
mod expr;
mod guesses;
pub mod hir;
mod inherit;
pub(crate) mod json;
pub(crate) mod json_syntax;
mod library;
mod lower;
mod names;
mod never;
mod notices;
mod origins;
mod reader;
mod repairs;
mod secrets;
mod table;
mod targets;
pub(crate) mod template;
mod texts;
mod unfilled;
mod variables;

pub use config::{CONFIG_FILE, Config, Configs, find_root, read_config_text};

pub use library::Library;

pub use inherit::{Stack, StackLayer, linearize};
pub use names::Names;
pub(crate) use notices::secret_literal;
pub use table::Table;

pub use origins::{Origins, in_checkout, place_in_checkout};
pub(crate) use texts::locate_text;

use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Loader, Origin, SourceMap, Span};
use crate::syntax::ast;
use hir::*;
use lower::{Declared, Lowering, Unit, UnitId};
pub(crate) use reader::is_inside;
use reader::{Read, read};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a command asks for.
#[derive(Debug, Default)]
pub struct Request {
    /// Spec files, as absolute paths.
    pub specs: Vec<PathBuf>,
    /// `--set` arguments, `name=value`.
    pub set: Vec<String>,
    /// The files of `PACKER_VAR_FILES`, in order, as absolute paths.
    pub var_files: Vec<PathBuf>,
    /// The `-var` and the `-var-file` of `PACKER_FLAGS`, which make hands to Packer.
    pub flags: Vec<String>,
    pub flag_files: Vec<PathBuf>,
    /// Folders outside the project that may be read.
    pub include_roots: Vec<PathBuf>,
    /// What stands in the place of the built-in library.
    pub library: Option<Arc<Library>>,
    /// The folder in which the command runs; paths of `--set` start there.
    pub here: Option<PathBuf>,
    /// The folder in which make runs Packer; paths in JSON var files start there.
    pub packer_folder: Option<PathBuf>,
}

/// A file whose content a spec uses: through `file("…")`, or as the extra vars of an argument `@path`.
#[derive(Debug)]
pub struct DataFile {
    /// The spec that uses it, and where.
    pub reader: FileId,
    pub at: Span,
    pub path: PathBuf,
    pub text: String,
}

/// What one spec file sees.
#[derive(Debug)]
pub struct FileView {
    /// Its own names and those of the files that it includes.
    pub names: Arc<Names>,
    /// The file and all that it includes, however deep, JSON layers among them.
    pub files: Vec<FileId>,
    /// Its project's root.
    pub root: PathBuf,
}

/// All items of a command, with names resolved.
#[derive(Debug)]
pub struct Program {
    pub sources: SourceMap,
    pub variables: Table<VarId, Arc<Variable>>,
    pub sections: Table<SectionId, Arc<Section>>,
    pub providers: Table<ProviderId, Arc<Provider>>,
    pub rules: Table<RuleId, Arc<Rule>>,
    pub library: Arc<Names>,
    /// The library is not the built-in one, but what a checkout was adopted as.
    pub is_adopted: bool,
    /// The folder that the specs of an adopted library stand in, or a name for it.
    pub adopted_root: PathBuf,
    /// Where its items come from, where it was made of a checkout in memory.
    pub origins: Origins,
    /// The checkout that is the library, where it is at hand: the folder of its Makefile.
    pub checkout: Option<PathBuf>,
    /// The root of the project that a command runs in, for images that no file of it defines.
    pub root: Option<PathBuf>,
    /// Deprecated names, with what they stand for.
    pub aliases: Vec<(VarId, VarId)>,
    /// The views of the project's files.
    pub views: FxHashMap<FileId, FileView>,
    /// For each of the request's specs, its file.
    pub specs: Vec<Option<FileId>>,
    /// The layers of `--set` and `PACKER_VAR_FILES`, weakest first.
    pub overlays: Vec<SectionId>,
    /// The layers of `PACKER_FLAGS`: each `-var`, which beats every file, and each `-var-file`, which stands below the
    /// target's own.
    pub flags: Vec<SectionId>,
    pub flag_files: Vec<SectionId>,
    pub data: Vec<DataFile>,
    /// What the projects that the specs lie in say in their `imgspec.toml`.
    pub configs: Configs,
    pub diagnostics: Vec<Diagnostic>,
}

impl Program {
    pub fn variable(&self, id: VarId) -> &Variable {
        &self.variables[id]
    }

    pub fn section(&self, id: SectionId) -> &Section {
        &self.sections[id]
    }

    pub fn provider(&self, id: ProviderId) -> &Provider {
        &self.providers[id]
    }

    /// The rules that hold for what a file defines, the library's first.
    pub fn rules_for(&self, file: FileId) -> Vec<RuleId> {
        let own = self.views.get(&file).map(|v| &v.names.rules);
        let mut ids: Vec<RuleId> = self
            .library
            .rules
            .values()
            .chain(own.into_iter().flat_map(|r| r.values()))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// A variable that a file sees.
    pub fn find_variable(&self, file: Option<FileId>, name: &str) -> Option<VarId> {
        let own = file
            .and_then(|f| self.views.get(&f))
            .and_then(|v| v.names.variables.get(name));
        own.or_else(|| self.library.variables.get(name))
            .map(|(id, _)| *id)
    }

    /// An image or layer of the library.
    pub fn find_library_section(&self, name: &str) -> Option<SectionId> {
        self.library.sections.get(name).map(|(id, _)| *id)
    }

    /// Why nothing can be built with an image's own target, where it says so.
    pub fn refusal(&self, id: SectionId) -> Option<&str> {
        self.section(id).target.as_ref()?.refused.as_deref()
    }

    /// The library's images, in its order, but for those that nothing can be built with.
    pub fn library_images(&self) -> Vec<SectionId> {
        let mut ids: Vec<SectionId> = self.library.sections.values().map(|(id, _)| *id).collect();
        ids.retain(|id| {
            self.section(*id).kind == SectionKind::Image && self.refusal(*id).is_none()
        });
        ids.sort_unstable();
        ids
    }

    /// The images that a file defines, in its order; of the library's those that can be built.
    pub fn images_of(&self, file: FileId) -> Vec<SectionId> {
        self.sections
            .ids()
            .filter(|id| {
                let section = self.section(*id);
                section.kind == SectionKind::Image
                    && section.span.file == file
                    && (self.sources.is_users(file) || self.refusal(*id).is_none())
            })
            .collect()
    }
}

/// Reads and checks all that a command asks for. Never fails: what is wrong is in the program's
/// diagnostics.
pub fn load(loader: &dyn Loader, request: &Request) -> Program {
    let library = request.library.clone().unwrap_or_else(Library::built_in);
    let Read {
        mut sources,
        mut units,
        specs,
        overlays,
        flags,
        flag_files,
        mut diagnostics,
        configs,
    } = read(loader, request, library.sources.clone());
    diagnostics.extend(library.diagnostics.iter().cloned());

    let mut lowering = Lowering::new(loader, library.adopted.as_ref(), &mut sources, &library);
    lowering.packer_folder.clone_from(&request.packer_folder);
    let closures: Table<UnitId, Vec<UnitId>> =
        Table::new(units.ids().map(|unit| closure(&units, unit)).collect());

    // Names: each file's with what it includes.
    let library_names = library.names.clone();
    let mut names: Table<UnitId, Arc<Names>> = Table::filled(&units, Arc::default());
    for i in units.ids() {
        lowering.declare(&mut units[i]);
        lowering.own = Arc::new(lowering.union(&units, &closures[i], &library_names));
        lowering.is_incomplete = units[i].is_incomplete;
        lowering.declare_types(&mut units[i]);
        lowering.own = Arc::default();
    }
    for i in units.ids() {
        let mut own = Names::default();
        for at in &closures[i] {
            lowering.define_all(&mut own, Some(&library_names), &units[*at].declared);
        }
        names[i] = Arc::new(own);
    }

    // Bodies, in three rounds: each reads only what the rounds before it settled.
    let enter = |lowering: &mut Lowering<'_>, i: UnitId| {
        lowering.own = names[i].clone();
        lowering.roots.clone_from(&units[i].roots);
        lowering.is_incomplete = units[i].is_incomplete;
    };
    for (i, unit) in units.pairs() {
        enter(&mut lowering, i);
        lowering.declare_packer_entries(unit);
        lowering.lower_variable_types(unit);
    }
    let everything = lowering.union(&units, &units.ids().collect::<Vec<_>>(), &library_names);
    let everything = Arc::new(everything);
    lowering.own = everything.clone();
    for (file, _) in overlays.iter().chain(&flag_files) {
        if lowering.sources.get(*file).origin == Origin::Project {
            json::declare_extras(&mut lowering, *file);
        }
    }
    lowering.settle_aliases(library.variables.len());
    for (i, unit) in units.pairs() {
        enter(&mut lowering, i);
        lowering.lower_variable_values(unit);
        lowering.lower_bodies(unit);
    }
    lowering.own = everything;
    lowering.is_incomplete = units.iter().any(|unit| unit.is_incomplete);
    let overlays = overlays
        .into_iter()
        .map(|(file, name)| lowering.lower_overlay(file, &name))
        .collect();
    let flag_files = flag_files
        .into_iter()
        .map(|(file, name)| lowering.lower_overlay(file, &name))
        .collect();
    let flags = flags
        .into_iter()
        .map(|file| lowering.lower_flag(file))
        .collect();
    inherit::check_cycles(&mut lowering);

    let Lowering {
        diagnostics: found,
        variables,
        sections,
        providers,
        rules,
        data,
        ..
    } = lowering;
    diagnostics.extend(found);
    for config in &configs.0 {
        let is_rule = |name: &str| names_rule(loader, &config.root, name);
        config.check_names(
            rules.as_slice(),
            is_rule,
            |path| loader.exists(path),
            &mut diagnostics,
        );
    }
    // What is no word of the grammar has been quoted before anybody knew that it is a secret.
    secrets::hide(&mut sources, variables.as_slice(), &diagnostics);
    secrets::redact(&sources, &mut diagnostics);
    let views = units
        .ids()
        .map(|i| {
            let mut files: Vec<FileId> = Vec::new();
            for at in &closures[i] {
                files.push(units[*at].file);
                files.extend(units[*at].json.iter().map(|(_, file)| *file));
            }
            let root = units[i].roots.first().cloned().unwrap_or_default();
            (
                units[i].file,
                FileView {
                    names: names[i].clone(),
                    files,
                    root,
                },
            )
        })
        .collect();
    let specs = specs
        .into_iter()
        .map(|s| s.map(|i| units[i].file))
        .collect();
    let aliases = variables
        .pairs()
        .filter_map(|(id, variable)| Some((id, variable.alias_of?)))
        .collect();
    let of_checkout = library.adopted.as_ref();
    let is_origin =
        |path: &PathBuf| of_checkout.is_some_and(|a| a.origins.iter().any(|(p, _)| p == path));
    let origins = if of_checkout.is_some_and(|a| !a.origins.is_empty()) {
        let library_files = sources
            .iter()
            .filter(|(_, source)| source.origin == Origin::Library);
        library_files
            .filter(|(_, source)| is_origin(&source.path))
            .map(|(file, _)| file)
            .collect()
    } else {
        Vec::new()
    };
    let mut program = Program {
        adopted_root: of_checkout
            .map(|adopted| adopted.root.clone())
            .unwrap_or_default(),
        origins: Origins::new(origins),
        sources,
        variables,
        sections,
        providers,
        rules,
        library: library_names,
        is_adopted: library.adopted.is_some(),
        checkout: of_checkout.and_then(|adopted| adopted.checkout.clone()),
        root: None,
        aliases,
        views,
        specs,
        overlays,
        flags,
        flag_files,
        data,
        configs,
        diagnostics,
    };
    let never = never::find_never_true(&program);
    program.diagnostics.extend(never);
    program
}

impl Lowering<'_> {
    /// The names of several files, without complaint about doubles.
    fn union(&self, units: &Table<UnitId, Unit>, which: &[UnitId], library: &Names) -> Names {
        let mut names = Names::default();
        let mut quiet = Vec::new();
        for at in which {
            let Declared {
                variables,
                sections,
                providers,
                rules,
                types,
            } = &units[*at].declared;
            for (name, id, span) in variables {
                names.define(
                    Some(library),
                    names::VARIABLES,
                    name,
                    *id,
                    *span,
                    &mut quiet,
                );
            }
            for (name, id, span) in sections {
                names.define(Some(library), names::SECTIONS, name, *id, *span, &mut quiet);
            }
            for (name, id, span) in providers {
                names.define(
                    Some(library),
                    names::PROVIDERS,
                    name,
                    *id,
                    *span,
                    &mut quiet,
                );
            }
            for (name, id, span) in rules {
                names.define(Some(library), names::RULES, name, *id, *span, &mut quiet);
            }
            for (name, ty, span) in types {
                names.define(
                    Some(library),
                    names::TYPES,
                    name,
                    ty.clone(),
                    *span,
                    &mut quiet,
                );
            }
        }
        names
    }

    /// Entries of `packer` blocks and of JSON layers are known before expressions may name them.
    fn declare_packer_entries(&mut self, unit: &Unit) {
        fn visit(lowering: &mut Lowering<'_>, stmts: &[ast::Stmt], inside: bool) {
            for stmt in stmts {
                match stmt {
                    ast::Stmt::Set(set) if inside => {
                        let view = lowering.view();
                        let is_declared = view.find(names::VARIABLES, &set.name.text).is_some();
                        if !is_declared {
                            lowering.extra(Owner::Packer, &set.name);
                        }
                    }
                    ast::Stmt::When { body, .. } => visit(lowering, body, inside),
                    ast::Stmt::Block { name, body, .. } => {
                        visit(lowering, body, name.text == "packer")
                    }
                    _ => {}
                }
            }
        }
        for item in &unit.ast.items {
            if let ast::Item::Section(section) = item {
                visit(self, &section.body, false);
            }
        }
        for (_, file) in &unit.json {
            json::declare_extras(self, *file);
        }
    }

    fn lower_overlay(&mut self, file: FileId, name: &str) -> SectionId {
        let is_argument = self.sources.get(file).origin == Origin::Argument;
        let kind = if is_argument {
            SectionKind::Argument
        } else {
            SectionKind::Json
        };
        let name = ast::Ident {
            text: SmolStr::new(name),
            span: Span::new(file, 0, 0),
        };
        let id = self.new_section(kind, &name, None);
        match is_argument {
            true => json::lower_argument(self, file, id),
            false => json::lower_layer(self, file, id),
        }
        id
    }

    /// A `-var` of `PACKER_FLAGS`.
    fn lower_flag(&mut self, file: FileId) -> SectionId {
        let name = ast::Ident {
            text: "PACKER_FLAGS".into(),
            span: Span::new(file, 0, 0),
        };
        let id = self.new_section(SectionKind::Argument, &name, None);
        json::lower_flag(self, file, id);
        id
    }
}

/// Whether some spec of a project, read by this command or not, declares a rule of that name.
fn names_rule(loader: &dyn Loader, folder: &Path, name: &str) -> bool {
    /// Bounds the search, which only a name that nothing else knows begins.
    const MAX_DEPTH: usize = 8;
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in loader
            .entries(&folder)
            .into_iter()
            .filter(|entry| !entry.starts_with('.'))
        {
            let path = folder.join(&entry);
            if entry.ends_with(".imgspec") {
                let text = loader.read(&path).unwrap_or_default();
                let mut names = text
                    .lines()
                    .filter_map(|line| line.trim_start().strip_prefix("rule "));
                if names.any(|rest| rest.trim_start().split([' ', '{']).next() == Some(name)) {
                    return true;
                }
            } else if depth < MAX_DEPTH
                && !loader.is_file(&path)
                && !matches!(entry.as_str(), "target" | "node_modules")
            {
                open.push((path, depth + 1));
            }
        }
    }
    false
}

/// A file and all that it includes, each once, the file itself last.
fn closure(units: &Table<UnitId, Unit>, start: UnitId) -> Vec<UnitId> {
    let mut out = Vec::new();
    let mut seen = Table::filled(units, false);
    let mut stack = vec![(start, 0)];
    seen[start] = true;
    while let Some((at, next)) = stack.pop() {
        match units[at].includes.get(next) {
            Some(include) => {
                stack.push((at, next + 1));
                if !std::mem::replace(&mut seen[*include], true) {
                    stack.push((*include, 0));
                }
            }
            None => out.push(at),
        }
    }
    out
}
