//! What the formats for CI systems share: paths from the root of a repository, one text for each diagnostic, fingerprints.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{FileId, Origin, SourceMap, Span, is_absolute, sha256, visible_line};
use rustc_hash::FxHashMap;
use std::path::{Component, Path};

/// The texts of diagnostics, and the folder that paths in reports start from.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    /// The texts.
    pub sources: &'a SourceMap,
    /// The root of the repository. A path of another folder is absolute.
    pub root: &'a Path,
}

impl<'a> Repository<'a> {
    /// Returns the path of a file that the reader of a report can open; `None` for an argument and for the library inside
    /// the program.
    pub(super) fn file(self, id: FileId) -> Option<&'a Path> {
        let file = self.sources.get(id);
        if file.origin == Origin::Argument || !is_absolute(&file.path) {
            return None;
        }
        Some(file.path.strip_prefix(self.root).unwrap_or(&file.path))
    }

    /// Returns the path of a file on one line, with `/` between folders.
    pub(super) fn path(self, id: FileId) -> Option<String> {
        let file = self.file(id)?;
        if is_absolute(file) {
            return Some(visible_line(&file.to_string_lossy()).into_owned());
        }
        let folders = file.components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        });
        let path = folders.collect::<Vec<_>>().join("/");
        Some(visible_line(&path).into_owned())
    }

    /// Returns the file that stands for a place which is in no file: the first one of the project.
    pub(super) fn first_file(self) -> Option<FileId> {
        let mut files = self.sources.iter_read();
        let found = files.find(|(id, file)| {
            file.origin == Origin::Project && self.file(*id).is_some_and(Path::is_relative)
        });
        found.map(|(id, _)| id)
    }

    /// Returns all that a diagnostic tells, in lines: the message, the label, other places, the help and the images.
    pub(super) fn words(self, diagnostic: &Diagnostic) -> Vec<String> {
        let mut out = vec![diagnostic.message.clone()];
        let span = diagnostic.primary.span;
        let label = &diagnostic.primary.text;
        match self.file(span.file) {
            None => out.push(self.told(span, label)),
            Some(_) if !label.is_empty() => out.push(label.clone()),
            Some(_) => {}
        }
        for label in &diagnostic.related {
            out.push(self.told(label.span, &label.text));
        }
        out.extend(self.advice(diagnostic));
        out
    }

    /// Returns the help and the images of a diagnostic.
    pub(super) fn advice(self, diagnostic: &Diagnostic) -> Vec<String> {
        let help = diagnostic.help.iter().map(|help| format!("help: {help}"));
        let rule = diagnostic.rule.iter().map(|rule| format!("rule: {rule}"));
        help.chain(rule)
            .chain(diagnostic.images_in_words())
            .collect()
    }

    /// Returns a place, and behind it what it has to do with a diagnostic. An argument has no lines.
    pub(super) fn told(self, span: Span, text: &str) -> String {
        let name = self.path(span.file);
        let name = name.unwrap_or_else(|| self.sources.name(span.file));
        let place = if self.sources.origin(span.file) == Origin::Argument {
            name
        } else {
            let line = self.sources.position(span.file, span.start).line;
            format!("{name}:{line}")
        };
        if text.is_empty() {
            place
        } else {
            format!("{place}: {text}")
        }
    }

    /// Returns the path, the code and the fingerprint of each diagnostic.
    pub fn entries(self, diagnostics: &[Diagnostic]) -> Vec<(String, Code, String)> {
        let prints = self.fingerprints(diagnostics);
        let entry = |(diagnostic, print): (&Diagnostic, String)| {
            let file = diagnostic.primary.span.file;
            let path = self.path(file).unwrap_or_else(|| self.elsewhere(file));
            (path, diagnostic.code, print)
        };
        diagnostics.iter().zip(prints).map(entry).collect()
    }

    /// Returns a name for what is in no folder: an argument, or a file of the library inside the program.
    fn elsewhere(self, file: FileId) -> String {
        match self.sources.origin(file) {
            Origin::Argument => "argument".to_owned(),
            _ => self.sources.get(file).path.display().to_string(),
        }
    }

    /// Returns a fingerprint for each diagnostic. It follows from the code, the file, the rule, and the message with the
    /// names in it, but not its targets. Equal ones are numbered in their order. A line that is added above a diagnostic, and another folder of
    /// the repository, change nothing.
    pub fn fingerprints<'d>(
        self,
        diagnostics: impl IntoIterator<Item = &'d Diagnostic>,
    ) -> Vec<String> {
        let root = format!("{}/", self.root.display());
        let mut seen: FxHashMap<String, usize> = FxHashMap::default();
        let mut fingerprint = |diagnostic: &Diagnostic| {
            let file = diagnostic.primary.span.file;
            let parts = [
                diagnostic.code.as_str(),
                &self.path(file).unwrap_or_else(|| self.elsewhere(file)),
                diagnostic.rule.as_deref().unwrap_or_default(),
                &diagnostic.cause().replace(&root, ""),
            ];
            let key = parts.join("\0");
            let index = seen.entry(key.clone()).or_default();
            *index += 1;
            sha256(&format!("{key}\0{index}"))
        };
        diagnostics.into_iter().map(&mut fingerprint).collect()
    }
}
