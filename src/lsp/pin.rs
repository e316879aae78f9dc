//! Code actions between a value and what it follows from: a string that repeats a version is derived from it, and a derived or
//! inherited value is pinned.

use crate::emit::is_literal_secret;
use crate::eval::{Image, evaluate};
use crate::import::spell_value;
use crate::lsp::actions::{LARGEST_VALUE, indented, is_plain};
use crate::lsp::documents::Overlay;
use crate::lsp::edits::workspace_edit;
use crate::lsp::hints::Followers;
use crate::lsp::marked::path_to;
use crate::lsp::navigation::{Named, name_at, section_at};
use crate::lsp::refactor::is_path;
use crate::lsp::server::Server;
use crate::lsp::workspace::Spec;
use crate::project::Program;
use crate::project::hir::{
    Change, ExprKind, LayerKind, SectionId, Setting, VarId, Variable, linearize,
};
use crate::schema::{Base, Value};
use crate::source::part;
use crate::syntax::ast::Stmt;
use crate::syntax::{Kind, escape};
use lsp_types::{CodeAction, CodeActionKind, TextEdit};
use std::ops::Range;
use std::path::Path;

/// The most actions of a kind at one place.
const MOST: usize = 3;

/// The most bytes of a text that is compiled again to try an action: editors ask at each move of the cursor.
const LARGEST_TRIED: usize = 256 << 10;

// ---- strings that repeat a version ------------------------------------------------------------------------------------

/// A form of a version in a string, and the expression that has this form.
struct Form {
    text: String,
    spelled: String,
    /// The name alone is the expression.
    is_name: bool,
}

/// Derives the string at an offset from the versions that it repeats and that the layer or image sets or inherits.
pub(super) fn derive(server: &Server, spec: &Spec, path: &Path, at: u32) -> Vec<CodeAction> {
    let tree = &spec.syntax().tree;
    let nodes = path_to(tree, at as usize, at as usize);
    let Some(node) = nodes.last().map(|node| tree.node(*node)) else {
        return Vec::new();
    };
    let (quote, place) = match node.kind {
        Kind::string => ("\"", node.start as usize + 1..node.end as usize - 1),
        Kind::raw => ("'", node.start as usize + 1..node.end as usize - 1),
        Kind::chunk => ("", node.start as usize..node.end as usize),
        _ => return Vec::new(),
    };
    let Some(section) = section_at(&spec.syntax().file, at) else {
        return Vec::new();
    };
    let Some(id) = spec.program.find_section(spec.file, &section.name.text) else {
        return Vec::new();
    };
    let own = set_at(&section.body, at);
    let written = part(&spec.text, place.clone());
    let is_hidden = spec.program.sources.get(spec.file).hides(place.clone());
    if is_hidden || own.is_some_and(|name| !can_follow(&spec.program, spec, name)) {
        return Vec::new();
    }
    let sources = versions(&spec.program, id).into_iter();
    let sources = sources.filter(|(source, _)| Some(source.name.as_str()) != own);
    let actions = sources.filter_map(|(source, version)| {
        let forms = forms(source, &version, written);
        let new = replaced(written, &forms, quote)?;
        let whole = place.start - quote.len()..place.end + quote.len();
        let text = with(&spec.text, &whole, &new);
        is_sound(server, spec, path, id, text).then(|| CodeAction {
            title: format!("Derive this string from `{}`", source.name),
            kind: Some(CodeActionKind::REFACTOR_REWRITE),
            edit: workspace_edit(vec![(
                path.to_owned(),
                TextEdit::new(server.positions(spec).range(whole.start, whole.end), new),
            )]),
            ..CodeAction::default()
        })
    });
    actions.take(MOST).collect()
}

/// The name in the setting around an offset.
fn set_at(body: &[Stmt], at: u32) -> Option<&str> {
    body.iter().find_map(|stmt| match stmt {
        Stmt::Set(set) if set.span.start <= at && at <= set.span.end => {
            Some(set.name.text.as_str())
        }
        Stmt::When { body, .. } | Stmt::Block { body, .. } => set_at(body, at),
        _ => None,
    })
}

/// True for a variable whose value can be an interpolated string without a change of its meaning.
fn can_follow(program: &Program, spec: &Spec, name: &str) -> bool {
    let Some(id) = program.find_variable(Some(spec.file), name) else {
        // A name in an `ansible` or `packer` block.
        return true;
    };
    let variable = program.variable(id);
    // Facts are computed before other values.
    let is_fixed = variable.is_fact || variable.is_secret || is_path(&variable.ty.base);
    !is_fixed && !matches!(variable.ty.base, Base::OneOf(_))
}

/// The versions that a section sets or inherits as literals, the strongest first: those of Kubernetes' form, then others.
fn versions(program: &Program, id: SectionId) -> Vec<(&Variable, String)> {
    let mut seen: Vec<VarId> = Vec::new();
    let mut out = Vec::new();
    for layer in linearize(&program.sections, id).into_iter().rev() {
        for setting in &program.section(layer).settings {
            let variable = program.variable(setting.variable);
            let is_version = matches!(variable.ty.base, Base::Semver | Base::Version);
            if !is_version || variable.is_secret || seen.contains(&setting.variable) {
                continue;
            }
            seen.push(setting.variable);
            out.extend(literal(setting).map(|text| (variable, text)));
        }
    }
    out.sort_by_key(|(variable, _)| !matches!(variable.ty.base, Base::Semver));
    out
}

/// The string that a setting always sets.
fn literal(setting: &Setting) -> Option<String> {
    let is_always = setting.change == Change::Replace && setting.condition.is_none();
    match &setting.value.kind {
        ExprKind::Const(Value::String(text)) if is_always => {
            text.known().map(|text| text.into_owned())
        }
        _ => None,
    }
}

/// The forms in which a string can repeat a version, a longer one before a part of it.
fn forms(source: &Variable, version: &str, written: &str) -> Vec<Form> {
    let name = &source.name;
    let form = |text: String, spelled: String, is_name| Form {
        text,
        spelled,
        is_name,
    };
    let mut out = vec![form(version.to_owned(), format!("${{{name}}}"), true)];
    if let Some(bare) = version.strip_prefix('v') {
        let spelled = format!("${{trim_prefix({name}, \"v\")}}");
        out.push(form(bare.to_owned(), spelled, false));
    }
    if matches!(source.ty.base, Base::Semver)
        && let Some((series, _)) = version.rsplit_once('.')
    {
        let parts = format!("${{major({name})}}.${{minor({name})}}");
        out.push(form(series.to_owned(), format!("v{parts}"), false));
        // Without its letter, two numbers are only a series if they are alone.
        let bare = series.trim_start_matches('v');
        if written == bare {
            out.push(form(bare.to_owned(), parts, false));
        }
    }
    out.retain(|form| !form.text.is_empty());
    out
}

/// A string between quotes with expressions in place of the forms in it; none if it has none of them.
fn replaced(written: &str, forms: &[Form], quote: &str) -> Option<String> {
    let whole = forms.iter().find(|form| form.text == written);
    if let Some(form) = whole.filter(|form| form.is_name && !quote.is_empty()) {
        return Some(form.spelled.trim_matches(['$', '{', '}']).to_owned());
    }
    let plain = |text: &str| match quote {
        "'" => escape(text),
        _ => text.to_owned(),
    };
    let mut out = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(next) = part(written, at..).chars().next() {
        let found = forms.iter().find(|form| is_form(written, at, &form.text));
        match found {
            Some(form) => {
                out += &plain(part(written, done..at));
                out += &form.spelled;
                at += form.text.len();
                done = at;
            }
            None => at += next.len_utf8(),
        }
    }
    let quotes = if quote.is_empty() { "" } else { "\"" };
    (done > 0).then(|| format!("{quotes}{out}{}{quotes}", plain(part(written, done..))))
}

/// True if a version is at an offset of a string, and is not a part of a longer one.
fn is_form(text: &str, at: usize, version: &str) -> bool {
    let (before, rest) = (part(text, ..at), part(text, at..));
    let Some(behind) = rest.strip_prefix(version) else {
        return false;
    };
    // `v1.6.2` has the version 1.6.2.
    let before = before.strip_suffix('v').unwrap_or(before);
    let begins = !before.ends_with(|c: char| c.is_alphanumeric() || c == '.');
    let mut behind = behind.chars();
    let (first, second) = (behind.next(), behind.next());
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    begins && !is_digit(first) && !(first == Some('.') && is_digit(second))
}

// ---- values that are derived or inherited -----------------------------------------------------------------------------

/// Pins values that an image does not set itself: that of the variable named at an offset, and those of the defaults that
/// follow from the setting there.
pub(super) fn pin(
    server: &Server,
    spec: &Spec,
    path: &Path,
    image: &Image<'_>,
    at: u32,
) -> Vec<CodeAction> {
    let ast = &spec.syntax().file;
    let Some(section) = section_at(ast, at) else {
        return Vec::new();
    };
    let around = |stmt: &&Stmt| stmt.span().start <= at && at <= stmt.span().end;
    let Some(stmt) = section.body.iter().find(around) else {
        return Vec::new();
    };
    let program = &spec.program;
    let settings = &program.section(image.section).settings;
    let mut ids: Vec<VarId> = Vec::new();
    if let Some((Named::Variable(name), _)) = name_at(ast, at) {
        ids.extend(program.find_variable(Some(spec.file), name));
    }
    let here = settings
        .iter()
        .filter(|setting| setting.span.start <= at && at <= setting.span.end);
    for setting in here {
        let followers = Followers::new(image);
        ids.extend(followers.of(setting.variable).iter().take(MOST));
    }
    let is_set = |id: &VarId| settings.iter().any(|setting| setting.variable == *id);
    ids.retain(|id| !is_set(id));
    let pinned = ids
        .into_iter()
        .filter_map(|id| pin_one(server, spec, path, image, stmt, id));
    pinned.take(MOST).collect()
}

/// Writes the value of a variable behind a statement of an image.
fn pin_one(
    server: &Server,
    spec: &Spec,
    path: &Path,
    image: &Image<'_>,
    stmt: &Stmt,
    id: VarId,
) -> Option<CodeAction> {
    let variable = spec.program.variable(id);
    let is_own = variable.is_declared() && variable.alias_of().is_none();
    if !is_own || variable.is_fact || variable.is_secret || is_literal_secret(image, id) {
        return None;
    }
    let is_written = |value: &&Value| value.size(LARGEST_VALUE) <= LARGEST_VALUE && is_plain(value);
    let value = image.value(id).filter(is_written)?;
    let span = stmt.span();
    let text = indented(&spell_value(value), &spec.text, span.start);
    let setting = format!("{} = {text}", variable.name);
    let (start, end) = (span.start as usize, span.end as usize);
    let line = part(&spec.text, ..start).rfind('\n').map_or(0, |at| at + 1);
    let indent = part(&spec.text, line..start);
    let behind = part(&spec.text, end..).lines().next().unwrap_or_default();
    let is_alone = indent.trim().is_empty()
        && (behind.trim().is_empty() || behind.trim_start().starts_with('#'));
    let (at, new) = if is_alone {
        (end + behind.len(), format!("\n{indent}{setting}"))
    } else {
        (end, format!(", {setting}"))
    };
    let whole = with(&spec.text, &(at..at), &new);
    is_sound(server, spec, path, image.section, whole).then(|| CodeAction {
        title: format!("Pin `{}`: write its value here", variable.name),
        kind: Some(CodeActionKind::REFACTOR_INLINE),
        edit: workspace_edit(vec![(
            path.to_owned(),
            TextEdit::new(server.positions(spec).range(at, at), new),
        )]),
        ..CodeAction::default()
    })
}

// ---- both -------------------------------------------------------------------------------------------------------------

/// A text with another text in place of a part.
fn with(text: &str, place: &Range<usize>, new: &str) -> String {
    [part(text, ..place.start), new, part(text, place.end..)].concat()
}

/// Tries a new text of a file: it causes no error, and changes no value of the image.
fn is_sound(server: &Server, spec: &Spec, path: &Path, id: SectionId, text: String) -> bool {
    if text.len() > LARGEST_TRIED {
        return false;
    }
    let over = Overlay::new(
        &server.workspace.documents,
        [(path.to_owned(), text)].into(),
    );
    let after = server.workspace.load_over(vec![path.to_owned()], &over);
    let errors = |program: &Program| program.diagnostics.iter().filter(|d| d.is_error()).count();
    if errors(&after) > errors(&spec.program) {
        return false;
    }
    let section = spec.program.section(id);
    if section.kind != LayerKind::Image {
        return true;
    }
    let file = after.specs.first().copied().flatten();
    let Some(new_id) = file.and_then(|file| after.find_section(file, &section.name)) else {
        return false;
    };
    let (Ok(old), Ok(new)) = (
        evaluate(&spec.program, id, None),
        evaluate(&after, new_id, None),
    ) else {
        return false;
    };
    let values = |image: &Image<'_>| {
        let ids = image.ids().iter();
        let values = ids.map(|id| {
            let name = image.program.variable(*id).name.clone();
            (name, image.value(*id).cloned())
        });
        values
            .filter(|(_, value)| value.is_some())
            .collect::<Vec<_>>()
    };
    let errors = |image: &Image<'_>| image.diagnostics.iter().filter(|d| d.is_error()).count();
    errors(&new) <= errors(&old) && values(&new) == values(&old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_not_a_part_of_a_longer_one() {
        let cases = [
            ("1.24.6", "1.24.6", true),
            ("a-1.24.6-00", "1.24.6", true),
            ("v1.24.6", "1.24.6", true),
            ("1.24.6.", "1.24.6", true),
            ("1.24.60", "1.24.6", false),
            ("1.24.6.1", "1.24.6", false),
            ("0.1.24.6", "1.24.6", false),
            ("11.24.6", "1.24.6", false),
            ("v1.24.6", "v1.24", false),
        ];
        for (text, version, expected) in cases {
            let at = text.find(version).unwrap();
            assert_eq!(is_form(text, at, version), expected, "{version} in {text}");
        }
    }
}
