//! What is run on each work, and what must come of it.

use crate::languages::as_string;
use crate::model::{self, Fleet, IMAGES};
use crate::ours::MANY;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

#[derive(Clone, Copy, PartialEq)]
pub enum Output {
    /// Nothing is compared: a check, a validator, a floor.
    Nothing,
    /// An object with the image, or with one entry that is the image.
    Image,
    /// An object with all images or blocks.
    All,
    /// A file `IMAGE.json` for each image.
    Files,
    /// imgspec's `IMAGE/packer.vars.json`, where all values are strings.
    PackerVars,
    /// imgspec's `BLOCK/ansible.vars.json`.
    AnsibleVars,
    /// So many folders.
    Folders(usize),
}

pub struct Row {
    pub work: &'static str,
    /// The name of the program in `target/peers/bin`, `imgspec`, or `floor`.
    pub peer: &'static str,
    pub note: &'static str,
    /// The folder below the work's.
    pub folder: &'static str,
    /// Its words; `OUT` is the output folder.
    pub command: &'static str,
    pub output: Output,
}

/// What each work is. The first row of a work is what the others are compared with.
pub const WORKS: [(&str, &str); 7] = [
    ("W1", "one image of 250 variables, four layers"),
    ("W2", "a fleet of 1,000 such images"),
    ("W3", "one file of 10 MB, 2,000 blocks of 50 assignments"),
    ("W4", "a trivial file"),
    ("W5", "one image on the library of a release"),
    ("W6", "one image on an adopted checkout"),
    (
        "W7",
        "images on the AMI, OVA, QEMU and raw targets of a release",
    ),
];

macro_rules! rows {
    ($($work:literal $peer:literal $note:literal $folder:literal $command:literal $output:expr;)*) => {
        &[$(Row { work: $work, peer: $peer, note: $note, folder: $folder, command: $command, output: $output }),*]
    };
}

use Output::{All, AnsibleVars, Files, Folders, Image, Nothing, PackerVars};

pub const ROWS: &[Row] = rows! {
    "W1" "imgspec" "compile" "imgspec" "imgspec compile images/img0000.imgspec --out OUT" PackerVars;
    "W1" "imgspec" "check" "imgspec" "imgspec check images/img0000.imgspec" Nothing;
    "W1" "floor" "hello" "" "hello" Nothing;
    "W1" "floor" "native merge of JSON" "json" "floor merge layers OUT" Files;
    "W1" "jrsonnet" "unchecked" "jsonnet" "jrsonnet main.jsonnet" Image;
    "W1" "jrsonnet" "checks written in jsonnet" "jsonnet" "jrsonnet checked.jsonnet" Image;
    "W1" "rsjsonnet" "unchecked" "jsonnet" "rsjsonnet main.jsonnet" Image;
    "W1" "go-jsonnet" "unchecked" "jsonnet" "go-jsonnet main.jsonnet" Image;
    "W1" "pkl" "checks" "pkl" "pkl eval main.pkl" Image;
    "W1" "nickel" "checks" "nickel" "nickel export main.ncl" Image;
    "W1" "cue" "checks" "cue" "cue export main.cue" Image;
    "W1" "kcl" "checks, from Python" "kcl" "kcl" Image;
    "W1" "dhall" "types only, no late binding" "dhall" "dhall --file main.dhall" Image;
    "W1" "jsonschema-cli" "validates merged JSON" "json" "jsonschema-cli validate schema.json -i all.json" Nothing;
    "W1" "packer" "validate, with its layers" "packer" "packer validate -var-file=layer0.json -var-file=layer1.json -var-file=layer2.json -var-file=layer3.json packer.json" Nothing;

    "W2" "imgspec" "compile" "imgspec" "imgspec compile --out OUT" PackerVars;
    "W2" "imgspec" "check" "imgspec" "imgspec check" Nothing;
    "W2" "floor" "copy" "json" "floor copy layers merged OUT" Nothing;
    "W2" "floor" "native merge of JSON" "json" "floor merge layers OUT" Files;
    "W2" "jrsonnet" "unchecked" "jsonnet" "jrsonnet -m OUT main.jsonnet" Files;
    "W2" "jrsonnet" "checks written in jsonnet" "jsonnet" "jrsonnet -m OUT checked.jsonnet" Files;
    "W2" "rsjsonnet" "unchecked" "jsonnet" "rsjsonnet -m OUT main.jsonnet" Files;
    "W2" "go-jsonnet" "unchecked" "jsonnet" "go-jsonnet -m OUT main.jsonnet" Files;
    "W2" "pkl" "checks" "pkl" "pkl eval -m OUT main.pkl" Files;
    "W2" "nickel" "checks" "nickel" "nickel export main.ncl" All;
    "W2" "cue" "checks" "cue" "cue export main.cue" All;
    "W2" "kcl" "checks, from Python" "kcl" "kcl" All;
    "W2" "dhall" "types only, no late binding" "dhall" "dhall --file main.dhall" All;
    "W2" "jsonschema-cli" "validates merged JSON" "json" "jsonschema-cli validate schema.json -i all.json" Nothing;

    "W3" "imgspec" "compile" "imgspec" "imgspec compile main.imgspec --out OUT" AnsibleVars;
    "W3" "imgspec" "check" "imgspec" "imgspec check main.imgspec" Nothing;
    "W3" "floor" "round trip through serde_json" "" "floor round-trip main.json OUT/all.json" Nothing;
    "W3" "jrsonnet" "unchecked" "" "jrsonnet main.jsonnet" All;
    "W3" "rsjsonnet" "unchecked" "" "rsjsonnet main.jsonnet" All;
    "W3" "go-jsonnet" "unchecked" "" "go-jsonnet main.jsonnet" All;
    "W3" "pkl" "unchecked" "" "pkl eval main.pkl" All;
    "W3" "nickel" "unchecked" "" "nickel export main.ncl" All;
    "W3" "cue" "unchecked" "" "cue export main.cue" All;
    "W3" "kcl" "unchecked, from Python" "" "kcl main.k" All;
    "W3" "dhall" "types only" "" "dhall --file main.dhall" All;

    "W4" "imgspec" "check, release v0.1.13" "v0.1.13" "imgspec check main.imgspec" Nothing;
    "W4" "imgspec" "check, release v0.1.55" "v0.1.55" "imgspec check main.imgspec" Nothing;
    "W4" "floor" "hello" "" "hello" Nothing;
    "W4" "jrsonnet" "" "" "jrsonnet main.jsonnet" Nothing;
    "W4" "rsjsonnet" "" "" "rsjsonnet main.jsonnet" Nothing;
    "W4" "go-jsonnet" "" "" "go-jsonnet main.jsonnet" Nothing;
    "W4" "pkl" "" "" "pkl eval main.pkl" Nothing;
    "W4" "nickel" "" "" "nickel export main.ncl" Nothing;
    "W4" "cue" "" "" "cue export main.cue" Nothing;
    "W4" "kcl" "from Python" "" "kcl main.k" Nothing;
    "W4" "dhall" "" "" "dhall --file main.dhall" Nothing;
    "W4" "jsonschema-cli" "" "" "jsonschema-cli validate schema.json -i main.json" Nothing;
    "W4" "packer" "validate" "" "packer validate packer.json" Nothing;

    "W5" "imgspec" "compile, release v0.1.13" "v0.1.13" "imgspec compile main.imgspec --out OUT" Folders(1);
    "W5" "imgspec" "compile, release v0.1.55" "v0.1.55" "imgspec compile main.imgspec --out OUT" Folders(1);
    "W5" "imgspec" "check, release v0.1.55" "v0.1.55" "imgspec check main.imgspec" Nothing;

    "W6" "imgspec" "compile" "project" "imgspec compile main.imgspec --out OUT" Folders(1);
    "W6" "imgspec" "check" "project" "imgspec check main.imgspec" Nothing;

    "W7" "imgspec" "compile 10,000 images, release v0.1.13" "v0.1.13-10000" "imgspec compile --out OUT" Folders(MANY[1]);
    "W7" "imgspec" "compile 100 images, release v0.1.13" "v0.1.13-100" "imgspec compile --out OUT" Folders(MANY[0]);
    "W7" "imgspec" "compile 10,000 images, release v0.1.55" "v0.1.55-10000" "imgspec compile --out OUT" Folders(MANY[1]);
    "W7" "imgspec" "compile 100 images, release v0.1.55" "v0.1.55-100" "imgspec compile --out OUT" Folders(MANY[0]);
};

fn read(path: &Path) -> Result<Map<String, Value>, String> {
    let text = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The values that a work must give, by the name of the image or block.
fn expected(work: &str) -> Map<String, Value> {
    let of_fleet = |fleet: Fleet| {
        fleet
            .images
            .iter()
            .map(|i| (i.name.clone(), fleet.values(i).into()))
            .collect()
    };
    match work {
        "W1" => of_fleet(model::fleet(1)),
        "W2" => of_fleet(model::fleet(IMAGES)),
        "W3" => model::blocks()
            .iter()
            .map(|(name, block)| (name.clone(), model::json(block).into()))
            .collect(),
        _ => Map::new(),
    }
}

impl Row {
    /// Compares what the row has written into `out` with the model.
    ///
    /// # Errors
    ///
    /// What differs.
    pub fn compare(&self, out: &Path) -> Result<(), String> {
        if let Folders(wanted) = self.output {
            let there = fs::read_dir(out)
                .map_err(|e| e.to_string())?
                .flatten()
                .filter(|e| e.path().is_dir())
                .count();
            return if there == wanted {
                Ok(())
            } else {
                Err(format!("{there} images instead of {wanted}"))
            };
        }
        if self.output == Nothing {
            return Ok(());
        }
        let printed = match self.output {
            Image | All => read(&out.join("stdout"))?,
            _ => Map::new(),
        };
        for (name, mut wanted) in expected(self.work) {
            let wanted = wanted.as_object_mut().expect("an object");
            let got = match self.output {
                Image if printed.len() == 1 => printed
                    .values()
                    .next()
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
                Image => printed.clone(),
                All => printed
                    .get(&name)
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
                Files => read(&out.join(format!("{name}.json")))?,
                PackerVars => read(&out.join(&name).join("packer.vars.json"))?,
                AnsibleVars => read(&out.join(&name).join("ansible.vars.json"))?,
                Nothing | Folders(_) => Map::new(),
            };
            if self.output == PackerVars {
                wanted
                    .values_mut()
                    .for_each(|value| *value = as_string(value).into());
            }
            let differs = |name: &&String| got.get(*name) != wanted.get(*name);
            if let Some(variable) = wanted.keys().chain(got.keys()).find(differs) {
                let show =
                    |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                return Err(format!(
                    "{name}: {variable} is {} instead of {}",
                    show(got.get(variable)),
                    show(wanted.get(variable))
                ));
            }
        }
        Ok(())
    }
}
