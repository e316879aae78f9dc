//! Every code that a diagnostic can have, and the page that `imgspec explain` prints for it.

use crate::diagnostic::Severity;
use include_dir::{Dir, include_dir};
use std::fmt;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/codes");

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal $severity:ident,)*) => {
        /// What kind of finding a diagnostic is. Codes are lasting: scripts and `imgspec.toml` name them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The kebab-case name.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// How bad it is unless `imgspec.toml` says otherwise.
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// The text does not follow the grammar.
    Syntax = "syntax" Error,
    /// A bracket, quote or block is not closed.
    Unclosed = "unclosed" Error,
    /// A word that is kept for a later version of the language.
    Reserved = "reserved" Error,
    /// A file cannot be read.
    CannotRead = "cannot-read" Error,
    /// Files include each other in a circle.
    IncludeCycle = "include-cycle" Error,
    /// A file outside the project's root.
    OutsideRoot = "outside-root" Error,
    /// `imgspec.toml` is wrong.
    BadConfig = "bad-config" Error,
    /// A name in `imgspec.toml` that means nothing.
    UnusedConfig = "unused-config" Warning,
    /// A variable that nobody declared.
    UnknownVariable = "unknown-variable" Error,
    /// A layer, image, provider or type that nobody declared.
    UnknownName = "unknown-name" Error,
    /// An attribute or a block that does not exist there.
    UnknownAttribute = "unknown-attribute" Error,
    /// A function that does not exist, or called with the wrong arguments.
    UnknownFunction = "unknown-function" Error,
    /// A `{{user}}` that names nothing.
    UnknownReference = "unknown-reference" Error,
    /// A variable that Image Builder has dropped.
    RemovedVariable = "removed-variable" Error,
    /// One name, two definitions.
    DuplicateName = "duplicate-name" Error,
    /// One body sets a variable twice.
    DuplicateSetting = "duplicate-setting" Error,
    /// Two images of one command have one name.
    DuplicateImage = "duplicate-image" Error,
    /// A statement that does not belong where it stands.
    WrongPlace = "wrong-place" Error,
    /// Layers extend each other in a circle.
    ExtendsCycle = "extends-cycle" Error,
    /// An image without a target.
    NoTarget = "no-target" Error,
    /// An image with two unrelated targets.
    TwoTargets = "two-targets" Error,
    /// A value that is not of its variable's type.
    TypeMismatch = "type-mismatch" Error,
    /// A file that is not there.
    FileNotFound = "file-not-found" Error,
    /// A value that its variable's encoding cannot carry.
    NotEncodable = "not-encodable" Error,
    /// Variables that are defined by each other.
    ReferenceCycle = "reference-cycle" Error,
    /// A condition that reads what is not a fact.
    NotAFact = "not-a-fact" Error,
    /// A condition that reads a fact without a value.
    UnsetFact = "unset-fact" Error,
    /// A variable that the target reads and nobody sets.
    Required = "required" Error,
    /// A `final` value that something stronger changes.
    FinalOverridden = "final-overridden" Error,
    /// A setting of what the target itself fixes.
    FixedByTarget = "fixed-by-target" Error,
    /// An operation on a value that is only known at build time.
    OpaqueValue = "opaque-value" Error,
    /// A literal `{{` on its way to Packer.
    LiteralBraces = "literal-braces" Error,
    /// A value that the template's slot cannot carry.
    SlotCannotCarry = "slot-cannot-carry" Error,
    /// A target that is known by its name only.
    RefusedTarget = "refused-target" Error,
    /// A run of Packer selects none of the template's builders.
    NoBuilder = "no-builder" Error,
    /// A value that needs the extra-vars file where there is no way for it.
    NoFileRoute = "no-file-route" Error,
    /// A declared variable in an `ansible` or `packer` block.
    DeclaredVariable = "declared-variable" Error,
    /// A secret on its way into plain text.
    SecretInText = "secret-in-text" Error,
    /// A JSON var file that is not JSON.
    JsonSyntax = "json-syntax" Error,
    /// A JSON var file with a value that is not a string.
    JsonNotAString = "json-not-a-string" Error,
    /// A rule of the library or the project is broken; a rule with `warn` gives a warning.
    RuleViolated = "rule-violated" Error,
    /// A setting without effect on this target.
    NoEffect = "no-effect" Warning,
    /// A condition that is never true.
    NeverTrue = "never-true" Warning,
    /// A variable's name in a text, in the spelling of another language.
    UnfilledName = "unfilled-name" Warning,
    /// A deprecated name.
    DeprecatedName = "deprecated-name" Warning,
    /// A name in a JSON var file that nothing knows.
    UnknownJsonName = "unknown-json-name" Warning,
    /// Quotes inside a JSON value that upstream no longer wants.
    LegacyQuotes = "legacy-quotes" Warning,
    /// A part of a value that is lost between Packer and Ansible.
    ValueLost = "value-lost" Warning,
    /// A list whose elements are divided by another separator than its own.
    WrongSeparator = "wrong-separator" Warning,
    /// A secret that stands in the text.
    SecretLiteral = "secret-literal" Warning,
    /// Two parents disagree and the image does not decide.
    ParentsDiffer = "parents-differ" Warning,
    /// A layer that the target overrides.
    BelowTarget = "below-target" Warning,
    /// A `-=` that removes nothing.
    NothingRemoved = "nothing-removed" Warning,
    /// A role that is nowhere; an error where an image is built.
    UnknownRole = "unknown-role" Warning,
    /// A role of the project that has the name of one beside the playbook.
    ShadowedRole = "shadowed-role" Warning,
    /// The extra-vars file goes another way than usual.
    OtherRoute = "other-route" Note,
    /// Output of the built-in library in an Image Builder checkout.
    NativeOutput = "native-output" Warning,
}

impl Code {
    /// The code of that name.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|c| c.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The page of a code, in Markdown.
pub fn page(code: Code) -> &'static str {
    PAGES
        .get_file(format!("{code}.md"))
        .and_then(|file| file.contents_utf8())
        .unwrap_or("")
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
