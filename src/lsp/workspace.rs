//! What is known of the workspace: its specs, what each is made of, and what was found in them.
//!
//! A change is followed by a check of the specs that it can concern: the file itself, and those that include it. The
//! findings of a text and those of an image are kept apart, because a file's images can be checked without the others.

use super::documents::Documents;
use super::places::{Encoding, uri};
use crate::diagnostic::{self, Code};
use crate::emit::{Output, emit_all};
use crate::project::{Library, Program, Request, load};
use crate::source::{Loader, Origin, SourceMap, Span};
use lsp_types::{
    Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location, NumberOrString,
    Range, TextEdit,
};
use rustc_hash::{FxHashMap, FxHashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A repair: what it does, where the finding is, and the edits by file.
#[derive(Debug, Clone)]
pub struct Repair {
    pub title: String,
    pub range: Range,
    pub edits: Vec<(PathBuf, TextEdit)>,
}

/// What was found at one place.
#[derive(Debug, Clone)]
struct Finding {
    diagnostic: Diagnostic,
    repairs: Vec<Repair>,
}

/// Findings by the file that they stand in.
type ByFile = FxHashMap<PathBuf, Vec<Finding>>;

#[derive(Debug)]
pub struct Workspace {
    pub documents: Documents,
    pub encoding: Encoding,
    library: Option<Arc<Library>>,
    specs: FxHashSet<PathBuf>,
    /// The files that each spec is made of, itself among them.
    made_of: FxHashMap<PathBuf, Vec<PathBuf>>,
    of_texts: ByFile,
    of_images: FxHashMap<PathBuf, ByFile>,
}

impl Workspace {
    pub fn new(encoding: Encoding, library: Option<Arc<Library>>, specs: Vec<PathBuf>) -> Workspace {
        Workspace {
            documents: Documents::default(),
            encoding,
            library,
            specs: specs.into_iter().collect(),
            made_of: FxHashMap::default(),
            of_texts: ByFile::default(),
            of_images: FxHashMap::default(),
        }
    }

    /// The program of some specs, as they are now.
    pub fn load(&self, specs: Vec<PathBuf>) -> Program {
        load(&self.documents, &Request { specs, library: self.library.clone(), ..Request::default() })
    }

    /// The specs of the workspace, and those that are open besides.
    pub fn specs(&self) -> Vec<PathBuf> {
        let is_spec = |path: &&PathBuf| path.extension().is_some_and(|e| e == "imgspec");
        let open = self.documents.paths().filter(is_spec);
        let mut specs: Vec<PathBuf> = self.specs.iter().chain(open).cloned().collect();
        specs.sort();
        specs.dedup();
        specs.retain(|path| self.documents.is_file(path));
        specs
    }

    /// Checks what a changed file can concern, and returns what is to be published.
    pub fn check_after(&mut self, changed: &Path) -> Vec<(PathBuf, Vec<Diagnostic>)> {
        if changed.extension().is_some_and(|e| e == "imgspec") && self.documents.is_file(changed) {
            self.specs.insert(changed.to_owned());
        }
        let is_made_of = |spec: &PathBuf| {
            spec == changed || self.made_of.get(spec).is_some_and(|files| files.iter().any(|f| f == changed))
        };
        let concerned = self.specs().into_iter().filter(is_made_of).collect();
        self.check(concerned)
    }

    /// Checks specs, and returns what is to be published.
    pub fn check(&mut self, specs: Vec<PathBuf>) -> Vec<(PathBuf, Vec<Diagnostic>)> {
        let program = self.load(specs.clone());
        let mut touched: FxHashSet<PathBuf> = FxHashSet::default();
        for view in program.views.values() {
            for file in &view.files {
                let path = program.sources.get(*file).path.clone();
                touched.extend(self.of_texts.remove(&path).is_some().then(|| path.clone()));
            }
        }
        let texts = program.config.apply(diagnostic::merge(program.diagnostics.clone()));
        for found in self.convert_all(&program, texts) {
            touched.insert(found.0.clone());
            self.of_texts.entry(found.0).or_default().push(found.1);
        }
        for (path, file) in specs.iter().zip(&program.specs) {
            let Some(file) = file else { continue };
            let files = program.views.get(file).map_or(&[][..], |view| &view.files);
            let made_of = files.iter().map(|f| program.sources.get(*f).path.clone()).collect();
            self.made_of.insert(path.clone(), made_of);
            let found = emit_all(&program, &program.images_of(*file), None, &output()).1;
            let found = program.config.apply(diagnostic::merge(found));
            let mut by_file = ByFile::default();
            for (file, finding) in self.convert_all(&program, found) {
                touched.insert(file.clone());
                by_file.entry(file).or_default().push(finding);
            }
            let old = self.of_images.insert(path.clone(), by_file).unwrap_or_default();
            touched.extend(old.into_keys());
        }
        touched.extend(specs);
        touched.into_iter().map(|path| (path.clone(), self.found_in(&path))).collect()
    }

    fn findings(&self, path: &Path) -> impl Iterator<Item = &Finding> {
        let of_images = self.of_images.values().filter_map(|files| files.get(path));
        self.of_texts.get(path).into_iter().chain(of_images).flatten()
    }

    fn found_in(&self, path: &Path) -> Vec<Diagnostic> {
        let mut out: Vec<Diagnostic> = Vec::new();
        for finding in self.findings(path) {
            let same = |d: &Diagnostic| {
                d.range == finding.diagnostic.range && d.message == finding.diagnostic.message
            };
            if !out.iter().any(same) {
                out.push(finding.diagnostic.clone());
            }
        }
        out.sort_by_key(|d| (d.range.start, d.range.end));
        out
    }

    /// The repairs of what was found in a range.
    pub fn repairs(&self, path: &Path, range: Range) -> Vec<Repair> {
        let meets = |r: &&Repair| r.range.start <= range.end && range.start <= r.range.end;
        self.findings(path).flat_map(|finding| &finding.repairs).filter(meets).cloned().collect()
    }

    fn convert_all(&self, program: &Program, found: Vec<diagnostic::Diagnostic>) -> Vec<(PathBuf, Finding)> {
        found.into_iter().filter_map(|found| self.convert(&program.sources, &found)).collect()
    }

    fn convert(&self, sources: &SourceMap, found: &diagnostic::Diagnostic) -> Option<(PathBuf, Finding)> {
        let file = sources.get(found.primary.span.file);
        if file.origin != Origin::Project {
            return None;
        }
        let range = self.encoding.range_of(sources, found.primary.span);
        let mut message = found.message.clone();
        for more in
            [Some(&found.primary.text), found.help.as_ref()].into_iter().flatten().filter(|t| !t.is_empty())
        {
            message.push('\n');
            message.push_str(more);
        }
        let location = |span: Span| {
            let source = sources.get(span.file);
            let is_there = source.origin == Origin::Project;
            is_there
                .then(|| Some(Location::new(uri(&source.path)?, self.encoding.range_of(sources, span))))
                .flatten()
        };
        let related: Vec<DiagnosticRelatedInformation> = found
            .related
            .iter()
            .filter_map(|label| {
                Some(DiagnosticRelatedInformation {
                    location: location(label.span)?,
                    message: label.text.clone(),
                })
            })
            .collect();
        let tags = match found.code {
            Code::DeprecatedName => Some(vec![DiagnosticTag::DEPRECATED]),
            Code::NoEffect | Code::NothingRemoved => Some(vec![DiagnosticTag::UNNECESSARY]),
            _ => None,
        };
        let repairs = found
            .fixes
            .iter()
            .map(|fix| Repair {
                title: fix.title.clone(),
                range,
                edits: fix
                    .edits
                    .iter()
                    .map(|(span, text)| {
                        let edit = TextEdit::new(self.encoding.range_of(sources, *span), text.clone());
                        (sources.get(span.file).path.clone(), edit)
                    })
                    .collect(),
            })
            .collect();
        let diagnostic = Diagnostic {
            range,
            severity: Some(match found.severity {
                diagnostic::Severity::Error => DiagnosticSeverity::ERROR,
                diagnostic::Severity::Warning => DiagnosticSeverity::WARNING,
                diagnostic::Severity::Note => DiagnosticSeverity::INFORMATION,
            }),
            code: Some(NumberOrString::String(found.code.as_str().to_owned())),
            source: Some("imgspec".to_owned()),
            message,
            related_information: (!related.is_empty()).then_some(related),
            tags,
            ..Diagnostic::default()
        };
        Some((file.path.clone(), Finding { diagnostic, repairs }))
    }
}

/// Where a compile would write: it shows nowhere in what is found.
pub fn output() -> Output {
    Output { dir: PathBuf::from("/build"), portable: false }
}
