//! Writes the work in each language: the same layers, the same checks of types, and the same references.

use crate::model::{
    CHOICES, Fleet, GREATEST, Kind, Piece, REFERRED, Settings, URL, VERSION, Value, blocks, fleet,
    json, name,
};
use serde_json::json;
use std::fs;
use std::path::Path;

/// How a language writes values.
struct Style {
    bools: [&'static str; 2],
    /// What surrounds a name inside a string.
    reference: [&'static str; 2],
}

const JSONNET: Style = Style {
    bools: ["false", "true"],
    reference: ["\" + self.", " + \""],
};
const NICKEL: Style = Style {
    bools: ["false", "true"],
    reference: ["%{", "}"],
};
const PKL: Style = Style {
    bools: ["false", "true"],
    reference: ["\\(", ")"],
};
const CUE: Style = PKL;
const KCL: Style = Style {
    bools: ["False", "True"],
    reference: ["${", "}"],
};
const DHALL: Style = Style {
    bools: ["False", "True"],
    reference: ["${", "}"],
};
const DHALL_DEFAULTS: Style = Style {
    bools: ["False", "True"],
    reference: ["${final.", "}"],
};
const PACKER: Style = Style {
    bools: ["false", "true"],
    reference: ["{{user `", "`}}"],
};
const IMGSPEC: Style = Style {
    bools: ["false", "true"],
    reference: ["${", "}"],
};

impl Style {
    fn value(&self, value: &Value) -> String {
        match value {
            Value::Bool(value) => self.bools[usize::from(*value)].to_owned(),
            Value::Int(value) => value.to_string(),
            Value::List(elements) => format!("{elements:?}"),
            Value::Text(pieces) => {
                let [before, after] = self.reference;
                let piece = |piece: &Piece| match piece {
                    Piece::Plain(text) => text.clone(),
                    Piece::Name(name) => format!("{before}{name}{after}"),
                };
                format!("\"{}\"", pieces.iter().map(piece).collect::<String>())
            }
        }
    }

    /// A line for each setting: `NAME`, what is between, the value, and an end.
    fn lines(&self, settings: &Settings, between: &str, end: &str) -> String {
        let line = |(name, value): &(String, Value)| {
            format!("    {name}{between}{}{end}\n", self.value(value))
        };
        settings.iter().map(line).collect()
    }
}

pub fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
    fs::write(path, text).expect("a file is written");
}

/// Joins what a function gives for each element.
fn each<T>(items: impl IntoIterator<Item = T>, text: impl FnMut(T) -> String) -> String {
    items.into_iter().map(text).collect()
}

/// Writes W1 or W2 for every language.
pub fn write_fleet(folder: &Path, images: usize) {
    let fleet = fleet(images);
    write_jsonnet(&folder.join("jsonnet"), &fleet);
    write_nickel(&folder.join("nickel"), &fleet);
    write_pkl(&folder.join("pkl"), &fleet);
    write_kcl(&folder.join("kcl"), &fleet);
    write_cue(&folder.join("cue"), &fleet);
    write_dhall(&folder.join("dhall"), &fleet);
    write_imgspec(&folder.join("imgspec"), &fleet);
    write_json(&folder.join("json"), &fleet);
    write_packer(&folder.join("packer"), &fleet);
}

fn is_one(fleet: &Fleet) -> bool {
    fleet.images.len() == 1
}

fn write_jsonnet(folder: &Path, fleet: &Fleet) {
    let object = |settings: &Settings| format!("{{\n{}}}\n", JSONNET.lines(settings, ": ", ","));
    write(folder, "base.libsonnet", object(&fleet.defaults));
    for (n, layer) in fleet.systems.iter().enumerate() {
        write(folder, &format!("systems/{n}.libsonnet"), object(layer));
    }
    for (n, layer) in fleet.providers.iter().enumerate() {
        write(folder, &format!("providers/{n}.libsonnet"), object(layer));
    }
    for image in &fleet.images {
        let text = format!(
            "(import '../base.libsonnet') + (import '../systems/{}.libsonnet') + (import '../providers/{}.libsonnet') + {}",
            image.system,
            image.provider,
            object(&image.settings)
        );
        write(folder, &format!("images/{}.libsonnet", image.name), text);
    }
    // Jsonnet has no regular expressions: a version or a URL is any string that is not empty.
    let check = |kind| match kind {
        Kind::Bool => "std.isBoolean(v)".to_owned(),
        Kind::Int => format!("std.isNumber(v) && v >= 0 && v <= {GREATEST} && v == std.floor(v)"),
        Kind::Choice => format!("std.member({CHOICES:?}, v)"),
        Kind::Version | Kind::Url => "std.isString(v) && std.length(v) > 0".to_owned(),
        Kind::Text => "std.isString(v)".to_owned(),
    };
    let checks = each(&fleet.kinds, |(name, kind)| {
        format!("    {name}(v): {},\n", check(*kind))
    });
    let checked = format!(
        "local checks = {{\n{checks}}};\nfunction(o)\n    local wrong = [k for k in std.objectFields(o) if !std.objectHas(checks, k) || !checks[k](o[k])];\n    \
         if wrong == [] then o else error 'wrong: ' + std.join(', ', wrong)\n"
    );
    write(folder, "check.libsonnet", checked);
    for (file, before, call) in [
        ("main", "", ""),
        (
            "checked",
            "local check = import 'check.libsonnet';\n",
            "check",
        ),
    ] {
        let import = |name: &str| format!("{call}(import 'images/{name}.libsonnet')");
        let text = match is_one(fleet) {
            true => import(&fleet.images[0].name),
            false => format!(
                "{{\n{}}}",
                each(&fleet.images, |i| format!(
                    "    '{}.json': {},\n",
                    i.name,
                    import(&i.name)
                ))
            ),
        };
        write(
            folder,
            &format!("{file}.jsonnet"),
            format!("{before}{text}\n"),
        );
    }
}

fn write_nickel(folder: &Path, fleet: &Fleet) {
    let contract = |kind| match kind {
        Kind::Bool => "Bool".to_owned(),
        Kind::Int => "Small".to_owned(),
        Kind::Choice => format!("OneOf {CHOICES:?}"),
        Kind::Version => "Version".to_owned(),
        Kind::Url => "Url".to_owned(),
        Kind::Text => "String".to_owned(),
    };
    let matching = |name: &str, pattern: &str| {
        format!(
            "let {name} = let is_match = std.string.is_match \"^{pattern}$\" in\n  std.contract.from_predicate (fun v => std.is_string v && is_match v) in\n"
        )
    };
    let schema = format!(
        "let Small = std.contract.from_predicate (fun v => std.is_number v && v >= 0 && v <= {GREATEST} && std.number.is_integer v) in\n\
         let OneOf = fun choices => std.contract.from_predicate (fun v => std.array.elem v choices) in\n{}{}{{\n{}}}\n",
        matching("Version", VERSION),
        matching("Url", URL),
        each(&fleet.kinds, |(name, kind)| format!(
            "    {name} | {},\n",
            contract(*kind)
        ))
    );
    write(folder, "schema.ncl", schema);
    let record = |settings: &Settings, priority: &str| {
        format!(
            "{{\n{}}}",
            NICKEL.lines(settings, &format!(" | {priority} = "), ",")
        )
    };
    write(folder, "base.ncl", record(&fleet.defaults, "default"));
    for (n, layer) in fleet.systems.iter().enumerate() {
        write(
            folder,
            &format!("systems/{n}.ncl"),
            record(layer, "priority 1"),
        );
    }
    for (n, layer) in fleet.providers.iter().enumerate() {
        write(
            folder,
            &format!("providers/{n}.ncl"),
            record(layer, "priority 2"),
        );
    }
    for image in &fleet.images {
        let text = format!(
            "((import \"../base.ncl\") & (import \"../systems/{}.ncl\") & (import \"../providers/{}.ncl\") & {}) | (import \"../schema.ncl\")\n",
            image.system,
            image.provider,
            record(&image.settings, "priority 3")
        );
        write(folder, &format!("images/{}.ncl", image.name), text);
    }
    let text = match is_one(fleet) {
        true => format!("import \"images/{}.ncl\"\n", fleet.images[0].name),
        false => format!(
            "{{\n{}}}\n",
            each(&fleet.images, |i| format!(
                "    {0} = import \"images/{0}.ncl\",\n",
                i.name
            ))
        ),
    };
    write(folder, "main.ncl", text);
}

fn write_pkl(folder: &Path, fleet: &Fleet) {
    let type_of = |kind| match kind {
        Kind::Bool => "Boolean".to_owned(),
        Kind::Int => format!("Int(isBetween(0, {GREATEST}))"),
        Kind::Choice => CHOICES.map(|choice| format!("{choice:?}")).join("|"),
        Kind::Version => "Version".to_owned(),
        Kind::Url => "Url".to_owned(),
        Kind::Text => "String".to_owned(),
    };
    let fields = each(
        fleet.kinds.iter().zip(&fleet.defaults),
        |((name, kind), (_, value))| {
            format!("    {name}: {} = {}\n", type_of(*kind), PKL.value(value))
        },
    );
    let base = format!(
        "module base\nconst hidden version = Regex(#\"{VERSION}\"#)\nconst hidden url = Regex(#\"{URL}\"#)\n\
         typealias Version = String(matches(version))\ntypealias Url = String(matches(url))\nopen class Image {{\n{fields}}}\n"
    );
    write(folder, "base.pkl", base);
    let mixin = |settings: &Settings| {
        format!(
            "import \"../base.pkl\"\nlayer: Mixin<base.Image> = new {{\n{}}}\n",
            PKL.lines(settings, " = ", "")
        )
    };
    for (n, layer) in fleet.systems.iter().enumerate() {
        write(folder, &format!("systems/system{n}.pkl"), mixin(layer));
    }
    for (n, layer) in fleet.providers.iter().enumerate() {
        write(folder, &format!("providers/provider{n}.pkl"), mixin(layer));
    }
    for image in &fleet.images {
        let (system, provider) = (image.system, image.provider);
        let text = format!(
            "import \"../base.pkl\"\nimport \"../systems/system{system}.pkl\"\nimport \"../providers/provider{provider}.pkl\"\n\
             image: base.Image = (new base.Image {{}} |> system{system}.layer |> provider{provider}.layer) {{\n{}}}\n",
            PKL.lines(&image.settings, " = ", "")
        );
        write(folder, &format!("images/{}.pkl", image.name), text);
    }
    let renderer = "renderer = new JsonRenderer { indent = \"\" }";
    let text = match is_one(fleet) {
        true => format!(
            "import \"images/{}.pkl\" as one\noutput {{\n    value = one.image\n    {renderer}\n}}\n",
            fleet.images[0].name
        ),
        false => format!(
            "local images = import*(\"images/*.pkl\")\noutput {{\n    files {{\n        for (path, one in images) {{\n            \
             [path.replaceFirst(\"images/\", \"\").replaceFirst(\".pkl\", \".json\")] {{ value = one.image {renderer} }}\n        }}\n    }}\n}}\n"
        ),
    };
    write(folder, "main.pkl", text);
}

/// KCL's work is one package, in one folder.
fn write_kcl(folder: &Path, fleet: &Fleet) {
    let type_of = |kind| match kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Int => "int".to_owned(),
        Kind::Choice => CHOICES.map(|choice| format!("{choice:?}")).join("|"),
        Kind::Version | Kind::Url | Kind::Text => "str".to_owned(),
    };
    let fields = each(
        fleet.kinds.iter().zip(&fleet.defaults),
        |((name, kind), (_, value))| {
            format!("    {name}: {} = {}\n", type_of(*kind), KCL.value(value))
        },
    );
    let checks = each(&fleet.kinds, |(name, kind)| match kind {
        Kind::Int => format!("        0 <= {name} <= {GREATEST}\n"),
        Kind::Version => format!("        regex.match({name}, \"^{VERSION}$\")\n"),
        Kind::Url => format!("        regex.match({name}, \"^{URL}$\")\n"),
        _ => String::new(),
    });
    write(
        folder,
        "base.k",
        format!("import regex\nschema Image:\n{fields}    check:\n{checks}"),
    );
    for (n, layer) in fleet.systems.iter().enumerate() {
        write(
            folder,
            &format!("system{n}.k"),
            format!("schema System{n}(Image):\n{}", KCL.lines(layer, " = ", "")),
        );
    }
    for (n, layer) in fleet.providers.iter().enumerate() {
        write(
            folder,
            &format!("provider{n}.k"),
            format!("_provider{n} = {{\n{}}}\n", KCL.lines(layer, " = ", "")),
        );
    }
    let images = each(&fleet.images, |i| {
        format!(
            "{} = System{} {{\n    **_provider{}\n{}}}\n",
            i.name,
            i.system,
            i.provider,
            KCL.lines(&i.settings, " = ", "")
        )
    });
    write(folder, "images.k", images);
}

fn write_cue(folder: &Path, fleet: &Fleet) {
    let constraint = |kind| match kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Int => format!("int & >=0 & <={GREATEST}"),
        Kind::Choice => CHOICES.map(|choice| format!("{choice:?}")).join(" | "),
        Kind::Version => format!("=~\"^{VERSION}$\""),
        Kind::Url => format!("=~\"^{URL}$\""),
        Kind::Text => "string".to_owned(),
    };
    let fields = each(
        fleet.kinds.iter().zip(&fleet.defaults),
        |((name, kind), (_, value))| {
            format!(
                "    {name}: *{} | ({})\n",
                CUE.value(value),
                constraint(*kind)
            )
        },
    );
    let mut text = format!("package images\n#Image: {{\n{fields}}}\n");
    for (name, layers) in [("System", &fleet.systems), ("Provider", &fleet.providers)] {
        text += &each(layers.iter().enumerate(), |(n, layer)| {
            format!(
                "#{name}{n}: #Image & {{\n{}}}\n",
                CUE.lines(layer, ": ", "")
            )
        });
    }
    text += &each(&fleet.images, |i| {
        let body = format!(
            "#System{} & #Provider{} & {{\n{}}}\n",
            i.system,
            i.provider,
            CUE.lines(&i.settings, ": ", "")
        );
        format!("{}: {body}", i.name)
    });
    write(folder, "main.cue", text);
}

/// Dhall has no late binding: the defaults are a function of the final values that they refer to.
fn write_dhall(folder: &Path, fleet: &Fleet) {
    let type_of = |kind| match kind {
        Kind::Bool => "Bool",
        Kind::Int => "Natural",
        _ => "Text",
    };
    let record = |style: &Style, settings: &Settings| {
        format!(
            "{{ {} }}",
            style
                .lines(settings, " = ", ",")
                .trim_end()
                .trim_end_matches(',')
        )
    };
    let types: Vec<String> = fleet
        .kinds
        .iter()
        .map(|(name, kind)| format!("{name} : {}", type_of(*kind)))
        .collect();
    write(
        folder,
        "Image.dhall",
        format!("{{ {} }}\n", types.join("\n, ")),
    );
    let referred = REFERRED.map(name);
    write(
        folder,
        "base.dhall",
        format!(
            "\\(final : {{ {} }}) -> {} : ./Image.dhall\n",
            referred
                .each_ref()
                .map(|name| format!("{name} : Text"))
                .join(", "),
            record(&DHALL_DEFAULTS, &fleet.defaults)
        ),
    );
    for (n, layer) in fleet.systems.iter().enumerate() {
        write(folder, &format!("systems/{n}.dhall"), record(&DHALL, layer));
    }
    for (n, layer) in fleet.providers.iter().enumerate() {
        write(
            folder,
            &format!("providers/{n}.dhall"),
            record(&DHALL, layer),
        );
    }
    for image in &fleet.images {
        let own = |name: &String| {
            image
                .settings
                .iter()
                .find(|(other, _)| other == name)
                .expect("each image sets it")
        };
        let text = format!(
            "{}in  (../base.dhall {{ {} }} // ../systems/{}.dhall // ../providers/{}.dhall // {}) : ../Image.dhall\n",
            each(&referred, |name| format!(
                "let {name} = {}\n",
                DHALL.value(&own(name).1)
            )),
            referred
                .each_ref()
                .map(|name| format!("{name} = {name}"))
                .join(", "),
            image.system,
            image.provider,
            record(&DHALL, &image.settings)
        );
        write(folder, &format!("images/{}.dhall", image.name), text);
    }
    let images: Vec<String> = fleet
        .images
        .iter()
        .map(|i| format!("{0} = ./images/{0}.dhall", i.name))
        .collect();
    write(
        folder,
        "main.dhall",
        format!("{{ {} }}\n", images.join("\n, ")),
    );
}

/// A library of its own has the variables, as the other languages have theirs in files.
fn write_imgspec(folder: &Path, fleet: &Fleet) {
    let type_of = |kind| match kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Int => "int".to_owned(),
        Kind::Choice => CHOICES.map(|choice| format!("{choice:?}")).join(" | "),
        Kind::Version => "release".to_owned(),
        Kind::Url => "address".to_owned(),
        Kind::Text => "string".to_owned(),
    };
    let variables = each(
        fleet.kinds.iter().zip(&fleet.defaults),
        |((name, kind), (_, value))| {
            format!(
                "variable {name} : {} = {}\n",
                type_of(*kind),
                IMGSPEC.value(value)
            )
        },
    );
    let names: Vec<&str> = fleet.kinds.iter().map(|(name, _)| name.as_str()).collect();
    write(folder, "imgspec.toml", "library = \"library\"\n");
    write(folder, "library/imgspec.toml", "library = \".\"\n");
    write(
        folder,
        "library/variables.imgspec",
        format!(
            "type release = string matching '{VERSION}'\ntype address = string matching '{URL}'\n{variables}"
        ),
    );
    write(
        folder,
        "library/targets.imgspec",
        format!(
            "provider bench {{ template = \"none\", roles = upstream, playbook = linux, extra_vars = [], reads = [{}] }}\n\
             image bench {{ target {{ provider = bench }} }}\n",
            names.join(", ")
        ),
    );
    for (name, layers) in [("system", &fleet.systems), ("provider", &fleet.providers)] {
        for (n, layer) in layers.iter().enumerate() {
            let text = format!(
                "layer {name}-{n} {{\n{}}}\n",
                IMGSPEC.lines(layer, " = ", "")
            );
            write(folder, &format!("{name}s/{n}.imgspec"), text);
        }
    }
    for image in &fleet.images {
        let (system, provider) = (image.system, image.provider);
        let text = format!(
            "include \"../systems/{system}.imgspec\"\ninclude \"../providers/{provider}.imgspec\"\n\
             image {} extends bench, system-{system}, provider-{provider} {{\n{}}}\n",
            image.name,
            IMGSPEC.lines(&image.settings, " = ", "")
        );
        write(folder, &format!("images/{}.imgspec", image.name), text);
    }
}

/// JSON layers for the floors; the merged images and their schema for the validators.
fn write_json(folder: &Path, fleet: &Fleet) {
    write(
        folder,
        "layers/base.json",
        json!(json(&fleet.defaults)).to_string(),
    );
    for (name, layers) in [("system", &fleet.systems), ("provider", &fleet.providers)] {
        for (n, layer) in layers.iter().enumerate() {
            write(
                folder,
                &format!("layers/{name}s/{n}.json"),
                json!(json(layer)).to_string(),
            );
        }
    }
    for image in &fleet.images {
        let mut own = json(&image.settings);
        own.insert("system".to_owned(), image.system.to_string().into());
        own.insert("provider".to_owned(), image.provider.to_string().into());
        write(
            folder,
            &format!("layers/images/{}.json", image.name),
            json!(own).to_string(),
        );
        write(
            folder,
            &format!("merged/{}.json", image.name),
            json!(fleet.values(image)).to_string(),
        );
    }
    let all: Vec<_> = fleet
        .images
        .iter()
        .map(|image| fleet.values(image))
        .collect();
    write(folder, "all.json", json!(all).to_string());
    let schema = |kind| match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Int => json!({ "type": "integer", "minimum": 0, "maximum": GREATEST }),
        Kind::Choice => json!({ "enum": CHOICES }),
        Kind::Version => json!({ "type": "string", "pattern": format!("^{VERSION}$") }),
        Kind::Url => json!({ "type": "string", "pattern": format!("^{URL}$") }),
        Kind::Text => json!({ "type": "string" }),
    };
    let properties: serde_json::Map<_, _> = fleet
        .kinds
        .iter()
        .map(|(name, kind)| (name.clone(), schema(*kind)))
        .collect();
    let required: Vec<_> = properties.keys().collect();
    let image = json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties });
    let list = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": image });
    write(folder, "schema.json", list.to_string());
}

/// The layers of the first image as var files, and a template that declares all variables and has one builder that does nothing.
fn write_packer(folder: &Path, fleet: &Fleet) {
    let image = &fleet.images[0];
    let layers = [
        &fleet.defaults,
        &fleet.systems[image.system],
        &fleet.providers[image.provider],
        &image.settings,
    ];
    for (n, layer) in layers.into_iter().enumerate() {
        let string = |value: &Value| match value {
            Value::Text(_) => PACKER.value(value),
            value => format!("\"{}\"", PACKER.value(value)),
        };
        let entries: Vec<String> = layer
            .iter()
            .map(|(name, value)| format!("\"{name}\": {}", string(value)))
            .collect();
        write(
            folder,
            &format!("layer{n}.json"),
            format!("{{ {} }}\n", entries.join(",\n")),
        );
    }
    let variables: serde_json::Map<_, _> = fleet
        .kinds
        .iter()
        .map(|(name, _)| (name.clone(), "".into()))
        .collect();
    let template =
        json!({ "variables": variables, "builders": [{ "type": "null", "communicator": "none" }] });
    write(folder, "packer.json", template.to_string());
}

/// A value as Packer's var files have it.
pub fn as_string(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Writes W3 for every language.
pub fn write_file(folder: &Path) {
    let blocks = blocks();
    let all = |open: fn(&str) -> String, style: &Style, between: &str, end: &str, close: &str| {
        each(&blocks, |(name, settings)| {
            format!(
                "{}{}{close}",
                open(name),
                style.lines(settings, between, end)
            )
        })
    };
    let jsonnet = all(|name| format!("{name}: {{\n"), &JSONNET, ": ", ",", "},\n");
    write(folder, "main.jsonnet", format!("{{\n{jsonnet}}}\n"));
    let nickel = all(|name| format!("{name} = {{\n"), &NICKEL, " = ", ",", "},\n");
    write(folder, "main.ncl", format!("{{\n{nickel}}}\n"));
    write(
        folder,
        "main.k",
        all(|name| format!("{name} = {{\n"), &KCL, " = ", "", "}\n"),
    );
    write(
        folder,
        "main.cue",
        all(|name| format!("{name}: {{\n"), &CUE, ": ", "", "}\n"),
    );
    let dhall = all(
        |name| format!(", {name} = {{\n"),
        &DHALL,
        " = ",
        ",",
        "    }\n",
    )
    .replace(",\n    }", "\n    }");
    write(
        folder,
        "main.dhall",
        format!("{{ {}}}\n", dhall.trim_start_matches(',')),
    );
    let pkl = each(&blocks, |(name, settings)| {
        let value = |value: &Value| match value {
            Value::List(elements) => format!(
                "new Listing {{ {} }}",
                each(elements, |e| format!("{e:?}; "))
            ),
            value => PKL.value(value),
        };
        format!(
            "{name} {{\n{}}}\n",
            each(settings, |(name, v)| format!("    {name} = {}\n", value(v)))
        )
    });
    write(
        folder,
        "main.pkl",
        format!("output {{ renderer = new JsonRenderer {{ indent = \"\" }} }}\n{pkl}"),
    );
    let objects: serde_json::Map<_, _> = blocks
        .iter()
        .map(|(name, settings)| (name.clone(), json(settings).into()))
        .collect();
    write(
        folder,
        "main.json",
        serde_json::to_string_pretty(&objects).expect("JSON"),
    );
    write(folder, "imgspec/imgspec.toml", "library = \"library\"\n");
    write(folder, "imgspec/library/imgspec.toml", "library = \".\"\n");
    write(
        folder,
        "imgspec/library/targets.imgspec",
        "variable ansible_user_vars : args = \"\"\nimage bench { target { provider = bench } }\n\
         provider bench { template = \"none\", playbook = linux, extra_vars = [\"{{user `ansible_user_vars`}}\"], reads = [ansible_user_vars] }\n",
    );
    let imgspec = all(
        |name| format!("image {name} extends bench {{\n    ansible {{\n"),
        &IMGSPEC,
        " = ",
        "",
        "    }\n}\n",
    );
    write(folder, "imgspec/main.imgspec", imgspec);
}

/// Writes W4: as little as a file can have.
pub fn write_trivial(folder: &Path) {
    write(folder, "main.jsonnet", "{ a: 1 }\n");
    write(folder, "main.ncl", "{ a = 1 }\n");
    write(folder, "main.k", "a = 1\n");
    write(folder, "main.cue", "a: 1\n");
    write(folder, "main.dhall", "{ a = 1 }\n");
    write(
        folder,
        "main.pkl",
        "a = 1\noutput { renderer = new JsonRenderer {} }\n",
    );
    write(folder, "main.json", "{ \"a\": 1 }\n");
    write(folder, "schema.json", "{ \"type\": \"object\" }\n");
    write(
        folder,
        "packer.json",
        "{ \"variables\": { \"a\": \"1\" }, \"builders\": [{ \"type\": \"null\", \"communicator\": \"none\" }] }\n",
    );
}
