//! `evaluate`: the compiler finds what the model of the language finds.

#[allow(dead_code, reason = "the test of the model uses more of it")]
#[path = "../../../tests/model/mod.rs"]
mod model;

use imgspec::driver::{Job, finish};
use imgspec::emit::{Output, show_value};
use imgspec::eval::evaluate as evaluate_image;
use imgspec::project::{Program, Request, load};
use imgspec::source::Memory;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const ROOT: &str = "/project";

/// Makes a project of bytes. The final values of its variables, and the codes of all diagnostics, are those of the model.
pub fn evaluate(data: &[u8]) {
    let project = model::project(data);
    let expected = project.expected();
    let path = |name: String| Path::new(ROOT).join(name);
    let files = project.files();
    let disk = Memory(
        files
            .iter()
            .map(|(name, text)| (path(name.clone()), text.clone()))
            .collect(),
    );
    let request = Request {
        specs: project.specs().into_iter().map(path).collect(),
        set: project.set(),
        var_files: project.var_files().into_iter().map(path).collect(),
        here: Some(PathBuf::from(ROOT)),
        ..Request::default()
    };
    let program = load(&disk, &request);
    let specs = program.specs.iter().flatten();
    let images: Vec<_> = specs.flat_map(|file| program.images_of(*file)).collect();
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: false,
    };
    let job = Job {
        loader: &disk,
        program: &program,
        images: &images,
        provider: None,
        output: &output,
    };
    let found = finish(&program, job.check());
    let codes: BTreeSet<&str> = found.iter().map(|found| found.code.as_str()).collect();
    let wanted: BTreeSet<&str> = expected.codes.iter().map(AsRef::as_ref).collect();
    let is_possible = |code: &&str| wanted.contains(code) || expected.possible.contains(*code);
    assert!(
        wanted.is_subset(&codes) && codes.iter().all(is_possible),
        "expected {wanted:?}, found {codes:?}\n{found:#?}\n{files:#?}"
    );
    let mut found: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for id in images {
        if let Ok(image) = evaluate_image(&program, id, None) {
            let own = own_values(&program, &image);
            found.insert(image.name().to_owned(), own);
        }
    }
    for (image, expected) in &expected.images {
        let mut found = found.remove(image).unwrap_or_default();
        // A value that an error takes away is nothing that anybody relies on.
        found.retain(|name, _| !expected.broken.contains(name));
        let mut wanted = expected.values.clone();
        wanted.retain(|name, _| !expected.broken.contains(name));
        assert_eq!(found, wanted, "values of {image}\n{files:#?}");
    }
}

/// The values of the project's own variables, whose names begin with `m_`.
fn own_values(program: &Program, image: &imgspec::eval::Image<'_>) -> BTreeMap<String, Value> {
    let ids = image.ids().iter();
    let values =
        ids.filter_map(|id| Some((program.variable(*id).name.to_string(), image.value(*id)?)));
    values
        .filter(|(name, _)| name.starts_with("m_"))
        .map(|(name, value)| (name, show_value(value)))
        .collect()
}
