//! Conversion of the tree to the typed view ([`super::ast`]).

mod expr;
mod items;
mod policy;
mod string;

pub(crate) use items::*;
pub(crate) use string::*;
