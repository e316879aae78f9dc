//! A library, read and lowered once: programs begin with it.

use crate::diagnostic::Diagnostic;
use crate::project::check::{Declared, Draft, FileContext, Unit};
use crate::project::hir::*;
use crate::project::{Adopted, Edition};
use crate::schema::Roles;
use crate::source::{Memory, Origin, SourceMap};
use crate::syntax::{self, ast};
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// A library: its variables, rules, providers, layers and targets.
#[derive(Debug, Default)]
pub struct Library {
    pub(crate) sources: SourceMap,
    pub(crate) items: Items,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) edition: Edition,
    pub(crate) adopted: Option<Adopted>,
}

/// What a project uses as its library.
#[derive(Debug)]
pub enum LibraryChoice {
    /// A library that the program carries.
    BuiltIn(Edition),
    /// An Image Builder checkout, or a folder of specs that was made from one.
    Adopted(Adopted),
}

impl LibraryChoice {
    /// Returns the folder of an adopted library's specs, if it has one.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            LibraryChoice::Adopted(adopted) if adopted.checkout.is_none() => {
                Some(adopted.root.clone())
            }
            _ => None,
        }
    }

    /// Returns the checkout that it was adopted from, if that is at hand: the folder of its Makefile.
    pub fn checkout(&self) -> Option<&Path> {
        match self {
            LibraryChoice::Adopted(adopted) => adopted.checkout.as_deref(),
            LibraryChoice::BuiltIn(_) => None,
        }
    }
}

/// The built-in libraries that have been read.
static BUILT_IN: LazyLock<Mutex<FxHashMap<Edition, Arc<Library>>>> = LazyLock::new(Mutex::default);

impl Library {
    /// Returns the library of a choice.
    pub fn of(choice: LibraryChoice) -> Arc<Library> {
        match choice {
            LibraryChoice::BuiltIn(edition) => Library::built_in(edition),
            LibraryChoice::Adopted(adopted) => Library::adopted(adopted),
        }
    }

    /// Returns a library that the program carries. Each is read once, when it is first used.
    pub fn built_in(edition: Edition) -> Arc<Library> {
        let mut libraries = BUILT_IN.lock().unwrap_or_else(PoisonError::into_inner);
        let library = libraries
            .entry(edition)
            .or_insert_with(|| Arc::new(Library::read(edition, None)));
        library.clone()
    }

    /// Returns a library in the place of the built-in one of its release, of which types and rules stay, the rules as far
    /// as they can.
    pub fn adopted(adopted: Adopted) -> Arc<Library> {
        let edition = Edition {
            release: adopted.release,
            roles: Roles::Upstream,
        };
        Arc::new(Library::read(edition, Some(adopted)))
    }

    fn read(edition: Edition, adopted: Option<Adopted>) -> Library {
        let mut library = Library {
            edition,
            ..Library::default()
        };
        let mut units = Vec::new();
        for (path, text) in edition.release.files() {
            let mut unit = library.read_file(Path::new("stdlib").join(path), text);
            if adopted.is_some() {
                unit.ast.items.retain(stays);
            }
            units.push(unit);
        }
        for (path, text) in adopted.iter().flat_map(Adopted::specs) {
            let root = adopted.as_ref().map_or(Path::new(""), |a| &a.root);
            units.push(library.read_file(root.join(path), text));
        }
        for (path, text) in adopted.iter().flat_map(|adopted| &adopted.origins) {
            library
                .sources
                .add(path.clone(), Origin::Library, text.clone());
        }
        library.lower(units, adopted.as_ref());
        library.adopted = adopted;
        library
    }

    fn read_file(&mut self, path: PathBuf, text: &str) -> Unit {
        let file = self.sources.add(path, Origin::Library, text.into());
        let parse = syntax::parse(file, text);
        self.diagnostics.extend(parse.diagnostics);
        Unit {
            incomplete: None,
            file,
            ast: parse.file,
            includes: Vec::new(),
            json: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// The files of a library see each other, in any order.
    fn lower(&mut self, units: Vec<Unit>, adopted: Option<&Adopted>) {
        let (nothing, none) = (Memory::default(), Names::default());
        let mut sources = std::mem::take(&mut self.sources);
        let mut draft = Draft::new(&nothing, adopted, &mut sources, &Items::default());
        draft.edition = self.edition;
        fn context<'f>(own: &'f Names, library: &'f Names) -> FileContext<'f> {
            FileContext {
                view: View { own, library },
                roots: &[],
                incomplete: None,
            }
        }
        let mut names = Names::default();
        let mut declared: Vec<Vec<Declared<'_>>> = Vec::with_capacity(units.len());
        for unit in &units {
            let mut items = draft.declare(unit);
            let mut lowering = draft.enter(context(&none, &names));
            items.extend(lowering.declare_types(&unit.ast));
            let taken = items
                .iter()
                .filter_map(|item| item.define(&mut names, None));
            draft.diagnostics.extend(taken);
            declared.push(items);
        }
        let context = context(&none, &names);
        for items in &declared {
            let mut lowering = draft.enter(context);
            lowering.declare_packer_entries(items);
            lowering.lower_variable_types(items);
        }
        draft.settle_aliases();
        for items in &declared {
            let mut lowering = draft.enter(context);
            lowering.lower_variable_values(items);
            lowering.lower_bodies(items);
        }
        let Draft {
            diagnostics,
            variables,
            sections,
            providers,
            rules,
            extras,
            ..
        } = draft;
        self.diagnostics.extend(diagnostics);
        self.sources = sources;
        self.items = Items {
            variables: variables.into_library(),
            sections: sections.into_library(),
            providers: providers.into_library(),
            rules: rules.into_library(),
            extras,
            names: Arc::new(names),
        };
    }
}

/// True for an item of the standard library that remains if another library replaces it.
fn stays(item: &ast::Item) -> bool {
    match item {
        ast::Item::Type(_) => true,
        ast::Item::Section(section) => section.kind == ast::SectionKind::Rule,
        ast::Item::Variable(_) | ast::Item::Include(_) => false,
    }
}
