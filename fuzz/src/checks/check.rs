//! `check`: whole projects, from files to what a command prints and writes.

use super::parse::check_span;
use super::project::{Project, images};
use imgspec::diagnostic::{self, Diagnostic};
use imgspec::driver::{Job, finish};
use imgspec::emit::{Output, emit, show_value};
use imgspec::eval::evaluate;
use imgspec::project::Program;
use imgspec::source::is_unseen;
use std::path::PathBuf;

/// Loads a project, evaluates and renders its images, and prints its diagnostics in each format.
pub fn check(data: &[u8]) {
    let text = &*super::text(data);
    let project = Project::read(text);
    let program = project.load();
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: project.is_portable,
    };
    let (images, provider) = (images(&program), project.provider(&program));
    let job = Job {
        loader: &project.files,
        program: &program,
        images: &images,
        provider,
        output: &output,
    };
    let (artifacts, diagnostics) = job.compile();
    for image in &artifacts {
        for (name, text) in image.files() {
            let json: Result<serde_json::Value, _> = serde_json::from_str(&text);
            assert!(json.is_ok(), "{name} is not JSON: {text}");
        }
    }
    let found = finish(&program, diagnostics);
    check_diagnostics(&program, &found);
    for id in images.iter().take(2) {
        let Ok(image) = evaluate(&program, *id, provider) else {
            continue;
        };
        drop(emit(&image, &output));
        for id in image.ids() {
            for active in image.all_settings(*id) {
                assert!(!image.layer_name(active.layer).is_empty());
                drop(image.setting_value(active.setting).as_ref().map(show_value));
                image.is_redundant(active.setting);
            }
            drop((image.default_value(*id), image.dependencies(*id)));
            let _ = (image.winner(*id), image.applies(*id));
        }
    }
}

/// Each diagnostic is at a place of its source, and nothing that it prints controls a terminal.
pub(super) fn check_diagnostics(program: &Program, found: &[Diagnostic]) {
    let sources = &program.sources;
    for diagnostic in found {
        let labels = diagnostic.related.iter().chain([&diagnostic.primary]);
        let edits = diagnostic.fixes.iter().flat_map(|fix| &fix.edits);
        for span in labels
            .map(|label| label.span)
            .chain(edits.map(|edit| edit.0))
        {
            check_span(&sources.get(span.file).text, span);
        }
        assert!(!diagnostic.message.is_empty());
    }
    let rendered = [
        diagnostic::render_rich(found, sources, 80, false),
        diagnostic::render_plain(found, sources),
        diagnostic::render_short(found, sources),
        diagnostic::render_json(found, sources),
    ];
    for text in rendered {
        let unseen = text.chars().find(|c| is_unseen(*c));
        assert!(unseen.is_none(), "{unseen:?} is printed raw: {text:?}");
    }
}
