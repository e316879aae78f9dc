//! `imgspec verify`

use crate::cli::built::{self, Built, find_record, read_json};
use crate::cli::place::shown;
use crate::cli::report::{compile_to_build, is_fine};
use crate::cli::sandbox::confine;
use crate::cli::select::select;
use crate::cli::{Cli, Failure, Format, Selection, print};
use crate::diagnostic::json_text;
use crate::emit::{Output, Provenance};
use crate::image::changes;
use crate::source::{Disk, Loader, read_bytes, sha256};
use crate::workspace::{self, Eyes, Seen, sha256_file};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The folder of a build, a disk in it, or the name of a built image
    #[arg(value_name = "FOLDER|IMAGE")]
    image: String,
    /// The output folder in which to look for the name of an image [default: build at the project's root]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Do not compare the image with the specs around the current folder
    #[arg(long)]
    no_sources: bool,
    /// A setting of the command line that the build had
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// The provider that the build had instead of the target's own
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// What `verify --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Verified")]
pub(super) struct Verified {
    /// The image's name.
    image: String,
    /// The image's ID, as `build.json` names it.
    id: String,
    /// What was checked.
    checks: Vec<Checked>,
}

/// A check, and what came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Checked {
    /// What kind of check it is.
    check: Kind,
    /// What is checked: a path in the image's folder, or the image.
    subject: String,
    /// Whether it is as it should be.
    result: Outcome,
    /// What was found.
    found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// A file has the size and the SHA-256 of `build.json`.
    Artifact,
    /// The ID follows from what the build has seen.
    Id,
    /// The statement is about these artifacts and this ID.
    Statement,
    /// The specs at hand give the same ID.
    Sources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// It is.
    Passed,
    /// It is not.
    Failed,
    /// It cannot be told.
    Skipped,
}

/// The parts of `build.json` that are checked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Recorded {
    build: u32,
    image: String,
    id: String,
    artifacts: Vec<RecordedFile>,
    seen: Seen,
    manifest: Json,
    provenance: Json,
}

#[derive(Debug, Deserialize)]
struct RecordedFile {
    path: String,
    size: u64,
    sha256: String,
}

pub(super) fn run(cli: &Cli, args: &Verify) -> Result<bool, Failure> {
    let folder = match built::find(cli, &args.image, args.out.as_deref())? {
        Built::Folder(folder) => folder,
        Built::Json(path) => path.parent().unwrap_or(&path).to_owned(),
        Built::Disk(path) => match find_record(&path).as_deref().and_then(Path::parent) {
            Some(folder) => folder.to_owned(),
            None => {
                return Err(Failure(format!(
                    "no build.json above {}: name the folder of a build",
                    shown(&path, &cli.here)
                )));
            }
        },
    };
    if args.no_sources {
        confine(cli, vec![folder.clone()], Vec::new())?;
    }
    let record = read_record(&folder, &cli.here)?;
    let mut checks: Vec<Checked> = record
        .artifacts
        .iter()
        .map(|file| check_artifact(&folder, file))
        .collect();
    if checks.is_empty() {
        let why = "the build has left no file on its machine";
        checks.push(skipped(Kind::Artifact, &record.image, why));
    }
    checks.push(check_id(&record));
    checks.push(check_statement(&folder, &record, &cli.here)?);
    if !args.no_sources {
        checks.push(check_sources(cli, args, &record)?);
    }
    let is_right = checks.iter().all(|check| check.result != Outcome::Failed);
    if args.json || cli.bare_format() == Some(Format::Json) {
        print(&json_text(&Verified {
            image: record.image,
            id: record.id,
            checks,
        }))?;
        return Ok(is_right);
    }
    let mut text = String::new();
    for check in checks {
        let word = match check.result {
            Outcome::Passed => "passed",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
        };
        let _ = writeln!(text, "{word:8} {}: {}", check.subject, check.found);
    }
    print(&text)?;
    Ok(is_right)
}

fn checked(kind: Kind, subject: &str, result: Result<String, String>) -> Checked {
    let (result, found) = match result {
        Ok(found) => (Outcome::Passed, found),
        Err(found) => (Outcome::Failed, found),
    };
    Checked {
        check: kind,
        subject: subject.to_owned(),
        result,
        found,
    }
}

fn skipped(kind: Kind, subject: &str, why: &str) -> Checked {
    Checked {
        check: kind,
        subject: subject.to_owned(),
        result: Outcome::Skipped,
        found: why.to_owned(),
    }
}

/// Reads `build.json` of a folder.
///
/// # Errors
/// If there is none, or it has another form.
fn read_record(folder: &Path, here: &Path) -> Result<Recorded, Failure> {
    let path = folder.join("build.json");
    let name = shown(&path, here);
    let Some(json) = read_json(&path, here)? else {
        return Err(Failure(format!(
            "there is no {name}: only `imgspec build` writes it, after a successful build"
        )));
    };
    let record = Recorded::deserialize(json);
    let record = record.map_err(|e| Failure(format!("cannot read {name}: {e}")))?;
    if record.build != 1 || record.id.is_empty() {
        return Err(Failure(format!(
            "{name} has another form than this version of imgspec knows: build the image again"
        )));
    }
    Ok(record)
}

/// Checks that a file is the one that the build has made.
fn check_artifact(folder: &Path, file: &RecordedFile) -> Checked {
    let check = || {
        // A record can claim anything.
        let mut parts = Path::new(&file.path).components();
        let path = folder.join(&file.path);
        let is_inside = parts.all(|part| matches!(part, Component::Normal(_)))
            && Disk.canonical(&path).starts_with(Disk.canonical(folder));
        if !is_inside {
            return Err("it is not in the folder of the image".to_owned());
        }
        let unreadable = |e: std::io::Error| format!("it cannot be read: {e}");
        let sum = sha256_file(&path).map_err(unreadable)?;
        if sum != file.sha256 {
            return Err(format!(
                "its SHA-256 is {sum}, and {} in build.json",
                file.sha256
            ));
        }
        let size = path.metadata().map_err(unreadable)?.len();
        if size != file.size {
            return Err(format!(
                "it has {size} bytes, and {} in build.json",
                file.size
            ));
        }
        Ok(format!("sha256:{sum}"))
    };
    checked(Kind::Artifact, &file.path, check())
}

/// Checks that the ID follows from the list of what the build has seen.
fn check_id(record: &Recorded) -> Checked {
    let seen = record.seen.iter();
    let lines: String = seen.map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    let (id, found) = (&record.id, sha256(&lines));
    let of_manifest = record.manifest.get("id").and_then(Json::as_str);
    let result = if found != *id {
        Err(format!(
            "`id` is {id}, and what the build has seen gives {found}"
        ))
    } else if of_manifest.is_some_and(|other| other != id) {
        Err(format!(
            "`id` is {id}, and {} in its manifest",
            of_manifest.unwrap_or_default()
        ))
    } else {
        Ok(format!("the ID is that of what the build has seen, {id}"))
    };
    checked(Kind::Id, "build.json", result)
}

/// Checks that the statement of the build is about the same artifacts, the same ID and the same files.
///
/// # Errors
/// If the file cannot be read or is no JSON.
fn check_statement(folder: &Path, record: &Recorded, here: &Path) -> Result<Checked, Failure> {
    let name = Provenance::STATEMENT;
    let Some(json) = read_json(&folder.join(name), here)? else {
        let why = "there is none; `imgspec build --provenance` writes it";
        return Ok(skipped(Kind::Statement, name, why));
    };
    let of = |pointer: &str| json.pointer(pointer).unwrap_or(&Json::Null);
    let of_definition = |name: &str| of(&format!("/predicate/buildDefinition/{name}"));
    let check = || {
        if *of("/_type") != "https://in-toto.io/Statement/v1"
            || *of("/predicateType") != "https://slsa.dev/provenance/v1"
        {
            return Err("it is no in-toto statement with SLSA's provenance".to_owned());
        }
        let artifacts = record.artifacts.iter();
        let artifacts: Seen = artifacts
            .map(|file| (file.path.clone(), file.sha256.clone()))
            .collect();
        differ("artifact", &sums(of("/subject")), &artifacts)?;
        let id = of_definition("externalParameters/id");
        if *id != record.id {
            return Err(format!("its ID is {id}, and {} in build.json", record.id));
        }
        let seen = sums(of_definition("resolvedDependencies"));
        differ("file that the build has seen", &seen, &record.seen)?;
        Ok("it is about these artifacts and this ID".to_owned())
    };
    Ok(checked(Kind::Statement, name, check()))
}

/// The names in a list of a statement, with the SHA-256 of each. A commit of git has none.
fn sums(list: &Json) -> Seen {
    let entries = list.as_array().into_iter().flatten();
    let sums = entries.filter_map(|entry| {
        let sum = entry.pointer("/digest/sha256")?.as_str()?;
        Some((entry.get("name")?.as_str()?.to_owned(), sum.to_owned()))
    });
    sums.collect()
}

/// Returns an error about the first name that two lists do not share.
fn differ(
    what: &str,
    stated: &BTreeMap<String, String>,
    recorded: &BTreeMap<String, String>,
) -> Result<(), String> {
    let mut names = stated.keys().chain(recorded.keys());
    match names.find(|name| stated.get(*name) != recorded.get(*name)) {
        None => Ok(()),
        Some(name) => Err(match (stated.get(name), recorded.get(name)) {
            (Some(_), None) => format!("it names the {what} {name}, and build.json does not"),
            (None, _) => format!("it does not name the {what} {name}"),
            _ => format!("it has another SHA-256 of the {what} {name} than build.json"),
        }),
    }
}

/// Checks that the specs around the current folder give the ID of the image.
///
/// # Errors
/// If the library of the project cannot be read.
fn check_sources(cli: &Cli, args: &Verify, record: &Recorded) -> Result<Checked, Failure> {
    let name = &record.image;
    let skip = |why: &str| Ok(skipped(Kind::Sources, name, why));
    let fail = |why: String| Ok(checked(Kind::Sources, name, Err(why)));
    let root = workspace::project_root(&cli.here);
    let provenance = Provenance::deserialize(&record.provenance).ok();
    let read = |path: &str| read_bytes(&root.join(path)).ok();
    let changed = provenance.and_then(|provenance| changes(&provenance, read));
    let Some(changed) = changed else {
        return skip("the specs of the image are not around the current folder");
    };
    if name.contains(['/', '\\', '.', '*', '?', '[']) {
        return skip("its name cannot be looked for in the specs");
    }
    let selected = select(
        cli,
        &Selection {
            inputs: vec![name.clone()],
            set: args.set.clone(),
            provider: args.provider.clone(),
        },
    )?;
    if selected.images.is_empty() {
        return fail("the specs around the current folder have no image of this name".to_owned());
    }
    let output = Output {
        dir: root.join("build"),
        portable: true,
    };
    let eyes = Eyes::bounded();
    let look = |(_, account): (_, crate::emit::Account)| eyes.look(&account.sight);
    let (mut ids, findings) = compile_to_build(&selected, &output, look);
    if !is_fine(&findings.shown) {
        return fail(
            "the specs around the current folder have errors: run `imgspec check`".to_owned(),
        );
    }
    match ids.pop() {
        Some(Ok(own)) if own.id() == record.id => Ok(checked(
            Kind::Sources,
            name,
            Ok("the specs give the same ID".to_owned()),
        )),
        Some(Ok(own)) => {
            let paths: Vec<&str> = changed.iter().map(|change| change.path.as_str()).collect();
            let why = if paths.is_empty() {
                "the command line, a file that a value names, or imgspec was another one".to_owned()
            } else {
                format!("changed since: {}", paths.join(", "))
            };
            fail(format!("the specs give another ID, {} ({why})", own.id()))
        }
        Some(Err(error)) => skip(&format!("the ID of the specs is not known: {error}")),
        None => skip("the ID of the specs is not known"),
    }
}
