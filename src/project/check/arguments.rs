//! Arguments that Ansible takes as `--extra-vars`: what it would lose of them, and the files that they name.

use crate::ansible::{ArgsProblem, Argument, check_args, parse_vars};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::project::check::Lowering;
use crate::project::hir::*;
use crate::project::roots::{Unread, read_inside};
use crate::schema::{Base, Piece, Text, Value};
use crate::source::{MAX_ARGUMENT, Span, normalize};
use smol_str::SmolStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

impl Lowering<'_, '_> {
    /// Arguments of which Ansible would lose a part, or which it would refuse. In a JSON var file the loss is a
    /// warning: the rest arrives. Image Builder's own have such, which do no harm.
    pub(crate) fn check_args(&mut self, id: VarId, value: &Expr) {
        let variable = &self.variables[id];
        let (Base::Args, ExprKind::Const(Value::String(text))) = (&variable.ty.base, &value.kind)
        else {
            return;
        };
        let (name, is_secret) = (variable.name.clone(), variable.is_secret);
        let known = text.known().filter(|text| text.len() <= MAX_ARGUMENT);
        let problem = known.map_or(Ok(()), |text| check_args(&text));
        match problem {
            Ok(()) => {}
            Err(ArgsProblem::Refused(mismatch)) => {
                let message = format!("`{name}`: {}", mismatch.message(is_secret));
                self.report(Diagnostic::new(Code::TypeMismatch, value.span, message));
            }
            Err(ArgsProblem::Lost(words)) => {
                self.report_lost_words(&name, &words, value.span, is_secret)
            }
        }
    }

    fn report_lost_words(&mut self, name: &str, words: &[String], span: Span, is_secret: bool) {
        let shown: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let (what, verb) = match (is_secret, words) {
            (true, _) => ("a part of the value".to_owned(), "is"),
            (false, [_]) => (shown.join(", "), "is"),
            (false, _) => (shown.join(", "), "are"),
        };
        let help = match words.first().and_then(|word| word.chars().next()) {
            Some('-') => {
                "write only `name=value` pairs: the variable is already the value of `--extra-vars`"
            }
            Some('@') => {
                "name the file in another variable: one variable contains either pairs or one file"
            }
            _ => "put a value with spaces in quotes: `name=\"a b\"`",
        };
        let mut found = Diagnostic::new(
            Code::TypeMismatch,
            span,
            format!("`{name}`: Ansible drops {what}, which {verb} not `name=value`"),
        )
        .help(help);
        if self.is_json(span) {
            found.code = Code::ValueLost;
            found.severity = Severity::Warning;
            self.warn(found);
        } else {
            self.report(found);
        }
    }

    /// True for a text that goes to Packer as it is: of a JSON var file, or of `PACKER_FLAGS`.
    fn is_json(&self, span: Span) -> bool {
        let path = &self.sources.get(span.file).path;
        path.extension().is_some_and(|e| e == "json") || path.ends_with("PACKER_FLAGS")
    }

    /// Ansible reads an argument `@path` as a file: what the project names there is read now, because the
    /// extra-vars file may have to take its place. A path that only the build can resolve stays as it is.
    pub(crate) fn read_args_file(&mut self, id: VarId, value: Expr) -> Expr {
        let is_args = matches!(self.variables[id].ty.base, Base::Args);
        let ExprKind::Const(Value::String(text)) = &value.kind else {
            return value;
        };
        let known = text.known().unwrap_or_default();
        if is_args && known.len() > MAX_ARGUMENT {
            let message = format!("these arguments have more than {} KiB", MAX_ARGUMENT >> 10);
            let found = Diagnostic::new(Code::TooLarge, value.span, message)
                .help("write them to a file, and name the file: `@vars.json`");
            return Expr::missing(self.report(found), value.span);
        }
        let Argument::File(path) = Argument::of(&known) else {
            return value;
        };
        // Ansible resolves `~` and `$NAME` when it runs (`unfrackpath` in `ansible/utils/path.py`).
        let is_of_build =
            path.is_empty() || path.starts_with('~') || path.contains(['$']) || path.contains("{{");
        if !is_args || is_of_build || self.is_library(value.span) {
            return value;
        }
        let span = value.span;
        let (folder, stays) = self.args_folder(span);
        let found = normalize(&folder.join(path));
        let mut roots = self.file.roots.to_vec();
        roots.extend(stays.then_some(folder));
        self.read_vars(path, &found, &roots, span);
        if stays {
            return value;
        }
        let pieces = [
            Piece::Plain("@".into()),
            Piece::Path(SmolStr::new(found.to_string_lossy())),
        ];
        Expr::constant(Value::String(Text::Pieces(pieces.into())), span)
    }

    /// The folder that a relative path starts from, and whether Packer runs there.
    fn args_folder(&self, span: Span) -> (PathBuf, bool) {
        let source = self.sources.get(span.file);
        match &self.packer_folder {
            Some(packer) if self.is_json(span) => (packer.clone(), true),
            _ => (source.folder().to_owned(), false),
        }
    }

    fn read_vars(&mut self, written: &str, path: &Path, roots: &[PathBuf], span: Span) {
        let text = match read_inside(self.loader, path, roots) {
            Ok(text) => text,
            // Not ours to read; Ansible will.
            Err(Unread::Outside(_)) => {
                return match self.loader.look(path) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        self.report_no_vars_file(written, path, span, "the file does not exist");
                    }
                    Err(error) => self.report_no_vars_file(written, path, span, &error.to_string()),
                };
            }
            Err(Unread::Failed(error)) => {
                return self.report_no_vars_file(written, path, span, &error.to_string());
            }
        };
        match parse_vars(&text) {
            Ok(_) => self.add_data(path, text, span),
            // Ansible has the password.
            Err(_) if text.starts_with("$ANSIBLE_VAULT;") => {}
            Err(reason) => self.report_no_vars_file(written, path, span, &reason),
        }
    }

    fn report_no_vars_file(&mut self, written: &str, path: &Path, span: Span, reason: &str) {
        let mut found = Diagnostic::new(
            Code::CannotRead,
            span,
            format!("Ansible cannot read the extra-vars file `{written}`: {reason}"),
        );
        if Path::new(written) != path {
            found = found.label(format!("resolves to {}", path.display()));
        }
        if written.contains(" @") || written.contains('=') {
            found = found.help(
                "write only one path after the `@`: one variable contains either pairs or one file",
            );
        } else if self.is_json(span) && self.packer_folder.is_some() {
            found = found.help("write the path relative to the folder where make runs Packer");
        }
        self.report(found);
    }
}
