//! Every message of a diagnostic is in an expected output of some test.
//!
//! The test reads `src/`, finds each call of `Diagnostic::new`, and the texts that its message can be: the literals and
//! `format!`s, also through local variables, branches, parameters and other functions. Each text becomes a pattern, which
//! must match the message of a diagnostic with the same code in an expected output.
//! A text that is not covered needs a case in `tests/diagnostics`.

mod common;

#[path = "messages/calls.rs"]
mod calls;
#[path = "messages/expected.rs"]
mod expected;

use calls::{Source, Text};
use std::collections::BTreeSet;

/// Expressions that are messages or parts of them, and whose texts are not in the source, or are found elsewhere.
const EXCEPTIONS: [(&str, &str, &str); 6] = [
    (
        "src/eval/rules.rs",
        "eval_text(): eval_finished(): Finished (self) . eval (expr) . ok () . flatten ()",
        "a rule's text is the library's; `tests/rules` breaks each rule",
    ),
    (
        "src/eval/mod.rs",
        "eval(): eval(): eval(): value",
        "a value of the project",
    ),
    (
        "src/project/check/expr.rs",
        "message(): self . reason",
        "`Mismatch::of` and `Mismatch::because` are read",
    ),
    (
        "src/project/config.rs",
        "in_words(): error . message ()",
        "a text of the crate `toml`",
    ),
    (
        "src/project/check/var_file.rs",
        "error . message",
        "`JsonError::new` is read",
    ),
    (
        "src/ansible/extra_vars.rs",
        "reason",
        "`parse_vars` and its like return it",
    ),
];

#[test]
fn every_message_is_in_an_expected_output() {
    let source = Source::read(&common::root().join("src"));
    let found = source.messages();
    let unresolved: BTreeSet<String> = found
        .unresolved
        .iter()
        .filter(|place| {
            !EXCEPTIONS
                .iter()
                .any(|(file, expression, _)| place.file == *file && place.expression == *expression)
        })
        .map(|place| format!("{}:{}: {}", place.file, place.line, place.expression))
        .collect();
    assert!(
        unresolved.is_empty(),
        "the test does not see which texts these messages can be:\n{}",
        unresolved.into_iter().collect::<Vec<_>>().join("\n")
    );
    assert_eq!(
        found.calls,
        source.occurrences("Diagnostic::new("),
        "the test does not see all calls of Diagnostic::new"
    );
    for (file, expression, _) in EXCEPTIONS {
        let is_used = found
            .unresolved
            .iter()
            .any(|place| place.file == file && place.expression == expression);
        assert!(is_used, "the exception {file}: {expression} is not needed");
    }
    let expected = expected::messages();
    let uncovered: Vec<String> = found
        .texts
        .iter()
        .filter(|text| !expected::covers(&expected, text))
        .map(Text::to_string)
        .collect();
    println!(
        "{} calls, {} texts, {} expected messages",
        found.calls,
        found.texts.len(),
        expected.len()
    );
    assert!(
        uncovered.is_empty(),
        "{} of {} texts are in no expected output:\n{}",
        uncovered.len(),
        found.texts.len(),
        uncovered.join("\n")
    );
}
