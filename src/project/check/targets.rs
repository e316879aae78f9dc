//! `target` blocks, providers, rules and probes.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::packer::{LazyTemplate, Template, named};
use crate::project::check::Lowering;
use crate::project::check::attributes::{OF_PROBES, OF_PROVIDERS, OF_RULES, OF_RUNS, OF_TARGETS};
use crate::project::check::expr::Expected;
use crate::project::check::fixes::Spelling;
use crate::project::check::items::{new_probe, new_provider, new_rule};
use crate::project::check::sections::{Block, Body, Within};
use crate::project::hir::*;
use crate::project::hir::{PROVIDERS, SECTIONS};
use crate::project::roots::read_inside;
use crate::schema::{Base, Playbook, Roles, Type, Value};
use crate::source::{Origin, Span, embedded, normalize};
use crate::syntax::ast;
use smol_str::SmolStr;

impl Lowering<'_, '_> {
    pub(crate) fn lower_target(
        &mut self,
        stmts: &[ast::Stmt],
        span: Span,
        name: &ast::Ident,
        body: &mut Body,
    ) {
        if let Some(first) = &body.target {
            self.report(
                Diagnostic::new(
                    Code::TwoTargets,
                    name.span,
                    "an image can have only one target",
                )
                .related(first.span, "the first target is here"),
            );
            return;
        }
        let mut provider = None;
        let mut target = Target {
            span: name.span,
            provider: ProviderId(0),
            runs: Vec::new(),
            above: Vec::new(),
            vars: Vec::new(),
            make: None,
            refused: None,
        };
        let mut single = Run::default();
        for stmt in stmts {
            if let ast::Stmt::Block { name, body, .. } = stmt
                && name.text == "run"
            {
                let mut run = Run::default();
                for set in self.attributes(body, "a run", &[]) {
                    if !self.lower_run(set, &mut run) {
                        self.report_unknown_attribute(&set.name, "attribute of a run", &OF_RUNS);
                    }
                }
                target.runs.push(run);
            }
        }
        for set in self.attributes(stmts, "a target", &["run"]) {
            match set.name.text.as_str() {
                "provider" => {
                    if let Some(word) = self.word(set) {
                        provider = self.find_provider(&word);
                    }
                }
                "make" => target.make = self.constant_text(set),
                "refused" => target.refused = self.constant_text(set),
                "above" => target.above = self.sections_named(&set.value),
                _ if self.lower_run(set, &mut single) => {}
                _ => self.report_unknown_attribute(&set.name, "attribute of a target", &OF_TARGETS),
            }
        }
        if target.refused.is_some() {
            body.target = Some(target);
            return;
        }
        let Some(provider) = provider else {
            let named = stmts
                .iter()
                .any(|s| matches!(s, ast::Stmt::Set(set) if set.name.text == "provider"));
            if !named {
                self.report(
                    Diagnostic::new(Code::Required, span, "the target has no provider")
                        .help("write `target { provider = NAME }`"),
                );
            }
            return;
        };
        target.provider = provider;
        target.vars = std::mem::take(&mut single.vars);
        if target.runs.is_empty() {
            target.runs.push(single);
        }
        body.target = Some(target);
    }

    fn sections_named(&mut self, value: &ast::Expr) -> Vec<(SectionId, Span)> {
        let mut out = Vec::new();
        for name in self.words(value) {
            match self.view().find(SECTIONS, &name.text) {
                Some((id, _)) => out.push((*id, name.span)),
                None => self.report_unknown_section(&name),
            }
        }
        out
    }

    pub(crate) fn find_provider(&mut self, word: &ast::Ident) -> Option<ProviderId> {
        if let Some((id, _)) = self.view().find(PROVIDERS, &word.text) {
            return Some(*id);
        }
        let names: Vec<SmolStr> = self.view().all(PROVIDERS).map(SmolStr::new).collect();
        let mut found = Diagnostic::new(
            Code::UnknownName,
            word.span,
            format!("unknown provider `{}`", word.text),
        );
        found = match nearest(&word.text, names.iter().map(SmolStr::as_str)) {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("replace it with `{near}`"),
                word.span,
                near,
            ),
            None => {
                let mut names = names;
                names.sort();
                found.help(format!("choose from {}", names.join(", ")))
            }
        };
        self.report(found);
        None
    }

    pub(crate) fn lower_run(&mut self, set: &ast::Set, run: &mut Run) -> bool {
        match set.name.text.as_str() {
            "only" => run.selection.only = self.constant_texts(&set.value),
            "except" => run.selection.except = self.constant_texts(&set.value),
            "vars" => run.vars = self.lower_vars(&set.value),
            _ => return false,
        }
        true
    }

    /// `vars = { name = value }`: what the target passes to Packer as `-var`.
    pub(crate) fn lower_vars(&mut self, value: &ast::Expr) -> Vec<Setting> {
        let ast::ExprKind::Map(pairs) = &value.kind else {
            self.report(
                Diagnostic::new(Code::TypeMismatch, value.span, "`vars` must be a map")
                    .help("write `vars = { name = value }`"),
            );
            return Vec::new();
        };
        let mut settings = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let Some(id) = self.find_set(name, Some(value), Block::Section) else {
                if self.is_nearly_secret(&name.text) {
                    self.hide_literals(value);
                }
                continue;
            };
            let value = self.lower_value(value, id);
            if !self.check_secret_argument(id, &value) {
                self.check_secret(id, &value, Spelling::Spec);
            }
            settings.push(Setting::replace(id, name.span, value));
        }
        settings
    }

    pub(crate) fn lower_provider(&mut self, section: &ast::Section, id: ProviderId) {
        let mut provider = new_provider(&section.name, section.doc.clone());
        self.check_extends_nothing(section, "a provider");
        let (mut reads, mut extra_vars, mut template_span) = (None, None, None);
        let mut upstream = None;
        let mut first_defaults = None;
        for stmt in &section.body {
            if let ast::Stmt::Block { name, body, .. } = stmt
                && name.text == "defaults"
            {
                if let Some(first) = first_defaults.replace(name.span) {
                    self.report_twice(name, first);
                }
                let mut defaults = Body::default();
                self.lower_statements(body, Within::BODY, &mut defaults);
                if let Some(condition) = defaults.conditions.first() {
                    self.report_wrong_place(
                        condition.expr.span,
                        "`when`",
                        "remove the condition: the defaults of a template hold for all its images",
                    );
                }
                if let Some(target) = &defaults.target {
                    self.report_wrong_place(
                        target.span,
                        "`target`",
                        "put it directly into the body of an image",
                    );
                }
                // A provider has no conditions: settings under one are dropped.
                defaults
                    .settings
                    .retain(|setting| setting.condition.is_none());
                provider.defaults = defaults.settings;
            }
        }
        for set in self.attributes(&section.body, "a provider", &["defaults"]) {
            match set.name.text.as_str() {
                "template" => {
                    provider.template = self.constant_text(set).unwrap_or_default();
                    template_span = Some(set.value.span);
                }
                "artifact" => provider.artifact = self.constant_text(set),
                "foreground" => provider.foreground = self.constant_texts(&set.value),
                "tools" => provider.tools = self.constant_texts(&set.value),
                "extra_vars" => {
                    self.check_extra_vars(&set.value);
                    extra_vars = Some(self.constant_texts(&set.value));
                }
                "upstream" => {
                    upstream = self.constant_text(set).map(|path| (path, set.value.span));
                }
                "roles" => {
                    if let Some(word) = self.word(set) {
                        match Roles::find(&word.text) {
                            Some(roles) => provider.roles = roles,
                            None => {
                                self.report_unknown_attribute(&word, "kind of roles", &Roles::NAMES)
                            }
                        }
                    }
                }
                "playbook" => {
                    if let Some(word) = self.word(set) {
                        match word.text.as_str() {
                            "linux" => provider.playbook = Playbook::Linux,
                            "windows" => provider.playbook = Playbook::Windows,
                            _ => self.report_unknown_attribute(
                                &word,
                                "playbook",
                                &["linux", "windows"],
                            ),
                        }
                    }
                }
                "reads" => {
                    let names = self.words(&set.value);
                    for name in &names {
                        if self.find_variable(&name.text).is_none() {
                            self.report_unknown_variable(name, false);
                        }
                    }
                    reads = Some(names.into_iter().map(|name| name.text).collect());
                }
                _ => self.report_unknown_attribute(
                    &set.name,
                    "attribute of a provider",
                    &OF_PROVIDERS,
                ),
            }
        }
        if provider.template.is_empty() {
            self.report(
                Diagnostic::new(
                    Code::Required,
                    section.name.span,
                    format!("the provider `{}` has no template", section.name.text),
                )
                .help("write `template = \"path/to/packer.json\"`"),
            );
        }
        if upstream.is_some() && self.edition.roles == Roles::Upstream {
            provider.roles = Roles::Upstream;
        }
        let upstream = upstream.filter(|_| provider.roles == Roles::Upstream);
        provider.readers = match (reads, extra_vars, template_span) {
            _ if let Some((path, span)) = upstream => self.read_facts(&path, span),
            (None, None, Some(span)) => self.read_template(&provider.template, span),
            (reads, extra_vars, span) => {
                if let Some(span) = span {
                    self.check_stated_template(&provider.template, span);
                }
                Template::stated(reads.unwrap_or_default(), extra_vars.unwrap_or_default()).into()
            }
        };
        self.providers[id] = provider;
    }

    /// A `{{user}}` of stated arguments is as known as one of a value.
    fn check_extra_vars(&mut self, value: &ast::Expr) {
        let ast::ExprKind::List(elements) = &value.kind else {
            return;
        };
        for element in elements {
            let ast::ExprKind::Str(text) = &element.kind else {
                continue;
            };
            for name in named(text) {
                // A template may well hand a deprecated name on.
                if self.find_variable(&name).is_none() {
                    let _ = self.find_reference(&name, element.span, Expected::PLAIN);
                }
            }
        }
    }

    /// Only layers and images extend each other.
    fn check_extends_nothing(&mut self, section: &ast::Section, what: &str) {
        if let Some(name) = section.extends.first() {
            self.report(
                Diagnostic::new(
                    Code::WrongPlace,
                    name.span,
                    format!("{what} cannot extend anything"),
                )
                .help("remove it: only a layer or an image can use `extends`"),
            );
        }
    }

    /// Returns what Image Builder's own template reads: JSON in the form of a template, beside the spec.
    fn read_facts(&mut self, path: &str, span: Span) -> LazyTemplate {
        let file = normalize(&self.sources.get(span.file).folder().join(path));
        self.carried_template(path, span, &file.to_string_lossy())
    }

    /// Reads a provider's template; the path of a project's template is relative to the spec.
    fn read_template(&mut self, path: &str, span: Span) -> LazyTemplate {
        let source = self.sources.get(span.file);
        let text = match (source.origin, self.adopted) {
            (Origin::Library, None) => {
                return self.carried_template(path, span, path);
            }
            (Origin::Library, Some(adopted)) => adopted.template(path).map(str::to_owned),
            _ => {
                let path = normalize(&source.folder().join(path));
                match self
                    .loader
                    .exists(&path)
                    .then(|| self.read_data(&path, span))
                {
                    Some(Ok(text)) => Some(text),
                    Some(Err(_)) => return Template::missing().into(),
                    None => None,
                }
            }
        };
        if let Some(text) = &text {
            self.check_template_secrets(text, span);
        }
        let found = match text.as_deref().map(Template::parse) {
            Some(Ok(template)) => return template.into(),
            Some(Err(error)) => Diagnostic::new(
                Code::JsonSyntax,
                span,
                format!("cannot read the template `{path}`: {error}"),
            ),
            None => missing_template(path, span),
        };
        self.report(found);
        Template::missing().into()
    }

    /// Checks what a project's template does with secrets, where the spec says what the template reads. The template need
    /// not be there.
    fn check_stated_template(&mut self, path: &str, span: Span) {
        let source = self.sources.get(span.file);
        if source.origin == Origin::Library {
            return;
        }
        let path = normalize(&source.folder().join(path));
        if let Ok(text) = read_inside(self.loader, &path, self.file.roots) {
            self.check_template_secrets(&text, span);
        }
    }

    fn carried_template(&mut self, path: &str, span: Span, name: &str) -> LazyTemplate {
        if embedded::file(name).is_some() {
            return LazyTemplate::carried(name.into());
        }
        self.report(missing_template(path, span));
        Template::missing().into()
    }

    pub(crate) fn lower_rule(&mut self, section: &ast::Section, id: RuleId) {
        if let Some(rule) = self.lower_kept(section, Self::lower_rule_body) {
            self.rules[id] = rule;
        }
    }

    pub(crate) fn lower_probe(&mut self, section: &ast::Section, id: ProbeId) {
        if let Some(probe) = self.lower_kept(section, Self::lower_probe_body) {
            self.probes[id] = probe;
        }
    }

    /// Lowers an item that stays where another library replaces the built-in one: it holds where that library has all that
    /// the item reads, in its types.
    fn lower_kept<T>(
        &mut self,
        section: &ast::Section,
        lower: fn(&mut Self, &ast::Section) -> T,
    ) -> Option<T> {
        let reported = std::mem::take(&mut self.diagnostics);
        self.is_tentative = self.adopted.is_some() && self.is_library(section.name.span);
        let item = lower(self, section);
        let is_tentative = std::mem::take(&mut self.is_tentative);
        let found = std::mem::replace(&mut self.diagnostics, reported);
        if is_tentative && !found.is_empty() {
            return None;
        }
        self.diagnostics.extend(found);
        Some(item)
    }

    fn lower_probe_body(&mut self, section: &ast::Section) -> Probe {
        let mut probe = new_probe(&section.name, section.doc.clone());
        self.check_extends_nothing(section, "a probe");
        let mut command: Option<&ast::Set> = None;
        let mut arguments: Option<&ast::Set> = None;
        for set in self.attributes(&section.body, "a probe", &[]) {
            match set.name.text.as_str() {
                "applies" => {
                    probe.applies = Some(self.lower_condition(&set.value, Expected::PLAIN));
                }
                "run" | "script" => {
                    if let Some(first) = command.replace(set) {
                        self.report_two_commands(first, set);
                    }
                    if set.name.text == "run" {
                        probe.words = self.lower_command(&set.value);
                    } else {
                        probe.script = Some(self.lower_message(&set.value));
                    }
                }
                "arguments" => arguments = Some(set),
                "files" => probe.files = Some(self.lower_words(&set.value)),
                "tools" => probe.tools = self.constant_texts(&set.value),
                "output" => probe.output = Some(self.lower_message(&set.value)),
                "boots" => probe.boots = self.flag(set),
                _ => self.report_unknown_attribute(&set.name, "attribute of a probe", &OF_PROBES),
            }
        }
        match (command, arguments) {
            (None, _) => self.report_no_command(&section.name),
            (Some(run), Some(arguments)) if run.name.text == "run" => {
                self.report(
                    Diagnostic::new(
                        Code::WrongPlace,
                        arguments.name.span,
                        "only a probe with a `script` has `arguments`",
                    )
                    .related(run.name.span, "the program has its arguments here")
                    .help("add the arguments to `run`"),
                );
            }
            (Some(_), Some(arguments)) => probe.words = self.lower_words(&arguments.value),
            (Some(script), None) if script.name.text == "script" => {
                probe.words = Expr::constant(Value::list(Vec::new()), script.value.span);
            }
            (Some(_), None) => {}
        }
        probe
    }

    fn report_two_commands(&mut self, first: &ast::Set, second: &ast::Set) {
        let message = "a probe can have only one command, `run` or `script`";
        self.report(
            Diagnostic::new(Code::DuplicateSetting, second.name.span, message)
                .related(first.name.span, "the first command")
                .help("remove one of them, or write two probes"),
        );
    }

    fn report_no_command(&mut self, name: &ast::Ident) {
        let message = format!("the probe `{}` requires `run` or `script`", name.text);
        self.report(
            Diagnostic::new(Code::Required, name.span, message)
                .help("write `probe name { run = [\"program\", \"argument\"] }`"),
        );
    }

    fn lower_command(&mut self, value: &ast::Expr) -> Expr {
        if matches!(&value.kind, ast::ExprKind::List(elements) if elements.is_empty()) {
            let found = Diagnostic::new(Code::Required, value.span, "`run` requires a program")
                .help("write `run = [\"program\", \"argument\"]`");
            return Expr::missing(self.report(found), value.span);
        }
        self.lower_words(value)
    }

    fn lower_words(&mut self, value: &ast::Expr) -> Expr {
        let ty = Type::of(Base::List(Box::new(Type::of(Base::String))));
        let expected = Expected {
            ty: Some(&ty),
            ..Expected::PLAIN
        };
        self.lower_expr(value, expected)
    }

    fn lower_rule_body(&mut self, section: &ast::Section) -> Rule {
        let mut rule = new_rule(&section.name);
        self.check_extends_nothing(section, "a rule");
        let mut condition: Option<&ast::Set> = None;
        let mut has_message = false;
        for set in self.attributes(&section.body, "a rule", &[]) {
            match set.name.text.as_str() {
                "deny" | "warn" => {
                    if let Some(first) = condition.replace(set) {
                        self.report(
                            Diagnostic::new(
                                Code::DuplicateSetting,
                                set.name.span,
                                "a rule can have only one condition, `deny` or `warn`",
                            )
                            .related(first.name.span, "the first condition")
                            .help("join them with `or`, or write two rules"),
                        );
                    }
                    rule.condition = self.lower_condition(&set.value, Expected::PLAIN);
                    rule.is_deny = set.name.text == "deny";
                }
                "message" => {
                    has_message = true;
                    rule.message = self.lower_message(&set.value);
                }
                "help" => rule.help = Some(self.lower_message(&set.value)),
                _ => self.report_unknown_attribute(&set.name, "attribute of a rule", &OF_RULES),
            }
        }
        if condition.is_none() || !has_message {
            self.report(
                Diagnostic::new(
                    Code::Required,
                    section.name.span,
                    format!(
                        "the rule `{}` requires `deny` or `warn`, and a `message`",
                        section.name.text
                    ),
                )
                .help("write `rule name { deny = condition, message = \"what is wrong\" }`"),
            );
        }
        rule
    }

    pub(crate) fn lower_message(&mut self, value: &ast::Expr) -> Expr {
        let ty = Type::of(Base::String);
        self.lower_expr(
            value,
            Expected {
                ty: Some(&ty),
                ..Expected::PLAIN
            },
        )
    }
}

fn missing_template(path: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::FileNotFound, span, format!("the template `{path}` does not exist"))
        .help("write the path relative to the folder of this file, or declare what the template reads: `extra_vars = [ … ], reads = [ … ]`")
}
