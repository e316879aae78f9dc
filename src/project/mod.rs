//! Files to a program: includes, names, inheritance.
//!
//! [`load`] reads the specs of a command, all that they include, and the library, and gives a
//! [`Program`] in which every name is resolved and every body has been checked once.

pub(crate) mod braces;
mod config;
mod expr;
pub mod hir;
mod inherit;
mod json;
mod lower;
mod names;

pub use config::{Config, find_root};
pub(crate) use expr::locate_text;
pub use inherit::{Stack, StackLayer, linearize};
pub use names::Names;

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Loader, Origin, SourceMap, Span, normalize};
use crate::syntax::{self, ast};
use hir::*;
use include_dir::{Dir, include_dir};
use lower::{Content, Declared, Lowering, Unit};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

static STDLIB: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/stdlib");

/// How long a chain of includes may be.
const MAX_INCLUDES: usize = 200;

/// What a command asks for.
#[derive(Debug, Default)]
pub struct Request {
    /// Spec files, as absolute paths.
    pub specs: Vec<PathBuf>,
    /// `--set` arguments, `name=value`.
    pub set: Vec<String>,
    /// The files of `PACKER_VAR_FILES`, in order, as absolute paths.
    pub var_files: Vec<PathBuf>,
    /// Folders outside the project that may be read.
    pub include_roots: Vec<PathBuf>,
}

/// A file whose content a spec uses through `file("…")`.
#[derive(Debug)]
pub struct DataFile {
    /// The spec that uses it.
    pub reader: FileId,
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
    pub variables: Vec<Variable>,
    pub sections: Vec<Section>,
    pub providers: Vec<Provider>,
    pub rules: Vec<Rule>,
    pub library: Arc<Names>,
    /// Deprecated names, with what they stand for.
    pub aliases: Vec<(VarId, VarId)>,
    /// The views of the project's files.
    pub views: FxHashMap<FileId, FileView>,
    /// For each of the request's specs, its file.
    pub specs: Vec<Option<FileId>>,
    /// The layers of `--set` and `PACKER_VAR_FILES`, weakest first.
    pub overlays: Vec<SectionId>,
    pub data: Vec<DataFile>,
    pub config: Config,
    pub diagnostics: Vec<Diagnostic>,
}

impl Program {
    pub fn variable(&self, id: VarId) -> &Variable {
        &self.variables[id.0 as usize]
    }

    pub fn section(&self, id: SectionId) -> &Section {
        &self.sections[id.0 as usize]
    }

    pub fn provider(&self, id: ProviderId) -> &Provider {
        &self.providers[id.0 as usize]
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

    /// The images that a file defines, in its order.
    pub fn images_of(&self, file: FileId) -> Vec<SectionId> {
        (0..self.sections.len() as u32)
            .map(SectionId)
            .filter(|id| {
                let section = self.section(*id);
                section.kind == SectionKind::Image && section.span.file == file
            })
            .collect()
    }
}

/// Reads and checks all that a command asks for. Never fails: what is wrong is in the program's
/// diagnostics.
pub fn load(loader: &dyn Loader, request: &Request) -> Program {
    let mut reader = Reader {
        loader,
        request,
        sources: SourceMap::default(),
        units: Vec::new(),
        by_path: FxHashMap::default(),
        diagnostics: Vec::new(),
        config: Config::default(),
    };
    let library = reader.read_library();
    let specs: Vec<Option<usize>> = request
        .specs
        .iter()
        .map(|path| reader.read_spec(path))
        .collect();
    let overlays = reader.read_overlays();
    let Reader {
        mut sources,
        mut units,
        mut diagnostics,
        config,
        ..
    } = reader;

    let mut lowering = Lowering {
        loader,
        sources: &mut sources,
        diagnostics: Vec::new(),
        variables: Vec::new(),
        sections: Vec::new(),
        providers: Vec::new(),
        rules: Vec::new(),
        extras: FxHashMap::default(),
        library: Arc::default(),
        own: Arc::default(),
        roots: Vec::new(),
        data: Vec::new(),
    };
    let closures: Vec<Vec<usize>> = (0..units.len()).map(|i| closure(&units, i)).collect();

    // Names: the library's as a whole, then each file's with what it includes.
    for unit in &mut units[..library] {
        lowering.declare(unit);
        lowering.declare_types(unit);
        let mut names = Arc::try_unwrap(std::mem::take(&mut lowering.library)).unwrap_or_default();
        lowering.define_all(&mut names, None, &unit.declared);
        lowering.library = Arc::new(names);
    }
    let library_names = lowering.library.clone();
    let mut names: Vec<Arc<Names>> = vec![Arc::default(); units.len()];
    for i in library..units.len() {
        lowering.declare(&mut units[i]);
        lowering.own = Arc::new(lowering.union(&units, &closures[i], &library_names));
        lowering.declare_types(&mut units[i]);
        lowering.own = Arc::default();
    }
    for i in library..units.len() {
        let mut own = Names::default();
        for at in &closures[i] {
            lowering.define_all(&mut own, Some(&library_names), &units[*at].declared);
        }
        names[i] = Arc::new(own);
    }

    // Bodies, in three rounds: each reads only what the rounds before it settled.
    let enter = |lowering: &mut Lowering<'_>, i: usize| {
        lowering.own = names[i].clone();
        lowering.roots.clone_from(&units[i].roots);
    };
    for (i, unit) in units.iter().enumerate() {
        enter(&mut lowering, i);
        lowering.declare_packer_entries(unit);
        lowering.lower_variable_types(unit);
    }
    let everything = lowering.union(
        &units,
        &(library..units.len()).collect::<Vec<_>>(),
        &library_names,
    );
    let everything = Arc::new(everything);
    lowering.own = everything.clone();
    for (file, _) in &overlays {
        if lowering.sources.get(*file).origin == Origin::Project {
            json::declare_extras(&mut lowering, *file);
        }
    }
    lowering.settle_aliases();
    for (i, unit) in units.iter().enumerate() {
        enter(&mut lowering, i);
        lowering.lower_variable_values(unit);
        lowering.lower_bodies(unit);
    }
    lowering.own = everything;
    let overlays = overlays
        .into_iter()
        .map(|(file, name)| lowering.lower_overlay(file, &name))
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
    let views = (library..units.len())
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
    let aliases = (0..variables.len())
        .filter_map(|i| Some((VarId(i as u32), variables[i].alias_of?)))
        .collect();
    Program {
        sources,
        variables,
        sections,
        providers,
        rules,
        library: library_names,
        aliases,
        views,
        specs,
        overlays,
        data,
        config,
        diagnostics,
    }
}

impl Lowering<'_> {
    /// The names of several files, without complaint about doubles.
    fn union(&self, units: &[Unit], which: &[usize], library: &Names) -> Names {
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
        for item in &unit.ast().items {
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
}

/// A file and all that it includes, each once, the file itself last.
fn closure(units: &[Unit], start: usize) -> Vec<usize> {
    let mut out = Vec::new();
    let mut seen = vec![false; units.len()];
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

/// Whether a path lies in one of the folders, links followed.
fn is_inside(loader: &dyn Loader, path: &Path, roots: &[PathBuf]) -> bool {
    let path = loader.canonical(path);
    roots
        .iter()
        .any(|root| path.starts_with(loader.canonical(root)))
}

fn outside_root(span: Span, path: &Path, roots: &[PathBuf]) -> Diagnostic {
    let root = roots
        .first()
        .map(|r| r.display().to_string())
        .unwrap_or_default();
    Diagnostic::new(Code::OutsideRoot, span, format!("{} is outside the project", path.display()))
        .label(format!("the project's root is {root}"))
        .help("allow its folder with `--include-root FOLDER`, or put an imgspec.toml into the folder above both")
}

/// Reads files: the library, specs with what they include, and the layers of the command line.
struct Reader<'l> {
    loader: &'l dyn Loader,
    request: &'l Request,
    sources: SourceMap,
    units: Vec<Unit>,
    by_path: FxHashMap<PathBuf, usize>,
    diagnostics: Vec<Diagnostic>,
    config: Config,
}

impl Reader<'_> {
    /// The built-in library; returns how many units it is.
    fn read_library(&mut self) -> usize {
        let mut files: Vec<_> = Vec::new();
        collect(&STDLIB, &mut files);
        // Types first: they are resolved in order.
        files.sort_by_key(|(path, _)| (!path.ends_with("types.imgspec"), path.clone()));
        for (path, text) in files {
            let file =
                self.sources
                    .add(Path::new("stdlib").join(path), Origin::Library, text.into());
            let parse = syntax::parse(file, text);
            self.diagnostics.extend(parse.diagnostics);
            self.push_unit(file, Content::Library(parse.file), Vec::new());
        }
        self.units.len()
    }

    fn push_unit(&mut self, file: FileId, content: Content, roots: Vec<PathBuf>) -> usize {
        self.units.push(Unit {
            file,
            content,
            includes: Vec::new(),
            json: Vec::new(),
            declared: Declared::default(),
            roots,
        });
        self.units.len() - 1
    }

    fn read_spec(&mut self, path: &Path) -> Option<usize> {
        let path = normalize(path);
        let root = find_root(&path, |p| self.loader.exists(p));
        self.read_config(&root);
        let mut roots = vec![root];
        roots.extend(self.request.include_roots.iter().cloned());
        self.read_unit(&path, &roots, None, &mut Vec::new())
    }

    fn read_config(&mut self, root: &Path) {
        let path = root.join("imgspec.toml");
        if self.by_path.contains_key(&path) || !self.loader.is_file(&path) {
            return;
        }
        self.by_path.insert(path.clone(), usize::MAX);
        if let Ok(text) = self.loader.read(&path) {
            let file = self
                .sources
                .add(path, Origin::Project, text.as_str().into());
            let config = Config::parse(file, &text, &mut self.diagnostics);
            self.config.allow.extend(config.allow);
            self.config.deny.extend(config.deny);
        }
    }

    fn read_unit(
        &mut self,
        path: &Path,
        roots: &[PathBuf],
        included: Option<Span>,
        chain: &mut Vec<(PathBuf, Option<Span>)>,
    ) -> Option<usize> {
        let key = self.loader.canonical(path);
        if let Some(at) = chain.iter().position(|(p, _)| *p == key) {
            self.report_include_cycle(included?, &chain[at..]);
            return None;
        }
        if let Some(unit) = self.by_path.get(&key).filter(|u| **u != usize::MAX) {
            return Some(*unit);
        }
        if chain.len() >= MAX_INCLUDES {
            let span = included?;
            self.diagnostics.push(Diagnostic::new(
                Code::IncludeCycle,
                span,
                format!("more than {MAX_INCLUDES} files include each other in a row"),
            ));
            return None;
        }
        let text = self.read_text(path, included)?;
        let file = self
            .sources
            .add(path.to_owned(), Origin::Project, text.as_str().into());
        let parse = syntax::parse(file, &text);
        self.diagnostics.extend(parse.diagnostics);
        let includes: Vec<(ast::Ident, Option<ast::Ident>)> = parse
            .file
            .items
            .iter()
            .filter_map(|item| match item {
                ast::Item::Include(include) => Some((include.path.clone(), include.name.clone())),
                _ => None,
            })
            .collect();
        // The unit gets its place after those that it includes.
        chain.push((key.clone(), included));
        let folder = path.parent().unwrap_or(Path::new("/"));
        let (mut units, mut json) = (Vec::new(), Vec::new());
        for (target, name) in includes {
            let path = normalize(&folder.join(target.text.as_str()));
            if target.text.is_empty() {
                continue;
            }
            if !is_inside(self.loader, &path, roots) {
                self.diagnostics
                    .push(outside_root(target.span, &path, roots));
                continue;
            }
            match (name, path.extension().is_some_and(|e| e == "json")) {
                (Some(name), true) => json.extend(
                    self.read_json(&path, Some(target.span))
                        .map(|file| (name, file)),
                ),
                (None, true) => self.diagnostics.push(
                    Diagnostic::new(
                        Code::Syntax,
                        target.span,
                        "a JSON var file becomes a layer, and needs a name",
                    )
                    .help(format!("write `include \"{}\" as NAME`", target.text)),
                ),
                (Some(name), false) => self.diagnostics.push(
                    Diagnostic::new(Code::Syntax, name.span, "`as` is for JSON var files")
                        .help("an included spec keeps its own names"),
                ),
                (None, false) => {
                    units.extend(self.read_unit(&path, roots, Some(target.span), chain))
                }
            }
        }
        chain.pop();
        let unit = self.push_unit(file, Content::Spec(parse.file), roots.to_vec());
        self.units[unit].includes = units;
        self.units[unit].json = json;
        self.by_path.insert(key, unit);
        Some(unit)
    }

    fn read_text(&mut self, path: &Path, included: Option<Span>) -> Option<String> {
        match self.loader.read(path) {
            Ok(text) if text.len() < u32::MAX as usize => Some(text),
            Ok(_) => {
                self.report_unreadable(path, included, "the file is larger than 4 GiB");
                None
            }
            Err(error) => {
                self.report_unreadable(path, included, &error.to_string());
                None
            }
        }
    }

    fn report_unreadable(&mut self, path: &Path, included: Option<Span>, why: &str) {
        let span = included.unwrap_or_else(|| {
            let file = self
                .sources
                .add(path.to_owned(), Origin::Argument, "".into());
            Span::new(file, 0, 0)
        });
        self.diagnostics.push(Diagnostic::new(
            Code::CannotRead,
            span,
            format!("cannot read {}: {why}", path.display()),
        ));
    }

    fn report_include_cycle(&mut self, span: Span, chain: &[(PathBuf, Option<Span>)]) {
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let mut names: Vec<String> = chain.iter().map(|(path, _)| name(path)).collect();
        names.extend(names.first().cloned());
        let mut found = Diagnostic::new(
            Code::IncludeCycle,
            span,
            format!(
                "files include each other in a circle: {}",
                names.join(" → ")
            ),
        )
        .label("this include closes the circle")
        .help("move what both need into a third file");
        for (path, included) in chain.iter().skip(1) {
            if let Some(included) = included {
                found = found.related(*included, format!("{} is included here", name(path)));
            }
        }
        self.diagnostics.push(found);
    }

    fn read_json(&mut self, path: &Path, included: Option<Span>) -> Option<FileId> {
        let text = self.read_text(path, included)?;
        Some(
            self.sources
                .add(path.to_owned(), Origin::Project, text.as_str().into()),
        )
    }

    /// The layers above all images, weakest first: `--set`, then `PACKER_VAR_FILES`.
    fn read_overlays(&mut self) -> Vec<(FileId, String)> {
        let mut overlays = Vec::new();
        for set in &self.request.set {
            let file = self.sources.add(
                PathBuf::from("--set"),
                Origin::Argument,
                set.as_str().into(),
            );
            overlays.push((file, "--set".to_owned()));
        }
        for path in &self.request.var_files {
            if let Some(file) = self.read_json(path, None) {
                overlays.push((
                    file,
                    path.file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                ));
            }
        }
        overlays
    }
}

fn collect(dir: &'static Dir<'static>, out: &mut Vec<(PathBuf, &'static str)>) {
    for file in dir
        .files()
        .filter(|f| f.path().extension().is_some_and(|e| e == "imgspec"))
    {
        out.extend(
            file.contents_utf8()
                .map(|text| (file.path().to_owned(), text)),
        );
    }
    for dir in dir.dirs() {
        collect(dir, out);
    }
}
