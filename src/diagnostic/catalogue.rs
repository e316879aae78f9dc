//! The codes of diagnostics, and the pages that `imgspec explain` prints for them.

use crate::diagnostic::Severity;
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};
use std::fmt;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/codes");

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal $severity:ident,)*) => {
        /// The kind of a diagnostic. Codes do not change, because scripts and `imgspec.toml` name them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, in the order of this file.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// Returns the code's name in kebab case.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// Returns the severity that the code has unless `imgspec.toml` changes it.
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// A part of a file does not follow the grammar.
    Syntax = "syntax" Error,
    /// A bracket, quote or heredoc is never closed.
    Unclosed = "unclosed" Error,
    /// A word of the language cannot be a name.
    Reserved = "reserved" Error,
    /// `imgspec` cannot read a file.
    CannotRead = "cannot-read" Error,
    /// Files include each other in a circle.
    IncludeCycle = "include-cycle" Error,
    /// A spec names a file outside the project.
    OutsideRoot = "outside-root" Error,
    /// A file that is included by its address has no copy that `imgspec.lock` names.
    RemoteInclude = "remote-include" Error,
    /// A file, a value or the output exceeds a limit.
    TooLarge = "too-large" Error,
    /// A file contains characters that change the direction of text.
    TextDirection = "text-direction" Error,
    /// `imgspec.toml` is not valid.
    BadConfig = "bad-config" Error,
    /// A comment for imgspec is not valid.
    BadAllow = "bad-allow" Error,
    /// A comment allows what is not reported.
    UnusedAllow = "unused-allow" Warning,
    /// A name in `imgspec.toml` changes nothing.
    UnusedConfig = "unused-config" Warning,
    /// Nothing declares the variable.
    UnknownVariable = "unknown-variable" Error,
    /// Nothing declares the layer, image, provider or type.
    UnknownName = "unknown-name" Error,
    /// An attribute, block or encoding does not exist.
    UnknownAttribute = "unknown-attribute" Error,
    /// A function does not exist, or it has other parameters.
    UnknownFunction = "unknown-function" Error,
    /// A `{{user}}` names a variable that does not exist.
    UnknownReference = "unknown-reference" Error,
    /// Image Builder has removed the variable.
    RemovedVariable = "removed-variable" Error,
    /// One name has two definitions.
    DuplicateName = "duplicate-name" Error,
    /// One body sets a variable twice.
    DuplicateSetting = "duplicate-setting" Error,
    /// Two images in one command have the same name.
    DuplicateImage = "duplicate-image" Error,
    /// A statement or block has no meaning in its place.
    WrongPlace = "wrong-place" Error,
    /// Layers or images extend each other in a circle.
    ExtendsCycle = "extends-cycle" Error,
    /// An image has no target.
    NoTarget = "no-target" Error,
    /// An image extends two unrelated targets.
    TwoTargets = "two-targets" Error,
    /// A value does not have the type of its variable.
    TypeMismatch = "type-mismatch" Error,
    /// A variable of type `file` names a file that does not exist.
    FileNotFound = "file-not-found" Error,
    /// The encoding of a variable cannot carry the value.
    NotEncodable = "not-encodable" Error,
    /// The values of variables refer to each other in a circle.
    ReferenceCycle = "reference-cycle" Error,
    /// A condition reads a variable that is not a fact.
    NotAFact = "not-a-fact" Error,
    /// A condition reads a fact that has no value.
    UnsetFact = "unset-fact" Error,
    /// The target reads a variable that has no value, or an item lacks a required attribute.
    Required = "required" Error,
    /// A stronger setting changes a `final` value.
    FinalOverridden = "final-overridden" Error,
    /// A setting changes a variable that the target fixes.
    FixedByTarget = "fixed-by-target" Error,
    /// An operation needs a value that is only known during the build.
    OpaqueValue = "opaque-value" Error,
    /// A string for Packer contains a literal `{{`.
    LiteralBraces = "literal-braces" Error,
    /// A slot of the template cannot carry the value.
    SlotCannotCarry = "slot-cannot-carry" Error,
    /// Nothing can be built with the target.
    RefusedTarget = "refused-target" Error,
    /// A Packer run selects no builder of the template.
    NoBuilder = "no-builder" Error,
    /// A value needs the extra-vars file, and no argument can name the file.
    NoFileRoute = "no-file-route" Error,
    /// An `ansible` or `packer` block sets a declared variable.
    DeclaredVariable = "declared-variable" Error,
    /// A string for Ansible contains a literal secret.
    SecretInText = "secret-in-text" Error,
    /// A JSON var file is not valid JSON.
    JsonSyntax = "json-syntax" Error,
    /// A JSON var file contains a value that is not a string.
    JsonNotAString = "json-not-a-string" Error,
    /// A rule of the library or the project is violated. A rule with `warn` gives a warning.
    RuleViolated = "rule-violated" Error,
    /// A built image does not have what a probe expects.
    ProbeFailed = "probe-failed" Error,
    /// An image is not as a test of the project demands.
    TestFailed = "test-failed" Error,
    /// The last day of a waiver is over.
    WaiverExpired = "waiver-expired" Error,
    /// No image needs a waiver.
    UnusedWaiver = "unused-waiver" Warning,
    /// A setting has no effect on the target.
    NoEffect = "no-effect" Warning,
    /// No image can satisfy a condition.
    NeverTrue = "never-true" Warning,
    /// A string contains a variable's name in the syntax of another language.
    UnfilledName = "unfilled-name" Warning,
    /// A setting or an expression uses the old name of a variable.
    DeprecatedName = "deprecated-name" Warning,
    /// A JSON var file sets a variable that nothing declares.
    UnknownJsonName = "unknown-json-name" Warning,
    /// A JSON string has extra quotes that Image Builder no longer requires.
    LegacyQuotes = "legacy-quotes" Warning,
    /// A part of a JSON value is lost between Packer and Ansible.
    ValueLost = "value-lost" Warning,
    /// A string separates the elements of a list with the wrong character.
    WrongSeparator = "wrong-separator" Warning,
    /// A spec contains a literal secret.
    SecretLiteral = "secret-literal" Warning,
    /// Two parents set different values, and the image sets none.
    ParentsDiffer = "parents-differ" Warning,
    /// A layer comes before the target, which overrides it.
    BelowTarget = "below-target" Warning,
    /// A `-=` removes no element.
    NothingRemoved = "nothing-removed" Warning,
    /// A role does not exist. This is an error for a build.
    UnknownRole = "unknown-role" Warning,
    /// Ansible runs another role with the name of the project's role.
    ShadowedRole = "shadowed-role" Warning,
    /// The extra-vars file reaches Ansible through a different variable than usual.
    OtherRoute = "other-route" Note,
    /// The output for the standard library's roles goes to an Image Builder checkout.
    NativeOutput = "native-output" Warning,
}

impl Code {
    /// Returns whether the only fix of a diagnostic with this code is safe: the fixed text means the same, or the text had no
    /// meaning and can mean nothing else. A guess at a name is not safe.
    pub fn has_safe_fix(self) -> bool {
        matches!(
            self,
            Code::Syntax
                | Code::Unclosed
                | Code::JsonSyntax
                | Code::JsonNotAString
                | Code::DeprecatedName
                | Code::LegacyQuotes
                | Code::UnusedAllow
        )
    }

    /// Returns the code with this name.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|c| c.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the page of a code, in Markdown.
pub fn page(code: Code) -> &'static str {
    PAGES
        .get_file(format!("{code}.md"))
        .and_then(|file| file.contents_utf8())
        .unwrap_or("")
}

/// Returns the first paragraph of a code's page: what the diagnostic is, on one line.
pub fn summary(code: Code) -> String {
    let body = page(code).split_once('\n').map_or("", |(_, body)| body);
    let paragraph = body.trim_start().split("\n\n").next().unwrap_or("");
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a section of a code's page, in Markdown. Empty if the page has none with this heading.
pub(super) fn section(code: Code, heading: &str) -> &'static str {
    let page = page(code);
    let body = page.split_once(&format!("\n## {heading}\n"));
    let body = body.map_or("", |(_, body)| body);
    body.split("\n## ").next().unwrap_or("").trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        for code in Code::ALL {
            assert!(
                page(*code).starts_with(&format!("# {code}\n")),
                "docs/codes/{code}.md is missing or lacks its heading"
            );
        }
        for file in PAGES.files() {
            let stem = file.path().file_stem().and_then(|s| s.to_str());
            assert!(
                stem.and_then(Code::parse).is_some(),
                "{} explains no code",
                file.path().display()
            );
        }
    }
}
