//! Secrets on damaged lines: what cannot be read as a setting can still be one's value.
//!
//! The literals of a sound setting are hidden when it is lowered (`check/secrets.rs`). In damaged text it is unknown where a
//! value ends, so everything after a secret's name is hidden to the end of its line, or of what is open there.
//! Findings then quote nothing of it.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::source::{FileId, Origin, SourceFile, SourceMap, Span, part};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::ops::Range;
use std::sync::Arc;

/// Hides what may be the value of a secret in what the project wrote.
pub(crate) fn hide(
    sources: &mut SourceMap,
    is_known: &dyn Fn(&str) -> bool,
    secrets: &[SmolStr],
    diagnostics: &[Diagnostic],
) {
    let is_damage = |d: &&Diagnostic| {
        matches!(
            d.code,
            Code::Syntax | Code::Unclosed | Code::JsonSyntax | Code::BadConfig
        )
    };
    let damaged: FxHashSet<FileId> = diagnostics
        .iter()
        .filter(is_damage)
        .map(|d| d.primary.span.file)
        .collect();
    let own = sources
        .iter_read()
        .filter(|(_, source)| source.origin != Origin::Library);
    let texts: Vec<(FileId, Arc<str>)> = own
        .map(|(file, source)| (file, source.text.clone()))
        .collect();
    let mut secrets: FxHashSet<&str> = secrets.iter().map(SmolStr::as_str).collect();
    for (_, text) in texts.iter().filter(|(file, _)| damaged.contains(file)) {
        secrets.extend(text.lines().filter_map(damaged_declaration));
    }
    let arguments: FxHashSet<FileId> = own_arguments(sources);
    for (file, text) in &texts {
        let names = SecretNames {
            secrets: &secrets,
            is_known,
            is_damaged: damaged.contains(file),
            is_argument: arguments.contains(file),
        };
        let is_sound = !names.is_damaged && !names.is_argument;
        let values = if is_sound {
            names.sound_values(text)
        } else {
            names.values(text)
        };
        for range in values {
            sources.hide(Span::new(*file, range.start as u32, range.end as u32));
        }
    }
}

/// The arguments of the command line that set variables.
fn own_arguments(sources: &SourceMap) -> FxHashSet<FileId> {
    let is_argument = |source: &SourceFile| source.origin == Origin::Argument;
    let arguments = sources
        .iter_read()
        .filter(|(_, source)| is_argument(source));
    arguments.map(|(file, _)| file).collect()
}

/// The variable of a declaration on one line that speaks of `secret`, whether it can be read or not.
fn damaged_declaration(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("variable ")?;
    let (name, rest) = rest
        .trim_start()
        .split_at_checked(word_len(rest.trim_start()))?;
    (!name.is_empty() && rest.contains("secret")).then_some(name)
}

struct SecretNames<'n> {
    secrets: &'n FxHashSet<&'n str>,
    /// Whether a word is the name of a variable.
    is_known: &'n dyn Fn(&str) -> bool,
    /// Whether anything in the file cannot be read.
    is_damaged: bool,
    /// The text is an argument of the command line, which sets one variable.
    is_argument: bool,
}

impl SecretNames<'_> {
    /// The places behind secrets' names in readable text. Each is behind a sign, which most words do not have.
    fn sound_values(&self, text: &str) -> Vec<Range<usize>> {
        let mut out = Vec::new();
        let mut at = 0;
        for sign in memchr::memchr3_iter(b'=', b':', b'!', text.as_bytes()) {
            let before = text.as_bytes().get(at..sign).unwrap_or_default();
            let is_between = |c: &u8| matches!(c, b'"' | b'\'' | b' ' | b'\t');
            let end = before
                .iter()
                .rposition(|c| !is_between(c))
                .map_or(0, |i| i + 1);
            let before = before.get(..end).unwrap_or_default();
            let start = before
                .iter()
                .rposition(|c| !is_word_byte(*c))
                .map_or(0, |i| i + 1);
            let end = at + end;
            if start == before.len() || !self.secrets.contains(part(text, at + start..end)) {
                continue;
            }
            if let Some(value) = sound_value(text, end) {
                at = value.end.max(end);
                out.push(value);
            }
        }
        out
    }

    /// The places behind secrets' names in damaged text or an argument.
    fn values(&self, text: &str) -> Vec<Range<usize>> {
        let mut out = Vec::new();
        let mut at = 0;
        // A word consists of ASCII characters, so it begins and ends between characters.
        let next = |from: usize, is_wanted: fn(u8) -> bool| {
            let rest = text.as_bytes().get(from..)?;
            rest.iter().position(|c| is_wanted(*c)).map(|i| from + i)
        };
        let mut known: FxHashMap<&str, bool> = FxHashMap::default();
        while let Some(start) = next(at, is_word_byte) {
            let mut end = next(start, |c| !is_word_byte(c)).unwrap_or(text.len());
            at = end;
            if self.is_argument {
                // The sign of `-=`.
                end -= usize::from(text.get(start..end).is_some_and(|word| word.ends_with('-')));
            }
            let word = text.get(start..end).unwrap_or_default();
            if !*known.entry(word).or_insert_with(|| self.is_secret(word)) {
                continue;
            }
            let value = if self.is_argument {
                argument_value(text, end)
            } else {
                damaged_value(text, start, end)
            };
            if let Some(value) = value {
                at = value.end.max(end);
                out.push(value);
            }
        }
        out
    }

    fn is_secret(&self, word: &str) -> bool {
        if self.secrets.contains(word) {
            return true;
        }
        if !self.is_damaged || (self.is_known)(word) {
            return false;
        }
        // In a damaged text its name may be so too.
        let name = word.to_lowercase().replace(['-', '.'], "_");
        self.secrets.contains(name.as_str())
            || nearest(&name, self.secrets.iter().copied()).is_some()
    }
}

fn is_word_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.')
}

fn is_word(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_word_byte)
}

fn word_len(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// What follows a secret's name in an argument: all of the rest is its value, whether it can be read or not. Only a name of
/// an environment variable may be seen.
fn argument_value(text: &str, end: usize) -> Option<Range<usize>> {
    let value = text
        .get(end..)?
        .trim_start_matches(['+', '-', '=', ':', ' ']);
    let start = text.len() - value.len();
    let is_pointer = pointer_len(value) == value.len();
    (!value.is_empty() && !is_pointer).then_some(start..text.len())
}

/// The string that follows a name in readable text, for example in a comment or deep in JSON. A string that is
/// only a Packer expression reveals nothing.
fn sound_value(text: &str, end: usize) -> Option<Range<usize>> {
    let rest = text.get(end..)?;
    let signed = rest.trim_start_matches(['"', '\'', ' ', '\t']);
    let behind = signed.trim_start_matches(['=', ':', '!']);
    if behind.len() == signed.len() {
        return None;
    }
    let behind = behind.trim_start_matches([' ', '\t']);
    let start = text.len() - behind.len();
    let Some(quote) = behind.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        // Inside of a string of pairs, as Ansible takes them.
        let is_pair =
            rest.starts_with('=') && !rest.starts_with("==") && !behind.starts_with(['$', '{']);
        let bare = behind.trim_start_matches('\\');
        let length = bare.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | ','));
        let end = text.len() - bare.len() + length.unwrap_or(bare.len());
        return (is_pair && start < end).then_some(start..end);
    };
    let inner = behind.get(1..)?;
    let mut is_escaped = false;
    let close = inner.find(|c| {
        let is_close = c == '\n' || (c == quote && !is_escaped);
        is_escaped = c == '\\' && !is_escaped;
        is_close
    });
    let inner = inner.get(..close.unwrap_or(inner.len()))?;
    (!is_template(inner)).then(|| start..start + 1 + inner.len())
}

/// True for a text that is empty, or one template or interpolation.
fn is_template(text: &str) -> bool {
    let is_between = |open: &str, close: &str| {
        text.strip_prefix(open)
            .and_then(|t| t.strip_suffix(close))
            .is_some_and(|inner| !inner.contains(close))
    };
    text.is_empty() || is_between("{{", "}}") || is_between("${", "}")
}

/// The text after a name, as far as it may be its value, in text that cannot be parsed.
fn damaged_value(text: &str, start: usize, end: usize) -> Option<Range<usize>> {
    let before = text.get(..start)?.trim_end_matches([' ', '\t', '"', '\'']);
    let before = before
        .strip_suffix("final")
        .map_or(before, |rest| rest.trim_end_matches([' ', '\t']));
    let begins = before.is_empty() || before.ends_with(['\n', '{', ',', '}', ';']);
    let line = text.get(end..)?;
    let behind = line.trim_start_matches(['"', '\'', ']', ')', '`', ' ', '\t']);
    let is_set = behind.starts_with(['=', ':', '+', '-', '<', '"', '\''])
        || behind.len() < line.trim_start_matches([' ', '\t']).len();
    let names_nothing = behind.is_empty() || behind.starts_with(['\n', '\r', '}', ',', '#']);
    let goes_on = names_nothing
        && begins
        && behind.starts_with(['\n', '\r'])
        && starts_with_sign(behind.trim_start());
    if (names_nothing || !(is_set || begins)) && !goes_on {
        return None;
    }
    let value = behind
        .trim_start()
        .trim_start_matches(['=', ':', '+', '-', '>', '~', ' ', '\t']);
    let from = text.len() - value.len();
    let pointer = pointer_len(value);
    let is_over = |rest: &str| {
        let rest = rest.trim_start_matches([' ', '\t']);
        rest.chars().next().is_none_or(|c| ",}#\r\n".contains(c))
    };
    if pointer > 0 && is_over(value.get(pointer..)?) {
        return None;
    }
    let length = value_len(value);
    // What closes a block is no part of it, as far as anybody can tell.
    let to = from
        + value
            .get(..length)?
            .trim_end_matches([' ', '\t', '\r', '\n', '}', ','])
            .len();
    // What names where a secret is may be seen; what is joined to it not.
    let rest = text.get(from + pointer..to)?;
    (from < to && !(pointer > 0 && is_over(rest))).then_some(from + pointer..to)
}

fn starts_with_sign(text: &str) -> bool {
    text.starts_with(['=', ':', '"', '\'']) || text.starts_with("+=")
}

/// How long the call is that a value begins with and that names where the secret is.
fn pointer_len(value: &str) -> usize {
    const FORMS: [(&str, &str); 4] = [
        ("env(\"", "\")"),
        ("file(\"", "\")"),
        ("{{env `", "`}}"),
        ("\"{{env `", "`}}\""),
    ];
    let length = |(open, close): (&str, &str)| {
        let (name, rest) = value.strip_prefix(open)?.split_once(close)?;
        let is_name = !name.is_empty() && name.chars().all(|c| is_word(c) || c == '/');
        is_name.then_some(value.len() - rest.len())
    };
    FORMS.into_iter().find_map(length).unwrap_or(0)
}

/// How long what may be a value is: to the end of its line, of the brackets that are open there, or of the heredoc. A
/// line that begins an item ends everything.
fn value_len(text: &str) -> usize {
    let mut length = 0;
    let mut depth = 0_i64;
    let mut tag: Option<&str> = None;
    let mut is_empty = true;
    for line in text.split_inclusive('\n') {
        if length > 0 && begins_item(line) {
            break;
        }
        let word = line.trim();
        let is_closing = tag.is_some_and(|tag| word.starts_with(tag));
        length += line.trim_end_matches(['\n', '\r']).len();
        if is_closing {
            break;
        }
        if tag.is_none() {
            tag = heredoc_tag(word);
            let opened = word.matches(['[', '(', '{']).count();
            let closed = word.matches([']', ')', '}']).count();
            depth += opened as i64 - closed as i64;
            is_empty &= word.is_empty() || word.starts_with('#');
            let is_joined = word.ends_with(['+', '\\', '=', ':']);
            if tag.is_none() && depth <= 0 && !is_empty && !is_joined {
                break;
            }
        }
        length += line.len() - line.trim_end_matches(['\n', '\r']).len();
    }
    length.min(text.len())
}

/// The word that closes a heredoc which begins on a line.
fn heredoc_tag(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("<<")?;
    let rest = rest.trim_start_matches(['-', '~', '\'', '"', ' ']);
    let tag = rest.get(
        ..rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len()),
    )?;
    (!tag.is_empty()).then_some(tag)
}

fn begins_item(line: &str) -> bool {
    const ITEMS: [&str; 10] = [
        "variable ",
        "image ",
        "layer ",
        "provider ",
        "rule ",
        "probe ",
        "test ",
        "waive ",
        "include ",
        "type ",
    ];
    ITEMS.iter().any(|item| line.starts_with(item))
}

/// The most hidden texts near a diagnostic with which its words are compared.
const MOST_HIDDEN: usize = 1000;

/// Removes hidden text from the messages of diagnostics, and drops fixes that would write it again.
pub(crate) fn redact(sources: &SourceMap, diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics {
        let spans: Vec<Span> = diagnostic
            .related
            .iter()
            .map(|label| label.span)
            .chain(
                diagnostic
                    .fixes
                    .iter()
                    .flat_map(|fix| fix.edits.iter().map(|(span, _)| *span)),
            )
            .chain([diagnostic.primary.span])
            .collect();
        // Many places on one line have the same neighbours.
        let mut seen = FxHashSet::default();
        let lines: Vec<(FileId, Range<usize>)> = spans
            .iter()
            .filter(|span| {
                let lines = sources.get(span.file).lines();
                seen.insert((
                    span.file,
                    lines.line_at(span.start),
                    lines.line_at(span.end),
                ))
            })
            .flat_map(|span| sources.hidden_near(*span))
            .collect();
        if lines.is_empty() {
            continue;
        }
        if lines.len() > MOST_HIDDEN {
            // Nobody compares that many: it says only what kind of mistake it is.
            diagnostic.related.clear();
            diagnostic.fixes.clear();
            diagnostic.primary.text.clear();
            diagnostic.help = None;
            diagnostic.message = diagnostic
                .message
                .split('`')
                .step_by(2)
                .collect::<Vec<_>>()
                .join("…");
            continue;
        }
        let hidden: Vec<&str> = lines
            .iter()
            .filter_map(|(file, range)| sources.get(*file).text.get(range.clone()))
            .collect();
        let labels = diagnostic
            .related
            .iter_mut()
            .chain([&mut diagnostic.primary])
            .map(|label| &mut label.text);
        // A label or help that would be empty is left out.
        for label in labels.filter(|label| quotes(label, &hidden)) {
            label.clear();
        }
        diagnostic.help = diagnostic.help.take().filter(|help| !quotes(help, &hidden));
        diagnostic.message = without(&diagnostic.message, &hidden);
        diagnostic.fixes.retain(|fix| {
            let mut texts = fix.edits.iter().map(|(_, text)| text).chain([&fix.title]);
            !texts.any(|text| repeats(text, &hidden))
        });
    }
}

/// True for a sentence that quotes something hidden.
fn quotes(text: &str, hidden: &[&str]) -> bool {
    text.split('`')
        .skip(1)
        .step_by(2)
        .any(|part| repeats(part, hidden))
}

/// Returns a sentence with `…` for each quotation that repeats hidden text.
fn without(text: &str, hidden: &[&str]) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(i, part)| {
        if i % 2 == 1 && repeats(part, hidden) {
            "…"
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("`")
}

/// True where a text holds a word of something hidden, or the beginning of one at its own end, where it was cut.
fn repeats(text: &str, hidden: &[&str]) -> bool {
    let is_part = |c: char| !c.is_whitespace() && !"\"'`,;=:()[]{}#".contains(c);
    let words = hidden
        .iter()
        .flat_map(|text| text.split(|c| !is_part(c)))
        .filter(|word| !["", "user", "env"].contains(word));
    let (own, is_cut) = match text.strip_suffix('…') {
        Some(own) => (own, true),
        None => (text, false),
    };
    let own: Vec<&str> = own
        .split(|c| !is_part(c))
        .filter(|word| !word.is_empty())
        .collect();
    let last = own.last().copied().unwrap_or_default();
    let holds = |a: &str, b: &str| a == b || (b.len() >= 3 && a.contains(b));
    words.into_iter().any(|word| {
        own.iter()
            .any(|other| holds(other, word) || holds(word, other))
            || (is_cut && !last.is_empty() && word.starts_with(last))
    })
}
