//! The edge: what touches the disk and other programs.
//!
//! [`write()`] puts compiled files on the disk. [`Job`] builds one image from them: it prepares the folder
//! that Packer runs in, runs it, cleans up what was started, and keeps what came out.

mod assets;
mod checkout;
mod folders;
mod freshness;
mod install;
mod job;
mod make;
mod output;
mod process;
mod progress;
mod project;
mod tools;
mod write;

pub use assets::{assets, unpack};
pub use checkout::{adopt_checkout, is_known, read_checkout, refusals};
pub use folders::{cache, clean_image, image_folders};
pub use install::install;
pub use job::{Failure, Flags, Job, Outcome};
pub use make::{MakeRun, find_checkout};
pub use output::{Artifact, Record};
pub use process::Interrupt;
pub use progress::Progress;
pub use project::{list_includable, project_library, read_config, spec_files};
pub use tools::{Found, Tool, Toolbox};
pub use write::{replace, rewrite, stale, write};
