//! A fix that a diagnostic offers removes the diagnostic.
//!
//! `tests/mistakes/KIND.txt` has small specs with one mistake each, between lines `---`. The first line of each,
//! `#: CODE`, is the code of its only diagnostic. Each of the diagnostic's fixes results in a spec without any diagnostic.
//! A diagnostic without a fix is marked with a line `#: no fix`. `KIND.expected` has each spec with its diagnostic and the
//! titles of its fixes; `IMGSPEC_BLESS=1 cargo test --test fixes KIND` rewrites it.
//!
//! Every fix of every diagnostic of other tests' data is applied as well: those of `tests/cases`, `tests/rules`,
//! `tests/diagnostics`, and of the pages in `docs/codes`.

mod common;

use common::fixes::apply;
use common::{commands, copy_folder, pages, snapshot};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Without a filter, at least so many fixes of other tests' data are applied.
const FEWEST_FIXES: usize = 100;

/// The number of fixes of other tests' data that have been applied.
static APPLIED: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    let kinds = common::files(&common::root().join("tests/mistakes"), "txt");
    let mut trials = Vec::new();
    for path in &kinds {
        let kind = path.file_stem().unwrap().to_str().unwrap();
        for (at, text) in mistakes(path).into_iter().enumerate() {
            let name = format!("{kind}::{}", at + 1);
            trials.push(Trial::test(name, move || check_mistake(&text)));
        }
    }
    assert!(trials.len() > 100, "only {} mistakes", trials.len());
    trials.extend(snapshot::trials(kinds, |path| {
        snapshot::compare(&path.with_extension("expected"), &render(path))
    }));
    trials.extend(projects().into_iter().map(Project::trial));
    let arguments = Arguments::from_args();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let is_whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    let applied = APPLIED.load(Ordering::Relaxed);
    if is_whole && applied < FEWEST_FIXES {
        eprintln!("only {applied} fixes were applied");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Returns the specs of a file.
fn mistakes(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let specs = text.split_inclusive("---\n");
    specs
        .map(|spec| spec.strip_suffix("---\n").unwrap_or(spec).to_owned())
        .collect()
}

/// Returns each spec of a file with what `imgspec check` prints for it, and the titles of the fixes.
fn render(path: &Path) -> String {
    let mut out = String::new();
    for (at, text) in mistakes(path).into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("spec.imgspec"), &text).unwrap();
        let args = ["check", "spec.imgspec", "--format", "plain"];
        let printed = common::run(folder.path(), &args);
        common::exit_code(&printed);
        let printed = String::from_utf8(printed.stderr).unwrap();
        let _ = writeln!(out, "==== {}\n{text}\n{}", at + 1, printed.trim_end());
        let found = common::run_json(
            folder.path(),
            &["check", "spec.imgspec", "--format", "json"],
        );
        for diagnostic in found["diagnostics"].as_array().unwrap() {
            for fix in diagnostic["fixes"].as_array().unwrap() {
                let _ = writeln!(out, "fix: {}", fix["title"].as_str().unwrap());
            }
        }
        out.push('\n');
    }
    out
}

/// Checks that a spec has one diagnostic, with its code, and that each fix of it leaves none.
fn check_mistake(text: &str) -> Result<(), Failed> {
    let outer = tempfile::tempdir()?;
    let folder = outer.path().canonicalize()?;
    let path = folder.join("spec.imgspec");
    fs::write(&path, text)?;
    let check = || diagnostics(common::imgspec(&folder).args(["check", "spec.imgspec"]));
    let found = check();
    let [one] = &found[..] else {
        return Err(format!("{} diagnostics: {}\n{text}", found.len(), shown(&found)).into());
    };
    let code = text.lines().next().unwrap().strip_prefix("#: ").unwrap();
    assert_eq!(one["code"], code, "{}", shown(&found));
    let fixes = one["fixes"].as_array().unwrap();
    let has_fix = !text.contains("\n#: no fix\n");
    assert_eq!(!fixes.is_empty(), has_fix, "{}\n{text}", shown(&found));
    let mut problems = Vec::new();
    for fix in fixes {
        fs::write(&path, text)?;
        apply(fix);
        let left = check();
        if !left.is_empty() {
            let fixed = fs::read_to_string(&path)?;
            let (title, left) = (&fix["title"], shown(&left));
            problems.push(format!("the fix {title} leaves {left}\n{fixed}"));
        }
    }
    snapshot::fail_on(&problems)
}

/// Runs a `check`, and returns its diagnostics.
fn diagnostics(command: &mut Command) -> Vec<Value> {
    let output = command.args(["--format", "json"]).output().unwrap();
    common::exit_code(&output);
    // A command that fails for another reason than a diagnostic prints none.
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    found["diagnostics"].as_array().cloned().unwrap_or_default()
}

fn shown(found: &[Value]) -> String {
    let one = |d: &Value| {
        let titles: Vec<_> = d["fixes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["title"].to_string())
            .collect();
        format!(
            "\n    {}:{}: {} [{}] ({}) {titles:?}",
            d["line"], d["column"], d["message"], d["label"], d["help"]
        )
    };
    found.iter().map(one).collect()
}

/// A folder of files, with the commands that check it.
struct Project {
    name: String,
    folder: tempfile::TempDir,
    checks: Vec<Check>,
}

/// The arguments of a `check`, and its environment.
#[derive(Default)]
struct Check {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

fn projects() -> Vec<Project> {
    let root = common::root();
    let mut out = Vec::new();
    for case in common::entries(&root.join("tests/cases")) {
        let checks = commands::of_case(&case);
        let checks = checks.into_iter().filter_map(Check::of_command).collect();
        out.push(Project::copy(&case, "cases", &case, checks));
    }
    for path in common::files(&root.join("tests/rules"), "imgspec") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let checks = vec![Check::of(name)];
        out.push(Project::copy(
            path.parent().unwrap(),
            "rules",
            &path,
            checks,
        ));
    }
    for path in common::diagnostics::cases() {
        let folder = common::diagnostics::write(&path);
        let name = format!(
            "fixes_of::diagnostics::{}",
            path.file_stem().unwrap().display()
        );
        let checks = vec![Check {
            arguments: common::diagnostics::arguments(&path),
            ..Check::default()
        }];
        out.push(Project {
            name,
            folder,
            checks,
        });
    }
    for (at, (page, files)) in pages::wrong().into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        pages::write(&folder.path().join("case"), &files);
        let page = Path::new(&page).file_stem().unwrap().to_str().unwrap();
        let name = format!("fixes_of::pages::{page}-{at}");
        let checks = vec![Check::of(".")];
        out.push(Project {
            name,
            folder,
            checks,
        });
    }
    out
}

impl Project {
    fn copy(from: &Path, kind: &str, path: &Path, checks: Vec<Check>) -> Project {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(from, &folder.path().join("case"));
        let name = format!("fixes_of::{kind}::{}", path.file_stem().unwrap().display());
        Project {
            name,
            folder,
            checks,
        }
    }

    fn trial(self) -> Trial {
        Trial::test(self.name.clone(), move || self.apply_each_fix())
    }

    /// Checks that each fix removes its diagnostic and adds no error.
    fn apply_each_fix(self) -> Result<(), Failed> {
        let case = self.folder.path().canonicalize()?.join("case");
        let kept = self.folder.path().join("kept");
        copy_folder(&case, &kept);
        let mut problems = Vec::new();
        for check in &self.checks {
            let run = || {
                let mut command = common::imgspec(&case);
                command.args(&check.arguments);
                command.envs(check.environment.iter().map(|(name, value)| (name, value)));
                diagnostics(&mut command)
            };
            let before = run();
            for diagnostic in &before {
                for fix in diagnostic["fixes"].as_array().unwrap() {
                    APPLIED.fetch_add(1, Ordering::Relaxed);
                    apply(fix);
                    let after = run();
                    fs::remove_dir_all(&case)?;
                    copy_folder(&kept, &case);
                    if let Some(problem) = worse(diagnostic, &before, &after) {
                        let (arguments, title) = (&check.arguments, &fix["title"]);
                        problems.push(format!("{arguments:?}: {title}: {problem}"));
                    }
                }
            }
        }
        snapshot::fail_on(&problems)
    }
}

impl Check {
    fn of(path: &str) -> Check {
        Check {
            arguments: vec!["check".to_owned(), path.to_owned()],
            ..Check::default()
        }
    }

    /// Returns the `check` that reads what a command reads; `None` for one that reads no specs.
    fn of_command(command: commands::CaseCommand) -> Option<Check> {
        let mut arguments: Vec<String> = Vec::new();
        let mut given = command.arguments.into_iter();
        while let Some(word) = given.next() {
            match word.as_str() {
                "--format" | "--out" | "--max-warnings" => drop(given.next()),
                "--stdout" | "--portable" | "--check" | "--json" => {}
                "--diff" | "--exit-zero" | "--fix" | "--fix=all" | "--statistics" => {}
                "compile" => arguments.push("check".to_owned()),
                _ => arguments.push(word),
            }
        }
        let is_check = arguments.first().is_some_and(|word| word == "check");
        (is_check && command.folder.as_os_str().is_empty()).then_some(Check {
            arguments,
            environment: command.environment,
        })
    }
}

/// How often each error was found.
fn errors(found: &[Value]) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for d in found.iter().filter(|d| d["severity"] == "error") {
        *out.entry(format!(
            "{}: {}",
            d["code"].as_str().unwrap(),
            d["message"].as_str().unwrap()
        ))
        .or_default() += 1;
    }
    out
}

/// What is wrong with what is left behind a fix.
fn worse(finding: &Value, before: &[Value], after: &[Value]) -> Option<String> {
    let same = |found: &[Value]| {
        let is_it = |d: &&Value| d["code"] == finding["code"] && d["message"] == finding["message"];
        found.iter().filter(is_it).count()
    };
    if same(after) >= same(before) {
        return Some(format!("{} is still there", finding["message"]));
    }
    let message = finding["message"].as_str().unwrap();
    let is_same_slip = |e: &str| {
        e.starts_with("unknown-variable: ") && message.contains(e.split('`').nth(1).unwrap())
    };
    let (before, after) = (errors(before), errors(after));
    let new: Vec<_> = after
        .iter()
        .filter(|(e, n)| before.get(*e).is_none_or(|b| *n > b))
        // Rules and conditions are silent over what could not be read; and the same name may be wrong elsewhere.
        .filter(|(e, _)| {
            !e.starts_with("rule-violated: ") && !e.starts_with("unset-fact: ") && !is_same_slip(e)
        })
        .collect();
    (!new.is_empty()).then(|| format!("{new:?} came"))
}
