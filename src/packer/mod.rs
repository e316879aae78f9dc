//! What Packer's own syntax means: its JSON, its templates, the `{{…}}` expressions in them, and its command line.
//!
//! Nothing here knows a spec, a variable's declaration or an image.

mod command_line;
mod expression;
pub mod json;
mod template;

pub use command_line::{PackerCommand, parse_recipe};
pub(crate) use expression::{Braced, Filling, fill, parse_braces, spell_piece, users};
pub use template::{Readers, Selection, Template};
pub(crate) use template::{named, whole_argument};
