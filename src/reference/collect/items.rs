//! Targets, layers, providers, rules, probes and types of the reference.

use super::*;

impl<'p> Collector<'p> {
    pub(super) fn target_groups(&self) -> Vec<page::Targets> {
        let mut groups: Vec<page::Targets> = Vec::new();
        for (at, image) in self.targets.iter().enumerate() {
            let provider = &self.program.provider(image.provider).name;
            let target = self.target(at, image);
            match groups.iter_mut().find(|group| group.provider == *provider) {
                Some(group) => group.targets.push(target),
                None => groups.push(page::Targets {
                    provider: provider.to_string(),
                    targets: vec![target],
                }),
            }
        }
        groups.sort_by(|a, b| a.provider.cmp(&b.provider));
        groups
    }

    pub(super) fn target(&self, at: usize, image: &Image<'_>) -> page::Target {
        let program = self.program;
        let section = program.section(image.section);
        let mut stack = Vec::new();
        let mut settings = Vec::new();
        let mut add = |of: String, found: Vec<page::Setting>| {
            if !found.is_empty() {
                settings.push(page::Settings {
                    of,
                    settings: found,
                });
            }
        };
        for place in image.stack.places() {
            match image.stack.layer(place) {
                Some(StackLayer::Provider(id)) => stack.push(Link {
                    kind: Kind::Provider,
                    name: program.provider(id).name.to_string(),
                }),
                Some(StackLayer::Section(id)) => {
                    let layer = program.section(id);
                    if id != image.section {
                        stack.push(self.link(id));
                    }
                    if id == image.section || self.is_private(id) {
                        add(
                            layer.name.to_string(),
                            self.settings(Some(layer), &layer.settings),
                        );
                    }
                }
                Some(StackLayer::TargetVars(id)) => {
                    let target = program.section(id).target.as_ref();
                    let vars = target.map_or(&[][..], |target| &target.vars);
                    add(
                        "the target's own arguments".to_owned(),
                        self.settings(None, vars),
                    );
                }
                None => {}
            }
        }
        let own = section.target.as_ref();
        let facts = self
            .describer
            .targets
            .get(at)
            .map_or(&[][..], |target| &target.facts);
        let names = self.describer.facts.iter().map(|(_, name)| name);
        page::Target {
            name: section.name.to_string(),
            doc: section.doc.clone(),
            is_own: self.is_own(section.span.file),
            make: own
                .and_then(|target| target.make.as_ref())
                .map(SmolStr::to_string),
            tools: self.tools(image.provider),
            facts: names
                .zip(facts)
                .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                .collect(),
            stack,
            needs: self.names(self.found.missing.get(at).into_iter().flatten().copied()),
            settings,
            place: self.place(section.span),
        }
    }

    pub(super) fn tools(&self, provider: ProviderId) -> Vec<String> {
        self.program
            .provider(provider)
            .tools
            .iter()
            .map(SmolStr::to_string)
            .collect()
    }

    pub(super) fn layers(&self) -> Vec<page::Layer> {
        let program = self.program;
        let is_layer = |id: &SectionId| {
            let kind = program.section(*id).kind;
            matches!(kind, LayerKind::Layer | LayerKind::Json) && !self.is_private(*id)
        };
        let mut out: Vec<page::Layer> = program
            .sections
            .ids()
            .filter(is_layer)
            .map(|id| {
                let section = program.section(id);
                let users = self.found.users.get(&id);
                let names = users
                    .into_iter()
                    .flatten()
                    .filter_map(|at| self.targets.get(*at));
                page::Layer {
                    name: section.name.to_string(),
                    doc: section.doc.clone(),
                    extends: section
                        .extends
                        .iter()
                        .map(|(id, _)| self.link(*id))
                        .collect(),
                    settings: self.settings(Some(section), &section.settings),
                    used_by: names.map(|image| image.name().to_owned()).collect(),
                    place: self.place(section.span),
                }
            })
            .collect();
        out.sort_by(|a, b| a.name.cmp(&b.name));
        out
    }

    // ---- providers, rules, probes, types --------------------------------------------------------------

    pub(super) fn provider(&self, id: ProviderId, provider: &Provider) -> page::Provider {
        page::Provider {
            name: provider.name.to_string(),
            doc: provider.doc.clone(),
            template: provider.template.to_string(),
            playbook: provider.playbook.as_str(),
            roles: match provider.roles {
                Roles::Native => "native",
                Roles::Upstream => "upstream",
            },
            tools: self.tools(id),
            artifact: provider.artifact.as_ref().map(SmolStr::to_string),
            defaults: self.settings(None, &provider.defaults),
            targets: self
                .targets
                .iter()
                .filter(|image| image.provider == id)
                .count(),
            place: self.place(provider.span),
        }
    }

    /// The rules that can be checked: a standard rule about variables that another library lacks cannot.
    pub(super) fn sound_rules(&self) -> impl Iterator<Item = &'p Rule> {
        let all = self.program.rules.iter();
        all.filter(|rule| rule.is_checked())
    }

    pub(super) fn rule(&self, rule: &Rule) -> page::Rule {
        let mut reads = Vec::new();
        rule.condition.for_each_variable(&mut |id| reads.push(id));
        page::Rule {
            name: rule.name.to_string(),
            doc: self.docs.get(&rule.span).cloned(),
            is_deny: rule.is_deny,
            condition: self.text(rule.condition.span),
            message: self.text(rule.message.span),
            help: rule.help.as_ref().map(|help| self.text(help.span)),
            reads: self.names(reads),
            place: self.place(rule.span),
        }
    }

    /// The probes that can be run: a standard probe of variables that another library lacks cannot.
    pub(super) fn sound_probes(&self) -> impl Iterator<Item = &'p Probe> {
        let all = self.program.probes.iter();
        all.filter(|probe| probe.is_checked())
    }

    pub(super) fn probe(&self, probe: &Probe) -> page::Probe {
        let mut reads = Vec::new();
        probe.for_each_variable(&mut |id| reads.push(id));
        let text = |part: &Option<Expr>| part.as_ref().map(|part| self.text(part.span));
        page::Probe {
            name: probe.name.to_string(),
            doc: probe.doc.clone(),
            applies: text(&probe.applies),
            // A script without arguments has its own place.
            words: match &probe.script {
                Some(script) if script.span == probe.words.span => None,
                _ => Some(self.text(probe.words.span)),
            },
            script: text(&probe.script),
            files: text(&probe.files),
            tools: probe.tools.iter().map(SmolStr::to_string).collect(),
            output: text(&probe.output),
            boots: probe.boots,
            reads: self.names(reads),
            place: self.place(probe.span),
        }
    }

    pub(super) fn named_types(&self) -> Vec<(SmolStr, Type, Span)> {
        let own = self.program.views.values().map(|view| &view.names);
        let all = std::iter::once(&self.program.library).chain(own);
        let all = all.flat_map(|names| &names.types);
        let mut out: Vec<_> = all
            .map(|(name, (ty, span))| (name.clone(), ty.clone(), *span))
            .collect();
        out.sort_by(|a, b| (&a.0, a.2).cmp(&(&b.0, b.2)));
        out.dedup_by_key(|(_, _, span)| *span);
        out
    }

    pub(super) fn types(&self) -> Vec<page::NamedType> {
        let types = self.named_types().into_iter();
        let shown = types.map(|(name, ty, span)| {
            let uses = |variable: &&Variable| variable.is_declared() && is_of(&variable.ty, &ty);
            let used_by = self.program.variables.iter().filter(uses);
            page::NamedType {
                doc: self.docs.get(&span).cloned(),
                pattern: match &ty.base {
                    Base::Refined(refinement) => Some(refinement.pattern.to_string()),
                    _ => None,
                },
                choices: match &ty.base {
                    Base::OneOf(choices) => choices.iter().map(SmolStr::to_string).collect(),
                    _ => Vec::new(),
                },
                used_by: used_by.map(|variable| variable.name.to_string()).collect(),
                place: self.place(span),
                name: name.to_string(),
            }
        });
        shown.collect()
    }
}
