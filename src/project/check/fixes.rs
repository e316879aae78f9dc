//! Constants of the wrong type, with a fix if one can be guessed.

use crate::diagnostic::{Code, Diagnostic, Reported, nearest};
use crate::project::check::Lowering;
use crate::project::check::expr::Expected;
use crate::schema::{Base, Type, Value, check_value, decode_words};
use crate::source::Span;
use crate::syntax::print_text;
use smol_str::SmolStr;

/// The form of a text, and so of what an editor may put into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    Spec,
    /// Strings in Packer's spelling: JSON var files, and arguments.
    Json,
}

impl Lowering<'_, '_> {
    /// Reports a word that begins like a number but is not one, and offers quotes if a string fits.
    pub(crate) fn report_no_int(
        &mut self,
        text: &str,
        span: Span,
        place: Expected<'_>,
    ) -> Reported {
        let shown = if place.is_secret {
            "this".to_owned()
        } else {
            format!("`{text}`")
        };
        let found = Diagnostic::new(Code::Syntax, span, format!("{shown} is not an integer"));
        let value = Value::text(text);
        let fits = |ty: &Type| {
            matches!(ty.base, Base::Any) || ty.is_text() && check_value(ty, &value).is_ok()
        };
        let in_quotes = found
            .clone()
            .label("a version or another string needs quotes");
        self.report(match place.ty {
            Some(Type {
                base: Base::Int, ..
            }) => found,
            _ if place.is_secret => in_quotes,
            Some(ty) if !fits(ty) && !ty.is_text() => self.add_fix(found, span, ty, &value),
            Some(ty) if !fits(ty) => self.add_fix(in_quotes, span, ty, &value),
            _ => in_quotes.fix("put it in quotes", span, print_text(text)),
        })
    }

    /// Adds the fix of a wrong constant, if one can be guessed.
    pub(crate) fn add_fix(
        &self,
        found: Diagnostic,
        span: Span,
        wanted: &Type,
        value: &Value,
    ) -> Diagnostic {
        let text = match value {
            Value::String(text) => text.known().map(|t| t.into_owned()),
            _ => None,
        };
        if let Some(call) = text
            .as_deref()
            .filter(|_| wanted.is_text())
            .and_then(environment)
        {
            return found
                .help(match &wanted.base {
                    Base::Refined(_) => {
                        "use `env` to read an environment variable: `$` has no meaning in a string"
                    }
                    _ => "use `env` to read an environment variable",
                })
                .fix(format!("write `{call}`"), span, call);
        }
        match (&wanted.base, value, text.as_deref()) {
            (Base::Bool, _, Some("true" | "True" | "yes" | "on" | "1")) => {
                found.fix("write `true`", span, "true")
            }
            (Base::Bool, _, Some("false" | "False" | "no" | "off" | "0")) => {
                found.fix("write `false`", span, "false")
            }
            (Base::Int, _, Some(text))
                if text.parse().is_ok_and(|n: i64| n.to_string() == text) =>
            {
                found.fix("remove the quotes", span, text)
            }
            (Base::List(_), _, Some(text)) => {
                let words: Vec<String> = decode_words(text).into_iter().map(print_text).collect();
                let list = format!("[{}]", words.join(", "));
                found
                    .help("write the elements as separate strings in `[ ]`")
                    .fix(format!("write `{list}`"), span, list)
            }
            (Base::List(_), Value::Bool(_) | Value::Int(_), None) => found,
            (Base::Semver, _, Some(text))
                if check_value(wanted, &Value::text(format!("v{text}"))).is_ok() =>
            {
                found.fix("add the leading `v`", span, print_text(&format!("v{text}")))
            }
            (Base::Version, _, Some(text)) if text.starts_with('v') => found.fix(
                "remove the leading `v`",
                span,
                print_text(text.strip_prefix('v').unwrap_or(text)),
            ),
            (Base::OneOf(choices), _, Some(text)) => {
                match nearest(text, choices.iter().map(SmolStr::as_str)) {
                    Some(near) => found.fix(format!("write \"{near}\""), span, print_text(near)),
                    None => found,
                }
            }
            (_, Value::Bool(_) | Value::Int(_), _)
                if wanted.is_text()
                    && check_value(wanted, &Value::text(self.sources.slice(span))).is_ok() =>
            {
                found.fix(
                    "put it in quotes",
                    span,
                    print_text(self.sources.slice(span)),
                )
            }
            (Base::Refined(refinement), _, text) => {
                match text.and_then(|text| corrected(wanted, text)) {
                    Some(text) => found.fix(
                        format!("write {}", print_text(&text)),
                        span,
                        print_text(&text),
                    ),
                    None => found.help(format!(
                        "{} must match `{}`",
                        wanted.in_words(),
                        refinement.pattern
                    )),
                }
            }
            _ => found,
        }
    }
}

/// The call that reads the environment variable which a text names in the manner of a shell: `$NAME`, `%NAME%`.
pub(crate) fn environment(text: &str) -> Option<String> {
    let in_braces = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
    let in_percent = text.strip_prefix('%').and_then(|t| t.strip_suffix('%'));
    let name = in_braces
        .or(in_percent)
        .or_else(|| text.strip_prefix('$'))?;
    let is_name = name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name
            .bytes()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
    is_name.then(|| format!("env(\"{name}\")"))
}

/// A text that a pattern accepts once a common slip is mended: spaces around it, capital letters, an address
/// without its scheme or with a wrong sign behind it, a scheme where none belongs.
fn corrected(wanted: &Type, text: &str) -> Option<String> {
    let plain = text.trim().trim_matches(['"', '\'']);
    let bare = plain
        .split_once("://")
        .map_or(plain, |(_, rest)| rest)
        .trim_end_matches('/');
    let candidates = [
        plain.to_owned(),
        plain.to_ascii_lowercase(),
        plain.to_ascii_uppercase(),
        scheme_mended(plain).unwrap_or_default(),
        format!("http://{plain}"),
        bare.to_owned(),
    ];
    let is_address =
        plain.contains(['.', ':']) && !plain.contains("//") && !plain.starts_with(['.', '/', ':']);
    let has_scheme = after_scheme(plain).is_some();
    candidates
        .into_iter()
        .enumerate()
        .find_map(|(i, candidate)| {
            let is_plausible = match i {
                4 => is_address && !has_scheme,
                _ => candidate != text,
            };
            (is_plausible
                && !candidate.is_empty()
                && check_value(wanted, &Value::text(candidate.as_str())).is_ok())
            .then_some(candidate)
        })
}

/// Splits a web address after its scheme, whatever characters separate the two parts.
fn after_scheme(text: &str) -> Option<(&'static str, &str)> {
    let schemes = ["https", "http"];
    schemes.into_iter().find_map(|scheme| {
        let (first, rest) = text.split_at_checked(scheme.len())?;
        let rest = Some(rest).filter(|_| first.eq_ignore_ascii_case(scheme))?;
        rest.starts_with([':', '/', ';']).then_some((scheme, rest))
    })
}

/// An address whose scheme is there, with the signs behind it put right: `http:/host`, `http//host`, `http:host`.
fn scheme_mended(text: &str) -> Option<String> {
    let (scheme, rest) = after_scheme(text)?;
    let host = rest.trim_start_matches([':', '/', ';']);
    // `http:3128` may be a host of that name with its port.
    host.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[' || host.contains('.'))
        .then(|| format!("{scheme}://{host}"))
}
