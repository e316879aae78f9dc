//! Hover: the documentation of a name, and its value in the image around it.

use crate::emit::emit;
use crate::eval::evaluate;
use crate::lsp::navigation::Named;
use crate::lsp::workspace::output;
use crate::project::Program;
use crate::project::hir::*;
use crate::schema::print_start;
use crate::source::{FileId, MAX_SHOWN, part};
use std::fmt::Write;

/// The documentation of a name in a file, as Markdown. `section` is the layer or image around it.
pub(super) fn describe(
    program: &Program,
    file: FileId,
    named: Named<'_>,
    section: Option<&str>,
) -> Option<String> {
    match named {
        Named::Variable(name) => describe_variable(program, file, name, section),
        Named::Section(name) => program
            .find_section(file, name)
            .map(|id| describe_section(program, id)),
        Named::Provider(name) => {
            let provider = program.provider(program.find_provider(file, name)?);
            let doc = provider.doc.as_deref().unwrap_or_default();
            Some(format!(
                "```imgspec\nprovider {name}\n```\n\n{doc}\n\nTemplate: `{}`",
                provider.template
            ))
        }
        Named::Function(function) => Some(format!(
            "```imgspec\n{}\n```\n\n{}",
            function.signature(),
            function.doc()
        )),
        Named::Type(name) => describe_type(program, file, name),
        Named::Include(_) => None,
    }
}

fn describe_type(program: &Program, file: FileId, name: &str) -> Option<String> {
    let (ty, span) = program.find_type(file, name)?;
    let line = part(&program.sources.get(span.file).text, span.start as usize..)
        .lines()
        .next()
        .unwrap_or_default();
    let written = if line.contains('=') {
        line.to_owned()
    } else {
        format!("{name} = {ty}")
    };
    Some(format!("```imgspec\ntype {written}\n```"))
}

fn describe_variable(
    program: &Program,
    file: FileId,
    name: &str,
    section: Option<&str>,
) -> Option<String> {
    let id = program.find_variable(Some(file), name)?;
    let variable = program.variable(id);
    let mut out = format!("```imgspec\nvariable {name} : {}", variable.ty);
    if let Some(default) = &variable.default {
        let _ = write!(out, " = {}", program.sources.shown_slice(default.span));
    }
    out.push_str("\n```\n");
    if let Some(real) = variable.alias_of() {
        let _ = write!(
            out,
            "\nDeprecated name of `{}`.\n",
            program.variable(real).name
        );
    }
    if let Some(doc) = &variable.doc {
        let _ = write!(out, "\n{doc}\n");
    }
    let receivers = variable.to.names().join(", ");
    let receivers = if receivers.is_empty() {
        "none"
    } else {
        &receivers
    };
    let _ = write!(out, "\nReceivers: {receivers}.");
    if let Some(applies) = &variable.applies {
        let _ = write!(
            out,
            " Applies if `{}`.",
            program.sources.slice(applies.span)
        );
    }
    out.push('\n');
    let section = section.and_then(|name| program.find_section(file, name));
    if let Some(value) = section.and_then(|section| effective_value(program, section, id)) {
        out.push_str(&value);
    }
    Some(out)
}

/// The value of a variable in an image, and its receivers there.
fn effective_value(program: &Program, section: SectionId, id: VarId) -> Option<String> {
    let image = evaluate(program, section, None).ok()?;
    let name = program.section(section).name.as_str();
    let artifacts = emit(&image, &output());
    let variable = program.variable(id);
    let value = match image.value(id) {
        Some(_) if crate::emit::is_literal_secret(&image, id) => "a secret".to_owned(),
        Some(value) => format!("`{}`", print_start(value, MAX_SHOWN)),
        None => "unset".to_owned(),
    };
    let mut out = format!("\nIn `{name}`: {value}");
    if let Some(active) = image.winner(id) {
        let _ = write!(out, ", set by `{}`", image.layer_name(active.layer));
    }
    let routes = artifacts.routes.get(variable.name.as_str());
    let readers = routes.map_or("nothing on this target".to_owned(), |ways| {
        ways.words().join("; ")
    });
    let _ = writeln!(out, ". Read by: {readers}.");
    Some(out)
}

fn describe_section(program: &Program, id: SectionId) -> String {
    let section = program.section(id);
    let word = match section.kind {
        LayerKind::Image => "image",
        LayerKind::Matrix => "matrix",
        _ => "layer",
    };
    let parents: Vec<&str> = section
        .extends
        .iter()
        .map(|(p, _)| program.section(*p).name.as_str())
        .collect();
    let extends = if parents.is_empty() {
        String::new()
    } else {
        format!(" extends {}", parents.join(", "))
    };
    let mut out = format!("```imgspec\n{word} {}{extends}\n```\n", section.name);
    if let Some(doc) = &section.doc {
        let _ = write!(out, "\n{doc}\n");
    }
    let count = section.settings.len();
    let _ = write!(
        out,
        "\nSets {count} value{} itself.\n",
        if count == 1 { "" } else { "s" }
    );
    out
}
