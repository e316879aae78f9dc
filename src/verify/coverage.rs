//! Which rules and assertions have been true and false.

use crate::eval::{Image, Judgement};
use crate::project::Program;
use crate::project::hir::*;
use crate::source::Span;
use rustc_hash::FxHashMap;

/// How often a condition was true, false, or neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// It was true.
    pub holds: usize,
    /// It was false.
    pub fails: usize,
    /// It had no value, or only the build knows it.
    pub unknown: usize,
}

impl Counts {
    fn count(&mut self, judgement: Judgement) {
        match judgement {
            Judgement::Known(true) => self.holds += 1,
            Judgement::Known(false) => self.fails += 1,
            Judgement::Unset | Judgement::Opaque | Judgement::Failed => self.unknown += 1,
        }
    }

    fn add(&mut self, other: Counts) {
        self.holds += other.holds;
        self.fails += other.fails;
        self.unknown += other.unknown;
    }

    /// True if the condition was true at least once, and false at least once.
    pub fn is_whole(self) -> bool {
        self.holds > 0 && self.fails > 0
    }
}

/// A rule or an assertion, and how often its condition was true and false.
#[derive(Debug)]
pub struct Coverage<'p> {
    /// The name of the rule; for an assertion, that of its test.
    pub name: &'p str,
    /// It is a rule.
    pub is_rule: bool,
    /// Its place.
    pub span: Span,
    /// Over the images, and over what tests make of them with `with`.
    pub counts: Counts,
}

/// Counts while tests run, by the places of conditions.
#[derive(Debug, Default)]
pub(super) struct Tally(FxHashMap<Span, Counts>);

impl Tally {
    pub(super) fn count(&mut self, span: Span, judgement: Judgement) {
        self.0.entry(span).or_default().count(judgement);
    }

    /// Counts the rules of the project and of policies for an image.
    pub(super) fn add_rules<'p>(&mut self, image: &Image<'p>) {
        let program = image.program;
        for id in program.rules_for(program.section(image.section).span.file) {
            let rule = &program.rules[id];
            if program.sources.is_users(rule.span.file) && rule.is_checked() {
                self.count(rule.span, image.judge(&rule.condition));
            }
        }
    }

    /// Counts, for an image with other settings, the assertions that a test makes about the image itself: so they can be
    /// false in a test that passes.
    pub(super) fn add_base<'p>(&mut self, test: &'p Test, image: &Image<'p>) {
        let own = test.groups.iter().filter(|group| group.with.is_none());
        for step in own.flat_map(|group| &group.steps) {
            if let Step::Assert {
                condition, span, ..
            } = step
            {
                self.count(*span, image.judge(condition));
            }
        }
    }

    pub(super) fn add(&mut self, other: Tally) {
        for (span, counts) in other.0 {
            self.0.entry(span).or_default().add(counts);
        }
    }

    pub(super) fn finish<'p>(self, program: &'p Program, tests: &[&'p Test]) -> Vec<Coverage<'p>> {
        let counts = |span: Span| self.0.get(&span).copied().unwrap_or_default();
        let rules = program.rules.own().iter();
        let rules = rules.filter(|rule| rule.is_checked());
        let rules = rules.map(|rule| Coverage {
            name: &rule.name,
            is_rule: true,
            span: rule.span,
            counts: counts(rule.span),
        });
        let mut all: Vec<Coverage<'p>> = rules.collect();
        for test in tests {
            for step in test.groups.iter().flat_map(|group| &group.steps) {
                if let Step::Assert { span, .. } = step {
                    all.push(Coverage {
                        name: &test.name,
                        is_rule: false,
                        span: *span,
                        counts: counts(*span),
                    });
                }
            }
        }
        all
    }
}
