//! One line for each diagnostic, as compilers print it, for the error lists of editors and for grep.

use crate::diagnostic::Diagnostic;
use crate::source::{SourceMap, visible_line};
use std::fmt::Write;

/// Renders `file:line:column: severity[code]: message`.
pub fn render_short(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let span = diagnostic.primary.span;
        let at = sources.position(span.file, span.start);
        let path = sources.name(span.file);
        let _ = writeln!(
            out,
            "{path}:{}:{}: {}[{}]: {}",
            at.line,
            at.column,
            diagnostic.severity,
            diagnostic.code,
            visible_line(&diagnostic.message)
        );
    }
    out
}
