//! Layers and images by what they extend: the type hierarchy, and how many images use a layer.

use crate::lsp::index::{Declared, Key, Sort};
use crate::lsp::navigation::{Named, name_at};
use crate::lsp::position::{path, uri};
use crate::lsp::server::Server;
use crate::project::Program;
use crate::project::hir::{LayerKind, SectionId};
use crate::source::Origin;
use lsp_types::{Location, SymbolKind, TextDocumentPositionParams, TypeHierarchyItem};
use rustc_hash::FxHashSet;
use smol_str::SmolStr;
use std::path::{Path, PathBuf};

impl Server {
    /// The layer or image at a position.
    pub(super) fn prepare_hierarchy(
        &self,
        at: &TextDocumentPositionParams,
    ) -> Option<Vec<TypeHierarchyItem>> {
        let (spec, offset) = self.spec_at(at)?;
        let (Named::Section(name), _) = name_at(&spec.parse().file, offset)? else {
            return None;
        };
        let id = spec.program.find_section(spec.file, name)?;
        Some(vec![self.hierarchy_item(&spec.program, id)?])
    }

    /// What a layer or image extends.
    pub(super) fn supertypes(&self, item: &TypeHierarchyItem) -> Option<Vec<TypeHierarchyItem>> {
        let (program, id) = self.section_of(item)?;
        let parents = program.section(id).extends.iter();
        let items = parents.filter_map(|(parent, _)| self.hierarchy_item(&program, *parent));
        Some(items.collect())
    }

    /// What extends a layer or image: sections of the library, then those of the workspace.
    pub(super) fn subtypes(&self, item: &TypeHierarchyItem) -> Option<Vec<TypeHierarchyItem>> {
        let (program, id) = self.section_of(item)?;
        let section = program.section(id);
        let is_of_library = program.sources.origin(section.span.file) == Origin::Library;
        let mut out = Vec::new();
        if is_of_library {
            let library = self.workspace.load(Vec::new());
            let id = library.find_library_section(&item.name)?;
            let ids = library.sections.ids();
            let children = ids.filter(|child| {
                let mut parents = library.section(*child).extends.iter();
                parents.any(|(parent, _)| *parent == id)
            });
            out.extend(children.filter_map(|child| self.hierarchy_item(&library, child)));
        }
        let file = (!is_of_library).then(|| path(&item.uri)).flatten();
        let key: Key = (file, SmolStr::new(&item.name));
        let family = self.workspace.family();
        for (path, at) in family.children(&key) {
            let entry = self.workspace.declared_in(path);
            out.extend(entry.items.get(*at).and_then(|child| of_index(path, child)));
        }
        Some(out)
    }

    /// The section of an item, with the program around it.
    fn section_of(&self, item: &TypeHierarchyItem) -> Option<(Program, SectionId)> {
        let path = path(&item.uri)?;
        let specs = self.workspace.specs();
        let program = self
            .workspace
            .load(specs.into_iter().filter(|spec| *spec == path).collect());
        let own = program.specs.first().copied().flatten();
        let id = match own {
            Some(file) => program.find_section(file, &item.name),
            None => program.find_library_section(&item.name),
        };
        id.map(|id| (program, id))
    }

    fn hierarchy_item(&self, program: &Program, id: SectionId) -> Option<TypeHierarchyItem> {
        let section = program.section(id);
        let Location { uri, range } = self.location(program, section.span)?;
        let whole = self
            .workspace
            .encoding
            .range_of(&program.sources, section.whole);
        let sort = match section.kind {
            LayerKind::Image => Sort::Image,
            LayerKind::Matrix => Sort::Matrix,
            _ => Sort::Layer,
        };
        let doc = section.doc.as_deref().and_then(|doc| doc.lines().next());
        Some(TypeHierarchyItem {
            name: section.name.to_string(),
            kind: symbol_kind(sort),
            tags: None,
            detail: doc.map(str::to_owned),
            uri,
            range: if whole.start <= range.start && range.end <= whole.end {
                whole
            } else {
                range
            },
            selection_range: range,
            data: None,
        })
    }

    /// The numbers of images and of matrices that extend a section, however deep.
    pub(super) fn users(&self, path: &Path, name: &str) -> (usize, usize) {
        let family = self.workspace.family();
        let start: Key = (Some(path.to_owned()), SmolStr::new(name));
        let mut seen: FxHashSet<(PathBuf, usize)> = FxHashSet::default();
        let mut queue = vec![start];
        let (mut images, mut matrices) = (0, 0);
        while let Some(key) = queue.pop() {
            for (path, at) in family.children(&key) {
                let entry = self.workspace.declared_in(path);
                let Some(child) = entry.items.get(*at) else {
                    continue;
                };
                if seen.insert((path.clone(), *at)) {
                    images += usize::from(child.sort == Sort::Image);
                    matrices += usize::from(child.sort == Sort::Matrix);
                    queue.push((Some(path.clone()), child.name.clone()));
                }
            }
        }
        (images, matrices)
    }
}

fn of_index(path: &Path, declared: &Declared) -> Option<TypeHierarchyItem> {
    Some(TypeHierarchyItem {
        name: declared.name.to_string(),
        kind: symbol_kind(declared.sort),
        tags: None,
        detail: declared.doc.clone(),
        uri: uri(path)?,
        range: declared.whole,
        selection_range: declared.own,
        data: None,
    })
}

/// How editors show an item.
pub(super) fn symbol_kind(sort: Sort) -> SymbolKind {
    match sort {
        Sort::Image | Sort::Matrix => SymbolKind::CLASS,
        Sort::Layer => SymbolKind::MODULE,
        Sort::Provider => SymbolKind::INTERFACE,
        Sort::Rule | Sort::Probe => SymbolKind::EVENT,
        Sort::Variable => SymbolKind::VARIABLE,
        Sort::Type => SymbolKind::TYPE_PARAMETER,
    }
}
