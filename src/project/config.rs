//! `imgspec.toml`: what holds for a whole project.

use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::source::{FileId, Span};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The content of an `imgspec.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Codes of warnings, or names of rules, that are not reported.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Codes of warnings, or names of rules, that are errors.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Folders, relative to the project's root, that hold no specs of the project: fixtures, say.
    #[serde(default)]
    pub exclude: Vec<PathBuf>,
    /// A folder, relative to the project's root, whose specs stand in the place of the built-in library.
    pub library: Option<PathBuf>,
}

impl Config {
    /// Reads the text of an `imgspec.toml`; what is wrong in it is reported at its place.
    pub fn parse(file: FileId, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Config {
        let config: Config = match toml::from_str(text) {
            Ok(config) => config,
            Err(error) => {
                let range = error.span().unwrap_or(0..0);
                let span = Span::new(file, range.start as u32, range.end as u32);
                diagnostics.push(
                    Diagnostic::new(Code::BadConfig, span, error.message().to_owned()).help(
                        "imgspec.toml has `allow` and `deny`, lists of warning codes or rule names, `exclude`, a list of folders, and `library`, a folder",
                    ),
                );
                return Config::default();
            }
        };
        for name in config.allow.iter().chain(&config.deny) {
            if Code::parse(name)
                .is_some_and(|code| code.severity() == Severity::Error && code != Code::RuleViolated)
            {
                let at = text.find(name.as_str()).unwrap_or(0) as u32;
                diagnostics.push(
                    Diagnostic::new(
                        Code::BadConfig,
                        Span::new(file, at, at + name.len() as u32),
                        format!("`{name}` is an error and cannot be allowed or denied"),
                    )
                    .help("only warnings can"),
                );
            }
        }
        config
    }

    /// Applies `allow` and `deny`. An error stays an error.
    pub fn apply(&self, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let names = |list: &[String], d: &Diagnostic| d.names().any(|n| list.iter().any(|l| l == n));
        diagnostics
            .into_iter()
            .filter(|d| d.is_error() || !names(&self.allow, d))
            .map(|mut d| {
                if d.severity == Severity::Warning && names(&self.deny, &d) {
                    d.severity = Severity::Error;
                }
                d
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
        .find(|a| exists(&a.join("imgspec.toml")) || exists(&a.join(".git")))
        .unwrap_or(folder)
        .to_owned()
}
