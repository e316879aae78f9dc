//! What values depend on.

use crate::eval::Image;
use crate::project::Table;
use crate::project::hir::*;
use rustc_hash::FxHashMap;
use std::borrow::Cow;

impl Image<'_> {
    /// Marks variables, and everything that their values depend on.
    pub fn mark_dependencies(&self, mut queue: Vec<VarId>, marked: &mut Table<VarId, bool>) {
        while let Some(id) = queue.pop() {
            if !std::mem::replace(&mut marked[id], true) {
                queue.extend(self.dependencies(id));
            }
        }
    }

    /// The variables that a variable's value depends on.
    pub fn dependencies(&self, id: VarId) -> Vec<VarId> {
        let program = self.program;
        let all = self.settings(id);
        let (settings, has_default) = match all {
            [] => (Cow::Borrowed(all), true),
            [.., last] if last.setting.change == Change::Replace => {
                (Cow::Borrowed(std::slice::from_ref(last)), false)
            }
            _ => {
                let (kept, has_default) = self.drop_unset(all);
                (Cow::Owned(kept), has_default)
            }
        };
        let base = settings
            .iter()
            .rposition(|a| a.setting.change == Change::Replace);
        let mut out = Vec::new();
        for active in settings.iter().skip(base.unwrap_or(0)) {
            active
                .setting
                .value
                .for_each_variable(&mut |other| out.push(other));
        }
        if base.is_none()
            && has_default
            && let Some(default) = &program.variable(id).default
        {
            default.for_each_variable(&mut |other| out.push(other));
        }
        out.extend(program.aliases_of(id));
        out
    }

    /// True where the project sets the variable, or one that its value depends on.
    pub fn depends_on_users(&self, id: VarId) -> bool {
        self.user_dependent().find(id).copied().unwrap_or(false)
    }

    /// Whether each variable depends on what the project sets.
    pub(super) fn user_dependent(&self) -> &Table<VarId, bool> {
        self.user_dependent
            .get_or_init(|| self.find_user_dependent())
    }

    /// Follows what depends on a variable, from each one that the project sets.
    fn find_user_dependent(&self) -> Table<VarId, bool> {
        let variables = &self.program.variables;
        let mut readers: FxHashMap<VarId, Vec<VarId>> = FxHashMap::default();
        for id in variables.ids() {
            for read in self.dependencies(id) {
                readers.entry(read).or_default().push(id);
            }
        }
        let mut found = Table::filled(variables, false);
        let mut open: Vec<VarId> = variables
            .ids()
            .filter(|id| self.is_set_by_users(*id))
            .collect();
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut found[id], true) {
                open.extend(readers.get(&id).into_iter().flatten());
            }
        }
        found
    }
}
