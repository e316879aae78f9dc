//! The files of a workspace and their programs: its specs, the files that each includes, and what changes of files mean.

use crate::emit::Output;
use crate::lsp::capabilities::Client;
use crate::lsp::documents::Documents;
use crate::lsp::index::{Entry, Family, Index};
use crate::lsp::marked::Parsed;
use crate::lsp::position::PositionEncoding;
use crate::lsp::publisher::Publisher;
use crate::lsp::rebuilds::Rebuilds;
use crate::lsp::scheduler::Scheduler;
use crate::project::LibraryChoice;
use crate::project::{CONFIG_FILE, LOCK_FILE, Library, Program, Request, load, load_with_syntax};
use crate::source::{FileId, Loader, Origin, SourceFile};
use crate::syntax::{self, Parse, Syntax};
use crate::workspace::{self, Limits, Wanted, confine_calls, confine_files};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};
use std::cell::{OnceCell, RefCell};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// The most bytes of a JSON file that is searched for variables.
const LARGEST_VAR_FILE: usize = 1 << 20;

/// A spec at the time of a request, with its program.
#[derive(Debug)]
pub(super) struct Spec {
    pub program: Rc<Program>,
    pub file: FileId,
    pub text: Arc<str>,
    syntax: OnceCell<Syntax>,
}

impl Spec {
    pub(super) fn parsed(&self) -> Parsed<'_> {
        Parsed {
            text: &self.text,
            tree: &self.syntax().tree,
        }
    }

    /// The text as a tree, with what is written in it.
    pub(super) fn syntax(&self) -> &Syntax {
        self.syntax.get_or_init(|| {
            let Parse { tree, file, .. } = syntax::parse(self.file, &self.text);
            Syntax { tree, file }
        })
    }
}

/// A file with its program. A file that is too large has no spec in it.
#[derive(Debug, Clone)]
struct Current {
    path: PathBuf,
    program: Rc<Program>,
    spec: Option<Rc<Spec>>,
}

/// Whether the kernel confines the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// As far as the kernel can.
    Possible,
    /// The server ends if it cannot.
    Required,
    /// Not at all.
    Off,
}

#[derive(Debug)]
pub(super) struct Workspace {
    pub documents: Documents,
    pub encoding: PositionEncoding,
    pub(super) scheduler: Scheduler,
    pub(super) publisher: Publisher,
    pub(super) index: Index,
    pub(super) rebuilds: Rebuilds,
    /// The client reports changes of files that are not open.
    can_watch: bool,
    roots: Vec<PathBuf>,
    library: Option<Arc<Library>>,
    library_root: Option<PathBuf>,
    pub(super) specs: FxHashSet<PathBuf>,
    /// The files that each spec includes, however deep, and the spec itself.
    pub(super) parts: FxHashMap<PathBuf, Vec<PathBuf>>,
    /// Open JSON files that are var files.
    pub(super) var_files: FxHashSet<PathBuf>,
    /// The spec of the last request.
    current: RefCell<Option<Current>>,
}

impl Workspace {
    pub(super) fn new(client: Rc<Client>, roots: Vec<PathBuf>) -> Workspace {
        let mut workspace = Workspace {
            documents: Documents::default(),
            encoding: client.encoding(),
            can_watch: client.can_watch(),
            index: Index::default(),
            rebuilds: Rebuilds::default(),
            scheduler: Scheduler::default(),
            publisher: Publisher::new(client),
            roots,
            library: None,
            library_root: None,
            specs: FxHashSet::default(),
            parts: FxHashMap::default(),
            var_files: FxHashSet::default(),
            current: RefCell::default(),
        };
        workspace.read_projects();
        workspace
    }

    /// Confines the server: it starts no programs, opens no sockets and writes only to the cache. It reads any file, since an
    /// editor may open any. With a checkout, which make has to read again after each change, it is not confined.
    ///
    /// # Errors
    /// If confinement is required, and the kernel or a checkout prevents it.
    pub(super) fn confine(&self, confinement: Confinement) -> Result<(), String> {
        if confinement == Confinement::Off {
            return Ok(());
        }
        let has_checkout = |root: &PathBuf| workspace::read_config(root).1.checkout.is_some();
        let result = if self.roots.iter().any(has_checkout) {
            Err("imgspec.toml names a checkout, which make has to read".to_owned())
        } else {
            let cache = workspace::cache();
            // The folder must exist to be the only one. Without it nothing can be written.
            let write = workspace::make_ignored(&cache).map(|_| cache);
            let limits = Limits {
                read: None,
                write: write.into_iter().collect(),
            };
            confine_files(&limits).and(confine_calls())
        };
        match (confinement, result) {
            (Confinement::Required, Err(why)) => {
                Err(format!("the server cannot be confined: {why}"))
            }
            _ => Ok(()),
        }
    }

    /// Adds folders and removes others.
    pub(super) fn change_folders(&mut self, added: Vec<PathBuf>, removed: &[PathBuf]) {
        self.roots.retain(|root| !removed.contains(root));
        self.roots.extend(added);
        self.read_projects();
    }

    /// Reads the configuration of the folders and finds their specs, and schedules all checks.
    fn read_projects(&mut self) {
        let of_project = self
            .roots
            .first()
            .and_then(|root| workspace::project_library(root, &[], Wanted::default()).ok());
        self.library_root = of_project.as_ref().and_then(LibraryChoice::folder);
        self.library = of_project.map(workspace::library);
        let specs = self
            .roots
            .iter()
            .flat_map(|root| workspace::spec_files(root).unwrap_or_default());
        let specs = specs.filter(|spec| !self.is_of_library(spec)).collect();
        let gone = std::mem::replace(&mut self.specs, specs);
        let gone = gone.into_iter().filter(|spec| !self.specs.contains(spec));
        self.scheduler.add(gone);
        self.check_everything();
    }

    fn check_everything(&mut self) {
        self.current.take();
        self.index.forget_all();
        self.rebuilds.forget_all();
        self.scheduler.add(self.specs());
    }

    /// True for a file of the library, which is not a spec of the project.
    fn is_of_library(&self, path: &Path) -> bool {
        let root = self.library_root.as_ref();
        path.starts_with(workspace::assets(&workspace::cache()))
            || root.is_some_and(|root| path.starts_with(root))
    }

    // ---- programs -------------------------------------------------------------------------------

    /// The program of some specs, with the texts of the client.
    pub(super) fn load(&self, specs: Vec<PathBuf>) -> Program {
        self.load_over(specs, &self.documents)
    }

    /// The same, with the texts of another loader.
    pub(super) fn load_over(&self, specs: Vec<PathBuf>, loader: &dyn Loader) -> Program {
        load(loader, &self.request(specs))
    }

    fn request(&self, specs: Vec<PathBuf>) -> Request {
        Request {
            specs,
            library: self.library.clone(),
            ..Request::default()
        }
    }

    pub(super) fn load_request(&self, request: Request, loader: &dyn Loader) -> Program {
        load(
            loader,
            &Request {
                library: self.library.clone(),
                ..request
            },
        )
    }

    /// A spec with its program. The last one is kept until a file changes.
    pub(super) fn spec(&self, path: &Path) -> Option<Rc<Spec>> {
        self.current(path)?.spec
    }

    /// The program of a spec that is open. The last one is kept until a file changes.
    pub(super) fn program(&self, path: &Path) -> Option<Rc<Program>> {
        Some(self.current(path)?.program)
    }

    fn current(&self, path: &Path) -> Option<Current> {
        if let Some(current) = &*self.current.borrow()
            && current.path == path
        {
            return Some(current.clone());
        }
        self.documents.get(path).filter(|_| is_spec(path))?;
        let is_of_library = self.is_of_library(path);
        let specs = if is_of_library {
            Vec::new()
        } else {
            vec![path.to_owned()]
        };
        let (program, syntax) = load_with_syntax(&self.documents, &self.request(specs));
        let program = Rc::new(program);
        let file = if is_of_library {
            find_source(&program, path)
        } else {
            program.specs.first().copied().flatten()
        };
        let spec = file.map(|file| {
            Rc::new(Spec {
                program: program.clone(),
                file,
                text: program.sources.get(file).text.clone(),
                syntax: syntax.map_or_else(OnceCell::new, OnceCell::from),
            })
        });
        let current = Current {
            path: path.to_owned(),
            program,
            spec,
        };
        self.current.replace(Some(current.clone()));
        Some(current)
    }

    /// The specs of the workspace, and those that are open outside of it.
    pub(super) fn specs(&self) -> Vec<PathBuf> {
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

    /// Begins to answer a request. Where nobody reports changes of files, all are read again.
    pub(super) fn begin_request(&self) {
        if !self.can_watch {
            self.index.forget_all();
        }
    }

    /// What the specs of the workspace declare.
    pub(super) fn declared(&self) -> Vec<(PathBuf, Rc<Entry>)> {
        self.learn_current();
        self.index
            .entries(self.specs(), &self.documents, self.encoding)
    }

    /// Which layers and images of the workspace extend which.
    pub(super) fn family(&self) -> Rc<Family> {
        let declared = self.declared();
        self.index.family(&declared)
    }

    /// What a spec of the workspace declares.
    pub(super) fn declared_in(&self, path: &Path) -> Rc<Entry> {
        self.learn_current();
        self.index.entry(path, &self.documents, self.encoding)
    }

    /// Gives the index the spec of the last request, so that it is not parsed again.
    fn learn_current(&self) {
        if let Some(Current { path, spec, .. }) = &*self.current.borrow()
            && let Some(spec) = spec
            && let Some(syntax) = spec.syntax.get()
        {
            self.index
                .learn(path, &spec.text, &syntax.file, self.encoding);
        }
    }

    /// The specs that include a file, and the file itself if it is a spec.
    pub(super) fn dependents(&self, file: &Path) -> Vec<PathBuf> {
        self.parts
            .iter()
            // `Path` compares component by component, and there are many paths.
            .filter(|(_, parts)| {
                parts
                    .iter()
                    .any(|part| part.as_os_str() == file.as_os_str())
            })
            .map(|(spec, _)| spec.clone())
            .collect()
    }

    // ---- changes --------------------------------------------------------------------------------

    /// Notes that the text of a file changed. It is checked first, and then the specs that include it.
    pub(super) fn note_change(&mut self, path: &Path) {
        self.note(path, false);
    }

    /// The same for an edit of an open document, which keeps the text that it had at first.
    pub(super) fn note_edit(&mut self, path: &Path) {
        self.note(path, true);
    }

    fn note(&mut self, path: &Path, is_edit: bool) {
        self.current.take();
        self.index.forget(path);
        self.publisher.forget_others(path);
        let is_of_project = |name: &OsStr| name == CONFIG_FILE || name == LOCK_FILE;
        if path.file_name().is_some_and(is_of_project)
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
        if is_spec(path) || self.is_var_file(path) || self.publisher.was_checked(path) {
            self.scheduler.add_urgent(path);
        }
        self.rebuilds.forget(path, is_edit);
        let dependents = self.dependents(path);
        for spec in &dependents {
            self.rebuilds.forget(spec, is_edit);
        }
        let others = dependents.into_iter().filter(|spec| spec != path);
        self.scheduler.add(others);
    }

    /// Notes that a file was created or deleted, which can concern any spec.
    pub(super) fn note_creation_or_deletion(&mut self, path: &Path) {
        self.note_change(path);
        self.check_everything();
    }

    /// True for an open JSON file that is a var file: its language is not JSON, a spec includes it, or it sets a variable
    /// of the library.
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
    pub(super) fn is_known_var_file(&self, path: &Path) -> bool {
        self.var_files.contains(path)
    }
}

/// The source text of a path. An editor opens copies of the standard library's files in the cache.
pub(super) fn find_source(program: &Program, path: &Path) -> Option<FileId> {
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

/// True for a file whose name ends in `.imgspec`.
pub(super) fn is_spec(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "imgspec")
}

/// Where a compilation would write. No diagnostic mentions it.
pub(super) fn output() -> Output {
    Output {
        dir: PathBuf::from("/build"),
        portable: false,
    }
}
