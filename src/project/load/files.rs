//! The files of a command: what each declares, and what it sees.

use crate::project::check::{Declared, Draft, FileContext, Unit, UnitId};
use crate::project::hir::*;
use crate::source::FileId;
use rustc_hash::FxHashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The files of a command with the names that they see.
pub(super) struct Files<'u> {
    units: &'u Table<UnitId, Unit>,
    library: &'u Names,
    /// For each file all that it includes, itself last.
    closures: Table<UnitId, Vec<UnitId>>,
    pub(super) declared: Table<UnitId, Vec<Declared<'u>>>,
    names: Table<UnitId, Arc<Names>>,
    /// The names and folders of all files: what the command line sees.
    everything: Names,
    roots: Vec<PathBuf>,
}

impl<'u> Files<'u> {
    /// Gives ids to the items of all files. A name that is taken is reported. `of_arguments` are the roots of the files that
    /// the command line names.
    pub(super) fn declare(
        draft: &mut Draft<'_>,
        units: &'u Table<UnitId, Unit>,
        library: &'u Names,
        of_arguments: Vec<PathBuf>,
    ) -> Files<'u> {
        let of_units = units.iter().flat_map(|unit| unit.roots.iter().cloned());
        let mut roots: Vec<PathBuf> = of_arguments.into_iter().chain(of_units).collect();
        roots.sort();
        roots.dedup();
        let mut files = Files {
            units,
            library,
            closures: Table::new(units.ids().map(|unit| closure(units, unit)).collect()),
            declared: Table::default(),
            names: Table::default(),
            everything: Names::default(),
            roots,
        };
        for (id, unit) in units.pairs() {
            let items = files.declare_unit(draft, id, unit);
            files.declared.push(items);
        }
        for id in units.ids() {
            let mut names = Names::default();
            let items = files.closures[id]
                .iter()
                .flat_map(|at| &files.declared[*at]);
            let taken = items.filter_map(|item| item.define(&mut names, Some(library)));
            draft.diagnostics.extend(taken);
            files.names.push(Arc::new(names));
        }
        for item in files.declared.iter().flatten() {
            // Several projects may use a name, each for its own.
            let _ = item.define(&mut files.everything, Some(library));
        }
        files
    }

    /// Gives ids to the items of a file; those that it includes have theirs already.
    fn declare_unit(&self, draft: &mut Draft<'_>, id: UnitId, unit: &'u Unit) -> Vec<Declared<'u>> {
        let mut items = draft.declare(unit);
        let mut names = Names::default();
        let included = self.closures[id].iter().filter(|at| **at != id);
        for item in included.flat_map(|at| &self.declared[*at]).chain(&items) {
            // A name that is taken is reported when all types are known.
            let _ = item.define(&mut names, Some(self.library));
        }
        let mut lowering = draft.enter(FileContext {
            view: self.view(&names),
            roots: &unit.roots,
            incomplete: unit.incomplete,
        });
        items.extend(lowering.declare_types(&unit.ast));
        items
    }

    fn view<'f>(&'f self, own: &'f Names) -> View<'f> {
        View {
            own,
            library: self.library,
        }
    }

    /// What a file depends on.
    pub(super) fn context(&self, id: UnitId) -> FileContext<'_> {
        FileContext {
            view: self.view(&self.names[id]),
            roots: &self.units[id].roots,
            incomplete: self.units[id].incomplete,
        }
    }

    /// The files that a file includes, itself last.
    pub(super) fn files_of(&self, id: UnitId) -> impl Iterator<Item = FileId> {
        self.closures[id].iter().map(|at| self.units[*at].file)
    }

    /// The names that a file and those that it includes declare.
    pub(super) fn names_of(&self, id: UnitId) -> &Names {
        &self.names[id]
    }

    /// What the layers of the command line depend on.
    pub(super) fn command_line(&self) -> FileContext<'_> {
        FileContext {
            view: self.view(&self.everything),
            roots: &self.roots,
            incomplete: self.units.iter().find_map(|unit| unit.incomplete),
        }
    }

    /// What each file sees, for those who read the program.
    pub(super) fn views(&self) -> FxHashMap<FileId, FileView> {
        let view = |(id, unit): (UnitId, &Unit)| {
            let mut files: Vec<FileId> = Vec::new();
            for included in self.closures[id].iter().map(|at| &self.units[*at]) {
                files.push(included.file);
                files.extend(included.json.iter().map(|(_, file)| file.file));
            }
            let view = FileView {
                names: self.names[id].clone(),
                files,
                root: unit.roots.first().cloned().unwrap_or_default(),
            };
            (unit.file, view)
        };
        self.units.pairs().map(view).collect()
    }
}

/// A file and all that it includes, each once, the file itself last.
fn closure(units: &Table<UnitId, Unit>, start: UnitId) -> Vec<UnitId> {
    let mut out = Vec::new();
    let mut seen = Table::filled(units, false);
    let mut stack = vec![(start, 0)];
    seen[start] = true;
    while let Some((at, next)) = stack.pop() {
        match units[at].includes.get(next) {
            Some(include) => {
                stack.push((at, next + 1));
                if !std::mem::replace(&mut seen[*include], true) {
                    stack.push((*include, 0));
                }
            }
            None => out.push(at),
        }
    }
    out
}
