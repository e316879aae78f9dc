//! Renaming what the project defines: layers, images, variables, types, providers.

use crate::diagnostic::Severity;
use crate::lsp::cursor::{Named, name_at};
use crate::lsp::documents::Documents;
use crate::lsp::findings::edit;
use crate::lsp::symbols::{definition, references};
use crate::lsp::workspace::Workspace;
use crate::project::Program;
use crate::project::hir::{Owner, SectionKind, VarId};
use crate::source::{FileId, Loader, Origin, Span};
use crate::syntax::{self, ast::File, print_text};
use lsp_types::TextEdit;
use regex::Regex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What is to be renamed.
#[derive(Debug)]
pub struct Subject {
    /// Its name as it is.
    pub name: String,
    /// The name under the cursor.
    pub place: Span,
    /// Its definition.
    defined: Span,
    variable: Option<VarId>,
}

impl Subject {
    /// What the name at an offset stands for; none where no name is there.
    ///
    /// # Errors
    /// In words, where it is not the project's to rename.
    pub fn at(
        program: &Program,
        file: FileId,
        ast: &File,
        offset: u32,
    ) -> Result<Option<Subject>, String> {
        let Some((named, place)) = name_at(ast, offset) else {
            return Ok(None);
        };
        let (name, variable) = match named {
            Named::Section(name) | Named::Provider(name) | Named::Type(name) => (name, None),
            Named::Variable(name) => (name, program.find_variable(Some(file), name)),
            Named::Function(_) | Named::Include(_) => return Ok(None),
        };
        let is_declared = |id: VarId| program.variable(id).owner == Owner::Declared;
        if matches!(named, Named::Variable(_)) && !variable.is_some_and(is_declared) {
            return Err(format!(
                "`{name}` has no declaration: who reads it knows it by this name"
            ));
        }
        let Some(defined) = definition(program, file, named) else {
            return Err(format!("nothing defines `{name}`"));
        };
        if program.sources.get(defined.file).origin != Origin::Project {
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

/// The edits that give a subject another name wherever the workspace's specs and their JSON layers say it.
///
/// # Errors
/// In words, where the name cannot be one or something would be wrong then that is right now.
pub fn edits(
    workspace: &Workspace,
    program: &Program,
    subject: &Subject,
    new: &str,
) -> Result<Vec<(PathBuf, TextEdit)>, String> {
    let is_name = Regex::new(r"^[A-Za-z_][A-Za-z0-9_]*([-.][A-Za-z0-9_]+)*$").expect("a pattern");
    if !is_name.is_match(new) {
        return Err(format!(
            "`{new}` is no name: letters, digits, `_`, and `-` or `.` between them"
        ));
    }
    let mut places = places(program, subject, new);
    places.sort_by_key(|(span, _)| (span.file, span.start));
    places.dedup();
    let renamed = apply(program, &places);
    // What else can go wrong with a name is what the compiler says of it.
    let after = workspace.load_over(
        workspace.specs(),
        &Overlay {
            below: &workspace.documents,
            texts: renamed,
        },
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
        return Err(format!("with that name {error}"));
    }
    Ok(places
        .into_iter()
        .map(|(span, text)| edit(&program.sources, span, &text, workspace.encoding))
        .collect())
}

/// Where the name stands, with what is to stand there.
fn places(program: &Program, subject: &Subject, new: &str) -> Vec<(Span, String)> {
    let mut out: Vec<(Span, String)> = Vec::new();
    // Strings name variables in Packer's way.
    let in_braces = Regex::new(&format!(
        r"\{{\{{-?\s*user\s+[`']({})[`']",
        regex::escape(&subject.name)
    ));
    for (file, source) in program
        .sources
        .iter()
        .filter(|(file, _)| program.views.contains_key(file))
    {
        let ast = syntax::parse(file, &source.text).file;
        out.extend(
            references(program, file, &ast, subject.defined)
                .into_iter()
                .map(|s| (s, new.to_owned())),
        );
        if let Ok(in_braces) = &in_braces {
            let found = in_braces
                .captures_iter(&source.text)
                .filter_map(|captures| captures.get(1));
            let spans = found.map(|name| Span::new(file, name.start() as u32, name.end() as u32));
            out.extend(
                spans
                    .filter(|span| reads(program, subject, *span))
                    .map(|span| (span, new.to_owned())),
            );
        }
    }
    for section in program
        .sections
        .iter()
        .filter(|s| s.kind == SectionKind::Json)
    {
        for setting in section
            .settings
            .iter()
            .filter(|s| Some(s.variable) == subject.variable)
        {
            out.push((setting.name_span, print_text(new)));
        }
    }
    out
}

/// True where a setting around a place reads the variable: elsewhere braces are text.
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

/// The texts with the edits in them.
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

/// Texts over those of the client.
struct Overlay<'d> {
    below: &'d Documents,
    texts: BTreeMap<PathBuf, String>,
}

impl Loader for Overlay<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.texts
            .get(path)
            .map_or_else(|| self.below.read(path), |text| Ok(text.clone()))
    }

    fn look(&self, path: &Path) -> io::Result<()> {
        self.below.look(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.below.exists(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.below.is_dir(path)
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        self.below.entries(folder)
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.below.canonical(path)
    }
}
