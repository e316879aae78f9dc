//! Building images: running Packer, Ansible and make.
//!
//! [`Job`] builds one image from its compiled files: it prepares Packer's working folder, runs Packer, stops what was
//! started, and keeps the artifacts.

mod artifacts;
mod clean;
mod inputs;
mod install;
mod job;
mod make;
mod mask;
mod private;
mod process;
mod progress;
mod statement;
mod tools;

pub use artifacts::{Artifact, Record};
pub use clean::{Cleaned, clean_cache, clean_image, clean_out, image_folders};
pub use inputs::is_current;
pub use install::InstallPlan;
pub use job::{BuildFailure, Flags, Job, Outcome};
pub use make::MakeRun;
pub use mask::Mask;
pub use private::{Private, remove_leftovers};
pub use process::Interrupt;
pub use progress::Progress;
pub use statement::BUILDER;
pub use tools::{Found, Tool, Toolbox};
