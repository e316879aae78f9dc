//! The meaning of a project, as docs/language.md describes it: as simple as possible, and as slow as that is.

use super::language::{
    Argument, Change, Encoding, Expr, Function, Layer, LayerKind, Operator, Part, Source,
    Statement, Type, Variable,
};
use super::value::{Piece, Value, decode, encode, fits};
use std::collections::{BTreeMap, BTreeSet};

/// What the compiler must find in a project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// The codes of all diagnostics, of errors and of warnings.
    pub codes: BTreeSet<&'static str>,
    /// For each image that has a target, its variables. A variable that is unset, or that has no value because of an error, is
    /// not among them.
    pub images: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
}

/// Computes what is expected of a project.
pub fn interpret(source: &Source) -> Expected {
    let mut expected = Expected::default();
    check(source, &mut expected.codes);
    let mut removals = BTreeMap::new();
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
                expected.codes.append(&mut image.codes);
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
        expected.codes.insert("nothing-removed");
    }
    expected
}

// ---- what is wrong without regard to an image --------------------------------------------------

fn check(source: &Source, codes: &mut BTreeSet<&'static str>) {
    for variable in &source.variables {
        if let Some(default) = &variable.default {
            check_value(source, variable, default, codes);
        }
    }
    for provider in &source.providers {
        check_body(source, &provider.defaults, false, codes);
    }
    for layer in &source.layers {
        check_body(source, &layer.body, false, codes);
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
                check_name(variable, codes);
                if variable.is_removed {
                    continue;
                }
                check_value(source, variable, value, codes);
                if *change == Change::Replace && !in_when && !replaced.insert(name) {
                    codes.insert("duplicate-setting");
                }
                if *is_final && variable.alias_of.is_some() {
                    codes.insert("wrong-place");
                }
            }
            Statement::Unset(name) => check_name(source.variable(name), codes),
            Statement::When(condition, body) => {
                check_expression(source, condition, codes);
                check_body(source, body, true, codes);
            }
            Statement::Ansible(entries) => {
                entries
                    .iter()
                    .for_each(|(_, value)| check_expression(source, value, codes));
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

fn check_value(
    source: &Source,
    variable: &Variable,
    value: &Expr,
    codes: &mut BTreeSet<&'static str>,
) {
    check_expression(source, value, codes);
    if let Some(value) = constant(value)
        && !fits(&variable.ty, &value)
    {
        codes.insert("type-mismatch");
    }
}

/// Reports the deprecated names in an expression.
fn check_expression(source: &Source, expr: &Expr, codes: &mut BTreeSet<&'static str>) {
    if let Expr::Name(name) = expr {
        check_name(source.variable(name), codes);
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
        Expr::String(_, parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect::<Option<String>>()
            .map(Value::text),
        Expr::List(elements) => elements
            .iter()
            .map(constant)
            .collect::<Option<_>>()
            .map(Value::List),
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
}

/// An error has been reported, or the value depends on one that has.
#[derive(Debug, Clone, Copy)]
struct Broken;

/// The value of an expression. `Ok(None)` is unset.
type Outcome = Result<Option<Value>, Broken>;

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
    removals: BTreeMap<usize, bool>,
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
            removals: BTreeMap::new(),
        }
    }

    fn compute(&mut self) -> BTreeMap<String, serde_json::Value> {
        // Facts first, from settings outside `when`.
        self.activate(false);
        for fact in self.source.variables.iter().filter(|v| v.is_fact) {
            let _ = self.value(&fact.name);
        }
        // Then the conditions, then everything else.
        self.activate(true);
        let facts: BTreeSet<&str> = self
            .source
            .variables
            .iter()
            .filter(|v| v.is_fact)
            .map(|v| v.name.as_str())
            .collect();
        self.values.retain(|name, _| facts.contains(name));
        let mut values = BTreeMap::new();
        for variable in &self.source.variables {
            if variable.is_removed || variable.alias_of.is_some() {
                continue;
            }
            match self.value(&variable.name) {
                Ok(Some(value)) => {
                    values.insert(variable.name.clone(), value.shown());
                }
                Ok(None) => self.check_required(variable),
                Err(Broken) => {}
            }
            self.check_finals(variable);
            self.check_fixed(variable);
            self.check_secret(variable);
        }
        for rule in &self.source.rules {
            self.check_rule(&rule.condition, rule.is_error);
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
            let layer: &Layer = &source.layers[at];
            if let LayerKind::Json(file) = layer.kind {
                self.activate_json(file, place);
            }
            self.activate_body(&layer.body, with_conditions, place);
            place.is_above_target |= at == self.target;
        }
        for argument in &source.arguments {
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
            self.activate_json(*file, place);
        }
        place.is_fixed = true;
        for (name, text) in &target.vars {
            let value = decode(
                &source.variable(name).ty,
                source.variable(name).encoding,
                text,
            );
            self.push(name, Change::Replace, Input::Decoded(value), false, place);
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
                    self.push(name, *change, Input::Expr(value), *is_final, place);
                }
                Statement::Unset(name) => {
                    self.push(name, Change::Replace, Input::Unset, false, place);
                }
                Statement::When(condition, body) if with_conditions => {
                    match self.evaluate(condition, true) {
                        Ok(Some(Value::Bool(true))) => self.activate_body(body, true, place),
                        Ok(None) => {
                            self.codes.insert("unset-fact");
                        }
                        _ => {}
                    }
                }
                Statement::When(..) | Statement::Ansible(_) => {}
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
        } = place;
        let place = match &input {
            Input::Expr(expr) => std::ptr::from_ref::<Expr>(expr) as usize,
            _ => 0,
        };
        self.active.push(Active {
            name,
            change,
            input,
            is_final,
            place,
            is_above_target,
            is_fixed,
            is_in_layer,
        });
    }

    // ---- values of variables -------------------------------------------------------------------

    /// Returns the final value of a variable.
    fn value(&mut self, name: &'a str) -> Outcome {
        let variable = self.source.variable(name);
        let name = variable.alias_of.as_deref().unwrap_or(name);
        match self.values.get(name) {
            Some(Some(done)) => return done.clone(),
            Some(None) => {
                self.codes.insert("reference-cycle");
                return Err(Broken);
            }
            None => {}
        }
        self.values.insert(name, None);
        let settings = self.active.clone();
        let value = self.fold(self.source.variable(name), &settings, true);
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
        // A deprecated name: its list goes before that of the new name; other values cannot be joined.
        let is_list = matches!(variable.ty.inner(), Type::List(_));
        let default = variable.default.as_ref().filter(|_| is_list);
        let new = self.fold_name(&variable.name, variable, default, settings, is_effective)?;
        match (old, new) {
            (old, None) => Ok(Some(old)),
            (Value::List(mut old), Some(Value::List(new))) => {
                old.extend(new);
                Ok(Some(Value::List(old)))
            }
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
        let mut steps: Vec<&Active<'a>> = Vec::new();
        let mut default = default;
        for setting in settings.iter().filter(|setting| setting.name == name) {
            match (&setting.input, setting.change) {
                (Input::Unset, _) if setting.is_above_target => {
                    steps.retain(|step| !step.is_above_target);
                }
                (Input::Unset, _) => {
                    steps.clear();
                    default = None;
                }
                (_, Change::Replace) => {
                    steps.clear();
                    default = None;
                    steps.push(setting);
                }
                _ => steps.push(setting),
            }
        }
        let mut value = match default {
            Some(default) => self.input(variable, &Input::Expr(default))?,
            None => None,
        };
        for step in steps {
            let other = self.input(variable, &step.input)?;
            value = match (step.change, value, other) {
                (Change::Replace, _, other) => other,
                (_, _, None) => None,
                (Change::Append, None, other) => other,
                (Change::Append, Some(Value::List(mut list)), Some(Value::List(more))) => {
                    list.extend(more);
                    Some(Value::List(list))
                }
                (Change::Remove, None, Some(_)) => {
                    self.note_removal(step, false, is_effective);
                    Some(Value::List(Vec::new()))
                }
                (Change::Remove, Some(Value::List(mut list)), Some(Value::List(gone))) => {
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
        if is_effective && step.place != 0 {
            *self.removals.entry(step.place).or_insert(false) |= has_removed;
        }
    }

    /// Returns the value of the right side of a setting, which must have the variable's type.
    fn input(&mut self, variable: &'a Variable, input: &Input<'a>) -> Outcome {
        let value = match input {
            Input::Decoded(value) => return value.clone().map(Some).ok_or(Broken),
            Input::Unset => return Ok(None),
            Input::Expr(expr) => {
                let is_constant_error =
                    constant(expr).is_some_and(|value| !fits(&variable.ty, &value));
                if is_constant_error {
                    return Err(Broken);
                }
                let packer = variable.to_packer && variable.encoding != Encoding::Base64;
                self.evaluate(expr, packer)?
            }
        };
        match value {
            Some(value) if !fits(&variable.ty, &value) => self.fail("type-mismatch"),
            other => Ok(other),
        }
    }

    fn fail<T>(&mut self, code: &'static str) -> Result<T, Broken> {
        self.codes.insert(code);
        Err(Broken)
    }

    // ---- what is wrong with values -------------------------------------------------------------

    fn check_required(&mut self, variable: &Variable) {
        let target = self.source.layers[self.target].target.as_ref();
        let provider = &self.source.providers[target.expect("it has a target").provider];
        let is_read =
            variable.to_linux || variable.to_packer && provider.reads.contains(&variable.name);
        if variable.default.is_none() && !variable.ty.is_optional() && is_read {
            self.codes.insert("required");
        }
    }

    /// The final value must equal what the settings up to a `final` give.
    fn check_finals(&mut self, variable: &'a Variable) {
        let settings = self.active.clone();
        for (at, setting) in settings.iter().enumerate() {
            if setting.is_final && setting.name == variable.name {
                let here = self.fold(variable, &settings[..=at], false);
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

    /// A secret whose value is in the spec.
    fn check_secret(&mut self, variable: &'a Variable) {
        if variable.is_secret
            && let Ok(Some(value)) = self.value(&variable.name)
            && !value.is_opaque()
            && value != Value::text(String::new())
        {
            self.codes.insert("secret-literal");
        }
    }

    /// A rule over an unset or opaque value reports nothing.
    fn check_rule(&mut self, condition: &'a Expr, _is_error: bool) {
        let codes = self.codes.clone();
        let value = self.evaluate(condition, true);
        self.codes = codes;
        if let Ok(Some(Value::Bool(true))) = value {
            self.codes.insert("rule-violated");
        }
    }

    // ---- expressions ---------------------------------------------------------------------------

    /// Returns the value of an expression. An expression over an unset value is unset. `packer`: Packer reads the strings, so
    /// that `{{` begins a Packer expression.
    fn evaluate(&mut self, expr: &'a Expr, packer: bool) -> Outcome {
        match expr {
            Expr::Bool(flag) => Ok(Some(Value::Bool(*flag))),
            Expr::Int(number) => Ok(Some(Value::Int(*number))),
            Expr::String(_, parts) => self.string(parts, packer),
            Expr::List(elements) => {
                let elements = self.all(elements, packer)?;
                Ok(elements.map(Value::List))
            }
            Expr::Map(entries) => {
                let mut map = Vec::new();
                for (key, value) in entries {
                    let Some(value) = self.evaluate(value, packer)? else {
                        return Ok(None);
                    };
                    map.push((key.clone(), value));
                }
                Ok(Some(Value::Map(map)))
            }
            Expr::Name(name) => self.name(name),
            Expr::If(parts) => {
                let [condition, yes, no] = &**parts;
                match self.evaluate(condition, packer)? {
                    None => Ok(None),
                    Some(Value::Bool(true)) => self.evaluate(yes, packer),
                    Some(Value::Bool(false)) => self.evaluate(no, packer),
                    Some(_) => self.fail("opaque-value"),
                }
            }
            Expr::Not(inner) => match self.evaluate(inner, packer)? {
                None => Ok(None),
                Some(Value::Bool(flag)) => Ok(Some(Value::Bool(!flag))),
                Some(_) => self.fail("opaque-value"),
            },
            Expr::Binary(operator, sides) => self.binary(*operator, &sides[0], &sides[1], packer),
            Expr::Call(Function::IsSet, arguments) => {
                let value = self.evaluate(&arguments[0], packer)?;
                Ok(Some(Value::Bool(value.is_some())))
            }
            Expr::Call(Function::Env, arguments) => {
                let name = constant(&arguments[0]).and_then(|name| name.as_text());
                Ok(Some(Value::Text(vec![Piece::Env(
                    name.expect("env has a literal"),
                )])))
            }
            Expr::Call(function, arguments) => match self.all(arguments, packer)? {
                None => Ok(None),
                Some(values) if values.iter().any(Value::is_opaque) => self.fail("opaque-value"),
                Some(values) => Ok(Some(call(*function, &values))),
            },
        }
    }

    /// Returns the values of several expressions, or `None` if one of them is unset.
    fn all(&mut self, all: &'a [Expr], packer: bool) -> Result<Option<Vec<Value>>, Broken> {
        let mut values = Vec::new();
        for expr in all {
            values.push(self.evaluate(expr, packer)?);
        }
        Ok(values.into_iter().collect())
    }

    /// Returns the value of a variable as an expression sees it.
    fn name(&mut self, name: &'a str) -> Outcome {
        let value = self.value(name)?;
        let variable = self.source.variable(name);
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

    fn string(&mut self, parts: &'a [Part], packer: bool) -> Outcome {
        let mut pieces = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => pieces.push(Piece::Text(text.clone())),
                Part::Packer(inner) if packer => {
                    let Some(mut inner) = self.packer_expression(inner)? else {
                        return Ok(None);
                    };
                    pieces.append(&mut inner);
                }
                Part::Packer(inner) => pieces.push(Piece::Text(format!("{{{{{inner}}}}}"))),
                Part::Interpolation(inner) => match self.evaluate(inner, packer)? {
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

    /// Returns what Packer gets for ``{{user `x`}}``, ``{{env `X`}}``, or any other expression.
    fn packer_expression(&mut self, inner: &'a str) -> Result<Option<Vec<Piece>>, Broken> {
        let argument = |word: &str| {
            inner
                .strip_prefix(word)?
                .trim()
                .strip_prefix('`')?
                .strip_suffix('`')
        };
        if let Some(name) = argument("user") {
            let variable = self.source.variable(name);
            let value = self.value(&variable.name)?;
            return Ok(value.map(|value| match variable.is_secret {
                true => vec![Piece::Secret(variable.name.clone())],
                false => encode(variable.encoding, &value),
            }));
        }
        Ok(Some(vec![match argument("env") {
            Some(name) => Piece::Env(name.to_owned()),
            None => Piece::Packer(inner.to_owned()),
        }]))
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &'a Expr,
        right: &'a Expr,
        packer: bool,
    ) -> Outcome {
        let left = self.evaluate(left, packer)?;
        // `and` and `or` decide early where they can.
        match (operator, &left) {
            (Operator::And, Some(Value::Bool(false))) => return Ok(Some(Value::Bool(false))),
            (Operator::Or, Some(Value::Bool(true))) => return Ok(Some(Value::Bool(true))),
            _ => {}
        }
        let right = self.evaluate(right, packer)?;
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

/// Where a setting is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    is_above_target: bool,
    is_fixed: bool,
    is_in_layer: bool,
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
