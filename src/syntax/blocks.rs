//! Settings that should be other statements: `ansible = { … }`, `target = qemu`, `unset = x`.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, part};
use crate::syntax::ast::*;
use smol_str::SmolStr;

/// The intended statements of such a setting.
pub(crate) struct Meant {
    /// The diagnostic for the setting.
    pub found: Diagnostic,
    /// The intended statements.
    pub statements: Vec<Stmt>,
}

/// Returns the intended statements of `name = value`, if `name` is the keyword of another statement.
pub(crate) fn meant_by(set: &Set, text: &str) -> Option<Meant> {
    let word = set.name.text.as_str();
    match (word, &set.value.kind) {
        ("ansible" | "packer" | "target" | "defaults", ExprKind::Map(pairs)) => {
            Some(block(set, pairs))
        }
        ("target", ExprKind::Name(provider) | ExprKind::Str(provider)) => {
            Some(target(set, provider))
        }
        ("unset", _) => unset(set, text),
        _ => None,
    }
}

fn block(set: &Set, pairs: &[(Ident, Expr)]) -> Meant {
    let word = &set.name.text;
    let between = Span::new(set.span.file, set.name.span.end, set.value.span.start);
    let found = Diagnostic::new(
        Code::Syntax,
        set.name.span,
        format!("unexpected `=` after `{word}`, which is a block"),
    )
    .fix(format!("write `{word} {{ … }}`"), between, " ");
    let body = pairs
        .iter()
        .map(|(name, value)| {
            Stmt::Set(Set {
                name: name.clone(),
                op: SetOp::Replace,
                value: value.clone(),
                is_final: false,
                span: name.span.to(value.span),
            })
        })
        .collect();
    Meant {
        found,
        statements: vec![Stmt::Block {
            name: set.name.clone(),
            body,
            span: set.span,
        }],
    }
}

fn target(set: &Set, provider: &SmolStr) -> Meant {
    let text = format!("target {{ provider = {provider} }}");
    let found = Diagnostic::new(
        Code::Syntax,
        set.name.span,
        "`target` must be a block with a provider",
    )
    .fix(format!("write `{text}`"), set.span, text);
    let word = |text: &str, span| Ident {
        text: SmolStr::new(text),
        span,
    };
    let setting = Stmt::Set(Set {
        name: word("provider", set.name.span),
        op: SetOp::Replace,
        value: Expr {
            kind: ExprKind::Name(provider.clone()),
            span: set.value.span,
        },
        is_final: false,
        span: set.span,
    });
    Meant {
        found,
        statements: vec![Stmt::Block {
            name: set.name.clone(),
            body: vec![setting],
            span: set.span,
        }],
    }
}

fn unset(set: &Set, text: &str) -> Option<Meant> {
    let elements = match &set.value.kind {
        ExprKind::List(elements) => elements.as_slice(),
        _ => std::slice::from_ref(&set.value),
    };
    let names: Option<Vec<Ident>> = elements
        .iter()
        .map(|element| match &element.kind {
            ExprKind::Name(name) => Some(Ident {
                text: name.clone(),
                span: element.span,
            }),
            _ => None,
        })
        .collect();
    let names = names.filter(|names| !names.is_empty())?;
    let written: Vec<String> = names
        .iter()
        .map(|name| format!("unset {}", name.text))
        .collect();
    let line = part(text, ..set.span.start as usize)
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let indent = part(text, line..set.span.start as usize);
    let joint = if indent.trim().is_empty() {
        format!("\n{indent}")
    } else {
        ", ".to_owned()
    };
    let found = Diagnostic::new(
        Code::Syntax,
        set.name.span,
        "`unset` must precede the name, without `=`",
    )
    .fix(
        format!("write `{}`", written.join(", ")),
        set.span,
        written.join(&joint),
    );
    let statements = names
        .into_iter()
        .map(|name| Stmt::Unset {
            span: name.span,
            name,
        })
        .collect();
    Some(Meant { found, statements })
}
