//! The program as it grows, and what a file adds to it.

use crate::diagnostic::{Code, Diagnostic, Reported};
use crate::project::check::items::{new_probe, new_provider, new_rule, new_variable};
use crate::project::check::{Declared, Unit};
use crate::project::hir::*;
use crate::project::{Adopted, Edition};
use crate::source::{Loader, MAX_COMPARED, MAX_DIAGNOSTICS, MAX_KEPT, Origin, SourceMap, Span};
use crate::syntax::{ast, is_keyword, is_null};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

/// A program as it grows.
pub(crate) struct Draft<'l> {
    pub loader: &'l dyn Loader,
    /// The library's text, if it is not the built-in one.
    pub adopted: Option<&'l Adopted>,
    pub sources: &'l mut SourceMap,
    pub diagnostics: Vec<Diagnostic>,
    pub variables: Table<VarId, Variable>,
    pub sections: Table<SectionId, Section>,
    pub providers: Table<ProviderId, Provider>,
    pub rules: Table<RuleId, Rule>,
    pub probes: Table<ProbeId, Probe>,
    pub tests: Vec<Test>,
    pub waivers: Vec<Waiver>,
    /// Entries of `ansible` and `packer` blocks.
    pub extras: FxHashMap<(Owner, SmolStr), VarId>,
    /// What `file("…")` and arguments `@path` read.
    pub data: Vec<DataFile>,
    /// Where make runs Packer: relative paths in JSON var files start there, for Packer hands them on as they are.
    pub packer_folder: Option<PathBuf>,
    /// What is being lowered is dropped without a word where it has an error, so an error needs no suggestion.
    pub is_tentative: bool,
    /// The built-in library that it begins with, or whose types and rules hold.
    pub edition: Edition,
    /// How many names have been compared with unknown ones.
    pub compared: Cell<usize>,
    /// The names in `extends`, and the axes, about which it has been reported that nothing has them.
    pub unknown_parents: FxHashSet<Span>,
    /// How many regular expressions the project has.
    pub patterns: usize,
}

/// What the text of a file depends on besides itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileContext<'f> {
    /// The names that it sees.
    pub view: View<'f>,
    /// The folders that it may read.
    pub roots: &'f [PathBuf],
    /// Why some included file is unknown: an undeclared name may be declared there.
    pub incomplete: Option<Reported>,
}

/// Lowers the content of a file.
pub(crate) struct Lowering<'d, 'l> {
    pub draft: &'d mut Draft<'l>,
    pub file: FileContext<'d>,
}

impl<'l> Deref for Lowering<'_, 'l> {
    type Target = Draft<'l>;

    fn deref(&self) -> &Draft<'l> {
        self.draft
    }
}

impl<'l> DerefMut for Lowering<'_, 'l> {
    fn deref_mut(&mut self) -> &mut Draft<'l> {
        self.draft
    }
}

impl Lowering<'_, '_> {
    /// Reports an error.
    pub(crate) fn report(&mut self, error: Diagnostic) -> Reported {
        self.draft.report(error)
    }

    /// Reports a warning.
    pub(crate) fn warn(&mut self, warning: Diagnostic) {
        self.draft.warn(warning);
    }
}

impl<'l> Draft<'l> {
    /// Begins a program that has a library and nothing else yet.
    pub(crate) fn new(
        loader: &'l dyn Loader,
        adopted: Option<&'l Adopted>,
        sources: &'l mut SourceMap,
        library: &Items,
    ) -> Draft<'l> {
        Draft {
            loader,
            adopted,
            sources,
            diagnostics: Vec::new(),
            variables: Table::of_library(&library.variables),
            sections: Table::of_library(&library.sections),
            providers: Table::of_library(&library.providers),
            rules: Table::of_library(&library.rules),
            probes: Table::of_library(&library.probes),
            tests: Vec::new(),
            waivers: Vec::new(),
            extras: library.extras.clone(),
            data: Vec::new(),
            packer_folder: None,
            is_tentative: false,
            edition: Edition::default(),
            compared: Cell::new(0),
            unknown_parents: FxHashSet::default(),
            patterns: 0,
        }
    }

    /// Begins to lower a file.
    pub(crate) fn enter<'d>(&'d mut self, file: FileContext<'d>) -> Lowering<'d, 'l> {
        Lowering { draft: self, file }
    }

    /// Reports an error.
    pub(crate) fn report(&mut self, error: Diagnostic) -> Reported {
        Reported::push(&mut self.diagnostics, error)
    }

    /// Reports a warning.
    pub(crate) fn warn(&mut self, warning: Diagnostic) {
        if self.diagnostics.len() < MAX_KEPT {
            self.diagnostics.push(warning);
        }
    }

    /// True if nobody looks for what unknown names were meant to be: there are too many.
    pub(crate) fn is_tired(&self) -> bool {
        self.compared.get() > MAX_COMPARED || self.diagnostics.len() >= MAX_DIAGNOSTICS
    }

    /// True for a place in the library, the built-in one or another.
    pub(crate) fn is_library(&self, span: Span) -> bool {
        self.sources.origin(span.file) == Origin::Library
    }

    /// Gives ids to a file's items. Types and attributes follow when all names are known.
    pub(crate) fn declare<'u>(&mut self, unit: &'u Unit) -> Vec<Declared<'u>> {
        let items = unit.ast.items.iter();
        let mut declared: Vec<Declared<'u>> =
            items.filter_map(|item| self.declare_item(item)).collect();
        for (name, file) in &unit.json {
            self.check_name(name, false);
            let id = self.new_section(LayerKind::Json, name, None);
            declared.push(Declared::Json(id, name, file));
        }
        declared
    }

    /// Reports a word that cannot be a name. It is one all the same, so that nothing is unknown because of it.
    fn check_name(&mut self, name: &ast::Ident, is_variable: bool) {
        let is_no_value = is_variable && is_null(&name.text);
        if !is_keyword(&name.text) && !is_no_value {
            return;
        }
        let label = if is_no_value {
            "other languages use this word for no value"
        } else {
            "the language has another meaning for this word"
        };
        let message = format!("`{}` cannot be a name", name.text);
        let found = Diagnostic::new(Code::Reserved, name.span, message);
        self.report(found.label(label).help("choose another name"));
    }

    fn declare_item<'u>(&mut self, item: &'u ast::Item) -> Option<Declared<'u>> {
        if let Some(name) = item.name() {
            self.check_name(name, matches!(item, ast::Item::Variable(_)));
        }
        Some(match item {
            ast::Item::Variable(variable) => {
                let new =
                    new_variable(&variable.name, VariableKind::Declared, variable.doc.clone());
                Declared::Variable(self.variables.push(new), variable)
            }
            ast::Item::Section(section) => {
                let (name, doc) = (&section.name, section.doc.clone());
                match section.kind {
                    ast::SectionKind::Image => {
                        Declared::Section(self.new_section(LayerKind::Image, name, doc), section)
                    }
                    ast::SectionKind::Layer => {
                        Declared::Section(self.new_section(LayerKind::Layer, name, doc), section)
                    }
                    ast::SectionKind::Matrix => {
                        Declared::Section(self.new_section(LayerKind::Matrix, name, doc), section)
                    }
                    ast::SectionKind::Axis => {
                        Declared::Section(self.new_section(LayerKind::Axis, name, doc), section)
                    }
                    ast::SectionKind::Provider => {
                        Declared::Provider(self.providers.push(new_provider(name, doc)), section)
                    }
                    ast::SectionKind::Rule => {
                        Declared::Rule(self.rules.push(new_rule(name)), section)
                    }
                    ast::SectionKind::Probe => {
                        Declared::Probe(self.probes.push(new_probe(name, doc)), section)
                    }
                }
            }
            ast::Item::Test(test) => Declared::Test(test),
            ast::Item::Waiver(waiver) => Declared::Waiver(waiver),
            ast::Item::Include(_) | ast::Item::Type(_) => return None,
        })
    }

    pub(crate) fn new_section(
        &mut self,
        kind: LayerKind,
        name: &ast::Ident,
        doc: Option<String>,
    ) -> SectionId {
        self.sections.push(Section {
            kind,
            name: name.text.clone(),
            span: name.span,
            extends: Vec::new(),
            whole: name.span,
            lacks_parent: false,
            settings: Vec::new(),
            conditions: Vec::new(),
            target: None,
            doc,
        })
    }

    /// The variable of an entry of an `ansible` or `packer` block.
    pub(crate) fn extra(&mut self, owner: Owner, name: &ast::Ident) -> VarId {
        let key = (owner, name.text.clone());
        if let Some(id) = self.extras.get(&key) {
            return *id;
        }
        let new = new_variable(name, VariableKind::Extra(owner), None);
        let id = self.variables.push(new);
        self.extras.insert(key, id);
        id
    }

    pub(crate) fn add_data(&mut self, path: &Path, text: String, at: Span) {
        self.data.push(DataFile {
            reader: at.file,
            at,
            path: path.to_owned(),
            text,
            is_secret: false,
        });
    }
}
