//! Completion items: names and words, the likely ones first.

use crate::diagnostic::{Code, Severity, summary};
use crate::emit::{find_missing, find_reach};
use crate::eval::evaluate;
use crate::lsp::capabilities::Client;
use crate::lsp::completion::context::{InMatrix, Value};
use crate::lsp::edits::include_edit;
use crate::lsp::hover::describe;
use crate::lsp::index::Sort;
use crate::lsp::navigation::Named;
use crate::lsp::position::Positions;
use crate::lsp::workspace::{Spec, Workspace};
use crate::project::hir::*;
use crate::project::{Program, Table, is_inside};
use crate::schema::{self, Base, Type};
use crate::source::{Loader, normalize, part};
use crate::syntax::print_text;
use lsp_types::{
    CompletionItem, CompletionItemKind as Kind, CompletionItemTag, Documentation, InsertTextFormat,
    NumberOrString,
};
use serde_json::json;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

/// The most layers and images of files that the spec does not include.
const MOST_OTHERS: usize = 300;

/// The items for one spec.
pub(super) struct Candidates<'s> {
    pub spec: &'s Spec,
    pub workspace: &'s Workspace,
    pub positions: Positions<'s>,
    pub has_snippets: bool,
}

/// An item, sorted by `order` and then by its label.
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
    /// The item with a snippet, in which `$0` is the position of the cursor.
    fn with_snippet(&self, mut item: CompletionItem, body: &str) -> CompletionItem {
        if self.has_snippets {
            item.insert_text = Some(body.to_owned());
            item.insert_text_format = Some(InsertTextFormat::SNIPPET);
        }
        item
    }

    pub(super) fn items(&self) -> Vec<CompletionItem> {
        let words = [
            ("image", "image ${1:name} extends ${2:target} {\n    $0\n}"),
            ("layer", "layer ${1:name} {\n    $0\n}"),
            (
                "matrix",
                "matrix ${1:name} extends ${2:target} {\n    axis ${3:name} in [$0]\n}",
            ),
            ("include", "include \"$1.imgspec\""),
            ("variable", "variable ${1:name} : ${2:string} = $0"),
            ("type", "type ${1:name} = ${2:string} matching '$0'"),
            (
                "rule",
                "rule ${1:name} {\n    deny = $2\n    message = \"$0\"\n}",
            ),
            ("probe", "probe ${1:name} {\n    run = [\"$0\"]\n}"),
            ("test", "test \"${1:name}\" for ${2:*} {\n    assert $0\n}"),
            (
                "waive",
                "waive ${1:rule} for ${2:image} because \"$0\" until \"${3:2030-12-31}\"",
            ),
            ("provider", "provider ${1:name} {\n    template = \"$0\"\n}"),
        ];
        words
            .iter()
            .enumerate()
            .map(|(i, (word, body))| self.with_snippet(item(word, Kind::KEYWORD, i as u32), body))
            .collect()
    }

    /// The keyword `extends`.
    pub(super) fn extends(&self) -> Vec<CompletionItem> {
        vec![self.with_snippet(item("extends", Kind::KEYWORD, 0), "extends $0")]
    }

    /// Layers and images, the project's first, without the section around the cursor and without refused targets.
    pub(super) fn sections(&self, around: Option<&str>) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let sections = program.visible(self.spec.file).entries(SECTIONS);
        let others =
            sections.filter(|(name, id)| around != Some(name) && program.refusal(**id).is_none());
        sorted(
            others
                .map(|(name, id)| {
                    let section = program.section(*id);
                    let is_of_library = !program.sources.is_users(section.span.file);
                    let doc = section.doc.as_deref();
                    CompletionItem {
                        detail: doc.and_then(|d| d.lines().next()).map(str::to_owned),
                        data: Some(json!({ "section": name })),
                        ..item(name, Kind::CLASS, 2 * u32::from(is_of_library))
                    }
                })
                .collect(),
        )
    }

    /// The layers and images of specs that this one does not include, and whether there are too many to name all. Each
    /// brings its include.
    pub(super) fn sections_of_others(&self) -> (Vec<CompletionItem>, bool) {
        let program = &self.spec.program;
        let Some(view) = program.views.get(&self.spec.file) else {
            return (Vec::new(), false);
        };
        let own = &program.sources.get(self.spec.file).path;
        let includers = self.workspace.dependents(own);
        let is_seen = |path: &Path| {
            let mut files = view.files.iter();
            files.any(|file| program.sources.get(*file).path == path)
        };
        let mut out = Vec::new();
        for (path, entry) in self.workspace.declared() {
            if !path.starts_with(&view.root) || includers.contains(&path) || is_seen(&path) {
                continue;
            }
            let sections = entry.items.iter().filter(|item| {
                item.sort.is_section() && program.find_section(self.spec.file, &item.name).is_none()
            });
            for section in sections {
                // Images are seldom extended in another file.
                let order = if section.sort == Sort::Image { 3 } else { 1 };
                let edit = include_edit(self.spec, self.positions, &path);
                out.push(CompletionItem {
                    detail: Some(edit.new_text.trim().to_owned()),
                    documentation: section.doc.clone().map(Documentation::String),
                    additional_text_edits: Some(vec![edit]),
                    ..item(&section.name, Kind::CLASS, order)
                });
            }
        }
        let mut out = sorted(out);
        let is_cut = out.len() > MOST_OTHERS;
        out.truncate(MOST_OTHERS);
        (out, is_cut)
    }

    /// The roles below the spec, then the folders of a half typed path.
    pub(super) fn roles(&self, typed: &str) -> Vec<CompletionItem> {
        let folder = self.spec.program.sources.get(self.spec.file).folder();
        let loader = &self.workspace.documents;
        let mut out = Vec::new();
        for base in ["./", "roles/", "ansible/roles/"]
            .iter()
            .filter(|_| !typed.contains('/'))
        {
            let names = loader.entries(&folder.join(base));
            let roles = names
                .iter()
                .filter(|name| loader.is_dir(&folder.join(base).join(name).join("tasks")));
            out.extend(roles.map(|name| item(&format!("{base}{name}"), Kind::FOLDER, 0)));
        }
        out.extend(self.paths(typed, &|_| false));
        out
    }

    /// The specs and var files in the folder of a half typed path.
    pub(super) fn includes(&self, typed: &str) -> Vec<CompletionItem> {
        let own = &self.spec.program.sources.get(self.spec.file).path;
        self.paths(typed, &|path| {
            let is_includable = path
                .extension()
                .is_some_and(|e| e == "imgspec" || e == "json");
            is_includable && path != own
        })
    }

    /// The files and folders in the folder of a half typed path, which is relative to the spec. Nothing outside the
    /// project's roots.
    pub(super) fn paths(
        &self,
        typed: &str,
        is_wanted: &dyn Fn(&Path) -> bool,
    ) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let typed = typed.rfind('/').map_or("", |at| part(typed, ..=at));
        let folder = program.sources.get(self.spec.file).folder().join(typed);
        let Some(root) = program.views.get(&self.spec.file).map(|view| &view.root) else {
            return Vec::new();
        };
        let config = program.configs.0.iter().find(|config| config.root == *root);
        let further = config.into_iter().flat_map(|config| &config.include_roots);
        let roots: Vec<PathBuf> = std::iter::once(root.clone())
            .chain(further.map(|folder| normalize(&root.join(folder))))
            .collect();
        let loader = &self.workspace.documents;
        if !is_inside(loader, &folder, &roots) {
            return Vec::new();
        }
        let names = loader.entries(&folder);
        let items = names
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .filter_map(|name| {
                let path = normalize(&folder.join(&name));
                if loader.is_dir(&path) {
                    Some(item(&format!("{name}/"), Kind::FOLDER, 1))
                } else {
                    is_wanted(&path).then(|| item(&name, Kind::FILE, 0))
                }
            });
        sorted(items.collect())
    }

    pub(super) fn types(&self) -> Vec<CompletionItem> {
        let named = self.spec.program.visible(self.spec.file).all(TYPES);
        let named = named.map(|name| item(name, Kind::TYPE_PARAMETER, 1));
        let builtin = Type::BUILTIN
            .iter()
            .map(|name| item(name, Kind::TYPE_PARAMETER, 0));
        sorted(builtin.chain(named).collect())
    }

    pub(super) fn providers(&self) -> Vec<CompletionItem> {
        let names = self.spec.program.visible(self.spec.file).all(PROVIDERS);
        sorted(names.map(|name| item(name, Kind::MODULE, 0)).collect())
    }

    pub(super) fn rules(&self) -> Vec<CompletionItem> {
        sorted(self.rules_with(|_| true))
    }

    /// The rules of a kind, the project's first.
    fn rules_with(&self, is_wanted: impl Fn(&Rule) -> bool) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let rules = program.visible(self.spec.file).entries(RULES);
        let rules = rules.filter_map(|(name, id)| {
            let rule = program.rules.find(*id).filter(|rule| is_wanted(rule))?;
            let is_of_library = !program.sources.is_users(rule.span.file);
            Some(CompletionItem {
                detail: Some(if rule.is_deny { "deny" } else { "warn" }.to_owned()),
                data: Some(json!({ "rule": name })),
                ..item(name, Kind::EVENT, 1 + u32::from(is_of_library))
            })
        });
        rules.collect()
    }

    /// The codes of diagnostics, and the rules.
    pub(super) fn codes(&self) -> Vec<CompletionItem> {
        let codes = Code::ALL.iter().map(|code| of_code(*code, 3));
        sorted(codes.chain(self.rules_with(|_| true)).collect())
    }

    /// What a comment can allow: first what is found in this file.
    pub(super) fn allowable(&self) -> Vec<CompletionItem> {
        let path = &self.spec.program.sources.get(self.spec.file).path;
        let shown = self.workspace.publisher.shown(path);
        let is_found = |code: Code| {
            let mut codes = shown.iter().filter_map(|found| found.code.as_ref());
            codes
                .any(|found| matches!(found, NumberOrString::String(name) if name == code.as_str()))
        };
        let codes = Code::ALL.iter().copied();
        let codes = codes.filter(|code| code.severity() != Severity::Error);
        let codes = codes.map(|code| of_code(code, if is_found(code) { 0 } else { 3 }));
        sorted(codes.chain(self.rules_with(|rule| !rule.is_deny)).collect())
    }

    /// Words, in the given order.
    pub(super) fn words(&self, words: &[&str]) -> Vec<CompletionItem> {
        words
            .iter()
            .enumerate()
            .map(|(i, word)| item(word, Kind::ENUM_MEMBER, i as u32))
            .collect()
    }

    pub(super) fn attributes(&self, names: &[&str], blocks: &[&str]) -> Vec<CompletionItem> {
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

    /// The names of entries in other blocks of the same kind.
    pub(super) fn entries(&self, owner: Owner) -> Vec<CompletionItem> {
        let variables = self
            .spec
            .program
            .variables
            .iter()
            .filter(|variable| variable.extra() == Some(owner));
        sorted(
            variables
                .map(|variable| item(&variable.name, Kind::PROPERTY, 0))
                .collect(),
        )
    }

    /// The axes of a matrix.
    pub(super) fn axes(&self, names: &[String]) -> Vec<CompletionItem> {
        let items = names.iter().map(|name| {
            let axis = item(name, Kind::PROPERTY, 0);
            self.with_snippet(axis, &format!("{name} = $0"))
        });
        sorted(items.collect())
    }

    pub(super) fn statements(&self, around: Option<&str>, place: InMatrix) -> Vec<CompletionItem> {
        let mut out = self.settable(around, true);
        if place == InMatrix::Yes {
            let axis = item("axis", Kind::KEYWORD, 4);
            out.push(self.with_snippet(axis, "axis ${1:name} in [$0]"));
            out.push(self.block("exclude", 4));
            let name = item("name", Kind::KEYWORD, 4);
            out.push(self.with_snippet(name, "name = \"$0\""));
        }
        for word in ["ansible", "packer", "target"] {
            out.push(self.block(word, 4));
        }
        out.push(self.with_snippet(
            item("when", Kind::KEYWORD, 4),
            "when ${1:condition} {\n    $0\n}",
        ));
        out.extend(["final", "unset"].map(|word| item(word, Kind::KEYWORD, 4)));
        sorted(out)
    }

    /// The variables that a spec can set: first those that its target requires and nothing sets, then those that have an
    /// effect on this image and that it does not set.
    pub(super) fn settable(&self, around: Option<&str>, has_values: bool) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let id = around.and_then(|name| program.find_section(self.spec.file, name));
        let mut is_set = Table::filled(&program.variables, false);
        for setting in id.iter().flat_map(|id| &program.section(*id).settings) {
            is_set[setting.variable] = true;
        }
        let mut image = id.and_then(|id| evaluate(program, id, None).ok());
        let reach = image.as_ref().map(find_reach);
        let missing = image.as_ref().map(find_missing).unwrap_or_default();
        let mut out = Vec::new();
        for (name, id) in program.visible(self.spec.file).entries(VARIABLES) {
            let id = *id;
            let variable = program.variable(id);
            if !variable.is_declared() || variable.removed().is_some() || variable.is_fact {
                continue;
            }
            let applies = image.as_mut().is_none_or(|image| image.applies(id));
            let is_read = reach.as_ref().is_none_or(|reach| reach.reads(id));
            let order = match (is_set[id], applies && is_read) {
                _ if variable.alias_of().is_some() => 5,
                _ if missing.contains(&id) => 0,
                (false, true) => 1,
                (true, _) => 2,
                (false, false) => 3,
            };
            let mut completion = self.variable(name, variable, order);
            if has_values {
                completion = self.with_snippet(
                    completion,
                    &format!("{name} = {}", placeholder(&variable.ty)),
                );
            }
            out.push(completion);
        }
        sorted(out)
    }

    fn variable(&self, name: &str, variable: &Variable, order: u32) -> CompletionItem {
        CompletionItem {
            detail: Some(variable.ty.to_string()),
            tags: variable
                .alias_of()
                .map(|_| vec![CompletionItemTag::DEPRECATED]),
            data: Some(json!({ "variable": name })),
            ..item(name, Kind::PROPERTY, order)
        }
    }

    /// Values: the words of a type, the elements that can be removed, then names.
    pub(super) fn values(&self, value: &Value, around: Option<&str>) -> Vec<CompletionItem> {
        let mut out = Vec::new();
        let written = |text: &str| {
            if value.is_quoted {
                text.to_owned()
            } else {
                print_text(text)
            }
        };
        if let Some(list) = value.removed_from {
            let elements = self.elements(list, around);
            out.extend(elements.iter().map(|e| item(&written(e), Kind::VALUE, 0)));
        }
        match value.ty.as_ref().map(|ty| &ty.base) {
            Some(Base::OneOf(choices)) => {
                out.extend(
                    choices
                        .iter()
                        .map(|c| item(&written(c), Kind::ENUM_MEMBER, 0)),
                );
            }
            Some(Base::Bool) if !value.is_quoted && !value.is_condition => {
                out.extend(["true", "false"].map(|w| item(w, Kind::VALUE, 0)));
            }
            _ => {}
        }
        if !value.is_quoted {
            out.extend(self.operands(value.ty.as_ref(), value.is_condition));
        }
        out
    }

    /// The strings in a list, with its value in the section around the cursor.
    fn elements(&self, list: VarId, around: Option<&str>) -> Vec<String> {
        let program = &self.spec.program;
        let id = around.and_then(|name| program.find_section(self.spec.file, name));
        let image = id.and_then(|id| evaluate(program, id, None).ok());
        let Some(schema::Value::List(elements)) =
            image.as_ref().and_then(|image| image.value(list))
        else {
            return Vec::new();
        };
        let texts = elements.iter().filter_map(|element| match element {
            schema::Value::String(text) => text.known(),
            _ => None,
        });
        texts.map(|text| text.into_owned()).collect()
    }

    /// All variables.
    pub(super) fn variables(&self) -> Vec<CompletionItem> {
        self.names(|_| 0)
    }

    /// Variables and functions: first those that fit a type, or facts in a condition.
    fn operands(&self, ty: Option<&Type>, is_condition: bool) -> Vec<CompletionItem> {
        let fits = |variable: &Variable| {
            if is_condition {
                variable.is_fact
            } else {
                ty.is_none_or(|ty| discriminant(&ty.base) == discriminant(&variable.ty.base))
            }
        };
        let mut out = self.names(|variable| if fits(variable) { 1 } else { 3 });
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

    /// The variables that an expression can name.
    fn names(&self, order: impl Fn(&Variable) -> u32) -> Vec<CompletionItem> {
        let program = &self.spec.program;
        let variables = program.visible(self.spec.file).entries(VARIABLES);
        let named = variables.map(|(name, id)| (name, program.variable(*id)));
        let current = named.filter(|(_, v)| v.alias_of().is_none() && v.removed().is_none());
        sorted(
            current
                .map(|(name, variable)| CompletionItem {
                    kind: Some(Kind::VARIABLE),
                    ..self.variable(name, variable, order(variable))
                })
                .collect(),
        )
    }
}

fn of_code(code: Code, order: u32) -> CompletionItem {
    CompletionItem {
        detail: Some(code.severity().to_string()),
        documentation: Some(Documentation::String(summary(code))),
        ..item(code.as_str(), Kind::ENUM_MEMBER, order)
    }
}

/// A snippet for a value of a type.
fn placeholder(ty: &Type) -> &'static str {
    match ty.base {
        Base::List(_) => "[$0]",
        Base::Map(_) => "{ $0 }",
        Base::Bool | Base::Int => "$0",
        _ => "\"$0\"",
    }
}

/// Adds the documentation to an item.
pub(crate) fn resolve(
    program: &Program,
    mut item: CompletionItem,
    client: &Client,
) -> CompletionItem {
    let data = item.data.take().unwrap_or_default();
    let value = |key: &str| data.get(key).and_then(|value| value.as_str());
    let described = if let Some(name) = value("variable") {
        let variable = program.variables.iter().find(|v| v.name == name);
        variable.and_then(|v| describe(program, v.span.file, Named::Variable(name), None))
    } else if let Some(name) = value("section") {
        let section = program.sections.iter().find(|s| s.name == name);
        section.and_then(|s| describe(program, s.span.file, Named::Section(name), None))
    } else if let Some(name) = value("rule") {
        let rule = program.rules.iter().find(|r| r.name == name);
        rule.and_then(|r| describe(program, r.span.file, Named::Rule(name), None))
    } else if item.documentation.is_some() {
        return item;
    } else {
        let function = value("function").and_then(Function::parse);
        function.map(|function| function.doc().to_owned())
    };
    item.documentation = described.map(|doc| client.doc_markup(doc));
    item.data = (!data.is_null()).then_some(data);
    item
}
