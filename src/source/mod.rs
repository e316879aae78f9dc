//! Source texts, the places in them, and how they are found.
//!
//! Everything that the compiler reads goes through a [`Loader`]; everything that it reports or
//! remembers points into a [`SourceMap`] with a [`Span`].

#![warn(clippy::indexing_slicing, clippy::string_slice)]

pub mod embedded;
mod line_index;
#[expect(clippy::disallowed_methods, reason = "`Disk` reads for all rooms")]
mod loader;
mod part;
mod visible;

pub use line_index::{LineColumn, LineIndex};
pub use loader::{
    Disk, Loader, MAX_FILE, Memory, normalize, open_regular, read_bytes, read_input, read_text,
};

pub use part::part;

pub use visible::{Shown, is_unseen, visible, visible_json, visible_line};

use sha2::{Digest, Sha256};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

/// A source text of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of bytes in one source text. `end` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(file: FileId, start: u32, end: u32) -> Span {
        Span { file, start, end }
    }

    /// The empty place right behind this span.
    pub fn after(self) -> Span {
        Span::new(self.file, self.end, self.end)
    }

    /// The smallest span that holds both; both must be in one file.
    pub fn to(self, other: Span) -> Span {
        debug_assert_eq!(self.file, other.file);
        Span::new(
            self.file,
            self.start.min(other.start),
            self.end.max(other.end),
        )
    }
}

/// Where a source text comes from, which decides how it is named and what its paths are relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A file of the project.
    Project,
    /// A file of the library: its variables, targets and rules.
    Library,
    /// Not a file: an argument of the command line.
    Argument,
}

/// One source text with its name.
#[derive(Debug)]
pub struct SourceFile {
    /// Absolute for files on disk; `stdlib/…` for the built-in library; for arguments
    /// `--set` in the folder where the command runs.
    pub path: PathBuf,
    pub origin: Origin,
    pub text: Arc<str>,
    lines: OnceLock<LineIndex>,
    digest: OnceLock<String>,
    /// Ranges of bytes that no excerpt may show.
    hidden: Vec<(u32, u32)>,
    shown: OnceLock<Shown>,
}

impl SourceFile {
    fn new(path: PathBuf, origin: Origin, text: Arc<str>) -> SourceFile {
        SourceFile {
            path,
            origin,
            text,
            lines: OnceLock::new(),
            digest: OnceLock::new(),
            hidden: Vec::new(),
            shown: OnceLock::new(),
        }
    }

    /// Line starts, computed when first asked for.
    pub fn lines(&self) -> &LineIndex {
        self.lines.get_or_init(|| LineIndex::new(&self.text))
    }

    /// The text for excerpts: what is hidden in it stands there as `*`, and what is not seen is written out. Made
    /// when first asked for.
    pub fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| Shown::new(self.mask()))
    }

    /// Where a place is in the text for excerpts.
    pub fn shown_range(&self, span: Span) -> Range<usize> {
        let shown = self.shown();
        shown.offset(span.start) as usize..shown.offset(span.end) as usize
    }

    fn mask(&self) -> Arc<str> {
        if self.hidden.is_empty() {
            return self.text.clone();
        }
        let mut is_hidden = vec![false; self.text.len()];
        for (start, end) in &self.hidden {
            if let Some(range) = is_hidden.get_mut(*start as usize..*end as usize) {
                range.fill(true);
            }
        }
        let mut out = String::with_capacity(self.text.len());
        for (at, c) in self.text.char_indices() {
            let is_masked = is_hidden.get(at).copied().unwrap_or(false);
            match is_masked && !c.is_ascii_whitespace() {
                true => out.extend(std::iter::repeat_n('*', c.len_utf8())),
                false => out.push(c),
            }
        }
        out.into()
    }

    /// The text's sha256 in hexadecimal, computed when first asked for: many images share a file.
    pub fn sha256(&self) -> &str {
        self.digest.get_or_init(|| sha256(&self.text))
    }

    /// The folder that relative paths in this file are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// The sha256 of a text in hexadecimal.
pub fn sha256(text: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

/// What an id of another map names. There is none, and no reason to end the program if there were.
static NOTHING: LazyLock<SourceFile> =
    LazyLock::new(|| SourceFile::new(PathBuf::new(), Origin::Library, "".into()));

/// All source texts of one run.
#[derive(Debug, Default, Clone)]
pub struct SourceMap {
    files: Vec<Arc<SourceFile>>,
    /// The folder that people see paths relative to.
    base: PathBuf,
}

impl SourceMap {
    pub fn add(&mut self, path: PathBuf, origin: Origin, text: Arc<str>) -> FileId {
        let id = FileId(self.files.len() as u32);
        self.files
            .push(Arc::new(SourceFile::new(path, origin, text)));
        id
    }

    /// Keeps a place out of all excerpts.
    pub fn hide(&mut self, span: Span) {
        if let Some(file) = self
            .files
            .get_mut(span.file.0 as usize)
            .and_then(Arc::get_mut)
        {
            file.hidden.push((span.start, span.end));
            file.shown = OnceLock::new();
        }
    }

    /// True for a place that lies in what excerpts do not show.
    pub fn is_hidden(&self, span: Span) -> bool {
        let inside = |(start, end): &(u32, u32)| *start <= span.start && span.end <= *end;
        self.get(span.file).hidden.iter().any(inside)
    }

    /// True for a place that holds something hidden, or lies in it.
    pub fn has_hidden(&self, span: Span) -> bool {
        let meets = |(start, end): &(u32, u32)| *start < span.end && span.start < *end;
        self.get(span.file).hidden.iter().any(meets)
    }

    /// What is hidden on the lines of a place.
    pub fn hidden_near(&self, span: Span) -> Vec<(FileId, Range<usize>)> {
        let file = self.get(span.file);
        if file.hidden.is_empty() {
            return Vec::new();
        }
        let text = file.text.as_bytes();
        let start = text
            .get(..span.start as usize)
            .and_then(|t| memchr::memrchr(b'\n', t))
            .map_or(0, |at| at + 1);
        let behind = text
            .get(span.end as usize..)
            .and_then(|t| memchr::memchr(b'\n', t));
        let end = behind.map_or(text.len(), |at| span.end as usize + at);
        let ranges = file
            .hidden
            .iter()
            .map(|(from, to)| *from as usize..*to as usize);
        ranges
            .filter(|range| range.start <= end && start <= range.end)
            .map(|range| (span.file, range))
            .collect()
    }

    /// Sets the folder that [`SourceMap::name`] is relative to.
    pub fn set_base(&mut self, base: PathBuf) {
        self.base = base;
    }

    /// A file's name for people: relative to the base where it lies below it, on one line.
    pub fn name(&self, id: FileId) -> String {
        let path = &self.get(id).path;
        visible_line(
            &path
                .strip_prefix(&self.base)
                .unwrap_or(path)
                .to_string_lossy(),
        )
        .into_owned()
    }

    pub fn get(&self, id: FileId) -> &SourceFile {
        self.files.get(id.0 as usize).map_or(&NOTHING, Arc::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files
            .iter()
            .enumerate()
            .map(|(i, f)| (FileId(i as u32), f.as_ref()))
    }

    /// The text that a span covers.
    pub fn slice(&self, span: Span) -> &str {
        let text = &self.get(span.file).text;
        text.get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// The text that a span covers, as people may see it: secrets hidden, and what is not seen written out.
    pub fn shown_slice(&self, span: Span) -> &str {
        let file = self.get(span.file);
        file.shown().text.get(file.shown_range(span)).unwrap_or("")
    }

    /// Line and column, both from 1, columns counted in characters.
    pub fn position(&self, file: FileId, offset: u32) -> LineColumn {
        let file = self.get(file);
        file.lines().position(&file.text, offset)
    }

    /// True for what the project itself wrote: its files, its JSON layers and its arguments.
    pub fn is_users(&self, file: FileId) -> bool {
        self.get(file).origin != Origin::Library
    }
}
