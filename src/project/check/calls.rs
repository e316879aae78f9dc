//! Calls of functions: their arguments, and those that are computed at once.

use crate::diagnostic::{Code, Diagnostic, Reported, nearest};
use crate::project::check::Lowering;
use crate::project::check::expr::{Expected, Ty, Typed};
use crate::project::check::secrets::is_env_name;
use crate::project::check::strings::locate_text;
use crate::project::hir::*;
use crate::schema::{Piece, Value, compile, whole};
use crate::source::{MAX_PATTERNS, Span, normalize};
use crate::syntax::ast;
use smol_str::SmolStr;

impl Lowering<'_, '_> {
    pub(crate) fn lower_call(
        &mut self,
        name: &ast::Ident,
        args: &[ast::Expr],
        span: Span,
        place: Expected<'_>,
    ) -> Typed {
        let Some(function) = Function::parse(&name.text) else {
            let mut found = Diagnostic::new(
                Code::UnknownFunction,
                name.span,
                format!("unknown function `{}`", name.text),
            );
            let near = other_name(&name.text)
                .filter(|near| Function::parse(near).is_some_and(|f| f.arguments() == args.len()))
                .or_else(|| nearest(&name.text, Function::ALL.iter().map(|f| f.as_str())));
            found = match near {
                Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                    format!("replace it with `{near}`"),
                    name.span,
                    near,
                ),
                None => {
                    let all: Vec<_> = Function::ALL.iter().map(|f| f.as_str()).collect();
                    found.help(format!("choose from {}", all.join(", ")))
                }
            };
            return Err(self.report(found));
        };
        if args.len() != function.arguments() {
            let wanted = function.arguments();
            let plural = if wanted == 1 { "" } else { "s" };
            return Err(self.report(
                Diagnostic::new(
                    Code::UnknownFunction,
                    span,
                    format!(
                        "`{}` expects {wanted} argument{plural}, found {}",
                        name.text,
                        args.len()
                    ),
                )
                .help(function.signature()),
            ));
        }
        self.hide_beside_secret(args);
        let mut lowered = Vec::with_capacity(args.len());
        let mut types = Vec::with_capacity(args.len());
        let mut sound = Ok(());
        for (parameter, written) in function.parameters().iter().zip(args) {
            match self.lower_argument(function, *parameter, written, place) {
                Ok((arg, ty)) => {
                    lowered.push(arg);
                    types.push(ty);
                }
                Err(reported) => sound = Err(reported),
            }
        }
        sound?;
        let ty = match function.returned() {
            Returned::Any => Ty::Any,
            Returned::Bool => Ty::Bool,
            Returned::Int => Ty::Int,
            Returned::String => Ty::Text,
            Returned::Strings => Ty::List(Box::new(Ty::Text)),
            Returned::Argument => types.into_iter().next().unwrap_or(Ty::Any),
        };
        // What names something outside the spec is known now.
        match (lowered.pop(), function.parameters()) {
            (Some(constant), [Parameter::Quoted(_)]) => Ok((constant.kind, ty)),
            (last, _) => {
                lowered.extend(last);
                Ok((ExprKind::Call(function, lowered), ty))
            }
        }
    }

    /// Lowers an argument and checks it against what the function takes.
    fn lower_argument(
        &mut self,
        function: Function,
        parameter: Parameter,
        written: &ast::Expr,
        place: Expected<'_>,
    ) -> Result<(Expr, Ty), Reported> {
        if let Parameter::Quoted(quoted) = parameter {
            let kind = self.lower_quoted(function, quoted, written, place)?;
            let span = written.span;
            return Ok((Expr { kind, span }, Ty::Any));
        }
        let (arg, ty) = self.lower_typed(written, place.argument());
        let wanted = match parameter {
            Parameter::Quoted(_) | Parameter::Variable | Parameter::Any => Ty::Any,
            Parameter::String | Parameter::Pattern => Ty::Text,
            Parameter::List => Ty::List(Box::new(Ty::Any)),
            Parameter::Map => Ty::Map(Box::new(Ty::Any)),
        };
        self.expect(&ty, &wanted, written.span, function.signature())?;
        let arg = arg.sound()?;
        match parameter {
            Parameter::Variable => self.check_is_name(function, &arg)?,
            Parameter::Pattern => self.check_pattern(&arg, place.is_secret)?,
            _ => {}
        }
        Ok((arg, ty))
    }

    fn check_is_name(&mut self, function: Function, arg: &Expr) -> Result<(), Reported> {
        if let ExprKind::Variable(_) = arg.kind {
            return Ok(());
        }
        Err(self.report(
            Diagnostic::new(
                Code::UnknownFunction,
                arg.span,
                format!("`{}` expects the name of a variable", function.as_str()),
            )
            .help(format!(
                "write the name of a variable without quotes: `{}(NAME)`",
                function.as_str()
            )),
        ))
    }

    fn check_pattern(&mut self, arg: &Expr, is_secret: bool) -> Result<(), Reported> {
        let ExprKind::Const(Value::String(text)) = &arg.kind else {
            return Ok(());
        };
        self.check_regex(&text.known().unwrap_or_default(), arg.span, is_secret)
    }

    /// Checks a regular expression. The library's are tested: compiling them at every start would cost.
    pub(crate) fn check_regex(
        &mut self,
        pattern: &str,
        span: Span,
        is_secret: bool,
    ) -> Result<(), Reported> {
        if !self.sources.is_users(span.file) {
            return Ok(());
        }
        self.draft.patterns += 1;
        if self.draft.patterns > MAX_PATTERNS {
            let message = format!("there are more than {MAX_PATTERNS} regular expressions");
            return Err(self.report(
                Diagnostic::new(Code::TooLarge, span, message)
                    .help("check fewer files at a time, or share types between variables"),
            ));
        }
        // Alone first: between parentheses, `a)(b` would be valid.
        let compiled = compile(pattern).and_then(|_| whole(pattern));
        compiled.map(drop).map_err(|error| {
            let found = Diagnostic::new(Code::TypeMismatch, span, "invalid regular expression");
            // The error quotes the expression.
            self.report(if is_secret {
                found
            } else {
                found.help(error.to_string())
            })
        })
    }

    /// The functions whose argument must be a literal, because it names something outside the spec.
    fn lower_quoted(
        &mut self,
        function: Function,
        quoted: Quoted,
        arg: &ast::Expr,
        place: Expected<'_>,
    ) -> Result<ExprKind, Reported> {
        let ast::ExprKind::Str(text) = &arg.kind else {
            return Err(self.report_no_constant(function, quoted, arg));
        };
        Ok(match quoted {
            Quoted::Environment => {
                if !is_env_name(text) {
                    let shown = if place.is_secret { "…" } else { text };
                    return Err(self.report(
                        Diagnostic::new(
                            Code::UnknownFunction,
                            arg.span,
                            format!("`{shown}` is not a valid environment variable name"),
                        )
                        .help("use only letters, digits and `_`, and no digit at the start"),
                    ));
                }
                ExprKind::Const(Value::piece(Piece::Env(text.clone())))
            }
            Quoted::Jinja if place.packer_braces => {
                return Err(self.report(
                    Diagnostic::new(
                        Code::LiteralBraces,
                        arg.span,
                        "a Jinja expression cannot pass through Packer",
                    )
                    .help(
                        "use `jinja` in an `ansible { }` block or in a variable without `packer` in `to`",
                    ),
                ));
            }
            Quoted::Jinja => ExprKind::Const(Value::piece(Piece::Jinja(text.clone()))),
            Quoted::Path => {
                let folder = self.sources.get(arg.span.file).folder();
                ExprKind::Const(Value::String(locate_text(text, Location::Path, folder)))
            }
            Quoted::File => self.lower_file(text, arg.span, place.is_secret)?,
        })
    }

    /// An argument that is not a text in quotes.
    fn report_no_constant(
        &mut self,
        function: Function,
        quoted: Quoted,
        arg: &ast::Expr,
    ) -> Reported {
        let word = function.as_str();
        let (what, example) = match quoted {
            Quoted::Environment => ("name", "HTTP_PROXY"),
            Quoted::Jinja => ("expression", "{{ name }}"),
            Quoted::File | Quoted::Path => ("path", "files/motd"),
        };
        let name = match &arg.kind {
            ast::ExprKind::Name(name)
                if quoted == Quoted::Environment && !name.contains(['.', '-']) =>
            {
                Some(name.as_str())
            }
            _ => None,
        };
        let call = format!("{word}(\"{}\")", name.unwrap_or(example));
        let found = Diagnostic::new(
            Code::UnknownFunction,
            arg.span,
            format!("`{word}` expects a quoted {what}: `{call}`"),
        );
        self.report(match name {
            Some(name) => found.fix("put it in quotes", arg.span, format!("\"{name}\"")),
            None => found.help("write it as a string without interpolation: it must be known before the spec is evaluated"),
        })
    }

    /// `file("path")`: the content, read now.
    fn lower_file(
        &mut self,
        text: &str,
        span: Span,
        is_secret: bool,
    ) -> Result<ExprKind, Reported> {
        let folder = self.sources.get(span.file).folder();
        let path = normalize(&folder.join(text));
        let content = self.read_data(&path, span)?;
        if let Some(data) = self.data.last_mut() {
            data.is_secret = is_secret;
        }
        Ok(ExprKind::Const(Value::text(SmolStr::new(content))))
    }
}

/// The function that has another name in other languages.
fn other_name(name: &str) -> Option<&'static str> {
    if matches!(name, "os.environ.get" | "env.get" | "ENV.fetch") {
        return Some("env");
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    Some(match last.to_ascii_lowercase().as_str() {
        "getenv" | "environ" | "get_env" | "environment" => "env",
        "read" | "readfile" | "read_file" | "templatefile" | "filebase64" => "file",
        "abspath" | "realpath" | "abs_path" => "path",
        "lowercase" | "tolower" | "to_lower" | "downcase" => "lower",
        "uppercase" | "toupper" | "to_upper" | "upcase" => "upper",
        "length" | "size" | "count" => "len",
        "trimprefix" | "removeprefix" | "remove_prefix" => "trim_prefix",
        "trimsuffix" | "removesuffix" | "remove_suffix" => "trim_suffix",
        "base64encode" | "b64encode" | "base64_encode" => "base64",
        "defined" | "isset" | "exists" | "is_defined" => "is_set",
        "match" | "regex" | "regexmatch" | "re_match" => "matches",
        "distinct" | "uniq" => "unique",
        _ => return None,
    })
}
