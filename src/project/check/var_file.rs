//! JSON var files and `--set` arguments as layers.
//!
//! Packer takes an object of strings, nothing else (`command/flag-kv/flag_json.go`); `null` means
//! empty. Values are decoded by their variable's type; names that nothing declares are undeclared
//! Packer variables.

use crate::ansible::ansible_bool;
use crate::diagnostic::{Code, Diagnostic, Reported, Severity};
use crate::packer::json::{JsonError, Parsed, PropertyValue, parse_json};
use crate::packer::{Braced, parse_braces};
use crate::project::check::Lowering;
use crate::project::check::expr::Expected;
use crate::project::check::fixes::Spelling;
use crate::project::check::sections::Block;
use crate::project::hir::VARIABLES;
use crate::project::hir::*;
use crate::schema::{
    Base, Encoding, Mismatch, Piece, Receivers, Text, Type, Value, check_value, decode, encode,
    find_unencodable, from_json,
};
use crate::source::{FileId, Origin, Span};
use crate::syntax::ast::Ident;
use crate::syntax::parse_setting;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::ops::Range;

/// The most unknown names of a file that are looked up elsewhere.
const MOST_NAMES: usize = 1000;

/// A JSON var file, read.
#[derive(Debug)]
pub(crate) struct VarFile {
    pub file: FileId,
    entries: Vec<VarFileEntry>,
}

/// One entry of a JSON var file.
#[derive(Debug)]
struct VarFileEntry {
    name: Ident,
    value: Given,
    /// The value's place.
    span: Span,
}

/// What a JSON var file gives for a name.
#[derive(Debug)]
enum Given {
    Text(SmolStr),
    /// What it is instead of a string, and the value itself, where it is one that a variable can have.
    Other(&'static str, Option<serde_json::Value>),
}

impl VarFile {
    /// Reads the text of a JSON var file; what is wrong with the file as a whole is reported.
    pub(crate) fn parse(file: FileId, text: &str, out: &mut Vec<Diagnostic>) -> VarFile {
        VarFile {
            file,
            entries: parse_entries(file, text, out),
        }
    }
}

fn parse_entries(file: FileId, text: &str, out: &mut Vec<Diagnostic>) -> Vec<VarFileEntry> {
    let span = |range: Range<usize>| Span::new(file, range.start as u32, range.end as u32);
    let whole = span(0..text.len());
    let properties = match parse_json(text) {
        Ok(Parsed::Object(properties)) => properties,
        other => {
            let found = match other {
                Err(error) => report_syntax(file, error),
                Ok(Parsed::Nothing) => {
                    Diagnostic::new(Code::JsonSyntax, whole, "invalid JSON: the file is empty")
                        .help("write `{ \"name\": \"value\" }`")
                }
                Ok(_) => Diagnostic::new(
                    Code::JsonNotAString,
                    whole,
                    "a var file must be one JSON object",
                )
                .help("write `{ \"name\": \"value\" }`"),
            };
            out.push(found);
            return Vec::new();
        }
    };
    let mut entries: Vec<VarFileEntry> = Vec::with_capacity(properties.len());
    let mut first: FxHashMap<SmolStr, Span> = FxHashMap::default();
    for property in properties {
        let range = property.range;
        let name = Ident {
            text: SmolStr::new(property.name),
            span: span(property.name_range),
        };
        let value = match property.value {
            PropertyValue::Text(text) => Given::Text(SmolStr::new(text)),
            PropertyValue::Other(what) => Given::Other(
                what,
                text.get(range.clone())
                    .and_then(|json| serde_json::from_str(json).ok()),
            ),
        };
        let first = *first.entry(name.text.clone()).or_insert(name.span);
        if first != name.span {
            out.push(
                Diagnostic::new(
                    Code::DuplicateSetting,
                    name.span,
                    format!("`{}` is set twice in this file", name.text),
                )
                .related(first, "first set here")
                .help("remove one of them: Packer silently uses the last one"),
            );
        }
        entries.push(VarFileEntry {
            name,
            value,
            span: span(range),
        });
    }
    entries
}

fn report_syntax(file: FileId, error: JsonError) -> Diagnostic {
    let span = |range: Range<usize>| Span::new(file, range.start as u32, range.end as u32);
    let mut found = Diagnostic::new(Code::JsonSyntax, span(error.range), error.message);
    found.help = error.help.map(str::to_owned);
    match error.fix {
        Some((title, range, text)) => found.fix(title, span(range), text),
        None => found,
    }
}

fn report_not_a_string(
    lowering: &mut Lowering<'_, '_>,
    entry: &VarFileEntry,
    id: VarId,
    what: &str,
    json: Option<&serde_json::Value>,
) -> Reported {
    let message = format!(
        "`{}` is {what}, but Packer accepts only strings",
        entry.name.text
    );
    let found =
        Diagnostic::new(Code::JsonNotAString, entry.span, message).label("expected a string");
    let variable = &lowering.variables[id];
    lowering.report(match json.filter(|_| !variable.is_secret) {
        Some(json) => {
            let text = serde_json::Value::from(spell_as_string(variable, json)).to_string();
            found.fix(format!("write {text}"), entry.span, text)
        }
        None => found,
    })
}

/// The string that a variable would have for a value: in the way that the variable wants, else the JSON itself.
fn spell_as_string(variable: &Variable, json: &serde_json::Value) -> String {
    let value = from_json(json).ok().filter(|value| {
        check_value(&variable.ty, value).is_ok()
            && find_unencodable(value, variable.encoding).is_none()
    });
    match value.map(|value| encode(&value, variable.encoding)) {
        Some(text) if variable.is_declared() => text.known().unwrap_or_default().into_owned(),
        _ => json.to_string(),
    }
}

/// Notes the names of a JSON var file that nothing declares, before expressions may read them.
pub(crate) fn declare_extras(lowering: &mut Lowering<'_, '_>, file: &VarFile) {
    for entry in &file.entries {
        if lowering.view().find(VARIABLES, &entry.name.text).is_none() {
            lowering.extra(Owner::Packer, &entry.name);
        }
    }
}

/// Lowers a JSON var file into the settings of its section.
pub(crate) fn lower_layer(lowering: &mut Lowering<'_, '_>, file: &VarFile, id: SectionId) {
    let entries = &file.entries;
    let referenced: FxHashSet<SmolStr> = entries
        .iter()
        .filter_map(|entry| match &entry.value {
            Given::Text(text) => Some(text.as_str()),
            Given::Other(..) => None,
        })
        .flat_map(parse_braces)
        .flat_map(|(_, piece)| match piece {
            Braced::User(name) => vec![SmolStr::new(name)],
            Braced::Other(_, names) => names.into_iter().map(SmolStr::new).collect(),
            _ => Vec::new(),
        })
        .collect();
    let mut settings = Vec::with_capacity(entries.len());
    let names: FxHashSet<&str> = entries.iter().map(|e| e.name.text.as_str()).collect();
    let sets = |name: &str| names.contains(name);
    let mut unknown = Vec::new();
    for entry in entries {
        let is_read = referenced.contains(&entry.name.text);
        settings.extend(lower_entry(lowering, entry, is_read, &sets, &mut unknown));
    }
    report_unknown_names(lowering, &unknown, &sets);
    lowering.sections[id].settings = settings;
}

/// `--set name=value`, `--set 'name+=value'`, `--set 'name-=value'`, `--set 'unset name'`
pub(crate) fn lower_argument(lowering: &mut Lowering<'_, '_>, file: FileId, id: SectionId) {
    let text = lowering.sources.get(file).text.clone();
    let setting = match text.trim_start().strip_prefix("unset ") {
        Some(name) => lower_unset(lowering, file, &text, name.trim()),
        None => lower_assignment(lowering, file, &text),
    };
    lowering.sections[id].settings.extend(setting);
}

/// `-var name=value` of `PACKER_FLAGS`: a string, as Packer takes it.
pub(crate) fn lower_flag(lowering: &mut Lowering<'_, '_>, file: FileId, id: SectionId) {
    let text = lowering.sources.get(file).text.clone();
    let (name, value) = text.split_once('=').unwrap_or((&text, ""));
    let start = name.len() as u32;
    let name = Ident {
        text: SmolStr::new(name),
        span: Span::new(file, 0, start),
    };
    let span = Span::new(file, (start + 1).min(text.len() as u32), text.len() as u32);
    let entry = VarFileEntry {
        name,
        value: Given::Text(SmolStr::new(value)),
        span,
    };
    let mut unknown = Vec::new();
    let setting = lower_entry(lowering, &entry, false, &|_| false, &mut unknown);
    report_unknown_names(lowering, &unknown, &|_| false);
    lowering.sections[id].settings.extend(setting);
}

fn lower_unset(
    lowering: &mut Lowering<'_, '_>,
    file: FileId,
    text: &str,
    name: &str,
) -> Option<Setting> {
    let whole = Span::new(file, 0, text.len() as u32);
    let name = Ident {
        text: SmolStr::new(name),
        span: whole,
    };
    let id = lowering.find_set(&name, None, Block::Section)?;
    lowering.check_deprecated(id, whole, Spelling::Json, |_| false);
    Some(Setting {
        change: Change::Unset,
        ..Setting::replace(
            id,
            name.span,
            Expr {
                kind: ExprKind::Nothing,
                span: whole,
            },
        )
    })
}

fn lower_assignment(lowering: &mut Lowering<'_, '_>, file: FileId, text: &str) -> Option<Setting> {
    let Some((left, value)) = text.split_once('=') else {
        let whole = Span::new(file, 0, text.len() as u32);
        lowering.report(
            Diagnostic::new(Code::Syntax, whole, "expected `--set name=value`").help(
                "use `name+=value` or `name-=value` to change a list, and `unset name` to remove a value",
            ),
        );
        return None;
    };
    let (name, change) = match (left.strip_suffix('+'), left.strip_suffix('-')) {
        (Some(name), _) => (name, Change::Append),
        (_, Some(name)) => (name, Change::Remove),
        _ => (left, Change::Replace),
    };
    let start = left.len() as u32 + 1;
    let span = Span::new(file, start, text.len() as u32);
    let name = Ident {
        text: SmolStr::new(name.trim()),
        span: Span::new(file, 0, name.len() as u32),
    };
    if lowering.find_variable(&name.text).is_none() && lowering.is_nearly_secret(&name.text) {
        lowering.sources.hide(span);
    }
    let id = lowering.find_set(&name, None, Block::Section)?;
    let ty = lowering.variables[id].ty.clone();
    if change != Change::Replace && !matches!(ty.base, Base::List(_)) {
        lowering.report_not_a_list(&name, change, &ty);
        return None;
    }
    let is_json_map =
        matches!(ty.base, Base::Map(_)) && serde_json::from_str::<serde_json::Value>(value).is_ok();
    let is_expression = match &ty.base {
        Base::List(_) => value.trim_start().starts_with('['),
        Base::Map(_) => value.trim_start().starts_with('{') && !is_json_map,
        _ => false,
    };
    if is_expression {
        return lower_expression(lowering, file, text, id, span);
    }
    let entry = VarFileEntry {
        name,
        value: Given::Text(SmolStr::new(value)),
        span,
    };
    let setting = lower_entry(lowering, &entry, true, &|_| false, &mut Vec::new())?;
    Some(Setting { change, ..setting })
}

/// A list or map in the language's own spelling, of which JSON's lists are a part.
fn lower_expression(
    lowering: &mut Lowering<'_, '_>,
    file: FileId,
    text: &str,
    id: VarId,
    span: Span,
) -> Option<Setting> {
    let Some((set, found)) = parse_setting(file, text) else {
        let found = Diagnostic::new(Code::Syntax, span, "unexpected text after the list or map");
        lowering.report(found.help("write `[\"a\", \"b\"]` or `{ key = \"value\" }`"));
        return None;
    };
    let is_sound = found.is_empty();
    lowering.diagnostics.extend(found);
    lowering.check_deprecated(id, set.name.span, Spelling::Json, |_| false);
    lowering.lower_setting(&set, id, None).filter(|_| is_sound)
}

/// Lowers an entry; `sets` has the other names that its file sets. An unknown name goes into `unknown`.
fn lower_entry<'e>(
    lowering: &mut Lowering<'_, '_>,
    entry: &'e VarFileEntry,
    is_read: bool,
    sets: &dyn Fn(&str) -> bool,
    unknown: &mut Vec<&'e Ident>,
) -> Option<Setting> {
    let VarFileEntry { name, value, span } = entry;
    let declared = lowering
        .view()
        .find(VARIABLES, &name.text)
        .map(|(id, _)| *id);
    let id = match declared {
        Some(id) => {
            if lowering.report_removed(id, name) {
                return None;
            }
            lowering.check_deprecated(id, name.span, Spelling::Json, sets);
            id
        }
        None => {
            if !is_read {
                unknown.push(name);
            }
            lowering.extra(Owner::Packer, name)
        }
    };
    let is_secret = lowering.variables[id].is_secret
        || (declared.is_none() && lowering.is_nearly_secret(&name.text));
    let text = match value {
        Given::Text(text) => {
            if is_secret {
                lowering.hide_text(text, *span);
            }
            text.clone()
        }
        Given::Other(what, json) => {
            if is_secret {
                lowering.sources.hide(*span);
            }
            let reported = report_not_a_string(lowering, entry, id, what, json.as_ref());
            return Some(Setting::replace(
                id,
                name.span,
                Expr::missing(reported, *span),
            ));
        }
    };
    let (value, had_quotes) = match lower_value(lowering, id, text, *span) {
        Ok(lowered) => lowered,
        Err(reported) => {
            return Some(Setting::replace(
                id,
                name.span,
                Expr::missing(reported, *span),
            ));
        }
    };
    lowering.check_secret(id, &value, Spelling::Json);
    lowering.check_args(id, &value);
    let value = lowering.read_args_file(id, value);
    Some(Setting {
        variable: id,
        change: Change::Replace,
        value,
        is_final: false,
        condition: None,
        span: name.span.to(*span),
        name_span: name.span,
        had_quotes,
    })
}

/// Says which names of a file nothing knows. Those of a checkout are its release's, and each of the others is a
/// mistake; the built-in library is of one release, and the file may be for another.
fn report_unknown_names(
    lowering: &mut Lowering<'_, '_>,
    names: &[&Ident],
    sets: &dyn Fn(&str) -> bool,
) {
    if lowering.adopted.is_some() {
        for name in names {
            let found = Diagnostic::new(
                Code::UnknownJsonName,
                name.span,
                format!("unknown variable `{}`", name.text),
            );
            let found = suggest_name(lowering, found, name, sets);
            let has_way_out = !found.fixes.is_empty() || found.help.is_some();
            lowering.warn(if has_way_out {
                found
            } else {
                found.help("remove it, because nothing reads it; if your own template reads it, set it in a `packer { }` block")
            });
        }
        return;
    }
    let [first, others @ ..] = names else { return };
    let shown: Vec<String> = names
        .iter()
        .take(3)
        .map(|name| format!("`{}`", name.text))
        .collect();
    let rest = names.len() - shown.len();
    let more = if rest > 0 {
        format!(" and {rest} more names")
    } else {
        String::new()
    };
    let release = lowering.edition.release;
    let message = format!(
        "the variables of Image Builder {release} do not include {}{more}",
        shown.join(", ")
    );
    let mut found = suggest_name(
        lowering,
        Diagnostic::new(Code::UnknownJsonName, first.span, message),
        first,
        sets,
    );
    for name in others.iter().take(MOST_NAMES) {
        let one = suggest_name(
            lowering,
            Diagnostic::new(Code::UnknownJsonName, name.span, ""),
            name,
            sets,
        );
        let text = if one.primary.text.is_empty() {
            "this one is unknown too".to_owned()
        } else {
            one.primary.text
        };
        found = found.related(name.span, text);
        found.fixes.extend(one.fixes);
    }
    let other = names
        .iter()
        .take(MOST_NAMES)
        .find_map(|name| release.help_for("variable", &name.text));
    let help = other.map_or_else(
        || {
            "for another release, name its checkout with `--in CHECKOUT`; set what your own template reads in a `packer { }` block"
                .to_owned()
        },
        |(_, help)| help,
    );
    lowering.warn(found.help(help));
}

/// Names what was probably meant.
fn suggest_name(
    lowering: &Lowering<'_, '_>,
    found: Diagnostic,
    name: &Ident,
    sets: &dyn Fn(&str) -> bool,
) -> Diagnostic {
    match lowering.nearest_variable(&name.text) {
        Some(near) if sets(&near) => found.label(format!("did you mean `{near}`?")).help(format!(
            "move the value to `{near}`, which is also set in this file"
        )),
        // A name with a letter or a word more may be one of another release.
        Some(near) if name.text.starts_with(near.as_str()) => {
            found.label(format!("did you mean `{near}`?"))
        }
        Some(near) => found.label(format!("did you mean `{near}`?")).fix(
            format!("replace it with `{near}`"),
            name.span,
            format!("\"{near}\""),
        ),
        None => found,
    }
}

fn lower_value(
    lowering: &mut Lowering<'_, '_>,
    id: VarId,
    text: SmolStr,
    span: Span,
) -> Result<(Expr, bool), Reported> {
    let variable = &lowering.variables[id];
    let (ty, encoding, is_secret) = (variable.ty.clone(), variable.encoding, variable.is_secret);
    let is_text = matches!(ty.base, Base::Args)
        || !(variable.has_packer_braces() || is_filled_by_packer(variable, &text));
    if is_text || !text.contains("{{") {
        if let Base::Args = ty.base {
            lowering.hide_arguments(&text, span);
            check_references(lowering, &text, span, is_secret);
        }
        let known = text.clone();
        let decoded = match decode(&ty, encoding, &Text::Plain(text)) {
            Ok(decoded) => decoded,
            Err(mismatch) => {
                return Err(report_mismatch(lowering, id, &known, &mismatch, span));
            }
        };
        let divided = find_separator(&lowering.variables[id], &known).filter(|_| !is_secret);
        if check_value(&ty, &decoded.value).is_err()
            && let Some(divided) = &divided
        {
            let mut found = wrong_separator(lowering, id, divided, span);
            found.severity = Severity::Error;
            return Err(lowering.report(found));
        }
        lowering.check_decoded(id, &decoded.value, span)?;
        if let Some(divided) = &divided {
            let found = wrong_separator(lowering, id, divided, span);
            lowering.warn(found);
        }
        // A path of Packer's own starts from where Packer runs, one of `--set` from here.
        let value = if lowering.sources.get(span.file).path.ends_with("--set") {
            locate_value(lowering, &ty, decoded.value, span)
        } else {
            decoded.value
        };
        return Ok((Expr::constant(value, span), decoded.had_quotes));
    }
    let inner = inside_quotes(&ty, &text);
    let mut parts = Vec::new();
    for (_, piece) in parse_braces(inner.unwrap_or(&text)) {
        let kind = match piece {
            Braced::Text(text) => ExprKind::Const(Value::text(text)),
            Braced::Env(name) => ExprKind::Const(Value::piece(Piece::Env(name.into()))),
            Braced::User(name) => ExprKind::Encoded(lowering.reference(name, span, is_secret)?),
            Braced::Other(text, names) => {
                let ids: Vec<_> = names
                    .iter()
                    .filter_map(|n| lowering.reference(n, span, is_secret).ok())
                    .collect();
                lowering.check_packer_secrets(text, &ids, span, is_secret)?;
                ExprKind::Packer(text.into(), ids.into())
            }
            Braced::Bad(text, reason) => {
                return Err(lowering.report_literal_braces(span, text, reason, is_secret));
            }
        };
        parts.push(Expr { kind, span });
    }
    let joined = Expr {
        kind: ExprKind::Concat(parts),
        span,
    };
    Ok((
        Expr {
            kind: ExprKind::Decoded(id, Box::new(joined)),
            span,
        },
        inner.is_some(),
    ))
}

/// True for a template that is all of a base64 variable's string: what fills it is base64 already.
pub(crate) fn is_filled_by_packer(variable: &Variable, text: &str) -> bool {
    let is_whole = matches!(
        &parse_braces(text)[..],
        [(_, Braced::User(_) | Braced::Env(_) | Braced::Other(..))]
    );
    is_whole && variable.encoding == Encoding::Base64 && variable.to.has(Receivers::PACKER)
}

/// Returns the content of the quotes inside a string with Packer expressions; [`decode`] does it for other strings.
pub(crate) fn inside_quotes<'t>(ty: &Type, text: &'t str) -> Option<&'t str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let holds = |wanted: char| {
        let pieces = parse_braces(inner);
        pieces
            .iter()
            .any(|(_, piece)| matches!(piece, Braced::Text(text) if text.contains(wanted)))
    };
    let is_quoted = match &ty.base {
        Base::List(_) => true,
        Base::Bool | Base::Int | Base::Map(_) | Base::Args => false,
        _ => holds(' '),
    };
    (is_quoted && !holds('"')).then_some(inner)
}

/// Says why a string is no value of its variable.
fn report_mismatch(
    lowering: &mut Lowering<'_, '_>,
    id: VarId,
    text: &str,
    mismatch: &Mismatch,
    span: Span,
) -> Reported {
    let variable = &lowering.variables[id];
    let name = &variable.name;
    if text.is_empty() {
        let is_null = lowering.sources.slice(span) == "null";
        let message = format!("`{name}`: {}", is_no_value(&variable.ty, is_null));
        let found = Diagnostic::new(Code::TypeMismatch, span, message);
        return lowering
            .report(found.help("remove it to keep the default: the variable must have a value"));
    }
    let message = format!("`{name}`: {}", mismatch.message(variable.is_secret));
    let found = Diagnostic::new(Code::TypeMismatch, span, message);
    let meant = meant_flag(variable, text).filter(|_| !variable.is_secret);
    let is_argument = lowering.sources.origin(span.file) == Origin::Argument;
    lowering.report(match meant {
        Some(flag) => {
            let text = if is_argument {
                flag.to_string()
            } else {
                format!("\"{flag}\"")
            };
            found.fix(format!("write {text}"), span, text)
        }
        None => found,
    })
}

/// The message for an empty string, or a `null` in its place, that is not a value of a type.
pub(crate) fn is_no_value(ty: &Type, is_null: bool) -> String {
    let wanted = match ty.base {
        Base::Int => "an integer".to_owned(),
        _ => ty.in_words(),
    };
    if is_null {
        format!("`null` is not {wanted}; Packer reads it as an empty string")
    } else {
        format!("`\"\"` is not {wanted}")
    }
}

/// The bool that a word means to Ansible. A variable whose string must be `True` or `False` goes on as it is, and
/// there the words differ.
pub(crate) fn meant_flag(variable: &Variable, text: &str) -> Option<bool> {
    let is_flag = matches!(variable.ty.base, Base::Bool) && variable.encoding == Encoding::Flag;
    ansible_bool(text).filter(|_| is_flag)
}

/// The paths of a value, as absolute ones.
fn locate_value(lowering: &mut Lowering<'_, '_>, ty: &Type, value: Value, span: Span) -> Value {
    if let (Value::List(elements), Some(element)) = (&value, ty.element()) {
        let located = elements
            .iter()
            .map(|e| locate_value(lowering, element, e.clone(), span));
        return Value::list(located.collect());
    }
    let Some(location) = lowering.location(Expected {
        ty: Some(ty),
        ..Expected::PLAIN
    }) else {
        return value;
    };
    match lowering.locate(ExprKind::Const(value.clone()), location, span) {
        Ok(ExprKind::Const(located)) => located,
        _ => value,
    }
}

/// A list's string whose elements are probably divided by another separator than its own.
pub(crate) struct Divided {
    given: char,
    /// What divides the elements of this list.
    pub separator: &'static str,
    /// What is one element so.
    pub element: String,
    /// The string with the right separator.
    pub written: String,
}

/// Finds another separator than the variable's own.
pub(crate) fn find_separator(variable: &Variable, text: &str) -> Option<Divided> {
    let element = variable
        .ty
        .element()
        .filter(|_| matches!(variable.ty.base, Base::List(_)))?;
    let text = inside_quotes(&variable.ty, text).unwrap_or(text);
    let (given, separator, element_text, parts): (char, &str, &str, Vec<&str>) = match variable
        .encoding
    {
        Encoding::Words => {
            let one = text
                .split_whitespace()
                .find(|word| has_comma_between(word))?;
            let parts = text.split(|c: char| c.is_whitespace() || c == ',');
            (
                ',',
                "spaces",
                one,
                parts.filter(|part| !part.is_empty()).collect(),
            )
        }
        Encoding::Commas if !text.contains(',') && text.trim().contains(char::is_whitespace) => (
            ' ',
            "commas",
            text.trim(),
            text.split_whitespace().collect(),
        ),
        _ => return None,
    };
    let is_element = |part: &&str| {
        let decoded = decode(element, Encoding::Plain, &Text::Plain(SmolStr::new(part)));
        decoded.is_ok_and(|decoded| check_value(element, &decoded.value).is_ok())
    };
    let written = parts.join(if given == ',' { " " } else { "," });
    let divided = Divided {
        given,
        separator,
        element: element_text.to_owned(),
        written,
    };
    parts.iter().all(is_element).then_some(divided)
}

fn wrong_separator(
    lowering: &Lowering<'_, '_>,
    id: VarId,
    divided: &Divided,
    span: Span,
) -> Diagnostic {
    let name = &lowering.variables[id].name;
    let source = lowering.sources.slice(span);
    let at = source.find(divided.given).map_or(span, |at| {
        let start = span.start + at as u32;
        Span::new(span.file, start, start + 1)
    });
    let is_argument = lowering.sources.origin(span.file) == Origin::Argument;
    let written = divided.written.clone();
    let text = if is_argument {
        written
    } else {
        serde_json::Value::from(written).to_string()
    };
    let message = format!(
        "the elements of `{name}` must be separated by {}",
        divided.separator
    );
    Diagnostic::new(Code::WrongSeparator, at, message)
        .label(format!("this makes `{}` one element", divided.element))
        .fix(format!("write {text}"), span, text)
}

/// True where a comma seems to divide elements: not in an address, nor behind an option's `=`.
fn has_comma_between(text: &str) -> bool {
    text.split_once(',')
        .is_some_and(|(before, _)| !before.contains('=') && !before.contains("://"))
}

fn check_references(lowering: &mut Lowering<'_, '_>, text: &str, span: Span, is_secret: bool) {
    for (_, piece) in parse_braces(text) {
        match piece {
            Braced::User(name) => {
                // An unknown one is reported, and the arguments go on as they are.
                let _ = lowering.reference(name, span, is_secret);
            }
            Braced::Bad(text, reason) => {
                lowering.report_literal_braces(span, text, reason, is_secret);
            }
            Braced::Other(text, names) => {
                let ids: Vec<_> = names
                    .iter()
                    .filter_map(|name| lowering.find_variable(name))
                    .collect();
                let _ = lowering.check_packer_secrets(text, &ids, span, is_secret);
            }
            Braced::Text(_) | Braced::Env(_) => {}
        }
    }
}
