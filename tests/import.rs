//! Var files come in and go out again: what `imgspec import` makes of one has the values that the file itself has
//! as a layer, for every var file of the Image Builder releases.

mod common;

use serde_json::Value;
use std::path::{Path, PathBuf};

/// An image on which nothing is read, so that nothing but the file's own values shows.
const PLAIN: &str = "
provider none { template = \"none\", roles = upstream, extra_vars = [], reads = [] }
image original { target { provider = none } }
";

#[test]
fn imported_files_have_the_values_of_the_originals() {
    let Some(shared) = common::shared() else {
        return;
    };
    let mut files: Vec<PathBuf> = Vec::new();
    collect(&shared.canonicalize().unwrap().join("upstream"), &mut files);
    files.retain(|path| path.components().any(|part| part.as_os_str() == "packer"));
    assert!(files.len() >= 100, "only {} var files", files.len());
    let mut problems = Vec::new();
    let mut compared = 0;
    for path in &files {
        let folder = tempfile::tempdir().unwrap();
        // A template's variables come in too; as a layer only those with a default.
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let is_template = json["variables"].is_object();
        let entries = if is_template { &json["variables"] } else { &json };
        let mut entries = entries.as_object().unwrap().clone();
        entries.retain(|_, value| !is_template || !value.is_null());
        let file = folder.path().join("vars.json");
        std::fs::write(&file, serde_json::to_string_pretty(&entries).unwrap()).unwrap();
        let imported =
            common::run(folder.path(), &["import", path.to_str().unwrap(), "--out", "layer.imgspec"]);
        assert!(imported.status.success(), "{}: {imported:?}", path.display());
        let text = std::fs::read_to_string(folder.path().join("layer.imgspec")).unwrap();
        let layer = text.lines().find_map(|l| l.strip_prefix("layer ")?.split(' ').next()).unwrap();
        let spec =
            format!("include \"layer.imgspec\"\n{PLAIN}\nimage imported extends original, {layer} {{ }}\n");
        std::fs::write(folder.path().join("spec.imgspec"), spec).unwrap();
        let theirs = show(folder.path(), "original", Some(&file));
        let ours = show(folder.path(), "imported", None);
        for name in entries.keys() {
            compared += 1;
            let (ours, theirs) = (&ours["variables"][name], &theirs["variables"][name]);
            if text.contains(&format!("# {name} = ")) {
                problems.push(format!("{}: {name} is left out", path.display()));
            }
            let raw = entries[name].as_str().unwrap_or_default();
            // A name of another release stops the value, which stands in the spec all the same.
            if ours["value"].is_null() && raw.contains("{{") && text.contains(raw) {
                continue;
            }
            // A secret that is written out is to be given in the environment from now on.
            let env = format!("{{{{env `{}`}}}}", name.to_uppercase());
            let is_secret = theirs["value"] == "********" && ours["value"] == env;
            if !is_secret && (ours["value"] != theirs["value"] || ours["packer"] != theirs["packer"]) {
                problems.push(format!(
                    "{}: {name}: {} {}, original {} {}",
                    path.display(),
                    ours["value"],
                    ours["packer"],
                    theirs["value"],
                    theirs["packer"]
                ));
            }
            // Without the compiler's own reading: the very string, but for quotes and blanks that mean nothing.
            if !is_secret && !raw.contains("{{") && !is_same_string(ours["packer"].as_str(), raw) {
                problems.push(format!("{}: {name}: {} for {raw}", path.display(), ours["packer"]));
            }
        }
    }
    println!("{} files, {compared} values", files.len());
    assert!(problems.is_empty(), "{} differ:\n{}", problems.len(), problems.join("\n"));
}

fn is_same_string(ours: Option<&str>, raw: &str) -> bool {
    let bare = raw.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(raw);
    let is_args = ours.is_some_and(|o| o.starts_with('@'));
    is_args
        || ours.is_some_and(|o| {
            o == raw || o == bare || o == bare.split(", ").map(str::trim).collect::<Vec<_>>().join(",")
        })
}

fn show(folder: &Path, image: &str, var_file: Option<&Path>) -> Value {
    let mut command = common::imgspec(folder);
    command.args(["show", image, "--json"]);
    command.envs(var_file.map(|file| ("PACKER_VAR_FILES", file)));
    let output = command.output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{image}: {e}\n{}", String::from_utf8_lossy(&output.stderr)));
    json[0].clone()
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for path in common::entries(folder) {
        match path.is_dir() {
            true => collect(&path, out),
            false if path.extension().is_some_and(|e| e == "json") => out.push(path),
            false => {}
        }
    }
}
