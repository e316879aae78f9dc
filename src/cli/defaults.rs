//! `imgspec defaults`

use crate::cli::place::{cannot_write, shown};
use crate::cli::sandbox::confine;
use crate::cli::select::library;
use crate::cli::{Cli, Failure, print};
use crate::diagnostic::json_text;
use crate::emit::default_files;
use crate::eval::evaluate;
use crate::project::{Request, load};
use crate::source::{Memory, normalize};
use crate::workspace;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Defaults {
    /// Write the files to this folder instead of printing them
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl Defaults {
    /// The folder that the command writes to.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        self.out
            .iter()
            .map(|out| normalize(&here.join(out)))
            .collect()
    }
}

/// Images that set nothing: their values are the library's defaults.
const SPEC: &str = "
provider none { template = \"none\", extra_vars = [], reads = [] }
image plain { target { provider = none } }
image windows extends windows-config { target { provider = none } }
";

pub(super) fn run(cli: &Cli, args: &Defaults) -> Result<bool, Failure> {
    let path = PathBuf::from("/defaults.imgspec");
    let library = library(cli, None)?;
    confine(cli, Vec::new(), Vec::new())?;
    let program = load(
        &Memory([(path.clone(), SPEC.to_owned())].into()),
        &Request {
            specs: vec![path],
            library: Some(workspace::library(library)),
            ..Request::default()
        },
    );
    let mut images = program
        .specs
        .iter()
        .flatten()
        .flat_map(|file| program.images_of(*file));
    let mut image = || {
        let id = images
            .next()
            .ok_or_else(|| Failure("the library declares no image for its defaults".to_owned()))?;
        evaluate(&program, id, None).map_err(|found| Failure(found.message))
    };
    let (plain, windows) = (image()?, image()?);
    let files = default_files(&plain, &windows);
    let Some(out) = &args.out else {
        print(&json_text(&files))?;
        return Ok(true);
    };
    let out = normalize(&cli.here.join(out));
    for (name, variables) in files {
        let path = out.join(&name);
        let text = json_text(&variables);
        crate::workspace::replace(&path, text.as_bytes())
            .map_err(|e| cannot_write(&e, &cli.here))?;
        print(&format!("{}\n", shown(&path, &cli.here)))?;
    }
    Ok(true)
}
