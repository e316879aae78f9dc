//! Images that differ from one another only in what they set themselves.
//!
//! In a fleet many images extend the same layers. One of them becomes a [`Model`] when it is evaluated. Another one has
//! the model's values, but for the variables that the two set themselves and for what depends on these. So evaluating it
//! takes as long as what it sets, not as long as the layers.
//!
//! [`Model::evaluate`] gives what [`super::evaluate`] would, or nothing: an image about which anything is reported is
//! evaluated alone.

use crate::eval::activate::holds_at;
use crate::eval::interpret::Interpret;
use crate::eval::{Active, Evaluator, Image, State};
use crate::project::hir::*;
use crate::project::{Program, Stack, Table};
use crate::schema::Value;
use crate::source::{FileId, MAX_CHAIN, MAX_WORK};
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

/// An evaluated image about which nothing was reported, with what other images need to know of it.
#[derive(Debug)]
pub struct Model<'p> {
    program: &'p Program,
    file: FileId,
    provider: ProviderId,
    /// The place of the image itself among its layers.
    own: LayerIdx,
    /// The variables that the image itself sets.
    own_set: Vec<VarId>,
    active: Vec<Active<'p>>,
    values: Table<VarId, Option<Value>>,
    user_set: Table<VarId, bool>,
    /// The variables that the file of the image sees besides the library's.
    seen: Table<VarId, bool>,
    /// The variables that an image sees that sets nothing itself.
    ids: Vec<VarId>,
    /// The variables that depend on a variable, by any setting that holds.
    readers: Table<VarId, Vec<VarId>>,
    /// The variables whose `applies` depends on a variable.
    conditional: Table<VarId, Vec<VarId>>,
    /// The rules that depend on a variable.
    rules: Table<VarId, Vec<RuleId>>,
    /// What each value depends on.
    dependencies: Table<VarId, Vec<VarId>>,
    /// The longest chain of variables that depend on each other.
    depth: usize,
    /// The bytes that the image's expressions have read and made.
    work: usize,
}

/// An image that was evaluated with the help of a [`Model`].
#[derive(Debug)]
pub struct Kin<'p> {
    /// The image. Its `removals` are those of `changed`.
    pub image: Image<'p>,
    /// The variables whose values can differ from the model's, in order. For all others the two have the same settings.
    pub changed: Vec<VarId>,
    /// Each value depends on the same variables as the model's does.
    pub depends_alike: bool,
}

impl<'p> Model<'p> {
    /// Makes a model of an image; none where something was reported about it, or its target is its own.
    pub fn new(image: &Image<'p>) -> Option<Model<'p>> {
        let program = image.program;
        let (_, own) = image.stack.family(image.section)?;
        let is_broken = image.broken.iter().any(|is_broken| *is_broken);
        // Rules over a checkout's own values, and what its strings name, depend on more than is known here.
        if !image.diagnostics.is_empty()
            || !image.underived.is_empty()
            || is_broken
            || program.is_upstream
        {
            return None;
        }
        let variables = &program.variables;
        let file = program.section(image.section).span.file;
        let mut seen = Table::filled(variables, false);
        for (id, _) in program.views.get(&file).into_iter().flat_map(|view| view.names.variables.values()) {
            seen[*id] = true;
        }
        let mut is_common = Table::filled(variables, false);
        for (id, _) in program.library.variables.values() {
            is_common[*id] = true;
        }
        let mut own_set = Vec::new();
        for active in &image.active {
            if active.layer == own {
                own_set.push(active.setting.variable);
            } else {
                is_common[active.setting.variable] = true;
            }
        }
        let mut readers = Table::filled(variables, Vec::new());
        let mut conditional = Table::filled(variables, Vec::new());
        let mut dependencies = Table::filled(variables, Vec::new());
        for (id, variable) in variables.pairs() {
            let mut read = |other: VarId| readers[other].push(id);
            for active in image.settings(id) {
                active.setting.value.for_each_variable(&mut read);
            }
            if let Some(default) = &variable.default {
                default.for_each_variable(&mut read);
            }
            program.aliases_of(id).iter().copied().for_each(read);
            if let Some(applies) = &variable.applies {
                applies.for_each_variable(&mut |other| conditional[other].push(id));
            }
            dependencies[id] = image.dependencies(id);
        }
        let mut rules = Table::filled(variables, Vec::new());
        for id in program.rules_for(file) {
            let condition = &program.rules[id].condition;
            condition.for_each_variable(&mut |other| rules[other].push(id));
        }
        let ids = variables.ids().filter(|id| is_common[*id] || seen[*id]).collect();
        Some(Model {
            program,
            file,
            provider: image.provider,
            own,
            own_set,
            active: image.active.clone(),
            values: Table::new(image.values.iter().cloned().collect()),
            user_set: Table::new(image.user_set.iter().copied().collect()),
            seen,
            ids,
            readers,
            conditional,
            rules,
            depth: find_depth(&dependencies)?,
            dependencies,
            work: image.work.get(),
        })
    }

    /// True where a file sees the same variables and rules as that of the model.
    pub fn is_for(&self, file: FileId) -> bool {
        let views = &self.program.views;
        if file == self.file {
            return true;
        }
        match (views.get(&file), views.get(&self.file)) {
            (None, None) => true,
            (Some(view), Some(own)) => {
                let (view, own) = (&view.names, &own.names);
                view.variables.len() == own.variables.len()
                    && view.rules.len() == own.rules.len()
                    && view.variables.values().all(|(id, _)| self.seen[*id])
                    && view.rules.iter().all(|(name, rule)| own.rules.get(name) == Some(rule))
            }
            _ => false,
        }
    }

    /// The value that the model has.
    pub fn value(&self, id: VarId) -> Option<&Value> {
        self.values.find(id)?.as_ref()
    }

    /// Evaluates an image of the same family, whose file sees the same; none where anything may have to be reported.
    pub fn evaluate(&self, section: SectionId, stack: Stack) -> Option<Kin<'p>> {
        let program = self.program;
        let own = program.section(section);
        let mut is_changed = Table::filled(&program.variables, false);
        let mut changed = Vec::new();
        let mut open = self.own_set.clone();
        open.extend(own.settings.iter().map(|setting| setting.variable));
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut is_changed[id], true) {
                continue;
            }
            // With a fact the conditions of all layers change.
            if program.variable(id).is_fact {
                return None;
            }
            changed.push(id);
            open.extend(&self.readers[id]);
        }
        changed.sort_unstable();
        if changed.len() + self.depth > MAX_CHAIN {
            return None;
        }
        let mut values = Table::new(self.values.iter().cloned().collect());
        let mut states = Table::filled(&program.variables, State::Done);
        for id in &changed {
            values[*id] = None;
            states[*id] = State::New;
        }
        let image = Image {
            program,
            section,
            stack,
            provider: self.provider,
            places: Table::default(),
            active: Vec::new(),
            values,
            user_set: Table::new(self.user_set.iter().copied().collect()),
            user_dependent: OnceLock::new(),
            ids: Vec::new(),
            removals: Vec::new(),
            diagnostics: Vec::new(),
            underived: Vec::new(),
            broken: Table::filled(&program.variables, false),
            // At least what the image's other values took.
            work: Cell::new(self.work),
            patterns: RefCell::default(),
        };
        let mut evaluator = Evaluator {
            image,
            states,
            chain: Vec::new(),
            has_failed: false,
        };
        let answers = evaluator.answers(&own.conditions);
        let holds = |setting: &&Setting| setting.condition.is_none_or(|c| holds_at(&answers, c));
        let active = own.settings.iter().filter(holds);
        let mut active: Vec<Active<'p>> = active
            .map(|setting| Active { layer: self.own, setting })
            .collect();
        active.sort_by_key(|active| active.setting.variable);
        let own_set: Vec<VarId> = active.iter().map(|active| active.setting.variable).collect();
        evaluator.image.ids = self.ids_with(&own_set);
        evaluator.image.place(self.active_with(active));
        for id in &changed {
            let mut names = evaluator.image.names_of(*id);
            evaluator.image.user_set[*id] =
                names.any(|name| evaluator.image.has_users(evaluator.image.settings(name)));
        }
        for id in &changed {
            if evaluator.image.ids.binary_search(id).is_ok() {
                evaluator.require(*id);
            }
        }
        let image = evaluator.image;
        if !image.diagnostics.is_empty() || !image.underived.is_empty() || self.finds(&image, &changed) {
            return None;
        }
        let mut set = self.own_set.iter().chain(&own_set);
        let depends_alike = image.ids.len() == self.ids.len()
            && set.all(|id| image.dependencies(*id) == self.dependencies[*id]);
        Some(Kin {
            image,
            changed,
            depends_alike,
        })
    }

    /// The variables that an image sees that sets some itself.
    fn ids_with(&self, own: &[VarId]) -> Vec<VarId> {
        let mut ids = self.ids.clone();
        ids.extend(own.iter().filter(|id| self.ids.binary_search(id).is_err()));
        if ids.len() > self.ids.len() {
            ids.sort_unstable();
            ids.dedup();
        }
        ids
    }

    /// The settings that hold, with those of another image in the place of the model's own.
    fn active_with(&self, own: Vec<Active<'p>>) -> Vec<Active<'p>> {
        let mut all = Vec::with_capacity(self.active.len() + own.len());
        let mut own = own.into_iter().peekable();
        let key = |active: &Active<'p>| (active.setting.variable, active.layer);
        for active in self.active.iter().filter(|active| active.layer != self.own) {
            while let Some(before) = own.next_if(|own| key(own) < key(active)) {
                all.push(before);
            }
            all.push(*active);
        }
        all.extend(own);
        all
    }

    /// True where the layers or rules find something wrong with an image.
    fn finds(&self, image: &Image<'p>, changed: &[VarId]) -> bool {
        let mut found = Vec::new();
        let mut rules: Vec<RuleId> = Vec::new();
        for id in changed {
            let settings = image.settings(*id);
            image.check_final(*id, settings, &mut found);
            image.check_parents_of(*id, settings, &mut found);
            rules.extend(&self.rules[*id]);
        }
        rules.sort_unstable();
        rules.dedup();
        image.check_fixed(&mut found);
        image.check_flag_files(&mut found);
        !found.is_empty()
            || rules.into_iter().any(|id| image.breaks(&self.program.rules[id]))
            || image.work.get() > MAX_WORK
    }

    /// Returns the variables about which something else can be said than about the model's: those that changed, those
    /// that a changed one makes apply, and those with another name of a changed one.
    pub fn affected(&self, kin: &Kin<'p>) -> Vec<VarId> {
        let mut all = kin.changed.clone();
        for id in &kin.changed {
            all.extend(&self.conditional[*id]);
            all.extend(self.program.aliases_of(*id));
        }
        all
    }
}

/// Finds the length of the longest chain; none where variables depend on each other in a circle.
fn find_depth(dependencies: &Table<VarId, Vec<VarId>>) -> Option<usize> {
    /// The depth of a variable that is not known yet, and of one that is being followed.
    const NEW: usize = usize::MAX;
    const OPEN: usize = usize::MAX - 1;
    let mut depths = Table::filled(dependencies, NEW);
    let mut deepest = 0;
    for start in dependencies.ids() {
        let mut stack = vec![start];
        while let Some(id) = stack.last().copied() {
            if depths[id] != NEW && depths[id] != OPEN {
                stack.pop();
                continue;
            }
            let is_first = depths[id] == NEW;
            depths[id] = OPEN;
            let mut depth = 1;
            let mut is_ready = true;
            for other in &dependencies[id] {
                match depths[*other] {
                    OPEN => return None,
                    NEW => {
                        is_ready = false;
                        stack.push(*other);
                    }
                    known => depth = depth.max(known + 1),
                }
            }
            if is_ready {
                depths[id] = depth;
                deepest = deepest.max(depth);
                stack.pop();
            } else if !is_first {
                return None;
            }
        }
    }
    Some(deepest)
}
