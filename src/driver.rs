//! From a program to all that a command shows: evaluates the images, renders their files, and puts the diagnostics in order.
//!
//! The command line and the language server call the same functions.

use crate::diagnostic::{Code, Diagnostic, Findings, Fix};
use crate::emit::{
    Account, Artifacts, Checked, Files, Output, Sheet, check, check_roles, emit, files,
};
use crate::eval::{Image, Kin, evaluate_on};
use crate::project::hir::{Id, ProviderId, SectionId, VarId, Waiver};
use crate::project::{Family, Program, Stack, in_checkout, judge};
use crate::source::{Loader, MAX_DIAGNOSTICS, MAX_IMAGES, MAX_OUTPUT, MAX_VARIABLES, Origin, Span};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of images from which on several threads evaluate them. To start a thread costs as much as a few images.
const MANY: usize = 32;

/// What it costs to evaluate a variable and to decide who gets it, in bytes that an expression reads in the same time.
const VARIABLE_WORK: usize = 128;

/// How many images are evaluated before their size is looked at.
const BATCH: usize = 256;

/// How many images are models at most: each takes as much memory as its files.
const MAX_MODELS: usize = 256;

/// How many images of a target are models at most.
const MAX_TRIALS: usize = 16;

/// From how many images with the same layers on one of them becomes a model, though another model is for them, too.
const MANY_ALIKE: usize = 4;

/// What is asked of a program: some of its images, and where their files are for.
#[derive(Clone, Copy)]
pub struct Job<'j> {
    /// Finds the roles that values name.
    pub loader: &'j dyn Loader,
    /// The program.
    pub program: &'j Program,
    /// The images.
    pub images: &'j [SectionId],
    /// The provider that builds them instead of their targets' own.
    pub provider: Option<ProviderId>,
    /// Where the files will be.
    pub output: &'j Output,
}

/// What comes of one image.
struct Outcome<T> {
    /// Nothing if the image cannot be evaluated.
    made: Option<T>,
    diagnostics: Vec<Diagnostic>,
    removals: Vec<(Span, bool)>,
    /// The waivers that the image needs.
    waived: Vec<usize>,
    /// The bytes of memory that the image's values take.
    size: usize,
    /// The bytes that its expressions have read and made, `size`, and what its variables cost.
    work: usize,
}

/// What is made of each image.
trait Maker: Sync {
    type Made: Send;

    /// Makes it of one image.
    fn make(&self, image: &Image<'_>, output: &Output) -> (Self::Made, Checked);

    /// Notes what similar images share with an image about which nothing was reported.
    fn sheet<'p>(&self, image: &Image<'p>, output: &Output, made: &Self::Made)
    -> Option<Sheet<'p>>;

    /// Makes it of an image that is similar to the one of a sheet; none where anything may have to be reported.
    fn vary<'p>(
        &self,
        sheet: &Sheet<'p>,
        kin: &Kin<'p>,
        output: &Output,
    ) -> Option<(Self::Made, Checked)>;
}

/// Nothing but diagnostics.
struct Nothing;

impl Maker for Nothing {
    type Made = ();

    fn make(&self, image: &Image<'_>, output: &Output) -> ((), Checked) {
        ((), check(image, output))
    }

    fn sheet<'p>(&self, image: &Image<'p>, output: &Output, (): &()) -> Option<Sheet<'p>> {
        Sheet::new(image, output, None)
    }

    fn vary<'p>(&self, sheet: &Sheet<'p>, kin: &Kin<'p>, output: &Output) -> Option<((), Checked)> {
        sheet.check(kin, output).map(|checked| ((), checked))
    }
}

/// The files as text.
struct Texts;

impl Maker for Texts {
    type Made = Files;

    fn make(&self, image: &Image<'_>, output: &Output) -> (Files, Checked) {
        files(image, output)
    }

    fn sheet<'p>(&self, image: &Image<'p>, output: &Output, made: &Files) -> Option<Sheet<'p>> {
        Sheet::new(image, output, Some(made))
    }

    fn vary<'p>(
        &self,
        sheet: &Sheet<'p>,
        kin: &Kin<'p>,
        output: &Output,
    ) -> Option<(Files, Checked)> {
        sheet.render(kin, output)
    }
}

/// The files with all that is known about them.
struct Whole;

impl Maker for Whole {
    type Made = Artifacts;

    fn make(&self, image: &Image<'_>, output: &Output) -> (Artifacts, Checked) {
        let mut artifacts = emit(image, output);
        let checked = Checked {
            diagnostics: std::mem::take(&mut artifacts.diagnostics),
            roles: artifacts.build.roles.clone(),
            role_folders: artifacts.build.role_folders.clone(),
            is_made: artifacts.build.make.is_some(),
        };
        (artifacts, checked)
    }

    fn sheet<'p>(&self, _: &Image<'p>, _: &Output, _: &Artifacts) -> Option<Sheet<'p>> {
        None
    }

    fn vary<'p>(&self, _: &Sheet<'p>, _: &Kin<'p>, _: &Output) -> Option<(Artifacts, Checked)> {
        None
    }
}

/// The files with all that is known about them, and what a build tells about the image.
struct Told;

impl Maker for Told {
    type Made = (Artifacts, Account);

    fn make(&self, image: &Image<'_>, output: &Output) -> ((Artifacts, Account), Checked) {
        let (artifacts, checked) = Whole.make(image, output);
        ((artifacts, Account::new(image)), checked)
    }

    fn sheet<'p>(&self, _: &Image<'p>, _: &Output, _: &Self::Made) -> Option<Sheet<'p>> {
        None
    }

    fn vary<'p>(&self, _: &Sheet<'p>, _: &Kin<'p>, _: &Output) -> Option<(Self::Made, Checked)> {
        None
    }
}

/// What a command shows of the image itself.
struct View<F>(F);

impl<T: Send, F: Fn(&Image<'_>) -> T + Sync> Maker for View<F> {
    type Made = T;

    fn make(&self, image: &Image<'_>, output: &Output) -> (T, Checked) {
        ((self.0)(image), check(image, output))
    }

    fn sheet<'p>(&self, image: &Image<'p>, output: &Output, _: &T) -> Option<Sheet<'p>> {
        Sheet::new(image, output, None)
    }

    fn vary<'p>(&self, sheet: &Sheet<'p>, kin: &Kin<'p>, output: &Output) -> Option<(T, Checked)> {
        let checked = sheet.check(kin, output)?;
        Some(((self.0)(&kin.image), checked))
    }
}

/// The images of a command with the same target.
#[derive(Default)]
struct Relatives<'p> {
    sheets: Vec<Arc<Sheet<'p>>>,
    /// The number of images that no sheet was for.
    alone: usize,
    /// The number of images with the same layers.
    families: FxHashMap<Family, usize>,
}

/// All images of a command, by their targets.
#[derive(Default)]
struct Families<'p> {
    by_target: Mutex<FxHashMap<SectionId, Relatives<'p>>>,
}

impl<'p> Families<'p> {
    /// Finds the sheet that has most in common with an image, and says whether the image should become a model: if no
    /// sheet is for it, but it is not the first such one, or if others have the same layers.
    fn find(
        &self,
        program: &Program,
        id: SectionId,
        stack: &Stack,
    ) -> (Option<Arc<Sheet<'p>>>, bool) {
        let (sheets, count) = {
            let mut all = self.lock();
            let own = all.entry(stack.target).or_default();
            let count = own.families.entry(stack.family(id)).or_default();
            *count += 1;
            let count = *count;
            (own.sheets.clone(), count)
        };
        let file = program.section(id).span.file;
        let near = sheets
            .into_iter()
            .filter_map(|sheet| Some((sheet.model.distance(stack)?, sheet)));
        let mut near: Vec<_> = near.collect();
        near.sort_by_key(|(distance, _)| *distance);
        let mut near = near.into_iter().map(|(_, sheet)| sheet);
        let Some(sheet) = near.find(|sheet| sheet.model.is_for(file)) else {
            let mut all = self.lock();
            let own = all.entry(stack.target).or_default();
            own.alone += 1;
            let is_wanted = (2..=MAX_TRIALS).contains(&own.alone);
            drop(all);
            return (None, is_wanted && self.has_room(stack.target));
        };
        let is_wanted = count == MANY_ALIKE && !sheet.model.is_family(id, stack);
        (Some(sheet), is_wanted && self.has_room(stack.target))
    }

    /// True where another image of a target can become a model.
    fn has_room(&self, target: SectionId) -> bool {
        let all = self.lock();
        let count: usize = all.values().map(|own| own.sheets.len()).sum();
        let own = all.get(&target).map_or(0, |own| own.sheets.len());
        count < MAX_MODELS && own < MAX_TRIALS
    }

    fn add(&self, target: SectionId, sheet: Sheet<'p>) {
        if self.has_room(target) {
            let mut all = self.lock();
            let own = all.entry(target).or_default();
            own.sheets.push(Arc::new(sheet));
        }
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<SectionId, Relatives<'p>>> {
        self.by_target
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'j> Job<'j> {
    /// Returns what is wrong with the images, in their order. [`finish`] adds the program's own diagnostics.
    pub fn check(self) -> Vec<Diagnostic> {
        self.each(&Nothing, |()| ()).1
    }

    /// The same as [`Job::check`], with about how many bytes the images' expressions read and made, and their values take.
    pub fn weigh(self) -> (Vec<Diagnostic>, usize) {
        let (_, found, work) = self.each(&Nothing, |()| ());
        (found, work)
    }

    /// Renders the files of the images. Returns those of each image that could be evaluated, and what is wrong with the
    /// images, both in their order.
    pub fn compile(self) -> (Vec<Artifacts>, Vec<Diagnostic>) {
        self.compile_each(|artifacts| artifacts)
    }

    /// The same as [`Job::compile`], but keeps only what `take` makes of each image's files. Several threads call it.
    pub fn compile_each<T: Send>(
        self,
        take: impl Fn(Artifacts) -> T + Sync,
    ) -> (Vec<T>, Vec<Diagnostic>) {
        let (made, found, _) = self.each(&Whole, take);
        (made, found)
    }

    /// The same as [`Job::compile_each`], with what a build tells about each image.
    pub fn compile_to_build<T: Send>(
        self,
        take: impl Fn((Artifacts, Account)) -> T + Sync,
    ) -> (Vec<T>, Vec<Diagnostic>) {
        let (made, found, _) = self.each(&Told, take);
        (made, found)
    }

    /// The same as [`Job::compile_each`] for the texts of the files.
    pub fn render_each<T: Send>(
        self,
        take: impl Fn(Files) -> T + Sync,
    ) -> (Vec<T>, Vec<Diagnostic>) {
        let (made, found, _) = self.each(&Texts, take);
        (made, found)
    }

    /// The same as [`Job::compile_each`] for what `view` makes of each evaluated image, without files. `view` may be called
    /// again for an image.
    pub fn view_each<T: Send, U: Send>(
        self,
        view: impl Fn(&Image<'_>) -> T + Sync,
        take: impl Fn(T) -> U + Sync,
    ) -> (Vec<U>, Vec<Diagnostic>) {
        let (made, found, _) = self.each(&View(view), take);
        (made, found)
    }

    fn each<M: Maker, T: Send>(
        self,
        maker: &M,
        take: impl Fn(M::Made) -> T + Sync,
    ) -> (Vec<T>, Vec<Diagnostic>, usize) {
        if let Some(found) = self.exceeded_limit() {
            return (Vec::new(), vec![found], 0);
        }
        let families = Families::default();
        let one = |id: &SectionId| self.one(*id, maker, &families, &take);
        let mut made = Vec::with_capacity(self.images.len());
        let mut found = Vec::new();
        let mut removals: FxHashMap<Span, bool> = FxHashMap::default();
        let mut waived: FxHashSet<usize> = FxHashSet::default();
        let (mut size, mut work) = (0, 0);
        for ids in self.images.chunks(BATCH) {
            let outcomes: Vec<Outcome<T>> = if self.images.len() < MANY {
                ids.iter().map(one).collect()
            } else {
                ids.par_iter().map(one).collect()
            };
            for (id, mut outcome) in ids.iter().zip(outcomes) {
                for (span, removed) in outcome.removals {
                    *removals.entry(span).or_default() |= removed;
                }
                waived.extend(outcome.waived);
                found.append(&mut outcome.diagnostics);
                made.extend(outcome.made);
                size += outcome.size;
                work += outcome.work;
                if size > MAX_OUTPUT {
                    found.push(too_large(self.program.section(*id).span));
                    found.extend(self.find_idle(removals));
                    return (made, found, work);
                }
            }
        }
        found.extend(self.find_idle(removals));
        found.extend(self.find_unused(&waived));
        (made, found, work)
    }

    /// Says which limit the images exceed before any of them is evaluated.
    fn exceeded_limit(self) -> Option<Diagnostic> {
        let program = self.program;
        let (span, message, help) = if let Some(id) = self.images.get(MAX_IMAGES) {
            let count = self.images.len();
            (
                program.section(*id).span,
                format!("this command selects {count} images, and the limit is {MAX_IMAGES}"),
                "select fewer images: name some of them, their files or their folders",
            )
        } else if let Some(variable) = program.variables.find(VarId::new(MAX_VARIABLES)) {
            let count = program.variables.len();
            (
                variable.span,
                format!("this command has {count} variables, and the limit is {MAX_VARIABLES}"),
                "check fewer files at a time, or put some of the values into one map",
            )
        } else {
            return None;
        };
        let found = Diagnostic::new(Code::TooLarge, span, message);
        Some(found.label("imgspec evaluates no image").help(help))
    }

    fn one<M: Maker, T>(
        self,
        id: SectionId,
        maker: &M,
        families: &Families<'j>,
        take: &impl Fn(M::Made) -> T,
    ) -> Outcome<T> {
        let stack = match Stack::new(self.program, id, self.provider) {
            Ok(stack) => stack,
            Err(diagnostic) => {
                let mut diagnostics = vec![*diagnostic];
                self.program.drop_consequences(id, &mut diagnostics);
                return Outcome {
                    made: None,
                    diagnostics,
                    removals: Vec::new(),
                    waived: Vec::new(),
                    size: 0,
                    work: 0,
                };
            }
        };
        let target = stack.target;
        let (sheet, may_be_model) = families.find(self.program, id, &stack);
        let varied = sheet.and_then(|sheet| self.vary(id, maker, &sheet, stack.clone()));
        let (mut image, made, diagnostics) = varied.unwrap_or_else(|| self.whole(id, maker, stack));
        if may_be_model
            && diagnostics.is_empty()
            && image.waived().is_empty()
            && let Some(sheet) = maker.sheet(&image, self.output, &made)
        {
            families.add(target, sheet);
        }
        let size = image.size();
        Outcome {
            made: Some(take(made)),
            diagnostics,
            removals: std::mem::take(&mut image.removals),
            waived: image.waived(),
            size,
            work: size + image.work() + image.ids().len() * VARIABLE_WORK,
        }
    }

    /// Makes it of an image that is evaluated alone.
    fn whole<M: Maker>(
        self,
        id: SectionId,
        maker: &M,
        stack: Stack,
    ) -> (Image<'j>, M::Made, Vec<Diagnostic>) {
        let image = evaluate_on(self.program, id, self.provider, stack);
        let (made, mut checked) = maker.make(&image, self.output);
        let mut diagnostics = image.diagnostics.clone();
        diagnostics.append(&mut checked.diagnostics);
        self.program.drop_consequences(id, &mut diagnostics);
        diagnostics.extend(self.check_roles(&checked, &image));
        (image, made, diagnostics)
    }

    /// Makes it of an image that is similar to a model; none where anything is reported about it.
    fn vary<M: Maker>(
        self,
        id: SectionId,
        maker: &M,
        sheet: &Sheet<'j>,
        stack: Stack,
    ) -> Option<(Image<'j>, M::Made, Vec<Diagnostic>)> {
        let kin = sheet.model.evaluate(id, stack)?;
        let (made, checked) = maker.vary(sheet, &kin, self.output)?;
        let is_fine =
            self.check_roles(&checked, &kin.image).is_empty() && !kin.image.has_spent_all();
        is_fine.then(|| (kin.image, made, Vec::new()))
    }

    fn check_roles(self, checked: &Checked, image: &Image<'_>) -> Vec<Diagnostic> {
        check_roles(self.loader, self.program, checked, image.name())
    }

    /// Finds each waiver that no image needs, though all images that it concerns have been evaluated.
    fn find_unused(self, waived: &FxHashSet<usize>) -> Vec<Diagnostic> {
        let program = self.program;
        if program.waivers.is_empty() {
            return Vec::new();
        }
        let evaluated: FxHashSet<SectionId> = self.images.iter().copied().collect();
        let is_unused = |waiver: &Waiver| {
            let concerned = |id: &SectionId| {
                program.concerns(waiver.span.file, program.section(*id).span.file)
                    && waiver.images.contains(program, *id)
            };
            let mut images = program.own_images().filter(concerned).peekable();
            let has_images = images.peek().is_some();
            images.all(|id| evaluated.contains(&id)) && (has_images || program.is_whole)
        };
        let all = program.waivers.iter().enumerate();
        let unused = all.filter(|(at, waiver)| {
            // Another project that has the policy may need its waiver.
            let is_policy = program.policies.files.contains(&waiver.span.file);
            !is_policy
                && waiver.rule.is_some()
                && !waiver.is_expired
                && !waived.contains(at)
                && is_unused(waiver)
        });
        unused
            .map(|(_, waiver)| {
                let message = format!("no image needs the waiver of the rule `{}`", waiver.name);
                Diagnostic::new(Code::UnusedWaiver, waiver.whole, message)
                    .label("none of its images breaks the rule")
                    .help("remove it, or correct the names of the images")
            })
            .collect()
    }

    /// Finds each `-=` of the project that removes nothing from any image.
    fn find_idle(self, removals: FxHashMap<Span, bool>) -> impl Iterator<Item = Diagnostic> {
        let idle = removals
            .into_iter()
            .filter(move |(span, removed)| !removed && self.program.sources.is_users(span.file));
        idle.map(|(span, _)| {
            Diagnostic::new(
                Code::NothingRemoved,
                span,
                "this `-=` removes nothing from any image",
            )
            .help("no weaker layer has such an element; check its spelling")
        })
    }
}

fn too_large(span: Span) -> Diagnostic {
    let message = format!(
        "the output of this command has more than {} MiB",
        MAX_OUTPUT >> 20
    );
    Diagnostic::new(Code::TooLarge, span, message)
        .label("imgspec evaluates no further image")
        .help("select fewer images, or put large values into files that a role copies")
}

/// Adds the program's own diagnostics to those of its images, merges and orders them, and applies comments and
/// `imgspec.toml`.
pub fn finish(program: &Program, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    conclude(program, found, false).shown
}

/// The same as [`finish`], with what comments allow. `is_whole` is that of [`judge`].
pub fn conclude(program: &Program, found: Vec<Diagnostic>, is_whole: bool) -> Findings {
    let all = program.diagnostics.iter().cloned().chain(found);
    let all = all.map(|d| in_checkout(program, without_edits_of_arguments(program, d)));
    let mut findings = judge(program, all.collect(), is_whole);
    findings.shown = only_first(findings.shown);
    findings.allowed.truncate(MAX_DIAGNOSTICS);
    findings
}

/// Drops what nobody reads: all but the first diagnostics of very many. Errors stay before warnings.
pub fn only_first(mut all: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if all.len() <= MAX_DIAGNOSTICS {
        return all;
    }
    let errors = all.iter().filter(|d| d.is_error()).count();
    let (mut errors, mut others) = (
        errors.min(MAX_DIAGNOSTICS),
        MAX_DIAGNOSTICS.saturating_sub(errors),
    );
    let mut dropped: Option<Diagnostic> = None;
    let mut count = 0;
    all.retain(|d| {
        let left = if d.is_error() {
            &mut errors
        } else {
            &mut others
        };
        if let Some(less) = left.checked_sub(1) {
            *left = less;
            return true;
        }
        count += 1;
        if dropped
            .as_ref()
            .is_none_or(|first| first.severity > d.severity)
        {
            let message = format!("there are more than {MAX_DIAGNOSTICS} diagnostics");
            let mut first = Diagnostic::new(d.code, d.primary.span, message);
            first.severity = d.severity;
            dropped = Some(first);
        }
        false
    });
    all.extend(dropped.map(|first| {
        first
            .label(format!("this one and {} more are not shown", count - 1))
            .help("correct the first ones, or check fewer files at a time")
    }));
    all
}

/// Turns a fix of a command-line argument into help: no editor can change an argument.
fn without_edits_of_arguments(program: &Program, mut diagnostic: Diagnostic) -> Diagnostic {
    let is_argument = |span: &Span| program.sources.origin(span.file) == Origin::Argument;
    let (said, fixes): (Vec<Fix>, Vec<Fix>) = std::mem::take(&mut diagnostic.fixes)
        .into_iter()
        .partition(|fix| fix.edits.iter().any(|(span, _)| is_argument(span)));
    diagnostic.fixes = fixes;
    diagnostic.help = diagnostic
        .help
        .or(said.into_iter().next().map(|fix| fix.title));
    diagnostic
}

/// Of what was found for a number of images, which may be anybody's, what is wrong with var files on their own: what is
/// in the files and holds for all the images.
pub fn of_var_files(
    program: &Program,
    files: &[PathBuf],
    images: usize,
    found: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    // An argument of `--set` is as much on its own as a file is.
    let is_in_one = |d: &Diagnostic| {
        let source = program.sources.get(d.primary.span.file);
        source.origin == Origin::Argument || files.contains(&source.path)
    };
    // Quotes that one template already has are wrong wherever that template is used.
    let holds = |d: &Diagnostic| {
        d.images.is_empty() || d.images.len() == images || d.code == Code::LegacyQuotes
    };
    let mut found: Vec<Diagnostic> = found
        .into_iter()
        .filter(|d| is_in_one(d) && holds(d))
        .collect();
    found.iter_mut().for_each(|d| d.images.clear());
    found
}
