//! From a program to all that a command shows: evaluates the images, renders their files, and puts the diagnostics in order.
//!
//! The command line and the language server call the same functions.

use crate::diagnostic::{Code, Diagnostic, Fix, merge};
use crate::emit::{Artifacts, Output, check_roles, emit};
use crate::eval::evaluate;
use crate::project::hir::{ProviderId, SectionId};
use crate::project::{Program, in_checkout};
use crate::source::{Loader, MAX_DIAGNOSTICS, MAX_IMAGES, MAX_OUTPUT, MAX_VARIABLES, Origin, Span};
use rustc_hash::FxHashMap;
use std::path::PathBuf;

/// What came of some images of a program.
#[derive(Debug, Default)]
pub struct Compilation {
    /// The files of each image that could be evaluated, in order.
    pub images: Vec<Artifacts>,
    /// What is wrong with the images, as it was found: [`finish`] adds the program's own and orders them.
    pub diagnostics: Vec<Diagnostic>,
}

/// Evaluates images and renders their files. With `provider` that provider builds them instead of their targets' own. The
/// loader finds the roles that values name.
pub fn compile(
    loader: &dyn Loader,
    program: &Program,
    images: &[SectionId],
    provider: Option<ProviderId>,
    output: &Output,
) -> Compilation {
    let mut all = Compilation::default();
    if let Some(id) = images.get(MAX_IMAGES) {
        let message = format!(
            "this command selects {} images, and the limit is {MAX_IMAGES}",
            images.len()
        );
        all.diagnostics.push(
            Diagnostic::new(Code::TooLarge, program.section(*id).span, message)
                .label("imgspec evaluates no image")
                .help("select fewer images: name some of them, their files or their folders"),
        );
        return all;
    }
    if let Some((_, variable)) = program.variables.pairs().nth(MAX_VARIABLES) {
        let message = format!(
            "this command has {} variables, and the limit is {MAX_VARIABLES}",
            program.variables.len()
        );
        all.diagnostics.push(
            Diagnostic::new(Code::TooLarge, variable.span, message)
                .label("imgspec evaluates no image")
                .help("check fewer files at a time, or put some of the values into one map"),
        );
        return all;
    }
    let mut size = 0;
    let mut removals: FxHashMap<Span, bool> = FxHashMap::default();
    for id in images {
        let mut found = Vec::new();
        match evaluate(program, *id, provider) {
            Ok(mut image) => {
                for (span, removed) in &image.removals {
                    *removals.entry(*span).or_default() |= removed;
                }
                found.append(&mut image.diagnostics);
                let mut artifacts = emit(&image, output);
                found.append(&mut artifacts.diagnostics);
                program.drop_consequences(*id, &mut found);
                found.extend(check_roles(
                    loader,
                    program,
                    &artifacts.build,
                    &artifacts.image,
                ));
                size += artifacts.size();
                all.images.push(artifacts);
            }
            Err(diagnostic) => {
                found.push(*diagnostic);
                program.drop_consequences(*id, &mut found);
            }
        }
        all.diagnostics.append(&mut found);
        if size > MAX_OUTPUT {
            let message = format!(
                "the output of this command has more than {} MiB",
                MAX_OUTPUT >> 20
            );
            all.diagnostics.push(
                Diagnostic::new(Code::TooLarge, program.section(*id).span, message)
                    .label("imgspec evaluates no further image")
                    .help("select fewer images, or put large values into files that a role copies"),
            );
            break;
        }
    }
    let idle = removals
        .into_iter()
        .filter(|(span, removed)| !removed && program.sources.is_users(span.file));
    all.diagnostics.extend(idle.map(|(span, _)| {
        Diagnostic::new(
            Code::NothingRemoved,
            span,
            "this `-=` removes nothing from any image",
        )
        .help("no weaker layer has such an element; check its spelling")
    }));
    all
}

/// Adds the program's own diagnostics to those of its images, merges and orders them, and applies `imgspec.toml`.
pub fn finish(program: &Program, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let all = program.diagnostics.iter().cloned().chain(found);
    let all = all.map(|d| in_checkout(program, without_edits_of_arguments(program, d)));
    let all = program
        .configs
        .apply(&program.sources, merge(all.collect()));
    only_first(all)
}

/// Drops what nobody reads: all but the first diagnostics of very many. Errors stay before warnings.
fn only_first(mut all: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if all.len() <= MAX_DIAGNOSTICS {
        return all;
    }
    let errors = all.iter().filter(|d| d.is_error()).count();
    let (mut errors, mut others) = (
        errors.min(MAX_DIAGNOSTICS),
        MAX_DIAGNOSTICS.saturating_sub(errors),
    );
    let mut dropped: Option<Diagnostic> = None;
    let mut count = 0;
    all.retain(|d| {
        let left = if d.is_error() {
            &mut errors
        } else {
            &mut others
        };
        if let Some(less) = left.checked_sub(1) {
            *left = less;
            return true;
        }
        count += 1;
        if dropped
            .as_ref()
            .is_none_or(|first| first.severity > d.severity)
        {
            let message = format!("there are more than {MAX_DIAGNOSTICS} diagnostics");
            let mut first = Diagnostic::new(d.code, d.primary.span, message);
            first.severity = d.severity;
            dropped = Some(first);
        }
        false
    });
    all.extend(dropped.map(|first| {
        first
            .label(format!("this one and {} more are not shown", count - 1))
            .help("correct the first ones, or check fewer files at a time")
    }));
    all
}

/// Turns a fix of a command-line argument into help: no editor can change an argument.
fn without_edits_of_arguments(program: &Program, mut diagnostic: Diagnostic) -> Diagnostic {
    let is_argument = |span: &Span| program.sources.get(span.file).origin == Origin::Argument;
    let (said, fixes): (Vec<Fix>, Vec<Fix>) = std::mem::take(&mut diagnostic.fixes)
        .into_iter()
        .partition(|fix| fix.edits.iter().any(|(span, _)| is_argument(span)));
    diagnostic.fixes = fixes;
    diagnostic.help = diagnostic
        .help
        .or(said.into_iter().next().map(|fix| fix.title));
    diagnostic
}

/// Of what was found for a number of images, which may be anybody's, what is wrong with var files on their own: what is
/// in the files and holds for all the images.
pub fn of_var_files(
    program: &Program,
    files: &[PathBuf],
    images: usize,
    found: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    // An argument of `--set` is as much on its own as a file is.
    let is_in_one = |d: &Diagnostic| {
        let source = program.sources.get(d.primary.span.file);
        source.origin == Origin::Argument || files.contains(&source.path)
    };
    // Quotes that one template already has are wrong wherever that template is used.
    let holds = |d: &Diagnostic| {
        d.images.is_empty() || d.images.len() == images || d.code == Code::LegacyQuotes
    };
    let mut found: Vec<Diagnostic> = found
        .into_iter()
        .filter(|d| is_in_one(d) && holds(d))
        .collect();
    found.iter_mut().for_each(|d| d.images.clear());
    found
}
