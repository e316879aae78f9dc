//! A library in the form in which it is stored: resolved and checked, so that reading it again costs little.
//!
//! The build script stores the built-in libraries, and the program contains the result; the cache holds those that were
//! adopted. Only this version of the program can read the form.
//!
//! The form is a [`Head`] and then the items. A start reads the head; each item is read when something asks for it.

use crate::diagnostic::Diagnostic;
use crate::project::hir::*;
use crate::schema::{Base, Refinement, Type};
use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::sync::Arc;

/// What a start needs of a library, and where its items are.
#[derive(Serialize, Deserialize)]
struct Head {
    /// For each item of a table, the place in bytes behind it. The tables follow each other.
    variables: Vec<u32>,
    sections: Vec<u32>,
    providers: Vec<u32>,
    rules: Vec<u32>,
    probes: Vec<u32>,
    #[serde(serialize_with = "by_name")]
    extras: FxHashMap<(Owner, SmolStr), VarId>,
    names: Names,
    traits: Traits,
    diagnostics: Vec<Diagnostic>,
    /// The number of texts.
    texts: u32,
}

/// A library's items and diagnostics, and the number of its texts.
pub(super) struct Decoded {
    pub items: Items,
    pub diagnostics: Vec<Diagnostic>,
    pub texts: usize,
}

/// Returns the stored form of a library's items and diagnostics. Its texts are not part of it.
pub(super) fn encode(items: &Items, diagnostics: &[Diagnostic], texts: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let head = Head {
        variables: append(&mut body, &items.variables)?,
        sections: append(&mut body, &items.sections)?,
        providers: append(&mut body, &items.providers)?,
        rules: append(&mut body, &items.rules)?,
        probes: append(&mut body, &items.probes)?,
        extras: items.extras.clone(),
        names: (*items.names).clone(),
        traits: (*items.traits).clone(),
        diagnostics: diagnostics.to_vec(),
        texts: texts as u32,
    };
    let mut bytes = postcard::to_allocvec(&head).ok()?;
    bytes.append(&mut body);
    Some(bytes)
}

/// Adds the items of a table. Returns the place behind each.
fn append<I: Id, T: Serialize>(body: &mut Vec<u8>, table: &Table<I, T>) -> Option<Vec<u32>> {
    let mut ends = Vec::with_capacity(table.len());
    for item in table.iter() {
        body.extend(postcard::to_allocvec(item).ok()?);
        ends.push(u32::try_from(body.len()).ok()?);
    }
    Some(ends)
}

/// Reads the stored form. Returns `None` for bytes whose head [`encode`] did not write. The rest must be whole.
pub(super) fn decode<B>(bytes: B) -> Option<Decoded>
where
    B: AsRef<[u8]> + Clone + Send + Sync + 'static,
{
    let (mut head, body) = postcard::take_from_bytes::<Head>(bytes.as_ref()).ok()?;
    let tables = [
        &head.variables,
        &head.sections,
        &head.providers,
        &head.rules,
        &head.probes,
    ];
    let ends = tables.into_iter().flat_map(|ends| ends.last());
    (ends.max().map_or(0, |end| *end as usize) == body.len()).then_some(())?;
    let mut patterns = Patterns::default();
    for (ty, _) in head.names.types.values_mut() {
        patterns.share(ty);
    }
    let stored = Stored {
        start: bytes.as_ref().len() - body.len(),
        bytes,
    };
    let last = |ends: &[u32], before: u32| ends.last().copied().unwrap_or(before);
    let sections = last(&head.variables, 0);
    let providers = last(&head.sections, sections);
    let rules = last(&head.providers, providers);
    let probes = last(&head.rules, rules);
    let items = Items {
        variables: stored.table(head.variables, 0, move |variable: &mut Variable| {
            patterns.find(&mut variable.ty);
        }),
        sections: stored.table(head.sections, sections, |_| {}),
        providers: stored.table(head.providers, providers, |_| {}),
        rules: stored.table(head.rules, rules, |_| {}),
        probes: stored.table(head.probes, probes, |_| {}),
        extras: head.extras,
        names: Arc::new(head.names),
        traits: Arc::new(head.traits),
    };
    Some(Decoded {
        items,
        diagnostics: head.diagnostics,
        texts: head.texts as usize,
    })
}

/// The stored form, whose items begin at `start`.
#[derive(Clone)]
struct Stored<B> {
    bytes: B,
    start: usize,
}

impl<B: AsRef<[u8]> + Clone + Send + Sync + 'static> Stored<B> {
    /// Makes a table of the items that end at the given places, the first of which begins at `first`.
    fn table<I: Id, T: DeserializeOwned>(
        &self,
        ends: Vec<u32>,
        first: u32,
        finish: impl Fn(&mut T) + Send + Sync + 'static,
    ) -> Table<I, T> {
        let Stored { bytes, start } = self.clone();
        Table::stored(ends.len(), move |at| {
            let begin = at
                .checked_sub(1)
                .map_or(Some(first), |at| ends.get(at).copied())?;
            let end = ends.get(at)?;
            let range = start + begin as usize..start + *end as usize;
            let mut item = postcard::from_bytes(bytes.as_ref().get(range)?).ok()?;
            finish(&mut item);
            Some(item)
        })
    }
}

/// The patterns of a library's types. Equal ones are one, so that each is compiled once.
#[derive(Default)]
struct Patterns(FxHashMap<(SmolStr, SmolStr), Arc<Refinement>>);

impl Patterns {
    /// Replaces the patterns in a type by equal ones that are known, and keeps the others.
    fn share(&mut self, ty: &mut Type) {
        each_pattern(ty, &mut |pattern| {
            let known = self.0.entry(key(pattern));
            *pattern = known.or_insert_with(|| pattern.clone()).clone();
        });
    }

    /// Replaces the patterns in a type by equal ones that are known.
    fn find(&self, ty: &mut Type) {
        each_pattern(ty, &mut |pattern| {
            if let Some(known) = self.0.get(&key(pattern)) {
                pattern.clone_from(known);
            }
        });
    }
}

fn key(pattern: &Refinement) -> (SmolStr, SmolStr) {
    (pattern.name.clone(), pattern.pattern.clone())
}

fn each_pattern(ty: &mut Type, visit: &mut impl FnMut(&mut Arc<Refinement>)) {
    match &mut ty.base {
        Base::Refined(pattern) => visit(pattern),
        Base::List(element) | Base::Map(element) => each_pattern(element, visit),
        _ => {}
    }
}
