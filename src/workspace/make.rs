//! What `make` prints about an Image Builder checkout: its targets and the commands that they would run.

use crate::import::Recipe;
use crate::source::read_bytes;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The name of the var file given to make as `PACKER_VAR_FILES`: it marks the place of the user's var files in a command.
pub const USER_FILE: &str = "imgspec-user-vars.json";

/// Returns the folder of a checkout that contains the Makefile: the given one, or its `images/capi`.
///
/// # Errors
/// A message, if neither does.
pub fn find_checkout(folder: &Path) -> Result<PathBuf, String> {
    let has_makefile =
        |folder: &PathBuf| folder.join("Makefile").is_file() && folder.join("packer").is_dir();
    [folder.to_owned(), folder.join("images/capi")]
        .into_iter()
        .find(has_makefile)
        .ok_or_else(|| format!("{} is not an Image Builder checkout: neither it nor its images/capi contains a Makefile and a packer folder", folder.display()))
}

/// What make prints about a checkout.
#[derive(Debug)]
pub(crate) struct MakeFacts {
    pub recipes: Vec<Recipe>,
    /// The makefiles that make has read, relative to the checkout.
    pub makefiles: Vec<PathBuf>,
}

/// Returns the targets of a checkout that may build an image, with the commands that their recipes would run. They are in
/// the order of `make help`, and unlisted ones follow by name. Nothing is built. `environment` is what make gets in
/// addition to what every program needs.
///
/// # Errors
/// A message, if make is missing, cannot read the Makefile, or finds no target that builds.
pub(crate) fn read_targets(
    root: &Path,
    environment: &[(String, OsString)],
) -> Result<MakeFacts, String> {
    // make reads a file of any size into its memory.
    read_bytes(&root.join("Makefile"))
        .map_err(|e| format!("cannot read {}: {e}", root.join("Makefile").display()))?;
    let help = make(root, &["help"], environment)?;
    let listed = list_help(&String::from_utf8_lossy(&help.stdout));
    // Make's data base: every target with its unexpanded recipe. The target `help` needs no network.
    let database = make(
        root,
        &["--dry-run", "--print-data-base", "help"],
        environment,
    )?;
    let facts = String::from_utf8_lossy(&database.stdout);
    let makefiles = facts
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("MAKEFILE_LIST := "));
    let makefiles = makefiles
        .into_iter()
        .flat_map(str::split_whitespace)
        .map(PathBuf::from)
        .collect();
    let mut recipes = read_builds(&facts, &listed);
    if recipes.is_empty() {
        let text = String::from_utf8_lossy(&database.stderr);
        let last = text
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("it contains no target that runs Packer");
        return Err(format!(
            "make finds no image to build in {}: {last}",
            root.display()
        ));
    }
    let names: Vec<String> = recipes
        .iter()
        .filter(|recipe| recipe.refusal.is_none() && !recipe.text.is_empty())
        .map(|recipe| recipe.name.clone())
        .collect();
    let printed = dry_run(root, &names, environment)?;
    expand(&mut recipes, &printed, &listed);
    Ok(MakeFacts { recipes, makefiles })
}

/// Returns the recipes of a checkout from what make prints: the text of `make help`, make's data base, and the trace of a
/// dry run of all targets.
pub fn read_recipes(help: &str, database: &str, trace: &str) -> Vec<Recipe> {
    let listed = list_help(help);
    let mut recipes = read_builds(database, &listed);
    expand(&mut recipes, &split_trace(trace), &listed);
    recipes
}

/// Returns the rules of make's data base that may build an image, with unexpanded recipes: those that `make help` lists in
/// its order, then the others by name.
fn read_builds(database: &str, listed: &[(String, String)]) -> Vec<Recipe> {
    let mut recipes = read_rules(database);
    recipes.retain(is_build);
    let place = |name: &str| {
        listed
            .iter()
            .position(|(n, _)| n == name)
            .unwrap_or(usize::MAX)
    };
    recipes.sort_by_key(|recipe| (place(&recipe.name), recipe.name.clone()));
    recipes.dedup_by(|a, b| a.name == b.name);
    recipes
}

/// Gives each recipe the commands that it would run, and its description.
fn expand(recipes: &mut [Recipe], printed: &[(String, String)], listed: &[(String, String)]) {
    for recipe in recipes {
        let lines = printed.iter().filter(|(name, _)| *name == recipe.name);
        recipe.text = lines.map(|(_, text)| text.as_str()).collect();
        let doc = listed
            .iter()
            .find(|(name, _)| *name == recipe.name)
            .map(|(_, doc)| doc.clone());
        recipe.doc = doc.filter(|doc| !doc.is_empty());
    }
}

/// True if a target makes an image, by its name or its recipe.
fn is_build(recipe: &Recipe) -> bool {
    recipe.name.starts_with("build") || recipe.text.to_lowercase().contains("packer")
}

/// Returns the commands that each recipe would run. Runs make once if it supports `--trace` (GNU make 4), because reading
/// Image Builder's Makefile is slow, and otherwise once for each name.
fn dry_run(
    root: &Path,
    names: &[String],
    environment: &[(String, OsString)],
) -> Result<Vec<(String, String)>, String> {
    let mut arguments = vec!["--dry-run", "--keep-going", "--trace"];
    arguments.extend(names.iter().map(String::as_str));
    let traced = split_trace(&String::from_utf8_lossy(
        &make(root, &arguments, environment)?.stdout,
    ));
    if !traced.is_empty() {
        return Ok(traced);
    }
    names
        .iter()
        .map(|name| {
            let output = make(root, &["--dry-run", name], environment)?;
            Ok((
                name.clone(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            ))
        })
        .collect()
}

/// Returns the prerequisites of a target that install programs: the Makefile's `deps` targets, whose scripts
/// (`hack/ensure-*.sh`) install Packer in the checkout and Ansible in the user's Python environment.
///
/// # Errors
/// A message, if make cannot be run.
pub fn find_installers(root: &Path, target: &str) -> Result<Vec<String>, String> {
    // A dry run of the target itself would execute the lines of its recipe that begin with `+`.
    let database = make(root, &["--dry-run", "--print-data-base", "help"], &[])?;
    let rules = read_rules(&String::from_utf8_lossy(&database.stdout));
    let mut found = BTreeSet::new();
    let mut open = vec![target.to_owned()];
    while let Some(name) = open.pop() {
        let needed = rules
            .iter()
            .filter(|rule| rule.name == name)
            .flat_map(|rule| &rule.prerequisites);
        let new = needed.filter(|name| is_installer(name));
        open.extend(new.filter(|name| found.insert((*name).clone())).cloned());
    }
    Ok(found.into_iter().collect())
}

fn is_installer(name: &str) -> bool {
    name == "deps" || name.starts_with("deps-")
}

fn make(
    root: &Path,
    arguments: &[&str],
    environment: &[(String, OsString)],
) -> Result<Output, String> {
    let mut command = Command::new("make");
    // Neither the user's other settings nor a surrounding make may change the result.
    command.env_clear();
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    for name in ["PATH", "HOME", "TMPDIR"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
        .env("LC_ALL", "C")
        .env("PACKER_VAR_FILES", root.join(USER_FILE));
    command
        .arg("--no-print-directory")
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null());
    command
        .output()
        .map_err(|e| format!("cannot run make: {e}"))
}

/// Returns the targets that `make help` lists, with their descriptions.
fn list_help(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = strip_colors(line);
        let Some(rest) = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
        else {
            continue;
        };
        let (name, doc) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        out.push((name.to_owned(), doc.trim().to_owned()));
    }
    out
}

fn strip_colors(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut parts = line.split('\u{1b}');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    out
}

/// Returns the explicit rules of make's data base, with unexpanded recipes.
fn read_rules(database: &str) -> Vec<Recipe> {
    let mut out: Vec<Recipe> = Vec::new();
    let mut rule: Option<Recipe> = None;
    let mut is_target = true;
    for line in database.lines() {
        if let Some(text) = line.strip_prefix('\t') {
            if let Some(rule) = &mut rule {
                rule.text.push_str(text);
                rule.text.push('\n');
            }
        } else if line.starts_with("# Not a target") {
            is_target = false;
        } else if line.is_empty() {
            out.extend(rule.take());
            is_target = true;
        } else if let Some((name, rest)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
            out.extend(rule.take());
            rule = read_rule(name, rest).filter(|_| is_target);
        }
    }
    out.extend(rule);
    out.iter_mut().for_each(settle_rule);
    out
}

/// `NAME: PREREQUISITES | PREREQUISITES`
fn read_rule(name: &str, rest: &str) -> Option<Recipe> {
    let is_name = !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let is_assignment = rest.starts_with('=') || rest.starts_with(":=");
    let words = rest
        .trim_start_matches(':')
        .split_whitespace()
        .filter(|word| *word != "|");
    (is_name && !is_assignment).then(|| Recipe {
        name: name.to_owned(),
        prerequisites: words.map(str::to_owned).collect(),
        ..Recipe::default()
    })
}

/// Turns calls of make in a recipe into prerequisites, if the recipe does not run Packer itself. Refuses a recipe that
/// calls make with more than names, or has a line with a `+`: make runs such lines even in a dry run.
fn settle_rule(rule: &mut Recipe) {
    let joined = rule.text.replace("\\\n", " ");
    let calls_make = |line: &&str| line.contains("$(MAKE)") || line.contains("${MAKE}");
    let lines = joined
        .lines()
        .map(|line| line.trim_start_matches(['@', '-', '+', ' ']));
    let (calls, others): (Vec<&str>, Vec<&str>) = lines.partition(calls_make);
    let is_packer = others
        .iter()
        .any(|line| line.to_lowercase().contains("packer"));
    let is_marked = joined
        .lines()
        .any(|line| line.trim_start_matches(['@', '-', ' ']).starts_with('+'));
    let called: Option<Vec<Vec<String>>> = calls.iter().map(|line| called_targets(line)).collect();
    match called {
        Some(called) if !calls.is_empty() && !is_packer => {
            rule.prerequisites.extend(called.into_iter().flatten());
            rule.text.clear();
        }
        _ if !calls.is_empty() => {
            rule.refusal =
                Some("its recipe runs make, so a dry run would execute commands".to_owned())
        }
        _ if is_marked => {
            rule.refusal = Some(
                "its recipe has a line with `+`, which make executes even in a dry run".to_owned(),
            );
        }
        _ => {}
    }
}

/// Returns the targets of a line that only calls make.
fn called_targets(line: &str) -> Option<Vec<String>> {
    let rest = line
        .strip_prefix("$(MAKE)")
        .or_else(|| line.strip_prefix("${MAKE}"))?;
    let is_target = |word: &str| {
        word.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let words = rest
        .split_whitespace()
        .filter(|word| !word.starts_with('-'));
    words
        .map(|word| is_target(word).then(|| word.to_owned()))
        .collect()
}

/// Splits the output of `--trace` by target. Its lines are `Makefile:12: update target 'x' due to: y`, or in older releases
/// of make `Makefile:12: target 'x' does not exist`.
fn split_trace(text: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = traced_target(line) {
            out.push((name.to_owned(), String::new()));
        } else if let Some((_, recipe)) = out.last_mut() {
            recipe.push_str(line);
            recipe.push('\n');
        }
    }
    out
}

fn traced_target(line: &str) -> Option<&str> {
    let (place, rest) = line.split_once(": ")?;
    let (_, number) = place.rsplit_once(':')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let rest = rest
        .strip_prefix("update ")
        .unwrap_or(rest)
        .strip_prefix("target '")?;
    rest.split_once('\'')
        .map(|(name, _)| name)
        .filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_help_as_make_prints_it() {
        let text = "NOTE\n  one\n\nUsage:\n  make \u{1b}[36m<target>\u{1b}[0m\n\n\u{1b}[1mBuilds\u{1b}[0m\n  \u{1b}[36mbuild-a-1   \u{1b}[0m Builds a\n";
        let listed = list_help(text);
        assert_eq!(
            listed.last(),
            Some(&("build-a-1".to_owned(), "Builds a".to_owned()))
        );
    }

    #[test]
    fn reads_rules_as_the_data_base_has_them() {
        let text = "# Files\n\nbuild-a: deps | order\n#  Phony target\n#  recipe to execute\n\tpacker build \\\n\t x.json\n\nbuild-b: build-a\n\nbuild-c:\n\t@$(MAKE) --no-print-directory build-a\n\nbuild-d:\n\t$(MAKE) build-a X=1\n\nbuild-e:\n\t@+echo\n\nx := build: y\n\n# Not a target:\nbuild-f: x\n\n.PHONY: build-a\n";
        let rules = read_rules(text);
        let shown: Vec<_> = rules
            .iter()
            .map(|r| {
                (
                    r.name.as_str(),
                    r.prerequisites.join(" "),
                    r.text.is_empty(),
                    r.refusal.is_some(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("build-a", "deps order".to_owned(), false, false),
                ("build-b", "build-a".to_owned(), true, false),
                ("build-c", "build-a".to_owned(), true, false),
                ("build-d", String::new(), false, true),
                ("build-e", String::new(), false, true),
            ]
        );
    }

    #[test]
    fn tells_recipes_apart() {
        for line in [
            "Makefile:3: target 'a-1' does not exist",
            "sub/M.mk:3: update target 'a-1' due to: deps",
        ] {
            assert_eq!(traced_target(line), Some("a-1"));
        }
        assert_eq!(traced_target("echo target 'x': y"), None);
    }
}
