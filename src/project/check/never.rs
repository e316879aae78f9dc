//! Conditions that are never true, whatever image asks them.
//!
//! A condition over facts is tried with every combination of the values that its facts can have. What this cannot
//! compute counts as possible, so that a warning is never a guess.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::project::Program;
use crate::project::hir::linearize;
use crate::project::hir::*;
use crate::schema::{Base, Value};
use crate::source::Span;
use crate::syntax::ast::BinaryOp;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

/// How many combinations of values are tried.
const MAX_COMBINATIONS: usize = 4096;

/// A value that differs from all that are named.
const OTHER: &str = "\u{0}";

/// Finds the `when` conditions of the project that are never true.
pub(crate) fn find_never_true(program: &Program) -> Vec<Diagnostic> {
    let is_users = |section: &Section| program.sources.is_users(section.span.file);
    let with_conditions = || {
        let own = program.sections.own().iter();
        own.filter(|s| !s.conditions.is_empty() && is_users(s))
    };
    if with_conditions().next().is_none() {
        return Vec::new();
    }
    let mut given = program.traits.given.clone();
    given.add_own(&program.variables, &program.sections, &program.providers);
    // A layer that nothing extends here may be meant for images that this command does not read.
    let mut used: FxHashSet<Span> = FxHashSet::default();
    for (id, image) in program.sections.own_pairs() {
        if image.kind == LayerKind::Image && is_users(image) {
            let all = linearize(&program.sections, id);
            used.extend(all.into_iter().map(|id| program.section(id).span));
        }
    }
    let mut found = Vec::new();
    for section in with_conditions() {
        // An outer condition precedes those inside it.
        let mut silent: Vec<bool> = Vec::with_capacity(section.conditions.len());
        for condition in &section.conditions {
            let is_silent = |outer: u32| silent.get(outer as usize).copied().unwrap_or(false);
            if condition.outer.is_some_and(is_silent) {
                silent.push(true);
                continue;
            }
            let outer = |of: &&Condition| section.conditions.get(of.outer? as usize);
            let above: Vec<&Expr> = std::iter::successors(outer(&condition), outer)
                .map(|above| &above.expr)
                .collect();
            let report = report(
                program,
                &given,
                &condition.expr,
                &above,
                used.contains(&section.span),
            );
            silent.push(report.is_some());
            found.extend(report);
        }
    }
    found
}

/// What is wrong with a condition, given those of the `when` around it.
fn report(
    program: &Program,
    given: &Given,
    condition: &Expr,
    above: &[&Expr],
    is_used: bool,
) -> Option<Diagnostic> {
    let chain: Vec<&Expr> = [condition]
        .into_iter()
        .chain(above.iter().copied())
        .collect();
    let mut named: FxHashMap<VarId, Vec<(SmolStr, Span)>> = FxHashMap::default();
    chain
        .iter()
        .for_each(|expr| collect_named(expr, &mut named));
    let variables: Vec<VarId> = named.keys().copied().collect();
    let anything = |id: VarId| possible(program, id, named.get(&id).map_or(&[], Vec::as_slice));
    let what_is_given = |id: VarId| given.values(id).unwrap_or_else(|| anything(id));
    let found = Diagnostic::new(
        Code::NeverTrue,
        condition.span,
        "this condition is never true",
    );
    if !can_hold(&chain, &variables, &anything) {
        let how = match chain.len() {
            1 => "its parts contradict each other",
            _ => "it contradicts the `when` around it, or itself",
        };
        return Some(
            found
                .label(how)
                .help("use `or` or `in` to accept several values: a fact has only one"),
        );
    }
    let (id, text, span) = named.iter().find_map(|(id, texts)| {
        let values = given.values(*id)?;
        let unknown = texts.iter().find(|(text, _)| !values.contains(text))?;
        Some((*id, unknown.0.clone(), unknown.1))
    })?;
    let values = given.values(id)?;
    let near = nearest(&text, values.iter().map(SmolStr::as_str));
    let is_never = !can_hold(&chain, &variables, &what_is_given);
    if near.is_none() && !(is_never && is_used) {
        return None;
    }
    let name = &program.variable(id).name;
    let message = format!("nothing sets `{name}` to \"{text}\"");
    let found = Diagnostic::new(Code::NeverTrue, span, message);
    Some(match near {
        Some(near) => found
            .label(format!("did you mean \"{near}\"?"))
            .fix(format!("write \"{near}\""), span, format!("\"{near}\"")),
        None => found
            .label("this is never true")
            .help("set it to that value in a layer, or declare the values that only `--set` gives with a type such as `\"a\" | \"b\"`"),
    })
}

/// The texts that a condition compares each fact with.
fn collect_named(expr: &Expr, out: &mut FxHashMap<VarId, Vec<(SmolStr, Span)>>) {
    match &expr.kind {
        ExprKind::Not(inner) => collect_named(inner, out),
        ExprKind::Variable(id) => drop(out.entry(*id).or_default()),
        ExprKind::Binary {
            op: BinaryOp::And | BinaryOp::Or,
            sides,
            ..
        } => {
            sides.iter().for_each(|side| collect_named(side, out));
        }
        ExprKind::Binary { sides, .. } => {
            let [left, right] = sides.as_ref();
            let (variable, other) = match (&left.kind, &right.kind) {
                (ExprKind::Variable(id), _) => (*id, right),
                (_, ExprKind::Variable(id)) => (*id, left),
                _ => return,
            };
            let texts = out.entry(variable).or_default();
            match &other.kind {
                ExprKind::Const(Value::List(elements)) => {
                    // The elements of a constant list have no places of their own.
                    texts.extend(
                        elements
                            .iter()
                            .filter_map(text_of)
                            .map(|text| (text, other.span)),
                    );
                }
                ExprKind::Const(value) => {
                    texts.extend(text_of(value).map(|text| (text, other.span)))
                }
                _ => {}
            }
        }
        _ => {}
    }
}

/// All values that a fact could have, as far as a condition that names some can tell.
fn possible(program: &Program, id: VarId, named: &[(SmolStr, Span)]) -> Vec<SmolStr> {
    match &program.variable(id).ty.base {
        Base::OneOf(choices) => choices.to_vec(),
        Base::Bool => vec![SmolStr::new("true"), SmolStr::new("false")],
        _ => named
            .iter()
            .map(|(text, _)| text.clone())
            .chain([SmolStr::new(OTHER)])
            .collect(),
    }
}

/// Whether some combination of values makes all conditions true, or none that can be computed makes them false.
fn can_hold(chain: &[&Expr], variables: &[VarId], values: &dyn Fn(VarId) -> Vec<SmolStr>) -> bool {
    let choices: Vec<Vec<SmolStr>> = variables.iter().map(|id| values(*id)).collect();
    let count = choices
        .iter()
        .try_fold(1usize, |n, c| n.checked_mul(c.len()));
    let Some(count) = count.filter(|count| (1..=MAX_COMBINATIONS).contains(count)) else {
        return true;
    };
    (0..count).any(|mut at| {
        let mut chosen = FxHashMap::default();
        for (id, choices) in variables.iter().zip(&choices) {
            // None is empty, or there would be no combination.
            let count = choices.len().max(1);
            chosen.extend(choices.get(at % count).map(|choice| (*id, choice.clone())));
            at /= count;
        }
        chain.iter().all(|expr| truth(expr, &chosen) != Some(false))
    })
}

/// The answer to a condition; none where this cannot tell.
fn truth(expr: &Expr, chosen: &FxHashMap<VarId, SmolStr>) -> Option<bool> {
    match &expr.kind {
        ExprKind::Const(Value::Bool(flag)) => Some(*flag),
        ExprKind::Variable(id) => chosen.get(id).and_then(|text| text.parse().ok()),
        ExprKind::Not(inner) => truth(inner, chosen).map(|answer| !answer),
        ExprKind::Binary {
            op,
            versions: false,
            sides,
        } => {
            let [left, right] = sides.as_ref();
            match op {
                BinaryOp::And => match (truth(left, chosen), truth(right, chosen)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
                BinaryOp::Or => match (truth(left, chosen), truth(right, chosen)) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
                BinaryOp::Equal => Some(word(left, chosen)? == word(right, chosen)?),
                BinaryOp::NotEqual => Some(word(left, chosen)? != word(right, chosen)?),
                BinaryOp::In => is_in(left, right, chosen),
                BinaryOp::NotIn => is_in(left, right, chosen).map(|answer| !answer),
                _ => None,
            }
        }
        _ => None,
    }
}

fn word(expr: &Expr, chosen: &FxHashMap<VarId, SmolStr>) -> Option<SmolStr> {
    match &expr.kind {
        ExprKind::Const(value) => text_of(value),
        ExprKind::Variable(id) => chosen.get(id).cloned(),
        _ => None,
    }
}

fn is_in(left: &Expr, right: &Expr, chosen: &FxHashMap<VarId, SmolStr>) -> Option<bool> {
    let ExprKind::Const(Value::List(elements)) = &right.kind else {
        return None;
    };
    let left = word(left, chosen)?;
    let texts: Option<Vec<SmolStr>> = elements.iter().map(text_of).collect();
    Some(texts?.contains(&left))
}
