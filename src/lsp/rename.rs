//! Renaming of the project's own items.

use crate::diagnostic::Severity;
use crate::lsp::documents::Overlay;
use crate::lsp::edits::edit;
use crate::lsp::goto::{definition, outer_references, references};
use crate::lsp::navigation::{Named, name_or_comment_at};
use crate::lsp::workspace::Workspace;
use crate::packer::{Braced, parse_braces};
use crate::project::Program;
use crate::project::hir::VarId;
use crate::source::{FileId, Origin, Span, part};
use crate::syntax::{self, Kind, Parse, Tree, ast::File, is_keyword, is_name, print_text};
use lsp_types::TextEdit;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// What a request renames.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its present name.
    pub name: String,
    /// The name under the cursor.
    pub place: Span,
    /// Its definition.
    defined: Span,
    variable: Option<VarId>,
}

impl Subject {
    /// The item whose name is at an offset; `None` if there is no name.
    ///
    /// # Errors
    ///
    /// The reason, if the project does not define the item.
    pub(super) fn at(
        program: &Program,
        file: FileId,
        ast: &File,
        offset: u32,
    ) -> Result<Option<Subject>, String> {
        let Some((named, place)) = name_or_comment_at(program, ast, file, offset) else {
            return Ok(None);
        };
        let (name, variable) = match named {
            Named::Section(name)
            | Named::Provider(name)
            | Named::Type(name)
            | Named::Rule(name)
            | Named::Probe(name) => (name, None),
            Named::Entry(_, name) => (name, None),
            Named::Variable(name) => (name, program.find_variable(Some(file), name)),
            Named::Function(_) | Named::Include(_) | Named::Code(_) => return Ok(None),
        };
        let is_declared = |id: VarId| program.variable(id).is_declared();
        if matches!(named, Named::Variable(_) | Named::Entry(..))
            && !variable.is_some_and(is_declared)
        {
            return Err(format!(
                "`{name}` has no declaration, so its receivers know it by this name"
            ));
        }
        let Some(defined) = definition(program, file, named) else {
            return Err(format!("nothing defines `{name}`"));
        };
        if program.sources.origin(defined.file) != Origin::Project {
            return Err(format!("`{name}` is defined in the library"));
        }
        Ok(Some(Subject {
            name: name.to_owned(),
            place,
            defined,
            variable,
        }))
    }
}

/// The edits that replace a name in all specs of the workspace, in their JSON layers and in `imgspec.toml`.
///
/// # Errors
///
/// The reason, if the new name is not a name, or causes an error that is not there now.
pub(super) fn edits(
    workspace: &Workspace,
    program: &Program,
    subject: &Subject,
    new: &str,
) -> Result<Vec<(PathBuf, TextEdit)>, String> {
    if !is_name(new) {
        return Err(format!(
            "`{new}` cannot be a name: a name contains letters, digits and `_`, with single `-` or `.` between them"
        ));
    }
    if is_keyword(new) {
        return Err(format!(
            "`{new}` cannot be a name: it is a word of the language"
        ));
    }
    let mut places = places(program, subject, new);
    places.sort_by_key(|(span, _)| (span.file, span.start));
    places.dedup();
    let renamed = apply(program, &places);
    // The compiler knows what else can be wrong with a name.
    let after = workspace.load_over(
        workspace.specs(),
        &Overlay::new(&workspace.documents, renamed),
    );
    let errors = |program: &Program| {
        let errors = program
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error);
        errors.map(|d| d.message.clone()).collect::<Vec<_>>()
    };
    let before = errors(program);
    let forms = |text: &String| text.replace(&format!("`{}`", subject.name), &format!("`{new}`"));
    let known: Vec<String> = before.iter().map(forms).collect();
    if let Some(error) = errors(&after)
        .into_iter()
        .find(|e| !known.contains(&forms(e)))
    {
        return Err(format!("this name causes an error: {error}"));
    }
    Ok(places
        .into_iter()
        .map(|(span, text)| edit(&program.sources, span, &text, workspace.encoding))
        .collect())
}

/// The places of the name, with the text to put there.
fn places(program: &Program, subject: &Subject, new: &str) -> Vec<(Span, String)> {
    let mut out: Vec<(Span, String)> = Vec::new();
    for (file, source) in program
        .sources
        .iter()
        .filter(|(file, _)| program.views.contains_key(file))
    {
        let Parse {
            tree, file: ast, ..
        } = syntax::parse(file, &source.text);
        let names = references(program, file, &ast, subject.defined);
        let in_strings = names_in_strings(&source.text, &tree, &subject.name)
            .map(|range| Span::new(file, range.start, range.end))
            .filter(|span| reads(program, subject, *span));
        out.extend(
            names
                .into_iter()
                .chain(in_strings)
                .map(|span| (span, new.to_owned())),
        );
    }
    let outer = outer_references(program, subject.defined).into_iter();
    out.extend(outer.map(|(span, is_quoted)| {
        let text = if is_quoted {
            print_text(new)
        } else {
            new.to_owned()
        };
        (span, text)
    }));
    out
}

/// Where the Packer expressions in a text's strings name a variable.
fn names_in_strings(text: &str, tree: &Tree, name: &str) -> impl Iterator<Item = Range<u32>> {
    let strings = (0..tree.len()).map(|at| tree.node(at)).filter(|node| {
        matches!(
            node.kind,
            Kind::string | Kind::raw | Kind::chunk | Kind::heredoc
        )
    });
    strings.flat_map(move |node| {
        let string = part(text, node.start as usize..node.end as usize);
        let named = parse_braces(string)
            .into_iter()
            .flat_map(|(_, piece)| match piece {
                Braced::User(name) => vec![name],
                Braced::Other(_, names) => names,
                Braced::Text(_) | Braced::Env(_) | Braced::Bad(..) => Vec::new(),
            });
        let ranges = named.filter(|other| *other == name).map(|name| {
            // The names are parts of the string.
            let start = node.start + (name.as_ptr().addr() - string.as_ptr().addr()) as u32;
            start..start + name.len() as u32
        });
        ranges.collect::<Vec<_>>()
    })
}

/// True if a setting around a place reads the variable. Elsewhere braces are plain text.
fn reads(program: &Program, subject: &Subject, place: Span) -> bool {
    let mut found = false;
    for setting in program
        .sections
        .iter()
        .flat_map(|section| &section.settings)
    {
        let value = setting.value.span;
        if value.file == place.file && value.start <= place.start && place.end <= value.end {
            setting
                .value
                .for_each_variable(&mut |id| found |= Some(id) == subject.variable);
        }
    }
    found
}

/// The texts after the edits.
fn apply(program: &Program, places: &[(Span, String)]) -> BTreeMap<PathBuf, String> {
    let mut out: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (span, new) in places.iter().rev() {
        let source = program.sources.get(span.file);
        let text = out
            .entry(source.path.clone())
            .or_insert_with(|| source.text.to_string());
        let range = span.start as usize..span.end as usize;
        if text.get(range.clone()).is_some() {
            text.replace_range(range, new);
        }
    }
    out
}
