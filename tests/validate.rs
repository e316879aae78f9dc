//! The real Packer takes every template, and every run of every target.
//!
//! What a site must say itself (a vCenter, a machine to clone) is made up. Needs Packer and Ansible, as `real_tools` does.
//! Of a release, the targets are those that templates of imgspec's own build. Packer 1.6.6 has no builder for IBM Power
//! Virtual Server: of that target it reads the syntax alone. Of some other builders it knows all keys but one ([`LATER`]):
//! it takes their targets without that key.

mod common;

use regex::{Captures, Regex};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// What only a site can know, on the targets that ask for it.
const MADE_UP: [&str; 9] = [
    "vcenter_server=vcenter.example.com",
    "username=user",
    "password=secret",
    "datacenter=dc",
    "cluster=cluster",
    "datastore=store",
    "network=net",
    "template=base",
    "source_path=/dev/null",
];

/// The sums of Flatcar and of some cloud images are read from the network, which a test does not do.
const SUMS: [&str; 2] = [
    "iso_checksum_type=sha256",
    "iso_checksum=0000000000000000000000000000000000000000000000000000000000000000",
];

/// What a later Packer, or a plugin, has and Packer 1.6.6 has not.
struct Later {
    /// The release whose targets have it.
    release: &'static str,
    /// How the names of the targets begin.
    targets: &'static str,
    /// What Packer 1.6.6 says.
    complaint: &'static str,
    /// The key that it does not know. Without one it does not know the builder, and reads the syntax alone.
    key: Option<&'static str>,
}

const LATER: [Later; 5] = [
    Later {
        release: "v0.1.55",
        targets: "ami-",
        complaint: "\"skip_create_ami\"",
        key: Some("/skip_create_ami"),
    },
    Later {
        release: "v0.1.55",
        targets: "node-ova-vsphere-",
        complaint: "\"destroy\"",
        key: Some("/destroy"),
    },
    Later {
        release: "v0.1.13",
        targets: "azure-sig-",
        complaint: "\"shared_image_gallery_destination.storage_account_type\"",
        key: Some("/shared_image_gallery_destination/storage_account_type"),
    },
    Later {
        release: "v0.1.13",
        targets: "oci-",
        complaint: "\"shape_config\"",
        key: Some("/shape_config"),
    },
    Later {
        release: "v0.1.13",
        targets: "powervs-",
        complaint: "Unknown builder powervs",
        key: None,
    },
];

#[test]
fn packer_takes_every_run_of_every_target() {
    let Some(path) = common::packer_and_ansible("templates with the real Packer") else {
        return;
    };
    for (release, made_up, targets, runs) in [
        ("v0.1.13", &[][..], 99, 106),
        (
            "v0.1.55",
            &["windows_admin_password=Secret-1"][..],
            100,
            108,
        ),
    ] {
        let found = validate_targets(release, made_up, &path);
        assert_eq!(found, (targets, runs), "targets and runs of {release}");
    }
}

/// Validates the targets of a release that have templates of ours. Returns their number, and the number of their runs.
fn validate_targets(release: &str, more: &[&'static str], path: &OsString) -> (usize, usize) {
    let targets = own_targets(release);
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let is_summed = |name: &&str| {
        let has_sums = name.contains("flatcar") || name.contains("cloudimg");
        has_sums && !["ami-", "azure-"].iter().any(|c| name.starts_with(c))
    };
    let (summed, others): (Vec<&str>, Vec<&str>) = targets.iter().partition(|name| is_summed(name));
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("api.pem");
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"]);
    assert!(command.arg(&key).status().unwrap().success());
    let environment: Vec<(&str, OsString)> = environment()
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .chain([("OCI_USER_KEY_FILE", key.into()), ("PATH", path.clone())])
        .collect();
    let mut printed = String::new();
    for (names, made_up) in [
        (&others, [&MADE_UP[..], more].concat()),
        (&summed, [&MADE_UP[..], more, &SUMS[..]].concat()),
    ] {
        let mut command = common::imgspec(folder.path());
        command.arg("validate").args(names).args([
            "--release",
            release,
            "--jobs",
            "2",
            "--format",
            "short",
        ]);
        command.args(made_up.iter().flat_map(|setting| ["--set", setting]));
        let output = command.envs(environment.clone()).output().unwrap();
        printed += &String::from_utf8_lossy(&output.stderr);
    }
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    let mut later: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &targets {
        let out = folder.path().join("build").join(name);
        let manifest = std::fs::read(out.join("manifest.json"))
            .unwrap_or_else(|e| panic!("{name}: {e}\n{printed}"));
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        if !printed.contains(&format!("{name}: valid\n")) {
            let log = std::fs::read_to_string(out.join("packer.log")).unwrap();
            let known = LATER
                .iter()
                .filter(|later| later.release == release)
                .find(|later| name.starts_with(later.targets) && log.contains(later.complaint));
            let known = known.unwrap_or_else(|| panic!("{name} is not valid:\n{log}"));
            without_what_is_later(known, name, &out, &manifest, &environment);
            *later.entry(known.complaint).or_default() += 1;
        }
        let provider = manifest["target"]["provider"].as_str().unwrap().to_owned();
        *runs.entry(provider).or_default() += manifest["target"]["runs"].as_array().unwrap().len();
    }
    println!(
        "validated {} targets of {release}, runs by provider: {runs:?}; this Packer lacks: {later:?}",
        targets.len()
    );
    (targets.len(), runs.values().sum())
}

/// Returns the targets of a release whose providers run our roles.
fn own_targets(release: &str) -> Vec<String> {
    let own = templates_of_providers(release);
    let target = r"(?m)^image (\S+) extends [^{]*\{\s*target \{\s*provider = ([a-z0-9-]+)";
    let target = Regex::new(target).unwrap();
    let folder = common::root().join("stdlib").join(release).join("targets");
    let mut out = Vec::new();
    for path in common::files(&folder, "imgspec") {
        let text = std::fs::read_to_string(path).unwrap();
        let found = target.captures_iter(&text);
        out.extend(
            found
                .filter(|c| own.contains_key(&c[2]))
                .map(|c| c[1].to_owned()),
        );
    }
    out
}

/// Lets Packer validate a compiled target with a copy of its template that lacks what only a later Packer knows.
fn without_what_is_later(
    later: &Later,
    name: &str,
    out: &Path,
    manifest: &Value,
    environment: &[(&str, OsString)],
) {
    let work = tempfile::tempdir().unwrap();
    for (link, folder) in [("packer", "config"), ("ansible", "ansible")] {
        std::os::unix::fs::symlink(common::root().join(folder), work.path().join(link)).unwrap();
    }
    let template = manifest["target"]["template"].as_str().unwrap();
    let text = std::fs::read(work.path().join(template)).unwrap();
    let mut template: Value = serde_json::from_slice(&text).unwrap();
    if let Some((parent, key)) = later.key.and_then(|key| key.rsplit_once('/')) {
        let builders = template["builders"].as_array_mut().unwrap().iter_mut();
        let parents = builders.filter_map(|builder| builder.pointer_mut(parent)?.as_object_mut());
        assert!(parents.filter_map(|parent| parent.remove(key)).count() > 0);
    }
    std::fs::write(work.path().join("template.json"), template.to_string()).unwrap();
    for run in manifest["target"]["runs"].as_array().unwrap() {
        let mut command = Command::new("packer");
        command.current_dir(work.path()).arg("validate");
        if later.key.is_none() {
            command.arg("-syntax-only");
        }
        let only = run["only"].as_array().unwrap().iter();
        let only: Vec<&str> = only.map(|name| name.as_str().unwrap()).collect();
        if !only.is_empty() {
            command.arg(format!("-only={}", only.join(",")));
        }
        command.arg(format!(
            "-var-file={}",
            out.join("packer.vars.json").display()
        ));
        command
            .arg("template.json")
            .envs(environment.iter().cloned());
        let output = command.env("CHECKPOINT_DISABLE", "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}");
    }
}

/// Every template, for every release of Packer that knows its builders.
#[test]
fn packer_reads_every_template() {
    let Some(path) = common::packer_and_ansible("templates with the real Packer") else {
        return;
    };
    let config = common::root().join("config");
    let mut count = 0;
    for folder in folders(&config) {
        for template in common::files(&folder, "json")
            .into_iter()
            .filter(|t| is_template(t))
        {
            for action in [&["inspect"][..], &["validate", "-syntax-only"][..]] {
                let mut command = Command::new("packer");
                command.args(action).arg(&template).current_dir(&config);
                let output = command
                    .env("PATH", &path)
                    .env("CHECKPOINT_DISABLE", "1")
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(
                    output.status.success(),
                    "packer {action:?} {}: {said}",
                    template.display()
                );
            }
            // What newer releases of Packer have to install.
            assert!(
                template.with_extension("plugins.pkr.hcl").is_file(),
                "{}",
                template.display()
            );
            count += 1;
        }
    }
    assert_eq!(count, 20);
}

/// The library's providers repeat their templates' own defaults, so that a spec sees them. On each target, every default
/// of the template that no layer replaces is the value that the spec sees.
#[test]
fn providers_say_what_their_templates_say() {
    let root = common::root();
    let listed = common::run_json(root, &["list", "--targets", "--json"]);
    let names = listed.as_array().unwrap().iter();
    let mut args = vec!["show", "--json"];
    args.extend(names.map(|target| target["image"].as_str().unwrap()));
    let shown = common::run_json(root, &args);
    let templates = templates_of_providers("v0.1.13");
    let mut compared: BTreeMap<(String, String), bool> = BTreeMap::new();
    let mut problems = Vec::new();
    for image in shown.as_array().unwrap() {
        let variables = &image["variables"];
        let template = &templates[&provider_of(variables)];
        let text = std::fs::read(root.join("config").join(template)).unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        for (name, default) in json["variables"].as_object().unwrap() {
            // `null` is no default: the compiler always passes a value.
            let Some(default) = default.as_str() else {
                continue;
            };
            let ours = &variables[name];
            let strongest = ours["set_by"][0]["layer"].as_str();
            let is_provider = strongest.is_some_and(|layer| layer.starts_with("provider "));
            let is_equal = match strongest {
                None => ours.is_object() && default.is_empty(),
                // An empty default is that of a variable that may be unset.
                Some("default") if default.is_empty() => true,
                _ => {
                    ours["packer"].as_str().map(|text| filled(text, variables))
                        == Some(filled(default, variables))
                }
            };
            let is_comparable = is_provider || matches!(strongest, None | Some("default"));
            *compared
                .entry((template.clone(), name.clone()))
                .or_default() |= is_comparable;
            if is_comparable && !is_equal {
                let (image, ours) = (&image["image"], &ours["packer"]);
                problems.push(format!(
                    "{image}: {name}: {ours}, {template} has {default:?}"
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let folders: BTreeSet<&str> = compared
        .keys()
        .map(|(template, _)| template.as_str())
        .collect();
    assert_eq!(folders.len(), 14, "{folders:?}");
    let open = compared.iter().filter(|(_, is_compared)| !**is_compared);
    let open: Vec<_> = open.map(|(key, _)| key).collect();
    println!(
        "{} defaults, {} of which every target replaces",
        compared.len(),
        open.len()
    );
    assert!(compared.len() - open.len() >= 410, "not compared: {open:?}");
}

/// Returns the template of each provider of ours, below `config`.
fn templates_of_providers(release: &str) -> BTreeMap<String, String> {
    let head = r#"(?m)^provider ([a-z-]+) \{\s+template = "packer/([^"]+)"\s+roles = native"#;
    let head = Regex::new(head).unwrap();
    let mut out = BTreeMap::new();
    let folder = common::root()
        .join("stdlib")
        .join(release)
        .join("providers");
    for path in common::files(&folder, "imgspec") {
        let text = std::fs::read_to_string(path).unwrap();
        out.extend(
            head.captures_iter(&text)
                .map(|c| (c[1].to_owned(), c[2].to_owned())),
        );
    }
    out
}

/// Returns the provider among the layers of an image's variables.
fn provider_of(variables: &Value) -> String {
    let shown = variables.as_object().unwrap().values();
    let layers = shown.flat_map(|variable| variable["set_by"].as_array().unwrap());
    let names: BTreeSet<&str> = layers
        .filter_map(|set| set["layer"].as_str()?.strip_prefix("provider "))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.into_iter().next().unwrap().to_owned()
}

/// Returns a string of Packer with the values of the variables that it names.
fn filled(text: &str, variables: &Value) -> String {
    static USER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\{\{user `(\w+)`(?: \| replace_all `([^`]*)` `([^`]*)`)?\}\}").unwrap()
    });
    let value = |found: &Captures<'_>| {
        let value = variables[&found[1]]["packer"].as_str().unwrap_or_default();
        match (found.get(2), found.get(3)) {
            (Some(from), Some(to)) => value.replace(from.as_str(), to.as_str()),
            _ => value.to_owned(),
        }
    };
    USER.replace_all(text, value).into_owned()
}

/// `imgspec defaults --out config` has written them.
#[test]
fn config_has_the_librarys_defaults() {
    let config = common::root().join("config");
    let generated = common::run_json(common::root(), &["defaults"]);
    let read =
        |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let mut found = serde_json::Map::new();
    for folder in ["", "windows/"] {
        for path in common::files(&config.join(folder), "json") {
            let name = path.file_name().unwrap().to_string_lossy();
            found.insert(format!("{folder}{name}"), read(&path));
        }
    }
    assert_eq!(
        generated,
        Value::Object(found),
        "run `imgspec defaults --out config`"
    );
}

/// Returns a folder and all folders below it.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let inner = common::entries(folder).into_iter().filter(|p| p.is_dir());
    let mut out: Vec<PathBuf> = inner.flat_map(|folder| folders(&folder)).collect();
    out.push(folder.to_owned());
    out
}

fn is_template(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).is_ok_and(|json| json.get("builders").is_some())
}

fn environment() -> [(&'static str, &'static str); 21] {
    [
        ("FLATCAR_CHANNEL", "stable"),
        ("FLATCAR_VERSION", "3510.2.0"),
        ("OEM_ID", ""),
        ("IB_VERSION", "test"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        (
            "AZURE_SUBSCRIPTION_ID",
            "00000000-0000-0000-0000-000000000000",
        ),
        ("AZURE_CLIENT_ID", "id"),
        ("AZURE_CLIENT_SECRET", "secret"),
        ("AZURE_LOCATION", "eastus"),
        ("RESOURCE_GROUP_NAME", "group"),
        ("GALLERY_NAME", "gallery"),
        ("STORAGE_ACCOUNT_NAME", "storage"),
        ("DIGITALOCEAN_ACCESS_TOKEN", "token"),
        ("GCP_PROJECT_ID", "project"),
        ("OCI_TENANCY_OCID", "ocid1.tenancy.oc1..aaaa"),
        ("OCI_USER_OCID", "ocid1.user.oc1..aaaa"),
        (
            "OCI_USER_FINGERPRINT",
            "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00",
        ),
        ("OCI_SUBNET_OCID", "ocid1.subnet.oc1..aaaa"),
        ("OCI_AVAILABILITY_DOMAIN", "aaaa:US-ASHBURN-AD-1"),
    ]
}
