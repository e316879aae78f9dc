//! A matrix becomes an image for each combination of the values of its axes.
//!
//! What the images share is a layer with the name of the matrix. Each value of an axis over a variable is a layer too, so
//! it is checked once. The images themselves have nothing but the names of what they extend.

use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::source::{MAX_COMBINATIONS, MAX_IMAGES, MAX_NODES, Span};
use crate::syntax::ast::*;
use crate::syntax::is_name;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::{SmolStr, format_smolstr};

/// How often it is asked whether an `exclude` concerns a combination.
const MAX_TRIED: usize = 50_000_000;
/// How many unknown values, with how many known ones, are compared to suggest one.
const MAX_SUGGESTED: usize = 1000;
/// The most bytes of an image's name. Each has a folder of this name.
const MAX_NAME: usize = 200;

/// What all matrices of a command have become.
#[derive(Debug, Default)]
pub(super) struct Counts {
    images: usize,
    /// The names in the `extends` of the images.
    parents: usize,
}

/// Returns whether a file has a matrix.
pub(super) fn is_in(file: &File) -> bool {
    let mut sections = file.items.iter().filter_map(Item::section);
    sections.any(|section| section.kind == SectionKind::Matrix)
}

/// Puts the layers and images of each matrix of a file in its place. `known` counts those of all matrices of the command.
pub(super) fn expand(file: &mut File, known: &mut Counts, out: &mut Vec<Diagnostic>) {
    let damage: Vec<Span> = out
        .iter()
        .filter(|found| found.code == Code::Syntax)
        .map(|found| found.primary.span)
        .collect();
    for item in std::mem::take(&mut file.items) {
        match item {
            Item::Section(section) if section.kind == SectionKind::Matrix => {
                let mut matrix = Matrix::new(section, &damage, out);
                match matrix.images(known) {
                    Ok(images) => {
                        file.items.extend(matrix.layers().map(Item::Section));
                        file.items.extend(images.into_iter().map(Item::Section));
                    }
                    Err(found) => {
                        out.extend(found.map(|found| *found));
                        file.items.push(Item::Section(matrix.shared));
                    }
                }
            }
            other => file.items.push(other),
        }
    }
}

/// A matrix, taken apart.
struct Matrix {
    /// The layer that the images share, with the statements that concern them.
    shared: Section,
    extends: Vec<Ident>,
    axes: Vec<Resolved>,
    /// The places of the axes, by their names.
    by_name: FxHashMap<SmolStr, usize>,
    /// The places of the names in `extends`.
    parents: FxHashMap<SmolStr, usize>,
    /// For each `exclude` and each axis that it names: the axis, and the places of the values that are meant.
    excluded: Vec<Vec<(usize, FxHashSet<usize>)>>,
    /// The name of each image, as it is written.
    label: Option<Expr>,
    /// Something in it is wrong, which has been reported: it has no images.
    is_broken: bool,
}

/// An axis with its values.
struct Resolved {
    name: Ident,
    values: Vec<Choice>,
    /// The places of the values, by their labels and their texts.
    by_text: FxHashMap<SmolStr, usize>,
    /// Where the axis is among the names of `extends`; none for one over a variable.
    parent: Option<usize>,
}

/// A value of an axis.
struct Choice {
    /// What stands for it in the image's name.
    label: SmolStr,
    value: Expr,
}

impl Matrix {
    /// Takes a matrix apart. `damage` has the places of syntax errors: one in it can hide an axis.
    fn new(mut section: Section, damage: &[Span], out: &mut Vec<Diagnostic>) -> Matrix {
        let extends = std::mem::take(&mut section.extends);
        let body = std::mem::take(&mut section.body);
        let names = extends.iter().enumerate().rev();
        let mut matrix = Matrix {
            parents: names.map(|(at, name)| (name.text.clone(), at)).collect(),
            shared: section,
            extends,
            axes: Vec::new(),
            by_name: FxHashMap::default(),
            excluded: Vec::new(),
            label: None,
            is_broken: false,
        };
        let known = out.len();
        let mut exclusions = Vec::new();
        for stmt in body {
            match stmt {
                Stmt::Axis(axis) => matrix.add_axis(axis, out),
                Stmt::Block { name, body, span } if name.text == "exclude" => {
                    exclusions.push((body, span));
                }
                Stmt::Set(set) if set.name.text == "name" && set.op == SetOp::Replace => {
                    matrix.label = Some(set.value);
                }
                other => matrix.shared.body.push(other),
            }
        }
        for (body, span) in exclusions {
            matrix.add_exclusion(&body, span, out);
        }
        let all = matrix.shared.span;
        let is_damaged = || {
            damage
                .iter()
                .any(|at| at.file == all.file && (all.start..all.end).contains(&at.start))
        };
        if matrix.axes.is_empty() && is_damaged() {
            matrix.is_broken = true;
            return matrix;
        }
        if matrix.axes.is_empty() && out.len() == known {
            let message = format!("the matrix `{}` has no axis", matrix.shared.name.text);
            out.push(
                Diagnostic::new(Code::Required, matrix.shared.name.span, message)
                    .help("add an axis: `axis NAME in [a, b]`; without one, write `image`"),
            );
        }
        matrix.is_broken = out.iter().skip(known).any(Diagnostic::is_error);
        matrix
    }

    fn add_axis(&mut self, axis: Axis, out: &mut Vec<Diagnostic>) {
        let name = axis.name;
        let first = self.by_name.get(&name.text);
        if let Some(first) = first.and_then(|at| self.axes.get(*at)) {
            let message = format!("the axis `{}` is declared twice", name.text);
            out.push(
                Diagnostic::new(Code::DuplicateSetting, name.span, message)
                    .label("declared again here")
                    .related(first.name.span, "first declared here")
                    .help("put all its values into one list"),
            );
            return;
        }
        let parent = self.parents.get(&name.text).copied();
        let mut values = Vec::new();
        let known = out.len();
        match axis.values.kind {
            ExprKind::List(elements) => {
                for value in elements {
                    match label(&value) {
                        Some(label) => values.push(Choice { label, value }),
                        None => out.push(no_label(&value)),
                    }
                }
            }
            ExprKind::Map(entries) => {
                let entries = entries.into_iter();
                values.extend(entries.map(|(key, value)| Choice {
                    label: key.text,
                    value,
                }));
            }
            ExprKind::Missing => {
                // It has been reported.
                self.is_broken = true;
                return;
            }
            _ => {
                let found = Diagnostic::new(
                    Code::TypeMismatch,
                    axis.values.span,
                    "the values of an axis are a list or a map",
                );
                out.push(found.help(
                    "write `[a, b]`, or `{ label = a, other = b }` with a label for the image's name",
                ));
                return;
            }
        }
        if values.is_empty() && out.len() == known {
            let message = format!("the axis `{}` has no values", name.text);
            out.push(
                Diagnostic::new(Code::TypeMismatch, axis.values.span, message)
                    .help("add a value, or remove the axis"),
            );
            return;
        }
        let mut seen: FxHashMap<&str, Span> = FxHashMap::default();
        for choice in &values {
            if let Some(first) = seen.insert(&choice.label, choice.value.span) {
                let message = format!("`{}` is twice among the values of the axis", choice.label);
                out.push(
                    Diagnostic::new(Code::DuplicateSetting, choice.value.span, message)
                        .related(first, "it is here, too")
                        .help("remove one of them"),
                );
            }
        }
        if parent.is_some() {
            for choice in &values {
                if layer(&choice.value).is_none() {
                    let message = format!(
                        "the axis `{}` is in `extends`, so its values are names of layers and images",
                        name.text
                    );
                    let found = Diagnostic::new(Code::TypeMismatch, choice.value.span, message);
                    out.push(found.help("write a name without quotes"));
                }
            }
        }
        let labels = values.iter().map(|choice| Some(choice.label.clone()));
        let texts = values.iter().map(|choice| label(&choice.value));
        let mut by_text = FxHashMap::default();
        for (at, text) in labels.enumerate().chain(texts.enumerate()) {
            if let Some(text) = text {
                by_text.entry(text).or_insert(at);
            }
        }
        self.by_name.insert(name.text.clone(), self.axes.len());
        self.axes.push(Resolved {
            name,
            values,
            by_text,
            parent,
        });
    }

    fn add_exclusion(&mut self, body: &[Stmt], span: Span, out: &mut Vec<Diagnostic>) {
        let mut excluded = Vec::new();
        let before = out.len();
        for stmt in body {
            let Stmt::Set(set) = stmt else {
                out.push(
                    Diagnostic::new(Code::WrongPlace, span, "`exclude` has only values of axes")
                        .help("write `exclude { axis = value, other = [value, value] }`"),
                );
                return;
            };
            let name = &set.name;
            let at = self.by_name.get(&name.text).copied();
            let Some((at, axis)) = at.and_then(|at| Some((at, self.axes.get(at)?))) else {
                let axes = || self.axes.iter().map(|axis| axis.name.text.as_str());
                let message = format!("the matrix has no axis `{}`", name.text);
                let found = Diagnostic::new(Code::UnknownName, name.span, message);
                out.push(match nearest(&name.text, axes()) {
                    Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                        format!("replace it with `{near}`"),
                        name.span,
                        near,
                    ),
                    None => found.help(format!(
                        "its axes are {}",
                        axes().collect::<Vec<_>>().join(", ")
                    )),
                });
                continue;
            };
            let wanted = match &set.value.kind {
                ExprKind::List(elements) => elements.as_slice(),
                _ => std::slice::from_ref(&set.value),
            };
            let mut meant = FxHashSet::default();
            for one in wanted {
                let text = label(one);
                match text.as_ref().and_then(|text| axis.by_text.get(text)) {
                    Some(found) => {
                        meant.insert(*found);
                    }
                    None => {
                        // The first ones get suggestions.
                        let text = text.as_deref().filter(|_| out.len() < MAX_SUGGESTED);
                        out.push(no_such_value(axis, one, text));
                    }
                }
            }
            excluded.push((at, meant));
        }
        if excluded.is_empty() && out.len() == before {
            out.push(
                Diagnostic::new(Code::Required, span, "this `exclude` names no axis")
                    .help("write `exclude { axis = value }`"),
            );
            return;
        }
        self.excluded.push(excluded);
    }

    /// The layer that the images share, then the layers of the values.
    fn layers(self) -> impl Iterator<Item = Section> {
        let matrix = self.shared.name.text.clone();
        let values = self.axes.into_iter().filter(|axis| axis.parent.is_none());
        let values = values.flat_map(move |axis| {
            let (matrix, name) = (matrix.clone(), axis.name);
            axis.values.into_iter().map(move |choice| {
                let span = choice.value.span;
                Section {
                    kind: SectionKind::Axis,
                    name: Ident {
                        text: layer_name(&matrix, &name.text, &choice.label),
                        span,
                    },
                    extends: Vec::new(),
                    body: vec![Stmt::Set(Set {
                        name: name.clone(),
                        op: SetOp::Replace,
                        value: choice.value,
                        is_final: false,
                        span,
                    })],
                    doc: None,
                    span,
                }
            })
        });
        std::iter::once(self.shared).chain(values)
    }

    /// The images: one for each combination that is not excluded, the last axis fastest.
    ///
    /// # Errors
    /// If there are too many, or if their names are not names or not distinct; nothing where an error has been reported.
    fn images(&mut self, known: &mut Counts) -> Result<Vec<Section>, Option<Box<Diagnostic>>> {
        if self.is_broken {
            return Err(None);
        }
        let matrix = &self.shared.name;
        let product = self.axes.iter().fold(1_usize, |product, axis| {
            product.saturating_mul(axis.values.len())
        });
        let factors = self.axes.iter().map(|axis| axis.values.len().to_string());
        let factors = factors.collect::<Vec<_>>().join(" × ");
        if product > MAX_COMBINATIONS {
            let message = format!(
                "the matrix `{}` has {factors} combinations, and the limit is {MAX_COMBINATIONS}",
                matrix.text
            );
            return Err(Some(Box::new(
                Diagnostic::new(Code::TooLarge, matrix.span, message)
                    .help("remove values, or write several matrices"),
            )));
        }
        if product.saturating_mul(self.excluded.len()) > MAX_TRIED {
            let message = format!(
                "the matrix `{}` has {} exclusions for {factors} combinations, which are too many to try",
                matrix.text,
                self.excluded.len()
            );
            return Err(Some(Box::new(
                Diagnostic::new(Code::TooLarge, matrix.span, message)
                    .help("name several values in one `exclude`, or write several matrices"),
            )));
        }
        let wanted: Vec<usize> = (0..product).filter(|at| !self.is_excluded(*at)).collect();
        if wanted.is_empty() {
            let message = format!("the matrix `{}` excludes all its combinations", matrix.text);
            return Err(Some(Box::new(
                Diagnostic::new(Code::Required, matrix.span, message)
                    .help("remove an `exclude`, or remove the matrix"),
            )));
        }
        if wanted.len() + known.images > MAX_IMAGES {
            let message = format!(
                "the matrix `{}` has {} images ({factors}), and the limit for the matrices of a command is {MAX_IMAGES}",
                matrix.text,
                wanted.len()
            );
            return Err(Some(Box::new(
                Diagnostic::new(Code::TooLarge, matrix.span, message)
                    .help("exclude combinations, remove values, or check fewer files at a time"),
            )));
        }
        let parents = self.extends.len() + self.axes.len() + 1;
        let all = wanted.len().saturating_mul(parents);
        if all.saturating_add(known.parents) > MAX_NODES {
            let message = format!(
                "the matrix `{}` has {} images with {parents} layers each",
                matrix.text,
                wanted.len()
            );
            return Err(Some(Box::new(
                Diagnostic::new(Code::TooLarge, matrix.span, message)
                    .help("put several layers into one: `layer NAME extends A, B { }`"),
            )));
        }
        known.images += wanted.len();
        known.parents += all;
        let mut names: FxHashMap<SmolStr, usize> = FxHashMap::default();
        let mut images = Vec::with_capacity(wanted.len());
        for at in wanted {
            let choices = self.combination(at);
            let name = self.name_of(&choices).map_err(Some)?;
            if let Some(first) = names.insert(name.clone(), at) {
                return Err(Some(self.report_same_name(&name, first, at)));
            }
            images.push(self.image(name, &choices));
        }
        Ok(images)
    }

    /// For each axis the place of its value.
    fn combination(&self, mut at: usize) -> Vec<usize> {
        let mut choices = vec![0; self.axes.len()];
        for (axis, choice) in self.axes.iter().zip(&mut choices).rev() {
            *choice = at % axis.values.len();
            at /= axis.values.len();
        }
        choices
    }

    fn is_excluded(&self, at: usize) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        let choices = self.combination(at);
        let is_meant = |(axis, meant): &(usize, FxHashSet<usize>)| {
            choices
                .get(*axis)
                .is_some_and(|choice| meant.contains(choice))
        };
        self.excluded.iter().any(|all| all.iter().all(is_meant))
    }

    fn choices<'m>(
        &'m self,
        choices: &'m [usize],
    ) -> impl Iterator<Item = (&'m Resolved, &'m Choice)> {
        let pairs = self.axes.iter().zip(choices);
        pairs.filter_map(|(axis, choice)| Some((axis, axis.values.get(*choice)?)))
    }

    fn name_of(&self, choices: &[usize]) -> Result<SmolStr, Box<Diagnostic>> {
        let labels = || {
            self.choices(choices)
                .map(|(_, choice)| choice.label.as_str())
        };
        let Some(written) = &self.label else {
            let mut name = self.shared.name.text.to_string();
            for label in labels() {
                name.push('-');
                name.push_str(label);
            }
            return self.expect_name(name, self.shared.name.span);
        };
        let mut name = String::new();
        match &written.kind {
            ExprKind::Str(text) => name.push_str(text),
            ExprKind::Interpolated(parts) => {
                for part in parts {
                    match part {
                        Part::Text(text) => name.push_str(text),
                        Part::Interpolation(expr) => name.push_str(self.label_of(expr, choices)?),
                    }
                }
            }
            _ => {
                let message = "the name of a matrix's images is a string with its axes";
                let found = Diagnostic::new(Code::TypeMismatch, written.span, message)
                    .help(format!("write `name = \"{}\"`", self.example()));
                return Err(Box::new(found));
            }
        }
        self.expect_name(name, written.span)
    }

    /// What stands for an axis in the image's name.
    fn label_of(&self, expr: &Expr, choices: &[usize]) -> Result<&str, Box<Diagnostic>> {
        let named = match &expr.kind {
            ExprKind::Name(name) => Some(name),
            _ => None,
        };
        for (axis, choice) in self.axes.iter().zip(choices) {
            if named == Some(&axis.name.text)
                && let Some(choice) = axis.values.get(*choice)
            {
                return Ok(&choice.label);
            }
        }
        let message = "only an axis can be in the name of a matrix's images";
        let found = Diagnostic::new(Code::UnknownName, expr.span, message);
        let axes = self.axes.iter().map(|axis| axis.name.text.as_str());
        Err(Box::new(match named.and_then(|name| nearest(name, axes)) {
            Some(near) => found.label(format!("did you mean `{near}`?")).fix(
                format!("replace it with `{near}`"),
                expr.span,
                near,
            ),
            None => found.help(format!("write `name = \"{}\"`", self.example())),
        }))
    }

    /// A form of `name` with all axes.
    fn example(&self) -> String {
        let axes = self
            .axes
            .iter()
            .map(|axis| format!("-${{{}}}", axis.name.text));
        format!("{}{}", self.shared.name.text, axes.collect::<String>())
    }

    fn expect_name(&self, name: String, span: Span) -> Result<SmolStr, Box<Diagnostic>> {
        if name.len() > MAX_NAME {
            let message = format!(
                "the name of an image would have {} characters, and the limit is {MAX_NAME}",
                name.len()
            );
            return Err(Box::new(
                Diagnostic::new(Code::TooLarge, span, message)
                    .help("give the values short labels: `axis NAME in { label = value }`"),
            ));
        }
        if is_name(&name) {
            return Ok(name.into());
        }
        let message = format!("`{name}` cannot be the name of an image");
        Err(Box::new(Diagnostic::new(Code::Syntax, span, message).help(
            "a name contains letters, digits, `-`, `_` and `.`; give the values labels: `axis NAME in { label = value }`",
        )))
    }

    fn report_same_name(&self, name: &str, first: usize, second: usize) -> Box<Diagnostic> {
        let differs = self
            .axes
            .iter()
            .zip(
                self.combination(first)
                    .into_iter()
                    .zip(self.combination(second)),
            )
            .find(|(_, (a, b))| a != b);
        let axis = differs.map_or("", |(axis, _)| axis.name.text.as_str());
        let span = self
            .label
            .as_ref()
            .map_or(self.shared.name.span, |l| l.span);
        let message = format!("two images of the matrix have the name `{name}`");
        Box::new(Diagnostic::new(Code::DuplicateName, span, message).help(format!(
            "they differ in the axis `{axis}`: put it into the name, `name = \"{}\"`, or give its values other labels",
            self.example()
        )))
    }

    fn image(&self, name: SmolStr, choices: &[usize]) -> Section {
        let shared = &self.shared;
        let mut extends = self.extends.clone();
        let own = |span| Ident {
            text: shared.name.text.clone(),
            span,
        };
        for (axis, choice) in self.choices(choices) {
            let place = axis.parent.and_then(|at| extends.get_mut(at));
            if let (Some(place), Some(layer)) = (place, layer(&choice.value)) {
                *place = layer;
            }
        }
        extends.push(own(shared.name.span));
        for (axis, choice) in self
            .choices(choices)
            .filter(|(axis, _)| axis.parent.is_none())
        {
            extends.push(Ident {
                text: layer_name(&shared.name.text, &axis.name.text, &choice.label),
                span: choice.value.span,
            });
        }
        Section {
            kind: SectionKind::Image,
            name: Ident {
                text: name,
                span: shared.name.span,
            },
            extends,
            body: Vec::new(),
            doc: shared.doc.clone(),
            span: shared.span,
        }
    }
}

/// The name of the layer of a value; no text can have it.
fn layer_name(matrix: &str, axis: &str, label: &str) -> SmolStr {
    format_smolstr!("{matrix}, {axis} = {label}")
}

/// The text of a value in a name; none for one that needs a label.
fn label(value: &Expr) -> Option<SmolStr> {
    match &value.kind {
        ExprKind::Name(text) | ExprKind::Str(text) | ExprKind::NoInt(text) => Some(text.clone()),
        ExprKind::Int(int) => Some(format_smolstr!("{int}")),
        ExprKind::Bool(flag) => Some(format_smolstr!("{flag}")),
        _ => None,
    }
}

/// The layer or image that a value names.
fn layer(value: &Expr) -> Option<Ident> {
    match &value.kind {
        ExprKind::Name(text) => Some(Ident {
            text: text.clone(),
            span: value.span,
        }),
        _ => None,
    }
}

fn no_label(value: &Expr) -> Diagnostic {
    let message = "this value needs a label for the image's name";
    Diagnostic::new(Code::TypeMismatch, value.span, message)
        .help("write the axis as a map: `axis NAME in { label = value }`")
}

fn no_such_value(axis: &Resolved, at: &Expr, text: Option<&str>) -> Diagnostic {
    let labels = || axis.values.iter().map(|choice| choice.label.as_str());
    let message = format!("the axis `{}` has no such value", axis.name.text);
    let found = Diagnostic::new(Code::UnknownName, at.span, message);
    match text.and_then(|text| nearest(text, labels().take(MAX_SUGGESTED))) {
        Some(near) => found.label(format!("did you mean `{near}`?")),
        None => {
            const SHOWN: usize = 8;
            let mut shown: Vec<&str> = labels().take(SHOWN).collect();
            if axis.values.len() > SHOWN {
                shown.push("…");
            }
            found.help(format!("its values are {}", shown.join(", ")))
        }
    }
}
