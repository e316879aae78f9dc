//! Lenses: what a line above a layer or image says about it, and what a click there or above a test runs.

use crate::emit::find_reach;
use crate::eval::evaluate;
use crate::lsp::index::Sort;
use crate::lsp::output::address;
use crate::lsp::position::path;
use crate::lsp::server::Server;
use crate::syntax::ast::Item;
use lsp_types::{CodeLens, Command, NumberOrString, Range, Uri};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The client's command that opens an output. Its argument is the output's address.
const SHOW_OUTPUT: &str = "imgspec.showOutput";
/// The client's command that compares an image with another state. Its arguments are a spec's address and the image.
const COMPARE: &str = "imgspec.compare";
/// The client's command that runs a test. Its arguments are a spec's address and the test.
const RUN_TEST: &str = "imgspec.runTest";

impl Server {
    /// The lenses of a file. What each says follows when the client shows it.
    pub(super) fn lenses(&self, uri: &Uri) -> Option<Vec<CodeLens>> {
        let path = path(uri)?;
        self.workspace.documents.get(&path)?;
        let entry = self.workspace.declared_in(&path);
        let has_lens = |sort: Sort| sort.is_section() && sort != Sort::Matrix;
        let sections = entry.items.iter().filter(|item| has_lens(item.sort));
        let first = entry.items.first().map(|item| item.own);
        let rebuilt = self.rebuild_lens(&path, first.unwrap_or_default());
        let mut out: Vec<CodeLens> = rebuilt.into_iter().collect();
        for item in sections {
            out.push(CodeLens {
                range: item.own,
                command: None,
                data: Some(json!({ "path": path, "name": item.name })),
            });
            if item.sort != Sort::Image {
                continue;
            }
            let output = address(&path, &item.name);
            let output = output.and_then(|output| {
                self.command_lens(item.own, "show output", SHOW_OUTPUT, vec![json!(output)])
            });
            out.extend(output);
            let image = vec![json!(uri), json!(item.name)];
            let title = "compare";
            out.extend(self.command_lens(item.own, title, COMPARE, image));
        }
        if self.client.has_command(RUN_TEST) {
            out.extend(self.test_lenses(uri));
        }
        Some(out)
    }

    /// The lenses above the tests of a file.
    fn test_lenses(&self, uri: &Uri) -> Vec<CodeLens> {
        let Some(spec) = self.spec(uri) else {
            return Vec::new();
        };
        let positions = self.positions(&spec);
        let items = spec.syntax().file.items.iter();
        let tests = items.filter_map(|item| match item {
            Item::Test(test) if !test.name.text.is_empty() => Some(&test.name),
            _ => None,
        });
        let lenses = tests.filter_map(|name| {
            let test = vec![json!(uri), json!(name.text)];
            self.command_lens(positions.range_of(name.span), "run", RUN_TEST, test)
        });
        lenses.collect()
    }

    /// A lens that runs a command of the client, if the client has it.
    fn command_lens(
        &self,
        range: Range,
        title: &str,
        command: &str,
        arguments: Vec<Value>,
    ) -> Option<CodeLens> {
        self.client.has_command(command).then(|| CodeLens {
            range,
            command: Some(Command {
                title: title.to_owned(),
                command: command.to_owned(),
                arguments: Some(arguments),
            }),
            data: None,
        })
    }

    /// A lens with its text.
    pub(super) fn resolve_lens(&self, mut lens: CodeLens) -> CodeLens {
        if lens.command.is_some() {
            return lens;
        }
        let data = lens.data.take().unwrap_or_default();
        let text = |key: &str| data.get(key).and_then(|value| value.as_str());
        let title = match (text("path"), text("name")) {
            (Some(path), Some(name)) => self.lens_title(&PathBuf::from(path), name),
            _ => None,
        };
        // A command without a name is text.
        lens.command = Some(Command {
            title: title.unwrap_or_default(),
            command: String::new(),
            arguments: None,
        });
        lens.data = Some(data);
        lens
    }

    fn lens_title(&self, path: &Path, name: &str) -> Option<String> {
        let entry = self.workspace.declared_in(path);
        let item = entry
            .items
            .iter()
            .find(|item| item.sort.is_section() && item.name == name)?;
        let (images, matrices) = self.users(path, name);
        let mut users = Vec::new();
        if images > 0 {
            users.push(count(images, "image"));
        }
        match matrices {
            0 => {}
            1 => users.push("1 matrix".to_owned()),
            _ => users.push(format!("{matrices} matrices")),
        }
        let users = users.join(" and ");
        if item.sort == Sort::Layer {
            return Some(if users.is_empty() {
                "no image uses this layer".to_owned()
            } else {
                format!("used by {users}")
            });
        }
        let spec = self.workspace.spec(path)?;
        let id = spec.program.find_section(spec.file, name)?;
        let image = evaluate(&spec.program, id, None).ok()?;
        let reach = find_reach(&image);
        let set = image.ids().iter().filter(|id| image.winner(**id).is_some());
        let arriving = set.filter(|id| reach.reads(**id)).count();
        let found = self.workspace.publisher.shown(path);
        let useless = found.iter().filter(|found| {
            found.code == Some(NumberOrString::String("no-effect".to_owned()))
                && item.whole.start <= found.range.start
                && found.range.end <= item.whole.end
        });
        let mut title = count(arriving, "setting");
        let useless = useless.count();
        if useless > 0 {
            title += &format!(" · {useless} without effect");
        }
        if !users.is_empty() {
            title += &format!(" · extended by {users}");
        }
        Some(title)
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
