//! Finding the images, files and folders that a command's arguments name.

use crate::cli::place::shown;
use crate::cli::sandbox::confine_to_request;
use crate::cli::{Cli, Failure, Selection};
use crate::diagnostic::{Code, Diagnostic, suggest_image};
use crate::project::hir::{LayerKind, ProviderId, SectionId};
use crate::project::{
    CONFIG_FILE, Config, LibraryChoice, Program, Request, find_root, load, unknown_release_help,
};
use crate::schema::Roles;
use crate::source::{Disk, FileId, Loader, Origin, Release, normalize};
use crate::workspace::{self, Wanted};
use globset::Glob;
use rustc_hash::{FxHashMap, FxHashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A loaded program and the images that a command works on.
pub(super) struct Selected {
    pub program: Program,
    pub images: Vec<SectionId>,
    pub provider: Option<ProviderId>,
    /// Arguments that name neither an image nor a path: names of variables, or mistakes.
    pub others: Vec<String>,
    /// JSON var files of the environment and of the arguments, weakest first.
    pub json: Vec<PathBuf>,
    /// Whether the arguments name only var files.
    pub is_json_alone: bool,
    /// Whether these are all images of the files, as the files and `imgspec.toml` define them.
    is_usual: bool,
    /// Diagnostics about the selection itself.
    pub diagnostics: Vec<Diagnostic>,
    /// What the arguments name, to read it again.
    pub wish: Wish,
}

/// What the arguments of a command name.
#[derive(Clone)]
pub(super) struct Wish {
    request: Request,
    names: Vec<String>,
    paths: Vec<PathBuf>,
    has_paths: bool,
    has_inputs: bool,
    is_json_alone: bool,
    provider: Option<String>,
}

/// The keys of an `imgspec.toml` that choose the library.
type LibraryKeys = (
    Option<Release>,
    Option<Roles>,
    Option<PathBuf>,
    Option<PathBuf>,
);

impl Wish {
    /// Returns the folders whose specs the command reads: those that the arguments name, or the project around the current one.
    pub(super) fn folders(&self, cli: &Cli) -> Vec<PathBuf> {
        let folders = self.paths.iter().filter(|path| Disk.is_dir(path));
        if self.has_paths || self.is_json_alone {
            return folders.cloned().collect();
        }
        vec![workspace::project_root(&cli.here)]
    }

    /// Returns what the `imgspec.toml` of the project says about the library.
    pub(super) fn library(&self, cli: &Cli) -> LibraryKeys {
        let first = self.paths.first().or(self.request.var_files.first());
        let folder = match first {
            Some(path) if Disk.is_dir(path) => path,
            Some(path) => path.parent().unwrap_or(&cli.here),
            None => &cli.here,
        };
        let config = workspace::read_config(folder).1;
        (
            config.release,
            config.roles,
            config.library,
            config.checkout,
        )
    }
}

/// Loads the program that the arguments name, and finds its images.
///
/// # Errors
/// If an argument names a missing or unsuitable path or a refused target, a folder cannot be read, or the library
/// cannot be loaded.
pub(super) fn select(cli: &Cli, selection: &Selection) -> Result<Selected, Failure> {
    let wish = read_arguments(cli, selection)?;
    confine_to_request(cli, &wish.request)?;
    load_selected(cli, wish, &Disk)
}

/// What the names and paths among the arguments are.
struct Named {
    specs: Vec<PathBuf>,
    names: Vec<String>,
    paths: Vec<PathBuf>,
    /// JSON var files, which are layers above those of `PACKER_VAR_FILES`.
    json: Vec<PathBuf>,
    has_paths: bool,
}

/// Finds what the names and paths among the arguments are.
///
/// # Errors
/// If an argument names a missing or unsuitable path, or a folder cannot be read.
fn find_named(cli: &Cli, selection: &Selection) -> Result<Named, Failure> {
    let mut specs = Vec::new();
    let mut names = Vec::new();
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut json: Vec<PathBuf> = Vec::new();
    let mut has_paths = false;
    for input in &selection.inputs {
        let path = normalize(&cli.here.join(input));
        if path.is_dir()
            && (input.contains(['/', '.']) || !is_item_name(input) || contains_specs(&path))
        {
            has_paths = true;
            collect_folder(&path, input, &mut specs)?;
            paths.push(path);
        } else if is_named_file(&path, input) && path.extension().is_some_and(|e| e == "json") {
            json.push(path);
        } else if let Some(other) = other_format(&path).filter(|_| is_named_file(&path, input)) {
            return Err(not_a_var_file(input, other));
        } else if is_named_file(&path, input) {
            has_paths = true;
            paths.push(path.clone());
            specs.push(path);
        } else if input.ends_with(".imgspec") || input.contains('/') {
            return Err(nothing_named(input));
        } else {
            names.push(input.clone());
        }
    }
    // Var files alone are checked without specs. With the name of an image they are layers of that image.
    if !has_paths && (json.is_empty() || !names.is_empty()) {
        collect_project(&cli.here, &mut specs)?;
    }
    specs.sort();
    specs.dedup();
    Ok(Named {
        specs,
        names,
        paths,
        json,
        has_paths,
    })
}

/// Finds anew what the arguments name, with the library that an earlier command has read.
///
/// # Errors
/// As [`select`].
pub(super) fn select_again(
    cli: &Cli,
    selection: &Selection,
    earlier: &Wish,
) -> Result<Selected, Failure> {
    let named = find_named(cli, selection)?;
    let adopted = earlier.request.library.as_ref();
    let adopted = adopted.and_then(|library| library.adopted.as_deref());
    let folder = adopted.filter(|adopted| adopted.checkout.is_none());
    let is_of_library = |spec: &PathBuf| folder.is_some_and(|of| spec.starts_with(&of.root));
    let mut wish = earlier.clone();
    wish.request.specs = named.specs;
    wish.request.specs.retain(|spec| !is_of_library(spec));
    load_selected(cli, wish, &Disk)
}

/// Finds what the arguments name, and reads the library.
fn read_arguments(cli: &Cli, selection: &Selection) -> Result<Wish, Failure> {
    let Named {
        mut specs,
        names,
        paths,
        json,
        has_paths,
    } = find_named(cli, selection)?;
    let is_json_alone = !has_paths && names.is_empty() && !json.is_empty();
    let places: Vec<&PathBuf> = if is_json_alone {
        json.iter().collect()
    } else {
        paths.iter().collect()
    };
    let library = library(cli, places.first().map(|path| path.as_path()))?;
    // The library's own files do not belong to the project.
    let folder = library.folder();
    specs.retain(|spec| {
        folder
            .as_ref()
            .is_none_or(|folder| !spec.starts_with(folder))
    });
    let packer_folder = library.checkout().map(Path::to_owned);
    let library = Some(workspace::library(library));
    if let Some(root) = cli
        .include_roots
        .iter()
        .find(|root| !cli.here.join(root).is_dir())
    {
        return Err(Failure(format!(
            "`--include-root` names {}, which is not a folder",
            root.display()
        )));
    }
    let var_files = var_files(&cli.here)?.into_iter().chain(json);
    let (flags, flag_files) = match &packer_folder {
        Some(folder) => packer_flags(folder)?,
        None => Default::default(),
    };
    let request = Request {
        library,
        specs,
        set: selection.set.clone(),
        var_files: var_files.collect(),
        policies: policies(cli)?,
        as_of: cli.as_of,
        include_roots: include_roots(cli),
        flags,
        flag_files,
        packer_folder,
        here: Some(cli.here.clone()),
    };
    Ok(Wish {
        request,
        names,
        paths,
        has_paths,
        has_inputs: !selection.inputs.is_empty(),
        is_json_alone,
        provider: selection.provider.clone(),
    })
}

/// Loads the program through a loader, and finds its images.
///
/// # Errors
/// If an argument names a refused target or an unknown provider.
pub(super) fn load_selected(
    cli: &Cli,
    wish: Wish,
    loader: &dyn Loader,
) -> Result<Selected, Failure> {
    let Wish {
        request,
        names,
        paths,
        has_paths,
        has_inputs,
        is_json_alone,
        provider,
    } = wish.clone();
    let has_names = !names.is_empty();
    let mut program = load(loader, &request);
    program.sources.set_base(cli.here.clone());
    if cli.release.is_none() && cli.checkout.is_none() {
        expect_one_release(&program)?;
    }
    program.root = Some(workspace::project_root(&cli.here));
    program.is_whole = !has_inputs;
    let mut images = Vec::new();
    let mut others = Vec::new();
    if has_paths || names.is_empty() {
        for file in program.specs.iter().flatten() {
            images.extend(program.images_of(*file));
        }
        // A path inside the library means the targets that its files declare.
        let is_below = |path: &Path| paths.iter().any(|p| path.starts_with(p));
        if program.is_adopted {
            for (file, source) in program.sources.iter() {
                if source.origin == Origin::Library && is_below(&source.path) {
                    images.extend(program.images_of(file));
                }
            }
        }
    }
    let mut by_name: FxHashMap<&str, SectionId> = FxHashMap::default();
    for file in program.views.keys() {
        for id in program.images_of(*file) {
            by_name.insert(program.section(id).name.as_str(), id);
        }
    }
    if has_paths && !names.is_empty() {
        // Names together with paths select these images of the paths' files.
        let is_named = |n: &String| {
            by_name.contains_key(n.as_str()) || !find_several(&program, &by_name, n).is_empty()
        };
        if names.iter().any(is_named) {
            images.clear();
        }
    }
    let find = |name: &str| {
        by_name.get(name).copied().or_else(|| {
            program
                .find_library_section(name)
                .filter(|id| program.section(*id).kind == LayerKind::Image)
        })
    };
    for name in names {
        let several = find_several(&program, &by_name, &name);
        if !several.is_empty() {
            let is_new = |id: &SectionId| !images.contains(id);
            let new: Vec<SectionId> = several.into_iter().filter(is_new).collect();
            images.extend(new);
            continue;
        }
        // The make target `build-x` builds the image `x`.
        let found = find(&name).or_else(|| find(name.strip_prefix("build-")?));
        match found {
            Some(id)
                if program.refusal(id).is_some()
                    && !program.sources.is_users(program.section(id).span.file) =>
            {
                let reason = program.refusal(id).unwrap_or_default();
                return Err(Failure(format!("cannot build `{name}`: {reason}")));
            }
            Some(id) if !images.contains(&id) => images.push(id),
            Some(_) => {}
            None => others.push(name),
        }
    }
    drop(by_name);
    if !has_paths && !images.is_empty() && has_inputs {
        keep_relevant(&mut program, &images);
    }
    let provider = match &provider {
        None => None,
        Some(name) => Some(find_provider(&program, name)?),
    };
    let diagnostics = duplicate_images(&program, &images);
    let is_usual = cli.release.is_none() && cli.checkout.is_none() && cli.roles.is_none();
    let is_usual = is_usual
        && !has_names
        && provider.is_none()
        && request.set.is_empty()
        && request.var_files.is_empty()
        && request.flags.is_empty()
        && request.flag_files.is_empty();
    let json = request.var_files;
    Ok(Selected {
        program,
        images,
        provider,
        others,
        json,
        is_json_alone,
        is_usual,
        diagnostics,
        wish,
    })
}

/// The project's images that the name of a matrix or a glob such as `nightly-*` selects, in their order.
fn find_several(
    program: &Program,
    by_name: &FxHashMap<&str, SectionId>,
    name: &str,
) -> Vec<SectionId> {
    let is_of = |id: &SectionId| {
        let matrix = program.matrix_of(*id).map(|id| program.section(id));
        matrix.is_some_and(|matrix| matrix.name == name)
    };
    let mut found: Vec<SectionId> = if name.contains(['*', '?', '[']) {
        let Ok(glob) = Glob::new(name) else {
            return Vec::new();
        };
        let glob = glob.compile_matcher();
        let matching = by_name.iter().filter(|(known, _)| glob.is_match(known));
        matching.map(|(_, id)| *id).collect()
    } else if by_name.contains_key(name) {
        return Vec::new();
    } else {
        by_name.values().copied().filter(is_of).collect()
    };
    found.sort_unstable();
    found
}

/// Checks that all projects of a command are for the release whose library it has read.
///
/// # Errors
/// If one is for another release.
fn expect_one_release(program: &Program) -> Result<(), Failure> {
    let release = program.edition.release;
    let of = |config: &Config| config.release.unwrap_or_default();
    let is_other = |config: &&Config| {
        config.library.is_none() && config.checkout.is_none() && of(config) != release
    };
    match program.configs.0.iter().find(is_other) {
        Some(other) if !program.is_adopted => Err(Failure(format!(
            "the project in {} is for Image Builder {}, and another one in this command for {release}: name the specs of one \
             project at a time, or use `--release`",
            other.root.display(),
            of(other)
        ))),
        _ => Ok(()),
    }
}

/// Returns the specs that paths name, or those of the project around a folder.
///
/// # Errors
/// If a path does not exist or a folder cannot be read.
pub(super) fn find_specs(here: &Path, paths: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut specs = Vec::new();
    for input in paths {
        let path = normalize(&here.join(input));
        if path.is_dir() {
            collect_folder(&path, input, &mut specs)?;
        } else if Disk.exists(&path) {
            specs.push(path);
        } else {
            return Err(nothing_named(input));
        }
    }
    if paths.is_empty() {
        collect_project(here, &mut specs)?;
    }
    specs.sort();
    specs.dedup();
    Ok(specs)
}

impl Selection {
    /// Returns the roots of the projects that the arguments name.
    pub(super) fn projects(&self, here: &Path) -> Vec<PathBuf> {
        let inputs = self.inputs.iter();
        let paths = inputs.map(|input| normalize(&here.join(input)));
        let named = paths.filter(|path| Disk.exists(path));
        let root = |path: PathBuf| {
            let is_folder = Disk.is_dir(&path);
            let inside = if is_folder {
                path.join(CONFIG_FILE)
            } else {
                path
            };
            find_root(&inside, |path| Disk.exists(path))
        };
        let mut roots: Vec<PathBuf> = named.map(root).collect();
        roots.push(workspace::project_root(here));
        roots.sort();
        roots.dedup();
        roots
    }
}

impl Selected {
    /// Returns whether these are all images of the project, as its files and `imgspec.toml` define them. If the arguments name
    /// paths, this looks at all folders of the project.
    pub(super) fn is_whole(&self) -> bool {
        let request = &self.wish.request;
        let has_all = |here: &PathBuf| has_all_specs(here, &request.specs);
        self.is_usual && (!self.wish.has_inputs || request.here.as_ref().is_some_and(has_all))
    }

    /// Checks that every argument names something.
    ///
    /// # Errors
    /// For the first argument that does not.
    pub(crate) fn expect_known(&self) -> Result<(), Failure> {
        let Some(name) = self.others.first() else {
            return Ok(());
        };
        if Path::new(name).is_dir() {
            return Err(Failure(format!(
                "{name} contains no specs of this project; a folder with its own imgspec.toml is another project"
            )));
        }
        let what = "image, file or folder";
        Err(unknown_image(&self.program, name, what, "list"))
    }
}

/// The error for a name that nothing has, with the nearest image, or else the command that lists what there is.
pub(super) fn unknown_image(program: &Program, name: &str, what: &str, list: &str) -> Failure {
    let known = program
        .sections
        .iter()
        .filter(|s| s.kind == LayerKind::Image)
        .map(|s| s.name.as_str());
    let targets = program.library_images();
    let targets = targets.iter().map(|id| program.section(*id).name.as_str());
    let mut is_of_other_release = false;
    let other = if program.is_adopted {
        None
    } else {
        let release = program.edition.release;
        let plain = name.strip_prefix("build-").unwrap_or(name);
        let other = release.help_for("image", plain).map(|(_, help)| help);
        is_of_other_release = other.is_some();
        other.or_else(|| unknown_release_help(name, targets))
    };
    let hint = match suggest_image(name, known)
        .filter(|near| near.is_sure && !is_of_other_release)
        .map(|near| near.name)
    {
        Some(near) => format!("; did you mean `{near}`?"),
        None if other.is_some() => format!("; {}", other.unwrap_or_default()),
        None if program.sections.iter().any(|s| s.name == *name) => {
            "; it is a layer, and only images can be built".to_owned()
        }
        None => format!(
            "; `imgspec {list}` lists all {}s",
            what.split(',').next().unwrap_or(what)
        ),
    };
    Failure(format!("unknown {what} `{name}`{hint}"))
}

/// Drops the diagnostics of files that none of the images uses.
fn keep_relevant(program: &mut Program, images: &[SectionId]) {
    let with_images: FxHashSet<FileId> = images
        .iter()
        .map(|id| program.section(*id).span.file)
        .collect();
    let files_of = |is_wanted: &dyn Fn(&FileId) -> bool| -> FxHashSet<FileId> {
        let views = program.views.iter().filter(|(file, _)| is_wanted(file));
        views.flat_map(|(_, v)| v.files.iter().copied()).collect()
    };
    let files = files_of(&|file| with_images.contains(file));
    let mut unused = files_of(&|_| true);
    unused.retain(|file| !program.policies.files.contains(file));
    unused.retain(|file| !files.contains(file));
    program
        .diagnostics
        .retain(|d| !unused.contains(&d.primary.span.file));
}

/// Returns the library that a command uses: the checkout of `--in`, the release of `--release`, or what `imgspec.toml`
/// names. The project is the one around `first`, the first path among the arguments, or around the current folder.
///
/// # Errors
/// If the library or the checkout cannot be read.
pub(super) fn library(cli: &Cli, first: Option<&Path>) -> Result<LibraryChoice, Failure> {
    if let Some(checkout) = &cli.checkout {
        return workspace::adopt_checkout(&cli.here.join(checkout))
            .map(LibraryChoice::Adopted)
            .map_err(Failure);
    }
    let place = match first {
        Some(path) if path.is_dir() => path.to_owned(),
        Some(path) => path.parent().map_or(cli.here.clone(), Path::to_owned),
        None => cli.here.clone(),
    };
    let wanted = Wanted {
        release: cli.release,
        roles: cli.roles,
    };
    workspace::project_library(&place, &include_roots(cli), wanted).map_err(Failure)
}

/// Returns the specs that `--policy` names.
///
/// # Errors
/// If one of them is not a file.
fn policies(cli: &Cli) -> Result<Vec<PathBuf>, Failure> {
    let paths = cli.policies.iter();
    let paths = paths.map(|path| normalize(&cli.here.join(path)));
    let paths: Vec<PathBuf> = paths.collect();
    match paths.iter().find(|path| !Disk.is_file(path)) {
        Some(path) => Err(Failure(format!(
            "`--policy` names {}, which is not a file",
            shown(path, &cli.here)
        ))),
        None => Ok(paths),
    }
}

/// Returns the folders outside the project that `--include-root` allows to read.
pub(super) fn include_roots(cli: &Cli) -> Vec<PathBuf> {
    cli.include_roots
        .iter()
        .map(|path| normalize(&cli.here.join(path)))
        .collect()
}

fn find_provider(program: &Program, name: &str) -> Result<ProviderId, Failure> {
    let found = program
        .providers
        .pairs()
        .find(|(_, provider)| provider.name == name);
    found.map(|(id, _)| id).ok_or_else(|| {
        let names: Vec<&str> = program.providers.iter().map(|p| p.name.as_str()).collect();
        Failure(format!(
            "unknown provider `{name}`; the providers are {}",
            names.join(", ")
        ))
    })
}

fn is_item_name(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// True if an argument names a file: one that exists, or anything else that exists under a file's name.
fn is_named_file(path: &Path, input: &str) -> bool {
    let has_name =
        [".imgspec", ".json"].iter().any(|end| input.ends_with(end)) || input.contains('/');
    Disk.is_file(path) || (has_name && Disk.exists(path))
}

fn contains_specs(folder: &Path) -> bool {
    workspace::spec_files(folder).is_ok_and(|specs| !specs.is_empty())
}

/// The error for a project without specs: a check of nothing must not look like a success.
pub(super) fn no_specs(here: &Path) -> Failure {
    let root = workspace::project_root(here);
    Failure(format!("no .imgspec files in {}", root.display()))
}

/// Returns the format of a var file that is not JSON, by its name.
pub(super) fn other_format(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "yaml" | "yml" => Some("YAML"),
        "hcl" | "tfvars" => Some("HCL"),
        "toml" => Some("TOML"),
        _ => None,
    }
}

pub(super) fn not_a_var_file(input: &str, format: &str) -> Failure {
    let how = match format {
        "YAML" => format!("convert it with `yq -o json {input} > vars.json`"),
        _ => "write `{ \"name\": \"value\" }` to a .json file".to_owned(),
    };
    Failure(format!(
        "{input} is {format}, and Packer reads only JSON var files with JSON templates: {how}"
    ))
}

fn nothing_named(input: &str) -> Failure {
    Failure(format!("no such file or folder: {input}"))
}

/// Returns whether these specs, which are sorted, are all of the project around a folder.
fn has_all_specs(here: &Path, specs: &[PathBuf]) -> bool {
    let mut all = Vec::new();
    collect_project(here, &mut all).is_ok()
        && all.iter().all(|spec| specs.binary_search(spec).is_ok())
}

fn collect_project(here: &Path, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let root = workspace::project_root(here);
    collect_specs(&root, out)
}

/// Adds the specs of a folder that an argument names.
///
/// # Errors
/// If the folder contains none, or cannot be read.
fn collect_folder(folder: &Path, input: &str, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let before = out.len();
    collect_specs(folder, out)?;
    if out.len() == before {
        return Err(Failure(format!("no .imgspec files in {input}")));
    }
    Ok(())
}

fn collect_specs(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let specs = workspace::spec_files(folder)
        .map_err(|e| Failure(format!("cannot read {}: {e}", folder.display())))?;
    out.extend(specs);
    Ok(())
}

/// Returns the files of `PACKER_VAR_FILES`, which `make` splits at whitespace.
///
/// # Errors
/// If one is not a JSON file that can be read.
fn var_files(here: &Path) -> Result<Vec<PathBuf>, Failure> {
    let Ok(list) = std::env::var("PACKER_VAR_FILES") else {
        return Ok(Vec::new());
    };
    list.split_whitespace()
        .map(|name| {
            let path = normalize(&here.join(name));
            if let Some(other) = other_format(&path) {
                return Err(not_a_var_file(name, other));
            }
            match Disk.look(&path) {
                Ok(()) => Ok(path),
                Err(_) if path.is_dir() => Err(Failure(format!(
                    "PACKER_VAR_FILES names {name}, which is a folder"
                ))),
                Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure(format!(
                    "PACKER_VAR_FILES names {name}, which does not exist"
                ))),
                Err(error) => Err(Failure(format!("PACKER_VAR_FILES names {name}: {error}"))),
            }
        })
        .collect()
}

/// Returns each `-var` and `-var-file` of `PACKER_FLAGS`, which the checkout's Makefile passes to Packer through a shell.
///
/// # Errors
/// If a quote is not closed, a `-var` has no `=`, or a var file does not exist.
fn packer_flags(folder: &Path) -> Result<(Vec<String>, Vec<PathBuf>), Failure> {
    let (mut vars, mut files) = (Vec::new(), Vec::new());
    let flags = std::env::var("PACKER_FLAGS").unwrap_or_default();
    let words = shlex::split(&flags)
        .ok_or_else(|| Failure("PACKER_FLAGS contains an unclosed quote".to_owned()))?;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").or(word.strip_prefix('-')) else {
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        if !matches!(name, "var" | "var-file") {
            continue;
        }
        let value = value.or_else(|| words.next()).unwrap_or_default();
        if name == "var" {
            if !value.contains('=') {
                // It may be a secret, with another sign for `=`.
                return Err(Failure(
                    "PACKER_FLAGS contains a `-var` without `=`: expected `-var NAME=VALUE`"
                        .to_owned(),
                ));
            }
            vars.push(value);
            continue;
        }
        let path = normalize(&folder.join(&value));
        if let Some(format) = other_format(&path) {
            return Err(not_a_var_file(&value, format));
        }
        if !path.is_file() {
            let place = path.display();
            return Err(Failure(format!(
                "PACKER_FLAGS names the var file {value}, which does not exist: {place}"
            )));
        }
        files.push(path);
    }
    Ok((vars, files))
}

fn duplicate_images(program: &Program, images: &[SectionId]) -> Vec<Diagnostic> {
    let mut first: FxHashMap<&str, SectionId> = FxHashMap::default();
    let mut found = Vec::new();
    for id in images {
        let section = program.section(*id);
        match first.get(section.name.as_str()) {
            Some(other) => found.push(
                Diagnostic::new(
                    Code::DuplicateImage,
                    section.span,
                    format!("this command selects two images with the name `{}`", section.name),
                )
                .related(program.section(*other).span, "the other image")
                .help("rename one of them, or select only one of their files: both would write to the same folder"),
            ),
            None => {
                first.insert(&section.name, *id);
            }
        }
    }
    found
}
