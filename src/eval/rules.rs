//! Rules: conditions that no image may meet.

use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::eval::Image;
use crate::eval::interpret::{Finished, Interpret};
use crate::project::hir::*;
use crate::schema::Value;

impl<'p> Image<'p> {
    /// Returns the waivers, by their places in [`Program::waivers`], because of which rules that the image breaks are not
    /// reported.
    pub fn waived(&self) -> Vec<usize> {
        self.waived.borrow().clone()
    }

    /// Reports the rules whose condition is true. Over an unset or opaque value a rule is silent, and so it is over
    /// what a checkout itself sets, which the project cannot change.
    pub(super) fn check_rules(&self, out: &mut Vec<Diagnostic>) {
        let program = self.program;
        for id in program.rules_for(program.section(self.section).span.file) {
            let rule = &program.rules[id];
            if !self.breaks(rule) {
                continue;
            }
            let waivers = program.find_waivers(id, self.section);
            let in_force = waivers.iter().filter(|(_, waiver)| !waiver.is_expired);
            let in_force: Vec<usize> = in_force.map(|(at, _)| *at).collect();
            if in_force.is_empty() {
                let mut found = self.report_rule(id, rule);
                for (_, waiver) in waivers {
                    found = found.related(waiver.whole, "this waiver has ended");
                }
                out.push(found);
            }
            self.waived.borrow_mut().extend(in_force);
        }
    }

    /// True where the image breaks a rule.
    pub(super) fn breaks(&self, rule: &'p Rule) -> bool {
        let answer = Finished(self).eval(&rule.condition);
        matches!(answer, Ok(Some(Value::Bool(true)))) && self.concerns_users(rule)
    }

    fn concerns_users(&self, rule: &Rule) -> bool {
        let mut has_users = !self.program.is_upstream;
        rule.condition
            .for_each_variable(&mut |id| has_users = has_users || self.depends_on_users(id));
        has_users
    }

    fn report_rule(&self, id: RuleId, rule: &'p Rule) -> Diagnostic {
        let mut read: Vec<VarId> = Vec::new();
        rule.condition.for_each_variable(&mut |id| {
            if !read.contains(&id) {
                read.push(id);
            }
        });
        // What the project sets comes first, since that is what the user can change.
        let mut places: Vec<_> = read
            .into_iter()
            .filter_map(|id| Some((self.program.variable(id), self.winner(id)?)))
            .collect();
        let is_users =
            |a: &crate::eval::Active<'_>| self.program.sources.is_users(a.setting.span.file);
        places.sort_by_key(|(_, active)| (!is_users(active), std::cmp::Reverse(active.layer)));
        let message = self
            .eval_text(&rule.message)
            .unwrap_or_else(|| format!("this image breaks the rule `{}`", rule.name));
        let help = rule.help.as_ref().and_then(|help| self.eval_text(help));
        let mut places = places.into_iter();
        let image = self.program.section(self.section);
        let mut found = match places.next() {
            Some((variable, active)) => {
                Diagnostic::new(Code::RuleViolated, active.setting.span, message)
                    .label(format!("`{}` is set here", variable.name))
            }
            None => Diagnostic::new(Code::RuleViolated, image.span, message)
                .label("this image breaks the rule"),
        };
        for (variable, active) in places {
            found = found.related(
                active.setting.span,
                format!("`{}` is set here", variable.name),
            );
        }
        found.severity = if rule.is_deny {
            Severity::Error
        } else {
            Severity::Warning
        };
        found.help = help;
        found.rule = Some(rule.name.to_string());
        found.is_pinned = self.program.policies.pins(id);
        found
    }
}
