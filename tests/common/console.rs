//! Pages whose commands are run: a tutorial, a guide.
//!
//! A page is run from its top to its end in one folder. A code block whose info string has a file's name is that file
//! from there on. In a block `console`, each line that begins with `$ ` is a command, and the lines below it are what it
//! prints; a line `…` is any number of lines. All commands succeed, but for the last one of a block `console wrong`.
//! Other blocks are only shown.

use libtest_mimic::Failed;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder in which a page's commands seem to run.
const HOME: &str = "/home/me";

/// A line that is any number of lines.
const ANY: &str = "…";

/// Returns the text of a page with what its commands really print. Where that is what the page shows, nothing changes.
///
/// # Errors
///
/// If a command fails that should not, or the other way round.
pub fn run_page(text: &str) -> Result<String, Failed> {
    let temporary = tempfile::tempdir()?;
    let home = temporary.path().canonicalize()?.join("home");
    std::fs::create_dir(&home)?;
    let mut here = home.clone();
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let words: Vec<&str> = info.split(' ').collect();
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if words.first() == Some(&"console") {
            out.push_str(&run_block(
                &block,
                words.contains(&"wrong"),
                &home,
                &mut here,
            )?);
        } else {
            let content: String = block.iter().map(|line| format!("{line}\n")).collect();
            if let Some(name) = words.iter().skip(1).find(|word| word.contains('.')) {
                let path = here.join(name);
                std::fs::create_dir_all(path.parent().unwrap())?;
                std::fs::write(path, &content)?;
            }
            out.push_str(&content);
        }
        out.push_str("```\n");
    }
    Ok(out)
}

/// Returns the commands of a block with what they print.
fn run_block(
    block: &[&str],
    is_wrong: bool,
    home: &Path,
    here: &mut PathBuf,
) -> Result<String, Failed> {
    let mut out = String::new();
    let commands: Vec<&[&str]> = block.chunk_by(|_, next| !next.starts_with("$ ")).collect();
    for (number, part) in commands.iter().enumerate() {
        let (line, shown) = part.split_first().unwrap();
        let command = line
            .strip_prefix("$ ")
            .ok_or("a block begins with a command")?;
        let (printed, succeeds) = run(command, here)?;
        if succeeds == (is_wrong && number + 1 == commands.len()) {
            let what = if succeeds { "succeeds" } else { "fails" };
            return Err(format!("`{command}` {what}:\n{printed}").into());
        }
        let printed = printed.replace(home.to_str().unwrap(), HOME);
        let printed: Vec<&str> = printed.lines().collect();
        out.push_str(line);
        out.push('\n');
        let is_same = matches(shown, &printed);
        for line in if is_same { shown } else { &printed[..] } {
            out.push_str(line);
            out.push('\n');
        }
    }
    Ok(out)
}

/// Runs a command in a shell; `cd` changes the folder of all that follow. Returns what it prints, and whether it succeeds.
fn run(command: &str, here: &mut PathBuf) -> Result<(String, bool), Failed> {
    if let Some(folder) = command.strip_prefix("cd ") {
        *here = here.join(folder).canonicalize()?;
        return Ok((String::new(), true));
    }
    let program = Path::new(env!("CARGO_BIN_EXE_imgspec"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = program.parent().map(Path::to_owned).into_iter();
    let output = super::in_folder(Command::new("sh"), here)
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .env(
            "PATH",
            std::env::join_paths(folders.chain(std::env::split_paths(&path)))?,
        )
        .output()?;
    if output.status.code().is_none_or(|code| code == 101) {
        return Err(format!("`{command}` crashed").into());
    }
    Ok((String::from_utf8(output.stdout)?, output.status.success()))
}

/// Whether lines are as a page shows them.
fn matches(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&ANY, rest)) => (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..])),
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line.trim_end() == *first && matches(rest, others)),
    }
}
