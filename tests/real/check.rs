//! What must arrive, and what to say where something else did.

use serde_json::{Map, Value};

use crate::run::{Arrived, Image, LOOKUP, Strings};

/// Compares the written files with `show`, and what arrived with both.
pub fn check(wrong: &mut Vec<String>, image: &Image, arrived: &Arrived, environment: &Strings) {
    let file_route = format!("@{}", image.folder.join("ansible.vars.json").display());
    for (name, shown) in &image.shown {
        let (written, packer) = (image.packer.get(name), &shown["packer"]);
        // `show` writes no file, so it cannot name the one that the file route reads.
        if !packer.is_null() && written.is_none_or(|text| *text != file_route) {
            compare(wrong, "packer.vars.json", name, packer, written);
        }
        let ansible = &shown["ansible"];
        if !ansible.is_null() {
            compare(
                wrong,
                "ansible.vars.json",
                name,
                ansible,
                image.ansible.get(name),
            );
            // The value itself; with a hole, what the hole brings.
            let whole = fill(ansible, &Strings::new()).map(|_| shown["value"].clone());
            if let Some(want) = whole.or_else(|| fill(ansible, environment)) {
                compare(wrong, "Ansible", name, &want, arrived.ansible.get(name));
            }
        }
    }
    for (name, text) in &image.packer {
        if let Some(want) = resolve(text.as_str().unwrap(), &image.packer, environment) {
            compare(
                wrong,
                "Packer",
                name,
                &want.into(),
                arrived.packer.get(name),
            );
        }
    }
    for name in image
        .ansible
        .keys()
        .filter(|name| !arrived.ansible.contains_key(*name))
    {
        wrong.push(format!("Ansible did not get {name}"));
    }
    // A text that breaks out of its argument brings names that nobody wrote.
    let pairs = [
        "ansible_common_vars",
        "ansible_extra_vars",
        "ansible_user_vars",
    ]
    .map(|name| image.packer.get(name));
    let asked = |name: &str| {
        image.ansible.contains_key(name)
            || name.starts_with("packer_")
            || name.starts_with("ansible_ssh_")
            || pairs
                .iter()
                .flatten()
                .any(|text| text.as_str().unwrap().contains(&format!("{name}=")))
    };
    for name in arrived.ansible.keys().filter(|name| !asked(name)) {
        wrong.push(format!("Ansible got {name}, which nobody wrote"));
    }
}

/// The text after Packer, or nothing where only Packer can tell (`{{timestamp}}`).
fn resolve(text: &str, variables: &Map<String, Value>, environment: &Strings) -> Option<String> {
    let Some((before, rest)) = text.split_once("{{") else {
        return Some(text.to_owned());
    };
    let (template, after) = rest.split_once("}}")?;
    let words: Vec<&str> = template.split_whitespace().collect();
    let argument = |word: &str| Some(word.strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let value = match words[..] {
        ["user", name] => resolve(
            variables.get(&argument(name)?)?.as_str()?,
            variables,
            environment,
        )?,
        ["env", name] => environment.get(&argument(name)?)?.clone(),
        // A field is the builder's; the variable carries it as it is.
        [field] if field.starts_with('.') => format!("{{{{{template}}}}}"),
        _ => return None,
    };
    Some(before.to_owned() + &value + &resolve(after, variables, environment)?)
}

/// What Ansible makes of a written value, or nothing where only Ansible can tell (a template of the user's own).
fn fill(written: &Value, environment: &Strings) -> Option<Value> {
    match written {
        Value::String(text) => {
            // A NUL after a brace that is text keeps it from being taken for a template.
            let mut text = ["{{", "{%", "{#", "{"]
                .into_iter()
                .fold(text.clone(), |text, open| {
                    text.replace(
                        &format!("{{{{ '{open}' }}}}"),
                        &format!("{{\0{}", &open[1..]),
                    )
                });
            for (name, value) in environment {
                text = text.replace(
                    &format!("{{{{ {LOOKUP}{name}') }}}}"),
                    &value.replace('{', "{\0"),
                );
            }
            let computed = ["{{", "{%", "{#"].iter().any(|open| text.contains(open));
            (!computed).then(|| text.replace('\0', "").into())
        }
        Value::Array(items) => items.iter().map(|item| fill(item, environment)).collect(),
        Value::Object(map) => match map.get("__ansible_unsafe") {
            Some(text) => Some(text.clone()),
            None => map
                .iter()
                .map(|(key, item)| Some((key.clone(), fill(item, environment)?)))
                .collect(),
        },
        _ => Some(written.clone()),
    }
}

pub fn compare(wrong: &mut Vec<String>, who: &str, name: &str, want: &Value, got: Option<&Value>) {
    if got != Some(want) {
        let got = got.map_or("nothing".to_owned(), Value::to_string);
        wrong.push(format!(
            "{who}: {name}: wanted {}, got {}",
            cut(&want.to_string(), 200),
            cut(&got, 200)
        ));
    }
}

pub fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}
