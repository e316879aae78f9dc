//! The values of facts that are written out in a program.

use super::*;
use crate::schema::{Base, Value};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};

/// The values that a program gives to each fact; none for one whose values are not all written out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Given(BTreeMap<VarId, Option<BTreeSet<SmolStr>>>);

impl Given {
    /// Adds what the items of a program, other than those of its library, give to facts.
    pub(crate) fn add_own(
        &mut self,
        variables: &Table<VarId, Variable>,
        sections: &Table<SectionId, Section>,
        providers: &Table<ProviderId, Provider>,
    ) {
        for (id, variable) in variables.own_pairs().filter(|(_, v)| v.is_fact) {
            let all = match &variable.ty.base {
                Base::OneOf(choices) => Some(choices.iter().cloned().collect()),
                Base::String | Base::Refined(_) => Some(BTreeSet::new()),
                _ => None,
            };
            self.0.insert(id, all);
            if let Some(default) = &variable.default {
                self.add(id, default);
            }
        }
        let settings = sections.own().iter().flat_map(|section| {
            let of_target = section.target.iter().flat_map(|target| &target.vars);
            section.settings.iter().chain(of_target)
        });
        let defaults = providers.own().iter().flat_map(|p| &p.defaults);
        let settings = settings.chain(defaults);
        for setting in settings.filter(|setting| setting.change != Change::Unset) {
            self.add(setting.variable, &setting.value);
        }
    }

    fn add(&mut self, id: VarId, value: &Expr) {
        let Some(entry) = self.0.get_mut(&id) else {
            return;
        };
        let text = match &value.kind {
            ExprKind::Const(value) => text_of(value),
            _ => None,
        };
        match (text, entry.as_mut()) {
            (Some(text), Some(texts)) => drop(texts.insert(text)),
            // An expression, or a mistake: it may be anything.
            (None, _) => *entry = None,
            _ => {}
        }
    }

    /// Returns the values of a fact, in order, where all are known.
    pub(crate) fn values(&self, id: VarId) -> Option<Vec<SmolStr>> {
        let texts = self.0.get(&id)?.as_ref()?;
        (!texts.is_empty()).then(|| texts.iter().cloned().collect())
    }
}

pub(crate) fn text_of(value: &Value) -> Option<SmolStr> {
    match value {
        Value::String(text) => text.known().map(SmolStr::new),
        Value::Bool(flag) => Some(SmolStr::new(flag.to_string())),
        _ => None,
    }
}
