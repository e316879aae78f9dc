//! `imgspec show`

use crate::cli::place::out;
use crate::cli::report::{format, is_fine, report, view_all};
use crate::cli::select::{Selected, select};
use crate::cli::{Cli, Failure, Format, Selection, print};
use crate::diagnostic::{json_element, nearest, suggest_image};
use crate::emit::{
    Act, Artifacts, HistoryEntry, MASK, Output, Shown, Ways, belongs, emit, hides, history,
    show_value, without_secrets,
};
use crate::eval::{Image, evaluate};
use crate::project::hir::*;
use crate::project::{Program, Stack, place_in_checkout};
use crate::schema::{Value, encode};
use crate::source::{MAX_IMAGES, MAX_PRINTED, MAX_TEXT, MAX_VALUE, visible_line};
use clap::Args;
use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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
    let as_json = args.json || format(cli) == Format::Json;
    if selected.images.len() > MAX_IMAGES {
        return Err(Failure(format!(
            "this command selects {} images, and the limit is {MAX_IMAGES}: name some of them, their files or their folders",
            selected.images.len(),
        )));
    }
    let asked = Asked {
        of_targets: if args.changed {
            targets(&selected)
        } else {
            FxHashMap::default()
        },
        selected: &selected,
        output: &output,
        changed: args.changed,
        variables,
    };
    let printed = Printed::default();
    let view = |image: &Image<'_>| -> Result<(String, usize), Failure> {
        printed.expect_room()?;
        let mut room = Room(MAX_PRINTED);
        let text = if as_json {
            asked.json(image, &mut room)?
        } else {
            asked.text(image, &mut room)?
        };
        Ok((text, MAX_PRINTED - room.0))
    };
    let take = |made: Result<(String, usize), Failure>| {
        let (text, size) = made?;
        printed.add(text.len(), size);
        printed.expect_room()?;
        Ok(text)
    };
    let (texts, findings) = view_all(&selected, &output, view, take);
    let texts = texts
        .into_iter()
        .collect::<Result<Vec<String>, Failure>>()?;
    if !findings.shown.is_empty() {
        report(cli, &selected.program, &findings);
    }
    let is_list = !asked.variables.is_empty();
    print_parts(texts, as_json, is_list)?;
    Ok(is_fine(&findings.shown))
}

/// Prints the texts of the images, none of which is copied: together they can have 128 MiB.
fn print_parts(texts: Vec<String>, as_json: bool, is_list: bool) -> Result<(), Failure> {
    let (start, between, end) = match (as_json, is_list) {
        (true, _) if texts.is_empty() => ("[", "", "]\n"),
        (true, _) => ("[\n", ",\n", "\n]\n"),
        (false, true) => ("", "\n", ""),
        (false, false) => ("", "", ""),
    };
    print(start)?;
    for (at, text) in texts.into_iter().enumerate() {
        print(if at == 0 { "" } else { between })?;
        print(&text)?;
    }
    print(end)
}

/// The values of an image.
type Values = FxHashMap<VarId, Value>;

/// The values of the images that contain the targets of the selected ones.
fn targets(selected: &Selected) -> FxHashMap<SectionId, Values> {
    let program = &selected.program;
    let mut out = FxHashMap::default();
    for id in &selected.images {
        if let Ok(stack) = Stack::new(program, *id, selected.provider)
            && !out.contains_key(&stack.target)
            && let Ok(target) = evaluate(program, stack.target, selected.provider)
        {
            let ids = program.variables.ids();
            let values = ids.filter_map(|id| Some((id, target.value(id)?.clone())));
            out.insert(target.section, values.collect());
        }
    }
    out
}

/// What is shown of each image.
struct Asked<'s> {
    selected: &'s Selected,
    output: &'s Output,
    changed: bool,
    of_targets: FxHashMap<SectionId, Values>,
    variables: Vec<String>,
}

impl Asked<'_> {
    /// Whether a variable is shown: with `--changed` only one whose value is not that of the target.
    fn is_shown(&self, image: &Image<'_>, id: VarId) -> bool {
        let own = self.of_targets.get(&image.stack.target);
        own.is_none_or(|own| own.get(&id) != image.value(id))
    }

    fn json(&self, image: &Image<'_>, room: &mut Room) -> Result<String, Failure> {
        let is_shown = |id| {
            self.is_shown(image, id) && is_asked_for(&self.selected.program, id, &self.variables)
        };
        let artifacts = emit(image, self.output);
        Ok(json_element(&show_json(
            image, &artifacts, &is_shown, room,
        )?))
    }

    fn text(&self, image: &Image<'_>, room: &mut Room) -> Result<String, Failure> {
        let mut text = String::new();
        if self.variables.is_empty() {
            room.take(image.size())?;
            let is_shown = |id| self.is_shown(image, id);
            let has_title = self.selected.images.len() > 1;
            show_image(image, &is_shown, self.changed, has_title, &mut text);
            return Ok(text);
        }
        let artifacts = emit(image, self.output);
        for name in &self.variables {
            text.push_str(if text.is_empty() { "" } else { "\n" });
            show_variable(image, &artifacts, name, &mut text, room)?;
        }
        Ok(text)
    }
}

/// How many bytes of text and of values there are to print.
#[derive(Default)]
struct Printed {
    text: AtomicUsize,
    values: AtomicUsize,
}

impl Printed {
    fn add(&self, text: usize, values: usize) {
        self.text.fetch_add(text, Relaxed);
        self.values.fetch_add(values, Relaxed);
    }

    /// # Errors
    /// If there is more than can be printed.
    fn expect_room(&self) -> Result<(), Failure> {
        if self.values.load(Relaxed) > MAX_PRINTED {
            return Err(no_room("values", MAX_PRINTED));
        }
        if self.text.load(Relaxed) > MAX_TEXT {
            return Err(no_room("texts", MAX_TEXT));
        }
        Ok(())
    }
}

fn no_room(what: &str, most: usize) -> Failure {
    Failure(format!(
        "the {what} to print have more than {} MiB: name a variable, or fewer images",
        most >> 20
    ))
}

/// How many bytes of values can still be printed of an image.
struct Room(usize);

impl Room {
    /// Makes room for a value.
    ///
    /// # Errors
    /// If there is no room for it.
    fn take(&mut self, size: usize) -> Result<(), Failure> {
        let left = self.0.checked_sub(size);
        self.0 = left.ok_or_else(|| no_room("values", MAX_PRINTED))?;
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
