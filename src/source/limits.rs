//! The limits of what the program reads, computes and prints. docs/limits.md lists them.
//!
//! Each is far above what projects need, and keeps a command within some seconds and some hundred MiB. What exceeds one
//! gets a diagnostic at its place, which names the limit and a way out.

/// The largest file, in bytes. Image Builder's largest files have a few hundred KiB.
pub const MAX_FILE: u64 = 16 << 20;

/// The most bytes of the files that the values of an image name, for a command that builds nothing.
pub const MAX_SEEN: u64 = 256 << 20;

/// The most bytes of all files that a command reads.
pub const MAX_SOURCES: usize = 64 << 20;

/// The most nodes in the trees of all specs that a command reads: names, values, settings, items and comments. A node
/// takes about 250 bytes until the spec is checked.
pub const MAX_NODES: usize = 1_000_000;

/// The most entries of a JSON file.
pub const MAX_ENTRIES: usize = 500_000;

/// The most bytes of arguments for Ansible in one variable.
pub const MAX_ARGUMENT: usize = 512 << 10;

/// The most entries of `exclude` in `imgspec.toml`.
pub const MAX_EXCLUDED: usize = 1000;

/// The most entries of `allow`, `warn` and `deny` in `imgspec.toml`, also below `paths`.
pub const MAX_LEVELS: usize = 1000;

/// How many comments of one file allow diagnostics at most.
pub const MAX_ALLOWS: usize = 1000;

/// The most variables of a command, with the entries of `ansible` and `packer` blocks and of JSON var files.
pub const MAX_VARIABLES: usize = 20_000;

/// The most layers of an image.
pub const MAX_LAYERS: usize = 1000;

/// The most files that a command reads.
pub const MAX_FILES: usize = 25_000;

/// The longest chain of files that include each other.
pub const MAX_INCLUDES: usize = 200;

/// The most images that a command evaluates.
pub const MAX_IMAGES: usize = 20_000;

/// The most combinations of the axes of a matrix, with those that it excludes.
pub const MAX_COMBINATIONS: usize = 1_000_000;

/// The most images of a project that `doc` describes.
pub const MAX_DESCRIBED: usize = 1000;

/// The most images of a report.
pub const MAX_REPORTED: usize = 5000;

/// The most nodes of a graph of layers and images, or of files.
pub const MAX_DRAWN: usize = 500;

/// The most bytes that the expressions of one image read and make.
pub const MAX_WORK: usize = 64 << 20;

/// The most memory, in bytes, that the values of one image take. Values share their text, and each receiver gets a copy.
pub const MAX_IMAGE: usize = 64 << 20;

/// The most memory, in bytes, that the values take which `show` prints.
pub const MAX_PRINTED: usize = 64 << 20;

/// The most bytes of text that `show` prints. As JSON, an image has about 100 KiB.
pub const MAX_TEXT: usize = 128 << 20;

/// The most memory, in bytes, that the values of all images of a command take together.
pub const MAX_OUTPUT: usize = 512 << 20;

/// The deepest nesting of blocks, brackets and conditional values. It bounds recursion in the whole compiler.
pub const MAX_DEPTH: usize = 128;

/// The most operators of one precedence in a row.
pub const MAX_OPERATORS: usize = 1000;

/// The most steps of the parser for one file. Specs take about one for each byte, and at most 40.
pub const MAX_STEPS: usize = 30_000_000;

/// The longest chain of variables that depend on each other.
pub const MAX_CHAIN: usize = 200;

/// The largest value, in bytes. A few names that double each other would fill any memory.
pub const MAX_VALUE: usize = 4 << 20;

/// The most errors that the parser reports in one file.
pub const MAX_SYNTAX_ERRORS: usize = 500;

/// The most diagnostics that a command prints.
pub const MAX_DIAGNOSTICS: usize = 1000;

/// How many images of one diagnostic a report for programs names.
pub const MAX_NAMED: usize = 100;

/// The most characters that are shown of one line of a file, or of one sentence of a diagnostic.
pub const MAX_SHOWN: usize = 5000;

/// The most names that unknown names are compared with to find what was meant.
pub const MAX_COMPARED: usize = 500_000;

/// The most diagnostics that are kept before they are ordered.
pub const MAX_KEPT: usize = 10 * MAX_DIAGNOSTICS;

/// The longest regular expression, in bytes.
pub const MAX_PATTERN_TEXT: usize = 10_000;

/// The largest regular expression, in bytes of its compiled form.
pub const MAX_PATTERN: usize = 256 << 10;

/// The most regular expressions in the specs of a command.
pub const MAX_PATTERNS: usize = 200;
