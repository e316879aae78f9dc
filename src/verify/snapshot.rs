//! Snapshots: the values of an image in a file, with which they are compared.

use crate::diagnostic::{Code, Diagnostic};
use crate::emit::{Shown, belongs};
use crate::eval::Image;
use crate::project::hir::*;
use crate::project::{Unread, read_inside};
use crate::source::{Loader, Span};
use crate::verify::failure::shown;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::PathBuf;

/// How many differences are reported, each with the line that sets the value.
const MOST_REPORTED: usize = 50;

/// A snapshot of an image.
pub(super) struct Snapshot<'i, 'p> {
    pub image: &'i Image<'p>,
    pub test: &'p Test,
    pub name: &'p str,
    pub span: Span,
}

impl Snapshot<'_, '_> {
    /// Its file: below the folder of the spec that has the test.
    pub(super) fn path(&self) -> PathBuf {
        let sources = &self.image.program.sources;
        let folder = sources.get(self.span.file).folder();
        let file = format!("{}.txt", self.image.name());
        folder.join("snapshots").join(self.name).join(file)
    }

    /// The values: a line for each variable, in the order of the names.
    pub(super) fn text(&self) -> String {
        let mut out = format!(
            "# The values of {}, for `imgspec test`\n",
            self.image.name()
        );
        for (name, (_, value)) in self.values() {
            let _ = writeln!(out, "{name} = {value}");
        }
        out
    }

    fn values(&self) -> BTreeMap<&str, (VarId, String)> {
        let program = self.image.program;
        let view = program.views.get(&self.span.file);
        // The snapshot of a project that has moved is the same.
        let root = view.map(|view| format!("{}/", view.root.display()));
        let root = root.filter(|root| root.len() > 1);
        let ids = self.image.ids().iter().copied();
        let ids = ids.filter(|id| belongs(self.image, *id) && self.image.value(*id).is_some());
        ids.map(|id| {
            let value = Shown::of(self.image, id).written();
            let value = match &root {
                Some(root) => value.replace(root, "./"),
                None => value,
            };
            (program.variable(id).name.as_str(), (id, value))
        })
        .collect()
    }

    /// Compares the image with the file. Returns a diagnostic for each value that differs.
    pub(super) fn compare(&self, loader: &dyn Loader) -> Vec<Diagnostic> {
        let program = self.image.program;
        let (test, name) = (&self.test.name, self.name);
        let view = program.views.get(&self.span.file);
        let roots: Vec<PathBuf> = view.map(|view| view.root.clone()).into_iter().collect();
        let update = "`imgspec test --update` writes it anew";
        let text = match read_inside(loader, &self.path(), &roots) {
            Ok(text) => text,
            Err(Unread::Failed(error)) if error.kind() == ErrorKind::NotFound => {
                let image = self.image.name();
                let message = format!(
                    "the test `{test}` fails: the snapshot `{name}` of the image `{image}` does not exist"
                );
                let found = Diagnostic::new(Code::TestFailed, self.span, message)
                    .help("`imgspec test --update` writes it");
                return vec![found];
            }
            Err(Unread::Failed(_) | Unread::Outside(_)) => {
                let message = format!("the test `{test}` fails: cannot read the snapshot `{name}`");
                let help = "its file must be a text inside the project; `imgspec test --update` writes it anew";
                let found = Diagnostic::new(Code::TestFailed, self.span, message).help(help);
                return vec![found];
            }
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut before: BTreeMap<&str, &str> =
            lines.filter_map(|line| line.split_once(" = ")).collect();
        let mut found = Vec::new();
        for (variable, (id, value)) in self.values() {
            let old = before.remove(variable);
            if old == Some(value.as_str()) {
                continue;
            }
            let now = shown(self.image, id);
            let message = match old {
                Some(old) => format!(
                    "the test `{test}` fails: `{variable}` is {now}, and {old} in the snapshot `{name}`"
                ),
                None => format!(
                    "the test `{test}` fails: `{variable}` is {now}, and unset in the snapshot `{name}`"
                ),
            };
            found.push(self.at_setting(id, message).help(update));
        }
        for (variable, old) in before {
            let message = format!(
                "the test `{test}` fails: `{variable}` is unset, and {old} in the snapshot `{name}`"
            );
            let id = program.find_variable(Some(self.span.file), variable);
            let failure = match id {
                Some(id) => self.at_setting(id, message),
                None => Diagnostic::new(Code::TestFailed, self.span, message),
            };
            found.push(failure.help(update));
        }
        found.truncate(MOST_REPORTED);
        found
    }

    fn at_setting(&self, id: VarId, message: String) -> Diagnostic {
        let program = self.image.program;
        let last = self.image.settings(id).last();
        let setting = self.image.winner(id).or(last.copied());
        match setting.filter(|active| program.sources.is_users(active.setting.span.file)) {
            Some(active) => Diagnostic::new(Code::TestFailed, active.setting.span, message)
                .label(format!("`{}` is set here", program.variable(id).name))
                .related(self.span, "the snapshot"),
            None => Diagnostic::new(Code::TestFailed, self.span, message)
                .label("no layer of the project sets the variable"),
        }
    }
}
