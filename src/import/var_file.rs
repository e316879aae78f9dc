//! Conversion of JSON var files to layers.
//!
//! Each string is read with its variable's type and written as a value of the language. A string that cannot be converted
//! becomes a comment with the reason. Nothing is dropped silently.

use crate::ansible::{ArgsProblem, Argument, check_args, parse_pairs};
use crate::diagnostic::nearest;
use crate::import::item_name;
use crate::import::moved::{Moves, spell_pair};
use crate::import::print::{spell_heredoc, spell_template, spell_value};
use crate::packer::json::parse_json;
use crate::packer::named;
use crate::packer::{Braced, parse_braces, spell_piece};
use crate::project::Program;
use crate::project::hir::{VarId, Variable};
use crate::project::var_file::{
    find_separator, inside_quotes, is_filled_by_packer, is_no_value, meant_flag,
};
use crate::schema::{
    Base, Encoding, Text, Type, Value, check_value, decode, find_unencodable, from_json,
};
use crate::source::{normalize, part, visible_line};
use crate::syntax::{format, print_key, print_text};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The most unknown names that a note lists.
const MOST_NAMES: usize = 50;

/// The result of an import.
#[derive(Debug)]
pub struct Imported {
    /// The spec.
    pub text: String,
    /// The layers in it, weakest first.
    pub layers: Vec<String>,
    /// What the user should check: a sentence each, beginning with the file.
    pub notes: Vec<String>,
}

/// A JSON var file.
#[derive(Debug)]
pub struct VarFile {
    /// The name for messages.
    pub name: String,
    /// The file's text.
    pub text: String,
    /// The folder that relative paths in it start from; empty if unknown.
    pub folder: PathBuf,
}

/// Converts var files, weakest first, to a spec with a layer for each.
///
/// # Errors
/// A message that begins with the file, if it is not a JSON object.
pub fn import(program: &Program, files: &[VarFile]) -> Result<Imported, String> {
    let parsed = files
        .iter()
        .map(|file| {
            parse(&file.text)
                .map(|(map, open)| (file.name.as_str(), map, open))
                .map_err(|e| format!("{}: {e}", file.name))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let is_unknown = |name: &&String| find_declared(program, name).is_none();
    let own: BTreeSet<&str> = parsed
        .iter()
        .flat_map(|(_, map, _)| map.keys())
        .filter(is_unknown)
        .map(String::as_str)
        .collect();
    let texts = parsed
        .iter()
        .flat_map(|(_, map, _)| map.values())
        .filter_map(Json::as_str);
    let read = texts.flat_map(named).map(|name| name.to_string()).collect();
    let maps: Vec<&Map<String, Json>> = parsed.iter().map(|(_, map, _)| map).collect();
    let moves = Moves::find(program, &maps);
    let mut importer = Importer {
        program,
        own,
        read,
        moves,
        file: "",
        folder: Path::new(""),
        notes: Vec::new(),
    };
    let mut layers: Vec<String> = Vec::new();
    let mut text = String::new();
    for ((name, map, open), file) in parsed.iter().zip(files) {
        importer.folder = &file.folder;
        let stem = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let stem = item_name(stem.strip_suffix(".json").unwrap_or(stem));
        let taken = |n: &String| layers.contains(n) || program.find_library_section(n).is_some();
        let mut names = std::iter::once(stem.clone()).chain((2..).map(|n| format!("{stem}-{n}")));
        let layer = names.find(|n| !taken(n)).unwrap_or(stem);
        importer.file = name;
        if !open.is_empty() {
            importer.note(format!(
                "the template requires a value for `{}`",
                open.join("`, `")
            ));
        }
        let gap = if text.is_empty() { "" } else { "\n" };
        let shown = visible_line(name);
        let _ = write!(
            text,
            "{gap}## From {shown}.\nlayer {layer} {{\n{}}}\n",
            importer.body(map)
        );
        layers.push(layer);
    }
    Ok(Imported {
        text: format(&text),
        layers,
        notes: importer.notes,
    })
}

/// Returns the entries of a var file. Of a template it returns the entries of `variables`, and the names that are `null`
/// there: they require a value.
fn parse(text: &str) -> Result<(Map<String, Json>, Vec<String>), String> {
    match serde_json::from_str(text) {
        Ok(Json::Object(mut map)) => match map.remove("variables") {
            Some(Json::Object(variables)) => {
                let (open, set): (Map<_, _>, Map<_, _>) = variables
                    .into_iter()
                    .partition(|(_, value)| value.is_null());
                Ok((set, open.into_iter().map(|(name, _)| name).collect()))
            }
            Some(other) => {
                map.insert("variables".to_owned(), other);
                Ok((map, Vec::new()))
            }
            None => Ok((map, Vec::new())),
        },
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(match parse_json(text) {
            Err(found) => {
                let before = part(text, ..found.range.start);
                let line = before.matches('\n').count() + 1;
                let column = before
                    .rsplit('\n')
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .count()
                    + 1;
                format!("line {line}, column {column}: {}", found.message)
            }
            Ok(_) => format!("invalid JSON: {error}"),
        }),
    }
}

pub(super) fn find_declared(program: &Program, name: &str) -> Option<VarId> {
    program
        .find_variable(None, name)
        .filter(|id| program.variable(*id).is_declared())
}

struct Importer<'p> {
    program: &'p Program,
    /// The names that the files set but nothing declares.
    own: BTreeSet<&'p str>,
    /// The names that their Packer expressions read.
    read: BTreeSet<String>,
    /// The pairs of Ansible arguments that become settings.
    moves: Moves,
    file: &'p str,
    /// The folder that relative paths of the file start from.
    folder: &'p Path,
    notes: Vec<String>,
}

impl<'p> Importer<'p> {
    fn note(&mut self, text: String) {
        self.notes
            .push(visible_line(&format!("{}: {text}", self.file)).into_owned());
    }

    /// Returns the settings of one file, as source text.
    fn body(&mut self, map: &Map<String, Json>) -> String {
        let program = self.program;
        let mut out = String::new();
        let mut packer = String::new();
        let mut unknown: Vec<&str> = Vec::new();
        // The elements of deprecated names come before those of the variable that replaces them.
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
                    let _ = writeln!(packer, "        # {value}   # an empty name");
                } else {
                    let _ = writeln!(packer, "        {} = {value}", print_key(name));
                }
                unknown.push(name.as_str());
                continue;
            };
            let variable = program.variable(id);
            if let Some(removed) = variable.removed() {
                let text = self.string(name, json);
                self.note(format!("`{name}` is removed: {removed}"));
                let _ = writeln!(
                    out,
                    "    # {name} = {}   # removed: {removed}",
                    print_text(&text)
                );
                continue;
            }
            if self.moves.settings.contains_key(name) {
                self.moved(name, json, &mut out);
                continue;
            }
            let mut written = variable;
            if let Some((_, real)) = self.alias(name) {
                self.note(format!("`{name}` is a deprecated name of `{}`", real.name));
                if fronts.contains_key(real.name.as_str()) {
                    continue;
                }
                written = real;
            }
            let front = fronts
                .get(variable.name.as_str())
                .cloned()
                .unwrap_or_default();
            match self.value(variable, written, json, front) {
                Ok(value) => {
                    let _ = writeln!(out, "    {} = {}", written.name, indent(&value));
                }
                Err(reason) => {
                    let text = self.string(name, json);
                    let is_empty = json.is_null() || text.is_empty();
                    let instead = if is_empty {
                        "; the variable keeps its default"
                    } else {
                        ""
                    };
                    self.note(format!("`{name}` is left out: {reason}{instead}"));
                    let reason = visible_line(&reason);
                    let _ = writeln!(out, "    # {name} = {}   # {reason}", print_text(&text));
                }
            }
        }
        self.note_unknown(&unknown);
        if !packer.is_empty() {
            let _ = write!(out, "    packer {{\n{packer}    }}\n");
        }
        out
    }

    /// Writes the pairs of an argument that become settings, and the rest of the argument.
    fn moved(&mut self, name: &str, json: &Json, out: &mut String) {
        let text = json.as_str().unwrap_or_default();
        if let Err(ArgsProblem::Lost(words)) = check_args(text) {
            self.note(format!(
                "`{name}`: left out `{}`, which Ansible ignores",
                words.join("`, `")
            ));
        }
        for (name, value) in self.moves.settings.get(name).into_iter().flatten() {
            let _ = writeln!(out, "    {name} = {}", indent(value));
        }
        if let Some(left) = self.moves.left.get(name) {
            let _ = writeln!(out, "    {name} = {}", print_text(left));
        }
    }

    /// Returns a deprecated name, and the variable that replaces it.
    fn alias(&self, name: &str) -> Option<(&'p Variable, &'p Variable)> {
        let variable = self.program.variable(find_declared(self.program, name)?);
        variable
            .alias_of()
            .map(|real| (variable, self.program.variable(real)))
    }

    /// Converts an argument: removes the words that Ansible ignores, and makes a file's path absolute.
    fn args(&mut self, name: &str, text: &str) -> String {
        if let Argument::File(path) = Argument::of(text) {
            return self.args_file(path);
        }
        let Err(ArgsProblem::Lost(words)) = check_args(text) else {
            return text.to_owned();
        };
        self.note(format!(
            "`{name}`: left out `{}`, which Ansible ignores",
            words.join("`, `")
        ));
        parse_pairs(text)
            .iter()
            .map(spell_pair)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Converts an argument that names a file. The path becomes absolute, because the spec may be in any folder.
    fn args_file(&mut self, path: &str) -> String {
        if path.starts_with(['/', '~', '$'])
            || path.contains("{{")
            || self.folder.as_os_str().is_empty()
        {
            return format!("@{path}");
        }
        let path = normalize(&self.folder.join(path));
        self.note(format!("the path of {} is now absolute", path.display()));
        format!("@{}", path.display())
    }

    /// Returns the string that Packer would get. Adds a note if the value is not a string.
    fn string(&mut self, name: &str, json: &Json) -> String {
        match json {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            other => {
                self.note(format!(
                    "`{name}` is not a string, and Packer would reject the file"
                ));
                other.to_string()
            }
        }
    }

    fn decoded(
        &mut self,
        variable: &Variable,
        written: &Variable,
        json: &Json,
    ) -> Result<Value, String> {
        if let (Json::Array(elements), Base::List(_)) = (json, &written.ty.base) {
            self.note(format!(
                "`{}` is not a string, and Packer would reject the file",
                variable.name
            ));
            return Ok(Value::list(
                elements
                    .iter()
                    .map(|e| Value::text(e.as_str().map_or(e.to_string(), str::to_owned)))
                    .collect(),
            ));
        }
        let text = self.string(&variable.name, json);
        let decoded = match decode(
            &written.ty,
            written.encoding,
            &Text::Plain(text.as_str().into()),
        ) {
            Ok(decoded) => decoded,
            Err(mismatch) => {
                let flag =
                    meant_flag(written, &text).filter(|_| json.is_string() && !written.is_secret);
                let Some(flag) = flag else {
                    return Err(mismatch.message(written.is_secret));
                };
                self.note(format!("`{}`: `{text}` is now `{flag}`", variable.name));
                return Ok(Value::Bool(flag));
            }
        };
        if decoded.had_quotes {
            self.note_quotes(&variable.name);
        }
        Ok(decoded.value)
    }

    fn note_quotes(&mut self, name: &str) {
        self.note(format!("`{name}`: removed the quotes inside the string"));
    }

    /// Converts a value to source text. `written` is the variable, or the one that replaces it.
    ///
    /// # Errors
    /// The reason why it cannot be converted.
    fn value(
        &mut self,
        variable: &Variable,
        written: &Variable,
        json: &Json,
        front: Vec<Value>,
    ) -> Result<String, String> {
        let is_empty = matches!(json, Json::Null) || json.as_str() == Some("");
        if is_empty && front.is_empty() {
            return spell_empty(&written.ty, json.is_null());
        }
        if let (Base::Args, Json::String(text)) = (&written.ty.base, json) {
            return Ok(print_text(&self.args(&variable.name, text)));
        }
        if let Json::String(text) = json
            && text.contains("{{")
            && (written.has_packer_braces() || is_filled_by_packer(written, text))
        {
            let inner = inside_quotes(&written.ty, text);
            if inner.is_some() {
                self.note_quotes(&variable.name);
            }
            return self.template(written, inner.unwrap_or(text));
        }
        if written.is_secret {
            let name = variable.name.to_uppercase();
            self.note(format!(
                "the secret `{}` is left out: set the environment variable {name}",
                variable.name
            ));
            return Ok(format!("env({})", print_text(&name)));
        }
        let divided = json.as_str().and_then(|text| find_separator(written, text));
        let mut value = self.decoded(variable, written, json)?;
        if let Value::List(own) = &value {
            value = Value::list(front.iter().chain(own.iter()).cloned().collect());
        }
        check_value(&written.ty, &value).map_err(|mismatch| match &divided {
            Some(divided) => {
                let json = Json::from(divided.written.as_str());
                format!(
                    "its elements are separated by {}: write {json}",
                    divided.separator
                )
            }
            None => mismatch.message(written.is_secret),
        })?;
        if let Some(divided) = divided {
            self.note(format!(
                "`{}`: its elements are separated by {}, so `{}` is one element",
                variable.name, divided.separator, divided.element
            ));
        }
        if let Some((_, reason)) = find_unencodable(&value, written.encoding) {
            return Err(reason);
        }
        self.note_relative(variable, &written.ty, &value);
        let heredoc = match (&value, &written.ty.base) {
            (Value::String(text), Base::Toml) => {
                text.known().and_then(|text| spell_heredoc("TOML", &text))
            }
            _ => None,
        };
        Ok(heredoc.unwrap_or_else(|| spell_value(&value)))
    }

    /// Converts a string with Packer expressions.
    ///
    /// # Errors
    /// The reason why it cannot be converted.
    fn template(&self, written: &Variable, text: &str) -> Result<String, String> {
        let base = &written.ty.base;
        if matches!(base, Base::Args) {
            return Ok(print_text(text));
        }
        let spell = |text: &str| spell_template(text, |name| self.is_plain_text(name));
        let pieces = parse_braces(text);
        match (base, &pieces[..]) {
            // A single expression can be the whole value.
            (_, [(_, Braced::Env(_))]) => return Ok(spell(text)),
            (_, [(_, Braced::User(name))]) if written.encoding == Encoding::Base64 => {
                return self.whole_reference(written, name);
            }
            _ if written.encoding == Encoding::Base64 => {
                return Err(format!(
                    "only Packer can evaluate `{text}`, and a spec contains the decoded text, not base64"
                ));
            }
            (Base::List(_) | Base::Map(_) | Base::Bool | Base::Int, [(_, Braced::User(name))]) => {
                return self.whole_reference(written, name);
            }
            _ => {}
        }
        match (base, written.encoding) {
            (Base::List(_), Encoding::Words) => Ok(spell_list(
                &cut_elements(&pieces, char::is_whitespace),
                spell,
            )),
            (Base::List(_), Encoding::Commas) => {
                Ok(spell_list(&cut_elements(&pieces, |c| c == ','), spell))
            }
            (Base::List(_) | Base::Map(_), _) => {
                let json: Json =
                    serde_json::from_str(text).map_err(|e| format!("invalid JSON: {e}"))?;
                spell_json(&json, &spell)
            }
            (Base::Bool | Base::Int, _) => Err(format!(
                "a string with a Packer expression cannot be of type `{}`",
                written.ty
            )),
            _ => Ok(spell(text)),
        }
    }

    /// Converts a value that is another variable's string.
    ///
    /// # Errors
    /// The reason why it cannot be converted.
    fn whole_reference(&self, written: &Variable, name: &str) -> Result<String, String> {
        let id = find_declared(self.program, name);
        let other = id
            .map(|id| self.program.variable(id))
            .filter(|v| v.removed().is_none() && !v.is_secret);
        let is_same = |v: &Variable| {
            v.ty.to_string().trim_end_matches('?') == written.ty.to_string().trim_end_matches('?')
        };
        if other.is_some_and(|v| is_same(v) && v.encoding == written.encoding) {
            return Ok(name.to_owned());
        }
        match written.encoding {
            Encoding::Words if self.is_plain_text(name) => Ok(format!("split({name}, \" \")")),
            Encoding::Commas if self.is_plain_text(name) => Ok(format!("split({name}, \",\")")),
            Encoding::Base64 => Err(format!(
                "`{name}` contains base64, and a spec contains the decoded text: write it here"
            )),
            _ => Err(format!("`{name}` is not of type `{}`", written.ty)),
        }
    }

    /// True if `${x}` gives the string that Packer has for the variable.
    fn is_plain_text(&self, name: &str) -> bool {
        if self.own.contains(name) {
            return true;
        }
        let Some(id) = find_declared(self.program, name) else {
            return false;
        };
        let variable = self.program.variable(id);
        let is_place = matches!(
            variable.ty.base,
            Base::Args | Base::Path | Base::File | Base::Role
        );
        let is_text = variable.ty.is_text() && variable.encoding == Encoding::Plain;
        is_text
            && !is_place
            && !variable.is_secret
            && variable.alias_of().is_none()
            && variable.removed().is_none()
    }

    /// Adds one note about the unknown names of a file. The file may be for another release than the library.
    fn note_unknown(&mut self, names: &[&str]) {
        let declared: Vec<&str> = self
            .program
            .variables
            .iter()
            .filter(|v| v.is_declared())
            .map(|v| v.name.as_str())
            .collect();
        let unread = names.iter().filter(|name| !self.read.contains(**name));
        let unread: Vec<&&str> = unread.collect();
        let mut shown: Vec<String> = unread
            .iter()
            .take(MOST_NAMES)
            .map(|name| match nearest(name, declared.iter().copied()) {
                Some(near) => format!("`{name}` (did you mean `{near}`?)"),
                None => format!("`{name}`"),
            })
            .collect();
        if shown.is_empty() {
            return;
        }
        if unread.len() > MOST_NAMES {
            shown.push(format!("and {} more", unread.len() - MOST_NAMES));
        }
        let library = if self.program.is_adopted {
            "the checkout".to_owned()
        } else {
            format!("Image Builder {}", self.program.edition.release)
        };
        let names = shown.join(", ");
        self.note(format!(
            "unknown in {library}, written to a `packer` block: {names}"
        ));
    }

    fn note_relative(&mut self, variable: &Variable, ty: &Type, value: &Value) {
        let element = ty.element().unwrap_or(ty);
        let is_relative = |value: &Value| {
            let Value::String(text) = value else {
                return false;
            };
            let text = text.known().unwrap_or_default();
            match element.base {
                Base::Path | Base::File => !text.is_empty() && !text.starts_with(['/', '~']),
                Base::Role => text.contains('/') && !text.starts_with(['/', '~']),
                _ => false,
            }
        };
        let has_one = match value {
            Value::List(elements) => elements.iter().any(is_relative),
            value => is_relative(value),
        };
        if has_one {
            self.note(format!(
                "`{}`: the path is now relative to the spec, not to Packer's folder",
                variable.name
            ));
        }
    }
}

/// Splits a list's string into elements. A Packer expression is never split.
fn cut_elements(
    pieces: &[(usize, Braced<'_>)],
    is_separator: impl Fn(char) -> bool,
) -> Vec<String> {
    let mut elements = vec![String::new()];
    for (_, piece) in pieces {
        let Braced::Text(text) = piece else {
            elements
                .last_mut()
                .into_iter()
                .for_each(|last| last.push_str(&spell_piece(piece)));
            continue;
        };
        for (at, part) in text.split(&is_separator).enumerate() {
            if at > 0 {
                elements.push(String::new());
            }
            elements
                .last_mut()
                .into_iter()
                .for_each(|last| last.push_str(part.trim()));
        }
    }
    elements.retain(|element| !element.is_empty());
    elements
}

fn spell_list(elements: &[String], spell: impl Fn(&str) -> String) -> String {
    let elements: Vec<String> = elements.iter().map(|element| spell(element)).collect();
    format!("[{}]", elements.join(", "))
}

/// Converts JSON whose strings may contain Packer expressions.
///
/// # Errors
/// A message, if a value has no counterpart in the language.
fn spell_json(json: &Json, spell: &impl Fn(&str) -> String) -> Result<String, String> {
    Ok(match json {
        Json::String(text) => spell(text),
        Json::Array(elements) => {
            let all = elements
                .iter()
                .map(|e| spell_json(e, spell))
                .collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", all.join(", "))
        }
        Json::Object(map) => {
            let pair = |(key, value): (&String, &Json)| {
                Ok(format!(
                    "{} = {}",
                    print_key(key),
                    spell_json(value, spell)?
                ))
            };
            let all = map.iter().map(pair).collect::<Result<Vec<_>, String>>()?;
            format!("{{ {} }}", all.join(", "))
        }
        other => spell_value(&from_json(other).map_err(|mismatch| mismatch.message(false))?),
    })
}

/// Converts an empty string to a value of a type.
///
/// # Errors
/// A message, if the type has no empty value.
fn spell_empty(ty: &Type, is_null: bool) -> Result<String, String> {
    match &ty.base {
        Base::List(_) => Ok("[]".to_owned()),
        Base::Map(_) => Ok("{}".to_owned()),
        _ if check_value(ty, &Value::text("")).is_ok() => Ok("\"\"".to_owned()),
        _ => Err(is_no_value(ty, is_null)),
    }
}

fn indent(text: &str) -> String {
    text.replace('\n', "\n    ").replace("\n    \n", "\n\n")
}
