//! `imgspec diff`

use crate::cli::states::{self, Compared};
use crate::cli::{Cli, Failure, Format, print};
use crate::diagnostic::json_text;
use crate::review::{markdown, plain};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Diff {
    #[command(flatten)]
    compared: Compared,
    /// Print JSON (docs/json.md)
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown of at most 60,000 characters, for a comment
    #[arg(long)]
    markdown: bool,
    /// Print the images of one state, for the process that compares
    #[arg(long, hide = true)]
    state: bool,
}

pub(super) fn run(cli: &Cli, args: &Diff) -> Result<bool, Failure> {
    if args.state {
        return states::print_own(cli, &args.compared);
    }
    let (review, _) = states::review(cli, &args.compared)?;
    if args.json || cli.bare_format() == Some(Format::Json) {
        print(&json_text(&review))?;
    } else if args.markdown {
        print(&markdown(&review))?;
    } else {
        print(&plain(&review))?;
    }
    Ok(review.is_empty())
}
