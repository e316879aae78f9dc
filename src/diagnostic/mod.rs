//! The [`Diagnostic`] type, the catalogue of codes, and a renderer for each output format.
//!
//! The compiler creates diagnostics without regard to their format. The `render_` functions return text and print
//! nothing.

mod catalogue;
mod findings;
mod github;
mod gitlab;
mod json;
mod junit;
mod near;
mod plain;
mod repository;
mod rich;
mod sarif;
mod short;

pub use catalogue::{Code, page, summary};
pub use findings::Findings;
pub use github::{render_github, render_summary};
pub use gitlab::render_gitlab;
pub(crate) use json::VERSION;
pub use json::{JsonDiagnostic, Report, json_diagnostics, json_element, json_text, render_json};
pub use junit::{escaped_xml, render_junit};
pub use near::{Fit, Suggestion, nearest, suggest, suggest_image};
pub use plain::render_plain;
pub use repository::Repository;
pub use rich::render_rich;
pub use sarif::render_sarif;
use serde::{Deserialize, Serialize};
pub use short::render_short;

use crate::source::{MAX_KEPT, MAX_NAMED, MAX_SHOWN, Span, visible, visible_line};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::fmt;

/// The severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// An error: the command writes no output.
    Error,
    /// A probable mistake. `imgspec.toml` can allow or deny it.
    Warning,
    /// Information.
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

/// A span with an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The span to underline.
    pub span: Span,
    /// What this span has to do with the diagnostic. Empty if the message is enough.
    pub text: String,
}

/// An edit that an editor can apply. All its changes belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// What the fix does, in the imperative: "replace it with `memory`".
    pub title: String,
    /// The spans to replace and their new texts. An empty span is an insertion.
    pub edits: Vec<(Span, String)>,
}

/// An error, warning or note, with its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The code.
    pub code: Code,
    /// The severity: that of the code, unless `imgspec.toml` changes it.
    pub severity: Severity,
    /// What is wrong, in one sentence that names the user's own thing.
    pub message: String,
    /// The place of the mistake.
    pub primary: Label,
    /// Further places, in any file.
    pub related: Vec<Label>,
    /// What to do, in the imperative.
    pub help: Option<String>,
    /// The edits that an editor can offer.
    pub fixes: Vec<Fix>,
    /// The images that have this diagnostic. Empty if it does not depend on an image.
    pub images: Vec<String>,
    /// The targets for which it was found, if the message names the first one. It is one diagnostic for all of them.
    pub targets: Vec<String>,
    /// The violated rule, for [`Code::RuleViolated`].
    pub rule: Option<String>,
    /// A policy demands it: nothing that the project writes can silence it.
    pub is_pinned: bool,
}

impl Diagnostic {
    /// Creates a diagnostic with the severity of its code.
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
            targets: Vec::new(),
            rule: None,
            is_pinned: false,
        }
    }

    /// Sets the label of the primary span.
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        self.primary.text = text.into();
        self
    }

    /// Adds a label at a further place.
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.related.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Sets the target, which the message names in backquotes: for another target it would be the same diagnostic.
    pub fn on_target(mut self, target: impl Into<String>) -> Diagnostic {
        self.targets = vec![target.into()];
        self
    }

    /// Sets the help.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// Adds a fix with a single edit.
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

    /// Returns a copy with its words escaped for a terminal. The edits of fixes do not change: they are not
    /// displayed.
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
            targets: self.targets.iter().map(line).collect(),
            rule: self.rule.as_ref().map(line),
            is_pinned: self.is_pinned,
        }
    }

    /// Shortens its sentences to [`MAX_SHOWN`] characters: they can quote a text of any length.
    fn cut(&mut self) {
        let labels = self.related.iter_mut().chain([&mut self.primary]);
        let texts = labels.map(|label| &mut label.text);
        let titles = self.fixes.iter_mut().map(|fix| &mut fix.title);
        for text in texts
            .chain(titles)
            .chain(&mut self.help)
            .chain([&mut self.message])
        {
            if text.len() > MAX_SHOWN
                && let Some((at, _)) = text.char_indices().nth(MAX_SHOWN)
            {
                text.truncate(at);
                text.push('…');
            }
        }
    }

    /// Suggests a name, and offers a fix if the suggestion is sure. Changes nothing without a suggestion.
    pub fn did_you_mean(self, near: Option<Suggestion<'_>>, span: Span) -> Diagnostic {
        match near {
            Some(Suggestion {
                name,
                is_sure: true,
            }) => self.label(format!("did you mean `{name}`?")).fix(
                format!("replace it with `{name}`"),
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

    /// Returns whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Returns the names by which `imgspec.toml` can allow or deny this: the code and the rule.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.code.as_str()).chain(self.rule.as_deref())
    }

    /// Returns the message without its targets. It is the same for all images.
    pub fn cause(&self) -> Cow<'_, str> {
        match self.targets.first() {
            Some(first) => Cow::Owned(self.message.replacen(&named(first, &self.targets), "``", 1)),
            None => Cow::Borrowed(&self.message),
        }
    }

    /// Returns the images as a phrase, such as "in images a and b". It names at most three.
    pub fn images_in_words(&self) -> Option<String> {
        match self.images.as_slice() {
            [] => None,
            [one] => Some(format!("in image {one}")),
            [first @ .., last] if first.len() < 3 => {
                Some(format!("in images {} and {last}", first.join(", ")))
            }
            [a, b, c, ..] => Some(format!("in {} images: {a}, {b}, {c}, …", self.images.len())),
            _ => None,
        }
    }

    /// Returns the images that a report for programs names: the first ones of very many.
    pub(crate) fn first_images(&self) -> &[String] {
        self.images.get(..MAX_NAMED).unwrap_or(&self.images)
    }

    /// Adds the images and targets of an equal diagnostic.
    fn join(&mut self, images: impl Iterator<Item = String>, targets: Vec<String>) {
        self.images.extend(images);
        let Some(first) = self.targets.first().cloned() else {
            return;
        };
        let old = named(&first, &self.targets);
        for target in targets {
            if !self.targets.contains(&target) {
                self.targets.push(target);
            }
        }
        let new = named(&first, &self.targets);
        if new != old {
            self.message = self.message.replacen(&old, &new, 1);
        }
    }
}

/// Returns how a message names the first target and counts the others.
fn named(first: &str, all: &[String]) -> String {
    match all.len() {
        0 | 1 => format!("`{first}`"),
        2 => format!("`{first}` (and 1 other)"),
        count => format!("`{first}` (and {} others)", count - 1),
    }
}

/// Proof that an error has been reported, so that its consequences are not reported again.
///
/// Reporting an error returns it. What cannot be computed because of the error carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported(());

impl Reported {
    /// Reports an error.
    pub fn push(diagnostics: &mut Vec<Diagnostic>, error: Diagnostic) -> Reported {
        debug_assert!(
            error.is_error(),
            "a warning proves nothing: {}",
            error.message
        );
        // Nobody reads more. An error is kept even if there are as many warnings.
        if diagnostics.len() < MAX_KEPT || !diagnostics.last().is_some_and(Diagnostic::is_error) {
            diagnostics.push(error);
        }
        Reported(())
    }

    /// Returns the proof for a missing part of the typed view of a file, which the parser has reported.
    pub fn by_parser() -> Reported {
        Reported(())
    }
}

/// Merges equal diagnostics of several images, also on several targets, and sorts all by place.
pub fn merge(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen: FxHashMap<(Code, Span, String), usize> = FxHashMap::default();
    let mut in_images: FxHashSet<(usize, String)> = FxHashSet::default();
    let mut out: Vec<Diagnostic> = Vec::new();
    for mut diagnostic in diagnostics {
        diagnostic.cut();
        let key = (
            diagnostic.code,
            diagnostic.primary.span,
            diagnostic.cause().into_owned(),
        );
        let at = *seen.entry(key).or_insert(out.len());
        let is_new = |image: &String| in_images.insert((at, image.clone()));
        match out.get_mut(at) {
            Some(first) => {
                let images = diagnostic.images.into_iter().filter(is_new);
                first.join(images, diagnostic.targets);
            }
            None => {
                in_images.extend(diagnostic.images.iter().map(|image| (at, image.clone())));
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
