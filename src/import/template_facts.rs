//! The variables that a checkout's templates pass to Ansible.

use crate::ansible::parse_pairs;
use crate::import::checkout::Checkout;
use crate::packer::Template;
use crate::packer::whole_argument;
use crate::packer::{Braced, parse_braces};
use crate::schema::Receivers;
use std::collections::{BTreeMap, BTreeSet};

/// What a template passes to Ansible.
pub(crate) struct TemplateFacts {
    /// The text of each `--extra-vars` argument.
    pub extra_vars: Vec<String>,
    /// The variables whose whole value is such an argument.
    pub arguments: BTreeSet<String>,
}

impl TemplateFacts {
    /// Reads a template's text. An invalid template passes nothing.
    pub(crate) fn read(text: &str) -> TemplateFacts {
        let template = Template::parse(text).unwrap_or_default();
        let extra_vars: Vec<String> = template.extra_vars().map(ToString::to_string).collect();
        TemplateFacts {
            arguments: extra_vars
                .iter()
                .filter_map(|a| whole_argument(a))
                .map(str::to_owned)
                .collect(),
            extra_vars,
        }
    }
}

/// Returns the playbooks that each variable is passed to, by the arguments that the targets use.
pub(crate) fn find_slots(
    checkout: &Checkout,
    templates: &BTreeMap<&str, TemplateFacts>,
) -> BTreeMap<String, Receivers> {
    let mut texts: BTreeSet<(&str, String)> = BTreeSet::new();
    let runs = checkout
        .targets
        .iter()
        .flat_map(|target| target.runs.iter().map(|run| (target.playbook, run)));
    for (playbook, run) in runs {
        let Some(template) = templates.get(run.template.as_str()) else {
            continue;
        };
        let playbook = playbook.as_str();
        let mut add = |text: &str| texts.insert((playbook, text.to_owned()));
        for argument in template
            .extra_vars
            .iter()
            .filter(|a| whole_argument(a).is_none())
        {
            add(argument);
        }
        let defaults = checkout.template_variables(&run.template);
        let files = run
            .files()
            .filter_map(|file| checkout.var_files.get(file))
            .flatten();
        for (name, text) in files.chain(&run.vars) {
            if template.arguments.contains(name) {
                add(text);
            }
        }
        for (name, default) in defaults {
            if template.arguments.contains(name) {
                add(default.as_deref().unwrap_or_default());
            }
        }
    }
    let mut out: BTreeMap<String, Receivers> = BTreeMap::new();
    for (playbook, text) in texts {
        let receiver = Receivers::parse(playbook).unwrap_or(Receivers::NONE);
        for pair in parse_pairs(&text) {
            if let [(_, Braced::User(name))] = parse_braces(&pair.value)[..] {
                let known = out.entry(name.to_owned()).or_insert(Receivers::NONE);
                *known = known.with(receiver);
            }
        }
    }
    out
}
