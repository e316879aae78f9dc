//! The code blocks of the documents, as files.

use std::collections::BTreeMap;
use std::path::Path;

/// A code block that holds a file.
pub struct Block<'t> {
    pub path: &'t str,
    pub verdict: Option<&'t str>,
    pub text: String,
}

/// The code blocks of a page that hold files.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut out: Vec<Block<'_>> = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(info) => {
                is_open = true;
                let words: Vec<&str> = info.split(' ').skip(1).collect();
                let verdict = words
                    .iter()
                    .copied()
                    .find(|w| ["wrong", "right"].contains(w));
                let path = words
                    .iter()
                    .copied()
                    .find(|w| w.contains('.'))
                    .unwrap_or("spec.imgspec");
                out.push(Block {
                    path,
                    verdict,
                    text: String::new(),
                });
            }
            None if is_open => {
                let block = out.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    out
}

/// The sets of files that have a verdict: a second file at one path begins another set.
pub fn projects<'b>(blocks: &'b [Block<'_>], verdict: &str) -> Vec<BTreeMap<&'b str, &'b str>> {
    let shared = || {
        blocks
            .iter()
            .filter(|b| b.verdict.is_none())
            .map(|b| (b.path, b.text.as_str()))
    };
    let mut out: Vec<BTreeMap<&str, &str>> = Vec::new();
    for block in blocks.iter().filter(|b| b.verdict == Some(verdict)) {
        match out
            .last_mut()
            .filter(|files| !files.contains_key(block.path))
        {
            Some(files) => drop(files.insert(block.path, &block.text)),
            None => out.push(BTreeMap::from([(block.path, block.text.as_str())])),
        }
    }
    for files in &mut out {
        for (path, text) in shared() {
            files.entry(path).or_insert(text);
        }
    }
    out
}

/// What the pages of the codes show as wrong: the page and the files, by path.
pub fn wrong() -> Vec<(String, BTreeMap<String, String>)> {
    let mut out = Vec::new();
    for page in super::files(&super::root().join("docs/codes"), "md") {
        let text = std::fs::read_to_string(&page).unwrap();
        for files in projects(&blocks(&text), "wrong") {
            let files = files
                .into_iter()
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .collect();
            out.push((page.display().to_string(), files));
        }
    }
    out
}

/// Writes files below a folder; a path may lead out of it.
pub fn write(folder: &Path, files: &BTreeMap<String, String>) {
    for (path, text) in files {
        let path = folder.join(Path::new(path));
        std::fs::create_dir_all(folder.join("..").join(path.parent().unwrap())).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
