//! Fixes that diagnostics offer, applied to files.

pub use super::copy_folder;
use serde_json::Value;
use std::path::PathBuf;

/// Applies a fix of the JSON form (`docs/json.md`): all its edits together.
pub fn apply(fix: &Value) {
    let mut edits: Vec<(PathBuf, usize, usize, String)> = Vec::new();
    for edit in fix["edits"].as_array().unwrap() {
        let path = PathBuf::from(edit["file"].as_str().unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        let place =
            |line: &str, column: &str| offset(&text, number(&edit[line]), number(&edit[column]));
        let (start, end) = (place("line", "column"), place("end_line", "end_column"));
        edits.push((path, start, end, edit["text"].as_str().unwrap().to_owned()));
    }
    // The last first, so that the places of the others stay right.
    edits.sort_by(|a, b| (&b.0, b.1).cmp(&(&a.0, a.1)));
    for pair in edits.windows(2) {
        assert!(
            pair[0].0 != pair[1].0 || pair[1].2 <= pair[0].1,
            "two edits overlap: {fix}"
        );
    }
    for (path, start, end, new) in edits {
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.replace_range(start..end, &new);
        std::fs::write(&path, text).unwrap();
    }
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// The byte at a line and a column of characters, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    text[start..]
        .char_indices()
        .nth(column - 1)
        .map_or(text.len(), |(at, _)| start + at)
}
