//! `imgspec clean`

use super::place::{here, out};
use super::{Failure, print};
use crate::build;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Clean {
    /// Images by name; none: all below the output folder
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// The folder that has a folder for each image [default: build at the project's root]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Remove what builds share instead: root filesystems, downloads, unpacked templates and roles
    #[arg(long, conflicts_with = "images")]
    cache: bool,
}

pub(super) fn run(args: &Clean) -> Result<bool, Failure> {
    let here = here()?;
    let folders = if args.cache {
        let cache = build::cache();
        // Only what builds put there: the name may have been given in the environment.
        ["assets", "packer", "rootfs"].iter().map(|name| cache.join(name)).filter(|f| f.exists()).collect()
    } else {
        let out = out(&here, args.out.as_deref());
        let all =
            build::image_folders(&out).map_err(|e| Failure(format!("cannot read {}: {e}", out.display())))?;
        let mut chosen: Vec<PathBuf> = Vec::new();
        for name in &args.images {
            match all.iter().find(|folder| folder.file_name().is_some_and(|f| f == name.as_str())) {
                Some(folder) => chosen.push(folder.clone()),
                None => return Err(Failure(format!("there is no image {name} in {}", out.display()))),
            }
        }
        if args.images.is_empty() { all } else { chosen }
    };
    for folder in folders {
        let removed = match args.cache {
            true => std::fs::remove_dir_all(&folder),
            false => build::clean_image(&folder),
        };
        removed.map_err(|e| Failure(format!("cannot remove {}: {e}", folder.display())))?;
        print(&format!("removed {}\n", folder.strip_prefix(&here).unwrap_or(&folder).display()))?;
    }
    Ok(true)
}
