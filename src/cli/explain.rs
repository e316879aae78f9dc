//! `imgspec explain`

use crate::cli::select::select;
use crate::cli::{Cli, Failure, Selection, print};
use crate::diagnostic::{Code, nearest, page};
use crate::project::hir::*;
use crate::project::place_in_checkout;
use crate::schema::Receivers;
use clap::Args;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A diagnostic code such as unknown-variable, a variable, or a rule
    #[arg(value_name = "CODE|VARIABLE|RULE")]
    name: String,
}

pub(super) fn run(cli: &Cli, args: &Explain) -> Result<bool, Failure> {
    if let Some(code) = Code::parse(&args.name) {
        print(page(code))?;
        return Ok(true);
    }
    let selected = select(cli, &Selection::default())?;
    let program = &selected.program;
    let slice = |expr: &Expr| program.sources.shown_slice(expr.span).to_owned();
    let mut out = String::new();
    let declared = program
        .variables
        .iter()
        .find(|v| v.name == args.name && v.is_declared());
    if let Some(variable) = declared {
        let _ = writeln!(out, "{} : {}", variable.name, variable.ty);
        if let Some(doc) = &variable.doc {
            let _ = writeln!(out, "\n{doc}");
        }
        out.push('\n');
        let is_for_packer = variable.to.has(Receivers::PACKER);
        if let Some(default) = &variable.default {
            let _ = writeln!(out, "default    {}", slice(default));
            if let ExprKind::Const(value) = &default.kind
                && !program.sources.is_hidden(default.span)
                && is_for_packer
            {
                let _ = writeln!(
                    out,
                    "in Packer  {:?}",
                    crate::cli::show::encoded(value, variable)
                );
            }
        }
        if let Some(real) = variable.alias_of() {
            let _ = writeln!(out, "deprecated name of {}", program.variable(real).name);
        }
        if is_for_packer {
            let _ = writeln!(out, "encoding   {}", variable.encoding.as_str());
        }
        let _ = writeln!(out, "read by    {}", variable.to.names().join(", "));
        if let Some(applies) = &variable.applies {
            let _ = writeln!(out, "applies    if {}", slice(applies));
        }
        for (word, is) in [
            ("a fact", variable.is_fact),
            ("a secret", variable.is_secret),
        ] {
            if is {
                let _ = writeln!(out, "it is      {word}");
            }
        }
        let place = place_in_checkout(program, variable.span);
        let at = program.sources.position(place.file, place.start);
        let _ = writeln!(
            out,
            "declared   {}:{}",
            program.sources.name(place.file),
            at.line
        );
        print(&out)?;
        return Ok(true);
    }
    if let Some(rule) = program.rules.iter().find(|r| r.name == args.name) {
        let word = if rule.is_deny { "deny" } else { "warn" };
        let _ = writeln!(out, "rule {}\n", rule.name);
        let _ = writeln!(out, "{word} = {}", slice(&rule.condition));
        let _ = writeln!(out, "message = {}", slice(&rule.message));
        if let Some(help) = &rule.help {
            let _ = writeln!(out, "help = {}", slice(help));
        }
        print(&out)?;
        return Ok(true);
    }
    let names = Code::ALL
        .iter()
        .map(|c| c.as_str())
        .chain(program.variables.iter().map(|v| v.name.as_str()))
        .chain(program.rules.iter().map(|r| r.name.as_str()));
    let hint = nearest(&args.name, names)
        .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Err(Failure(format!(
        "unknown code, variable or rule `{}`{hint}",
        args.name
    )))
}
