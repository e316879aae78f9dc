//! The parts of the language that the model knows, as a tree, and how to write the tree as text.

use std::fmt::{self, Display, Write};

/// A project: all its items, with the file that each is in.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The `.imgspec` files. A file includes only files that come before it.
    pub files: Vec<File>,
    /// The JSON var files: those that are layers, and those on the command line.
    pub json: Vec<JsonFile>,
    /// Variables, in the order of their declaration. All are in the first file.
    pub variables: Vec<Variable>,
    /// Providers. All are in the first file.
    pub providers: Vec<Provider>,
    /// Layers and images. A parent comes before its children.
    pub layers: Vec<Layer>,
    /// Rules. All are in the last file, which sees everything.
    pub rules: Vec<Rule>,
    /// The arguments of `--set`.
    pub arguments: Vec<Argument>,
    /// The files in `PACKER_VAR_FILES`: indices of `json`.
    pub var_files: Vec<usize>,
}

/// A `.imgspec` file.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// Its path from the project's root.
    pub path: String,
    /// The indices of the files that it includes.
    pub includes: Vec<usize>,
}

/// A JSON var file. `None` is `null`.
#[derive(Debug, Clone, Default)]
pub struct JsonFile {
    /// Its path from the project's root.
    pub path: String,
    /// Its entries, in order.
    pub entries: Vec<(String, Option<String>)>,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `string`
    String,
    /// `"a" | "b"`
    Choice(&'static [&'static str]),
    /// `ticket`, which the first file declares: capital letters, `-`, digits.
    Ticket,
    /// `semver`
    Semver,
    /// `version`
    Version,
    /// `[T]`
    List(Box<Type>),
    /// `{T}`
    Map(Box<Type>),
    /// `T?`
    Optional(Box<Type>),
}

/// An encoding: how Packer gets a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Strings and integers as they are.
    Plain,
    /// `true`
    Flag,
    /// `True`
    CapitalFlag,
    /// A list with spaces.
    Words,
    /// A list with commas.
    Commas,
    /// A list or a map as JSON.
    Json,
}

/// A declaration.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type. An alias has the type of its variable.
    pub ty: Type,
    /// Its default.
    pub default: Option<Expr>,
    /// How Packer gets it.
    pub encoding: Encoding,
    /// Packer receives it.
    pub to_packer: bool,
    /// The Linux playbook receives it.
    pub to_linux: bool,
    /// Conditions can refer to it.
    pub is_fact: bool,
    /// It is a secret.
    pub is_secret: bool,
    /// It is a deprecated name of that variable.
    pub alias_of: Option<String>,
    /// Setting it is an error.
    pub is_removed: bool,
}

/// A provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// The variables that the template reads.
    pub reads: Vec<String>,
    /// The template's own defaults.
    pub defaults: Vec<Statement>,
}

/// What a layer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// `layer NAME { … }`
    Layer,
    /// `image NAME { … }`
    Image,
    /// `include "x.json" as NAME`, with the index of the file.
    Json(usize),
}

/// A layer or an image.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: LayerKind,
    /// The index of the file that contains it.
    pub file: usize,
    /// The indices of its parents.
    pub extends: Vec<usize>,
    /// Its target.
    pub target: Option<Target>,
    /// Its settings.
    pub body: Vec<Statement>,
}

/// A target of an image.
#[derive(Debug, Clone)]
pub struct Target {
    /// The index of its provider.
    pub provider: usize,
    /// What Packer gets as `-var`: values of the variables' types.
    pub vars: Vec<(String, Expr)>,
}

/// How a setting changes the value of weaker layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `=`
    Replace,
    /// `+=`
    Append,
    /// `-=`
    Remove,
}

/// A statement of a body.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `x = 1`, `final x = 1`
    Set {
        /// The variable.
        name: String,
        /// What happens to the weaker value.
        change: Change,
        /// The right side.
        value: Expr,
        /// No stronger layer may change the value.
        is_final: bool,
    },
    /// `unset x`
    Unset(String),
    /// `when CONDITION { … }`
    When(Expr, Vec<Statement>),
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What is forbidden.
    pub condition: Expr,
    /// It is an error.
    pub is_error: bool,
}

/// An argument of `--set`.
#[derive(Debug, Clone)]
pub enum Argument {
    /// `x=1`, `x+=a`, `x-=a`, with the string that the compiler decodes
    Set(String, Change, String),
    /// `unset x`
    Unset(String),
}

/// An expression.
#[derive(Debug, Clone)]
pub enum Expr {
    /// `true`
    Bool(bool),
    /// `42`
    Int(i64),
    /// A string of any form.
    String(Quotes, Vec<Part>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{ k = a }`
    Map(Vec<(String, Expr)>),
    /// `x`
    Name(String),
    /// `if a then b else c`
    If(Box<[Expr; 3]>),
    /// `not a`
    Not(Box<Expr>),
    /// `a and b`, `a == b`, `a + b` …
    Binary(Operator, Box<[Expr; 2]>),
    /// `join(list, ",")`
    Call(Function, Vec<Expr>),
}

/// How a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// `"…"`
    Double,
    /// `'…'`, if it contains nothing that such a string cannot contain
    Single,
    /// `<<TEXT`; each of its lines, the last one too, ends with a newline
    Heredoc,
}

/// A part of a string.
#[derive(Debug, Clone)]
pub enum Part {
    /// Characters.
    Text(String),
    /// `${a}`
    Interpolation(Expr),
}

/// An operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Plus,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Function {
    Env,
    Major,
    Minor,
    Patch,
    TrimPrefix,
    TrimSuffix,
    Replace,
    Lower,
    Upper,
    Base64,
    Join,
    Split,
    Len,
    Keys,
    Unique,
    IsSet,
    Matches,
}

impl Expr {
    /// Returns a string in double quotes without interpolations.
    pub fn text(text: &str) -> Expr {
        Expr::String(Quotes::Double, vec![Part::Text(text.to_owned())])
    }
}

impl Type {
    /// Returns the type without `?`.
    pub fn inner(&self) -> &Type {
        match self {
            Type::Optional(inner) => inner,
            other => other,
        }
    }

    /// Returns whether the type has a `?`.
    pub fn is_optional(&self) -> bool {
        matches!(self, Type::Optional(_))
    }

    /// Returns the first encoding of the type in the table of types.
    pub fn default_encoding(&self) -> Encoding {
        match self.inner() {
            Type::Bool => Encoding::Flag,
            Type::List(_) => Encoding::Words,
            Type::Map(_) => Encoding::Json,
            _ => Encoding::Plain,
        }
    }
}

impl Source {
    /// Returns the declaration of a variable.
    pub fn variable(&self, name: &str) -> &Variable {
        let found = self.variables.iter().find(|v| v.name == name);
        found.expect("the generator declares what it uses")
    }

    /// Writes the files, each with its path.
    pub fn write(&self) -> Vec<(String, String)> {
        let specs = (0..self.files.len()).map(|at| (self.files[at].path.clone(), self.spec(at)));
        let json = self.json.iter().map(|file| {
            let entries: serde_json::Map<String, serde_json::Value> = file
                .entries
                .iter()
                .map(|(name, text)| (name.clone(), text.clone().into()))
                .collect();
            (
                file.path.clone(),
                format!("{:#}\n", serde_json::Value::from(entries)),
            )
        });
        specs.chain(json).collect()
    }

    fn spec(&self, at: usize) -> String {
        let mut out = String::new();
        let path = |other: &str| relative(&self.files[at].path, other);
        for included in &self.files[at].includes {
            let _ = writeln!(out, "include \"{}\"", path(&self.files[*included].path));
        }
        if at == 0 {
            out.push_str("type ticket = string matching '[A-Z]+-[0-9]+'\n");
            self.variables
                .iter()
                .for_each(|v| write_variable(&mut out, v));
            self.providers
                .iter()
                .for_each(|p| write_provider(&mut out, p));
        }
        for layer in self.layers.iter().filter(|layer| layer.file == at) {
            self.write_layer(&mut out, layer, path);
        }
        if at + 1 == self.files.len() {
            for rule in &self.rules {
                let severity = if rule.is_error { "deny" } else { "warn" };
                let Rule {
                    name, condition, ..
                } = rule;
                let _ = writeln!(out, "rule {name} {{\n    {severity} = {condition}");
                let _ = writeln!(out, "    message = \"{name} is broken\"\n}}");
            }
        }
        out
    }

    fn write_layer(&self, out: &mut String, layer: &Layer, path: impl Fn(&str) -> String) {
        let kind = match layer.kind {
            LayerKind::Json(file) => {
                let path = path(&self.json[file].path);
                let _ = writeln!(out, "include \"{path}\" as {}", layer.name);
                return;
            }
            LayerKind::Layer => "layer",
            LayerKind::Image => "image",
        };
        let _ = write!(out, "{kind} {}", layer.name);
        let parents: Vec<&str> = layer
            .extends
            .iter()
            .map(|at| self.layers[*at].name.as_str())
            .collect();
        if !parents.is_empty() {
            let _ = write!(out, " extends {}", parents.join(", "));
        }
        out.push_str(" {\n");
        if let Some(target) = &layer.target {
            let provider = &self.providers[target.provider].name;
            let _ = write!(out, "    target {{ provider = {provider}");
            if !target.vars.is_empty() {
                let _ = write!(out, ", vars = {}", Expr::Map(target.vars.clone()));
            }
            out.push_str(" }\n");
        }
        write_body(out, &layer.body, 1);
        out.push_str("}\n");
    }
}

/// Returns the path to a file from the folder of another one, both at most one folder deep.
fn relative(from: &str, to: &str) -> String {
    match (from.split_once('/'), to.split_once('/')) {
        (Some((here, _)), Some((there, name))) if here == there => name.to_owned(),
        (Some(_), _) => format!("../{to}"),
        (None, _) => to.to_owned(),
    }
}

fn write_variable(out: &mut String, variable: &Variable) {
    let _ = write!(out, "variable {}", variable.name);
    if let Some(name) = &variable.alias_of {
        let _ = writeln!(out, " {{ alias_of = {name} }}");
        return;
    }
    if variable.is_removed {
        out.push_str(" { removed = \"v2: it is gone\" }\n");
        return;
    }
    let _ = write!(out, " : {}", variable.ty);
    if let Some(default) = &variable.default {
        let _ = write!(out, " = {default}");
    }
    let receivers = [("packer", variable.to_packer), ("linux", variable.to_linux)];
    let to: Vec<&str> = receivers.iter().filter(|r| r.1).map(|r| r.0).collect();
    let _ = write!(out, " {{ to = [{}]", to.join(", "));
    if variable.encoding != variable.ty.default_encoding() {
        let _ = write!(out, ", encoding = {}", variable.encoding);
    }
    if variable.is_fact {
        out.push_str(", fact = true");
    }
    if variable.is_secret {
        out.push_str(", secret = true");
    }
    out.push_str(" }\n");
}

fn write_provider(out: &mut String, provider: &Provider) {
    let _ = writeln!(out, "provider {} {{", provider.name);
    out.push_str("    template = \"lab.json\"\n    roles = native\n    playbook = linux\n");
    out.push_str("    extra_vars = [\"{{user `ansible_user_vars`}}\"]\n");
    let _ = writeln!(out, "    reads = [{}]", provider.reads.join(", "));
    out.push_str("    defaults {\n");
    write_body(out, &provider.defaults, 2);
    out.push_str("    }\n}\n");
}

fn write_body(out: &mut String, body: &[Statement], depth: usize) {
    for statement in body {
        out.push_str(&"    ".repeat(depth));
        match statement {
            Statement::Set {
                name,
                change,
                value,
                is_final,
            } => {
                let word = if *is_final { "final " } else { "" };
                let _ = writeln!(out, "{word}{name} {change} {value}");
            }
            Statement::Unset(name) => {
                let _ = writeln!(out, "unset {name}");
            }
            Statement::When(condition, body) => {
                let _ = writeln!(out, "when {condition} {{");
                write_body(out, body, depth + 1);
                let _ = writeln!(out, "{}}}", "    ".repeat(depth));
            }
        }
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Replace => "=",
            Change::Append => "+=",
            Change::Remove => "-=",
        })
    }
}

impl Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Plain => "plain",
            Encoding::Flag => "flag",
            Encoding::CapitalFlag => "Flag",
            Encoding::Words => "words",
            Encoding::Commas => "commas",
            Encoding::Json => "json",
        })
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::String => f.write_str("string"),
            Type::Choice(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                f.write_str(&names.join(" | "))
            }
            Type::Ticket => f.write_str("ticket"),
            Type::Semver => f.write_str("semver"),
            Type::Version => f.write_str("version"),
            Type::List(element) => write!(f, "[{element}]"),
            Type::Map(element) => write!(f, "{{{element}}}"),
            Type::Optional(inner) => write!(f, "{inner}?"),
        }
    }
}

impl Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Set(name, change, text) => write!(f, "{name}{change}{text}"),
            Argument::Unset(name) => write!(f, "unset {name}"),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Bool(flag) => write!(f, "{flag}"),
            Expr::Int(number) => write!(f, "{number}"),
            Expr::String(quotes, parts) => write_string(f, *quotes, parts),
            Expr::List(elements) => write!(f, "[{}]", separated(elements)),
            Expr::Map(entries) => {
                let entry = |(key, value): &(String, Expr)| format!("\"{key}\" = {value}");
                let entries: Vec<String> = entries.iter().map(entry).collect();
                write!(f, "{{ {} }}", entries.join(", "))
            }
            Expr::Name(name) => f.write_str(name),
            // Parentheses around everything: precedence has tests of its own.
            Expr::If(parts) => {
                let [condition, yes, no] = &**parts;
                write!(f, "(if {condition} then {yes} else {no})")
            }
            Expr::Not(inner) => write!(f, "(not {inner})"),
            Expr::Binary(operator, sides) => write!(f, "({} {operator} {})", sides[0], sides[1]),
            Expr::Call(function, arguments) => write!(f, "{function}({})", separated(arguments)),
        }
    }
}

fn separated(all: &[Expr]) -> String {
    let all: Vec<String> = all.iter().map(Expr::to_string).collect();
    all.join(", ")
}

fn write_string(f: &mut fmt::Formatter<'_>, quotes: Quotes, parts: &[Part]) -> fmt::Result {
    let is_raw = |part: &Part| match part {
        Part::Text(text) => !text.contains(['\'', '\n', '\t']) && !text.contains("${"),
        Part::Interpolation(_) => false,
    };
    let quotes = match quotes {
        Quotes::Single if !parts.iter().all(is_raw) => Quotes::Double,
        other => other,
    };
    match quotes {
        Quotes::Double => f.write_str("\"")?,
        Quotes::Single => f.write_str("'")?,
        Quotes::Heredoc => f.write_str("<<TEXT\n")?,
    }
    for part in parts {
        match part {
            Part::Text(text) if quotes == Quotes::Double => {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                let text = text.replace("${", "\\${").replace('\n', "\\n");
                f.write_str(&text)?;
            }
            Part::Text(text) if quotes == Quotes::Heredoc => {
                f.write_str(&text.replace("${", "\\${"))?;
            }
            Part::Text(text) => f.write_str(text)?,
            Part::Interpolation(inner) => write!(f, "${{{inner}}}")?,
        }
    }
    match quotes {
        Quotes::Double => f.write_str("\""),
        Quotes::Single => f.write_str("'"),
        Quotes::Heredoc => f.write_str("TEXT"),
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::Or => "or",
            Operator::And => "and",
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::In => "in",
            Operator::NotIn => "not in",
            Operator::Plus => "+",
        })
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Function::Env => "env",
            Function::Major => "major",
            Function::Minor => "minor",
            Function::Patch => "patch",
            Function::TrimPrefix => "trim_prefix",
            Function::TrimSuffix => "trim_suffix",
            Function::Replace => "replace",
            Function::Lower => "lower",
            Function::Upper => "upper",
            Function::Base64 => "base64",
            Function::Join => "join",
            Function::Split => "split",
            Function::Len => "len",
            Function::Keys => "keys",
            Function::Unique => "unique",
            Function::IsSet => "is_set",
            Function::Matches => "matches",
        })
    }
}
