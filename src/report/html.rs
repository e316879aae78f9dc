//! The report as one HTML page, which loads nothing. maud escapes every text; the script writes the data as text only.

use crate::reference::{STYLE as COMMON_STYLE, policy};
use crate::report::{Data, Graph, Look, svg};
use crate::source::visible;
use maud::{DOCTYPE, PreEscaped, html};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// What the page is about.
#[derive(Debug)]
pub struct Page<'p> {
    /// The project.
    pub subject: &'p str,
    /// The layers of its images.
    pub graph: &'p Graph,
    /// Whether the graph lacks images, or all, because there are too many.
    pub is_short: bool,
    /// The values.
    pub data: &'p Data,
    /// The number of images.
    pub images: usize,
}

/// Renders the report as an HTML page. The browser itself keeps it from loading anything, and from running anything but its
/// own script.
pub fn render_report(page: &Page<'_>) -> String {
    let style = format!("{COMMON_STYLE}{STYLE}");
    let title = format!("{} – imgspec report", page.subject);
    let count = page.images;
    let plural = if count == 1 { "" } else { "s" };
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(&style, SCRIPT));
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(&style)) }
                script { (PreEscaped(SCRIPT)) }
            }
            body {
                a.skip href="#page-main" { "Skip to the content" }
                header {
                    a href="#report-overview" { "imgspec report" }
                    span { (page.subject) }
                    div #page-finder .needs-js role="search" {
                        input #page-search type="search" role="combobox" autocomplete="off" spellcheck="false"
                            placeholder="Search images, variables, layers, values" aria-label="Search the report"
                            aria-expanded="false" aria-autocomplete="list" aria-controls="page-results";
                        kbd aria-hidden="true" { "/" }
                        ul #page-results role="listbox" aria-label="Results" hidden {}
                    }
                    button #page-theme .needs-js type="button" { "Theme" }
                }
                div.columns {
                    nav aria-label="Images" {
                        h2 { "Images " span #report-count { (count) } }
                        input #report-filter .needs-js type="search" placeholder="Filter" aria-label="Filter the images";
                        ul #report-images {}
                    }
                    main #page-main {
                        section #report-overview {
                            h1 { (page.subject) }
                            p.lead {
                                (count) " image" (plural) ". "
                                "What is extended is to the left of what extends it. A dashed frame is a target or a layer of the library."
                                @if page.is_short { " There are too many images to draw them all." }
                            }
                            noscript { p { "The values need JavaScript. `imgspec show IMAGE` prints them, too." } }
                            div.picture tabindex="0" role="region" aria-label="Layers and images" {
                                (PreEscaped(svg(page.graph, Look::Inside)))
                            }
                        }
                        div #report-view hidden {}
                    }
                }
                script #report-data type="application/json" { (PreEscaped(json_in_html(page.data))) }
            }
        }
    };
    visible(&markup.into_string()).into_owned()
}

/// JSON that ends no element of HTML.
fn json_in_html(data: &Data) -> String {
    let text = serde_json::to_string(data).unwrap_or_default();
    let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
    text.replace('&', "\\u0026")
}
