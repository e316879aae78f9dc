//! `imgspec init`

use crate::cli::import::read_var_files;
use crate::cli::place::OUT;
use crate::cli::select::{include_roots, unknown_image};
use crate::cli::{Cli, Failure, print, print_aside};
use crate::diagnostic::{Code, Diagnostic};
use crate::driver::compile;
use crate::emit::Output;
use crate::eval::evaluate;
use crate::import::{import, spell_value};
use crate::project::hir::{SectionId, Target, Variable};
use crate::project::{CONFIG_FILE, Edition, Library, LibraryChoice, Program, Request, load};
use crate::schema::Roles;
use crate::source::embedded::STDLIB;
use crate::source::{Disk, FileId, Loader, Memory, Release, Span, normalize, visible_line};
use crate::syntax::ast::Ident;
use crate::syntax::{format, parse, print_text};
use crate::workspace;
use clap::{Args, ValueEnum};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The target of a project for which the user names none: it needs no hypervisor.
const TARGET: &str = "rootfs-debian-12";

/// The spec of a new project.
const SPEC: &str = "images.imgspec";

/// The folder of the compiled files that are committed, for a CI system to compare.
const COMPILED: &str = "compiled";

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Targets, an image each; `imgspec list --targets` lists them [default: rootfs-debian-12]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Take the settings from a JSON var file. Repeat it for more files, weakest first, as in PACKER_VAR_FILES
    #[arg(long = "from", value_name = "FILE.json")]
    from: Vec<PathBuf>,
    /// Also write the configuration of a CI system that checks the project
    #[arg(long, value_enum, value_name = "SYSTEM")]
    ci: Option<Ci>,
    /// The project's folder [default: the current folder]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// A CI system.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ci {
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
}

/// A setting that a new image may contain.
struct Starter {
    /// The comment above it, with its `#`; empty if it belongs to the one before.
    comment: String,
    name: &'static str,
    /// A value that differs from the default, to find out whether the setting has an effect.
    example: Option<&'static str>,
}

/// A setting of a new image: the comment above it, and its text.
#[derive(PartialEq, Eq)]
struct Line {
    comment: String,
    setting: String,
}

pub(super) fn run(cli: &Cli, args: &Init) -> Result<bool, Failure> {
    let folder = normalize(&cli.here.join(args.out.as_deref().unwrap_or(Path::new(""))));
    let library = library(cli)?;
    let checkout = library.checkout().map(Path::to_owned);
    let request = Request {
        library: Some(Library::of(library)),
        include_roots: include_roots(cli),
        ..Request::default()
    };
    let program = load(&Disk, &request);
    let targets = find_targets(&program, &args.targets)?;
    let var_files = read_var_files(cli, &args.from, checkout.as_deref())?;
    let (mut layers, mut notes, mut spec) = Default::default();
    if !var_files.is_empty() {
        match import(&program, &var_files) {
            Ok(imported) => {
                spec = chain_layers(&imported.text);
                layers = imported.layers;
                notes = imported.notes;
            }
            Err(message) => {
                print_aside(&format!("error: {message}\n"));
                return Ok(false);
            }
        }
    }
    let lines = if var_files.is_empty() {
        starters_of(&program, &request, &targets)
    } else {
        targets.iter().map(|_| Vec::new()).collect()
    };
    let images = write_images(&program, &targets, layers, lines, &mut spec);

    let config = write_config(cli, &program, args.out.is_some());
    let mut files = vec![
        (PathBuf::from(CONFIG_FILE), config),
        (PathBuf::from(SPEC), spec),
    ];
    // Git already ignores the output folder itself, so an existing file may stay as it is.
    if !Disk.exists(&folder.join(".gitignore")) {
        let text = format!("# imgspec writes its output there.\n/{OUT}\n");
        files.push((".gitignore".into(), text));
    }
    files.extend(args.ci.map(|ci| (ci.path().into(), ci.text())));
    let shown = |file: &Path| match &args.out {
        Some(out) => out.join(file).display().to_string(),
        None => file.display().to_string(),
    };
    let taken: Vec<String> = files
        .iter()
        .filter(|(file, _)| Disk.exists(&folder.join(file)))
        .map(|(file, _)| shown(file))
        .collect();
    if !taken.is_empty() {
        let verb = if taken.len() == 1 { "exists" } else { "exist" };
        return Err(Failure(format!(
            "{} {verb} already; nothing was written",
            taken.join(", ")
        )));
    }
    workspace::create(&folder, &files).map_err(|(path, error)| {
        let name = shown(path.strip_prefix(&folder).unwrap_or(&path));
        Failure(format!("cannot write {name}: {error}; nothing was written"))
    })?;

    for note in &notes {
        print_aside(&format!("warning: {note}\n"));
    }
    let mut out: String = files
        .iter()
        .map(|(file, _)| format!("{}\n", shown(file)))
        .collect();
    let place = match &args.out {
        Some(folder) => format!(" in {}", folder.display()),
        None => String::new(),
    };
    let second = match args.ci {
        Some(_) => format!("imgspec compile --portable --out {COMPILED}"),
        None => {
            let image = images.first().map_or("", String::as_str);
            let verb = if can_build(&program, &targets) {
                "build"
            } else {
                "compile"
            };
            format!("imgspec {verb} {image}")
        }
    };
    let _ = writeln!(out, "\nNext{place}:\n  imgspec check\n  {second}");
    print(&out)?;
    Ok(true)
}

/// True if `build` has a template for the first target: its own one, or that of a checkout.
fn can_build(program: &Program, targets: &[SectionId]) -> bool {
    let target = targets
        .first()
        .and_then(|id| program.section(*id).target.as_ref());
    let is_ours = |t: &Target| program.provider(t.provider).roles == Roles::Native;
    program.checkout.is_some() || target.is_some_and(is_ours)
}

/// Returns the targets with these names, or the default one.
///
/// # Errors
/// For the first name that is not a target, or that nothing can be built with.
fn find_targets(program: &Program, names: &[String]) -> Result<Vec<SectionId>, Failure> {
    let is_target = |id: &SectionId| program.section(*id).target.is_some();
    let find = |name: &str| program.find_library_section(name).filter(is_target);
    if names.is_empty() {
        // A library that comes from a checkout does not have it.
        let found = find(TARGET).map(|id| vec![id]);
        return found.ok_or_else(|| Failure(format!("name a target: {}", first_names(program))));
    }
    let mut targets: Vec<SectionId> = Vec::new();
    for name in names {
        // The make target `build-x` builds the target `x`.
        let found = find(name).or_else(|| find(name.strip_prefix("build-")?));
        let Some(id) = found else {
            return Err(unknown_image(program, name, "target", "list --targets"));
        };
        if let Some(reason) = program.refusal(id) {
            return Err(Failure(format!("cannot build `{name}`: {reason}")));
        }
        if !targets.contains(&id) {
            targets.push(id);
        }
    }
    Ok(targets)
}

/// Returns the names of the first targets, and how many more there are.
fn first_names(program: &Program) -> String {
    let all = program.library_images();
    let first = all
        .iter()
        .take(3)
        .map(|id| format!("`{}`", program.section(*id).name));
    let mut out = first.collect::<Vec<_>>().join(", ");
    if let Some(more) = all.len().checked_sub(3).filter(|more| *more > 0) {
        let _ = write!(out, ", or one of {more} more (`imgspec list --targets`)");
    }
    out
}

/// Returns the settings of `stdlib/init.txt`. A block begins with its comment, and an empty line ends it.
fn starters() -> Vec<Starter> {
    let text = STDLIB.get_file("init.txt").and_then(|f| f.contents_utf8());
    let mut out = Vec::new();
    let mut comment = String::new();
    for line in text.unwrap_or_default().lines() {
        if line.starts_with('#') {
            comment.push_str(line);
            comment.push('\n');
        } else if line.is_empty() {
            comment.clear();
        } else {
            let (name, example) = match line.split_once(" = ") {
                Some((name, example)) => (name, Some(example)),
                None => (line, None),
            };
            out.push(Starter {
                comment: comment.clone(),
                name,
                example,
            });
        }
    }
    out
}

/// Returns for each target the settings that have an effect on it, with the values that they have there.
fn starters_of(program: &Program, request: &Request, targets: &[SectionId]) -> Vec<Vec<Line>> {
    let starters = starters();
    // An image for each target and setting shows whether the setting is good there.
    let mut text = String::new();
    let mut trials = Vec::new();
    for (number, id) in targets.iter().enumerate() {
        let Ok(image) = evaluate(program, *id, None) else {
            continue;
        };
        for starter in &starters {
            let Some(variable) = program.find_variable(None, starter.name) else {
                continue;
            };
            let value = image.value(variable).map(spell_value);
            let is_empty = value.as_deref().is_none_or(|v| v == "\"\"" || v == "[]");
            let Some(tried) = starter.example.or(value.as_deref()) else {
                continue;
            };
            let empty = if tried.starts_with('[') { "[]" } else { "\"\"" };
            let value = value.as_deref().filter(|_| !is_empty).unwrap_or(empty);
            let _ = writeln!(
                text,
                "image trial-{} extends {} {{",
                trials.len(),
                program.section(*id).name
            );
            let from = text.len();
            let _ = writeln!(text, "{} = {tried}", starter.name);
            trials.push((number, starter, value.to_owned(), from..text.len()));
            text.push_str("}\n");
        }
    }
    let path = PathBuf::from("/trial.imgspec");
    let request = Request {
        specs: vec![path.clone()],
        library: request.library.clone(),
        ..Request::default()
    };
    let loader = Memory([(path, text)].into());
    let trial = load(&loader, &request);
    let file = trial.specs.first().copied().flatten();
    let images = file.map(|file| trial.images_of(file)).unwrap_or_default();
    let mut found = diagnose(&trial, &images);
    found.extend(trial.diagnostics.iter().cloned());

    let mut lines: Vec<Vec<Line>> = targets.iter().map(|id| required_of(program, *id)).collect();
    for (number, starter, value, range) in trials {
        let is_here =
            |span: Span| Some(span.file) == file && range.contains(&(span.start as usize));
        // A rule may forbid the example, which is not the value that is written.
        let is_about = |d: &Diagnostic| d.code != Code::RuleViolated && is_here(d.primary.span);
        if found.iter().any(is_about) {
            continue;
        }
        if let Some(lines) = lines.get_mut(number) {
            lines.push(Line {
                comment: starter.comment.clone(),
                setting: format!("{} = {value}", starter.name),
            });
        }
    }
    lines
}

/// Returns the settings that a target requires and does not have. A secret comes from an environment variable. The user has
/// to write the other values.
fn required_of(program: &Program, target: SectionId) -> Vec<Line> {
    let found = diagnose(program, &[target]);
    let is_required = |name: &str| {
        let quoted = format!("`{name}`");
        found
            .iter()
            .any(|d| d.code == Code::Required && d.message.contains(&quoted))
    };
    let required = program.variables.iter().filter(|v| is_required(&v.name));
    let (secret, open): (Vec<&Variable>, Vec<&Variable>) = required.partition(|v| v.is_secret);
    let open = open.into_iter().map(|variable| Line {
        comment:
            "# The target requires values for these variables. Write them, and remove the `#`.\n"
                .to_owned(),
        setting: format!("# {} = ", variable.name),
    });
    let secret = secret.into_iter().map(|variable| Line {
        comment: "# Secrets come from environment variables of the build.\n".to_owned(),
        setting: format!(
            "{} = env({})",
            variable.name,
            print_text(&variable.name.to_uppercase())
        ),
    });
    open.chain(secret).collect()
}

/// Returns the diagnostics of images.
fn diagnose(program: &Program, images: &[SectionId]) -> Vec<Diagnostic> {
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: true,
    };
    compile(&Memory::default(), program, images, None, &output).diagnostics
}

/// Makes each layer of a spec extend the one before it, so that it may set other values. Var files need no permission for
/// that, but two layers of one image would get a warning.
fn chain_layers(text: &str) -> String {
    let mut out = text.to_owned();
    let parsed = parse(FileId(0), text).file;
    let layers: Vec<&Ident> = parsed
        .items
        .iter()
        .filter_map(|item| Some(&item.section()?.name))
        .collect();
    for (before, layer) in layers.iter().zip(layers.iter().skip(1)).rev() {
        out.insert_str(
            layer.span.end as usize,
            &format!(" extends {}", before.text),
        );
    }
    out
}

/// Writes the images of targets, and a layer with what all of them share. `layers` are those that `spec` has already; each
/// extends the one before it. Returns the images' names.
fn write_images(
    program: &Program,
    targets: &[SectionId],
    layers: Vec<String>,
    mut lines: Vec<Vec<Line>>,
    spec: &mut String,
) -> Vec<String> {
    let mut parent = layers.last().cloned();
    let mut taken = layers;
    let mut choose = |name: String| {
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let is_free =
            |name: &String| !taken.contains(name) && program.find_library_section(name).is_none();
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let free = names.find(is_free).unwrap_or_default();
        taken.push(free.clone());
        free
    };
    spec.insert_str(
        0,
        "# An image extends a target of Image Builder. Its name is yours to choose. `imgspec show IMAGE` prints all values.\n\n",
    );
    let shared = take_shared(&mut lines);
    if !shared.is_empty() {
        let name = choose("common".to_owned());
        let _ = writeln!(
            spec,
            "## What all images of this project share.\nlayer {name} {{\n{}}}",
            body(&shared)
        );
        parent = Some(name);
    }
    let mut images = Vec::new();
    for (id, lines) in targets.iter().zip(&lines) {
        let target = program.section(*id);
        let name = choose(format!("my-{}", target.name));
        spec.push('\n');
        if let Some(line) = target.doc.as_deref().and_then(|doc| doc.lines().next()) {
            let _ = writeln!(spec, "## {}", visible_line(line));
        }
        let parent = parent.iter().map(|layer| format!(", {layer}"));
        let _ = writeln!(
            spec,
            "image {name} extends {}{} {{\n{}}}",
            target.name,
            parent.collect::<String>(),
            body(lines)
        );
        images.push(name);
    }
    *spec = format(spec);
    images
}

/// Removes the settings that all of several images have, and returns them.
fn take_shared(lines: &mut [Vec<Line>]) -> Vec<Line> {
    let Some((first, others)) = lines.split_first_mut() else {
        return Vec::new();
    };
    if others.is_empty() {
        return Vec::new();
    }
    let is_shared = |line: &Line| others.iter().all(|lines| lines.contains(line));
    let (shared, own): (Vec<Line>, Vec<Line>) =
        std::mem::take(first).into_iter().partition(is_shared);
    *first = own;
    for lines in others {
        lines.retain(|line| !shared.contains(line));
    }
    shared
}

/// Returns the body of an item: the settings, with an empty line before each comment.
fn body(lines: &[Line]) -> String {
    let mut out = String::new();
    let mut comment = "";
    for line in lines {
        if line.comment != comment {
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = write!(out, "{gap}{}", line.comment);
            comment = &line.comment;
        }
        let _ = writeln!(out, "{}", line.setting);
    }
    out
}

/// Returns the library of the new project: the checkout of `--in`, or a release, the newest unless `--release` names one.
/// The project around the current folder has no say.
///
/// # Errors
/// If the checkout cannot be read.
fn library(cli: &Cli) -> Result<LibraryChoice, Failure> {
    if let Some(checkout) = &cli.checkout {
        let adopted = workspace::adopt_checkout(&cli.here.join(checkout));
        return adopted.map(LibraryChoice::Adopted).map_err(Failure);
    }
    Ok(LibraryChoice::BuiltIn(Edition {
        release: cli.release.unwrap_or(Release::newest()),
        roles: cli.roles.unwrap_or_default(),
    }))
}

/// Returns the text of the project's `imgspec.toml`. In another folder, the path of a checkout is an absolute one.
fn write_config(cli: &Cli, program: &Program, is_elsewhere: bool) -> String {
    let Some(checkout) = &cli.checkout else {
        let edition = program.edition;
        let mut text = format!(
            "# The release of Image Builder whose variables and targets the specs use; `imgspec releases` lists all.\n\
             release = \"{}\"\n",
            edition.release
        );
        if edition.roles == Roles::Upstream {
            text.push_str("# The output is for Image Builder's own templates and roles.\nroles = \"upstream\"\n");
        }
        return text;
    };
    let path = if is_elsewhere {
        normalize(&cli.here.join(checkout))
    } else {
        checkout.clone()
    };
    format!(
        "# The Image Builder checkout whose variables and targets the specs use.\ncheckout = {}\n",
        print_text(&path.display().to_string())
    )
}

impl Ci {
    fn path(self) -> &'static str {
        match self {
            Ci::Github => ".github/workflows/imgspec.yml",
            Ci::Gitlab => ".gitlab-ci.yml",
        }
    }

    fn text(self) -> String {
        let (repository, version) = (env!("CARGO_PKG_REPOSITORY"), env!("CARGO_PKG_VERSION"));
        let archive = format!(
            "{repository}/releases/download/v{version}/imgspec-v{version}-x86_64-linux.tar.gz"
        );
        let unpack =
            format!("tar -xzf - -C /usr/local/bin --strip-components=1 imgspec-v{version}/imgspec");
        let check = format!("imgspec compile --check --portable --out {COMPILED}");
        let about = format!(
            "# Checks the specs, and that the files in {COMPILED}/ are those that the specs compile to. To write them:\n\
             # imgspec compile --portable --out {COMPILED}\n"
        );
        match self {
            Ci::Github => format!(
                "{about}name: imgspec\n\
                 \n\
                 on:\n\
                 \x20 push:\n\
                 \x20 pull_request:\n\
                 \n\
                 permissions:\n\
                 \x20 contents: read\n\
                 \n\
                 jobs:\n\
                 \x20 check:\n\
                 \x20   runs-on: ubuntu-latest\n\
                 \x20   steps:\n\
                 \x20     - uses: actions/checkout@v4\n\
                 \x20       with:\n\
                 \x20         persist-credentials: false\n\
                 \x20     - name: Install imgspec\n\
                 \x20       run: >-\n\
                 \x20         curl -fsSL {archive} |\n\
                 \x20         sudo {unpack}\n\
                 \x20     - run: imgspec check\n\
                 \x20     - run: {check}\n"
            ),
            Ci::Gitlab => format!(
                "{about}imgspec:\n\
                 \x20 image: debian:12\n\
                 \x20 before_script:\n\
                 \x20   - apt-get update && apt-get install --yes --no-install-recommends ca-certificates curl\n\
                 \x20   - >-\n\
                 \x20     curl -fsSL {archive} |\n\
                 \x20     {unpack}\n\
                 \x20 script:\n\
                 \x20   - imgspec check\n\
                 \x20   - {check}\n"
            ),
        }
    }
}
