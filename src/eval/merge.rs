//! The settings of one variable to its value: fold, deprecated names, types, circles.

use crate::diagnostic::{Code, Diagnostic};
use crate::eval::interpret::{Finished, Interpret};
use crate::eval::{Active, Evaluator, Image, Log, State, too_large, too_much};
use crate::project::STACK;
use crate::project::hir::*;
use crate::schema::{Base, Value, check_value, find_unencodable};
use crate::source::{MAX_CHAIN, MAX_VALUE, Span};
use rustc_hash::FxHashSet;

/// The room on the stack that the expressions of one variable need, nested as deep as the grammar allows, in bytes.
const ROOM: usize = 1 << 20;

/// What a variable's settings fold to, before anything is computed.
struct Folded<'p> {
    base: FoldBase<'p>,
    /// `+=` and `-=` above the base, weakest first.
    changes: Vec<Active<'p>>,
}

#[derive(Clone, Copy)]
enum FoldBase<'p> {
    Nothing,
    Expr(&'p Expr),
}

impl<'p> Evaluator<'p> {
    /// Computes a variable's final value, once.
    fn compute(&mut self, id: VarId) {
        match self.states[id] {
            State::Done => return,
            State::Open => {
                self.report_cycle(id);
                return;
            }
            State::New => {}
        }
        if self.is_full() {
            self.states[id] = State::Done;
            self.image.broken[id] = true;
            return;
        }
        if self.chain.len() >= MAX_CHAIN {
            let span = self.image.program.variable(id).span;
            self.image.diagnostics.push(Diagnostic::new(
                Code::ReferenceCycle,
                span,
                format!(
                    "a chain of variables that depend on each other is longer than {MAX_CHAIN}"
                ),
            ));
            self.states[id] = State::Done;
            self.image.broken[id] = true;
            return;
        }
        self.states[id] = State::Open;
        self.chain.push(id);
        let outer = std::mem::replace(&mut self.has_failed, false);
        let value = stacker::maybe_grow(ROOM, STACK, || self.compute_new(id));
        let value = self.keep(id, value);
        self.image.broken[id] |= std::mem::replace(&mut self.has_failed, outer);
        self.chain.pop();
        // A cycle found below has closed this variable already.
        if self.states[id] == State::Open {
            self.image.values[id] = value;
        }
        self.states[id] = State::Done;
    }

    fn compute_new(&mut self, id: VarId) -> Option<Value> {
        let variable = self.image.program.variable(id);
        if let Some(real) = variable.alias_of() {
            let is_list = matches!(self.image.program.variable(real).ty.base, Base::List(_));
            let is_set = !self.image.settings(id).is_empty();
            return (is_list && is_set).then(|| Value::list(Vec::new()));
        }
        if !matches!(variable.ty.base, Base::List(_)) && !self.is_set_by_project(id) {
            // What an old name replaces is not computed.
            let aliases = self.image.program.aliases_of(id).iter().rev().copied();
            let set = aliases.filter(|alias| !self.image.settings(*alias).is_empty());
            for alias in set.collect::<Vec<_>>() {
                if let Some(value) = self.compute_folded(alias) {
                    return Some(value);
                }
            }
        }
        let value = self.compute_folded(id);
        self.merge_aliases(id, value)
    }

    /// True if the project itself sets a variable under this name.
    fn is_set_by_project(&self, id: VarId) -> bool {
        let program = self.image.program;
        let settings = self.image.effective_settings(id).0;
        settings
            .iter()
            .any(|a| program.sources.is_users(a.setting.span.file))
    }

    /// The value of a variable's own settings.
    fn compute_folded(&mut self, id: VarId) -> Option<Value> {
        let (settings, has_default) = match self.image.settings(id) {
            [] => {
                let default = self.image.program.variable(id).default.as_ref()?;
                let folded = Folded {
                    base: FoldBase::Expr(default),
                    changes: Vec::new(),
                };
                return self.compute_fold_of(id, &folded);
            }
            [.., last] if last.setting.change == Change::Replace => {
                // Only the strongest counts.
                let folded = Folded {
                    base: FoldBase::Expr(&last.setting.value),
                    changes: Vec::new(),
                };
                return self.compute_fold_of(id, &folded);
            }
            _ => self.image.effective_settings(id),
        };
        let folded = self.image.fold(id, settings, has_default);
        self.compute_fold_of(id, &folded)
    }

    fn compute_fold_of(&mut self, id: VarId, folded: &Folded<'p>) -> Option<Value> {
        if let FoldBase::Expr(Expr {
            kind: ExprKind::Const(value),
            ..
        }) = folded.base
            && folded.changes.is_empty()
        {
            return Some(value.clone());
        }
        let is_checked = self.image.is_constant(folded);
        let mut log = Log::default();
        let value = log.compute_fold(self, folded);
        self.absorb(log);
        let value = value?;
        if !is_checked {
            self.check_computed(id, &value, folded);
        }
        Some(value)
    }

    /// The lists of deprecated names go in front; of other types only one name may be set.
    fn merge_aliases(&mut self, id: VarId, value: Option<Value>) -> Option<Value> {
        let program = self.image.program;
        let mut value = value;
        for alias_id in program.aliases_of(id).iter().copied() {
            let alias = program.variable(alias_id);
            if self.image.settings(alias_id).is_empty() {
                continue;
            }
            let Some(folded) = self.compute_folded(alias_id) else {
                continue;
            };
            value = match (folded, value) {
                (Value::List(front), Some(Value::List(own))) => Some(Value::list(
                    front.iter().chain(own.iter()).cloned().collect(),
                )),
                // The new name is set to a list that is unset.
                (front @ Value::List(_), None) => Some(front),
                (front, own) => {
                    let place =
                        |image: &Image<'p>, id| image.own_winner(id).map(|a| a.setting.span);
                    if let (true, Some(here), Some(there)) = (
                        self.is_set_by_project(id),
                        place(&self.image, alias_id),
                        place(&self.image, id),
                    ) {
                        self.image.diagnostics.push(
                            Diagnostic::new(
                                Code::DuplicateSetting,
                                here,
                                format!(
                                    "`{}` and `{}` are names of the same variable, and both are set",
                                    alias.name,
                                    program.variable(id).name
                                ),
                            )
                            .related(there, "the other name is set here")
                            .help(format!("set only `{}`", program.variable(id).name)),
                        );
                        own
                    } else {
                        Some(front)
                    }
                }
            };
        }
        value
    }

    /// A computed value of the wrong type, or one that its encoding cannot carry.
    fn check_computed(&mut self, id: VarId, value: &Value, folded: &Folded<'p>) {
        let variable = self.image.program.variable(id);
        let expr = match (folded.changes.last(), folded.base) {
            (Some(active), _) => &active.setting.value,
            (None, FoldBase::Expr(expr)) => expr,
            (None, FoldBase::Nothing) => return,
        };
        if let Err(mismatch) = check_value(&variable.ty, value) {
            let message = format!(
                "`{}`: {}",
                variable.name,
                mismatch.message(variable.is_secret)
            );
            self.image.diagnostics.push(
                Diagnostic::new(Code::TypeMismatch, expr.span, message)
                    .label("the value is computed here"),
            );
        } else if let Some((_, reason)) = find_unencodable(value, variable.encoding) {
            let message = format!("`{}`: {reason}", variable.name);
            self.image
                .diagnostics
                .push(Diagnostic::new(Code::NotEncodable, expr.span, message));
        }
    }

    fn report_cycle(&mut self, id: VarId) {
        let from = self.chain.iter().position(|v| *v == id).unwrap_or(0);
        let members: Vec<VarId> = self.chain.get(from..).unwrap_or_default().to_vec();
        let first = self.image.program.variable(id).name.as_str();
        let mut names: Vec<&str> = members
            .iter()
            .map(|v| self.image.program.variable(*v).name.as_str())
            .collect();
        names.push(first);
        let mut found = Diagnostic::new(
            Code::ReferenceCycle,
            self.image.place_of(id),
            format!(
                "these variables depend on each other: {}",
                names.join(" → ")
            ),
        )
        .label(format!("`{first}` is set here"))
        .help("give one of them a value that does not depend on the others");
        for member in members.iter().skip(1) {
            found = found.related(
                self.image.place_of(*member),
                format!(
                    "`{}` is set here",
                    self.image.program.variable(*member).name
                ),
            );
        }
        self.image.diagnostics.push(found);
        for member in members {
            self.image.broken[member] = true;
            self.states[member] = State::Done;
            self.image.values[member] = None;
        }
    }
}

impl<'p> Interpret<'p> for Evaluator<'p> {
    fn image(&self) -> &Image<'p> {
        &self.image
    }

    fn require(&mut self, id: VarId) {
        self.compute(id);
    }

    fn current(&self) -> Option<VarId> {
        self.chain.last().copied()
    }
}

impl<'p> Image<'p> {
    /// What `unset` leaves of settings: above the target it drops those above it, at the target or
    /// below it all, and the default too.
    pub(crate) fn drop_unset(&self, settings: &[Active<'p>]) -> (Vec<Active<'p>>, bool) {
        let mut kept: Vec<Active<'p>> = Vec::new();
        let mut has_default = true;
        for active in settings {
            if active.setting.change != Change::Unset {
                kept.push(*active);
            } else if self.stack.region(active.layer) > Region::Target {
                kept.retain(|k| self.stack.region(k.layer) <= Region::Target);
            } else {
                kept.clear();
                has_default = false;
            }
        }
        (kept, has_default)
    }

    /// The value that the layers up to one give. Reports nothing.
    pub(crate) fn compute_upto(&self, id: VarId, last: Active<'p>) -> Option<Value> {
        let settings = self.settings(id);
        let end = settings
            .iter()
            .position(|a| std::ptr::eq(a.setting, last.setting))
            .unwrap_or(0);
        let settings = settings.get(..=end).unwrap_or_default().to_vec();
        let mut value = self.compute_part(id, &settings);
        for alias in self.program.aliases_of(id) {
            let settings = self.settings(*alias);
            let end = settings.partition_point(|a| a.layer <= last.layer);
            let settings = settings.get(..end).unwrap_or_default().to_vec();
            if !settings.is_empty()
                && let Some(Value::List(front)) = self.compute_part(*alias, &settings)
                && let Some(Value::List(own)) = &value
            {
                value = Some(Value::list(
                    front.iter().chain(own.iter()).cloned().collect(),
                ));
            }
        }
        value
    }

    /// True where a setting of the image itself repeats the value of the weaker layers, so that nothing changes without
    /// it. A `final` setting is never redundant.
    pub fn is_redundant(&self, setting: &Setting) -> bool {
        let id = setting.variable;
        let is_it = |active: &Active<'p>| std::ptr::eq(active.setting, setting);
        let settings = self.settings(id);
        let is_renamed = self
            .names_of(id)
            .any(|name| name != id && !self.settings(name).is_empty());
        let is_other = setting.is_final || setting.change == Change::Unset || is_renamed;
        if is_other || self.is_broken(id) || !settings.iter().any(is_it) {
            return false;
        }
        let rest: Vec<Active<'p>> = settings
            .iter()
            .copied()
            .filter(|active| !is_it(active))
            .collect();
        let value = self.compute_part(id, &rest);
        value.is_some() && value.as_ref() == self.value(id)
    }

    fn compute_part(&self, id: VarId, settings: &[Active<'p>]) -> Option<Value> {
        let (kept, has_default) = self.drop_unset(settings);
        let folded = self.fold(id, kept, has_default);
        Log::default().compute_fold(&mut Finished(self), &folded)
    }

    fn fold(&self, id: VarId, settings: Vec<Active<'p>>, has_default: bool) -> Folded<'p> {
        let at = settings
            .iter()
            .rposition(|a| a.setting.change == Change::Replace);
        let base = at.and_then(|at| settings.get(at));
        let default = self
            .program
            .variable(id)
            .default
            .as_ref()
            .filter(|_| has_default);
        Folded {
            base: match (base, default) {
                (Some(active), _) => FoldBase::Expr(&active.setting.value),
                (None, Some(default)) => FoldBase::Expr(default),
                (None, None) => FoldBase::Nothing,
            },
            changes: settings
                .get(at.map_or(0, |at| at + 1)..)
                .unwrap_or_default()
                .to_vec(),
        }
    }

    fn is_constant(&self, folded: &Folded<'p>) -> bool {
        let is_const = |e: &Expr| matches!(e.kind, ExprKind::Const(_));
        folded.changes.iter().all(|a| is_const(&a.setting.value))
            && match folded.base {
                FoldBase::Expr(expr) => is_const(expr),
                FoldBase::Nothing => true,
            }
    }
}

impl Log {
    fn compute_fold<'p>(
        &mut self,
        reader: &mut impl Interpret<'p>,
        folded: &Folded<'p>,
    ) -> Option<Value> {
        let mut value = match folded.base {
            FoldBase::Expr(expr) => self.eval(reader, expr),
            FoldBase::Nothing => None,
        };
        let mut size = value.as_ref().map_or(0, |value| value.size(MAX_VALUE));
        let mut elements: Option<Vec<Value>> = None;
        for active in &folded.changes {
            let setting = active.setting;
            let change = self.eval(reader, &setting.value);
            let elements = match value.take() {
                None => elements.get_or_insert_default(),
                Some(Value::List(base)) => elements.insert(base.to_vec()),
                Some(other) => {
                    self.report_not_a_list(setting.name_span, setting.span, &other);
                    return Some(other);
                }
            };
            match change {
                None => {}
                Some(Value::List(change)) if setting.change == Change::Append => {
                    size += Value::List(change.clone()).size(MAX_VALUE);
                    elements.extend(change.iter().cloned());
                }
                Some(Value::List(change)) => {
                    let before = elements.len();
                    let removed: FxHashSet<&Value> = change.iter().collect();
                    let work = (before + change.len()) * size_of::<Value>();
                    if reader.image().spend(work, setting.span).is_err() {
                        self.diagnostics.push(too_much(setting.value.span));
                        return None;
                    }
                    elements.retain(|e| !removed.contains(e));
                    self.removals.push((setting.span, elements.len() < before));
                }
                Some(other) => self.report_not_a_list(setting.value.span, setting.span, &other),
            }
            if size > MAX_VALUE {
                self.diagnostics.push(too_large(setting.value.span));
                return None;
            }
        }
        elements.map(Value::list).or(value)
    }

    fn report_not_a_list(&mut self, span: Span, setting: Span, value: &Value) {
        let found = if value.is_opaque() {
            Diagnostic::new(
                Code::OpaqueValue,
                span,
                "a value that is known only during the build cannot be combined with a list",
            )
        } else {
            Diagnostic::new(
                Code::TypeMismatch,
                span,
                format!("expected a list, found {}", value.kind()),
            )
        };
        self.diagnostics
            .push(found.related(setting, "`+=` and `-=` require lists"));
    }
}
