//! Layers to values: what each variable comes to for one image, and whether that is right.
//!
//! [`evaluate`] is a pure function of the program and the image. It settles facts, asks conditions,
//! folds the layers, computes the late-bound values and checks them. Names are final values: an
//! expression sees what the strongest layer made of a variable, wherever it stands itself.

mod checks;
mod compute;
mod rules;

use crate::diagnostic::{Code, Diagnostic};
use crate::project::hir::*;
use crate::project::{Program, Stack, StackLayer};
use crate::schema::{Base, Value, check_value, find_unencodable};
use crate::source::Span;
use compute::Stop;
use std::sync::Arc;

/// How many variables may be defined by each other in a row.
const MAX_CHAIN: usize = 200;

/// A setting that holds for an image: its conditions are true.
#[derive(Debug, Clone, Copy)]
pub struct Active<'p> {
    /// Index into the stack's layers.
    pub layer: u32,
    pub setting: &'p Setting,
}

/// One image with the final value of every variable.
#[derive(Debug)]
pub struct Image<'p> {
    pub program: &'p Program,
    pub section: SectionId,
    pub stack: Stack,
    pub provider: ProviderId,
    /// For each variable where its settings begin in `active`.
    starts: Vec<u32>,
    active: Vec<Active<'p>>,
    values: Vec<Option<Value>>,
    /// The variables that the image sees, in order of declaration.
    ids: Vec<VarId>,
    /// Every `-=` that holds, and whether it removed something.
    pub removals: Vec<(Span, bool)>,
    pub diagnostics: Vec<Diagnostic>,
    states: Vec<State>,
    chain: Vec<VarId>,
    /// Variables whose value could not be computed; what reads them is silent.
    broken: Vec<bool>,
    /// The variable that is being computed is one of them.
    has_failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// What a variable's settings fold to, before anything is computed.
struct Folded<'p> {
    base: FoldBase<'p>,
    /// `+=` and `-=` above the base, weakest first.
    changes: Vec<Active<'p>>,
}

#[derive(Clone, Copy)]
enum FoldBase<'p> {
    Nothing,
    Expr(&'p Expr),
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
    let own = program.section(stack.target).target.as_ref().map(|t| t.provider);
    let count = program.variables.len();
    let mut image = Image {
        program,
        section,
        provider: provider.or(own).unwrap_or(ProviderId(0)),
        stack,
        starts: Vec::new(),
        active: Vec::new(),
        values: vec![None; count],
        ids: Vec::new(),
        removals: Vec::new(),
        diagnostics: Vec::new(),
        states: vec![State::New; count],
        chain: Vec::new(),
        broken: vec![false; count],
        has_failed: false,
    };
    image.settle();
    for at in 0..image.ids.len() {
        image.compute(image.ids[at]);
    }
    image.check_finals();
    image.check_parents();
    image.check_fixed();
    image.check_rules();
    let name = program.section(section).name.to_string();
    for diagnostic in &mut image.diagnostics {
        diagnostic.images.push(name.clone());
    }
    Ok(image)
}

impl<'p> Image<'p> {
    pub fn name(&self) -> &'p str {
        &self.program.section(self.section).name
    }

    /// The variables that the image sees: the library's, its file's, and the entries of its blocks.
    pub fn ids(&self) -> &[VarId] {
        &self.ids
    }

    /// The final value; none where it is unset.
    pub fn value(&self, id: VarId) -> Option<&Value> {
        self.values[id.0 as usize].as_ref()
    }

    /// True where the value could not be computed, which has been reported.
    pub fn is_broken(&self, id: VarId) -> bool {
        self.broken[id.0 as usize]
    }

    /// The settings of a variable that hold, weakest first.
    pub fn settings(&self, id: VarId) -> &[Active<'p>] {
        let (from, to) = (self.starts[id.0 as usize], self.starts[id.0 as usize + 1]);
        &self.active[from as usize..to as usize]
    }

    /// The settings that make the value, after what `unset` drops; and whether the default is below.
    pub fn effective_settings(&self, id: VarId) -> (Vec<Active<'p>>, bool) {
        let mut kept: Vec<Active<'p>> = Vec::new();
        let mut has_default = true;
        for active in self.settings(id) {
            if active.setting.change != Change::Unset {
                kept.push(*active);
            } else if active.layer as usize > self.stack.target_at {
                kept.retain(|k| k.layer as usize <= self.stack.target_at);
            } else {
                kept.clear();
                has_default = false;
            }
        }
        (kept, has_default)
    }

    /// The strongest setting of a variable.
    pub fn winner(&self, id: VarId) -> Option<Active<'p>> {
        self.settings(id).last().copied().filter(|a| a.setting.change != Change::Unset).or_else(|| {
            let (kept, _) = self.effective_settings(id);
            kept.last().copied()
        })
    }

    /// True where the project, not the library, sets it.
    pub fn is_set_by_users(&self, id: VarId) -> bool {
        let (kept, _) = self.effective_settings(id);
        kept.iter().any(|a| self.program.sources.is_users(a.setting.span.file))
    }

    /// The name of a layer, for people.
    pub fn layer_name(&self, layer: u32) -> String {
        match self.stack.layers.get(layer as usize) {
            Some(StackLayer::Provider(id)) => {
                format!("provider {}", self.program.provider(*id).name)
            }
            Some(StackLayer::Section(id)) => self.program.section(*id).name.to_string(),
            Some(StackLayer::TargetVars(id)) => {
                format!("target of {}", self.program.section(*id).name)
            }
            None => String::new(),
        }
    }

    fn layer_settings(&self, layer: usize) -> (&'p [Setting], &'p [Condition]) {
        match self.stack.layers[layer] {
            StackLayer::Provider(id) => (&self.program.provider(id).defaults, &[]),
            StackLayer::Section(id) => {
                let section = self.program.section(id);
                (&section.settings, &section.conditions)
            }
            StackLayer::TargetVars(id) => {
                let vars = self.program.section(id).target.as_ref().map_or(&[][..], |t| &t.vars[..]);
                (vars, &[])
            }
        }
    }

    /// Every variable in view, and those that a layer sets.
    fn visible(&self) -> Vec<VarId> {
        let program = self.program;
        let file = program.section(self.section).span.file;
        let own = program.views.get(&file).map(|v| &v.names.variables);
        let mut ids: Vec<VarId> = program.library.variables.values().map(|(id, _)| *id).collect();
        ids.extend(own.into_iter().flat_map(|names| names.values()).map(|(id, _)| *id));
        ids.extend(self.active.iter().map(|a| a.setting.variable));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    // ---- facts, conditions, layers ------------------------------------------------------------

    /// Settles facts, then asks the conditions, then sorts what holds by variable.
    fn settle(&mut self) {
        let program = self.program;
        self.gather(|_, setting, _| {
            setting.condition.is_none() && program.variable(setting.variable).is_fact
        });
        for (i, variable) in program.variables.iter().enumerate() {
            if variable.is_fact {
                self.compute(VarId(i as u32));
            }
        }
        let mut holds: Vec<Vec<bool>> = Vec::with_capacity(self.stack.layers.len());
        for layer in 0..self.stack.layers.len() {
            let (_, conditions) = self.layer_settings(layer);
            let mut answers: Vec<bool> = Vec::with_capacity(conditions.len());
            for condition in conditions {
                let outer = condition.outer.is_none_or(|o| answers[o as usize]);
                answers.push(outer && self.ask(&condition.expr));
            }
            holds.push(answers);
        }
        self.gather(|layer, setting, _| setting.condition.is_none_or(|c| holds[layer][c as usize]));
        self.ids = self.visible();
    }

    /// Sorts the settings that pass by variable; within one variable they stay in order of strength.
    fn gather(&mut self, passes: impl Fn(usize, &Setting, ()) -> bool) {
        let count = self.program.variables.len();
        let mut starts = vec![0u32; count + 1];
        let mut total = 0;
        for layer in 0..self.stack.layers.len() {
            for setting in self.layer_settings(layer).0 {
                if passes(layer, setting, ()) {
                    starts[setting.variable.0 as usize + 1] += 1;
                    total += 1;
                }
            }
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut active: Vec<Option<Active<'p>>> = vec![None; total];
        for layer in 0..self.stack.layers.len() {
            for setting in self.layer_settings(layer).0 {
                if passes(layer, setting, ()) {
                    let slot = &mut next[setting.variable.0 as usize];
                    active[*slot as usize] = Some(Active { layer: layer as u32, setting });
                    *slot += 1;
                }
            }
        }
        self.starts = starts;
        self.active = active.into_iter().flatten().collect();
    }

    /// Asks a condition over facts; where a fact is not known, that is an error.
    fn ask(&mut self, condition: &'p Expr) -> bool {
        match self.eval(condition) {
            Ok(Some(Value::Bool(answer))) => answer,
            Err(Stop::Reported) => false,
            unknown => {
                let why = if matches!(unknown, Err(Stop::Opaque(_))) {
                    "only known at build time"
                } else {
                    "not set"
                };
                let mut names = Vec::new();
                condition.for_each_variable(&mut |id| {
                    let value = self.value(id);
                    if value.is_none_or(Value::is_opaque) {
                        names.push(format!("`{}`", self.program.variable(id).name));
                    }
                });
                names.dedup();
                let message = format!(
                    "this condition asks after {}, which is {why} for the image `{}`",
                    names.join(" and "),
                    self.name()
                );
                self.diagnostics.push(
                    Diagnostic::new(Code::UnsetFact, condition.span, message)
                        .help("set the fact in the image or in the layer of its operating system"),
                );
                false
            }
        }
    }

    /// True where a variable's `applies` holds, or cannot be asked.
    pub fn applies(&mut self, id: VarId) -> bool {
        match &self.program.variable(id).applies {
            Some(condition) => !matches!(self.eval(condition), Ok(Some(Value::Bool(false)))),
            None => true,
        }
    }

    // ---- values -----------------------------------------------------------------------------

    /// Computes a variable's final value, once.
    fn compute(&mut self, id: VarId) {
        let at = id.0 as usize;
        match self.states[at] {
            State::Done => return,
            State::Open => {
                self.report_cycle(id);
                return;
            }
            State::New => {}
        }
        if self.chain.len() >= MAX_CHAIN {
            let span = self.program.variable(id).span;
            self.diagnostics.push(Diagnostic::new(
                Code::ReferenceCycle,
                span,
                format!("more than {MAX_CHAIN} variables are defined by each other in a row"),
            ));
            self.states[at] = State::Done;
            self.broken[at] = true;
            return;
        }
        self.states[at] = State::Open;
        self.chain.push(id);
        let outer = std::mem::replace(&mut self.has_failed, false);
        let value = self.compute_new(id);
        self.broken[at] |= std::mem::replace(&mut self.has_failed, outer);
        self.chain.pop();
        // A cycle found below has closed this variable already.
        if self.states[at] == State::Open {
            self.values[at] = value;
        }
        self.states[at] = State::Done;
    }

    fn compute_new(&mut self, id: VarId) -> Option<Value> {
        let variable = self.program.variable(id);
        if let Some(real) = variable.alias_of {
            let is_list = matches!(self.program.variable(real).ty.base, Base::List(_));
            let is_set = !self.settings(id).is_empty();
            return (is_list && is_set).then(|| Value::list(Vec::new()));
        }
        let value = self.compute_folded(id);
        self.merge_aliases(id, value)
    }

    /// The value of a variable's own settings.
    fn compute_folded(&mut self, id: VarId) -> Option<Value> {
        let (settings, has_default) = match self.settings(id) {
            [] => (Vec::new(), true),
            [.., last] if last.setting.change == Change::Replace => (vec![*last], false),
            _ => self.effective_settings(id),
        };
        let folded = self.fold(id, settings, has_default);
        let is_checked = self.is_constant(&folded);
        let value = self.compute_fold(&folded)?;
        if !is_checked {
            self.check_computed(id, &value, &folded);
        }
        Some(value)
    }

    fn fold(&self, id: VarId, settings: Vec<Active<'p>>, has_default: bool) -> Folded<'p> {
        let base = settings.iter().rposition(|a| a.setting.change == Change::Replace);
        let default = self.program.variable(id).default.as_ref().filter(|_| has_default);
        Folded {
            base: match (base, default) {
                (Some(at), _) => FoldBase::Expr(&settings[at].setting.value),
                (None, Some(default)) => FoldBase::Expr(default),
                (None, None) => FoldBase::Nothing,
            },
            changes: settings[base.map_or(0, |at| at + 1)..].to_vec(),
        }
    }

    fn is_constant(&self, folded: &Folded<'p>) -> bool {
        let is_const = |e: &Expr| matches!(e.kind, ExprKind::Const(_));
        folded.changes.iter().all(|a| is_const(&a.setting.value))
            && match folded.base {
                FoldBase::Expr(expr) => is_const(expr),
                FoldBase::Nothing => true,
            }
    }

    fn compute_fold(&mut self, folded: &Folded<'p>) -> Option<Value> {
        let mut value = match folded.base {
            FoldBase::Expr(expr) => self.eval_reported(expr),
            FoldBase::Nothing => None,
        };
        for active in &folded.changes {
            let setting = active.setting;
            let change = self.eval_reported(&setting.value);
            let mut elements = match value.take() {
                None => Vec::new(),
                Some(Value::List(elements)) => elements.to_vec(),
                Some(other) => {
                    self.report_not_a_list(setting.name_span, setting.span, &other);
                    return Some(other);
                }
            };
            match change {
                None => {}
                Some(Value::List(change)) if setting.change == Change::Append => {
                    elements.extend(change.iter().cloned())
                }
                Some(Value::List(change)) => {
                    let before = elements.len();
                    elements.retain(|e| !change.contains(e));
                    self.removals.push((setting.span, elements.len() < before));
                }
                Some(other) => self.report_not_a_list(setting.value.span, setting.span, &other),
            }
            value = Some(Value::list(elements));
        }
        value
    }

    fn report_not_a_list(&mut self, span: Span, setting: Span, value: &Value) {
        let found = match value.is_opaque() {
            true => Diagnostic::new(
                Code::OpaqueValue,
                span,
                "a value that is only known at build time cannot be joined with a list",
            ),
            false => {
                Diagnostic::new(Code::TypeMismatch, span, format!("expected a list, found {}", value.kind()))
            }
        };
        self.diagnostics.push(found.related(setting, "`+=` and `-=` change lists"));
    }

    /// The lists of deprecated names go in front; of other types only one name may be set.
    fn merge_aliases(&mut self, id: VarId, value: Option<Value>) -> Option<Value> {
        let program = self.program;
        let mut value = value;
        for (alias_id, real) in &program.aliases {
            let (alias_id, alias) = (*alias_id, program.variable(*alias_id));
            if *real != id || self.settings(alias_id).is_empty() {
                continue;
            }
            let Some(folded) = self.compute_folded(alias_id) else {
                continue;
            };
            value = match (folded, value) {
                (Value::List(front), Some(Value::List(own))) => {
                    Some(Value::list(front.iter().chain(own.iter()).cloned().collect()))
                }
                (front, own) => {
                    let place = |image: &Image<'p>, id| image.winner(id).map(|a| a.setting.span);
                    if let (true, Some(here), Some(there)) =
                        (self.is_set_by_users(id), place(self, alias_id), place(self, id))
                    {
                        self.diagnostics.push(
                            Diagnostic::new(
                                Code::DuplicateSetting,
                                here,
                                format!(
                                    "`{}` and `{}` are one variable, and both are set",
                                    alias.name,
                                    program.variable(id).name
                                ),
                            )
                            .related(there, "its other name is set here")
                            .help(format!("keep `{}`", program.variable(id).name)),
                        );
                        own
                    } else {
                        Some(front)
                    }
                }
            };
        }
        value
    }

    /// A computed value of the wrong type, or one that its encoding cannot carry.
    fn check_computed(&mut self, id: VarId, value: &Value, folded: &Folded<'p>) {
        let variable = self.program.variable(id);
        let expr = match (folded.changes.last(), folded.base) {
            (Some(active), _) => &active.setting.value,
            (None, FoldBase::Expr(expr)) => expr,
            (None, FoldBase::Nothing) => return,
        };
        if let Err(mismatch) = check_value(&variable.ty, value) {
            let message = format!("`{}`: {}", variable.name, mismatch.message);
            self.diagnostics.push(
                Diagnostic::new(Code::TypeMismatch, expr.span, message).label("this is what it comes to"),
            );
        } else if let Some((_, reason)) = find_unencodable(value, variable.encoding) {
            let message = format!("`{}`: {reason}", variable.name);
            self.diagnostics.push(Diagnostic::new(Code::NotEncodable, expr.span, message));
        }
    }

    fn report_cycle(&mut self, id: VarId) {
        let from = self.chain.iter().position(|v| *v == id).unwrap_or(0);
        let members: Vec<VarId> = self.chain[from..].to_vec();
        let mut names: Vec<&str> = members.iter().map(|v| self.program.variable(*v).name.as_str()).collect();
        names.push(names[0]);
        let place = |image: &Image<'p>, id: VarId| match image.winner(id) {
            Some(active) => active.setting.value.span,
            None => image
                .program
                .variable(id)
                .default
                .as_ref()
                .map_or(image.program.variable(id).span, |d| d.span),
        };
        let mut found = Diagnostic::new(
            Code::ReferenceCycle,
            place(self, id),
            format!("variables are defined by each other: {}", names.join(" → ")),
        )
        .label(format!("`{}` is set here", names[0]))
        .help("a name stands for the variable's final value; give one of them a value of its own");
        for member in &members[1..] {
            found = found.related(
                place(self, *member),
                format!("`{}` is set here", self.program.variable(*member).name),
            );
        }
        self.diagnostics.push(found);
        for member in members {
            self.broken[member.0 as usize] = true;
            self.states[member.0 as usize] = State::Done;
            self.values[member.0 as usize] = None;
        }
    }

    /// Evaluates, reporting what cannot be computed.
    fn eval_reported(&mut self, expr: &'p Expr) -> Option<Value> {
        let result = self.eval(expr);
        self.has_failed |= result.is_err();
        match result {
            Ok(value) => value,
            Err(Stop::Reported) => None,
            Err(Stop::Opaque(span)) => {
                self.diagnostics.push(
                    Diagnostic::new(
                        Code::OpaqueValue,
                        span,
                        "this needs a value that is only known at build time",
                    )
                    .label("such a value can be passed on, alone or in a text, and nothing else")
                    .help(
                        "environment variables, secrets and Packer's templates have no value while compiling",
                    ),
                );
                None
            }
            Err(Stop::Failed(span, message)) => {
                self.diagnostics.push(Diagnostic::new(Code::TypeMismatch, span, message));
                None
            }
        }
    }

    /// The value of one setting alone, for showing where a value comes from.
    pub fn setting_value(&mut self, setting: &'p Setting) -> Option<Value> {
        self.eval(&setting.value).ok().flatten()
    }

    /// The value of a variable's declared default.
    pub fn default_value(&mut self, id: VarId) -> Option<Value> {
        let default = self.program.variable(id).default.as_ref()?;
        self.eval(default).ok().flatten()
    }

    fn elements(value: &Value) -> Option<Arc<[Value]>> {
        match value {
            Value::List(elements) => Some(elements.clone()),
            _ => None,
        }
    }
}
