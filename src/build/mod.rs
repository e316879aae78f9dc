//! The edge: what touches the disk and other programs.

mod write;

pub use write::{stale, write};
