//! What the manual says about a word of the language: the rows of the tables of docs/language.md.

/// The manual.
const LANGUAGE: &str = include_str!("../../docs/language.md");

/// The row about a word, of the tables whose first column has a title. As Markdown.
pub(super) fn row(title: &str, word: &str) -> Option<String> {
    let rows = table(title).filter_map(|line| {
        let (first, rest) = cells(line)?;
        let place = |syntax: &str| words(syntax).position(|other| other == word);
        // The first word of a syntax is what the row is about.
        let (at, syntax) = code(&first)
            .filter_map(|syntax| Some((place(syntax)?, syntax.to_owned())))
            .min_by_key(|(at, _)| *at)?;
        Some((at, syntax, rest))
    });
    let (_, syntax, mut text) = rows.min_by_key(|(at, ..)| *at)?;
    if title == "type" {
        let (values, encodings) = text.split_once("; ")?;
        text = format!("Values: {values}. Encodings for Packer: {encodings}.");
    }
    Some(format!("```imgspec\n{syntax}\n```\n\n{}\n", plain(&text)))
}

/// The paragraph that begins with a text. As Markdown.
pub(super) fn paragraph(start: &str) -> Option<String> {
    let at = LANGUAGE.find(&format!("\n{start}"))?;
    let text = LANGUAGE.get(at + 1..)?.split("\n\n").next()?;
    Some(format!("{}\n", plain(text)))
}

/// The rows of the tables with a title.
fn table(title: &str) -> impl Iterator<Item = &'static str> {
    let head = format!("| {title} |");
    let mut is_inside = false;
    LANGUAGE.lines().filter(move |line| {
        let is_row = is_inside && line.starts_with('|') && !line.starts_with("| ---");
        is_inside = line.starts_with(&head) || is_inside && line.starts_with('|');
        is_row
    })
}

/// The first cell of a row, and the others.
fn cells(line: &str) -> Option<(String, String)> {
    let line = line.trim_start_matches("| ").trim_end_matches(" |");
    let (first, rest) = line.split_once(" | ")?;
    let unescaped = |text: &str| text.replace("\\|", "|");
    Some((unescaped(first), unescaped(rest).replace(" | ", "; ")))
}

/// The code in a text.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn words(syntax: &str) -> impl Iterator<Item = &str> {
    syntax
        .split(|c: char| c.is_whitespace() || "(){}[],?".contains(c))
        .filter(|word| !word.is_empty())
}

/// A text without its links to other parts of the manual.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let whole = link.split_once("](").and_then(|(label, target)| {
            let (_, after) = target.split_once(')')?;
            (!label.contains(['[', '`', '\n'])).then_some((label, after))
        });
        out.push_str(before);
        match whole {
            Some((label, after)) => {
                out.push_str(label);
                rest = after;
            }
            None => {
                out.push('[');
                rest = link;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::attributes::{
        OF_PROBES, OF_PROVIDERS, OF_RULES, OF_RUNS, OF_TARGETS, OF_VARIABLES,
    };
    use crate::schema::Type;

    #[test]
    fn the_manual_has_a_row_for_each_word() {
        let attributes = [
            ("variable", &OF_VARIABLES[..]),
            ("provider", &OF_PROVIDERS),
            ("rule", &OF_RULES),
            ("probe", &OF_PROBES),
            ("target", &OF_TARGETS),
            ("target", &OF_RUNS),
        ];
        for (owner, names) in attributes {
            let title = format!("attribute of a {owner}");
            for name in names {
                assert!(row(&title, name).is_some(), "{title}: {name}");
            }
        }
        for name in Type::BUILTIN {
            assert!(row("type", name).is_some(), "{name}");
        }
        let items = "include type variable rule probe provider layer image as matching";
        let statements = "final unset when ansible packer target += -=";
        let expressions = "if then else not and or in + true";
        for (title, words) in [
            ("item", items),
            ("statement", statements),
            ("expression", expressions),
        ] {
            for word in words.split(' ') {
                assert!(row(title, word).is_some(), "{title}: {word}");
            }
        }
        assert!(paragraph("Ancestors are ordered").is_some());
    }

    #[test]
    fn links_become_their_words() {
        assert_eq!(plain("a [b c](#d), `[e]` f"), "a b c, `[e]` f");
    }
}
