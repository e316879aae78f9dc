//! The edge: what touches the disk and other programs.
//!
//! [`write()`] puts compiled files on the disk. [`Job`] builds one image from them: it prepares the folder
//! that Packer runs in, runs it, cleans up what was started, and keeps what came out.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod assets;
mod checkout;
mod folders;
mod freshness;
mod install;
mod job;
mod lock;
mod make;
mod output;
mod private;
mod process;
mod progress;
mod project;
mod tools;
mod write;

pub use assets::{assets, unpack};
pub use checkout::{adopt_checkout, is_known, read_checkout, refusals};
pub use folders::{
    Cleaned, cache, clean_cache, clean_image, clean_out, image_folders, make_cache, make_ignored,
};
pub use install::Plan;
pub use job::{Failure, Flags, Job, Outcome};
pub use lock::Lock;
pub use make::{MakeRun, find_checkout, find_installers};
pub use output::{Artifact, Record};
pub use private::{Private, remove_leftovers};
pub use process::Interrupt;
pub use progress::Progress;
pub use project::{list_includable, project_library, read_config, spec_files};
pub use tools::{Found, Tool, Toolbox};
pub use write::{replace, rewrite, stale, write};
