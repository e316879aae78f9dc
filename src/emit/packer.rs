//! Packer's var file: strings only.

use crate::emit::plan::{PackerForm, Plan, Row};
use crate::emit::{Delivery, Environment, OUT_ENV, Output, Strings};
use crate::schema::{Piece, Text, encode};
use smol_str::SmolStr;

/// Renders the var file: name to string.
pub(super) fn render(
    delivery: &Delivery<'_, '_>,
    plan: &Plan<'_>,
    output: &Output,
    environment: &mut Environment,
) -> Strings {
    let program = delivery.image.program;
    let mut texts: Vec<(u32, &SmolStr, SmolStr)> = Vec::with_capacity(plan.rows.len());
    for row in &plan.rows {
        if let Some(text) = text(delivery, row, output, environment) {
            let name = &program.variable(row.variable).name;
            texts.push((program.rank(row.variable), name, text));
        }
    }
    texts.sort_unstable_by_key(|(rank, _, _)| *rank);
    let named = texts
        .into_iter()
        .map(|(_, name, text)| (name.clone(), text));
    let mut out: Strings = named.collect();
    if !plan.undeclared.is_empty() {
        for name in &plan.undeclared {
            out.entry(name.clone()).or_default();
        }
        out.sort_unstable_keys();
    }
    out
}

/// What the var file has for a variable.
pub(super) fn text(
    delivery: &Delivery<'_, '_>,
    row: &Row,
    output: &Output,
    environment: &mut Environment,
) -> Option<SmolStr> {
    let image = delivery.image;
    Some(match row.packer.as_ref()? {
        PackerForm::FileArgument => file_argument(image.name(), output, environment).into(),
        PackerForm::String(id) => {
            let encoded = encode(image.value(*id)?, image.program.variable(*id).encoding);
            string(&encoded, output, environment)
        }
        PackerForm::Wrapped(text) => text.into(),
        PackerForm::Empty => SmolStr::default(),
    })
}

/// The argument that names the extra-vars file, as Packer reads it.
pub(super) fn file_argument(image: &str, output: &Output, environment: &mut Environment) -> String {
    if output.portable {
        environment.insert(SmolStr::new_static(OUT_ENV));
        format!("@{{{{env `{OUT_ENV}`}}}}/{image}/ansible.vars.json")
    } else {
        let path = output.dir.join(image).join("ansible.vars.json");
        format!("@{}", path.display())
    }
}

/// A string as Packer reads it in this output.
pub(super) fn string(text: &Text, output: &Output, environment: &mut Environment) -> SmolStr {
    if let Text::Plain(text) = text {
        return text.clone();
    }
    let mut names: Vec<SmolStr> = Vec::new();
    let uses_out = std::cell::Cell::new(false);
    let out = render_text(text, &mut |name| names.push(name.clone()), &|path| {
        if output.portable {
            uses_out.set(true);
            format!("{{{{env `{OUT_ENV}`}}}}/{}", output.relative(path))
        } else {
            path.to_owned()
        }
    });
    environment.extend(names);
    if uses_out.get() {
        environment.insert(SmolStr::new_static(OUT_ENV));
    }
    out.into()
}

/// A string as Packer reads it. `name` gets each name of an environment variable; `path` writes a path.
pub(super) fn render_text(
    text: &Text,
    name: &mut impl FnMut(&SmolStr),
    path: &impl Fn(&str) -> String,
) -> String {
    let pieces = match text {
        Text::Plain(text) => return text.to_string(),
        Text::Pieces(pieces) => pieces,
    };
    let mut out = String::new();
    for piece in pieces.iter() {
        let is_expression = matches!(
            piece,
            Piece::Packer(_) | Piece::Env(_) | Piece::Secret { .. }
        );
        if is_expression && out.ends_with('{') {
            // Packer cannot parse `{{{`, so the brace becomes an expression.
            out.pop();
            out.push_str("{{`{`}}");
        }
        match piece {
            Piece::Plain(text) | Piece::Packer(text) | Piece::Jinja(text) => out.push_str(text),
            Piece::Path(text) => out.push_str(&path(text)),
            Piece::Env(env) => {
                name(env);
                out.push_str(&format!("{{{{env `{env}`}}}}"));
            }
            Piece::Secret { variable, .. } => out.push_str(&format!("{{{{user `{variable}`}}}}")),
        }
    }
    out
}
