//! A review as text: for a terminal, and as Markdown for a comment.

use crate::review::{Change, Place, Review, Values, What};
use crate::source::visible_line;
use rustc_hash::FxHashSet;
use serde_json::Value as Json;
use std::fmt::Write;

/// The most characters of a comment on GitHub are 65,536.
const MAX_MARKDOWN: usize = 60_000;
/// How many names of images, and pairs of values, a line shows.
const MAX_NAMES: usize = 3;
/// How many derived variables a line names.
const MAX_DERIVED: usize = 8;
/// How many characters of a value a line shows.
const MAX_VALUE: usize = 80;

/// Writes a review as text.
pub fn plain(review: &Review) -> String {
    let mut out = String::new();
    for line in summary(review) {
        let _ = writeln!(out, "{line}");
    }
    for change in &review.changes {
        out.push('\n');
        let _ = writeln!(
            out,
            "{}: {}    {}",
            visible_line(&change.variable),
            values_in_words(&change.values),
            in_images(&change.images)
        );
        for place in &change.places {
            let _ = writeln!(out, "  {}", place_in_words(place, &change.variable));
        }
        if let Some(names) = derived_in_words(change) {
            let _ = writeln!(out, "  so {names}");
        }
        if !change.is_seen {
            let _ = writeln!(out, "  no effect: no build sees it");
        } else if !change.read_by.is_empty() {
            let _ = writeln!(
                out,
                "  read by {}",
                visible_line(&change.read_by.join(", "))
            );
        }
    }
    if !review.files.is_empty() {
        out.push('\n');
    }
    for file in &review.files {
        let _ = writeln!(
            out,
            "{}: {}    {}",
            visible_line(&file.file),
            file.what,
            in_images(&file.images)
        );
    }
    if !review.idle.is_empty() {
        out.push_str("\nThese lines change no image:\n");
        for place in &review.idle {
            let _ = writeln!(
                out,
                "  {}  {}",
                position(place),
                visible_line(&place.variable)
            );
        }
    }
    out
}

/// Writes a review as Markdown of at most 60,000 characters.
pub fn markdown(review: &Review) -> String {
    let mut out = String::new();
    for line in summary(review) {
        let _ = writeln!(out, "{}  ", escape(&line));
    }
    let mut rows = Vec::new();
    for change in &review.changes {
        let places: Vec<String> = change
            .places
            .iter()
            .map(|place| place_in_words(place, &change.variable))
            .collect();
        let mut values = values_in_words(&change.values);
        if let Some(names) = derived_in_words(change) {
            let _ = write!(values, "; so {names}");
        }
        if !change.is_seen {
            values.push_str("; no build sees it");
        }
        rows.push([
            change.variable.clone(),
            values,
            in_images(&change.images),
            places.join("; "),
        ]);
    }
    for file in &review.files {
        rows.push([
            file.file.clone(),
            file.what.to_owned(),
            in_images(&file.images),
            String::new(),
        ]);
    }
    for place in &review.idle {
        rows.push([
            place.variable.clone(),
            "changes no image".to_owned(),
            String::new(),
            position(place),
        ]);
    }
    if rows.is_empty() {
        return out;
    }
    out.push_str("\n| what | change | images | cause |\n| --- | --- | --- | --- |\n");
    let mut left = rows.len();
    for [what, change, images, cause] in rows {
        let row = format!(
            "| {} | {} | {} | {} |\n",
            escape(&what),
            escape(&change),
            escape(&images),
            escape(&cause)
        );
        if out.len() + row.len() > MAX_MARKDOWN {
            let _ = writeln!(out, "\nand {left} more");
            break;
        }
        out.push_str(&row);
        left -= 1;
    }
    out
}

fn summary(review: &Review) -> Vec<String> {
    let mut out = Vec::new();
    let common = review.images - review.added.len() - review.renamed.len();
    let count = review.rebuilt.len();
    if review.is_empty() {
        out.push(format!(
            "no image changes ({})",
            number(review.images, "image")
        ));
        return out;
    }
    let same = common - count;
    let need = if count == 1 { "needs" } else { "need" };
    let head = match same {
        _ if count == 0 => format!("no image needs a new build ({})", number(common, "image")),
        0 => format!("{count} of {} {need} a new build", number(common, "image")),
        1 => format!("{count} of {common} images {need} a new build, 1 does not"),
        _ => format!("{count} of {common} images {need} a new build, {same} do not"),
    };
    out.push(if count > 0 {
        format!("{head}: {}", names(&review.rebuilt))
    } else {
        head
    });
    for (old, new) in &review.renamed {
        out.push(format!(
            "renamed: {} → {}",
            visible_line(old),
            visible_line(new)
        ));
    }
    for (images, what) in [(&review.added, "new"), (&review.removed, "gone")] {
        if !images.is_empty() {
            out.push(format!("{what}: {}", names(images)));
        }
    }
    out
}

pub(super) fn number(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn in_images(images: &[String]) -> String {
    match images {
        [one] => format!("in {}", visible_line(one)),
        _ => format!("in {}: {}", number(images.len(), "image"), names(images)),
    }
}

/// Names at most three images, and the number of others.
fn names(images: &[String]) -> String {
    let shown: Vec<_> = images
        .iter()
        .take(MAX_NAMES)
        .map(|name| visible_line(name))
        .collect();
    match images.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The names of the variables that follow from a change.
fn derived_in_words(change: &Change) -> Option<String> {
    let all = &change.derived;
    let shown: Vec<_> = all
        .iter()
        .take(MAX_DERIVED)
        .map(|d| visible_line(&d.variable))
        .collect();
    match all.len() - shown.len() {
        _ if shown.is_empty() => None,
        0 => Some(shown.join(", ")),
        more => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

pub(super) fn values_in_words(values: &[Values]) -> String {
    let mut known: FxHashSet<String> = FxHashSet::default();
    let all = values.iter().map(pair_in_words);
    let all: Vec<String> = all.filter(|pair| known.insert(pair.clone())).collect();
    let pairs: Vec<&str> = all.iter().take(MAX_NAMES).map(String::as_str).collect();
    match all.len() - pairs.len() {
        0 => pairs.join(" and "),
        more => format!("{} and {more} other values", pairs.join(", ")),
    }
}

/// What a list gains and loses; of other values the old and the new one.
fn pair_in_words(pair: &Values) -> String {
    if let (Json::Array(old), Json::Array(new)) = (&pair.old, &pair.new) {
        let added = new.iter().filter(|element| !old.contains(element));
        let gone = old.iter().filter(|element| !new.contains(element));
        let changes: Vec<String> = gone
            .map(|element| format!("-{}", short(element)))
            .chain(added.map(|element| format!("+{}", short(element))))
            .collect();
        if !changes.is_empty() && changes.len() <= 2 * MAX_NAMES {
            return changes.join(" ");
        }
    }
    format!("{} → {}", short(&pair.old), short(&pair.new))
}

fn short(value: &Json) -> String {
    let text = match value {
        Json::Null => return "nothing".to_owned(),
        other => visible_line(&other.to_string()).into_owned(),
    };
    if text.chars().count() <= MAX_VALUE {
        return text;
    }
    text.chars().take(MAX_VALUE).chain(['…']).collect()
}

fn position(place: &Place) -> String {
    format!(
        "{}:{}:{}",
        visible_line(&place.file),
        place.line,
        place.column
    )
}

fn place_in_words(place: &Place, variable: &str) -> String {
    let what = match place.what {
        What::Written | What::Same => "",
        What::Applies => ", which now applies",
        What::Ended => ", which no longer applies",
    };
    let name = if place.variable == variable {
        String::new()
    } else {
        format!("  {}", visible_line(&place.variable))
    };
    format!(
        "{}{name}  ({}){what}",
        position(place),
        visible_line(&place.layer)
    )
}

/// Text that Markdown and HTML leave as it is.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
    }
    out
}
