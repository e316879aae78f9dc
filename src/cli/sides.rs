//! Where the images of a state come from: the project, a process in another folder, or what builds have made. A state of an
//! image has all its values, so that only few are in memory at the same time.

use crate::cli::report::{compile_to_build, is_fine, report};
use crate::cli::select::{Selected, select};
use crate::cli::{Cli, Failure, Selection, print_bytes, whence};
use crate::emit::{Account, Artifacts, Output, Provenance, position};
use crate::project::hir::{LayerKind, SectionId, linearize};
use crate::review::{Keys, Lines, Outline, Side, State, Unused};
use crate::workspace::{self, Eyes};
use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// The images that a command compares.
pub(super) enum Wanted {
    All,
    /// Names, and globs such as `nightly-*`.
    Named(Vec<(String, Option<GlobMatcher>)>),
    These(BTreeSet<String>),
}

impl Wanted {
    /// The images that arguments name; all if there are no arguments.
    pub(super) fn new(arguments: &[String]) -> Wanted {
        if arguments.is_empty() {
            return Wanted::All;
        }
        let matcher = |name: &String| Glob::new(name).ok().map(|glob| glob.compile_matcher());
        let named = arguments.iter().map(|name| (name.clone(), matcher(name)));
        Wanted::Named(named.collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Named(all) => all.iter().any(|(named, glob)| {
                named == name || glob.as_ref().is_some_and(|glob| glob.is_match(name))
            }),
            Wanted::These(names) => names.contains(name),
        }
    }
}

/// The images of a project, which are evaluated again when they are compared.
pub(super) struct Project {
    selected: Selected,
    output: Output,
    eyes: Eyes,
    ids: BTreeMap<String, SectionId>,
}

impl Project {
    /// Outlines the images of the project around the current folder, or of what `inputs` name. None if a spec has an error,
    /// which is reported.
    pub(super) fn outline(
        cli: &Cli,
        set: &[String],
        inputs: Vec<String>,
        wanted: &Wanted,
    ) -> Result<Option<(Project, Side)>, Failure> {
        let selection = Selection {
            inputs,
            set: set.to_vec(),
            ..Selection::default()
        };
        let selected = select(cli, &selection)?;
        let output = Output {
            dir: workspace::project_root(&cli.here).join("build"),
            portable: true,
        };
        let eyes = Eyes::default();
        let lines = Mutex::new(Lines::default());
        let take = |(artifacts, account): (Artifacts, Account)| {
            if !wanted.has(&artifacts.image) {
                return Ok(None);
            }
            let (name, state) = state(artifacts, account, &eyes)?;
            lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(&state);
            Ok(Some((name, state.outline())))
        };
        let (images, findings) = compile_to_build(&selected, &output, take);
        if !is_fine(&findings.shown) {
            report(cli, &selected.program, &findings);
            return Ok(None);
        }
        let images: Vec<Option<(String, Outline)>> =
            images.into_iter().collect::<Result<_, Failure>>()?;
        let side = Side {
            images: images.into_iter().flatten().collect(),
            lines: lines.into_inner().unwrap_or_else(PoisonError::into_inner),
            unused: unused(&selected),
        };
        let sections = &selected.program.sections;
        let ids = selected.images.iter();
        let ids = ids
            .map(|id| (sections[*id].name.to_string(), *id))
            .collect();
        let project = Project {
            selected,
            output,
            eyes,
            ids,
        };
        Ok(Some((project, side)))
    }

    /// The names of all its images.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(String::as_str)
    }

    /// Evaluates images again. An image that the project does not have comes to nothing.
    ///
    /// # Errors
    /// If a file that a value names cannot be read.
    pub(super) fn states(&mut self, names: &[String]) -> Result<Vec<State>, Failure> {
        let known = names.iter().filter_map(|name| self.ids.get(name)).copied();
        self.selected.images = known.collect();
        let take = |(artifacts, account)| state(artifacts, account, &self.eyes);
        let (made, _) = compile_to_build(&self.selected, &self.output, take);
        let mut states = made
            .into_iter()
            .collect::<Result<BTreeMap<_, _>, Failure>>()?;
        let states = names.iter().map(|name| states.remove(name));
        Ok(states.map(Option::unwrap_or_default).collect())
    }
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
///
/// # Errors
/// If the argument names nothing, or what it names has no provenance.
pub(super) fn built(cli: &Cli, named: &str) -> Result<(String, State), Failure> {
    let (provenance, id): (Provenance, Option<String>) = whence::find_and_read(cli, named)?;
    let name = provenance.image.clone();
    let state = State {
        id,
        provenance: Some(provenance),
        ..State::default()
    };
    Ok((name, state))
}

/// A line of what the process prints: all names, an outline of each image, their settings and those that no image has. Then the
/// states of the images that each line of its input names.
#[derive(Serialize, Deserialize)]
enum Line {
    Names(Vec<String>),
    Image(String, Box<Outline>),
    Settings(Keys),
    Unused(Vec<Unused>),
    State(Box<State>),
}

/// Prints the images of the project around the current folder, for the process that compares.
///
/// # Errors
/// If they cannot be found.
pub(super) fn print_own(cli: &Cli, set: &[String], wanted: &Wanted) -> Result<bool, Failure> {
    let Some((mut project, side)) = Project::outline(cli, set, Vec::new(), wanted)? else {
        return Ok(false);
    };
    let print = |line: &Line| {
        let line = serde_json::to_string(line).map_err(|e| Failure(e.to_string()))?;
        print_bytes(&(line + "\n"))
    };
    print(&Line::Names(project.names().map(str::to_owned).collect()))?;
    for (name, outline) in side.images {
        print(&Line::Image(name, Box::new(outline)))?;
    }
    print(&Line::Settings(side.lines.keys()))?;
    print(&Line::Unused(side.unused))?;
    for request in std::io::stdin().lines() {
        let request = request.map_err(|e| Failure(e.to_string()))?;
        let names: Vec<String> =
            serde_json::from_str(&request).map_err(|e| Failure(e.to_string()))?;
        for state in project.states(&names)? {
            print(&Line::State(Box::new(state)))?;
        }
    }
    Ok(true)
}

/// A process that finds the images of a state.
pub(super) struct Child {
    process: std::process::Child,
    requests: Option<ChildStdin>,
    answers: Option<BufReader<ChildStdout>>,
}

/// The outline of its state.
#[derive(Default)]
pub(super) struct Outlined {
    pub side: Side,
    /// The names of all images.
    pub names: Vec<String>,
}

/// A process that has not yet printed the outline.
pub(super) struct Starting {
    process: std::process::Child,
    outline: JoinHandle<Result<(Outlined, BufReader<ChildStdout>), String>>,
    errors: JoinHandle<String>,
}

impl Starting {
    /// Starts a command with pipes.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn new(command: &mut Command) -> std::io::Result<Starting> {
        let mut process = command.spawn()?;
        let (output, errors) = (process.stdout.take(), process.stderr.take());
        Ok(Starting {
            process,
            // Its output is read at once, so that it does not wait for this process.
            outline: std::thread::spawn(move || {
                let mut output = BufReader::new(output.ok_or_else(String::new)?);
                Ok((read_outline(&mut output)?, output))
            }),
            errors: std::thread::spawn(move || {
                let read = errors.map(std::io::read_to_string);
                read.and_then(Result::ok).unwrap_or_default()
            }),
        })
    }

    /// Waits for the outline.
    ///
    /// # Errors
    /// If the state has errors.
    pub(super) fn finish(mut self) -> Result<(Child, Outlined), Failure> {
        let outline = self.outline.join();
        match outline.unwrap_or_else(|_| Err("its process ended".to_owned())) {
            Ok((outlined, answers)) => {
                let child = Child {
                    requests: self.process.stdin.take(),
                    process: self.process,
                    answers: Some(answers),
                };
                Ok((child, outlined))
            }
            Err(reason) => {
                drop(self.process.stdin.take());
                let _ = self.process.wait();
                let errors = self.errors.join().unwrap_or_default();
                let errors = errors.trim().trim_start_matches("imgspec: ");
                Err(failed(if errors.is_empty() { &reason } else { errors }))
            }
        }
    }
}

fn failed(reason: &str) -> Failure {
    Failure(format!("the old state has errors:\n{reason}"))
}

/// Reads a line of the process.
fn read_line(output: &mut BufReader<ChildStdout>) -> Result<Line, String> {
    let mut line = String::new();
    if output.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
        return Err("its process ended".to_owned());
    }
    serde_json::from_str(&line).map_err(|e| e.to_string())
}

fn read_outline(output: &mut BufReader<ChildStdout>) -> Result<Outlined, String> {
    let mut out = Outlined::default();
    loop {
        match read_line(output)? {
            Line::Names(names) => out.names = names,
            Line::Image(name, outline) => {
                out.side.images.insert(name, *outline);
            }
            Line::Settings(keys) => out.side.lines = keys.into(),
            Line::Unused(unused) => {
                out.side.unused = unused;
                return Ok(out);
            }
            Line::State(_) => return Err("it printed a state too early".to_owned()),
        }
    }
}

impl Child {
    /// Asks for the states of images. The process finds them while this one continues.
    fn ask(&mut self, names: &[String]) -> Result<(), Failure> {
        let names = serde_json::to_string(names).map_err(|e| failed(&e.to_string()))?;
        let requests = self.requests.as_mut();
        let sent = requests.map_or(Ok(()), |requests| writeln!(requests, "{names}"));
        sent.map_err(|e| failed(&e.to_string()))
    }

    /// Reads the next state that was asked for.
    fn answer(&mut self) -> Result<State, Failure> {
        match self.answers.as_mut().map(read_line) {
            Some(Ok(Line::State(state))) => Ok(*state),
            Some(Err(reason)) => Err(failed(&reason)),
            _ => Err(failed("it printed no state")),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It ends with its input, and does not wait for a reader.
        drop((self.requests.take(), self.answers.take()));
        let _ = self.process.wait();
    }
}

/// Where the states of images come from.
pub(super) enum Source<'c> {
    Kept(BTreeMap<String, State>),
    /// The folders of builds, by the names of the images.
    Builds(&'c Cli, BTreeMap<String, String>),
    Child(Child),
}

impl Source<'_> {
    /// Begins to find the states of images.
    ///
    /// # Errors
    /// If the process of the old state has ended.
    pub(super) fn ask(&mut self, names: &[String]) -> Result<(), Failure> {
        match self {
            Source::Child(child) => child.ask(names),
            _ => Ok(()),
        }
    }

    /// Finds the next state of those that were asked for. An image that is not there comes to nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn answer(&mut self, name: &str) -> Result<State, Failure> {
        match self {
            Source::Kept(states) => Ok(states.remove(name).unwrap_or_default()),
            Source::Builds(cli, folders) => match folders.get(name) {
                Some(folder) => Ok(built(cli, folder)?.1),
                None => Ok(State::default()),
            },
            Source::Child(child) => child.answer(),
        }
    }
}
