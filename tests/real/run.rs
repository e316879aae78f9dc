//! Compiles specs and runs their images through Packer and Ansible.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde_json::{Map, Value, json};

use crate::check::cut;
use crate::common::root;

pub type Strings = BTreeMap<String, String>;

pub struct Image {
    pub name: String,
    pub folder: PathBuf,
    /// `packer.vars.json` as written.
    pub packer: Map<String, Value>,
    /// `ansible.vars.json` as written.
    pub ansible: Map<String, Value>,
    /// The `variables` of `imgspec show`.
    pub shown: Map<String, Value>,
}

/// What the tools say they got.
pub struct Arrived {
    pub packer: Map<String, Value>,
    pub ansible: Map<String, Value>,
}

pub fn compile(spec: &Path, out: &Path) -> Result<Vec<Image>, String> {
    let spec = spec.as_os_str();
    imgspec(&["compile".as_ref(), spec, "--out".as_ref(), out.as_os_str()])?;
    let shown = imgspec(&["show".as_ref(), spec, "--all".as_ref(), "--json".as_ref()])?;
    let shown: Vec<Value> = serde_json::from_slice(&shown).unwrap();
    let image = |shown: &Value| {
        let name = shown["image"].as_str().unwrap().to_owned();
        let folder = out.join(&name);
        let written = |file| {
            read_json(&folder.join(file))
                .unwrap()
                .as_object()
                .unwrap()
                .clone()
        };
        let (packer, ansible) = (written("packer.vars.json"), written("ansible.vars.json"));
        assert!(
            packer.values().all(Value::is_string),
            "{name}: Packer takes nothing but strings: {packer:?}"
        );
        Image {
            name,
            packer,
            ansible,
            shown: shown["variables"].as_object().unwrap().clone(),
            folder,
        }
    };
    Ok(shown.iter().map(image).collect())
}

/// How a compiled file says to Ansible that a value stands in the environment.
pub const LOOKUP: &str = "lookup('ansible.builtin.env', '";

impl Image {
    /// A value for every name that the compiled files read from the environment.
    pub fn environment(&self) -> Strings {
        let text = json!([self.packer, self.ansible]).to_string();
        let between = |open: &str, close: char| {
            let names = text
                .split(open)
                .skip(1)
                .filter_map(|rest| rest.split_once(close));
            names
                .map(|(name, _)| (name.to_owned(), format!("value-of-{name}")))
                .collect::<Vec<_>>()
        };
        between("env `", '`')
            .into_iter()
            .chain(between(LOOKUP, '\''))
            .collect()
    }
}

pub fn run(path: &OsStr, image: &Image, environment: &Strings) -> Result<Arrived, String> {
    let template = read_json(&root().join("tests/real/packer.json")).unwrap();
    let names: Vec<&str> = image.packer.keys().map(String::as_str).collect();
    run_template(
        path,
        template,
        &image.folder.join("packer.vars.json"),
        &names,
        environment,
    )
}

/// Runs a template of the form of `packer.json`, whose second builder writes what Packer has under these names.
pub fn run_template(
    path: &OsStr,
    mut template: Value,
    var_file: &Path,
    names: &[&str],
    environment: &Strings,
) -> Result<Arrived, String> {
    let here = root().join("tests/real");
    let tmp = tempfile::tempdir().unwrap();
    let file = |name: &str| tmp.path().join(name).to_str().unwrap().to_owned();
    // No text that a tool can be given holds a NUL, so it can stand between them.
    let reads: Vec<String> = names
        .iter()
        .map(|name| format!("{{{{user `{name}`}}}}"))
        .collect();
    template["builders"][1]["content"] = reads.join("\0").into();
    template["builders"][1]["target"] = file("packer.txt").into();
    fs::write(file("template.json"), template.to_string()).unwrap();
    fs::write(file("ansible.cfg"), "").unwrap();

    // An environment of our own, so that no setting of the user's Packer or Ansible takes part.
    let output = Command::new("packer")
        .args(["build", "-color=false"])
        .arg(format!("-var-file={}", var_file.display()))
        .arg(file("template.json"))
        .current_dir(&here)
        .env_clear()
        .envs(env::var_os("HOME").map(|home| ("HOME", home)))
        .envs([
            ("LC_ALL", "C.UTF-8"),
            ("CHECKPOINT_DISABLE", "1"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ])
        .envs([
            ("ANSIBLE_CONFIG", file("ansible.cfg")),
            ("PACKER_CONFIG", file("no-such-file")),
        ])
        .envs(["TMPDIR", "ANSIBLE_HOME", "PACKER_CACHE_DIR"].map(|name| (name, tmp.path())))
        .env("DUMP_TO", file("ansible.json"))
        .env("PATH", path)
        .envs(environment)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let dumped = (
        fs::read_to_string(file("packer.txt")),
        read_json(Path::new(&file("ansible.json"))),
    );
    let (true, (Ok(packer), Some(Value::Object(ansible)))) = (output.status.success(), dumped)
    else {
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        return Err(format!("packer: {}\n{}", output.status, cut(&said, 4000)));
    };
    let packer = names
        .iter()
        .map(|name| (*name).to_owned())
        .zip(packer.split('\0').map(Value::from))
        .collect();
    Ok(Arrived { packer, ansible })
}

/// What the compiler prints, or what it complains of.
fn imgspec(arguments: &[&OsStr]) -> Result<Vec<u8>, String> {
    let output = compiler().args(arguments).output().unwrap();
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!(
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

pub fn compiler() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgspec"));
    command.env_remove("PACKER_VAR_FILES");
    command
}

pub fn read_json(file: &Path) -> Option<Value> {
    let text = fs::read(file).ok()?;
    Some(
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
    )
}
