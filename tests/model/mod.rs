//! A model of the language: a second, simple interpreter, written from docs/language.md, and a generator of random projects.
//!
//! [`project`] makes a project of any bytes. [`Project::expected`] says what the compiler must find in it. `tests/model.rs`
//! compares.

mod generator;
mod interpreter;
mod language;
mod value;

pub use interpreter::Expected;

use language::Source;
use std::collections::BTreeMap;

/// A project, and what to call the compiler with.
#[derive(Debug, Clone)]
pub struct Project {
    source: Source,
}

/// Makes a project of bytes. Each byte is a decision. After the last one, every decision is the simplest: more bytes make
/// a richer project.
pub fn project(bytes: &[u8]) -> Project {
    Project {
        source: generator::generate(bytes),
    }
}

impl Project {
    /// Returns the text of each file by its path from the project's root: specs, JSON var files, `imgspec.toml`.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files: BTreeMap<String, String> = self.source.write().into_iter().collect();
        files.insert("imgspec.toml".to_owned(), CONFIG.to_owned());
        files.insert("lab.json".to_owned(), TEMPLATE.to_owned());
        files
    }

    /// Returns the paths of the specs.
    pub fn specs(&self) -> Vec<String> {
        self.source
            .files
            .iter()
            .map(|file| file.path.clone())
            .collect()
    }

    /// Returns the arguments of `--set`, in order.
    pub fn set(&self) -> Vec<String> {
        self.source
            .arguments
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Returns the paths of the files in `PACKER_VAR_FILES`, in order.
    pub fn var_files(&self) -> Vec<String> {
        let path = |at: &usize| self.source.json[*at].path.clone();
        self.source.var_files.iter().map(path).collect()
    }

    /// Returns what the compiler must find: for each image the final values of the project's variables, and the codes of all
    /// diagnostics.
    pub fn expected(&self) -> Expected {
        interpreter::interpret(&self.source)
    }

    /// Returns the names of the project's variables.
    pub fn variables(&self) -> Vec<&str> {
        let variables = self.source.variables.iter();
        variables
            .filter(|v| v.alias_of.is_none() && !v.is_removed)
            .map(|v| v.name.as_str())
            .collect()
    }
}

/// Warnings about style, of which the model knows nothing.
const CONFIG: &str = "allow = [\"no-effect\", \"parents-differ\", \"below-target\", \"never-true\", \"unfilled-name\"]\n";

/// A template that reads nothing by itself: `reads` of its providers says what it reads.
const TEMPLATE: &str = "{ \"builders\": [{ \"type\": \"null\" }] }\n";
