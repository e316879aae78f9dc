//! `imgspec show`

use super::report::{finish, format, is_fine, report};
use super::select::{Selected, select};
use super::{Cli, Failure, Format, Selection, print};
use crate::diagnostic::{Diagnostic, json_text, nearest};
use crate::emit::{Artifacts, MASK, Output, emit, is_literal_secret, show_value, shows_secret};
use crate::eval::{Image, evaluate};
use crate::project::Program;
use crate::project::hir::*;
use crate::schema::{Value, encode};
use crate::source::{Span, visible_line};
use clap::Args;
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    selection: Selection,
    /// All images of the given paths or of the project; of the library where there are none
    #[arg(long)]
    all: bool,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(cli: &Cli, args: &Show) -> Result<bool, Failure> {
    let mut selected = select(cli, &args.selection)?;
    if args.all && selected.images.is_empty() && selected.others.is_empty() {
        selected.images = selected.program.library_images();
    }
    let variable = take_variable(&mut selected)?;
    selected.expect_known()?;
    if selected.images.is_empty() && is_fine(&selected.program.diagnostics) {
        return Err(Failure("name an image: `imgspec show node-ova-local-photon-3`".to_owned()));
    }
    let here = std::env::current_dir().map_err(|e| Failure(format!("no current folder: {e}")))?;
    let output = Output { dir: here.join("build"), portable: false };
    let mut found: Vec<Diagnostic> = selected.diagnostics.clone();
    let (mut text, mut array) = (String::new(), Vec::new());
    let as_json = args.json || format(cli) == Format::Json;
    for id in &selected.images {
        let mut image = match evaluate(&selected.program, *id, selected.provider) {
            Ok(image) => image,
            Err(diagnostic) => {
                found.push(*diagnostic);
                continue;
            }
        };
        let artifacts = emit(&mut image, &output);
        found.extend(artifacts.diagnostics.iter().cloned());
        match variable.as_deref() {
            _ if as_json => array.push(show_json(&mut image, &artifacts, variable.as_deref())),
            Some(name) => show_variable(&mut image, &artifacts, name, &mut text)?,
            None => show_image(&image, &mut text, selected.images.len() > 1),
        }
    }
    let diagnostics = finish(&selected.program, found);
    if !diagnostics.is_empty() {
        report(cli, &selected.program, &diagnostics);
    }
    if as_json {
        text = json_text(&array);
    }
    print(&text)?;
    Ok(is_fine(&diagnostics))
}

/// The last argument may be a variable.
fn take_variable(selected: &mut Selected) -> Result<Option<String>, Failure> {
    let Some(name) = selected.others.last().cloned() else {
        return Ok(None);
    };
    let program = &selected.program;
    if program.variables.iter().any(|v| v.name == name) {
        selected.others.pop();
        return Ok(Some(name));
    }
    if !selected.images.is_empty() && selected.others.len() == 1 {
        let names = program.variables.iter().map(|v| v.name.as_str());
        let hint = nearest(&name, names).map_or(String::new(), |near| format!("; did you mean {near}?"));
        return Err(Failure(format!("there is no variable {name}{hint}")));
    }
    Ok(None)
}

/// Entries of blocks count only where the image has them.
fn belongs(image: &Image<'_>, id: VarId) -> bool {
    let variable = image.program.variable(id);
    match variable.owner {
        Owner::Declared => variable.removed.is_none(),
        _ => image.value(id).is_some(),
    }
}

/// The value of a setting, or of a default, that stands at this place.
fn shown_at(program: &Program, id: VarId, value: &Value, span: Span) -> Json {
    match shows_secret(program, id, value, span) {
        true => json!(MASK),
        false => show_value(value),
    }
}

fn shown_value(image: &Image<'_>, id: VarId, value: &Value) -> Json {
    match is_literal_secret(image, id) {
        true => json!(MASK),
        false => show_value(value),
    }
}

// ---- JSON -------------------------------------------------------------------------------------

fn show_json(image: &mut Image<'_>, artifacts: &Artifacts, only: Option<&str>) -> Json {
    let program = image.program;
    let mut variables = serde_json::Map::new();
    let mut all: Vec<VarId> = image.ids().iter().copied().filter(|id| belongs(image, *id)).collect();
    all.sort_by_key(|id| &program.variable(*id).name);
    for id in all {
        let variable = program.variable(id);
        if only.is_some_and(|only| variable.name != only) {
            continue;
        }
        let secret = is_literal_secret(image, id);
        let value = image.value(id).map(|v| shown_value(image, id, v));
        let packer =
            artifacts.packer.get(variable.name.as_str()).map(|p| if secret { MASK } else { p.as_str() });
        let set_by: Vec<Json> = history(image, id)
            .into_iter()
            .map(|entry| {
                let at = program.sources.position(entry.span.file, entry.span.start);
                json!({
                    "layer": entry.layer,
                    "file": program.sources.get(entry.span.file).path.to_string_lossy(),
                    "line": at.line,
                    "column": at.column,
                    "value": entry.value,
                })
            })
            .collect();
        variables.insert(
            variable.name.to_string(),
            json!({
                "type": variable.ty.to_string(),
                "to": variable.to.names(),
                "value": value,
                "packer": packer,
                "ansible": artifacts.ansible.get(variable.name.as_str()),
                "routes": artifacts.routes.get(variable.name.as_str()).map_or(&[][..], Vec::as_slice),
                "set_by": set_by,
            }),
        );
    }
    let section = program.section(image.section);
    json!({
        "image": section.name,
        "file": program.sources.get(section.span.file).path.to_string_lossy(),
        "target": program.section(image.stack.target).name,
        "variables": variables,
    })
}

/// A setting of a variable, for showing.
struct Entry {
    layer: String,
    span: Span,
    change: Change,
    value: Json,
}

/// Everything that set a variable, the winner first, the declared default last.
fn history(image: &mut Image<'_>, id: VarId) -> Vec<Entry> {
    let program = image.program;
    let settings = image.all_settings(id);
    let (_, has_default) = image.effective_settings(id);
    let mut out = Vec::with_capacity(settings.len() + 1);
    for active in settings.iter().rev() {
        let value = image.setting_value(active.setting);
        let value = value.map_or(Json::Null, |v| shown_at(program, id, &v, active.setting.span));
        out.push(Entry {
            layer: image.layer_name(active.layer),
            span: active.setting.name_span,
            change: active.setting.change,
            value,
        });
    }
    let variable = program.variable(id);
    if has_default && variable.default.is_some() {
        let value = image.default_value(id).map_or(Json::Null, |v| shown_at(program, id, &v, variable.span));
        out.push(Entry { layer: "default".to_owned(), span: variable.span, change: Change::Replace, value });
    }
    out
}

// ---- text -------------------------------------------------------------------------------------

fn show_image(image: &Image<'_>, out: &mut String, has_title: bool) {
    let program = image.program;
    if has_title {
        let _ = writeln!(out, "# {}", image.name());
    }
    let mut rows: Vec<(Cow<'_, str>, String, String)> = Vec::new();
    for id in image.ids().iter().copied().filter(|id| belongs(image, *id)) {
        let Some(value) = image.value(id) else {
            continue;
        };
        let source = match image.winner(id) {
            Some(active) => {
                let span = active.setting.name_span;
                let at = program.sources.position(span.file, span.start);
                let path = program.sources.get(span.file).path.file_name().unwrap_or_default();
                let path = visible_line(&path.to_string_lossy()).into_owned();
                format!("{} ({path}:{})", image.layer_name(active.layer), at.line)
            }
            None => "default".to_owned(),
        };
        rows.push((
            visible_line(&program.variable(id).name),
            written(&shown_value(image, id, value)),
            source,
        ));
    }
    rows.sort();
    let width = rows.iter().map(|r| r.0.len()).max().unwrap_or(0);
    for (name, value, source) in rows {
        let _ = writeln!(out, "{name:width$} = {value}    # {source}");
    }
}

/// A value as one would write it, on one line.
fn written(value: &Json) -> String {
    match value {
        Json::Array(elements) => format!("[{}]", elements.iter().map(written).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k} = {}", written(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

fn show_variable(
    image: &mut Image<'_>,
    artifacts: &Artifacts,
    name: &str,
    out: &mut String,
) -> Result<(), Failure> {
    let program = image.program;
    let Some(id) =
        image.ids().iter().copied().find(|id| program.variable(*id).name == name && belongs(image, *id))
    else {
        return Err(Failure(format!("the image {} has no variable {name}", image.name())));
    };
    let variable = program.variable(id);
    let value = image.value(id).map_or("unset".to_owned(), |v| written(&shown_value(image, id, v)));
    let _ = writeln!(out, "{} : {}", variable.name, variable.ty);
    if let Some(doc) = &variable.doc {
        for line in doc.lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = writeln!(out, "\nvalue in {}: {value}\n", image.name());
    for (i, entry) in history(image, id).into_iter().enumerate() {
        let at = program.sources.position(entry.span.file, entry.span.start);
        let path = program.sources.name(entry.span.file);
        let word = match (i, entry.change) {
            (_, Change::Append) => "adds",
            (_, Change::Remove) => "takes",
            (0, _) => "sets",
            _ => "over",
        };
        let _ = writeln!(
            out,
            "  {word:5} {}    {}  ({path}:{}:{})",
            written(&entry.value),
            entry.layer,
            at.line,
            at.column
        );
    }
    let secret = is_literal_secret(image, id);
    let packer = artifacts.packer.get(name).map(|p| if secret { MASK } else { p.as_str() });
    let _ = writeln!(
        out,
        "\nPacker gets   {}",
        packer.map_or("nothing".to_owned(), |p| format!(
            "{} (encoding {})",
            json!(p),
            variable.encoding.as_str()
        ))
    );
    let ansible = artifacts.ansible.get(name).map(|a| a.to_string());
    let file = artifacts.file_route.as_deref().unwrap_or("no variable");
    let _ = writeln!(
        out,
        "Ansible gets  {}",
        ansible.map_or("nothing in the extra-vars file".to_owned(), |a| format!(
            "{a} (in the extra-vars file, through {file})"
        ))
    );
    let routes =
        artifacts.routes.get(name).map_or("nobody on this target".to_owned(), |words| words.join("; "));
    let _ = writeln!(out, "read by       {routes}");
    let _ = writeln!(out, "receivers     {}", variable.to.names().join(", "));
    Ok(())
}

/// The string that Packer would get for a value, for `explain`.
pub(super) fn encoded(value: &Value, variable: &Variable) -> String {
    crate::emit::packer_text(&encode(value, variable.encoding))
}
