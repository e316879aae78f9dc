//! The arguments of Ansible's `--extra-vars`.
//!
//! An argument that begins with `@` is the path of a file, and one that begins with `{` or `[` is YAML. Ansible
//! splits any other argument into `name=value` pairs (`split_args` and `parse_kv` in `ansible/parsing/splitter.py`).

use crate::ansible::yaml::parse_vars;
use crate::packer::{Braced, parse_braces, spell_piece};
use crate::schema::Mismatch;
use crate::source::part;

/// A `name=value` pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value as written, without its quotes.
    pub value: String,
    /// The quote around the value.
    pub quote: Option<char>,
}

/// Splits an argument into pairs as Ansible does. Does not split Packer expressions.
pub fn parse_pairs(text: &str) -> Vec<Pair> {
    cut(text)
        .0
        .iter()
        .filter_map(|word| parse_pair(word))
        .collect()
}

/// The form of an argument (`load_extra_vars` in `ansible/utils/vars.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument<'t> {
    /// `@path`: the path of a file.
    File(&'t str),
    /// `{…}` or `[…]`: JSON or YAML.
    Data(&'t str),
    /// `name=value` pairs.
    Pairs(&'t str),
}

impl Argument<'_> {
    /// Returns the form of an argument, which its first character decides.
    pub fn of(text: &str) -> Argument<'_> {
        match text.strip_prefix('@') {
            Some(path) => Argument::File(path),
            None if text.starts_with(['{', '[']) && !text.starts_with("{{") => Argument::Data(text),
            None => Argument::Pairs(text),
        }
    }
}

/// The part of an argument that does not become a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgsProblem {
    /// Words that Ansible silently drops.
    Lost(Vec<String>),
    /// A mistake that stops Ansible.
    Refused(Mismatch),
}

/// Checks that Ansible reads the whole argument. Does not check the values of Packer expressions, which are unknown.
///
/// # Errors
/// [`ArgsProblem::Refused`] if Ansible would stop, and [`ArgsProblem::Lost`] if it would drop words.
pub fn check_args(text: &str) -> Result<(), ArgsProblem> {
    let refused = |reason: String| Err(ArgsProblem::Refused(Mismatch::because(reason)));
    match Argument::of(text) {
        Argument::File("") => return refused("expected a path after `@`".to_owned()),
        Argument::File(_) => return Ok(()),
        Argument::Data(data) if data.contains("{{") => return Ok(()),
        Argument::Data(data) => {
            return parse_vars(data).map(|_| ()).or_else(|reason| {
                refused(format!(
                    "Ansible reads a value that starts with `{{` or `[` as YAML, but {reason}"
                ))
            });
        }
        Argument::Pairs(_) => {}
    }
    if text.starts_with(['/', '.']) {
        return Err(ArgsProblem::Refused(Mismatch::of(
            text,
            "is not `name=value`; write `@path` for a file",
        )));
    }
    let (words, open) = cut(text);
    if let Some(quote) = open {
        return refused(format!(
            "unclosed `{quote}`; write `\\{quote}` if it is part of a value"
        ));
    }
    let lost: Vec<String> = words.into_iter().filter(|word| is_lost(word)).collect();
    if lost.is_empty() {
        Ok(())
    } else {
        Err(ArgsProblem::Lost(lost))
    }
}

/// Returns whether Ansible drops a word: it is not a pair and contains no Packer expression that could make it one.
fn is_lost(word: &str) -> bool {
    parse_pair(word).is_none() && !word.contains("{{")
}

/// Returns whether each word is a pair or lost, so that no Packer expression can add a variable.
pub fn is_all_known(text: &str) -> bool {
    cut(text)
        .0
        .iter()
        .all(|word| parse_pair(word).is_some() || is_lost(word))
}

/// Splits an argument into words. Also returns the quote that is still open at the end.
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
            // As in Ansible, a quote is escaped if a backslash precedes it, even if that backslash is escaped itself.
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

/// Decodes the escapes in the value of a pair, as Ansible does.
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

/// Decodes one escape, without its backslash. Returns the character and the length of the escape.
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

/// Converts a word to a bool as Ansible does (`ansible/module_utils/parsing/convert_bool.py`).
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
