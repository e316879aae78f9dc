//! `imgspec explain`

use crate::cli::sandbox::confine;
use crate::cli::select::select;
use crate::cli::{Cli, Failure, Selection, print};
use crate::diagnostic::{Code, nearest, page};
use crate::project::hir::*;
use crate::project::{Program, place_in_checkout};
use crate::reference::{Found, item_docs, search};
use crate::schema::{Base, Receivers};
use crate::source::Span;
use crate::syntax::print_text;
use clap::Args;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A diagnostic code such as unknown-variable, a variable, a rule, a probe, a target, a layer, a provider or a type; or
    /// words to search for
    #[arg(value_name = "NAME|WORD", required = true)]
    words: Vec<String>,
}

/// The number of matches that a search prints.
const MOST: usize = 20;

pub(super) fn run(cli: &Cli, args: &Explain) -> Result<bool, Failure> {
    let wanted = args.words.join(" ");
    if let Some(code) = Code::parse(&wanted) {
        confine(cli, Vec::new(), Vec::new())?;
        print(page(code))?;
        return Ok(true);
    }
    let selected = select(cli, &Selection::default())?;
    let program = &selected.program;
    let slice = |expr: &Expr| program.sources.shown_slice(expr.span).to_owned();
    let mut out = String::new();
    let declared = program
        .variables
        .iter()
        .find(|v| v.name == wanted && v.is_declared());
    if let Some(variable) = declared {
        let _ = writeln!(out, "{} : {}", variable.name, variable.ty);
        if let Some(doc) = &variable.doc {
            let _ = writeln!(out, "\n{doc}");
        }
        out.push('\n');
        let is_for_packer = variable.to.has(Receivers::PACKER);
        if let Some(default) = &variable.default {
            let _ = writeln!(out, "default    {}", slice(default));
            if let ExprKind::Const(value) = &default.kind
                && !program.sources.is_hidden(default.span)
                && is_for_packer
            {
                let _ = writeln!(
                    out,
                    "in Packer  {:?}",
                    crate::cli::show::encoded(value, variable)
                );
            }
        }
        if let Some(real) = variable.alias_of() {
            let _ = writeln!(out, "deprecated name of {}", program.variable(real).name);
        }
        if is_for_packer {
            let _ = writeln!(out, "encoding   {}", variable.encoding.as_str());
        }
        let _ = writeln!(out, "read by    {}", variable.to.names().join(", "));
        if let Some(applies) = &variable.applies {
            let _ = writeln!(out, "applies    if {}", slice(applies));
        }
        for (word, is) in [
            ("a fact", variable.is_fact),
            ("a secret", variable.is_secret),
        ] {
            if is {
                let _ = writeln!(out, "it is      {word}");
            }
        }
        push_place(program, variable.span, &mut out);
        print(&out)?;
        return Ok(true);
    }
    if let Some(rule) = program.rules.iter().find(|r| r.name == wanted) {
        let word = if rule.is_deny { "deny" } else { "warn" };
        let _ = writeln!(out, "rule {}\n", rule.name);
        let _ = writeln!(out, "{word} = {}", slice(&rule.condition));
        let _ = writeln!(out, "message = {}", slice(&rule.message));
        if let Some(help) = &rule.help {
            let _ = writeln!(out, "help = {}", slice(help));
        }
        print(&out)?;
        return Ok(true);
    }
    if let Some(probe) = program.probes.iter().find(|p| p.name == wanted) {
        start("probe", &probe.name, probe.doc.as_deref(), &mut out);
        if let Some(applies) = &probe.applies {
            let _ = writeln!(out, "applies = {}", slice(applies));
        }
        if let Some(script) = &probe.script {
            let _ = writeln!(out, "script = {}", slice(script));
        }
        match &probe.script {
            Some(script) if script.span == probe.words.span => {}
            Some(_) => {
                let _ = writeln!(out, "arguments = {}", slice(&probe.words));
            }
            None => {
                let _ = writeln!(out, "run = {}", slice(&probe.words));
            }
        }
        if let Some(files) = &probe.files {
            let _ = writeln!(out, "files = {}", slice(files));
        }
        if !probe.tools.is_empty() {
            let tools: Vec<String> = probe.tools.iter().map(|tool| print_text(tool)).collect();
            let _ = writeln!(out, "tools = [{}]", tools.join(", "));
        }
        if let Some(output) = &probe.output {
            let _ = writeln!(out, "output = {}", slice(output));
        }
        if probe.boots {
            let _ = writeln!(out, "boots = true");
        }
        out.push('\n');
        push_place(program, probe.span, &mut out);
        print(&out)?;
        return Ok(true);
    }
    if explain_section(program, &selected.images, &wanted, &mut out)
        || explain_provider(program, &wanted, &mut out)
        || explain_type(program, &wanted, &mut out)
    {
        print(&out)?;
        return Ok(true);
    }
    let found = search(program, &wanted);
    if found.is_empty() {
        let names = Code::ALL
            .iter()
            .map(|c| c.as_str())
            .chain(program.variables.iter().map(|v| v.name.as_str()))
            .chain(program.rules.iter().map(|r| r.name.as_str()))
            .chain(program.probes.iter().map(|p| p.name.as_str()))
            .chain(program.sections.iter().map(|s| s.name.as_str()));
        let hint = nearest(&wanted, names)
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(Failure(format!(
            "no item has the name `{wanted}` or mentions it{hint}"
        )));
    }
    print_found(&wanted, &found)?;
    Ok(true)
}

/// Prints the best matches of a search, one on each line.
fn print_found(wanted: &str, found: &[Found]) -> Result<(), Failure> {
    let mut out = format!("no item has the name `{wanted}`; these mention it:\n\n");
    let shown = || found.iter().take(MOST);
    let width = shown()
        .map(|f| f.item.name.len())
        .max()
        .unwrap_or(0)
        .min(crate::source::MAX_SHOWN);
    for Found { item, summary } in shown() {
        let line = format!(
            "  {:8}  {:width$}  {summary}",
            item.kind.as_str(),
            item.name
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if let Some(more) = found.len().checked_sub(MOST).filter(|more| *more > 0) {
        let _ = writeln!(out, "\nand {more} more: add a word");
    }
    out.push_str("\n`imgspec explain NAME` explains one of them\n");
    print(&out)
}

/// Writes the first lines about an item: its kind, name and documentation.
fn start(kind: &str, name: &str, doc: Option<&str>, out: &mut String) {
    let _ = writeln!(out, "{kind} {name}");
    if let Some(doc) = doc {
        let _ = writeln!(out, "\n{doc}");
    }
    out.push('\n');
}

fn push_place(program: &Program, span: Span, out: &mut String) {
    let place = place_in_checkout(program, span);
    let at = program.sources.position(place.file, place.start);
    let name = program.sources.name(place.file);
    let _ = writeln!(out, "declared   {name}:{}", at.line);
}

/// Explains an image or a layer. Returns false if none has the name.
fn explain_section(program: &Program, images: &[SectionId], name: &str, out: &mut String) -> bool {
    let is_it = |section: &&Section| {
        let is_explained = matches!(
            section.kind,
            LayerKind::Image | LayerKind::Layer | LayerKind::Matrix
        );
        section.name == name && is_explained
    };
    let Some(section) = program.sections.iter().find(is_it) else {
        return false;
    };
    let is_image = section.kind == LayerKind::Image;
    let kind = match section.kind {
        LayerKind::Image => "image",
        LayerKind::Matrix => "matrix",
        _ => "layer",
    };
    start(kind, name, section.doc.as_deref(), out);
    if let Some(target) = &section.target {
        let provider = &program.provider(target.provider).name;
        let _ = writeln!(out, "provider   {provider}");
    }
    let parents = section.extends.iter();
    let parents: Vec<&str> = parents
        .map(|(id, _)| program.section(*id).name.as_str())
        .collect();
    if !parents.is_empty() {
        let _ = writeln!(out, "extends    {}", parents.join(", "));
    }
    let users = program.users_of(name, images).unwrap_or_default().len();
    let is_own = program.sources.is_users(section.span.file);
    let lists = format!("`imgspec list --using {name}` lists");
    match users {
        0 if is_own && !is_image => out.push_str("used by    no image\n"),
        0 => {}
        1 => {
            let _ = writeln!(out, "used by    1 image: {lists} it");
        }
        _ => {
            let _ = writeln!(out, "used by    {users} images: {lists} them");
        }
    }
    push_place(program, section.span, out);
    if is_image {
        let _ = writeln!(out, "values     `imgspec show {name}` prints them");
    }
    true
}

/// Explains a provider. Returns false if none has the name.
fn explain_provider(program: &Program, name: &str, out: &mut String) -> bool {
    let Some(provider) = program.providers.iter().find(|p| p.name == name) else {
        return false;
    };
    start("provider", name, provider.doc.as_deref(), out);
    let _ = writeln!(out, "template   {}", provider.template);
    let _ = writeln!(out, "playbook   {}", provider.playbook.as_str());
    if !provider.tools.is_empty() {
        let _ = writeln!(out, "programs   {}", provider.tools.join(", "));
    }
    push_place(program, provider.span, out);
    let _ = writeln!(out, "targets    `imgspec targets {name}` lists them");
    true
}

/// Explains a named type. Returns false if none has the name.
fn explain_type(program: &Program, name: &str, out: &mut String) -> bool {
    let own = program.views.values().map(|view| &view.names.types);
    let mut all = std::iter::once(&program.library.types).chain(own);
    let Some((ty, span)) = all.find_map(|types| types.get(name)) else {
        return false;
    };
    start(
        "type",
        name,
        item_docs(program).get(span).map(String::as_str),
        out,
    );
    match &ty.base {
        Base::Refined(refinement) => {
            let _ = writeln!(out, "pattern    {}", refinement.pattern);
        }
        _ => {
            let _ = writeln!(out, "values     {}", ty.in_words());
        }
    }
    push_place(program, *span, out);
    true
}
