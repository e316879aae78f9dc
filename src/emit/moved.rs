//! What an extra-vars argument contains that the extra-vars file replaces, and what Ansible then gets of it.

use crate::ansible::{Argument, Pair, ansible_bool, parse_pairs, parse_vars, read_escapes};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::emit::ansible::{Obstacle, show_value};
use crate::emit::plan::{Entry, Plan, Planner};
use crate::emit::route::Moved;
use crate::emit::{Delivery, packer_string};
use crate::packer::{Braced, parse_braces};
use crate::project::hir::*;
use crate::schema::{
    Base, Mismatch, Piece, Receivers, Roles, Text, TextBuilder, Value, check_value, decode, encode,
    from_json,
};
use serde_json::Value as Json;
use smol_str::SmolStr;

impl<'p> Planner<'_, '_, 'p> {
    /// Adds what moves into the file. As in Ansible, an argument wins over what comes before it; an `ansible { }`
    /// entry wins over an argument of the same or a weaker layer.
    pub(super) fn plan_moved(&mut self, plan: &mut Plan<'p>) {
        let delivery = self.delivery;
        for moved in &delivery.route.moved {
            for (name, entry) in self.read_moved(moved) {
                let name = delivery.real_name(&name);
                let is_new = !plan.names.contains(name.as_str());
                if moved.is_earlier && is_new || delivery.is_entry_above(&name, moved.variable) {
                    continue;
                }
                let is_users = delivery.image.is_set_by_users(moved.variable);
                if let Some(secret) = delivery.find_exposed(&name, &entry).filter(|_| is_users) {
                    self.report_secret(moved.variable, &secret);
                    continue;
                }
                self.check_passed_beside(moved, &name, &entry);
                self.check_lost(moved, &name, &entry);
                plan.names.insert(SmolStr::new(&name));
                plan.moved.insert(name, entry);
            }
        }
    }

    /// The variables of an argument, in the form that the target's roles want.
    fn read_moved(&mut self, moved: &Moved) -> Vec<(String, Entry<'p>)> {
        let program = self.delivery.image.program;
        let map = match Argument::of(&moved.text) {
            Argument::Pairs(text) => {
                let pairs = parse_pairs(text);
                return pairs
                    .iter()
                    .filter_map(|pair| Some((pair.name.clone(), self.read_pair(moved, pair)?)))
                    .collect();
            }
            Argument::Data(text) => parse_vars(text),
            Argument::File(_) => match program.data.iter().find(|data| data.at == moved.place) {
                Some(data) => parse_vars(&data.text),
                None => return Vec::new(),
            },
        };
        // What is not a map has been reported at its place.
        map.unwrap_or_default()
            .into_iter()
            .filter_map(|(name, json)| {
                let entry = self.read_entry(moved, &name, json)?;
                Some((name, entry))
            })
            .collect()
    }

    fn read_pair(&mut self, moved: &Moved, pair: &Pair) -> Option<Entry<'p>> {
        let text = self.delivery.resolve_pair(&pair.value);
        let entry = match self.delivery.typed(&pair.name) {
            Some(declared) => {
                let ty = &declared.ty;
                let decoded = match (&ty.base, text.known().as_deref().and_then(ansible_bool)) {
                    (Base::Bool, Some(flag)) => Ok(Value::Bool(flag)),
                    _ => decode(ty, declared.encoding, &text).map(|decoded| decoded.value),
                };
                match decoded.and_then(|value| check_value(ty, &value).map(|()| value)) {
                    Ok(value) => Entry::Value(value, Some((ty, declared.encoding))),
                    Err(mismatch) => {
                        self.report_moved(moved, &pair.name, &mismatch);
                        return None;
                    }
                }
            }
            None => Entry::Value(Value::String(text), None),
        };
        match entry.find_obstacle() {
            None => Some(entry),
            Some(Obstacle::Secret(secret)) => {
                self.report_secret(moved.variable, &secret);
                None
            }
            Some(Obstacle::Packer(_)) => None,
        }
    }

    /// Reads an entry of a file, or of YAML in the argument itself, which has types of its own.
    fn read_entry(&mut self, moved: &Moved, name: &str, json: Json) -> Option<Entry<'p>> {
        let Some(declared) = self.delivery.typed(name) else {
            return Some(Entry::Json(json));
        };
        let value = match &json {
            Json::String(text) if text.contains("{{") => return Some(Entry::Json(json)),
            Json::String(text) => {
                decode(&declared.ty, declared.encoding, &Text::Plain(text.into())).map(|d| d.value)
            }
            Json::Object(map) if map.keys().any(|key| key.starts_with("__ansible_")) => {
                return Some(Entry::Json(json));
            }
            other => from_json(other),
        };
        match value.and_then(|value| check_value(&declared.ty, &value).map(|()| value)) {
            Ok(value) => Some(Entry::Json(show_value(&value))),
            Err(mismatch) => {
                self.report_moved(moved, name, &mismatch);
                None
            }
        }
    }

    fn report_moved(&mut self, moved: &Moved, name: &str, mismatch: &Mismatch) {
        let program = self.delivery.image.program;
        let declared = self.delivery.find_declared(name);
        let is_secret = declared.is_some_and(|id| program.variable(id).is_secret);
        let message = format!("`{name}`: {}", mismatch.message(is_secret));
        self.report(Diagnostic::new(Code::TypeMismatch, moved.place, message));
    }

    /// Warns where an argument gives Ansible a value and Packer reads another of the same variable.
    fn check_passed_beside(&mut self, moved: &Moved, name: &str, entry: &Entry<'_>) {
        let delivery = self.delivery;
        let program = delivery.image.program;
        let declared = delivery.find_declared(name);
        let Some(id) = declared.filter(|id| delivery.reach.reads_beyond_slots(*id)) else {
            return;
        };
        let variable = program.variable(id);
        // A name that only Packer receives is free for Ansible.
        let is_received = variable.to.has(delivery.receiver()) && !variable.is_secret;
        let Some(value) = delivery.image.value(id).filter(|_| is_received) else {
            return;
        };
        if entry.is_same(value, variable.encoding) {
            return;
        }
        let packer = packer_string(&encode(value, variable.encoding));
        let argument = &program.variable(moved.variable).name;
        let message =
            format!("`{name}` in `{argument}` reaches only Ansible; Packer gets `{packer}`");
        let mut found = Diagnostic::new(Code::DeclaredVariable, moved.place, message).help(
            format!("set the variable `{name}`, so that both get the value"),
        );
        found.severity = Severity::Warning;
        self.report(found);
    }

    /// Warns of a value of the project that Ansible never gets, because an argument has another. Where Packer reads the
    /// variable, [`Planner::check_passed_beside`] has reported it.
    fn check_lost(&mut self, moved: &Moved, name: &str, entry: &Entry<'_>) {
        let delivery = self.delivery;
        let program = delivery.image.program;
        let is_lost = |id: &VarId| {
            let variable = program.variable(*id);
            let is_received =
                variable.to.has(delivery.receiver()) && !delivery.reach.reads_beyond_slots(*id);
            is_received && delivery.image.is_set_by_users(*id) && !variable.is_secret
        };
        let Some(id) = delivery.find_declared(name).filter(is_lost) else {
            return;
        };
        let variable = program.variable(id);
        let Some(value) = delivery.image.value(id) else {
            return;
        };
        if entry.is_same(value, variable.encoding) {
            return;
        }
        let text = packer_string(&encode(value, variable.encoding));
        let argument = &program.variable(moved.variable).name;
        let message = format!(
            "Ansible does not get `{text}` for `{name}`, because `{argument}` sets another value"
        );
        let mut found = Diagnostic::new(Code::DeclaredVariable, delivery.place(id), message)
            .related(moved.place, format!("this also sets `{name}`"))
            .help(format!(
                "remove one of the two settings; keep the variable `{name}` if you can"
            ));
        found.severity = Severity::Warning;
        self.report(found);
    }
}

impl<'p> Delivery<'_, 'p> {
    /// A declared variable that the playbook receives, where its roles want the real type.
    fn typed(&self, name: &str) -> Option<&'p Variable> {
        let variable = self.image.program.variable(self.find_declared(name)?);
        let is_typed = self.roles() == Roles::Native
            || variable.is_typed
            || !variable.to.has(Receivers::PACKER);
        (is_typed && variable.to.has(self.receiver())).then_some(variable)
    }

    /// The name of a secret under which an entry of the file, or a map in it, has a literal value.
    pub(super) fn find_exposed(&self, name: &str, entry: &Entry<'_>) -> Option<String> {
        match entry {
            Entry::Value(value, _) => self.find_exposed_value(name, value),
            Entry::Json(json) => self.find_exposed_json(name, json),
        }
    }

    pub(super) fn find_exposed_value(&self, name: &str, value: &Value) -> Option<String> {
        match value {
            Value::Bool(_) => None,
            Value::Int(_) | Value::String(_) => {
                (value.has_literals() && self.is_secret_name(name)).then(|| name.to_owned())
            }
            Value::List(elements) => elements
                .iter()
                .find_map(|element| self.find_exposed_value(name, element)),
            Value::Map(map) => map
                .iter()
                .find_map(|(key, value)| self.find_exposed_value(key, value)),
        }
    }

    fn find_exposed_json(&self, name: &str, json: &Json) -> Option<String> {
        match json {
            Json::Null | Json::Bool(_) => None,
            Json::Number(_) => self.is_secret_name(name).then(|| name.to_owned()),
            // What a template names is somewhere else.
            Json::String(text) => {
                let is_literal = !text.is_empty() && !text.contains("{{");
                (is_literal && self.is_secret_name(name)).then(|| name.to_owned())
            }
            Json::Array(elements) => elements
                .iter()
                .find_map(|element| self.find_exposed_json(name, element)),
            Json::Object(map) if map.contains_key("__ansible_vault") => None,
            Json::Object(map) => map.iter().find_map(|(key, json)| {
                let name = if key.starts_with("__ansible_") {
                    name
                } else {
                    key
                };
                self.find_exposed_json(name, json)
            }),
        }
    }

    fn is_secret_name(&self, name: &str) -> bool {
        let declared = self.find_declared(name);
        declared.is_some_and(|id| self.image.program.variable(id).is_secret)
    }

    fn find_declared(&self, name: &str) -> Option<VarId> {
        let program = self.image.program;
        let file = Some(program.section(self.image.section).span.file);
        let id = program.find_variable(file, name)?;
        let variable = program.variable(id);
        (variable.is_declared() && variable.removed().is_none()).then_some(id)
    }

    /// The name that our roles use for a variable.
    fn real_name(&self, name: &str) -> String {
        let program = self.image.program;
        let declared = self.find_declared(name);
        let real = declared.and_then(|id| program.variable(id).alias_of());
        real.filter(|_| self.roles() == Roles::Native)
            .map_or(name, |id| &program.variable(id).name)
            .to_owned()
    }

    /// True where an `ansible { }` entry of this name is in the argument's layer or a stronger one.
    fn is_entry_above(&self, name: &str, argument: VarId) -> bool {
        let program = self.image.program;
        let layer = |id: VarId| self.image.winner(id).map(|active| active.layer);
        let entry = self.ids().find(|id| {
            let variable = program.variable(*id);
            variable.extra() == Some(Owner::Ansible) && variable.name == name
        });
        entry
            .and_then(layer)
            .is_some_and(|entry| Some(entry) >= layer(argument))
    }

    /// The value of a pair with its `{{user}}` and `{{env}}` resolved.
    fn resolve_pair(&self, value: &str) -> Text {
        let mut out = TextBuilder::default();
        for (_, piece) in parse_braces(value) {
            match piece {
                Braced::Text(text) => out.push_str(&read_escapes(text)),
                Braced::Other(text, _) | Braced::Bad(text, _) => out.push_str(text),
                Braced::Env(name) => out.push_piece(Piece::Env(name.into())),
                Braced::User(name) => self.resolve_user(name, &mut out),
            }
        }
        out.finish()
    }

    fn resolve_user(&self, name: &str, out: &mut TextBuilder) {
        let program = self.image.program;
        let file = Some(program.section(self.image.section).span.file);
        let entry = || {
            let mut all = program.variables.pairs();
            all.find(|(_, v)| v.extra() == Some(Owner::Packer) && v.name == name)
                .map(|(id, _)| id)
        };
        let Some(named) = program.find_variable(file, name).or_else(entry) else {
            return;
        };
        let id = program.variable(named).alias_of().unwrap_or(named);
        let variable = program.variable(id);
        let Some(value) = self.image.value(id) else {
            return;
        };
        let text = encode(value, variable.encoding);
        if !variable.is_secret {
            return out.push(&text);
        }
        let env = text.pieces().iter().find_map(|piece| match piece {
            Piece::Env(name) => Some(name.clone()),
            _ => None,
        });
        let variable = variable.name.clone();
        out.push_piece(Piece::Secret { variable, env });
    }
}
