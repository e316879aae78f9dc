//! `imgspec diff`

use crate::build::{image_id, seen};
use crate::cli::report::{compile_to_build, is_fine, report};
use crate::cli::select::select;
use crate::cli::{Cli, Failure, Format, Selection, print, print_bytes, whence};
use crate::diagnostic::{json_text, nearest};
use crate::emit::{Output, Provenance};
use crate::review::{Side, State, compare, markdown, plain};
use crate::schema::Roles;
use crate::source::{Release, normalize};
use crate::workspace;
use clap::Args;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// Names of images [default: all of the project]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// What to compare with: a revision of git, a folder with another copy of the project, a built image or its folder, or
    /// another image of the project [default: HEAD, or these specs with `--against-release` and `--against-in`]
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
    /// Print JSON (docs/json.md)
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown of at most 60,000 characters, for a comment
    #[arg(long)]
    markdown: bool,
    /// Print the images of one state, for the process that compares
    #[arg(long, hide = true)]
    state: bool,
}

pub(super) fn run(cli: &Cli, args: &Diff) -> Result<bool, Failure> {
    if args.state {
        return print_state(cli, args);
    }
    let against = find_state(cli, args)?;
    let old = match &against {
        Against::Built(built) => Old::Here(built_side(cli, built)?),
        Against::Image(_) => Old::Here(Side::new()),
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
            old = Side::from([(name.clone(), state)]);
            new.retain(|known, _| *known == name);
        }
        // A built image has the name that it had.
        Against::Built(_) if args.images.is_empty() => new.retain(|name, _| old.contains_key(name)),
        _ => {}
    }
    for name in &args.images {
        if !old.contains_key(name) && !new.contains_key(name) {
            let known = old.keys().chain(new.keys()).map(String::as_str);
            let near = nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
            return Err(Failure(format!(
                "unknown image `{name}`{}",
                near.unwrap_or_default()
            )));
        }
    }
    if !args.images.is_empty() {
        for side in [&mut old, &mut new] {
            side.retain(|name, _| args.images.contains(name));
        }
    }
    let review = compare(&old, &new);
    if args.json || cli.bare_format() == Some(Format::Json) {
        print(&json_text(&review))?;
    } else if args.markdown {
        print(&markdown(&review))?;
    } else {
        print(&plain(&review))?;
    }
    Ok(review.is_empty())
}

/// What the state of the project is compared with.
enum Against {
    /// A folder with the project, and the temporary folder that it is in.
    Copy(PathBuf, Option<TempDir>),
    /// What a build has made.
    Built(String),
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
fn find_state(cli: &Cli, args: &Diff) -> Result<Against, Failure> {
    let is_library = args.against_release.is_some() || args.against_in.is_some();
    let Some(named) = &args.against else {
        if is_library {
            return Ok(Against::Copy(cli.here.clone(), None));
        }
        return revision(cli, "HEAD");
    };
    let path = normalize(&cli.here.join(named));
    if path.is_dir() && !path.join("build.json").is_file() {
        return Ok(Against::Copy(path, None));
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
fn start(cli: &Cli, args: &Diff, folder: &Path) -> Result<Child, Failure> {
    let failed =
        |e: std::io::Error| Failure(format!("cannot compare with {}: {e}", folder.display()));
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command
        .args(["diff", "--state", "--format", "plain"])
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
        let mut side = Side::new();
        for line in lines.map_err(|e| failed(e.to_string()))? {
            let (name, state): (String, State) =
                serde_json::from_str(&line).map_err(|e| failed(e.to_string()))?;
            side.insert(name, state);
        }
        Ok(side)
    }
}

fn print_state(cli: &Cli, args: &Diff) -> Result<bool, Failure> {
    let Some(side) = side(cli, args)? else {
        return Ok(false);
    };
    for image in &side {
        let line = serde_json::to_string(&image).map_err(|e| Failure(e.to_string()))?;
        print_bytes(&(line + "\n"))?;
    }
    Ok(true)
}

/// The images of the project around the current folder. None if a spec has an error, which is reported.
fn side(cli: &Cli, args: &Diff) -> Result<Option<Side>, Failure> {
    let selection = Selection {
        set: args.set.clone(),
        ..Selection::default()
    };
    let selected = select(cli, &selection)?;
    let output = Output {
        dir: workspace::read_config(&cli.here).0.join("build"),
        portable: true,
    };
    let (made, diagnostics) = compile_to_build(&selected, &output);
    if !is_fine(&diagnostics) {
        report(cli, &selected.program, &diagnostics);
        return Ok(None);
    }
    let mut side = Side::new();
    for (artifacts, account) in made {
        let seen =
            seen(&artifacts, &account).map_err(|e| Failure(format!("{}: {e}", artifacts.image)))?;
        let state = State {
            id: Some(image_id(&seen)),
            seen,
            declared: Some(account.declared),
            provenance: Some(account.provenance),
            grounds: account.grounds,
        };
        side.insert(artifacts.image.clone(), state);
    }
    Ok(Some(side))
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
    Ok(BTreeMap::from([(name, state)]))
}
