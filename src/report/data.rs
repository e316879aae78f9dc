//! The values of many images, with each distinct value and setting once.

use crate::emit::{Trace, Traced};
use crate::project::Program;
use crate::project::hir::{SectionId, VarId};
use crate::source::{MAX_OUTPUT, MAX_PRINTED, visible};
use crate::syntax::{print_key, print_text};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An image, as the collector keeps it.
#[derive(Debug)]
pub struct Row {
    section: SectionId,
    target: String,
    provider: String,
    declared: (String, u32, u32),
    layers: Vec<String>,
    /// The traces of its values, by the collector's numbers.
    traces: Vec<u32>,
}

/// Takes images, and keeps what is equal in several of them once. Several threads can use it.
#[derive(Debug, Default)]
pub struct Collector {
    known: Mutex<Known>,
}

/// The distinct traces, with their numbers.
#[derive(Debug, Default)]
struct Known {
    numbers: FxHashMap<(VarId, String), u32>,
    /// The bytes of their texts.
    size: usize,
    /// The bytes of the texts of all images.
    taken: usize,
}

impl Known {
    fn is_full(&self) -> bool {
        self.size > MAX_PRINTED || self.taken > MAX_OUTPUT
    }
}

impl Collector {
    /// True if there is more than a page can contain. No further image need be taken.
    pub fn is_full(&self) -> bool {
        self.lock().is_full()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an image.
    pub fn take(&self, image: Traced) -> Row {
        let texts: Vec<(VarId, String)> = image
            .traces
            .iter()
            .filter_map(|(id, trace)| Some((*id, serde_json::to_string(trace).ok()?)))
            .collect();
        let mut known = self.lock();
        let mut traces = Vec::with_capacity(texts.len());
        for text in texts {
            // What is more than a page can contain is not kept.
            if known.is_full() {
                break;
            }
            let (next, size) = (known.numbers.len() as u32, text.1.len());
            known.taken += size;
            let number = *known.numbers.entry(text).or_insert(next);
            if number == next {
                known.size += size;
            }
            traces.push(number);
        }
        Row {
            section: image.section,
            target: image.target,
            provider: image.provider,
            declared: image.declared,
            layers: image.layers,
            traces,
        }
    }

    /// Returns the data of all images, in their order. The numbers in it do not depend on the order in which threads took them.
    /// None if the distinct values and settings have more than [`MAX_PRINTED`] bytes, or those of all images [`MAX_OUTPUT`].
    pub fn finish(self, program: &Program, rows: &[Row]) -> Option<Data> {
        let known = self.known.into_inner();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        if known.is_full() {
            return None;
        }
        let known = known.numbers;
        let mut by_number: Vec<Option<(VarId, String)>> = Vec::new();
        by_number.resize_with(known.len(), || None);
        for (trace, at) in known {
            if let Some(place) = by_number.get_mut(at as usize) {
                *place = Some(trace);
            }
        }
        let mut writer = Writer {
            program,
            by_number,
            ..Writer::default_for(program)
        };
        let bases = bases(rows);
        let mut base_of: BTreeMap<&str, usize> = BTreeMap::new();
        for (target, shared) in &bases {
            let traces = shared.iter().map(|at| writer.trace(*at)).collect();
            base_of.insert(target, writer.data.bases.len());
            writer.data.bases.push(sorted(traces));
        }
        for row in rows {
            let base = base_of.get(row.target.as_str()).copied().unwrap_or(0);
            let shared = bases.get(row.target.as_str());
            let is_own = |at: &&u32| shared.is_none_or(|shared| !shared.contains(at));
            let own = row.traces.iter().filter(is_own);
            let own = own.map(|at| writer.trace(*at)).collect();
            writer.image(row, base, sorted(own));
        }
        let sections = program.sections.own();
        let sections = sections.iter();
        let names = sections.filter(|section| program.sources.is_users(section.span.file));
        let names = names.filter_map(|section| writer.names.0.get(section.name.as_str()).copied());
        writer.data.own_names = sorted(names.collect());
        Some(writer.data)
    }
}

/// For each target the traces that all its images have.
fn bases(rows: &[Row]) -> BTreeMap<&str, FxHashSet<u32>> {
    let mut out: BTreeMap<&str, FxHashSet<u32>> = BTreeMap::new();
    for row in rows {
        let own = || row.traces.iter().copied();
        match out.get_mut(row.target.as_str()) {
            Some(shared) => {
                let own: FxHashSet<u32> = own().collect();
                shared.retain(|at| own.contains(at));
            }
            None => drop(out.insert(&row.target, own().collect())),
        }
    }
    out
}

fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers
}

/// What the page knows. Numbers are places in the tables. Invisible characters are escaped in all texts.
#[derive(Debug, Default, Serialize)]
pub struct Data {
    /// Paths.
    files: Vec<String>,
    /// Names of layers, targets and providers.
    names: Vec<String>,
    /// Conditions.
    conditions: Vec<String>,
    /// Names among `names` that are those of the project's layers and images.
    own_names: Vec<u32>,
    /// Values as a spec writes them; a string of several lines as it is.
    values: Vec<String>,
    /// Variables: name and documentation.
    variables: Vec<(String, String)>,
    /// Settings: what it does, layer, file, line, column, value, condition or -1.
    steps: Vec<(String, u32, u32, u32, u32, u32, i64)>,
    /// Values with their settings, the strongest first: variable, value, settings.
    traces: Vec<(u32, u32, Vec<u32>)>,
    /// For each target the traces that all its images have.
    bases: Vec<Vec<u32>>,
    /// The images.
    images: Vec<Listed>,
}

/// An image of the page.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    doc: String,
    target: u32,
    provider: u32,
    file: u32,
    line: u32,
    /// The strongest first.
    layers: Vec<u32>,
    base: usize,
    /// The traces that `base` does not have.
    own: Vec<u32>,
}

/// A table that has each entry once.
#[derive(Debug)]
struct Table<K>(FxHashMap<K, u32>);

impl<K> Default for Table<K> {
    fn default() -> Table<K> {
        Table(FxHashMap::default())
    }
}

impl<K: Hash + Eq> Table<K> {
    /// The number of an entry, which `make` makes if it is new.
    fn number<T>(&mut self, key: K, entries: &mut Vec<T>, make: impl FnOnce() -> T) -> u32 {
        *self.0.entry(key).or_insert_with(|| {
            entries.push(make());
            entries.len() as u32 - 1
        })
    }
}

struct Writer<'p> {
    program: &'p Program,
    by_number: Vec<Option<(VarId, String)>>,
    numbers: Vec<Option<u32>>,
    data: Data,
    files: Table<String>,
    names: Table<String>,
    conditions: Table<String>,
    values: Table<String>,
    variables: Table<VarId>,
    steps: Table<(String, u32, u32, u32, u32, u32, i64)>,
}

impl<'p> Writer<'p> {
    fn default_for(program: &'p Program) -> Writer<'p> {
        Writer {
            program,
            by_number: Vec::new(),
            numbers: Vec::new(),
            data: Data::default(),
            files: Table::default(),
            names: Table::default(),
            conditions: Table::default(),
            values: Table::default(),
            variables: Table::default(),
            steps: Table::default(),
        }
    }

    fn file(&mut self, path: &str) -> u32 {
        let text = || visible(path).into_owned();
        self.files
            .number(path.to_owned(), &mut self.data.files, text)
    }

    fn name(&mut self, name: &str) -> u32 {
        let text = || visible(name).into_owned();
        self.names
            .number(name.to_owned(), &mut self.data.names, text)
    }

    fn value(&mut self, value: &Json) -> u32 {
        let text = || written(value);
        self.values
            .number(value.to_string(), &mut self.data.values, text)
    }

    /// The number of a trace in the data.
    fn trace(&mut self, at: u32) -> u32 {
        let at = at as usize;
        self.numbers.resize(self.by_number.len(), None);
        if let Some(Some(known)) = self.numbers.get(at) {
            return *known;
        }
        let taken = self.by_number.get_mut(at).and_then(Option::take);
        let Some((id, text)) = taken else {
            return 0;
        };
        let Ok(trace) = serde_json::from_str::<Trace>(&text) else {
            return 0;
        };
        let program = self.program;
        let variable = self.variables.number(id, &mut self.data.variables, || {
            let variable = program.variable(id);
            let doc = variable.doc.as_deref().unwrap_or_default();
            let doc = doc.split("\n\n").next().unwrap_or_default();
            let name = visible(&variable.name).into_owned();
            (name, visible(doc).into_owned())
        });
        let value = self.value(&trace.value);
        let steps = trace.set_by.iter().map(|step| {
            let condition = step.when.as_ref().map_or(-1, |when| {
                let text = || visible(when).into_owned();
                let table = &mut self.conditions;
                i64::from(table.number(when.clone(), &mut self.data.conditions, text))
            });
            let step = (
                step.does.word().to_owned(),
                self.name(&step.layer),
                self.file(&step.file),
                step.line,
                step.column,
                self.value(&step.value),
                condition,
            );
            self.steps
                .number(step.clone(), &mut self.data.steps, || step)
        });
        let steps = steps.collect();
        let number = self.data.traces.len() as u32;
        self.data.traces.push((variable, value, steps));
        if let Some(place) = self.numbers.get_mut(at) {
            *place = Some(number);
        }
        number
    }

    fn image(&mut self, row: &Row, base: usize, own: Vec<u32>) {
        let section = self.program.section(row.section);
        let doc = section.doc.as_deref().unwrap_or_default();
        let (file, line, _) = &row.declared;
        let layers = row.layers.iter().rev();
        let listed = Listed {
            name: visible(&section.name).into_owned(),
            doc: visible(doc).into_owned(),
            target: self.name(&row.target),
            provider: self.name(&row.provider),
            file: self.file(file),
            line: *line,
            layers: layers.map(|layer| self.name(layer)).collect(),
            base,
            own,
        };
        self.data.images.push(listed);
    }
}

/// A value as a spec writes it, with invisible characters escaped. A string of several lines stays as it is.
fn written(value: &Json) -> String {
    match value {
        Json::String(text) if text.contains('\n') => visible(text).into_owned(),
        other => inner(other),
    }
}

fn inner(value: &Json) -> String {
    match value {
        Json::String(text) => print_text(text),
        Json::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(inner).collect();
            format!("[{}]", elements.join(", "))
        }
        Json::Object(entries) if entries.is_empty() => "{ }".to_owned(),
        Json::Object(entries) => {
            let entries = entries.iter();
            let entries =
                entries.map(|(key, value)| format!("{} = {}", print_key(key), inner(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Json::Null => "unset".to_owned(),
        other => other.to_string(),
    }
}
