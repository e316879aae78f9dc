//! The arguments that Ansible takes as `--extra-vars`.
//!
//! One that begins with `@` names a file, one with `{` or `[` is YAML, and any other is cut into
//! `name=value` pairs (`split_args` and `parse_kv` in `ansible/parsing/splitter.py`).

use crate::ansible::yaml::parse_vars;
use crate::packer::{Braced, parse_braces, spell_piece};
use crate::schema::Mismatch;
use crate::source::part;

/// A `name=value` pair of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    /// As written, without the quotes around it.
    pub value: String,
    /// The quotes around it.
    pub quote: Option<char>,
}

/// Cuts an argument into pairs as Ansible does; templates count as one character.
pub fn parse_pairs(text: &str) -> Vec<Pair> {
    cut(text)
        .0
        .iter()
        .filter_map(|word| parse_pair(word))
        .collect()
}

/// How Ansible reads an argument (`load_extra_vars` in `ansible/utils/vars.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument<'t> {
    /// `@path`
    File(&'t str),
    /// `{…}` or `[…]`: JSON or YAML.
    Data(&'t str),
    /// `name=value` pairs.
    Pairs(&'t str),
}

impl Argument<'_> {
    /// What the first character of an argument makes of it.
    pub fn of(text: &str) -> Argument<'_> {
        match text.strip_prefix('@') {
            Some(path) => Argument::File(path),
            None if text.starts_with(['{', '[']) && !text.starts_with("{{") => Argument::Data(text),
            None => Argument::Pairs(text),
        }
    }
}

/// What Ansible does not take of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgsProblem {
    /// Words that it drops.
    Lost(Vec<String>),
    /// It stops with an error.
    Refused(Mismatch),
}

/// Checks that Ansible would take all of an argument. What a template brings is not known, and not judged.
///
/// # Errors
/// What it would drop, or not take.
pub fn check_args(text: &str) -> Result<(), ArgsProblem> {
    let refused = |reason: String| Err(ArgsProblem::Refused(Mismatch::because(reason)));
    match Argument::of(text) {
        Argument::File("") => return refused("there is no path behind the `@`".to_owned()),
        Argument::File(_) => return Ok(()),
        Argument::Data(data) if data.contains("{{") => return Ok(()),
        Argument::Data(data) => {
            return parse_vars(data).map(|_| ()).or_else(|reason| {
                refused(format!(
                    "Ansible reads what begins with `{{` or `[` as YAML, but {reason}"
                ))
            });
        }
        Argument::Pairs(_) => {}
    }
    if text.starts_with(['/', '.']) {
        return Err(ArgsProblem::Refused(Mismatch::of(
            text,
            "is no `name=value`; a file is written `@path`",
        )));
    }
    let (words, open) = cut(text);
    if let Some(quote) = open {
        return refused(format!(
            "a {quote} is never closed; where it is part of a value it is written `\\{quote}`"
        ));
    }
    let lost: Vec<String> = words.into_iter().filter(|word| is_lost(word)).collect();
    if lost.is_empty() {
        Ok(())
    } else {
        Err(ArgsProblem::Lost(lost))
    }
}

/// A word that is no pair, and holds no template that could make it one.
fn is_lost(word: &str) -> bool {
    parse_pair(word).is_none() && !word.contains("{{")
}

/// True where every word of an argument is a pair, or lost: nothing in it is known to Packer alone.
pub fn is_all_known(text: &str) -> bool {
    cut(text)
        .0
        .iter()
        .all(|word| parse_pair(word).is_some() || is_lost(word))
}

/// The words of an argument, and the quote that is still open at its end.
fn cut(text: &str) -> (Vec<String>, Option<char>) {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for (_, piece) in parse_braces(text) {
        let (Braced::Text(text) | Braced::Bad(text, _)) = piece else {
            word.push_str(&spell_piece(&piece));
            continue;
        };
        for c in text.chars() {
            // Ansible looks at the one character before, and does not count backslashes.
            let is_quote = matches!(c, '"' | '\'') && !word.ends_with('\\');
            match quote {
                Some(q) if is_quote && c == q => quote = None,
                None if is_quote => quote = Some(c),
                None if c.is_whitespace() => {
                    words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                    continue;
                }
                _ => {}
            }
            word.push(c);
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    (words, quote)
}

fn parse_pair(word: &str) -> Option<Pair> {
    let is_end = |at: usize| at > 0 && !part(word, ..at).ends_with('\\');
    let at = word
        .match_indices('=')
        .map(|(at, _)| at)
        .find(|at| is_end(*at))?;
    let (name, value) = (part(word, ..at), part(word, at + 1..));
    let quoted = ['"', '\'']
        .into_iter()
        .find_map(|q| Some((q, value.strip_prefix(q)?.strip_suffix(q)?)));
    Some(Pair {
        name: name.to_owned(),
        value: quoted.map_or(value, |(_, inner)| inner).to_owned(),
        quote: quoted.map(|(quote, _)| quote),
    })
}

/// The text of a pair's value with its escapes read, as Ansible reads them.
pub fn read_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(part(rest, ..at));
        rest = part(rest, at..);
        match read_escape(part(rest, 1..)) {
            Some((c, length)) => {
                out.push(c);
                rest = part(rest, 1 + length..);
            }
            None => {
                out.push('\\');
                rest = part(rest, 1..);
            }
        }
    }
    out + rest
}

/// The character that an escape stands for, and how long it is without its backslash.
fn read_escape(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    let digits = match first {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => {
            let plain = match first {
                '\\' | '\'' | '"' => first,
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0b',
                _ => return None,
            };
            return Some((plain, 1));
        }
    };
    let hex = text
        .get(1..=digits)
        .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((
        char::from_u32(u32::from_str_radix(hex, 16).ok()?)?,
        1 + digits,
    ))
}

/// The words that Ansible's own conversion takes for a bool (`ansible/module_utils/parsing/convert_bool.py`).
pub fn ansible_bool(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_pairs_as_ansible_does() {
        let pairs = parse_pairs("a=1 b=\"x y\" c={{ user `v`}} d=\"{{user `w`}}\" stray e='q' =f");
        let shown: Vec<_> = pairs
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_str(), p.quote))
            .collect();
        assert_eq!(
            shown,
            [
                ("a", "1", None),
                ("b", "x y", Some('"')),
                ("c", "{{user `v`}}", None),
                ("d", "{{user `w`}}", Some('"')),
                ("e", "q", Some('\''))
            ]
        );
    }

    #[test]
    fn refuses_what_would_be_lost() {
        for good in [
            "",
            "a=1",
            "@file",
            "{a: 1}",
            "a='x y' b=\"it's\"",
            "a={{user `x`}}",
            "a=\\\"b",
        ] {
            assert_eq!(check_args(good), Ok(()), "{good}");
        }
        for unknown in [
            "{{user `x`}}",
            "a=1 {{env `MORE`}}",
            "{\"a\": \"{{user `x`}}\"}",
        ] {
            assert_eq!(check_args(unknown), Ok(()), "{unknown}");
        }
        for bad in [
            "ntp=a b c=1",
            "a=\"b",
            "a=it's",
            "---",
            "- a",
            "/etc/x",
            "=a",
            "@",
            "[a]",
            "{a: b",
            " @file",
        ] {
            assert!(check_args(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_escapes_as_ansible_does() {
        assert_eq!(
            read_escapes(r#"a\"b\\c\x41\u00e4\n\q\x4"#),
            "a\"b\\cAä\n\\q\\x4"
        );
    }
}
