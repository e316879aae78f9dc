//! imgspec: a typed language for the configuration of Kubernetes Image Builder.
//!
//! A value takes one path: text → [`syntax::Parse`] → [`project::Program`] → [`eval::Image`] → [`emit::Artifacts`] → files.
//! Each arrow is one function: [`syntax::parse`], [`project::load()`], [`eval::evaluate`], [`emit::emit()`],
//! [`workspace::write()`].

#![warn(
    clippy::disallowed_methods,
    clippy::exit,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::match_bool,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub
)]
#![cfg_attr(
    target_family = "wasm",
    allow(dead_code, unused_imports, reason = "the rooms left out use more")
)]

pub mod ansible;
#[expect(clippy::disallowed_methods, reason = "a build is files and programs")]
#[cfg(unix)]
pub mod build;
#[expect(
    clippy::disallowed_methods,
    reason = "the command line reads the environment for the rest"
)]
#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod diagnostic;
pub mod driver;
pub mod emit;
pub mod eval;
#[cfg(not(target_family = "wasm"))]
pub mod image;
pub mod import;
#[cfg(not(target_family = "wasm"))]
pub mod lsp;
pub mod packer;
pub mod project;
pub mod reference;
pub mod report;
pub mod review;
pub mod schema;
pub mod source;
pub mod syntax;
pub mod verify;
#[expect(
    clippy::disallowed_methods,
    reason = "what all commands read and write on the disk"
)]
#[cfg(not(target_family = "wasm"))]
pub mod workspace;

/// The version of this package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
