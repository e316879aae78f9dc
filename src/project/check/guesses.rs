//! What the user probably meant by an undeclared name.

use crate::diagnostic::{Code, Diagnostic, Fit, Reported, suggest, suggest_image};
use crate::project::check::Lowering;
use crate::project::check::expr::Expected;
use crate::project::config::{CONFIG_FILE, Config};
use crate::project::hir::*;
use crate::project::hir::{SECTIONS, VARIABLES};
use crate::project::unknown_release_help;
use crate::schema::{Base, Type, Value, check_value};
use crate::source::{FileId, Release, Span};
use crate::syntax::{ast, is_null};
use smol_str::SmolStr;

/// A [`Suggestion`](crate::diagnostic::Suggestion) that owns its name.
pub(crate) struct Guess {
    pub name: SmolStr,
    pub is_sure: bool,
}

impl Guess {
    /// Adds it to a diagnostic.
    pub(crate) fn add_to(guess: Option<&Guess>, found: Diagnostic, span: Span) -> Diagnostic {
        let near = guess.map(|g| crate::diagnostic::Suggestion {
            name: &g.name,
            is_sure: g.is_sure,
        });
        found.did_you_mean(near, span)
    }
}

impl Lowering<'_, '_> {
    /// The variable that a name was meant to be; with a value, one that can have it.
    pub(crate) fn guess_variable(&self, name: &str, value: Option<&ast::Expr>) -> Option<Guess> {
        if self.is_tentative || self.is_tired() {
            return None;
        }
        let view = self.view();
        let find = |name: &str| {
            view.find(VARIABLES, name)
                .map(|(id, _)| &self.variables[*id])
        };
        let count = |_: &&str| self.compared.set(self.compared.get() + 1);
        let names = view
            .all(VARIABLES)
            .inspect(count)
            .filter(|name| find(name).is_some_and(|v| v.removed().is_none()));
        let fit = |name: &str| match (find(name), value) {
            (Some(variable), Some(value)) => fit(&variable.ty, value),
            _ => Fit::Maybe,
        };
        let found = suggest(name, names, fit)?;
        Some(Guess {
            name: SmolStr::new(found.name),
            is_sure: found.is_sure,
        })
    }

    /// The variable that a name is surely meant to be.
    pub(crate) fn nearest_variable(&self, name: &str) -> Option<SmolStr> {
        self.guess_variable(name, None)
            .filter(|guess| guess.is_sure)
            .map(|guess| guess.name)
    }

    pub(crate) fn report_unknown_variable(
        &mut self,
        name: &ast::Ident,
        is_setting: bool,
    ) -> Reported {
        self.report_unknown(name, None, is_setting)
    }

    /// A name that nothing declares, with what it is set to.
    pub(crate) fn report_unknown(
        &mut self,
        name: &ast::Ident,
        value: Option<&ast::Expr>,
        is_setting: bool,
    ) -> Reported {
        let guess = self.guess_variable(&name.text, value);
        if let Some(incomplete) = self.file.incomplete
            && guess.as_ref().is_none_or(|guess| !guess.is_sure)
        {
            // It may be declared where nothing could be read.
            return incomplete;
        }
        let found = Diagnostic::new(
            Code::UnknownVariable,
            name.span,
            format!("unknown variable `{}`", name.text),
        );
        if let Some(found) = self.of_other_release(&found, "variable", &name.text) {
            return self.report(found);
        }
        let found = match &guess {
            None if is_setting => found.help(
                "if your own role reads it, put it into `ansible { }`; if your own template reads it, into `packer { }`; otherwise declare it with `variable name : type`",
            ),
            guess => Guess::add_to(guess.as_ref(), found, name.span),
        };
        self.report(found)
    }

    /// A name in an expression that is no variable.
    pub(crate) fn report_unknown_name(
        &mut self,
        name: &SmolStr,
        span: Span,
        place: Expected<'_>,
    ) -> Reported {
        let found = Diagnostic::new(
            Code::UnknownVariable,
            span,
            format!("unknown variable `{name}`"),
        );
        if self.is_tentative {
            return self.report(found);
        }
        if let Some(found) = self.of_other_release(&found, "variable", name) {
            return self.report(found);
        }
        let can_wait = place.facts_only.is_none();
        let (head, rest) = name.rsplit_once('.').unwrap_or(("", name));
        let found = match name.as_str() {
            "True" | "yes" | "on" | "Yes" | "TRUE" => found.fix("write `true`", span, "true"),
            "False" | "no" | "off" | "No" | "FALSE" => found.fix("write `false`", span, "false"),
            word if is_null(word) => {
                found.help("use `unset NAME` to remove a value; an empty value is `\"\"` or `[]`")
            }
            _ if matches!(head, "env" | "ENV" | "process.env" | "os.environ") && is_env(rest) => {
                read_from_environment(found, rest, span, can_wait)
            }
            _ if !head.is_empty() && self.find_variable(rest).is_some() => {
                let found = found.label("a variable needs no prefix");
                found.fix(format!("replace it with `{rest}`"), span, rest)
            }
            _ if is_env(name)
                && name.bytes().all(|c| !c.is_ascii_lowercase())
                && name.len() > 1 =>
            {
                read_from_environment(found, name, span, can_wait)
            }
            _ if is_namespace(head) => match self.guess_variable(rest, None) {
                Some(guess) if guess.is_sure => {
                    let found = found.label("a variable needs no prefix");
                    found.fix(
                        format!("replace it with `{}`", guess.name),
                        span,
                        guess.name.as_str(),
                    )
                }
                _ => found
                    .label(format!("a variable needs no prefix `{head}.`"))
                    .help(format!(
                        "declare it with `variable {rest} : type` and write `{rest}`"
                    )),
            },
            _ => match (self.guess_variable(name, None), self.file.incomplete) {
                (None, Some(incomplete)) => return incomplete,
                (Some(guess), Some(incomplete)) if !guess.is_sure => return incomplete,
                (None, None) => match place.ty.filter(|ty| self.fits_in_quotes(ty, name)) {
                    Some(_) => found.label("a string needs quotes").fix(
                        "put it in quotes",
                        span,
                        format!("\"{name}\""),
                    ),
                    None => found.help("put it in quotes if it is a string"),
                },
                (guess, _) => Guess::add_to(guess.as_ref(), found, span),
            },
        };
        self.report(found)
    }

    /// Whether a word was probably meant as a text of a type.
    fn fits_in_quotes(&self, ty: &Type, word: &str) -> bool {
        ty.is_text()
            && !matches!(ty.base, Base::File | Base::Args | Base::Toml)
            && check_value(ty, &Value::text(word)).is_ok()
    }

    /// Reports a word without quotes that a variable is compared with, where it is one.
    pub(crate) fn report_bare_word(
        &mut self,
        word: &ast::Expr,
        other: &ast::Expr,
    ) -> Option<Reported> {
        let (ast::ExprKind::Name(word_text), ast::ExprKind::Name(variable)) =
            (&word.kind, &other.kind)
        else {
            return None;
        };
        if self.find_variable(word_text).is_some() {
            return None;
        }
        let id = self.find_variable(variable)?;
        let ty = self.variables[id].ty.clone();
        if !self.fits_in_quotes(&ty, word_text) {
            return None;
        }
        Some(
            self.report(
                Diagnostic::new(
                    Code::UnknownVariable,
                    word.span,
                    format!("unknown variable `{word_text}`"),
                )
                .label("a string needs quotes")
                .fix("put it in quotes", word.span, format!("\"{word_text}\"")),
            ),
        )
    }

    pub(crate) fn report_unknown_section(&mut self, name: &ast::Ident) {
        let view = self.view();
        let target = name
            .text
            .strip_prefix("build-")
            .filter(|rest| view.find(SECTIONS, rest).is_some());
        let mut names: Vec<&str> = Vec::new();
        if !self.is_tired() {
            names.extend(view.all(SECTIONS));
            self.compared.set(self.compared.get() + names.len());
        }
        let near = suggest_image(&name.text, names.into_iter());
        let guess = near.map(|near| Guess {
            name: SmolStr::new(near.name),
            is_sure: near.is_sure,
        });
        if self.file.incomplete.is_some()
            && target.is_none()
            && guess.as_ref().is_none_or(|guess| !guess.is_sure)
        {
            return;
        }
        let found = Diagnostic::new(
            Code::UnknownName,
            name.span,
            format!("unknown layer or image `{}`", name.text),
        );
        let plain = name.text.strip_prefix("build-").unwrap_or(&name.text);
        if let Some(found) = self.of_other_release(&found, "image", plain) {
            self.report(found);
            return;
        }
        let found = match (target, self.later_target(&name.text)) {
            (Some(target), _) => found
                .label("make adds `build-` to the image's name")
                .fix(format!("replace it with `{target}`"), name.span, target),
            (None, Some(help)) if guess.as_ref().is_none_or(|guess| !guess.is_sure) => found.help(help),
            _ if guess.is_some() => Guess::add_to(guess.as_ref(), found, name.span),
            _ => found.help(
                "run `imgspec list --targets` to see the targets, or include the file that declares it: `include \"file.imgspec\"`",
            ),
        };
        self.report(found);
    }

    /// What to do about a name that has the look of a target of another release of Image Builder.
    fn later_target(&self, name: &str) -> Option<String> {
        if self.adopted.is_some() || self.is_tired() {
            return None;
        }
        let images = self
            .view()
            .library
            .sections
            .iter()
            .filter(|(_, (id, _))| self.sections[*id].kind == LayerKind::Image);
        unknown_release_help(name, images.map(|(name, _)| name.as_str()))
    }

    /// Adds to the diagnostic of an unknown name that another release has it, if so, with the line to write as a fix.
    pub(super) fn of_other_release(
        &self,
        found: &Diagnostic,
        kind: &str,
        name: &str,
    ) -> Option<Diagnostic> {
        if self.adopted.is_some() || self.is_tired() {
            return None;
        }
        let (other, help) = self.edition.release.help_for(kind, name)?;
        let found = found.clone().help(help);
        let config = self.file.roots.first().map(|root| root.join(CONFIG_FILE));
        let config = self
            .sources
            .iter()
            .find(|(_, source)| Some(&source.path) == config.as_ref());
        // `--release` is stronger than what a fix could write.
        let chosen = |text: &str| {
            Config::parse(FileId(0), text, &mut Vec::new())
                .release
                .unwrap_or_default()
        };
        Some(match config {
            Some((file, source)) if chosen(&source.text) == self.edition.release => {
                let (span, text) = release_line(file, &source.text, other);
                found.fix(
                    format!("write `release = \"{other}\"` to imgspec.toml"),
                    span,
                    text,
                )
            }
            _ => found,
        })
    }
}

/// The edit of an `imgspec.toml` that chooses a release: another value, or a new first line.
fn release_line(file: FileId, text: &str, release: Release) -> (Span, String) {
    let line = format!("release = \"{release}\"");
    let mut start = 0;
    for old in text.split_inclusive('\n') {
        let content = old.trim_end();
        if content
            .strip_prefix("release")
            .is_some_and(|rest| rest.trim_start().starts_with('='))
        {
            return (Span::new(file, start, start + content.len() as u32), line);
        }
        start += old.len() as u32;
    }
    (Span::new(file, 0, 0), format!("{line}\n"))
}

/// What other languages write before the name of a variable.
fn is_namespace(word: &str) -> bool {
    matches!(
        word,
        "var" | "vars" | "variable" | "variables" | "local" | "locals" | "self" | "this" | "user"
    )
}

fn is_env(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Says how an environment variable is read; a condition cannot wait for the build.
fn read_from_environment(found: Diagnostic, name: &str, span: Span, can_wait: bool) -> Diagnostic {
    let call = format!("env(\"{name}\")");
    if can_wait {
        found
            .label("an environment variable is read with `env`")
            .fix(format!("write `{call}`"), span, call)
    } else {
        found.help(format!(
            "remove it: `{call}` has a value only during the build, after conditions and facts are evaluated"
        ))
    }
}

/// How a value as it is written suits a type.
fn fit(ty: &Type, value: &ast::Expr) -> Fit {
    let literal = match &value.kind {
        ast::ExprKind::Bool(flag) => Value::Bool(*flag),
        ast::ExprKind::Int(number) => Value::Int(*number),
        ast::ExprKind::Str(text) => Value::text(text.clone()),
        ast::ExprKind::List(_) => {
            return if matches!(ty.base, Base::List(_)) {
                Fit::Maybe
            } else {
                Fit::No
            };
        }
        ast::ExprKind::Map(_) => {
            return if matches!(ty.base, Base::Map(_)) {
                Fit::Maybe
            } else {
                Fit::No
            };
        }
        _ => return Fit::Maybe,
    };
    let is_particular = matches!(
        ty.base,
        Base::Semver | Base::Version | Base::Refined(_) | Base::OneOf(_)
    );
    match check_value(ty, &literal) {
        Err(_) => Fit::No,
        Ok(()) if is_particular && !literal.is_empty() => Fit::Well,
        Ok(()) => Fit::Maybe,
    }
}
