//! HTML pages that imgspec writes.

use std::collections::BTreeSet;

/// Elements that HTML does not close.
const VOID: [&str; 4] = ["meta", "link", "input", "br"];

/// Checks that elements are closed in order, ids are unique, and nothing is loaded. Links inside the page lead to an id, or to
/// an address `#WORD=…` that the page's script reads. Returns the ids.
pub fn check_page(page: &str) -> BTreeSet<&str> {
    let (mut open, mut ids, mut links) = (Vec::new(), BTreeSet::new(), Vec::new());
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, next) = after.split_once('>').unwrap();
        rest = next;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
            continue;
        }
        let name = tag.split(' ').next().unwrap();
        assert!(
            name.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
            "<{tag}>"
        );
        for (key, value) in attributes(tag) {
            match key {
                "id" => assert!(ids.insert(value), "two elements have the id {value}"),
                "href" => links.push(value),
                "src" | "srcset" | "action" | "data" | "poster" | "style" => panic!("<{tag}>"),
                key => assert!(!key.starts_with("on"), "<{tag}>"),
            }
        }
        // What is in them is not HTML.
        if matches!(name, "style" | "script") {
            let (content, next) = rest.split_once(&format!("</{name}>")).unwrap();
            let words = [
                "url(",
                "@import",
                "fetch(",
                "XMLHttpRequest",
                "import(",
                "://",
            ];
            for word in words {
                let is_data = tag.contains("type=\"application/json\"");
                assert!(is_data || !content.contains(word), "<{name}> has {word}");
            }
            rest = next;
        } else if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(links.iter().filter(|link| **link == "data:,").count(), 1);
    for link in links.into_iter().filter(|link| *link != "data:,") {
        let id = link
            .strip_prefix('#')
            .unwrap_or_else(|| panic!("a link to {link}"));
        assert!(
            ids.contains(id) || id.contains('='),
            "no element has the id {id}"
        );
    }
    assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    ids
}

/// The attributes of a tag. Those without a value are left out.
fn attributes(tag: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let (value, next) = after.split_once('"').unwrap();
        out.push((before.rsplit(' ').next().unwrap(), value));
        rest = next;
    }
    out
}
