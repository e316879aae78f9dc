//! The real Packer on a target's layers: the strings that it holds for every variable.

use crate::layering::{Run, Strings, USER, read_object};
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run finds in the environment, and nothing else.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("HTTP_PROXY", "http://proxy.test"),
    ("AWS_ACCESS_KEY_ID", "key"),
];

/// A text as a run sees it, its `{{env}}` filled.
pub fn fill(text: &str) -> String {
    let Some((before, rest)) = text.split_once("{{env `") else {
        return text.to_owned();
    };
    let (name, after) = rest.split_once("`}}").unwrap();
    let value = ENVIRONMENT
        .iter()
        .find(|(n, _)| *n == name)
        .map_or("", |(_, value)| value);
    format!("{before}{value}{}", fill(after))
}

/// What Packer holds for these names in a run, with a var file at the user's place. The template keeps its variables
/// and gets a builder that writes them to a file; nothing else is built.
///
/// # Errors
/// What Packer says.
pub fn read_strings(
    path: &OsStr,
    root: &Path,
    run: &Run,
    user: Option<&Path>,
    names: &[String],
) -> Result<Strings, String> {
    let tmp = tempfile::tempdir().unwrap();
    let (template, target) = (tmp.path().join("template.json"), tmp.path().join("out"));
    // No text that a program can be given holds a NUL, so it can stand between them.
    let reads: Vec<String> = names
        .iter()
        .map(|name| format!("{{{{user `{name}`}}}}"))
        .collect();
    let json = json!({
        "variables": read_object(root, &run.template)["variables"],
        "builders": [{ "type": "file", "content": reads.join("\0"), "target": target }],
    });
    fs::write(&template, json.to_string()).unwrap();
    let mut command = Command::new("packer");
    command.args(["build", "-color=false"]);
    for file in &run.var_files {
        let file = if file == USER {
            user.map(Path::to_owned)
        } else {
            Some(root.join(file))
        };
        command.args(file.map(|file| format!("-var-file={}", file.display())));
    }
    command
        .args(run.vars.iter().map(|pair| format!("-var={pair}")))
        .arg(&template);
    let output = command
        .current_dir(tmp.path())
        .env_clear()
        .envs(["HOME", "TMPDIR"].map(|name| (name, tmp.path())))
        .env("CHECKPOINT_DISABLE", "1")
        .envs(ENVIRONMENT)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    match (output.status.success(), fs::read_to_string(&target)) {
        (true, Ok(text)) => Ok(names
            .iter()
            .cloned()
            .zip(text.split('\0').map(str::to_owned))
            .collect()),
        _ => Err(String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)),
    }
}
