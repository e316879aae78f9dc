//! What a program consists of: items, names, layers. `load` builds it, and every later room reads it.

mod given;
mod items;
mod layers;
mod origins;
mod policy;
mod program;
mod scope;
mod table;

pub use given::Given;
pub(crate) use given::text_of;
pub use items::*;
pub(crate) use layers::find_cycles;
pub use layers::{Family, LayerIdx, Region, Shared, Stack, StackLayer, linearize};
pub use origins::{Origins, in_checkout, place_in_checkout};
pub use policy::{Date, Group, Images, Policies, Step, Test, Waiver, With};
pub use program::{DataFile, FileView, Items, Program, Traits};
pub use scope::Names;
pub(crate) use scope::{PROBES, PROVIDERS, RULES, SECTIONS, TYPES, VARIABLES, View, by_name};
pub use table::{Id, Lists, Table};
