//! Conversion of `NAME=VALUE` pairs in Ansible arguments to settings of variables.
//!
//! A pair in an argument is stronger than everything but later arguments, and only Ansible gets it. It becomes a setting
//! only if that makes no difference: no other file sets the variable, Packer does not read it, and no other value is
//! derived from it.

use crate::ansible::{Argument, Pair, is_all_known, parse_pairs, read_escapes};
use crate::import::print::spell_value;
use crate::import::var_file::find_declared;
use crate::project::Program;
use crate::project::hir::{ExprKind, Setting, VarId, Variable};
use crate::schema::{Base, Receivers, Text, Value, check_value, decode, encode};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

/// The pairs that become settings, and those that stay.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// The remaining text of each argument, by the argument's name.
    pub left: BTreeMap<String, String>,
    /// The settings of declared variables, as source text, by the argument's name.
    pub settings: BTreeMap<String, Vec<(String, String)>>,
}

/// A pair that may become a setting.
struct Candidate {
    argument: String,
    name: String,
    written: String,
    variable: VarId,
}

impl Moves {
    /// Finds the pairs that can become settings.
    pub(crate) fn find(program: &Program, files: &[&Map<String, Json>]) -> Moves {
        let mut arguments: Vec<(&String, &str)> = Vec::new();
        for (name, json) in files.iter().copied().flatten() {
            let id = find_declared(program, name);
            let is_args = id.is_some_and(|id| matches!(program.variable(id).ty.base, Base::Args));
            if let (true, Json::String(text)) = (is_args, json) {
                arguments.push((name, text));
            }
        }
        let times = |name: &str| arguments.iter().filter(|(other, _)| *other == name).count();
        let is_plain = |(name, text): &&(&String, &str)| {
            times(name) == 1
                && matches!(Argument::of(text), Argument::Pairs(_))
                && is_all_known(text)
        };
        let plain: Vec<(&String, Vec<Pair>)> = arguments
            .iter()
            .filter(is_plain)
            .map(|(name, text)| (*name, last_pairs(text)))
            .collect();
        let set: BTreeSet<&str> = files
            .iter()
            .flat_map(|map| map.keys())
            .map(String::as_str)
            .collect();
        // A name that occurs twice, or in an argument that stays unchanged, stays.
        let mut names: Vec<&str> = plain
            .iter()
            .flat_map(|(_, pairs)| pairs)
            .map(|p| p.name.as_str())
            .collect();
        let others = arguments.iter().filter(|argument| !is_plain(argument));
        let is_open = others
            .clone()
            .any(|(_, text)| !matches!(Argument::of(text), Argument::Pairs(_)));
        let rest: Vec<Pair> = others.flat_map(|(_, text)| parse_pairs(text)).collect();
        names.extend(rest.iter().map(|pair| pair.name.as_str()));
        let is_single = |name: &str| names.iter().filter(|other| **other == name).count() == 1;
        let mut candidates: Vec<Candidate> = Vec::new();
        for (argument, pairs) in &plain {
            for pair in pairs
                .iter()
                .filter(|p| !is_open && is_single(&p.name) && !set.contains(p.name.as_str()))
            {
                candidates.extend(candidate(program, argument, pair));
            }
        }
        retain_harmless(program, &mut candidates, &set);
        Moves::of(program, &plain, candidates)
    }

    fn of(program: &Program, plain: &[(&String, Vec<Pair>)], candidates: Vec<Candidate>) -> Moves {
        let mut moves = Moves::default();
        for (argument, pairs) in plain {
            if !candidates.iter().any(|c| c.argument == **argument) {
                continue;
            }
            let moved = |pair: &Pair| candidates.iter().any(|c| c.name == pair.name);
            let left: Vec<String> = pairs
                .iter()
                .filter(|pair| !moved(pair))
                .map(spell_pair)
                .collect();
            moves.left.insert((*argument).clone(), left.join(" "));
        }
        for candidate in candidates {
            moves
                .settings
                .entry(candidate.argument)
                .or_default()
                .push((candidate.name, candidate.written));
        }
        // An empty argument is needed only to replace the library's setting.
        moves.left.retain(|name, text| {
            !text.is_empty()
                || find_declared(program, name).is_some_and(|id| is_set_by_library(program, id))
        });
        moves
    }
}

/// Returns the pairs of an argument. Of several pairs with one name Ansible uses the last.
fn last_pairs(text: &str) -> Vec<Pair> {
    let pairs = parse_pairs(text);
    let is_last = |at: usize, pair: &Pair| {
        pairs
            .iter()
            .skip(at + 1)
            .all(|later| later.name != pair.name)
    };
    pairs
        .iter()
        .enumerate()
        .filter(|(at, pair)| is_last(*at, pair))
        .map(|(_, pair)| pair.clone())
        .collect()
}

/// Returns a pair in its original form.
pub(super) fn spell_pair(pair: &Pair) -> String {
    let quote = pair.quote.map(String::from).unwrap_or_default();
    format!("{}={quote}{}{quote}", pair.name, pair.value)
}

fn candidate(program: &Program, argument: &str, pair: &Pair) -> Option<Candidate> {
    let id = find_declared(program, &pair.name)?;
    let variable = program.variable(id);
    let is_received = variable.to.has(Receivers::LINUX) || variable.to.has(Receivers::WINDOWS);
    let written = spell_declared(variable, &pair.value).filter(|_| is_received)?;
    Some(Candidate {
        argument: argument.to_owned(),
        name: pair.name.clone(),
        written,
        variable: id,
    })
}

/// Converts a value to source text, if Ansible then gets the same string.
fn spell_declared(variable: &Variable, value: &str) -> Option<String> {
    if variable.alias_of().is_some()
        || variable.removed().is_some()
        || variable.is_secret
        || value.contains("{{")
    {
        return None;
    }
    let is_path = |base: &Base| matches!(base, Base::Path | Base::File | Base::Role);
    let element = variable.ty.element().unwrap_or(&variable.ty);
    let text = read_escapes(value);
    let is_relative = is_path(&element.base)
        && text
            .split([' ', ','])
            .any(|path| !path.starts_with(['/', '~']));
    let decoded = decode(
        &variable.ty,
        variable.encoding,
        &Text::Plain(text.as_str().into()),
    )
    .ok()?;
    check_value(&variable.ty, &decoded.value).ok()?;
    let is_same = encode(&decoded.value, variable.encoding)
        .known()
        .is_some_and(|known| known == text);
    (is_same && !is_relative).then(|| spell_value(&decoded.value))
}

/// Removes candidates that Packer reads, or that other values are derived from.
fn retain_harmless(program: &Program, candidates: &mut Vec<Candidate>, set: &BTreeSet<&str>) {
    let read: FxHashSet<&str> = program
        .providers
        .iter()
        .flat_map(|provider| provider.readers.readers(&[], &|_| None).reads)
        .map(|name| name.as_str())
        .collect();
    loop {
        let moved: FxHashSet<VarId> = candidates.iter().map(|c| c.variable).collect();
        let is_settled =
            |id: VarId| moved.contains(&id) || set.contains(program.variable(id).name.as_str());
        let mut derived_from: FxHashSet<VarId> = FxHashSet::default();
        for_each_derived(program, &mut |id, from| {
            if !is_settled(id) {
                derived_from.insert(from);
            }
        });
        let before = candidates.len();
        candidates
            .retain(|c| !derived_from.contains(&c.variable) && !read.contains(c.name.as_str()));
        if candidates.len() == before {
            return;
        }
    }
}

/// Calls `visit` for each variable of the library and each variable that its value is derived from.
fn for_each_derived(program: &Program, visit: &mut impl FnMut(VarId, VarId)) {
    for (id, variable) in program.variables.pairs() {
        if let Some(default) = &variable.default {
            default.for_each_variable(&mut |from| visit(id, from));
        }
    }
    for setting in library_settings(program) {
        setting
            .value
            .for_each_variable(&mut |from| visit(setting.variable, from));
    }
}

fn library_settings(program: &Program) -> impl Iterator<Item = &Setting> {
    let sections = program
        .sections
        .iter()
        .flat_map(|section| &section.settings);
    sections.chain(
        program
            .providers
            .iter()
            .flat_map(|provider| &provider.defaults),
    )
}

/// True if the library sets an argument to a text that is not empty.
fn is_set_by_library(program: &Program, id: VarId) -> bool {
    let is_text = |setting: &&Setting| {
        let is_empty =
            matches!(&setting.value.kind, ExprKind::Const(Value::String(text)) if text.is_empty());
        setting.variable == id && !is_empty
    };
    library_settings(program).any(|setting| is_text(&setting))
}
