//! A spec for each variable that compiles: values are tried until one does.

use crate::diagnostic::{Code, Severity};
use crate::driver::Job;
use crate::emit::{Output, shows_secret};
use crate::eval::Image;
use crate::project::hir::*;
use crate::project::{Library, Program, Request, load};
use crate::reference::words::{Piece, pieces};
use crate::schema::{Base, Type, Value, check_value, print_value};
use crate::source::{Loader, Origin, Span, normalize};
use crate::syntax::print_text;
use regex_syntax::hir::{Class, Hir, HirKind};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::cell::Cell;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where examples are tried.
pub struct Trial<'l> {
    /// Reads the project's files.
    pub loader: &'l dyn Loader,
    /// The folder in which the examples would be.
    pub folder: PathBuf,
    /// The library, unless it is the standard library.
    pub library: Option<Arc<Library>>,
    /// Folders outside the project that may be read.
    pub include_roots: Vec<PathBuf>,
    /// The work in what was tried, in bytes.
    pub spent: Cell<usize>,
}

/// How much work is done, in bytes, before the other variables stay without examples.
const MAX_TRIED: usize = 256 << 20;

/// The work of reading a byte of a spec.
const PARSING: usize = 64;

/// The folders, beside an example, in which everything that it names is supposed to exist.
const SUPPOSED: [&str; 2] = ["files", "roles"];

/// What to try for a variable.
#[derive(Debug)]
pub(super) struct Wanted {
    pub id: VarId,
    pub name: SmolStr,
    /// The file to include that declares it.
    pub include: Option<String>,
    /// Targets to extend, the best first, each with the settings that it needs.
    pub targets: Vec<(String, Vec<(String, String)>)>,
    /// Values, the best first.
    pub values: Vec<String>,
    /// Some target reads it, so the example should have an effect.
    pub has_effect: bool,
    /// The other variables of the rules that read it, and of those that read what it determines.
    pub related: (Vec<VarId>, Vec<VarId>),
}

/// A spec to try.
#[derive(Debug, Clone)]
struct Attempt<'w> {
    wanted: &'w Wanted,
    target: &'w str,
    value: &'w str,
    /// Other variables and their values, which a rule may demand.
    others: Vec<(&'w str, &'w str)>,
}

impl Attempt<'_> {
    fn spec(&self, include: Option<&str>, image: &str) -> String {
        let mut out = String::new();
        if let Some(include) = include {
            let _ = write!(out, "include {}\n\n", print_text(include));
        }
        let _ = writeln!(out, "image {image} extends {} {{", self.target);
        let own = (self.wanted.name.as_str(), self.value);
        for (name, value) in std::iter::once(&own).chain(&self.others) {
            let _ = writeln!(out, "    {name} = {value}");
        }
        out.push_str("}\n");
        out
    }
}

type Attempts<'w> = Vec<Attempt<'w>>;

impl Trial<'_> {
    /// Finds for each variable the first target and value that compile without an error or a warning. Where none does
    /// alone, some may with values for the other variables of the rules that read it.
    pub(super) fn examples(&self, wanted: &[Wanted]) -> FxHashMap<VarId, String> {
        let alone = wanted.iter().map(|wanted| attempts(wanted, &[])).collect();
        let mut found = self.first_fine(alone);
        let values: FxHashMap<VarId, (&str, &str)> = found
            .iter()
            .map(|(id, attempt)| (*id, (attempt.wanted.name.as_str(), attempt.value)))
            .collect();
        let missing = wanted.iter().filter(|w| !found.contains_key(&w.id));
        let together = missing.map(|wanted| {
            let sets = [&wanted.related.0, &wanted.related.1]
                .into_iter()
                .flat_map(|related| {
                    let others: Vec<(&str, &str)> = related
                        .iter()
                        .filter_map(|id| values.get(id).copied())
                        .collect();
                    let is_switch = |(_, value): &(&str, &str)| matches!(*value, "true" | "false");
                    let values = others
                        .iter()
                        .copied()
                        .filter(|other| !is_switch(other))
                        .collect();
                    let each = others.iter().map(|other| vec![*other]).collect::<Vec<_>>();
                    each.into_iter().chain([values, others])
                });
            sets.flat_map(|others| attempts(wanted, &others)).collect()
        });
        let together = together.collect();
        let more = self.first_fine(together);
        found.extend(more);
        let shown = found.into_iter().map(|(id, attempt)| {
            let include = attempt.wanted.include.as_deref();
            (id, attempt.spec(include, "example"))
        });
        shown.collect()
    }

    fn spend(&self, size: usize) {
        self.spent.set(self.spent.get() + size);
    }

    fn is_spent(&self) -> bool {
        self.spent.get() > MAX_TRIED
    }

    /// Returns of each list of attempts the first that is fine. Each round tries one of each list, in one spec.
    fn first_fine<'w>(&self, mut open: Vec<Attempts<'w>>) -> FxHashMap<VarId, Attempt<'w>> {
        let mut found = FxHashMap::default();
        open.iter_mut().for_each(|attempts| attempts.reverse());
        loop {
            let round: Attempts<'_> = open.iter_mut().filter_map(Vec::pop).collect();
            if round.is_empty() || self.is_spent() {
                return found;
            }
            for attempt in self.try_round(round) {
                found.insert(attempt.wanted.id, attempt);
            }
            open.retain(|attempts| {
                attempts
                    .last()
                    .is_some_and(|next| !found.contains_key(&next.wanted.id))
            });
        }
    }

    /// Compiles a spec with an image for each attempt, and returns those that are fine.
    fn try_round<'w>(&self, round: Attempts<'w>) -> Attempts<'w> {
        let mut includes: Vec<&str> = round
            .iter()
            .filter_map(|attempt| attempt.wanted.include.as_deref())
            .collect();
        includes.sort_unstable();
        includes.dedup();
        let mut text = String::new();
        for include in includes {
            let _ = writeln!(text, "include {}", print_text(include));
        }
        let mut ranges = Vec::new();
        for (at, attempt) in round.iter().enumerate() {
            let start = text.len() as u32;
            text.push_str(&attempt.spec(None, &format!("example-{at}")));
            ranges.push(start..text.len() as u32);
        }
        let path = self.folder.join(".example.imgspec");
        let loader = Supposing {
            below: self.loader,
            folder: &self.folder,
            path: &path,
            text: &text,
        };
        let request = Request {
            specs: vec![path.clone()],
            library: self.library.clone(),
            include_roots: self.include_roots.clone(),
            here: Some(self.folder.clone()),
            ..Request::default()
        };
        let program = load(&loader, &request);
        let read = program.sources.iter();
        let read = read.filter(|(_, source)| source.origin != Origin::Library);
        let read: usize = read.map(|(_, source)| source.text.len()).sum();
        self.spend(read * PARSING);
        let Some(Some(file)) = program.specs.first().copied() else {
            return Vec::new();
        };
        let output = Output {
            dir: self.folder.join("build"),
            portable: false,
        };
        let is_fine = |w: &Wanted, image: &str, range: &std::ops::Range<u32>| {
            let Some(id) = program.find_section(file, image) else {
                return false;
            };
            let is_inside = |span: Span| span.file == file && range.contains(&span.start);
            let own = program
                .diagnostics
                .iter()
                .filter(|d| is_inside(d.primary.span));
            let job = Job {
                loader: &loader,
                program: &program,
                images: &[id],
                provider: None,
                output: &output,
            };
            let (of_image, size) = job.weigh();
            self.spend(size);
            let mut all = own.chain(&of_image);
            let is_accepted = |code| code == Code::NoEffect && !w.has_effect;
            !all.any(|d| d.severity != Severity::Note && !is_accepted(d.code))
        };
        let mut fine = Vec::new();
        for (at, (attempt, range)) in round.into_iter().zip(ranges).enumerate() {
            if is_fine(attempt.wanted, &format!("example-{at}"), &range) {
                fine.push(attempt);
            }
            if self.is_spent() {
                break;
            }
        }
        fine
    }
}

fn attempts<'w>(wanted: &'w Wanted, others: &[(&'w str, &'w str)]) -> Attempts<'w> {
    let mut out = Attempts::new();
    for (target, needed) in &wanted.targets {
        for value in &wanted.values {
            let needed = needed
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let mut all: Vec<(&str, &str)> = needed.collect();
            let is_new = |other: &&(&str, &str)| all.iter().all(|(name, _)| *name != other.0);
            let more: Vec<(&str, &str)> = others.iter().filter(is_new).copied().collect();
            all.extend(more);
            out.push(Attempt {
                wanted,
                target,
                value,
                others: all,
            });
        }
    }
    out
}

/// A loader with one more spec, beside which everything in [`SUPPOSED`] exists.
struct Supposing<'l> {
    below: &'l dyn Loader,
    folder: &'l Path,
    path: &'l Path,
    text: &'l str,
}

impl Supposing<'_> {
    fn is_supposed(&self, path: &Path) -> bool {
        let inside = path.strip_prefix(self.folder).ok();
        let first = inside.and_then(|inside| inside.components().next());
        first.is_some_and(|first| SUPPOSED.iter().any(|s| first.as_os_str() == *s))
    }
}

impl Loader for Supposing<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        if path == self.path {
            Ok(self.text.to_owned())
        } else if self.is_supposed(&normalize(path)) {
            Ok(String::new())
        } else {
            self.below.read(path)
        }
    }

    fn read_real(&self, path: &Path, real: &Path) -> io::Result<String> {
        if path == self.path || self.is_supposed(&normalize(path)) {
            self.read(path)
        } else {
            self.below.read_real(path, real)
        }
    }

    fn look(&self, path: &Path) -> io::Result<()> {
        if path == self.path || self.is_supposed(&normalize(path)) {
            Ok(())
        } else {
            self.below.look(path)
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path == self.path || self.is_supposed(&normalize(path)) || self.below.exists(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.is_supposed(&normalize(path)) || self.below.is_dir(path)
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        self.below.entries(folder)
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        if path == self.path || self.is_supposed(&normalize(path)) {
            path.to_owned()
        } else {
            self.below.canonical(path)
        }
    }
}

/// The longest value of a target that becomes an example, in bytes.
const LONGEST: usize = 500;

/// Returns values to try for a variable, the best first: what its documentation names, another choice, its value on a
/// target, a value of its type.
pub(super) fn values(
    program: &Program,
    id: VarId,
    image: Option<&Image<'_>>,
    type_docs: &FxHashMap<SmolStr, String>,
) -> Vec<String> {
    let variable = program.variable(id);
    let current = image.and_then(|image| image.value(id));
    let mut out: Vec<String> = Vec::new();
    // Conditions follow facts: an example must not change what a target is.
    let doc = variable.doc.as_ref().filter(|_| !variable.is_fact);
    out.extend(
        doc.iter()
            .flat_map(|doc| documented(program, variable, doc)),
    );
    if variable.is_secret {
        out.push(format!(
            "env({})",
            print_text(&variable.name.to_uppercase())
        ));
    }
    match (&variable.ty.base, current) {
        _ if variable.is_fact => {}
        (Base::Bool, _) => out.push((current != Some(&Value::Bool(true))).to_string()),
        (Base::Semver, Some(Value::String(text))) => {
            out.extend(
                text.known()
                    .and_then(|text| next_patch(&text))
                    .map(|next| print_text(&next)),
            );
        }
        _ => {}
    }
    let is_path = matches!(variable.ty.base, Base::Path | Base::File | Base::Role);
    let shown = current.filter(|value| {
        let span = variable.span;
        !value.is_empty() && !is_path && !shows_secret(program, id, value, span)
    });
    let shown = shown.map(print_value).filter(|text| text.len() <= LONGEST);
    out.extend(shown.filter(|_| !variable.is_secret));
    out.extend(of_type(&variable.ty, type_docs));
    let mut seen: FxHashSet<String> = FxHashSet::default();
    out.retain(|value| seen.insert(value.clone()));
    out
}

/// Returns the next patch release of a version.
fn next_patch(version: &str) -> Option<String> {
    let (head, patch) = version.rsplit_once('.')?;
    let patch: u64 = patch.parse().ok()?;
    Some(format!("{head}.{}", patch.checked_add(1)?))
}

/// Words before a value that is an example.
const SUCH_AS: [&str; 4] = ["such as", "for example", "e.g.", "like"];

/// Returns the values that documentation names: a setting, a call, or what the type accepts. Of strings that may be
/// anything, only what the text calls an example.
fn documented(program: &Program, variable: &Variable, doc: &str) -> Vec<String> {
    let ty = &variable.ty;
    let is_free =
        |ty: &Type| matches!(ty.base, Base::String | Base::Args | Base::Path | Base::Role);
    let mut out = Vec::new();
    let mut before = "";
    for piece in pieces(doc) {
        let code = match piece {
            Piece::Text(text) => {
                before = text;
                continue;
            }
            Piece::Code(code) => code.trim(),
        };
        let is_example = SUCH_AS
            .iter()
            .any(|words| before.trim_end().ends_with(words));
        if let Some(value) = code.strip_prefix(variable.name.as_str()) {
            out.extend(value.trim_start().strip_prefix("= ").map(str::to_owned));
        } else if code.starts_with("env(") {
            out.push(code.to_owned());
        } else if program.variables.iter().any(|v| v.name == code) {
            // The name of another variable is no value.
        } else if let Ok(number) = code.parse::<i64>() {
            if matches!(ty.base, Base::Int) {
                out.push(number.to_string());
            }
        } else if ty.is_text() && (is_example || !is_free(ty)) {
            let value = Value::text(code);
            if !matches!(ty.base, Base::Toml | Base::File) && check_value(ty, &value).is_ok() {
                out.push(print_value(&value));
            }
        } else if let Base::List(element) = &ty.base
            && (is_example || !is_free(element))
            && check_value(element, &Value::text(code)).is_ok()
        {
            out.push(print_value(&Value::list(vec![Value::text(code)])));
        }
    }
    out
}

/// Strings of common forms, of which a pattern may match one.
const SAMPLES: [&str; 9] = [
    "https://example.com/file",
    "registry.example.com",
    "10.0.0.0/8",
    "example.com",
    "10s",
    "1.2.3",
    "v1.2.3",
    "example",
    "0000000000000000000000000000000000000000000000000000000000000000",
];

/// Returns values of a type.
fn of_type(ty: &Type, type_docs: &FxHashMap<SmolStr, String>) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(|text| print_text(text)).collect();
    match &ty.base {
        Base::Any => texts(&["example"]),
        Base::Bool => vec!["true".to_owned()],
        Base::Int => vec!["1".to_owned()],
        Base::String => texts(&["example"]),
        Base::Semver => texts(&["v1.30.0"]),
        Base::Version => texts(&["1.2.3"]),
        Base::Path => texts(&["files/example"]),
        // Rules may demand an ending.
        Base::File => texts(&[
            "files/example",
            "files/example.list",
            "files/example.repo",
            "files/example.conf",
            "files/example.json",
            "files/example.yaml",
        ]),
        Base::Role => texts(&["roles/example"]),
        Base::Toml => texts(&["[section]\nkey = \"value\"\n"]),
        Base::Args => texts(&["key=value"]),
        Base::OneOf(choices) => choices.iter().map(|choice| print_text(choice)).collect(),
        Base::Refined(refinement) => {
            let doc = type_docs.get(&refinement.name);
            let named = doc.into_iter().flat_map(|doc| {
                let code = pieces(doc).into_iter().filter_map(|piece| match piece {
                    Piece::Code(code) => Some(code.to_owned()),
                    Piece::Text(_) => None,
                });
                code.collect::<Vec<_>>()
            });
            let samples = SAMPLES.iter().map(|sample| (*sample).to_owned());
            let all = named.chain(samples).chain(matching(&refinement.pattern));
            all.filter(|text| check_value(ty, &Value::text(text.as_str())).is_ok())
                .map(|text| print_text(&text))
                .collect()
        }
        Base::List(element) => {
            let elements = of_type(element, type_docs);
            elements
                .into_iter()
                .map(|value| format!("[{value}]"))
                .collect()
        }
        Base::Map(element) => {
            let elements = of_type(element, type_docs);
            elements
                .into_iter()
                .map(|value| format!("{{ key = {value} }}"))
                .collect()
        }
    }
}

/// The longest string that is made for a pattern.
const MATCHING: usize = 200;

/// Returns a short string that a pattern matches; none for one that needs a long string, or none at all.
fn matching(pattern: &str) -> Option<String> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut out = String::new();
    push_matching(&hir, &mut out).then_some(out)
}

fn push_matching(hir: &Hir, out: &mut String) -> bool {
    let is_fine = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => {
                out.push_str(text);
                true
            }
            Err(_) => false,
        },
        HirKind::Class(class) => match pick(class) {
            Some(c) => {
                out.push(c);
                true
            }
            None => false,
        },
        HirKind::Repetition(repetition) => {
            (0..repetition.min).all(|_| out.len() < MATCHING && push_matching(&repetition.sub, out))
        }
        HirKind::Capture(capture) => push_matching(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().all(|part| push_matching(part, out)),
        HirKind::Alternation(parts) => {
            let start = out.len();
            parts.iter().any(|part| {
                out.truncate(start);
                push_matching(part, out)
            })
        }
    };
    is_fine && out.len() < MATCHING
}

/// Returns a plain character of a class.
fn pick(class: &Class) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.iter().map(|r| (r.start(), r.end())).collect(),
        Class::Bytes(class) => {
            let ranges = class
                .iter()
                .map(|r| (char::from(r.start()), char::from(r.end())));
            ranges.collect()
        }
    };
    let has = |c: char| {
        ranges
            .iter()
            .any(|(start, end)| (*start..=*end).contains(&c))
    };
    let usual = ['a', 'A', '1'].into_iter().chain('!'..='~');
    usual
        .into_iter()
        .find(|c| has(*c))
        .or_else(|| ranges.first().map(|(start, _)| *start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_a_string_that_it_matches() {
        assert_eq!(matching("[A-Z]+-[0-9]{3}").as_deref(), Some("A-111"));
        assert_eq!(matching("(?:x|y)?z").as_deref(), Some("z"));
        assert_eq!(matching("[^a]").as_deref(), Some("A"));
        assert_eq!(matching("a{1000}"), None);
        assert_eq!(matching("(a{100}){100}"), None);
        assert_eq!(matching("["), None);
    }

    #[test]
    fn the_next_patch_release_follows() {
        assert_eq!(next_patch("v1.23.10").as_deref(), Some("v1.23.11"));
        assert_eq!(next_patch("v1"), None);
    }
}
