//! Checks of files: their diagnostics, and which of them the client does not show yet.

use crate::diagnostic;
use crate::driver::{Job, of_var_files, only_first};
use crate::lsp::diagnostics::Diagnostic;
use crate::lsp::publisher::{ByFile, Publication};
use crate::lsp::workspace::{Workspace, is_spec, output};
use crate::project::{Program, Request, in_checkout, judge};
use crate::source::{FileId, Loader};
use rustc_hash::FxHashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

impl Workspace {
    /// Checks the files that changed.
    pub(super) fn check_changed(&mut self) -> Vec<Publication> {
        let changed = self.scheduler.take_urgent();
        self.check(changed)
    }

    /// True if a file is left that the client shows.
    pub(super) fn owes_open(&self) -> bool {
        let is_open = |path: &Path| self.documents.get(path).is_some();
        self.scheduler.has_urgent(is_open)
    }

    /// Checks some of the files that are left.
    pub(super) fn check_some(&mut self) -> Vec<Publication> {
        let documents = &self.documents;
        let next = self
            .scheduler
            .take_batch(|path| documents.get(path).is_some());
        self.check(next)
    }

    /// Checks files. Returns what the client does not show yet.
    fn check(&mut self, files: Vec<PathBuf>) -> Vec<Publication> {
        let mut touched: FxHashSet<PathBuf> = FxHashSet::default();
        let (specs, others): (Vec<PathBuf>, Vec<PathBuf>) =
            files.into_iter().partition(|path| is_spec(path));
        let mut found: Vec<(PathBuf, ByFile)> = Vec::new();
        for path in others {
            let is_open = self.var_files.contains(&path);
            let by_file = if is_open {
                self.check_var_file(&path)
            } else {
                ByFile::default()
            };
            found.push((path, by_file));
        }
        let (specs, gone): (Vec<PathBuf>, Vec<PathBuf>) = specs
            .into_iter()
            .partition(|path| self.documents.exists(path));
        for path in gone {
            self.specs.remove(&path);
            self.parts.remove(&path);
            found.push((path, ByFile::default()));
        }
        if !specs.is_empty() {
            found.extend(self.check_specs(&specs));
        }
        for (path, by_file) in found {
            self.publisher.replace(path, by_file, &mut touched);
        }
        let publications = touched.into_iter().filter_map(|path| {
            let version = self.documents.get(&path).map(|document| document.version);
            self.publisher.publish(path, version)
        });
        publications.collect()
    }

    fn check_specs(&mut self, specs: &[PathBuf]) -> Vec<(PathBuf, ByFile)> {
        // The next requests are about the file that changed last.
        let kept = if let [spec] = specs {
            self.program(spec)
        } else {
            None
        };
        let program = kept.unwrap_or_else(|| Rc::new(self.load(specs.to_vec())));
        let program = &*program;
        let texts = judge(program, program.diagnostics.clone(), false).shown;
        let mut out: Vec<(PathBuf, ByFile)> = Vec::new();
        let mut of_no_spec = ByFile::default();
        let parts: FxHashSet<FileId> = program
            .views
            .values()
            .flat_map(|view| &view.files)
            .copied()
            .collect();
        for (path, file) in specs.iter().zip(&program.specs) {
            let mut by_file = ByFile::default();
            if let Some((file, view)) =
                file.and_then(|file| Some((file, program.views.get(&file)?)))
            {
                let included = view
                    .files
                    .iter()
                    .map(|file| program.sources.get(*file).path.clone());
                let data = program
                    .data
                    .iter()
                    .filter(|data| view.files.contains(&data.reader));
                let included = included.chain(data.map(|data| data.path.clone())).collect();
                self.parts.insert(path.clone(), included);
                // A name that two files define is a mistake of the spec that includes both, and of neither alone.
                let is_seen = |found: &&diagnostic::Diagnostic| {
                    let spans = found
                        .related
                        .iter()
                        .chain([&found.primary])
                        .map(|label| label.span.file);
                    spans
                        .into_iter()
                        .all(|file| view.files.contains(&file) || !parts.contains(&file))
                        && parts.contains(&found.primary.span.file)
                };
                let job = Job {
                    loader: &self.documents,
                    program,
                    images: &program.images_of(file),
                    provider: None,
                    output: &output(),
                };
                let of_images = judge(program, job.check(), false).shown;
                let seen = texts.iter().filter(is_seen).cloned();
                let found = only_first(seen.chain(of_images).collect());
                self.sort_in(program, found, &mut by_file);
            }
            out.push((path.clone(), by_file));
        }
        let others = texts
            .iter()
            .filter(|found| !parts.contains(&found.primary.span.file));
        let others = only_first(others.cloned().collect());
        self.sort_in(program, others, &mut of_no_spec);
        out.extend(
            of_no_spec
                .into_iter()
                .map(|(path, found)| (path.clone(), ByFile::from_iter([(path, found)]))),
        );
        out
    }

    /// The diagnostics of a var file on its own.
    fn check_var_file(&self, path: &Path) -> ByFile {
        let request = Request {
            var_files: vec![path.to_owned()],
            ..Request::default()
        };
        let program = self.load_request(request, &self.documents);
        let images = program.library_images();
        let job = Job {
            loader: &self.documents,
            program: &program,
            images: &images,
            provider: None,
            output: &output(),
        };
        let of_images = job.check();
        let all = program
            .diagnostics
            .iter()
            .cloned()
            .chain(of_images)
            .collect();
        let all = judge(&program, all, false).shown;
        let found = of_var_files(&program, &[path.to_owned()], images.len(), all);
        let mut by_file = ByFile::default();
        self.sort_in(&program, only_first(found), &mut by_file);
        by_file
    }

    /// Adds diagnostics to those of their files.
    fn sort_in(&self, program: &Program, found: Vec<diagnostic::Diagnostic>, by_file: &mut ByFile) {
        for found in found {
            let found = in_checkout(program, found);
            let published = Diagnostic::new(&program.sources, &found, self.encoding);
            if let Some((path, diagnostic)) = published {
                by_file.entry(path).or_default().push(diagnostic);
            }
        }
    }
}
