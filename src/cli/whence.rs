//! `imgspec whence`

use crate::cli::built::{self, Built, artifacts, find_record, read_json};
use crate::cli::place::shown;
use crate::cli::sandbox::confine;
use crate::cli::{Cli, Failure, Format, print, print_aside};
use crate::diagnostic::{json_text, nearest};
use crate::emit::{Provenance, Trace};
use crate::image::{changes, describe, read_provenance, read_release};
use crate::source::{read_bytes, visible_line};
use crate::workspace;
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Whence {
    /// A built disk or archive, the folder of a build or a JSON file in it, or the name of a built image
    #[arg(value_name = "FILE|IMAGE")]
    image: String,
    /// Only this variable
    #[arg(value_name = "VARIABLE")]
    variable: Option<String>,
    /// The output folder in which to look for the name of an image [default: build at the project's root]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// What `whence --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Whence")]
pub(super) struct Whences {
    /// The image's name.
    image: String,
    /// The image that contains the target.
    target: String,
    /// The provider that has built the image.
    provider: String,
    /// The release of Image Builder.
    release: String,
    /// The image's ID; null if it is not known.
    id: Option<String>,
    /// The sources that have changed since, by their paths from the project's root; null if the project is not at hand.
    changed: Option<Vec<String>>,
    /// The variables by their names.
    variables: BTreeMap<String, Trace>,
}

pub(super) fn run(cli: &Cli, args: &Whence) -> Result<bool, Failure> {
    let found = built::find(cli, &args.image, args.out.as_deref())?;
    let root = workspace::project_root(&cli.here);
    confine(cli, vec![root.clone(), readable(&found)], Vec::new())?;
    let (provenance, id) = read(&found, &cli.here)?;
    let changed = changes(&provenance, |path| read_bytes(&root.join(path)).ok());
    let variable = match &args.variable {
        Some(name) => Some(find_variable(&provenance, name)?),
        None => None,
    };
    if args.json || cli.bare_format() == Some(Format::Json) {
        return print_json(provenance, id, changed, args.variable.as_deref()).map(|()| true);
    }
    let name = args.variable.as_deref().unwrap_or_default();
    print(&describe(&provenance, id.as_deref(), variable, name))?;
    for change in changed.iter().flatten() {
        let what = if change.is_gone {
            "is gone"
        } else {
            "has changed"
        };
        print_aside(&format!(
            "imgspec: {} {what} since this image was built\n",
            visible_line(&change.path)
        ));
    }
    Ok(true)
}

fn print_json(
    provenance: Provenance,
    id: Option<String>,
    changed: Option<Vec<crate::image::Change>>,
    only: Option<&str>,
) -> Result<(), Failure> {
    let mut variables = provenance.variables;
    variables.retain(|name, _| only.is_none_or(|only| only == name));
    let paths = |changed: Vec<crate::image::Change>| changed.into_iter().map(|c| c.path).collect();
    print(&json_text(&Whences {
        image: provenance.image,
        target: provenance.target,
        provider: provenance.provider,
        release: provenance.release,
        id,
        changed: changed.map(paths),
        variables,
    }))
}

/// The folder with all that is read of what an argument names.
fn readable(found: &Built) -> PathBuf {
    match found {
        Built::Folder(path) => path.clone(),
        Built::Json(path) => path.parent().unwrap_or(path).to_owned(),
        Built::Disk(path) => {
            let record = find_record(path);
            record
                .as_deref()
                .and_then(Path::parent)
                .unwrap_or(path)
                .to_owned()
        }
    }
}

/// Reads the provenance of what an argument names, and its ID if it is known.
///
/// # Errors
/// If the argument names nothing, or what it names has no provenance.
pub(super) fn find_and_read(
    cli: &Cli,
    name: &str,
) -> Result<(Provenance, Option<String>), Failure> {
    read(&built::find(cli, name, None)?, &cli.here)
}

/// Reads the provenance of an image, and its ID if it is known.
fn read(found: &Built, here: &Path) -> Result<(Provenance, Option<String>), Failure> {
    match found {
        Built::Folder(folder) => {
            if let Some(record) = read_json(&folder.join("build.json"), here)? {
                return of_record(record, &folder.join("build.json"), here);
            }
            of_compile(folder, "manifest.json", here)
        }
        Built::Json(path) => {
            let json = read_json(path, here)?.unwrap_or_default();
            if json.get("build").is_some() {
                return of_record(json, path, here);
            }
            if json.get("provenance").is_some() && json.get("variables").is_some() {
                return parse(json, path, here).map(|provenance| (provenance, None));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            of_compile(path.parent().unwrap_or(path), &name, here)
        }
        Built::Disk(path) => of_disk(path, here),
    }
}

/// The provenance in the record of a build.
fn of_record(
    mut record: Json,
    path: &Path,
    here: &Path,
) -> Result<(Provenance, Option<String>), Failure> {
    let id = record.get("id").and_then(Json::as_str);
    let id = id.filter(|id| !id.is_empty()).map(str::to_owned);
    let json = record
        .get_mut("provenance")
        .map(Json::take)
        .unwrap_or_default();
    if json.is_null() {
        return Err(Failure(format!(
            "{} has no provenance: an earlier version of imgspec has written it; build the image again",
            shown(path, here)
        )));
    }
    parse(json, path, here).map(|provenance| (provenance, id))
}

/// The provenance beside the files of a compile.
fn of_compile(
    folder: &Path,
    name: &str,
    here: &Path,
) -> Result<(Provenance, Option<String>), Failure> {
    let path = folder.join(Provenance::FILE);
    let file = shown(&folder.join(name), here);
    let again = "only `imgspec build` and `imgspec validate` write it; `imgspec show` tells where the values of the specs come from now";
    let Some(json) = read_json(&path, here)? else {
        return Err(Failure(format!(
            "no {} beside {file}: {again}",
            Provenance::FILE
        )));
    };
    let provenance = parse(json, &path, here)?;
    let manifest = read_json(&folder.join("manifest.json"), here)?;
    let sources = manifest
        .as_ref()
        .and_then(|manifest| manifest.get("sources"));
    let sources = sources.and_then(|sources| BTreeMap::<String, String>::deserialize(sources).ok());
    let is_newer = |(path, sum): (&String, &String)| {
        provenance
            .sources
            .get(path)
            .is_some_and(|known| known != sum)
    };
    if sources.is_some_and(|sources| sources.iter().any(is_newer)) {
        return Err(Failure(format!(
            "{file} is newer than {} beside it: {again}",
            Provenance::FILE
        )));
    }
    Ok((provenance, None))
}

/// The provenance inside a disk, or in the record of the build that has made the disk.
fn of_disk(path: &Path, here: &Path) -> Result<(Provenance, Option<String>), Failure> {
    let failed = |reason: String| Failure(format!("cannot read {}: {reason}", shown(path, here)));
    let inside = built::open(path, here).and_then(|tree| {
        let json = read_provenance(&tree).map_err(failed)?;
        let id = read_release(&tree).map_err(failed)?.remove("ID");
        Ok(json.map(|json| (json, id)))
    });
    let outside = find_record(path).map(|record| {
        let json = read_json(&record, here)?.unwrap_or_default();
        let folder = record.parent().unwrap_or(&record);
        let is_its = artifacts(&json, folder).contains(&path.to_owned());
        Ok(is_its.then_some((json, record)))
    });
    match inside {
        Ok(Some((json, id))) => parse(json, path, here).map(|provenance| (provenance, id)),
        other => match outside.transpose()?.flatten() {
            Some((json, record)) => of_record(json, &record, here),
            None => Err(other.err().unwrap_or_else(|| {
                Failure(format!(
                    "{} has no {}: its build has left it out, or another program has made it",
                    shown(path, here),
                    Provenance::FILE
                ))
            })),
        },
    }
}

fn parse(json: Json, path: &Path, here: &Path) -> Result<Provenance, Failure> {
    let failed = |reason: String| Failure(format!("cannot read {}: {reason}", shown(path, here)));
    let provenance = Provenance::deserialize(json).map_err(|e| failed(e.to_string()))?;
    if provenance.provenance != 1 {
        return Err(failed(format!(
            "its provenance has the form {}, and this version of imgspec knows only 1",
            provenance.provenance
        )));
    }
    Ok(provenance)
}

/// Finds a variable that has a value in the image.
fn find_variable<'p>(provenance: &'p Provenance, name: &str) -> Result<&'p Trace, Failure> {
    provenance.variables.get(name).ok_or_else(|| {
        let names = provenance.variables.keys().map(String::as_str);
        let near = nearest(name, names).map(|near| format!("; did you mean `{near}`?"));
        Failure(format!(
            "`{name}` has no value in the image `{}`{}",
            provenance.image,
            near.unwrap_or_default()
        ))
    })
}
