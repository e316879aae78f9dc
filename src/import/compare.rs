//! What a checkout of Image Builder has that the library of a release lacks, and the other way round.

use crate::driver::Job;
use crate::emit::{Artifacts, Output};
use crate::packer::named;
use crate::project::Program;
use crate::project::hir::SectionId;
use crate::schema::{Base, Encoding, Receivers};
use crate::source::Memory;
use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};

/// The differences between a checkout and a library. Names are in order.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Comparison {
    /// Targets of the checkout that the library lacks.
    pub missing_targets: Vec<String>,
    /// Targets of the library that the checkout lacks.
    pub other_targets: Vec<String>,
    /// Variables that Packer or Ansible reads in the checkout, and that the library lacks.
    pub missing_variables: Vec<String>,
    /// Variables of the library that the checkout lacks.
    pub other_variables: Vec<String>,
    /// Values that differ.
    pub values: Vec<Difference>,
    /// Readers that differ: Packer, and the slots of Ansible's arguments.
    pub readers: Vec<Difference>,
    /// How many values were compared.
    pub compared: usize,
}

/// A variable that differs in some targets.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Difference {
    /// The variable.
    pub variable: String,
    /// What the checkout has, if anything.
    pub checkout: Option<String>,
    /// What the library has, if anything.
    pub library: Option<String>,
    /// The targets in which it differs so.
    pub targets: Vec<String>,
}

impl Comparison {
    /// True if the library lacks nothing of the checkout.
    pub fn is_complete(&self) -> bool {
        self.missing_targets.is_empty()
            && self.missing_variables.is_empty()
            && self.values.is_empty()
            && self.readers.is_empty()
    }
}

/// Where variables differ, by variable and what both sides have.
type Found = BTreeMap<(String, Option<String>, Option<String>), Vec<String>>;

/// Compares an adopted checkout with a library that describes Image Builder's own templates.
pub fn compare(checkout: &Program, library: &Program) -> Comparison {
    let (ours, theirs) = (targets(library), targets(checkout));
    let only = |a: &BTreeMap<String, SectionId>, b: &BTreeMap<String, SectionId>| -> Vec<String> {
        a.keys()
            .filter(|name| !b.contains_key(*name))
            .cloned()
            .collect()
    };
    let mut comparison = Comparison {
        missing_targets: only(&theirs, &ours),
        other_targets: only(&ours, &theirs),
        ..Comparison::default()
    };
    let (mut values, mut readers) = (Found::new(), Found::new());
    let mut read: BTreeSet<String> = BTreeSet::new();
    for (name, id) in &theirs {
        let Some(of_checkout) = artifacts(checkout, *id) else {
            continue;
        };
        read.extend(of_checkout.routes.names().map(ToString::to_string));
        let of_library = ours.get(name).and_then(|id| artifacts(library, *id));
        let Some(of_library) = of_library else {
            continue;
        };
        let mut names: BTreeSet<&SmolStr> = of_checkout.routes.names().collect();
        names.extend(of_library.routes.names());
        // A fact that only the compiler reads has no reader there.
        let for_packer = |name: &&SmolStr| is_for_packer(library, name);
        for variable in names.into_iter().filter(for_packer) {
            let ways = |artifacts: &Artifacts| {
                artifacts
                    .routes
                    .get(variable)
                    .map(|ways| own_ways(&ways.words()).join(", "))
                    .filter(|ways| !ways.is_empty())
            };
            note(
                &mut readers,
                name,
                variable,
                ways(&of_checkout),
                ways(&of_library),
            );
        }
        for variable in of_checkout.packer.keys() {
            let is_secret =
                of_checkout.withheld.contains(variable) || of_library.withheld.contains(variable);
            let is_read = of_checkout.routes.get(variable).is_some()
                || of_library.routes.get(variable).is_some();
            let known = library
                .find_variable(None, variable)
                .map(|id| library.variable(id));
            let is_route = Some(variable) == of_checkout.file_route.as_ref()
                || Some(variable) == of_library.file_route.as_ref();
            if is_secret || is_route || !is_read || !is_for_packer(library, variable) {
                continue;
            }
            comparison.compared += 1;
            let is_list = known.is_some_and(|known| known.encoding == Encoding::Commas);
            let is_argument = known.is_some_and(|known| matches!(known.ty.base, Base::Args));
            let form = |artifacts: &Artifacts| {
                let text = artifacts.packer.get(variable)?;
                let text = fill_all(text, artifacts);
                // The spaces after the commas of a list mean nothing.
                Some(if is_list {
                    text.replace(", ", ",")
                } else {
                    text
                })
            };
            let is_same =
                is_argument && of_checkout.packer.get(variable) == of_library.packer.get(variable);
            if is_same {
                continue;
            }
            let (theirs, ours) = (form(&of_checkout), form(&of_library));
            // An empty string and no string are the same to Packer, if the template has no default of its own.
            if theirs.as_deref().unwrap_or_default() != ours.as_deref().unwrap_or_default() {
                note(&mut values, name, variable, theirs, ours);
            }
        }
    }
    let declared = |program: &Program, name: &str| {
        program.find_variable(None, name).is_some_and(|id| {
            program.variable(id).is_declared() && program.variable(id).removed().is_none()
        })
    };
    comparison.missing_variables = read
        .into_iter()
        .filter(|name| !declared(library, name))
        .collect();
    let own = library
        .variables
        .iter()
        .filter(|v| v.is_declared() && v.removed().is_none() && !v.to.names().is_empty());
    let lacking = own
        .map(|v| v.name.to_string())
        .filter(|name| checkout.find_variable(None, name).is_none());
    comparison.other_variables = lacking.collect();
    comparison.other_variables.sort();
    comparison.values = differences(values);
    comparison.readers = differences(readers);
    comparison
}

fn is_for_packer(library: &Program, name: &str) -> bool {
    let id = library.find_variable(None, name);
    id.is_none_or(|id| library.variable(id).to.has(Receivers::PACKER))
}

fn targets(program: &Program) -> BTreeMap<String, SectionId> {
    let images = program.library_images().into_iter();
    images
        .map(|id| (program.section(id).name.to_string(), id))
        .collect()
}

/// The files of a target, if it can be evaluated.
fn artifacts(program: &Program, id: SectionId) -> Option<Artifacts> {
    let output = Output {
        dir: "/".into(),
        portable: false,
    };
    let job = Job {
        loader: &Memory::default(),
        program,
        images: &[id],
        provider: None,
        output: &output,
    };
    job.compile().0.pop()
}

/// The ways on which Image Builder itself passes a variable: not the extra-vars file.
fn own_ways(ways: &[String]) -> Vec<&str> {
    ways.iter()
        .map(String::as_str)
        .filter(|way| *way != "file")
        .collect()
}

/// Replaces references to variables whose strings are known, at most as deep as Packer does.
fn fill_all(text: &str, artifacts: &Artifacts) -> String {
    const MAX_DEPTH: usize = 100;
    let mut text = text.to_owned();
    for _ in 0..MAX_DEPTH {
        let known = |name: &str| {
            artifacts
                .packer
                .get(name)
                .filter(|_| !artifacts.withheld.contains(name))
        };
        let mut next = text.clone();
        for name in named(&text) {
            if let Some(value) = known(&name) {
                for form in [
                    format!("{{{{user `{name}`}}}}"),
                    format!("{{{{ user `{name}` }}}}"),
                ] {
                    next = next.replace(&form, value);
                }
            }
        }
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn note(
    found: &mut Found,
    target: &str,
    variable: &str,
    checkout: Option<String>,
    library: Option<String>,
) {
    if checkout != library {
        let key = (variable.to_owned(), checkout, library);
        found.entry(key).or_default().push(target.to_owned());
    }
}

fn differences(found: Found) -> Vec<Difference> {
    let all = found
        .into_iter()
        .map(|((variable, checkout, library), targets)| Difference {
            variable,
            checkout,
            library,
            targets,
        });
    all.collect()
}
