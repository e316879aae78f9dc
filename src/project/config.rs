//! `imgspec.toml`: what holds for a whole project.

use crate::diagnostic::{Code, Diagnostic, Severity, nearest};
use crate::project::roots::{Unread, read_inside};
use crate::schema::Roles;
use crate::source::{FileId, Loader, MAX_EXCLUDED, MAX_LEVELS, Release, SourceMap, Span};
use crate::syntax::ast::Ident;
use globset::{GlobBuilder, GlobMatcher};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Its name.
pub const CONFIG_FILE: &str = "imgspec.toml";

/// Reads the text of the `imgspec.toml` in the first of the folders that a project may read; none if it does not exist.
pub fn read_config_text(loader: &dyn Loader, roots: &[PathBuf]) -> Option<Result<String, Unread>> {
    let path = roots.first()?.join(CONFIG_FILE);
    if !loader.exists(&path) {
        return None;
    }
    Some(read_inside(loader, &path, roots))
}

/// What is reported, and as what: codes of warnings, and names of rules.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// Not reported.
    allow: Vec<Ident>,
    /// Warnings, whatever weaker levels say.
    warn: Vec<Ident>,
    /// Errors.
    deny: Vec<Ident>,
}

/// What is reported in the files that a path or a glob names.
#[derive(Debug)]
pub(super) struct OfPath {
    path: String,
    span: Span,
    glob: GlobMatcher,
    levels: Levels,
}

/// The content of an `imgspec.toml`.
#[derive(Debug, Default)]
pub struct Config {
    /// What is reported in all files of the project.
    pub(super) levels: Levels,
    /// What is reported in some of them. A later one is stronger.
    pub(super) paths: Vec<OfPath>,
    /// Folders and globs, relative to the project's root, with specs that do not belong to it, such as fixtures.
    pub exclude: Vec<PathBuf>,
    /// Where each of them is written.
    pub exclude_spans: Vec<Span>,
    /// The folder that it speaks of.
    pub root: PathBuf,
    /// A folder, relative to the project's root, whose specs replace the standard library.
    pub library: Option<PathBuf>,
    /// An Image Builder checkout, relative to the project's root, whose targets replace those of the standard library.
    pub checkout: Option<PathBuf>,
    /// The release of Image Builder that the project is for.
    pub release: Option<Release>,
    /// Whose roles the output is for.
    pub roles: Option<Roles>,
    /// Folders, relative to the project's root, that specs may include from besides it.
    pub include_roots: Vec<PathBuf>,
    /// Specs, relative to the project's root, whose rules hold for every image of the project.
    pub policies: Vec<PathBuf>,
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    allow: Vec<Spanned<String>>,
    warn: Vec<Spanned<String>>,
    deny: Vec<Spanned<String>>,
    paths: BTreeMap<Spanned<String>, WrittenLevels>,
    exclude: Vec<Spanned<PathBuf>>,
    library: Option<PathBuf>,
    checkout: Option<PathBuf>,
    release: Option<Spanned<String>>,
    roles: Option<Spanned<String>>,
    #[serde(rename = "include-roots")]
    include_roots: Vec<PathBuf>,
    policies: Vec<PathBuf>,
}

/// The levels of a path as they are written. A struct could also be written as a list.
type WrittenLevels = BTreeMap<Spanned<String>, Vec<Spanned<String>>>;

/// What is wrong in the text, in the words of TOML, not of the program's types.
fn in_words(error: &toml::de::Error, text: &str) -> String {
    let message = error.message();
    let Some(wanted) = message
        .strip_prefix("invalid type: ")
        .and_then(|m| m.rsplit_once(", expected "))
    else {
        return message.to_owned();
    };
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let key = line
        .split_once('=')
        .map(|(key, _)| key.trim())
        .filter(|key| !key.is_empty());
    match (key, wanted.1) {
        (Some(key), "a map") => {
            format!(
                "expected a table for `{key}`: `[paths.\"GLOB\"]` on a line, and `allow = [\"…\"]` below it"
            )
        }
        (Some(key), "a sequence") => format!("expected a list for `{key}`: `[\"…\"]`"),
        (Some(key), _) if line.contains('[') => {
            format!("expected strings as the elements of `{key}`: `[\"…\"]`")
        }
        (Some(key), _) => format!("expected a string for `{key}`: `\"…\"`"),
        (None, "a sequence") => "expected a list: `[\"…\"]`".to_owned(),
        (None, _) => "expected a string in quotes".to_owned(),
    }
}

/// The name for all warnings in the lists.
const WARNINGS: &str = "warnings";

impl Config {
    /// Reads the text of an `imgspec.toml`; what is wrong in it is reported at its place.
    pub fn parse(file: FileId, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Config {
        let span =
            |range: std::ops::Range<usize>| Span::new(file, range.start as u32, range.end as u32);
        let written: Written = match toml::from_str(text) {
            Ok(written) => written,
            Err(error) => {
                let at = span(error.span().unwrap_or(0..0));
                diagnostics.push(Diagnostic::new(Code::BadConfig, at, in_words(&error, text)).help(
                    "set `allow`, `warn` or `deny` to a list of warning codes or rule names, also below `[paths.\"GLOB\"]`, `exclude` or `include-roots` to a list of folders, `policies` to a list of specs, `library` or `checkout` to one folder, and `release` or `roles` to a name",
                ));
                return Config::default();
            }
        };
        let names = |list: Vec<Spanned<String>>| -> Vec<Ident> {
            list.into_iter()
                .map(|n| Ident {
                    span: span(n.span()),
                    text: SmolStr::from(n.into_inner()),
                })
                .collect()
        };
        let mut levels = Levels {
            allow: names(written.allow),
            warn: names(written.warn),
            deny: names(written.deny),
        };
        levels.check(diagnostics);
        let mut paths: Vec<OfPath> = Vec::new();
        for (path, levels) in written.paths {
            let at = span(path.span());
            let path = path.into_inner();
            let glob = GlobBuilder::new(path.trim_end_matches('/'))
                .literal_separator(true)
                .build();
            let mut of_path = Levels::default();
            for (key, list) in levels {
                let list = names(list);
                match key.get_ref().as_str() {
                    "allow" => of_path.allow = list,
                    "warn" => of_path.warn = list,
                    "deny" => of_path.deny = list,
                    other => diagnostics.push(
                        Diagnostic::new(
                            Code::BadConfig,
                            span(key.span()),
                            format!("a path cannot have the key `{other}`"),
                        )
                        .help("write `allow`, `warn` or `deny`, with a list of warning codes or rule names"),
                    ),
                }
            }
            let levels = of_path;
            levels.check(diagnostics);
            match glob {
                Ok(glob) => paths.push(OfPath {
                    path,
                    span: at,
                    glob: glob.compile_matcher(),
                    levels,
                }),
                Err(error) => diagnostics.push(
                    Diagnostic::new(Code::BadConfig, at, format!("`{path}` is not a glob"))
                        .label(error.kind().to_string())
                        .help("write a path, or a glob such as `legacy/**` or `teams/*/drafts`"),
                ),
            }
        }
        paths.sort_by_key(|of| of.span.start);
        if let Some(of) = paths.get(MAX_EXCLUDED) {
            let message = format!("`paths` has more than {MAX_EXCLUDED} entries");
            diagnostics.push(
                Diagnostic::new(Code::TooLarge, of.span, message)
                    .label("imgspec does not apply this one and those after it")
                    .help("write globs that name several files"),
            );
            paths.truncate(MAX_EXCLUDED);
        }
        let mut room = MAX_LEVELS;
        let all = std::iter::once(&mut levels).chain(paths.iter_mut().map(|of| &mut of.levels));
        let dropped: Vec<Ident> = all.flat_map(|levels| levels.cut(&mut room)).collect();
        if let Some(first) = dropped.first() {
            let message = format!("`allow`, `warn` and `deny` have more than {MAX_LEVELS} entries");
            diagnostics.push(
                Diagnostic::new(Code::TooLarge, first.span, message)
                    .label("imgspec does not apply this one and those after it")
                    .help("remove those that mean nothing, or write `warnings` for all warnings"),
            );
        }
        if written.library.is_some() && written.checkout.is_some() {
            let whole = Span::new(file, 0, text.len() as u32);
            let message = "`library` and `checkout` both replace the standard library";
            diagnostics
                .push(Diagnostic::new(Code::BadConfig, whole, message).help("remove one of them"));
        }
        let mut choose = |key: &str, name: &Spanned<String>, known: &[&str], more: &str| {
            let at = span(name.span());
            let message = format!("unknown {key} `{}`", name.get_ref());
            let found = Diagnostic::new(Code::BadConfig, at, message);
            diagnostics.push(match nearest(name.get_ref(), known.iter().copied()) {
                Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                    format!("replace it with `{near}`"),
                    at,
                    format!("\"{near}\""),
                ),
                None => found.help(format!("choose from {}{more}", known.join(", "))),
            });
        };
        let release = written.release.as_ref().and_then(|name| {
            let found = Release::find(name.get_ref());
            if found.is_none() {
                let known: Vec<&str> = Release::all().into_iter().map(Release::name).collect();
                choose(
                    "release",
                    name,
                    &known,
                    "; for another release, use a checkout of it: `checkout = \"FOLDER\"`",
                );
            }
            found
        });
        let roles = written.roles.as_ref().and_then(|name| {
            let found = Roles::find(name.get_ref());
            if found.is_none() {
                choose("kind of roles", name, &Roles::NAMES, "");
            }
            found
        });
        let exclude_spans = written
            .exclude
            .iter()
            .map(|folder| span(folder.span()))
            .collect();
        Config {
            levels,
            paths,
            exclude: written
                .exclude
                .into_iter()
                .map(Spanned::into_inner)
                .collect(),
            exclude_spans,
            root: PathBuf::new(),
            library: written.library,
            checkout: written.checkout,
            release,
            roles,
            include_roots: written.include_roots,
            policies: written.policies,
        }
    }

    /// All codes and names of rules that it mentions, in quotes.
    pub fn names(&self) -> impl Iterator<Item = &Ident> {
        let of_paths = self.paths.iter().map(|of| &of.levels);
        let levels = std::iter::once(&self.levels).chain(of_paths);
        levels.flat_map(Levels::names)
    }

    /// Reports names that mean nothing: a misspelt one, one that is neither a code nor a rule of the project, a
    /// folder that is not there. `is_rule` knows the rules of files that this command does not read.
    pub fn check_names(
        &self,
        rules: &[&str],
        is_rule: impl Fn(&str) -> bool,
        is_there: impl Fn(&Path) -> bool,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        for (folder, span) in self.exclude.iter().zip(&self.exclude_spans) {
            // A glob may match nothing today.
            let is_glob = folder.to_string_lossy().contains(['*', '?', '[', '{']);
            if !is_glob && !is_there(&self.root.join(folder)) {
                let message = format!("the folder {} does not exist", folder.display());
                diagnostics.push(
                    Diagnostic::new(Code::UnusedConfig, *span, message)
                        .label("this excludes nothing")
                        .help("write the folder relative to imgspec.toml, or remove it"),
                );
            }
        }
        for of in &self.paths {
            let is_there = is_there(&self.root.join(&of.path));
            if !is_there && !of.path.contains(['*', '?', '[', '{']) {
                let message = format!("the path {} does not exist", of.path);
                diagnostics.push(
                    Diagnostic::new(Code::UnusedConfig, of.span, message)
                        .label("this applies to nothing")
                        .help("write a path or a glob relative to imgspec.toml, or remove it"),
                );
            }
        }
        let codes = || Code::ALL.iter().map(|c| c.as_str()).chain([WARNINGS]);
        let known = || codes().chain(rules.iter().copied());
        for name in self.names() {
            if known().any(|k| k == name.text) {
                continue;
            }
            if is_rule(&name.text) {
                continue;
            }
            let Some(near) = nearest(&name.text, known()) else {
                let message = format!("unknown code or rule `{}`", name.text);
                diagnostics.push(
                    Diagnostic::new(Code::UnusedConfig, name.span, message)
                        .label("this has no effect")
                        .help("write the code of a diagnostic, such as `no-effect`, or the name of a rule"),
                );
                continue;
            };
            {
                diagnostics.push(
                    Diagnostic::new(
                        Code::BadConfig,
                        name.span,
                        format!("unknown code or rule `{}`", name.text),
                    )
                    .label(format!("did you mean `{near}`?"))
                    .fix(
                        format!("replace it with `{near}`"),
                        name.span,
                        format!("\"{near}\""),
                    ),
                );
            }
        }
    }

    /// Returns the levels for a file, the weakest first.
    fn levels_of(&self, file: &Path) -> Vec<&Levels> {
        let mut out = vec![&self.levels];
        if let Ok(path) = file.strip_prefix(&self.root) {
            let of_file = self.paths.iter().filter(|of| of.contains(path));
            out.extend(of_file.map(|of| &of.levels));
        }
        out
    }
}

impl OfPath {
    /// Returns whether the file, or a folder that it is in, has the path. `file` starts at the project's root.
    fn contains(&self, file: &Path) -> bool {
        let is_it = |path: &Path| {
            // A name may contain the characters of globs.
            path == Path::new(&self.path) || self.glob.is_match(path)
        };
        file.ancestors().any(is_it)
    }
}

/// How a diagnostic is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Allow,
    Warn,
    Deny,
}

impl Levels {
    fn names(&self) -> impl Iterator<Item = &Ident> {
        self.allow.iter().chain(&self.warn).chain(&self.deny)
    }

    fn lists(&self) -> [(Level, &[Ident]); 3] {
        [
            (Level::Allow, &self.allow),
            (Level::Warn, &self.warn),
            (Level::Deny, &self.deny),
        ]
    }

    /// Keeps the first entries, as many as there is room for, and returns the others.
    fn cut(&mut self, room: &mut usize) -> Vec<Ident> {
        let mut dropped = Vec::new();
        for list in [&mut self.allow, &mut self.warn, &mut self.deny] {
            dropped.extend(list.drain(list.len().min(*room)..));
            *room -= list.len();
        }
        dropped
    }

    /// Reports names of errors, and names that are in two lists.
    fn check(&self, diagnostics: &mut Vec<Diagnostic>) {
        for name in self.names() {
            if Code::parse(&name.text).is_some_and(|code| {
                code.severity() == Severity::Error && code != Code::RuleViolated
            }) {
                let message = format!(
                    "`{}` is an error and cannot be allowed or denied",
                    name.text
                );
                diagnostics.push(
                    Diagnostic::new(Code::BadConfig, name.span, message)
                        .help("remove it: only a warning can be allowed or denied"),
                );
            }
        }
        let [(_, allow), (_, warn), (_, deny)] = self.lists();
        let twice = |names: &'_ [Ident], others: &'_ [Ident]| -> Vec<(Ident, Span)> {
            let other = |name: &Ident| others.iter().find(|other| other.text == name.text);
            let pairs = names
                .iter()
                .filter_map(|name| Some((name.clone(), other(name)?.span)));
            pairs.collect()
        };
        for (name, other) in twice(deny, allow) {
            let message = format!("`{}` is both allowed and denied", name.text);
            diagnostics.push(
                Diagnostic::new(Code::BadConfig, name.span, message)
                    .related(other, "allowed here")
                    .help("remove one of them"),
            );
        }
        for (list, label) in [(allow, "allowed here"), (deny, "denied here")] {
            for (name, other) in twice(warn, list) {
                let message = format!("`{}` is in `warn` and in another list", name.text);
                diagnostics.push(
                    Diagnostic::new(Code::BadConfig, name.span, message)
                        .related(other, label)
                        .help("remove one of them"),
                );
            }
        }
    }

    /// Returns the level of a diagnostic, if a list has its name or `warnings`. A name is stronger than `warnings`.
    fn of(&self, found: &Diagnostic) -> Option<Level> {
        let has = |list: &[Ident], name: &str| list.iter().any(|l| l.text == name);
        let lists = self.lists();
        let named = lists
            .iter()
            .find(|(_, list)| found.names().any(|name| has(list, name)));
        // A note is no warning, but has a name, by which it can be silenced.
        let all = lists
            .iter()
            .find(|(_, list)| found.severity == Severity::Warning && has(list, WARNINGS));
        named.or(all).map(|(level, _)| *level)
    }
}

/// Returns a diagnostic after the levels of its file, the weakest first.
fn apply_levels(levels: &[&Levels], mut found: Diagnostic) -> Option<Diagnostic> {
    if found.is_error() || found.is_pinned {
        return Some(found);
    }
    match levels.iter().rev().find_map(|levels| levels.of(&found)) {
        Some(Level::Allow) => return None,
        Some(Level::Deny) if found.severity == Severity::Warning => {
            found.severity = Severity::Error
        }
        _ => {}
    }
    Some(found)
}

/// The configurations of the projects that a command reads, each for the files of its own.
#[derive(Debug, Default)]
pub struct Configs(pub Vec<Config>);

impl Configs {
    /// The configuration for a file: of the innermost project that it lies in; for a place that lies in none, as
    /// that of an argument or of the library, of the first.
    pub(crate) fn of(&self, path: &Path) -> Option<&Config> {
        let around = self
            .0
            .iter()
            .filter(|config| path.starts_with(&config.root));
        around
            .max_by_key(|config| config.root.components().count())
            .or(self.0.first())
    }

    /// Applies each project's levels to what was found in its files.
    pub fn apply(&self, sources: &SourceMap, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut by_file: FxHashMap<FileId, Vec<&Levels>> = FxHashMap::default();
        diagnostics
            .into_iter()
            .filter_map(|found| {
                let file = found.primary.span.file;
                let levels = by_file.entry(file).or_insert_with(|| {
                    let path = &sources.get(file).path;
                    self.of(path)
                        .map_or_else(Vec::new, |config| config.levels_of(path))
                });
                apply_levels(levels, found)
            })
            .collect()
    }
}

/// The project's root for a spec: the nearest folder with an `imgspec.toml` or a `.git`, else the
/// spec's own folder.
pub fn find_root(spec: &Path, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let folder = spec.parent().unwrap_or(Path::new("/"));
    folder
        .ancestors()
        .find(|a| exists(&a.join(CONFIG_FILE)) || exists(&a.join(".git")))
        .unwrap_or(folder)
        .to_owned()
}
