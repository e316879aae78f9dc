//! Layers and images by what they extend: the type hierarchy, the call hierarchy with the places of the names, and how many
//! images use a layer.

use crate::lsp::index::{Declared, Key, Sort};
use crate::lsp::navigation::{Named, for_each_parent, name_at};
use crate::lsp::position::{path, uri};
use crate::lsp::server::Server;
use crate::project::Program;
use crate::project::hir::{LayerKind, SectionId};
use crate::source::Origin;
use crate::syntax;
use crate::syntax::ast::Item;
use lsp_types::{
    CallHierarchyIncomingCall, CallHierarchyItem, CallHierarchyOutgoingCall, Location, Range,
    SymbolKind, TextDocumentPositionParams, TypeHierarchyItem, Uri,
};
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
        let (Named::Section(name), _) = name_at(&spec.syntax().file, offset)? else {
            return None;
        };
        let id = spec.program.find_section(spec.file, name)?;
        Some(vec![self.hierarchy_item(&spec.program, id)?])
    }

    /// What a layer or image extends.
    pub(super) fn supertypes(&self, item: &TypeHierarchyItem) -> Option<Vec<TypeHierarchyItem>> {
        let parents = self.parents(&item.uri, &item.name)?.into_iter();
        Some(parents.map(|(parent, _)| parent).collect())
    }

    /// What extends a layer or image.
    pub(super) fn subtypes(&self, item: &TypeHierarchyItem) -> Option<Vec<TypeHierarchyItem>> {
        let children = self.children(&item.uri, &item.name)?.into_iter();
        Some(children.map(|(child, _)| child).collect())
    }

    /// The layer or image at a position, as what is called.
    pub(super) fn prepare_calls(
        &self,
        at: &TextDocumentPositionParams,
    ) -> Option<Vec<CallHierarchyItem>> {
        let items = self.prepare_hierarchy(at)?.into_iter();
        Some(items.map(as_call).collect())
    }

    /// What a layer or image extends, with the places where it names them.
    pub(super) fn outgoing(
        &self,
        item: &CallHierarchyItem,
    ) -> Option<Vec<CallHierarchyOutgoingCall>> {
        let parents = self.parents(&item.uri, &item.name)?.into_iter();
        let calls = parents.map(|(parent, from_ranges)| CallHierarchyOutgoingCall {
            to: as_call(parent),
            from_ranges,
        });
        Some(calls.collect())
    }

    /// What extends a layer or image, with the places where it is named there.
    pub(super) fn incoming(
        &self,
        item: &CallHierarchyItem,
    ) -> Option<Vec<CallHierarchyIncomingCall>> {
        let children = self.children(&item.uri, &item.name)?.into_iter();
        let calls = children.map(|(child, from_ranges)| CallHierarchyIncomingCall {
            from: as_call(child),
            from_ranges,
        });
        Some(calls.collect())
    }

    /// What a layer or image extends, each with the places where it is named, in order.
    fn parents(&self, uri: &Uri, name: &str) -> Option<Vec<Relative>> {
        let (program, id) = self.section_of(uri, name)?;
        let file = program.section(id).span.file;
        let ast = syntax::parse(file, &program.sources.get(file).text).file;
        let mut sections = ast.items.iter().filter_map(Item::section);
        // A layer that is a var file extends nothing.
        let section = sections.find(|section| section.name.span == program.section(id).span);
        let mut found: Vec<(SectionId, Vec<Range>)> = Vec::new();
        let mut add = |name: &str, span| {
            let Some(parent) = program.find_section(file, name) else {
                return;
            };
            let range = self.workspace.encoding.range_of(&program.sources, span);
            match found.iter_mut().find(|(known, _)| *known == parent) {
                Some((_, ranges)) => ranges.push(range),
                None => found.push((parent, vec![range])),
            }
        };
        if let Some(section) = section {
            for_each_parent(section, &mut add);
        }
        let items = found.into_iter().filter_map(|(parent, ranges)| {
            let item = self.hierarchy_item(&program, parent)?;
            Some((item, ranges))
        });
        Some(items.collect())
    }

    /// What extends a layer or image, each with the places where it is named: sections of the library, then those of the
    /// workspace.
    fn children(&self, uri: &Uri, name: &str) -> Option<Vec<Relative>> {
        let (program, id) = self.section_of(uri, name)?;
        let section = program.section(id);
        let is_of_library = program.sources.origin(section.span.file) == Origin::Library;
        let mut out = Vec::new();
        if is_of_library {
            let library = self.workspace.load(Vec::new());
            let id = library.find_library_section(name)?;
            for child in library.sections.ids() {
                let parents = library.section(child).extends.iter();
                let places = parents.filter(|(parent, _)| *parent == id);
                let ranges: Vec<Range> = places
                    .map(|(_, span)| self.workspace.encoding.range_of(&library.sources, *span))
                    .collect();
                if !ranges.is_empty() {
                    let item = self.hierarchy_item(&library, child);
                    out.extend(item.map(|item| (item, ranges)));
                }
            }
        }
        let file = (!is_of_library).then(|| path(uri)).flatten();
        let key: Key = (file, SmolStr::new(name));
        let family = self.workspace.family();
        for (path, at) in family.children(&key) {
            let entry = self.workspace.declared_in(path);
            let Some(child) = entry.items.get(*at) else {
                continue;
            };
            let parents = child.extends.iter().filter(|(parent, _)| parent == name);
            let ranges = parents.map(|(_, range)| *range).collect();
            out.extend(of_index(path, child).map(|item| (item, ranges)));
        }
        Some(out)
    }

    /// A section by its file and name, with the program around it.
    fn section_of(&self, uri: &Uri, name: &str) -> Option<(Program, SectionId)> {
        let path = path(uri)?;
        let specs = self.workspace.specs();
        let program = self
            .workspace
            .load(specs.into_iter().filter(|spec| *spec == path).collect());
        let own = program.specs.first().copied().flatten();
        let id = match own {
            Some(file) => program.find_section(file, name),
            None => program.find_library_section(name),
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

/// A layer or image that extends another, or is extended by it, with the places of the name.
type Relative = (TypeHierarchyItem, Vec<Range>);

/// The same item in the other hierarchy.
fn as_call(item: TypeHierarchyItem) -> CallHierarchyItem {
    CallHierarchyItem {
        name: item.name,
        kind: item.kind,
        tags: None,
        detail: item.detail,
        uri: item.uri,
        range: item.range,
        selection_range: item.selection_range,
        data: item.data,
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
