//! Values in the syntax of a spec. Everything that shows or writes values uses these functions.

use crate::schema::{Piece, Text, Value};
use crate::source::part;
use crate::syntax::{escape, print_key, print_text};
use indexmap::IndexMap;
use smol_str::SmolStr;
use std::fmt::Write;

/// Prints a value on one line.
pub fn print_value(value: &Value) -> String {
    print(value, usize::MAX)
}

/// Prints a value. A list or map longer than `width` bytes has one element on each line.
pub fn print_wrapped(value: &Value, width: usize) -> String {
    print(value, width)
}

/// Prints a value on one line, of which no more than `most` characters are kept. The rest, which `…` stands for, costs
/// nothing.
pub fn print_start(value: &Value, most: usize) -> String {
    let mut text = print_value(&start_of(value, &mut (most + 1)));
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Returns what the first characters of a value are printed from. `left` counts those that are still wanted; all that is
/// printed takes one at least.
fn start_of(value: &Value, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    match value {
        Value::Bool(_) | Value::Int(_) => value.clone(),
        Value::String(Text::Plain(text)) => Value::text(start_of_text(text, left)),
        Value::String(Text::Pieces(pieces)) => {
            let mut start = Vec::new();
            for piece in pieces.iter() {
                start.push(match piece {
                    Piece::Plain(text) => Piece::Plain(start_of_text(text, left)),
                    other => other.clone(),
                });
                if *left == 0 {
                    break;
                }
            }
            Value::String(Text::Pieces(start.into()))
        }
        Value::List(elements) => {
            let mut start = Vec::new();
            for element in elements.iter() {
                start.push(start_of(element, left));
                if *left == 0 {
                    break;
                }
            }
            Value::list(start)
        }
        Value::Map(map) => {
            let mut start = IndexMap::new();
            for (key, element) in map.iter() {
                start.insert(key.clone(), start_of(element, left));
                if *left == 0 {
                    break;
                }
            }
            Value::Map(start.into())
        }
    }
}

fn start_of_text(text: &SmolStr, left: &mut usize) -> SmolStr {
    match text.char_indices().nth(*left) {
        Some((end, _)) => {
            *left = 0;
            SmolStr::new(part(text, ..end))
        }
        None => {
            *left -= text.chars().count();
            text.clone()
        }
    }
}

fn print(value: &Value, width: usize) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::String(text) => print_pieces(text),
        Value::List(elements) => {
            let elements: Vec<String> = elements
                .iter()
                .map(|element| print(element, width))
                .collect();
            print_elements(&elements, '[', ']', width)
        }
        Value::Map(map) if map.is_empty() => "{}".to_owned(),
        Value::Map(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{} = {}", print_key(key), print(value, width)))
                .collect();
            print_elements(&pairs, '{', '}', width)
        }
    }
}

fn print_elements(elements: &[String], open: char, close: char, width: usize) -> String {
    let pad = if open == '{' { " " } else { "" };
    let line = format!("{open}{pad}{}{pad}{close}", elements.join(", "));
    if line.len() <= width {
        return line;
    }
    let mut out = format!("{open}\n");
    for element in elements {
        let _ = writeln!(out, "    {element},");
    }
    out.push(close);
    out
}

/// Prints a string. A placeholder becomes the call or the name that produces it.
fn print_pieces(text: &Text) -> String {
    if let Some(known) = text.known() {
        return print_text(&known);
    }
    let pieces = text.pieces();
    if let [Piece::Packer(template)] = &pieces[..] {
        return print_text(template);
    }
    if let [piece] = &pieces[..] {
        return print_interpolation(piece);
    }
    let mut out = String::from("\"");
    for piece in pieces.iter() {
        match piece {
            Piece::Plain(text) | Piece::Path(text) | Piece::Packer(text) => {
                out.push_str(&escape(text))
            }
            hole => {
                let _ = write!(out, "${{{}}}", print_interpolation(hole));
            }
        }
    }
    out.push('"');
    out
}

fn print_interpolation(piece: &Piece) -> String {
    match piece {
        Piece::Env(name) => format!("env({})", print_text(name)),
        Piece::Secret { variable, .. } => variable.to_string(),
        Piece::Jinja(template) => format!("jinja({})", print_text(template)),
        Piece::Plain(text) | Piece::Path(text) | Piece::Packer(text) => print_text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::TextBuilder;

    #[test]
    fn what_only_the_build_knows_is_spelt_as_what_gives_it() {
        let mut text = TextBuilder::default();
        text.push_str("a \"");
        text.push_piece(Piece::Env("HOME".into()));
        text.push_piece(Piece::Packer("{{timestamp}}".into()));
        assert_eq!(
            print_value(&Value::String(text.finish())),
            "\"a \\\"${env(\"HOME\")}{{timestamp}}\""
        );
        assert_eq!(
            print_value(&Value::piece(Piece::Env("X".into()))),
            "env(\"X\")"
        );
        assert_eq!(
            print_value(&Value::piece(Piece::Packer("{{timestamp}}".into()))),
            "\"{{timestamp}}\""
        );
        assert_eq!(
            print_value(&Value::piece(Piece::Jinja("{{ x }}".into()))),
            "jinja(\"{{ x }}\")"
        );
    }

    #[test]
    fn long_values_are_wrapped_where_one_asks_for_it() {
        let list = Value::list(vec![
            Value::text("a".repeat(50)),
            Value::text("b".repeat(50)),
        ]);
        assert_eq!(print_value(&list).lines().count(), 1);
        assert_eq!(print_wrapped(&list, 90).lines().count(), 4);
    }

    #[test]
    fn the_start_is_that_of_the_whole() {
        let long = Value::text("é".repeat(100));
        let map = Value::Map(IndexMap::from([("a".into(), long.clone())]).into());
        let mut text = TextBuilder::default();
        text.push_str(&"x".repeat(100));
        text.push(&Text::Pieces(vec![Piece::Env("X".into())].into()));
        let values = [
            Value::Bool(true),
            Value::text("short"),
            long.clone(),
            map.clone(),
            Value::list(vec![long.clone(); 9]),
            Value::list(vec![Value::list(vec![map; 9]), Value::Int(1)]),
            Value::String(text.finish()),
        ];
        for value in values {
            let whole = print_value(&value);
            for most in [1, 8, 60, 2000] {
                let expected = match whole.char_indices().nth(most) {
                    Some((end, _)) => format!("{}…", part(&whole, ..end)),
                    None => whole.clone(),
                };
                assert_eq!(print_start(&value, most), expected);
            }
        }
    }
}
