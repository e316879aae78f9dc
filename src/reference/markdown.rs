//! The reference as Markdown.

use crate::reference::model::*;
use crate::reference::rows::{self, Inline, Row};
use crate::reference::words::{self, Piece, paragraphs, pieces};
use std::fmt::Write;

/// Renders the reference as Markdown. The headings have the fragments of the HTML page, as far as their names allow it.
pub fn render_markdown(reference: &Reference) -> String {
    let mut out = String::new();
    let _ = write!(out, "# Reference: {}\n\n", escape(&reference.subject));
    let sections = sections(reference);
    for (title, count, _) in &sections {
        let fragment = title.to_lowercase();
        let _ = writeln!(out, "- [{title}](#{fragment}) ({count})");
    }
    for (title, _, render) in sections {
        let _ = write!(out, "\n## {title}\n\n");
        render(reference, &mut out);
        trim(&mut out);
    }
    out
}

type Render = fn(&Reference, &mut String);

/// The sections that are not empty: title, number of items, content.
fn sections(reference: &Reference) -> Vec<(&'static str, usize, Render)> {
    let variables = reference
        .groups
        .iter()
        .map(|group| group.variables.len())
        .sum();
    let targets = reference
        .targets
        .iter()
        .map(|group| group.targets.len())
        .sum();
    let all: [(&'static str, usize, Render); 8] = [
        ("Variables", variables, push_variables),
        ("Targets", targets, push_targets),
        ("Layers", reference.layers.len(), push_layers),
        ("Providers", reference.providers.len(), push_providers),
        ("Rules", reference.rules.len(), push_rules),
        ("Probes", reference.probes.len(), push_probes),
        ("Types", reference.types.len(), push_types),
        ("Effects", reference.effects.len(), push_effects),
    ];
    all.into_iter().filter(|(_, count, _)| *count > 0).collect()
}

fn trim(out: &mut String) {
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
}

fn push_variables(reference: &Reference, out: &mut String) {
    for group in &reference.groups {
        let _ = write!(out, "### Variables: {}\n\n", escape(&group.name));
        if let Some(about) = &group.about {
            let _ = write!(out, "{}\n\n", doc_line(about));
        }
        for variable in &group.variables {
            let _ = write!(out, "#### {}\n\n", variable.name);
            push_doc(variable.doc.as_deref(), out);
            let badges = rows::badges(variable);
            if !badges.is_empty() {
                let _ = write!(out, "*{}*\n\n", badges.join(", "));
            }
            push_rows(rows::of_variable(reference, variable), out);
            if let Some(example) = &variable.example {
                push_block(example, out);
            }
        }
    }
}

fn push_targets(reference: &Reference, out: &mut String) {
    for group in &reference.targets {
        let _ = write!(out, "### Targets of {}\n\n", escape(&group.provider));
        for target in &group.targets {
            let link = Link {
                kind: Kind::Target,
                name: target.name.clone(),
            };
            let fragment = link.fragment();
            let anchor = if fragment == target.name {
                String::new()
            } else {
                format!("<a id=\"{fragment}\"></a>")
            };
            let _ = write!(out, "#### {anchor}{}\n\n", target.name);
            push_doc(target.doc.as_deref(), out);
            push_rows(rows::of_target(target), out);
            for settings in &target.settings {
                let _ = write!(out, "What `{}` sets:\n\n", settings.of);
                push_settings(&settings.settings, out);
            }
        }
    }
}

fn push_layers(reference: &Reference, out: &mut String) {
    for layer in &reference.layers {
        let _ = write!(out, "### Layer {}\n\n", layer.name);
        push_doc(layer.doc.as_deref(), out);
        push_rows(rows::of_layer(layer), out);
        push_settings(&layer.settings, out);
    }
}

fn push_providers(reference: &Reference, out: &mut String) {
    for provider in &reference.providers {
        let _ = write!(out, "### Provider {}\n\n", provider.name);
        push_doc(provider.doc.as_deref(), out);
        push_rows(rows::of_provider(provider), out);
        push_settings(&provider.defaults, out);
    }
}

fn push_rules(reference: &Reference, out: &mut String) {
    for rule in &reference.rules {
        let _ = write!(out, "### Rule {}\n\n", rule.name);
        push_doc(rule.doc.as_deref(), out);
        push_rows(rows::of_rule(rule), out);
    }
}

fn push_probes(reference: &Reference, out: &mut String) {
    for probe in &reference.probes {
        let _ = write!(out, "### Probe {}\n\n", probe.name);
        push_doc(probe.doc.as_deref(), out);
        push_rows(rows::of_probe(probe), out);
    }
}

fn push_types(reference: &Reference, out: &mut String) {
    for (name, about) in words::TYPES {
        let _ = writeln!(out, "- `{name}`: {}", doc_line(about));
    }
    out.push('\n');
    for ty in &reference.types {
        let _ = write!(out, "### Type {}\n\n", ty.name);
        push_doc(ty.doc.as_deref(), out);
        push_rows(rows::of_type(ty), out);
    }
}

fn push_effects(reference: &Reference, out: &mut String) {
    let _ = write!(out, "{}\n\n", escape(words::ABOUT_EFFECTS));
    for (at, effect) in reference.effects.iter().enumerate() {
        let _ = write!(out, "### Effect {}\n\n", at + 1);
        let _ = write!(out, "{}\n\n", doc_line(&effect.summary));
        if effect.rows.is_empty() {
            continue;
        }
        let head: Vec<String> = reference.columns.iter().map(|c| escape(c)).collect();
        let _ = writeln!(out, "| provider | {} |", head.join(" | "));
        let _ = writeln!(out, "| --- |{}", " --- |".repeat(head.len()));
        for row in &effect.rows {
            let cells: Vec<String> = row.cells.iter().map(Cell::in_words).collect();
            let _ = writeln!(out, "| `{}` | {} |", row.provider, cells.join(" | "));
        }
        out.push('\n');
        for row in effect.rows.iter().filter(|row| !row.names.is_empty()) {
            let names: Vec<String> = row.names.iter().map(|name| code(name)).collect();
            let _ = write!(
                out,
                "{} of {}: {}.\n\n",
                if row.is_exception {
                    "All but these"
                } else {
                    "Only these"
                },
                code(&row.provider),
                names.join(", ")
            );
        }
        if !effect.without.is_empty() {
            let _ = write!(out, "{}\n\n", doc_line(&words::without(&effect.without)));
        }
    }
}

fn push_doc(doc: Option<&str>, out: &mut String) {
    for paragraph in doc.map(paragraphs).unwrap_or_default() {
        let _ = write!(out, "{}\n\n", doc_line(&paragraph));
    }
}

fn push_rows(rows: Vec<Row>, out: &mut String) {
    for (label, lines) in rows {
        match lines.as_slice() {
            [line] => {
                let _ = writeln!(out, "- {label}: {}", inline(line));
            }
            lines => {
                let _ = writeln!(out, "- {label}:");
                for line in lines {
                    let _ = writeln!(out, "  - {}", inline(line));
                }
            }
        }
    }
    out.push('\n');
}

fn push_settings(settings: &[Setting], out: &mut String) {
    if settings.is_empty() {
        return;
    }
    let mut text = String::new();
    for setting in settings {
        text.push_str(&rows::setting(setting));
        if let Some(when) = &setting.when {
            let _ = write!(text, "  # when {}", one_line(when));
        }
        text.push('\n');
    }
    push_block(&text, out);
}

/// Writes a spec in a fence that is longer than each of its own.
fn push_block(text: &str, out: &mut String) {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let _ = write!(out, "{fence}imgspec\n{}\n{fence}\n\n", text.trim_end());
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

fn inline(line: &[Inline]) -> String {
    let mut out = String::new();
    for part in line {
        match part {
            Inline::Text(text) | Inline::Where(text) => out.push_str(&doc_line(text)),
            Inline::Code(text) => out.push_str(&code(text)),
            Inline::To(link) => {
                let _ = write!(out, "[{}](#{})", code(&link.name), link.fragment());
            }
            Inline::Effect(at) => {
                let _ = write!(out, "[table](#effect-{})", at + 1);
            }
        }
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn code(text: &str) -> String {
    let text = one_line(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    if text.is_empty() {
        "`\"\"`".to_owned()
    } else {
        format!("{fence}{pad}{text}{pad}{fence}")
    }
}

fn doc_line(text: &str) -> String {
    let parts = pieces(text).into_iter().map(|piece| match piece {
        Piece::Text(text) => escape(text),
        Piece::Code(text) => code(text),
    });
    parts.collect()
}

/// Escapes what Markdown would take for its own.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '`' | '#' | '~'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_not_markdown() {
        assert_eq!(doc_line("a *b* <c> `d_e`"), r"a \*b\* \<c\> `d_e`");
        assert_eq!(code("a `b`"), "`` a `b` ``");
        assert_eq!(code("a\n  b"), "`a b`");
    }
}
