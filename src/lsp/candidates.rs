//! What completion offers: names and words, the likely ones first.

use crate::emit::find_reach;
use crate::eval::evaluate;
use crate::lsp::client::Client;
use crate::lsp::cursor::Named;
use crate::lsp::hover::{describe, find_section, find_type};
use crate::lsp::workspace::Spec;
use crate::project::hir::*;
use crate::project::{Program, Table};
use crate::schema::{Base, Type};
use crate::source::part;
use crate::syntax::ast;
use crate::workspace;
use lsp_types::{CompletionItem, CompletionItemKind as Kind, CompletionItemTag, InsertTextFormat};
use serde_json::json;
use std::mem::discriminant;

/// What there is to choose from, for one spec.
pub struct Candidates<'s> {
    pub spec: &'s Spec,
    pub has_snippets: bool,
}

/// An item; `order` sorts it, then its label.
fn item(label: &str, kind: Kind, order: u32) -> CompletionItem {
    CompletionItem {
        label: label.to_owned(),
        kind: Some(kind),
        sort_text: Some(format!("{order}{label}")),
        ..CompletionItem::default()
    }
}

fn sorted(mut items: Vec<CompletionItem>) -> Vec<CompletionItem> {
    items.sort_by(|a, b| a.sort_text.cmp(&b.sort_text));
    items
}

impl Candidates<'_> {
    /// With the text to insert, in which `$0` is where the cursor goes.
    fn with_snippet(&self, mut item: CompletionItem, body: &str) -> CompletionItem {
        if self.has_snippets {
            item.insert_text = Some(body.to_owned());
            item.insert_text_format = Some(InsertTextFormat::SNIPPET);
        }
        item
    }

    pub fn items(&self) -> Vec<CompletionItem> {
        let words = [
            ("image", "image ${1:name} extends ${2:target} {\n    $0\n}"),
            ("layer", "layer ${1:name} {\n    $0\n}"),
            ("include", "include \"$1.imgspec\""),
            ("variable", "variable ${1:name} : ${2:string} = $0"),
            ("type", "type ${1:name} = ${2:string} matching '$0'"),
            (
                "rule",
                "rule ${1:name} {\n    deny = $2\n    message = \"$0\"\n}",
            ),
            ("provider", "provider ${1:name} {\n    template = \"$0\"\n}"),
        ];
        words
            .iter()
            .enumerate()
            .map(|(i, (word, body))| self.with_snippet(item(word, Kind::KEYWORD, i as u32), body))
            .collect()
    }

    /// Layers and images, the project's first; without the one that is being written.
    pub fn sections(&self, around: Option<&ast::Section>) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let own = program
            .views
            .get(&self.spec.file)
            .map(|view| &view.names.sections);
        let own = own
            .into_iter()
            .flat_map(|names| names.iter())
            .map(|(name, (id, _))| (name, *id, 0));
        let library = program
            .library
            .sections
            .iter()
            .map(|(name, (id, _))| (name, *id, 1));
        let is_other = |name: &str| around.is_none_or(|section| section.name.text != name);
        let all = own.chain(library).filter(|(name, ..)| is_other(name));
        sorted(
            all.map(|(name, id, order)| CompletionItem {
                detail: program
                    .section(id)
                    .doc
                    .as_deref()
                    .and_then(|d| d.lines().next())
                    .map(str::to_owned),
                data: Some(json!({ "section": name })),
                ..item(name, Kind::CLASS, order)
            })
            .collect(),
        )
    }

    /// Specs and var files below the spec's folder, by path as far as it is typed.
    pub fn paths(&self, typed: &str) -> Vec<CompletionItem> {
        let folder = typed.rfind('/').map_or("", |at| part(typed, ..=at));
        let own = &self.spec.program.sources.get(self.spec.file).path;
        let Some(parent) = own.parent() else {
            return Vec::new();
        };
        let of_entry = |(name, is_folder): (String, bool)| match is_folder {
            true => item(&format!("{name}/"), Kind::FOLDER, 1),
            false => item(&name, Kind::FILE, 0),
        };
        let folder = parent.join(folder);
        let others = workspace::list_includable(&folder)
            .into_iter()
            .filter(|(name, _)| folder.join(name) != *own);
        let out = others.map(of_entry).collect();
        sorted(out)
    }

    pub fn types(&self) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let own = program
            .views
            .get(&self.spec.file)
            .map(|view| &view.names.types);
        let own = own
            .into_iter()
            .flat_map(|names| names.iter())
            .map(|(name, _)| name.as_str());
        let library = program.library.types.keys().map(|name| name.as_str());
        let named = own
            .chain(library)
            .map(|name| item(name, Kind::TYPE_PARAMETER, 1));
        let builtin = Type::BUILTIN
            .iter()
            .map(|name| item(name, Kind::TYPE_PARAMETER, 0));
        sorted(builtin.chain(named).collect())
    }

    pub fn providers(&self) -> Vec<CompletionItem> {
        self.spec
            .program
            .providers
            .iter()
            .map(|p| item(&p.name, Kind::MODULE, 0))
            .collect()
    }

    pub fn attributes(&self, names: &[&str], blocks: &[&str]) -> Vec<CompletionItem> {
        let blocks_too = |name: &&&str| !blocks.contains(*name);
        let names = names
            .iter()
            .filter(blocks_too)
            .map(|name| self.with_snippet(item(name, Kind::PROPERTY, 0), &format!("{name} = $0")));
        let blocks = blocks.iter().map(|name| self.block(name, 1));
        sorted(names.chain(blocks).collect())
    }

    fn block(&self, word: &str, order: u32) -> CompletionItem {
        self.with_snippet(
            item(word, Kind::KEYWORD, order),
            &format!("{word} {{\n    $0\n}}"),
        )
    }

    /// The names that entries of such blocks have elsewhere.
    pub fn entries(&self, owner: Owner) -> Vec<CompletionItem> {
        let variables = self
            .spec
            .program
            .variables
            .iter()
            .filter(|variable| variable.owner == owner);
        sorted(
            variables
                .map(|variable| item(&variable.name, Kind::PROPERTY, 0))
                .collect(),
        )
    }

    pub fn statements(
        &self,
        around: Option<&ast::Section>,
        has_snippets: bool,
    ) -> Vec<CompletionItem> {
        let mut out = self.variables(around, has_snippets);
        for word in ["ansible", "packer", "target"] {
            out.push(self.block(word, 3));
        }
        out.push(self.with_snippet(
            item("when", Kind::KEYWORD, 3),
            "when ${1:condition} {\n    $0\n}",
        ));
        out.extend(["final", "unset"].map(|word| item(word, Kind::KEYWORD, 3)));
        sorted(out)
    }

    /// Variables: those that have an effect on this image and are not set in it yet come first.
    pub fn variables(
        &self,
        around: Option<&ast::Section>,
        has_values: bool,
    ) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let id = around.and_then(|s| find_section(program, self.spec.file, &s.name.text));
        let mut is_set = Table::filled(&program.variables, false);
        for setting in id.iter().flat_map(|id| &program.section(*id).settings) {
            is_set[setting.variable] = true;
        }
        let mut image = id.and_then(|id| evaluate(program, id, None).ok());
        let reach = image.as_ref().map(find_reach);
        let mut out = Vec::new();
        for (name, id) in self.visible() {
            let variable = program.variable(id);
            if variable.owner != Owner::Declared || variable.removed.is_some() || variable.is_fact {
                continue;
            }
            let applies = image.as_mut().is_none_or(|image| image.applies(id));
            let is_read = reach.as_ref().is_none_or(|reach| reach.reads(id));
            let order = match (is_set[id], applies && is_read) {
                _ if variable.alias_of.is_some() => 4,
                (false, true) => 0,
                (true, _) => 1,
                (false, false) => 2,
            };
            let mut completion = self.variable(name, variable, order);
            if has_values {
                completion =
                    self.with_snippet(completion, &format!("{name} = {}", blank(&variable.ty)));
            }
            out.push(completion);
        }
        sorted(out)
    }

    fn variable(&self, name: &str, variable: &Variable, order: u32) -> CompletionItem {
        CompletionItem {
            detail: Some(variable.ty.to_string()),
            tags: variable
                .alias_of
                .map(|_| vec![CompletionItemTag::DEPRECATED]),
            data: Some(json!({ "variable": name })),
            ..item(name, Kind::PROPERTY, order)
        }
    }

    fn visible(&self) -> impl Iterator<Item = (&str, VarId)> {
        let program = &self.spec.program;
        let own = program
            .views
            .get(&self.spec.file)
            .map(|view| &view.names.variables);
        let own = own.into_iter().flat_map(|names| names.iter());
        own.chain(program.library.variables.iter())
            .map(|(name, (id, _))| (name.as_str(), *id))
    }

    /// What can be a value of a variable, or of a named type: its own words first. Inside quotes there are only words.
    pub fn values(&self, name: &str, is_quoted: bool) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let variable = program
            .find_variable(Some(self.spec.file), name)
            .map(|id| &program.variable(id).ty);
        let ty = variable.or_else(|| find_type(program, self.spec.file, name).map(|(ty, _)| ty));
        let words: Vec<CompletionItem> = match ty.map(|ty| &ty.base) {
            Some(Base::OneOf(choices)) => choices
                .iter()
                .map(|c| {
                    if is_quoted {
                        c.to_string()
                    } else {
                        format!("\"{c}\"")
                    }
                })
                .map(|choice| item(&choice, Kind::ENUM_MEMBER, 0))
                .collect(),
            Some(Base::Bool) if !is_quoted => {
                ["true", "false"].map(|w| item(w, Kind::VALUE, 0)).to_vec()
            }
            _ => Vec::new(),
        };
        let others = if is_quoted {
            Vec::new()
        } else {
            self.operands(ty, false)
        };
        words.into_iter().chain(others).collect()
    }

    /// Variables and functions, those first that fit a type, or facts where a condition is wanted.
    pub fn operands(&self, ty: Option<&Type>, is_condition: bool) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let mut out: Vec<CompletionItem> = Vec::new();
        for (name, id) in self.visible() {
            let variable = program.variable(id);
            if variable.alias_of.is_some() || variable.removed.is_some() {
                continue;
            }
            let fits = match is_condition {
                true => variable.is_fact,
                false => {
                    ty.is_none_or(|ty| discriminant(&ty.base) == discriminant(&variable.ty.base))
                }
            };
            let order = if fits { 1 } else { 3 };
            out.push(CompletionItem {
                kind: Some(Kind::VARIABLE),
                ..self.variable(name, variable, order)
            });
        }
        for function in Function::ALL {
            let name = function.as_str();
            let completion = CompletionItem {
                detail: Some(function.signature().to_owned()),
                data: Some(json!({ "function": name })),
                ..item(name, Kind::FUNCTION, 2)
            };
            out.push(self.with_snippet(completion, &format!("{name}($0)")));
        }
        sorted(out)
    }
}

/// What one fills in for a value of a type.
fn blank(ty: &Type) -> &'static str {
    match ty.base {
        Base::List(_) => "[$0]",
        Base::Map(_) => "{ $0 }",
        Base::Bool | Base::Int => "$0",
        _ => "\"$0\"",
    }
}

/// Adds its documentation to an item.
pub fn resolve(program: &Program, mut item: CompletionItem, client: &Client) -> CompletionItem {
    let data = item.data.take().unwrap_or_default();
    let value = |key: &str| data.get(key).and_then(|value| value.as_str());
    let described = if let Some(name) = value("variable") {
        let variable = program.variables.iter().find(|v| v.name == name);
        variable.and_then(|v| describe(program, v.span.file, Named::Variable(name), None))
    } else if let Some(name) = value("section") {
        let section = program.sections.iter().find(|s| s.name == name);
        section.and_then(|s| describe(program, s.span.file, Named::Section(name), None))
    } else {
        let function = value("function").and_then(Function::parse);
        function.map(|function| function.doc().to_owned())
    };
    item.documentation = described.map(|doc| client.doc_markup(doc));
    item.data = (!data.is_null()).then_some(data);
    item
}
