//! Which names a file sees.

use crate::diagnostic::{Code, Diagnostic};
use crate::project::hir::*;
use crate::schema::Type;
use crate::source::Span;
use crate::syntax::ast::Ident;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize, Serializer};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// The names of some files, each kind on its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Names {
    /// Variables.
    #[serde(serialize_with = "by_name")]
    pub variables: FxHashMap<SmolStr, (VarId, Span)>,
    /// Layers and images.
    #[serde(serialize_with = "by_name")]
    pub sections: FxHashMap<SmolStr, (SectionId, Span)>,
    /// Providers.
    #[serde(serialize_with = "by_name")]
    pub providers: FxHashMap<SmolStr, (ProviderId, Span)>,
    /// Rules.
    #[serde(serialize_with = "by_name")]
    pub rules: FxHashMap<SmolStr, (RuleId, Span)>,
    /// Probes.
    #[serde(serialize_with = "by_name")]
    pub probes: FxHashMap<SmolStr, (ProbeId, Span)>,
    /// Types.
    #[serde(serialize_with = "by_name")]
    pub types: FxHashMap<SmolStr, (Type, Span)>,
}

/// Writes a map in the order of its keys, so that equal maps have equal bytes.
pub(crate) fn by_name<K: Ord + Serialize, V: Serialize, S: Serializer>(
    map: &FxHashMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let sorted: BTreeMap<&K, &V> = map.iter().collect();
    sorted.serialize(serializer)
}

type Named<T> = FxHashMap<SmolStr, (T, Span)>;

/// A kind of names.
pub(crate) struct Namespace<T> {
    /// What a name of it names.
    word: &'static str,
    names: fn(&Names) -> &Named<T>,
    names_mut: fn(&mut Names) -> &mut Named<T>,
}

pub(crate) const VARIABLES: &Namespace<VarId> = &Namespace {
    word: "variable",
    names: |n| &n.variables,
    names_mut: |n| &mut n.variables,
};
pub(crate) const SECTIONS: &Namespace<SectionId> = &Namespace {
    word: "layer or image",
    names: |n| &n.sections,
    names_mut: |n| &mut n.sections,
};
pub(crate) const PROVIDERS: &Namespace<ProviderId> = &Namespace {
    word: "provider",
    names: |n| &n.providers,
    names_mut: |n| &mut n.providers,
};
pub(crate) const RULES: &Namespace<RuleId> = &Namespace {
    word: "rule",
    names: |n| &n.rules,
    names_mut: |n| &mut n.rules,
};
pub(crate) const PROBES: &Namespace<ProbeId> = &Namespace {
    word: "probe",
    names: |n| &n.probes,
    names_mut: |n| &mut n.probes,
};
pub(crate) const TYPES: &Namespace<Type> = &Namespace {
    word: "type",
    names: |n| &n.types,
    names_mut: |n| &mut n.types,
};

impl Names {
    /// Adds a name, unless it is defined already: then it returns the error.
    pub(crate) fn define<T>(
        &mut self,
        library: Option<&Names>,
        space: &Namespace<T>,
        name: &Ident,
        item: T,
    ) -> Option<Diagnostic> {
        let find = |names: &Names| {
            let known = (space.names)(names).get(&name.text);
            known.map(|(_, span)| *span)
        };
        let in_library = library.and_then(find);
        let Some(first) = find(self).or(in_library) else {
            (space.names_mut)(self).insert(name.text.clone(), (item, name.span));
            return None;
        };
        if first == name.span {
            return None;
        }
        let word = space.word;
        let help = if in_library.is_none() {
            "rename one of them"
        } else if word == "variable" {
            "set its value in a layer or image: the library already declares it"
        } else {
            "choose another name: the library already uses this one"
        };
        let message = format!("the {word} `{}` is declared twice", name.text);
        Some(
            Diagnostic::new(Code::DuplicateName, name.span, message)
                .label("declared again here")
                .related(first, "first declared here")
                .help(help),
        )
    }
}

/// What one file sees: its own names, those of the files that it includes, and the library's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'n> {
    pub own: &'n Names,
    pub library: &'n Names,
}

impl<'n> View<'n> {
    /// Finds what a name names.
    pub(crate) fn find<T>(self, space: &Namespace<T>, name: &str) -> Option<&'n (T, Span)> {
        let own = (space.names)(self.own).get(name);
        own.or_else(|| (space.names)(self.library).get(name))
    }

    /// All names of a kind, with what they name.
    pub(crate) fn entries<T: 'n>(
        self,
        space: &Namespace<T>,
    ) -> impl Iterator<Item = (&'n str, &'n T)> {
        (space.names)(self.own)
            .iter()
            .chain((space.names)(self.library))
            .map(|(name, (item, _))| (name.as_str(), item))
    }

    /// All names of a kind.
    pub(crate) fn all<T: 'n>(self, space: &Namespace<T>) -> impl Iterator<Item = &'n str> {
        (space.names)(self.own)
            .keys()
            .chain((space.names)(self.library).keys())
            .map(SmolStr::as_str)
    }
}
