//! What is reported of what was found: comments and `imgspec.toml` allow diagnostics.

use crate::diagnostic::{Code, Diagnostic, Findings, Severity, merge, nearest};
use crate::project::Program;
use crate::source::FileId;
use crate::syntax::Allow;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

/// Judges what was found: merges equal diagnostics, orders them, and applies comments and then `imgspec.toml`.
/// `is_whole` says that the command reads all files of the project and evaluates all their images, so that a comment
/// that allows nothing is never needed.
pub fn judge(program: &Program, found: Vec<Diagnostic>, is_whole: bool) -> Findings {
    let all = merge(found);
    let mut by_file: FxHashMap<FileId, Vec<(usize, &Allow)>> = FxHashMap::default();
    for (at, allow) in program.allows.iter().enumerate() {
        by_file
            .entry(allow.span.file)
            .or_default()
            .push((at, allow));
    }
    let mut used: FxHashSet<(usize, usize)> = FxHashSet::default();
    let mut out = Findings::default();
    for diagnostic in all {
        let mut reason = None;
        // A project can allow nothing that a policy above it finds.
        if !diagnostic.is_error() && !diagnostic.is_pinned {
            let of_file = by_file.get(&diagnostic.primary.span.file);
            for (at, allow) in of_file.into_iter().flatten() {
                let names = allow.names.iter().enumerate();
                let mut names =
                    names.filter(|(_, name)| diagnostic.names().any(|n| n == name.text));
                if let Some((name, _)) = names.next()
                    && allow.covers(diagnostic.primary.span)
                {
                    used.insert((*at, name));
                    // The comments are in order, so that the last one is the nearest.
                    reason = Some(&allow.reason);
                }
            }
        }
        match reason {
            Some(reason) => out.allowed.push((diagnostic, reason.clone())),
            None => out.shown.push(diagnostic),
        }
    }
    if is_whole && !program.allows.is_empty() && !out.shown.iter().any(Diagnostic::is_error) {
        let unused = unused(program, &used);
        if !unused.is_empty() {
            let shown = std::mem::take(&mut out.shown);
            out.shown = merge(shown.into_iter().chain(unused).collect());
        }
    }
    out.shown = program.configs.apply(&program.sources, out.shown);
    out
}

/// Returns a warning for each name in a comment of the program's specs that allows nothing.
fn unused(program: &Program, used: &FxHashSet<(usize, usize)>) -> Vec<Diagnostic> {
    // Images that the command does not evaluate can use other files.
    let specs: FxHashSet<FileId> = program.specs.iter().copied().flatten().collect();
    let mut out = Vec::new();
    let allows = program.allows.iter().enumerate();
    for (at, allow) in allows.filter(|(_, allow)| specs.contains(&allow.span.file)) {
        let is_used = |name: usize| used.contains(&(at, name));
        let kept: Vec<&str> = (0..)
            .zip(&allow.names)
            .filter(|(name, _)| is_used(*name))
            .map(|(_, name)| name.text.as_str())
            .collect();
        for (_, name) in (0..).zip(&allow.names).filter(|(name, _)| !is_used(*name)) {
            let message = format!(
                "this comment allows `{}`, which is not reported here",
                name.text
            );
            let found =
                Diagnostic::new(Code::UnusedAllow, name.span, message).label("this allows nothing");
            out.push(
                match (kept.is_empty(), allow.names.first(), allow.names.last()) {
                    (false, Some(first), Some(last)) => {
                        let list = first.span.to(last.span);
                        found.fix(format!("remove `{}`", name.text), list, kept.join(", "))
                    }
                    _ => found.fix("remove the comment", allow.whole, ""),
                },
            );
        }
    }
    out
}

/// Reports names in a comment that it cannot allow, and corrects misspelt ones. `rules` are those that are known; `is_rule` knows the rules of files that
/// this command does not read; `is_deny` knows the rules that are errors.
pub(super) fn check_names(
    allow: &mut Allow,
    rules: &[&str],
    is_rule: impl Fn(&str) -> bool,
    is_deny: impl Fn(&str) -> bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let known = || {
        let codes = Code::ALL.iter().map(|code| code.as_str());
        codes.chain(rules.iter().copied())
    };
    for name in &mut allow.names {
        let code = Code::parse(&name.text);
        let is_error = match code {
            Some(code) => code.severity() == Severity::Error && code != Code::RuleViolated,
            None => is_deny(&name.text),
        };
        if is_error {
            let message = format!("`{}` is an error, which no comment can allow", name.text);
            diagnostics.push(Diagnostic::new(Code::BadAllow, name.span, message).help(
                "correct the error and remove the comment: only warnings and notes can be allowed",
            ));
            continue;
        }
        if code.is_some() || known().any(|known| known == name.text) || is_rule(&name.text) {
            continue;
        }
        let message = format!(
            "a comment allows `{}`, which is neither a code nor a rule",
            name.text
        );
        let found = Diagnostic::new(Code::BadAllow, name.span, message);
        diagnostics.push(match nearest(&name.text, known()) {
            Some(near) => {
                // It is meant, so that what it allows is not reported as well.
                name.text = SmolStr::from(near);
                found.label(format!("did you mean `{near}`?")).fix(
                    format!("replace it with `{near}`"),
                    name.span,
                    near,
                )
            }
            None => found
                .help("write the code of a warning, such as `no-effect`, or the name of a rule"),
        });
    }
}
