//! `imgspec.toml`: what holds for a whole project.

use crate::diagnostic::{Code, Diagnostic, Severity, nearest};
use crate::project::roots::{Unread, read_inside};
use crate::schema::Roles;
use crate::source::{FileId, Loader, Release, SourceMap, Span};
use crate::syntax::ast::Ident;
use serde::Deserialize;
use smol_str::SmolStr;
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

/// The content of an `imgspec.toml`.
#[derive(Debug, Default)]
pub struct Config {
    /// Codes of warnings, or names of rules, that are not reported.
    pub allow: Vec<Ident>,
    /// Codes of warnings, or names of rules, that are errors.
    pub deny: Vec<Ident>,
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
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    allow: Vec<Spanned<String>>,
    deny: Vec<Spanned<String>>,
    exclude: Vec<Spanned<PathBuf>>,
    library: Option<PathBuf>,
    checkout: Option<PathBuf>,
    release: Option<Spanned<String>>,
    roles: Option<Spanned<String>>,
    #[serde(rename = "include-roots")]
    include_roots: Vec<PathBuf>,
}

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
        (Some(key), "a sequence") => format!("expected a list for `{key}`: `[\"…\"]`"),
        (Some(key), _) if line.contains('[') => {
            format!("expected strings as the elements of `{key}`: `[\"…\"]`")
        }
        (Some(key), _) => format!("expected a string for `{key}`: `\"…\"`"),
        (None, "a sequence") => "expected a list: `[\"…\"]`".to_owned(),
        (None, _) => "expected a string in quotes".to_owned(),
    }
}

/// The name for all warnings in `allow` and `deny`.
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
                    "set `allow` or `deny` to a list of warning codes or rule names, `exclude` or `include-roots` to a list of folders, `library` or `checkout` to one folder, and `release` or `roles` to a name",
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
        let (allow, deny) = (names(written.allow), names(written.deny));
        for name in allow.iter().chain(&deny) {
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
        for name in &deny {
            if let Some(other) = allow.iter().find(|other| other.text == name.text) {
                let message = format!("`{}` is both allowed and denied", name.text);
                diagnostics.push(
                    Diagnostic::new(Code::BadConfig, name.span, message)
                        .related(other.span, "allowed here")
                        .help("remove one of them"),
                );
            }
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
            allow,
            deny,
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
        }
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
        let codes = || Code::ALL.iter().map(|c| c.as_str()).chain([WARNINGS]);
        let known = || codes().chain(rules.iter().copied());
        for name in self.allow.iter().chain(&self.deny) {
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

    /// Returns a diagnostic after `allow` and `deny`. A name in a list is stronger than `warnings`.
    fn apply_to(&self, mut found: Diagnostic) -> Option<Diagnostic> {
        let names = |list: &[Ident]| found.names().any(|n| list.iter().any(|l| l.text == n));
        let all = |list: &[Ident]| list.iter().any(|l| l.text == WARNINGS);
        if found.severity != Severity::Warning {
            // A note has a name, too, by which it can be silenced.
            return (found.is_error() || !names(&self.allow)).then_some(found);
        }
        let (allowed, denied) = (names(&self.allow), names(&self.deny));
        if allowed || all(&self.allow) && !denied {
            return None;
        }
        if denied || all(&self.deny) {
            found.severity = Severity::Error;
        }
        Some(found)
    }
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

    /// Applies each project's `allow` and `deny` to what was found in its files.
    pub fn apply(&self, sources: &SourceMap, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let of = |d: &Diagnostic| self.of(&sources.get(d.primary.span.file).path);
        diagnostics
            .into_iter()
            .filter_map(|found| match of(&found) {
                Some(config) => config.apply_to(found),
                None => Some(found),
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
