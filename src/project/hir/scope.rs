//! Which names a file sees.

use crate::diagnostic::{Code, Diagnostic};
use crate::project::hir::*;
use crate::schema::Type;
use crate::source::Span;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

/// The names of some files, each kind on its own.
#[derive(Debug, Default)]
pub struct Names {
    pub variables: FxHashMap<SmolStr, (VarId, Span)>,
    pub sections: FxHashMap<SmolStr, (SectionId, Span)>,
    pub providers: FxHashMap<SmolStr, (ProviderId, Span)>,
    pub rules: FxHashMap<SmolStr, (RuleId, Span)>,
    pub types: FxHashMap<SmolStr, (Type, Span)>,
}

/// A kind of names: how its table is reached, and its word.
pub(crate) type Namespace<T> = (
    &'static str,
    fn(&Names) -> &FxHashMap<SmolStr, (T, Span)>,
    fn(&mut Names) -> &mut FxHashMap<SmolStr, (T, Span)>,
);

pub(crate) const VARIABLES: Namespace<VarId> = ("variable", |n| &n.variables, |n| &mut n.variables);
pub(crate) const SECTIONS: Namespace<SectionId> =
    ("layer or image", |n| &n.sections, |n| &mut n.sections);
pub(crate) const PROVIDERS: Namespace<ProviderId> =
    ("provider", |n| &n.providers, |n| &mut n.providers);
pub(crate) const RULES: Namespace<RuleId> = ("rule", |n| &n.rules, |n| &mut n.rules);
pub(crate) const TYPES: Namespace<Type> = ("type", |n| &n.types, |n| &mut n.types);

impl Names {
    /// Adds a name; a second definition is reported at both places.
    pub(crate) fn define<T>(
        &mut self,
        library: Option<&Names>,
        table: Namespace<T>,
        name: &SmolStr,
        item: T,
        span: Span,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let (word, get, get_mut) = table;
        let existing = get(self)
            .get(name)
            .or_else(|| library.and_then(|l| get(l).get(name)));
        match existing.map(|(_, span)| *span) {
            Some(first) if first == span => {}
            Some(first) => {
                let help = match library.is_some_and(|l| get(l).contains_key(name)) {
                    true if word == "variable" => {
                        "the library declares it; change its value in a layer or image"
                    }
                    true => "the library has this name; choose another",
                    false => "rename one of the two",
                };
                diagnostics.push(
                    Diagnostic::new(
                        Code::DuplicateName,
                        span,
                        format!("the {word} `{name}` is defined twice"),
                    )
                    .label("defined again here")
                    .related(first, "first defined here")
                    .help(help),
                );
            }
            None => {
                get_mut(self).insert(name.clone(), (item, span));
            }
        }
    }
}

/// What one file sees: its own names, those of the files that it includes, and the library's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'n> {
    pub own: &'n Names,
    pub library: &'n Names,
}

impl<'n> View<'n> {
    pub fn find<T>(self, table: Namespace<T>, name: &str) -> Option<&'n (T, Span)> {
        let (_, get, _) = table;
        get(self.own)
            .get(name)
            .or_else(|| get(self.library).get(name))
    }

    /// All names of a kind, with what they name.
    pub fn entries<T: 'n>(self, table: Namespace<T>) -> impl Iterator<Item = (&'n str, &'n T)> {
        let (_, get, _) = table;
        get(self.own)
            .iter()
            .chain(get(self.library))
            .map(|(name, (item, _))| (name.as_str(), item))
    }

    /// All names of a kind.
    pub fn all<T: 'n>(self, table: Namespace<T>) -> impl Iterator<Item = &'n str> {
        let (_, get, _) = table;
        get(self.own)
            .keys()
            .chain(get(self.library).keys())
            .map(SmolStr::as_str)
    }
}
