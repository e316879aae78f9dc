//! JSON var files to layers.
//!
//! Each string is read by its variable's type and written as one would write it. What cannot be written so stands
//! in a comment, with the reason; nothing is left out without a word.

use super::item_name;
use super::spell::{spell_heredoc, spell_template, spell_value};
use crate::diagnostic::nearest;
use crate::project::Program;
use crate::project::hir::{Owner, VarId, Variable};
use crate::project::json_syntax::parse_json;
use crate::project::template::named;
use crate::schema::{Base, Encoding, Text, Type, Value, check_value, decode, find_unencodable};
use crate::source::visible_line;
use crate::syntax::{format, print_key, print_text};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What became of var files.
#[derive(Debug)]
pub struct Imported {
    /// The spec.
    pub text: String,
    /// The layers in it, weakest first.
    pub layers: Vec<String>,
    /// What a person should look at, a sentence each, with the file in front.
    pub notes: Vec<String>,
}

/// Turns var files, weakest first, into a spec with a layer for each. `files` are names, for people, and texts.
///
/// # Errors
/// In words, with the file in front: where one is no JSON object.
pub fn import(program: &Program, files: &[(String, String)]) -> Result<Imported, String> {
    let parsed = files
        .iter()
        .map(|(name, text)| parse(text).map(|map| (name.as_str(), map)).map_err(|e| format!("{name}: {e}")))
        .collect::<Result<Vec<_>, _>>()?;
    let is_unknown = |name: &&String| find_declared(program, name).is_none();
    let own: BTreeSet<&str> =
        parsed.iter().flat_map(|(_, map)| map.keys()).filter(is_unknown).map(String::as_str).collect();
    let texts = parsed.iter().flat_map(|(_, map)| map.values()).filter_map(Json::as_str);
    let read = texts.flat_map(named).map(|name| name.to_string()).collect();
    let mut importer = Importer { program, own, read, file: "", notes: Vec::new() };
    let mut layers: Vec<String> = Vec::new();
    let mut text = String::new();
    for (name, map) in &parsed {
        let stem = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let stem = item_name(stem.strip_suffix(".json").unwrap_or(stem));
        let taken = |n: &String| layers.contains(n) || program.find_library_section(n).is_some();
        let mut names = std::iter::once(stem.clone()).chain((2..).map(|n| format!("{stem}-{n}")));
        let layer = names.find(|n| !taken(n)).unwrap_or(stem);
        importer.file = name;
        let gap = if text.is_empty() { "" } else { "\n" };
        let shown = visible_line(name);
        let _ = write!(text, "{gap}## From {shown}.\nlayer {layer} {{\n{}}}\n", importer.body(map));
        layers.push(layer);
    }
    Ok(Imported { text: format(&text), layers, notes: importer.notes })
}

/// A var file's entries; of a template those of its `variables`.
fn parse(text: &str) -> Result<Map<String, Json>, String> {
    match serde_json::from_str(text) {
        Ok(Json::Object(mut map)) => match map.remove("variables") {
            Some(Json::Object(variables)) => {
                Ok(variables.into_iter().filter(|(_, v)| !v.is_null()).collect())
            }
            Some(other) => {
                map.insert("variables".to_owned(), other);
                Ok(map)
            }
            None => Ok(map),
        },
        Ok(_) => Err("a var file is one JSON object".to_owned()),
        Err(error) => Err(match parse_json(text) {
            Err(found) => {
                let before = &text[..found.range.start];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                format!("line {line}, column {column}: {}", found.message)
            }
            Ok(_) => format!("this is not JSON: {error}"),
        }),
    }
}

fn find_declared(program: &Program, name: &str) -> Option<VarId> {
    program.find_variable(None, name).filter(|id| program.variable(*id).owner == Owner::Declared)
}

struct Importer<'p> {
    program: &'p Program,
    /// The names that the files set and nothing declares.
    own: BTreeSet<&'p str>,
    /// The names that their strings read.
    read: BTreeSet<String>,
    file: &'p str,
    notes: Vec<String>,
}

impl<'p> Importer<'p> {
    fn note(&mut self, text: String) {
        self.notes.push(visible_line(&format!("{}: {text}", self.file)).into_owned());
    }

    /// The settings of one file.
    fn body(&mut self, map: &Map<String, Json>) -> String {
        let program = self.program;
        let mut out = String::new();
        let mut packer = String::new();
        // The lists of deprecated names go in front of what they stand for.
        let mut fronts: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (name, json) in map {
            if let Some((alias, real)) = self.alias(name)
                && map.contains_key(real.name.as_str())
                && let Ok(Value::List(elements)) = self.decoded(alias, real, json)
            {
                fronts.insert(&real.name, elements.to_vec());
            }
        }
        for (name, json) in map {
            let Some(id) = find_declared(program, name) else {
                let text = self.string(name, json);
                let value = spell_template(&text, |n| self.is_plain_text(n));
                if name.is_empty() {
                    let _ = writeln!(packer, "        # {value}   # has no name");
                } else {
                    let _ = writeln!(packer, "        {} = {value}", print_key(name));
                }
                self.note_unknown(name);
                continue;
            };
            let variable = program.variable(id);
            if let Some(removed) = &variable.removed {
                let text = self.string(name, json);
                self.note(format!("{name} is gone: {removed}"));
                let _ = writeln!(out, "    # {name} = {}   # gone: {removed}", print_text(&text));
                continue;
            }
            let mut written = variable;
            if let Some((_, real)) = self.alias(name) {
                self.note(format!("{name} is a deprecated name of {}", real.name));
                if fronts.contains_key(real.name.as_str()) {
                    continue;
                }
                written = real;
            }
            let front = fronts.get(variable.name.as_str()).cloned().unwrap_or_default();
            match self.value(variable, written, json, front) {
                Ok(value) => {
                    let _ = writeln!(out, "    {} = {}", written.name, indent(&value));
                }
                Err(reason) => {
                    let text = self.string(name, json);
                    self.note(format!("{name} is left out: {reason}"));
                    let reason = visible_line(&reason);
                    let _ = writeln!(out, "    # {name} = {}   # {reason}", print_text(&text));
                }
            }
        }
        if !packer.is_empty() {
            let _ = write!(out, "    packer {{\n{packer}    }}\n");
        }
        out
    }

    /// A deprecated name, and the variable that it stands for.
    fn alias(&self, name: &str) -> Option<(&'p Variable, &'p Variable)> {
        let variable = self.program.variable(find_declared(self.program, name)?);
        variable.alias_of.map(|real| (variable, self.program.variable(real)))
    }

    /// The string that Packer would get; what is none is said.
    fn string(&mut self, name: &str, json: &Json) -> String {
        match json {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            other => {
                self.note(format!("{name} is no string, and Packer would refuse the file"));
                other.to_string()
            }
        }
    }

    fn decoded(&mut self, variable: &Variable, written: &Variable, json: &Json) -> Result<Value, String> {
        if let (Json::Array(elements), Base::List(_)) = (json, &written.ty.base) {
            self.note(format!("{} is no string, and Packer would refuse the file", variable.name));
            return Ok(Value::list(
                elements
                    .iter()
                    .map(|e| Value::text(e.as_str().map_or(e.to_string(), str::to_owned)))
                    .collect(),
            ));
        }
        let text = self.string(&variable.name, json);
        let decoded = decode(&written.ty, written.encoding, &Text::Plain(text.as_str().into()))
            .map_err(|mismatch| mismatch.message(written.is_secret))?;
        if decoded.had_quotes {
            self.note(format!(
                "{} had quotes of its own inside its string; it is read without them",
                variable.name
            ));
        }
        Ok(decoded.value)
    }

    /// A value as one writes it for `written`, which is the variable itself or what it stands for.
    fn value(
        &mut self,
        variable: &Variable,
        written: &Variable,
        json: &Json,
        front: Vec<Value>,
    ) -> Result<String, String> {
        let is_empty = matches!(json, Json::Null) || json.as_str() == Some("");
        if is_empty && front.is_empty() {
            return spell_empty(&written.ty);
        }
        if let Json::String(text) = json
            && text.contains("{{")
            && written.has_packer_braces()
        {
            return Ok(self.template(written, text));
        }
        if written.is_secret {
            let name = variable.name.to_uppercase();
            self.note(format!(
                "the secret {} is left out: give it in the environment, as {name}",
                variable.name
            ));
            return Ok(format!("env({})", print_text(&name)));
        }
        let mut value = self.decoded(variable, written, json)?;
        if let Value::List(own) = &value {
            value = Value::list(front.iter().chain(own.iter()).cloned().collect());
        }
        check_value(&written.ty, &value).map_err(|m| m.message(written.is_secret))?;
        if let Some((_, reason)) = find_unencodable(&value, written.encoding) {
            return Err(reason);
        }
        self.note_relative(variable, &written.ty, &value);
        let heredoc = match (&value, &written.ty.base) {
            (Value::Text(text), Base::Toml) => text.known().and_then(|text| spell_heredoc("TOML", &text)),
            _ => None,
        };
        Ok(heredoc.unwrap_or_else(|| spell_value(&value)))
    }

    /// A string with templates in it.
    fn template(&self, written: &Variable, text: &str) -> String {
        if matches!(written.ty.base, Base::Args) {
            return print_text(text);
        }
        let spelled = spell_template(text, |name| self.is_plain_text(name));
        match (&written.ty.base, written.encoding) {
            (Base::List(_), Encoding::Words) => format!("split({spelled}, \" \")"),
            (Base::List(_), Encoding::Commas) => format!("split({spelled}, \",\")"),
            _ => spelled,
        }
    }

    /// True where `${x}` is the string that Packer has for x.
    fn is_plain_text(&self, name: &str) -> bool {
        if self.own.contains(name) {
            return true;
        }
        let Some(id) = find_declared(self.program, name) else { return false };
        let variable = self.program.variable(id);
        let is_place = matches!(variable.ty.base, Base::Args | Base::Path | Base::File | Base::Role);
        let is_text = variable.ty.is_text() && variable.encoding == Encoding::Plain;
        is_text
            && !is_place
            && !variable.is_secret
            && variable.alias_of.is_none()
            && variable.removed.is_none()
    }

    fn note_unknown(&mut self, name: &str) {
        if self.read.contains(name) {
            return;
        }
        let names =
            self.program.variables.iter().filter(|v| v.owner == Owner::Declared).map(|v| v.name.as_str());
        let hint = nearest(name, names).map_or(String::new(), |near| format!("; did you mean {near}?"));
        self.note(format!("nothing knows {name}: it stands in a packer block{hint}"));
    }

    fn note_relative(&mut self, variable: &Variable, ty: &Type, value: &Value) {
        let element = ty.element().unwrap_or(ty);
        let is_relative = |value: &Value| {
            let Value::Text(text) = value else { return false };
            let text = text.known().unwrap_or_default();
            match element.base {
                Base::Path | Base::File => !text.is_empty() && !text.starts_with('/'),
                Base::Role => text.contains('/') && !text.starts_with('/'),
                _ => false,
            }
        };
        let has_one = match value {
            Value::List(elements) => elements.iter().any(is_relative),
            value => is_relative(value),
        };
        if has_one {
            self.note(format!(
                "{} was relative to where Packer runs, and is now to the spec that it stands in",
                variable.name
            ));
        }
    }
}

/// What an empty string is for a type.
fn spell_empty(ty: &Type) -> Result<String, String> {
    match &ty.base {
        Base::List(_) => Ok("[]".to_owned()),
        Base::Map(_) => Ok("{}".to_owned()),
        _ if check_value(ty, &Value::text("")).is_ok() => Ok("\"\"".to_owned()),
        _ => Err(format!("an empty string is no {ty}")),
    }
}

fn indent(text: &str) -> String {
    text.replace('\n', "\n    ").replace("\n    \n", "\n\n")
}
