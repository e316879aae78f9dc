//! The results of tests as JUnit XML, which CI systems read.

use crate::diagnostic::escaped_xml;
use crate::source::SourceMap;
use crate::verify::Case;
use std::fmt::Write;

/// Returns the results as JUnit XML: a suite for each test, and a case for each image.
pub fn junit(cases: &[Case<'_>], sources: &SourceMap) -> String {
    let failing = |cases: &[Case<'_>]| cases.iter().filter(|case| !case.passes()).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"imgspec test\" tests=\"{}\" failures=\"{}\" errors=\"0\">\n",
        cases.len(),
        failing(cases)
    );
    for cases in cases.chunk_by(|a, b| std::ptr::eq(a.test, b.test)) {
        let Some(first) = cases.first() else {
            continue;
        };
        let name = escaped_xml(&first.test.name);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\">",
            cases.len(),
            failing(cases)
        );
        for case in cases {
            push_case(case, &name, sources, &mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn push_case(case: &Case<'_>, test: &str, sources: &SourceMap, out: &mut String) {
    let image = escaped_xml(case.image.unwrap_or("no image"));
    let _ = write!(out, "    <testcase name=\"{image}\" classname=\"{test}\"");
    if case.passes() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    for failure in &case.failures {
        let span = failure.primary.span;
        let line = sources.position(span.file, span.start).line;
        let place = escaped_xml(&format!("{}:{line}", sources.name(span.file)));
        let message = escaped_xml(&failure.message);
        let help = failure.help.as_deref().map(escaped_xml);
        let help = help.map_or(String::new(), |help| format!("\n{help}"));
        let _ = writeln!(
            out,
            "      <failure type=\"{}\" message=\"{message}\">{place}{help}</failure>",
            failure.code
        );
    }
    out.push_str("    </testcase>\n");
}
