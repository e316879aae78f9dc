//! `import`: var files as specs have the values that they have as var files.

use super::check::check_diagnostics;
use super::project::{FOLDER, parts};
use imgspec::driver::{Job, finish};
use imgspec::emit::Output;
use imgspec::import::{VarFile, import as import_files};
use imgspec::project::{Edition, Library, Program, Request, load};
use imgspec::source::{Memory, Release, normalize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// An image on which no library value holds, so that only the files' own values show.
const PLAIN: &str = "
provider none { template = \"none\", roles = upstream, extra_vars = [], reads = [] }
image original { target { provider = none } }
";

/// Imports var files. The first byte chooses the release.
pub fn import(data: &[u8]) {
    let [release, rest @ ..] = data else { return };
    let text = &*super::text(rest);
    let releases = Release::all();
    let edition = Edition {
        release: releases[usize::from(*release) % releases.len()],
        ..Edition::default()
    };
    let library = Library::built_in(edition);
    static NOTHING: LazyLock<Memory> = LazyLock::new(Memory::default);
    let of_library = load(&*NOTHING, &request(&library));
    let files: Vec<VarFile> = parts(text)
        .into_iter()
        .map(|(name, text)| VarFile {
            name: name.to_owned(),
            text: text.to_owned(),
            folder: PathBuf::from(FOLDER),
        })
        .collect();
    if files.is_empty() {
        return;
    }
    let Ok(imported) = import_files(&of_library, &files) else {
        return;
    };
    assert_eq!(
        imgspec::syntax::format(&imported.text),
        imported.text,
        "what import writes is not formatted"
    );
    let layers = imported.layers.join(", ");
    let spec = format!(
        "{}{PLAIN}image imported extends original, {layers} {{ }}\n",
        imported.text
    );
    let (ours, errors) = values(&library, &spec, "imported", &[]);
    // Templates are no var files; their variables are.
    let is_template = |file: &VarFile| file.text.contains("\"variables\"");
    let is_spec = !errors.iter().any(|code| code == "syntax");
    assert!(is_spec, "what import writes is not a spec: {spec}");
    if files.iter().any(is_template) {
        return;
    }
    let (theirs, their_errors) = values(&library, PLAIN, "original", &files);
    if !their_errors.is_empty() {
        return;
    }
    assert!(errors.is_empty(), "the spec has errors: {errors:?}\n{spec}");
    for (name, theirs) in &theirs {
        let is_noted = imported
            .notes
            .iter()
            .any(|note| note.contains(&format!("`{name}`")));
        let ours = ours.get(name);
        assert!(
            is_noted || ours == Some(theirs),
            "{name}: {ours:?}, and {theirs:?} as a var file\n{spec}"
        );
    }
}

fn request(library: &Arc<Library>) -> Request {
    Request {
        library: Some(library.clone()),
        ..Request::default()
    }
}

/// The strings that Packer gets, and the codes of the errors.
fn values(
    library: &Arc<Library>,
    spec: &str,
    image: &str,
    var_files: &[VarFile],
) -> (BTreeMap<String, String>, Vec<String>) {
    let folder = Path::new(FOLDER);
    let path = folder.join("spec.imgspec");
    let mut disk = Memory::default();
    disk.0.insert(path.clone(), spec.to_owned());
    let mut request = request(library);
    for (number, file) in var_files.iter().enumerate() {
        let path = normalize(&folder.join(format!("vars-{number}.json")));
        disk.0.insert(path.clone(), file.text.clone());
        request.var_files.push(path);
    }
    request.specs.push(path);
    let program: Program = load(&disk, &request);
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: true,
    };
    let images = super::project::images(&program);
    let images: Vec<_> = images
        .into_iter()
        .filter(|id| program.section(*id).name == image)
        .collect();
    let job = Job {
        loader: &disk,
        program: &program,
        images: &images,
        provider: None,
        output: &output,
    };
    let (images, of_images) = job.compile();
    let found = finish(&program, of_images);
    check_diagnostics(&program, &found);
    let errors = found.iter().filter(|found| found.is_error());
    let errors = errors.map(|found| found.code.as_str().to_owned()).collect();
    let strings = images.into_iter().flat_map(|image| image.packer);
    let strings = strings.map(|(name, text)| (name.into(), text.into()));
    (strings.collect(), errors)
}
