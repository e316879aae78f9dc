//! The spec of a new project.

use crate::diagnostic::{Code, Diagnostic};
use crate::driver::Job;
use crate::emit::Output;
use crate::eval::{Image, evaluate};
use crate::import::spell_value;
use crate::project::hir::{SectionId, Variable};
use crate::project::{Program, Request, load};
use crate::source::embedded::STDLIB;
use crate::source::{FileId, Memory, visible_line};
use crate::syntax::ast::Ident;
use crate::syntax::{format, parse, print_text};
use std::fmt::Write;
use std::ops::Range;
use std::path::PathBuf;

/// A setting that a new image may contain.
struct Starter {
    /// The comment above it, with its `#`; empty if it belongs to the one before.
    comment: String,
    name: &'static str,
    /// A value that differs from the default, to find out whether the setting has an effect.
    example: Option<&'static str>,
}

/// A setting of a new image: the comment above it, and its text.
#[derive(PartialEq, Eq)]
pub(super) struct Line {
    comment: String,
    setting: String,
}

/// Returns the settings of `stdlib/init.txt`. A block begins with its comment, and an empty line ends it.
fn starters() -> Vec<Starter> {
    let text = STDLIB.get_file("init.txt").and_then(|f| f.contents_utf8());
    let mut out = Vec::new();
    let mut comment = String::new();
    for line in text.unwrap_or_default().lines() {
        if line.starts_with('#') {
            comment.push_str(line);
            comment.push('\n');
        } else if line.is_empty() {
            comment.clear();
        } else {
            let (name, example) = match line.split_once(" = ") {
                Some((name, example)) => (name, Some(example)),
                None => (line, None),
            };
            out.push(Starter {
                comment: comment.clone(),
                name,
                example,
            });
        }
    }
    out
}

/// Returns for each target the settings that it requires, and those that have an effect on it with the values that they have
/// there.
pub(super) fn settings_of(
    program: &Program,
    request: &Request,
    targets: &[SectionId],
) -> Vec<Vec<Line>> {
    let starters = starters();
    let mut trials = Trials::default();
    for (number, id) in targets.iter().enumerate() {
        if let Ok(image) = evaluate(program, *id, None) {
            for starter in &starters {
                trials.add(program, number, &image, starter);
            }
        }
    }
    let mut lines: Vec<Vec<Line>> = targets.iter().map(|id| required_of(program, *id)).collect();
    for (number, line) in trials.run(request) {
        if let Some(lines) = lines.get_mut(number) {
            lines.push(line);
        }
    }
    lines
}

/// A spec with an image for each target and setting, which shows whether the setting has an effect there.
#[derive(Default)]
struct Trials {
    spec: String,
    /// For each image the number of its target, the line that is written if all is well, and the place of the setting.
    settings: Vec<(usize, Line, Range<usize>)>,
}

impl Trials {
    /// Adds an image that extends a target, if the library has the variable.
    fn add(&mut self, program: &Program, number: usize, target: &Image<'_>, starter: &Starter) {
        let Some(variable) = program.find_variable(None, starter.name) else {
            return;
        };
        let value = target.value(variable).map(spell_value);
        let Some(tried) = starter.example.or(value.as_deref()) else {
            return;
        };
        let empty = if tried.starts_with('[') { "[]" } else { "\"\"" };
        let value = value.as_deref().unwrap_or(empty);
        let count = self.settings.len();
        let _ = writeln!(
            self.spec,
            "image trial-{count} extends {} {{",
            target.name()
        );
        let from = self.spec.len();
        let _ = writeln!(self.spec, "{} = {tried}", starter.name);
        let line = Line {
            comment: starter.comment.clone(),
            setting: format!("{} = {value}", starter.name),
        };
        self.settings.push((number, line, from..self.spec.len()));
        self.spec.push_str("}\n");
    }

    /// Returns the lines without a diagnostic, each with the number of its target.
    fn run(self, request: &Request) -> impl Iterator<Item = (usize, Line)> {
        let path = PathBuf::from("/trial.imgspec");
        let request = Request {
            specs: vec![path.clone()],
            library: request.library.clone(),
            ..Request::default()
        };
        let program = load(&Memory([(path, self.spec)].into()), &request);
        let file = program.specs.first().copied().flatten();
        let images = file.map(|file| program.images_of(file));
        let mut found = diagnose(&program, &images.unwrap_or_default());
        found.extend(program.diagnostics.iter().cloned());
        // A rule may forbid the example, which is not the value that is written.
        found.retain(|d| d.code != Code::RuleViolated && Some(d.primary.span.file) == file);
        let is_good = move |place: &Range<usize>| {
            let is_here = |d: &Diagnostic| place.contains(&(d.primary.span.start as usize));
            !found.iter().any(is_here)
        };
        self.settings
            .into_iter()
            .filter(move |(_, _, place)| is_good(place))
            .map(|(number, line, _)| (number, line))
    }
}

/// Returns the settings that a target requires and does not have. A secret comes from an environment variable. The user has
/// to write the other values.
fn required_of(program: &Program, target: SectionId) -> Vec<Line> {
    let found = diagnose(program, &[target]);
    let is_required = |name: &str| {
        let quoted = format!("`{name}`");
        found
            .iter()
            .any(|d| d.code == Code::Required && d.message.contains(&quoted))
    };
    let required = program.variables.iter().filter(|v| is_required(&v.name));
    let (secret, open): (Vec<&Variable>, Vec<&Variable>) = required.partition(|v| v.is_secret);
    let open = open.into_iter().map(|variable| Line {
        comment:
            "# The target requires values for these variables. Write them, and remove the `#`.\n"
                .to_owned(),
        setting: format!("# {} = ", variable.name),
    });
    let secret = secret.into_iter().map(|variable| Line {
        comment: "# Secrets come from environment variables of the build.\n".to_owned(),
        setting: format!(
            "{} = env({})",
            variable.name,
            print_text(&variable.name.to_uppercase())
        ),
    });
    open.chain(secret).collect()
}

/// Returns the diagnostics of images.
fn diagnose(program: &Program, images: &[SectionId]) -> Vec<Diagnostic> {
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: true,
    };
    let job = Job {
        loader: &Memory::default(),
        program,
        images,
        provider: None,
        output: &output,
    };
    job.check()
}

/// Makes each layer of a spec extend the one before it, so that it may set other values. Var files need no permission for
/// that, but two layers of one image would get a warning.
pub(super) fn chain_layers(text: &str) -> String {
    let mut out = text.to_owned();
    let parsed = parse(FileId(0), text).file;
    let layers: Vec<&Ident> = parsed
        .items
        .iter()
        .filter_map(|item| Some(&item.section()?.name))
        .collect();
    for (before, layer) in layers.iter().zip(layers.iter().skip(1)).rev() {
        out.insert_str(
            layer.span.end as usize,
            &format!(" extends {}", before.text),
        );
    }
    out
}

/// Writes the images of targets, and a layer with what all of them share. `layers` are those that `spec` has already; each
/// extends the one before it. Returns the images' names.
pub(super) fn write_images(
    program: &Program,
    targets: &[SectionId],
    layers: Vec<String>,
    mut lines: Vec<Vec<Line>>,
    spec: &mut String,
) -> Vec<String> {
    let mut parent = layers.last().cloned();
    let mut taken = layers;
    let mut choose = |name: String| {
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let is_free =
            |name: &String| !taken.contains(name) && program.find_library_section(name).is_none();
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let free = names.find(is_free).unwrap_or_default();
        taken.push(free.clone());
        free
    };
    spec.insert_str(
        0,
        "# An image extends a target of Image Builder. Its name is yours to choose. `imgspec show IMAGE` prints all values.\n\n",
    );
    let shared = take_shared(&mut lines);
    if !shared.is_empty() {
        let name = choose("common".to_owned());
        let _ = writeln!(
            spec,
            "## What all images of this project share.\nlayer {name} {{\n{}}}",
            body(&shared)
        );
        parent = Some(name);
    }
    let mut images = Vec::new();
    for (id, lines) in targets.iter().zip(&lines) {
        let target = program.section(*id);
        let name = choose(format!("my-{}", target.name));
        spec.push('\n');
        if let Some(line) = target.doc.as_deref().and_then(|doc| doc.lines().next()) {
            let _ = writeln!(spec, "## {}", visible_line(line));
        }
        let parent = parent.iter().map(|layer| format!(", {layer}"));
        let _ = writeln!(
            spec,
            "image {name} extends {}{} {{\n{}}}",
            target.name,
            parent.collect::<String>(),
            body(lines)
        );
        images.push(name);
    }
    *spec = format(spec);
    images
}

/// Removes the settings that all of several images have, and returns them.
fn take_shared(lines: &mut [Vec<Line>]) -> Vec<Line> {
    let Some((first, others)) = lines.split_first_mut() else {
        return Vec::new();
    };
    if others.is_empty() {
        return Vec::new();
    }
    let is_shared = |line: &Line| others.iter().all(|lines| lines.contains(line));
    let (shared, own): (Vec<Line>, Vec<Line>) =
        std::mem::take(first).into_iter().partition(is_shared);
    *first = own;
    for lines in others {
        lines.retain(|line| !shared.contains(line));
    }
    shared
}

/// Returns the body of an item: the settings, with an empty line before each comment.
fn body(lines: &[Line]) -> String {
    let mut out = String::new();
    let mut comment = "";
    for line in lines {
        if line.comment != comment {
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = write!(out, "{gap}{}", line.comment);
            comment = &line.comment;
        }
        let _ = writeln!(out, "{}", line.setting);
    }
    out
}
