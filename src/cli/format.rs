//! `--format`: how diagnostics are printed, and the files that they are written to.

use crate::cli::place::shown;
use crate::cli::{Cli, Command, Failure};
use crate::diagnostic::nearest;
use crate::source::{Disk, Loader, normalize};
use std::path::{Path, PathBuf};

/// How a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Source excerpts with lines and colors, for a terminal.
    Rich,
    /// Source excerpts in plain text.
    Plain,
    /// One line for each diagnostic.
    Short,
    /// JSON for other programs (docs/json.md).
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Commands to GitHub Actions.
    Github,
    /// GitLab's code quality report.
    Gitlab,
    /// JUnit XML.
    Junit,
    /// Of `doc` alone: a page for browsers.
    Html,
    /// Of `doc` alone: Markdown.
    Markdown,
    /// Of `sbom` alone: CycloneDX.
    CycloneDx,
    /// Of `sbom` alone: SPDX.
    Spdx,
    /// Of `sbom` alone: a line for each part.
    List,
    /// Of `plan` alone: a line for each image.
    Lines,
    /// Of `plan` alone: jobs for Kubernetes.
    Kubernetes,
    /// Of `plan` alone: rules for make.
    Make,
    /// Of `graph` alone: a flowchart in Markdown.
    Mermaid,
    /// Of `graph` alone: for Graphviz.
    Dot,
    /// Of `graph` alone: a picture.
    Svg,
}

/// The formats of diagnostics.
const NAMES: [(&str, Format); 8] = [
    ("rich", Format::Rich),
    ("plain", Format::Plain),
    ("short", Format::Short),
    ("json", Format::Json),
    ("sarif", Format::Sarif),
    ("github", Format::Github),
    ("gitlab", Format::Gitlab),
    ("junit", Format::Junit),
];

impl Format {
    /// Whether diagnostics have the format.
    pub(super) fn is_of_diagnostics(self) -> bool {
        NAMES.iter().any(|(_, format)| *format == self)
    }

    /// Whether people read the format. A line that counts the diagnostics ends it.
    pub(super) fn is_counted(self) -> bool {
        matches!(self, Format::Rich | Format::Plain | Format::Short)
    }
}

/// The argument of a `--format`.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    format: Format,
    file: Option<PathBuf>,
}

impl Asked {
    /// Asks to print.
    pub(super) fn of(format: Format) -> Asked {
        Asked { format, file: None }
    }
}

/// Reads the argument of `--format`.
///
/// # Errors
/// For an unknown format, and for an empty name of a file.
pub(super) fn parse(text: &str) -> Result<Asked, String> {
    let (name, file) = match text.split_once('=') {
        Some((name, file)) => (name, Some(file)),
        None => (text, None),
    };
    let names = || NAMES.iter().map(|(name, _)| *name);
    let Some((_, format)) = NAMES.iter().find(|(known, _)| *known == name) else {
        return Err(match nearest(name, names()) {
            Some(near) => format!("unknown format; did you mean `{near}`?"),
            None => {
                let names: Vec<&str> = names().collect();
                format!("unknown format; the formats are {}", names.join(", "))
            }
        });
    };
    if file == Some("") {
        return Err(format!(
            "name a file behind the `=`, or write `{name}` alone"
        ));
    }
    Ok(Asked {
        format: *format,
        file: file.map(PathBuf::from),
    })
}

/// Checks that the command can write what `--format` asks for.
///
/// # Errors
/// If two formats are to be printed, two are for one file, a folder is missing, or the command writes no reports.
pub(super) fn expect_suitable(cli: &Cli) -> Result<(), Failure> {
    let mut bare = cli.formats.iter().filter(|asked| asked.file.is_none());
    if bare.next().is_some() && bare.next().is_some() {
        return Err(Failure(
            "only one format can be printed: write the others to files, as in `--format sarif=FILE`"
                .to_owned(),
        ));
    }
    let files: Vec<PathBuf> = cli.files_of_formats().map(|(_, path)| path).collect();
    if !files.is_empty() && !writes_reports(&cli.command) {
        return Err(Failure(
            "only check, compile, build and validate write diagnostics to files: remove the `=FILE` of `--format`"
                .to_owned(),
        ));
    }
    for (at, path) in files.iter().enumerate() {
        let name = shown(path, &cli.here);
        if files.iter().skip(at + 1).any(|other| other == path) {
            return Err(Failure(format!(
                "two formats name the file {name}: name another one"
            )));
        }
        let folder = path.parent().unwrap_or(path);
        if !Disk.is_dir(folder) {
            return Err(Failure(format!(
                "cannot write {name}: the folder {} does not exist; make it, or name a file in another folder",
                shown(folder, &cli.here)
            )));
        }
    }
    Ok(())
}

fn writes_reports(command: &Command) -> bool {
    matches!(
        command,
        Command::Check(_) | Command::Compile(_) | Command::Build(_) | Command::Validate(_)
    )
}

/// The variable in which GitHub Actions names the file for the summary of a step.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

impl Cli {
    /// Returns the format to print.
    pub(super) fn bare_format(&self) -> Option<Format> {
        let bare = self.formats.iter().find(|asked| asked.file.is_none());
        bare.map(|asked| asked.format)
    }

    /// Returns the formats to write, with the paths of their files.
    pub(super) fn files_of_formats(&self) -> impl Iterator<Item = (Format, PathBuf)> {
        let with_file = |asked: &Asked| {
            let path = self.here.join(asked.file.as_deref()?);
            Some((asked.format, normalize(&path)))
        };
        self.formats.iter().filter_map(with_file)
    }

    /// Returns the file for the summary of a step, if the format is the one for GitHub Actions.
    pub(super) fn step_summary(&self) -> Option<PathBuf> {
        let is_github = |asked: &Asked| asked.format == Format::Github;
        if !self.formats.iter().any(is_github) || !writes_reports(&self.command) {
            return None;
        }
        let path = std::env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty())?;
        Some(normalize(&self.here.join(path)))
    }

    /// Returns the folders and files that the formats write to.
    pub(super) fn writes_of_formats(&self) -> Vec<PathBuf> {
        let files = self.files_of_formats();
        let folders = files.filter_map(|(_, path)| path.parent().map(Path::to_owned));
        folders.chain(self.step_summary()).collect()
    }
}
