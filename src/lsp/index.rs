//! What each spec of the workspace declares: a request about all specs parses only those that changed.

use crate::lsp::navigation::for_each_parent;
use crate::lsp::position::{PositionEncoding, Positions};
use crate::project::find_include;
use crate::source::{Disk, FileId, LineIndex, Loader, Span};
use crate::syntax;
use crate::syntax::ast::{self, Item, SectionKind};
use lsp_types::Range;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The most bytes of specs that the index reads.
const MOST_READ: usize = 64 << 20;

/// What an item declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Image,
    Matrix,
    Layer,
    Provider,
    Rule,
    Probe,
    Variable,
    Type,
}

impl Sort {
    /// All sorts: first what images are made of.
    pub(super) const ALL: [Sort; 8] = [
        Sort::Image,
        Sort::Matrix,
        Sort::Layer,
        Sort::Variable,
        Sort::Type,
        Sort::Provider,
        Sort::Rule,
        Sort::Probe,
    ];

    /// The sort of an item. An `include` without a name declares nothing itself.
    pub(super) fn of(item: &Item) -> Option<Sort> {
        Some(match item {
            Item::Include(include) => {
                include.name.as_ref()?;
                Sort::Layer
            }
            Item::Test(_) | Item::Waiver(_) => return None,
            Item::Type(_) => Sort::Type,
            Item::Variable(_) => Sort::Variable,
            Item::Section(section) => match section.kind {
                SectionKind::Image => Sort::Image,
                SectionKind::Layer | SectionKind::Axis => Sort::Layer,
                SectionKind::Matrix => Sort::Matrix,
                SectionKind::Provider => Sort::Provider,
                SectionKind::Rule => Sort::Rule,
                SectionKind::Probe => Sort::Probe,
            },
        })
    }

    /// Whether other layers and images can extend it.
    pub(super) fn is_section(self) -> bool {
        matches!(self, Sort::Image | Sort::Matrix | Sort::Layer)
    }

    /// The keyword of its items.
    pub(super) fn word(self) -> &'static str {
        match self {
            Sort::Image => "image",
            Sort::Matrix => "matrix",
            Sort::Layer => "layer",
            Sort::Provider => "provider",
            Sort::Rule => "rule",
            Sort::Probe => "probe",
            Sort::Variable => "variable",
            Sort::Type => "type",
        }
    }
}

/// An item of a spec.
#[derive(Debug)]
pub(super) struct Declared {
    pub sort: Sort,
    pub name: SmolStr,
    /// The first line of its documentation.
    pub doc: Option<String>,
    /// All of its text.
    pub whole: Range,
    /// Its name in the text.
    pub own: Range,
    /// The layers and images that it extends, each with its place.
    pub extends: Vec<(SmolStr, Range)>,
}

/// An `include` of a spec.
#[derive(Debug)]
pub(super) struct Included {
    pub path: PathBuf,
    /// The path as it is written.
    pub written: SmolStr,
    /// Its place, with its quotes.
    pub place: Range,
    /// It is a var file, which becomes a layer.
    is_layer: bool,
}

/// What a spec declares and includes.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub items: Vec<Declared>,
    /// The specs and var files that it includes.
    pub includes: Vec<Included>,
    size: usize,
}

impl Entry {
    fn new(path: &Path, text: &str, ast: &ast::File, encoding: PositionEncoding) -> Entry {
        let lines = LineIndex::new(text);
        let positions = Positions::new(text, &lines, encoding);
        let includes = ast.includes().map(|include| Included {
            path: find_include(path, &include.path.text, |path| Disk.exists(path)),
            written: include.path.text.clone(),
            place: positions.range_of(include.path.span),
            is_layer: include.name.is_some(),
        });
        Entry {
            includes: includes.collect(),
            items: ast
                .items
                .iter()
                .filter_map(|item| Declared::new(item, positions))
                .collect(),
            size: text.len(),
        }
    }
}

impl Declared {
    fn new(item: &Item, positions: Positions<'_>) -> Option<Declared> {
        let (name, doc, whole): (&ast::Ident, Option<&String>, Span) = match item {
            Item::Include(include) => {
                let name = include.name.as_ref()?;
                (name, None, include.path.span.to(name.span))
            }
            Item::Type(ty) => (&ty.name, ty.doc.as_ref(), ty.name.span.to(ty.ty.span)),
            Item::Variable(variable) => {
                let name = &variable.name;
                let end = variable.default.as_ref().map(|default| default.span);
                let end = end.or(variable.ty.as_ref().map(|ty| ty.span));
                (
                    name,
                    variable.doc.as_ref(),
                    name.span.to(end.unwrap_or(name.span)),
                )
            }
            Item::Section(section) => (&section.name, section.doc.as_ref(), section.span),
            Item::Test(_) | Item::Waiver(_) => return None,
        };
        if name.text.is_empty() {
            return None;
        }
        let mut extends = Vec::new();
        if let Some(section) = item.section() {
            for_each_parent(section, &mut |parent, span| {
                extends.push((SmolStr::new(parent), positions.range_of(span)));
            });
        }
        Some(Declared {
            sort: Sort::of(item)?,
            name: name.text.clone(),
            doc: doc.and_then(|doc| doc.lines().next()).map(str::to_owned),
            whole: positions.range_of(whole.to(name.span)),
            own: positions.range_of(name.span),
            extends,
        })
    }
}

/// A layer or image: a file and a name, or only a name if no spec of the workspace declares it.
pub(super) type Key = (Option<PathBuf>, SmolStr);

/// Which layers and images extend which.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// The layers and images that extend one, each with its file and its place among the items there.
    children: FxHashMap<Key, Vec<(PathBuf, usize)>>,
}

impl Family {
    /// The layers and images that extend one.
    pub(super) fn children(&self, key: &Key) -> &[(PathBuf, usize)] {
        self.children.get(key).map_or(&[], Vec::as_slice)
    }
}

/// The specs of the workspace.
#[derive(Debug, Default)]
pub(super) struct Index {
    known: RefCell<FxHashMap<PathBuf, Rc<Entry>>>,
    family: RefCell<Option<Rc<Family>>>,
}

impl Index {
    /// Forgets what is known of a file that changed.
    pub(super) fn forget(&self, path: &Path) {
        self.known.borrow_mut().remove(path);
        self.family.take();
    }

    /// Forgets all files.
    pub(super) fn forget_all(&self) {
        self.known.borrow_mut().clear();
        self.family.take();
    }

    /// What a file declares; nothing if it cannot be read.
    pub(super) fn entry(
        &self,
        path: &Path,
        loader: &dyn Loader,
        encoding: PositionEncoding,
    ) -> Rc<Entry> {
        if let Some(entry) = self.known.borrow().get(path) {
            return entry.clone();
        }
        let text = loader.read(path).unwrap_or_default();
        let ast = syntax::parse(FileId(0), &text).file;
        let entry = Rc::new(Entry::new(path, &text, &ast, encoding));
        self.known
            .borrow_mut()
            .insert(path.to_owned(), entry.clone());
        entry
    }

    /// Takes in what a file declares, if the index does not know it. The file is parsed already.
    pub(super) fn learn(
        &self,
        path: &Path,
        text: &str,
        ast: &ast::File,
        encoding: PositionEncoding,
    ) {
        let mut known = self.known.borrow_mut();
        if !known.contains_key(path) {
            let entry = Entry::new(path, text, ast, encoding);
            known.insert(path.to_owned(), Rc::new(entry));
        }
    }

    /// What some files declare, up to a limit of their text.
    pub(super) fn entries(
        &self,
        paths: Vec<PathBuf>,
        loader: &dyn Loader,
        encoding: PositionEncoding,
    ) -> Vec<(PathBuf, Rc<Entry>)> {
        let mut left = MOST_READ;
        let mut out = Vec::with_capacity(paths.len());
        for path in paths {
            let entry = self.entry(&path, loader, encoding);
            let Some(rest) = left.checked_sub(entry.size) else {
                break;
            };
            left = rest;
            out.push((path, entry));
        }
        out
    }

    /// Which layers and images of some files extend which.
    pub(super) fn family(&self, entries: &[(PathBuf, Rc<Entry>)]) -> Rc<Family> {
        if let Some(family) = &*self.family.borrow() {
            return family.clone();
        }
        let by_path: FxHashMap<&Path, &Entry> = entries
            .iter()
            .map(|(path, entry)| (path.as_path(), &**entry))
            .collect();
        let mut family = Family::default();
        for (path, entry) in entries {
            let declared = declared_in(path, &by_path);
            for (at, item) in entry.items.iter().enumerate() {
                for (parent, _) in &item.extends {
                    let file = declared.get(parent.as_str()).map(|file| (*file).to_owned());
                    let own = family.children.entry((file, parent.clone())).or_default();
                    if own
                        .last()
                        .is_none_or(|(file, last)| (file, *last) != (path, at))
                    {
                        own.push((path.clone(), at));
                    }
                }
            }
        }
        let family = Rc::new(family);
        self.family.replace(Some(family.clone()));
        family
    }
}

/// The layers and images that a file sees, each with the file that declares it.
fn declared_in<'e>(
    path: &'e Path,
    by_path: &FxHashMap<&'e Path, &'e Entry>,
) -> FxHashMap<&'e str, &'e Path> {
    let mut out = FxHashMap::default();
    let mut seen: FxHashSet<&Path> = FxHashSet::from_iter([path]);
    let mut queue = vec![path];
    while let Some(path) = queue.pop() {
        let Some((path, entry)) = by_path.get_key_value(path) else {
            continue;
        };
        for item in entry.items.iter().filter(|item| item.sort.is_section()) {
            out.entry(item.name.as_str()).or_insert(*path);
        }
        for included in entry.includes.iter().filter(|included| !included.is_layer) {
            if seen.insert(&included.path) {
                queue.push(&included.path);
            }
        }
    }
    out
}
