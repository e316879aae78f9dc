//! `imgspec compile`

use crate::cli::place::{cannot_write, expect_own, out, shown};
use crate::cli::report::{
    check_all, compile_to_build, expect_unchanged, format, is_fine, render_all, report,
    write_reports,
};
use crate::cli::sandbox::confine_writing;
use crate::cli::select::{Selected, select};
use crate::cli::{Cli, Failure, Format, Selection, keep, print, print_aside};
use crate::diagnostic::{
    Code, Diagnostic, Findings, JsonDiagnostic, VERSION, json_diagnostics, json_text,
};
use crate::emit::{Account, Artifacts, Files, Output};
use crate::source::{Disk, Loader};
use crate::workspace::{self, Eyes, ImageFolder, Stage, put_id};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Compile {
    #[command(flatten)]
    selection: Selection,
    /// The output folder, with a folder for each image [default: build at the project's root]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write nothing; list the files that a compile would change, and fail if there are any
    #[arg(long, conflicts_with = "stdout")]
    check: bool,
    /// Print the files as one JSON object instead of writing them (docs/json.md)
    #[arg(long)]
    stdout: bool,
    /// Write paths relative to the environment variable IMGSPEC_OUT, so that the output is the same on every machine
    #[arg(long)]
    portable: bool,
}

/// What `compile --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Compiled<'a> {
    /// The version of the form, 1.
    version: u32,
    diagnostics: Vec<JsonDiagnostic<'a>>,
    /// The images' folders that were written. With `--check` the files that are missing or differ.
    paths: Vec<Cow<'a, str>>,
}

impl Compile {
    /// The folder that the command writes to.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        let is_silent = self.check || self.stdout;
        let out = (!is_silent).then(|| out(here, self.out.as_deref()));
        out.into_iter().collect()
    }
}

pub(super) fn run(cli: &Cli, args: &Compile) -> Result<bool, Failure> {
    if args.out.is_none() {
        expect_own(&cli.here)?;
    }
    let selected = &*keep(select(cli, &args.selection)?);
    selected.expect_known()?;
    let output = Output {
        dir: out(&cli.here, args.out.as_deref()),
        portable: args.portable,
    };
    let (made, mut findings) = make(cli, args, selected, &output)?;
    if let Some(found) = native_output(selected, &output.dir) {
        findings.shown.extend(
            selected
                .program
                .configs
                .apply(&selected.program.sources, vec![found]),
        );
    }
    let fine = is_fine(&findings.shown);
    let is_json = format(cli) == Format::Json;
    if !is_json || args.stdout {
        report(cli, &selected.program, &findings);
    }
    write_reports(cli, &selected.program, &findings)?;
    if selected.images.is_empty() && fine {
        let message = if selected.is_json_alone {
            "name the image to compile with these var files: `imgspec compile IMAGE FILE.json`"
        } else {
            "no image to compile: name one (`imgspec list --targets` lists them), or declare one in a spec"
        };
        return Err(Failure(message.to_owned()));
    }
    if !fine {
        if is_json && !args.stdout {
            print_json(selected, &findings.shown, &[])?;
        }
        return Ok(false);
    }
    match made {
        Made::Printed(images) => {
            print(&json_text(
                &images.into_iter().collect::<serde_json::Map<_, _>>(),
            ))?;
            Ok(true)
        }
        Made::Stale(stale) => {
            if is_json {
                print_json(selected, &findings.shown, &stale)?;
            } else {
                for path in &stale {
                    print_aside(&format!("stale: {}\n", shown(path, &cli.here)));
                }
            }
            Ok(stale.is_empty())
        }
        Made::Staged(staged) => {
            let written = staged.folders.into_iter().collect::<Result<Vec<_>, _>>()?;
            expect_unchanged(&selected.program, &cli.here)?;
            if staged.is_new {
                // Until now a folder above it was writable.
                confine_writing(cli, &output.dir)?;
            }
            let failed = |e| cannot_write(&e, &cli.here);
            staged.stage.commit().map_err(failed)?;
            if is_json {
                print_json(selected, &findings.shown, &written)?;
            } else {
                let lines = written
                    .iter()
                    .map(|dir| format!("{}\n", shown(dir, &cli.here)));
                print(&lines.collect::<String>())?;
            }
            Ok(true)
        }
    }
}

/// What is left of the images' files: nothing keeps all of them in memory, except where they are printed.
enum Made {
    /// With `--stdout`: the files of each image as JSON.
    Printed(Vec<(String, Value)>),
    /// With `--check`: the paths of the files that differ.
    Stale(Vec<PathBuf>),
    /// The files are written, but not in their places.
    Staged(Staged),
}

/// Files that are not in their places yet.
struct Staged {
    stage: Stage,
    /// The output folder was not there before.
    is_new: bool,
    /// The folder of each image, or why it cannot be written.
    folders: Vec<Result<PathBuf, Failure>>,
}

/// Compiles the images, and returns what is left of their files, with all diagnostics.
///
/// # Errors
/// If the output folder cannot be made or locked.
fn make(
    cli: &Cli,
    args: &Compile,
    selected: &Selected,
    output: &Output,
) -> Result<(Made, Findings), Failure> {
    if !is_fine(&selected.program.diagnostics) {
        // Nothing will be written.
        let findings = check_all(selected, output);
        if !is_fine(&findings.shown) {
            return Ok((Made::Stale(Vec::new()), findings));
        }
    }
    let eyes = Eyes::bounded();
    if args.stdout {
        let take = |(artifacts, account): (_, Account)| as_json(artifacts, &account, &eyes);
        let (images, findings) = compile_to_build(selected, output, take);
        return Ok((Made::Printed(images), findings));
    }
    if args.check {
        let stale = |mut image: Files| {
            eyes.identify(&mut image);
            workspace::stale(&image, output)
        };
        let (stale, findings) = render_all(selected, output, stale);
        return Ok((Made::Stale(stale.concat()), findings));
    }
    let failed = |e: workspace::WriteError| cannot_write(&e, &cli.here);
    let is_new = !Disk.is_dir(&output.dir);
    let stage = workspace::begin(output).map_err(failed)?;
    let add = |mut image: Files| {
        eyes.identify(&mut image);
        let folder = ImageFolder::of(&stage, &image.image);
        folder.expect_free(&image.image).map_err(Failure)?;
        workspace::add_image(&stage, &image, folder).map_err(failed)
    };
    let (folders, findings) = render_all(selected, output, add);
    let staged = Staged {
        stage,
        is_new,
        folders,
    };
    Ok((Made::Staged(staged), findings))
}

/// Returns the name of an image and its files as they are printed.
fn as_json(mut artifacts: Artifacts, account: &Account, eyes: &Eyes) -> (String, Value) {
    if let Ok(own) = eyes.look(&account.sight) {
        put_id(&mut artifacts.manifest, &own.id());
    }
    let parse =
        |(name, text): (&str, String)| Some((name.to_owned(), serde_json::from_str(&text).ok()?));
    let files = artifacts.shown_files().into_iter().filter_map(parse);
    let files: serde_json::Map<String, Value> = files.collect();
    (artifacts.image.clone(), files.into())
}

fn print_json(
    selected: &Selected,
    diagnostics: &[Diagnostic],
    paths: &[PathBuf],
) -> Result<(), Failure> {
    let compiled = Compiled {
        version: VERSION,
        diagnostics: json_diagnostics(diagnostics, &selected.program.sources),
        paths: paths.iter().map(|path| path.to_string_lossy()).collect(),
    };
    print(&json_text(&compiled))
}

/// Returns a warning about output of the standard library inside an Image Builder checkout. It is probably meant for the
/// checkout's roles, which expect other types.
fn native_output(selected: &Selected, out: &Path) -> Option<Diagnostic> {
    if selected.program.is_upstream {
        return None;
    }
    let is_checkout = |folder: &Path| {
        Disk.is_file(&folder.join("packer/config/ansible-args.json"))
            && Disk.is_file(&folder.join("Makefile"))
    };
    let checkout = out.ancestors().find(|folder| is_checkout(folder))?;
    let image = selected.program.section(*selected.images.first()?);
    Some(
        Diagnostic::new(
            Code::NativeOutput,
            image.span,
            format!(
                "the output goes to the Image Builder checkout {}, whose roles expect other types",
                checkout.display()
            ),
        )
        .help(
            "write to another folder, or compile for the checkout's roles with `--in CHECKOUT` or `--roles upstream`",
        ),
    )
}
