//! What values depend on.

use crate::eval::Image;
use crate::project::Table;
use crate::project::hir::*;

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

    /// True where the project sets the variable, or one that its value depends on.
    pub fn depends_on_users(&self, id: VarId) -> bool {
        let mut marked = Table::filled(&self.program.variables, false);
        self.mark_dependencies(vec![id], &mut marked);
        let mut all = marked.pairs().filter(|(_, is_marked)| **is_marked);
        all.any(|(id, _)| self.is_set_by_users(id))
    }
}
