//! A program: every item with its names resolved and its types checked once.

use crate::diagnostic::Reported;
use crate::packer::{LazyTemplate, Selection};
use crate::schema::{Encoding, Playbook, Receivers, Roles, Type, Value};
use crate::source::{FileId, Span};
use crate::syntax::ast::BinaryOp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $($(#[$doc])* #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)] pub struct $name(pub u32);)*
    };
}

ids! {
    /// A variable: declared, or an entry of an `ansible` or `packer` block.
    VarId,
    /// A layer or an image.
    SectionId,
    /// A provider.
    ProviderId,
    /// A rule.
    RuleId,
    /// A probe.
    ProbeId,
}

/// What a variable is made by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VariableKind {
    /// A `variable` item.
    Declared,
    /// A `variable` item that is a deprecated name of another variable.
    Alias(VarId),
    /// A `variable` item that a release of Image Builder dropped, with what to use instead.
    Removed(SmolStr),
    /// An entry of a block or of a JSON var file, under a name that no item declares.
    Extra(Owner),
}

/// The kind of block that makes a variable without a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Owner {
    /// An entry of an `ansible` block: an extra var for roles.
    Ansible,
    /// An entry of a `packer` block, or of a JSON var file: an undeclared Packer variable.
    Packer,
}

/// What a variable is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: SmolStr,
    /// What makes it.
    pub kind: VariableKind,
    /// Its name in its declaration, or its first mention.
    pub span: Span,
    /// The type of its value.
    pub ty: Type,
    /// Its value where no layer sets it.
    pub default: Option<Expr>,
    /// How its value is written as the string that Packer takes.
    pub encoding: Encoding,
    /// What reads it.
    pub to: Receivers,
    /// Over facts: where it has an effect.
    pub applies: Option<Expr>,
    /// A fact: conditions may read it.
    pub is_fact: bool,
    /// No output shows its value.
    pub is_secret: bool,
    /// Roles need the real type, upstream's too.
    pub is_typed: bool,
    /// What `imgspec adopt` sets it to in the layer of a file whose path a pattern matches.
    pub adopt: Vec<(SmolStr, SmolStr)>,
    /// The `##` comment above its declaration.
    pub doc: Option<String>,
}

impl Variable {
    /// True where a `variable` item makes it, current or not.
    pub fn is_declared(&self) -> bool {
        self.extra().is_none()
    }

    /// The variable that it is a deprecated name of.
    pub fn alias_of(&self) -> Option<VarId> {
        match self.kind {
            VariableKind::Alias(real) => Some(real),
            _ => None,
        }
    }

    /// What to use instead of a variable that a release dropped.
    pub fn removed(&self) -> Option<&SmolStr> {
        match &self.kind {
            VariableKind::Removed(instead) => Some(instead),
            _ => None,
        }
    }

    /// The kind of block that makes it, where no item declares it.
    pub fn extra(&self) -> Option<Owner> {
        match self.kind {
            VariableKind::Extra(owner) => Some(owner),
            _ => None,
        }
    }

    /// True where a `{{` in its text is Packer's.
    pub fn has_packer_braces(&self) -> bool {
        self.to.has(Receivers::PACKER) && self.encoding != Encoding::Base64
    }
}

/// What kind of layer a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayerKind {
    /// A `layer` item.
    Layer,
    /// An `image` item, or an image of a matrix.
    Image,
    /// What the images of a matrix share.
    Matrix,
    /// A value of an axis of a matrix.
    Axis,
    /// A JSON var file, included or from `PACKER_VAR_FILES`.
    Json,
    /// `--set`
    Argument,
}

/// A layer: settings and what they are based on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Section {
    /// Where its settings come from.
    pub kind: LayerKind,
    /// Its name; for a layer of the command line, the option or file.
    pub name: SmolStr,
    /// Its name in the text.
    pub span: Span,
    /// The layers that it extends, the weakest first, each with its name in the text.
    pub extends: Vec<(SectionId, Span)>,
    /// All of its text, from its keyword to its closing brace.
    pub whole: Span,
    /// It names a parent that is not there, which has been reported.
    pub lacks_parent: bool,
    /// What it sets, in order.
    pub settings: Vec<Setting>,
    /// The conditions of its `when` blocks, an outer one before its inner ones.
    pub conditions: Vec<Condition>,
    /// What its `target` block names; only images have one.
    pub target: Option<Target>,
    /// The `##` comment above it.
    pub doc: Option<String>,
}

/// The condition of a `when`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Condition {
    /// What must hold.
    pub expr: Expr,
    /// The `when` around it.
    pub outer: Option<u32>,
}

/// What a setting does to a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Takes the place of the value.
    Replace,
    /// Adds elements to the list.
    Append,
    /// Takes elements out of the list.
    Remove,
    /// Leaves the variable without a value.
    Unset,
}

/// What a layer does to a variable.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setting {
    /// The variable that it sets.
    pub variable: VarId,
    /// How it changes the value of weaker layers.
    pub change: Change,
    /// The new value, or the elements that are added or removed.
    pub value: Expr,
    /// No stronger layer may set the variable.
    pub is_final: bool,
    /// An index into its section's conditions.
    pub condition: Option<u32>,
    /// All of its text.
    pub span: Span,
    /// The variable's name in the text.
    pub name_span: Span,
    /// JSON only: the value had quotes of its own.
    pub had_quotes: bool,
}

impl Setting {
    /// A setting that replaces the value, without a condition.
    pub(crate) fn replace(variable: VarId, name_span: Span, value: Expr) -> Setting {
        Setting {
            variable,
            change: Change::Replace,
            span: name_span.to(value.span),
            value,
            is_final: false,
            condition: None,
            name_span,
            had_quotes: false,
        }
    }
}

/// The `target` block of an image.
#[derive(Debug, Serialize, Deserialize)]
pub struct Target {
    /// The word `target` in the text.
    pub span: Span,
    /// The provider whose template Packer runs.
    pub provider: ProviderId,
    /// The runs of Packer, in order.
    pub runs: Vec<Run>,
    /// Layers above everything that the project sets: var files that are named after those of `PACKER_VAR_FILES`.
    pub above: Vec<(SectionId, Span)>,
    /// The `-var` arguments of every run.
    pub vars: Vec<Setting>,
    /// The name of its target in Image Builder's Makefile, where that is not `build-` and the image's name.
    pub make: Option<SmolStr>,
    /// Why nothing can be built with it: a target that is known by its name only.
    pub refused: Option<SmolStr>,
}

/// One run of Packer.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// The builders that it runs.
    pub selection: Selection,
    /// Its `-var` arguments.
    pub vars: Vec<Setting>,
}

/// A Packer template and what it reads.
#[derive(Debug, Serialize, Deserialize)]
pub struct Provider {
    /// Its name.
    pub name: SmolStr,
    /// Its name in the text.
    pub span: Span,
    /// The path of its Packer template.
    pub template: SmolStr,
    /// Whose Ansible roles its playbook runs.
    pub roles: Roles,
    /// The operating systems that its playbook is for.
    pub playbook: Playbook,
    /// The programs that a build needs.
    pub tools: Vec<SmolStr>,
    /// The files that a build makes, as a pattern.
    pub artifact: Option<SmolStr>,
    /// The `-var` arguments, `name=value`, that `build --foreground` adds.
    pub foreground: Vec<SmolStr>,
    /// What the template reads and hands on: from its text, or as stated.
    pub readers: LazyTemplate,
    /// The defaults of its template.
    pub defaults: Vec<Setting>,
    /// The `##` comment above it.
    pub doc: Option<String>,
}

/// A condition that is checked for each image.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: SmolStr,
    /// Its name in the text.
    pub span: Span,
    /// What is wrong where it is true.
    pub condition: Expr,
    /// `deny`; otherwise `warn`.
    pub is_deny: bool,
    /// The message of its diagnostic.
    pub message: Expr,
    /// The help of its diagnostic.
    pub help: Option<Expr>,
    /// The file that declares it.
    pub file: FileId,
}

impl Rule {
    /// True unless the rule forbids nothing: one of the standard library about variables that another library lacks, or one
    /// with an error, which has been reported.
    pub fn is_checked(&self) -> bool {
        self.condition.span != self.span
    }
}

/// A command that checks a built image.
#[derive(Debug, Serialize, Deserialize)]
pub struct Probe {
    /// Its name.
    pub name: SmolStr,
    /// Its name in the text.
    pub span: Span,
    /// Where it is false, the probe does not concern the image.
    pub applies: Option<Expr>,
    /// The shell script that checks the image.
    pub script: Option<Expr>,
    /// The program and its arguments; with a script, the script's arguments.
    pub words: Expr,
    /// Files and folders of this machine that the command can read.
    pub files: Option<Expr>,
    /// Programs of this machine that the command can start.
    pub tools: Vec<SmolStr>,
    /// What the command must print; without it, the command must succeed.
    pub output: Option<Expr>,
    /// The command needs the booted system.
    pub boots: bool,
    /// The `##` comment above it.
    pub doc: Option<String>,
}

impl Probe {
    /// True unless it has no command: a probe of the standard library about variables that another library lacks, or one
    /// with an error, which has been reported.
    pub fn is_checked(&self) -> bool {
        self.words.span != self.span
    }

    /// Returns what it checks: the first sentence of its documentation on one line, or its name.
    pub fn title(&self) -> String {
        let Some(doc) = self.doc.as_deref().filter(|doc| !doc.is_empty()) else {
            return self.name.to_string();
        };
        let words: Vec<&str> = doc.split_whitespace().collect();
        let ends = |word: &&str| word.ends_with('.');
        let count = words.iter().position(ends).map_or(words.len(), |at| at + 1);
        let sentence = words.get(..count).unwrap_or_default().join(" ");
        sentence.trim_end_matches('.').to_owned()
    }

    /// Calls `visit` with every variable that it names: first those of what it runs and expects, then those of its condition.
    pub fn for_each_variable(&self, visit: &mut impl FnMut(VarId)) {
        let optional = [&self.script, &self.files, &self.output, &self.applies];
        let optional = optional.into_iter().flatten();
        for part in std::iter::once(&self.words).chain(optional) {
            part.for_each_variable(visit);
        }
    }
}

/// An expression with its names resolved and its types checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Expr {
    /// Its form.
    pub kind: ExprKind,
    /// Its text.
    pub span: Span,
}

/// The forms of an expression.
#[derive(Debug, Serialize, Deserialize)]
pub enum ExprKind {
    /// An expression with an error, which has been reported.
    Missing(Reported),
    /// What `unset` sets: no value.
    Nothing,
    /// A value that is known.
    Const(Value),
    /// A variable's final value.
    Variable(VarId),
    /// `{{user `x`}}`: the string that Packer gets for a variable.
    Encoded(VarId),
    /// A template that only Packer can fill, with the variables that it names.
    Packer(SmolStr, Box<[VarId]>),
    /// Texts, joined.
    Concat(Vec<Expr>),
    /// A path that is relative to the file of its span.
    Located(Location, Box<Expr>),
    /// The text that a JSON layer has for a variable, read by that variable's type.
    Decoded(VarId, Box<Expr>),
    /// A list of which not all elements are known.
    List(Vec<Expr>),
    /// A map of which not all values are known.
    Map(Vec<(SmolStr, Expr)>),
    /// A condition, and the values where it holds and where not.
    If(Box<[Expr; 3]>),
    /// The opposite of a condition.
    Not(Box<Expr>),
    /// An operator between two expressions.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The sides are compared as versions.
        versions: bool,
        /// The left and the right operand.
        sides: Box<[Expr; 2]>,
    },
    /// A call, with as many arguments as the function takes.
    Call(Function, Vec<Expr>),
}

/// What a relative path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// A path that another program reads.
    Path,
    /// The file must be there.
    File,
    /// A path only where it has a `/`; else a role's name.
    Role,
}

impl Expr {
    /// Makes an expression of a known value.
    pub fn constant(value: Value, span: Span) -> Expr {
        Expr {
            kind: ExprKind::Const(value),
            span,
        }
    }

    /// The placeholder for an expression whose error was reported.
    pub fn missing(reported: Reported, span: Span) -> Expr {
        Expr {
            kind: ExprKind::Missing(reported),
            span,
        }
    }

    /// The error because of which it has no value: its own, or that of an element or a branch. Operators and calls are
    /// missing as a whole where an operand is.
    pub fn error(&self) -> Option<Reported> {
        match &self.kind {
            ExprKind::Missing(reported) => Some(*reported),
            ExprKind::List(parts) => parts.iter().find_map(Expr::error),
            ExprKind::Map(pairs) => pairs.iter().find_map(|(_, value)| value.error()),
            ExprKind::If(parts) => parts.iter().find_map(Expr::error),
            _ => None,
        }
    }

    /// The expression, if it has a value.
    pub fn sound(self) -> Result<Expr, Reported> {
        match self.error() {
            Some(reported) => Err(reported),
            None => Ok(self),
        }
    }

    /// Calls `visit` with every variable that it names.
    pub fn for_each_variable(&self, visit: &mut impl FnMut(VarId)) {
        match &self.kind {
            ExprKind::Missing(_) | ExprKind::Nothing | ExprKind::Const(_) => {}
            ExprKind::Variable(id) | ExprKind::Encoded(id) => visit(*id),
            ExprKind::Packer(_, ids) => ids.iter().for_each(|id| visit(*id)),
            ExprKind::Concat(parts) | ExprKind::List(parts) | ExprKind::Call(_, parts) => {
                parts.iter().for_each(|e| e.for_each_variable(visit));
            }
            ExprKind::Map(pairs) => pairs.iter().for_each(|(_, e)| e.for_each_variable(visit)),
            ExprKind::If(parts) => parts.iter().for_each(|e| e.for_each_variable(visit)),
            ExprKind::Binary { sides, .. } => sides.iter().for_each(|e| e.for_each_variable(visit)),
            ExprKind::Located(_, inner) | ExprKind::Decoded(_, inner) | ExprKind::Not(inner) => {
                inner.for_each_variable(visit);
            }
        }
    }
}

/// What a function takes as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// A quoted string: it names something outside the spec, which is looked up while the spec is checked.
    Quoted(Quoted),
    /// The name of a variable, which is not read.
    Variable,
    /// A value of any type.
    Any,
    /// A string.
    String,
    /// A regular expression.
    Pattern,
    /// A list.
    List,
    /// A map.
    Map,
}

/// What the quoted argument of a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoted {
    /// The name of an environment variable.
    Environment,
    /// The path of a file whose content is read.
    File,
    /// A path, which becomes absolute.
    Path,
    /// A Jinja template.
    Jinja,
}

/// What a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// A value whose type is known only during the build.
    Any,
    /// `true` or `false`.
    Bool,
    /// An integer.
    Int,
    /// A string.
    String,
    /// A list of strings.
    Strings,
    /// A value of its first argument's type.
    Argument,
}

macro_rules! functions {
    ($(
        $name:ident $text:literal ($first:literal: $kind:expr $(, $label:literal: $kinds:expr)*) -> $returned:ident
        $doc:literal,
    )*) => {
        /// The functions of the language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Function { $(#[doc = $doc] $name,)* }

        impl Function {
            /// All functions, in the order of the documentation.
            pub const ALL: &[Function] = &[$(Function::$name,)*];

            /// Returns its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Function::$name => $text,)* }
            }

            /// What it takes, in order.
            pub fn parameters(self) -> &'static [Parameter] {
                use Parameter::{Any, List, Map, Pattern, String, Variable};
                match self { $(Function::$name => &[$kind $(, $kinds)*],)* }
            }

            /// Returns what a call has as its value.
            pub fn returned(self) -> Returned {
                match self { $(Function::$name => Returned::$returned,)* }
            }

            /// How it is written, for messages and editors.
            pub fn signature(self) -> &'static str {
                match self { $(Function::$name => concat!($text, "(", $first, $(", ", $label,)* ")"),)* }
            }

            /// What it gives, in a sentence.
            pub fn doc(self) -> &'static str {
                match self { $(Function::$name => $doc,)* }
            }
        }
    };
}

functions! {
    Env "env" ("\"NAME\"": Parameter::Quoted(Quoted::Environment)) -> Any
        "The value of an environment variable during the build. Compiling never reads it.",
    File "file" ("\"path\"": Parameter::Quoted(Quoted::File)) -> String
        "The content of a file when the spec is compiled. The path is relative to this spec.",
    Path "path" ("\"path\"": Parameter::Quoted(Quoted::Path)) -> String
        "A path relative to this spec, for a variable that is not of type `path`.",
    Jinja "jinja" ("\"{{ expression }}\"": Parameter::Quoted(Quoted::Jinja)) -> String
        "An expression that Ansible evaluates. In other strings, `{{` is plain text to Ansible.",
    Major "major" ("version": String) -> Int
        "The first number of a version.",
    Minor "minor" ("version": String) -> Int
        "The second number of a version.",
    Patch "patch" ("version": String) -> Int
        "The third number of a version.",
    TrimPrefix "trim_prefix" ("string": String, "prefix": String) -> String
        "The string without a prefix, if it starts with that prefix.",
    TrimSuffix "trim_suffix" ("string": String, "suffix": String) -> String
        "The string without a suffix, if it ends with that suffix.",
    Replace "replace" ("string": String, "from": String, "to": String) -> String
        "The string with every occurrence of `from` replaced by `to`.",
    Lower "lower" ("string": String) -> String
        "The string in lowercase.",
    Upper "upper" ("string": String) -> String
        "The string in uppercase.",
    Join "join" ("list": List, "separator": String) -> String
        "The elements of a list as one string, with a separator between them.",
    Split "split" ("string": String, "separator": String) -> Strings
        "The parts of a string between separators, as a list.",
    Base64 "base64" ("string": String) -> String
        "The string in Base64.",
    Len "len" ("list": Any) -> Int
        "The number of elements in a list.",
    Keys "keys" ("map": Map) -> Strings
        "The keys of a map, as a list.",
    Unique "unique" ("list": List) -> Argument
        "The list without repeated elements.",
    IsSet "is_set" ("variable": Variable) -> Bool
        "Whether a variable has a value.",
    IsYours "is_yours" ("variable": Variable) -> Bool
        "Whether your files set a variable, not only the library. A rule uses it to give advice.",
    Matches "matches" ("string or list": Any, "'pattern'": Pattern) -> Bool
        "Whether a whole string, or each element of a list, matches a regular expression.",
}

impl Function {
    /// How many arguments it takes.
    pub fn arguments(self) -> usize {
        self.parameters().len()
    }

    /// The function of that name.
    pub fn parse(name: &str) -> Option<Function> {
        Function::ALL.iter().copied().find(|f| f.as_str() == name)
    }
}
