//! Layers to values: the final value of each variable in one image, and what is wrong with it.
//!
//! [`evaluate`] is a pure function of the program and the image. It computes facts and conditions, merges the layers,
//! computes the late-bound values and checks them. A name refers to the final value: an expression sees what the
//! strongest layer sets, wherever the expression itself is.

mod activate;
mod dependencies;
mod interpret;
mod judge;
mod lints;
mod merge;
mod model;
mod probes;
mod rules;

use crate::diagnostic::{Code, Diagnostic};
use crate::packer::Selection;
use crate::project::hir::*;
use crate::project::{Program, Stack, StackLayer, Table};
use crate::schema::Value;
use crate::source::{MAX_IMAGE, MAX_VALUE, MAX_WORK, Span};
use interpret::{Finished, Interpret, PATTERN_WORK, Stop};
pub use judge::Judgement;
pub use model::{Kin, Model};
pub use probes::{ProbePlan, ProbeTask};
use rustc_hash::FxHashSet;
use smol_str::SmolStr;
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::OnceLock;

/// A setting that holds for an image: its conditions are true.
#[derive(Debug, Clone, Copy)]
pub struct Active<'p> {
    /// The layer that contains it.
    pub layer: LayerIdx,
    /// The setting.
    pub setting: &'p Setting,
}

/// One image with the final value of every variable.
#[derive(Debug)]
pub struct Image<'p> {
    /// The program that declares it.
    pub program: &'p Program,
    /// Its declaration.
    pub section: SectionId,
    /// Its layers.
    pub stack: Stack,
    /// The provider that builds it.
    pub provider: ProviderId,
    /// For each variable where its settings are in `active`: from, and up to.
    places: Table<VarId, (usize, usize)>,
    active: Vec<Active<'p>>,
    values: Table<VarId, Option<Value>>,
    /// The variables that the project sets, under any of their names.
    user_set: Table<VarId, bool>,
    /// The variables whose values depend on what the project sets: worked out once, when first asked for.
    user_dependent: OnceLock<Table<VarId, bool>>,
    /// The variables that the image sees, in order of declaration.
    ids: Vec<VarId>,
    /// Every `-=` that holds, and whether it removed something.
    pub removals: Vec<(Span, bool)>,
    /// What is wrong with its values.
    pub diagnostics: Vec<Diagnostic>,
    /// Variables that the library derives from one that only the build knows, and that have no value for it.
    pub underived: Vec<VarId>,
    /// Variables whose value could not be computed; what reads them is silent.
    broken: Table<VarId, bool>,
    /// The bytes that its expressions have read and made; at most `MAX_WORK`.
    work: Cell<usize>,
    /// What [`Image::size`] returns, once it is known.
    size: OnceCell<usize>,
    /// The regular expressions that they have used.
    patterns: RefCell<FxHashSet<SmolStr>>,
    /// The waivers that it needs.
    waived: RefCell<Vec<usize>>,
}

/// An image while it is evaluated: each variable is computed when it is first read.
struct Evaluator<'p> {
    image: Image<'p>,
    states: Table<VarId, State>,
    /// The variables that are being computed, each for the one before it.
    chain: Vec<VarId>,
    /// The variable that is being computed has no value because of an error.
    has_failed: bool,
    /// The bytes of memory that the values take.
    size: usize,
}

/// What is found while a value is computed. It is dropped where a value is computed only to be shown or compared.
#[derive(Debug, Default)]
struct Log {
    diagnostics: Vec<Diagnostic>,
    removals: Vec<(Span, bool)>,
    underived: Vec<VarId>,
    has_failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// Evaluates an image. With `provider` its target is built by that provider instead.
///
/// # Errors
/// Where it has no target, or two.
pub fn evaluate<'p>(
    program: &'p Program,
    section: SectionId,
    provider: Option<ProviderId>,
) -> Result<Image<'p>, Box<Diagnostic>> {
    let stack = Stack::new(program, section, provider)?;
    Ok(evaluate_on(program, section, provider, stack))
}

/// Evaluates an image whose layers are known.
pub fn evaluate_on<'p>(
    program: &'p Program,
    section: SectionId,
    provider: Option<ProviderId>,
    stack: Stack,
) -> Image<'p> {
    let own = program
        .section(stack.target)
        .target
        .as_ref()
        .map(|t| t.provider);
    let image = Image {
        program,
        section,
        provider: provider.or(own).unwrap_or(ProviderId(0)),
        stack,
        places: Table::filled(&program.variables, (0, 0)),
        active: Vec::new(),
        values: Table::filled(&program.variables, None),
        user_set: Table::filled(&program.variables, false),
        user_dependent: OnceLock::new(),
        ids: Vec::new(),
        removals: Vec::new(),
        diagnostics: Vec::new(),
        underived: Vec::new(),
        broken: Table::filled(&program.variables, false),
        work: Cell::new(0),
        size: OnceCell::new(),
        patterns: RefCell::default(),
        waived: RefCell::default(),
    };
    let mut image = Evaluator::new(image).evaluate();
    let found = image.check();
    image.diagnostics.extend(found);
    if image.work.get() > MAX_WORK && !image.diagnostics.iter().any(|d| d.code == Code::TooLarge) {
        // A rule would be silent.
        image
            .diagnostics
            .push(too_much(program.section(section).span));
    }
    let name = program.section(section).name.to_string();
    for diagnostic in &mut image.diagnostics {
        diagnostic.images.push(name.clone());
    }
    image
}

impl<'p> Evaluator<'p> {
    fn new(image: Image<'p>) -> Evaluator<'p> {
        let states = Table::filled(&image.program.variables, State::New);
        Evaluator {
            image,
            states,
            chain: Vec::new(),
            has_failed: false,
            size: 0,
        }
    }

    fn evaluate(mut self) -> Image<'p> {
        self.settle();
        for id in self.image.ids.clone() {
            self.require(id);
        }
        self.image
    }

    /// Counts the value of a variable. Of one that the image has no room for, nothing is kept, and what comes after it is
    /// not computed.
    fn keep(&mut self, id: VarId, value: Option<Value>) -> Option<Value> {
        self.size += value.as_ref().map_or(0, |value| value.size(MAX_VALUE));
        if !self.is_full() {
            return value;
        }
        let message = format!(
            "the values of this image have more than {} MiB",
            MAX_IMAGE >> 20
        );
        self.image.diagnostics.push(
            Diagnostic::new(Code::TooLarge, self.image.place_of(id), message)
                .label("the limit is exceeded here")
                .help("put large values into files that a role copies"),
        );
        self.has_failed = true;
        None
    }

    /// True where the image has no room for another value.
    fn is_full(&self) -> bool {
        self.size > MAX_IMAGE
    }

    /// Evaluates, reporting what cannot be computed.
    fn eval_reported(&mut self, expr: &'p Expr) -> Option<Value> {
        let mut log = Log::default();
        let value = log.eval(self, expr);
        self.absorb(log);
        value
    }

    fn absorb(&mut self, log: Log) {
        self.image.diagnostics.extend(log.diagnostics);
        self.image.removals.extend(log.removals);
        self.image.underived.extend(log.underived);
        self.has_failed |= log.has_failed;
    }
}

impl Log {
    /// Evaluates, and notes what cannot be computed.
    fn eval<'p>(&mut self, reader: &mut impl Interpret<'p>, expr: &'p Expr) -> Option<Value> {
        let result = reader.eval(expr);
        self.has_failed |= result.is_err();
        match result {
            Ok(value) => value,
            Err(Stop::Reported) => None,
            // The library's own expression over what the project leaves open: whether that matters, the target's readers
            // say.
            Err(Stop::Opaque(span))
                if !reader.image().program.sources.is_users(span.file)
                    && reader.current().is_some() =>
            {
                self.underived.extend(reader.current());
                None
            }
            Err(Stop::Opaque(span)) => {
                self.diagnostics.push(
                    Diagnostic::new(
                        Code::OpaqueValue,
                        span,
                        "this requires a value that is known only during the build",
                    )
                    .label("such a value can only be used alone or in a string")
                    .help(
                        "use it alone or in a string: environment variables, secrets and Packer expressions have no value before the build",
                    ),
                );
                None
            }
            Err(Stop::TooLarge(span)) => {
                self.diagnostics.push(too_large(span));
                None
            }
            Err(Stop::TooMuch(span)) => {
                self.diagnostics.push(too_much(span));
                None
            }
            Err(Stop::Failed(span, message)) => {
                self.diagnostics
                    .push(Diagnostic::new(Code::TypeMismatch, span, message));
                None
            }
        }
    }
}

fn too_large(span: Span) -> Diagnostic {
    let message = format!(
        "this value is larger than the limit of {} MiB",
        crate::source::MAX_VALUE >> 20
    );
    Diagnostic::new(Code::TooLarge, span, message)
        .help("put a value of this size into a file that a role copies")
}

fn too_much(span: Span) -> Diagnostic {
    let message = format!(
        "the expressions of this image read and make more than {} MiB",
        MAX_WORK >> 20
    );
    Diagnostic::new(Code::TooLarge, span, message)
        .label("the limit is exceeded here")
        .help("put large values into files that a role copies")
}

impl<'p> Image<'p> {
    /// Its name.
    pub fn name(&self) -> &'p str {
        &self.program.section(self.section).name
    }

    /// The variables that the image sees: the library's, its file's, and the entries of its blocks.
    pub fn ids(&self) -> &[VarId] {
        &self.ids
    }

    /// Returns about how many bytes of memory its values take, at most [`MAX_IMAGE`].
    pub fn size(&self) -> usize {
        *self
            .size
            .get_or_init(|| self.ids.iter().map(|id| self.size_of(*id)).sum())
    }

    /// Returns the same for one variable.
    fn size_of(&self, id: VarId) -> usize {
        self.value(id).map_or(0, |value| value.size(MAX_VALUE))
    }

    /// Returns the bytes that its expressions have read and made, without what it pays for its regular expressions: they
    /// are compiled once for many images.
    pub fn work(&self) -> usize {
        let patterns = self.patterns.borrow().len() * PATTERN_WORK;
        self.work.get().saturating_sub(patterns)
    }

    /// True where its expressions have read and made more than they may, so that some of them have no value.
    pub fn has_spent_all(&self) -> bool {
        self.work.get() > MAX_WORK
    }

    /// What each of [`Image::runs`] selects.
    pub fn selections(&self) -> Vec<&'p Selection> {
        self.runs().iter().map(|run| &run.selection).collect()
    }

    /// The target's runs of Packer; where another provider builds it, those of the library's targets of that provider if
    /// they all agree. None where nothing defines how Packer runs.
    pub fn runs(&self) -> &'p [Run] {
        let target = self.program.section(self.stack.target).target.as_ref();
        match target.filter(|t| t.provider == self.provider) {
            Some(target) => &target.runs,
            None => self.usual_runs(),
        }
    }

    fn usual_runs(&self) -> &'p [Run] {
        let program = self.program;
        let all = program
            .library
            .sections
            .values()
            .filter_map(|(id, _)| program.section(*id).target.as_ref());
        let mut targets = all.filter(|target| target.provider == self.provider);
        let Some(first) = targets.next() else {
            return &[];
        };
        let is_usual = |target: &Target| {
            target.runs.len() == first.runs.len()
                && target
                    .runs
                    .iter()
                    .zip(&first.runs)
                    .all(|(a, b)| a.selection == b.selection)
        };
        let has_vars = !first.vars.is_empty() || first.runs.iter().any(|run| !run.vars.is_empty());
        if has_vars || !targets.all(is_usual) {
            &[]
        } else {
            &first.runs
        }
    }

    /// The final value; none where it is unset.
    pub fn value(&self, id: VarId) -> Option<&Value> {
        self.values.find(id)?.as_ref()
    }

    /// True where the value could not be computed, which has been reported.
    pub fn is_broken(&self, id: VarId) -> bool {
        self.broken.find(id).copied().unwrap_or(false)
    }

    /// The settings of a variable that hold, weakest first.
    pub fn settings(&self, id: VarId) -> &[Active<'p>] {
        let (from, to) = self.places.find(id).copied().unwrap_or_default();
        self.active.get(from..to).unwrap_or_default()
    }

    /// The variables that layers set, with their settings that hold, in the order of the variables.
    fn set_variables(&self) -> impl Iterator<Item = (VarId, &[Active<'p>])> {
        let groups = self
            .active
            .chunk_by(|a, b| a.setting.variable == b.setting.variable);
        groups.filter_map(|group| Some((group.first()?.setting.variable, group)))
    }

    /// The settings that make the value, after what `unset` drops; and whether the default is below.
    pub fn effective_settings(&self, id: VarId) -> (Vec<Active<'p>>, bool) {
        self.drop_unset(self.settings(id))
    }

    /// The deprecated names of a variable, and its own.
    fn names_of(&self, id: VarId) -> impl Iterator<Item = VarId> + use<'p> {
        let program: &'p Program = self.program;
        program.aliases_of(id).iter().copied().chain([id])
    }

    /// The settings that make the value, a deprecated name's among them, weakest first.
    pub fn all_settings(&self, id: VarId) -> Vec<Active<'p>> {
        let mut all: Vec<_> = self
            .names_of(id)
            .flat_map(|name| self.effective_settings(name).0)
            .collect();
        all.sort_by_key(|a| a.layer);
        all
    }

    /// Every setting that holds, of a deprecated name too, weakest first, `unset` among them; each with whether it takes
    /// part in the value, or else is an `unset` or was dropped by one.
    pub fn settings_and_dropped(&self, id: VarId) -> Vec<(Active<'p>, bool)> {
        // A layer can set a variable very often.
        let kept: FxHashSet<*const Setting> = self
            .all_settings(id)
            .iter()
            .map(|active| std::ptr::from_ref(active.setting))
            .collect();
        let takes_part = |active: &Active<'p>| kept.contains(&std::ptr::from_ref(active.setting));
        let all = self.names_of(id).flat_map(|name| self.settings(name));
        let mut all: Vec<_> = all.map(|active| (*active, takes_part(active))).collect();
        all.sort_by_key(|(active, _)| active.layer);
        all
    }

    /// The condition of the `when` block around a setting.
    pub fn condition(&self, active: Active<'p>) -> Option<Span> {
        let StackLayer::Section(id) = self.stack.layer(active.layer)? else {
            return None;
        };
        let condition = self
            .program
            .section(id)
            .conditions
            .get(active.setting.condition? as usize)?;
        Some(condition.expr.span)
    }

    /// The strongest setting of a variable, under any of its names.
    pub fn winner(&self, id: VarId) -> Option<Active<'p>> {
        self.names_of(id)
            .filter_map(|name| self.own_winner(name))
            .max_by_key(|a| a.layer)
    }

    /// Where a variable gets its value: its strongest setting, its default or its declaration.
    fn place_of(&self, id: VarId) -> Span {
        let variable = self.program.variable(id);
        match (self.winner(id), &variable.default) {
            (Some(active), _) => active.setting.value.span,
            (None, Some(default)) => default.span,
            (None, None) => variable.span,
        }
    }

    /// The strongest setting under this name.
    fn own_winner(&self, id: VarId) -> Option<Active<'p>> {
        let last = self.settings(id).last()?;
        if last.setting.change != Change::Unset {
            return Some(*last);
        }
        let (kept, _) = self.effective_settings(id);
        kept.last().copied()
    }

    /// True where the project, not the library, sets it.
    pub fn is_set_by_users(&self, id: VarId) -> bool {
        self.user_set.find(id).copied().unwrap_or(false)
    }

    /// True where settings of one variable contain one of the project that takes part in its value.
    fn has_users(&self, settings: &[Active<'p>]) -> bool {
        let is_users = |a: &Active<'p>| self.program.sources.is_users(a.setting.span.file);
        let has_unset = || settings.iter().any(|a| a.setting.change == Change::Unset);
        settings.iter().any(is_users)
            && (!has_unset() || self.drop_unset(settings).0.iter().any(is_users))
    }

    /// Finds the variables that the project sets.
    fn find_user_set(&self) -> Table<VarId, bool> {
        let mut found = Table::filled(&self.program.variables, false);
        for (id, group) in self.set_variables() {
            if self.has_users(group) {
                found[id] = true;
                if let Some(real) = self.program.variable(id).alias_of() {
                    found[real] = true;
                }
            }
        }
        found
    }

    /// The name of a layer, for people.
    pub fn layer_name(&self, layer: LayerIdx) -> String {
        match self.stack.layer(layer) {
            Some(StackLayer::Provider(id)) => {
                format!("provider {}", self.program.provider(id).name)
            }
            Some(StackLayer::Section(id)) => self.program.section(id).name.to_string(),
            Some(StackLayer::TargetVars(id)) => {
                format!("target of {}", self.program.section(id).name)
            }
            None => String::new(),
        }
    }

    /// What its layers and rules find wrong with an image whose values are computed.
    fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        self.check_finals(&mut found);
        self.check_parents(&mut found);
        self.check_fixed(&mut found);
        self.check_flag_files(&mut found);
        self.check_rules(&mut found);
        found
    }

    /// True where a variable's `applies` holds, or cannot be computed.
    pub fn applies(&self, id: VarId) -> bool {
        match &self.program.variable(id).applies {
            Some(condition) => {
                let answer = Finished(self).eval(condition);
                !matches!(answer, Ok(Some(Value::Bool(false))))
            }
            None => true,
        }
    }

    /// The value of one setting alone, for showing where a value comes from.
    pub fn setting_value(&self, setting: &'p Setting) -> Option<Value> {
        Finished(self).eval(&setting.value).ok().flatten()
    }

    /// The value of a variable's declared default.
    pub fn default_value(&self, id: VarId) -> Option<Value> {
        let default = self.program.variable(id).default.as_ref()?;
        Finished(self).eval(default).ok().flatten()
    }
}
