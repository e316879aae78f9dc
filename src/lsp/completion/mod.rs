//! Completion: the context of the cursor, and the items for it.

mod context;
mod items;

pub(super) use context::call;
pub(super) use items::resolve;

use crate::lsp::workspace::Spec;
use crate::source::Loader;
use context::Context;
use items::Candidates;
use lsp_types::CompletionItem;

/// The items at an offset of a spec.
pub(super) fn complete(
    spec: &Spec,
    loader: &dyn Loader,
    offset: usize,
    has_snippets: bool,
) -> Vec<CompletionItem> {
    let candidates = Candidates {
        spec,
        loader,
        has_snippets,
    };
    let (context, section) = Context::at(&spec.program, spec.file, &spec.parsed(), offset);
    let around = section.as_deref();
    match context {
        Context::Nothing => Vec::new(),
        Context::Item => candidates.items(),
        Context::Extends => candidates.extends(),
        Context::Section => candidates.sections(around),
        Context::Include(typed) => candidates.includes(&typed),
        Context::Path(typed) => candidates.paths(&typed, &|_| true),
        Context::Type => candidates.types(),
        Context::Statement => candidates.statements(around),
        Context::Attribute(names, blocks) => candidates.attributes(names, blocks),
        Context::Entry(owner) => candidates.entries(owner),
        Context::Settable => candidates.settable(around, false),
        Context::Variable => candidates.variables(),
        Context::Provider => candidates.providers(),
        Context::Word(words) => candidates.words(&words),
        Context::Value(value) => candidates.values(&value, around),
    }
}
