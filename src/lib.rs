//! imgspec: a typed language for the configuration of Kubernetes Image Builder.
//!
//! A value travels one way: text → [`syntax::Parse`] → [`project::Program`] → [`eval::Image`] →
//! [`emit::Artifacts`] → [`build`]. Each arrow is one function: [`syntax::parse`], [`project::load`],
//! [`eval::evaluate`], [`emit::emit`], [`build::write`].

pub mod ansible;
pub mod build;
pub mod cli;
pub mod diagnostic;
pub mod driver;
pub mod emit;
pub mod eval;
pub mod import;
pub mod lsp;
pub mod packer;
pub mod project;
pub mod schema;
pub mod source;
pub mod syntax;
pub mod workspace;
