//! A library, read and lowered once: programs begin with it.

use crate::diagnostic::Diagnostic;
use crate::project::Adopted;
use crate::project::check::{Declared, Draft, FileContext, Unit};
use crate::project::hir::*;
use crate::source::embedded::STDLIB;
use crate::source::{Memory, Origin, SourceMap};
use crate::syntax::{self, ast};
use include_dir::Dir;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// A library: its variables, rules, providers, layers and targets.
#[derive(Debug, Default)]
pub struct Library {
    pub(crate) sources: SourceMap,
    pub(crate) items: Items,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) adopted: Option<Adopted>,
}

static BUILT_IN: LazyLock<Arc<Library>> = LazyLock::new(|| Arc::new(Library::read(None)));

impl Library {
    /// The one that the program carries.
    pub fn built_in() -> Arc<Library> {
        BUILT_IN.clone()
    }

    /// One in the place of the built-in, of which types and rules stay, the rules as far as they can.
    pub fn adopted(adopted: Adopted) -> Arc<Library> {
        Arc::new(Library::read(Some(adopted)))
    }

    fn read(adopted: Option<Adopted>) -> Library {
        let mut library = Library {
            adopted,
            ..Library::default()
        };
        let mut units = Vec::new();
        let mut files: Vec<(PathBuf, &str)> = Vec::new();
        collect(&STDLIB, &mut files);
        // Types first: they are resolved in order.
        files.sort_by_key(|(path, _)| (!path.ends_with("types.imgspec"), path.clone()));
        let adopted = library.adopted.take();
        for (path, text) in files {
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
