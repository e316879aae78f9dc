//! The states of a project that `diff` and `plan` compare.

use crate::cli::sides::{self, Project, Source, Starting, Wanted, built};
use crate::cli::{Cli, Failure};
use crate::diagnostic::nearest;
use crate::review::{Comparison, Review, Side, State};
use crate::schema::Roles;
use crate::source::{Disk, Loader, Release, normalize, read_text};
use crate::workspace;
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How many images are compared at the same time. A state has some hundred KiB.
const BATCH: usize = 32;

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

/// Compares the old state with the new one. Returns the differences, and the new state.
///
/// # Errors
/// If an option names no state, a state has errors, or no image has a name of the arguments.
pub(super) fn review(cli: &Cli, args: &Compared) -> Result<(Review, Side), Failure> {
    let against = find_state(cli, args)?;
    let mut wanted = Wanted::new(&args.images);
    let old = match &against {
        Against::Built(named) => {
            let (name, state) = built(cli, named)?;
            if args.images.is_empty() {
                // A built image has the name that it had.
                wanted = Wanted::These(BTreeSet::from([name.clone()]));
            }
            Old::Kept(BTreeMap::from([(name, state)]))
        }
        Against::Builds(folders) => Old::Builds(folders),
        Against::Image(_) | Against::VarFile(_) => Old::Kept(BTreeMap::new()),
        Against::Copy(folder, _kept) => Old::Child(start(cli, args, folder)?),
    };
    let project = Project::outline(cli, &args.set, Vec::new(), &wanted)?;
    let Some((mut project, new)) = project else {
        return Err(Failure(
            "the specs have errors, so there is nothing to compare".to_owned(),
        ));
    };
    let (mut source, old, names) = match old {
        Old::Child(child) => {
            let (child, outlined) = child.finish()?;
            (Source::Child(child), outlined.side, outlined.names)
        }
        Old::Builds(folders) => outline_builds(cli, folders, &wanted)?,
        Old::Kept(mut states) => {
            states.extend(beside(cli, args, &against, &mut project, &new)?);
            let names = states.keys().cloned().collect();
            let states: BTreeMap<String, State> = states
                .into_iter()
                .filter(|(name, _)| wanted.has(name))
                .collect();
            let mut side = Side::default();
            for (name, state) in &states {
                side.add(name.clone(), state);
            }
            (Source::Kept(states), side, names)
        }
    };
    expect_named(&args.images, &names, &project)?;
    let mut comparison = Comparison::new(&old, &new);
    for names in comparison.differing().chunks(BATCH) {
        source.ask(names)?;
        let states = project.states(names)?;
        for (name, now) in names.iter().zip(&states) {
            comparison.add(name, &source.answer(name)?, now);
        }
    }
    for names in comparison.added().to_vec().chunks(BATCH) {
        for state in project.states(names)? {
            comparison.add_new(&state);
        }
    }
    Ok((comparison.finish(), new))
}

/// Where the old state comes from, before this process has read its own.
enum Old<'a> {
    Kept(BTreeMap<String, State>),
    Builds(&'a [PathBuf]),
    Child(Starting),
}

/// The state that stands beside the only image that is compared: that of another image, or of a var file.
fn beside(
    cli: &Cli,
    args: &Compared,
    against: &Against,
    project: &mut Project,
    new: &Side,
) -> Result<Option<(String, State)>, Failure> {
    let name = args.images.first().cloned().unwrap_or_default();
    let mut states = match against {
        // One image beside another, under the name of the first.
        Against::Image(other) => project.states(std::slice::from_ref(other))?,
        Against::VarFile(file) => {
            let image = new.images.get(&name);
            let Some(target) = image.and_then(|image| image.target.clone()) else {
                return Ok(None);
            };
            let inputs = vec![target, file.clone()];
            let other = Project::outline(cli, &args.set, inputs, &Wanted::All)?;
            let Some((mut other, side)) = other else {
                return Ok(None);
            };
            let names: Vec<String> = side.images.into_keys().collect();
            other.states(&names)?
        }
        _ => return Ok(None),
    };
    Ok(states.pop().map(|state| (name, state)))
}

/// Outlines what builds have made. Each is read again when it is compared.
fn outline_builds<'c>(
    cli: &'c Cli,
    folders: &[PathBuf],
    wanted: &Wanted,
) -> Result<(Source<'c>, Side, Vec<String>), Failure> {
    let (mut side, mut places) = (Side::default(), BTreeMap::new());
    for folder in folders {
        let folder = folder.to_string_lossy().into_owned();
        let (name, state) = built(cli, &folder)?;
        if wanted.has(&name) {
            side.add(name.clone(), &state);
        }
        places.insert(name, folder);
    }
    let names = places.keys().cloned().collect();
    Ok((Source::Builds(cli, places), side, names))
}

/// Finds the images of the project around the current folder.
///
/// # Errors
/// If the specs have errors, or no image has a name of the arguments.
pub(super) fn find_new(cli: &Cli, args: &Compared) -> Result<Side, Failure> {
    let wanted = Wanted::new(&args.images);
    let Some((project, new)) = Project::outline(cli, &args.set, Vec::new(), &wanted)? else {
        return Err(Failure("the specs have errors".to_owned()));
    };
    expect_named(&args.images, &[], &project)?;
    Ok(new)
}

/// Checks that each argument names an image of one of the states.
///
/// # Errors
/// If one names none.
fn expect_named(named: &[String], old: &[String], new: &Project) -> Result<(), Failure> {
    for name in named {
        let wanted = Wanted::new(std::slice::from_ref(name));
        let all = || old.iter().map(String::as_str).chain(new.names());
        if !all().any(|known| wanted.has(known)) {
            let near = nearest(name, all()).map(|near| format!("; did you mean `{near}`?"));
            return Err(Failure(format!(
                "unknown image `{name}`{}",
                near.unwrap_or_default()
            )));
        }
    }
    Ok(())
}

/// Prints the images of the state around the current folder, for the process that compares.
///
/// # Errors
/// If they cannot be found.
pub(super) fn print_own(cli: &Cli, args: &Compared) -> Result<bool, Failure> {
    sides::print_own(cli, &args.set, &Wanted::new(&args.images))
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

/// A command of this program: the file that runs, also where an update has replaced it by now. Another version may print
/// another form.
#[cfg(target_os = "linux")]
fn this_program() -> std::io::Result<Command> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("imgspec");
    Ok(command)
}

/// A command of this program.
#[cfg(not(target_os = "linux"))]
fn this_program() -> std::io::Result<Command> {
    std::env::current_exe().map(Command::new)
}

/// Starts this program in the folder of the old state, whose specs it reads as any other command.
fn start(cli: &Cli, args: &Compared, folder: &Path) -> Result<Starting, Failure> {
    let failed =
        |e: std::io::Error| Failure(format!("cannot compare with {}: {e}", folder.display()));
    let mut command = this_program().map_err(failed)?;
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
    if !args.images.is_empty() {
        command.arg("--").args(&args.images);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Starting::new(&mut command).map_err(failed)
}
