//! What values are made of.

use crate::eval::Image;
use crate::project::Table;
use crate::project::hir::*;

impl Image<'_> {
    /// Marks variables, and all that their values are made of.
    pub fn spread(&self, mut queue: Vec<VarId>, marked: &mut Table<VarId, bool>) {
        while let Some(id) = queue.pop() {
            if !std::mem::replace(&mut marked[id], true) {
                queue.extend(self.parts(id));
            }
        }
    }

    /// The variables that a variable's value is made of.
    pub fn parts(&self, id: VarId) -> Vec<VarId> {
        let program = self.program;
        let (settings, has_default) = self.effective_settings(id);
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
        out.extend(
            program
                .aliases
                .iter()
                .filter(|(_, real)| *real == id)
                .map(|(alias, _)| *alias),
        );
        out
    }

    /// True where the project has a part in a value: it sets the variable, or one that the value is made of.
    pub fn is_made_by_users(&self, id: VarId) -> bool {
        let mut marked = Table::filled(&self.program.variables, false);
        self.spread(vec![id], &mut marked);
        let mut all = marked.pairs().filter(|(_, is_marked)| **is_marked);
        all.any(|(id, _)| self.is_set_by_users(id))
    }
}
