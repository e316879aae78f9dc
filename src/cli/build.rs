//! `imgspec build` and `imgspec validate`

use crate::build::{self, Artifact, Flags, Interrupt, Job, MakeRun, Outcome, Progress};
use crate::cli::deps::{self, toolbox};
use crate::cli::place::{cannot_write, out, shown};
use crate::cli::report::{compile_to_build, expect_unchanged, is_fine, report, write_reports};
use crate::cli::select::select;
use crate::cli::{Cli, Failure, Selection, print, print_aside};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::emit::{Account, Artifacts, Output, Provenance, TemplatePath};
use crate::source::Release;
use crate::workspace::{self, Eyes, ImageFolder, Lock, Stage, WriteError};
use clap::{Args, ValueEnum};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use url::Url;

/// What to build, and where to write it.
#[derive(Debug, Args)]
struct Place {
    #[command(flatten)]
    selection: Selection,
    /// The output folder, with a folder for each image [default: build at the project's root]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How many images to build at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
}

#[derive(Debug, Args)]
pub(super) struct Validate {
    #[command(flatten)]
    place: Place,
    /// Install missing programs first: as `imgspec deps --install` does, or with --in by the checkout's deps targets
    #[arg(long)]
    install: bool,
    /// Install programs without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct Build {
    #[command(flatten)]
    place: Place,
    /// Print the commands without running them
    #[arg(long)]
    dry_run: bool,
    /// Install missing programs first, as `imgspec deps --install` does
    #[arg(long)]
    install: bool,
    /// Install programs without asking
    #[arg(long)]
    yes: bool,
    /// Build images again that are up to date
    #[arg(long)]
    force: bool,
    /// Let Packer pause after each step
    #[arg(long)]
    debug: bool,
    /// What Packer does if a step fails
    #[arg(long, value_enum, value_name = "WHAT")]
    on_error: Option<OnError>,
    /// Show the screen of the virtual machine during the build
    #[arg(long)]
    foreground: bool,
    /// Write the provenance of each build as an in-toto statement with SLSA's predicate (docs/supply-chain.md)
    #[arg(long)]
    provenance: bool,
    /// The URI of who builds, for --provenance
    #[arg(long, value_name = "URI", requires = "provenance", value_parser = find_uri)]
    builder_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnError {
    /// Remove the unfinished image [the default]
    Cleanup,
    /// Keep everything for inspection
    Abort,
    /// Ask the user
    Ask,
    /// Run the template's cleanup provisioner, then stop
    RunCleanupProvisioner,
}

pub(super) fn run(cli: &Cli, args: &Build) -> Result<ExitCode, Failure> {
    let on_error = args
        .on_error
        .and_then(|what| what.to_possible_value())
        .map(|v| v.get_name().to_owned());
    let flags = Flags {
        debug: args.debug,
        on_error,
        foreground: args.foreground,
        force: args.force,
        builder: args.provenance.then(|| {
            let id = args.builder_id.as_deref();
            id.unwrap_or(build::BUILDER).to_owned()
        }),
    };
    if args.provenance && cli.checkout.is_some() {
        return Err(Failure(
            "a checkout's Makefile builds the image, and imgspec does not see its result: remove `--provenance`"
                .to_owned(),
        ));
    }
    let is_attended = args.debug || args.on_error == Some(OnError::Ask);
    if is_attended && args.place.jobs > 1 {
        return Err(Failure(
            "`--debug` and `--on-error ask` need the terminal for one image at a time: remove `--jobs`".to_owned(),
        ));
    }
    let action = if args.dry_run {
        Action::DryRun
    } else {
        Action::Build
    };
    install(cli, &args.place, args.install && !args.dry_run, args.yes)?;
    work(cli, &args.place, &flags, action)
}

/// Reads the argument of `--builder-id`.
fn find_uri(text: &str) -> Result<String, String> {
    let is_uri = Url::parse(text).is_ok() && !text.contains(|c: char| c.is_control() || c == ' ');
    let wanted = "write a URI, such as `https://ci.example.com/runners/1`";
    is_uri.then(|| text.to_owned()).ok_or(wanted.to_owned())
}

/// Installs programs if the user asked for it. A checkout's Makefile installs its own.
fn install(cli: &Cli, place: &Place, is_wanted: bool, is_sure: bool) -> Result<(), Failure> {
    if is_wanted && cli.checkout.is_none() {
        deps::install_for(cli, &place.selection, is_sure)?;
    }
    Ok(())
}

pub(super) fn validate(cli: &Cli, args: &Validate) -> Result<ExitCode, Failure> {
    install(cli, &args.place, args.install, args.yes)?;
    work(
        cli,
        &args.place,
        &Flags::default(),
        Action::Validate {
            install: args.install,
        },
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    DryRun,
    Validate {
        /// Whether a checkout's targets may install programs.
        install: bool,
    },
    Build,
}

/// Checks that imgspec's own templates and roles can build all images.
///
/// # Errors
/// For the first image that only Image Builder's can build.
fn expect_own_templates(made: &[(Artifacts, Account)], release: Release) -> Result<(), Failure> {
    let foreign = made
        .iter()
        .find_map(|(image, _)| match &image.build.template {
            TemplatePath::Upstream(template) => Some((&image.image, template)),
            _ => None,
        });
    match foreign {
        None => Ok(()),
        Some((image, template)) => Err(Failure(format!(
            "`{image}` needs Image Builder's own template {template}: name a checkout of {release} with `--in`, or compile the \
             image and give its var file to make"
        ))),
    }
}

/// Compiles the images, writes their files, and runs Packer on each.
fn work(cli: &Cli, place: &Place, flags: &Flags, action: Action) -> Result<ExitCode, Failure> {
    let selected = select(cli, &place.selection)?;
    selected.expect_known()?;
    let output = Output {
        dir: out(&cli.here, place.out.as_deref()),
        portable: false,
    };
    let checkout = match &cli.checkout {
        Some(folder) => Some(workspace::find_checkout(&cli.here.join(folder)).map_err(Failure)?),
        None if selected.program.is_adopted => {
            let message = "the library comes from an Image Builder checkout, and only its Makefile can build the images: name the checkout with `--in`";
            return Err(Failure(message.to_owned()));
        }
        None => None,
    };
    let (mut made, mut findings) = compile_to_build(&selected, &output, |made| made);
    // Another machine may have the role, but the build runs on this one.
    let is_missing = |found: &&mut Diagnostic| found.code == Code::UnknownRole;
    findings
        .shown
        .iter_mut()
        .filter(is_missing)
        .for_each(|found| found.severity = Severity::Error);
    report(cli, &selected.program, &findings);
    write_reports(cli, &selected.program, &findings)?;
    if !is_fine(&findings.shown) {
        return Ok(ExitCode::from(1));
    }
    if checkout.is_none() {
        expect_own_templates(&made, selected.program.edition.release)?;
    }
    if made.is_empty() {
        let message = if selected.is_json_alone {
            "name the image to build with these var files: `imgspec build IMAGE FILE.json`"
        } else {
            "no image to build: name one (`imgspec targets` lists them), or declare one in a spec"
        };
        return Err(Failure(message.to_owned()));
    }
    let mut hold = None;
    if action != Action::DryRun {
        let failed = |e: WriteError| cannot_write(&e, &cli.here);
        build::remove_leftovers();
        let stage = workspace::begin(&output).map_err(failed)?;
        hold = Some(take_hold(&mut made, &stage).map_err(failed)?);
        let eyes = Eyes::default();
        for (image, account) in &mut made {
            let mut files = image.to_files(&account.sight);
            eyes.identify(&mut files);
            let [_, _, (_, manifest)] = &files.files;
            image.manifest.clone_from(manifest);
            let folder = ImageFolder::of(&stage, &image.image);
            workspace::add_image(&stage, &files, folder).map_err(failed)?;
            let name = Path::new(&image.image).join(Provenance::FILE);
            let text = account.provenance.text();
            stage.add(&name, text.as_bytes(), 0o644).map_err(failed)?;
        }
        expect_unchanged(&selected.program, &cli.here)?;
        stage.commit().map_err(failed)?;
    }
    let is_busy = hold.as_ref().is_some_and(|hold| hold.is_busy);
    if let Some(root) = &checkout {
        return make(root, &made, &output, flags, action, is_busy);
    }
    let secrets = made
        .iter()
        .flat_map(|(image, _)| image.build.secret_environment.iter().cloned());
    let toolbox = toolbox(&cli.here).withhold(secrets);
    let interrupt = Interrupt::listen();
    let new = |(image, account)| {
        Job::new(
            (image, account),
            &output,
            flags,
            &toolbox,
            interrupt.clone(),
        )
        .map_err(|e| Failure(format!("cannot prepare a build: {e}")))
    };
    if action == Action::DryRun {
        let mut text = String::new();
        for (image, account) in &made {
            let _ = writeln!(text, "# {}", image.image);
            for command in new((image, account))?.commands().map_err(unprintable)? {
                let _ = writeln!(text, "{command}");
            }
        }
        print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let progress = Progress::new();
    let next = AtomicUsize::new(0);
    let first_failure: Mutex<Option<u8>> = Mutex::new(is_busy.then_some(2));
    let jobs: Vec<Job<'_>> = made
        .iter()
        .map(|(image, account)| new((image, account)))
        .collect::<Result<_, _>>()?;
    std::thread::scope(|scope| {
        for _ in 0..usize::from(place.jobs).min(jobs.len()) {
            scope.spawn(|| {
                while !interrupt.is_set()
                    && let at = next.fetch_add(1, Ordering::SeqCst)
                    && let (Some(job), Some((image, _))) = (jobs.get(at), made.get(at))
                {
                    let result = match action {
                        Action::Build => job.build(&progress),
                        _ => job.validate(&progress),
                    };
                    match result {
                        Ok(outcome) => tell(&progress, image, &output.dir, &cli.here, &outcome),
                        Err(failure) => {
                            progress.print(&failure_in_words(image, &failure, &cli.here));
                            let code = u8::try_from(failure.code)
                                .ok()
                                .filter(|c| *c > 0)
                                .unwrap_or(1);
                            if let Ok(mut first) = first_failure.lock() {
                                first.get_or_insert(code);
                            }
                        }
                    }
                }
            });
        }
    });
    let code = first_failure.into_inner().ok().flatten();
    Ok(code
        .or(interrupt.is_set().then_some(130))
        .map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// A command with a NUL character. No program can be started with it either.
fn unprintable(error: shlex::QuoteError) -> Failure {
    Failure(format!("cannot print a command: {error}"))
}

/// The locks that keep other runs of the program away from the cache and the images of this one.
struct Hold {
    _cache: Lock,
    _images: Vec<Lock>,
    /// Whether another run builds some of the images.
    is_busy: bool,
}

/// Locks the images. Removes those that another run builds from `made`, with a message for each.
///
/// # Errors
/// If a folder or a lock file cannot be made, or another run is removing the cache.
fn take_hold(made: &mut Vec<(Artifacts, Account)>, stage: &Stage) -> Result<Hold, WriteError> {
    let place = workspace::cache();
    let failed = |e| WriteError::new(&place, e);
    workspace::make_cache(&place).map_err(failed)?;
    let Some(cache) = Lock::to_use(&place).map_err(failed)? else {
        return Err(failed(std::io::Error::other(
            "another imgspec process is removing the cache",
        )));
    };
    let (mut images, mut free) = (Vec::new(), Vec::new());
    let count = made.len();
    for (image, account) in made.drain(..) {
        let folder = stage.folder().join(&image.image);
        let failed = |e| WriteError::new(&folder, e);
        if let Some(lock) = Lock::of_image(&folder).map_err(failed)? {
            images.push(lock);
            free.push((image, account));
            continue;
        }
        let holder = Lock::find_holder(&folder).map_err(failed)?.flatten();
        print_aside(&format!(
            "imgspec: {}: {} is building this image: wait for it, or stop it\n",
            image.image,
            workspace::name_holder(holder)
        ));
    }
    *made = free;
    Ok(Hold {
        _cache: cache,
        is_busy: images.len() < count,
        _images: images,
    })
}

/// Runs a checkout's Makefile to build or validate the images, one after the other. Stops at the first failure.
fn make(
    root: &Path,
    made: &[(Artifacts, Account)],
    output: &Output,
    flags: &Flags,
    action: Action,
    is_busy: bool,
) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::listen();
    for (image, _) in made {
        let target = image.build.make.clone().unwrap_or_default();
        let target = match action {
            // Image Builder's Makefile has a `validate-` target for each `build-` target.
            Action::Validate { .. } => target.replacen("build-", "validate-", 1),
            Action::Build | Action::DryRun => target,
        };
        let installers = workspace::find_installers(root, &target).map_err(Failure)?;
        let is_silent = matches!(action, Action::Validate { install: false });
        if !installers.is_empty() && action != Action::DryRun {
            print_aside(&format!(
                "imgspec: {}: {}\n",
                image.image,
                told(&installers, is_silent, root)
            ));
        }
        let run = MakeRun {
            root,
            target: &target,
            var_file: output.dir.join(&image.image).join("packer.vars.json"),
            role_folders: &image.build.role_folders,
            flags,
            done: if is_silent { &installers } else { &[] },
        };
        if action == Action::DryRun {
            let command = run.command().map_err(unprintable)?;
            print(&format!("# {}\n{command}\n", image.image))?;
            continue;
        }
        let code = run.run(&interrupt).map_err(|e| Failure(e.to_string()))?;
        if code != 0 || interrupt.is_set() {
            print_aside(&format!(
                "imgspec: {}: make {target} failed (exit code {code})\n",
                image.image
            ));
            return Ok(ExitCode::from(
                u8::try_from(code).ok().filter(|c| *c > 0).unwrap_or(130),
            ));
        }
    }
    Ok(if is_busy {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}

/// The message about the checkout's targets that install programs, printed before make runs.
fn told(installers: &[String], is_silent: bool, root: &Path) -> String {
    let names = installers.join(" ");
    if is_silent {
        format!(
            "no program is installed; to install missing ones, use `imgspec validate --install` or run `make {names}` in {}",
            root.display()
        )
    } else {
        format!(
            "make runs {names} first, which may install programs, also into your Python environment"
        )
    }
}

/// Prints the result of an image's build: a sentence on standard error, its files on standard output.
fn tell(progress: &Progress, image: &Artifacts, out: &Path, here: &Path, outcome: &Outcome) {
    let name = &image.image;
    let artifacts: &[Artifact] = match outcome {
        Outcome::Valid => {
            progress.print(&format!("{name}: valid"));
            return;
        }
        Outcome::UpToDate(record) => {
            progress.print(&format!(
                "{name}: up to date (use --force to build it again)"
            ));
            &record.artifacts
        }
        Outcome::Built(record, time) => {
            progress.print(&format!("{name}: built in {} s", time.as_secs()));
            &record.artifacts
        }
    };
    for artifact in artifacts {
        let path = out.join(name).join(&artifact.path);
        let path = shown(&path, here);
        let line = format!(
            "{path}  {} bytes  sha256:{}\n",
            artifact.size, artifact.sha256
        );
        if let Err(Failure(message)) = progress.suspend(|| print(&line)) {
            print_aside(&format!("imgspec: {message}\n"));
        }
    }
}

fn failure_in_words(image: &Artifacts, failure: &build::BuildFailure, here: &Path) -> String {
    let mut text = format!("imgspec: {}: {}", image.image, failure.message);
    for line in &failure.lines {
        let _ = write!(text, "\n    {line}");
    }
    if let Some(log) = &failure.log {
        let _ = write!(text, "\n  log: {}", shown(log, here));
    }
    text
}
