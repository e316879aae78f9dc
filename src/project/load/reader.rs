//! Reading: the library, specs with what they include, and the layers of the command line.

use crate::diagnostic::{Code, Diagnostic, Fix, Reported, nearest};
use crate::project::Request;
use crate::project::check::var_file::VarFile;
use crate::project::check::{Overlay, Unit, UnitId};
use crate::project::config::{CONFIG_FILE, Config, Configs, find_root, read_config_text};
use crate::project::hir::Table;
use crate::project::load::matrix;
use crate::project::lock::{Address, Locked};
use crate::project::roots::{Unread, is_inside, outside_root, resolve_inside};
use crate::source::{
    FileId, Loader, MAX_FILE, MAX_INCLUDES, MAX_NODES, MAX_SYNTAX_ERRORS, Origin, SourceMap, Span,
    changes_direction, normalize, part,
};
use crate::syntax::{self, Allow, ast};
use rustc_hash::{FxHashMap, FxHashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that a command reads besides the library, parsed.
pub(crate) struct Read {
    /// The library's files among them.
    pub sources: SourceMap,
    /// A file follows those that it includes.
    pub units: Table<UnitId, Unit>,
    /// For each spec of the request its unit, if it could be read.
    pub specs: Vec<Option<UnitId>>,
    /// The policies that could be read.
    pub policies: Vec<UnitId>,
    /// The layers above all images, weakest first.
    pub overlays: Vec<Overlay>,
    /// The arguments in `PACKER_FLAGS`: each `-var`, and each `-var-file`.
    pub flags: Vec<Overlay>,
    pub flag_files: Vec<Overlay>,
    /// The comments that allow diagnostics.
    pub allows: Vec<Allow>,
    pub diagnostics: Vec<Diagnostic>,
    pub configs: Configs,
}

/// Reads all that a request names. Keeps the trees of its specs if `keeps_trees`, except of those with a matrix.
pub(crate) fn read(
    loader: &dyn Loader,
    request: &Request,
    sources: SourceMap,
    keeps_trees: bool,
) -> Read {
    let mut reader = Reader {
        loader,
        request,
        keeps_trees,
        sources,
        units: Table::default(),
        by_path: FxHashMap::default(),
        json_by_path: FxHashMap::default(),
        allows: Vec::new(),
        diagnostics: Vec::new(),
        nodes: 0,
        matrices: matrix::Counts::default(),
        configs: Configs::default(),
        further_roots: FxHashMap::default(),
        roots: FxHashMap::default(),
        vendor_roots: FxHashSet::default(),
        locks: FxHashMap::default(),
        is_policy: false,
    };
    let specs = request
        .specs
        .iter()
        .map(|path| reader.read_spec(path))
        .collect();
    // Without a spec, the var file's own project decides what is allowed.
    if let (true, Some(path)) = (request.specs.is_empty(), request.var_files.last()) {
        let root = find_root(path, |p| loader.exists(p));
        reader.read_config(std::slice::from_ref(&root));
    }
    let policies = reader.read_policies();
    let overlays = reader.read_overlays();
    let flags = request
        .flags
        .iter()
        .map(|flag| Overlay::Flag(reader.add_argument("PACKER_FLAGS", flag)))
        .collect();
    let flag_files = reader.read_var_files(&request.flag_files);
    let Reader {
        sources,
        units,
        allows,
        diagnostics,
        configs,
        ..
    } = reader;
    Read {
        sources,
        units,
        specs,
        policies,
        overlays,
        flags,
        flag_files,
        allows,
        diagnostics,
        configs,
    }
}

pub(super) struct Reader<'l> {
    pub(super) loader: &'l dyn Loader,
    request: &'l Request,
    keeps_trees: bool,
    pub(super) sources: SourceMap,
    units: Table<UnitId, Unit>,
    by_path: FxHashMap<PathBuf, UnitId>,
    json_by_path: FxHashMap<PathBuf, Arc<VarFile>>,
    allows: Vec<Allow>,
    diagnostics: Vec<Diagnostic>,
    /// The nodes of all specs.
    nodes: usize,
    /// What all matrices have become.
    matrices: matrix::Counts,
    configs: Configs,
    /// For each project's root the further folders that its `imgspec.toml` names.
    further_roots: FxHashMap<PathBuf, Vec<PathBuf>>,
    /// For each folder with specs the root of their project.
    roots: FxHashMap<PathBuf, PathBuf>,
    /// The roots of the projects whose files include others by their address.
    pub(super) vendor_roots: FxHashSet<PathBuf>,
    /// For each of them the content of the lock file.
    pub(super) locks: FxHashMap<PathBuf, Result<Locked, Reported>>,
    /// The file that is being read is a policy, or included by one: no `imgspec.toml` belongs to it.
    is_policy: bool,
}

impl Reader<'_> {
    pub(super) fn report(&mut self, error: Diagnostic) -> Reported {
        Reported::push(&mut self.diagnostics, error)
    }

    /// Returns the root of a spec's project. A folder has the same one for all its specs.
    fn root_of(&mut self, spec: &Path) -> PathBuf {
        let folder = spec.parent().unwrap_or(spec);
        if let Some(known) = self.roots.get(folder) {
            return known.clone();
        }
        let root = find_root(spec, |p| self.loader.exists(p));
        self.roots.insert(folder.to_owned(), root.clone());
        root
    }

    fn read_spec(&mut self, path: &Path) -> Option<UnitId> {
        let path = normalize(path);
        let mut roots = vec![self.root_of(&path)];
        roots.extend(self.request.include_roots.iter().cloned());
        let further = self.read_config(&roots);
        roots.extend(further);
        match resolve_inside(self.loader, &path, &roots) {
            Ok(real) => self
                .read_unit(&path, real, &roots, None, &mut Vec::new())
                .ok(),
            Err(target) => {
                // Its name lies in the project, and it is a link that leads out of it.
                let file = self.sources.add(path.clone(), Origin::Argument, "".into());
                self.report(outside_root(Span::new(file, 0, 0), &target, &roots));
                None
            }
        }
    }

    /// Reads the policies of the command line, and those that the projects' `imgspec.toml` name.
    fn read_policies(&mut self) -> Vec<UnitId> {
        let mut paths = self.request.policies.clone();
        for config in &self.configs.0 {
            let named = config.policies.iter();
            paths.extend(named.map(|path| normalize(&config.root.join(path))));
        }
        self.is_policy = true;
        let mut units = Vec::new();
        for path in paths {
            let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
            let mut roots = vec![folder];
            roots.extend(self.request.include_roots.iter().cloned());
            let real = self.loader.canonical(&path);
            let read = self.read_unit(&path, real, &roots, None, &mut Vec::new());
            units.extend(read.ok().filter(|unit| !units.contains(unit)));
        }
        self.is_policy = false;
        units
    }

    /// Reads the configuration of the project at the first of these folders, once, and returns the other folders that it may
    /// include from.
    fn read_config(&mut self, roots: &[PathBuf]) -> Vec<PathBuf> {
        let Some(root) = roots.first() else {
            return Vec::new();
        };
        if let Some(known) = self.further_roots.get(root) {
            return known.clone();
        }
        let path = root.join(CONFIG_FILE);
        let Some(read) = read_config_text(self.loader, roots) else {
            // Nothing of another project's holds here.
            self.configs.0.push(Config {
                root: root.to_owned(),
                ..Config::default()
            });
            self.further_roots.insert(root.to_owned(), Vec::new());
            return Vec::new();
        };
        let text = read.as_deref().unwrap_or_default();
        let file = self.sources.add(path.clone(), Origin::Project, text.into());
        let span = Span::new(file, 0, 0);
        self.check_direction(file, text);
        let config = Config::parse(file, text, &mut self.diagnostics);
        match &read {
            Ok(_) => {}
            Err(Unread::Outside(target)) => {
                self.report(outside_root(span, target, roots));
            }
            Err(Unread::Failed(error)) => {
                let message = format!("cannot read {CONFIG_FILE}: {error}");
                self.report(Diagnostic::new(Code::CannotRead, span, message));
            }
        }
        let further: Vec<PathBuf> = config
            .include_roots
            .iter()
            .map(|folder| normalize(&root.join(folder)))
            .collect();
        self.configs.0.push(Config {
            root: root.to_owned(),
            ..config
        });
        self.further_roots.insert(root.to_owned(), further.clone());
        further
    }

    /// Reads a file that another includes. `key` is its path without links.
    fn read_include(
        &mut self,
        path: &Path,
        key: PathBuf,
        roots: &[PathBuf],
        span: Span,
        chain: &mut Vec<(PathBuf, Option<Span>)>,
    ) -> Result<UnitId, Reported> {
        if let Some(at) = chain.iter().position(|(p, _)| *p == key) {
            return Err(self.report_include_cycle(span, chain.get(at..).unwrap_or_default()));
        }
        if chain.len() >= MAX_INCLUDES && !self.by_path.contains_key(&key) {
            return Err(self.report(Diagnostic::new(
                Code::IncludeCycle,
                span,
                format!("a chain of includes is longer than {MAX_INCLUDES} files"),
            )));
        }
        self.read_unit(path, key, roots, Some(span), chain)
    }

    /// Reads a file and what it includes. `key` is its path without links; `chain` has the files that are being read, each
    /// with its `include`.
    fn read_unit(
        &mut self,
        path: &Path,
        key: PathBuf,
        roots: &[PathBuf],
        included: Option<Span>,
        chain: &mut Vec<(PathBuf, Option<Span>)>,
    ) -> Result<UnitId, Reported> {
        if let Some(unit) = self.by_path.get(&key) {
            return Ok(*unit);
        }
        let text: Arc<str> = self.read_text(path, &key, included)?.into();
        if included.is_some() && !self.is_policy {
            // What is found in another project's file is judged by that project.
            let root = self.root_of(path);
            self.read_config(std::slice::from_ref(&root));
        }
        let file = self
            .sources
            .add(path.to_owned(), Origin::Project, text.clone());
        self.check_direction(file, &text);
        let parse = syntax::parse(file, &text);
        self.nodes += parse.tree.len();
        let (allows, found) = syntax::find_allows(file, &text, &parse.tree);
        self.allows.extend(allows);
        self.diagnostics.extend(found);
        if self.nodes > MAX_NODES {
            let message =
                format!("the specs of this command have more than {MAX_NODES} names and values");
            let at = included.unwrap_or(Span::new(file, 0, 0));
            return Err(self.report(
                Diagnostic::new(Code::TooLarge, at, message)
                    .label("imgspec does not read this file")
                    .help("check fewer files at a time"),
            ));
        }
        self.diagnostics.extend(parse.diagnostics);
        let mut ast = parse.file;
        let is_kept = self.keeps_trees && included.is_none() && !self.is_policy;
        let mut tree = Some(parse.tree).filter(|_| is_kept);
        if matrix::is_in(&ast) {
            matrix::expand(&mut ast, &mut self.matrices, &mut self.diagnostics);
            tree = None;
        }
        let mut unit = Unit {
            file,
            includes: Vec::new(),
            json: Vec::new(),
            // What comes from elsewhere reads nothing of the project.
            roots: match self.copy_at(path) {
                Some(_) => path.parent().map(Path::to_owned).into_iter().collect(),
                None => roots.to_vec(),
            },
            incomplete: has_broken_include(&text, &ast).then(Reported::by_parser),
            ast,
            tree,
        };
        // The unit gets its place after those that it includes.
        chain.push((key.clone(), included));
        let includes: Vec<ast::Include> = unit.ast.includes().cloned().collect();
        for include in includes
            .iter()
            .filter(|include| !include.path.text.is_empty())
        {
            if let Err(reported) = self.include(include, path, &mut unit, chain) {
                unit.incomplete = Some(reported);
            }
        }
        chain.pop();
        let unit = self.units.push(unit);
        self.by_path.insert(key, unit);
        Ok(unit)
    }

    /// Reads what an `include` names, and adds it to its file.
    fn include(
        &mut self,
        include: &ast::Include,
        own: &Path,
        unit: &mut Unit,
        chain: &mut Vec<(PathBuf, Option<Span>)>,
    ) -> Result<(), Reported> {
        let target = &include.path;
        let folder = own.parent().unwrap_or(Path::new("/"));
        let mut roots = unit.roots.as_slice();
        let (path, root);
        if Address::is_meant(&target.text) {
            path = self.find_remote(own, &target.text, target.span)?;
            root = self.copy_at(&path).map(|(root, _)| root);
            // A vendored file may include one of another address.
            roots = root.as_ref().map_or(roots, std::slice::from_ref);
        } else {
            path = normalize(&folder.join(target.text.as_str()));
        }
        let Ok(real) = resolve_inside(self.loader, &path, roots) else {
            return Err(self.report(outside_root(target.span, &path, roots)));
        };
        let ending = path.extension();
        match (&include.name, ending.is_some_and(|e| e == "json")) {
            (Some(name), true) => {
                let file = self.read_json(&path, real, Some(target.span))?;
                unit.json.push((name.clone(), file));
                Ok(())
            }
            (None, true) => Err(self.report(
                Diagnostic::new(
                    Code::Syntax,
                    target.span,
                    "an included JSON var file needs a name",
                )
                .help(format!("write `include \"{}\" as NAME`", target.text)),
            )),
            (Some(name), false) if ending.is_some_and(|e| e != "imgspec") => {
                let message = "`as` requires a JSON var file";
                Err(self.report(
                    Diagnostic::new(Code::Syntax, target.span, message).help(format!(
                        "convert the file to JSON and include that file `as {}`",
                        name.text
                    )),
                ))
            }
            (Some(name), false) => {
                let behind = Span::new(unit.file, target.span.end, name.span.end);
                Err(self.report(
                    Diagnostic::new(Code::Syntax, name.span, "`as` requires a JSON var file")
                        .help("remove `as`: an included spec keeps its own names")
                        .fix("remove `as` and its name", behind, ""),
                ))
            }
            (None, false) => {
                let included = self.read_include(&path, real, &unit.roots, target.span, chain)?;
                unit.includes.push(included);
                self.units[included].incomplete.map_or(Ok(()), Err)
            }
        }
    }

    /// Reports the first character of each line that changes the direction of text: an editor displays the line in
    /// another order than imgspec reads it.
    fn check_direction(&mut self, file: FileId, text: &str) {
        // The first byte of all these characters.
        let mut starts = memchr::memchr_iter(0xE2, text.as_bytes());
        if !starts.any(|at| part(text, at..).starts_with(changes_direction)) {
            return;
        }
        let mut at = 0;
        let mut count = 0;
        for line in text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            let Some((column, c)) = line.char_indices().find(|(_, c)| changes_direction(*c)) else {
                continue;
            };
            count += 1;
            if count > MAX_SYNTAX_ERRORS {
                break;
            }
            let place = |at: usize, c: char| {
                let start = (start + at) as u32;
                Span::new(file, start, start + c.len_utf8() as u32)
            };
            let all = line.char_indices().filter(|(_, c)| changes_direction(*c));
            let edits = all.map(|(at, c)| (place(at, c), String::new())).collect();
            let escape = if text.trim_start().starts_with('{') {
                format!("\\u{:04x}", u32::from(c))
            } else {
                format!("\\u{{{:x}}}", u32::from(c))
            };
            let mut found = Diagnostic::new(
                Code::TextDirection,
                place(column, c),
                "this line contains a character that changes the direction of text",
            )
            .label("editors display the text after it in another order")
            .help(format!(
                "remove it, or write `{escape}` if a string needs it"
            ));
            found.fixes.push(Fix {
                title: "remove such characters from the line".to_owned(),
                edits,
            });
            self.report(found);
        }
    }

    fn read_text(
        &mut self,
        path: &Path,
        real: &Path,
        included: Option<Span>,
    ) -> Result<String, Reported> {
        let copy = self.copy_at(path).or_else(|| self.copy_at(real));
        match self.loader.read_real(path, real) {
            // Places count bytes in 32 bits.
            Ok(text) if text.len() as u64 <= MAX_FILE => {
                if let Some(copy) = &copy {
                    let at = included.unwrap_or_else(|| self.start_of(path));
                    self.expect_locked(copy, Some(&text), at)?;
                }
                Ok(text)
            }
            Ok(_) => {
                let why = format!("the file is larger than {} MiB", MAX_FILE >> 20);
                Err(self.report_unreadable(path, included, &why))
            }
            Err(error) => Err(match error.kind() {
                std::io::ErrorKind::NotFound => match (&copy, included) {
                    (Some(copy), Some(at)) => match self.expect_locked(copy, None, at) {
                        Err(reported) => reported,
                        Ok(()) => self.report_absent(path, included),
                    },
                    _ => self.report_absent(path, included),
                },
                _ => self.report_unreadable(path, included, &error.to_string()),
            }),
        }
    }

    /// The place of a file that an argument names, and that is not read.
    fn start_of(&mut self, path: &Path) -> Span {
        let file = self
            .sources
            .add(path.to_owned(), Origin::Argument, "".into());
        Span::new(file, 0, 0)
    }

    fn report_unreadable(&mut self, path: &Path, included: Option<Span>, why: &str) -> Reported {
        let span = included.unwrap_or_else(|| self.start_of(path));
        self.report(Diagnostic::new(
            Code::CannotRead,
            span,
            format!("cannot read {}: {why}", path.display()),
        ))
    }

    /// A file that is not there; perhaps one with nearly its name is.
    fn report_absent(&mut self, path: &Path, included: Option<Span>) -> Reported {
        let Some(span) = included else {
            return self.report_unreadable(path, included, "the file does not exist");
        };
        let source = self.sources.get(span.file);
        let folder = source.folder().to_owned();
        let written = self
            .sources
            .slice(span)
            .trim_matches(['"', '\''])
            .to_owned();
        let is_pattern = written.contains(['*', '?']);
        let own = source.path.clone();
        let mut roots = vec![find_root(&own, |p| self.loader.exists(p))];
        roots.extend(self.request.include_roots.iter().cloned());
        let near = near_path(self.loader, &roots, &folder, &written)
            .filter(|near| !is_pattern && normalize(&folder.join(near)) != own);
        let found = Diagnostic::new(
            Code::CannotRead,
            span,
            format!("the file `{written}` does not exist"),
        );
        self.report(match near {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("replace it with `{near}`"),
                span,
                format!("\"{near}\""),
            ),
            None if is_pattern => found.help("write one `include` for each file"),
            None => found
                .label(format!("resolves to {}", path.display()))
                .help("write the path relative to the folder of this file"),
        })
    }

    fn report_include_cycle(&mut self, span: Span, chain: &[(PathBuf, Option<Span>)]) -> Reported {
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
            format!("these files include each other: {}", names.join(" → ")),
        )
        .label("this include closes the cycle")
        .help("move what the files share into another file");
        for (path, included) in chain.iter().skip(1) {
            if let Some(included) = included {
                found = found.related(*included, format!("{} is included here", name(path)));
            }
        }
        self.report(found)
    }

    /// A JSON file may be several layers, but it is one text: each place has one diagnostic and one edit.
    fn read_json(
        &mut self,
        path: &Path,
        key: PathBuf,
        included: Option<Span>,
    ) -> Result<Arc<VarFile>, Reported> {
        if let Some(file) = self.json_by_path.get(&key) {
            return Ok(file.clone());
        }
        let text = self.read_text(path, &key, included)?;
        let file = self
            .sources
            .add(path.to_owned(), Origin::Project, text.as_str().into());
        self.check_direction(file, &text);
        let file = Arc::new(VarFile::parse(file, &text, &mut self.diagnostics));
        self.json_by_path.insert(key, file.clone());
        Ok(file)
    }

    /// The layers above all images, weakest first: `--set`, then `PACKER_VAR_FILES`.
    fn read_overlays(&mut self) -> Vec<Overlay> {
        let mut overlays = Vec::new();
        for set in &self.request.set {
            overlays.push(Overlay::Set(self.add_argument("--set", set)));
        }
        overlays.extend(self.read_var_files(&self.request.var_files));
        overlays
    }

    /// An argument's text, named for what it is in the folder of the command.
    fn add_argument(&mut self, name: &str, text: &str) -> FileId {
        let path = self.request.here.clone().unwrap_or_default().join(name);
        self.sources.add(path, Origin::Argument, text.into())
    }

    fn read_var_files(&mut self, paths: &[PathBuf]) -> Vec<Overlay> {
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        paths
            .iter()
            .filter_map(|path| {
                let real = self.loader.canonical(path);
                let file = self.read_json(path, real, None).ok()?;
                Some(Overlay::VarFile(file, name(path)))
            })
            .collect()
    }
}

/// Whether a file has an `include` of which not even the path could be read.
fn has_broken_include(text: &str, file: &ast::File) -> bool {
    let is_line_start = |at: &usize| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n');
    let written = memchr::memmem::find_iter(text.as_bytes(), b"include ").filter(is_line_start);
    written.count() > file.includes().count()
}

/// The path of a file that is there, and that a path was probably meant to be: each of its parts that is not
/// there is the nearest name in its folder. Only folders in `roots` are searched.
fn near_path(
    loader: &dyn Loader,
    roots: &[PathBuf],
    folder: &Path,
    written: &str,
) -> Option<String> {
    if written.contains(['\\', '"', '$']) {
        return None;
    }
    let mut at = folder.to_owned();
    let mut out: Vec<String> = Vec::new();
    for part in written.split('/') {
        let is_there = matches!(part, "" | "." | "..") || loader.exists(&at.join(part));
        let part = if is_there {
            part.to_owned()
        } else {
            if !is_inside(loader, &at, roots) {
                return None;
            }
            let names = loader.entries(&at);
            let with_ending = format!("{part}.imgspec");
            if names.contains(&with_ending) {
                with_ending
            } else {
                nearest(part, names.iter().map(String::as_str))?.to_owned()
            }
        };
        at = normalize(&at.join(&part));
        out.push(part);
    }
    loader.is_file(&at).then(|| out.join("/"))
}
