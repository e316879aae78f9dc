//! Packer expressions, such as `` {{user `x`}} ``, in a string.

use crate::source::part;

/// A piece of a string that can contain Packer expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Braced<'t> {
    /// Literal text.
    Text(&'t str),
    /// `{{user `x`}}`
    User(&'t str),
    /// `{{env `X`}}`
    Env(&'t str),
    /// Any other expression, and the variables that it names.
    Other(&'t str, Vec<&'t str>),
    /// An expression that Packer would refuse, and the reason.
    Bad(&'t str, &'static str),
}

/// The functions of expressions in Packer 1.6 to 1.9.
/// Source: packer-plugin-sdk, `template/interpolate/funcs.go`.
const FUNCTIONS: [&str; 25] = [
    "build",
    "build_name",
    "build_type",
    "clean_image_name",
    "clean_resource_name",
    "consul_key",
    "env",
    "isotime",
    "lower",
    "packer_version",
    "aws_secretsmanager",
    "pwd",
    "replace",
    "replace_all",
    "sed",
    "split",
    "strftime",
    "template_dir",
    "timestamp",
    "upper",
    "user",
    "uuid",
    "vault",
    "printf",
    "index",
];

/// Returns the piece as it is written in a template.
pub fn spell_piece(piece: &Braced<'_>) -> String {
    match piece {
        Braced::User(name) => format!("{{{{user `{name}`}}}}"),
        Braced::Env(name) => format!("{{{{env `{name}`}}}}"),
        Braced::Text(text) | Braced::Other(text, _) | Braced::Bad(text, _) => (*text).to_owned(),
    }
}

/// Splits a string into literal text and expressions. Each piece comes with its byte offset in `text`.
pub fn parse_braces(text: &str) -> Vec<(usize, Braced<'_>)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(open) = part(text, at..).find("{{").map(|i| at + i) {
        if at < open {
            out.push((at, Braced::Text(part(text, at..open))));
        }
        let Some(close) = find_close(part(text, open + 2..)).map(|i| open + 2 + i) else {
            out.push((
                open,
                Braced::Bad(part(text, open..), "it has no closing `}}`"),
            ));
            return out;
        };
        let whole = part(text, open..close + 2);
        out.push((open, classify(whole, part(text, open + 2..close))));
        at = close + 2;
    }
    if at < text.len() {
        out.push((at, Braced::Text(part(text, at..))));
    }
    out
}

/// The value of a variable for [`fill`].
pub enum Filling {
    /// A string that stays as it is.
    Known(String),
    /// A string that can contain expressions.
    Template(String),
}

/// The maximum depth of variables in variables, as in Packer (`renderVarsRecursively` in `core.go`).
const DEEPEST: usize = 100;

/// The maximum number of pieces and the maximum length of a result. Without them, 40 variables that each name the
/// next one twice would take years.
const MOST_TEXTS: usize = 10_000;
const LONGEST: usize = 1 << 20;

/// Replaces each `{{user}}` by its value. Returns `None` if the result is only known during the build, or if a limit
/// is exceeded.
pub fn fill(text: &str, filling: &dyn Fn(&str) -> Option<Filling>) -> Option<String> {
    let mut left = MOST_TEXTS;
    fill_below(text, filling, 0, &mut left)
}

fn fill_below(
    text: &str,
    filling: &dyn Fn(&str) -> Option<Filling>,
    depth: usize,
    left: &mut usize,
) -> Option<String> {
    let mut out = String::new();
    for (_, piece) in parse_braces(text) {
        *left = left.checked_sub(1)?;
        match piece {
            Braced::Text(text) => out.push_str(text),
            Braced::User(name) => match filling(name)? {
                Filling::Known(text) => out.push_str(&text),
                Filling::Template(text) if depth < DEEPEST => {
                    out.push_str(&fill_below(&text, filling, depth + 1, left)?);
                }
                Filling::Template(_) => return None,
            },
            Braced::Env(_) | Braced::Other(..) | Braced::Bad(..) => return None,
        }
        if out.len() > LONGEST {
            return None;
        }
    }
    Some(out)
}

/// Returns the offset of the `}}` that closes an expression. Skips strings inside the expression.
fn find_close(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match quote {
            Some(b'"') if byte == b'\\' => at += 1,
            Some(q) if byte == q => quote = None,
            Some(_) => {}
            None if byte == b'`' || byte == b'"' => quote = Some(byte),
            None if byte == b'}' && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            None => {}
        }
        at += 1;
    }
    None
}

fn classify<'t>(whole: &'t str, inner: &'t str) -> Braced<'t> {
    let within = inner.strip_prefix("- ").unwrap_or(inner);
    let within = within.strip_suffix(" -").unwrap_or(within);
    // An expression with `-` also removes the whitespace beside it, so it is more than its value.
    let is_value = within.len() == inner.len();
    let inner = within.trim();
    if let Some(name) = argument(inner, "user").filter(|_| is_value) {
        return Braced::User(name);
    }
    if let Some(name) = argument(inner, "env").filter(|_| is_value) {
        return Braced::Env(name);
    }
    let word = inner
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .next()
        .unwrap_or("");
    let is_field = inner
        .strip_prefix('.')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    if !is_field && !FUNCTIONS.contains(&word) {
        return Braced::Bad(whole, "Packer has no such function");
    }
    Braced::Other(whole, users(inner))
}

/// Returns the variables in an expression: `user` with a quoted name.
pub fn users(inner: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = inner;
    while let Some(at) = rest.find("user") {
        rest = part(rest, at + 4..);
        if let Some(name) = quoted(rest.trim_start()) {
            names.push(name.0);
            rest = name.1;
        }
    }
    names
}

/// Returns the password or key of the machine that an expression names: `` {{build `Password`}} ``, `{{.WinRMPassword}}`.
/// Source: packer-plugin-sdk, `packerbuilderdata`, and Packer's documentation of `build`.
pub(crate) fn build_secret(expression: &str) -> Option<&'static str> {
    const FIELDS: [&str; 4] = ["Password", "WinRMPassword", "SSHPassword", "SSHPrivateKey"];
    let words: Vec<&str> = expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .filter(|word| !word.is_empty())
        .collect();
    FIELDS.into_iter().find(|field| {
        let is_build = words.windows(2).any(|pair| pair == ["build", field]);
        is_build
            || words
                .iter()
                .any(|word| word.strip_prefix('.') == Some(field))
    })
}

/// Returns the argument of the function `word`, if the expression is a call with one argument that means the same between
/// backquotes, as [`spell_piece`] writes it.
fn argument<'t>(inner: &'t str, word: &str) -> Option<&'t str> {
    let rest = inner.strip_prefix(word)?.trim_start();
    let (name, after) = quoted(rest)?;
    let is_plain = rest.starts_with('`') || !name.contains(['`', '\\', '\n']);
    (is_plain && after.trim().is_empty()).then_some(name)
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '`' | '"'))?;
    part(text, 1..).split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_templates() {
        let pieces: Vec<_> = parse_braces(
            "a{{user `x`}}-{{ env `Y` }}{{ .HTTPIP }}{{user `v` | replace_all `.` `_`}}b",
        )
        .into_iter()
        .map(|(_, p)| p)
        .collect();
        assert_eq!(
            pieces,
            [
                Braced::Text("a"),
                Braced::User("x"),
                Braced::Text("-"),
                Braced::Env("Y"),
                Braced::Other("{{ .HTTPIP }}", vec![]),
                Braced::Other("{{user `v` | replace_all `.` `_`}}", vec!["v"]),
                Braced::Text("b"),
            ]
        );
    }

    #[test]
    fn what_means_more_than_a_name_is_an_expression() {
        for (text, name) in [
            ("{{- user `x` }}", "x"),
            ("{{user `x` -}}", "x"),
            ("{{user \"a`b\"}}", "a`b"),
            ("{{user \"a\\tb\"}}", "a\\tb"),
        ] {
            let pieces: Vec<_> = parse_braces(text).into_iter().map(|(_, p)| p).collect();
            assert_eq!(pieces, [Braced::Other(text, vec![name])], "{text}");
        }
        let plain = parse_braces("{{ user \"x\" }}{{user `a\\b`}}");
        assert_eq!(plain, [(0, Braced::User("x")), (14, Braced::User("a\\b"))]);
    }

    #[test]
    fn what_has_no_end_is_not_filled() {
        let next = |name: &str| {
            let next = name.parse::<u32>().ok()? + 1;
            Some(Filling::Template(format!(
                "{{{{user `{next}`}}}}{{{{user `{next}`}}}}"
            )))
        };
        let ends_at = |last: u32| {
            move |name: &str| match name.parse::<u32>() {
                Ok(at) if last <= at => Some(Filling::Known("{{x".to_owned())),
                _ => next(name),
            }
        };
        assert_eq!(
            fill("a{{user `0`}}", &ends_at(1)).as_deref(),
            Some("a{{x{{x")
        );
        assert_eq!(
            fill("{{user `0`}}", &ends_at(2)).as_deref(),
            Some("{{x{{x{{x{{x")
        );
        assert_eq!(fill("{{user `0`}}", &ends_at(40)), None);
        assert_eq!(
            fill("{{user `x`}}", &|_| Some(Filling::Template(
                "{{user `x`}}".to_owned()
            ))),
            None
        );
        assert_eq!(fill("{{timestamp}}", &|_| None), None);
    }

    #[test]
    fn refuses_what_packer_refuses() {
        for bad in ["{{", "{{ }}", "{{ 1+1 }}", "{{ foo }}", "x{{ y", "{{`{{`}}"] {
            assert!(
                parse_braces(bad)
                    .iter()
                    .any(|(_, p)| matches!(p, Braced::Bad(..))),
                "{bad}"
            );
        }
    }
}
