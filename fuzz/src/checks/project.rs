//! Projects as one text: `==== PATH` before each file, `==== args` before arguments, a line each.

use imgspec::project::hir::{ProviderId, SectionId};
use imgspec::project::{Edition, Library, Program, Request, load};
use imgspec::schema::Roles;
use imgspec::source::{Memory, Release};
use std::path::{Path, PathBuf};

/// The folder of every project.
pub(super) const FOLDER: &str = "/project";

/// The most images of a project that are evaluated, so that a run stays short.
const MOST_IMAGES: usize = 6;

/// The parts of an input: name and text. What is before the first name is the file `a.imgspec`.
pub(super) fn parts(text: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    let mut name = "a.imgspec";
    let mut rest = text;
    loop {
        let (part, next) = match rest.strip_prefix("==== ") {
            Some(next) => ("", Some(next)),
            None => match rest.split_once("\n==== ") {
                Some((part, next)) => (part, Some(next)),
                None => (rest, None),
            },
        };
        if !part.is_empty() || !out.is_empty() || name != "a.imgspec" {
            out.push((name, part));
        }
        let Some(next) = next else { return out };
        (name, rest) = next.split_once('\n').unwrap_or((next, ""));
    }
}

/// A project in memory, and what a command asks for.
pub(super) struct Project {
    pub files: Memory,
    pub request: Request,
    pub edition: Edition,
    pub is_portable: bool,
    /// The index of a provider that builds all images.
    pub provider: Option<u32>,
}

impl Project {
    /// Reads an input. The arguments are `release NAME`, `upstream`, `portable`, `provider NUMBER`, `set NAME=VALUE`,
    /// `flag TEXT`, `spec PATH`, `vars PATH` and `flag-file PATH`.
    pub fn read(text: &str) -> Project {
        let mut project = Project {
            files: Memory::default(),
            request: Request::default(),
            edition: Edition::default(),
            is_portable: false,
            provider: None,
        };
        for (name, text) in parts(text) {
            if name == "args" {
                text.lines().for_each(|line| project.take(line));
            } else {
                let path = imgspec::source::normalize(&path(name));
                project.files.0.insert(path, text.to_owned());
            }
        }
        let request = &mut project.request;
        request.here = Some(FOLDER.into());
        if request.specs.is_empty() {
            let first = project.files.0.keys().find(|path| is_spec(path));
            request.specs.extend(first.cloned());
        }
        request.library = Some(Library::built_in(project.edition));
        project
    }

    fn take(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let request = &mut self.request;
        match word {
            "release" => self.edition.release = Release::find(rest).unwrap_or_default(),
            "upstream" => self.edition.roles = Roles::Upstream,
            "portable" => self.is_portable = true,
            "provider" => self.provider = rest.parse().ok(),
            "set" => request.set.push(rest.to_owned()),
            "flag" => request.flags.push(rest.to_owned()),
            "spec" => request.specs.push(path(rest)),
            "vars" => request.var_files.push(path(rest)),
            "flag-file" => request.flag_files.push(path(rest)),
            _ => {}
        }
    }

    pub fn load(&self) -> Program {
        load(&self.files, &self.request)
    }

    /// The provider that the arguments choose.
    pub fn provider(&self, program: &Program) -> Option<ProviderId> {
        let number = self.provider? as usize % program.providers.len().max(1);
        Some(ProviderId(number as u32))
    }
}

/// The first images of the specs of a command.
pub(super) fn images(program: &Program) -> Vec<SectionId> {
    let files = program.specs.iter().flatten();
    let mut images: Vec<SectionId> = files.flat_map(|file| program.images_of(*file)).collect();
    images.truncate(MOST_IMAGES);
    images
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn is_spec(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "imgspec")
}
