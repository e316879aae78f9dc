//! A library, read and lowered once: programs begin with it.

use super::prebuilt::{self, Decoded};
use crate::diagnostic::Diagnostic;
use crate::project::check::{Declared, Draft, FileContext, Unit};
use crate::project::hir::*;
use crate::project::{Adopted, Edition};
use crate::source::embedded;
use crate::source::{FileId, Memory, Origin, Release, SourceMap};
use crate::syntax::{self, ast};
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// A library: its variables, rules, probes, providers, layers and targets.
#[derive(Debug, Default)]
pub struct Library {
    pub(crate) sources: SourceMap,
    pub(crate) items: Items,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) edition: Edition,
    pub(crate) adopted: Option<Arc<Adopted>>,
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
            .or_insert_with(|| Arc::new(Library::prebuilt(edition)));
        library.clone()
    }

    /// Returns a library in the place of the built-in one of its release, of which types, rules and probes stay, the rules
    /// and probes as far as they can.
    pub fn adopted(adopted: Adopted) -> Arc<Library> {
        Arc::new(Library::read(adopted.edition(), Some(adopted)))
    }

    /// Returns an adopted library as [`Library::encode`] stored it, or gives it back if the form is another one.
    ///
    /// # Errors
    /// The library, which must be read.
    pub fn stored(adopted: Adopted, stored: Arc<[u8]>) -> Result<Arc<Library>, Box<Adopted>> {
        let Some(decoded) = prebuilt::decode(stored) else {
            return Err(Box::new(adopted));
        };
        let adopted = Arc::new(adopted);
        let edition = adopted.edition();
        Ok(Arc::new(Library::decoded(decoded, edition, Some(adopted))))
    }

    /// Returns a built-in library as the build script stored it.
    fn prebuilt(edition: Edition) -> Library {
        let name = format!("{}.{}", edition.release, edition.roles.name());
        match embedded::prebuilt(&name).and_then(prebuilt::decode) {
            Some(decoded) => Library::decoded(decoded, edition, None),
            None => Library::read(edition, None),
        }
    }

    fn decoded(decoded: Decoded, edition: Edition, adopted: Option<Arc<Adopted>>) -> Library {
        let of_texts = adopted.clone();
        let texts = move || {
            let adopted = of_texts.iter();
            let released = edition.release.files();
            let released =
                released.map(|(path, text)| (Path::new("stdlib").join(path), text.into()));
            let specs = adopted.clone().flat_map(|adopted| {
                let specs = adopted.specs();
                specs.map(|(path, text)| (adopted.root.join(path), text.into()))
            });
            let origins = adopted.flat_map(|adopted| &adopted.origins);
            let origins = origins.map(|(path, text)| (path.clone(), text.as_str().into()));
            released.chain(specs).chain(origins).collect()
        };
        Library {
            sources: SourceMap::stored(decoded.texts, texts),
            items: decoded.items,
            diagnostics: decoded.diagnostics,
            edition,
            adopted,
        }
    }

    /// Returns the form in which the build script stores the library, which is without its texts.
    pub fn encode(&self) -> Option<Vec<u8>> {
        prebuilt::encode(&self.items, &self.diagnostics, self.sources.iter().count())
    }

    /// Returns the form in which the build script stores what stays of a release's library where another library replaces
    /// it, or `None` where it has errors.
    pub fn encode_kept(release: Release) -> Option<Vec<u8>> {
        let mut library = Library::default();
        let kept: Vec<ast::File> = release
            .files()
            .map(|(path, text)| library.read_file(path, text).ast)
            .map(only_kept)
            .collect();
        library.diagnostics.is_empty().then_some(())?;
        postcard::to_allocvec(&kept).ok()
    }

    /// Reads and checks the texts of a library.
    pub fn read(edition: Edition, adopted: Option<Adopted>) -> Library {
        let mut library = Library {
            edition,
            ..Library::default()
        };
        let mut units = Vec::new();
        let kept = adopted.as_ref().and_then(|_| {
            let bytes = embedded::prebuilt(&format!("{}.kept", edition.release))?;
            postcard::from_bytes::<Vec<ast::File>>(bytes).ok()
        });
        let mut kept = kept.unwrap_or_default().into_iter();
        for (path, text) in edition.release.files() {
            let path = Path::new("stdlib").join(path);
            units.push(match kept.next() {
                Some(ast) => library.add_file(path, text, ast),
                None => {
                    let mut unit = library.read_file(path, text);
                    if adopted.is_some() {
                        unit.ast = only_kept(unit.ast);
                    }
                    unit
                }
            });
        }
        for (path, text) in adopted.iter().flat_map(Adopted::specs) {
            let root = adopted.as_ref().map_or(Path::new(""), |a| &a.root);
            units.push(library.read_file(root.join(path), text));
        }
        if let Some(adopted) = &adopted {
            library.add_origins(adopted);
        }
        library.lower(units, adopted.as_ref());
        library.adopted = adopted.map(Arc::new);
        library
    }

    fn add_text(&mut self, path: PathBuf, text: &str) -> FileId {
        self.sources.add(path, Origin::Library, text.into())
    }

    /// Adds the files of the checkout that a library was adopted from.
    fn add_origins(&mut self, adopted: &Adopted) {
        for (path, text) in &adopted.origins {
            self.sources
                .add(path.clone(), Origin::Library, text.as_str().into());
        }
    }

    fn read_file(&mut self, path: PathBuf, text: &str) -> Unit {
        let file = self.add_text(path, text);
        let parse = syntax::parse(file, text);
        self.diagnostics.extend(parse.diagnostics);
        unit(file, parse.file)
    }

    /// Adds a file that has been parsed as the file at the same place among those of a library.
    fn add_file(&mut self, path: PathBuf, text: &str, ast: ast::File) -> Unit {
        unit(self.add_text(path, text), ast)
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
        let cycles = find_cycles(&draft.sections);
        draft.diagnostics.extend(cycles);
        let Draft {
            diagnostics,
            variables,
            sections,
            providers,
            rules,
            probes,
            extras,
            ..
        } = draft;
        self.diagnostics.extend(diagnostics);
        let mut traits = Traits::default();
        for (id, variable) in variables.pairs() {
            traits.add(id, variable);
        }
        traits.given.add_own(&variables, &sections, &providers);
        self.sources = sources;
        self.items = Items {
            variables: variables.into_library(),
            sections: sections.into_library(),
            providers: providers.into_library(),
            rules: rules.into_library(),
            probes: probes.into_library(),
            extras,
            names: Arc::new(names),
            traits: Arc::new(traits),
        };
    }
}

/// A file of a library on its way into the program.
fn unit(file: FileId, ast: ast::File) -> Unit {
    Unit {
        incomplete: None,
        file,
        ast,
        tree: None,
        includes: Vec::new(),
        json: Vec::new(),
        roots: Vec::new(),
    }
}

/// Removes from a file of the standard library what another library replaces.
fn only_kept(mut ast: ast::File) -> ast::File {
    ast.items.retain(stays);
    ast
}

/// True for an item of the standard library that remains if another library replaces it.
fn stays(item: &ast::Item) -> bool {
    match item {
        ast::Item::Type(_) => true,
        ast::Item::Section(section) => matches!(
            section.kind,
            ast::SectionKind::Rule | ast::SectionKind::Probe
        ),
        ast::Item::Variable(_)
        | ast::Item::Include(_)
        | ast::Item::Test(_)
        | ast::Item::Waiver(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Roles;

    #[test]
    fn the_build_script_stores_what_is_read() {
        for release in Release::all() {
            let kept = embedded::prebuilt(&format!("{release}.kept"));
            assert_eq!(kept, Library::encode_kept(release).as_deref(), "{release}");
            for roles in [Roles::Native, Roles::Upstream] {
                let edition = Edition { release, roles };
                let read = Library::read(edition, None).encode();
                let name = format!("{release}.{}", roles.name());
                assert!(read.as_deref() == embedded::prebuilt(&name), "{name}");
                let decoded = Library::prebuilt(edition).encode();
                assert!(read == decoded, "{name} is read as something else");
            }
        }
    }

    #[test]
    fn bytes_of_another_form_are_no_library() {
        let name = format!("{}.native", Release::default());
        let bytes = embedded::prebuilt(&name).unwrap();
        for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(prebuilt::decode(&bytes[..end]).is_none(), "{end} bytes");
        }
        assert!(prebuilt::decode([0xff; 64]).is_none());
    }
}
