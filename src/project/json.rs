//! JSON var files and `--set` arguments as layers.
//!
//! Packer takes an object of strings, nothing else (`command/flag-kv/flag_json.go`); `null` means
//! empty. Values are decoded by their variable's type; names that nothing declares are undeclared
//! Packer variables.

use super::braces::{Braced, parse_braces};
use super::hir::*;
use super::lower::Lowering;
use super::names::VARIABLES;
use crate::diagnostic::{Code, Diagnostic};
use crate::schema::{Base, Piece, Text, Value, decode};
use crate::source::{FileId, Span};
use crate::syntax::ast::Ident;
use jsonc_parser::ast as json;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use smol_str::SmolStr;

/// The entries of a JSON var file; what is wrong with it is reported.
fn parse_entries(file: FileId, text: &str, out: &mut Vec<Diagnostic>) -> Vec<(Ident, Span, Option<SmolStr>)> {
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
    let Some(json::Value::Object(object)) = parsed.value else {
        let whole = Span::new(file, 0, text.len() as u32);
        out.push(
            Diagnostic::new(Code::JsonNotAString, whole, "a var file is one JSON object")
                .help("write `{ \"name\": \"value\" }`"),
        );
        return Vec::new();
    };
    let mut entries: Vec<(Ident, Span, Option<SmolStr>)> = Vec::with_capacity(object.properties.len());
    for property in object.properties {
        let (name, name_range) = match property.name {
            json::ObjectPropName::String(name) => (SmolStr::new(name.value), name.range),
            json::ObjectPropName::Word(name) => (SmolStr::new(name.value), name.range),
        };
        let name = Ident { text: name, span: span(name_range) };
        let value = match property.value {
            json::Value::StringLit(text) => Some((span(text.range), Some(SmolStr::new(text.value)))),
            json::Value::NullKeyword(null) => Some((span(null.range), None)),
            json::Value::BooleanLit(flag) => {
                report_not_a_string(
                    &name,
                    span(flag.range),
                    "a bool",
                    Some(format!("\"{}\"", flag.value)),
                    out,
                );
                None
            }
            json::Value::NumberLit(number) => {
                report_not_a_string(
                    &name,
                    span(number.range),
                    "a number",
                    Some(format!("\"{}\"", number.value)),
                    out,
                );
                None
            }
            json::Value::Array(array) => {
                report_not_a_string(&name, span(array.range), "a list", None, out);
                None
            }
            json::Value::Object(object) => {
                report_not_a_string(&name, span(object.range), "an object", None, out);
                None
            }
        };
        let Some((value_span, value)) = value else {
            continue;
        };
        if let Some(first) = entries.iter().find(|(n, ..)| n.text == name.text) {
            out.push(
                Diagnostic::new(
                    Code::DuplicateSetting,
                    name.span,
                    format!("`{}` stands twice in this file", name.text),
                )
                .related(first.0.span, "first here")
                .help("Packer takes the last one without a word; remove one"),
            );
        }
        entries.push((name, value_span, value));
    }
    entries
}

fn report_not_a_string(
    name: &Ident,
    span: Span,
    what: &str,
    repair: Option<String>,
    out: &mut Vec<Diagnostic>,
) {
    let found = Diagnostic::new(
        Code::JsonNotAString,
        span,
        format!("`{}` is {what}; Packer takes only strings", name.text),
    );
    out.push(match repair {
        Some(text) => found.label("write it as a string").fix(format!("write {text}"), span, text),
        None => found.help("write its elements in one string, in the way that the variable wants"),
    });
}

/// Notes the names of a JSON var file that nothing declares, before expressions may read them.
pub(super) fn declare_extras(lowering: &mut Lowering<'_>, file: FileId) {
    let text = lowering.sources.get(file).text.clone();
    for (name, ..) in parse_entries(file, &text, &mut Vec::new()) {
        if lowering.view().find(VARIABLES, &name.text).is_none() {
            lowering.extra(Owner::Packer, &name);
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
        .filter_map(|(_, _, value)| value.as_deref())
        .flat_map(parse_braces)
        .flat_map(|(_, piece)| match piece {
            Braced::User(name) => vec![SmolStr::new(name)],
            Braced::Other(_, names) => names.into_iter().map(SmolStr::new).collect(),
            _ => Vec::new(),
        })
        .collect();
    let mut settings = Vec::with_capacity(entries.len());
    for (name, span, value) in entries {
        let is_read = referenced.contains(&name.text);
        settings.extend(lower_entry(lowering, &name, value, span, is_read));
    }
    lowering.sections[id.0 as usize].settings = settings;
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
        lowering.report_unknown_variable(&name, false);
        return;
    }
    let setting = lower_entry(lowering, &name, Some(SmolStr::new(value)), span, true);
    lowering.sections[id.0 as usize].settings.extend(setting);
}

fn lower_entry(
    lowering: &mut Lowering<'_>,
    name: &Ident,
    value: Option<SmolStr>,
    span: Span,
    is_read: bool,
) -> Option<Setting> {
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
            lowering.check_deprecated(id, name.span);
            id
        }
        None => {
            if !is_read {
                report_unknown_name(lowering, name);
            }
            lowering.extra(Owner::Packer, name)
        }
    };
    let (value, had_quotes) = lower_value(lowering, id, value.unwrap_or_default(), span)?;
    lowering.check_secret(id, &value);
    lowering.read_args_file(id, &value);
    Some(Setting {
        variable: id,
        change: Change::Replace,
        value,
        is_final: false,
        condition: None,
        span: name.span.to(span),
        name_span: name.span,
        had_quotes,
    })
}

fn report_unknown_name(lowering: &mut Lowering<'_>, name: &Ident) {
    let found = Diagnostic::new(
        Code::UnknownJsonName,
        name.span,
        format!("nothing knows the variable `{}`", name.text),
    );
    let found = match lowering.nearest_variable(&name.text) {
        Some(near) => found.label(format!("did you mean `{near}`?")).fix(
            format!("write `{near}`"),
            name.span,
            format!("\"{near}\""),
        ),
        None => found.help(
            "Packer takes it without a word; if your own template reads it, say so in a `packer { }` block",
        ),
    };
    lowering.report(found);
}

fn lower_value(lowering: &mut Lowering<'_>, id: VarId, text: SmolStr, span: Span) -> Option<(Expr, bool)> {
    let variable = &lowering.variables[id.0 as usize];
    let (ty, encoding) = (variable.ty.clone(), variable.encoding);
    let is_text = matches!(ty.base, Base::Args) || !variable.has_packer_braces();
    if is_text || !text.contains("{{") {
        if let Base::Args = ty.base {
            check_references(lowering, &text, span);
        }
        let decoded = match decode(&ty, encoding, &Text::Plain(text)) {
            Ok(decoded) => decoded,
            Err(message) => {
                let message = format!("`{}`: {message}", lowering.variables[id.0 as usize].name);
                lowering.report(Diagnostic::new(Code::TypeMismatch, span, message));
                return None;
            }
        };
        // A JSON `null` or `""` is empty for every text.
        let is_empty_text = decoded.value == Value::text("") && ty.is_text();
        if !is_empty_text && !lowering.check_decoded(id, &decoded.value, span) {
            return None;
        }
        return Some((Expr::constant(decoded.value, span), decoded.had_quotes));
    }
    let mut parts = Vec::new();
    for (_, piece) in parse_braces(&text) {
        let kind = match piece {
            Braced::Text(text) => ExprKind::Const(Value::text(text)),
            Braced::Env(name) => ExprKind::Const(Value::piece(Piece::Env(name.into()))),
            Braced::User(name) => ExprKind::Encoded(lowering.reference(name, span)?),
            Braced::Other(text, names) => {
                let ids = names.iter().filter_map(|n| lowering.reference(n, span)).collect();
                ExprKind::Packer(text.into(), ids)
            }
            Braced::Bad(text, reason) => {
                lowering.report_literal_braces(span, text, reason);
                return None;
            }
        };
        parts.push(Expr { kind, span });
    }
    let joined = Expr { kind: ExprKind::Concat(parts), span };
    Some((Expr { kind: ExprKind::Decoded(id, Box::new(joined)), span }, false))
}

fn check_references(lowering: &mut Lowering<'_>, text: &str, span: Span) {
    for (_, piece) in parse_braces(text) {
        match piece {
            Braced::User(name) => {
                lowering.reference(name, span);
            }
            Braced::Bad(text, reason) => lowering.report_literal_braces(span, text, reason),
            _ => {}
        }
    }
}
