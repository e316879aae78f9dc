//! Tests and waivers, and which images they concern.

use super::*;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use chrono::NaiveDate;
use regex::Regex;
use rustc_hash::FxHashSet;
use smol_str::SmolStr;
use std::fmt;

/// Images, by their names and those of their layers.
#[derive(Debug, Default)]
pub struct Images {
    /// The names and globs, each with its place.
    pub patterns: Vec<(SmolStr, Span)>,
    /// What a name must match.
    globs: Vec<Regex>,
}

impl Images {
    /// Adds a name or a glob, in which `*` is any text and `?` any character. Returns false if it is neither.
    pub(crate) fn add(&mut self, pattern: SmolStr, span: Span) -> bool {
        let is_known = |c: char| c.is_ascii_alphanumeric() || "-_.*?".contains(c);
        if pattern.is_empty() || !pattern.chars().all(is_known) {
            return false;
        }
        let glob = regex::escape(&pattern);
        let glob = glob.replace(r"\*", ".*").replace(r"\?", ".");
        let Ok(glob) = Regex::new(&format!("^(?:{glob})$")) else {
            return false;
        };
        self.patterns.push((pattern, span));
        self.globs.push(glob);
        true
    }

    /// True if the image, or a layer that it extends, has one of the names.
    pub fn contains(&self, program: &Program, image: SectionId) -> bool {
        let is_named = |id: SectionId| {
            let name = &program.section(id).name;
            self.globs.iter().any(|glob| glob.is_match(name))
        };
        is_named(image)
            || linearize(&program.sections, image)
                .into_iter()
                .any(is_named)
    }
}

/// A `test`: what must be true of images.
#[derive(Debug)]
pub struct Test {
    /// Its name.
    pub name: SmolStr,
    /// Its name in the text.
    pub span: Span,
    /// The images that it is about.
    pub images: Images,
    /// What it checks: of the images as they are, then in each `with`.
    pub groups: Vec<Group>,
    /// The `##` comment above it.
    pub doc: Option<String>,
}

/// What a test checks under the same settings.
#[derive(Debug, Default)]
pub struct Group {
    /// The settings of its `with`.
    pub with: Option<With>,
    /// What it checks, in order.
    pub steps: Vec<Step>,
}

/// The settings of a `with`.
#[derive(Debug)]
pub struct With {
    /// The word in the text.
    pub span: Span,
    /// The layer of its settings.
    pub layer: SectionId,
    /// The errors in its settings that the test expects, by the places of the steps that expect them.
    pub found: Vec<(Span, Diagnostic)>,
}

/// Something that a test checks.
#[derive(Debug)]
pub enum Step {
    /// A condition holds.
    Assert {
        /// The condition.
        condition: Expr,
        /// Why it must hold.
        reason: Option<Expr>,
        /// All of its text.
        span: Span,
    },
    /// A check reports a diagnostic.
    Expect {
        /// Its code, or its rule.
        code: SmolStr,
        /// The variable that it is about.
        at: Option<SmolStr>,
        /// All of its text.
        span: Span,
    },
    /// The values are those of a file.
    Snapshot {
        /// Its name.
        name: SmolStr,
        /// All of its text.
        span: Span,
    },
}

impl Step {
    /// Returns all of its text.
    pub fn span(&self) -> Span {
        match self {
            Step::Assert { span, .. } | Step::Expect { span, .. } | Step::Snapshot { span, .. } => {
                *span
            }
        }
    }
}

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(NaiveDate);

impl Date {
    /// Reads a day in the form `2027-01-31`; none if there is no such day, or it is written in another form.
    pub fn parse(text: &str) -> Option<Date> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        (date.to_string() == text).then_some(Date(date))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A `waive`: images that may break a rule.
#[derive(Debug)]
pub struct Waiver {
    /// The rule; none if the name is unknown, which has been reported.
    pub rule: Option<RuleId>,
    /// The name of the rule.
    pub name: SmolStr,
    /// The name of the rule in the text.
    pub span: Span,
    /// The images that may break it.
    pub images: Images,
    /// Why they may.
    pub reason: SmolStr,
    /// The last day on which they may.
    pub until: Option<Date>,
    /// Its last day is over.
    pub is_expired: bool,
    /// All of its text.
    pub whole: Span,
}

/// What holds for all images of a command, whatever their files include.
#[derive(Debug, Default)]
pub struct Policies {
    /// The files of the policies, and those that they include.
    pub files: FxHashSet<FileId>,
    /// Their rules, in order.
    pub rules: Vec<RuleId>,
}

impl Policies {
    /// True for a rule that only a policy can waive.
    pub fn pins(&self, rule: RuleId) -> bool {
        self.rules.binary_search(&rule).is_ok()
    }
}

impl Program {
    /// True if what a file declares for images concerns the images of another file: one of them includes the other, or the
    /// first one is a policy.
    pub fn concerns(&self, file: FileId, images: FileId) -> bool {
        let includes = |a: FileId, b: FileId| {
            let view = self.views.get(&a);
            view.is_some_and(|view| view.files.contains(&b))
        };
        self.policies.files.contains(&file) || includes(images, file) || includes(file, images)
    }

    /// Finds the waivers of a rule for an image, also those that have ended; each with its place in [`Program::waivers`].
    pub fn find_waivers(&self, rule: RuleId, image: SectionId) -> Vec<(usize, &Waiver)> {
        let file = self.section(image).span.file;
        let all = self.waivers.iter().enumerate();
        let is_about = |(_, waiver): &(usize, &Waiver)| {
            waiver.rule == Some(rule)
                && self.concerns(waiver.span.file, file)
                && waiver.images.contains(self, image)
        };
        all.filter(is_about).collect()
    }

    /// The images of the project, in the order of their declarations.
    pub fn own_images(&self) -> impl Iterator<Item = SectionId> {
        let all = self.sections.own_pairs();
        all.filter(|(_, section)| section.kind == LayerKind::Image)
            .map(|(id, _)| id)
    }
}
