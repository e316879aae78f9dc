//! What a build sees: the image's ID, and the digest that decides whether an image is built again.

use crate::build::artifacts::sha256_file;
use crate::emit::{Account, Artifacts, BuildPlan, PackerRun, TemplatePath, from_root};
use crate::source::{hex, sha256};
use crate::workspace;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The names of all that a build sees, with the SHA-256 of each. The names are the same on every machine.
pub(crate) type Seen = BTreeMap<String, String>;

/// The template and the runs of Packer, as their digest covers them.
#[derive(Serialize)]
struct Recipe<'r> {
    template: &'r str,
    runs: Vec<RecipeRun<'r>>,
}

#[derive(Serialize)]
struct RecipeRun<'r> {
    only: &'r [String],
    except: &'r [String],
    vars: Vec<String>,
}

/// Lists what the build of an image sees: the var files, the template, the runs of Packer, imgspec's templates and roles, and
/// the files and folders that values name (including the project's roles). Secrets, environment variables, sources and
/// imgspec's version are not in the list.
///
/// # Errors
/// If a file that a value names cannot be read.
pub(crate) fn seen(artifacts: &Artifacts, account: &Account) -> io::Result<Seen> {
    let plan = &artifacts.build;
    let mut out = Seen::new();
    for (name, content) in &account.portable {
        out.insert((*name).to_owned(), sha256(content));
    }
    let template = match &plan.template {
        TemplatePath::BuiltIn(path) | TemplatePath::Upstream(path) => path.clone(),
        TemplatePath::Disk(path) => {
            let name = from_root(&account.root, &path.to_string_lossy());
            out.insert(format!("project/{name}"), sha256_file(path)?);
            name
        }
    };
    let recipe = Recipe {
        template: &template,
        runs: plan
            .runs
            .iter()
            .map(|run| in_recipe(run, account))
            .collect(),
    };
    let recipe = serde_json::to_string(&recipe)? + "\n";
    out.insert("recipe.json".to_owned(), sha256(&recipe));
    out.extend(workspace::asset_sums().iter().cloned());
    for path in paths(plan) {
        for file in files(&path)? {
            let name = from_root(&account.root, &file.to_string_lossy());
            out.insert(format!("project/{name}"), sha256_file(&file)?);
        }
    }
    Ok(out)
}

fn in_recipe<'r>(run: &'r PackerRun, account: &Account) -> RecipeRun<'r> {
    let root = format!("{}/", account.root.display());
    RecipeRun {
        only: &run.only,
        except: &run.except,
        vars: run.vars.iter().map(|var| var.replace(&root, "")).collect(),
    }
}

/// Returns the ID of an image: the SHA-256 of a line `SHA256  NAME` for everything that its build sees, in the order of the
/// names. `sha256sum` prints such lines.
pub(crate) fn id(seen: &Seen) -> String {
    let lines = seen.iter().map(|(name, sum)| format!("{sum}  {name}\n"));
    sha256(&lines.collect::<String>())
}

/// Returns the digest that decides whether an image is built again: of its ID, its secrets, and the environment variables that
/// the output reads.
pub(crate) fn inputs(id: &str, artifacts: &Artifacts, variables: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add(id);
    for secret in artifacts.secret_values() {
        add(secret);
    }
    for (name, value) in variables {
        add(name);
        add(value);
    }
    hex(&hash.finalize())
}

/// Returns the files and folders of this machine that are inputs of an image. A role can use other roles through
/// `dependencies` or `include_role`, with names that only Ansible can compute. So if an image uses a role of the project,
/// all role folders of the project are inputs.
fn paths(recipe: &BuildPlan) -> BTreeSet<PathBuf> {
    let mut paths = recipe.paths.clone();
    let named = recipe
        .roles
        .iter()
        .filter(|role| Path::new(&role.name).is_absolute());
    paths.extend(named.map(|role| PathBuf::from(&role.name)));
    let is_own = |folder: &PathBuf| {
        recipe
            .roles
            .iter()
            .any(|role| role.is_path() || folder.join(&role.name).is_dir())
    };
    if recipe.role_folders.iter().any(is_own) {
        paths.extend(
            recipe
                .role_folders
                .iter()
                .filter(|folder| folder.is_dir())
                .cloned(),
        );
    }
    paths
}

/// Returns a file itself, or all files of a folder without `.git`, sorted, with links followed.
///
/// # Errors
/// If a folder cannot be read.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let entries = WalkDir::new(path)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter();
    for entry in entries.filter_entry(|entry| entry.file_name() != ".git") {
        match entry {
            Ok(entry) if entry.file_type().is_file() => out.push(entry.into_path()),
            Ok(_) => {}
            // A broken link, or a link to a parent folder, adds no content.
            Err(error) if error.loop_ancestor().is_some() || is_gone(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(out)
}

fn is_gone(error: &walkdir::Error) -> bool {
    error
        .io_error()
        .is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}
