//! Who reads a variable on a target.

use crate::emit::route::Route;
use crate::eval::Image;
use crate::project::Table;
use crate::project::hir::*;

/// Whether a variable's value makes a difference on a target, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Something reads it, or conditions do.
    Some,
    /// Its `applies` does not hold.
    DoesNotApply,
    /// Nothing on the target reads it.
    NotRead,
}

/// The readers of an image's target.
#[derive(Debug)]
pub struct Reach {
    /// Read by the template, the playbook, or by something that they read.
    read: Table<VarId, bool>,
    /// Read by more than slots: its Packer string must stay as it is.
    beyond_slots: Table<VarId, bool>,
}

impl Reach {
    /// Follows the values that the template, its slots and the playbook read.
    pub fn new(image: &Image<'_>, route: &Route) -> Reach {
        let program = image.program;
        let provider = program.provider(image.provider);
        let receiver = provider.playbook.receiver();
        let mut read = Table::filled(&program.variables, false);
        let mut queue: Vec<VarId> = route.named.clone();
        for id in image.ids().iter().copied() {
            let variable = program.variable(id);
            let is_entry = variable.extra() == Some(Owner::Ansible) && image.value(id).is_some();
            let is_received = variable.is_declared() && variable.to.has(receiver);
            if route.has_playbook && (is_entry || is_received) {
                queue.push(id);
            }
        }
        image.mark_dependencies(queue, &mut read);
        // The playbook itself takes typed values; only what Packer reads must keep its string.
        let mut beyond_slots = Table::filled(&program.variables, false);
        image.mark_dependencies(route.named.clone(), &mut beyond_slots);
        image.mark_dependencies(route.slots.iter().map(|s| s.variable).collect(), &mut read);
        // Where only a deprecated name has a slot, that is the way of the real one.
        let reals = program
            .traits
            .aliases
            .iter()
            .filter(|(alias, _)| route.slots.iter().any(|s| s.variable == *alias));
        image.mark_dependencies(reals.map(|(_, real)| *real).collect(), &mut read);
        Reach { read, beyond_slots }
    }

    /// Returns the variables that another reach reads in another way.
    pub(super) fn differing(&self, other: &Reach) -> impl Iterator<Item = VarId> {
        let of = |reach: &Reach, id| (reach.read[id], reach.beyond_slots[id]);
        let ids = self.read.ids();
        ids.filter(move |id| of(self, *id) != of(other, *id))
    }

    /// True where something on the target reads the variable.
    pub fn reads(&self, id: VarId) -> bool {
        self.read[id]
    }

    /// Whether a variable's value makes a difference on the target.
    pub fn effect(&self, image: &Image<'_>, id: VarId) -> Effect {
        if image.program.variable(id).is_fact {
            Effect::Some
        } else if !image.applies(id) {
            Effect::DoesNotApply
        } else if !self.reads(id) {
            Effect::NotRead
        } else {
            Effect::Some
        }
    }

    /// True where Packer itself needs the string, not only its slots.
    pub fn reads_beyond_slots(&self, id: VarId) -> bool {
        self.beyond_slots[id]
    }
}
