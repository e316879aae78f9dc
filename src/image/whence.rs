//! From a built image back to the files and lines of its values.

use crate::emit::{Act, Provenance, Trace};
use crate::source::{hex, visible_line};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// A source that is not what it was when the image was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path from the project's root.
    pub path: String,
    /// The file is no longer there.
    pub is_gone: bool,
}

/// Compares the sources of an image with those of the project, which `read` reads. Returns none if the project has none of them:
/// then it is another one.
///
/// A source outside of the project is not compared, and neither is one that contains a secret.
pub fn changes(
    provenance: &Provenance,
    read: impl Fn(&str) -> Option<Vec<u8>>,
) -> Option<Vec<Change>> {
    let is_inside = |path: &str| {
        let mut parts = path.split(['/', '\\']);
        !path.is_empty() && parts.all(|part| !matches!(part, "" | "..")) && !path.contains(':')
    };
    let sources = provenance.sources.iter();
    let sources = sources.filter(|(path, sum)| is_inside(path) && sum.len() == 64);
    let (mut out, mut is_ours) = (Vec::new(), false);
    for (path, sum) in sources {
        let now = read(path);
        is_ours |= now.is_some();
        if now
            .as_ref()
            .is_none_or(|now| hex(&Sha256::digest(now)) != *sum)
        {
            out.push(Change {
                path: path.clone(),
                is_gone: now.is_none(),
            });
        }
    }
    is_ours.then_some(out)
}

/// Describes the values of an image, or one of them, as text.
pub fn describe(
    provenance: &Provenance,
    id: Option<&str>,
    variable: Option<&Trace>,
    name: &str,
) -> String {
    let mut out = String::new();
    let Some(trace) = variable else {
        let line = [&provenance.image, &provenance.target, &provenance.release];
        let [image, target, release] = line.map(|text| visible_line(text));
        let _ = writeln!(out, "# {image}: {target}, Image Builder {release}");
        if let Some(id) = id {
            let _ = writeln!(out, "# id {}", visible_line(id));
        }
        describe_all(provenance, &mut out);
        return out;
    };
    let _ = writeln!(
        out,
        "{} = {}    # in {}\n",
        visible_line(name),
        visible_line(&trace.value.to_string()),
        visible_line(&provenance.image)
    );
    let width = trace.set_by.iter().map(|step| step.does.word().len());
    let width = width.max().unwrap_or_default().max(5);
    for step in &trace.set_by {
        let value = match step.does {
            Act::Unsets => String::new(),
            _ => visible_line(&step.value.to_string()).into_owned() + "    ",
        };
        let when = step
            .when
            .as_ref()
            .map(|when| format!(", when {}", visible_line(when)));
        let _ = writeln!(
            out,
            "  {:width$} {value}{}{}  ({}:{}:{})",
            step.does.word(),
            visible_line(&step.layer),
            when.unwrap_or_default(),
            visible_line(&step.file),
            step.line,
            step.column
        );
    }
    out
}

fn describe_all(provenance: &Provenance, out: &mut String) {
    let rows: Vec<[String; 3]> = provenance
        .variables
        .iter()
        .map(|(name, trace)| {
            let place = trace
                .set_by
                .first()
                .map(|step| match (step.does, step.layer.as_str()) {
                    (Act::Sets, "default") => step.layer.clone(),
                    (Act::Unsets, layer) => {
                        format!("unset in {layer} ({}:{})", step.file, step.line)
                    }
                    (_, layer) => format!("{layer} ({}:{})", step.file, step.line),
                });
            [
                visible_line(name).into_owned(),
                visible_line(&trace.value.to_string()).into_owned(),
                visible_line(&place.unwrap_or_else(|| "no setting".to_owned())).into_owned(),
            ]
        })
        .collect();
    let width = rows
        .iter()
        .map(|[name, ..]| name.len())
        .max()
        .unwrap_or_default();
    let width = width.min(crate::source::MAX_SHOWN);
    for [name, value, place] in rows {
        let _ = writeln!(out, "{name:width$} = {value}    # {place}");
    }
}
