//! The results of tests as JUnit XML, which CI systems read.

use crate::source::SourceMap;
use crate::verify::Case;
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

/// Returns the results as JUnit XML: a suite for each test, and a case for each image.
///
/// # Errors
/// If a text cannot be written as XML.
pub fn junit(cases: &[Case<'_>], sources: &SourceMap) -> Result<String, SerializeError> {
    let mut report = Report::new("imgspec test");
    for cases in cases.chunk_by(|a, b| std::ptr::eq(a.test, b.test)) {
        let Some(first) = cases.first() else {
            continue;
        };
        let mut suite = TestSuite::new(first.test.name.as_str());
        for case in cases {
            suite.add_test_case(to_junit(case, sources));
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn to_junit(case: &Case<'_>, sources: &SourceMap) -> TestCase {
    let status = match case.failures.first() {
        None => TestCaseStatus::success(),
        Some(first) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_message(first.message.as_str())
                .set_type(first.code.as_str());
            let lines = case.failures.iter().map(|failure| {
                let span = failure.primary.span;
                let line = sources.position(span.file, span.start).line;
                format!("{}:{line}: {}", sources.name(span.file), failure.message)
            });
            status.set_description(lines.collect::<Vec<_>>().join("\n"));
            status
        }
    };
    let mut out = TestCase::new(case.image.unwrap_or("no image"), status);
    out.set_classname(case.test.name.as_str());
    out
}
