//! The reference of a library and a project: every variable, target, layer, provider, rule, probe and type on one page.
//!
//! [`collect()`] makes a [`Reference`] from a program. What has an effect where, and what depends on what, comes from the same
//! functions that compile an image. [`render_html`] and [`render_markdown`] add nothing to it. [`search`] finds items by words.

mod collect;
mod effect;
mod examples;
mod html;
mod markdown;
mod model;
mod rows;
mod search;
mod words;

pub use collect::{collect, item_docs};
pub use examples::Trial;
pub use html::{STYLE, policy, render_html};
pub use markdown::render_markdown;
pub use model::*;
pub use search::{Found, search};
