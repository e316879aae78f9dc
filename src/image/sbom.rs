//! Bills of materials: CycloneDX 1.6 and SPDX 2.3 as JSON, and a list for people. The same image gives the same bytes.

use crate::image::go::{GoBuild, GoModule};
use crate::image::packages::{Inventory, Package, PackageSystem, Program};
use crate::source::{sha256, visible_line};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The form of a bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CycloneDX 1.6, JSON.
    CycloneDx,
    /// SPDX 2.3, JSON.
    Spdx,
    /// A line for each part.
    List,
}

/// What a bill says about itself.
#[derive(Debug, Clone)]
pub struct Made<'m> {
    /// The name of the image, for one that has no release file.
    pub name: &'m str,
    /// When it was made, in seconds since 1970; none for a bill that has no time.
    pub time: Option<u64>,
}

/// A part of an image.
struct Part {
    /// Unique in the bill.
    id: String,
    kind: &'static str,
    name: String,
    version: String,
    purl: Option<String>,
    sha256: Option<String>,
    /// Names and values for readers that know them.
    notes: Vec<(&'static str, String)>,
    /// What it consists of.
    parts: Vec<Part>,
}

/// Writes the bill of an image.
pub fn render(inventory: &Inventory, format: Format, made: &Made<'_>) -> String {
    let parts = collect(inventory);
    match format {
        Format::CycloneDx => text(&cyclonedx(inventory, &parts, made)),
        Format::Spdx => text(&spdx(inventory, &parts, made)),
        Format::List => list(inventory, &parts),
    }
}

/// Adds an entry to an object.
fn put(object: &mut Json, name: &str, value: impl Into<Json>) {
    if let Json::Object(entries) = object {
        entries.insert(name.to_owned(), value.into());
    }
}

fn text(json: &Json) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default() + "\n"
}

fn collect(inventory: &Inventory) -> Vec<Part> {
    let os = &inventory.os;
    let packages = inventory
        .packages
        .iter()
        .map(|package| of_package(package, &os.id, &os.version));
    let programs = inventory.programs.iter().map(of_program);
    let containers = inventory.containers.iter().map(|image| {
        let (name, version) = split_image(&image.name);
        Part {
            id: format!("container:{}", image.name),
            kind: "container",
            purl: (!image.digest.is_empty()).then(|| {
                let last = name.rsplit('/').next().unwrap_or(name).to_lowercase();
                let mut purl = format!("pkg:oci/{}@{}", encoded(&last), encoded(&image.digest));
                let _ = write!(purl, "?repository_url={}", encoded(name));
                if !version.is_empty() {
                    let _ = write!(purl, "&tag={}", encoded(version));
                }
                purl
            }),
            name: name.to_owned(),
            version: version.to_owned(),
            sha256: image
                .digest
                .strip_prefix("sha256:")
                .filter(|sum| is_sha256(sum))
                .map(str::to_owned),
            notes: Vec::new(),
            parts: Vec::new(),
        }
    });
    let mut out: Vec<Part> = packages.chain(programs).chain(containers).collect();
    expect_unique(&mut out, &mut BTreeMap::new());
    out
}

/// Numbers the ids that occur twice: an image can claim anything.
fn expect_unique(parts: &mut [Part], seen: &mut BTreeMap<String, usize>) {
    for part in parts {
        let count = seen.entry(part.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            let _ = write!(part.id, "#{count}");
        }
        expect_unique(&mut part.parts, seen);
    }
}

fn of_package(package: &Package, os: &str, version: &str) -> Part {
    let (system, namespace, of_sum) = match package.system {
        PackageSystem::Dpkg => ("deb", "debian", "md5sums-sha256"),
        PackageSystem::Rpm => ("rpm", "redhat", "header-sha256"),
    };
    let mut purl = format!(
        "pkg:{system}/{}/{}@{}?arch={}",
        encoded(if os.is_empty() { namespace } else { os }),
        // The names of rpm differ in their case.
        match package.system {
            PackageSystem::Dpkg => encoded(&package.name.to_lowercase()),
            PackageSystem::Rpm => encoded(&package.name),
        },
        encoded(&package.version),
        encoded(&package.architecture)
    );
    if !os.is_empty() && !version.is_empty() {
        let _ = write!(purl, "&distro={}-{}", encoded(os), encoded(version));
    }
    if let Some(epoch) = package.epoch {
        let _ = write!(purl, "&epoch={epoch}");
    }
    let source = package.source.as_deref().unwrap_or(&package.name);
    let source = match (&package.source_version, package.system) {
        (Some(version), _) => format!("{source} {version}"),
        (None, PackageSystem::Dpkg) => format!("{source} {}", package.version),
        (None, PackageSystem::Rpm) => source.to_owned(),
    };
    let mut notes = vec![("source", source)];
    notes.extend(package.sum.clone().map(|sum| (of_sum, sum)));
    let epoch = package.epoch.map(|epoch| format!("{epoch}:"));
    Part {
        id: format!("{system}:{}:{}", package.name, package.architecture),
        kind: "library",
        name: package.name.clone(),
        version: epoch.unwrap_or_default() + &package.version,
        purl: Some(purl),
        sha256: None,
        notes,
        parts: Vec::new(),
    }
}

fn of_program(program: &Program) -> Part {
    let name = program
        .path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let go = program.go.as_ref();
    let module = go.and_then(|go| go.module.as_ref());
    let version = go.and_then(|go| go.version.clone()).unwrap_or_default();
    let purl = module.filter(|module| !module.path.is_empty());
    Part {
        id: format!("file:{}", program.path),
        kind: "application",
        purl: purl.map(|module| go_purl(&module.path, &version)),
        sha256: Some(program.sha256.clone()),
        notes: [
            Some(("path", program.path.clone())),
            Some(("bytes", program.size.to_string())),
            go.map(|go| ("go", go.go.clone())),
        ]
        .into_iter()
        .flatten()
        .collect(),
        parts: go
            .map(|go| of_modules(go, &program.path))
            .unwrap_or_default(),
        name,
        version,
    }
}

fn of_modules(go: &GoBuild, path: &str) -> Vec<Part> {
    let standard = GoModule {
        path: "stdlib".to_owned(),
        version: go
            .go
            .split(' ')
            .next()
            .unwrap_or_default()
            .trim_start_matches("go")
            .to_owned(),
        sum: String::new(),
    };
    let modules = std::iter::once(&standard).chain(&go.modules);
    let part = |module: &GoModule| Part {
        id: format!("file:{path}#{}", module.path),
        kind: "library",
        name: module.path.clone(),
        version: module.version.clone(),
        purl: Some(go_purl(&module.path, &module.version)),
        sha256: None,
        notes: Some(&module.sum)
            .filter(|sum| !sum.is_empty())
            .map(|sum| ("go-sum", sum.clone()))
            .into_iter()
            .collect(),
        parts: Vec::new(),
    };
    modules.map(part).collect()
}

fn go_purl(path: &str, version: &str) -> String {
    let path: Vec<String> = path.to_lowercase().split('/').map(encoded).collect();
    let version = match version {
        "" | "(devel)" => String::new(),
        version => format!("@{}", encoded(version)),
    };
    format!("pkg:golang/{}{version}", path.join("/"))
}

/// Splits the name of a container image into repository and tag.
fn split_image(name: &str) -> (&str, &str) {
    let name = name.split('@').next().unwrap_or(name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, ""),
    }
}

fn is_sha256(sum: &str) -> bool {
    sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Escapes what has a meaning in a purl (package-url: PURL-SPECIFICATION).
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The name of the image, its ID, and a UUID that follows from what the bill says.
fn heading(inventory: &Inventory, parts: &[Part], made: &Made<'_>) -> (String, String, String) {
    let (name, id) = inventory.name_and_id();
    let name = name.unwrap_or(made.name);
    let mut all = format!("{name}\n{}\n", id.unwrap_or_default());
    for part in parts {
        let _ = writeln!(all, "{} {} {:?}", part.id, part.version, part.sha256);
    }
    let digest = sha256(&all);
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    // Version 8: of a form of our own, RFC 9562.
    let uuid = format!(
        "{}-{}-8{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    );
    (name.to_owned(), id.unwrap_or_default().to_owned(), uuid)
}

fn cyclonedx(inventory: &Inventory, parts: &[Part], made: &Made<'_>) -> Json {
    let (name, id, uuid) = heading(inventory, parts, made);
    let mut image = json!({ "type": "platform", "bom-ref": "image", "name": name });
    if !id.is_empty() {
        put(&mut image, "version", json!(id));
    }
    let release = inventory.release.iter();
    let release = release.filter(|(name, _)| !matches!(name.as_str(), "NAME" | "ID" | "IMAGE"));
    let properties: Vec<Json> = release
        .map(|(name, value)| json!({ "name": format!("imgspec:{}", name.to_lowercase()), "value": value }))
        .collect();
    if !properties.is_empty() {
        put(&mut image, "properties", properties);
    }
    let mut metadata = json!({
        "tools": { "components": [
            { "type": "application", "name": "imgspec", "version": env!("CARGO_PKG_VERSION") }
        ] },
        "component": image,
    });
    if let Some(time) = made.time {
        put(&mut metadata, "timestamp", json!(in_words(time)));
    }
    let mut components = Vec::new();
    let os = &inventory.os;
    let has_os = !os.id.is_empty();
    if has_os {
        let mut component =
            json!({ "type": "operating-system", "bom-ref": "system", "name": os.id });
        if !os.version.is_empty() {
            put(&mut component, "version", json!(os.version));
        }
        if !os.name.is_empty() {
            put(&mut component, "description", json!(os.name));
        }
        components.push(component);
    }
    components.extend(parts.iter().map(component));
    let own = parts.iter().map(|part| part.id.as_str());
    let refs: Vec<&str> = has_os.then_some("system").into_iter().chain(own).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{uuid}"),
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": [{ "ref": "image", "dependsOn": refs }],
    })
}

fn component(part: &Part) -> Json {
    let mut out = json!({ "type": part.kind, "bom-ref": part.id, "name": part.name });
    if !part.version.is_empty() {
        put(&mut out, "version", json!(part.version));
    }
    if let Some(sum) = &part.sha256 {
        put(
            &mut out,
            "hashes",
            json!([{ "alg": "SHA-256", "content": sum }]),
        );
    }
    if let Some(purl) = &part.purl {
        put(&mut out, "purl", json!(purl));
    }
    let notes = part.notes.iter();
    let notes: Vec<Json> = notes
        .map(|(name, value)| json!({ "name": format!("imgspec:{name}"), "value": value }))
        .collect();
    if !notes.is_empty() {
        put(&mut out, "properties", notes);
    }
    if !part.parts.is_empty() {
        put(
            &mut out,
            "components",
            part.parts.iter().map(component).collect::<Json>(),
        );
    }
    out
}

fn spdx(inventory: &Inventory, parts: &[Part], made: &Made<'_>) -> Json {
    let (name, id, uuid) = heading(inventory, parts, made);
    let mut packages = vec![spdx_package(
        "SPDXRef-image",
        &name,
        &id,
        None,
        None,
        "OPERATING-SYSTEM",
    )];
    let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image")];
    let os = &inventory.os;
    if !os.id.is_empty() {
        packages.push(spdx_package(
            "SPDXRef-os",
            &os.id,
            &os.version,
            None,
            None,
            "OPERATING-SYSTEM",
        ));
        relations.push(relation("SPDXRef-image", "CONTAINS", "SPDXRef-os"));
    }
    add_spdx(
        parts,
        "SPDXRef-image",
        "SPDXRef",
        &mut packages,
        &mut relations,
    );
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("urn:uuid:{uuid}"),
        "creationInfo": {
            "created": in_words(made.time.unwrap_or_default()),
            "creators": [format!("Tool: imgspec-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relations,
    })
}

/// Adds parts that another one contains. Their ids are numbers, since SPDX forbids most characters in one.
fn add_spdx(
    parts: &[Part],
    parent: &str,
    prefix: &str,
    packages: &mut Vec<Json>,
    relations: &mut Vec<Json>,
) {
    for (at, part) in parts.iter().enumerate() {
        let id = format!("{prefix}-{}", at + 1);
        let purpose = match part.kind {
            "application" => "APPLICATION",
            "container" => "CONTAINER",
            _ => "LIBRARY",
        };
        let sum = part.sha256.as_deref();
        let mut package = spdx_package(
            &id,
            &part.name,
            &part.version,
            part.purl.as_deref(),
            sum,
            purpose,
        );
        if let Some((_, path)) = part.notes.iter().find(|(name, _)| *name == "path") {
            put(&mut package, "packageFileName", json!(path));
        }
        if let Some((_, source)) = part.notes.iter().find(|(name, _)| *name == "source") {
            put(
                &mut package,
                "sourceInfo",
                json!(format!("built from the source package {source}")),
            );
        }
        packages.push(package);
        relations.push(relation(parent, "CONTAINS", &id));
        add_spdx(&part.parts, &id, &id, packages, relations);
    }
}

fn spdx_package(
    id: &str,
    name: &str,
    version: &str,
    purl: Option<&str>,
    sum: Option<&str>,
    purpose: &str,
) -> Json {
    let mut out = json!({
        "SPDXID": id,
        "name": name,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": purpose,
    });
    if !version.is_empty() {
        put(&mut out, "versionInfo", json!(version));
    }
    if let Some(sum) = sum {
        put(
            &mut out,
            "checksums",
            json!([{ "algorithm": "SHA256", "checksumValue": sum }]),
        );
    }
    if let Some(purl) = purl {
        put(
            &mut out,
            "externalRefs",
            json!([{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl,
            }]),
        );
    }
    out
}

fn relation(from: &str, kind: &str, to: &str) -> Json {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn list(inventory: &Inventory, parts: &[Part]) -> String {
    let mut out = String::new();
    let os = &inventory.os;
    if !os.id.is_empty() {
        let _ = writeln!(
            out,
            "os         {} {}",
            visible_line(&os.id),
            visible_line(&os.version)
        );
    }
    for part in parts {
        let path = part.notes.iter().find(|(name, _)| *name == "path");
        let (kind, name) = match (part.kind, path) {
            (_, Some((_, path))) => ("program", path),
            ("container", None) => ("container", &part.name),
            _ => ("package", &part.name),
        };
        let _ = write!(out, "{kind:10} {}", visible_line(name));
        if !part.version.is_empty() {
            let _ = write!(out, " {}", visible_line(&part.version));
        }
        if let Some(sum) = &part.sha256 {
            let _ = write!(out, "  sha256:{sum}");
        }
        if !part.parts.is_empty() {
            let _ = write!(out, "  {} Go modules", part.parts.len());
        }
        out.push('\n');
    }
    out
}

/// A time in UTC, as both forms want it.
fn in_words(time: u64) -> String {
    let (days, seconds) = (time / 86_400, time % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms": days to a date of the Gregorian calendar.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_in_utc() {
        for (time, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(in_words(time), wanted);
        }
    }

    #[test]
    fn names_of_container_images_are_split() {
        for (name, wanted) in [
            (
                "registry.k8s.io/pause:3.10",
                ("registry.k8s.io/pause", "3.10"),
            ),
            ("localhost:5000/a", ("localhost:5000/a", "")),
            ("localhost:5000/a:1@sha256:00", ("localhost:5000/a", "1")),
        ] {
            assert_eq!(split_image(name), wanted);
        }
    }
}
