//! Why a test fails: first the setting that broke it, then the condition with its values.

use crate::diagnostic::{Code, Diagnostic};
use crate::emit::Shown;
use crate::eval::{Active, Image, Judgement};
use crate::project::Program;
use crate::project::StackLayer;
use crate::project::hir::*;
use crate::source::Span;
use crate::syntax::ast::BinaryOp;
use crate::verify::change::find_change;

/// How many variables a message names at most.
const MOST_NAMED: usize = 6;

/// How many characters of a value a message shows.
const MOST_SHOWN: usize = 60;

/// An assertion about an image.
pub(super) struct Failing<'i, 'p> {
    pub image: &'i Image<'p>,
    pub test: &'p Test,
    pub with: Option<&'p With>,
    pub condition: &'p Expr,
    pub reason: Option<&'p Expr>,
    pub span: Span,
}

impl<'p> Failing<'_, 'p> {
    /// Returns what is wrong if the condition does not hold.
    pub(super) fn report(&self, judgement: Judgement) -> Option<Diagnostic> {
        let image = self.image;
        let (test, text) = (&self.test.name, self.text(self.condition.span));
        let reason = self.reason.and_then(|reason| image.eval_text(reason));
        let message = match (judgement, reason) {
            (Judgement::Known(true), _) => return None,
            (Judgement::Known(false), Some(reason)) => {
                format!("the test `{test}` fails: {reason}")
            }
            (Judgement::Known(false), None) => {
                format!("the test `{test}` fails: `{text}` is false")
            }
            (Judgement::Unset, _) => format!("the test `{test}` fails: `{text}` has no value"),
            (Judgement::Opaque, _) => {
                format!("the test `{test}` fails: only the build knows `{text}`")
            }
            (Judgement::Failed, _) => {
                format!("the test `{test}` fails: a value in `{text}` has an error")
            }
        };
        let culprits = culprits(image, self.condition);
        let mut read = Vec::new();
        for culprit in &culprits {
            culprit.for_each_variable(&mut |id| {
                if !read.contains(&id) {
                    read.push(id);
                }
            });
        }
        let mut blamed = read.clone();
        if judgement == Judgement::Unset {
            blamed.retain(|id| image.value(*id).is_none());
        }
        let mut found = self.at_settings(message, &blamed);
        if let Some(values) = in_words(image, &read) {
            found = found.related(self.span, format!("here {values}"));
        } else {
            found = found.related(self.span, "the assertion");
        }
        if let Some(with) = self.with {
            found = found.related(with.span, "with these settings");
        }
        let help = match judgement {
            Judgement::Known(_) => find_change(image, self.condition),
            Judgement::Unset => Some(
                "set the variables that have no value, or ask for them with `is_set`".to_owned(),
            ),
            Judgement::Opaque => Some("test a value that the compiler knows".to_owned()),
            Judgement::Failed => Some("`imgspec check` reports the error".to_owned()),
        };
        found.help = help;
        Some(found)
    }

    /// Returns a diagnostic at the setting that the user can change, with the others.
    fn at_settings(&self, message: String, read: &[VarId]) -> Diagnostic {
        let (image, program) = (self.image, self.image.program);
        let mut grounds = image.grounds(read);
        grounds.sort_by_key(|(_, active)| is_of_with(image, self.with, active));
        let is_users = |active: &Active<'_>| program.sources.is_users(active.setting.span.file);
        let label = |id: VarId| format!("`{}` is set here", program.variable(id).name);
        let mut grounds = grounds.into_iter().filter(|(_, active)| is_users(active));
        let mut found = match grounds.next() {
            Some((id, active)) => {
                Diagnostic::new(Code::TestFailed, active.setting.span, message).label(label(id))
            }
            None => {
                let span = program.section(image.section).span;
                let found = Diagnostic::new(Code::TestFailed, span, message);
                match read.first() {
                    Some(id) => {
                        let name = &program.variable(*id).name;
                        found.label(format!("no layer of the project sets `{name}`"))
                    }
                    None => found.label("the test is about this image"),
                }
            }
        };
        for (id, active) in grounds.take(MOST_NAMED - 1) {
            found = found.related(active.setting.span, label(id));
        }
        found
    }

    /// The text of a part of the test, on one line.
    fn text(&self, span: Span) -> String {
        let text = self.image.program.sources.shown_slice(span);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn is_of_with(image: &Image<'_>, with: Option<&With>, active: &Active<'_>) -> bool {
    let layer = image.stack.layer(active.layer);
    with.is_some_and(|with| layer == Some(StackLayer::Section(with.layer)))
}

/// Returns the parts of a condition because of which it does not hold.
pub(super) fn culprits<'p>(image: &Image<'p>, condition: &'p Expr) -> Vec<&'p Expr> {
    let (mut open, mut out) = (vec![condition], Vec::new());
    while let Some(expr) = open.pop() {
        match &expr.kind {
            ExprKind::Binary {
                op: BinaryOp::And,
                sides,
                ..
            } => {
                let sides = sides.iter().rev();
                open.extend(sides.filter(|side| image.judge(side) != Judgement::Known(true)));
            }
            _ => out.push(expr),
        }
    }
    out
}

/// Returns the values of variables as a phrase.
fn in_words(image: &Image<'_>, read: &[VarId]) -> Option<String> {
    let words = read.iter().take(MOST_NAMED).map(|id| {
        let name = &image.program.variable(*id).name;
        format!("`{name}` is {}", shown(image, *id))
    });
    let words: Vec<String> = words.collect();
    let (last, first) = words.split_last()?;
    Some(if first.is_empty() {
        last.clone()
    } else {
        format!("{} and {last}", first.join(", "))
    })
}

/// Returns the beginning of a variable's value, as a spec writes it. Secrets are masked.
pub(super) fn shown(image: &Image<'_>, id: VarId) -> String {
    let text = Shown::of(image, id).written();
    match text.char_indices().nth(MOST_SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// A diagnostic that a test expects.
pub(super) struct Expected<'e> {
    pub code: &'e str,
    pub at: Option<&'e str>,
    pub span: Span,
}

impl Expected<'_> {
    /// Returns what is wrong if nothing of what a check found is the expected diagnostic.
    pub(super) fn judge(
        &self,
        program: &Program,
        id: SectionId,
        test: &Test,
        with: Option<&With>,
        image: Option<&Image<'_>>,
        found: &[Diagnostic],
    ) -> Option<Diagnostic> {
        let section = program.section(id);
        let variable = self
            .at
            .and_then(|at| program.find_variable(Some(test.span.file), at));
        let is_expected = |found: &Diagnostic| {
            let is_at = self
                .at
                .is_none_or(|name| is_about(program, image, variable, name, found));
            found.names().any(|name| name == self.code) && is_at
        };
        if found.iter().any(is_expected) {
            return None;
        }
        let (test, code) = (&test.name, self.code);
        let message = match self.at {
            Some(at) => format!("the test `{test}` fails: no `{code}` is reported at `{at}`"),
            None => format!("the test `{test}` fails: no `{code}` is reported"),
        };
        let winner = variable.and_then(|id| Some((id, image?.winner(id)?)));
        let is_users = |active: &Active<'_>| program.sources.is_users(active.setting.span.file);
        let mut failure = match winner.filter(|(_, active)| is_users(active)) {
            Some((id, active)) => {
                let label = format!("`{}` is set here", program.variable(id).name);
                Diagnostic::new(Code::TestFailed, active.setting.span, message).label(label)
            }
            None => Diagnostic::new(Code::TestFailed, section.span, message)
                .label("a check of this image does not report it"),
        };
        failure = failure.related(self.span, "expected here");
        if let Some(with) = with {
            failure = failure.related(with.span, "with these settings");
        }
        let mut others: Vec<&str> = found.iter().flat_map(Diagnostic::names).collect();
        others.sort_unstable();
        others.dedup();
        Some(failure.help(if others.is_empty() {
            "a check of this image reports nothing".to_owned()
        } else {
            format!("a check of this image reports {}", others.join(", "))
        }))
    }
}

/// True if a diagnostic is about a variable: at one of its settings, at its declaration, or by its name.
fn is_about(
    program: &Program,
    image: Option<&Image<'_>>,
    variable: Option<VarId>,
    name: &str,
    found: &Diagnostic,
) -> bool {
    let touches = |span: Span| {
        let places = found.related.iter().chain([&found.primary]);
        places.map(|label| label.span).any(|place| {
            place.file == span.file && place.start <= span.end && span.start <= place.end
        })
    };
    let is_at = |id: VarId| {
        let settings = image.map_or(&[][..], |image| image.settings(id));
        settings.iter().any(|active| touches(active.setting.span))
            || touches(program.variable(id).span)
    };
    variable.is_some_and(is_at) || found.message.contains(&format!("`{name}`"))
}
