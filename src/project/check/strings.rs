//! Strings in expressions: Packer's braces, interpolations, and paths that are relative to their file.

use crate::diagnostic::{Code, Diagnostic, Reported};
use crate::packer::{Braced, parse_braces, users};
use crate::project::check::Lowering;
use crate::project::check::expr::{Expected, Ty};
use crate::project::hir::*;
use crate::schema::{Base, Piece, Text, TextBuilder, Value};
use crate::source::{Origin, Span, normalize};
use crate::syntax::ast;
use smol_str::SmolStr;
use std::path::Path;

impl Lowering<'_, '_> {
    /// Lowers a string without interpolations; the place decides how braces are read.
    pub(crate) fn lower_text(
        &mut self,
        text: &SmolStr,
        span: Span,
        place: Expected<'_>,
    ) -> Result<ExprKind, Reported> {
        self.check_unfilled(text, span, place);
        let kind = self.lower_braces(text, span, place)?;
        match self.location(place) {
            Some(location) => self.locate(kind, location, span),
            None => Ok(kind),
        }
    }

    pub(crate) fn lower_braces(
        &mut self,
        text: &SmolStr,
        span: Span,
        place: Expected<'_>,
    ) -> Result<ExprKind, Reported> {
        if !place.packer_braces || memchr::memmem::find(text.as_bytes(), b"{{").is_none() {
            return Ok(ExprKind::Const(Value::text(text.clone())));
        }
        let is_args = place.ty.is_some_and(|ty| matches!(ty.base, Base::Args));
        let mut parts: Vec<Expr> = Vec::new();
        let mut sound = Ok(());
        for (_, piece) in parse_braces(text) {
            let kind = match piece {
                Braced::Text(text) => Ok(ExprKind::Const(Value::text(text))),
                Braced::Env(name) => Ok(ExprKind::Const(Value::piece(Piece::Env(name.into())))),
                Braced::User(name) => self
                    .find_reference(name, span, place)
                    .map(ExprKind::Encoded),
                Braced::Other(text, names) => self.lower_packer(text, &names, span, place),
                // A checkout's own text is for its own Packer to judge.
                Braced::Bad(text, _) if self.adopted.is_some() && self.is_library(span) => {
                    self.lower_packer(text, &users(text), span, place)
                }
                Braced::Bad(text, reason) => {
                    Err(self.report_literal_braces(span, text, reason, place.is_secret))
                }
            };
            match kind {
                Ok(kind) => parts.push(Expr { kind, span }),
                Err(reported) => sound = Err(reported),
            }
        }
        sound?;
        if is_args {
            // Kept as written: its `{{user}}` are slots, read when the image is written.
            return Ok(ExprKind::Const(Value::text(text.clone())));
        }
        Ok(match parts.len() {
            1 => parts.remove(0).kind,
            _ => ExprKind::Concat(parts),
        })
    }

    /// An expression that only Packer can compute.
    fn lower_packer(
        &mut self,
        text: &str,
        names: &[&str],
        span: Span,
        place: Expected<'_>,
    ) -> Result<ExprKind, Reported> {
        let ids: Vec<_> = names
            .iter()
            .map(|name| self.find_reference(name, span, place))
            .collect();
        let ids = ids.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.check_packer_secrets(text, &ids, span, place.is_secret)?;
        Ok(ExprKind::Packer(text.into(), ids.into()))
    }

    pub(crate) fn report_literal_braces(
        &mut self,
        span: Span,
        text: &str,
        reason: &str,
        is_secret: bool,
    ) -> Reported {
        let shown = if is_secret {
            "this".to_owned()
        } else {
            format!("`{text}`")
        };
        self.report(
            Diagnostic::new(
                Code::LiteralBraces,
                span,
                format!("{shown} is not a valid Packer expression: {reason}"),
            )
            .label("Packer evaluates `{{` and has no escape for it")
            .help("set a value that only your own roles read in `ansible { }`, where `{{` is plain text"),
        )
    }

    /// The variable that a `{{user}}` names.
    pub(crate) fn find_reference(
        &mut self,
        name: &str,
        span: Span,
        place: Expected<'_>,
    ) -> Result<VarId, Reported> {
        match self.find_variable(name) {
            Some(id) => {
                self.check_fact(id, span, place)?;
                let variable = &self.variables[id];
                let Some(real) = variable.alias_of() else {
                    return Ok(id);
                };
                if self.sources.is_users(span.file) {
                    let real = &self.variables[real].name;
                    let message = format!("`{name}` is a deprecated name for `{real}`");
                    let found = Diagnostic::new(Code::DeprecatedName, span, message);
                    let found = self.rename_reference(found, name, real, span);
                    self.warn(found);
                }
                Ok(real)
            }
            None => {
                let near = self.guess_variable(name, None).filter(|_| !place.is_secret);
                if let Some(incomplete) = self.file.incomplete
                    && near.as_ref().is_none_or(|near| !near.is_sure)
                {
                    return Err(incomplete);
                }
                let shown = if place.is_secret { "…" } else { name };
                if place.is_secret {
                    self.sources.hide(span);
                }
                let mut found = Diagnostic::new(
                    Code::UnknownReference,
                    span,
                    format!("unknown variable `{shown}` in a Packer expression"),
                );
                if let Some(near) = near {
                    found = if near.is_sure {
                        let found = found.label(format!("did you mean `{}`?", near.name));
                        self.rename_reference(found, name, &near.name, span)
                    } else {
                        found.help(format!("did you mean `{}`?", near.name))
                    };
                }
                Err(self.report(found))
            }
        }
    }

    /// Adds the fix of the name in a `{{user}}`, if the string contains that name only once.
    fn rename_reference(&self, found: Diagnostic, name: &str, new: &str, span: Span) -> Diagnostic {
        let quoted = format!("`{name}`");
        let mut places = self
            .sources
            .slice(span)
            .match_indices(&quoted)
            .map(|(at, _)| at as u32 + 1);
        match (places.next(), places.next()) {
            (Some(at), None) => {
                let start = span.start + at;
                let place = Span::new(span.file, start, start + name.len() as u32);
                found.fix(format!("replace it with `{new}`"), place, new)
            }
            _ => found.help(format!("write `{new}` instead")),
        }
    }

    /// The variable that a `{{user}}` of a JSON layer names; an unknown one is reported.
    pub(crate) fn reference(
        &mut self,
        name: &str,
        span: Span,
        is_secret: bool,
    ) -> Result<VarId, Reported> {
        self.find_reference(
            name,
            span,
            Expected {
                is_secret,
                ..Expected::PLAIN
            },
        )
    }

    pub(crate) fn lower_template(
        &mut self,
        parts: &[ast::Part],
        span: Span,
        place: Expected<'_>,
    ) -> Result<ExprKind, Reported> {
        let mut lowered = Vec::with_capacity(parts.len());
        let mut sound = Ok(());
        for part in parts {
            match part {
                ast::Part::Text(text) => match self.lower_braces(text, span, place) {
                    Ok(kind) => lowered.push(Expr { kind, span }),
                    Err(reported) => sound = Err(reported),
                },
                ast::Part::Interpolation(interpolation) => {
                    let (expr, ty) = self.lower_typed(interpolation, place.argument());
                    if matches!(ty, Ty::List(_) | Ty::Map(_)) {
                        sound = Err(self.report(
                            Diagnostic::new(
                                Code::TypeMismatch,
                                interpolation.span,
                                format!("{} cannot be interpolated into a string", ty.word()),
                            )
                            .help("use `join(list, \" \")` to make a string of a list"),
                        ));
                    }
                    match expr.sound() {
                        Ok(expr) => lowered.push(expr),
                        Err(reported) => sound = Err(reported),
                    }
                }
            }
        }
        sound?;
        let kind = if lowered
            .iter()
            .all(|e| matches!(&e.kind, ExprKind::Const(Value::String(_))))
        {
            let mut text = TextBuilder::default();
            for expr in &lowered {
                if let ExprKind::Const(Value::String(part)) = &expr.kind {
                    text.push(part);
                }
            }
            ExprKind::Const(Value::String(text.finish()))
        } else {
            ExprKind::Concat(lowered)
        };
        match self.location(place) {
            Some(location) => self.locate(kind, location, span),
            None => Ok(kind),
        }
    }

    /// True where a relative string in this place is a path relative to its file.
    pub(crate) fn location(&self, place: Expected<'_>) -> Option<Location> {
        match &place.ty?.base {
            Base::Path => Some(Location::Path),
            Base::File => Some(Location::File),
            Base::Role => Some(Location::Role),
            _ => None,
        }
    }

    pub(crate) fn locate(
        &mut self,
        kind: ExprKind,
        location: Location,
        span: Span,
    ) -> Result<ExprKind, Reported> {
        if self.is_library(span) {
            // The library's own paths are relative to where Packer runs.
            return Ok(kind);
        }
        let ExprKind::Const(Value::String(text)) = &kind else {
            return Ok(ExprKind::Located(location, Box::new(Expr { kind, span })));
        };
        let Some(known) = text.known() else {
            return Ok(kind);
        };
        let located = locate_text(&known, location, self.sources.get(span.file).folder());
        if location == Location::File && !known.is_empty() {
            // What is in a home folder is the build's to find.
            let path = located.known().unwrap_or_default().into_owned();
            match self.loader.look(Path::new(&path)) {
                _ if path.starts_with('~') => {}
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(self.report(
                        Diagnostic::new(
                            Code::FileNotFound,
                            span,
                            format!("the file `{known}` does not exist"),
                        )
                        .label(format!("resolves to {path}"))
                        .help(match self.sources.origin(span.file) {
                            Origin::Argument => "write the path relative to the current folder",
                            _ => "write the path relative to the folder of this file",
                        }),
                    ));
                }
                Err(error) => {
                    let message = format!("cannot read {path}: {error}");
                    return Err(self.report(Diagnostic::new(Code::CannotRead, span, message)));
                }
            }
        }
        Ok(ExprKind::Const(Value::String(located)))
    }
}

/// A relative path as an absolute one, remembered as such; a role without `/` is a name.
pub(crate) fn locate_text(text: &str, location: Location, folder: &Path) -> Text {
    // Who reads `~/` resolves it: the home folder is that of the build.
    let stays = text.is_empty()
        || text.starts_with(['/', '~'])
        || (location == Location::Role && !text.contains('/'));
    if stays {
        Text::Plain(SmolStr::new(text))
    } else {
        let path = normalize(&folder.join(text));
        Text::Pieces([Piece::Path(SmolStr::new(path.to_string_lossy()))].into())
    }
}
