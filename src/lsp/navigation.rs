//! The names in a file, and the name and the section at an offset.

use crate::diagnostic::Code;
use crate::project::Program;
use crate::project::hir::{Function, Owner};
use crate::source::{FileId, Span};
use crate::syntax::ast::*;
use smol_str::SmolStr;

/// A name, by what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// A layer or an image.
    Section(&'a str),
    Variable(&'a str),
    Provider(&'a str),
    Rule(&'a str),
    Probe(&'a str),
    /// The code of a diagnostic.
    Code(Code),
    /// An entry of an `ansible` or `packer` block.
    Entry(Owner, &'a str),
    Type(&'a str),
    Function(Function),
    /// The path of an `include`.
    Include(&'a str),
}

/// The name at an offset, with its span.
pub(super) fn name_at(file: &File, offset: u32) -> Option<(Named<'_>, Span)> {
    let mut found = None;
    for_each_name(file, &mut |named, span| {
        if span.start <= offset && offset <= span.end {
            found = Some((named, span));
        }
    });
    found
}

/// The name at an offset, or in a comment there that allows diagnostics.
pub(super) fn name_or_comment_at<'a>(
    program: &'a Program,
    file: &'a File,
    id: FileId,
    offset: u32,
) -> Option<(Named<'a>, Span)> {
    let is_here = |span: Span| span.start <= offset && offset <= span.end;
    let in_comment = || allowed(program, id).find(|(_, span)| is_here(*span));
    name_at(file, offset).or_else(in_comment)
}

/// The names in the comments of a file that allow diagnostics.
pub(super) fn allowed(program: &Program, file: FileId) -> impl Iterator<Item = (Named<'_>, Span)> {
    let comments = program.allows.iter();
    let own = comments.filter(move |allow| allow.span.file == file);
    let names = own.flat_map(|allow| &allow.names);
    names.map(|name| (code_or_rule(&name.text), name.span))
}

/// What a diagnostic is called: by its code, or by the rule that reports it.
fn code_or_rule(name: &str) -> Named<'_> {
    Code::parse(name).map_or(Named::Rule(name), Named::Code)
}

/// The layer, image, provider, rule or probe around an offset.
pub(super) fn section_at(file: &File, offset: u32) -> Option<&Section> {
    file.items.iter().find_map(|item| match item {
        Item::Section(section) if section.span.start <= offset && offset <= section.span.end => {
            Some(section)
        }
        _ => None,
    })
}

/// Calls `visit` with every name of a file.
pub(super) fn for_each_name<'a>(file: &'a File, visit: &mut impl FnMut(Named<'a>, Span)) {
    for item in &file.items {
        match item {
            Item::Include(include) => {
                visit(Named::Include(&include.path.text), include.path.span);
                if let Some(name) = &include.name {
                    visit(Named::Section(&name.text), name.span);
                }
            }
            Item::Type(ty) => {
                visit(Named::Type(&ty.name.text), ty.name.span);
                visit_type(&ty.ty, visit);
            }
            Item::Variable(variable) => {
                visit(Named::Variable(&variable.name.text), variable.name.span);
                variable.ty.iter().for_each(|ty| visit_type(ty, visit));
                variable
                    .default
                    .iter()
                    .for_each(|default| visit_expr(default, visit));
                for stmt in &variable.attributes {
                    if let Stmt::Set(set) = stmt {
                        visit_expr(&set.value, visit);
                    }
                }
            }
            Item::Section(section) => {
                match section.kind {
                    SectionKind::Image
                    | SectionKind::Layer
                    | SectionKind::Matrix
                    | SectionKind::Axis => {
                        visit(Named::Section(&section.name.text), section.name.span)
                    }
                    SectionKind::Provider => {
                        visit(Named::Provider(&section.name.text), section.name.span)
                    }
                    SectionKind::Rule => visit(Named::Rule(&section.name.text), section.name.span),
                    SectionKind::Probe => {
                        visit(Named::Probe(&section.name.text), section.name.span)
                    }
                }
                let axes = axes_of_layers(section);
                for_each_parent(section, &mut |name, span| visit(Named::Section(name), span));
                let sets = match section.kind {
                    SectionKind::Image | SectionKind::Layer | SectionKind::Matrix => {
                        Sets::Variables
                    }
                    _ => Sets::Attributes,
                };
                for stmt in &section.body {
                    match stmt {
                        // Its values are parents.
                        Stmt::Axis(axis) if axes.contains(&axis.name.text) => {}
                        // The names in it are axes and their values.
                        Stmt::Block { name, .. } if name.text == "exclude" => {}
                        Stmt::Set(set)
                            if section.kind == SectionKind::Matrix && set.name.text == "name" => {}
                        _ => visit_body(std::slice::from_ref(stmt), sets, visit),
                    }
                }
            }
            Item::Test(test) => {
                visit_patterns(&test.patterns, visit);
                visit_body(&test.body, Sets::Variables, visit);
            }
            Item::Waiver(waiver) => {
                visit(Named::Rule(&waiver.rule.text), waiver.rule.span);
                visit_patterns(&waiver.patterns, visit);
            }
        }
    }
}

/// The names in the `extends` of a matrix that are axes: the values of such an axis are layers and images.
fn axes_of_layers(section: &Section) -> Vec<SmolStr> {
    let is_parent = |name: &SmolStr| section.extends.iter().any(|parent| parent.text == *name);
    let axes = section.body.iter().filter_map(|stmt| match stmt {
        Stmt::Axis(axis) => Some(&axis.name.text),
        _ => None,
    });
    axes.filter(|name| is_parent(name)).cloned().collect()
}

/// Calls `visit` with every layer and image that a section extends: the names behind `extends`, and for one that is an axis
/// the values of the axis.
pub(super) fn for_each_parent<'a>(section: &'a Section, visit: &mut impl FnMut(&'a str, Span)) {
    let axes = axes_of_layers(section);
    let parents = section.extends.iter();
    for parent in parents.filter(|parent| !axes.contains(&parent.text)) {
        visit(&parent.text, parent.span);
    }
    for stmt in &section.body {
        if let Stmt::Axis(axis) = stmt
            && axes.contains(&axis.name.text)
        {
            visit_layers(&axis.values, visit);
        }
    }
}

/// The layers and images among the values of an axis.
fn visit_layers<'a>(values: &'a Expr, visit: &mut impl FnMut(&'a str, Span)) {
    let mut see = |value: &'a Expr| {
        if let ExprKind::Name(name) = &value.kind {
            visit(name, value.span);
        }
    };
    match &values.kind {
        ExprKind::List(elements) => elements.iter().for_each(see),
        ExprKind::Map(entries) => entries.iter().for_each(|(_, value)| see(value)),
        _ => {}
    }
}

/// What the settings of a body name.
#[derive(Debug, Clone, Copy)]
enum Sets {
    Variables,
    Entries(Owner),
    Attributes,
}

fn visit_body<'a>(body: &'a [Stmt], sets: Sets, visit: &mut impl FnMut(Named<'a>, Span)) {
    for stmt in body {
        match stmt {
            Stmt::Set(set) => {
                match sets {
                    Sets::Variables => visit(Named::Variable(&set.name.text), set.name.span),
                    Sets::Entries(owner) => {
                        visit(Named::Entry(owner, &set.name.text), set.name.span)
                    }
                    Sets::Attributes => {}
                }
                visit_expr(&set.value, visit);
            }
            Stmt::Unset { name, .. } => visit(Named::Variable(&name.text), name.span),
            Stmt::When {
                condition, body, ..
            } => {
                visit_expr(condition, visit);
                visit_body(body, sets, visit);
            }
            Stmt::Axis(axis) => {
                visit(Named::Variable(&axis.name.text), axis.name.span);
                visit_expr(&axis.values, visit);
            }
            Stmt::Block { name, body, .. } if name.text == "target" => visit_target(body, visit),
            Stmt::Block { name, body, .. } => {
                let sets = match name.text.as_str() {
                    "ansible" => Sets::Entries(Owner::Ansible),
                    "packer" => Sets::Entries(Owner::Packer),
                    _ => Sets::Variables,
                };
                visit_body(body, sets, visit);
            }
            Stmt::Assert {
                condition, reason, ..
            } => {
                visit_expr(condition, visit);
                reason.iter().for_each(|reason| visit_expr(reason, visit));
            }
            Stmt::Expect { code, at, .. } => {
                visit(code_or_rule(&code.text), code.span);
                if let Some(name) = at {
                    visit(Named::Variable(&name.text), name.span);
                }
            }
            Stmt::Snapshot { .. } => {}
        }
    }
}

/// Visits the names of images and layers after `for`. A glob is no name, and a quoted name is not one that is replaced.
fn visit_patterns<'a>(patterns: &'a [Ident], visit: &mut impl FnMut(Named<'a>, Span)) {
    for pattern in patterns {
        let is_bare = (pattern.span.end - pattern.span.start) as usize == pattern.text.len();
        if is_bare && !pattern.text.contains(['*', '?']) {
            visit(Named::Section(&pattern.text), pattern.span);
        }
    }
}

fn visit_target<'a>(body: &'a [Stmt], visit: &mut impl FnMut(Named<'a>, Span)) {
    for stmt in body {
        let Stmt::Set(set) = stmt else { continue };
        match (set.name.text.as_str(), &set.value.kind) {
            ("provider", ExprKind::Name(name)) => visit(Named::Provider(name), set.value.span),
            ("above", ExprKind::List(elements)) => {
                for element in elements {
                    if let ExprKind::Name(name) = &element.kind {
                        visit(Named::Section(name), element.span);
                    }
                }
            }
            ("vars", ExprKind::Map(pairs)) => {
                for (name, value) in pairs {
                    visit(Named::Variable(&name.text), name.span);
                    visit_expr(value, visit);
                }
            }
            _ => {}
        }
    }
}

fn visit_type<'a>(ty: &'a TypeExpr, visit: &mut impl FnMut(Named<'a>, Span)) {
    match &ty.kind {
        TypeKind::Named(name) => {
            visit(
                Named::Type(name),
                Span::new(
                    ty.span.file,
                    ty.span.start,
                    ty.span.start + name.len() as u32,
                ),
            );
        }
        TypeKind::List(element) | TypeKind::Map(element) => visit_type(element, visit),
        TypeKind::OneOf(_) | TypeKind::Missing => {}
    }
}

fn visit_expr<'a>(expr: &'a Expr, visit: &mut impl FnMut(Named<'a>, Span)) {
    match &expr.kind {
        ExprKind::Name(name) => visit(Named::Variable(name), expr.span),
        ExprKind::Interpolated(parts) => {
            for part in parts {
                if let Part::Interpolation(interpolation) = part {
                    visit_expr(interpolation, visit);
                }
            }
        }
        ExprKind::Call { name, args } => {
            if let Some(function) = Function::parse(&name.text) {
                visit(Named::Function(function), name.span);
            }
            args.iter().for_each(|arg| visit_expr(arg, visit));
        }
        ExprKind::List(elements) => elements.iter().for_each(|e| visit_expr(e, visit)),
        ExprKind::Map(pairs) => pairs.iter().for_each(|(_, e)| visit_expr(e, visit)),
        ExprKind::If(parts) => parts.iter().for_each(|e| visit_expr(e, visit)),
        ExprKind::Not(inner) => visit_expr(inner, visit),
        ExprKind::Binary(_, sides) => sides.iter().for_each(|e| visit_expr(e, visit)),
        ExprKind::Missing
        | ExprKind::Bool(_)
        | ExprKind::Int(_)
        | ExprKind::NoInt(_)
        | ExprKind::Str(_) => {}
    }
}
