//! `imgspec import`

use crate::cli::place::{cannot_write, folder_of};
use crate::cli::sandbox::confine;
use crate::cli::select::{library, not_a_var_file, other_format};
use crate::cli::{Cli, Failure, print, print_aside, print_file};
use crate::import::{VarFile, import};
use crate::project::hir::LayerKind;
use crate::project::{Request, load};
use crate::source::{Disk, Loader, normalize, read_text};
use crate::workspace;
use clap::Args;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Import {
    /// JSON var files, weakest first, as in PACKER_VAR_FILES
    #[arg(value_name = "FILE.json", required = true)]
    files: Vec<PathBuf>,
    /// Also write an image that extends this target and the layers
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Write the spec to this new file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Import {
    /// The folder that the command writes to.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        folder_of(here, self.out.as_deref())
    }
}

pub(super) fn run(cli: &Cli, args: &Import) -> Result<bool, Failure> {
    let library = library(cli, None)?;
    let packer = library.checkout().map(Path::to_owned);
    let read = args.files.iter().map(|file| cli.here.join(file));
    confine(cli, read.collect(), Vec::new())?;
    let files = read_var_files(cli, &args.files, packer.as_deref())?;
    let request = Request {
        library: Some(workspace::library(library)),
        ..Request::default()
    };
    let program = load(&Disk, &request);
    let imported = match import(&program, &files) {
        Ok(imported) => imported,
        Err(message) => {
            print_aside(&format!("error: {message}\n"));
            return Ok(false);
        }
    };
    let mut text = imported.text;
    if let Some(target) = &args.target {
        let is_image = |id| program.section(id).kind == LayerKind::Image;
        if !program.find_library_section(target).is_some_and(is_image) {
            return Err(Failure(format!(
                "unknown target `{target}`; `imgspec list --targets` lists all targets"
            )));
        }
        let name = imported.layers.last().map_or("", String::as_str);
        let _ = writeln!(
            text,
            "\nimage {name}-{target} extends {target}, {} {{ }}",
            imported.layers.join(", ")
        );
    }
    for note in &imported.notes {
        print_aside(&format!("warning: {note}\n"));
    }
    let Some(out) = &args.out else {
        print_file(&text)?;
        return Ok(true);
    };
    let path = normalize(&cli.here.join(out));
    let exists = || Failure(format!("{} exists already", out.display()));
    workspace::tidy(&path);
    if Disk.exists(&path) {
        return Err(exists());
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(exists());
    };
    let created = workspace::create(folder, &[(PathBuf::from(name), text)]);
    created.map_err(|e| match e.error.kind() {
        // Another process has written it in the meantime.
        ErrorKind::AlreadyExists => exists(),
        _ => cannot_write(&e, &cli.here),
    })?;
    print(&format!("{}\n", out.display()))?;
    Ok(true)
}

/// Reads JSON var files. With a checkout, Packer runs in its folder `packer`, and relative paths in var files start there.
///
/// # Errors
/// If a file has another format or cannot be read.
pub(super) fn read_var_files(
    cli: &Cli,
    files: &[PathBuf],
    packer: Option<&Path>,
) -> Result<Vec<VarFile>, Failure> {
    files
        .iter()
        .map(|file| {
            let failed = |e| Failure(format!("cannot read {}: {e}", file.display()));
            if let Some(format) = other_format(file) {
                return Err(not_a_var_file(&file.display().to_string(), format));
            }
            let path = cli.here.join(file);
            let text = read_text(&path).map_err(failed)?;
            Ok(VarFile {
                name: file.display().to_string(),
                text,
                folder: packer
                    .or_else(|| path.parent())
                    .map(Path::to_owned)
                    .unwrap_or_default(),
            })
        })
        .collect()
}
