//! What the work costs without a language: `floor copy|merge|round-trip …`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["copy", input, sizes, out] => copy(input.as_ref(), sizes.as_ref(), out.as_ref()),
        ["merge", layers, out] => merge(layers.as_ref(), out.as_ref()),
        ["round-trip", input, out] => round_trip(input.as_ref(), out.as_ref()),
        _ => Err("floor copy INPUT SIZES OUT | merge LAYERS OUT | round-trip INPUT OUT".into()),
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

/// Reads every file below `input`, and writes as many files of the same sizes as `sizes` has.
fn copy(input: &Path, sizes: &Path, out: &Path) -> Outcome {
    for file in files(input)? {
        fs::read(file)?;
    }
    for file in files(sizes)? {
        let size = usize::try_from(file.metadata()?.len())?;
        fs::write(
            out.join(file.file_name().ok_or("a name")?),
            vec![b' '; size],
        )?;
    }
    Ok(())
}

fn object(path: &Path) -> Result<Map<String, Value>, Box<dyn Error>> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Lays the JSON layers of each image over one another, puts values for `${name}`, and writes the result.
fn merge(layers: &Path, out: &Path) -> Outcome {
    let base = object(&layers.join("base.json"))?;
    let folder = |name: &str| -> Result<BTreeMap<String, Map<String, Value>>, Box<dyn Error>> {
        let named = |file: PathBuf| -> Result<_, Box<dyn Error>> {
            let stem = file.file_stem().ok_or("a name")?.to_string_lossy();
            Ok((stem.into_owned(), object(&file)?))
        };
        files(&layers.join(name))?.into_iter().map(named).collect()
    };
    let (systems, providers) = (folder("systems")?, folder("providers")?);
    for (name, mut image) in folder("images")? {
        let mut layer = |key: &str| image.remove(key).ok_or("no extends");
        let (system, provider) = (layer("system")?, layer("provider")?);
        let mut merged: BTreeMap<&str, &Value> = BTreeMap::new();
        let system = &systems[system.as_str().ok_or("a name")?];
        let provider = &providers[provider.as_str().ok_or("a name")?];
        for layer in [&base, system, provider, &image] {
            merged.extend(layer.iter().map(|(name, value)| (name.as_str(), value)));
        }
        let filled: BTreeMap<&str, Value> = merged
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) if text.contains("${") => (*name, fill(text, &merged).into()),
                value => (*name, (*value).clone()),
            })
            .collect();
        fs::write(
            out.join(format!("{name}.json")),
            serde_json::to_vec(&filled)?,
        )?;
    }
    Ok(())
}

fn fill(text: &str, values: &BTreeMap<&str, &Value>) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        filled += values[name].as_str().unwrap_or_default();
        filled += rest;
    }
    filled
}

fn round_trip(input: &Path, out: &Path) -> Outcome {
    let value: Value = serde_json::from_slice(&fs::read(input)?)?;
    fs::write(out, serde_json::to_vec(&value)?)?;
    Ok(())
}
