//! Lenses: what a line above a layer or image says about it.

use crate::emit::find_reach;
use crate::eval::evaluate;
use crate::lsp::index::Sort;
use crate::lsp::output::address;
use crate::lsp::position::path;
use crate::lsp::server::Server;
use lsp_types::{CodeLens, Command, NumberOrString, Uri};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The client's command that opens an output.
const SHOW_OUTPUT: &str = "imgspec.showOutput";

impl Server {
    /// The lenses of a file. What each says follows when the client shows it.
    pub(super) fn lenses(&self, uri: &Uri) -> Option<Vec<CodeLens>> {
        let path = path(uri)?;
        self.workspace.documents.get(&path)?;
        let entry = self.workspace.declared_in(&path);
        let has_lens = |sort: Sort| sort.is_section() && sort != Sort::Matrix;
        let sections = entry.items.iter().filter(|item| has_lens(item.sort));
        let mut out = Vec::new();
        for item in sections {
            out.push(CodeLens {
                range: item.own,
                command: None,
                data: Some(json!({ "path": path, "name": item.name })),
            });
            let is_image = item.sort == Sort::Image && self.client.has_command(SHOW_OUTPUT);
            let output = is_image.then(|| address(&path, &item.name)).flatten();
            out.extend(output.map(|uri| CodeLens {
                range: item.own,
                command: Some(Command {
                    title: "show output".to_owned(),
                    command: SHOW_OUTPUT.to_owned(),
                    arguments: Some(vec![json!(uri)]),
                }),
                data: None,
            }));
        }
        Some(out)
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
