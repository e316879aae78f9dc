//! `imgspec deps`

use crate::build::{Found, InstallPlan, Tool, Toolbox};
use crate::cli::select::select;
use crate::cli::{Cli, Failure, Selection, print, print_aside};
use crate::diagnostic::json_text;
use crate::emit::find_secret_names;
use crate::eval::evaluate;
use crate::workspace::project_root;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct Deps {
    /// Names of providers [default: all providers of the library and the project]
    #[arg(value_name = "PROVIDER")]
    providers: Vec<String>,
    /// Install missing programs: Packer and Ansible in .bin, others as system packages if run by root
    #[arg(long)]
    install: bool,
    /// Install programs without asking
    #[arg(long)]
    yes: bool,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// A program that builds need, as `deps --json` prints it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Tool")]
pub(super) struct JsonTool<'a> {
    /// Its name in `tools` of a provider.
    name: &'a str,
    /// The providers that need it.
    providers: Vec<&'a str>,
    /// Where it is; null if it is missing.
    path: Option<String>,
    /// The version that it prints; empty if it prints none.
    version: Option<String>,
    /// The oldest supported version.
    oldest: Option<&'static str>,
    /// Whether it exists and is not too old.
    good: bool,
    /// What `--install` did.
    note: Option<String>,
}

pub(super) fn run(cli: &Cli, args: &Deps) -> Result<bool, Failure> {
    let selected = select(cli, &Selection::default())?;
    let program = &selected.program;
    for name in &args.providers {
        if !program.providers.iter().any(|p| p.name == name) {
            let known: Vec<&str> = program.providers.iter().map(|p| p.name.as_str()).collect();
            return Err(Failure(format!(
                "unknown provider `{name}`; the providers are {}",
                known.join(", ")
            )));
        }
    }
    let wanted: Vec<_> = program
        .providers
        .iter()
        .filter(|p| args.providers.is_empty() || args.providers.iter().any(|n| p.name == n))
        .collect();
    let mut names: BTreeSet<&str> = BTreeSet::from(["packer", "ansible"]);
    names.extend(wanted.iter().flat_map(|p| &p.tools).map(|t| t.as_str()));
    let toolbox = toolbox(&cli.here);
    let mut notes = if args.install {
        install(names.iter().copied(), &toolbox, args.yes)?
    } else {
        BTreeMap::new()
    };
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut is_complete = true;
    for name in names {
        let users: Vec<&str> = wanted
            .iter()
            .filter(|p| ["packer", "ansible"].contains(&name) || p.tools.iter().any(|t| t == name))
            .map(|p| p.name.as_str())
            .collect();
        let tool = Tool::named(name);
        let found = tool.and_then(|t| toolbox.find(t));
        let note = notes.remove(name);
        is_complete &= is_good(found.as_ref());
        let state = in_words(tool, found.as_ref());
        let _ = writeln!(text, "{name:19} {state}");
        if !is_good(found.as_ref()) {
            let _ = writeln!(text, "{:19} for {}", "", users.join(", "));
        }
        if let Some(note) = &note {
            let _ = writeln!(text, "{:19} {note}", "");
        }
        rows.push(JsonTool {
            name,
            providers: users,
            path: found
                .as_ref()
                .map(|f| f.path.to_string_lossy().into_owned()),
            oldest: tool.and_then(|t| t.oldest),
            good: is_good(found.as_ref()),
            version: found.map(|f| f.version),
            note,
        });
    }
    if args.json {
        print(&json_text(&rows))?;
    } else {
        print(&text)?;
    }
    Ok(is_complete)
}

/// Returns the programs of this machine and of `.bin` in the project's root.
pub(super) fn toolbox(here: &Path) -> Toolbox {
    Toolbox::new(&project_root(here))
}

/// Installs the missing programs that the selected images' providers need, and prints what was done.
pub(super) fn install_for(cli: &Cli, selection: &Selection, is_sure: bool) -> Result<(), Failure> {
    let selected = select(cli, selection)?;
    let program = &selected.program;
    let targets: Vec<_> = selected
        .images
        .iter()
        .filter_map(|id| evaluate(program, *id, selected.provider).ok())
        .collect();
    let toolbox = toolbox(&cli.here).withhold(targets.iter().flat_map(find_secret_names));
    let mut names: BTreeSet<&str> = BTreeSet::from(["packer", "ansible"]);
    names.extend(
        targets
            .iter()
            .flat_map(|image| &program.provider(image.provider).tools)
            .map(|t| t.as_str()),
    );
    for (name, note) in install(names.into_iter(), &toolbox, is_sure)? {
        print_aside(&format!("{name}: {note}\n"));
    }
    Ok(())
}

/// Installs those of the named tools that are missing or too old, and returns for each what was done. Prints the commands
/// first, and asks on a terminal unless `is_sure`.
fn install<'n>(
    names: impl Iterator<Item = &'n str>,
    toolbox: &Toolbox,
    is_sure: bool,
) -> Result<BTreeMap<&'static str, String>, Failure> {
    let is_missing = |tool: &&'static Tool| !is_good(toolbox.find(tool).as_ref());
    let missing: Vec<&'static Tool> = names.filter_map(Tool::named).filter(is_missing).collect();
    let plan = InstallPlan::new(&missing, toolbox);
    if !plan.is_empty() {
        print_aside("imgspec installs:\n");
        plan.lines()
            .iter()
            .for_each(|line| print_aside(&format!("  {line}\n")));
        if !is_sure && !agrees() {
            return Err(Failure("no program was installed".to_owned()));
        }
    }
    Ok(plan
        .run()
        .into_iter()
        .map(|(name, done)| (name, done.unwrap_or_else(|why| why)))
        .collect())
}

/// Asks whether to continue. Returns true if there is no terminal to ask on: `--install` has decided.
fn agrees() -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return true;
    }
    print_aside("Continue? [Y/n] ");
    let mut answer = String::new();
    let is_read = std::io::stdin()
        .read_line(&mut answer)
        .is_ok_and(|count| count > 0);
    is_read && ["", "y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

fn is_good(found: Option<&Found>) -> bool {
    found.is_some_and(|f| !f.is_too_old)
}

fn in_words(tool: Option<&Tool>, found: Option<&Found>) -> String {
    match (tool, found) {
        (None, _) => "unknown program: imgspec can neither find nor install it".to_owned(),
        (Some(_), Some(found)) if !found.is_too_old => {
            format!("{} ({})", found.version, found.path.display())
        }
        (Some(tool), Some(found)) => format!(
            "{} is too old ({}): {} or later is required",
            found.version,
            found.path.display(),
            tool.oldest.unwrap_or_default()
        ),
        (Some(tool), None) => {
            let package = if tool.package.is_empty() {
                String::new()
            } else {
                format!("apt-get install {}", tool.package)
            };
            let ways: Vec<&str> = [package.as_str(), tool.hint]
                .into_iter()
                .filter(|w| !w.is_empty())
                .collect();
            format!(
                "missing: {}; or set {} to its path",
                ways.join(", "),
                tool.variable()
            )
        }
    }
}
