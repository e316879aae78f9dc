//! `imgspec show`

use crate::cli::place::out;
use crate::cli::report::{format, is_fine, report};
use crate::cli::select::{Selected, select};
use crate::cli::{Cli, Failure, Format, Selection, print};
use crate::diagnostic::{Diagnostic, json_text, nearest, suggest_image};
use crate::driver;
use crate::emit::{
    Act, Artifacts, HistoryEntry, MASK, Output, Shown, Ways, belongs, emit, hides, history,
    show_value, without_secrets,
};
use crate::eval::{Image, evaluate};
use crate::project::hir::*;
use crate::project::{Program, place_in_checkout};
use crate::schema::{Value, encode};
use crate::source::{MAX_PRINTED, MAX_VALUE, visible_line};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    selection: Selection,
    /// All images of the given paths or of the project, or of the library if there are none
    #[arg(long)]
    all: bool,
    /// Only variables whose values are not those of the image's target
    #[arg(long)]
    changed: bool,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(cli: &Cli, args: &Show) -> Result<bool, Failure> {
    let mut selected = select(cli, &args.selection)?;
    if args.all && selected.images.is_empty() && selected.others.is_empty() {
        selected.images = selected.program.library_images();
    }
    let variables = take_variables(&mut selected)?;
    selected.expect_known()?;
    if selected.images.is_empty() && is_fine(&selected.program.diagnostics) {
        return Err(Failure("name an image: `imgspec show IMAGE`".to_owned()));
    }
    let output = Output {
        dir: out(&cli.here, None),
        portable: false,
    };
    let mut found: Vec<Diagnostic> = selected.diagnostics.clone();
    let (mut text, mut array, mut room) = (String::new(), Vec::new(), Room(MAX_PRINTED));
    let as_json = args.json || format(cli) == Format::Json;
    if selected.images.len() > crate::source::MAX_IMAGES {
        return Err(Failure(format!(
            "this command selects {} images, and the limit is {}: name some of them, their files or their folders",
            selected.images.len(),
            crate::source::MAX_IMAGES
        )));
    }
    for id in &selected.images {
        let mut image = match evaluate(&selected.program, *id, selected.provider) {
            Ok(image) => image,
            Err(diagnostic) => {
                let mut alone = vec![*diagnostic];
                selected.program.drop_consequences(*id, &mut alone);
                found.append(&mut alone);
                continue;
            }
        };
        let mut artifacts = emit(&image, &output);
        let mut alone = std::mem::take(&mut image.diagnostics);
        alone.append(&mut artifacts.diagnostics);
        selected.program.drop_consequences(*id, &mut alone);
        found.append(&mut alone);
        let own = args
            .changed
            .then(|| evaluate(&selected.program, image.stack.target, selected.provider).ok())
            .flatten();
        let is_shown = |id: VarId| {
            own.as_ref()
                .is_none_or(|own| own.value(id) != image.value(id))
        };
        if as_json {
            let is_shown = |id| is_shown(id) && is_asked_for(&selected.program, id, &variables);
            array.push(show_json(&image, &artifacts, &is_shown, &mut room)?);
        } else if variables.is_empty() {
            room.take(image.size())?;
            let has_title = selected.images.len() > 1;
            show_image(&image, &is_shown, args.changed, has_title, &mut text);
        }
        for name in variables.iter().filter(|_| !as_json) {
            text.push_str(if text.is_empty() { "" } else { "\n" });
            show_variable(&image, &artifacts, name, &mut text, &mut room)?;
        }
    }
    let findings = driver::conclude(&selected.program, found, false);
    if !findings.shown.is_empty() {
        report(cli, &selected.program, &findings);
    }
    if as_json {
        text = json_text(&array);
    }
    print(&text)?;
    Ok(is_fine(&findings.shown))
}

/// How many bytes of values can still be printed.
struct Room(usize);

impl Room {
    /// Makes room for a value.
    ///
    /// # Errors
    /// If there is no room for it.
    fn take(&mut self, size: usize) -> Result<(), Failure> {
        self.0 = self.0.checked_sub(size).ok_or_else(|| {
            Failure(format!(
                "the values to print have more than {} MiB: name a variable, or fewer images",
                MAX_PRINTED >> 20
            ))
        })?;
        Ok(())
    }

    /// Makes room for a variable's value, the forms in which its receivers get it, and its history.
    fn take_variable(
        &mut self,
        image: &Image<'_>,
        id: VarId,
        history: &[HistoryEntry],
    ) -> Result<(), Failure> {
        let size = |value: &Value| value.size(MAX_VALUE);
        self.take(3 * image.value(id).map_or(0, size))?;
        for entry in history {
            if let Shown::Value(value) = &entry.value {
                self.take(size(value))?;
            }
        }
        Ok(())
    }
}

/// Takes the names of variables out of the arguments that name no image.
///
/// # Errors
/// If an argument is neither, and other arguments name an image.
fn take_variables(selected: &mut Selected) -> Result<Vec<String>, Failure> {
    let program = &selected.program;
    let is_variable = |name: &String| program.variables.iter().any(|v| v.name == *name);
    let (variables, others): (Vec<String>, Vec<String>) = std::mem::take(&mut selected.others)
        .into_iter()
        .partition(is_variable);
    if let (Some(name), false) = (others.first(), selected.images.is_empty()) {
        let names = program.variables.iter().map(|v| v.name.as_str());
        let images = program
            .sections
            .iter()
            .filter(|s| s.kind == LayerKind::Image)
            .map(|s| s.name.as_str());
        let image = suggest_image(name, images)
            .filter(|near| near.is_sure)
            .map(|near| near.name);
        let near = nearest(name, names).or(image);
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(Failure(format!("unknown variable or image `{name}`{hint}")));
    }
    selected.others = others;
    Ok(variables)
}

/// Returns a variable's value in the extra-vars file, with secrets masked.
fn shown_to_ansible(image: &Image<'_>, artifacts: &Artifacts, id: VarId) -> Option<Json> {
    let json = artifacts
        .ansible
        .get(image.program.variable(id).name.as_str())?;
    let shown = image
        .value(id)
        .map(|value| (value, without_secrets(image.program, value)));
    let masked = shown
        .filter(|(value, shown)| *value != shown)
        .map(|(_, shown)| show_value(&shown));
    Some(masked.unwrap_or_else(|| json.clone()))
}

// ---- JSON -------------------------------------------------------------------------------------

/// An image, as `show --json` prints it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Image")]
pub(super) struct JsonImage {
    /// The image's name.
    image: String,
    /// The file that declares it: an absolute path, or `stdlib/…` for the standard library.
    file: String,
    /// The image that contains the target.
    target: String,
    /// The variables by their names.
    variables: BTreeMap<String, JsonVariable>,
}

/// A variable's value and where it comes from. Secrets are masked.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Variable")]
struct JsonVariable {
    /// The declared type.
    #[serde(rename = "type")]
    ty: String,
    /// The receivers: `packer`, `linux`, `windows`.
    to: Vec<&'static str>,
    /// The effective value; null if it is unset.
    value: Json,
    /// The string in `packer.vars.json`; null if it has none.
    packer: Option<String>,
    /// The value in `ansible.vars.json`; null if it has none.
    ansible: Option<Json>,
    /// What reads the variable on this target.
    routes: Vec<String>,
    /// The settings that take part, the winner first and the default last.
    set_by: Vec<JsonSetting>,
}

/// A setting of a variable.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Setting")]
struct JsonSetting {
    /// The layer, or `default`.
    layer: String,
    /// An absolute path, or `stdlib/…` for the standard library.
    file: String,
    /// From 1.
    line: u32,
    /// From 1, in characters.
    column: u32,
    /// The value of this setting alone.
    value: Json,
}

/// Whether the arguments name a variable, or none.
fn is_asked_for(program: &Program, id: VarId, only: &[String]) -> bool {
    let name = program.variable(id).name.as_str();
    only.is_empty() || only.iter().any(|other| other == name)
}

fn show_json(
    image: &Image<'_>,
    artifacts: &Artifacts,
    is_shown: &dyn Fn(VarId) -> bool,
    room: &mut Room,
) -> Result<JsonImage, Failure> {
    let program = image.program;
    let path = |file| {
        program
            .sources
            .get(file)
            .path
            .to_string_lossy()
            .into_owned()
    };
    let setting = |entry: HistoryEntry| {
        let at = program.sources.position(entry.span.file, entry.span.start);
        JsonSetting {
            file: path(entry.span.file),
            line: at.line,
            column: at.column,
            value: entry.value.json(),
            layer: entry.layer,
        }
    };
    let mut variables = BTreeMap::new();
    for id in image.ids().iter().copied().filter(|id| belongs(image, *id)) {
        let variable = program.variable(id);
        let name = variable.name.as_str();
        if !is_shown(id) {
            continue;
        }
        let is_secret = hides(image, id);
        let packer = artifacts.packer.get(name);
        let history = history(image, id);
        room.take_variable(image, id, &history)?;
        let shown = JsonVariable {
            ty: variable.ty.to_string(),
            to: variable.to.names(),
            value: Shown::of(image, id).json(),
            packer: packer.map(|text| {
                if is_secret {
                    MASK.into()
                } else {
                    text.to_string()
                }
            }),
            ansible: shown_to_ansible(image, artifacts, id),
            routes: artifacts
                .routes
                .get(name)
                .map(Ways::words)
                .unwrap_or_default(),
            set_by: history
                .into_iter()
                .filter(|entry| entry.takes_part)
                .map(setting)
                .collect(),
        };
        variables.insert(name.to_owned(), shown);
    }
    let section = program.section(image.section);
    Ok(JsonImage {
        image: section.name.to_string(),
        file: path(place_in_checkout(program, section.span).file),
        target: program.section(image.stack.target).name.to_string(),
        variables,
    })
}

// ---- text -------------------------------------------------------------------------------------

/// Shows the values of an image; with `with_unset` also variables without one.
fn show_image(
    image: &Image<'_>,
    is_shown: &dyn Fn(VarId) -> bool,
    with_unset: bool,
    has_title: bool,
    out: &mut String,
) {
    let program = image.program;
    if has_title {
        let _ = writeln!(out, "# {}", image.name());
    }
    let mut rows: Vec<(Cow<'_, str>, String, String)> = Vec::new();
    for id in image.ids().iter().copied().filter(|id| belongs(image, *id)) {
        let is_unset = image.value(id).is_none();
        if !is_shown(id) || is_unset && !with_unset {
            continue;
        }
        let source = match image.winner(id) {
            Some(active) => {
                let span = place_in_checkout(program, active.setting.name_span);
                let at = program.sources.position(span.file, span.start);
                let path = program
                    .sources
                    .get(span.file)
                    .path
                    .file_name()
                    .unwrap_or_default();
                let path = visible_line(&path.to_string_lossy()).into_owned();
                format!("{} ({path}:{})", image.layer_name(active.layer), at.line)
            }
            None => "default".to_owned(),
        };
        let name = visible_line(&program.variable(id).name);
        let value = if is_unset {
            "unset".to_owned()
        } else {
            Shown::of(image, id).written()
        };
        rows.push((name, value, source));
    }
    rows.sort();
    let width = rows
        .iter()
        .map(|r| r.0.len())
        .max()
        .unwrap_or(0)
        .min(crate::source::MAX_SHOWN);
    for (name, value, source) in rows {
        let _ = writeln!(out, "{name:width$} = {value}    # {source}");
    }
}

fn show_variable(
    image: &Image<'_>,
    artifacts: &Artifacts,
    name: &str,
    out: &mut String,
    room: &mut Room,
) -> Result<(), Failure> {
    let program = image.program;
    let Some(id) = image
        .ids()
        .iter()
        .copied()
        .find(|id| program.variable(*id).name == name && belongs(image, *id))
    else {
        return Err(Failure(format!(
            "the image `{}` has no variable `{name}`",
            image.name()
        )));
    };
    let variable = program.variable(id);
    let history = history(image, id);
    room.take_variable(image, id, &history)?;
    let value = Shown::of(image, id).written();
    let _ = writeln!(out, "{} : {}", variable.name, variable.ty);
    if let Some(doc) = &variable.doc {
        for line in doc.lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = writeln!(out, "\nvalue in {}: {value}\n", image.name());
    show_history(program, &history, out);
    let secret = hides(image, id);
    let packer = artifacts
        .packer
        .get(name)
        .map(|p| if secret { MASK } else { p.as_str() });
    let _ = writeln!(
        out,
        "\nPacker gets   {}",
        packer.map_or("nothing".to_owned(), |p| format!(
            "{} (encoding {})",
            json!(p),
            variable.encoding.as_str()
        ))
    );
    let ansible = shown_to_ansible(image, artifacts, id).map(|json| json.to_string());
    let file = artifacts.file_route.as_deref().unwrap_or("no variable");
    let _ = writeln!(
        out,
        "Ansible gets  {}",
        ansible.map_or("nothing in the extra-vars file".to_owned(), |a| format!(
            "{a} (in the extra-vars file, through {file})"
        ))
    );
    let routes = artifacts
        .routes
        .get(name)
        .map_or("nobody on this target".to_owned(), |ways| {
            ways.words().join("; ")
        });
    let _ = writeln!(out, "read by       {routes}");
    let _ = writeln!(out, "receivers     {}", variable.to.names().join(", "));
    Ok(())
}

/// Prints a line for each setting: what it does, its value and its position.
fn show_history(program: &Program, history: &[HistoryEntry], out: &mut String) {
    let words: Vec<&str> = history.iter().map(|entry| entry.act.word()).collect();
    let width = words
        .iter()
        .map(|word| word.len())
        .max()
        .unwrap_or_default()
        .max(5);
    for (word, entry) in words.iter().zip(history) {
        let at = program.sources.position(entry.span.file, entry.span.start);
        let path = program.sources.name(entry.span.file);
        let value = if entry.act == Act::Unsets {
            String::new()
        } else {
            entry.value.written() + "    "
        };
        let condition = entry.condition.filter(|_| !entry.takes_part);
        let when = condition.map_or(String::new(), |span| {
            format!(", when {}", program.sources.slice(span).trim())
        });
        let _ = writeln!(
            out,
            "  {word:width$} {value}{}{when}  ({path}:{}:{})",
            entry.layer, at.line, at.column
        );
    }
}

/// Returns the string that Packer gets for a value, for `explain`.
pub(super) fn encoded(value: &Value, variable: &Variable) -> String {
    crate::emit::packer_string(&encode(value, variable.encoding))
}
