//! What the page says about an item, in rows: the same for each form of the page.

use crate::reference::model::*;
use crate::reference::words::{about_encoding, receiver};
use crate::schema::Encoding;

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inline {
    /// Words, with code in backquotes.
    Text(String),
    /// Where variables have an effect.
    Where(String),
    /// A part of a spec.
    Code(String),
    /// The name of an item, as a link to it.
    To(Link),
    /// A link to the table of an effect.
    Effect(usize),
}

/// A row: what it is about, and its lines.
pub(super) type Row = (&'static str, Vec<Vec<Inline>>);

fn text(text: impl Into<String>) -> Inline {
    Inline::Text(text.into())
}

fn links(kind: Kind, names: &[String]) -> Vec<Inline> {
    let mut out = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(text(", "));
        }
        out.push(Inline::To(Link {
            kind,
            name: name.clone(),
        }));
    }
    out
}

/// Adds a row of links, unless there are none.
fn push_links(rows: &mut Vec<Row>, label: &'static str, kind: Kind, names: &[String]) {
    if !names.is_empty() {
        rows.push((label, vec![links(kind, names)]));
    }
}

/// Returns the rows of a variable.
pub(super) fn of_variable(reference: &Reference, variable: &Variable) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut one = |label, line| rows.push((label, vec![line]));
    if let Some(instead) = &variable.removed {
        one("Removed", vec![text(instead.clone())]);
    }
    if let Some(real) = &variable.alias_of {
        one(
            "Deprecated name of",
            links(Kind::Variable, std::slice::from_ref(real)),
        );
    }
    if variable.removed.is_none() {
        let mut line = vec![Inline::Code(variable.ty.clone())];
        let named = reference
            .types
            .iter()
            .filter(|ty| ty.used_by.contains(&variable.name));
        for ty in named {
            line.push(text(", see "));
            line.extend(links(Kind::Type, std::slice::from_ref(&ty.name)));
        }
        one("Type", line);
    }
    if variable.removed.is_none() && variable.alias_of.is_none() {
        one(
            "Default",
            match (&variable.default, variable.is_optional) {
                (Some(default), _) => vec![Inline::Code(default.clone())],
                (None, true) => vec![text("unset")],
                (None, false) if variable.is_fact => vec![text("none")],
                (None, false) => vec![text("none: a target that reads it requires a value")],
            },
        );
    }
    if let Some(unit) = &variable.unit {
        one("Unit", vec![text(unit.clone())]);
    }
    let is_removed = variable.removed.is_some();
    if !variable.receivers.is_empty() && !is_removed {
        let names: Vec<&str> = variable
            .receivers
            .iter()
            .map(|name| receiver(name))
            .collect();
        one("Receivers", vec![text(names.join(", "))]);
    }
    if let Some(encoding) = variable.encoding.as_ref().filter(|_| !is_removed) {
        let about = Encoding::parse(encoding).map_or("", about_encoding);
        one(
            "In Packer",
            vec![
                Inline::Code(encoding.clone()),
                text(format!(": {}", uncapitalized(about))),
            ],
        );
    }
    if let Some(applies) = &variable.applies {
        one("Applies if", vec![Inline::Code(applies.clone())]);
    }
    if let Some((at, effect)) = variable
        .effect
        .and_then(|at| Some((at, reference.effects.get(at)?)))
    {
        let is_whole = matches!(
            effect.summary.as_str(),
            "all targets" | "no target" | "no image sees it"
        );
        let mut line = vec![Inline::Where(effect.summary.clone())];
        if !is_whole {
            line.extend([text(" ("), Inline::Effect(at), text(")")]);
        }
        one("Effect", line);
    }
    let mut set_by: Vec<Vec<Inline>> = Vec::new();
    for by in &variable.set_by {
        let mut line = vec![Inline::Code(by.value.clone()), text(" in ")];
        for (at, link) in by.by.iter().enumerate() {
            if at > 0 {
                line.push(text(", "));
            }
            line.push(Inline::To(link.clone()));
        }
        if by.more > 0 {
            line.push(text(format!(" and {} more", by.more)));
        }
        set_by.push(line);
    }
    if variable.more_values > 0 {
        set_by.push(vec![text(format!(
            "and {} other values",
            variable.more_values
        ))]);
    }
    if !set_by.is_empty() {
        rows.push(("Set to", set_by));
    }
    push_links(
        &mut rows,
        "Derived from",
        Kind::Variable,
        &variable.derived_from,
    );
    push_links(&mut rows, "Determines", Kind::Variable, &variable.gives);
    push_links(&mut rows, "Rules", Kind::Rule, &variable.rules);
    push_links(&mut rows, "Probes", Kind::Probe, &variable.probes);
    push_links(
        &mut rows,
        "Deprecated names",
        Kind::Variable,
        &variable.aliases,
    );
    rows.push(("Declared in", vec![vec![text(variable.place.clone())]]));
    rows
}

fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn codes(names: &[String]) -> Vec<Inline> {
    let mut out = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(text(", "));
        }
        out.push(Inline::Code(name.clone()));
    }
    out
}

/// Returns the rows of a target.
pub(super) fn of_target(target: &Target) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut one = |label, line: Vec<Inline>| rows.push((label, vec![line]));
    one(
        "Build it",
        vec![Inline::Code(format!("imgspec build {}", target.name))],
    );
    if let Some(make) = &target.make {
        one("In the Makefile", vec![Inline::Code(make.clone())]);
    }
    let mut line = Vec::new();
    for (at, link) in target.stack.iter().enumerate() {
        if at > 0 {
            line.push(text(" → "));
        }
        line.push(Inline::To(link.clone()));
    }
    if !line.is_empty() {
        one("Layers, weakest first", line);
    }
    if !target.needs.is_empty() {
        one("Needs values for", links(Kind::Variable, &target.needs));
    }
    if !target.tools.is_empty() {
        one("Programs", codes(&target.tools));
    }
    let mut facts = Vec::new();
    for (at, (name, value)) in target.facts.iter().enumerate() {
        if at > 0 {
            facts.push(text(", "));
        }
        facts.push(Inline::To(Link {
            kind: Kind::Variable,
            name: name.clone(),
        }));
        facts.push(text(" is "));
        facts.push(Inline::Code(value.clone()));
    }
    if !facts.is_empty() {
        one("Facts", facts);
    }
    one("Declared in", vec![text(target.place.clone())]);
    rows
}

/// Returns the rows of a layer.
pub(super) fn of_layer(layer: &Layer) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut extends = Vec::new();
    for (at, link) in layer.extends.iter().enumerate() {
        if at > 0 {
            extends.push(text(", "));
        }
        extends.push(Inline::To(link.clone()));
    }
    if !extends.is_empty() {
        rows.push(("Extends", vec![extends]));
    }
    push_links(&mut rows, "Used by", Kind::Target, &layer.used_by);
    rows.push(("Declared in", vec![vec![text(layer.place.clone())]]));
    rows
}

/// Returns the rows of a provider.
pub(super) fn of_provider(provider: &Provider) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut one = |label, line: Vec<Inline>| rows.push((label, vec![line]));
    one("Targets", vec![text(provider.targets.to_string())]);
    one("Template", vec![Inline::Code(provider.template.clone())]);
    let roles = match provider.roles {
        "native" => "imgspec's own roles",
        _ => "Image Builder's roles",
    };
    let name = receiver(provider.playbook);
    one("Ansible", vec![text(format!("{name}, with {roles}"))]);
    if !provider.tools.is_empty() {
        one("Programs", codes(&provider.tools));
    }
    if let Some(artifact) = &provider.artifact {
        one("Result", vec![Inline::Code(artifact.clone())]);
    }
    one("Declared in", vec![text(provider.place.clone())]);
    rows
}

/// Returns the rows of a rule.
pub(super) fn of_rule(rule: &Rule) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut one = |label, line: Vec<Inline>| rows.push((label, vec![line]));
    let kind = if rule.is_deny {
        "Error if"
    } else {
        "Warning if"
    };
    one(kind, vec![Inline::Code(rule.condition.clone())]);
    one("Message", vec![Inline::Code(rule.message.clone())]);
    if let Some(help) = &rule.help {
        one("Help", vec![Inline::Code(help.clone())]);
    }
    push_links(&mut rows, "Reads", Kind::Variable, &rule.reads);
    rows.push(("Declared in", vec![vec![text(rule.place.clone())]]));
    rows
}

/// Returns the rows of a probe.
pub(super) fn of_probe(probe: &Probe) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut one = |label, line: Vec<Inline>| rows.push((label, vec![line]));
    if let Some(applies) = &probe.applies {
        one("Applies if", vec![Inline::Code(applies.clone())]);
    }
    if let Some(script) = &probe.script {
        one("Runs", vec![Inline::Code(script.clone())]);
    }
    if let Some(words) = &probe.words {
        let label = if probe.script.is_some() {
            "With"
        } else {
            "Runs"
        };
        one(label, vec![Inline::Code(words.clone())]);
    }
    if let Some(files) = &probe.files {
        one("Files", vec![Inline::Code(files.clone())]);
    }
    if !probe.tools.is_empty() {
        one("Programs", codes(&probe.tools));
    }
    if let Some(output) = &probe.output {
        one("Output", vec![Inline::Code(output.clone())]);
    }
    if probe.boots {
        one("Needs", vec![text("the booted system".to_owned())]);
    }
    push_links(&mut rows, "Reads", Kind::Variable, &probe.reads);
    rows.push(("Declared in", vec![vec![text(probe.place.clone())]]));
    rows
}

/// Returns the rows of a type.
pub(super) fn of_type(ty: &NamedType) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    if let Some(pattern) = &ty.pattern {
        rows.push(("Pattern", vec![vec![Inline::Code(pattern.clone())]]));
    }
    if !ty.choices.is_empty() {
        rows.push(("Values", vec![codes(&ty.choices)]));
    }
    push_links(&mut rows, "Used by", Kind::Variable, &ty.used_by);
    rows.push(("Declared in", vec![vec![text(ty.place.clone())]]));
    rows
}

/// Returns the words beside a variable's name.
pub(super) fn badges(variable: &Variable) -> Vec<&'static str> {
    let is_current = variable.removed.is_none() && variable.alias_of.is_none();
    let all = [
        (variable.is_fact, "fact"),
        (variable.is_secret, "secret"),
        (variable.alias_of.is_some(), "deprecated"),
        (variable.removed.is_some(), "removed"),
        (
            is_current && variable.default.is_none() && variable.is_optional,
            "optional",
        ),
    ];
    all.into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, word)| word)
        .collect()
}

/// Returns a setting as a spec writes it.
pub(super) fn setting(setting: &Setting) -> String {
    match setting.change {
        "unset" => format!("unset {}", setting.name),
        change => format!("{} {change} {}", setting.name, setting.value),
    }
}
