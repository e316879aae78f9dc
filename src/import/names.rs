//! The names of a checkout's files and targets in a library.

use crate::import::checkout::Checkout;
use crate::import::item_name;
use crate::schema::Playbook;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The names of a library's items.
pub(crate) struct LibraryNames {
    /// The image of each make target.
    pub images: BTreeMap<String, String>,
    /// The provider of each template and kind of playbook.
    pub providers: BTreeMap<(String, Playbook), String>,
    /// The layer of each var file.
    pub layers: BTreeMap<String, String>,
    /// The layer of each sequence of configuration files that several targets begin with.
    pub groups: Vec<(Vec<String>, String)>,
}

impl LibraryNames {
    /// Chooses unique names.
    pub(crate) fn choose(checkout: &Checkout) -> LibraryNames {
        let mut taken = BTreeSet::new();
        let mut images = BTreeMap::new();
        // The target `build-x` becomes the image `x`, even if another target is called `x`.
        let served = checkout.targets.iter().map(|target| target.make.as_str());
        let mut targets: Vec<&str> = served
            .chain(checkout.refused.iter().map(|r| r.make.as_str()))
            .collect();
        targets.sort_by_key(|make| !make.starts_with("build-"));
        for make in targets {
            let name = numbered(&image_name(make), &taken);
            taken.insert(name.clone());
            images.insert(make.to_owned(), name);
        }
        let mut layers = BTreeMap::new();
        for file in checkout.var_files.keys() {
            let name = layer_name(file);
            let free = [name.clone(), format!("{name}-os")]
                .into_iter()
                .find(|n| !taken.contains(n));
            let name = free.unwrap_or_else(|| numbered(&name, &taken));
            taken.insert(name.clone());
            layers.insert(file.clone(), name);
        }
        let mut providers: BTreeMap<(String, Playbook), String> = BTreeMap::new();
        let mut used = BTreeSet::new();
        let wanted: BTreeSet<(String, Playbook)> = checkout
            .targets
            .iter()
            .filter_map(|target| Some((target.runs.last()?.template.clone(), target.playbook)))
            .collect();
        for (template, playbook) in &wanted {
            let name = provider_name(template);
            // A template that is used with both kinds of playbooks.
            let is_second = *playbook == Playbook::Windows
                && wanted.contains(&(template.clone(), Playbook::Linux));
            let name = if is_second {
                format!("{name}-windows")
            } else {
                name
            };
            let name = numbered(&name, &used);
            used.insert(name.clone());
            providers.insert((template.clone(), *playbook), name);
        }
        let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for target in &checkout.targets {
            let files = target.runs.last().map_or(&[][..], |run| &run.var_files);
            *counts.entry(shared_start(files).to_vec()).or_default() += 1;
        }
        let mut groups: Vec<(Vec<String>, usize)> = counts
            .into_iter()
            .filter(|(files, count)| files.len() > 1 && *count > 1)
            .collect();
        groups.sort_by_key(|(files, count)| (std::cmp::Reverse(*count), files.clone()));
        let mut named = Vec::new();
        for (files, _) in groups {
            let kind = files
                .iter()
                .find_map(|file| file.strip_prefix(SHARED)?.split_once('/').map(|(k, _)| k));
            let name = kind.map_or("config".to_owned(), |kind| format!("config-{kind}"));
            let name = numbered(&name, &taken);
            taken.insert(name.clone());
            named.push((files, name));
        }
        LibraryNames {
            images,
            providers,
            layers,
            groups: named,
        }
    }

    /// Returns the image of a target.
    pub(crate) fn image<'n>(&'n self, make: &'n str) -> &'n str {
        self.images.get(make).map_or(make, String::as_str)
    }

    /// Returns the provider of a template with a kind of playbook.
    pub(crate) fn provider<'n>(&'n self, template: &'n str, playbook: Playbook) -> &'n str {
        self.providers
            .get(&(template.to_owned(), playbook))
            .map_or(template, String::as_str)
    }

    /// Returns the layers that a target's image extends, weakest first.
    pub(crate) fn parents(&self, files: &[String]) -> Vec<&str> {
        let group = self
            .groups
            .iter()
            .find(|(start, _)| shared_start(files) == start.as_slice());
        let rest = group.map_or(files, |(start, _)| {
            files.get(start.len()..).unwrap_or_default()
        });
        let layers = rest.iter().filter_map(|file| self.layers.get(file));
        group
            .map(|(_, name)| name)
            .into_iter()
            .chain(layers)
            .map(String::as_str)
            .collect()
    }
}

/// The folder of the configuration files that all providers share.
pub(crate) const SHARED: &str = "packer/config/";

fn shared_start(files: &[String]) -> &[String] {
    let end = files
        .iter()
        .position(|file| !file.starts_with(SHARED))
        .unwrap_or(files.len());
    files.get(..end).unwrap_or_default()
}

fn image_name(make: &str) -> String {
    item_name(make.strip_prefix("build-").unwrap_or(make))
}

/// `packer/ova/ubuntu-2004.json` is `ova-ubuntu-2004`, `packer/qemu/qemu-rhel-8.json` is `qemu-rhel-8`.
fn layer_name(file: &str) -> String {
    let path = file.strip_prefix("packer/").unwrap_or(file);
    let path = path.strip_prefix("config/").unwrap_or(path);
    let path = path.strip_suffix(".json").unwrap_or(path);
    match path.rsplit_once('/') {
        Some((folder, name)) if !name.starts_with(&format!("{folder}-")) => {
            item_name(&format!("{folder}-{name}"))
        }
        Some((_, name)) => item_name(name),
        None => item_name(path),
    }
}

/// `packer/qemu/packer.json` is `qemu`, `packer/ova/packer-node.json` `ova`, `packer/ova/packer-windows.json`
/// `ova-windows`.
fn provider_name(template: &str) -> String {
    let path = template.strip_prefix("packer/").unwrap_or(template);
    let path = path.split_once('.').map_or(path, |(path, _)| path);
    let (folder, name) = path.rsplit_once('/').unwrap_or(("packer", path));
    let rest = name
        .strip_prefix("packer")
        .unwrap_or(name)
        .trim_start_matches('-');
    match rest {
        "" | "node" => item_name(folder),
        rest => item_name(&format!("{folder}-{rest}")),
    }
}

fn numbered(name: &str, taken: &BTreeSet<String>) -> String {
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
    names.find(|n| !taken.contains(n)).unwrap_or_default()
}

/// Returns the spec for the items from one folder of the checkout.
pub(crate) fn file_of(room: &str, path: &str) -> PathBuf {
    let path = path.strip_prefix("packer/").unwrap_or(path);
    let folder = path.split_once('/').map_or("other", |(folder, _)| folder);
    PathBuf::from(format!("{room}/{}.imgspec", item_name(folder)))
}
