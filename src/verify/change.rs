//! The smallest change with which an assertion holds, if it is one setting.

use crate::eval::{Image, Judgement};
use crate::project::Table;
use crate::project::hir::*;
use crate::schema::{Base, Value, check_value, print_value};
use crate::syntax::ast::BinaryOp;

/// What makes a condition true or false.
enum Change {
    /// A variable gets a value.
    Set(Value),
    /// A variable gets one of these values.
    OneOf(Vec<Value>),
    /// A list gets an element.
    Add(Value),
    /// A list loses an element.
    Remove(Value),
    /// A variable gets any value.
    AnyValue,
    /// A variable loses its value.
    Unset,
}

/// Returns the one setting with which a condition holds that now does not hold, in words.
pub(super) fn find_change<'p>(image: &Image<'p>, condition: &'p Expr) -> Option<String> {
    let (id, change) = find(image, condition, true)?;
    let variable = image.program.variable(id);
    if variable.is_fact || variable.is_secret {
        return None;
    }
    let fits = |value: &Value| check_value(&variable.ty, value).is_ok();
    let element = |value: &Value| match &variable.ty.base {
        Base::List(element) => check_value(element, value).is_ok(),
        _ => false,
    };
    let name = &variable.name;
    Some(match change {
        Change::Set(value) if fits(&value) => format!("set `{name}` to {}", print_value(&value)),
        Change::OneOf(values) if values.iter().all(fits) => {
            let values: Vec<String> = values.iter().map(print_value).collect();
            let (last, first) = values.split_last()?;
            format!("set `{name}` to {} or {last}", first.join(", "))
        }
        Change::Add(value) if element(&value) => {
            format!("add {} to `{name}`", print_value(&value))
        }
        Change::Remove(value) if element(&value) => {
            format!("remove {} from `{name}`", print_value(&value))
        }
        Change::AnyValue => format!("set `{name}`"),
        Change::Unset => format!("unset `{name}`"),
        _ => return None,
    })
}

fn find<'p>(image: &Image<'p>, expr: &'p Expr, wanted: bool) -> Option<(VarId, Change)> {
    match &expr.kind {
        ExprKind::Variable(id) => Some((*id, Change::Set(Value::Bool(wanted)))),
        ExprKind::Not(inner) => find(image, inner, !wanted),
        ExprKind::Call(Function::IsSet, arguments) => match arguments.as_slice() {
            [
                Expr {
                    kind: ExprKind::Variable(id),
                    ..
                },
            ] => Some((
                *id,
                if wanted {
                    Change::AnyValue
                } else {
                    Change::Unset
                },
            )),
            _ => None,
        },
        ExprKind::Binary { op, sides, .. } => {
            let [left, right] = sides.as_ref();
            match op {
                BinaryOp::And | BinaryOp::Or => find_in_one_side(image, *op, [left, right], wanted),
                BinaryOp::Add => None,
                _ => find_in_comparison(image, *op, left, right, wanted),
            }
        }
        _ => None,
    }
}

/// Both sides must be as wanted, and one of them is: then the change is that of the other side, unless it also changes the
/// first one.
fn find_in_one_side<'p>(
    image: &Image<'p>,
    op: BinaryOp,
    [left, right]: [&'p Expr; 2],
    wanted: bool,
) -> Option<(VarId, Change)> {
    if (op == BinaryOp::And) != wanted {
        return None;
    }
    let is_right = |side: &'p Expr| image.judge(side) == Judgement::Known(wanted);
    let (wrong, other) = match (is_right(left), is_right(right)) {
        (true, false) => (right, left),
        (false, true) => (left, right),
        _ => return None,
    };
    let (id, change) = find(image, wrong, wanted)?;
    let mut read = Vec::new();
    other.for_each_variable(&mut |id| read.push(id));
    let mut marked = Table::filled(&image.program.variables, false);
    image.mark_dependencies(read, &mut marked);
    (!marked[id]).then_some((id, change))
}

fn find_in_comparison<'p>(
    image: &Image<'p>,
    op: BinaryOp,
    left: &'p Expr,
    right: &'p Expr,
    wanted: bool,
) -> Option<(VarId, Change)> {
    use BinaryOp::*;
    let op = if wanted { op } else { opposite(op)? };
    if let ExprKind::Variable(id) = right.kind
        && matches!(op, In | NotIn)
    {
        let value = constant(image, left)?;
        return Some(match op {
            In => (id, Change::Add(value)),
            _ => (id, Change::Remove(value)),
        });
    }
    let (id, op, value) = match (&left.kind, &right.kind) {
        (ExprKind::Variable(id), _) => (*id, op, constant(image, right)?),
        (_, ExprKind::Variable(id)) => (*id, mirrored(op)?, constant(image, left)?),
        _ => return None,
    };
    let change = match (op, value) {
        (Equal | GreaterEqual | LessEqual, value) => Change::Set(value),
        (NotEqual, Value::Bool(value)) => Change::Set(Value::Bool(!value)),
        (Greater, Value::Int(value)) => Change::Set(Value::Int(value.checked_add(1)?)),
        (Less, Value::Int(value)) => Change::Set(Value::Int(value.checked_sub(1)?)),
        (In, Value::List(values)) => match &values[..] {
            [] => return None,
            [value] => Change::Set(value.clone()),
            values => Change::OneOf(values.to_vec()),
        },
        _ => return None,
    };
    Some((id, change))
}

/// The value of an expression that names no variable and no file: a path is written in another way than it is computed.
fn constant<'p>(image: &Image<'p>, expr: &'p Expr) -> Option<Value> {
    let mut names_variable = false;
    expr.for_each_variable(&mut |_| names_variable = true);
    if names_variable || matches!(expr.kind, ExprKind::Located(..)) {
        return None;
    }
    let value = image.eval_finished(expr)?;
    (!value.has_placeholders()).then_some(value)
}

/// The operator that is true where another one is false.
fn opposite(op: BinaryOp) -> Option<BinaryOp> {
    use BinaryOp::*;
    Some(match op {
        Equal => NotEqual,
        NotEqual => Equal,
        Less => GreaterEqual,
        LessEqual => Greater,
        Greater => LessEqual,
        GreaterEqual => Less,
        In => NotIn,
        NotIn => In,
        Or | And | Add => return None,
    })
}

/// The operator that means the same if the sides are swapped.
fn mirrored(op: BinaryOp) -> Option<BinaryOp> {
    use BinaryOp::*;
    Some(match op {
        Equal | NotEqual => op,
        Less => Greater,
        LessEqual => GreaterEqual,
        Greater => Less,
        GreaterEqual => LessEqual,
        In | NotIn | Or | And | Add => return None,
    })
}
