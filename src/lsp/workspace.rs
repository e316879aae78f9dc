//! What is known of the workspace: its specs, what each is made of, and what was found in them.
//!
//! A change is followed by a check of the changed file at once, and of those that it can concern whenever no message is
//! waiting. Findings are kept by the file whose check they come from, so that each check replaces its own.

use crate::diagnostic;
use crate::driver::{compile, of_var_files};
use crate::emit::Output;
use crate::lsp::client::Client;
use crate::lsp::documents::Documents;
use crate::lsp::findings::Finding;
use crate::lsp::places::Encoding;
use crate::project::{Library, Program, Request, in_checkout, load};
use crate::source::{FileId, Loader, Origin, SourceFile};
use crate::syntax::{self, Parse};
use crate::workspace;
use indexmap::IndexSet;
use lsp_types::Diagnostic;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// How many files are checked before the next look for messages.
const BATCH: usize = 2;

/// How long a JSON file may be, in bytes, for one to look whether it is a var file.
const LARGEST_VAR_FILE: usize = 1 << 20;

/// Findings by the file that they stand in.
type ByFile = FxHashMap<PathBuf, Vec<Finding>>;

/// What is to be said of a file.
pub struct Publication {
    pub path: PathBuf,
    /// The version of the open document that it holds for.
    pub version: Option<i32>,
    pub diagnostics: Vec<Diagnostic>,
}

/// A spec as a request finds it, with the program around it.
#[derive(Debug)]
pub struct Spec {
    pub program: Program,
    pub file: FileId,
    pub text: Arc<str>,
    pub parse: Parse,
}

#[derive(Debug)]
pub struct Workspace {
    pub documents: Documents,
    pub encoding: Encoding,
    client: Client,
    roots: Vec<PathBuf>,
    library: Option<Arc<Library>>,
    library_root: Option<PathBuf>,
    specs: FxHashSet<PathBuf>,
    /// The files that each spec is made of, itself among them.
    made_of: FxHashMap<PathBuf, Vec<PathBuf>>,
    /// For each file that was checked what was found, there and elsewhere.
    found: FxHashMap<PathBuf, ByFile>,
    /// What the client shows.
    published: FxHashMap<PathBuf, Vec<Diagnostic>>,
    /// Open JSON files that are var files.
    var_files: FxHashSet<PathBuf>,
    /// What is to be checked before anything else is answered, and what can wait.
    urgent: Vec<PathBuf>,
    waiting: IndexSet<PathBuf, FxBuildHasher>,
    /// The spec that was asked for last.
    current: RefCell<Option<(PathBuf, Rc<Spec>)>>,
}

impl Workspace {
    pub fn new(encoding: Encoding, client: Client, roots: Vec<PathBuf>) -> Workspace {
        let mut workspace = Workspace {
            documents: Documents::default(),
            encoding,
            client,
            roots,
            library: None,
            library_root: None,
            specs: FxHashSet::default(),
            made_of: FxHashMap::default(),
            found: FxHashMap::default(),
            published: FxHashMap::default(),
            var_files: FxHashSet::default(),
            urgent: Vec::new(),
            waiting: IndexSet::default(),
            current: RefCell::default(),
        };
        workspace.read_projects();
        workspace
    }

    /// Takes folders in and others out.
    pub fn change_folders(&mut self, added: Vec<PathBuf>, removed: &[PathBuf]) {
        self.roots.retain(|root| !removed.contains(root));
        self.roots.extend(added);
        self.read_projects();
    }

    /// Reads the folders' configuration and looks for specs; everything is to be checked then.
    fn read_projects(&mut self) {
        let of_project = self
            .roots
            .first()
            .and_then(|root| workspace::project_library(root, &[]).ok().flatten());
        let (folder, library) = of_project.unzip();
        (self.library_root, self.library) = (folder.flatten(), library.map(Library::adopted));
        let specs = self
            .roots
            .iter()
            .flat_map(|root| workspace::spec_files(root).unwrap_or_default());
        let specs = specs.filter(|spec| !self.is_of_library(spec)).collect();
        let gone = std::mem::replace(&mut self.specs, specs);
        self.waiting
            .extend(gone.into_iter().filter(|spec| !self.specs.contains(spec)));
        self.check_everything();
    }

    fn check_everything(&mut self) {
        self.current.take();
        self.waiting.extend(self.specs());
    }

    /// True for a file of the library, which is no spec of the project.
    fn is_of_library(&self, path: &Path) -> bool {
        let root = self.library_root.as_ref();
        path.starts_with(workspace::assets(&workspace::cache()))
            || root.is_some_and(|root| path.starts_with(root))
    }

    // ---- programs -------------------------------------------------------------------------------

    /// The program of some specs, as they are now.
    pub fn load(&self, specs: Vec<PathBuf>) -> Program {
        self.load_request(
            Request {
                specs,
                ..Request::default()
            },
            &self.documents,
        )
    }

    /// The same, over other texts than those of the client.
    pub fn load_over(&self, specs: Vec<PathBuf>, loader: &dyn Loader) -> Program {
        self.load_request(
            Request {
                specs,
                ..Request::default()
            },
            loader,
        )
    }

    fn load_request(&self, request: Request, loader: &dyn Loader) -> Program {
        load(
            loader,
            &Request {
                library: self.library.clone(),
                ..request
            },
        )
    }

    /// A spec with its program; the last one is kept until something changes.
    pub fn spec(&self, path: &Path) -> Option<Rc<Spec>> {
        if let Some((of, spec)) = &*self.current.borrow()
            && of == path
        {
            return Some(spec.clone());
        }
        self.documents.get(path).filter(|_| is_spec(path))?;
        let is_of_library = self.is_of_library(path);
        let program = self.load(if is_of_library {
            Vec::new()
        } else {
            vec![path.to_owned()]
        });
        let file = match is_of_library {
            true => find_source(&program, path)?,
            false => (*program.specs.first()?)?,
        };
        let text = program.sources.get(file).text.clone();
        let parse = syntax::parse(file, &text);
        let spec = Rc::new(Spec {
            program,
            file,
            text,
            parse,
        });
        self.current.replace(Some((path.to_owned(), spec.clone())));
        Some(spec)
    }

    /// The specs of the workspace, and those that are open besides.
    pub fn specs(&self) -> Vec<PathBuf> {
        let open = self
            .documents
            .paths()
            .filter(|path| is_spec(path) && !self.is_of_library(path));
        let mut specs: Vec<PathBuf> = self.specs.iter().chain(open).cloned().collect();
        specs.sort();
        specs.dedup();
        specs.retain(|path| self.documents.exists(path));
        specs
    }

    /// The specs that a file is a part of.
    pub fn dependents(&self, file: &Path) -> Vec<PathBuf> {
        let is_made_of = |files: &Vec<PathBuf>| files.iter().any(|part| part == file);
        self.made_of
            .iter()
            .filter(|(_, files)| is_made_of(files))
            .map(|(spec, _)| spec.clone())
            .collect()
    }

    // ---- changes --------------------------------------------------------------------------------

    /// A file has another text: it is to be checked first, and then what it is a part of.
    pub fn note_change(&mut self, path: &Path) {
        self.current.take();
        // What others found in it stood in another text.
        for (_, by_file) in self.found.iter_mut().filter(|(from, _)| *from != path) {
            by_file.remove(path);
        }
        if path.file_name().is_some_and(|name| name == "imgspec.toml")
            || self
                .library_root
                .as_ref()
                .is_some_and(|root| path.starts_with(root))
        {
            self.read_projects();
        }
        if self.is_of_library(path) {
            return;
        }
        if is_spec(path) && self.documents.exists(path) {
            self.specs.insert(path.to_owned());
        }
        if is_spec(path) || self.is_var_file(path) || self.found.contains_key(path) {
            self.urgent.retain(|other| other != path);
            self.urgent.push(path.to_owned());
        }
        let dependents = self.dependents(path);
        self.waiting
            .extend(dependents.into_iter().filter(|spec| spec != path));
    }

    /// A file has come or gone: what names it may be right now, or wrong.
    pub fn note_coming_or_going(&mut self, path: &Path) {
        self.note_change(path);
        self.check_everything();
    }

    /// True for an open JSON file that is meant as a var file: the client calls it something else than JSON, a spec
    /// includes it, or it sets a variable that there is.
    fn is_var_file(&mut self, path: &Path) -> bool {
        let Some(document) = self.documents.get(path) else {
            self.var_files.remove(path);
            return false;
        };
        if path.extension().is_none_or(|e| e != "json") {
            return false;
        }
        if self.var_files.contains(path) {
            return true;
        }
        let is_named = !["json", "jsonc"].contains(&document.language.as_str());
        let is_layer = || !self.dependents(path).is_empty();
        let sets_variable = || {
            if document.text.len() > LARGEST_VAR_FILE {
                return false;
            }
            let map: Map<String, Value> = serde_json::from_str(&document.text).unwrap_or_default();
            let program = self.load(Vec::new());
            map.iter().any(|(name, value)| {
                value.is_string() && program.find_variable(None, name).is_some()
            })
        };
        let is_var_file = is_named || is_layer() || sets_variable();
        is_var_file && self.var_files.insert(path.to_owned())
    }

    /// True for an open JSON file that is checked as a var file.
    pub fn is_known_var_file(&self, path: &Path) -> bool {
        self.var_files.contains(path)
    }

    // ---- checks ---------------------------------------------------------------------------------

    /// True where nothing is left to be checked.
    pub fn is_settled(&self) -> bool {
        self.urgent.is_empty() && self.waiting.is_empty()
    }

    /// Checks what was changed itself.
    pub fn check_changed(&mut self) -> Vec<Publication> {
        let changed = std::mem::take(&mut self.urgent);
        self.check(changed)
    }

    /// Checks a part of what is left.
    pub fn check_some(&mut self) -> Vec<Publication> {
        if !self.urgent.is_empty() {
            return self.check_changed();
        }
        // What somebody looks at comes first.
        let (documents, waiting) = (&self.documents, &mut self.waiting);
        let mut next: Vec<PathBuf> = waiting
            .iter()
            .filter(|path| documents.get(path).is_some())
            .take(BATCH)
            .cloned()
            .collect();
        if next.is_empty() {
            next = waiting
                .split_off(waiting.len().saturating_sub(BATCH))
                .into_iter()
                .collect();
        } else {
            waiting.retain(|path| !next.contains(path));
        }
        self.check(next)
    }

    /// Checks files, and says what has become different.
    fn check(&mut self, files: Vec<PathBuf>) -> Vec<Publication> {
        let mut touched: FxHashSet<PathBuf> = FxHashSet::default();
        let (specs, others): (Vec<PathBuf>, Vec<PathBuf>) =
            files.into_iter().partition(|path| is_spec(path));
        let mut found: Vec<(PathBuf, ByFile)> = Vec::new();
        for path in others {
            let is_open = self.var_files.contains(&path);
            let by_file = if is_open {
                self.check_var_file(&path)
            } else {
                ByFile::default()
            };
            found.push((path, by_file));
        }
        let (specs, gone): (Vec<PathBuf>, Vec<PathBuf>) = specs
            .into_iter()
            .partition(|path| self.documents.exists(path));
        for path in gone {
            self.specs.remove(&path);
            self.made_of.remove(&path);
            found.push((path, ByFile::default()));
        }
        if !specs.is_empty() {
            found.extend(self.check_specs(&specs));
        }
        for (path, by_file) in found {
            touched.extend(by_file.keys().cloned());
            let old = self.found.insert(path.clone(), by_file).unwrap_or_default();
            touched.extend(old.into_keys());
            touched.insert(path);
        }
        touched
            .into_iter()
            .filter_map(|path| self.publish(path))
            .collect()
    }

    fn check_specs(&mut self, specs: &[PathBuf]) -> Vec<(PathBuf, ByFile)> {
        // What is asked next is about the file that was changed last.
        let kept = if let [spec] = specs {
            self.spec(spec)
        } else {
            None
        };
        let loaded = kept.is_none().then(|| self.load(specs.to_vec()));
        let Some(program) = kept.as_ref().map(|spec| &spec.program).or(loaded.as_ref()) else {
            return Vec::new();
        };
        let texts = program.configs.apply(
            &program.sources,
            diagnostic::merge(program.diagnostics.clone()),
        );
        let mut out: Vec<(PathBuf, ByFile)> = Vec::new();
        let mut of_no_spec = ByFile::default();
        let parts: FxHashSet<FileId> = program
            .views
            .values()
            .flat_map(|view| &view.files)
            .copied()
            .collect();
        for (path, file) in specs.iter().zip(&program.specs) {
            let mut by_file = ByFile::default();
            if let Some((file, view)) =
                file.and_then(|file| Some((file, program.views.get(&file)?)))
            {
                let made_of = view
                    .files
                    .iter()
                    .map(|file| program.sources.get(*file).path.clone());
                let data = program
                    .data
                    .iter()
                    .filter(|data| view.files.contains(&data.reader));
                let made_of = made_of.chain(data.map(|data| data.path.clone())).collect();
                self.made_of.insert(path.clone(), made_of);
                // A double in two files is found in what includes both, and in neither alone.
                let is_seen = |found: &&diagnostic::Diagnostic| {
                    let spans = found
                        .related
                        .iter()
                        .chain([&found.primary])
                        .map(|label| label.span.file);
                    spans
                        .into_iter()
                        .all(|file| view.files.contains(&file) || !parts.contains(&file))
                        && parts.contains(&found.primary.span.file)
                };
                let of_images = compile(
                    &self.documents,
                    program,
                    &program.images_of(file),
                    None,
                    &output(),
                )
                .diagnostics;
                let of_images = program
                    .configs
                    .apply(&program.sources, diagnostic::merge(of_images));
                self.sort_in(
                    program,
                    texts.iter().filter(is_seen).chain(&of_images),
                    &mut by_file,
                );
            }
            out.push((path.clone(), by_file));
        }
        let others = texts
            .iter()
            .filter(|found| !parts.contains(&found.primary.span.file));
        self.sort_in(program, others, &mut of_no_spec);
        out.extend(
            of_no_spec
                .into_iter()
                .map(|(path, found)| (path.clone(), ByFile::from_iter([(path, found)]))),
        );
        out
    }

    /// What is wrong with a var file on its own.
    fn check_var_file(&self, path: &Path) -> ByFile {
        let request = Request {
            var_files: vec![path.to_owned()],
            ..Request::default()
        };
        let program = self.load_request(request, &self.documents);
        let images = program.library_images();
        let of_images = compile(&self.documents, &program, &images, None, &output()).diagnostics;
        let all = program
            .diagnostics
            .iter()
            .cloned()
            .chain(of_images)
            .collect();
        let all = program
            .configs
            .apply(&program.sources, diagnostic::merge(all));
        let found = of_var_files(&program, &[path.to_owned()], images.len(), all);
        let mut by_file = ByFile::default();
        self.sort_in(&program, found.iter(), &mut by_file);
        by_file
    }

    fn sort_in<'f>(
        &self,
        program: &Program,
        found: impl Iterator<Item = &'f diagnostic::Diagnostic>,
        by_file: &mut ByFile,
    ) {
        let found = found.map(|found| in_checkout(program, found.clone()));
        for (path, finding) in
            found.filter_map(|f| Finding::new(&program.sources, &f, self.encoding))
        {
            by_file.entry(path).or_default().push(finding);
        }
    }

    // ---- findings -------------------------------------------------------------------------------

    /// What was found in a file, wherever from.
    pub fn findings(&self, path: &Path) -> impl Iterator<Item = &Finding> {
        self.found
            .values()
            .filter_map(|files| files.get(path))
            .flatten()
    }

    /// What the client is to be told of a file, where it does not know that yet.
    fn publish(&mut self, path: PathBuf) -> Option<Publication> {
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        for finding in self.findings(&path) {
            let new = &finding.diagnostic;
            if !diagnostics
                .iter()
                .any(|d| d.range == new.range && d.message == new.message)
            {
                let related_information = new
                    .related_information
                    .clone()
                    .filter(|_| self.client.has_related);
                let tags = new.tags.clone().filter(|_| self.client.has_tags);
                diagnostics.push(Diagnostic {
                    related_information,
                    tags,
                    ..new.clone()
                });
            }
        }
        diagnostics.sort_by(|a, b| {
            (a.range.start, a.range.end, &a.message).cmp(&(b.range.start, b.range.end, &b.message))
        });
        let version = self.documents.get(&path).map(|document| document.version);
        let is_known = match self.published.get(&path) {
            Some(known) => *known == diagnostics,
            None => diagnostics.is_empty(),
        };
        // Of an open document each version is answered.
        if version.is_none() && is_known {
            return None;
        }
        self.published.insert(path.clone(), diagnostics.clone());
        Some(Publication {
            path,
            version,
            diagnostics,
        })
    }
}

/// The source that an editor knows under a path. Of the built-in library that is a copy in the cache.
pub fn find_source(program: &Program, path: &Path) -> Option<FileId> {
    let is_it = |source: &SourceFile| match source.origin {
        Origin::Library => path.ends_with(&source.path),
        _ => source.path == path,
    };
    program
        .sources
        .iter()
        .find(|(_, source)| is_it(source))
        .map(|(file, _)| file)
}

fn is_spec(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "imgspec")
}

/// Where a compile would write: it shows nowhere in what is found.
pub fn output() -> Output {
    Output {
        dir: PathBuf::from("/build"),
        portable: false,
    }
}
