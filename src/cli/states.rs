//! The states of a project that `diff` and `plan` compare.

use crate::cli::report::{compile_to_build, is_fine, report};
use crate::cli::select::{Selected, select};
use crate::cli::{Cli, Failure, Selection, print_bytes, whence};
use crate::diagnostic::nearest;
use crate::emit::{Account, Artifacts, Output, Provenance, position};
use crate::project::hir::{LayerKind, SectionId, linearize};
use crate::review::{Side, State, Unused};
use crate::schema::Roles;
use crate::source::{Disk, Loader, Release, normalize, read_text};
use crate::workspace::{self, Eyes};
use clap::Args;
use globset::Glob;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The old state, and what holds in both.
#[derive(Debug, Clone, Args)]
pub(super) struct Compared {
    /// Names of images [default: all of the project]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// What to compare with: a revision of git, a folder with another copy of the project, a built image or its folder, a
    /// folder with the folders of built images, or another image of the project
    #[arg(long, value_name = "STATE")]
    against: Option<String>,
    /// Compare with the library of this release
    #[arg(long, value_name = "RELEASE", value_parser = super::find_release, conflicts_with = "against_in")]
    against_release: Option<Release>,
    /// Compare with this Image Builder checkout as the library
    #[arg(long, value_name = "CHECKOUT")]
    against_in: Option<PathBuf>,
    /// Set a variable in both states, above all layers
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Compared {
    /// Returns the same with a revision of git as the old state.
    pub(super) fn since(&self, revision: Option<&str>) -> Compared {
        Compared {
            against: revision.map(str::to_owned).or_else(|| self.against.clone()),
            ..self.clone()
        }
    }

    /// Whether an option names an old state.
    pub(super) fn is_stated(&self) -> bool {
        self.against.is_some() || self.against_release.is_some() || self.against_in.is_some()
    }
}

/// Finds the images of the old and of the new state.
///
/// # Errors
/// If an option names no state, a state has errors, or no image has a name of the arguments.
pub(super) fn find(cli: &Cli, args: &Compared) -> Result<(Side, Side), Failure> {
    let against = find_state(cli, args)?;
    let old = match &against {
        Against::Built(built) => Old::Here(built_side(cli, built)?),
        Against::Builds(folders) => {
            let mut side = Side::default();
            for folder in folders {
                side.extend(built_side(cli, &folder.to_string_lossy())?.images);
            }
            Old::Here(side)
        }
        Against::Image(_) | Against::VarFile(_) => Old::Here(Side::default()),
        Against::Copy(folder, _kept) => Old::Child(start(cli, args, folder)?),
    };
    let Some(mut new) = side(cli, args)? else {
        return Err(Failure(
            "the specs have errors, so there is nothing to compare".to_owned(),
        ));
    };
    let mut old = match old {
        Old::Here(side) => side,
        Old::Child(child) => child.finish()?,
    };
    match &against {
        // One image beside another, under the name of the first.
        Against::Image(other) => {
            let name = args.images.first().cloned().unwrap_or_default();
            let state = new.get(other).cloned().unwrap_or_default();
            old = Side::from_iter([(name.clone(), state)]);
            new.retain(|known, _| *known == name);
        }
        Against::VarFile(file) => {
            let name = args.images.first().cloned().unwrap_or_default();
            let provenance = new.get(&name).and_then(|state| state.provenance.as_ref());
            if let Some(provenance) = provenance {
                let inputs = vec![provenance.target.clone(), file.clone()];
                let states = side_of(cli, args, inputs)?.unwrap_or_default();
                old.extend(
                    states
                        .images
                        .into_values()
                        .map(|state| (name.clone(), state)),
                );
                new.retain(|known, _| *known == name);
            }
        }
        // A built image has the name that it had.
        Against::Built(_) if args.images.is_empty() => new.retain(|name, _| old.contains_key(name)),
        _ => {}
    }
    keep_named(&args.images, &mut old, &mut new)?;
    Ok((old, new))
}

/// Finds the images of the project around the current folder.
///
/// # Errors
/// If the specs have errors, or no image has a name of the arguments.
pub(super) fn find_new(cli: &Cli, args: &Compared) -> Result<Side, Failure> {
    let Some(mut new) = side(cli, args)? else {
        return Err(Failure("the specs have errors".to_owned()));
    };
    keep_named(&args.images, &mut Side::default(), &mut new)?;
    Ok(new)
}

/// Keeps the images that the arguments name: names, and globs such as `nightly-*`.
///
/// # Errors
/// If an argument names no image of either state.
fn keep_named(named: &[String], old: &mut Side, new: &mut Side) -> Result<(), Failure> {
    if named.is_empty() {
        return Ok(());
    }
    let mut kept = BTreeSet::new();
    for name in named {
        let all = || old.keys().chain(new.keys());
        let glob = Glob::new(name).map(|glob| glob.compile_matcher());
        let is_meant = |known: &&String| {
            *known == name
                || glob
                    .as_ref()
                    .is_ok_and(|glob| glob.is_match(known.as_str()))
        };
        let found: Vec<String> = all().filter(is_meant).cloned().collect();
        if found.is_empty() {
            let near = nearest(name, all().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?"));
            return Err(Failure(format!(
                "unknown image `{name}`{}",
                near.unwrap_or_default()
            )));
        }
        kept.extend(found);
    }
    for side in [old, new] {
        side.retain(|name, _| kept.contains(name));
    }
    Ok(())
}

/// What the state of the project is compared with.
enum Against {
    /// A folder with the project, and the temporary folder that it is in.
    Copy(PathBuf, Option<TempDir>),
    /// What a build has made.
    Built(String),
    /// The folders of builds.
    Builds(Vec<PathBuf>),
    /// A JSON var file: what it makes of the image's target.
    VarFile(String),
    /// Another image.
    Image(String),
}

/// The old state, or the process that finds it.
enum Old {
    Here(Side),
    Child(Child),
}

/// Finds what `--against` names.
///
/// # Errors
/// If it names nothing.
fn find_state(cli: &Cli, args: &Compared) -> Result<Against, Failure> {
    let is_library = args.against_release.is_some() || args.against_in.is_some();
    let Some(named) = &args.against else {
        if is_library {
            return Ok(Against::Copy(cli.here.clone(), None));
        }
        return revision(cli, "HEAD");
    };
    let path = normalize(&cli.here.join(named));
    if path.is_dir() && !path.join("build.json").is_file() {
        let builds = builds_below(&path);
        return Ok(if builds.is_empty() {
            Against::Copy(path, None)
        } else {
            Against::Builds(builds)
        });
    }
    if is_var_file(&path) {
        if args.images.len() != 1 {
            return Err(Failure(format!(
                "{named} is a JSON var file: name the image to compare with it, as in `imgspec diff IMAGE --against {named}`"
            )));
        }
        return Ok(Against::VarFile(named.clone()));
    }
    if path.exists() {
        return Ok(Against::Built(named.clone()));
    }
    let error = match revision(cli, named) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    if args.images.len() == 1
        && named
            .chars()
            .all(|c| c.is_alphanumeric() || "._-".contains(c))
    {
        return Ok(Against::Image(named.clone()));
    }
    Err(error)
}

/// Whether a file is a JSON var file, and not what a compile or a build has written about an image.
fn is_var_file(path: &Path) -> bool {
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let text = is_json.then(|| read_text(path).ok()).flatten();
    let json = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    json.is_some_and(|json| {
        let is_told = |name: &str| json.get(name).is_some_and(serde_json::Value::is_u64);
        !["build", "manifest", "provenance"].into_iter().any(is_told)
    })
}

/// The folders of builds in a folder, sorted.
fn builds_below(folder: &Path) -> Vec<PathBuf> {
    let names = Disk.entries(folder).into_iter();
    let folders = names.map(|name| folder.join(name));
    let mut builds: Vec<PathBuf> = folders.filter(|f| f.join("build.json").is_file()).collect();
    builds.sort();
    builds
}

/// Unpacks a revision of the repository around the current folder. Returns the same folder in it.
///
/// # Errors
/// If git is missing, or knows no such revision.
fn revision(cli: &Cli, name: &str) -> Result<Against, Failure> {
    let (folder, kept) = workspace::unpack_revision(&cli.here, name).map_err(Failure)?;
    Ok(Against::Copy(folder, Some(kept)))
}

/// A process that finds the images of the old state.
struct Child {
    process: std::process::Child,
    lines: std::thread::JoinHandle<std::io::Result<Vec<String>>>,
    errors: std::thread::JoinHandle<String>,
}

/// Starts this program in the folder of the old state, whose specs it reads as any other command.
fn start(cli: &Cli, args: &Compared, folder: &Path) -> Result<Child, Failure> {
    let failed =
        |e: std::io::Error| Failure(format!("cannot compare with {}: {e}", folder.display()));
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    // Another library may not know which values are secrets, so that no line of the specs is shown.
    let is_own_library = args.against_release.is_none() && args.against_in.is_none();
    let format = if is_own_library { "plain" } else { "short" };
    command
        .args(["diff", "--state", "--format", format])
        .current_dir(folder);
    for set in &args.set {
        command.args(["--set", set]);
    }
    for root in &cli.include_roots {
        command.arg("--include-root").arg(cli.here.join(root));
    }
    match (args.against_release, &args.against_in) {
        (Some(release), _) => {
            command.args(["--release", release.name()]);
        }
        (_, Some(checkout)) => {
            command.arg("--in").arg(cli.here.join(checkout));
        }
        _ => {
            if let Some(release) = cli.release {
                command.args(["--release", release.name()]);
            }
            if let Some(checkout) = &cli.checkout {
                command.arg("--in").arg(cli.here.join(checkout));
            }
        }
    }
    if let Some(roles) = cli.roles {
        let [native, upstream] = Roles::NAMES;
        command.args([
            "--roles",
            if roles == Roles::Native {
                native
            } else {
                upstream
            },
        ]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().map_err(failed)?;
    let (output, errors) = (process.stdout.take(), process.stderr.take());
    Ok(Child {
        process,
        // Its output is read at once, so that it never waits for this process.
        lines: std::thread::spawn(move || {
            output.map_or(Ok(Vec::new()), |output| {
                BufReader::new(output).lines().collect()
            })
        }),
        errors: std::thread::spawn(move || {
            let read = errors.map(std::io::read_to_string);
            read.and_then(Result::ok).unwrap_or_default()
        }),
    })
}

/// A line of what the process prints.
#[derive(Serialize, Deserialize)]
enum Line {
    Image(String, Box<State>),
    Unused(Vec<Unused>),
}

impl Child {
    fn finish(mut self) -> Result<Side, Failure> {
        let failed = |reason: String| Failure(format!("the old state has errors:\n{reason}"));
        let lines = self
            .lines
            .join()
            .map_err(|_| failed("its process ended".to_owned()))?;
        let errors = self.errors.join().unwrap_or_default();
        let status = self.process.wait().map_err(|e| failed(e.to_string()))?;
        if !status.success() {
            return Err(failed(
                errors.trim().trim_start_matches("imgspec: ").to_owned(),
            ));
        }
        let mut side = Side::default();
        for line in lines.map_err(|e| failed(e.to_string()))? {
            match serde_json::from_str(&line).map_err(|e| failed(e.to_string()))? {
                Line::Image(name, state) => {
                    side.insert(name, *state);
                }
                Line::Unused(unused) => side.unused = unused,
            }
        }
        Ok(side)
    }
}

/// Prints the images of the state around the current folder, for the process that compares.
///
/// # Errors
/// If they cannot be found.
pub(super) fn print_own(cli: &Cli, args: &Compared) -> Result<bool, Failure> {
    let Some(side) = side(cli, args)? else {
        return Ok(false);
    };
    let print = |line: &Line| {
        let line = serde_json::to_string(line).map_err(|e| Failure(e.to_string()))?;
        print_bytes(&(line + "\n"))
    };
    for (name, state) in side.images {
        print(&Line::Image(name, Box::new(state)))?;
    }
    print(&Line::Unused(side.unused))?;
    Ok(true)
}

/// The images of the project around the current folder. None if a spec has an error, which is reported.
fn side(cli: &Cli, args: &Compared) -> Result<Option<Side>, Failure> {
    side_of(cli, args, Vec::new())
}

/// The images that arguments name. None if a spec has an error, which is reported.
fn side_of(cli: &Cli, args: &Compared, inputs: Vec<String>) -> Result<Option<Side>, Failure> {
    let selection = Selection {
        inputs,
        set: args.set.clone(),
        ..Selection::default()
    };
    let selected = select(cli, &selection)?;
    let output = Output {
        dir: workspace::read_config(&cli.here).0.join("build"),
        portable: true,
    };
    let eyes = Eyes::default();
    let take = |(artifacts, account)| state(artifacts, account, &eyes);
    let (states, findings) = compile_to_build(&selected, &output, take);
    if !is_fine(&findings.shown) {
        report(cli, &selected.program, &findings);
        return Ok(None);
    }
    let mut side = states.into_iter().collect::<Result<Side, _>>()?;
    side.unused = unused(&selected);
    Ok(Some(side))
}

/// The settings of the project's layers that no image has.
fn unused(selected: &Selected) -> Vec<Unused> {
    let program = &selected.program;
    let images = selected.images.iter();
    let used: BTreeSet<SectionId> = images
        .flat_map(|id| linearize(&program.sections, *id))
        .collect();
    let root = program.root.clone().unwrap_or_default();
    let mut out = Vec::new();
    for (id, section) in program.sections.own_pairs() {
        let is_layer = matches!(section.kind, LayerKind::Layer | LayerKind::Json);
        if !is_layer || used.contains(&id) || !program.sources.is_users(section.span.file) {
            continue;
        }
        out.extend(section.settings.iter().map(|setting| Unused {
            variable: program.variable(setting.variable).name.to_string(),
            layer: section.name.to_string(),
            text: program.sources.shown_slice(setting.span).to_owned(),
            place: position(program, setting.span, &root),
        }));
    }
    out
}

/// What is kept of an image, with its name.
///
/// # Errors
/// If a file that a value names cannot be read.
fn state(artifacts: Artifacts, account: Account, eyes: &Eyes) -> Result<(String, State), Failure> {
    let own = eyes.look(&account.sight);
    let own = own.map_err(|e| Failure(format!("{}: {e}", artifacts.image)))?;
    let build = &artifacts.build;
    let environment = build.environment.union(&build.secret_environment);
    let state = State {
        id: Some(own.id()),
        seen: own.without_assets(),
        declared: Some(account.declared),
        provenance: Some(account.provenance),
        grounds: account.grounds,
        readers: artifacts.routes.words(),
        environment: environment.cloned().collect(),
    };
    Ok((artifacts.image, state))
}

/// A built image, under the name that it had.
fn built_side(cli: &Cli, named: &str) -> Result<Side, Failure> {
    let (provenance, id): (Provenance, Option<String>) = whence::find_and_read(cli, named)?;
    let name = provenance.image.clone();
    let state = State {
        id,
        provenance: Some(provenance),
        ..State::default()
    };
    Ok(Side::from_iter([(name, state)]))
}
