//! Which settings hold for an image: facts first, then conditions, then all settings by variable.

use crate::diagnostic::{Code, Diagnostic};
use crate::eval::interpret::{Interpret, Stop};
use crate::eval::{Active, Evaluator, Image};
use crate::project::hir::*;
use crate::project::{Program, Stack, StackLayer, Table};
use crate::schema::Value;

impl<'p> Evaluator<'p> {
    /// Computes the facts, then the conditions, and then sorts the active settings by variable.
    pub(crate) fn settle(&mut self) {
        let program = self.image.program;
        self.gather(|_, setting| {
            setting.condition.is_none() && program.variable(setting.variable).is_fact
        });
        for id in &program.traits.facts {
            self.require(*id);
        }
        let mut holds: Vec<Vec<bool>> = Vec::with_capacity(self.image.stack.places().len());
        for layer in self.image.stack.places() {
            let (_, conditions) = settings_at(program, &self.image.stack, layer);
            holds.push(self.answers(conditions));
        }
        self.gather(|layer, setting| {
            let answers = holds.get(layer).map_or(&[][..], Vec::as_slice);
            setting.condition.is_none_or(|c| holds_at(answers, c))
        });
        self.image.ids = self.image.visible();
    }

    /// Asks the conditions of a layer.
    pub(super) fn answers(&mut self, conditions: &'p [Condition]) -> Vec<bool> {
        let mut answers: Vec<bool> = Vec::with_capacity(conditions.len());
        for condition in conditions {
            let outer = condition.outer.is_none_or(|o| holds_at(&answers, o));
            answers.push(outer && self.ask(&condition.expr));
        }
        answers
    }

    /// Sorts the settings that pass by variable; within one variable they stay in order of strength.
    fn gather(&mut self, passes: impl Fn(usize, &Setting) -> bool) {
        let mut active: Vec<Active<'p>> = Vec::new();
        for (at, layer) in self.image.stack.places().enumerate() {
            let (settings, _) = settings_at(self.image.program, &self.image.stack, layer);
            let settings = settings.iter().filter(|setting| passes(at, setting));
            active.extend(settings.map(|setting| Active { layer, setting }));
        }
        active.sort_by_key(|active| active.setting.variable);
        self.image.place(active);
        self.image.user_set = self.image.find_user_set();
    }

    /// Asks a condition over facts; where a fact is not known, that is an error.
    fn ask(&mut self, condition: &'p Expr) -> bool {
        match self.eval(condition) {
            Ok(Some(Value::Bool(answer))) => answer,
            Err(Stop::Reported) => false,
            unknown => {
                let why = match unknown {
                    Ok(None) => "not set",
                    Err(Stop::Opaque(_)) => "known only during the build",
                    Ok(Some(value)) if value.is_opaque() => "known only during the build",
                    // The cause is not a missing fact: it is reported as in any other expression.
                    _ => {
                        self.eval_condition(condition);
                        return false;
                    }
                };
                let mut names = Vec::new();
                condition.for_each_variable(&mut |id| {
                    let value = self.image.value(id);
                    if value.is_none_or(Value::is_opaque) {
                        names.push(format!("`{}`", self.image.program.variable(id).name));
                    }
                });
                names.dedup();
                self.image.diagnostics.push(if names.is_empty() {
                    Diagnostic::new(
                        Code::OpaqueValue,
                        condition.span,
                        format!("this condition depends on a value that is {why}"),
                    )
                    .help("use only facts in a condition: their values are known before the build")
                } else {
                    Diagnostic::new(
                        Code::UnsetFact,
                        condition.span,
                        format!(
                            "this condition depends on {}, which is {why} for the image `{}`",
                            names.join(" and "),
                            self.image.name()
                        ),
                    )
                    .help("set the fact in the image or in the layer of its operating system")
                });
                false
            }
        }
    }

    /// Reports why a condition has no answer.
    fn eval_condition(&mut self, condition: &'p Expr) {
        if let Some(value) = self.eval_reported(condition) {
            let message = format!("expected a bool, found {}", value.kind());
            self.image.diagnostics.push(
                Diagnostic::new(Code::TypeMismatch, condition.span, message)
                    .help("write a condition, which is true or false"),
            );
        }
    }
}

impl<'p> Image<'p> {
    /// Takes the settings that hold, which are sorted by variable and strength.
    pub(super) fn place(&mut self, active: Vec<Active<'p>>) {
        let mut places = Table::filled(&self.program.variables, (0, 0));
        let mut from = 0;
        for group in active.chunk_by(|a, b| a.setting.variable == b.setting.variable) {
            let to = from + group.len();
            if let Some(first) = group.first() {
                places[first.setting.variable] = (from, to);
            }
            from = to;
        }
        (self.places, self.active) = (places, active);
    }

    /// Every variable in view, and those that a layer sets.
    fn visible(&self) -> Vec<VarId> {
        let program = self.program;
        let file = program.section(self.section).span.file;
        let own = program.views.get(&file).map(|v| &v.names.variables);
        let own = own.into_iter().flat_map(|names| names.values());
        let mut is_seen = Table::filled(&program.variables, false);
        let library = program.library.variables.values();
        for (id, _) in library.chain(own) {
            is_seen[*id] = true;
        }
        for active in &self.active {
            is_seen[active.setting.variable] = true;
        }
        let seen = is_seen.pairs().filter(|(_, is_seen)| **is_seen);
        seen.map(|(id, _)| id).collect()
    }
}

/// The settings of a layer, with its conditions.
pub(super) fn settings_at<'p>(
    program: &'p Program,
    stack: &Stack,
    layer: LayerIdx,
) -> (&'p [Setting], &'p [Condition]) {
    match stack.layer(layer) {
        None => (&[], &[]),
        Some(StackLayer::Provider(id)) => (&program.provider(id).defaults, &[]),
        Some(StackLayer::Section(id)) => {
            let section = program.section(id);
            (&section.settings, &section.conditions)
        }
        Some(StackLayer::TargetVars(id)) => {
            let target = program.section(id).target.as_ref();
            (target.map_or(&[][..], |target| &target.vars), &[])
        }
    }
}

/// The answer to a condition of a layer; one that the layer does not have holds nowhere.
pub(super) fn holds_at(answers: &[bool], condition: u32) -> bool {
    answers.get(condition as usize).copied().unwrap_or(false)
}
