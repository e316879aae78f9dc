//! The typed view of a file, without whitespace, comments and errors.

use crate::source::Span;
use smol_str::SmolStr;

/// A name or string with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ident {
    /// The text, without quotes.
    pub text: SmolStr,
    /// The place in the source.
    pub span: Span,
}

/// A file.
#[derive(Debug, Default)]
pub struct File {
    /// The items, in order.
    pub items: Vec<Item>,
}

impl File {
    /// Returns the `include` items, in order.
    pub fn includes(&self) -> impl Iterator<Item = &Include> {
        self.items.iter().filter_map(|item| match item {
            Item::Include(include) => Some(include),
            _ => None,
        })
    }
}

/// An item of a file.
#[derive(Debug)]
pub enum Item {
    /// `include "path"`
    Include(Include),
    /// `type name = type`
    Type(TypeDecl),
    /// `variable name : type`
    Variable(Variable),
    /// `image name { … }`, `layer …`, `provider …` or `rule …`
    Section(Section),
}

impl Item {
    /// Returns the section, if the item is one.
    pub fn section(&self) -> Option<&Section> {
        match self {
            Item::Section(section) => Some(section),
            _ => None,
        }
    }
}

/// `include "path" as name`
#[derive(Debug, Clone)]
pub struct Include {
    /// The path, as written.
    pub path: Ident,
    /// The name after `as`.
    pub name: Option<Ident>,
}

/// `type name = type matching "pattern"`
#[derive(Debug)]
pub struct TypeDecl {
    /// The name of the type.
    pub name: Ident,
    /// The type after `=`.
    pub ty: TypeExpr,
    /// The regular expression after `matching`.
    pub matching: Option<Ident>,
    /// The comment above the item.
    pub doc: Option<String>,
}

/// `variable name : type = default { attributes }`
#[derive(Debug)]
pub struct Variable {
    /// The name of the variable.
    pub name: Ident,
    /// The type after `:`.
    pub ty: Option<TypeExpr>,
    /// The value after `=`.
    pub default: Option<Expr>,
    /// The settings between `{` and `}`.
    pub attributes: Vec<Stmt>,
    /// The comment above the item.
    pub doc: Option<String>,
}

/// The keyword of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// `image`
    Image,
    /// `layer`
    Layer,
    /// `provider`
    Provider,
    /// `rule`
    Rule,
}

/// An image, layer, provider or rule: `image name extends a, b { … }`
#[derive(Debug)]
pub struct Section {
    /// The keyword.
    pub kind: SectionKind,
    /// The name after the keyword.
    pub name: Ident,
    /// The names after `extends`.
    pub extends: Vec<Ident>,
    /// The statements between `{` and `}`.
    pub body: Vec<Stmt>,
    /// The comment above the item.
    pub doc: Option<String>,
    /// The place, from the keyword to the closing brace.
    pub span: Span,
}

/// A type in the source.
#[derive(Debug, Clone)]
pub struct TypeExpr {
    /// The type without `?`.
    pub kind: TypeKind,
    /// Whether the type has a `?`.
    pub optional: bool,
    /// The place, with the `?`.
    pub span: Span,
}

/// A type in the source, without its `?`.
#[derive(Debug, Clone)]
pub enum TypeKind {
    /// The name of a type: `string`
    Named(SmolStr),
    /// `"a" | "b"`
    OneOf(Vec<SmolStr>),
    /// `[string]`
    List(Box<TypeExpr>),
    /// `{string}`
    Map(Box<TypeExpr>),
    /// A type with an error, which has been reported.
    Missing,
}

/// A statement in a block.
#[derive(Debug, Clone)]
pub enum Stmt {
    /// `name = value`
    Set(Set),
    /// `unset name`
    Unset {
        /// The name of the variable.
        name: Ident,
        /// The place of the statement.
        span: Span,
    },
    /// `when condition { … }`
    When {
        /// The condition.
        condition: Expr,
        /// The statements between `{` and `}`.
        body: Vec<Stmt>,
        /// The place of the statement.
        span: Span,
    },
    /// Any other block: `ansible { … }` or `target { … }`
    Block {
        /// The word before the block.
        name: Ident,
        /// The statements between `{` and `}`.
        body: Vec<Stmt>,
        /// The place of the statement.
        span: Span,
    },
}

/// A setting: `name = value`, `name += value` or `final name = value`
#[derive(Debug, Clone)]
pub struct Set {
    /// The name of the variable.
    pub name: Ident,
    /// The operator.
    pub op: SetOp,
    /// The value.
    pub value: Expr,
    /// Whether the setting has `final`.
    pub is_final: bool,
    /// The place of the statement.
    pub span: Span,
}

/// The effect of a setting on the value from weaker layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// `=`
    Replace,
    /// `+=`
    Append,
    /// `-=`
    Remove,
}

/// An expression.
#[derive(Debug, Clone)]
pub struct Expr {
    /// The form of the expression and its operands.
    pub kind: ExprKind,
    /// The place in the source.
    pub span: Span,
}

/// The form of an expression.
#[derive(Debug, Clone)]
pub enum ExprKind {
    /// An expression with an error, which has been reported.
    Missing,
    /// `true`
    Bool(bool),
    /// `42`
    Int(i64),
    /// A word that begins with a digit but is not an integer: `1.5`, `4G`
    NoInt(SmolStr),
    /// A string without interpolations: `"a"`
    Str(SmolStr),
    /// An interpolated string: `"a ${b}"`
    Template(Vec<Part>),
    /// The name of a variable: `a`
    Name(SmolStr),
    /// `f(a, b)`
    Call {
        /// The name of the function.
        name: Ident,
        /// The arguments, in order.
        args: Vec<Expr>,
    },
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{ a = b }`
    Map(Vec<(Ident, Expr)>),
    /// `if a then b else c`
    If(Box<[Expr; 3]>),
    /// `not a`
    Not(Box<Expr>),
    /// `a == b`
    Binary(BinaryOp, Box<[Expr; 2]>),
}

/// A part of an interpolated string.
#[derive(Debug, Clone)]
pub enum Part {
    /// Literal text.
    Text(SmolStr),
    /// `${a}`
    Hole(Expr),
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `in`
    In,
    /// `not in`
    NotIn,
    /// `+`
    Add,
}
