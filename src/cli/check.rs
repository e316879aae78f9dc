//! `imgspec check`

use crate::cli::place::out;
use crate::cli::report::{check_all, format, is_fine, render_shown, report, write_reports};
use crate::cli::select::{no_specs, select};
use crate::cli::{Cli, Failure, Selection, keep, print, print_aside};
use crate::driver::of_var_files;
use crate::emit::Output;

pub(super) fn run(cli: &Cli, selection: &Selection) -> Result<bool, Failure> {
    let selected = keep(select(cli, selection)?);
    selected.expect_known()?;
    let program = &selected.program;
    if program.specs.is_empty()
        && selected.images.is_empty()
        && selected.json.is_empty()
        && !program.is_adopted
    {
        return Err(no_specs(&cli.here));
    }
    let output = Output {
        dir: out(&cli.here, None),
        portable: false,
    };
    if selected.is_json_alone {
        selected.images = selected.program.library_images();
    }
    let mut diagnostics = check_all(selected, &output);
    if selected.is_json_alone {
        diagnostics = of_var_files(
            &selected.program,
            &selected.json,
            selected.images.len(),
            diagnostics,
        );
        selected.images.clear();
    }
    let format = format(cli);
    if !format.is_counted() {
        print(&render_shown(cli, format, &selected.program, &diagnostics))?;
        write_reports(cli, &selected.program, &diagnostics)?;
        return Ok(is_fine(&diagnostics));
    }
    report(cli, &selected.program, &diagnostics);
    write_reports(cli, &selected.program, &diagnostics)?;
    if diagnostics.is_empty() {
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
    Ok(is_fine(&diagnostics))
}
