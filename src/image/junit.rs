//! The results of probes as JUnit XML, which CI systems read.

use crate::image::probe::{Checked, Verdict};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

/// The results of an image's probes.
#[derive(Debug)]
pub struct Suite<'a, 'p> {
    /// The image's name.
    pub image: &'a str,
    /// Its probes.
    pub checked: &'a [Checked<'p>],
    /// For each probe, the place that a failure is about: `path:line`.
    pub places: &'a [String],
}

/// Returns the results as JUnit XML. A probe that does not concern an image is a skipped test.
///
/// # Errors
/// If a text cannot be written as XML.
pub fn junit(suites: &[Suite<'_, '_>]) -> Result<String, SerializeError> {
    let mut report = Report::new("imgspec probe");
    for suite in suites {
        let mut out = TestSuite::new(suite.image);
        let places = suite.places.iter().map(String::as_str);
        let places = places.chain(std::iter::repeat(""));
        for (checked, place) in suite.checked.iter().zip(places) {
            out.add_test_case(case(suite.image, checked, place));
        }
        out.set_time(suite.checked.iter().map(|checked| checked.time).sum());
        report.add_test_suite(out);
    }
    report.to_string()
}

fn case(image: &str, checked: &Checked<'_>, place: &str) -> TestCase {
    let (probe, answer) = (checked.probe, &checked.answer);
    let status = match answer.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_message(answer.summary())
                .set_type("probe-failed");
            status.set_description(format!("{place}\n{}", answer.found));
            status
        }
        Verdict::Skipped | Verdict::Unconcerned => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(match answer.verdict {
                Verdict::Unconcerned => "it does not concern this image",
                _ => answer.summary(),
            });
            status
        }
    };
    let mut case = TestCase::new(probe.title(), status);
    case.set_classname(format!("{image}.{}", probe.name));
    case.set_time(checked.time);
    case
}
