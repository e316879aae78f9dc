//! The tests of a project: what must be true of its images, as they are and as they would be with other settings.
//!
//! [`verify`] runs tests on images. A failure is a diagnostic at the setting that broke the test.

mod change;
mod coverage;
mod failure;
mod junit;
mod run;
mod snapshot;

pub use coverage::{Counts, Coverage};
pub use junit::junit;
pub use run::verify;

use crate::diagnostic::Diagnostic;
use crate::emit::Output;
use crate::project::Program;
use crate::project::hir::{ProviderId, SectionId, Test, Waiver};
use crate::source::Loader;
use std::path::PathBuf;

/// What is asked of the tests of a program.
#[derive(Clone, Copy)]
pub struct Task<'p> {
    /// Reads snapshots, and finds the roles that values name.
    pub loader: &'p dyn Loader,
    /// The program.
    pub program: &'p Program,
    /// The images that tests can be about.
    pub images: &'p [SectionId],
    /// The provider that builds them instead of their targets' own.
    pub provider: Option<ProviderId>,
    /// Where the files of the images would be.
    pub output: &'p Output,
    /// Only tests with this text in their names are run.
    pub filter: Option<&'p str>,
    /// Snapshots are written instead of compared.
    pub updates: bool,
}

/// What tests have found.
#[derive(Debug)]
pub struct Verified<'p> {
    /// The results, by tests and then by images.
    pub cases: Vec<Case<'p>>,
    /// How often each rule and assertion has been true and false.
    pub coverage: Vec<Coverage<'p>>,
    /// The waivers of the project, each with the number of images that need it.
    pub waivers: Vec<(&'p Waiver, usize)>,
    /// The snapshots to write: their paths and texts.
    pub snapshots: Vec<(PathBuf, String)>,
}

/// A test of one image.
#[derive(Debug)]
pub struct Case<'p> {
    /// The test.
    pub test: &'p Test,
    /// The image's name; none if no image has a name for the test.
    pub image: Option<&'p str>,
    /// Why the test fails. Empty if it passes.
    pub failures: Vec<Diagnostic>,
}

impl Case<'_> {
    /// True if the test passes.
    pub fn passes(&self) -> bool {
        self.failures.is_empty()
    }
}
