//! Ansible's extra vars: real types, in a JSON file.
//!
//! A string in an extra-vars file is a Jinja template; one that is not meant as such is marked with
//! `__ansible_unsafe`, which Ansible's JSON loader knows (`ansible/parsing/ajson.py`).

use super::slots::{Slot, carry_all};
use super::{Emission, OUT_ENV};
use crate::diagnostic::{Code, Diagnostic};
use crate::project::hir::*;
use crate::schema::braces::{Braced, parse_braces};
use crate::schema::{
    Pair, Piece, Receivers, Text, TextBuilder, Value, decode, encode, parse_pairs, read_escapes,
};
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

impl Emission<'_, '_> {
    pub(super) fn ansible_vars(&mut self) -> BTreeMap<String, Json> {
        let program = self.image.program;
        let mut out = BTreeMap::new();
        if !self.route.has_playbook {
            return out;
        }
        self.add_moved(&mut out);
        let moved = out.len();
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
            if super::is_literal_secret(self.image, id) {
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
            match self.json(&shaped) {
                Ok(json) => {
                    without_way.push(id);
                    // Upstream's roles know it by the names that the template gives it.
                    let renamed: Vec<String> =
                        self.slots_of(id).iter().map(|slot| slot.name.to_string()).collect();
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
        if self.route.file.is_none() && !out.is_empty() {
            match program.is_adopted && self.route.obstacle.is_none() {
                false => self.report_no_route(&out),
                true => without_way.into_iter().for_each(|id| self.report_no_way(id)),
            }
        }
        let is_moved_by_users = self.route.moved.iter().any(|(id, _)| self.image.is_set_by_users(*id));
        if self.image.program.is_adopted && out.len() == moved && !is_moved_by_users {
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
        let Some(text) = encode(value, variable.encoding).known().map(|t| t.into_owned()) else {
            return false;
        };
        carry_all(&text, &slots, !self.reach.reads_beyond_slots(id)).is_err()
    }

    /// The slots that carry a variable to Ansible.
    pub(super) fn slots_of(&self, id: VarId) -> Vec<&Slot> {
        self.route.slots.iter().filter(|s| s.variable == id).collect()
    }

    /// The shape that the roles want: ours the value itself, upstream's the encoded string.
    fn shape(&self, id: VarId, value: Value) -> Value {
        let variable = self.image.program.variable(id);
        let keeps_type = self.is_native()
            || variable.is_typed
            || variable.owner == Owner::Ansible
            || !variable.to.has(Receivers::PACKER);
        match keeps_type {
            true => value,
            false => Value::Text(encode(&value, variable.encoding)),
        }
    }

    fn json(&mut self, value: &Value) -> Result<Json, Obstacle> {
        Ok(match value {
            Value::Bool(flag) => json!(flag),
            Value::Int(number) => json!(number),
            Value::Text(text) => self.json_text(text)?,
            Value::List(elements) => {
                Json::Array(elements.iter().map(|e| self.json(e)).collect::<Result<_, _>>()?)
            }
            Value::Map(map) => {
                let mut out = serde_json::Map::new();
                for (key, element) in map.iter() {
                    out.insert(key.to_string(), self.json(element)?);
                }
                Json::Object(out)
            }
        })
    }

    fn json_text(&mut self, text: &Text) -> Result<Json, Obstacle> {
        let has_path = matches!(text, Text::Pieces(p) if p.iter().any(|p| matches!(p, Piece::Path(_))));
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
                Piece::Env(name) | Piece::Secret { env: Some(name), .. } => {
                    let lookup = self.lookup(name);
                    out.push_str(&lookup);
                }
                Piece::Jinja(template) => out.push_str(template),
                Piece::Secret { variable, env: None } => return Err(Obstacle::Secret(variable.clone())),
                Piece::Packer(template) => return Err(Obstacle::Packer(template.clone())),
            }
        }
        Ok(json!(out))
    }

    fn lookup(&mut self, name: &str) -> String {
        self.environment.insert(SmolStr::new(name));
        format!("{{{{ lookup('ansible.builtin.env', '{name}') }}}}")
    }

    fn report_secret(&mut self, id: VarId, secret: &str) {
        let name = &self.image.program.variable(id).name;
        let found = Diagnostic::new(
            Code::SecretInText,
            self.place(id),
            format!("`{name}` would show the secret `{secret}` in the extra-vars file"),
        )
        .help(format!("give the secret in the environment: `{secret} = env(\"{}\")`", secret.to_uppercase()));
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
            format!("`{name}` must reach Ansible in the extra-vars file, and there is no way for it"),
        )
        .label(format!("no `--extra-vars` argument of the provider `{provider}` can name the file"))
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
                .label(format!("the file cannot take the place of `{template}`, which only Packer can fill"))
                .help("leave the template out, or give the value in the environment: {{env `NAME`}}"),
            None => Diagnostic::new(Code::NoFileRoute, image.span, message)
                .label(format!(
                    "no `--extra-vars` argument of the provider `{}` is a variable of its own",
                    self.provider().name
                ))
                .help("let the template pass `--extra-vars {{user `ansible_user_vars`}}`, and say so in the provider's `extra_vars`"),
        };
        self.report(found);
    }

    // ---- what the file's variable held --------------------------------------------------------

    /// The pairs that the file's own variable held move into the file.
    fn add_moved(&mut self, out: &mut BTreeMap<String, Json>) {
        for (id, text) in self.route.moved.clone() {
            if let Some(path) = text.strip_prefix('@') {
                let path = path.to_owned();
                self.add_moved_file(id, &path, out);
            } else if text.trim_start().starts_with(['{', '[']) {
                self.add_moved_json(id, &text, out);
            } else {
                for pair in parse_pairs(&text) {
                    self.add_pair(id, &pair, out);
                }
            }
        }
    }

    fn add_moved_file(&mut self, id: VarId, path: &str, out: &mut BTreeMap<String, Json>) {
        let place = self.place(id);
        let program = self.image.program;
        let path = crate::source::normalize(&program.sources.get(place.file).folder().join(path));
        match program.data.iter().find(|d| d.path == path).map(|d| d.text.clone()) {
            Some(text) => self.add_moved_json(id, &text, out),
            // Reported when it was read.
            None if program.sources.get(place.file).origin == crate::source::Origin::Project => {}
            None => {
                let found = Diagnostic::new(
                    Code::CannotRead,
                    place,
                    format!("the extra-vars file {} cannot be read", path.display()),
                )
                .help("imgspec passes a file of its own here, and must copy what this one holds");
                self.report(found);
            }
        }
    }

    fn add_moved_json(&mut self, id: VarId, text: &str, out: &mut BTreeMap<String, Json>) {
        match serde_json::from_str::<Json>(text) {
            Ok(Json::Object(map)) => out.extend(map),
            _ => {
                let name = &self.image.program.variable(id).name;
                let found =
                    Diagnostic::new(Code::JsonSyntax, self.place(id), format!("`{name}` is no JSON object"))
                        .help("write the variables in an `ansible { }` block");
                self.report(found);
            }
        }
    }

    fn add_pair(&mut self, id: VarId, pair: &Pair, out: &mut BTreeMap<String, Json>) {
        let program = self.image.program;
        let file = Some(program.section(self.image.section).span.file);
        let text = self.resolve_pair(&pair.value);
        let declared =
            program.find_variable(file, &pair.name).filter(|v| program.variable(*v).owner == Owner::Declared);
        if let Some(declared) = declared {
            let variable = program.variable(declared);
            if variable.to.has(Receivers::PACKER) {
                let name = &program.variable(id).name;
                let found = Diagnostic::new(
                    Code::DeclaredVariable,
                    self.place(id),
                    format!("`{}` is a variable of its own and cannot be passed in `{name}`", pair.name),
                )
                .help(format!("set `{}` itself", pair.name));
                self.report(found);
                return;
            }
            match decode(&variable.ty, variable.encoding, &text)
                .map_err(|mismatch| mismatch.message(variable.is_secret))
                .and_then(|d| self.json(&d.value).map_err(|_| String::new()))
            {
                Ok(json) => {
                    out.insert(pair.name.clone(), json);
                }
                Err(message) => {
                    let found = Diagnostic::new(
                        Code::TypeMismatch,
                        self.place(id),
                        format!("`{}`: {message}", pair.name),
                    );
                    self.report(found);
                }
            }
            return;
        }
        match self.json_text(&text) {
            Ok(json) => {
                out.insert(pair.name.clone(), json);
            }
            Err(Obstacle::Secret(secret)) => self.report_secret(id, &secret),
            Err(Obstacle::Packer(_)) => {}
        }
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
                            .iter()
                            .map(AsRef::as_ref)
                            .position(is_entry)
                            .map(|i| VarId(i as u32))
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
                                out.push_piece(Piece::Secret { variable: variable.name.clone(), env });
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

fn is_jinja(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Text beside a hole, with what Jinja would read written as Jinja strings.
fn quote_jinja(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min() {
        out.push_str(&rest[..at]);
        out.push_str(&format!("{{{{ '{}' }}}}", &rest[at..at + 2]));
        rest = &rest[at + 2..];
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
        Value::Map(map) => Json::Object(map.iter().map(|(k, v)| (k.to_string(), show_value(v))).collect()),
    }
}
