//! Packer's var file: strings only.

use crate::diagnostic::{Code, Diagnostic};
use crate::emit::slots::carry_all;
use crate::emit::{Emission, OUT_ENV};
use crate::project::hir::*;
use crate::schema::{Base, Encoding, Piece, Receivers, Text, Value, encode};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// A text as Packer reads it. `name` is told the environment names, `path` writes a path.
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
        let is_template = matches!(
            piece,
            Piece::Packer(_) | Piece::Env(_) | Piece::Secret { .. }
        );
        if is_template && out.ends_with('{') {
            // `{{{` would not parse: the brace becomes a template of its own.
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

impl Emission<'_, '_> {
    /// What a layer sets or the target reads, if it has a value.
    pub(super) fn packer_vars(
        &mut self,
        ansible: &BTreeMap<String, serde_json::Value>,
    ) -> BTreeMap<String, String> {
        let program = self.image.program;
        let mut out = BTreeMap::new();
        for id in self.ids() {
            let variable = program.variable(id);
            if !variable.to.has(Receivers::PACKER) {
                continue;
            }
            if Some(id) == self.route.file {
                out.insert(variable.name.to_string(), self.file_argument());
                continue;
            }
            let is_set = !self.image.settings(id).is_empty();
            let is_wanted = self.reach.reads(id) || self.provider().readers.demands(&variable.name);
            if !is_set && !is_wanted {
                continue;
            }
            let carried = self.carried_by(id);
            let Some(value) = self.image.value(carried).cloned() else {
                continue;
            };
            let text = self.packer_string(carried, &value);
            let text = self.through_slots(id, text, ansible);
            out.insert(variable.name.to_string(), text);
        }
        for name in &self.undeclared {
            out.entry(name.to_string()).or_default();
        }
        out
    }

    /// Whose value a name carries: a deprecated one that alone has a slot on this target carries the real one's.
    fn carried_by(&self, id: VarId) -> VarId {
        let real = self.image.program.variable(id).alias_of;
        real.filter(|real| !self.slots_of(id).is_empty() && self.slots_of(*real).is_empty())
            .unwrap_or(id)
    }

    /// The string that Packer gets for a value; what cannot reach it is reported.
    fn packer_string(&mut self, id: VarId, value: &Value) -> String {
        let variable = self.image.program.variable(id);
        let encoded = encode(value, variable.encoding);
        let is_args = matches!(variable.ty.base, Base::Args);
        let has_braces = |piece: &Piece| matches!(piece, Piece::Plain(text) | Piece::Path(text) if text.contains("{{"));
        let is_literal = match &encoded {
            Text::Plain(text) => text.contains("{{"),
            Text::Pieces(pieces) => pieces.iter().any(has_braces),
        };
        if is_literal && !is_args {
            self.report_braces(id);
        }
        let has_nul = encoded
            .pieces()
            .iter()
            .any(|p| matches!(p, Piece::Plain(text) if text.contains('\0')));
        if has_nul {
            let found = Diagnostic::new(
                Code::NotEncodable,
                self.place(id),
                format!(
                    "`{}` holds a NUL character, which no argument of a program can carry",
                    variable.name
                ),
            );
            self.report(found);
        }
        if variable.encoding == Encoding::Base64
            && let Text::Pieces(pieces) = &encoded
            && pieces.len() > 1
            && encoded.is_opaque()
        {
            let found = Diagnostic::new(
                Code::NotEncodable,
                self.place(id),
                format!(
                    "`{}` goes out as base64, which cannot be made of a value that is only known at build time",
                    variable.name
                ),
            );
            self.report(found);
        }
        if let Text::Pieces(pieces) = &encoded
            && pieces.iter().any(|p| matches!(p, Piece::Jinja(_)))
        {
            self.report_braces(id);
        }
        self.render(&encoded)
    }

    fn render(&mut self, text: &Text) -> String {
        let mut names = Vec::new();
        let portable = self.output.portable;
        let used = std::cell::Cell::new(false);
        let out = render_text(
            text,
            &mut |name| names.push(name.clone()),
            &|path| match portable {
                true => {
                    used.set(true);
                    format!("{{{{env `{OUT_ENV}`}}}}/{}", self.relative(path))
                }
                false => path.to_owned(),
            },
        );
        self.environment.extend(names);
        if used.get() {
            self.environment.insert(SmolStr::new_static(OUT_ENV));
        }
        out
    }

    /// The string in the form in which the template's slots carry it.
    fn through_slots(
        &mut self,
        id: VarId,
        text: String,
        ansible: &BTreeMap<String, serde_json::Value>,
    ) -> String {
        let variable = self.image.program.variable(id);
        let is_opaque = self.image.value(id).is_some_and(Value::has_holes);
        let slots = self.slots_of(id);
        if slots.is_empty()
            || is_opaque
            || self.is_of_checkout(id)
            || self.is_made_for_slots(id, &text)
        {
            return text;
        }
        let only_slots = !self.reach.reads_beyond_slots(id);
        let reason = match carry_all(&text, &slots, only_slots) {
            Ok(carried) => return carried,
            Err(reason) => reason,
        };
        // The file brings the value; the slots must only do no harm.
        if only_slots
            && slots
                .iter()
                .all(|slot| ansible.contains_key(slot.name.as_str()))
        {
            return String::new();
        }
        let found = Diagnostic::new(
            Code::SlotCannotCarry,
            self.place(id),
            format!(
                "the template cannot carry this value of `{}` to Ansible: {reason}",
                variable.name
            ),
        )
        .help(match &self.route.obstacle {
            Some((other, template)) => format!(
                "the extra-vars file cannot be used either, because `{}` holds `{template}`",
                self.image.program.variable(*other).name
            ),
            None => "change the value".to_owned(),
        });
        self.report(found);
        text
    }
}
