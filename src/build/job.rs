//! The build of one image: Packer's working folder, its runs and its artifacts.
//!
//! Packer runs in `OUT/IMAGE/work`, where `packer` and `ansible` are links to the unpacked templates and roles. After a
//! successful build the artifacts move to `OUT/IMAGE/output`, so that a build that fails or is stopped does not change the
//! last output.

use crate::build::Private;
use crate::build::artifacts::{self, Record};
use crate::build::inputs::{Inputs, see};
use crate::build::mask::Mask;
use crate::build::process::{Interrupt, MARK, run, stop_marked};
use crate::build::progress::{self, Display, Progress};
use crate::build::statement::{self, Start};
use crate::build::tools::{Found, Tool, Toolbox};
use crate::emit::{Account, Artifacts, OUT_ENV, Output, PackerRun, Provenance, TemplatePath};
use crate::source::hex;
use crate::workspace;
use shlex::{QuoteError, try_quote};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The programs that `packer validate` needs: Packer's Ansible provisioner looks for `ansible-playbook`.
const ESSENTIAL: [&str; 2] = ["packer", "ansible"];

/// The file in the working folder that says what the image is, in the form of `/etc/os-release`.
const RELEASE_FILE: &str = "imgspec-release";

/// Options of a build.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Packer pauses after each step.
    pub debug: bool,
    /// What Packer does if a step fails: `cleanup`, `abort`, `ask`, `run-cleanup-provisioner`.
    pub on_error: Option<String>,
    /// Show the screen of the virtual machine.
    pub foreground: bool,
    /// Build images again that are up to date.
    pub force: bool,
    /// Write the provenance of the build as a statement, with this ID of the builder.
    pub builder: Option<String>,
}

impl Flags {
    /// True if Packer asks questions, and needs the terminal.
    fn is_attended(&self) -> bool {
        self.debug || self.on_error.as_deref() == Some("ask")
    }
}

/// A failed build.
#[derive(Debug)]
pub struct BuildFailure {
    /// What failed, in one sentence.
    pub message: String,
    /// The lines of output that give the reason.
    pub lines: Vec<String>,
    /// Packer's exit code; 2 if Packer did not run, 130 if the user stopped it.
    pub code: i32,
    /// The file with the full output, if Packer ran.
    pub log: Option<PathBuf>,
}

impl BuildFailure {
    fn new(message: impl Into<String>) -> BuildFailure {
        BuildFailure {
            message: message.into(),
            lines: Vec::new(),
            code: 2,
            log: None,
        }
    }
}

impl From<io::Error> for BuildFailure {
    fn from(error: io::Error) -> BuildFailure {
        BuildFailure::new(error.to_string())
    }
}

/// A successful validation or build.
#[derive(Debug)]
pub enum Outcome {
    /// Packer accepts the files.
    Valid,
    /// The last build had the same inputs.
    UpToDate(Record),
    /// The image was built in this time.
    Built(Record, Duration),
}

/// The build of one image.
#[derive(Debug)]
pub struct Job<'a> {
    artifacts: &'a Artifacts,
    account: &'a Account,
    flags: &'a Flags,
    /// `OUT/IMAGE`
    folder: PathBuf,
    work: PathBuf,
    tools: BTreeMap<String, Option<Found>>,
    interrupt: Interrupt,
    /// Environment variables for Packer, in addition to the inherited ones.
    environment: Vec<(String, String)>,
    /// The value of [`MARK`] that marks the processes of this build.
    mark: String,
}

/// The log and the private folder of a running build.
struct Running {
    log: File,
    private: Private,
}

impl<'a> Job<'a> {
    /// Prepares the build of compiled files in the output folder.
    ///
    /// # Errors
    /// If the system provides no free port or no random numbers, or a folder's name contains a `:`.
    pub fn new(
        (artifacts, account): (&'a Artifacts, &'a Account),
        output: &Output,
        flags: &'a Flags,
        toolbox: &Toolbox,
        interrupt: Interrupt,
    ) -> io::Result<Job<'a>> {
        let folder = output.dir.join(&artifacts.image);
        let work = folder.join("work");
        let names = artifacts
            .build
            .tools
            .iter()
            .map(String::as_str)
            .chain(ESSENTIAL);
        let tools = toolbox.find_all(names);
        let mark = token()?;
        // The port is free now. Another program could take it before Packer does, but that is unlikely.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(
            std::iter::once(work.join("bin")).chain(std::env::split_paths(&path)),
        );
        let path = path
            .map_err(io::Error::other)?
            .to_string_lossy()
            .into_owned();
        let cache = workspace::cache();
        let role_folders = artifacts
            .build
            .role_folders
            .iter()
            .filter(|f| f.is_dir())
            .cloned();
        let role_folders = std::env::join_paths(role_folders.chain([work.join("ansible/roles")]));
        let role_folders = role_folders
            .map_err(io::Error::other)?
            .to_string_lossy()
            .into_owned();
        let environment = [
            ("ANSIBLE_ROLES_PATH", role_folders),
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            (MARK, mark.clone()),
            ("IMGSPEC_CACHE", cache.display().to_string()),
            (OUT_ENV, output.dir.display().to_string()),
            ("IMGSPEC_PORT", port.to_string()),
            (
                "IMGSPEC_PROVENANCE_FILE",
                folder.join(Provenance::FILE).display().to_string(),
            ),
            (
                "IMGSPEC_RELEASE_FILE",
                work.join(RELEASE_FILE).display().to_string(),
            ),
            ("IMGSPEC_TOKEN", token()?),
            (
                "PACKER_CACHE_DIR",
                cache.join("packer").display().to_string(),
            ),
            ("PATH", path),
        ];
        let environment = environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Ok(Job {
            artifacts,
            account,
            flags,
            folder,
            work,
            tools,
            interrupt,
            environment,
            mark,
        })
    }

    /// Runs `packer validate`.
    ///
    /// # Errors
    /// If a program is missing or too old, Packer refuses the files, or the user stops it.
    pub fn validate(&self, progress: &Progress) -> Result<Outcome, BuildFailure> {
        let display = progress.start(&self.artifacts.image);
        self.guarded(&ESSENTIAL, |running| self.validate_runs(&display, running))
            .map(|()| Outcome::Valid)
    }

    /// Builds the image, unless the last build had the same inputs.
    ///
    /// # Errors
    /// If an input or a program is missing, Packer fails, or the user stops it.
    pub fn build(&self, progress: &Progress) -> Result<Outcome, BuildFailure> {
        let seen = self.see()?;
        artifacts::recover(&self.folder)?;
        if let Some(record) = Record::read(&self.folder)
            .filter(|r| r.inputs == seen.inputs && r.is_whole(&self.folder))
            && !self.flags.force
            && (self.flags.builder.is_none() || statement::is_about(&self.folder, &record))
        {
            return Ok(Outcome::UpToDate(record));
        }
        let display = progress.start(&self.artifacts.image);
        let names: Vec<&str> = self.tools.keys().map(String::as_str).collect();
        let start = self.start()?;
        let record = self.guarded(&names, |running| {
            self.write_release(&seen.id)?;
            self.validate_runs(&display, running)?;
            for (at, packer_run) in self.artifacts.build.runs.iter().enumerate() {
                display.show(&self.run_in_words(at));
                self.packer(&self.build_arguments(packer_run), &display, running)?;
            }
            display.show("computing checksums");
            // It is about the output that is replaced now.
            statement::remove(&self.folder)?;
            let record = self.keep(seen)?;
            if let Some(start) = &start {
                let failed = |e: workspace::WriteError| BuildFailure::new(e.to_string());
                let written = start.write(&record, &self.tools, &self.folder);
                written.map_err(failed)?;
            }
            Ok(record)
        })?;
        Ok(Outcome::Built(record, display.elapsed()))
    }

    /// Notes the start of a build whose provenance is wanted.
    ///
    /// # Errors
    /// If the build leaves no artifact that a statement could be about.
    fn start(&self) -> Result<Option<Start>, BuildFailure> {
        let Some(builder) = &self.flags.builder else {
            return Ok(None);
        };
        if self.artifacts.build.artifact.is_none() {
            return Err(BuildFailure::new(format!(
                "the provider {} leaves no file on this machine that `--provenance` could be about: build without it",
                self.account.provenance.provider
            )));
        }
        let root = &self.account.sight.root;
        Ok(Some(Start::now(builder, token()?, root)))
    }

    /// Returns the commands of a build for a shell, beginning with `cd`.
    ///
    /// # Errors
    /// If a word contains a NUL character, which no command can.
    pub fn commands(&self) -> Result<Vec<String>, QuoteError> {
        let work = self.work.display().to_string();
        let mut out = vec![format!("cd {}", try_quote(&work)?)];
        let secret = ["IMGSPEC_TOKEN", MARK, "PATH"];
        let names = self
            .environment
            .iter()
            .filter(|(name, _)| !secret.contains(&name.as_str()));
        for (name, value) in names {
            out.push(format!("export {name}={}", try_quote(value)?));
        }
        let runs = &self.artifacts.build.runs;
        let validate = runs.iter().map(|run| self.validate_arguments(run));
        for arguments in validate.chain(runs.iter().map(|run| self.build_arguments(run))) {
            let words = shlex::try_join(arguments.iter().map(String::as_str))?;
            out.push(format!("packer {words}"));
        }
        Ok(out)
    }

    fn run_in_words(&self, at: usize) -> String {
        let runs = &self.artifacts.build.runs;
        match runs.get(at).map_or(&[][..], |run| &run.only) {
            [] => "packer build".to_owned(),
            only => format!(
                "packer build, {} ({} of {})",
                only.join(", "),
                at + 1,
                runs.len()
            ),
        }
    }

    /// Looks at what the build will see.
    ///
    /// # Errors
    /// If an input is missing.
    fn see(&self) -> io::Result<Inputs> {
        see(self.artifacts, self.account)
    }

    /// Writes the file that a role copies to the image, which says what the image is.
    fn write_release(&self, id: &str) -> io::Result<()> {
        let told = &self.account.provenance;
        let text = release_file(&[
            ("NAME", "imgspec"),
            ("IMAGE", &told.image),
            ("ID", id),
            ("RELEASE", &told.release),
            ("TARGET", &told.target),
            ("PROVIDER", &told.provider),
            ("IMGSPEC_VERSION", env!("CARGO_PKG_VERSION")),
        ]);
        workspace::replace(&self.work.join(RELEASE_FILE), text.as_bytes()).map_err(io::Error::other)
    }

    /// Prepares the working folder, calls `work`, stops all processes that it started, and removes the folder.
    fn guarded<T>(
        &self,
        tools: &[&str],
        work: impl FnOnce(&mut Running) -> Result<T, BuildFailure>,
    ) -> Result<T, BuildFailure> {
        self.check_tools(tools)?;
        let private = Private::new(&self.mark, &self.work)?;
        let log = self.prepare()?;
        let mut running = Running { log, private };
        let result = work(&mut running);
        stop_marked(&self.mark);
        drop(running);
        let is_kept = result.is_err() && self.flags.on_error.as_deref() == Some("abort");
        if !is_kept && let Err(error) = fs::remove_dir_all(&self.work) {
            return result.and(Err(BuildFailure::new(format!(
                "cannot remove {}: {error}",
                self.work.display()
            ))));
        }
        result
    }

    fn check_tools(&self, names: &[&str]) -> Result<(), BuildFailure> {
        let problems: Vec<String> = self
            .tools
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .filter_map(|(name, found)| match found {
                None => Some(format!("{name} is missing")),
                Some(found) if found.is_too_old => {
                    let oldest = Tool::named(name).and_then(|t| t.oldest).unwrap_or_default();
                    Some(format!(
                        "{name} {} is too old: {oldest} or later is required",
                        found.version
                    ))
                }
                Some(_) => None,
            })
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(BuildFailure::new(format!(
            "{} (`imgspec deps --install` installs most programs)",
            problems.join("; ")
        )))
    }

    /// Makes Packer's working folder and the log.
    fn prepare(&self) -> io::Result<File> {
        let shared = workspace::unpack(&workspace::cache())?;
        artifacts::recover(&self.folder)?;
        if self.work.exists() {
            fs::remove_dir_all(&self.work)?;
        }
        let bin = self.work.join("bin");
        fs::create_dir_all(&bin)?;
        // With --debug Packer writes keys to its working folder.
        fs::set_permissions(&self.work, fs::Permissions::from_mode(0o700))?;
        symlink(&shared.join("config"), &self.work.join("packer"))?;
        symlink(&shared.join("ansible"), &self.work.join("ansible"))?;
        for (name, found) in &self.tools {
            if let (Some(tool), Some(found)) = (Tool::named(name), found) {
                symlink(&found.path, &bin.join(tool.program))?;
            }
        }
        let path = self.log_path();
        // The programs of a build may print what nobody else should read. A file that another user has made is not used.
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
    }

    /// Hides the secrets that Packer gets in what it prints.
    fn mask(&self) -> Mask {
        Mask::of(self.artifacts)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("packer.log")
    }

    fn validate_runs(&self, display: &Display, running: &mut Running) -> Result<(), BuildFailure> {
        display.show("packer validate");
        for packer_run in &self.artifacts.build.runs {
            self.packer(&self.validate_arguments(packer_run), display, running)?;
        }
        Ok(())
    }

    fn validate_arguments(&self, packer_run: &PackerRun) -> Vec<String> {
        self.arguments(vec!["validate".to_owned()], packer_run)
    }

    fn build_arguments(&self, packer_run: &PackerRun) -> Vec<String> {
        let mut out = vec!["build".to_owned()];
        if !self.flags.is_attended() {
            out.push("-color=false".to_owned());
        }
        out.extend(self.flags.debug.then(|| "-debug".to_owned()));
        out.extend(
            self.flags
                .on_error
                .as_ref()
                .map(|what| format!("-on-error={what}")),
        );
        self.arguments(out, packer_run)
    }

    fn arguments(&self, mut out: Vec<String>, packer_run: &PackerRun) -> Vec<String> {
        for (flag, names) in [("only", &packer_run.only), ("except", &packer_run.except)] {
            out.extend((!names.is_empty()).then(|| format!("-{flag}={}", names.join(","))));
        }
        out.push("-var-file=../packer.vars.json".to_owned());
        for var in &packer_run.vars {
            out.extend(["-var".to_owned(), var.clone()]);
        }
        if self.flags.foreground {
            for var in &self.artifacts.build.foreground {
                out.extend(["-var".to_owned(), var.clone()]);
            }
        }
        out.push(match &self.artifacts.build.template {
            TemplatePath::BuiltIn(path) | TemplatePath::Upstream(path) => path.clone(),
            TemplatePath::Disk(path) => path.display().to_string(),
        });
        out
    }

    /// Runs Packer. An error contains the lines of its output that report errors.
    fn packer(
        &self,
        arguments: &[String],
        display: &Display,
        running: &mut Running,
    ) -> Result<(), BuildFailure> {
        let failed = |e: io::Error| BuildFailure::new(format!("cannot run packer: {e}"));
        let verb = arguments.first().map_or("", String::as_str);
        let mut command = Command::new(self.work.join("bin/packer"));
        command
            .args(arguments)
            .current_dir(&self.work)
            .envs(self.environment.iter().cloned());
        command.envs(running.private.environment());
        let log = &mut running.log;
        let mask = self.mask();
        let _ = writeln!(log, "$ packer {}", mask.apply(&arguments.join(" ")));
        let mut tail = Tail::default();
        let code = if verb == "build" && self.flags.is_attended() {
            command.status().map_err(failed)?.code().unwrap_or(1)
        } else {
            run(&mut command, &self.interrupt, |line| {
                let line: &str = &mask.apply(line);
                let _ = writeln!(log, "{line}");
                if let Some(stage) = progress::stage(line) {
                    display.show(&stage);
                    tail.stage = stage;
                }
                tail.add(line);
            })
            .map_err(failed)?
        };
        if self.interrupt.is_set() {
            return Err(BuildFailure {
                code: 130,
                ..BuildFailure::new("stopped")
            });
        }
        if code == 0 {
            return Ok(());
        }
        let place = if tail.stage.is_empty() {
            String::new()
        } else {
            format!(" at `{}`", tail.stage)
        };
        let message = format!("packer {verb} failed{place} (exit code {code})");
        Err(BuildFailure {
            code,
            lines: tail.lines(),
            log: Some(self.log_path()),
            ..BuildFailure::new(message)
        })
    }

    /// Moves the artifacts to the image's folder, and writes `build.json`.
    fn keep(&self, inputs: Inputs) -> io::Result<Record> {
        let pattern = self.artifacts.build.artifact.as_deref();
        let record = |artifacts, files| Record {
            build: 1,
            image: self.artifacts.image.clone(),
            id: inputs.id,
            inputs: inputs.inputs,
            artifacts,
            files,
            manifest: serde_json::from_str(&self.artifacts.manifest).unwrap_or_default(),
            seen: inputs.seen,
            provenance: serde_json::to_value(&self.account.provenance).unwrap_or_default(),
        };
        // The digest of the inputs includes the secrets: from it, a short one could be guessed.
        let is_secret =
            self.artifacts.is_secret() || !self.artifacts.build.secret_environment.is_empty();
        artifacts::keep(&self.work, &self.folder, pattern, is_secret, record)
    }
}

/// The errors and the last lines of a program's output.
#[derive(Debug, Default)]
struct Tail {
    stage: String,
    errors: Vec<String>,
    last: Vec<String>,
}

impl Tail {
    const LENGTH: usize = 12;

    fn add(&mut self, line: &str) {
        if progress::reports_error(line) {
            self.errors.push(line.to_owned());
        }
        if !line.trim().is_empty() {
            self.last.push(line.to_owned());
        }
        for lines in [&mut self.errors, &mut self.last] {
            if lines.len() > Self::LENGTH {
                lines.remove(0);
            }
        }
    }

    /// Returns the lines that report errors, or if there are none, the last lines.
    fn lines(&self) -> Vec<String> {
        let lines = if self.errors.is_empty() {
            &self.last
        } else {
            &self.errors
        };
        lines
            .iter()
            .flat_map(|line| progress::readable(line))
            .collect()
    }
}

/// Returns a text in the form of `/etc/os-release`, which a shell can read.
fn release_file(entries: &[(&str, &str)]) -> String {
    let quoted = |text: &str| {
        let mut out = String::new();
        for c in text.chars().filter(|c| !c.is_control()) {
            if "\"\\$`".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    let lines = entries
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"\n", quoted(value)));
    lines.collect()
}

/// Returns 128 random bits in hexadecimal.
///
/// # Errors
/// If the system provides no random numbers.
pub(super) fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(hex(&bytes))
}

fn symlink(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}
