//! The text of a JSON object, entry by entry, as `serde_json` would write it with indentation.

use crate::source::sha256_of;
use serde::Serialize;
use serde_json::Value as Json;
use std::ops::Range;

/// Between two entries.
const BETWEEN: &[u8] = b",\n";

/// Entries of an object as text, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Page<K> {
    text: Vec<u8>,
    entries: Vec<(K, Range<usize>)>,
}

impl<K: Copy + Ord> Page<K> {
    /// Makes a page with room for a text of this length.
    pub(super) fn with_capacity(entries: usize, length: usize) -> Page<K> {
        Page {
            text: Vec::with_capacity(length),
            entries: Vec::with_capacity(entries),
        }
    }

    /// Frees the room that is left.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    /// Adds an entry with a string, whose key is greater than those before it.
    pub(super) fn push_string(&mut self, key: K, name: &str, value: &str) {
        let start = self.begin(name);
        write(&mut self.text, value);
        self.entries.push((key, start..self.text.len()));
    }

    /// Adds an entry with any value, whose key is greater than those before it.
    pub(super) fn push_json(&mut self, key: K, name: &str, value: &Json) {
        let start = self.begin(name);
        // As the only element of a list it gets the right indentation.
        let text = serde_json::to_vec_pretty(&[value]).unwrap_or_default();
        let inner = text
            .strip_prefix(b"[\n  ")
            .and_then(|t| t.strip_suffix(b"\n]"));
        self.text.extend_from_slice(inner.unwrap_or_default());
        self.entries.push((key, start..self.text.len()));
    }

    fn begin(&mut self, name: &str) -> usize {
        if !self.entries.is_empty() {
            self.text.extend_from_slice(BETWEEN);
        }
        let start = self.text.len();
        self.text.extend_from_slice(b"  ");
        write(&mut self.text, name);
        self.text.extend_from_slice(b": ");
        start
    }

    /// The text of the object.
    pub(super) fn finish(self) -> String {
        let mut out = Vec::with_capacity(self.text.len() + 5);
        close(&mut out, self.entries.is_empty(), |out| {
            out.extend_from_slice(&self.text)
        });
        into_string(out)
    }

    /// Adds the last entry of another page, whose key is greater than those before it.
    pub(super) fn push_last_of(&mut self, other: &Page<K>) {
        let Some((key, range)) = other.entries.last() else {
            return;
        };
        if !self.entries.is_empty() {
            self.text.extend_from_slice(BETWEEN);
        }
        let start = self.text.len();
        let text = other.text.get(range.clone()).unwrap_or_default();
        self.text.extend_from_slice(text);
        self.entries.push((*key, start..self.text.len()));
    }

    /// The text of the object with other entries. `changed` has all keys with a changed entry, in order; those that it
    /// has no entry for are left out.
    pub(super) fn with(&self, changed: &[K], new: &Page<K>) -> String {
        into_string(self.parts_with(changed, new).concat())
    }

    /// The SHA-256 of the same text.
    pub(super) fn sha256_with(&self, changed: &[K], new: &Page<K>) -> String {
        sha256_of(&self.parts_with(changed, new))
    }

    /// The same text in parts.
    fn parts_with<'t>(&'t self, changed: &[K], new: &'t Page<K>) -> Vec<&'t [u8]> {
        let mut out: Vec<&[u8]> = vec![b"{\n"];
        let mut add = |page: &'t Page<K>, entries: &[(K, Range<usize>)]| {
            if let (Some((_, first)), Some((_, last))) = (entries.first(), entries.last()) {
                if out.len() > 1 {
                    out.push(BETWEEN);
                }
                out.push(page.text.get(first.start..last.end).unwrap_or_default());
            }
        };
        let (mut rest, mut news) = (&self.entries[..], new.entries.iter());
        let mut next = news.next();
        for key in changed {
            let (before, from) = rest.split_at(rest.partition_point(|(other, _)| other < key));
            add(self, before);
            if let Some(entry) = next.filter(|(other, _)| other == key) {
                add(new, std::slice::from_ref(entry));
                next = news.next();
            }
            rest = match from {
                [(other, _), behind @ ..] if other == key => behind,
                _ => from,
            };
        }
        add(self, rest);
        if out.len() == 1 {
            return vec![b"{}\n"];
        }
        out.push(b"\n}\n");
        out
    }
}

fn close(out: &mut Vec<u8>, is_empty: bool, body: impl FnOnce(&mut Vec<u8>)) {
    if is_empty {
        out.extend_from_slice(b"{}\n");
        return;
    }
    out.extend_from_slice(b"{\n");
    body(out);
    out.extend_from_slice(b"\n}\n");
}

/// Writes a string with its quotes.
fn write(out: &mut Vec<u8>, text: &str) {
    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    // Almost no string has a character that needs an escape.
    if text
        .as_bytes()
        .iter()
        .fold(false, |found, byte| found | is_special(byte))
    {
        let _ = text.serialize(&mut serde_json::Serializer::new(out));
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

fn into_string(text: Vec<u8>) -> String {
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(entries: &[(u32, &str, Json)]) -> Page<u32> {
        let mut page = Page::with_capacity(0, 0);
        for (key, name, value) in entries {
            match value {
                Json::String(text) => page.push_string(*key, name, text),
                value => page.push_json(*key, name, value),
            }
        }
        page
    }

    fn pretty(entries: &[(u32, &str, Json)]) -> String {
        let map: serde_json::Map<String, Json> = entries
            .iter()
            .map(|(_, name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        serde_json::to_string_pretty(&map).unwrap() + "\n"
    }

    #[test]
    fn writes_what_serde_json_writes() {
        let all = [
            (1, "a", json!("plain")),
            (2, "b\"", json!("\u{0} \\ \n ü")),
            (3, "c", json!({ "x": [1, { "y": [] }], "z": {} })),
            (4, "d", json!(["one", "two"])),
            (5, "e", json!(true)),
        ];
        for from in 0..all.len() {
            for to in from..all.len() {
                assert_eq!(page(&all[from..to]).finish(), pretty(&all[from..to]));
            }
        }
    }

    #[test]
    fn changed_entries_are_in_their_places() {
        let old = [
            (2, "b", json!("old")),
            (4, "d", json!("old")),
            (6, "f", json!("old")),
        ];
        let base = page(&old);
        for mask in 0..(1u32 << 7) {
            for present in 0..(1u32 << 7) {
                let changed: Vec<u32> = (0..7).filter(|i| mask >> i & 1 == 1).collect();
                let names = ["_", "a", "b", "c", "d", "e", "f"];
                let new: Vec<(u32, &str, Json)> = (0..7)
                    .filter(|i| mask >> i & present >> i & 1 == 1)
                    .map(|i| (i, names[i as usize], json!("new")))
                    .collect();
                let mut all: Vec<(u32, &str, Json)> = old
                    .iter()
                    .filter(|(key, _, _)| !changed.contains(key))
                    .cloned()
                    .collect();
                all.extend(new.iter().cloned());
                all.sort_by_key(|(key, _, _)| *key);
                assert_eq!(base.with(&changed, &page(&new)), pretty(&all));
            }
        }
    }
}
