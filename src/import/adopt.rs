//! Conversion of a checkout to a library of specs.

use crate::import::checkout::{Checkout, Entry, Target};
use crate::import::infer::{Declaration, infer};
use crate::import::names::{LibraryNames, SHARED, file_of};
use crate::import::print::{spell_heredoc, spell_template, spell_value};
use crate::import::rederive::find_derived;
use crate::import::template_facts::{TemplateFacts, find_slots};
use crate::import::versions::find_versions;
use crate::project::hir::Variable;
use crate::project::{Edition, Library, Program, Request, load};
use crate::schema::{Base, Encoding, Roles, Text, Value, compile, decode};
use crate::source::visible_line;
use crate::source::{Memory, Release};
use crate::syntax::{format, print_text};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

/// The beginning of every spec of an adopted library, whatever version of the program wrote it.
pub const ADOPTED_MARK: &str = "# Written by `imgspec adopt`";

/// The first line of every spec of an adopted library.
const ADOPTED: &str =
    "# Written by `imgspec adopt`. `imgspec adopt --check` lists what has changed since.\n";

/// Converts a checkout to a library, and returns its files by their paths. The same checkout gives the same files. Types,
/// documentation and rules come from a release: this one, or the one that has most of the checkout's variables.
pub fn adopt(checkout: &Checkout, release: Option<Release>) -> BTreeMap<PathBuf, String> {
    let library = match release {
        Some(release) => read_library(release),
        None => nearest_library(checkout),
    };
    let templates: BTreeMap<&str, TemplateFacts> = checkout
        .templates
        .iter()
        .map(|(path, text)| (path.as_str(), TemplateFacts::read(text)))
        .collect();
    let arguments = templates
        .values()
        .flat_map(|t| t.arguments.iter().cloned())
        .collect();
    let slots = find_slots(checkout, &templates);
    let declarations = infer(checkout, &library, &slots, &arguments);
    let mut derived = find_versions(checkout, &library, &declarations, &|name| {
        is_plain_text(&declarations, name)
    });
    derived.extend(find_derived(checkout, &library, &declarations));
    let names = LibraryNames::choose(checkout);
    let writer = Writer {
        checkout,
        library: &library,
        declarations,
        derived,
        names,
    };
    let mut out: BTreeMap<PathBuf, String> = BTreeMap::new();
    let release = match library.edition.release {
        release if release == Release::default() => String::new(),
        release => format!("release = \"{release}\"\n"),
    };
    out.insert(
        "imgspec.toml".into(),
        format!("{ADOPTED}library = \".\"\n{release}"),
    );
    out.insert("variables.imgspec".into(), writer.variables());
    out.insert("providers.imgspec".into(), writer.providers());
    for (folder, text) in writer
        .layers()
        .into_iter()
        .chain(writer.targets())
        .chain(writer.refused())
    {
        out.insert(folder, text);
    }
    let is_spec = |path: &PathBuf| path.extension().is_some_and(|e| e == "imgspec");
    out.iter_mut()
        .filter(|(path, _)| is_spec(path))
        .for_each(|(_, text)| *text = format(text));
    out.extend(
        checkout
            .templates
            .iter()
            .map(|(path, text)| (PathBuf::from(path), text.clone())),
    );
    out
}

fn read_library(release: Release) -> Program {
    let edition = Edition {
        release,
        roles: Roles::Native,
    };
    let request = Request {
        library: Some(Library::built_in(edition)),
        ..Request::default()
    };
    load(&Memory::default(), &request)
}

/// Returns the built-in library whose release has most of the checkout's variables; of equal ones, the oldest.
fn nearest_library(checkout: &Checkout) -> Program {
    let names = checkout.names();
    let mut best: Option<(usize, Program)> = None;
    for release in Release::all() {
        let library = read_library(release);
        let is_declared = |name: &&String| {
            let id = library.find_variable(None, name);
            id.is_some_and(|id| library.variable(id).removed().is_none())
        };
        let count = names.iter().filter(is_declared).count();
        if best.as_ref().is_none_or(|(most, _)| count > *most) {
            best = Some((count, library));
        }
    }
    best.map_or_else(|| read_library(Release::default()), |(_, library)| library)
}

struct Writer<'c> {
    checkout: &'c Checkout,
    library: &'c Program,
    declarations: BTreeMap<String, Declaration>,
    derived: BTreeMap<(String, String), String>,
    names: LibraryNames,
}

impl Writer<'_> {
    // ---- variables ----------------------------------------------------------------------------

    fn variables(&self) -> String {
        let mut out = format!("{ADOPTED}\n# Facts that Image Builder itself does not set.\n");
        for fact in self.own_facts() {
            write_doc(&mut out, fact.doc.as_deref());
            let _ = write!(out, "variable {} : {}", fact.name, fact.ty);
            if let Some(default) = &fact.default {
                let _ = write!(out, " = {}", self.library.sources.slice(default.span));
            }
            out.push_str(" { fact = true, to = [] }\n");
        }
        out.push_str(
            "\n# Variables, all without defaults: layers and providers set their values.\n",
        );
        for (name, declaration) in &self.declarations {
            self.write_variable(&mut out, name, declaration);
        }
        out
    }

    /// Returns the standard library's facts that the checkout has no variable for.
    fn own_facts(&self) -> impl Iterator<Item = &Variable> {
        let is_missing =
            |v: &&Variable| v.is_fact && !self.declarations.contains_key(v.name.as_str());
        self.library.variables.iter().filter(is_missing)
    }

    fn write_variable(&self, out: &mut String, name: &str, declaration: &Declaration) {
        let known = declaration.known.map(|id| self.library.variable(id));
        if declaration.is_undeclared {
            write_doc(
                out,
                Some("Used in a Packer expression, but declared nowhere."),
            );
        } else {
            let doc = known.and_then(|v| v.doc.as_deref());
            let of_one = declaration
                .only_of
                .as_ref()
                .zip(doc)
                .map(|(family, doc)| format!("For the provider `{family}`: {doc}"));
            write_doc(out, of_one.as_deref().or(doc));
        }
        if let Some(real) = &declaration.alias_of {
            let _ = writeln!(out, "variable {name} {{ alias_of = {real} }}");
            return;
        }
        let mut attributes = Vec::new();
        if declaration.encoding != Encoding::default_for(&declaration.ty) {
            attributes.push(format!("encoding = {}", declaration.encoding.as_str()));
        }
        let receivers = declaration.to.names();
        if receivers != ["packer"] {
            attributes.push(format!("to = [{}]", receivers.join(", ")));
        }
        if let Some(applies) = known.and_then(|v| v.applies.as_ref()) {
            attributes.push(format!(
                "applies = {}",
                self.library.sources.slice(applies.span)
            ));
        }
        let flags = [
            ("fact", self.is_fact(name)),
            ("secret", declaration.is_secret),
            ("typed", known.is_some_and(|v| v.is_typed)),
        ];
        attributes.extend(
            flags
                .into_iter()
                .filter(|(_, is_set)| *is_set)
                .map(|(word, _)| format!("{word} = true")),
        );
        let _ = write!(out, "variable {name} : {}", declaration.ty);
        if attributes.is_empty() {
            out.push('\n');
        } else {
            let _ = writeln!(out, " {{ {} }}", attributes.join(", "));
        }
    }

    /// True for a fact of the standard library, if no value in the checkout depends on other variables.
    fn is_fact(&self, name: &str) -> bool {
        let known = self
            .declarations
            .get(name)
            .and_then(|declaration| declaration.known);
        let is_fact = known.is_some_and(|id| self.library.variable(id).is_fact);
        let is_open = |(n, text): &(String, String)| n == name && text.contains("{{");
        is_fact && !self.checkout.var_files.values().flatten().any(is_open)
    }

    // ---- values -------------------------------------------------------------------------------

    /// Converts a string of the checkout to a value of its variable, as source text.
    fn value(&self, name: &str, text: &str) -> String {
        let Some(declaration) = self.declarations.get(name) else {
            return print_text(text);
        };
        let (ty, encoding) = (&declaration.ty, declaration.encoding);
        if matches!(ty.base, Base::Args) {
            return print_text(text);
        }
        if text.contains("{{") {
            return spell_template(text, |other| is_plain_text(&self.declarations, other));
        }
        if ty.is_text() && encoding == Encoding::Plain {
            return print_text(text);
        }
        match decode(ty, encoding, &Text::Plain(text.into())) {
            Ok(decoded) => match &decoded.value {
                Value::String(content) if matches!(ty.base, Base::Toml) => content
                    .known()
                    .and_then(|content| spell_heredoc("TOML", &content))
                    .unwrap_or_else(|| spell_value(&decoded.value)),
                value => spell_value(value),
            },
            Err(_) => print_text(text),
        }
    }

    /// Returns the facts that follow from a file's path.
    fn facts_of(&self, path: &str) -> Vec<(&str, String)> {
        let matched = |fact: &Variable| {
            fact.adopt.iter().find_map(|(pattern, value)| {
                let found = compile(pattern).ok()?.captures(path)?;
                let mut out = String::new();
                found.expand(value, &mut out);
                Some(out)
            })
        };
        self.own_facts()
            .filter_map(|fact| Some((fact.name.as_str(), print_text(&matched(fact)?))))
            .collect()
    }

    // ---- items --------------------------------------------------------------------------------

    fn providers(&self) -> String {
        let mut out = ADOPTED.to_owned();
        for ((template, playbook), name) in &self.names.providers {
            let _ = writeln!(out, "\nprovider {name} {{");
            let _ = writeln!(out, "    template = {}", print_text(template));
            let _ = writeln!(out, "    roles    = upstream");
            let _ = writeln!(out, "    playbook = {}", playbook.as_str());
            let _ = writeln!(out, "    tools    = [\"packer\", \"ansible\"]");
            let _ = writeln!(out, "    defaults {{");
            for (fact, value) in self.facts_of(template) {
                let _ = writeln!(out, "        {fact} = {value}");
            }
            for (name, default) in self.checkout.template_variables(template) {
                // LibraryNames that are not variables here keep their defaults in the template.
                if let Some(default) = default
                    && self.declarations.contains_key(name)
                {
                    let value = match self.derived.get(&(template.clone(), name.clone())) {
                        Some(expression) => expression.clone(),
                        None => self.value(name, default),
                    };
                    let _ = writeln!(out, "        {name} = {}", indent(&value, 8));
                }
            }
            out.push_str("    }\n}\n");
        }
        out
    }

    fn layers(&self) -> BTreeMap<PathBuf, String> {
        let mut out: BTreeMap<PathBuf, String> = BTreeMap::new();
        for (file, name) in &self.names.layers {
            let text = out
                .entry(file_of("layers", file))
                .or_insert_with(|| ADOPTED.to_owned());
            let _ = writeln!(text, "\n## {}\nlayer {name} {{", visible_line(file));
            for (fact, value) in self.facts_of(file) {
                let _ = writeln!(text, "    {fact} = {value}");
            }
            let entries = self.checkout.strings_of(file);
            let mut written: BTreeSet<&str> = BTreeSet::new();
            for (name, string) in entries {
                if !self.declarations.contains_key(name) || !written.insert(name) {
                    continue;
                }
                let value = match self.derived.get(&(file.clone(), name.clone())) {
                    Some(expression) => expression.clone(),
                    None => self.value(name, string),
                };
                let _ = writeln!(text, "    {name} = {}", indent(&value, 4));
            }
            self.write_undeclared(text, entries);
            text.push_str("}\n");
        }
        for (files, name) in &self.names.groups {
            let text = out
                .entry(file_of("layers", SHARED))
                .or_insert_with(|| ADOPTED.to_owned());
            let layers: Vec<&str> = files
                .iter()
                .filter_map(|f| self.names.layers.get(f))
                .map(String::as_str)
                .collect();
            let _ = writeln!(
                text,
                "\n## The files that several targets begin with.\nlayer {name} extends {} {{ }}",
                layers.join(", ")
            );
        }
        out
    }

    /// Writes the entries of a var file whose names no variable can have.
    fn write_undeclared(&self, out: &mut String, entries: &[Entry]) {
        let odd: BTreeMap<&String, &String> = entries
            .iter()
            .filter(|(name, _)| !self.declarations.contains_key(name))
            .map(|(name, string)| (name, string))
            .collect();
        if odd.is_empty() {
            return;
        }
        out.push_str("    packer {\n");
        for (name, string) in odd {
            let _ = writeln!(
                out,
                "        {} = {}",
                print_text(name),
                self.value(name, string)
            );
        }
        out.push_str("    }\n");
    }

    fn targets(&self) -> BTreeMap<PathBuf, String> {
        let mut out: BTreeMap<PathBuf, String> = BTreeMap::new();
        for target in &self.checkout.targets {
            let Some(last) = target.runs.last() else {
                continue;
            };
            let text = out
                .entry(file_of("targets", &last.template))
                .or_insert_with(|| ADOPTED.to_owned());
            text.push('\n');
            write_doc(text, target.doc.as_deref());
            let name = self.names.image(&target.make);
            let parents = self.names.parents(&last.var_files);
            let extends = if parents.is_empty() {
                String::new()
            } else {
                format!(" extends {}", parents.join(", "))
            };
            let _ = writeln!(
                text,
                "image {name}{extends} {{\n{}}}",
                self.target(target, name)
            );
        }
        out
    }

    /// Writes the targets that no spec can extend, with the reasons.
    fn refused(&self) -> Option<(PathBuf, String)> {
        if self.checkout.refused.is_empty() {
            return None;
        }
        let mut text = ADOPTED.to_owned();
        for refused in &self.checkout.refused {
            text.push('\n');
            write_doc(&mut text, refused.doc.as_deref());
            let name = self.names.image(&refused.make);
            let _ = writeln!(
                text,
                "image {name} {{ target {{ refused = {} }} }}",
                print_text(&refused.reason)
            );
        }
        Some((PathBuf::from("targets/refused.imgspec"), text))
    }

    /// Returns the `target` block of an image.
    fn target(&self, target: &Target, image: &str) -> String {
        let mut words = Vec::new();
        if let Some(last) = target.runs.last() {
            words.push(format!(
                "provider = {}",
                self.names.provider(&last.template, target.playbook)
            ));
        }
        if target.make != format!("build-{image}") {
            words.push(format!("make = {}", print_text(&target.make)));
        }
        let above: Vec<&str> = target
            .runs
            .last()
            .into_iter()
            .flat_map(|run| &run.above)
            .filter_map(|file| self.names.layers.get(file))
            .map(String::as_str)
            .collect();
        if !above.is_empty() {
            words.push(format!("above = [{}]", above.join(", ")));
        }
        let list = |name: &str, words: &[String]| {
            let texts: Vec<String> = words.iter().map(|word| print_text(word)).collect();
            (!texts.is_empty()).then(|| format!("{name} = [{}]", texts.join(", ")))
        };
        let vars = |vars: &[(String, String)]| {
            let mut last: BTreeMap<&str, String> = BTreeMap::new();
            for (name, text) in vars
                .iter()
                .filter(|(name, _)| self.declarations.contains_key(name))
            {
                last.insert(name, format!("{name} = {}", self.value(name, text)));
            }
            let pairs: Vec<String> = last.into_values().collect();
            (!pairs.is_empty()).then(|| format!("vars = {{ {} }}", pairs.join(", ")))
        };
        let first = target.runs.first().map_or(&[][..], |run| &run.vars);
        let is_shared = target.runs.iter().all(|run| run.vars == first);
        if is_shared {
            words.extend(vars(first));
        }
        if let [run] = &target.runs[..] {
            words.extend(list("only", &run.only));
            words.extend(list("except", &run.except));
            return format!("    target {{ {} }}\n", words.join(", "));
        }
        let mut out = String::from("    target {\n");
        for word in words {
            let _ = writeln!(out, "        {word}");
        }
        for run in &target.runs {
            let own = if is_shared { None } else { vars(&run.vars) };
            let words: Vec<String> = list("only", &run.only)
                .into_iter()
                .chain(list("except", &run.except))
                .chain(own)
                .collect();
            let _ = writeln!(out, "        run {{ {} }}", words.join(", "));
        }
        out.push_str("    }\n");
        out
    }
}

/// True if `${x}` gives the string that Packer has for the variable.
fn is_plain_text(declarations: &BTreeMap<String, Declaration>, name: &str) -> bool {
    let Some(declaration) = declarations.get(name) else {
        return false;
    };
    let is_place = matches!(
        declaration.ty.base,
        Base::Args | Base::Path | Base::File | Base::Role
    );
    declaration.ty.is_text()
        && declaration.encoding == Encoding::Plain
        && !is_place
        && !declaration.is_secret
        && declaration.alias_of.is_none()
}

fn write_doc(out: &mut String, doc: Option<&str>) {
    for line in doc.into_iter().flat_map(str::lines) {
        let _ = writeln!(out, "{}", format!("## {line}").trim_end());
    }
}

/// Indents all lines after the first one.
fn indent(text: &str, by: usize) -> String {
    let pad = " ".repeat(by);
    let mut lines = text.lines();
    let mut out = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&pad);
            out.push_str(line);
        }
    }
    out
}
