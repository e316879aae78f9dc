//! Maps places in a library that was adopted in memory to places in the checkout's own files: users have those,
//! and not the specs.
//!
//! An adopted layer comes from a var file, whose path is its doc comment; a provider from its template; an image from a
//! target of the Makefile. A declaration maps to the first place with a value.

use crate::diagnostic::{Diagnostic, Label};
use crate::packer::json::entries_of;
use crate::project::Program;
use crate::project::hir::{LayerKind, Setting};
use crate::source::{FileId, Origin, Span};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use std::path::Path;
use std::sync::OnceLock;

/// Where the items of an adopted library come from: worked out once, when first asked for.
#[derive(Debug, Default)]
pub struct Origins {
    /// The checkout's own files.
    pub files: Vec<FileId>,
    places: OnceLock<Vec<(Span, Found)>>,
}

/// A place in a file of the checkout.
#[derive(Debug, Clone, Copy)]
enum Found {
    Place(Span),
    /// The whole file: adopting has derived this itself.
    File(FileId),
}

impl Origins {
    /// Makes them of the checkout's own files.
    pub fn new(files: Vec<FileId>) -> Origins {
        Origins {
            files,
            places: OnceLock::new(),
        }
    }

    /// For a place of the library the one of the item around it.
    fn find(&self, program: &Program, span: Span) -> Option<Found> {
        let source = program.sources.get(span.file);
        if source.origin != Origin::Library || !source.path.starts_with(&program.adopted_root) {
            return None;
        }
        let places = self.places.get_or_init(|| collect(program));
        let key = |span: &Span| (span.file, span.start);
        let end = places.partition_point(|(known, _)| key(known) <= key(&span));
        let before = places.get(..end)?;
        before
            .iter()
            .rev()
            .find(|(known, _)| known.file == span.file && span.end <= known.end)
            .map(|(_, f)| *f)
    }
}

/// Returns a diagnostic with its places in the checkout's files, if they are in a library that was adopted in memory.
pub fn in_checkout(program: &Program, mut diagnostic: Diagnostic) -> Diagnostic {
    if program.origins.files.is_empty() {
        return diagnostic;
    }
    diagnostic.primary.span = place_in_checkout(program, diagnostic.primary.span);
    let moved = |label: Label| match program.origins.find(program, label.span) {
        Some(Found::Place(span)) => Some(Label { span, ..label }),
        Some(Found::File(_)) => None,
        None => Some(label),
    };
    diagnostic.related = diagnostic.related.into_iter().filter_map(moved).collect();
    diagnostic
}

/// The same place in the checkout's files; what has none there stays.
pub fn place_in_checkout(program: &Program, span: Span) -> Span {
    if program.origins.files.is_empty() {
        return span;
    }
    match program.origins.find(program, span) {
        Some(Found::Place(place)) => place,
        Some(Found::File(file)) => Span::new(file, 0, 0),
        None => span,
    }
}

/// The items of an adopted library with their places, in the order of where they begin.
fn collect(program: &Program) -> Vec<(Span, Found)> {
    let mut out: Vec<(Span, Found)> = Vec::new();
    // Where each variable has a value first.
    let mut first: FxHashMap<&SmolStr, Found> = FxHashMap::default();
    let mut add =
        |out: &mut Vec<(Span, Found)>, file: FileId, below: Option<&str>, settings: &[Setting]| {
            let text = &program.sources.get(file).text;
            // The last entry of a name counts.
            let entries: FxHashMap<SmolStr, Span> = entries_of(text, below)
                .into_iter()
                .map(|(name, range)| (name, Span::new(file, range.start as u32, range.end as u32)))
                .collect();
            for setting in settings {
                let name = &program.variable(setting.variable).name;
                let found = entries
                    .get(name)
                    .map_or(Found::File(file), |span| Found::Place(*span));
                out.push((setting.span, found));
                if let Found::Place(_) = found {
                    first.entry(name).or_insert(found);
                }
            }
        };
    for section in program
        .sections
        .iter()
        .filter(|section| is_adopted(program, section.span))
    {
        match section.kind {
            LayerKind::Layer => {
                let Some(file) = section
                    .doc
                    .as_deref()
                    .and_then(|path| find_file(program, path))
                else {
                    continue;
                };
                out.push((section.span, Found::File(file)));
                add(&mut out, file, None, &section.settings);
            }
            LayerKind::Image => {
                let make = section
                    .target
                    .as_ref()
                    .and_then(|target| target.make.as_deref());
                let make = make.map_or_else(|| format!("build-{}", section.name), str::to_owned);
                out.extend(find_rule(program, &make).map(|found| (section.span, found)));
            }
            _ => {}
        }
    }
    for provider in program
        .providers
        .iter()
        .filter(|provider| is_adopted(program, provider.span))
    {
        let Some(file) = find_file(program, &provider.template) else {
            continue;
        };
        out.push((provider.span, Found::File(file)));
        add(&mut out, file, Some("variables"), &provider.defaults);
    }
    for variable in program
        .variables
        .iter()
        .filter(|variable| is_adopted(program, variable.span))
    {
        out.extend(
            first
                .get(&variable.name)
                .map(|found| (variable.span, *found)),
        );
    }
    out.sort_by_key(|(span, _)| (span.file, span.start));
    out
}

fn is_adopted(program: &Program, span: Span) -> bool {
    program
        .sources
        .get(span.file)
        .path
        .starts_with(&program.adopted_root)
}

/// A file of the checkout by its path there; `FILE.tmpl` is a script's source of FILE.
fn find_file(program: &Program, path: &str) -> Option<FileId> {
    let source = format!("{path}.tmpl");
    let is_file = |id: &&FileId| {
        let known = &program.sources.get(**id).path;
        known.ends_with(Path::new(path)) || known.ends_with(Path::new(&source))
    };
    program.origins.files.iter().find(is_file).copied()
}

/// The line of the Makefile that begins a target's rule, if one has its name.
fn find_rule(program: &Program, make: &str) -> Option<Found> {
    let file = find_file(program, "Makefile")?;
    let text = &program.sources.get(file).text;
    let start = text.match_indices(make).map(|(at, _)| at).find(|at| {
        let is_line = *at == 0 || text.get(..*at).is_some_and(|before| before.ends_with('\n'));
        is_line
            && text
                .get(at + make.len()..)
                .is_some_and(|rest| rest.starts_with([':', ' ']))
    });
    Some(match start {
        Some(at) => Found::Place(Span::new(file, at as u32, (at + make.len()) as u32)),
        None => Found::File(file),
    })
}
