//! A library in the form in which it is stored: resolved and checked, so that reading it again costs little.
//!
//! The build script stores the built-in libraries, and the program contains the result; the cache holds those that were
//! adopted. Only this version of the program can read the form.

use crate::diagnostic::Diagnostic;
use crate::project::hir::*;
use crate::schema::{Base, Refinement, Type};
use crate::source::Span;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::sync::Arc;

/// The items of a library and what was found in it, as they are written.
#[derive(Serialize)]
struct Written<'l> {
    variables: &'l [Variable],
    sections: &'l [Section],
    providers: &'l [Provider],
    rules: &'l [Rule],
    #[serde(serialize_with = "by_name")]
    extras: &'l FxHashMap<(Owner, SmolStr), VarId>,
    names: &'l Names,
    diagnostics: &'l [Diagnostic],
}

/// The same as it is read.
#[derive(Deserialize)]
struct Read {
    variables: Vec<Variable>,
    sections: Vec<Section>,
    providers: Vec<Provider>,
    rules: Vec<Rule>,
    extras: FxHashMap<(Owner, SmolStr), VarId>,
    names: Names,
    diagnostics: Vec<Diagnostic>,
}

/// Returns the stored form of a library's items and diagnostics. Its texts are not part of it.
pub(super) fn encode(items: &Items, diagnostics: &[Diagnostic]) -> Option<Vec<u8>> {
    postcard::to_allocvec(&Written {
        variables: items.variables.library_items(),
        sections: items.sections.library_items(),
        providers: items.providers.library_items(),
        rules: items.rules.library_items(),
        extras: &items.extras,
        names: &items.names,
        diagnostics,
    })
    .ok()
}

/// Reads the stored form. Returns `None` for bytes that [`encode`] did not write.
pub(super) fn decode(bytes: &[u8]) -> Option<(Items, Vec<Diagnostic>)> {
    let mut read: Read = postcard::from_bytes(bytes).ok()?;
    share_patterns(&mut read.variables, &mut read.names);
    let items = Items {
        variables: Table::new(read.variables).into_library(),
        sections: Table::new(read.sections).into_library(),
        providers: Table::new(read.providers).into_library(),
        rules: Table::new(read.rules).into_library(),
        extras: read.extras,
        names: Arc::new(read.names),
    };
    Some((items, read.diagnostics))
}

/// Lets equal refinements be one, so that each pattern is compiled once.
fn share_patterns(variables: &mut [Variable], names: &mut Names) {
    let mut known: FxHashMap<(SmolStr, SmolStr), Arc<Refinement>> = FxHashMap::default();
    let declared = names
        .types
        .values_mut()
        .map(|(ty, _): &mut (Type, Span)| ty);
    for ty in declared.chain(variables.iter_mut().map(|variable| &mut variable.ty)) {
        share(ty, &mut known);
    }
}

fn share(ty: &mut Type, known: &mut FxHashMap<(SmolStr, SmolStr), Arc<Refinement>>) {
    match &mut ty.base {
        Base::Refined(refinement) => {
            let key = (refinement.name.clone(), refinement.pattern.clone());
            *refinement = known
                .entry(key)
                .or_insert_with(|| refinement.clone())
                .clone();
        }
        Base::List(element) | Base::Map(element) => share(element, known),
        _ => {}
    }
}
