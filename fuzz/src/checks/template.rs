//! `template`: Packer's own syntax, in strings, templates, JSON and command lines.

use imgspec::packer::json::{Parsed, PropertyValue, parse_json};
use imgspec::packer::{
    Braced, Filling, Selection, Template, fill, parse_braces, parse_recipe, spell_piece,
};
use serde_json::Value;

/// Reads a text as each of them.
pub fn template(data: &[u8]) {
    let text = &*super::text(data);
    check_pieces(text);
    check_filling(text);
    check_json(text);
    if let Ok(template) = Template::parse(text) {
        check_template(&template);
    }
    for run in parse_recipe(text) {
        assert!(run.files().all(|file| !file.contains('\n')) || text.contains(['"', '\'', '\\']));
    }
}

/// The pieces of a string spell it, and mean the same when they are written again.
fn check_pieces(text: &str) {
    let pieces = parse_braces(text);
    let ends = pieces.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    let mut start = 0;
    for ((at, piece), end) in pieces.iter().zip(ends) {
        assert_eq!(*at, start, "pieces overlap or leave a gap");
        match piece {
            Braced::Text(written) | Braced::Other(written, _) | Braced::Bad(written, _) => {
                assert_eq!(*written, &text[start..end]);
            }
            Braced::User(name) | Braced::Env(name) => assert!(text[start..end].contains(name)),
        }
        start = end;
    }
    assert_eq!(start, text.len(), "the pieces are not the whole");
    let written: String = pieces.iter().map(|(_, piece)| spell_piece(piece)).collect();
    let again = parse_braces(&written);
    let bare = |pieces: &[(usize, Braced<'_>)]| -> Vec<String> {
        pieces
            .iter()
            .map(|(_, piece)| format!("{piece:?}"))
            .collect()
    };
    assert_eq!(bare(&pieces), bare(&again), "{text}\n----\n{written}");
}

/// Each line is the value of the variable with its number. The result of filling the first is bounded.
fn check_filling(text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let value = |name: &str| -> Option<Filling> {
        let line = lines.get(name.parse::<usize>().ok()?)?;
        Some(match line.strip_prefix('=') {
            Some(known) => Filling::Known(known.to_owned()),
            None => Filling::Template((*line).to_owned()),
        })
    };
    let first = lines.first().copied().unwrap_or_default();
    if let Some(filled) = fill(first, &value) {
        assert!(filled.len() <= 1 << 20);
    }
}

/// Packer and serde_json agree on what is JSON, and a mistake is at a place of the text.
fn check_json(text: &str) {
    match parse_json(text) {
        Ok(Parsed::Object(properties)) => {
            let strict: Result<Value, _> = serde_json::from_str(text);
            // serde_json bounds the depth; Packer's bound is 10,000.
            if strict
                .as_ref()
                .is_err_and(|error| error.to_string().starts_with("recursion limit"))
            {
                return;
            }
            for property in &properties {
                assert!(text.get(property.name_range.clone()).is_some());
                assert!(text.get(property.range.clone()).is_some());
            }
            let Ok(Value::Object(strict)) = strict else {
                panic!("not JSON: {strict:?}");
            };
            // The last of several entries with one name counts.
            for (name, value) in &strict {
                let ours = properties.iter().rfind(|property| property.name == *name);
                match (value, ours.map(|property| &property.value)) {
                    (Value::String(theirs), Some(PropertyValue::Text(ours))) => {
                        assert_eq!(ours, theirs);
                    }
                    (Value::Null, Some(PropertyValue::Text(ours))) => assert_eq!(ours, ""),
                    (Value::String(_) | Value::Null, other) => panic!("{name}: {other:?}"),
                    (_, other) => assert!(matches!(other, Some(PropertyValue::Other(_)))),
                }
            }
        }
        Ok(_) => {}
        Err(error) => {
            assert!(text.get(error.range.clone()).is_some(), "{error:?}");
            if let Some((_, range, _)) = &error.fix {
                assert!(text.get(range.clone()).is_some(), "{error:?}");
            }
            let strict: Result<Value, _> = serde_json::from_str(text);
            assert!(strict.is_err(), "JSON is refused: {error:?}");
        }
    }
}

fn check_template(template: &Template) {
    let names: Vec<&str> = template.builder_names().collect();
    let first = Selection {
        only: names
            .first()
            .map(|name| (*name).into())
            .into_iter()
            .collect(),
        except: Vec::new(),
    };
    let others = Selection {
        only: Vec::new(),
        except: first.only.clone(),
    };
    let fill = |name: &str| (!name.contains("{{env")).then(|| name.to_owned());
    for runs in [&[][..], &[&first], &[&others], &[&first, &others]] {
        let readers = template.readers(runs, &fill);
        assert!(readers.idle.iter().all(|run| *run < runs.len()));
        assert_eq!(readers.builders.len(), names.len());
    }
    for (name, default) in template.variables() {
        assert!(template.demands(name) || default.is_some() || template.default_of(name).is_none());
        template.is_whole_argument(name);
    }
}
