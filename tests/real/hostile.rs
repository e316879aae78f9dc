//! The table of hostile texts.

use serde_json::Value;

use crate::common::root;
use crate::run::read_json;

pub struct Hostile {
    pub name: String,
    pub value: String,
    /// A template that Packer would accept: in Packer's variables it is no text.
    pub packer_template: bool,
}

pub fn hostile_texts() -> Vec<Hostile> {
    let rows = read_json(&root().join("tests/real/hostile.json")).unwrap();
    let row = |row: &Value| Hostile {
        name: row["name"].as_str().unwrap().to_owned(),
        value: row["value"]
            .as_str()
            .unwrap()
            .repeat(row["repeat"].as_u64().unwrap_or(1) as usize),
        packer_template: row["packer_template"] == true,
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

impl Hostile {
    pub fn has_packer_braces(&self) -> bool {
        self.value.contains("{{")
    }

    /// The row's name as part of a variable's.
    pub fn slug(&self) -> String {
        self.name
            .to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    }

    /// The text as a literal of the language.
    pub fn literal(&self) -> String {
        let mut out = String::from('"');
        for char in self.value.replace("${", "\0").chars() {
            match char {
                '\0' => out += "\\${",
                '"' | '\\' => out.extend(['\\', char]),
                '\n' => out += "\\n",
                '\t' => out += "\\t",
                '\r' => out += "\\r",
                c if c.is_control() => out += &format!("\\u{{{:x}}}", u32::from(c)),
                c => out.push(c),
            }
        }
        out + "\""
    }
}
