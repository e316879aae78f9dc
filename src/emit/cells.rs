//! Each cell of the table "What is written" in docs/language.md, by the name of its row.

#![cfg(test)]

use super::*;
use crate::eval::evaluate;
use crate::project::{Request, load};
use crate::source::Memory;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Two providers whose templates read `x`: one with our roles, one with upstream's. `extra` adds a slot or nothing.
fn providers(slots: &str) -> String {
    ["native", "upstream"]
        .map(|roles| {
            format!(
                "provider {roles} {{\n template = \"t.json\"\n roles = {roles}\n reads = [x]\n \
                 extra_vars = [\"{slots}\", \"{{{{user `ansible_user_vars`}}}}\"]\n \
                 defaults {{ os_family = \"debian\" }}\n}}\n"
            )
        })
        .concat()
}

/// What one image of a provider gets for a name: Packer's string, and the entry of the file.
fn written(text: &str, provider: &str, name: &str) -> (Option<String>, Option<Json>, Vec<String>) {
    let path = PathBuf::from("/p/s.imgspec");
    let image = format!("image i {{\n target {{ provider = {provider} }}\n");
    let text = text.replace("image i {", &image);
    let loader = Memory(BTreeMap::from([(path.clone(), text)]));
    let request = Request {
        specs: vec![path],
        ..Request::default()
    };
    let program = load(&loader, &request);
    let errors = |all: &[Diagnostic]| -> Vec<String> {
        let errors = all.iter().filter(|d| d.is_error());
        errors.map(|d| d.code.as_str().to_owned()).collect()
    };
    assert_eq!(errors(&program.diagnostics), [] as [String; 0]);
    let file = program.specs[0].unwrap();
    let image = evaluate(&program, program.images_of(file)[0], None).unwrap();
    let output = Output {
        dir: PathBuf::from("/out"),
        portable: false,
    };
    let artifacts = emit(&image, &output);
    (
        artifacts.packer.get(name).map(ToString::to_string),
        artifacts.ansible.get(name).cloned(),
        errors(&artifacts.diagnostics),
    )
}

/// A row: its name, the declaration of `x`, the body of the image; what Packer gets, what the file has with
/// `roles = native` and with `roles = upstream`.
type Row<'r> = (
    &'r str,
    &'r str,
    &'r str,
    Option<&'r str>,
    Option<Json>,
    Option<Json>,
);

fn check((label, declared, body, packer, native, upstream): Row<'_>) {
    let text = format!(
        "{}variable x : {declared}\nimage i {{\n {body}\n}}\n",
        providers("")
    );
    for (roles, file) in [("native", native), ("upstream", upstream)] {
        let found = written(&text, roles, "x");
        let wanted = (packer.map(str::to_owned), file, Vec::new());
        assert_eq!(found, wanted, "{label}, roles = {roles}");
    }
}

const BOTH: &str = "{ to = [packer, linux] }";

#[test]
fn bool_and_int() {
    let flag = &format!("bool {BOTH}");
    let typed = "int { to = [packer, linux], typed = true }";
    check((
        "bool",
        flag,
        "x = true",
        Some("true"),
        Some(json!(true)),
        Some(json!("true")),
    ));
    check((
        "int",
        &format!("int {BOTH}"),
        "x = 4",
        Some("4"),
        Some(json!(4)),
        Some(json!("4")),
    ));
    check((
        "int, typed",
        typed,
        "x = 4",
        Some("4"),
        Some(json!(4)),
        Some(json!(4)),
    ));
}

#[test]
fn lists_and_maps() {
    let list = &format!("[string] {BOTH}");
    let (real, words) = (json!(["a", "b"]), json!("a b"));
    check((
        "[T]",
        list,
        "x = [\"a\", \"b\"]",
        Some("a b"),
        Some(real),
        Some(words),
    ));
    let map = &format!("{{int}} {BOTH}");
    let (real, text) = (json!({"a": 1}), r#"{"a":1}"#);
    check((
        "{T}",
        map,
        "x = { a = 1 }",
        Some(text),
        Some(real),
        Some(json!(text)),
    ));
}

#[test]
fn base64_encoding() {
    let declared = "string { to = [packer, linux], encoding = base64 }";
    let (text, encoded) = (json!("hi"), "aGk=");
    check((
        "base64",
        declared,
        "x = \"hi\"",
        Some(encoded),
        Some(text),
        Some(json!(encoded)),
    ));
}

#[test]
fn empty_and_unset() {
    let string = &format!("string? {BOTH}");
    let list = &format!("[string] {BOTH}");
    check((
        "empty",
        string,
        "x = \"\"",
        Some(""),
        Some(json!("")),
        Some(json!("")),
    ));
    check((
        "empty list",
        list,
        "x = []",
        Some(""),
        Some(json!([])),
        Some(json!("")),
    ));
    check(("unset", string, "unset x", None, None, None));
}

#[test]
fn environment_variables() {
    let string = &format!("string {BOTH}");
    let flag = &format!("bool {BOTH}");
    let lookup = "lookup('ansible.builtin.env', 'X')";
    let text = json!(format!("{{{{ {lookup} }}}}"));
    let packer = Some("{{env `X`}}");
    check((
        "env",
        string,
        "x = env(\"X\")",
        packer,
        Some(text.clone()),
        Some(text.clone()),
    ));
    let converted = json!(format!("{{{{ {lookup} | bool }}}}"));
    check((
        "env, bool",
        flag,
        "x = env(\"X\")",
        packer,
        Some(converted),
        Some(text),
    ));
}

#[test]
fn other_packer_expressions() {
    let text = format!(
        "{}variable x : string {BOTH}\nimage i {{\n x = \"{{{{timestamp}}}}\"\n}}\n",
        providers("")
    );
    let slot = text.replace("extra_vars = [\"\"", "extra_vars = [\"x={{user `x`}}\"");
    for roles in ["native", "upstream"] {
        let packer = Some("{{timestamp}}".to_owned());
        let refused = vec!["opaque-value".to_owned()];
        assert_eq!(
            written(&text, roles, "x"),
            (packer.clone(), None, refused),
            "{roles}, no slot"
        );
        assert_eq!(
            written(&slot, roles, "x"),
            (packer, None, Vec::new()),
            "{roles}, a slot"
        );
    }
}

#[test]
fn strings_that_read_a_secret() {
    let text = format!(
        "{}variable x : string {BOTH}\nvariable s : string {{ to = [packer, linux], secret = true }}\n\
         image i {{\n s = env(\"S\")\n x = \"a-${{s}}\"\n}}\n",
        providers("")
    );
    for roles in ["native", "upstream"] {
        let packer = Some("a-{{user `s`}}".to_owned());
        let file = Some(json!("a-{{ lookup('ansible.builtin.env', 'S') }}"));
        assert_eq!(
            written(&text, roles, "x"),
            (packer, file, Vec::new()),
            "{roles}"
        );
    }
}

#[test]
fn strings_that_jinja_would_evaluate() {
    let string = &format!("string {BOTH}");
    let unsafe_text = json!({"__ansible_unsafe": "{% x %}"});
    let both = (Some(unsafe_text.clone()), Some(unsafe_text));
    check((
        "Jinja",
        string,
        "x = \"{% x %}\"",
        Some("{% x %}"),
        both.0,
        both.1,
    ));
}

#[test]
fn variables_that_packer_does_not_receive() {
    let list = "[string] { to = [linux] }";
    let real = json!(["a"]);
    check((
        "to = [linux]",
        list,
        "x = [\"a\"]",
        None,
        Some(real.clone()),
        Some(real),
    ));
    let text = format!(
        "{}variable x : int\nimage i {{\n x = 1\n ansible {{ mine = [1] }}\n}}\n",
        providers("")
    );
    for roles in ["native", "upstream"] {
        let entry = written(&text, roles, "mine");
        assert_eq!(
            entry,
            (None, Some(json!([1])), Vec::new()),
            "ansible {{ }}, {roles}"
        );
    }
}

/// "contains": with upstream's roles, the file has only what no slot carries.
#[test]
fn a_slot_replaces_the_file_for_upstream_roles() {
    let text = |value: &str| {
        let slots = providers("x={{user `x`}}").replace(" reads = [x]\n", "");
        format!("{slots}variable x : string {BOTH}\nimage i {{\n x = {value}\n}}\n")
    };
    let string = |text: &str| Some(text.to_owned());
    let carried = text("\"a\"");
    assert_eq!(
        written(&carried, "native", "x"),
        (string("a"), Some(json!("a")), vec![])
    );
    assert_eq!(
        written(&carried, "upstream", "x"),
        (string("a"), None, vec![])
    );
    let wrapped = text("\"a b\"");
    assert_eq!(
        written(&wrapped, "upstream", "x"),
        (string("\"a b\""), None, vec![])
    );
    let refused = text("\"{% x %}\"");
    let file = Some(json!({"__ansible_unsafe": "{% x %}"}));
    assert_eq!(
        written(&refused, "upstream", "x"),
        (string(""), file, vec![])
    );
}
