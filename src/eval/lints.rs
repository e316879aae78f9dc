//! What the layers of an image do to each other that their authors did not mean.

use crate::diagnostic::{Code, Diagnostic};
use crate::eval::{Active, Image};
use crate::project::hir::*;
use crate::project::{Region, StackLayer, linearize};
use crate::source::Span;

impl<'p> Image<'p> {
    /// A `final` value that a stronger layer changes.
    pub(crate) fn check_finals(&self, found: &mut Vec<Diagnostic>) {
        for (id, settings) in self.set_variables() {
            self.check_final(id, settings, found);
        }
    }

    pub(super) fn check_final(
        &self,
        id: VarId,
        settings: &[Active<'p>],
        found: &mut Vec<Diagnostic>,
    ) {
        if self.program.variable(id).alias_of().is_some() {
            // Its value is the real variable's part; by itself it has none.
            return;
        }
        for made_final in settings.iter().filter(|a| a.setting.is_final) {
            if self.compute_upto(id, *made_final).as_ref() != self.value(id) {
                self.report_final(id, *made_final, found);
                break;
            }
        }
    }

    fn report_final(&self, id: VarId, made_final: Active<'p>, found: &mut Vec<Diagnostic>) {
        let program = self.program;
        let strongest = self
            .names_of(id)
            .filter_map(|name| self.settings(name).last())
            .max_by_key(|a| a.layer);
        let Some(changing) = strongest.copied() else {
            return;
        };
        let name = &program.variable(id).name;
        let holder = self.layer_name(made_final.layer);
        found.push(
            Diagnostic::new(
                Code::FinalOverridden,
                changing.setting.span,
                format!("`{name}` is final in `{holder}` and cannot be changed"),
            )
            .label(format!("`{}` changes it", self.layer_name(changing.layer)))
            .related(made_final.setting.span, "made final here")
            .help("remove this setting, or remove `final` from the other one"),
        );
    }

    /// Two unrelated parents that disagree, and layers that the target overrides.
    pub(crate) fn check_parents(&self, found: &mut Vec<Diagnostic>) {
        for (id, settings) in self.set_variables() {
            self.check_parents_of(id, settings, found);
        }
        self.check_below_target(found);
    }

    pub(super) fn check_parents_of(
        &self,
        id: VarId,
        settings: &[Active<'p>],
        found: &mut Vec<Diagnostic>,
    ) {
        let is_above = |a: &&Active<'p>| {
            self.stack.region(a.layer) == Region::AboveTarget && a.setting.change == Change::Replace
        };
        let mut above = settings.iter().filter(is_above);
        if above.next().is_none() || above.next().is_none() {
            return;
        }
        let above: Vec<Active<'p>> = settings.iter().filter(is_above).copied().collect();
        if let [others @ .., winner] = &above[..] {
            self.check_disagreement(id, others, *winner, found);
        }
    }

    fn check_disagreement(
        &self,
        id: VarId,
        others: &[Active<'p>],
        winner: Active<'p>,
        found: &mut Vec<Diagnostic>,
    ) {
        let Some(StackLayer::Section(strongest)) = self.stack.layer(winner.layer) else {
            return;
        };
        let ancestors = linearize(&self.program.sections, self.holder(strongest));
        let unrelated = others.iter().rev().find(|other| {
            matches!(self.stack.layer(other.layer), Some(StackLayer::Section(s)) if !ancestors.contains(&s))
        });
        let Some(other) = unrelated.copied() else {
            return;
        };
        if self.setting_value(other.setting) == self.setting_value(winner.setting) {
            return;
        }
        let name = &self.program.variable(id).name;
        let (a, b) = (self.layer_name(other.layer), self.layer_name(winner.layer));
        found.push(
            Diagnostic::new(
                Code::ParentsDiffer,
                self.program.section(self.section).span,
                format!("`{a}` and `{b}` set `{name}` to different values"),
            )
            .label(format!("`{b}` wins, because it is named later"))
            .related(other.setting.span, format!("`{a}` sets it here"))
            .related(winner.setting.span, format!("`{b}` sets it here"))
            .help(format!("set `{name}` in this image to choose a value")),
        );
    }

    /// The image whose own settings a layer has: a matrix and the values of its axes are stronger than all that the matrix
    /// extends. For any other layer, the layer.
    fn holder(&self, layer: SectionId) -> SectionId {
        let program = self.program;
        if !matches!(
            program.section(layer).kind,
            LayerKind::Matrix | LayerKind::Axis
        ) {
            return layer;
        }
        let own = linearize(&program.sections, self.section).into_iter();
        let mut own = own.filter(|image| {
            let parents = &program.section(*image).extends;
            program.matrix_of(*image).is_some() && parents.iter().any(|(id, _)| *id == layer)
        });
        own.next().unwrap_or(layer)
    }

    pub(super) fn check_below_target(&self, found: &mut Vec<Diagnostic>) {
        let needed = linearize(&self.program.sections, self.stack.target);
        let target = &self.program.section(self.stack.target).name;
        for layer in self.stack.layers_in(|region| region < Region::Target) {
            let StackLayer::Section(id) = layer else {
                continue;
            };
            if needed.contains(&id) || self.program.flag_files.contains(&id) {
                continue;
            }
            let name = &self.program.section(id).name;
            let span = self.place_of_parent(id);
            found.push(
                Diagnostic::new(
                    Code::BelowTarget,
                    span,
                    format!("the target `{target}` overrides `{name}`"),
                )
                .on_target(target.as_str())
                .label("named before the target")
                .help(format!("name the target first: `extends {target}, {name}`")),
            );
        }
    }

    /// Where this image names a parent, itself or through another.
    fn place_of_parent(&self, parent: SectionId) -> Span {
        let section = self.program.section(self.section);
        section
            .extends
            .iter()
            .find(|(id, _)| linearize(&self.program.sections, *id).contains(&parent))
            .map_or(section.span, |(_, span)| *span)
    }

    /// Settings of a `-var-file` in `PACKER_FLAGS` that a file of the target's provider or system overrides.
    pub(crate) fn check_flag_files(&self, found: &mut Vec<Diagnostic>) {
        let program = self.program;
        let settings = program
            .flag_files
            .iter()
            .flat_map(|id| &program.section(*id).settings);
        for setting in settings {
            let Some(winner) = self.settings(setting.variable).last().copied() else {
                continue;
            };
            let is_own = self.stack.region(winner.layer) <= Region::Target
                && !std::ptr::eq(winner.setting, setting);
            if !is_own || program.sources.is_users(winner.setting.span.file) {
                continue;
            }
            let name = &program.variable(setting.variable).name;
            let layer = self.layer_name(winner.layer);
            found.push(
                Diagnostic::new(
                    Code::NoEffect,
                    setting.span,
                    format!("`{name}` has no effect, because `{layer}` also sets it"),
                )
                .label("make passes this file to Packer before the target's own files")
                .related(winner.setting.span, "this value wins")
                .help(
                    "name the file in PACKER_VAR_FILES, which make passes after the target's files",
                ),
            );
        }
    }

    /// Settings of what the target passes to Packer itself, which beats every file.
    pub(crate) fn check_fixed(&self, found: &mut Vec<Diagnostic>) {
        let fixed = self.stack.layers_in(|region| region == Region::Fixed);
        let Some(StackLayer::TargetVars(holder)) = fixed.last() else {
            return;
        };
        let program = self.program;
        let Some(target) = &program.section(holder).target else {
            return;
        };
        let runs = target.runs.iter().flat_map(|run| &run.vars);
        let above = target
            .above
            .iter()
            .flat_map(|(id, _)| &program.section(*id).settings);
        // Layers below the target belong to it, and may set what one above them overrides.
        let vars = target.vars.iter().chain(runs).map(|fixed| (fixed, false));
        for (fixed, is_above) in vars.chain(above.map(|fixed| (fixed, true))) {
            let readers = &program.provider(self.provider).readers;
            if readers.is_whole_argument(&program.variable(fixed.variable).name) {
                // Whole arguments of Ansible are merged with the file route, or reported there.
                continue;
            }
            let Some(own) = self
                .settings(fixed.variable)
                .iter()
                .filter(|a| {
                    let region = self.stack.region(a.layer);
                    let weakest = if is_above {
                        Region::AboveTarget
                    } else {
                        Region::BelowTarget
                    };
                    (weakest..Region::Fixed).contains(&region)
                })
                .find(|a| {
                    program.sources.is_users(a.setting.span.file) && !std::ptr::eq(a.setting, fixed)
                })
            else {
                continue;
            };
            let name = &program.variable(fixed.variable).name;
            found.push(
                Diagnostic::new(
                    Code::FixedByTarget,
                    own.setting.span,
                    format!(
                        "`{name}` has a fixed value in the target `{}`",
                        program.section(holder).name
                    ),
                )
                .on_target(program.section(holder).name.as_str())
                .label("this has no effect")
                .related(
                    fixed.span,
                    "the target passes this value to Packer, and it overrides all your files",
                )
                .help("remove the setting, or build another target"),
            );
        }
    }
}
