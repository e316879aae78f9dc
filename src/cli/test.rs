//! `imgspec test`

use crate::cli::place::{cannot_write, out, shown};
use crate::cli::report::{format, is_fine, report};
use crate::cli::select::{Selected, select};
use crate::cli::{Cli, Failure, Format, Selection, print};
use crate::diagnostic::{Code, Diagnostic, Findings, json_text};
use crate::driver;
use crate::emit::Output;
use crate::project::{Program, is_inside};
use crate::source::{Disk, MAX_IMAGES, Span, normalize, visible_line};
use crate::verify::{Case, Task, Verified, junit, verify};
use crate::workspace;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    selection: Selection,
    /// Run only tests with this text in their names
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write the results to this file as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// Write snapshots instead of comparing with them
    #[arg(long)]
    update: bool,
    /// Print how often each rule and assertion is true and false
    #[arg(long)]
    coverage: bool,
    /// Print the waivers, with the number of images that need each
    #[arg(long)]
    waivers: bool,
}

impl Test {
    /// The folders that the command writes to.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        let junit = self.junit.iter();
        let junit = junit.map(|path| normalize(&here.join(path)));
        let mut folders: Vec<PathBuf> = junit
            .filter_map(|path| path.parent().map(Path::to_owned))
            .collect();
        if self.update {
            folders.extend(self.selection.projects(here));
        }
        folders
    }
}

/// The results of tests, as `test --json` prints them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Tests")]
pub(super) struct JsonTests<'v> {
    /// A result for each test and each image that it is about.
    tests: Vec<JsonCase<'v>>,
    /// How often the rules and assertions are true and false.
    coverage: Vec<JsonCoverage<'v>>,
    /// The waivers of the project and of policies.
    waivers: Vec<JsonWaiver<'v>>,
}

/// The result of a test for one image.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestResult")]
struct JsonCase<'v> {
    /// The test.
    test: &'v str,
    /// The image; null if the test is about no image, and fails.
    image: Option<&'v str>,
    /// Whether it passes.
    passes: bool,
    /// Why it fails: each message, and the file and line of the setting that is the cause.
    failures: Vec<JsonFailure<'v>>,
}

/// Why a test fails.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestFailure")]
struct JsonFailure<'v> {
    /// The message.
    message: &'v str,
    /// A file and a line.
    place: String,
    /// What to do; null if nothing is suggested.
    help: Option<&'v str>,
}

/// How often a rule or an assertion is true and false.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Coverage")]
struct JsonCoverage<'v> {
    /// `rule` or `assert`.
    kind: &'static str,
    /// The rule, or the test with the assertion.
    name: &'v str,
    /// A file and a line.
    place: String,
    /// In how many images, or images with the settings of a test, it is true.
    #[serde(rename = "true")]
    holds: usize,
    /// In how many it is false.
    #[serde(rename = "false")]
    fails: usize,
    /// In how many it has no value.
    unknown: usize,
}

/// A waiver.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Waiver")]
struct JsonWaiver<'v> {
    /// The rule.
    rule: &'v str,
    /// A file and a line.
    place: String,
    /// Why it is waived.
    reason: &'v str,
    /// The last day; null if it has none.
    until: Option<String>,
    /// Whether its last day is over.
    expired: bool,
    /// How many images need it.
    images: usize,
}

pub(super) fn run(cli: &Cli, args: &Test) -> Result<bool, Failure> {
    let selected = select(cli, &args.selection)?;
    selected.expect_known()?;
    let program = &selected.program;
    let diagnostics = driver::finish(program, selected.diagnostics.clone());
    if !is_fine(&diagnostics) {
        report(cli, program, &Findings::from(diagnostics));
        return Ok(false);
    }
    expect_tests(args, program)?;
    if selected.images.len() > MAX_IMAGES {
        return Err(Failure(format!(
            "this command selects {} images, and the limit is {MAX_IMAGES}: name some of them, their files or their folders",
            selected.images.len()
        )));
    }
    let output = Output {
        dir: out(&cli.here, None),
        portable: false,
    };
    let verified = verify(Task {
        loader: &Disk,
        program,
        images: &selected.images,
        provider: selected.provider,
        output: &output,
        filter: args.filter.as_deref(),
        updates: args.update,
    });
    let roots = args.selection.projects(&cli.here);
    for (path, text) in &verified.snapshots {
        if !is_inside(&Disk, path, &roots) {
            return Err(Failure(format!(
                "cannot write {}: the path leads out of the project",
                shown(path, &cli.here)
            )));
        }
        workspace::replace(path, text.as_bytes()).map_err(|e| cannot_write(&e, &cli.here))?;
    }
    print_all(cli, args, &selected, &verified)?;
    Ok(verified.cases.iter().all(Case::passes))
}

/// Checks that there is something to do.
///
/// # Errors
/// If the project has no tests, or none that `--filter` names.
fn expect_tests(args: &Test, program: &Program) -> Result<(), Failure> {
    let is_wanted = |text: &String| program.tests.iter().any(|test| test.name.contains(&**text));
    match &args.filter {
        Some(text) if !is_wanted(text) => Err(Failure(format!(
            "no test has `{}` in its name",
            visible_line(text)
        ))),
        None if program.tests.is_empty() && !args.coverage && !args.waivers => Err(Failure(
            "there are no tests: write one in a spec, as in `test \"NAME\" for IMAGE { assert … }`"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Prints diagnostics and results, and writes the file of `--junit`.
fn print_all(
    cli: &Cli,
    args: &Test,
    selected: &Selected,
    verified: &Verified<'_>,
) -> Result<(), Failure> {
    let program = &selected.program;
    let failures = verified.cases.iter().flat_map(|case| &case.failures);
    let mut diagnostics = driver::finish(program, failures.cloned().collect());
    diagnostics.retain(|found| found.code == Code::TestFailed);
    if !diagnostics.is_empty() {
        report(cli, program, &Findings::from(diagnostics));
    }
    if let Some(path) = &args.junit {
        let text = junit(&verified.cases, &program.sources);
        workspace::replace(&normalize(&cli.here.join(path)), text.as_bytes())
            .map_err(|e| cannot_write(&e, &cli.here))?;
    }
    if args.json || format(cli) == Format::Json {
        return print(&json_text(&json(program, verified)));
    }
    let mut text = String::new();
    push_tests(verified, &mut text);
    if args.coverage {
        push_coverage(program, verified, &mut text);
    }
    if args.waivers {
        push_waivers(program, verified, &mut text);
    }
    print(&text)
}

fn json<'v>(program: &Program, verified: &'v Verified<'_>) -> JsonTests<'v> {
    let failure = |found: &'v Diagnostic| JsonFailure {
        message: &found.message,
        place: place(program, found.primary.span),
        help: found.help.as_deref(),
    };
    let case = |case: &'v Case<'_>| JsonCase {
        test: &case.test.name,
        image: case.image,
        passes: case.passes(),
        failures: case.failures.iter().map(failure).collect(),
    };
    let coverage = verified.coverage.iter().map(|one| JsonCoverage {
        kind: if one.is_rule { "rule" } else { "assert" },
        name: one.name,
        place: place(program, one.span),
        holds: one.counts.holds,
        fails: one.counts.fails,
        unknown: one.counts.unknown,
    });
    let waivers = verified.waivers.iter();
    let waivers = waivers.map(|(waiver, images)| JsonWaiver {
        rule: &waiver.name,
        place: place(program, waiver.whole),
        reason: &waiver.reason,
        until: waiver.until.map(|until| until.to_string()),
        expired: waiver.is_expired,
        images: *images,
    });
    JsonTests {
        tests: verified.cases.iter().map(case).collect(),
        coverage: coverage.collect(),
        waivers: waivers.collect(),
    }
}

fn place(program: &Program, span: Span) -> String {
    let line = program.sources.position(span.file, span.start).line;
    format!("{}:{line}", program.sources.name(span.file))
}

/// Writes a line for each test, and how many pass.
fn push_tests(verified: &Verified<'_>, out: &mut String) {
    let (mut passed, mut failed) = (0, 0);
    let by_test = verified.cases.chunk_by(|a, b| std::ptr::eq(a.test, b.test));
    for cases in by_test {
        let Some(first) = cases.first() else {
            continue;
        };
        let failing: Vec<&str> = cases
            .iter()
            .filter(|case| !case.passes())
            .map(|case| case.image.unwrap_or_default())
            .collect();
        let name = visible_line(&first.test.name);
        if first.image.is_none() {
            failed += 1;
            let _ = writeln!(out, "failed  {name}: no image");
        } else if failing.is_empty() {
            passed += 1;
            let _ = writeln!(out, "passed  {name}: {}", images(cases.len()));
        } else {
            failed += 1;
            let most = failing.iter().take(MOST_NAMED).copied();
            let mut names = most.collect::<Vec<_>>().join(", ");
            if failing.len() > MOST_NAMED {
                let _ = write!(names, " and {} more", failing.len() - MOST_NAMED);
            }
            let names = visible_line(&names);
            let _ = writeln!(
                out,
                "failed  {name}: {} of {}: {names}",
                failing.len(),
                images(cases.len())
            );
        }
    }
    let _ = writeln!(out, "{passed} passed, {failed} failed");
}

/// How many images that fail a test its line names.
const MOST_NAMED: usize = 3;

fn images(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} image{plural}")
}

/// Writes how often each rule and assertion is true and false: first what has not been both.
fn push_coverage(program: &Program, verified: &Verified<'_>, out: &mut String) {
    let mut all: Vec<_> = verified.coverage.iter().collect();
    all.sort_by_key(|one| (!one.is_rule, one.counts.is_whole()));
    out.push('\n');
    for one in &all {
        let kind = if one.is_rule { "rule" } else { "assert" };
        let times = |count: usize, word: &str| match count {
            0 => format!("never {word}"),
            count => format!("{word} in {count}"),
        };
        let counts = one.counts;
        let mut words = [times(counts.holds, "true"), times(counts.fails, "false")].join(", ");
        if counts.unknown > 0 {
            let _ = write!(words, ", no value in {}", counts.unknown);
        }
        let name = visible_line(one.name);
        let _ = writeln!(out, "{kind} {name} ({}): {words}", place(program, one.span));
    }
    let rules = || all.iter().filter(|one| one.is_rule);
    let whole = rules().filter(|one| one.counts.is_whole()).count();
    let _ = writeln!(
        out,
        "rules that have been true and false: {whole} of {}",
        rules().count()
    );
}

/// Writes a line for each waiver.
fn push_waivers(program: &Program, verified: &Verified<'_>, out: &mut String) {
    out.push('\n');
    for (waiver, count) in &verified.waivers {
        let until = match waiver.until {
            Some(until) if waiver.is_expired => format!("ended on {until}"),
            Some(until) => format!("until {until}"),
            None => "without end".to_owned(),
        };
        let _ = writeln!(
            out,
            "waive {} ({}): {until}, {}: {}",
            waiver.name,
            place(program, waiver.whole),
            images(*count),
            visible_line(&waiver.reason)
        );
    }
    let _ = writeln!(
        out,
        "{} waiver{}",
        verified.waivers.len(),
        if verified.waivers.len() == 1 { "" } else { "s" }
    );
}
