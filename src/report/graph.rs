//! What extends what, and which file includes which.

use crate::project::hir::{LayerKind, SectionId};
use crate::project::{Program, place_in_checkout};
use crate::source::{FileId, MAX_DRAWN, Span, visible_line};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};

/// From how many images on those that extend the same and that nothing extends are one node.
const ALIKE: usize = 7;

/// How many arrows are collected before equal ones are joined. Projects have a few for each image.
const MAX_EDGES: usize = 500_000;

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A layer or an image of the library.
    Library,
    /// A layer of the project.
    Layer,
    /// A JSON var file as a layer.
    VarFile,
    /// All images of a matrix.
    Matrix,
    /// An image of the project.
    Image,
    /// Several images that extend the same.
    Images,
    /// A file.
    File,
}

impl Kind {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Library => "library",
            Kind::Layer => "layer",
            Kind::VarFile => "JSON",
            Kind::Matrix => "matrix",
            Kind::Image => "image",
            Kind::Images => "images",
            Kind::File => "file",
        }
    }
}

/// A thing in the graph. Invisible characters are escaped in all texts.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What is known besides, on a second line: where it is declared, or which images there are.
    pub note: String,
    /// The names of the images that it stands for, in their order.
    pub images: Vec<String>,
}

/// An arrow between two nodes, by their places: from what is extended or included.
pub type Edge = (usize, usize);

/// Nodes and arrows. What is extended comes before what extends it, wherever it can.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The arrows, sorted.
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Collects the layers of images. Of the library there is only what the project extends, or the whole way to its root if
    /// the images are the library's own. None if there are far too many arrows for a picture.
    pub fn of_layers(program: &Program, images: &[SectionId]) -> Option<Graph> {
        let mut draft = Draft {
            program,
            at: FxHashMap::default(),
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        for id in images {
            draft.add(*id);
            if draft.edges.len() > MAX_EDGES {
                return None;
            }
        }
        Some(draft.finish(images))
    }

    /// Returns the graph without the nodes that are one image or more.
    pub fn without_images(&self) -> Graph {
        let is_kept = |node: &Node| !matches!(node.kind, Kind::Image | Kind::Images);
        let mut place = Vec::with_capacity(self.nodes.len());
        let mut nodes = Vec::new();
        for node in &self.nodes {
            place.push(is_kept(node).then_some(nodes.len()));
            if is_kept(node) {
                nodes.push(node.clone());
            }
        }
        let to = |at: usize| place.get(at).copied().flatten();
        let edges = self.edges.iter();
        let edges = edges.filter_map(|(from, at)| Some((to(*from)?, to(*at)?)));
        Graph {
            nodes,
            edges: edges.collect(),
        }
    }

    /// Collects the files of images, and which includes which. A file that is there through another one has no arrow of its
    /// own. None if there are more than [`MAX_DRAWN`] files.
    pub fn of_files(program: &Program, images: &[SectionId]) -> Option<Graph> {
        let mut files: Vec<FileId> = Vec::new();
        let mut known = FxHashSet::default();
        for id in images {
            let own = program.section(*id).span.file;
            if known.contains(&own) {
                continue;
            }
            let view = program.views.get(&own).map_or(&[][..], |view| &view.files);
            let all = view.iter().copied().chain([own]);
            files.extend(all.filter(|file| known.insert(*file)));
        }
        if files.len() > MAX_DRAWN {
            return None;
        }
        let place: FxHashMap<FileId, usize> =
            files.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let all_of = |file: &FileId| {
            let view = program.views.get(file);
            view.map_or(&[][..], |view| view.files.as_slice())
        };
        let mut edges = Vec::new();
        for (at, file) in files.iter().enumerate() {
            // Each file is behind those that it includes.
            let mut through = FxHashSet::from_iter([*file]);
            for other in all_of(file).iter().rev() {
                if through.insert(*other) {
                    edges.extend(place.get(other).map(|from| (*from, at)));
                    through.extend(all_of(other));
                }
            }
        }
        let mut counts: FxHashMap<FileId, usize> = FxHashMap::default();
        for id in images {
            *counts.entry(program.section(*id).span.file).or_default() += 1;
        }
        let nodes = files.iter().map(|file| Node {
            kind: Kind::File,
            name: program.sources.name(*file),
            note: match counts.get(file) {
                None => String::new(),
                Some(1) => "1 image".to_owned(),
                Some(count) => format!("{count} images"),
            },
            images: Vec::new(),
        });
        Some(sorted(nodes.collect(), edges))
    }
}

/// A graph that is being made.
struct Draft<'p> {
    program: &'p Program,
    /// The node of each layer and image.
    at: FxHashMap<SectionId, usize>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Draft<'_> {
    /// Adds an image and all that it extends.
    fn add(&mut self, image: SectionId) {
        if self.at.contains_key(&image) {
            return;
        }
        let is_of_library = self.is_of_library(image);
        // What is left to do, with the next of its parents: names can be nested deeply.
        let mut open = vec![(image, self.parents(image, is_of_library), 0)];
        let mut begun = FxHashSet::from_iter([image]);
        while let Some((id, parents, next)) = open.pop() {
            match parents.get(next).copied() {
                Some(parent) => {
                    open.push((id, parents, next + 1));
                    if !self.at.contains_key(&parent) && begun.insert(parent) {
                        open.push((parent, self.parents(parent, is_of_library), 0));
                    }
                }
                None => self.place(id, &parents),
            }
        }
    }

    /// What a section extends, without the values of axes and the matrix that it is of.
    fn parents(&self, id: SectionId, is_of_library: bool) -> Vec<SectionId> {
        if self.is_of_library(id) && !is_of_library {
            return Vec::new();
        }
        let matrix = self.program.matrix_of(id);
        let section = self.program.section(id);
        let parents = section.extends.iter().map(|(parent, _)| *parent);
        let is_meant = |parent: &SectionId| {
            Some(*parent) != matrix && self.program.section(*parent).kind != LayerKind::Axis
        };
        parents.filter(is_meant).collect()
    }

    fn is_of_library(&self, id: SectionId) -> bool {
        let file = self.program.section(id).span.file;
        !self.program.sources.is_users(file)
    }

    /// Gives a section a node, whose parents have theirs.
    fn place(&mut self, id: SectionId, parents: &[SectionId]) {
        let section = self.program.section(id);
        let is_image = section.kind == LayerKind::Image;
        let shown = self.program.matrix_of(id).unwrap_or(id);
        let at = match self.at.get(&shown) {
            Some(at) => *at,
            None => {
                let node = self.node(shown);
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.at.insert(shown, at);
        self.at.insert(id, at);
        if is_image && let Some(node) = self.nodes.get_mut(at) {
            node.images.push(visible_line(&section.name).into_owned());
        }
        let parents = parents.iter().filter_map(|parent| self.at.get(parent));
        self.edges
            .extend(parents.map(|from| (*from, at)).filter(|(a, b)| a != b));
    }

    fn node(&self, id: SectionId) -> Node {
        let section = self.program.section(id);
        let kind = match section.kind {
            _ if self.is_of_library(id) => Kind::Library,
            LayerKind::Image => Kind::Image,
            LayerKind::Matrix => Kind::Matrix,
            LayerKind::Json | LayerKind::Argument => Kind::VarFile,
            LayerKind::Layer | LayerKind::Axis => Kind::Layer,
        };
        Node {
            kind,
            name: visible_line(&section.name).into_owned(),
            note: place(self.program, section.span),
            images: Vec::new(),
        }
    }

    fn finish(mut self, images: &[SectionId]) -> Graph {
        for node in self.nodes.iter_mut().filter(|n| n.kind == Kind::Matrix) {
            node.note = format!("{}, {}", count(node.images.len()), node.note);
        }
        let join = self.alike(images);
        let mut place: Vec<usize> = Vec::with_capacity(self.nodes.len());
        let mut nodes: Vec<Node> = Vec::new();
        for (at, node) in self.nodes.into_iter().enumerate() {
            let first = join.get(&at).copied().unwrap_or(at);
            match place.get(first).copied() {
                Some(to) => {
                    place.push(to);
                    if let Some(joined) = nodes.get_mut(to) {
                        joined.images.extend(node.images);
                    }
                }
                None => {
                    place.push(nodes.len());
                    let is_joined = join.contains_key(&at);
                    nodes.push(Node {
                        kind: if is_joined { Kind::Images } else { node.kind },
                        ..node
                    });
                }
            }
        }
        for node in nodes.iter_mut().filter(|n| n.kind == Kind::Images) {
            node.name = count(node.images.len());
            let ends = [node.images.first(), node.images.last()];
            let ends: Vec<&str> = ends.into_iter().flatten().map(String::as_str).collect();
            node.note = ends.join(" … ");
        }
        let to = |at: usize| place.get(at).copied();
        let edges = self.edges.iter();
        let edges = edges.filter_map(|(from, at)| Some((to(*from)?, to(*at)?)));
        sorted(nodes, edges.collect())
    }

    /// For each node that becomes one with others, the first of these.
    fn alike(&self, images: &[SectionId]) -> FxHashMap<usize, usize> {
        let extended: FxHashSet<usize> = self.edges.iter().map(|(from, _)| *from).collect();
        let mut parents: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for (from, at) in &self.edges {
            parents.entry(*at).or_default().push(*from);
        }
        let mut groups: BTreeMap<&[usize], Vec<usize>> = BTreeMap::new();
        for at in images.iter().filter_map(|id| self.at.get(id)) {
            let kind = self.nodes.get(*at).map(|node| node.kind);
            if kind == Some(Kind::Image) && !extended.contains(at) {
                let of = parents.get(at).map_or(&[][..], Vec::as_slice);
                groups.entry(of).or_default().push(*at);
            }
        }
        let mut join = FxHashMap::default();
        for mut group in groups.into_values() {
            group.sort_unstable();
            group.dedup();
            if let Some(first) = group.first().copied().filter(|_| group.len() >= ALIKE) {
                join.extend(group.iter().map(|at| (*at, first)));
            }
        }
        join
    }
}

/// "12 images"
fn count(images: usize) -> String {
    let plural = if images == 1 { "" } else { "s" };
    format!("{images} image{plural}")
}

/// The file and line of a declaration.
fn place(program: &Program, span: Span) -> String {
    let span = place_in_checkout(program, span);
    let line = program.sources.position(span.file, span.start).line;
    format!("{}:{line}", program.sources.name(span.file))
}

/// Puts nodes into an order in which each follows those with an arrow to it. The images of two matrices can extend each other;
/// then the first one comes first.
fn sorted(nodes: Vec<Node>, mut edges: Vec<Edge>) -> Graph {
    edges.sort_unstable();
    edges.dedup();
    let mut waits = vec![0_usize; nodes.len()];
    let mut next: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
    for (from, to) in &edges {
        if let Some(waiting) = waits.get_mut(*to) {
            *waiting += 1;
        }
        next.entry(*from).or_default().push(*to);
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len())
        .filter(|at| waits.get(*at) == Some(&0))
        .collect();
    let mut left: BTreeSet<usize> = (0..nodes.len()).collect();
    let mut place = vec![0; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = ready.pop_first().or_else(|| left.first().copied()) {
        left.remove(&at);
        if let Some(place) = place.get_mut(at) {
            *place = order.len();
        }
        order.push(at);
        for to in next.get(&at).map_or(&[][..], Vec::as_slice) {
            if let Some(waiting) = waits.get_mut(*to) {
                *waiting = waiting.saturating_sub(1);
                if *waiting == 0 && left.contains(to) {
                    ready.insert(*to);
                }
            }
        }
    }
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let nodes = order
        .iter()
        .filter_map(|at| nodes.get_mut(*at).and_then(Option::take));
    let nodes = nodes.collect();
    let to = |at: usize| place.get(at).copied();
    let edges = edges.iter();
    let mut edges: Vec<Edge> = edges
        .filter_map(|(from, at)| Some((to(*from)?, to(*at)?)))
        .collect();
    edges.sort_unstable();
    Graph { nodes, edges }
}
