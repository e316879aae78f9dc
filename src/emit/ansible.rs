//! Ansible's extra vars: real types, in a JSON file.
//!
//! A string in an extra-vars file is a Jinja template; one that is not meant as such is marked with
//! `__ansible_unsafe`, which Ansible's JSON loader knows (`ansible/parsing/ajson.py`).

use crate::emit::packer::render_text;
use crate::emit::plan::{Entry, Plan, Row};
use crate::emit::{Delivery, Environment, OUT_ENV, Output};
use crate::schema::{Base, Encoding, Piece, Text, Type, Value};
use crate::source::part;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use serde_json::{Value as Json, json};
use smol_str::SmolStr;

/// Why a value cannot be in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Only Packer can evaluate this expression.
    Packer(SmolStr),
    /// The file would show this secret.
    Secret(SmolStr),
}

/// Finds what keeps a value out of the file.
pub(super) fn find_obstacle(value: &Value) -> Option<Obstacle> {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::String(Text::Plain(_)) => None,
        Value::String(text) => text.pieces().iter().find_map(|piece| match piece {
            Piece::Secret {
                variable,
                env: None,
            } => Some(Obstacle::Secret(variable.clone())),
            Piece::Packer(expression) => Some(Obstacle::Packer(expression.clone())),
            _ => None,
        }),
        Value::List(elements) => elements.iter().find_map(find_obstacle),
        Value::Map(map) => map.values().find_map(find_obstacle),
    }
}

/// Renders the extra-vars file: name to value.
pub(super) fn render(
    delivery: &Delivery<'_, '_>,
    plan: &Plan<'_>,
    output: &Output,
    environment: &mut Environment,
) -> IndexMap<SmolStr, Json, FxBuildHasher> {
    let mut out: IndexMap<SmolStr, Json, FxBuildHasher> =
        IndexMap::with_capacity_and_hasher(plan.names.len(), FxBuildHasher);
    for row in &plan.rows {
        if let Some(json) = json(delivery, row, output, environment) {
            let mut names = delivery.names_in_file(row.variable).peekable();
            while let Some(name) = names.next() {
                if names.peek().is_none() {
                    out.insert(name.clone(), json);
                    break;
                }
                out.insert(name.clone(), json.clone());
            }
        }
    }
    let mut renderer = Renderer {
        output,
        environment,
    };
    for (name, entry) in &plan.moved {
        out.insert(SmolStr::new(name), renderer.entry(entry));
    }
    out.sort_unstable_keys();
    out
}

/// What the extra-vars file has for a variable.
pub(super) fn json(
    delivery: &Delivery<'_, '_>,
    row: &Row,
    output: &Output,
    environment: &mut Environment,
) -> Option<Json> {
    let entry = delivery.entry(row.variable, row.file?)?;
    let mut renderer = Renderer {
        output,
        environment,
    };
    Some(renderer.entry(&entry))
}

struct Renderer<'o> {
    output: &'o Output,
    environment: &'o mut Environment,
}

impl Renderer<'_> {
    fn entry(&mut self, entry: &Entry<'_>) -> Json {
        match entry {
            Entry::Json(json) => json.clone(),
            Entry::Value(value, wanted) => self.json(value, *wanted),
        }
    }

    /// A value as the file holds it. `wanted` is the type that roles need it in: what is only known at build time
    /// is a string, which Ansible must convert.
    fn json(&mut self, value: &Value, wanted: Option<(&Type, Encoding)>) -> Json {
        let element = wanted.and_then(|(ty, _)| Some((ty.element()?, Encoding::Plain)));
        match value {
            Value::Bool(flag) => json!(flag),
            Value::Int(number) => json!(number),
            Value::String(text) => match wanted.and_then(|(ty, encoding)| conversion(ty, encoding))
            {
                Some(filter) if text.is_opaque() && !has_jinja(text) => {
                    json!(self.converted(text, filter))
                }
                _ => self.json_text(text),
            },
            Value::List(elements) => {
                Json::Array(elements.iter().map(|e| self.json(e, element)).collect())
            }
            Value::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| (key.to_string(), self.json(value, element)))
                    .collect(),
            ),
        }
    }

    /// A string that only the build knows, as an expression that Ansible converts.
    fn converted(&mut self, text: &Text, filter: &str) -> String {
        let mut parts = Vec::new();
        for piece in text.pieces().iter() {
            parts.push(match piece {
                Piece::Path(path) if self.output.portable => {
                    self.environment.insert(SmolStr::new(OUT_ENV));
                    let rest = jinja_string(&format!("/{}", self.output.relative(path)));
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
                // The plan keeps both out of the file.
                Piece::Secret { env: None, .. } | Piece::Packer(_) => continue,
            });
        }
        match &parts[..] {
            [one] => format!("{{{{ {one}{filter} }}}}"),
            parts => format!("{{{{ ({}){filter} }}}}", parts.join(" ~ ")),
        }
    }

    fn json_text(&mut self, text: &Text) -> Json {
        let has_path =
            matches!(text, Text::Pieces(p) if p.iter().any(|p| matches!(p, Piece::Path(_))));
        if let Some(known) = text.known().filter(|_| !(has_path && self.output.portable)) {
            return if is_jinja(&known) {
                json!({ "__ansible_unsafe": known })
            } else {
                json!(known)
            };
        }
        let mut out = String::new();
        for piece in text.pieces().iter() {
            let is_expression = !matches!(piece, Piece::Plain(_) | Piece::Packer(_));
            if is_expression && out.ends_with('{') {
                // Jinja cannot parse `{{{`.
                out.pop();
                out.push_str("{{ '{' }}");
            }
            match piece {
                Piece::Plain(text) => out.push_str(&quote_jinja(text)),
                Piece::Path(path) if self.output.portable => {
                    out.push_str(&self.lookup(OUT_ENV));
                    out.push('/');
                    out.push_str(&quote_jinja(&self.output.relative(path)));
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
                // The plan keeps both out of the file.
                Piece::Secret { env: None, .. } | Piece::Packer(_) => {}
            }
        }
        json!(out)
    }

    fn lookup(&mut self, name: &str) -> String {
        self.environment.insert(SmolStr::new(name));
        format!("{{{{ {} }}}}", env_lookup(name))
    }
}

/// True where a string contains a Jinja template that the spec wrote, which decides itself what type it has.
fn has_jinja(text: &Text) -> bool {
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

/// The plain text of an interpolated string, with what Jinja would evaluate written as Jinja strings.
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
    show_value_with(value, &str::to_owned)
}

/// The same, with each path as `path` writes it.
pub(super) fn show_value_with(value: &Value, path: &impl Fn(&str) -> String) -> Json {
    match value {
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::String(text) => json!(render_text(text, &mut |_| {}, path)),
        Value::List(elements) => {
            Json::Array(elements.iter().map(|e| show_value_with(e, path)).collect())
        }
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(k, v)| (k.to_string(), show_value_with(v, path)))
                .collect(),
        ),
    }
}
