//! What a request may read: the roots of its projects, and the files that its arguments name.

use crate::project::Config;
use crate::project::config::{CONFIG_FILE, find_root, read_config_text};
use crate::project::load::Request;
use crate::source::{FileId, Loader, normalize};
use rustc_hash::FxHashSet;
use std::path::{Path, PathBuf};

/// Returns the files and folders that [`load`](super::load()) may read for a request, each with all below it.
pub fn readable(loader: &dyn Loader, request: &Request) -> Vec<PathBuf> {
    let root_of = |path: &Path| find_root(path, |p| loader.exists(p));
    let mut out = argument_roots(loader, request);
    out.extend(request.var_files.iter().chain(&request.flag_files).cloned());
    out.extend(request.packer_folder.clone());
    let folder = |path: &PathBuf| path.parent().map(Path::to_owned);
    out.extend(request.policies.iter().filter_map(folder));
    let adopted = request
        .library
        .iter()
        .filter_map(|library| library.adopted.as_deref());
    out.extend(adopted.filter_map(|adopted| adopted.checkout.clone()));
    // A folder has the same root for all its specs.
    let mut folders: FxHashSet<&Path> = FxHashSet::default();
    let mut roots: FxHashSet<PathBuf> = FxHashSet::default();
    for spec in &request.specs {
        if spec.parent().is_some_and(|folder| folders.insert(folder)) {
            roots.insert(root_of(spec));
        }
    }
    let mut further = request.include_roots.clone();
    for root in &roots {
        let text = read_config_text(loader, std::slice::from_ref(root)).and_then(Result::ok);
        // The reader reports its mistakes.
        let config = Config::parse(FileId(0), &text.unwrap_or_default(), &mut Vec::new());
        let policies = config.policies.iter();
        let policies = policies.map(|path| normalize(&root.join(path)));
        out.extend(policies.filter_map(|path| folder(&path)));
        let folders = config.include_roots.iter();
        further.extend(folders.map(|folder| normalize(&root.join(folder))));
    }
    // What is found in another project's file is judged by the configuration of that project.
    let configs = further
        .iter()
        .map(|folder| root_of(&folder.join(CONFIG_FILE)).join(CONFIG_FILE));
    out.extend(configs);
    out.extend(roots);
    out.append(&mut further);
    out.sort();
    out.dedup();
    out
}

/// Returns the roots of the projects around what the command line names: var files, and the current folder if a setting
/// of `--set` may name a file.
pub(super) fn argument_roots(loader: &dyn Loader, request: &Request) -> Vec<PathBuf> {
    let names_file = |set: &String| set.contains('@') || set.contains("file(");
    let is_named = request.set.iter().any(names_file);
    let here = request.here.iter().filter(|_| is_named);
    let here = here.map(|folder| folder.join(CONFIG_FILE));
    let files = request.var_files.iter().chain(&request.flag_files).cloned();
    files
        .chain(here)
        .map(|path| find_root(&path, |p| loader.exists(p)))
        .collect()
}
