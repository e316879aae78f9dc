//! `imgspec init`

mod ci;
mod spec;

use self::ci::Ci;
use self::spec::{chain_layers, settings_of, write_images};
use crate::cli::import::read_var_files;
use crate::cli::place::OUT;
use crate::cli::sandbox::confine;
use crate::cli::select::{include_roots, unknown_image};
use crate::cli::{Cli, Failure, print, print_aside};
use crate::import::import;
use crate::project::hir::{SectionId, Target};
use crate::project::{CONFIG_FILE, Edition, LibraryChoice, Program, Request, load};
use crate::schema::Roles;
use crate::source::{Disk, Loader, Release, normalize};
use crate::syntax::print_text;
use crate::workspace;
use clap::Args;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The target of a project for which the user names none: it needs no hypervisor.
const TARGET: &str = "rootfs-debian-12";

/// The spec of a new project.
const SPEC: &str = "images.imgspec";

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

impl Init {
    /// The folder that the command writes to.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        let out = self.out.as_deref().unwrap_or(Path::new(""));
        vec![normalize(&here.join(out))]
    }
}

pub(super) fn run(cli: &Cli, args: &Init) -> Result<bool, Failure> {
    let library = library(cli)?;
    let checkout = library.checkout().map(Path::to_owned);
    let request = Request {
        library: Some(workspace::library(library)),
        include_roots: include_roots(cli),
        ..Request::default()
    };
    let read = args.from.iter().map(|file| cli.here.join(file));
    confine(cli, read.collect(), Vec::new())?;
    let program = load(&Disk, &request);
    let targets = find_targets(&program, &args.targets)?;
    let var_files = read_var_files(cli, &args.from, checkout.as_deref())?;
    let (mut layers, mut notes, mut spec) = Default::default();
    let mut settings = targets.iter().map(|_| Vec::new()).collect();
    if var_files.is_empty() {
        settings = settings_of(&program, &request, &targets);
    } else {
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
    let images = write_images(&program, &targets, layers, settings, &mut spec);
    let config = write_config(cli, &program, args.out.is_some());
    let files = write_files(cli, args, config, spec)?;
    for note in &notes {
        print_aside(&format!("warning: {note}\n"));
    }
    let second = match args.ci {
        Some(_) => Ci::compile(),
        None => {
            let verb = if can_build(&program, &targets) {
                "build"
            } else {
                "compile"
            };
            format!(
                "imgspec {verb} {}",
                images.first().map_or("", String::as_str)
            )
        }
    };
    let place = args
        .out
        .as_ref()
        .map(|out| format!(" in {}", out.display()));
    print(&format!(
        "{}\n\nNext{}:\n  imgspec check\n  {second}\n",
        files.join("\n"),
        place.unwrap_or_default()
    ))?;
    Ok(true)
}

/// Writes the project's files, and returns their names.
///
/// # Errors
/// If one of them exists or cannot be written; then none is written.
fn write_files(
    cli: &Cli,
    args: &Init,
    config: String,
    spec: String,
) -> Result<Vec<String>, Failure> {
    let out = args.out.as_deref().unwrap_or(Path::new(""));
    let folder = normalize(&cli.here.join(out));
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
    let shown = |file: &Path| out.join(file).display().to_string();
    workspace::tidy(&folder.join(CONFIG_FILE));
    let (mut taken, mut missing) = (Vec::new(), Vec::new());
    let mut is_ours = true;
    for (file, text) in &files {
        let path = folder.join(file);
        if Disk.exists(&path) {
            is_ours &= Disk.read(&path).is_ok_and(|found| found == *text);
            taken.push(shown(file));
        } else {
            missing.push((file.clone(), text.clone()));
        }
    }
    // A killed `init` has left the first files. The rest completes them.
    let is_begun = is_ours && !missing.is_empty();
    if !taken.is_empty() && !is_begun {
        let verb = if taken.len() == 1 { "exists" } else { "exist" };
        let names = taken.join(", ");
        return Err(Failure(format!(
            "{names} {verb} already; nothing was written"
        )));
    }
    workspace::create(&folder, &missing).map_err(|error| {
        let name = error.path.strip_prefix(&folder).map(shown);
        Failure(error.describe_at(&name.unwrap_or_else(|_| error.path.display().to_string())))
    })?;
    Ok(files.iter().map(|(file, _)| shown(file)).collect())
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
