//! The typed view of a file, without whitespace, comments and errors.

use crate::source::Span;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A name or string with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ident {
    /// The word, or the text without its quotes.
    pub text: SmolStr,
    /// Where it is written, quotes included.
    pub span: Span,
}

/// A file.
#[derive(Debug, Default, Serialize, Deserialize)]
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
#[derive(Debug, Serialize, Deserialize)]
pub enum Item {
    /// `include "path"`
    Include(Include),
    /// `type name = …`
    Type(TypeDecl),
    /// `variable name : type`
    Variable(Variable),
    /// A named block: an image, a layer, a provider, a rule, a probe or a matrix.
    Section(Section),
    /// `test "name" for pattern { … }`
    Test(Test),
    /// `waive rule for pattern because "…" until "…"`
    Waiver(Waiver),
}

impl Item {
    /// Returns the name that the item declares. An `include` declares the items of its file, and nothing can name a test.
    pub fn name(&self) -> Option<&Ident> {
        match self {
            Item::Include(_) | Item::Test(_) | Item::Waiver(_) => None,
            Item::Type(ty) => Some(&ty.name),
            Item::Variable(variable) => Some(&variable.name),
            Item::Section(section) => Some(&section.name),
        }
    }

    /// Returns the section, if the item is one.
    pub fn section(&self) -> Option<&Section> {
        match self {
            Item::Section(section) => Some(section),
            _ => None,
        }
    }
}

/// `include "path" as name`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Include {
    /// The path as it is written, relative to the file.
    pub path: Ident,
    /// The name of the layer that a JSON var file becomes.
    pub name: Option<Ident>,
}

/// `type name = type matching "pattern"`
#[derive(Debug, Serialize, Deserialize)]
pub struct TypeDecl {
    /// The name of the type.
    pub name: Ident,
    /// The type that it is based on.
    pub ty: TypeExpr,
    /// The regular expression that its strings match.
    pub matching: Option<Ident>,
    /// The `##` comment above it.
    pub doc: Option<String>,
}

/// `variable name : type = default { attributes }`
#[derive(Debug, Serialize, Deserialize)]
pub struct Variable {
    /// The name of the variable.
    pub name: Ident,
    /// The type. An alias and a removed variable have none.
    pub ty: Option<TypeExpr>,
    /// The value if no layer sets the variable.
    pub default: Option<Expr>,
    /// The statements in its braces.
    pub attributes: Vec<Stmt>,
    /// The `##` comment above it.
    pub doc: Option<String>,
}

/// The keyword of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SectionKind {
    /// What Packer builds.
    Image,
    /// What images and layers extend.
    Layer,
    /// A Packer template and what it reads.
    Provider,
    /// A condition that is checked for each image.
    Rule,
    /// A command that checks a built image.
    Probe,
    /// An image for each combination of the values of its axes.
    Matrix,
    /// A value of an axis of a matrix, as a layer. No text has this keyword.
    Axis,
}

/// An image, layer, provider, rule, probe or matrix: `image name extends a, b { … }`
#[derive(Debug, Serialize, Deserialize)]
pub struct Section {
    /// The keyword.
    pub kind: SectionKind,
    /// Its name.
    pub name: Ident,
    /// The layers and images that it extends, the weakest first.
    pub extends: Vec<Ident>,
    /// The statements in its braces.
    pub body: Vec<Stmt>,
    /// The `##` comment above it.
    pub doc: Option<String>,
    /// The place, from the keyword to the closing brace.
    pub span: Span,
}

/// `test "name" for pattern { … }`
#[derive(Debug, Serialize, Deserialize)]
pub struct Test {
    /// Its name.
    pub name: Ident,
    /// The names and globs of the images that it is about, or of their layers.
    pub patterns: Vec<Ident>,
    /// The statements in its braces.
    pub body: Vec<Stmt>,
    /// The `##` comment above it.
    pub doc: Option<String>,
    /// The place, from the keyword to the closing brace.
    pub span: Span,
}

/// `waive rule for pattern because "reason" until "date"`
#[derive(Debug, Serialize, Deserialize)]
pub struct Waiver {
    /// The rule.
    pub rule: Ident,
    /// The names and globs of the images that may break it, or of their layers.
    pub patterns: Vec<Ident>,
    /// Why they may.
    pub reason: Ident,
    /// The last day on which they may.
    pub until: Option<Ident>,
    /// All of its text.
    pub span: Span,
}

/// A type as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TypeExpr {
    /// The type without its `?`.
    pub kind: TypeKind,
    /// Whether the type has a `?`.
    pub optional: bool,
    /// Its text.
    pub span: Span,
}

/// The forms of a type.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum TypeKind {
    /// A built-in type, or one that a `type` item declares.
    Named(SmolStr),
    /// `"a" | "b"`
    OneOf(Vec<SmolStr>),
    /// `[type]`
    List(Box<TypeExpr>),
    /// `{type}`
    Map(Box<TypeExpr>),
    /// A type with an error, which has been reported.
    Missing,
}

/// A statement in a body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Stmt {
    /// `name = value`
    Set(Set),
    /// `unset name`
    Unset {
        /// The variable whose value the statement removes.
        name: Ident,
        /// All of its text.
        span: Span,
    },
    /// `when condition { … }`
    When {
        /// The condition under which the statements take effect.
        condition: Expr,
        /// The statements in its braces.
        body: Vec<Stmt>,
        /// All of its text.
        span: Span,
    },
    /// `axis name in [a, b]`, directly in a matrix
    Axis(Axis),
    /// Any other block: `ansible { … }` or `target { … }`
    Block {
        /// The word before its braces.
        name: Ident,
        /// The statements in its braces.
        body: Vec<Stmt>,
        /// All of its text.
        span: Span,
    },
    /// `assert condition because "reason"`
    Assert {
        /// What must hold.
        condition: Expr,
        /// Why it must.
        reason: Option<Expr>,
        /// All of its text.
        span: Span,
    },
    /// `expect code at name`
    Expect {
        /// The code of a diagnostic, or the name of a rule.
        code: Ident,
        /// The variable that the diagnostic is about.
        at: Option<Ident>,
        /// All of its text.
        span: Span,
    },
    /// `snapshot name`
    Snapshot {
        /// The name of the snapshot.
        name: Ident,
        /// All of its text.
        span: Span,
    },
}

impl Stmt {
    /// Returns the place of all of its text.
    pub fn span(&self) -> Span {
        match self {
            Stmt::Set(set) => set.span,
            Stmt::Axis(axis) => axis.span,
            Stmt::Unset { span, .. }
            | Stmt::When { span, .. }
            | Stmt::Block { span, .. }
            | Stmt::Assert { span, .. }
            | Stmt::Expect { span, .. }
            | Stmt::Snapshot { span, .. } => *span,
        }
    }
}

/// An axis of a matrix: `axis name in [a, b]` or `axis name in { label = a }`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Axis {
    /// The variable that the values are for, or a name in `extends` of which they take the place.
    pub name: Ident,
    /// The list or map after `in`.
    pub values: Expr,
    /// All of its text.
    pub span: Span,
}

/// A setting: `name = value`, `name += value` or `final name = value`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Set {
    /// The variable or attribute.
    pub name: Ident,
    /// The effect on the value from weaker layers.
    pub op: SetOp,
    /// The expression after the operator.
    pub value: Expr,
    /// Whether the setting has `final`: no stronger layer may change the value.
    pub is_final: bool,
    /// All of its text.
    pub span: Span,
}

/// The effect of a setting on the value from weaker layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SetOp {
    /// `=`
    Replace,
    /// `+=`
    Append,
    /// `-=`
    Remove,
}

/// An expression as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expr {
    /// Its form.
    pub kind: ExprKind,
    /// Its text.
    pub span: Span,
}

/// The forms of an expression.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ExprKind {
    /// An expression with an error, which has been reported.
    Missing,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A word that begins with a digit but is not an integer: `1.5`, `4G`
    NoInt(SmolStr),
    /// A string without interpolations, with its escapes decoded.
    Str(SmolStr),
    /// An interpolated string.
    Interpolated(Vec<Part>),
    /// The name of a variable.
    Name(SmolStr),
    /// `function(arguments)`
    Call {
        /// The name of the function.
        name: Box<Ident>,
        /// The arguments, in order.
        args: Vec<Expr>,
    },
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{ key = value }`
    Map(Vec<(Ident, Expr)>),
    /// `if condition then value else value`
    If(Box<[Expr; 3]>),
    /// `not condition`
    Not(Box<Expr>),
    /// `a == b`: a binary operator and its operands.
    Binary(BinaryOp, Box<[Expr; 2]>),
}

/// A part of an interpolated string.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Part {
    /// Literal text.
    Text(SmolStr),
    /// An interpolation, `${…}`.
    Interpolation(Expr),
}

/// An operator between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// `+`: joins two lists.
    Add,
}
