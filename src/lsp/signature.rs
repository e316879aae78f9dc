//! Signature help: the call around the cursor. It is read off the text before the cursor, so that a half-typed call is
//! no obstacle.

use crate::lsp::cursor::item_start;
use crate::project::hir::Function;
use crate::source::part;
use lsp_types::{
    Documentation, ParameterInformation, ParameterLabel, SignatureHelp, SignatureInformation,
};

/// The innermost call of a function that is open at the end of a text.
pub fn signature(before: &str, has_label_offsets: bool) -> Option<SignatureHelp> {
    let (function, argument) = open_call(before)?;
    let label = function.signature();
    let parameters = parameters(label, has_label_offsets);
    Some(SignatureHelp {
        signatures: vec![SignatureInformation {
            label: label.to_owned(),
            documentation: Some(Documentation::String(function.doc().to_owned())),
            parameters: Some(parameters),
            active_parameter: None,
        }],
        active_signature: Some(0),
        active_parameter: Some(argument.min(function.arguments().saturating_sub(1)) as u32),
    })
}

/// The parameters of a signature, by their places in it or as they stand there. It is of ASCII, so that bytes are
/// UTF-16 units.
fn parameters(label: &str, as_offsets: bool) -> Vec<ParameterInformation> {
    let open = label.find('(').map_or(0, |at| at + 1);
    let inside = part(label, open..).trim_end_matches(')');
    let mut at = open as u32;
    let mut out = Vec::new();
    for name in inside.split(", ") {
        let end = at + name.len() as u32;
        let label = match as_offsets {
            true => ParameterLabel::LabelOffsets([at, end]),
            false => ParameterLabel::Simple(name.to_owned()),
        };
        out.push(ParameterInformation {
            label,
            documentation: None,
        });
        at = end + 2;
    }
    out
}

/// What is open at a place.
enum Open {
    Text,
    Hole,
    /// A bracket, with the function in front and the commas since.
    Bracket(Option<Function>, usize),
}

/// The innermost function whose `(` is open at the end of a text, and how many commas stand behind it.
fn open_call(before: &str) -> Option<(Function, usize)> {
    let mut stack: Vec<Open> = Vec::new();
    let text = part(before, item_start(before)..);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let is_in_text = matches!(stack.last(), Some(Open::Text));
        match c {
            '\n' => {
                // A string ends with its line, and what is open in it.
                let first = stack.iter().position(|open| matches!(open, Open::Text));
                stack.truncate(first.unwrap_or(stack.len()));
            }
            '"' if is_in_text => drop(stack.pop()),
            '\\' if is_in_text => drop(chars.next()),
            '$' if is_in_text && part(text, at..).starts_with("${") => {
                chars.next();
                stack.push(Open::Hole);
            }
            _ if is_in_text => {}
            '"' => stack.push(Open::Text),
            '\'' => drop(chars.by_ref().find(|(_, c)| *c == '\'' || *c == '\n')),
            '#' => drop(chars.by_ref().find(|(_, c)| *c == '\n')),
            '(' => {
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let word = part(text, ..at).trim_end_matches(is_word).len();
                stack.push(Open::Bracket(Function::parse(part(text, word..at)), 0));
            }
            '[' | '{' => stack.push(Open::Bracket(None, 0)),
            ')' | ']' | '}' => drop(stack.pop()),
            ',' => {
                if let Some(Open::Bracket(_, commas)) = stack.last_mut() {
                    *commas += 1;
                }
            }
            _ => {}
        }
    }
    stack.into_iter().rev().find_map(|open| match open {
        Open::Bracket(function, commas) => function.map(|function| (function, commas)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_call_around_the_end() {
        let cases = [
            ("x = join(", Some(("join", 0))),
            ("x = join(xs, ", Some(("join", 1))),
            ("x = join(split(a, \",\"), ", Some(("join", 1))),
            ("x = \"${replace(lower(a), \"x\", ", Some(("replace", 2))),
            ("x = join([a, b, ", Some(("join", 0))),
            ("x = join([a, b], \", ", Some(("join", 1))),
            ("x = join(xs, \",\")", None),
            ("x = join(\"a\", \"b, ", Some(("join", 1))),
            ("x = \"${join(\"a\", \"b, ", Some(("join", 1))),
            ("x = join(\n  [\"a\"], # (\n  ', (", Some(("join", 1))),
            ("x = nothing(", None),
            ("x = (lower(a)", None),
            ("image a {\n  x = join(\nimage b {\n  x = [", None),
            ("x = ü(join(\"ü, ü\", ", Some(("join", 1))),
        ];
        for (text, expected) in cases {
            assert_eq!(
                open_call(text).map(|(f, n)| (f.as_str(), n)),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn parameters_are_where_the_signature_has_them() {
        for function in Function::ALL {
            let label = function.signature();
            let found = parameters(label, true);
            assert_eq!(found.len(), function.arguments(), "{label}");
            for parameter in found {
                let ParameterLabel::LabelOffsets([from, to]) = parameter.label else {
                    panic!()
                };
                let written = label.get(from as usize..to as usize);
                assert!(written.is_some_and(|w| !w.contains([',', '('])), "{label}");
            }
        }
    }
}
