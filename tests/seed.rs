//! The variables and defaults that Image Builder documents (`tests/seed.json`), against `imgspec show`.
//!
//! The table is in the documentation's own spelling, where everything is a string.

mod common;

use serde_json::{Map, Value};

#[test]
fn documented_defaults_are_the_librarys() {
    let table: Map<String, Value> = serde_json::from_str(
        &std::fs::read_to_string(common::root().join("tests/seed.json")).unwrap(),
    )
    .unwrap();
    // Photon's layer changes none of them, and Ubuntu's neither.
    for image in ["node-ova-local-photon-3", "qemu-ubuntu-2004"] {
        let shown = common::run_json(&common::root().join("examples"), &["show", image, "--json"]);
        let variables = &shown[0]["variables"];
        for (name, documented) in &table {
            let variable = &variables[name];
            assert!(variable.is_object(), "{image}: {name} is not declared");
            let documented = documented.as_str().unwrap_or("");
            let value = match &variable["value"] {
                Value::String(text) => text.clone(),
                Value::Bool(flag) => flag.to_string(),
                Value::Array(elements) if elements.is_empty() => String::new(),
                other => panic!("{image}: {name} is {other}"),
            };
            assert_eq!(value, documented, "{image}: {name}");
            // Everything is declared where the user can read about it.
            let set_by = variable["set_by"].as_array().unwrap();
            assert_eq!(
                set_by.last().unwrap()["layer"],
                "default",
                "{image}: {name}"
            );
        }
    }
}

#[test]
fn every_documented_variable_is_explained() {
    let table: Map<String, Value> = serde_json::from_str(
        &std::fs::read_to_string(common::root().join("tests/seed.json")).unwrap(),
    )
    .unwrap();
    for name in table
        .keys()
        .map(String::as_str)
        .chain(["custom_role_names"])
    {
        let output = common::run(&common::root().join("examples"), &["explain", name]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.lines().count() > 3,
            "explain {name}: {text}"
        );
    }
}
