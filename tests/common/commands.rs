//! The commands of `tests/cases/NAME/cmd`.

use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

/// A line of `cmd`: `[CD=FOLDER] [NAME=VALUE …] ARGUMENT … [| WORD …]`, quoted as in a shell.
pub struct CaseCommand {
    pub folder: PathBuf,
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
    /// A line of standard output is kept if it contains one of these words, or if there are none.
    pub filter: Vec<String>,
}

/// Returns the commands of a case.
pub fn of_case(case: &Path) -> Vec<CaseCommand> {
    let text = std::fs::read_to_string(case.join("cmd")).unwrap();
    let commands: Vec<CaseCommand> = text.lines().map(parse).collect();
    assert!(!commands.is_empty(), "{} has no command", case.display());
    commands
}

/// Reads a line of `cmd`.
pub fn parse(line: &str) -> CaseCommand {
    let (words, filter) = line.split_once(" | ").unwrap_or((line, ""));
    let mut command = CaseCommand {
        folder: PathBuf::new(),
        environment: Vec::new(),
        arguments: Vec::new(),
        filter: filter.split_whitespace().map(str::to_owned).collect(),
    };
    for word in shlex::split(words).unwrap_or_else(|| panic!("an open quote: {line}")) {
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        match word.split_once('=') {
            Some(("CD", below)) => command.folder = below.into(),
            Some((name, value)) if is_name(name) => {
                command
                    .environment
                    .push((name.to_owned(), value.to_owned()));
            }
            _ => command.arguments.push(word),
        }
    }
    command
}

impl CaseCommand {
    /// Returns the binary with the environment and the folder of the command, without its arguments.
    pub fn binary(&self, case: &Path) -> Command {
        let mut command = super::imgspec(&case.join(&self.folder));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Returns what `cat FILE …` and `files FOLDER` print; `None` for arguments of the binary.
    pub fn show_files(&self, case: &Path) -> Option<String> {
        let (name, paths) = self.arguments.split_first()?;
        let paths = paths.iter().map(|path| case.join(&self.folder).join(path));
        match name.as_str() {
            "cat" => Some(
                paths
                    .map(|path| std::fs::read_to_string(path).unwrap())
                    .collect(),
            ),
            "files" => Some(paths.map(|path| list(&path)).collect()),
            _ => None,
        }
    }

    pub fn keeps(&self, line: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|word| line.contains(word))
    }
}

/// Lists all files below a folder, hidden ones too, a line each, without those of the test.
fn list(folder: &Path) -> String {
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            entry
                .path()
                .strip_prefix(folder)
                .unwrap()
                .display()
                .to_string()
        })
        .filter(|name| name != "cmd" && name != "expected.txt")
        .map(|name| name + "\n")
        .collect()
}
