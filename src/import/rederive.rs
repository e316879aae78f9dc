//! Strings of a checkout that the standard library derives from other variables. They are written as the same expression,
//! so that package versions of a release still follow its version.

use crate::eval::evaluate;
use crate::import::checkout::Checkout;
use crate::import::infer::Declaration;
use crate::project::hir::VarId;
use crate::project::{Program, Request, load};
use crate::schema::encode;
use crate::source::Memory;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// A string that may be derived: its name, the standard library's variable, and the string.
type Candidate<'c> = (&'c str, VarId, &'c str);

/// Returns the expressions that give the strings of var files, by file and name.
pub(crate) fn find_derived(
    checkout: &Checkout,
    library: &Program,
    declarations: &BTreeMap<String, Declaration>,
) -> BTreeMap<(String, String), String> {
    let mut files: BTreeMap<&str, Vec<Candidate<'_>>> = BTreeMap::new();
    for (file, entries) in &checkout.var_files {
        for (name, text) in entries {
            if let Some(id) = candidate(checkout, library, declarations, file, name) {
                files.entry(file).or_default().push((name, id, text));
            }
        }
    }
    // One image for each file, with only the variables that the expressions read.
    let mut spec =
        String::from("provider none { template = \"none\", extra_vars = [], reads = [] }\n");
    let mut disk = Memory::default();
    for (at, (file, candidates)) in files.iter().enumerate() {
        let mut read = serde_json::Map::new();
        for (_, id, _) in candidates {
            for name in references(library, *id) {
                if let Some((_, text)) = checkout
                    .strings_of(file)
                    .iter()
                    .rev()
                    .find(|(n, _)| *n == name)
                {
                    read.insert(name, text.as_str().into());
                }
            }
        }
        let _ = writeln!(spec, "include \"{at}.json\" as layer-{at}");
        let _ = writeln!(
            spec,
            "image image-{at} extends layer-{at} {{ target {{ provider = none }} }}"
        );
        disk.0.insert(
            PathBuf::from(format!("/{at}.json")),
            serde_json::Value::Object(read).to_string(),
        );
    }
    let path = PathBuf::from("/spec.imgspec");
    disk.0.insert(path.clone(), spec);
    let program = load(
        &disk,
        &Request {
            specs: vec![path],
            ..Request::default()
        },
    );
    let images = program
        .specs
        .iter()
        .flatten()
        .flat_map(|file| program.images_of(*file));
    let mut out = BTreeMap::new();
    for ((file, candidates), image) in files.iter().zip(images) {
        let Ok(image) = evaluate(&program, image, None) else {
            continue;
        };
        for (name, id, text) in candidates {
            let variable = library.variable(*id);
            let value = program
                .find_variable(None, name)
                .and_then(|id| image.value(id));
            let Some(value) = value else { continue };
            if encode(value, variable.encoding).known().as_deref() == Some(*text)
                && let Some(default) = &variable.default
            {
                let expression = library.sources.slice(default.span).to_owned();
                out.insert(((*file).to_owned(), (*name).to_owned()), expression);
            }
        }
    }
    out
}

/// Returns the standard library's variable of a name, if its default derives from names that the same file sets.
fn candidate(
    checkout: &Checkout,
    library: &Program,
    declarations: &BTreeMap<String, Declaration>,
    file: &str,
    name: &str,
) -> Option<VarId> {
    let keeps_type = |name: &str| {
        declarations
            .get(name)
            .is_some_and(|d| d.keeps_type && !d.is_undeclared)
    };
    let id = declarations.get(name)?.known.filter(|_| keeps_type(name))?;
    let references = references(library, id);
    let is_set_here = |name: &String| checkout.strings_of(file).iter().any(|(n, _)| n == name);
    (references.iter().any(is_set_here) && references.iter().all(|name| keeps_type(name)))
        .then_some(id)
}

/// Returns the names in a variable's default.
fn references(library: &Program, id: VarId) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(default) = &library.variable(id).default {
        default.for_each_variable(&mut |id| names.push(library.variable(id).name.to_string()));
    }
    names
}
