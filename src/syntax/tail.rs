//! Explanations of text after a value on the same line.

use crate::diagnostic::{Code, Diagnostic, Fix};
use crate::source::{Span, part};
use crate::syntax::recover::{env_name, first_word, is_name, is_word, shorten};

/// A statement `name = value`, and the text after its value.
pub(super) struct Tail<'t> {
    /// The part of the statement that the grammar accepts.
    pub set: Span,
    /// The name in the statement.
    pub name: &'t str,
    /// The byte offset of the value.
    pub value_start: u32,
    /// The part of the value that the grammar accepts. Can be empty.
    pub value: &'t str,
    /// The place of the text after the value.
    pub junk: Span,
    /// The text after the value, without a comment and trailing whitespace.
    pub text: &'t str,
}

/// An explanation.
pub(super) struct Explained {
    /// The diagnostic.
    pub found: Diagnostic,
    /// Whether the value is valid in spite of the text after it.
    pub keeps_value: bool,
}

impl Tail<'_> {
    pub(crate) fn explain(&self) -> Explained {
        let keeping = self.comment().or_else(|| self.semicolon());
        let keeps_value = keeping.is_some();
        let found = keeping
            .or_else(|| self.conditional())
            .or_else(|| self.final_value())
            .or_else(|| self.append())
            .or_else(|| self.environment())
            .or_else(|| self.bare_text())
            .or_else(|| self.operator())
            .unwrap_or_else(|| self.anything());
        Explained { found, keeps_value }
    }

    fn span(&self, from: u32, to: u32) -> Span {
        Span::new(self.junk.file, from, to)
    }

    /// Returns the place from the value to the end of the text after it.
    fn whole(&self) -> Span {
        self.span(self.value_start, self.junk.end)
    }

    fn found(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Code::Syntax, span, message)
    }

    fn comment(&self) -> Option<Diagnostic> {
        comment(self.junk, self.text)
    }

    fn semicolon(&self) -> Option<Diagnostic> {
        let rest = self.text.strip_prefix(';')?;
        let span = self.span(self.junk.start, self.junk.start + 1);
        let found = self.found(span, "unexpected `;`: a statement ends with its line");
        Some(if rest.trim().is_empty() {
            found.fix("remove the `;`", span, "")
        } else {
            found.fix("replace it with a comma", span, ",")
        })
    }

    /// Explains `a ? b : c` and `b if a else c`.
    fn conditional(&self) -> Option<Diagnostic> {
        let parts = match self.text.strip_prefix('?') {
            Some(rest) => {
                let found = rest.split_once(" : ").or_else(|| rest.split_once(':'));
                found.map(|(then, other)| (self.value, then, other))
            }
            None => {
                let rest = self.text.strip_prefix("if ")?;
                Some(
                    rest.split_once(" else ")
                        .map(|(condition, other)| (condition, self.value, other))?,
                )
            }
        };
        let found = self.found(
            self.whole(),
            "expected `if … then … else …` for a conditional value",
        );
        let is_expression = |part: &str| !part.is_empty() && !part.contains(['?', ';', ',']);
        Some(
            match parts.map(|(a, b, c)| (a.trim(), b.trim(), c.trim())) {
                Some((a, b, c)) if [a, b, c].into_iter().all(is_expression) => {
                    let text = format!("if {a} then {b} else {c}");
                    found.fix(format!("write `{text}`"), self.whole(), text)
                }
                _ => found.help("write `if condition then value else value`"),
            },
        )
    }

    fn final_value(&self) -> Option<Diagnostic> {
        (self.value == "final").then(|| {
            let text = format!("final {} = {}", self.name, self.text);
            let place = self.span(self.set.start, self.junk.end);
            self.found(
                self.span(self.value_start, self.value_start + 5),
                "`final` must precede the name",
            )
            .fix(format!("write `{text}`"), place, text)
        })
    }

    /// Explains `x =+ [a]`.
    fn append(&self) -> Option<Diagnostic> {
        let operator = self
            .text
            .strip_prefix(['+', '-'])
            .filter(|_| self.value.is_empty())?;
        let rest = operator.trim_start();
        rest.starts_with('[').then(|| {
            let operator = format!("{}=", part(self.text, ..1));
            let equal = self.span(self.value_start.saturating_sub(1), self.junk.start + 1);
            self.found(equal, format!("expected `{operator}` to change a list"))
                .fix(format!("write `{operator}`"), equal, operator)
        })
    }

    /// Explains `env["X"]` and similar forms of other languages.
    fn environment(&self) -> Option<Diagnostic> {
        let is_env = matches!(
            self.value,
            "env" | "ENV" | "Env" | "os.environ" | "process.env"
        );
        let inner = self
            .text
            .strip_prefix('[')?
            .strip_suffix(']')
            .filter(|_| is_env)?;
        let name = inner.trim().trim_matches(['"', '\'']);
        is_word(name).then(|| {
            let call = format!("env(\"{name}\")");
            self.found(
                self.whole(),
                format!("expected `{call}` to read an environment variable"),
            )
            .fix(format!("write `{call}`"), self.whole(), call)
        })
    }

    /// Explains a string without quotes.
    fn bare_text(&self) -> Option<Diagnostic> {
        let text = bare_text(self.value, self.junk.start - self.value_start, self.text)?;
        Some(without_quotes(self.whole(), &text))
    }

    fn operator(&self) -> Option<Diagnostic> {
        let word = self.text.split_whitespace().next()?;
        let is_operator = matches!(
            word,
            "-" | "*" | "/" | "%" | "|" | "|>" | "." | "^" | "**" | "??" | "??="
        );
        is_operator.then(|| {
            self.found(self.junk, format!("unknown operator `{word}`"))
                .help("choose from `+` for lists, `and`, `or`, `not`, comparisons and `in`; to join strings, write `\"${a}-${b}\"`")
        })
    }

    fn anything(&self) -> Diagnostic {
        let found = self.found(
            self.junk,
            format!(
                "expected the end of the statement, found `{}`",
                shorten(self.text)
            ),
        );
        if self.text.starts_with(['"', '\'']) {
            found.help("write several values as a list: `[\"a\", \"b\"]`")
        } else {
            found.help("end the statement after one value with a new line or a comma")
        }
    }
}

/// Returns the string that was probably meant. `value` is its beginning, which the grammar accepts as a name or an
/// integer; `rest` is the remaining text, and `offset` is the number of bytes from the start of `value` to `rest`.
fn bare_text(value: &str, offset: u32, rest: &str) -> Option<String> {
    let is_bare = value.is_empty()
        || is_name(value)
        || value
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b".-+".contains(&c));
    let is_text =
        !rest.is_empty() && !rest.contains(['"', '\'', '\\', '[', '(', '=', ',', '`', '<', '>']);
    let starts_as_text = |text: &str| {
        let is_value =
            text.starts_with(|c: char| c.is_ascii_alphanumeric() || "/.$:@~_-*".contains(c));
        is_value
            && !matches!(
                text.split_whitespace().next(),
                Some("-" | "*" | "/" | "." | "?")
            )
    };
    // A name before an unknown operator does not begin a string.
    let is_joined = offset as usize == value.len();
    let fits = match value.is_empty() {
        true => starts_as_text(rest),
        false if is_joined => true,
        false => {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "/.$@~_".contains(c))
                && starts_as_text(rest)
        }
    };
    (is_bare && is_text && fits).then(|| {
        let blanks = " ".repeat((offset as usize).saturating_sub(value.len()));
        let blanks = if value.is_empty() {
            String::new()
        } else {
            blanks
        };
        format!("{value}{blanks}{rest}")
    })
}

/// Reports a string without quotes, or a shell variable such as `$HOME`.
pub(super) fn without_quotes(span: Span, text: &str) -> Diagnostic {
    let found = Diagnostic::new(
        Code::Syntax,
        span,
        format!("expected a string in quotes, found `{}`", shorten(text)),
    );
    let inner = text
        .strip_prefix("${")
        .and_then(|t| t.strip_suffix('}'))
        .or_else(|| text.strip_prefix('$'));
    match inner {
        Some(name) if env_name(name).is_some() => {
            let call = format!("env(\"{name}\")");
            let message = format!("expected `{call}` to read an environment variable");
            Diagnostic::new(Code::Syntax, span, message).fix(format!("write `{call}`"), span, call)
        }
        Some(name) if is_word(name) => Diagnostic::new(
            Code::Syntax,
            span,
            "unexpected `$` before the name of a variable",
        )
        .fix(format!("replace it with `{name}`"), span, name),
        _ => {
            let quoted = format!("\"{}\"", text.replace("${", "\\${"));
            found.fix("put it in quotes", span, quoted)
        }
    }
}

/// Explains a comment in another language's syntax.
pub(super) fn comment(span: Span, text: &str) -> Option<Diagnostic> {
    let width = ["//", "/*", "-- "]
        .into_iter()
        .find(|mark| text.starts_with(mark))?
        .trim_end()
        .len() as u32;
    let mark = Span::new(span.file, span.start, span.start + width);
    let found = Diagnostic::new(Code::Syntax, span, "expected `#` before a comment");
    Some(match text.starts_with("/*") {
        true if !text.trim_end().ends_with("*/") => found.help("start each line with `#`"),
        true => {
            let inner = text
                .trim_end()
                .trim_start_matches("/*")
                .trim_end_matches("*/")
                .trim();
            found.fix("replace it with a `#` comment", span, format!("# {inner}"))
        }
        false => found.fix("replace it with `#`", mark, "#"),
    })
}

/// Adds a fix with several edits.
pub(super) fn fix_all(
    mut found: Diagnostic,
    title: String,
    edits: Vec<(Span, String)>,
) -> Diagnostic {
    found.fixes.push(Fix { title, edits });
    found
}

/// Splits a text such as `let x = 1`, a setting in another language, into its first word and the rest.
pub(super) fn leading_word(text: &str) -> Option<(&str, &str)> {
    let word = first_word(text);
    let rest = part(text, word.len()..).trim_start();
    let name = first_word(rest);
    let behind = part(rest, name.len()..).trim_start();
    let is_set =
        ["=", "+=", "-="].iter().any(|op| behind.starts_with(op)) && !behind.starts_with("==");
    (!word.is_empty() && !name.is_empty() && is_set).then_some((word, rest))
}
