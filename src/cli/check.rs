//! `imgspec check`

use super::report::{compile_all, is_fine, report};
use super::select::select;
use super::{Cli, Failure, Format, Selection};
use crate::emit::Output;

pub(super) fn run(cli: &Cli, selection: &Selection) -> Result<bool, Failure> {
    let selected = select(cli, selection)?;
    selected.expect_known()?;
    let here = std::env::current_dir().map_err(|e| Failure(format!("no current folder: {e}")))?;
    let output = Output { dir: here.join("build"), portable: false };
    let (_, diagnostics) = compile_all(&selected, &output);
    report(cli, &selected.program, &diagnostics)?;
    if diagnostics.is_empty() && super::report::format(cli) != Format::Json {
        let (files, images) = (selected.program.specs.len(), selected.images.len());
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        eprintln!(
            "{images} image{} in {files} file{}: nothing to complain about",
            plural(images),
            plural(files)
        );
    }
    Ok(is_fine(&diagnostics))
}
