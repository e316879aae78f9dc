//! Source text for imported values: strings with Packer expressions, and heredocs.

use crate::packer::{Braced, parse_braces, spell_piece};
use crate::schema::{Value, print_wrapped};
use crate::syntax::{escape, is_word, print_text};
use std::fmt::Write;

/// The longest value, in characters, that is written on one line.
const WIDTH: usize = 90;

/// Returns a value as source text.
pub fn spell_value(value: &Value) -> String {
    print_wrapped(value, WIDTH)
}

/// Converts a string with Packer expressions to source text. `{{user `x`}}` becomes `${x}` if `is_plain` is true for the
/// name. A string that is only `{{env `X`}}` becomes `env("X")` if `env` accepts the name.
pub(crate) fn spell_template(text: &str, is_plain: impl Fn(&str) -> bool) -> String {
    let pieces: Vec<Braced<'_>> = parse_braces(text)
        .into_iter()
        .map(|(_, piece)| piece)
        .collect();
    match &pieces[..] {
        // The names of `env` are those of a shell; Packer takes any.
        [Braced::Env(name)] if is_word(name) => return format!("env({})", print_text(name)),
        [Braced::User(name)] if is_plain(name) => return (*name).to_owned(),
        pieces
            if !pieces
                .iter()
                .any(|p| matches!(p, Braced::User(name) if is_plain(name))) =>
        {
            return print_text(text);
        }
        _ => {}
    }
    format!("\"{}\"", spell_braces(text, is_plain))
}

/// Returns the inside of a `"…"` string for a string with Packer expressions; see [`spell_template`].
pub(crate) fn spell_braces(text: &str, is_plain: impl Fn(&str) -> bool) -> String {
    let mut out = String::new();
    for (_, piece) in parse_braces(text) {
        match piece {
            Braced::User(name) if is_plain(name) => {
                let _ = write!(out, "${{{name}}}");
            }
            other => out.push_str(&escape(&spell_piece(&other))),
        }
    }
    out
}

/// Converts a string of several lines to a raw heredoc, indented for the body of an item. Returns `None` if a heredoc
/// cannot contain it unchanged.
pub(crate) fn spell_heredoc(word: &str, text: &str) -> Option<String> {
    let fits = text.ends_with('\n')
        && !text.contains('\r')
        && !text.starts_with([' ', '\t'])
        && text
            .lines()
            .all(|line| line.trim() != word && (line.is_empty() || !line.trim().is_empty()));
    if !fits {
        return None;
    }
    let mut out = format!("<<'{word}'\n");
    for line in text.lines() {
        out.push_str(&if line.is_empty() {
            "\n".to_owned()
        } else {
            format!("    {line}\n")
        });
    }
    let _ = write!(out, "    {word}");
    Some(out)
}
