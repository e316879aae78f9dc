//! What documentation says in a form that programs can use, and sentences of the page.

use crate::schema::Encoding;

/// Units of quantities, as documentation writes them.
const UNITS: [&str; 17] = [
    "bytes",
    "KiB",
    "MiB",
    "GiB",
    "TiB",
    "KB",
    "MB",
    "GB",
    "TB",
    "milliseconds",
    "seconds",
    "minutes",
    "hours",
    "days",
    "weeks",
    "percent",
    "MHz",
];

/// Returns the unit that documentation names: "Size of the disk, in MiB." None if it names several.
pub(super) fn find_unit(doc: &str) -> Option<String> {
    let words: Vec<&str> = doc.split_whitespace().collect();
    let bare = |word: &str| word.trim_end_matches(['.', ',', ';', ':', ')']).to_owned();
    let mut found: Vec<String> = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        let [before, unit] = pair else { continue };
        let plain = bare(unit);
        if before.trim_start_matches('(') != "in" || !UNITS.contains(&plain.as_str()) {
            continue;
        }
        // "in MiB per second", in which nothing ends after the unit.
        let rate = match (plain == **unit, words.get(at + 2), words.get(at + 3)) {
            (true, Some(&"per"), Some(time)) => format!(" per {}", bare(time)),
            _ => String::new(),
        };
        found.push(plain + &rate);
    }
    found.dedup();
    match found.as_slice() {
        [unit] => Some(unit.clone()),
        _ => None,
    }
}

/// Returns the first paragraph of the comment at a file's top, without its marks, unless it is documentation.
pub(super) fn file_comment(text: &str) -> Option<String> {
    let lines: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        .take_while(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(str::trim)
        .collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

/// Removes the indentation that all lines after the first share: the first begins within a line.
pub(super) fn dedent(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let rest = || text.lines().skip(1).filter(|line| !line.trim().is_empty());
    let shared = rest().map(indent).min().unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.lines().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let shown = if at == 0 {
            line
        } else {
            line.get(shared..).unwrap_or("")
        };
        out.push_str(shown.trim_end());
    }
    out
}

/// The longest text of a value, in characters.
const LONGEST: usize = 1500;

/// Shortens a long text, and says by how much.
pub(super) fn abridge(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => {
            let more = text.chars().count() - LONGEST;
            format!(
                "{}… ({more} more characters)",
                crate::source::part(&text, ..at)
            )
        }
        None => text,
    }
}

/// The language's own types, with a sentence for each.
pub(super) const TYPES: [(&str, &str); 12] = [
    ("bool", "`true` or `false`."),
    ("int", "An integer."),
    ("string", "A string."),
    (
        "semver",
        "A version with a leading `v`, such as `v1.23.10`.",
    ),
    (
        "version",
        "A version of a package or program, such as `1.6.2` or `1.1.1-00`.",
    ),
    (
        "path",
        "A path, relative to the file that contains it. It is absolute in the output.",
    ),
    ("file", "A `path` of a file that must exist."),
    (
        "role",
        "The name of an Ansible role. With a `/` in it, a `path`.",
    ),
    ("toml", "A string that is valid TOML."),
    (
        "args",
        "Arguments for Ansible: `k=v` pairs, `@file`, or a map in YAML or JSON.",
    ),
    ("[T]", "A list with elements of type `T`."),
    ("{T}", "A map with string keys and values of type `T`."),
];

/// What the tables of effects are about.
pub(super) const ABOUT_EFFECTS: &str = "A variable has an effect on a target if its condition holds there, and the \
    template, the playbook or the value of another variable reads it. The tables count the targets of each provider: \
    with an effect, of all.";

/// Returns the sentence about the providers on whose targets variables have no effect.
pub(super) fn without(providers: &[String]) -> String {
    let quoted: Vec<String> = providers.iter().map(|name| format!("`{name}`")).collect();
    format!("No effect on the targets of {}.", quoted.join(", "))
}

/// Returns what an encoding does.
pub(super) fn about_encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Plain => "The string or integer as it is.",
        Encoding::Flag => "`true` or `false`.",
        Encoding::TitleFlag => "`True` or `False`.",
        Encoding::Base64 => "The string in base64.",
        Encoding::Words => "The elements, separated by spaces.",
        Encoding::Commas => "The elements, separated by commas.",
        Encoding::Json => "JSON.",
    }
}

/// All encodings, in the order of the manual.
pub(super) const ENCODINGS: [Encoding; 7] = [
    Encoding::Plain,
    Encoding::Flag,
    Encoding::TitleFlag,
    Encoding::Base64,
    Encoding::Words,
    Encoding::Commas,
    Encoding::Json,
];

/// Returns the receiver as words.
pub(super) fn receiver(name: &str) -> &'static str {
    match name {
        "packer" => "Packer",
        "linux" => "Linux playbook",
        _ => "Windows playbook",
    }
}

/// A piece of a documentation text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Words.
    Text(&'t str),
    /// What is in backquotes.
    Code(&'t str),
}

/// Splits a text at its backquotes. One without a partner is an ordinary character.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, next)) = after.split_once('`').filter(|(code, _)| !code.is_empty()) else {
            break;
        };
        if !before.is_empty() {
            out.push(Piece::Text(before));
        }
        out.push(Piece::Code(code));
        rest = next;
    }
    if !rest.is_empty() {
        out.push(Piece::Text(rest));
    }
    out
}

/// Returns the paragraphs of a text, each on one line.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines().map(str::trim) {
        match (line.is_empty(), is_open, out.last_mut()) {
            (true, _, _) => is_open = false,
            (false, true, Some(last)) => {
                last.push(' ');
                last.push_str(line);
            }
            _ => {
                out.push(line.to_owned());
                is_open = true;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_follows_the_word_in() {
        let unit = |doc| find_unit(doc);
        assert_eq!(unit("Size of the disk, in MiB."), Some("MiB".to_owned()));
        assert_eq!(
            unit("Throughput, in MiB per second; for gp3."),
            Some("MiB per second".to_owned())
        );
        assert_eq!(unit("Waits (in seconds)."), Some("seconds".to_owned()));
        assert_eq!(unit("The folder in which it is."), None);
        assert_eq!(unit("In clouds in GiB, elsewhere in MiB."), None);
        assert_eq!(unit("At least 10 MiB."), None);
    }

    #[test]
    fn a_backquote_without_partner_is_text() {
        assert_eq!(
            pieces("a `b` c ` d"),
            [Piece::Text("a "), Piece::Code("b"), Piece::Text(" c ` d")]
        );
    }

    #[test]
    fn values_of_several_lines_lose_their_place_in_the_file() {
        assert_eq!(dedent("[\n        1,\n    ]"), "[\n    1,\n]");
        assert_eq!(dedent("1"), "1");
    }
}
