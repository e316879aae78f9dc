//! Which images the edits since a file was opened would rebuild: those of which a build sees something else than it would have
//! seen then.
//!
//! Nothing is computed before a client asks. Its request waits until the server has nothing else to do; then one spec after the
//! other is evaluated, and the next edit ends the request.

use crate::driver::Job;
use crate::emit::Sight;
use crate::lsp::documents::Overlay;
use crate::lsp::position::uri;
use crate::lsp::server::Server;
use crate::lsp::workspace::{Workspace, output};
use crate::source::Loader;
use lsp_server::{Connection, ErrorCode, RequestId, Response};
use lsp_types::{CodeLens, Command, Range};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The client's command that lists images. Its argument is a list of them: the name, the address of the file, and the range.
const SHOW_IMAGES: &str = "imgspec.showImages";

/// The most images that a command lists.
const MOST_SHOWN: usize = 1000;

/// The images of a spec.
type Images = BTreeMap<String, Seen>;

/// What is known of an image.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    /// A digest of what its build sees; none for an image with an error, which cannot be built.
    digest: Option<u64>,
    /// Its name in the text.
    place: Range,
}

/// A request that waits.
#[derive(Debug)]
struct Asked {
    id: RequestId,
    lens: CodeLens,
    path: PathBuf,
}

/// The images of specs, as far as they are known, and the requests that wait for others.
#[derive(Debug, Default)]
pub(super) struct Rebuilds {
    /// With the texts that open documents had at first.
    before: FxHashMap<PathBuf, Images>,
    now: FxHashMap<PathBuf, Images>,
    asked: VecDeque<Asked>,
}

impl Rebuilds {
    /// Forgets what the text of a spec, or of a file that it includes, says about its images.
    pub(super) fn forget(&mut self, spec: &Path, is_edit: bool) {
        self.now.remove(spec);
        if !is_edit {
            self.before.remove(spec);
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.before.clear();
        self.now.clear();
    }
}

impl Workspace {
    /// The specs whose images a file concerns, in order.
    fn concerned(&self, path: &Path) -> Vec<PathBuf> {
        let mut specs = self.dependents(path);
        specs.sort();
        specs
    }

    /// The texts that a spec and its includes had when they were opened, where they are others now.
    fn first_texts(&self, spec: &Path) -> BTreeMap<PathBuf, String> {
        let parts = self.parts.get(spec).into_iter().flatten();
        let edited = parts.filter_map(|part| {
            let document = self.documents.get(part)?;
            document
                .is_edited()
                .then(|| (part.clone(), document.first.clone()))
        });
        edited.collect()
    }

    /// The images of a spec, with the texts of a loader.
    fn see(&self, spec: &Path, loader: &dyn Loader) -> Images {
        let program = self.load_over(vec![spec.to_owned()], loader);
        let Some(file) = program.specs.first().copied().flatten() else {
            return Images::new();
        };
        let images = program.images_of(file);
        let job = Job {
            loader,
            program: &program,
            images: &images,
            provider: None,
            output: &output(),
        };
        let (made, found) = job.render_each(|files| (files.image, digest(&files.sight)));
        let made: BTreeMap<String, u64> = made.into_iter().collect();
        let is_broken = program.diagnostics.iter().any(|found| found.is_error());
        let has_error = |name: &str| {
            let errors = found.iter().filter(|found| found.is_error());
            let mut names = errors.flat_map(|found| &found.images);
            is_broken || names.any(|of| of == name)
        };
        let seen = images.iter().map(|id| {
            let section = program.section(*id);
            let name = section.name.to_string();
            let digest = made.get(&name).copied().filter(|_| !has_error(&name));
            let place = self.encoding.range_of(&program.sources, section.span);
            (name, Seen { digest, place })
        });
        seen.collect()
    }
}

/// A digest of what a build sees, which differs where the IDs differ: no edit changes the files that values name.
fn digest(sight: &Sight) -> u64 {
    let mut hash = DefaultHasher::new();
    sight.portable.hash(&mut hash);
    sight.recipe.hash(&mut hash);
    sight.paths.hash(&mut hash);
    format!("{:?} {:?}", sight.roles, sight.role_folders).hash(&mut hash);
    hash.finish()
}

impl Server {
    /// The lens above the first item of a file that was edited, if it is a spec or one includes it.
    pub(super) fn rebuild_lens(&self, path: &Path, first: Range) -> Option<CodeLens> {
        let document = self.workspace.documents.get(path)?;
        let is_shown = document.is_edited() && !self.workspace.dependents(path).is_empty();
        is_shown.then(|| CodeLens {
            range: first,
            command: None,
            data: Some(json!({ "path": path, "rebuilds": true })),
        })
    }

    /// Keeps the request for the text of such a lens, which is answered later. Returns false for another request.
    pub(super) fn keeps(&mut self, id: &RequestId, params: &Value) -> bool {
        if params.pointer("/data/rebuilds") != Some(&Value::Bool(true)) {
            return false;
        }
        let Ok(lens) = serde_json::from_value::<CodeLens>(params.clone()) else {
            return false;
        };
        let path = params.pointer("/data/path").and_then(Value::as_str);
        let path = path.map(PathBuf::from).unwrap_or_default();
        let id = id.clone();
        self.workspace
            .rebuilds
            .asked
            .push_back(Asked { id, lens, path });
        true
    }

    /// Ends the requests that wait, or one of them, with an error.
    ///
    /// # Errors
    /// The connection breaks.
    pub(super) fn end_waiting(
        &mut self,
        connection: &Connection,
        id: Option<&RequestId>,
        code: ErrorCode,
    ) -> Result<(), Box<dyn Error + Sync + Send>> {
        let all = std::mem::take(&mut self.workspace.rebuilds.asked);
        for asked in all {
            if id.is_some_and(|id| *id != asked.id) {
                self.workspace.rebuilds.asked.push_back(asked);
                continue;
            }
            let reason = match code {
                ErrorCode::ContentModified => "the text has changed",
                _ => "the request was cancelled",
            };
            let reply = Response::new_err(asked.id, code as i32, reason.to_owned());
            connection.sender.send(reply.into())?;
        }
        Ok(())
    }

    /// Evaluates one more spec for the requests that wait, or answers one. Returns false if none waits.
    ///
    /// # Errors
    /// The connection breaks.
    pub(super) fn work_on_waiting(
        &mut self,
        connection: &Connection,
    ) -> Result<bool, Box<dyn Error + Sync + Send>> {
        let Some(asked) = self.workspace.rebuilds.asked.front() else {
            return Ok(false);
        };
        let specs = self.workspace.concerned(&asked.path);
        let known = &self.workspace.rebuilds;
        let unknown = specs
            .iter()
            .find(|spec| !known.now.contains_key(*spec) || !known.before.contains_key(*spec));
        if let Some(spec) = unknown {
            let spec = spec.clone();
            self.learn(spec);
            return Ok(true);
        }
        let Some(asked) = self.workspace.rebuilds.asked.pop_front() else {
            return Ok(false);
        };
        let mut lens = asked.lens;
        lens.command = Some(self.rebuilt(&specs));
        let reply = Response::new_ok(asked.id, lens);
        connection.sender.send(reply.into())?;
        Ok(true)
    }

    /// Finds what is not known yet of the images of a spec.
    fn learn(&mut self, spec: PathBuf) {
        let documents = &self.workspace.documents;
        if !self.workspace.rebuilds.now.contains_key(&spec) {
            let images = self.workspace.see(&spec, documents);
            self.workspace.rebuilds.now.insert(spec, images);
            return;
        }
        let first = self.workspace.first_texts(&spec);
        let images = if first.is_empty() {
            self.workspace.rebuilds.now.get(&spec).cloned()
        } else {
            let over = Overlay::new(documents, first);
            Some(self.workspace.see(&spec, &over))
        };
        let images = images.unwrap_or_default();
        self.workspace.rebuilds.before.insert(spec, images);
    }

    /// The text of the lens, which lists the images if the client can.
    fn rebuilt(&self, specs: &[PathBuf]) -> Command {
        let (mut all, mut broken) = (0, 0);
        let mut images: Vec<Value> = Vec::new();
        let mut rebuilt = 0;
        for spec in specs {
            let of = |known: &FxHashMap<PathBuf, Images>| known.get(spec).cloned();
            let now = of(&self.workspace.rebuilds.now).unwrap_or_default();
            let before = of(&self.workspace.rebuilds.before).unwrap_or_default();
            all += now.len();
            for (name, seen) in &now {
                if seen.digest.is_none() {
                    broken += 1;
                } else if before.get(name).and_then(|old| old.digest) != seen.digest {
                    rebuilt += 1;
                    if images.len() < MOST_SHOWN {
                        images.push(json!({ "name": name, "uri": uri(spec), "range": seen.place }));
                    }
                }
            }
        }
        let plural = if all == 1 { "" } else { "s" };
        let mut title = match rebuilt {
            0 => "rebuilds no image".to_owned(),
            _ => format!("rebuilds {rebuilt} of {all} image{plural}"),
        };
        match broken {
            0 => {}
            1 => title += " · 1 has an error",
            _ => title += &format!(" · {broken} have errors"),
        }
        let can_show = rebuilt > 0 && self.client.has_command(SHOW_IMAGES);
        Command {
            title,
            command: if can_show { SHOW_IMAGES } else { "" }.to_owned(),
            arguments: can_show.then(|| vec![json!(images)]),
        }
    }
}
