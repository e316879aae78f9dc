//! The reports that `--format` writes for CI systems: foreign programs accept them, and they say what `--format json` says.
//!
//! The data are those of other tests: each `check` of `tests/cases`, `tests/diagnostics` and `tests/rules`.

mod common;

use common::{commands, copy_folder};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FORMATS: [&str; 4] = ["json", "sarif", "gitlab", "junit"];

/// The folder of a run's specs, its arguments, and its environment.
type Run = (tempfile::TempDir, Vec<String>, Vec<(String, String)>);

/// Writes the reports of all data to a folder, `NUMBER.FORMAT`. Returns their number, and the folders of the specs.
fn write_reports(reports: &Path) -> (usize, Vec<tempfile::TempDir>) {
    let root = common::root();
    let mut runs: Vec<Run> = Vec::new();
    for case in common::entries(&root.join("tests/cases")) {
        for command in commands::of_case(&case) {
            let is_check = command
                .arguments
                .first()
                .is_some_and(|word| word == "check");
            let has_format = command.arguments.iter().any(|word| word == "--format");
            if is_check && !has_format && command.folder.as_os_str().is_empty() {
                let folder = tempfile::tempdir().unwrap();
                copy_folder(&case, &folder.path().join("case"));
                runs.push((folder, command.arguments, command.environment));
            }
        }
    }
    for path in common::diagnostics::cases() {
        let folder = common::diagnostics::write(&path);
        runs.push((folder, common::diagnostics::arguments(&path), Vec::new()));
    }
    for path in common::files(&root.join("tests/rules"), "imgspec") {
        let folder = tempfile::tempdir().unwrap();
        let case = folder.path().join("case");
        fs::create_dir(&case).unwrap();
        fs::copy(&path, case.join("spec.imgspec")).unwrap();
        let arguments = ["check", "spec.imgspec"].map(str::to_owned).into();
        runs.push((folder, arguments, Vec::new()));
    }
    for case in ["formats", "allow"] {
        runs.push((copied(case), vec!["check".to_owned()], Vec::new()));
    }
    let arguments = ["check", "--baseline", "known-before.json"];
    let arguments = arguments.map(str::to_owned).into();
    runs.push((copied("baseline"), arguments, Vec::new()));
    let mut count = 0;
    for (folder, arguments, environment) in &runs {
        let case = folder.path().join("case");
        let mut command = common::imgspec(&case);
        command.args(arguments).args(["--format", "short"]);
        for format in FORMATS {
            let path = reports.join(format!("{count}.{format}"));
            command.arg(format!("--format={format}={}", path.display()));
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        // A command that fails for another reason than a diagnostic writes no report.
        if common::exit_code(&output) < 2 {
            count += 1;
        }
    }
    assert!(count > 100, "only {count} runs");
    (count, runs.into_iter().map(|(folder, ..)| folder).collect())
}

/// Returns a copy of a case, in the folder `case` of a new folder.
fn copied(case: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = common::root().join("tests/cases").join(case);
    copy_folder(&from, &folder.path().join("case"));
    folder
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn tools() -> PathBuf {
    let tools = std::env::var_os("IMGSPEC_TOOLS").unwrap_or("target/tools".into());
    common::root().join(tools).join("reports")
}

fn multitool() -> PathBuf {
    tools().join("node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool")
}

#[test]
fn reports_are_valid_and_say_what_json_says() {
    let reports = tempfile::tempdir().unwrap();
    let (count, _specs) = write_reports(reports.path());
    expect_same_findings(reports.path(), count);
    expect_junit(reports.path(), count);
    expect_sarif(reports.path());
}

/// Checks that all forms have the findings of the JSON form.
fn expect_same_findings(reports: &Path, count: usize) {
    let (mut results, mut edits, mut suppressed) = (0, 0, 0);
    for at in 0..count {
        let of = |format| reports.join(format!("{at}.{format}"));
        let (json, sarif, gitlab) = (read(&of("json")), read(&of("sarif")), read(&of("gitlab")));
        let found = json["diagnostics"].as_array().unwrap();
        let run = &sarif["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let results_of_run = run["results"].as_array().unwrap().iter();
        let is_shown =
            |result: &&Value| result["suppressions"].as_array().is_none_or(Vec::is_empty);
        let sarif: Vec<&Value> = results_of_run.clone().filter(is_shown).collect();
        suppressed += results_of_run.len() - sarif.len();
        let gitlab = gitlab.as_array().unwrap();
        assert_eq!(found.len(), sarif.len());
        assert_eq!(found.len(), gitlab.len());
        let junit = fs::read_to_string(of("junit")).unwrap();
        let severe = found.iter().filter(|d| d["severity"] != "note").count();
        assert_eq!(junit.matches("<failure ").count(), severe, "{junit}");
        let mut prints = BTreeSet::new();
        for ((one, result), issue) in found.iter().zip(&sarif).zip(gitlab) {
            results += 1;
            assert_eq!(one["code"], result["ruleId"]);
            assert_eq!(one["severity"], result["level"]);
            let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
            assert_eq!(rule["id"], one["code"]);
            for key in ["shortDescription", "fullDescription", "help"] {
                let text = rule[key]["text"].as_str().unwrap();
                assert!(text.len() > 10, "{}: {key}", one["code"]);
            }
            let print = result["partialFingerprints"]["imgspecDiagnostic/v1"].as_str();
            assert!(prints.insert(print.unwrap()), "{result}");
            expect_documented(issue);
            assert_eq!(issue["fingerprint"].as_str(), print);
            assert_eq!(issue["check_name"], one["code"]);
            edits += expect_same_edits(&one["fixes"], &result["fixes"]);
        }
    }
    assert!(
        results > 300 && edits > 100 && suppressed > 5,
        "{results} results, {edits} edits, {suppressed} suppressed results"
    );
}

/// Checks the fields that GitLab documents for a finding: https://docs.gitlab.com/ci/testing/code_quality/.
fn expect_documented(issue: &Value) {
    for key in ["description", "check_name", "fingerprint"] {
        assert!(
            issue[key].as_str().is_some_and(|text| !text.is_empty()),
            "{issue}"
        );
    }
    let severities = ["info", "minor", "major", "critical", "blocker"];
    assert!(
        severities.contains(&issue["severity"].as_str().unwrap()),
        "{issue}"
    );
    let path = issue["location"]["path"].as_str().unwrap();
    assert!(!path.starts_with("./"), "{issue}");
    assert!(
        issue["location"]["lines"]["begin"].as_u64().unwrap() > 0,
        "{issue}"
    );
}

/// Checks that the fixes of both forms change the same characters. Returns the number of edits.
fn expect_same_edits(json: &Value, sarif: &Value) -> usize {
    let mut count = 0;
    for (json, sarif) in json
        .as_array()
        .unwrap()
        .iter()
        .zip(sarif.as_array().into_iter().flatten())
    {
        assert_eq!(json["title"], sarif["description"]["text"]);
        let changes = sarif["artifactChanges"].as_array().unwrap();
        let mut other: BTreeSet<(u64, u64, u64, String)> = BTreeSet::new();
        for change in changes {
            for replacement in change["replacements"].as_array().unwrap() {
                let region = &replacement["deletedRegion"];
                let number = |key: &str| region[key].as_u64().unwrap();
                let text = replacement["insertedContent"]["text"].as_str().unwrap();
                other.insert((
                    number("startLine"),
                    number("startColumn"),
                    number("endColumn"),
                    text.to_owned(),
                ));
            }
        }
        for edit in json["edits"].as_array().unwrap() {
            let text = fs::read_to_string(edit["file"].as_str().unwrap()).unwrap();
            let line = edit["line"].as_u64().unwrap();
            let units = |line: &str, column: &str| {
                let at = usize::try_from(edit[line].as_u64().unwrap()).unwrap();
                let line = text.split('\n').nth(at - 1).unwrap();
                let before = usize::try_from(edit[column].as_u64().unwrap()).unwrap() - 1;
                let mut before: String = line.chars().take(before).collect();
                if at == 1 {
                    before = before.trim_start_matches('\u{feff}').to_owned();
                }
                before.encode_utf16().count() as u64 + 1
            };
            let wanted = (
                line,
                units("line", "column"),
                units("end_line", "end_column"),
                edit["text"].as_str().unwrap().to_owned(),
            );
            assert!(other.contains(&wanted), "{wanted:?} is not in {other:?}");
            count += 1;
        }
    }
    count
}

#[test]
fn a_fingerprint_depends_on_neither_line_nor_folder() {
    let (folder, moved) = (copied("formats"), copied("formats"));
    let case = |folder: &tempfile::TempDir| folder.path().join("case");
    // The repository is the folder above the project: paths start there.
    fs::create_dir(moved.path().join(".git")).unwrap();
    fs::create_dir(case(&folder).join(".git")).unwrap();
    fs::create_dir(moved.path().join("outer")).unwrap();
    let spec = "nightly builds/photon, 3.imgspec";
    let text = fs::read_to_string(case(&moved).join(spec)).unwrap();
    fs::write(
        case(&moved).join(spec),
        format!("# A line above.\n\n{text}"),
    )
    .unwrap();
    let run = |folder: &Path| common::run_json(folder, &["check", "--format", "sarif"]);
    let (before, after) = (run(&case(&folder)), run(&case(&moved)));
    let results = |log: &Value| log["runs"][0]["results"].as_array().unwrap().clone();
    let (before, after) = (results(&before), results(&after));
    assert!(before.len() > 2 && before.len() == after.len());
    let place = |result: &Value| result["locations"][0]["physicalLocation"].clone();
    for (old, new) in before.iter().zip(&after) {
        let uri = |result: &Value| place(result)["artifactLocation"]["uri"].clone();
        let (old, new) = (uri(old), uri(new));
        assert_eq!(
            format!("case/{}", old.as_str().unwrap()),
            new.as_str().unwrap()
        );
    }
    // Without the repository above, the paths and so the fingerprints are the same.
    fs::remove_dir(moved.path().join(".git")).unwrap();
    fs::create_dir(case(&moved).join(".git")).unwrap();
    let after = results(&run(&case(&moved)));
    let prints = |results: &[Value]| -> Vec<Value> {
        results
            .iter()
            .map(|result| result["partialFingerprints"].clone())
            .collect()
    };
    assert_eq!(prints(&before), prints(&after));
    let lines = |results: &[Value]| -> Vec<Value> {
        results
            .iter()
            .map(|result| place(result)["region"]["startLine"].clone())
            .collect()
    };
    assert_ne!(lines(&before), lines(&after));
}

/// SARIF Multitool matches the results of two commits, as code scanning does. A diagnostic that moves is the same one, also
/// if others come and go around it. The tool calls it `updated`, as its region differs, and `unchanged` only in an equal log.
#[test]
fn a_moved_diagnostic_is_the_same_for_multitool() {
    let program = multitool();
    if !program.is_file() {
        return common::skip_without_tools("SARIF: sarif-multitool is missing");
    }
    let folder = tempfile::tempdir().unwrap();
    let setting = |name: &str| format!("    {name} = [\"jq\"]\n");
    let layer = |body: &str| {
        format!("layer corp {{\n{body}}}\n\nimage a extends qemu-ubuntu-2004, corp {{ }}\n")
    };
    let kept = ["extra_rpms", "windows_updates_categories"];
    let kept: String = kept.map(setting).concat();
    let gone = "\nimage gone extends corp, qemu-ubuntu-2004 { }\n";
    let new = "    no_such_name = \"a\"\n";
    let commits = [
        layer(&kept) + gone,
        format!("# Lines above.\n\n\n{}", layer(&format!("{new}\n{kept}"))),
    ];
    for (at, text) in commits.iter().enumerate() {
        fs::write(folder.path().join("a.imgspec"), text).unwrap();
        let report = format!("--format=sarif={at}.sarif");
        let output = common::run(folder.path(), &["check", "--format", "short", &report]);
        assert!(common::exit_code(&output) < 2);
    }
    let matched = |current: &str, arguments: &[&str]| -> Vec<Value> {
        let output = Command::new(&program)
            .args(["match-results-forward", current, "-o", "matched.sarif"])
            .args(arguments)
            .args(["--log", "ForceOverwrite"])
            .current_dir(folder.path())
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let log = read(&folder.path().join("matched.sarif"));
        log["runs"][0]["results"].as_array().unwrap().clone()
    };
    let before = matched("0.sarif", &[]);
    fs::rename(
        folder.path().join("matched.sarif"),
        folder.path().join("before.sarif"),
    )
    .unwrap();
    let print = |result: &Value| result["partialFingerprints"]["imgspecDiagnostic/v1"].clone();
    let states = |found: &[Value]| -> Vec<(String, String)> {
        let of = |result: &Value, key: &str| result[key].as_str().unwrap().to_owned();
        let mut out: Vec<_> = found
            .iter()
            .map(|result| (of(result, "baselineState"), of(result, "ruleId")))
            .collect();
        out.sort();
        out
    };
    let after = matched("1.sarif", &["-r", "before.sarif"]);
    let expected = [
        ("absent", "below-target"),
        ("new", "unknown-variable"),
        ("updated", "no-effect"),
        ("updated", "no-effect"),
    ];
    let expected = expected.map(|(state, code)| (state.to_owned(), code.to_owned()));
    assert_eq!(states(&after), expected);
    for result in after
        .iter()
        .filter(|result| result["baselineState"] == "updated")
    {
        let same = before.iter().find(|old| print(old) == print(result));
        assert_eq!(result["correlationGuid"], same.unwrap()["correlationGuid"]);
    }
    let again = matched("0.sarif", &["-r", "before.sarif"]);
    assert!(
        again
            .iter()
            .all(|result| result["baselineState"] == "unchanged")
    );
    assert!(!again.is_empty());
}

#[test]
fn one_cause_in_200_images_is_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    let targets = [
        "qemu-ubuntu-2004",
        "ami-ubuntu-2004",
        "raw-ubuntu-2004",
        "qemu-ubuntu-2004-efi",
    ];
    let images: String = (0..200)
        .map(|at| format!("image a{at} extends {}, corp {{ }}\n", targets[at % 4]))
        .collect();
    let spec = |layer: &str| format!("layer corp {{\n    {layer}\n}}\n\n{images}");
    let check = |layer: &str, format: &str| {
        fs::write(folder.path().join("a.imgspec"), spec(layer)).unwrap();
        common::run_json(folder.path(), &["check", "--format", format])
    };
    let json = check("extra_rpms = [\"jq\"]", "json");
    let found = json["diagnostics"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{json}");
    assert_eq!(
        found[0]["message"],
        "`extra_rpms` has no effect on `qemu-ubuntu-2004` (and 3 others)"
    );
    assert_eq!(found[0]["image_count"], 200);
    assert_eq!(found[0]["images"].as_array().unwrap().len(), 100);
    assert_eq!(found[0]["images"][0], "a0");
    let sarif = check("extra_rpms = [\"jq\"]", "sarif");
    let result = &sarif["runs"][0]["results"];
    assert_eq!(result.as_array().unwrap().len(), 1);
    assert_eq!(result[0]["properties"]["imageCount"], 200);
    let text = result[0]["message"]["text"].as_str().unwrap();
    assert!(text.contains("in 200 images: a0, a1, a2, …"), "{text}");
    // The fingerprint names no target: an image on another one is the same finding.
    let print = |log: &Value| log["runs"][0]["results"][0]["partialFingerprints"].clone();
    let fewer = images.replace("ami-ubuntu-2004", "qemu-ubuntu-2004");
    let fewer = fewer.replace("extends qemu-ubuntu-2004,", "extends raw-ubuntu-2004,");
    fs::write(
        folder.path().join("a.imgspec"),
        format!("layer corp {{ extra_rpms = [\"jq\"] }}\n{fewer}"),
    )
    .unwrap();
    let other = common::run_json(folder.path(), &["check", "--format", "sarif"]);
    assert_eq!(print(&sarif), print(&other));
    assert_ne!(print(&sarif), Value::Null);
    // A rule, and a name that removes nothing, are one finding for all of them, too.
    for (layer, code) in [
        ("extra_debs -= [\"jq\"]", "nothing-removed"),
        ("kubernetes_deb_version = \"1.2\"", "rule-violated"),
    ] {
        let json = check(layer, "json");
        let found = json["diagnostics"].as_array().unwrap();
        let of_code = found.iter().filter(|one| one["code"] == code);
        assert_eq!((of_code.count(), found.len()), (1, 1), "{layer}: {json}");
    }
}

#[test]
fn github_gets_ten_of_each_and_a_summary_with_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let names: String = (0..600)
        .map(|at| format!("    no_such_variable_at_all_{at} = 1\n"))
        .collect();
    let spec = format!("image a extends qemu-ubuntu-2004 {{\n{names}}}\n");
    fs::write(folder.path().join("a.imgspec"), spec).unwrap();
    let summary = folder.path().join("summary.md");
    fs::write(&summary, "x".repeat((1 << 20) - 20_000)).unwrap();
    let check = || {
        let mut command = common::imgspec(folder.path());
        command.args(["check", "--format", "github"]);
        command.env("GITHUB_STEP_SUMMARY", &summary);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let printed = check();
    assert_eq!(printed.matches("::error ").count(), 10, "{printed}");
    assert_eq!(printed.matches("::notice ").count(), 1, "{printed}");
    let text = fs::read_to_string(&summary).unwrap();
    assert!(
        text.len() > 1_040_000 && text.len() <= 1 << 20,
        "{}",
        text.len()
    );
    assert!(text.starts_with("xxx") && text.contains(" more: `imgspec check` prints all."));
    check();
    assert!(fs::metadata(&summary).unwrap().len() <= 1 << 20);
}

/// Checks that SARIF Multitool, with the rules of the format and those of GitHub, finds nothing in the logs.
fn expect_sarif(reports: &Path) {
    let program = multitool();
    if !program.is_file() {
        return common::skip_without_tools("SARIF: sarif-multitool is missing");
    }
    let validate = |name: &str, findings: &str| {
        let output = Command::new(&program)
            .args([
                "validate",
                "--rule-kind",
                "Sarif;Gh",
                "--level",
                "Error;Warning",
                "--kind",
                "Fail",
            ])
            .args(["--output", findings])
            .arg(name)
            .current_dir(reports)
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = read(&reports.join(findings));
        let results = log["runs"][0]["results"].as_array().cloned();
        (results.unwrap_or_default(), printed)
    };
    let (found, printed) = validate("*.sarif", "findings.json");
    assert!(found.is_empty(), "{printed}");
    // It would find what is wrong.
    let has_region = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("startLine");
    let logs = common::files(reports, "sarif");
    let log = logs.iter().find(|path| has_region(path)).unwrap();
    let text = fs::read_to_string(log).unwrap();
    let wrong = text.replace("\"startLine\": ", "\"startLine\": -");
    assert_ne!(text, wrong);
    fs::write(reports.join("wrong.sarif"), wrong).unwrap();
    let (found, _) = validate("wrong.sarif", "others.json");
    assert!(!found.is_empty());
}

/// Checks that xmllint accepts the reports with the schema of JUnit's form that Jenkins uses.
fn expect_junit(reports: &Path, count: usize) {
    let schema = tools().join("junit-10.xsd");
    if !schema.is_file() || which::which("xmllint").is_err() {
        return common::skip_without_tools("JUnit: the schema or xmllint is missing");
    }
    let validate = |paths: &[PathBuf]| {
        let output = Command::new("xmllint")
            .args(["--nonet", "--noout", "--schema"])
            .arg(&schema)
            .args(paths)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let mut paths = common::files(reports, "junit");
    assert_eq!(paths.len(), count);
    // `imgspec test --junit`, with tests that pass, tests that fail, and those that are about no image.
    let tests = copied("tests");
    let results = reports.join("tests.xml");
    let mut command = common::imgspec(&tests.path().join("case"));
    let output = command.arg("test").arg("--junit").arg(&results).output();
    assert_eq!(common::exit_code(&output.unwrap()), 1);
    paths.push(results);
    let (is_valid, said) = validate(&paths);
    assert!(is_valid, "{said}");
    let wrong = reports.join("wrong.xml");
    let text = fs::read_to_string(&paths[0]).unwrap();
    fs::write(
        &wrong,
        text.replace("<testsuite ", "<testsuite wrong=\"\" "),
    )
    .unwrap();
    assert!(!validate(&[wrong]).0);
}
