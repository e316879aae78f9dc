//! Expressions to values.
//!
//! Unset spreads: an expression over an unset value is unset. Opaque values pass through texts, names
//! and the branches of `if`; anything else stops with [`Stop::Opaque`]. `and` and `or` decide as soon
//! as one side does.

use crate::eval::Image;
use crate::project::hir::*;
use crate::project::{RED_ZONE, STACK, locate_text};
use crate::schema::{
    Base, Encoding, Pattern, Piece, Text, TextBuilder, Value, compare_versions, decode, encode,
    numbers,
};
use crate::source::{MAX_PATTERNS, MAX_VALUE, MAX_WORK, Span};
use crate::syntax::ast::BinaryOp;
use base64::Engine;
use indexmap::IndexMap;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::sync::Arc;

/// What an image pays for a regular expression, in bytes.
pub(super) const PATTERN_WORK: usize = MAX_WORK / MAX_PATTERNS;

/// Why an expression has no value.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The value is larger than any receiver accepts.
    TooLarge(Span),
    /// The values of the image are too large together.
    TooMuch(Span),
    /// Something here is only known at build time.
    Opaque(Span),
    /// The operation does not work on this value.
    Failed(Span, String),
    /// Said already.
    Reported,
}

type Computed = Result<Option<Value>, Stop>;

/// Interprets expressions over an image's values.
///
/// There are two: [`super::Evaluator`], which computes a variable when it is first read, and [`Finished`], which reads an
/// image that has been evaluated.
pub(crate) trait Interpret<'p> {
    /// The image, as far as it is evaluated.
    fn image(&self) -> &Image<'p>;

    /// Makes sure that a variable is computed.
    fn require(&mut self, id: VarId);

    /// The variable that is being computed.
    fn current(&self) -> Option<VarId> {
        None
    }

    fn eval(&mut self, expr: &'p Expr) -> Computed {
        Ok(match &expr.kind {
            ExprKind::Missing(_) => return Err(Stop::Reported),
            ExprKind::Nothing => return Ok(None),
            ExprKind::Const(value) => Some(value.clone()),
            ExprKind::Variable(id) => return self.read(*id),
            ExprKind::Encoded(id) => self.read(*id)?.map(|value| {
                Value::String(encode(&value, self.image().program.variable(*id).encoding))
            }),
            ExprKind::Packer(text, _) => Some(Value::piece(Piece::Packer(text.clone()))),
            ExprKind::Concat(parts) => return self.eval_concat(parts, expr.span),
            ExprKind::Located(location, path) => self.eval(path)?.map(|value| match value {
                Value::String(text) => Value::String(self.locate(&text, *location, expr.span)),
                other => other,
            }),
            ExprKind::Decoded(id, text) => return self.eval_decoded(*id, text),
            ExprKind::List(elements) => {
                let mut values = Vec::with_capacity(elements.len());
                let mut size = 0;
                for element in elements {
                    match self.eval(element)? {
                        Some(value) => {
                            self.image().add_size(&mut size, &value, expr.span)?;
                            values.push(value);
                        }
                        None => return Ok(None),
                    }
                }
                Some(Value::list(values))
            }
            ExprKind::Map(pairs) => {
                let mut map = IndexMap::with_capacity(pairs.len());
                let mut size = 0;
                for (key, element) in pairs {
                    match self.eval(element)? {
                        Some(value) => {
                            self.image().add_size(&mut size, &value, expr.span)?;
                            size += key.len();
                            map.insert(key.clone(), value);
                        }
                        None => return Ok(None),
                    }
                }
                Some(Value::Map(map.into()))
            }
            ExprKind::If(parts) => {
                let [condition, then, other] = parts.as_ref();
                match self.eval_bool(condition)? {
                    Some(true) => return self.eval(then),
                    Some(false) => return self.eval(other),
                    None => None,
                }
            }
            ExprKind::Not(inner) => self.eval_bool(inner)?.map(|b| Value::Bool(!b)),
            ExprKind::Binary {
                op,
                versions,
                sides,
            } => {
                // A long chain of operators is as deep as it is long.
                return stacker::maybe_grow(RED_ZONE, STACK, || {
                    self.eval_binary(*op, *versions, sides)
                });
            }
            ExprKind::Call(function, args) => {
                let value = self.eval_call(*function, args, expr.span)?;
                if let Some(value) = &value {
                    self.image().add_size(&mut 0, value, expr.span)?;
                }
                value
            }
        })
    }

    /// A variable's final value; a secret's is a placeholder.
    fn read(&mut self, id: VarId) -> Computed {
        self.require(id);
        let variable = self.image().program.variable(id);
        if self.image().is_broken(id) {
            return Err(Stop::Reported);
        }
        let Some(value) = self.image().value(id).cloned() else {
            return Ok(None);
        };
        if !variable.is_secret {
            // An option that is emptied has no number, and is neither true nor false.
            let is_emptied = value.is_empty() && matches!(variable.ty.base, Base::Int | Base::Bool);
            return Ok((!is_emptied).then_some(value));
        }
        let env = match &value {
            Value::String(Text::Pieces(pieces)) => match &pieces[..] {
                [Piece::Env(name)] => Some(name.clone()),
                _ => None,
            },
            _ => None,
        };
        Ok(Some(Value::piece(Piece::Secret {
            variable: variable.name.clone(),
            env,
        })))
    }

    fn locate(&self, text: &Text, location: Location, span: Span) -> Text {
        // Only the build knows where a path begins that starts with an interpolation.
        let folder = self.image().program.sources.get(span.file).folder();
        match text.known() {
            Some(known) => locate_text(&known, location, folder),
            None => text.clone(),
        }
    }

    fn eval_concat(&mut self, parts: &'p [Expr], span: Span) -> Computed {
        let mut text = TextBuilder::default();
        let mut size = 0;
        for part in parts {
            let Some(value) = self.eval(part)? else {
                return Ok(None);
            };
            self.image().add_size(&mut size, &value, span)?;
            match value {
                Value::String(part) => text.push(&part),
                Value::Bool(flag) => text.push_str(if flag { "true" } else { "false" }),
                Value::Int(number) => text.push_str(&number.to_string()),
                other => {
                    return Err(Stop::Failed(
                        part.span,
                        format!("{} cannot be interpolated into a string", other.kind()),
                    ));
                }
            }
        }
        Ok(Some(Value::String(text.finish())))
    }

    fn eval_decoded(&mut self, id: VarId, text: &'p Expr) -> Computed {
        let Some(Value::String(joined)) = self.eval(text)? else {
            return Ok(None);
        };
        let variable = self.image().program.variable(id);
        match decode(&variable.ty, variable.encoding, &joined) {
            Ok(decoded) => Ok(Some(decoded.value)),
            Err(mismatch) => {
                let message = mismatch.message(variable.is_secret);
                Err(Stop::Failed(
                    text.span,
                    format!("`{}`: {message}", variable.name),
                ))
            }
        }
    }

    fn eval_bool(&mut self, expr: &'p Expr) -> Result<Option<bool>, Stop> {
        match self.eval(expr)? {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(value) if value.is_opaque() => Err(Stop::Opaque(expr.span)),
            Some(value) => Err(Stop::Failed(
                expr.span,
                format!("expected a bool, found {}", value.kind()),
            )),
        }
    }

    fn eval_binary(&mut self, op: BinaryOp, versions: bool, sides: &'p [Expr; 2]) -> Computed {
        let [left, right] = sides;
        match op {
            BinaryOp::And | BinaryOp::Or => {
                // The side that decides decides, whatever is known of the other. In the value of a variable both are
                // evaluated, so that a circle is found whatever the order of the sides.
                let deciding = op == BinaryOp::Or;
                let decides = |side: &Result<Option<bool>, Stop>| matches!(side, Ok(Some(x)) if *x == deciding);
                let a = self.eval_bool(left);
                if decides(&a) && self.current().is_none() {
                    return Ok(Some(Value::Bool(deciding)));
                }
                let b = self.eval_bool(right);
                if decides(&a) || decides(&b) {
                    return Ok(Some(Value::Bool(deciding)));
                }
                Ok(a?.and(b?).map(Value::Bool))
            }
            BinaryOp::Add => {
                let (a, b) = (self.eval_known(left)?, self.eval_known(right)?);
                let (Some(a), Some(b)) = (a, b) else {
                    return Ok(None);
                };
                let (mut size, whole) = (0, left.span.to(right.span));
                self.image().add_size(&mut size, &a, whole)?;
                self.image().add_size(&mut size, &b, whole)?;
                match (elements(&a), elements(&b)) {
                    (Some(a), Some(b)) => Ok(Some(Value::list(
                        a.iter().chain(b.iter()).cloned().collect(),
                    ))),
                    _ => Err(Stop::Failed(
                        left.span.to(right.span),
                        "expected a list on each side of `+`".to_owned(),
                    )),
                }
            }
            BinaryOp::In | BinaryOp::NotIn => {
                let (a, b) = (self.eval_known(left)?, self.eval_known(right)?);
                let (Some(a), Some(b)) = (a, b) else {
                    return Ok(None);
                };
                let Some(elements) = elements(&b) else {
                    return Err(Stop::Failed(
                        right.span,
                        format!("expected a list after `in`, found {}", b.kind()),
                    ));
                };
                self.image()
                    .spend(elements.len() * size_of::<Value>(), right.span)?;
                let found = elements.iter().any(|e| is_equal(e, &a, versions));
                if !found && b.has_placeholders() {
                    return Err(Stop::Opaque(right.span));
                }
                Ok(Some(Value::Bool(found == (op == BinaryOp::In))))
            }
            _ => {
                let (a, b) = (self.eval_known(left)?, self.eval_known(right)?);
                let (Some(a), Some(b)) = (a, b) else {
                    return Ok(None);
                };
                if a.has_placeholders() || b.has_placeholders() {
                    return Err(Stop::Opaque(left.span.to(right.span)));
                }
                let answer = match op {
                    BinaryOp::Equal => is_equal(&a, &b, versions),
                    BinaryOp::NotEqual => !is_equal(&a, &b, versions),
                    _ => {
                        let Some(order) = compare(&a, &b) else {
                            return Err(Stop::Failed(
                                left.span.to(right.span),
                                "only integers and versions have an order".to_owned(),
                            ));
                        };
                        match op {
                            BinaryOp::Less => order == Ordering::Less,
                            BinaryOp::LessEqual => order != Ordering::Greater,
                            BinaryOp::Greater => order == Ordering::Greater,
                            _ => order != Ordering::Less,
                        }
                    }
                };
                Ok(Some(Value::Bool(answer)))
            }
        }
    }

    /// A value that is not wholly opaque.
    fn eval_known(&mut self, expr: &'p Expr) -> Computed {
        match self.eval(expr)? {
            Some(value) if value.is_opaque() => Err(Stop::Opaque(expr.span)),
            value => Ok(value),
        }
    }

    fn eval_call(&mut self, function: Function, args: &'p [Expr], span: Span) -> Computed {
        if let (
            Function::IsSet,
            [
                Expr {
                    kind: ExprKind::Variable(id),
                    ..
                },
            ],
        ) = (function, args)
        {
            let is_set = self.read(*id)?.is_some();
            return Ok(Some(Value::Bool(is_set)));
        }
        if let (
            Function::IsYours,
            [
                Expr {
                    kind: ExprKind::Variable(id),
                    ..
                },
            ],
        ) = (function, args)
        {
            return Ok(Some(Value::Bool(self.image().is_set_by_users(*id))));
        }
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            match self.eval_known(arg)? {
                Some(value) => values.push(value),
                None => return Ok(None),
            }
        }
        for value in &values {
            self.image().spend(value.size(MAX_VALUE), span)?;
        }
        // The number of arguments has been checked, so each of them is there.
        let place = |i: usize| args.get(i).map_or(span, |arg| arg.span);
        let text = |i: usize| -> Result<String, Stop> {
            match values.get(i) {
                Some(Value::String(text)) => text
                    .known()
                    .map(|t| t.into_owned())
                    .ok_or(Stop::Opaque(place(i))),
                Some(Value::Int(number)) => Ok(number.to_string()),
                Some(other) => Err(Stop::Failed(
                    place(i),
                    format!("expected a string, found {}", other.kind()),
                )),
                None => Err(Stop::Reported),
            }
        };
        let list = |i: usize| -> Result<std::sync::Arc<[Value]>, Stop> {
            match values.get(i) {
                Some(value) => elements(value).ok_or_else(|| {
                    Stop::Failed(place(i), format!("expected a list, found {}", value.kind()))
                }),
                None => Err(Stop::Reported),
            }
        };
        Ok(Some(match function {
            Function::Major | Function::Minor | Function::Patch => {
                let version = text(0)?;
                let Some([major, minor, patch]) = numbers(&version) else {
                    return Err(Stop::Failed(
                        place(0),
                        format!("`{version}` is not a version"),
                    ));
                };
                Value::Int(match function {
                    Function::Major => major,
                    Function::Minor => minor,
                    _ => patch,
                })
            }
            Function::TrimPrefix => {
                let (whole, prefix) = (text(0)?, text(1)?);
                Value::text(whole.strip_prefix(prefix.as_str()).unwrap_or(&whole))
            }
            Function::TrimSuffix => {
                let (whole, suffix) = (text(0)?, text(1)?);
                Value::text(whole.strip_suffix(suffix.as_str()).unwrap_or(&whole))
            }
            Function::Replace => {
                let (whole, from) = (text(0)?, text(1)?);
                let into = text(2)?;
                let count = if from.is_empty() {
                    0
                } else {
                    whole.matches(&from).count()
                };
                if count * into.len() > MAX_VALUE {
                    return Err(Stop::TooLarge(span));
                }
                match count {
                    0 => Value::text(whole),
                    _ => Value::text(whole.replace(&from, &into)),
                }
            }
            Function::Lower => Value::text(text(0)?.to_lowercase()),
            Function::Upper => Value::text(text(0)?.to_uppercase()),
            Function::Base64 => {
                Value::text(base64::engine::general_purpose::STANDARD.encode(text(0)?))
            }
            Function::Join => {
                let (elements, separator) = (list(0)?, text(1)?);
                if elements.len() * separator.len() > MAX_VALUE {
                    return Err(Stop::TooLarge(span));
                }
                let mut out = TextBuilder::default();
                for (i, element) in elements.iter().enumerate() {
                    out.push_str(if i > 0 { &separator } else { "" });
                    out.push(&encode(element, Encoding::Plain));
                }
                Value::String(out.finish())
            }
            Function::Split => {
                let (whole, separator) = (text(0)?, text(1)?);
                if separator.is_empty() {
                    return Err(Stop::Failed(
                        place(1),
                        "the separator cannot be empty".to_owned(),
                    ));
                }
                let most = MAX_VALUE / size_of::<Value>();
                let parts = whole
                    .split(separator.as_str())
                    .filter(|_| !whole.is_empty());
                let parts: Vec<Value> = parts.map(Value::text).take(most + 1).collect();
                if parts.len() > most {
                    return Err(Stop::TooLarge(span));
                }
                Value::list(parts)
            }
            Function::Len => Value::Int(match values.first() {
                Some(Value::List(elements)) => elements.len() as i64,
                Some(Value::Map(map)) => map.len() as i64,
                _ => text(0)?.chars().count() as i64,
            }),
            Function::Keys => match values.first() {
                Some(Value::Map(map)) => {
                    Value::list(map.keys().cloned().map(Value::text).collect())
                }
                None => return Err(Stop::Reported),
                Some(other) => {
                    return Err(Stop::Failed(
                        place(0),
                        format!("expected a map, found {}", other.kind()),
                    ));
                }
            },
            Function::Unique => {
                let elements = list(0)?;
                let mut seen = FxHashSet::default();
                let new = elements.iter().filter(|element| seen.insert(*element));
                Value::list(new.cloned().collect())
            }
            Function::Matches => {
                let pattern = text(1)?;
                let answer = match values.first() {
                    Some(Value::List(elements)) => {
                        let mut all = true;
                        for element in elements.iter() {
                            let known = encode(element, Encoding::Plain);
                            let Some(known) = known.known() else {
                                return Err(Stop::Opaque(place(0)));
                            };
                            all &= self.image().is_match(&pattern, &known, place(1))?;
                        }
                        all
                    }
                    _ => self.image().is_match(&pattern, &text(0)?, place(1))?,
                };
                Value::Bool(answer)
            }
            Function::Env
            | Function::File
            | Function::Path
            | Function::Jinja
            | Function::IsSet
            | Function::IsYours => {
                return Err(Stop::Failed(span, "expected a constant".to_owned()));
            }
        }))
    }
}

fn elements(value: &Value) -> Option<Arc<[Value]>> {
    match value {
        Value::List(elements) => Some(elements.clone()),
        _ => None,
    }
}

/// An image that has been evaluated.
pub(crate) struct Finished<'i, 'p>(pub &'i Image<'p>);

impl<'p> Interpret<'p> for Finished<'_, 'p> {
    fn image(&self) -> &Image<'p> {
        self.0
    }

    fn require(&mut self, _: VarId) {}
}

impl Image<'_> {
    /// Counts a part of a value that is being put together.
    fn add_size(&self, size: &mut usize, part: &Value, whole: Span) -> Result<(), Stop> {
        let more = part.size(MAX_VALUE);
        *size += more;
        let spent = self.spend(more, whole);
        if *size > MAX_VALUE {
            return Err(Stop::TooLarge(whole));
        }
        spent
    }

    /// Whether a regular expression matches a whole text.
    fn is_match(&self, pattern: &str, text: &str, span: Span) -> Result<bool, Stop> {
        thread_local! {
            /// Patterns are few and images many: each is compiled once a thread.
            static COMPILED: RefCell<FxHashMap<SmolStr, Pattern>> = RefCell::default();
        }
        // Each image pays for its patterns, whichever image has compiled them.
        if !self.patterns.borrow().contains(pattern) {
            self.spend(PATTERN_WORK, span)?;
            self.patterns.borrow_mut().insert(SmolStr::new(pattern));
        }
        COMPILED.with_borrow_mut(|compiled| {
            if let Some(Ok(answer)) = compiled.get(pattern).map(|known| known.matches(text)) {
                return Ok(answer);
            }
            if compiled.len() > MAX_PATTERNS {
                compiled.clear();
            }
            let known = compiled
                .entry(SmolStr::new(pattern))
                .or_insert_with(|| Pattern::new(pattern));
            known.matches(text).map_err(|e| {
                // The lines before the last one draw the pattern.
                let error = e.to_string();
                let why = error
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ");
                Stop::Failed(span, format!("invalid regular expression: {why}"))
            })
        })
    }

    /// Counts bytes that the values of this image consist of, or that its expressions read.
    pub(crate) fn spend(&self, bytes: usize, whole: Span) -> Result<(), Stop> {
        let work = self.work.get().saturating_add(bytes);
        let is_first = self.work.get() <= MAX_WORK;
        self.work.set(work);
        match (work > MAX_WORK, is_first) {
            (false, _) => Ok(()),
            (true, true) => Err(Stop::TooMuch(whole)),
            // The first place is reported.
            (true, false) => Err(Stop::Reported),
        }
    }
}

fn is_equal(a: &Value, b: &Value, versions: bool) -> bool {
    a == b || (versions && compare(a, b) == Some(Ordering::Equal))
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(compare_versions(&a.known()?, &b.known()?)),
        _ => None,
    }
}
