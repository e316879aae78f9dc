//! Places in a library that was made of a checkout in memory, as places in the checkout's own files: people have those,
//! and not the specs.
//!
//! An adopted layer stands for a var file, whose path is its doc comment; a provider for its template; an image for a
//! target of the Makefile. A declaration is wherever a value stands first.

use super::Program;
use super::hir::{SectionKind, Setting};
use super::json::find_entry;
use crate::diagnostic::{Diagnostic, Label};
use crate::source::{FileId, Origin, Span};
use std::path::Path;

/// A place in a file of the checkout.
enum Found {
    Place(Span),
    /// The file, in which nothing stands for it: what adopting has worked out itself.
    File(FileId),
}

/// A diagnostic with its places in the checkout's files, where they are in a library that was made of one in memory.
pub fn in_checkout(program: &Program, mut diagnostic: Diagnostic) -> Diagnostic {
    if program.origins.is_empty() {
        return diagnostic;
    }
    let start = |file: FileId| Span::new(file, 0, 0);
    match find(program, diagnostic.primary.span) {
        Some(Found::Place(span)) => diagnostic.primary.span = span,
        Some(Found::File(file)) => diagnostic.primary.span = start(file),
        None => {}
    }
    let moved = |label: Label| match find(program, label.span) {
        Some(Found::Place(span)) => Some(Label { span, ..label }),
        Some(Found::File(_)) => None,
        None => Some(label),
    };
    diagnostic.related = diagnostic.related.into_iter().filter_map(moved).collect();
    diagnostic
}

fn find(program: &Program, span: Span) -> Option<Found> {
    let source = program.sources.get(span.file);
    let is_adopted = source.origin == Origin::Library && source.path.starts_with(&program.adopted_root);
    if !is_adopted {
        return None;
    }
    let holds = |outer: Span| outer.file == span.file && outer.start <= span.start && span.end <= outer.end;
    let name_of = |setting: &Setting| program.variable(setting.variable).name.to_string();
    for section in &program.sections {
        let setting = section.settings.iter().find(|setting| holds(setting.span));
        match section.kind {
            SectionKind::Layer if setting.is_some() || holds(section.span) => {
                let path = section.doc.as_deref().unwrap_or_default();
                return entry(program, path, &[], setting.map(name_of).as_deref());
            }
            SectionKind::Image if setting.is_some() || holds(section.span) => {
                let make = section.target.as_ref().and_then(|target| target.make.as_deref());
                let make = make.map_or_else(|| format!("build-{}", section.name), str::to_owned);
                return rule(program, &make);
            }
            _ => {}
        }
    }
    for provider in &program.providers {
        let setting = provider.defaults.iter().find(|setting| holds(setting.span));
        if setting.is_some() || holds(provider.span) {
            return entry(program, &provider.template, &["variables"], setting.map(name_of).as_deref());
        }
    }
    let variable = program.variables.iter().find(|variable| holds(variable.span))?;
    let is_of_it = |setting: &&Setting| program.variable(setting.variable).name == variable.name;
    let layers = program.sections.iter().filter(|section| section.kind == SectionKind::Layer);
    let layer =
        layers.filter(|s| s.settings.iter().any(|setting| is_of_it(&setting))).find_map(|s| s.doc.as_deref());
    match layer {
        Some(path) => entry(program, path, &[], Some(&variable.name)),
        None => {
            let provider = program.providers.iter().find(|p| p.defaults.iter().any(|s| is_of_it(&s)))?;
            entry(program, &provider.template, &["variables"], Some(&variable.name))
        }
    }
}

/// A file of the checkout by its path there; a script's source `FILE.tmpl` stands for FILE.
fn file(program: &Program, path: &str) -> Option<FileId> {
    let source = format!("{path}.tmpl");
    let is_file = |id: &&FileId| {
        let known = &program.sources.get(**id).path;
        known.ends_with(Path::new(path)) || known.ends_with(Path::new(&source))
    };
    program.origins.iter().find(is_file).copied()
}

/// An entry of a JSON file, `below` the keys that lead to it; the file itself where there is none.
fn entry(program: &Program, path: &str, below: &[&str], name: Option<&str>) -> Option<Found> {
    let file = file(program, path)?;
    let keys: Vec<&str> = below.iter().copied().chain(name).collect();
    let range = name.and_then(|_| find_entry(&program.sources.get(file).text, &keys));
    Some(range.map_or(Found::File(file), |range| {
        Found::Place(Span::new(file, range.start as u32, range.end as u32))
    }))
}

/// The line of the Makefile that begins a target's rule, if one has its name.
fn rule(program: &Program, make: &str) -> Option<Found> {
    let file = file(program, "Makefile")?;
    let text = &program.sources.get(file).text;
    let start = text.match_indices(make).map(|(at, _)| at).find(|at| {
        let is_line = *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n');
        is_line && text.get(at + make.len()..).is_some_and(|rest| rest.starts_with([':', ' ']))
    });
    Some(match start {
        Some(at) => Found::Place(Span::new(file, at as u32, (at + make.len()) as u32)),
        None => Found::File(file),
    })
}
