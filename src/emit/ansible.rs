//! Ansible's extra vars: real types, in a JSON file.
//!
//! A string in an extra-vars file is a Jinja template; one that is not meant as such is marked with
//! `__ansible_unsafe`, which Ansible's JSON loader knows (`ansible/parsing/ajson.py`).

use crate::ansible::{Argument, Pair, ansible_bool, parse_pairs, parse_vars, read_escapes};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::emit::slots::{Moved, Slot, carry_all};
use crate::emit::{Emission, OUT_ENV};
use crate::packer::{Braced, parse_braces};
use crate::project::hir::*;
use crate::schema::{
    Base, Encoding, Mismatch, Piece, Receivers, Text, TextBuilder, Type, Value, check_value,
    decode, encode, from_json,
};
use crate::source::part;
use serde_json::{Value as Json, json};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// Why a value cannot stand in the file.
enum Obstacle {
    /// Only Packer can fill it.
    Packer(SmolStr),
    /// It would show a secret.
    Secret(SmolStr),
}

impl<'p> Emission<'_, 'p> {
    pub(super) fn ansible_vars(&mut self) -> BTreeMap<String, Json> {
        let program = self.image.program;
        let mut out = BTreeMap::new();
        if !self.route.has_playbook {
            return out;
        }
        let mut without_way: Vec<VarId> = Vec::new();
        for id in self.ids() {
            let variable = program.variable(id);
            if !variable.to.has(self.receiver()) || variable.alias_of.is_some() {
                continue;
            }
            let Some(value) = self.image.value(id).cloned() else {
                continue;
            };
            if variable.owner == Owner::Declared && !self.needs_file(id, &value) {
                continue;
            }
            if crate::emit::is_literal_secret(self.image, id) {
                self.report_secret(id, &variable.name);
                continue;
            }
            // What the slots cannot do without the file is said where they are filled.
            let is_only_string =
                variable.to.has(Receivers::PACKER) && !variable.is_typed && !self.is_native();
            if self.route.file.is_none() && is_only_string && !self.slots_of(id).is_empty() {
                continue;
            }
            let shaped = self.shape(id, value);
            match self.json(
                &shaped,
                self.keeps_type(id)
                    .then_some((&variable.ty, variable.encoding)),
            ) {
                Ok(json) => {
                    without_way.push(id);
                    // Upstream's roles know it by the names that the template gives it.
                    let renamed: Vec<String> = self
                        .slots_of(id)
                        .iter()
                        .map(|slot| slot.name.to_string())
                        .collect();
                    if !self.is_native() {
                        out.extend(renamed.into_iter().map(|name| (name, json.clone())));
                    }
                    out.insert(variable.name.to_string(), json);
                }
                Err(Obstacle::Secret(secret)) => self.report_secret(id, &secret),
                // A slot brings it, filled by Packer.
                Err(Obstacle::Packer(_)) if self.route.slots.iter().any(|s| s.variable == id) => {}
                Err(Obstacle::Packer(template)) => {
                    let found = Diagnostic::new(
                        Code::OpaqueValue,
                        self.place(id),
                        format!(
                            "`{}` goes to Ansible and holds `{template}`, which only Packer can fill",
                            variable.name
                        ),
                    )
                    .help("leave the template out, or give the value in the environment: env(\"NAME\")");
                    self.report(found);
                }
            }
        }
        let own = out.len();
        self.add_moved(&mut out);
        if self.route.file.is_none() && !out.is_empty() {
            match program.is_adopted && self.route.obstacle.is_none() {
                false => self.report_no_route(&out),
                true => without_way
                    .into_iter()
                    .for_each(|id| self.report_no_way(id)),
            }
        }
        let is_moved_by_users = self
            .route
            .moved
            .iter()
            .any(|moved| self.image.is_set_by_users(moved.variable));
        if self.image.program.is_adopted && own == 0 && !is_moved_by_users {
            // A checkout needs no file where all goes its own way.
            self.route.file = None;
            out.clear();
        }
        out
    }

    /// Whether the file must bring a declared variable: for our roles always, for upstream's where
    /// no slot does.
    fn needs_file(&self, id: VarId, value: &Value) -> bool {
        let variable = self.image.program.variable(id);
        if self.is_native() || variable.is_typed || !variable.to.has(Receivers::PACKER) {
            return true;
        }
        if self.is_of_checkout(id) {
            return false;
        }
        let slots = self.slots_of(id);
        if slots.is_empty() {
            return true;
        }
        let Some(text) = encode(value, variable.encoding)
            .known()
            .map(|t| t.into_owned())
        else {
            return false;
        };
        carry_all(&text, &slots, !self.reach.reads_beyond_slots(id)).is_err()
    }

    /// The slots that carry a variable to Ansible.
    pub(super) fn slots_of(&self, id: VarId) -> Vec<&Slot> {
        self.route
            .slots
            .iter()
            .filter(|s| s.variable == id)
            .collect()
    }

    /// Whether a variable's roles want the value itself: ours do, upstream's the encoded string.
    fn keeps_type(&self, id: VarId) -> bool {
        let variable = self.image.program.variable(id);
        self.is_native()
            || variable.is_typed
            || variable.owner == Owner::Ansible
            || !variable.to.has(Receivers::PACKER)
    }

    fn shape(&self, id: VarId, value: Value) -> Value {
        match self.keeps_type(id) {
            true => value,
            false => Value::Text(encode(&value, self.image.program.variable(id).encoding)),
        }
    }

    /// A value as the file holds it. `wanted` is the type that roles need it in: what is only known at build time
    /// is a string, which Ansible must convert.
    fn json(&mut self, value: &Value, wanted: Option<(&Type, Encoding)>) -> Result<Json, Obstacle> {
        let element = wanted.and_then(|(ty, _)| Some((ty.element()?, Encoding::Plain)));
        Ok(match value {
            Value::Bool(flag) => json!(flag),
            Value::Int(number) => json!(number),
            Value::Text(text) => match wanted.and_then(|(ty, encoding)| conversion(ty, encoding)) {
                Some(filter) if text.is_opaque() && !is_template(text) => {
                    json!(self.converted(text, filter)?)
                }
                _ => self.json_text(text)?,
            },
            Value::List(elements) => Json::Array(
                elements
                    .iter()
                    .map(|e| self.json(e, element))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Map(map) => {
                let mut out = serde_json::Map::new();
                for (key, value) in map.iter() {
                    out.insert(key.to_string(), self.json(value, element)?);
                }
                Json::Object(out)
            }
        })
    }

    /// A string that only the build knows, as an expression that Ansible converts.
    fn converted(&mut self, text: &Text, filter: &str) -> Result<String, Obstacle> {
        let mut parts = Vec::new();
        for piece in text.pieces().iter() {
            parts.push(match piece {
                Piece::Path(path) if self.output.portable => {
                    self.environment.insert(SmolStr::new(OUT_ENV));
                    let rest = jinja_string(&format!("/{}", self.relative(path)));
                    format!("{} ~ {rest}", env_lookup(OUT_ENV))
                }
                Piece::Plain(text) | Piece::Path(text) | Piece::Jinja(text) => jinja_string(text),
                Piece::Env(name)
                | Piece::Secret {
                    env: Some(name), ..
                } => {
                    self.environment.insert(name.clone());
                    env_lookup(name)
                }
                Piece::Secret {
                    variable,
                    env: None,
                } => return Err(Obstacle::Secret(variable.clone())),
                Piece::Packer(template) => return Err(Obstacle::Packer(template.clone())),
            });
        }
        Ok(match &parts[..] {
            [one] => format!("{{{{ {one}{filter} }}}}"),
            parts => format!("{{{{ ({}){filter} }}}}", parts.join(" ~ ")),
        })
    }

    fn json_text(&mut self, text: &Text) -> Result<Json, Obstacle> {
        let has_path =
            matches!(text, Text::Pieces(p) if p.iter().any(|p| matches!(p, Piece::Path(_))));
        if let Some(known) = text.known().filter(|_| !(has_path && self.output.portable)) {
            return Ok(match is_jinja(&known) {
                true => json!({ "__ansible_unsafe": known }),
                false => json!(known),
            });
        }
        let mut out = String::new();
        for piece in text.pieces().iter() {
            let is_template = !matches!(piece, Piece::Plain(_) | Piece::Packer(_));
            if is_template && out.ends_with('{') {
                // `{{{` would not parse.
                out.pop();
                out.push_str("{{ '{' }}");
            }
            match piece {
                Piece::Plain(text) => out.push_str(&quote_jinja(text)),
                Piece::Path(path) if self.output.portable => {
                    out.push_str(&self.lookup(OUT_ENV));
                    out.push('/');
                    out.push_str(&quote_jinja(&self.relative(path)));
                }
                Piece::Path(path) => out.push_str(&quote_jinja(path)),
                Piece::Env(name)
                | Piece::Secret {
                    env: Some(name), ..
                } => {
                    let lookup = self.lookup(name);
                    out.push_str(&lookup);
                }
                Piece::Jinja(template) => out.push_str(template),
                Piece::Secret {
                    variable,
                    env: None,
                } => return Err(Obstacle::Secret(variable.clone())),
                Piece::Packer(template) => return Err(Obstacle::Packer(template.clone())),
            }
        }
        Ok(json!(out))
    }

    fn lookup(&mut self, name: &str) -> String {
        self.environment.insert(SmolStr::new(name));
        format!("{{{{ {} }}}}", env_lookup(name))
    }

    fn report_secret(&mut self, id: VarId, secret: &str) {
        let name = &self.image.program.variable(id).name;
        let found = Diagnostic::new(
            Code::SecretInText,
            self.place(id),
            format!("`{name}` would show the secret `{secret}` in the extra-vars file"),
        )
        .help(format!(
            "give the secret in the environment: `{secret} = env(\"{}\")`",
            secret.to_uppercase()
        ));
        self.report(found);
    }

    /// On a checkout few values need the file: each says so itself.
    fn report_no_way(&mut self, id: VarId) {
        let program = self.image.program;
        let name = &program.variable(id).name;
        let provider = &self.provider().name;
        let found = Diagnostic::new(
            Code::NoFileRoute,
            self.place(id),
            format!(
                "`{name}` must reach Ansible in the extra-vars file, and there is no way for it"
            ),
        )
        .label(format!(
            "no `--extra-vars` argument of the provider `{provider}` can name the file"
        ))
        .help("leave it out, or build with a provider whose template passes `ansible_user_vars`");
        self.report(found);
    }

    fn report_no_route(&mut self, out: &BTreeMap<String, Json>) {
        let image = self.image.program.section(self.image.section);
        let names: Vec<&str> = out.keys().take(3).map(String::as_str).collect();
        let message = format!(
            "`{}` must reach Ansible in the extra-vars file, and there is no way for it",
            names.join("`, `")
        );
        let found = match &self.route.obstacle {
            Some((id, template)) => Diagnostic::new(Code::NoFileRoute, self.place(*id), message)
                .label(format!("the file cannot take the place of `{template}`, which only the build can read"))
                .help("write what it holds in an `ansible { }` block, or name a file of the project: \"@vars.yml\""),
            None => Diagnostic::new(Code::NoFileRoute, image.span, message)
                .label(format!(
                    "no `--extra-vars` argument of the provider `{}` is a variable of its own",
                    self.provider().name
                ))
                .help("let the template pass `--extra-vars {{user `ansible_user_vars`}}`, and say so in the provider's `extra_vars`"),
        };
        self.report(found);
    }

    // ---- what the arguments held that the file takes the place of -----------------------------

    /// Adds what moves into the file. As in Ansible, an argument wins over what comes before it; an `ansible { }`
    /// entry of a layer that is no weaker than the argument's wins over it.
    fn add_moved(&mut self, out: &mut BTreeMap<String, Json>) {
        for moved in self.route.moved.clone() {
            for (name, json) in self.read_moved(&moved) {
                let name = self.real_name(&name);
                let is_new = !out.contains_key(&name);
                if moved.is_earlier && is_new || self.is_entry_above(&name, moved.variable) {
                    continue;
                }
                self.check_passed_beside(&moved, &name, &json);
                self.check_lost(&moved, &name, &json);
                out.insert(name, json);
            }
        }
    }

    /// The variables of an argument, in the form that the target's roles want.
    fn read_moved(&mut self, moved: &Moved) -> Vec<(String, Json)> {
        let program = self.image.program;
        let map = match Argument::of(&moved.text) {
            Argument::Pairs(text) => {
                let pairs = parse_pairs(text);
                return pairs
                    .iter()
                    .filter_map(|pair| self.read_pair(moved, pair))
                    .collect();
            }
            Argument::Data(text) => parse_vars(text),
            Argument::File(_) => match program.data.iter().find(|data| data.at == moved.place) {
                Some(data) => parse_vars(&data.text),
                None => return Vec::new(),
            },
        };
        // What is no map has been reported where it stands.
        let map = map.unwrap_or_default();
        map.into_iter()
            .filter_map(|(name, json)| self.read_entry(moved, name, json))
            .collect()
    }

    fn read_pair(&mut self, moved: &Moved, pair: &Pair) -> Option<(String, Json)> {
        let text = self.resolve_pair(&pair.value);
        let json = match self.typed(&pair.name) {
            Some(declared) => {
                let ty = &declared.ty;
                let decoded = match (&ty.base, text.known().as_deref().and_then(ansible_bool)) {
                    (Base::Bool, Some(flag)) => Ok(Value::Bool(flag)),
                    _ => decode(ty, declared.encoding, &text).map(|decoded| decoded.value),
                };
                let value = match decoded.and_then(|value| check_value(ty, &value).map(|()| value))
                {
                    Ok(value) => value,
                    Err(mismatch) => return self.report_moved(moved, &pair.name, &mismatch),
                };
                self.json(&value, Some((ty, declared.encoding)))
            }
            None => self.json_text(&text),
        };
        match json {
            Ok(json) => Some((pair.name.clone(), json)),
            Err(Obstacle::Secret(secret)) => {
                self.report_secret(moved.variable, &secret);
                None
            }
            Err(Obstacle::Packer(_)) => None,
        }
    }

    /// An entry of a file, or of YAML in the argument itself, which has types of its own.
    fn read_entry(&mut self, moved: &Moved, name: String, json: Json) -> Option<(String, Json)> {
        let Some(declared) = self.typed(&name) else {
            return Some((name, json));
        };
        let value = match &json {
            Json::String(text) if text.contains("{{") => return Some((name, json)),
            Json::String(text) => {
                decode(&declared.ty, declared.encoding, &Text::Plain(text.into())).map(|d| d.value)
            }
            Json::Object(map) if map.keys().any(|key| key.starts_with("__ansible_")) => {
                return Some((name, json));
            }
            other => from_json(other),
        };
        match value.and_then(|value| check_value(&declared.ty, &value).map(|()| value)) {
            Ok(value) => Some((name, show_value(&value))),
            Err(mismatch) => self.report_moved(moved, &name, &mismatch),
        }
    }

    /// A declared variable that the playbook receives, where its roles want the real type.
    fn typed(&self, name: &str) -> Option<&'p Variable> {
        let variable = self.image.program.variable(self.find_declared(name)?);
        let is_typed = self.is_native() || variable.is_typed || !variable.to.has(Receivers::PACKER);
        (is_typed && variable.to.has(self.receiver())).then_some(variable)
    }

    fn find_declared(&self, name: &str) -> Option<VarId> {
        let program = self.image.program;
        let file = Some(program.section(self.image.section).span.file);
        let id = program.find_variable(file, name)?;
        (program.variable(id).owner == Owner::Declared && program.variable(id).removed.is_none())
            .then_some(id)
    }

    /// The name that our roles know a variable by.
    fn real_name(&self, name: &str) -> String {
        let program = self.image.program;
        let real = self
            .find_declared(name)
            .and_then(|id| program.variable(id).alias_of);
        real.filter(|_| self.is_native())
            .map_or(name, |id| &program.variable(id).name)
            .to_owned()
    }

    /// True where an `ansible { }` entry of this name stands in a layer that is no weaker than an argument's.
    fn is_entry_above(&self, name: &str, argument: VarId) -> bool {
        let program = self.image.program;
        let layer = |id: VarId| self.image.winner(id).map(|active| active.layer);
        let mut ids = self.image.ids().iter().copied();
        let entry = ids.find(|id| {
            program.variable(*id).owner == Owner::Ansible && program.variable(*id).name == name
        });
        entry
            .and_then(layer)
            .is_some_and(|entry| Some(entry) >= layer(argument))
    }

    /// What an argument says reaches Ansible alone. Where Packer reads the same variable, the two differ.
    fn check_passed_beside(&mut self, moved: &Moved, name: &str, json: &Json) {
        let program = self.image.program;
        let Some(id) = self
            .find_declared(name)
            .filter(|id| self.reach.reads_beyond_slots(*id))
        else {
            return;
        };
        let variable = program.variable(id);
        // A name that only Packer receives is free for Ansible.
        let is_theirs = variable.to.has(self.receiver()) && !variable.is_secret;
        let Some(value) = self.image.value(id).filter(|_| is_theirs) else {
            return;
        };
        let packer = crate::emit::packer_text(&encode(value, variable.encoding));
        if *json == show_value(value) || json.as_str() == Some(&packer) {
            return;
        }
        let argument = &program.variable(moved.variable).name;
        let mut found = Diagnostic::new(
            Code::DeclaredVariable,
            moved.place,
            format!("`{name}` in `{argument}` reaches Ansible only; Packer reads `{packer}`"),
        )
        .help(format!("set `{name}` itself: both get it then"));
        found.severity = Severity::Warning;
        self.report(found);
    }

    /// A value of the project's own that Ansible never gets, because an argument has another. Where Packer reads it,
    /// that has been said at the argument.
    fn check_lost(&mut self, moved: &Moved, name: &str, json: &Json) {
        let program = self.image.program;
        let is_lost = |id: &VarId| {
            let variable = program.variable(*id);
            let is_theirs = variable.to.has(self.receiver()) && !self.reach.reads_beyond_slots(*id);
            is_theirs && self.image.is_set_by_users(*id) && !variable.is_secret
        };
        let Some(id) = self.find_declared(name).filter(is_lost) else {
            return;
        };
        let variable = program.variable(id);
        let Some(value) = self.image.value(id) else {
            return;
        };
        let text = crate::emit::packer_text(&encode(value, variable.encoding));
        if *json == show_value(value) || json.as_str() == Some(&text) {
            return;
        }
        let argument = &program.variable(moved.variable).name;
        let message =
            format!("Ansible never gets `{text}` for `{name}`: `{argument}` sets it too, and wins");
        let mut found = Diagnostic::new(Code::DeclaredVariable, self.place(id), message)
            .related(moved.place, format!("`{name}` is set here too"))
            .help(format!(
                "keep one of the two; `{name}` itself is the better place"
            ));
        found.severity = Severity::Warning;
        self.report(found);
    }

    fn report_moved<T>(&mut self, moved: &Moved, name: &str, mismatch: &Mismatch) -> Option<T> {
        let is_secret = self
            .find_declared(name)
            .is_some_and(|id| self.image.program.variable(id).is_secret);
        let message = format!("`{name}`: {}", mismatch.message(is_secret));
        self.report(Diagnostic::new(Code::TypeMismatch, moved.place, message));
        None
    }

    /// The value of a pair with its `{{user}}` and `{{env}}` resolved.
    fn resolve_pair(&self, value: &str) -> Text {
        let program = self.image.program;
        let file = Some(program.section(self.image.section).span.file);
        let mut out = TextBuilder::default();
        for (_, piece) in parse_braces(value) {
            match piece {
                Braced::Text(text) => out.push_str(&read_escapes(text)),
                Braced::Other(text, _) | Braced::Bad(text, _) => out.push_str(text),
                Braced::Env(name) => out.push_piece(Piece::Env(name.into())),
                Braced::User(name) => {
                    let named = program.find_variable(file, name).or_else(|| {
                        let is_entry = |v: &Variable| v.owner == Owner::Packer && v.name == name;
                        program
                            .variables
                            .pairs()
                            .find(|(_, v)| is_entry(v))
                            .map(|(id, _)| id)
                    });
                    let Some(named) = named else { continue };
                    let named = program.variable(named).alias_of.unwrap_or(named);
                    let variable = program.variable(named);
                    if let Some(value) = self.image.value(named) {
                        match variable.is_secret {
                            true => {
                                let text = encode(value, variable.encoding);
                                let env = text.pieces().iter().find_map(|p| match p {
                                    Piece::Env(name) => Some(name.clone()),
                                    _ => None,
                                });
                                out.push_piece(Piece::Secret {
                                    variable: variable.name.clone(),
                                    env,
                                });
                            }
                            false => out.push(&encode(value, variable.encoding)),
                        }
                    }
                }
            }
        }
        out.finish()
    }
}

/// True where a text holds a Jinja template of the spec's own, which says itself what it gives.
fn is_template(text: &Text) -> bool {
    text.pieces()
        .iter()
        .any(|piece| matches!(piece, Piece::Jinja(_)))
}

/// Ansible's expression for what an environment variable holds.
fn env_lookup(name: &str) -> String {
    format!("lookup('ansible.builtin.env', '{name}')")
}

/// A text as a string of Jinja's.
fn jinja_string(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('\'', "\\'")
        .replace('\n', "\\n");
    // Braces inside a string do not end the expression, but Ansible looks for them.
    format!(
        "'{}'",
        escaped.replace("{{", "{' ~ '{").replace("}}", "}' ~ '}")
    )
}

/// The filter that makes a value of a type from the string that Packer would get; none where that is the string.
fn conversion(ty: &Type, encoding: Encoding) -> Option<&'static str> {
    match (&ty.base, encoding) {
        (Base::Bool, _) => Some(" | bool"),
        (Base::Int, _) => Some(" | int"),
        (Base::List(_), Encoding::Words) => Some(".split()"),
        (Base::List(_), Encoding::Commas) => {
            Some(".split(',') | map('trim') | reject('equalto', '') | list")
        }
        (Base::List(_) | Base::Map(_), _) => Some(" | from_json"),
        _ => None,
    }
}

fn is_jinja(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Text beside a hole, with what Jinja would read written as Jinja strings.
fn quote_jinja(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["{{", "{%", "{#"]
        .iter()
        .filter_map(|open| rest.find(open))
        .min()
    {
        out.push_str(part(rest, ..at));
        out.push_str(&format!("{{{{ '{}' }}}}", part(rest, at..at + 2)));
        rest = part(rest, at + 2..);
    }
    out.push_str(rest);
    out
}

/// A value as plain JSON, for showing: what is only known at build time in Packer's spelling.
pub fn show_value(value: &Value) -> Json {
    match value {
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::Text(text) => json!(super::packer_text(text)),
        Value::List(elements) => Json::Array(elements.iter().map(show_value).collect()),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(k, v)| (k.to_string(), show_value(v)))
                .collect(),
        ),
    }
}
