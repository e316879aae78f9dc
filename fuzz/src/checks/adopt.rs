//! `adopt`: any checkout becomes a library that compiles.

use super::check::check_diagnostics;
use super::project::parts;
use imgspec::diagnostic::{Code, Diagnostic};
use imgspec::driver::{Job, finish};
use imgspec::emit::Output;
use imgspec::import::{Checkout, adopt as adopt_checkout};
use imgspec::project::{Adopted, Library, Request, load};
use imgspec::source::{Memory, Release, normalize};
use imgspec::syntax;
use imgspec::workspace::{USER_FILE, read_recipes};
use std::path::{Path, PathBuf};

const ROOT: &str = "/checkout";

/// The most images of a library that are evaluated, so that a run stays short.
const MOST_IMAGES: usize = 4;

/// Adopts a checkout. The parts `help`, `database` and `trace` are what make prints; `USER` in them is the user's var
/// file. The others are files.
pub fn adopt(data: &[u8]) {
    let text = &*super::text(data);
    let user_file = format!("{ROOT}/{USER_FILE}");
    let (mut help, mut database, mut trace) = ("", String::new(), String::new());
    let mut files = Memory::default();
    for (name, text) in parts(text) {
        match name {
            "help" => help = text,
            "database" => database = text.replace("USER", &user_file),
            "trace" => trace = text.replace("USER", &user_file),
            _ => {
                let path = normalize(&Path::new(ROOT).join(name));
                files.0.insert(path, text.to_owned());
            }
        }
    }
    let recipes = read_recipes(help, &database, &trace);
    let others: Vec<String> = files
        .0
        .keys()
        .filter_map(|path| path.strip_prefix(ROOT).ok()?.to_str())
        .filter(|path| path.ends_with(".json"))
        .map(str::to_owned)
        .collect();
    let checkout = Checkout::read(&files, Path::new(ROOT), &recipes, USER_FILE, &others);
    // `imgspec adopt` refuses a checkout of which it can read no target.
    if checkout.targets.is_empty() {
        return;
    }
    let release = Release::default();
    let written = adopt_checkout(&checkout, Some(release));
    for (path, text) in &written {
        if path
            .extension()
            .is_some_and(|extension| extension == "imgspec")
        {
            assert_eq!(
                syntax::format(text),
                *text,
                "{} is not formatted",
                path.display()
            );
        }
    }
    let library = Library::adopted(Adopted {
        root: PathBuf::from("adopted"),
        checkout: Some(PathBuf::from(ROOT)),
        release,
        files: written.clone(),
        origins: Vec::new(),
        digest: None,
    });
    let program = load(
        &files,
        &Request {
            library: Some(library),
            ..Request::default()
        },
    );
    // A checkout may name variables that nothing declares; Packer refuses it, too.
    let is_fault = |found: &&Diagnostic| found.is_error() && found.code != Code::UnknownReference;
    if let Some(found) = program.diagnostics.iter().find(is_fault) {
        let source = program.sources.get(found.primary.span.file);
        panic!(
            "the library has an error: {found:#?}\n{}:\n{}",
            source.path.display(),
            source.text
        );
    }
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: false,
    };
    let mut images = program.library_images();
    images.truncate(MOST_IMAGES);
    let job = Job {
        loader: &files,
        program: &program,
        images: &images,
        provider: None,
        output: &output,
    };
    let found = finish(&program, job.check());
    check_diagnostics(&program, &found);
}
