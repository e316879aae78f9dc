//! Completion: what is wanted at a place. It is read off the text before the cursor, so that a half-typed line is no
//! obstacle.

use crate::lsp::candidates::Candidates;
use crate::lsp::cursor::{block_at, item_start, section_at};
use crate::lsp::workspace::Spec;
use crate::project::attributes::{OF_PROVIDERS, OF_RULES, OF_RUNS, OF_TARGETS, OF_VARIABLES};
use crate::project::hir::Owner;
use crate::source::part;
use crate::syntax::ast::SectionKind;
use lsp_types::CompletionItem;

/// What can stand at a place.
#[derive(Debug, PartialEq, Eq)]
enum Wanted<'t> {
    Nothing,
    /// The beginning of an item.
    Item,
    /// What an image or a layer extends.
    Parent,
    /// The path of an include, as far as it is typed.
    Path(&'t str),
    Type,
    /// The beginning of a statement in an image or a layer.
    Statement,
    /// A variable to unset, or to make final.
    Variable,
    /// An attribute, or a block, of something that has only those.
    Attribute(&'static [&'static str], &'static [&'static str]),
    /// A name in an `ansible` or `packer` block.
    Entry(Owner),
    /// A value of what is named; inside quotes where they are typed already.
    Value {
        of: &'t str,
        is_quoted: bool,
    },
    /// A value in an expression, or in a condition over facts.
    Operand {
        is_condition: bool,
    },
    Provider,
}

/// What can stand at an offset of a spec.
pub fn complete(spec: &Spec, offset: usize, has_snippets: bool) -> Vec<CompletionItem> {
    let candidates = Candidates { spec, has_snippets };
    let section = section_at(&spec.parse.file, offset as u32);
    match find_wanted(spec, offset) {
        Wanted::Nothing => Vec::new(),
        Wanted::Item => candidates.items(),
        Wanted::Parent => candidates.sections(section),
        Wanted::Path(typed) => candidates.paths(typed),
        Wanted::Type => candidates.types(),
        Wanted::Statement => candidates.statements(section, has_snippets),
        Wanted::Variable => candidates.variables(section, false),
        Wanted::Attribute(names, blocks) => candidates.attributes(names, blocks),
        Wanted::Entry(owner) => candidates.entries(owner),
        Wanted::Value { of, is_quoted } => candidates.values(of, is_quoted),
        Wanted::Operand { is_condition } => candidates.operands(None, is_condition),
        Wanted::Provider => candidates.providers(),
    }
}

fn find_wanted(spec: &Spec, offset: usize) -> Wanted<'_> {
    let text = part(&spec.text, ..offset);
    let line = part(text, text.rfind('\n').map_or(0, |at| at + 1)..);
    let item = part(text, item_start(text)..);
    let before = line.trim_end_matches(is_word).trim_end();
    if let Some(typed) = line.strip_prefix("include ") {
        let path = typed
            .trim_start()
            .strip_prefix('"')
            .filter(|path| !path.contains('"'));
        return path.map_or(Wanted::Nothing, Wanted::Path);
    }
    match find_open_text(line) {
        OpenText::Comment => return Wanted::Nothing,
        OpenText::Quoted(start) => {
            let of = assigned(part(line, ..start).trim_end());
            return of.map_or(Wanted::Nothing, |of| Wanted::Value {
                of,
                is_quoted: true,
            });
        }
        OpenText::Hole => {
            return Wanted::Operand {
                is_condition: false,
            };
        }
        OpenText::None => {}
    }
    let header = item.split('{').next().unwrap_or(item);
    let is_header = !item.contains('{');
    if is_header && header.contains(" extends ") {
        return Wanted::Parent;
    }
    let head = before.trim_start();
    if item.starts_with("variable ") {
        return match before.ends_with(':') {
            true if is_header => Wanted::Type,
            _ if is_header && !before.ends_with('=') => Wanted::Nothing,
            _ if before.ends_with('=') => operand_or_value(before),
            _ => Wanted::Attribute(&OF_VARIABLES, &[]),
        };
    }
    let Some(section) = section_at(&spec.parse.file, offset as u32) else {
        return if head.is_empty() {
            Wanted::Item
        } else {
            Wanted::Nothing
        };
    };
    if is_header {
        return Wanted::Nothing;
    }
    if before.ends_with('=') {
        return match assigned(before) {
            Some("provider") if block_at(section, offset as u32) == Some("target") => {
                Wanted::Provider
            }
            _ => operand_or_value(before),
        };
    }
    let is_condition = head.starts_with("when");
    if is_condition || continues(before) {
        return Wanted::Operand { is_condition };
    }
    if !(head.is_empty() || head.ends_with('{') || head == "final" || head == "unset") {
        return Wanted::Nothing;
    }
    match (section.kind, block_at(section, offset as u32)) {
        _ if head == "final" || head == "unset" => Wanted::Variable,
        (_, Some("ansible")) => Wanted::Entry(Owner::Ansible),
        (_, Some("packer")) => Wanted::Entry(Owner::Packer),
        (_, Some("target")) => Wanted::Attribute(&OF_TARGETS, &["run"]),
        (_, Some("run")) => Wanted::Attribute(&OF_RUNS, &[]),
        (SectionKind::Provider, Some("defaults")) => Wanted::Variable,
        (SectionKind::Provider, _) => Wanted::Attribute(&OF_PROVIDERS, &["defaults"]),
        (SectionKind::Rule, _) => Wanted::Attribute(&OF_RULES, &[]),
        _ => Wanted::Statement,
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.'
}

fn operand_or_value(before: &str) -> Wanted<'_> {
    match assigned(before) {
        Some(of) => Wanted::Value {
            of,
            is_quoted: false,
        },
        None => Wanted::Operand {
            is_condition: false,
        },
    }
}

/// The name in front of an `=`, `+=` or `-=` at a text's end.
fn assigned(before: &str) -> Option<&str> {
    let left = before
        .strip_suffix('=')?
        .trim_end_matches(['+', '-'])
        .trim_end();
    let name = left.rsplit(|c: char| !is_word(c)).next()?;
    (!name.is_empty()).then_some(name)
}

/// True where an expression goes on behind a text.
fn continues(before: &str) -> bool {
    const WORDS: [&str; 8] = ["in", "and", "or", "not", "if", "then", "else", "deny"];
    let last = before.rsplit([' ', '\t']).next().unwrap_or(before);
    before.ends_with(['[', '(', '+', '<', '>', ','])
        || before.ends_with("==")
        || before.ends_with("!=")
        || WORDS.contains(&last)
}

/// What is open at the end of a line.
enum OpenText {
    None,
    Comment,
    /// A string that begins at this offset of the line.
    Quoted(usize),
    /// `${` in a string.
    Hole,
}

fn find_open_text(line: &str) -> OpenText {
    // The strings and holes that are open, the innermost last; a hole has no offset.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        let is_in_text = matches!(open.last(), Some(Some(_)));
        match c {
            '"' if is_in_text => drop(open.pop()),
            '"' => open.push(Some(at)),
            '\\' if is_in_text => drop(chars.next()),
            '$' if is_in_text && part(line, at..).starts_with("${") => {
                chars.next();
                open.push(None);
            }
            '}' if !is_in_text => drop(open.pop()),
            '#' if open.is_empty() => return OpenText::Comment,
            _ => {}
        }
    }
    match open.last() {
        None => OpenText::None,
        Some(Some(start)) => OpenText::Quoted(*start),
        Some(None) => OpenText::Hole,
    }
}
