//! Signature help: the call around the cursor.

use crate::lsp::completion::call;
use crate::lsp::marked::{Marked, Parsed};
use crate::project::hir::Function;
use crate::source::part;
use lsp_types::{
    Documentation, ParameterInformation, ParameterLabel, SignatureHelp, SignatureInformation,
};

/// The innermost call of a function around an offset of a text.
pub(super) fn signature(
    spec: &Parsed<'_>,
    offset: usize,
    has_label_offsets: bool,
) -> Option<SignatureHelp> {
    let (function, argument) = call_at(spec, offset)?;
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

/// The parameters of a signature, as ranges of its label or as text. A signature is ASCII, so bytes are UTF-16 units.
fn parameters(label: &str, as_offsets: bool) -> Vec<ParameterInformation> {
    let open = label.find('(').map_or(0, |at| at + 1);
    let inside = part(label, open..).trim_end_matches(')');
    let mut at = open as u32;
    let mut out = Vec::new();
    for name in inside.split(", ") {
        let end = at + name.len() as u32;
        let label = if as_offsets {
            ParameterLabel::LabelOffsets([at, end])
        } else {
            ParameterLabel::Simple(name.to_owned())
        };
        out.push(ParameterInformation {
            label,
            documentation: None,
        });
        at = end + 2;
    }
    out
}

/// The function of that call, and the number of its arguments before the cursor.
pub(super) fn call_at(spec: &Parsed<'_>, offset: usize) -> Option<(Function, usize)> {
    let marked = Marked::new(spec, offset);
    (0..marked.depth())
        .rev()
        .find_map(|level| call(&marked, level))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse_tree;

    #[test]
    fn the_cursor_is_in_the_innermost_open_call() {
        let cases = [
            ("x = join(|", Some(("join", 0))),
            ("x = join(xs, |", Some(("join", 1))),
            ("x = join(xs, |)", Some(("join", 1))),
            ("x = join(xs,\n  |\n)", Some(("join", 1))),
            ("x = join(\n  xs # a, b\n  |\n)", Some(("join", 1))),
            ("x = join(split(a, \",\"), |", Some(("join", 1))),
            ("x = join(split(a, |\",\"), b)", Some(("split", 1))),
            ("x = \"${replace(lower(a), \"x\", |", Some(("replace", 2))),
            ("x = join([a, b, |", Some(("join", 0))),
            ("x = join([a, b], \", |", Some(("join", 1))),
            ("x = join(xs, \",\")|", None),
            ("x = join(\"a\", \"b, |", Some(("join", 1))),
            ("x = \"${join(\"a\", \"b, |", Some(("join", 1))),
            ("x = join(\n  [\"a\"], # (\n  ', (|", Some(("join", 1))),
            ("x = <<TEXT\n  join(a, |\n  TEXT", None),
            ("x = <<TEXT\n  ${join(a, |\n  TEXT", Some(("join", 1))),
            ("x = <<'TEXT'\n  ${join(a, |\n  TEXT", None),
            ("x = 'join(a, |'", None),
            ("x = nothing(|", None),
            ("x = lower(nothing(|", Some(("lower", 0))),
            ("x = (lower(a)|", None),
            ("x = join(\n}\nimage b {\n  x = [|", None),
        ];
        for (written, expected) in cases {
            let written = format!("image a {{\n{written}");
            let offset = written.find('|').unwrap();
            let text = written.replacen('|', "", 1);
            let tree = parse_tree(&text);
            let spec = Parsed {
                text: &text,
                tree: &tree,
            };
            assert_eq!(
                call_at(&spec, offset).map(|(f, n)| (f.as_str(), n)),
                expected,
                "{written}"
            );
        }
    }

    #[test]
    fn parameters_are_ranges_of_the_label() {
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
