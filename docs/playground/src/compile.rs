//! What the page asks, and what it is told.

use imgspec::diagnostic::{Diagnostic, render_plain};
use imgspec::driver::{Job, conclude};
use imgspec::emit::Output;
use imgspec::project::{CONFIG_FILE, Edition, Library, Program, Request, load};
use imgspec::schema::Roles;
use imgspec::source::{FileId, Memory, Release};
use imgspec::syntax::{format, parse};
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::slice;

static EXAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../examples");

/// The folder of the page's project, which no disk has.
const PROJECT: &str = "/playground";

/// The name of the text on the page.
const SPEC: &str = "playground.imgspec";

/// What the page asks.
#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
enum Question {
    /// What there is to choose from.
    About,
    /// What a text comes to.
    Compile {
        spec: String,
        /// The release of Image Builder; without one, that of a project that names none.
        release: Option<String>,
        /// The image whose files are wanted; the first without one.
        image: Option<String>,
    },
}

/// What there is to choose from.
#[derive(Serialize)]
struct About {
    version: &'static str,
    /// The newest is the last.
    releases: Vec<&'static str>,
    /// The release of a project that names none.
    release: &'static str,
    /// Specs of `examples/`.
    examples: Vec<File>,
    /// The other files of `examples/`, which are in the page's project, so that a spec can name them.
    beside: Vec<File>,
}

/// A name below `examples/`, and a text.
#[derive(Serialize)]
struct File {
    name: &'static str,
    text: &'static str,
}

/// What a text comes to.
#[derive(Serialize)]
struct Answer {
    /// In the order in which `imgspec check` prints them.
    diagnostics: Vec<Found>,
    /// What `imgspec fmt` makes of the text, if it can be parsed.
    formatted: Option<String>,
    /// The names of all images; none where there is an error.
    images: Vec<String>,
    /// The image whose files these are.
    image: Option<String>,
    /// The names and texts of what `imgspec compile --portable` writes for Packer and Ansible.
    files: Vec<(&'static str, String)>,
}

/// A diagnostic.
#[derive(Serialize)]
struct Found {
    severity: String,
    code: &'static str,
    message: String,
    /// Where in the text of the page it is; none for a place in another file.
    place: Option<Place>,
    /// What `imgspec check` prints.
    text: String,
}

/// A range in a text. Lines and columns start at 1; columns count characters.
#[derive(Serialize)]
struct Place {
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

/// Answers a question, both of them JSON.
pub(crate) fn answer(question: &[u8]) -> String {
    let answer = serde_json::from_slice(question).and_then(|question| match question {
        Question::About => serde_json::to_string(&about()),
        Question::Compile {
            spec,
            release,
            image,
        } => serde_json::to_string(&compile(spec, release.as_deref(), image.as_deref())),
    });
    answer.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
}

fn about() -> About {
    let (examples, beside) = files_of(&EXAMPLES)
        .into_iter()
        .partition(|file| is_spec(Path::new(file.name)) && !file.name.contains('/'));
    About {
        version: imgspec::VERSION,
        releases: Release::all().into_iter().map(Release::name).collect(),
        release: Release::default().name(),
        examples,
        beside,
    }
}

fn files_of(folder: &'static Dir<'_>) -> Vec<File> {
    let own = folder.files().filter_map(|file| {
        Some(File {
            name: file.path().to_str()?,
            text: file.contents_utf8()?,
        })
    });
    own.chain(folder.dirs().flat_map(files_of)).collect()
}

fn is_spec(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "imgspec")
}

fn compile(spec: String, release: Option<&str>, image: Option<&str>) -> Answer {
    let root = Path::new(PROJECT);
    let path = root.join(SPEC);
    let formatted = formatted(&spec);
    let mut disk = Memory::default();
    for file in about().beside {
        disk.0.insert(root.join(file.name), file.text.to_owned());
    }
    let release = release.and_then(Release::find);
    let release = release.unwrap_or_default();
    let config = format!("release = \"{release}\"\n");
    disk.0.insert(root.join(CONFIG_FILE), config);
    disk.0.insert(path.clone(), spec);
    let mut program = load(&disk, &request(&disk, release));
    program.sources.set_base(root.to_owned());
    program.is_whole = true;
    let output = Output {
        dir: root.join("build"),
        portable: true,
    };
    let images: Vec<_> = program.own_images().collect();
    let names = images
        .iter()
        .map(|id| program.section(*id).name.to_string());
    let names: Vec<String> = names.collect();
    let image = names
        .iter()
        .find(|name| image == Some(name))
        .or(names.first())
        .cloned();
    let job = Job {
        loader: &disk,
        program: &program,
        images: &images,
        provider: None,
        output: &output,
    };
    let (made, found) =
        job.render_each(|made| (Some(&made.image) == image.as_ref()).then_some(made.files));
    let found = conclude(&program, found, true).shown;
    let is_fine = !found.iter().any(Diagnostic::is_error);
    let diagnostics = found.iter().map(|found| show(&program, &path, found));
    let files = made.into_iter().flatten().flatten();
    let files = files.filter(|(name, _)| is_fine && name.ends_with(".vars.json"));
    Answer {
        diagnostics: diagnostics.collect(),
        formatted,
        files: files.collect(),
        images: if is_fine { names } else { Vec::new() },
        image: image.filter(|_| is_fine),
    }
}

/// All specs of the project, as `imgspec check` reads them.
fn request(disk: &Memory, release: Release) -> Request {
    let edition = Edition {
        release,
        roles: Roles::Native,
    };
    Request {
        specs: disk
            .0
            .keys()
            .filter(|path| is_spec(path))
            .cloned()
            .collect(),
        library: Some(Library::built_in(edition)),
        here: Some(PathBuf::from(PROJECT)),
        ..Request::default()
    }
}

fn formatted(text: &str) -> Option<String> {
    let parsed = parse(FileId(0), text);
    let is_damaged = parsed.diagnostics.iter().any(Diagnostic::is_error);
    (!is_damaged).then(|| format(text))
}

fn show(program: &Program, path: &Path, found: &Diagnostic) -> Found {
    let span = found.primary.span;
    let sources = &program.sources;
    let start = sources.position(span.file, span.start);
    let end = sources.position(span.file, span.end);
    let place = Place {
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
    };
    Found {
        severity: found.severity.to_string(),
        code: found.code.as_str(),
        message: found.message.clone(),
        place: (sources.get(span.file).path == path).then_some(place),
        text: render_plain(slice::from_ref(found), sources),
    }
}
