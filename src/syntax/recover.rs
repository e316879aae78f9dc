//! Explanations of lines that do not follow the grammar.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::source::{Span, part};
use crate::syntax::tail::{comment, leading_word};

const ITEMS: [&str; 11] = [
    "include", "type", "variable", "rule", "probe", "test", "waive", "provider", "layer", "image",
    "matrix",
];

/// Words that other languages write before the name in a declaration or setting.
const DECLARES: [&str; 18] = [
    "set", "let", "var", "const", "export", "local", "def", "define", "declare", "readonly",
    "override", "default", "public", "static", "string", "int", "bool", "mut",
];

/// Explains a line outside all blocks that does not begin an item.
pub(crate) fn explain_item(span: Span, text: &str) -> Diagnostic {
    if let Some(found) = comment(trimmed(span, text), text.trim_end()) {
        return found;
    }
    let found = Diagnostic::new(
        Code::Syntax,
        trimmed(span, text),
        format!("expected an item, found `{}`", shorten(text)),
    );
    let word = first_word(text);
    let word_span = Span::new(span.file, span.start, span.start + word.len() as u32);
    let rest = part(text, word.len()..).trim_start();
    if text.starts_with('}') {
        return found
            .label("this closes nothing")
            .help("remove it, or remove an extra `}` above");
    }
    if let Some(item) = nearest_item(word).filter(|_| !rest.starts_with(['=', '+', '-', '{'])) {
        return found.label(format!("did you mean `{item}`?")).fix(
            format!("replace `{word}` with `{item}`"),
            word_span,
            item,
        );
    }
    if ITEMS.contains(&word) {
        return found.label(format!(
            "the rest of the `{word}` item must follow on this line"
        ));
    }
    if matches!(
        word,
        "when" | "if" | "unless" | "ansible" | "packer" | "target" | "unset" | "final"
    ) {
        return found
            .label(format!("`{word}` is allowed only in an image or a layer"))
            .help("put it into `image NAME extends TARGET { … }` or `layer NAME { … }`");
    }
    if matches!(word, "axis" | "exclude") {
        return found
            .label(format!("`{word}` is allowed only in a matrix"))
            .help("put it into `matrix NAME { … }`");
    }
    if text.contains('=') {
        return found
            .label("a setting is allowed only in an image or a layer")
            .help("put it into `image NAME extends TARGET { … }` or `layer NAME { … }`");
    }
    found.help(
        "start an item with `include`, `type`, `variable`, `rule`, `probe`, `test`, `waive`, `provider`, `layer`, `image` or `matrix`",
    )
}

/// Returns the keyword that a word was probably meant to be. Returns `None` for a correct keyword.
pub(crate) fn nearest_item(word: &str) -> Option<&'static str> {
    let meant = match word.to_ascii_lowercase().as_str() {
        "import" | "require" | "source" | "use" => "include",
        "var" => "variable",
        "template" | "profile" | "group" | "mixin" => "layer",
        lower => ITEMS
            .into_iter()
            .find(|item| *item == lower)
            .or_else(|| nearest(lower, ITEMS))?,
    };
    (meant != word).then_some(meant)
}

/// Explains a line in a block that is not a statement.
pub(crate) fn explain_entry(span: Span, text: &str) -> Diagnostic {
    let at = trimmed(span, text);
    let text = text.trim_end();
    if let Some(found) = comment(at, text) {
        return found;
    }
    let found = Diagnostic::new(
        Code::Syntax,
        at,
        format!("expected a statement, found `{}`", shorten(text)),
    );
    let word = first_word(text);
    let rest = part(text, word.len()..).trim_start();
    let word_span = Span::new(span.file, span.start, span.start + word.len() as u32);
    if text.starts_with([')', ']']) {
        return found.label("this closes nothing");
    }
    if ITEMS.contains(&word) && !rest.is_empty() && !rest.starts_with(['=', '+', '-', ':']) {
        return outside(found, word);
    }
    if word == "axis"
        && let Some((name, values)) = rest.split_once([' ', '=', ':', '['])
        && !name.is_empty()
    {
        // The separator stays: a bracket is of the values, and the others are looked for.
        let values = part(rest, rest.len() - values.len() - 1..);
        let values = values.trim_start();
        let values = ["=", ":", "of ", "from "]
            .iter()
            .find_map(|word| values.strip_prefix(word))
            .unwrap_or(values)
            .trim_start();
        let end = |rest: &str| span.start + (text.len() - rest.len()) as u32;
        let after_name = end(part(rest, name.len()..));
        return found.label("expected `in` after the axis's name").fix(
            "write `axis NAME in [a, b]`",
            Span::new(span.file, after_name, end(values)),
            " in ",
        );
    }
    if let Some((word, rest)) = leading_word(text) {
        if let Some(value) = rest
            .strip_prefix("final")
            .map(str::trim_start)
            .filter(|v| v.starts_with('='))
        {
            let text = format!("final {word} {value}");
            return found.label("`final` must precede the name").fix(
                format!("write `{text}`"),
                at,
                text,
            );
        }
        let meant = nearest(word, ["final", "unset"]);
        let rest_at = span.start + (text.len() - rest.len()) as u32;
        return match meant {
            Some(meant) => found.label(format!("did you mean `{meant}`?")).fix(
                format!("replace it with `{meant}`"),
                word_span,
                meant,
            ),
            None if DECLARES.contains(&word.to_ascii_lowercase().as_str()) => found
                .label(format!("a setting starts with its name, without `{word}`"))
                .fix(
                    format!("remove `{word}`"),
                    Span::new(span.file, span.start, rest_at),
                    "",
                ),
            None => found.label("only `final` can precede the name in `name = value`"),
        };
    }
    if word == "unset"
        && let Some(names) = names_in(rest)
    {
        let text = unset_all(&names);
        return found
            .label("`unset` expects one name")
            .fix(format!("write `{text}`"), at, text);
    }
    if matches!(
        word,
        "delete" | "remove" | "del" | "undef" | "unsett" | "reset"
    ) && is_word(rest)
    {
        return found
            .label("`unset` removes a value")
            .fix("write `unset`", word_span, "unset");
    }
    let is_value = rest.starts_with(['"', '\'', '['])
        || rest.parse::<i64>().is_ok()
        || matches!(rest, "true" | "false");
    if !word.is_empty() && is_value {
        let at = span.start + word.len() as u32;
        return found.label("expected `=` after the name").fix(
            "insert ` =`",
            Span::new(span.file, at, at),
            " =",
        );
    }
    if !word.is_empty() && rest.is_empty() {
        return found
            .label("expected a value for this name")
            .help(format!("write `{word} = value`"));
    }
    found.help("write `name = value`, `name += [ … ]`, `name -= [ … ]`, `unset name`, `when condition { … }` or a block")
}

/// Explains a block that does not begin like a statement.
pub(crate) fn explain_block(span: Span, head: &str) -> Diagnostic {
    let at = trimmed(span, head);
    let head = head.trim_end();
    let found = Diagnostic::new(
        Code::Syntax,
        at,
        format!("expected a statement, found `{}`", shorten(head)),
    );
    let word = first_word(head);
    let place = Span::new(span.file, span.start, span.start + word.len() as u32);
    if ITEMS.contains(&word) {
        return outside(found, word);
    }
    match nearest(word, ["when"]) {
        Some(when) => found.label("did you mean `when`?").fix("replace it with `when`", place, when),
        None => found.help("write `when condition { … }`, `ansible { … }`, `packer { … }` or `target { … }`; the language has no loops"),
    }
}

/// Explains an item inside a block.
fn outside(found: Diagnostic, word: &str) -> Diagnostic {
    found
        .label(format!("`{word}` is not allowed in a block"))
        .help(match word {
            "include" | "type" | "variable" => "move it to the top of the file",
            _ => "close the block above it first",
        })
}

/// Returns the names in a list, which can have spaces or commas between them and brackets around them.
pub(crate) fn names_in(text: &str) -> Option<Vec<&str>> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    let names: Vec<&str> = inner
        .split([' ', '\t', ','])
        .filter(|name| !name.is_empty())
        .collect();
    (!names.is_empty() && names.iter().all(|name| is_word(name))).then_some(names)
}

/// Returns `unset` statements for these variables, on one line.
pub(crate) fn unset_all(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("unset {name}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Returns the probable parents in the text between a section's name and its `{`, with their byte offsets. Returns
/// `None` if the text is not clear.
pub(crate) fn parents_in(text: &str, has_extends: bool) -> Option<Vec<(usize, &str)>> {
    const WORDS: [&str; 12] = [
        "extends",
        "extend",
        "inherits",
        "inherit",
        "from",
        "base",
        "parent",
        "is",
        "with",
        "uses",
        "using",
        "extending",
    ];
    let mut names = Vec::new();
    let mut is_marked = has_extends;
    let mut at = 0;
    for piece in text.split_inclusive([' ', '\t', ',', '(', ')', ':', '=']) {
        let word = piece.trim_end_matches([' ', '\t', ',', '(', ')', ':', '=']);
        let mark = part(piece, word.len()..);
        let bare = word.trim_matches(['"', '\'']);
        if names.is_empty()
            && (WORDS.contains(&word.to_ascii_lowercase().as_str()) || word == "<" || word == "<-")
        {
            is_marked = true;
        } else if (has_extends || !names.is_empty()) && matches!(word, "and" | "&" | "&&" | "+") {
            // Another name follows.
        } else if !word.is_empty() {
            if !is_name(bare) {
                return None;
            }
            names.push((at + word.find(bare).unwrap_or(0), bare));
        }
        is_marked |= names.is_empty() && mark.contains([':', '(', '=']);
        at += piece.len();
    }
    (is_marked && !names.is_empty()).then_some(names)
}

/// Returns at most 40 characters of the first line.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or("").trim_end();
    match line.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", part(line, ..at)),
        None => line.to_owned(),
    }
}

pub(crate) fn first_word(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    part(text, ..end)
}

fn trimmed(span: Span, text: &str) -> Span {
    Span::new(
        span.file,
        span.start,
        span.start + text.trim_end().len() as u32,
    )
}

/// Returns whether a text is a valid name for a layer, image, provider, rule or probe.
pub(crate) fn is_name(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && is_word_of(part);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.split(['-', '.']).all(is_part)
}

fn is_word_of(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Returns whether a name is a word that the language reads as something else where a name can be.
pub(crate) fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "true" | "false" | "and" | "or" | "in" | "not" | "if" | "then" | "else" | "extends"
    )
}

/// Returns whether a name is what other languages have for no value.
pub(crate) fn is_null(name: &str) -> bool {
    matches!(name, "null" | "nil" | "none" | "None" | "undefined")
}

/// Returns whether a text is a word: a name without `-` and `.`.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && is_word_of(text)
}

/// Returns the text if it looks like the name of an environment variable.
pub(crate) fn env_name(text: &str) -> Option<&str> {
    let is_upper = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    (text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') && text.bytes().all(is_upper))
        .then_some(text)
}
