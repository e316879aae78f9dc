//! Inheritance: the layers of an image, in order.

use crate::diagnostic::{Code, Diagnostic};
use crate::project::Program;
use crate::project::hir::Table;
use crate::project::hir::*;
use crate::source::{MAX_LAYERS, Span};

/// The ancestors of a section and itself, weakest first: depth first over `extends`, each at its
/// first place, so that a child is stronger than its parents and the last-named parent strongest.
pub fn linearize(sections: &Table<SectionId, Section>, start: SectionId) -> Vec<SectionId> {
    let mut out = Vec::new();
    let mut seen = rustc_hash::FxHashSet::default();
    let mut stack = vec![(start, 0)];
    seen.insert(start);
    while let Some((at, next)) = stack.pop() {
        match sections[at].extends.get(next) {
            Some((parent, _)) => {
                stack.push((at, next + 1));
                if seen.insert(*parent) {
                    stack.push((*parent, 0));
                }
            }
            None => out.push(at),
        }
    }
    out
}

impl Program {
    /// The images among some that extend a layer or image of this name, at any depth. None if nothing has the name.
    pub fn users_of(&self, name: &str, images: &[SectionId]) -> Option<Vec<SectionId>> {
        let has_name = |section: &Section| {
            let is_internal = matches!(section.kind, LayerKind::Axis | LayerKind::Argument);
            section.name == name && !is_internal
        };
        let sections = self.sections.pairs();
        let named: Vec<SectionId> = sections
            .filter(|(_, section)| has_name(section))
            .map(|(id, _)| id)
            .collect();
        let uses = |id: &&SectionId| {
            let layers = linearize(&self.sections, **id);
            layers
                .iter()
                .any(|layer| layer != *id && named.contains(layer))
        };
        (!named.is_empty()).then(|| images.iter().filter(uses).copied().collect())
    }

    /// Takes out of what was found for an image what follows from a mistake in its text: what a parent that is not
    /// there, or a setting that could not be read, would have said.
    pub fn drop_consequences(&self, image: SectionId, found: &mut Vec<Diagnostic>) {
        let may_follow =
            |d: &Diagnostic| matches!(d.code, Code::NoTarget | Code::Required | Code::UnsetFact);
        if !found.iter().any(may_follow) {
            return;
        }
        let order = linearize(&self.sections, image);
        let sections = || order.iter().map(|id| self.section(*id));
        let errors = || self.diagnostics.iter().filter(|d| d.is_error());
        let lacks_parent = sections().any(|s| s.lacks_parent)
            || errors().any(|d| sections().any(|s| self.is_on_line_of(d, s)));
        let is_unread = |d: &Diagnostic| {
            matches!(
                d.code,
                Code::Syntax | Code::Unclosed | Code::UnknownVariable | Code::RemovedVariable
            )
        };
        let lacks_setting = errors().filter(|d| is_unread(d)).any(|d| {
            let at = d.primary.span;
            sections().any(|s| {
                s.whole.file == at.file && s.whole.start <= at.start && at.end <= s.whole.end
            })
        });
        found.retain(|d| match d.code {
            Code::NoTarget | Code::UnsetFact => !lacks_parent,
            Code::Required => !lacks_parent && !lacks_setting,
            _ => true,
        });
    }

    /// True where a diagnostic is on the line that names a section.
    fn is_on_line_of(&self, found: &Diagnostic, section: &Section) -> bool {
        let (a, b) = (found.primary.span, section.span);
        let between = Span::new(a.file, a.start.min(b.start), a.start.max(b.start));
        a.file == b.file
            && found.code == Code::Syntax
            && !self.sources.slice(between).contains('\n')
    }
}

/// Layers that extend each other in a circle: an error that shows it. [`linearize`] copes.
pub(crate) fn find_cycles(sections: &Table<SectionId, Section>) -> Vec<Diagnostic> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    // What a library has found in its own layers is among its diagnostics, and they extend no others.
    let mut states = Table::filled(sections, State::Done);
    for id in sections.own_ids() {
        states[id] = State::New;
    }
    let mut found = Vec::new();
    for start in sections.own_ids() {
        if states[start] != State::New {
            continue;
        }
        let mut path: Vec<(SectionId, usize)> = vec![(start, 0)];
        states[start] = State::Open;
        while let Some((at, next)) = path.pop() {
            let Some((parent, span)) = sections[at].extends.get(next) else {
                states[at] = State::Done;
                continue;
            };
            path.push((at, next + 1));
            let parent = *parent;
            match states[parent] {
                State::New => {
                    states[parent] = State::Open;
                    path.push((parent, 0));
                }
                State::Open => {
                    let from = path.iter().position(|(p, _)| *p == parent).unwrap_or(0);
                    let circle = path
                        .iter()
                        .skip(from)
                        .map(|(section, _)| *section)
                        .chain([parent]);
                    let names: Vec<&str> = circle.map(|id| sections[id].name.as_str()).collect();
                    let message = format!("these layers extend each other: {}", names.join(" → "));
                    found.push(
                        Diagnostic::new(Code::ExtendsCycle, *span, message)
                            .label("this closes the cycle"),
                    );
                }
                State::Done => {}
            }
        }
    }
    found
}

/// What a layer of an image's stack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StackLayer {
    /// The template's own defaults.
    Provider(ProviderId),
    /// A layer or image, `--set`, or a JSON var file.
    Section(SectionId),
    /// The `vars` of the target, held by this image.
    TargetVars(SectionId),
}

/// The place of a layer in a stack. A greater one is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerIdx(u32);

/// The part of a stack that a layer belongs to, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Region {
    /// The defaults of the provider's template.
    Provider,
    /// What the target extends, and the var files that make names before the target's own.
    BelowTarget,
    /// The image that holds the target.
    Target,
    /// What extends the target: the image, and its other layers.
    AboveTarget,
    /// `--set` and `PACKER_VAR_FILES`.
    Command,
    /// What the target passes to Packer itself, which wins over every file.
    Fixed,
}

/// The layers of an image without the image itself. Images with equal ones differ only in what they set themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Family(Vec<(Region, Option<StackLayer>)>);

/// The layers that two stacks have in common at their beginnings and at their ends.
#[derive(Debug, Clone, Copy)]
pub struct Shared {
    /// The number of layers at the beginnings.
    below: u32,
    /// The places of the layers of the first stack that are not shared end here.
    end: u32,
    /// The same for the second stack.
    other_end: u32,
}

impl Shared {
    /// The places of the layers that only the first stack has.
    pub fn places(self) -> impl Iterator<Item = LayerIdx> {
        (self.below..self.end).map(LayerIdx)
    }

    /// The places of the layers that only the second stack has.
    pub fn other_places(self) -> impl Iterator<Item = LayerIdx> {
        (self.below..self.other_end).map(LayerIdx)
    }

    /// The place in the second stack of a layer of the first one, if they share it.
    pub fn other(self, at: LayerIdx) -> Option<LayerIdx> {
        if at.0 < self.below {
            return Some(at);
        }
        Some(LayerIdx(at.0.checked_sub(self.end)? + self.other_end))
    }
}

/// The layers of an image, weakest first. The variables' own defaults are below all of them.
#[derive(Debug, Clone)]
pub struct Stack {
    layers: Vec<(Region, StackLayer)>,
    /// The image that holds the target.
    pub target: SectionId,
}

impl Stack {
    /// A layer by its place.
    pub fn layer(&self, at: LayerIdx) -> Option<StackLayer> {
        self.layers.get(at.0 as usize).map(|(_, layer)| *layer)
    }

    /// The region of a layer.
    pub fn region(&self, at: LayerIdx) -> Region {
        let found = self.layers.get(at.0 as usize);
        found.map_or(Region::Provider, |(region, _)| *region)
    }

    /// Returns the layers without the image itself.
    pub fn family(&self, image: SectionId) -> Family {
        let own = StackLayer::Section(image);
        let layer = |layer: &StackLayer| Some(*layer).filter(|layer| *layer != own);
        let layers = self.layers.iter();
        Family(layers.map(|(region, at)| (*region, layer(at))).collect())
    }

    /// Finds the layers that another stack has, too.
    pub fn shared(&self, other: &Stack) -> Shared {
        let (a, b) = (&self.layers, &other.layers);
        let is_same = |(a, b): &(_, _)| a == b;
        let below = a.iter().zip(b).take_while(is_same).count();
        let rest = a.len().min(b.len()) - below;
        let above = a.iter().rev().zip(b.iter().rev()).take(rest);
        let above = above.take_while(is_same).count();
        Shared {
            below: below as u32,
            end: (a.len() - above) as u32,
            other_end: (b.len() - above) as u32,
        }
    }

    /// The places of all layers, weakest first.
    pub fn places(&self) -> impl ExactSizeIterator<Item = LayerIdx> + use<> {
        (0..self.layers.len() as u32).map(LayerIdx)
    }

    /// Puts a layer above all that the project and the command line set.
    pub fn put_above(&mut self, layer: SectionId) {
        let is_below = |(region, _): &(Region, StackLayer)| *region <= Region::Command;
        let at = self.layers.partition_point(is_below);
        let layer = (Region::Command, StackLayer::Section(layer));
        self.layers.insert(at, layer);
    }

    /// The layers of some regions, weakest first.
    pub fn layers_in(
        &self,
        is_wanted: impl Fn(Region) -> bool,
    ) -> impl Iterator<Item = StackLayer> {
        let all = self.layers.iter();
        all.filter(move |(region, _)| is_wanted(*region))
            .map(|(_, layer)| *layer)
    }

    /// Builds the stack of an image.
    ///
    /// # Errors
    /// `no-target` or `two-targets`.
    pub fn new(
        program: &Program,
        image: SectionId,
        provider: Option<ProviderId>,
    ) -> Result<Stack, Box<Diagnostic>> {
        let order = linearize(&program.sections, image);
        if order.len() > MAX_LAYERS {
            let section = program.section(image);
            let message = format!(
                "the image `{}` has more than {MAX_LAYERS} layers",
                section.name
            );
            return Err(Box::new(
                Diagnostic::new(Code::TooLarge, section.span, message)
                    .help("join some of the layers that it extends"),
            ));
        }
        let target = find_target(program, image, &order)?;
        let own = program.section(target).target.as_ref().map(|t| t.provider);
        let mut layers = Vec::with_capacity(order.len() + program.overlays.len() + 2);
        let mut add = |region: Region, layer: StackLayer| layers.push((region, layer));
        if let Some(provider) = provider.or(own) {
            add(Region::Provider, StackLayer::Provider(provider));
        }
        let common = order.iter().take_while(|id| **id != target).enumerate();
        let common = common
            .filter(|(_, id)| is_common_file(program.section(**id)))
            .last();
        let (below, rest) = order.split_at(common.map_or(0, |(at, _)| at + 1));
        for id in below.iter().chain(&program.flag_files) {
            add(Region::BelowTarget, StackLayer::Section(*id));
        }
        let mut region = Region::BelowTarget;
        for id in rest {
            if *id == target {
                add(Region::Target, StackLayer::Section(*id));
                region = Region::AboveTarget;
            } else {
                add(region, StackLayer::Section(*id));
            }
        }
        for id in &program.overlays {
            add(Region::Command, StackLayer::Section(*id));
        }
        if provider.is_none() {
            let above = program.section(target).target.as_ref();
            let above = above.map_or(&[][..], |t| &t.above);
            for id in above.iter().map(|(id, _)| id).chain(&program.flags) {
                add(Region::Fixed, StackLayer::Section(*id));
            }
            add(Region::Fixed, StackLayer::TargetVars(target));
        }
        Ok(Stack { layers, target })
    }
}

/// True for the layer of a var file that Image Builder's Makefile names before `PACKER_FLAGS`: those in
/// `packer/config`, which all targets share (`PACKER_NODE_FLAGS`). The files of a provider and a system follow.
fn is_common_file(section: &Section) -> bool {
    section
        .doc
        .as_deref()
        .is_some_and(|doc| doc.starts_with("packer/config/"))
}

/// The one target of an image: the one that overrides all others among its ancestors.
fn find_target(
    program: &Program,
    image: SectionId,
    order: &[SectionId],
) -> Result<SectionId, Box<Diagnostic>> {
    let section = program.section(image);
    let holders: Vec<SectionId> = order
        .iter()
        .copied()
        .filter(|s| program.section(*s).target.is_some())
        .collect();
    let Some(&last) = holders.last() else {
        let message = match program.matrix_of(image) {
            Some(id) => format!(
                "the images of the matrix `{}` have no target",
                program.section(id).name
            ),
            None => format!("the image `{}` has no target", section.name),
        };
        return Err(Box::new(
            Diagnostic::new(Code::NoTarget, section.span, message)
                .label("an image needs a target to be built")
                .help("extend a target (`imgspec list --targets` lists them), or write `target { provider = NAME }`"),
        ));
    };
    if let Some(reason) = program.refusal(last) {
        let target = program.section(last);
        return Err(Box::new(
            Diagnostic::new(
                Code::RefusedTarget,
                section.span,
                format!("the target `{}` cannot be built: {reason}", target.name),
            )
            .label("this image uses the target")
            .help("fix the cause, or extend another target (`imgspec list --targets` shows all)"),
        ));
    }
    let above = linearize(&program.sections, last);
    let Some(other) = holders.iter().find(|h| !above.contains(h)) else {
        return Ok(last);
    };
    let (a, b) = (program.section(*other), program.section(last));
    Err(Box::new(
        Diagnostic::new(
            Code::TwoTargets,
            section.span,
            format!(
                "the image `{}` has two targets: `{}` and `{}`",
                section.name, a.name, b.name
            ),
        )
        .related(a.span, "the first target")
        .related(b.span, "the second target")
        .help("extend only one of them, and move the other settings into layers"),
    ))
}
