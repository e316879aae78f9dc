//! `imgspec report`

use crate::cli::graph::expect_images;
use crate::cli::place::{cannot_write, folder_of, out, shown};
use crate::cli::report::{expect_unchanged, is_fine, report, view_all};
use crate::cli::select::select;
use crate::cli::{Cli, Failure, Selection, print, print_file};
use crate::emit::{Output, Traced};
use crate::eval::Image;
use crate::report::{Collector, Graph, Page, Row, render_report};
use crate::source::{MAX_DRAWN, MAX_PRINTED, MAX_REPORTED, normalize};
use crate::workspace;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    selection: Selection,
    /// As an HTML page: the only form, and the default
    #[arg(long)]
    html: bool,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ReportArgs {
    /// The folder that the command writes to.
    pub(super) fn writes(&self, here: &Path) -> Vec<PathBuf> {
        folder_of(here, self.out.as_deref())
    }
}

pub(super) fn run(cli: &Cli, args: &ReportArgs) -> Result<bool, Failure> {
    let selected = select(cli, &args.selection)?;
    selected.expect_known()?;
    let output = Output {
        dir: out(&cli.here, None),
        portable: true,
    };
    let count = selected.images.len();
    if count > MAX_REPORTED {
        return Err(Failure(format!(
            "these are {count} images, and a report has {MAX_REPORTED} at most: name some of them, their files or folders"
        )));
    }
    let collector = Collector::default();
    let view = |image: &Image<'_>| (!collector.is_full()).then(|| Traced::new(image));
    let take = |traced: Option<Traced>| traced.map(|traced| collector.take(traced));
    let (rows, findings) = view_all(&selected, &output, view, take);
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    if !is_fine(&findings.shown) {
        report(cli, &selected.program, &findings);
        return Ok(false);
    }
    expect_images(&selected.images)?;
    let program = &selected.program;
    let data = collector.finish(program, &rows).ok_or_else(|| {
        Failure(format!(
            "the values of these images have more than {} MiB: name some of the images, files or folders",
            MAX_PRINTED >> 20
        ))
    })?;
    let whole = Graph::of_layers(program, &selected.images).unwrap_or_default();
    let is_short = whole.nodes.is_empty() || whole.nodes.len() > MAX_DRAWN;
    let graph = if is_short {
        whole.without_images()
    } else {
        whole
    };
    let graph = Some(graph).filter(|graph| graph.nodes.len() <= MAX_DRAWN);
    let graph = graph.unwrap_or_default();
    let root = program.root.as_deref().and_then(Path::file_name);
    let subject = root.map_or_else(|| "images".into(), |name| name.to_string_lossy());
    let text = render_report(&Page {
        subject: &subject,
        graph: &graph,
        is_short,
        data: &data,
        images: rows.len(),
    });
    let Some(out) = &args.out else {
        print_file(&text)?;
        return Ok(true);
    };
    let path = normalize(&cli.here.join(out));
    expect_unchanged(program, &cli.here)?;
    workspace::replace(&path, text.as_bytes()).map_err(|e| cannot_write(&e, &cli.here))?;
    print(&format!("{}\n", shown(&path, &cli.here)))?;
    Ok(true)
}
