//! Inlay hints: the values of settings that an image computes.
//!
//! A computed setting is followed by its value, and each setting by the defaults that depend on it and that nothing
//! sets.

use crate::emit::{find_reach, is_literal_secret};
use crate::eval::{Image, evaluate};
use crate::lsp::workspace::Spec;
use crate::project::hir::*;
use crate::schema::print_start;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// The most characters of a value in a hint.
const WIDTH: usize = 60;
/// The most defaults in a hint.
const MOST: usize = 3;
/// The most images of an answer. Each is evaluated, and an editor that asks for a whole file shows a part of it.
const MOST_IMAGES: usize = 200;

/// A hint after an offset.
pub(super) struct Hint {
    pub offset: u32,
    pub label: String,
    pub tooltip: String,
}

/// The hints in a part of a spec.
pub(super) fn hints(spec: &Spec, wanted: Range<u32>) -> Vec<Hint> {
    let program = &spec.program;
    let mut out = Vec::new();
    let mut left = MOST_IMAGES;
    for section in spec
        .syntax()
        .file
        .items
        .iter()
        .filter_map(|item| item.section())
    {
        if section.span.end < wanted.start || section.span.start > wanted.end {
            continue;
        }
        let Some(id) = program.find_section(spec.file, &section.name.text) else {
            continue;
        };
        let section = program.section(id);
        if section.kind != LayerKind::Image || section.span.file != spec.file {
            continue;
        }
        let settings = section
            .settings
            .iter()
            .filter(|s| wanted.start <= s.span.end && s.span.start <= wanted.end);
        let settings: Vec<&Setting> = settings.collect();
        if settings.is_empty() {
            continue;
        }
        let Some(rest) = left.checked_sub(1) else {
            break;
        };
        left = rest;
        let Ok(image) = evaluate(program, id, None) else {
            continue;
        };
        let followers = Followers::new(&image);
        for setting in settings {
            // A stronger setting or a condition can make this setting ineffective.
            let wins = image
                .winner(setting.variable)
                .is_some_and(|a| std::ptr::eq(a.setting, setting));
            if wins && !image.is_broken(setting.variable) {
                out.extend(hint(&image, &followers, setting));
            }
        }
    }
    out
}

fn hint(image: &Image<'_>, followers: &Followers, setting: &Setting) -> Option<Hint> {
    let name = &image.program.variable(setting.variable).name;
    let is_computed = setting.change != Change::Replace || !is_written_out(&setting.value);
    let own = is_computed
        .then(|| shown(image, setting.variable))
        .flatten();
    let mut parts: Vec<String> = own.iter().map(|value| format!("= {value}")).collect();
    let mut tooltip = own
        .map(|_| format!("The value of `{name}` in `{}`.", image.name()))
        .unwrap_or_default();
    let followers: Vec<String> = followers
        .of(setting.variable)
        .iter()
        .filter_map(|&id| {
            Some(format!(
                "{} = {}",
                image.program.variable(id).name,
                shown(image, id)?
            ))
        })
        .take(MOST)
        .collect();
    if !followers.is_empty() {
        parts.push(format!("→ {}", followers.join(", ")));
        tooltip.push_str(&format!(" Defaults that depend on `{name}`."));
    }
    let label = parts.join(" ");
    (!label.is_empty()).then(|| Hint {
        offset: setting.span.end,
        label,
        tooltip: tooltip.trim().to_owned(),
    })
}

/// For each variable, those whose defaults name it, if nothing sets them and the image's target reads them.
pub(super) struct Followers(FxHashMap<VarId, Vec<VarId>>);

impl Followers {
    pub(super) fn new(image: &Image<'_>) -> Followers {
        let reach = find_reach(image);
        let mut of: FxHashMap<VarId, Vec<VarId>> = FxHashMap::default();
        for id in image.ids().iter().copied() {
            let Some(default) = &image.program.variable(id).default else {
                continue;
            };
            if image.winner(id).is_some() || !reach.reads(id) {
                continue;
            }
            default.for_each_variable(&mut |named| {
                let own = of.entry(named).or_default();
                if own.last() != Some(&id) {
                    own.push(id);
                }
            });
        }
        Followers(of)
    }

    pub(super) fn of(&self, id: VarId) -> &[VarId] {
        self.0.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// True for an expression without names and calls.
fn is_written_out(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Const(_) | ExprKind::Missing(_) | ExprKind::Nothing => true,
        ExprKind::Located(_, inner) | ExprKind::Decoded(_, inner) => is_written_out(inner),
        ExprKind::List(elements) => elements.iter().all(is_written_out),
        ExprKind::Map(pairs) => pairs.iter().all(|(_, value)| is_written_out(value)),
        _ => false,
    }
}

/// A value, shortened; `None` for a secret and for an unset variable.
fn shown(image: &Image<'_>, id: VarId) -> Option<String> {
    let value = image.value(id).filter(|_| !is_literal_secret(image, id))?;
    Some(print_start(value, WIDTH))
}
