//! Versions that a checkout repeats: the variable that contains the version, and the strings that follow from it.
//!
//! Image Builder writes the version of Kubernetes as `v1.34.3`, `v1.34`, `1.34.3-1.1` and `1.34.3`, in variables and forms
//! that differ between releases. The forms are learned from the checkout's own strings. A string that contains a version
//! by chance must not follow it, so each relation needs a second reason: the standard library derives one variable from
//! the other, or their names begin with the same word, or two files with different versions have the same form.

use crate::import::checkout::Checkout;
use crate::import::infer::Declaration;
use crate::import::print::spell_braces;
use crate::packer::{Braced, parse_braces};
use crate::project::Program;
use crate::project::hir::{ExprKind, VarId};
use crate::schema::{Base, Encoding, Value};
use crate::source::part;
use crate::syntax::escape;
use std::collections::{BTreeMap, BTreeSet};

/// A source (a var file, a template, or `-var`) and a name that it sets.
type SeenSetting<'c> = (&'c str, &'c str);

/// A string with the places of a version in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Form(Vec<VersionPiece>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum VersionPiece {
    Plain(String),
    /// A Packer expression, unchanged.
    Braces(String),
    /// The whole string of the version's variable, `v1.34.3`.
    Whole,
    /// The same without its `v`.
    Number,
    /// `1.34`
    Series,
}

/// Returns the expressions for strings that follow a version, by source and name.
///
/// The expression gives the same string on every target of the checkout. `is_plain` is true for variables whose `${x}` is
/// the string that Packer has.
pub(super) fn find_versions(
    checkout: &Checkout,
    library: &Program,
    declarations: &BTreeMap<String, Declaration>,
    is_plain: &dyn Fn(&str) -> bool,
) -> BTreeMap<(String, String), String> {
    let strings = Strings::collect(checkout);
    let learner = Learner {
        library,
        declarations,
        strings: &strings,
    };
    let bases = learner.bases();
    let mut followers: BTreeSet<&str> = BTreeSet::new();
    let mut out = BTreeMap::new();
    let is_base = |name: &str| bases.contains(&name);
    // Begin with the versions that follow other versions, so that strings follow the first one of a chain.
    let (first, second): (Vec<SeenSetting<'_>>, Vec<SeenSetting<'_>>) = strings
        .texts
        .keys()
        .copied()
        .partition(|(_, name)| is_base(name));
    let mut first = first;
    let rank = |name: &str| bases.iter().position(|base| *base == name);
    first.sort_by_key(|(source, name)| (rank(name), *source));
    for setting in first.into_iter().chain(second) {
        let at = rank(setting.1).unwrap_or(bases.len());
        let possible: Vec<&str> = bases
            .iter()
            .take(at)
            .copied()
            .filter(|base| !followers.contains(base))
            .collect();
        if let Some((base, form)) = learner.choose(setting, &possible, &bases) {
            followers.insert(setting.1);
            out.insert(
                (setting.0.to_owned(), setting.1.to_owned()),
                form.expression(base, is_plain),
            );
        }
    }
    out
}

/// Every string of a checkout, and the other strings on its targets.
struct Strings<'c> {
    texts: BTreeMap<SeenSetting<'c>, &'c str>,
    /// The strongest setting of each name, for each Packer command.
    runs: Vec<BTreeMap<&'c str, SeenSetting<'c>>>,
}

impl<'c> Strings<'c> {
    fn collect(checkout: &'c Checkout) -> Strings<'c> {
        let mut texts = BTreeMap::new();
        for (file, entries) in &checkout.var_files {
            texts.extend(
                entries
                    .iter()
                    .map(|(name, text)| ((file.as_str(), name.as_str()), text.as_str())),
            );
        }
        for (template, facts) in &checkout.defaults {
            let defaults = facts
                .iter()
                .filter_map(|(name, text)| Some((name, text.as_ref()?)));
            texts.extend(
                defaults.map(|(name, text)| ((template.as_str(), name.as_str()), text.as_str())),
            );
        }
        let mut runs = Vec::new();
        for run in checkout.targets.iter().flat_map(|target| &target.runs) {
            let mut strongest = BTreeMap::new();
            let sources = std::iter::once(&run.template).chain(run.files());
            for source in sources {
                let from = (source.as_str(), "")..;
                for setting in texts
                    .range(from)
                    .map(|(s, _)| *s)
                    .take_while(|(s, _)| s == source)
                {
                    strongest.insert(setting.1, setting);
                }
            }
            strongest.extend(
                run.vars
                    .iter()
                    .map(|(name, _)| (name.as_str(), ("-var", name.as_str()))),
            );
            runs.push(strongest);
        }
        Strings { texts, runs }
    }

    /// Returns the string of `other` in all commands in which `setting` is the strongest of its name, if it is the same in
    /// all. If there is no such command, returns the string in the setting's own file.
    fn beside(&self, setting: SeenSetting<'c>, other: &str) -> Option<&'c str> {
        let is_in_force =
            |run: &&BTreeMap<&str, SeenSetting<'c>>| run.get(setting.1) == Some(&setting);
        let mut found = self
            .runs
            .iter()
            .filter(is_in_force)
            .map(|run| run.get(other));
        let Some(first) = found.next() else {
            return self
                .texts
                .iter()
                .find(|((s, n), _)| *s == setting.0 && *n == other)
                .map(|(_, t)| *t);
        };
        let text = |setting: Option<&SeenSetting<'c>>| self.texts.get(setting?).copied();
        let first = text(first)?;
        found
            .all(|other| text(other) == Some(first))
            .then_some(first)
    }
}

struct Learner<'c> {
    library: &'c Program,
    declarations: &'c BTreeMap<String, Declaration>,
    strings: &'c Strings<'c>,
}

impl<'c> Learner<'c> {
    /// Returns the names whose strings are versions. The first ones are the most likely to be followed: names that the
    /// standard library derives others from, then names that it does not derive, then short names.
    fn bases(&self) -> Vec<&'c str> {
        let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for ((_, name), text) in &self.strings.texts {
            texts.entry(name).or_default().push(text);
        }
        let holds_versions = |texts: &[&str]| {
            texts
                .iter()
                .all(|text| text.is_empty() || version_in(text).is_some())
                && texts.iter().any(|text| !text.is_empty())
        };
        let mut bases: Vec<&str> = texts
            .iter()
            .filter(|(name, texts)| self.is_plain_text(name) && holds_versions(texts))
            .map(|(name, _)| *name)
            .collect();
        let followed: BTreeSet<&str> = self
            .declarations
            .keys()
            .flat_map(|name| self.sources(name))
            .collect();
        bases.sort_by_key(|name| {
            (
                !followed.contains(name),
                self.sources(name).len(),
                words(name).count(),
                name.len(),
                *name,
            )
        });
        bases
    }

    /// True if an expression can replace a string of the variable.
    fn is_plain_text(&self, name: &str) -> bool {
        self.declarations.get(name).is_some_and(|declaration| {
            let is_other = matches!(
                declaration.ty.base,
                Base::Args | Base::Path | Base::File | Base::Role | Base::Toml | Base::OneOf(_)
            );
            declaration.ty.is_text()
                && declaration.encoding == Encoding::Plain
                && !is_other
                && !declaration.is_secret
                && declaration.alias_of.is_none()
        })
    }

    fn known(&self, name: &str) -> Option<VarId> {
        self.declarations.get(name)?.known
    }

    /// Returns the names that the standard library derives a variable from, also indirectly.
    fn sources(&self, name: &str) -> BTreeSet<&'c str> {
        let mut out = BTreeSet::new();
        let mut open: Vec<VarId> = self.known(name).into_iter().collect();
        while let Some(id) = open.pop() {
            if let Some(default) = &self.library.variable(id).default {
                default.for_each_variable(&mut |id| {
                    if out.insert(self.library.variable(id).name.as_str()) {
                        open.push(id);
                    }
                });
            }
        }
        out
    }

    /// Returns the version that a string follows, and its form.
    fn choose(
        &self,
        setting: SeenSetting<'c>,
        possible: &[&'c str],
        bases: &[&str],
    ) -> Option<(&'c str, Form)> {
        let text = self
            .strings
            .texts
            .get(&setting)
            .copied()
            .filter(|text| !text.is_empty())?;
        if !self.is_plain_text(setting.1) {
            return None;
        }
        let sources = self.sources(setting.1);
        let mut found: Vec<(Witness, &str, Form)> = Vec::new();
        for base in possible.iter().copied().filter(|base| *base != setting.1) {
            let Some(version) = self.strings.beside(setting, base) else {
                continue;
            };
            let Some(form) = Form::of(text, version, self.has_numbers(base)) else {
                continue;
            };
            let shared = words(base)
                .zip(words(setting.1))
                .take_while(|(a, b)| a == b)
                .count();
            let witness = if sources.contains(base) {
                Witness::Library
            } else if shared > 0
                && form.holds_all()
                && (!bases.contains(&setting.1) || is_alike(base, setting.1))
            {
                Witness::Name(shared)
            } else if self.agrees(base, setting.1, &form) {
                Witness::Files
            } else {
                continue;
            };
            found.push((witness, base, form));
        }
        let best = found.iter().map(|(witness, ..)| *witness).max()?;
        let mut best = found.into_iter().filter(|(witness, ..)| *witness == best);
        let (_, base, form) = best.next()?;
        // Two equally likely versions: the string follows neither.
        best.next().is_none().then_some((base, form))
    }

    /// True if the variable's type has a major and a minor number.
    fn has_numbers(&self, name: &str) -> bool {
        self.declarations
            .get(name)
            .is_some_and(|d| matches!(d.ty.base, Base::Semver | Base::Version))
    }

    /// True if at least two different versions are written in this form, and none in another. The standard library's own
    /// default counts.
    fn agrees(&self, base: &str, name: &str, form: &Form) -> bool {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let settings = self
            .strings
            .texts
            .iter()
            .filter(|((_, n), text)| *n == name && !text.is_empty());
        for (setting, text) in settings {
            match self.strings.beside(*setting, base) {
                Some(version) if form.write(version).as_deref() == Some(*text) => {
                    seen.insert(version)
                }
                _ => return false,
            };
        }
        let constant = |name: &str| match &self
            .library
            .variable(self.known(name)?)
            .default
            .as_ref()?
            .kind
        {
            ExprKind::Const(Value::String(text)) => Some(text.known()?.into_owned()),
            _ => None,
        };
        let built_in = constant(base).zip(constant(name));
        let extra = built_in.map_or(0, |(version, text)| {
            usize::from(form.write(&version) == Some(text) && !seen.contains(version.as_str()))
        });
        seen.len() + extra > 1
    }
}

/// The reason to believe that a string follows a version. Later variants are stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Witness {
    /// Two files have the same form.
    Files,
    /// The names begin with this many equal words.
    Name(usize),
    /// The standard library derives one from the other.
    Library,
}

/// True for the names of two versions of one program, such as `x_semver` and `x_rpm_version`: they are equal up to the last
/// `_` of `base`.
fn is_alike(base: &str, name: &str) -> bool {
    let length = words(base).count().saturating_sub(1);
    words(name).take(length).eq(words(base).take(length))
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split('_')
}

/// Returns the numbers of a version, without `v` and with a suffix for early releases: `v1.34.3`, `1.34.3`,
/// `v1.35.0-rc.1`.
fn version_in(text: &str) -> Option<&str> {
    let number = text.strip_prefix('v').unwrap_or(text);
    let core = number.split(['-', '+']).next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let has_three = core.split('.').count() == 3 && core.split('.').all(is_number);
    let rest = part(number, core.len()..);
    let is_early = ["-alpha", "-beta", "-rc"]
        .iter()
        .any(|word| rest.starts_with(word));
    (has_three && (rest.is_empty() || is_early)).then_some(number)
}

/// Returns `1.34` for `1.34.3`.
fn series_of(number: &str) -> Option<&str> {
    let second = number.match_indices('.').nth(1)?.0;
    number.get(..second)
}

impl Form {
    /// Returns the form in which a text contains a version. With `has_series`, the version's first two numbers count too.
    fn of(text: &str, version: &str, has_series: bool) -> Option<Form> {
        let number = version_in(version)?;
        let series = if has_series {
            Some(series_of(number)?)
        } else {
            None
        };
        let mut wanted = vec![
            (version, VersionPiece::Whole),
            (number, VersionPiece::Number),
        ];
        wanted.extend(series.map(|series| (series, VersionPiece::Series)));
        let parts = parse_braces(text);
        let ends = parts.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
        let mut pieces: Vec<VersionPiece> = parts
            .iter()
            .zip(ends)
            .map(|((start, piece), end)| match piece {
                Braced::Text(text) => VersionPiece::Plain((*text).to_owned()),
                _ => VersionPiece::Braces(text.get(*start..end).unwrap_or_default().to_owned()),
            })
            .collect();
        for (wanted, piece) in wanted {
            pieces = split_all(pieces, wanted, &piece);
        }
        let form = Form(pieces);
        form.0
            .iter()
            .any(|p| !matches!(p, VersionPiece::Plain(_) | VersionPiece::Braces(_)))
            .then_some(form)
    }

    /// True if it contains the whole version, not only the first two numbers.
    fn holds_all(&self) -> bool {
        self.0
            .iter()
            .any(|piece| matches!(piece, VersionPiece::Whole | VersionPiece::Number))
    }

    /// Returns the text for another version.
    fn write(&self, version: &str) -> Option<String> {
        let number = version_in(version)?;
        let mut out = String::new();
        for piece in &self.0 {
            out.push_str(match piece {
                VersionPiece::Plain(text) | VersionPiece::Braces(text) => text,
                VersionPiece::Whole => version,
                VersionPiece::Number => number,
                VersionPiece::Series => series_of(number)?,
            });
        }
        Some(out)
    }

    /// Returns the form as an expression over the version's variable. `is_plain`: see [`spell_braces`].
    fn expression(&self, base: &str, is_plain: &dyn Fn(&str) -> bool) -> String {
        if let [VersionPiece::Whole] = self.0[..] {
            return base.to_owned();
        }
        let mut out = String::from("\"");
        for piece in &self.0 {
            match piece {
                VersionPiece::Plain(text) => out.push_str(&escape(text)),
                VersionPiece::Braces(text) => out.push_str(&spell_braces(text, is_plain)),
                VersionPiece::Whole => out.push_str(&format!("${{{base}}}")),
                VersionPiece::Number => out.push_str(&format!("${{trim_prefix({base}, \"v\")}}")),
                VersionPiece::Series => {
                    out.push_str(&format!("${{major({base})}}.${{minor({base})}}"))
                }
            }
        }
        out.push('"');
        out
    }
}

fn split_all(pieces: Vec<VersionPiece>, wanted: &str, piece: &VersionPiece) -> Vec<VersionPiece> {
    let mut out = Vec::new();
    for old in pieces {
        match old {
            VersionPiece::Plain(text) => split(&text, wanted, piece, &mut out),
            other => out.push(other),
        }
    }
    out
}

/// Splits a text at each complete version: not after a digit or letter, and not before a digit or a dot with a digit.
fn split(text: &str, wanted: &str, piece: &VersionPiece, out: &mut Vec<VersionPiece>) {
    let mut plain = 0;
    for (at, _) in text.match_indices(wanted) {
        if at < plain {
            continue;
        }
        let (before, after) = (part(text, ..at), part(text, at + wanted.len()..));
        let is_number = wanted.starts_with(|c: char| c.is_ascii_digit());
        let continues_before = before
            .ends_with(|c: char| c.is_ascii_digit() || !is_number && c.is_ascii_alphanumeric())
            || is_number
                && before.ends_with('.')
                && before
                    .trim_end_matches('.')
                    .ends_with(|c: char| c.is_ascii_digit());
        let continues_after = after.starts_with(|c: char| c.is_ascii_digit())
            || after
                .strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if continues_before || continues_after {
            continue;
        }
        if plain < at {
            out.push(VersionPiece::Plain(part(text, plain..at).to_owned()));
        }
        out.push(piece.clone());
        plain = at + wanted.len();
    }
    if plain < text.len() {
        out.push(VersionPiece::Plain(part(text, plain..).to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str, version: &str) -> Option<String> {
        Form::of(text, version, true).map(|form| {
            assert_eq!(form.write(version).as_deref(), Some(text));
            form.expression("x", &|name| name == "y")
        })
    }

    #[test]
    fn form_contains_the_version() {
        let cases = [
            ("v1.34.3", "v1.34.3", "x"),
            ("1.34.3", "1.34.3", "x"),
            ("1.34.3", "v1.34.3", "\"${trim_prefix(x, \"v\")}\""),
            ("1.34.3-1.1", "v1.34.3", "\"${trim_prefix(x, \"v\")}-1.1\""),
            (
                "1.34.3-150500.2.1",
                "v1.34.3",
                "\"${trim_prefix(x, \"v\")}-150500.2.1\"",
            ),
            ("0:1.34.3-0", "v1.34.3", "\"0:${trim_prefix(x, \"v\")}-0\""),
            ("v1.34", "v1.34.3", "\"v${major(x)}.${minor(x)}\""),
            ("1.34", "1.34.3", "\"${major(x)}.${minor(x)}\""),
            ("node_v1.34.3", "v1.34.3", "\"node_${x}\""),
            ("kube1.34.3", "v1.34.3", "\"kube${trim_prefix(x, \"v\")}\""),
            (
                "{{user `y`}}/v1.34.3-{{ user `z` }}",
                "v1.34.3",
                "\"${y}/${x}-{{user `z`}}\"",
            ),
            (
                "https://x/v1.34/v1.34.3/a",
                "v1.34.3",
                "\"https://x/v${major(x)}.${minor(x)}/${x}/a\"",
            ),
        ];
        for (text, version, wanted) in cases {
            assert_eq!(expression(text, version).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn form_ignores_other_numbers() {
        for text in [
            "", "11.34.3", "1.34.31", "1.34.3.1", "0.1.34.3", "2.1.34", "1.3", "134", "abc",
        ] {
            assert_eq!(expression(text, "v1.34.3"), None, "{text}");
        }
        for text in [
            "",
            "v1",
            "1.34",
            "1.34.3-1.1",
            "1.34.3-00",
            "x1.34.3",
            "1.34.3.4",
            "2404",
        ] {
            assert_eq!(version_in(text), None, "{text}");
        }
        assert_eq!(version_in("v1.35.0-rc.1"), Some("1.35.0-rc.1"));
    }
}
