//! The files that a compilation would write, as documents that follow each keystroke.
//!
//! The address of a document is `imgspec-out:PATH?IMAGE/FILE`: the spec, the image in it, and the file of its output. Secrets
//! are masked.

use crate::emit::emit;
use crate::eval::evaluate;
use crate::lsp::hover::{describe_variable, find_entry};
use crate::lsp::server::Server;
use crate::lsp::workspace::output;
use crate::project::Program;
use crate::project::hir::{Owner, SectionId, VarId};
use crate::source::FileId;
use lsp_types::request::Request;
use lsp_types::{Hover, HoverContents, Location, Position, Uri};
use serde::{Deserialize, Serialize};
use std::path::Path;
use url::Url;

/// The scheme of the addresses.
pub(super) const SCHEME: &str = "imgspec-out";

/// The address of an image's variables for Packer.
pub(super) fn address(spec: &Path, image: &str) -> Option<String> {
    let url = Url::from_file_path(spec).ok()?;
    Some(format!("{SCHEME}:{}?{image}/packer.vars.json", url.path()))
}

/// The request for the text of a document that the server makes. The protocol's types lack it.
#[derive(Debug)]
pub(super) enum TextDocumentContent {}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ContentParams {
    pub uri: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    pub text: String,
}

impl Request for TextDocumentContent {
    type Params = ContentParams;
    type Result = Option<Content>;
    const METHOD: &'static str = "workspace/textDocumentContent";
}

/// A file of an image's output, with what it is made of.
struct Document {
    program: Program,
    file: FileId,
    image: SectionId,
    text: String,
}

impl Document {
    /// The variable whose value is on a line, or the first one above it.
    fn variable_at(&self, line: u32) -> Option<VarId> {
        let above: Vec<&str> = self.text.lines().take(line as usize + 1).collect();
        let mut keys = above.iter().rev().filter_map(|line| {
            // The keys of the outer object.
            let (name, _) = line.strip_prefix("  \"")?.split_once("\":")?;
            Some(name)
        });
        let name = keys.next()?;
        let of = |owner| find_entry(&self.program, self.file, owner, name);
        of(Owner::Packer).or_else(|| of(Owner::Ansible))
    }
}

impl Server {
    /// The text of a file of an image's output.
    pub(super) fn content(&self, params: ContentParams) -> Option<Content> {
        let text = self.document(&params.uri)?.text;
        self.outputs.borrow_mut().insert(params.uri);
        Some(Content { text })
    }

    /// The setting that a line of an output comes from, or the variable with its default.
    pub(super) fn source_of(&self, uri: &Uri, at: Position) -> Option<Location> {
        let document = self.document(uri.as_str())?;
        let id = document.variable_at(at.line)?;
        let program = &document.program;
        let image = evaluate(program, document.image, None).ok()?;
        let span = match image.winner(id) {
            Some(active) => active.setting.name_span,
            None => program.variable(id).span,
        };
        self.location(program, span)
    }

    /// What is known of the variable on a line of an output.
    pub(super) fn describe_output(&self, uri: &Uri, at: Position) -> Option<Hover> {
        let document = self.document(uri.as_str())?;
        let id = document.variable_at(at.line)?;
        let value = describe_variable(&document.program, id, Some(document.image));
        Some(Hover {
            contents: HoverContents::Markup(self.client.hover_markup(value)),
            range: None,
        })
    }

    fn document(&self, uri: &str) -> Option<Document> {
        let url = Url::parse(uri).ok().filter(|url| url.scheme() == SCHEME)?;
        let (query, _) = url.query_pairs().next()?;
        let (name, wanted) = query.split_once('/')?;
        let path = Url::parse(&format!("file://{}", url.path())).ok()?;
        let path = path.to_file_path().ok()?;
        // Only specs of the workspace: the client could name any file.
        let specs = self.workspace.specs().into_iter();
        let program = self
            .workspace
            .load(specs.filter(|spec| *spec == path).collect());
        let file = program.specs.first().copied().flatten()?;
        let image = program.find_section(file, name)?;
        let text = {
            let evaluated = evaluate(&program, image, None).ok()?;
            let files = emit(&evaluated, &output()).shown_files();
            let mut files = files.into_iter();
            files.find(|(name, _)| *name == wanted)?.1
        };
        Some(Document {
            program,
            file,
            image,
            text,
        })
    }
}
