//! JSON var files and `--set` arguments as layers.
//!
//! Packer takes an object of strings, nothing else (`command/flag-kv/flag_json.go`); `null` means
//! empty. Values are decoded by their variable's type; names that nothing declares are undeclared
//! Packer variables.

use super::hir::*;
use super::lower::{Lowering, edit};
use super::names::VARIABLES;
use super::notices::Spelling;
use crate::diagnostic::{Code, Diagnostic};
use crate::schema::braces::{Braced, parse_braces};
use crate::schema::{Base, Piece, Text, Value, decode};
use crate::source::{FileId, Span};
use crate::syntax::ast::Ident;
use jsonc_parser::ast as json;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use smol_str::SmolStr;

/// One entry of a JSON var file.
struct Entry {
    name: Ident,
    value: Given,
    /// The value's place.
    span: Span,
}

/// What a JSON var file gives for a name.
enum Given {
    Text(SmolStr),
    /// What it is instead of a string, and how it would be one.
    Other(&'static str, Option<String>),
}

/// The entries of a JSON var file; what is wrong with the file as a whole is reported.
fn parse_entries(file: FileId, text: &str, out: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let span = |range: jsonc_parser::common::Range| Span::new(file, range.start as u32, range.end as u32);
    let parsed = match parse_to_ast(text, &CollectOptions::default(), &strict) {
        Ok(parsed) => parsed,
        Err(error) => {
            out.push(Diagnostic::new(
                Code::JsonSyntax,
                span(error.range()),
                format!("this is not JSON: {}", error.kind()),
            ));
            return Vec::new();
        }
    };
    let whole = Span::new(file, 0, text.len() as u32);
    let object = match parsed.value {
        Some(json::Value::Object(object)) => object,
        other => {
            let (code, message) = match other {
                Some(_) => (Code::JsonNotAString, "a var file is one JSON object"),
                None => (Code::JsonSyntax, "this is not JSON: the file is empty"),
            };
            out.push(Diagnostic::new(code, whole, message).help("write `{ \"name\": \"value\" }`"));
            return Vec::new();
        }
    };
    let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
    for property in object.properties {
        let (name, name_range) = match property.name {
            json::ObjectPropName::String(name) => (SmolStr::new(name.value), name.range),
            json::ObjectPropName::Word(name) => (SmolStr::new(name.value), name.range),
        };
        let name = Ident { text: name, span: span(name_range) };
        let (range, value) = match property.value {
            json::Value::StringLit(text) => (text.range, Given::Text(SmolStr::new(text.value))),
            json::Value::NullKeyword(null) => (null.range, Given::Text(SmolStr::default())),
            json::Value::BooleanLit(flag) => {
                (flag.range, Given::Other("a bool", Some(format!("\"{}\"", flag.value))))
            }
            json::Value::NumberLit(number) => {
                (number.range, Given::Other("a number", Some(format!("\"{}\"", number.value))))
            }
            json::Value::Array(array) => (array.range, Given::Other("a list", None)),
            json::Value::Object(object) => (object.range, Given::Other("an object", None)),
        };
        if let Some(first) = entries.iter().find(|e| e.name.text == name.text) {
            out.push(
                Diagnostic::new(
                    Code::DuplicateSetting,
                    name.span,
                    format!("`{}` stands twice in this file", name.text),
                )
                .related(first.name.span, "first here")
                .help("Packer takes the last one without a word; remove one"),
            );
        }
        entries.push(Entry { name, value, span: span(range) });
    }
    entries
}

/// The entries of a JSON object, or of the object under one of its keys: names with the bytes that they take.
pub(super) fn entries_of(text: &str, below: Option<&str>) -> Vec<(SmolStr, std::ops::Range<usize>)> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let mut value = parsed.ok().and_then(|parsed| parsed.value);
    if let Some(key) = below {
        value = match value {
            Some(json::Value::Object(object)) => {
                let mut properties = object.properties.into_iter();
                properties.rfind(|property| property.name.as_str() == key).map(|property| property.value)
            }
            _ => None,
        };
    }
    let Some(json::Value::Object(object)) = value else { return Vec::new() };
    let entry = |property: &json::ObjectProp<'_>| {
        (SmolStr::new(property.name.as_str()), property.range.start..property.range.end)
    };
    object.properties.iter().map(entry).collect()
}

fn report_not_a_string(
    lowering: &mut Lowering<'_>,
    entry: &Entry,
    id: VarId,
    what: &str,
    repair: Option<&String>,
) {
    let message = format!("`{}` is {what}; Packer takes only strings", entry.name.text);
    let found = Diagnostic::new(Code::JsonNotAString, entry.span, message);
    let is_secret = lowering.variables[id.0 as usize].is_secret;
    lowering.report(match repair {
        Some(text) if !is_secret => {
            found.label("write it as a string").fix(format!("write {text}"), entry.span, text)
        }
        Some(_) => found.label("write it as a string"),
        None => found.help("write its elements in one string, in the way that the variable wants"),
    });
}

/// Notes the names of a JSON var file that nothing declares, before expressions may read them.
pub(super) fn declare_extras(lowering: &mut Lowering<'_>, file: FileId) {
    let text = lowering.sources.get(file).text.clone();
    for entry in parse_entries(file, &text, &mut Vec::new()) {
        if lowering.view().find(VARIABLES, &entry.name.text).is_none() {
            lowering.extra(Owner::Packer, &entry.name);
        }
    }
}

/// Lowers a JSON var file into the settings of its section.
pub(super) fn lower_layer(lowering: &mut Lowering<'_>, file: FileId, id: SectionId) {
    let text = lowering.sources.get(file).text.clone();
    let mut found = Vec::new();
    let entries = parse_entries(file, &text, &mut found);
    lowering.diagnostics.extend(found);
    let referenced: Vec<SmolStr> = entries
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
    for entry in &entries {
        let is_read = referenced.contains(&entry.name.text);
        let sets = |name: &str| entries.iter().any(|e| e.name.text == name);
        settings.extend(lower_entry(lowering, entry, is_read, &sets));
    }
    if let Some(section) = edit(&mut lowering.sections, id.0) {
        section.settings = settings;
    }
}

/// `--set name=value`
pub(super) fn lower_argument(lowering: &mut Lowering<'_>, file: FileId, id: SectionId) {
    let text = lowering.sources.get(file).text.clone();
    let Some((name, value)) = text.split_once('=') else {
        let whole = Span::new(file, 0, text.len() as u32);
        lowering.report(Diagnostic::new(Code::Syntax, whole, "expected `--set name=value`"));
        return;
    };
    let start = name.len() as u32;
    let span = Span::new(file, start + 1, text.len() as u32);
    let name = Ident { text: SmolStr::new(name.trim()), span: Span::new(file, 0, start) };
    if lowering.find_variable(&name.text).is_none() {
        if lowering.is_nearly_secret(&name.text) {
            lowering.sources.hide(span);
        }
        lowering.report_unknown_variable(&name, false);
        return;
    }
    let entry = Entry { name, value: Given::Text(SmolStr::new(value)), span };
    let setting = lower_entry(lowering, &entry, true, &|_| false);
    if let Some(section) = edit(&mut lowering.sections, id.0) {
        section.settings.extend(setting);
    }
}

/// Lowers an entry; `sets` says what else its file sets.
fn lower_entry(
    lowering: &mut Lowering<'_>,
    entry: &Entry,
    is_read: bool,
    sets: &dyn Fn(&str) -> bool,
) -> Option<Setting> {
    let Entry { name, value, span } = entry;
    let declared = lowering.view().find(VARIABLES, &name.text).map(|(id, _)| *id);
    let id = match declared {
        Some(id) => {
            if let Some(removed) = lowering.variables[id.0 as usize].removed.clone() {
                lowering.report(
                    Diagnostic::new(Code::RemovedVariable, name.span, format!("`{}` is gone", name.text))
                        .help(removed.to_string()),
                );
                return None;
            }
            lowering.check_deprecated(id, name.span, Spelling::Json, sets);
            id
        }
        None => {
            if !is_read {
                report_unknown_name(lowering, name, sets);
            }
            lowering.extra(Owner::Packer, name)
        }
    };
    let is_secret = lowering.variables[id.0 as usize].is_secret
        || (declared.is_none() && lowering.is_nearly_secret(&name.text));
    let text = match value {
        Given::Text(text) => {
            if is_secret {
                lowering.hide_text(text, *span);
            }
            text.clone()
        }
        Given::Other(what, repair) => {
            if is_secret {
                lowering.sources.hide(*span);
            }
            report_not_a_string(lowering, entry, id, what, repair.as_ref());
            return None;
        }
    };
    let (value, had_quotes) = lower_value(lowering, id, text, *span)?;
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

fn report_unknown_name(lowering: &mut Lowering<'_>, name: &Ident, sets: &dyn Fn(&str) -> bool) {
    let found = Diagnostic::new(
        Code::UnknownJsonName,
        name.span,
        format!("nothing knows the variable `{}`", name.text),
    );
    lowering.report(match lowering.nearest_variable(&name.text) {
        Some(near) if sets(&near) => {
            found.label(format!("did you mean `{near}`?")).help(format!("`{near}` is set here too"))
        }
        Some(near) => found.label(format!("did you mean `{near}`?")).fix(
            format!("write `{near}`"),
            name.span,
            format!("\"{near}\""),
        ),
        None => found.help(
            "Packer takes it without a word; if your own template reads it, say so in a `packer { }` block",
        ),
    });
}

fn lower_value(lowering: &mut Lowering<'_>, id: VarId, text: SmolStr, span: Span) -> Option<(Expr, bool)> {
    let variable = &lowering.variables[id.0 as usize];
    let (ty, encoding, is_secret) = (variable.ty.clone(), variable.encoding, variable.is_secret);
    let is_text = matches!(ty.base, Base::Args) || !variable.has_packer_braces();
    if is_text || !text.contains("{{") {
        if let Base::Args = ty.base {
            check_references(lowering, &text, span, is_secret);
        }
        let decoded = match decode(&ty, encoding, &Text::Plain(text)) {
            Ok(decoded) => decoded,
            Err(mismatch) => {
                let name = &lowering.variables[id.0 as usize].name;
                let message = format!("`{name}`: {}", mismatch.message(is_secret));
                lowering.report(Diagnostic::new(Code::TypeMismatch, span, message));
                return None;
            }
        };
        if !lowering.check_decoded(id, &decoded.value, span) {
            return None;
        }
        return Some((Expr::constant(decoded.value, span), decoded.had_quotes));
    }
    let mut parts = Vec::new();
    for (_, piece) in parse_braces(&text) {
        let kind = match piece {
            Braced::Text(text) => ExprKind::Const(Value::text(text)),
            Braced::Env(name) => ExprKind::Const(Value::piece(Piece::Env(name.into()))),
            Braced::User(name) => ExprKind::Encoded(lowering.reference(name, span, is_secret)?),
            Braced::Other(text, names) => {
                let ids = names.iter().filter_map(|n| lowering.reference(n, span, is_secret)).collect();
                ExprKind::Packer(text.into(), ids)
            }
            Braced::Bad(text, reason) => {
                lowering.report_literal_braces(span, text, reason, is_secret);
                return None;
            }
        };
        parts.push(Expr { kind, span });
    }
    let joined = Expr { kind: ExprKind::Concat(parts), span };
    Some((Expr { kind: ExprKind::Decoded(id, Box::new(joined)), span }, false))
}

fn check_references(lowering: &mut Lowering<'_>, text: &str, span: Span, is_secret: bool) {
    for (_, piece) in parse_braces(text) {
        match piece {
            Braced::User(name) => {
                lowering.reference(name, span, is_secret);
            }
            Braced::Bad(text, reason) => lowering.report_literal_braces(span, text, reason, is_secret),
            _ => {}
        }
    }
}
