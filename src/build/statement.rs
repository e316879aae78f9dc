//! The provenance of a build in the form of SLSA: an in-toto statement about its artifacts (docs/supply-chain.md).

use crate::build::artifacts::Record;
use crate::build::tools::Found;
use crate::emit::Provenance;
use crate::source::read_text;
use crate::workspace::{Commit, WriteError, find_commit, replace};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the predicate's parameters mean. The page describes them; other parameters get another address.
const BUILD_TYPE: &str =
    "https://github.com/imgspec/imgspec/blob/main/docs/supply-chain.md#build-type-v1";

/// Who builds, if `--builder-id` does not tell.
pub const BUILDER: &str =
    "https://github.com/imgspec/imgspec/blob/main/docs/supply-chain.md#builder";

/// What is known about a build before its artifacts are there.
#[derive(Debug)]
pub(super) struct Start {
    builder: String,
    invocation: String,
    since: SystemTime,
    commit: Option<Commit>,
}

impl Start {
    /// Notes that a build starts now, of the project at a folder. `invocation` names this run.
    pub(super) fn now(builder: &str, invocation: String, root: &Path) -> Start {
        Start {
            builder: builder.to_owned(),
            invocation,
            since: SystemTime::now(),
            commit: find_commit(root),
        }
    }

    /// Writes the statement about a build that has just ended.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(
        &self,
        record: &Record,
        tools: &BTreeMap<String, Option<Found>>,
        folder: &Path,
    ) -> Result<(), WriteError> {
        let statement = self.statement(record, tools, SystemTime::now());
        let text = format!("{statement:#}\n");
        replace(&folder.join(Provenance::STATEMENT), text.as_bytes())
    }

    fn statement(
        &self,
        record: &Record,
        tools: &BTreeMap<String, Option<Found>>,
        until: SystemTime,
    ) -> Json {
        let manifest = &record.manifest;
        let of_manifest = |pointer: &str| manifest.pointer(pointer).cloned().unwrap_or_default();
        let found = tools.iter().filter_map(|(name, tool)| {
            let version = &tool.as_ref()?.version;
            (!version.is_empty()).then_some((name.as_str(), version.as_str()))
        });
        let mut versions: BTreeMap<&str, &str> = found.collect();
        versions.insert("imgspec", env!("CARGO_PKG_VERSION"));
        let commit = self.commit.iter().map(dependency);
        let seen = record
            .seen
            .iter()
            .map(|(name, sum)| json!({ "name": name, "digest": { "sha256": sum } }));
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects(record),
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "image": record.image,
                        "id": record.id,
                        "target": of_manifest("/target/image"),
                        "provider": of_manifest("/target/provider"),
                        "release": of_manifest("/release"),
                        "library": of_manifest("/library"),
                    },
                    "internalParameters": {
                        "template": of_manifest("/target/template"),
                        "runs": of_manifest("/target/runs"),
                        "environment": of_manifest("/environment"),
                    },
                    "resolvedDependencies": commit.chain(seen).collect::<Vec<_>>(),
                },
                "runDetails": {
                    "builder": { "id": self.builder, "version": versions },
                    "metadata": {
                        "invocationId": self.invocation,
                        "startedOn": in_rfc3339(self.since),
                        "finishedOn": in_rfc3339(until),
                    },
                },
            },
        })
    }
}

/// The artifacts, as a statement names them.
fn subjects(record: &Record) -> Vec<Json> {
    let artifacts = record.artifacts.iter();
    let subject = artifacts
        .map(|artifact| json!({ "name": artifact.path, "digest": { "sha256": artifact.sha256 } }));
    subject.collect()
}

/// The repository with the specs. Without an address that others can reach, only the commit is known.
fn dependency(commit: &Commit) -> Json {
    let mut out = serde_json::Map::new();
    match &commit.origin {
        Some(url) => out.insert("uri".to_owned(), format!("git+{url}@{}", commit.id).into()),
        None => out.insert("name".to_owned(), "project".into()),
    };
    out.insert("digest".to_owned(), json!({ "gitCommit": commit.id }));
    if commit.is_modified {
        out.insert("annotations".to_owned(), json!({ "modified": true }));
    }
    out.into()
}

/// True if the statement in an image's folder is about the artifacts of the record and its ID.
pub(super) fn is_about(folder: &Path, record: &Record) -> bool {
    let text = read_text(&folder.join(Provenance::STATEMENT)).unwrap_or_default();
    let statement: Json = serde_json::from_str(&text).unwrap_or_default();
    let id = statement.pointer("/predicate/buildDefinition/externalParameters/id");
    let subject = statement.get("subject");
    subject == Some(&Json::from(subjects(record))) && id == Some(&Json::from(record.id.as_str()))
}

/// Removes the statement about the last build.
///
/// # Errors
/// If it exists and cannot be removed.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(Provenance::STATEMENT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A time in UTC, to the second.
fn in_rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(seconds.as_secs()).unwrap_or_default();
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
