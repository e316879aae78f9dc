//! What the compiler has to say: one [`Diagnostic`] type, the catalogue of codes, and one renderer a file.
//!
//! The compiler makes diagnostics and knows nothing of how they look; the renderers know nothing of
//! where they come from. `render_` functions return text and print nothing.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod catalogue;
mod json;
mod near;
mod plain;
mod rich;
mod short;

pub use catalogue::{Code, page};
pub use json::{json_diagnostics, json_text, render_json};
pub use near::{Fit, Suggestion, nearest, suggest, suggest_image};
pub use plain::render_plain;
pub use rich::render_rich;
pub use short::render_short;

use crate::source::{Span, visible, visible_line};
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is written.
    Error,
    /// Probably a mistake; `imgspec.toml` can allow or deny it.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// A place with what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// A repair that an editor can apply: all its edits together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub title: String,
    /// Places and the text that takes their place; an empty place is an insertion.
    pub edits: Vec<(Span, String)>,
}

/// One finding: what, where, why there, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// One sentence that names the variable or item.
    pub message: String,
    pub primary: Label,
    /// Further places, in any file.
    pub related: Vec<Label>,
    pub help: Option<String>,
    pub fixes: Vec<Fix>,
    /// The images that it was found for; empty where it holds for the text itself.
    pub images: Vec<String>,
    /// The rule that was broken, for [`Code::RuleViolated`].
    pub rule: Option<String>,
}

impl Diagnostic {
    /// A finding with its code's usual severity.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: code.severity(),
            message: message.into(),
            primary: Label {
                span,
                text: String::new(),
            },
            related: Vec::new(),
            help: None,
            fixes: Vec::new(),
            images: Vec::new(),
            rule: None,
        }
    }

    /// What to say at the primary place.
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        self.primary.text = text.into();
        self
    }

    pub fn related(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.related.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// A repair of one edit.
    pub fn fix(
        mut self,
        title: impl Into<String>,
        span: Span,
        text: impl Into<String>,
    ) -> Diagnostic {
        self.fixes.push(Fix {
            title: title.into(),
            edits: vec![(span, text.into())],
        });
        self
    }

    /// The same with all words as a terminal may have them. The edits of fixes stay: they are no words.
    pub fn visible(&self) -> Diagnostic {
        let line = |text: &String| visible_line(text).into_owned();
        let label = |label: &Label| Label {
            span: label.span,
            text: line(&label.text),
        };
        Diagnostic {
            code: self.code,
            severity: self.severity,
            message: line(&self.message),
            primary: label(&self.primary),
            related: self.related.iter().map(label).collect(),
            help: self.help.as_ref().map(|help| visible(help).into_owned()),
            fixes: self
                .fixes
                .iter()
                .map(|fix| Fix {
                    title: line(&fix.title),
                    edits: fix.edits.clone(),
                })
                .collect(),
            images: self.images.iter().map(line).collect(),
            rule: self.rule.as_ref().map(line),
        }
    }

    /// Names what was probably meant, and repairs it where that is sure. Nothing where nothing is near.
    pub fn did_you_mean(self, near: Option<Suggestion<'_>>, span: Span) -> Diagnostic {
        match near {
            Some(Suggestion {
                name,
                is_sure: true,
            }) => self.label(format!("did you mean `{name}`?")).fix(
                format!("write `{name}`"),
                span,
                name,
            ),
            Some(Suggestion {
                name,
                is_sure: false,
            }) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The code, or the name of the rule: what `imgspec.toml` allows or denies.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.code.as_str()).chain(self.rule.as_deref())
    }

    /// The images it was found for, as words for people; at most three are named.
    pub fn images_in_words(&self) -> Option<String> {
        match self.images.as_slice() {
            [] => None,
            [one] => Some(format!("in image {one}")),
            [first @ .., last] if first.len() < 3 => {
                Some(format!("in images {} and {last}", first.join(", ")))
            }
            [a, b, c, rest @ ..] => {
                Some(format!("in images {a}, {b}, {c} and {} more", rest.len()))
            }
            _ => None,
        }
    }
}

/// Proof that an error has been reported, so that nothing else needs to be said about its place.
///
/// Whoever reports an error has one, and what could not be computed because of the error carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported(());

impl Reported {
    /// Reports an error.
    pub fn push(diagnostics: &mut Vec<Diagnostic>, error: Diagnostic) -> Reported {
        debug_assert!(
            error.is_error(),
            "a warning proves nothing: {}",
            error.message
        );
        diagnostics.push(error);
        Reported(())
    }

    /// The parser reports what it cannot read, and leaves a gap in the syntax tree there.
    pub fn by_parser() -> Reported {
        Reported(())
    }
}

/// Puts what was found for several images at one place together, and orders by place.
pub fn merge(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen: rustc_hash::FxHashMap<(Code, Span, String), usize> = Default::default();
    let mut out: Vec<Diagnostic> = Vec::new();
    for diagnostic in diagnostics {
        let key = (
            diagnostic.code,
            diagnostic.primary.span,
            diagnostic.message.clone(),
        );
        match seen.get(&key).and_then(|at| out.get_mut(*at)) {
            Some(first) => {
                for image in diagnostic.images {
                    if !first.images.contains(&image) {
                        first.images.push(image);
                    }
                }
            }
            None => {
                seen.insert(key, out.len());
                out.push(diagnostic);
            }
        }
    }
    out.sort_by(|a, b| {
        let place = |d: &Diagnostic| (d.primary.span.file, d.primary.span.start, d.severity);
        place(a).cmp(&place(b))
    });
    out
}
