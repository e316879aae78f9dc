//! Junk, explained: what a line that the grammar does not know was probably meant to be.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::source::Span;

const ITEMS: [&str; 7] = ["include", "type", "variable", "rule", "provider", "layer", "image"];

/// Words that are kept for a later version.
const RESERVED: [&str; 5] = ["matrix", "test", "axis", "assert", "exclude"];

/// A reserved word at the beginning of a text, if one stands there and nothing is set by that name.
pub(super) fn explain_reserved(span: Span, text: &str) -> Option<Diagnostic> {
    let word = first_word(text);
    let is_set = text[word.len()..].trim_start().starts_with(['=', '+', '-']);
    (RESERVED.contains(&word) && !is_set).then(|| {
        let span = Span::new(span.file, span.start, span.start + word.len() as u32);
        let message = format!("`{word}` is kept for a later version of the language");
        Diagnostic::new(Code::Reserved, span, message)
            .help("this version has images, layers, providers, rules, variables and types")
    })
}

/// A line outside all blocks that begins no item.
pub(super) fn explain_item(span: Span, text: &str) -> Diagnostic {
    if let Some(reserved) = explain_reserved(span, text) {
        return reserved;
    }
    let found = Diagnostic::new(
        Code::Syntax,
        trimmed(span, text),
        format!("expected an item, found `{}`", shorten(text)),
    );
    let word = first_word(text);
    let word_span = Span::new(span.file, span.start, span.start + word.len() as u32);
    if text.starts_with('}') {
        return found.label("this closes nothing").help("remove it, or look above for a `}` too many");
    }
    if let Some(item) = nearest(word, ITEMS).filter(|item| *item != word) {
        return found.label(format!("did you mean `{item}`?")).fix(
            format!("replace `{word}` by `{item}`"),
            word_span,
            item,
        );
    }
    if ITEMS.contains(&word) {
        return found.label(format!("`{word}` needs a name, and what follows it, on this line"));
    }
    if text.starts_with("//") || text.starts_with("/*") {
        return found.label("a comment begins with `#`");
    }
    if text.contains('=') {
        return found
            .label("a setting stands in an image or a layer")
            .help("put it in `image NAME extends TARGET { … }` or `layer NAME { … }`");
    }
    found.help("a file holds `include`, `type`, `variable`, `rule`, `provider`, `layer` and `image` items")
}

/// A line inside a block that is no statement.
pub(super) fn explain_entry(span: Span, text: &str) -> Diagnostic {
    if let Some(reserved) = explain_reserved(span, text) {
        return reserved;
    }
    let found = Diagnostic::new(
        Code::Syntax,
        trimmed(span, text),
        format!("expected a statement, found `{}`", shorten(text)),
    );
    let word = first_word(text);
    let rest = text[word.len()..].trim_start();
    if text.starts_with("//") || text.starts_with("/*") {
        return found.label("a comment begins with `#`");
    }
    if text.starts_with([')', ']']) {
        return found.label("this closes nothing");
    }
    if rest.starts_with("==") {
        return found.label("a value is set with a single `=`");
    }
    if !word.is_empty() && rest.starts_with(['"', '\'', '[']) {
        let at = span.start + word.len() as u32;
        return found.label("`=` is missing").fix("insert ` =`", Span::new(span.file, at, at), " =");
    }
    if !word.is_empty() && rest.is_empty() {
        return found.label("a name alone says nothing").help(format!("write `{word} = value`"));
    }
    found.help("a statement is `name = value`, `name += [ … ]`, `name -= [ … ]`, `unset name`, `when condition { … }`, or a block")
}

/// At most forty characters of the first line.
pub(super) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or("").trim_end();
    match line.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

fn trimmed(span: Span, text: &str) -> Span {
    Span::new(span.file, span.start, span.start + text.trim_end().len() as u32)
}
