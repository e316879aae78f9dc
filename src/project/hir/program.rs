//! The program: all items of a command, with names resolved, and what asks it.

use super::*;
use crate::diagnostic::Diagnostic;
use crate::project::Edition;
use crate::project::config::Configs;
use crate::schema::{Roles, Type};
use crate::source::{FileId, SourceMap, Span};
use crate::syntax::Allow;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, OnceLock};

/// The items of a library, with which every program begins.
#[derive(Debug, Default)]
pub struct Items {
    /// Its variables.
    pub variables: Table<VarId, Variable>,
    /// Its layers and images.
    pub sections: Table<SectionId, Section>,
    /// Its providers.
    pub providers: Table<ProviderId, Provider>,
    /// Its rules.
    pub rules: Table<RuleId, Rule>,
    /// Its probes.
    pub probes: Table<ProbeId, Probe>,
    /// Entries of `ansible` and `packer` blocks.
    pub extras: FxHashMap<(Owner, SmolStr), VarId>,
    /// The items that its names refer to.
    pub names: Arc<Names>,
    /// What every program must know of its variables.
    pub traits: Arc<Traits>,
}

/// The variables that differ from the usual ones, so that nobody searches all of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Traits {
    /// Deprecated names, each with the variable that it stands for.
    pub aliases: Vec<(VarId, VarId)>,
    /// Facts.
    pub facts: Vec<VarId>,
    /// Secrets, by their names.
    pub secrets: Vec<SmolStr>,
    /// The values that the library gives to each fact.
    pub given: Given,
}

impl Traits {
    /// Adds what a variable is.
    pub(crate) fn add(&mut self, id: VarId, variable: &Variable) {
        if let Some(real) = variable.alias_of() {
            self.aliases.push((id, real));
        }
        if variable.is_fact {
            self.facts.push(id);
        }
        if variable.is_secret {
            self.secrets.push(variable.name.clone());
        }
    }
}

/// A file whose content a spec uses: through `file("…")`, or as the extra vars of an argument `@path`.
#[derive(Debug)]
pub struct DataFile {
    /// The spec that uses it.
    pub reader: FileId,
    /// The place that names it.
    pub at: Span,
    /// The absolute path.
    pub path: PathBuf,
    /// The content.
    pub text: String,
    /// The content is a secret, or a part of one.
    pub is_secret: bool,
}

/// What one spec file sees.
#[derive(Debug)]
pub struct FileView {
    /// Its own names and those of the files that it includes.
    pub names: Arc<Names>,
    /// The file and all that it includes, however deep, JSON layers among them.
    pub files: Vec<FileId>,
    /// Its project's root.
    pub root: PathBuf,
}

/// All items of a command, with names resolved.
#[derive(Debug)]
pub struct Program {
    /// All texts that were read.
    pub sources: SourceMap,
    /// All variables, the library's first.
    pub variables: Table<VarId, Variable>,
    /// All layers and images, the library's first.
    pub sections: Table<SectionId, Section>,
    /// All providers, the library's first.
    pub providers: Table<ProviderId, Provider>,
    /// All rules, the library's first.
    pub rules: Table<RuleId, Rule>,
    /// All probes, the library's first.
    pub probes: Table<ProbeId, Probe>,
    /// The tests, in the order of their files.
    pub tests: Vec<Test>,
    /// The waivers, in the order of their files.
    pub waivers: Vec<Waiver>,
    /// What holds for every image.
    pub policies: Policies,
    /// All specs of the project have been read, so what concerns no image is of no use.
    pub is_whole: bool,
    /// The library's names.
    pub library: Arc<Names>,
    /// The built-in library that the library is, or whose types and rules hold in an adopted one.
    pub edition: Edition,
    /// The library describes Image Builder's own templates and roles: of a checkout, or by choice.
    pub is_upstream: bool,
    /// The library is not a built-in one, but what a checkout was adopted as.
    pub is_adopted: bool,
    /// The folder of an adopted library's specs, or a name for it.
    pub adopted_root: PathBuf,
    /// Where its items come from, if it was adopted in memory.
    pub origins: Origins,
    /// The checkout that is the library, where it is at hand: the folder of its Makefile.
    pub checkout: Option<PathBuf>,
    /// The root of the project that a command runs in, for images that no file of it defines.
    pub root: Option<PathBuf>,
    /// The variables that differ from the usual ones.
    pub traits: Traits,
    /// The deprecated names of each variable that has any, in the order of their declarations.
    pub(crate) names_of: FxHashMap<VarId, Vec<VarId>>,
    /// The place of each variable in the order of their names: worked out once, when first asked for.
    pub(crate) ranks: OnceLock<Table<VarId, u32>>,
    /// The images of each file, in its order: worked out once, when first asked for.
    pub(crate) images_by_file: OnceLock<FxHashMap<FileId, Vec<SectionId>>>,
    /// The views of the project's files.
    pub views: FxHashMap<FileId, FileView>,
    /// For each of the request's specs, its file.
    pub specs: Vec<Option<FileId>>,
    /// The layers of `--set` and `PACKER_VAR_FILES`, weakest first.
    pub overlays: Vec<SectionId>,
    /// The layers of `PACKER_FLAGS`: each `-var`, which wins over every file, and each `-var-file`, which is below the
    /// target's own.
    pub flags: Vec<SectionId>,
    /// The layers of the `-var-file` of `PACKER_FLAGS`.
    pub flag_files: Vec<SectionId>,
    /// The files whose content the specs use.
    pub data: Vec<DataFile>,
    /// The comments of the project's files that allow diagnostics.
    pub allows: Vec<Allow>,
    /// The `imgspec.toml` of each project with one of the specs.
    pub configs: Configs,
    /// What is wrong with the files themselves, for any image.
    pub diagnostics: Vec<Diagnostic>,
}

impl Program {
    /// Returns a variable by its id.
    pub fn variable(&self, id: VarId) -> &Variable {
        &self.variables[id]
    }

    /// Returns the deprecated names of a variable.
    pub fn aliases_of(&self, id: VarId) -> &[VarId] {
        self.names_of.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Returns the place of a variable in the order of the names.
    pub(crate) fn rank(&self, id: VarId) -> u32 {
        let ranks = self.ranks.get_or_init(|| {
            let mut ids: Vec<VarId> = self.variables.ids().collect();
            ids.sort_by(|a, b| self.variables[*a].name.cmp(&self.variables[*b].name));
            let mut ranks = Table::filled(&self.variables, 0);
            for (rank, id) in (0..).zip(ids) {
                ranks[id] = rank;
            }
            ranks
        });
        ranks.find(id).copied().unwrap_or(u32::MAX)
    }

    /// Returns a layer or image by its id.
    pub fn section(&self, id: SectionId) -> &Section {
        &self.sections[id]
    }

    /// Returns a provider by its id.
    pub fn provider(&self, id: ProviderId) -> &Provider {
        &self.providers[id]
    }

    /// The rules that hold for what a file defines, the library's first.
    pub fn rules_for(&self, file: FileId) -> Vec<RuleId> {
        let own = self.views.get(&file).map(|v| &v.names.rules);
        let mut ids: Vec<RuleId> = self
            .library
            .rules
            .values()
            .chain(own.into_iter().flat_map(|r| r.values()))
            .map(|(id, _)| *id)
            .chain(self.policies.rules.iter().copied())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The probes that check the images of a file, the library's first.
    pub fn probes_for(&self, file: FileId) -> Vec<ProbeId> {
        let own = self.views.get(&file).map(|v| &v.names.probes);
        let own = own.into_iter().flat_map(|probes| probes.values());
        let all = self.library.probes.values().chain(own);
        let mut ids: Vec<ProbeId> = all.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The names that a file sees: those of its project, and the library's. A file of the library sees the library's.
    pub(crate) fn visible(&self, file: FileId) -> View<'_> {
        static NONE: LazyLock<Names> = LazyLock::new(Names::default);
        View {
            own: self.views.get(&file).map_or(&NONE, |view| &view.names),
            library: &self.library,
        }
    }

    /// A variable that a file sees; without a file, one of the library.
    pub fn find_variable(&self, file: Option<FileId>, name: &str) -> Option<VarId> {
        match file {
            Some(file) => self.visible(file).find(VARIABLES, name),
            None => self.library.variables.get(name),
        }
        .map(|(id, _)| *id)
    }

    /// A layer or image that a file sees.
    pub fn find_section(&self, file: FileId, name: &str) -> Option<SectionId> {
        self.visible(file).find(SECTIONS, name).map(|(id, _)| *id)
    }

    /// A provider that a file sees.
    pub fn find_provider(&self, file: FileId, name: &str) -> Option<ProviderId> {
        self.visible(file).find(PROVIDERS, name).map(|(id, _)| *id)
    }

    /// A type that a file sees, with its place.
    pub fn find_type(&self, file: FileId, name: &str) -> Option<&(Type, Span)> {
        self.visible(file).find(TYPES, name)
    }

    /// An image or layer of the library.
    pub fn find_library_section(&self, name: &str) -> Option<SectionId> {
        self.library.sections.get(name).map(|(id, _)| *id)
    }

    /// Whether Image Builder's own template and roles serve an image with this provider: because the library describes
    /// only those, or has no template of imgspec's for it.
    pub fn serves_upstream(&self, provider: ProviderId) -> bool {
        let provider = self.provider(provider);
        let is_of_library = !self.sources.is_users(provider.span.file);
        self.is_upstream || is_of_library && provider.roles == Roles::Upstream
    }

    /// The matrix that an image is of.
    pub fn matrix_of(&self, id: SectionId) -> Option<SectionId> {
        let section = self.section(id);
        // Another image that extends a matrix has its name in the text of its own `extends`.
        let is_own = |(parent, span): &&(SectionId, Span)| {
            *span == section.span && self.section(*parent).kind == LayerKind::Matrix
        };
        section.extends.iter().find(is_own).map(|(id, _)| *id)
    }

    /// Why an image's own target cannot be built, if it is refused.
    pub fn refusal(&self, id: SectionId) -> Option<&str> {
        let target = self.section(id).target.as_ref()?;
        let is_ours = || {
            self.is_upstream
                && !self.is_adopted
                && self.provider(target.provider).roles == Roles::Native
        };
        match target.refused.as_deref() {
            None if is_ours() => {
                Some("Image Builder has no such target, so its roles cannot build it")
            }
            reason => reason,
        }
    }

    /// The library's images, in its order, but for those that nothing can be built with.
    pub fn library_images(&self) -> Vec<SectionId> {
        let mut ids: Vec<SectionId> = self.library.sections.values().map(|(id, _)| *id).collect();
        ids.retain(|id| self.section(*id).kind == LayerKind::Image && self.refusal(*id).is_none());
        ids.sort_unstable();
        ids
    }

    /// The images that a file defines, in its order; of the library's those that can be built.
    pub fn images_of(&self, file: FileId) -> Vec<SectionId> {
        let by_file = self.images_by_file.get_or_init(|| {
            let mut by_file: FxHashMap<FileId, Vec<SectionId>> = FxHashMap::default();
            for (id, section) in self.sections.own_pairs() {
                if section.kind == LayerKind::Image {
                    by_file.entry(section.span.file).or_default().push(id);
                }
            }
            by_file
        });
        if self.sources.is_users(file) {
            return by_file.get(&file).cloned().unwrap_or_default();
        }
        let mut images = self.library_images();
        images.retain(|id| self.section(*id).span.file == file);
        images
    }
}
