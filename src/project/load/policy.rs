//! Policies: what holds for every image of a command; and waivers, whose rules are known when all files are read.

use super::files::Files;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::project::check::{Draft, UnitId};
use crate::project::hir::*;
use crate::source::{FileId, Span};
use rustc_hash::FxHashMap;
use std::path::Path;

impl Files<'_> {
    /// Collects what the files of policies declare.
    pub(super) fn policies(&self, units: &[UnitId]) -> Policies {
        let mut policies = Policies::default();
        for unit in units {
            policies.files.extend(self.files_of(*unit));
            let rules = self.names_of(*unit).rules.values();
            policies.rules.extend(rules.map(|(id, _)| *id));
        }
        policies.rules.sort_unstable();
        policies.rules.dedup();
        policies
    }
}

/// Reports tests of the same name in a file, snapshots of the same name in a folder, and snapshots in policies: they belong to
/// one project.
pub(super) fn check_tests(draft: &mut Draft<'_>, policies: &Policies) {
    let mut found = Vec::new();
    let mut tests: FxHashMap<(FileId, &str), Span> = FxHashMap::default();
    let mut snapshots: FxHashMap<(&Path, &str), Span> = FxHashMap::default();
    for test in &draft.tests {
        if let Some(first) = tests.insert((test.span.file, &test.name), test.span) {
            let message = format!("the test `{}` is declared twice", test.name);
            found.push(twice(message, test.span, first));
        }
        for step in test.groups.iter().flat_map(|group| &group.steps) {
            let Step::Snapshot { name, span } = step else {
                continue;
            };
            if policies.files.contains(&span.file) {
                let message = "a policy cannot have a `snapshot`";
                found.push(
                    Diagnostic::new(Code::WrongPlace, *span, message)
                        .help("put it into a test of the project"),
                );
            }
            let folder = draft.sources.get(span.file).folder();
            if let Some(first) = snapshots.insert((folder, name), *span) {
                let message = format!("the snapshot `{name}` is declared twice");
                found.push(twice(message, *span, first));
            }
        }
    }
    draft.diagnostics.extend(found);
}

fn twice(message: String, again: Span, first: Span) -> Diagnostic {
    Diagnostic::new(Code::DuplicateName, again, message)
        .label("declared again here")
        .related(first, "first declared here")
        .help("rename one of them")
}

/// Finds the rules that waivers name, and decides which waivers are in force on a day. Without a day, all of them are.
pub(super) fn settle_waivers(draft: &mut Draft<'_>, policies: &Policies, today: Option<Date>) {
    let mut waivers = std::mem::take(&mut draft.waivers);
    let pinned = policies.rules.iter().map(|id| (*id, &draft.rules[*id]));
    let pinned: Vec<_> = pinned.map(|(id, rule)| (id, rule.name.clone())).collect();
    let mut found = Vec::new();
    for waiver in &mut waivers {
        let is_policy = policies.files.contains(&waiver.span.file);
        let of_policy = pinned.iter().find(|(_, name)| *name == waiver.name);
        let rule = waiver.rule.or(of_policy.map(|(id, _)| *id));
        match rule {
            None => {
                let of_file = draft.rules.own().iter().map(|rule| rule.name.as_str());
                found.push(unknown_rule(waiver, of_file.collect()));
            }
            Some(id) if draft.is_library(draft.rules[id].span) => {
                found.push(of_library(waiver));
                waiver.rule = None;
                continue;
            }
            Some(id) if policies.pins(id) && !is_policy => {
                found.push(of_policy_alone(waiver, draft.rules[id].span));
                waiver.rule = None;
                continue;
            }
            Some(_) => {}
        }
        waiver.rule = rule;
        if let (Some(until), Some(today)) = (waiver.until, today)
            && until < today
        {
            waiver.is_expired = true;
            // Another project that has the policy may not need it.
            if !is_policy {
                found.push(expired(waiver, until, today));
            }
        }
    }
    draft.diagnostics.extend(found);
    draft.waivers = waivers;
}

fn unknown_rule(waiver: &Waiver, known: Vec<&str>) -> Diagnostic {
    let message = format!("unknown rule `{}`", waiver.name);
    let found = Diagnostic::new(Code::UnknownName, waiver.span, message);
    match nearest(&waiver.name, known) {
        Some(near) => found.label(format!("did you mean `{near}`?")).fix(
            format!("replace it with `{near}`"),
            waiver.span,
            near,
        ),
        None => found.help("write the name of a rule that this file declares or includes"),
    }
}

fn of_library(waiver: &Waiver) -> Diagnostic {
    let message = format!("the rule `{}` of the library cannot be waived", waiver.name);
    Diagnostic::new(Code::WrongPlace, waiver.span, message).help(
        "change the values that break it; if it is a warning, `allow` in imgspec.toml silences it",
    )
}

fn of_policy_alone(waiver: &Waiver, rule: Span) -> Diagnostic {
    let message = format!(
        "the project cannot waive the rule `{}` of a policy",
        waiver.name
    );
    Diagnostic::new(Code::WrongPlace, waiver.span, message)
        .related(rule, "the policy declares it here")
        .help("change the values that break it, or have the waiver added to the policy")
}

fn expired(waiver: &Waiver, until: Date, today: Date) -> Diagnostic {
    let message = format!("the waiver of the rule `{}` ended on {until}", waiver.name);
    Diagnostic::new(Code::WaiverExpired, waiver.whole, message)
        .label(format!("it is judged on {today}"))
        .help("remove it, and change what still breaks the rule; or write a later date")
}
