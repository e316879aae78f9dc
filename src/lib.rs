//! imgspec: a typed language for the configuration of Kubernetes Image Builder.
pub mod diagnostic;
pub mod schema;
pub mod source;
pub mod syntax;
