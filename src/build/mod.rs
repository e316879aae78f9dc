//! Building images: running Packer, Ansible and make.
//!
//! [`Job`] builds one image from its compiled files: it prepares Packer's working folder, runs Packer, stops what was
//! started, and keeps the artifacts.

mod artifacts;
mod clean;
mod fingerprint;
mod install;
mod job;
mod make;
mod mask;
mod private;
mod process;
mod progress;
mod tools;

pub use artifacts::{Artifact, Record};
pub use clean::{Cleaned, clean_cache, clean_image, clean_out, image_folders};
pub(crate) use fingerprint::{id as image_id, seen};
pub use install::InstallPlan;
pub use job::{BuildFailure, Flags, Job, Outcome, is_current};
pub use make::MakeRun;
pub use mask::Mask;
pub use private::{Private, remove_leftovers};
pub use process::Interrupt;
pub use progress::Progress;
pub use tools::{Found, Tool, Toolbox};
