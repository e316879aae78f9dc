//! The settings of a variable as they can be shown: strongest first, with masks for secrets.

use crate::emit::ansible::show_value_with;
use crate::emit::{MASK, is_literal_secret, shows_secret};
use crate::eval::Image;
use crate::project::hir::*;
use crate::project::{Program, place_in_checkout};
use crate::schema::{Value, print_value};
use crate::source::Span;
use crate::syntax::print_text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use smol_str::SmolStr;
use std::sync::Arc;

/// True if the image has the variable. Undeclared entries of blocks belong only to images that set them.
pub fn belongs(image: &Image<'_>, id: VarId) -> bool {
    let variable = image.program.variable(id);
    match variable.kind {
        VariableKind::Declared | VariableKind::Alias(_) => true,
        VariableKind::Removed(_) => false,
        VariableKind::Extra(_) => image.value(id).is_some(),
    }
}

/// A value to print, or a mark that it is secret.
#[derive(Debug, Clone)]
pub enum Shown {
    /// The value. Secrets inside it are masked.
    Value(Value),
    /// A value that nobody may see.
    Secret,
    /// No value.
    Unset,
}

impl Shown {
    /// The value of the setting or default at `span`.
    fn at(program: &Program, id: VarId, value: Option<Value>, span: Span) -> Shown {
        match value {
            Some(value)
                if shows_secret(program, id, &value, span) || program.sources.has_hidden(span) =>
            {
                Shown::Secret
            }
            value => value.map_or(Shown::Unset, |value| {
                Shown::Value(without_secrets(program, &value))
            }),
        }
    }

    /// The effective value of a variable.
    pub fn of(image: &Image<'_>, id: VarId) -> Shown {
        match image.value(id) {
            Some(_) if hides(image, id) => Shown::Secret,
            value => value.map_or(Shown::Unset, |value| {
                Shown::Value(without_secrets(image.program, value))
            }),
        }
    }

    /// The value as JSON: what is only known at build time in Packer's spelling, a secret as a mask, null if it is unset.
    pub fn json(&self) -> Json {
        self.json_with(&str::to_owned)
    }

    /// The same, with each path as `path` writes it.
    pub(super) fn json_with(&self, path: &impl Fn(&str) -> String) -> Json {
        match self {
            Shown::Value(value) => show_value_with(value, path),
            Shown::Secret => json!(MASK),
            Shown::Unset => Json::Null,
        }
    }

    /// The value as a spec writes it, on one line.
    pub fn written(&self) -> String {
        match self {
            Shown::Value(value) => print_value(value),
            Shown::Secret => print_text(MASK),
            Shown::Unset => "unset".to_owned(),
        }
    }
}

/// Masks the values that a map has under the names of secrets.
pub fn without_secrets(program: &Program, value: &Value) -> Value {
    let is_secret = |name: &str| {
        program
            .variables
            .iter()
            .any(|v| v.is_secret && v.name == name)
    };
    match value {
        Value::List(elements) => Value::list(
            elements
                .iter()
                .map(|e| without_secrets(program, e))
                .collect(),
        ),
        Value::Map(map) => {
            let shown = |(key, value): (&SmolStr, &Value)| {
                let is_shown = !is_secret(key) || value.is_empty() || value.has_placeholders();
                let value = if is_shown {
                    without_secrets(program, value)
                } else {
                    Value::text(MASK)
                };
                (key.clone(), value)
            };
            Value::Map(Arc::new(map.iter().map(shown).collect()))
        }
        other => other.clone(),
    }
}

/// True if a value is a secret, or may contain one because its line has syntax errors.
pub fn hides(image: &Image<'_>, id: VarId) -> bool {
    let default = || {
        image
            .program
            .variable(id)
            .default
            .as_ref()
            .map(|default| default.span)
    };
    let place = image
        .winner(id)
        .map(|active| active.setting.span)
        .or_else(default);
    is_literal_secret(image, id) || place.is_some_and(|span| image.program.sources.has_hidden(span))
}

/// What a setting does to the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// It is the value, or what stronger settings change.
    Sets,
    /// It appends elements to a list.
    Adds,
    /// It removes elements from a list.
    Takes,
    /// A stronger setting replaces it.
    Over,
    /// It drops weaker settings.
    Unsets,
    /// An `unset` has dropped it.
    Dropped,
}

impl Act {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Act::Sets => "sets",
            Act::Adds => "adds",
            Act::Takes => "takes",
            Act::Over => "over",
            Act::Unsets => "unsets",
            Act::Dropped => "dropped",
        }
    }
}

/// A setting of a variable, or its default.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// The layer, or `default`.
    pub layer: String,
    /// The place of the setting.
    pub span: Span,
    /// What the setting does.
    pub act: Act,
    /// The value of this setting alone.
    pub value: Shown,
    /// False for an `unset` and for what it drops.
    pub takes_part: bool,
    /// The condition of the surrounding `when`.
    pub condition: Option<Span>,
}

/// Returns the settings of a variable, strongest first, then its declared default.
pub fn history(image: &Image<'_>, id: VarId) -> Vec<HistoryEntry> {
    let program = image.program;
    let settings = image.settings_and_dropped(id);
    let (_, has_default) = image.effective_settings(id);
    let mut out = Vec::with_capacity(settings.len() + 1);
    for (active, takes_part) in settings.into_iter().rev() {
        let value = image.setting_value(active.setting);
        out.push(HistoryEntry {
            layer: image.layer_name(active.layer),
            span: place_in_checkout(program, active.setting.name_span),
            act: act(active.setting.change, takes_part),
            value: Shown::at(program, id, value, active.setting.span),
            takes_part,
            condition: image.condition(active),
        });
    }
    let variable = program.variable(id);
    if let Some(default) = &variable.default {
        let value = image.default_value(id);
        out.push(HistoryEntry {
            layer: "default".to_owned(),
            span: place_in_checkout(program, variable.span),
            act: act(Change::Replace, has_default),
            value: Shown::at(program, id, value, default.span),
            takes_part: has_default,
            condition: None,
        });
    }
    // What is weaker than the strongest `=` does not matter; what is stronger changes its value.
    let base = out.iter().position(|entry| entry.act == Act::Sets);
    let weaker = base.map_or(out.len(), |base| base + 1);
    for entry in out.iter_mut().skip(weaker).filter(|e| e.takes_part) {
        entry.act = Act::Over;
    }
    out
}

/// What a setting does where no other one replaces it.
fn act(change: Change, takes_part: bool) -> Act {
    match change {
        Change::Unset => Act::Unsets,
        _ if !takes_part => Act::Dropped,
        Change::Append => Act::Adds,
        Change::Remove => Act::Takes,
        Change::Replace => Act::Sets,
    }
}
