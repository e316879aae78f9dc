//! `imgspec sbom`

use crate::cli::built::{self, Built, artifacts, read_json};
use crate::cli::place::{cannot_write, folder_of, shown};
use crate::cli::sandbox::confine;
use crate::cli::{Asked, Cli, Failure, Format, print, print_aside, print_file};
use crate::image::{self, Inventory, Made, Tree};
use crate::source::{normalize, visible_line};
use crate::workspace;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Sbom {
    /// A built disk or archive, the folder of a build, or the name of a built image
    #[arg(value_name = "FILE|IMAGE")]
    image: String,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The form: cyclonedx (1.6), spdx (2.3) or list [default: cyclonedx]
    // It has the name of the option for diagnostics, which it replaces here.
    #[arg(id = "formats", long = "format", value_name = "FORMAT", value_parser = parse_form)]
    _form: Option<Asked>,
}

fn parse_form(text: &str) -> Result<Asked, String> {
    let form = match text {
        "cyclonedx" => Format::CycloneDx,
        "spdx" => Format::Spdx,
        "list" => Format::List,
        _ => return Err("the forms are cyclonedx, spdx and list".to_owned()),
    };
    Ok(Asked::of(form))
}

impl Sbom {
    /// The folder that the command writes to.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        folder_of(here, self.out.as_deref())
    }
}

pub(super) fn run(cli: &Cli, args: &Sbom) -> Result<bool, Failure> {
    let time = time()?;
    let found = built::find(cli, &args.image, None)?;
    let readable = match &found {
        Built::Folder(path) | Built::Disk(path) => path.clone(),
        Built::Json(path) => path.parent().unwrap_or(path).to_owned(),
    };
    confine(cli, vec![readable], Vec::new())?;
    let (path, tree) = open(found, &cli.here)?;
    let failed = |reason| Failure(format!("cannot read {}: {reason}", shown(&path, &cli.here)));
    let inventory = Inventory::read(&tree).map_err(failed)?;
    for reason in &inventory.unread {
        print_aside(&format!(
            "imgspec: not in the list: {}\n",
            visible_line(reason)
        ));
    }
    let form = match cli.bare_format() {
        Some(Format::Spdx) => image::Format::Spdx,
        Some(Format::List) => image::Format::List,
        _ => image::Format::CycloneDx,
    };
    let made = Made {
        name: &path.file_name().unwrap_or_default().to_string_lossy(),
        time,
    };
    let text = image::render(&inventory, form, &made);
    let Some(out) = &args.out else {
        print_file(&text)?;
        return Ok(true);
    };
    let path = normalize(&cli.here.join(out));
    workspace::replace(&path, text.as_bytes()).map_err(|e| cannot_write(&e, &cli.here))?;
    print(&format!("{}\n", shown(&path, &cli.here)))?;
    Ok(true)
}

/// Opens what an argument names: of a folder the first artifact of its build that can be read.
fn open(found: Built, here: &Path) -> Result<(PathBuf, Tree), Failure> {
    let folder = match found {
        Built::Disk(path) => {
            let tree = built::open(&path, here)?;
            return Ok((path, tree));
        }
        Built::Folder(folder) => folder,
        Built::Json(path) => path.parent().unwrap_or(&path).to_owned(),
    };
    let record = read_json(&folder.join("build.json"), here)?;
    let artifacts = record
        .map(|record| artifacts(&record, &folder))
        .unwrap_or_default();
    let mut first = None;
    for path in artifacts {
        match built::open(&path, here) {
            Ok(tree) => return Ok((path, tree)),
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    Err(first.unwrap_or_else(|| {
        Failure(format!(
            "{} has no disk of a finished build: name the disk itself, or build the image",
            shown(&folder, here)
        ))
    }))
}

/// The time that the bill has: that of `SOURCE_DATE_EPOCH`, since the same image gives the same bill.
fn time() -> Result<Option<u64>, Failure> {
    // The year 9999 is the last one that both forms can write.
    const LAST: u64 = 253_402_300_799;
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    match seconds.filter(|seconds| *seconds <= LAST) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(Failure(
            "SOURCE_DATE_EPOCH is not a number of seconds since 1970".to_owned(),
        )),
    }
}
