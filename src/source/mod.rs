//! Source texts, spans in them, and access to files.
//!
//! The compiler reads everything through a [`Loader`]. Everything that it reports or keeps has a [`Span`] in a
//! [`SourceMap`].

pub mod embedded;
mod limits;
mod line_index;
#[expect(clippy::disallowed_methods, reason = "`Disk` reads for all rooms")]
mod loader;
mod metered;
mod part;
mod release;
mod visible;

pub use limits::*;
pub use line_index::{LineColumn, LineIndex};
pub(crate) use loader::has_mode;
pub use loader::{
    Disk, Loader, Memory, has_content, has_text, is_absolute, normalize, open_regular, read_bytes,
    read_input, read_text, read_text_real,
};
use serde::{Deserialize, Serialize};

pub use metered::Metered;
pub use part::part;
pub use release::Release;

pub use visible::{Shown, changes_direction, is_unseen, visible, visible_json, visible_line};

use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

/// The id of a text in a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId(pub u32);

/// A byte range in a source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The text that contains the range.
    pub file: FileId,
    /// The offset of the first byte.
    pub start: u32,
    /// The offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Creates a span. `end` is exclusive.
    pub fn new(file: FileId, start: u32, end: u32) -> Span {
        Span { file, start, end }
    }

    /// Returns the empty span at the end of this span.
    pub fn after(self) -> Span {
        Span::new(self.file, self.end, self.end)
    }

    /// Returns the smallest span that contains both spans, which must be in the same file.
    pub fn to(self, other: Span) -> Span {
        debug_assert_eq!(self.file, other.file);
        Span::new(
            self.file,
            self.start.min(other.start),
            self.end.max(other.end),
        )
    }
}

/// The origin of a source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A file of the project.
    Project,
    /// A file of the library: its variables, targets and rules.
    Library,
    /// An argument of the command line.
    Argument,
}

/// A source text and its path.
#[derive(Debug)]
pub struct SourceFile {
    /// The absolute path of a file on disk, `stdlib/…` in the standard library, or `--set` in the working folder for
    /// an argument.
    pub path: PathBuf,
    /// The origin of the text.
    pub origin: Origin,
    /// The content of the file.
    pub text: Arc<str>,
    lines: OnceLock<LineIndex>,
    digest: OnceLock<String>,
    /// Byte ranges that no excerpt shows, such as secrets.
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

    /// Returns the line index. Computes it on the first call.
    pub fn lines(&self) -> &LineIndex {
        self.lines.get_or_init(|| LineIndex::new(&self.text))
    }

    /// Returns the text for excerpts, with hidden ranges replaced by `*` and invisible characters escaped. Computes
    /// it on the first call.
    pub fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| Shown::new(self.mask()))
    }

    /// Returns the byte range of a span in [`SourceFile::shown`].
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
            if is_masked && !c.is_ascii_whitespace() {
                out.extend(std::iter::repeat_n('*', c.len_utf8()))
            } else {
                out.push(c)
            }
        }
        out.into()
    }

    /// Returns the SHA-256 of the text in hexadecimal. Computes it on the first call, because many images share a
    /// file.
    pub fn sha256(&self) -> &str {
        self.digest.get_or_init(|| sha256(&self.text))
    }

    /// Returns whether a part of the text between two byte offsets is hidden.
    pub fn hides(&self, range: Range<usize>) -> bool {
        let mut hidden = self.hidden.iter();
        hidden.any(|(start, end)| (*start as usize) < range.end && range.start < *end as usize)
    }

    /// Returns whether any part of the text is hidden.
    pub fn has_hidden(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Returns the folder that relative paths in this file start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// Returns the SHA-256 of a text in hexadecimal.
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Returns the SHA-256 of a text that consists of several parts, in hexadecimal.
pub fn sha256_of(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hex(&hash.finalize())
}

/// Returns bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    let mut out = String::with_capacity(2 * bytes.len());
    out.extend(digits);
    out
}

/// The source text for an id of another map. Such ids are a bug, but no reason to panic.
static NOTHING: LazyLock<SourceFile> =
    LazyLock::new(|| SourceFile::new(PathBuf::new(), Origin::Library, "".into()));

/// The paths and texts of a stored library. They are read when the first of them is shown: most runs show none.
#[derive(Clone)]
struct StoredTexts {
    count: usize,
    files: Arc<LazyLock<Vec<SourceFile>, ReadTexts>>,
}

type ReadTexts = Box<dyn FnOnce() -> Vec<SourceFile> + Send>;

impl fmt::Debug for StoredTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} texts of a library", self.count)
    }
}

/// All source texts of a run.
#[derive(Debug, Default, Clone)]
pub struct SourceMap {
    /// The texts of a stored library, which come first.
    library: Option<StoredTexts>,
    files: Vec<Arc<SourceFile>>,
    /// The folder that displayed paths are relative to.
    base: PathBuf,
}

impl SourceMap {
    /// Makes a map that begins with the `count` texts of a stored library. `read` returns their paths and contents, and is
    /// called when the first of them is needed.
    pub fn stored(
        count: usize,
        read: impl FnOnce() -> Vec<(PathBuf, Arc<str>)> + Send + 'static,
    ) -> SourceMap {
        let file = |(path, text)| SourceFile::new(path, Origin::Library, text);
        let read: ReadTexts = Box::new(move || read().into_iter().map(file).collect());
        SourceMap {
            library: Some(StoredTexts {
                count,
                files: Arc::new(LazyLock::new(read)),
            }),
            ..SourceMap::default()
        }
    }

    /// Adds a text and returns its id.
    pub fn add(&mut self, path: PathBuf, origin: Origin, text: Arc<str>) -> FileId {
        let id = FileId((self.stored_count() + self.files.len()) as u32);
        self.files
            .push(Arc::new(SourceFile::new(path, origin, text)));
        id
    }

    /// Hides a span in all excerpts.
    pub fn hide(&mut self, span: Span) {
        let at = (span.file.0 as usize).checked_sub(self.stored_count());
        if let Some(file) = at
            .and_then(|at| self.files.get_mut(at))
            .and_then(Arc::get_mut)
        {
            file.hidden.push((span.start, span.end));
            file.shown = OnceLock::new();
        }
    }

    /// Returns whether a hidden range contains the whole span.
    pub fn is_hidden(&self, span: Span) -> bool {
        let inside = |(start, end): &(u32, u32)| *start <= span.start && span.end <= *end;
        self.get(span.file).hidden.iter().any(inside)
    }

    /// Returns whether the span overlaps a hidden range.
    pub fn has_hidden(&self, span: Span) -> bool {
        let meets = |(start, end): &(u32, u32)| *start < span.end && span.start < *end;
        self.get(span.file).hidden.iter().any(meets)
    }

    /// Returns the hidden ranges on the lines of a span.
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

    /// Returns the displayed name of a file, on one line: its path, relative to the base if it is below the base.
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

    /// Returns the text with this id.
    pub fn get(&self, id: FileId) -> &SourceFile {
        let at = id.0 as usize;
        match (at.checked_sub(self.stored_count()), &self.library) {
            (Some(at), _) => self.files.get(at).map(Arc::as_ref),
            (None, library) => library.as_ref().and_then(|library| library.files.get(at)),
        }
        .unwrap_or(&NOTHING)
    }

    #[inline]
    fn stored_count(&self) -> usize {
        self.library.as_ref().map_or(0, |library| library.count)
    }

    /// Iterates over all texts with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        let count = self.stored_count() + self.files.len();
        (0..count).map(|at| {
            let id = FileId(at as u32);
            (id, self.get(id))
        })
    }

    /// Iterates over the texts that the map does not have from a stored library, with their ids.
    pub fn iter_read(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        let ids = (self.stored_count()..).map(|at| FileId(at as u32));
        ids.zip(self.files.iter().map(Arc::as_ref))
    }

    /// Returns the text of a span.
    pub fn slice(&self, span: Span) -> &str {
        let text = &self.get(span.file).text;
        text.get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// Returns the text of a span for display, with secrets hidden and invisible characters escaped.
    pub fn shown_slice(&self, span: Span) -> &str {
        let file = self.get(span.file);
        file.shown().text.get(file.shown_range(span)).unwrap_or("")
    }

    /// Returns the line and the column of a byte offset.
    pub fn position(&self, file: FileId, offset: u32) -> LineColumn {
        let file = self.get(file);
        file.lines().position(&file.text, offset)
    }

    /// Returns whether the file belongs to the project: a spec, a JSON layer or an argument.
    #[inline]
    pub fn is_users(&self, file: FileId) -> bool {
        self.origin(file) != Origin::Library
    }

    /// Returns the origin of a text.
    #[inline]
    pub fn origin(&self, file: FileId) -> Origin {
        match (file.0 as usize).checked_sub(self.stored_count()) {
            Some(at) => self
                .files
                .get(at)
                .map_or(Origin::Library, |file| file.origin),
            None => Origin::Library,
        }
    }
}
