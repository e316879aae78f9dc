//! Extra vars in JSON or YAML, as Ansible reads them.
//!
//! Ansible uses PyYAML, which implements YAML 1.1: `yes` is a bool, `0644` is octal, and `1:30` is 90
//! (`yaml/resolver.py`). `!unsafe` and `!vault` become the objects that represent them in Ansible's JSON
//! (`ansible/parsing/ajson.py`).

use crate::schema::whole;
use crate::source::part;
use regex::Regex;
use serde_json::{Map, Number, Value as Json, json};
use std::sync::LazyLock;
use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::{ScanError, TScalarStyle};

/// The maximum depth of nested values.
const MAX_DEPTH: usize = 100;

/// The maximum number of values in a text. The values of an alias count each time.
const MAX_NODES: usize = 100_000;

/// Parses the variables in an extra-vars file, or in an argument that begins with `{` or `[`.
///
/// # Errors
/// The reason why Ansible cannot read variables from the text, as a sentence about "it".
pub fn parse_vars(text: &str) -> Result<Map<String, Json>, String> {
    if text.starts_with("$ANSIBLE_VAULT;") {
        return Err("the file is encrypted with ansible-vault".to_owned());
    }
    let value = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(_) => parse_yaml(text)?,
    };
    match value {
        Json::Object(map) => Ok(map),
        Json::Array(_) => Err("it is a list, not a map of variables".to_owned()),
        Json::Null => Err("it is empty, not a map of variables".to_owned()),
        _ => Err("it is a single value, not a map of variables".to_owned()),
    }
}

/// A list or map whose end has not been read.
enum Open {
    List(Vec<Json>),
    Map {
        pairs: Map<String, Json>,
        merged: Map<String, Json>,
        key: Option<String>,
    },
}

/// Builds a document from the parser's events, without recursion.
struct Builder {
    open: Vec<(Open, usize)>,
    /// The values of anchors, with the parser's ids.
    anchors: Vec<(usize, Json)>,
    nodes: usize,
    root: Option<Json>,
}

fn parse_yaml(text: &str) -> Result<Json, String> {
    let failed = |error: ScanError| {
        let place = error.marker();
        format!(
            "it is not valid YAML: {} on line {}",
            error.info(),
            place.line()
        )
    };
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder {
        open: Vec::new(),
        anchors: Vec::new(),
        nodes: 0,
        root: None,
    };
    let mut documents = 0;
    loop {
        let (event, _) = parser.next_token().map_err(failed)?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart => documents += 1,
            event => builder.take(event)?,
        }
        if documents > 1 {
            return Err("it contains more than one YAML document".to_owned());
        }
    }
    Ok(builder.root.unwrap_or(Json::Null))
}

impl Builder {
    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.push(
                scalar(text, style == TScalarStyle::Plain, tag.as_ref()),
                anchor,
            ),
            Event::SequenceStart(anchor, _) => self.open(Open::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.open(
                Open::Map {
                    pairs: Map::new(),
                    merged: Map::new(),
                    key: None,
                },
                anchor,
            ),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((Open::List(elements), anchor)) => self.push(Json::Array(elements), anchor),
                Some((
                    Open::Map {
                        pairs, mut merged, ..
                    },
                    anchor,
                )) => {
                    merged.extend(pairs);
                    self.push(Json::Object(merged), anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let known = self.anchors.iter().rev().find(|(id, _)| *id == anchor);
                let value = known.map(|(_, value)| value.clone()).unwrap_or(Json::Null);
                self.nodes += count(&value);
                self.push(value, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open, anchor: usize) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} levels deep"));
        }
        self.open.push((open, anchor));
        Ok(())
    }

    /// Adds a complete value: an element, a key, the value of a key, or the whole document.
    fn push(&mut self, value: Json, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("it contains more than {MAX_NODES} values"));
        }
        if anchor > 0 {
            self.anchors.push((anchor, value.clone()));
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::List(elements), _)) => elements.push(value),
            Some((Open::Map { pairs, merged, key }, _)) => match key.take() {
                None => *key = Some(key_text(&value)?),
                Some(name) if name == "<<" => merge(merged, value)?,
                Some(name) => {
                    pairs.insert(name, value);
                }
            },
        }
        Ok(())
    }
}

fn count(value: &Json) -> usize {
    match value {
        Json::Array(elements) => 1 + elements.iter().map(count).sum::<usize>(),
        Json::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Returns a key as a string. Keys in JSON and names in Ansible are strings.
fn key_text(key: &Json) -> Result<String, String> {
    match key {
        Json::String(text) => Ok(text.clone()),
        other => Err(format!("the key {other} is not a string")),
    }
}

/// Merges `<<: *base` or `<<: [*a, *b]`. The first map is the strongest.
fn merge(into: &mut Map<String, Json>, value: Json) -> Result<(), String> {
    let maps = match value {
        Json::Array(maps) => maps,
        one => vec![one],
    };
    for map in maps {
        let Json::Object(map) = map else {
            return Err("`<<` can merge only maps".to_owned());
        };
        for (name, value) in map {
            into.entry(name).or_insert(value);
        }
    }
    Ok(())
}

fn scalar(text: String, is_plain: bool, tag: Option<&Tag>) -> Json {
    let tag = tag.map(|tag| (tag.handle.as_str(), tag.suffix.as_str()));
    match tag {
        Some(("!", "unsafe")) => json!({ "__ansible_unsafe": text }),
        Some(("!", "vault" | "vault-encrypted")) => json!({ "__ansible_vault": text }),
        Some((_, "str")) => Json::String(text),
        // `! text` is a string as well.
        Some(("", "!")) => Json::String(text),
        _ if is_plain => plain(text),
        _ => Json::String(text),
    }
}

/// Reads an unquoted scalar by the rules of YAML 1.1.
fn plain(text: String) -> Json {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Json::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Json::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Json::Bool(false);
        }
        _ => {}
    }
    if is_match(&INT, &text)
        && let Some(number) = read_int(&text)
    {
        return Json::from(number);
    }
    if is_match(&FLOAT, &text)
        && let Some(number) = text
            .replace('_', "")
            .parse()
            .ok()
            .and_then(Number::from_f64)
    {
        return Json::Number(number);
    }
    Json::String(text)
}

/// Source: `yaml/resolver.py`, `tag:yaml.org,2002:int`.
static INT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    whole(
        r"[-+]?(?:0b[0-1_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)",
    )
    .ok()
});

/// Source: `yaml/resolver.py`, `tag:yaml.org,2002:float`. Without infinities and base 60, which JSON does not have.
static FLOAT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    whole(r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?").ok()
});

fn is_match(pattern: &Option<Regex>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|regex| regex.is_match(text))
}

fn read_int(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let number = match digits.get(..2) {
        Some("0b") => i64::from_str_radix(part(digits, 2..), 2).ok()?,
        Some("0x") => i64::from_str_radix(part(digits, 2..), 16).ok()?,
        _ if digits.contains(':') => digits.split(':').try_fold(0_i64, |sum, part| {
            sum.checked_mul(60)?.checked_add(part.parse().ok()?)
        })?,
        _ if digits.len() > 1 && digits.starts_with('0') => {
            i64::from_str_radix(part(digits, 1..), 8).ok()?
        }
        _ => digits.parse().ok()?,
    };
    Some(sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, expected: Json) {
        assert_eq!(parse_vars(text).map(Json::Object), Ok(expected), "{text}");
    }

    #[test]
    fn reads_scalars_as_yaml_1_1() {
        let text = "a: yes\nb: 'yes'\nc: 0644\nd: 1:30\ne: 1.5\nf: ~\ng: v1.2.3\nh: 1_000\ni: 0x1f\nj: !!str 5\nk: -7\nl: 1e3\nm: 08";
        reads(
            text,
            json!({
                "a": true, "b": "yes", "c": 420, "d": 90, "e": 1.5, "f": null, "g": "v1.2.3", "h": 1000, "i": 31,
                "j": "5", "k": -7, "l": "1e3", "m": "08"
            }),
        );
    }

    #[test]
    fn reads_structure_tags_and_aliases() {
        reads(
            "---\nbase: &b {x: 1, y: 2}\nall:\n  <<: *b\n  y: 3\nlist: [a, *b]\ntext: |\n  two\n  lines\nsecret: !vault |\n  $ANSIBLE_VAULT;1.1\nraw: !unsafe '{{ x }}'\n",
            json!({
                "base": { "x": 1, "y": 2 }, "all": { "x": 1, "y": 3 }, "list": ["a", { "x": 1, "y": 2 }],
                "text": "two\nlines\n", "secret": { "__ansible_vault": "$ANSIBLE_VAULT;1.1\n" },
                "raw": { "__ansible_unsafe": "{{ x }}" }
            }),
        );
        reads("{\"a\": [1, true]}", json!({ "a": [1, true] }));
        reads("{a: b, c: [d]}", json!({ "a": "b", "c": ["d"] }));
    }

    #[test]
    fn refuses_what_gives_no_variables() {
        let bomb = format!("a: &a [x,x,x,x,x,x,x,x,x,x]\n{}", {
            let lines = ('b'..'k').zip('a'..).map(|(new, old)| {
                format!(
                    "{new}: &{new} [{}]\n",
                    vec![format!("*{old}"); 10].join(",")
                )
            });
            lines.collect::<String>()
        });
        for text in [
            "",
            "- a",
            "a",
            "a: b: c",
            "a: [",
            "1: a",
            "a: 1\n---\nb: 2",
            "$ANSIBLE_VAULT;1.1;AES256\n00",
            "{a: *b}",
            &bomb,
            &"[".repeat(9999),
        ] {
            assert!(
                parse_vars(text).is_err(),
                "{}",
                text.chars().take(40).collect::<String>()
            );
        }
    }
}
