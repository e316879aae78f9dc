//! What is wrong with what an image sets, as far as its target's readers show it.

use crate::diagnostic::{Code, Diagnostic};
use crate::emit::route::{Slot, carry_all};
use crate::emit::{Delivery, Effect};
use crate::eval::Active;
use crate::packer;
use crate::project::StackLayer;
use crate::project::hir::*;
use crate::schema::{Base, Receivers, Roles, Value};
use crate::source::Origin;
use smol_str::SmolStr;
use std::collections::BTreeSet;

impl Delivery<'_, '_> {
    /// Reports what the target needs and nothing sets, and what is set and nothing reads. Returns the names that a
    /// checkout's strings mention and nothing declares.
    pub(super) fn check_readers(
        &self,
        ids: &[VarId],
        out: &mut Vec<Diagnostic>,
    ) -> BTreeSet<SmolStr> {
        let program = self.image.program;
        let mut undeclared = BTreeSet::new();
        for id in ids.iter().copied() {
            let variable = program.variable(id);
            if variable.is_declared() && variable.alias_of().is_none() {
                self.check_required(id, out);
                self.check_effect(id, out);
            } else if variable.extra() == Some(Owner::Ansible) {
                self.check_effect(id, out);
            }
            self.check_quotes(id, out);
            self.check_carried(id, out);
            if self.serves_upstream() {
                self.check_references(id, &mut undeclared, out);
            }
        }
        undeclared
    }

    /// In a checkout a text may name what nothing on this target declares. By chance Packer takes that for empty:
    /// it does while another variable's value names one, and else interpolates nothing at all ("Failed to
    /// interpolate", kubernetes-sigs/image-builder#615; `core.go`, `renderVarsRecursively`). Our file, in which no
    /// value names another, would be such a case, so it defines these as empty.
    fn check_references(
        &self,
        id: VarId,
        undeclared: &mut BTreeSet<SmolStr>,
        out: &mut Vec<Diagnostic>,
    ) {
        let program = self.image.program;
        let variable = program.variable(id);
        if self.image.settings(id).is_empty() || !variable.to.has(Receivers::PACKER) {
            return;
        }
        let file = Some(program.section(self.image.section).span.file);
        let mut named = match self.image.value(id) {
            Some(Value::String(text)) if matches!(variable.ty.base, Base::Args) => {
                let text = text.known().unwrap_or_default().into_owned();
                packer::named(&text)
                    .iter()
                    .filter_map(|name| program.find_variable(file, name))
                    .collect()
            }
            Some(_) => return,
            None => self.image.dependencies(id),
        };
        let readers = &self.provider().readers;
        named.retain(|id| {
            let is_known = self.image.value(*id).is_some() || self.image.is_broken(*id);
            !is_known
                && self.image.settings(*id).is_empty()
                && !readers.demands(&program.variable(*id).name)
        });
        let place = self.place(id);
        let is_default = self.image.winner(id).is_some_and(|a| {
            matches!(
                self.image.stack.layer(a.layer),
                Some(StackLayer::Provider(_))
            )
        });
        if is_default && !named.is_empty() && self.image.value(id).is_none() {
            // A template's default that cannot be interpolated is no value at all.
            undeclared.insert(variable.name.clone());
        }
        for missing in named {
            let missing = &program.variable(missing).name;
            if !program.sources.is_users(place.file) {
                undeclared.insert(missing.clone());
                continue;
            }
            let target = &program.section(self.image.stack.target).name;
            let message = format!("nothing on the target `{target}` declares `{missing}`");
            let found = Diagnostic::new(Code::UnknownReference, place, message)
                .on_target(target.as_str())
                .label(format!("`{}` refers to it here", variable.name))
                .help(format!(
                    "set `{missing}`; without it Packer stops with \"Failed to interpolate\""
                ));
            out.push(found);
        }
    }

    /// What the library would derive from a value that only the build knows must be set, too, where the target reads it.
    pub(super) fn check_underived(&self, out: &mut Vec<Diagnostic>) {
        let program = self.image.program;
        let mut by_cause: Vec<(VarId, Vec<VarId>)> = Vec::new();
        for id in self.image.underived.clone() {
            if !self.reach.reads(id) || !self.image.applies(id) {
                continue;
            }
            let mut open = self.image.dependencies(id);
            let mut seen: Vec<VarId> = Vec::new();
            while let Some(part) = open.pop() {
                if seen.contains(&part) {
                    continue;
                }
                seen.push(part);
                open.extend(self.image.dependencies(part));
            }
            let is_open = |id: &&VarId| {
                self.image.is_set_by_users(**id)
                    && self.image.value(**id).is_some_and(Value::has_placeholders)
            };
            let cause = seen.iter().find(is_open).copied().unwrap_or(id);
            match by_cause.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, derived)) => derived.push(id),
                None => by_cause.push((cause, vec![id])),
            }
        }
        for (cause, derived) in by_cause {
            let names: Vec<String> = derived
                .iter()
                .map(|id| format!("`{}`", program.variable(*id).name))
                .collect();
            let (names, verb) = (
                names.join(" and "),
                if names.len() == 1 {
                    "depends"
                } else {
                    "depend"
                },
            );
            let name = &program.variable(cause).name;
            out.push(
                Diagnostic::new(
                    Code::OpaqueValue,
                    self.place(cause),
                    format!("`{name}` is known only during the build, but {names} {verb} on it"),
                )
                .label("imgspec cannot compute anything from this value")
                .help(format!(
                    "set {names} too, or write the value of `{name}` in the spec"
                )),
            );
        }
    }

    /// True where the target needs a value for a variable, and nothing sets one.
    pub(super) fn lacks(&self, id: VarId) -> bool {
        if self.image.value(id).is_some() {
            return false;
        }
        let variable = self.image.program.variable(id);
        let readers = &self.provider().readers;
        // Packer requires a variable for which the template has no default, whatever its type.
        let is_demanded = readers.demands(&variable.name);
        (!variable.ty.optional || is_demanded)
            && variable.default.is_none()
            && !self.image.is_broken(id)
            && (self.reach.reads(id) || is_demanded)
            && readers.default_of(&variable.name).is_none()
    }

    fn check_required(&self, id: VarId, out: &mut Vec<Diagnostic>) {
        if !self.lacks(id) {
            return;
        }
        let program = self.image.program;
        let variable = program.variable(id);
        let image = program.section(self.image.section);
        let target = &program.section(self.image.stack.target).name;
        let mut found = Diagnostic::new(
            Code::Required,
            image.span,
            format!(
                "the target `{target}` requires `{}`, but nothing sets it",
                variable.name
            ),
        )
        .on_target(target.as_str())
        .label("in this image")
        .help(format!(
            "set `{} = …` ({}) in this image or in one of its layers",
            variable.name,
            variable.ty.in_words()
        ));
        if let Some(active) = self.image.winner(id) {
            found = found.related(
                active.setting.value.span,
                "this value is unset because it depends on an unset variable",
            );
        }
        out.push(found);
    }

    fn check_effect(&self, id: VarId, out: &mut Vec<Diagnostic>) {
        let program = self.image.program;
        let variable = program.variable(id);
        // Who reads what is not known where the template is not, or where no builder runs; that has been reported.
        let is_unknown = self.provider().readers.is_missing || self.route.idle.is_some();
        // A rehearsal with another provider: the setting is for the target's own.
        let own = program
            .section(self.image.stack.target)
            .target
            .as_ref()
            .map(|target| target.provider);
        let is_rehearsal = own.is_some_and(|own| own != self.image.provider);
        if is_unknown || is_rehearsal || !self.image.is_set_by_users(id) {
            return;
        }
        let is_users = |a: &Active<'_>| {
            matches!(
                self.image.stack.layer(a.layer),
                Some(StackLayer::Section(_))
            ) && program.sources.is_users(a.setting.span.file)
        };
        let Some(active) = self.image.winner(id).filter(is_users) else {
            return;
        };
        // A value that would be so anyway does no harm.
        if self.image.default_value(id).as_ref() == self.image.value(id) {
            return;
        }
        let target = &program.section(self.image.stack.target).name;
        let reason = match self.reach.effect(self.image, id) {
            Effect::Some => return,
            Effect::DoesNotApply => {
                let condition = variable
                    .applies
                    .as_ref()
                    .map_or("", |a| program.sources.slice(a.span));
                format!("it applies only if {condition}")
            }
            Effect::NotRead => {
                let provider = self.provider();
                let is_for_packer =
                    variable.to.has(Receivers::PACKER) && variable.extra() != Some(Owner::Ansible);
                match (is_for_packer, self.route.has_playbook) {
                    (true, true) => format!(
                        "neither the template {} nor the {} playbook reads it",
                        provider.template,
                        provider.playbook.as_str()
                    ),
                    (true, false) => {
                        format!(
                            "the template {} does not read it, and no playbook runs",
                            provider.template
                        )
                    }
                    (false, true) => format!(
                        "the {} playbook does not read it",
                        provider.playbook.as_str()
                    ),
                    (false, false) => "this target runs no playbook".to_owned(),
                }
            }
        };
        let near = self.near_in_effect(&variable.name);
        out.push(
            Diagnostic::new(
                Code::NoEffect,
                active.setting.name_span,
                format!("`{}` has no effect on `{target}`", variable.name),
            )
            .on_target(target.as_str())
            .label(reason)
            .help(self.help_for_effect(id, active, near)),
        );
    }

    /// What to do about a setting without effect, which depends on where it is and on its variable.
    fn help_for_effect(&self, id: VarId, active: Active<'_>, near: Option<String>) -> String {
        let program = self.image.program;
        let variable = program.variable(id);
        let (setting, declaration) = (active.setting.span.file, variable.span.file);
        let is_own =
            variable.is_declared() && program.sources.origin(declaration) == Origin::Project;
        let playbook = self.provider().playbook.as_str();
        let receiver = if playbook == "windows" {
            Receivers::WINDOWS
        } else {
            Receivers::LINUX
        };
        if is_own
            && variable.applies.is_none()
            && self.route.has_playbook
            && !variable.to.has(receiver)
        {
            return format!(
                "if your roles read it, declare it with `to = [{playbook}]`; otherwise remove it"
            );
        }
        match program.sources.origin(setting) {
            Origin::Argument => "remove the argument".to_owned(),
            _ if program
                .sources
                .get(setting)
                .path
                .extension()
                .is_none_or(|e| e != "imgspec") =>
            {
                "remove it from the file".to_owned()
            }
            _ => match near {
                Some(near) => format!("did you mean `{near}`? It has an effect on this target"),
                None => "remove it, or put it in a `when` block for the images that it applies to"
                    .to_owned(),
            },
        }
    }

    /// The variable of that name in the singular or plural that has an effect on the target.
    fn near_in_effect(&self, name: &str) -> Option<String> {
        let program = self.image.program;
        let all = (0..program.variables.len() as u32).map(VarId);
        let is_plural = |a: &str, b: &str| a.strip_suffix('s') == Some(b);
        let mut near = all.filter(|id| {
            let other = program.variable(*id).name.as_str();
            is_plural(other, name) || is_plural(name, other)
        });
        let id = near.find(|id| self.image.applies(*id) && self.reach.reads(*id))?;
        Some(program.variable(id).name.to_string())
    }

    /// What a slot makes of a JSON value where make passes it as it is. What is compiled is quoted as the slot needs.
    fn check_carried(&self, id: VarId, out: &mut Vec<Diagnostic>) {
        let program = self.image.program;
        let Some(active) = self.image.winner(id).filter(|a| !a.setting.had_quotes) else {
            return;
        };
        if !self.image.applies(id) {
            return;
        }
        let (span, variable) = (active.setting.value.span, program.variable(id));
        let Some(raw) = self.raw_text(active).filter(|_| !variable.is_secret) else {
            return;
        };
        let Some(value) = self
            .image
            .value(id)
            .filter(|value| !value.has_placeholders() && !raw.contains("{{"))
        else {
            return;
        };
        let meant = crate::emit::packer_string(&crate::schema::encode(value, variable.encoding));
        // Another separator than the list's has been reported.
        if variable.encoding == crate::schema::Encoding::Commas
            && meant.contains(char::is_whitespace)
        {
            return;
        }
        let Some(slot) = self.raw_slots(id).into_iter().find(|slot| {
            let arrived = slot.deliver(&raw);
            let is_whole = [raw.as_str(), meant.as_str()]
                .map(Some)
                .contains(&arrived.as_deref());
            !is_whole && !slot.is_made_for(&raw)
        }) else {
            return;
        };
        let message = match slot.deliver(&raw) {
            Some(arrived) => {
                let spelled = |c: char| {
                    if c.is_control() {
                        c.escape_default().to_string()
                    } else {
                        c.into()
                    }
                };
                let shown: String = arrived.chars().map(spelled).collect();
                format!("Ansible would get `{shown}` for `{}`", variable.name)
            }
            None => format!("Ansible would fail on the value of `{}`", variable.name),
        };
        let label = match slot.quote {
            Some(quote) => format!("the template passes it in {quote} quotes"),
            None => "the template passes it without quotes, so a space ends it".to_owned(),
        };
        let found = Diagnostic::new(Code::ValueLost, span, message).label(label);
        let written = carry_all(
            &meant,
            std::slice::from_ref(&slot),
            !self.reach.reads_beyond_slots(id),
        );
        out.push(
            match written.map(|text| serde_json::Value::from(text).to_string()) {
                Ok(json) => found.fix(format!("write {json}"), span, json),
                Err(_) => {
                    found.help("set it in a spec, which passes it through the extra-vars file")
                }
            },
        );
    }

    /// The string of a setting that Packer gets as it is: of a JSON var file, or of `PACKER_FLAGS`.
    fn raw_text(&self, active: Active<'_>) -> Option<String> {
        let program = self.image.program;
        let Some(StackLayer::Section(layer)) = self.image.stack.layer(active.layer) else {
            return None;
        };
        let is_raw =
            program.section(layer).kind == LayerKind::Json || program.flags.contains(&layer);
        if !is_raw {
            return None;
        }
        raw_string(program.sources.slice(active.setting.value.span))
    }

    /// True where the string of a var file has the quotes and escapes that its slots need.
    pub(super) fn is_made_for_slots(&self, id: VarId, text: &str) -> bool {
        let raw = self
            .image
            .winner(id)
            .and_then(|active| self.raw_text(active));
        raw.as_deref() == Some(text) && self.slots_of(id).iter().all(|slot| slot.is_made_for(text))
    }

    /// The slots that make would hand a variable's string to. Our own templates have none: there a list with commas
    /// is passed as in Image Builder, whose slots for such lists have no quotes.
    fn raw_slots(&self, id: VarId) -> Vec<Slot> {
        let variable = self.image.program.variable(id);
        let is_ours = self.roles() == Roles::Native
            && variable.to.has(self.receiver())
            && variable.to.has(Receivers::PACKER);
        if is_ours && variable.encoding == crate::schema::Encoding::Commas {
            return vec![Slot {
                name: variable.name.clone(),
                variable: id,
                quote: None,
            }];
        }
        self.slots_of(id).to_vec()
    }

    /// Quotes that a JSON value carries for a slot that has its own.
    fn check_quotes(&self, id: VarId, out: &mut Vec<Diagnostic>) {
        let Some(active) = self.image.winner(id).filter(|a| a.setting.had_quotes) else {
            return;
        };
        let variable = self.image.program.variable(id);
        let real = variable.alias_of().unwrap_or(id);
        // If the setting of the real name wins, it is reported there.
        let of_real = self.image.winner(real).filter(|_| real != id);
        if of_real.is_some_and(|other| std::ptr::eq(other.setting, active.setting)) {
            return;
        }
        let mut slots = self
            .route
            .slots
            .iter()
            .filter(|s| [id, real].contains(&s.variable))
            .peekable();
        if slots.peek().is_some() && slots.all(|s| s.quote.is_none()) {
            return;
        }
        let span = active.setting.value.span;
        let own = match &active.setting.value.kind {
            ExprKind::Const(value) => Some(value),
            _ => None,
        };
        // Its own string, not what other settings make of it; a template stays.
        let written = match (own, raw_string(self.image.program.sources.slice(span))) {
            (Some(value), _) => {
                crate::emit::packer_string(&crate::schema::encode(value, variable.encoding))
            }
            (None, Some(raw)) => raw.trim_matches('"').to_owned(),
            (None, None) => return,
        };
        let json = serde_json::Value::from(written).to_string();
        let what = match own {
            Some(Value::List(elements)) if elements.len() > 1 => {
                let lost: Vec<String> = elements
                    .iter()
                    .skip(1)
                    .filter_map(|e| match e {
                        Value::String(text) => Some(format!("`{}`", text.known()?)),
                        _ => None,
                    })
                    .collect();
                format!("{} would be lost silently", lost.join(", "))
            }
            _ => "everything after the first space would be lost silently".to_owned(),
        };
        let found = Diagnostic::new(
            Code::LegacyQuotes,
            span,
            format!("the string of `{}` contains quotes", variable.name),
        )
        .label(format!(
            "Image Builder's template adds quotes itself: {what}"
        ));
        let found = if variable.is_secret {
            found.help("remove the quotes; imgspec reads the value without them")
        } else {
            found
                .help(format!("write {json}; imgspec reads it like that"))
                .fix(format!("write {json}"), span, json)
        };
        out.push(found);
    }

    /// Says where the extra-vars file goes another way than usual.
    pub(super) fn check_route(&self, out: &mut Vec<Diagnostic>) {
        if !self.route.is_other {
            return;
        }
        let (Some(file), image) = (self.route.file, &self.image) else {
            return;
        };
        let program = image.program;
        let span = program.section(image.section).span;
        let name = &program.variable(file).name;
        out.push(
            Diagnostic::new(Code::OtherRoute, span, format!("`{name}` passes the extra-vars file, because the target sets the argument after it"))
                .label("in this image"),
        );
    }

    /// Says which run of Packer would build nothing: Packer itself ends with success then.
    pub(super) fn check_builders(&self, out: &mut Vec<Diagnostic>) {
        let Some((at, builders)) = self.route.idle.clone() else {
            return;
        };
        let Some(run) = self.image.runs().get(at) else {
            return;
        };
        let program = self.image.program;
        let file = Some(program.section(self.image.section).span.file);
        // If a setting of the project renamed a builder, the diagnostic points at that setting.
        let names = self
            .provider()
            .readers
            .builder_names()
            .flat_map(packer::named);
        let renamed = names
            .filter_map(|name| program.find_variable(file, &name))
            .find(|id| self.image.is_set_by_users(*id));
        let span = renamed.map_or(program.section(self.image.section).span, |id| {
            self.place(id)
        });
        let quote = |names: &[SmolStr]| {
            names
                .iter()
                .map(|n| format!("`{n}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let selected = if run.selection.only.is_empty() {
            format!("-except={}", quote(&run.selection.except))
        } else {
            format!("-only={}", quote(&run.selection.only))
        };
        let target = &program.section(self.image.stack.target).name;
        let builders: Vec<SmolStr> = builders.into_iter().map(SmolStr::from).collect();
        let found = Diagnostic::new(
            Code::NoBuilder,
            span,
            format!("Packer would build nothing: the target `{target}` runs it with {selected}"),
        )
        .on_target(target.as_str())
        .label(format!(
            "the template has the builders {}",
            quote(&builders)
        ));
        out.push(match renamed {
            Some(id) => {
                let name = &program.variable(id).name;
                found.help(format!(
                    "the names of the builders depend on `{name}`; remove this setting"
                ))
            }
            None => found
                .help("correct `only` or `except` in the target, or the builders in the template"),
        });
    }
}

/// The string at a place of a JSON file, or after `name=` in an argument.
fn raw_string(source: &str) -> Option<String> {
    if source.starts_with('"') {
        serde_json::from_str(source).ok()
    } else {
        (source != "null").then(|| source.to_owned())
    }
}
