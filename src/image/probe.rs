//! Running the probes of an image, and what their commands say.

use crate::build::{Interrupt, Private};
use crate::eval::{ProbePlan, ProbeTask};
use crate::image::boot::{Disk, Guest, Ran, Start, StartFailure, TOOLS, find};
use crate::image::machine::run_in_machine;
use crate::project::hir::Probe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The exit code with which a command states that it cannot check anything, as Automake's tests do.
const SKIP: i32 = 77;
/// The part of an output that is reported.
const MOST_FOUND: usize = 2000;

/// How long an image may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To be ready for commands, and to boot.
    pub start: Duration,
    /// For each command.
    pub command: Duration,
}

/// As what an image's system is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// A container, with the kernel of this machine.
    Container,
    /// A virtual machine, with its own kernel.
    Machine,
}

/// The result of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The image has what the probe expects.
    Passed,
    /// It does not.
    Failed,
    /// The probe was not run, or could not check anything.
    Skipped,
    /// The probe does not concern the image.
    Unconcerned,
}

impl Verdict {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Skipped => "skipped",
            Verdict::Unconcerned => "not concerned",
        }
    }
}

/// A result, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The result.
    pub verdict: Verdict,
    /// What was found, or the reason; empty where nothing has to be said.
    pub found: String,
}

impl Answer {
    fn new(verdict: Verdict, found: impl Into<String>) -> Answer {
        Answer {
            verdict,
            found: found.into(),
        }
    }

    /// Returns the first line of what was found.
    pub fn summary(&self) -> &str {
        self.found.lines().next().unwrap_or_default()
    }
}

/// How the command of a probe has been run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// With the image's files, and without its system.
    Files,
    /// In the system, which was booted so.
    Booted(System),
}

/// A probe that has been run, or not.
#[derive(Debug)]
pub struct Checked<'p> {
    /// The probe.
    pub probe: &'p Probe,
    /// Its result.
    pub answer: Answer,
    /// How its command was run; none if it was not.
    pub started: Option<Started>,
    /// How long its command has taken.
    pub time: Duration,
}

/// Runs the probes of an image. First those that need only its files, then, in the booted system, all others. `hide` removes
/// secrets from what commands print; `tell` gets each result.
///
/// # Errors
/// If the image cannot be read. A system that does not boot is the reason why probes are skipped.
pub fn check<'p>(
    plans: &[ProbePlan<'p>],
    disk: &Disk,
    system: System,
    limits: Limits,
    interrupt: &Interrupt,
    hide: &dyn Fn(&str) -> String,
) -> Result<Vec<Checked<'p>>, StartFailure> {
    let mut checked: Vec<Checked<'p>> = plans.iter().map(at_rest).collect();
    let private = Private::new("", Path::new(""))?;
    let brought = find_brought(plans);
    let start = Start {
        disk,
        private: &private,
        brought: &brought,
        timeout: limits.start,
        interrupt,
    };
    for started in [Started::Files, Started::Booted(system)] {
        let is_booted = started != Started::Files;
        let wanted = |plan: &ProbePlan<'_>| {
            missing_file(plan).is_none()
                && matches!(plan.task, ProbeTask::Run { .. })
                && plan.probe.boots == is_booted
        };
        if !plans.iter().any(wanted) || interrupt.is_set() {
            continue;
        }
        let all = checked.iter_mut().zip(plans);
        let mut runs: Vec<_> = all
            .filter(|(_, plan)| wanted(plan))
            .filter_map(|(checked, plan)| match &plan.task {
                ProbeTask::Run {
                    command, output, ..
                } => Some((checked, command.as_slice(), output.as_deref())),
                _ => None,
            })
            .collect();
        let mut settle = |at: usize, ran: &Ran, time: Duration| {
            let Some((checked, command, output)) = runs.get_mut(at) else {
                return;
            };
            let mut answer = judge(command, *output, ran, limits.command);
            answer.found = hide(&answer.found);
            checked.answer = answer;
            checked.started = Some(started);
            checked.time = time;
        };
        let commands: Vec<&[String]> = plans
            .iter()
            .filter(|plan| wanted(plan))
            .filter_map(|plan| match &plan.task {
                ProbeTask::Run { command, .. } => Some(command.as_slice()),
                _ => None,
            })
            .collect();
        let run_each = |guest: Guest, settle: &mut dyn FnMut(usize, &Ran, Duration)| {
            for (at, command) in commands.iter().enumerate() {
                let since = Instant::now();
                let ran = guest.run(command, limits.command, interrupt);
                if interrupt.is_set() {
                    break;
                }
                settle(at, &ran, since.elapsed());
            }
        };
        let result = match started {
            Started::Files => {
                run_each(Guest::enter(start)?, &mut settle);
                Ok(())
            }
            Started::Booted(System::Container) => {
                Guest::boot(start).map(|guest| run_each(guest, &mut settle))
            }
            Started::Booted(System::Machine) => run_in_machine(start, &commands, limits.command)
                .map(|all| {
                    for (at, ran) in all.iter().enumerate() {
                        settle(at, ran, Duration::ZERO);
                    }
                }),
        };
        if let Err(StartFailure(reason)) = result {
            let reason = hide(&format!("it needs the booted system: {reason}"));
            for (checked, ..) in &mut runs {
                checked.answer = Answer::new(Verdict::Skipped, reason.clone());
            }
        }
    }
    Ok(checked)
}

/// The first file of this machine that a probe needs and that is not there.
fn missing_file<'a>(plan: &'a ProbePlan<'_>) -> Option<&'a str> {
    let ProbeTask::Run { files, .. } = &plan.task else {
        return None;
    };
    let is_missing = |file: &&String| !Path::new(file).is_absolute() || !Path::new(file).exists();
    files.iter().find(is_missing).map(String::as_str)
}

/// Finds the files and programs of this machine that probes need, each with its place in the image. A program that is not on
/// this machine is left out: the image may have it.
fn find_brought(plans: &[ProbePlan<'_>]) -> Vec<(PathBuf, PathBuf)> {
    let mut out: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut add = |from: PathBuf, to: PathBuf| {
        if !out.iter().any(|(_, known)| *known == to) {
            out.push((from, to));
        }
    };
    for plan in plans.iter().filter(|plan| missing_file(plan).is_none()) {
        let ProbeTask::Run { files, .. } = &plan.task else {
            continue;
        };
        for file in files.iter().map(PathBuf::from) {
            add(file.clone(), file);
        }
        for tool in &plan.probe.tools {
            if let Ok(path) = find(tool) {
                add(path, Path::new(TOOLS).join(tool.as_str()));
            }
        }
    }
    out
}

/// A probe before anything is run.
fn at_rest<'p>(plan: &ProbePlan<'p>) -> Checked<'p> {
    let answer = match &plan.task {
        ProbeTask::Run { .. } => {
            let reason = missing_file(plan).map_or("it was not run".to_owned(), |file| {
                format!("it needs {file}, which is not on this machine under an absolute path")
            });
            Answer::new(Verdict::Skipped, reason)
        }
        ProbeTask::Unconcerned => Answer::new(Verdict::Unconcerned, ""),
        ProbeTask::Skip(reason) => Answer::new(Verdict::Skipped, *reason),
    };
    Checked {
        probe: plan.probe,
        answer,
        started: None,
        time: Duration::ZERO,
    }
}

/// Returns what a command's exit code and output mean. With `wanted` only the output counts.
fn judge(command: &[String], wanted: Option<&str>, ran: &Ran, limit: Duration) -> Answer {
    let (output, errors) = (ran.output.trim(), ran.errors.trim());
    let said = if output.is_empty() { errors } else { output };
    let said = shorten(said);
    let program = command.first().map_or("", String::as_str);
    if ran.is_late {
        let limit = limit.as_secs();
        return Answer::new(
            Verdict::Failed,
            format!("`{program}` has not ended in {limit} s"),
        );
    }
    if ran.code == Some(SKIP) {
        return Answer::new(Verdict::Skipped, said);
    }
    // chroot and nsenter report so that they cannot start the program.
    let is_absent = matches!(ran.code, Some(126 | 127))
        && output.is_empty()
        && [
            "chroot: failed to run command",
            "nsenter: failed to execute",
        ]
        .iter()
        .any(|text| errors.contains(text));
    if is_absent {
        let message = format!("the image cannot run `{program}`: it does not have this program");
        return Answer::new(Verdict::Failed, message);
    }
    match wanted {
        Some(wanted) if output == wanted.trim() => Answer::new(Verdict::Passed, output),
        Some(wanted) => {
            let found = if said.is_empty() {
                "nothing".to_owned()
            } else {
                format!("`{said}`")
            };
            let wanted = wanted.trim();
            Answer::new(
                Verdict::Failed,
                format!("expected `{wanted}`, found {found}"),
            )
        }
        None if ran.code == Some(0) => Answer::new(Verdict::Passed, shorten(output)),
        None if !said.is_empty() => Answer::new(Verdict::Failed, said),
        None => {
            let how = match ran.code {
                Some(code) => format!("has ended with exit code {code}"),
                None => "was stopped".to_owned(),
            };
            Answer::new(Verdict::Failed, format!("`{program}` {how}"))
        }
    }
}

/// Returns the part of an output that is reported.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(MOST_FOUND) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(wanted: Option<&str>, code: i32, output: &str, errors: &str) -> (Verdict, String) {
        let ran = Ran {
            code: Some(code),
            output: output.to_owned(),
            errors: errors.to_owned(),
            is_late: false,
        };
        let command = ["ask".to_owned()];
        let answer = judge(&command, wanted, &ran, Duration::from_secs(5));
        (answer.verdict, answer.found)
    }

    #[test]
    fn without_an_expected_output_the_exit_code_counts() {
        use Verdict::{Failed, Passed};
        assert_eq!(answer(None, 0, "fine\n", ""), (Passed, "fine".to_owned()));
        assert_eq!(
            answer(None, 1, "jq is not\n", "x"),
            (Failed, "jq is not".to_owned())
        );
        assert_eq!(
            answer(None, 1, "", "no such\n"),
            (Failed, "no such".to_owned())
        );
        let silent = "`ask` has ended with exit code 4".to_owned();
        assert_eq!(answer(None, 4, "", ""), (Failed, silent));
    }

    #[test]
    fn an_expected_output_counts_alone() {
        use Verdict::{Failed, Passed};
        assert_eq!(
            answer(Some("masked"), 1, "masked\n", ""),
            (Passed, "masked".to_owned())
        );
        let other = "expected `v1.34.2`, found `v1.34.1`".to_owned();
        assert_eq!(answer(Some("v1.34.2"), 0, "v1.34.1\n", ""), (Failed, other));
        let nothing = "expected `x`, found nothing".to_owned();
        assert_eq!(answer(Some("x"), 0, "", ""), (Failed, nothing));
    }

    #[test]
    fn a_command_can_skip_and_an_absent_program_is_told() {
        use Verdict::{Failed, Skipped};
        let reason = "goss is not installed".to_owned();
        assert_eq!(
            answer(None, 77, "goss is not installed\n", ""),
            (Skipped, reason)
        );
        let absent = "the image cannot run `ask`: it does not have this program".to_owned();
        let of_chroot = "/usr/sbin/chroot: failed to run command ‘ask’: No such file or directory";
        assert_eq!(answer(Some("v"), 127, "", of_chroot), (Failed, absent));
        let inner = "sh: 1: jq: not found".to_owned();
        assert_eq!(answer(None, 127, "", &inner), (Failed, inner.clone()));
    }

    #[test]
    fn a_long_output_is_shortened() {
        let long = "ä".repeat(MOST_FOUND + 1);
        assert_eq!(shorten(&long).chars().count(), MOST_FOUND + 1);
        assert_eq!(shorten("short"), "short");
    }
}
