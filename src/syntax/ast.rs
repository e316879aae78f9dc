//! The typed view of a file: what it says, without blanks, comments and damage.

use crate::source::Span;
use smol_str::SmolStr;

/// A word or a text with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ident {
    pub text: SmolStr,
    pub span: Span,
}

/// A file's items, in order.
#[derive(Debug, Default)]
pub struct File {
    pub items: Vec<Item>,
}

impl File {
    /// The file's `include` items, in order.
    pub fn includes(&self) -> impl Iterator<Item = &Include> {
        self.items.iter().filter_map(|item| match item {
            Item::Include(include) => Some(include),
            _ => None,
        })
    }
}

#[derive(Debug)]
pub enum Item {
    Include(Include),
    Type(TypeDecl),
    Variable(Variable),
    Section(Section),
}

impl Item {
    /// The section that it is, if it is one.
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
    pub path: Ident,
    pub name: Option<Ident>,
}

/// `type name = type matching "pattern"`
#[derive(Debug)]
pub struct TypeDecl {
    pub name: Ident,
    pub ty: TypeExpr,
    pub matching: Option<Ident>,
    pub doc: Option<String>,
}

/// `variable name : type = default { attributes }`
#[derive(Debug)]
pub struct Variable {
    pub name: Ident,
    pub ty: Option<TypeExpr>,
    pub default: Option<Expr>,
    pub attributes: Vec<Stmt>,
    pub doc: Option<String>,
}

/// What a named block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionKind {
    Image,
    Layer,
    Provider,
    Rule,
}

/// `image name extends a, b { … }` and its like.
#[derive(Debug)]
pub struct Section {
    pub kind: SectionKind,
    pub name: Ident,
    pub extends: Vec<Ident>,
    pub body: Vec<Stmt>,
    pub doc: Option<String>,
    /// From the keyword to the closing brace.
    pub span: Span,
}

#[derive(Debug, Clone)]
pub struct TypeExpr {
    pub kind: TypeKind,
    /// Written with `?`.
    pub optional: bool,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub enum TypeKind {
    Named(SmolStr),
    /// `"a" | "b"`
    OneOf(Vec<SmolStr>),
    List(Box<TypeExpr>),
    Map(Box<TypeExpr>),
    /// Reported already.
    Missing,
}

#[derive(Debug, Clone)]
pub enum Stmt {
    Set(Set),
    Unset {
        name: Ident,
        span: Span,
    },
    When {
        condition: Expr,
        body: Vec<Stmt>,
        span: Span,
    },
    /// `ansible { … }`, `target { … }` and their like.
    Block {
        name: Ident,
        body: Vec<Stmt>,
        span: Span,
    },
}

/// `final name = value`
#[derive(Debug, Clone)]
pub struct Set {
    pub name: Ident,
    pub op: SetOp,
    pub value: Expr,
    pub is_final: bool,
    pub span: Span,
}

/// How a statement changes what weaker layers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetOp {
    Replace,
    Append,
    Remove,
}

#[derive(Debug, Clone)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub enum ExprKind {
    /// Reported already.
    Missing,
    Bool(bool),
    Int(i64),
    /// What begins like a number and is none: `1.5`, `4G`.
    NoInt(SmolStr),
    Str(SmolStr),
    Template(Vec<Part>),
    Name(SmolStr),
    Call {
        name: Ident,
        args: Vec<Expr>,
    },
    List(Vec<Expr>),
    Map(Vec<(Ident, Expr)>),
    If(Box<[Expr; 3]>),
    Not(Box<Expr>),
    Binary(BinaryOp, Box<[Expr; 2]>),
}

/// A piece of a string.
#[derive(Debug, Clone)]
pub enum Part {
    Text(SmolStr),
    Hole(Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
    Add,
}
