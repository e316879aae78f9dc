//! Running tests.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::emit::{check, check_roles};
use crate::eval::{Image, evaluate_on};
use crate::project::hir::*;
use crate::project::{Program, Stack};
use crate::verify::coverage::Tally;
use crate::verify::failure::{Expected, Failing};
use crate::verify::{Case, Task, Verified, snapshot};
use rayon::prelude::*;
use std::path::PathBuf;

/// What the tests have found about one image.
#[derive(Default)]
struct Outcome {
    /// For each test that is about the image, its place among the tests, and why it fails.
    results: Vec<(usize, Vec<Diagnostic>)>,
    tally: Tally,
    waived: Vec<usize>,
    snapshots: Vec<(PathBuf, String)>,
}

/// Runs the tests of a program.
pub fn verify(task: Task<'_>) -> Verified<'_> {
    let program = task.program;
    let is_wanted = |test: &&Test| task.filter.is_none_or(|text| test.name.contains(text));
    let tests: Vec<&Test> = program.tests.iter().filter(is_wanted).collect();
    let outcomes: Vec<Outcome> = task
        .images
        .par_iter()
        .map(|id| task.run_on(*id, &tests))
        .collect();
    let mut by_test: Vec<Vec<Case<'_>>> = tests.iter().map(|_| Vec::new()).collect();
    let mut tally = Tally::default();
    let mut needed = vec![0; program.waivers.len()];
    let mut snapshots = Vec::new();
    for (id, outcome) in task.images.iter().zip(outcomes) {
        for (at, failures) in outcome.results {
            if let (Some(test), Some(cases)) = (tests.get(at), by_test.get_mut(at)) {
                cases.push(Case {
                    test,
                    image: Some(&program.section(*id).name),
                    failures,
                });
            }
        }
        tally.add(outcome.tally);
        snapshots.extend(outcome.snapshots);
        for at in outcome.waived {
            if let Some(count) = needed.get_mut(at) {
                *count += 1;
            }
        }
    }
    for (test, cases) in tests.iter().zip(&mut by_test) {
        let failures: Vec<Diagnostic> = task.report_no_image(test).into_iter().collect();
        if !failures.is_empty() {
            cases.push(Case {
                test,
                image: None,
                failures,
            });
        }
    }
    let needed = program.waivers.iter().zip(needed);
    Verified {
        cases: by_test.into_iter().flatten().collect(),
        coverage: tally.finish(program, &tests),
        waivers: needed.filter(|(waiver, _)| waiver.rule.is_some()).collect(),
        snapshots,
    }
}

impl<'p> Task<'p> {
    fn run_on(self, id: SectionId, tests: &[&'p Test]) -> Outcome {
        let mut outcome = Outcome::default();
        let file = self.program.section(id).span.file;
        let base = self.evaluate(id, None);
        if let Ok(image) = &base {
            outcome.tally.add_rules(image);
            outcome.waived = image.waived();
        }
        for (at, test) in tests.iter().enumerate() {
            let is_about = self.program.concerns(test.span.file, file)
                && test.images.contains(self.program, id);
            if !is_about {
                continue;
            }
            let mut failures = Vec::new();
            for group in &test.groups {
                let own = group
                    .with
                    .as_ref()
                    .map(|with| self.evaluate(id, Some(with)));
                let image = own.as_ref().unwrap_or(&base);
                if let (Some(_), Ok(image)) = (&group.with, image) {
                    outcome.tally.add_rules(image);
                    outcome.tally.add_base(test, image);
                }
                self.run_group(id, test, group, image, &mut outcome, &mut failures);
            }
            outcome.results.push((at, failures));
        }
        outcome
    }

    /// Evaluates an image, with other settings above all layers.
    fn evaluate(self, id: SectionId, with: Option<&With>) -> Result<Image<'p>, Box<Diagnostic>> {
        let mut stack = Stack::new(self.program, id, self.provider)?;
        if let Some(with) = with {
            stack.put_above(with.layer);
        }
        Ok(evaluate_on(self.program, id, self.provider, stack))
    }

    fn run_group(
        self,
        id: SectionId,
        test: &'p Test,
        group: &'p Group,
        image: &Result<Image<'p>, Box<Diagnostic>>,
        outcome: &mut Outcome,
        failures: &mut Vec<Diagnostic>,
    ) {
        let with = group.with.as_ref();
        let expects = |step: &Step| matches!(step, Step::Expect { .. });
        let found = if group.steps.iter().any(expects) {
            self.check(image)
        } else {
            Vec::new()
        };
        let name = self.program.section(id).name.as_str();
        for step in &group.steps {
            if let Step::Expect { code, at, span } = step {
                let expected = Expected {
                    code,
                    at: at.as_deref(),
                    span: *span,
                };
                let is_static = |with: &With| with.found.iter().any(|(of, _)| of == span);
                if !with.is_some_and(is_static)
                    && let Some(failure) =
                        expected.judge(self.program, id, test, with, image.as_ref().ok(), &found)
                {
                    failures.push(failure);
                }
                continue;
            }
            let Ok(image) = image else {
                failures.extend(image.as_ref().err().map(|why| {
                    let message = format!(
                        "the test `{}` fails: the image cannot be evaluated: {}",
                        test.name, why.message
                    );
                    Diagnostic::new(Code::TestFailed, why.primary.span, message)
                        .related(step.span(), "the test requires its values")
                }));
                continue;
            };
            match step {
                Step::Assert {
                    condition,
                    reason,
                    span,
                } => {
                    let judgement = image.judge(condition);
                    outcome.tally.count(*span, judgement);
                    let failing = Failing {
                        image,
                        test,
                        with,
                        condition,
                        reason: reason.as_ref(),
                        span: *span,
                    };
                    failures.extend(failing.report(judgement));
                }
                Step::Snapshot { name, span } => {
                    let snapshot = snapshot::Snapshot {
                        image,
                        test,
                        name,
                        span: *span,
                    };
                    if self.updates {
                        outcome.snapshots.push((snapshot.path(), snapshot.text()));
                    } else {
                        failures.extend(snapshot.compare(self.loader));
                    }
                }
                Step::Expect { .. } => {}
            }
        }
        for failure in failures {
            if failure.images.is_empty() {
                failure.images.push(name.to_owned());
            }
        }
    }

    /// Returns what a check of the image reports.
    fn check(self, image: &Result<Image<'p>, Box<Diagnostic>>) -> Vec<Diagnostic> {
        match image {
            Ok(image) => {
                let mut checked = check(image, self.output);
                let mut found = image.diagnostics.clone();
                found.append(&mut checked.diagnostics);
                found.extend(check_roles(
                    self.loader,
                    self.program,
                    &checked,
                    image.name(),
                ));
                found
            }
            Err(why) => vec![(**why).clone()],
        }
    }

    /// Reports a test that is about no image at all. A policy may be about images that this project does not have.
    fn report_no_image(self, test: &Test) -> Option<Diagnostic> {
        let program = self.program;
        let file = test.span.file;
        let is_read_whole = program.is_whole || program.specs.contains(&Some(file));
        let is_about = |id: SectionId| {
            program.concerns(file, program.section(id).span.file)
                && test.images.contains(program, id)
        };
        let is_policy = program.policies.files.contains(&file);
        if is_policy || !is_read_whole || program.own_images().any(is_about) {
            return None;
        }
        let (pattern, span) = test.images.patterns.first()?;
        let message = format!("the test `{}` fails: it is about no image", test.name);
        let found = Diagnostic::new(Code::TestFailed, *span, message);
        Some(match nearest(pattern, names(program)) {
            Some(near) => found
                .label(format!("did you mean `{near}`?"))
                .fix(format!("replace it with `{near}`"), *span, near),
            None => found
                .label("no image has this name, and none extends a layer of this name")
                .help("write the name of an image or layer of this file, of those that it includes, or of those that include it"),
        })
    }
}

/// The names of the project's images and layers.
fn names(program: &Program) -> impl Iterator<Item = &str> {
    let all = program.sections.own().iter();
    let named = all.filter(|section| section.kind != LayerKind::Argument);
    named.map(|section| section.name.as_str())
}
