//! The reference as one HTML page, which loads nothing. maud escapes every text.

use crate::reference::model::*;
use crate::reference::rows::{self, Inline, Row};
use crate::reference::words::{self, Piece, paragraphs, pieces};
use crate::source::visible;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The style of the page, which other pages share.
pub const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The number of parts of a line, from which on the reader must open it.
const LONG: usize = 40;

/// Renders the reference as an HTML page. The browser itself keeps it from loading anything, and from running anything but
/// its own script.
pub fn render_html(reference: &Reference) -> String {
    let page = Page {
        reference,
        fragments: reference.fragments(),
        taken: RefCell::default(),
    };
    let text = page.render().into_string();
    visible(&text).into_owned()
}

struct Page<'r> {
    reference: &'r Reference,
    /// The fragments of all items, so that no link leads nowhere.
    fragments: BTreeSet<String>,
    /// The ids that elements have already: projects may declare a name twice.
    taken: RefCell<BTreeSet<String>>,
}

/// Returns the policy of a page that loads nothing, and has one style and one script: it allows these by their hashes.
pub fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(script)
    )
}

impl Page<'_> {
    fn render(&self) -> Markup {
        let title = format!("{} – imgspec reference", self.reference.subject);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy(STYLE, SCRIPT));
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(STYLE)) }
                    script { (PreEscaped(SCRIPT)) }
                }
                body {
                    a.skip href="#page-main" { "Skip to the content" }
                    header {
                        a href="#page-main" { "imgspec reference" }
                        span { (self.reference.subject) }
                        div #page-finder .needs-js role="search" {
                            input #page-search type="search" role="combobox" autocomplete="off" spellcheck="false"
                                placeholder="Search variables, targets, rules, probes" aria-label="Search the reference"
                                aria-expanded="false" aria-autocomplete="list" aria-controls="page-results";
                            kbd aria-hidden="true" { "/" }
                            ul #page-results role="listbox" aria-label="Results" hidden {}
                        }
                        button #page-theme .needs-js type="button" { "Theme" }
                    }
                    div.columns {
                        nav aria-label="Contents" { (self.contents()) }
                        main #page-main { (self.content()) }
                    }
                }
            }
        }
    }

    /// An id that no element has yet.
    fn id(&self, wanted: String) -> String {
        let mut taken = self.taken.borrow_mut();
        let mut id = wanted.clone();
        let mut count = 1;
        while !taken.insert(id.clone()) {
            count += 1;
            id = format!("{wanted}--{count}");
        }
        id
    }

    // ---- contents -----------------------------------------------------------------------------

    fn contents(&self) -> Markup {
        let reference = self.reference;
        let variables: usize = reference
            .groups
            .iter()
            .map(|group| group.variables.len())
            .sum();
        let targets: usize = reference
            .targets
            .iter()
            .map(|group| group.targets.len())
            .sum();
        let list = |kind: Kind, names: &mut dyn Iterator<Item = &String>| self.names(kind, names);
        html! {
            h2 { a href="#all-variables" { "Variables" } " " span { (variables) } }
            @for group in &reference.groups {
                details {
                    summary { a href={ "#" (group_id(group)) } { (group.name) } " " span { (group.variables.len()) } }
                    (list(Kind::Variable, &mut group.variables.iter().map(|v| &v.name)))
                }
            }
            @if targets > 0 {
                h2 { a href="#all-targets" { "Targets" } " " span { (targets) } }
                @for group in &reference.targets {
                    details {
                        summary { a href={ "#group-targets-" (group.provider) } { (group.provider) } " " span { (group.targets.len()) } }
                        (list(Kind::Target, &mut group.targets.iter().map(|t| &t.name)))
                    }
                }
            }
            @for (title, kind, names) in self.plain_sections() {
                @if !names.is_empty() {
                    h2 { a href={ "#all-" (title.to_lowercase()) } { (title) } " " span { (names.len()) } }
                    details {
                        summary { "Names" }
                        (list(kind, &mut names.into_iter()))
                    }
                }
            }
            h2 { a href="#all-encodings" { "Encodings" } }
            @if !reference.effects.is_empty() { h2 { a href="#all-effects" { "Effects" } } }
        }
    }

    fn plain_sections(&self) -> [(&'static str, Kind, Vec<&String>); 5] {
        let reference = self.reference;
        [
            (
                "Layers",
                Kind::Layer,
                reference.layers.iter().map(|l| &l.name).collect(),
            ),
            (
                "Providers",
                Kind::Provider,
                reference.providers.iter().map(|p| &p.name).collect(),
            ),
            (
                "Rules",
                Kind::Rule,
                reference.rules.iter().map(|r| &r.name).collect(),
            ),
            (
                "Probes",
                Kind::Probe,
                reference.probes.iter().map(|p| &p.name).collect(),
            ),
            (
                "Types",
                Kind::Type,
                reference.types.iter().map(|t| &t.name).collect(),
            ),
        ]
    }

    fn names(&self, kind: Kind, names: &mut dyn Iterator<Item = &String>) -> Markup {
        html! {
            ul {
                @for name in names {
                    li { (self.to(&Link { kind, name: name.clone() })) }
                }
            }
        }
    }

    // ---- the parts ----------------------------------------------------------------------------

    fn content(&self) -> Markup {
        let reference = self.reference;
        html! {
            h1 { (reference.subject) }
            p.lead {
                "Every variable, target, provider, rule, probe and type, as " code { "imgspec" }
                " sees them. What has an effect where is computed as for a build. Press " kbd { "/" } " to search."
            }
            section #all-variables aria-labelledby="all-variables-title" {
                h2 #all-variables-title { "Variables" }
                @for group in &reference.groups { (self.group(group)) }
            }
            @if !reference.targets.is_empty() {
                section #all-targets aria-labelledby="all-targets-title" {
                    h2 #all-targets-title { "Targets" }
                    @for group in &reference.targets {
                        section id={ "group-targets-" (group.provider) } {
                            h3 { (group.provider) }
                            @for target in &group.targets { (self.target(target)) }
                        }
                    }
                }
            }
            (self.section("layers", "Layers", &reference.layers, |layer| self.layer(layer)))
            (self.section("providers", "Providers", &reference.providers, |provider| self.provider(provider)))
            (self.section("rules", "Rules", &reference.rules, |rule| self.rule(rule)))
            (self.section("probes", "Probes", &reference.probes, |probe| self.probe(probe)))
            section #all-types aria-labelledby="all-types-title" {
                h2 #all-types-title { "Types" }
                table {
                    thead { tr { th { "type" } th { "values" } } }
                    tbody {
                        @for (name, about) in words::TYPES { tr { th scope="row" { code { (name) } } td { (self.line(about)) } } }
                    }
                }
                p { "A " code { "?" } " after a type allows a variable to be unset or empty." }
                @for ty in &reference.types { (self.named_type(ty)) }
            }
            section #all-encodings aria-labelledby="all-encodings-title" {
                h2 #all-encodings-title { "Encodings" }
                p { "Packer knows only strings. The encoding of a variable is the form of its value in that string." }
                table {
                    thead { tr { th { "encoding" } th { "form" } } }
                    tbody {
                        @for encoding in words::ENCODINGS {
                            tr {
                                th scope="row" { code { (encoding.as_str()) } }
                                td { (self.line(words::about_encoding(encoding))) }
                            }
                        }
                    }
                }
            }
            @if !reference.effects.is_empty() {
                section #all-effects aria-labelledby="all-effects-title" {
                    h2 #all-effects-title { "Effects" }
                    p { (words::ABOUT_EFFECTS) }
                    @for (at, effect) in reference.effects.iter().enumerate() { (self.effect(at, effect)) }
                }
            }
            footer { p { "Written by " code { "imgspec doc" } " " (env!("CARGO_PKG_VERSION")) "." } }
        }
    }

    fn section<T>(
        &self,
        id: &str,
        title: &str,
        items: &[T],
        render: impl Fn(&T) -> Markup,
    ) -> Markup {
        html! {
            @if !items.is_empty() {
                section id={ "all-" (id) } aria-labelledby={ "all-" (id) "-title" } {
                    h2 id={ "all-" (id) "-title" } { (title) }
                    @for item in items { (render(item)) }
                }
            }
        }
    }

    fn group(&self, group: &Group) -> Markup {
        html! {
            section id=(self.id(group_id(group))) {
                h3 { (group.name) @if group.is_own { span.badge { "this project" } } }
                @if let Some(about) = &group.about { p.lead { (self.line(about)) } }
                @for variable in &group.variables { (self.variable(variable)) }
            }
        }
    }

    /// An article: its heading is a link to itself.
    fn article(
        &self,
        kind: Kind,
        name: &str,
        beside: Markup,
        doc: Option<&str>,
        rest: Markup,
    ) -> Markup {
        let link = Link {
            kind,
            name: name.to_owned(),
        };
        let id = self.id(link.fragment());
        html! {
            article id=(id) data-kind=(kind.as_str()) {
                h4 { a href={ "#" (id) } { code { (name) } } (beside) }
                @for paragraph in doc.map(paragraphs).unwrap_or_default() { p { (self.line(&paragraph)) } }
                (rest)
            }
        }
    }

    fn variable(&self, variable: &Variable) -> Markup {
        let beside = html! {
            @if variable.removed.is_none() { code { (variable.ty) } }
            @for badge in rows::badges(variable) { span class={ "badge " (badge) } { (badge) } }
        };
        // The heading has the type already.
        let mut rows = rows::of_variable(self.reference, variable);
        rows.retain(|(label, lines)| *label != "Type" || lines.iter().any(|line| line.len() > 1));
        let rest = html! {
            (self.rows(rows))
            @if let Some(example) = &variable.example { pre { code { (example.trim_end()) } } }
        };
        self.article(
            Kind::Variable,
            &variable.name,
            beside,
            variable.doc.as_deref(),
            rest,
        )
    }

    fn target(&self, target: &Target) -> Markup {
        let beside = html! { @if target.is_own { span.badge { "this project" } } };
        let rest = html! {
            (self.rows(rows::of_target(target)))
            @for settings in &target.settings {
                (self.settings(&settings.settings, Some(&settings.of)))
            }
        };
        self.article(
            Kind::Target,
            &target.name,
            beside,
            target.doc.as_deref(),
            rest,
        )
    }

    fn layer(&self, layer: &Layer) -> Markup {
        let rest = html! {
            (self.rows(rows::of_layer(layer)))
            (self.settings(&layer.settings, None))
        };
        self.article(
            Kind::Layer,
            &layer.name,
            html! {},
            layer.doc.as_deref(),
            rest,
        )
    }

    fn provider(&self, provider: &Provider) -> Markup {
        let rest = html! {
            (self.rows(rows::of_provider(provider)))
            (self.settings(&provider.defaults, None))
        };
        self.article(
            Kind::Provider,
            &provider.name,
            html! {},
            provider.doc.as_deref(),
            rest,
        )
    }

    fn rule(&self, rule: &Rule) -> Markup {
        let badge = if rule.is_deny { "error" } else { "warning" };
        let beside = html! { span class={ "badge " (badge) } { (badge) } };
        let rest = self.rows(rows::of_rule(rule));
        self.article(Kind::Rule, &rule.name, beside, rule.doc.as_deref(), rest)
    }

    fn probe(&self, probe: &Probe) -> Markup {
        let rest = self.rows(rows::of_probe(probe));
        let doc = probe.doc.as_deref();
        self.article(Kind::Probe, &probe.name, html! {}, doc, rest)
    }

    fn named_type(&self, ty: &NamedType) -> Markup {
        let rest = self.rows(rows::of_type(ty));
        self.article(Kind::Type, &ty.name, html! {}, ty.doc.as_deref(), rest)
    }

    fn effect(&self, at: usize, effect: &Effect) -> Markup {
        html! {
            section id={ "effect-" (at + 1) } {
                @if effect.rows.is_empty() { p { "No target." } } @else {
                    div.scroll {
                        table.effect {
                            caption { (self.place(&effect.summary)) }
                            thead { tr { th { "provider" } @for column in &self.reference.columns { th { (column) } } } }
                            tbody {
                                @for row in &effect.rows {
                                    tr {
                                        th scope="row" { (self.to(&Link { kind: Kind::Provider, name: row.provider.clone() })) }
                                        @for cell in &row.cells { td class=[class(cell)] { (cell.in_words()) } }
                                    }
                                }
                            }
                        }
                    }
                }
                @for row in effect.rows.iter().filter(|row| !row.names.is_empty()) {
                    p {
                        (if row.is_exception { "All but these of " } else { "Only these of " })
                        code { (row.provider) } ": "
                        @for (at, name) in row.names.iter().enumerate() {
                            @if at > 0 { ", " }
                            (self.to(&Link { kind: Kind::Target, name: name.clone() }))
                        }
                        "."
                    }
                }
                @if !effect.rows.is_empty() && !effect.without.is_empty() {
                    p.lead { (self.line(&words::without(&effect.without))) }
                }
            }
        }
    }

    // ---- pieces -------------------------------------------------------------------------------

    fn rows(&self, rows: Vec<Row>) -> Markup {
        html! {
            dl {
                @for (label, lines) in &rows {
                    dt { (label) }
                    dd {
                        @if let [line] = lines.as_slice() { (self.inline_or_closed(line)) }
                        @else { @for line in lines { div { (self.inline(line)) } } }
                    }
                }
            }
        }
    }

    /// A long list is closed at first.
    fn inline_or_closed(&self, line: &[Inline]) -> Markup {
        let count = line
            .iter()
            .filter(|part| matches!(part, Inline::To(_)))
            .count();
        html! {
            @if line.len() > LONG { details { summary { (count) " items" } (self.inline(line)) } }
            @else { (self.inline(line)) }
        }
    }

    fn inline(&self, line: &[Inline]) -> Markup {
        html! {
            @for part in line {
                @match part {
                    Inline::Text(text) => (self.line(text)),
                    Inline::Where(text) => (self.place(text)),
                    Inline::Code(text) => (code(text)),
                    Inline::To(link) => (self.to(link)),
                    Inline::Effect(at) => { a href={ "#effect-" (at + 1) } { "table" } },
                }
            }
        }
    }

    /// Words with code in backquotes; a variable's name there is a link.
    fn line(&self, text: &str) -> Markup {
        html! {
            @for piece in pieces(text) {
                @match piece {
                    Piece::Text(text) => (text),
                    Piece::Code(name) => {
                        @if self.fragments.contains(name) { a href={ "#" (name) } { code { (name) } } }
                        @else { code { (name) } }
                    },
                }
            }
        }
    }

    /// The summary of an effect, with links to providers and facts.
    fn place(&self, text: &str) -> Markup {
        html! {
            @for piece in pieces(text) {
                @match piece {
                    Piece::Text(text) => (text),
                    Piece::Code(name) => {
                        @let provider = Link { kind: Kind::Provider, name: name.to_owned() };
                        @if self.fragments.contains(&provider.fragment()) { (self.to(&provider)) }
                        @else { (self.line(&format!("`{name}`"))) }
                    },
                }
            }
        }
    }

    /// The name of an item, as a link if the page has it.
    fn to(&self, link: &Link) -> Markup {
        let fragment = link.fragment();
        html! {
            @if self.fragments.contains(&fragment) { a href={ "#" (fragment) } { code { (link.name) } } }
            @else { code { (link.name) } }
        }
    }

    fn settings(&self, settings: &[Setting], of: Option<&String>) -> Markup {
        let id = of.map(|of| {
            let link = Link {
                kind: Kind::Layer,
                name: of.clone(),
            };
            link.fragment()
        });
        let id = id
            .filter(|id| self.fragments.contains(id))
            .map(|id| self.id(id));
        html! {
            @if !settings.is_empty() {
                table.settings id=[id] {
                    @if let Some(of) = of { caption { "Set by " code { (of) } } }
                    tbody {
                        @for setting in settings {
                            tr {
                                th scope="row" { (self.to(&Link { kind: Kind::Variable, name: setting.name.clone() })) }
                                td {
                                    @match setting.change {
                                        "=" => {},
                                        change => { (change) " " },
                                    }
                                    code { (setting.value) }
                                    @if let Some(when) = &setting.when { " " i { "when " code { (when) } } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn class(cell: &Cell) -> Option<&'static str> {
    match cell {
        Cell { of: 0, .. } => None,
        Cell { with: 0, .. } => Some("none"),
        Cell { with, of } if with == of => Some("all"),
        _ => Some("some"),
    }
}

fn code(text: &str) -> Markup {
    html! {
        @if text.contains('\n') { code.lines { (text) } } @else { code { (text) } }
    }
}

/// The id of a group. The project's groups have their own.
fn group_id(group: &Group) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    let name: String = group.name.chars().map(plain).collect();
    let own = if group.is_own { "project-" } else { "" };
    format!("group-{own}{name}")
}
