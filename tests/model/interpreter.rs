//! The meaning of a project, as docs/language.md describes it: as simple as possible, and as slow as that is.

use super::language::{
    Argument, Change, Encoding, Expr, Function, Layer, LayerKind, Operator, Part, Source,
    Statement, Type, Variable,
};
use super::value::{Piece, Value, decode, fits};
use std::collections::{BTreeMap, BTreeSet};

/// What the compiler must find in a project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// The codes of all diagnostics, of errors and of warnings.
    pub codes: BTreeSet<&'static str>,
    /// Codes that the compiler may report in addition: of what depends on a value that has an error.
    pub possible: BTreeSet<&'static str>,
    /// The images that have a target.
    pub images: BTreeMap<String, Values>,
}

/// What can be wrong with a value that depends on one that has an error.
const CONSEQUENCES: [&str; 11] = [
    "duplicate-setting",
    "final-overridden",
    "not-encodable",
    "nothing-removed",
    "opaque-value",
    "reference-cycle",
    "required",
    "rule-violated",
    "secret-in-text",
    "type-mismatch",
    "unset-fact",
];

/// What the compiler must find in an image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// The variables with a value, as `imgspec show --json` prints it. The others are unset.
    pub values: BTreeMap<String, serde_json::Value>,
    /// The variables without a value because of an error.
    pub broken: BTreeSet<String>,
}

/// Computes what is expected of a project.
pub fn interpret(source: &Source) -> Expected {
    let mut expected = Expected::default();
    check(source, &mut expected.codes);
    if ["type-mismatch", "wrong-place"]
        .iter()
        .any(|code| expected.codes.contains(code))
    {
        expected.possible.extend(CONSEQUENCES);
    }
    // The setting that is wrong may be the one that is missing.
    let lacks_setting = expected.codes.contains("removed-variable");
    let (mut removals, mut is_doubtful) = (BTreeMap::new(), false);
    for at in 0..source.layers.len() {
        if source.layers[at].kind != LayerKind::Image {
            continue;
        }
        match target_of(source, at) {
            Err(code) => {
                expected.codes.insert(code);
            }
            Ok(target) => {
                let mut image = Image::new(source, at, target);
                let values = image.compute();
                if lacks_setting && image.codes.remove("required") {
                    expected.possible.insert("required");
                }
                expected.codes.append(&mut image.codes);
                expected.possible.append(&mut image.possible);
                if !values.broken.is_empty() {
                    expected.possible.extend(CONSEQUENCES);
                }
                // In a list that depends on itself, nobody knows what is removed.
                is_doubtful |= image.is_doubtful || !image.cyclic.is_empty();
                for (place, has_removed) in image.removals {
                    *removals.entry(place).or_insert(false) |= has_removed;
                }
                expected
                    .images
                    .insert(source.layers[at].name.clone(), values);
            }
        }
    }
    // A `-=` that removes nothing in any image that uses it.
    if removals.values().any(|has_removed| !has_removed) {
        let codes = if is_doubtful {
            &mut expected.possible
        } else {
            &mut expected.codes
        };
        codes.insert("nothing-removed");
    }
    expected
}

// ---- what is wrong without regard to an image --------------------------------------------------

fn check(source: &Source, codes: &mut BTreeSet<&'static str>) {
    for variable in &source.variables {
        if let Some(default) = &variable.default {
            check_value(source, variable, default, false, codes);
        }
    }
    for provider in &source.providers {
        check_body(source, &provider.defaults, false, codes);
    }
    for layer in &source.layers {
        check_body(source, &layer.body, false, codes);
        for (name, value) in layer.target.iter().flat_map(|target| &target.vars) {
            check_value(source, source.variable(name), value, true, codes);
        }
        if let LayerKind::Json(file) = layer.kind {
            check_json(source, file, codes);
        }
    }
    for file in &source.var_files {
        check_json(source, *file, codes);
    }
    for argument in &source.arguments {
        match argument {
            Argument::Set(name, change, text) => {
                let variable = source.variable(name);
                check_name(variable, codes);
                if !variable.is_removed && decode_change(variable, *change, text).is_none() {
                    codes.insert("type-mismatch");
                }
            }
            Argument::Unset(name) => check_name(source.variable(name), codes),
        }
    }
    for rule in &source.rules {
        check_expression(source, &rule.condition, codes);
    }
}

fn check_json(source: &Source, file: usize, codes: &mut BTreeSet<&'static str>) {
    for (name, text) in &source.json[file].entries {
        let variable = source.variable(name);
        check_name(variable, codes);
        if !variable.is_removed && decode_json(variable, text.as_deref()).is_none() {
            codes.insert("type-mismatch");
        }
    }
}

fn check_body(
    source: &Source,
    body: &[Statement],
    in_when: bool,
    codes: &mut BTreeSet<&'static str>,
) {
    let mut replaced = BTreeSet::new();
    for statement in body {
        match statement {
            Statement::Set {
                name,
                change,
                value,
                is_final,
            } => {
                let variable = source.variable(name);
                if *is_final && variable.alias_of.is_some() {
                    codes.insert("wrong-place");
                    continue;
                }
                check_name(variable, codes);
                if variable.is_removed {
                    continue;
                }
                check_value(source, variable, value, false, codes);
                if *change == Change::Replace
                    && let Expr::Binary(Operator::Plus, sides) = value
                    && matches!(&sides[0], Expr::Name(first) if first == name)
                {
                    codes.insert("reference-cycle");
                }
                if *change == Change::Replace && !in_when && !replaced.insert(name) {
                    codes.insert("duplicate-setting");
                }
            }
            Statement::Unset(name) => check_name(source.variable(name), codes),
            Statement::When(condition, body) => {
                check_expression(source, condition, codes);
                check_body(source, body, true, codes);
            }
        }
    }
}

fn check_name(variable: &Variable, codes: &mut BTreeSet<&'static str>) {
    if variable.is_removed {
        codes.insert("removed-variable");
    }
    if variable.alias_of.is_some() {
        codes.insert("deprecated-name");
    }
}

/// Checks a value. Other users of the machine can read one that is an argument of Packer: a target's `vars`.
fn check_value(
    source: &Source,
    variable: &Variable,
    value: &Expr,
    is_argument: bool,
    codes: &mut BTreeSet<&'static str>,
) {
    check_expression(source, value, codes);
    if is_mistyped(source, &variable.ty, value) {
        codes.insert("type-mismatch");
    } else if variable.is_secret {
        let is_plain = constant(value).map(|value| value.is_plain_text());
        if is_argument && is_plain != Some(false) {
            codes.insert("secret-in-text");
        } else if is_plain == Some(true) {
            codes.insert("secret-literal");
        }
    }
}

/// Returns whether an expression cannot have a type, which is an error wherever it is: in a branch that is not taken, in a
/// setting that is overridden, in a layer that nothing extends.
fn is_mistyped(source: &Source, ty: &Type, expr: &Expr) -> bool {
    if let Some(value) = constant(expr) {
        return !fits(ty, &value);
    }
    match (expr, ty.inner()) {
        (Expr::If(parts), _) => {
            is_mistyped(source, ty, &parts[1]) || is_mistyped(source, ty, &parts[2])
        }
        (Expr::List(elements), Type::List(inner)) => elements
            .iter()
            .any(|element| is_mistyped(source, inner, element)),
        (Expr::Map(entries), Type::Map(inner)) => entries
            .iter()
            .any(|(_, value)| is_mistyped(source, inner, value)),
        (_, inner) => sort(source, expr).is_some_and(|found| found != sort_of(inner)),
    }
}

/// What a type is, apart from what its strings may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Bool,
    Int,
    String,
    List,
    Map,
}

fn sort_of(ty: &Type) -> Sort {
    match ty.inner() {
        Type::Bool => Sort::Bool,
        Type::Int => Sort::Int,
        Type::List(_) => Sort::List,
        Type::Map(_) => Sort::Map,
        _ => Sort::String,
    }
}

/// Returns the sort of an expression. `env` has every sort.
fn sort(source: &Source, expr: &Expr) -> Option<Sort> {
    Some(match expr {
        Expr::Bool(_) | Expr::Not(_) => Sort::Bool,
        Expr::Int(_) => Sort::Int,
        Expr::String(..) => Sort::String,
        Expr::List(_) | Expr::Binary(Operator::Plus, _) => Sort::List,
        Expr::Map(_) => Sort::Map,
        Expr::Name(name) => sort_of(&source.variable(name).ty),
        Expr::If(parts) => return sort(source, &parts[1]),
        Expr::Binary(..) => Sort::Bool,
        Expr::Call(function, _) => match function {
            Function::Env => return None,
            Function::Major | Function::Minor | Function::Patch | Function::Len => Sort::Int,
            Function::Split | Function::Keys | Function::Unique => Sort::List,
            Function::IsSet | Function::Matches => Sort::Bool,
            _ => Sort::String,
        },
    })
}

/// Returns whether a comparison compares a variable of the type `"a" | "b"` with another string. `x == ""` is always allowed.
fn is_pointless(source: &Source, expr: &Expr) -> bool {
    let Expr::Binary(operator, sides) = expr else {
        return false;
    };
    let [Expr::Name(name), other] = &**sides else {
        return false;
    };
    let ty = &source.variable(name).ty;
    let is_choice = matches!(ty.inner(), Type::Choice(_));
    let excludes = |value: Value| is_choice && value.is_plain_text() && !fits(ty, &value);
    match (operator, other) {
        (Operator::Equal | Operator::NotEqual, other) => constant(other).is_some_and(excludes),
        (Operator::In | Operator::NotIn, Expr::List(elements)) => {
            elements.iter().filter_map(constant).any(excludes)
        }
        _ => false,
    }
}

/// Returns whether an expression contains a comparison that makes no sense.
fn has_error(source: &Source, expr: &Expr) -> bool {
    is_pointless(source, expr)
        || children(expr)
            .into_iter()
            .any(|child| has_error(source, child))
}

/// Reports the deprecated names in an expression, and comparisons that make no sense.
fn check_expression(source: &Source, expr: &Expr, codes: &mut BTreeSet<&'static str>) {
    if let Expr::Name(name) = expr {
        check_name(source.variable(name), codes);
    }
    if is_pointless(source, expr) {
        codes.insert("type-mismatch");
    }
    children(expr)
        .into_iter()
        .for_each(|child| check_expression(source, child, codes));
}

fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Bool(_) | Expr::Int(_) | Expr::Name(_) => Vec::new(),
        Expr::String(_, parts) => parts
            .iter()
            .filter_map(|part| match part {
                Part::Interpolation(inner) => Some(inner),
                _ => None,
            })
            .collect(),
        Expr::List(elements) | Expr::Call(_, elements) => elements.iter().collect(),
        Expr::Map(entries) => entries.iter().map(|(_, value)| value).collect(),
        Expr::If(parts) => parts.iter().collect(),
        Expr::Not(inner) => vec![inner],
        Expr::Binary(_, sides) => sides.iter().collect(),
    }
}

/// Returns the value of an expression that consists of literals only.
fn constant(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Bool(flag) => Some(Value::Bool(*flag)),
        Expr::Int(number) => Some(Value::Int(*number)),
        Expr::String(_, parts) => {
            let piece = |part: &Part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Interpolation(inner) => constant(inner)?.as_text(),
            };
            parts
                .iter()
                .map(piece)
                .collect::<Option<String>>()
                .map(Value::text)
        }
        Expr::List(elements) => {
            let elements: Option<Vec<Value>> = elements.iter().map(constant).collect();
            elements.map(Value::List)
        }
        _ => None,
    }
}

// ---- layers ------------------------------------------------------------------------------------

/// Returns the image with the target of an image: the one that has the target of its own or an inherited one.
fn target_of(source: &Source, image: usize) -> Result<usize, &'static str> {
    let with_target: Vec<usize> = ancestors(source, image)
        .into_iter()
        .filter(|at| source.layers[*at].target.is_some())
        .collect();
    // A target that another one extends is replaced by it.
    let is_extended = |at: &usize| {
        with_target
            .iter()
            .any(|other| other != at && ancestors(source, *other).contains(at))
    };
    let mut targets = with_target.iter().filter(|at| !is_extended(at));
    match (targets.next(), targets.next()) {
        (None, _) => Err("no-target"),
        (Some(target), None) => Ok(*target),
        (Some(_), Some(_)) => Err("two-targets"),
    }
}

/// Returns the ancestors of a layer and itself, the weakest first: depth first, each once, at its first place.
fn ancestors(source: &Source, layer: usize) -> Vec<usize> {
    fn visit(source: &Source, layer: usize, found: &mut Vec<usize>) {
        if found.contains(&layer) {
            return;
        }
        for parent in &source.layers[layer].extends {
            visit(source, *parent, found);
        }
        if !found.contains(&layer) {
            found.push(layer);
        }
    }
    let mut found = Vec::new();
    visit(source, layer, &mut found);
    found
}

/// The right side of a setting.
#[derive(Debug, Clone)]
enum Input<'a> {
    /// An expression in a spec.
    Expr(&'a Expr),
    /// What a string in JSON or of an argument decodes to. `None` if it has an error.
    Decoded(Option<Value>),
    /// `unset x`
    Unset,
}

/// A setting that applies to an image.
#[derive(Debug, Clone)]
struct Active<'a> {
    name: &'a str,
    change: Change,
    input: Input<'a>,
    is_final: bool,
    /// The address of the statement, which is one `-=` in all images.
    place: usize,
    /// The setting is in a layer that is stronger than the image with the target.
    is_above_target: bool,
    /// The setting is one of the target's `vars`.
    is_fixed: bool,
    /// The setting is in a layer of the project or stronger.
    is_in_layer: bool,
    /// The number of its layer, the weakest first.
    layer: usize,
}

/// An error has been reported, or the value depends on one that has.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Broken;

/// The value of an expression. `Ok(None)` is unset.
type Outcome = Result<Option<Value>, Broken>;

/// Returns those settings of a name that count, the weakest first, and whether its default does.
fn effective_settings<'s, 'a>(
    name: &str,
    settings: &'s [Active<'a>],
) -> (Vec<&'s Active<'a>>, bool) {
    let mut steps: Vec<&Active<'a>> = Vec::new();
    let mut keeps_default = true;
    for setting in settings.iter().filter(|setting| setting.name == name) {
        match &setting.input {
            // Above the image with the target, `unset` drops the settings down to that image.
            Input::Unset if setting.is_above_target => {
                steps.retain(|step| !step.is_above_target);
            }
            Input::Unset => {
                steps.clear();
                keeps_default = false;
            }
            _ => steps.push(setting),
        }
    }
    // What is weaker than the last `=` does not count.
    if let Some(last) = steps
        .iter()
        .rposition(|step| step.change == Change::Replace)
    {
        steps.drain(..last);
        keeps_default = false;
    }
    (steps, keeps_default)
}

/// The computation of one image.
struct Image<'a> {
    source: &'a Source,
    image: usize,
    target: usize,
    /// The settings that apply, the weakest first.
    active: Vec<Active<'a>>,
    /// The variables that are computed, and those that are being computed (`None`).
    values: BTreeMap<&'a str, Option<Outcome>>,
    codes: BTreeSet<&'static str>,
    possible: BTreeSet<&'static str>,
    removals: BTreeMap<usize, bool>,
    /// A fact or a condition has an error, so that nobody knows which settings apply.
    is_doubtful: bool,
    /// The variables that are being computed, each for the one before it.
    chain: Vec<&'a str>,
    /// The variables that depend on themselves.
    cyclic: BTreeSet<&'a str>,
    /// For each variable, those whose values refer to it.
    readers: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Image<'a> {
    fn new(source: &'a Source, image: usize, target: usize) -> Image<'a> {
        Image {
            source,
            image,
            target,
            active: Vec::new(),
            values: BTreeMap::new(),
            codes: BTreeSet::new(),
            possible: BTreeSet::new(),
            removals: BTreeMap::new(),
            is_doubtful: false,
            chain: Vec::new(),
            cyclic: BTreeSet::new(),
            readers: BTreeMap::new(),
        }
    }

    fn compute(&mut self) -> Values {
        // Facts first, from settings outside `when`.
        self.activate(false);
        let source = self.source;
        for fact in source.variables.iter().filter(|v| v.is_fact) {
            self.is_doubtful |= self.value(&fact.name).is_err();
        }
        // Then the conditions, then everything else.
        let of_facts = self.codes.clone();
        self.activate(true);
        self.values.retain(|name, _| source.variable(name).is_fact);
        let mut values = self.compute_all();
        if self.is_doubtful {
            values.broken = source.variables.iter().map(|v| v.name.clone()).collect();
            self.possible = std::mem::replace(&mut self.codes, of_facts);
        }
        values
    }

    fn compute_all(&mut self) -> Values {
        let mut values = Values::default();
        let mut unset = Vec::new();
        for variable in &self.source.variables {
            if variable.is_removed || variable.alias_of.is_some() {
                continue;
            }
            match self.value(&variable.name) {
                Ok(Some(value)) => {
                    self.check_receivers(variable, &value);
                    values.values.insert(variable.name.clone(), value.shown());
                }
                Ok(None) => unset.push(variable),
                Err(Broken) => {
                    values.broken.insert(variable.name.clone());
                }
            }
            self.check_finals(variable);
            self.check_fixed(variable);
        }
        unset
            .into_iter()
            .for_each(|variable| self.check_required(variable));
        // The last file contains the rules. They hold for the images that see them.
        if self.source.layers[self.image].file + 1 == self.source.files.len() {
            let rules = self.source.rules.iter();
            for rule in rules.filter(|rule| !has_error(self.source, &rule.condition)) {
                self.check_rule(&rule.condition);
            }
        }
        values
    }

    // ---- settings ------------------------------------------------------------------------------

    /// Collects the settings that apply, from the weakest to the strongest layer.
    fn activate(&mut self, with_conditions: bool) {
        let source = self.source;
        self.active.clear();
        let target = source.layers[self.target]
            .target
            .as_ref()
            .expect("it has a target");
        let start = Place::default();
        self.activate_body(
            &source.providers[target.provider].defaults,
            with_conditions,
            start,
        );
        let mut place = Place {
            is_in_layer: true,
            ..start
        };
        for at in ancestors(source, self.image) {
            place.layer += 1;
            let layer: &Layer = &source.layers[at];
            if let LayerKind::Json(file) = layer.kind {
                self.activate_json(file, place);
            }
            self.activate_body(&layer.body, with_conditions, place);
            place.is_above_target |= at == self.target;
        }
        for argument in &source.arguments {
            place.layer += 1;
            let (name, change, input) = match argument {
                Argument::Set(name, change, text) => {
                    let value = decode_change(source.variable(name), *change, text);
                    (name, *change, Input::Decoded(value))
                }
                Argument::Unset(name) => (name, Change::Replace, Input::Unset),
            };
            self.push(name, change, input, false, place);
        }
        for file in &source.var_files {
            place.layer += 1;
            self.activate_json(*file, place);
        }
        place.is_fixed = true;
        for (name, value) in &target.vars {
            self.push(name, Change::Replace, Input::Expr(value), false, place);
        }
    }

    fn activate_json(&mut self, file: usize, place: Place) {
        let source = self.source;
        for (name, text) in &source.json[file].entries {
            let value = decode_json(source.variable(name), text.as_deref());
            self.push(name, Change::Replace, Input::Decoded(value), false, place);
        }
    }

    fn activate_body(&mut self, body: &'a [Statement], with_conditions: bool, place: Place) {
        for statement in body {
            match statement {
                Statement::Set {
                    name,
                    change,
                    value,
                    is_final,
                } => {
                    let is_wrong = *is_final && self.source.variable(name).alias_of.is_some();
                    let input = if is_wrong {
                        Input::Decoded(None)
                    } else {
                        Input::Expr(value)
                    };
                    self.push(name, *change, input, *is_final, place);
                }
                Statement::Unset(name) => {
                    self.push(name, Change::Replace, Input::Unset, false, place);
                }
                Statement::When(condition, _) if has_error(self.source, condition) => {
                    self.is_doubtful = true;
                }
                Statement::When(condition, body) if with_conditions => {
                    match self.evaluate(condition) {
                        Ok(Some(Value::Bool(true))) => self.activate_body(body, true, place),
                        Ok(None) => {
                            self.codes.insert("unset-fact");
                        }
                        Err(Broken) => self.is_doubtful = true,
                        _ => {}
                    }
                }
                Statement::When(..) => {}
            }
        }
    }

    fn push(
        &mut self,
        name: &'a str,
        change: Change,
        input: Input<'a>,
        is_final: bool,
        place: Place,
    ) {
        let Place {
            is_above_target,
            is_fixed,
            is_in_layer,
            layer,
        } = place;
        let place = name.as_ptr() as usize;
        self.active.push(Active {
            name,
            change,
            input,
            is_final,
            place,
            is_above_target,
            is_fixed,
            is_in_layer,
            layer,
        });
    }

    // ---- values of variables -------------------------------------------------------------------

    /// Returns the final value of a variable.
    fn value(&mut self, name: &'a str) -> Outcome {
        let variable = self.source.variable(name);
        let name = variable.alias_of.as_deref().unwrap_or(name);
        if let Some(reader) = self.chain.last() {
            self.readers.entry(name).or_default().insert(reader);
        }
        match self.values.get(name) {
            Some(Some(done)) => return done.clone(),
            Some(None) => {
                self.codes.insert("reference-cycle");
                let members = self.chain.iter().skip_while(|member| **member != name);
                self.cyclic.extend(members);
                return Err(Broken);
            }
            None => {}
        }
        self.values.insert(name, None);
        let settings = self.active.clone();
        self.chain.push(name);
        let value = self.fold(self.source.variable(name), &settings, true);
        self.chain.pop();
        let value = if self.cyclic.contains(name) {
            Err(Broken)
        } else {
            value
        };
        self.values.insert(name, Some(value.clone()));
        value
    }

    /// Returns the value that these settings give a variable.
    fn fold(
        &mut self,
        variable: &'a Variable,
        settings: &[Active<'a>],
        is_effective: bool,
    ) -> Outcome {
        let aliases = &self.source.variables;
        let alias = aliases
            .iter()
            .find(|v| v.alias_of.as_deref() == Some(&variable.name));
        let old = match alias {
            Some(alias) => self.fold_name(&alias.name, variable, None, settings, is_effective)?,
            None => None,
        };
        let Some(old) = old else {
            let default = variable.default.as_ref();
            return self.fold_name(&variable.name, variable, default, settings, is_effective);
        };
        let is_wrong = |default: &Expr| is_mistyped(self.source, &variable.ty, default);
        if variable.default.as_ref().is_some_and(is_wrong) {
            return Err(Broken);
        }
        // A deprecated name: its list goes before that of the new name; other values cannot be joined.
        let is_list = matches!(variable.ty.inner(), Type::List(_));
        if !is_list && !effective_settings(&variable.name, settings).0.is_empty() {
            return self.fail("duplicate-setting");
        }
        let default = variable.default.as_ref().filter(|_| is_list);
        let new = self.fold_name(&variable.name, variable, default, settings, is_effective)?;
        match (old, new) {
            (old, None) => Ok(Some(old)),
            (Value::List(mut old), Some(Value::List(new))) => {
                old.extend(new);
                Ok(Some(Value::List(old)))
            }
            // A list that nobody knows takes the place of the default, and nothing can be joined with it.
            (old, _) if effective_settings(&variable.name, settings).0.is_empty() => Ok(Some(old)),
            _ => self.fail("duplicate-setting"),
        }
    }

    /// Folds the settings of one name.
    fn fold_name(
        &mut self,
        name: &str,
        variable: &'a Variable,
        default: Option<&'a Expr>,
        settings: &[Active<'a>],
        is_effective: bool,
    ) -> Outcome {
        let (steps, keeps_default) = effective_settings(name, settings);
        let default = default.filter(|_| keeps_default);
        let mut value = match default {
            Some(default) => self.input(variable, &Input::Expr(default), is_effective)?,
            None => None,
        };
        for step in steps {
            let other = self.input(variable, &step.input, is_effective)?;
            // `+=` and `-=` begin with an empty list, and an unset value on the right adds and removes nothing.
            let before = value.take().unwrap_or(Value::List(Vec::new()));
            value = match (step.change, before, other) {
                (Change::Replace, _, other) => other,
                (_, before, None) => Some(before),
                (Change::Append, Value::List(mut list), Some(Value::List(more))) => {
                    list.extend(more);
                    Some(Value::List(list))
                }
                (Change::Remove, Value::List(mut list), Some(Value::List(gone))) => {
                    let before = list.len();
                    list.retain(|element| !gone.contains(element));
                    self.note_removal(step, list.len() < before, is_effective);
                    Some(Value::List(list))
                }
                _ => return self.fail("opaque-value"),
            };
        }
        Ok(value)
    }

    fn note_removal(&mut self, step: &Active<'a>, has_removed: bool, is_effective: bool) {
        if is_effective {
            *self.removals.entry(step.place).or_insert(false) |= has_removed;
        }
    }

    /// Returns the value of the right side of a setting, which must have the variable's type.
    fn input(&mut self, variable: &'a Variable, input: &Input<'a>, is_effective: bool) -> Outcome {
        let value = match input {
            Input::Decoded(value) => return value.clone().map(Some).ok_or(Broken),
            Input::Unset => return Ok(None),
            Input::Expr(expr) => {
                if is_mistyped(self.source, &variable.ty, expr) {
                    return Err(Broken);
                }
                self.evaluate(expr)?
            }
        };
        match value {
            Some(value) if is_effective && !fits(&variable.ty, &value) => {
                self.fail("type-mismatch")
            }
            other => Ok(other),
        }
    }

    fn fail<T>(&mut self, code: &'static str) -> Result<T, Broken> {
        self.codes.insert(code);
        Err(Broken)
    }

    // ---- what is wrong with values -------------------------------------------------------------

    /// A variable without a default and without `?` must have a value if the target reads it, directly or in the value of
    /// another one.
    fn check_required(&mut self, variable: &Variable) {
        let mut read = vec![variable.name.as_str()];
        let mut at = 0;
        while let Some(name) = read.get(at) {
            let more = self.readers.get(name).into_iter().flatten();
            let more: Vec<&str> = more
                .filter(|reader| !read.contains(reader))
                .copied()
                .collect();
            read.extend(more);
            at += 1;
        }
        let target = self.source.layers[self.target].target.as_ref();
        let provider = &self.source.providers[target.expect("it has a target").provider];
        let is_read = |name: &&str| {
            let variable = self.source.variable(name);
            variable.to_linux || variable.to_packer && provider.reads.contains(&variable.name)
        };
        if variable.default.is_none() && !variable.ty.is_optional() && read.iter().any(is_read) {
            self.codes.insert("required");
        }
    }

    /// Reports what the receivers of a variable cannot get.
    fn check_receivers(&mut self, variable: &'a Variable, value: &Value) {
        let is_lost = |element: &Value| {
            element
                .as_text()
                .is_some_and(|text| !is_one(variable.encoding, &text))
        };
        if value.elements().iter().any(is_lost) {
            self.codes.insert("not-encodable");
        }
        // A string for Ansible must not contain a secret that the spec sets to a literal value.
        if variable.to_linux {
            let is_own = variable.is_secret && value.is_plain_text();
            let mut is_exposed = is_own;
            // An empty one, too: that it is empty is nobody's business.
            for secret in value.secrets() {
                let value = self.value(&self.source.variable(&secret).name);
                is_exposed |= matches!(value, Ok(Some(value)) if value.as_text().is_some());
            }
            if is_exposed {
                self.codes.insert("secret-in-text");
            }
        }
    }

    /// The final value must equal what the settings up to a `final` give.
    fn check_finals(&mut self, variable: &'a Variable) {
        let settings = self.active.clone();
        for (at, setting) in settings.iter().enumerate() {
            if setting.is_final && setting.name == variable.name {
                let codes = self.codes.clone();
                // A deprecated name in the same layer takes part: the order of two names means nothing.
                let counts = |(other, it): (usize, &Active<'a>)| {
                    let is_old = it.name != setting.name && sort_of(&variable.ty) == Sort::List;
                    let is_weaker = match it.name == setting.name {
                        true => other <= at,
                        false => is_old && it.layer <= setting.layer,
                    };
                    is_weaker.then(|| it.clone())
                };
                let up_to_here: Vec<Active<'a>> =
                    settings.iter().enumerate().filter_map(counts).collect();
                let here = self.fold(variable, &up_to_here, false);
                self.codes = codes;
                let in_the_end = self.value(&variable.name);
                if let (Ok(here), Ok(in_the_end)) = (here, in_the_end)
                    && here != in_the_end
                {
                    self.codes.insert("final-overridden");
                }
            }
        }
    }

    /// Nothing else may set what the target passes on the command line.
    fn check_fixed(&mut self, variable: &Variable) {
        let of_variable = |setting: &&Active<'a>| setting.name == variable.name;
        let is_fixed = self
            .active
            .iter()
            .filter(of_variable)
            .any(|setting| setting.is_fixed);
        let mut others = self.active.iter().filter(of_variable);
        if is_fixed && others.any(|setting| !setting.is_fixed && setting.is_in_layer) {
            self.codes.insert("fixed-by-target");
        }
    }

    /// A rule over an unset or opaque value reports nothing.
    fn check_rule(&mut self, condition: &'a Expr) {
        let codes = self.codes.clone();
        let value = self.evaluate(condition);
        self.codes = codes;
        if let Ok(Some(Value::Bool(true))) = value {
            self.codes.insert("rule-violated");
        }
    }

    // ---- expressions ---------------------------------------------------------------------------

    /// Returns the value of an expression. An expression over an unset value is unset.
    fn evaluate(&mut self, expr: &'a Expr) -> Outcome {
        match expr {
            Expr::Bool(flag) => Ok(Some(Value::Bool(*flag))),
            Expr::Int(number) => Ok(Some(Value::Int(*number))),
            Expr::String(_, parts) => self.string(parts),
            Expr::List(elements) => {
                let elements = self.all(elements)?;
                Ok(elements.map(Value::List))
            }
            Expr::Map(entries) => {
                let mut map = Vec::new();
                for (key, value) in entries {
                    let Some(value) = self.evaluate(value)? else {
                        return Ok(None);
                    };
                    map.push((key.clone(), value));
                }
                Ok(Some(Value::Map(map)))
            }
            Expr::Name(name) => self.name(name),
            Expr::If(parts) => {
                let [condition, yes, no] = &**parts;
                match self.evaluate(condition)? {
                    None => Ok(None),
                    Some(Value::Bool(true)) => self.evaluate(yes),
                    Some(Value::Bool(false)) => self.evaluate(no),
                    Some(_) => self.fail("opaque-value"),
                }
            }
            Expr::Not(inner) => match self.evaluate(inner)? {
                None => Ok(None),
                Some(Value::Bool(flag)) => Ok(Some(Value::Bool(!flag))),
                Some(_) => self.fail("opaque-value"),
            },
            Expr::Binary(..) if is_pointless(self.source, expr) => Err(Broken),
            Expr::Binary(operator, sides) => self.binary(*operator, &sides[0], &sides[1]),
            Expr::Call(Function::IsSet, arguments) => {
                let value = self.evaluate(&arguments[0])?;
                Ok(Some(Value::Bool(value.is_some())))
            }
            Expr::Call(Function::Env, arguments) => {
                let name = constant(&arguments[0]).and_then(|name| name.as_text());
                Ok(Some(Value::Text(vec![Piece::Env(
                    name.expect("env has a literal"),
                )])))
            }
            Expr::Call(function, arguments) => match self.all(arguments)? {
                None => Ok(None),
                Some(values) if values.iter().any(Value::is_opaque) => self.fail("opaque-value"),
                Some(values) => Ok(Some(call(*function, &values))),
            },
        }
    }

    /// Returns the values of several expressions, or `None` if one of them is unset.
    fn all(&mut self, all: &'a [Expr]) -> Result<Option<Vec<Value>>, Broken> {
        let mut values = Vec::new();
        for expr in all {
            values.push(self.evaluate(expr)?);
        }
        Ok(values.into_iter().collect())
    }

    /// Returns the value of a variable as an expression sees it.
    fn name(&mut self, name: &'a str) -> Outcome {
        let value = self.value(name)?;
        let variable = self.source.variable(name);
        let variable = self
            .source
            .variable(variable.alias_of.as_ref().unwrap_or(&variable.name));
        // An integer or bool that is set to empty counts as unset.
        let is_string = !matches!(variable.ty.inner(), Type::Bool | Type::Int);
        if !is_string && value == Some(Value::text(String::new())) {
            return Ok(None);
        }
        Ok(value.map(|value| match variable.is_secret {
            true => Value::Text(vec![Piece::Secret(variable.name.clone())]),
            false => value,
        }))
    }

    fn string(&mut self, parts: &'a [Part]) -> Outcome {
        let mut pieces = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => pieces.push(Piece::Text(text.clone())),
                Part::Interpolation(inner) => match self.evaluate(inner)? {
                    None => return Ok(None),
                    Some(Value::Text(mut inner)) => pieces.append(&mut inner),
                    Some(Value::Int(number)) => pieces.push(Piece::Text(number.to_string())),
                    Some(Value::Bool(flag)) => pieces.push(Piece::Text(flag.to_string())),
                    Some(_) => return self.fail("type-mismatch"),
                },
            }
        }
        Ok(Some(Value::joined(pieces)))
    }

    fn binary(&mut self, operator: Operator, left: &'a Expr, right: &'a Expr) -> Outcome {
        // If one side of `and` or `or` decides, the other side does not matter.
        if let Operator::And | Operator::Or = operator {
            let mut found = BTreeSet::new();
            check_expression(self.source, left, &mut found);
            check_expression(self.source, right, &mut found);
            if found.contains("type-mismatch") {
                return Err(Broken);
            }
            let deciding = Value::Bool(operator == Operator::Or);
            let mut codes = self.codes.clone();
            let sides = [self.evaluate(left), self.evaluate(right)];
            if sides.contains(&Ok(Some(deciding.clone()))) {
                // But a variable that depends on itself is a mistake on either side.
                if !self.cyclic.is_empty() {
                    codes.insert("reference-cycle");
                }
                self.codes = codes;
                return Ok(Some(deciding));
            }
        }
        let left = self.evaluate(left)?;
        let right = self.evaluate(right)?;
        let (Some(left), Some(right)) = (left, right) else {
            return Ok(None);
        };
        if left.is_opaque() || right.is_opaque() {
            return self.fail("opaque-value");
        }
        let order = left.compare(&right);
        Ok(Some(Value::Bool(match operator {
            Operator::Or | Operator::And => right == Value::Bool(true),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::In => right.elements().contains(&left),
            Operator::NotIn => !right.elements().contains(&left),
            Operator::Plus => {
                let joined = left.elements().iter().chain(right.elements());
                return Ok(Some(Value::List(joined.cloned().collect())));
            }
        })))
    }
}

/// Returns whether an element of a list is one element in an encoding.
fn is_one(encoding: Encoding, text: &str) -> bool {
    match encoding {
        Encoding::Words => !text.is_empty() && !text.contains(char::is_whitespace),
        Encoding::Commas => !text.is_empty() && text.trim() == text && !text.contains(','),
        _ => true,
    }
}

/// Where a setting is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    is_above_target: bool,
    is_fixed: bool,
    is_in_layer: bool,
    layer: usize,
}

fn decode_json(variable: &Variable, text: Option<&str>) -> Option<Value> {
    decode(&variable.ty, variable.encoding, text.unwrap_or_default())
}

/// Decodes an argument of `--set`: by the encoding of its variable, or a list or a map as in a spec.
fn decode_change(variable: &Variable, _change: Change, text: &str) -> Option<Value> {
    let is_literal = matches!(variable.ty.inner(), Type::List(_)) && text.starts_with('[');
    let encoding = if is_literal {
        Encoding::Json
    } else {
        variable.encoding
    };
    decode(&variable.ty, encoding, text)
}

// ---- functions ---------------------------------------------------------------------------------

fn call(function: Function, values: &[Value]) -> Value {
    let text = |at: usize| {
        values[at]
            .as_text()
            .expect("the generator gives it a string")
    };
    let part = |at: usize| {
        let text = text(0);
        let core = text
            .trim_start_matches('v')
            .split(['-', '+'])
            .next()
            .unwrap_or_default();
        let part = core.split('.').nth(at).and_then(|part| part.parse().ok());
        Value::Int(part.expect("a version has three parts"))
    };
    match function {
        Function::Major => part(0),
        Function::Minor => part(1),
        Function::Patch => part(2),
        Function::TrimPrefix => {
            let (text, prefix) = (text(0), text(1));
            Value::text(text.strip_prefix(&prefix).unwrap_or(&text).to_owned())
        }
        Function::TrimSuffix => {
            let (text, suffix) = (text(0), text(1));
            Value::text(text.strip_suffix(&suffix).unwrap_or(&text).to_owned())
        }
        Function::Replace => Value::text(text(0).replace(&text(1), &text(2))),
        Function::Lower => Value::text(text(0).to_lowercase()),
        Function::Upper => Value::text(text(0).to_uppercase()),
        Function::Base64 => Value::text(super::value::base64(&text(0))),
        Function::Join => {
            let elements: Option<Vec<String>> =
                values[0].elements().iter().map(Value::as_text).collect();
            Value::text(elements.expect("a list of strings").join(&text(1)))
        }
        Function::Split if text(0).is_empty() => Value::List(Vec::new()),
        Function::Split => Value::List(
            text(0)
                .split(&text(1))
                .map(|part| Value::text(part.to_owned()))
                .collect(),
        ),
        Function::Len => Value::Int(match &values[0] {
            Value::List(elements) => elements.len(),
            Value::Map(entries) => entries.len(),
            _ => text(0).chars().count(),
        } as i64),
        Function::Keys => match &values[0] {
            Value::Map(entries) => Value::List(
                entries
                    .iter()
                    .map(|(key, _)| Value::text(key.clone()))
                    .collect(),
            ),
            _ => unreachable!("keys has a map"),
        },
        Function::Unique => {
            let mut unique: Vec<Value> = Vec::new();
            for element in values[0].elements() {
                if !unique.contains(element) {
                    unique.push(element.clone());
                }
            }
            Value::List(unique)
        }
        Function::Matches => {
            let matches = |value: &Value| {
                value
                    .as_text()
                    .is_some_and(|text| super::value::is_ticket(&text))
            };
            Value::Bool(match &values[0] {
                Value::List(elements) => elements.iter().all(matches),
                value => matches(value),
            })
        }
        Function::Env | Function::IsSet => unreachable!("they need more than values"),
    }
}
