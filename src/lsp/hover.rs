//! Hover: the documentation of a name, and its value in the image around it.

use crate::diagnostic::{Code, Severity, summary};
use crate::emit::emit;
use crate::eval::{Image, evaluate};
use crate::lsp::index::Sort;
use crate::lsp::manual::{paragraph, row};
use crate::lsp::marked::{Parsed, path_to};
use crate::lsp::navigation::Named;
use crate::lsp::workspace::output;
use crate::project::hir::*;
use crate::project::hir::{PROBES, RULES};
use crate::project::{Program, find_include};
use crate::schema::{Type, print_start};
use crate::source::{Disk, FileId, Loader, MAX_SHOWN, Span, part};
use crate::syntax::{self, Kind, Node, ast};
use std::fmt::Write;

/// The documentation of a name in a file, as Markdown. `section` is the layer or image around it.
pub(super) fn describe(
    program: &Program,
    file: FileId,
    named: Named<'_>,
    section: Option<&str>,
) -> Option<String> {
    match named {
        Named::Variable(name) => {
            let id = program.find_variable(Some(file), name)?;
            let section = section.and_then(|name| program.find_section(file, name));
            Some(describe_variable(program, id, section))
        }
        Named::Entry(owner, name) => {
            let id = find_entry(program, file, owner, name)?;
            let section = section.and_then(|name| program.find_section(file, name));
            Some(describe_variable(program, id, section))
        }
        Named::Rule(name) => {
            let (id, _) = program.visible(file).find(RULES, name)?;
            Some(describe_rule(program, *id))
        }
        Named::Code(code) => Some(describe_code(code)),
        Named::Probe(name) => {
            let (id, _) = program.visible(file).find(PROBES, name)?;
            let doc = program.probes.find(*id)?.doc.as_deref().unwrap_or_default();
            Some(format!("```imgspec\nprobe {name}\n```\n\n{doc}\n"))
        }
        Named::Section(name) => program
            .find_section(file, name)
            .map(|id| describe_section(program, id)),
        Named::Provider(name) => {
            let provider = program.provider(program.find_provider(file, name)?);
            let doc = provider.doc.as_deref().unwrap_or_default();
            Some(format!(
                "```imgspec\nprovider {name}\n```\n\n{doc}\n\nTemplate: `{}`",
                provider.template
            ))
        }
        Named::Function(function) => Some(format!(
            "```imgspec\n{}\n```\n\n{}",
            function.signature(),
            function.doc()
        )),
        Named::Type(name) => describe_type(program, file, name),
        Named::Include(target) => describe_include(program, file, target),
    }
}

fn describe_type(program: &Program, file: FileId, name: &str) -> Option<String> {
    let Some((ty, span)) = program.find_type(file, name) else {
        return Type::builtin(name).and_then(|_| row("type", name));
    };
    let line = part(&program.sources.get(span.file).text, span.start as usize..)
        .lines()
        .next()
        .unwrap_or_default();
    let written = if line.contains('=') {
        line.to_owned()
    } else {
        format!("{name} = {ty}")
    };
    Some(format!("```imgspec\ntype {written}\n```"))
}

/// The variable of an entry: a declared one, or one that has only entries.
pub(super) fn find_entry(
    program: &Program,
    file: FileId,
    owner: Owner,
    name: &str,
) -> Option<VarId> {
    let of_entries = || {
        let mut all = program.variables.pairs();
        let is_it = |variable: &Variable| variable.extra() == Some(owner) && variable.name == name;
        all.find(|(_, variable)| is_it(variable)).map(|(id, _)| id)
    };
    program.find_variable(Some(file), name).or_else(of_entries)
}

/// The documentation of a variable, and its value in a layer or image.
pub(super) fn describe_variable(
    program: &Program,
    id: VarId,
    section: Option<SectionId>,
) -> String {
    let variable = program.variable(id);
    let name = &variable.name;
    let mut out = match variable.extra() {
        Some(Owner::Ansible) => format!("```imgspec\nansible {{ {name} = … }}"),
        Some(Owner::Packer) => format!("```imgspec\npacker {{ {name} = … }}"),
        None => format!("```imgspec\nvariable {name} : {}", variable.ty),
    };
    if let Some(default) = &variable.default {
        let _ = write!(out, " = {}", program.sources.shown_slice(default.span));
    }
    out.push_str("\n```\n");
    if let Some(real) = variable.alias_of() {
        let _ = write!(
            out,
            "\nDeprecated name of `{}`.\n",
            program.variable(real).name
        );
    }
    if let Some(doc) = &variable.doc {
        let _ = write!(out, "\n{doc}\n");
    }
    let receivers = variable.to.names().join(", ");
    let receivers = if receivers.is_empty() {
        "none"
    } else {
        &receivers
    };
    let _ = write!(out, "\nReceivers: {receivers}.");
    if let Some(applies) = &variable.applies {
        let _ = write!(
            out,
            " Applies if `{}`.",
            program.sources.slice(applies.span)
        );
    }
    out.push('\n');
    if let Some(value) = section.and_then(|section| effective_value(program, section, id)) {
        out.push_str(&value);
    }
    out
}

fn describe_code(code: Code) -> String {
    let severity = code.severity();
    let summary = summary(code);
    format!(
        "```imgspec\n{code}\n```\n\n{summary}\n\nThis is {} {severity}. `imgspec explain {code}` prints more.\n",
        if severity == Severity::Error {
            "an"
        } else {
            "a"
        },
    )
}

fn describe_rule(program: &Program, id: RuleId) -> String {
    let Some(rule) = program.rules.find(id) else {
        return String::new();
    };
    let word = if rule.is_deny { "deny" } else { "warn" };
    let shown = |span: Span| program.sources.shown_slice(span).to_owned();
    let mut out = format!(
        "```imgspec\nrule {} {{\n    {word} = {}\n    message = {}\n",
        rule.name,
        shown(rule.condition.span),
        shown(rule.message.span)
    );
    if let Some(help) = &rule.help {
        let _ = writeln!(out, "    help = {}", shown(help.span));
    }
    out.push_str("}\n```\n");
    out
}

/// The most names of a kind that the hover over an include lists.
const MOST_NAMES: usize = 8;

/// What an include brings.
fn describe_include(program: &Program, file: FileId, target: &str) -> Option<String> {
    let own = &program.sources.get(file).path;
    let path = find_include(own, target, |path| Disk.exists(path));
    let (id, source) = program
        .sources
        .iter()
        .find(|(_, source)| source.path == path)?;
    let listed = |names: Vec<&str>| {
        let shown: Vec<String> = names
            .iter()
            .take(MOST_NAMES)
            .map(|name| format!("`{name}`"))
            .collect();
        match names.len().saturating_sub(MOST_NAMES) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    if path.extension().is_some_and(|e| e == "json") {
        let mut sections = program.sections.iter();
        let is_it = |section: &&Section| {
            let first = section.settings.first();
            section.kind == LayerKind::Json && first.is_some_and(|s| s.name_span.file == id)
        };
        let settings = sections.find(is_it).map_or(&[][..], |s| &s.settings);
        let names = settings
            .iter()
            .map(|s| program.variable(s.variable).name.as_str());
        let names = listed(names.collect());
        return Some(if names.is_empty() {
            "Sets nothing.\n".to_owned()
        } else {
            format!("Sets {names}.\n")
        });
    }
    let ast = syntax::parse(id, &source.text).file;
    let mut out = String::new();
    for sort in Sort::ALL {
        let items = ast.items.iter().filter(|item| Sort::of(item) == Some(sort));
        let names: Vec<&str> = items
            .filter_map(|item| match item {
                ast::Item::Include(include) => include.name.as_ref(),
                item => item.name(),
            })
            .map(|name| name.text.as_str())
            .collect();
        if !names.is_empty() {
            let _ = writeln!(out, "- {} {}", sort.word(), listed(names));
        }
    }
    let included = ast.includes().map(|include| include.path.text.as_str());
    let included = listed(included.collect());
    if !included.is_empty() {
        let _ = writeln!(out, "- include {included}");
    }
    Some(if out.is_empty() {
        "Declares nothing.\n".to_owned()
    } else {
        format!("Brings:\n\n{out}")
    })
}

/// What the manual says about the word at an offset that is not a name, with its place.
pub(super) fn describe_word(spec: &Parsed<'_>, offset: usize) -> Option<(String, u32, u32)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let at_word = part(spec.text, offset..).starts_with(|c| is_word(c) || "+-".contains(c));
    let (start, end) = if at_word {
        (offset, offset + 1)
    } else {
        (offset.saturating_sub(1), offset)
    };
    let path: Vec<Node> = path_to(spec.tree, start, end)
        .into_iter()
        .map(|at| spec.tree.node(at))
        .collect();
    let (leaf, above) = path.split_last()?;
    let text = |node: &Node| part(spec.text, node.start as usize..node.end as usize);
    let first_word = |node: &Node| {
        let text = text(node);
        let len = text.find(|c| !is_word(c)).unwrap_or(text.len());
        let word = Node {
            end: node.start + len as u32,
            ..*node
        };
        (end <= word.end as usize).then(|| (part(text, ..len).to_owned(), word))
    };
    let about = |title: &str, (word, node): (String, Node)| {
        Some((row(title, &word)?, node.start, node.end))
    };
    match leaf.kind {
        Kind::section_kind | Kind::include | Kind::type_decl | Kind::variable => {
            about("item", first_word(leaf)?)
        }
        Kind::extends => {
            let (_, node) = first_word(leaf)?;
            Some((paragraph("Ancestors are ordered")?, node.start, node.end))
        }
        Kind::final_ | Kind::unset | Kind::when | Kind::axis => {
            about("statement", first_word(leaf)?)
        }
        Kind::append | Kind::remove => about("statement", (text(leaf).to_owned(), *leaf)),
        Kind::if_ => about("expression", first_word(leaf)?),
        Kind::then_ | Kind::else_ | Kind::not_ | Kind::infix => about(
            "expression",
            (text(leaf).split(' ').next()?.to_owned(), *leaf),
        ),
        Kind::name => {
            let word = (text(leaf).to_owned(), *leaf);
            let parent = above.last()?;
            let is_first = parent.start == leaf.start;
            let owner = owner_of(above, &text)?;
            match parent.kind {
                Kind::nested if is_first => match word.0.as_str() {
                    "run" => about("attribute of a target", word),
                    "defaults" => about("attribute of a provider", word),
                    _ => about("statement", word),
                },
                Kind::set if is_first => about(&format!("attribute of a {owner}"), word),
                _ if above.iter().any(|node| node.kind == Kind::set) => about("encoding", word),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The keyword of what has the settings of the innermost body: `variable`, `provider`, `target`, `image` and others.
fn owner_of<'t>(path: &[Node], text: &impl Fn(&Node) -> &'t str) -> Option<&'t str> {
    let nodes = path.iter().rev();
    let mut inner = nodes.skip_while(|node| node.kind != Kind::block);
    let owner =
        inner.find(|node| matches!(node.kind, Kind::section | Kind::variable | Kind::nested))?;
    let word = text(owner)
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()?;
    Some(if word == "run" { "target" } else { word })
}

/// The value of a variable in an image, and its receivers there.
fn effective_value(program: &Program, section: SectionId, id: VarId) -> Option<String> {
    let image = evaluate(program, section, None).ok()?;
    let name = program.section(section).name.as_str();
    let artifacts = emit(&image, &output());
    let variable = program.variable(id);
    let value = match image.value(id) {
        Some(_) if crate::emit::is_literal_secret(&image, id) => "a secret".to_owned(),
        Some(value) => format!("`{}`", print_start(value, MAX_SHOWN)),
        None => "unset".to_owned(),
    };
    let mut out = format!("\nIn `{name}`: {value}");
    if let Some(active) = image.winner(id) {
        let _ = write!(out, ", set by `{}`", image.layer_name(active.layer));
    }
    let routes = artifacts.routes.get(variable.name.as_str());
    let readers = routes.map_or_else(
        || indirect_readers(&image, id),
        |ways| ways.words().join("; "),
    );
    let _ = writeln!(out, ". Read by: {readers}.");
    Some(out)
}

/// What reads a variable that no receiver gets: conditions, other values and rules.
fn indirect_readers(image: &Image<'_>, id: VarId) -> String {
    let program = image.program;
    let names = |expr: &Expr| {
        let mut found = false;
        expr.for_each_variable(&mut |other| found |= other == id);
        found
    };
    let mut out: Vec<String> = Vec::new();
    let layers = linearize(&program.sections, image.section);
    let mut conditions = layers
        .iter()
        .flat_map(|layer| &program.section(*layer).conditions);
    let applies = || {
        let ids = image.ids().iter();
        let mut applies = ids.filter_map(|id| program.variable(*id).applies.as_ref());
        applies.any(names)
    };
    if conditions.any(|condition| names(&condition.expr)) || applies() {
        out.push("conditions".to_owned());
    }
    let readers = image
        .ids()
        .iter()
        .filter(|other| **other != id && image.dependencies(**other).contains(&id));
    let values: Vec<String> = readers
        .take(MOST_NAMES)
        .map(|other| format!("`{}`", program.variable(*other).name))
        .collect();
    if !values.is_empty() {
        out.push(format!("the value of {}", values.join(", ")));
    }
    let rules = program.rules_for(program.section(image.section).span.file);
    let rules = rules.iter().filter_map(|rule| program.rules.find(*rule));
    let rules: Vec<String> = rules
        .filter(|rule| names(&rule.condition))
        .take(MOST_NAMES)
        .map(|rule| format!("`{}`", rule.name))
        .collect();
    if !rules.is_empty() {
        out.push(format!("the rule {}", rules.join(", ")));
    }
    if out.is_empty() {
        "nothing on this target".to_owned()
    } else {
        out.join("; ")
    }
}

fn describe_section(program: &Program, id: SectionId) -> String {
    let section = program.section(id);
    let word = match section.kind {
        LayerKind::Image => "image",
        LayerKind::Matrix => "matrix",
        _ => "layer",
    };
    let parents: Vec<&str> = section
        .extends
        .iter()
        .map(|(p, _)| program.section(*p).name.as_str())
        .collect();
    let extends = if parents.is_empty() {
        String::new()
    } else {
        format!(" extends {}", parents.join(", "))
    };
    let mut out = format!("```imgspec\n{word} {}{extends}\n```\n", section.name);
    if let Some(doc) = &section.doc {
        let _ = write!(out, "\n{doc}\n");
    }
    let count = section.settings.len();
    let _ = write!(
        out,
        "\nSets {count} value{} itself.\n",
        if count == 1 { "" } else { "s" }
    );
    out
}
