//! The ways from Packer to Ansible: slots in the text of `--extra-vars` arguments, and the file.

use crate::ansible::{ArgsProblem, Argument, check_args, is_all_known, parse_pairs, read_escapes};
use crate::eval::Image;
use crate::packer::{self, Braced, Filling, Selection, named, parse_braces, whole_argument};
use crate::project::hir::*;
use crate::project::{Program, Region};
use crate::schema::{Value, encode};
use crate::source::Span;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::cell::RefCell;

/// A place in an argument's text that carries a variable's Packer string to Ansible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What Ansible calls it.
    pub name: SmolStr,
    pub variable: VarId,
    /// The quotes around it: `name="{{user `x`}}"`
    pub quote: Option<char>,
}

impl Slot {
    /// What Ansible gets if the slot contains this string unchanged; none where Ansible fails.
    pub fn deliver(&self, text: &str) -> Option<String> {
        let quote = self.quote.map(String::from).unwrap_or_default();
        let argument = format!("{}={quote}{text}{quote}", self.name);
        if matches!(check_args(&argument), Err(ArgsProblem::Refused(_))) {
            return None;
        }
        let pairs = parse_pairs(&argument);
        pairs
            .first()
            .filter(|pair| pair.name == self.name)
            .map(|pair| read_escapes(&pair.value))
    }

    /// True for a string that already has the quotes and escapes that this slot needs.
    pub fn is_made_for(&self, text: &str) -> bool {
        let form = |arrived: String| match carry(&arrived, self.quote) {
            Carried::Wrapped(wrapped) => wrapped == text,
            _ => false,
        };
        self.deliver(text).is_some_and(form)
    }
}

/// How values reach Ansible on one target.
#[derive(Debug, Default)]
pub struct Route {
    /// The variable that carries `@file`.
    pub file: Option<VarId>,
    /// What moves into the file, the weakest first: what the file's variable held, and what the project sets for
    /// later ones that the target fixes. Before them what the project sets for earlier ones.
    pub moved: Vec<Moved>,
    /// The target fixes a later variable than the file's.
    pub is_other: bool,
    /// An Ansible provisioner takes part in the target's runs.
    pub has_playbook: bool,
    /// The variable whose value only the build can read, so that the file cannot take its place, and what it holds.
    pub obstacle: Option<(VarId, String)>,
    pub slots: Vec<Slot>,
    /// The slots of each variable that has any, in the same order.
    by_variable: FxHashMap<VarId, Vec<Slot>>,
    /// All variables that the template names, but for slots.
    pub named: Vec<VarId>,
    /// The first run that selects none of the template's builders, by its place, and the names that these have.
    pub idle: Option<(usize, Vec<String>)>,
    /// The variables on whose values and settings all this depends.
    pub asked: Vec<VarId>,
}

/// A text of a template with its `{{user}}` filled; none where it depends on what only the build knows.
fn fill(image: &Image<'_>, text: &str, asked: &RefCell<Vec<VarId>>) -> Option<String> {
    let program = image.program;
    let file = Some(program.section(image.section).span.file);
    packer::fill(text, &|name| {
        let id = program.find_variable(file, name);
        asked.borrow_mut().extend(id);
        Some(match id.and_then(|id| Some((id, image.value(id)?))) {
            Some((id, value)) => Filling::Known(
                encode(value, program.variable(id).encoding)
                    .known()?
                    .into_owned(),
            ),
            None if id.is_some_and(|id| image.is_broken(id)) => return None,
            // A variable that only the template has.
            None => {
                let default = program.provider(image.provider).readers.default_of(name);
                Filling::Template(default.unwrap_or_default().to_owned())
            }
        })
    })
}

/// An argument whose variables the extra-vars file must bring.
#[derive(Debug, Clone)]
pub struct Moved {
    pub variable: VarId,
    /// The place of its text.
    pub place: Span,
    pub text: String,
    /// The argument goes to Ansible as well, before the file: only what the file would override moves into it.
    pub is_earlier: bool,
}

impl Route {
    pub fn find(image: &Image<'_>) -> Route {
        let program = image.program;
        let provider = program.provider(image.provider);
        let file = Some(program.section(image.section).span.file);
        let lookup = |name: &str| program.find_variable(file, name);
        let mut route = Route::default();
        let asked = RefCell::default();
        let selections = image.selections();
        let readers = provider
            .readers
            .readers(&selections, &|name| fill(image, name, &asked));
        // Who builds matters only to runs that select builders by their names.
        let is_by_name = |run: &&Selection| !run.only.is_empty() || !run.except.is_empty();
        if selections.iter().any(is_by_name) || !readers.idle.is_empty() {
            route.asked = asked.take();
        }
        route.idle = readers
            .idle
            .first()
            .map(|at| (*at, readers.builders.iter().flatten().cloned().collect()));
        route.has_playbook = !readers.extra_vars.is_empty();
        // For each provisioner the variables that its arguments consist of.
        let consist_of = |args: &&[SmolStr]| -> Vec<Option<VarId>> {
            let whole = args.iter().map(|arg| lookup(whole_argument(arg)?));
            whole.collect()
        };
        let wholes: Vec<Vec<Option<VarId>>> = readers.extra_vars.iter().map(consist_of).collect();
        route.asked.extend(wholes.iter().flatten().flatten());
        // A file that only one of the provisioners gets is no way for what all roles need.
        let in_all = |id: &VarId| wholes.iter().all(|ids| ids.contains(&Some(*id)));
        let first = wholes.first().map_or(&[][..], Vec::as_slice);
        let whole: Vec<VarId> = first.iter().flatten().copied().filter(in_all).collect();
        let is_fixed = |id: &VarId| {
            image
                .settings(*id)
                .last()
                .is_some_and(|a| image.stack.region(a.layer) == Region::Fixed)
        };
        // A checkout's own argument with slots stays as it is.
        let has_slots = |id: &VarId| {
            let text = args_text(image, *id)
                .filter(|_| program.serves_upstream(image.provider) && !image.is_set_by_users(*id));
            let is_slot = |value: &str| matches!(&parse_braces(value)[..], [(_, Braced::User(name))] if lookup(name).is_some());
            text.is_some_and(|text| parse_pairs(&text).iter().any(|pair| is_slot(&pair.value)))
        };
        // What only the build can read stays where it is, behind the file.
        let fixed_part = |id: &VarId| Some(unmovable(program, &argument(image, *id)?)?.to_owned());
        let is_own = |id: &VarId| !is_fixed(id) && image.is_set_by_users(*id);
        let end = whole
            .iter()
            .position(|id| is_own(id) && fixed_part(id).is_some())
            .unwrap_or(whole.len());
        let is_free = |id: &VarId| !is_fixed(id) && !has_slots(id);
        let is_chosen = |id: &VarId| is_free(id) && fixed_part(id).is_none();
        let chosen = whole
            .iter()
            .take(end)
            .rposition(is_chosen)
            .and_then(|at| cut_at(&whole, at));
        match chosen {
            Some((earlier, chosen, later)) => {
                route.is_other = later.iter().any(is_fixed);
                route.file = Some(chosen);
                let earlier = earlier
                    .iter()
                    .filter(|id| is_own(id))
                    .filter_map(|id| argument(image, *id));
                route.moved.extend(earlier.map(|moved| Moved {
                    is_earlier: true,
                    ..moved
                }));
                route.moved.extend(argument(image, chosen));
                let later = later.iter().filter(|id| is_fixed(id));
                route
                    .moved
                    .extend(later.filter_map(|id| own_argument(image, *id)));
            }
            None => {
                let held = whole.iter().rfind(|id| is_free(id));
                route.obstacle = held.and_then(|id| Some((*id, fixed_part(id)?)));
            }
        }
        let args = readers.extra_vars.iter().copied().flatten();
        for (arg, whole) in args.zip(wholes.iter().flatten()) {
            match whole {
                Some(id) => {
                    route.named.push(*id);
                    if Some(*id) != route.file {
                        let text = args_text(image, *id).unwrap_or_default();
                        route.add_slots(&text, &lookup);
                    }
                }
                None => route.add_slots(arg, &lookup),
            }
        }
        let mut names: Vec<SmolStr> = readers.reads.into_iter().cloned().collect();
        let mut own: FxHashSet<SmolStr> = FxHashSet::default();
        while let Some(name) = names.pop() {
            match lookup(&name) {
                Some(id) => route.named.push(id),
                // A variable of the template's own leads to what its default names.
                None if own.insert(name.clone()) => {
                    names.extend(
                        provider
                            .readers
                            .default_of(&name)
                            .map(named)
                            .unwrap_or_default(),
                    );
                }
                None => {}
            }
        }
        // What moved into the file still reads what it names.
        for moved in route.moved.iter().filter(|moved| !moved.is_earlier) {
            for_each_user(&moved.text, |name| route.named.extend(lookup(name)));
        }
        route
    }

    /// True for the same ways as those of another route without arguments that move.
    pub fn is_like(&self, other: &Route) -> bool {
        let of = |route: &Route| (route.file, route.is_other, route.has_playbook);
        of(self) == of(other)
            && self.slots == other.slots
            && self.moved.is_empty()
            && self.obstacle == other.obstacle
            && self.named == other.named
            && self.idle == other.idle
    }

    /// Returns the slots that carry a variable to Ansible.
    pub fn slots_of(&self, id: VarId) -> &[Slot] {
        self.by_variable.get(&id).map_or(&[], Vec::as_slice)
    }

    fn add_slots(&mut self, text: &str, lookup: &impl Fn(&str) -> Option<VarId>) {
        for pair in parse_pairs(text) {
            if let [(_, Braced::User(name))] = &parse_braces(&pair.value)[..]
                && let Some(variable) = lookup(name)
            {
                let slot = Slot {
                    name: SmolStr::new(&pair.name),
                    variable,
                    quote: pair.quote,
                };
                self.by_variable
                    .entry(variable)
                    .or_default()
                    .push(slot.clone());
                self.slots.push(slot);
            } else {
                for_each_user(&pair.value, |name| self.named.extend(lookup(name)));
            }
        }
    }
}

fn for_each_user(text: &str, mut visit: impl FnMut(&str)) {
    for (_, piece) in parse_braces(text) {
        match piece {
            Braced::User(name) => visit(name),
            Braced::Other(_, names) => names.into_iter().for_each(&mut visit),
            _ => {}
        }
    }
}

/// The first template in a text that only Packer can fill.
fn packer_template(text: &str) -> Option<String> {
    parse_braces(text)
        .into_iter()
        .find_map(|(_, piece)| match piece {
            Braced::Other(text, _) | Braced::Bad(text, _) => Some(text.to_owned()),
            _ => None,
        })
}

/// What keeps an argument from moving into the file: that only the build can read it.
fn unmovable<'m>(program: &Program, moved: &'m Moved) -> Option<&'m str> {
    let text = moved.text.as_str();
    match Argument::of(text) {
        Argument::File(_) if program.data.iter().any(|data| data.at == moved.place) => None,
        Argument::File(_) => Some(text),
        Argument::Data(_) => text.contains("{{").then_some(text),
        Argument::Pairs(_) if packer_template(text).is_none() && is_all_known(text) => None,
        Argument::Pairs(_) => Some(text),
    }
}

/// The text of an `args` variable, as Packer gets it.
fn args_text(image: &Image<'_>, id: VarId) -> Option<String> {
    match image.value(id)? {
        Value::String(text) => {
            Some(super::packer_string(text)).filter(|text| !text.trim().is_empty())
        }
        _ => None,
    }
}

/// What an `args` variable holds.
fn argument(image: &Image<'_>, id: VarId) -> Option<Moved> {
    let place = image
        .winner(id)
        .map_or(image.program.variable(id).span, |a| a.setting.value.span);
    Some(Moved {
        variable: id,
        place,
        text: args_text(image, id)?,
        is_earlier: false,
    })
}

/// The project's own argument for a variable that the target fixes.
fn own_argument(image: &Image<'_>, id: VarId) -> Option<Moved> {
    let own = image
        .settings(id)
        .iter()
        .rev()
        .find(|a| image.program.sources.is_users(a.setting.span.file))?;
    let value = &own.setting.value;
    match &value.kind {
        ExprKind::Const(Value::String(text)) => Some(Moved {
            variable: id,
            place: value.span,
            text: crate::emit::packer_string(text),
            is_earlier: false,
        }),
        _ => None,
    }
}

/// What a slot does to a string.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Carried {
    AsItIs,
    /// Only in this form, which every other reader would see too.
    Wrapped(String),
    Not(&'static str),
}

/// The longest argument that every system takes, less room for the rest of it.
const LONGEST: usize = 120_000;

/// How a slot with these quotes carries a string to Ansible, byte for byte.
fn carry(text: &str, quote: Option<char>) -> Carried {
    if text.contains("{%") || text.contains("{#") || text.contains("{{") {
        return Carried::Not("Ansible would evaluate it as a Jinja template");
    }
    if text.ends_with('\\') {
        return Carried::Not("the backslash at its end would escape the quote");
    }
    let fits = !text.contains('\\')
        && match quote {
            Some(quote) => !text.contains(quote),
            None => !text.contains(['"', '\'']) && !text.contains(char::is_whitespace),
        };
    let too_long = Carried::Not("it is too long for a program argument");
    if fits {
        return if text.len() > LONGEST {
            too_long
        } else {
            Carried::AsItIs
        };
    }
    let around = quote.unwrap_or('"');
    let escaped = text
        .replace('\\', "\\\\")
        .replace(around, &format!("\\{around}"))
        .replace('\n', "\\n");
    // Escapes count, too.
    if escaped.len() > LONGEST {
        return too_long;
    }
    Carried::Wrapped(match quote {
        Some(_) => escaped,
        None => format!("\"{escaped}\""),
    })
}

/// The one form of a string in which all slots of a variable carry it. `may_wrap`: nothing but slots
/// reads the variable, so that the string may get quotes and escapes for them.
pub(super) fn carry_all(
    text: &str,
    slots: &[Slot],
    may_wrap: bool,
) -> Result<String, &'static str> {
    let mut forms = slots.iter().map(|slot| match carry(text, slot.quote) {
        Carried::AsItIs => Ok(text.to_owned()),
        Carried::Wrapped(wrapped) if may_wrap => Ok(wrapped),
        Carried::Wrapped(_) => Err("Packer itself reads the string, which must stay as it is"),
        Carried::Not(reason) => Err(reason),
    });
    let first = forms.next().unwrap_or_else(|| Ok(text.to_owned()))?;
    for form in forms {
        if form? != first {
            return Err("the template passes it in two places with different quotes");
        }
    }
    Ok(first)
}

/// Splits a list at an item: the items before it, the item, and those after it.
fn cut_at<T: Copy>(items: &[T], at: usize) -> Option<(&[T], T, &[T])> {
    let (before, from) = items.split_at_checked(at)?;
    let (item, behind) = from.split_first()?;
    Some((before, *item, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_what_each_kind_of_slot_can() {
        assert_eq!(carry("a=b", None), Carried::AsItIs);
        assert_eq!(carry("a b", Some('"')), Carried::AsItIs);
        assert_eq!(carry("a b", None), Carried::Wrapped("\"a b\"".into()));
        assert_eq!(carry("a\"b", Some('"')), Carried::Wrapped("a\\\"b".into()));
        assert_eq!(carry("a\"b", Some('\'')), Carried::AsItIs);
        assert_eq!(carry("it's", Some('\'')), Carried::Wrapped("it\\'s".into()));
        assert!(matches!(carry("a\\", Some('"')), Carried::Not(_)));
        assert!(matches!(carry("{% x %}", Some('"')), Carried::Not(_)));
        assert!(matches!(
            carry(&"\"".repeat(LONGEST), Some('"')),
            Carried::Not(_)
        ));
        assert_eq!(carry(&"x".repeat(LONGEST), None), Carried::AsItIs);
    }
}
