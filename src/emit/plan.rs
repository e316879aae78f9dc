//! Who gets what, in which form, and why not: the decisions behind an image's files.
//!
//! [`plan`] looks at each variable once. What it decides is a [`Row`], and what an extra-vars argument of the template
//! leaves for the file is an [`Entry`]. Rendering adds nothing to that and takes nothing away.

use crate::diagnostic::{Code, Diagnostic};
use crate::emit::ansible::{Obstacle, find_obstacle, show_value};
use crate::emit::route::{Slot, carry_all};
use crate::emit::{Delivery, Environment, Output, is_literal_secret, packer, packer_string};
use crate::eval::Image;
use crate::project::Program;
use crate::project::hir::*;
use crate::schema::{Base, Encoding, Piece, Receivers, Roles, Text, Type, Value, encode};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value as Json;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};

/// What the files of an image contain.
#[derive(Debug)]
pub(super) struct Plan<'p> {
    /// The variables that the image sees, in order of declaration.
    pub rows: Vec<Row>,
    /// The variable that carries the path of the extra-vars file; none where no file is needed or none can be passed.
    pub file: Option<VarId>,
    /// The names in the extra-vars file: those of rows, under the names that the roles use, and the moved ones.
    pub names: FxHashSet<SmolStr>,
    /// What moves from arguments into the file; it wins over a row of the same name.
    pub moved: BTreeMap<String, Entry<'p>>,
    /// Names that a checkout's strings mention and nothing declares: Packer must get an empty string for them.
    pub undeclared: BTreeSet<SmolStr>,
}

/// How one variable is delivered.
#[derive(Debug)]
pub(super) struct Row {
    pub variable: VarId,
    /// In Packer's var file; none where it is not in it.
    pub packer: Option<PackerForm>,
    /// In the extra-vars file; none where it is not in it under its own name.
    pub file: Option<FileForm>,
    /// The template or a builder reads it, not only a slot.
    pub is_read_by_packer: bool,
    pub slots: Vec<Slot>,
}

/// In which form Packer's var file has a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PackerForm {
    /// `@` and the path of the extra-vars file.
    FileArgument,
    /// The encoded string of a variable: of the row's own, or of the one that its deprecated name refers to.
    String(VarId),
    /// The string with the quotes and escapes that its slots need.
    Wrapped(String),
    /// Empty, because the extra-vars file carries a value that the slots cannot.
    Empty,
}

/// In which form the extra-vars file has a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileForm {
    /// A real value: a bool, an integer, a list, a map, or a string.
    Typed,
    /// The string that Packer would get.
    Encoded,
}

/// An entry of the extra-vars file.
#[derive(Debug, Clone)]
pub(super) enum Entry<'p> {
    /// A value, and the type in which the roles need it.
    Value(Value, Option<(&'p Type, Encoding)>),
    /// An entry of a file or of YAML, as it was read.
    Json(Json),
}

/// What the slots of a variable do with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotUse {
    /// The template has no slot for it.
    NoSlot,
    /// They pass it to Ansible.
    Carried,
    /// They would change it or lose a part of it.
    NotCarried,
    /// A checkout's own string, or a value that only the build knows: the slots pass it as it is.
    AsItIs,
}

/// Decides in which form the extra-vars file has a variable that the playbook receives. The columns "the file" of the
/// table in docs/language.md, "What is written".
fn file_form(
    roles: Roles,
    is_for_packer: bool,
    is_typed: bool,
    slots: impl FnOnce() -> SlotUse,
) -> Option<FileForm> {
    match (roles, is_for_packer) {
        (Roles::Native, _) => Some(FileForm::Typed),
        (Roles::Upstream, false) => Some(FileForm::Typed),
        (Roles::Upstream, true) if is_typed => Some(FileForm::Typed),
        (Roles::Upstream, true) => match slots() {
            SlotUse::NoSlot | SlotUse::NotCarried => Some(FileForm::Encoded),
            SlotUse::Carried | SlotUse::AsItIs => None,
        },
    }
}

/// Decides in which form Packer's var file has a string that slots read.
fn slot_form(
    variable: VarId,
    text: &str,
    slots: &[Slot],
    may_wrap: bool,
    is_in_file: impl Fn(&Slot) -> bool,
) -> Result<PackerForm, &'static str> {
    match carry_all(text, slots, may_wrap) {
        Ok(carried) if carried == text => Ok(PackerForm::String(variable)),
        Ok(carried) => Ok(PackerForm::Wrapped(carried)),
        Err(_) if may_wrap && slots.iter().all(is_in_file) => Ok(PackerForm::Empty),
        Err(reason) => Err(reason),
    }
}

/// The ways by which a variable is read on a target.
#[derive(Debug)]
pub struct Ways {
    is_read_by_packer: bool,
    slots: Vec<Slot>,
    is_in_file: bool,
}

/// The ways by which the variables of an image are read, for those that are.
#[derive(Debug)]
pub struct Routes(Vec<(SmolStr, Ways)>);

impl Routes {
    /// Returns the ways of a variable that is read.
    pub fn get(&self, name: &str) -> Option<&Ways> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, ways)| ways)
    }

    /// Returns the ways of each variable that is read, in words.
    pub fn words(&self) -> BTreeMap<String, Vec<String>> {
        let words = self.0.iter();
        words
            .map(|(name, ways)| (name.to_string(), ways.words()))
            .collect()
    }

    /// Returns the names of the variables that are read.
    pub fn names(&self) -> impl Iterator<Item = &SmolStr> {
        self.0.iter().map(|(name, _)| name)
    }
}

impl Ways {
    /// Returns them in words: `packer`, `slot NAME`, `slot NAME, quoted`, `file`.
    pub fn words(&self) -> Vec<String> {
        let slots = self.slots.iter().map(|slot| {
            let quotes = if slot.quote.is_some() { ", quoted" } else { "" };
            format!("slot {}{quotes}", slot.name)
        });
        let packer = self.is_read_by_packer.then(|| "packer".to_owned());
        let file = self.is_in_file.then(|| "file".to_owned());
        let mut words: Vec<String> = packer.into_iter().chain(slots).chain(file).collect();
        // Several provisioners pass the same argument.
        words.dedup();
        words
    }
}

impl Plan<'_> {
    /// Whether a value names a file or folder: then the content of the files can depend on where they are.
    pub(super) fn has_paths(&self, image: &Image<'_>) -> bool {
        let values = image.program.variables.ids();
        let values = values.filter_map(|id| image.value(id));
        let moved = self.moved.values().filter_map(|entry| match entry {
            Entry::Value(value, _) => Some(value),
            Entry::Json(_) => None,
        });
        values.chain(moved).any(Value::has_paths)
    }

    /// Returns the ways by which each variable is read, for those that are.
    pub(super) fn into_routes(self, program: &Program) -> Routes {
        let mut out = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let name = &program.variable(row.variable).name;
            let ways = Ways {
                is_read_by_packer: row.is_read_by_packer,
                slots: row.slots,
                is_in_file: self.names.contains(name),
            };
            if ways.is_read_by_packer || !ways.slots.is_empty() || ways.is_in_file {
                out.push((name.clone(), ways));
            }
        }
        Routes(out)
    }
}

/// Decides how the values of some variables of an image are delivered, and reports what cannot be.
pub(super) fn plan<'p>(
    delivery: &Delivery<'_, 'p>,
    ids: &[VarId],
    are_others_in_file: bool,
    undeclared: BTreeSet<SmolStr>,
    output: &Output,
    out: &mut Vec<Diagnostic>,
) -> Plan<'p> {
    let mut planner = Planner {
        delivery,
        ids,
        are_others_in_file,
        output,
        out,
    };
    let mut plan = Plan {
        rows: Vec::new(),
        file: delivery.route.file,
        names: FxHashSet::default(),
        moved: BTreeMap::new(),
        undeclared,
    };
    plan.names.reserve(ids.len());
    let forms = planner.plan_file(&mut plan);
    plan.rows.reserve(ids.len());
    for id in ids.iter().copied() {
        let packer = planner.plan_packer(id, &plan);
        plan.rows.push(Row {
            variable: id,
            packer,
            file: forms.get(&id).copied(),
            is_read_by_packer: delivery.reach.reads_beyond_slots(id),
            slots: delivery.slots_of(id).to_vec(),
        });
    }
    plan
}

/// Makes a plan, and collects what is wrong.
pub(super) struct Planner<'d, 'i, 'p> {
    pub(super) delivery: &'d Delivery<'i, 'p>,
    ids: &'d [VarId],
    are_others_in_file: bool,
    output: &'d Output,
    out: &'d mut Vec<Diagnostic>,
}

impl<'p> Planner<'_, '_, 'p> {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.out.push(diagnostic);
    }

    // ---- the extra-vars file ------------------------------------------------------------------

    /// Fills the entries of the file. Returns the forms of the variables that are in it.
    fn plan_file(&mut self, plan: &mut Plan<'p>) -> FxHashMap<VarId, FileForm> {
        let delivery = self.delivery;
        let mut forms = FxHashMap::default();
        if !delivery.route.has_playbook {
            return forms;
        }
        for id in self.ids.iter().copied() {
            let Some(form) = self.plan_file_form(id) else {
                continue;
            };
            let obstacle = match form {
                FileForm::Typed => delivery.image.value(id).and_then(find_obstacle),
                FileForm::Encoded => delivery
                    .entry(id, form)
                    .and_then(|entry| entry.find_obstacle()),
            };
            if let Some(obstacle) = obstacle {
                self.report_obstacle(id, obstacle);
                continue;
            }
            forms.insert(id, form);
            plan.names.extend(delivery.names_in_file(id).cloned());
        }
        self.plan_moved(plan);
        if delivery.route.file.is_none() && !plan.names.is_empty() {
            self.report_no_route(plan, &forms);
        }
        let moved = &delivery.route.moved;
        let is_moved_by_users = moved
            .iter()
            .any(|moved| delivery.image.is_set_by_users(moved.variable));
        let is_empty = forms.is_empty() && !self.are_others_in_file;
        if delivery.serves_upstream() && is_empty && !is_moved_by_users {
            // A checkout needs no file where every value reaches Ansible through its own arguments.
            plan.file = None;
            plan.names.clear();
            plan.moved.clear();
        }
        forms
    }

    fn plan_file_form(&mut self, id: VarId) -> Option<FileForm> {
        let delivery = self.delivery;
        let variable = delivery.image.program.variable(id);
        let is_received = variable.to.has(delivery.receiver()) && variable.alias_of().is_none();
        let value = delivery.image.value(id).filter(|_| is_received)?;
        let is_for_packer = delivery.is_for_packer(variable);
        // Image Builder's roles have defaults of their own for what Packer does not pass.
        if !is_for_packer && delivery.is_of_library(id) {
            return None;
        }
        let form = file_form(delivery.roles(), is_for_packer, variable.is_typed, || {
            delivery.slot_use(id, value)
        })?;
        if is_literal_secret(delivery.image, id) {
            self.report_secret(id, &variable.name);
            return None;
        }
        let is_entry = variable.extra() == Some(Owner::Ansible);
        if let Some(secret) = delivery
            .find_exposed_value(&variable.name, value)
            .filter(|_| is_entry && delivery.image.is_set_by_users(id))
        {
            self.report_secret(id, &secret);
            return None;
        }
        // Without a file, only the slots carry the string; what they cannot carry is reported there.
        let is_left_to_slots = form == FileForm::Encoded && delivery.route.file.is_none();
        (!is_left_to_slots || delivery.slots_of(id).is_empty()).then_some(form)
    }

    fn report_obstacle(&mut self, id: VarId, obstacle: Obstacle) {
        match obstacle {
            Obstacle::Secret(secret) => self.report_secret(id, &secret),
            // A slot passes it, filled by Packer.
            Obstacle::Packer(_) if !self.delivery.slots_of(id).is_empty() => {}
            Obstacle::Packer(expression) => {
                let name = &self.delivery.image.program.variable(id).name;
                let message = format!(
                    "`{name}` goes to Ansible, but only Packer can evaluate `{expression}`"
                );
                let found = Diagnostic::new(Code::OpaqueValue, self.delivery.place(id), message)
                    .help("remove the Packer expression, or read the value from the environment: env(\"NAME\")");
                self.report(found);
            }
        }
    }

    pub(super) fn report_secret(&mut self, id: VarId, secret: &str) {
        let name = &self.delivery.image.program.variable(id).name;
        let message = format!("`{name}` would expose the secret `{secret}` in the extra-vars file");
        let found =
            Diagnostic::new(Code::SecretInText, self.delivery.place(id), message).help(format!(
                "read the secret from the environment: `{secret} = env(\"{}\")`",
                secret.to_uppercase()
            ));
        self.report(found);
    }

    fn report_no_route(&mut self, plan: &Plan<'p>, forms: &FxHashMap<VarId, FileForm>) {
        let delivery = self.delivery;
        let program = delivery.image.program;
        let provider = &delivery.provider().name;
        if delivery.serves_upstream() && delivery.route.obstacle.is_none() {
            // In a checkout few values need the file, so each is reported at its place.
            let ids = self.ids.iter().copied();
            let in_file = ids.filter(|id| forms.contains_key(id));
            for id in in_file.filter(|id| !delivery.is_of_library(*id)) {
                let name = &program.variable(id).name;
                let message = format!(
                    "`{name}` cannot reach Ansible: no argument can pass the extra-vars file"
                );
                let found = Diagnostic::new(Code::NoFileRoute, delivery.place(id), message)
                    .label(format!("no `--extra-vars` argument of the provider `{provider}` can name the file"))
                    .help("remove this setting, or use a provider whose template passes `--extra-vars {{user `…`}}`");
                self.report(found);
            }
            return;
        }
        let mut names: Vec<&str> = plan.names.iter().map(SmolStr::as_str).collect();
        names.sort_unstable();
        names.truncate(3);
        let message = format!(
            "`{}` cannot reach Ansible: no argument can pass the extra-vars file",
            names.join("`, `")
        );
        let found = match &delivery.route.obstacle {
            Some((id, expression)) => Diagnostic::new(Code::NoFileRoute, delivery.place(*id), message)
                .label(format!("the file cannot replace `{expression}`, which only the build can read"))
                .help("move its content to an `ansible { }` block, or name a file of the project: \"@vars.yml\""),
            None => {
                let image = program.section(delivery.image.section);
                Diagnostic::new(Code::NoFileRoute, image.span, message)
                    .label(format!("no `--extra-vars` argument of the provider `{provider}` is a single variable"))
                    .help("add `--extra-vars {{user `NAME`}}` to the template, and `NAME` to the provider's `extra_vars`")
            }
        };
        self.report(found);
    }

    // ---- Packer's var file ----------------------------------------------------------------------

    /// Decides what Packer gets: what a layer sets or the target reads, if it has a value.
    fn plan_packer(&mut self, id: VarId, plan: &Plan<'p>) -> Option<PackerForm> {
        let delivery = self.delivery;
        let variable = delivery.image.program.variable(id);
        if !variable.to.has(Receivers::PACKER) {
            return None;
        }
        if Some(id) == plan.file {
            return Some(PackerForm::FileArgument);
        }
        let is_set = !delivery.image.settings(id).is_empty();
        let is_demanded = || delivery.provider().readers.demands(&variable.name);
        if !is_set && !delivery.reach.reads(id) && !is_demanded() {
            return None;
        }
        let carried = delivery.carried_by(id);
        let value = delivery.image.value(carried)?;
        let encoded = encode(value, delivery.image.program.variable(carried).encoding);
        self.check_packer_string(carried, &encoded);
        let slots = delivery.slots_of(id);
        let is_opaque = delivery
            .image
            .value(id)
            .is_some_and(Value::has_placeholders);
        if slots.is_empty() || is_opaque || delivery.is_of_library(id) {
            return Some(PackerForm::String(carried));
        }
        let text = packer::string(&encoded, self.output, &mut Environment::new());
        if delivery.is_made_for_slots(id, &text) {
            return Some(PackerForm::String(carried));
        }
        let may_wrap = !delivery.reach.reads_beyond_slots(id);
        let is_in_file = |slot: &Slot| plan.names.contains(slot.name.as_str());
        let form = slot_form(carried, &text, slots, may_wrap, is_in_file);
        Some(form.unwrap_or_else(|reason| {
            self.report_slots(id, reason);
            PackerForm::String(carried)
        }))
    }

    /// Reports what a string cannot carry to Packer.
    fn check_packer_string(&mut self, id: VarId, encoded: &Text) {
        if let Text::Plain(text) = encoded
            && memchr::memchr2(b'{', 0, text.as_bytes()).is_none()
        {
            return;
        }
        let variable = self.delivery.image.program.variable(id);
        let name = &variable.name;
        let place = self.delivery.place(id);
        let pieces = encoded.pieces();
        let has_braces = pieces.iter().any(|piece| match piece {
            Piece::Plain(text) | Piece::Path(text) => {
                text.contains("{{") && !matches!(variable.ty.base, Base::Args)
            }
            Piece::Jinja(_) => true,
            _ => false,
        });
        if has_braces {
            let message = format!("`{name}` contains `{{{{`, which begins a Packer expression");
            let found = Diagnostic::new(Code::LiteralBraces, place, message)
                .label("Packer has no escape for it")
                .help("if only your roles need the value, move it to `ansible { }`, where braces are ordinary text");
            self.report(found);
        }
        let has_nul = |piece: &Piece| matches!(piece, Piece::Plain(text) if text.contains('\0'));
        if pieces.iter().any(has_nul) {
            let message =
                format!("`{name}` contains a NUL character, which no program argument can contain");
            self.report(Diagnostic::new(Code::NotEncodable, place, message));
        }
        if variable.encoding == Encoding::Base64 && pieces.len() > 1 && encoded.is_opaque() {
            let message = format!(
                "`{name}` is passed as base64, but a part of it is known only during the build"
            );
            self.report(Diagnostic::new(Code::NotEncodable, place, message));
        }
    }

    fn report_slots(&mut self, id: VarId, reason: &str) {
        let program = self.delivery.image.program;
        let message = format!(
            "the template cannot pass this value of `{}` to Ansible: {reason}",
            program.variable(id).name
        );
        let help = match &self.delivery.route.obstacle {
            Some((other, expression)) => format!(
                "the extra-vars file cannot pass it either, because `{}` contains `{expression}`",
                program.variable(*other).name
            ),
            None => "change the value".to_owned(),
        };
        let place = self.delivery.place(id);
        self.report(Diagnostic::new(Code::SlotCannotCarry, place, message).help(help));
    }
}

impl Entry<'_> {
    pub(super) fn find_obstacle(&self) -> Option<Obstacle> {
        match self {
            Entry::Value(value, _) => find_obstacle(value),
            Entry::Json(_) => None,
        }
    }

    /// True where Ansible gets the same as Packer, in the real type or as Packer's string.
    pub(super) fn is_same(&self, value: &Value, encoding: Encoding) -> bool {
        let json = match self {
            Entry::Value(value, _) => &show_value(value),
            Entry::Json(json) => json,
        };
        *json == show_value(value)
            || json.as_str() == Some(&packer_string(&encode(value, encoding)))
    }
}

impl<'p> Delivery<'_, 'p> {
    /// The entry of a variable that has this form in the file.
    pub(super) fn entry(&self, id: VarId, form: FileForm) -> Option<Entry<'p>> {
        let variable = self.image.program.variable(id);
        let value = self.image.value(id)?;
        Some(match form {
            FileForm::Typed => Entry::Value(value.clone(), Some((&variable.ty, variable.encoding))),
            FileForm::Encoded => {
                Entry::Value(Value::String(encode(value, variable.encoding)), None)
            }
        })
    }

    /// The names that a variable has in the file. Upstream's roles know it by the names that the template gives it.
    pub(super) fn names_in_file(&self, id: VarId) -> impl Iterator<Item = &SmolStr> {
        let own = &self.image.program.variable(id).name;
        let slots = match self.roles() {
            Roles::Upstream => self.slots_of(id),
            Roles::Native => &[],
        };
        std::iter::once(own).chain(slots.iter().map(|slot| &slot.name))
    }

    fn is_for_packer(&self, variable: &Variable) -> bool {
        variable.extra() != Some(Owner::Ansible) && variable.to.has(Receivers::PACKER)
    }

    fn slot_use(&self, id: VarId, value: &Value) -> SlotUse {
        let slots = self.slots_of(id);
        if self.is_of_library(id) {
            return SlotUse::AsItIs;
        }
        if slots.is_empty() {
            return SlotUse::NoSlot;
        }
        let encoded = encode(value, self.image.program.variable(id).encoding);
        let Some(text) = encoded.known() else {
            return SlotUse::AsItIs;
        };
        match carry_all(&text, slots, !self.reach.reads_beyond_slots(id)) {
            Ok(_) => SlotUse::Carried,
            Err(_) => SlotUse::NotCarried,
        }
    }

    /// The variable whose value a name carries: a deprecated name that alone has a slot carries the real one's.
    fn carried_by(&self, id: VarId) -> VarId {
        let real = self.image.program.variable(id).alias_of();
        real.filter(|real| !self.slots_of(id).is_empty() && self.slots_of(*real).is_empty())
            .unwrap_or(id)
    }
}
