//! Completion. What is wanted is read off the line before the cursor, so that a half-typed line is no obstacle.

use super::cursor::Named;
use super::cursor::section_at;
use super::hover::{describe, find_section};
use crate::emit::find_reach;
use crate::eval::evaluate;
use crate::project::Program;
use crate::project::hir::*;
use crate::schema::{Base, Type};
use crate::source::FileId;
use crate::syntax::ast;
use lsp_types::{
    CompletionItem, CompletionItemKind, Documentation, InsertTextFormat, MarkupContent, MarkupKind,
};

/// What can stand at an offset of a spec.
pub fn complete(
    program: &Program,
    file: FileId,
    text: &str,
    ast: &ast::File,
    offset: usize,
    has_snippets: bool,
) -> Vec<CompletionItem> {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = &text[start..offset];
    let section = section_at(ast, offset as u32);
    let word = line.len() - line.trim_end_matches(is_word).len();
    let before = line[..line.len() - word].trim_end();
    if is_in_comment(line) {
        return Vec::new();
    }
    if let Some((_, parents)) = line.rsplit_once("extends ")
        && !parents.contains('{')
    {
        return sections(program, file);
    }
    let header = before.trim_start();
    if section.is_none() {
        return match header {
            "" => items(has_snippets),
            _ => Vec::new(),
        };
    }
    match before.rsplit_once(['=', ',', '{']) {
        Some((left, "")) if before.ends_with('=') => {
            let name =
                left.trim_end_matches(['+', '-', ' ']).rsplit(|c: char| !is_word(c)).next().unwrap_or("");
            values(program, file, name, text[..offset].trim_end().ends_with("provider ="))
        }
        _ if before.ends_with(['[', '(', '+'])
            || ["in", "and", "or", "not", "if", "then", "else", "==", "!="]
                .iter()
                .any(|w| before.ends_with(w)) =>
        {
            values(program, file, "", false)
        }
        _ if header.is_empty() || header.ends_with(['{', ',']) || header == "final" || header == "unset" => {
            statements(program, file, section, has_snippets && header != "unset")
        }
        _ => Vec::new(),
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.'
}

fn is_in_comment(line: &str) -> bool {
    let mut is_quoted = false;
    line.chars().any(|c| {
        is_quoted ^= c == '"';
        c == '#' && !is_quoted
    })
}

fn item(label: &str, kind: CompletionItemKind) -> CompletionItem {
    CompletionItem { label: label.to_owned(), kind: Some(kind), ..CompletionItem::default() }
}

fn items(has_snippets: bool) -> Vec<CompletionItem> {
    ["image", "layer", "include", "variable", "type", "rule", "provider"]
        .into_iter()
        .map(|word| {
            let mut item = item(word, CompletionItemKind::KEYWORD);
            let body = match word {
                "image" => "image ${1:name} extends ${2:target} {\n    $0\n}",
                "layer" => "layer ${1:name} {\n    $0\n}",
                "include" => "include \"$1.imgspec\"",
                _ => return item,
            };
            if has_snippets {
                item.insert_text = Some(body.to_owned());
                item.insert_text_format = Some(InsertTextFormat::SNIPPET);
            }
            item
        })
        .collect()
}

fn sections(program: &Program, file: FileId) -> Vec<CompletionItem> {
    let own = program.views.get(&file).map(|view| &view.names.sections);
    let own = own.into_iter().flat_map(|names| names.iter()).map(|(name, (id, _))| (name, *id, "0"));
    let library = program.library.sections.iter().map(|(name, (id, _))| (name, *id, "1"));
    let mut out: Vec<CompletionItem> = own
        .chain(library)
        .map(|(name, id, order)| CompletionItem {
            sort_text: Some(format!("{order}{name}")),
            detail: program.section(id).doc.as_deref().and_then(|d| d.lines().next()).map(str::to_owned),
            ..item(name, CompletionItemKind::CLASS)
        })
        .collect();
    out.sort_by(|a, b| a.sort_text.cmp(&b.sort_text));
    out
}

/// Variables: those that have an effect on this image and are not set in it yet come first.
fn statements(
    program: &Program,
    file: FileId,
    section: Option<&ast::Section>,
    has_snippets: bool,
) -> Vec<CompletionItem> {
    let id = section.and_then(|s| find_section(program, file, &s.name.text));
    let set: Vec<VarId> =
        id.map(|id| program.section(id).settings.iter().map(|s| s.variable).collect()).unwrap_or_default();
    let mut image = id.and_then(|id| evaluate(program, id, None).ok());
    let reach = image.as_ref().map(find_reach);
    let mut out: Vec<CompletionItem> = Vec::new();
    for (name, id) in visible(program, file) {
        let variable = program.variable(id);
        if variable.alias_of.is_some() || variable.removed.is_some() {
            continue;
        }
        let applies = image.as_mut().is_none_or(|image| image.applies(id));
        let is_read = reach.as_ref().is_none_or(|reach| reach.reads(id));
        let order = match (set.contains(&id), applies && is_read) {
            (false, true) => '0',
            (true, _) => '1',
            (false, false) => '2',
        };
        let mut completion = item(name, CompletionItemKind::PROPERTY);
        completion.sort_text = Some(format!("{order}{name}"));
        completion.detail = Some(variable.ty.to_string());
        if has_snippets {
            completion.insert_text = Some(format!("{name} = {}", blank(&variable.ty)));
            completion.insert_text_format = Some(InsertTextFormat::SNIPPET);
        }
        completion.data = Some(serde_json::json!({ "variable": name }));
        out.push(completion);
    }
    for word in ["when", "ansible", "packer", "target", "unset", "final"] {
        let mut completion = item(word, CompletionItemKind::KEYWORD);
        completion.sort_text = Some(format!("3{word}"));
        out.push(completion);
    }
    out.sort_by(|a, b| a.sort_text.cmp(&b.sort_text));
    out
}

/// What one fills in for a value of a type.
fn blank(ty: &Type) -> &'static str {
    match ty.base {
        Base::List(_) => "[$0]",
        Base::Map(_) => "{ $0 }",
        Base::Bool | Base::Int => "$0",
        _ => "\"$0\"",
    }
}

fn visible(program: &Program, file: FileId) -> Vec<(&str, VarId)> {
    let own = program.views.get(&file).map(|view| &view.names.variables);
    let own = own.into_iter().flat_map(|names| names.iter());
    own.chain(program.library.variables.iter()).map(|(name, (id, _))| (name.as_str(), *id)).collect()
}

/// What can stand for a value of a variable: its own words first.
fn values(program: &Program, file: FileId, name: &str, is_provider: bool) -> Vec<CompletionItem> {
    if is_provider {
        return program.providers.iter().map(|p| item(&p.name, CompletionItemKind::MODULE)).collect();
    }
    let mut out: Vec<CompletionItem> = Vec::new();
    let ty = program.find_variable(Some(file), name).map(|id| &program.variable(id).ty);
    match ty.map(|ty| &ty.base) {
        Some(Base::Bool) => out.extend(["true", "false"].map(|w| item(w, CompletionItemKind::VALUE))),
        Some(Base::OneOf(choices)) => {
            out.extend(choices.iter().map(|c| item(&format!("\"{c}\""), CompletionItemKind::ENUM_MEMBER)));
        }
        _ => {}
    }
    out.iter_mut().for_each(|first| first.sort_text = Some(format!("0{}", first.label)));
    for (other, id) in visible(program, file) {
        let variable = program.variable(id);
        let fits =
            ty.is_none_or(|ty| std::mem::discriminant(&ty.base) == std::mem::discriminant(&variable.ty.base));
        let mut completion = item(other, CompletionItemKind::VARIABLE);
        completion.sort_text = Some(format!("{}{other}", if fits { '1' } else { '3' }));
        completion.detail = Some(variable.ty.to_string());
        completion.data = Some(serde_json::json!({ "variable": other }));
        out.push(completion);
    }
    for function in Function::ALL {
        let mut completion = item(function.as_str(), CompletionItemKind::FUNCTION);
        completion.sort_text = Some(format!("2{}", function.as_str()));
        completion.detail = Some(function.signature().to_owned());
        out.push(completion);
    }
    out.sort_by(|a, b| a.sort_text.cmp(&b.sort_text));
    out
}

/// Adds the documentation of a variable to its completion.
pub fn resolve(program: &Program, mut item: CompletionItem) -> CompletionItem {
    let name = item.data.as_ref().and_then(|data| data["variable"].as_str()).map(str::to_owned);
    if let Some(name) = name {
        let value =
            program.variables.iter().position(|v| v.name == name.as_str()).and_then(|at| {
                describe(program, program.variables[at].span.file, Named::Variable(&name), None)
            });
        item.documentation = value
            .map(|value| Documentation::MarkupContent(MarkupContent { kind: MarkupKind::Markdown, value }));
    }
    item
}
