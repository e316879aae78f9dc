//! Probes: what is run in a built image, and which settings a failure is about.

use crate::diagnostic::{Code, Diagnostic};
use crate::eval::interpret::{Finished, Interpret, Stop};
use crate::eval::{Active, Image};
use crate::project::hir::*;
use crate::schema::Value;
use crate::source::Span;
use crate::syntax::print_text;
use rustc_hash::FxHashSet;
use smol_str::SmolStr;

/// A probe of an image, with its values.
#[derive(Debug)]
pub struct ProbePlan<'p> {
    /// The probe.
    pub probe: &'p Probe,
    /// What is done for it.
    pub task: ProbeTask,
}

/// What is done for a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTask {
    /// Its command is run.
    Run {
        /// The program and its arguments.
        command: Vec<String>,
        /// What it must print.
        output: Option<String>,
        /// Files and folders of this machine that it reads.
        files: Vec<String>,
    },
    /// It does not concern the image.
    Unconcerned,
    /// Why it cannot be run.
    Skip(&'static str),
}

/// A list of strings, or the reason why there is none.
type Known<T> = Result<T, ProbeTask>;

impl<'p> Image<'p> {
    /// Returns the probes that the image's file sees, the library's first.
    pub fn probes(&self) -> Vec<ProbePlan<'p>> {
        let program = self.program;
        let ids = program.probes_for(program.section(self.section).span.file);
        let probes = ids.into_iter().map(|id| &program.probes[id]);
        let checked = probes.filter(|probe| probe.is_checked());
        checked
            .map(|probe| ProbePlan {
                probe,
                task: self.plan_probe(probe).unwrap_or_else(|other| other),
            })
            .collect()
    }

    fn plan_probe(&self, probe: &'p Probe) -> Known<ProbeTask> {
        if let Some(applies) = &probe.applies
            && self.eval_for_probe(applies)? != Value::Bool(true)
        {
            return Ok(ProbeTask::Unconcerned);
        }
        let mut command = Vec::new();
        if let Some(script) = &probe.script {
            let script = known_text(&self.eval_for_probe(script)?)?;
            command.extend(["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]);
        }
        command.extend(self.texts_for_probe(&probe.words)?);
        if command.is_empty() {
            return Ok(ProbeTask::Unconcerned);
        }
        let output = match &probe.output {
            Some(output) => Some(known_text(&self.eval_for_probe(output)?)?),
            None => None,
        };
        let files = match &probe.files {
            Some(files) => self.texts_for_probe(files)?,
            None => Vec::new(),
        };
        Ok(ProbeTask::Run {
            command,
            output,
            files,
        })
    }

    fn texts_for_probe(&self, list: &'p Expr) -> Known<Vec<String>> {
        match self.eval_for_probe(list)? {
            Value::List(words) => words.iter().map(known_text).collect(),
            _ => Err(ProbeTask::Unconcerned),
        }
    }

    fn eval_for_probe(&self, expr: &'p Expr) -> Known<Value> {
        match Finished(self).eval(expr) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(ProbeTask::Unconcerned),
            Err(Stop::Opaque(_)) => Err(OPAQUE),
            Err(_) => Err(ProbeTask::Skip("it reads a value that has an error")),
        }
    }

    /// Returns the diagnostic about a probe that has failed, at the settings that it is about. `found` is what the command
    /// printed: where it names an element of a list, the place is that element.
    pub fn report_probe(&self, probe: &Probe, found: &str) -> Diagnostic {
        let program = self.program;
        let message = format!(
            "the built image fails the probe `{}`: {}",
            probe.name,
            found.lines().next().unwrap_or_default()
        );
        let mut places = self.places_of_probe(probe);
        let is_users = |active: &Active<'_>| program.sources.is_users(active.setting.span.file);
        let element = places
            .iter()
            .enumerate()
            .find_map(|(at, (variable, active))| {
                let element = is_users(active).then(|| self.find_element(*variable, found));
                Some((at, element.flatten()?))
            });
        let first = match &element {
            Some((at, _)) => Some(places.remove(*at)),
            None if places.first().is_some_and(|(_, active)| is_users(active)) => {
                Some(places.remove(0))
            }
            None => None,
        };
        let (span, label) = match first {
            Some((variable, active)) => {
                let name = &program.variable(variable).name;
                match element {
                    Some((_, (span, element))) => (
                        span,
                        format!("{} of `{name}` is here", print_text(&element)),
                    ),
                    None => (active.setting.span, format!("`{name}` is set here")),
                }
            }
            None => {
                let span = program.section(self.section).span;
                (span, "it checks this image".to_owned())
            }
        };
        let diagnostic = Diagnostic::new(Code::ProbeFailed, span, message).label(label);
        let mut diagnostic = diagnostic.help(format!(
            "`imgspec explain {}` prints what it runs in the image",
            probe.name
        ));
        diagnostic.images.push(self.name().to_owned());
        for (variable, active) in places {
            let name = &program.variable(variable).name;
            diagnostic = diagnostic.related(active.setting.span, format!("`{name}` is set here"));
        }
        if program.sources.is_users(probe.span.file) {
            diagnostic = diagnostic.related(probe.span, "the probe");
        }
        diagnostic
    }

    /// Returns the strongest settings of the variables that a probe reads, directly or through the values of others: first
    /// those of the project, since that is what the user can change. Of what only the condition reads, the library's are
    /// left out: they are facts of the system.
    fn places_of_probe(&self, probe: &Probe) -> Vec<(VarId, Active<'p>)> {
        let program = self.program;
        let (mut checked, mut conditions) = (Vec::new(), Vec::new());
        let parts = [
            Some(&probe.words),
            probe.script.as_ref(),
            probe.output.as_ref(),
        ];
        for part in parts.into_iter().flatten() {
            part.for_each_variable(&mut |id| checked.push(id));
        }
        if let Some(applies) = &probe.applies {
            applies.for_each_variable(&mut |id| conditions.push(id));
        }
        let checked = self.sources_of(checked);
        conditions.retain(|id| !checked.contains(id));
        let is_users = |active: &Active<'_>| program.sources.is_users(active.setting.span.file);
        let mut seen = FxHashSet::default();
        let all = checked.iter().chain(&conditions).copied();
        let mut places: Vec<_> = all
            .filter(|id| seen.insert(*id))
            .filter_map(|id| Some((id, self.winner(id)?)))
            .filter(|(id, active)| is_users(active) || checked.contains(id))
            .collect();
        places.sort_by_key(|(_, active)| !is_users(active));
        places
    }

    /// Returns variables, and those that the library's values of them come from, without repetitions.
    fn sources_of(&self, mut open: Vec<VarId>) -> Vec<VarId> {
        let mut read: Vec<VarId> = Vec::new();
        let mut next = 0;
        while let Some(id) = open.get(next).copied() {
            next += 1;
            if read.contains(&id) {
                continue;
            }
            read.push(id);
            let source = match self.winner(id) {
                Some(active) => Some(&active.setting.value),
                None => self.program.variable(id).default.as_ref(),
            };
            if let Some(source) = source.filter(|_| !self.is_set_by_users(id)) {
                source.for_each_variable(&mut |id| open.push(id));
            }
        }
        read
    }

    /// Finds an element of a list that a text names, where the project's settings spell it.
    fn find_element(&self, id: VarId, found: &str) -> Option<(Span, SmolStr)> {
        let Some(Value::List(elements)) = self.value(id) else {
            return None;
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.+/".contains(c);
        let names = |element: &str| {
            found.match_indices(element).any(|(at, _)| {
                let before = found.get(..at).and_then(|text| text.chars().next_back());
                let behind = found.get(at + element.len()..);
                let behind = behind.and_then(|text| text.chars().next());
                !before.is_some_and(is_word) && !behind.is_some_and(is_word)
            })
        };
        for element in elements.iter() {
            let Ok(element) = known_text(element) else {
                continue;
            };
            if element.is_empty() || !names(&element) {
                continue;
            }
            let settings = self.settings(id).iter().rev();
            for span in settings.map(|active| active.setting.value.span) {
                let text = self.program.sources.slice(span);
                let quoted = [print_text(&element), format!("'{element}'")];
                let at = quoted
                    .iter()
                    .find_map(|quoted| Some((text.find(quoted.as_str())?, quoted.len())));
                if let Some((at, length)) = at {
                    let start = span.start + at as u32;
                    let span = Span::new(span.file, start, start + length as u32);
                    return Some((span, element.into()));
                }
            }
        }
        None
    }
}

const OPAQUE: ProbeTask = ProbeTask::Skip("it reads a value that only the build knows");

/// Returns a string that is known.
fn known_text(value: &Value) -> Known<String> {
    match value {
        Value::String(text) => text.known().map(|text| text.into_owned()).ok_or(OPAQUE),
        _ => Err(ProbeTask::Unconcerned),
    }
}
