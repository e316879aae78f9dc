//! From files to a program: reads what a command asks for, and has it checked.

mod files;
mod library;
mod matrix;
mod policy;
mod prebuilt;
mod readable;
mod reader;
mod redact;
mod vendored;

pub use library::{Library, LibraryChoice};
pub use readable::readable;
pub use vendored::find_include;

use crate::project::allowed::check_names;
use crate::project::check::{Draft, Overlay, find_never_true, var_file};
use crate::project::hir::*;
use crate::project::{Adopted, Edition};
use crate::schema::Roles;
use crate::source::{FileId, Loader, Metered, Origin, SourceFile, SourceMap};
use crate::syntax::{Allow, Syntax};
use files::Files;
use policy::{check_tests, settle_waivers};
use readable::argument_roots;
use reader::{Read, read};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What a command asks for.
#[derive(Debug, Default, Clone)]
pub struct Request {
    /// Spec files, as absolute paths.
    pub specs: Vec<PathBuf>,
    /// `--set` arguments, `name=value`.
    pub set: Vec<String>,
    /// The files of `PACKER_VAR_FILES`, in order, as absolute paths.
    pub var_files: Vec<PathBuf>,
    /// The `-var` and the `-var-file` of `PACKER_FLAGS`, which make hands to Packer.
    pub flags: Vec<String>,
    /// The `-var-file` of `PACKER_FLAGS`, in order, as absolute paths.
    pub flag_files: Vec<PathBuf>,
    /// Specs with rules that hold for every image, whatever the project's files include; as absolute paths.
    pub policies: Vec<PathBuf>,
    /// The day on which waivers are judged.
    pub as_of: Option<Date>,
    /// Folders outside the project that may be read.
    pub include_roots: Vec<PathBuf>,
    /// The library to use instead of the standard library.
    pub library: Option<Arc<Library>>,
    /// The folder in which the command runs; paths of `--set` start there.
    pub here: Option<PathBuf>,
    /// The folder in which make runs Packer; paths in JSON var files start there.
    pub packer_folder: Option<PathBuf>,
}

/// Reads and checks all that a command asks for. Never fails: what is wrong is in the program's
/// diagnostics.
pub fn load(loader: &dyn Loader, request: &Request) -> Program {
    load_all(loader, request, false).0
}

/// The same as [`load`], with the syntax of the first spec. Without it if the spec cannot be read, and if it has a matrix,
/// in whose place the program has layers and images.
pub fn load_with_syntax(loader: &dyn Loader, request: &Request) -> (Program, Option<Syntax>) {
    load_all(loader, request, true)
}

fn load_all(
    loader: &dyn Loader,
    request: &Request,
    keeps_trees: bool,
) -> (Program, Option<Syntax>) {
    let loader: &dyn Loader = &Metered::new(loader);
    let library = request.library.clone();
    let library = library.unwrap_or_else(|| Library::built_in(Edition::default()));
    let Read {
        mut sources,
        mut units,
        specs,
        policies,
        overlays,
        flags,
        flag_files,
        mut allows,
        mut diagnostics,
        configs,
    } = read(loader, request, library.sources.clone(), keeps_trees);
    diagnostics.extend(library.diagnostics.iter().cloned());

    let mut draft = Draft::new(
        loader,
        library.adopted.as_deref(),
        &mut sources,
        &library.items,
    );
    draft.edition = library.edition;
    draft.packer_folder.clone_from(&request.packer_folder);
    let library_names = library.items.names.clone();
    let of_arguments = argument_roots(loader, request);
    let files = Files::declare(&mut draft, &units, &library_names, of_arguments);

    // Bodies, in three rounds: each reads only what the rounds before it settled.
    for (id, items) in files.declared.pairs() {
        let mut lowering = draft.enter(files.context(id));
        lowering.declare_packer_entries(items);
        lowering.lower_variable_types(items);
    }
    let mut lowering = draft.enter(files.command_line());
    for overlay in overlays.iter().chain(&flag_files) {
        if let Overlay::VarFile(file, _) = overlay {
            var_file::declare_extras(&mut lowering, file);
        }
    }
    draft.settle_aliases();
    for (id, items) in files.declared.pairs() {
        let mut lowering = draft.enter(files.context(id));
        lowering.lower_variable_values(items);
        lowering.lower_bodies(items);
    }
    let mut lowering = draft.enter(files.command_line());
    let mut lower = |overlays: &[Overlay]| -> Vec<SectionId> {
        let overlays = overlays.iter();
        overlays
            .map(|overlay| lowering.lower_overlay(overlay))
            .collect()
    };
    let overlays = lower(&overlays);
    let flag_files = lower(&flag_files);
    let flags = lower(&flags);
    let policies = files.policies(&policies);
    check_tests(&mut draft, &policies);
    settle_waivers(&mut draft, &policies, request.as_of);
    let cycles = find_cycles(&draft.sections);
    draft.diagnostics.extend(cycles);

    let Draft {
        diagnostics: found,
        variables,
        sections,
        providers,
        rules,
        probes,
        tests,
        waivers,
        data,
        ..
    } = draft;
    diagnostics.extend(found);
    for config in &configs.0 {
        let of_library = library_names.rules.keys().map(SmolStr::as_str);
        let own = rules.own().iter().map(|rule| rule.name.as_str());
        let mut rule_names: Vec<&str> = of_library.chain(own).collect();
        rule_names.sort_unstable();
        let rules_of_project = OnceCell::new();
        let is_rule = |name: &str| {
            rules_of_project
                .get_or_init(|| rules_in(loader, &config.root))
                .contains(name)
        };
        config.check_names(
            &rule_names,
            is_rule,
            |path| loader.exists(path),
            &mut diagnostics,
        );
        let is_own = |allow: &&mut Allow| {
            let path = &sources.get(allow.span.file).path;
            configs.of(path).is_some_and(|of| of.root == config.root)
        };
        let is_deny = |name: &str| {
            let of_library = library_names.rules.get(name).map(|(id, _)| &rules[*id]);
            let own = rules.own().iter().filter(|rule| rule.name == name);
            let mut all = own.chain(of_library).peekable();
            all.peek().is_some() && all.all(|rule| rule.is_deny)
        };
        for allow in allows.iter_mut().filter(is_own) {
            check_names(allow, &rule_names, is_rule, is_deny, &mut diagnostics);
        }
    }
    // What is no word of the grammar has been quoted before anybody knew that it is a secret.
    let mut traits = (*library.items.traits).clone();
    for (id, variable) in variables.own_pairs() {
        traits.add(id, variable);
    }
    let known: OnceCell<FxHashSet<&str>> = OnceCell::new();
    let find_known = || {
        let of_blocks = library.items.extras.keys().map(|(_, name)| name);
        let own = variables.own().iter().map(|variable| &variable.name);
        let all = library_names.variables.keys().chain(of_blocks).chain(own);
        all.map(SmolStr::as_str).collect()
    };
    redact::hide(
        &mut sources,
        &|word| known.get_or_init(find_known).contains(word),
        &traits.secrets,
        &diagnostics,
    );
    redact::redact(&sources, &mut diagnostics);
    let views = files.views();
    drop(files);
    let first = specs.first().copied().flatten();
    let syntax = first.and_then(|first| {
        let unit = &mut units[first];
        let tree = unit.tree.take()?;
        let file = std::mem::take(&mut unit.ast);
        Some(Syntax { tree, file })
    });
    let specs = specs
        .into_iter()
        .map(|s| s.map(|i| units[i].file))
        .collect();
    let mut names_of: FxHashMap<VarId, Vec<VarId>> = FxHashMap::default();
    for (alias, real) in &traits.aliases {
        names_of.entry(*real).or_default().push(*alias);
    }
    let of_checkout = library.adopted.as_deref();
    let mut program = Program {
        adopted_root: of_checkout
            .map(|adopted| adopted.root.clone())
            .unwrap_or_default(),
        origins: Origins::new(of_checkout.map_or_else(Vec::new, |a| origins(&sources, a))),
        sources,
        variables,
        sections,
        providers,
        rules,
        probes,
        tests,
        waivers,
        policies,
        is_whole: false,
        library: library_names.clone(),
        edition: library.edition,
        is_upstream: library.edition.roles == Roles::Upstream,
        is_adopted: library.adopted.is_some(),
        checkout: of_checkout.and_then(|adopted| adopted.checkout.clone()),
        root: None,
        traits,
        names_of,
        ranks: OnceLock::new(),
        images_by_file: OnceLock::new(),
        views,
        specs,
        overlays,
        flags,
        flag_files,
        data,
        allows,
        configs,
        diagnostics,
    };
    let never = find_never_true(&program);
    program.diagnostics.extend(never);
    (program, syntax)
}

/// The files that a library in memory was adopted from.
fn origins(sources: &SourceMap, adopted: &Adopted) -> Vec<FileId> {
    let known: FxHashSet<&PathBuf> = adopted.origins.iter().map(|(path, _)| path).collect();
    let is_origin =
        |source: &SourceFile| source.origin == Origin::Library && known.contains(&source.path);
    let files = sources.iter().filter(|(_, source)| is_origin(source));
    files.map(|(file, _)| file).collect()
}

/// Returns the names of the rules that the specs of a project declare, read by this command or not.
fn rules_in(loader: &dyn Loader, folder: &Path) -> FxHashSet<String> {
    /// Bounds the search, which only a name that nothing else knows begins.
    const MAX_DEPTH: usize = 8;
    let mut out = FxHashSet::default();
    let mut open = vec![(loader.canonical(folder), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in loader
            .entries(&folder)
            .into_iter()
            .filter(|entry| !entry.starts_with('.'))
        {
            let path = folder.join(&entry);
            if loader.canonical(&path) != path {
                // A link may lead anywhere, and around in circles.
                continue;
            }
            if entry.ends_with(".imgspec") {
                let text = loader.read_real(&path, &path).unwrap_or_default();
                let names = text
                    .lines()
                    .filter_map(|line| line.trim_start().strip_prefix("rule "));
                let names = names.filter_map(|rest| rest.trim_start().split([' ', '{']).next());
                out.extend(names.map(str::to_owned));
            } else if depth < MAX_DEPTH
                && !loader.is_file(&path)
                && !matches!(entry.as_str(), "target" | "node_modules")
            {
                open.push((path, depth + 1));
            }
        }
    }
    out
}
