//! Completion: the context of the cursor, and the items for it.

mod context;
mod items;

pub(super) use context::call;
pub(super) use items::resolve;

use crate::lsp::marked::path_to;
use crate::lsp::position::Positions;
use crate::lsp::workspace::{Spec, Workspace};
use crate::schema::Base;
use crate::syntax::Kind;
use context::Context;
use items::Candidates;
use lsp_types::{CompletionList, CompletionResponse};

/// The choices of the string at an offset, with the place of the string.
pub(super) fn describe_choice(spec: &Spec, offset: usize) -> Option<(String, u32, u32)> {
    let tree = &spec.syntax().tree;
    let end = offset + 1;
    let path = path_to(tree, offset.min(spec.text.len()), end.min(spec.text.len()));
    let node = tree.node(*path.last()?);
    let is_text = matches!(node.kind, Kind::string | Kind::raw);
    let inside = (node.start as usize + 1)..(node.end as usize);
    let inside = is_text.then(|| offset.clamp(inside.start, inside.end.saturating_sub(1)))?;
    let (context, _) = Context::at(&spec.program, spec.file, &spec.parsed(), inside);
    let Context::Value(value) = context else {
        return None;
    };
    let Some(Base::OneOf(choices)) = value.ty.map(|ty| ty.base) else {
        return None;
    };
    let choices: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    let text = format!("One of {}.\n", choices.join(", "));
    Some((text, node.start, node.end))
}

/// The items at an offset of a spec.
pub(super) fn complete(
    workspace: &Workspace,
    spec: &Spec,
    positions: Positions<'_>,
    offset: usize,
    has_snippets: bool,
) -> CompletionResponse {
    let candidates = Candidates {
        spec,
        workspace,
        positions,
        has_snippets,
    };
    let (context, section) = Context::at(&spec.program, spec.file, &spec.parsed(), offset);
    let around = section.as_deref();
    let items = match context {
        Context::Nothing => Vec::new(),
        Context::Item => candidates.items(),
        Context::Extends => candidates.extends(),
        Context::Section => {
            let mut items = candidates.sections(around);
            let (others, is_incomplete) = candidates.sections_of_others();
            items.extend(others);
            items.sort_by(|a, b| a.sort_text.cmp(&b.sort_text));
            if is_incomplete {
                return CompletionList {
                    is_incomplete,
                    items,
                }
                .into();
            }
            items
        }
        Context::Include(typed) => candidates.includes(&typed),
        Context::Path(typed) => candidates.paths(&typed, &|_| true),
        Context::Role(typed) => candidates.roles(&typed),
        Context::Type => candidates.types(),
        Context::Statement(place) => candidates.statements(around, place),
        Context::Axes(names) => candidates.axes(&names),
        Context::Attribute(names, blocks) => candidates.attributes(names, blocks),
        Context::Entry(owner) => candidates.entries(owner),
        Context::Settable => candidates.settable(around, false),
        Context::Variable => candidates.variables(),
        Context::Provider => candidates.providers(),
        Context::Rule => candidates.rules(),
        Context::Code => candidates.codes(),
        Context::Allowable => candidates.allowable(),
        Context::Word(words) => candidates.words(&words),
        Context::Value(value) => candidates.values(&value, around),
    };
    items.into()
}
