//! The whole of a project in pictures and tables: what extends what, and every value of every image.
//!
//! [`Graph`] is what extends what, which [`mermaid`], [`dot`] and [`svg`] draw. [`Collector`] takes the images of a command and
//! keeps each distinct value and setting once, and [`render_report`] makes a page for browsers of both.

mod data;
mod drawn;
mod graph;
mod html;
mod layout;
mod svg;

pub use data::{Collector, Data, Row};
pub use drawn::{dot, mermaid};
pub use graph::{Edge, Graph, Kind, Node};
pub use html::{Page, render_report};
pub use svg::{Look, svg};
