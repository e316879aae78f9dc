//! The library's defaults as Packer var files, in the arrangement of Image Builder's `packer/config`.

use crate::emit::packer_string;
use crate::eval::Image;
use crate::project::hir::*;
use crate::schema::{Base, Receivers, encode};
use crate::source::Origin;
use std::collections::BTreeMap;
use std::path::Path;

/// File names, relative to `config`, with their variables. `plain` is an image without layers; of
/// `windows` the library's layers count; their files are in `windows/`.
pub fn default_files(
    plain: &Image<'_>,
    windows: &Image<'_>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut out: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for id in plain.ids().iter().copied() {
        let variable = plain.program.variable(id);
        let Some(default) = variable
            .default
            .as_ref()
            .filter(|_| is_listed(plain, variable))
        else {
            continue;
        };
        let text = match written(plain, default, variable) {
            Some(text) => text,
            // A condition or a function: what it gives where nothing is set.
            None => match plain.default_value(id) {
                Some(value) => packer_string(&encode(&value, variable.encoding)),
                None => continue,
            },
        };
        out.entry(file(plain, variable))
            .or_default()
            .insert(variable.name.to_string(), text);
    }
    for id in windows.ids().iter().copied() {
        let variable = windows.program.variable(id);
        let Some(active) = windows.winner(id).filter(|_| is_listed(windows, variable)) else {
            continue;
        };
        let is_library =
            windows.program.sources.origin(active.setting.span.file) == Origin::Library;
        if let (true, Some(text)) = (
            is_library,
            written(windows, &active.setting.value, variable),
        ) {
            let file = format!("windows/{}", file(windows, variable));
            out.entry(file)
                .or_default()
                .insert(variable.name.to_string(), text);
        }
    }
    out
}

fn is_listed(image: &Image<'_>, variable: &Variable) -> bool {
    variable.is_declared()
        && variable.to.has(Receivers::PACKER)
        && image.program.sources.origin(variable.span.file) == Origin::Library
}

/// The file of a variable: that of its room in the library, where Image Builder has one of that name.
fn file(image: &Image<'_>, variable: &Variable) -> String {
    const ROOMS: [(&str, &str); 5] = [
        ("cni", "cni"),
        ("components", "additional_components"),
        ("containerd", "containerd"),
        ("goss", "goss-args"),
        ("kubernetes", "kubernetes"),
    ];
    if matches!(variable.ty.base, Base::Args) {
        return "ansible-args.json".to_owned();
    }
    let path: &Path = &image.program.sources.get(variable.span.file).path;
    let room = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let name = ROOMS
        .iter()
        .find(|(own, _)| *own == room)
        .map_or("common", |(_, theirs)| theirs);
    format!("{name}.json")
}

/// An expression in Packer's own spelling, where it has one.
fn written(image: &Image<'_>, expr: &Expr, variable: &Variable) -> Option<String> {
    match &expr.kind {
        ExprKind::Const(value) => Some(packer_string(&encode(value, variable.encoding))),
        ExprKind::Variable(id) | ExprKind::Encoded(id) => Some(format!(
            "{{{{user `{}`}}}}",
            image.program.variable(*id).name
        )),
        ExprKind::Packer(template, _) => Some(template.to_string()),
        ExprKind::Concat(parts) => parts
            .iter()
            .map(|part| written(image, part, variable))
            .collect(),
        _ => None,
    }
}
