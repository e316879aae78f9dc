//! Images that share most of their layers.
//!
//! In a fleet many images extend the same layers. One of them becomes a [`Model`] when it is evaluated. Another one has
//! the model's values, but for the variables that the layers set which only one of the two has, itself among them, and
//! for what depends on these. So evaluating it takes as long as what it sets, not as long as all that it inherits.
//!
//! [`Model::evaluate`] gives what [`super::evaluate`] would, or nothing: an image about which anything is reported is
//! evaluated alone.

use crate::eval::activate::{holds_at, settings_at};
use crate::eval::interpret::Interpret;
use crate::eval::{Active, Evaluator, Image, State};
use crate::project::hir::*;
use crate::project::{Lists, Program, Shared, Stack, Table};
use crate::schema::Value;
use crate::source::{FileId, MAX_CHAIN, MAX_IMAGE, MAX_VALUE};
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::OnceLock;

/// An evaluated image about which nothing was reported, with what other images need to know of it.
#[derive(Debug)]
pub struct Model<'p> {
    program: &'p Program,
    section: SectionId,
    file: FileId,
    provider: ProviderId,
    stack: Stack,
    active: Vec<Active<'p>>,
    values: Table<VarId, Option<Value>>,
    user_set: Table<VarId, bool>,
    /// None where nobody asks for it.
    user_dependent: Option<Table<VarId, bool>>,
    /// The variables that the file of the image sees, the library's among them.
    is_in_view: Table<VarId, bool>,
    /// The same, in order.
    in_view: Vec<VarId>,
    ids: Vec<VarId>,
    /// The variables that depend on a variable, by any setting that holds.
    readers: Lists<VarId, VarId>,
    /// The variables whose `applies` depends on a variable.
    conditional: Lists<VarId, VarId>,
    /// The rules that depend on a variable.
    rules: Lists<VarId, RuleId>,
    /// What each value depends on.
    dependencies: Lists<VarId, VarId>,
    /// The longest chain of variables that depend on each other.
    depth: usize,
    /// The bytes that the image's expressions have read and made.
    work: usize,
    /// The bytes that the image's values take.
    size: usize,
}

/// An image that was evaluated with the help of a [`Model`].
#[derive(Debug)]
pub struct Kin<'p> {
    /// The image. Its `removals` are those of `changed`.
    pub image: Image<'p>,
    /// The variables whose values can differ from the model's, in order. For all others the two have the same settings.
    pub changed: Vec<VarId>,
    /// The image sees the same variables as the model, and each value depends on the same ones.
    pub depends_alike: bool,
}

impl<'p> Model<'p> {
    /// Makes a model of an image; none where something was reported about it.
    pub fn new(image: &Image<'p>) -> Option<Model<'p>> {
        let program = image.program;
        let is_broken = image.broken.iter().any(|is_broken| *is_broken);
        if !image.diagnostics.is_empty() || !image.underived.is_empty() || is_broken {
            return None;
        }
        let variables = &program.variables;
        let file = program.section(image.section).span.file;
        let mut is_in_view = Table::filled(variables, false);
        let own = program.views.get(&file).map(|view| &view.names.variables);
        let own = own.into_iter().flat_map(|names| names.values());
        for (id, _) in program.library.variables.values().chain(own) {
            is_in_view[*id] = true;
        }
        let (mut readers, mut conditional) = (Vec::new(), Vec::new());
        let mut dependencies = Vec::new();
        for (id, variable) in variables.pairs() {
            let mut read = |other: VarId| readers.push((other, id));
            for active in image.settings(id) {
                active.setting.value.for_each_variable(&mut read);
            }
            if let Some(default) = &variable.default {
                default.for_each_variable(&mut read);
            }
            program.aliases_of(id).iter().copied().for_each(read);
            if let Some(applies) = &variable.applies {
                applies.for_each_variable(&mut |other| conditional.push((other, id)));
            }
            dependencies.extend(image.dependencies(id).into_iter().map(|other| (id, other)));
        }
        let mut rules = Vec::new();
        for id in program.rules_for(file) {
            let condition = &program.rules[id].condition;
            condition.for_each_variable(&mut |other| rules.push((other, id)));
        }
        let is_asked = program.is_upstream || program.serves_upstream(image.provider);
        let user_dependent = is_asked.then(|| copy(image.user_dependent()));
        let count = variables.len();
        let dependencies = Lists::new(count, dependencies);
        Some(Model {
            program,
            section: image.section,
            file,
            provider: image.provider,
            stack: image.stack.clone(),
            active: image.active.clone(),
            values: copy(&image.values),
            user_set: copy(&image.user_set),
            user_dependent,
            in_view: variables.ids().filter(|id| is_in_view[*id]).collect(),
            is_in_view,
            ids: image.ids.clone(),
            readers: Lists::new(count, readers),
            conditional: Lists::new(count, conditional),
            rules: Lists::new(count, rules),
            depth: find_depth(&dependencies)?,
            dependencies,
            work: image.work.get(),
            size: image.size(),
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
                    && view.variables.values().all(|(id, _)| self.is_in_view[*id])
                    && view
                        .rules
                        .iter()
                        .all(|(name, rule)| own.rules.get(name) == Some(rule))
            }
            _ => false,
        }
    }

    /// Counts the settings in the layers that an image and the model do not share; none where their targets differ, or
    /// so many that the image had better be evaluated alone.
    pub fn distance(&self, stack: &Stack) -> Option<usize> {
        let shared = self.stack.shared(stack);
        let count = |stack: &Stack, at| settings_at(self.program, stack, at).0.len();
        let own = shared.places().map(|at| count(&self.stack, at));
        let other = shared.other_places().map(|at| count(stack, at));
        let distance = own.chain(other).sum();
        (stack.target == self.stack.target && distance <= self.ids.len() / 2).then_some(distance)
    }

    /// True where an image has the same layers as the model, but for the two themselves.
    pub fn is_family(&self, image: SectionId, stack: &Stack) -> bool {
        stack.family(image) == self.stack.family(self.section)
    }

    /// The value that the model has.
    pub fn value(&self, id: VarId) -> Option<&Value> {
        self.values.find(id)?.as_ref()
    }

    /// Evaluates an image of the same target, whose file sees the same; none where anything may have to be reported.
    pub fn evaluate(&self, section: SectionId, stack: Stack) -> Option<Kin<'p>> {
        let program = self.program;
        let shared = self.stack.shared(&stack);
        let is_own = |active: &&Active<'p>| shared.other(active.layer).is_none();
        let mut set: Vec<VarId> = self
            .active
            .iter()
            .filter(is_own)
            .map(|active| active.setting.variable)
            .collect();
        for at in shared.other_places() {
            let (settings, _) = settings_at(program, &stack, at);
            set.extend(settings.iter().map(|setting| setting.variable));
        }
        let mut is_changed = Table::filled(&program.variables, false);
        let mut changed = Vec::new();
        let mut open = set.clone();
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut is_changed[id], true) {
                continue;
            }
            // With a fact the conditions of all layers change.
            if program.variable(id).is_fact {
                return None;
            }
            changed.push(id);
            open.extend(self.readers.get(id));
        }
        changed.sort_unstable();
        if changed.len() + self.depth > MAX_CHAIN {
            return None;
        }
        let mut values = copy(&self.values);
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
            user_set: copy(&self.user_set),
            user_dependent: OnceLock::new(),
            ids: Vec::new(),
            removals: Vec::new(),
            diagnostics: Vec::new(),
            underived: Vec::new(),
            broken: Table::filled(&program.variables, false),
            // At least what the image's other values took.
            work: Cell::new(self.work),
            size: OnceCell::new(),
            patterns: RefCell::default(),
            waived: RefCell::default(),
        };
        let mut evaluator = Evaluator {
            image,
            states,
            chain: Vec::new(),
            has_failed: false,
            size: 0,
        };
        let mut active: Vec<Active<'p>> = Vec::new();
        for layer in shared.other_places() {
            let (settings, conditions) = settings_at(program, &evaluator.image.stack, layer);
            let answers = evaluator.answers(conditions);
            let holds =
                |setting: &&Setting| setting.condition.is_none_or(|c| holds_at(&answers, c));
            let settings = settings.iter().filter(holds);
            active.extend(settings.map(|setting| Active { layer, setting }));
        }
        active.sort_by_key(|active| active.setting.variable);
        let active = self.active_with(shared, active);
        evaluator.image.ids = self.ids_with(&active);
        evaluator.image.place(active);
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
        if let Some(table) = self.user_dependent_with(&image, &changed) {
            let _ = image.user_dependent.set(table);
        }
        let _ = image.size.set(self.size_with(&image, &changed));
        if !image.diagnostics.is_empty()
            || !image.underived.is_empty()
            || self.finds(&image, &changed)
        {
            return None;
        }
        let depends_alike = image.ids == self.ids
            && set
                .iter()
                .all(|id| image.dependencies(*id) == self.dependencies.get(*id));
        Some(Kin {
            image,
            changed,
            depends_alike,
        })
    }

    /// The variables that an image with these settings sees.
    fn ids_with(&self, active: &[Active<'p>]) -> Vec<VarId> {
        let mut ids = self.in_view.clone();
        let variables = active.iter().map(|active| active.setting.variable);
        ids.extend(variables.filter(|id| !self.is_in_view[*id]));
        if ids.len() > self.in_view.len() {
            ids.sort_unstable();
            ids.dedup();
        }
        ids
    }

    /// The settings that hold, with others in the place of those that an image does not share.
    fn active_with(&self, shared: Shared, own: Vec<Active<'p>>) -> Vec<Active<'p>> {
        let mut all = Vec::with_capacity(self.active.len() + own.len());
        let mut own = own.into_iter().peekable();
        let key = |active: &Active<'p>| (active.setting.variable, active.layer);
        for active in &self.active {
            let Some(layer) = shared.other(active.layer) else {
                continue;
            };
            let active = Active { layer, ..*active };
            while let Some(before) = own.next_if(|own| key(own) < key(&active)) {
                all.push(before);
            }
            all.push(active);
        }
        all.extend(own);
        all
    }

    /// Finds the variables of an image that depend on what the project sets: of those that did not change the same as of
    /// the model.
    fn user_dependent_with(
        &self,
        image: &Image<'p>,
        changed: &[VarId],
    ) -> Option<Table<VarId, bool>> {
        let mut found = copy(self.user_dependent.as_ref()?);
        let mut open: Vec<(VarId, Vec<VarId>)> = Vec::new();
        for id in changed {
            found[*id] = image.is_set_by_users(*id);
            if !found[*id] {
                open.push((*id, image.dependencies(*id)));
            }
        }
        // A chain has as many steps as variables at most.
        loop {
            let count = open.len();
            open.retain(|(id, read)| {
                found[*id] = read.iter().any(|other| found[*other]);
                !found[*id]
            });
            if open.len() == count {
                return Some(found);
            }
        }
    }

    /// The bytes that the values of an image take: those of the model, with others for what changed.
    fn size_with(&self, image: &Image<'p>, changed: &[VarId]) -> usize {
        let seen = |ids: &[VarId], id: &VarId| ids.binary_search(id).is_ok();
        let old = changed.iter().filter(|id| seen(&self.ids, id));
        let old = old.filter_map(|id| self.value(*id));
        let old: usize = old.map(|value| value.size(MAX_VALUE)).sum();
        let new = changed.iter().filter(|id| seen(image.ids(), id));
        let new: usize = new.map(|id| image.size_of(*id)).sum();
        (self.size + new).saturating_sub(old)
    }

    /// True where the layers or rules find something wrong with an image.
    fn finds(&self, image: &Image<'p>, changed: &[VarId]) -> bool {
        let mut found = Vec::new();
        let mut rules: Vec<RuleId> = Vec::new();
        for id in changed {
            let settings = image.settings(*id);
            image.check_final(*id, settings, &mut found);
            image.check_parents_of(*id, settings, &mut found);
            rules.extend(self.rules.get(*id));
        }
        rules.sort_unstable();
        rules.dedup();
        image.check_below_target(&mut found);
        image.check_fixed(&mut found);
        image.check_flag_files(&mut found);
        !found.is_empty()
            || rules
                .into_iter()
                .any(|id| image.breaks(&self.program.rules[id]))
            || image.has_spent_all()
            || image.size() > MAX_IMAGE
    }

    /// Returns the variables about which something else can be said than about the model's: those that changed, those
    /// that a changed one makes apply, and those with another name of a changed one.
    pub fn affected(&self, kin: &Kin<'p>) -> Vec<VarId> {
        let mut all = kin.changed.clone();
        for id in &kin.changed {
            all.extend(self.conditional.get(*id));
            all.extend(self.program.aliases_of(*id));
        }
        all
    }
}

fn copy<T: Clone>(table: &Table<VarId, T>) -> Table<VarId, T> {
    Table::new(table.iter().cloned().collect())
}

/// Finds the length of the longest chain; none where variables depend on each other in a circle.
fn find_depth(dependencies: &Lists<VarId, VarId>) -> Option<usize> {
    /// The depth of a variable that is not known yet, and of one that is being followed.
    const NEW: usize = usize::MAX;
    const OPEN: usize = usize::MAX - 1;
    let mut depths: Table<VarId, usize> = Table::new(vec![NEW; dependencies.ids().count()]);
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
            for other in dependencies.get(id) {
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
