//! Calls of functions: their arguments, and those that are computed at once.

use crate::diagnostic::{Code, Diagnostic, Reported, nearest};
use crate::project::check::Lowering;
use crate::project::check::expr::{Place, Ty, Typed};
use crate::project::check::strings::locate_text;
use crate::project::hir::*;
use crate::schema::{Piece, Value, whole};
use crate::source::{Span, normalize};
use crate::syntax::ast;
use smol_str::SmolStr;

impl Lowering<'_, '_> {
    pub(crate) fn lower_call(
        &mut self,
        name: &ast::Ident,
        args: &[ast::Expr],
        span: Span,
        place: Place<'_>,
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
        match (function, args) {
            (Function::Env | Function::File | Function::Path | Function::Jinja, [arg]) => {
                let ty = if function == Function::Env {
                    Ty::Any
                } else {
                    Ty::Text
                };
                return Ok((self.lower_constant_call(function, arg, place)?, ty));
            }
            (Function::IsSet | Function::IsYours, [written]) => {
                let (arg, _) = self.lower_typed(written, place.argument());
                let arg = arg.sound()?;
                if !matches!(arg.kind, ExprKind::Variable(_)) {
                    return Err(self.report(
                        Diagnostic::new(
                            Code::UnknownFunction,
                            written.span,
                            format!("`{}` expects the name of a variable", function.as_str()),
                        )
                        .help(format!(
                            "write the name of a variable, as in `{}(http_proxy)`",
                            function.as_str()
                        )),
                    ));
                }
                return Ok((ExprKind::Call(function, vec![arg]), Ty::Bool));
            }
            _ => {}
        }
        let mut lowered = Vec::with_capacity(args.len());
        let mut types = Vec::with_capacity(args.len());
        for arg in args {
            let (expr, ty) = self.lower_typed(arg, place.argument());
            lowered.push(expr);
            types.push(ty);
        }
        let list = Ty::List(Box::new(Ty::Any));
        let wanted: &[Ty] = match function {
            Function::Join => &[list.clone(), Ty::Text],
            Function::Unique => std::slice::from_ref(&list),
            Function::Keys => &[Ty::Map(Box::new(Ty::Any))],
            Function::Len => &[Ty::Any],
            Function::Matches => &[Ty::Any, Ty::Text],
            _ => &[Ty::Text, Ty::Text, Ty::Text],
        };
        let mut fits = Ok(());
        for ((ty, wanted), arg) in types.iter().zip(wanted).zip(args) {
            fits = fits.and(self.expect(ty, wanted, arg.span, function.signature()));
        }
        fits?;
        let lowered = lowered
            .into_iter()
            .map(Expr::sound)
            .collect::<Result<Vec<_>, _>>()?;
        if let (
            Function::Matches,
            Some(Expr {
                kind: ExprKind::Const(Value::Text(text)),
                span,
            }),
        ) = (function, lowered.get(1))
        {
            let (pattern, span) = (text.known().unwrap_or_default().into_owned(), *span);
            // The library's patterns are tested; compiling them at every start would cost.
            if self.sources.is_users(span.file)
                && let Err(error) = whole(&pattern)
            {
                return Err(self.report(
                    Diagnostic::new(Code::TypeMismatch, span, "invalid regular expression")
                        .help(error.to_string()),
                ));
            }
        }
        let ty = match function {
            Function::Major | Function::Minor | Function::Patch | Function::Len => Ty::Int,
            Function::Matches => Ty::Bool,
            Function::Split | Function::Keys => Ty::List(Box::new(Ty::Text)),
            Function::Unique => types.into_iter().next().unwrap_or(list),
            _ => Ty::Text,
        };
        Ok((ExprKind::Call(function, lowered), ty))
    }

    /// The functions whose argument must stand in the text, because it names something outside it.
    pub(crate) fn lower_constant_call(
        &mut self,
        function: Function,
        arg: &ast::Expr,
        place: Place<'_>,
    ) -> Result<ExprKind, Reported> {
        let ast::ExprKind::Str(text) = &arg.kind else {
            return Err(self.report_no_constant(function, arg));
        };
        Ok(match function {
            Function::Env => {
                let is_name = !text.is_empty()
                    && !text.starts_with(|c: char| c.is_ascii_digit())
                    && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if !is_name {
                    return Err(self.report(
                        Diagnostic::new(
                            Code::UnknownFunction,
                            arg.span,
                            format!("`{text}` is not a valid environment variable name"),
                        )
                        .help("use only letters, digits and `_`, and no digit at the start"),
                    ));
                }
                ExprKind::Const(Value::piece(Piece::Env(text.clone())))
            }
            Function::Jinja if place.packer_braces => {
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
            Function::Jinja => ExprKind::Const(Value::piece(Piece::Jinja(text.clone()))),
            Function::Path => {
                let folder = self.sources.get(arg.span.file).folder();
                ExprKind::Const(Value::Text(locate_text(text, Location::Path, folder)))
            }
            _ => self.lower_file(text, arg.span)?,
        })
    }

    /// An argument that is not a text in quotes.
    fn report_no_constant(&mut self, function: Function, arg: &ast::Expr) -> Reported {
        let word = function.as_str();
        let (what, example) = match function {
            Function::Env => ("name", "HTTP_PROXY"),
            Function::Jinja => ("expression", "{{ name }}"),
            _ => ("path", "files/motd"),
        };
        let name = match &arg.kind {
            ast::ExprKind::Name(name)
                if function == Function::Env && !name.contains(['.', '-']) =>
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
    fn lower_file(&mut self, text: &str, span: Span) -> Result<ExprKind, Reported> {
        let folder = self.sources.get(span.file).folder();
        let path = normalize(&folder.join(text));
        let content = self.read_data(&path, span)?;
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
