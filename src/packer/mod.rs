//! Packer's syntax: its JSON, templates, `{{…}}` expressions and command line.
//!
//! This room does not know specs, declarations or images.

mod command_line;
mod expression;
pub mod json;
mod template;

pub use command_line::{PackerCommand, parse_recipe};
pub(crate) use expression::build_secret;
pub use expression::{Braced, Filling, fill, parse_braces, spell_piece, users};
pub use template::{LazyTemplate, Readers, Selection, Template};
pub(crate) use template::{named, whole_argument};
