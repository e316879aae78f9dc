//! `imgspec check --baseline`: diagnostics that are known, and are not reported.

use crate::cli::place::{cannot_write, shown};
use crate::cli::report::{is_fine, repository_root};
use crate::cli::{Cli, Failure};
use crate::diagnostic::{Code, Diagnostic, Findings, Repository};
use crate::project::Program;
use crate::source::{Disk, Loader, normalize, visible_line};
use crate::workspace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The version of the form. It grows if a field changes its meaning or is removed.
const VERSION: u32 = 1;

/// For how many paths and codes the entries that are not found any more are listed.
const MOST: usize = 10;

/// A file of known diagnostics.
pub(super) struct Baseline {
    path: PathBuf,
    /// The entries, sorted. None if there is no such file.
    entries: Option<Vec<Entry>>,
}

/// The content of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    baseline: u32,
    known: Vec<Entry>,
}

/// A known diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    code: String,
    fingerprint: String,
}

/// Returns the path of a baseline.
pub(super) fn place(here: &Path, file: &Path) -> PathBuf {
    normalize(&here.join(file))
}

impl Baseline {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read or is no baseline, or does not exist and is not to be written.
    pub(super) fn read(here: &Path, file: &Path, is_written: bool) -> Result<Baseline, Failure> {
        let path = place(here, file);
        let name = shown(&path, here);
        let text = match Disk.read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && is_written => {
                return Ok(Baseline {
                    path,
                    entries: None,
                });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Failure(format!(
                    "the baseline {name} does not exist: `--write-baseline` writes it"
                )));
            }
            Err(error) => return Err(Failure(format!("cannot read the baseline {name}: {error}"))),
        };
        let way_out = "correct it, or delete it and write it anew with `--write-baseline`";
        let content: Content = serde_json::from_str(&text)
            .map_err(|error| Failure(format!("{name} is no baseline: {error}; {way_out}")))?;
        if content.baseline != VERSION {
            return Err(Failure(format!(
                "{name} has the version {}, and this imgspec reads {VERSION}; {way_out}",
                content.baseline
            )));
        }
        let mut entries = content.known;
        entries.sort();
        entries.dedup();
        Ok(Baseline {
            path,
            entries: Some(entries),
        })
    }

    /// Moves what the file contains to what is known. Returns the entries that are not found any more: none unless `is_whole`,
    /// as a part of the project says nothing about the rest, and an error hides warnings.
    fn apply(
        &self,
        cli: &Cli,
        program: &Program,
        is_whole: bool,
        findings: &mut Findings,
    ) -> Vec<Entry> {
        let mut known: BTreeMap<&Entry, bool> = BTreeMap::new();
        let entries = self.entries.as_deref().unwrap_or_default();
        known.extend(entries.iter().map(|entry| (entry, false)));
        let found = entries_of(cli, program, &findings.shown);
        let is_fine = is_fine(&findings.shown);
        let all = std::mem::take(&mut findings.shown);
        for (diagnostic, entry) in all.into_iter().zip(found) {
            let can_be_known = !diagnostic.is_error() && !diagnostic.is_pinned;
            match known.get_mut(&entry).filter(|_| can_be_known) {
                Some(is_found) => {
                    *is_found = true;
                    findings.known.push(diagnostic);
                }
                None => findings.shown.push(diagnostic),
            }
        }
        if !is_whole || !is_fine {
            return Vec::new();
        }
        let gone = known.into_iter().filter(|(_, is_found)| !is_found);
        gone.map(|(entry, _)| entry.clone()).collect()
    }

    /// Takes what the file contains out of what is shown, and tells how much that is, and what is not found any more.
    pub(super) fn use_for(
        &self,
        cli: &Cli,
        program: &Program,
        is_whole: bool,
        findings: &mut Findings,
    ) -> String {
        let gone = self.apply(cli, program, is_whole, findings);
        let name = shown(&self.path, &cli.here);
        let mut out = String::new();
        if !findings.known.is_empty() {
            out.push_str(&format!("{} in {name}\n", number(findings.known.len())));
        }
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for entry in &gone {
            *counts.entry((&entry.path, &entry.code)).or_default() += 1;
        }
        for ((path, code), count) in counts.iter().take(MOST) {
            let (path, code) = (visible_line(path), visible_line(code));
            let times = if *count > 1 {
                format!(" ({count} times)")
            } else {
                String::new()
            };
            out.push_str(&format!(
                "{name}: {code} is not reported in {path} any more{times}\n"
            ));
        }
        if counts.len() > MOST {
            out.push_str(&format!("{name}: and {} more\n", counts.len() - MOST));
        }
        if !gone.is_empty() {
            out.push_str("`--write-baseline` removes what is not reported any more\n");
        }
        out
    }

    /// Writes the file: all that is shown if there is none, or else only the entries that are still found. Returns what to
    /// tell, and whether the file is written.
    ///
    /// # Errors
    /// If the command does not check the whole project, or the file cannot be written.
    pub(super) fn write(
        &self,
        cli: &Cli,
        program: &Program,
        is_whole: bool,
        findings: &mut Findings,
    ) -> Result<(String, bool), Failure> {
        let name = shown(&self.path, &cli.here);
        if !is_whole {
            return Err(Failure(
                "`--write-baseline` needs a check of the whole project: remove the names, paths and settings".to_owned(),
            ));
        }
        if !is_fine(&findings.shown) {
            let told = format!(
                "imgspec: {name} is not written: correct the errors first, because a baseline cannot contain them\n"
            );
            return Ok((told, false));
        }
        let (entries, told) = match &self.entries {
            None => {
                let all = std::mem::take(&mut findings.shown).into_iter();
                // What a policy finds stays.
                let (pinned, known) = all.partition(|diagnostic| diagnostic.is_pinned);
                (findings.shown, findings.known) = (pinned, known);
                let mut entries = entries_of(cli, program, &findings.known);
                entries.sort();
                let told = format!("{name}: {}\n", number(entries.len()));
                (entries, told)
            }
            Some(entries) => {
                let gone = self.apply(cli, program, is_whole, findings);
                let is_kept = |entry: &&Entry| gone.binary_search(entry).is_err();
                let kept: Vec<Entry> = entries.iter().filter(is_kept).cloned().collect();
                let told = format!("{name}: {}, {} removed\n", number(kept.len()), gone.len());
                (kept, told)
            }
        };
        workspace::replace(&self.path, render(&entries).as_bytes())
            .map_err(|e| cannot_write(&e, &cli.here))?;
        Ok((told, true))
    }
}

/// Returns an entry for each diagnostic.
fn entries_of(cli: &Cli, program: &Program, diagnostics: &[Diagnostic]) -> Vec<Entry> {
    let root = repository_root(&cli.here);
    let repository = Repository {
        sources: &program.sources,
        root: &root,
    };
    let entries = repository.entries(diagnostics).into_iter();
    let entry = |(path, code, fingerprint): (String, Code, String)| Entry {
        path,
        code: code.to_string(),
        fingerprint,
    };
    entries.map(entry).collect()
}

/// Renders the file: an entry on a line, so that a diff shows which ones go.
fn render(entries: &[Entry]) -> String {
    let line = |entry: &Entry| serde_json::to_string(entry).unwrap_or_default();
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| format!("    {}", line(entry)))
        .collect();
    if lines.is_empty() {
        return format!("{{\n  \"baseline\": {VERSION},\n  \"known\": []\n}}\n");
    }
    let lines = lines.join(",\n");
    format!("{{\n  \"baseline\": {VERSION},\n  \"known\": [\n{lines}\n  ]\n}}\n")
}

fn number(count: usize) -> String {
    format!(
        "{count} known diagnostic{}",
        if count == 1 { "" } else { "s" }
    )
}
