//! Bytes → a project.

use super::language::{
    Argument, Change, Encoding, Expr, File, Function, JsonFile, Layer, LayerKind, Operator, Part,
    Provider, Quotes, Rule, Source, Statement, Target, Type, Variable,
};

/// Makes a project.
pub fn generate(bytes: &[u8]) -> Source {
    let mut generator = Generator {
        bytes: bytes.iter(),
        source: Source::default(),
        in_string: false,
    };
    generator.variables();
    generator.files();
    generator.providers();
    generator.layers();
    generator.rules();
    generator.command_line();
    generator.source
}

/// The kinds of values between which operators and functions distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    String,
    Semver,
    Version,
    List,
    Map,
}

/// Which variables an expression may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Facts only.
    Facts,
    /// The variables before this index, so that there is no cycle.
    Before(usize),
    /// All.
    All,
}

const WORDS: [&str; 8] = ["a", "b", "ab", "c-1", "x.y", "v1", "A", "Ä"];
const TEXTS: [&str; 10] = [
    "",
    "a",
    "b",
    "a b",
    "NODE-17",
    "x/y,z",
    "v1.2.3",
    "\"q\"",
    "two\nlines",
    "$a \\ ${b}",
];
const OS: &[&str] = &["debian", "redhat", "photon"];
const SIZES: &[&str] = &["small", "large"];
const SEMVERS: [&str; 4] = ["v1.24.6", "v1.23.10", "v1.3.0", "v10.0.1"];
const VERSIONS: [&str; 4] = ["1.6.2", "1.1.1-00", "1.10.0", "2.0.0"];
const ENVIRONMENT: [&str; 2] = ["TOKEN", "LAB"];

struct Generator<'b> {
    bytes: std::slice::Iter<'b, u8>,
    source: Source,
    /// An expression is inside an interpolation, where a heredoc would end the outer one.
    in_string: bool,
}

impl Generator<'_> {
    // ---- decisions -----------------------------------------------------------------------------

    /// Decides between `count` possibilities. 0 is the simplest.
    fn below(&mut self, count: usize) -> usize {
        self.bytes
            .next()
            .map_or(0, |byte| usize::from(*byte) % count.max(1))
    }

    /// Decides for something that happens in one case of `count`.
    fn rarely(&mut self, count: usize) -> bool {
        self.below(count) + 1 == count
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    // ---- declarations --------------------------------------------------------------------------

    fn variables(&mut self) {
        self.declare("m_os", Type::Choice(OS), true, Scope::Facts);
        self.declare("m_gen", Type::Int, true, Scope::Facts);
        if self.rarely(2) {
            self.declare(
                "m_lab",
                Type::Optional(Box::new(Type::String)),
                true,
                Scope::Facts,
            );
        }
        for at in 0..2 + self.below(9) {
            let ty = self.ty();
            let (letter, _) = letter_and_kind(&ty);
            let name = format!("m_{letter}{at}");
            let here = self.source.variables.len();
            let scope = if self.rarely(12) {
                Scope::All
            } else {
                Scope::Before(here)
            };
            self.declare(&name, ty, false, scope);
            if self.rarely(5) {
                self.alias(&name);
            }
        }
        if self.rarely(8) {
            self.declare("m_gone", Type::String, false, Scope::Facts);
            let gone = self.source.variables.last_mut().expect("it was just added");
            gone.is_removed = true;
            gone.is_secret = false;
            gone.default = None;
        }
    }

    fn ty(&mut self) -> Type {
        let boxed = |ty: Type| Box::new(ty);
        match self.below(14) {
            0 | 1 => Type::String,
            2 => Type::List(boxed(Type::String)),
            3 => Type::Bool,
            4 => Type::Int,
            5 => Type::Optional(boxed(Type::String)),
            6 => Type::Choice(SIZES),
            7 => Type::Semver,
            8 => Type::Version,
            9 => Type::Map(boxed(Type::String)),
            10 => Type::Ticket,
            11 => Type::Optional(boxed(Type::Int)),
            12 => Type::Optional(boxed(Type::Bool)),
            _ => Type::List(boxed(Type::String)),
        }
    }

    fn declare(&mut self, name: &str, ty: Type, is_fact: bool, scope: Scope) {
        let has_default = if ty.is_optional() {
            self.below(2) == 0
        } else {
            !self.rarely(20)
        };
        let is_secret = ty == Type::String && !is_fact && self.rarely(6);
        let default = has_default.then(|| match (self.below(3), is_secret) {
            (0, _) | (_, true) => self.literal(&ty),
            _ => self.typed(&ty, scope, 1),
        });
        let encoding = match ty.inner() {
            Type::Bool if self.rarely(3) => Encoding::CapitalFlag,
            Type::List(_) => self.pick(&[Encoding::Json, Encoding::Commas, Encoding::Words]),
            _ => ty.default_encoding(),
        };
        let (to_packer, to_linux) = self.pick(&[(true, false), (true, true), (false, true)]);
        self.source.variables.push(Variable {
            name: name.to_owned(),
            ty,
            default,
            encoding,
            to_packer,
            to_linux,
            is_fact,
            is_secret,
            alias_of: None,
            is_removed: false,
        });
    }

    fn alias(&mut self, name: &str) {
        let mut alias = self.source.variable(name).clone();
        alias.name = name.replace("m_", "m_old_");
        alias.alias_of = Some(name.to_owned());
        alias.default = None;
        self.source.variables.push(alias);
    }

    fn files(&mut self) {
        let count = 1 + self.below(4);
        for at in 0..count {
            let path = match (at, self.below(2)) {
                (0, _) => "base.imgspec".to_owned(),
                (_, 0) => format!("file{at}.imgspec"),
                _ => format!("folder/file{at}.imgspec"),
            };
            // The last file sees all; the others see the first one.
            let is_last = at + 1 == count;
            let includes = (0..at)
                .filter(|other| *other == 0 || is_last || self.rarely(2))
                .collect();
            self.source.files.push(File { path, includes });
        }
    }

    fn providers(&mut self) {
        for at in 0..1 + self.below(2) {
            let names: Vec<String> =
                self.names(|v| v.alias_of.is_none() && !v.is_removed && v.to_packer);
            let reads = names.into_iter().filter(|_| !self.rarely(2)).collect();
            let mut defaults = Vec::new();
            for name in ["m_os", "m_gen"] {
                if !self.rarely(3) {
                    defaults.push(self.set(name, Scope::Facts));
                }
            }
            for name in self.names(|v| v.alias_of.is_none() && !v.is_removed && !v.is_fact) {
                if self.rarely(5) {
                    defaults.push(self.set(&name, Scope::All));
                }
            }
            self.source.providers.push(Provider {
                name: format!("lab{at}"),
                reads,
                defaults,
            });
        }
    }

    // ---- layers and images ---------------------------------------------------------------------

    fn layers(&mut self) {
        let files = self.source.files.len();
        // Layers, some of them JSON var files; then targets; then images.
        for at in 0..self.below(6) {
            let file = self.below(files);
            match self.rarely(5) {
                false => self.layer(format!("layer{at}"), LayerKind::Layer, file, None),
                true => {
                    let json = self.json(format!("layer{at}.json"));
                    self.layer(format!("layer{at}"), LayerKind::Json(json), file, None);
                }
            }
        }
        for at in 0..1 + self.below(2) {
            let file = self.below(files);
            let provider = self.below(self.source.providers.len());
            let mut vars = Vec::new();
            if self.rarely(5) {
                let name = self.variable(|v| {
                    v.alias_of.is_none() && !v.is_removed && v.to_packer && !v.is_fact
                });
                vars.extend(name.map(|name| {
                    let ty = self.source.variable(&name).ty.clone();
                    (name, self.literal(&ty))
                }));
            }
            self.layer(
                format!("target{at}"),
                LayerKind::Image,
                file,
                Some(Target { provider, vars }),
            );
        }
        for at in 0..1 + self.below(4) {
            let file = files - 1 - self.below(files);
            self.layer(format!("image{at}"), LayerKind::Image, file, None);
        }
    }

    fn layer(&mut self, name: String, kind: LayerKind, file: usize, target: Option<Target>) {
        let mut extends = Vec::new();
        if !matches!(kind, LayerKind::Json(_)) {
            let visible = self.visible(file);
            let layers = &self.source.layers;
            let is_image = |at: &usize| layers[*at].kind == LayerKind::Image;
            let seen = (0..layers.len()).filter(|at| visible.contains(&layers[*at].file));
            let (images, layers): (Vec<usize>, Vec<usize>) = seen.partition(is_image);
            // An image without a target of its own usually extends one image, sometimes none or two.
            if kind == LayerKind::Image && target.is_none() {
                let count = if self.rarely(12) { self.below(3) } else { 1 };
                for _ in 0..count.min(images.len()) {
                    let parent = images[images.len() - 1 - self.below(images.len())];
                    extends.push(parent);
                }
            }
            for parent in layers {
                match self.below(4) {
                    0 => {}
                    1 | 2 => extends.push(parent),
                    _ => extends.insert(0, parent),
                }
            }
            let mut seen = Vec::new();
            extends.retain(|at| {
                !seen.contains(at) && {
                    seen.push(*at);
                    true
                }
            });
        }
        let body = match kind {
            LayerKind::Json(_) => Vec::new(),
            _ => self.body(true),
        };
        self.source.layers.push(Layer {
            name,
            kind,
            file,
            extends,
            target,
            body,
        });
    }

    /// Returns the files whose items a file sees.
    fn visible(&self, file: usize) -> Vec<usize> {
        let mut visible = vec![file];
        let mut at = 0;
        while at < visible.len() {
            visible.extend(self.source.files[visible[at]].includes.clone());
            at += 1;
        }
        visible
    }

    fn body(&mut self, with_conditions: bool) -> Vec<Statement> {
        let mut body = Vec::new();
        for _ in 0..self.below(6) {
            if with_conditions && self.rarely(5) {
                let condition = self.expr(Kind::Bool, Scope::Facts, 2);
                let inner = self.body(false);
                body.push(Statement::When(condition, inner));
                continue;
            }
            let may_set_facts = with_conditions;
            let allow_gone = self.rarely(60);
            let Some(name) =
                self.variable(|v| (may_set_facts || !v.is_fact) && (allow_gone || !v.is_removed))
            else {
                continue;
            };
            let is_fact = self.source.variable(&name).is_fact;
            let scope = match (is_fact, self.rarely(8)) {
                (true, _) => Scope::Facts,
                (false, true) => Scope::All,
                (false, false) => Scope::Before(self.index(&name)),
            };
            if !is_fact && self.rarely(8) {
                body.push(Statement::Unset(name));
                continue;
            }
            let set = self.set(&name, scope);
            // Two `=` of one variable in a body are an error, so rare.
            let is_second =
                body.iter().any(|other| replaces(other, &name)) && replaces(&set, &name);
            if !is_second || self.rarely(20) {
                body.push(set);
            }
        }
        body
    }

    fn set(&mut self, name: &str, scope: Scope) -> Statement {
        let variable = self.source.variable(name).clone();
        let is_list = matches!(variable.ty, Type::List(_));
        let change = match is_list {
            true => self.pick(&[
                Change::Append,
                Change::Replace,
                Change::Remove,
                Change::Append,
            ]),
            false => Change::Replace,
        };
        let value = match self.below(4) {
            0 | 1 if variable.is_secret => {
                Expr::Call(Function::Env, vec![Expr::text(self.pick(&ENVIRONMENT))])
            }
            _ if variable.is_secret => self.literal(&variable.ty),
            0 | 1 => self.literal(&variable.ty),
            2 => self.typed(&variable.ty, scope, 2),
            _ if self.rarely(12) => self.expr(Kind::String, scope, 1),
            _ => self.typed(&variable.ty, scope, 1),
        };
        let is_final = self.rarely(10) && (variable.alias_of.is_none() || self.rarely(6));
        Statement::Set {
            name: name.to_owned(),
            change,
            value,
            is_final,
        }
    }

    fn rules(&mut self) {
        for at in 0..self.below(3) {
            let condition = self.expr(Kind::Bool, Scope::All, 2);
            let is_error = self.rarely(2);
            self.source.rules.push(Rule {
                name: format!("rule{at}"),
                condition,
                is_error,
            });
        }
    }

    // ---- JSON and the command line -------------------------------------------------------------

    fn json(&mut self, path: String) -> usize {
        let mut entries = Vec::new();
        for name in self.names(|v| !v.is_removed && !v.is_secret) {
            if self.rarely(5) {
                let text = if self.rarely(6) {
                    None
                } else {
                    Some(self.encoded(&name))
                };
                entries.push((name, text));
            }
        }
        self.source.json.push(JsonFile { path, entries });
        self.source.json.len() - 1
    }

    fn command_line(&mut self) {
        for _ in 0..self.below(3) {
            let Some(name) = self.variable(|v| !v.is_removed && !v.is_secret) else {
                return;
            };
            let variable = self.source.variable(&name).clone();
            let is_list = matches!(variable.ty, Type::List(_));
            let change = match is_list {
                true => self.pick(&[Change::Replace, Change::Append, Change::Remove]),
                false => Change::Replace,
            };
            let argument = match !variable.is_fact && self.rarely(6) {
                true => Argument::Unset(name),
                false => {
                    let text = self.encoded(&name);
                    Argument::Set(name, change, text)
                }
            };
            self.source.arguments.push(argument);
        }
        for at in 0..self.below(3) {
            let file = self.json(format!("vars{at}.json"));
            self.source.var_files.push(file);
        }
    }

    /// Returns a string that usually decodes to a value of a variable.
    fn encoded(&mut self, name: &str) -> String {
        let variable = self.source.variable(name).clone();
        if self.rarely(16) {
            return self.pick(&["", "true", "maybe", "12"]).to_owned();
        }
        match (variable.ty.inner(), variable.encoding) {
            (Type::Bool, Encoding::CapitalFlag) => self.pick(&["True", "False"]).to_owned(),
            (Type::Bool, _) => self.pick(&["true", "false"]).to_owned(),
            (Type::Int, _) => self.pick(&["1", "2", "30"]).to_owned(),
            (Type::List(_), Encoding::Json) => {
                self.pick(&["[\"a\"]", "[]", "[\"b\", \"a b\"]"]).to_owned()
            }
            (Type::List(_), Encoding::Commas) => self.pick(&["a", "a,b", "c-1,a"]).to_owned(),
            (Type::List(_), _) => self.pick(&["a", "a b", "  c-1 a"]).to_owned(),
            (Type::Map(_), _) => self.pick(&["{\"k\": \"a\"}", "{}"]).to_owned(),
            (Type::Choice(names), _) => self.pick(names).to_owned(),
            (Type::Ticket, _) => "LAB-3".to_owned(),
            (Type::Semver, _) => self.pick(&SEMVERS).to_owned(),
            (Type::Version, _) => self.pick(&VERSIONS).to_owned(),
            _ => self.pick(&["a", "b", "x y"]).to_owned(),
        }
    }

    // ---- names ---------------------------------------------------------------------------------

    fn names(&self, is_wanted: impl Fn(&Variable) -> bool) -> Vec<String> {
        self.source
            .variables
            .iter()
            .filter(|v| is_wanted(v))
            .map(|v| v.name.clone())
            .collect()
    }

    fn variable(&mut self, is_wanted: impl Fn(&Variable) -> bool) -> Option<String> {
        let names = self.names(is_wanted);
        let at = self.below(names.len());
        names.get(at).cloned()
    }

    fn index(&self, name: &str) -> usize {
        let variables = &self.source.variables;
        let real = self
            .source
            .variable(name)
            .alias_of
            .clone()
            .unwrap_or(name.to_owned());
        variables
            .iter()
            .position(|v| v.name == real)
            .unwrap_or_default()
    }

    /// Returns a reference to a variable of a kind, if there is one.
    fn reference(&mut self, wanted: Kind, scope: Scope) -> Option<Expr> {
        let real = |v: &Variable| v.alias_of.clone().unwrap_or(v.name.clone());
        let names: Vec<String> = (self.source.variables.iter())
            .filter(|v| match scope {
                Scope::Facts => v.is_fact,
                Scope::Before(at) => self.index(&real(v)) < at,
                Scope::All => true,
            })
            .filter(|v| !v.is_removed && kind(&v.ty) == wanted)
            .map(|v| v.name.clone())
            .collect();
        let at = self.below(names.len());
        names.get(at).map(|name| Expr::Name(name.clone()))
    }

    fn any_reference(&mut self, scope: Scope) -> Option<Expr> {
        let kind = self.pick(&[
            Kind::String,
            Kind::Int,
            Kind::Bool,
            Kind::List,
            Kind::Semver,
        ]);
        self.reference(kind, scope)
    }

    // ---- expressions ---------------------------------------------------------------------------

    /// Returns a value of a type without references. Sometimes the value has another type.
    fn literal(&mut self, ty: &Type) -> Expr {
        if self.rarely(60) {
            return self.pick(&[Expr::Int(7), Expr::Bool(true), Expr::text("odd")]);
        }
        match ty {
            Type::Optional(inner) => match self.rarely(3) {
                true => Expr::text(""),
                false => self.literal(inner),
            },
            Type::Choice(names) => Expr::text(self.pick::<&str>(names)),
            Type::Ticket => Expr::text(self.pick(&["NODE-17", "LAB-3"])),
            other => self.expr(kind(other), Scope::Before(0), 0),
        }
    }

    /// Returns an expression that usually has a type.
    fn typed(&mut self, ty: &Type, scope: Scope, depth: usize) -> Expr {
        let is_narrow = matches!(ty.inner(), Type::Choice(_) | Type::Ticket);
        if !is_narrow || self.rarely(12) {
            return self.expr(kind(ty), scope, depth);
        }
        match self.rarely(3) {
            false => self.literal(ty),
            true => {
                let condition = self.expr(Kind::Bool, scope, depth);
                Expr::If(Box::new([condition, self.literal(ty), self.literal(ty)]))
            }
        }
    }

    /// Returns an expression of a kind.
    fn expr(&mut self, wanted: Kind, scope: Scope, depth: usize) -> Expr {
        if depth > 0 {
            let found = match self.below(3) {
                0 => self.reference(wanted, scope),
                1 => self.computed(wanted, scope, depth - 1),
                _ => None,
            };
            if let Some(found) = found {
                return found;
            }
        }
        match wanted {
            Kind::Bool => Expr::Bool(self.rarely(2)),
            Kind::Int => Expr::Int(self.pick(&[1, 2, 30])),
            Kind::String => {
                let quotes = self.pick(&[
                    Quotes::Double,
                    Quotes::Double,
                    Quotes::Single,
                    Quotes::Heredoc,
                ]);
                let text = self.pick(&TEXTS).to_owned();
                let quotes = if self.in_string {
                    Quotes::Double
                } else {
                    quotes
                };
                string(quotes, vec![Part::Text(text)])
            }
            Kind::Semver => Expr::text(self.pick(&SEMVERS)),
            Kind::Version => Expr::text(self.pick(&VERSIONS)),
            Kind::List => {
                let words = (0..self.below(4)).map(|_| Expr::text(self.pick(&WORDS)));
                Expr::List(words.collect())
            }
            Kind::Map => {
                let keys = ["k", "odd key"].into_iter().take(self.below(3));
                let entries = keys.map(|key| (key.to_owned(), Expr::text("a")));
                Expr::Map(entries.collect())
            }
        }
    }

    fn computed(&mut self, wanted: Kind, scope: Scope, depth: usize) -> Option<Expr> {
        if self.rarely(5) {
            let condition = self.expr(Kind::Bool, scope, depth);
            let (yes, no) = (
                self.expr(wanted, scope, depth),
                self.expr(wanted, scope, depth),
            );
            return Some(Expr::If(Box::new([condition, yes, no])));
        }
        match wanted {
            Kind::Bool => self.comparison(scope, depth),
            Kind::Int => match self.below(3) {
                0 => {
                    let part = self.pick(&[Function::Major, Function::Minor, Function::Patch]);
                    Some(Expr::Call(part, vec![self.reference(Kind::Semver, scope)?]))
                }
                1 => Some(Expr::Call(
                    Function::Len,
                    vec![self.expr(Kind::List, scope, depth)],
                )),
                _ => Some(Expr::Call(
                    Function::Len,
                    vec![self.expr(Kind::String, scope, depth)],
                )),
            },
            Kind::String => self.string(scope, depth),
            Kind::List => match self.below(4) {
                0 => {
                    let sides = [
                        self.expr(Kind::List, scope, depth),
                        self.expr(Kind::List, scope, depth),
                    ];
                    Some(Expr::Binary(Operator::Plus, Box::new(sides)))
                }
                1 => Some(Expr::Call(
                    Function::Unique,
                    vec![self.expr(Kind::List, scope, depth)],
                )),
                2 => Some(Expr::Call(
                    Function::Keys,
                    vec![self.reference(Kind::Map, scope)?],
                )),
                _ => {
                    let text = self.expr(Kind::String, scope, depth);
                    Some(Expr::Call(Function::Split, vec![text, Expr::text("-")]))
                }
            },
            Kind::Semver | Kind::Version | Kind::Map => None,
        }
    }

    fn string(&mut self, scope: Scope, depth: usize) -> Option<Expr> {
        Some(match self.below(8) {
            0 | 1 => {
                let kind = self.pick(&[Kind::String, Kind::Int, Kind::Bool, Kind::Semver]);
                let outer = std::mem::replace(&mut self.in_string, true);
                let inner = self.expr(kind, scope, depth);
                self.in_string = outer;
                let quotes = match self.in_string {
                    true => Quotes::Double,
                    false => self.pick(&[Quotes::Double, Quotes::Heredoc]),
                };
                let before = Part::Text(self.pick(&["a-", "", "two\nlines "]).to_owned());
                let after = Part::Text(self.pick(&["", " z"]).to_owned());
                string(quotes, vec![before, Part::Interpolation(inner), after])
            }
            2 => {
                let function = self.pick(&[Function::TrimPrefix, Function::TrimSuffix]);
                let text = self.expr(Kind::String, scope, depth);
                Expr::Call(
                    function,
                    vec![text, Expr::text(self.pick(&["a", "v", "b"]))],
                )
            }
            3 => {
                let text = self.expr(Kind::String, scope, depth);
                let (from, to) = (
                    Expr::text(self.pick(&["a", "-"])),
                    Expr::text(self.pick(&["", "aa"])),
                );
                Expr::Call(Function::Replace, vec![text, from, to])
            }
            4 => {
                let function = self.pick(&[Function::Lower, Function::Upper, Function::Base64]);
                Expr::Call(function, vec![self.expr(Kind::String, scope, depth)])
            }
            5 => {
                let list = self.expr(Kind::List, scope, depth);
                Expr::Call(
                    Function::Join,
                    vec![list, Expr::text(self.pick(&[",", " "]))],
                )
            }
            6 if scope != Scope::Facts => {
                Expr::Call(Function::Env, vec![Expr::text(self.pick(&ENVIRONMENT))])
            }
            _ => return None,
        })
    }

    fn comparison(&mut self, scope: Scope, depth: usize) -> Option<Expr> {
        let equality = [Operator::Equal, Operator::NotEqual];
        let order = [
            Operator::Less,
            Operator::LessOrEqual,
            Operator::Greater,
            Operator::GreaterOrEqual,
        ];
        let binary = |operator, left, right| Some(Expr::Binary(operator, Box::new([left, right])));
        match self.below(9) {
            0 => {
                let os = self.pick(OS);
                let operator = self.pick(&equality);
                binary(operator, Expr::Name("m_os".to_owned()), Expr::text(os))
            }
            1 => {
                let elements = (0..1 + self.below(2)).map(|_| Expr::text(self.pick(OS)));
                let list = Expr::List(elements.collect());
                let operator = self.pick(&[Operator::In, Operator::NotIn]);
                binary(operator, Expr::Name("m_os".to_owned()), list)
            }
            2 => Some(Expr::Not(Box::new(self.expr(Kind::Bool, scope, depth)))),
            3 => {
                let operator = self.pick(&[Operator::And, Operator::Or]);
                binary(
                    operator,
                    self.expr(Kind::Bool, scope, depth),
                    self.expr(Kind::Bool, scope, depth),
                )
            }
            4 => {
                let operator = self.pick(&order);
                binary(
                    operator,
                    self.expr(Kind::Int, scope, depth),
                    self.expr(Kind::Int, scope, depth),
                )
            }
            5 => {
                let operator = self.pick(&order);
                let kind = self.pick(&[Kind::Semver, Kind::Version]);
                binary(
                    operator,
                    self.reference(kind, scope)?,
                    self.expr(kind, scope, 0),
                )
            }
            6 => Some(Expr::Call(
                Function::IsSet,
                vec![self.any_reference(scope)?],
            )),
            7 => {
                let text = self.reference(Kind::String, scope)?;
                Some(Expr::Call(
                    Function::Matches,
                    vec![text, Expr::text("[A-Z]+-[0-9]+")],
                ))
            }
            _ => {
                let operator = self.pick(&equality);
                binary(
                    operator,
                    self.reference(Kind::String, scope)?,
                    self.expr(Kind::String, scope, depth),
                )
            }
        }
    }
}

fn replaces(statement: &Statement, wanted: &str) -> bool {
    matches!(statement, Statement::Set { name, change: Change::Replace, .. } if name == wanted)
}

/// Returns a string. A heredoc ends with a newline.
fn string(quotes: Quotes, mut parts: Vec<Part>) -> Expr {
    if quotes == Quotes::Heredoc {
        parts.push(Part::Text("\n".to_owned()));
    }
    Expr::String(quotes, parts)
}

fn letter_and_kind(ty: &Type) -> (&'static str, Kind) {
    match ty {
        Type::Bool => ("bool", Kind::Bool),
        Type::Int => ("int", Kind::Int),
        Type::String => ("text", Kind::String),
        Type::Choice(_) => ("size", Kind::String),
        Type::Ticket => ("ticket", Kind::String),
        Type::Semver => ("semver", Kind::Semver),
        Type::Version => ("version", Kind::Version),
        Type::List(_) => ("list", Kind::List),
        Type::Map(_) => ("map", Kind::Map),
        Type::Optional(inner) => letter_and_kind(inner),
    }
}

fn kind(ty: &Type) -> Kind {
    letter_and_kind(ty).1
}
