//! Finding items by words of their names and documentation.

use crate::diagnostic::{Code, page};
use crate::project::Program;
use crate::project::hir::*;
use crate::reference::collect::item_docs;
use crate::reference::model::{Kind, Link};
use std::collections::BTreeSet;

/// An item that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The item.
    pub item: Link,
    /// The first sentence of its documentation, or another text that says what it is.
    pub summary: String,
}

/// Finds the items whose names or documentation contain all words of a query, the best first.
pub fn search(program: &Program, query: &str) -> Vec<Found> {
    let query = fold(query);
    let words: Vec<&str> = query.split_whitespace().collect();
    if words.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<(u32, Found)> = Vec::new();
    let mut known: BTreeSet<(&'static str, String)> = BTreeSet::new();
    let mut look = |kind: Kind, name: &str, doc: &str, summary: String| {
        let Some(rank) = rank(&words, &fold(name), &fold(doc)) else {
            return;
        };
        if known.insert((kind.as_str(), name.to_owned())) {
            let item = Link {
                kind,
                name: name.to_owned(),
            };
            found.push((rank, Found { item, summary }));
        }
    };
    for variable in program.variables.iter().filter(|v| v.is_declared()) {
        let doc = variable.doc.as_deref().unwrap_or_default();
        look(Kind::Variable, &variable.name, doc, first_sentence(doc));
    }
    for section in program.sections.iter() {
        let kind = match section.kind {
            LayerKind::Image => Kind::Target,
            LayerKind::Layer | LayerKind::Matrix => Kind::Layer,
            LayerKind::Json | LayerKind::Argument | LayerKind::Axis => continue,
        };
        let doc = section.doc.as_deref().unwrap_or_default();
        look(kind, &section.name, doc, first_sentence(doc));
    }
    for provider in program.providers.iter() {
        let doc = provider.doc.as_deref().unwrap_or_default();
        look(Kind::Provider, &provider.name, doc, first_sentence(doc));
    }
    // A standard rule about variables that another library lacks is not checked.
    for rule in program.rules.iter().filter(|rule| rule.is_checked()) {
        let message = program.sources.shown_slice(rule.message.span);
        let condition = program.sources.shown_slice(rule.condition.span);
        let one_line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let summary = one_line.trim_matches('"').to_owned();
        look(
            Kind::Rule,
            &rule.name,
            &format!("{message} {condition}"),
            summary,
        );
    }
    for probe in program.probes.iter().filter(|probe| probe.is_checked()) {
        let doc = probe.doc.as_deref().unwrap_or_default();
        let command = probe.script.as_ref().unwrap_or(&probe.words);
        let command = program.sources.shown_slice(command.span);
        let text = format!("{doc} {command}");
        look(Kind::Probe, &probe.name, &text, probe.title());
    }
    let docs = item_docs(program);
    let own = program.views.values().map(|view| &view.names.types);
    let types = std::iter::once(&program.library.types).chain(own).flatten();
    for (name, (_, span)) in types {
        let doc = docs.get(span).map_or("", String::as_str);
        look(Kind::Type, name, doc, first_sentence(doc));
    }
    for code in Code::ALL {
        let text = page(*code).split_once('\n').map_or("", |(_, text)| text);
        look(
            Kind::Code,
            code.as_str(),
            &first_paragraph(text),
            first_sentence(text.trim()),
        );
    }
    found.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.item.name.cmp(&y.item.name)));
    found.into_iter().map(|(_, found)| found).collect()
}

/// Removes differences of case and of separators.
fn fold(text: &str) -> String {
    text.to_lowercase().replace(['_', '-'], " ")
}

/// How well a name and a documentation match: the sum over all words; none where a word is in neither.
fn rank(words: &[&str], name: &str, doc: &str) -> Option<u32> {
    let rank_of = |word: &&str| {
        let has_start = |text: &str| {
            text.split(|c: char| !c.is_alphanumeric())
                .any(|w| w.starts_with(word))
        };
        if name == *word {
            Some(100)
        } else if name.split(' ').any(|part| part == *word) {
            Some(60)
        } else if has_start(name) {
            Some(40)
        } else if name.contains(word) {
            Some(20)
        } else if has_start(doc) {
            Some(5)
        } else if doc.contains(word) {
            Some(1)
        } else {
            None
        }
    };
    words.iter().map(rank_of).sum()
}

fn first_paragraph(text: &str) -> String {
    let lines = text
        .trim()
        .lines()
        .take_while(|line| !line.trim().is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Returns the first sentence, on one line.
fn first_sentence(text: &str) -> String {
    let paragraph = first_paragraph(text);
    match paragraph.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => paragraph,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_name_counts_more_than_one_of_the_documentation() {
        let rank = |name, doc| rank(&["proxy"], name, doc);
        assert!(rank("http proxy", "") > rank("proxies", "a proxy"));
        assert!(rank("x proxy1", "") > rank("x", "a proxy"));
        assert_eq!(rank("x", "y"), None);
    }

    #[test]
    fn a_sentence_ends_at_its_full_stop() {
        assert_eq!(first_sentence("A b.\nC d.\n\nE."), "A b.");
        assert_eq!(first_sentence("Version v1.2"), "Version v1.2");
    }
}
