//! `imgspec check`

use crate::cli::baseline::{Baseline, place};
use crate::cli::fix::{Fixes, mend};
use crate::cli::place::out;
use crate::cli::report::{check_all, format, is_fine, render_shown, report, write_reports};
use crate::cli::select::{Selected, no_specs, select};
use crate::cli::{Cli, Failure, Selection, keep, print, print_aside, watch};
use crate::diagnostic::{Code, Diagnostic, Findings, Severity};
use crate::driver::of_var_files;
use crate::emit::Output;
use clap::Args;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    selection: Selection,
    /// Apply safe fixes, which change no meaning or are the only way out; with =all, the first fix of each diagnostic. Then
    /// check again
    #[arg(
        long,
        value_enum,
        value_name = "safe|all",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "safe"
    )]
    fix: Option<Fixes>,
    /// Write nothing; print what --fix would change as a diff, and fail if there is anything
    #[arg(long)]
    diff: bool,
    /// Print how often each code occurs, instead of the diagnostics
    #[arg(long)]
    statistics: bool,
    /// Fail if there are more warnings
    #[arg(long, value_name = "NUMBER")]
    max_warnings: Option<usize>,
    /// End with exit code 0 even if there are errors
    #[arg(long)]
    exit_zero: bool,
    /// Do not report the warnings and notes that this file contains
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Remove from the baseline what is not reported any more; if there is no such file, write all warnings and notes to it
    #[arg(long, requires = "baseline", conflicts_with_all = ["fix", "diff"])]
    write_baseline: bool,
    /// Check again whenever a file changes, until Ctrl-C
    #[arg(long, conflicts_with_all = ["fix", "diff", "write_baseline"])]
    watch: bool,
}

impl Check {
    /// Returns what the command works on.
    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The folders that the command writes to: the projects whose files `--fix` changes, and that of the baseline.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        let written = self.baseline.iter().filter(|_| self.write_baseline);
        let folder = |file: &PathBuf| place(here, file).parent().map(Path::to_owned);
        let mut out: Vec<PathBuf> = written.filter_map(folder).collect();
        if self.fix.is_some() && !self.diff {
            out.extend(self.selection.projects(here));
        }
        out
    }
}

pub(super) fn run(cli: &Cli, args: &Check) -> Result<bool, Failure> {
    let format = format(cli);
    if args.statistics && !format.is_counted() {
        return Err(Failure(
            "`--statistics` prints text: remove it, or the `--format` for programs".to_owned(),
        ));
    }
    let read = |file: &PathBuf| Baseline::read(&cli.here, file, args.write_baseline);
    let baseline = args.baseline.as_ref().map(read).transpose()?;
    if args.watch {
        return watch::run(cli, args, baseline.as_ref());
    }
    let selected = select(cli, &args.selection)?;
    selected.expect_known()?;
    // To free a large program takes a tenth of the time of a check.
    let selected = keep(selected);
    let checked = conclude(cli, args, selected, baseline.as_ref())?;
    show(cli, args, selected, &checked)
}

/// The result of a check.
pub(super) struct Checked {
    pub findings: Findings,
    /// What else there is to tell, in lines.
    pub told: String,
    /// Whether `--diff` and `--write-baseline` have found nothing that is wrong.
    is_fine: bool,
}

/// Checks, fixes, and compares with the baseline.
///
/// # Errors
/// If there are no specs, or a file cannot be written.
pub(super) fn conclude(
    cli: &Cli,
    args: &Check,
    selected: &mut Selected,
    baseline: Option<&Baseline>,
) -> Result<Checked, Failure> {
    let program = &selected.program;
    if program.specs.is_empty()
        && selected.images.is_empty()
        && selected.json.is_empty()
        && !program.is_adopted
    {
        return Err(no_specs(&cli.here));
    }
    let mut findings = check(cli, selected);
    let mut is_fine = true;
    if args.fix.is_some() || args.diff {
        let fixes = args.fix.unwrap_or_default();
        let roots = args.selection.projects(&cli.here);
        let mended = mend(cli, selected, findings, fixes, &roots)?;
        is_fine = !args.diff || mended.is_same();
        if args.diff {
            mended.print(cli)?;
        } else {
            mended.write(cli)?;
        }
        findings = mended.findings;
    }
    let mut told = String::new();
    if let Some(baseline) = baseline {
        let (program, is_whole) = (&selected.program, selected.is_whole());
        if args.write_baseline {
            let is_written;
            (told, is_written) = baseline.write(cli, program, is_whole, &mut findings)?;
            is_fine &= is_written;
        } else {
            told = baseline.use_for(cli, program, is_whole, &mut findings);
        }
    }
    Ok(Checked {
        findings,
        told,
        is_fine,
    })
}

/// Prints the result of a check, and writes its reports. Returns whether the command succeeds.
///
/// # Errors
/// If a report cannot be written.
pub(super) fn show(
    cli: &Cli,
    args: &Check,
    selected: &Selected,
    checked: &Checked,
) -> Result<bool, Failure> {
    let format = format(cli);
    let findings = &checked.findings;
    if args.statistics {
        print(&statistics(&findings.shown))?;
    } else if format.is_counted() {
        report(cli, &selected.program, findings);
    } else {
        print(&render_shown(cli, format, &selected.program, findings))?;
    }
    write_reports(cli, &selected.program, findings)?;
    if findings.shown.is_empty() && format.is_counted() {
        let (files, images) = (
            selected.program.specs.len() + selected.json.len(),
            selected.images.len(),
        );
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let (images_s, files_s) = (plural(images), plural(files));
        print_aside(&format!(
            "{images} image{images_s} in {files} file{files_s}: no problems found\n"
        ));
    }
    print_aside(&checked.told);
    let has_few_warnings = has_few_warnings(args, &findings.shown);
    Ok(args.exit_zero || checked.is_fine && has_few_warnings && is_fine(&findings.shown))
}

/// Checks the selected images, or, if the arguments name var files alone, these on all targets of the library.
pub(super) fn check(cli: &Cli, selected: &mut Selected) -> Findings {
    let output = Output {
        dir: out(&cli.here, None),
        portable: false,
    };
    if !selected.is_json_alone {
        return check_all(selected, &output);
    }
    selected.images = selected.program.library_images();
    let found = check_all(selected, &output).shown;
    let images = std::mem::take(&mut selected.images).len();
    of_var_files(&selected.program, &selected.json, images, found).into()
}

/// Returns whether there are at most as many warnings as `--max-warnings` says. Tells if there are more.
fn has_few_warnings(args: &Check, diagnostics: &[Diagnostic]) -> bool {
    let found = diagnostics.iter();
    let found = found.filter(|d| d.severity == Severity::Warning).count();
    match args.max_warnings {
        Some(most) if found > most => {
            print_aside(&format!(
                "imgspec: {found} warning{}, and `--max-warnings` allows {most}\n",
                if found == 1 { "" } else { "s" }
            ));
            false
        }
        _ => true,
    }
}

/// Returns a line for each code and severity: the most frequent ones first.
fn statistics(diagnostics: &[Diagnostic]) -> String {
    let mut counts: BTreeMap<(Severity, &Code), usize> = BTreeMap::new();
    for diagnostic in diagnostics {
        *counts
            .entry((diagnostic.severity, &diagnostic.code))
            .or_default() += 1;
    }
    let mut lines: Vec<_> = counts.into_iter().collect();
    lines.sort_by_key(|((severity, code), count)| (Reverse(*count), *severity, code.as_str()));
    let line = |((severity, code), count): ((Severity, &Code), usize)| {
        format!("{count:5}  {severity}  {code}\n")
    };
    lines.into_iter().map(line).collect()
}
