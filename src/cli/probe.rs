//! `imgspec probe`

use crate::build::{self, Interrupt, Mask, Record, is_current};
use crate::cli::place::{cannot_write, out, shown};
use crate::cli::report::{compile_to_build, format, is_fine, report};
use crate::cli::select::{Selected, select};
use crate::cli::{Cli, Failure, Format, Selection, print, print_aside};
use crate::diagnostic::{Code, Diagnostic, json_text};
use crate::driver;
use crate::emit::{Account, Artifacts, Output};
use crate::eval::{Image, ProbePlan, ProbeTask, evaluate};
use crate::image::{
    Checked, Disk, Limits, StartFailure, Started, Suite, System, Verdict, check, junit,
};
use crate::source::{normalize, visible_line};
use crate::workspace;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct Probe {
    #[command(flatten)]
    selection: Selection,
    /// The output folder, with a folder for each image [default: build at the project's root]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// An image elsewhere: the disk of a machine, a tar file, or a folder with the files of a system
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
    /// Write the results to this file as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// Print the commands without running them
    #[arg(long, conflicts_with_all = ["junit", "json", "disk"])]
    dry_run: bool,
    /// Also list the probes that do not concern the image
    #[arg(long)]
    verbose: bool,
    /// Boot the image as a virtual machine with its own kernel, instead of a container
    #[arg(long)]
    machine: bool,
    /// How long an image may take to be ready, and to boot
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// How long each command may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    command_timeout: u64,
}

/// The probes of an image, as `probe --json` prints them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProbedImage")]
pub(super) struct JsonProbed {
    /// The image's name.
    image: String,
    /// The file or folder that was checked.
    disk: String,
    /// The spec has changed since the image was built. Null for `--disk`, and if an input is missing.
    changed: Option<bool>,
    /// The probes, the library's first.
    probes: Vec<JsonProbe>,
}

/// A probe, as `probe --json` prints it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Probe")]
pub(super) struct JsonProbe {
    /// Its name.
    name: String,
    /// What it checks.
    title: String,
    /// `passed`, `failed`, `skipped` or `not concerned`.
    result: &'static str,
    /// What was found, or the reason; empty where nothing has to be said.
    found: String,
    /// The command with its arguments. Null if none was run.
    command: Option<Vec<String>>,
    /// `files`, `container` or `machine`: how it was run. Null if it was not.
    started: Option<&'static str>,
    /// How long the command has taken; 0 in a machine.
    seconds: f64,
    /// Where the setting is that a failure is about: a file and a line. Null without a failure.
    place: Option<String>,
}

/// An image that has been checked.
struct Probed<'p> {
    image: &'p str,
    disk: Disk,
    changed: Option<bool>,
    plans: Vec<ProbePlan<'p>>,
    checked: Vec<Checked<'p>>,
    /// For each probe, the place that a failure is about.
    places: Vec<String>,
}

pub(super) fn run(cli: &Cli, args: &Probe) -> Result<ExitCode, Failure> {
    let selected = select(cli, &args.selection)?;
    selected.expect_known()?;
    if selected.images.is_empty() && is_fine(&selected.program.diagnostics) {
        return Err(Failure("name an image: `imgspec probe IMAGE`".to_owned()));
    }
    if args.disk.is_some() && selected.images.len() > 1 {
        let message = "`--disk` names one image: name its spec, too, with `imgspec probe IMAGE`";
        return Err(Failure(message.to_owned()));
    }
    let output = Output {
        dir: out(&cli.here, args.out.as_deref()),
        portable: false,
    };
    let (artifacts, findings) = compile_to_build(&selected, &output, |made| made);
    if !is_fine(&findings.shown) {
        report(cli, &selected.program, &findings);
        return Ok(ExitCode::from(1));
    }
    let mut images = Vec::with_capacity(selected.images.len());
    for id in &selected.images {
        images.extend(evaluate(&selected.program, *id, selected.provider));
    }
    if args.dry_run {
        return print_commands(&images, args.verbose);
    }
    build::remove_leftovers();
    let interrupt = Interrupt::listen();
    let (mut found, mut all) = (Vec::new(), Vec::new());
    let mut is_whole = true;
    for image in &images {
        let artifacts = artifacts.iter().find(|(a, _)| a.image == image.name());
        let result = probe(cli, args, image, artifacts, &output, &interrupt, &mut found);
        match result {
            Ok(probed) => all.push(probed),
            Err(StartFailure(message)) => {
                is_whole = false;
                print_aside(&format!("imgspec: {}: {message}\n", image.name()));
            }
        }
        if interrupt.is_set() {
            return Ok(ExitCode::from(130));
        }
    }
    print_all(cli, args, &selected, found, &all)?;
    let has_failed = all
        .iter()
        .any(|probed| count(&probed.checked, Verdict::Failed) > 0);
    Ok(ExitCode::from(match (is_whole, has_failed) {
        (false, _) => 2,
        (true, has_failed) => u8::from(has_failed),
    }))
}

/// Runs the probes of an image. Adds the diagnostics of those that fail to `found`.
fn probe<'p>(
    cli: &Cli,
    args: &Probe,
    image: &Image<'p>,
    made: Option<&(Artifacts, Account)>,
    output: &Output,
    interrupt: &Interrupt,
    found: &mut Vec<Diagnostic>,
) -> Result<Probed<'p>, StartFailure> {
    let (disk, changed) = match &args.disk {
        Some(path) => (find_disk(&cli.here, path)?, None),
        None => find_built(image, made, output)?,
    };
    if changed == Some(true) {
        print_aside(&format!(
            "imgspec: {0}: its sources have changed since it was built; `imgspec build {0}` builds it again\n",
            image.name()
        ));
    }
    let mask = made
        .map(|(artifacts, _)| Mask::of(artifacts))
        .unwrap_or_default();
    let limits = Limits {
        start: Duration::from_secs(args.timeout),
        command: Duration::from_secs(args.command_timeout),
    };
    let hide = |text: &str| {
        let lines: Vec<_> = text.lines().map(|line| mask.apply(line)).collect();
        lines.join("\n")
    };
    let plans = image.probes();
    let system = if args.machine {
        System::Machine
    } else {
        System::Container
    };
    let checked = check(&plans, &disk, system, limits, interrupt, &hide)
        .map_err(|StartFailure(reason)| StartFailure(hide(&reason)))?;
    let sources = &image.program.sources;
    let mut places = Vec::with_capacity(checked.len());
    for one in &checked {
        let mut place = String::new();
        if one.answer.verdict == Verdict::Failed {
            let diagnostic = image.report_probe(one.probe, &one.answer.found);
            let span = diagnostic.primary.span;
            let line = sources.position(span.file, span.start).line;
            place = format!("{}:{line}", sources.name(span.file));
            found.push(diagnostic);
        }
        places.push(place);
    }
    Ok(Probed {
        image: image.name(),
        disk,
        changed,
        plans,
        checked,
        places,
    })
}

fn find_disk(here: &Path, path: &Path) -> Result<Disk, StartFailure> {
    let absolute = normalize(&here.join(path));
    if !absolute.exists() {
        let path = path.display();
        return Err(StartFailure(format!("no such file or folder: {path}")));
    }
    Disk::find(&absolute).ok_or_else(|| {
        StartFailure(format!(
            "{} has an unknown form: name a folder, or a file that ends with .qcow2, .raw, .img, .vmdk, .vhd, .vdi or .tar",
            path.display()
        ))
    })
}

/// Finds the result of an image's last build, and whether its sources have changed since.
fn find_built(
    image: &Image<'_>,
    made: Option<&(Artifacts, Account)>,
    output: &Output,
) -> Result<(Disk, Option<bool>), StartFailure> {
    let name = image.name();
    let folder = output.dir.join(name);
    let record = Record::read(&folder).ok_or_else(|| {
        StartFailure(format!(
            "it is not built: run `imgspec build {name}`, or name a file with `--disk`"
        ))
    })?;
    if !record.is_whole(&folder) {
        return Err(StartFailure(format!(
            "files of its last build are missing: `imgspec build {name}` builds it again"
        )));
    }
    let paths = record.artifacts.iter().map(|a| folder.join(&a.path));
    let disk = paths
        .filter(|path| path.is_file())
        .find_map(|path| Disk::find(&path));
    let disk = disk.ok_or_else(|| {
        let provider = &image.program.provider(image.provider).name;
        StartFailure(format!(
            "the images of the provider `{provider}` cannot be started here: start one there, and run the commands of \
             `imgspec probe {name} --dry-run` in it"
        ))
    })?;
    let is_current = made.and_then(|(artifacts, account)| is_current(&record, artifacts, account));
    Ok((disk, is_current.map(|is_current| !is_current)))
}

/// Prints diagnostics and results, and writes the file of `--junit`.
fn print_all(
    cli: &Cli,
    args: &Probe,
    selected: &Selected,
    found: Vec<Diagnostic>,
    all: &[Probed<'_>],
) -> Result<(), Failure> {
    let mut findings = driver::conclude(&selected.program, found, false);
    findings
        .shown
        .retain(|found| found.code == Code::ProbeFailed);
    if !findings.shown.is_empty() {
        report(cli, &selected.program, &findings);
    }
    if let Some(path) = &args.junit {
        let suites: Vec<_> = all.iter().map(Probed::suite).collect();
        let text =
            junit(&suites).map_err(|e| Failure(format!("cannot write the results as XML: {e}")))?;
        workspace::replace(&normalize(&cli.here.join(path)), text.as_bytes())
            .map_err(|e| cannot_write(&e, &cli.here))?;
    }
    if args.json || format(cli) == Format::Json {
        let images: Vec<_> = all.iter().map(Probed::json).collect();
        return print(&json_text(&images));
    }
    let mut text = String::new();
    for probed in all {
        probed.push_table(&cli.here, args.verbose, &mut text);
    }
    print(&text)
}

impl<'p> Probed<'p> {
    fn suite(&self) -> Suite<'_, 'p> {
        Suite {
            image: self.image,
            checked: &self.checked,
            places: &self.places,
        }
    }

    fn json(&self) -> JsonProbed {
        let probes = self.checked.iter().zip(&self.plans).zip(&self.places);
        let probes = probes.map(|((checked, plan), place)| JsonProbe {
            name: checked.probe.name.to_string(),
            title: checked.probe.title(),
            result: checked.answer.verdict.as_str(),
            found: checked.answer.found.clone(),
            command: match &plan.task {
                ProbeTask::Run { command, .. } if checked.started.is_some() => {
                    Some(command.clone())
                }
                _ => None,
            },
            started: checked.started.map(|started| match started {
                Started::Files => "files",
                Started::Booted(System::Container) => "container",
                Started::Booted(System::Machine) => "machine",
            }),
            seconds: (checked.time.as_secs_f64() * 1000.0).round() / 1000.0,
            place: (!place.is_empty()).then(|| place.clone()),
        });
        JsonProbed {
            image: self.image.to_owned(),
            disk: self.disk.path.display().to_string(),
            changed: self.changed,
            probes: probes.collect(),
        }
    }

    /// Writes a line for each probe, and how many have passed.
    fn push_table(&self, here: &Path, is_verbose: bool, out: &mut String) {
        let _ = writeln!(out, "{}: {}", self.image, shown(&self.disk.path, here));
        let is_shown =
            |checked: &&Checked<'_>| is_verbose || checked.answer.verdict != Verdict::Unconcerned;
        let rows = || self.checked.iter().filter(is_shown);
        let width = |text: &str| text.chars().count();
        let results = rows().map(|row| width(row.answer.verdict.as_str()));
        let titles = rows()
            .filter(|row| !row.answer.found.is_empty())
            .map(|row| width(&row.probe.title()));
        let (results, titles) = (results.max().unwrap_or(0), titles.max().unwrap_or(0));
        for row in rows() {
            let line = format!(
                "  {:results$}  {:titles$}  {}",
                row.answer.verdict.as_str(),
                row.probe.title(),
                visible_line(row.answer.summary())
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        let counts = [Verdict::Passed, Verdict::Failed, Verdict::Skipped]
            .map(|verdict| format!("{} {}", count(&self.checked, verdict), verdict.as_str()));
        let _ = writeln!(out, "{}\n", counts.join(", "));
    }
}

fn count(checked: &[Checked<'_>], verdict: Verdict) -> usize {
    let all = checked.iter();
    all.filter(|one| one.answer.verdict == verdict).count()
}

/// Prints what the probes of images run, for a shell.
fn print_commands(images: &[Image<'_>], is_verbose: bool) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    for image in images {
        let _ = writeln!(text, "# {}", image.name());
        for plan in image.probes() {
            let title = plan.probe.title();
            match &plan.task {
                ProbeTask::Run {
                    command, output, ..
                } => {
                    let system = if plan.probe.boots { ", booted" } else { "" };
                    let _ = writeln!(text, "# {title} ({}{system})", plan.probe.name);
                    let words: Vec<String> = command.iter().map(|word| quote(word)).collect();
                    let _ = writeln!(text, "{}", words.join(" "));
                    if let Some(output) = output {
                        let _ = writeln!(text, "# it must print {output}");
                    }
                }
                ProbeTask::Skip(reason) => {
                    let _ = writeln!(text, "# {title} ({}): skipped: {reason}", plan.probe.name);
                }
                ProbeTask::Unconcerned if is_verbose => {
                    let _ = writeln!(text, "# {title} ({}): not concerned", plan.probe.name);
                }
                ProbeTask::Unconcerned => {}
            }
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a word for a shell. Unlike `shlex`, it leaves a script readable.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
