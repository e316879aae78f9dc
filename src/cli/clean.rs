//! `imgspec clean`

use crate::build::{self, Cleaned};
use crate::cli::place::{cannot_write, expect_own, out, shown};
use crate::cli::{Cli, Failure, print, print_aside};
use crate::workspace::{self, Stage};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Clean {
    /// Names of images [default: all in the output folder]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// The output folder, with a folder for each image [default: build at the project's root]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Remove the cache that builds share instead: root filesystems, downloads, unpacked templates and roles
    #[arg(long, conflicts_with = "images")]
    cache: bool,
}

/// Returns false if a running build kept something from being removed.
pub(super) fn run(cli: &Cli, args: &Clean) -> Result<bool, Failure> {
    build::remove_leftovers();
    if args.cache {
        return clean_cache(&cli.here);
    }
    if args.out.is_none() {
        expect_own(&cli.here)?;
    }
    let out = out(&cli.here, args.out.as_deref());
    let failed = |path: &Path, e| Failure(format!("cannot remove {}: {e}", shown(path, &cli.here)));
    // Before anything is removed: what is left may be files that are not in their places yet.
    if out.is_dir() {
        Stage::of_output(&out, true).map_err(|e| cannot_write(&e, &cli.here))?;
    }
    let mut is_done = true;
    for folder in choose(&out, &args.images)? {
        match build::clean_image(&folder).map_err(|e| failed(&folder, e))? {
            Cleaned::Removed => print(&format!("removed {}\n", shown(&folder, &cli.here)))?,
            Cleaned::Kept(kept) => {
                print(&format!(
                    "removed the files that imgspec has written in {}\n",
                    shown(&folder, &cli.here)
                ))?;
                tell_kept(&kept, &cli.here);
            }
            Cleaned::Running => {
                print_aside(&format!(
                    "imgspec: {} is in use by a build, and is not removed\n",
                    shown(&folder, &cli.here)
                ));
                is_done = false;
            }
        }
    }
    if build::clean_out(&out).map_err(|e| failed(&out, e))? {
        print(&format!("removed {}\n", shown(&out, &cli.here)))?;
    }
    Ok(is_done)
}

/// Returns the folders of the named images, or of all images.
///
/// # Errors
/// If the output folder cannot be read, or contains no image of a given name.
fn choose(out: &Path, names: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let all = build::image_folders(out)
        .map_err(|e| Failure(format!("cannot read {}: {e}", out.display())))?;
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        let found = all
            .iter()
            .find(|folder| folder.file_name().is_some_and(|f| f == name.as_str()));
        found.cloned().ok_or_else(|| {
            Failure(format!(
                "unknown image `{name}`: {} does not contain it",
                out.display()
            ))
        })
    };
    names.iter().map(find).collect()
}

fn clean_cache(here: &Path) -> Result<bool, Failure> {
    let cache = workspace::cache();
    let (removed, rest) = build::clean_cache(&cache)
        .map_err(|e| Failure(format!("cannot remove {}: {e}", cache.display())))?;
    for folder in removed {
        print(&format!("removed {}\n", shown(&folder, here)))?;
    }
    match rest {
        Cleaned::Removed => Ok(true),
        Cleaned::Kept(kept) => {
            tell_kept(&kept, here);
            Ok(true)
        }
        Cleaned::Running => {
            print_aside(&format!(
                "imgspec: {} is in use by a build, and is not removed\n",
                cache.display()
            ));
            Ok(false)
        }
    }
}

fn tell_kept(kept: &[PathBuf], here: &Path) {
    for path in kept {
        print_aside(&format!(
            "kept {}, which imgspec has not written\n",
            shown(path, here)
        ));
    }
}
