//! Conditions over the values of an image: what rules and tests ask.

use crate::eval::interpret::{Finished, Interpret, Stop};
use crate::eval::{Active, Image};
use crate::project::Table;
use crate::project::hir::*;
use crate::schema::Value;

/// What a condition comes to in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is true or false.
    Known(bool),
    /// It has no value, because a variable in it has none.
    Unset,
    /// Only the build knows it.
    Opaque,
    /// A value in it has an error.
    Failed,
}

impl<'p> Image<'p> {
    /// Judges a condition.
    pub fn judge(&self, condition: &'p Expr) -> Judgement {
        match Finished(self).eval(condition) {
            Ok(Some(Value::Bool(answer))) => Judgement::Known(answer),
            Ok(None) => Judgement::Unset,
            Err(Stop::Opaque(_)) => Judgement::Opaque,
            Ok(Some(_)) | Err(_) => Judgement::Failed,
        }
    }

    /// Returns the value of an expression, if it has one without errors.
    pub fn eval_finished(&self, expr: &'p Expr) -> Option<Value> {
        Finished(self).eval(expr).ok().flatten()
    }

    /// Returns the string that an expression comes to, if the compiler knows it, and it is not blank.
    pub fn eval_text(&self, expr: &'p Expr) -> Option<String> {
        match self.eval_finished(expr)? {
            Value::String(text) => text.known().map(|text| text.into_owned()),
            _ => None,
        }
        .filter(|text| !text.trim().is_empty())
    }

    /// Returns the strongest settings of variables, and of what their values depend on: those first that the user can
    /// change, of the named variables before others, and stronger ones before weaker ones.
    pub fn grounds(&self, named: &[VarId]) -> Vec<(VarId, Active<'p>)> {
        let program = self.program;
        let mut steps = Table::filled(&program.variables, usize::MAX);
        let (mut reached, mut open) = (Vec::new(), named.to_vec());
        let mut step = 0;
        while !open.is_empty() {
            let mut next = Vec::new();
            for id in open {
                if steps[id] == usize::MAX {
                    steps[id] = step;
                    reached.push(id);
                    next.extend(self.dependencies(id));
                }
            }
            open = next;
            step += 1;
        }
        let with_winner = reached
            .into_iter()
            .filter_map(|id| Some((id, self.winner(id)?)));
        let mut all: Vec<_> = with_winner.collect();
        all.sort_by_key(|(id, active)| {
            let is_users = program.sources.is_users(active.setting.span.file);
            (!is_users, steps[*id], std::cmp::Reverse(active.layer))
        });
        all
    }
}
