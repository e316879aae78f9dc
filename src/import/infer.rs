//! The declarations of a checkout's variables. A name has the type that the standard library declares, if every string of
//! the checkout can be read as that type and written back unchanged. Otherwise the type follows from its strings.

use crate::import::checkout::Checkout;
use crate::packer::named;
use crate::packer::{Braced, parse_braces};
use crate::project::Program;
use crate::project::hir::{VarId, Variable};
use crate::schema::{
    Base, Encoding, Receivers, Text, Type, Value, check_value, decode, encode, find_unencodable,
};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};

/// The declaration of a variable in an adopted library.
#[derive(Debug)]
pub(super) struct Declaration {
    pub ty: Type,
    pub encoding: Encoding,
    pub to: Receivers,
    pub is_secret: bool,
    /// The standard library's variable of that name, unless it is removed.
    pub known: Option<VarId>,
    /// Whether the type is the standard library's.
    pub keeps_type: bool,
    /// The provider that the standard library's documentation is about, if the checkout's other providers have a variable
    /// of that name too.
    pub only_of: Option<String>,
    /// The variable that this name is an alias of.
    pub alias_of: Option<String>,
    /// Whether nothing in the checkout gives it a value: only Packer expressions name it.
    pub is_undeclared: bool,
}

/// Infers the declaration of each name of a checkout. `slots` are the playbooks that templates pass it to.
pub(super) fn infer(
    checkout: &Checkout,
    library: &Program,
    slots: &BTreeMap<String, Receivers>,
    arguments: &BTreeSet<String>,
) -> BTreeMap<String, Declaration> {
    let strings = collect_strings(checkout);
    let names = checkout.names();
    let sets = count_settings(checkout);
    let families = Families::collect(checkout, library);
    let mut out = BTreeMap::new();
    for name in &names {
        let texts = strings.get(name).map_or(&[][..], Vec::as_slice);
        let known = library.find_variable(None, name).filter(|id| {
            let variable = library.variable(*id);
            variable.is_declared() && variable.removed().is_none()
        });
        let kinship = known.map_or(Kinship::Same, |id| families.compare(library.variable(id)));
        let known = known.filter(|_| !matches!(kinship, Kinship::Other));
        let real = |id: VarId| {
            library
                .variable(id)
                .alias_of()
                .map(|real| &library.variable(real).name)
        };
        let alias_of = known
            .and_then(real)
            .filter(|real| names.contains(real.as_str()));
        let known =
            known.filter(|id| library.variable(*id).alias_of().is_none() || alias_of.is_some());
        let (mut ty, encoding, keeps_type) = match known.map(|id| library.variable(id)) {
            Some(variable) if texts.iter().all(|text| fits(variable, text)) => {
                match &kinship {
                    // Another provider may use values that a narrow type of this one excludes.
                    Kinship::Mixed(_) if is_narrow(&variable.ty) => {
                        (Type::of(Base::String), Encoding::Plain, false)
                    }
                    _ => (variable.ty.clone(), variable.encoding, true),
                }
            }
            _ => guess(texts, arguments.contains(name)),
        };
        // Only a variable that has a value on every target is not optional. Templates themselves require values.
        let is_always_set = sets.get(name) == Some(&checkout.targets.len());
        ty.optional = !is_always_set || texts.iter().any(String::is_empty) || texts.is_empty();
        let is_secret =
            known.map_or_else(|| names_a_secret(name), |id| library.variable(id).is_secret);
        let to = slots
            .get(name)
            .copied()
            .unwrap_or(Receivers::NONE)
            .with(Receivers::PACKER);
        let alias_of = alias_of.map(ToString::to_string);
        let only_of = if let Kinship::Mixed(family) = kinship {
            Some(family)
        } else {
            None
        };
        let is_undeclared = texts.is_empty() && !sets.contains_key(name);
        out.insert(
            name.clone(),
            Declaration {
                ty,
                encoding,
                to,
                is_secret,
                known,
                keeps_type,
                only_of,
                alias_of,
                is_undeclared,
            },
        );
    }
    // An alias must have the same type as its variable. Otherwise it is a variable itself.
    let types: BTreeMap<String, bool> =
        out.iter().map(|(n, d)| (n.clone(), d.keeps_type)).collect();
    for declaration in out.values_mut() {
        if let Some(real) = &declaration.alias_of
            && !(declaration.keeps_type && types.get(real) == Some(&true))
        {
            declaration.alias_of = None;
        }
    }
    out
}

/// How a variable of the standard library relates to one of the same name in a checkout.
enum Kinship {
    /// They are the same variable.
    Same,
    /// They are of different providers, and have only the name in common.
    Other,
    /// The checkout's is used by the same provider and by others. Contains the provider.
    Mixed(String),
}

/// The providers whose templates name each variable. Image Builder has a folder for each provider, `packer/NAME`.
struct Families {
    built_in: BTreeMap<String, BTreeSet<String>>,
    checkout: BTreeMap<String, BTreeSet<String>>,
}

impl Families {
    fn collect(checkout: &Checkout, library: &Program) -> Families {
        let mut families = Families {
            built_in: BTreeMap::new(),
            checkout: BTreeMap::new(),
        };
        for provider in library.providers.iter() {
            let reads = provider.readers.readers(&[], &|_| None).reads;
            add_names(
                &mut families.built_in,
                &provider.template,
                reads.into_iter().cloned(),
            );
        }
        for (path, text) in &checkout.templates {
            add_names(&mut families.checkout, path, named(text));
        }
        families
    }

    /// Compares the providers of a variable. One that Ansible gets, or several providers have, is the same everywhere.
    fn compare(&self, variable: &Variable) -> Kinship {
        let nobody = BTreeSet::new();
        let built_in = self.built_in.get(variable.name.as_str()).unwrap_or(&nobody);
        let own = self.checkout.get(variable.name.as_str()).unwrap_or(&nobody);
        let is_for_packer = variable.to == Receivers::PACKER && !variable.is_fact;
        match (built_in.iter().next(), built_in.len()) {
            (Some(family), 1) if is_for_packer && own.contains(family) && own.len() > 1 => {
                Kinship::Mixed(family.clone())
            }
            (Some(family), 1) if is_for_packer && !own.is_empty() && !own.contains(family) => {
                Kinship::Other
            }
            _ => Kinship::Same,
        }
    }
}

/// Notes the names that a template reads. Its folder is named after the provider.
fn add_names(
    out: &mut BTreeMap<String, BTreeSet<String>>,
    path: &str,
    names: impl IntoIterator<Item = SmolStr>,
) {
    let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
    let family = folder.rsplit('/').next().unwrap_or_default();
    for name in names {
        out.entry(name.to_string())
            .or_default()
            .insert(family.to_owned());
    }
}

/// True for a type that accepts only some strings.
fn is_narrow(ty: &Type) -> bool {
    matches!(
        ty.base,
        Base::OneOf(_) | Base::Refined(_) | Base::Semver | Base::Version
    )
}

/// Returns all strings that the checkout sets for each name.
fn collect_strings(checkout: &Checkout) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let vars = checkout
        .targets
        .iter()
        .flat_map(|target| &target.runs)
        .flat_map(|run| &run.vars);
    for (name, text) in checkout.var_files.values().flatten().chain(vars) {
        out.entry(name.clone()).or_default().push(text.clone());
    }
    for template in checkout.templates.keys() {
        for (name, default) in checkout.template_variables(template) {
            out.entry(name.clone()).or_default().extend(default.clone());
        }
    }
    out
}

/// Counts the targets on which each name has a value.
fn count_settings(checkout: &Checkout) -> BTreeMap<String, usize> {
    let mut out: BTreeMap<String, usize> = BTreeMap::new();
    for target in &checkout.targets {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for run in &target.runs {
            let defaults = checkout.template_variables(&run.template).iter();
            names.extend(
                defaults
                    .filter(|(_, default)| default.is_some())
                    .map(|(name, _)| name.clone()),
            );
            let files = run
                .files()
                .filter_map(|file| checkout.var_files.get(file))
                .flatten();
            names.extend(files.chain(&run.vars).map(|(name, _)| name.clone()));
        }
        for name in names {
            *out.entry(name).or_default() += 1;
        }
    }
    out
}

/// True if a string is a value of the variable, in exactly the form in which imgspec would write it.
fn fits(variable: &Variable, text: &str) -> bool {
    let mut ty = variable.ty.clone();
    ty.optional = true;
    let is_text = ty.is_text() && variable.encoding == Encoding::Plain;
    if text.contains("{{") && !matches!(ty.base, Base::Args) {
        let pieces = parse_braces(text);
        if let [(_, Braced::Env(_))] = pieces[..] {
            return true;
        }
        // The value of a reference is unknown. The text around it must match the type.
        let filled: String = pieces
            .iter()
            .map(|(_, piece)| if let Braced::Text(t) = piece { t } else { "x" })
            .collect();
        return is_text && check_value(&ty, &Value::text(filled)).is_ok();
    }
    if is_text {
        return check_value(&ty, &Value::text(text)).is_ok();
    }
    let Ok(decoded) = decode(&ty, variable.encoding, &Text::Plain(text.into())) else {
        return false;
    };
    let is_bare = text.is_empty() && matches!(ty.base, Base::Bool | Base::Int);
    !is_bare
        && check_value(&ty, &decoded.value).is_ok()
        && find_unencodable(&decoded.value, variable.encoding).is_none()
        && encode(&decoded.value, variable.encoding).known().as_deref() == Some(text)
}

/// Guesses the type of a name that the standard library does not declare.
fn guess(texts: &[String], is_argument: bool) -> (Type, Encoding, bool) {
    let all =
        |words: [&str; 2]| !texts.is_empty() && texts.iter().all(|t| words.contains(&t.as_str()));
    if is_argument {
        (Type::of(Base::Args), Encoding::Plain, false)
    } else if all(["true", "false"]) {
        (Type::of(Base::Bool), Encoding::Flag, false)
    } else if all(["True", "False"]) {
        (Type::of(Base::Bool), Encoding::TitleFlag, false)
    } else {
        (Type::of(Base::String), Encoding::Plain, false)
    }
}

/// True for names that all releases use only for secrets.
fn names_a_secret(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    let is_secret_word = |word: &&str| ["password", "passwd", "secret", "token"].contains(word);
    words.last().is_some_and(is_secret_word)
        || name.ends_with("secret_key")
        || name.ends_with("access_key")
}
